//! Answers that no recording has: our own reasons, hints, and what must not be told.

use serde_json::{Value, json};

use super::*;
use crate::auth::proxy::ProxyError;
use crate::auth::reason::AuthReason;
use crate::facts::{Auth, AuthMode, Client, Mode, OriginClass, Role};
use crate::secret::Secret;
use crate::settings::Compatibility;
use crate::settings::compatibility::{HelloAuth, HelloScopes, PairingDetails, RefusalWording};
use crate::verdict::{PairingReason, Reason};
use crate::wire::connect::SentSecrets;

fn context(compatibility: &Compatibility) -> Context<'_> {
    Context {
        compatibility,
        auth_mode: AuthMode::Token,
        client: Client::Cli,
        mode: Mode::Cli,
        role: Role::Operator,
        sent: SentSecrets::default(),
        device: true,
        may_lack_device: false,
        direct_local: false,
        origin: OriginClass::Absent,
        auth_reason: None,
        hint: None,
        rule: None,
    }
}

fn details(refusal: &Refusal) -> Value {
    refusal.details.clone().unwrap_or_default()
}

/// Every refusal says what it is to people and to programs, and fits into a close frame.
#[test]
fn every_reason_is_answered() {
    let wordings = [RefusalWording::Brief, RefusalWording::Guided];
    for refusal_wording in wordings {
        let compatibility = Compatibility {
            refusal_wording,
            ..Compatibility::default()
        };
        for reason in Reason::ALL {
            let refusal = refuse(*reason, &context(&compatibility));
            assert!(!refusal.message.is_empty(), "{reason}");
            assert!(details(&refusal)["code"].is_string(), "{reason}");
            assert_eq!(refusal.close.code, 1008, "{reason}");
            assert!(
                refusal.message.starts_with(&refusal.close.reason),
                "{reason}"
            );
        }
    }
}

#[test]
fn our_own_reasons_carry_a_remedy_and_the_policy_s_hint_goes_first() {
    let compatibility = Compatibility::default();
    let plain = context(&compatibility);
    let refusal = refuse(Reason::NotPermitted, &plain);
    assert_eq!(refusal.code, ErrorCode::Forbidden);
    assert_eq!(details(&refusal)["reason"], "not-permitted");
    assert_eq!(
        details(&refusal)["remediationHint"],
        Reason::NotPermitted.remedy()
    );
    let hinted = Context {
        hint: Some("ask Nick"),
        ..plain
    };
    for refusal in [
        refuse(Reason::NotPermitted, &hinted),
        refuse(Reason::TokenMissing, &hinted),
        refuse(Reason::OriginNotAllowed, &hinted),
        pairing_required(&PairingRefusal::new(PairingReason::NotPaired), &hinted),
    ] {
        assert_eq!(details(&refusal)["remediationHint"], "ask Nick");
    }
    let observed = refuse(Reason::TokenMissing, &plain);
    assert_eq!(details(&observed).get("remediationHint"), None);
}

/// OpenClaw 2026.3.23 shows the close reason and nothing else, and its dashboards look for the id
/// in it up to the bracket.
#[test]
fn a_close_reason_names_the_request_whole() {
    let id = "5e8f6edf-b054-4a6e-ba6d-8a5453d5f5e6";
    let reason = |pairing_reason, whole_request_id| {
        let compatibility = Compatibility {
            whole_request_id,
            ..Compatibility::default()
        };
        let pairing = PairingRefusal {
            request_id: Some(id),
            ..PairingRefusal::new(pairing_reason)
        };
        pairing_required(&pairing, &context(&compatibility))
            .close
            .reason
    };
    for pairing_reason in [
        PairingReason::NotPaired,
        PairingReason::MetadataUpgrade,
        PairingReason::RoleUpgrade,
        PairingReason::ScopeUpgrade,
    ] {
        let whole = reason(pairing_reason, true);
        assert!(whole.starts_with("pairing required: "), "{whole}");
        assert!(whole.ends_with(&format!("(requestId: {id})")), "{whole}");
    }
    assert_eq!(
        reason(PairingReason::ScopeUpgrade, true),
        format!("pairing required: scope-upgrade (requestId: {id})")
    );
    assert_eq!(reason(PairingReason::ScopeUpgrade, false).len(), 120);
}

#[test]
fn a_header_that_a_proxy_has_to_send_is_told_apart_in_the_newest_release() {
    let (guided, reason) = (
        Compatibility::default(),
        AuthReason::TrustedProxy(ProxyError::MissingHeader("x-forwarded-proto".into())),
    );
    let node = Context {
        auth_mode: AuthMode::TrustedProxy,
        client: Client::NodeHost,
        mode: Mode::Node,
        role: Role::Node,
        auth_reason: Some(&reason),
        ..context(&guided)
    };
    let refusal = refuse(Reason::Unauthorized, &node);
    assert!(refusal.message.starts_with("gateway rejected this node"));
    assert_eq!(details(&refusal)["code"], "AUTH_IDENTITY_HEADER_REQUIRED");
    assert_eq!(
        details(&refusal)["authReason"],
        "trusted_proxy_missing_header_x-forwarded-proto"
    );
}

#[test]
fn who_failed_too_often_is_told_when_to_come_back() {
    let compatibility = Compatibility::default();
    let reason = AuthReason::RateLimited {
        retry_after_ms: 1_500,
    };
    let limited = Context {
        auth_reason: Some(&reason),
        ..context(&compatibility)
    };
    let refusal = refuse(Reason::RateLimited, &limited);
    assert_eq!(
        (refusal.retryable, refusal.retry_after_ms),
        (Some(true), Some(1_500))
    );
    let response = HttpRefusal::of(HttpReason::RateLimited {
        retry_after_ms: 1_500,
    });
    assert_eq!(response.status, 429);
    assert_eq!(response.headers, [("retry-after", "2".to_owned())]);
}

