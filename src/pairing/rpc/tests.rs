//! Who may manage what, and what they are shown.

use super::*;
use crate::secret::Secret;
use crate::settings::compatibility::PairingRules;

const NOW: i64 = 10_000;

fn scopes(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

/// `a` is paired as operator, with a request for more; `n` as node; `b` waits.
fn standings() -> Vec<Standing> {
    let record = |device: &str, role: &str, scopes: &[&str], at: i64| {
        json!({ "deviceId": device, "publicKey": "k", "role": role, "roles": [role],
            "scopes": scopes, "approvedScopes": scopes, "approvedAtMs": at,
            "tokens": { role: { "token": "s3cret", "role": role, "scopes": scopes,
                "createdAtMs": 1, "issuer": { "kind": "x" } } } })
    };
    let pending = |device: &str, role: &str, scopes: &[&str], ts: i64| {
        json!({ "requestId": format!("of {device}"), "deviceId": device, "publicKey": "k",
            "role": role, "roles": [role], "scopes": scopes, "ts": ts })
    };
    let read = ["operator.pairing", "operator.read"];
    let mut ended = record("e", "operator", &read, 4);
    ended["expiresAtMs"] = NOW.into();
    let all = json!([
        { "record": ended },
        { "record": record("a", "operator", &read, 5), "pending": pending("a", "operator", &["operator.admin"], 7) },
        { "pending": pending("b", "operator", &["operator.read"], 9) },
        { "pending": pending("m", "node", &[], 8) },
        { "record": record("n", "node", &[], 6) },
    ]);
    serde_json::from_value(all).unwrap()
}

struct Session {
    scopes: Vec<Box<str>>,
    device: Option<&'static str>,
    by_device_token: bool,
}

fn session(names: &[&str]) -> Session {
    Session {
        scopes: scopes(names),
        device: Some("a"),
        by_device_token: false,
    }
}

/// A session that the device token of `a` admitted.
fn of_a(names: &[&str]) -> Session {
    Session {
        by_device_token: true,
        ..session(names)
    }
}

fn with(change: impl FnOnce(&mut PairingRules)) -> Compatibility {
    let mut rules = Compatibility::default();
    change(&mut rules.pairing);
    rules
}

fn say(
    session: &Session,
    method: &str,
    params: &Value,
    rules: &Compatibility,
) -> Result<Reply, String> {
    let standings = standings();
    let view = View {
        standings: &standings,
        is_connected: &|device| device == "a",
        now_ms: NOW,
        rules,
    };
    let mut fresh = Fresh {
        request_id: &mut || "fresh".into(),
        secret: &mut || Secret::new("fresh"),
    };
    let caller = Caller {
        scopes: &session.scopes,
        device: session.device,
        by_device_token: session.by_device_token,
    };
    let call = Call::parse(method, params).unwrap();
    call.and_then(|call| call.answer(&caller, &view, &mut fresh))
        .map_err(|error| error.to_string())
}

fn devices(payload: &Value, list: &str) -> Vec<String> {
    let devices = payload[list].as_array().unwrap().iter();
    let devices = devices.map(|device| device["deviceId"].as_str().unwrap().to_owned());
    devices.collect()
}

#[test]
fn a_list_shows_the_newest_first_and_no_secret() {
    let rules = Compatibility::default();
    let pairing = session(&["operator.pairing"]);
    let payload = say(&pairing, "device.pair.list", &json!({}), &rules)
        .unwrap()
        .payload;
    assert_eq!(devices(&payload, "pending"), ["b", "m", "a"]);
    assert_eq!(devices(&payload, "paired"), ["n", "a"]);
    let shown = payload["paired"][1].as_object().unwrap();
    assert_eq!(shown["connected"], true);
    let tokens = json!([{ "role": "operator", "createdAtMs": 1,
        "scopes": ["operator.pairing", "operator.read"] }]);
    assert_eq!(shown["tokens"], tokens);
    assert!(!shown.contains_key("approvedScopes"));
    assert!(!payload.to_string().contains("s3cret"));
}

#[test]
fn a_device_token_speaks_for_its_own_device_only() {
    let rules = Compatibility::default();
    let payload = |session: &Session, rules: &Compatibility| {
        let reply = say(session, "device.pair.list", &json!({}), rules).unwrap();
        (
            devices(&reply.payload, "pending"),
            devices(&reply.payload, "paired"),
        )
    };
    let own = of_a(&["operator.pairing"]);
    assert_eq!(
        payload(&own, &rules),
        (vec!["a".to_owned()], vec!["a".to_owned()])
    );
    let admin = of_a(&["operator.admin"]);
    assert_eq!(payload(&admin, &rules).1.len(), 2);
    let listed = with(|pairing| pairing.other_devices = OtherDevices::Listed);
    assert_eq!(payload(&own, &listed).1.len(), 2);

    let remove = |session: &Session, device: &str, rules: &Compatibility| {
        say(
            session,
            "device.pair.remove",
            &json!({ "deviceId": device }),
            rules,
        )
        .map(|reply| reply.ends.unwrap().device_id)
    };
    let denied = Err("device pairing removal denied".to_owned());
    assert_eq!(remove(&own, "a", &rules), Ok("a".into()));
    assert_eq!(remove(&own, "b", &rules), denied);
    assert_eq!(remove(&own, "b", &listed), denied);
    let managed = with(|pairing| pairing.other_devices = OtherDevices::Managed);
    let unknown = Err("unknown deviceId".to_owned());
    assert_eq!(remove(&own, "b", &managed), unknown);
    assert_eq!(remove(&admin, "b", &rules), unknown);
}

#[test]
fn nobody_approves_more_than_they_hold() {
    let rules = Compatibility::default();
    let approve = |session: &Session, device: &str, rules: &Compatibility| {
        let params = json!({ "requestId": format!("of {device}") });
        say(session, "device.pair.approve", &params, rules).map(|reply| reply.payload)
    };
    let pairing = session(&["operator.pairing"]);
    let missing = |scope: &str| Err(format!("missing scope: {scope}"));
    assert_eq!(approve(&pairing, "a", &rules), missing("operator.admin"));
    assert_eq!(approve(&pairing, "b", &rules), missing("operator.read"));
    let reader = session(&["operator.pairing", "operator.write"]);
    let approved = approve(&reader, "b", &rules).unwrap();
    assert_eq!(approved["device"]["scopes"], json!(["operator.read"]));
    assert!(!approved.to_string().contains("fresh"), "{approved}");

    let denied = Err("device pairing approval denied".to_owned());
    assert_eq!(approve(&of_a(&["operator.pairing"]), "b", &rules), denied);
    // Nodes are for admins, and only they are told which ids there are.
    assert_eq!(approve(&reader, "m", &rules), denied);
    assert_eq!(approve(&reader, "none", &rules), denied);
    let older = with(|pairing| pairing.roles_need_admin = false);
    assert!(approve(&reader, "m", &older).is_ok());
    assert_eq!(
        approve(&reader, "none", &older),
        Err("unknown requestId".to_owned())
    );
    assert_eq!(
        approve(&session(&["operator.read"]), "b", &rules),
        missing("operator.pairing")
    );
}

#[test]
fn a_rotated_token_goes_to_its_own_device() {
    let rules = Compatibility::default();
    let rotate = |session: &Session, params: &Value, rules: &Compatibility| {
        say(session, "device.token.rotate", params, rules).map(|reply| reply.payload)
    };
    let params = json!({ "deviceId": "a", "role": "operator", "scopes": ["operator.read"] });
    let reader = ["operator.pairing", "operator.read"];
    let own = rotate(&of_a(&reader), &params, &rules).unwrap();
    assert_eq!(
        (&own["token"], &own["tokenDelivery"]),
        (&json!("fresh"), &json!("in-band"))
    );
    assert_eq!(own["rotatedAtMs"], NOW);
    let other = rotate(&session(&reader), &params, &rules).unwrap();
    assert_eq!(other.get("token"), None);
    assert_eq!(other["tokenDelivery"], "withheld-cross-device");
    let older = with(|pairing| pairing.withhold_rotated = false);
    let told = rotate(&session(&reader), &params, &older).unwrap();
    assert_eq!(
        (told.get("tokenDelivery"), &told["token"]),
        (None, &json!("fresh"))
    );

    let denied = Err("device token rotation denied".to_owned());
    let more = json!({ "deviceId": "a", "role": "operator", "scopes": ["operator.admin"] });
    assert_eq!(rotate(&session(&["operator.admin"]), &more, &rules), denied);
    assert_eq!(
        rotate(&session(&["operator.pairing"]), &params, &rules),
        denied
    );
    let node = json!({ "deviceId": "n", "role": "node" });
    assert_eq!(rotate(&session(&reader), &node, &rules), denied);
    assert!(rotate(&session(&["operator.admin"]), &node, &rules).is_ok());
}

#[test]
fn what_has_ended_is_nothing_to_manage() {
    let (admin, rules) = (session(&["operator.admin"]), Compatibility::default());
    let of_e = json!({ "deviceId": "e", "role": "operator" });
    let rotated = say(&admin, "device.token.rotate", &of_e, &rules);
    assert_eq!(rotated, Err("device token rotation denied".to_owned()));
    let removed = say(
        &admin,
        "device.pair.remove",
        &json!({ "deviceId": "e" }),
        &rules,
    );
    assert_eq!(removed, Err("unknown deviceId".to_owned()));
}

#[test]
fn an_answer_shows_no_secret_to_a_log() {
    let params = json!({ "deviceId": "a", "role": "operator" });
    let own = of_a(&["operator.pairing", "operator.read"]);
    let reply = say(
        &own,
        "device.token.rotate",
        &params,
        &Compatibility::default(),
    )
    .unwrap();
    assert_eq!(reply.payload["token"], "fresh");
    let shown = format!("{reply:?}");
    assert!(
        !shown.contains("fresh") && !shown.contains("s3cret"),
        "{shown}"
    );
}

#[test]
fn a_revoked_token_stays_in_the_record() {
    let rules = Compatibility::default();
    let params = json!({ "deviceId": "a", "role": "operator" });
    let admin = session(&["operator.admin"]);
    let reply = say(&admin, "device.token.revoke", &params, &rules).unwrap();
    let Write::Put(record) = &reply.change.record else {
        panic!("{reply:?}");
    };
    assert!(record.token("operator").is_none() && record.tokens.is_some());
    let none = json!({ "deviceId": "a", "role": "node" });
    assert_eq!(
        say(&admin, "device.token.revoke", &none, &rules),
        Err("unknown deviceId/role".to_owned())
    );
}

#[test]
fn who_may_manage_a_device_grants_it_what_they_hold() {
    let rules = Compatibility::default();
    let call = |session: &Session, params| say(session, "device.grant", &params, &rules);
    let owner = session(&["operator.admin"]);
    let reply = call(
        &owner,
        json!({ "deviceId": "a", "scopes": ["operator.write"] }),
    )
    .unwrap();
    assert_eq!(reply.payload["device"]["scopes"], json!(["operator.write"]));
    assert!(!reply.payload.to_string().contains("s3cret"));
    let few = session(&["operator.pairing"]);
    let denied = |session, params| call(session, params).unwrap_err();
    assert_eq!(
        denied(
            &few,
            json!({ "deviceId": "a", "scopes": ["operator.write"] })
        ),
        "missing scope: operator.write"
    );
    for unknown in ["b", "e"] {
        let params = json!({ "deviceId": unknown, "scopes": [] });
        assert_eq!(denied(&owner, params), "unknown deviceId");
    }
    let own = of_a(&["operator.pairing"]);
    let params = json!({ "deviceId": "n", "role": "node" });
    assert_eq!(denied(&own, params), "device grant denied");
    for wrong in [
        json!({ "deviceId": "a", "role": "king" }),
        json!({ "deviceId": "a", "scope": "operator.read" }),
        json!({ "scopes": [] }),
    ] {
        let said = denied(&owner, wrong);
        assert!(said.starts_with("invalid device.grant params"), "{said}");
    }
}

#[test]
fn parameters_are_closed() {
    let parse = |method: &str, params: Value| match Call::parse(method, &params).unwrap() {
        Ok(call) => panic!("{call:?}"),
        Err(error) => error.to_string(),
    };
    for (method, params, complaint) in [
        (
            "device.pair.approve",
            json!({}),
            "invalid device.pair.approve params: must have required property 'requestId'",
        ),
        (
            "device.pair.remove",
            json!({ "deviceId": 1 }),
            "invalid device.pair.remove params: at /deviceId: must be string",
        ),
        (
            "device.pair.list",
            json!({ "all": true }),
            "invalid device.pair.list params: at root: unexpected property 'all'",
        ),
        (
            "device.token.rotate",
            json!({ "deviceId": "a", "role": "operator", "scopes": "all" }),
            "invalid device.token.rotate params: at /scopes: must be array of strings",
        ),
    ] {
        assert_eq!(parse(method, params), complaint);
    }
    assert_eq!(Call::parse("health", &json!({})), None);
}
