//! How many connections of one address wait for their admission, and how many for a refusal that is
//! held back.
//!
//! Those are counted apart: whoever fails on purpose, again and again, takes no place from others
//! at its address. And they are counted for as long as they were to wait, however soon they go: who
//! would not wait could guess as often as it can connect.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;

use super::gateway::lock;
use crate::facts::{self, Transport};

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

/// Counts up to a limit for each address.
#[derive(Debug)]
pub(super) struct Waiting {
    most: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: HashMap<Address, usize>,
    held: HashMap<Address, usize>,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
enum What {
    Waiting,
    Held,
}

/// A place among those that wait; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    what: What,
    address: Address,
    counts: Arc<Mutex<Counts>>,
}

impl Counts {
    fn of(&mut self, what: What) -> &mut HashMap<Address, usize> {
        match what {
            What::Waiting => &mut self.waiting,
            What::Held => &mut self.held,
        }
    }
}

impl Waiting {
    pub(super) fn new(most: usize) -> Self {
        Waiting {
            most,
            counts: Arc::default(),
        }
    }

    /// A place, unless as many as may have one already.
    pub(super) fn enter(&self, address: Address) -> Option<Place> {
        let mut counts = lock(&self.counts);
        let count = counts.waiting.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place {
            what: What::Waiting,
            address,
            counts: Arc::clone(&self.counts),
        })
    }

    /// Whether as many refusals of an address are held back as may be.
    pub(super) fn holds_most(&self, address: Address) -> bool {
        let held = lock(&self.counts).held.get(&address).copied();
        held.unwrap_or_default() >= (self.most / PART).max(1)
    }
}

impl Place {
    /// It waits for a refusal now, and counts among those for so long, whatever becomes of it. Only
    /// from within a Tokio runtime.
    pub(super) fn hold(self, delay: Duration) {
        let held = self.held();
        tokio::spawn(async move {
            sleep(delay).await;
            drop(held);
        });
    }

    fn held(self) -> Place {
        let held = Place {
            what: What::Held,
            address: self.address,
            counts: Arc::clone(&self.counts),
        };
        *lock(&held.counts).held.entry(held.address).or_default() += 1;
        held
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        let counts = counts.of(self.what);
        let count = counts.entry(self.address).or_default();
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let waiting = Waiting::new(2);
        let ip = |text: &str| Address::of(text.parse().unwrap());
        let first = waiting.enter(ip("2001:db8::1")).unwrap();
        let _second = waiting.enter(ip("2001:db8::2")).unwrap();
        assert!(waiting.enter(ip("2001:db8::3")).is_none());
        assert!(waiting.enter(ip("2001:db8:0:1::3")).is_some());
        drop(first);
        let mapped = waiting.enter(ip("::ffff:192.0.2.1")).unwrap();
        let plain = waiting.enter(ip("192.0.2.1")).unwrap();
        assert!(waiting.enter(ip("192.0.2.1")).is_none());
        drop((mapped, plain));
        assert!(waiting.enter(ip("2001:db8::4")).is_some());
        assert_eq!(lock(&waiting.counts).waiting.len(), 1);
    }

    #[test]
    fn who_waits_for_a_refusal_takes_no_place_from_others() {
        let waiting = Waiting::new(2);
        let ip = |text: &str| Address::of(text.parse().unwrap());
        let one = || waiting.enter(ip("192.0.2.1")).unwrap();
        let (first, _second) = (one(), one());
        assert!(waiting.enter(ip("192.0.2.1")).is_none());
        let held = first.held();
        assert!(waiting.holds_most(ip("192.0.2.1")));
        assert!(!waiting.holds_most(ip("192.0.2.2")));
        let third = one();
        assert!(waiting.enter(ip("192.0.2.1")).is_none());
        drop(held);
        assert!(!waiting.holds_most(ip("192.0.2.1")));
        drop(third);
        assert!(lock(&waiting.counts).held.is_empty());
    }
}