/// Reference 1.8; the third member is in none of the recordings.
#[test]
fn a_request_id_is_told_only_if_it_can_stand_in_a_command() {
    for (id, good) in [
        ("11111111-1111-4111-8111-111111111111", true),
        ("a", true),
        ("", false),
        ("-rf", false),
        ("a b", false),
        ("a;b", false),
        ("é", false),
        (&*"a".repeat(128), true),
        (&*"a".repeat(129), false),
    ] {
        assert_eq!(pairing::is_request_id(id), good, "{id}");
    }
    let compatibility = Compatibility::default();
    let asked = PairingRefusal {
        request_id: Some("a;b"),
        ..PairingRefusal::new(PairingReason::NotPaired)
    };
    let refusal = pairing_required(&asked, &context(&compatibility));
    assert_eq!(details(&refusal).get("requestId"), None);
    assert_eq!(refusal.close.reason, refusal.message);
}

/// The truth tables `buildPairingConnectErrorDetails`.
#[test]
fn what_waits_for_the_owner_is_told_as_the_release_does() {
    let (roles, scopes) = (["operator".into()], ["operator.read".into()]);
    let asked = PairingRefusal {
        request_id: Some("R"),
        device_id: Some("D"),
        scopes: &["operator.admin".into()],
        approved_roles: &roles,
        approved_scopes: &scopes,
        ..PairingRefusal::new(PairingReason::ScopeUpgrade)
    };
    let told = |pairing_details, asked: &PairingRefusal<'_>| {
        let compatibility = Compatibility {
            pairing_details,
            ..Compatibility::default()
        };
        details(&pairing_required(asked, &context(&compatibility)))
    };
    assert_eq!(
        told(PairingDetails::Brief, &asked),
        json!({ "code": "PAIRING_REQUIRED", "requestId": "R", "reason": "scope-upgrade" })
    );
    let full = json!({
        "code": "PAIRING_REQUIRED", "reason": "scope-upgrade", "requestId": "R",
        "remediationHint": "Review the requested scopes, then approve the pending upgrade.",
        "deviceId": "D", "requestedRole": "operator", "requestedScopes": ["operator.admin"],
        "approvedRoles": ["operator"], "approvedScopes": ["operator.read"],
    });
    assert_eq!(told(PairingDetails::Full, &asked), full);
    assert_eq!(told(PairingDetails::Retryable, &asked), full);
}

#[test]
fn an_admission_is_told_as_the_release_does() {
    let token = Secret::new("device-token-not-a-secret");
    let (own, of_token) = (["operator.read".into()], ["operator.admin".into()]);
    let issued = Issued {
        token: &token,
        role: Role::Operator,
        scopes: &of_token,
        issued_at_ms: 7,
    };
    let more = json!({ "policy": { "attachments": 1, "maxPayload": 1 }, "type": "other" });
    let server = Server {
        methods: &["health"],
        events: &["tick"],
        more: more.as_object(),
        ..Server::new("1", "c")
    };
    let told = |hello_auth, hello_scopes, issued| {
        let compatibility = Compatibility {
            hello_auth,
            hello_scopes,
            ..Compatibility::default()
        };
        let session = Session {
            protocol: 4,
            auth: Auth::Open,
            role: Role::Operator,
            scopes: &own,
            issued,
            also_issued: &[],
        };
        hello(&server, &session, &compatibility)
    };
    let payload = told(HelloAuth::Method, HelloScopes::Session, Some(issued));
    assert_eq!(
        payload,
        json!({
            "type": "hello-ok", "protocol": 4,
            "server": { "version": "1", "connId": "c" },
            "features": { "methods": ["health"], "events": ["tick"] },
            "snapshot": {},
            "auth": { "method": "none", "role": "operator", "scopes": ["operator.read"],
                "deviceToken": "device-token-not-a-secret", "issuedAtMs": 7 },
            "policy": { "maxPayload": 26_214_400, "maxBufferedBytes": 52_428_800,
                "tickIntervalMs": 30_000, "attachments": 1 },
        })
    );
    let older = told(HelloAuth::Always, HelloScopes::Token, Some(issued));
    assert_eq!(older["auth"]["scopes"], json!(["operator.admin"]));
    assert_eq!(older["auth"].get("method"), None);
    let without = told(HelloAuth::Always, HelloScopes::Token, None);
    assert_eq!(
        without["auth"],
        json!({ "role": "operator", "scopes": ["operator.read"] })
    );
    assert_eq!(
        told(HelloAuth::Issued, HelloScopes::Token, None).get("auth"),
        None
    );
    let shown = format!("{issued:?}");
    assert!(!shown.contains("not-a-secret"), "{shown}");
}

#[test]
fn frames_are_text() {
    let compatibility = Compatibility::default();
    assert_eq!(
        event("connect.challenge", &challenge("n", 7, &[])),
        r#"{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":7}}"#
    );
    assert_eq!(
        challenge("n", 7, &["model-catalog-snapshot"])["capabilities"],
        json!(["model-catalog-snapshot"])
    );
    assert_eq!(
        response::<Refusal>("c1", Ok(&json!({}))),
        r#"{"type":"res","id":"c1","ok":true,"payload":{}}"#
    );
    let refusal = refuse(Reason::DeviceRequired, &context(&compatibility));
    assert_eq!(
        response("c1", Err(&refusal)),
        r#"{"type":"res","id":"c1","ok":false,"error":{"code":"NOT_PAIRED","message":"device identity required","details":{"code":"DEVICE_IDENTITY_REQUIRED"}}}"#
    );
    assert_eq!(starting().retry_after_ms, Some(500));
}
