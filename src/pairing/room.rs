//! Room for another request: which of those that wait gives way to it. Whoever has the shared
//! secret can make requests without end, so each address has a share; what others asked for
//! waits on, by its id.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::IpAddr;

use super::change::{Change, Decision, Event, Write};
use super::record::Pending;
use super::standing::Standing;
use super::store::Version;

/// How many requests of one address may wait: a quarter of all that a store keeps.
pub const MOST_OF_ONE: usize = 250;

/// The network that one client of IPv6 may take its addresses from.
const CLIENT_V6_BITS: u32 = 64;

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum From {
    /// This host's, and those that come through a proxy that is not trusted: no address is kept
    /// of them.
    Here,
    /// Those of an address; of IPv6, of its /64.
    Address(IpAddr),
    /// What is no address.
    Other(Box<str>),
}

impl From {
    fn of(pending: &Pending) -> Self {
        let Some(text) = pending.remote_ip.as_deref() else {
            return From::Here;
        };
        match text.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
            Ok(ip) if ip.is_loopback() => From::Here,
            Ok(IpAddr::V6(ip)) => {
                let host = u128::MAX >> CLIENT_V6_BITS;
                From::Address(IpAddr::V6((ip.to_bits() & !host).into()))
            }
            Ok(ip) => From::Address(ip),
            Err(_) => From::Other(text.into()),
        }
    }
}

/// The requests that wait, counted by address for one more that asks for a place.
#[derive(Debug)]
pub struct Room<'a> {
    asks: &'a Pending,
    of: BTreeMap<From, Waiting>,
}

/// Those of an address: how many, and which gives way first.
#[derive(Debug)]
struct Waiting {
    count: usize,
    first: First,
}

#[derive(Debug)]
struct First {
    /// Devices that have a record give way last.
    is_known: bool,
    ts: i64,
    device_id: Box<str>,
    request_id: Box<str>,
    version: Version,
}

impl<'a> Room<'a> {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(asks: &'a Pending) -> Self {
        Room {
            asks,
            of: BTreeMap::new(),
        }
    }

    /// Counts the request of a device, where one waits: each is to be counted once, in any order.
    pub fn count(&mut self, standing: &Standing, version: Version) {
        let other = |pending: &&Pending| pending.device_id != self.asks.device_id;
        let Some(pending) = standing.pending.as_ref().filter(other) else {
            return;
        };
        let (is_known, ts) = (standing.record.is_some(), pending.ts);
        let first = || First {
            is_known,
            ts,
            device_id: pending.device_id.clone(),
            request_id: pending.request_id.clone(),
            version,
        };
        match self.of.entry(From::of(pending)) {
            Entry::Vacant(of) => drop(of.insert(Waiting {
                count: 1,
                first: first(),
            })),
            Entry::Occupied(of) => {
                let of = of.into_mut();
                of.count += 1;
                if (is_known, ts) < (of.first.is_known, of.first.ts) {
                    of.first = first();
                }
            }
        }
    }

