//! The gateway: what all of its connections share, and how it is changed while they live.

use std::fmt;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};
use tokio::task::spawn_blocking;

use super::clock::{NoRandomness, now_ms, steady_ms, uuid};
use super::connection::whose;
use super::decision_log::DecisionLog;
use super::fault::joined;
use super::methods::{Methods, NoOther};
use super::notes::Notes;
use super::own_commits::OwnCommits;
use super::record::Record;
use super::reload::{Files, Load};
use super::sessions::{End, Sessions};
use super::snapshot::Snapshot;
use super::tls::Certificates;
use super::unadmitted::Unadmitted;
use super::waiting::Waiting;
use crate::admission::Upgrade;
use crate::auth::limiter::{LONGEST_DELAY_MS, Limiter, Subject};
use crate::config::Limits;
use crate::facts::Text;
use crate::host::interface::{interfaces, own_addresses};
use crate::host::peer::Peers;
use crate::pairing::Standing;
use crate::pairing::change::{Change, Event, Write};
use crate::pairing::key::PublicKey;
use crate::pairing::record::Pending;
use crate::pairing::room::Room;
use crate::pairing::rpc::Ends;
use crate::pairing::store::{Store, StoreError, Version};
use crate::policy::Policy;
use crate::relay::Upstream;
use crate::settings::Settings;

/// How many events of pairing a session may be behind; older ones are dropped for it. The
/// requests themselves are in the list of them.
const EVENTS_BEHIND: usize = 64;

/// How long an answer may take on its way.
const ANSWERING: Duration = Duration::from_secs(2);

/// A gateway. Clones are the same one.
#[derive(Clone)]
pub struct Gateway(pub(super) Arc<Shared>);

/// What a gateway is made of beside policy, settings and store.
pub struct Options {
    /// What clients are told of its version.
    pub version: Box<str>,
    /// What nobody may use up.
    pub limits: Limits,
    /// What a session may call beside what the gateway itself answers.
    pub methods: Arc<dyn Methods>,
    /// The server behind, where there is one. Of [`Kind::Plain`](crate::relay::Kind::Plain) it is
    /// there for clients over TCP; at unix sockets and in this process the gateway itself answers.
    /// [`Options::load`] may put another one in its place.
    pub upstream: Option<Arc<Upstream>>,
    /// Where policy and settings come from when they are loaded again.
    pub load: Option<Arc<Load>>,
    /// The file of decisions, where there is one.
    pub log: Option<DecisionLog>,
    /// Whether `/metrics` answers.
    pub metrics: bool,
    /// What those files are now.
    pub watched: Vec<PathBuf>,
    /// The gateway's own key, which tells it from others wherever it is reached.
    pub identity: Option<PublicKey>,
    /// What TLS is spoken with, where it is.
    pub certificates: Option<Certificates>,
    /// Who finds out whose process is at the other end of a connection.
    pub peers: Arc<Peers>,
    /// What administrators are told of where it keeps things: name and value.
    pub about: Vec<(&'static str, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            version: env!("CARGO_PKG_VERSION").into(),
            limits: Limits::default(),
            methods: Arc::new(NoOther),
            upstream: None,
            load: None,
            log: None,
            metrics: false,
            watched: Vec::new(),
            identity: None,
            certificates: None,
            peers: Arc::new(Peers::open()),
            about: Vec::new(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("version", &self.version)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Without policy and settings: those hold secrets.
impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("sessions", &self.0.sessions.count())
            .finish_non_exhaustive()
    }
}

/// What a gateway does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It takes them.
    Open,
    /// It takes none, and waits for those that there are to end.
    Draining,
    /// It waits no longer.
    Cut,
}

/// What the connections of a gateway share.
pub(super) struct Shared {
    pub(super) snapshot: ArcSwap<Snapshot>,
    /// Those from before, until nobody else has them. A large policy takes long to be dropped, and
    /// no connection is to wait for that.
    pub(super) retired: Mutex<Vec<Arc<Snapshot>>>,
    upstream: ArcSwapOption<Upstream>,
    pub(super) store: Arc<dyn Store>,
    pub(super) notes: Notes,
    /// The commits of the store that are this gateway's.
    pub(super) own_commits: Mutex<OwnCommits>,
    pub(super) limiter: Mutex<Limiter>,
    /// One new request at a time: room is made for it by what waits, and it is then one of those.
    asking: Mutex<()>,
    /// Connections whose head was not read yet, by peer.
    pub(super) arriving: Waiting,
    /// WebSockets that are not admitted yet, by client.
    pub(super) waiting: Waiting,
    /// All that are not admitted yet.
    pub(super) unadmitted: Unadmitted,
    pub(super) sessions: Sessions,
    /// What became of requests, for those who may manage devices.
    pub(super) events: broadcast::Sender<Arc<Event>>,
    /// Whether connections are taken.
    pub(super) phase: watch::Sender<Phase>,
    /// What is known of the files behind the snapshot.
    pub(super) files: Mutex<Files>,
    /// One reload at a time.
    pub(super) reloading: tokio::sync::Mutex<()>,
    pub(super) own_addresses: Arc<[IpAddr]>,
    pub(super) record: Record,
    /// Why the last commit was not kept, where it was not, and when that was.
    unkept: Mutex<Option<(String, i64)>>,
    pub(super) options: Options,
    pub(super) boot_id: Text,
    pub(super) started_ms: i64,
}

