//! The Origin header: what page, if any, a browser says it speaks for.

use std::fmt;

use serde::{Serialize, Serializer};

use super::host::{Host, HostClass};
use super::word::words;

words! {
    /// What kind of page the Origin header names.
    OriginClass {
        Absent "absent" "no Origin header: not a browser",
        Empty "empty" "a blank Origin header",
        Opaque "opaque" "`null`: a sandboxed frame, a file, a redirect",
        Invalid "invalid" "not an origin, or sent more than once",
        Loopback "loopback" "a page from `localhost` or a loopback address",
        Private "private" "a page from a private, link-local or CGNAT address",
        Mdns "mdns" "a page from a `.local` name",
        Tailnet "tailnet" "a page from a `.ts.net` name",
        Public "public" "a page from any other address",
        Name "name" "a page from any other name, or a browser extension",
    }
}

/// An Origin header, normalised to `scheme://host[:port]` in lower case, and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    class: OriginClass,
    text: Box<str>,
    authority: Box<str>,
}

impl Origin {
    /// No Origin header.
    #[must_use]
    pub fn absent() -> Self {
        Origin { class: OriginClass::Absent, text: "".into(), authority: "".into() }
    }

    /// Reads one header value.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let text = value.trim().to_ascii_lowercase();
        let class = match text.as_str() {
            "" => OriginClass::Empty,
            "null" => OriginClass::Opaque,
            _ => return Self::parse_url(&text),
        };
        Origin { class, text: text.into(), authority: "".into() }
    }

    fn parse_url(text: &str) -> Self {
        let invalid = Origin { class: OriginClass::Invalid, text: text.into(), authority: "".into() };
        let Some((_scheme, authority)) = text.split_once("://") else { return invalid };
        let host = Host::from_header(authority);
        let class = match host.class() {
            HostClass::Absent => return invalid,
            HostClass::Loopback => OriginClass::Loopback,
            HostClass::Private => OriginClass::Private,
            HostClass::Public => OriginClass::Public,
            HostClass::Mdns => OriginClass::Mdns,
            HostClass::Tailnet => OriginClass::Tailnet,
            HostClass::Name => OriginClass::Name,
        };
        Origin { class, text: text.into(), authority: authority.into() }
    }

    /// The address of the page's host, when it is one.
    #[must_use]
    pub fn ip(&self) -> Option<std::net::IpAddr> {
        Host::from_header(&self.authority).ip()
    }

    /// What kind of page it is.
    #[must_use]
    pub fn class(&self) -> OriginClass {
        self.class
    }

    /// The normalised origin; empty when absent or blank, the raw text when invalid.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            OriginClass::Absent | OriginClass::Empty => f.pad(self.class.name()),
            _ => f.pad(&self.text),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
