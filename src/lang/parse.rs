//! Text → [`Ast`]: every statement that can be read, and a diagnostic for every one that cannot.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "pest makes a variant of every rule of the grammar, and each reader knows its few"
)]

use pest::iterators::Pair;

use super::ast::{
    Annotation, Argument, Ast, Clause, ClauseRole, Expression, ExpressionKind, Given, Literal,
    Operand, Operator, Place, Statement, StatementKind, Unread, VerdictText,
};
use super::grammar::{Rule, statement};
use super::lines::{Piece, pieces};
use super::mistake::goes_on;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{Source, SourceId, Span, Spanned};

/// The largest policy file, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// The longest condition that help repeats, in bytes.
const MAX_SHOWN: usize = 240;

/// After this many problems reading stops: the file is not what it was taken for.
pub const MAX_PROBLEMS: usize = 1_000;

/// How deep conditions may nest.
pub const MAX_DEPTH: usize = 64;

/// Reads a file. All errors are found in one run; what could be read is returned.
#[must_use]
pub fn parse(id: SourceId, source: &Source) -> (Ast, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let mut ast = Ast::default();
    if source.text.len() > MAX_BYTES {
        diagnostics.push(
            Diagnostic::error(Code::FileTooLarge, "this file is larger than a policy may be")
                .label(Span::new(id, 0..0), format!("{} bytes", source.text.len()))
                .help(format!("a policy file has at most {MAX_BYTES} bytes; name long lists with `set` and include them")),
        );
        return (ast, diagnostics);
    }
    let hidden = confusable(id, &source.text, &mut diagnostics);
    let mut annotations = Vec::new();
    let mut first = true;
    let pieces = pieces(&source.text);
    for (index, piece) in pieces.iter().cloned().enumerate() {
        if diagnostics.0.len() >= MAX_PROBLEMS {
            break;
        }
        match piece {
            Piece::Statement(range) => {
                let text = source.text.get(range.clone()).unwrap_or("");
                let reader = Reader {
                    id,
                    offset: range.start,
                };
                let before = diagnostics.0.len();
                match reader.statement(text, &mut diagnostics) {
                    Some(Read::Statement(kind, span)) => ast.statements.push(Statement {
                        annotations: std::mem::take(&mut annotations),
                        kind,
                        span: Place(span),
                    }),
                    Some(Read::Annotation(annotation)) => annotations.push(annotation),
                    None => {
                        annotations.clear();
                        unread(text, &mut ast.unread);
                        ast.unread.first |= first;
                        // One mistake is said once: what hides in the statement, or the line
                        // below that goes on with it and is not indented.
                        let goes_on = pieces.get(index + 1).is_some_and(|next| {
                            matches!(next, Piece::Statement(next)
                                if source.text.get(next.clone()).is_some_and(goes_on))
                        });
                        if goes_on || hidden.iter().any(|at| range.contains(at)) {
                            diagnostics.0.truncate(before);
                        }
                    }
                }
                first = false;
            }
            Piece::Stray(range) => {
                ast.unread.first |= first;
                first = false;
                diagnostics.push(
                    Diagnostic::error(
                        Code::Syntax,
                        "an indented line goes on with a statement, and there is none above it",
                    )
                    .label(Span::new(id, range), "nothing to go on with")
                    .help("begin statements at the start of the line"),
                );
            }
            Piece::Comment(_) | Piece::Blank => {}
        }
    }
    if let Some(annotation) = annotations.first() {
        diagnostics.push(
            Diagnostic::error(
                Code::MisplacedStatement,
                "this annotation belongs to no statement",
            )
            .label(annotation.name.span, "nothing follows it")
            .help("put it above the statement that it is about"),
        );
    }
    (ast, diagnostics)
}

/// What a text extends, of which nothing else is read.
pub(super) fn extends(text: &str) -> Option<String> {
    let reader = Reader {
        id: SourceId::default(),
        offset: 0,
    };
    pieces(text).into_iter().find_map(|piece| {
        let Piece::Statement(range) = piece else {
            return None;
        };
        let text = text.get(range).filter(|it| it.starts_with("extends"))?;
        match reader.statement(text, &mut Diagnostics::default())? {
            Read::Statement(StatementKind::Extends(target), _) => Some(target.value),
            Read::Statement(..) | Read::Annotation(_) => None,
        }
    })
}

