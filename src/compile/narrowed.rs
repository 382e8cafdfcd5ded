//! The clauses that are left for some facts, one after the other. How they are found is in
//! [`index`](super::index).

use std::ops::Range;

use super::choice::MOST_CHOICES;
use super::columns::MOST_COLUMNS;
use super::index::Index;
use super::lists::Entry;
use super::tree::Chosen;
use crate::facts::Facts;

/// The clauses that can apply to some facts.
pub(crate) trait Narrowed {
    /// Whether only what the index does not settle is to be tested.
    const SETTLES: bool;

    /// Those in a range of places, in order.
    fn within(&self, places: Range<usize>) -> impl Iterator<Item = usize>;
}

/// All of them: nothing is narrowed.
pub(crate) struct Everything;

impl Narrowed for Everything {
    const SETTLES: bool = false;

    fn within(&self, places: Range<usize>) -> impl Iterator<Item = usize> {
        places
    }
}

/// Clauses of one word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word(pub(super) u64);

impl Narrowed for Word {
    const SETTLES: bool = true;

    #[inline]
    fn within(&self, places: Range<usize>) -> impl Iterator<Item = usize> {
        // Places of one word are less than 64, but for the end of all of them.
        let below = |end: usize| match end {
            0..64 => !(u64::MAX << end),
            _ => u64::MAX,
        };
        let bits = self.0 & below(places.end) & !below(places.start);
        Bits(bits).map(|bit| bit as usize)
    }
}

/// The places of the bits that are set.
struct Bits(u64);

impl Iterator for Bits {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let found = (self.0 != 0).then(|| self.0.trailing_zeros())?;
        self.0 &= self.0 - 1;
        Some(found)
    }
}

/// Clauses of many words: where some facts stand in the index.
#[derive(Clone, Debug)]
pub(crate) struct Wide<'a> {
    index: &'a Index,
    /// Where the row of each column begins.
    pub(super) rows: [[u32; 4]; MOST_COLUMNS / 4],
    /// The shortest of the lists.
    list: Option<&'a [Entry]>,
    pub(super) lists: [&'a [Entry]; MOST_CHOICES],
    pub(super) chosen: [Chosen; MOST_CHOICES],
}

impl<'a> Wide<'a> {
    /// Where nothing stands yet.
    #[inline]
    pub(super) fn new(index: &'a Index) -> Self {
        Wide {
            index,
            rows: [[0; 4]; MOST_COLUMNS / 4],
            list: None,
            lists: [&[]; MOST_CHOICES],
            chosen: [Chosen::default(); MOST_CHOICES],
        }
    }

    /// Finds where some facts stand.
    #[inline]
    pub(crate) fn find(&mut self, facts: &Facts) {
        let index = self.index;
        let codes = index.codes(facts);
        let length = super::narrow(index.sums + index.words);
        for (four, rows) in index.fours.iter().zip(&mut self.rows) {
            *rows = four.rows(&codes).map(|row| row.wrapping_mul(length));
        }
        for (lists, list) in index.lists.iter().zip(&mut self.lists) {
            *list = lists.of(facts);
            if self.list.is_none_or(|shortest| list.len() < shortest.len()) {
                self.list = Some(list);
            }
        }
        for (tree, chosen) in index.trees.iter().zip(&mut self.chosen) {
            *chosen = tree.of(facts);
        }
    }
}

impl Narrowed for Wide<'_> {
    const SETTLES: bool = true;

    #[inline]
    fn within(&self, places: Range<usize>) -> impl Iterator<Item = usize> {
        let first = places.start / 64;
        let words = match self.list {
            _ if places.is_empty() => Words::List(&[]),
            Some(list) => Words::List(list),
            None => {
                let group = first / 64;
                let sums = self.index.sum(self, group) & (u64::MAX << (first % 64));
                Words::Sums { group, sums }
            }
        };
        Left {
            wide: self,
            places,
            words,
            word: 0,
            bits: 0,
        }
    }
}

/// Clauses that can apply, in order.
#[derive(Clone, Debug)]
struct Left<'a> {
    wide: &'a Wide<'a>,
    places: Range<usize>,
    words: Words<'a>,
    /// The word that is looked through, and what is left of it.
    word: usize,
    bits: u64,
}

/// The words that are to be looked through.
#[derive(Clone, Debug)]
enum Words<'a> {
    List(&'a [Entry]),
    /// Of 64 words at a time, those that are not empty.
    Sums {
        group: usize,
        sums: u64,
    },
}

impl Left<'_> {
    /// The next word, and what the list has of it.
    #[inline]
    fn word(&mut self) -> Option<(usize, u64)> {
        match &mut self.words {
            Words::List(list) => {
                let (entry, rest) = list.split_first()?;
                *list = rest;
                Some((entry.word as usize, entry.bits))
            }
            Words::Sums { group, sums } => {
                while *sums == 0 {
                    *group += 1;
                    if *group * 64 * 64 >= self.places.end {
                        return None;
                    }
                    *sums = self.wide.index.sum(self.wide, *group);
                }
                let word = *group * 64 + sums.trailing_zeros() as usize;
                *sums &= *sums - 1;
                Some((word, u64::MAX))
            }
        }
    }
}

impl Iterator for Left<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            let (word, mut bits) = self.word()?;
            let first = word * 64;
            if first >= self.places.end {
                return None;
            }
            if first < self.places.start {
                // Of the word in which the places begin, what is before them.
                let before = self.places.start - first;
                if before >= 64 {
                    continue;
                }
                bits &= u64::MAX << before;
            }
            self.word = word;
            self.bits = self.wide.index.left(self.wide, word, bits);
        }
        let found = self.word * 64 + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        (found < self.places.end).then_some(found)
    }
}
