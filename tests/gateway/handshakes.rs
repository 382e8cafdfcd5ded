//! What a client is answered: admitted with its calls, or refused with all that helps, and what the
//! log has of it.

use gw::journal::{Kind, Line};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Asking, Client, Closed};
use crate::raw::{Raw, UPGRADE};
use crate::served::{Plan, Served, rules, settings};

/// Owners come in by the command line and the token; anybody else waits until he is approved.
pub(crate) const DOOR: &str = "[known] pairing=paired → approve
[owner] client=cli and auth=token → silent-approve
[node] client=node-host and auth=token and pairing=none → approve
default → require-pairing";

pub(crate) fn door() -> Plan {
    Plan {
        policy: rules(DOOR),
        ..Plan::default()
    }
}

/// Somebody who has to wait.
pub(crate) fn guest(name: &str) -> Asking {
    Asking {
        client: ("gateway-client", "backend"),
        ..Asking::device(name)
    }
    .scopes(&["operator.read"])
}

fn line_of<'a>(lines: &'a [Line], kind: Kind, connection: &str) -> &'a Line {
    let mut lines = lines.iter();
    lines
        .find(|line| line.kind == kind && &*line.connection == connection)
        .unwrap()
}

#[tokio::test]
async fn an_admitted_client_is_told_what_it_may_call_and_is_answered() {
    let served = door().serve();
    let (mut owner, hello) = served.knock(&Asking::device("owner")).await.unwrap();
    assert_eq!(hello["type"], "hello-ok");
    assert_eq!(hello["protocol"], 4);
    assert_eq!(hello["policy"]["maxPayload"], 26_214_400);
    assert_eq!(hello["snapshot"]["authMode"], "token");
    assert!(hello["auth"]["deviceToken"].is_string());
    let connection = hello["server"]["connId"].as_str().unwrap().to_owned();

    let health = owner.call("health", Value::Null).await.unwrap();
    assert_eq!(health["ok"], true);
    let status = owner.call("status", json!({})).await.unwrap();
    assert_eq!(status["sessions"][0]["connection"], connection);
    assert_eq!(status["sessions"][0]["device"].as_str().unwrap().len(), 64);
    let list = owner.call("device.pair.list", json!({})).await.unwrap();
    assert_eq!(list["paired"].as_array().unwrap().len(), 1);
    assert_eq!(list["paired"][0]["connected"], true);
    let policy = owner.call("policy.status", Value::Null).await.unwrap();
    assert_eq!(policy["name"], "test.policy");
    assert_eq!(policy["differs"], false);
    let own = owner.call("admission.explain", json!({})).await.unwrap();
    assert_eq!(own["logged"]["connection"], connection);
    assert_eq!(own["logged"]["by"], "owner");
    let recent = owner.call("admission.recent", json!({})).await.unwrap();
    assert_eq!(recent["lines"][0]["connection"], connection);
    let methods = hello["features"]["methods"].as_array().unwrap();
    for method in [
        "health",
        "status",
        "device.pair.list",
        "policy.status",
        "admission.explain",
        "admission.recent",
    ] {
        assert!(methods.contains(&method.into()), "{method}");
    }
}

