//! IP addresses: read leniently, kept canonically, sorted into classes; who the client is
//! behind a chain of trusted proxies.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

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
    pub const NONE: Address = Address { ip: None, class: AddressClass::None };

    /// Makes the address canonical and finds its class.
    #[must_use]
    pub fn new(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        Address { ip: Some(ip), class: classify(ip) }
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

/// An address as a header or a setting spells it: white space, brackets and a zone are
/// allowed, a port is not.
#[must_use]
pub fn parse_literal(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let (text, zoned) = match text.split_once('%') {
        Some((before, _)) => (before, true),
        None => (text, false),
    };
    let ip: IpAddr = text.parse().ok()?;
    (!zoned || ip.is_ipv6()).then(|| ip.to_canonical())
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
