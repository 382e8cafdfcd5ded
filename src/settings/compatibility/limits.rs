//! What counts against an address.

use crate::facts::word::words;

words! {
    /// When a wrong shared secret counts against the address that sent it.
    SharedFailures {
        Hidden "hidden" "not where a device token, or the shared token as one, is tried next: a device that guesses the shared token is counted for wrong device tokens only (2026.3)",
        Counted "counted" "at once; where a success forgives, a device token that holds clears the count, so a paired device that sends an old secret beside its own token is not locked out (2026.4)",
        Settled "settled" "when the device token that is tried next fails too, or there is none (2026.9)",
    }
}
