//! `never` and `always`: what is proved, refuted, or said to say nothing is what a search finds.

use gw::diagnostic::Code;
use gw::facts::Facts;
use gw::lang::ReadError;
use gw::lang::checked::Claim;
use gw::policy::Policy;

use crate::search::{decisions, holding};
use crate::share::{each, share};
use crate::small;

const OUTCOMES: [&str; 6] = [
    "admit",
    "approve",
    "reject",
    "reject | require-pairing",
    "require-pairing",
    "silent-approve",
];

/// Every claim.
fn claims() -> Vec<String> {
    let mut all = Vec::new();
    for (at, condition) in small::CONDITIONS.iter().enumerate() {
        for (place, outcome) in OUTCOMES.iter().enumerate() {
            for says in ["never", "always"] {
                all.push(format!(
                    "{says} \"{says} {at} {place}\": {condition} ⇒ {outcome}"
                ));
            }
        }
    }
    all
}

/// What is to be reported of a claim.
fn searched(claim: &Claim, policy: &Policy, world: &[Facts]) -> Option<Code> {
    let spoken_of = holding(&claim.condition, policy.checked(), world);
    if !spoken_of.contains(&true) {
        return Some(Code::PropertyVacuous);
    }
    let decided = decisions(policy.checked(), world).into_iter();
    let mut decided = decided.zip(spoken_of).filter(|(_, spoken_of)| *spoken_of);
    let breaks = decided.any(|(decision, _)| {
        let mut outcomes = claim.outcomes.iter();
        outcomes.any(|outcome| outcome.met_by(decision.verdict)) == claim.never
    });
    breaks.then_some(Code::PropertyViolated)
}

fn agree(clauses: &[&str], claims: &[&str], world: &[Facts]) -> Result<(), String> {
    let mut text = small::policy(clauses);
    claims
        .iter()
        .for_each(|claim| text.push_str(&format!("{claim}\n")));
    let nothing = &mut |_: &str, _| Err(ReadError::NotFound);
    let policy = Policy::load_untested("small.policy", &text, nothing).unwrap();
    let reported = match Policy::parse("small.policy", &text) {
        Ok(policy) => policy.warnings().clone(),
        Err(error) => error.diagnostics,
    };
    for claim in &policy.checked().claims {
        let about = |code: Code| {
            let mut found = reported.0.iter().filter(|found| found.code == code);
            found.any(|found| {
                found
                    .span()
                    .is_some_and(|span| span.start == claim.span.start)
            })
        };
        let codes = [Code::PropertyVacuous, Code::PropertyViolated];
        let told = codes.into_iter().find(|code| about(*code));
        let searched = searched(claim, &policy, world);
        if told != searched {
            return Err(format!(
                "{text}{}: reported {told:?}, searched {searched:?}\n",
                claim.name
            ));
        }
    }
    Ok(())
}

#[test]
fn are_proved_of_every_policy() {
    let world = small::world();
    let (guards, rules, claims) = (small::guards(), small::rules(), claims());
    let places: [&[&[String]]; 4] = [
        &[&rules, &claims, &claims, &claims],
        &[&rules, &rules, &claims, &claims, &claims],
        &[&rules, &rules, &rules, &claims, &claims],
        &[&guards, &guards, &rules, &claims, &claims],
    ];
    for places in places {
        let all: usize = places.iter().map(|place| place.len()).product();
        // Claims are many: a plain run has a hundred of these, and all of them are too many.
        each(
            "policies with claims",
            share(all, 12).take(100_000),
            |number| {
                let clauses = small::chosen(places, number);
                let is_claim = |it: &&str| it.starts_with("never") || it.starts_with("always");
                let (mut claims, clauses): (Vec<&str>, Vec<&str>) =
                    clauses.into_iter().partition(is_claim);
                claims.sort_unstable();
                claims.dedup();
                agree(&clauses, &claims, &world)
            },
        );
    }
}
