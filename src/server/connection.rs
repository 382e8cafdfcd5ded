//! One connection, from the socket to its end: TLS, HTTP head, challenge, connect frame, answer,
//! session. One task, and one deadline at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::admit::{Arrived, Decided, Undecided, admit};
use super::clock::{now_ms, uuid};
use super::gateway::{Phase, Shared, lock};
use super::http::{self, Asked};
use super::listener::Accepted;
use super::methods;
use super::metrics::{Limit, Over};
use super::page;
use super::plain::{self, Asking, Through};
use super::relayed::{self, Relayed};
use super::session::{Begun, Session};
use super::sessions::End;
use super::snapshot::Snapshot;
use super::stream::Stream;
use super::unadmitted::Seat;
use super::waiting::{self, Address, By, Place};
use super::websocket::{Gone, WebSocket};
use crate::admission::{
    self, Admission, Challenged, RefusedUpgrade, Reply, Upgrade, at_upgrade, refused_page,
    refused_upgrade,
};
use crate::facts::{OriginClass, PeerUid, Text, Transport};
use crate::handshake::{self, Http, Socket};
use crate::host::peer::Ends;
use crate::journal::{Connection, Finish, Line, Unfinished};
use crate::pipe::{Buffered, Hold};
use crate::relay::http::Pace;
use crate::relay::{Granted, Kind, Link, Upstream};
use crate::source::{MOST_WORDS, one_line};
use crate::wire::reply::{HttpReason, HttpRefusal, Server, challenge, event, upstream_away};
use crate::wire::{Close, Limits, connect};

/// A connection that became a WebSocket and is not admitted yet.
struct Entered {
    websocket: WebSocket,
    upgrade: Upgrade,
    /// What the request was judged by.
    judged_by: Arc<Snapshot>,
    connection: Connection,
    nonce: Text,
    /// When it is to be admitted at the latest.
    deadline: Instant,
    /// One of those that its client may have waiting.
    place: Place,
}

/// What a request for a WebSocket leaves for the connection that goes on with it.
enum Taken {
    /// It is decided by its first message.
    Entered(OnUpgrade, Box<Upgrade>, Arc<Snapshot>, Place),
    /// It is admitted, and gets through to the server behind.
    Through(OnUpgrade, Box<Through>),
}

/// A connection that became a WebSocket.
enum Became {
    Entered(Box<Entered>),
    Through(Box<Relayed>),
}

/// Serves a connection to its end.
///
/// What is needed before admission only is on the heap, and gone after it; so is what is needed
/// only now and then. A session waits for most of its life.
pub(super) async fn serve(
    shared: Arc<Shared>,
    accepted: Accepted,
    arriving: Option<Place>,
    seat: Option<Seat>,
) {
    let admitted = tokio::select! {
        admitted = Box::pin(admitted(shared, accepted, arriving, seat.as_ref())) => admitted,
        () = taken(seat.as_ref()) => None,
    };
    drop(seat);
    if let Some(converse) = admitted {
        converse.await;
    }
}

/// Done when another connection has taken the place.
async fn taken(seat: Option<&Seat>) {
    match seat {
        Some(seat) => seat.taken().await,
        None => std::future::pending().await,
    }
}

/// Done when another connection of the same address has the place.
async fn gave_way(place: Option<&Place>) {
    match place {
        Some(place) => place.gave_way().await,
        None => std::future::pending().await,
    }
}

/// A session that is served until it ends.
type Conversation = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn admitted(
    shared: Arc<Shared>,
    accepted: Accepted,
    arriving: Option<Place>,
    seat: Option<&Seat>,
) -> Option<Conversation> {
    let deadline = Instant::now() + patience(&shared);
    let entered = tokio::select! {
        entered = enter(&shared, accepted, seat, deadline) => entered,
        () = gave_way(arriving.as_ref()) => None,
        () = shared.stops() => None,
    };
    drop(arriving);
    let entered = match entered? {
        Became::Entered(entered) => *entered,
        Became::Through(relayed) => return Some(Box::pin(relayed.serve())),
    };
    let Admitted {
        websocket,
        session,
        relay,
    } = be_admitted(&shared, entered).await?;
    // An argument takes its size twice.
    let (websocket, session) = (Box::new(websocket), Box::new(session));
    Some(match relay {
        None => Box::pin(converse(websocket, session)),
        Some((upstream, link)) => {
            let relayed = Relayed {
                websocket,
                session,
                link,
                upstream,
            };
            Box::pin(relayed.serve())
        }
    })
}

