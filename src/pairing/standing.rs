//! How a connection relates to what is remembered of its device.

use std::borrow::Cow;

use serde::Deserialize;

use super::key::same_key;
use super::record::{NodePending, Pending, Record};
use crate::facts::metadata::{Description, MetadataRule, normalize_metadata, same_platform};
use crate::facts::scopes::{ScopeRule, covers};
use crate::facts::{Client, Mode, Pairing, PendingRequest, Role};
use crate::secret::Secret;
use crate::settings::Compatibility;
use crate::settings::compatibility::{Approval, ApprovedBaseline};

/// What is remembered of one device.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Standing {
    /// Its pairing record.
    pub record: Option<Record>,
    /// Its request that waits for the owner, expired or not.
    pub pending: Option<Pending>,
    /// Its request, as a node, for what it may serve.
    pub node_pending: Option<NodePending>,
}

/// What a connection says and asks, as far as pairing is concerned. Whether it holds the
/// key is not looked at here.
#[derive(Clone, Copy, Debug)]
pub struct DeviceRequest<'a> {
    /// The device id it names.
    pub device_id: &'a str,
    /// The public key it names, in any spelling.
    pub public_key: &'a str,
    /// What it says it is.
    pub client: Client,
    /// How it says it works.
    pub mode: Mode,
    /// The role it asks for.
    pub role: Role,
    /// The scopes it asks for, as sent.
    pub scopes: &'a [Box<str>],
    /// The platform it names, normalised; empty when none.
    pub platform: &'a str,
    /// The device family it names, normalised; empty when none.
    pub device_family: &'a str,
}

/// How approvals are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Which approved scopes cover a requested one.
    pub scopes: ScopeRule,
    /// Which list of a record a requested scope has to be covered by.
    pub baseline: ApprovedBaseline,
    /// Whether a role counts as approved only while it has a token that is not revoked.
    /// A record that holds no tokens at all predates them: then the roles count.
    pub roles_need_tokens: bool,
    /// When another description is another device.
    pub metadata: MetadataRule,
    /// Whether a device token is good although the record holds another key.
    pub token_of_another_key: bool,
    /// Whether a device token is good only while the record approves all that it carries.
    pub token_within_approval: bool,
    /// How long a request waits, in milliseconds.
    pub request_ttl_ms: i64,
    /// Whether a request that needed no asking is approved only as far as the connection
    /// asks that has it approved.
    pub silent_is_checked: bool,
}

impl Rules {
    /// As the settings want it.
    #[must_use]
    pub fn of(compatibility: &Compatibility) -> Self {
        Rules {
            scopes: compatibility.scope_rule,
            baseline: compatibility.approved_baseline,
            roles_need_tokens: compatibility.roles_need_tokens,
            metadata: compatibility.metadata_rule,
            token_of_another_key: compatibility.token_of_another_key,
            token_within_approval: compatibility.pairing.token_within_approval,
            request_ttl_ms: compatibility.request_ttl_ms,
            silent_is_checked: compatibility.pairing.approval == Approval::Everyone,
        }
    }
}

/// The facts about pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The whole of it.
    pub pairing: Pairing,
    /// A role is asked for that was not approved.
    pub role_upgrade: bool,
    /// Scopes are asked for that the approved ones do not cover.
    pub scope_upgrade: bool,
    /// Another platform or device family is named than was approved.
    pub metadata_upgrade: bool,
    /// Whether an earlier request waits.
    pub pending: PendingRequest,
}

impl Relation {
    /// No device, so nothing to relate to.
    pub const NONE: Relation = Relation {
        pairing: Pairing::None,
        role_upgrade: false,
        scope_upgrade: false,
        metadata_upgrade: false,
        pending: PendingRequest::None,
    };
}

/// What a device token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenCheck {
    /// It is this device's, for this role, and carries the scopes asked for.
    Good,
    /// It is not this device's token for this role, or that one was revoked.
    Mismatch,
    /// It is, but it carries fewer scopes than are asked for, or more than are approved.
    ScopeMismatch,
}

