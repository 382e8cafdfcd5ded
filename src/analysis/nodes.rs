//! The nodes of diagrams, each of them once, and their edges.

use std::hash::Hasher;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

use super::diagram::{ClassId, OverBudget, Var};

/// A diagram: the node at its top, or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(u32);

impl Id {
    /// What is false.
    pub(crate) const NO: Id = Id::value(0);
    /// What is true.
    pub(crate) const YES: Id = Id::value(1);

    const VALUE: u32 = 1 << 31;

    /// The diagram that leads everything to one value.
    pub(crate) const fn value(value: u32) -> Self {
        Id(Id::VALUE | value)
    }

    /// The value, where it is one.
    pub(crate) fn as_value(self) -> Option<u32> {
        (self.0 & Id::VALUE != 0).then_some(self.0 & !Id::VALUE)
    }

    /// The node at a place.
    pub(super) fn node(index: u32) -> Result<Self, OverBudget> {
        match index & Id::VALUE {
            0 => Ok(Id(index)),
            _ => Err(OverBudget),
        }
    }
}

/// A run of classes that lead to one place: up to this one, from behind the run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Edge {
    pub(crate) last: ClassId,
    pub(crate) to: Id,
}

/// A node, its edges being with those of all others.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Where its edges begin, and how many they are.
    edges: u32,
    count: u32,
    hash: u32,
    var: Var,
}

/// All nodes, each of them once. Edges stand behind one another, so that looking at a node costs
/// one look at memory and making one costs no allocation of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Nodes {
    all: Vec<Node>,
    edges: Vec<Edge>,
    known: HashTable<u32>,
}

impl Nodes {
    /// A node, unless it is a value.
    pub(super) fn get(&self, id: Id) -> Option<(Var, &[Edge])> {
        let node = self.all.get(id.0 as usize)?;
        Some((node.var, of_node(&self.edges, node)))
    }

    /// The node that is equal to this one.
    pub(super) fn find(&self, var: Var, edges: &[Edge], hash: u32) -> Option<u32> {
        let is_it = |index: &u32| {
            self.all.get(*index as usize).is_some_and(|node| {
                node.hash == hash && node.var == var && of_node(&self.edges, node) == edges
            })
        };
        self.known.find(spread(hash), is_it).copied()
    }

    /// Adds one that is not among them.
    pub(super) fn add(&mut self, var: Var, edges: &[Edge], hash: u32) -> Result<u32, OverBudget> {
        let narrow = |count: usize| u32::try_from(count).map_err(|_too_many| OverBudget);
        let index = narrow(self.all.len())?;
        self.all.push(Node {
            edges: narrow(self.edges.len())?,
            count: narrow(edges.len())?,
            hash,
            var,
        });
        self.edges.extend_from_slice(edges);
        let all = &self.all;
        let again = |index: &u32| spread(all.get(*index as usize).map_or(0, |node| node.hash));
        self.known.insert_unique(spread(hash), index, again);
        Ok(index)
    }
}

fn of_node<'a>(edges: &'a [Edge], node: &Node) -> &'a [Edge] {
    let from = node.edges as usize;
    edges
        .get(from..from + node.count as usize)
        .unwrap_or_default()
}

/// The hash of a node, the same in every run.
pub(super) fn hash(var: Var, edges: &[Edge]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write_u8(var);
    for edge in edges {
        hasher.write_u64(u64::from(edge.last) << 32 | u64::from(edge.to.0));
    }
    let whole = hasher.finish();
    (whole ^ whole >> 32) as u32
}

/// A hash over all bits that a table looks at.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
