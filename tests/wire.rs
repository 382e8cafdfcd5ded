//! Every recorded answer, made again: the message that was sent is read for real, and what the
//! gateway decided of it is worded anew.
//!
//! A recording is left out only where it needs a socket, or was made after admission. Whether
//! the decision is right is not asked here.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is a test: what is missing fails it"
)]
#![expect(
    clippy::print_stdout,
    reason = "how many answers were compared is worth saying"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use gw::auth::AuthReason;
use gw::auth::proxy::ProxyError;
use gw::facts::{Auth, Client, Ingress, Mode, Role};
use gw::handshake;
use gw::recorded::row::{Row, Step};
use gw::recorded::{Recording, sent};
use gw::secret::Secret;
use gw::settings::{Compatibility, Settings};
use gw::verdict::{PairingReason, Reason};
use gw::wire::reply::{
    self, Context, Hello, HttpReason, HttpRefusal, Issued, PairingRefusal, Refusal, Server, Session,
};
use gw::wire::{Close, Connect, Limits, Schema, connect, frame, negotiate};
use serde_json::{Value, json};

const RELEASES: [&str; 4] = ["2026.3.23", "2026.4.15", "2026.4.22", "2026.9.6"];
/// A request that was seeded, and one that was not.
const SEEDED: &str = "00000000-0000-4000-8000-000000000001";
const FRESH: &str = "11111111-1111-4111-8111-111111111111";

