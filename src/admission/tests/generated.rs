//! Generated policies, and connections with what is remembered of their devices.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::scenario::{Spec, TOKEN, WRONG, device_token};
use crate::policy::Policy;

/// What conditions are made of.
const TESTS: [&str; 22] = [
    "client=cli",
    "client in { gateway-client, node-host }",
    "client=openclaw-control-ui",
    "mode=webchat",
    "role=node",
    "loopback",
    "same-host",
    "peer in { 192.168.0.0/16 }",
    "forwarded",
    "no-origin",
    "same-origin",
    "auth in { token, password }",
    "auth=device-token",
    "auth=none",
    "device=proven",
    "no-device",
    "scopes includes { operator.admin }",
    "unknown-scope",
    "outside-role",
    "secret-sent",
    "platform=\"linux\"",
    "node-network",
];

/// Those about what is remembered of the device.
const REMEMBERED: [&str; 8] = [
    "pairing=paired",
    "pairing=unpaired",
    "pairing in { upgrade, key-changed }",
    "role-upgrade",
    "scope-upgrade",
    "metadata-upgrade",
    "pending=none",
    "pending in { asked, wider }",
];

const RELEASES: [&str; 4] = [
    include_str!("../../../policies/openclaw/2026.3.23.yaml"),
    include_str!("../../../policies/openclaw/2026.4.15.yaml"),
    include_str!("../../../policies/openclaw/2026.4.22.yaml"),
    include_str!("../../../policies/openclaw/2026.9.6.yaml"),
];

const SCOPES: [&str; 9] = [
    "operator.admin",
    "operator.pairing",
    "operator.read",
    "operator.write",
    "operator.talk",
    " operator.read ",
    "operator.new",
    "node.new",
    " ",
];

fn condition(tests: Vec<&'static str>) -> impl Strategy<Value = String> {
    let part = (select(tests), prop::bool::weighted(0.3));
    let part = part.prop_map(|(test, not)| format!("{}{test}", if not { "not " } else { "" }));
    let joint = prop_oneof![Just(" and "), Just(" or ")];
    (vec(part, 1..4), joint).prop_map(|(parts, joint)| parts.join(joint))
}

fn scope_set() -> impl Strategy<Value = String> {
    let known = vec!["operator.admin", "operator.read", "operator.write"];
    subsequence(known, 0..3).prop_map(|scopes| match scopes.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{ {} }}", scopes.join(", ")),
    })
}

fn admitting() -> impl Strategy<Value = String> {
    let scopes = prop_oneof![
        5 => Just("requested".to_owned()),
        1 => Just("none".to_owned()),
        2 => Just("approved".to_owned()),
        2 => scope_set(),
    ];
    let verdict = select(vec!["approve", "silent-approve"]);
    let more = select(vec!["", "", ", token=no"]);
    (verdict, scopes, more)
        .prop_map(|(verdict, scopes, more)| format!("{verdict}(scopes={scopes}{more})"))
}

fn restricting() -> impl Strategy<Value = String> {
    select(vec![
        "reject(not-permitted)",
        "reject(as-found)",
        "require-pairing",
        "require-pairing(reason=scope-upgrade)",
    ])
    .prop_map(str::to_owned)
}

/// A guard, without its label.
pub(super) fn guard(tests: Vec<&'static str>) -> impl Strategy<Value = String> {
    let cap = scope_set().prop_map(|scopes| format!("cap(scopes={scopes})"));
    (condition(tests), prop_oneof![restricting(), cap])
        .prop_map(|(condition, answer)| format!("{condition} → {answer}"))
}

fn every_test() -> Vec<&'static str> {
    TESTS.into_iter().chain(REMEMBERED).collect()
}

/// The text of a policy that asks about these things.
fn text(tests: Vec<&'static str>) -> impl Strategy<Value = String> {
    let rule = (
        condition(tests.clone()),
        prop_oneof![4 => admitting(), 1 => restricting()],
    )
        .prop_map(|(condition, answer)| format!("{condition} → {answer}"));
    let default = prop_oneof![3 => admitting(), 2 => restricting()];
    (vec(guard(tests), 0..3), vec(rule, 0..4), default).prop_map(|(guards, rules, default)| {
        let guards = guards.iter().map(|guard| format!("guard {guard}\n"));
        let rules = rules.iter().map(|rule| format!("{rule}\n"));
        let clauses: String = guards.chain(rules).collect();
        format!("gw-policy 1\n{clauses}default → {default}\n")
    })
}

/// A policy that may ask about anything, as text.
pub(super) fn any_policy() -> impl Strategy<Value = String> {
    text(every_test())
}

/// A policy that does not ask what is remembered: what it says of a connection, it says again.
pub(super) fn constant_policy() -> impl Strategy<Value = String> {
    text(TESTS.to_vec())
}

/// A guard that may ask about anything.
pub(super) fn any_guard() -> impl Strategy<Value = String> {
    guard(every_test())
}

