//! The devices of a recording: keys made from a name, so that the same name is the same device.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// What stands before the 32 bytes of an Ed25519 key in its SPKI form (RFC 8410).
const SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A device that can sign.
pub(super) struct Signer {
    pair: Ed25519KeyPair,
    /// SHA-256 of the raw public key, in lower-case hex.
    pub(super) id: String,
}

impl Signer {
    /// The device of a name; `None` only if the cryptographic library refuses a seed.
    pub(super) fn named(name: &str) -> Option<Self> {
        let seed = digest::digest(
            &digest::SHA256,
            format!("gw-recorded-device:{name}").as_bytes(),
        );
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).ok()?;
        let id = digest::digest(&digest::SHA256, pair.public_key().as_ref());
        let id = id.as_ref().iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        });
        Some(Signer { pair, id })
    }

    /// The raw public key.
    pub(super) fn key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The public key as it is sent: unpadded base64url.
    pub(super) fn public_key(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.key())
    }

    /// The public key as the PEM text of an SPKI key.
    pub(super) fn public_key_pem(&self) -> String {
        let spki = [&SPKI_PREFIX, self.key()].concat();
        let body = STANDARD.encode(spki);
        format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")
    }

    /// The signature of a payload.
    pub(super) fn sign(&self, payload: &str) -> Vec<u8> {
        self.pair.sign(payload.as_bytes()).as_ref().to_vec()
    }
}

/// SHA-256 in lower-case hex of some bytes that stand for a key.
pub(super) fn id_of(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
