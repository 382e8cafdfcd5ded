//! Clauses and conditions that change nothing: what is reported is what a search finds.

use gw::diagnostic::Code;
use gw::facts::Facts;
use gw::lint::{Search, lint};
use gw::policy::Policy;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::search::{self, Place, terms};
use crate::share::{each, share};
use crate::small;

const CODES: [Code; 7] = [
    Code::CatchAllNotLast,
    Code::Contradiction,
    Code::CoveredRule,
    Code::IdleGuard,
    Code::RedundantCondition,
    Code::RedundantRule,
    Code::ShadowedRule,
];

/// What is reported, by its place.
fn reported(policy: &Policy) -> Vec<(Place, Code)> {
    let checked = policy.checked();
    let clauses: Vec<_> = checked.guards.iter().chain(&checked.rules).collect();
    let found = lint(policy, Search::usual(1_000_000)).into_iter();
    let found = found.filter(|found| CODES.contains(&found.code));
    let mut found: Vec<(Place, Code)> = found
        .map(|found| {
            let start = found.span().unwrap().start;
            let is_in =
                |at: &usize| (clauses[*at].span.start..clauses[*at].span.end).contains(&start);
            let clause = (0..clauses.len()).find(is_in).unwrap();
            let term = (found.code == Code::RedundantCondition).then(|| {
                let mut terms = terms(clauses[clause]).into_iter();
                terms.position(|term| term.span.start == start).unwrap()
            });
            ((clause, term), found.code)
        })
        .collect();
    found.sort();
    found
}

fn agree(clauses: &[&str], world: &[Facts]) -> Result<(), String> {
    let text = small::policy(clauses);
    let policy = Policy::parse("small.policy", &text).unwrap();
    let searched = search::findings(policy.checked(), world);
    let reported = reported(&policy);
    match reported == searched {
        true => Ok(()),
        false => Err(format!(
            "{text}reported {reported:?}\nsearched {searched:?}\n"
        )),
    }
}

/// Of all policies of some clauses in each place.
fn all_agree(places: &[&[String]], usual: usize) {
    let world = small::world();
    let all = places.iter().map(|place| place.len()).product();
    each("policies", share(all, usual), |number| {
        agree(&small::chosen(places, number), &world)
    });
}

#[test]
fn of_every_policy_of_up_to_three_rules() {
    let rules = small::rules();
    for length in 1..=3 {
        all_agree(&vec![&*rules; length], 24);
    }
}

#[test]
fn of_every_policy_of_guards_and_rules() {
    let (guards, rules) = (small::guards(), small::rules());
    all_agree(&[&guards, &rules], 20);
    all_agree(&[&guards, &guards, &rules], 20);
    all_agree(&[&guards, &rules, &rules], 20);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: crate::share::cases(24),
        rng_seed: RngSeed::Fixed(14),
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    })]

    #[test]
    fn of_larger_policies(
        guards in proptest::collection::vec(proptest::sample::select(small::guards()), 0..=5),
        rules in proptest::collection::vec(proptest::sample::select(small::rules()), 4..=8),
    ) {
        let clauses: Vec<&str> = guards.iter().chain(&rules).map(String::as_str).collect();
        agree(&clauses, &small::world()).map_err(TestCaseError::fail)?;
    }
}
