//! What is found, against a search through every connection of a small world.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{Search, lint};
use crate::decide::decide;
use crate::diagnostic::Code;
use crate::facts::assumptions::{Named, complete};
use crate::facts::attributes::Value;
use crate::facts::{AttributeId, Facts};
use crate::policy::Policy;

/// Every kind of connection that the conditions below tell apart.
fn world() -> Vec<Facts> {
    let mut world = Vec::new();
    for client in ["cli", "node-host"] {
        for auth in ["none", "token"] {
            for peer in ["127.0.0.1", "10.0.0.5", "203.0.113.9"] {
                for pairing in ["unpaired", "paired"] {
                    for origin in ["absent", "opaque"] {
                        let peer = Value::Address(peer.parse().unwrap());
                        let word = |word: &str| Value::Word(word.to_owned());
                        let mut facts = Facts::default();
                        let mut named = Named::default();
                        for (name, value) in [
                            ("client", word(client)),
                            ("auth", word(auth)),
                            ("peer", peer),
                            ("pairing", word(pairing)),
                            ("origin", word(origin)),
                        ] {
                            let id = AttributeId::named(name).unwrap();
                            id.assign(&mut facts, &value).unwrap();
                            named.add(id);
                        }
                        complete(&mut facts, &named, |_| true);
                        world.push(facts);
                    }
                }
            }
        }
    }
    world
}

const PARTS: [&str; 12] = [
    "client=cli",
    "client!=cli",
    "auth=token",
    "auth!=token",
    "loopback",
    "not loopback",
    "peer in { 10.0.0.0/8 }",
    "peer not in { 10.0.0.0/8 }",
    "pairing=paired",
    "pairing!=paired",
    "no-origin",
    "not no-origin",
];

const VERDICTS: [&str; 3] = ["approve", "require-pairing", "reject(not-permitted)"];

fn rule() -> impl Strategy<Value = String> {
    let parts = proptest::collection::btree_set(0..PARTS.len(), 1..=2);
    let joined = prop_oneof![Just(" and "), Just(" or ")];
    (parts, joined, 0..VERDICTS.len()).prop_map(|(parts, join, verdict)| {
        let parts: Vec<&str> = parts.into_iter().map(|at| PARTS[at]).collect();
        format!("{} → {}", parts.join(join), VERDICTS[verdict])
    })
}

/// What the verdict of each rule is, with none of them left out, or one.
fn verdicts(rules: &[String], without: Option<usize>, world: &[Facts]) -> Vec<(String, usize)> {
    let rules = rules
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != without);
    let kept: Vec<(usize, &String)> = rules.collect();
    let mut text = "gw-policy 1\n".to_owned();
    kept.iter()
        .for_each(|(_, rule)| text.push_str(&format!("{rule}\n")));
    text.push_str("default → reject(not-permitted)\n");
    let policy = Policy::parse("small.policy", &text).unwrap();
    let decided = world.iter().map(|facts| decide(policy.program(), facts));
    decided
        .map(|decision| {
            let rule = kept
                .get(decision.rule.0 as usize)
                .map_or(usize::MAX, |it| it.0);
            (decision.verdict.to_string(), rule)
        })
        .collect()
}

/// Which of the connections each rule applies to.
fn applies(rule: &str, world: &[Facts]) -> Vec<bool> {
    let alone = verdicts(&[rule.to_owned()], None, world);
    alone.iter().map(|(_, by)| *by == 0).collect()
}

