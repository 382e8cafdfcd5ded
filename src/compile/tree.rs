//! Clauses that stand with many classes of values, as segments in a tree over the classes: a wide range
//! stands in few nodes, and a class is in one node of each level.

use super::choice::{Choice, Classes};
use super::index::summed;
use crate::facts::Facts;

/// How many nodes of a level are one of the next.
const FAN: usize = 16;
/// Levels of a tree; the last one has as many nodes as it takes.
const LEVELS: usize = 4;

/// The clauses of each class.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    classes: Classes,
    /// The clauses that stand with every class, and which words of it are not empty.
    always: Vec<u64>,
    always_sum: Vec<u64>,
    /// For each node of each level its place among those that any clause stands with, or nothing;
    /// the nodes of the first level are single classes.
    levels: [Vec<Option<NodeId>>; LEVELS],
    /// For each such node and each 64 words which of them are not empty, and where these begin.
    sums: Vec<(u64, u32)>,
    /// The words that are not empty.
    words: Vec<u64>,
}

/// The place of a node, and one.
type NodeId = std::num::NonZeroU32;

/// The nodes that the class of a connection is in and that any clause stands with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chosen([Option<NodeId>; LEVELS]);

impl Tree {
    /// The tree of a choice.
    pub(super) fn new(choice: Choice) -> Self {
        let count = choice.classes.count();
        let mut nodes = Nodes {
            levels: std::array::from_fn(|level| {
                let width = FAN.pow(super::narrow(level));
                vec![None; count.div_ceil(width)]
            }),
            words: Vec::new(),
        };
        for stretch in &choice.stretches {
            nodes.put(stretch.from, stretch.to, stretch.word, stretch.bit);
        }
        let mut tree = Tree {
            classes: choice.classes,
            always_sum: summed(&choice.always).collect(),
            always: choice.always,
            levels: nodes.levels,
            sums: Vec::new(),
            words: Vec::new(),
        };
        for node in nodes.words {
            let mut node = node.into_iter().peekable();
            for group in 0..super::narrow(tree.always_sum.len()) {
                let start = super::narrow(tree.words.len());
                let mut mask = 0;
                while let Some((word, bits)) = node.next_if(|(word, _)| word / 64 == group) {
                    mask |= 1 << (word % 64);
                    tree.words.push(bits);
                }
                tree.sums.push((mask, start));
            }
        }
        tree
    }

    /// Where the class of a connection stands.
    #[inline]
    pub(super) fn of(&self, facts: &Facts) -> Chosen {
        let mut at = self.classes.of(facts);
        let mut chosen = Chosen::default();
        for (level, node) in self.levels.iter().zip(&mut chosen.0) {
            *node = level.get(at).copied().flatten();
            at /= FAN;
        }
        chosen
    }

    /// The clauses of a word that stand with a class, or with every one.
    #[inline]
    pub(super) fn word(&self, chosen: &Chosen, word: usize) -> u64 {
        let always = self.always.get(word).copied().unwrap_or(0);
        let nodes = chosen.0.iter().flatten();
        nodes.fold(always, |bits, node| {
            let (mask, start) = self.summed(*node, word / 64);
            let bit = 1 << (word % 64);
            let before = (mask & (bit - 1)).count_ones();
            let own = self.words.get((start + before) as usize).copied();
            bits | if mask & bit == 0 { 0 } else { own.unwrap_or(0) }
        })
    }

    /// Which of 64 words have such a clause.
    #[inline]
    pub(super) fn sum(&self, chosen: &Chosen, at: usize) -> u64 {
        let always = self.always_sum.get(at).copied().unwrap_or(0);
        let nodes = chosen.0.iter().flatten();
        nodes.fold(always, |bits, node| bits | self.summed(*node, at).0)
    }

    /// Which of 64 words of a node are not empty, and where these begin.
    #[inline]
    fn summed(&self, node: NodeId, group: usize) -> (u64, u32) {
        let from = (node.get() as usize - 1) * self.always_sum.len();
        self.sums.get(from + group).copied().unwrap_or_default()
    }
}

/// The nodes of a tree that is being made.
struct Nodes {
    levels: [Vec<Option<NodeId>>; LEVELS],
    /// For each node, the words of a bitset that are not empty.
    words: Vec<Vec<(u32, u64)>>,
}

impl Nodes {
    /// Puts clauses of a word with the classes of a range.
    fn put(&mut self, mut from: usize, mut to: usize, word: u32, bits: u64) {
        let mut level = 0;
        while from < to {
            // What does not fill nodes of the next level stands in this one.
            let is_last = level + 1 == LEVELS;
            let (first, last) = match is_last {
                true => (to, to),
                false => (from.next_multiple_of(FAN).min(to), to - to % FAN),
            };
            let sides = (from..first).chain(last.max(first)..to);
            for at in sides {
                self.add(level, at, word, bits);
            }
            (from, to) = (first / FAN, last.max(first) / FAN);
            level += 1;
        }
    }

    /// Adds clauses of a word to a node; those of the last words come last.
    fn add(&mut self, level: usize, at: usize, word: u32, bits: u64) {
        let place = self
            .levels
            .get_mut(level)
            .and_then(|nodes| nodes.get_mut(at));
        let Some(place) = place else { return };
        let id = *place.get_or_insert_with(|| {
            self.words.push(Vec::new());
            NodeId::new(super::narrow(self.words.len())).unwrap_or(NodeId::MIN)
        });
        let Some(words) = self.words.get_mut(id.get() as usize - 1) else {
            return;
        };
        match words.last_mut() {
            Some((known, all)) if *known == word => *all |= bits,
            _ => words.push((word, bits)),
        }
    }
}
