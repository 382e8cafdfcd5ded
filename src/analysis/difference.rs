//! What two policies answer otherwise: from what to what, for which connections, and by which
//! clauses.

use super::diagram::{Budget, Id, OverBudget};
use super::ground::Ground;
use super::meaning::{Answered, Meaning};
use super::names::Names;
use super::outcome::{IMPOSSIBLE, Outcomes};
use super::region::Region;
use crate::compile::{ClauseId, Program};
use crate::decide::Decision;
use crate::facts::assumptions::broken;
use crate::facts::{AttributeId, Facts, ScopeSet};
use crate::lang::check::Vocabulary;
use crate::lang::checked::Checked;
use crate::verdict::{Grant, ScopeBound, Verdict, VerdictKind};

/// A policy to compare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'a> {
    pub(crate) program: &'a Program,
    pub(crate) checked: &'a Checked,
    pub(crate) vocabulary: &'a Vocabulary,
}

/// In which ways one verdict is more than another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// It admits instead of refusing, or with more, or records instead of not.
    pub wider: bool,
    /// The reverse.
    pub narrower: bool,
}

impl Direction {
    /// From a verdict to another one.
    pub(crate) fn of(from: Verdict, to: Verdict) -> Self {
        let mut all = Direction {
            wider: to.kind() > from.kind(),
            narrower: to.kind() < from.kind(),
        };
        if let (Some(before), Some(after)) = (from.grant(), to.grant()) {
            let fewer = |one: Grant, other: Grant| {
                !scopes(one).are_within(scopes(other)) || (one.token && !other.token)
            };
            all.wider |= fewer(after, before);
            all.narrower |= fewer(before, after);
            if from.kind() == VerdictKind::SilentApprove && to.kind() == from.kind() {
                let lasts = |grant: Grant| grant.ttl_seconds.unwrap_or(u32::MAX);
                all.wider |= lasts(after) > lasts(before);
                all.narrower |= lasts(after) < lasts(before);
            }
        }
        all
    }

    /// Both together.
    pub(crate) fn and(self, other: Direction) -> Self {
        Direction {
            wider: self.wider || other.wider,
            narrower: self.narrower || other.narrower,
        }
    }
}

/// The scopes that a grant leaves of those that are asked for.
#[derive(Clone, Copy)]
struct Scopes {
    /// Only what the record has.
    approved: bool,
    /// Only these; all where it is nothing.
    within: Option<u16>,
}

fn scopes(grant: Grant) -> Scopes {
    let cap = (grant.cap != ScopeSet::ANY).then_some(grant.cap.0);
    let within = match grant.scopes {
        ScopeBound::Requested | ScopeBound::Approved => cap,
        ScopeBound::None => Some(0),
        ScopeBound::Within(set) => Some(set.0 & cap.unwrap_or(u16::MAX)),
    };
    Scopes {
        approved: grant.scopes == ScopeBound::Approved,
        within,
    }
}

impl Scopes {
    fn are_within(self, other: Scopes) -> bool {
        let within = match (self.within, other.within) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(others)) => own & !others == 0,
        };
        within && (self.approved || !other.approved || self.within == Some(0))
    }
}

/// The scopes that a connection is left before and not now, or the reverse, where it comes in both
/// times.
fn only_one_has(transition: &Transition) -> ScopeSet {
    let left = |all: &[Verdict]| {
        let grant = all.first().and_then(|verdict| verdict.grant())?;
        Some(scopes(grant).within.unwrap_or(ScopeSet::ANY.0))
    };
    match (left(&transition.from), left(&transition.to)) {
        (Some(before), Some(now)) => ScopeSet(before ^ now),
        _ => ScopeSet::default(),
    }
}

/// All connections that go from one verdict to another one. Where they are refused and then admitted,
/// or the reverse, or asked about, the reasons of the refusal make no difference.
#[derive(Clone, Debug)]
pub(crate) struct Transition {
    pub(crate) from: Vec<Verdict>,
    pub(crate) to: Vec<Verdict>,
    /// What that means.
    pub(crate) direction: Direction,
    /// How much of what could be said they are.
    pub(crate) share: f64,
    /// The clauses that decide them, before and now.
    pub(crate) by: [Vec<ClauseId>; 2],
    /// Where they are.
    pub(crate) held: Id,
}

/// A part of a transition that a condition tells.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) region: Region,
    /// What the example has to ask for besides, although no condition turns on it, so that what is left
    /// of it differs.
    asks_for: Option<AttributeId>,
    /// The clauses that decide it, before and now.
    pub(crate) by: [Vec<ClauseId>; 2],
}

