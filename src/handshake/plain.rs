//! Text that others wrote, fit for a terminal: short, and without control characters.

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

/// What a peer sent, fit for a terminal: at most 80 characters, none of them a control.
pub(crate) fn clean(text: &str) -> String {
    let trimmed = text.trim();
    if is_clean(trimmed) {
        return trimmed.to_owned();
    }
    let mut cleaned: String = trimmed
        .chars()
        .take(MOST)
        .flat_map(char::escape_debug)
        .collect();
    if trimmed.chars().nth(MOST).is_some() {
        cleaned.push('…');
    }
    cleaned
}

/// Whether a text is fit for a terminal as it is. Nearly every one is.
pub(crate) fn is_clean(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'"' | b'\\');
    text.len() <= MOST && text.trim().len() == text.len() && text.bytes().all(plain)
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
    fn what_others_wrote_is_short_and_clean() {
        assert_eq!(clean(" a\u{1b}[31m\u{202e}b "), "a\\u{1b}[31m\\u{202e}b");
        assert_eq!(clean(&"x".repeat(200)), "x".repeat(80) + "…");
        assert_eq!(short("56475aa7…2eab107708c"), "5647…708c");
        assert_eq!((short("one"), short("")), ("one".to_owned(), String::new()));
        assert_eq!(list::<&str>(&[]), "nothing");
        assert_eq!(list(&["a"; 13]), ["a"; 12].join(", ") + ", …");
    }
}
