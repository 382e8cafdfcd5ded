//! A session: a permit, what may be done with it, and whether it still holds.
//!
//! What it speaks over is not known here: [`super::connection`] serves one over a WebSocket,
//! [`super::in_process`] over memory.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::clock::now_ms;
use super::gateway::{Phase, Shared, lock};
use super::methods::{self, Caller};
use super::record::Recent;
use super::sessions::{End, Live};
use super::snapshot::Snapshot;
use super::waiting::Address;
use crate::admission::{Permit, still_admitted};
use crate::facts::Scope;
use crate::journal::{Connection, Finish, Line};
use crate::pairing::change::Event;
use crate::pairing::store::{Store, StoreError, Version};
use crate::wire::reply::{CallError, response};
use crate::wire::request;
use crate::wire::{Close, Schema};

/// How many calls of another role's methods a session may make in a row; one more and it is
/// closed (reference 1.6).
const MOST_UNAUTHORIZED: u32 = 10;

/// A session. It leaves the others when it is dropped.
pub(super) struct Session {
    pub(super) shared: Arc<Shared>,
    pub(super) live: Arc<Live>,
    permit: Permit,
    /// Why it ended, and with which code. One that is cut ended with the gateway.
    finish: Mutex<(Finish, Option<u16>)>,
    /// What it is to hear of, if it hears of requests that wait.
    pub(super) events: Option<broadcast::Receiver<Arc<Event>>>,
    /// When it ends by itself, by what was remembered when it was last looked after; [`NEVER`]
    /// when it does not.
    until_ms: AtomicI64,
    unauthorized: AtomicU32,
}

/// The end of a session that has none.
const NEVER: i64 = i64::MAX;

