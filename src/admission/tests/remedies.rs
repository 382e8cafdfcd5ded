//! What a refusal names is done, with what does it in earnest, and the answer is another one: over
//! generated connections, under the shipped policies, until each of them is in.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use super::generated::{connection, spec};
use super::*;
use crate::pairing::approve::{Approver, approve};
use crate::verdict::Reason;

/// No way in takes more steps than that.
const MOST_STEPS: usize = 8;

/// Does what a reason names to what a client sends, or to what the owner set. One thing is done for
/// each reason: what its remedy says first.
fn follow(reason: Reason, sent: &mut Value) {
    match reason {
        Reason::TokenMissing
        | Reason::TokenMismatch
        | Reason::DeviceTokenMismatch
        | Reason::ScopeMismatch
        | Reason::Unauthorized => sent["auth"] = json!("shared"),
        Reason::DeviceRequired => sent["device"] = json!("one"),
        Reason::DeviceIdMismatch
        | Reason::DeviceNonceMismatch
        | Reason::DeviceNonceMissing
        | Reason::DevicePublicKeyInvalid
        | Reason::DeviceSignatureInvalid
        | Reason::DeviceSignatureStale => sent["proof"] = json!({}),
        Reason::OriginNotAllowed => {
            let page = sent.pointer("/headers/0/1").cloned().unwrap();
            sent["settings"]["controlUi"]["allowedOrigins"] = json!([page]);
        }
        Reason::ScopeNotAllowed => {
            sent["scopes"] = match sent["role"].as_str() {
                Some("node") => json!([]),
                _ => json!(["operator.read"]),
            }
        }
        Reason::BootstrapTokenInvalid
        | Reason::BuildMismatch
        | Reason::NotPermitted
        | Reason::PasswordMismatch
        | Reason::PasswordMissing
        | Reason::PasswordNotConfigured
        | Reason::ProxyAttributionRequired
        | Reason::RateLimited
        | Reason::RoleNotAllowed
        | Reason::TokenNotConfigured => panic!("nobody is refused for {}", reason.name()),
    }
}

/// The owner approves the request that was left.
fn approved(waiting: &Standing, settings: &Settings) -> Standing {
    let pending = waiting.pending.as_ref().unwrap();
    let scopes: Vec<Box<str>> = vec!["operator.admin".into()];
    let owner = Approver::Owner { scopes: &scopes };
    let rules = &settings.compatibility;
    let change = with_fresh(&mut 7, |fresh| {
        approve(waiting, &pending.request_id, owner, fresh, NOW, rules)
    });
    change.unwrap().apply(waiting)
}

/// The steps by which a connection came in, by what each answer was.
fn plays(policy: &Policy, mut sent: Value) -> Vec<String> {
    // What an operator can have broken on purpose is no matter of the policy.
    sent["settings"] = json!({});
    // No node's request is kept that asks for what is an operator's.
    if sent["role"] == "node" && !sent["pending"].is_null() {
        sent["pending"]["scopes"] = json!([]);
    }
    let mut standing = None;
    let mut answers: Vec<String> = Vec::new();
    loop {
        let arrives = Arrives::of(&spec(&sent));
        let known = standing.unwrap_or_else(|| arrives.standing.clone());
        let admission = arrives.admission_after(policy, &known, &mut 0).unwrap();
        let verdict = admission.decision.verdict;
        if verdict.kind().admits() {
            return answers;
        }
        assert!(admission.permit.is_none());
        let answer = verdict.to_string();
        assert_ne!(answers.last(), Some(&answer), "nothing changed: {sent:#}");
        answers.push(answer);
        assert!(answers.len() <= MOST_STEPS, "{answers:?} {sent:#}");
        let after = admission.change.apply(&known);
        standing = match verdict {
            Verdict::Reject(reason) => {
                assert!(!reason.changes().is_empty(), "{answers:?} {sent:#}");
                follow(reason, &mut sent);
                // Of one who named no device nothing is remembered yet.
                (reason != Reason::DeviceRequired).then_some(after)
            }
            Verdict::RequirePairing(_) | Verdict::Approve(_) | Verdict::SilentApprove(_) => {
                Some(approved(&after, &arrives.settings))
            }
        };
    }
}

#[test]
fn whoever_is_refused_comes_in_by_what_the_answer_names() {
    let files = ["default.policy", "docker.policy", "lan.policy"];
    let base = include_str!("../../../policies/default.policy");
    let docker = include_str!("../../../policies/docker.policy");
    let lan = include_str!("../../../policies/lan.policy");
    let policies: Vec<Policy> = files
        .iter()
        .zip([base, docker, lan])
        .map(|(name, text)| {
            let mut reader = |_: &str, _| Ok(base.to_owned());
            Policy::load(name, text, &mut reader).unwrap()
        })
        .collect();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 400,
        rng_seed: RngSeed::Fixed(69397),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let taken_here = std::cell::RefCell::new(&mut taken);
    runner
        .run(&(connection(), 0..policies.len()), |(sent, at)| {
            for answer in plays(&policies[at], sent) {
                *taken_here.borrow_mut().entry(answer).or_default() += 1;
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    // All kinds of answers were met, so that all kinds of steps were tried.
    for answer in [
        "reject(origin-not-allowed)",
        "reject(scope-not-allowed)",
        "reject(token-missing)",
        "reject(token-mismatch)",
        "reject(device-signature-stale)",
        "reject(device-required)",
        "require-pairing(not-paired)",
        "require-pairing(scope-upgrade)",
        "require-pairing(role-upgrade)",
    ] {
        assert!(taken.contains_key(answer), "{answer}: {taken:?}");
    }
}
