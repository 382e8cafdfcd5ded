//! When each clause of a policy holds, which rule is the first to, and what the guards come to: a
//! policy as diagrams, before it is known which verdicts its answers are.

use std::ops::Range;

use super::answer::{ELSEWHERE, States};
use super::combine::Combine;
use super::diagram::{Budget, Id, OverBudget};
use super::ground::Ground;
use crate::compile::{Block, ClauseId, Program};
use crate::lang::checked::{Answer, Role};
use crate::source::Span;

/// A policy that was looked at: its clauses, and what they stand on.
#[derive(Clone, Debug)]
pub(crate) struct Analysed {
    pub(crate) ground: Ground,
    pub(crate) clauses: Clauses,
}

impl Analysed {
    /// A program that nobody looked at yet.
    pub(crate) fn new(program: &Program, budget: Budget) -> Result<Self, OverBudget> {
        let mut ground = Ground::new(&[program], &[], budget)?;
        let clauses = ground.clauses(program)?;
        Ok(Analysed { ground, clauses })
    }
}

/// The clauses of a policy over a space.
#[derive(Clone, Debug)]
pub(crate) struct Clauses {
    /// When each test of the program holds.
    tests: Vec<Id>,
    /// For each clause, guards before rules and the default last: when it holds.
    pub(crate) conditions: Vec<Id>,
    rules: Suffixes,
    guards: Halves,
    pub(super) states: States,
    /// How the policy decides.
    pub(crate) way: Way,
    /// How it answers: as it decides, the first rule of those that answer alike standing for all.
    pub(crate) answers: Way,
    /// Where no guard rejects.
    pub(super) open: Id,
}

/// A way to decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// What the guards come to.
    pub(crate) guards: Id,
    /// Which rule is the first to hold, whatever the guards say: its place among all clauses. Where
    /// it is [`NONE`], the others say which.
    pub(crate) rules: Id,
    pub(crate) others: Id,
}

impl Clauses {
    /// What the rules behind the one at a place decide.
    pub(crate) fn behind(&self, rule: usize) -> Way {
        Way {
            guards: self.way.guards,
            rules: self.rules.local(rule + 1),
            others: self.rules.rest(rule + 1),
        }
    }

    /// When a clause holds.
    pub(crate) fn condition(&self, id: ClauseId) -> Id {
        let condition = self.conditions.get(id.0 as usize);
        condition.copied().unwrap_or(Id::YES)
    }
}

impl Ground {
    /// The clauses of a program.
    pub(crate) fn clauses(&mut self, program: &Program) -> Result<Clauses, OverBudget> {
        let tests = self.tests(&program.instructions)?;
        let mut conditions = Vec::new();
        for block in program.blocks() {
            conditions.push(self.joined(program, block, &tests)?);
        }
        let mut first = Vec::new();
        let behind_guards = conditions.iter().skip(program.guards.len());
        for (rule, holds) in program.rules.iter().zip(behind_guards) {
            first.push(match rule.role {
                Role::Trial => Id::value(NONE),
                Role::Rule | Role::Default | Role::Guard(_) => {
                    self.arena.over(*holds, rule.id.0, Id::value(NONE))?
                }
            });
        }
        let rules = Suffixes::new(self, first, program.default.id)?;
        let mut states = States::default();
        let mut restricting = Vec::new();
        for (guard, holds) in program.guards.iter().zip(&conditions) {
            let value = states.of(guard);
            restricting.push(self.arena.over(*holds, value, Id::value(0))?);
        }
        let guards = Halves::new(self, restricting, Id::value(0), &mut states)?;
        self.answer_all(program, &states)?;
        let is_open = |value| u32::from(!states.rejects(value));
        let open = self.arena.mapped(guards.whole(), is_open)?;
        let way = Way {
            guards: guards.whole(),
            rules: rules.whole(),
            others: Id::value(program.default.id.0),
        };
        let alike = first_alike(program);
        let answers = Way {
            rules: self.arena.mapped(way.rules, |rule| {
                alike.get(rule as usize).copied().unwrap_or(rule)
            })?,
            ..way
        };
        Ok(Clauses {
            tests,
            conditions,
            rules,
            guards,
            states,
            way,
            answers,
            open,
        })
    }

