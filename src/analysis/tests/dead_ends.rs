//! Dead ends of small policies, against trying out all that refusals tell.

use crate::analysis::dead_end::{Way, is_by_design, ways};
use crate::compile::Program;
use crate::decide::decide;
use crate::facts::Facts;
use crate::facts::assumptions::broken;
use crate::policy::Policy;
use crate::small;
use crate::verdict::Verdict;
use crate::verdict::change::{APPROVED, Change};

fn told(verdict: Verdict) -> &'static [Change] {
    match verdict {
        Verdict::Reject(reason) => reason.changes(),
        Verdict::RequirePairing(_) => &[APPROVED],
        Verdict::Approve(_) | Verdict::SilentApprove(_) => &[],
    }
}

/// Whether anything that is told leads to an end, in any order.
fn ends(program: &Program, facts: &Facts, tried: &mut Vec<Facts>) -> bool {
    let verdict = decide(program, facts).verdict;
    if verdict.admits() || is_by_design(verdict) {
        return true;
    }
    tried.push(facts.clone());
    told(verdict).iter().any(|change| {
        let mut changed = facts.clone();
        (change.apply)(&mut changed);
        let is_new = broken(&changed).next().is_none() && !tried.contains(&changed);
        is_new && ends(program, &changed, tried)
    })
}

#[test]
fn of_small_policies_are_found() {
    let (guards, rules) = (small::guards(), small::rules());
    let places: [&[&[String]]; 3] = [&[&rules], &[&rules, &rules], &[&guards, &rules, &rules]];
    let world = small::world();
    let mut dead = 0;
    for places in places {
        let all: usize = places.iter().map(|place| place.len()).product();
        for number in (0..all).step_by(all / 6) {
            let text = small::policy(&small::chosen(places, number));
            let policy = Policy::parse("small.policy", &text).unwrap();
            let program = policy.program();
            let found = ways(program, None, 1_000_000).unwrap();
            for refusal in &found.refusals {
                let decided = decide(program, &refusal.shown.facts);
                assert_eq!(
                    (decided.by, decided.verdict),
                    (refusal.by, refusal.verdict),
                    "{text}"
                );
                let ends = ends(program, &refusal.shown.facts, &mut Vec::new());
                assert_eq!(
                    ends,
                    matches!(refusal.way, Way::Ends(_)),
                    "{text}{:#?}",
                    refusal
                );
                dead += usize::from(!ends);
            }
            for facts in &world {
                let decided = decide(program, facts);
                let mut refusals = found.refusals.iter();
                let told = refusals.find(|it| (it.by, it.verdict) == (decided.by, decided.verdict));
                assert_eq!(told.is_none(), decided.verdict.admits(), "{text}{facts:#?}");
                let is_lost = !ends(program, facts, &mut Vec::new());
                let is_told = told.is_some_and(|it| matches!(it.way, Way::DeadEnd(_)));
                assert!(is_told || !is_lost, "{text}{facts:#?}");
            }
        }
    }
    assert!(dead > 0);
}

/// Of a refusal that leads on for some, those at a dead end are told, and nobody else.
#[test]
fn who_is_at_a_dead_end_is_told() {
    let text = "gw-policy 1
[page] client=webchat and not same-origin → reject(origin-not-allowed)
[known] pairing=paired and no-origin → approve
[tls] not tls → reject(device-required)
default → require-pairing because \"ask\"
";
    let policy = Policy::parse("small.policy", text).unwrap();
    let found = ways(policy.program(), Some(policy.vocabulary()), 1_000_000).unwrap();
    let lost = found.lost.iter().map(|lost| {
        let name = policy.label(lost.by);
        (name, lost.conditions.join(" or "), lost.is_cut)
    });
    let last = (
        "small.policy:5".to_owned(),
        "origin!=absent".to_owned(),
        false,
    );
    assert_eq!(lost.collect::<Vec<_>>(), [last]);
}
