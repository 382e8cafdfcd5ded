//! Which of the credentials that were sent holds.

use super::bootstrap::{self, SetupCode};
use super::claims::{Claims, DeviceClaim};
use super::limiter::Locks;
use super::proxy;
use super::reason::AuthReason;
use crate::facts::forwarding::Forwarding;
use crate::facts::metadata::normalize_metadata;
use crate::facts::{Address, Auth, AuthFailure, AuthMode, DeviceProof, Transport};
use crate::pairing::{DeviceRequest, Record, Rules, Standing, TokenCheck};
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

    /// Whether it comes straight from this host: no proxy sent it on.
    fn is_direct_local(&self) -> bool {
        let headers = self.headers.iter().map(|(name, value)| (&**name, &**value));
        self.peer.is_loopback() && !Forwarding::of(headers).any
    }
}

/// What a gateway remembers besides pairing, as far as authentication depends on it. The
/// default is one that remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory<'a> {
    /// Who has failed too often.
    pub locks: Locks,
    /// The setup codes that were issued, spent or not.
    pub setup_codes: &'a [SetupCode],
    /// When the request arrived, in Unix milliseconds.
    pub now_ms: i64,
}

/// Which authentication holds, or why none does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The one that holds; `none` when nothing was sent, `failed` when something was and was
    /// wrong.
    pub auth: Auth,
    /// Why none does; none where one does.
    pub reason: Option<AuthReason>,
    /// What became of each credential that can be guessed.
    pub tried: Tried,
}

/// What became of each credential that can be guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// The shared token or password.
    pub shared: Trial,
    /// The device token, or the shared token taken for one.
    pub device_token: Trial,
    /// The setup code.
    pub setup_code: Trial,
}

/// What became of a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trial {
    /// It was not sent, or not looked at.
    #[default]
    None,
    /// It was right.
    Held,
    /// It was wrong.
    Failed,
    /// It was sent, and not looked at: too many had failed.
    Locked,
}

impl Trial {
    fn of(held: bool) -> Self {
        match held {
            true => Trial::Held,
            false => Trial::Failed,
        }
    }
}

impl Verified {
    /// Why none holds, as a fact.
    #[must_use]
    pub fn failure(&self) -> AuthFailure {
        self.reason
            .as_ref()
            .map_or(AuthFailure::None, AuthReason::failure)
    }

    fn good(auth: Auth) -> Self {
        Verified {
            auth,
            reason: None,
            tried: Tried::default(),
        }
    }

    /// Nothing was sent that could be wrong.
    fn missing(reason: AuthReason) -> Self {
        Verified {
            auth: Auth::None,
            ..Verified::wrong(reason)
        }
    }

    fn wrong(reason: AuthReason) -> Self {
        Verified {
            auth: Auth::Failed,
            reason: Some(reason),
            tried: Tried::default(),
        }
    }

    fn hold(&mut self, auth: Auth) {
        (self.auth, self.reason) = (auth, None);
    }

    fn fail(&mut self, reason: AuthReason) {
        (self.auth, self.reason) = (Auth::Failed, Some(reason));
    }
}

/// How the settings want approvals to be read.
#[must_use]
pub fn rules(settings: &Settings) -> Rules {
    Rules::of(&settings.compatibility)
}

/// Finds the authentication that holds: the configured mode first; where it fails and the
/// device is proven, a setup code, and then the device's own token.
///
/// A right shared secret always wins over a device token. A wrong `auth.token` may still be
/// the device's token. Without a proven device, neither a device token nor a setup code is
/// looked at. A Tailscale login is never believed (see [`super::tailscale`]).
#[must_use]
pub fn verify(
    claims: &Claims,
    proof: DeviceProof,
    standing: &Standing,
    settings: &Settings,
    request: &Request<'_>,
    memory: &Memory<'_>,
) -> Verified {
    if request.transport == Transport::InProcess {
        return Verified::good(Auth::Host);
    }
    let mut verified = by_mode(claims, settings, request, memory);
    let proven = claims
        .device
        .as_ref()
        .filter(|_| proof == DeviceProof::Proven);
    if let Some(device) = proven {
        if verified.reason.is_some() || settings.compatibility.setup_code_first {
            by_setup_code(&mut verified, claims, device, memory);
        }
        if verified.reason.is_some() {
            let token = DeviceToken {
                device,
                standing,
                settings,
            };
            token.try_for(&mut verified, claims, memory);
        }
    }
    verified
}

