//! The answer to a connection that waits for the owner.

use serde_json::{Map, Value};

use super::context::Context;
use super::refusal::Refusal;
use super::table::{self, ErrorCode};
use crate::facts::Role;
use crate::settings::compatibility::PairingDetails;
use crate::verdict::PairingReason;
use crate::wire::close::Close;

/// What a connection that waits for the owner is told besides the reason.
#[derive(Clone, Copy, Debug)]
pub struct PairingRefusal<'a> {
    /// What is missing.
    pub reason: PairingReason,
    /// The request that is kept. One that [`is_request_id`] does not know is not told.
    pub request_id: Option<&'a str>,
    /// The device.
    pub device_id: Option<&'a str>,
    /// The scopes that it asks for, as sent; they are told without white space around them.
    pub scopes: &'a [Box<str>],
    /// What the request that is kept asks for, where an earlier connection asked for more than
    /// this one.
    pub waiting: Option<Waiting<'a>>,
    /// The roles that were approved, where the key of the record is the one presented: a
    /// stranger is not told.
    pub approved_roles: &'a [Box<str>],
    /// The scopes that were approved, on the same condition.
    pub approved_scopes: &'a [Box<str>],
}

/// What a request asks for that took up earlier ones.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// The roles.
    pub roles: &'a [Box<str>],
    /// The scopes.
    pub scopes: &'a [Box<str>],
}

impl PairingRefusal<'_> {
    /// Of a reason, and nothing else that is known.
    #[must_use]
    pub fn new(reason: PairingReason) -> Self {
        PairingRefusal {
            reason,
            request_id: None,
            device_id: None,
            scopes: &[],
            waiting: None,
            approved_roles: &[],
            approved_scopes: &[],
        }
    }
}

/// Whether a text can stand in a close reason and in a command: up to 128 of letters, digits
/// and `._:-`, the first a letter or digit.
#[must_use]
pub fn is_request_id(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

/// The answer to a connection that waits for the owner.
#[must_use]
pub fn pairing_required(pairing: &PairingRefusal<'_>, context: &Context<'_>) -> Refusal {
    let (required, remedy) = table::pairing(pairing.reason);
    let level = context.compatibility.pairing_details;
    let request_id = pairing.request_id.filter(|id| is_request_id(id));
    let (message, remedy) = match level {
        PairingDetails::Brief => ("pairing required".to_owned(), None),
        PairingDetails::Full | PairingDetails::Retryable => {
            (format!("pairing required: {required}"), Some(remedy))
        }
    };
    let mut details = Map::new();
    let mut tell = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            details.insert(name.to_owned(), value);
        }
    };
    tell("code", Some("PAIRING_REQUIRED".into()));
    tell("reason", Some(pairing.reason.name().into()));
    tell("requestId", request_id.map(Value::from));
    tell("remediationHint", context.hint.or(remedy).map(Value::from));
    tell("rule", context.rule.map(Value::from));
    let scopes = list(pairing.scopes);
    let scopes = match level {
        PairingDetails::Brief => return close(message, details.into(), None),
        PairingDetails::Full => Some(scopes.unwrap_or_else(|| Value::Array(Vec::new()))),
        PairingDetails::Retryable => scopes,
    };
    if level == PairingDetails::Retryable && tries_again(context) {
        tell("recommendedNextStep", Some("wait_then_retry".into()));
        tell("retryable", Some(true.into()));
        tell("pauseReconnect", Some(false.into()));
    }
    tell("deviceId", pairing.device_id.map(Value::from));
    tell("requestedRole", Some(context.role.name().into()));
    tell("requestedScopes", scopes);
    if let Some(waiting) = pairing.waiting {
        tell("waitingRoles", list(waiting.roles));
        tell("waitingScopes", list(waiting.scopes));
    }
    tell("approvedRoles", list(pairing.approved_roles));
    tell("approvedScopes", list(pairing.approved_scopes));
    let short = format!("pairing required: {}", pairing.reason.name());
    let refusal = close(message, details.into(), request_id);
    match request_id {
        Some(id) if context.compatibility.whole_request_id => named(refusal, &short, id),
        _ => refusal,
    }
}

/// With a close reason that names the request, where the message leaves no room for it.
fn named(refusal: Refusal, short: &str, request_id: &str) -> Refusal {
    let whole = format!(" (requestId: {request_id})");
    if refusal.close.reason.ends_with(&whole) {
        return refusal;
    }
    let reason = format!("{short}{whole}");
    Refusal {
        close: Close::new(refusal.close.code, &reason),
        ..refusal
    }
}

/// A person looks at the dashboard or the terminal interface, and waits; other clients stop
/// trying.
fn tries_again(context: &Context<'_>) -> bool {
    context.is_operator_ui() && context.role == Role::Operator
}

fn list(words: &[Box<str>]) -> Option<Value> {
    let words = words.iter().map(|word| word.trim());
    let list: Vec<Value> = words
        .filter(|word| !word.is_empty())
        .map(Value::from)
        .collect();
    (!list.is_empty()).then_some(Value::Array(list))
}

fn close(message: String, details: Value, request_id: Option<&str>) -> Refusal {
    let reason = request_id.map(|id| format!("{message} (requestId: {id})"));
    let refusal = Refusal::new(ErrorCode::NotPaired, message).with(details);
    match reason {
        Some(reason) => Refusal {
            close: Close::new(refusal.close.code, &reason),
            ..refusal
        },
        None => refusal,
    }
}
