//! Changes of a policy that no test of it notices, each with the test that would.

use super::mutation::{Edit, Mutant, mutants};
use super::written::{Names, Written, told_apart};
use super::{Example, too_much};
use crate::analysis::{Altered, Budget, Clauses, Ground, Id, OverBudget};
use crate::compile::{Lone, Program, compile, lone};
use crate::decide::decide;
use crate::diagnostic::Diagnostic;
use crate::lang::checked::{Comparison, Condition, Predicate};
use crate::policy::Policy;
use crate::source::Span;

/// What became of all mutants of a policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survivors {
    /// How many differ from the policy for some connection.
    pub(crate) mutants: usize,
    /// How many of those some test notices.
    pub(crate) killed: usize,
    /// How many decide every connection alike, and are no mutants.
    pub(crate) equivalent: usize,
    /// How many differ only in what no test can say: the scopes that guards leave.
    pub(crate) untellable: usize,
    /// How many take too much to be judged.
    pub(crate) unjudged: usize,
    pub(crate) all: Vec<Survivor>,
}

impl Survivors {
    /// The tests that are missing, each once.
    pub(crate) fn tests(&self) -> Vec<Written> {
        let tests = self.all.iter().filter_map(|survivor| match &survivor.test {
            Noticed::By(test) => Some(test.as_ref().clone()),
            Noticed::Before(_) => None,
        });
        tests.collect()
    }
}

/// A mutant that passes all tests.
#[derive(Clone, Debug)]
pub(crate) struct Survivor {
    pub(crate) mutation: &'static str,
    pub(crate) span: Span,
    /// What was changed, in the policy's words.
    pub(crate) says: String,
    /// The test that is missing; of several survivors that one test notices, the first has it.
    pub(crate) test: Noticed,
}

/// Which test would notice a mutant.
#[derive(Clone, Debug)]
pub(crate) enum Noticed {
    By(Box<Written>),
    /// By the test of the survivor at this place.
    Before(usize),
}

/// The mutants of a policy that none of some tests notices. `look` is told how many of how many are
/// done.
pub(crate) fn survivors(
    policy: &Policy,
    examples: &[Example],
    look: &mut dyn FnMut(usize, usize),
) -> Result<Survivors, Box<Diagnostic>> {
    let mutants = mutants(policy);
    let mut judge = Judge::new(policy, &mutants).map_err(|OverBudget| too_much(policy))?;
    let mut names = Names::beside(policy.checked());
    let mut found = Survivors::default();
    let mut missing: Vec<(usize, Written)> = Vec::new();
    for (at, mutant) in mutants.iter().enumerate() {
        look(at, mutants.len());
        let program = compile(&mutant.edit.apply(policy.checked()));
        let notices = |it: &Example| !it.expected.met_by(decide(&program, &it.facts).verdict);
        // What a test notices is no equivalent.
        if examples.iter().any(notices) {
            found.mutants += 1;
            found.killed += 1;
            continue;
        }
        let Ok(differs) = judge.differs(mutant, &program) else {
            found.unjudged += 1;
            continue;
        };
        let Some(written) = judge.test(&program, differs) else {
            found.equivalent += usize::from(differs == Id::NO);
            found.untellable += usize::from(differs != Id::NO);
            continue;
        };
        found.mutants += 1;
        let known = missing.iter().find(|(_, test)| !test.passes(&program));
        let test = match known {
            Some((before, _)) => Noticed::Before(*before),
            None => {
                let written = written.called(names.new_one(&mutant.name));
                missing.push((found.all.len(), written.clone()));
                Noticed::By(Box::new(written))
            }
        };
        found.all.push(Survivor {
            mutation: mutant.mutation,
            span: mutant.span,
            says: mutant.says.clone(),
            test,
        });
    }
    Ok(found)
}

/// What is where two verdicts are not the same: a test can say so, or cannot.
const TOLD: u32 = 1;
const UNTOLD: u32 = 2;

/// The comparisons with networks in a condition, each alone: only of them a mutant has others.
fn compared(condition: &Condition, all: &mut Vec<Lone>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().for_each(|part| compared(&part.value, all));
        }
        Condition::Not(part) => compared(&part.value, all),
        Condition::Test(Comparison {
            predicate: Predicate::Among(members),
            ..
        }) if !members.networks.is_empty() => all.push(lone(condition)),
        Condition::Test(_) => {}
    }
}

/// A policy that mutants are held against.
pub(super) struct Judge<'a> {
    program: &'a Program,
    /// The ground as it was before any mutant was looked at.
    fresh: (Ground, Clauses),
    ground: Ground,
    clauses: Clauses,
}

impl<'a> Judge<'a> {
    pub(super) fn new(policy: &'a Policy, mutants: &[Mutant]) -> Result<Self, OverBudget> {
        Judge::over(policy.program(), mutants, Budget::default())
    }

    pub(super) fn over(
        program: &'a Program,
        mutants: &[Mutant],
        budget: Budget,
    ) -> Result<Self, OverBudget> {
        let mut others = Vec::new();
        for mutant in mutants {
            match &mutant.edit {
                Edit::Applies(_, condition) => compared(condition, &mut others),
                Edit::Everywhere(all) => {
                    all.iter().for_each(|(_, it)| compared(it, &mut others));
                }
                Edit::Dropped(_) | Edit::Answers(..) | Edit::Behind(..) => {}
            }
        }
        let mut ground = Ground::new(&[program], &others, budget)?;
        let clauses = ground.clauses(program)?;
        Ok(Judge {
            program,
            fresh: (ground.clone(), clauses.clone()),
            ground,
            clauses,
        })
    }

    /// Where a mutant gives another verdict.
    pub(super) fn differs(&mut self, mutant: &Mutant, program: &Program) -> Result<Id, OverBudget> {
        self.looked(mutant, program).or_else(|OverBudget| {
            // What the mutants before it took is given back.
            (self.ground, self.clauses) = self.fresh.clone();
            self.looked(mutant, program)
        })
    }

    fn looked(&mut self, mutant: &Mutant, program: &Program) -> Result<Id, OverBudget> {
        let alone: Lone;
        let altered = match &mutant.edit {
            Edit::Dropped(id) => Altered::Dropped(*id),
            Edit::Answers(id, _) => Altered::Answers(*id, program),
            Edit::Behind(first, second) => Altered::Behind(*first, *second),
            Edit::Applies(id, condition) => {
                alone = lone(condition);
                Altered::Applies(*id, &alone)
            }
            Edit::Everywhere(_) => Altered::Everywhere(program),
        };
        let (program, clauses) = (self.program, &mut self.clauses);
        let compared = |own, other| if told_apart(own, other) { TOLD } else { UNTOLD };
        self.ground.altered(program, clauses, altered, &compared)
    }

    /// The test that a mutant fails and the policy passes, with the fewest facts; without a name.
    pub(super) fn test(&self, program: &Program, differs: Id) -> Option<Written> {
        let facts = self.ground.witness(differs, |value| value == TOLD)?;
        let verdict = |program| decide(program, &facts).verdict;
        let (own, other) = (verdict(self.program), verdict(program));
        let written = Written::new(&self.ground, &facts, own).against(other);
        debug_assert!(written.passes(self.program) && !written.passes(program));
        Some(written)
    }
}
