//! IP addresses: read leniently, kept canonically, sorted into classes; who the client is
//! behind a chain of trusted proxies.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::{Serialize, Serializer};

use super::word::words;

words! {
    /// What an address says of where its owner stands.
    AddressClass {
        None "none" "there is no address, or it is not known",
        Loopback "loopback" "127.0.0.0/8 and ::1: this network namespace",
        Private "private" "RFC 1918 and unique-local (fc00::/7, fec0::/10)",
        LinkLocal "link-local" "169.254.0.0/16 and fe80::/10",
        Cgnat "cgnat" "100.64.0.0/10, shared by carriers and used by Tailscale",
        Public "public" "any other address of one host",
        Special "special" "unspecified, multicast or broadcast: never one peer",
    }
}

impl AddressClass {
    /// A typical member, for facts that name only a class.
    #[must_use]
    pub fn example(self) -> Address {
        let v4 = |a, b, c, d| Address::new(std::net::Ipv4Addr::new(a, b, c, d).into());
        match self {
            AddressClass::None => Address::NONE,
            AddressClass::Loopback => v4(127, 0, 0, 1),
            AddressClass::Private => v4(192, 168, 1, 10),
            AddressClass::LinkLocal => v4(169, 254, 10, 10),
            AddressClass::Cgnat => v4(100, 64, 0, 9),
            AddressClass::Public => v4(203, 0, 113, 9),
            AddressClass::Special => v4(224, 0, 0, 1),
        }
    }
}

/// An address with its class. v4-mapped v6 is v4, and zones are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    ip: Option<IpAddr>,
    class: AddressClass,
}

impl Address {
    /// No address: a unix socket, the in-process lane, or a client that cannot be known.
    pub const NONE: Address = Address {
        ip: None,
        class: AddressClass::None,
    };

    /// Makes the address canonical and finds its class.
    #[must_use]
    pub fn new(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        Address {
            ip: Some(ip),
            class: classify(ip),
        }
    }

    /// The canonical address.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        self.ip
    }

    /// Its class.
    #[must_use]
    pub fn class(self) -> AddressClass {
        self.class
    }

    /// Whether it is a loopback address.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        self.class == AddressClass::Loopback
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(ip) => f.pad(&ip.to_string()),
            None => f.pad(AddressClass::None.name()),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An address as a header or a setting spells it: white space, brackets and an IPv6 zone are
/// allowed (and dropped), a port is not. Short and octal IPv4 forms are no addresses, and
/// v4-mapped v6 is v4.
#[must_use]
pub fn parse_literal(text: &str) -> Option<IpAddr> {
    Literal::parse(text).map(|literal| literal.ip)
}

/// A canonical address, and whether it was written with a zone.
#[derive(Clone, Copy)]
struct Literal {
    ip: IpAddr,
    zoned: bool,
}

impl Literal {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        let (ip, zoned) = match text.split_once('%') {
            None => (text.parse::<IpAddr>().ok()?, false),
            Some((ip, zone)) if is_zone(zone) => (ip.parse::<Ipv6Addr>().ok()?.into(), true),
            Some(_) => return None,
        };
        Some(Literal {
            ip: ip.to_canonical(),
            zoned,
        })
    }

    /// One entry of `X-Forwarded-For`: an address, perhaps with a port. A list is none, also where
    /// its first entry has a port: whoever repeats a header would choose by it who the client is.
    fn parse_hop(text: &str) -> Option<Self> {
        Literal::parse(text).or_else(|| {
            let (ip, _port) = text.trim().rsplit_once(':')?;
            if text.contains(',') {
                return None;
            }
            let bracketed = ip.starts_with('[') && ip.ends_with(']');
            (bracketed || !ip.contains(':')).then(|| Literal::parse(ip))?
        })
    }
}

/// Whether the text may name an interface (RFC 6874 `ZoneID`, without percent-encoding).
fn is_zone(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// The networks whose forwarding headers are believed (`gateway.trustedProxies`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
}

impl TrustedProxies {
    /// Reads addresses and networks in CIDR notation. What cannot be read matches nothing,
    /// and comes back as the second value, as it was written.
    #[must_use]
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> (Self, Vec<String>) {
        let mut networks = Vec::new();
        let mut bad = Vec::new();
        for entry in entries {
            match parse_network(entry.as_ref()) {
                Some(network) => networks.push(network),
                None => bad.push(entry.as_ref().to_owned()),
            }
        }
        (TrustedProxies { networks }, bad)
    }

