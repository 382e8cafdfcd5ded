//! Decision diagrams: which value a vector of classes leads to, for all vectors at once.
//!
//! A node asks for one variable; its edges cover all classes of that variable in ascending order,
//! and lead to nodes of later variables or to values. Equal nodes are one node and no node has all
//! its edges to one place, so that two diagrams of one arena are equal exactly if they are the
//! same node. What variables and values mean is for others to say.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::combine::Known;
pub(crate) use super::nodes::{Edge, Id};
use super::nodes::{Nodes, hash};
use super::walk::Kept;

/// The place of a variable in the order.
pub(crate) type Var = u8;
/// The place of a class among those of its variable.
pub(crate) type ClassId = u32;

/// More nodes, or more steps, than are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the analysis needs more than it may take")]
pub struct OverBudget;

/// What an analysis may take. A node of many edges counts for several. Steps are looks at pairs of
/// nodes, of many runs several; memory grows with both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) nodes: usize,
    pub(crate) steps: usize,
}

impl Default for Budget {
    /// Some hundred megabytes, and some seconds.
    fn default() -> Self {
        Budget::of(4_000_000)
    }
}

impl Budget {
    /// So many nodes, and the steps that go with them.
    pub(crate) fn of(nodes: usize) -> Self {
        Budget {
            nodes,
            steps: nodes.saturating_mul(10),
        }
    }
}

/// Where diagrams live.
#[derive(Clone, Debug)]
pub(crate) struct Arena {
    nodes: Nodes,
    /// The edges of nodes that are being made, those of each behind those of the ones above it.
    pub(super) pending: Vec<Edge>,
    budget: Budget,
    steps: usize,
    /// How many nodes there are by what they take.
    weight: usize,
    pub(super) known: Known,
    /// How many classes each variable has.
    widths: Box<[ClassId]>,
}

impl Arena {
    /// An empty one, for variables of so many classes each.
    pub(crate) fn new(widths: Box<[ClassId]>, budget: Budget) -> Self {
        Arena {
            nodes: Nodes::default(),
            pending: Vec::new(),
            budget,
            steps: 0,
            weight: 0,
            known: Known::default(),
            widths,
        }
    }

    /// Goes on with another budget; what there is counts, the steps so far do not.
    pub(crate) fn allow(&mut self, budget: Budget) {
        self.budget = budget;
        self.steps = 0;
    }

