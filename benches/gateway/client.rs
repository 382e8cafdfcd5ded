//! A client that was paired before: a whole handshake, over a blocking socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gw::auth::claims::{Claims, Credentials};
use gw::client::Device;
use gw::facts::{Client as ClientId, Mode, Role};
use gw::secret::Secret;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::{IntoClientRequest as _, client_with_config};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, WebSocket};

/// The token that both servers are asked with.
pub(crate) const TOKEN: &str = "3f9a1c77e0b24d58a6c1";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One client.
pub(crate) struct Client {
    device: Device,
    claims: Claims,
    secret: String,
    /// Sent with its request for a WebSocket.
    headers: Vec<(&'static str, String)>,
}

/// A connection that was answered; it is open until it is dropped.
pub(crate) struct Admitted {
    socket: WebSocket<Box<dyn Wire>>,
    /// The answer.
    pub(crate) answer: Value,
}

/// What bytes go over.
trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

impl Client {
    /// The client of a number.
    pub(crate) fn numbered(number: usize) -> Self {
        let mut seed = [0x5a; 32];
        for (to, from) in seed.iter_mut().zip(number.to_le_bytes()) {
            *to = from;
        }
        let seed = Secret::new(&URL_SAFE_NO_PAD.encode(seed));
        let claims = Claims {
            client: ClientId::Cli,
            mode: Mode::Cli,
            role: Role::Operator,
            scopes: ["operator.read".into()].into(),
            platform: "linux".into(),
            device_family: None,
            device: None,
            credentials: Credentials::new(Some(TOKEN), None, None, None),
        };
        let device = Device::from_seed(&seed).expect("32 bytes");
        Client {
            device,
            claims,
            secret: TOKEN.to_owned(),
            headers: Vec::new(),
        }
    }

    /// The same with another secret.
    pub(crate) fn with_secret(mut self, secret: &str) -> Self {
        self.claims.credentials = Credentials::new(Some(secret), None, None, None);
        self.secret = secret.to_owned();
        self
    }

    /// The same, asking for other scopes.
    pub(crate) fn with_scopes(mut self, scopes: &[&str]) -> Self {
        self.claims.scopes = scopes.iter().map(|scope| (*scope).into()).collect();
        self
    }

    /// The same behind a proxy that says whose it is.
    pub(crate) fn forwarded_for(mut self, address: std::net::Ipv4Addr) -> Self {
        self.headers = vec![("x-forwarded-for", address.to_string())];
        self
    }

    /// Its id, and its public key as it is kept.
    pub(crate) fn names(&self) -> (String, String) {
        let proof = self.device.proof(&self.claims, "", 0);
        (proof.id.to_string(), proof.public_key.to_string())
    }

    /// Whether somebody listens and lets it in.
    pub(crate) fn is_let_in(&self, at: SocketAddr) -> bool {
        let Ok(stream) = TcpStream::connect(at) else {
            return false;
        };
        let patient = stream.set_read_timeout(Some(PATIENCE));
        patient.expect("a socket");
        let answer = self.handshake(at, Box::new(stream));
        answer.is_ok_and(|admitted| admitted.is_admitted())
    }

