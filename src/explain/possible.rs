//! What is possible where some facts are not known: every answer there is, which unknown makes the
//! difference, and the smallest split by them.

use std::collections::BTreeMap;

use super::nearest::clause_name;
use super::ways::BUDGET;
use crate::analysis::{Class, ClassId, Ground, Id, Member, OverBudget, Var};
use crate::compile::networks::of_number;
use crate::decide::{Decision, decide};
use crate::facts::assumptions::{Assumption, broken};
use crate::facts::{AttributeId, Facts, Kind};
use crate::policy::Policy;

/// How many cases a split may have before it is no help any more.
const MOST_CASES: usize = 6;

/// How many answers are told apart in cases: one bit each.
const MOST_ANSWERS: usize = 30;

/// What follows from a fact, so that it is not known where that is not.
const FOLLOWERS: &[(&str, &[&str])] = &[
    (
        "transport",
        &[
            "peer",
            "tls",
            "same-host",
            "peer-is-own",
            "client-ip",
            "ingress",
        ],
    ),
    ("peer", &["same-host", "peer-is-own", "client-ip"]),
    ("same-host", &["peer-is-own"]),
    ("peer-is-proxy", &["ingress", "client-ip"]),
    ("host", &["same-origin"]),
    ("origin", &["same-origin", "origin-allowed"]),
    ("client-ip", &["peer", "same-host", "peer-is-own"]),
    ("forwarded", &["ingress", "client-ip"]),
    ("ingress", &["forwarded", "peer-is-proxy", "client-ip"]),
    ("client", &["mode"]),
    ("role", &["outside-role"]),
    ("scopes", &["outside-role"]),
    ("auth", &["auth-failure", "secret-sent"]),
    ("auth-failure", &["auth", "secret-sent"]),
    ("device", &["pairing"]),
    (
        "pairing",
        &["role-upgrade", "scope-upgrade", "metadata-upgrade"],
    ),
    ("role-upgrade", &["pairing"]),
    ("scope-upgrade", &["pairing"]),
    ("metadata-upgrade", &["pairing"]),
    (
        "setting.auth-mode",
        &["auth", "auth-failure", "secret-sent"],
    ),
];

/// What can come of a connection of which some facts are not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Possible {
    /// Every answer that is possible, the widest last: what is decided, by what.
    pub answers: Vec<Answer>,
    /// What is not known: whether it makes a difference.
    pub unknown: Vec<(AttributeId, bool)>,
    /// The answers by what is not known, from the first that fits; nothing where there are too
    /// many cases. The last has no condition.
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
    /// What they have: all of it. Without any, all that are left.
    pub conditions: Vec<String>,
    /// The places of the answers among all; several where something else that is not known makes
    /// the difference.
    pub answers: Vec<usize>,
}

/// The facts that are not known where some are not, without those that are given.
#[must_use]
pub fn open(unknown: &[AttributeId], given: &[AttributeId]) -> Vec<AttributeId> {
    let mut open = unknown.to_vec();
    let mut at = 0;
    while let Some(id) = open.get(at).copied() {
        at += 1;
        // What follows from what follows is no more known.
        let name = id.row().name;
        let row = FOLLOWERS.iter().find(|(known, _)| *known == name);
        let names = row.map_or(&[][..], |(_, names)| names);
        // Which headers a proxy leaves is no more known than whether there are any.
        let headers = AttributeId::all()
            .filter(|id| name == "forwarded" && id.row().name.starts_with("forwarded-"));
        let others = names.iter().filter_map(|name| AttributeId::named(name));
        for follower in headers.chain(others) {
            if !open.contains(&follower) && !given.contains(&follower) {
                open.push(follower);
            }
        }
    }
    open
}

/// What is possible of a connection, `unknown` not being known; `given` are facts that stay as
/// they are although they would follow. Nothing where finding it takes more than it may.
#[must_use]
pub fn possible(
    policy: &Policy,
    facts: &Facts,
    unknown: &[AttributeId],
    given: &[AttributeId],
) -> Option<Possible> {
    Search::new(policy, facts, unknown, given)
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
    unknown: &'a [AttributeId],
    open: Vec<AttributeId>,
}

