//! How requests stand to records, and device tokens to both.

use serde_json::{Value, json};

use super::*;

const RULES: Rules = Rules {
    scopes: ScopeRule::RoleBound,
    baseline: ApprovedBaseline::Approved,
    roles_need_tokens: true,
    metadata: MetadataRule::Exact,
    token_of_another_key: false,
    silent_is_checked: true,
    token_within_approval: true,
    request_ttl_ms: 300_000,
};

fn standing(change: impl FnOnce(&mut Value)) -> Standing {
    let mut value = json!({
        "record": {
            "deviceId": "d", "publicKey": "k", "platform": "Linux ", "role": "operator",
            "roles": ["operator"], "scopes": ["operator.read"], "approvedScopes": ["operator.read"],
            "tokens": { "operator": { "token": "t", "role": "operator", "scopes": ["operator.read"] } },
        },
        "pending": { "requestId": "r", "deviceId": "d", "publicKey": "k", "roles": ["operator"],
            "scopes": ["operator.admin"], "silent": false, "ts": 1000 },
    });
    change(&mut value);
    serde_json::from_value(value).unwrap()
}

fn scopes(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

fn request<'a>(role: Role, scopes: &'a [Box<str>]) -> DeviceRequest<'a> {
    DeviceRequest {
        device_id: "d",
        public_key: "k",
        client: Client::Cli,
        mode: Mode::Cli,
        role,
        scopes,
        platform: "linux",
        device_family: "",
    }
}

fn relation(standing: &Standing, role: Role, asked: &[&str]) -> Relation {
    standing.relation(&request(role, &scopes(asked)), RULES, 1000)
}

#[test]
fn a_device_that_asks_for_what_it_has_is_paired() {
    let standing = standing(|_| ());
    let expected = Relation {
        pairing: Pairing::Paired,
        pending: PendingRequest::Wider,
        ..Relation::NONE
    };
    assert_eq!(
        relation(&standing, Role::Operator, &["operator.read"]),
        expected
    );
    assert_eq!(
        relation(&standing, Role::Operator, &[]).pairing,
        Pairing::Paired
    );
}

#[test]
fn upgrades_are_found_all_at_once() {
    let standing = standing(|value| value["record"]["deviceFamily"] = json!("Server"));
    assert_eq!(
        relation(&standing, Role::Node, &["operator.admin"]),
        Relation {
            pairing: Pairing::Upgrade,
            role_upgrade: true,
            scope_upgrade: true,
            metadata_upgrade: true,
            pending: PendingRequest::Wider,
        }
    );
}

#[test]
fn a_role_lives_by_its_token() {
    let role_upgrade = |tokens: Option<Value>| {
        let standing = standing(|value| {
            let record = value["record"].as_object_mut().unwrap();
            record.remove("tokens");
            record.extend(
                tokens
                    .as_ref()
                    .map(|tokens| ("tokens".to_owned(), tokens.clone())),
            );
        });
        let asked = scopes(&["operator.read"]);
        let old = Rules {
            roles_need_tokens: false,
            ..RULES
        };
        assert!(
            !standing
                .relation(&request(Role::Operator, &asked), old, 0)
                .role_upgrade
        );
        relation(&standing, Role::Operator, &["operator.read"]).role_upgrade
    };
    assert!(role_upgrade(Some(json!({}))));
    let revoked = json!({ "operator": { "token": "t", "role": "operator", "revokedAtMs": 1 } });
    assert!(role_upgrade(Some(revoked)));
    assert!(!role_upgrade(None), "a record from before tokens");
}

