//! Diagrams against the engine that decides one connection at a time.

use proptest::prelude::*;

use super::diagram::Id;
use super::*;
use crate::compile::{Program, compile};
use crate::decide::decide;
use crate::decide::tests::{facts, policy};
use crate::facts::Facts;
use crate::facts::assumptions::broken;
use crate::policy::Policy;

fn ground(programs: &[&Program]) -> Ground {
    Ground::new(programs, &[], Budget::default()).unwrap()
}

/// What a diagram says of facts.
fn value(ground: &Ground, root: Id, facts: &Facts) -> u32 {
    let class = |var| ground.space.class(var, facts);
    ground.arena.value(root, class)
}

/// The diagram says what the engine says, and of facts that cannot be together that they cannot.
fn agree(ground: &Ground, outcomes: &Outcomes, program: &Program, facts: &Facts) {
    let can_be = broken(facts).next().is_none();
    let told = value(ground, outcomes.root, facts);
    let assumed = value(ground, ground.assumed, facts);
    assert_eq!(
        assumed == 1,
        can_be,
        "{facts:#?} {:?}",
        broken(facts).next()
    );
    let decision = outcomes.decision(told).copied();
    let mut decided = decide(program, facts);
    decided.trial = None;
    assert_eq!(decision, can_be.then_some(decided), "{facts:#?}");
}

fn shipped(name: &str) -> Policy {
    let path = format!("{}/policies/{name}", env!("CARGO_MANIFEST_DIR"));
    #[expect(
        clippy::disallowed_methods,
        reason = "a test reads the policies that are shipped"
    )]
    let text = std::fs::read_to_string(path).unwrap();
    Policy::parse(name, &text).unwrap()
}

proptest! {
    #[test]
    fn a_diagram_decides_as_the_engine_does(
        checked in policy(),
        all in proptest::collection::vec(facts(), 1..40),
    ) {
        let program = compile(&checked);
        let mut ground = ground(&[&program]);
        let outcomes = ground.outcomes(&program).unwrap();
        for facts in all {
            agree(&ground, &outcomes, &program, &facts);
        }
    }
}

/// Each class has a member that is in it, so that what is found can be shown.
#[test]
fn a_member_of_a_class_is_in_it() {
    for name in ["default.policy"] {
        let policy = shipped(name);
        let ground = ground(&[policy.program()]);
        for (var, domain) in ground.space.domains() {
            for (at, class) in (0..).zip(&domain.classes) {
                let mut facts = Facts::default();
                class.member.put(domain.attribute, &mut facts);
                let found = ground.space.class(var, &facts);
                assert_eq!(found, at, "{} {class:?}", domain.attribute.row().name);
            }
        }
    }
}

#[test]
fn print_default() {
    let policy = shipped("default.policy");
    let program = policy.program();
    let began = std::time::Instant::now();
    let mut ground = ground(&[program]);
    println!("assumed {} nodes {:?}", ground.arena.len(), began.elapsed());
    let outcomes = ground.outcomes(program).unwrap();
    println!(
        "{} nodes, {} live, {} decisions, {:?}",
        ground.arena.len(),
        ground.arena.reached(outcomes.root).len(),
        outcomes.decisions.len(),
        began.elapsed()
    );
}
