//! A request that asks for a WebSocket: its socket, its head, and what they show.

use std::fmt;
use std::sync::Arc;

use super::{Gate, Presented};
use crate::auth::limiter::Subject;
use crate::compile::ClauseId;
use crate::decide;
use crate::facts::{AttributeId, DeviceProof, Facts, Text};
use crate::handshake::{self, Head, Http, Socket};
use crate::pairing::Standing;
use crate::pairing::key::same_key;
use crate::settings::Settings;
use crate::verdict::Reason;
use crate::wire::reply::{HttpReason, HttpRefusal};

/// A request that may go on to be a WebSocket.
#[derive(Clone)]
pub struct Upgrade {
    pub(super) request: Arc<Request>,
    pub(super) facts: Facts,
}

/// The socket and the head. A session keeps them as long as it lasts.
pub(super) struct Request {
    pub(super) socket: Socket,
    pub(super) http: Http,
}

impl Request {
    /// What it is worth under some settings.
    pub(super) fn under(self: &Arc<Self>, settings: &Settings) -> Upgrade {
        Upgrade {
            facts: handshake::at_upgrade(settings, &self.socket, &self.http),
            request: Arc::clone(self),
        }
    }
}

/// Shows nothing: a header or the query of the path may hold a secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// Shows facts only, for the same reason.
impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl Upgrade {
    /// What is known so far; the facts of the connect frame are defaults.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The same request under other settings: what it is worth depends on them. Whoever decides
    /// under others than [`at_upgrade`] did looks at it again.
    #[must_use]
    pub fn under(&self, settings: &Settings) -> Upgrade {
        self.request.under(settings)
    }

    /// What the socket shows.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.request.socket
    }

    /// Where it comes from, for people: the client's address, as far as it is known, or else that
    /// of the other end.
    #[must_use]
    pub fn from(&self) -> Box<str> {
        let Facts {
            client_ip, peer, ..
        } = &self.facts;
        let from = match client_ip.ip() {
            Some(_) => client_ip,
            None => peer,
        };
        from.to_string().into()
    }

    /// What the client's program calls itself: `User-Agent`.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        self.request
            .http
            .values("user-agent")
            .next()
            .map(|(_, value)| value)
    }

    /// What shows the facts, in phrases for an operator, as far as the facts do not say it by
    /// themselves: see [`evidence`](super::evidence).
    #[must_use]
    pub fn evidence(&self, settings: &Settings) -> Vec<(AttributeId, String)> {
        let head = Head {
            settings,
            socket: &self.request.socket,
            http: &self.request.http,
        };
        handshake::beyond_facts_at_upgrade(head, &self.facts)
    }

    /// Whose failures count against this connection, for the [`Limiter`](crate::auth::limiter::Limiter):
    /// those of its device, where that is known by what is remembered, or else those of where it
    /// comes from.
    #[must_use]
    pub fn subject(
        &self,
        settings: &Settings,
        presented: &Presented,
        standing: &Standing,
    ) -> Subject {
        let own = &self.request.socket.own_addresses;
        Subject::of(settings, self.facts.client_ip, &self.facts.origin, own)
            .known_as(known_device(presented, standing), settings)
    }
}

/// The device that a client is known by: one that has proved its key, and whose record is of that key
/// and has a token in force.
fn known_device<'a>(presented: &'a Presented, standing: &Standing) -> Option<&'a Text> {
    let device = presented.connect.claims().device.as_ref();
    let device = device.filter(|_| presented.proof == DeviceProof::Proven)?;
    let record = standing.live_record(presented.time_ms)?;
    let known = *record.device_id == *device.id
        && same_key(&record.public_key, &device.public_key)
        && record.has_token();
    known.then_some(&device.id)
}

/// A request that a guard refuses before there is a WebSocket, for whoever logs it.
#[derive(Clone, Debug)]
pub struct RefusedUpgrade {
    /// The facts of the socket and the head; those of the connect frame are defaults.
    pub facts: Facts,
    /// The guard.
    pub by: ClauseId,
    /// What it refuses for.
    pub reason: Reason,
    /// What shows the facts, as [`Upgrade::evidence`] has it.
    pub evidence: Vec<(AttributeId, String)>,
}

impl RefusedUpgrade {
    /// The HTTP response that it is.
    #[must_use]
    pub fn http(&self) -> HttpReason {
        answered(self.reason)
    }
}

fn answered(reason: Reason) -> HttpReason {
    if reason == Reason::ProxyAttributionRequired {
        return HttpReason::ProxyAttributionRequired;
    }
    HttpReason::Policy(reason)
}

/// The guard that refused a request, if one did: asked of what [`at_upgrade`] refused, to log it.
#[must_use]
pub fn refused_upgrade(gate: Gate<'_>, socket: &Socket, http: &Http) -> Option<RefusedUpgrade> {
    let facts = handshake::at_upgrade(gate.settings, socket, http);
    let refused = decide::at_upgrade(gate.policy.program(), &facts)?;
    Some(refusal(gate, socket, http, facts, refused))
}

/// The guard that refuses a request that is no upgrade, if one does. No connect frame follows it,
/// so that each guard answers now that asks only for the socket and the head.
#[must_use]
pub fn refused_page(gate: Gate<'_>, upgrade: &Upgrade) -> Option<RefusedUpgrade> {
    let facts = upgrade.facts.clone();
    let refused = decide::of_page(gate.policy.program(), &facts)?;
    Some(refusal(
        gate,
        &upgrade.request.socket,
        &upgrade.request.http,
        facts,
        refused,
    ))
}

fn refusal(
    gate: Gate<'_>,
    socket: &Socket,
    http: &Http,
    facts: Facts,
    (by, reason): (ClauseId, Reason),
) -> RefusedUpgrade {
    let settings = gate.settings;
    let head = Head {
        settings,
        socket,
        http,
    };
    let evidence = handshake::beyond_facts_at_upgrade(head, &facts);
    RefusedUpgrade {
        facts,
        by,
        reason,
        evidence,
    }
}

/// Decides what can be decided when only the socket and the HTTP head are known.
///
/// # Errors
///
/// The HTTP response of a guard `at upgrade` that refuses.
pub fn at_upgrade(gate: Gate<'_>, socket: Socket, http: Http) -> Result<Upgrade, HttpRefusal> {
    let facts = handshake::at_upgrade(gate.settings, &socket, &http);
    match decide::at_upgrade(gate.policy.program(), &facts) {
        Some((_, reason)) => Err(HttpRefusal::of(answered(reason))),
        None => Ok(Upgrade {
            request: Arc::new(Request { socket, http }),
            facts,
        }),
    }
}