/// How long a connection may take until it is admitted.
fn patience(shared: &Shared) -> Duration {
    Duration::from_millis(shared.options.limits.handshake_timeout_ms)
}

/// The least that `hyper` reads a head with.
const LEAST_HEAD: usize = 8_192;

/// TLS and HTTP: until the connection is a WebSocket, or was answered otherwise.
async fn enter(
    shared: &Arc<Shared>,
    accepted: Accepted,
    seat: Option<&Seat>,
    deadline: Instant,
) -> Option<Became> {
    let socket = Socket {
        transport: match accepted.peer {
            Some(_) => Transport::Tcp,
            None => Transport::Unix,
        },
        peer: accepted.peer,
        local: accepted.local,
        tls: accepted.tls.is_some(),
        peer_uid: owner(shared, &accepted),
        own_addresses: Arc::clone(&shared.own_addresses),
    };
    let stream = match (accepted.stream, accepted.tls) {
        (Stream::Tcp(stream), Some(tls)) => match timeout_at(deadline, tls.accept(stream)).await {
            Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
            Ok(Err(error)) => {
                tracing::debug!(peer = ?socket.peer, %error, "no TLS");
                return None;
            }
            Err(_) => {
                tracing::debug!(peer = ?socket.peer, "TLS took too long");
                return None;
            }
        },
        (stream, _) => stream,
    };
    let (Ok(id), Ok(nonce)) = (uuid(), uuid()) else {
        tracing::error!("a connection is closed: the system has no randomness");
        return None;
    };
    let taken: Mutex<Option<Taken>> = Mutex::default();
    let hold = Hold::default();
    let pace = Arc::new(Pace::new(deadline));
    let door = Doorway {
        shared,
        socket: &socket,
        id: &id,
        seat,
    };
    let service = service_fn(|request: Request<Incoming>| async {
        let answer = match http::asked(&request) {
            Asked::WebSocket(accept) => match plain::upstream(shared, &socket) {
                Some(upstream) => {
                    pace.give(shared.longest_behind());
                    through(&door, &upstream, request, accept, &taken).await
                }
                None => upgraded(&door, request, accept, &taken),
            },
            Asked::BrokenWebSocket(answer) => answer,
            Asked::Page => Box::pin(page::answer(&door, &pace, request)).await,
        };
        // The challenge follows it at once, and goes out with it.
        if let Some(Taken::Entered(..)) = &*lock(&taken) {
            hold.hold();
        }
        Ok::<_, std::convert::Infallible>(answer)
    });
    // Every answer of ours but that of an upgrade says that it is the last one. Said here, it would
    // stand beside `Upgrade` in that answer too, which strict clients refuse.
    let connection = http1::Builder::new()
        .max_buf_size(shared.options.limits.head_bytes.max(LEAST_HEAD))
        .serve_connection(
            TokioIo::new(Buffered::holding(stream, hold.clone())),
            service,
        )
        .with_upgrades();
    tokio::select! {
        served = connection => if let Err(error) = served {
            tracing::debug!(peer = ?socket.peer, %error, "no request");
            return None;
        },
        () = pace.over() => {
            tracing::debug!(peer = ?socket.peer, "the request took too long");
            return None;
        }
    }
    let taken = lock(&taken).take()?;
    let deadline = match pace.until() == deadline {
        true => deadline,
        // It has asked for pages before, or waited for the server behind, which have their own time.
        false => Instant::now() + patience(shared),
    };
    Some(match taken {
        Taken::Entered(upgraded, upgrade, judged_by, place) => {
            let (stream, read) = stream_of(upgraded, deadline).await?;
            let most = Limits::DEFAULT.first_message_bytes;
            Became::Entered(Box::new(Entered {
                websocket: WebSocket::new(stream, read, most).await,
                connection: Connection::of(id, &upgrade),
                upgrade: *upgrade,
                judged_by,
                nonce,
                deadline,
                place,
            }))
        }
        Taken::Through(upgraded, through) => {
            let Through {
                session,
                link,
                upstream,
                ..
            } = *through;
            let Some((stream, read)) = stream_of(upgraded, deadline).await else {
                session.ends(Finish::Lost, None);
                return None;
            };
            let most = shared.options.limits.message_bytes;
            Became::Through(Box::new(Relayed {
                websocket: Box::new(WebSocket::admitted(stream, read, most).await),
                session: Box::new(session),
                link,
                upstream,
            }))
        }
    })
}

