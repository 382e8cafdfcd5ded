//! What documents of markup have in common: escaping, and the colours of verdicts.

use crate::source::printable;
use crate::verdict::VerdictKind;

/// A text as it stands in an element or in an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in printable(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// The colour of a verdict, out of a palette that colour-blind readers can tell apart (Okabe and
/// Ito). The verdict stands beside it in words, and in a picture in another shape.
pub(super) fn colour(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Reject => "#d55e00",
        VerdictKind::RequirePairing => "#e69f00",
        VerdictKind::Approve => "#0072b2",
        VerdictKind::SilentApprove => "#009e73",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_an_element_or_an_attribute() {
        assert_eq!(
            escaped("<b a='x' b=\"y\">&\n\u{1b}"),
            "&lt;b a=&#39;x&#39; b=&quot;y&quot;&gt;&amp; \u{fffd}"
                .replace('\u{fffd}', &printable("\u{1b}"))
        );
    }
}
