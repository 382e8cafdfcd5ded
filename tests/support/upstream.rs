//! A server behind the gateway, as far as the gateway sees one: it challenges, answers the connect
//! frame in a way of its own, and then the test speaks for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use gw::client::Target;
use gw::client::tls::Trust;
use gw::relay::http::Paths;
use gw::relay::{Kind, Login, Options, Root, Upstream};
use gw::secret::Secret;
use gw::server::tls::Certificates;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

use crate::client::{Io, soon};

/// The token of the server behind, which no client knows.
pub(crate) const SECRET: &str = "b7d1e5a09c3f48e2";

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It lets in whoever comes.
    Good,
    /// It asks for an approval.
    WantsPairing,
    /// It does not take the token.
    WrongToken,
    /// It closes in the place of an answer.
    Closes,
    /// It says nothing.
    Silent,
    /// It says what is no JSON.
    Nonsense,
    /// It admits, with an answer that is no hello.
    OddHello,
    /// It speaks HTTP only.
    NoWebSocket,
    /// It says nothing at all.
    Deaf,
}

/// A server behind.
pub(crate) struct Behind {
    pub(crate) address: SocketAddr,
    /// Those that were let in.
    arrivals: mpsc::UnboundedReceiver<Arrival>,
}

/// A connection of the gateway that was let in, and the connect frame it came with.
pub(crate) struct Arrival {
    pub(crate) socket: WebSocketStream<Box<dyn Io>>,
    pub(crate) frame: Value,
}

impl Behind {
    pub(crate) async fn serve(manner: Manner) -> Self {
        Behind::serve_with(manner, None).await
    }

    /// With certificates it speaks TLS.
    pub(crate) async fn serve_with(manner: Manner, certificates: Option<Certificates>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (told, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = told.clone();
                let tls = certificates.as_ref().map(Certificates::acceptor);
                tokio::spawn(async move {
                    let stream: Box<dyn Io> = match tls {
                        None => Box::new(stream),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    if let Some(arrival) = answer(stream, manner).await {
                        let _ = told.send(arrival);
                    }
                });
            }
        });
        Behind { address, arrivals }
    }

    /// The next that was let in.
    pub(crate) async fn arrival(&mut self) -> Arrival {
        soon("somebody behind", self.arrivals.recv()).await.unwrap()
    }

    /// Whether nobody came.
    pub(crate) fn is_alone(&mut self) -> bool {
        self.arrivals.try_recv().is_err()
    }
}

/// How a gateway reaches it.
pub(crate) fn upstream(address: SocketAddr, patience: Duration) -> Arc<Upstream> {
    upstream_at(&format!("ws://{address}"), Trust::System, patience)
}

/// The same, of a URL.
pub(crate) fn upstream_at(url: &str, trust: Trust, patience: Duration) -> Arc<Upstream> {
    Arc::new(Upstream::new(options(url, trust, patience)))
}

/// The same, before anybody is there.
pub(crate) fn options(url: &str, trust: Trust, patience: Duration) -> Options {
    Options {
        target: Target::parse(url).unwrap(),
        kind: Kind::OpenClaw,
        login: Login::Token(Secret::new(SECRET)),
        trust,
        root: Root::new(Secret::new("what devices are made of in tests")),
        patience,
        paths: Paths::default(),
    }
}

async fn answer(mut stream: Box<dyn Io>, manner: Manner) -> Option<Arrival> {
    if manner == Manner::NoWebSocket {
        let page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
        let _ = stream.write_all(page).await;
        return None;
    }
    if manner == Manner::Deaf {
        // Until the other end has had enough.
        let mut scratch = [0; 512];
        while stream.read(&mut scratch).await.is_ok_and(|read| read > 0) {}
        return None;
    }
    let config = WebSocketConfig::default()
        .read_buffer_size(4_096)
        .max_frame_size(None);
    let mut socket = accept_async_with_config(stream, Some(config)).await.ok()?;
    let challenge = json!({
        "type": "event", "event": "connect.challenge",
        "payload": { "nonce": "a nonce from behind", "ts": 1 },
    });
    socket
        .send(Message::text(challenge.to_string()))
        .await
        .ok()?;
    let frame = loop {
        if let Message::Text(text) = socket.next().await?.ok()? {
            break serde_json::from_str::<Value>(&text).unwrap();
        }
    };
    let refused = |code: &str, details: Value| {
        json!({
            "type": "res", "id": frame["id"], "ok": false,
            "error": { "code": code, "message": "not today", "details": details },
        })
    };
    let answer = match manner {
        Manner::Good => hello(&frame).to_string(),
        Manner::WantsPairing => {
            let details = json!({ "code": "PAIRING_REQUIRED", "requestId": "request-behind" });
            refused("NOT_PAIRED", details).to_string()
        }
        Manner::WrongToken => {
            let details = json!({ "code": "AUTH_TOKEN_MISMATCH" });
            refused("INVALID_REQUEST", details).to_string()
        }
        Manner::Nonsense => "what is this".to_owned(),
        Manner::OddHello => {
            let payload = json!([{ "auth": { "deviceToken": "of behind" } }]);
            json!({ "type": "res", "id": frame["id"], "ok": true, "payload": payload }).to_string()
        }
        Manner::Closes => {
            let frame = CloseFrame {
                code: 1008.into(),
                reason: "no".into(),
            };
            let _ = socket.close(Some(frame)).await;
            return None;
        }
        Manner::Silent | Manner::NoWebSocket | Manner::Deaf => {
            while let Some(Ok(_)) = socket.next().await {}
            return None;
        }
    };
    socket.send(Message::text(answer)).await.ok()?;
    (manner == Manner::Good).then_some(Arrival { socket, frame })
}

fn hello(frame: &Value) -> Value {
    json!({
        "type": "res", "id": frame["id"], "ok": true,
        "payload": {
            "type": "hello-ok", "protocol": 4,
            "server": { "version": "2026.4.25", "connId": "behind" },
            "features": { "methods": ["chat.send"], "events": ["chat"] },
            "snapshot": { "presence": [{ "deviceId": frame["params"]["device"]["id"] }] },
            "auth": { "deviceToken": "of behind", "role": "operator", "scopes": [] },
            "policy": { "maxPayload": 2_097_152, "maxBufferedBytes": 52_428_800, "tickIntervalMs": 30_000 },
        },
    })
}

impl Arrival {
    /// The next message; nothing once the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            match soon("a message behind", self.socket.next()).await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        let sent = self.socket.send(Message::text(message.to_string()));
        sent.await.unwrap();
    }

    /// Answers the next call with its own parameters.
    pub(crate) async fn echo(&mut self) {
        let call = self.next().await.unwrap();
        let answer = json!({
            "type": "res", "id": call["id"], "ok": true, "payload": call["params"],
        });
        self.send(&answer).await;
    }

    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.to_owned().into(),
        };
        let _ = self.socket.close(Some(frame)).await;
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}
