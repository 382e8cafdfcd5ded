//! The text of a policy, for edits: what goes with a statement, a condition or a member of a set
//! when it is taken away. What else stands there stays as it is, comments above all.

use std::ops::Range;

use crate::diagnostic::Edit;
use crate::lang::ast::{Ast, Expression, ExpressionKind, Statement, StatementKind};
use crate::lang::lines::{Piece, pieces};
use crate::policy::Policy;
use crate::source::{Source, SourceId, Span};

/// A policy's own text.
pub(super) struct Wording<'a> {
    id: SourceId,
    source: &'a Source,
    pieces: Vec<Piece>,
    /// The lines of each piece, with their ends.
    lines: Vec<Range<usize>>,
    /// What it says.
    pub(super) ast: &'a Ast,
}

impl<'a> Wording<'a> {
    /// Of a policy; nothing of one without a text, which is none.
    pub(super) fn of(policy: &'a Policy) -> Option<Self> {
        let (id, source) = policy.sources().iter().next()?;
        let pieces = pieces(&source.text);
        Some(Wording {
            id,
            source,
            lines: lines(&source.text, &pieces),
            pieces,
            ast: policy.ast(),
        })
    }

    fn text(&self) -> &'a str {
        &self.source.text
    }

    fn cut(&self, range: Range<usize>) -> Edit {
        Edit {
            span: Span::new(self.id, range),
            text: String::new(),
        }
    }

    /// Takes a statement away, with its annotations, the comments within it and behind it on its
    /// lines, and those above it that are about nothing else: `# allow(…)`, and a comment of which it
    /// is the only statement.
    pub(super) fn without_statement(&self, span: Span) -> Vec<Edit> {
        let Some(at) = self.piece_of(span) else {
            return Vec::new();
        };
        let mut taken = vec![at];
        let annotations = self.statement(span).map(|it| it.annotations.as_slice());
        for annotation in annotations.unwrap_or_default() {
            taken.extend(self.piece_of(annotation.name.span));
        }
        let is_alone = !matches!(self.pieces.get(at + 1), Some(Piece::Statement(_)));
        for above in (0..at).rev() {
            match self.pieces.get(above) {
                Some(Piece::Comment(range)) => {
                    let comment = self.text().get(range.clone()).unwrap_or("");
                    if is_alone || comment.starts_with("# allow(") {
                        taken.push(above);
                    }
                }
                Some(Piece::Statement(_)) if taken.contains(&above) => {}
                Some(Piece::Statement(_) | Piece::Stray(_) | Piece::Blank) | None => break,
            }
        }
        // Two blank lines where there was one on each side would be one too many.
        let first = taken.iter().min().copied().unwrap_or(at);
        let is_blank = |at: usize| matches!(self.pieces.get(at), Some(Piece::Blank));
        let all_taken = (first..at).all(|it| taken.contains(&it));
        if all_taken && is_blank(at + 1) && first.checked_sub(1).is_none_or(is_blank) {
            taken.push(at + 1);
        }
        taken.sort_unstable();
        taken.dedup();
        let lines = &self.lines;
        let mut edits: Vec<Edit> = Vec::new();
        for range in taken.iter().filter_map(|at| lines.get(*at)) {
            match edits.last_mut() {
                Some(last) if last.span.range().end == range.start => {
                    last.span = last.span.to(Span::new(self.id, range.clone()));
                }
                _ => edits.push(self.cut(range.clone())),
            }
        }
        edits
    }

    fn piece_of(&self, span: Span) -> Option<usize> {
        if span.source != self.id {
            return None;
        }
        let start = span.start as usize;
        let at = self.lines.partition_point(|lines| lines.end <= start);
        matches!(self.pieces.get(at)?, Piece::Statement(range) if range.contains(&start))
            .then_some(at)
    }

    fn statement(&self, span: Span) -> Option<&Statement> {
        let all = &self.ast.statements;
        let at = all.partition_point(|it| it.span.0.start < span.start);
        let found = all.get(at)?;
        (found.span.0.source == span.source && found.span.0.start == span.start).then_some(found)
    }

    /// The condition of the clause that stands somewhere.
    fn condition(&self, clause: Span) -> Option<&Expression> {
        if let StatementKind::Clause(clause) = &self.statement(clause)?.kind {
            return clause.condition.as_ref();
        }
        None
    }

    /// Takes one of the conditions away that a clause joins with `and`.
    pub(super) fn without_term(&self, clause: Span, term: Span) -> Vec<Edit> {
        let Some(mut condition) = self.condition(clause) else {
            return Vec::new();
        };
        while let ExpressionKind::Group(inner) = &condition.kind {
            condition = inner;
        }
        let ExpressionKind::All(parts) = &condition.kind else {
            return Vec::new();
        };
        let spans: Vec<Span> = parts.iter().map(|part| part.span.0).collect();
        self.without_one(&spans, term, "and")
    }

    /// Takes one of several values away.
    pub(super) fn without_member(&self, members: &[Span], member: Span) -> Vec<Edit> {
        self.without_one(members, member, ",")
    }

    /// Takes one of several away that something stands between, and that with it; comments there
    /// stay.
    fn without_one(&self, all: &[Span], one: Span, between: &str) -> Vec<Edit> {
        let Some(at) = all.iter().position(|it| *it == one) else {
            return Vec::new();
        };
        let before = at.checked_sub(1).and_then(|at| all.get(at));
        let Some(range) = (match (before, all.get(at + 1)) {
            (Some(before), _) => self
                .joined(before.range().end..one.range().start, between)
                .map(|join| match join {
                    Join::Plain(gap) => gap.start..one.range().end,
                    Join::Commented(word) => word..one.range().end,
                }),
            (None, Some(next)) => self
                .joined(one.range().end..next.range().start, between)
                .map(|join| match join {
                    Join::Plain(gap) => one.range().start..gap.end,
                    Join::Commented(word) => one.range().start..word + between.len(),
                }),
            (None, None) => None,
        }) else {
            return Vec::new();
        };
        vec![self.cut(range)]
    }

    /// What stands between two of several.
    fn joined(&self, gap: Range<usize>, between: &str) -> Option<Join> {
        let text = self.text().get(gap.clone())?;
        if !text.contains('#') {
            return Some(Join::Plain(gap));
        }
        // The word itself, and not the same one in a comment.
        let mut start = gap.start;
        for line in text.split_inclusive('\n') {
            let code = line.split('#').next().unwrap_or("");
            if let Some(at) = code.find(between) {
                return Some(Join::Commented(start + at));
            }
            start += line.len();
        }
        None
    }

    /// Adds a condition to a clause.
    pub(super) fn with_term(&self, clause: Span, term: &str) -> Vec<Edit> {
        let Some(condition) = self.condition(clause) else {
            return Vec::new();
        };
        let span = condition.span.0;
        let (open, close) = match matches!(condition.kind, ExpressionKind::Any(_)) {
            true => ("(", ")"),
            false => ("", ""),
        };
        let at = |offset: usize, text: String| Edit {
            span: Span::new(self.id, offset..offset),
            text,
        };
        let mut edits = vec![at(span.range().end, format!("{close} and {term}"))];
        if !open.is_empty() {
            edits.insert(0, at(span.range().start, open.to_owned()));
        }
        edits
    }

    /// Puts a statement above another one.
    pub(super) fn moved_above(&self, span: Span, other: Span) -> Vec<Edit> {
        let lines = &self.lines;
        let place = |span| Some(lines.get(self.piece_of(span)?)?.start);
        let Some(mut above) = self.piece_of(other) else {
            return Vec::new();
        };
        // Above its annotations too, and the comments that go with it.
        while let Some(before) = above.checked_sub(1)
            && let Some(Piece::Comment(range) | Piece::Statement(range)) = self.pieces.get(before)
            && self
                .text()
                .get(range.clone())
                .is_some_and(|text| text.starts_with(['#', '@']))
        {
            above = before;
        }
        let taken = self.without_statement(span);
        let (Some(to), Some(start)) = (lines.get(above).map(|it| it.start), place(span)) else {
            return Vec::new();
        };
        if taken.is_empty() || to >= start {
            return Vec::new();
        }
        let moved = taken
            .iter()
            .filter_map(|edit| self.text().get(edit.span.range()))
            .collect::<String>();
        let mut text = moved.trim_end().to_owned();
        text.push('\n');
        if moved.ends_with("\n\n") {
            text.push('\n');
        }
        let mut edits = vec![Edit {
            span: Span::new(self.id, to..to),
            text,
        }];
        edits.extend(taken);
        edits
    }

    /// Takes a comment away: its line, or what stands behind a statement.
    pub(super) fn without_comment(&self, span: Span) -> Vec<Edit> {
        let range = span.range();
        let before = self.text().get(..range.start).unwrap_or("");
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        let code = before.get(line..).unwrap_or("").trim_end();
        if !code.is_empty() {
            return vec![self.cut(line + code.len()..range.end)];
        }
        let rest = self.text().get(range.end..).unwrap_or("");
        let end = range.end + rest.find('\n').map_or(rest.len(), |at| at + 1);
        vec![self.cut(line..end)]
    }
}

/// What stands between two of several.
enum Join {
    /// No comment.
    Plain(Range<usize>),
    /// A comment, and here what joins.
    Commented(usize),
}

/// The lines of each piece of a text, with their ends.
fn lines(text: &str, pieces: &[Piece]) -> Vec<Range<usize>> {
    let mut start = 0;
    let lines = pieces.iter().map(|piece| {
        let end = match piece {
            Piece::Statement(range) | Piece::Stray(range) | Piece::Comment(range) => range.end,
            Piece::Blank => start,
        };
        let rest = text.get(end..).unwrap_or("");
        let end = end + rest.find('\n').map_or(rest.len(), |at| at + 1);
        let own = start..end;
        start = end;
        own
    });
    lines.collect()
}
