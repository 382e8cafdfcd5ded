//! Each mode of authentication, with what is sent and what comes of it.

use serde_json::{Value, json};

use super::super::claims::{Credentials, DeviceClaim};
use super::*;
use crate::facts::{Client, Mode, Role};

fn sent(
    token: Option<&str>,
    password: Option<&str>,
    device: Option<&str>,
    bootstrap: Option<&str>,
) -> Claims {
    Claims {
        client: Client::Cli,
        mode: Mode::Cli,
        role: Role::Operator,
        scopes: ["operator.read".into()].into(),
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
    Request {
        transport: Transport::Tcp,
        peer,
        peer_is_proxy: true,
        peer_is_own: false,
        headers,
    }
}

fn verified(claims: &Claims, proof: DeviceProof, auth: Value) -> (Auth, AuthFailure) {
    let found = verify(
        claims,
        proof,
        &standing(),
        &settings(json!({ "auth": auth })),
        &request(&[]),
        &Memory::default(),
    );
    (found.auth, found.failure())
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
        (
            &sent(Some("x"), None, None, None),
            json!({ "mode": "none" }),
            (Auth::Open, F::None),
        ),
        (&none, token(), (Auth::None, F::TokenMissing)),
        (
            &sent(Some(" t "), None, None, None),
            token(),
            (Auth::Token, F::None),
        ),
        (
            &sent(Some("T"), None, None, None),
            token(),
            (Auth::Failed, F::TokenMismatch),
        ),
        (
            &sent(Some("  "), None, None, None),
            token(),
            (Auth::None, F::TokenMissing),
        ),
        (
            &sent(None, Some("t"), None, None),
            token(),
            (Auth::None, F::TokenMissing),
        ),
        (
            &sent(None, Some("p"), None, None),
            password(),
            (Auth::Password, F::None),
        ),
        (
            &sent(None, Some("q"), None, None),
            password(),
            (Auth::Failed, F::PasswordMismatch),
        ),
        (&none, password(), (Auth::None, F::PasswordMissing)),
        (&none, empty(), (Auth::None, F::TokenNotConfigured)),
        (
            &sent(Some("t"), None, None, None),
            empty(),
            (Auth::Failed, F::TokenNotConfigured),
        ),
    ] {
        assert_eq!(
            verified(claims, DeviceProof::Absent, auth.clone()),
            expected,
            "{auth} {claims:?}"
        );
    }
}

#[test]
fn a_device_token_stands_in_for_a_shared_secret_that_failed() {
    use AuthFailure as F;
    for (claims, expected) in [
        (
            sent(Some("t"), None, Some("wrong"), None),
            (Auth::Token, F::None),
        ),
        (
            sent(Some("wrong"), None, Some("dt"), None),
            (Auth::DeviceToken, F::None),
        ),
        (
            sent(Some("dt"), None, None, None),
            (Auth::DeviceToken, F::None),
        ),
        (
            sent(Some("wrong"), None, None, None),
            (Auth::Failed, F::TokenMismatch),
        ),
        (
            sent(None, None, Some("wrong"), None),
            (Auth::Failed, F::DeviceTokenMismatch),
        ),
        (
            sent(None, None, None, Some("b")),
            (Auth::Failed, F::BootstrapTokenInvalid),
        ),
        (
            sent(None, None, Some("dt"), Some("b")),
            (Auth::DeviceToken, F::None),
        ),
        (
            sent(Some("t"), None, None, Some("b")),
            (Auth::Token, F::None),
        ),
    ] {
        let found = verified(&claims, DeviceProof::Proven, json!({ "token": "t" }));
        assert_eq!(found, expected, "{claims:?}");
    }
    let unproven = sent(None, None, Some("dt"), None);
    let found = verified(
        &unproven,
        DeviceProof::SignatureInvalid,
        json!({ "token": "t" }),
    );
    assert_eq!(found, (Auth::None, F::TokenMissing));
    let mut more = sent(None, None, Some("dt"), None);
    more.scopes = ["operator.read", "operator.write"].map(Into::into).into();
    let found = verified(&more, DeviceProof::Proven, json!({ "token": "t" }));
    assert_eq!(found, (Auth::Failed, F::ScopeMismatch));
}

#[test]
fn either_field_where_the_settings_say_so() {
    let settings = settings(
        json!({ "auth": { "token": "t" }, "compatibility": { "eitherSecretField": true } }),
    );
    let found = |token, password| {
        let claims = sent(token, password, None, None);
        verify(
            &claims,
            DeviceProof::Absent,
            &standing(),
            &settings,
            &request(&[]),
            &Memory::default(),
        )
        .auth
    };
    assert_eq!(found(None, Some("t")), Auth::Token);
    // Observed: auth/…/token-bad+password-good on 2026.9.6.
    assert_eq!(found(Some("wrong"), Some("t")), Auth::Failed);
}

