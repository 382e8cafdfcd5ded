//! The way in, step by step: connection, HTTP, challenge, connect frame, answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::device::Device;
use super::dial::{Patience, Reached, Wire, dial, speaks_tls};
use super::error::{ClientError, Waited};
use super::knock::{ID, Knock};
use super::messages::Messages;
use super::session::{Session, answer};
use super::target::Target;
use super::tls::Trust;
use crate::pipe::Buffered;
use crate::wire::reply::CONNECTION_ID;

/// The most of another answer than a WebSocket that is kept, in bytes.
const MOST_BODY: usize = 4_096;

/// What is asked before there is a WebSocket.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Headers beside those of every WebSocket request: name and value. `Host` takes the place of
    /// the usual one.
    pub headers: Vec<(String, String)>,
}

/// A connection that became a WebSocket, with the challenge that it was sent.
pub struct Door {
    messages: Messages,
    nonce: Box<str>,
    connection: Option<String>,
    patience: Patience,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("target", &self.messages.target)
            .finish_non_exhaustive()
    }
}

/// What is heard of on the way in.
#[derive(Clone, Debug)]
pub enum Step {
    /// There is a connection.
    Reached(Reached),
    /// The HTTP answer turned it into a WebSocket, with this status.
    Upgraded(u16),
    /// The gateway sent its challenge.
    Challenged {
        /// What a device has to sign.
        nonce: Box<str>,
        /// When the gateway says that it sent it, in Unix milliseconds.
        time_ms: Option<i64>,
    },
    /// The connect frame is about to be sent.
    Knocking {
        /// What the device signed, with the token covered.
        signed: Option<String>,
        /// The parameters of `connect`, with their secrets covered.
        params: Value,
    },
}

