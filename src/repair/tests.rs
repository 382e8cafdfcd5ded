//! What is repaired means what it meant, and nothing is left that could be repaired: on small policies
//! of all kinds, and one by one where it must not be.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{Load, Order, Repair, Unproved, repair};
use crate::diagnostic::Code;
use crate::lang::ReadError;
use crate::lint::{Search, lint};
use crate::policy::{Policy, PolicyError};

const SEARCH: Search = Search {
    nodes: 1_000_000,
    dead_ends: false,
};

fn load(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse("small.policy", text)
}

fn repaired(text: &str, asked: &[Code], others: &mut [Box<Load<'static>>]) -> Repair {
    let policy = load(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let order = Order {
        search: SEARCH,
        asked,
        offers: true,
    };
    let mut own: Box<Load<'static>> = Box::new(load);
    repair(policy, order, &mut *own, others)
}

const PARTS: [&str; 13] = [
    "client=cli",
    "client!=cli",
    "auth=token",
    "not (auth!=token)",
    "loopback",
    "not loopback",
    "peer in lan",
    "peer in { 10.0.0.0/8, 10.0.0.0/9 }",
    "pairing=paired",
    "not not paired",
    "local",
    "(client=cli or tls)",
    "not no-origin",
];

const STATEMENTS: [&str; 4] = ["", "guard ", "trial ", "# about the next one\n"];

const ENDS: [&str; 3] = ["", " # behind it", "\n\n# allow(idle-guard): kept"];

fn clause() -> impl Strategy<Value = String> {
    let parts = proptest::collection::vec(0..PARTS.len(), 1..=3);
    let joined = prop_oneof![3 => Just(" and "), 1 => Just(" or ")];
    let verdict = prop_oneof![
        Just("approve"),
        Just("require-pairing"),
        Just("reject(not-permitted)")
    ];
    (parts, joined, verdict, 0..STATEMENTS.len(), 0..ENDS.len()).prop_map(
        |(parts, join, verdict, statement, end)| {
            let parts: Vec<&str> = parts.into_iter().map(|at| PARTS[at]).collect();
            let statement = STATEMENTS[statement];
            let verdict = match (statement, verdict) {
                ("guard ", "approve") => "require-pairing",
                (_, verdict) => verdict,
            };
            let end = ENDS[end];
            format!("{statement}{} → {verdict}{end}\n", parts.join(join))
        },
    )
}

fn policy() -> impl Strategy<Value = String> {
    proptest::collection::vec(clause(), 1..=5).prop_map(|mut clauses| {
        clauses.sort_by_key(|clause| !clause.starts_with("guard "));
        let names = "set lan = { 10.0.0.0/8, 192.168.0.0/16,\n    10.1.0.0/16 }\n\
                     define paired = pairing=paired\n\n# here\ndefine local = loopback and tls\n";
        format!(
            "gw-policy 1\n{names}\n{}default → reject(not-permitted)\n",
            clauses.concat()
        )
    })
}

/// The words of the comments of a text that is no allowance.
fn comments(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| line.starts_with('#') && !line.contains("allow("));
    lines.collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 8,
        rng_seed: RngSeed::Fixed(23),
        max_shrink_iters: 20,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_meaning_stays_and_nothing_is_left(text in policy()) {
        let before = load(&text).unwrap();
        let repair = repaired(&text, &[], &mut []);
        let after = load(&repair.text).unwrap();
        prop_assert!(before.fingerprint().is_some());
        prop_assert_eq!(before.fingerprint(), after.fingerprint(), "{}\n{}", text, repair.text);
        prop_assert_eq!(repair.policy.digest(), after.digest());
        let left: Vec<(Code, String)> = lint(&after, SEARCH)
            .into_iter()
            .filter(|found| found.fixes.iter().any(|fix| fix.keeps_meaning()))
            .map(|found| (found.code, found.message))
            .filter(|(code, _)| repair.left.iter().all(|(made, _)| made.code != *code))
            .collect();
        prop_assert!(left.is_empty(), "{left:?}\n{text}\n{}", repair.text);
        // Only trials keep anything from being done.
        let of_trials = |it: &(super::Made, Unproved)| it.1 == Unproved::OfTrials;
        prop_assert!(repair.left.iter().all(of_trials), "{:?}\n{text}", repair.left);
        for comment in comments(&repair.text) {
            prop_assert!(comments(&text).contains(&comment), "{}", repair.text);
        }
    }
}

/// A guard that restricts nobody in its own file restricts those whom a file lets in that extends it.
#[test]
fn what_others_build_upon_stays() {
    let base = "gw-policy 1\nguard [web] not no-origin → reject(origin-not-allowed)\n\
                default → reject(not-permitted)\n";
    let other: Box<Load<'static>> = Box::new(|base| {
        let text = "gw-policy 1\nextends \"base.policy\"\nclient=cli → approve\n";
        Policy::load("other.policy", text, &mut |path, _| match path {
            "base.policy" => Ok(base.to_owned()),
            _ => Err(ReadError::NotFound),
        })
    });
    let alone = "gw-policy 1\nguard [web] not no-origin → require-pairing\n\
                 default → reject(not-permitted)\n";
    let repair = repaired(alone, &[], &mut [other]);
    assert_eq!(repair.text, alone);
    let why = Unproved::Beside("other.policy".to_owned());
    let left: Vec<(Code, Unproved)> = repair
        .left
        .into_iter()
        .map(|(made, why)| (made.code, why))
        .collect();
    assert_eq!(left, [(Code::IdleGuard, why)]);
    assert_eq!(repaired(base, &[], &mut []).left, []);
}

