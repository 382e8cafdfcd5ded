//! Where a policy in which one clause is otherwise decides otherwise. Only where that clause has a
//! say is looked at.

use super::answer::ELSEWHERE;
use super::clauses::{Clauses, Way};
use super::diagram::{Id, OverBudget};
use super::ground::Ground;
use super::outcome::Outcomes;
use crate::compile::{ClauseId, Lone, Program};
use crate::verdict::Verdict;

/// What is otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Altered<'a> {
    /// A clause applies elsewhere: where this condition holds, which the ground tells apart.
    Applies(ClauseId, &'a Lone),
    /// A clause is not there.
    Dropped(ClauseId),
    /// A clause answers otherwise: as it does in this program, which is the same but for that.
    Answers(ClauseId, &'a Program),
    /// A rule stands behind the next one.
    Behind(ClauseId, ClauseId),
    /// Clauses apply elsewhere: as in this program, which has the same clauses and of which the ground
    /// tells everything apart.
    Everywhere(&'a Program),
}

impl Ground {
    /// How the verdicts of a policy and of one in which something is otherwise compare, everywhere:
    /// what `compared` says of them, and zero where they are the same.
    pub(crate) fn altered(
        &mut self,
        program: &Program,
        clauses: &mut Clauses,
        altered: Altered<'_>,
        compared: &dyn Fn(Verdict, Verdict) -> u32,
    ) -> Result<Id, OverBudget> {
        let (one, other) = self.both(program, clauses, altered)?;
        let verdict = |outcomes: &Outcomes, value| outcomes.decision(value).map(|it| it.verdict);
        let both = &mut |left: u32, right: u32| match (verdict(&one, left), verdict(&other, right))
        {
            (Some(one), Some(other)) if one != other => compared(one, other),
            (_, _) => 0,
        };
        self.arena.combined(one.root, other.root, both)
    }

    /// What a policy decides, and what it decides if something is otherwise, where that has a say.
    fn both(
        &mut self,
        program: &Program,
        clauses: &mut Clauses,
        altered: Altered<'_>,
    ) -> Result<(Outcomes, Outcomes), OverBudget> {
        let guards = program.guards.len();
        let guard = |id: ClauseId| Some(id.0 as usize).filter(|at| *at < guards);
        let own = |id: ClauseId, clauses: &Clauses| clauses.condition(id);
        let (region, way, other) = match altered {
            Altered::Applies(id, lone) => {
                let holds = self.holds(lone)?;
                let (region, way) = match guard(id) {
                    Some(at) => self.guard_applies(program, clauses, at, holds)?,
                    None => self.rule_applies(program, clauses, id, holds)?,
                };
                (region, way, program)
            }
            Altered::Dropped(id) => {
                let (region, way) = match guard(id) {
                    Some(at) => self.guard_applies(program, clauses, at, Id::NO)?,
                    None => self.rule_applies(program, clauses, id, Id::NO)?,
                };
                (region, way, program)
            }
            Altered::Answers(id, other) => {
                let condition = own(id, clauses);
                let Some(at) = guard(id) else {
                    let region = self.left_to(clauses, id, condition)?;
                    return self.two_ways([program, other], clauses, clauses.way, region);
                };
                let region = self.arena.and(condition, self.assumed)?;
                let state = other.guards.get(at).map(|it| clauses.states.of(it));
                let own = Id::value(state.unwrap_or_default());
                let guards = self.instead(clauses, at, own, region)?;
                (
                    region,
                    Way {
                        guards,
                        ..clauses.way
                    },
                    other,
                )
            }
            Altered::Behind(first, second) => {
                let both = self.arena.and(own(first, clauses), own(second, clauses))?;
                let region = self.left_to(clauses, first, both)?;
                let rules = Id::value(second.0);
                (
                    region,
                    Way {
                        rules,
                        ..clauses.way
                    },
                    program,
                )
            }
            Altered::Everywhere(other) => {
                let others = self.clauses(other)?;
                let mut region = Id::NO;
                for (one, other) in clauses.conditions.iter().zip(&others.conditions) {
                    let moved = self.unlike(*one, *other)?;
                    region = self.arena.or(region, moved)?;
                }
                let region = self.arena.and(region, self.assumed)?;
                let one = self.decided(program, clauses, clauses.way, region)?;
                let other = self.decided(other, &others, others.way, region)?;
                return Ok((one, other));
            }
        };
        self.two_ways([program, other], clauses, way, region)
    }

    /// What is decided in a region by the policy, and by another program in another way.
    fn two_ways(
        &mut self,
        [program, other]: [&Program; 2],
        clauses: &Clauses,
        way: Way,
        region: Id,
    ) -> Result<(Outcomes, Outcomes), OverBudget> {
        let one = self.decided(program, clauses, clauses.way, region)?;
        let other = self.decided(other, clauses, way, region)?;
        Ok((one, other))
    }

    /// Where a guard that holds elsewhere has a say, and what is decided then.
    fn guard_applies(
        &mut self,
        program: &Program,
        clauses: &mut Clauses,
        at: usize,
        holds: Id,
    ) -> Result<(Id, Way), OverBudget> {
        let condition = clauses.conditions.get(at).copied().unwrap_or(Id::NO);
        let region = self.unlike(condition, holds)?;
        let region = self.arena.and(region, self.assumed)?;
        let state = program.guards.get(at).map(|it| clauses.states.of(it));
        let own = self
            .arena
            .over(holds, state.unwrap_or_default(), Id::value(0))?;
        let guards = self.instead(clauses, at, own, region)?;
        Ok((
            region,
            Way {
                guards,
                ..clauses.way
            },
        ))
    }

    /// The same of a rule.
    fn rule_applies(
        &mut self,
        program: &Program,
        clauses: &Clauses,
        id: ClauseId,
        holds: Id,
    ) -> Result<(Id, Way), OverBudget> {
        let region = self.unlike(clauses.condition(id), holds)?;
        let region = self.left_to(clauses, id, region)?;
        let behind = clauses.behind((id.0 as usize).saturating_sub(program.guards.len()));
        let rules = self.arena.within(region, behind.rules, ELSEWHERE)?;
        let rules = self.arena.over(holds, id.0, rules)?;
        Ok((region, Way { rules, ..behind }))
    }

    /// What of a region guards do not refuse, and the rules before one leave to it.
    fn left_to(&mut self, clauses: &Clauses, id: ClauseId, region: Id) -> Result<Id, OverBudget> {
        let region = self.arena.and(region, clauses.open)?;
        let region = self.arena.and(region, self.assumed)?;
        let first = self.first(clauses.way, region)?;
        let left = |rule: u32| u32::from(rule != ELSEWHERE && rule >= id.0);
        self.arena.mapped(first, left)
    }

    /// Where two conditions are not alike.
    fn unlike(&mut self, one: Id, other: Id) -> Result<Id, OverBudget> {
        let not = self.arena.not(other)?;
        self.arena.choose(one, not, other)
    }
}
