//! Some diagrams side by side, without a diagram made of them: the places that one connection comes
//! to in each, with the ways between these places that lead where somebody wants to go.
//!
//! Where something is asked once, this costs less than a diagram.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::change::{Moves, Steps};
use super::diagram::{Arena, ClassId, Id, OverBudget, Var};
use super::witness::Vector;

/// Diagrams that a connection is led through, and how it may be led.
#[derive(Clone, Debug)]
pub(crate) struct Tracks<'a, const N: usize> {
    pub(crate) roots: [Id; N],
    /// Variables that nobody chooses, with the class that each diagram finds there.
    pub(crate) pinned: Vec<(Var, [ClassId; N])>,
    /// How each variable may move.
    pub(crate) moves: &'a Moves,
    /// By which steps.
    pub(crate) steps: Steps,
}

/// Classes of a variable that lead on alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) first: ClassId,
    pub(crate) last: ClassId,
    /// Which of the moves of the variable it takes; nothing where nobody chooses.
    pub(crate) by: Option<u32>,
}

impl Run {
    /// Whether a class is one of it.
    pub(crate) fn has(self, class: ClassId) -> bool {
        self.first <= class && class <= self.last
    }

    /// Whether another one goes on where this ends, by the same move.
    fn is_before(self, other: Run) -> bool {
        self.by == other.by && self.last.saturating_add(1) == other.first
    }
}

impl<'a, const N: usize> Tracks<'a, N> {
    /// Through some diagrams, as the connection likes.
    pub(crate) fn free(roots: [Id; N], moves: &'a Moves) -> Self {
        Tracks {
            roots,
            pinned: Vec::new(),
            moves,
            steps: Steps::MAX,
        }
    }

    /// What is asked next; nothing where all are at an end.
    pub(super) fn asks(arena: &Arena, at: &[Id; N]) -> Option<Var> {
        let asked = at.iter().filter_map(|id| Some(arena.at(*id)?.0));
        asked.min()
    }

    /// Leads on to each next place.
    pub(super) fn onward(
        &self,
        arena: &Arena,
        at: [Id; N],
        var: Var,
        mut led: impl FnMut(Run, [Id; N]),
    ) {
        if let Some((_, classes)) = self.pinned.iter().find(|(pinned, _)| *pinned == var) {
            let mut to = at;
            for (to, class) in to.iter_mut().zip(classes) {
                *to = arena.under(*to, var, *class);
            }
            let run = Run {
                first: 0,
                last: ClassId::MAX,
                by: None,
            };
            return led(run, to);
        }
        let edges = at.map(|id| match arena.at(id) {
            Some((asked, edges)) if asked == var => edges,
            _ => &[],
        });
        let end = arena.width(var).saturating_sub(1);
        let (moves, mut by) = (self.moves.runs(var), 0);
        let (mut places, mut to, mut first) = ([0; N], at, 0);
        while first <= end {
            let mut last = end;
            for ((edges, place), to) in edges.iter().zip(&mut places).zip(&mut to) {
                *place += usize::from(edges.get(*place).is_some_and(|edge| edge.last < first));
                if let Some(edge) = edges.get(*place) {
                    *to = edge.to;
                    last = last.min(edge.last);
                }
            }
            // Where it moves in several ways, it is as many runs.
            while let Some((end, found)) = moves.get(by).filter(|_| first <= last) {
                let run = Run {
                    first,
                    last: last.min(*end),
                    by: u32::try_from(by).ok(),
                };
                if found.can_be(self.steps) {
                    led(run, to);
                }
                first = run.last.saturating_add(1);
                by += usize::from(*end == run.last);
            }
            first = last.saturating_add(1);
        }
    }
}

/// A place in each of the diagrams.
#[derive(Clone, Debug)]
enum Place<const N: usize> {
    /// A value each.
    End([u32; N]),
    /// What is asked there, and where its branches are.
    Asks(Var, Range<usize>),
}

/// All places that a connection can be led to and from which it comes to an end that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Product<const N: usize> {
    /// The lower ones first, and at last the one where all begins; none where nothing is wanted.
    places: Vec<Place<N>>,
    /// Where each run of each place leads.
    branches: Vec<(Run, u32)>,
}

impl<const N: usize> Product<N> {
    /// Of some diagrams. `is_over` says of places whether nothing is wanted from there on; of values
    /// it must say whether they are not.
    pub(crate) fn new(
        arena: &mut Arena,
        tracks: &Tracks<'_, N>,
        is_over: impl Fn(&[Id; N]) -> bool,
    ) -> Result<Self, OverBudget> {
        let mut built = Building {
            arena,
            tracks,
            is_over,
            known: FxHashMap::default(),
            product: Product {
                places: Vec::new(),
                branches: Vec::new(),
            },
            open: Vec::new(),
            found: Vec::new(),
        };
        built.place(tracks.roots)?;
        Ok(built.product)
    }

    /// Each place by what the ones below it come to; the last is that of all.
    pub(crate) fn folded<T>(
        &self,
        end: impl Fn(&[u32; N]) -> T,
        asked: impl Fn(Var, &mut dyn Iterator<Item = (Run, &T)>) -> T,
    ) -> Vec<T> {
        let mut all: Vec<T> = Vec::with_capacity(self.places.len());
        for place in &self.places {
            let found = match place {
                Place::End(values) => end(values),
                Place::Asks(var, own) => {
                    let own = self.branches.get(own.clone()).unwrap_or_default();
                    let below = |(run, to): &(Run, u32)| Some((*run, all.get(*to as usize)?));
                    asked(*var, &mut own.iter().filter_map(below))
                }
            };
            all.push(found);
        }
        all
    }

