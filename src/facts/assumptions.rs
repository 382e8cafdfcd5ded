//! Which facts go together: what no connection can be at once.
//!
//! Each assumption says a sentence, tests it, and can mend facts that were given by hand:
//! what was named stays, what was not named follows. Analysis is relative to them,
//! `gw explain` refuses facts that break them.

use super::attributes::AttributeId;
use super::{
    Address, Auth, AuthFailure, AuthMode, DeviceProof, Facts, HostClass, Ingress, OriginClass,
    Pairing, PendingRequest, ScopeSet, Transport,
};

/// A sentence that holds for every connection.
#[derive(Debug)]
pub struct Assumption {
    /// The sentence.
    pub says: &'static str,
    /// The attributes it ties together.
    pub about: &'static [&'static str],
    /// Whether the facts keep it.
    pub holds: fn(&Facts) -> bool,
    /// Makes facts that were not named follow from those that were.
    pub complete: fn(&mut Facts, &Named),
}

/// Which attributes were named by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Named(u64);

impl Named {
    /// Remembers an attribute.
    pub fn add(&mut self, id: AttributeId) {
        self.0 |= 1 << u64::from(id.0 & 63);
    }

    /// Whether the attribute with this name was named.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        AttributeId::named(name).is_some_and(|id| self.0 & (1 << u64::from(id.0 & 63)) != 0)
    }
}

/// Lets every fact that was not named follow from those that were. Where `kept` says no, facts
/// stay as they were found.
pub fn complete(facts: &mut Facts, named: &Named, kept: impl Fn(&Assumption) -> bool) {
    for assumption in ASSUMPTIONS {
        if kept(assumption) && !(assumption.holds)(facts) {
            (assumption.complete)(facts, named);
        }
    }
}

/// The assumptions that the facts break.
pub fn broken(facts: &Facts) -> impl Iterator<Item = &'static Assumption> {
    ASSUMPTIONS
        .iter()
        .filter(|assumption| !(assumption.holds)(facts))
}

/// Whether the other end is on this host by what the facts say of the socket, or `None`
/// when the local address (which is no fact) decides.
fn must_be_same_host(facts: &Facts) -> Option<bool> {
    match facts.transport {
        Transport::Unix | Transport::InProcess => Some(true),
        Transport::Tcp if facts.peer.is_loopback() => Some(true),
        Transport::Tcp => None,
    }
}

