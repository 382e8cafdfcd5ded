//! Text that others wrote, fit for a terminal: short, and without control characters.

use crate::source::{is_hidden, may_pass_for_latin};

/// The first and last four characters of an id.
pub(super) fn short(id: &str) -> String {
    let count = id.chars().count();
    if count <= 12 {
        return clean(id);
    }
    let start: String = id.chars().take(4).collect();
    let end: String = id.chars().skip(count.saturating_sub(4)).collect();
    format!("{}…{}", clean(&start), clean(&end))
}

/// As many characters of a text are shown.
const MOST: usize = 80;

/// What a peer sent, fit for a terminal: at most 80 characters, and each as it seems. Escaped is
/// whatever steers the terminal or shows nothing, a gap as wide as between columns, and in a Latin
/// word every letter of an alphabet that has some which look Latin.
pub(crate) fn clean(text: &str) -> String {
    let trimmed = text.trim();
    if is_clean(trimmed) {
        return trimmed.to_owned();
    }
    let shown: Vec<char> = trimmed.chars().take(MOST).collect();
    let mut cleaned = String::new();
    let mut before = None;
    for word in shown.chunk_by(|a, b| a.is_alphanumeric() && b.is_alphanumeric()) {
        let latin = word.iter().any(char::is_ascii_alphabetic);
        for character in word.iter().copied() {
            let gap = character == ' ' && before == Some(' ');
            let poses = latin && may_pass_for_latin(character);
            let escaped = character.escape_debug();
            match (gap || poses || is_hidden(character)) && escaped.len() == 1 {
                true => cleaned.extend(character.escape_unicode()),
                false => cleaned.extend(escaped),
            }
            before = Some(character);
        }
    }
    if trimmed.chars().nth(MOST).is_some() {
        cleaned.push('…');
    }
    cleaned
}

/// Whether a text is fit for a terminal as it is. Nearly every one is.
pub(crate) fn is_clean(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'"' | b'\\');
    text.len() <= MOST
        && text.trim().len() == text.len()
        && text.bytes().all(plain)
        && !text.contains("  ")
}

/// Scopes or roles, with commas between.
pub(super) fn list<S: AsRef<str>>(names: &[S]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<String> = names
        .iter()
        .take(12)
        .map(|name| clean(name.as_ref()))
        .collect();
    let more = if names.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    shown.join(", ") + more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_seems_to_be_there_is_escaped() {
        for (written, shown) in [
            // Letters that show nothing.
            (
                "Kim\u{200b}\u{3164}\u{2800}",
                r"Kim\u{200b}\u{3164}\u{2800}",
            ),
            // Cyrillic, Greek and wide letters in Latin words, and by themselves.
            (
                "\u{43e}perator l\u{3b1}ptop",
                r"\u{43e}perator l\u{3b1}ptop",
            ),
            ("\u{ff4b}im \u{1d5aa}im", r"\u{ff4b}im \u{1d5aa}im"),
            ("Оля laptop", "Оля laptop"),
            ("東京 laptop-2", "東京 laptop-2"),
            ("Zoë’s Ärger", "Zoë’s Ärger"),
            // What would seem to be two columns.
            ("linux   127.0.0.1", r"linux \u{20}\u{20}127.0.0.1"),
        ] {
            assert_eq!(clean(written), shown);
            assert_eq!(is_clean(written), written == shown && written.is_ascii());
        }
    }

    #[test]
    fn what_others_wrote_is_short_and_clean() {
        assert_eq!(clean(" a\u{1b}[31m\u{202e}b "), "a\\u{1b}[31m\\u{202e}b");
        assert_eq!(clean(&"x".repeat(200)), "x".repeat(80) + "…");
        assert_eq!(short("56475aa7…2eab107708c"), "5647…708c");
        assert_eq!((short("one"), short("")), ("one".to_owned(), String::new()));
        assert_eq!(list::<&str>(&[]), "nothing");
        assert_eq!(list(&["a"; 13]), ["a"; 12].join(", ") + ", …");
    }
}
