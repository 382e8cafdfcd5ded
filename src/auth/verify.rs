//! Which of the credentials that were sent holds (reference 4.2).

use super::claims::Claims;
use super::proxy;
use crate::facts::metadata::normalize_metadata;
use crate::facts::{Address, Auth, AuthFailure, AuthMode, DeviceProof, Transport};
use crate::pairing::{DeviceRequest, Rules, Standing, TokenCheck};
use crate::secret::Secret;
use crate::settings::Settings;

/// What the socket and the HTTP head show, as far as authentication depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// How the connection reaches the gateway.
    pub transport: Transport,
    /// The address at the other end.
    pub peer: Address,
    /// Whether that address is listed in `trustedProxies`.
    pub peer_is_proxy: bool,
    /// Whether that address is one of this host's own.
    pub peer_is_own: bool,
    /// The headers, in the order of arrival; names in any case.
    pub headers: &'a [(Box<str>, Box<str>)],
}

impl<'a> Request<'a> {
    /// The trimmed value of a header that was sent once and is not blank.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(sent, _)| sent.trim().eq_ignore_ascii_case(name.trim()));
        let (_, value) = values.next()?;
        let value = value.trim();
        (values.next().is_none() && !value.is_empty()).then_some(value)
    }
}

/// Which authentication holds, or why none does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The one that holds; `none` when nothing was sent, `failed` when something was and was
    /// wrong.
    pub auth: Auth,
    /// Why none does.
    pub failure: AuthFailure,
}

impl Verified {
    fn good(auth: Auth) -> Self {
        Verified {
            auth,
            failure: AuthFailure::None,
        }
    }

    fn missing(failure: AuthFailure) -> Self {
        Verified {
            auth: Auth::None,
            failure,
        }
    }

    fn wrong(failure: AuthFailure) -> Self {
        Verified {
            auth: Auth::Failed,
            failure,
        }
    }
}

/// How the settings want approvals to be read.
#[must_use]
pub fn rules(settings: &Settings) -> Rules {
    Rules {
        scopes: settings.compatibility.scope_rule,
        roles_need_tokens: settings.compatibility.roles_need_tokens,
    }
}

/// Finds the authentication that holds: the configured mode first; where it fails and the
/// device is proven, the device's own token.
///
/// A right shared secret always wins. A wrong `auth.token` may still be the device's token.
/// No bootstrap token is known, so each is invalid; a Tailscale login is never believed.
#[must_use]
pub fn verify(
    claims: &Claims,
    proof: DeviceProof,
    standing: &Standing,
    settings: &Settings,
    request: &Request<'_>,
) -> Verified {
    if request.transport == Transport::InProcess {
        return Verified::good(Auth::Host);
    }
    let shared = by_mode(claims, settings, request);
    if shared.failure == AuthFailure::None || proof != DeviceProof::Proven {
        return shared;
    }
    by_device(claims, standing, settings, shared)
}

fn by_mode(claims: &Claims, settings: &Settings, request: &Request<'_>) -> Verified {
    let sent = &claims.credentials;
    match settings.auth.mode() {
        AuthMode::None => Verified::good(Auth::Open),
        AuthMode::TrustedProxy => by_proxy(settings, request),
        AuthMode::Token => {
            let other = sent
                .password()
                .filter(|_| settings.compatibility.either_secret_field);
            by_secret(&TOKEN, settings.auth.token(), sent.token().or(other))
        }
        AuthMode::Password => {
            let other = sent
                .token()
                .filter(|_| settings.compatibility.either_secret_field);
            by_secret(
                &PASSWORD,
                settings.auth.password(),
                sent.password().or(other),
            )
        }
    }
}

fn by_proxy(settings: &Settings, request: &Request<'_>) -> Verified {
    let config = settings.auth.trusted_proxy.as_ref();
    let user = config.and_then(|config| request.header(&config.user_header));
    match (proxy::user(settings, request), user) {
        (Ok(_), _) => Verified::good(Auth::TrustedProxy),
        (Err(_), Some(_)) => Verified::wrong(AuthFailure::Unauthorized),
        (Err(_), None) => Verified::missing(AuthFailure::Unauthorized),
    }
}

/// The words for one kind of shared secret.
struct SharedSecret {
    good: Auth,
    not_configured: AuthFailure,
    missing: AuthFailure,
    mismatch: AuthFailure,
}

const TOKEN: SharedSecret = SharedSecret {
    good: Auth::Token,
    not_configured: AuthFailure::TokenNotConfigured,
    missing: AuthFailure::TokenMissing,
    mismatch: AuthFailure::TokenMismatch,
};

const PASSWORD: SharedSecret = SharedSecret {
    good: Auth::Password,
    not_configured: AuthFailure::PasswordNotConfigured,
    missing: AuthFailure::PasswordMissing,
    mismatch: AuthFailure::PasswordMismatch,
};

fn by_secret(kind: &SharedSecret, configured: Option<&Secret>, sent: Option<&Secret>) -> Verified {
    match (configured, sent) {
        (None, None) => Verified::missing(kind.not_configured),
        (None, Some(_)) => Verified::wrong(kind.not_configured),
        (Some(_), None) => Verified::missing(kind.missing),
        (Some(secret), Some(sent)) if sent.matches(secret) => Verified::good(kind.good),
        (Some(_), Some(_)) => Verified::wrong(kind.mismatch),
    }
}

/// What the credentials of a proven device are worth, where the mode's own failed.
fn by_device(
    claims: &Claims,
    standing: &Standing,
    settings: &Settings,
    shared: Verified,
) -> Verified {
    let Some(device) = &claims.device else {
        return shared;
    };
    let sent = &claims.credentials;
    let before = match sent.bootstrap_token() {
        Some(_) => Verified::wrong(AuthFailure::BootstrapTokenInvalid),
        None => shared,
    };
    let Some(candidate) = sent.device_token().or(sent.token()) else {
        return before;
    };
    let request = DeviceRequest {
        device_id: &device.id,
        public_key: &device.public_key,
        role: claims.role,
        scopes: &claims.scopes,
        platform: &normalize_metadata(&claims.platform),
        device_family: &claims
            .device_family
            .as_deref()
            .map(normalize_metadata)
            .unwrap_or_default(),
    };
    match standing.check_token(&request, candidate, rules(settings)) {
        TokenCheck::Good => Verified::good(Auth::DeviceToken),
        TokenCheck::ScopeMismatch => Verified::wrong(AuthFailure::ScopeMismatch),
        TokenCheck::Mismatch if sent.device_token().is_some() => {
            Verified::wrong(AuthFailure::DeviceTokenMismatch)
        }
        // As a fallback, `auth.token` was refused already, for the reason found before; where
        // the mode does not look at it, it has been looked at now.
        TokenCheck::Mismatch if before.failure == AuthFailure::PasswordMissing => before,
        TokenCheck::Mismatch => Verified::wrong(before.failure),
    }
}

#[cfg(test)]
mod tests;
