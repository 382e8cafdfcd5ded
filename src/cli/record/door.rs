//! A door that decides nothing: it listens, asks one client for its connect frame, and refuses it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::super::table::now_ms;
use super::super::trouble::clean_line;
use super::head::Head;
use crate::config::{Config, Limits};
use crate::facts::PeerUid;
use crate::host::interface::{interfaces, own_addresses};
use crate::host::peer::{Ends, Peers};
use crate::host::{self, container};
use crate::server::tls::Certificates;
use crate::wire;
use crate::wire::reply::{challenge, event};

/// What the client is told.
const SAID: &str = "recorded by `gw record`, and not decided";

/// How long the client may take to hear it.
const CLOSING: Duration = Duration::from_secs(2);

/// What was seen of the client.
pub(super) struct Seen {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) tls: bool,
    pub(super) peer_uid: PeerUid,
    pub(super) own_addresses: Vec<std::net::IpAddr>,
    pub(super) head: Head,
    pub(super) nonce: String,
    pub(super) challenged_ms: i64,
    /// The first message.
    pub(super) connect: Value,
    /// When it came.
    pub(super) time_ms: i64,
}

/// Why nothing can be recorded.
pub(super) struct Silent {
    /// What the client did, or that none came.
    pub(super) why: String,
    /// What it sent before that.
    pub(super) head: Option<Head>,
}

/// The door.
pub(super) struct Door {
    /// Where it is, as URLs.
    pub(super) urls: Vec<String>,
    listeners: Vec<TcpListener>,
    certificates: Option<Certificates>,
    peers: Peers,
    limits: Limits,
}

fn nobody(why: impl Into<String>) -> Silent {
    Silent {
        why: why.into(),
        head: None,
    }
}

impl Door {
    /// Listens where the gateway would. Within a runtime only.
    pub(super) fn new(config: &Config) -> Result<Self, (String, String)> {
        let now = SystemTime::now();
        let certificates = Certificates::open(&config.tls, &config.state, None, now)
            .map_err(|error| (error.message(), error.remedy()))?;
        let container = container::detect(Path::new("/"), |name| std::env::var(name).ok());
        let host = host::listening(container.as_ref(), &interfaces());
        let mut listeners: Vec<TcpListener> = Vec::new();
        let mut port = config.listen.port;
        for address in config.listen.addresses(host) {
            let address = SocketAddr::new(address.ip(), port);
            match listen(address) {
                Ok(listener) => {
                    port = listener.local_addr().map_or(port, |address| address.port());
                    listeners.push(listener);
                }
                // A host without IPv6 has IPv4 all the same.
                Err(error)
                    if address.is_ipv6()
                        && !listeners.is_empty()
                        && error.kind() != io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    return Err((
                        format!("{address} cannot be listened at: {error}"),
                        "a gateway may listen there: `--port 0` takes a free port, and the client \
                         has to be told of it"
                            .to_owned(),
                    ));
                }
            }
        }
        let scheme = if certificates.is_some() { "wss" } else { "ws" };
        let addresses = listeners.iter().filter_map(|it| it.local_addr().ok());
        Ok(Door {
            urls: addresses.map(|it| format!("{scheme}://{it}")).collect(),
            listeners,
            certificates,
            peers: Peers::open(),
            limits: config.limits,
        })
    }

    /// Waits for one client that asks for a WebSocket, and hears what it says.
    pub(super) async fn one(
        mut self,
        wait: Duration,
        told: &mut dyn FnMut(&str),
    ) -> Result<Seen, Silent> {
        let (arrived, mut arrivals) = mpsc::channel(1);
        for listener in self.listeners.drain(..) {
            let arrived = arrived.clone();
            tokio::spawn(async move {
                while let Ok(accepted) = listener.accept().await {
                    if arrived.send(accepted).await.is_err() {
                        return;
                    }
                }
            });
        }
        let deadline = Instant::now() + wait;
        loop {
            let Ok(Some((stream, peer))) = timeout_at(deadline, arrivals.recv()).await else {
                return Err(nobody("no client came in time"));
            };
            let Ok(local) = stream.local_addr() else {
                continue;
            };
            let peer_uid = self.owner(&stream);
            let place = Place {
                peer,
                local,
                peer_uid,
                tls: self.certificates.is_some(),
            };
            let heard = match &self.certificates {
                None => self.hear(stream, place).await,
                Some(certificates) => {
                    let patience = Duration::from_millis(self.limits.handshake_timeout_ms);
                    match timeout(patience, certificates.acceptor().accept(stream)).await {
                        Ok(Ok(stream)) => self.hear(stream, place).await,
                        Ok(Err(error)) => Err(Gone::Other(format!("no TLS: {error}"))),
                        Err(_) => Err(Gone::Other("TLS took too long".to_owned())),
                    }
                }
            };
            match heard {
                Ok(seen) => return Ok(seen),
                Err(Gone::Silent(silent)) => return Err(silent),
                Err(Gone::Other(what)) => told(&format!("{peer}: {what}; waiting on\n")),
            }
        }
    }

    fn owner(&self, stream: &TcpStream) -> PeerUid {
        self.peers.tcp(|| {
            Ok(Ends {
                peer: stream.peer_addr()?,
                local: stream.local_addr()?,
            })
        })
    }

    async fn hear<S>(&self, mut stream: S, place: Place) -> Result<Seen, Gone>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let patience = Duration::from_millis(self.limits.handshake_timeout_ms);
        let (head, rest) = Head::read(&mut stream, self.limits.head_bytes, patience)
            .await
            .map_err(Gone::Other)?;
        let Some(key) = head.key() else {
            let answer = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            let _ = timeout(CLOSING, stream.write_all(answer.as_bytes())).await;
            let shown = head.shown();
            let what = shown.first().map_or("", String::as_str);
            return Err(Gone::Other(format!("{what}: no WebSocket")));
        };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        let silent = |why: String, head: Head| {
            Gone::Silent(Silent {
                why,
                head: Some(head),
            })
        };
        match timeout(patience, stream.write_all(answer.as_bytes())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(silent("did not take the answer".to_owned(), head)),
        }
        let most = wire::Limits::DEFAULT.first_message_bytes;
        let config = WebSocketConfig::default()
            .max_message_size(Some(most))
            .max_frame_size(Some(most));
        let mut websocket =
            WebSocketStream::from_partially_read(stream, rest, Role::Server, Some(config)).await;
        let nonce = nonce().map_err(|why| Gone::Silent(nobody(why)))?;
        let challenged_ms = now_ms();
        let asked = event("connect.challenge", &challenge(&nonce, challenged_ms, &[]));
        let first = async {
            websocket
                .send(Message::text(asked))
                .await
                .map_err(|_| "went away at the challenge".to_owned())?;
            first(&mut websocket).await
        };
        let first = timeout(patience, first).await.unwrap_or_else(|_| {
            let patience = humantime::format_duration(patience);
            Err(format!(
                "was sent the challenge, and then nothing for {patience}"
            ))
        });
        let time_ms = now_ms();
        let connect = match first {
            Ok(connect) => connect,
            Err(why) => {
                refuse(&mut websocket, None).await;
                return Err(silent(why, head));
            }
        };
        refuse(&mut websocket, connect.get("id").and_then(Value::as_str)).await;
        Ok(Seen {
            peer: place.peer,
            local: place.local,
            tls: place.tls,
            peer_uid: place.peer_uid,
            own_addresses: own_addresses(&interfaces()),
            head,
            nonce,
            challenged_ms,
            connect,
            time_ms,
        })
    }
}

