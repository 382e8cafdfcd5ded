//! The first message of every connection: the nonce that a device signs.

use serde_json::{Value, json};

/// The payload of the event `connect.challenge`. Without capabilities it has none, as before
/// protocol 4.
#[must_use]
pub fn challenge(nonce: &str, ts_ms: i64, capabilities: &[&str]) -> Value {
    let mut payload = json!({ "nonce": nonce, "ts": ts_ms });
    if let (Value::Object(payload), false) = (&mut payload, capabilities.is_empty()) {
        payload.insert("capabilities".to_owned(), capabilities.into());
    }
    payload
}
