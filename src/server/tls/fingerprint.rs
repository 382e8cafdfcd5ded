//! What a certificate is told by, and pinned by: its SHA-256, as OpenClaw writes it. Whether a
//! connection has the right one is asked by the client.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::{constant_time, digest};
use rustls::pki_types::CertificateDer;

const BYTES: usize = 32;

/// The SHA-256 of a certificate in DER. It is written as 64 hexadecimal digits in lower case; read
/// in any case, with or without colons, and with `sha256:` before it or not, as OpenClaw's
/// `tlsFingerprint`, or as `openssl x509 -fingerprint -sha256` prints it.
#[derive(Clone, Copy, Eq)]
pub struct Fingerprint([u8; BYTES]);

impl Fingerprint {
    /// That of a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let digest = digest::digest(&digest::SHA256, certificate);
        let mut bytes = [0; BYTES];
        for (byte, made) in bytes.iter_mut().zip(digest.as_ref()) {
            *byte = *made;
        }
        Fingerprint(bytes)
    }
}

/// In constant time.
impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why a text is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// There is no text.
    #[error("the fingerprint is empty: {TAKE}")]
    Empty,
    /// A character that is no digit.
    #[error("character {place} of the fingerprint is {found:?}, and no hexadecimal digit: {TAKE}")]
    Character {
        /// Which one, counted from 1.
        place: usize,
        /// The character.
        found: char,
    },
    /// The digits of another hash.
    #[error("the fingerprint has 40 digits, as SHA-1 has: {TAKE}")]
    Sha1,
    /// Too few digits, or too many.
    #[error("the fingerprint has {0} hexadecimal digits, and not 64: {TAKE}")]
    Length(usize),
}

/// Where a fingerprint comes from.
const TAKE: &str = "take the SHA-256 that `gw status` shows on the gateway's host, or that \
    `openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE` prints";

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = unprefixed(text);
        let before = text.chars().count() - digits.chars().count();
        let mut nibbles = Vec::with_capacity(2 * BYTES);
        for (index, found) in digits.chars().enumerate() {
            match found
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
            {
                Some(nibble) => nibbles.push(nibble),
                None if found == ':' || (found.is_whitespace() && rest_is_blank(digits, index)) => {
                }
                None => {
                    let place = before + index + 1;
                    return Err(FingerprintError::Character { place, found });
                }
            }
        }
        match nibbles.len() {
            0 => return Err(FingerprintError::Empty),
            40 => return Err(FingerprintError::Sha1),
            length if length != 2 * BYTES => return Err(FingerprintError::Length(length)),
            _ => {}
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(nibbles.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |byte, nibble| byte << 4 | nibble);
        }
        Ok(Fingerprint(bytes))
    }
}

fn rest_is_blank(text: &str, index: usize) -> bool {
    text.chars().skip(index).all(char::is_whitespace)
}

/// The text after what says which hash it is.
fn unprefixed(text: &str) -> &str {
    let mut rest = text.trim_start();
    for (prefixes, ends) in [
        (&["sha256", "sha-256"][..], false),
        (&["fingerprint"], false),
        (&[":", "="], true),
    ] {
        let prefix = prefixes.iter().find(|prefix| {
            let head = rest.get(..prefix.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        });
        match prefix {
            Some(prefix) => rest = rest.get(prefix.len()..).unwrap_or("").trim_start(),
            // What does not begin by the name of the hash has nothing before its digits.
            None if !ends && rest.len() == text.trim_start().len() => return rest,
            None => {}
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_is_in_use_is_read() {
        let made = Fingerprint::of(&CertificateDer::from(b"certificate".to_vec()));
        let hex = made.to_string();
        let upper = hex.to_uppercase();
        let pairs: Vec<&str> = (0..32).map(|i| &upper[2 * i..2 * i + 2]).collect();
        let colons = pairs.join(":");
        for text in [
            hex.clone(),
            upper.clone(),
            colons.clone(),
            colons.to_lowercase(),
            format!(" {hex}\n"),
            format!("sha256:{hex}"),
            format!("SHA-256 {hex}"),
            format!("sha256: {colons}"),
            format!("sha256 Fingerprint={colons}\n"),
        ] {
            assert_eq!(text.parse(), Ok(made), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_its_place() {
        let take = |error: FingerprintError| {
            let text = error.to_string();
            assert!(text.ends_with(TAKE), "{text}");
            text.split(": take").next().unwrap().to_owned()
        };
        for (text, said) in [
            (String::new(), "the fingerprint is empty"),
            ("sha256:".to_owned(), "the fingerprint is empty"),
            (
                "ab:cd:eg".to_owned(),
                "character 8 of the fingerprint is 'g', and no hexadecimal digit",
            ),
            (
                "sha256/AAAA".to_owned(),
                "character 7 of the fingerprint is '/', and no hexadecimal digit",
            ),
            (
                "é".to_owned(),
                "character 1 of the fingerprint is 'é', and no hexadecimal digit",
            ),
            (
                "ab cd".to_owned(),
                "character 3 of the fingerprint is ' ', and no hexadecimal digit",
            ),
            (
                "a".repeat(40),
                "the fingerprint has 40 digits, as SHA-1 has",
            ),
            (
                "a".repeat(63),
                "the fingerprint has 63 hexadecimal digits, and not 64",
            ),
        ] {
            assert_eq!(take(text.parse::<Fingerprint>().unwrap_err()), said);
        }
    }
}
