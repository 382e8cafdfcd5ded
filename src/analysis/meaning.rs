//! What of a policy can be noticed from outside: its meaning.
//!
//! For each connection that is the verdict with its arguments, the hint that a client who is refused
//! reads, the answer before the upgrade, and the answer to a page. What clauses are called, why they
//! are there, trials, tests and claims are not of it.

use rustc_hash::FxHashMap;

use super::diagram::{Id, OverBudget};
use super::ground::Ground;
use super::outcome::{IMPOSSIBLE, Outcomes};
use crate::compile::Program;
use crate::decide::asks_by;
use crate::facts::Stage;
use crate::lang::checked::{Answer, Checked, Role};
use crate::verdict::{Reason, Verdict};

/// What is answered to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) verdict: Verdict,
    /// What a client who is refused may read beside it.
    pub(crate) hint: Option<String>,
    /// The refusal before there is a WebSocket.
    pub(crate) at_upgrade: Option<Reason>,
    /// The refusal of a request for a page.
    pub(crate) of_page: Option<Reason>,
}

/// What a policy means.
#[derive(Clone, Debug)]
pub(crate) struct Meaning {
    /// Leads to [`IMPOSSIBLE`], or to the place of an answer and one more.
    pub(crate) root: Id,
    pub(crate) answers: Vec<Answered>,
}

impl Meaning {
    /// The answer of a value.
    pub(crate) fn answer(&self, value: u32) -> Option<&Answered> {
        self.answers.get((value as usize).checked_sub(1)?)
    }
}

/// Values in the order in which they are met, each once.
struct Numbered<T> {
    all: Vec<T>,
}

impl<T: PartialEq> Numbered<T> {
    fn place(&mut self, value: T) -> u32 {
        let known = self.all.iter().position(|known| *known == value);
        let at = known.unwrap_or_else(|| {
            self.all.push(value);
            self.all.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

impl Ground {
    /// What a policy decides, and what it means.
    pub(crate) fn meaning(
        &mut self,
        program: &Program,
        checked: &Checked,
    ) -> Result<(Outcomes, Meaning), OverBudget> {
        let clauses = self.clauses(program)?;
        let outcomes = self.decided(program, &clauses, clauses.way, self.assumed)?;
        let mut decided = Numbered { all: Vec::new() };
        let mut known = FxHashMap::default();
        let decisions = self.arena.mapped(outcomes.root, |value| {
            *known.entry(value).or_insert_with(|| {
                let Some(decision) = outcomes.decision(value) else {
                    return IMPOSSIBLE;
                };
                let hint = checked.clause(decision.by.0 as usize).hint.clone();
                let hint = hint.filter(|_| !decision.verdict.admits());
                decided.place((decision.verdict, hint)) + 1
            })
        })?;
        let conditions = &clauses.conditions;
        let at_upgrade = self.refused(program, conditions, |guard| {
            program
                .guards
                .get(guard)
                .is_some_and(|block| block.role == Role::Guard(Stage::Upgrade))
        })?;
        let of_page = self.refused(program, conditions, |guard| {
            let block = program.guards.get(guard);
            block.is_some_and(|block| asks_by(program, block, Stage::Upgrade))
        })?;
        let width = u32::try_from(Reason::ALL.len()).unwrap_or_default() + 1;
        let before = self
            .arena
            .combined(at_upgrade, of_page, &mut |upgrade: u32, page: u32| {
                upgrade * width + page
            })?;
        let mut answers = Numbered { all: Vec::new() };
        let reason = |value: u32| {
            let at = (value as usize).checked_sub(1)?;
            Reason::ALL.get(at).copied()
        };
        let root = self
            .arena
            .combined(decisions, before, &mut |decision: u32, before: u32| {
                let place = (decision as usize).checked_sub(1);
                let Some((verdict, hint)) = place.and_then(|at| decided.all.get(at)) else {
                    return IMPOSSIBLE;
                };
                let answer = Answered {
                    verdict: *verdict,
                    hint: hint.clone(),
                    at_upgrade: reason(before / width),
                    of_page: reason(before % width),
                };
                answers.place(answer) + 1
            })?;
        let meaning = Meaning {
            root,
            answers: answers.all,
        };
        Ok((outcomes, meaning))
    }

    /// With which reason the first of some guards refuses: its place among all reasons and one more.
    fn refused(
        &mut self,
        program: &Program,
        conditions: &[Id],
        is_one: impl Fn(usize) -> bool,
    ) -> Result<Id, OverBudget> {
        let mut refused = Id::value(0);
        let guards = program.guards.iter().zip(conditions).enumerate();
        for (at, (guard, holds)) in guards.collect::<Vec<_>>().into_iter().rev() {
            let Answer::Reject(reason) = guard.answer else {
                continue;
            };
            let place = Reason::ALL.iter().position(|known| *known == reason);
            let place = place.and_then(|place| u32::try_from(place + 1).ok());
            if let Some(place) = place.filter(|_| is_one(at)) {
                refused = self.arena.over(*holds, place, refused)?;
            }
        }
        Ok(refused)
    }
}
