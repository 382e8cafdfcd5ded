//! The grammar as pest derives it, and what its failures mean to a person.
//!
//! With [`super::parse`] this is all that sees pest.

use std::ops::Range;

use pest::Parser as _;
use pest::error::InputLocation;
use pest::iterators::Pairs;

use super::tokens::{Token, TokenKind, tokens};
use crate::diagnostic::suggest;
use crate::verdict::VerdictKind;

#[derive(pest_derive::Parser)]
#[grammar = "grammar/policy.pest"]
struct Grammar;

/// A statement that cannot be read: what is wrong with it, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What is wrong.
    pub(super) message: String,
    /// Where, in the text of the statement.
    pub(super) range: Range<usize>,
    /// What that is.
    pub(super) label: String,
    /// What to do.
    pub(super) help: Option<String>,
}

/// Reads the text of one statement.
pub(super) fn statement(text: &str) -> Result<Pairs<'_, Rule>, Failure> {
    Grammar::parse(Rule::statement, text).map_err(|error| {
        let at = match error.location {
            InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
        };
        explain(text, at)
    })
}

/// Keywords that begin a statement.
const KEYWORDS: [&str; 12] = [
    "always", "default", "define", "extends", "guard", "gw-policy", "include", "never", "relax",
    "set", "test", "trial",
];

/// Finds the human cause of a failure that the grammar noticed at a byte.
fn explain(text: &str, at: usize) -> Failure {
    let all = tokens(text);
    let tokens: Vec<&Token<'_>> = all
        .iter()
        .filter(|token| !matches!(token.kind, TokenKind::Comment | TokenKind::LineEnd))
        .collect();
    known_mistake(&tokens)
        .or_else(|| unbalanced(&tokens))
        .or_else(|| shape(&tokens))
        .or_else(|| at_token(text, &tokens, at))
        .unwrap_or_else(|| unexpected(text, &tokens, at))
}

/// A token and its double right after it, as one.
fn pair<'a>(token: &Token<'a>) -> Token<'a> {
    Token { range: token.range.start..token.range.end + token.text.len(), ..token.clone() }
}

fn failure(token: &Token<'_>, message: &str, label: &str, help: impl Into<String>) -> Failure {
    Failure {
        message: message.to_owned(),
        range: token.range.clone(),
        label: label.to_owned(),
        help: Some(help.into()),
    }
}

/// Mistakes that one or two tokens give away, wherever the grammar stumbled.
fn known_mistake(tokens: &[&Token<'_>]) -> Option<Failure> {
    let mut braces = 0usize;
    let mut calls = 0usize;
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1);
        let adjoins = next.is_some_and(|next| next.range.start == token.range.end);
        let doubled = adjoins && next.is_some_and(|next| next.text == token.text);
        match token.text {
            "{" => braces += 1,
            "}" => braces = braces.saturating_sub(1),
            "(" => calls += 1,
            ")" => calls = calls.saturating_sub(1),
            "&" => {
                let token = if doubled { pair(token) } else { (*token).clone() };
                return Some(failure(&token, "`&` does not join conditions", "not of this language", "write `and`"));
            }
            "|" if doubled => {
                return Some(failure(&pair(token), "`||` does not join conditions", "not of this language", "write `or`"));
            }
            "=" if doubled => {
                return Some(failure(&pair(token), "`==` does not compare", "one `=` too many", "write `=`"));
            }
            "!" => {
                return Some(failure(token, "`!` does not negate", "not of this language", "write `not`"));
            }
            "," if braces == 0 && calls == 0 => {
                return Some(failure(token, "a comma does not join conditions", "outside of any set", "write `and`"));
            }
            _ => {}
        }
        match token.kind {
            TokenKind::OpenQuote => {
                return Some(failure(token, "this text has no closing quote", "opened here, and the line ends", "close it with `\"` on the same line"));
            }
            TokenKind::Other => {
                if let Some(found) = look_alike(token, next.copied()) {
                    return Some(found);
                }
            }
            TokenKind::Word
            | TokenKind::Text
            | TokenKind::Arrow
            | TokenKind::Implies
            | TokenKind::Mark
            | TokenKind::Comment
            | TokenKind::LineEnd => {}
        }
    }
    None
}

