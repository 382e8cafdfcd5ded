//! Setup codes: what one hands over, and that it is spent.

use serde_json::{Value, json};

use super::generated::spec;
use super::*;
use crate::auth::bootstrap::{Purpose, SetupCode};
use crate::wire::reply::Server;

const CODE: &str = "test-setup-code-not-a-secret";
const ALL: &str = "gw-policy 1\ndefault → silent-approve";

fn codes(purpose: Purpose) -> [SetupCode; 1] {
    [SetupCode::issue(Secret::new(CODE), purpose, NOW)]
}

/// What becomes of a node that presents the code.
fn knocks(
    policy: &Policy,
    codes: &[SetupCode],
    role: &str,
    scopes: Value,
) -> (Admission, Standing, Settings) {
    let arrives = Arrives::of(&spec(&json!({
        "client": "node-host/node", "role": role, "scopes": scopes,
        "auth": { "bootstrapToken": CODE },
    })));
    let gate = arrives.gate(policy);
    let upgrade = arrives.upgrade(gate).unwrap();
    let presented = arrives.presented(gate);
    let remembered = Remembered {
        setup_codes: codes,
        ..Remembered::of(&arrives.standing)
    };
    let admission = with_fresh(&mut 0, |fresh| {
        at_connect(gate, &upgrade, &presented, remembered, fresh)
    });
    let after = admission.change.apply(&arrives.standing);
    (admission, after, arrives.settings)
}

/// The roles and scopes of the tokens that the answer gives, the connection's own first.
fn told(admission: &Admission, settings: &Settings) -> Value {
    let Reply::Admitted(admitted) = &admission.reply else {
        panic!("{:?}", admission.reply);
    };
    let hello = admitted.hello(&Server::new("1", "c"), &settings.compatibility);
    let auth = &hello["auth"];
    let others = auth["deviceTokens"].as_array().cloned().unwrap_or_default();
    let own = json!([auth["role"], auth["scopes"]]);
    let others = others.iter().map(|it| json!([it["role"], it["scopes"]]));
    std::iter::once(own).chain(others).collect()
}

#[test]
fn a_node_is_handed_the_other_roles_of_its_code() {
    let policy = Policy::parse("test.policy", ALL).unwrap();
    let voice = codes(Purpose::VoiceNode);
    let (admission, after, settings) = knocks(&policy, &voice, "node", json!([]));
    let operator = json!(["operator", ["operator.read", "operator.talk"]]);
    assert_eq!(told(&admission, &settings), json!([["node", []], operator]));
    assert_eq!(admission.setup_code, Some(UsedCode { at: 0, kept: None }));
    let record = after.record.unwrap();
    assert_eq!(json!(record)["roles"], json!(["node", "operator"]));
    assert_eq!(json!(record)["approvedVia"], "bootstrap");

    let node_only = codes(Purpose::NodeOnly);
    let (admission, _, settings) = knocks(&policy, &node_only, "node", json!([]));
    assert_eq!(told(&admission, &settings), json!([["node", []]]));
}

#[test]
fn a_cap_holds_for_what_is_handed_over() {
    let text = "gw-policy 1\nguard auth=bootstrap-token → cap(scopes={ operator.read })\ndefault → silent-approve";
    let policy = Policy::parse("test.policy", text).unwrap();
    let (admission, _, settings) = knocks(&policy, &codes(Purpose::MobileFull), "node", json!([]));
    let operator = json!(["operator", ["operator.read"]]);
    assert_eq!(told(&admission, &settings), json!([["node", []], operator]));
}

#[test]
fn a_code_is_bound_to_its_device_and_spent_role_by_role() {
    let policy = Policy::parse("test.policy", ALL).unwrap();
    let issued = codes(Purpose::General);
    let read = json!(["operator.read"]);
    let (admission, _, _) = knocks(&policy, &issued, "operator", read.clone());
    let used = admission.setup_code.unwrap();
    let kept = [used.kept.unwrap()];
    let (again, _, _) = knocks(&policy, &kept, "operator", read);
    assert_eq!(again.setup_code, None);
    assert!(again.permit.is_none());
    let (node, _, _) = knocks(&policy, &kept, "node", json!([]));
    assert_eq!(node.setup_code.unwrap().kept, None);
}

#[test]
fn a_connection_that_is_not_admitted_spends_nothing() {
    let text = "gw-policy 1\ndefault → require-pairing";
    let policy = Policy::parse("test.policy", text).unwrap();
    let (admission, _, _) = knocks(&policy, &codes(Purpose::General), "node", json!([]));
    assert!(admission.permit.is_none());
    assert_eq!(admission.setup_code, None);
}
