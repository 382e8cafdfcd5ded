//! What is possible where some facts are not known: every answer there is, which unknown makes the
//! difference, and the smallest split by them.

use std::collections::BTreeMap;

use super::chart::Chart;
use super::nearest::clause_name;
use super::open::{self, Open};
pub use super::world::Limit;
use super::world::World;
use crate::analysis::{Ground, IMPOSSIBLE, Id, Names, OverBudget, Var};
use crate::decide::{Decision, decide};
use crate::facts::assumptions::{Assumption, Named, broken, complete};
use crate::facts::{AttributeId, Facts};
use crate::lang::check::Vocabulary;
use crate::policy::Policy;

/// How many conditions a split may have before it is no help any more.
const MOST_CASES: usize = 5;

/// How many answers are told apart by their arguments as well.
pub(super) const MOST_TOLD: usize = 4;

/// How many answers are told apart in cases: one bit each.
const MOST_ANSWERS: usize = 30;

/// What can come of a connection of which some facts are not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Possible {
    /// Every answer that is possible, the widest last: what is decided, by what.
    pub answers: Vec<Answer>,
    /// What is not known: whether it makes a difference.
    pub unknown: Vec<(AttributeId, bool)>,
    /// What is not known and cannot be all that it could be, since other facts are given.
    pub limits: Vec<Limit>,
    /// The answers by what is not known, each once; nothing where there are too many cases. The
    /// last has no condition.
    pub cases: Option<Vec<Case>>,
}

/// An answer that is possible.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What is decided.
    pub decision: Decision,
    /// The clause that decides.
    pub by: String,
    /// The fewest facts that are otherwise than assumed, with which it comes to that.
    pub with: Vec<(AttributeId, String)>,
}

/// Some connections, and what is possible of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Of each of them one of these holds. Without any, all that are left.
    pub conditions: Vec<String>,
    /// The places of the answers among all; several where something else that is not known makes
    /// the difference.
    pub answers: Vec<usize>,
}

/// What is possible of a connection of which something is not known. Nothing where finding it takes
/// more than it may.
#[must_use]
pub fn possible(chart: &Chart<'_>, facts: &Facts, open: &Open<'_>) -> Option<Possible> {
    Search::new(chart, facts, open)
        .and_then(|mut search| search.all())
        .ok()
}

/// Answers that are told in the same words: the words, the sets of answers, and how much of all that
/// can be they are.
type Group = (Vec<String>, Vec<u32>, f64);

struct Search<'a> {
    policy: &'a Policy,
    facts: &'a Facts,
    ground: Ground,
    decisions: Vec<Decision>,
    /// What is decided, with nothing asked but what is open.
    root: Id,
    /// What can be, as far as it is open.
    world: Id,
    unknown: &'a [AttributeId],
    followers: Vec<AttributeId>,
    limits: Vec<Limit>,
    /// The assumptions that what is given breaks.
    excused: Vec<&'static str>,
}

impl<'a> Search<'a> {
    fn new(chart: &Chart<'a>, facts: &'a Facts, open: &Open<'a>) -> Result<Self, OverBudget> {
        let all_open = {
            let followers = open::followers(facts, open, open.unknown);
            let followers = followers.into_iter().map(|(follower, _)| follower);
            let mut all: Vec<AttributeId> = followers.chain(open.unknown.iter().copied()).collect();
            all.extend(open.unknown.iter().flat_map(|id| open::sources(*id)));
            all
        };
        let excused: Vec<&'static str> = broken(facts)
            .filter(|assumption| {
                let about = assumption.about.iter();
                let mut about = about.filter_map(|name| AttributeId::named(name));
                !about.any(|id| all_open.contains(&id))
            })
            .map(|assumption| assumption.says)
            .collect();
        let (mut ground, outcomes) = chart.copy(&excused)?;
        let world = World::new(&mut ground, facts, open)?;
        let mut limits = Vec::new();
        for id in open.unknown {
            limits.extend(world.limit(&mut ground, facts, *id)?);
        }
        let fixed = ground.fixed_but(facts, &|id| world.is_open(id));
        let root = ground.fixed(outcomes.root, &fixed)?;
        let root = ground.arena.within(world.held, root, IMPOSSIBLE)?;
        let of_unknown = |id: &AttributeId| !open.unknown.contains(id);
        let followers = world.followers.iter().map(|(follower, _)| *follower);
        let others = world.from.iter().copied().chain(followers);
        Ok(Search {
            policy: chart.policy(),
            facts,
            decisions: outcomes.decisions,
            root,
            world: world.held,
            unknown: open.unknown,
            followers: others.filter(of_unknown).collect(),
            limits,
            excused,
            ground,
        })
    }

