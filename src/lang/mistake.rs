//! Mistakes: what a statement that the grammar refuses means to a person.
//!
//! The cause is read off the tokens, because pest's expectations are those of a grammar.

use std::ops::Range;

use super::KEYWORDS;
use super::check::meant;
use super::tokens::{Token, TokenKind, tokens};
use crate::diagnostic::suggest;
use crate::verdict::VerdictKind;

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

/// Whether a text begins with what can only go on with a statement.
pub(super) fn goes_on(text: &str) -> bool {
    tokens(text).first().is_some_and(|first| {
        first.kind == TokenKind::Arrow || matches!(first.text, "and" | "or" | "because")
    })
}

/// Finds the human cause of a failure that the grammar noticed at a byte.
pub(super) fn explain(text: &str, at: usize) -> Failure {
    let all = tokens(text);
    let tokens: Vec<&Token<'_>> = all
        .iter()
        .filter(|token| !matches!(token.kind, TokenKind::Comment | TokenKind::LineEnd))
        .collect();
    other_form(text, &tokens)
        .or_else(|| known_mistake(&tokens))
        .or_else(|| unbalanced(&tokens))
        .or_else(|| beginning(&tokens))
        .or_else(|| form(&tokens))
        .or_else(|| ending(&tokens))
        .or_else(|| at_token(text, &tokens, at))
        .unwrap_or_else(|| unexpected(text, &tokens, at))
}

/// A token and those right after it, as one.
fn joined<'a>(token: &Token<'a>, length: usize) -> Token<'a> {
    Token {
        range: token.range.start..token.range.start + length,
        ..token.clone()
    }
}

fn failure(
    token: &Token<'_>,
    message: impl Into<String>,
    label: impl Into<String>,
    help: impl Into<String>,
) -> Failure {
    Failure {
        message: message.into(),
        range: token.range.clone(),
        label: label.into(),
        help: Some(help.into()),
    }
}

