//! Which of the credentials that were sent holds (reference 4.2).

use super::claims::Claims;
use super::proxy;
use crate::facts::{Address, Auth, AuthFailure, AuthMode, DeviceProof, Transport};
use crate::facts::metadata::normalize_metadata;
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
        let mut values =
            self.headers.iter().filter(|(sent, _)| sent.trim().eq_ignore_ascii_case(name.trim()));
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
        Verified { auth, failure: AuthFailure::None }
    }

    fn missing(failure: AuthFailure) -> Self {
        Verified { auth: Auth::None, failure }
    }

    fn wrong(failure: AuthFailure) -> Self {
        Verified { auth: Auth::Failed, failure }
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
            let either = sent.password().filter(|_| settings.compatibility.either_secret_field);
            by_secret(&TOKEN, settings.auth.token(), sent.token(), either)
        }
        AuthMode::Password => {
            let either = sent.token().filter(|_| settings.compatibility.either_secret_field);
            by_secret(&PASSWORD, settings.auth.password(), sent.password(), either)
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

fn by_secret(
    kind: &SharedSecret,
    configured: Option<&Secret>,
    sent: Option<&Secret>,
    in_other_field: Option<&Secret>,
) -> Verified {
    let mut sent = [sent, in_other_field].into_iter().flatten().peekable();
    match (configured, sent.peek().is_some()) {
        (None, false) => Verified::missing(kind.not_configured),
        (None, true) => Verified::wrong(kind.not_configured),
        (Some(_), false) => Verified::missing(kind.missing),
        (Some(secret), true) => match sent.any(|sent| sent.matches(secret)) {
            true => Verified::good(kind.good),
            false => Verified::wrong(kind.mismatch),
        },
    }
}

/// What the credentials of a proven device are worth, where the mode's own failed.
fn by_device(
    claims: &Claims,
    standing: &Standing,
    settings: &Settings,
    shared: Verified,
) -> Verified {
    let Some(device) = &claims.device else { return shared };
    let sent = &claims.credentials;
    let before = match sent.bootstrap_token() {
        Some(_) => Verified::wrong(AuthFailure::BootstrapTokenInvalid),
        None => shared,
    };
    let Some(candidate) = sent.device_token().or(sent.token()) else { return before };
    let request = DeviceRequest {
        device_id: &device.id,
        public_key: &device.public_key,
        role: claims.role,
        scopes: &claims.scopes,
        platform: &normalize_metadata(&claims.platform),
        device_family: &claims.device_family.as_deref().map(normalize_metadata).unwrap_or_default(),
    };
    match standing.check_token(&request, candidate, rules(settings)) {
        TokenCheck::Good => Verified::good(Auth::DeviceToken),
        TokenCheck::ScopeMismatch => Verified::wrong(AuthFailure::ScopeMismatch),
        TokenCheck::Mismatch if sent.device_token().is_some() => {
            Verified::wrong(AuthFailure::DeviceTokenMismatch)
        }
        // As a fallback, `auth.token` was refused already, for the reason found before; where
        // the mode does not look at it, it has been looked at now.
        TokenCheck::Mismatch => match before.failure {
            AuthFailure::PasswordMissing => before,
            failure => Verified::wrong(failure),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::claims::{Credentials, DeviceClaim};
    use super::*;
    use crate::facts::{Client, Mode, Role};

    fn sent(token: Option<&str>, password: Option<&str>, device: Option<&str>, bootstrap: Option<&str>) -> Claims {
        Claims {
            client: Client::Cli,
            mode: Mode::Cli,
            role: Role::Operator,
            scopes: vec!["operator.read".into()],
            platform: "linux".into(),
            device_family: None,
            device: Some(DeviceClaim {
                id: "d".into(),
                public_key: "k".into(),
                signature: "s".into(),
                signed_at_ms: 0,
                nonce: "n".into(),
            }),
            credentials: Credentials::new(token, password, device, bootstrap),
        }
    }

    fn settings(value: Value) -> Settings {
        serde_json::from_value(value).unwrap()
    }

    fn standing() -> Standing {
        serde_json::from_value(json!({ "record": {
            "deviceId": "d", "publicKey": "k", "roles": ["operator"],
            "approvedScopes": ["operator.read"],
            "tokens": { "operator": { "token": "dt", "role": "operator", "scopes": ["operator.read"] } },
        } }))
        .unwrap()
    }

    fn request(headers: &[(Box<str>, Box<str>)]) -> Request<'_> {
        let peer = Address::new(std::net::Ipv4Addr::new(10, 0, 0, 9).into());
        Request { transport: Transport::Tcp, peer, peer_is_proxy: true, peer_is_own: false, headers }
    }

    fn verified(claims: &Claims, proof: DeviceProof, auth: Value) -> (Auth, AuthFailure) {
        let found = verify(claims, proof, &standing(), &settings(json!({ "auth": auth })), &request(&[]));
        (found.auth, found.failure)
    }

    #[test]
    fn shared_secrets() {
        use AuthFailure as F;
        let token = || json!({ "token": "t" });
        let password = || json!({ "password": "p" });
        let empty = || json!({ "mode": "token", "token": "" });
        let none = sent(None, None, None, None);
        for (claims, auth, expected) in [
            (&none, json!({ "mode": "none" }), (Auth::Open, F::None)),
            (&sent(Some("x"), None, None, None), json!({ "mode": "none" }), (Auth::Open, F::None)),
            (&none, token(), (Auth::None, F::TokenMissing)),
            (&sent(Some(" t "), None, None, None), token(), (Auth::Token, F::None)),
            (&sent(Some("T"), None, None, None), token(), (Auth::Failed, F::TokenMismatch)),
            (&sent(Some("  "), None, None, None), token(), (Auth::None, F::TokenMissing)),
            (&sent(None, Some("t"), None, None), token(), (Auth::None, F::TokenMissing)),
            (&sent(None, Some("p"), None, None), password(), (Auth::Password, F::None)),
            (&sent(None, Some("q"), None, None), password(), (Auth::Failed, F::PasswordMismatch)),
            (&none, password(), (Auth::None, F::PasswordMissing)),
            (&none, empty(), (Auth::None, F::TokenNotConfigured)),
            (&sent(Some("t"), None, None, None), empty(), (Auth::Failed, F::TokenNotConfigured)),
        ] {
            assert_eq!(verified(claims, DeviceProof::Absent, auth.clone()), expected, "{auth} {claims:?}");
        }
    }

    #[test]
    fn a_device_token_stands_in_for_a_shared_secret_that_failed() {
        use AuthFailure as F;
        for (claims, expected) in [
            (sent(Some("t"), None, Some("wrong"), None), (Auth::Token, F::None)),
            (sent(Some("wrong"), None, Some("dt"), None), (Auth::DeviceToken, F::None)),
            (sent(Some("dt"), None, None, None), (Auth::DeviceToken, F::None)),
            (sent(Some("wrong"), None, None, None), (Auth::Failed, F::TokenMismatch)),
            (sent(None, None, Some("wrong"), None), (Auth::Failed, F::DeviceTokenMismatch)),
            (sent(None, None, None, Some("b")), (Auth::Failed, F::BootstrapTokenInvalid)),
            (sent(None, None, Some("dt"), Some("b")), (Auth::DeviceToken, F::None)),
            (sent(Some("t"), None, None, Some("b")), (Auth::Token, F::None)),
        ] {
            let found = verified(&claims, DeviceProof::Proven, json!({ "token": "t" }));
            assert_eq!(found, expected, "{claims:?}");
        }
        let unproven = sent(None, None, Some("dt"), None);
        let found = verified(&unproven, DeviceProof::SignatureInvalid, json!({ "token": "t" }));
        assert_eq!(found, (Auth::None, F::TokenMissing));
        let mut more = sent(None, None, Some("dt"), None);
        more.scopes.push("operator.write".into());
        let found = verified(&more, DeviceProof::Proven, json!({ "token": "t" }));
        assert_eq!(found, (Auth::Failed, F::ScopeMismatch));
    }

    #[test]
    fn either_field_where_the_settings_say_so() {
        let settings = settings(json!({ "auth": { "token": "t" }, "compatibility": { "eitherSecretField": true } }));
        let claims = sent(Some("wrong"), Some("t"), None, None);
        let found = verify(&claims, DeviceProof::Absent, &standing(), &settings, &request(&[]));
        assert_eq!(found.auth, Auth::Token);
    }

    #[test]
    fn the_in_process_lane_is_the_host() {
        let mut request = request(&[]);
        request.transport = Transport::InProcess;
        let claims = sent(Some("wrong"), None, None, None);
        let found = verify(&claims, DeviceProof::Absent, &standing(), &Settings::default(), &request);
        assert_eq!(found, Verified::good(Auth::Host));
    }

    #[test]
    fn a_proxy_is_believed_when_it_is_one() {
        let base = json!({
            "auth": { "mode": "trusted-proxy", "trustedProxy": {
                "userHeader": "x-forwarded-user", "requiredHeaders": ["x-forwarded-proto"],
                "allowUsers": ["nick@example.com"] } },
            "trustedProxies": ["10.0.0.9"],
        });
        let header = |name: &str, value: &str| (name.into(), value.into());
        let good = [header("X-Forwarded-User", " nick@example.com "), header("x-forwarded-proto", "https")];
        let found = |headers: &[(Box<str>, Box<str>)], change: fn(&mut Request<'_>)| {
            let mut request = request(headers);
            change(&mut request);
            let claims = sent(None, None, None, None);
            verify(&claims, DeviceProof::Absent, &standing(), &settings(base.clone()), &request).auth
        };
        assert_eq!(found(&good, |_| ()), Auth::TrustedProxy);
        assert_eq!(found(&good, |request| request.peer_is_proxy = false), Auth::Failed);
        assert_eq!(found(&good, |request| request.peer_is_own = true), Auth::Failed);
        assert_eq!(found(&good, |request| request.peer = Address::new(std::net::Ipv4Addr::LOCALHOST.into())), Auth::Failed);
        assert_eq!(found(&good[..1], |_| ()), Auth::Failed);
        assert_eq!(found(&good[1..], |_| ()), Auth::None);
        let other = [header("x-forwarded-user", "eve"), good[1].clone()];
        assert_eq!(found(&other, |_| ()), Auth::Failed);
        let twice = [good[0].clone(), good[0].clone(), good[1].clone()];
        assert_eq!(found(&twice, |_| ()), Auth::None);
    }
}
