//! A WebSocket over a connection that was upgraded: bounds on what is read of it, messages as
//! bytes, and its end.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::ahead::Ahead;
use super::stream::Stream;
use crate::pipe::{Buffered, Receiver, Sender, split};
use crate::wire::{Close, FrameError};

/// How much is read at once. The library's own value takes 128 KiB of every connection.
const READ_BYTES: usize = 4_096;

/// How long the other end may take to confirm that a connection is closed. What it has not read
/// by then may be lost to it.
const CLOSING: Duration = Duration::from_secs(2);

/// A WebSocket, the gateway's end.
#[derive(Debug)]
pub(super) struct WebSocket(Wire);

/// What its messages go over.
type Wire = WebSocketStream<Ahead<Buffered<Stream>>>;

/// Why nothing more comes.
#[derive(Debug)]
pub(super) enum Gone {
    /// The other end closed it.
    Left,
    /// The other end is gone, or cannot be reached.
    Lost,
    /// It broke the protocol, or sent too much: it is to be closed so.
    Broke(Close),
}

fn config(most: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(most))
        .max_frame_size(Some(most))
}

impl WebSocket {
    /// Of a connection whose request was answered with 101, and what was read after it. A
    /// message may have `most` bytes.
    pub(super) async fn new(stream: Buffered<Stream>, read: Vec<u8>, most: usize) -> Self {
        let stream = Ahead::new(stream, &read);
        let config = Some(config(most));
        WebSocket(WebSocketStream::from_partially_read(stream, read, Role::Server, config).await)
    }

    /// The same, of a connection that is admitted already: nothing has to be kept for another one.
    pub(super) async fn admitted(stream: Buffered<Stream>, read: Vec<u8>, most: usize) -> Self {
        let mut stream = Ahead::new(stream, &[]);
        stream.take_behind();
        let config = Some(config(most));
        WebSocket(WebSocketStream::from_partially_read(stream, read, Role::Server, config).await)
    }

    /// Lets messages have `most` bytes from now on. Only one message was read so far.
    ///
    /// The library has no way to say so later, and what it has read ahead cannot be had back: so
    /// another one begins behind that message.
    pub(super) async fn widened(self, most: usize) -> Self {
        let mut stream = self.0.into_inner();
        let read = stream.take_behind();
        let config = Some(config(most));
        WebSocket(WebSocketStream::from_partially_read(stream, read, Role::Server, config).await)
    }

    /// Both ways, for as long as they are needed apart.
    pub(super) fn split(self) -> (ToClient, FromClient) {
        let (to, receiver) = split(self.0, Role::Server);
        let from = FromClient {
            receiver,
            close: None,
        };
        (ToClient(to), from)
    }

    /// The payload of the next message; text and binary count alike.
    pub(super) async fn next(&mut self) -> Result<Bytes, Gone> {
        let mut closed = false;
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.into()),
                Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
                // Who does not take the answers to his pings is read no further: they would pile
                // up.
                Some(Ok(Message::Ping(_))) => self.0.flush().await.map_err(|error| gone(&error))?,
                // It is confirmed while the end is awaited.
                Some(Ok(Message::Close(_))) => closed = true,
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => {}
                // Some do not wait for their close to be confirmed.
                Some(Err(_)) if closed => return Err(Gone::Left),
                Some(Err(error)) => return Err(gone(&error)),
                None => return Err(Gone::Left),
            }
        }
    }

    /// Sends a text.
    pub(super) async fn send(&mut self, text: String) -> Result<(), Gone> {
        let sent = self.0.send(Message::text(text)).await;
        sent.map_err(|_| Gone::Lost)
    }

    /// Closes it, and waits a while for the other end to have heard of it.
    pub(super) async fn close(mut self, close: &Close) {
        let frame = CloseFrame {
            code: close.code.into(),
            reason: close.reason.as_str().into(),
        };
        let confirmed = async {
            if self.0.close(Some(frame)).await.is_err() {
                return;
            }
            // Past the library: what it refused to read it would not refuse again.
            let stream = self.0.get_mut();
            stream.take_behind();
            let mut scratch = [0; 512];
            while stream.read(&mut scratch).await.is_ok_and(|read| {
                // The other end's close frame is the last that it sends.
                let read = scratch.get(..read).unwrap_or_default();
                !read.is_empty() && !ends_with_close(read)
            }) {}
        };
        let _ = timeout(CLOSING, confirmed).await;
    }
}