/// Values that are written as other languages write them, and a colon behind `default`: what was
/// meant is there, in another form.
fn other_form(text: &str, tokens: &[&Token<'_>]) -> Option<Failure> {
    for (index, token) in tokens.iter().enumerate() {
        let Some(before) = index.checked_sub(1).and_then(|index| tokens.get(index)) else {
            continue;
        };
        let earlier = index.checked_sub(2).and_then(|index| tokens.get(index));
        let is_compared = matches!(before.text, "=" | "in" | "includes" | "within");
        let rest = text.get(token.range.start..)?;
        let to_end = |ends: &str| {
            let end = rest.find(|end: char| end.is_whitespace() || ends.contains(end));
            end.unwrap_or(rest.len())
        };
        if before.text == "default" && token.text == ":" && index == 1 {
            return Some(failure(
                token,
                "no colon stands behind `default`",
                "not of this language",
                "remove it, and write `default → require-pairing`",
            ));
        }
        if before.text == "(" && matches!(token.text, "{" | "[") {
            let inside = enclosed(text, tokens, index)?;
            return match earlier.map(|earlier| earlier.text) {
                Some(name @ ("cap" | "approve" | "silent-approve")) => Some(failure(
                    token,
                    format!("`{name}` does not say what it bounds"),
                    "these are scopes",
                    format!("write `{name}(scopes={{ {} }})`", inside.trim()),
                )),
                _ => None,
            };
        }
        let is_listed = |inside: &str| is_compared && (inside.contains(',') || before.text != "=");
        if is_compared && matches!(token.text, "[" | "(") {
            let inside = enclosed(text, tokens, index)?;
            if token.text == "[" || is_listed(inside) {
                return Some(failure(
                    &joined(token, inside.len() + 2),
                    "a set stands between braces",
                    "brackets of another kind",
                    format!("write `{{ {} }}`", inside.trim()),
                ));
            }
        }
        let is_value = is_compared || matches!(before.text, "!=" | "{" | ",");
        if is_value && token.kind == TokenKind::Word {
            let end = to_end(",})");
            let whole = rest.get(..end)?;
            if whole.contains("://") {
                return Some(needs_quotes(&joined(token, end), whole, "no word"));
            }
        }
        let is_ttl = before.text == "=" && earlier.is_some_and(|earlier| earlier.text == "ttl");
        if is_ttl && rest.starts_with(|first: char| first.is_ascii_digit()) {
            let end = to_end(",)");
            let whole = rest.get(..end)?;
            return Some(needs_quotes(&joined(token, end), whole, "a length of time"));
        }
    }
    None
}

fn needs_quotes(token: &Token<'_>, text: &str, label: &str) -> Failure {
    let message = format!("`{text}` needs quotes");
    failure(token, message, label, format!("write `\"{text}\"`"))
}

/// What stands between a bracket and the one that closes it.
fn enclosed<'a>(text: &'a str, tokens: &[&Token<'_>], open: usize) -> Option<&'a str> {
    let mut depth = 0_usize;
    for token in tokens.iter().skip(open) {
        match token.text {
            "(" | "{" | "[" => depth += 1,
            ")" | "}" | "]" => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return text.get(tokens.get(open)?.range.end..token.range.start);
        }
    }
    None
}

/// Mistakes that one or two tokens give away, wherever the grammar stumbled.
fn known_mistake(tokens: &[&Token<'_>]) -> Option<Failure> {
    const FOREIGN: &str = "not of this language";
    let claim = tokens
        .first()
        .is_some_and(|first| matches!(first.text, "never" | "always"));
    let mut open: Vec<bool> = Vec::new();
    let mut decided = false;
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| tokens.get(index));
        let next = tokens
            .get(index + 1)
            .filter(|next| next.range.start == token.range.end);
        let doubled = next.is_some_and(|next| next.text == token.text);
        let length = if doubled {
            2 * token.text.len()
        } else {
            token.text.len()
        };
        let both = joined(token, length);
        let follows = |text: &str| next.is_some_and(|next| next.text == text);
        decided |= matches!(token.kind, TokenKind::Arrow | TokenKind::Implies);
        match token.text {
            // Commas stand in sets and in the arguments of verdicts, which follow an arrow.
            "{" => open.push(true),
            "(" => open.push(decided),
            "}" | ")" => {
                open.pop();
            }
            "&" => {
                return Some(failure(
                    &both,
                    format!("`{}` does not join conditions", "&".repeat(length)),
                    FOREIGN,
                    "write `and`",
                ));
            }
            "|" if doubled || !claim => {
                return Some(failure(
                    &both,
                    format!("`{}` does not join conditions", "|".repeat(length)),
                    FOREIGN,
                    "write `or`",
                ));
            }
            "=" if doubled => {
                return Some(failure(
                    &both,
                    "`==` does not compare",
                    "one `=` too many",
                    "write `=`",
                ));
            }
            "<" if follows(">") => {
                return Some(failure(
                    &joined(token, 2),
                    "`<>` does not compare",
                    FOREIGN,
                    "write `!=`",
                ));
            }
            "~" => {
                return Some(failure(
                    token,
                    "`~` does not compare: there are no patterns",
                    FOREIGN,
                    "name the values: `attribute in { a, b }`",
                ));
            }
            "!" => {
                return Some(failure(
                    token,
                    "`!` does not negate",
                    FOREIGN,
                    "write `not`",
                ));
            }
            "," if open.last() != Some(&true) => {
                return Some(failure(
                    token,
                    "a comma does not join conditions",
                    "outside of any set",
                    "write `and`",
                ));
            }
            dashes if dashes.chars().all(|dash| dash == '-') && follows("->") => {
                return Some(failure(
                    &joined(token, dashes.len() + 2),
                    NO_ARROW,
                    "one `-` too many",
                    "write `→` or `->`",
                ));
            }
            _ => {}
        }
        let found = match token.kind {
            TokenKind::OpenQuote => Some(failure(
                token,
                "this text has no closing quote",
                "opened here, and the line ends",
                "close it with `\"` on the same line",
            )),
            TokenKind::Other => look_alike(token, next.copied()),
            TokenKind::Word if !decided => foreign_word(token, before.copied()),
            TokenKind::Word
            | TokenKind::Text
            | TokenKind::Arrow
            | TokenKind::Implies
            | TokenKind::Mark
            | TokenKind::Comment
            | TokenKind::LineEnd => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

const NO_ARROW: &str = "this is not the arrow of this language";

/// Characters that look like a part of the language and are not.
fn look_alike(token: &Token<'_>, next: Option<&Token<'_>>) -> Option<Failure> {
    let first = token.text.chars().next()?;
    if "“”‘’„«»'`´".contains(first) {
        return Some(failure(
            token,
            "this is not the quote of this language",
            "a quote of another kind",
            "write `\"`",
        ));
    }
    let dash = "–—−―‐‑".contains(first);
    let shaft = dash && next.is_some_and(|next| next.text == ">");
    if shaft || first == '>' || "⟶➔➜➝➞➡⇨⇾↦⟹⇝⭢⮕".contains(first) {
        return Some(failure(
            token,
            NO_ARROW,
            "looks like an arrow",
            "write `→` or `->`",
        ));
    }
    let (message, looks, write) = match first {
        '≠' => ("this does not compare", "looks like `!=`", "write `!=`"),
        '＝' => ("this does not compare", "looks like `=`", "write `=`"),
        '¬' => ("`¬` does not negate", "looks like `not`", "write `not`"),
        '∧' => (
            "`∧` does not join conditions",
            "looks like `and`",
            "write `and`",
        ),
        '∨' => (
            "`∨` does not join conditions",
            "looks like `or`",
            "write `or`",
        ),
        '∈' => ("`∈` does not compare", "looks like `in`", "write `in`"),
        _ if dash => (
            "this is not the hyphen of names",
            "looks like `-`",
            "write `-`",
        ),
        ';' => (
            "a statement ends with its line",
            "not of this language",
            "remove it",
        ),
        _ => return None,
    };
    Some(failure(token, message, looks, write))
}

/// Words that other languages have where this one has others, and letters that only look
/// like those of names.
fn foreign_word(token: &Token<'_>, before: Option<&Token<'_>>) -> Option<Failure> {
    if let Some(letter) = token.text.chars().find(|letter| !letter.is_ascii()) {
        let plain: String = token.text.chars().map(latin).collect();
        let help = if plain.is_ascii() {
            format!("write `{plain}`")
        } else {
            "names are ASCII letters, digits, `-`, `_` and `.`; text goes between quotes".to_owned()
        };
        let code = u32::from(letter);
        return Some(failure(
            token,
            format!("`{}` is not written in ASCII letters", token.text),
            format!("`{letter}` is U+{code:04X}"),
            help,
        ));
    }
    let operand = before.is_some_and(|before| {
        matches!(before.kind, TokenKind::Word | TokenKind::Text)
            || matches!(before.text, ")" | "}" | "]")
    });
    let word = token.text.to_ascii_lowercase();
    let other = word != token.text;
    let write = match word.as_str() {
        "and" | "or" | "in" | "includes" | "within" if other && operand => word.as_str(),
        "not" if other => "not",
        "is" | "equals" | "eq" if operand => "=",
        "ne" if operand => "!=",
        "has" | "contains" if operand => "includes",
        "then" if operand => "→",
        _ => return None,
    };
    Some(failure(
        token,
        format!("`{}` is not a word of this language", token.text),
        "not known here",
        format!("write `{write}`"),
    ))
}

/// The ASCII letter that a Cyrillic or Greek letter looks like; any other stays.
fn latin(letter: char) -> char {
    let (others, ours) = ("аеорсухіјѕԁһոսґοανικρτωϲ", "aeopcyxijsdhnursoavikptwc");
    others
        .chars()
        .zip(ours.chars())
        .find(|(other, _)| *other == letter)
        .map_or(letter, |(_, ours)| ours)
}

/// A bracket without its partner.
fn unbalanced(tokens: &[&Token<'_>]) -> Option<Failure> {
    let closer = |opener: &str| match opener {
        "(" => ")",
        "{" => "}",
        _ => "]",
    };
    let mut open: Vec<&Token<'_>> = Vec::new();
    for token in tokens.iter().filter(|token| token.kind == TokenKind::Mark) {
        match token.text {
            "(" | "{" | "[" => open.push(token),
            ")" | "}" | "]" => match open.pop() {
                Some(last) if closer(last.text) == token.text => {}
                Some(last) => {
                    let help = format!(
                        "close it with `{}` before the `{}`",
                        closer(last.text),
                        token.text
                    );
                    return Some(failure(
                        last,
                        format!("this `{}` is not closed", last.text),
                        "opened here",
                        help,
                    ));
                }
                None => {
                    return Some(failure(
                        token,
                        format!("nothing is open that this `{}` could close", token.text),
                        "one too many",
                        "remove it",
                    ));
                }
            },
            _ => {}
        }
    }
    let last = open.last()?;
    let help = format!("close it with `{}`", closer(last.text));
    Some(failure(
        last,
        format!("this `{}` is not closed", last.text),
        "opened here",
        help,
    ))
}

/// What is wrong with the first words of a statement: no such keyword, a verdict in front,
/// the rest of the statement above, a label that is none.
fn beginning(tokens: &[&Token<'_>]) -> Option<Failure> {
    let first = tokens.first()?;
    if first.kind == TokenKind::Arrow || matches!(first.text, "and" | "or" | "because") {
        return Some(failure(
            first,
            "this line goes on with the statement above, and is not indented",
            "no statement begins so",
            "indent this line",
        ));
    }
    let second = tokens.get(1)?;
    let verdict = VerdictKind::parse(first.text)
        .map(VerdictKind::name)
        .or_else(|| meant(first.text));
    let condition = second.kind == TokenKind::Word || second.text == "(";
    if let Some(verdict) =
        verdict.filter(|_| condition && !tokens.iter().any(|token| token.kind == TokenKind::Arrow))
    {
        return Some(failure(
            first,
            "the verdict stands at the end of a rule",
            "too early",
            format!("write `client=cli and loopback → {verdict}`"),
        ));
    }
    if matches!(first.text, "if" | "when" | "allow" | "rule") && condition {
        return Some(failure(
            first,
            format!("`{}` does not begin a rule", first.text),
            "not of this language",
            "remove it: a rule begins with its condition",
        ));
    }
    let label = tokens.iter().position(|token| token.text == "[")?;
    let end = tokens
        .iter()
        .skip(label)
        .position(|token| token.text == "]")?
        + label;
    let inside = tokens.get(label + 1..end)?;
    let words: Vec<&str> = inside.iter().map(|token| token.text).collect();
    let (Some(from), Some(to)) = (inside.first(), inside.last()) else {
        let bracket = tokens.get(label)?;
        return Some(failure(
            bracket,
            "this label is empty",
            "no name in it",
            "write a name between the brackets, or remove them",
        ));
    };
    let all = joined(from, to.range.end - from.range.start);
    if words.len() > 1 {
        return Some(failure(
            &all,
            "a label is one word",
            "several words",
            format!("write `[{}]`", words.join("-")),
        ));
    }
    let letter = from
        .text
        .starts_with(|first: char| first.is_ascii_alphabetic());
    (!letter).then(|| {
        failure(
            &all,
            "a label begins with a letter",
            "no letter",
            format!("write `[x-{}]`", from.text),
        )
    })
}

/// What a statement with a keyword must begin with.
enum Part {
    Name,
    Text,
    Mark(&'static str),
    End,
}

/// A statement with a keyword that does not go on as it must.
fn form(tokens: &[&Token<'_>]) -> Option<Failure> {
    use Part::{End, Mark, Name, Text};
    let first = tokens.first()?;
    let parts: &[Part] = match first.text {
        "gw-policy" => &[Mark("1"), End],
        "include" | "extends" => &[Text, End],
        "set" => &[Name, Mark("="), Mark("{")],
        "define" => &[Name, Mark("=")],
        "never" | "always" | "test" => &[Text, Mark(":")],
        "relax" => &[Text, Mark("because"), Text, End],
        "@" => &[Name, Mark("("), Text, Mark(")"), End],
        _ => return misspelt_keyword(tokens),
    };
    let mut previous = *first;
    for (part, token) in parts.iter().zip((1..).map(|index| tokens.get(index))) {
        let fits = token.is_some_and(|token| match part {
            Name => token.kind == TokenKind::Word && !WORDS.contains(&token.text),
            Text => token.kind == TokenKind::Text,
            Mark(text) => token.text == *text,
            End => false,
        }) || (matches!(part, End) && token.is_none());
        if fits {
            previous = token?;
            continue;
        }
        let what = match part {
            Name => "a name".to_owned(),
            Text => "text between quotes".to_owned(),
            Mark("{") => "`{`, and values".to_owned(),
            Mark(text) => format!("`{text}`"),
            End => {
                let statement = if first.text == "@" {
                    "an annotation".to_owned()
                } else {
                    format!("`{}`", first.text)
                };
                return Some(failure(
                    token?,
                    format!("{statement} stands alone on its line"),
                    "this does not belong to it",
                    "put it on a line of its own",
                ));
            }
        };
        let (place, label) = match token {
            Some(token) if WORDS.contains(&token.text) && matches!(part, Name) => {
                (token, format!("`{}` cannot be a name", token.text))
            }
            Some(token) => (token, format!("{what} is missing before this")),
            None => (&previous, "the statement ends here".to_owned()),
        };
        return Some(Failure {
            message: format!("`{}` is followed by {what}", previous.text),
            range: place.range.clone(),
            label,
            help: statement_help(tokens),
        });
    }
    None
}

/// Words that are no names.
const WORDS: [&str; 7] = ["and", "or", "not", "in", "includes", "within", "because"];

/// `defin x = …`, `guards …`: a first word that nearly is a keyword, and no condition follows.
fn misspelt_keyword(tokens: &[&Token<'_>]) -> Option<Failure> {
    let first = tokens.first()?;
    let second = tokens.get(1)?;
    let begins = matches!(second.kind, TokenKind::Word | TokenKind::Text)
        || matches!(second.text, "[" | "(");
    let near = suggest::nearest(first.text, KEYWORDS)?;
    (begins && !WORDS.contains(&second.text) && !KEYWORDS.contains(&first.text)).then(|| {
        failure(
            first,
            format!("`{}` does not begin a statement", first.text),
            "no such keyword",
            format!("did you mean `{near}`?"),
        )
    })
}

/// A statement that ends without what it must end with.
fn ending(tokens: &[&Token<'_>]) -> Option<Failure> {
    const ENDS: &str = "the statement ends here";
    let first = tokens.first()?;
    let last = tokens.last()?;
    let find = |kind: TokenKind| tokens.iter().find(|token| token.kind == kind);
    if matches!(last.kind, TokenKind::Arrow | TokenKind::Implies) {
        let names: Vec<String> = VerdictKind::WORDS
            .iter()
            .map(|word| format!("`{}`", word.name))
            .collect();
        return Some(failure(
            last,
            "no verdict follows the arrow",
            ENDS,
            format!("end with one of {}", names.join(", ")),
        ));
    }
    if WORDS.contains(&last.text) || last.text == "=" {
        return Some(failure(
            last,
            format!("nothing follows this `{}`", last.text),
            ENDS,
            "write the rest on the same line, or indent the line that goes on with it",
        ));
    }
    match first.text {
        "never" | "always" if find(TokenKind::Implies).is_none() => {
            return Some(match find(TokenKind::Arrow) {
                Some(arrow) => failure(
                    arrow,
                    "this arrow is for rules",
                    "`→` decides, `⇒` claims",
                    "write `⇒` or `=>`",
                ),
                None => failure(
                    last,
                    "this claim does not say what it claims",
                    ENDS,
                    "end with `⇒ admit`, or another verdict",
                ),
            });
        }
        "never" | "always" | "gw-policy" | "include" | "extends" | "set" | "define" | "relax"
        | "@" => return None,
        _ if find(TokenKind::Arrow).is_some() => return None,
        _ => {}
    }
    if let Some(implies) = find(TokenKind::Implies) {
        return Some(failure(
            implies,
            "this arrow is for claims",
            "`⇒` claims, `→` decides",
            "write `→` or `->`",
        ));
    }
    let known =
        |token: &&&Token<'_>| VerdictKind::parse(token.text).is_some() || token.text == "cap";
    let verdict = tokens.iter().skip(1).find(known);
    let foreign = || {
        tokens
            .iter()
            .skip(1)
            .rfind(|token| token.kind == TokenKind::Word && meant(token.text).is_some())
    };
    Some(match verdict.or_else(foreign) {
        Some(verdict) => {
            let write = meant(verdict.text)
                .filter(|_| !known(&verdict))
                .unwrap_or(verdict.text);
            failure(
                verdict,
                "no arrow stands before the verdict",
                "the verdict",
                format!("write `→ {write}`"),
            )
        }
        None => failure(
            last,
            "this decides nothing: there is no arrow and no verdict",
            ENDS,
            "end with `→` and a verdict, such as `→ approve`",
        ),
    })
}

/// What is wrong with the token at which the grammar stumbled.
fn at_token(text: &str, tokens: &[&Token<'_>], at: usize) -> Option<Failure> {
    let index = tokens.iter().position(|token| token.range.end > at)?;
    let token = *tokens.get(index)?;
    let before = *tokens.get(index.checked_sub(1)?)?;
    let new_line = text
        .get(before.range.end..token.range.start)
        .is_some_and(|gap| gap.contains('\n'));
    let is_arrow = |token: &&Token<'_>| matches!(token.kind, TokenKind::Arrow | TokenKind::Implies);
    let arrow = tokens.iter().position(is_arrow);
    if arrow.is_some_and(|arrow| index > arrow + 1) {
        return after_verdict(token, new_line);
    }
    let ends_condition = match before.kind {
        TokenKind::Word => !WORDS.contains(&before.text) && before.text != "at",
        TokenKind::Text => true,
        TokenKind::Mark => matches!(before.text, ")" | "}"),
        TokenKind::OpenQuote
        | TokenKind::Arrow
        | TokenKind::Implies
        | TokenKind::Comment
        | TokenKind::LineEnd
        | TokenKind::Other => false,
    };
    let word = token.kind == TokenKind::Word;
    if ends_condition && ((word && !matches!(token.text, "and" | "or")) || token.text == "(") {
        let help = if new_line {
            "write `and` or `or` between them; if this line begins a statement of its own, do not indent it"
        } else {
            "write `and` or `or` between them"
        };
        return Some(failure(
            token,
            "two conditions follow each other, and nothing joins them",
            "the second one",
            help,
        ));
    }
    if ends_condition && token.text == ":" {
        return Some(failure(
            token,
            "`:` does not compare",
            "not of this language",
            "write `=`",
        ));
    }
    let value = matches!(
        before.text,
        "=" | "!=" | "{" | "," | "in" | "includes" | "within"
    );
    if value && (word || token.kind == TokenKind::Mark && token.text == ":") {
        let rest = text.get(token.range.start..)?;
        let end = rest
            .find(|end: char| end.is_whitespace() || ",})#".contains(end))
            .unwrap_or(rest.len());
        let whole = rest.get(..end)?;
        let token = joined(token, end);
        if whole.starts_with(|first: char| first.is_ascii_digit() || first == ':')
            && !whole.ends_with(|last: char| last.is_ascii_alphabetic())
        {
            return Some(failure(
                &token,
                format!("`{whole}` is not an address"),
                "cannot be read as an address or a network",
                "write `192.168.1.0/24`, `10.0.0.5`, `fd00::/8` or `::1`, without a port",
            ));
        }
        return Some(needs_quotes(&token, whole, "neither a word nor an address"));
    }
    None
}

/// What stands after a verdict and does not belong there.
fn after_verdict(token: &Token<'_>, new_line: bool) -> Option<Failure> {
    const INDENTED: &str = "this line is indented, so it goes on with the statement above";
    if new_line {
        return Some(failure(
            token,
            INDENTED,
            "does not belong there",
            "if it begins a statement of its own, do not indent it",
        ));
    }
    let help = match (token.kind, token.text) {
        (TokenKind::Arrow | TokenKind::Implies, _) => {
            "keep one arrow and one verdict; put the other into a rule of its own"
        }
        (TokenKind::Text, _) => "write `because \"…\"`, or put it into a comment after `#`",
        (_, "and" | "or" | "if" | "when" | "unless") => "conditions stand before the arrow",
        (TokenKind::Word, _) => "prose goes into `because \"…\"`, or into a comment after `#`",
        _ => return None,
    };
    Some(failure(
        token,
        "the statement should have ended with its verdict",
        "does not belong here",
        help,
    ))
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
            range: tokens
                .last()
                .map_or(0..text.len(), |token| token.range.clone()),
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
        "define" => "define native = no-origin and not forwarded and not proxy-trace",
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
