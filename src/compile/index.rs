//! Which clauses can apply at all, by the facts.
//!
//! For each attribute with a closed vocabulary and each of its values there is a bitset of
//! the clauses that can still apply; their intersection leaves few to be tested, and what it
//! settles exactly is not tested again. Attributes of few values share a column: its rows are for
//! all of them together. Where many networks or texts are named, the clauses that are about them are
//! found by these ([`choice`](super::choice)), and only words of bitsets that have any of them are
//! looked at.

use super::choice::Choice;
use super::columns::{Four, MOST_ROWS, Single, columns, has_group, singles};
use super::lists::{self, Lists};
use super::narrowed::{Wide, Word};
use super::program::{Block, Instruction, Term};
use super::reach::{asked, can_hold, is_exact};
use super::sets::Sets;
use super::tree::Tree;
use crate::facts::codes::Codes;
use crate::facts::{AttributeId, Facts};

/// The bitsets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Four columns each.
    pub(super) fours: Vec<Four>,
    /// How many columns there are.
    columns: usize,
    /// The rows of all columns. Before the bitset of each stands which of its words are not empty,
    /// where it is not one that is looked at anyhow.
    rows: Vec<u64>,
    pub(super) lists: Vec<Lists>,
    pub(super) trees: Vec<Tree>,
    sets: Option<Sets>,
    /// 64-bit words in a bitset over the clauses, and in what says which of them are not empty.
    pub(super) words: usize,
    pub(super) sums: usize,
}

/// Terms of more instructions than this are always tested.
const LONGEST: u32 = 64;
/// How many rows are looked through for terms of several attributes.
const MOST_LOOKS: usize = 1 << 17;

/// A term of several attributes, of which a column says exactly whether it holds.
struct Joint<'a> {
    clause: usize,
    term: &'a Term,
    asked: Vec<AttributeId>,
}

