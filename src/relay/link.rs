//! A connection to the upstream, once it let the client in.

use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client::Wire;
use crate::pipe::{Receiver, Sender, split};
use crate::wire::Close;

/// A connection to the upstream.
pub struct Link {
    pub(super) websocket: WebSocketStream<Wire>,
    /// What it said on admission.
    pub(super) hello: Value,
}

/// Without what was said: it may hold a device token.
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// The way there.
pub struct ToUpstream(Sender<Wire>);

/// The way back.
pub struct FromUpstream(Receiver<Wire>);

/// What comes from the upstream.
#[derive(Debug)]
pub enum Came {
    /// A message, text or binary.
    Message(Message),
    /// It closed the connection, and said so.
    Closed(Close),
    /// It sends a message that is larger than is taken.
    TooLarge,
    /// It is gone, or breaks the protocol.
    Lost(Box<str>),
}

impl Link {
    /// What it said on admission, which is had once.
    pub fn take_hello(&mut self) -> Value {
        self.hello.take()
    }

    /// Both ways.
    #[must_use]
    pub fn split(self) -> (ToUpstream, FromUpstream) {
        let (to, from) = split(self.websocket, Role::Client);
        (ToUpstream(to), FromUpstream(from))
    }
}

impl ToUpstream {
    /// Sends a message. It waits while the upstream takes none.
    ///
    /// # Errors
    ///
    /// The upstream is gone.
    pub async fn send(&mut self, message: Message) -> Result<(), Gone> {
        self.0.send(message).await.map_err(|_| Gone)
    }

    /// Lets the upstream hear that its close was heard.
    pub async fn confirm(&mut self) {
        let _ = self.0.flush().await;
    }

    /// Says good-bye.
    pub async fn close(&mut self, close: &Close) {
        let frame = CloseFrame {
            code: close.code.into(),
            reason: close.reason.as_str().into(),
        };
        let _ = self.0.send(Message::Close(Some(frame))).await;
    }
}

/// The upstream is gone.
#[derive(Debug)]
pub struct Gone;

impl FromUpstream {
    /// What comes next. It may be asked again when it was not waited for.
    pub async fn next(&mut self) -> Came {
        loop {
            match self.0.next().await {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    return Came::Message(message);
                }
                Some(Ok(Message::Close(close))) => {
                    let close = close.map_or_else(
                        || Close::new(1005, ""),
                        |close| Close::new(close.code.into(), &close.reason),
                    );
                    return Came::Closed(close);
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(Error::Capacity(_))) => return Came::TooLarge,
                Some(Err(error)) => return Came::Lost(error.to_string().into()),
                None => return Came::Lost("it closed the connection".into()),
            }
        }
    }
}
