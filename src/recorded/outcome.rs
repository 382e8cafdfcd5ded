//! What came back, and what a step left behind: recorded, or made here, in one shape.
//!
//! Outcomes agree at one level or another: on what was decided, on what was said of it, and on
//! what is remembered afterwards. What differs from run to run (ids, keys, secrets, times) is
//! made the recorder's placeholder.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::prior::SEEDED_REQUEST;
use crate::admission::Admitted;
use crate::facts::word::words;
use crate::pairing::Standing;
use crate::pairing::rpc::{Call, RpcError};
use crate::pairing::stored::Stored;
use crate::settings::Compatibility;
use crate::wire::Close;
use crate::wire::reply::{CallError, HttpRefusal, Refusal, Server};

words! {
    /// How closely outcomes are compared. `decision`, `wire` and `state` are the levels of the
    /// recorder's own comparison, so `state` asks nothing of `reply`.
    Level {
        Decision "decision" "admitted or not, the scopes reported, device token or none; or which refusal",
        Wire "wire" "also the role, the message and the close code",
        Reply "reply" "as wire, and the rest of the answer: the whole error, the close reason, protocol and authentication, the HTTP body, what calls returned",
        State "state" "as wire, and the pairing records afterwards",
    }
}

impl Level {
    /// Whether outcomes that agree at this level have to agree at another, or at this one.
    #[must_use]
    pub fn asks(self, other: Level) -> bool {
        self == other || (other < self && other <= Level::Wire)
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
    /// The parts of the answer, by name.
    pub reply: Map<String, Value>,
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
        if level.asks(Level::Wire) {
            signature.role = text("/auth/role");
            signature.message = text("/error/message");
            signature.close = out.pointer("/close/0").and_then(Value::as_u64);
        }
        if level.asks(Level::Reply) {
            signature.reply = reply(out);
        }
        if level.asks(Level::State) {
            signature.state = state.clone();
        }
        signature
    }
}

/// The parts of an answer. What else was recorded came from the server: whether the snapshot
/// names paths, later messages, subprotocols, and calls that do not manage devices.
const ANSWER: [&str; 7] = [
    "auth",
    "body",
    "close",
    "contentType",
    "error",
    "protocol",
    "resId",
];

fn reply(out: &Value) -> Map<String, Value> {
    let part = |name: &str| {
        let value = out.get(name).filter(|value| !value.is_null())?;
        Some((name.to_owned(), value.clone()))
    };
    let mut reply: Map<String, Value> = ANSWER.into_iter().filter_map(part).collect();
    let calls: Vec<Value> = out
        .get("rpc")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|call| {
            let method = call.get("method").and_then(Value::as_str);
            method.is_some_and(|method| Call::parse(method, &Value::Null).is_some())
        })
        .map(|call| {
            let mut call = call.clone();
            if let Some(call) = call.as_object_mut() {
                call.remove("events");
            }
            call
        })
        .collect();
    if !calls.is_empty() {
        reply.insert("rpc".to_owned(), calls.into());
    }
    reply
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

/// The placeholders of device ids and keys, by what they stand for.
pub type Names = BTreeMap<String, String>;

/// The id of every connect request of a recording that says no other.
const REQUEST_ID: &str = "c1";
/// How many characters of a body were kept.
const BODY_CHARACTERS: usize = 160;

/// The outcome of a connection that was not answered while the recorder waited.
#[must_use]
pub fn of_silence() -> Value {
    json!({ "kind": "timeout" })
}

/// An HTTP response, in the shape of a recording.
#[must_use]
pub fn of_http(refusal: &HttpRefusal, names: &Names) -> Value {
    let body: String = refusal.body.chars().take(BODY_CHARACTERS).collect();
    json!({
        "kind": "http", "status": refusal.status, "contentType": refusal.content_type,
        "body": plain(&body, names),
    })
}

/// An error response to the request with an id, in the shape of a recording.
#[must_use]
pub fn of_refusal(id: &str, refusal: &Refusal, names: &Names) -> Value {
    let error = serde_json::to_value(refusal).unwrap_or_default();
    let error = redacted(error, names);
    let mut reason = plain(&refusal.close.reason, names);
    if error.get("message").and_then(Value::as_str) == Some(&reason) {
        "=".clone_into(&mut reason);
    }
    let out = json!({
        "kind": "error", "error": error, "close": [refusal.close.code, reason],
    });
    with_id(out, id)
}

/// A close without a response, in the shape of a recording.
#[must_use]
pub fn of_close(close: &Close, names: &Names) -> Value {
    json!({ "kind": "closed", "close": [close.code, plain(&close.reason, names)] })
}

