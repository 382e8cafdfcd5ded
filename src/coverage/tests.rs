//! Mutants, coverage and synthesis against the engine that decides one connection at a time.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::mutation::{self, MUTATIONS, Mutant, mutants};
use super::reached::decisions;
use super::survivors::{Judge, Noticed, survivors};
use super::synthesis::synthesized;
use super::{Example, examples};
use crate::analysis::{Budget, Id};
use crate::claims;
use crate::compile::compile;
use crate::decide::decide;
use crate::decide::tests::{facts, policy as generated};
use crate::facts::assumptions::broken;
use crate::lang::ReadError;
use crate::lang::check::Vocabulary;
use crate::policy::Policy;
use crate::source::{SourceId, Sources};

/// What is random may cross in every attribute: then it takes too long for a test.
const SMALL: Budget = Budget {
    nodes: 20_000,
    steps: 60_000,
};

/// Each way to be changed, with what is alike afterwards among it.
const MIXED: &str = r#"gw-policy 1
set lan = { 10.0.0.0/8, 192.168.0.0/16 }
define near = loopback or (peer in lan and not forwarded)
guard [foreign] origin=opaque or (not same-host and origin=empty) → reject(origin-not-allowed)
guard [asked] role-upgrade → require-pairing
guard [bounded] client=node-host → cap(scopes={ operator.read })
[tools] client=cli and auth in { token, password } and near → silent-approve
[again] client=cli and auth=token and near and no-device → approve(token=no)
[helpers] client=gateway-client and (mode=backend or near) → approve
trial [later] client=webchat → approve
[page] client=webchat and not near → reject(not-permitted)
[readers] client=node-host and auth=token → approve(scopes=none)
default → require-pairing
"#;

fn parsed(text: &str) -> Policy {
    Policy::parse("test.policy", text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn own_examples(policy: &Policy) -> Vec<Example> {
    let nothing = &mut |_: &str, _| Err(ReadError::NotFound);
    let results = claims::run(policy.checked(), policy.sources(), nothing);
    examples(policy.checked(), &results)
}

/// The tests that are written for the survivors stand in the policy, pass there, and leave no
/// survivor.
#[test]
fn the_missing_tests_notice_every_change() {
    let policy = parsed(MIXED);
    let found = survivors(&policy, &own_examples(&policy), &mut |_, _| ()).unwrap();
    assert_eq!((found.killed, found.unjudged), (0, 0));
    assert_eq!(found.mutants, found.all.len());
    let mut text = MIXED.to_owned();
    for survivor in &found.all {
        if let Noticed::By(test) = &survivor.test {
            writeln!(text, "{test}").unwrap();
        }
    }
    let tested = parsed(&text);
    let again = survivors(&tested, &own_examples(&tested), &mut |_, _| ()).unwrap();
    let left: Vec<&str> = again.all.iter().map(|it| it.says.as_str()).collect();
    assert_eq!(left, Vec::<&str>::new());
    assert_eq!(again.killed, found.mutants);
    assert_eq!(
        (again.equivalent, again.untellable),
        (found.equivalent, found.untellable)
    );
    // Each row of the table changes something here.
    for mutation in MUTATIONS {
        let is_it = |it: &Mutant| it.mutation == mutation.name;
        assert!(mutants(&policy).iter().any(is_it), "{}", mutation.name);
    }
    assert!(found.equivalent > 0, "{found:?}");
}

/// The page says what each row of the table does.
#[test]
fn every_mutation_is_told() {
    let page = include_str!("../../docs/testing.md");
    for mutation in MUTATIONS {
        let row = format!("| `{}` | ", mutation.name);
        assert!(page.contains(&row), "docs/testing.md lacks {row}");
    }
}

/// The tests that are written for decisions stand in the policy, pass there, and reach each of them.
#[test]
fn what_is_synthesized_reaches_every_decision() {
    let policy = parsed(MIXED);
    let made = synthesized(&policy, &[]).unwrap();
    let lines: String = made.iter().map(|test| format!("{test}\n")).collect();
    let tested = parsed(&format!("{MIXED}{lines}"));
    let examples = own_examples(&tested);
    let all = decisions(&tested, &examples).unwrap().all;
    assert_eq!(all.len(), made.len());
    assert!(all.iter().all(|it| it.is_reached), "{all:#?}\n{lines}");
    assert!(synthesized(&tested, &examples).unwrap().is_empty());
    let again: String = synthesized(&policy, &[])
        .unwrap()
        .iter()
        .map(|test| format!("{test}\n"))
        .collect();
    assert_eq!(lines, again);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A mutant that is called alike decides everything as the policy does; of any other the written
    /// test passes on the policy and fails on the mutant.
    #[test]
    fn mutants_are_judged_exactly(checked in generated(), facts in prop::collection::vec(facts(), 64)) {
        let program = compile(&checked);
        let mutants = mutation::all(&checked, SourceId::default(), &Sources::default(), &Vocabulary::default());
        let Ok(mut judge) = Judge::over(&program, &mutants, SMALL) else {
            return Err(TestCaseError::reject("too large"));
        };
        let facts: Vec<_> = facts.into_iter().filter(|it| broken(it).next().is_none()).collect();
        // A few of each are enough: there are many policies.
        for mutant in mutants.iter().step_by(mutants.len() / 8 + 1) {
            let changed = compile(&mutant.edit.apply(&checked));
            let Ok(differs) = judge.differs(mutant, &changed) else {
                continue;
            };
            if differs == Id::NO {
                for facts in &facts {
                    let verdict = |program| decide(program, facts).verdict;
                    prop_assert_eq!(verdict(&program), verdict(&changed), "{:?}", mutant);
                }
            } else if let Some(test) = judge.test(&changed, differs) {
                prop_assert!(test.passes(&program) && !test.passes(&changed), "{} {:?}", test, mutant);
            }
        }
    }
}
