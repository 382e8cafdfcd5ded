//! What would have to be otherwise: all smallest sets of steps by which a connection comes to a
//! value of a diagram.
//!
//! A step is something that somebody does, and may move several facts; which steps a fact takes to
//! move is for the caller to say ([`Moves`]). Facts that follow from others move with them, because
//! no path of a diagram leads through what no connection can be.

use rustc_hash::FxHashMap;

use super::assumed::assumed_but;
use super::diagram::{Budget, ClassId, Edge, Id, OverBudget, Var};
use super::ground::Ground;
use super::witness::Vector;
use crate::compile::Program;
use crate::facts::assumptions::{ASSUMPTIONS, Assumption};
use crate::facts::{AttributeId, Facts};

/// A set of steps: one bit each.
pub(crate) type Steps = u32;

/// How a fact comes to a value: sets of steps of which each is enough. Without one it cannot; the
/// empty set is what follows by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Move {
    pub(crate) by: Vec<Steps>,
    /// Of several values, the one with the least is taken.
    pub(crate) weight: u32,
}

/// How each variable comes from its own class to each other one: runs of classes.
#[derive(Clone, Debug)]
pub(crate) struct Moves {
    of: Vec<Vec<(ClassId, Move)>>,
}

impl Moves {
    /// Whether some steps are enough for a variable to come to a class.
    pub(crate) fn allow(&self, var: Var, class: ClassId, steps: Steps) -> bool {
        let runs = self.of.get(usize::from(var)).map_or(&[][..], Vec::as_slice);
        let at = runs.partition_point(|(last, _)| *last < class);
        let found = runs.get(at).map_or(&[][..], |(_, found)| &found.by);
        found.iter().any(|needed| needed & !steps == 0)
    }
}

/// What has to be done to get to a value, from a place in a diagram on; the sets are the smallest.
type Least = FxHashMap<Id, Vec<Steps>>;

impl Ground {
    /// Over what some programs can tell apart, with assumptions that need not hold.
    pub(crate) fn excusing(
        programs: &[&Program],
        budget: Budget,
        is_kept: &dyn Fn(&Assumption) -> bool,
    ) -> Result<Self, OverBudget> {
        let mut ground = Ground::new(programs, &[], budget)?;
        if !ASSUMPTIONS.iter().all(is_kept) {
            ground.assumed = assumed_but(&ground.space, &mut ground.arena, is_kept)?;
        }
        Ok(ground)
    }

    /// How a connection can move: `how` says it of an attribute and facts that differ in that alone.
    pub(crate) fn moves(&self, from: &Facts, how: impl Fn(AttributeId, &Facts) -> Move) -> Moves {
        let own = Move {
            by: vec![0],
            weight: 0,
        };
        let of_var = |(var, domain): (Var, &super::domain::Domain)| {
            let own_class = self.space.class(var, from);
            let mut runs: Vec<(ClassId, Move)> = Vec::new();
            for (at, class) in (0..).zip(&domain.classes) {
                let found = if at == own_class {
                    own.clone()
                } else {
                    let mut to = from.clone();
                    class.member.put(domain.attribute, &mut to);
                    how(domain.attribute, &to)
                };
                match runs.last_mut() {
                    Some((last, before)) if *before == found && at != own_class => *last = at,
                    _ => runs.push((at, found)),
                }
            }
            runs
        };
        Moves {
            of: self.space.domains().map(of_var).collect(),
        }
    }

    /// A diagram in which some variables have a class, and are asked for no more.
    pub(crate) fn fixed(&mut self, root: Id, classes: &[(Var, ClassId)]) -> Result<Id, OverBudget> {
        self.fixed_from(root, classes, &mut FxHashMap::default())
    }

    fn fixed_from(
        &mut self,
        id: Id,
        classes: &[(Var, ClassId)],
        known: &mut FxHashMap<Id, Id>,
    ) -> Result<Id, OverBudget> {
        if let Some(known) = known.get(&id) {
            return Ok(*known);
        }
        let last = classes.iter().map(|(var, _)| *var).max();
        // Nothing is fixed behind the last of them.
        let Some((var, edges)) = self.arena.at(id).filter(|it| Some(it.0) <= last) else {
            return Ok(id);
        };
        let own = classes.iter().find(|(fixed, _)| *fixed == var);
        let found = if let Some((_, own)) = own {
            let to = self.arena.child(id, *own);
            self.fixed_from(to, classes, known)?
        } else {
            let mut edges: Vec<Edge> = edges.to_vec();
            for edge in &mut edges {
                edge.to = self.fixed_from(edge.to, classes, known)?;
            }
            self.arena.make(var, edges)?
        };
        known.insert(id, found);
        Ok(found)
    }

    /// All smallest sets of at most so many steps by which a connection comes to a value that is
    /// wanted: none of them is part of another.
    pub(crate) fn least_steps(
        &self,
        root: Id,
        wanted: &impl Fn(u32) -> bool,
        moves: &Moves,
        most: u32,
    ) -> Vec<Steps> {
        let mut known = Least::default();
        self.least_from(root, wanted, moves, most, &mut known);
        known.remove(&root).unwrap_or_default()
    }

