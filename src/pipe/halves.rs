//! A WebSocket as two halves, for messages that pass at the pace of whoever takes them. Both are of
//! one connection: its errors and its end come to whoever receives.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::buffered::Queue;

/// How many bytes of a message are masked at once: they stay near.
const MASKED_AT_ONCE: usize = 16_384;

/// How many answers to pings may wait to be taken.
const MOST_UNANSWERED: usize = 64;

/// Up to how many bytes a message goes out as one piece with its header.
const SMALL: usize = 4_096;

/// The longest header of a frame (RFC 6455, 5.2).
const MOST_HEADER: usize = 14;

/// The bit of a frame's second byte that says that it is masked (RFC 6455, 5.2).
const MASKED: u8 = 0x80;

/// The half that sends.
#[derive(Debug)]
pub(crate) struct Sender<S> {
    both: Arc<Mutex<WebSocketStream<S>>>,
    role: Role,
}

/// The half that receives.
#[derive(Debug)]
pub(crate) struct Receiver<S> {
    both: Arc<Mutex<WebSocketStream<S>>>,
    /// How many pings may not be answered yet.
    unanswered: usize,
}

/// Both halves, for who only looks at them.
#[derive(Debug)]
pub(crate) struct Shared<S>(Arc<Mutex<WebSocketStream<S>>>);

impl<S> Shared<S> {
    /// Looks at them.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut WebSocketStream<S>) -> R) -> R {
        look(&mut lock(&self.0))
    }
}

/// What comes next of a WebSocket.
type Next = Poll<Option<Result<Message, Error>>>;

/// A message cannot be sent: the connection is over.
#[derive(Debug)]
pub(crate) struct Unsent;

/// Both halves of a WebSocket, of which this is the end of `role`.
pub(crate) fn split<S>(websocket: WebSocketStream<S>, role: Role) -> (Sender<S>, Receiver<S>) {
    let both = Arc::new(Mutex::new(websocket));
    let sender = Sender {
        both: Arc::clone(&both),
        role,
    };
    let receiver = Receiver {
        both,
        unanswered: 0,
    };
    (sender, receiver)
}

