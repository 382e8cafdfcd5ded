//! Forwarding headers: which families a request carries, and what they say of the client.
//!
//! Whether they are believed is not decided here: see [`super::address::resolve_client`].

use std::borrow::Cow;

use super::word::words;

words! {
    /// Which headers show that a request was forwarded.
    ForwardingRule {
        Client "client" "`X-Forwarded-For` and `X-Real-IP`, with a value (before 2026.4.20)",
        Listed "listed" "also `Forwarded`, `X-Forwarded-Host` and `X-Forwarded-Proto`, with a value (from 2026.4.20)",
        Any "any" "also any other `X-Forwarded-…` and what Tailscale adds, each blank or not (2026.9)",
    }
}

/// The prefix of every header of the `X-Forwarded-…` families.
const PREFIX: &str = "x-forwarded-";

/// The headers that a Tailscale proxy adds.
const TAILSCALE: &[&str] = &[
    "tailscale-funnel-request",
    "tailscale-headers-info",
    "tailscale-user-login",
    "tailscale-user-name",
    "tailscale-user-profile-pic",
];

/// Headers that proxies leave and that no release of OpenClaw counts as forwarding.
const TRACES: &[&str] = &[
    "via",
    "x-client-ip",
    "cf-connecting-ip",
    "true-client-ip",
    "x-original-forwarded-for",
];

/// Whether a header says, or may say, for whom a request was sent on. In any case.
#[must_use]
pub fn is_forwarding(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "forwarded"
        || name == "x-real-ip"
        || name.starts_with(PREFIX)
        || TAILSCALE.contains(&&*name)
        || TRACES.contains(&&*name)
}

/// What the forwarding headers of a request show. A family counts only with a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarding<'a> {
    /// Any of the headers below is present, blank or not.
    pub any: bool,
    /// `Forwarded` (RFC 7239) has a value.
    pub rfc: bool,
    /// `X-Forwarded-For` has a value.
    pub for_client: bool,
    /// `X-Forwarded-Host` has a value.
    pub host: bool,
    /// `X-Forwarded-Proto` has a value.
    pub proto: bool,
    /// `X-Real-IP` has a value.
    pub real_ip: bool,
    /// Any other `X-Forwarded-…` header has a value.
    pub other: bool,
    /// A header that a Tailscale proxy adds is present, blank or not.
    pub tailscale: bool,
    /// A header that proxies leave besides has a value: `Via`, `CF-Connecting-IP` and the like.
    /// It is no part of `any`.
    pub trace: bool,
    /// The value of `X-Forwarded-For`; repeated headers are one list (RFC 9110, 5.3).
    pub forwarded_for: Option<Cow<'a, str>>,
    /// The value of `X-Real-IP`; a repeated header is a list, which is no address.
    pub forwarded_real_ip: Option<Cow<'a, str>>,
}

impl<'a> Forwarding<'a> {
    /// Reads the headers of a request, in the order of arrival; names in any case.
    #[must_use]
    pub fn of(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut found = Forwarding::default();
        for (name, value) in headers {
            found.add(name, value);
        }
        found
    }

    /// Whether the request counts as forwarded.
    #[must_use]
    pub fn counts(&self, rule: ForwardingRule) -> bool {
        let client = self.for_client || self.real_ip;
        match rule {
            ForwardingRule::Client => client,
            ForwardingRule::Listed => client || self.rfc || self.host || self.proto,
            ForwardingRule::Any => self.any,
        }
    }

    fn add(&mut self, name: &str, value: &'a str) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        let has_value = !value.trim().is_empty();
        if is("forwarded") {
            self.rfc |= has_value;
        } else if is("x-real-ip") {
            self.real_ip |= has_value;
            append(&mut self.forwarded_real_ip, value);
        } else if is("x-forwarded-for") {
            self.for_client |= has_value;
            append(&mut self.forwarded_for, value);
        } else if is("x-forwarded-host") {
            self.host |= has_value;
        } else if is("x-forwarded-proto") {
            self.proto |= has_value;
        } else if name
            .get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
        {
            self.other |= has_value;
        } else if TAILSCALE.iter().any(|known| is(known)) {
            self.tailscale = true;
        } else {
            self.trace |= has_value && TRACES.iter().any(|known| is(known));
            return;
        }
        self.any = true;
    }
}

/// Adds a further value of a repeated header. The first one alone would be the client's word
/// where a proxy appends a header of its own instead of extending the list.
fn append<'a>(list: &mut Option<Cow<'a, str>>, value: &'a str) {
    *list = Some(match list.take() {
        None => Cow::Borrowed(value),
        Some(before) => Cow::Owned(format!("{before}, {value}")),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_headers_are_present_without_a_value() {
        let found = Forwarding::of([("X-Forwarded-For", " "), ("Forwarded", "")].into_iter());
        let expected = Forwarding {
            any: true,
            forwarded_for: Some(" ".into()),
            ..Forwarding::default()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn traces_of_proxies_are_no_forwarding_headers() {
        let found = Forwarding::of([("Via", "1.1 proxy"), ("Host", "x")].into_iter());
        assert_eq!(
            found,
            Forwarding {
                trace: true,
                ..Forwarding::default()
            }
        );
        assert_eq!(
            Forwarding::of([("CF-Connecting-IP", " ")].into_iter()),
            Forwarding::default()
        );
    }

    #[test]
    fn every_family_is_told_apart() {
        let none = Forwarding {
            any: true,
            ..Forwarding::default()
        };
        let value = Some(Cow::Borrowed("x"));
        for (name, expected) in [
            (
                "FORWARDED",
                Forwarding {
                    rfc: true,
                    ..none.clone()
                },
            ),
            (
                "x-forwarded-for",
                Forwarding {
                    for_client: true,
                    forwarded_for: value.clone(),
                    ..none.clone()
                },
            ),
            (
                "x-forwarded-host",
                Forwarding {
                    host: true,
                    ..none.clone()
                },
            ),
            (
                "x-forwarded-proto",
                Forwarding {
                    proto: true,
                    ..none.clone()
                },
            ),
            (
                "X-Real-Ip",
                Forwarding {
                    real_ip: true,
                    forwarded_real_ip: value.clone(),
                    ..none.clone()
                },
            ),
            (
                "x-forwarded-Port",
                Forwarding {
                    other: true,
                    ..none.clone()
                },
            ),
            (
                "Tailscale-User-Login",
                Forwarding {
                    tailscale: true,
                    ..none.clone()
                },
            ),
        ] {
            assert_eq!(
                Forwarding::of([(name, "x")].into_iter()),
                expected,
                "{name}"
            );
        }
        for name in ["x-forwarded", "tailscale", "", "x-forwardedé"] {
            assert_eq!(
                Forwarding::of([(name, "x")].into_iter()),
                Forwarding::default(),
                "{name}"
            );
        }
    }

    #[test]
    fn repeated_headers_are_one_list() {
        let headers = [
            ("X-Forwarded-For", "127.0.0.1"),
            ("x-forwarded-for", "203.0.113.60"),
        ];
        let found = Forwarding::of(headers.into_iter());
        assert_eq!(
            found.forwarded_for.as_deref(),
            Some("127.0.0.1, 203.0.113.60")
        );
    }
}