#[test]
fn which_list_counts_is_a_rule() {
    let asks_more = |baseline, change: fn(&mut Value)| {
        let rules = Rules { baseline, ..RULES };
        standing(|value| change(&mut value["record"]))
            .relation(
                &request(Role::Operator, &scopes(&["operator.write"])),
                rules,
                0,
            )
            .scope_upgrade
    };
    let wrote: fn(&mut Value) = |record| record["scopes"] = json!(["operator.write"]);
    assert!(asks_more(ApprovedBaseline::Approved, wrote));
    assert!(!asks_more(ApprovedBaseline::Connected, wrote));
    let older: fn(&mut Value) = |record| {
        record["scopes"] = json!(["operator.write"]);
        record.as_object_mut().unwrap().remove("approvedScopes");
    };
    assert!(!asks_more(ApprovedBaseline::Approved, older));
    assert!(!asks_more(ApprovedBaseline::Connected, older));
    let approved: fn(&mut Value) = |record| {
        record["approvedScopes"] = json!(["operator.write"]);
        record.as_object_mut().unwrap().remove("scopes");
    };
    assert!(!asks_more(ApprovedBaseline::Connected, approved));
}

#[test]
fn another_key_or_id_is_another_device() {
    let other_key = standing(|value| value["record"]["publicKey"] = json!("other"));
    assert_eq!(
        relation(&other_key, Role::Operator, &[]).pairing,
        Pairing::KeyChanged
    );
    let other_id = standing(|value| {
        value["record"]["deviceId"] = json!("e");
        value["pending"]["deviceId"] = json!("e");
    });
    let expected = Relation {
        pairing: Pairing::Unpaired,
        ..Relation::NONE
    };
    assert_eq!(relation(&other_id, Role::Operator, &[]), expected);
}

#[test]
fn a_request_that_waits_is_told_by_what_it_asks() {
    let pending = |change: fn(&mut Value)| {
        relation(
            &standing(|value| change(&mut value["pending"])),
            Role::Operator,
            &["operator.read"],
        )
        .pending
    };
    assert_eq!(pending(|_| ()), PendingRequest::Wider);
    assert_eq!(
        pending(|value| value["scopes"] = json!([])),
        PendingRequest::Asked
    );
    assert_eq!(
        pending(|value| value["scopes"] = json!(["operator.read"])),
        PendingRequest::Asked
    );
    assert_eq!(
        pending(|value| value["silent"] = json!(true)),
        PendingRequest::SilentWider
    );
    assert_eq!(
        pending(|value| {
            value["silent"] = json!(true);
            value["scopes"] = json!(["operator.read"]);
        }),
        PendingRequest::Silent
    );
    assert_eq!(
        pending(|value| value["roles"] = json!(["node"])),
        PendingRequest::Wider
    );
    assert_eq!(
        pending(|value| value["ts"] = json!(-400_000)),
        PendingRequest::None
    );
}

#[test]
fn a_token_is_good_for_its_device_role_and_scopes() {
    let check = |standing: &Standing, role, asked: &[&str], secret: &str| {
        standing.check_token(&request(role, &scopes(asked)), &Secret::new(secret), RULES)
    };
    let good = standing(|_| ());
    assert_eq!(
        check(&good, Role::Operator, &["operator.read"], " t "),
        TokenCheck::Good
    );
    assert_eq!(
        check(&good, Role::Operator, &["operator.read"], "u"),
        TokenCheck::Mismatch
    );
    assert_eq!(
        check(&good, Role::Operator, &["operator.read"], ""),
        TokenCheck::Mismatch
    );
    assert_eq!(check(&good, Role::Node, &[], "t"), TokenCheck::Mismatch);
    assert_eq!(
        check(&good, Role::Operator, &["operator.write"], "t"),
        TokenCheck::ScopeMismatch
    );
    let grown = standing(|value| value["record"]["approvedScopes"] = json!([]));
    assert_eq!(
        check(&grown, Role::Operator, &[], "t"),
        TokenCheck::ScopeMismatch
    );
    let other_key = standing(|value| value["record"]["publicKey"] = json!("other"));
    assert_eq!(
        check(&other_key, Role::Operator, &[], "t"),
        TokenCheck::Mismatch
    );
    assert_eq!(
        check(&Standing::default(), Role::Operator, &[], "t"),
        TokenCheck::Mismatch
    );
}