    /// Whether the address belongs to a trusted proxy. IPv4 networks contain IPv4 addresses
    /// (also v4-mapped ones), IPv6 networks contain all others.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.covers(Literal {
            ip: ip.to_canonical(),
            zoned: false,
        })
    }

    /// The same for an address as a header spells it. With a zone it is the address of one
    /// interface: only a network contains it, no entry for a single address names it.
    #[must_use]
    pub fn contains_literal(&self, text: &str) -> bool {
        Literal::parse(text).is_some_and(|literal| self.covers(literal))
    }

    fn covers(&self, literal: Literal) -> bool {
        self.networks.iter().any(|network| {
            let single = network.prefix_len() == network.max_prefix_len();
            network.contains(&literal.ip) && !(single && literal.zoned)
        })
    }

    /// Whether no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }
}

/// A network in CIDR notation, or one address; a network of v4-mapped addresses is IPv4.
#[must_use]
pub fn parse_network(text: &str) -> Option<IpNet> {
    let Some((ip, prefix)) = text.split_once('/') else {
        return parse_literal(text).map(IpNet::from);
    };
    // `u8` alone would let `+8` pass.
    let prefix = prefix.trim_end();
    if prefix.starts_with('+') {
        return None;
    }
    let prefix: u8 = prefix.parse().ok()?;
    let ip: IpAddr = ip.trim_start().parse().ok()?;
    match ip.to_canonical() {
        IpAddr::V4(v4) if ip.is_ipv6() && prefix >= 96 => {
            Ipv4Net::new(v4, prefix.saturating_sub(96)).map(IpNet::V4)
        }
        IpAddr::V4(_) | IpAddr::V6(_) => IpNet::new(ip, prefix),
    }
    .ok()
}

/// Who the client is, as far as the trusted proxies tell.
///
/// A peer that is not trusted is the client itself. Otherwise `X-Forwarded-For` is walked
/// from right to left, and the first hop that is neither trusted nor loopback is the client;
/// what cannot be read is passed over. Without such a hop the client is `X-Real-IP` when
/// `allow_real_ip` (`gateway.allowRealIpFallback`) says so, else it is not known: never the
/// proxy. The result is canonical.
#[must_use]
pub fn resolve_client(
    peer: Option<IpAddr>,
    forwarded_for: Option<&str>,
    real_ip: Option<&str>,
    proxies: &TrustedProxies,
    allow_real_ip: bool,
) -> Option<IpAddr> {
    let peer = peer?.to_canonical();
    if !proxies.contains(peer) {
        return Some(peer);
    }
    let hops = forwarded_for
        .unwrap_or_default()
        .rsplit(',')
        .filter_map(Literal::parse_hop);
    let real_ip = || {
        real_ip
            .filter(|_| allow_real_ip)
            .and_then(Literal::parse_hop)
    };
    let mut strangers = hops.filter(|hop| !hop.ip.is_loopback() && !proxies.covers(*hop));
    strangers.next().or_else(real_ip).map(|client| client.ip)
}

fn classify(ip: IpAddr) -> AddressClass {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            if v4.is_loopback() {
                AddressClass::Loopback
            } else if v4.is_private() {
                AddressClass::Private
            } else if v4.is_link_local() {
                AddressClass::LinkLocal
            } else if a == 100 && b & 0xc0 == 64 {
                AddressClass::Cgnat
            } else if v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() {
                AddressClass::Special
            } else {
                AddressClass::Public
            }
        }
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