    fn all(&mut self) -> Result<Possible, OverBudget> {
        let values = self.ground.arena.values(self.root);
        let mut found: Vec<(u32, Answer)> = Vec::new();
        for value in values {
            let at = (value as usize).checked_sub(1);
            if let Some(decision) = at.and_then(|at| self.decisions.get(at)).copied() {
                found.extend(self.answer(value, decision).map(|answer| (value, answer)));
            }
        }
        // Each answer once: what differs in the rule that a guard restricted is one.
        found.sort_by_key(|(_, answer)| {
            (
                answer.with.len(),
                answer.decision.by,
                answer.decision.verdict.to_string(),
            )
        });
        let mut answers: Vec<Answer> = Vec::new();
        let mut places: BTreeMap<u32, usize> = BTreeMap::new();
        for (value, answer) in found {
            let same = |known: &Answer| {
                known.decision.by == answer.decision.by
                    && known.decision.verdict == answer.decision.verdict
            };
            let at = answers.iter().position(same).unwrap_or_else(|| {
                answers.push(answer.clone());
                answers.len() - 1
            });
            places.insert(value, at);
        }
        let whole = self.sets(&places)?;
        let asked = self.asked(whole)?;
        let mut unknown = self.mattering(asked, self.unknown.to_vec())?;
        let of_followers = self.mattering(whole, self.followers.clone())?;
        // What follows is told apart as well where it has a part in the answer, as long as that is no
        // more than can be read.
        let few = answers.len() <= MOST_ANSWERS;
        let mut sets = self.ground.arena.values(asked).into_iter();
        let is_decided = sets.all(|bits| told(&answers, bits).len() < 2);
        let mut cases = None;
        if few && !is_decided {
            cases = self.cases(whole, self.world, &answers).ok().flatten();
            if cases.is_some() {
                unknown.extend(of_followers.into_iter().filter(|(_, matters)| *matters));
            }
        }
        if few && cases.is_none() {
            let can_be = self.asked(self.world);
            let found = can_be.and_then(|can_be| self.cases(asked, can_be, &answers));
            cases = found.ok().flatten();
        }
        Ok(Possible {
            answers,
            unknown,
            limits: std::mem::take(&mut self.limits),
            cases,
        })
    }

    /// An answer, with the connection nearest to what is assumed, held against the engine.
    fn answer(&self, value: u32, decision: Decision) -> Option<Answer> {
        let from = self.ground.vector(self.facts);
        let one = |_: Var| Some(1);
        let (_, vector) = self
            .ground
            .nearest(self.root, |it| it == value, &from, &one)?;
        let mut facts = self.facts.clone();
        for (var, domain) in self.ground.space.domains() {
            let class = *vector.get(usize::from(var))?;
            if from.get(usize::from(var)) != Some(&class) {
                let member = &domain.classes.get(class as usize)?.member;
                member.put(domain.attribute, &mut facts);
            }
        }
        if facts.ingress == crate::facts::Ingress::Direct {
            facts.client_ip = facts.peer;
        }
        let mut decided = decide(self.policy.program(), &facts);
        decided.trial = None;
        let differs = |id: &AttributeId| id.show(&facts) != id.show(self.facts);
        let mut with: Vec<AttributeId> = self.unknown.iter().copied().filter(differs).collect();
        // What follows is said where it does not follow from what is said.
        let mut others = self.followers.iter().copied().filter(differs);
        while !self.is_said(&facts, &with, decision) {
            let Some(other) = others.next() else { break };
            with.push(other);
        }
        for id in self.followers.iter().filter(|id| differs(id)) {
            let fewer: Vec<AttributeId> = with.iter().copied().filter(|it| it != id).collect();
            if self.is_said(&facts, &fewer, decision) {
                with = fewer;
            }
        }
        (decided == decision).then(|| Answer {
            decision,
            by: clause_name(self.policy, decision.by),
            with: with.into_iter().map(|id| (id, id.show(&facts))).collect(),
        })
    }