    fn least_from(
        &self,
        id: Id,
        wanted: &impl Fn(u32) -> bool,
        moves: &Moves,
        most: u32,
        known: &mut Least,
    ) {
        if known.contains_key(&id) {
            return;
        }
        let mut found = Vec::new();
        if let Some(value) = id.as_value() {
            found.extend(wanted(value).then_some(0));
        }
        for (_, to, found_by) in self.onward(id, moves) {
            if found_by.by.is_empty() {
                continue;
            }
            self.least_from(to, wanted, moves, most, known);
            for behind in known.get(&to).into_iter().flatten() {
                let whole = found_by.by.iter().map(|steps| steps | behind);
                found.extend(whole.filter(|steps| steps.count_ones() <= most));
            }
        }
        known.insert(id, smallest(found));
    }

    /// Where each class of a node's variable leads, by runs that move alike: the first class of each.
    fn onward<'a>(
        &'a self,
        id: Id,
        moves: &'a Moves,
    ) -> impl Iterator<Item = (ClassId, Id, &'a Move)> {
        let (var, edges) = self.arena.at(id).unwrap_or((0, &[]));
        let runs = moves
            .of
            .get(usize::from(var))
            .map_or(&[][..], Vec::as_slice);
        let (mut edge, mut run, mut first) = (0, 0, 0);
        std::iter::from_fn(move || {
            let (to, (last, found)) = (edges.get(edge)?, runs.get(run)?);
            let step = (first, to.to, found);
            let end = to.last.min(*last);
            edge += usize::from(to.last == end);
            run += usize::from(*last == end);
            first = end.saturating_add(1);
            Some(step)
        })
    }

    /// The connection that some steps lead to, with as little otherwise as can be: a value that is
    /// wanted, by moves that need no more than these steps.
    pub(crate) fn moved(
        &self,
        root: Id,
        wanted: &impl Fn(u32) -> bool,
        from: &[ClassId],
        moves: &Moves,
        steps: Steps,
    ) -> Option<Vector> {
        let mut known: FxHashMap<Id, Option<(u32, ClassId)>> = FxHashMap::default();
        self.moved_from(root, wanted, moves, steps, &mut known)?;
        let mut vector = from.to_vec();
        let mut id = root;
        while let Some((var, _)) = self.arena.at(id) {
            let (_, class) = (*known.get(&id)?)?;
            if let Some(place) = vector.get_mut(usize::from(var)) {
                *place = class;
            }
            id = self.arena.child(id, class);
        }
        Some(vector)
    }

    fn moved_from(
        &self,
        id: Id,
        wanted: &impl Fn(u32) -> bool,
        moves: &Moves,
        steps: Steps,
        known: &mut FxHashMap<Id, Option<(u32, ClassId)>>,
    ) -> Option<u32> {
        if let Some(value) = id.as_value() {
            return wanted(value).then_some(0);
        }
        if let Some(known) = known.get(&id) {
            return known.map(|(weight, _)| weight);
        }
        let mut best: Option<(u32, ClassId)> = None;
        for (class, to, found) in self.onward(id, moves) {
            if !found.by.iter().any(|needed| needed & !steps == 0) {
                continue;
            }
            let Some(behind) = self.moved_from(to, wanted, moves, steps, known) else {
                continue;
            };
            let whole = behind.saturating_add(found.weight);
            if best.is_none_or(|(weight, _)| whole < weight) {
                best = Some((whole, class));
            }
        }
        known.insert(id, best);
        best.map(|(weight, _)| weight)
    }
}

/// Those sets of which no other is a part, each once.
pub(crate) fn smallest(mut sets: Vec<Steps>) -> Vec<Steps> {
    sets.sort_unstable_by_key(|steps| (steps.count_ones(), *steps));
    sets.dedup();
    let mut kept: Vec<Steps> = Vec::new();
    for steps in sets {
        if kept.iter().all(|known| known & !steps != 0) {
            kept.push(steps);
        }
    }
    kept
}

impl Ground {
    /// What is possible whatever a variable is: the bits of all its classes together.
    pub(crate) fn whatever(&mut self, root: Id, var: Var) -> Result<Id, OverBudget> {
        self.whatever_from(root, var, &mut FxHashMap::default())
    }

    fn whatever_from(
        &mut self,
        id: Id,
        var: Var,
        known: &mut FxHashMap<Id, Id>,
    ) -> Result<Id, OverBudget> {
        if let Some(known) = known.get(&id) {
            return Ok(*known);
        }
        let Some((asked, edges)) = self.arena.at(id) else {
            return Ok(id);
        };
        if asked > var {
            return Ok(id);
        }
        let mut edges: Vec<Edge> = edges.to_vec();
        let found = if asked == var {
            let mut all = Id::value(0);
            for edge in edges {
                let mut either = |one: u32, other: u32| one | other;
                all = self.arena.combined(all, edge.to, &mut either)?;
            }
            all
        } else {
            for edge in &mut edges {
                edge.to = self.whatever_from(edge.to, var, known)?;
            }
            self.arena.make(asked, edges)?
        };
        known.insert(id, found);
        Ok(found)
    }
}
