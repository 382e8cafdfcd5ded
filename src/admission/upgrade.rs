//! A request that asks for a WebSocket: its socket, its head, and what they show.

use std::fmt;

use super::Gate;
use crate::auth::limiter::Subject;
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

    /// Whose failures count against this connection, for the [`Limiter`](crate::auth::limiter::Limiter).
    #[must_use]
    pub fn subject(&self, settings: &Settings) -> Subject {
        Subject::of(settings, self.facts.client_ip, &self.facts.origin)
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
        Some((_, Reason::ProxyAttributionRequired)) => {
            Err(HttpRefusal::of(HttpReason::ProxyAttributionRequired))
        }
        Some((_, reason)) => Err(HttpRefusal::of(HttpReason::Policy(reason))),
        None => Ok(Upgrade {
            socket,
            http,
            facts,
        }),
    }
}