    /// Whether some facts of a connection, with what follows from them, come to its decision.
    fn is_said(&self, facts: &Facts, with: &[AttributeId], decision: Decision) -> bool {
        let mut told = self.facts.clone();
        with.iter().for_each(|id| id.copy(facts, &mut told));
        let mut named = Named::default();
        let stays = |id: &AttributeId| with.contains(id) || !self.followers.contains(id);
        AttributeId::all()
            .filter(stays)
            .for_each(|id| named.add(id));
        let kept = |assumption: &Assumption| !self.excused.contains(&assumption.says);
        complete(&mut told, &named, kept);
        let decided = decide(self.policy.program(), &told);
        (decided.by, decided.verdict) == (decision.by, decision.verdict)
    }
}

impl Search<'_> {
    /// For all that is open, the set of answers that are possible, one bit each; of what no
    /// connection can be, none.
    fn sets(&mut self, places: &BTreeMap<u32, usize>) -> Result<Id, OverBudget> {
        let bit = |value: u32| {
            let place = places.get(&value);
            place.map_or(0, |place| 1u32 << (*place).min(MOST_ANSWERS))
        };
        self.ground.arena.mapped(self.root, bit)
    }

    /// The same without asking for what follows.
    fn asked(&mut self, whole: Id) -> Result<Id, OverBudget> {
        let mut root = whole;
        for id in self.followers.clone() {
            root = self.ground.forgetting(root, id)?;
        }
        Ok(root)
    }

    /// Whether each thing that is not known makes a difference: whether some answer is possible
    /// with one value of it and not with another.
    fn mattering(
        &mut self,
        root: Id,
        all: Vec<AttributeId>,
    ) -> Result<Vec<(AttributeId, bool)>, OverBudget> {
        let mut found = Vec::new();
        for id in all {
            let joined = self.ground.forgetting(root, id)?;
            // Where a value cannot be at all, nothing is decided.
            let differs = self
                .ground
                .arena
                .combined(root, joined, &mut |one: u32, all: u32| {
                    u32::from(one != 0 && one != all)
                })?;
            found.push((id, differs != Id::NO));
        }
        Ok(found)
    }

    /// The answers by what is not known, each once; nothing where that is more than can be read.
    /// `root` has the sets of answers, of what can be.
    fn cases(
        &mut self,
        root: Id,
        can_be: Id,
        answers: &[Answer],
    ) -> Result<Option<Vec<Case>>, OverBudget> {
        let shares = self.ground.arena.shares(root);
        let mut groups: Vec<Group> = Vec::new();
        for (bits, share) in shares.into_iter().filter(|(bits, _)| *bits != 0) {
            let words = told(answers, bits);
            match groups.iter_mut().find(|(known, ..)| *known == words) {
                Some((_, all, sum)) => {
                    all.push(bits);
                    *sum += share;
                }
                None => groups.push((words, vec![bits], share)),
            }
        }
        let assumed = std::mem::replace(&mut self.ground.assumed, can_be);
        let told = self.conditions(root, &groups);
        self.ground.assumed = assumed;
        let told = told?;
        // What takes most to say is said by `otherwise`; of equal ones, what is most of all.
        let last = (0..groups.len()).max_by(|one, other| {
            let count = |at: &usize| told.get(*at).map_or(0, Vec::len);
            let share = |at: &usize| groups.get(*at).map_or(0.0, |(.., share)| *share);
            let more = count(one).cmp(&count(other));
            more.then_with(|| share(one).total_cmp(&share(other)))
        });
        let mut cases = Vec::new();
        for (at, ((_, all, _), mut conditions)) in groups.iter().zip(told).enumerate() {
            if Some(at) == last {
                conditions.clear();
            }
            cases.push(Case {
                conditions,
                answers: places(all.iter().fold(0, |all, bits| all | bits)),
            });
        }
        let lines: usize = cases.iter().map(|case| case.conditions.len()).sum();
        if lines > MOST_CASES || cases.is_empty() {
            return Ok(None);
        }
        // The one without a condition comes last.
        cases.sort_by_key(|case| (case.conditions.is_empty(), case.answers.clone()));
        Ok(Some(cases))
    }

    /// The conditions for each of some groups of answers; of what takes too many, more than may be
    /// told.
    fn conditions(&mut self, root: Id, groups: &[Group]) -> Result<Vec<Vec<String>>, OverBudget> {
        let names = Names::new(&[(self.policy.program(), &Vocabulary::default())]);
        let mut told = Vec::new();
        for (_, all, _) in groups {
            let holds = |bits: u32| u32::from(all.contains(&bits));
            let holds = self.ground.arena.mapped(root, holds)?;
            let regions = self.ground.regions(holds, &names, MOST_CASES + 1)?;
            told.push(regions.all.into_iter().map(|region| region.text).collect());
        }
        Ok(told)
    }
}

