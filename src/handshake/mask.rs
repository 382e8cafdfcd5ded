//! The text of a recording with its secrets covered, for showing where it is wrong.
//!
//! It works on any text, JSON or not: what cannot be read must not show its secrets either.

use std::ops::Range;

/// Headers whose values are secrets.
const HEADERS: [&str; 5] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "sec-websocket-protocol",
    "x-api-key",
];

/// The text with every secret replaced by as many `*` as it has bytes, so that places in it
/// stay where they are.
#[must_use]
pub fn masked(text: &str) -> String {
    let mut covered = text.as_bytes().to_vec();
    let mut cover = |range: Range<usize>| {
        if let Some(bytes) = covered.get_mut(range) {
            bytes.fill(b'*');
        }
    };
    let mut name = String::new();
    for (range, gap) in strings(text) {
        let value = text.get(range.clone()).unwrap_or("");
        // A value follows its name after a colon; a header's follows after a comma.
        match gap.trim() {
            ":" if is_secret(&name) => cover(range),
            ":" if name == "path" => {
                let query = value.find('?').map_or(range.end, |at| range.start + at);
                cover(query..range.end);
            }
            "," if HEADERS.contains(&name.as_str()) => cover(range),
            _ => name = value.to_ascii_lowercase(),
        }
    }
    String::from_utf8(covered).unwrap_or_default()
}

fn is_secret(name: &str) -> bool {
    ["token", "password", "secret", "signature"]
        .iter()
        .any(|word| name.contains(word))
}

/// The insides of the quoted strings of a text, each with what stands before it since the
/// last one. A string that is not closed goes on to the end.
fn strings(text: &str) -> Vec<(Range<usize>, &str)> {
    let mut found = Vec::new();
    let mut after = 0;
    while let Some(open) = text.get(after..).and_then(|rest| rest.find('"')) {
        let start = after + open + 1;
        let mut escaped = false;
        let end = text.get(start..).unwrap_or("").bytes().position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let end = end.map_or(text.len(), |length| start + length);
        found.push((start..end, text.get(after..start - 1).unwrap_or("")));
        after = (end + 1).min(text.len());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_are_covered_and_everything_else_stays() {
        let text = r#"{ "auth": { "token" : "s3c\"ret", "mode": "token" }, "deviceToken": "dé",
            "headers": [["Host", "gw"], ["Authorization", "Bearer x"]], "path": "/ws?token=t","password":"open"#;
        let covered = r#"{ "auth": { "token" : "********", "mode": "token" }, "deviceToken": "***",
            "headers": [["Host", "gw"], ["Authorization", "********"]], "path": "/ws********","password":"****"#;
        assert_eq!(masked(text), covered);
    }

    proptest! {
        #[test]
        fn any_text_keeps_its_length(text in ".{0,80}") {
            prop_assert_eq!(masked(&text).len(), text.len());
        }
    }
}
