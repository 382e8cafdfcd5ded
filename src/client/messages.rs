//! Messages between our tools and a gateway: JSON over a WebSocket, and its end.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::dial::Wire;
use super::error::{ClientError, Waited};
use crate::wire::Close;

/// How long a close frame may take on its way.
const CLOSING: Duration = Duration::from_secs(2);

/// A WebSocket, our end, with the name of the other one.
pub(super) struct Messages {
    websocket: WebSocketStream<Wire>,
    /// Where the gateway is.
    pub(super) target: String,
}

impl Messages {
    pub(super) fn new(websocket: WebSocketStream<Wire>, target: String) -> Self {
        Messages { websocket, target }
    }

    pub(super) async fn send(&mut self, message: &Value) -> Result<(), ClientError> {
        let sent = self.websocket.send(Message::text(message.to_string()));
        sent.await.map_err(|_| self.closed(None))
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Value, ClientError> {
        loop {
            match self.websocket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text).map_err(|_| ClientError::Protocol {
                        target: self.target.clone(),
                        what: "it sends what is no JSON".to_owned(),
                    });
                }
                Some(Ok(Message::Close(close))) => {
                    let close = close.map(|close| Close::new(close.code.into(), &close.reason));
                    return Err(self.closed(close));
                }
                Some(Ok(
                    Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
                )) => {}
                Some(Err(_)) | None => return Err(self.closed(None)),
            }
        }
    }

    /// What they go over, for messages of any kind.
    pub(super) fn into_websocket(self) -> WebSocketStream<Wire> {
        self.websocket
    }

    /// How the gateway closes the connection that it has done with, if it says.
    pub(super) async fn close_frame(&mut self) -> Option<Close> {
        let closed = async {
            loop {
                match self.next().await {
                    Ok(_) => {}
                    Err(ClientError::Closed { close, .. }) => break close,
                    Err(_) => break None,
                }
            }
        };
        timeout(CLOSING, closed).await.ok().flatten()
    }

    /// Says good-bye. A gateway that does not listen any more is left.
    pub(super) async fn close(mut self) {
        let _ = timeout(CLOSING, self.websocket.close(None)).await;
    }

    fn closed(&self, close: Option<Close>) -> ClientError {
        ClientError::Closed {
            target: self.target.clone(),
            close,
        }
    }

    pub(super) fn late(&self, what: Waited) -> ClientError {
        ClientError::TooLate {
            target: self.target.clone(),
            what,
        }
    }
}