/// Characters that look like a part of the language and are not.
fn look_alike(token: &Token<'_>, next: Option<&Token<'_>>) -> Option<Failure> {
    let first = token.text.chars().next()?;
    if "“”‘’„«»'`´".contains(first) {
        return Some(failure(token, "this is not the quote of this language", "a quote of another kind", "write `\"`"));
    }
    let shaft = "–—−―".contains(first) && next.is_some_and(|next| next.text == ">");
    if shaft || first == '>' || "⟶➔➜➝➞➡⇨⇾↦⟹⇝⭢⮕".contains(first) {
        return Some(failure(token, "this is not the arrow of this language", "looks like an arrow", "write `→` or `->`"));
    }
    "≠".contains(first).then(|| {
        failure(token, "this does not compare", "looks like `!=`", "write `!=`")
    })
}

/// A bracket without its partner.
fn unbalanced(tokens: &[&Token<'_>]) -> Option<Failure> {
    let mut open: Vec<&Token<'_>> = Vec::new();
    for token in tokens.iter().filter(|token| token.kind == TokenKind::Mark) {
        let opener = match token.text {
            "(" | "{" | "[" => {
                open.push(token);
                continue;
            }
            ")" => "(",
            "}" => "{",
            "]" => "[",
            _ => continue,
        };
        match open.pop() {
            Some(last) if last.text == opener => {}
            Some(last) => {
                return Some(failure(last, &format!("this `{}` is not closed", last.text), "opened here", format!("close it before the `{}`", token.text)));
            }
            None => {
                return Some(failure(token, &format!("nothing is open that this `{}` could close", token.text), "one too many", "remove it"));
            }
        }
    }
    let last = open.last()?;
    let close = match last.text {
        "(" => ")",
        "{" => "}",
        _ => "]",
    };
    Some(failure(last, &format!("this `{}` is not closed", last.text), "opened here", format!("close it with `{close}`")))
}

/// A statement that lacks a part that its kind has.
fn shape(tokens: &[&Token<'_>]) -> Option<Failure> {
    let first = tokens.first()?;
    let last = tokens.last()?;
    let has = |kind: TokenKind| tokens.iter().any(|token| token.kind == kind);
    let claim = matches!(first.text, "never" | "always");
    let clause = !KEYWORDS.contains(&first.text) || matches!(first.text, "guard" | "trial" | "default" | "test");
    if matches!(last.kind, TokenKind::Arrow | TokenKind::Implies) {
        let names: Vec<&str> = VerdictKind::WORDS.iter().map(|word| word.name).collect();
        return Some(failure(last, "no verdict follows the arrow", "the statement ends here", format!("end with a verdict: {}", names.join(", "))));
    }
    if claim && !has(TokenKind::Implies) {
        return Some(match tokens.iter().find(|token| token.kind == TokenKind::Arrow) {
            Some(arrow) => failure(arrow, "a claim is no rule", "decides nothing", "write `⇒` or `=>` in a claim"),
            None => failure(last, "a claim needs an outcome", "the statement ends here", "end with `⇒ admit`, or another verdict"),
        });
    }
    if clause && !has(TokenKind::Arrow) && first.text != "@" {
        if let Some(implies) = tokens.iter().find(|token| token.kind == TokenKind::Implies) {
            return Some(failure(implies, "this arrow is for claims", "`⇒` claims, `→` decides", "write `→` or `->`"));
        }
        if let Some(keyword) = misspelt_keyword(tokens) {
            return Some(keyword);
        }
        let verdict = tokens.iter().find(|token| VerdictKind::parse(token.text).is_some());
        return Some(match verdict {
            Some(verdict) => failure(verdict, "no arrow before the verdict", "the verdict", format!("write `→ {}`", verdict.text)),
            None => failure(last, "this decides nothing: there is no arrow and no verdict", "the statement ends here", "end with `→` and a verdict, such as `→ approve`"),
        });
    }
    None
}

/// `defin x = …`, `guards …`: a first word that nearly is a keyword, and no condition follows.
fn misspelt_keyword(tokens: &[&Token<'_>]) -> Option<Failure> {
    let first = tokens.first()?;
    let second = tokens.get(1)?;
    let condition = matches!(second.text, "=" | "!=" | "in" | "not" | "includes" | "within" | "and" | "or");
    let near = suggest::nearest(first.text, KEYWORDS)?;
    (!condition).then(|| {
        failure(first, &format!("`{}` does not begin a statement", first.text), "no such keyword", format!("did you mean `{near}`?"))
    })
}

/// What is wrong with the token at which the grammar stumbled.
fn at_token(text: &str, tokens: &[&Token<'_>], at: usize) -> Option<Failure> {
    let index = tokens.iter().position(|token| token.range.end > at)?;
    let token = tokens.get(index)?;
    let before = index.checked_sub(1).and_then(|index| tokens.get(index));
    let arrow = tokens.iter().position(|token| token.kind == TokenKind::Arrow);
    let in_condition = arrow.is_none_or(|arrow| index < arrow);
    let ends_condition = before.is_some_and(|before| {
        let joins = matches!(before.text, "and" | "or" | "not" | "in" | "includes" | "within" | "at");
        (before.kind == TokenKind::Word && !joins && !KEYWORDS.contains(&before.text))
            || before.kind == TokenKind::Text
            || matches!(before.text, ")" | "}")
    });
    let begins_condition =
        matches!(token.kind, TokenKind::Word) && !matches!(token.text, "and" | "or") || token.text == "(";
    if in_condition && ends_condition && begins_condition {
        let new_line = before.is_some_and(|before| {
            text.get(before.range.end..token.range.start).is_some_and(|gap| gap.contains('\n'))
        });
        let hint = if new_line {
            "write `and` between them; or, if this line begins a statement of its own, do not indent it"
        } else {
            "write `and` between them"
        };
        return Some(failure(token, "two conditions follow each other, and nothing joins them", "the second one", hint));
    }
    let value_position = before.is_some_and(|before| matches!(before.text, "=" | "!=" | "{" | ","));
    if value_position && token.kind == TokenKind::Word {
        let end = text.get(token.range.start..).map_or(0, |rest| {
            rest.find([' ', '\t', '\n', ',', '}', ')', '#']).unwrap_or(rest.len())
        });
        let whole = text.get(token.range.start..token.range.start + end).unwrap_or(token.text);
        let token = Token { kind: token.kind, text: whole, range: token.range.start..token.range.start + end };
        return Some(failure(&token, &format!("`{whole}` needs quotes"), "neither a word nor an address", format!("write \"{whole}\"")));
    }
    if let (Some(before), TokenKind::Word) = (before, token.kind)
        && !in_condition
        && before.kind != TokenKind::Arrow
    {
        return Some(failure(token, "this stands after the verdict", "unexpected", "prose goes into `because \"…\"`, or into a comment after `#`"));
    }
    None
}

fn unexpected(text: &str, tokens: &[&Token<'_>], at: usize) -> Failure {
    match tokens.iter().find(|token| token.range.end > at) {
        Some(token) => Failure {
            message: format!("`{}` cannot stand here", token.text),
            range: token.range.clone(),
            label: "unexpected".to_owned(),
            help: statement_help(tokens),
        },
        None => Failure {
            message: "this statement is not finished".to_owned(),
            range: tokens.last().map_or(0..text.len(), |token| token.range.clone()),
            label: "it ends here".to_owned(),
            help: statement_help(tokens),
        },
    }
}

/// What a statement with this first word looks like.
fn statement_help(tokens: &[&Token<'_>]) -> Option<String> {
    let form = match tokens.first()?.text {
        "gw-policy" => "gw-policy 1",
        "include" => "include \"names.policy\"",
        "extends" => "extends \"default.policy\"",
        "set" => "set trusted-lan = { 192.168.1.0/24 }",
        "define" => "define native = no-origin and not forwarded",
        "guard" => "guard [label] condition → reject(reason)",
        "trial" => "trial [label] condition → approve",
        "default" => "default → require-pairing",
        "never" => "never \"name\": condition ⇒ admit",
        "always" => "always \"name\": condition ⇒ reject",
        "relax" => "relax \"name\" because \"…\"",
        "test" => "test \"name\": client=cli and auth=token → approve",
        "@" => "@issue(\"#55067\")",
        _ => "client=cli and auth=token → approve",
    };
    Some(format!("such a statement looks like `{form}`"))
}