    /// Which rule is the first to hold in a region, some way.
    pub(crate) fn first(&mut self, way: Way, region: Id) -> Result<Id, OverBudget> {
        let rules = self.arena.within(region, way.rules, ELSEWHERE)?;
        self.arena.combined(rules, way.others, &mut First)
    }

    /// What the guards come to without the one at a place, in a region.
    pub(crate) fn without(
        &mut self,
        clauses: &mut Clauses,
        guard: usize,
        region: Id,
    ) -> Result<Id, OverBudget> {
        self.instead(clauses, guard, Id::value(0), region)
    }

    /// What the guards come to in a region, where the one at a place comes to something else.
    pub(super) fn instead(
        &mut self,
        clauses: &mut Clauses,
        guard: usize,
        own: Id,
        region: Id,
    ) -> Result<Id, OverBudget> {
        let all = 0..clauses.guards.leaves;
        let before = clauses.guards.parts(all.start..guard);
        let behind = clauses.guards.parts(guard + 1..all.end);
        let mut guards = Id::value(0);
        for part in before.chain([own]).chain(behind) {
            let part = self.arena.within(region, part, 0)?;
            guards = self.arena.combined(guards, part, &mut clauses.states)?;
        }
        Ok(guards)
    }

    /// Where each term of a clause is written, with when it holds.
    pub(crate) fn terms(
        &mut self,
        program: &Program,
        clauses: &Clauses,
        block: &Block,
    ) -> Result<Vec<(Span, Id)>, OverBudget> {
        let range = block.terms.start as usize..block.terms.end as usize;
        let mut found = Vec::new();
        for term in program.terms.get(range).unwrap_or_default() {
            let tests = &clauses.tests;
            let held = self.reached(&program.instructions, tests, term.entry, term.length)?;
            found.push((term.span, held));
        }
        Ok(found)
    }

    /// When all terms of a clause hold.
    fn joined(&mut self, program: &Program, block: &Block, tests: &[Id]) -> Result<Id, OverBudget> {
        let terms = block.terms.start as usize..block.terms.end as usize;
        let mut all = Id::YES;
        for term in program.terms.get(terms).unwrap_or_default().iter().rev() {
            let held = self.reached(&program.instructions, tests, term.entry, term.length)?;
            all = self.arena.and(held, all)?;
        }
        Ok(all)
    }
}

/// For each clause, guards before rules, the first rule that answers alike.
fn first_alike(program: &Program) -> Vec<u32> {
    let mut known: Vec<(Answer, u32)> = Vec::new();
    let rules = program.rules.iter().chain([&program.default]);
    let firsts = rules.map(|rule| {
        let found = known.iter().find(|(answer, _)| *answer == rule.answer);
        let first = found.map_or(rule.id.0, |(_, first)| *first);
        if first == rule.id.0 {
            known.push((rule.answer, first));
        }
        first
    });
    let firsts: Vec<u32> = firsts.collect();
    let guards = program.guards.iter().map(|guard| guard.id.0);
    guards.chain(firsts).collect()
}

/// The value of that no rule holds.
pub(super) const NONE: u32 = ELSEWHERE - 1;

/// The first of two that is one.
struct First;

impl Combine for First {
    fn values(&mut self, left: u32, right: u32) -> u32 {
        if left == NONE { right } else { left }
    }

    fn known(&mut self, left: Id, right: Id) -> Option<Id> {
        match left.as_value() {
            Some(NONE) => Some(right),
            Some(_) => Some(left),
            None => (right == Id::value(NONE)).then_some(left),
        }
    }

