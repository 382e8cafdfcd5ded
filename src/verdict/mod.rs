//! What can be decided of a connection: THE TABLE of verdicts, and what bounds an admission.
//!
//! Why a connection is refused, in words that a client may see, is in [`reason`].
//! Nothing here decides: see [`mod@crate::decide`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod change;
pub mod reason;

use std::fmt;

use crate::facts::scopes::{Approved, ScopeRule};
use crate::facts::word::words;
use crate::facts::{Role, Scope, ScopeSet};

pub use change::Change;
pub use reason::Reason;

words! {
    /// The kinds of verdict, from the narrowest to the widest.
    VerdictKind {
        Reject "reject" "refused; nothing is written",
        RequirePairing "require-pairing" "refused for now; a request is kept for the owner to approve",
        Approve "approve" "admitted; nothing more is approved, though when the device was last seen may be noted",
        SilentApprove "silent-approve" "admitted; the device is paired, or its record upgraded, without asking",
    }
}

impl VerdictKind {
    /// Whether the connection gets in: what `admit` stands for in a claim.
    #[must_use]
    pub fn admits(self) -> bool {
        match self {
            VerdictKind::Reject | VerdictKind::RequirePairing => false,
            VerdictKind::Approve | VerdictKind::SilentApprove => true,
        }
    }
}

words! {
    /// What a `require-pairing` says is missing.
    PairingReason {
        NotPaired "not-paired" "the device is not approved yet",
        MetadataUpgrade "metadata-upgrade" "the device describes itself differently than when it was approved",
        RoleUpgrade "role-upgrade" "the device asks for a role that it was not approved for",
        ScopeUpgrade "scope-upgrade" "the device asks for scopes that it was not approved for",
    }
}

/// What is decided of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Refused; nothing is written.
    Reject(Reason),
    /// Refused for now; a request is kept for the owner.
    RequirePairing(PairingReason),
    /// Admitted; nothing more is approved, though when the device was last seen may be noted.
    Approve(Grant),
    /// Admitted; the device is paired, or its record upgraded, without asking.
    SilentApprove(Grant),
}

impl Verdict {
    /// Its row in the table of verdicts.
    #[must_use]
    pub fn kind(self) -> VerdictKind {
        match self {
            Verdict::Reject(_) => VerdictKind::Reject,
            Verdict::RequirePairing(_) => VerdictKind::RequirePairing,
            Verdict::Approve(_) => VerdictKind::Approve,
            Verdict::SilentApprove(_) => VerdictKind::SilentApprove,
        }
    }

    /// Whether the connection gets in.
    #[must_use]
    pub fn admits(self) -> bool {
        self.kind().admits()
    }

    /// What an admission is bounded by.
    #[must_use]
    pub fn grant(self) -> Option<Grant> {
        match self {
            Verdict::Reject(_) | Verdict::RequirePairing(_) => None,
            Verdict::Approve(grant) | Verdict::SilentApprove(grant) => Some(grant),
        }
    }
}

/// As in a policy: `reject(token-missing)`, `approve(scopes=none)`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Verdict::Reject(reason) => format!("reject({reason})"),
            Verdict::RequirePairing(reason) => format!("require-pairing({reason})"),
            Verdict::Approve(grant) | Verdict::SilentApprove(grant) => {
                format!("{}{grant}", self.kind())
            }
        };
        f.pad(&text)
    }
}

/// What an admission is bounded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The scopes that the session may have.
    pub scopes: ScopeBound,
    /// Guards allow no scopes but these; [`ScopeSet::ANY`] when none speaks of scopes.
    pub cap: ScopeSet,
    /// Whether a device token may go back.
    pub token: bool,
    /// How long a pairing made by this verdict lasts, in seconds; for ever without one.
    pub ttl_seconds: Option<u32>,
}

impl Default for Grant {
    fn default() -> Self {
        Grant {
            scopes: ScopeBound::Requested,
            cap: ScopeSet::ANY,
            token: true,
            ttl_seconds: None,
        }
    }
}

impl Grant {
    /// The scopes of a session, of those that were asked for in this role. What was approved
    /// counts for the bound `approved` only, by the rule.
    #[must_use]
    pub fn granted<'a, R: AsRef<str>, A: AsRef<str>>(
        &self,
        requested: &'a [R],
        role: Role,
        approved: &[A],
        rule: ScopeRule,
    ) -> Vec<&'a R> {
        let approved = Approved::new(rule, role.name(), approved);
        let known_in = |scope: &str, set: ScopeSet| {
            Scope::parse(scope.trim()).is_some_and(|scope| set.contains(scope))
        };
        let bounded = |scope: &str| match self.scopes {
            ScopeBound::Requested => true,
            ScopeBound::None => false,
            ScopeBound::Approved => approved.covers(scope),
            ScopeBound::Within(set) => known_in(scope, set),
        };
        let capped = |scope: &str| self.cap == ScopeSet::ANY || known_in(scope, self.cap);
        let passes = |scope: &&R| bounded(scope.as_ref()) && capped(scope.as_ref());
        requested.iter().filter(passes).collect()
    }
}

/// The arguments in parentheses, or nothing when all are defaults.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut arguments = Vec::new();
        match self.scopes {
            ScopeBound::Requested => {}
            ScopeBound::None => arguments.push("scopes=none".to_owned()),
            ScopeBound::Approved => arguments.push("scopes=approved".to_owned()),
            ScopeBound::Within(set) => arguments.push(format!("scopes={}", show_scopes(set))),
        }
        if self.cap != ScopeSet::ANY {
            arguments.push(format!("cap={}", show_scopes(self.cap)));
        }
        if !self.token {
            arguments.push("token=no".to_owned());
        }
        if let Some(seconds) = self.ttl_seconds {
            arguments.push(format!("ttl=\"{}\"", show_seconds(seconds)));
        }
        if arguments.is_empty() {
            Ok(())
        } else {
            write!(f, "({})", arguments.join(", "))
        }
    }
}

/// A set of scopes as a policy writes it.
#[must_use]
pub fn show_scopes(set: ScopeSet) -> String {
    let names: Vec<&str> = set.iter().map(crate::facts::Scope::name).collect();
    if names.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", names.join(", "))
    }
}

/// A number of seconds in the largest unit that divides it: `30d`, `12h`, `5m`, `90s`.
#[must_use]
pub fn show_seconds(seconds: u32) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    units
        .iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit))
        .map_or_else(
            || format!("{seconds}s"),
            |(unit, name)| format!("{}{name}", seconds / unit),
        )
}

/// Which scopes an admitted session may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScopeBound {
    /// What was asked for. What goes beyond the record holds for this session only.
    Requested,
    /// None.
    None,
    /// What the record already has; the rest becomes a pending request.
    Approved,
    /// What was asked for, within this set.
    Within(ScopeSet),
}

/// What is missing, when a request for pairing does not say it: the first that holds of a
/// changed description, a higher role, more scopes; else the pairing itself.
#[must_use]
pub fn pairing_reason(facts: &crate::facts::Facts) -> PairingReason {
    if facts.metadata_upgrade {
        PairingReason::MetadataUpgrade
    } else if facts.role_upgrade {
        PairingReason::RoleUpgrade
    } else if facts.scope_upgrade {
        PairingReason::ScopeUpgrade
    } else {
        PairingReason::NotPaired
    }
}
