//! Carrying out a verdict: from what was decided of a connection to what is written, which
//! token goes back, and whether it has to wait after all.

use std::borrow::Cow;

use super::approve::{Approver, approve};
use super::change::{Change, Event, Fresh};
use super::record::Via;
use super::request::{Ask, request};
use super::session::{node_surface, refresh};
use super::standing::{DeviceRequest, Relation, Rules, Standing};
use super::token::{IssuedToken, ensure_token, use_token};
use crate::facts::Pairing;
use crate::facts::metadata::normalize_metadata;
use crate::settings::Compatibility;
use crate::verdict::{PairingReason, Verdict};

/// What a verdict means for what is remembered of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It is admitted past pairing: its record is not looked at, and not touched but for its
    /// token.
    Pass,
    /// It is admitted as what it is paired as.
    Refresh,
    /// It is paired, or gets what it asks for, without asking.
    Pair(Via),
    /// A request waits for the owner.
    Ask(PairingReason),
    /// A request waits that needed no asking and cannot be approved as it is: a later
    /// connection may still have it approved.
    Propose(PairingReason),
}

impl Course {
    /// The course of a verdict, for a device that stands to its record like this; a rejection
    /// has none.
    #[must_use]
    pub fn of(verdict: Verdict, relation: &Relation) -> Option<Self> {
        match verdict {
            Verdict::Reject(_) => None,
            Verdict::RequirePairing(reason) => Some(Course::Ask(reason)),
            Verdict::SilentApprove(_) => Some(Course::Pair(Via::Silent)),
            Verdict::Approve(_) => Some(match relation.pairing {
                Pairing::Paired => Course::Refresh,
                Pairing::None | Pairing::Unpaired | Pairing::KeyChanged | Pairing::Upgrade => {
                    Course::Pass
                }
            }),
        }
    }
}

/// What came of carrying out a verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What to commit before anything is answered.
    pub change: Change,
    /// The token that goes back.
    pub token: Option<IssuedToken>,
    /// Why it has to wait for the owner, if it has to: then it is not admitted. A connection
    /// that was to be paired without asking has to wait where an older request of the device
    /// asks for more than it does, or needed asking.
    pub waits: Option<PairingReason>,
}

impl Outcome {
    /// The id of the request that waits afterwards, for the answer.
    #[must_use]
    pub fn request_id(&self, before: &Standing) -> Option<Box<str>> {
        let after = self.change.pending.after(before.pending.as_ref());
        after.map(|pending| pending.request_id.clone())
    }
}

/// Carries out a verdict on one device.
///
/// A device that lacks a role and a scope is approved for one after the other, as OpenClaw
/// does it, so its token counts as replaced (`pairing/direct/cli/paired-node/read` of 2026.9).
#[must_use]
pub fn carry_out(
    course: Course,
    standing: &Standing,
    ask: &Ask<'_>,
    fresh: &mut Fresh<'_>,
    now_ms: i64,
    rules: &Compatibility,
) -> Outcome {
    let mut work = Work {
        standing: Cow::Borrowed(standing),
        change: Change::none(ask.device_id.clone()),
    };
    if ask.by_device_token {
        let used = use_token(&work.standing, ask.role, now_ms);
        work.add(used);
    }
    match course {
        Course::Ask(reason) => {
            let role_first = rules.pairing.role_before_scopes
                && reason == PairingReason::ScopeUpgrade
                && lacks(&work.standing, ask, now_ms, rules).contains(&PairingReason::RoleUpgrade);
            if role_first {
                pair(&mut work, Via::Silent, ask, fresh, now_ms, rules);
            }
            let asked = request(&work.standing, ask, false, fresh, now_ms, rules);
            work.add(asked);
            return work.wait(reason);
        }
        Course::Propose(reason) => {
            let asked = request(&work.standing, ask, true, fresh, now_ms, rules);
            work.add(asked);
            work.announce();
            return work.wait(reason);
        }
        Course::Pair(via) => {
            for reason in lacks(&work.standing, ask, now_ms, rules) {
                if !pair(&mut work, via, ask, fresh, now_ms, rules) {
                    return work.wait(reason);
                }
            }
            let seen = refresh(&work.standing, ask, now_ms, rules);
            work.add(seen);
        }
        Course::Refresh => {
            let seen = refresh(&work.standing, ask, now_ms, rules);
            work.add(seen);
        }
        Course::Pass => {}
    }
    let mut token = None;
    if ask.wants_token {
        let (issued, minted) = ensure_token(&work.standing, ask, fresh, now_ms, rules);
        work.add(minted);
        let had = standing.record.as_ref();
        let had = had.and_then(|record| record.token(ask.role.name()));
        token = issued.map(|issued| IssuedToken {
            minted: !had.is_some_and(|had| had.token.matches(&issued.token)),
            ..issued
        });
    }
    let surface = node_surface(&work.standing, ask, fresh, now_ms, rules);
    work.add(surface);
    Outcome {
        change: work.change,
        token,
        waits: None,
    }
}

