//! A set of networks as sorted ranges: whether an address is in it takes a binary search.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Ranges of addresses, merged and sorted. v4 stands where v4-mapped v6 does, which no
/// canonical v6 address occupies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Box<[(u128, u128)]>);

impl Networks {
    /// The union of some networks.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        let mut ranges: Vec<(u128, u128)> = networks
            .iter()
            .flat_map(|network| {
                let range = (number(network.network()), number(network.broadcast()));
                let v6 = matches!(network, IpNet::V6(_));
                if v6 { around_v4(range) } else { vec![range] }
            })
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            match merged.last_mut() {
                Some(last) if start <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        Networks(merged.into())
    }

    /// Whether the (canonical) address is in one of the networks.
    #[must_use]
    pub fn contain(&self, ip: IpAddr) -> bool {
        self.has(number(ip))
    }

    /// Whether the address with this number is.
    pub(super) fn has(&self, ip: u128) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= ip);
        after
            .checked_sub(1)
            .and_then(|at| self.0.get(at))
            .is_some_and(|(_, end)| ip <= *end)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// First and last address of each range, in ascending order.
    pub(crate) fn ranges(&self) -> &[(u128, u128)] {
        &self.0
    }
}

/// Where v4 stands among the numbers of addresses.
pub(crate) const V4_START: u128 = 0xffff_0000_0000;
/// The last place where it does.
pub(crate) const V4_END: u128 = 0xffff_ffff_ffff;

/// The address of a number.
pub(crate) fn of_number(number: u128) -> IpAddr {
    match u32::try_from(number ^ V4_START) {
        Ok(bits) => IpAddr::V4(Ipv4Addr::from_bits(bits)),
        Err(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

/// An address as a number.
pub(crate) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => V4_START | u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// What of a range is v4.
pub(crate) fn v4_within((start, end): (u128, u128)) -> Option<(u128, u128)> {
    let (start, end) = (start.max(V4_START), end.min(V4_END));
    (start <= end).then_some((start, end))
}

/// A v6 network without the place where v4 stands: `::/0` is no v4 address.
pub(crate) fn around_v4((start, end): (u128, u128)) -> Vec<(u128, u128)> {
    if end < V4_START || start > V4_END {
        return vec![(start, end)];
    }
    let before = (start < V4_START).then_some((start, V4_START - 1));
    let after = (end > V4_END).then_some((V4_END + 1, end));
    before.into_iter().chain(after).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network() -> impl Strategy<Value = IpNet> {
        let v4 = (any::<u32>(), 0u8..=32).prop_map(|(bits, length)| {
            IpNet::new(std::net::Ipv4Addr::from_bits(bits).into(), length)
                .unwrap()
                .trunc()
        });
        let v6 = (any::<u128>(), 0u8..=128).prop_map(|(bits, length)| {
            IpNet::new(std::net::Ipv6Addr::from_bits(bits).into(), length)
                .unwrap()
                .trunc()
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn the_union_contains_what_one_of_them_does(
            networks in prop::collection::vec(network(), 0..8),
            probe in any::<u128>(),
            v4 in any::<u32>(),
        ) {
            let set = Networks::new(&networks);
            let near = networks.iter().flat_map(|network| [network.network(), network.broadcast()]);
            let probes = [
                IpAddr::from(std::net::Ipv6Addr::from_bits(probe)),
                IpAddr::from(std::net::Ipv4Addr::from_bits(v4)),
            ];
            for ip in near.chain(probes).map(|ip| ip.to_canonical()) {
                let one = networks.iter().any(|network| network.contains(&ip));
                prop_assert_eq!(set.contain(ip), one, "{} in {:?}", ip, networks);
            }
        }
    }

    #[test]
    fn v4_is_in_no_v6_network() {
        let all_v6 = Networks::new(&["::/0".parse().unwrap()]);
        assert!(!all_v6.contain("10.0.0.5".parse().unwrap()));
        assert!(all_v6.contain("fd00::5".parse().unwrap()));
    }
}
