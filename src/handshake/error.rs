//! What is wrong with a recorded handshake, and where.
//!
//! Values are named by kind only, never by content: any of them may be a secret. Addresses, origins and
//! names of headers that are none are told, as text that steers nothing.

use std::ops::Range;

use super::locate::{locate, token_at};
use crate::diagnostic::suggest::did_you_mean;
use crate::source::visible;

/// Why a text is no recorded handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HandshakeError {
    /// What is wrong: lower case, without a full stop.
    pub message: String,
    /// What to write instead, where that can be said.
    pub help: Option<String>,
    /// The bytes of the text that are wrong.
    pub range: Range<usize>,
}

impl HandshakeError {
    /// Something wrong with the value that a JSON pointer leads to; where nothing is there,
    /// the nearest value around it is shown.
    pub(super) fn at(text: &str, pointer: &str, message: impl Into<String>) -> Self {
        let mut around = pointer;
        let range = loop {
            match (locate(text, around), around.rsplit_once('/')) {
                (Some(range), _) => break range,
                (None, Some((parent, _))) => around = parent,
                (None, None) => break 0..text.len(),
            }
        };
        HandshakeError {
            message: message.into(),
            help: None,
            range,
        }
    }

    /// The same, with what to do about it.
    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        HandshakeError {
            help: Some(help.into()),
            ..self
        }
    }

    /// What serde_json says, in our words.
    pub(super) fn of_json(text: &str, error: &serde_json::Error) -> Self {
        let range = token_at(text, offset(text, error.line(), error.column()));
        let said = error.to_string();
        let said = said
            .rsplit_once(" at line ")
            .map_or(&*said, |(said, _)| said);
        let (message, help) = if error.is_data() {
            of_shape(said)
        } else {
            (format!("this is not JSON: {said}"), None)
        };
        HandshakeError {
            // The name of a field is the recording's own.
            message: visible(&message),
            help,
            range,
        }
    }
}

/// The byte that serde_json's line and column (both from 1, the column in bytes) name.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    before.saturating_add(column).min(text.len())
}

/// Rewrites serde's message about a value of the wrong shape.
pub(crate) fn of_shape(said: &str) -> (String, Option<String>) {
    if let Some(rest) = said.strip_prefix("unknown field ") {
        let (field, known) = split_expected(rest);
        return (
            format!("{field} is no field here"),
            suggest(field, known, "fields"),
        );
    }
    if let Some(rest) = said.strip_prefix("unknown variant ") {
        let (word, known) = split_expected(rest);
        return (
            "this is none of the words that may stand here".to_owned(),
            suggest(word, known, "words"),
        );
    }
    if let Some(field) = said.strip_prefix("missing field ") {
        let help = "a recorded handshake says `\"gw-handshake\": 1`";
        let help = (field == "`gw-handshake`").then(|| help.to_owned());
        return (format!("the field {field} is missing"), help);
    }
    if let Some(field) = said.strip_prefix("duplicate field ") {
        return (format!("the field {field} stands here twice"), None);
    }
    let (found, expected) = split_expected(said);
    let found = found.split_once(": ").map_or(found, |(_, found)| found);
    let kind = found.split(['`', '"']).next().unwrap_or_default().trim();
    let kind = match kind {
        "sequence" => "an array",
        "map" => "an object",
        "integer" => "an integer",
        "boolean" => "a boolean",
        "" | "string" => "a string",
        kind => kind,
    };
    (
        format!("{} is expected here, not {kind}", expectation(expected)),
        None,
    )
}

/// Splits serde's `FOUND, expected EXPECTED`.
fn split_expected(said: &str) -> (&str, &str) {
    said.split_once("`, expected ").map_or_else(
        || {
            said.rsplit_once(", expected ")
                .unwrap_or((said, "something else"))
        },
        |(_, known)| {
            let end = said.len() - known.len() - ", expected ".len();
            (said.get(..end).unwrap_or(said), known)
        },
    )
}

fn expectation(expected: &str) -> &str {
    match expected {
        "a sequence" => "an array",
        "a map" => "an object",
        "a tuple of size 2" => "a pair of strings",
        "string or map" => "a word",
        "u64" | "i64" | "u32" => "an integer",
        other if other.starts_with("struct ") => "an object",
        other if other.starts_with("enum ") => "a word",
        other => other,
    }
}

/// The nearest of the words between backticks in `known`, or else all of them.
fn suggest(word: &str, known: &str, kind: &str) -> Option<String> {
    let words = || known.split('`').skip(1).step_by(2);
    did_you_mean(word.trim_matches('`'), words()).or_else(|| {
        let all: Vec<String> = words().map(|word| format!("`{word}`")).collect();
        let listed = || format!("the {kind} that may stand here are {}", all.join(", "));
        (!all.is_empty()).then(listed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_named_by_kind_only() {
        for (said, message) in [
            (
                "invalid type: integer `12345`, expected a string",
                "a string is expected here, not an integer",
            ),
            (
                r#"invalid type: string "s3cret, expected x", expected u64"#,
                "an integer is expected here, not a string",
            ),
            (
                "invalid type: null, expected struct Form",
                "an object is expected here, not null",
            ),
            (
                "invalid type: sequence, expected a string",
                "a string is expected here, not an array",
            ),
            (
                "invalid type: floating point `1.5`, expected i64",
                "an integer is expected here, not floating point",
            ),
            ("missing field `time`", "the field `time` is missing"),
        ] {
            assert_eq!(of_shape(said).0, message);
        }
    }

    #[test]
    fn the_name_of_a_field_commands_no_terminal() {
        let text = "{ \"gw-handshake\": 1, \"so\\u001b[2J\": {} }";
        let error = super::super::parse(text).unwrap_err();
        assert_eq!(error.message, "`so\\u{1b}[2J` is no field here");
    }

    #[test]
    fn what_is_near_is_suggested() {
        let said = "unknown field `sokcet`, expected one of `note`, `socket`, `time`";
        assert_eq!(
            of_shape(said),
            (
                "`sokcet` is no field here".into(),
                Some("did you mean `socket`?".into())
            )
        );
        let said = "unknown variant `xyz`, expected `tcp` or `unix`";
        let help = "the words that may stand here are `tcp`, `unix`";
        assert_eq!(
            of_shape(said),
            (
                "this is none of the words that may stand here".into(),
                Some(help.into())
            )
        );
    }
}
