//! Which lines are written of connections that nothing was decided of, or that were refused and
//! proved no secret: a few of each address a second, and then how many were left out. Anybody can
//! make such connections, as many as they like; what else was decided is to stay in the log.

use std::collections::BTreeMap;

use super::waiting::Address;

/// How many lines an address has in a second.
const OF_ONE: u32 = 8;

/// How many lines all addresses have in a second.
const OF_ALL: u32 = 64;

/// How many addresses are told apart in a second. Those after them have no line.
const ADDRESSES: usize = 64;

/// How long lines are counted together.
const SECOND_MS: i64 = 1_000;

/// Counts lines.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// When what is counted began.
    since_ms: i64,
    /// Of each address, how many lines it has, and how many were left out.
    addresses: BTreeMap<Address, (u32, u64)>,
    written: u32,
    /// How many were left out of addresses that are not told apart.
    others: u64,
}

/// Lines that were left out, of one address or of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) address: Option<Address>,
    pub(super) count: u64,
}

impl Strangers {
    /// Whether a line of this address is written, at a time that only goes on.
    pub(super) fn admits(&mut self, address: Address, now_ms: i64) -> bool {
        if self.written == 0 && self.addresses.is_empty() {
            self.since_ms = now_ms;
        }
        if self.addresses.len() >= ADDRESSES && !self.addresses.contains_key(&address) {
            self.others += 1;
            return false;
        }
        let (lines, left_out) = self.addresses.entry(address).or_default();
        if *lines >= OF_ONE || self.written >= OF_ALL {
            *left_out += 1;
            return false;
        }
        *lines += 1;
        self.written += 1;
        true
    }

    /// What was left out of a second that is over; or of one that is not, where it `ends` here.
    pub(super) fn left_out(&mut self, now_ms: i64, ends: bool) -> Vec<LeftOut> {
        if !ends && now_ms.saturating_sub(self.since_ms) < SECOND_MS {
            return Vec::new();
        }
        let over = std::mem::take(self);
        let of = |(address, (_, count)): (Address, (u32, u64))| LeftOut {
            address: Some(address),
            count,
        };
        let others = LeftOut {
            address: None,
            count: over.others,
        };
        let all = over.addresses.into_iter().map(of).chain([others]);
        all.filter(|left_out| left_out.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Address {
        Address::of(text.parse().unwrap())
    }

    #[test]
    fn an_address_has_a_few_lines_a_second_and_the_others_theirs() {
        let mut strangers = Strangers::default();
        let loud = ip("2001:db8::1");
        let told = (0..100).filter(|_| strangers.admits(loud, 5_000)).count();
        assert_eq!(told, OF_ONE as usize);
        assert!(!strangers.admits(ip("2001:db8::2"), 5_010), "the same /64");
        assert!(strangers.admits(ip("192.0.2.1"), 5_020));
        assert_eq!(strangers.left_out(5_999, false), []);
        let left_out = LeftOut {
            address: Some(loud),
            count: 93,
        };
        assert_eq!(strangers.left_out(6_000, false), [left_out]);
        assert!(strangers.admits(loud, 6_000));
        assert_eq!(strangers.left_out(9_000, false), []);
    }

    /// However many they are.
    #[test]
    fn all_addresses_together_have_a_bound() {
        let mut strangers = Strangers::default();
        let told = (0..100_000_u64).filter(|at| {
            let network = std::net::Ipv6Addr::from(u128::from(at % 1_000) << 64);
            strangers.admits(Address::of(network.into()), 0)
        });
        assert_eq!(told.count(), OF_ALL as usize);
        let left_out = strangers.left_out(10, true);
        assert!(left_out.len() <= ADDRESSES + 1);
        let sum: u64 = left_out.iter().map(|left_out| left_out.count).sum();
        assert_eq!(sum, 100_000 - u64::from(OF_ALL));
    }
}
