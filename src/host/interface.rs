//! The addresses of this host's interfaces, and which of them Tailscale gave. What a peer's address
//! being among them means is for the facts.

use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};

/// Where Tailscale gives IPv4 addresses (<https://tailscale.com/kb/1015/100.x-addresses>). Carriers
/// and clusters give addresses there too (RFC 6598).
const TAILNET_V4: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(100, 64, 0, 0), 10);
/// Where Tailscale alone gives IPv6 addresses (<https://tailscale.com/kb/1033/ip-and-dns-addresses>).
const TAILNET_V6: Ipv6Net = Ipv6Net::new_assert(
    std::net::Ipv6Addr::new(0xfd7a, 0x115c, 0xa1e0, 0, 0, 0, 0, 0),
    48,
);

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The name of the interface.
    pub name: String,
    /// One of its addresses.
    pub ip: IpAddr,
}

/// Every address of every interface now, loopback included; none where the system does not say.
/// It takes the kernel tens of microseconds: ask at the start, and again when addresses may have
/// changed, not for each connection.
#[must_use]
pub fn interfaces() -> Vec<Interface> {
    let found = if_addrs::get_if_addrs().unwrap_or_default();
    let found = found.into_iter().map(|found| Interface {
        ip: found.ip(),
        name: found.name,
    });
    found.collect()
}

/// The addresses of [`interfaces`], as [`crate::handshake::Socket::own_addresses`] wants them.
#[must_use]
pub fn own_addresses(interfaces: &[Interface]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = interfaces.iter().map(|found| found.ip).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// The address that Tailscale gave this host, IPv4 before IPv6. An IPv4 address of its range may
/// be a carrier's: one counts less whose interface has neither the name nor the IPv6 address that
/// Tailscale gives.
#[must_use]
pub fn tailnet(interfaces: &[Interface]) -> Option<IpAddr> {
    let tailscale = |name: &str| {
        let given = |found: &Interface| found.name == name && is_tailnet_v6(found.ip);
        name.starts_with("tailscale") || interfaces.iter().any(given)
    };
    let rank = |found: &Interface| match found.ip {
        IpAddr::V4(ip) if !TAILNET_V4.contains(&ip) => None,
        IpAddr::V4(_) if tailscale(&found.name) => Some(0),
        IpAddr::V4(_) => Some(2),
        IpAddr::V6(_) => is_tailnet_v6(found.ip).then_some(1),
    };
    let ranked = interfaces
        .iter()
        .filter_map(|found| Some((rank(found)?, found.ip)));
    ranked.min().map(|(_, ip)| ip)
}

fn is_tailnet_v6(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if TAILNET_V6.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(of: &[(&str, &str)]) -> Vec<Interface> {
        let found = of.iter().map(|(name, ip)| Interface {
            name: (*name).to_owned(),
            ip: ip.parse().unwrap(),
        });
        found.collect()
    }

    #[test]
    fn this_host_has_an_address() {
        let own = own_addresses(&interfaces());
        assert!(own.iter().any(IpAddr::is_loopback), "{own:?}");
        for ip in own {
            let bound = std::net::UdpSocket::bind((ip, 0));
            // An address of one link needs its interface too.
            let link = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
            assert!(link || bound.is_ok(), "{ip}");
        }
    }

    #[test]
    fn each_address_is_told_once() {
        let twice = told(&[("a", "10.0.0.1"), ("b", "10.0.0.1"), ("b", "::1")]);
        assert_eq!(own_addresses(&twice).len(), 2);
    }

    #[test]
    fn the_tailnet_address_is_the_one_of_its_own_interface() {
        let tailnet = |of: &[(&str, &str)]| tailnet(&told(of)).map(|ip| ip.to_string());
        let found = |ip: &str| Some(ip.to_owned());
        let carrier = ("wwan0", "100.64.3.4");
        let four = ("utun3", "100.100.1.2");
        let six = ("utun3", "fd7a:115c:a1e0::9");
        assert_eq!(tailnet(&[("lo", "127.0.0.1"), ("e", "100.128.0.1")]), None);
        assert_eq!(tailnet(&[four]), found("100.100.1.2"));
        assert_eq!(tailnet(&[carrier, four, six]), found("100.100.1.2"));
        assert_eq!(tailnet(&[carrier, six]), found("fd7a:115c:a1e0::9"));
        let named = ("tailscale0", "100.99.0.1");
        assert_eq!(tailnet(&[carrier, named]), found("100.99.0.1"));
        assert_eq!(tailnet(&[("e", "fd7a:115c:a1e1::9")]), None);
    }
}