#[test]
fn the_in_process_lane_is_the_host() {
    let mut request = request(&[]);
    request.transport = Transport::InProcess;
    let claims = sent(Some("wrong"), None, None, None);
    let found = verify(
        &claims,
        DeviceProof::Absent,
        &standing(),
        &Settings::default(),
        &request,
        &Memory::default(),
    );
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
    let good = [
        header("X-Forwarded-User", " nick@example.com "),
        header("x-forwarded-proto", "https"),
    ];
    let found = |headers: &[(Box<str>, Box<str>)], change: fn(&mut Request<'_>)| {
        let mut request = request(headers);
        change(&mut request);
        let claims = sent(None, None, None, None);
        verify(
            &claims,
            DeviceProof::Absent,
            &standing(),
            &settings(base.clone()),
            &request,
            &Memory::default(),
        )
        .auth
    };
    assert_eq!(found(&good, |_| ()), Auth::TrustedProxy);
    assert_eq!(
        found(&good, |request| request.peer_is_proxy = false),
        Auth::Failed
    );
    assert_eq!(
        found(&good, |request| request.peer_is_own = true),
        Auth::Failed
    );
    assert_eq!(
        found(&good, |request| request.peer =
            Address::new(std::net::Ipv4Addr::LOCALHOST.into())),
        Auth::Failed
    );
    assert_eq!(found(&good[..1], |_| ()), Auth::Failed);
    assert_eq!(found(&good[1..], |_| ()), Auth::None);
    let other = [header("x-forwarded-user", "eve"), good[1].clone()];
    assert_eq!(found(&other, |_| ()), Auth::Failed);
    let twice = [good[0].clone(), good[0].clone(), good[1].clone()];
    assert_eq!(found(&twice, |_| ()), Auth::None);
}

#[test]
fn beside_a_proxy_this_host_may_use_the_password() {
    let settings = settings(json!({
        "auth": { "mode": "trusted-proxy", "password": "p",
            "trustedProxy": { "userHeader": "x-forwarded-user" } },
        "trustedProxies": ["10.0.0.9", "127.0.0.1"],
        "compatibility": { "passwordBesideProxy": true },
    }));
    let found = |password: &str, peer: [u8; 4], headers: &[&str]| {
        let headers: Vec<(Box<str>, Box<str>)> = headers
            .iter()
            .map(|name| ((*name).into(), "x".into()))
            .collect();
        let mut request = request(&headers);
        request.peer = Address::new(peer.into());
        let claims = sent(None, Some(password), None, None);
        let proof = DeviceProof::Absent;
        let found = verify(
            &claims,
            proof,
            &standing(),
            &settings,
            &request,
            &Memory::default(),
        );
        let reason = found.reason.map(|reason| reason.to_string());
        (found.auth, reason.unwrap_or_default())
    };
    let loopback = [127, 0, 0, 1];
    let loopback_source = "trusted_proxy_loopback_source".to_owned();
    assert_eq!(found("p", loopback, &[]), (Auth::Password, String::new()));
    assert_eq!(
        found("q", loopback, &[]),
        (Auth::Failed, "password_mismatch".to_owned())
    );
    assert_eq!(
        found(" ", loopback, &[]),
        (Auth::None, loopback_source.clone())
    );
    assert_eq!(
        found("p", loopback, &["X-Forwarded-For"]),
        (Auth::None, loopback_source)
    );
    assert_eq!(
        found("p", [10, 0, 0, 9], &[]),
        (Auth::None, "trusted_proxy_user_missing".to_owned())
    );
}

#[test]
fn what_is_locked_is_not_looked_at() {
    let now_ms = 1_770_000_000_000;
    let codes = [SetupCode::issue(
        Secret::new("b"),
        bootstrap::Purpose::General,
        now_ms,
    )];
    let found = |claims: &Claims, locks: Locks| {
        let memory = Memory {
            locks,
            setup_codes: &codes,
            now_ms,
        };
        verify(
            claims,
            DeviceProof::Proven,
            &standing(),
            &settings(json!({ "auth": { "token": "t" } })),
            &request(&[]),
            &memory,
        )
    };
    let locked = |shared, device_token, setup_code| Locks {
        shared,
        device_token,
        setup_code,
    };
    let limited = Some(AuthReason::RateLimited { retry_after_ms: 5 });
    let right = sent(Some("t"), None, None, None);
    let open = found(&right, Locks::default());
    assert_eq!((open.auth, open.tried.shared), (Auth::Token, Trial::Held));
    let shut = found(&right, locked(Some(5), Some(5), None));
    assert_eq!(shut.reason, limited);
    let unseen = Tried {
        shared: Trial::Locked,
        device_token: Trial::Locked,
        setup_code: Trial::None,
    };
    assert_eq!(shut.tried, unseen);

    let device = sent(Some("dt"), None, None, None);
    assert_eq!(
        found(&device, locked(Some(5), None, None)).auth,
        Auth::DeviceToken,
        "each kind is locked by itself"
    );
    assert_eq!(found(&device, locked(None, Some(5), None)).reason, limited);

    let code = sent(Some("wrong"), None, None, Some("b"));
    let by_code = found(&code, Locks::default());
    assert_eq!(by_code.auth, Auth::BootstrapToken);
    assert_eq!(by_code.tried.shared, Trial::Failed);
    // The token that was sent is tried as the device's after the code.
    assert_eq!(found(&code, locked(None, Some(5), Some(5))).reason, limited);
    let both = found(&sent(Some("t"), None, None, Some("b")), Locks::default());
    assert_eq!(
        both.auth,
        Auth::BootstrapToken,
        "the code is looked at first"
    );
}
