//! A small vocabulary: few conditions, and every kind of connection that they and the laws tell
//! apart. What is said of all connections can be held against each of these.
//!
//! A kind stands for all connections of which each condition says the same; beside one that is
//! admitted wherever a rule admits it stand those that a law refuses, or does not pair silently.

use gw::facts::assumptions::{Named, broken, complete};
use gw::facts::attributes::Value;
use gw::facts::{AttributeId, Facts};

/// What rules ask for.
pub(crate) const CONDITIONS: [&str; 15] = [
    "auth=token",
    "pairing=paired",
    "loopback",
    "auth!=token",
    "pairing!=paired",
    "device=absent",
    "not loopback",
    "peer in { 10.0.0.0/8 }",
    "auth=token and pairing=paired",
    "device=absent and pairing!=paired",
    "auth=token or pairing=paired",
    "loopback or peer in { 10.0.0.0/8 }",
    "pairing=paired and device=absent",
    "auth=token or auth!=token",
    "not (loopback and pairing=paired)",
];

/// What rules answer.
pub(crate) const VERDICTS: [&str; 4] = [
    "approve",
    "reject(not-permitted)",
    "require-pairing",
    "silent-approve",
];

/// What guards answer.
pub(crate) const RESTRICTIONS: [&str; 5] = [
    "reject(not-permitted)",
    "require-pairing",
    "cap(scopes={ operator.read })",
    "cap(scopes={ operator.read, operator.write })",
    "cap(scopes={ operator.write })",
];

const PEERS: [&str; 3] = ["127.0.0.1", "10.0.0.5", "203.0.113.9"];

/// Authentication, device, pairing and the request that waits.
const STANDINGS: [[&str; 4]; 13] = [
    ["token", "absent", "none", "none"],
    ["token", "proven", "unpaired", "none"],
    ["token", "proven", "unpaired", "asked"],
    ["token", "signature-invalid", "unpaired", "none"],
    ["token", "proven", "paired", "none"],
    ["token", "signature-invalid", "paired", "none"],
    ["none", "absent", "none", "none"],
    ["none", "proven", "unpaired", "none"],
    ["none", "proven", "unpaired", "asked"],
    ["none", "proven", "paired", "none"],
    ["failed", "absent", "none", "none"],
    ["failed", "proven", "unpaired", "none"],
    ["failed", "proven", "paired", "none"],
];

/// Every kind of connection.
pub(crate) fn world() -> Vec<Facts> {
    let mut world = Vec::new();
    for peer in PEERS {
        for [auth, device, pairing, pending] in STANDINGS {
            world.push(connection(&[
                ("peer", peer),
                ("auth", auth),
                ("device", device),
                ("pairing", pairing),
                ("pending", pending),
            ]));
        }
    }
    world
}

/// A connection of which some facts are said: flags by `yes` and `no`.
pub(crate) fn connection(said: &[(&str, &str)]) -> Facts {
    let mut facts = Facts::default();
    let mut named = Named::default();
    for (name, value) in said {
        let id = AttributeId::named(name).unwrap();
        let value = match *value {
            "yes" => Value::Flag(true),
            "no" => Value::Flag(false),
            word => {
                let address = word.parse().map(Value::Address);
                address.unwrap_or_else(|_| Value::Word(word.to_owned()))
            }
        };
        id.assign(&mut facts, &value).unwrap();
        named.add(id);
    }
    complete(&mut facts, &named, |_| true);
    let wrong = broken(&facts).next();
    assert!(wrong.is_none(), "{said:?} {wrong:?}");
    facts
}

/// Every rule: each condition with each verdict.
pub(crate) fn rules() -> Vec<String> {
    written("", &CONDITIONS, &VERDICTS)
}

/// Every guard.
pub(crate) fn guards() -> Vec<String> {
    written("guard ", &CONDITIONS, &RESTRICTIONS)
}

/// Each condition with each answer, as a policy has it.
pub(crate) fn written(role: &str, conditions: &[&str], answers: &[&str]) -> Vec<String> {
    let clause = |condition: &&str| {
        let answers = answers.iter();
        let all = answers.map(|answer| format!("{role}{condition} → {answer}"));
        all.collect::<Vec<_>>()
    };
    conditions.iter().flat_map(clause).collect()
}

/// A policy of some clauses, which asks the owner about everybody else.
pub(crate) fn policy(clauses: &[&str]) -> String {
    let clauses: String = clauses.iter().map(|clause| format!("{clause}\n")).collect();
    format!("gw-policy 1\n{clauses}default → require-pairing\n")
}

/// The series with this number, of one thing for each place.
pub(crate) fn chosen<'a>(places: &[&'a [String]], number: usize) -> Vec<&'a str> {
    let mut rest = number;
    let choose = |place: &&'a [String]| {
        let own = rest % place.len();
        rest /= place.len();
        place[own].as_str()
    };
    places.iter().map(choose).collect()
}