/// The assumptions, in an order in which completing one does not break an earlier one.
pub static ASSUMPTIONS: &[Assumption] = &[
    Assumption {
        says: "authentication `host` is the in-process lane, and the lane has no other",
        about: &["auth", "transport"],
        holds: |facts| (facts.auth == Auth::Host) == (facts.transport == Transport::InProcess),
        complete: |facts, named| {
            if facts.transport == Transport::InProcess && !named.has("auth") {
                facts.auth = Auth::Host;
            } else if facts.auth == Auth::Host && !named.has("transport") {
                facts.transport = Transport::InProcess;
            }
        },
    },
    Assumption {
        says: "only a TCP peer has an address",
        about: &["transport", "peer"],
        holds: |facts| (facts.transport == Transport::Tcp) == facts.peer.ip().is_some(),
        complete: |facts, named| {
            if facts.transport != Transport::Tcp && !named.has("peer") {
                facts.peer = Address::NONE;
            } else if facts.peer.ip().is_none() && !named.has("transport") {
                facts.transport = Transport::Unix;
            }
        },
    },
    Assumption {
        says: "TLS is for TCP",
        about: &["transport", "tls"],
        holds: |facts| !facts.tls || facts.transport == Transport::Tcp,
        complete: |facts, named| {
            if !named.has("tls") {
                facts.tls = false;
            }
        },
    },
    Assumption {
        says: "a loopback peer, a unix socket and the in-process lane are this host",
        about: &["same-host", "peer", "transport"],
        holds: |facts| must_be_same_host(facts).is_none_or(|same| same == facts.same_host),
        complete: |facts, named| {
            if !named.has("same-host") {
                facts.same_host = true;
            }
        },
    },
    Assumption {
        says: "an address of this very connection is an address of this host",
        about: &["transport", "same-host", "peer-is-own", "peer"],
        holds: |facts| {
            facts.transport != Transport::Tcp
                || !facts.same_host
                || facts.peer.is_loopback()
                || facts.peer_is_own
        },
        complete: |facts, named| {
            if !named.has("peer-is-own") {
                facts.peer_is_own = true;
            }
        },
    },
    Assumption {
        says: "a trusted proxy has an address",
        about: &["peer-is-proxy", "peer"],
        holds: |facts| !facts.peer_is_proxy || facts.peer.ip().is_some(),
        complete: |facts, named| {
            if !named.has("peer-is-proxy") {
                facts.peer_is_proxy = false;
            }
        },
    },
    Assumption {
        says: "a forwarding header with a value is a forwarding header",
        about: &[
            "forwarded",
            "forwarded-rfc",
            "forwarded-for",
            "forwarded-host",
            "forwarded-proto",
            "forwarded-real-ip",
            "forwarded-other",
            "forwarded-tailscale",
        ],
        holds: |facts| facts.forwarded || !any_family(facts),
        complete: |facts, named| {
            if !named.has("forwarded") {
                facts.forwarded = true;
                return;
            }
            facts.forwarded_rfc &= named.has("forwarded-rfc");
            facts.forwarded_for &= named.has("forwarded-for");
            facts.forwarded_host &= named.has("forwarded-host");
            facts.forwarded_proto &= named.has("forwarded-proto");
            facts.forwarded_real_ip &= named.has("forwarded-real-ip");
            facts.forwarded_other &= named.has("forwarded-other");
            facts.forwarded_tailscale &= named.has("forwarded-tailscale");
        },
    },
    Assumption {
        says: "what is forwarded comes from a trusted proxy, or cannot be attributed; so does what a trusted proxy on another host sends without saying for whom; all else is direct",
        about: &["forwarded", "ingress", "peer-is-proxy", "peer"],
        holds: |facts| match facts.ingress {
            Ingress::Direct => !facts.forwarded && !is_proxy_elsewhere(facts),
            Ingress::TrustedProxy => facts.forwarded && facts.peer_is_proxy,
            Ingress::Unattributable => facts.forwarded || is_proxy_elsewhere(facts),
        },
        complete: |facts, named| {
            if !named.has("ingress") {
                facts.ingress = match (facts.forwarded, facts.peer_is_proxy) {
                    (false, _) if is_proxy_elsewhere(facts) => Ingress::Unattributable,
                    (false, _) => Ingress::Direct,
                    (true, true) => Ingress::TrustedProxy,
                    (true, false) => Ingress::Unattributable,
                };
            } else if facts.ingress == Ingress::Direct {
                facts.forwarded &= named.has("forwarded");
                facts.peer_is_proxy &= named.has("peer-is-proxy");
            } else if facts.ingress == Ingress::Unattributable && is_proxy_elsewhere(facts) {
                // A proxy that names nobody, with a header or without.
            } else {
                facts.forwarded |= !named.has("forwarded");
                facts.peer_is_proxy |=
                    facts.ingress == Ingress::TrustedProxy && !named.has("peer-is-proxy");
            }
        },
    },
    Assumption {
        says: "the client of a direct connection is its peer",
        about: &["client-ip", "peer", "ingress"],
        holds: |facts| facts.ingress != Ingress::Direct || facts.client_ip == facts.peer,
        complete: |facts, named| {
            if !named.has("client-ip") {
                facts.client_ip = facts.peer;
            } else if facts.client_ip.ip().is_some() && !named.has("peer") {
                facts.peer = facts.client_ip;
                facts.same_host |= facts.peer.is_loopback() && !named.has("same-host");
            } else if !named.has("ingress") {
                let known = facts.client_ip.ip().is_some() && !named.has("peer-is-proxy");
                facts.forwarded |= !named.has("forwarded");
                facts.peer_is_proxy |= known;
                facts.ingress = if known {
                    Ingress::TrustedProxy
                } else {
                    Ingress::Unattributable
                };
            }
        },
    },
    Assumption {
        says: "the client behind a trusted proxy is known and not loopback; behind any other it is not known",
        about: &["client-ip", "ingress"],
        holds: |facts| match facts.ingress {
            Ingress::Direct => true,
            Ingress::TrustedProxy => {
                facts.client_ip.ip().is_some() && !facts.client_ip.is_loopback()
            }
            Ingress::Unattributable => facts.client_ip.ip().is_none(),
        },
        complete: |facts, named| {
            if !named.has("client-ip") {
                facts.client_ip = match facts.ingress {
                    Ingress::TrustedProxy => super::AddressClass::Public.example(),
                    Ingress::Direct | Ingress::Unattributable => Address::NONE,
                };
            }
        },
    },
    Assumption {
        says: "a client in a network of nodes has an address, and not a loopback one",
        about: &["node-network", "client-ip"],
        holds: |facts| {
            !facts.node_network
                || (facts.client_ip.ip().is_some() && !facts.client_ip.is_loopback())
        },
        complete: |facts, named| {
            facts.node_network &= named.has("node-network");
        },
    },
    Assumption {
        says: "only an Origin that names a page can be the same as the Host, or be allowed",
        about: &["origin", "host", "same-origin", "origin-allowed"],
        holds: |facts| {
            let page = !matches!(
                facts.origin.class(),
                OriginClass::Absent
                    | OriginClass::Empty
                    | OriginClass::Opaque
                    | OriginClass::Invalid
            );
            let named = facts.host.class() != HostClass::Absent;
            (!facts.same_origin || (page && named)) && (!facts.origin_allowed || page)
        },
        complete: |facts, named| {
            if !named.has("origin") {
                facts.origin = super::Origin::parse("https://page.example");
            } else {
                facts.same_origin &= named.has("same-origin");
                facts.origin_allowed &= named.has("origin-allowed");
            }
        },
    },
    Assumption {
        says: "a page of the gateway's own address has an Origin and a Host of one kind",
        about: &["origin", "host", "same-origin"],
        holds: |facts| !facts.same_origin || is_of(facts.origin.class(), facts.host.class()),
        complete: |facts, named| {
            if !named.has("host") {
                let page = facts.origin.text().split_once("://");
                facts.host = super::Host::from_header(page.map_or("", |(_, host)| host));
            } else if !named.has("origin") {
                facts.origin = super::Origin::parse(&match facts.host.ip() {
                    Some(std::net::IpAddr::V6(ip)) => format!("https://[{ip}]"),
                    _ => format!("https://{}", facts.host.name()),
                });
            }
        },
    },
    Assumption {
        says: "authentication `open` is auth mode none, a token needs its mode, and a password its mode or trusted-proxy",
        about: &["auth", "setting.auth-mode"],
        holds: |facts| match facts.auth {
            Auth::Open => facts.setting.auth_mode == AuthMode::None,
            Auth::None | Auth::Failed => facts.setting.auth_mode != AuthMode::None,
            Auth::TrustedProxy => facts.setting.auth_mode == AuthMode::TrustedProxy,
            Auth::Token => facts.setting.auth_mode == AuthMode::Token,
            // Behind a proxy that vouches, the password is the way in from this very host.
            Auth::Password => matches!(
                facts.setting.auth_mode,
                AuthMode::Password | AuthMode::TrustedProxy
            ),
            Auth::BootstrapToken | Auth::DeviceToken | Auth::Host | Auth::Tailscale => true,
        },
        complete: |facts, named| {
            if named.has("setting.auth-mode") && !named.has("auth") {
                facts.auth = Auth::Open;
            } else if !named.has("setting.auth-mode") {
                facts.setting.auth_mode = match facts.auth {
                    Auth::Open => AuthMode::None,
                    Auth::Password => AuthMode::Password,
                    Auth::TrustedProxy => AuthMode::TrustedProxy,
                    Auth::None
                    | Auth::Failed
                    | Auth::BootstrapToken
                    | Auth::DeviceToken
                    | Auth::Host
                    | Auth::Tailscale
                    | Auth::Token => AuthMode::Token,
                };
            }
        },
    },
    Assumption {
        says: "an authentication that succeeded has not failed",
        about: &["auth", "auth-failure"],
        holds: |facts| match facts.auth {
            Auth::None | Auth::Failed => facts.auth_failure != AuthFailure::None,
            Auth::BootstrapToken
            | Auth::DeviceToken
            | Auth::Host
            | Auth::Open
            | Auth::Password
            | Auth::Tailscale
            | Auth::Token
            | Auth::TrustedProxy => facts.auth_failure == AuthFailure::None,
        },
        complete: |facts, named| {
            if !named.has("auth-failure") {
                facts.auth_failure = AuthFailure::None;
            } else if !named.has("auth") {
                let none = facts.auth_failure == AuthFailure::None;
                facts.auth = if none { Auth::Token } else { Auth::Failed };
            }
        },
    },
    Assumption {
        says: "something that was sent and was wrong is more than missing; what was not sent is no mismatch",
        about: &["auth", "auth-failure", "setting.auth-mode"],
        holds: |facts| match facts.auth {
            Auth::Failed => !matches!(
                facts.auth_failure,
                AuthFailure::TokenMissing | AuthFailure::PasswordMissing
            ),
            Auth::None => matches!(
                facts.auth_failure,
                AuthFailure::TokenMissing
                    | AuthFailure::PasswordMissing
                    | AuthFailure::TokenNotConfigured
                    | AuthFailure::PasswordNotConfigured
                    | AuthFailure::RateLimited
                    | AuthFailure::Unauthorized
            ),
            Auth::BootstrapToken
            | Auth::DeviceToken
            | Auth::Host
            | Auth::Open
            | Auth::Password
            | Auth::Tailscale
            | Auth::Token
            | Auth::TrustedProxy => true,
        },
        complete: |facts, named| {
            if named.has("auth") && !named.has("auth-failure") {
                facts.auth_failure = usual_failure(facts);
            } else if !named.has("auth") {
                facts.auth = Auth::Failed;
            }
        },
    },
    Assumption {
        says: "what is wrong with a token is found in its mode, and with a password in its mode or behind a proxy that vouches",
        about: &["auth-failure", "setting.auth-mode"],
        holds: |facts| match facts.auth_failure {
            AuthFailure::TokenMissing
            | AuthFailure::TokenMismatch
            | AuthFailure::TokenNotConfigured => facts.setting.auth_mode == AuthMode::Token,
            AuthFailure::PasswordMissing
            | AuthFailure::PasswordMismatch
            | AuthFailure::PasswordNotConfigured => matches!(
                facts.setting.auth_mode,
                AuthMode::Password | AuthMode::TrustedProxy
            ),
            AuthFailure::None
            | AuthFailure::BootstrapTokenInvalid
            | AuthFailure::DeviceTokenMismatch
            | AuthFailure::RateLimited
            | AuthFailure::ScopeMismatch
            | AuthFailure::Unauthorized => true,
        },
        complete: |facts, named| {
            if named.has("auth-failure") {
                let token = matches!(
                    facts.auth_failure,
                    AuthFailure::TokenMissing
                        | AuthFailure::TokenMismatch
                        | AuthFailure::TokenNotConfigured
                );
                facts.setting.auth_mode = if token {
                    AuthMode::Token
                } else {
                    AuthMode::Password
                };
            } else {
                facts.auth_failure = usual_failure(facts);
            }
        },
    },
    Assumption {
        says: "a setup code and a device token are looked at only beside the proof of a device",
        about: &["auth-failure", "device"],
        holds: |facts| {
            let of_device = matches!(
                facts.auth_failure,
                AuthFailure::BootstrapTokenInvalid
                    | AuthFailure::DeviceTokenMismatch
                    | AuthFailure::ScopeMismatch
            );
            !of_device || facts.device != DeviceProof::Absent
        },
        complete: |facts, named| {
            if named.has("device") {
                facts.auth_failure = usual_failure(facts);
            } else {
                facts.device = DeviceProof::Proven;
            }
        },
    },
    Assumption {
        says: "a token or password that was right or wrong was sent",
        about: &["secret-sent", "auth", "auth-failure"],
        holds: |facts| {
            let judged = matches!(facts.auth, Auth::Token | Auth::Password)
                || matches!(
                    facts.auth_failure,
                    AuthFailure::TokenMismatch | AuthFailure::PasswordMismatch
                );
            facts.secret_sent || !judged
        },
        complete: |facts, named| {
            facts.secret_sent |= !named.has("secret-sent");
        },
    },
    Assumption {
        says: "a device token and a setup code are good only with the proof of their device",
        about: &["auth", "device"],
        holds: |facts| {
            !matches!(facts.auth, Auth::DeviceToken | Auth::BootstrapToken)
                || facts.device == DeviceProof::Proven
        },
        complete: |facts, named| {
            if !named.has("device") {
                facts.device = DeviceProof::Proven;
            }
        },
    },
    Assumption {
        says: "a device token belongs to a record, and carries the scopes asked for",
        about: &["auth", "pairing"],
        holds: |facts| {
            facts.auth != Auth::DeviceToken
                || matches!(
                    facts.pairing,
                    Pairing::Paired | Pairing::Upgrade | Pairing::KeyChanged
                )
        },
        complete: |facts, named| {
            if !named.has("pairing") {
                facts.pairing = Pairing::Paired;
            }
        },
    },
    Assumption {
        says: "an upgrade is of the role, the scopes or the metadata, and of a paired device",
        about: &[
            "pairing",
            "role-upgrade",
            "scope-upgrade",
            "metadata-upgrade",
        ],
        holds: |facts| (facts.pairing == Pairing::Upgrade) == any_upgrade(facts),
        complete: |facts, named| {
            if facts.pairing != Pairing::Upgrade && named.has("pairing") {
                facts.role_upgrade &= named.has("role-upgrade");
                facts.scope_upgrade &= named.has("scope-upgrade");
                facts.metadata_upgrade &= named.has("metadata-upgrade");
            } else if facts.pairing == Pairing::Upgrade && !named.has("scope-upgrade") {
                facts.scope_upgrade = true;
            } else if any_upgrade(facts) && !named.has("pairing") {
                facts.pairing = Pairing::Upgrade;
            }
        },
    },
    Assumption {
        says: "without a device there is nothing to remember, and nothing waits",
        about: &["device", "pairing", "pending"],
        holds: |facts| {
            (facts.device == DeviceProof::Absent) == (facts.pairing == Pairing::None)
                && (facts.pairing != Pairing::None || facts.pending == PendingRequest::None)
        },
        complete: |facts, named| {
            if facts.device == DeviceProof::Absent && !named.has("pairing") {
                facts.pairing = Pairing::None;
            } else if facts.pairing == Pairing::None && !named.has("device") {
                facts.device = DeviceProof::Absent;
            } else if facts.pairing == Pairing::None && !named.has("pairing") {
                facts.pairing = Pairing::Unpaired;
            }
            if facts.pairing == Pairing::None && !named.has("pending") {
                facts.pending = PendingRequest::None;
            }
        },
    },
    Assumption {
        says: "every known scope is an operator's: a node that asks for one asks outside its role",
        about: &["role", "scopes", "outside-role"],
        holds: |facts| {
            facts.role == super::Role::Operator || facts.scopes.is_empty() || facts.outside_role
        },
        complete: |facts, named| {
            if !named.has("scopes") {
                facts.scopes = ScopeSet::EMPTY;
            } else if !named.has("outside-role") {
                facts.outside_role = true;
            }
        },
    },
];

