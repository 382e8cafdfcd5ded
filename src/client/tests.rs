//! Clients at doors that are none, or keep them waiting; events and calls of a session.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::tls::Trust;
use super::*;

/// What comes has come by then, also on a busy host; what does not come is not awaited longer.
const PATIENCE: Patience = Patience {
    connection: Duration::from_secs(10),
    handshake: Duration::from_secs(2),
    call: Duration::from_secs(2),
};

type Served = WebSocketStream<TcpStream>;

/// Comes to a gateway that does what it is told to.
async fn come<W>(gateway: impl FnOnce(TcpListener) -> W) -> Result<Session, ClientError>
where
    W: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(gateway(listener));
    let asked = Asked::default();
    let target = Target::parse(&url).unwrap();
    let come = async {
        let door = Door::open(&target, Trust::System, &asked, PATIENCE, &mut |_| {}).await?;
        door.knock(&Knock::default(), None, &mut |_| {}).await
    };
    let came = come.await;
    if came.is_err() {
        serving.abort();
    }
    came
}

async fn challenging(listener: TcpListener) -> Served {
    let (stream, _) = listener.accept().await.unwrap();
    let mut websocket = accept_async(stream).await.unwrap();
    say(
        &mut websocket,
        json!({ "type": "event", "event": "connect.challenge", "payload": { "nonce": "n" } }),
    )
    .await;
    websocket
}

async fn say(websocket: &mut Served, message: Value) {
    websocket
        .send(Message::text(message.to_string()))
        .await
        .unwrap();
}

async fn asked(websocket: &mut Served) -> Value {
    let message = websocket.next().await.unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

/// Keeps what it has open.
async fn silent<T>(_kept: T) {
    std::future::pending::<()>().await;
}

fn late(came: Result<Session, ClientError>) -> Waited {
    let error = came.unwrap_err();
    let ClientError::TooLate { what, target } = error else {
        panic!("{error}");
    };
    assert!(target.starts_with("ws://127.0.0.1:"), "{target}");
    what
}

#[tokio::test]
async fn whoever_keeps_us_waiting_is_left() {
    let http = come(|listener| async move { silent(listener.accept().await).await });
    let challenge = come(|listener| async move {
        let (stream, _) = listener.accept().await.unwrap();
        silent(accept_async(stream).await).await;
    });
    let admission = come(|listener| async move { silent(challenging(listener).await).await });
    let (http, challenge, admission) = tokio::join!(http, challenge, admission);
    assert_eq!(
        [late(http), late(challenge), late(admission)],
        [Waited::Http, Waited::Challenge, Waited::Admission]
    );
}

#[tokio::test]
async fn what_is_no_challenge_and_who_leaves_is_told() {
    let came = come(|listener| async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut websocket = accept_async(stream).await.unwrap();
        say(&mut websocket, json!({ "hello": "world" })).await;
        silent(websocket).await;
    });
    let error = came.await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol { .. }), "{error}");
    let came = come(|listener| async move {
        let mut websocket = challenging(listener).await;
        let close = CloseFrame {
            code: 1008.into(),
            reason: "no\u{1b}[2J".into(),
        };
        websocket.close(Some(close)).await.unwrap();
        while let Some(Ok(_)) = websocket.next().await {}
    });
    let error = came.await.unwrap_err().to_string();
    assert!(
        error.ends_with("closed the connection with 1008: no\\u{1b}[2J"),
        "{error}"
    );
}

#[tokio::test]
async fn a_refusal_comes_with_its_details_and_its_end() {
    let came = come(|listener| async move {
        let mut websocket = challenging(listener).await;
        let frame = asked(&mut websocket).await;
        let details =
            json!({ "code": "PAIRING_REQUIRED", "requestId": "r", "reason": "not-paired" });
        let error =
            json!({ "code": "NOT_PAIRED", "message": "pairing required", "details": details });
        let answer = json!({ "type": "res", "id": frame["id"], "ok": false, "error": error });
        say(&mut websocket, answer).await;
        let close = CloseFrame {
            code: 1008.into(),
            reason: "pairing required".into(),
        };
        websocket.close(Some(close)).await.unwrap();
        while let Some(Ok(_)) = websocket.next().await {}
    });
    let ClientError::Refused(refusal) = came.await.unwrap_err() else {
        panic!("it was refused");
    };
    assert_eq!(refusal.request_id(), Some("r"));
    assert_eq!(refusal.reason(), Some("not-paired"));
    assert_eq!(refusal.close.as_ref().map(|close| close.code), Some(1008));
    assert!(!refusal.wants_proof());
}

#[tokio::test]
async fn events_are_kept_while_a_call_is_answered() {
    let event = |name: &str| json!({ "type": "event", "event": name, "payload": { "of": name } });
    let came = come(|listener| async move {
        let mut websocket = challenging(listener).await;
        let frame = asked(&mut websocket).await;
        let hello = json!({ "auth": { "scopes": ["operator.read"] } });
        let answer = json!({ "type": "res", "id": frame["id"], "ok": true, "payload": hello });
        say(&mut websocket, answer).await;
        let call = asked(&mut websocket).await;
        say(&mut websocket, event("first")).await;
        let other = json!({ "type": "res", "id": "another", "ok": true });
        say(&mut websocket, other).await;
        say(&mut websocket, event("second")).await;
        let answer =
            json!({ "type": "res", "id": call["id"], "ok": true, "payload": call["params"] });
        say(&mut websocket, answer).await;
        silent(websocket).await;
    });
    let mut session = came.await.unwrap();
    assert_eq!(session.scopes(), ["operator.read"]);
    let answer = session.call("any", json!({ "a": 1 })).await.unwrap();
    assert_eq!(answer, json!({ "a": 1 }));
    let never = Duration::from_millis(50);
    for name in ["first", "second"] {
        let told = session.event(never).await.unwrap().unwrap();
        assert_eq!(
            (told.name.as_str(), &told.payload["of"]),
            (name, &json!(name))
        );
    }
    assert_eq!(session.event(never).await.unwrap(), None);
    let error = session.call("unanswered", json!({})).await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::TooLate {
                what: Waited::Call,
                ..
            }
        ),
        "{error}"
    );
}