impl<'a> Search<'a> {
    fn new(
        policy: &'a Policy,
        facts: &'a Facts,
        unknown: &'a [AttributeId],
        given: &[AttributeId],
    ) -> Result<Self, OverBudget> {
        let open = open(unknown, given);
        let excused: Vec<&str> = broken(facts)
            .filter(|assumption| {
                let about = assumption.about.iter();
                let mut about = about.filter_map(|name| AttributeId::named(name));
                !about.any(|id| open.contains(&id))
            })
            .map(|assumption| assumption.says)
            .collect();
        let kept = |assumption: &Assumption| !excused.contains(&assumption.says);
        let mut ground = Ground::excusing(&[policy.program()], BUDGET, &kept)?;
        let outcomes = ground.outcomes(policy.program())?;
        let vector = ground.vector(facts);
        let is_open = |var: Var, ground: &Ground| {
            let domain = ground.space.domain(var);
            domain.is_some_and(|domain| open.contains(&domain.attribute))
        };
        let all = (0..).zip(vector.iter().copied());
        let fixed: Vec<(Var, ClassId)> = all.filter(|(var, _)| !is_open(*var, &ground)).collect();
        let root = ground.fixed(outcomes.root, &fixed)?;
        Ok(Search {
            policy,
            facts,
            ground,
            decisions: outcomes.decisions,
            root,
            unknown,
            open,
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
        // What follows is told apart as well, as long as that is no more than can be read.
        let few = answers.len() <= MOST_ANSWERS;
        let mut cases = self.cases(whole).filter(|_| few);
        if cases.is_some() {
            let follows = |id: &AttributeId| !self.unknown.contains(id);
            let followers = self.open.iter().copied().filter(follows).collect();
            let all = self.mattering(whole, followers)?;
            unknown.extend(all.into_iter().filter(|(_, matters)| *matters));
        } else {
            cases = self.cases(asked).filter(|_| few);
        }
        Ok(Possible {
            answers,
            unknown,
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
        for id in self.open.clone() {
            if !self.unknown.contains(&id) {
                root = self.without(root, id)?;
            }
        }
        Ok(root)
    }

    /// The same without asking for an attribute: what is possible with any value of it.
    fn without(&mut self, root: Id, id: AttributeId) -> Result<Id, OverBudget> {
        let mut root = root;
        let fine = self.ground.space.fine(id);
        for var in fine.into_iter().chain([self.ground.space.var(id)]) {
            root = self.ground.whatever(root, var)?;
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
            let joined = self.without(root, id)?;
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

    /// A list of cases, from the first that fits.
    fn cases(&self, root: Id) -> Option<Vec<Case>> {
        let shares = self.ground.arena.shares(root);
        let usual = shares
            .iter()
            .filter(|(value, _)| **value != 0)
            .max_by(|one, other| one.1.total_cmp(other.1))
            .map(|(value, _)| *value)?;
        let mut cases = Vec::new();
        if !self.paths(root, usual, &mut Vec::new(), &mut cases) {
            return None;
        }
        cases.push(Case {
            conditions: Vec::new(),
            answers: places(usual),
        });
        Some(cases)
    }

    /// The cases of all that is not usual; whether there are not too many.
    fn paths(
        &self,
        id: Id,
        usual: u32,
        conditions: &mut Vec<String>,
        cases: &mut Vec<Case>,
    ) -> bool {
        if let Some(value) = id.as_value() {
            if value != usual && value != 0 {
                cases.push(Case {
                    conditions: conditions.clone(),
                    answers: places(value),
                });
            }
            return cases.len() <= MOST_CASES;
        }
        let Some((var, edges)) = self.ground.arena.at(id) else {
            return true;
        };
        let Some(domain) = self.ground.space.domain(var) else {
            return true;
        };
        // Classes that lead to one place are one case.
        let mut places: Vec<(Id, Vec<usize>)> = Vec::new();
        let mut first = 0;
        for edge in edges {
            let classes = first as usize..=edge.last as usize;
            first = edge.last.saturating_add(1);
            match places.iter_mut().find(|(to, _)| *to == edge.to) {
                Some((_, known)) => known.extend(classes),
                None => places.push((edge.to, classes.collect())),
            }
        }
        // What cannot be is nobody's case.
        places.retain(|(to, _)| *to != Id::NO);
        let classes = |places: &[usize]| -> Vec<&Class> {
            let found = places.iter().filter_map(|at| domain.classes.get(*at));
            found.collect()
        };
        let possible: Vec<usize> = places.iter().flat_map(|(_, some)| some.clone()).collect();
        let is_split = places.len() > 1;
        for (to, some) in places {
            if is_split {
                let told = condition(domain.attribute, &classes(&some), &classes(&possible));
                conditions.push(told);
            }
            let few = self.paths(to, usual, conditions, cases);
            if is_split {
                conditions.pop();
            }
            if !few {
                return false;
            }
        }
        true
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
