//! Which clauses can apply at all, by the facts.
//!
//! For each attribute with a closed vocabulary and each of its values there is a bitset of
//! the clauses that can still apply; their intersection leaves few to be tested, and what it
//! settles exactly is not tested again. Where clauses are many, those that are about a few networks or
//! texts are found by these ([`choice`](super::choice)), and words of bitsets in which no clause is
//! left are passed over.

use super::choice::{Choice, Chosen};
use super::program::{Block, HIT, Instruction, MISS, Term, Test};
use crate::facts::{Address, AttributeId, Facts, Kind};

/// The clauses of a policy, guards before rules, by the values of facts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    columns: Vec<Column>,
    /// The bitsets of all columns, row after row, one row for each value.
    rows: Vec<u64>,
    /// For each row, which of its words are not empty.
    sums: Vec<u64>,
    choices: Vec<Choice>,
    /// 64-bit words in a bitset over the clauses.
    words: usize,
}

/// Terms of more instructions than this are always tested.
const LONGEST: u32 = 64;

/// One attribute, and where its bitsets begin.
#[derive(Clone, Copy, Debug)]
struct Column {
    value: Value,
    /// Which row is that of the first value.
    first: usize,
}

/// Access to the value of a fact.
#[derive(Clone, Copy, Debug)]
enum Value {
    Flag(fn(&Facts) -> bool),
    Code(fn(&Facts) -> u8),
    Address(fn(&Facts) -> Address),
}

impl Value {
    #[inline]
    fn of(self, facts: &Facts) -> usize {
        match self {
            Value::Flag(get) => usize::from(get(facts)),
            Value::Code(get) => usize::from(get(facts)),
            Value::Address(get) => usize::from(get(facts).class().code()),
        }
    }
}

impl Index {
    /// The index of clauses, in order. What it settles need not be tested again: the other
    /// terms come back for each clause.
    pub(crate) fn new<'a>(
        blocks: impl Iterator<Item = &'a Block> + Clone,
        terms: &[Term],
        instructions: &[Instruction],
    ) -> (Self, Vec<Vec<u32>>) {
        let words = blocks.clone().count().div_ceil(64);
        let told_apart: Vec<_> = AttributeId::all().map(told_apart).collect();
        let mut rows: Vec<Vec<u64>> = vec![Vec::new(); told_apart.len()];
        // One word is found sooner than what is chosen by an address.
        let mut choices = match words {
            0 | 1 => Vec::new(),
            _ => Choice::all(terms, instructions, words),
        };
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
                    let place = usize::from(attribute.0);
                    let Some((_, values)) = told_apart.get(place).copied().flatten() else {
                        continue;
                    };
                    let Some(rows) = rows.get_mut(place) else {
                        continue;
                    };
                    for value in 0..values {
                        if can_hold(term, *attribute, value, instructions) {
                            continue;
                        }
                        if rows.is_empty() {
                            rows.resize(values * words, u64::MAX);
                        }
                        if let Some(word) = rows.get_mut(value * words + at / 64) {
                            *word &= !(1 << (at % 64));
                        }
                    }
                }
                let chosen = choices
                    .iter_mut()
                    .any(|choice| choice.settles(at, &asked, term, instructions));
                if !chosen && !is_settled(term, &asked, &told_apart, instructions) {
                    unsettled.push(index);
                }
            }
            left.push(unsettled);
        }
        choices.retain(Choice::is_of_use);
        choices.iter_mut().for_each(Choice::done);
        let mut index = Index {
            words,
            choices,
            ..Index::default()
        };
        for (told_apart, rows) in told_apart.into_iter().zip(rows) {
            if let Some((value, _)) = told_apart.filter(|_| !rows.is_empty()) {
                index.columns.push(Column {
                    value,
                    first: index.rows.len() / words,
                });
                index.rows.extend(rows);
            }
        }
        if words > 1 {
            for row in index.rows.chunks(words) {
                index.sums.extend(summed(row));
            }
        }
        (index, left)
    }

    /// What is left for these facts. Nothing is allocated.
    pub(crate) fn narrow(&self, facts: &Facts) -> Narrowed<'_> {
        // Most policies have at most 64 clauses: one word, found at once.
        if self.words <= 1 {
            let first = self.columns.iter().fold(u64::MAX, |bits, column| {
                let row = column.first + column.value.of(facts);
                bits & self.rows.get(row).copied().unwrap_or(u64::MAX)
            });
            return Narrowed {
                index: self,
                first,
                wide: None,
            };
        }
        let wide = self.wide(facts);
        Narrowed {
            index: self,
            first: self.intersection(&wide, 0),
            wide: Some(wide),
        }
    }

    /// Where these facts stand in a bitset of more than one word.
    fn wide(&self, facts: &Facts) -> Wide {
        let mut wide = Wide {
            rows: [0; MOST_COLUMNS],
            chosen: [Chosen::default(); MOST_CHOICES],
        };
        for (column, row) in self.columns.iter().zip(&mut wide.rows) {
            // No policy has more rows than fit.
            *row = u32::try_from(column.first + column.value.of(facts)).unwrap_or(u32::MAX);
        }
        for (choice, chosen) in self.choices.iter().zip(&mut wide.chosen) {
            *chosen = choice.of(facts);
        }
        wide
    }

    /// The clauses of a word that are left.
    #[inline]
    fn intersection(&self, wide: &Wide, word: usize) -> u64 {
        let rows = wide.rows.iter().take(self.columns.len());
        let bits = rows.fold(u64::MAX, |bits, row| {
            let at = *row as usize * self.words + word;
            bits & self.rows.get(at).copied().unwrap_or(u64::MAX)
        });
        let choices = self.choices.iter().zip(&wide.chosen);
        choices.fold(bits, |bits, (choice, chosen)| {
            bits & choice.word(*chosen, word)
        })
    }

    /// Which of 64 words may have a clause left; nothing behind the last.
    fn sum(&self, wide: &Wide, at: usize) -> Option<u64> {
        let length = self.words.div_ceil(64);
        if at >= length {
            return None;
        }
        let rows = wide.rows.iter().take(self.columns.len());
        let bits = rows.fold(u64::MAX, |bits, row| {
            let at = *row as usize * length + at;
            bits & self.sums.get(at).copied().unwrap_or(u64::MAX)
        });
        // Behind the last word there is nothing.
        let last = (self.words - at * 64).min(64);
        let bits = bits & (u64::MAX >> (64 - last));
        let choices = self.choices.iter().zip(&wide.chosen);
        Some(choices.fold(bits, |bits, (choice, chosen)| {
            bits & choice.sum(*chosen, at)
        }))
    }
}

