//! Finds the place of a value in a JSON text: by its pointer, or by where reading stopped.
//!
//! The text need not be well-formed, and is read without recursion.

use std::ops::Range;

/// The bytes of the value that a JSON pointer (RFC 6901) leads to; of the last one, where a
/// key is repeated. `None` when nothing is there.
pub(super) fn locate(text: &str, pointer: &str) -> Option<Range<usize>> {
    let mut tokens = Tokens { text, at: 0 };
    let mut value = tokens.value()?;
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        value = member(text, value, &step)?;
    }
    Some(value)
}

/// The token that ends at or after `offset`, without punctuation that leads up to it.
pub(super) fn token_at(text: &str, offset: usize) -> Range<usize> {
    let mut tokens = Tokens { text, at: 0 };
    let mut last = 0..0;
    while let Some(token) = tokens.next() {
        last = token;
        let lead = matches!(text.get(last.clone()), Some(":" | ","));
        if last.end >= offset && !lead {
            break;
        }
    }
    last
}

/// The value of a key of an object, or of an index of an array.
fn member(text: &str, container: Range<usize>, step: &str) -> Option<Range<usize>> {
    let mut tokens = Tokens {
        text: text.get(..container.end)?,
        at: container.start,
    };
    let open = tokens.next()?;
    let is_object = text.get(open)? == "{";
    let mut found = None;
    let mut index = 0usize;
    loop {
        let start = tokens.at;
        let first = tokens.next()?;
        match text.get(first.clone())? {
            "}" | "]" => return found,
            "," => continue,
            key if is_object => {
                let named = serde_json::from_str::<String>(key).is_ok_and(|key| key == step);
                tokens
                    .next()
                    .filter(|colon| text.get(colon.clone()) == Some(":"))?;
                let value = tokens.value()?;
                if named {
                    found = Some(value);
                }
            }
            _ => {
                tokens.at = start;
                let value = tokens.value()?;
                if step.parse() == Ok(index) {
                    found = Some(value);
                }
                index = index.saturating_add(1);
            }
        }
    }
}

/// The tokens of a text: strings, punctuation, and runs of anything else.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<Range<usize>> {
        let rest = self.text.get(self.at..)?;
        let token = rest.trim_ascii_start();
        let start = self.at + (rest.len() - token.len());
        let length = match token.bytes().next()? {
            b'{' | b'}' | b'[' | b']' | b':' | b',' => 1,
            b'"' => string_length(token),
            _ => token
                .find(|end: char| end.is_ascii_whitespace() || "{}[]:,\"".contains(end))
                .unwrap_or(token.len()),
        };
        self.at = start + length;
        Some(start..self.at)
    }

    /// The whole value that begins here.
    fn value(&mut self) -> Option<Range<usize>> {
        let first = self.next()?;
        let mut depth = usize::from(matches!(self.text.get(first.clone())?, "{" | "["));
        while depth > 0 {
            let token = self.next()?;
            match self.text.get(token)? {
                "{" | "[" => depth += 1,
                "}" | "]" => depth -= 1,
                _ => {}
            }
        }
        Some(first.start..self.at)
    }
}

/// The length of the string that the text begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pointers_lead_to_values() {
        let text = r#" { "a" : [ 1, {"b/c~":"x\"}"}, [] ], "d":null, "\u0065": {}, "d":2 } "#;
        for (pointer, value) in [
            ("", text.trim()),
            ("/a", r#"[ 1, {"b/c~":"x\"}"}, [] ]"#),
            ("/a/0", "1"),
            ("/a/1/b~1c~0", r#""x\"}""#),
            ("/a/2", "[]"),
            ("/d", "2"),
            ("/e", "{}"),
        ] {
            assert_eq!(
                locate(text, pointer).map(|range| &text[range]),
                Some(value),
                "{pointer}"
            );
        }
        for pointer in ["/x", "/a/3", "/a/x", "/d/0", "/e/x"] {
            assert_eq!(locate(text, pointer), None, "{pointer}");
        }
    }

    #[test]
    fn a_stop_leads_to_the_token_before_it() {
        let text = r#"{"ab": [12, "c"]}"#;
        for (offset, token) in [
            (0, "{"),
            (3, r#""ab""#),
            (5, r#""ab""#),
            (6, "["),
            (7, "["),
            (10, "12"),
            (99, "}"),
        ] {
            assert_eq!(&text[token_at(text, offset)], token, "{offset}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[\\[\\]{}:,\"\\\\a1é ]{0,40}", pointer in "(/[a1]?){0,3}", offset in 0usize..50) {
            if let Some(range) = locate(&text, &pointer) {
                prop_assert!(text.get(range).is_some());
            }
            prop_assert!(text.get(token_at(&text, offset)).is_some());
        }
    }
}
