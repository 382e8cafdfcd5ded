//! How many connections of one address wait for their admission, and how many for a refusal that is
//! held back.
//!
//! Where as many wait as may, the one gives way that has been silent for longest: nobody keeps
//! others at its address out by saying nothing. Pages are counted apart from programs, so that no
//! page that a browser has open takes a place from them.
//!
//! Refusals that are held back are counted apart too: whoever fails on purpose, again and again,
//! takes no place from others at its address. And they are counted for as long as they were to
//! wait, however soon they go: who would not wait could guess as often as it can connect.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::gateway::lock;
use crate::facts::{self, OriginClass, Transport};

/// Whose connections are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Address {
    /// Those of an address; of IPv6, of its /64, which one host may have all of. This host is one,
    /// by whichever of its loopback addresses.
    Ip(IpAddr),
    /// Those whose client is not known.
    Unknown,
    /// Those at the unix socket.
    Socket,
}

impl Address {
    pub(super) fn of(ip: IpAddr) -> Self {
        Address::Ip(match ip.to_canonical() {
            IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
        })
    }

    /// Whose a connection is: its client's, where that is known, or else its peer's.
    pub(super) fn of_client(transport: Transport, client: facts::Address) -> Self {
        match (transport, client.ip()) {
            (Transport::Tcp, Some(ip)) => Address::of(ip),
            (Transport::Tcp, None) => Address::Unknown,
            (Transport::Unix | Transport::InProcess, _) => Address::Socket,
        }
    }
}

/// An address, or of IPv6 a network.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Address::Ip(IpAddr::V6(ip)) => write!(f, "{ip}/64"),
            Address::Unknown => f.write_str("an unknown address"),
            Address::Socket => f.write_str("the unix socket"),
        }
    }
}

/// Of as many as may wait, how many refusals may be held back.
const PART: usize = 2;

/// What comes from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum By {
    Program,
    /// A browser names the page's origin.
    Page,
}

impl By {
    pub(super) fn of(origin: OriginClass) -> Self {
        match origin == OriginClass::Absent {
            true => By::Program,
            false => By::Page,
        }
    }
}

/// Counts up to a limit for each address.
#[derive(Debug)]
pub(super) struct Waiting {
    most: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    /// In the order of arrival.
    number: u64,
    waiting: HashMap<Whose, Places>,
    held: HashMap<Address, usize>,
}

type Whose = (Address, By);

/// By number; of those that are silent, how they hear that they are to give way.
type Places = BTreeMap<u64, Option<Arc<Notify>>>;

/// A place among those that wait; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    whose: Whose,
    number: u64,
    /// That it is to give way.
    told: Arc<Notify>,
    counts: Arc<Mutex<Counts>>,
}

/// A refusal that is held back; counted until it is dropped.
#[derive(Debug)]
struct Held {
    address: Address,
    counts: Arc<Mutex<Counts>>,
}

/// As many have a place as may, and none of them is silent.
#[derive(Debug)]
pub(super) struct Full;

/// A place that was taken.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) place: Place,
    /// Whether another one had to give way for it.
    pub(super) instead: bool,
}

impl Waiting {
    pub(super) fn new(most: usize) -> Self {
        Waiting {
            most,
            counts: Arc::default(),
        }
    }

    /// A place: a free one, or that of whoever has been silent for longest.
    ///
    /// # Errors
    ///
    /// As many have one as may, and none of them is silent.
    pub(super) fn enter(&self, address: Address, by: By) -> Result<Entered, Full> {
        let mut counts = lock(&self.counts);
        let number = counts.number;
        let whose = (address, by);
        let places = counts.waiting.entry(whose).or_default();
        let mut instead = false;
        if places.len() >= self.most {
            let mut silent = places.iter();
            let silent =
                silent.find_map(|(number, told)| Some((*number, Arc::clone(told.as_ref()?))));
            let (silent, told) = silent.ok_or(Full)?;
            told.notify_one();
            places.remove(&silent);
            instead = true;
        }
        places.insert(number, None);
        counts.number += 1;
        let counts = Arc::clone(&self.counts);
        let place = Place {
            whose,
            number,
            told: Arc::default(),
            counts,
        };
        Ok(Entered { place, instead })
    }

    /// Whether as many refusals of an address are held back as may be.
    pub(super) fn holds_most(&self, address: Address) -> bool {
        let held = lock(&self.counts).held.get(&address).copied();
        held.unwrap_or_default() >= (self.most / PART).max(1)
    }
}