/// What is told of some answers: of many those of one clause and kind in the same words.
fn told(answers: &[Answer], bits: u32) -> Vec<String> {
    let is_long = answers.len() > MOST_TOLD;
    let all = places(bits).into_iter().filter_map(|at| answers.get(at));
    let words = all.map(|answer| {
        let verdict = answer.decision.verdict;
        let verdict = match is_long {
            true => verdict.kind().to_string(),
            false => verdict.to_string(),
        };
        format!("{verdict} {}", answer.by)
    });
    let mut words: Vec<String> = words.collect();
    words.sort();
    words.dedup();
    words
}

fn places(bits: u32) -> Vec<usize> {
    (0..MOST_ANSWERS)
        .filter(|place| bits >> place & 1 != 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::attributes::every_value;
    use crate::small;

    /// What a connection comes to when one fact is otherwise and nothing else, where that can be, is
    /// among what is possible; where it always can be, and nothing follows, that is all. What is told
    /// has each answer once.
    #[test]
    fn all_that_comes_of_other_values_is_told() {
        let (guards, rules) = (small::guards(), small::rules());
        let places: [&[String]; 3] = [&guards, &rules, &rules];
        let all: usize = places.iter().map(|place| place.len()).product();
        let world = small::world();
        let mut limited = 0;
        for number in (0..all).step_by(all / 7) {
            let text = small::policy(&small::chosen(&places, number));
            let policy = Policy::parse("small.policy", &text).unwrap();
            let chart = Chart::new(&policy);
            for facts in world.iter().skip(number % 5).step_by(11) {
                for id in AttributeId::all() {
                    let open = Open {
                        unknown: &[id],
                        given: &[],
                        is_seen: true,
                    };
                    let found = possible(&chart, facts, &open).unwrap();
                    let told: Vec<_> = found.answers.iter().map(|it| it.decision).collect();
                    let mut expected = vec![decide(policy.program(), facts)];
                    let mut is_free = open::followers(facts, &open, &[id]).is_empty();
                    for value in every_value(id) {
                        let mut other = facts.clone();
                        id.assign(&mut other, &value).unwrap();
                        match broken(&other).next() {
                            None => expected.push(decide(policy.program(), &other)),
                            Some(_) => is_free = false,
                        }
                    }
                    let alike = |one: &Decision, other: &Decision| {
                        (one.by, one.verdict) == (other.by, other.verdict)
                    };
                    for decision in &expected {
                        let is_told = told.iter().any(|it| alike(it, decision));
                        assert!(is_told, "{text}{} {facts:#?}", id.row().name);
                    }
                    for decision in told.iter().filter(|_| is_free) {
                        let is_so = expected.iter().any(|it| alike(it, decision));
                        assert!(is_so, "{text}{} {facts:#?}", id.row().name);
                    }
                    let cases = found.cases.unwrap_or_default();
                    for (at, case) in cases.iter().enumerate() {
                        let others = cases.iter().skip(at + 1);
                        let same = { others }.any(|other| other.answers == case.answers);
                        assert!(!same, "{text}{} {cases:#?}", id.row().name);
                    }
                    limited += found.limits.len();
                }
            }
        }
        assert!(limited > 0);
    }
}