/// What would be recorded beside the decision is part of what stays.
#[test]
fn trials_go_on_to_be_recorded_for_the_same() {
    let text = "gw-policy 1\nclient=cli and auth=token → require-pairing\n\
                trial client=cli → approve\nclient=cli → require-pairing\n\
                default → reject(not-permitted)\n";
    let repair = repaired(text, &[], &mut []);
    assert_eq!(repair.text, text);
    assert!(
        repair
            .left
            .iter()
            .all(|(_, why)| *why == Unproved::OfTrials)
    );
    assert!(!repair.left.is_empty());
}

/// Also where a trial answers like what would come after it.
#[test]
fn a_trial_that_would_change_nothing_is_recorded_for_the_same() {
    let text = "gw-policy 1\n[r] client=cli and tls → require-pairing\n\
                trial [t] client=cli → require-pairing\n\
                [ok] client=webchat and auth=token → approve\n\
                default → require-pairing because \"x\"\n";
    let repair = repaired(text, &[], &mut []);
    assert_eq!(repair.text, text);
    let whys: Vec<&Unproved> = repair.left.iter().map(|(_, why)| why).collect();
    assert_eq!(whys, [&Unproved::OfTrials]);
}

/// What changes the meaning is done only where it is asked for, and never against a claim.
#[test]
fn what_changes_the_meaning_is_asked_for() {
    let rules = "[asked] client in { cli, node-host } → require-pairing because \"asked\"\n\
                 [lan] client=cli and auth=token and peer in { 10.0.0.0/8 } → approve\n";
    let end = "default → require-pairing because \"not listed\"\n";
    let text = format!("gw-policy 1\n{rules}{end}");
    let plain = repaired(&text, &[], &mut []);
    assert_eq!(plain.text, text);
    let offered: Vec<Code> = plain.offered.iter().map(|it| it.made.code).collect();
    assert_eq!(offered, [Code::ShadowedRule]);
    assert!(plain.offered[0].then.is_some());

    let asked = repaired(&text, &[Code::ShadowedRule], &mut []);
    let place = |label: &str| asked.text.find(label).unwrap();
    assert!(place("[lan]") < place("[asked]"), "{}", asked.text);
    assert_ne!(asked.policy.fingerprint(), plain.policy.fingerprint());

    let claimed = format!("{text}never \"all are asked\": client=cli ⇒ admit\n");
    let kept = repaired(&claimed, &[Code::ShadowedRule], &mut []);
    assert_eq!(kept.changed, []);
    assert_eq!(kept.left[0].1, Unproved::DoesNotLoad);
}