/// What goes wrong most often where an authentication did not succeed.
fn usual_failure(facts: &Facts) -> AuthFailure {
    match (facts.auth, facts.setting.auth_mode) {
        (Auth::Failed, AuthMode::Password) => AuthFailure::PasswordMismatch,
        (_, AuthMode::Password) => AuthFailure::PasswordMissing,
        (_, AuthMode::TrustedProxy) => AuthFailure::Unauthorized,
        (Auth::Failed, AuthMode::Token | AuthMode::None) => AuthFailure::TokenMismatch,
        (_, AuthMode::Token | AuthMode::None) => AuthFailure::TokenMissing,
    }
}

/// Whether the peer is a trusted proxy on another host, which has to say for whom it speaks.
fn is_proxy_elsewhere(facts: &Facts) -> bool {
    facts.peer_is_proxy && !facts.peer.is_loopback()
}

/// Whether a page of this kind stands at a host of that kind.
fn is_of(page: OriginClass, host: HostClass) -> bool {
    match page {
        OriginClass::Absent | OriginClass::Empty | OriginClass::Opaque | OriginClass::Invalid => {
            false
        }
        OriginClass::Loopback => host == HostClass::Loopback,
        OriginClass::Private => host == HostClass::Private,
        OriginClass::Mdns => host == HostClass::Mdns,
        OriginClass::Tailnet => host == HostClass::Tailnet,
        OriginClass::Public => host == HostClass::Public,
        OriginClass::Name => host == HostClass::Name,
    }
}

