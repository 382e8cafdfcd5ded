//! A refusal over the WebSocket: an error response, and how the connection is closed after it.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::context::Context;
use super::hint;
use super::table::{self, AuthRow, ErrorCode, Plain, Row};
use crate::auth::reason::AuthReason;
use crate::facts::{Mode, OriginClass};
use crate::pairing::store::StoreError;
use crate::settings::Compatibility;
use crate::settings::compatibility::RefusalWording;
use crate::verdict::Reason;
use crate::wire::close::Close;
use crate::wire::connect::{ConnectError, ConnectErrorKind, SecretKind};
use crate::wire::version::Mismatch;

/// Whatever a policy or the protocol refuses.
const POLICY_VIOLATION: u16 = 1008;
/// No version in common.
const PROTOCOL_ERROR: u16 = 1002;
/// Come back later.
const TRY_AGAIN: u16 = 1013;

/// An error response, and the close after it. As JSON it is the `error` of the response.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// What kind of refusal.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// For programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Whether the same request may succeed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// How the connection is closed.
    #[serde(skip)]
    pub close: Close,
}

impl Refusal {
    /// Without details; closed with the message.
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Refusal {
            code,
            close: Close::new(POLICY_VIOLATION, &message),
            message,
            details: None,
            retryable: None,
            retry_after_ms: None,
        }
    }

    pub(super) fn with(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// What the policy has to say goes with the details, in place of what was there; and which
    /// line of it refuses.
    fn by_policy(mut self, context: &Context<'_>) -> Self {
        for (name, text) in [("remediationHint", context.hint), ("rule", context.rule)] {
            let Some(text) = text else { continue };
            let details = self.details.get_or_insert_with(|| json!({}));
            if let Value::Object(details) = details {
                details.insert(name.to_owned(), text.into());
            }
        }
        self
    }
}

/// The answer to a connection whose device cannot be kept, for no fault of its own: the store
/// is full, or failed.
#[must_use]
pub fn unkept(error: &StoreError) -> Refusal {
    undecided(error, "the gateway cannot keep what it decides")
}

/// The answer to a connection whose device cannot be looked up, for no fault of its own.
#[must_use]
pub fn unread(error: &StoreError) -> Refusal {
    undecided(error, "the gateway cannot get at its devices")
}

/// The answer to a connection for which the store does not do what it is to.
fn undecided(error: &StoreError, failed: &'static str) -> Refusal {
    let (message, remedy) = match error {
        StoreError::TooManyRequests => (
            "too many pairing requests wait",
            "have the owner approve or reject requests, then try again",
        ),
        StoreError::TooManyDevices => (
            "too many devices are paired",
            "have the owner remove devices, then try again",
        ),
        StoreError::Conflict => ("the pairing of this device is changing", "try again"),
        // What the store says is for the owner's log.
        StoreError::Failed(_) => (
            failed,
            "try again later; the gateway's log tells its owner what is wrong",
        ),
    };
    let refusal = Refusal::new(ErrorCode::Unavailable, message);
    Refusal {
        close: Close::new(TRY_AGAIN, message),
        retryable: Some(true),
        ..refusal.with(json!({ "remediationHint": remedy }))
    }
}

/// The answer to a connection that is admitted, when the server behind does not take it: it cannot
/// be reached, or it and the gateway do not get on. Why is for the owner's log.
#[must_use]
pub fn upstream_away(reached: bool) -> Refusal {
    let (message, reason) = match reached {
        false => (
            "the server behind the gateway cannot be reached",
            "upstream-unavailable",
        ),
        true => (
            "the server behind the gateway does not let it in",
            "upstream-refused",
        ),
    };
    let remedy = "try again later; the gateway's log and `gw status` tell its owner what is wrong";
    let refusal = Refusal::new(ErrorCode::Unavailable, message);
    Refusal {
        close: Close::new(TRY_AGAIN, message),
        retryable: Some(true),
        ..refusal.with(json!({ "reason": reason, "remediationHint": remedy }))
    }
}