/// What two policies answer otherwise.
#[derive(Debug)]
pub(crate) struct Difference {
    ground: Ground,
    names: Names,
    outcomes: [Outcomes; 2],
    /// The verdicts that changed, those of the widest first.
    pub(crate) transitions: Vec<Transition>,
    /// How much goes from each kind of verdict to each.
    pub(crate) matrix: [[f64; 4]; 4],
    /// How much is refused with the same verdict, and in other words: another hint, another
    /// moment.
    pub(crate) in_other_words: f64,
}

/// Two policies over one space, to be compared.
#[derive(Clone, Debug)]
pub(crate) struct Both {
    ground: Ground,
    names: Names,
    outcomes: [Outcomes; 2],
    meanings: [Meaning; 2],
}

impl Both {
    pub(crate) fn new(old: Side<'_>, new: Side<'_>, budget: Budget) -> Result<Self, OverBudget> {
        let sides = [old, new];
        let names = Names::new(&sides.map(|side| (side.program, side.vocabulary)));
        let programs = sides.map(|side| side.program);
        let mut ground = Ground::new(&programs, &names.beside(), budget)?;
        let (before, of_old) = ground.meaning(old.program, old.checked)?;
        let (after, of_new) = ground.meaning(new.program, new.checked)?;
        Ok(Both {
            ground,
            names,
            outcomes: [before, after],
            meanings: [of_old, of_new],
        })
    }

    /// What they answer otherwise.
    pub(crate) fn difference(self) -> Result<Difference, OverBudget> {
        let Both {
            mut ground,
            names,
            outcomes,
            meanings,
        } = self;
        let (changed, pairs) = ground.pairs(&meanings)?;
        let shares = ground.arena.shares(changed);
        let whole = shares.iter().filter(|(value, _)| **value != IMPOSSIBLE);
        let whole: f64 = whole.map(|(_, share)| share).sum();
        let mut found = Difference {
            ground,
            names,
            outcomes,
            transitions: Vec::new(),
            matrix: [[0.0; 4]; 4],
            in_other_words: 0.0,
        };
        let mut groups: Vec<(Transition, Vec<u32>)> = Vec::new();
        for (place, pair) in (1..).zip(&pairs) {
            let share = shares.get(&place).copied().unwrap_or_default() / whole;
            let kinds = (pair.from.kind() as usize, pair.to.kind() as usize);
            let row = found.matrix.get_mut(kinds.0);
            if let Some(place) = row.and_then(|row| row.get_mut(kinds.1)) {
                *place += share;
            }
            if pair.from == pair.to {
                found.in_other_words += if pair.is_said_otherwise { share } else { 0.0 };
                continue;
            }
            let is_of_it = |it: &&mut (Transition, Vec<u32>)| pair.is_of(&it.0);
            match groups.iter_mut().find(is_of_it) {
                Some((group, places)) => {
                    group.share += share;
                    for (all, one) in [(&mut group.from, pair.from), (&mut group.to, pair.to)] {
                        if !all.contains(&one) {
                            all.push(one);
                        }
                    }
                    places.push(place);
                }
                None => groups.push((
                    Transition {
                        from: vec![pair.from],
                        to: vec![pair.to],
                        direction: Direction::of(pair.from, pair.to),
                        share,
                        by: [Vec::new(), Vec::new()],
                        held: Id::NO,
                    },
                    vec![place],
                )),
            }
        }
        for (mut group, places) in groups {
            let is_of_it = |value: u32| u32::from(places.contains(&value));
            group.held = found.ground.arena.mapped(changed, is_of_it)?;
            group.by = found.deciding(group.held)?;
            found.transitions.push(group);
        }
        found.transitions.sort_by(|one, other| {
            let kind = |all: &[Verdict]| all.first().map(|it| it.kind());
            let kinds = |it: &Transition| (kind(&it.to), kind(&it.from));
            kinds(other)
                .cmp(&kinds(one))
                .then(other.share.total_cmp(&one.share))
        });
        Ok(found)
    }
}

impl Difference {
    /// In which ways the new policy is more, or less.
    pub(crate) fn direction(&self) -> Direction {
        let all = self.transitions.iter();
        let all = all.map(|it| it.direction);
        all.fold(Direction::default(), Direction::and)
    }

    /// The connections of a transition in the words of both policies: at most so many conditions,
    /// and whether there are more.
    pub(crate) fn parts(
        &mut self,
        transition: &Transition,
        most: usize,
    ) -> Result<(Vec<Part>, bool), OverBudget> {
        let found = self.ground.regions(transition.held, &self.names, most)?;
        let mut parts = Vec::new();
        let apart = only_one_has(transition);
        for mut region in found.all {
            let asks_for = self.ask_for(apart, &mut region);
            let by = self.deciding(region.held)?;
            parts.push(Part {
                region,
                by,
                asks_for,
            });
        }
        Ok((parts, found.is_cut))
    }