/// What a statement that cannot be read would have given.
fn unread(text: &str, unread: &mut Unread) {
    let mut words = text.split_whitespace();
    match words.next() {
        Some("default") => unread.default = true,
        Some("set" | "define") => {
            unread.names.extend(
                words
                    .next()
                    .map(|name| name.trim_end_matches('=').to_owned()),
            );
        }
        _ => {}
    }
}

/// Characters that change how a text reads without changing what it says, the first of each
/// line. Where they stand comes back.
fn confusable(id: SourceId, text: &str, diagnostics: &mut Diagnostics) -> Vec<usize> {
    let mut found = Vec::new();
    let mut reported = false;
    for (at, character) in text.char_indices() {
        if found.len() >= MAX_PROBLEMS {
            break;
        }
        reported &= character != '\n';
        let line_end = character == '\r'
            && text
                .get(at + 1..)
                .is_some_and(|rest| rest.starts_with('\n'));
        if reported || line_end || matches!(character, '\n' | '\t' | ' '..='~') {
            continue;
        }
        if at == 0 && character == '\u{feff}' {
            diagnostics.push(
                Diagnostic::error(
                    Code::ConfusableText,
                    "this file begins with a byte order mark",
                )
                .label(
                    Span::new(id, 0..character.len_utf8()),
                    "U+FEFF, which shows nothing",
                )
                .help("save it as UTF-8 without a byte order mark (BOM)"),
            );
            found.push(at);
            continue;
        }
        let name = match character {
            '\r' => "a carriage return without a line end, which hides what stands before it",
            '\0'..='\u{1f}' | '\u{7f}' => "a control character",
            '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{61c}' => "a control character that changes the direction of text",
            '\u{200b}'..='\u{200d}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{feff}'
            | '\u{ad}'
            | '\u{180e}'
            | '\u{e0000}'..='\u{e007f}' => "an invisible character",
            '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
                "a space of another kind"
            }
            '\u{2028}' | '\u{2029}' | '\u{85}' => "a line break of another kind",
            '\u{80}'..='\u{9f}' => "a control character",
            _ => continue,
        };
        reported = true;
        found.push(at);
        diagnostics.push(
            Diagnostic::error(
                Code::ConfusableText,
                format!("U+{:04X} is {name}", u32::from(character)),
            )
            .label(
                Span::new(id, at..at + character.len_utf8()),
                "here, though it may not show",
            )
            .help("remove it, or write an ordinary space"),
        );
    }
    found
}

#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is moved into the tree at once"
)]
enum Read {
    Statement(StatementKind, Span),
    Annotation(Annotation),
}

/// Reads the pairs of one statement; `offset` is where its text begins in the file.
struct Reader {
    id: SourceId,
    offset: usize,
}

/// A pair of pest's that has no counterpart here cannot come from this grammar; reading
/// stops with `None`, and the statement is reported rather than half read.
impl Reader {
    fn statement(&self, text: &str, diagnostics: &mut Diagnostics) -> Option<Read> {
        if let Some(at) = too_deep(text) {
            diagnostics.push(
                Diagnostic::error(Code::NestedTooDeeply, "this condition is nested too deeply")
                    .label(self.span(at..at + 1), format!("level {}", MAX_DEPTH + 1))
                    .help("give parts of it names with `define`"),
            );
            return None;
        }
        let pairs = match statement(text) {
            Ok(pairs) => pairs,
            Err(failure) => {
                diagnostics.push(
                    Diagnostic::error(Code::Syntax, failure.message)
                        .label(self.span(failure.range), failure.label)
                        .maybe_help(failure.help),
                );
                return None;
            }
        };
        let before = diagnostics.0.len();
        let read = pairs
            .flatten()
            .find(|pair| pair.as_rule() != Rule::statement)
            .and_then(|pair| self.kind(pair, diagnostics));
        if read.is_none() && diagnostics.0.len() == before {
            diagnostics.push(
                Diagnostic::error(Code::Syntax, "this statement cannot be read")
                    .label(self.span(0..text.len()), "all of it"),
            );
        }
        read
    }

    fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span::new(self.id, self.offset + range.start..self.offset + range.end)
    }

    fn place(&self, pair: &Pair<'_, Rule>) -> Span {
        let span = pair.as_span();
        let text = span.as_str().trim_end();
        self.span(span.start()..span.start() + text.len())
    }

    fn kind(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Read> {
        let span = self.statement_span(&pair);
        let which = pair.as_rule();
        let mut parts = pair.into_inner();
        let kind = match which {
            Rule::annotation => {
                let name = self.word(parts.next()?);
                let text = self.text(parts.next()?);
                return Some(Read::Annotation(Annotation { name, text }));
            }
            Rule::edition => StatementKind::Edition(self.word(parts.nth(1)?)),
            Rule::include => StatementKind::Include(self.text(parts.nth(1)?)),
            Rule::extends => StatementKind::Extends(self.text(parts.nth(1)?)),
            Rule::set => StatementKind::Set {
                name: self.word(parts.nth(1)?),
                members: self.members(parts.next()?)?.value,
            },
            Rule::define => StatementKind::Define {
                name: self.word(parts.nth(1)?),
                condition: self.expression(parts.next()?, diagnostics)?,
            },
            Rule::guard | Rule::trial | Rule::default | Rule::rule => {
                StatementKind::Clause(self.clause(which, parts, diagnostics)?)
            }
            Rule::claim => {
                let never = parts.next()?.as_rule() == Rule::kw_never;
                let name = self.text(parts.next()?);
                let condition = self.expression(parts.next()?, diagnostics)?;
                let outcomes = parts
                    .filter(|pair| pair.as_rule() == Rule::verdict)
                    .map(|pair| self.verdict(pair))
                    .collect::<Option<Vec<_>>>()?;
                StatementKind::Claim {
                    never,
                    name,
                    condition,
                    outcomes,
                }
            }
            Rule::relax => StatementKind::Relax {
                name: self.text(parts.nth(1)?),
                because: self.text(parts.next()?.into_inner().nth(1)?),
            },
            Rule::test => {
                let name = self.text(parts.nth(1)?);
                let given = parts.next()?;
                let given = match given.as_rule() {
                    Rule::recorded => Given::Recorded(self.text(given.into_inner().nth(1)?)),
                    _ => Given::Facts(self.expression(given, diagnostics)?),
                };
                let expected = self.verdict(parts.find(|pair| pair.as_rule() == Rule::verdict)?)?;
                StatementKind::Test {
                    name,
                    given,
                    expected,
                }
            }
            _ => return None,
        };
        Some(Read::Statement(kind, span))
    }

    /// A statement ends where its last part does, so that a comment after it is not shown.
    fn statement_span(&self, pair: &Pair<'_, Rule>) -> Span {
        let start = pair.as_span().start();
        let end = pair
            .clone()
            .into_inner()
            .flatten()
            .map(|part| part.as_span().start() + part.as_str().trim_end().len())
            .max()
            .unwrap_or(start);
        // The last part may be followed by a closing bracket that is no part of its own.
        let end = end.max(
            self.place(pair)
                .range()
                .end
                .saturating_sub(self.offset)
                .min(end + 1),
        );
        self.span(start..end)
    }

    fn clause<'a>(
        &self,
        which: Rule,
        parts: impl Iterator<Item = Pair<'a, Rule>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Clause> {
        let mut role = match which {
            Rule::guard => ClauseRole::Guard(None),
            Rule::trial => ClauseRole::Trial,
            Rule::default => ClauseRole::Default,
            _ => ClauseRole::Rule,
        };
        let (mut label, mut condition, mut verdict, mut because, mut hint) =
            (None, None, None, None, None);
        for part in parts {
            match part.as_rule() {
                Rule::stage => role = ClauseRole::Guard(Some(self.word(part.into_inner().nth(1)?))),
                Rule::label => {
                    let span = self.place(&part);
                    let name = part.into_inner().next()?;
                    label = Some(Spanned::new(name.as_str().to_owned(), span));
                }
                Rule::expression => condition = Some(self.expression(part, diagnostics)?),
                Rule::outcome => {
                    for part in part.into_inner() {
                        match part.as_rule() {
                            Rule::verdict => verdict = Some(self.verdict(part)?),
                            Rule::because => because = Some(self.text(part.into_inner().nth(1)?)),
                            Rule::hint => hint = Some(self.text(part.into_inner().nth(1)?)),
                            _ => return None,
                        }
                    }
                }
                _ => {}
            }
        }
        Some(Clause {
            role,
            label,
            condition,
            verdict: verdict?,
            because,
            hint,
        })
    }

    fn verdict(&self, pair: Pair<'_, Rule>) -> Option<VerdictText> {
        let span = Place(self.place(&pair));
        let mut parts = pair.into_inner();
        let name = self.word(parts.next()?);
        let arguments = parts
            .map(|argument| {
                let mut parts = argument.into_inner();
                let first = parts.next()?;
                let (key, value) = match parts.next() {
                    Some(value) => (Some(self.word(first)), value),
                    None => (None, first),
                };
                Some(Argument {
                    key,
                    value: self.operand(value)?,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        Some(VerdictText {
            name,
            arguments,
            span,
        })
    }

    fn expression(
        &self,
        pair: Pair<'_, Rule>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Expression> {
        let span = self.place(&pair);
        let mut operands = Vec::new();
        let mut connectives: Vec<Spanned<bool>> = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::connective => {
                    let span = self.place(&part);
                    let and = part.into_inner().next()?.as_rule() == Rule::kw_and;
                    connectives.push(Spanned::new(and, span));
                }
                _ => operands.push(self.unary(part, diagnostics)?),
            }
        }
        let Some(first) = connectives.first() else {
            return operands.pop();
        };
        if let Some(other) = connectives
            .iter()
            .find(|connective| connective.value != first.value)
        {
            diagnostics.push(self.mixed(*first, *other, &operands, &connectives));
            return None;
        }
        let kind = if first.value {
            ExpressionKind::All(operands)
        } else {
            ExpressionKind::Any(operands)
        };
        Some(Expression {
            kind,
            span: Place(span),
        })
    }

    /// `a and b or c` could be read in two ways; both are shown, with the parts numbered as
    /// they stand in the text.
    fn mixed(
        &self,
        first: Spanned<bool>,
        other: Spanned<bool>,
        operands: &[Expression],
        connectives: &[Spanned<bool>],
    ) -> Diagnostic {
        let grouped = |tight: bool| {
            // Runs of the tight connective go into parentheses.
            let mut runs: Vec<Vec<String>> = vec![Vec::new()];
            for (index, operand) in operands.iter().enumerate() {
                let joined = index
                    .checked_sub(1)
                    .and_then(|index| connectives.get(index));
                if joined.is_some_and(|joined| joined.value != tight) {
                    runs.push(Vec::new());
                }
                if let Some(run) = runs.last_mut() {
                    run.push(super::format::condition(operand));
                }
            }
            let word = |and: bool| if and { " and " } else { " or " };
            let runs = runs.into_iter().map(|run| {
                if run.len() > 1 {
                    format!("({})", run.join(word(tight)))
                } else {
                    run.concat()
                }
            });
            runs.collect::<Vec<_>>().join(word(!tight))
        };
        let word = |connective: &Spanned<bool>| if connective.value { "and" } else { "or" };
        let help = |tight: bool| {
            let written = grouped(tight);
            if written.len() > MAX_SHOWN {
                format!(
                    "put the conditions joined by `{}` between parentheses",
                    if tight { "and" } else { "or" }
                )
            } else {
                format!("write `{written}`")
            }
        };
        Diagnostic::error(
            Code::MixedOperators,
            "`and` with `or`: without parentheses this could be read in two ways",
        )
        .label(first.span, format!("`{}` here", word(&first)))
        .label(other.span, format!("`{}` here", word(&other)))
        .help(help(true))
        .help(help(false))
    }

    fn unary(&self, pair: Pair<'_, Rule>, diagnostics: &mut Diagnostics) -> Option<Expression> {
        let span = self.place(&pair);
        let mut negations: Vec<Span> = Vec::new();
        let mut inner = None;
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::negation => negations.push(self.place(&part)),
                _ => inner = Some(part),
            }
        }
        let inner = inner?;
        let own = Place(self.place(&inner));
        let kind = match inner.as_rule() {
            Rule::group => {
                let inside = self.expression(inner.into_inner().next()?, diagnostics)?;
                ExpressionKind::Group(Box::new(inside))
            }
            Rule::bare => ExpressionKind::Bare(self.word(inner.into_inner().next()?)),
            Rule::comparison => {
                let mut parts = inner.into_inner();
                let attribute = self.word(parts.next()?);
                let operator = parts.next()?;
                let operator_span = self.place(&operator);
                let symbol = match operator.as_rule() {
                    Rule::set_operator => operator.into_inner().next()?.as_rule(),
                    other => other,
                };
                let not_equal = is_not_equal(symbol, operator_span);
                let operator = match symbol {
                    Rule::not_in => Operator::NotIn,
                    Rule::kw_in => Operator::In,
                    Rule::kw_includes => Operator::Includes,
                    Rule::kw_within => Operator::Within,
                    _ if not_equal => Operator::NotEqual,
                    _ => Operator::Equal,
                };
                let operand = self.operand(parts.next()?)?;
                ExpressionKind::Compare {
                    attribute,
                    operator: Spanned::new(operator, operator_span),
                    operand,
                }
            }
            _ => return None,
        };
        let mut expression = Expression { kind, span: own };
        for negation in negations.iter().rev() {
            let span = Place(negation.to(span));
            expression = Expression {
                kind: ExpressionKind::Not(Box::new(expression)),
                span,
            };
        }
        Some(expression)
    }

    fn operand(&self, pair: Pair<'_, Rule>) -> Option<Operand> {
        match pair.as_rule() {
            Rule::members => Some(Operand::Many(self.members(pair)?)),
            Rule::value => Some(Operand::One(self.value(pair)?)),
            _ => None,
        }
    }

    fn members(&self, pair: Pair<'_, Rule>) -> Option<Spanned<Vec<Spanned<Literal>>>> {
        let span = self.place(&pair);
        let values = pair
            .into_inner()
            .map(|value| self.value(value))
            .collect::<Option<_>>()?;
        Some(Spanned::new(values, span))
    }

    fn value(&self, pair: Pair<'_, Rule>) -> Option<Spanned<Literal>> {
        let inner = pair.into_inner().next()?;
        let span = self.place(&inner);
        let literal = match inner.as_rule() {
            Rule::string => Literal::Text(self.text(inner).value),
            Rule::address => Literal::Address(inner.as_str().to_owned()),
            _ => Literal::Word(inner.as_str().to_owned()),
        };
        Some(Spanned::new(literal, span))
    }

    fn word(&self, pair: Pair<'_, Rule>) -> Spanned<String> {
        Spanned::new(pair.as_str().to_owned(), self.place(&pair))
    }

    /// Text in quotes, without them.
    fn text(&self, pair: Pair<'_, Rule>) -> Spanned<String> {
        let span = self.place(&pair);
        Spanned::new(pair.as_str().trim_matches('"').to_owned(), span)
    }
}

/// `=` and `!=` are one rule of the grammar; the longer one is told by its length.
fn is_not_equal(symbol: Rule, span: Span) -> bool {
    symbol == Rule::operator && span.len() == "!=".len()
}

/// The byte at which brackets, or negations in a row, go beyond [`MAX_DEPTH`].
fn too_deep(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut negations = 0usize;
    for token in super::tokens::tokens(text) {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        negations = if token.text == "not" {
            negations + 1
        } else {
            0
        };
        if depth + negations > MAX_DEPTH {
            return Some(token.range.start);
        }
    }
    None
}
