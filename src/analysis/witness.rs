//! A connection for which something is so: of all of them the one that differs least from a given
//! one, with the values that are most usual where it differs.

use rustc_hash::FxHashMap;

use super::diagram::{ClassId, Id, Var};
use super::ground::Ground;
use crate::facts::assumptions::{Named, broken, complete};
use crate::facts::{AttributeId, Facts};

/// A vector of classes, one for each variable.
pub(crate) type Vector = Vec<ClassId>;

/// What it costs to have a variable in another class than it is; nothing where that cannot be.
pub(crate) type Cost<'a> = &'a dyn Fn(Var) -> Option<u32>;

/// Every change costs the same.
pub(crate) fn alike(_: Var) -> Option<u32> {
    Some(1)
}

impl Ground {
    /// The classes of facts.
    pub(crate) fn vector(&self, facts: &Facts) -> Vector {
        let vars = 0..self.arena.vars();
        vars.map(|var| self.space.class(var, facts)).collect()
    }

    /// A vector for which a diagram has a value that is looked for, with the least changes from
    /// another one; and what they cost.
    pub(crate) fn nearest(
        &self,
        root: Id,
        wanted: impl Fn(u32) -> bool,
        from: &[ClassId],
        cost: Cost<'_>,
    ) -> Option<(u32, Vector)> {
        let class = |var: Var| from.get(usize::from(var)).copied().unwrap_or_default();
        // From the values up: what it costs to get to one that is wanted, and by which class.
        let mut best: FxHashMap<Id, (u32, Option<ClassId>)> = FxHashMap::default();
        for id in self.arena.reached(root) {
            if let Some(value) = id.as_value() {
                if wanted(value) {
                    best.insert(id, (0, None));
                }
                continue;
            }
            let Some((var, edges)) = self.arena.at(id) else {
                continue;
            };
            let own = class(var);
            let mut found: Option<(u32, ClassId)> = None;
            let mut first = 0;
            for edge in edges {
                let is_own = first <= own && own <= edge.last;
                let change = if is_own { Some(0) } else { cost(var) };
                let to = if is_own { own } else { first };
                first = edge.last.saturating_add(1);
                let (Some(change), Some((behind, _))) = (change, best.get(&edge.to)) else {
                    continue;
                };
                let whole = change.saturating_add(*behind);
                // What stays as it is is preferred, then what comes first.
                let better = found.is_none_or(|(known, class)| {
                    whole < known || (whole == known && is_own && class != own)
                });
                if better {
                    found = Some((whole, to));
                }
            }
            if let Some((whole, to)) = found {
                best.insert(id, (whole, Some(to)));
            }
        }
        let (whole, _) = *best.get(&root)?;
        let mut vector = from.to_vec();
        let mut id = root;
        while let Some((_, Some(to))) = best.get(&id) {
            let Some((var, _)) = self.arena.at(id) else {
                break;
            };
            if let Some(place) = vector.get_mut(usize::from(var)) {
                *place = *to;
            }
            id = self.arena.child(id, *to);
        }
        Some((whole, vector))
    }

    /// Facts for which a diagram has a value that is looked for. The diagram leads to none that is
    /// wanted for what no connection can be.
    pub(crate) fn witness(&self, root: Id, wanted: impl Fn(u32) -> bool) -> Option<Facts> {
        let usual = self.vector(&Facts::default());
        let (_, vector) = self.nearest(root, wanted, &usual, &alike)?;
        Some(self.facts_of(&vector))
    }

    /// Facts of a vector that a connection can have.
    pub(crate) fn facts_of(&self, vector: &[ClassId]) -> Facts {
        let class = |var: Var| vector.get(usize::from(var)).copied().unwrap_or_default();
        let facts = self.space.facts(class);
        // Two addresses that may be the same one are put down each by itself.
        let mut same = facts.clone();
        same.client_ip = same.peer;
        let mut other = facts.clone();
        other.peer = other.client_ip;
        let keeps = |facts: &Facts| broken(facts).next().is_none() && self.vector(facts) == vector;
        [same, other].into_iter().find(keeps).unwrap_or(facts)
    }

    /// The same as flags of `gw explain`, each after a space.
    /// One at least: a connection is one of which something is said.
    pub(crate) fn told(&self, facts: &Facts) -> String {
        let mut named = self.named(facts);
        if named.is_empty() {
            named.extend(AttributeId::named("client"));
        }
        let told = named
            .into_iter()
            .map(|id| format!(" --fact {}", crate::claims::fact(id, facts)));
        told.collect()
    }

    /// Facts of which only those are said that have to be, and the rest followed.
    #[cfg(test)]
    pub(crate) fn said(&self, facts: &Facts) -> Facts {
        said(facts, &self.named(facts))
    }

    /// The facts that have to be said so that all of them follow, by name; those that follow from
    /// others or are as usual are left out.
    pub(crate) fn named(&self, facts: &Facts) -> Vec<AttributeId> {
        let vector = self.vector(facts);
        let usual = Facts::default();
        let differs = |id: &AttributeId| id.show(facts) != id.show(&usual);
        let mut named: Vec<AttributeId> = AttributeId::all().filter(differs).collect();
        // Each that follows from the others need not be said. What is found out later follows more
        // often from what is known before.
        for id in named.clone().into_iter().rev() {
            let others: Vec<AttributeId> = named.iter().copied().filter(|it| *it != id).collect();
            if self.vector(&said(facts, &others)) == vector {
                named = others;
            }
        }
        named
    }
}

/// Facts of which only some are said, and the rest follows.
fn said(facts: &Facts, named: &[AttributeId]) -> Facts {
    let mut told = Facts::default();
    let mut names = Named::default();
    for id in named {
        id.copy(facts, &mut told);
        names.add(*id);
    }
    complete(&mut told, &names, |_| true);
    told
}
