//! Diagrams against the engine that decides one connection at a time.

mod attackers;
mod dead_ends;
mod difference;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::diagram::Id;
use super::*;
use crate::compile::{Program, compile};
use crate::decide::decide;
use crate::decide::tests::walk::Walk;
use crate::decide::tests::{facts, policy};
use crate::facts::Facts;
use crate::facts::assumptions::broken;
use crate::lang::checked::Checked;

/// What is random may cross in every attribute: then it takes too long for a test.
const SMALL: Budget = Budget {
    nodes: 60_000,
    steps: 300_000,
};

fn ground(programs: &[&Program]) -> Result<Ground, TestCaseError> {
    let too_large = |_| TestCaseError::reject("too large");
    Ground::new(programs, &[], SMALL).map_err(too_large)
}

fn outcomes(ground: &mut Ground, program: &Program) -> Result<Outcomes, TestCaseError> {
    let too_large = |_| TestCaseError::reject("too large");
    ground.outcomes(program).map_err(too_large)
}

/// What a diagram says of facts.
fn value(ground: &Ground, root: Id, facts: &Facts) -> u32 {
    let class = |var| ground.space.class(var, facts);
    ground.arena.value(root, class)
}

/// The diagram says what the engine says, and of facts that cannot be together that they cannot.
fn agree(ground: &Ground, outcomes: &Outcomes, program: &Program, facts: &Facts) {
    let told = value(ground, outcomes.root, facts);
    let assumed = value(ground, ground.assumed, facts);
    let mut can_be = broken(facts).next().is_none();
    if !can_be && assumed == 1 {
        // Nobody tells them from others of their classes, which can be.
        let others = ground.facts_of(&ground.vector(facts));
        let first_broken = broken(&others).next();
        assert!(first_broken.is_none(), "{others:#?} {first_broken:?}");
        can_be = true;
    }
    assert_eq!(assumed == 1, can_be, "{facts:#?}");
    let decision = outcomes.decision(told).copied();
    let mut decided = decide(program, facts);
    decided.trial = None;
    assert_eq!(decision, can_be.then_some(decided), "{facts:#?}");
}

/// Each class has a member that is in it, so that what is found can be shown.
fn members_are_in_their_classes(ground: &Ground) {
    for (var, domain) in ground.space.domains() {
        for (at, class) in (0..).zip(&domain.classes) {
            let mut facts = Facts::default();
            class.member.put(domain.attribute, &mut facts);
            let found = ground.space.class(var, &facts);
            assert_eq!(found, at, "{} {class:?}", domain.attribute.row().name);
        }
    }
}

/// What is shown for a decision is decided so, can be, and follows from what is said of it.
fn witnesses_are_decided_so(ground: &Ground, outcomes: &Outcomes, program: &Program) {
    for (value, decision) in (1..).zip(&outcomes.decisions) {
        let Some(facts) = ground.witness(outcomes.root, |it| it == value) else {
            continue;
        };
        let first_broken = broken(&facts).next();
        assert!(first_broken.is_none(), "{facts:#?} {first_broken:?}");
        let mut decided = decide(program, &facts);
        decided.trial = None;
        assert_eq!(decided, *decision, "{facts:#?}");
        let said = ground.said(&facts);
        assert_eq!(ground.vector(&said), ground.vector(&facts), "{facts:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        rng_seed: RngSeed::Fixed(6),
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_diagram_decides_as_the_engine_does(
        checked in policy(),
        all in proptest::collection::vec(facts(), 1..200),
    ) {
        let program = compile(&checked);
        let mut ground = ground(&[&program])?;
        members_are_in_their_classes(&ground);
        let outcomes = outcomes(&mut ground, &program)?;
        for facts in all {
            agree(&ground, &outcomes, &program, &facts);
        }
        witnesses_are_decided_so(&ground, &outcomes, &program);
    }

    /// Two programs over one space are told apart where they differ, and nowhere else.
    #[test]
    fn what_differs_is_what_is_decided_otherwise(
        one in policy(),
        other in policy(),
        all in proptest::collection::vec(facts(), 1..100),
    ) {
        let other = Checked { guards: one.guards.clone(), ..other };
        let programs = [compile(&one), compile(&other)];
        let mut ground = ground(&[&programs[0], &programs[1]])?;
        let one = outcomes(&mut ground, &programs[0])?;
        let other = outcomes(&mut ground, &programs[1])?;
        let differing = ground.differing(&one, &other);
        let differing = differing.map_err(|_| TestCaseError::reject("too large"))?;
        for facts in all.into_iter().filter(|facts| broken(facts).next().is_none()) {
            let verdicts = programs.each_ref().map(|program| decide(program, &facts).verdict);
            prop_assert_eq!(
                value(&ground, differing, &facts) == 1,
                verdicts[0] != verdicts[1],
                "{:#?}", facts
            );
        }
        if let Some(facts) = ground.witness(differing, |value| value == 1) {
            let verdicts = programs.each_ref().map(|program| decide(program, &facts).verdict);
            prop_assert_ne!(verdicts[0], verdicts[1], "{:#?}", facts);
        }
    }
}

/// The diagram of the shipped policies on a walk through all facts: `GW_CASES` says how many.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how long a test looks is said from outside"
)]
fn shipped_policies_decide_as_the_engine_does() {
    let usual = 10_000_000;
    let cases = std::env::var("GW_CASES").map_or(usual, |cases| cases.parse().unwrap());
    for text in [
        include_str!("../../policies/default.policy"),
        include_str!("../../policies/openclaw/2026.9.6.policy"),
    ] {
        let policy = crate::policy::Policy::parse("shipped.policy", text).unwrap();
        let program = policy.program();
        let mut ground = Ground::new(&[program], &[], Budget::default()).unwrap();
        let outcomes = ground.outcomes(program).unwrap();
        let mut can_be = 0_u64;
        for facts in Walk::new(Facts::default(), 7).take(cases / 2) {
            agree(&ground, &outcomes, program, &facts);
            can_be += u64::from(broken(&facts).next().is_none());
        }
        assert!(can_be > 0);
    }
}

/// An analysis that may take nothing says so.
#[test]
fn what_takes_too_much_is_not_passed_over() {
    let program = compile(&Checked {
        guards: Vec::new(),
        rules: Vec::new(),
        default: crate::lang::checked::Clause {
            role: crate::lang::checked::Role::Default,
            label: None,
            condition: crate::source::Spanned::new(
                crate::lang::checked::Condition::ALWAYS,
                crate::source::Span::default(),
            ),
            answer: crate::lang::checked::Answer::RejectAsFound,
            because: None,
            hint: None,
            issues: Vec::new(),
            head: crate::source::Span::default(),
            span: crate::source::Span::default(),
        },
        tests: Vec::new(),
        claims: Vec::new(),
        base: None,
    });
    for budget in [
        Budget {
            nodes: 10,
            ..Budget::default()
        },
        Budget {
            steps: 10,
            ..Budget::default()
        },
    ] {
        let made = Ground::new(&[&program], &[], budget);
        let made = made.and_then(|mut ground| ground.outcomes(&program));
        assert_eq!(made.err(), Some(OverBudget));
    }
}