/// What a connection goes over that was answered with 101, and what was read after it.
async fn stream_of(upgraded: OnUpgrade, deadline: Instant) -> Option<(Buffered<Stream>, Vec<u8>)> {
    let upgraded = timeout_at(deadline, upgraded).await.ok()?.ok()?;
    let parts = upgraded.downcast::<TokioIo<Buffered<Stream>>>().ok()?;
    Some((parts.io.into_inner().release(), parts.read_buf.to_vec()))
}

/// Who owns the other end, by the kernel's word.
fn owner(shared: &Shared, accepted: &Accepted) -> PeerUid {
    match (&accepted.stream, accepted.local, accepted.uid) {
        // Our own end keeps the address that it was accepted with.
        (Stream::Tcp(stream), Some(local), _) => shared.options.peers.tcp(|| {
            let peer = stream.peer_addr()?;
            Ok(Ends { peer, local })
        }),
        (_, _, Some(uid)) => shared.options.peers.unix(uid),
        (_, _, None) => PeerUid::Unknown,
    }
}

/// Where requests of a connection come in.
pub(super) struct Doorway<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) socket: &'a Socket,
    /// The connection's.
    pub(super) id: &'a Text,
    pub(super) seat: Option<&'a Seat>,
}

/// Answers a request for a WebSocket. One that goes on as such is left in `taken`.
fn upgraded(
    door: &Doorway<'_>,
    mut request: Request<Incoming>,
    accept: HeaderValue,
    taken: &Mutex<Option<Taken>>,
) -> http::Answer {
    let (upgrade, snapshot, place) = match guarded(door, &http::head(&request), What::WebSocket) {
        Ok(passed) => passed,
        Err(refusal) => return http::refused(&refusal, door.id),
    };
    if let Some(seat) = door.seat {
        seat.is_of(whose(&upgrade));
    }
    place.silent();
    let upgraded = hyper::upgrade::on(&mut request);
    *lock(taken) = Some(Taken::Entered(upgraded, Box::new(upgrade), snapshot, place));
    http::switching(accept, door.id, None)
}

/// Answers one for the WebSocket of a server behind, once that has taken it up.
async fn through(
    door: &Doorway<'_>,
    upstream: &Arc<Upstream>,
    mut request: Request<Incoming>,
    accept: HeaderValue,
    taken: &Mutex<Option<Taken>>,
) -> http::Answer {
    let asking = match Asking::at(door, upstream, &request) {
        Ok(asking) => asking,
        Err(answer) => return *answer,
    };
    let upgraded = hyper::upgrade::on(&mut request);
    match Box::pin(asking.through()).await {
        Ok(through) => {
            let answer = http::switching(accept, door.id, through.subprotocol.as_deref());
            *lock(taken) = Some(Taken::Through(upgraded, Box::new(through)));
            answer
        }
        Err(answer) => answer,
    }
}

/// What a request asks for.
#[derive(Clone, Copy)]
pub(super) enum What {
    WebSocket,
    Page,
}

