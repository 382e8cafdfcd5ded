//! The right to a session, and whether it still holds.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::arrival::{Arrival, approved};
use super::upgrade::Request;
use super::{Gate, Presented, Remembered, observed};
use crate::decide::{self, decide};
use crate::facts::{Auth, AuthFailure, Client, DeviceProof, Facts, Mode, Pairing, Role, Text};
use crate::pairing::Standing;
use crate::pairing::change::Change;
use crate::pairing::record::SET_BACK_MS;
use crate::secret::Secret;
use crate::verdict::Verdict;
use crate::wire::Close;

/// The right to a session. Only an admission makes one, and it cannot be copied: a session
/// that ends takes it along.
#[derive(Debug)]
pub struct Permit {
    request: Arc<Request>,
    presented: Presented,
    auth: Auth,
    device: Option<Text>,
    /// Whether the device was paired when the session began, and whether for its role.
    recorded: bool,
    role_recorded: bool,
    /// The token that took the place of the one the device sent.
    renewed: Option<Secret>,
    scopes: Arc<[Box<str>]>,
    until_ms: Option<i64>,
}

/// Why a session has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// The login that let it in is another one now.
    #[error("gateway auth changed")]
    AuthChanged,
    /// Its device is no longer paired, or its token no longer holds.
    #[error("device access revoked")]
    Revoked,
    /// The time is over that the policy gave it (`ttl`).
    #[error("device access expired")]
    Expired,
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
            Ended::Revoked | Ended::Expired | Ended::PolicyChanged => 1008,
        };
        Close::new(code, &self.to_string())
    }
}

impl Permit {
    pub(super) fn new(arrival: &Arrival<'_>, change: &Change, scopes: Arc<[Box<str>]>) -> Self {
        let facts = &arrival.facts;
        let proven = facts.device == DeviceProof::Proven;
        let paired = proven && matches!(arrival.decision.verdict, Verdict::SilentApprove(_));
        let recorded = paired || is_recorded(facts);
        let device = arrival.presented.device().filter(|_| proven);
        let before = arrival.remembered.standing.record.as_ref();
        let kept = change.record.after(before);
        Permit {
            request: Arc::clone(&arrival.upgrade.request),
            presented: arrival.presented.clone(),
            auth: facts.auth,
            device: device.cloned(),
            recorded,
            role_recorded: recorded && (paired || !facts.role_upgrade),
            renewed: renewed(arrival, change),
            scopes,
            until_ms: match recorded {
                true => kept.and_then(|record| record.expires_at_ms),
                false => arrival.until_ms(),
            },
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

    /// The same, to be kept.
    pub(crate) fn shared_scopes(&self) -> &Arc<[Box<str>]> {
        &self.scopes
    }

    /// The authentication that held.
    #[must_use]
    pub fn auth(&self) -> Auth {
        self.auth
    }

    /// When the session ends by itself, in Unix milliseconds, as it was admitted: at the end of
    /// its device's approval, or of its own where nothing is recorded.
    #[must_use]
    pub fn until_ms(&self) -> Option<i64> {
        self.until_ms
    }

    /// The same by what is remembered now: another approval may have moved the end. Ask
    /// [`still_admitted`] then.
    #[must_use]
    pub fn until_ms_by(&self, standing: &Standing) -> Option<i64> {
        match self.recorded {
            true => standing.record.as_ref()?.expires_at_ms,
            false => self.until_ms,
        }
    }

    /// The device, where it was proven. One that was named and passed over is none.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        self.device.as_deref()
    }

    /// The same, to be kept.
    pub(crate) fn device(&self) -> Option<&Text> {
        self.device.as_ref()
    }
}

/// Whether the record is the device's own.
fn is_recorded(facts: &Facts) -> bool {
    matches!(facts.pairing, Pairing::Paired | Pairing::Upgrade)
}

/// The token that the admission itself put in the place of the one that let the device in; the
/// same one, where it carries other scopes now.
fn renewed(arrival: &Arrival<'_>, change: &Change) -> Option<Secret> {
    if arrival.facts.auth != Auth::DeviceToken || change.record.is_keep() {
        return None;
    }
    let of_role = |standing: &Standing| {
        let record = standing.record.as_ref();
        let token = record.and_then(|record| record.token(arrival.facts.role.name()));
        token.map(|token| (token.token.clone(), token.scopes.clone()))
    };
    let before = arrival.remembered.standing;
    let after = of_role(&change.apply(before))?;
    (of_role(before)? != after).then_some(after.0)
}

/// Whether a session may go on, under a policy, settings and a standing that may have changed.
///
/// A session that was admitted as paired ends with its record, even where a new connection
/// would be paired anew: else removing a device that connects from this host would change
/// nothing. Requests that wait are not looked at: they are of connections that were not
/// admitted, and one could end a session by asking.
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
    if !permit.recorded && !permit.lasts(now_ms) {
        return Err(Ended::Expired);
    }
    let presented = Presented {
        time_ms: now_ms,
        ..permit.presented.clone()
    };
    let upgrade = permit.request.under(gate.settings);
    if decide::at_upgrade(gate.policy.program(), &upgrade.facts).is_some() {
        return Err(Ended::PolicyChanged);
    }
    let standing = settled(standing, now_ms);
    let (mut facts, _) = observed(gate, &upgrade, &presented, Remembered::of(&standing));
    if permit.still_authenticated(&standing) {
        facts.auth = permit.auth;
        facts.auth_failure = AuthFailure::None;
    }
    if facts.auth != permit.auth {
        let nothing_holds = matches!(facts.auth, Auth::None | Auth::Failed);
        return Err(match permit.auth == Auth::DeviceToken && nothing_holds {
            true => Ended::Revoked,
            false => Ended::AuthChanged,
        });
    }
    let stranger = matches!(facts.pairing, Pairing::Unpaired | Pairing::KeyChanged);
    if permit.recorded && stranger || permit.role_recorded && facts.role_upgrade {
        return Err(Ended::Revoked);
    }
    match decide(gate.policy.program(), &facts).verdict {
        Verdict::Approve(grant) | Verdict::SilentApprove(grant) => {
            let approved = approved(&facts, &standing);
            let rule = gate.settings.compatibility.scope_rule;
            let requested = &presented.connect.claims().scopes;
            let now = grant.granted(requested, facts.role, approved, rule);
            let now: BTreeSet<&Box<str>> = now.into_iter().collect();
            let kept = permit.scopes.iter().all(|scope| now.contains(scope));
            kept.then_some(()).ok_or(Ended::PolicyChanged)
        }
        Verdict::Reject(_) | Verdict::RequirePairing(_) => Err(Ended::PolicyChanged),
    }
}

