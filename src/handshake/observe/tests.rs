//! The facts of recordings, and that generated ones keep every assumption.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::super::parse;
use super::*;
use crate::facts::assumptions::broken;
use crate::facts::{
    AttributeId, Auth, AuthFailure, HostClass, OriginClass, Pairing, PendingRequest, Role,
};

use crate::sign::{Identity, NOW, Spec, signed_handshake};

fn read(value: &Value) -> Handshake {
    parse(&value.to_string()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn seen(spec: &Spec<'_>) -> (Handshake, Observed) {
    let handshake = read(&signed_handshake(spec));
    let observed = observe(&handshake);
    (handshake, observed)
}

fn facts(spec: &Spec<'_>) -> Facts {
    seen(spec).1.facts
}

fn shown(spec: &Spec<'_>, attribute: &str) -> String {
    let (handshake, observed) = seen(spec);
    let id = AttributeId::named(attribute).unwrap();
    observed
        .evidence
        .get(id)
        .show(id, &handshake.seen(), &observed.facts)
}

fn token() -> Value {
    json!({ "auth": { "token": "s3cret-token" } })
}

fn record(name: &str, scopes: &[&str]) -> Value {
    let identity = Identity::named(name);
    json!({ "record": {
        "deviceId": identity.id, "publicKey": identity.public_key, "platform": "linux",
        "roles": ["operator"], "approvedScopes": scopes,
        "tokens": { "operator": { "token": "s3cret-device", "role": "operator", "scopes": scopes } },
    } })
}

#[test]
fn a_local_command_line_with_the_token() {
    let spec = Spec {
        settings: token(),
        auth: Some(json!({ "token": "s3cret-token" })),
        ..Spec::default()
    };
    let mut expected = Facts {
        peer: Address::new(std::net::Ipv4Addr::LOCALHOST.into()),
        client_ip: Address::new(std::net::Ipv4Addr::LOCALHOST.into()),
        same_host: true,
        peer_is_own: true,
        host: Host::parse("127.0.0.1"),
        secret_sent: true,
        auth: Auth::Token,
        auth_failure: AuthFailure::None,
        ..Facts::default()
    };
    assert_eq!(facts(&spec), expected);
    let settings = json!({ "auth": { "mode": "none" } });
    expected.secret_sent = false;
    expected.secret_sent = false;
    expected.auth = Auth::Open;
    expected.setting.auth_mode = crate::facts::AuthMode::None;
    assert_eq!(
        facts(&Spec {
            settings,
            ..Spec::default()
        }),
        expected
    );
}

#[test]
fn proofs_of_either_version_hold_and_age() {
    for version in ["v2", "v3"] {
        let spec = Spec {
            version,
            device_family: Some(" Server "),
            platform: "Linux ",
            ..Spec::default()
        };
        assert_eq!(facts(&spec).device, DeviceProof::Proven);
    }
    let spec = Spec {
        signed_before_ms: 3000,
        ..Spec::default()
    };
    assert_eq!(
        shown(&spec, "device"),
        "signed 3 s before, nonce of this connection"
    );
    let spec = Spec {
        signed_before_ms: 120_001,
        ..Spec::default()
    };
    assert_eq!(facts(&spec).device, DeviceProof::SignatureStale);
    assert_eq!(
        shown(&spec, "device"),
        "signed 121 s before: more than 120 s"
    );
    let spec = Spec {
        version: "v1",
        ..Spec::default()
    };
    assert_eq!(facts(&spec).device, DeviceProof::SignatureInvalid);
    let spec = Spec {
        device: None,
        ..Spec::default()
    };
    assert_eq!(
        (facts(&spec).device, facts(&spec).pairing),
        (DeviceProof::Absent, Pairing::None)
    );
}

#[test]
fn golden_identity() {
    assert_eq!(
        Identity::named("").public_key,
        "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
    );
}

#[test]
fn a_container_that_dials_its_own_address_is_on_this_host() {
    let socket = json!({ "peer": "172.18.0.2:51000", "local": "[::ffff:172.18.0.2]:18789" });
    let spec = Spec {
        socket,
        ..Spec::default()
    };
    let facts = facts(&spec);
    assert!(facts.same_host && facts.peer_is_own);
    assert_eq!(
        shown(&spec, "same-host"),
        "peer and local address are both 172.18.0.2"
    );
    let socket = json!({ "peer": "172.18.0.3:51000", "local": "172.18.0.2:18789", "ownAddresses": ["172.18.0.3"] });
    let facts = self::facts(&Spec {
        socket,
        ..Spec::default()
    });
    assert!(!facts.same_host && facts.peer_is_own);
}

fn forwarded(value: &str, proxies: Value) -> Spec<'static> {
    let headers = json!({ "headers": [["Host", "gw"], ["X-Forwarded-For", value]] });
    let settings = json!({ "trustedProxies": proxies });
    Spec {
        settings,
        http: Some(headers),
        ..Spec::default()
    }
}

#[test]
fn forwarded_requests_are_attributed_to_whom_a_proxy_names() {
    let spec = forwarded("10.0.0.5", json!([]));
    let found = facts(&spec);
    assert_eq!(
        (found.ingress, found.client_ip),
        (Ingress::Unattributable, Address::NONE)
    );
    assert_eq!(
        shown(&spec, "client-ip"),
        "X-Forwarded-For: 10.0.0.5, but 127.0.0.1 is not a trusted proxy"
    );
    let spec = forwarded("127.0.0.1, 10.0.0.5", json!(["127.0.0.1"]));
    let found = facts(&spec);
    assert_eq!(
        (found.ingress, found.client_ip.to_string()),
        (Ingress::TrustedProxy, "10.0.0.5".into())
    );
    assert_eq!(
        shown(&spec, "ingress"),
        "X-Forwarded-For: 127.0.0.1, 10.0.0.5, by the trusted proxy 127.0.0.1"
    );
    let found = facts(&forwarded("127.0.0.1", json!(["127.0.0.1"])));
    assert_eq!(
        (found.ingress, found.client_ip),
        (Ingress::Unattributable, Address::NONE)
    );
    let spec = forwarded(" ", json!([]));
    let found = facts(&spec);
    assert!(found.forwarded && !found.forwarded_for);
    assert_eq!(shown(&spec, "forwarded-for"), "`X-Forwarded-For` is blank");
    assert_eq!(shown(&spec, "forwarded-host"), "no such header");
}

#[test]
fn headers_are_classified() {
    let headers = json!({ "path": "/chat?token=s3cret", "headers": [["host", "GW.local:1"], ["Origin", "http://gw.local:1"]] });
    let settings = json!({ "controlUi": { "allowedOrigins": ["http://gw.local:1"] } });
    let spec = Spec {
        http: Some(headers),
        settings,
        ..Spec::default()
    };
    let found = facts(&spec);
    assert_eq!(&*found.path, "/chat");
    assert_eq!(
        (found.host.class(), found.origin.class()),
        (HostClass::Mdns, OriginClass::Mdns)
    );
    assert!(found.same_origin && found.origin_allowed);
    let twice = json!({ "headers": [["Origin", "http://a"], ["Origin", "http://a"]] });
    let found = facts(&Spec {
        http: Some(twice),
        ..Spec::default()
    });
    assert_eq!(found.origin.class(), OriginClass::Invalid);
    let headers =
        json!({ "headers": [["X-Forwarded-For", "10.0.0.5"], ["x-forwarded-for", "10.0.0.6"]] });
    let spec = Spec {
        http: Some(headers),
        ..Spec::default()
    };
    assert_eq!(
        shown(&spec, "forwarded-for"),
        "X-Forwarded-For: 10.0.0.5 (the first of 2)"
    );
}

#[test]
fn pairing_is_told_with_what_was_approved() {
    let spec = Spec {
        pairing: Some(record("one", &["operator.read"])),
        ..Spec::default()
    };
    let found = facts(&spec);
    assert_eq!(
        (found.pairing, found.scope_upgrade),
        (Pairing::Upgrade, true)
    );
    assert_eq!(
        shown(&spec, "pairing"),
        "record approved operator.read; asks operator.read, operator.write"
    );
    assert_eq!(
        facts(&Spec {
            platform: "LINUX",
            ..spec
        })
        .pairing,
        Pairing::Upgrade
    );
    let spec = Spec {
        device: Some(""),
        ..Spec::default()
    };
    assert_eq!(shown(&spec, "pairing"), "no record for device 5647…708c");
    let spec = Spec {
        pairing: Some(record("one", &["operator.read"])),
        scopes: Some(vec!["operator.read"]),
        platform: "darwin",
        ..Spec::default()
    };
    assert!(facts(&spec).metadata_upgrade);
    assert_eq!(
        shown(&spec, "pairing"),
        "record pins platform linux; the client names darwin, nothing"
    );
}

#[test]
fn authentication_is_told_without_secrets() {
    let with = |auth: Option<Value>| Spec {
        settings: token(),
        auth,
        pairing: Some(record("one", &["operator.read", "operator.write"])),
        ..Spec::default()
    };
    assert_eq!(
        shown(&with(Some(json!({ "token": "s3cret-token" }))), "auth"),
        "the shared token matched"
    );
    assert_eq!(shown(&with(None), "auth"), "no token was sent");
    assert_eq!(
        shown(&with(Some(json!({ "token": "s3cret" }))), "auth-failure"),
        "a wrong token was sent"
    );
    assert_eq!(
        shown(
            &with(Some(json!({ "deviceToken": "s3cret-device" }))),
            "auth"
        ),
        "the token of this device matched"
    );
}

#[test]
fn lanes_without_addresses() {
    for (transport, auth) in [("unix", Auth::None), ("in-process", Auth::Host)] {
        let socket = json!({ "transport": transport });
        let found = facts(&Spec {
            socket,
            http: None,
            settings: token(),
            ..Spec::default()
        });
        assert!(found.same_host && !found.peer_is_own);
        assert_eq!(
            (found.peer, found.auth, found.host.class()),
            (Address::NONE, auth, HostClass::Absent)
        );
    }
}

#[test]
fn the_role_is_operator_unless_sent() {
    let spec = Spec {
        role: Some("node"),
        client: ("node-host", "node"),
        ..Spec::default()
    };
    let found = facts(&spec);
    assert_eq!((found.role, found.outside_role), (Role::Node, true));
    assert_eq!(facts(&Spec::default()).role, Role::Operator);
    assert_eq!(facts(&Spec::default()).pending, PendingRequest::None);
}

fn any_spec() -> impl Strategy<Value = Value> {
    let settings = select(vec![
        json!({}),
        json!({ "auth": { "mode": "none" }, "trustedProxies": ["0.0.0.0/0", "::/0"], "allowRealIpFallback": true }),
        json!({ "auth": { "token": "good" }, "trustedProxies": ["127.0.0.1", "10.0.0.9"], "controlUi": { "allowedOrigins": ["*"] } }),
        json!({ "auth": { "password": "good" }, "compatibility": { "originSyntax": "lenient", "rolesNeedTokens": false } }),
        json!({ "auth": { "mode": "trusted-proxy", "trustedProxy": { "userHeader": "X-User", "allowLoopback": true } }, "trustedProxies": ["10.0.0.9", "127.0.0.0/8"] }),
    ]);
    let address = select(vec![
        "127.0.0.1:1",
        "[::1]:1",
        "10.0.0.9:1",
        "[::ffff:10.0.0.9]:1",
        "203.0.113.9:1",
        "[fe80::1%eth0]:1",
        "[2001:db8::5]:1",
    ]);
    let socket = prop_oneof![
        (address.clone(), address, any::<bool>())
            .prop_map(|(peer, local, tls)| json!({ "peer": peer, "local": local, "tls": tls })),
        Just(json!({ "transport": "unix", "peerUid": "other-user" })),
        Just(json!({ "transport": "in-process" })),
    ];
    let header = (
        select(vec![
            "Host",
            "Origin",
            "X-Forwarded-For",
            "x-real-ip",
            "Forwarded",
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "X-Forwarded-Proto",
            "Tailscale-User-Login",
            "X-User",
            "Via",
        ]),
        select(vec![
            "",
            "null",
            "127.0.0.1",
            "10.0.0.5, 127.0.0.1",
            "::1",
            "gw.example:1",
            "http://gw.example:1",
            "http://localhost:1/x",
            "chrome-extension://a",
            "https://[::1]:1",
            "*",
        ]),
    );
    let headers = prop::collection::vec(header, 0..6);
    let secret = select(vec![
        None,
        Some("good"),
        Some("bad"),
        Some("device"),
        Some(" "),
    ]);
    let auth = (secret.clone(), secret.clone(), secret.clone(), secret);
    let scopes = select(vec![
        vec![],
        vec!["operator.read"],
        vec!["operator.admin", "x"],
        vec![" operator.write", "node.x"],
    ]);
    let claims = (select(vec!["operator", "node"]), scopes, any::<bool>());
    let pairing = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        select(vec![vec![], vec!["operator.read"], vec!["operator.admin"]]),
    );
    (settings, socket, headers, auth, claims, pairing).prop_map(build)
}