/// What a request passes before anything is done for it. A refusal is written down.
pub(super) fn guarded(
    door: &Doorway<'_>,
    head: &Http,
    what: What,
) -> Result<(Upgrade, Arc<Snapshot>, Place), HttpRefusal> {
    let Doorway {
        shared, socket, id, ..
    } = *door;
    let snapshot = shared.snapshot();
    let refuse = |reason: HttpReason, guard: Option<&RefusedUpgrade>| {
        let whose = Address::of_client(
            socket.transport,
            handshake::at_upgrade(&snapshot.settings, socket, head).client_ip,
        );
        let agent = head.values("user-agent").next().map(|(_, agent)| agent);
        let connection = Connection::new(id.clone(), socket, agent);
        let guard = guard.map(|guard| (&snapshot.policy, guard));
        let line = Line::upgrade_refused(&connection, now_ms(), reason, guard);
        shared
            .record
            .upgrade_refused(whose, &line, reason, &snapshot);
        Err(HttpRefusal::of(reason))
    };
    if *shared.phase.borrow() != Phase::Open {
        return refuse(HttpReason::Closed, None);
    }
    let upgrade = match at_upgrade(snapshot.gate(), socket.clone(), head.clone()) {
        Ok(upgrade) => upgrade,
        Err(_) => {
            let guard = refused_upgrade(snapshot.gate(), socket, head);
            let reason = guard
                .as_ref()
                .map_or(HttpReason::Closed, RefusedUpgrade::http);
            return refuse(reason, guard.as_ref());
        }
    };
    let refused = match what {
        What::WebSocket => None,
        What::Page => refused_page(snapshot.gate(), &upgrade),
    };
    if let Some(guard) = refused {
        return refuse(guard.http(), Some(&guard));
    }
    let by = By::of(upgrade.facts().origin.class());
    let Ok(waiting::Entered { place, instead }) = shared.waiting.enter(whose(&upgrade), by) else {
        return refuse(HttpReason::WaitingSockets, None);
    };
    if instead {
        shared.record.metrics.limited(Limit::PerAddress);
    }
    Ok((upgrade, snapshot, place))
}

/// Whose connection it is.
pub(super) fn whose(upgrade: &Upgrade) -> Address {
    let facts = upgrade.facts();
    Address::of_client(facts.transport, facts.client_ip)
}

/// A session, and what it is served over.
struct Admitted {
    websocket: WebSocket,
    session: Session,
    /// Whom it speaks with, where that is not the gateway itself.
    relay: Option<(Arc<Upstream>, Link)>,
}

/// Challenge and connect frame, then decision and answer.
async fn be_admitted(shared: &Arc<Shared>, entered: Entered) -> Option<Admitted> {
    let Entered {
        mut websocket,
        upgrade,
        judged_by,
        connection,
        nonce,
        deadline,
        place,
    } = entered;
    let asked = event("connect.challenge", &challenge(&nonce, now_ms(), &[]));
    let first = timeout_at(deadline, async {
        websocket.send(asked).await?;
        websocket.next().await
    });
    let first = tokio::select! {
        first = first => first.map_err(|_| Unfinished::TimedOut),
        () = place.gave_way() => Err(Unfinished::GaveWay),
        () = shared.stops() => Err(Unfinished::Shutdown),
    };
    place.heard();
    let (why, close) = match first {
        Ok(Ok(message)) => {
            let began = Instant::now();
            let entered = Presenting {
                websocket,
                upgrade,
                judged_by,
                connection,
                nonce,
                began,
                place,
            };
            // On the heap from here: whoever never comes so far takes no memory for it.
            return Box::pin(decide(shared, entered, &message, deadline)).await;
        }
        Ok(Err(Gone::Left)) => (Unfinished::ClosedByClient, None),
        Ok(Err(Gone::Lost)) => (Unfinished::Lost, None),
        Ok(Err(Gone::Broke(close))) => (Unfinished::TooMuch, Some(close)),
        Err(Unfinished::Shutdown) => (Unfinished::Shutdown, Some(End::Shutdown.close())),
        Err(Unfinished::GaveWay) => (
            Unfinished::GaveWay,
            Some(Close::new(
                1013,
                "too many connections of this address wait",
            )),
        ),
        Err(why) => (why, Some(Close::new(1000, ""))),
    };
    let code = close.as_ref().map(|close| close.code);
    let line = Line::unfinished(&connection, now_ms(), Some(&upgrade), why, code);
    shared.record.unfinished(whose(&upgrade), &line, why);
    if let Some(close) = close {
        websocket.close(&close).await;
    }
    None
}

/// A connection whose first message is here.
struct Presenting {
    websocket: WebSocket,
    upgrade: Upgrade,
    judged_by: Arc<Snapshot>,
    connection: Connection,
    nonce: Text,
    began: Instant,
    place: Place,
}

