//! What the audit log says of a connection: who, from where, what was decided and by which
//! line of the policy. No secret is in it; text from the client is shown as data.

use std::fmt;
use std::sync::Arc;

use super::arrival::approved;
use super::{Arrival, Reply};
use crate::facts::scopes::ScopeRule;
use crate::facts::{Address, Auth, AuthFailure, Client, DeviceProof, Mode, Pairing, Role, Text};
use crate::handshake::{clean, is_clean};
use crate::pairing::change::{Change, Write};
use crate::verdict::{PairingReason, Verdict, pairing_reason};

/// The longest text of a client's that is repeated, in characters.
const LONGEST: usize = 64;

/// As many scopes of a list are repeated.
const MOST_SCOPES: usize = 32;

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
    pub name: Option<Text>,
    /// Its own version.
    pub version: Text,
    /// The scopes it asked for, as it wrote them.
    pub asked: Arc<[Box<str>]>,
    /// The device it named, proven or not.
    pub device: Option<Text>,
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
    /// The request of its device that is kept for the owner, where there is one.
    pub request_id: Option<Text>,
    /// What it asked for beyond what its device was approved for, admitted or not.
    pub upgrade: Option<Box<AccessUpgrade>>,
    /// The clause of the policy that decided.
    pub by: Text,
    /// The policy, by its digest.
    pub policy: Text,
    /// The code it was closed with, unless it is admitted.
    pub close: Option<u16>,
}

/// More than a device was approved for: what OpenClaw's operators know as "device access upgrade
/// requested" and "device metadata upgrade requested".
#[derive(Clone, Debug, PartialEq)]
pub struct AccessUpgrade {
    /// What is missing first.
    pub reason: PairingReason,
    /// The roles that were approved, sorted.
    pub roles: Vec<String>,
    /// The scopes that were approved, sorted.
    pub scopes: Vec<String>,
    /// Which scopes cover others.
    pub rule: ScopeRule,
    /// The platform that was approved, and the one that is named.
    pub platform: (String, String),
    /// The device family that was approved, and the one that is named.
    pub family: (String, String),
}

/// A text of a client's: cut before it is escaped, so that no escape is cut in two.
fn shown(text: &str) -> String {
    clean(&text.chars().take(LONGEST).collect::<String>())
}

impl Event {
    pub(super) fn of(arrival: &Arrival<'_>, change: &Change, reply: &Reply) -> Self {
        let facts = &arrival.facts;
        let policy = arrival.gate.policy;
        let connect = arrival.presented.connect();
        Event {
            time_ms: arrival.presented.time_ms,
            peer: facts.peer,
            client_ip: facts.client_ip,
            client: facts.client,
            mode: facts.mode,
            role: facts.role,
            name: connect.display_name.as_ref().map(shared),
            version: shared(&connect.version),
            asked: asked(&connect.claims().scopes),
            device: arrival.presented.device().map(shared),
            proof: facts.device,
            auth: facts.auth,
            auth_failure: facts.auth_failure,
            pairing: facts.pairing,
            verdict: arrival.decision.verdict,
            request_id: waiting(arrival, change),
            upgrade: AccessUpgrade::of(arrival).map(Box::new),
            by: policy.clause_name(arrival.decision.by).label.clone(),
            policy: policy.names().1.clone(),
            close: reply.close().map(|close| close.code),
        }
    }
}

/// The same, which is the text itself where that is fit to be shown.
fn shared(text: &Text) -> Text {
    match is_fit(text) {
        true => text.clone(),
        false => shown(text).into(),
    }
}

fn is_fit(text: &str) -> bool {
    text.len() <= LONGEST && is_clean(text)
}

fn asked(scopes: &Arc<[Box<str>]>) -> Arc<[Box<str>]> {
    match scopes.len() <= MOST_SCOPES && scopes.iter().all(|scope| is_fit(scope)) {
        true => Arc::clone(scopes),
        false => list(scopes).into_iter().map(Into::into).collect(),
    }
}

fn list<S: AsRef<str>>(scopes: &[S]) -> Vec<String> {
    let scopes = scopes.iter().take(MOST_SCOPES);
    scopes.map(|scope| shown(scope.as_ref())).collect()
}

/// The request of its device that is kept for the owner: of a connection that waits, and of one
/// that was admitted with less than it asked for.
fn waiting(arrival: &Arrival<'_>, change: &Change) -> Option<Text> {
    let waits = matches!(arrival.decision.verdict, Verdict::RequirePairing(_));
    let pending = match &change.pending {
        Write::Put(pending) => Some(pending),
        Write::Keep if waits => arrival.remembered.standing.pending.as_ref(),
        Write::Keep | Write::Remove => None,
    };
    pending.map(|pending| (&*pending.request_id).into())
}

impl AccessUpgrade {
    fn of(arrival: &Arrival<'_>) -> Option<Self> {
        let facts = &arrival.facts;
        if !(facts.role_upgrade || facts.scope_upgrade || facts.metadata_upgrade) {
            return None;
        }
        let standing = arrival.remembered.standing;
        let record = standing.record.as_ref()?;
        let sorted = |mut names: Vec<String>| {
            names.sort_unstable();
            names.dedup();
            names
        };
        let roles: Vec<&str> = record.approved_roles().collect();
        let claims = arrival.presented.connect().claims();
        let pair = |was: &Option<Box<str>>, is: Option<&str>| {
            let text = |text: Option<&str>| shown(text.unwrap_or_default());
            (text(was.as_deref()), text(is))
        };
        Some(AccessUpgrade {
            reason: pairing_reason(facts),
            roles: sorted(list(&roles)),
            scopes: sorted(list(approved(facts, standing))),
            rule: arrival.gate.settings.compatibility.scope_rule,
            platform: pair(&record.platform, Some(&claims.platform)),
            family: pair(&record.device_family, claims.device_family.as_deref()),
        })
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
        if let Some(request) = &self.request_id {
            write!(f, " request-id={request}")?;
        }
        if let Some(code) = self.close {
            write!(f, " close={code}")?;
        }
        write!(f, " policy={:.12}", self.policy)
    }
}
