//! How a connection is closed: a code, and a reason that fits into a close frame.

/// The bytes of a reason; a close frame holds 123, and the protocol cuts at 120.
const MOST_REASON_BYTES: usize = 120;

/// A close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// As RFC 6455, 7.4 has it.
    pub code: u16,
    /// At most 120 bytes of UTF-8.
    pub reason: String,
}

impl Close {
    /// Cuts the reason to what fits, between two characters.
    #[must_use]
    pub fn new(code: u16, reason: &str) -> Self {
        let end = reason.floor_char_boundary(MOST_REASON_BYTES);
        let reason = reason.get(..end).unwrap_or_default().to_owned();
        Close { code, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inputs of the truth tables `truncateCloseReason`.
    #[test]
    fn a_reason_is_cut_between_two_characters() {
        for (text, times, chars) in [
            ("a", 119, 119),
            ("a", 120, 120),
            ("a", 121, 120),
            ("é", 61, 60),
            ("€", 41, 40),
            ("𝄞", 31, 30),
        ] {
            let reason = Close::new(1008, &text.repeat(times)).reason;
            assert_eq!(reason.chars().count(), chars, "{times} times {text}");
        }
        assert_eq!(
            Close::new(1008, &format!("a{}", "é".repeat(60)))
                .reason
                .len(),
            119
        );
        assert_eq!(Close::new(1000, "").reason, "");
    }
}
