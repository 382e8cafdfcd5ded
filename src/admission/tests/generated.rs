//! Generated policies, and connections with what is remembered of their devices.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::scenario::{PendingSpec, Proof, RecordSpec, Spec, TOKEN, WRONG, device_token};
use super::words;
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

pub(super) fn loaded(text: &str) -> Policy {
    Policy::parse("made.policy", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn scopes() -> impl Strategy<Value = Vec<String>> {
    vec(select(SCOPES.to_vec()), 0..5).prop_map(|list| words(&list))
}

fn approved_scopes() -> impl Strategy<Value = Vec<String>> {
    subsequence(SCOPES[..5].to_vec(), 0..4).prop_map(|list| words(&list))
}

fn record() -> impl Strategy<Value = RecordSpec> {
    let roles = select(vec![
        None,
        None,
        Some(words(&["node"])),
        Some(words(&["operator", "node"])),
    ]);
    let platform = option::weighted(0.2, Just("otheros".to_owned()));
    let key = option::weighted(0.1, Just("two".to_owned()));
    let tokens = select(vec![None, None, Some("none"), Some("revoked")]);
    (approved_scopes(), roles, platform, key, tokens).prop_map(
        |(scopes, roles, platform, key_of, tokens)| RecordSpec {
            scopes,
            roles,
            platform,
            key_of,
            tokens: tokens.map(str::to_owned),
            ..RecordSpec::default()
        },
    )
}

fn pending() -> impl Strategy<Value = PendingSpec> {
    (approved_scopes(), any::<bool>()).prop_map(|(scopes, silent)| PendingSpec { scopes, silent })
}

/// From where, with which Host, and with which further headers.
fn place() -> impl Strategy<Value = (&'static str, &'static str, Vec<(String, String)>)> {
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    select(vec![
        ("127.0.0.1", "127.0.0.1:18789", vec![]),
        ("127.0.0.1", "127.0.0.1:18789", vec![]),
        (
            "127.0.0.1",
            "localhost:18789",
            header("Origin", "http://localhost:18789"),
        ),
        ("127.0.0.1", "gw", header("Origin", "https://evil.example")),
        ("127.0.0.1", "gw", header("X-Forwarded-For", "10.0.0.5")),
        ("192.168.1.10", "192.168.1.5:18789", vec![]),
        ("203.0.113.9", "gw.example.com", vec![]),
    ])
}

fn proof() -> impl Strategy<Value = Proof> {
    let other = || Some("two".to_owned());
    prop_oneof![
        12 => Just(Proof::default()),
        1 => Just(Proof { version: Some("v2".to_owned()), ..Proof::default() }),
        1 => Just(Proof { signed_before_ms: 200_000, ..Proof::default() }),
        1 => Just(Proof { of_another_connection: true, ..Proof::default() }),
        1 => Just(Proof { by: other(), ..Proof::default() }),
        1 => Just(Proof { id_of: other(), ..Proof::default() }),
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

/// The constants of no release, or of one.
fn compatibility() -> impl Strategy<Value = Value> {
    let of = |text: &str| serde_yaml::from_str(text).unwrap();
    let releases = RELEASES.map(of);
    prop_oneof![Just(json!({})), select(releases.to_vec())]
}

fn settings() -> impl Strategy<Value = Value> {
    let flags = prop::bool::weighted(0.2);
    let cidrs = select(vec![json!([]), json!(["192.168.1.0/24"])]);
    (compatibility(), flags, cidrs).prop_map(|(compatibility, flagged, cidrs)| {
        json!({
            "compatibility": compatibility,
            "controlUi": { "dangerouslyDisableDeviceAuth": flagged },
            "nodes": { "pairing": { "autoApproveCidrs": cidrs } },
        })
    })
}

/// A connection with a valid frame, and what is remembered of its device.
pub(super) fn connection() -> impl Strategy<Value = Spec> {
    let client = select(vec![
        "cli/cli",
        "cli/cli",
        "gateway-client/backend",
        "node-host/node",
        "openclaw-control-ui/webchat",
        "openclaw-macos/ui",
    ]);
    let role = select(vec![None, None, Some("operator"), Some("node")]);
    let device = option::weighted(0.9, Just("one".to_owned()));
    let said = (client, role, option::weighted(0.9, scopes()), credentials());
    let kept = (
        option::weighted(0.6, record()),
        option::weighted(0.3, pending()),
    );
    (place(), said, device, proof(), kept, settings()).prop_map(
        |((peer, host, headers), said, device, proof, (record, pending), settings)| {
            let (client, role, scopes, auth) = said;
            Spec {
                settings: settings.as_object().unwrap().clone(),
                peer: peer.parse().unwrap(),
                host: host.to_owned(),
                headers,
                client: client.to_owned(),
                role: role.map(str::to_owned),
                scopes,
                auth,
                device,
                proof,
                record,
                pending,
                ..Spec::default()
            }
        },
    )
}