    /// A whole handshake over a connection that is there, whatever it comes to.
    pub(crate) fn try_knock(
        &self,
        at: SocketAddr,
        stream: TcpStream,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Admitted, String> {
        let ready = stream.set_nodelay(true);
        let ready = ready.and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        ready.map_err(|error| error.to_string())?;
        self.handshake(at, wire(at, stream, tls))
    }

    /// A whole handshake.
    pub(crate) fn knock(&self, at: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Admitted {
        let stream = TcpStream::connect(at).expect("somebody listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let admitted = self.handshake(at, wire(at, stream, tls));
        let admitted = admitted.unwrap_or_else(|error| panic!("a handshake failed: {error}"));
        let Admitted { answer, .. } = &admitted;
        assert_eq!(answer.get("ok"), Some(&Value::Bool(true)), "{answer}");
        admitted
    }

    fn handshake(&self, at: SocketAddr, wire: Box<dyn Wire>) -> Result<Admitted, String> {
        let config = WebSocketConfig::default()
            .read_buffer_size(4_096)
            .max_frame_size(None);
        let url = format!("ws://{at}/").into_client_request();
        let mut request = url.map_err(|error| error.to_string())?;
        for (name, value) in &self.headers {
            let value = HeaderValue::from_str(value).map_err(|error| error.to_string())?;
            request.headers_mut().insert(*name, value);
        }
        let (mut socket, _) = client_with_config(request, wire, Some(config))
            .map_err(|error| format!("of the request for a WebSocket: {error}"))?;
        let challenge = read(&mut socket)?;
        let nonce = challenge.pointer("/payload/nonce").and_then(Value::as_str);
        let frame = self.connect(nonce.ok_or("there is no nonce")?);
        let sent = socket.send(Message::text(frame));
        sent.map_err(|error| error.to_string())?;
        let answer = read(&mut socket)?;
        Ok(Admitted { socket, answer })
    }

    fn connect(&self, nonce: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map(|now| now.as_millis()).unwrap_or_default();
        let now_ms = u64::try_from(now_ms).expect("a time of this age");
        let device = self.device.proof(&self.claims, nonce, now_ms);
        let frame = json!({
            "type": "req", "id": "1", "method": "connect",
            "params": {
                "minProtocol": 3, "maxProtocol": 4,
                "client": {
                    "id": "cli", "mode": "cli", "platform": "linux", "version": "2026.4.25",
                },
                "role": "operator",
                "scopes": self.claims.scopes,
                "auth": { "token": self.secret },
                "device": {
                    "id": device.id,
                    "publicKey": device.public_key,
                    "signature": device.signature,
                    "signedAt": device.signed_at_ms,
                    "nonce": device.nonce,
                },
            },
        });
        frame.to_string()
    }
}

/// What a client speaks over.
fn wire(at: SocketAddr, stream: TcpStream, tls: Option<&Arc<ClientConfig>>) -> Box<dyn Wire> {
    match tls {
        None => Box::new(stream),
        Some(config) => {
            let name = ServerName::from(at.ip());
            let tls = ClientConnection::new(Arc::clone(config), name).expect("it can begin");
            Box::new(StreamOwned::new(tls, stream))
        }
    }
}

impl Admitted {
    /// Whether it is.
    pub(crate) fn is_admitted(&self) -> bool {
        self.answer.get("ok") == Some(&Value::Bool(true))
    }

    /// Calls a method, and waits for its answer; events are passed over.
    pub(crate) fn call(&mut self, method: &str) -> Result<Value, String> {
        let frame = json!({ "type": "req", "id": "2", "method": method, "params": {} });
        let sent = self.socket.send(Message::text(frame.to_string()));
        sent.map_err(|error| error.to_string())?;
        loop {
            let answer = read(&mut self.socket)?;
            if answer.get("id").and_then(Value::as_str) == Some("2") {
                return Ok(answer);
            }
        }
    }

    /// Calls a method again and again and takes no answer, until nothing more is taken of it or
    /// the other end is gone. Says how many bytes were.
    pub(crate) fn call_and_never_read(&mut self, method: &str, most: usize) -> usize {
        let frame = json!({ "type": "req", "id": "3", "method": method, "params": {} });
        let message = Message::text(frame.to_string());
        let mut sent = 0;
        while sent < most && self.socket.send(message.clone()).is_ok() {
            sent += message.len();
        }
        sent
    }

    /// Says something, and waits until it is said back.
    pub(crate) fn echo(&mut self, message: &Message) {
        self.socket.send(message.clone()).expect("it is sent");
        let back = self.socket.read().expect("an answer");
        assert_eq!(back.len(), message.len());
    }
}

/// A call of so many bytes, or a few more.
pub(crate) fn call(bytes: usize) -> Message {
    let frame = json!({
        "type": "req", "id": "1", "method": "chat.send", "params": { "text": "x".repeat(bytes) },
    });
    Message::text(frame.to_string())
}

fn read(socket: &mut WebSocket<Box<dyn Wire>>) -> Result<Value, String> {
    let message = socket.read().map_err(|error| error.to_string())?;
    serde_json::from_slice(&message.into_data()).map_err(|error| error.to_string())
}
