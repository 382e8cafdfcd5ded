//! The Host header: read as a name, sorted into classes, never resolved.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::address::{Address, AddressClass, parse_literal};
use super::text::{Text, lower};
use super::word::words;

words! {
    /// What kind of host the Host header names.
    HostClass {
        Absent "absent" "no Host header, or one without a name",
        Loopback "loopback" "`localhost` or a loopback address",
        Private "private" "a private, link-local or CGNAT address",
        Public "public" "any other address",
        Mdns "mdns" "a name that ends in `.local`",
        Tailnet "tailnet" "a name that ends in `.ts.net`",
        Name "name" "any other name",
    }
}

/// A Host header: its name without the port, lower case, and the class of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    class: HostClass,
    name: Text,
    ip: Option<IpAddr>,
}

impl Host {
    /// No Host header.
    #[must_use]
    pub fn absent() -> Self {
        Host {
            class: HostClass::Absent,
            name: Text::EMPTY,
            ip: None,
        }
    }

    /// The host that a `test` in a policy assumes.
    pub(super) fn example() -> Self {
        Host {
            class: HostClass::Name,
            name: Text::word("gateway.example"),
            ip: None,
        }
    }

    /// Reads a header value (RFC 9110, 7.2): a name or an address, and perhaps a port, whose
    /// text is not looked at. IPv6 may stand without brackets when no port follows.
    #[must_use]
    pub fn from_header(value: &str) -> Self {
        let value = value.trim();
        let name = match value
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((inside, port)) if port.is_empty() || port.starts_with(':') => inside,
            // What follows the bracket is no port: then this is no address either.
            Some(_) => value,
            None if parse_literal(value).is_some() => value,
            None => value.split(':').next().unwrap_or(value),
        };
        Host::parse(name)
    }

    /// A host by name or address (brackets allowed), without a port.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        let name = name.trim();
        let ip = parse_literal(name);
        let bare = match ip {
            Some(_) => name.trim_start_matches('[').trim_end_matches(']'),
            None => name,
        };
        let name = Text::from(lower(bare));
        Host {
            class: classify(&name, ip),
            name,
            ip,
        }
    }

    /// The host that was read before, by its class and name: reading the name again could sort
    /// it otherwise where it was cut.
    #[must_use]
    pub fn restored(class: HostClass, name: &str) -> Self {
        Host {
            class,
            name: name.into(),
            ip: parse_literal(name),
        }
    }

    /// What kind of host it is.
    #[must_use]
    pub fn class(&self) -> HostClass {
        self.class
    }

    /// The name as compared: lower case, otherwise as it was written; empty when absent.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address, when the name is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.ip
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.class == HostClass::Absent {
            self.class.name()
        } else {
            &self.name
        })
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A Host header as it is compared with an origin: trimmed, lower case, port and all.
#[must_use]
pub fn normalize_header(value: &str) -> String {
    value.trim().to_ascii_lowercase()
}

fn classify(name: &str, ip: Option<IpAddr>) -> HostClass {
    if name.is_empty() {
        return HostClass::Absent;
    }
    if let Some(ip) = ip {
        return match Address::new(ip).class() {
            AddressClass::Loopback => HostClass::Loopback,
            AddressClass::Private | AddressClass::LinkLocal | AddressClass::Cgnat => {
                HostClass::Private
            }
            AddressClass::Public | AddressClass::Special | AddressClass::None => HostClass::Public,
        };
    }
    // A trailing dot only says that the name is complete.
    let name = name.trim_end_matches('.');
    if name == "localhost" {
        HostClass::Loopback
    } else if name.ends_with(".local") {
        HostClass::Mdns
    } else if name.ends_with(".ts.net") {
        HostClass::Tailnet
    } else {
        HostClass::Name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_addresses_in_every_spelling() {
        for text in [
            "[::ffff:127.0.0.1]:80",
            "::FFFF:7f00:1",
            "[0:0:0:0:0:0:0:1]",
            "127.9.9.9:1",
        ] {
            let host = Host::from_header(text);
            assert_eq!(host.class(), HostClass::Loopback, "{text}");
            assert!(host.ip().is_some_and(|ip| ip.is_loopback()), "{text}");
            assert!(!host.name().contains(['[', ']']), "{text}");
        }
        assert_eq!(Host::parse("fd00::5").class(), HostClass::Private);
        assert_eq!(Host::parse("0.0.0.0").class(), HostClass::Public);
    }

    #[test]
    fn what_follows_an_address_makes_it_a_name() {
        for text in [
            "[::1]evil.example",
            "[::1]]",
            "127.0.0.1.evil.example",
            "user@127.0.0.1",
        ] {
            assert_eq!(Host::from_header(text).class(), HostClass::Name, "{text}");
        }
        for text in ["", " ", ":80", "[]:80"] {
            assert_eq!(Host::from_header(text).class(), HostClass::Absent, "{text}");
        }
    }

    #[test]
    fn names_are_sorted_by_their_last_labels() {
        for (text, class) in [
            ("LocalHost.", HostClass::Loopback),
            ("a.localhost", HostClass::Name),
            ("box.local.", HostClass::Mdns),
            ("local", HostClass::Name),
            ("a.b.ts.net:443", HostClass::Tailnet),
            ("ts.net", HostClass::Name),
        ] {
            assert_eq!(Host::from_header(text).class(), class, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_port_changes_nothing(name in "[ -9;-~]{0,12}", port: u16) {
            prop_assume!(!name.contains(['[', ']']));
            prop_assert_eq!(Host::from_header(&format!("{name}:{port}")), Host::parse(&name));
        }

        #[test]
        fn every_address_has_the_class_of_its_address(ip: std::net::Ipv6Addr, header: String) {
            let bracketed = Host::from_header(&format!("[{ip}]:443"));
            prop_assert_eq!(bracketed.ip(), Some(IpAddr::V6(ip).to_canonical()));
            prop_assert_eq!(bracketed, Host::parse(&ip.to_string()));
            let host = Host::from_header(&header);
            prop_assert_eq!(Host::parse(host.name()), host);
        }
    }
}
