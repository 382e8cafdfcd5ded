//! A request that asks for a WebSocket: its socket, its head, and what they show.

use std::fmt;

use super::Gate;
use crate::auth::limiter::Subject;
use crate::compile::ClauseId;
use crate::decide;
use crate::facts::Facts;
use crate::handshake::{self, Http, Socket};
use crate::settings::Settings;
use crate::verdict::Reason;
use crate::wire::reply::{HttpReason, HttpRefusal};

/// A request that may go on to be a WebSocket.
#[derive(Clone)]
pub struct Upgrade {
    pub(super) socket: Socket,
    pub(super) http: Http,
    pub(super) facts: Facts,
}

/// Shows facts only: a header or the query of the path may hold a secret.
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

    /// What the socket shows.
    #[must_use]
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// What the client's program calls itself: `User-Agent`.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        self.http
            .values("user-agent")
            .next()
            .map(|(_, value)| value)
    }

    /// Whose failures count against this connection, for the [`Limiter`](crate::auth::limiter::Limiter).
    #[must_use]
    pub fn subject(&self, settings: &Settings) -> Subject {
        Subject::of(settings, self.facts.client_ip, &self.facts.origin)
    }
}

/// A request that a guard `at upgrade` refuses, for whoever logs it.
#[derive(Clone, Debug)]
pub struct RefusedUpgrade {
    /// The facts of the socket and the head; those of the connect frame are defaults.
    pub facts: Facts,
    /// The guard.
    pub by: ClauseId,
    /// What it refuses for.
    pub reason: Reason,
}

impl RefusedUpgrade {
    /// The HTTP response that it is.
    #[must_use]
    pub fn http(&self) -> HttpReason {
        match self.reason {
            Reason::ProxyAttributionRequired => HttpReason::ProxyAttributionRequired,
            reason => HttpReason::Policy(reason),
        }
    }
}

/// The guard that refused a request, if one did: asked of what [`at_upgrade`] refused, to log it.
#[must_use]
pub fn refused_upgrade(gate: Gate<'_>, socket: &Socket, http: &Http) -> Option<RefusedUpgrade> {
    let facts = handshake::at_upgrade(gate.settings, socket, http);
    let (by, reason) = decide::at_upgrade(gate.policy.program(), &facts)?;
    Some(RefusedUpgrade { facts, by, reason })
}

/// Decides what can be decided when only the socket and the HTTP head are known.
///
/// # Errors
///
/// The HTTP response of a guard `at upgrade` that refuses.
pub fn at_upgrade(gate: Gate<'_>, socket: Socket, http: Http) -> Result<Upgrade, HttpRefusal> {
    let facts = handshake::at_upgrade(gate.settings, &socket, &http);
    match decide::at_upgrade(gate.policy.program(), &facts) {
        Some((by, reason)) => {
            let refused = RefusedUpgrade { facts, by, reason };
            Err(HttpRefusal::of(refused.http()))
        }
        None => Ok(Upgrade {
            socket,
            http,
            facts,
        }),
    }
}
