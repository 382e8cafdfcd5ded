//! What is possible where some facts are not known: every answer there is, which unknown makes the
//! difference, and the smallest split by them.

use std::collections::BTreeMap;

use super::chart::Chart;
use super::nearest::clause_name;
use super::open::{self, Open};
use crate::analysis::{
    Class, ClassId, Cube, Ground, IMPOSSIBLE, Id, Member, Names, OverBudget, Runs, Var,
};
use crate::compile::networks::of_number;
use crate::decide::{Decision, decide};
use crate::facts::assumptions::broken;
use crate::facts::{AttributeId, Facts, Kind};
use crate::lang::check::Vocabulary;
use crate::policy::Policy;

/// How many conditions a split may have before it is no help any more.
const MOST_CASES: usize = 6;

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

/// What is not known, and is limited by what is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is not known.
    pub attribute: AttributeId,
    /// What it can be, as a condition.
    pub condition: String,
    /// The facts that do not let it be more: attribute and value.
    pub by: Vec<(AttributeId, String)>,
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
}

/// What is open, and what can be of it.
struct World {
    from: Vec<AttributeId>,
    followers: Vec<(AttributeId, Vec<AttributeId>)>,
    /// What can be.
    held: Id,
}

impl World {
    fn is_open(&self, id: AttributeId) -> bool {
        self.from.contains(&id) || self.followers.iter().any(|(follower, _)| *follower == id)
    }
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
        let excused: Vec<&str> = broken(facts)
            .filter(|assumption| {
                let about = assumption.about.iter();
                let mut about = about.filter_map(|name| AttributeId::named(name));
                !about.any(|id| all_open.contains(&id))
            })
            .map(|assumption| assumption.says)
            .collect();
        let (mut ground, outcomes) = chart.copy(&excused)?;
        let mut world = ground.world(facts, open, open.unknown.to_vec())?;
        // What an unknown follows from gives way where it could not be otherwise, as little as can be.
        for id in open.unknown {
            let is_bound = |ground: &Ground, world: &World| ground.classes(world.held, *id).len() < 2;
            let mut added = Vec::new();
            for source in open::sources(*id) {
                let stays = open.given.contains(&source) || world.from.contains(&source);
                if is_bound(&ground, &world) && !stays {
                    let from = world.from.iter().copied().chain([source]).collect();
                    world = ground.world(facts, open, from)?;
                    added.push(source);
                }
            }
            for source in added {
                let from = world.from.iter().copied().filter(|it| *it != source);
                let fewer = ground.world(facts, open, from.collect())?;
                if !is_bound(&ground, &fewer) {
                    world = fewer;
                }
            }
        }
        let mut limits = Vec::new();
        for id in open.unknown {
            limits.extend(ground.limit(facts, &world, *id)?);
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
        // What follows is told apart as well, as long as that is no more than can be read.
        let few = answers.len() <= MOST_ANSWERS;
        let cases = match few {
            true => self.cases(whole, self.world, &answers).ok().flatten(),
            false => None,
        };
        let cases = match cases {
            Some(cases) => {
                unknown.extend(of_followers.into_iter().filter(|(_, matters)| *matters));
                Some(cases)
            }
            None if few => {
                let can_be = self.asked(self.world);
                let cases = can_be.and_then(|can_be| self.cases(asked, can_be, &answers));
                cases.ok().flatten()
            }
            None => None,
        };
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
        let asked = self.unknown.iter().copied().filter(differs);
        let with = asked.map(|id| (id, id.show(&facts))).collect();
        (decided == decision).then(|| Answer {
            decision,
            by: clause_name(self.policy, decision.by),
            with,
        })
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
        // What is told in the same words is one case: of many answers those of one clause and kind.
        let is_long = answers.len() > MOST_TOLD;
        let told = |bits: u32| -> Vec<String> {
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
        };
        let mut groups: Vec<(Vec<String>, Vec<u32>, f64)> = Vec::new();
        for (bits, share) in shares.into_iter().filter(|(bits, _)| *bits != 0) {
            let words = told(bits);
            match groups.iter_mut().find(|(known, ..)| *known == words) {
                Some((_, all, sum)) => {
                    all.push(bits);
                    *sum += share;
                }
                None => groups.push((words, vec![bits], share)),
            }
        }
        let usual = (0..groups.len()).max_by(|one, other| {
            let share = |at: &usize| groups.get(*at).map_or(0.0, |(.., share)| *share);
            share(one).total_cmp(&share(other))
        });
        let Some(usual) = usual else {
            return Ok(None);
        };
        let assumed = std::mem::replace(&mut self.ground.assumed, can_be);
        let names = Names::new(&[(self.policy.program(), &Vocabulary::default())]);
        let mut cases = Vec::new();
        let mut lines = 0;
        for (at, (_, all, _)) in groups.iter().enumerate() {
            let mut conditions = Vec::new();
            if at != usual {
                let holds = |bits: u32| u32::from(all.contains(&bits));
                let holds = self.ground.arena.mapped(root, holds)?;
                let regions = self.ground.regions(holds, &names, MOST_CASES)?;
                lines += regions.all.len();
                if regions.is_cut || lines > MOST_CASES {
                    self.ground.assumed = assumed;
                    return Ok(None);
                }
                conditions.extend(regions.all.into_iter().map(|region| region.text));
            }
            cases.push(Case {
                conditions,
                answers: places(all.iter().fold(0, |all, bits| all | bits)),
            });
        }
        self.ground.assumed = assumed;
        // The one without a condition comes last.
        cases.sort_by_key(|case| (case.conditions.is_empty(), case.answers.clone()));
        Ok(Some(cases))
    }
}

