//! Connections that are not admitted yet, over TCP, in all: as many as may be. Whoever comes then
//! takes the place of the oldest one of the address that has most, so that one address does not
//! keep the others out, and none of them takes a place from a session.
//!
//! Those of a proxy are its own until their heads say whose they are. A moment is left to them for
//! that, while somebody else has several: many that come at once are many clients, and not one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::gateway::lock;
use super::waiting::Address;

/// Of how many connections one may be unadmitted.
const PART: usize = 4;

/// How long a head may take before its connection counts as the proxy's that it comes through.
const HEAD: Duration = Duration::from_millis(250);

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Client(Address),
    /// A client's of this proxy, which has not said yet whose.
    Proxy(Address),
}

/// Those that are there.
#[derive(Debug)]
pub(super) struct Unadmitted {
    most: usize,
    seats: Arc<Mutex<Seats>>,
}

#[derive(Debug, Default)]
struct Seats {
    /// In the order of arrival.
    number: u64,
    count: usize,
    of: HashMap<Whose, Own>,
}

/// Those of one address, by number.
type Own = BTreeMap<u64, Waits>;

#[derive(Clone, Debug)]
struct Waits {
    since: Instant,
    taken: Arc<Notify>,
}

/// A place among them; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    whose: Mutex<Whose>,
    number: u64,
    waits: Waits,
    seats: Arc<Mutex<Seats>>,
}

impl Unadmitted {
    /// For so many connections in all, sessions among them.
    pub(super) fn of(connections: usize) -> Self {
        Unadmitted {
            most: (connections / PART).max(1),
            seats: Arc::default(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.seats).count == 0
    }

    /// A place; with whose it was, where another one had to go for it: when there are as many as
    /// may be, or when there is no place for any connection.
    pub(super) fn enter(&self, whose: Whose, full: bool) -> (Seat, Option<Whose>) {
        let mut seats = lock(&self.seats);
        let since = Instant::now();
        let gone = match full || seats.count >= self.most {
            true => seats.make_room(since),
            false => None,
        };
        let number = seats.number;
        let taken = Arc::default();
        let waits = Waits { since, taken };
        seats.number += 1;
        seats.count += 1;
        let own = seats.of.entry(whose).or_default();
        own.insert(number, waits.clone());
        let seat = Seat {
            whose: Mutex::new(whose),
            number,
            waits,
            seats: Arc::clone(&self.seats),
        };
        (seat, gone)
    }
}

impl Seats {
    /// Takes the place of the oldest connection of the address that has most; of several that have
    /// as many, of the one whose oldest came first.
    fn make_room(&mut self, now: Instant) -> Option<Whose> {
        let anybody = |_: &Whose, _: &Own| true;
        let of_several = |whose: &Whose, own: &Own| {
            let came = own.first_key_value().map(|(_, waits)| waits.since);
            let is_settled = |came| now.saturating_duration_since(came) >= HEAD;
            own.len() > 1 && (matches!(whose, Whose::Client(_)) || came.is_some_and(is_settled))
        };
        let whose = self.most(of_several).or_else(|| self.most(anybody))?;
        let (number, waits) = self.of.get(&whose)?.first_key_value()?;
        let number = *number;
        waits.taken.notify_one();
        self.leave(whose, number);
        Some(whose)
    }

    /// Who has most, among some.
    fn most(&self, among: impl Fn(&Whose, &Own) -> bool) -> Option<Whose> {
        let some = self.of.iter().filter(|(whose, own)| among(whose, own));
        let rank = |own: &Own| (own.len(), Reverse(own.keys().next().copied()));
        let most = some.max_by_key(|(_, own)| rank(own))?;
        Some(*most.0)
    }

    /// Whether it was still there.
    fn leave(&mut self, whose: Whose, number: u64) -> bool {
        let Some(own) = self.of.get_mut(&whose) else {
            return false;
        };
        let was_there = own.remove(&number).is_some();
        if own.is_empty() {
            self.of.remove(&whose);
        }
        self.count -= usize::from(was_there);
        was_there
    }
}

impl Seat {
    /// It is a client's: a proxy has said whose.
    pub(super) fn is_of(&self, address: Address) {
        let whose = Whose::Client(address);
        let mut own = lock(&self.whose);
        let mut seats = lock(&self.seats);
        if *own == whose || !seats.leave(*own, self.number) {
            return;
        }
        seats.count += 1;
        let of = seats.of.entry(whose).or_default();
        of.insert(self.number, self.waits.clone());
        *own = whose;
    }