    /// What was taken so far.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> Budget {
        Budget {
            nodes: self.weight,
            steps: self.steps,
        }
    }

    /// How many classes a variable has.
    pub(crate) fn width(&self, var: Var) -> ClassId {
        self.widths.get(usize::from(var)).copied().unwrap_or(1)
    }

    /// How many variables there are.
    pub(crate) fn vars(&self) -> Var {
        Var::try_from(self.widths.len()).unwrap_or(Var::MAX)
    }

    /// The variable that a diagram asks for first, with where its classes lead.
    pub(crate) fn at(&self, id: Id) -> Option<(Var, &[Edge])> {
        if id.as_value().is_some() {
            return None;
        }
        self.nodes.get(id)
    }

    /// Where a class of a node's variable leads.
    pub(crate) fn child(&self, id: Id, class: ClassId) -> Id {
        let Some((_, edges)) = self.at(id) else {
            return id;
        };
        let at = edges.partition_point(|edge| edge.last < class);
        edges.get(at).map_or(id, |edge| edge.to)
    }

    /// Where a diagram leads for a class of a variable: nowhere else, where it does not ask for that
    /// first.
    pub(super) fn under(&self, id: Id, var: Var, class: ClassId) -> Id {
        match self.at(id) {
            Some((asked, _)) if asked == var => self.child(id, class),
            _ => id,
        }
    }

    /// Where most classes of a node's variable lead.
    pub(super) fn most(&self, id: Id) -> Option<Id> {
        let (_, edges) = self.at(id)?;
        let mut counts: FxHashMap<Id, ClassId> = FxHashMap::default();
        let mut first = 0;
        for edge in edges {
            *counts.entry(edge.to).or_default() += edge.last - first + 1;
            first = edge.last.saturating_add(1);
        }
        let count = |edge: &&Edge| counts.get(&edge.to).copied();
        edges.iter().max_by_key(count).map(|edge| edge.to)
    }

    /// The value that a vector of classes leads to: the class of each variable.
    pub(crate) fn value(&self, mut id: Id, class: impl Fn(Var) -> ClassId) -> u32 {
        loop {
            if let Some(value) = id.as_value() {
                return value;
            }
            let Some((var, _)) = self.at(id) else {
                return 0;
            };
            id = self.child(id, class(var));
        }
    }

    /// A look at some nodes, one behind the other.
    pub(super) fn step(&mut self) -> Result<(), OverBudget> {
        self.step_over(0)
    }

    /// The same of nodes that have many runs.
    pub(super) fn step_over(&mut self, runs: usize) -> Result<(), OverBudget> {
        self.steps += 1 + runs / 8;
        match self.steps > self.budget.steps {
            true => Err(OverBudget),
            false => Ok(()),
        }
    }

    /// A node of a variable, from runs of classes in ascending order.
    pub(crate) fn make(
        &mut self,
        var: Var,
        runs: impl IntoIterator<Item = Edge>,
    ) -> Result<Id, OverBudget> {
        let from = self.pending.len();
        for run in runs {
            self.pend(from, run);
        }
        self.made(var, from)
    }

    /// Adds a run to the edges of the node that is being made, which begin at a place.
    pub(super) fn pend(&mut self, from: usize, run: Edge) {
        match self.pending.get_mut(from..).and_then(<[Edge]>::last_mut) {
            Some(before) if before.to == run.to => before.last = run.last,
            _ => self.pending.push(run),
        }
    }

    /// Adds edges of another node to those of the one that is being made.
    pub(super) fn pend_kept(&mut self, from: usize, kept: &Kept) {
        let Some((_, edges)) = self.nodes.get(kept.node) else {
            return;
        };
        let edges = edges.get(kept.edges.clone()).unwrap_or_default();
        let Some((first, rest)) = edges.split_first() else {
            return;
        };
        match self.pending.get_mut(from..).and_then(<[Edge]>::last_mut) {
            Some(before) if before.to == first.to => before.last = first.last,
            _ => self.pending.push(*first),
        }
        self.pending.extend_from_slice(rest);
        if let Some(cut) = self.pending.last_mut() {
            cut.last = cut.last.min(kept.last);
        }
    }

    /// The node with the edges from a place on.
    pub(super) fn made(&mut self, var: Var, from: usize) -> Result<Id, OverBudget> {
        let edges = self.pending.get(from..).unwrap_or_default();
        let made = match edges {
            [only] => Ok(only.to),
            _ => {
                let hash = hash(var, edges);
                match self.nodes.find(var, edges, hash) {
                    Some(known) => Id::node(known),
                    None => {
                        self.weight += 1 + edges.len() / 8;
                        if self.weight > self.budget.nodes {
                            return Err(OverBudget);
                        }
                        Id::node(self.nodes.add(var, edges, hash)?)
                    }
                }
            }
        };
        self.pending.truncate(from);
        made
    }

    /// What holds for some classes of a variable.
    pub(crate) fn test(
        &mut self,
        var: Var,
        holds: impl Fn(ClassId) -> bool,
    ) -> Result<Id, OverBudget> {
        self.each(var, |class| if holds(class) { Id::YES } else { Id::NO })
    }

    /// What holds for some runs of classes of a variable, each from first to last, in ascending order.
    pub(crate) fn test_runs(
        &mut self,
        var: Var,
        passing: &[(ClassId, ClassId)],
    ) -> Result<Id, OverBudget> {
        let width = self.width(var);
        let mut edges = Vec::with_capacity(passing.len() * 2 + 1);
        let mut next = 0;
        for (first, last) in passing {
            if let Some(last) = first.checked_sub(1).filter(|_| *first > next) {
                edges.push(Edge { last, to: Id::NO });
            }
            edges.push(Edge {
                last: *last,
                to: Id::YES,
            });
            next = last.saturating_add(1);
        }
        if let Some(last) = width.checked_sub(1).filter(|_| next < width) {
            edges.push(Edge { last, to: Id::NO });
        }
        self.make(var, edges)
    }

    /// A node by the place of each class of its variable.
    pub(crate) fn each(&mut self, var: Var, to: impl Fn(ClassId) -> Id) -> Result<Id, OverBudget> {
        let width = self.width(var);
        let runs = (0..width).map(|class| Edge {
            last: class,
            to: to(class),
        });
        self.make(var, runs)
    }

    /// What holds for some class of each variable that is not kept.
    pub(crate) fn projected(
        &mut self,
        id: Id,
        is_kept: &impl Fn(Var) -> bool,
    ) -> Result<Id, OverBudget> {
        self.projected_with(id, is_kept, &mut FxHashMap::default())
    }

    fn projected_with(
        &mut self,
        id: Id,
        is_kept: &impl Fn(Var) -> bool,
        memo: &mut FxHashMap<Id, Id>,
    ) -> Result<Id, OverBudget> {
        if let Some(known) = memo.get(&id) {
            return Ok(*known);
        }
        let Some((var, edges)) = self.at(id) else {
            return Ok(id);
        };
        let mut edges = edges.to_vec();
        for edge in &mut edges {
            edge.to = self.projected_with(edge.to, is_kept, memo)?;
        }
        let made = match is_kept(var) {
            true => self.make(var, edges)?,
            false => {
                let mut any = Id::NO;
                for edge in edges {
                    any = self.or(any, edge.to)?;
                }
                any
            }
        };
        memo.insert(id, made);
        Ok(made)
    }

    /// Every node and value that a diagram leads through, each once, the lower ones first.
    pub(crate) fn reached(&self, id: Id) -> Vec<Id> {
        let mut seen = FxHashSet::default();
        let mut found = Vec::new();
        let mut open = vec![(id, false)];
        while let Some((id, is_done)) = open.pop() {
            if is_done {
                found.push(id);
                continue;
            }
            if !seen.insert(id) {
                continue;
            }
            open.push((id, true));
            if let Some((_, edges)) = self.at(id) {
                open.extend(edges.iter().map(|edge| (edge.to, false)));
            }
        }
        found
    }

    /// What leads to some values, each with a key: for every key that is there, when it holds. What
    /// leads to a value of none is in none of them.
    pub(crate) fn parted(
        &mut self,
        id: Id,
        key: impl Fn(u32) -> Option<u32>,
    ) -> Result<BTreeMap<u32, Id>, OverBudget> {
        let mut parts: FxHashMap<Id, BTreeMap<u32, Id>> = FxHashMap::default();
        for id in self.reached(id) {
            if let Some(value) = id.as_value() {
                let of_value = key(value).map(|key| (key, Id::YES));
                parts.insert(id, of_value.into_iter().collect());
                continue;
            }
            let Some((var, edges)) = self.at(id) else {
                continue;
            };
            // Only the runs that a key has are looked at, not all for each.
            let mut runs: BTreeMap<u32, Vec<Edge>> = BTreeMap::new();
            let mut first: ClassId = 0;
            for edge in edges {
                for (key, to) in parts.get(&edge.to).into_iter().flatten() {
                    let own = runs.entry(*key).or_default();
                    let next = own.last().map_or(0, |run| run.last.saturating_add(1));
                    if let Some(last) = first.checked_sub(1).filter(|_| next < first) {
                        own.push(Edge { last, to: Id::NO });
                    }
                    own.push(Edge {
                        last: edge.last,
                        to: *to,
                    });
                }
                first = edge.last.saturating_add(1);
            }
            let mut made = BTreeMap::new();
            for (key, mut own) in runs {
                self.step()?;
                if own
                    .last()
                    .is_some_and(|run| run.last.saturating_add(1) < first)
                {
                    let last = first.saturating_sub(1);
                    own.push(Edge { last, to: Id::NO });
                }
                made.insert(key, self.make(var, own)?);
            }
            parts.insert(id, made);
        }
        Ok(parts.remove(&id).unwrap_or_default())
    }

    /// The values that a diagram leads to, in ascending order.
    pub(crate) fn values(&self, id: Id) -> Vec<u32> {
        let reached = self.reached(id).into_iter();
        let mut values: Vec<u32> = reached.filter_map(Id::as_value).collect();
        values.sort_unstable();
        values
    }

    /// How much of all vectors leads to each value, as a share of one. It is a share of what could
    /// be said, not a likelihood.
    pub(crate) fn shares(&self, id: Id) -> BTreeMap<u32, f64> {
        let mut weights: FxHashMap<Id, f64> = FxHashMap::default();
        weights.insert(id, 1.0);
        let mut shares = BTreeMap::new();
        for id in self.reached(id).into_iter().rev() {
            let weight = weights.get(&id).copied().unwrap_or(0.0);
            if let Some(value) = id.as_value() {
                *shares.entry(value).or_insert(0.0) += weight;
            }
            let Some((var, edges)) = self.at(id) else {
                continue;
            };
            let width = f64::from(self.width(var));
            let mut from = 0.0;
            for edge in edges {
                let end = f64::from(edge.last) + 1.0;
                *weights.entry(edge.to).or_insert(0.0) += weight * (end - from) / width;
                from = end;
            }
        }
        shares
    }
}