/// The text of a policy with one guard more, before all others.
pub(super) fn guard_before(text: &str, guard: &str) -> String {
    text.replacen("gw-policy 1\n", &format!("gw-policy 1\nguard {guard}\n"), 1)
}

pub(super) fn loaded(text: &str) -> Policy {
    Policy::parse("made.policy", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn scopes() -> impl Strategy<Value = Vec<&'static str>> {
    vec(select(SCOPES.to_vec()), 0..5)
}

fn approved_scopes() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(SCOPES[..5].to_vec(), 0..4)
}

fn record() -> impl Strategy<Value = Value> {
    let roles = select(vec![
        json!(null),
        json!(null),
        json!(["node"]),
        json!(["operator", "node"]),
    ]);
    let platform = option::weighted(0.2, Just("otheros"));
    let key = option::weighted(0.1, Just("two"));
    let tokens = select(vec![None, None, Some("none"), Some("revoked")]);
    (approved_scopes(), roles, platform, key, tokens).prop_map(
        |(scopes, roles, platform, key, tokens)| {
            json!({
                "scopes": scopes, "roles": roles, "platform": platform, "keyOf": key,
                "tokens": tokens,
            })
        },
    )
}

fn pending() -> impl Strategy<Value = Value> {
    (approved_scopes(), any::<bool>())
        .prop_map(|(scopes, silent)| json!({ "scopes": scopes, "silent": silent }))
}

/// From where, with which Host, and with which further headers.
fn place() -> impl Strategy<Value = Value> {
    let origin = |page: &str| json!([["Origin", page]]);
    let here = json!({});
    let page = json!({ "host": "localhost:18789", "headers": origin("http://localhost:18789") });
    let foreign = json!({ "headers": origin("https://evil.example") });
    let proxied = json!({ "headers": [["X-Forwarded-For", "10.0.0.5"]] });
    let near = json!({ "peer": "192.168.1.10" });
    let far = json!({ "peer": "203.0.113.9", "host": "gw.example.com" });
    select(vec![here.clone(), here, page, foreign, proxied, near, far])
}

fn proof() -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => Just(json!({})),
        1 => Just(json!({ "version": "v2" })),
        1 => Just(json!({ "signedBeforeMs": 200_000 })),
        1 => Just(json!({ "ofAnotherConnection": true })),
        1 => Just(json!({ "by": "two" })),
        1 => Just(json!({ "idOf": "two" })),
    ]
}

fn credentials() -> impl Strategy<Value = Value> {
    let both = json!({ "token": WRONG, "deviceToken": device_token("operator") });
    let all = json!({ "token": TOKEN, "deviceToken": device_token("operator") });
    prop_oneof![
        6 => Just(Value::from("shared")),
        3 => Just(Value::from("device-token")),
        1 => Just(Value::from("none")),
        1 => Just(Value::from("wrong")),
        1 => Just(both),
        1 => Just(all),
        1 => Just(json!({ "token": device_token("operator") })),
    ]
}

/// Those of no release, or of one.
fn compatibility() -> impl Strategy<Value = Value> {
    let of = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
    let releases = RELEASES.map(of);
    prop_oneof![Just(json!({})), select(releases.to_vec())]
}

fn settings() -> impl Strategy<Value = Value> {
    let flags = prop::bool::weighted(0.2);
    let networks = select(vec![json!([]), json!(["192.168.1.0/24"])]);
    (compatibility(), flags, networks).prop_map(|(compatibility, flagged, networks)| {
        json!({
            "compatibility": compatibility,
            "controlUi": { "dangerouslyDisableDeviceAuth": flagged },
            "nodes": { "pairing": { "autoApproveCidrs": networks } },
        })
    })
}

/// A connection with a valid frame, and what is remembered of its device: the JSON of a spec.
pub(super) fn connection() -> impl Strategy<Value = Value> {
    let client = select(vec![
        "cli/cli",
        "cli/cli",
        "gateway-client/backend",
        "node-host/node",
        "openclaw-control-ui/webchat",
        "openclaw-macos/ui",
    ]);
    let role = select(vec![None, None, Some("operator"), Some("node")]);
    let device = option::weighted(0.9, Just("one"));
    let said = (client, role, option::weighted(0.9, scopes()), credentials());
    let kept = (
        option::weighted(0.6, record()),
        option::weighted(0.3, pending()),
    );
    (place(), said, device, proof(), kept, settings()).prop_map(
        |(mut spec, said, device, proof, (record, pending), settings)| {
            let (client, role, scopes, auth) = said;
            let Value::Object(rest) = json!({
                "client": client, "role": role, "scopes": scopes, "auth": auth,
                "device": device, "proof": proof, "record": record, "pending": pending,
                "settings": settings,
            }) else {
                unreachable!("it is an object")
            };
            spec.as_object_mut().unwrap().extend(rest);
            spec
        },
    )
}

pub(super) fn spec(value: &Value) -> Spec {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value:#}"))
}
