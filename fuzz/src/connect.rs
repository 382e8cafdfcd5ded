//! Any bytes as the first message of a connection. What is no connect frame is refused in a way that
//! can be sent; what is one claims just what it says, of an object that has a name twice the last one;
//! a device is proven only where somebody else's check of the signature says so too.
//!
//! The first byte says the constants of which release count, the rest is the message.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::sync::LazyLock;

use gw::Policy;
use gw::admission::{Gate, Presented, Reply, present};
use gw::facts::DeviceProof;
use gw::journal::{Connection, Line};
use gw::pairing::Standing;
use gw::pairing::key::PublicKey;
use gw::wire::Limits;
use serde_json::{Value, json};

use super::answer::{ill_decided, ill_formed};
use super::arrives::{Arrives, CHALLENGED, decided};
use super::choices::Choices;
use super::releases::SETTINGS;
use super::sign::{NONCE, NOW};

/// How many bytes a build may be named by, and a line of the log may have of one client: each of its
/// texts is cut, and a byte of it takes six at most.
const MOST_BUILD: usize = 96;
const MOST_LINE: usize = 65_536;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let text = include_str!("../../policies/default.policy");
    Policy::parse("default.policy", text).unwrap()
});

/// The command line over loopback, whose device is known.
static KNOWN: LazyLock<Arrives> = LazyLock::new(|| {
    let spec = json!({ "record": { "scopes": ["operator.read"] } });
    Arrives::of(&serde_json::from_value(spec).unwrap())
});

/// Reads the bytes as a first message.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let settings = choices.one(&SETTINGS);
    let message = choices.rest();
    let presented = match present(settings, message, CHALLENGED) {
        Ok(presented) => presented,
        Err(reply) => {
            assert!(!matches!(reply, Reply::Admitted(_)));
            return assert_eq!(ill_formed(&reply), None);
        }
    };
    assert!(message.len() <= Limits::DEFAULT.first_message_bytes);
    let sent: Value = serde_json::from_slice(message).unwrap();
    says_what_was_sent(&presented, &sent);
    let is_proven = presented.proof() == DeviceProof::Proven;
    let skew_ms = settings.compatibility.device_skew_ms;
    assert_eq!(is_proven, proves(&sent["params"], skew_ms), "{sent:#}");

    let base = Arrives {
        settings: settings.clone(),
        ..KNOWN.clone()
    };
    let gate = Gate {
        policy: &POLICY,
        settings,
    };
    let upgrade = base.upgrade(gate).unwrap();
    for standing in [&base.standing, &Standing::default()] {
        let admission = decided(gate, &upgrade, &presented, standing, &mut 0);
        assert_eq!(ill_decided(&admission), None);
        assert_eq!(admission.facts.device, presented.proof());
        if !is_proven {
            assert!(admission.change.is_empty() && admission.change.events.is_empty());
        }
        let connection = Connection::of("id", &upgrade);
        let line = Line::decided(&connection, &POLICY, &admission);
        let line = serde_json::to_string(&line).unwrap();
        assert!(
            line.len() <= MOST_LINE,
            "{} bytes of {}",
            line.len(),
            message.len()
        );
    }
}

/// Whether a frame claims what it says, and nothing that it does not say.
fn says_what_was_sent(presented: &Presented, sent: &Value) {
    let text = |pointer: &str| sent.pointer(pointer).and_then(Value::as_str);
    let connect = presented.connect();
    let claims = connect.claims();
    assert_eq!(Some(&*connect.id), text("/id"));
    assert_eq!(Some("connect"), text("/method"));
    assert_eq!(Some(claims.client.name()), text("/params/client/id"));
    assert_eq!(Some(claims.mode.name()), text("/params/client/mode"));
    assert_eq!(Some(&*connect.version), text("/params/client/version"));
    assert_eq!(Some(&*claims.platform), text("/params/client/platform"));
    let family = claims.device_family.as_deref();
    assert_eq!(family, text("/params/client/deviceFamily"));
    let name = connect.display_name.as_deref();
    assert_eq!(name, text("/params/client/displayName"));
    let build = connect.build_id.as_deref();
    assert_eq!(build, text("/params/client/buildId"));
    assert!(build.is_none_or(|build| build.chars().count() <= MOST_BUILD));
    let role = text("/params/role").unwrap_or("operator");
    assert_eq!(claims.role.name(), role);
    let scopes = sent.pointer("/params/scopes").and_then(Value::as_array);
    let scopes: Vec<_> = scopes.into_iter().flatten().map(Value::as_str).collect();
    let claimed: Vec<_> = claims.scopes.iter().map(|it| Some(&**it)).collect();
    assert_eq!(claimed, scopes);
    let device = claims.device.as_ref();
    assert_eq!(device.map(|it| &*it.id), text("/params/device/id"));
    assert_eq!(presented.device_id(), text("/params/device/id"));
    let key = device.map(|it| &*it.public_key);
    assert_eq!(key, text("/params/device/publicKey"));
    let is_sent = |pointer: &str| text(pointer).is_some_and(|secret| !secret.is_empty());
    assert_eq!(connect.sent.token, is_sent("/params/auth/token"));
    assert_eq!(connect.sent.password, is_sent("/params/auth/password"));
    assert_eq!(
        connect.sent.device_token,
        is_sent("/params/auth/deviceToken")
    );
}

/// Whether the device of a frame signed it for the test connection, found out from the JSON alone.
fn proves(params: &Value, skew_ms: u64) -> bool {
    let device = &params["device"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let key = PublicKey::parse(&text(&device["publicKey"]));
    let Some(key) = key.filter(|key| key.bytes().len() == 32 && !key.is_weak()) else {
        return false;
    };
    let own = digest(&SHA256, key.bytes());
    let own: String = own.as_ref().iter().map(|it| format!("{it:02x}")).collect();
    let signed_at = device["signedAt"].as_f64().unwrap_or(-1.0);
    #[expect(clippy::cast_precision_loss, reason = "times of a test are small")]
    let age = (NOW as f64 - signed_at).abs();
    #[expect(clippy::cast_precision_loss, reason = "minutes are small")]
    let in_time = age <= skew_ms as f64;
    if own != text(&device["id"]) || !in_time || text(&device["nonce"]).trim() != NONCE {
        return false;
    }
    let Some(signature) = decoded(&text(&device["signature"])) else {
        return false;
    };
    let scopes = params["scopes"].as_array().into_iter().flatten().map(text);
    let auth = &params["auth"];
    let mut tokens = ["token", "deviceToken", "bootstrapToken"].iter();
    let token = tokens
        .find_map(|name| auth[name].as_str())
        .unwrap_or_default();
    let client = &params["client"];
    let low = |value: &Value| text(value).trim().to_ascii_lowercase();
    let common = [
        own,
        text(&client["id"]),
        text(&client["mode"]),
        params["role"].as_str().unwrap_or("operator").to_owned(),
        scopes.collect::<Vec<_>>().join(","),
        format!("{signed_at}"),
        token.to_owned(),
        NONCE.to_owned(),
    ]
    .join("|");
    let newest = format!(
        "v3|{common}|{}|{}",
        low(&client["platform"]),
        low(&client["deviceFamily"])
    );
    let verifier = UnparsedPublicKey::new(&ED25519, key.bytes());
    let fits = |text: &str| verifier.verify(text.as_bytes(), &signature).is_ok();
    fits(&newest) || fits(&format!("v2|{common}"))
}

/// Base64 of either alphabet, padded or not.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let text = text.trim().replace('+', "-").replace('/', "_");
    GeneralPurpose::new(&URL_SAFE, config).decode(text).ok()
}
