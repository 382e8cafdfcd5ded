//! Secrets: shared tokens, passwords and device tokens, in a type that does not show them.
//!
//! Comparison is over SHA-256 digests in constant time, so that neither length nor content
//! leaks. There is no `Display` and no `Serialize`; `Debug` prints a mask. The text itself comes
//! out in one place, [`Secret::expose`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{constant_time, digest};
use serde::{Deserialize, Deserializer};

/// Text that must not be shown. Surrounding white space is not part of it.
#[derive(Clone)]
pub struct Secret {
    digest: digest::Digest,
    text: Arc<str>,
}

impl Secret {
    /// Takes a secret, trimmed as both sides of the protocol trim it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        Secret {
            digest: digest::digest(&digest::SHA256, text.as_bytes()),
            text: text.into(),
        }
    }

    /// Whether nothing is left after trimming: such a secret counts as not given.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.text.is_empty()
    }

    /// The text. For few callers: a store that keeps a device token, the answer that hands it to
    /// its device, the file that keeps a made or imported secret, and whoever looks whether it is
    /// too weak. No log, error, explanation or list may hold it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether both hold the same text, in constant time. A blank secret matches nothing.
    #[must_use]
    pub fn matches(&self, other: &Secret) -> bool {
        let equal =
            constant_time::verify_slices_are_equal(self.digest.as_ref(), other.digest.as_ref());
        equal.is_ok() && !self.is_blank()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_blank() {
            "Secret(blank)"
        } else {
            "Secret(…)"
        })
    }
}

/// For comparing whole values in tests; in constant time like everything else here.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other) || (self.is_blank() && other.is_blank())
    }
}

impl Eq for Secret {}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Secret::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_and_blank_matches_nothing() {
        let secret = Secret::new(" s3cret ");
        assert!(secret.matches(&Secret::new("s3cret")));
        assert!(!secret.matches(&Secret::new("s3cret2")));
        assert!(!secret.matches(&Secret::new("S3cret")));
        assert!(!Secret::new(" ").matches(&Secret::new("")));
        assert_eq!(
            format!("{secret:?} {:?}", Secret::new("")),
            "Secret(…) Secret(blank)"
        );
    }
}