impl Gateway {
    /// A gateway that nobody is connected to yet.
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn new(
        policy: Policy,
        settings: Settings,
        store: Arc<dyn Store>,
        mut options: Options,
    ) -> Result<Self, NoRandomness> {
        let limiter = Mutex::new(Limiter::of(&settings));
        let record = Record::new(options.log.take(), &settings);
        let started_ms = now_ms();
        Ok(Gateway(Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(Snapshot {
                policy,
                settings,
                since_ms: started_ms,
            }),
            retired: Mutex::default(),
            upstream: ArcSwapOption::new(options.upstream.take()),
            store,
            notes: Notes::default(),
            own_commits: Mutex::default(),
            limiter,
            asking: Mutex::default(),
            arriving: Waiting::new(options.limits.unadmitted_per_address),
            waiting: Waiting::new(options.limits.unadmitted_per_address),
            unadmitted: Unadmitted::of(options.limits.connections),
            sessions: Sessions::of(options.limits.connections),
            events: broadcast::Sender::new(EVENTS_BEHIND),
            phase: watch::Sender::new(Phase::Open),
            files: Mutex::new(Files::watching(&options.watched)),
            reloading: tokio::sync::Mutex::default(),
            own_addresses: own_addresses(&interfaces()).into(),
            record,
            unkept: Mutex::default(),
            options,
            boot_id: uuid()?,
            started_ms,
        })))
    }

    /// Puts another policy and other settings in force, both at once: for the next connection,
    /// and for each session, which ends unless it would still be admitted.
    pub fn put(&self, policy: Policy, settings: Settings) {
        let shared = &self.0;
        if shared.snapshot.load().settings.auth.rate_limit != settings.auth.rate_limit {
            lock(&shared.limiter).limited(settings.auth.rate_limit.unwrap_or_default());
        }
        shared.record.covers(&settings);
        let before = shared.snapshot.swap(Arc::new(Snapshot {
            policy,
            settings,
            since_ms: now_ms(),
        }));
        lock(&shared.retired).push(before);
        shared.sessions.ask_all();
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.0.sessions.count()
    }
}

impl Shared {
    /// Done when no connection is taken any more.
    pub(super) async fn stops(&self) {
        let mut phase = self.phase.subscribe();
        // The sender is here.
        let _ = phase.wait_for(|phase| *phase != Phase::Open).await;
    }

    /// How long a request may take that waits for the server behind, once its head was read:
    /// until that answers, or until a refusal is given that was held back.
    pub(super) fn longest_behind(&self) -> Duration {
        let upstream = self.upstream();
        let patience = upstream.map_or(Duration::ZERO, |upstream| upstream.options().patience);
        patience.max(Duration::from_millis(LONGEST_DELAY_MS.unsigned_abs())) + ANSWERING
    }

    /// The server behind that connections get to now. One that got to another one stays there.
    pub(super) fn upstream(&self) -> Option<Arc<Upstream>> {
        self.upstream.load_full()
    }

    /// Puts another server behind in the place of the one before, or another way to the same one;
    /// says whether it differs.
    pub(super) fn put_upstream(&self, upstream: Option<Upstream>) -> bool {
        let before = self.upstream();
        let [known, new] =
            [before.as_deref(), upstream.as_ref()].map(|it| it.map(Upstream::options));
        if known == new {
            return false;
        }
        let upstream = upstream.map(|upstream| match &before {
            Some(before) => upstream.in_place_of(before),
            None => upstream,
        });
        self.upstream.store(upstream.map(Arc::new));
        true
    }

    /// Takes the snapshots from before that nobody else has.
    pub(super) fn take_retired(&self) -> Vec<Arc<Snapshot>> {
        let mut retired = lock(&self.retired);
        let gone = retired.extract_if(.., |snapshot| Arc::strong_count(snapshot) == 1);
        gone.collect()
    }

    /// How the guesses of a connection are counted, by how many refusals of its address are held
    /// back already.
    pub(super) fn held(&self, subject: Subject, upgrade: &Upgrade) -> Subject {
        match self.waiting.holds_most(whose(upgrade)) {
            true => subject.not_held(),
            false => subject,
        }
    }