type Secrets = (
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
);
type Parts = (
    Value,
    Value,
    Vec<(&'static str, &'static str)>,
    Secrets,
    (&'static str, Vec<&'static str>, bool),
    (bool, bool, bool, Vec<&'static str>),
);

fn build((settings, socket, headers, auth, (role, scopes, device), pairing): Parts) -> Value {
    let (recorded, other_key, waiting, approved) = pairing;
    let in_process = socket["transport"] == "in-process";
    let mut credentials = json!({});
    for (name, secret) in [
        ("token", auth.0),
        ("password", auth.1),
        ("deviceToken", auth.2),
        ("bootstrapToken", auth.3),
    ] {
        if let Some(secret) = secret {
            credentials[name] = secret.into();
        }
    }
    let headers: Vec<[&str; 2]> = headers
        .into_iter()
        .map(|(name, value)| [name, value])
        .collect();
    let identity = Identity::named("one");
    let mut remembered = json!({});
    if recorded && device {
        remembered["record"] = json!({
            "deviceId": identity.id, "publicKey": if other_key { "other" } else { &identity.public_key },
            "platform": approved.first().map_or("linux", |_| "otheros"), "role": "operator", "scopes": approved,
            "tokens": { "operator": { "token": "device", "role": "operator", "scopes": approved } },
        });
    }
    if waiting && device {
        remembered["pending"] = json!({ "requestId": "r", "deviceId": identity.id, "publicKey": identity.public_key, "scopes": approved, "ts": NOW });
    }
    signed_handshake(&Spec {
        settings,
        socket,
        http: (!in_process).then(|| json!({ "headers": headers })),
        role: Some(role),
        scopes: Some(scopes),
        auth: Some(credentials),
        device: device.then_some("one"),
        pairing: Some(remembered),
        ..Spec::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_handshake_breaks_an_assumption(value in any_spec(), proof in select(DeviceProof::ALL)) {
        let handshake = read(&value);
        let proof = if proof == DeviceProof::Absent { DeviceProof::Proven } else { proof };
        for observed in [observe(&handshake), observe_with(&handshake, proof)] {
            let broken: Vec<&str> = broken(&observed.facts).map(|assumption| assumption.says).collect();
            prop_assert!(broken.is_empty(), "{broken:?}\n{:?}\n{value}", observed.facts);
            for id in AttributeId::all() {
                let phrase = observed.evidence.get(id).show(id, &handshake.seen(), &observed.facts);
                prop_assert!(!phrase.is_empty() && phrase.chars().count() < 400, "{}: {phrase}", id.row().name);
                for secret in ["good", "bad"] {
                    prop_assert!(!phrase.contains(secret), "{}: {phrase}", id.row().name);
                }
            }
        }
    }
}

/// With the flag that some releases have, the device of a dashboard is as if never sent.
#[test]
fn a_flagged_device_is_passed_over() {
    let flagged = |discards: bool, client| Spec {
        settings: json!({
            "auth": { "token": "s3cret-token" },
            "controlUi": { "dangerouslyDisableDeviceAuth": true },
            "compatibility": { "discardFlaggedDevice": discards },
        }),
        client,
        ..Spec::default()
    };
    let ui = ("openclaw-control-ui", "webchat");
    let found = facts(&flagged(true, ui));
    assert_eq!(
        (found.device, found.pairing),
        (DeviceProof::Absent, Pairing::None)
    );
    assert_eq!(
        shown(&flagged(true, ui), "device"),
        "passed over: `controlUi.dangerouslyDisableDeviceAuth` is on"
    );
    assert_eq!(seen(&flagged(true, ui)).1.claims.device, None);
    assert_eq!(facts(&flagged(false, ui)).device, DeviceProof::Proven);
    assert_eq!(
        facts(&flagged(true, ("cli", "cli"))).device,
        DeviceProof::Proven
    );
}

#[test]
fn a_network_of_nodes_holds_clients_that_are_known_and_not_loopback() {
    let found = |peer: &str, headers: &[[&str; 2]]| {
        let spec = Spec {
            settings: json!({
                "auth": { "token": "s3cret-token" },
                "trustedProxies": ["192.168.77.9"],
                "nodes": { "pairing": { "autoApproveCidrs": ["192.168.77.0/24", "127.0.0.0/8"] } },
            }),
            socket: json!({ "peer": format!("{peer}:51000"), "local": "192.168.77.1:18789" }),
            http: Some(json!({ "headers": headers })),
            ..Spec::default()
        };
        facts(&spec).node_network
    };
    let forwarded = |client| [["X-Forwarded-For", client]];
    assert!(found("192.168.77.50", &[]));
    assert!(found("192.168.77.9", &forwarded("192.168.77.50")));
    assert!(!found("192.168.77.9", &forwarded("203.0.113.50")));
    assert!(!found("192.168.77.50", &forwarded("192.168.77.51")));
    assert!(!found("172.18.0.1", &[]));
    assert!(!found("127.0.0.1", &[]));
}
