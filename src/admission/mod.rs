//! The whole path of one connection, from HTTP head and first message to reply, close code and
//! changed record: values to values.
//!
//! [`at_upgrade`] looks at the socket and the head, [`present`] at the first message,
//! [`at_connect`] decides and says what to write and what to answer, [`still_admitted`] asks
//! again later. Whoever serves brings sockets, the clock, the store and randomness; it commits
//! [`Admission::change`] before it sends [`Admission::reply`], and on a conflict loads the
//! standing and asks [`at_connect`] again. Nobody else can make a [`Permit`], and without one
//! there is no session.
//!
//! ```
//! use gw::Policy;
//! use gw::admission::{Challenged, Gate, Remembered, Reply, at_connect, at_upgrade, present};
//! use gw::auth::limiter::Limiter;
//! use gw::handshake::{Http, Socket};
//! use gw::pairing::change::Fresh;
//! use gw::pairing::store::{Store, StoreError};
//!
//! /// From a socket, the head of its request and its first message to the answer.
//! fn answer(
//!     gate: Gate<'_>,
//!     store: &dyn Store,
//!     limiter: &mut Limiter,
//!     (socket, http, message): (Socket, Http, &[u8]),
//!     challenged: Challenged<'_>,
//!     fresh: &mut Fresh<'_>,
//! ) -> Result<Reply, Box<dyn std::error::Error>> {
//!     let upgrade = at_upgrade(gate, socket, http)?; // else an HTTP response, and no WebSocket
//!     let presented = match present(gate.settings, message, challenged) {
//!         Ok(presented) => presented,
//!         Err(reply) => return Ok(reply),
//!     };
//!     let now_ms = challenged.time_ms;
//!     loop {
//!         let (standing, version) = match presented.device_id() {
//!             Some(device) => store.load(device)?,
//!             None => Default::default(), // nothing is remembered, and nothing is written
//!         };
//!         let subject = upgrade.subject(gate.settings, &presented, &standing);
//!         let locks = limiter.locks(&subject, now_ms);
//!         let remembered = Remembered { locks, ..Remembered::of(&standing) };
//!         let admission = at_connect(gate, &upgrade, &presented, remembered, fresh);
//!         match store.commit(&admission.change, version) {
//!             Ok(_) => {
//!                 // Counted before it is answered: what comes back is how long a refusal is
//!                 // to be held back. `admission.event` goes to the log, and whoever serves
//!                 // keeps `admission.permit` for as long as the session lasts.
//!                 limiter.settle(&subject, &admission.steps, now_ms);
//!                 return Ok(admission.reply);
//!             }
//!             Err(StoreError::Conflict) => continue, // another connection came between
//!             Err(error) => return Ok(presented.unkept(&error)),
//!         }
//!     }
//! }
//! #
//! # let policy = Policy::parse("all.policy", "gw-policy 1\ndefault → approve")?;
//! # let settings = serde_json::from_str(r#"{ "auth": { "mode": "none" } }"#)?;
//! # let gate = Gate { policy: &policy, settings: &settings };
//! # let socket = Socket {
//! #     transport: gw::facts::Transport::Tcp,
//! #     peer: Some("127.0.0.1:5".parse()?),
//! #     local: Some("127.0.0.1:6".parse()?),
//! #     tls: false,
//! #     peer_uid: gw::facts::PeerUid::Unknown,
//! #     own_addresses: [].into(),
//! # };
//! # let message = br#"{"type":"req","id":"1","method":"connect","params":{"minProtocol":3,"maxProtocol":3,"client":{"id":"cli","version":"1","platform":"linux","mode":"cli"}}}"#;
//! # let challenged = Challenged { nonce: "n", time_ms: 0 };
//! # let mut request_id = || "r".into();
//! # let mut secret = || gw::secret::Secret::new("s");
//! # let mut fresh = Fresh { request_id: &mut request_id, secret: &mut secret };
//! # let store = gw::pairing::memory::Memory::default();
//! # let mut limiter = Limiter::of(&settings);
//! # let brought = (socket, Http::default(), &message[..]);
//! # let reply = answer(gate, &store, &mut limiter, brought, challenged, &mut fresh)?;
//! # assert!(matches!(reply, Reply::Admitted(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A client that sends no such message, because it speaks with a server behind, is judged by its
//! request: [`Presented::of_request`] takes the place of [`present`], [`plain()`] that of
//! [`at_connect`], and the answer is an HTTP response.
//!
//! A [`Reply::Admitted`](Reply) becomes text by [`Admitted::response`], with what the server
//! says of itself; a refusal is whole.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod arrival;
mod event;
mod permit;
mod plain;
mod presented;
mod reply;
#[cfg(test)]
mod tests;
mod upgrade;

use crate::auth::limiter::{Locks, Steps, steps};
use crate::auth::{self, Memory};
use crate::decide::{Decision, decide};
use crate::facts::{AttributeId, Facts};
use crate::handshake::{self, Seen};
use crate::pairing::Standing;
use crate::pairing::change::{Change, Fresh};
use crate::policy::Policy;
use crate::settings::Settings;

