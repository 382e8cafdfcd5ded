//! How far attackers get, against connections of theirs that are tried one by one.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::analysis::attacker::{ATTACKERS, Gain, Intruder, Siege, most};
use crate::analysis::diagram::Budget;
use crate::compile::{Program, compile};
use crate::decide::decide;
use crate::decide::tests::policy;
use crate::decide::tests::walk::Walk;
use crate::facts::assumptions::broken;
use crate::facts::{Facts, Role, Scope, ScopeSet};
use crate::lang::ReadError;
use crate::policy::Policy;

/// How many of an attacker's connections are tried.
const TRIED: usize = 150;

/// Each of the table, and some together.
fn intruders() -> Vec<Intruder> {
    let alone = ATTACKERS.iter().map(|it| Intruder::of(&[it], &[]));
    let (last, others) = ATTACKERS.split_last().unwrap();
    let together = others.iter().map(|it| Intruder::of(&[last, it], &[]));
    let whatever = ATTACKERS
        .iter()
        .map(|it| Intruder::whatever_is_set(&[it], &[]));
    alone.chain(together).chain(whatever).collect()
}

/// What is shown gets as far as it says, and nothing that is tried gets further.
fn are_exact(program: &Program, budget: Budget) -> Result<usize, TestCaseError> {
    let intruders = intruders();
    let siege = Siege::new(program, &intruders, budget);
    let found = siege.and_then(|mut siege| siege.reaches());
    let found = found.map_err(|_| TestCaseError::reject("too large"))?;
    let mut tried = 0;
    for (intruder, reach) in intruders.iter().zip(found) {
        let lone = intruder.lone();
        let is_theirs = |facts: &Facts| lone.holds(facts) && broken(facts).next().is_none();
        let Some(reach) = reach else {
            let any = Walk::new(Facts::default(), 1).take(TRIED).find(is_theirs);
            prop_assert!(any.is_none(), "{}: {:#?}", intruder.name, any);
            continue;
        };
        prop_assert!(
            is_theirs(&reach.facts),
            "{}: {:#?}",
            intruder.name,
            reach.facts
        );
        let decided = decide(program, &reach.facts);
        prop_assert_eq!(decided.verdict, reach.decision.verdict, "{}", intruder.name);
        prop_assert_eq!(decided.by, reach.decision.by, "{}", intruder.name);
        for facts in Walk::new(reach.facts.clone(), 2)
            .take(TRIED)
            .filter(is_theirs)
        {
            tried += 1;
            let verdict = decide(program, &facts).verdict;
            let is_so_far = verdict.kind() == reach.decision.verdict.kind();
            prop_assert!(
                verdict.kind() <= reach.decision.verdict.kind(),
                "{} gets {}: {:#?}",
                intruder.name,
                verdict,
                facts
            );
            let asks =
                facts.scopes == ScopeSet::of(&[Scope::Admin]) && facts.role == Role::Operator;
            let most = most(verdict.grant());
            let gain = if asks { most } else { most.min(Gain::Some) };
            prop_assert!(
                !is_so_far || gain <= reach.gain,
                "{} may do more: {:#?}",
                intruder.name,
                facts
            );
        }
    }
    Ok(tried)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        rng_seed: RngSeed::Fixed(12),
        max_shrink_iters: 60,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nobody_gets_further_than_is_said(checked in policy()) {
        are_exact(&compile(&checked), super::SMALL)?;
    }
}

const DEFAULT: &str = include_str!("../../../policies/default.policy");

#[test]
fn nobody_gets_further_by_a_shipped_policy() {
    for text in [
        DEFAULT,
        include_str!("../../../policies/docker.policy"),
        include_str!("../../../policies/lan.policy"),
        include_str!("../../../policies/openclaw/2026.3.23.policy"),
        include_str!("../../../policies/openclaw/2026.4.15.policy"),
        include_str!("../../../policies/openclaw/2026.4.22.policy"),
        include_str!("../../../policies/openclaw/2026.9.6.policy"),
    ] {
        let policy = Policy::load("shipped.policy", text, &mut |path, _| match path {
            "default.policy" => Ok(DEFAULT.into()),
            _ => Err(ReadError::NotFound),
        });
        let policy = policy.unwrap();
        let tried = are_exact(policy.program(), Budget::default()).unwrap();
        assert!(tried > 100, "{tried}");
    }
}