fn lock<S>(both: &Mutex<WebSocketStream<S>>) -> MutexGuard<'_, WebSocketStream<S>> {
    both.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + AsyncWrite + Queue + Unpin> Sender<S> {
    /// Sends a message. It waits until the other end took all of it but what the system keeps.
    ///
    /// What is sent goes past the library: its own buffer would keep the size of the largest
    /// message for as long as the connection lasts.
    pub(crate) async fn send(&mut self, message: Message) -> Result<(), Unsent> {
        let (kind, payload) = match message {
            Message::Text(text) => (Data::Text, Bytes::from(text)),
            Message::Binary(bytes) => (Data::Binary, bytes),
            control @ (Message::Ping(_)
            | Message::Pong(_)
            | Message::Close(_)
            | Message::Frame(_)) => {
                poll_fn(|context| Pin::new(&mut *lock(&self.both)).poll_ready(context))
                    .await
                    .map_err(|_| Unsent)?;
                Pin::new(&mut *lock(&self.both))
                    .start_send(control)
                    .map_err(|_| Unsent)?;
                return self.flush().await;
            }
        };
        let mask = match self.role {
            Role::Server => None,
            Role::Client => {
                let mut mask = [0; 4];
                aws_lc_rs::rand::fill(&mut mask).map_err(|_| Unsent)?;
                Some(mask)
            }
        };
        // What the library has begun to send goes first.
        self.flush().await?;
        {
            let mut both = lock(&self.both);
            for piece in frame(kind, payload, mask) {
                both.get_mut().queue(piece);
            }
        }
        self.flush().await
    }

    /// Sends whatever is not sent yet: a close that is to be confirmed among it.
    pub(crate) async fn flush(&self) -> Result<(), Unsent> {
        poll_fn(|context| Pin::new(&mut *lock(&self.both)).poll_flush(context))
            .await
            .map_err(|_| Unsent)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Receiver<S> {
    /// What comes next; nothing after the end. It may be asked again when it was not waited for.
    ///
    /// Pings are answered by the library, which keeps the answers that nobody takes. Whoever sends
    /// many, and takes nothing, is not read until the answers are gone.
    pub(crate) async fn next(&mut self) -> Option<Result<Message, Error>> {
        self.next_by(|websocket, context| Pin::new(websocket).poll_next(context))
            .await
    }

    /// The same, asked in a way of one's own.
    pub(crate) async fn next_by(
        &mut self,
        mut ask: impl FnMut(&mut WebSocketStream<S>, &mut Context<'_>) -> Next,
    ) -> Option<Result<Message, Error>> {
        if self.unanswered >= MOST_UNANSWERED {
            poll_fn(|context| self.poll_flush(context)).await.ok()?;
            self.unanswered = 0;
        }
        let next = poll_fn(|context| ask(&mut lock(&self.both), context)).await;
        if let Some(Ok(Message::Ping(_))) = &next {
            self.unanswered += 1;
            let flushed = poll_fn(|context| Poll::Ready(self.poll_flush(context))).await;
            if flushed.is_ready() {
                self.unanswered = 0;
            }
        }
        next
    }

    fn poll_flush(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut *lock(&self.both)).poll_flush(context)
    }

    /// Both halves, for who only looks at them. They are not to be one again before that is gone.
    pub(crate) fn watch(&self) -> Shared<S> {
        Shared(Arc::clone(&self.both))
    }

    /// Both halves as one again; nothing where they are of two.
    pub(crate) fn whole(self, sender: Sender<S>) -> Option<WebSocketStream<S>> {
        drop(sender);
        let both = Arc::into_inner(self.both)?;
        Some(both.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A message as one frame, in pieces (RFC 6455, 5.2).
fn frame(kind: Data, payload: Bytes, mask: Option<[u8; 4]>) -> [Bytes; 2] {
    let header = FrameHeader {
        is_final: true,
        opcode: OpCode::Data(kind),
        ..FrameHeader::default()
    };
    let together = mask.is_some() || payload.len() <= SMALL;
    let room = MOST_HEADER + if together { payload.len() } else { 0 };
    let mut bytes = Vec::with_capacity(room);
    // A Vec takes whatever is written to it.
    let _ = header.format(payload.len() as u64, &mut bytes);
    match mask {
        None if together => bytes.extend_from_slice(&payload),
        None => return [bytes.into(), payload],
        Some(mask) => {
            if let Some(second) = bytes.get_mut(1) {
                *second |= MASKED;
            }
            bytes.extend_from_slice(&mask);
            for part in payload.chunks(MASKED_AT_ONCE) {
                let from = bytes.len();
                bytes.extend_from_slice(part);
                mask_with(bytes.get_mut(from..).unwrap_or_default(), mask);
            }
        }
    }
    [bytes.into(), Bytes::new()]
}

/// Masks from a place on that is a multiple of four (RFC 6455, 5.3).
fn mask_with(bytes: &mut [u8], mask: [u8; 4]) {
    let mut words = bytes.chunks_exact_mut(4);
    for word in &mut words {
        for (byte, by) in word.iter_mut().zip(mask) {
            *byte ^= by;
        }
    }
    for (byte, by) in words.into_remainder().iter_mut().zip(mask) {
        *byte ^= by;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use proptest::prelude::*;
    use tokio::io::{DuplexStream, duplex};
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;

    use super::super::Buffered;
    use super::*;

    type End = WebSocketStream<Buffered<DuplexStream>>;

    async fn ends(room: usize) -> (End, End) {
        let (here, there) = duplex(room);
        (
            WebSocketStream::from_raw_socket(Buffered::new(here), Role::Server, None).await,
            WebSocketStream::from_raw_socket(Buffered::new(there), Role::Client, None).await,
        )
    }

    /// Messages of sizes about which headers differ, and beyond what is read and masked at once.
    fn messages() -> Vec<Message> {
        let sizes = [0, 1, 125, 126, 4_096, 4_097, 65_535, 65_536, 200_003];
        let text = |size: usize| "0123456789".chars().cycle().take(size).collect::<String>();
        let both = |size| [Message::text(text(size)), Message::binary(text(size))];
        sizes.into_iter().flat_map(both).collect()
    }

    /// Both ways, however little the other end takes at once, and with pings between.
    #[tokio::test]
    async fn messages_arrive_whole_and_in_order() {
        for room in [64, 5_000, 1 << 20] {
            for role in [Role::Server, Role::Client] {
                let (server, client) = ends(room).await;
                let (ours, mut theirs) = match role {
                    Role::Server => (server, client),
                    Role::Client => (client, server),
                };
                let (mut sender, mut receiver) = split(ours, role);
                let sent = messages();
                let sending = async {
                    for message in sent.clone() {
                        sender.send(message).await.unwrap();
                    }
                };
                let answering = async {
                    let mut taken = Vec::new();
                    while taken.len() < sent.len() {
                        let message = theirs.next().await.unwrap().unwrap();
                        if !message.is_pong() {
                            theirs.send(message.clone()).await.unwrap();
                            theirs.send(Message::Ping("?".into())).await.unwrap();
                            taken.push(message);
                        }
                    }
                    taken
                };
                let receiving = async {
                    let mut taken = Vec::new();
                    while taken.len() < sent.len() {
                        let message = receiver.next().await.unwrap().unwrap();
                        if !message.is_ping() {
                            taken.push(message);
                        }
                    }
                    taken
                };
                let ((), there, back) = tokio::join!(sending, answering, receiving);
                assert!(there == sent && back == sent, "{room} {role:?}");
                let whole = receiver.whole(sender).unwrap();
                assert!(whole.get_ref().is_idle(), "buffers outlast the messages");
            }
        }
    }

    /// Who pings and takes no answers is not read without an end.
    #[tokio::test]
    async fn answers_that_nobody_takes_do_not_pile_up() {
        use tokio::io::AsyncWriteExt as _;

        let (here, mut there) = duplex(4_096);
        let server =
            WebSocketStream::from_raw_socket(Buffered::new(here), Role::Server, None).await;
        let (_sender, mut receiver) = split(server, Role::Server);
        let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[0; 125]].concat();
        let mut written = 0;
        let flooding = async {
            while written < 100_000 {
                there.write_all(&ping).await.unwrap();
                written += 1;
            }
        };
        let receiving = async { while receiver.next().await.is_some() {} };
        let idle = async {
            for _ in 0..100_000 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = flooding => {}
            () = receiving => {}
            () = idle => {}
        }
        assert!(written < 1_000, "{written} pings were taken");
    }

    proptest! {
        /// As the library makes it, which is slower.
        #[test]
        fn a_frame_is_as_the_library_makes_it(
            payload in proptest::collection::vec(any::<u8>(), 0..70_000),
            mask: Option<[u8; 4]>,
        ) {
            let pieces = frame(Data::Binary, payload.clone().into(), mask);
            let mut ours = pieces.concat();
            let plain = Frame::message(payload, OpCode::Data(Data::Binary), true);
            let mut theirs = Vec::new();
            plain.format(&mut theirs).unwrap();
            if let Some(mask) = mask {
                let header = theirs.len() - plain_length(&theirs);
                prop_assert_eq!(ours.get(header..header + 4), Some(&mask[..]));
                ours.drain(header..header + 4);
                *ours.get_mut(1).unwrap() ^= MASKED;
                for (byte, by) in ours.iter_mut().skip(header).zip(mask.into_iter().cycle()) {
                    *byte ^= by;
                }
            }
            prop_assert_eq!(ours, theirs);
        }
    }

    /// How long the payload of an unmasked frame is.
    fn plain_length(frame: &[u8]) -> usize {
        let (_, length) = FrameHeader::parse(&mut std::io::Cursor::new(frame))
            .unwrap()
            .unwrap();
        usize::try_from(length).unwrap()
    }
}
