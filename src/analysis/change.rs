//! What would have to be otherwise: all smallest sets of steps by which a connection comes to where
//! it is decided as somebody wants, or those of them that cost least.
//!
//! A step is something that somebody does, and may move several facts; which steps a fact takes to
//! move is for the caller to say ([`Moves`]). Facts that follow from others move with them, because
//! no path of a diagram leads through what no connection can be.

use rustc_hash::{FxBuildHasher, FxHashMap};

use super::assumed::assumed_but;
use super::diagram::{Arena, Budget, ClassId, Edge, Id, OverBudget, Var};
use super::ground::Ground;
use super::product::{Product, Run, Tracks};
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

impl Move {
    /// Whether some steps are enough.
    pub(super) fn can_be(&self, steps: Steps) -> bool {
        self.by.iter().any(|needed| needed & !steps == 0)
    }

    /// By itself.
    fn free() -> Self {
        Move {
            by: vec![0],
            weight: 0,
        }
    }
}

/// How each variable comes from its own class to each other one: runs of classes.
#[derive(Clone, Debug)]
pub(crate) struct Moves {
    of: Vec<Vec<(ClassId, Move)>>,
    /// How variables move of which nothing is said.
    others: [(ClassId, Move); 1],
}

impl Moves {
    /// Each variable may be anything, and nothing has to be done.
    pub(crate) fn free() -> Self {
        Moves {
            of: Vec::new(),
            others: [(ClassId::MAX, Move::free())],
        }
    }

    /// How a variable moves: runs of classes, each up to its last one.
    pub(super) fn runs(&self, var: Var) -> &[(ClassId, Move)] {
        let of = self.of.get(usize::from(var));
        of.map_or(&self.others, Vec::as_slice)
    }

    /// How a run of classes is come to.
    fn needed(&self, var: Var, run: Run) -> impl Iterator<Item = Steps> {
        let by = run.by.map(|by| self.runs(var).get(by as usize));
        let chosen = by.flatten().map_or(&[][..], |(_, found)| &found.by);
        let given = run.by.is_none().then_some(0);
        chosen.iter().copied().chain(given)
    }

    /// What a run of classes weighs, with the class of it that is taken.
    pub(crate) fn price(&self, var: Var, run: Run, from: &[ClassId]) -> (u32, ClassId) {
        match run.by.and_then(|by| self.runs(var).get(by as usize)) {
            Some((_, found)) => (found.weight, run.first),
            // What nobody chooses stays.
            None => (0, from.get(usize::from(var)).copied().unwrap_or_default()),
        }
    }

    /// Whether some steps are enough for a variable to come to a class.
    pub(crate) fn allow(&self, var: Var, class: ClassId, steps: Steps) -> bool {
        let runs = self.runs(var);
        let at = runs.partition_point(|(last, _)| *last < class);
        runs.get(at).is_some_and(|(_, found)| found.can_be(steps))
    }
}

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
        let own = Move::free();
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
            ..Moves::free()
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
}

/// All smallest sets of at most so many steps by which a connection comes to an end of a product:
/// none of them is part of another.
pub(crate) fn least_steps<const N: usize>(
    product: &Product<N>,
    moves: &Moves,
    most: u32,
) -> Vec<Steps> {
    let all = product.folded(
        |_| vec![0],
        |var, below| {
            let mut found: Vec<Steps> = Vec::new();
            for (run, behind) in below {
                for needed in moves.needed(var, run) {
                    let whole = behind.iter().map(|steps| steps | needed);
                    found.extend(whole.filter(|steps| steps.count_ones() <= most));
                }
            }
            smallest(found)
        },
    );
    all.into_iter().next_back().unwrap_or_default()
}

/// What a search for the cheapest steps goes by.
pub(crate) struct Search<'a> {
    /// What a set of steps costs: more than each of its parts, and not much.
    pub(crate) price: &'a dyn Fn(Steps) -> u32,
    /// How much more than the cheapest set one may cost that is found beside it.
    pub(crate) beside: u32,
    /// How many steps a set may have.
    pub(crate) most: u32,
    /// How many places may be looked at.
    pub(crate) places: usize,
}

impl Search<'_> {
    /// Those of the smallest sets that cost least, from the top of some tracks on, each with the steps
    /// that are taken before; nothing where that takes more than it may. `is_over` is as for a product,
    /// of the tracks at a place. What costs more than what is found is never looked at.
    pub(crate) fn cheapest<const N: usize>(
        &self,
        arena: &Arena,
        starts: &[(Tracks<'_, N>, Steps)],
        is_over: impl Fn(usize, &[Id; N]) -> bool,
    ) -> Option<Vec<Steps>> {
        let mut open = Open::new(self);
        for (start, (tracks, steps)) in starts.iter().enumerate() {
            if !is_over(start, &tracks.roots) {
                open.add((start, tracks.roots), *steps);
            }
        }
        let mut found: Vec<Steps> = Vec::new();
        let (mut price, mut most, mut taken) = (0, usize::MAX, 0);
        while price < open.by_price.len() && price <= most {
            let Some((steps, (start, at))) = open.by_price.get_mut(price).and_then(Vec::pop) else {
                price += 1;
                continue;
            };
            taken += 1;
            if taken > self.places {
                return None;
            }
            if found.iter().any(|known| known & !steps == 0) {
                continue;
            }
            let Some((tracks, _)) = starts.get(start) else {
                continue;
            };
            let Some(var) = Tracks::asks(arena, &at) else {
                found.push(steps);
                most = most.min(price.saturating_add(self.beside as usize));
                continue;
            };
            tracks.onward(arena, at, var, |run, to| {
                if is_over(start, &to) {
                    return;
                }
                for needed in tracks.moves.needed(var, run) {
                    open.add((start, to), steps | needed);
                }
            });
        }
        Some(smallest(found))
    }
}

/// Places that are still to be looked at.
struct Open<'a, 'b, const N: usize> {
    search: &'a Search<'b>,
    /// Where the steps are by which each was come to last.
    seen: FxHashMap<Reached<N>, usize>,
    /// Steps by which a place was come to, with where those are by which it was come to before.
    steps: Vec<(Steps, usize)>,
    by_price: Vec<Vec<(Steps, Reached<N>)>>,
}

/// A place, from one of several starts.
type Reached<const N: usize> = (usize, [Id; N]);

impl<'a, 'b, const N: usize> Open<'a, 'b, N> {
    fn new(search: &'a Search<'b>) -> Self {
        Open {
            search,
            seen: FxHashMap::with_capacity_and_hasher(USUALLY, FxBuildHasher),
            steps: Vec::with_capacity(USUALLY),
            by_price: Vec::new(),
        }
    }

    /// Adds a place, unless it was come to by as few steps.
    fn add(&mut self, place: Reached<N>, steps: Steps) {
        if steps.count_ones() > self.search.most {
            return;
        }
        let last = self.seen.entry(place).or_insert(usize::MAX);
        let mut before = *last;
        while let Some((known, next)) = self.steps.get(before) {
            if known & !steps == 0 {
                return;
            }
            before = *next;
        }
        self.steps.push((steps, *last));
        *last = self.steps.len() - 1;
        let price = (self.search.price)(steps) as usize;
        if self.by_price.len() <= price {
            self.by_price.resize_with(price + 1, Vec::new);
        }
        if let Some(open) = self.by_price.get_mut(price) {
            open.push((steps, place));
        }
    }
}

/// How many places a search comes to.
const USUALLY: usize = 4_096;

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
