//! The grammar as pest derives it. With [`super::parse`] this is all that sees pest; what a
//! failure means to a person is in [`super::mistake`].

use pest::Parser as _;
use pest::error::InputLocation;
use pest::iterators::Pairs;

use super::mistake::{Failure, explain};

#[derive(pest_derive::Parser)]
#[grammar = "grammar/policy.pest"]
struct Grammar;

/// Reads the text of one statement.
pub(super) fn statement(text: &str) -> Result<Pairs<'_, Rule>, Failure> {
    Grammar::parse(Rule::statement, text).map_err(|error| {
        let at = match error.location {
            InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
        };
        explain(text, at)
    })
}