/// The answer to a connection that is refused for a reason.
#[must_use]
pub fn refuse(reason: Reason, context: &Context<'_>) -> Refusal {
    let refusal = match table::row(reason) {
        Row::Plain(row) if reason == Reason::OriginNotAllowed => {
            of_plain(&row, Some(origin_reason(context.origin)))
        }
        Row::Plain(row) => of_plain(&row, row.reason),
        Row::NoDevice { ui, other } => {
            let without = context.is_operator_ui() && !context.may_lack_device;
            of_plain(if without { &ui } else { &other }, None)
        }
        Row::Auth(word) => of_auth(word, context),
        Row::Build(message) => of_build(message, context.compatibility),
        Row::Policy(details, message) => of_policy(reason, details, message, context.compatibility),
    };
    refusal.by_policy(context)
}

fn of_plain(row: &Plain, reason: Option<&str>) -> Refusal {
    let mut details = Map::new();
    details.insert("code".to_owned(), row.details.into());
    if let Some(reason) = reason {
        details.insert("reason".to_owned(), reason.into());
    }
    Refusal::new(row.code, row.message).with(details.into())
}

/// An origin that is wrong is told apart from one that could be allowed.
fn origin_reason(origin: OriginClass) -> &'static str {
    match origin {
        OriginClass::Absent | OriginClass::Empty | OriginClass::Opaque | OriginClass::Invalid => {
            "origin missing or invalid"
        }
        OriginClass::Loopback
        | OriginClass::Private
        | OriginClass::Mdns
        | OriginClass::Tailnet
        | OriginClass::Public
        | OriginClass::Name => "origin not allowed",
    }
}

/// A node behind a proxy that names no user, in the newest release. The proxy asks for a header
/// that no node sends.
const NODE_WITHOUT_HEADER: &str = "gateway rejected this node: trusted-proxy identity-header authentication is required and no usable machine credential was accepted; run `openclaw doctor` on the Gateway";
const MISSING_HEADER: &str = "trusted_proxy_missing_header_";

fn of_auth(word: &'static str, context: &Context<'_>) -> Refusal {
    let finer = context.auth_reason.filter(|_| word == table::UNAUTHORIZED);
    let word = finer.map_or_else(|| word.to_owned(), ToString::to_string);
    let row = table::AUTH.iter().find(|row| row.word == word);
    let row = row.unwrap_or(&table::REST);
    let guided = match context.compatibility.refusal_wording {
        RefusalWording::Brief => false,
        RefusalWording::Guided => true,
    };
    let header = guided && word.starts_with(MISSING_HEADER);
    let message = match header && context.mode == Mode::Node {
        true => NODE_WITHOUT_HEADER.to_owned(),
        false => hint::message(row, context),
    };
    let own_token = may_retry_with_device_token(row, context);
    let refusal = Refusal::new(ErrorCode::InvalidRequest, message).with(json!({
        "code": if header { "AUTH_IDENTITY_HEADER_REQUIRED" } else { row.details },
        "authReason": word,
        "canRetryWithDeviceToken": own_token,
        "recommendedNextStep": if own_token { "retry_with_device_token" } else { row.next },
    }));
    if guided && row.word == "rate_limited" {
        Refusal {
            retryable: Some(true),
            retry_after_ms: context.auth_reason.and_then(retry_after_ms),
            ..refusal
        }
    } else {
        refusal
    }
}

fn retry_after_ms(reason: &AuthReason) -> Option<u64> {
    match reason {
        AuthReason::RateLimited { retry_after_ms } => u64::try_from(*retry_after_ms).ok(),
        AuthReason::BootstrapTokenInvalid
        | AuthReason::DeviceTokenMismatch
        | AuthReason::PasswordMismatch
        | AuthReason::PasswordMissing
        | AuthReason::PasswordNotConfigured
        | AuthReason::ScopeMismatch
        | AuthReason::TokenMismatch
        | AuthReason::TokenMissing
        | AuthReason::TokenNotConfigured
        | AuthReason::TrustedProxy(_) => None,
    }
}