impl Ground {
    /// What classes an attribute can have in a diagram of what can be.
    fn classes(&self, held: Id, id: AttributeId) -> Runs {
        let anything = Cube::anything(self.space.domains().count());
        self.arena.occurring(held, &anything, self.space.var(id))
    }

    /// The classes of all attributes that stay as they are.
    fn fixed_but(
        &self,
        facts: &Facts,
        is_open: &dyn Fn(AttributeId) -> bool,
    ) -> Vec<(Var, ClassId)> {
        let vector = self.vector(facts);
        let all = (0..).zip(vector);
        let is_fixed = |(var, _): &(Var, ClassId)| {
            let domain = self.space.domain(*var);
            domain.is_none_or(|domain| !is_open(domain.attribute))
        };
        all.filter(is_fixed).collect()
    }

    /// What can be where some facts, and what follows from them, are open. What was seen stays as it
    /// was as long as what it follows from does.
    fn world(
        &mut self,
        facts: &Facts,
        open: &Open<'_>,
        from: Vec<AttributeId>,
    ) -> Result<World, OverBudget> {
        let followers = open::followers(facts, open, &from);
        let mut world = World {
            from,
            followers,
            held: Id::YES,
        };
        let fixed = self.fixed_but(facts, &|id| world.is_open(id));
        world.held = self.fixed(self.assumed, &fixed)?;
        if open.is_seen {
            let bound = world.followers.clone().into_iter();
            let sources = world.from.iter().filter(|id| !open.unknown.contains(id));
            let sources = sources.map(|source| {
                let is_its = |id: &&AttributeId| open::sources(**id).contains(source);
                let causes = open.unknown.iter().filter(is_its).copied();
                (*source, causes.collect::<Vec<_>>())
            });
            for (id, causes) in bound.chain(sources).collect::<Vec<_>>() {
                let mut holds = self.as_seen(facts, id)?;
                for cause in causes {
                    let seen = self.as_seen(facts, cause)?;
                    let otherwise = self.arena.not(seen)?;
                    holds = self.arena.or(holds, otherwise)?;
                }
                world.held = self.arena.and(world.held, holds)?;
            }
        }
        Ok(world)
    }

    /// Where an attribute is as it was seen.
    fn as_seen(&mut self, facts: &Facts, id: AttributeId) -> Result<Id, OverBudget> {
        let vars = [Some(self.space.var(id)), self.space.fine(id)];
        let mut all = Id::YES;
        for var in vars.into_iter().flatten() {
            let own = self.space.class(var, facts);
            let same = self.arena.test(var, |class| class == own)?;
            all = self.arena.and(all, same)?;
        }
        Ok(all)
    }