pub use event::{AccessUpgrade, Event};
pub use permit::{Ended, Permit, still_admitted};
pub use plain::plain;
pub use presented::{Challenged, Presented, present};
pub use reply::{Admitted, Reply};
pub use upgrade::{RefusedUpgrade, Upgrade, at_upgrade, refused_page, refused_upgrade};

use arrival::{Arrival, Done};
use presented::Over;

/// What every connection is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The settings.
    pub settings: &'a Settings,
}

/// What is remembered when a connection is decided.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'a> {
    /// Of the device that it names.
    pub standing: &'a Standing,
    /// Who has failed too often.
    pub locks: Locks,
    /// The setup codes that were issued. One that lets the device in comes back as
    /// [`Admission::setup_code`].
    pub setup_codes: &'a [auth::bootstrap::SetupCode],
}

impl<'a> Remembered<'a> {
    /// Of a device only: nobody has failed, and no setup code was issued.
    #[must_use]
    pub fn of(standing: &'a Standing) -> Self {
        Remembered {
            standing,
            locks: Locks::default(),
            setup_codes: &[],
        }
    }
}

/// What becomes of a connection.
#[derive(Debug)]
pub struct Admission {
    /// What was decided.
    pub decision: Decision,
    /// The facts that it was decided on.
    pub facts: Facts,
    /// What to write of the device, before anything is answered.
    pub change: Change,
    /// What to count of the credentials, before it is answered: a
    /// [`Limiter`](crate::auth::limiter::Limiter) says how long the answer is to be held back.
    /// Locks are read before and failures counted after, so whoever lets one address try many
    /// times at once lets it guess as often: bound how many connections of an address wait.
    pub steps: Steps,
    /// What to answer, and how to close.
    pub reply: Reply,
    /// What the audit log says.
    pub event: Event,
    /// The right to a session, if it is admitted.
    pub permit: Option<Permit>,
    /// The setup code that let it in. Keep it as it is now, before anything is answered: what
    /// is not written back can be used again.
    pub setup_code: Option<UsedCode>,
}

/// A setup code that a connection used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedCode {
    /// Its place in [`Remembered::setup_codes`].
    pub at: usize,
    /// The code as it is to be kept; none when it is spent.
    pub kept: Option<auth::bootstrap::SetupCode>,
}

/// Decides a connection.
#[must_use]
pub fn at_connect(
    gate: Gate<'_>,
    upgrade: &Upgrade,
    presented: &Presented,
    remembered: Remembered<'_>,
    fresh: &mut Fresh<'_>,
) -> Admission {
    let (facts, verified) = observed(gate, upgrade, presented, remembered);
    let live = remembered.standing.live(presented.time_ms);
    let remembered = Remembered {
        standing: &live,
        ..remembered
    };
    let decision = decide(gate.policy.program(), &facts);
    let arrival = Arrival {
        gate,
        upgrade,
        presented,
        remembered,
        facts,
        auth_reason: verified.reason,
        decision,
    };
    let steps = steps(&verified.tried, &gate.settings.compatibility);
    let Done {
        change,
        reply,
        permit,
        setup_code,
    } = arrival.carry_out(fresh);
    let event = Event::of(&arrival, &change, &reply);
    Admission {
        decision,
        facts: arrival.facts,
        change,
        steps,
        reply,
        event,
        permit,
        setup_code,
    }
}

/// What shows the facts of a connection, in phrases for an operator, as far as the facts do not
/// say it by themselves. It is for a log, and takes about as long as deciding.
#[must_use]
pub fn evidence(
    gate: Gate<'_>,
    upgrade: &Upgrade,
    presented: &Presented,
    standing: &Standing,
    facts: &Facts,
) -> Vec<(AttributeId, String)> {
    let standing = standing.live(presented.time_ms);
    let seen = Seen {
        settings: gate.settings,
        socket: &upgrade.request.socket,
        http: &upgrade.request.http,
        nonce: "",
        connect: &presented.connect,
        standing: &standing,
        time_ms: presented.time_ms,
    };
    let mut phrases = handshake::beyond_facts(&seen, facts);
    if presented.over == Over::Http {
        phrases.extend(plain::evidence());
    }
    phrases
}

/// The facts of a connection, as far as they are remembered now.
fn observed(
    gate: Gate<'_>,
    upgrade: &Upgrade,
    presented: &Presented,
    remembered: Remembered<'_>,
) -> (Facts, auth::Verified) {
    let seen = Seen {
        settings: gate.settings,
        socket: &upgrade.request.socket,
        http: &upgrade.request.http,
        // The proof was checked when the frame was presented.
        nonce: "",
        connect: &presented.connect,
        standing: remembered.standing,
        time_ms: presented.time_ms,
    };
    let memory = Memory {
        locks: remembered.locks,
        setup_codes: remembered.setup_codes,
        now_ms: presented.time_ms,
    };
    let facts = upgrade.facts.clone();
    handshake::at_connect_remembering(facts, &seen, presented.proof, &memory)
}