fn by_mode(
    claims: &Claims,
    settings: &Settings,
    request: &Request<'_>,
    memory: &Memory<'_>,
) -> Verified {
    match settings.auth.mode() {
        AuthMode::None => Verified::good(Auth::Open),
        AuthMode::TrustedProxy => by_proxy(claims, settings, request, memory),
        AuthMode::Token => by_secret(&TOKEN, claims, settings, memory),
        AuthMode::Password => by_secret(&PASSWORD, claims, settings, memory),
    }
}

fn by_proxy(
    claims: &Claims,
    settings: &Settings,
    request: &Request<'_>,
    memory: &Memory<'_>,
) -> Verified {
    let error = match proxy::user(settings, request) {
        Ok(_) => return Verified::good(Auth::TrustedProxy),
        Err(error) => error,
    };
    let beside = settings.compatibility.password_beside_proxy
        && settings.auth.password().is_some()
        && PASSWORD.sent(claims, settings).is_some()
        && request.is_direct_local();
    if beside {
        return by_secret(&PASSWORD, claims, settings, memory);
    }
    let config = settings.auth.trusted_proxy.as_ref();
    let user = config.and_then(|config| request.header(&config.user_header));
    let reason = AuthReason::TrustedProxy(error);
    match user {
        Some(_) => Verified::wrong(reason),
        None => Verified::missing(reason),
    }
}

/// The words for one kind of shared secret.
struct SharedSecret {
    good: Auth,
    not_configured: AuthReason,
    missing: AuthReason,
    mismatch: AuthReason,
}

const TOKEN: SharedSecret = SharedSecret {
    good: Auth::Token,
    not_configured: AuthReason::TokenNotConfigured,
    missing: AuthReason::TokenMissing,
    mismatch: AuthReason::TokenMismatch,
};

const PASSWORD: SharedSecret = SharedSecret {
    good: Auth::Password,
    not_configured: AuthReason::PasswordNotConfigured,
    missing: AuthReason::PasswordMissing,
    mismatch: AuthReason::PasswordMismatch,
};

impl SharedSecret {
    /// What was sent as this secret.
    fn sent<'a>(&self, claims: &'a Claims, settings: &Settings) -> Option<&'a Secret> {
        let sent = &claims.credentials;
        let (own, other) = match self.good == Auth::Password {
            true => (sent.password(), sent.token()),
            false => (sent.token(), sent.password()),
        };
        own.or(other.filter(|_| settings.compatibility.either_secret_field))
    }
}

fn by_secret(
    kind: &SharedSecret,
    claims: &Claims,
    settings: &Settings,
    memory: &Memory<'_>,
) -> Verified {
    let configured = match kind.good == Auth::Password {
        true => settings.auth.password(),
        false => settings.auth.token(),
    };
    let (secret, sent) = match (configured, kind.sent(claims, settings)) {
        (None, None) => return Verified::missing(kind.not_configured.clone()),
        (None, Some(_)) => return Verified::wrong(kind.not_configured.clone()),
        (Some(_), None) => return Verified::missing(kind.missing.clone()),
        (Some(secret), Some(sent)) => (secret, sent),
    };
    if let Some(retry_after_ms) = memory.locks.shared {
        return Verified {
            tried: Tried {
                shared: Trial::Locked,
                ..Tried::default()
            },
            ..Verified::wrong(AuthReason::RateLimited { retry_after_ms })
        };
    }
    let held = sent.matches(secret);
    let verified = match held {
        true => Verified::good(kind.good),
        false => Verified::wrong(kind.mismatch.clone()),
    };
    Verified {
        tried: Tried {
            shared: Trial::of(held),
            ..Tried::default()
        },
        ..verified
    }
}

