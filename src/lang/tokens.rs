//! A small tokenizer over the text of a statement, comments and line ends included.
//!
//! The formatter is built on it, so that nothing a person wrote is lost, and the
//! explanation of syntax errors, because it reads what the grammar cannot.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A name, a keyword, an address, a number: anything without space.
    Word,
    /// Text in quotes.
    Text,
    /// A quote that is not closed on its line.
    OpenQuote,
    /// `→`, `->`
    Arrow,
    /// `⇒`, `=>`
    Implies,
    /// `(`, `)`, `{`, `}`, `[`, `]`, `,`, `:`, `|`, `=`, `!=`, `@`
    Mark,
    /// `#` to the end of the line.
    Comment,
    /// The end of a line.
    LineEnd,
    /// Anything else.
    Other,
}

/// A token with its range in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind,
    /// As written.
    pub text: &'a str,
    /// Where.
    pub range: Range<usize>,
}

/// The tokens of a text; only spaces are left out.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (kind, length) = next(rest);
        if let Some(kind) = kind {
            let range = at..at + length;
            tokens.push(Token {
                kind,
                text: rest.get(..length).unwrap_or(rest),
                range,
            });
        }
        at += length.max(1);
    }
    tokens
}

fn next(rest: &str) -> (Option<TokenKind>, usize) {
    // Looked for only where it is needed: a line may be as long as the file.
    let line = || rest.find(['\n', '\r']).unwrap_or(rest.len());
    let Some(first) = rest.chars().next() else {
        return (None, 1);
    };
    for (text, kind) in [
        ("->", TokenKind::Arrow),
        ("→", TokenKind::Arrow),
        ("=>", TokenKind::Implies),
        ("⇒", TokenKind::Implies),
        ("!=", TokenKind::Mark),
    ] {
        if rest.starts_with(text) {
            return (Some(kind), text.len());
        }
    }
    match first {
        ' ' | '\t' | '\r' => (None, 1),
        '\n' => (Some(TokenKind::LineEnd), 1),
        '#' => (Some(TokenKind::Comment), line()),
        '"' => match rest
            .get(1..)
            .and_then(|inside| inside.find(['"', '\n', '\r']))
        {
            Some(end)
                if rest
                    .get(end + 1..)
                    .is_some_and(|rest| rest.starts_with('"')) =>
            {
                (Some(TokenKind::Text), end + 2)
            }
            _ => (Some(TokenKind::OpenQuote), line()),
        },
        '(' | ')' | '{' | '}' | '[' | ']' | ',' | '|' | '=' | '@' => (Some(TokenKind::Mark), 1),
        // `::1` and `::/0` begin with the colons of an address.
        ':' if !rest.starts_with("::") => (Some(TokenKind::Mark), 1),
        _ if is_word(first) || first == ':' => {
            let mut length = 0;
            // Whether everything so far could be an address.
            let mut address = true;
            for (at, character) in rest.char_indices() {
                let after = rest.get(at + character.len_utf8()..).unwrap_or("");
                // The `-` of an arrow ends a word; a colon belongs to an address only.
                let arrow = character == '-' && after.starts_with('>');
                let colon = character == ':' && address && {
                    let double = rest.get(..at).is_some_and(|before| before.ends_with(':'));
                    double || after.starts_with(is_address)
                };
                if arrow || !(is_word(character) || colon) {
                    break;
                }
                address &= is_address(character);
                length = at + character.len_utf8();
            }
            (Some(TokenKind::Word), length)
        }
        _ => (Some(TokenKind::Other), first.len_utf8()),
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '/')
}

fn is_address(character: char) -> bool {
    character.is_ascii_hexdigit() || matches!(character, ':' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_before_arrows_and_addresses_keep_their_colons() {
        let texts = |text| {
            tokens(text)
                .into_iter()
                .map(|token| token.text)
                .collect::<Vec<_>>()
        };
        assert_eq!(texts("a=b->c # x"), ["a", "=", "b", "->", "c", "# x"]);
        assert_eq!(
            texts("peer in {fd00:1::/64}"),
            ["peer", "in", "{", "fd00:1::/64", "}"]
        );
        assert_eq!(texts("{::/0,fe80::}"), ["{", "::/0", ",", "fe80::", "}"]);
        assert_eq!(texts("test \"a # b\": c"), ["test", "\"a # b\"", ":", "c"]);
        assert_eq!(texts("\"open\n→"), ["\"open", "\n", "→"]);
    }
}