impl Place {
    /// From now on its client is silent, and it may have to give way.
    pub(super) fn silent(&self) {
        if let Some(silent) = self.state(&mut lock(&self.counts)) {
            *silent = Some(Arc::clone(&self.told));
        }
    }

    /// Done when it had to give way.
    pub(super) async fn gave_way(&self) {
        self.told.notified().await;
    }

    /// Its client has said something, and it gives way no more; unless it did already.
    pub(super) fn heard(&self) {
        if let Some(silent) = self.state(&mut lock(&self.counts)) {
            *silent = None;
        }
    }

    fn state<'a>(&self, counts: &'a mut Counts) -> Option<&'a mut Option<Arc<Notify>>> {
        counts.waiting.get_mut(&self.whose)?.get_mut(&self.number)
    }

    /// It waits for a refusal now, and counts among those for so long, whatever becomes of it. Only
    /// from within a Tokio runtime.
    pub(super) fn hold(self, delay: Duration) {
        let held = self.held();
        tokio::spawn(async move {
            sleep(delay).await;
            drop(held);
        });
    }

    fn held(self) -> Held {
        let held = Held {
            address: self.whose.0,
            counts: Arc::clone(&self.counts),
        };
        *lock(&held.counts).held.entry(held.address).or_default() += 1;
        held
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        if let Some(places) = counts.waiting.get_mut(&self.whose) {
            // Whoever gave way has none.
            places.remove(&self.number);
            if places.is_empty() {
                counts.waiting.remove(&self.whose);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        let count = counts.held.entry(self.address).or_default();
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.held.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Address {
        Address::of(text.parse().unwrap())
    }

    fn enter(waiting: &Waiting, text: &str) -> Option<Place> {
        let entered = waiting.enter(ip(text), By::Program).ok()?;
        assert!(!entered.instead);
        Some(entered.place)
    }

    fn gave_way(place: &Place) -> bool {
        let mut told = std::pin::pin!(place.gave_way());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        told.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let waiting = Waiting::new(2);
        let first = enter(&waiting, "2001:db8::1").unwrap();
        let _second = enter(&waiting, "2001:db8::2").unwrap();
        assert!(enter(&waiting, "2001:db8::3").is_none());
        assert!(enter(&waiting, "2001:db8:0:1::3").is_some());
        drop(first);
        let mapped = enter(&waiting, "::ffff:192.0.2.1").unwrap();
        let plain = enter(&waiting, "192.0.2.1").unwrap();
        assert!(enter(&waiting, "192.0.2.1").is_none());
        drop((mapped, plain));
        assert!(enter(&waiting, "2001:db8::4").is_some());
        assert_eq!(lock(&waiting.counts).waiting.len(), 1);
    }

    #[test]
    fn whoever_has_been_silent_for_longest_gives_way_and_nobody_else() {
        let waiting = Waiting::new(3);
        let one = || enter(&waiting, "192.0.2.1").unwrap();
        let (busy, first, second) = (one(), one(), one());
        for place in [&first, &second] {
            place.silent();
        }
        let another = waiting.enter(ip("192.0.2.1"), By::Program).unwrap();
        assert!(another.instead && gave_way(&first) && !gave_way(&second));
        // It leaves late, and takes nobody else's place along.
        first.heard();
        drop(first);
        second.heard();
        assert!(enter(&waiting, "192.0.2.1").is_none());
        assert!(!gave_way(&second));
        drop((busy, second, another));
        assert!(lock(&waiting.counts).waiting.is_empty());
    }

    #[test]
    fn pages_take_no_place_from_programs() {
        let waiting = Waiting::new(1);
        let page = || waiting.enter(ip("127.0.0.1"), By::of(OriginClass::Loopback));
        let first = page().unwrap().place;
        first.silent();
        let _program = enter(&waiting, "127.0.0.1").unwrap();
        assert!(!gave_way(&first));
        assert!(page().unwrap().instead);
    }

    #[test]
    fn who_waits_for_a_refusal_takes_no_place_from_others() {
        let waiting = Waiting::new(2);
        let one = || enter(&waiting, "192.0.2.1");
        let (first, _second) = (one().unwrap(), one().unwrap());
        assert!(one().is_none());
        let held = first.held();
        assert!(waiting.holds_most(ip("192.0.2.1")));
        assert!(!waiting.holds_most(ip("192.0.2.2")));
        let third = one();
        assert!(third.is_some() && one().is_none());
        drop(held);
        assert!(!waiting.holds_most(ip("192.0.2.1")));
        drop(third);
        assert!(lock(&waiting.counts).held.is_empty());
    }
}