/// As many attributes as there can be columns.
const MOST_COLUMNS: usize = 64;
/// As many attributes as clauses are chosen by.
pub(super) const MOST_CHOICES: usize = 8;

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
#[derive(Clone, Debug)]
pub(crate) struct Narrowed<'a> {
    index: &'a Index,
    first: u64,
    /// Where there are more words than the first.
    wide: Option<Wide>,
}

/// Where some facts stand in the index.
#[derive(Clone, Debug)]
struct Wide {
    /// The row of each column.
    rows: [u32; MOST_COLUMNS],
    chosen: [Chosen; MOST_CHOICES],
}

impl Narrowed<'_> {
    /// The next clause in `at..end` that can apply.
    #[inline]
    pub(crate) fn next(&self, at: usize, end: usize) -> Option<usize> {
        let mut word = at / 64;
        let mut bits = self.word(word) & (u64::MAX << (at % 64));
        while bits == 0 {
            word = self.behind(word)?;
            if word * 64 >= end {
                return None;
            }
            bits = self.word(word);
        }
        let found = word * 64 + bits.trailing_zeros() as usize;
        (found < end).then_some(found)
    }

    /// The first word behind one in which a clause may be left.
    fn behind(&self, word: usize) -> Option<usize> {
        let wide = self.wide.as_ref()?;
        let next = word + 1;
        let mut at = next / 64;
        let mut bits = self.index.sum(wide, at)? & (u64::MAX << (next % 64));
        while bits == 0 {
            at += 1;
            bits = self.index.sum(wide, at)?;
        }
        Some(at * 64 + bits.trailing_zeros() as usize)
    }

    #[inline]
    fn word(&self, word: usize) -> u64 {
        match &self.wide {
            Some(wide) if word > 0 => self.index.intersection(wide, word),
            Some(_) | None if word == 0 => self.first,
            Some(_) | None => 0,
        }
    }
}

/// By which and how many values an attribute tells clauses apart; texts and sets do not.
fn told_apart(attribute: AttributeId) -> Option<(Value, usize)> {
    match attribute.row().kind {
        Kind::Flag { get, .. } => Some((Value::Flag(get), 2)),
        Kind::Enum { words, get, .. }
        | Kind::Header {
            words, class: get, ..
        } => Some((Value::Code(get), words.len())),
        Kind::Address { words, get, .. } => Some((Value::Address(get), words.len())),
        Kind::Set { .. } | Kind::Text { .. } => None,
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

/// The attributes that a term asks for anywhere, each once.
fn asked(term: &Term, instructions: &[Instruction]) -> Vec<AttributeId> {
    let mut asked = Vec::new();
    reachable(term, instructions, |instruction| {
        if !asked.contains(&instruction.attribute) {
            asked.push(instruction.attribute);
        }
        // Nothing is a hit here, so that all of it is seen.
        (instruction.hit != HIT, instruction.miss != HIT)
    });
    asked
}

/// Whether the value of one fact says exactly whether a term holds, so that the index does.
fn is_settled(
    term: &Term,
    asked: &[AttributeId],
    told_apart: &[Option<(Value, usize)>],
    instructions: &[Instruction],
) -> bool {
    let [attribute] = asked else { return false };
    let indexed = told_apart
        .get(usize::from(attribute.0))
        .is_some_and(Option::is_some);
    let mut exact = true;
    reachable(term, instructions, |instruction| {
        exact &= match &instruction.test {
            Test::Flag(_) | Test::Word(..) | Test::Never => true,
            Test::Address(_, _, networks) => networks.is_empty(),
            Test::Header {
                networks, texts, ..
            } => networks.is_empty() && texts.is_empty(),
            Test::Text(..) | Test::Includes(..) | Test::Within(..) | Test::Equals(..) => false,
        };
        (instruction.hit != HIT, instruction.miss != HIT)
    });
    indexed && exact
}

/// Whether a term can hold when an attribute has a value, whatever the other facts are.
fn can_hold(
    term: &Term,
    attribute: AttributeId,
    value: usize,
    instructions: &[Instruction],
) -> bool {
    reachable(term, instructions, |instruction| {
        if instruction.attribute != attribute {
            return (true, true);
        }
        let among = |codes: &u64| codes >> value & 1 != 0;
        match &instruction.test {
            Test::Flag(_) => (value == 1, value == 0),
            Test::Word(_, codes) => (among(codes), !among(codes)),
            Test::Address(_, codes, networks) if !among(codes) => (!networks.is_empty(), true),
            Test::Header {
                codes,
                networks,
                texts,
                ..
            } if !among(codes) => (!networks.is_empty() || !texts.is_empty(), true),
            Test::Address(..) | Test::Header { .. } => (true, false),
            Test::Text(..) | Test::Includes(..) | Test::Within(..) | Test::Equals(..) => {
                (true, true)
            }
            Test::Never => (false, true),
        }
    })
}
