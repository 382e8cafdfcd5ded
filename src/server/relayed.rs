//! A session whose client speaks with the upstream: messages pass both ways, each way at the pace
//! of whoever takes them, until either end is done or the client is not admitted any longer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::connection::{SLOW_SENDER, heard, shutdown};
use super::methods;
use super::session::Session;
use super::websocket::{FromClient, Gone, ToClient, Watch, WebSocket};
use crate::admission::Admitted;
use crate::journal::Finish;
use crate::relay::{Came, FromUpstream, Kind, Link, Names, Open, ToUpstream, Upstream, route};
use crate::source::{MOST_WORDS, one_line};
use crate::wire::Close;
use crate::wire::reply::{Refusal, response};

/// What a client is told when the upstream is gone without a word.
const LOST: &str = "the server behind the gateway is gone";

/// What a client is told whose message may be for the gateway, and is no JSON that says so for sure.
const UNREADABLE: &str = "the message cannot be read for sure";

/// What a client is told when the upstream sends more than is taken.
const TOO_LARGE: &str = "the server behind the gateway sent too large a message";

/// How long the upstream may take to hear of the end.
const CLOSING: Duration = Duration::from_secs(2);

/// A session that is relayed.
pub(super) struct Relayed {
    pub(super) websocket: Box<WebSocket>,
    pub(super) session: Box<Session>,
    pub(super) link: Link,
    pub(super) upstream: Arc<Upstream>,
}

/// How it ended: why, how the client is closed, and how the upstream.
struct Ended {
    why: Finish,
    client: Option<Close>,
    upstream: Option<Close>,
}

impl Ended {
    fn both(why: Finish, close: Close) -> Self {
        Ended {
            why,
            client: Some(close),
            upstream: Some(Close::new(1000, "")),
        }
    }

    fn of_client(why: Finish, said: Option<Close>) -> Self {
        Ended {
            why,
            client: None,
            upstream: Some(said.unwrap_or_else(|| Close::new(1000, ""))),
        }
    }
}

impl Relayed {
    /// Serves it to its end.
    pub(super) async fn serve(self) {
        let Relayed {
            websocket,
            mut session,
            link,
            upstream,
        } = self;
        let _open: Open = upstream.count();
        let events = session.events.take();
        let (mut to_client, mut from_client) = websocket.split();
        let (mut to_upstream, mut from_upstream) = link.split();
        // An answer of ours waits until the client takes it, and so does its next message.
        let (answers, answered) = mpsc::channel(1);
        let tick = Duration::from_millis(session.shared.options.limits.tick_ms);
        let patience = tick * 2;
        let ended = tokio::select! {
            biased;
            ended = watched(&session, tick, from_client.watch()) => ended,
            ended = up(&session, &upstream, &mut from_client, &mut to_upstream, &answers) => ended,
            ended = Down { tick, answered, events, patience, upstream: &upstream, connection: &session.live.told.id }
                .run(&mut from_upstream, &mut to_client) => ended,
        };
        let kind = upstream.options().kind;
        let Ended {
            why,
            client,
            upstream: behind,
        } = ended;
        session.ends(why, client.as_ref().map(|close| close.code));
        let stops = why == Finish::Shutdown;
        drop(session);
        let closing = async {
            match &behind {
                Some(close) => to_upstream.close(close).await,
                None => to_upstream.confirm().await,
            }
        };
        let _ = timeout(CLOSING, closing).await;
        drop((to_upstream, from_upstream));
        if let Some(close) = client {
            // Of a server that is no gateway nobody expects such a message.
            if stops && kind == Kind::OpenClaw {
                let _ = timeout(CLOSING, to_client.send(Message::text(shutdown()))).await;
            }
            if let Some(websocket) = from_client.whole(to_client) {
                websocket.close(&close).await;
            }
        } else {
            to_client.confirm().await;
        }
    }
}

/// Done when the session is not to go on.
async fn watched(session: &Session, tick: Duration, client: Watch) -> Ended {
    let mut next_tick = Instant::now() + tick;
    loop {
        let deadline = session.deadline(next_tick);
        let checked = tokio::select! {
            end = session.live.called() => end.map_or_else(|| session.check(), Err),
            () = sleep_until(deadline) => session.check(),
        };
        if let Err(end) = checked {
            return Ended::both(end.finish(), end.close());
        }
        if Instant::now() < next_tick {
            continue;
        }
        next_tick += tick;
        if client.is_slow(tick) {
            return Ended::both(Finish::SlowSender, Close::new(1008, SLOW_SENDER));
        }
    }
}

/// From the client to the upstream, or to an answer of ours.
async fn up(
    session: &Session,
    upstream: &Upstream,
    from: &mut FromClient,
    to: &mut ToUpstream,
    answers: &mpsc::Sender<String>,
) -> Ended {
    loop {
        let message = match from.next().await {
            Ok(message) => message,
            Err(Gone::Left) => return Ended::of_client(Finish::ClosedByClient, from.close.take()),
            Err(Gone::Lost) => return Ended::of_client(Finish::Lost, None),
            Err(Gone::Broke(close)) => return Ended::both(Finish::Misbehaved, close),
        };
        let passes = match upstream.options().kind {
            Kind::Plain => Some(message),
            Kind::OpenClaw => match answered_here(session, message, answers).await {
                Ok(passes) => passes.map(|message| asked(upstream.names(), message)),
                Err(close) => return Ended::both(Finish::Misbehaved, close),
            },
        };
        if let Some(message) = passes
            && to.send(message).await.is_err()
        {
            // What it said last is read on the other way.
            return std::future::pending().await;
        }
    }
}

