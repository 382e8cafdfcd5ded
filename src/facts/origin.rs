//! The Origin header: what page, if any, a browser says it speaks for.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Serialize, Serializer};

use super::host::{Host, HostClass};
use super::text::Text;
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

words! {
    /// How much of a URL is taken for an origin.
    OriginSyntax {
        Strict "strict" "only `scheme://host[:port]`, as browsers write it (RFC 6454, 6.1)",
        Lenient "lenient" "path, query, fragment and user-info are dropped, as OpenClaw did before 2026.9.6",
    }
}

/// An Origin header, normalised to `scheme://host[:port]` in lower case without a port that
/// the scheme implies, and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    class: OriginClass,
    text: Text,
    authority: Text,
}

impl Origin {
    /// No Origin header.
    #[must_use]
    pub fn absent() -> Self {
        Origin {
            class: OriginClass::Absent,
            text: Text::EMPTY,
            authority: Text::EMPTY,
        }
    }

    /// Reads one header value strictly.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        Origin::parse_with(value, OriginSyntax::Strict)
    }

    /// Reads one header value.
    #[must_use]
    pub fn parse_with(value: &str, syntax: OriginSyntax) -> Self {
        let text = value.trim().to_ascii_lowercase();
        let class = match text.as_str() {
            "" => OriginClass::Empty,
            "null" => OriginClass::Opaque,
            url => match Url::parse(url, syntax) {
                Some(url) => return Origin::from_url(&url),
                None => OriginClass::Invalid,
            },
        };
        Origin {
            class,
            text: text.into(),
            authority: Text::EMPTY,
        }
    }

    /// Reads every Origin header of a request: none is absent, several are invalid.
    #[must_use]
    pub fn from_headers<'a>(
        mut values: impl Iterator<Item = &'a str>,
        syntax: OriginSyntax,
    ) -> Self {
        let Some(first) = values.next() else {
            return Origin::absent();
        };
        let Some(second) = values.next() else {
            return Origin::parse_with(first, syntax);
        };
        let text = values.fold(format!("{first}, {second}"), |text, value| {
            text + ", " + value
        });
        Origin {
            class: OriginClass::Invalid,
            text: text.to_ascii_lowercase().into(),
            authority: Text::EMPTY,
        }
    }

    fn from_url(url: &Url<'_>) -> Self {
        let authority = match url.port {
            Some(port) => format!("{}:{port}", url.host),
            None => url.host.to_owned(),
        };
        let class = match Host::parse(url.host).class() {
            HostClass::Loopback => OriginClass::Loopback,
            HostClass::Private => OriginClass::Private,
            HostClass::Public => OriginClass::Public,
            HostClass::Mdns => OriginClass::Mdns,
            HostClass::Tailnet => OriginClass::Tailnet,
            // Only `file://` and its like have no host, and only when read leniently.
            HostClass::Name | HostClass::Absent => OriginClass::Name,
        };
        let text = format!("{}://{authority}", url.scheme);
        Origin {
            class,
            text: text.into(),
            authority: authority.into(),
        }
    }

    /// The origin that was read before, by its class and text. How it was spelled, and by which
    /// syntax it was read, is not asked again.
    #[must_use]
    pub fn restored(class: OriginClass, text: &str) -> Self {
        let mut origin = Origin {
            class,
            text: text.into(),
            authority: Text::EMPTY,
        };
        if origin.is_page() {
            let authority = text
                .split_once("://")
                .map_or("", |(_, authority)| authority);
            origin.authority = authority.into();
        }
        origin
    }

    /// Whether the page's host and port equal the Host header, as they are written: the port
    /// that a scheme implies is in neither.
    #[must_use]
    pub fn matches_host(&self, host_header: &str) -> bool {
        !self.authority.is_empty() && self.authority.eq_ignore_ascii_case(host_header.trim())
    }

    /// Whether a page is named: not absent, blank, opaque or invalid.
    #[must_use]
    pub fn is_page(&self) -> bool {
        match self.class {
            OriginClass::Absent
            | OriginClass::Empty
            | OriginClass::Opaque
            | OriginClass::Invalid => false,
            OriginClass::Loopback
            | OriginClass::Private
            | OriginClass::Mdns
            | OriginClass::Tailnet
            | OriginClass::Public
            | OriginClass::Name => true,
        }
    }

    /// Whether the page came over HTTP: an extension or an app can name itself after any host.
    #[must_use]
    pub fn is_web(&self) -> bool {
        self.is_page() && (self.text.starts_with("http://") || self.text.starts_with("https://"))
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
        // Absent and blank ones have no text.
        f.pad(if self.text.is_empty() {
            self.class.name()
        } else {
            &self.text
        })
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The parts of an origin: `host` keeps its brackets, `port` is not the scheme's own.
struct Url<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Url<'a> {
    /// Reads lower-case text.
    fn parse(text: &'a str, syntax: OriginSyntax) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        if !is_scheme(scheme) {
            return None;
        }
        let authority = match syntax {
            OriginSyntax::Strict => rest,
            OriginSyntax::Lenient => {
                let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
                let authority = rest.get(..end)?;
                authority
                    .rsplit_once('@')
                    .map_or(authority, |(_user, after)| after)
            }
        };
        let end = match authority.strip_prefix('[') {
            Some(inside) => inside.find(']')?.saturating_add(2),
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, port) = authority.split_at_checked(end)?;
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some("") if syntax == OriginSyntax::Lenient => None,
            Some(digits) => Some(parse_port(digits)?),
        };
        let port = port.filter(|port| default_port(scheme) != Some(*port));
        // `file://` is a URL without a host, and no origin.
        let bare = host.is_empty() && port.is_none() && default_port(scheme).is_none();
        let whole = is_host(host) || (bare && syntax == OriginSyntax::Lenient);
        whole.then_some(Url { scheme, host, port })
    }
}

