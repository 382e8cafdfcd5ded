//! What can be where some facts of a connection are open, as a diagram, and what limits them.

use super::open::{self, Open};
use crate::analysis::{Class, ClassId, Cube, Ground, Id, Member, OverBudget, Runs, Var};
use crate::compile::networks::of_number;
use crate::facts::assumptions::ASSUMPTIONS;
use crate::facts::{AttributeId, Facts, Kind};

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

/// What is open, and what can be of it.
pub(super) struct World {
    /// What is not known, and what gives way for it.
    pub(super) from: Vec<AttributeId>,
    /// What follows from those, each with what it follows from.
    pub(super) followers: Vec<(AttributeId, Vec<AttributeId>)>,
    /// What can be.
    pub(super) held: Id,
}

impl World {
    pub(super) fn is_open(&self, id: AttributeId) -> bool {
        self.from.contains(&id) || self.followers.iter().any(|(follower, _)| *follower == id)
    }

    /// What can be of a connection of which something is not known.
    pub(super) fn new(
        ground: &mut Ground,
        facts: &Facts,
        open: &Open<'_>,
    ) -> Result<Self, OverBudget> {
        let mut world = World::from(ground, facts, open, open.unknown.to_vec())?;
        // What an unknown follows from gives way where it could not be otherwise, as little as can be.
        for id in open.unknown {
            let is_bound =
                |ground: &Ground, world: &World| ground.classes(world.held, *id).len() < 2;
            let mut added = Vec::new();
            for source in open::sources(*id) {
                let stays = open.given.contains(&source) || world.from.contains(&source);
                if is_bound(ground, &world) && !stays {
                    let from = world.from.iter().copied().chain([source]).collect();
                    world = World::from(ground, facts, open, from)?;
                    added.push(source);
                }
            }
            for source in added {
                let from = world.from.iter().copied().filter(|it| *it != source);
                let fewer = World::from(ground, facts, open, from.collect())?;
                if !is_bound(ground, &fewer) {
                    world = fewer;
                }
            }
        }
        Ok(world)
    }

    /// What can be where some facts, and what follows from them, are open. What was seen stays as it
    /// was as long as what it follows from does.
    fn from(
        ground: &mut Ground,
        facts: &Facts,
        open: &Open<'_>,
        from: Vec<AttributeId>,
    ) -> Result<Self, OverBudget> {
        let followers = open::followers(facts, open, &from);
        let mut world = World {
            from,
            followers,
            held: Id::YES,
        };
        let fixed = ground.fixed_but(facts, &|id| world.is_open(id));
        world.held = ground.fixed(ground.assumed, &fixed)?;
        if open.is_seen {
            let bound = world.followers.clone().into_iter();
            let sources = world.from.iter().filter(|id| !open.unknown.contains(id));
            let sources = sources.map(|source| {
                let is_its = |id: &&AttributeId| open::sources(**id).contains(source);
                let causes = open.unknown.iter().filter(is_its).copied();
                (*source, causes.collect::<Vec<_>>())
            });
            for (id, causes) in bound.chain(sources).collect::<Vec<_>>() {
                let mut holds = ground.as_seen(facts, id)?;
                for cause in causes {
                    let seen = ground.as_seen(facts, cause)?;
                    let otherwise = ground.arena.not(seen)?;
                    holds = ground.arena.or(holds, otherwise)?;
                }
                world.held = ground.arena.and(world.held, holds)?;
            }
        }
        Ok(world)
    }

    /// What an unknown is limited to by facts that stay as they are, and by which of them.
    pub(super) fn limit(
        &self,
        ground: &mut Ground,
        facts: &Facts,
        id: AttributeId,
    ) -> Result<Option<Limit>, OverBudget> {
        // On another lane all is otherwise, and nobody asks about that.
        let lane = AttributeId::named("transport").filter(|it| !self.is_open(*it));
        let kept = |ground: &mut Ground, reasons: &[AttributeId]| {
            let stays = |it: AttributeId| lane == Some(it) || reasons.contains(&it);
            let fixed = ground.fixed_but(facts, &|it| !stays(it));
            let held = ground.fixed(ground.assumed, &fixed)?;
            Ok::<Runs, OverBudget>(ground.classes(held, id))
        };
        let can_be = ground.classes(self.held, id);
        let all = kept(ground, &[])?;
        if can_be.len() >= all.len() {
            return Ok(None);
        }
        let mut reasons = self.bounds(id);
        reasons.retain(|it| lane != Some(*it));
        // What was seen first is the reason rather than what follows.
        for given in reasons.clone().into_iter().rev() {
            let mut fewer = reasons.clone();
            fewer.retain(|it| *it != given);
            // What can be left away without letting in more is no reason.
            if kept(ground, &fewer)?.len() <= can_be.len() {
                reasons = fewer;
            }
        }
        let Some(domain) = ground.space.domain(ground.space.var(id)) else {
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
            by: reasons.into_iter().map(|it| (it, it.show(facts))).collect(),
        }))
    }

    /// What stays, and is tied by an assumption to an unknown, or to what is open beside it.
    fn bounds(&self, id: AttributeId) -> Vec<AttributeId> {
        let mut reached = vec![id];
        let mut bounds = Vec::new();
        let mut at = 0;
        while let Some(from) = reached.get(at).copied() {
            at += 1;
            let name = from.row().name;
            let about = ASSUMPTIONS.iter().filter(|it| it.about.contains(&name));
            let others = about.flat_map(|it| it.about);
            for other in others.filter_map(|name| AttributeId::named(name)) {
                let known = match self.is_open(other) {
                    true => &mut reached,
                    false => &mut bounds,
                };
                if !known.contains(&other) {
                    known.push(other);
                }
            }
        }
        bounds.sort_unstable();
        bounds
    }
}

impl Ground {
    /// What classes an attribute can have in a diagram of what can be.
    fn classes(&self, held: Id, id: AttributeId) -> Runs {
        let anything = Cube::anything(self.space.domains().count());
        self.arena.occurring(held, &anything, self.space.var(id))
    }

    /// The classes of all attributes that stay as they are.
    pub(super) fn fixed_but(
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

    /// A diagram without asking for an attribute: what is possible with any value of it.
    pub(super) fn forgetting(&mut self, root: Id, id: AttributeId) -> Result<Id, OverBudget> {
        let mut root = root;
        for var in self.space.fine(id).into_iter().chain([self.space.var(id)]) {
            root = self.whatever(root, var)?;
        }
        Ok(root)
    }
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
