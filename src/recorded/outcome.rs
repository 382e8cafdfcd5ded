//! What came back, and what a step left behind: recorded, or made here, in one shape.
//!
//! Two outcomes agree on one of three levels: what was decided, what was said of it, and what
//! is remembered afterwards.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::prior::SEEDED_REQUEST;
use crate::facts::word::words;
use crate::pairing::Standing;
use crate::pairing::stored::Stored;
use crate::wire::Close;
use crate::wire::reply::{HttpRefusal, Refusal};

words! {
    /// How closely outcomes are compared; each level asks for all of the one before.
    Level {
        Decision "decision" "admitted or not, the scopes reported, device token or none; or which refusal",
        Wire "wire" "also the role, the message and the close code",
        State "state" "also the pairing records afterwards",
    }
}

/// What is compared of an outcome; absent parts are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// `admit`, or `refuse CODE`, `http STATUS`, `closed CODE`.
    pub decision: String,
    /// The scopes that were reported, sorted.
    pub scopes: Vec<String>,
    /// Whether a device token went with it.
    pub device_token: bool,
    /// The role that was reported.
    pub role: Option<String>,
    /// The message of the refusal.
    pub message: Option<String>,
    /// The close code.
    pub close: Option<u64>,
    /// The pairing records afterwards.
    pub state: Value,
}

impl Signature {
    /// Of an outcome in the shape of a recording, as far as a level compares it.
    #[must_use]
    pub fn of(out: &Value, state: &Value, level: Level) -> Self {
        let text = |pointer: &str| out.pointer(pointer)?.as_str().map(str::to_owned);
        let scopes = out.pointer("/auth/scopes").and_then(Value::as_array);
        let mut scopes: Vec<String> = scopes
            .into_iter()
            .flatten()
            .filter_map(|scope| scope.as_str().map(str::to_owned))
            .collect();
        scopes.sort();
        let mut signature = Signature {
            decision: decision(out),
            scopes,
            device_token: out.pointer("/auth/deviceToken") == Some(&Value::Bool(true)),
            ..Signature::default()
        };
        if level >= Level::Wire {
            signature.role = text("/auth/role");
            signature.message = text("/error/message");
            signature.close = out.pointer("/close/0").and_then(Value::as_u64);
        }
        if level >= Level::State {
            signature.state = state.clone();
        }
        signature
    }
}