/// Decision and answer.
async fn decide(
    shared: &Arc<Shared>,
    presenting: Presenting,
    message: &[u8],
    deadline: Instant,
) -> Option<Admitted> {
    let Presenting {
        mut websocket,
        upgrade,
        judged_by,
        connection,
        nonce,
        began,
        place,
    } = presenting;
    let time_ms = now_ms();
    let arrived = Arrived {
        upgrade: &upgrade,
        judged_by: &judged_by,
        message,
        challenged: Challenged {
            nonce: &nonce,
            time_ms,
        },
    };
    let decided = match admit(shared, &arrived).await {
        Ok(decided) => decided,
        Err(Undecided::Frame {
            reply,
            upgrade,
            snapshot,
        }) => {
            let evidence = upgrade.evidence(&snapshot.settings);
            let line = Line::frame_refused(&connection, time_ms, &upgrade, &reply);
            let line = line.shown_by(evidence);
            shared.record.frame_refused(whose(&upgrade), &line);
            refuse(websocket, &reply, deadline).await;
            return None;
        }
        Err(Undecided::Failed { reply, error }) => {
            tracing::error!(connection = %connection.id, %error, "a connection cannot be decided");
            refuse(websocket, &reply, deadline).await;
            return None;
        }
    };
    drop(judged_by);
    let Decided {
        admission,
        evidence,
        snapshot,
        version,
        delay_ms,
        unkept,
    } = decided;
    let took = began.elapsed();
    let page = upgrade.facts().origin.class() != OriginClass::Absent;
    let opened = match unkept.is_none() {
        true => Box::pin(opened(shared, &connection, message, &admission, page)).await,
        false => Ok(None),
    };
    let (relay, not_taken) = match opened {
        Ok(relay) => (relay, None),
        Err(why) => (None, Some(why)),
    };
    let line = Line::decided(&connection, &snapshot.policy, &admission).shown_by(evidence);
    let (reply, line) = match (&unkept, &not_taken) {
        (Some(reply), _) => (reply, line.unkept(reply)),
        (None, Some(NotTaken { reply, why })) => (reply, line.not_taken(reply, why)),
        (None, None) => (&admission.reply, line),
    };
    let record = &shared.record;
    let line = record.decided(&line, &admission, reply, &snapshot, took);
    if delay_ms > 0 {
        let delay = Duration::from_millis(delay_ms.unsigned_abs());
        place.hold(delay);
        tokio::select! {
            () = sleep(delay) => {}
            // Without an answer: it is not to be had sooner by an end.
            () = shared.stops() => return None,
        }
    }
    let (Reply::Admitted(admitted), Some(permit), Some(line)) = (reply, admission.permit, line)
    else {
        refuse(websocket, reply, deadline).await;
        return None;
    };
    let begun = Begun {
        connection,
        address: whose(&upgrade),
        from: upgrade.from(),
        line,
        snapshot: Arc::clone(&snapshot),
        version,
    };
    let mut session = match Session::begin(Arc::clone(shared), permit, begun) {
        Ok(session) => session,
        Err(end) => {
            websocket.close(&end.close()).await;
            return None;
        }
    };
    // What happens from here on it hears, after the answer.
    session.listen();
    let compatibility = &snapshot.settings.compatibility;
    let mut most = shared.options.limits.message_bytes;
    let (hello, relay) = match relay {
        None => (hello(&session, admitted, compatibility), None),
        Some((upstream, mut link)) => {
            let behind = link.take_hello();
            most = takes(&behind).unwrap_or(most);
            let server = Server::new(&shared.options.version, &session.live.told.id);
            let ours = admitted.hello(&server, compatibility);
            let hello = relayed::hello(admitted, ours, behind, upstream.names());
            (hello, Some((upstream, link)))
        }
    };
    match timeout_at(deadline, websocket.send(hello)).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => {
            session.ends(Finish::Lost, None);
            return None;
        }
    }
    Some(Admitted {
        websocket: websocket.widened(most).await,
        session,
        relay,
    })
}

/// A client that is admitted here, and that the upstream does not take.
pub(super) struct NotTaken {
    /// What it is answered in the place of its admission.
    pub(super) reply: Reply,
    /// Why; for the owner.
    pub(super) why: Box<str>,
}