/// A setup code that holds overrides the shared secret; one that does not changes nothing
/// where that was right.
fn by_setup_code(
    verified: &mut Verified,
    claims: &Claims,
    device: &DeviceClaim,
    memory: &Memory<'_>,
) {
    let Some(sent) = claims.credentials.bootstrap_token() else {
        return;
    };
    if let Some(retry_after_ms) = memory.locks.setup_code {
        verified.tried.setup_code = Trial::Locked;
        if verified.reason.is_some() {
            verified.fail(AuthReason::RateLimited { retry_after_ms });
        }
        return;
    }
    let held = bootstrap::find(memory.setup_codes, sent, claims, device, memory.now_ms).is_ok();
    verified.tried.setup_code = Trial::of(held);
    if held {
        verified.hold(Auth::BootstrapToken);
    } else if verified.reason.is_some() {
        verified.fail(AuthReason::BootstrapTokenInvalid);
    }
}

/// What the device's own token is worth, where all else failed.
struct DeviceToken<'a> {
    device: &'a DeviceClaim,
    standing: &'a Standing,
    settings: &'a Settings,
}

impl DeviceToken<'_> {
    fn try_for(&self, verified: &mut Verified, claims: &Claims, memory: &Memory<'_>) {
        let sent = &claims.credentials;
        let Some(candidate) = sent.device_token().or(sent.token()) else {
            return;
        };
        if let Some(retry_after_ms) = memory.locks.device_token {
            verified.tried.device_token = Trial::Locked;
            return verified.fail(AuthReason::RateLimited { retry_after_ms });
        }
        let check = self.check(claims, candidate);
        verified.tried.device_token = Trial::of(check == TokenCheck::Good);
        let told_apart = self.settings.compatibility.tell_scope_mismatch;
        match check {
            TokenCheck::Good => verified.hold(Auth::DeviceToken),
            TokenCheck::ScopeMismatch if told_apart => verified.fail(AuthReason::ScopeMismatch),
            TokenCheck::ScopeMismatch | TokenCheck::Mismatch if sent.device_token().is_some() => {
                verified.fail(AuthReason::DeviceTokenMismatch);
            }
            // As a fallback, `auth.token` was refused already, for the reason found before;
            // where the mode does not look at it, it has been looked at now.
            TokenCheck::ScopeMismatch | TokenCheck::Mismatch => {
                if !matches!(verified.reason, Some(AuthReason::PasswordMissing)) {
                    verified.auth = Auth::Failed;
                }
            }
        }
    }

    fn check(&self, claims: &Claims, candidate: &Secret) -> TokenCheck {
        let compatibility = &self.settings.compatibility;
        let family = claims.device_family.as_deref().map(normalize_metadata);
        let request = DeviceRequest {
            device_id: &self.device.id,
            public_key: &self.device.public_key,
            client: claims.client,
            mode: claims.mode,
            role: claims.role,
            scopes: &claims.scopes,
            platform: &normalize_metadata(&claims.platform),
            device_family: &family.unwrap_or_default(),
        };
        let check = self
            .standing
            .check_token(&request, candidate, rules(self.settings));
        let record = self.standing.record.as_ref();
        let token = record.and_then(|record| record.token(claims.role.name()));
        let issued = token.is_some_and(|token| token.issuer.is_some());
        // The token of a page, whoever sends it. Observed of 2026.9.6:
        // pairing/origin-self-127/controlui/paired-admin/read/auth-device-good is refused, and
        // the dashboard with a command line's token, sequence/pair-then-device-token, is not.
        let page = record.is_some_and(Record::is_of_page);
        match page && compatibility.page_tokens_need_issuer && !issued {
            true => TokenCheck::Mismatch,
            false => check,
        }
    }
}

#[cfg(test)]
mod tests;
