//! A WebSocket over a connection that was upgraded: bounds on what is read of it, messages as
//! bytes, and its end.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink as _, SinkExt as _, Stream as _};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::ahead::Ahead;
use super::stream::Stream;
use crate::pipe::{Buffered, Receiver, Sender, Shared, split};
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

/// What comes next. What a large message took is given back first.
fn next(wire: &mut Wire, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
    renew(wire, context);
    Pin::new(wire).poll_next(context)
}

/// Begins another one behind a large message, since the library keeps the memory that it took.
/// While answers to pings are not taken they would be lost: then it waits for the next message's end.
fn renew(wire: &mut Wire, context: &mut Context<'_>) {
    if !wire.get_ref().is_spent() {
        return;
    }
    let Poll::Ready(Ok(())) = Pin::new(&mut *wire).poll_flush(context) else {
        return;
    };
    let config = Some(*wire.get_config());
    let Some(stream) = wire.get_mut().renewed() else {
        return;
    };
    let another = pin!(WebSocketStream::from_raw_socket(
        stream,
        Role::Server,
        config
    ));
    if let Poll::Ready(another) = another.poll(context) {
        *wire = another;
    }
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
        let stream = Ahead::going_on(stream, &read);
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
            match poll_fn(|context| next(&mut self.0, context)).await {
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

    /// Said at each tick: whether a message that was begun comes too slowly.
    pub(super) fn is_slow(&mut self, tick: Duration) -> bool {
        self.0.get_mut().is_slow(tick)
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
            match self.receiver.next_by(next).await {
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

    /// Who looks after it while messages are waited for.
    pub(super) fn watch(&self) -> Watch {
        Watch(self.receiver.watch())
    }

    /// Both ways as one again.
    pub(super) fn whole(self, to: ToClient) -> Option<WebSocket> {
        self.receiver.whole(to.0).map(WebSocket)
    }
}

/// Who looks after the way from the client.
pub(super) struct Watch(Shared<Ahead<Buffered<Stream>>>);

impl Watch {
    /// Said at each tick: whether a message that was begun comes too slowly.
    pub(super) fn is_slow(&self, tick: Duration) -> bool {
        self.0.with(|wire| wire.get_mut().is_slow(tick))
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

    /// Large ones among others, in parts too, with pings between, however they arrive; and their
    /// memory does not outlast them.
    #[cfg(unix)]
    #[tokio::test]
    async fn messages_behind_large_ones_arrive() {
        use tokio::io::AsyncWriteExt as _;
        use tokio_tungstenite::tungstenite::protocol::frame::Frame;
        use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

        let sizes = [0, 70_000, 5, 16_384, 200_003, 200_003, 1, 40_000];
        let part = |code, size: usize, last| {
            let mut part = Frame::message(vec![7; size], OpCode::Data(code), last);
            part.header_mut().mask = Some([1, 2, 3, 4]);
            part
        };
        let mut bytes = Vec::new();
        for size in sizes {
            part(Data::Binary, size, true).format(&mut bytes).unwrap();
            bytes.extend(frame(0x89, b"?"));
            part(Data::Binary, size, false).format(&mut bytes).unwrap();
            part(Data::Continue, 3, true).format(&mut bytes).unwrap();
        }
        let sent: Vec<usize> = sizes.iter().flat_map(|size| [*size, size + 3]).collect();
        for at_once in [1_000, 4_099, bytes.len()] {
            for halved in [false, true] {
                let (ours, mut theirs) = tokio::net::UnixStream::pair().unwrap();
                let stream = Buffered::new(Stream::Unix(ours));
                let mut websocket = WebSocket::admitted(stream, Vec::new(), 1 << 20).await;
                let writing = async {
                    for part in bytes.chunks(at_once) {
                        theirs.write_all(part).await.unwrap();
                    }
                };
                let reading = async {
                    let mut taken = Vec::new();
                    if halved {
                        let (_to, mut from) = websocket.split();
                        while taken.len() < sent.len() {
                            taken.push(from.next().await.unwrap().len());
                        }
                        let mut waits = pin!(from.next());
                        assert!(
                            poll_fn(|context| Poll::Ready(
                                waits.as_mut().poll(context).is_pending()
                            ))
                            .await
                        );
                        return taken;
                    }
                    while taken.len() < sent.len() {
                        taken.push(websocket.next().await.unwrap().len());
                    }
                    {
                        let mut waits = pin!(websocket.next());
                        assert!(
                            poll_fn(|context| Poll::Ready(
                                waits.as_mut().poll(context).is_pending()
                            ))
                            .await
                        );
                    }
                    assert!(!websocket.0.get_ref().is_spent());
                    taken
                };
                let ((), taken) = tokio::join!(writing, reading);
                assert_eq!(taken, sent, "{at_once} {halved}");
            }
        }
    }
}