fn classify_v6(ip: Ipv6Addr) -> AddressClass {
    let [first, ..] = ip.segments();
    if ip.is_loopback() {
        AddressClass::Loopback
    } else if first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 {
        AddressClass::Private
    } else if first & 0xffc0 == 0xfe80 {
        AddressClass::LinkLocal
    } else if ip.is_unspecified() || ip.is_multicast() {
        AddressClass::Special
    } else {
        AddressClass::Public
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn literals_are_canonical() {
        for text in [
            "::ffff:10.0.0.5",
            "[::ffff:a00:5]",
            " 10.0.0.5 ",
            "::ffff:10.0.0.5%eth0",
        ] {
            assert_eq!(parse_literal(text), Some(ip("10.0.0.5")), "{text}");
        }
        assert_eq!(parse_literal("fe80::1%eth0.7"), Some(ip("fe80::1")));
        for text in [
            "::1%",
            "::1%a/b",
            "::1%%lo",
            "127.0.0.1%lo",
            "[::1",
            "::1]",
            "01.2.3.4",
            "1.2.3",
        ] {
            assert_eq!(parse_literal(text), None, "{text}");
        }
        for mapped in [
            "::ffff:127.0.0.1",
            "::ffff:192.168.0.1",
            "::ffff:100.64.0.1",
        ] {
            let Some(IpAddr::V4(v4)) = parse_literal(mapped) else {
                panic!("{mapped}")
            };
            assert_eq!(Address::new(ip(mapped)), Address::new(v4.into()));
        }
    }

    #[test]
    fn networks_are_canonical_and_bad_entries_are_told() {
        assert_eq!(
            parse_network("::ffff:10.0.0.0/104"),
            parse_network("10.0.0.0/8")
        );
        assert_eq!(parse_network("10.0.0.5"), parse_network(" 10.0.0.5/32 "));
        let bad = [
            "10.0.0.5/33",
            "10.0.0.5/+8",
            "10.0.0.5/",
            "::1/129",
            "",
            "proxy",
            "10.*",
        ];
        let (proxies, told) = TrustedProxies::parse(bad);
        assert_eq!(told, bad);
        assert!(proxies.is_empty());
        let (proxies, told) = TrustedProxies::parse(["10.0.0.0/8", "x"]);
        assert_eq!(told, ["x"]);
        assert!(proxies.contains(ip("::ffff:10.1.2.3")));
        assert!(!proxies.contains(ip("11.0.0.1")));
    }

    #[test]
    fn a_zone_is_another_address_than_the_one_without() {
        let (one, _) = TrustedProxies::parse(["fe80::1"]);
        let (many, _) = TrustedProxies::parse(["fe80::/10"]);
        assert!(one.contains_literal("fe80::1") && many.contains_literal("fe80::1%eth0"));
        assert!(!one.contains_literal("fe80::1%eth0"));
    }

    #[test]
    fn families_do_not_mix() {
        let (all_v4, _) = TrustedProxies::parse(["0.0.0.0/0"]);
        let (all_v6, _) = TrustedProxies::parse(["::/0"]);
        for text in [
            "127.0.0.1",
            "::1",
            "::ffff:1.2.3.4",
            "2001:db8::5",
            "255.255.255.255",
        ] {
            assert_ne!(
                all_v4.contains(ip(text)),
                all_v6.contains(ip(text)),
                "{text}"
            );
        }
    }

    #[test]
    fn hops_may_carry_a_port() {
        let hop = |text| Literal::parse_hop(text).map(|hop| hop.ip);
        for text in ["1.2.3.4", " 1.2.3.4:80 ", "[::ffff:1.2.3.4]:80", "1.2.3.4:"] {
            assert_eq!(hop(text), Some(ip("1.2.3.4")), "{text}");
        }
        assert_eq!(hop("2001:db8::5"), Some(ip("2001:db8::5")));
        for text in [
            "",
            ":",
            ":80",
            "[::1:80",
            "2001:db8::5:::80",
            "unknown",
            "_hidden:1",
            "1.2.3.4:80, 10.0.0.1",
        ] {
            assert_eq!(hop(text), None, "{text}");
        }
    }

    #[test]
    fn a_client_cannot_forge_a_hop_to_the_right_of_the_proxy_s() {
        let (proxies, _) = TrustedProxies::parse(["127.0.0.1"]);
        let client = |list| {
            resolve_client(
                Some(ip("::ffff:127.0.0.1")),
                Some(list),
                None,
                &proxies,
                false,
            )
        };
        assert_eq!(client("10.0.0.1, 203.0.113.60"), Some(ip("203.0.113.60")));
        assert_eq!(client("::1, 127.0.0.9"), None);
    }

    proptest! {
        #[test]
        fn every_address_reads_back_as_itself(ip: IpAddr) {
            let canonical = ip.to_canonical();
            for text in [ip.to_string(), canonical.to_string(), format!(" [{ip}] ")] {
                prop_assert_eq!(parse_literal(&text), Some(canonical));
            }
            prop_assert_eq!(Address::new(ip), Address::new(canonical));
        }

        #[test]
        fn a_client_behind_a_proxy_is_neither_proxy_nor_loopback(
            peer: IpAddr,
            hops in prop::collection::vec("[0-9a-f:.%\\[\\], ]{0,24}", 0..6),
            trusted in prop::collection::vec(any::<IpAddr>(), 0..3),
        ) {
            let entries = trusted.iter().chain([&peer]).map(IpAddr::to_string);
            let (proxies, bad) = TrustedProxies::parse(entries);
            prop_assert!(bad.is_empty());
            let list: Vec<String> =
                hops.into_iter().chain(trusted.iter().map(IpAddr::to_string)).collect();
            let client = resolve_client(Some(peer), Some(&list.join(",")), Some("::1"), &proxies, false);
            prop_assert!(client.is_none_or(|ip| !ip.is_loopback() && !trusted.contains(&ip)));
        }
    }
}