    /// Takes away the request that gives way to the one more, if one has to: the oldest of the same
    /// address, once that has its share. Where all places are taken (`is_full`), it is the oldest
    /// of the address that has most, and none where the asker's would then have more than that.
    #[must_use]
    pub fn gives_way(mut self, is_full: bool, now_ms: i64) -> Option<(Change, Version)> {
        let own = self.of.remove(&From::of(self.asks));
        let count = |of: &Option<Waiting>| of.as_ref().map_or(0, |of| of.count);
        let most = self.of.into_values().max_by_key(|of| of.count);
        let from = if count(&own) >= MOST_OF_ONE {
            own
        } else if !is_full {
            None
        } else if count(&most) > count(&own) + 1 {
            most
        } else {
            own
        };
        let first = from?.first;
        let mut change = Change::none(&*first.device_id);
        change.pending = Write::Remove;
        change.events.push(Event::Resolved {
            request_id: first.request_id,
            device_id: first.device_id,
            decision: Decision::Rejected,
            at_ms: now_ms,
        });
        Some((change, first.version))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The request of a device, at an address, made at a time.
    fn pending(device: &str, ip: Option<&str>, ts: i64) -> Pending {
        serde_json::from_value(json!({
            "requestId": format!("request of {device}"), "deviceId": device, "publicKey": "k",
            "remoteIp": ip, "ts": ts,
        }))
        .unwrap()
    }

    fn waits(device: &str, ip: Option<&str>, ts: i64) -> (Standing, Version) {
        let standing = Standing {
            pending: Some(pending(device, ip, ts)),
            ..Standing::default()
        };
        (standing, Version(1))
    }

    fn many(count: usize, ip: Option<&str>) -> Vec<(Standing, Version)> {
        let named = |at: usize| format!("{}-{at}", ip.unwrap_or("here"));
        (0..count)
            .map(|at| waits(&named(at), ip, at as i64))
            .collect()
    }

    /// The device whose request gives way.
    fn gone(waiting: &[(Standing, Version)], asks: &Pending, is_full: bool) -> Option<String> {
        let mut room = Room::new(asks);
        for (standing, version) in waiting {
            room.count(standing, *version);
        }
        let (change, _) = room.gives_way(is_full, 9)?;
        assert_eq!(change.pending, Write::Remove);
        assert_eq!(change.events.len(), 1);
        Some(change.device_id.to_string())
    }

    #[test]
    fn an_address_has_a_share_and_its_own_oldest_gives_way() {
        let loud = Some("203.0.113.7");
        let mut waiting = many(MOST_OF_ONE, loud);
        waiting.extend(many(5, Some("198.51.100.1")));
        waiting.extend(many(5, None));
        let asks = pending("new", loud, 1_000);
        assert_eq!(gone(&waiting, &asks, false).unwrap(), "203.0.113.7-0");
        let honest = pending("new", Some("198.51.100.2"), 1_000);
        assert_eq!(gone(&waiting, &honest, false), None);
        // A device that asks again takes its own place.
        let again = pending("203.0.113.7-3", loud, 1_000);
        assert_eq!(gone(&waiting, &again, false), None);
    }

    #[test]
    fn where_all_places_are_taken_whoever_has_most_gives_way() {
        let mut waiting = many(60, Some("203.0.113.7"));
        waiting.extend(many(30, None));
        let honest = pending("new", Some("198.51.100.2"), 1_000);
        assert_eq!(gone(&waiting, &honest, true).unwrap(), "203.0.113.7-0");
        let loud = pending("new", Some("203.0.113.7"), 1_000);
        assert_eq!(gone(&waiting, &loud, true).unwrap(), "203.0.113.7-0");
        // Nobody is pushed out by one who would then have as many.
        let one_each = [many(1, Some("192.0.2.1")), many(1, Some("192.0.2.2"))].concat();
        assert_eq!(gone(&one_each, &honest, true), None);
    }

    #[test]
    fn a_network_of_one_client_is_one_and_paired_devices_go_last() {
        let mut waiting: Vec<(Standing, Version)> = (0..MOST_OF_ONE)
            .map(|at| {
                waits(
                    &format!("{at}"),
                    Some(&format!("2001:db8::{at:x}")),
                    at as i64,
                )
            })
            .collect();
        let record = json!({ "deviceId": "0", "publicKey": "k" });
        waiting[0].0.record = Some(serde_json::from_value(record).unwrap());
        let asks = pending("new", Some("2001:db8::ffff"), 1_000);
        assert_eq!(gone(&waiting, &asks, false).unwrap(), "1");
        let beside = pending("new", Some("2001:db8:0:1::1"), 1_000);
        assert_eq!(gone(&waiting, &beside, false), None);
        let local = [
            many(MOST_OF_ONE / 2, None),
            many(MOST_OF_ONE / 2, Some("127.0.0.1")),
        ]
        .concat();
        assert!(gone(&local, &pending("new", Some("::1"), 1_000), false).is_some());
    }
}