#[test]
fn recorded_answers_are_made_again() {
    for release in RELEASES {
        let mut tally = Tally::default();
        let recording = Recording::read(&recorded(release)).unwrap();
        let compatibility = compatibility(release);
        let mut settings = BTreeMap::new();
        for row in &recording.rows {
            let settings = settings
                .entry(row.cfg.clone())
                .or_insert_with(|| recording.settings(&row.cfg, &compatibility).unwrap());
            for step in row.steps() {
                tally.step(row, step, settings);
            }
        }
        println!(
            "{release}: {} of {} answers agree, {} need a socket or none came",
            tally.same,
            tally.same + tally.different.len(),
            tally.left_out
        );
        for line in tally.different.iter().take(20) {
            println!("  {line}");
        }
        let answers = tally.same + tally.different.len();
        assert!(
            answers > 9_000,
            "{release}: only {answers} answers were compared"
        );
        assert!(
            tally.different.len() * 1_000 <= answers,
            "{release}: less than 99.9 % agree"
        );
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn recorded(release: &str) -> String {
    let path = root().join(format!("fixtures/observed/{release}.jsonl.gz"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    text
}

fn compatibility(release: &str) -> Compatibility {
    let path = root().join(format!("policies/openclaw/{release}.yaml"));
    serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[derive(Default)]
struct Tally {
    same: usize,
    left_out: usize,
    different: Vec<String>,
}

impl Tally {
    fn step(&mut self, row: &Row, step: &Step, settings: &Settings) {
        let made = match sent::sent(row, step, settings, &BTreeMap::new()).unwrap() {
            Some(sent) => answer(step, &sent, settings),
            None => None,
        };
        let Some((recorded, made)) = made else {
            self.left_out += 1;
            return;
        };
        if recorded == made {
            self.same += 1;
        } else {
            let line = format!(
                "{} {}\n    recorded {recorded}\n    made     {made}",
                row.cfg, row.id
            );
            self.different.push(line);
        }
    }
}

/// What was recorded, and what is made of the same; `None` where nothing is to be compared.
fn answer(step: &Step, sent: &sent::Sent, settings: &Settings) -> Option<(Value, Value)> {
    let out = &step.out;
    match out["kind"].as_str()? {
        "http" => {
            assert_eq!(out["status"], 403, "{out}");
            let made = HttpRefusal::of(HttpReason::ProxyAttributionRequired);
            let body: String = made.body.chars().take(160).collect();
            let recorded = json!([out["status"], out["contentType"], out["body"]]);
            return Some((recorded, json!([made.status, made.content_type, body])));
        }
        "hello-ok" | "error" | "closed" => {}
        // A loopback client that had to wait longer than the recorder did.
        "timeout" => return None,
        other => panic!("no such outcome: {other}"),
    }
    let recorded = json!({
        "error": out.get("error"), "close": close_of(out), "id": out.get("resId"),
        "protocol": out.get("protocol"), "auth": out.get("auth"),
    });
    let mut made = match made(out, sent, settings) {
        Made::Closed(close) => json!({ "error": null, "close": [close.code, close.reason] }),
        Made::Refused(refusal, id) => {
            let error = redacted(serde_json::to_value(&refusal).unwrap());
            let reason = cut(&refusal.close.reason);
            let id = (&*id != "c1").then_some(id);
            json!({ "error": error, "close": [refusal.close.code, reason], "id": id })
        }
        Made::Admitted(payload) => {
            let auth = payload.get("auth").map(|auth| {
                let mut auth = auth.clone();
                let object = auth.as_object_mut().unwrap();
                let token = object.remove("deviceToken").is_some();
                object.insert("deviceToken".to_owned(), token.into());
                object.remove("issuedAtMs");
                auth
            });
            json!({ "protocol": payload["protocol"], "auth": auth })
        }
    };
    for name in ["error", "close", "id", "protocol", "auth"] {
        if made.get(name).is_none() {
            made[name] = Value::Null;
        }
    }
    Some((recorded, made))
}

/// "=" stands for the error's message.
fn close_of(out: &Value) -> Value {
    match out["close"].as_array().map(Vec::as_slice) {
        Some([code, reason]) if reason == "=" => json!([code, out["error"]["message"]]),
        Some([code, reason]) => json!([code, reason]),
        _ => Value::Null,
    }
}

enum Made {
    Closed(Close),
    Refused(Box<Refusal>, Box<str>),
    Admitted(Value),
}

fn made(out: &Value, sent: &sent::Sent, settings: &Settings) -> Made {
    let compatibility = &settings.compatibility;
    let read = match frame::read(&sent.message, Limits::DEFAULT.first_message_bytes) {
        Ok(read) => read,
        Err(error) => return Made::Closed(error.close()),
    };
    let connect = match connect::parse(&read, &Schema::of(compatibility)) {
        Ok(connect) => connect,
        Err(error) => {
            return match reply::connect_error(&error, compatibility) {
                Ok(refusal) => Made::Refused(Box::new(refusal), error.request_id.unwrap()),
                Err(close) => Made::Closed(close),
            };
        }
    };
    let id = connect.id.clone();
    let protocol = match negotiate(&compatibility.protocol, &connect) {
        Ok(protocol) => protocol,
        Err(error) => return Made::Refused(Box::new(reply::mismatch(&error, compatibility)), id),
    };
    if out["kind"] == "hello-ok" {
        return Made::Admitted(admitted(out, protocol, settings));
    }
    let claims = connect.claims();
    let helper = claims.client == Client::GatewayClient && claims.mode == Mode::Backend;
    if out["kind"] == "closed" && helper && claims.role == Role::Node {
        return Made::Closed(reply::node_without_record());
    }
    Made::Refused(Box::new(refused(out, &connect, sent, settings)), id)
}

fn refused(out: &Value, connect: &Connect, sent: &sent::Sent, settings: &Settings) -> Refusal {
    let details = &out["error"]["details"];
    let auth_reason = details["authReason"].as_str().and_then(auth_reason);
    let facts = handshake::at_upgrade(settings, &sent.socket, &sent.http);
    let context = Context {
        direct_local: facts.peer.is_loopback() && facts.ingress == Ingress::Direct,
        origin: facts.origin.class(),
        auth_reason: auth_reason.as_ref(),
        ..Context::of(connect, settings)
    };
    match out["error"]["message"].as_str().unwrap_or_default() {
        message if message.starts_with("agent runtime identity") => {
            assert!(connect.sent.agent_identity);
            return reply::agent_identity();
        }
        message if message.starts_with("authenticated node") => return reply::node_identity(),
        _ => {}
    }
    if details["code"] != "PAIRING_REQUIRED" {
        return reply::refuse(reason(details), &context);
    }
    let words = |name: &str| -> Vec<Box<str>> {
        let list = details[name]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        list.iter()
            .map(|word| word.as_str().unwrap().into())
            .collect()
    };
    let (roles, scopes) = (words("approvedRoles"), words("approvedScopes"));
    let ui = connect.claims().client.name();
    reply::pairing_required(
        &PairingRefusal {
            reason: PairingReason::parse(details["reason"].as_str().unwrap()).unwrap(),
            request_id: details["requestId"].as_str().map(|id| match id {
                "<seeded-request>" => SEEDED,
                _ => FRESH,
            }),
            device_id: details["deviceId"].as_str(),
            scopes: &connect.claims().scopes,
            approved_roles: &roles,
            approved_scopes: &scopes,
            // A node's host was asked over SSH. Of others, the crate has to know.
            verifying: details["retryable"] == true
                && connect.claims().role == Role::Node
                && !matches!(ui, "openclaw-control-ui" | "openclaw-tui"),
        },
        &context,
    )
}

fn reason(details: &Value) -> Reason {
    match details["code"].as_str().unwrap_or_default() {
        "AUTH_TOKEN_MISSING" => Reason::TokenMissing,
        "AUTH_TOKEN_MISMATCH" => Reason::TokenMismatch,
        "AUTH_TOKEN_NOT_CONFIGURED" => Reason::TokenNotConfigured,
        "AUTH_PASSWORD_MISSING" => Reason::PasswordMissing,
        "AUTH_PASSWORD_MISMATCH" => Reason::PasswordMismatch,
        "AUTH_PASSWORD_NOT_CONFIGURED" => Reason::PasswordNotConfigured,
        "AUTH_BOOTSTRAP_TOKEN_INVALID" => Reason::BootstrapTokenInvalid,
        "AUTH_DEVICE_TOKEN_MISMATCH" => Reason::DeviceTokenMismatch,
        "AUTH_SCOPE_MISMATCH" => Reason::ScopeMismatch,
        "AUTH_RATE_LIMITED" => Reason::RateLimited,
        "AUTH_UNAUTHORIZED" | "AUTH_IDENTITY_HEADER_REQUIRED" => Reason::Unauthorized,
        "CONTROL_UI_ORIGIN_NOT_ALLOWED" => Reason::OriginNotAllowed,
        "CONTROL_UI_DEVICE_IDENTITY_REQUIRED" => Reason::DeviceRequired,
        "DEVICE_IDENTITY_REQUIRED" => Reason::DeviceRequired,
        "DEVICE_AUTH_DEVICE_ID_MISMATCH" => Reason::DeviceIdMismatch,
        "DEVICE_AUTH_SIGNATURE_EXPIRED" => Reason::DeviceSignatureStale,
        "DEVICE_AUTH_NONCE_REQUIRED" => Reason::DeviceNonceMissing,
        "DEVICE_AUTH_NONCE_MISMATCH" => Reason::DeviceNonceMismatch,
        "DEVICE_AUTH_SIGNATURE_INVALID" => Reason::DeviceSignatureInvalid,
        "DEVICE_AUTH_PUBLIC_KEY_INVALID" => Reason::DevicePublicKeyInvalid,
        "PROTOCOL_MISMATCH" => Reason::BuildMismatch,
        // Not a refusal of this step at all: it will differ.
        "" => Reason::NotPermitted,
        other => panic!("no such code: {other}"),
    }
}

/// What is finer than the reason.
fn auth_reason(word: &str) -> Option<AuthReason> {
    let proxy = |error| Some(AuthReason::TrustedProxy(error));
    if let Some(header) = word.strip_prefix("trusted_proxy_missing_header_") {
        return proxy(ProxyError::MissingHeader(header.into()));
    }
    match word {
        "rate_limited" => Some(AuthReason::RateLimited { retry_after_ms: 1 }),
        "trusted_proxy_untrusted_source" => proxy(ProxyError::UntrustedPeer),
        "trusted_proxy_loopback_source" => proxy(ProxyError::Loopback),
        "trusted_proxy_local_interface_source" => proxy(ProxyError::OwnAddress),
        "trusted_proxy_user_missing" => proxy(ProxyError::NoUser("x-forwarded-user".into())),
        "trusted_proxy_user_not_allowed" => proxy(ProxyError::UserNotAllowed),
        _ => None,
    }
}

fn admitted(out: &Value, protocol: u64, settings: &Settings) -> Value {
    let auth = &out["auth"];
    let words = |value: &Value| -> Vec<Box<str>> {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter()
            .map(|word| word.as_str().unwrap().into())
            .collect()
    };
    let role = |value: &Value| Role::parse(value.as_str().unwrap_or("operator")).unwrap();
    let token = Secret::new("<redacted>");
    let scopes = words(&auth["scopes"]);
    let issued = Issued {
        token: &token,
        role: role(&auth["role"]),
        scopes: &scopes,
        issued_at_ms: 1,
    };
    let held = match auth["method"].as_str() {
        None | Some("none") => Auth::Open,
        Some(word) => Auth::parse(word).unwrap(),
    };
    let payload = reply::hello(
        &Hello {
            protocol,
            server: Server {
                version: "1",
                connection_id: FRESH,
                build_id: None,
                boot_id: None,
            },
            methods: &[],
            events: &[],
            capabilities: &[],
            snapshot: &json!({}),
            session: Session {
                auth: held,
                role: role(&auth["role"]),
                scopes: &scopes,
                issued: (auth["deviceToken"] == true).then_some(issued),
                also_issued: &[],
            },
            limits: Limits::DEFAULT,
            more: None,
        },
        &settings.compatibility,
    );
    assert_eq!(auth.get("deviceTokens"), None, "none was recorded yet");
    payload
}

/// As the recorder did, so that two runs can be compared.
fn redacted(mut error: Value) -> Value {
    if let Some(id) = error.pointer_mut("/details/requestId") {
        let name = if *id == SEEDED {
            "<seeded-request>"
        } else {
            "<uuid>"
        };
        *id = name.into();
    }
    if let Some(after) = error.get_mut("retryAfterMs") {
        *after = "<ms>".into();
    }
    error
}

fn cut(reason: &str) -> String {
    let Some((before, id)) = reason.split_once("requestId: ") else {
        return reason.to_owned();
    };
    let id = match id.len() {
        0..=35 => format!("<uuid cut to {}>", id.len()),
        _ => id
            .replace(SEEDED, "<seeded-request>")
            .replace(FRESH, "<uuid>"),
    };
    format!("{before}requestId: {id}")
}