#[tokio::test]
async fn what_another_connection_is_told_of_is_for_administrators() {
    let served = door().serve();
    let mut owner = served.admit(&Asking::device("owner")).await;
    let guest_asking = guest("guest");
    let refused = served.refuse(&guest_asking).await;
    let recent = owner.call("admission.recent", json!({ "limit": 1 })).await;
    let told = recent.unwrap()["lines"][0].clone();
    assert_eq!(told["request"], refused.request_id());
    let explained = owner
        .call(
            "admission.explain",
            json!({ "connection": told["connection"] }),
        )
        .await
        .unwrap();
    assert_eq!(explained["logged"], told);

    let reader = Asking::device("reader").scopes(&["operator.read"]);
    let mut reader = served.admit(&reader).await;
    for (method, params, missing) in [
        (
            "admission.explain",
            json!({ "connection": told["connection"] }),
            "operator.admin",
        ),
        ("admission.recent", json!({}), "operator.admin"),
        ("policy.reload", json!({}), "operator.admin"),
        ("device.pair.list", json!({}), "operator.pairing"),
        (
            "device.pair.approve",
            json!({ "requestId": refused.request_id() }),
            "operator.pairing",
        ),
    ] {
        let error = reader.call(method, params).await.unwrap_err();
        assert_eq!(error["message"], format!("missing scope: {missing}"));
        assert_eq!(error["code"], "FORBIDDEN");
        assert_eq!(error["details"]["missingScope"], missing);
    }
    let status = reader.call("status", json!({})).await.unwrap();
    assert_eq!(status["sessions"][0]["device"], Value::Null, "{status}");
    reader.call("admission.explain", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_wrong_call_is_answered_and_the_session_goes_on() {
    let served = door().serve();
    let mut client = served.admit(&Asking::device("owner")).await;
    let unknown = client.call("chat.send", json!({})).await.unwrap_err();
    assert_eq!(unknown["code"], "INVALID_REQUEST");
    assert_eq!(unknown["message"], "unknown method: chat.send");
    let again = client.call("connect", json!({})).await.unwrap_err();
    assert!(again["message"].as_str().unwrap().contains("first request"));
    for (frame, id) in [
        (json!({ "type": "req", "id": "7" }), "7"),
        (json!({ "type": "req", "method": "health" }), "invalid"),
        (json!({ "type": "event", "event": "tick" }), "invalid"),
        (json!(["req"]), "invalid"),
        (
            json!({ "type": "req", "id": "8", "method": "health", "more": 1 }),
            "8",
        ),
    ] {
        client.send(&frame).await;
        let error = client.answer(id).await.unwrap().unwrap_err();
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("invalid request frame: "), "{message}");
    }
    client.call("health", Value::Null).await.unwrap();
}

#[tokio::test]
async fn the_eleventh_call_of_another_role_in_a_row_ends_the_session() {
    let served = door().serve();
    let node = Asking {
        client: ("node-host", "node"),
        role: "node",
        device: None,
        ..Asking::default()
    }
    .scopes(&[]);
    let node = Asking {
        device: Some("node".to_owned()),
        ..node
    };
    let waiting = served.refuse(&node).await;
    let mut owner = served.admit(&Asking::device("owner")).await;
    let approved = json!({ "requestId": waiting.request_id() });
    owner.call("device.pair.approve", approved).await.unwrap();
    let mut node = served.admit(&node).await;
    for _ in 0..10 {
        let error = node.call("status", json!({})).await.unwrap_err();
        assert_eq!(error["message"], "unauthorized role: node");
    }
    node.call("health", Value::Null).await.unwrap();
    for _ in 0..11 {
        let error = node.call("device.pair.list", json!({})).await.unwrap_err();
        assert_eq!(error["message"], "unauthorized role: node");
    }
    assert_eq!(
        node.closed().await,
        Closed::new(1008, "repeated unauthorized calls")
    );
}

/// What a refusal says, and what the log has of it.
#[tokio::test]
async fn a_refusal_says_what_is_missing_and_is_logged() {
    struct Case {
        asking: Asking,
        code: &'static str,
        details: &'static str,
        reason: Option<&'static str>,
        close: (u16, &'static str),
        kind: Kind,
    }
    let wrong_nonce = {
        let device = guest("nonce").frame("another")["params"]["device"].clone();
        Asking {
            more: json!({ "device": device }),
            ..guest("nonce")
        }
    };
    let cases = [
        Case {
            asking: guest("stranger"),
            code: "NOT_PAIRED",
            details: "PAIRING_REQUIRED",
            reason: Some("not-paired"),
            close: (
                1008,
                "pairing required: device is not approved yet (requestId: ID)",
            ),
            kind: Kind::Decided,
        },
        Case {
            asking: guest("guess").auth(json!({ "token": "guessed" })),
            code: "INVALID_REQUEST",
            details: "AUTH_TOKEN_MISMATCH",
            reason: None,
            close: (
                1008,
                "unauthorized: gateway token mismatch (provide gateway auth token)",
            ),
            kind: Kind::Decided,
        },
        Case {
            asking: wrong_nonce,
            code: "INVALID_REQUEST",
            details: "DEVICE_AUTH_NONCE_MISMATCH",
            reason: Some("device-nonce-mismatch"),
            close: (1008, "device nonce mismatch"),
            kind: Kind::Decided,
        },
        Case {
            asking: Asking {
                device: None,
                ..guest("none")
            },
            code: "NOT_PAIRED",
            details: "DEVICE_IDENTITY_REQUIRED",
            reason: None,
            close: (1008, "device identity required"),
            kind: Kind::Decided,
        },
        Case {
            asking: Asking {
                more: json!({ "minProtocol": 5, "maxProtocol": 6 }),
                ..guest("future")
            },
            code: "INVALID_REQUEST",
            details: "PROTOCOL_MISMATCH",
            reason: None,
            close: (1002, "protocol mismatch"),
            kind: Kind::FrameRefused,
        },
    ];
    let plan = Plan {
        policy: rules(
            "guard device not in { absent, proven } → reject(as-found)
guard auth=failed → reject(as-found)
guard no-device → reject(device-required)
[known] pairing=paired → approve
default → require-pairing",
        ),
        ..Plan::default()
    };
    let served = plan.serve();
    let mut answered = Vec::new();
    for case in &cases {
        let refused = served.refuse(&case.asking).await;
        let error = &refused.error;
        assert_eq!(error["code"], case.code, "{error}");
        assert_eq!(error["details"]["code"], case.details, "{error}");
        if let Some(reason) = case.reason {
            assert_eq!(error["details"]["reason"], reason, "{error}");
        }
        let mut reason = case.close.1.to_owned();
        if reason.contains("ID") {
            let id = refused.request_id();
            assert_eq!(id.len(), 36);
            assert!(error["details"]["remediationHint"].is_string());
            assert_eq!(
                error["details"]["requestedScopes"],
                json!(["operator.read"])
            );
            reason = reason.replace("ID", id);
        }
        assert!(reason.len() <= 120);
        assert_eq!(refused.closed, Closed::new(case.close.0, &reason));
        answered.push(refused);
    }
    assert_eq!(served.gateway.sessions(), 0);
    let (_, lines) = served.end().await;
    assert_eq!(lines.len(), cases.len(), "{lines:?}");
    for ((case, refused), line) in cases.iter().zip(&answered).zip(&lines) {
        assert_eq!(line.kind, case.kind);
        let answer = line.answer.as_ref().unwrap();
        assert!(!answer.admitted);
        assert_eq!(answer.code.as_deref(), Some(case.code));
        assert_eq!(answer.details.as_deref(), Some(case.details));
        assert_eq!(answer.close, Some(case.close.0));
        if case.close.1.contains("ID") {
            assert_eq!(line.request.as_deref(), Some(refused.request_id()));
        }
        assert!(line.explained().is_some());
    }
}

/// What is no connect frame is closed, some of it without an answer.
#[tokio::test]
async fn a_first_message_that_is_no_connect_frame_is_closed() {
    use tokio_tungstenite::tungstenite::Message;
    let served = door().serve();
    for (message, answered, closed) in [
        (Message::text("no json"), false, Closed::new(1000, "")),
        (
            Message::text(r#"{"type":"event"}"#),
            false,
            Closed::new(1008, "invalid request frame"),
        ),
        (
            Message::binary(vec![0xff, 0xfe]),
            false,
            Closed::new(1007, ""),
        ),
        (
            Message::text(r#"{"type":"req","id":"connect","method":"health"}"#),
            true,
            Closed::new(1008, "invalid handshake: first request must be connect"),
        ),
    ] {
        use futures_util::SinkExt as _;
        let mut client = served.open().await;
        client.socket.send(message).await.unwrap();
        let refused = client.hello().await.unwrap_err();
        assert_eq!(refused.error != Value::Null, answered, "{refused:?}");
        assert_eq!(refused.closed, closed);
    }
    let (_, lines) = served.end().await;
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line.kind == Kind::FrameRefused));
}

/// Answers the raw request of a client, whole.
pub(crate) async fn http(served: &Served, request: &str) -> String {
    let mut stream = served.tcp().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    crate::client::soon("an answer", stream.read_to_end(&mut answer))
        .await
        .unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn pages_and_broken_upgrades_are_answered_over_http() {
    let mut plan = door();
    plan.options.metrics = true;
    let served = plan.serve();
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (request, headers, status, body) in [
        (
            "GET /healthz",
            String::new(),
            200,
            r#"{"ok":true,"status":"live"}"#,
        ),
        ("GET /readyz", String::new(), 200, r#"{"ready":true}"#),
        ("HEAD /readyz", String::new(), 200, ""),
        ("POST /healthz", String::new(), 405, ""),
        ("GET /metrics", String::new(), 200, "gw_"),
        (
            "GET /metrics",
            "X-Forwarded-For: 192.0.2.1\r\n".into(),
            404,
            "",
        ),
        (
            "GET /metrics",
            "Forwarded: for=192.0.2.1\r\n".into(),
            404,
            "",
        ),
        ("GET /metrics", "Via: 1.1 proxy\r\n".into(), 404, ""),
        // Two readers on the way could take it for two requests.
        ("GET /metrics", "Host: 127.0.0.1\r\n".into(), 404, ""),
        ("GET http://gw.example/metrics", String::new(), 404, ""),
        ("GET http://127.0.0.1/metrics", String::new(), 200, "gw_"),
        ("GET /", String::new(), 404, "/healthz"),
        ("GET /?token=hunter2", String::new(), 404, ""),
        ("GET /", upgrade.to_owned(), 400, "Sec-WebSocket-Key"),
        (
            "GET /",
            format!("{upgrade}Sec-WebSocket-Key: short\r\n"),
            400,
            "16 bytes",
        ),
        (
            "GET /",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n".into(),
            400,
            "only WebSocket",
        ),
        (
            "GET /",
            format!("Upgrade: websocket\r\n{key}"),
            400,
            "`Connection: Upgrade`",
        ),
        (
            "GET /",
            format!(
                "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\n{key}"
            ),
            400,
            "Sec-WebSocket-Version",
        ),
        ("POST /", format!("{upgrade}{key}"), 405, ""),
    ] {
        let answer = http(
            &served,
            &format!("{request} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n"),
        )
        .await;
        let start = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&start), "{request} {headers}: {answer}");
        assert!(answer.contains(body), "{request} {headers}: {answer}");
        assert!(!answer.contains("hunter2"), "{answer}");
    }
    // Off, it is a page like any other.
    let off = door().serve();
    let answer = http(&off, "GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[tokio::test]
async fn an_upgrade_that_the_policy_refuses_is_answered_over_http_and_logged() {
    let plan = Plan {
        policy: rules(
            "guard at upgrade loopback → reject(not-permitted)\ndefault → require-pairing",
        ),
        ..Plan::default()
    };
    let served = plan.serve();
    let Err(refused) = served.try_open(&Asking::default()).await else {
        panic!("it is a WebSocket");
    };
    assert!(refused.to_string().contains("403"), "{refused}");
    let (_, lines) = served.end().await;
    assert_eq!(lines[0].kind, Kind::UpgradeRefused);
    assert_eq!(lines[0].answer.as_ref().unwrap().http, Some(403));
}

/// Each connection has its line; a session has two.
#[tokio::test]
async fn a_session_is_logged_from_its_beginning_to_its_end() {
    let served = door().serve();
    let (client, hello) = served.knock(&Asking::device("owner")).await.unwrap();
    let connection = hello["server"]["connId"].as_str().unwrap().to_owned();
    let Client { mut socket, .. } = client;
    socket.close(None).await.unwrap();
    while futures_util::StreamExt::next(&mut socket).await.is_some() {}
    let (drained, lines) = served.end().await;
    assert_eq!(drained.cut, 0);
    assert_eq!(
        line_of(&lines, Kind::Decided, &connection).by.as_deref(),
        Some("owner")
    );
    assert_eq!(
        line_of(&lines, Kind::SessionEnded, &connection)
            .reason
            .as_deref(),
        Some("closed-by-client")
    );
}

/// What a client says is cut before it is written down, wherever a secret stands in it.
#[tokio::test]
async fn no_part_of_the_shared_secret_is_in_the_log_wherever_a_client_puts_it() {
    let token = "pQ7-xW2_mZ9kLr4TtYb8VhNc3sDfGj6aEoUi1Iw5Bq0";
    let plan = Plan {
        policy: rules("auth=token → approve\ndefault → require-pairing"),
        settings: settings(json!({ "auth": { "token": token } })),
        ..Plan::default()
    };
    let served = plan.serve();
    for before in [0, 7, 22, 30, 47, 118, 140] {
        let put = format!("{}{token}", "~".repeat(before));
        let encoded = put.replace('Q', "%51");
        let asking = Asking {
            headers: vec![
                ("user-agent", put.clone()),
                ("x-forwarded-for", put.clone()),
                ("origin", format!("http://{token}.example")),
            ],
            more: json!({ "client": {
                "id": "cli", "mode": "cli", "version": put, "platform": put, "displayName": encoded,
            } }),
            ..Asking::default()
        };
        let asking = asking.auth(json!({ "token": token }));
        // Whether or not it is admitted, it has a line.
        let _ = served.knock(&asking).await;
        let head = UPGRADE.replace("GET / ", &format!("GET /{encoded}?{encoded} "));
        let mut raw = Raw::new(served.tcp().await);
        raw.send(head.as_bytes()).await;
        raw.head().await;
    }
    let (_, text) = served.end_with_text().await;
    let text = text.to_lowercase().replace("%51", "q");
    let lines = text.lines().filter(|line| line.contains('…')).count();
    assert_eq!(lines, 2 * 7, "{text}");
    for part in token.to_lowercase().as_bytes().windows(16) {
        let part = std::str::from_utf8(part).unwrap();
        assert!(!text.contains(part), "{part} in {text}");
    }
}
