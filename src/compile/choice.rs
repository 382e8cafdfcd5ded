//! Which clauses are about which networks or texts: of many clauses those that can apply at the one
//! that a connection has.
//!
//! An attribute's values fall into classes, in order: the addresses between two bounds of networks,
//! each text that is named, and what is named nowhere. A term holds for some ranges of classes. Where
//! the clauses of a class are written down is not here: see [`lists`](super::lists) and
//! [`tree`](super::tree).

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::networks::{V4_END, V4_START, number, of_number};
use super::program::{Instruction, Term, Test, Texts};
use super::reach::{each, reachable};
use crate::facts::{Address, AttributeId, Facts, Kind};

/// As many attributes as clauses are chosen by.
pub(super) const MOST_CHOICES: usize = 4;
/// Of how many ranges a term may be that is found by its classes.
const MOST_RANGES: usize = 64;
/// From how many classes on it is worth its while, where more than so many tests tell them apart: a
/// few are made as soon as they are found.
const LEAST_CLASSES: usize = 24;
const LEAST_TESTS: usize = 8;

/// Clauses by the classes of one attribute, until all of them have their places.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    attribute: AttributeId,
    pub(super) classes: Classes,
    /// The clauses that stand with every class.
    pub(super) always: Vec<u64>,
    /// The others, in order.
    pub(super) stretches: Vec<Stretch>,
}

/// A clause, as a bit of a word, that stands with the classes of a range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) word: u32,
    pub(super) bit: u64,
}

/// What tells classes apart.
#[derive(Clone, Debug)]
pub(super) enum Classes {
    /// Where each class of addresses begins; behind those, what has no address.
    Networks(fn(&Facts) -> Address, Vec<u128>, V4),
    /// Each text, in order; behind those, any other.
    Texts(fn(&Facts) -> &str, Named),
}

/// Texts that are named.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// The place of each among all of them, in order.
    places: FxHashMap<Box<str>, usize>,
    /// The length of the longest one: what is longer is not looked for.
    longest: usize,
}

impl Named {
    fn of(mut texts: Vec<Box<str>>) -> Self {
        texts.sort_unstable();
        texts.dedup();
        let longest = texts.iter().map(|text| text.len()).max();
        Named {
            longest: longest.unwrap_or(0),
            places: texts.into_iter().zip(0..).collect(),
        }
    }

    fn place(&self, text: &str) -> Option<usize> {
        match text.len() > self.longest {
            true => None,
            false => self.places.get(text).copied(),
        }
    }
}

/// The same for v4 alone: how many classes are before it, and where those begin that it has.
#[derive(Clone, Debug)]
pub(super) struct V4 {
    before: usize,
    starts: Vec<u32>,
}

impl V4 {
    fn of(starts: &[u128]) -> Self {
        let own = starts.iter().filter_map(|start| match of_number(*start) {
            IpAddr::V4(ip) => Some(ip.to_bits()),
            IpAddr::V6(_) => None,
        });
        V4 {
            before: starts.partition_point(|start| *start < V4_START),
            starts: own.collect(),
        }
    }
}

