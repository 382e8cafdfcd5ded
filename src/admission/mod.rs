//! The whole path of one connection, from HTTP head and first message to reply, close code and
//! changed record: values to values.
//!
//! [`at_upgrade`] looks at the socket and the head, [`present`] at the first message,
//! [`at_connect`] decides and says what to write and what to answer, [`still_admitted`] asks
//! again later. Whoever serves brings sockets, the clock, the store and randomness; it commits
//! [`Admission::change`] before it sends [`Admission::reply`], and on a conflict loads the
//! standing and asks [`at_connect`] again. Nobody else can make a [`Permit`], and without one
//! there is no session.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod arrival;
mod event;
mod permit;
mod presented;
mod reply;
#[cfg(test)]
mod tests;
mod upgrade;

use crate::auth::limiter::{Locks, Steps, steps};
use crate::auth::{self, Memory};
use crate::decide::{Decision, decide};
use crate::facts::Facts;
use crate::handshake::{self, Seen};
use crate::pairing::Standing;
use crate::pairing::change::{Change, Fresh};
use crate::policy::Policy;
use crate::settings::Settings;

pub use event::Event;
pub use permit::{Ended, Permit, still_admitted};
pub use presented::{Challenged, Presented, present};
pub use reply::{Admitted, Reply};
pub use upgrade::{Upgrade, at_upgrade};

use arrival::{Arrival, Done};

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
    /// What to count of the credentials, once it is answered.
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
    let event = Event::of(&arrival, &reply);
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

/// The facts of a connection, as far as they are remembered now.
fn observed(
    gate: Gate<'_>,
    upgrade: &Upgrade,
    presented: &Presented,
    remembered: Remembered<'_>,
) -> (Facts, auth::Verified) {
    let seen = Seen {
        settings: gate.settings,
        socket: &upgrade.socket,
        http: &upgrade.http,
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