impl Standing {
    /// The device that this is of; none of an empty one.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        let record = self.record.as_ref().map(|record| &*record.device_id);
        let pending = self.pending.as_ref().map(|pending| &*pending.device_id);
        record.or(pending)
    }

    /// What of it holds at `now_ms` in Unix milliseconds. A record that has ended is
    /// as good as none: a new approval does not bring back what it held.
    #[must_use]
    pub fn live(&self, now_ms: i64) -> Cow<'_, Standing> {
        match self
            .record
            .as_ref()
            .is_none_or(|record| record.holds(now_ms))
        {
            true => Cow::Borrowed(self),
            false => Cow::Owned(Standing {
                record: None,
                ..self.clone()
            }),
        }
    }

    /// The record, if it holds at `now_ms`.
    #[must_use]
    pub fn live_record(&self, now_ms: i64) -> Option<&Record> {
        self.record.as_ref().filter(|record| record.holds(now_ms))
    }

    /// How the request relates to the record and to the request that waits, at `now_ms` in
    /// Unix milliseconds.
    ///
    /// Upgrades are found all at once, and each against the record as it is: OpenClaw asks in
    /// the order metadata, role, scopes, and compares with the same old record each time, so
    /// one approval never answers the next question. A record or pending request of another
    /// device id is not this device's.
    #[must_use]
    pub fn relation(&self, request: &DeviceRequest<'_>, rules: Rules, now_ms: i64) -> Relation {
        let pending = self.pending_for(request, rules, now_ms);
        let Some(record) = self.record_of(request) else {
            return Relation {
                pairing: Pairing::Unpaired,
                pending,
                ..Relation::NONE
            };
        };
        if !same_key(&record.public_key, request.public_key) {
            return Relation {
                pairing: Pairing::KeyChanged,
                pending,
                ..Relation::NONE
            };
        }
        let role = request.role.name();
        let role_upgrade = !has_role(record, role, rules);
        let scope_upgrade = covers(
            rules.scopes,
            role,
            request.scopes,
            record.baseline_by(rules.baseline),
        )
        .is_err();
        let metadata_upgrade = (differs(record.platform.as_deref(), request.platform)
            && !is_excused(record, request, rules))
            || differs(record.device_family.as_deref(), request.device_family);
        let pairing = match role_upgrade || scope_upgrade || metadata_upgrade {
            true => Pairing::Upgrade,
            false => Pairing::Paired,
        };
        Relation {
            pairing,
            role_upgrade,
            scope_upgrade,
            metadata_upgrade,
            pending,
        }
    }

    /// What a secret is worth as this device's token. The comparison is in constant time; a
    /// token that carries more than was approved is worth nothing.
    #[must_use]
    pub fn check_token(
        &self,
        request: &DeviceRequest<'_>,
        secret: &Secret,
        rules: Rules,
    ) -> TokenCheck {
        let role = request.role.name();
        let record = self.record_of(request).filter(|record| {
            rules.token_of_another_key || same_key(&record.public_key, request.public_key)
        });
        let Some((record, token)) = record.and_then(|record| Some((record, record.token(role)?)))
        else {
            return TokenCheck::Mismatch;
        };
        if !token.token.matches(secret) {
            return TokenCheck::Mismatch;
        }
        let approved = !rules.token_within_approval
            || covers(rules.scopes, role, &token.scopes, record.baseline()).is_ok();
        if approved && covers(rules.scopes, role, request.scopes, &token.scopes).is_ok() {
            TokenCheck::Good
        } else {
            TokenCheck::ScopeMismatch
        }
    }

    /// The request of this device that waits and has not expired.
    #[must_use]
    pub fn waiting(&self, device_id: &str, ttl_ms: i64, now_ms: i64) -> Option<&Pending> {
        self.pending
            .as_ref()
            .filter(|pending| &*pending.device_id == device_id)
            .filter(|pending| !pending.is_expired(ttl_ms, now_ms))
    }

    fn record_of(&self, request: &DeviceRequest<'_>) -> Option<&Record> {
        self.record
            .as_ref()
            .filter(|record| &*record.device_id == request.device_id)
    }

    fn pending_for(
        &self,
        request: &DeviceRequest<'_>,
        rules: Rules,
        now_ms: i64,
    ) -> PendingRequest {
        let waiting = self.waiting(request.device_id, rules.request_ttl_ms, now_ms);
        let Some(pending) = waiting else {
            return PendingRequest::None;
        };
        let role = request.role.name();
        let wider = pending.asked_roles().any(|asked| asked != role)
            || covers(rules.scopes, role, pending.asked_scopes(), request.scopes).is_err();
        match (pending.silent == Some(true), wider) {
            (false, false) => PendingRequest::Asked,
            (false, true) => PendingRequest::Wider,
            (true, true) if rules.silent_is_checked => PendingRequest::SilentWider,
            (true, _) => PendingRequest::Silent,
        }
    }
}

fn has_role(record: &Record, role: &str, rules: Rules) -> bool {
    let live = match &record.tokens {
        Some(_) if rules.roles_need_tokens => record.token(role).is_some(),
        Some(_) | None => true,
    };
    live && record.approved_roles().any(|approved| approved == role)
}

/// Whether another platform still is the one that was approved.
fn is_excused(record: &Record, request: &DeviceRequest<'_>, rules: Rules) -> bool {
    let claimed = Description {
        platform: request.platform,
        family: request.device_family,
    };
    let approved = Description {
        platform: &normalize_metadata(record.platform.as_deref().unwrap_or_default()),
        family: &normalize_metadata(record.device_family.as_deref().unwrap_or_default()),
    };
    rules.metadata == MetadataRule::SameFamily
        && same_platform(request.client, request.mode, claimed, approved)
}

/// Whether a pinned description is another one; nothing pinned is none.
fn differs(pinned: Option<&str>, claimed: &str) -> bool {
    let pinned = pinned.unwrap_or_default();
    // Most clients spell it normalised: then nothing needs to be copied.
    pinned != claimed && {
        let pinned = normalize_metadata(pinned);
        !pinned.is_empty() && pinned != claimed
    }
}

#[cfg(test)]
mod tests;