impl Choice {
    /// One for each attribute of which terms name many networks or texts.
    pub(super) fn all(terms: &[Term], instructions: &[Instruction], words: usize) -> Vec<Choice> {
        let mut found = Vec::new();
        for attribute in AttributeId::all() {
            let tests = || {
                let own = terms.iter().flat_map(|term| {
                    let from = term.entry as usize;
                    let own = instructions.get(from..from.saturating_add(term.length as usize));
                    own.unwrap_or_default()
                });
                own.filter(|it| it.attribute == attribute)
                    .map(|it| &it.test)
            };
            let classes = match attribute.row().kind {
                Kind::Address { get, .. } => {
                    let mut starts = vec![0, V4_START, V4_END + 1];
                    for test in tests() {
                        if let Test::Address(_, _, networks) = test {
                            starts.extend(networks.ranges().iter().flat_map(bounds));
                        }
                    }
                    starts.sort_unstable();
                    starts.dedup();
                    let v4 = V4::of(&starts);
                    Classes::Networks(get, starts, v4)
                }
                Kind::Text { get, .. } | Kind::Header { text: get, .. } => {
                    // What is absent is a class of its own.
                    let mut texts: Vec<Box<str>> = vec!["".into()];
                    for test in tests() {
                        if let Test::Text(_, _, named) | Test::Header { texts: named, .. } = test {
                            texts.extend(named.iter().cloned());
                        }
                    }
                    Classes::Texts(get, Named::of(texts))
                }
                Kind::Flag { .. } | Kind::Enum { .. } | Kind::Set { .. } => continue,
            };
            let is_worth = classes.count() > LEAST_CLASSES && tests().count() > LEAST_TESTS;
            if is_worth && found.len() < MOST_CHOICES {
                found.push(Choice {
                    attribute,
                    classes,
                    always: vec![u64::MAX; words],
                    stretches: Vec::new(),
                });
            }
        }
        found
    }
}

impl Choice {
    /// Puts a clause with the classes for which one of its terms holds; whether that settles the term.
    pub(super) fn settles(
        &mut self,
        clause: usize,
        asked: &[AttributeId],
        term: &Term,
        instructions: &[Instruction],
    ) -> bool {
        if asked != [self.attribute] || self.has_its_place(clause) {
            return false;
        }
        let mut is_exact = true;
        each(term, instructions, |instruction| {
            is_exact &= match &instruction.test {
                Test::Address(_, codes, _) => *codes == 0,
                Test::Header {
                    codes, networks, ..
                } => *codes == 0 && networks.is_empty(),
                Test::Text(..) => true,
                Test::Flag(_)
                | Test::Word(..)
                | Test::Includes(..)
                | Test::Within(..)
                | Test::Equals(..)
                | Test::Never => false,
            };
        });
        let Some(ranges) = self.held(term, instructions) else {
            return false;
        };
        let (word, bit) = (clause / 64, 1 << (clause % 64));
        if let Some(always) = self.always.get_mut(word) {
            *always &= !bit;
        }
        let word = super::narrow(word);
        let stretch = |(from, to)| Stretch {
            from,
            to,
            word,
            bit,
        };
        self.stretches.extend(ranges.into_iter().map(stretch));
        is_exact
    }

    /// Whether a clause stands with some classes already.
    fn has_its_place(&self, clause: usize) -> bool {
        let always = self.always.get(clause / 64);
        always.is_some_and(|always| always >> (clause % 64) & 1 == 0)
    }

    /// The ranges of classes for which a term can hold, where they are not too many.
    fn held(&self, term: &Term, instructions: &[Instruction]) -> Option<Vec<(usize, usize)>> {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        // What is put in order of classes grows together. Once they are too many no more is looked at.
        let mut put = |from: usize, to: usize| {
            match ranges.last_mut() {
                Some((_, end)) if *end == from => *end = to,
                _ if from < to => ranges.push((from, to)),
                _ => {}
            }
            (ranges.len() <= MOST_RANGES).then_some(())
        };
        match &self.classes {
            Classes::Networks(_, starts, _) => {
                let can_hold =
                    |ip: Option<u128>| reachable(term, instructions, |it| network(&it.test, ip));
                // Between the bounds that the term itself names it holds for all or for none.
                let mut own = vec![0];
                each(term, instructions, |instruction| {
                    if let Test::Address(_, _, networks) = &instruction.test {
                        own.extend(networks.ranges().iter().flat_map(bounds));
                    }
                });
                own.sort_unstable();
                own.dedup();
                let class = |start: u128| starts.partition_point(|it| *it < start);
                for (at, start) in own.iter().enumerate() {
                    if can_hold(Some(*start)) {
                        let end = own.get(at + 1).map_or(starts.len(), |end| class(*end));
                        put(class(*start), end)?;
                    }
                }
                if can_hold(None) {
                    put(starts.len(), starts.len() + 1)?;
                }
            }
            Classes::Texts(_, texts) => {
                let can_hold =
                    |text: Option<&str>| reachable(term, instructions, |it| named(&it.test, text));
                let mut own: Vec<&str> = vec![""];
                each(term, instructions, |instruction| {
                    if let Test::Text(_, _, texts) | Test::Header { texts, .. } = &instruction.test
                    {
                        own.extend(texts.iter().map(|it| &**it));
                    }
                });
                own.sort_unstable();
                own.dedup();
                let others = can_hold(None);
                let mut from = 0;
                for text in own {
                    let class = texts.place(text)?;
                    if others {
                        put(from, class)?;
                    }
                    if can_hold(Some(text)) {
                        put(class, class + 1)?;
                    }
                    from = class + 1;
                }
                if others {
                    put(from, texts.places.len() + 1)?;
                }
            }
        }
        Some(ranges)
    }