    /// The ends that are come to by some runs.
    pub(crate) fn ends(&self, passes: impl Fn(Var, Run) -> bool) -> Vec<[u32; N]> {
        let mut is_reached = vec![false; self.places.len()];
        if let Some(root) = is_reached.last_mut() {
            *root = true;
        }
        let mut ends = Vec::new();
        for (at, place) in self.places.iter().enumerate().rev() {
            match place {
                _ if is_reached.get(at) != Some(&true) => {}
                Place::End(values) => ends.push(*values),
                Place::Asks(var, own) => {
                    let own = self.branches.get(own.clone()).unwrap_or_default();
                    for (_, to) in own.iter().filter(|(run, _)| passes(*var, *run)) {
                        if let Some(place) = is_reached.get_mut(*to as usize) {
                            *place = true;
                        }
                    }
                }
            }
        }
        ends
    }

    /// The vector that comes to an end that is wanted at the least price, with the classes of another
    /// one where nothing is asked; and what it costs. `price` says what a run costs, if it is for
    /// sale, and which of its classes is taken.
    pub(crate) fn cheapest(
        &self,
        from: &[ClassId],
        wanted: impl Fn(&[u32; N]) -> bool,
        price: impl Fn(Var, Run) -> Option<(u32, ClassId)>,
    ) -> Option<(u32, Vector)> {
        type Best = Option<(u32, ClassId, u32)>;
        let own = |var: Var| from.get(usize::from(var)).copied();
        let mut best: Vec<Best> = Vec::with_capacity(self.places.len());
        for place in &self.places {
            let mut found: Best = None;
            match place {
                Place::End(values) => found = wanted(values).then_some((0, 0, 0)),
                Place::Asks(var, runs) => {
                    for (run, to) in self.branches.get(runs.clone()).unwrap_or_default() {
                        let behind = best.get(*to as usize).copied().flatten();
                        let (Some((behind, ..)), Some((own_price, class))) =
                            (behind, price(*var, *run))
                        else {
                            continue;
                        };
                        let whole = behind.saturating_add(own_price);
                        // What stays as it is is preferred, then what comes first.
                        let is_own = own(*var) == Some(class);
                        if found.is_none_or(|(known, ..)| whole < known || whole == known && is_own)
                        {
                            found = Some((whole, class, *to));
                        }
                    }
                }
            }
            best.push(found);
        }
        let mut vector = from.to_vec();
        let mut at = self.places.len().checked_sub(1)?;
        let (whole, ..) = best.get(at).copied().flatten()?;
        while let (Some(Place::Asks(var, _)), Some((_, class, to))) =
            (self.places.get(at), best.get(at).copied().flatten())
        {
            if let Some(place) = vector.get_mut(usize::from(*var)) {
                *place = class;
            }
            at = to as usize;
        }
        Some((whole, vector))
    }
}

/// A product that is being made.
struct Building<'a, 'b, const N: usize, F> {
    arena: &'a mut Arena,
    tracks: &'a Tracks<'b, N>,
    is_over: F,
    /// Of places, where they are; nothing where nothing is wanted from there on.
    known: FxHashMap<[Id; N], Option<u32>>,
    product: Product<N>,
    /// The runs of places that are looked at, those of each behind those of the ones above it.
    open: Vec<(Run, [Id; N])>,
    /// The same of those that lead to what is wanted.
    found: Vec<(Run, u32)>,
}

impl<const N: usize, F: Fn(&[Id; N]) -> bool> Building<'_, '_, N, F> {
    fn place(&mut self, at: [Id; N]) -> Result<Option<u32>, OverBudget> {
        if (self.is_over)(&at) {
            return Ok(None);
        }
        if let Some(known) = self.known.get(&at) {
            return Ok(*known);
        }
        let place = match Tracks::asks(self.arena, &at) {
            None => Some(Place::End(at.map(|id| id.as_value().unwrap_or_default()))),
            Some(var) => {
                let own = self.onward(at, var)?;
                (!own.is_empty()).then_some(Place::Asks(var, own))
            }
        };
        let known = match place {
            None => None,
            Some(place) => {
                let index = u32::try_from(self.product.places.len()).map_err(|_many| OverBudget)?;
                self.product.places.push(place);
                Some(index)
            }
        };
        self.known.insert(at, known);
        Ok(known)
    }

    /// The branches of a place, once all below them are known.
    fn onward(&mut self, at: [Id; N], var: Var) -> Result<Range<usize>, OverBudget> {
        let (open, found) = (self.open.len(), self.found.len());
        let (tracks, runs) = (self.tracks, &mut self.open);
        tracks.onward(self.arena, at, var, |run, to| runs.push((run, to)));
        let end = self.open.len();
        self.arena.step_over(end - open)?;
        for at in open..end {
            let Some((run, to)) = self.open.get(at).copied() else {
                continue;
            };
            let Some(to) = self.place(to)? else {
                continue;
            };
            match self.found.get_mut(found..).and_then(<[_]>::last_mut) {
                Some((before, known)) if *known == to && before.is_before(run) => {
                    before.last = run.last;
                }
                _ => self.found.push((run, to)),
            }
        }
        self.open.truncate(open);
        let from = self.product.branches.len();
        self.product.branches.extend(self.found.drain(found..));
        Ok(from..self.product.branches.len())
    }
}
