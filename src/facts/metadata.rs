//! Platform and device family: how they are compared.

/// What a client says of its device, as it is signed and compared (reference 3.2): trimmed,
/// and ASCII letters in lower case. Letters beyond ASCII stay as they are, so that no two
/// Unicode tables can disagree.
#[must_use]
pub fn normalize_metadata(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizing_twice_changes_nothing() {
        for text in ["", " \t", " iPhone 15 ", "\u{130}OS", "\u{a0}X"] {
            let once = normalize_metadata(text);
            assert_eq!(normalize_metadata(&once), once, "{text}");
        }
    }
}
