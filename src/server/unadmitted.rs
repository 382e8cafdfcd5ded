//! Connections that are not admitted yet, over TCP, in all: as many as may be. Whoever comes then
//! takes the place of the oldest one of the address that has most, so that one address does not
//! keep the others out, and none of them takes a place from a session.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::gateway::lock;
use super::waiting::Address;

/// Of how many connections one may be unadmitted.
const PART: usize = 4;

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
    of: HashMap<Address, BTreeMap<u64, Arc<Notify>>>,
}

/// A place among them; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    address: Mutex<Address>,
    number: u64,
    taken: Arc<Notify>,
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
    pub(super) fn enter(&self, address: Address, full: bool) -> (Seat, Option<Address>) {
        let mut seats = lock(&self.seats);
        let gone = match full || seats.count >= self.most {
            true => seats.make_room(),
            false => None,
        };
        let number = seats.number;
        let taken = Arc::new(Notify::new());
        seats.number += 1;
        seats.count += 1;
        let own = seats.of.entry(address).or_default();
        own.insert(number, Arc::clone(&taken));
        let seat = Seat {
            address: Mutex::new(address),
            number,
            taken,
            seats: Arc::clone(&self.seats),
        };
        (seat, gone)
    }
}

impl Seats {
    /// Takes the place of the oldest connection of the address that has most; of several that have
    /// as many, of the one whose oldest came first.
    fn make_room(&mut self) -> Option<Address> {
        let oldest = |of: &BTreeMap<u64, _>| std::cmp::Reverse(of.keys().next().copied());
        let most = self.of.iter().max_by_key(|(_, of)| (of.len(), oldest(of)));
        let address = *most?.0;
        let (number, taken) = self.of.get(&address)?.first_key_value()?;
        let number = *number;
        taken.notify_one();
        self.leave(address, number);
        Some(address)
    }

    /// Whether it was still there.
    fn leave(&mut self, address: Address, number: u64) -> bool {
        let Some(of) = self.of.get_mut(&address) else {
            return false;
        };
        let was_there = of.remove(&number).is_some();
        if of.is_empty() {
            self.of.remove(&address);
        }
        self.count -= usize::from(was_there);
        was_there
    }
}

impl Seat {
    /// It is another address's: a proxy has said whose.
    pub(super) fn is_of(&self, address: Address) {
        let mut own = lock(&self.address);
        let mut seats = lock(&self.seats);
        if *own == address || !seats.leave(*own, self.number) {
            return;
        }
        seats.count += 1;
        let of = seats.of.entry(address).or_default();
        of.insert(self.number, Arc::clone(&self.taken));
        *own = address;
    }

    /// Done when another connection has taken the place.
    pub(super) async fn taken(&self) {
        self.taken.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let address = *lock(&self.address);
        lock(&self.seats).leave(address, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Address {
        Address::of(text.parse().unwrap())
    }

    fn enter(unadmitted: &Unadmitted, address: &str) -> (Seat, Option<Address>) {
        unadmitted.enter(ip(address), false)
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
        assert_eq!(gone, Some(ip("192.0.2.2")));
        assert!(is_taken(&loud[0]) && !is_taken(&loud[1]) && !is_taken(&honest));
        // Who has most makes room for itself, too.
        let (_more, gone) = enter(&unadmitted, "192.0.2.2");
        assert_eq!(gone, Some(ip("192.0.2.2")));
        assert!(is_taken(&loud[1]) && !is_taken(&another));
        // One that left already leaves no second time.
        drop(loud);
        assert_eq!(lock(&unadmitted.seats).count, 3);
        assert_eq!(enter(&unadmitted, "192.0.2.4").1, None);
    }

    #[test]
    fn clients_of_a_proxy_are_told_apart_once_it_has_said_whose_they_are() {
        let unadmitted = Unadmitted::of(4 * PART);
        let proxy = |_| enter(&unadmitted, "192.0.2.9").0;
        let clients: Vec<Seat> = (0..2).map(proxy).collect();
        clients[0].is_of(ip("192.0.2.10"));
        clients[1].is_of(ip("192.0.2.11"));
        let _loud = (
            enter(&unadmitted, "192.0.2.2"),
            enter(&unadmitted, "192.0.2.2"),
        );
        assert_eq!(enter(&unadmitted, "192.0.2.3").1, Some(ip("192.0.2.2")));
        assert!(!clients.iter().any(is_taken));
        drop(clients);
        assert_eq!(lock(&unadmitted.seats).count, 1);
    }

    #[test]
    fn where_each_has_one_the_oldest_makes_room() {
        let unadmitted = Unadmitted::of(2 * PART);
        let first = enter(&unadmitted, "192.0.2.1").0;
        let _second = enter(&unadmitted, "192.0.2.2").0;
        let (third, gone) = enter(&unadmitted, "192.0.2.3");
        assert_eq!(gone, Some(ip("192.0.2.1")));
        assert!(is_taken(&first));
        drop((first, third));
        assert_eq!(lock(&unadmitted.seats).count, 1);
    }

    #[test]
    fn where_no_connection_has_a_place_one_that_is_not_admitted_makes_room() {
        let unadmitted = Unadmitted::of(4 * PART);
        assert!(unadmitted.is_empty());
        let first = enter(&unadmitted, "192.0.2.1").0;
        let (_second, gone) = unadmitted.enter(ip("192.0.2.2"), true);
        assert_eq!(gone, Some(ip("192.0.2.1")));
        assert!(is_taken(&first));
    }
}
