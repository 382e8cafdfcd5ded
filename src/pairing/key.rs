//! A device's public key, however it is spelled.
//!
//! Whether a signature fits it is not decided here: see `auth::device`.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What stands before the 32 bytes of an Ed25519 key in its SPKI form (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The y of every point of order 1, 2, 4 and 8, little-endian, as a key can spell it: also with
/// the prime added, which is not canonical.
const SMALL_ORDER: [[u8; 32]; 7] = [
    small(0, 0, 0),
    small(1, 0, 0),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    small(0xec, 0xff, 0x7f),
    small(0xed, 0xff, 0x7f),
    small(0xee, 0xff, 0x7f),
];

/// A number whose bytes are `first`, then all `middle`, then `last`.
const fn small(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    (bytes[0], bytes[31]) = (first, last);
    bytes
}

/// No key or signature is spelled longer than this; more is not looked at.
const LONGEST: usize = 512;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes of a public key: 32 for Ed25519, which is not checked here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Reads base64url or standard base64, padded or not, or the PEM text of an SPKI key.
    /// `None` when it is none of these, is empty, or is longer than 512 characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let key = if text.contains("BEGIN") {
            decode_pem(text)?
        } else {
            decode_base64(text)?
        };
        (!key.is_empty()).then_some(PublicKey(key))
    }

    /// Whether signatures of this key prove nothing: it is a point of small order, for which
    /// anybody can make a signature that fits (RFC 8032, 5.1.7 and 8.4).
    #[must_use]
    pub fn is_weak(&self) -> bool {
        let Some((last, rest)) = self.0.split_last() else {
            return false;
        };
        // The highest bit is the sign of x; both signs are of the same order.
        SMALL_ORDER.iter().any(|point| {
            point
                .split_last()
                .is_some_and(|(end, start)| start == rest && *end == last & 0x7f)
        })
    }

    /// A key as it is kept, in unpadded base64url; one that cannot be read stays as written.
    #[must_use]
    pub fn canonical(text: &str) -> Box<str> {
        let key = PublicKey::parse(text);
        key.map_or_else(|| text.into(), |key| BASE64.encode(&key.0).into())
    }

    /// The device id that belongs to it: SHA-256 of its bytes, in lower-case hex.
    #[must_use]
    pub fn device_id(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digest = digest::digest(&digest::SHA256, &self.0);
        let digit = |nibble: u8| {
            DIGITS
                .get(usize::from(nibble & 15))
                .map_or('0', |digit| char::from(*digit))
        };
        digest
            .as_ref()
            .iter()
            .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
            .collect()
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whether two spellings are of one key; spellings that cannot be read are compared as text.
#[must_use]
pub fn same_key(one: &str, other: &str) -> bool {
    one == other
        || match (PublicKey::parse(one), PublicKey::parse(other)) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => false,
        }
}

/// Decodes base64url or standard base64, padded or not.
#[must_use]
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.len() > LONGEST {
        return None;
    }
    if text.contains(['+', '/']) {
        return BASE64.decode(text.replace('+', "-").replace('/', "_")).ok();
    }
    BASE64.decode(text).ok()
}

fn decode_pem(text: &str) -> Option<Vec<u8>> {
    let body = text.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?;
    let body = body.strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    Some(decode_base64(&body)?.strip_prefix(&SPKI_PREFIX)?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_the_same_key() {
        let raw = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg";
        let key = PublicKey::parse(raw).unwrap();
        assert_eq!(key.bytes().len(), 32);
        let mut der = SPKI_PREFIX.to_vec();
        der.extend(key.bytes());
        let der = base64::engine::general_purpose::STANDARD.encode(der);
        for spelling in [
            "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=".to_owned(),
            format!("{raw}="),
            format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n"),
        ] {
            assert!(same_key(raw, &spelling), "{spelling}");
            assert_eq!(&*PublicKey::canonical(&spelling), raw);
        }
        assert!(!same_key(
            raw,
            "A7EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
        ));
        assert!(!same_key("!!!!", "????"));
    }

    #[test]
    fn what_is_no_key_is_none() {
        for text in [
            "",
            "!!!!",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN X-----AAAA",
        ] {
            assert_eq!(PublicKey::parse(text), None, "{text}");
        }
        assert_eq!(PublicKey::parse(&"A".repeat(600)), None);
    }

    #[test]
    fn keys_of_small_order_are_weak_whatever_their_sign() {
        for point in SMALL_ORDER {
            let mut negative = point;
            negative[31] |= 0x80;
            assert!(PublicKey(point.to_vec()).is_weak() && PublicKey(negative.to_vec()).is_weak());
        }
        let mut strong = SMALL_ORDER[2];
        strong[7] ^= 1;
        assert!(!PublicKey(strong.to_vec()).is_weak() && !PublicKey(vec![0; 31]).is_weak());
    }
}
