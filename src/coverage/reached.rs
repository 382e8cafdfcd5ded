//! What the tests of a policy reach: its clauses, each condition of them, and every decision that it
//! comes to. What no connection can reach is not asked for.

use super::{Example, counted, main_file, too_much};
use crate::analysis::{Budget, Ground, IMPOSSIBLE, Id, Outcomes, OverBudget};
use crate::compile::{Block, ClauseId, Program};
use crate::decide::{Decision, Law, decide, looked_through};
use crate::diagnostic::Diagnostic;
use crate::facts::Facts;
use crate::lang::checked::{Answer, Role};
use crate::policy::Policy;
use crate::source::Span;
use crate::verdict::Verdict;

/// What is reached, and what is not.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    /// The tests that were counted.
    pub(crate) tests: usize,
    /// The clauses that decide for some connection.
    pub(crate) clauses: Vec<ClauseReached>,
    pub(crate) conditions: Vec<ConditionReached>,
    pub(crate) decisions: Vec<Decided>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ClauseReached {
    pub(crate) id: ClauseId,
    /// Whether some test is decided by it; of a guard, restricted.
    pub(crate) is_reached: bool,
}

/// A condition of a clause, of those that it joins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConditionReached {
    pub(crate) id: ClauseId,
    pub(crate) span: Span,
    /// Whether the clause held for some test.
    pub(crate) held: bool,
    /// Whether this alone kept some test out; or that cannot be.
    pub(crate) kept_out: bool,
}

impl ConditionReached {
    pub(crate) fn is_reached(&self) -> bool {
        self.held && self.kept_out
    }
}

/// A decision: a clause with the verdict that comes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided {
    pub(crate) by: ClauseId,
    pub(crate) verdict: Verdict,
    pub(crate) is_reached: bool,
}

/// Every decision of the policy's own clauses.
pub(crate) struct Decisions {
    pub(super) ground: Ground,
    outcomes: Outcomes,
    pub(crate) all: Vec<Decided>,
}

impl Decisions {
    /// The most usual connection that a decision is made for.
    pub(super) fn example(&self, decided: &Decided) -> Option<Facts> {
        let is_it = |value| {
            let decision = self.outcomes.decision(value);
            decision.is_some_and(|it| {
                is_the_policys(it) && (it.by, it.verdict) == (decided.by, decided.verdict)
            })
        };
        self.ground.witness(self.outcomes.root, is_it)
    }
}

/// Whether a decision is the policy's to make: what fails to prove itself is refused whatever a
/// policy says, and there is nothing to test.
fn is_the_policys(decision: &Decision) -> bool {
    decision.law != Some(Law::Barred)
}

/// Every decision of the policy's own clauses, and whether some test comes to it.
pub(super) fn decisions(policy: &Policy, examples: &[Example]) -> Result<Decisions, OverBudget> {
    let program = policy.program();
    let mut ground = Ground::new(&[program], &[], Budget::default())?;
    let outcomes = ground.outcomes(program)?;
    let reached: Vec<_> = examples
        .iter()
        .map(|example| decide(program, &example.facts))
        .map(|it| (it.by, it.verdict))
        .collect();
    let own: Vec<ClauseId> = own(policy).map(|(id, _)| id).collect();
    let mut all: Vec<Decided> = Vec::new();
    for value in ground.arena.values(outcomes.root) {
        let decision = outcomes.decision(value).filter(|_| value != IMPOSSIBLE);
        let Some(decision) = decision.filter(|it| is_the_policys(it)) else {
            continue;
        };
        let (by, verdict) = (decision.by, decision.verdict);
        if !own.contains(&by) || all.iter().any(|it| (it.by, it.verdict) == (by, verdict)) {
            continue;
        }
        all.push(Decided {
            by,
            verdict,
            is_reached: reached.contains(&(by, verdict)),
        });
    }
    all.sort_by_key(|it| (it.by, it.verdict.to_string()));
    Ok(Decisions {
        ground,
        outcomes,
        all,
    })
}

/// The clauses that are counted, as they are run.
fn own(policy: &Policy) -> impl Iterator<Item = (ClauseId, &Block)> {
    let counted = counted(policy.checked(), main_file(policy).unwrap_or_default());
    policy.program().blocks().filter_map(move |block| {
        let is_counted = counted.iter().any(|(id, _)| *id == block.id);
        is_counted.then_some((block.id, block))
    })
}

/// What some tests reach of a policy.
pub(crate) fn reached(policy: &Policy, examples: &[Example]) -> Result<Reached, Box<Diagnostic>> {
    measured(policy, examples).map_err(|OverBudget| Box::new(too_much(policy)))
}

fn measured(policy: &Policy, examples: &[Example]) -> Result<Reached, OverBudget> {
    let program = policy.program();
    let Decisions {
        mut ground, all, ..
    } = decisions(policy, examples)?;
    let clauses = ground.clauses(program)?;
    let mut of_clauses = Vec::new();
    let mut conditions = Vec::new();
    for (id, block) in own(policy) {
        let is_cap = matches!(block.answer, Answer::Cap(_));
        // A cap decides nothing by itself: it is reached where it bounds an admission.
        if !is_cap && !all.iter().any(|it| it.by == id) {
            continue;
        }
        let seen: Vec<Seen> = examples
            .iter()
            .map(|example| Seen::new(program, block, &example.facts))
            .collect();
        of_clauses.push(ClauseReached {
            id,
            is_reached: seen.iter().any(|it| it.decides),
        });
        let terms = ground.terms(program, &clauses, block)?;
        for (at, (span, _)) in terms.iter().enumerate() {
            let mut alone = ground.assumed;
            for (other, (_, holds)) in terms.iter().enumerate() {
                let holds = match other == at {
                    true => ground.arena.not(*holds)?,
                    false => *holds,
                };
                alone = ground.arena.and(alone, holds)?;
            }
            conditions.push(ConditionReached {
                id,
                span: *span,
                held: seen.iter().any(|it| it.missing.is_empty()),
                kept_out: alone == Id::NO || seen.iter().any(|it| it.missing == [at]),
            });
        }
    }
    Ok(Reached {
        tests: examples.len(),
        clauses: of_clauses,
        conditions,
        decisions: all,
    })
}

/// What one test sees of a clause.
struct Seen {
    decides: bool,
    /// Which of its conditions do not hold.
    missing: Vec<usize>,
}

impl Seen {
    fn new(program: &Program, block: &Block, facts: &Facts) -> Self {
        let decision = decide(program, facts);
        let terms = looked_through(program, block, facts).terms;
        let missing: Vec<usize> = terms
            .iter()
            .enumerate()
            .filter_map(|(at, term)| (!term.held).then_some(at))
            .collect();
        let decides = match (block.role, block.answer) {
            (Role::Guard(_), Answer::Cap(_)) => missing.is_empty() && decision.verdict.admits(),
            (_, _) => decision.by == block.id,
        };
        Seen { decides, missing }
    }
}