/// The way to the client.
pub(super) struct ToClient(Sender<Ahead<Buffered<Stream>>>);

/// The way from the client.
pub(super) struct FromClient {
    receiver: Receiver<Ahead<Buffered<Stream>>>,
    /// How the client closed it, where it said.
    pub(super) close: Option<Close>,
}

impl ToClient {
    /// Sends a message. It waits while the client takes none.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), Gone> {
        self.0.send(message).await.map_err(|_| Gone::Lost)
    }

    /// Lets the client hear that its close was heard.
    pub(super) async fn confirm(&mut self) {
        let _ = timeout(CLOSING, self.0.flush()).await;
    }
}

impl FromClient {
    /// The next message, text or binary. It may be asked again when it was not waited for.
    pub(super) async fn next(&mut self) -> Result<Message, Gone> {
        loop {
            match self.receiver.next().await {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Ok(message),
                Some(Ok(Message::Close(close))) => {
                    self.close = close.map(|close| Close::new(close.code.into(), &close.reason));
                    return Err(Gone::Left);
                }
                None => return Err(Gone::Left),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return Err(gone(&error)),
            }
        }
    }

    /// Both ways as one again.
    pub(super) fn whole(self, to: ToClient) -> Option<WebSocket> {
        self.receiver.whole(to.0).map(WebSocket)
    }
}

/// Whether the bytes end with a close frame of a client. Something else that looks so ends the
/// wait early, and nothing else.
fn ends_with_close(bytes: &[u8]) -> bool {
    const FINAL_CLOSE: u8 = 0x88;
    const MASKED: u8 = 0x80;
    const MOST: usize = 2 + 4 + 125;
    (6..=MOST.min(bytes.len())).any(|length| {
        let frame = bytes.get(bytes.len() - length..);
        let Some([FINAL_CLOSE, second, ..]) = frame else {
            return false;
        };
        second & MASKED != 0 && usize::from(second & !MASKED) == length - 6
    })
}

fn gone(error: &Error) -> Gone {
    let close = match error {
        Error::Capacity(_) => FrameError::TooLarge.close(),
        Error::Utf8(_) => FrameError::NotUtf8.close(),
        Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake
            | ProtocolError::ReceivedAfterClosing
            | ProtocolError::SendAfterClosing,
        ) => return Gone::Lost,
        Error::Protocol(_) => Close::new(1002, ""),
        Error::ConnectionClosed | Error::AlreadyClosed => return Gone::Left,
        Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => return Gone::Lost,
    };
    Gone::Broke(close)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[first, 0x80 | length, 1, 2, 3, 4], payload].concat()
    }

    #[test]
    fn a_confirmed_close_is_heard() {
        let close = frame(0x88, &[3, 0xe8]);
        assert!(ends_with_close(&close));
        assert!(ends_with_close(
            &[&frame(0x81, b"late")[..], &close].concat()
        ));
        assert!(ends_with_close(&frame(0x88, b"")));
        assert!(!ends_with_close(&frame(0x81, b"text")));
        assert!(!ends_with_close(&close[..close.len() - 1]));
        assert!(!ends_with_close(b""));
    }

    /// A client that pings and takes no answers is not read without an end.
    #[cfg(unix)]
    #[tokio::test]
    async fn answers_that_nobody_takes_do_not_pile_up() {
        let (ours, theirs) = tokio::net::UnixStream::pair().unwrap();
        let mut websocket =
            WebSocket::new(Buffered::new(Stream::Unix(ours)), Vec::new(), 1_024).await;
        let pings = frame(0x89, &[0; 125]).repeat(64);
        let (mut taken, mut idle) = (0, 0);
        while idle < 1_000 {
            match theirs.try_write(&pings) {
                Ok(length) => {
                    taken += length;
                    idle = 0;
                }
                Err(_) => idle += 1,
            }
            assert!(taken < 16 << 20, "it takes whatever comes");
            tokio::select! {
                biased;
                next = websocket.next() => panic!("{next:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        assert!(taken > 0);
    }
}