/// What was decided, in one word or two.
#[must_use]
pub fn decision(out: &Value) -> String {
    let text = |pointer: &str| {
        let text = out.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    match out.get("kind").and_then(Value::as_str).unwrap_or("none") {
        "hello-ok" => "admit".to_owned(),
        "error" => match &*text("/error/details/code") {
            "" => format!("refuse {}: {}", text("/error/code"), text("/error/message")),
            "PAIRING_REQUIRED" => {
                format!("refuse PAIRING_REQUIRED:{}", text("/error/details/reason"))
            }
            code => format!("refuse {code}"),
        },
        "http" => format!("http {}", out.get("status").unwrap_or(&Value::Null)),
        "closed" => {
            let code = out.pointer("/close/0").unwrap_or(&Value::Null);
            format!("closed {code}")
        }
        other => other.to_owned(),
    }
}

/// An HTTP response, in the shape of a recording.
#[must_use]
pub fn of_http(refusal: &HttpRefusal) -> Value {
    json!({ "kind": "http", "status": refusal.status, "contentType": refusal.content_type })
}

/// An error response, in the shape of a recording.
#[must_use]
pub fn of_refusal(refusal: &Refusal) -> Value {
    json!({
        "kind": "error", "error": refusal,
        "close": [refusal.close.code, refusal.close.reason],
    })
}

/// A close without a response, in the shape of a recording.
#[must_use]
pub fn of_close(close: &Close) -> Value {
    json!({ "kind": "closed", "close": [close.code, close.reason] })
}

/// The payload of an admission, in the shape of a recording.
#[must_use]
pub fn of_hello(hello: &Value) -> Value {
    let mut auth = hello.get("auth").cloned().unwrap_or_default();
    if let Some(map) = auth.as_object_mut() {
        let token = map.remove("deviceToken").is_some();
        map.remove("issuedAtMs");
        map.insert("deviceToken".to_owned(), token.into());
    }
    json!({ "kind": "hello-ok", "protocol": hello.get("protocol"), "auth": auth })
}

/// What is remembered after a step, in the shape of a recording. `names` gives the
/// placeholders of device ids and keys.
#[must_use]
pub fn state(
    before: &BTreeMap<String, Standing>,
    after: &BTreeMap<String, Standing>,
    names: &BTreeMap<String, String>,
) -> Value {
    let waiting = after
        .values()
        .filter(|standing| standing.node_pending.is_some())
        .count();
    let mut state = if without_nodes(before) == without_nodes(after) {
        json!({ "changed": false })
    } else {
        let mut paired = Map::new();
        let mut pending = Vec::new();
        for (id, standing) in after {
            if let Some(record) = &standing.record {
                let record = serde_json::to_value(Stored(record)).unwrap_or_default();
                paired.insert(named(id, names), scrubbed(record, names));
            }
            if let Some(request) = &standing.pending {
                let seeded = &*request.request_id == SEEDED_REQUEST;
                let request = serde_json::to_value(request).unwrap_or_default();
                let mut request = scrubbed(request, names);
                if let Some(map) = request.as_object_mut() {
                    map.insert("device".to_owned(), named(id, names).into());
                    map.insert("seeded".to_owned(), seeded.into());
                }
                pending.push(request);
            }
        }
        json!({ "changed": true, "paired": paired, "pending": pending })
    };
    if waiting > 0
        && let Some(map) = state.as_object_mut()
    {
        map.insert("nodePending".to_owned(), waiting.into());
    }
    state
}

/// What a store keeps and the recorder did not read.
const UNREAD: [&str; 4] = [
    "browserOrigin",
    "lastSeenAtMs",
    "lastSeenReason",
    "refreshedAtMs",
];

/// What the recorder read to see whether anything changed: records and requests.
fn without_nodes(standings: &BTreeMap<String, Standing>) -> Vec<(&str, Value)> {
    let read = |standing: &Standing| {
        let mut parts = json!([standing.record.as_ref().map(Stored), standing.pending]);
        for part in parts.as_array_mut().into_iter().flatten() {
            if let Some(map) = part.as_object_mut() {
                map.retain(|name, _| !UNREAD.contains(&name.as_str()));
            }
        }
        parts
    };
    let something = |standing: &&Standing| standing.record.is_some() || standing.pending.is_some();
    standings
        .iter()
        .filter(|(_, standing)| something(standing))
        .map(|(id, standing)| (id.as_str(), read(standing)))
        .collect()
}

fn named(text: &str, names: &BTreeMap<String, String>) -> String {
    names.get(text).cloned().unwrap_or_else(|| text.to_owned())
}

/// A record without what differs from run to run.
fn scrubbed(value: Value, names: &BTreeMap<String, String>) -> Value {
    let Value::Object(mut map) = value else {
        return value;
    };
    for name in ["createdAtMs", "approvedAtMs", "ts", "requestId", "deviceId"]
        .iter()
        .chain(&UNREAD)
    {
        map.remove(*name);
    }
    if let Some(Value::Object(tokens)) = map.get_mut("tokens") {
        for token in tokens.values_mut().filter_map(Value::as_object_mut) {
            for name in ["token", "createdAtMs", "lastUsedAtMs"] {
                token.remove(name);
            }
            for name in ["rotatedAtMs", "revokedAtMs"] {
                if token.contains_key(name) {
                    token.insert(name.to_owned(), true.into());
                }
            }
            if let Some(kind) = token.get("issuer").and_then(|issuer| issuer.get("kind")) {
                let issuer = json!({ "kind": kind });
                token.insert("issuer".to_owned(), issuer);
            }
        }
    }
    if map.contains_key("pendingNodeSurface") {
        map.insert("pendingNodeSurface".to_owned(), "present".into());
    }
    if let Some(Value::String(key)) = map.get_mut("publicKey") {
        *key = named(key, names);
    }
    Value::Object(map)
}