    /// What an unknown is limited to by facts that stay as they are, and by which of them.
    fn limit(
        &mut self,
        facts: &Facts,
        world: &World,
        id: AttributeId,
    ) -> Result<Option<Limit>, OverBudget> {
        let can_be = self.classes(world.held, id);
        let all = self.classes(self.assumed, id);
        if can_be.len() >= all.len() {
            return Ok(None);
        }
        // Of all that stays, what can be left away without letting in more is no reason.
        let is_reason = |given: &AttributeId| *given != id && !world.is_open(*given);
        let mut reasons: Vec<AttributeId> = AttributeId::all().filter(is_reason).collect();
        // What was seen first is the reason rather than what follows.
        for given in reasons.clone().into_iter().rev() {
            let mut fewer = reasons.clone();
            fewer.retain(|it| *it != given);
            let fixed = self.fixed_but(facts, &|id| !fewer.contains(&id));
            let held = self.fixed(self.assumed, &fixed)?;
            if self.classes(held, id).len() <= can_be.len() {
                reasons = fewer;
            }
        }
        let Some(domain) = self.space.domain(self.space.var(id)) else {
            return Ok(None);
        };
        let of = |runs: &Runs| -> Vec<&Class> {
            let all = (0..).zip(&domain.classes);
            let some = all.filter(|(at, _)| runs.contains(*at));
            some.map(|(_, class)| class).collect()
        };
        Ok((!reasons.is_empty()).then(|| Limit {
            attribute: id,
            condition: condition(id, &of(&can_be), &of(&all)),
            by: reasons
                .into_iter()
                .map(|it| (it, it.show(facts)))
                .collect(),
        }))
    }

    /// A diagram without asking for an attribute: what is possible with any value of it.
    fn forgetting(&mut self, root: Id, id: AttributeId) -> Result<Id, OverBudget> {
        let mut root = root;
        for var in self.space.fine(id).into_iter().chain([self.space.var(id)]) {
            root = self.whatever(root, var)?;
        }
        Ok(root)
    }
}

fn places(bits: u32) -> Vec<usize> {
    (0..MOST_ANSWERS)
        .filter(|place| bits >> place & 1 != 0)
        .collect()
}

/// What classes of an attribute have in common, as a policy would say it.
fn condition(attribute: AttributeId, some: &[&Class], possible: &[&Class]) -> String {
    let name = attribute.row().name;
    let word = |class: &Class| member(attribute, class);
    if let [only] = some {
        return match (&only.member, attribute.row().kind) {
            (Member::Flag(true), _) => name.to_owned(),
            (Member::Flag(false), _) => format!("not {name}"),
            (Member::Set(_), _) => format!("{name} are like {}", word(only)),
            _ => format!("{name}={}", word(only)),
        };
    }
    if some.len() * 2 > possible.len() {
        let is_other = |class: &&&Class| !some.iter().any(|it| std::ptr::eq(*it, **class));
        let others: Vec<String> = possible
            .iter()
            .filter(is_other)
            .map(|it| word(it))
            .collect();
        return match others.as_slice() {
            [only] => format!("{name}!={only}"),
            _ => format!("{name} not in {{ {} }}", others.join(", ")),
        };
    }
    let words: Vec<String> = some.iter().map(|class| word(class)).collect();
    format!("{name} in {{ {} }}", words.join(", "))
}

/// A class as it is written.
fn member(attribute: AttributeId, class: &Class) -> String {
    if let [(first, last)] = class.ranges.as_slice() {
        return match first == last {
            true => of_number(*first).to_string(),
            false => format!("{}–{}", of_number(*first), of_number(*last)),
        };
    }
    let mut facts = Facts::default();
    class.member.put(attribute, &mut facts);
    match attribute.row().kind {
        Kind::Address { get, .. } => get(&facts).class().name().to_owned(),
        Kind::Header { words, class, .. } => words
            .get(usize::from(class(&facts)))
            .map_or_else(String::new, |word| word.name.to_owned()),
        Kind::Flag { .. } | Kind::Enum { .. } | Kind::Set { .. } | Kind::Text { .. } => {
            attribute.show(&facts)
        }
    }
}
