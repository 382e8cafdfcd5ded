//! A client over real sockets: it answers the challenge with a device's proof, calls, and hears
//! events, how it was refused, and how it was closed.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::sign::Identity;

/// How long a test waits for what must come. Nothing is measured by it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Whatever a client speaks over.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Io for S {}

/// What a client says of itself.
#[derive(Clone)]
pub(crate) struct Asking {
    pub(crate) client: (&'static str, &'static str),
    pub(crate) role: &'static str,
    pub(crate) scopes: Vec<&'static str>,
    /// `auth`, as it is sent.
    pub(crate) auth: Value,
    /// The name of the device that signs.
    pub(crate) device: Option<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Put over the params of `connect`.
    pub(crate) more: Value,
}

/// The token of gateways in tests.
pub(crate) const TOKEN: &str = "3f9a1c77e0b24d58";

impl Default for Asking {
    fn default() -> Self {
        Asking {
            client: ("cli", "cli"),
            role: "operator",
            scopes: vec!["operator.admin", "operator.pairing"],
            auth: json!({ "token": TOKEN }),
            device: None,
            headers: Vec::new(),
            more: json!({}),
        }
    }
}

impl Asking {
    /// The command line of a device.
    pub(crate) fn device(name: &str) -> Self {
        Asking {
            device: Some(name.to_owned()),
            ..Asking::default()
        }
    }

    pub(crate) fn scopes(self, scopes: &[&'static str]) -> Self {
        Asking {
            scopes: scopes.to_vec(),
            ..self
        }
    }

    pub(crate) fn auth(self, auth: Value) -> Self {
        Asking { auth, ..self }
    }

    /// The connect frame that answers a challenge.
    pub(crate) fn frame(&self, nonce: &str) -> Value {
        let mut params = json!({
            "minProtocol": 3,
            "maxProtocol": 4,
            "client": {
                "id": self.client.0,
                "mode": self.client.1,
                "version": "1.0.0",
                "platform": "linux",
            },
            "role": self.role,
            "scopes": self.scopes,
            "auth": self.auth,
        });
        if let Some(name) = &self.device {
            params["device"] = self.proof(&Identity::named(name), nonce);
        }
        for (name, value) in self.more.as_object().into_iter().flatten() {
            params[name] = value.clone();
        }
        json!({ "type": "req", "id": "connect", "method": "connect", "params": params })
    }

    fn proof(&self, identity: &Identity, nonce: &str) -> Value {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let signed_at = u64::try_from(since.as_millis()).unwrap();
        let sent = |name: &&str| self.auth[*name].as_str();
        let tokens = ["token", "deviceToken", "bootstrapToken"];
        let fields = [
            "v3",
            &identity.id,
            self.client.0,
            self.client.1,
            self.role,
            &self.scopes.join(","),
            &signed_at.to_string(),
            tokens.iter().find_map(sent).unwrap_or_default(),
            nonce,
            "linux",
            "",
        ];
        json!({
            "id": identity.id,
            "publicKey": identity.public_key,
            "signature": identity.sign(&fields.join("|")),
            "signedAt": signed_at,
            "nonce": nonce,
        })
    }
}

/// A WebSocket, the client's end.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<Box<dyn Io>>,
    /// What came while something else was waited for.
    events: VecDeque<Value>,
    calls: u64,
    /// The nonce that it was challenged with.
    pub(crate) nonce: String,
}

/// How a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    /// 1006 where there was no close frame.
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl Closed {
    pub(crate) fn new(code: u16, reason: &str) -> Self {
        Closed {
            code,
            reason: reason.to_owned(),
        }
    }
}

/// Why a client is not admitted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    /// `error` of the response; null where there was none.
    pub(crate) error: Value,
    pub(crate) closed: Closed,
}

impl Refused {
    pub(crate) fn request_id(&self) -> &str {
        self.error["details"]["requestId"].as_str().unwrap()
    }
}

/// What comes in time, or the test fails.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: nothing came"),
    }
}

impl Client {
    /// Opens a WebSocket and waits for the challenge.
    pub(crate) async fn open(stream: impl Io + 'static, asking: &Asking) -> Result<Self, Error> {
        let mut client = Client::upgraded(stream, asking).await?;
        match client.challenge().await {
            Ok(()) => Ok(client),
            Err(closed) => panic!("closed in place of a challenge: {closed:?}"),
        }
    }