/// An admission, in the shape of a recording.
#[must_use]
pub fn of_admission(
    admitted: &Admitted,
    server: &Server<'_>,
    compatibility: &Compatibility,
) -> Value {
    let hello = admitted.hello(server, compatibility);
    let mut auth = hello.get("auth").cloned().unwrap_or_default();
    if let Some(map) = auth.as_object_mut() {
        let token = map.remove("deviceToken").is_some();
        map.remove("issuedAtMs");
        map.insert("deviceToken".to_owned(), token.into());
        let others = map.get_mut("deviceTokens").and_then(Value::as_array_mut);
        for other in others.into_iter().flatten() {
            *other = json!({ "role": other.get("role"), "scopes": other.get("scopes") });
        }
    }
    let out = json!({ "kind": "hello-ok", "protocol": hello.get("protocol"), "auth": auth });
    with_id(out, &admitted.id)
}

/// The id of a response is recorded where it is not the one that is always sent.
fn with_id(mut out: Value, id: &str) -> Value {
    if let Some(map) = out.as_object_mut()
        && id != REQUEST_ID
    {
        map.insert("resId".to_owned(), id.into());
    }
    out
}

/// What a call returned, in the shape of a recording.
#[must_use]
pub fn of_call(
    method: &str,
    answer: Result<Value, RpcError>,
    compatibility: &Compatibility,
    names: &Names,
) -> Value {
    let (ok, part, value) = match answer {
        Ok(payload) => (true, "payload", payload),
        Err(error) => {
            let error = CallError::of(&error, compatibility);
            (
                false,
                "error",
                serde_json::to_value(error).unwrap_or_default(),
            )
        }
    };
    json!({ "method": method, "ok": ok, part: redacted(value, names) })
}

/// A value without what differs from run to run.
fn redacted(value: Value, names: &Names) -> Value {
    match value {
        Value::String(text) => plain(&text, names).into(),
        Value::Array(list) => list
            .into_iter()
            .map(|value| redacted(value, names))
            .collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(name, value)| {
                let secret = value.is_string() && name.to_ascii_lowercase().ends_with("token");
                let value = if secret {
                    "<redacted>".into()
                } else if value.is_number() && is_time(&name) {
                    "<ms>".into()
                } else {
                    redacted(value, names)
                };
                (name, value)
            })
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

fn is_time(name: &str) -> bool {
    matches!(name, "ts" | "durationMs") || name.ends_with("AtMs") || name.ends_with("retryAfterMs")
}

/// A text without the ids and keys of devices and requests.
fn plain(text: &str, names: &Names) -> String {
    let mut text = text.to_owned();
    for (name, placeholder) in names {
        if text.contains(name) {
            text = text.replace(name, placeholder);
        }
    }
    if let Some((before, id)) = text.rsplit_once("requestId: ")
        && is_cut_uuid(id)
    {
        return format!("{before}requestId: <uuid cut to {}>", id.len());
    }
    let mut plain = String::new();
    let mut rest = &*text;
    while let Some(first) = rest.chars().next() {
        if let Some((id, after)) = rest
            .split_at_checked(UUID.len())
            .filter(|(id, _)| is_uuid(id))
        {
            plain += match id.starts_with("00000000-") {
                true => "<seeded-request>",
                false => "<uuid>",
            };
            rest = after;
        } else {
            plain.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    plain
}

/// How a UUID is written; `x` stands for a hexadecimal digit.
const UUID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn is_uuid(text: &str) -> bool {
    let mut bytes = text.bytes().zip(UUID.bytes());
    text.len() == UUID.len()
        && bytes.all(|(byte, form)| match form {
            b'x' => is_hex(byte),
            _ => byte == form,
        })
}

/// The beginning of a UUID, where a close reason had no room for all of it.
fn is_cut_uuid(text: &str) -> bool {
    let (first, rest) = text.split_at_checked(8).unwrap_or_default();
    text.len() < UUID.len()
        && rest.starts_with('-')
        && first.bytes().all(is_hex)
        && rest.bytes().all(|byte| is_hex(byte) || byte == b'-')
}

/// What is remembered after a step, in the shape of a recording. `names` gives the
/// placeholders of device ids and keys.
#[must_use]
pub fn state(
    before: &BTreeMap<String, Standing>,
    after: &BTreeMap<String, Standing>,
    names: &Names,
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

fn named(text: &str, names: &Names) -> String {
    names.get(text).cloned().unwrap_or_else(|| text.to_owned())
}

/// A record without what differs from run to run.
fn scrubbed(value: Value, names: &Names) -> Value {
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
