//! The one layout of a policy: spacing only, so that lines, order and comments stay.
//!
//! `parse(format(x))` is the tree of `x`, and formatting twice is formatting once.

use std::mem;

use super::ast::{Expression, ExpressionKind, Operand};
use super::lines::{Piece, pieces};
use super::tokens::{Token, TokenKind, tokens};

/// How far a line that continues a statement is indented.
const INDENT: &str = "    ";

/// The text, laid out. Call it only on text that parses.
#[must_use]
pub fn format(text: &str) -> String {
    let mut out = String::new();
    let mut blank = false;
    for piece in pieces(text) {
        let piece_text = match piece {
            Piece::Blank => {
                blank = !out.is_empty();
                continue;
            }
            Piece::Comment(range) => comment(text.get(range).unwrap_or("")),
            Piece::Statement(range) | Piece::Stray(range) => {
                // A comment after the last line belongs to the piece, as the line does.
                statement(text.get(range).unwrap_or(""))
            }
        };
        if blank {
            out.push('\n');
            blank = false;
        }
        out.push_str(&piece_text);
        out.push('\n');
    }
    out
}

fn comment(text: &str) -> String {
    text.trim_end().to_owned()
}

fn statement(text: &str) -> String {
    let tokens = tokens(text);
    let definition = tokens
        .first()
        .is_some_and(|token| matches!(token.text, "set" | "define"));
    let mut out = String::new();
    let mut previous: Option<&Token<'_>> = None;
    // The open brackets, each with the indent of its line.
    let mut nesting: Vec<(Bracket, usize)> = Vec::new();
    let mut indent = 0;
    let mut assigned = false;
    let mut was_assignment = false;
    let mut staged = false;
    let mut new_line = false;
    for token in &tokens {
        if token.kind == TokenKind::LineEnd {
            new_line = !out.is_empty();
            continue;
        }
        // The `=` of a definition is spaced; the one of a comparison or argument is not.
        let assignment = definition && !assigned && token.text == "=";
        let after_assignment = mem::replace(&mut was_assignment, assignment);
        assigned |= assignment;
        let bracket = match token.text {
            "{" => Some(Bracket::Members),
            "[" => Some(Bracket::Label),
            // `at upgrade (…)` is a stage and a condition.
            "(" if !staged && previous.is_some_and(is_callee) => Some(Bracket::Call),
            "(" => Some(Bracket::Group),
            _ => None,
        };
        if new_line {
            out.push('\n');
            // A closing bracket stands below the line of its opening one.
            let closes = matches!(token.text, ")" | "}" | "]");
            indent = match nesting.last() {
                Some((_, outer)) if closes => *outer,
                Some((_, outer)) => outer + 1,
                None => 1,
            };
            out.push_str(&INDENT.repeat(indent));
        } else if let Some(previous) = previous
            && (assignment
                || after_assignment
                || spaced(
                    previous,
                    token,
                    bracket,
                    nesting.last().map(|(bracket, _)| *bracket),
                ))
        {
            out.push(' ');
        }
        new_line = false;
        staged = previous.is_some_and(|previous| previous.text == "at");
        match token.kind {
            TokenKind::Arrow => out.push('→'),
            TokenKind::Implies => out.push('⇒'),
            TokenKind::Comment => out.push_str(token.text.trim_end()),
            TokenKind::Word
            | TokenKind::Text
            | TokenKind::OpenQuote
            | TokenKind::Mark
            | TokenKind::LineEnd
            | TokenKind::Other => out.push_str(token.text),
        }
        match bracket {
            Some(bracket) => nesting.push((bracket, indent)),
            None if matches!(token.text, ")" | "}" | "]") => {
                nesting.pop();
            }
            None => {}
        }
        previous = Some(token);
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Members,
    Label,
    Call,
    Group,
}

/// Whether an opening parenthesis after this token belongs to it: a verdict or annotation.
fn is_callee(token: &Token<'_>) -> bool {
    token.kind == TokenKind::Word
        && !matches!(
            token.text,
            "and" | "or" | "not" | "define" | "guard" | "trial"
        )
}

fn spaced(
    previous: &Token<'_>,
    token: &Token<'_>,
    bracket: Option<Bracket>,
    inside: Option<Bracket>,
) -> bool {
    if token.kind == TokenKind::Comment {
        return true;
    }
    match (previous.text, token.text) {
        ("=" | "!=" | "@" | "(" | "[", _) | (_, "=" | "!=" | ")" | "]" | "," | ":") => false,
        ("{", "}") => false,
        (_, "(") => bracket != Some(Bracket::Call),
        (_, "}") | ("{", _) => inside == Some(Bracket::Members),
        _ => true,
    }
}

/// A condition on one line, for messages.
#[must_use]
pub fn condition(expression: &Expression) -> String {
    let joined = |parts: &[Expression], word: &str| {
        parts.iter().map(condition).collect::<Vec<_>>().join(word)
    };
    match &expression.kind {
        ExpressionKind::All(parts) => joined(parts, " and "),
        ExpressionKind::Any(parts) => joined(parts, " or "),
        ExpressionKind::Not(inner) => format!("not {}", condition(inner)),
        ExpressionKind::Group(inner) => format!("({})", condition(inner)),
        ExpressionKind::Bare(name) => name.value.clone(),
        ExpressionKind::Compare {
            attribute,
            operator,
            operand,
        } => {
            let tight = matches!(operator.value.text(), "=" | "!=");
            let space = if tight { "" } else { " " };
            format!(
                "{}{space}{}{space}{}",
                attribute.value,
                operator.text(),
                self::operand(operand)
            )
        }
    }
}

fn operand(operand: &Operand) -> String {
    match operand {
        Operand::One(value) => value.show(),
        Operand::Many(values) if values.is_empty() => "{}".to_owned(),
        Operand::Many(values) => {
            let values: Vec<String> = values.iter().map(|value| value.show()).collect();
            format!("{{ {} }}", values.join(", "))
        }
    }
}

/// The text of a clause without its line ends and inner comments.
pub(crate) fn one_line(text: &str) -> String {
    let laid_out = format(text);
    let lines = laid_out.lines().map(|line| {
        let tokens = super::tokens::tokens(line);
        let comment = tokens
            .iter()
            .find(|token| token.kind == super::tokens::TokenKind::Comment);
        let end = comment.map_or(line.len(), |comment| comment.range.start);
        line.get(..end).unwrap_or(line).trim()
    });
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
