//! Which clauses can apply at all, by the facts.
//!
//! For each attribute with a closed vocabulary and each of its values there is a bitset of
//! the clauses that can still apply; their intersection leaves few to be tested, and what it
//! settles exactly is not tested again. Attributes of few values share a column: its rows are for
//! all of them together. Where many networks or texts are named, the clauses that are about them are
//! found by these ([`choice`](super::choice)), and only words of bitsets that have any of them are
//! looked at.

use std::ops::Range;

use super::choice::Choice;
use super::lists::{self, Entry, Lists};
use super::program::{Block, HIT, Instruction, MISS, Term, Test};
use super::sets::Sets;
use super::tree::{Chosen, Tree};
use crate::facts::codes::{Codes, SETS, place};
use crate::facts::{AttributeId, Facts};

/// The bitsets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Four columns each.
    fours: Vec<Four>,
    /// How many columns there are.
    columns: usize,
    /// The rows of all columns. Before the bitset of each stands which of its words are not empty,
    /// where it is not one that is looked at anyhow.
    rows: Vec<u64>,
    lists: Vec<Lists>,
    trees: Vec<Tree>,
    sets: Option<Sets>,
    /// 64-bit words in a bitset over the clauses, and in what says which of them are not empty.
    words: usize,
    sums: usize,
}

/// Terms of more instructions than this are always tested.
const LONGEST: u32 = 64;
/// How many rows columns may come to that are put together.
const MOST_ROWS: usize = 256;
/// How many columns are made for terms of several attributes, and how many rows are looked through
/// for these.
const MOST_GROUPS: usize = 8;
const MOST_LOOKS: usize = 1 << 17;
/// As many columns as there can be.
const MOST_COLUMNS: usize = 48 + MOST_GROUPS;

/// Four columns, whose rows are found with one sum: sixteen bits of it are the row of each.
#[derive(Clone, Debug, Default)]
struct Four {
    /// Four at a time; those that nothing is asked of make no row more.
    parts: Vec<[Part; 4]>,
    /// Which row of all is the first one of each. Where there is no column it is the first row, which
    /// has all clauses.
    first: [u32; 4],
}

/// An attribute of a column: the place of its code, and how many rows one more makes.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    place: u8,
    times: u64,
}

impl Four {
    /// The parts of attributes.
    fn used(&self) -> impl Iterator<Item = Part> {
        let all = self.parts.iter().flatten().copied();
        all.filter(|part| part.times != 0)
    }

    /// The row of each column, among all rows. No row of a column is beyond its sixteen bits, so
    /// that nothing overflows.
    #[inline]
    fn rows(&self, codes: &Codes) -> [u32; 4] {
        let mut sum = 0_u64;
        for four in &self.parts {
            for part in four {
                let rows = u64::from(codes.at(part.place)).wrapping_mul(part.times);
                sum = sum.wrapping_add(rows);
            }
        }
        let [a, b, c, d, e, f, g, h] = sum.to_le_bytes();
        let [i, j, k, l] = self.first;
        let row = |first: u32, low, high| first.wrapping_add(u32::from_le_bytes([low, high, 0, 0]));
        [row(i, a, b), row(j, c, d), row(k, e, f), row(l, g, h)]
    }
}

