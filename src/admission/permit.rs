//! The right to a session, and whether it still holds.

use super::{Arrival, Gate, Presented, Remembered, Upgrade, granted, observed};
use crate::decide::decide;
use crate::facts::{Auth, Client, Mode, Pairing, Role};
use crate::pairing::Standing;
use crate::pairing::change::Change;
use crate::verdict::{Grant, Verdict};
use crate::wire::Close;

/// The right to a session. Only an admission makes one, and it cannot be copied: a session
/// that ends takes it along.
#[derive(Debug)]
pub struct Permit {
    upgrade: Upgrade,
    presented: Presented,
    auth: Auth,
    recorded: bool,
    scopes: Vec<Box<str>>,
}

/// Why a session has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The shared secret that let it in is another one now.
    #[error("gateway auth changed")]
    AuthChanged,
    /// Its device is no longer paired, or its token no longer holds.
    #[error("device access revoked")]
    Revoked,
    /// The policy does not admit it any longer, or not with all its scopes.
    #[error("policy changed")]
    PolicyChanged,
}

impl Ended {
    /// How the connection is closed: 4001 as OpenClaw closes on another secret (reference
    /// 1.6), else 1008.
    #[must_use]
    pub fn close(self) -> Close {
        let code = match self {
            Ended::AuthChanged => 4001,
            Ended::Revoked | Ended::PolicyChanged => 1008,
        };
        Close::new(code, &self.to_string())
    }
}

impl Permit {
    pub(super) fn new(
        arrival: &Arrival<'_>,
        change: &Change,
        _grant: Grant,
        scopes: Vec<Box<str>>,
    ) -> Self {
        let after = change.apply(arrival.remembered.standing);
        Permit {
            upgrade: arrival.upgrade.clone(),
            presented: arrival.presented.clone(),
            auth: arrival.facts.auth,
            recorded: after.record.is_some(),
            scopes,
        }
    }

    /// What the client says it is.
    #[must_use]
    pub fn client(&self) -> Client {
        self.presented.connect.claims().client
    }

    /// Its mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.presented.connect.claims().mode
    }

    /// The role of the session.
    #[must_use]
    pub fn role(&self) -> Role {
        self.presented.connect.claims().role
    }

    /// The scopes of the session.
    #[must_use]
    pub fn scopes(&self) -> &[Box<str>] {
        &self.scopes
    }

    /// The authentication that held.
    #[must_use]
    pub fn auth(&self) -> Auth {
        self.auth
    }

    /// The device, proven, if there is one.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        self.presented.device_id()
    }
}

/// Whether a session may go on, under a policy, settings and a standing that may have changed.
///
/// A session that was admitted as paired ends with its record, even where a new connection
/// would be paired anew: else removing a device that connects from this host would change
/// nothing.
///
/// # Errors
///
/// Why it has to end.
pub fn still_admitted(
    gate: Gate<'_>,
    permit: &Permit,
    standing: &Standing,
    now_ms: i64,
) -> Result<(), Ended> {
    let presented = Presented {
        time_ms: now_ms,
        ..permit.presented.clone()
    };
    // The request is looked at anew: what it is worth depends on the settings.
    let upgrade = Upgrade {
        facts: crate::handshake::at_upgrade(
            gate.settings,
            &permit.upgrade.socket,
            &permit.upgrade.http,
        ),
        ..permit.upgrade.clone()
    };
    if crate::decide::at_upgrade(gate.policy.program(), &upgrade.facts).is_some() {
        return Err(Ended::PolicyChanged);
    }
    let (facts, _) = observed(gate, &upgrade, &presented, Remembered::of(standing));
    if facts.auth != permit.auth {
        return Err(match permit.auth {
            Auth::DeviceToken => Ended::Revoked,
            Auth::Token | Auth::Password => Ended::AuthChanged,
            Auth::None
            | Auth::Failed
            | Auth::BootstrapToken
            | Auth::Host
            | Auth::Open
            | Auth::Tailscale
            | Auth::TrustedProxy => Ended::AuthChanged,
        });
    }
    if permit.recorded && matches!(facts.pairing, Pairing::Unpaired | Pairing::KeyChanged) {
        return Err(Ended::Revoked);
    }
    if permit.recorded && facts.role_upgrade {
        return Err(Ended::Revoked);
    }
    match decide(gate.policy.program(), &facts).verdict {
        Verdict::Approve(grant) | Verdict::SilentApprove(grant) => {
            let approved = standing.record.as_ref();
            let approved = approved.map(|record| record.baseline()).unwrap_or_default();
            let rule = gate.settings.compatibility.scope_rule;
            let requested = &presented.connect.claims().scopes;
            let now = granted(&grant, requested, facts.role, approved, rule);
            let kept = permit.scopes.iter().all(|scope| now.contains(scope));
            if kept {
                Ok(())
            } else {
                Err(Ended::PolicyChanged)
            }
        }
        Verdict::Reject(_) | Verdict::RequirePairing(_) => Err(Ended::PolicyChanged),
    }
}
