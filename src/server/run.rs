//! Serving: connections are accepted until the gateway stops, and then given time to end.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::connection;
use super::fault::{Noticed, Part, Parts};
use super::gateway::{Gateway, Phase, Shared};
use super::listener::Listener;
use super::metrics::Limit;
use super::sessions::End;
use super::unadmitted::Whose;
use super::upkeep::Duty;
use super::waiting::{Address, By, Entered, Full, Place};

/// How a gateway ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// How many connections there were when it was told to stop.
    pub open: usize,
    /// How many of them had not ended when the time was over, and were cut.
    pub cut: usize,
}

/// How long the log may take to be written to its end.
const CLOSING: Duration = Duration::from_secs(2);

/// How often the log tells of connections that there is no room for: whoever makes them could
/// fill it.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// How long a connection may take to leave its place to another one.
const LEAVING: Duration = Duration::from_secs(1);

/// The shortest and the longest wait after a connection could not be accepted.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// Serves a gateway at listeners until `stop` is done; then tells every client, and waits for
/// them to leave, for as long as `patience`.
pub async fn run(
    gateway: Gateway,
    listeners: Vec<Listener>,
    stop: impl Future<Output = ()>,
    patience: Duration,
) -> Drained {
    let shared = gateway.0;
    let room = Room::new(shared.options.limits.connections);
    let mut parts = Parts::new(&shared);
    for listener in listeners {
        let room = Arc::clone(room.of(&listener));
        parts.begin(Work::Accept(Arc::new(listener), room));
    }
    for duty in Duty::ALL {
        parts.begin(Work::KeepUp(duty));
    }
    tokio::select! {
        () = stop => {}
        () = parts.keep() => {}
    }
    // First the doors, so that nobody comes in that is not counted, and who is admitted from then
    // on finds it out by himself.
    parts.end().await;
    let open = room.taken();
    shared.phase.send_replace(Phase::Draining);
    shared.sessions.end_all(End::Shutdown);
    let _ = timeout(patience, room.empty()).await;
    let cut = room.taken();
    shared.phase.send_replace(Phase::Cut);
    let _ = timeout(patience, room.empty()).await;
    shared.write_notes().await;
    let recorder = Arc::clone(&shared);
    let _ = spawn_blocking(move || recorder.record.close(CLOSING)).await;
    Drained { open, cut }
}

/// What goes on until a gateway stops.
#[derive(Clone)]
enum Work {
    Accept(Arc<Listener>, Arc<Semaphore>),
    KeepUp(Duty),
}

impl Part for Work {
    async fn go_on(self, shared: Arc<Shared>) {
        match self {
            Work::Accept(listener, room) => accept(shared, &listener, room).await,
            Work::KeepUp(duty) => duty.fulfil(shared).await,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Work::Accept(..) => "accepting connections",
            Work::KeepUp(duty) => duty.name(),
        }
    }
}

/// How many connections there may be at the gateway's own sockets.
const AT_SOCKETS: usize = 64;

/// The places for connections. Those at the gateway's own sockets are apart: whoever takes all
/// others does not keep the owner out.
struct Room {
    tcp: (usize, Arc<Semaphore>),
    sockets: (usize, Arc<Semaphore>),
}

impl Room {
    fn new(connections: usize) -> Self {
        let places = |most: usize| (most, Arc::new(Semaphore::new(most)));
        Room {
            tcp: places(connections.min(Semaphore::MAX_PERMITS)),
            sockets: places(AT_SOCKETS),
        }
    }

    fn of(&self, listener: &Listener) -> &Arc<Semaphore> {
        match listener.address() {
            Some(_) => &self.tcp.1,
            None => &self.sockets.1,
        }
    }

    /// How many connections there are.
    fn taken(&self) -> usize {
        let taken = |(most, room): &(usize, Arc<Semaphore>)| most - room.available_permits();
        taken(&self.tcp) + taken(&self.sockets)
    }