    /// Whether a connection is one that a condition holds for.
    #[cfg(test)]
    pub(crate) fn holds(&self, held: Id, facts: &crate::facts::Facts) -> bool {
        let class = |var| self.ground.space.class(var, facts);
        self.ground.arena.value(held, class) == 1
    }

    /// A connection as flags of `gw explain`.
    pub(crate) fn told(&self, part: &Part) -> String {
        let facts = &part.region.example;
        let told = self.ground.told(facts);
        let is_said = |id: &AttributeId| self.ground.named(facts).contains(id);
        match part.asks_for.filter(|id| !is_said(id)) {
            Some(id) => format!("{told} --fact {}", crate::claims::fact(id, facts)),
            None => told,
        }
    }

    /// A connection that is let in with other scopes than before asks for one of them, so that its
    /// session is another one; where there is such a connection, and it does not do so by itself.
    fn ask_for(&self, apart: ScopeSet, region: &mut Region) -> Option<AttributeId> {
        let usual = Facts::default().scopes;
        let one = || apart.iter().map(|scope| ScopeSet::of(&[scope]));
        let more = one().map(|scope| scope.union(usual));
        let asked = std::iter::once(usual).chain(more).chain(one());
        let asked = asked.filter(|scopes| !scopes.intersection(apart).is_empty());
        let asking = asked.map(|scopes| Facts {
            scopes,
            ..region.example.clone()
        });
        let is_of_it = |facts: &Facts| {
            let class = |var| self.ground.space.class(var, facts);
            broken(facts).next().is_none() && self.ground.arena.value(region.held, class) == 1
        };
        let found = { asking }.find(is_of_it)?;
        let is_usual = found.scopes == usual;
        region.example = found;
        AttributeId::named("scopes").filter(|_| !is_usual)
    }

    /// The clauses that decide where a condition holds, before and now.
    fn deciding(&mut self, held: Id) -> Result<[Vec<ClauseId>; 2], OverBudget> {
        let mut deciding = [Vec::new(), Vec::new()];
        for (outcomes, found) in self.outcomes.iter().zip(&mut deciding) {
            let there = self.ground.arena.within(held, outcomes.root, IMPOSSIBLE)?;
            let values = self.ground.arena.values(there).into_iter();
            let by = values.filter_map(|value| outcomes.decision(value));
            let mut by: Vec<ClauseId> = by.map(|decision: &Decision| decision.by).collect();
            by.sort_unstable();
            by.dedup();
            *found = by;
        }
        Ok(deciding)
    }
}

/// What is answered before and now.
#[derive(PartialEq)]
struct Pair {
    from: Verdict,
    to: Verdict,
    is_said_otherwise: bool,
}

impl Pair {
    /// Whether it goes with others from one verdict to another one.
    fn is_of(&self, group: &Transition) -> bool {
        let (Some(from), Some(to)) = (group.from.first(), group.to.first()) else {
            return false;
        };
        let is_like = |one: Verdict, other: Verdict| {
            one == other || (!one.admits() && one.kind() == other.kind())
        };
        let is_refused_alike = self.from.kind() == self.to.kind() && !self.from.admits();
        match is_refused_alike {
            true => (self.from, self.to) == (*from, *to),
            false => {
                is_like(self.from, *from) && is_like(self.to, *to) && from.kind() != to.kind()
                    || (self.from, self.to) == (*from, *to)
            }
        }
    }
}

impl Ground {
    /// What goes from which verdict to which: a diagram of places and one more.
    fn pairs(&mut self, meanings: &[Meaning; 2]) -> Result<(Id, Vec<Pair>), OverBudget> {
        let [old, new] = meanings;
        let mut pairs: Vec<Pair> = Vec::new();
        let root = self
            .arena
            .combined(old.root, new.root, &mut |before: u32, after: u32| {
                let (Some(before), Some(after)) = (old.answer(before), new.answer(after)) else {
                    return IMPOSSIBLE;
                };
                let words = |it: &Answered| (it.hint.clone(), it.at_upgrade, it.of_page);
                let is_same = before.verdict == after.verdict;
                let pair = Pair {
                    from: before.verdict,
                    to: after.verdict,
                    is_said_otherwise: is_same && words(before) != words(after),
                };
                let known = pairs.iter().position(|known| *known == pair);
                let place = known.unwrap_or_else(|| {
                    pairs.push(pair);
                    pairs.len() - 1
                });
                u32::try_from(place + 1).unwrap_or(u32::MAX)
            })?;
        Ok((root, pairs))
    }
}
