//! Why no authentication held, by the word that the protocol has for it.
//!
//! What a client is told of it (message, code, advice) is not here: that is the wire's.

use std::fmt;

use super::proxy::ProxyError;
use crate::facts::AuthFailure;

/// Why no authentication held. Shown, it is the protocol's `authReason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthReason {
    /// The setup code is unknown, used or expired.
    BootstrapTokenInvalid,
    /// The device token is not this device's.
    DeviceTokenMismatch,
    /// The password is wrong.
    PasswordMismatch,
    /// No password was sent.
    PasswordMissing,
    /// Password mode without a password.
    PasswordNotConfigured,
    /// Too many failures.
    RateLimited {
        /// When it may be tried again, in milliseconds from now.
        retry_after_ms: i64,
    },
    /// The device token does not carry the scopes asked for.
    ScopeMismatch,
    /// The token is wrong.
    TokenMismatch,
    /// No token was sent.
    TokenMissing,
    /// Token mode without a token.
    TokenNotConfigured,
    /// No proxy vouches for a user.
    TrustedProxy(ProxyError),
}

impl AuthReason {
    /// The fact that it shows as.
    #[must_use]
    pub fn failure(&self) -> AuthFailure {
        match self {
            AuthReason::BootstrapTokenInvalid => AuthFailure::BootstrapTokenInvalid,
            AuthReason::DeviceTokenMismatch => AuthFailure::DeviceTokenMismatch,
            AuthReason::PasswordMismatch => AuthFailure::PasswordMismatch,
            AuthReason::PasswordMissing => AuthFailure::PasswordMissing,
            AuthReason::PasswordNotConfigured => AuthFailure::PasswordNotConfigured,
            AuthReason::RateLimited { .. } => AuthFailure::RateLimited,
            AuthReason::ScopeMismatch => AuthFailure::ScopeMismatch,
            AuthReason::TokenMismatch => AuthFailure::TokenMismatch,
            AuthReason::TokenMissing => AuthFailure::TokenMissing,
            AuthReason::TokenNotConfigured => AuthFailure::TokenNotConfigured,
            AuthReason::TrustedProxy(_) => AuthFailure::Unauthorized,
        }
    }
}

impl fmt::Display for AuthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            AuthReason::BootstrapTokenInvalid => "bootstrap_token_invalid",
            AuthReason::DeviceTokenMismatch => "device_token_mismatch",
            AuthReason::PasswordMismatch => "password_mismatch",
            AuthReason::PasswordMissing => "password_missing",
            AuthReason::PasswordNotConfigured => "password_missing_config",
            AuthReason::RateLimited { .. } => "rate_limited",
            AuthReason::ScopeMismatch => "scope_mismatch",
            AuthReason::TokenMismatch => "token_mismatch",
            AuthReason::TokenMissing => "token_missing",
            AuthReason::TokenNotConfigured => "token_missing_config",
            AuthReason::TrustedProxy(error) => return write_proxy(error, f),
        };
        f.write_str(word)
    }
}

fn write_proxy(error: &ProxyError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let rest = match error {
        ProxyError::NotConfigured => "config_missing",
        ProxyError::NoProxies => "no_proxies_configured",
        ProxyError::UntrustedPeer => "untrusted_source",
        ProxyError::Loopback => "loopback_source",
        ProxyError::OwnAddress => "local_interface_source",
        ProxyError::MissingHeader(name) => {
            return write!(f, "trusted_proxy_missing_header_{}", name.trim());
        }
        ProxyError::NoUser(_) => "user_missing",
        ProxyError::UserNotAllowed => "user_not_allowed",
    };
    write!(f, "trusted_proxy_{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_header_is_named() {
        let missing = ProxyError::MissingHeader("x-forwarded-proto".into());
        let reason = AuthReason::TrustedProxy(missing);
        assert_eq!(
            reason.to_string(),
            "trusted_proxy_missing_header_x-forwarded-proto"
        );
        assert_eq!(reason.failure(), AuthFailure::Unauthorized);
        assert_eq!(
            AuthReason::TokenNotConfigured.to_string(),
            "token_missing_config"
        );
    }
}
