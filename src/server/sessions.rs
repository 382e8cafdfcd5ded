//! Who is connected: what others may know of each session, and how to reach it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::gateway::lock;
use super::record::Recent;
use super::waiting::Address;
use crate::admission::{Ended, Permit};
use crate::facts::{Auth, Client, Mode, Role, Text};
use crate::journal::Connection;

/// Of how many connections one is no session, and how many are not at most: whoever is not admitted
/// yet finds a place when there are as many sessions as may be.
const AT_THE_DOOR: (usize, usize) = (4, 32);

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
    address: Address,
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
    /// There are as many sessions as may be.
    NoRoom,
    /// The gateway stops.
    Shutdown,
}

/// Whose sessions are counted together.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Party<'a> {
    Device(&'a str),
    Address(Address),
}

impl Live {
    /// Whose it is, if it takes a place among those that come over TCP.
    fn party(&self) -> Option<Party<'_>> {
        match (self.address, &self.device) {
            (Address::Socket, _) => None,
            (Address::Ip(_) | Address::Unknown, Some(device)) => Some(Party::Device(device)),
            (address @ (Address::Ip(_) | Address::Unknown), None) => Some(Party::Address(address)),
        }
    }

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
#[derive(Debug)]
pub(super) struct Sessions {
    /// How many there may be over TCP.
    most: usize,
    begun: AtomicU64,
    live: Mutex<BTreeMap<u64, Arc<Live>>>,
}

impl Sessions {
    /// Those of so many connections over TCP.
    pub(super) fn of(connections: usize) -> Self {
        let (part, most) = AT_THE_DOOR;
        Sessions {
            most: connections - (connections / part).min(most),
            begun: AtomicU64::default(),
            live: Mutex::default(),
        }
    }

    /// Enters a session; from now on it is asked and ended with the others. Where there are too
    /// many one of them has to end, perhaps this one.
    pub(super) fn enter(
        &self,
        told: Connection,
        permit: &Permit,
        (address, from): (Address, Box<str>),
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
            address,
            from,
            line,
            since_ms,
            signal: Notify::new(),
            end: Mutex::default(),
        });
        let mut all = lock(&self.live);
        all.insert(live.number, Arc::clone(&live));
        if all.len() > self.most {
            self.make_room(&all, &live);
        }
        drop(all);
        live
    }

    /// Ends the oldest session of whoever has most, where that leaves them no fewer than whoever
    /// comes; else the one that comes. So nobody loses a place to whoever has as many, and those
    /// who come again do not push out each other without an end.
    fn make_room(&self, all: &BTreeMap<u64, Arc<Live>>, comes: &Live) {
        let Some(own) = comes.party() else {
            return;
        };
        let mut of: HashMap<Party<'_>, (usize, &Live)> = HashMap::new();
        let mut count = 0;
        for live in all.values().filter(|live| live.ending().is_none()) {
            if let Some(party) = live.party() {
                of.entry(party).or_insert((0, live)).0 += 1;
                count += 1;
            }
        }
        if count <= self.most {
            return;
        }
        let of_own = of.get(&own).map_or(0, |(count, _)| *count);
        let most = of
            .values()
            .max_by_key(|(count, oldest)| (*count, Reverse(oldest.number)));
        match most {
            Some((count, oldest)) if *count > of_own => oldest.end(End::NoRoom),
            Some(_) | None => comes.end(End::NoRoom),
        }
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
