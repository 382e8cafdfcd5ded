//! What a policy decides, for every connection at once: its clauses with the laws that no policy
//! can lift, and with nothing that no connection can be.

use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::answer::{self, Answered, ELSEWHERE, Lawful, States};
use super::clauses::{Clauses, Way};
use super::combine::Combine;
use super::diagram::{Id, OverBudget};
use super::ground::Ground;
use crate::compile::{ClauseId, Program};
use crate::decide::Decision;
use crate::lang::checked::Answer;
use crate::verdict::{Reason, Verdict};

/// The value of what no connection can be.
pub(crate) const IMPOSSIBLE: u32 = 0;

/// What a policy decides.
#[derive(Clone, Debug)]
pub(crate) struct Outcomes {
    /// Leads to [`IMPOSSIBLE`], or to the place of a decision and one more.
    pub(crate) root: Id,
    pub(crate) decisions: Vec<Decision>,
}

impl Outcomes {
    /// The decision of a value.
    pub(crate) fn decision(&self, value: u32) -> Option<&Decision> {
        let at = usize::try_from(value).ok()?.checked_sub(1)?;
        self.decisions.get(at)
    }
}

impl Ground {
    /// What a program decides.
    pub(crate) fn outcomes(&mut self, program: &Program) -> Result<Outcomes, OverBudget> {
        let clauses = self.clauses(program)?;
        self.decided(program, &clauses, clauses.way, self.assumed)
    }

    /// What is decided in some way where a condition holds; elsewhere [`IMPOSSIBLE`].
    pub(crate) fn decided(
        &mut self,
        program: &Program,
        clauses: &Clauses,
        way: Way,
        region: Id,
    ) -> Result<Outcomes, OverBudget> {
        // Nothing of what is elsewhere is carried along.
        let guards = self.arena.within(region, way.guards, ELSEWHERE)?;
        let mut answers = Answers {
            program,
            states: &clauses.states,
            kinds: Vec::new(),
            all: IndexSet::default(),
        };
        let rules = self.first(way, region)?;
        let answered = self.arena.combined(guards, rules, &mut answers)?;
        self.finished(answered, &answers)
    }

    /// Where two ways to decide come to other verdicts.
    pub(crate) fn differing(&mut self, one: &Outcomes, other: &Outcomes) -> Result<Id, OverBudget> {
        let verdict = |outcomes: &Outcomes, value| outcomes.decision(value).map(|it| it.verdict);
        self.arena
            .combined(one.root, other.root, &mut |left: u32, right: u32| {
                u32::from(verdict(one, left) != verdict(other, right))
            })
    }

    /// The verdicts of answers, under the laws.
    fn finished(&mut self, answered: Id, answers: &Answers<'_>) -> Result<Outcomes, OverBudget> {
        let barred = self.barred()?;
        let mut decisions = Decisions::default();
        let mut root = answered;
        for (kind, answer) in (0..).zip(&answers.kinds) {
            let own = self.verdicts(*answer)?;
            let refuses = answer::refuses(*answer);
            let (mut table, mut verdicts) = (own.all, own.root);
            if !refuses {
                let offset = u32::try_from(table.len()).unwrap_or_default();
                let nothing = (Verdict::Reject(Reason::NotPermitted), None);
                table.extend(barred.all.iter().map(|it| it.unwrap_or(nothing)));
                verdicts = self.unless_barred(&barred, verdicts, offset)?;
            }
            let is_it = |value: u32| answers.get(value).is_some_and(|it| it.0 == kind);
            let holding = self.holding(root, is_it);
            let mut finish = Finish {
                answers,
                table: &table,
                decisions: &mut decisions,
                holding: &holding,
            };
            root = self.arena.combined(root, verdicts, &mut finish)?;
        }
        let first = answers.first_free();
        let root = self.arena.mapped(root, |value| match value {
            ELSEWHERE => IMPOSSIBLE,
            value => value - first + 1,
        })?;
        Ok(Outcomes {
            root,
            decisions: decisions.all.into_iter().collect(),
        })
    }

    /// The nodes from which a value is reached that is looked for.
    fn holding(&self, root: Id, looked_for: impl Fn(u32) -> bool) -> FxHashMap<Id, bool> {
        let mut holding = FxHashMap::default();
        for id in self.arena.reached(root) {
            let holds = match (id.as_value(), self.arena.at(id)) {
                (Some(value), _) => looked_for(value),
                (None, Some((_, edges))) => edges
                    .iter()
                    .any(|edge| holding.get(&edge.to).copied().unwrap_or(false)),
                (None, None) => false,
            };
            holding.insert(id, holds);
        }
        holding
    }
}

/// The answers of a program, and which pairs of guards and rule come to them.
struct Answers<'a> {
    program: &'a Program,
    states: &'a States,
    kinds: Vec<Answer>,
    all: IndexSet<Of, FxBuildHasher>,
}

/// The kind of an answer, who gives it, and which rule it is about.
type Of = (u32, ClauseId, ClauseId);

impl Answers<'_> {
    fn get(&self, value: u32) -> Option<&Of> {
        self.all.get_index(value as usize)
    }

    /// What is behind all of them.
    fn first_free(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }
}

impl Combine for Answers<'_> {
    fn known(&mut self, guards: Id, _rule: Id) -> Option<Id> {
        (guards == Id::value(ELSEWHERE)).then_some(guards)
    }

    fn left_settles(&self, guards: Id) -> bool {
        guards == Id::value(ELSEWHERE)
    }

    fn values(&mut self, guards: u32, rule: u32) -> u32 {
        let answered = Answered::new(self.program, self.states, guards, rule);
        let known = self.kinds.iter().position(|it| *it == answered.answer);
        let kind = known.unwrap_or_else(|| {
            self.kinds.push(answered.answer);
            self.kinds.len() - 1
        });
        let kind = u32::try_from(kind).unwrap_or_default();
        let (at, _) = self.all.insert_full((kind, answered.by, answered.rule));
        u32::try_from(at).unwrap_or_default()
    }
}

/// Decisions, each once.
#[derive(Default)]
struct Decisions {
    all: IndexSet<Decision, FxBuildHasher>,
    known: FxHashMap<(u32, u32), u32>,
}

/// Puts decisions in the place of answers of one kind.
struct Finish<'a> {
    answers: &'a Answers<'a>,
    table: &'a [Lawful],
    decisions: &'a mut Decisions,
    holding: &'a FxHashMap<Id, bool>,
}

impl Combine for Finish<'_> {
    fn values(&mut self, value: u32, verdict: u32) -> u32 {
        let lawful = self.table.get(verdict as usize).copied();
        let (Some((_, by, rule)), Some((verdict_is, law))) = (self.answers.get(value), lawful)
        else {
            return value;
        };
        let all = &mut self.decisions.all;
        let at = *self
            .decisions
            .known
            .entry((value, verdict))
            .or_insert_with(|| {
                let decision = Decision {
                    verdict: verdict_is,
                    by: *by,
                    rule: *rule,
                    law,
                    trial: None,
                };
                let (at, _) = all.insert_full(decision);
                u32::try_from(at).unwrap_or_default()
            });
        self.answers.first_free() + at
    }

    fn known(&mut self, left: Id, _right: Id) -> Option<Id> {
        let holds = self.holding.get(&left).copied().unwrap_or(false);
        (!holds).then_some(left)
    }

    fn left_settles(&self, left: Id) -> bool {
        !self.holding.get(&left).copied().unwrap_or(false)
    }
}
