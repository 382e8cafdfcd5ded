//! The Host header: read as a name, sorted into classes, never resolved.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::address::{Address, AddressClass};
use super::word::words;

words! {
    /// What kind of host the Host header names.
    HostClass {
        Absent "absent" "no Host header, or a blank one",
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
    name: Box<str>,
    ip: Option<IpAddr>,
}

impl Host {
    /// No Host header.
    #[must_use]
    pub fn absent() -> Self {
        Host { class: HostClass::Absent, name: "".into(), ip: None }
    }

    /// Reads a header value: a name or an address, and perhaps a port.
    #[must_use]
    pub fn from_header(value: &str) -> Self {
        let value = value.trim();
        let name = match value.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((inside, _port)) => inside,
            None if super::address::parse_literal(value).is_some() => value,
            None => value.split(':').next().unwrap_or(value),
        };
        Host::parse(name)
    }

    /// A host by name or address, without a port.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        let name = name.trim().to_ascii_lowercase();
        let ip = super::address::parse_literal(&name);
        Host { class: classify(&name, ip), name: name.into(), ip }
    }

    /// What kind of host it is.
    #[must_use]
    pub fn class(&self) -> HostClass {
        self.class
    }

    /// The name as compared, empty when absent.
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
        match self.class {
            HostClass::Absent => f.pad(self.class.name()),
            _ => f.pad(&self.name),
        }
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
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
