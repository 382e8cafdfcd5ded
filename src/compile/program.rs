//! A policy as run: clauses, their terms, and a flat list of tests with a span on each.
//!
//! INVARIANT: the targets of an instruction lie behind it, or are `HIT` or `MISS`;
//! therefore a term ends after at most as many steps as it has instructions.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use super::index::Index;
use super::networks::Networks;
use crate::facts::{Address, AttributeId, Facts, ScopeSet};
use crate::lang::checked::{Answer, Role};
use crate::source::Span;
use crate::verdict::Verdict;

/// The target of an instruction after which a term holds.
pub(crate) const HIT: u32 = u32::MAX;
/// The target of an instruction after which a term does not hold.
pub(crate) const MISS: u32 = u32::MAX - 1;

/// The place of a clause among all clauses of a policy: guards, rules, the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClauseId(pub u32);

/// A compiled policy.
#[derive(Clone, Debug)]
pub struct Program {
    pub(crate) index: Index,
    pub(crate) left: Unsettled,
    pub(crate) guards: Vec<Block>,
    pub(crate) rules: Vec<Block>,
    pub(crate) default: Block,
    pub(crate) terms: Vec<Term>,
    pub(crate) instructions: Vec<Instruction>,
}

/// For each guard and rule, the terms that the index does not settle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsettled {
    ends: Vec<u32>,
    terms: Vec<u32>,
}

impl Unsettled {
    pub(super) fn new(left: Vec<Vec<u32>>) -> Self {
        let mut unsettled = Unsettled::default();
        for terms in left {
            unsettled.terms.extend(terms);
            unsettled.ends.push(super::narrow(unsettled.terms.len()));
        }
        unsettled
    }

    /// The terms of a clause that must be tested although the index let it through.
    pub(crate) fn of(&self, id: ClauseId) -> &[u32] {
        let at = id.0 as usize;
        let start = at
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0);
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.terms
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }
}

/// A clause: all its terms must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Which clause.
    pub id: ClauseId,
    /// Which kind.
    pub role: Role,
    /// What it answers.
    pub answer: Answer,
    /// Its terms.
    pub terms: Range<u32>,
    /// The verdict, where it is the same for all facts.
    pub(crate) fixed: Option<Verdict>,
}

/// One of the conditions that a clause joins with `and`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The first instruction, or [`HIT`] or [`MISS`] when nothing is to be tested.
    pub(crate) entry: u32,
    /// How many instructions it has, the first one among them.
    pub(crate) length: u32,
    /// The condition as written in the clause.
    pub(crate) span: Span,
}

/// One test, and where to go after it.
#[derive(Clone, Debug)]
pub struct Instruction {
    pub(crate) attribute: AttributeId,
    pub(crate) test: Test,
    pub(crate) hit: u32,
    pub(crate) miss: u32,
    pub(crate) span: Span,
}

/// What is asked of a fact, with the access to it.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Flag(fn(&Facts) -> bool),
    Word(fn(&Facts) -> u8, u64),
    Address(fn(&Facts) -> Address, u64, Networks),
    Header {
        class: fn(&Facts) -> u8,
        text: fn(&Facts) -> &str,
        ip: fn(&Facts) -> Option<IpAddr>,
        codes: u64,
        networks: Networks,
        texts: Texts,
    },
    /// The flag is whether absence is among the members.
    Text(fn(&Facts) -> &str, bool, Texts),
    Includes(fn(&Facts) -> ScopeSet, ScopeSet),
    Within(fn(&Facts) -> ScopeSet, ScopeSet),
    Equals(fn(&Facts) -> ScopeSet, ScopeSet),
    Never,
}

impl Test {
    /// Whether it holds. Total, and without allocation.
    #[inline]
    pub(crate) fn holds(&self, facts: &Facts) -> bool {
        match self {
            Test::Flag(get) => get(facts),
            Test::Word(get, codes) => codes >> get(facts) & 1 != 0,
            Test::Address(get, codes, networks) => {
                let address = get(facts);
                codes >> address.class().code() & 1 != 0
                    || (!networks.is_empty() && address.ip().is_some_and(|ip| networks.contain(ip)))
            }
            Test::Header {
                class,
                text,
                ip,
                codes,
                networks,
                texts,
            } => {
                codes >> class(facts) & 1 != 0
                    || (!texts.is_empty() && texts.contain(text(facts)))
                    || (!networks.is_empty() && ip(facts).is_some_and(|ip| networks.contain(ip)))
            }
            Test::Text(get, absent, texts) => {
                let text = get(facts);
                if text.is_empty() {
                    *absent
                } else {
                    texts.contain(text)
                }
            }
            Test::Includes(get, set) => set.within(get(facts)),
            Test::Within(get, set) => get(facts).within(*set),
            Test::Equals(get, set) => get(facts) == *set,
            Test::Never => false,
        }
    }
}

/// Texts, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts(Box<[Box<str>]>);

impl Texts {
    pub(crate) fn new(texts: &[Box<str>]) -> Self {
        let mut texts = texts.to_vec();
        texts.sort_unstable();
        texts.dedup();
        Texts(texts.into())
    }

    pub(super) fn contain(&self, text: &str) -> bool {
        self.0.binary_search_by(|known| (**known).cmp(text)).is_ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Box<str>> {
        self.0.iter()
    }
}

impl Program {
    /// Every clause: guards, then rules and trials in order, then the default.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.guards
            .iter()
            .chain(&self.rules)
            .chain(std::iter::once(&self.default))
    }

    /// A clause; of an id that none has, the default.
    #[must_use]
    pub fn block(&self, id: ClauseId) -> &Block {
        let at = id.0 as usize;
        let block = match at.checked_sub(self.guards.len()) {
            None => self.guards.get(at),
            Some(rule) => self.rules.get(rule),
        };
        block.unwrap_or(&self.default)
    }

    /// The tests of a term.
    pub(crate) fn instructions_of(&self, term: u32) -> &[Instruction] {
        let Some(term) = self.terms.get(term as usize) else {
            return &[];
        };
        let from = term.entry as usize;
        let own = self
            .instructions
            .get(from..from.saturating_add(term.length as usize));
        own.unwrap_or_default()
    }

    /// Where a term is written.
    #[must_use]
    pub fn term_span(&self, index: u32) -> Option<Span> {
        self.terms.get(index as usize).map(|term| term.span)
    }

    /// How many tests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether nothing is tested at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }
}

/// A listing: one line for each test, for those who want to see what runs.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = |target: u32| match target {
            HIT => "hit".to_owned(),
            MISS => "miss".to_owned(),
            at => at.to_string(),
        };
        for block in self.blocks() {
            writeln!(
                f,
                "clause {} {:?} → {:?}",
                block.id.0, block.role, block.answer
            )?;
            let terms = self
                .terms
                .get(block.terms.start as usize..block.terms.end as usize);
            for term in terms.unwrap_or_default() {
                writeln!(f, "  term at {}", target(term.entry))?;
            }
        }
        for (at, instruction) in self.instructions.iter().enumerate() {
            let name = instruction.attribute.row().name;
            let (hit, miss) = (target(instruction.hit), target(instruction.miss));
            writeln!(f, "{at:>5}  {name}  hit → {hit}, miss → {miss}")?;
        }
        Ok(())
    }
}
