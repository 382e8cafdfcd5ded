//! Ways through several diagrams side by side: run by run of the variable that they ask for next,
//! and on to the first vector that is looked for.

use std::ops::Range;

use rustc_hash::FxHashSet;

use super::diagram::{Arena, ClassId, OverBudget, Var};
use super::nodes::{Edge, Id};

impl Arena {
    /// Whether some vector leads some diagrams to values that are looked for: the first that is
    /// found ends the search. `judge` says of the diagrams, behind the classes that a vector has so
    /// far, whether one is found, whether none is below them, or nothing yet; of values it must say
    /// which. `ends` says where the diagram at a place leads to where none is found. `vector` has the
    /// classes of those that are not asked for; afterwards it is the one that was found.
    pub(crate) fn find<const N: usize>(
        &mut self,
        all: [Id; N],
        vector: &mut [ClassId],
        ends: &impl Fn(usize, Id) -> bool,
        judge: &mut impl FnMut(&Arena, [Id; N], &[ClassId]) -> Option<bool>,
    ) -> Result<bool, OverBudget> {
        let mut search = Search {
            arena: self,
            searched: FxHashSet::default(),
            ends,
            judge,
        };
        search.found(all, vector)
    }
}

/// The way through the runs of a variable.
pub(super) struct Next<const N: usize> {
    var: Var,
    all: [Id; N],
    /// Which edge of each diagram is next.
    at: [usize; N],
    is_over: bool,
}

impl<const N: usize> Next<N> {
    pub(super) fn new(var: Var, all: [Id; N]) -> Self {
        Next {
            var,
            all,
            at: [0; N],
            is_over: false,
        }
    }

    /// The next run: its last class, and where each diagram leads to in it.
    #[inline]
    pub(super) fn run(
        &mut self,
        arena: &Arena,
        settles: impl Fn(usize, Id) -> bool,
    ) -> Option<(ClassId, [Id; N])> {
        if self.is_over {
            return None;
        }
        let whole = |id: &Id| match arena.at(*id) {
            Some((asked, edges)) if asked == self.var => Some(edges),
            _ => None,
        };
        let edges = self.all.each_ref().map(whole);
        let end = arena.width(self.var).saturating_sub(1);
        let mut last = end;
        let mut to = self.all;
        for (place, ((edges, at), to)) in edges.iter().zip(&self.at).zip(&mut to).enumerate() {
            if let Some(edge) = edges.and_then(|edges| edges.get(*at)) {
                *to = edge.to;
                if settles(place, edge.to) {
                    last = edge.last;
                    break;
                }
                last = last.min(edge.last);
            }
        }
        self.is_over = last >= end;
        for (edges, at) in edges.iter().zip(&mut self.at) {
            if let Some(edges) = edges.filter(|_| !self.is_over) {
                *at = past(edges, *at, last);
            }
        }
        Some((last, to))
    }
}

/// Edges of a node that are left as they are: those of a range, but the last one no further than
/// a class.
pub(super) struct Kept {
    pub(super) node: Id,
    pub(super) edges: Range<usize>,
    pub(super) last: ClassId,
}

impl Next<2> {
    /// The edges of one of both that the other one leaves as they are, from the next run on, where
    /// they are several.
    #[inline]
    pub(super) fn kept(
        &mut self,
        arena: &Arena,
        keeps: impl Fn(usize, Id) -> bool,
    ) -> Option<Kept> {
        if self.is_over {
            return None;
        }
        let end = arena.width(self.var).saturating_sub(1);
        let [left, right] = self.all;
        let [at_left, at_right] = self.at;
        let of = |id: Id| arena.at(id).filter(|(asked, _)| *asked == self.var);
        let (left_edges, right_edges) = (of(left)?.1, of(right)?.1);
        let (own, other) = (left_edges.get(at_left)?, right_edges.get(at_right)?);
        // Where one goes further than the other, that one may leave the other as it is.
        let (place, node, edges, at, last) = match own.last > other.last {
            true if keeps(0, own.to) => (1, right, right_edges, at_right, own.last),
            false if own.last < other.last && keeps(1, other.to) => {
                (0, left, left_edges, at_left, other.last)
            }
            true | false => return None,
        };
        let behind = past(edges, at, last);
        // The one that is cut short is not behind it yet.
        let is_cut = behind
            .checked_sub(1)
            .and_then(|before| edges.get(before))
            .is_none_or(|edge| edge.last < last);
        let kept = Kept {
            node,
            edges: at..behind + usize::from(is_cut),
            last,
        };
        self.is_over = last >= end;
        for (this, place_is) in self.at.iter_mut().zip(0..) {
            *this = match place_is == place {
                true => behind,
                false => *this + 1,
            };
        }
        Some(kept)
    }
}

/// A search for a vector.
struct Search<'a, const N: usize, E, J> {
    arena: &'a mut Arena,
    /// Below these there is none.
    searched: FxHashSet<[Id; N]>,
    ends: &'a E,
    judge: &'a mut J,
}

impl<const N: usize, E, J> Search<'_, N, E, J>
where
    E: Fn(usize, Id) -> bool,
    J: FnMut(&Arena, [Id; N], &[ClassId]) -> Option<bool>,
{
    fn found(&mut self, all: [Id; N], vector: &mut [ClassId]) -> Result<bool, OverBudget> {
        if let Some(known) = (self.judge)(self.arena, all, vector) {
            return Ok(known);
        }
        let asked = all.iter().filter_map(|id| Some(self.arena.at(*id)?.0));
        let Some(var) = asked.min().filter(|_| self.searched.insert(all)) else {
            return Ok(false);
        };
        self.arena.step()?;
        let place = usize::from(var);
        let own = vector.get(place).copied().unwrap_or_default();
        // What is as usual is mostly one of which it is so, and spares the way through the others.
        let to = all.map(|id| self.arena.under(id, var, own));
        if self.found(to, vector)? {
            return Ok(true);
        }
        let mut first = 0;
        let mut runs = 0_u32;
        let mut next = Next::new(var, all);
        while let Some((last, to)) = next.run(self.arena, self.ends) {
            if let Some(class) = vector.get_mut(place) {
                *class = own.clamp(first, last);
            }
            if self.found(to, vector)? {
                return Ok(true);
            }
            first = last.saturating_add(1);
            runs += 1;
            if runs & 7 == 0 {
                self.arena.step()?;
            }
        }
        if let Some(class) = vector.get_mut(place) {
            *class = own;
        }
        Ok(false)
    }
}

/// The first edge that reaches past a class, not before one of which that is not known.
fn past(edges: &[Edge], from: usize, class: ClassId) -> usize {
    // Mostly it is the next one.
    let near = edges.iter().skip(from).take(4);
    let skipped = near.take_while(|edge| edge.last <= class).count();
    let at = from + skipped;
    if skipped < 4 {
        return at;
    }
    let rest = edges.get(at..).unwrap_or_default();
    at + rest.partition_point(|edge| edge.last <= class)
}