    /// What is counted, as text.
    pub(super) fn metrics_page(&self) -> String {
        let metrics = &self.record.metrics;
        let (counts, remembered) = {
            let mut limiter = lock(&self.limiter);
            (limiter.take_counts(), limiter.remembered(steady_ms()))
        };
        metrics.limiter_counted(&counts);
        metrics.limiter_remembers(&remembered);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            metrics.tasks(runtime.metrics().num_alive_tasks());
        }
        self.record.metrics_page()
    }

    /// What connections are judged by now.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Writes a change to what was remembered, and tells whoever it concerns. It may wait for the
    /// disk.
    ///
    /// Where nothing is to be written now the store is not asked again: what was decided held when
    /// it was asked, and a session looks once more when it begins.
    pub(super) async fn commit(
        self: &Arc<Self>,
        change: &Change,
        before: &Standing,
        expected: Version,
    ) -> Result<Version, StoreError> {
        if change.is_empty() || (change.only_notes() && self.notes.keep(change, expected)) {
            return Ok(expected);
        }
        let (shared, change) = (Arc::clone(self), change.clone());
        let is_new = before.pending.is_none();
        // Once begun it is carried out, also when the connection that asked goes away: what
        // is written is told.
        let written = spawn_blocking(move || {
            let asks = match &change.pending {
                Write::Put(asks) if is_new => asks,
                Write::Put(_) | Write::Keep | Write::Remove => {
                    return shared.write(&change, expected);
                }
            };
            let _asking = lock(&shared.asking);
            shared.make_room(asks, false)?;
            match shared.write(&change, expected) {
                Err(StoreError::TooManyRequests) if shared.make_room(asks, true)? => {
                    shared.write(&change, expected)
                }
                written => written,
            }
        });
        let ended = || StoreError::Failed("the write was given up; try again".into());
        joined(self, written).await.unwrap_or_else(|| Err(ended()))
    }

    /// Writes a change and tells of it. It waits for the disk.
    fn write(&self, change: &Change, expected: Version) -> Result<Version, StoreError> {
        let committing = OwnCommits::begin(&self.own_commits);
        let committed = self.store.commit(change, expected);
        self.note_commit(committed.as_ref().err());
        let version = committed?;
        committing.done(1);
        self.tell(change);
        Ok(version)
    }

    /// Takes away a request that gives way to another one, if one has to; says whether one went.
    /// It waits for the disk.
    fn make_room(&self, asks: &Pending, is_full: bool) -> Result<bool, StoreError> {
        let mut room = Room::new(asks);
        self.store.waiting(&mut |standing, version| {
            room.count(standing, version);
            ControlFlow::Continue(())
        })?;
        let Some((change, version)) = room.gives_way(is_full, now_ms()) else {
            return Ok(false);
        };
        tracing::debug!(
            device = %change.device_id,
            "a request waits no longer: too many of its address do"
        );
        match self.write(&change, version) {
            // Then it is another one, or gone.
            Ok(_) | Err(StoreError::Conflict) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Writes when devices were last there.
    pub(super) async fn write_notes(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let written = spawn_blocking(move || {
            let committing = OwnCommits::begin(&shared.own_commits);
            let (written, failed) = shared.notes.write(&*shared.store);
            committing.done(written);
            if written > 0 || failed.is_err() {
                shared.note_commit(failed.as_ref().err());
            }
            failed
        });
        if let Some(Err(error)) = joined(self, written).await {
            tracing::error!(%error, "when devices were last there cannot be written");
        }
    }

    /// Notes that something was kept, or that it was not and why. What another commit came before,
    /// or was one too many, is no failure of the store's.
    pub(super) fn note_commit(&self, error: Option<&StoreError>) {
        match error {
            None => *lock(&self.unkept) = None,
            Some(StoreError::Failed(why)) => {
                self.record.metrics.store_failed();
                *lock(&self.unkept) = Some((why.to_string(), now_ms()));
            }
            Some(
                StoreError::Conflict | StoreError::TooManyDevices | StoreError::TooManyRequests,
            ) => {}
        }
    }

    /// Why the last commit was not kept, as `status` tells of it.
    pub(super) fn unkept(&self) -> Option<Value> {
        let unkept = lock(&self.unkept);
        let told = |(what, at_ms): &(String, i64)| json!({ "atMs": at_ms, "what": what });
        unkept.as_ref().map(told)
    }

    /// Tells whoever manages devices what became of requests, and the device's sessions that
    /// its record is another one.
    fn tell(&self, change: &Change) {
        for event in &change.events {
            // Nobody may be listening.
            let _ = self.events.send(Arc::new(event.clone()));
        }
        if !change.record.is_keep() {
            for live in self.sessions.of_device(&change.device_id) {
                live.ask();
            }
        }
    }

    /// Ends the sessions that a call ended.
    pub(super) fn end(&self, ends: &Ends) {
        for live in self.sessions.of_device(&ends.device_id) {
            let role = ends.role.as_deref();
            if role.is_none_or(|role| live.role.name() == role) {
                live.end(End::Ended(crate::admission::Ended::Revoked));
            }
        }
    }
}

/// Each step under these locks is whole: after a panic elsewhere what they guard is still right.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