    /// Waits until there are none.
    async fn empty(&self) {
        for (most, room) in [&self.tcp, &self.sockets] {
            let everyone = u32::try_from(*most).unwrap_or(u32::MAX);
            let _ = room.acquire_many(everyone).await;
        }
    }
}

/// Accepts connections at one listener. It never waits for a peer.
async fn accept(shared: Arc<Shared>, listener: &Listener, room: Arc<Semaphore>) {
    let mut back_off = BACK_OFF.0;
    let (mut told, mut refused) = (None, 0_u64);
    loop {
        let accepted = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Too many open files, or a peer that was gone already.
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(back_off).await;
                back_off = (back_off * 2).min(BACK_OFF.1);
                continue;
            }
        };
        back_off = BACK_OFF.0;
        let permit = Arc::clone(&room).try_acquire_owned().ok();
        let full = permit.is_none();
        if full && (accepted.peer.is_none() || shared.unadmitted.is_empty()) {
            shared.record.metrics.limited(Limit::Connections);
            refused += 1;
            if told.is_none_or(|told: Instant| told.elapsed() >= TOLD_EVERY) {
                tracing::warn!(peer = ?accepted.peer, refused, "refused: there are as many connections as may be");
                (told, refused) = (Some(Instant::now()), 0);
            }
            continue;
        }
        let whose = accepted.peer.map(|peer| whose(&shared, peer.ip()));
        let place = match arriving(&shared, whose) {
            Ok(place) => place,
            Err(TooMany) => {
                shared.record.metrics.limited(Limit::PerAddress);
                tracing::debug!(peer = ?accepted.peer, "refused: too many of this address arrive");
                continue;
            }
        };
        let seat = whose.map(|whose| {
            let (seat, gone) = shared.unadmitted.enter(whose, full);
            if let Some(gone) = gone {
                shared.record.metrics.limited(Limit::Unadmitted);
                tracing::debug!(
                    ?gone,
                    "closed: as many as may are not admitted yet, and most of this address"
                );
            }
            seat
        });
        let (shared, room) = (Arc::clone(&shared), Arc::clone(&room));
        let served = shared.record.metrics.connection_began();
        tokio::spawn(async move {
            let _noticed = Noticed(Arc::clone(&shared));
            let mut phase = shared.phase.subscribe();
            let cut = async { phase.wait_for(|phase| *phase == Phase::Cut).await.is_ok() };
            // Whose place it takes leaves at once.
            let permit = match permit {
                Some(permit) => Ok(Ok(permit)),
                None => timeout(LEAVING, room.acquire_owned()).await,
            };
            let Ok(Ok(permit)) = permit else {
                return;
            };
            tokio::select! {
                () = connection::serve(Arc::clone(&shared), accepted, place, seat) => {}
                _ = cut => {}
            }
            drop((permit, served));
        });
    }
}

/// As many connections of this address as may are in front of the door.
struct TooMany;

/// Whose a connection is, before a byte of it was read.
fn whose(shared: &Shared, peer: IpAddr) -> Whose {
    let snapshot = shared.snapshot();
    match snapshot.settings.trusted_proxies.proxies.contains(peer) {
        true => Whose::Proxy(Address::of(peer)),
        false => Whose::Client(Address::of(peer)),
    }
}

/// A place in front of the door. A trusted proxy brings many clients, which are counted one by
/// one when it has said whose they are.
fn arriving(shared: &Shared, whose: Option<Whose>) -> Result<Option<Place>, TooMany> {
    let address = match whose {
        None => Address::Socket,
        Some(Whose::Proxy(_)) => return Ok(None),
        Some(Whose::Client(address)) => address,
    };
    let arriving = shared.arriving.enter(address, By::Program);
    let Entered { place, instead } = arriving.map_err(|Full| TooMany)?;
    place.silent();
    if instead {
        shared.record.metrics.limited(Limit::PerAddress);
    }
    Ok(Some(place))
}
