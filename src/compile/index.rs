//! Which clauses can apply at all, by the few facts that have only a few values.
//!
//! For each attribute with a closed vocabulary and each of its values there is a bitset of
//! the clauses that can still apply; their intersection leaves few to be tested, and what it
//! settles exactly is not tested again.

use super::program::{Block, HIT, Instruction, MISS, Term, Test};
use crate::facts::{Address, AttributeId, Facts, Kind};

/// The clauses of a policy, guards before rules, by the values of facts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    columns: Vec<Column>,
    /// The bitsets of all columns, row after row, one row for each value.
    rows: Vec<u64>,
    /// 64-bit words in a bitset over the clauses.
    words: usize,
}

/// Terms of more instructions than this are always tested.
const LONGEST: u32 = 64;

/// One attribute, and where its bitsets begin.
#[derive(Clone, Copy, Debug)]
struct Column {
    value: Value,
    start: usize,
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
                if !is_settled(term, &asked, &told_apart, instructions) {
                    unsettled.push(index);
                }
            }
            left.push(unsettled);
        }
        let mut index = Index {
            words,
            ..Index::default()
        };
        for (told_apart, rows) in told_apart.into_iter().zip(rows) {
            if let Some((value, _)) = told_apart.filter(|_| !rows.is_empty()) {
                index.columns.push(Column {
                    value,
                    start: index.rows.len(),
                });
                index.rows.extend(rows);
            }
        }
        (index, left)
    }

    /// What is left for these facts. Nothing is allocated.
    pub(crate) fn narrow<'a>(&'a self, facts: &'a Facts) -> Narrowed<'a> {
        // Most policies have at most 64 clauses: one word, found at once.
        let first = self.word(0, facts);
        Narrowed {
            index: self,
            facts,
            first,
        }
    }

    fn word(&self, word: usize, facts: &Facts) -> u64 {
        self.columns.iter().fold(u64::MAX, |bits, column| {
            let at = column.start + column.value.of(facts) * self.words + word;
            bits & self.rows.get(at).copied().unwrap_or(u64::MAX)
        })
    }
}

/// The clauses that can apply to some facts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrowed<'a> {
    index: &'a Index,
    facts: &'a Facts,
    first: u64,
}

impl Narrowed<'_> {
    /// The first clause from `at` on, and before `end`, that can apply.
    #[inline]
    pub(crate) fn next(&self, at: usize, end: usize) -> Option<usize> {
        let mut word = at / 64;
        let mut bits = self.word(word) & (u64::MAX << (at % 64));
        while bits == 0 {
            word += 1;
            if word * 64 >= end {
                return None;
            }
            bits = self.word(word);
        }
        let found = word * 64 + bits.trailing_zeros() as usize;
        (found < end).then_some(found)
    }

    #[inline]
    fn word(&self, word: usize) -> u64 {
        if word == 0 {
            self.first
        } else {
            self.index.word(word, self.facts)
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
fn reachable<'a>(
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