/// A wrong shared token, of a client that has a device and did not send its own token yet.
fn may_retry_with_device_token(row: &AuthRow, context: &Context<'_>) -> bool {
    row.word == "token_mismatch"
        && context.device
        && context.sent.strongest() == Some(SecretKind::Token)
        && !context.sent.device_token
}

/// The newest release's; earlier ones compare no builds.
fn of_build(message: &str, compatibility: &Compatibility) -> Refusal {
    let mut details = Map::new();
    details.insert("code".to_owned(), "PROTOCOL_MISMATCH".into());
    if let Some(build) = &compatibility.control_ui_build {
        details.insert("gatewayBuildId".to_owned(), build.to_string().into());
    }
    details.insert("reloadRequired".to_owned(), true.into());
    Refusal {
        retryable: Some(false),
        ..Refusal::new(ErrorCode::Unavailable, message).with(details.into())
    }
}

fn of_policy(
    reason: Reason,
    details: &str,
    message: &str,
    compatibility: &Compatibility,
) -> Refusal {
    let code = match compatibility.refusal_wording {
        RefusalWording::Brief => ErrorCode::InvalidRequest,
        RefusalWording::Guided => ErrorCode::Forbidden,
    };
    Refusal::new(code, message).with(json!({
        "code": details,
        "reason": reason.name(),
        "remediationHint": reason.remedy(),
    }))
}

/// The answer to a frame that is no connect frame. One that is no request frame gets no
/// response: the connection is closed.
///
/// # Errors
///
/// The close frame, for want of a request to respond to.
pub fn connect_error(
    error: &ConnectError,
    compatibility: &Compatibility,
) -> Result<Refusal, Close> {
    match error.kind {
        ConnectErrorKind::Frame => Err(Close::new(POLICY_VIOLATION, &error.message)),
        ConnectErrorKind::Version(found) => Ok(mismatch(&found, compatibility)),
        ConnectErrorKind::Method | ConnectErrorKind::Params | ConnectErrorKind::Role => {
            Ok(Refusal::new(ErrorCode::InvalidRequest, &*error.message))
        }
    }
}

/// The answer to a client that speaks none of the versions that are spoken here.
#[must_use]
pub fn mismatch(mismatch: &Mismatch, compatibility: &Compatibility) -> Refusal {
    let message = "protocol mismatch";
    let details = match compatibility.refusal_wording {
        RefusalWording::Brief => json!({ "expectedProtocol": mismatch.expected }),
        RefusalWording::Guided => json!({
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": mismatch.client_min,
            "clientMaxProtocol": mismatch.client_max,
            "expectedProtocol": mismatch.expected,
            "minimumProbeProtocol": mismatch.oldest_for_probes,
        }),
    };
    Refusal {
        close: Close::new(PROTOCOL_ERROR, message),
        ..Refusal::new(ErrorCode::InvalidRequest, message).with(details)
    }
}

/// The answer to a client that sent an agent's runtime identity, and is not a helper of the
/// gateway on its own host. It is the last that is looked at: an approval without asking has
/// been written by then. Observed: `schema/agentRuntimeIdentityToken` of 2026.9.6.
#[must_use]
pub fn agent_identity() -> Refusal {
    Refusal::new(
        ErrorCode::InvalidRequest,
        "agent runtime identity token is only accepted from local backend gateway clients",
    )
}

/// The answer to a node whose pairing was passed over although it has a record, so that nobody
/// knows whose commands it would serve: a helper of the gateway in the role node.
/// Observed: `role-scope/direct/backend/paired-both/role-node/*` of 2026.9.6.
#[must_use]
pub fn node_identity() -> Refusal {
    Refusal::new(
        ErrorCode::NotPaired,
        "authenticated node pairing identity unavailable",
    )
}

/// The answer while the gateway starts.
#[must_use]
pub fn starting() -> Refusal {
    let message = "gateway starting; retry shortly";
    Refusal {
        retryable: Some(true),
        retry_after_ms: Some(500),
        close: Close::new(TRY_AGAIN, message),
        ..Refusal::new(ErrorCode::Unavailable, message)
            .with(json!({ "reason": "startup-sidecars" }))
    }
}