/// Gives back a message that goes on; answers any other.
async fn answered_here(
    session: &Session,
    message: Message,
    answers: &mpsc::Sender<String>,
) -> Result<Option<Message>, Close> {
    let bytes = match &message {
        Message::Text(text) => text.as_bytes(),
        Message::Binary(bytes) => bytes,
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => &[],
    };
    match route::of_request(bytes, methods::is_ours) {
        route::Route::On => return Ok(Some(message)),
        route::Route::Here => {}
        route::Route::Nonsense => return Err(Close::new(1002, UNREADABLE)),
    }
    let (text, close) = Box::pin(session.answer(bytes)).await;
    if let Some(text) = text {
        // Nobody takes it only when all is over.
        let _ = answers.send(text).await;
    }
    close.map_or(Ok(None), Err)
}

fn asked(names: &Names, message: Message) -> Message {
    match message {
        Message::Text(text) => Message::Text(names.asked(text)),
        Message::Binary(_)
        | Message::Ping(_)
        | Message::Pong(_)
        | Message::Close(_)
        | Message::Frame(_) => message,
    }
}

/// From the upstream, and from here, to the client.
struct Down<'a> {
    /// How often a client is pinged that hears of nothing by itself, so that one that is gone does
    /// not keep its place.
    tick: Duration,
    answered: mpsc::Receiver<String>,
    events: Option<tokio::sync::broadcast::Receiver<Arc<crate::pairing::change::Event>>>,
    /// How long the client may take none of what it is sent.
    patience: Duration,
    upstream: &'a Upstream,
    /// The client's connection, for the log.
    connection: &'a str,
}

impl Down<'_> {
    async fn run(mut self, from: &mut FromUpstream, to: &mut ToClient) -> Ended {
        let mut next_ping = Instant::now() + self.tick;
        let plain = self.upstream.options().kind == Kind::Plain;
        loop {
            let message = tokio::select! {
                came = from.next() => match came {
                    Came::Message(message) => match self.told(message) {
                        Some(message) => message,
                        None => continue,
                    },
                    Came::Closed(close) => return passed_on(close),
                    Came::TooLarge => {
                        self.warn("it sent a larger message than is taken");
                        return Ended {
                            why: Finish::UpstreamEnded,
                            client: Some(Close::new(1009, TOO_LARGE)),
                            upstream: Some(Close::new(1009, "")),
                        };
                    }
                    Came::Lost(why) => {
                        self.warn(&why);
                        return Ended {
                            why: Finish::UpstreamEnded,
                            client: Some(Close::new(1012, LOST)),
                            upstream: None,
                        };
                    }
                },
                Some(text) = self.answered.recv() => Message::text(text),
                event = heard(&mut self.events) => Message::text(event),
                () = sleep_until(next_ping), if plain => {
                    next_ping = Instant::now() + self.tick;
                    Message::Ping(Bytes::new())
                }
            };
            match timeout(self.patience, to.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ended::of_client(Finish::Lost, None),
                Err(_) => {
                    let close = Close::new(1008, "slow consumer");
                    return Ended::both(Finish::Slow, close);
                }
            }
        }
    }

    fn warn(&self, why: &str) {
        tracing::warn!(
            connection = %self.connection,
            upstream = %self.upstream.options().target,
            "the connection to the upstream is lost: {}",
            one_line(why, MOST_WORDS)
        );
    }

    /// What a client is told of a message; nothing of devices that are behind.
    fn told(&self, message: Message) -> Option<Message> {
        match (self.upstream.options().kind, message) {
            (Kind::OpenClaw, Message::Text(text)) => route::passes(text.as_bytes())
                .then(|| Message::Text(self.upstream.names().told(text))),
            (Kind::OpenClaw, Message::Binary(bytes)) => {
                route::passes(&bytes).then_some(Message::Binary(bytes))
            }
            (_, message) => Some(message),
        }
    }
}

/// How the client is closed when the upstream closes. A code that nobody may send is none.
fn passed_on(close: Close) -> Ended {
    let close = match close.code {
        1005 | 1006 | 1015 => Close::new(1000, &close.reason),
        _ => close,
    };
    Ended {
        why: Finish::UpstreamEnded,
        client: Some(close),
        upstream: None,
    }
}

/// What a client is told on admission: what the upstream says, but for what it may do and with
/// which token it comes again. Those are ours.
pub(super) fn hello(admitted: &Admitted, ours: Value, behind: Value, names: &Names) -> String {
    let mut told = behind;
    if let (Some(told), Value::Object(mut ours)) = (told.as_object_mut(), ours) {
        told.remove("auth");
        if let Some(auth) = ours.remove("auth") {
            told.insert("auth".to_owned(), auth);
        }
    }
    let text = response::<Refusal>(&admitted.id, Ok(&told));
    names.told(text.into()).as_str().to_owned()
}
