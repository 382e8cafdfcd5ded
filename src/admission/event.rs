//! What the audit log says of a connection: who, from where, what was decided and by which
//! line of the policy. No secret is in it; text from the client is shown as data.

use std::fmt;

use super::{Arrival, Reply};
use crate::facts::{Address, Auth, AuthFailure, Client, DeviceProof, Mode, Pairing, Role};
use crate::handshake::clean;
use crate::verdict::Verdict;

/// The longest text of a client's that is repeated, in characters.
const LONGEST: usize = 64;

/// An entry of the audit log.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When the connect frame arrived, in Unix milliseconds.
    pub time_ms: i64,
    /// The address at the other end.
    pub peer: Address,
    /// The client's address, as far as it is known.
    pub client_ip: Address,
    /// What the client says it is.
    pub client: Client,
    /// Its mode.
    pub mode: Mode,
    /// The role it asked for.
    pub role: Role,
    /// What it calls itself, without control characters.
    pub name: Option<String>,
    /// The device it named, proven or not.
    pub device: Option<String>,
    /// What the device proof showed.
    pub proof: DeviceProof,
    /// The authentication that held.
    pub auth: Auth,
    /// Why none did.
    pub auth_failure: AuthFailure,
    /// What was remembered of the device.
    pub pairing: Pairing,
    /// What was decided.
    pub verdict: Verdict,
    /// The clause of the policy that decided.
    pub by: String,
    /// The policy, by the first bytes of its digest.
    pub policy: String,
    /// The code it was closed with, unless it is admitted.
    pub close: Option<u16>,
}

impl Event {
    pub(super) fn of(arrival: &Arrival<'_>, reply: &Reply) -> Self {
        let facts = &arrival.facts;
        let policy = arrival.gate.policy;
        // Cut before it is escaped, so that no escape is cut in two.
        let shown = |text: &str| clean(&text.chars().take(LONGEST).collect::<String>());
        let connect = arrival.presented.connect();
        Event {
            time_ms: arrival.presented.time_ms,
            peer: facts.peer,
            client_ip: facts.client_ip,
            client: facts.client,
            mode: facts.mode,
            role: facts.role,
            name: connect.display_name.as_deref().map(shown),
            device: arrival.presented.device_id().map(shown),
            proof: facts.device,
            auth: facts.auth,
            auth_failure: facts.auth_failure,
            pairing: facts.pairing,
            verdict: arrival.decision.verdict,
            by: policy.label(arrival.decision.by),
            policy: policy.digest().chars().take(12).collect(),
            close: reply.close().map(|close| close.code),
        }
    }
}

/// One line: words and numbers, then texts between quotes.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} by {} client={} mode={} role={} peer={} client-ip={} auth={}",
            self.verdict,
            self.by,
            self.client,
            self.mode,
            self.role,
            self.peer,
            self.client_ip,
            self.auth,
        )?;
        if self.auth_failure != AuthFailure::None {
            write!(f, " auth-failure={}", self.auth_failure)?;
        }
        write!(f, " device={} pairing={}", self.proof, self.pairing)?;
        if let Some(device) = &self.device {
            write!(f, " device-id=\"{device}\"")?;
        }
        if let Some(name) = &self.name {
            write!(f, " name=\"{name}\"")?;
        }
        if let Some(code) = self.close {
            write!(f, " close={code}")?;
        }
        write!(f, " policy={}", self.policy)
    }
}