impl Permit {
    /// Whether the time that it was given is not over: neither by its end, nor because the clock was
    /// set back to before its beginning.
    fn lasts(&self, now_ms: i64) -> bool {
        let begins_ms = self.presented.time_ms.saturating_sub(SET_BACK_MS);
        self.until_ms
            .is_none_or(|until_ms| (begins_ms..until_ms).contains(&now_ms))
    }

    /// Whether a login holds that cannot be shown again: a setup code is spent by the session
    /// that it began, and a device token may have been replaced by its own admission.
    fn still_authenticated(&self, standing: &Standing) -> bool {
        if self.auth == Auth::BootstrapToken {
            return true;
        }
        if self.auth != Auth::DeviceToken {
            return false;
        }
        let record = standing.record.as_ref();
        let token = record.and_then(|record| Some((record, record.token(self.role().name())?)));
        token.is_some_and(|(record, token)| {
            let renewed = self.renewed.as_ref();
            // An approval replaces a token and takes nothing away; only a rotation does.
            let by_approval = token.rotated_at_ms.is_some_and(|at_ms| {
                at_ms > self.presented.time_ms && record.approved_at_ms == Some(at_ms)
            });
            by_approval || renewed.is_some_and(|renewed| token.token.matches(renewed))
        })
    }
}

/// What is remembered without what has ended, and without requests that wait.
fn settled(standing: &Standing, now_ms: i64) -> Cow<'_, Standing> {
    let live = standing.live(now_ms);
    match live.pending.is_some() {
        true => Cow::Owned(Standing {
            pending: None,
            ..live.into_owned()
        }),
        false => live,
    }
}
