//! Test devices that sign connect frames: deterministic keys, and recorded handshakes made
//! from a short spec.
//!
//! The payload is built here once more, apart from the crate's own, so that the two are held
//! against each other.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The seed of every test key, see `fixtures/keys/README.md`. It guards nothing.
const SEED: &str = include_str!("../../fixtures/keys/seed.hex");

/// When a handshake of a spec is made, unless the spec says otherwise: Unix milliseconds.
pub(crate) const NOW: i64 = 1_770_000_000_000;

/// The nonce of a handshake of a spec.
pub(crate) const NONCE: &str = "11111111-2222-4333-8444-555555555555";

/// A device with its key.
pub(crate) struct Identity {
    key: Ed25519KeyPair,
    /// SHA-256 of the raw public key, in lower-case hex.
    pub(crate) id: String,
    /// The raw public key in base64url.
    pub(crate) public_key: String,
}

impl Identity {
    /// The device with this name: the same key in every run. The empty name is the device of
    /// the golden vectors.
    pub(crate) fn named(name: &str) -> Self {
        let mut seed: Vec<u8> = hex(SEED.trim());
        if !name.is_empty() {
            seed.extend(name.as_bytes());
            seed = digest(&SHA256, &seed).as_ref().to_vec();
        }
        let Ok(key) = Ed25519KeyPair::from_seed_unchecked(&seed) else {
            unreachable!("the seed has 32 bytes")
        };
        let raw = key.public_key().as_ref();
        let id = digest(&SHA256, raw)
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let public_key = URL_SAFE_NO_PAD.encode(raw);
        Identity {
            key,
            id,
            public_key,
        }
    }

    /// Signs a text, in base64url.
    pub(crate) fn sign(&self, text: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.key.sign(text.as_bytes()))
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    let byte = |pair: &[u32]| {
        pair.iter()
            .fold(0u8, |byte, digit| byte << 4 | *digit as u8)
    };
    digits.chunks(2).map(byte).collect()
}

/// What to make a handshake of. What is left at its default is what most cases have: the
/// command line over loopback, with a device and without credentials.
pub(crate) struct Spec<'a> {
    /// `settings`.
    pub(crate) settings: Value,
    /// `socket`.
    pub(crate) socket: Value,
    /// `http`, when there is one.
    pub(crate) http: Option<Value>,
    /// `client.id` and `client.mode`.
    pub(crate) client: (&'a str, &'a str),
    /// `client.platform`.
    pub(crate) platform: &'a str,
    /// `client.deviceFamily`.
    pub(crate) device_family: Option<&'a str>,
    /// `client.displayName`.
    pub(crate) display_name: Option<&'a str>,
    /// `role`, when it is sent.
    pub(crate) role: Option<&'a str>,
    /// `scopes`, when they are sent.
    pub(crate) scopes: Option<Vec<&'a str>>,
    /// `auth`, when it is sent.
    pub(crate) auth: Option<Value>,
    /// The name of the device that signs; none sends no device.
    pub(crate) device: Option<&'a str>,
    /// `v2` or `v3`.
    pub(crate) version: &'a str,
    /// How long before the handshake's time the device signs, in milliseconds.
    pub(crate) signed_before_ms: i64,
    /// `pairing`, when there is some.
    pub(crate) pairing: Option<Value>,
    /// `time`, in Unix milliseconds.
    pub(crate) time: i64,
    /// The nonce of the challenge, which is signed.
    pub(crate) nonce: &'a str,
}

impl Default for Spec<'_> {
    fn default() -> Self {
        Spec {
            settings: json!({}),
            socket: json!({ "peer": "127.0.0.1:51000", "local": "127.0.0.1:18789" }),
            http: Some(json!({ "headers": [["Host", "127.0.0.1:18789"]] })),
            client: ("cli", "cli"),
            platform: "linux",
            device_family: None,
            display_name: None,
            role: None,
            scopes: Some(vec!["operator.read", "operator.write"]),
            auth: None,
            device: Some("one"),
            version: "v3",
            signed_before_ms: 0,
            pairing: None,
            time: NOW,
            nonce: NONCE,
        }
    }
}

/// The recorded handshake of a spec, with a device proof that holds.
pub(crate) fn signed_handshake(spec: &Spec<'_>) -> Value {
    let device = spec.device.map(|name| device(&Identity::named(name), spec));
    let client = object([
        ("id", Some(spec.client.0.into())),
        ("version", Some("1.0.0".into())),
        ("platform", Some(spec.platform.into())),
        ("mode", Some(spec.client.1.into())),
        ("deviceFamily", spec.device_family.map(Value::from)),
        ("displayName", spec.display_name.map(Value::from)),
    ]);
    let params = object([
        ("minProtocol", Some(3.into())),
        ("maxProtocol", Some(4.into())),
        ("client", Some(client)),
        ("role", spec.role.map(Value::from)),
        ("scopes", spec.scopes.clone().map(Value::from)),
        ("auth", spec.auth.clone()),
        ("device", device),
    ]);
    object([
        ("gw-handshake", Some(1.into())),
        ("settings", Some(spec.settings.clone())),
        ("socket", Some(spec.socket.clone())),
        ("http", spec.http.clone()),
        (
            "challenge",
            Some(json!({ "nonce": spec.nonce, "ts": spec.time })),
        ),
        (
            "connect",
            Some(json!({ "type": "req", "id": "c1", "method": "connect", "params": params })),
        ),
        ("pairing", spec.pairing.clone()),
        ("time", Some(spec.time.into())),
    ])
}

/// An object of the properties that have a value.
fn object<const N: usize>(properties: [(&str, Option<Value>); N]) -> Value {
    let given = properties
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect())
}

fn device(identity: &Identity, spec: &Spec<'_>) -> Value {
    let signed_at = spec.time - spec.signed_before_ms;
    let sent = |name: &&str| spec.auth.as_ref()?.get(name)?.as_str();
    let token = ["token", "deviceToken", "bootstrapToken"]
        .iter()
        .find_map(sent);
    let mut fields = vec![
        spec.version.to_owned(),
        identity.id.clone(),
        spec.client.0.to_owned(),
        spec.client.1.to_owned(),
        spec.role.unwrap_or("operator").to_owned(),
        spec.scopes.clone().unwrap_or_default().join(","),
        signed_at.to_string(),
        token.unwrap_or_default().to_owned(),
        spec.nonce.to_owned(),
    ];
    if spec.version == "v3" {
        fields.push(spec.platform.trim().to_ascii_lowercase());
        fields.push(
            spec.device_family
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase(),
        );
    }
    json!({
        "id": identity.id,
        "publicKey": identity.public_key,
        "signature": identity.sign(&fields.join("|")),
        "signedAt": signed_at,
        "nonce": spec.nonce,
    })
}
