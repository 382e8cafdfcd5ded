//! Conditions that stand in no file: those of the command line, and of tables of this program.

use super::ast::{Expression, StatementKind};
use super::check::{self, Vocabulary};
use super::checked::Condition;
use super::parse::parse;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{Source, SourceId, Span};

/// What stands before a text so that the grammar reads it as a condition: a definition is the
/// shortest statement that has one.
const PREFIX: &str = "define alone = ";

/// The condition that a text is. Its spans are those of a definition: [`moved`] has them as they
/// are in the text itself, of the source `id`.
///
/// # Errors
///
/// The first thing that is wrong, with its place in the text; none where the text is something else
/// than one condition.
pub fn expression(id: SourceId, text: &str) -> Result<Expression, Option<Box<Diagnostic>>> {
    let statement = Source::new("", &format!("{PREFIX}{text}"));
    let (ast, diagnostics) = parse(id, &statement);
    if let Some(diagnostic) = diagnostics.0.into_iter().next() {
        return Err(Some(Box::new(moved_labels(id, diagnostic))));
    }
    match ast.statements.into_iter().next().map(|it| it.kind) {
        Some(StatementKind::Define { condition, .. }) => Ok(condition),
        _ => Err(None),
    }
}

/// What a text means as a condition.
///
/// # Errors
///
/// Everything that is wrong with it, with its place in the text.
pub fn condition(
    id: SourceId,
    text: &str,
    vocabulary: &Vocabulary,
) -> Result<Condition, Diagnostics> {
    let expression = expression(id, text).map_err(|wrong| {
        let other = || Diagnostic::error(Code::Syntax, "this is not a condition");
        Diagnostics(vec![wrong.map_or_else(other, |it| *it)])
    })?;
    check::condition(&expression, vocabulary).map_err(|found| {
        let moved = found.0.into_iter().map(|it| moved_labels(id, it));
        Diagnostics(moved.collect())
    })
}

/// A place in a definition, as the place in the text that it was made of.
#[must_use]
pub fn moved(span: Span) -> Span {
    let by = u32::try_from(PREFIX.len()).unwrap_or(0);
    Span {
        start: span.start.saturating_sub(by),
        end: span.end.saturating_sub(by),
        ..span
    }
}

/// The same with its labels in this source.
#[must_use]
pub fn moved_labels(id: SourceId, mut diagnostic: Diagnostic) -> Diagnostic {
    let own = diagnostic.labels.iter_mut();
    for label in own.filter(|label| label.span.source == id) {
        label.span = moved(label.span);
    }
    diagnostic
}