/// An attribute that tells clauses apart.
#[derive(Clone, Debug)]
struct Single {
    attribute: AttributeId,
    place: u8,
    values: usize,
    /// A bitset for each of its values, where any clause cannot apply.
    rows: Vec<u64>,
}

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
        let mut count = 1;
        if let Some(four) = self.fours.get_mut(at) {
            let parts = together.iter().map(|single| {
                let times = (count as u64) << (16 * lane);
                count *= single.values;
                Part {
                    place: single.place,
                    times,
                }
            });
            let mut parts: Vec<Part> = four.used().chain(parts).collect();
            parts.resize(parts.len().next_multiple_of(4), Part::default());
            four.parts = parts.as_chunks().0.to_vec();
            if let Some(own) = four.first.get_mut(lane) {
                *own = first;
            }
        }
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
    fn codes(&self, facts: &Facts) -> Codes {
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
        Wide {
            index: self,
            rows: [[0; 4]; MOST_COLUMNS / 4],
            list: None,
            lists: [&[]; MOST_CHOICES],
            chosen: [Chosen::default(); MOST_CHOICES],
        }
    }

    /// What columns and trees leave of some clauses of a word.
    #[inline]
    fn left(&self, wide: &Wide<'_>, word: usize, bits: u64) -> u64 {
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
    fn sum(&self, wide: &Wide<'_>, at: usize) -> u64 {
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

/// What each attribute of the table may tell apart: nothing for texts.
fn singles(sets: Option<&Sets>) -> Vec<Option<Single>> {
    let single = |attribute: AttributeId| {
        let (place, values) = match sets.filter(|sets| sets.attribute == attribute) {
            Some(sets) => (SETS, sets.classes()),
            None => place(attribute)?,
        };
        Some(Single {
            attribute,
            place,
            values,
            rows: Vec::new(),
        })
    };
    AttributeId::all().map(single).collect()
}

/// How many rows a column of some attributes has.
fn rows_of(group: &[AttributeId], singles: &[Option<Single>]) -> usize {
    let values = group.iter().map(|id| {
        let single = singles.get(usize::from(id.0));
        let single = single.and_then(Option::as_ref);
        single.map_or(1, |single| single.values)
    });
    values.fold(1, usize::saturating_mul)
}

/// Whether some attributes are in a group, which is made or extended where that takes few rows.
fn has_group(
    groups: &mut Vec<Vec<AttributeId>>,
    asked: &[AttributeId],
    singles: &[Option<Single>],
) -> bool {
    let fits = |group: &[AttributeId]| rows_of(group, singles) <= MOST_ROWS;
    if groups
        .iter()
        .any(|group| asked.iter().all(|id| group.contains(id)))
    {
        return true;
    }
    for group in groups.iter_mut() {
        let mut both = group.clone();
        both.extend(asked.iter().filter(|id| !group.contains(id)));
        if fits(&both) {
            *group = both;
            return true;
        }
    }
    let is_new = groups.len() < MOST_GROUPS && fits(asked);
    if is_new {
        groups.push(asked.to_vec());
    }
    is_new
}

/// The attributes of each column: those of a group, and what else fits beside them; few rows for
/// all of them together.
fn columns(groups: Vec<Vec<AttributeId>>, singles: Vec<Option<Single>>) -> Vec<Vec<Single>> {
    let single = |id: &AttributeId| singles.get(usize::from(id.0)).cloned().flatten();
    let mut all: Vec<(usize, Vec<Single>)> = groups
        .iter()
        .map(|group| {
            let together: Vec<Single> = group.iter().filter_map(single).collect();
            (rows_of(group, &singles), together)
        })
        .collect();
    let mut others: Vec<Single> = singles
        .iter()
        .flatten()
        .filter(|single| {
            let is_in = groups.iter().any(|group| group.contains(&single.attribute));
            !single.rows.is_empty() && !is_in
        })
        .cloned()
        .collect();
    others.sort_by_key(|single| std::cmp::Reverse(single.values));
    for single in others {
        let fits = all
            .iter_mut()
            .find(|(rows, _)| rows.saturating_mul(single.values) <= MOST_ROWS);
        match fits {
            Some((rows, together)) => {
                *rows *= single.values;
                together.push(single);
            }
            None => all.push((single.values, vec![single])),
        }
    }
    // Those that leave fewest clauses come first.
    all.sort_by_cached_key(|(_, together)| {
        let left = together.iter().map(Single::left);
        left.fold(LEFT_OF_ALL, |all, left| all * left / LEFT_OF_ALL)
    });
    all.into_iter().map(|(_, together)| together).collect()
}

/// How finely it is told which part of all clauses is left.
const LEFT_OF_ALL: u64 = 1 << 20;

impl Single {
    /// Which part of all clauses is left of them, for a value among its values.
    fn left(&self) -> u64 {
        let ones = self.rows.iter().map(|word| u64::from(word.count_ones()));
        let all = self.rows.len() as u64 * 64;
        (ones.sum::<u64>() * LEFT_OF_ALL)
            .checked_div(all)
            .unwrap_or(LEFT_OF_ALL)
    }
}

/// As many attributes as clauses are chosen by.
pub(super) const MOST_CHOICES: usize = 4;

/// Which words of a row are not empty, 64 of them in a word.
pub(super) fn summed(row: &[u64]) -> impl Iterator<Item = u64> {
    row.chunks(64).map(|words| {
        let bits = (0..)
            .zip(words)
            .map(|(at, word)| u64::from(*word != 0) << at);
        bits.fold(0, |sum, bit| sum | bit)
    })
}

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
pub(crate) struct Word(u64);

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
    rows: [[u32; 4]; MOST_COLUMNS / 4],
    /// The shortest of the lists.
    list: Option<&'a [Entry]>,
    lists: [&'a [Entry]; MOST_CHOICES],
    chosen: [Chosen; MOST_CHOICES],
}

impl Wide<'_> {
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

/// The instructions that a term may reach: from its entry on, those it jumps to.
pub(super) fn reachable<'a>(
    term: &Term,
    instructions: &'a [Instruction],
    mut follow: impl FnMut(&'a Instruction) -> (bool, bool),
) -> bool {
    let mut frontier = vec![term.entry];
    let mut seen = Vec::new();
    while let Some(at) = frontier.pop() {
        if at == HIT {
            return true;
        }
        if at == MISS || seen.contains(&at) {
            continue;
        }
        seen.push(at);
        let Some(instruction) = instructions.get(at as usize) else {
            continue;
        };
        let (hit, miss) = follow(instruction);
        frontier.extend(hit.then_some(instruction.hit));
        frontier.extend(miss.then_some(instruction.miss));
    }
    false
}

/// Looks at each instruction that a term may reach, once.
pub(super) fn each<'a>(
    term: &Term,
    instructions: &'a [Instruction],
    mut look: impl FnMut(&'a Instruction),
) {
    reachable(term, instructions, |instruction| {
        look(instruction);
        // Nothing is a hit here: behind the first one nothing would be looked at.
        (instruction.hit != HIT, instruction.miss != HIT)
    });
}

/// The attributes that a term asks for anywhere, each once.
fn asked(term: &Term, instructions: &[Instruction]) -> Vec<AttributeId> {
    let mut asked = Vec::new();
    each(term, instructions, |instruction| {
        if !asked.contains(&instruction.attribute) {
            asked.push(instruction.attribute);
        }
    });
    asked
}

/// Whether the values of the facts that a term asks for say exactly whether it holds.
fn is_exact(term: &Term, sets: Option<&Sets>, instructions: &[Instruction]) -> bool {
    let mut is_exact = true;
    each(term, instructions, |instruction| {
        is_exact &= match &instruction.test {
            Test::Flag(_) | Test::Word(..) | Test::Never => true,
            Test::Address(_, _, networks) => networks.is_empty(),
            Test::Header {
                networks, texts, ..
            } => networks.is_empty() && texts.is_empty(),
            Test::Includes(..) | Test::Within(..) | Test::Equals(..) => {
                sets.is_some_and(|sets| sets.attribute == instruction.attribute)
            }
            Test::Text(..) => false,
        };
    });
    is_exact
}

/// Whether a term can hold when some attributes have values, whatever the other facts are.
fn can_hold(
    term: &Term,
    are: &[(AttributeId, usize)],
    sets: Option<&Sets>,
    instructions: &[Instruction],
) -> bool {
    reachable(term, instructions, |instruction| {
        let known = are.iter().find(|(id, _)| *id == instruction.attribute);
        let Some((attribute, value)) = known else {
            return (true, true);
        };
        let among = |codes: &u64| codes >> value & 1 != 0;
        match &instruction.test {
            Test::Flag(_) => (*value == 1, *value == 0),
            Test::Word(_, codes) => (among(codes), !among(codes)),
            Test::Address(_, codes, networks) if !among(codes) => (!networks.is_empty(), true),
            Test::Header {
                codes,
                networks,
                texts,
                ..
            } if !among(codes) => (!networks.is_empty() || !texts.is_empty(), true),
            Test::Address(..) | Test::Header { .. } => (true, false),
            Test::Includes(..) | Test::Within(..) | Test::Equals(..) => {
                let own = sets.filter(|sets| sets.attribute == *attribute);
                own.map_or((true, true), |sets| {
                    let holds = sets.holds(&instruction.test, *value);
                    (holds, !holds)
                })
            }
            Test::Text(..) => (true, true),
            Test::Never => (false, true),
        }
    })
}