    /// Done when another connection has taken the place.
    pub(super) async fn taken(&self) {
        self.waits.taken.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let whose = *lock(&self.whose);
        lock(&self.seats).leave(whose, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Address {
        Address::of(text.parse().unwrap())
    }

    fn client(address: &str) -> Whose {
        Whose::Client(ip(address))
    }

    fn enter(unadmitted: &Unadmitted, address: &str) -> (Seat, Option<Whose>) {
        unadmitted.enter(client(address), false)
    }

    fn is_taken(seat: &Seat) -> bool {
        let mut waits = std::pin::pin!(seat.taken());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        waits.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn whoever_has_most_makes_room() {
        let unadmitted = Unadmitted::of(4 * PART);
        let honest = enter(&unadmitted, "192.0.2.1").0;
        let loud: Vec<Seat> = (0..3).map(|_| enter(&unadmitted, "192.0.2.2").0).collect();
        let (another, gone) = enter(&unadmitted, "192.0.2.3");
        assert_eq!(gone, Some(client("192.0.2.2")));
        assert!(is_taken(&loud[0]) && !is_taken(&loud[1]) && !is_taken(&honest));
        // Who has most makes room for itself, too.
        let (_more, gone) = enter(&unadmitted, "192.0.2.2");
        assert_eq!(gone, Some(client("192.0.2.2")));
        assert!(is_taken(&loud[1]) && !is_taken(&another));
        // One that left already leaves no second time.
        drop(loud);
        assert_eq!(lock(&unadmitted.seats).count, 3);
        assert_eq!(enter(&unadmitted, "192.0.2.4").1, None);
    }

    #[test]
    fn clients_of_a_proxy_are_told_apart_once_it_has_said_whose_they_are() {
        let unadmitted = Unadmitted::of(4 * PART);
        let proxy = |_| unadmitted.enter(PROXY, false).0;
        let clients: Vec<Seat> = (0..2).map(proxy).collect();
        clients[0].is_of(ip("192.0.2.10"));
        clients[1].is_of(ip("192.0.2.11"));
        let _loud = (
            enter(&unadmitted, "192.0.2.2"),
            enter(&unadmitted, "192.0.2.2"),
        );
        assert_eq!(enter(&unadmitted, "192.0.2.3").1, Some(client("192.0.2.2")));
        assert!(!clients.iter().any(is_taken));
        drop(clients);
        assert_eq!(lock(&unadmitted.seats).count, 1);
    }

    const PROXY: Whose = Whose::Proxy(Address::Unknown);

    #[test]
    fn a_proxy_has_a_moment_to_say_whose_its_connections_are() {
        let now = Instant::now();
        let unadmitted = Unadmitted::of(5 * PART);
        let _loud = [0, 1].map(|_| enter(&unadmitted, "192.0.2.2").0);
        let through = [0, 1, 2].map(|_| unadmitted.enter(PROXY, false).0);
        let gone = || lock(&unadmitted.seats).make_room(now);
        assert_eq!(gone(), Some(client("192.0.2.2")));
        // Nobody else has several now.
        assert_eq!(gone(), Some(PROXY));
        assert!(is_taken(&through[0]));
    }

    #[test]
    fn what_a_proxy_does_not_say_for_longer_is_its_own() {
        let unadmitted = Unadmitted::of(5 * PART);
        let _loud = [0, 1].map(|_| enter(&unadmitted, "192.0.2.2").0);
        let through = [0, 1, 2].map(|_| unadmitted.enter(PROXY, false).0);
        let later = Instant::now() + HEAD;
        assert_eq!(lock(&unadmitted.seats).make_room(later), Some(PROXY));
        assert!(is_taken(&through[0]) && !is_taken(&through[1]));
    }

    #[test]
    fn where_each_has_one_the_oldest_makes_room() {
        let unadmitted = Unadmitted::of(2 * PART);
        let first = enter(&unadmitted, "192.0.2.1").0;
        let _second = enter(&unadmitted, "192.0.2.2").0;
        let (third, gone) = enter(&unadmitted, "192.0.2.3");
        assert_eq!(gone, Some(client("192.0.2.1")));
        assert!(is_taken(&first));
        drop((first, third));
        assert_eq!(lock(&unadmitted.seats).count, 1);
    }

    #[test]
    fn where_no_connection_has_a_place_one_that_is_not_admitted_makes_room() {
        let unadmitted = Unadmitted::of(4 * PART);
        assert!(unadmitted.is_empty());
        let first = enter(&unadmitted, "192.0.2.1").0;
        let (_second, gone) = unadmitted.enter(client("192.0.2.2"), true);
        assert_eq!(gone, Some(client("192.0.2.1")));
        assert!(is_taken(&first));
    }
}
