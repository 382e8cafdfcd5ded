//! Who is connected: what others may know of each session, and how to reach it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::gateway::lock;
use super::record::Recent;
use crate::admission::{Ended, Permit};
use crate::facts::{Auth, Client, Mode, Role, Text};
use crate::journal::Connection;

/// A session, as others see it. Its permit stays with whoever serves it.
#[derive(Debug)]
pub(super) struct Live {
    /// In the order of their beginnings.
    number: u64,
    /// The connection, as every line of the log names it; its id stands in the answer to the client.
    pub(super) told: Connection,
    pub(super) client: Client,
    pub(super) mode: Mode,
    pub(super) role: Role,
    pub(super) auth: Auth,
    pub(super) scopes: Arc<[Box<str>]>,
    pub(super) device: Option<Text>,
    /// Where it comes from, for people.
    pub(super) from: Box<str>,
    pub(super) since_ms: i64,
    /// What the log says of its admission.
    pub(super) line: Recent,
    signal: Notify,
    end: Mutex<Option<End>>,
}

/// Why a session is to end now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is not admitted any longer.
    Ended(Ended),
    /// Whether it is still admitted cannot be found out: the store of devices fails.
    Unknown,
    /// The gateway stops.
    Shutdown,
}

impl Live {
    /// Waits until somebody wants something of the session: that it looks whether it is still
    /// admitted, or that it ends.
    pub(super) async fn called(&self) -> Option<End> {
        self.signal.notified().await;
        *lock(&self.end)
    }

    /// Has it look whether it is still admitted.
    pub(super) fn ask(&self) {
        self.signal.notify_one();
    }

    /// Ends it. The first reason counts.
    pub(super) fn end(&self, end: End) {
        lock(&self.end).get_or_insert(end);
        self.signal.notify_one();
    }

    /// Why it is to end, if it is.
    pub(super) fn ending(&self) -> Option<End> {
        *lock(&self.end)
    }
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    begun: AtomicU64,
    live: Mutex<BTreeMap<u64, Arc<Live>>>,
}

impl Sessions {
    /// Enters a session; from now on it is asked and ended with the others.
    pub(super) fn enter(
        &self,
        told: Connection,
        permit: &Permit,
        from: Box<str>,
        line: Recent,
        since_ms: i64,
    ) -> Arc<Live> {
        let live = Arc::new(Live {
            number: self.begun.fetch_add(1, Ordering::Relaxed),
            told,
            client: permit.client(),
            mode: permit.mode(),
            role: permit.role(),
            auth: permit.auth(),
            scopes: Arc::clone(permit.shared_scopes()),
            device: permit.device().cloned(),
            from,
            line,
            since_ms,
            signal: Notify::new(),
            end: Mutex::default(),
        });
        lock(&self.live).insert(live.number, Arc::clone(&live));
        live
    }

    /// Forgets a session that is over.
    pub(super) fn leave(&self, live: &Live) {
        lock(&self.live).remove(&live.number);
    }

    /// All of them, the oldest first.
    pub(super) fn list(&self) -> Vec<Arc<Live>> {
        lock(&self.live).values().cloned().collect()
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.live).len()
    }

    /// Those of a device.
    pub(super) fn of_device(&self, device: &str) -> Vec<Arc<Live>> {
        let live = lock(&self.live);
        let of_device = live
            .values()
            .filter(|live| live.device.as_deref() == Some(device));
        of_device.cloned().collect()
    }

    /// The devices that have one.
    pub(super) fn devices(&self) -> BTreeSet<Text> {
        let live = lock(&self.live);
        live.values()
            .filter_map(|live| live.device.clone())
            .collect()
    }

    /// Has each look whether it is still admitted.
    pub(super) fn ask_all(&self) {
        for live in lock(&self.live).values() {
            live.ask();
        }
    }

    /// Ends each.
    pub(super) fn end_all(&self, end: End) {
        for live in lock(&self.live).values() {
            live.end(end);
        }
    }
}
