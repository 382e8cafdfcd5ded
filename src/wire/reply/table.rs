//! THE TABLE of refusals: each reason with its code, its words and its details.
//!
//! Rows that OpenClaw has say what it says; those of this crate's own
//! reasons have the shape of its newest ones.

use crate::facts::word::words;
use crate::verdict::{PairingReason, Reason};

words! {
    /// `error.code` of a response, as far as an admission sends it.
    ErrorCode {
        Forbidden "FORBIDDEN" "it is known who asks, and that it may not be (protocol 4)",
        InvalidRequest "INVALID_REQUEST" "the request, or what it was authenticated with, is wrong",
        NotPaired "NOT_PAIRED" "a device is needed, or its approval",
        Unavailable "UNAVAILABLE" "another build, or another time",
    }
}

/// What a refusal says.
pub(super) enum Row {
    /// The same whoever asks.
    Plain(Plain),
    /// Authentication failed: the row of its word in [`AUTH`].
    Auth(&'static str),
    /// The dashboard or the terminal interface without a device, or any other client.
    NoDevice { ui: Plain, other: Plain },
    /// The page is of another build.
    Build(&'static str),
    /// The policy refuses: `details.code`, and the message.
    Policy(&'static str, &'static str),
}

/// A refusal that is the same whoever asks.
pub(super) struct Plain {
    pub(super) code: ErrorCode,
    pub(super) message: &'static str,
    pub(super) details: &'static str,
    /// `details.reason`.
    pub(super) reason: Option<&'static str>,
}

const ORIGIN: &str = "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)";

fn device_proof(details: &'static str, reason: &'static str, message: &'static str) -> Row {
    Row::Plain(Plain {
        code: ErrorCode::InvalidRequest,
        message,
        details,
        reason: Some(reason),
    })
}

fn plain(code: ErrorCode, details: &'static str, message: &'static str) -> Plain {
    Plain {
        code,
        message,
        details,
        reason: None,
    }
}

/// The row of a reason.
pub(super) fn row(reason: Reason) -> Row {
    match reason {
        Reason::BootstrapTokenInvalid => Row::Auth("bootstrap_token_invalid"),
        Reason::BuildMismatch => {
            Row::Build("protocol mismatch: Control UI updated; reload this page to continue")
        }
        Reason::DeviceIdMismatch => device_proof(
            "DEVICE_AUTH_DEVICE_ID_MISMATCH",
            "device-id-mismatch",
            "device identity mismatch",
        ),
        Reason::DeviceNonceMismatch => device_proof(
            "DEVICE_AUTH_NONCE_MISMATCH",
            "device-nonce-mismatch",
            "device nonce mismatch",
        ),
        Reason::DeviceNonceMissing => device_proof(
            "DEVICE_AUTH_NONCE_REQUIRED",
            "device-nonce-missing",
            "device nonce required",
        ),
        Reason::DevicePublicKeyInvalid => device_proof(
            "DEVICE_AUTH_PUBLIC_KEY_INVALID",
            "device-public-key",
            "device public key invalid",
        ),
        Reason::DeviceRequired => Row::NoDevice {
            ui: plain(
                ErrorCode::InvalidRequest,
                "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
                "control ui requires device identity (use HTTPS or localhost secure context)",
            ),
            other: plain(
                ErrorCode::NotPaired,
                "DEVICE_IDENTITY_REQUIRED",
                "device identity required",
            ),
        },
        Reason::DeviceSignatureInvalid => device_proof(
            "DEVICE_AUTH_SIGNATURE_INVALID",
            "device-signature",
            "device signature invalid",
        ),
        Reason::DeviceSignatureStale => device_proof(
            "DEVICE_AUTH_SIGNATURE_EXPIRED",
            "device-signature-stale",
            "device signature expired",
        ),
        Reason::DeviceTokenMismatch => Row::Auth("device_token_mismatch"),
        Reason::NotPermitted => Row::Policy(
            "POLICY_NOT_PERMITTED",
            "not permitted by the gateway's policy",
        ),
        Reason::OriginNotAllowed => Row::Plain(plain(
            ErrorCode::InvalidRequest,
            "CONTROL_UI_ORIGIN_NOT_ALLOWED",
            ORIGIN,
        )),
        Reason::PasswordMismatch => Row::Auth("password_mismatch"),
        Reason::PasswordMissing => Row::Auth("password_missing"),
        Reason::PasswordNotConfigured => Row::Auth("password_missing_config"),
        Reason::ProxyAttributionRequired => Row::Auth("proxy_attribution_required"),
        Reason::RateLimited => Row::Auth("rate_limited"),
        Reason::RoleNotAllowed => Row::Policy(
            "ROLE_NOT_ALLOWED",
            "role not allowed by the gateway's policy",
        ),
        Reason::ScopeMismatch => Row::Auth("scope_mismatch"),
        Reason::ScopeNotAllowed => Row::Policy(
            "SCOPE_NOT_ALLOWED",
            "scope not allowed by the gateway's policy",
        ),
        Reason::TokenMismatch => Row::Auth("token_mismatch"),
        Reason::TokenMissing => Row::Auth("token_missing"),
        Reason::TokenNotConfigured => Row::Auth("token_missing_config"),
        Reason::Unauthorized => Row::Auth(UNAUTHORIZED),
    }
}

/// The word of an authentication that failed for no other reason.
pub(super) const UNAUTHORIZED: &str = "unauthorized";

/// What a failed authentication is told as.
pub(super) struct AuthRow {
    /// The protocol's word, which is `details.authReason`.
    pub(super) word: &'static str,
    /// `details.code`.
    pub(super) details: &'static str,
    /// What follows `unauthorized`.
    pub(super) says: Says,
    /// `details.recommendedNextStep`, unless the client may fall back to its device token.
    pub(super) next: &'static str,
}

/// What follows `unauthorized`.
#[derive(Clone, Copy)]
pub(super) enum Says {
    /// The words.
    Words(&'static str),
    /// The words before the newest release, and those since.
    Reworded(&'static str, &'static str),
    /// The words, and what the client can do about its token.
    Token(&'static str),
    /// The words, and what the client can do about its password.
    Password(&'static str),
    /// Whatever the mode and the strongest secret give.
    Rest,
}

const CONFIGURE: &str = "update_auth_configuration";
const CREDENTIALS: &str = "update_auth_credentials";
const REVIEW: &str = "review_auth_configuration";
const WAIT: &str = "wait_then_retry";

/// What a token that is missing is told as.
pub(super) const TOKEN_MISSING: &str = "gateway token missing";
/// What a password that is missing is told as.
pub(super) const PASSWORD_MISSING: &str = "gateway password missing";
/// What a setup code that does not hold is told as.
pub(super) const SETUP_CODE: Says = Says::Reworded(
    "bootstrap token invalid or expired (scan a fresh setup code)",
    "setup code invalid, expired, revoked, or already used (create a new code; review `openclaw devices list`)",
);

const fn auth(
    word: &'static str,
    details: &'static str,
    says: Says,
    next: &'static str,
) -> AuthRow {
    AuthRow {
        word,
        details,
        says,
        next,
    }
}

/// Failed authentications; what is not here is told as [`REST`]. A Tailscale login that fails is
/// never told: the token or the password is.
pub(super) const AUTH: &[AuthRow] = &[
    auth(
        "token_missing",
        "AUTH_TOKEN_MISSING",
        Says::Token(TOKEN_MISSING),
        CONFIGURE,
    ),
    auth(
        "token_mismatch",
        "AUTH_TOKEN_MISMATCH",
        Says::Token("gateway token mismatch"),
        CREDENTIALS,
    ),
    auth(
        "token_missing_config",
        "AUTH_TOKEN_NOT_CONFIGURED",
        Says::Words("gateway token not configured on gateway (set gateway.auth.token)"),
        CONFIGURE,
    ),
    auth(
        "password_missing",
        "AUTH_PASSWORD_MISSING",
        Says::Password(PASSWORD_MISSING),
        CONFIGURE,
    ),
    auth(
        "password_mismatch",
        "AUTH_PASSWORD_MISMATCH",
        Says::Password("gateway password mismatch"),
        CREDENTIALS,
    ),
    auth(
        "password_missing_config",
        "AUTH_PASSWORD_NOT_CONFIGURED",
        Says::Words("gateway password not configured on gateway (set gateway.auth.password)"),
        CONFIGURE,
    ),
    auth(
        "bootstrap_token_invalid",
        "AUTH_BOOTSTRAP_TOKEN_INVALID",
        SETUP_CODE,
        REVIEW,
    ),
    auth(
        "device_token_mismatch",
        "AUTH_DEVICE_TOKEN_MISMATCH",
        Says::Words("device token mismatch (rotate/reissue device token)"),
        CREDENTIALS,
    ),
    auth(
        "scope_mismatch",
        "AUTH_SCOPE_MISMATCH",
        Says::Words("device token scope mismatch (re-pair or approve scope upgrade)"),
        REVIEW,
    ),
    auth(
        "rate_limited",
        "AUTH_RATE_LIMITED",
        Says::Words("too many failed authentication attempts (retry later)"),
        WAIT,
    ),
    auth(
        "proxy_attribution_required",
        "AUTH_UNAUTHORIZED",
        Says::Words(
            "proxy client attribution is required (configure gateway.trustedProxies narrowly and make the proxy overwrite or safely rebuild forwarded client headers)",
        ),
        REVIEW,
    ),
];

/// Any other failed authentication.
pub(super) const REST: AuthRow = auth(UNAUTHORIZED, "AUTH_UNAUTHORIZED", Says::Rest, REVIEW);

/// What a request that waits for the owner is told as: what is required, and what the owner
/// can do.
pub(super) fn pairing(reason: PairingReason) -> (&'static str, &'static str) {
    match reason {
        PairingReason::NotPaired => (
            "device is not approved yet",
            "Approve this device from the pending pairing requests.",
        ),
        PairingReason::MetadataUpgrade => (
            "device identity changed and must be re-approved",
            "Review the refreshed device details, then approve the pending request.",
        ),
        PairingReason::RoleUpgrade => (
            "device is asking for a higher role than currently approved",
            "Review the requested role upgrade, then approve the pending request.",
        ),
        PairingReason::ScopeUpgrade => (
            "device is asking for more scopes than currently approved",
            "Review the requested scopes, then approve the pending upgrade.",
        ),
    }
}