/// How a store is asked for a device.
type Asked<T> = fn(&(dyn Store + 'static), &str) -> Result<T, StoreError>;

/// How a session begins.
pub(super) struct Begun {
    pub(super) connection: Connection,
    /// Whose it is, where it has no device.
    pub(super) address: Address,
    /// Where it comes from, for people.
    pub(super) from: Box<str>,
    /// What the log says of its admission.
    pub(super) line: Recent,
    /// What it was decided by.
    pub(super) snapshot: Arc<Snapshot>,
    /// What was remembered of its device then.
    pub(super) version: Version,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.sessions.leave(&self.live);
        let (why, close) = *lock(&self.finish);
        let device = self.permit.device_id();
        let line = Line::session_ended(&self.live.told, now_ms(), device, why, close);
        tracing::debug!(connection = %self.live.told.id, ?close, "session ended: {why}");
        self.shared.record.session_ended(&line, why);
    }
}

impl Session {
    /// Begins a session. What changed since it was decided is looked at again.
    pub(super) fn begin(shared: Arc<Shared>, permit: Permit, begun: Begun) -> Result<Self, End> {
        let Begun {
            connection,
            address,
            from,
            line,
            snapshot,
            version,
        } = begun;
        let whose = (address, from);
        let sessions = &shared.sessions;
        let live = sessions.enter(connection, &permit, whose, line, now_ms());
        shared.record.metrics.session_began();
        let session = Session {
            shared,
            live,
            permit,
            finish: Mutex::new((Finish::Shutdown, None)),
            events: None,
            until_ms: AtomicI64::new(NEVER),
            unauthorized: AtomicU32::new(0),
        };
        // It is among the others now, and hears of what changes; what changed before it is
        // asked here.
        let now = match session.live.ending() {
            Some(end) => Err(end),
            None => session.check_after(&snapshot, version),
        };
        match now {
            Ok(()) => Ok(session),
            Err(end) => {
                session.ends(end.finish(), Some(end.close().code));
                Err(end)
            }
        }
    }

    fn lasts(&self, until_ms: Option<i64>) {
        self.until_ms
            .store(until_ms.unwrap_or(NEVER), Ordering::Relaxed);
    }

    fn check_after(&self, snapshot: &Arc<Snapshot>, version: Version) -> Result<(), End> {
        if *self.shared.phase.borrow() != Phase::Open {
            return Err(End::Shutdown);
        }
        // What other processes commit is heard of soon anyway; what this one did is seen at once.
        let now = self.remembered(Version::NOTHING, <dyn Store>::last_version)?;
        match now == version && Arc::ptr_eq(&self.shared.snapshot(), snapshot) {
            // Its permit was made by what is remembered.
            true => {
                self.lasts(self.permit.until_ms());
                Ok(())
            }
            false => self.check(),
        }
    }

    /// It ends now: why, and with which code it is closed.
    pub(super) fn ends(&self, why: Finish, close: Option<u16>) {
        *lock(&self.finish) = (why, close);
    }

    /// Whether it is still admitted. When that cannot be found out it is not.
    pub(super) fn check(&self) -> Result<(), End> {
        self.lasts(self.look()?);
        Ok(())
    }

    /// The same; gives when it ends by itself.
    pub(super) fn look(&self) -> Result<Option<i64>, End> {
        self.look_at_version().map(|(until_ms, _)| until_ms)
    }

    /// The same; with the version of its device that this is so by.
    pub(super) fn look_at_version(&self) -> Result<(Option<i64>, Version), End> {
        if let Some(end) = self.live.ending() {
            return Err(end);
        }
        let (standing, version) = self.remembered(Default::default(), <dyn Store>::load)?;
        let snapshot = self.shared.snapshot();
        still_admitted(snapshot.gate(), &self.permit, &standing, now_ms()).map_err(End::Ended)?;
        Ok((self.permit.until_ms_by(&standing), version))
    }

    /// What a store says of its device, or what of none.
    fn remembered<T>(&self, of_none: T, asked: Asked<T>) -> Result<T, End> {
        let Some(device) = self.permit.device_id() else {
            return Ok(of_none);
        };
        asked(&*self.shared.store, device).map_err(|error| {
            tracing::error!(%error, "a session ends: its device cannot be looked at");
            End::Unknown
        })
    }

    /// When to look after it next: at the next tick, or when it ends by itself.
    pub(super) fn deadline(&self, next_tick: Instant) -> Instant {
        let until_ms = self.until_ms.load(Ordering::Relaxed);
        if until_ms == NEVER {
            return next_tick;
        }
        let left_ms = until_ms.saturating_sub(now_ms()).max(0).unsigned_abs();
        let end = Instant::now().checked_add(Duration::from_millis(left_ms));
        end.map_or(next_tick, |end| end.min(next_tick))
    }

    /// The state of the gateway, as the client is told on admission.
    pub(super) fn snapshot(&self) -> Value {
        let shared = &self.shared;
        let mut snapshot = json!({
            "presence": [],
            // Whoever is told has just been looked up there.
            "health": shared.health(None),
            "stateVersion": { "presence": 0, "health": 0 },
            "uptimeMs": now_ms().saturating_sub(shared.started_ms),
        });
        let now = shared.snapshot();
        if let (true, Some(object)) = (
            self.caller(&now.settings).holds(Scope::Admin),
            snapshot.as_object_mut(),
        ) {
            object.insert(
                "authMode".to_owned(),
                now.settings.auth.mode().name().into(),
            );
            for (name, value) in &shared.options.about {
                object.insert((*name).to_owned(), value.as_str().into());
            }
        }
        snapshot
    }

    /// From now on it hears of requests that wait, if it may manage devices.
    pub(super) fn listen(&mut self) {
        let snapshot = self.shared.snapshot();
        if self.caller(&snapshot.settings).holds(Scope::Pairing) {
            self.events = Some(self.shared.events.subscribe());
        }
    }

    fn caller<'a>(&'a self, settings: &'a crate::settings::Settings) -> Caller<'a> {
        Caller {
            shared: &self.shared,
            live: &self.live,
            session: self,
            settings,
        }
    }

    /// Answers a call.
    pub(super) async fn call(&self, method: &str, params: Value) -> Result<Value, CallError> {
        let snapshot = self.shared.snapshot();
        methods::call(&self.caller(&snapshot.settings), method, params).await
    }

    /// Answers a message with a text, or says how the connection is to be closed; perhaps both.
    pub(super) async fn answer(&self, message: &[u8]) -> (Option<String>, Option<Close>) {
        let snapshot = self.shared.snapshot();
        let most = methods::request_bytes(&self.shared);
        let schema = Schema::of(&snapshot.settings.compatibility);
        let request = match request::parse(message, most, &schema) {
            Ok(request) => request,
            Err(error) => {
                let said = methods::invalid(error.to_string());
                let text = error.id().map(|id| response(id, Err(&said)));
                return (text, error.close());
            }
        };
        let caller = self.caller(&snapshot.settings);
        let answer = methods::call(&caller, &request.method, request.params).await;
        let text = response(&request.id, answer.as_ref());
        let unauthorized = answer.is_err_and(|error| methods::is_unauthorized(&error));
        let in_a_row = match unauthorized {
            true => self.unauthorized.fetch_add(1, Ordering::Relaxed) + 1,
            false => {
                self.unauthorized.store(0, Ordering::Relaxed);
                0
            }
        };
        let close =
            (in_a_row > MOST_UNAUTHORIZED).then(|| Close::new(1008, "repeated unauthorized calls"));
        (Some(text), close)
    }
}

impl End {
    /// As the log calls it.
    pub(super) fn finish(self) -> Finish {
        match self {
            End::Ended(ended) => ended.into(),
            End::Unknown => Finish::Unknown,
            End::NoRoom => Finish::NoRoom,
            End::Shutdown => Finish::Shutdown,
        }
    }

    /// How a connection is closed.
    pub(super) fn close(self) -> Close {
        match self {
            End::Ended(ended) => ended.close(),
            // Nothing is said of the device or its token: both are to be kept for another try.
            End::Unknown => {
                Close::new(1013, "device access cannot be checked now: try again later")
            }
            End::NoRoom => Close::new(1013, "too many sessions: try again later"),
            End::Shutdown => Close::new(1012, "service restart"),
        }
    }
}
