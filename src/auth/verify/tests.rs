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
    );
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
    more.scopes.push("operator.write".into());
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