/// What the socket shows.
#[derive(Clone, Copy)]
struct Place {
    peer: SocketAddr,
    local: SocketAddr,
    peer_uid: PeerUid,
    tls: bool,
}

/// Why a connection is no handshake.
enum Gone {
    /// It asked for a WebSocket, and that is all.
    Silent(Silent),
    /// It was about something else: the next one may be it.
    Other(String),
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(16)?;
    TcpListener::from_std(socket.into())
}

fn nonce() -> Result<String, String> {
    let mut bytes = [0; 24];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system has no randomness".to_owned())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The first message, as JSON; else what the client did.
async fn first<S>(websocket: &mut WebSocketStream<S>) -> Result<Value, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let bytes = match websocket.next().await {
            Some(Ok(Message::Text(text))) => text.into(),
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(Some(close)))) => {
                let reason = clean_line(&close.reason);
                return Err(format!("closed the connection: {} {reason}", close.code));
            }
            Some(Ok(Message::Close(None))) | None => {
                return Err("closed the connection".to_owned());
            }
            Some(Err(error)) => return Err(format!("broke the connection: {error}")),
        };
        return serde_json::from_slice(&bytes)
            .map_err(|_| format!("sent {} bytes that are no JSON", bytes.len()));
    }
}

/// Answers what was sent, if it can be answered, and closes.
async fn refuse<S>(websocket: &mut WebSocketStream<S>, id: Option<&str>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let closed = async {
        if let Some(id) = id {
            let error = json!({
                "code": "INVALID_REQUEST", "message": SAID, "details": { "reason": "recorded" },
            });
            let answer = json!({ "type": "res", "id": id, "ok": false, "error": error });
            let _ = websocket.send(Message::text(answer.to_string())).await;
        }
        let close = CloseFrame {
            code: 1008.into(),
            reason: SAID.into(),
        };
        let _ = websocket.close(Some(close)).await;
        // Until the client has heard it.
        while let Some(Ok(_)) = websocket.next().await {}
    };
    let _ = timeout(CLOSING, closed).await;
}