/// The way to the upstream for whom is admitted, where there is one that the client is for.
///
/// # Errors
///
/// [`NotTaken`].
pub(super) async fn opened(
    shared: &Arc<Shared>,
    connection: &Connection,
    message: &[u8],
    admission: &Admission,
    from_page: bool,
) -> Result<Option<(Arc<Upstream>, Link)>, NotTaken> {
    let upstream = shared.upstream();
    let (Some(upstream), Reply::Admitted(admitted), Some(permit)) = (
        upstream.filter(|upstream| upstream.options().kind == Kind::OpenClaw),
        &admission.reply,
        &admission.permit,
    ) else {
        return Ok(None);
    };
    let away = |error: &dyn std::fmt::Display, reached: bool| NotTaken {
        reply: Reply::Refused {
            id: admitted.id.clone(),
            refusal: Box::new(upstream_away(reached)),
        },
        why: error.to_string().into(),
    };
    let frame: Value = serde_json::from_slice(message).map_err(|error| away(&error, false))?;
    let params = frame.get("params").and_then(Value::as_object);
    let params = params.ok_or_else(|| away(&"it has no parameters", false))?;
    let caps = params.get("caps").and_then(Value::as_array);
    if caps.is_some_and(|caps| caps.iter().any(|cap| cap == connect::GATEWAY_ONLY)) {
        return Ok(None);
    }
    let granted = Granted {
        params,
        client: permit.client(),
        mode: permit.mode(),
        role: permit.role(),
        scopes: permit.scopes(),
    };
    let opened = upstream.open(&granted, permit.device_id(), from_page).await;
    let metrics = &shared.record.metrics;
    metrics.upstream_asked(Over::WebSocket, opened.is_ok());
    opened
        .map(|link| Some((Arc::clone(&upstream), link)))
        .map_err(|error| {
            tracing::warn!(
                connection = %connection.id,
                upstream = %upstream.options().target,
                "the upstream does not take a client: {}",
                one_line(&error.to_string(), MOST_WORDS)
            );
            away(&error, error.is_refusal())
        })
}

/// How many bytes a message may have that the upstream takes.
fn takes(hello: &Value) -> Option<usize> {
    let most = hello.pointer("/policy/maxPayload")?.as_u64()?;
    usize::try_from(most).ok()
}

/// The answer to whom is admitted.
fn hello(
    session: &Session,
    admitted: &admission::Admitted,
    compatibility: &crate::settings::Compatibility,
) -> String {
    let shared = &session.shared;
    let snapshot = session.snapshot();
    let methods = methods::names(shared);
    let limits = &shared.options.limits;
    let server = Server {
        boot_id: Some(&shared.boot_id),
        methods: &methods,
        events: &EVENTS,
        snapshot: snapshot.as_object(),
        limits: Limits {
            message_bytes: limits.message_bytes as u64,
            tick_ms: limits.tick_ms,
            ..Limits::DEFAULT
        },
        ..Server::new(&shared.options.version, &session.live.told.id)
    };
    admitted.response(&server, compatibility)
}

/// What clients may hear of.
const EVENTS: [&str; 5] = [
    "connect.challenge",
    "tick",
    "device.pair.requested",
    "device.pair.resolved",
    "shutdown",
];

/// Says why, if there is something to say, and closes.
async fn refuse(mut websocket: WebSocket, reply: &Reply, deadline: Instant) {
    if let Some(text) = reply.refusal()
        && !matches!(timeout_at(deadline, websocket.send(text)).await, Ok(Ok(())))
    {
        return;
    }
    let usual = Close::new(1000, "");
    websocket.close(reply.close().unwrap_or(&usual)).await;
}

/// What a client is told that does not bring a message to its end.
pub(super) const SLOW_SENDER: &str = "slow sender";

