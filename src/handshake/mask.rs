//! The text of a recording with its values covered, for showing where it is wrong.
//!
//! Any value may be a secret, and so may anything in a text that is not JSON: only the names of
//! fields and the structure are left.

/// The text with every value replaced by as many `*` as it has bytes, so that places in it stay
/// where they are. Of a text that is not JSON only line ends and spaces are left.
#[must_use]
pub fn masked(text: &str) -> String {
    let json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let mut covered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '"' if json => {
                let length = string_length(rest);
                let (string, after) = rest.split_at(length);
                if after.trim_start().starts_with(':') {
                    covered.push_str(string);
                } else {
                    covered.push('"');
                    covered.push_str(&"*".repeat(length.saturating_sub(2)));
                    covered.push('"');
                }
                length
            }
            _ => {
                let structure = json && "{}[],:".contains(next);
                if structure || next.is_whitespace() {
                    covered.push(next);
                } else {
                    covered.push_str(&"*".repeat(next.len_utf8()));
                }
                next.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or("");
    }
    covered
}

/// The bytes of the string that a JSON text begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let inside = text.bytes().skip(1).position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    inside.map_or(text.len(), |inside| inside + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_structure_stay_and_values_do_not() {
        let text = r#"{ "auth": { "token" : "s3c\"ret", "tokn": 8675, "k": ["dé", true] } }"#;
        let covered = r#"{ "auth": { "token" : "********", "tokn": ****, "k": ["***", ****] } }"#;
        assert_eq!(masked(text), covered);
        assert_eq!(masked("{ 'token': 'x'\n"), "* ******** ***\n");
    }

    proptest! {
        #[test]
        fn any_text_keeps_its_length(text in ".{0,80}") {
            prop_assert_eq!(masked(&text).len(), text.len());
        }
    }
}