    /// Opens a WebSocket.
    pub(crate) async fn upgraded(
        stream: impl Io + 'static,
        asking: &Asking,
    ) -> Result<Self, Error> {
        let mut request = "ws://127.0.0.1/".into_client_request()?;
        for (name, value) in &asking.headers {
            let name = HeaderName::from_static(name);
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().insert(name, value);
        }
        let config = WebSocketConfig::default().read_buffer_size(4_096);
        let stream: Box<dyn Io> = Box::new(stream);
        let opened = client_async_with_config(request, stream, Some(config));
        let (socket, _) = soon("the upgrade", opened).await?;
        Ok(Client::of(socket))
    }

    /// A WebSocket that is there already.
    pub(crate) fn of(socket: WebSocketStream<Box<dyn Io>>) -> Self {
        Client {
            socket,
            events: VecDeque::new(),
            calls: 0,
            nonce: String::new(),
        }
    }

    /// Waits for the challenge.
    pub(crate) async fn challenge(&mut self) -> Result<(), Closed> {
        let challenge = self.message().await?;
        assert_eq!(challenge["event"], "connect.challenge");
        self.nonce = challenge["payload"]["nonce"].as_str().unwrap().to_owned();
        Ok(())
    }

    /// Answers the challenge; gives the payload of `hello-ok`.
    pub(crate) async fn connect(&mut self, asking: &Asking) -> Result<Value, Refused> {
        let frame = asking.frame(&self.nonce);
        self.send(&frame).await;
        self.hello().await
    }

    /// The answer to a connect frame that was sent.
    pub(crate) async fn hello(&mut self) -> Result<Value, Refused> {
        let answer = match self.message().await {
            Ok(answer) => answer,
            Err(closed) => {
                return Err(Refused {
                    error: Value::Null,
                    closed,
                });
            }
        };
        assert_eq!(answer["id"], "connect", "{answer}");
        match answer["ok"].as_bool() {
            Some(true) => Ok(answer["payload"].clone()),
            _ => Err(Refused {
                error: answer["error"].clone(),
                closed: self.closed().await,
            }),
        }
    }

    /// Sends a message. One that cannot be sent is found out by what comes, or does not.
    pub(crate) async fn send(&mut self, message: &Value) {
        let _ = self.socket.send(Message::text(message.to_string())).await;
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Result<Value, Closed> {
        loop {
            match soon("a message", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    // The close is confirmed while the end is awaited.
                    while let Ok(Some(Ok(_))) = timeout(PATIENCE, self.socket.next()).await {}
                    return Err(Closed::new(frame.code.into(), &frame.reason));
                }
                Some(Ok(Message::Close(None))) | None => return Err(Closed::new(1006, "")),
                Some(Err(_)) => return Err(Closed::new(1006, "")),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Calls a method; the error of the response where it fails.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        match self.try_call(method, params).await {
            Ok(answer) => answer,
            Err(closed) => panic!("closed in place of an answer to {method}: {closed:?}"),
        }
    }

    /// The same, where the session may end meanwhile.
    pub(crate) async fn try_call(
        &mut self,
        method: &str,
        params: Value,
    ) -> Result<Result<Value, Value>, Closed> {
        self.calls += 1;
        let id = format!("call-{}", self.calls);
        self.send(&json!({ "type": "req", "id": id, "method": method, "params": params }))
            .await;
        self.answer(&id).await
    }

    /// The answer to a call that was sent.
    pub(crate) async fn answer(&mut self, id: &str) -> Result<Result<Value, Value>, Closed> {
        loop {
            let message = self.message().await?;
            if message["type"] == "event" {
                self.events.push_back(message);
                continue;
            }
            assert_eq!(message["id"], *id, "{message}");
            return Ok(match message["ok"].as_bool() {
                Some(true) => Ok(message["payload"].clone()),
                _ => Err(message["error"].clone()),
            });
        }
    }

    /// The payload of the next event of this name; others are passed over.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        loop {
            let message = match self.events.pop_front() {
                Some(message) => message,
                None => match self.message().await {
                    Ok(message) => message,
                    Err(closed) => panic!("closed in place of {name}: {closed:?}"),
                },
            };
            if message["event"] == *name {
                return message["payload"].clone();
            }
        }
    }

    /// How it is closed; what comes before is passed over.
    pub(crate) async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.message().await {
                return closed;
            }
        }
    }
}