    fn left_settles(&self, left: Id) -> bool {
        left.as_value().is_some_and(|value| value != NONE)
    }

    fn left_keeps(&self, left: Id) -> bool {
        left == Id::value(NONE)
    }

    fn right_keeps(&self, right: Id) -> bool {
        right == Id::value(NONE)
    }
}

/// Which rule is the first from each one on, in two parts: as far as its block goes, and of all
/// blocks behind. A diagram of all rules is only made for each block.
#[derive(Clone, Debug)]
struct Suffixes {
    default: Id,
    /// For each rule, up to the end of its block.
    local: Vec<Id>,
    /// For each block, from it on, with the default behind it.
    blocks: Vec<Id>,
}

/// How many rules a block has.
const BLOCK: usize = 64;

impl Suffixes {
    fn new(ground: &mut Ground, rules: Vec<Id>, default: ClauseId) -> Result<Self, OverBudget> {
        let default = Id::value(default.0);
        let (mut local, mut blocks) = (Vec::new(), Vec::new());
        let mut rest = default;
        for block in rules.chunks(BLOCK).rev() {
            let mut first = Id::value(NONE);
            for rule in block.iter().rev() {
                first = ground.arena.combined(*rule, first, &mut First)?;
                local.push(first);
            }
            rest = ground.arena.combined(first, rest, &mut First)?;
            blocks.push(rest);
        }
        local.reverse();
        blocks.reverse();
        Ok(Suffixes {
            default,
            local,
            blocks,
        })
    }

    fn whole(&self) -> Id {
        self.blocks.first().copied().unwrap_or(self.default)
    }

    /// From a rule on, as far as its block goes; nothing where that is over before it.
    fn local(&self, from: usize) -> Id {
        match from % BLOCK {
            0 => Id::value(NONE),
            _ => self.local.get(from).copied().unwrap_or(Id::value(NONE)),
        }
    }

    /// What is behind that.
    fn rest(&self, from: usize) -> Id {
        let block = self.blocks.get(from.div_ceil(BLOCK));
        block.copied().unwrap_or(self.default)
    }
}

/// What runs of clauses come to: the whole, its halves, their halves, down to each clause. So what
/// is left without one of them is put together of few parts.
#[derive(Clone, Debug)]
struct Halves {
    leaves: usize,
    /// The whole is at one; the halves of what is at a place are at twice the place and behind it.
    parts: Vec<Id>,
}

impl Halves {
    fn new(
        ground: &mut Ground,
        leaves: Vec<Id>,
        nothing: Id,
        combine: &mut impl Combine,
    ) -> Result<Self, OverBudget> {
        let size = leaves.len().next_power_of_two();
        let mut parts = vec![nothing; size];
        let count = leaves.len();
        parts.extend(leaves);
        parts.resize(2 * size, nothing);
        for at in (1..size).rev() {
            let half = |at: usize| parts.get(at).copied().unwrap_or(nothing);
            let (left, right) = (half(2 * at), half(2 * at + 1));
            let made = ground.arena.combined(left, right, combine)?;
            if let Some(place) = parts.get_mut(at) {
                *place = made;
            }
        }
        Ok(Halves {
            leaves: count,
            parts,
        })
    }

    fn whole(&self) -> Id {
        self.parts.get(1).copied().unwrap_or(Id::NO)
    }

    /// The parts that make up a run of clauses, in order.
    fn parts(&self, run: Range<usize>) -> impl DoubleEndedIterator<Item = Id> + use<> {
        let size = self.parts.len() / 2;
        let (mut from, mut to) = (run.start + size, run.end.max(run.start) + size);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        while from < to {
            if from % 2 == 1 {
                left.extend(self.parts.get(from).copied());
                from += 1;
            }
            if to % 2 == 1 {
                to -= 1;
                right.extend(self.parts.get(to).copied());
            }
            from /= 2;
            to /= 2;
        }
        left.extend(right.into_iter().rev());
        left.into_iter()
    }
}