/// What is found of each rule, by looking at every connection.
fn searched(rules: &[String], world: &[Facts]) -> Vec<(usize, Code)> {
    let all = verdicts(rules, None, world);
    let applying: Vec<Vec<bool>> = rules.iter().map(|rule| applies(rule, world)).collect();
    let answer = |at: usize| rules[at].split(" → ").last().unwrap();
    let mut found = Vec::new();
    let mut told = Vec::new();
    for (at, applying) in applying.iter().enumerate() {
        if applying.iter().all(|it| !it) {
            found.push((at, Code::Contradiction));
            told.push(at);
        }
    }
    if let Some(at) = applying.iter().position(|it| it.iter().all(|it| *it)) {
        found.push((at, Code::CatchAllNotLast));
        told.extend(at + 1..rules.len());
    }
    for (at, applying) in applying.iter().enumerate() {
        if told.contains(&at) || all.iter().any(|(_, by)| *by == at) {
            continue;
        }
        told.push(at);
        let takers = all.iter().zip(applying).filter(|(_, applies)| **applies);
        let same = takers
            .map(|((_, by), _)| *by)
            .all(|by| answer(by) == answer(at));
        let code = if same {
            Code::CoveredRule
        } else {
            Code::ShadowedRule
        };
        found.push((at, code));
    }
    for at in 0..rules.len() {
        let without = verdicts(rules, Some(at), world);
        let same = all
            .iter()
            .zip(&without)
            .all(|(one, other)| one.0 == other.0);
        let mut takers = all.iter().zip(&without).filter(|(one, _)| one.1 == at);
        if !told.contains(&at) && same && !takers.any(|(_, other)| told.contains(&other.1)) {
            found.push((at, Code::RedundantRule));
            told.push(at);
        }
    }
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        rng_seed: RngSeed::Fixed(6),
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_found_is_what_a_search_finds(
        rules in proptest::collection::vec(rule(), 1..=3),
    ) {
        let mut text = "gw-policy 1\n".to_owned();
        rules.iter().for_each(|rule| text.push_str(&format!("{rule}\n")));
        text.push_str("default → reject(not-permitted)\n");
        let policy = Policy::parse("small.policy", &text).unwrap();
        let whole = [
            Code::CatchAllNotLast,
            Code::Contradiction,
            Code::CoveredRule,
            Code::RedundantRule,
            Code::ShadowedRule,
        ];
        let place = |found: &crate::diagnostic::Diagnostic| {
            let source = policy.sources().iter().next().unwrap().1;
            source.position(found.span().unwrap().start).0 - 2
        };
        let found = lint(&policy, Search::usual(1_000_000));
        let mut found: Vec<(usize, Code)> = found
            .iter()
            .filter(|found| whole.contains(&found.code))
            .map(|found| (place(found), found.code))
            .collect();
        found.sort();
        prop_assert_eq!(found, searched(&rules, &world()), "{}", text);
    }
}

/// Where a comment stands is told by its own bytes, however lines end.
#[test]
fn what_allows_nothing_is_shown_where_it_stands() {
    for newline in ["\n", "\r\n"] {
        let text = [
            "gw-policy 1",
            "# a line before it",
            "# allow(idle-guard): nothing is idle",
            "default → reject(not-permitted)",
        ]
        .join(newline);
        let Ok(policy) = Policy::parse("small.policy", &text) else {
            panic!("{newline:?} ends a line");
        };
        let found = lint(&policy, Search::usual(1_000_000));
        let [stale] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(stale.code, Code::StaleSuppression);
        let shown = policy.sources().slice(stale.span().unwrap());
        assert_eq!(shown, "# allow(idle-guard): nothing is idle");
    }
}

/// What two guards come to where a third one always holds beside them is only asked about when that
/// one is left out.
#[test]
fn a_guard_is_not_idle_for_what_others_never_come_to_beside_it() {
    let text = "gw-policy 1\n\
        guard client=cli and tls → cap(scopes={ operator.read, operator.write })\n\
        guard client=cli → cap(scopes={ operator.write, operator.pairing })\n\
        guard client=cli and loopback → cap(scopes={ operator.read, operator.pairing })\n\
        client=cli and tls and loopback → approve\n\
        default → reject(not-permitted)\n";
    let policy = Policy::parse("small.policy", text).unwrap();
    let found = lint(&policy, Search::usual(1_000_000));
    assert!(
        found.iter().all(|it| it.code != Code::IdleGuard),
        "{found:?}"
    );
}