/// A session over a WebSocket, until either end is done with it.
async fn converse(mut websocket: Box<WebSocket>, mut session: Box<Session>) {
    let tick = Duration::from_millis(session.shared.options.limits.tick_ms);
    // Whoever does not take what it is sent for two ticks in a row will not take it any more.
    let patience = tick * 2;
    let mut next_tick = Instant::now() + tick;
    let (why, close, is_whole) = loop {
        let deadline = session.deadline(next_tick);
        let live = Arc::clone(&session.live);
        // In this order: who is to end is not answered first, however much it has sent.
        let sent = tokio::select! {
            biased;
            end = live.called() => match end.map_or_else(|| session.check(), Err) {
                Ok(()) => continue,
                Err(end) => Sent::Ends { end, is_whole: true },
            },
            () = tokio::time::sleep_until(deadline) => match session.check() {
                Err(end) => Sent::Ends { end, is_whole: true },
                Ok(()) if Instant::now() < next_tick => continue,
                Ok(()) => {
                    next_tick += tick;
                    if websocket.is_slow(tick) {
                        let close = Close::new(1008, SLOW_SENDER);
                        break (Finish::SlowSender, Some(close), true);
                    }
                    let text = event("tick", &json!({ "ts": now_ms() }));
                    Box::pin(tell(&mut websocket, &session, patience, text)).await
                }
            },
            event = heard(&mut session.events) => {
                Box::pin(tell(&mut websocket, &session, patience, event)).await
            }
            message = websocket.next() => match message {
                Ok(message) => {
                    let (text, close) = Box::pin(session.answer(&message)).await;
                    let sent = match text {
                        Some(text) => Box::pin(tell(&mut websocket, &session, patience, text)).await,
                        None => Sent::Taken,
                    };
                    match (sent, close) {
                        (Sent::Taken, Some(close)) => {
                            break (Finish::Misbehaved, Some(close), true);
                        }
                        (sent, _) => sent,
                    }
                }
                Err(Gone::Left) => break (Finish::ClosedByClient, None, true),
                Err(Gone::Lost) => break (Finish::Lost, None, true),
                Err(Gone::Broke(close)) => break (Finish::Misbehaved, Some(close), true),
            },
        };
        match sent {
            Sent::Taken => {}
            Sent::Lost => break (Finish::Lost, None, true),
            Sent::Slow => break (Finish::Slow, Some(Close::new(1008, "slow consumer")), true),
            Sent::Ends { end, is_whole } => {
                if end == End::Shutdown {
                    let _ = timeout(patience, websocket.send(shutdown())).await;
                }
                break (end.finish(), Some(end.close()), is_whole);
            }
        }
    };
    session.ends(why, close.as_ref().map(|close| close.code));
    drop(session);
    // Behind half a message nothing can be said, and the rest of it is nobody's any more.
    if let Some(close) = close.filter(|_| is_whole) {
        Box::pin(websocket.close(&close)).await;
    }
}

/// What became of a text for a client.
enum Sent {
    Taken,
    Lost,
    /// The client took none of it for too long.
    Slow,
    /// The session is to end; whether no text was left half sent.
    Ends {
        end: End,
        is_whole: bool,
    },
}

/// Sends a text, for as long as the session lasts.
async fn tell(
    websocket: &mut WebSocket,
    session: &Session,
    patience: Duration,
    text: String,
) -> Sent {
    let mut sending = std::pin::pin!(timeout(patience, websocket.send(text)));
    loop {
        let sent = tokio::select! {
            // In this order: what is taken at once is sent, as the answer to a call that ends the
            // session itself.
            biased;
            sent = &mut sending => sent,
            end = session.live.called() => match end.map_or_else(|| session.check(), Err) {
                Ok(()) => continue,
                // Whoever stays until the gateway stops may have what is on its way.
                Err(End::Shutdown) => {
                    let _ = sending.await;
                    return Sent::Ends { end: End::Shutdown, is_whole: true };
                }
                Err(end) => return Sent::Ends { end, is_whole: false },
            },
        };
        return match sent {
            Ok(Ok(())) => Sent::Taken,
            Ok(Err(_)) => Sent::Lost,
            Err(_) => Sent::Slow,
        };
    }
}

pub(super) fn shutdown() -> String {
    event("shutdown", &json!({ "reason": "the gateway stops" }))
}

/// The next event for a session that hears of them. What it was too slow for is dropped: the
/// list still has it.
pub(super) async fn heard(
    events: &mut Option<broadcast::Receiver<Arc<crate::pairing::change::Event>>>,
) -> String {
    let Some(events) = events else {
        return std::future::pending().await;
    };
    loop {
        match events.recv().await {
            Ok(told) => return event(told.name(), &told.payload()),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    /// What a connection that waits takes, beside buffers and what its client sent.
    #[test]
    fn a_session_that_waits_is_small() {
        fn size<F: Future>(_: impl FnOnce(Box<WebSocket>, Box<Session>) -> F) -> usize {
            size_of::<F>() + size_of::<WebSocket>() + size_of::<Session>()
        }
        assert!(size(converse) <= 2_500, "{} bytes", size(converse));
    }
}