/// What was written so far, and what is remembered with it.
struct Work<'a> {
    /// Most connections of a paired device write nothing of it.
    standing: Cow<'a, Standing>,
    change: Change,
}

impl Work<'_> {
    fn add(&mut self, later: Change) {
        if later.is_empty() && later.events.is_empty() {
            return;
        }
        // Nothing that follows depends on notes.
        if !later.only_notes() {
            self.standing = Cow::Owned(later.apply(&self.standing));
        }
        self.change = std::mem::take(&mut self.change).then(later);
    }

    /// A request that needed no asking, and waits after all, is told of like any other.
    fn announce(&mut self) {
        let waiting = self.standing.pending.as_ref();
        if let Some(pending) = waiting.filter(|pending| pending.silent == Some(true)) {
            let told = Event::Requested(Box::new(pending.clone()));
            self.change.events.push(told);
        }
    }

    fn wait(self, reason: PairingReason) -> Outcome {
        Outcome {
            change: self.change,
            token: None,
            waits: Some(reason),
        }
    }
}

/// Asks without asking: makes the request, and approves it with what the connection itself
/// asks for. Whether it went through; else the request waits for the owner.
fn pair(
    work: &mut Work<'_>,
    via: Via,
    ask: &Ask<'_>,
    fresh: &mut Fresh<'_>,
    now_ms: i64,
    rules: &Compatibility,
) -> bool {
    let asked = request(&work.standing, ask, true, fresh, now_ms, rules);
    work.add(asked);
    let Some(pending) = work.standing.pending.as_ref() else {
        return false;
    };
    if pending.silent != Some(true) {
        return false;
    }
    let scopes = ask.scopes;
    let approver = Approver::Policy {
        via,
        scopes,
        until_ms: ask.until_ms,
        tells: ask.wants_token,
    };
    let id = pending.request_id.clone();
    match approve(&work.standing, &id, approver, fresh, now_ms, rules) {
        Ok(approved) => {
            work.add(approved);
            true
        }
        Err(_denied) => {
            work.announce();
            false
        }
    }
}

/// What the device lacks of what it asks for, in the order in which OpenClaw asks.
fn lacks(
    standing: &Standing,
    ask: &Ask<'_>,
    now_ms: i64,
    rules: &Compatibility,
) -> Vec<PairingReason> {
    let family = ask
        .family(rules)
        .map(normalize_metadata)
        .unwrap_or_default();
    let request = DeviceRequest {
        device_id: ask.device_id,
        public_key: ask.public_key,
        client: ask.client,
        mode: ask.mode,
        role: ask.role,
        scopes: ask.scopes,
        platform: &normalize_metadata(ask.platform.unwrap_or_default()),
        device_family: &family,
    };
    let relation = standing.relation(&request, Rules::of(rules), now_ms);
    match relation.pairing {
        Pairing::None | Pairing::Unpaired | Pairing::KeyChanged => vec![PairingReason::NotPaired],
        Pairing::Paired => Vec::new(),
        Pairing::Upgrade => {
            let upgrades = [
                (relation.metadata_upgrade, PairingReason::MetadataUpgrade),
                (relation.role_upgrade, PairingReason::RoleUpgrade),
                (relation.scope_upgrade, PairingReason::ScopeUpgrade),
            ];
            let lacking = upgrades.into_iter().filter(|(lacks, _)| *lacks);
            lacking.map(|(_, reason)| reason).collect()
        }
    }
}

#[cfg(test)]
mod tests;
