//! Where each fact was found. What is kept is small, so that finding facts stays cheap; how
//! an operator is told is in `phrase`, and is made up when it is asked for.

use std::sync::LazyLock;

use super::Http;
use crate::facts::forwarding::Forwarding;
use crate::facts::{ATTRIBUTES, AttributeId};

/// Where a fact was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// On the socket.
    Socket,
    /// In the request line.
    RequestLine,
    /// In the header at this place in the list; the first one, where several count.
    Header(u16),
    /// In no header, because none of the kind was sent.
    NoHeader,
    /// In the connect frame.
    Frame,
    /// In the credentials of the connect frame, compared with the settings.
    Credentials,
    /// In the device proof of the connect frame.
    Proof,
    /// In the pairing record or the waiting request, compared with the connect frame.
    Store,
    /// In the settings.
    Settings,
    /// In other facts.
    Derived,
}

/// Where each fact was found, by attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidences([Evidence; MOST]);

/// More attributes than this cannot be named (see [`crate::facts::assumptions::Named`]).
const MOST: usize = 64;

/// What is the same for every handshake, found out once: attributes are looked up by name.
static KINDS: LazyLock<[Evidence; MOST]> = LazyLock::new(|| {
    let mut kinds = [Evidence::Derived; MOST];
    for (kind, row) in kinds.iter_mut().zip(ATTRIBUTES) {
        *kind = kind_of(row.name);
    }
    kinds
});

/// The attributes that a header of this name is evidence for.
static HEADERS: LazyLock<[(&str, usize); 6]> = LazyLock::new(|| {
    [
        ("host", place("host")),
        ("origin", place("origin")),
        ("forwarded", place("forwarded-rfc")),
        ("x-forwarded-for", place("forwarded-for")),
        ("x-forwarded-host", place("forwarded-host")),
        ("x-forwarded-proto", place("forwarded-proto")),
    ]
});

/// The attributes for headers that are told otherwise: `X-Real-IP`, what else begins with
/// `X-Forwarded-`, what Tailscale adds, what proxies leave besides, and any of the forwarding
/// headers. Last, the one that names a client by a header that is found above.
static OTHERS: LazyLock<[usize; 6]> = LazyLock::new(|| {
    [
        "forwarded-real-ip",
        "forwarded-other",
        "forwarded-tailscale",
        "proxy-trace",
        "forwarded",
        "forwarded-for",
    ]
    .map(place)
});

fn place(attribute: &str) -> usize {
    AttributeId::named(attribute).map_or(MOST, |id| usize::from(id.0))
}

fn kind_of(attribute: &str) -> Evidence {
    match attribute {
        "transport" | "tls" | "peer" | "peer-uid" | "same-host" | "peer-is-own" => Evidence::Socket,
        "path" => Evidence::RequestLine,
        "host" | "origin" => Evidence::NoHeader,
        "client" | "mode" | "role" | "scopes" | "unknown-scope" | "outside-role" | "platform"
        | "device-family" => Evidence::Frame,
        "secret-sent" | "auth" | "auth-failure" => Evidence::Credentials,
        "device" => Evidence::Proof,
        "pairing" | "role-upgrade" | "scope-upgrade" | "metadata-upgrade" | "pending" => {
            Evidence::Store
        }
        "peer-is-proxy" | "node-network" => Evidence::Settings,
        name if name.starts_with("forwarded") || name == "proxy-trace" => Evidence::NoHeader,
        name if name.starts_with("setting.") => Evidence::Settings,
        _ => Evidence::Derived,
    }
}

impl Evidences {
    /// Where a fact was found.
    #[must_use]
    pub fn get(&self, id: AttributeId) -> Evidence {
        self.0
            .get(usize::from(id.0))
            .copied()
            .unwrap_or(Evidence::Derived)
    }

    pub(super) fn of(http: &Http) -> Self {
        let mut kinds = *KINDS;
        let [real_ip, other, tailscale, trace, any, forwarded_for] = *OTHERS;
        for (at, (name, value)) in (0..=u16::MAX).zip(&http.headers) {
            let mut found = |place: usize| {
                if let Some(kind @ Evidence::NoHeader) = kinds.get_mut(place) {
                    *kind = Evidence::Header(at);
                }
            };
            let starts = |start: &str| {
                name.get(..start.len())
                    .is_some_and(|name| name.eq_ignore_ascii_case(start))
            };
            let known = HEADERS
                .iter()
                .find(|(known, _)| name.eq_ignore_ascii_case(known));
            let place = match known {
                Some((_, place)) => *place,
                None if name.eq_ignore_ascii_case("x-real-ip") => real_ip,
                None if starts("x-forwarded-") => other,
                None => {
                    let alone = Forwarding::of(std::iter::once((&**name, &**value)));
                    match (alone.tailscale, alone.trace) {
                        (true, _) => tailscale,
                        (_, true) => trace,
                        (false, false) => continue,
                    }
                }
            };
            found(place);
            if place != trace && !matches!(known, Some(("host" | "origin", _))) {
                found(any);
            }
        }
        // The client is named by these two; any other header only shows that there is a proxy.
        let of_client = [forwarded_for, real_ip].into_iter().find_map(|place| {
            let kind = kinds.get(place).copied();
            kind.filter(|kind| matches!(kind, Evidence::Header(_)))
        });
        if let (Some(kind), Some(place)) = (of_client, kinds.get_mut(any)) {
            *place = kind;
        }
        Evidences(kinds)
    }
}