impl Door {
    /// Connects, asks for a WebSocket, and waits for the challenge. `seen` hears of each step.
    ///
    /// # Errors
    ///
    /// [`ClientError`]: nobody is there, or is no gateway, or does not answer in time.
    pub async fn open(
        target: &Target,
        trust: Trust,
        asked: &Asked,
        patience: Patience,
        seen: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Door, ClientError> {
        let (mut messages, connection) = upgraded(target, trust, asked, patience, seen).await?;
        let name = target.to_string();
        let first = timeout(patience.handshake, messages.next()).await;
        let late = || ClientError::TooLate {
            target: name.clone(),
            what: Waited::Challenge,
        };
        let first = first.map_err(|_| late())??;
        let (nonce, time_ms) = challenge(&first).ok_or_else(|| ClientError::Protocol {
            target: name.clone(),
            what: "its first message is no challenge".to_owned(),
        })?;
        seen(Step::Challenged {
            nonce: nonce.clone(),
            time_ms,
        });
        Ok(Door {
            messages,
            nonce,
            connection,
            patience,
        })
    }

    /// Connects and asks for a WebSocket, as a client of a plain server behind a gateway does, who
    /// sends no connect frame; and leaves again. `seen` hears of each step.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; [`ClientError::Http`] with what is answered in place of a WebSocket.
    pub async fn pass(
        target: &Target,
        trust: Trust,
        asked: &Asked,
        patience: Patience,
        seen: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), ClientError> {
        let (messages, _) = upgraded(target, trust, asked, patience, seen).await?;
        messages.close().await;
        Ok(())
    }

    /// Sends the connect frame, and waits for the answer. `seen` hears what is sent before it is.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with what the gateway says; any other when it says nothing that
    /// can be understood, or not in time.
    pub async fn knock(
        self,
        knock: &Knock,
        device: Option<&Device>,
        seen: &mut (dyn FnMut(Step) + Send),
    ) -> Result<Session, ClientError> {
        let framed = knock.framed(device, &self.nonce, now_ms());
        seen(Step::Knocking {
            signed: framed.signed(),
            params: framed.covered(),
        });
        let patience = self.patience.call;
        let (hello, messages) = self.asked(&framed.request(), ID).await?;
        Ok(Session::new(messages, hello, patience))
    }

    /// What a device has to sign.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Sends a connect frame of this id as it is, and waits for the answer. Gives its payload, and
    /// what messages go over from then on.
    pub(crate) async fn present(
        self,
        frame: &Value,
        id: &str,
    ) -> Result<(Value, WebSocketStream<Wire>), ClientError> {
        let (hello, messages) = self.asked(frame, id).await?;
        Ok((hello, messages.into_websocket()))
    }

    async fn asked(self, frame: &Value, id: &str) -> Result<(Value, Messages), ClientError> {
        let deadline = Instant::now() + self.patience.handshake;
        let mut messages = self.messages;
        match timeout_at(deadline, messages.send(frame)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(messages.late(Waited::Admission)),
        }
        loop {
            let message = match timeout_at(deadline, messages.next()).await {
                Ok(message) => message?,
                Err(_) => return Err(messages.late(Waited::Admission)),
            };
            match answer(&message, id) {
                None => {}
                Some(Ok(hello)) => return Ok((hello, messages)),
                Some(Err(mut refusal)) => {
                    refusal.close = messages.close_frame().await;
                    refusal.connection = self.connection;
                    return Err(ClientError::Refused(Box::new(refusal)));
                }
            }
        }
    }
}

/// A connection that became a WebSocket, and the id that it was given.
async fn upgraded(
    target: &Target,
    trust: Trust,
    asked: &Asked,
    patience: Patience,
    seen: &mut (dyn FnMut(Step) + Send),
) -> Result<(Messages, Option<String>), ClientError> {
    let name = target.to_string();
    let late = |what| ClientError::TooLate {
        target: name.clone(),
        what,
    };
    let mut request = target
        .url()
        .into_client_request()
        .map_err(|error| ClientError::Request(error.to_string()))?;
    for (header, value) in &asked.headers {
        let invalid = || ClientError::Request(format!("`{header}` is no header"));
        let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
        let header = HeaderName::try_from(header.as_str()).map_err(|_| invalid())?;
        match header.as_str() == "host" {
            true => {
                request.headers_mut().insert(header, value);
            }
            false => {
                request.headers_mut().append(header, value);
            }
        }
    }
    let (stream, reached) = dial(target, trust, patience).await?;
    seen(Step::Reached(reached));
    let answered = timeout(
        patience.handshake,
        client_async_with_config(request, Buffered::new(stream), Some(config())),
    )
    .await;
    let (websocket, response) = match answered.map_err(|_| late(Waited::Http))? {
        Ok(upgraded) => upgraded,
        Err(error) if may_want_tls(&error) && speaks_tls(target, patience).await => {
            let over_tls = target.with_tls(true).to_string();
            return Err(ClientError::NeedsTls {
                target: name,
                over_tls,
            });
        }
        Err(error) => return Err(http(&name, error)),
    };
    seen(Step::Upgraded(response.status().as_u16()));
    let connection = connection(response.headers());
    Ok((Messages::new(websocket, name.clone()), connection))
}

/// How much is read at once. The library's own value takes 128 KiB of every connection.
const READ_BYTES: usize = 4_096;

/// A message may be as large as the library has it, and come in one frame.
fn config() -> WebSocketConfig {
    let most = WebSocketConfig::default().max_message_size;
    WebSocketConfig::default()
        .max_frame_size(most)
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
}

/// What the HTTP request came to, when it is no WebSocket.
fn http(target: &str, error: Error) -> ClientError {
    let target = target.to_owned();
    match error {
        Error::Http(response) => {
            let status = response.status().as_u16();
            let connection = connection(response.headers());
            let body = response.into_body().unwrap_or_default();
            let body = body.get(..MOST_BODY.min(body.len())).unwrap_or_default();
            ClientError::Http {
                target,
                status,
                body: String::from_utf8_lossy(body).trim().to_owned(),
                connection,
            }
        }
        Error::Io(error) => ClientError::Unreachable { target, error },
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::HandshakeIncomplete) => ClientError::Closed {
            target,
            close: None,
        },
        Error::Protocol(_)
        | Error::Tls(_)
        | Error::Capacity(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::HttpFormat(_) => ClientError::Protocol {
            target,
            what: error.to_string(),
        },
    }
}

/// The id that a gateway gives a connection, as it says in its HTTP answer.
fn connection(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(CONNECTION_ID)?.to_str().ok()?;
    Some(id.to_owned())
}

/// Whether a server that speaks TLS may have answered so: it says no HTTP, or that it is asked
/// wrongly.
fn may_want_tls(error: &Error) -> bool {
    match error {
        Error::Http(response) => response.status() == StatusCode::BAD_REQUEST,
        Error::Io(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(_)
        | Error::HttpFormat(_)
        | Error::Utf8(_) => true,
        Error::Tls(_)
        | Error::Capacity(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_) => false,
    }
}

/// The nonce of a challenge, and when it was sent.
fn challenge(message: &Value) -> Option<(Box<str>, Option<i64>)> {
    if message.get("event")?.as_str()? != "connect.challenge" {
        return None;
    }
    let payload = message.get("payload")?;
    let nonce = payload.get("nonce")?.as_str()?.into();
    Some((nonce, payload.get("ts").and_then(Value::as_i64)))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or(Duration::ZERO).as_millis()).unwrap_or(u64::MAX)
}