impl Index {
    /// The index of clauses, in order. What it settles need not be tested again: the other
    /// terms come back for each clause. Lists for one attribute have no more entries than so many.
    pub(crate) fn new<'a>(
        blocks: impl Iterator<Item = &'a Block> + Clone,
        terms: &[Term],
        instructions: &[Instruction],
        most_entries: usize,
    ) -> (Self, Vec<Vec<u32>>) {
        let words = blocks.clone().count().div_ceil(64);
        let sets = Sets::new(instructions);
        let mut singles = singles(sets.as_ref());
        let mut choices = Choice::all(terms, instructions, words);
        let mut groups: Vec<Vec<AttributeId>> = Vec::new();
        let mut joints = Vec::new();
        let mut looks = 0;
        let mut left = Vec::new();
        for (at, block) in blocks.enumerate() {
            let mut unsettled = Vec::new();
            for index in block.terms.clone() {
                let Some(term) = terms.get(index as usize) else {
                    continue;
                };
                // A long term would cost more to look through than it saves.
                let asked = if term.length > LONGEST {
                    Vec::new()
                } else {
                    asked(term, instructions)
                };
                for attribute in &asked {
                    let single = singles.get_mut(usize::from(attribute.0));
                    let Some(single) = single.and_then(Option::as_mut) else {
                        continue;
                    };
                    for value in 0..single.values {
                        let can_be = [(*attribute, value)];
                        if can_hold(term, &can_be, sets.as_ref(), instructions) {
                            continue;
                        }
                        if single.rows.is_empty() {
                            single.rows.resize(single.values * words, u64::MAX);
                        }
                        if let Some(word) = single.rows.get_mut(value * words + at / 64) {
                            *word &= !(1 << (at % 64));
                        }
                    }
                }
                let chosen = choices
                    .iter_mut()
                    .any(|choice| choice.settles(at, &asked, term, instructions));
                if chosen {
                    continue;
                }
                let is_exact = !asked.is_empty()
                    && asked.iter().all(|id| {
                        let single = singles.get(usize::from(id.0));
                        single.is_some_and(Option::is_some)
                    })
                    && is_exact(term, sets.as_ref(), instructions);
                if is_exact && asked.len() == 1 {
                    continue;
                }
                if is_exact && looks < MOST_LOOKS && has_group(&mut groups, &asked, &singles) {
                    looks += MOST_ROWS;
                    joints.push(Joint {
                        clause: at,
                        term,
                        asked,
                    });
                    continue;
                }
                unsettled.push(index);
            }
            left.push(unsettled);
        }
        choices.retain(Choice::is_of_use);
        let is_wide = words > 1 || !choices.is_empty();
        let mut index = Index {
            words,
            sums: if is_wide { words.div_ceil(64) } else { 0 },
            sets,
            ..Index::default()
        };
        index.rows.extend(vec![u64::MAX; index.sums + words]);
        for choice in choices {
            match Lists::new(&choice, most_entries) {
                Some(lists) => index.lists.push(lists),
                None => index.trees.push(Tree::new(choice)),
            }
        }
        for column in columns(groups, singles) {
            let own = joints.extract_if(.., |joint| {
                let mut asked = joint.asked.iter();
                asked.all(|id| column.iter().any(|single| single.attribute == *id))
            });
            let own: Vec<Joint<'_>> = own.collect();
            index.add(&column, &own, instructions);
        }
        (index, left)
    }

    /// Adds a column of some attributes, and what it says of terms of several of them.
    fn add(&mut self, together: &[Single], joints: &[Joint<'_>], instructions: &[Instruction]) {
        let (at, lane) = (self.columns / 4, self.columns % 4);
        if self.fours.len() <= at {
            self.fours.push(Four::default());
        }
        let first = super::narrow(self.rows.len() / (self.sums + self.words));
        let four = self.fours.get_mut(at);
        let count = four.map_or(0, |four| four.put(lane, together, first));
        for row in 0..count {
            let mut rest = row;
            let mut all = vec![u64::MAX; self.words];
            let mut are = Vec::with_capacity(together.len());
            for single in together {
                let value = rest % single.values;
                let own = single.rows.chunks(self.words).nth(value);
                for (all, own) in all.iter_mut().zip(own.unwrap_or_default()) {
                    *all &= own;
                }
                are.push((single.attribute, value));
                rest /= single.values;
            }
            for joint in joints {
                let word = all.get_mut(joint.clause / 64);
                let Some(word) = word.filter(|word| **word >> (joint.clause % 64) & 1 == 1) else {
                    continue;
                };
                if !can_hold(joint.term, &are, self.sets.as_ref(), instructions) {
                    *word &= !(1 << (joint.clause % 64));
                }
            }
            self.rows.extend(summed(&all).take(self.sums));
            self.rows.extend(all);
        }
        self.columns += 1;
    }

    /// The codes by which columns are read.
    #[inline]
    pub(super) fn codes(&self, facts: &Facts) -> Codes {
        let mut codes = Codes::of(facts);
        if let Some(sets) = &self.sets {
            codes.put_sets(sets.class_of(facts));
        }
        codes
    }

    /// What is left for these facts, where one word has all clauses and columns are all there is: so it
    /// is of most policies.
    #[inline]
    pub(crate) fn word(&self, facts: &Facts) -> Option<Word> {
        if self.sums > 0 {
            return None;
        }
        let codes = self.codes(facts);
        let mut bits = u64::MAX;
        for four in &self.fours {
            for row in four.rows(&codes) {
                bits &= self.rows.get(row as usize).copied().unwrap_or(0);
            }
        }
        Some(Word(bits))
    }

    /// Where nothing stands yet.
    #[inline]
    pub(crate) fn wide(&self) -> Wide<'_> {
        Wide::new(self)
    }

    /// What columns and trees leave of some clauses of a word.
    #[inline]
    pub(super) fn left(&self, wide: &Wide<'_>, word: usize, bits: u64) -> u64 {
        let bits = self.rows(wide, self.sums + word, bits);
        if bits == 0 || (self.trees.is_empty() && self.lists.len() < 2) {
            return bits;
        }
        let trees = self.trees.iter().zip(&wide.chosen);
        let bits = trees.fold(bits, |bits, (tree, chosen)| bits & tree.word(chosen, word));
        let lists = wide.lists.iter().take(self.lists.len());
        let word = super::narrow(word);
        lists.fold(bits, |bits, list| bits & lists::word(list, word))
    }

    /// What the rows of all columns have in common at a place.
    #[inline]
    fn rows(&self, wide: &Wide<'_>, at: usize, mut bits: u64) -> u64 {
        for row in wide.rows.as_flattened().iter().take(self.columns) {
            let at = (*row as usize).wrapping_add(at);
            bits &= self.rows.get(at).copied().unwrap_or(0);
            // The first columns leave nothing of most words.
            if bits == 0 {
                break;
            }
        }
        bits
    }

    /// Which of 64 words may have a clause left; none behind the last. It is asked for where no
    /// list says it.
    #[inline]
    pub(super) fn sum(&self, wide: &Wide<'_>, at: usize) -> u64 {
        // Where there is no column, what is behind the last word is not looked for.
        let there_are = self.there_are(at);
        if there_are == 0 {
            return 0;
        }
        let bits = self.rows(wide, at, there_are);
        let trees = self.trees.iter().zip(&wide.chosen);
        trees.fold(bits, |bits, (tree, chosen)| bits & tree.sum(chosen, at))
    }

    /// Which of 64 words there are.
    fn there_are(&self, at: usize) -> u64 {
        match self.words.saturating_sub(at * 64) {
            0 => 0,
            left => u64::MAX >> (64 - left.min(64)),
        }
    }
}

/// Which words of a row are not empty, 64 of them in a word.
pub(super) fn summed(row: &[u64]) -> impl Iterator<Item = u64> {
    row.chunks(64).map(|words| {
        let bits = (0..)
            .zip(words)
            .map(|(at, word)| u64::from(*word != 0) << at);
        bits.fold(0, |sum, bit| sum | bit)
    })
}
