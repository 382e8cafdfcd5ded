//! Which secrets are none: blank, a placeholder, too short, or of too few characters.
//!
//! What is said of a secret never holds a part of it.

use std::fmt;

use crate::secret::Secret;

/// The fewest characters of a secret.
pub const SHORTEST: usize = 16;

/// The fewest different characters of a secret.
const VARIETY: usize = 6;

/// Why a text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// Nothing, or white space.
    Blank,
    /// What stands in a template, or what a program writes for nothing.
    Placeholder,
    /// A variable that nobody put in.
    Unresolved,
    /// Part of a URL.
    Url,
    /// Characters that no header and no command line carries as they are.
    Unprintable,
    /// Fewer than 16 characters.
    Short,
    /// The same few characters, or a row of them.
    Monotonous,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Weakness::Blank => "is blank",
            Weakness::Placeholder => "is a placeholder",
            Weakness::Unresolved => "is a variable that was not put in",
            Weakness::Url => "is a URL",
            Weakness::Unprintable => "has characters that are no text",
            Weakness::Short => "has fewer than 16 characters",
            Weakness::Monotonous => {
                "is easy to guess: it has few different characters, or a row of them"
            }
        })
    }
}

/// Placeholders without case and punctuation.
const PLACEHOLDERS: &[&str] = &[
    "admin",
    "apikey",
    "changeit",
    "changeme",
    "changethis",
    "default",
    "example",
    "examplepassword",
    "examplesecret",
    "exampletoken",
    "fixme",
    "gateway",
    "gatewaypassword",
    "gatewaytoken",
    "hidden",
    "insertsecrethere",
    "inserttokenhere",
    "letmein",
    "masked",
    "mypassword",
    "mysecret",
    "mysecrettoken",
    "mytoken",
    "nan",
    "none",
    "null",
    "object",
    "objectobject",
    "openclaw",
    "openclawgatewaytoken",
    "openclawredacted",
    "openclawtoken",
    "passwd",
    "password",
    "password123",
    "passwordhere",
    "placeholder",
    "redacted",
    "secret",
    "secrethere",
    "sharedsecret",
    "supersecret",
    "test",
    "testtoken",
    "todo",
    "token",
    "tokenhere",
    "undefined",
    "verysecret",
];

/// How placeholders begin, without case and punctuation.
const BEGINNINGS: &[&str] = &[
    "changeme",
    "replaceme",
    "replacewith",
    "replacethis",
    "your",
    "putyour",
    "insertyour",
    "enteryour",
];

/// What is wrong with a secret; nothing when it will do.
#[must_use]
pub fn weakness(secret: &Secret) -> Option<Weakness> {
    let text = secret.expose();
    let bare: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let within = |open: char, close: char| text.starts_with(open) && text.ends_with(close);
    let placeholder = PLACEHOLDERS.contains(&bare.as_str())
        || BEGINNINGS
            .iter()
            .any(|beginning| bare.starts_with(beginning))
        || within('<', '>')
        || within('[', ']')
        || (bare.is_empty() && !text.is_empty());
    if secret.is_blank() {
        Some(Weakness::Blank)
    } else if text.starts_with("${") || text.starts_with("{{") || within('%', '%') {
        Some(Weakness::Unresolved)
    } else if placeholder {
        Some(Weakness::Placeholder)
    } else if text.contains("://") {
        Some(Weakness::Url)
    } else if text.chars().any(char::is_control) {
        Some(Weakness::Unprintable)
    } else if text.chars().count() < SHORTEST {
        Some(Weakness::Short)
    } else if monotonous(text) {
        Some(Weakness::Monotonous)
    } else {
        None
    }
}

fn monotonous(text: &str) -> bool {
    let mut different: Vec<char> = text.chars().collect();
    different.sort_unstable();
    different.dedup();
    // A row such as `abcdefgh` or `87654321` has one step nearly everywhere.
    let codes: Vec<i64> = text.chars().map(|c| i64::from(u32::from(c))).collect();
    let steps: Vec<i64> = codes
        .iter()
        .zip(codes.iter().skip(1))
        .map(|(a, b)| b - a)
        .collect();
    let row = [-1, 0, 1]
        .iter()
        .any(|step| steps.iter().filter(|other| *other == step).count() * 4 >= steps.len() * 3);
    different.len() < VARIETY || row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_secret() {
        for (text, why) in [
            ("", Weakness::Blank),
            (" \t", Weakness::Blank),
            ("changeme", Weakness::Placeholder),
            ("Change-Me", Weakness::Placeholder),
            ("secret", Weakness::Placeholder),
            ("password", Weakness::Placeholder),
            ("token", Weakness::Placeholder),
            ("your-token-here", Weakness::Placeholder),
            ("your-very-long-token-goes-here", Weakness::Placeholder),
            ("<the token from the vault>", Weakness::Placeholder),
            ("REPLACE_ME", Weakness::Placeholder),
            ("__OPENCLAW_REDACTED__", Weakness::Placeholder),
            ("[object Object]", Weakness::Placeholder),
            ("undefined", Weakness::Placeholder),
            ("****************", Weakness::Placeholder),
            ("${OPENCLAW_GATEWAY_TOKEN}", Weakness::Unresolved),
            ("https://host/?token=ab12cd34ef56ab78", Weakness::Url),
            ("Zk3_9xQ", Weakness::Short),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", Weakness::Monotonous),
            ("abcabcabcabcabcabc", Weakness::Monotonous),
            ("abcdefghijklmnopqrstu", Weakness::Monotonous),
        ] {
            assert_eq!(weakness(&Secret::new(text)), Some(why), "{text}");
        }
    }

    #[test]
    fn what_is_one() {
        for text in [
            "c2VlLXdoYXQtdGhpcy1pcw",
            "3f9a1c77e0b24d58",
            "correct horse battery staple",
            "yOuRn0tAplaceh0lder?".trim_start_matches("yOuR"),
        ] {
            assert_eq!(weakness(&Secret::new(text)), None, "{text}");
        }
    }
}
