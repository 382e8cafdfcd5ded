//! What a run looked at, for those who want to see it.

use crate::compile::ClauseId;
use crate::facts::AttributeId;
use crate::source::Span;

/// Watches a run. Nobody watches a decision at the door: `()` sees nothing and costs nothing.
pub(crate) trait Watch {
    /// A test was made.
    fn test(&mut self, attribute: AttributeId, span: Span, held: bool);
    /// A term was decided.
    fn term(&mut self, index: u32, held: bool);
    /// A clause was decided.
    fn clause(&mut self, id: ClauseId, matched: bool);
}

impl Watch for () {
    #[inline]
    fn test(&mut self, _: AttributeId, _: Span, _: bool) {}
    #[inline]
    fn term(&mut self, _: u32, _: bool) {}
    #[inline]
    fn clause(&mut self, _: ClauseId, _: bool) {}
}

/// Everything that one run looked at, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The clauses that were looked at.
    pub clauses: Vec<Seen>,
    tests: Vec<SeenTest>,
    terms: Vec<SeenTerm>,
}

/// A clause that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which one.
    pub id: ClauseId,
    /// Whether it applies.
    pub matched: bool,
    /// Its terms as far as they were looked at: those after one that does not hold were not.
    pub terms: Vec<SeenTerm>,
}

/// A term that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenTerm {
    /// Its place among all terms of the program.
    pub index: u32,
    /// Whether it holds.
    pub held: bool,
    /// The tests that decided it, in order.
    pub tests: Vec<SeenTest>,
}

/// A test that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenTest {
    /// The attribute it is about.
    pub attribute: AttributeId,
    /// Where it is written.
    pub span: Span,
    /// Whether it holds.
    pub held: bool,
}

impl Watch for Trace {
    fn test(&mut self, attribute: AttributeId, span: Span, held: bool) {
        self.tests.push(SeenTest {
            attribute,
            span,
            held,
        });
    }

    fn term(&mut self, index: u32, held: bool) {
        let tests = std::mem::take(&mut self.tests);
        self.terms.push(SeenTerm { index, held, tests });
    }

    fn clause(&mut self, id: ClauseId, matched: bool) {
        let terms = std::mem::take(&mut self.terms);
        self.clauses.push(Seen { id, matched, terms });
    }
}

impl Trace {
    /// Whether a clause was looked at and applies.
    #[must_use]
    pub fn matched(&self, id: ClauseId) -> bool {
        self.clauses
            .iter()
            .any(|seen| seen.id == id && seen.matched)
    }
}