/// RFC 3986, 3.1, in lower case.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn parse_port(digits: &str) -> Option<u16> {
    // The type alone would let `+80` pass.
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

/// The port that the scheme implies (URL Standard, "special scheme").
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// Whether a browser would write the host like this: a name in ASCII, IPv6 in brackets, or
/// IPv4 in four decimal parts. Names are in Punycode, so other letters do not occur.
fn is_host(text: &str) -> bool {
    if let Some(inside) = text.strip_prefix('[') {
        return inside
            .strip_suffix(']')
            .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    if is_number(name.rsplit('.').next().unwrap_or(name)) {
        return text.parse::<Ipv4Addr>().is_ok();
    }
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// Whether the last label makes a host an IPv4 address in some spelling (URL Standard,
/// "ends in a number checker").
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// The pages that the operator lets in (`gateway.controlUi.allowedOrigins`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    any: bool,
    origins: Vec<Text>,
}

impl AllowedOrigins {
    /// Reads origins, and `*` for every page. What is neither allows nothing, and comes back
    /// as the second value, as it was written.
    #[must_use]
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> (Self, Vec<String>) {
        let mut allowed = AllowedOrigins::default();
        let mut bad = Vec::new();
        for entry in entries {
            let entry = entry.as_ref();
            let origin = Origin::parse(entry);
            if entry.trim() == "*" {
                allowed.any = true;
            } else if origin.is_page() {
                allowed.origins.push(origin.text);
            } else {
                bad.push(entry.to_owned());
            }
        }
        (allowed, bad)
    }

    /// What is on the list, as it is written.
    pub fn entries(&self) -> impl Iterator<Item = &str> {
        let any = self.any.then_some("*");
        any.into_iter().chain(self.origins.iter().map(|it| &**it))
    }

    /// Whether the page is on the list. What is not a page never is, not even by `*`.
    #[must_use]
    pub fn allows(&self, origin: &Origin) -> bool {
        origin.is_page() && (self.any || self.origins.contains(&origin.text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn class(text: &str) -> OriginClass {
        Origin::parse(text).class()
    }

    #[test]
    fn the_normal_form_is_stable() {
        for (written, normal) in [
            ("HTTPS://GW.Example.com:443", "https://gw.example.com"),
            ("http://gw.example.com:443", "http://gw.example.com:443"),
            ("ws://[::1]:80", "ws://[::1]"),
            (" chrome-extension://abc ", "chrome-extension://abc"),
            ("tauri://localhost:080", "tauri://localhost:80"),
        ] {
            let origin = Origin::parse(written);
            assert_eq!(origin.text(), normal);
            assert_eq!(Origin::parse(normal), origin);
            assert!(origin.is_page());
        }
    }

    #[test]
    fn more_than_an_origin_is_invalid_when_strict() {
        for (text, lenient) in [
            ("http://localhost/", "http://localhost"),
            ("http://localhost?q", "http://localhost"),
            ("http://localhost#f", "http://localhost"),
            ("http://localhost\\@evil.example", "http://localhost"),
            ("http://localhost@evil.example", "http://evil.example"),
            ("http://localhost:", "http://localhost"),
            ("file://", "file://"),
        ] {
            assert_eq!(class(text), OriginClass::Invalid, "{text}");
            let origin = Origin::parse_with(text, OriginSyntax::Lenient);
            assert_eq!(origin.text(), lenient);
            assert!(origin.is_page(), "{text}");
        }
    }

    #[test]
    fn what_no_browser_writes_is_invalid() {
        for text in [
            "localhost",
            "://localhost",
            "1http://localhost",
            "http://",
            "http://:80",
            "http://a b",
            "http://a:b",
            "http://a:65536",
            "http://a:+1",
            "http://::1",
            "http://[::1",
            "http://[::1]x",
            "http://[::1%25lo]",
            "http://[127.0.0.1]",
            "http://127.1",
            "http://0x7f.1",
            "http://1.2.3.4.5",
            "http://127.0.0.1.",
            "http://%6cocalhost",
            "http://\u{ff4c}ocalhost",
            "http://a,http://b",
            "http://a, http://b",
        ] {
            for syntax in OriginSyntax::ALL {
                assert_eq!(
                    Origin::parse_with(text, *syntax).class(),
                    OriginClass::Invalid,
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn mapped_addresses_are_what_they_map() {
        assert_eq!(class("http://[::ffff:7f00:1]:1"), OriginClass::Loopback);
        assert_eq!(class("http://[::ffff:a00:1]"), OriginClass::Private);
        let ip = Origin::parse("http://[::ffff:a00:1]:80").ip();
        assert_eq!(ip, Some(Ipv4Addr::new(10, 0, 0, 1).into()));
    }

    #[test]
    fn several_headers_are_invalid_even_when_equal() {
        let read = |values: &[&str]| {
            Origin::from_headers(values.iter().copied(), OriginSyntax::Strict).class()
        };
        assert_eq!(read(&[]), OriginClass::Absent);
        assert_eq!(read(&[""]), OriginClass::Empty);
        assert_eq!(read(&["http://localhost"]), OriginClass::Loopback);
        assert_eq!(
            read(&["http://localhost", "http://localhost"]),
            OriginClass::Invalid
        );
        assert_eq!(read(&["", ""]), OriginClass::Invalid);
    }

    #[test]
    fn only_pages_are_allowed() {
        let (any, bad) = AllowedOrigins::parse([" * "]);
        assert!(bad.is_empty());
        for text in ["", "null", "x", "http://a/b"] {
            assert!(!any.allows(&Origin::parse(text)), "{text}");
        }
        assert!(!any.allows(&Origin::absent()));
        assert!(any.allows(&Origin::parse("https://a")));
        let (listed, bad) = AllowedOrigins::parse(["https://A:443 ", "null", "https://b/"]);
        assert_eq!(bad, ["null", "https://b/"]);
        assert!(listed.allows(&Origin::parse("https://a")));
        assert!(!listed.allows(&Origin::parse("http://a")));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(
            header in "\\PC*|(https?|file|x)://[a-z0-9@:/?#.\\[\\]]{0,16}",
        ) {
            for syntax in OriginSyntax::ALL {
                let origin = Origin::parse_with(&header, *syntax);
                prop_assert_eq!(&Origin::parse_with(origin.text(), *syntax), &origin);
            }
            let strict = Origin::parse(&header);
            if strict.is_page() {
                prop_assert_eq!(strict, Origin::parse_with(&header, OriginSyntax::Lenient));
            }
        }
    }
}