fn any_family(facts: &Facts) -> bool {
    facts.forwarded_rfc
        || facts.forwarded_for
        || facts.forwarded_host
        || facts.forwarded_proto
        || facts.forwarded_real_ip
        || facts.forwarded_other
        || facts.forwarded_tailscale
}

fn any_upgrade(facts: &Facts) -> bool {
    facts.role_upgrade || facts.scope_upgrade || facts.metadata_upgrade
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::attributes::every_value;

    #[test]
    fn the_defaults_keep_every_assumption() {
        assert_eq!(
            broken(&Facts::default())
                .map(|a| a.says)
                .collect::<Vec<_>>(),
            [""; 0]
        );
    }

    #[test]
    fn assumptions_name_attributes_that_exist() {
        for assumption in ASSUMPTIONS {
            for name in assumption.about {
                assert!(AttributeId::named(name).is_some(), "{name}");
            }
        }
    }

    /// What an assumption reads, it names: analysis asks it about nothing else.
    #[test]
    fn assumptions_depend_on_what_they_name_alone() {
        let mut bases = vec![Facts::default()];
        for id in AttributeId::all() {
            for value in every_value(id) {
                let mut facts = Facts::default();
                id.assign(&mut facts, &value).unwrap();
                bases.push(facts);
            }
        }
        for assumption in ASSUMPTIONS {
            let others = AttributeId::all().filter(|id| !assumption.about.contains(&id.row().name));
            let others: Vec<_> = others
                .flat_map(|id| every_value(id).into_iter().map(move |value| (id, value)))
                .collect();
            for base in &bases {
                let holds = (assumption.holds)(base);
                for (id, value) in &others {
                    let mut facts = base.clone();
                    id.assign(&mut facts, value).unwrap();
                    assert_eq!(
                        (assumption.holds)(&facts),
                        holds,
                        "{} reads {}",
                        assumption.says,
                        id.row().name
                    );
                }
            }
        }
    }

    /// Naming any one fact leaves facts that can be: a `test` need not know the assumptions.
    #[test]
    fn one_named_fact_is_always_completed() {
        for id in AttributeId::all() {
            for value in every_value(id) {
                let mut facts = Facts::default();
                let mut named = Named::default();
                id.assign(&mut facts, &value).unwrap();
                named.add(id);
                complete(&mut facts, &named, |_| true);
                let left: Vec<_> = broken(&facts).map(|a| a.says).collect();
                assert!(left.is_empty(), "{}={value:?}: {left:?}", id.row().name);
            }
        }
    }
}