    /// Whether any clause stands with some classes only.
    pub(super) fn is_of_use(&self) -> bool {
        self.always.iter().any(|word| *word != u64::MAX)
    }
}

/// Where the first class of a network begins, and the first behind it.
fn bounds((first, last): &(u128, u128)) -> impl Iterator<Item = u128> {
    std::iter::once(*first).chain(last.checked_add(1))
}

/// Whether a test can hold of an address, or of what has none, and whether it can fail.
fn network(test: &Test, ip: Option<u128>) -> (bool, bool) {
    match test {
        Test::Address(_, codes, networks) => {
            let is_in = ip.is_some_and(|ip| networks.has(ip));
            (is_in || *codes != 0, !is_in)
        }
        Test::Flag(_)
        | Test::Word(..)
        | Test::Header { .. }
        | Test::Text(..)
        | Test::Includes(..)
        | Test::Within(..)
        | Test::Equals(..)
        | Test::Never => (true, true),
    }
}

/// Whether a test can hold of a text, or of one that is named nowhere, and whether it can fail.
fn named(test: &Test, text: Option<&str>) -> (bool, bool) {
    let is_named = |texts: &Texts| text.is_some_and(|text| texts.contain(text));
    match test {
        Test::Text(_, absent, texts) => {
            let is_it = match text {
                Some("") => *absent,
                Some(_) | None => is_named(texts),
            };
            (is_it, !is_it)
        }
        Test::Header {
            codes,
            networks,
            texts,
            ..
        } => {
            let is_it = is_named(texts);
            (is_it || *codes != 0 || !networks.is_empty(), !is_it)
        }
        Test::Flag(_)
        | Test::Word(..)
        | Test::Address(..)
        | Test::Includes(..)
        | Test::Within(..)
        | Test::Equals(..)
        | Test::Never => (true, true),
    }
}

impl Classes {
    /// The class of a connection.
    #[inline]
    pub(super) fn of(&self, facts: &Facts) -> usize {
        match self {
            // The first class begins at the first address.
            Classes::Networks(get, starts, v4) => match get(facts).ip() {
                Some(IpAddr::V4(ip)) => {
                    let ip = ip.to_bits();
                    let behind = v4.starts.partition_point(|start| *start <= ip);
                    v4.before + behind.saturating_sub(1)
                }
                Some(ip @ IpAddr::V6(_)) => {
                    let ip = number(ip);
                    let behind = starts.partition_point(|start| *start <= ip);
                    behind.saturating_sub(1)
                }
                None => starts.len(),
            },
            Classes::Texts(get, texts) => {
                let found = texts.place(get(facts));
                found.unwrap_or(texts.places.len())
            }
        }
    }

    pub(super) fn count(&self) -> usize {
        1 + match self {
            Classes::Networks(_, starts, _) => starts.len(),
            Classes::Texts(_, texts) => texts.places.len(),
        }
    }
}
