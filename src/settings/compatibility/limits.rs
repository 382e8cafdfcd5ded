//! What counts against an address.

use crate::facts::word::words;

words! {
    /// When a wrong shared secret counts against the address that sent it.
    SharedFailures {
        Hidden "hidden" "not where a device token, or the secret as one, is tried next (2026.3)",
        Counted "counted" "at once; a device token that holds clears the count (2026.4)",
        Settled "settled" "when the device token that is tried next fails too (2026.9)",
    }
}
