//! Approving a request: who may, what the record says afterwards, which tokens it holds.

use super::change::{Change, Decision, Event, Fresh, Write};
use super::key::same_key;
use super::lists::{belongs_to, carried, united};
use super::record::{Pending, Record, Token, Via};
use super::standing::Standing;
use super::token::renewed;
use crate::facts::Role;
use crate::facts::scopes::{covers, outside_roles};
use crate::settings::Compatibility;
use crate::settings::compatibility::{Approval, ApprovedToken};

/// Who approves.
#[derive(Clone, Copy, Debug)]
pub enum Approver<'a> {
    /// A session that may manage devices, with its scopes.
    Owner {
        /// The scopes of the session.
        scopes: &'a [Box<str>],
    },
    /// The policy, for the connection that asks.
    Policy {
        /// What about the connection it goes by.
        via: Via,
        /// The scopes that this very connection asks for: an older request that waits may
        /// ask for more, and nobody has approved that.
        scopes: &'a [Box<str>],
        /// When the approval ends, in Unix milliseconds; never without.
        until_ms: Option<i64>,
        /// Whether the connection is told a new token. Else the device keeps the one it has: a
        /// token that nobody is told would lock it out.
        tells: bool,
    },
}

impl<'a> Approver<'a> {
    fn scopes(&self) -> &'a [Box<str>] {
        match *self {
            Approver::Owner { scopes } | Approver::Policy { scopes, .. } => scopes,
        }
    }

    /// When a record ends that this one approves. An approval that ends makes one end that
    /// did not: else what it adds would stay.
    fn until_ms(&self, before: Option<&Record>) -> Option<i64> {
        let own = match *self {
            Approver::Owner { .. } => return None,
            Approver::Policy { until_ms, .. } => until_ms,
        };
        let earlier = before.and_then(|record| record.expires_at_ms);
        own.into_iter().chain(earlier).min()
    }

    fn replaces_tokens(&self, rules: &Compatibility) -> bool {
        match *self {
            Approver::Owner { .. } => rules.pairing.approval_replaces_tokens,
            Approver::Policy { tells, .. } => tells,
        }
    }

    fn via(&self) -> Via {
        match *self {
            Approver::Owner { .. } => Via::Owner,
            Approver::Policy { via, .. } => via,
        }
    }
}

/// Why a request is not approved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No request waits by this id; it may have expired.
    #[error("unknown requestId")]
    UnknownRequest,
    /// The approver does not hold a scope that is asked for.
    #[error("missing scope: {0}")]
    MissingScope(Box<str>),
    /// A scope is asked for that belongs to none of the roles asked for.
    #[error("invalid scope for requested roles: {0}")]
    ScopeOutsideRoles(Box<str>),
}

/// Approves the request that waits by this id.
///
/// The record then has what it had and what was asked for, and describes the device as the
/// request did; each role that was asked for gets a new token, and the old one is dead
/// (recorded as `sequence/remote-pending-then-approve`).
///
/// # Errors
///
/// [`Denied`] when there is no such request, or the approver may not approve it
/// (`pairing.approval`).
pub fn approve(
    standing: &Standing,
    request_id: &str,
    approver: Approver<'_>,
    fresh: &mut Fresh<'_>,
    now_ms: i64,
    rules: &Compatibility,
) -> Result<Change, Denied> {
    let pending = waiting(standing, request_id, now_ms, rules)?;
    check(pending, approver, rules)?;
    let before = standing.live_record(now_ms).filter(|record| {
        record.device_id == pending.device_id
            && (rules.token_of_another_key || same_key(&record.public_key, &pending.public_key))
    });
    let record = approved(pending, before, approver, fresh, now_ms, rules);
    Ok(Change {
        record: Write::Put(record),
        pending: Write::Remove,
        events: vec![Event::Resolved {
            request_id: pending.request_id.clone(),
            device_id: pending.device_id.clone(),
            decision: Decision::Approved,
            at_ms: now_ms,
        }],
        ..Change::none(&*pending.device_id)
    })
}

fn check(pending: &Pending, approver: Approver<'_>, rules: &Compatibility) -> Result<(), Denied> {
    let everyone = match (rules.pairing.approval, approver) {
        (Approval::Owner, Approver::Policy { .. }) => return Ok(()),
        (Approval::Owner, Approver::Owner { .. }) => false,
        (Approval::Everyone, Approver::Owner { .. } | Approver::Policy { .. }) => true,
    };
    let asked = pending.asked_scopes();
    if everyone {
        let roles: Vec<&str> = pending.asked_roles().collect();
        if let Some(scope) = outside_roles(&roles, asked) {
            return Err(Denied::ScopeOutsideRoles(scope.trim().into()));
        }
    }
    let operator = Role::Operator.name();
    let of_operators: Vec<&Box<str>> = asked
        .iter()
        .filter(|scope| belongs_to(scope, operator))
        .collect();
    covers(rules.scope_rule, operator, &of_operators, approver.scopes())
        .map_err(|scope| Denied::MissingScope(scope.trim().into()))
}

fn approved(
    pending: &Pending,
    before: Option<&Record>,
    approver: Approver<'_>,
    fresh: &mut Fresh<'_>,
    now_ms: i64,
    rules: &Compatibility,
) -> Record {
    let asked = pending.asked_scopes();
    let revives = rules.pairing.approval_revives;
    let had = before.map(|before| match revives {
        true => before.baseline().iter().map(AsRef::as_ref).collect(),
        false => unrevoked(before, pending),
    });
    let scopes = united(had.unwrap_or_default(), asked);
    let roles = united(
        before.into_iter().flat_map(Record::approved_roles),
        pending.asked_roles(),
    );
    let mut tokens = before
        .and_then(|record| record.tokens.clone())
        .unwrap_or_default();
    for role in united(pending.asked_roles(), [""; 0]) {
        let old = tokens.get(&role);
        let old = old.filter(|old| revives || old.revoked_at_ms.is_none());
        let rule = rules.pairing.approved_token;
        let scopes = token_scopes(&role, asked, &scopes, old, rule);
        let replaces = approver.replaces_tokens(rules);
        let token = match old {
            Some(old) if !replaces && old.revoked_at_ms.is_none() => Token {
                scopes: scopes.into(),
                ..old.clone()
            },
            Some(_) | None => renewed(tokens.get(&role), &role, &scopes, None, fresh, now_ms),
        };
        tokens.insert(role, token);
    }
    let kept = |asked: &Option<Box<str>>, had: fn(&Record) -> &Option<Box<str>>| {
        asked
            .clone()
            .or_else(|| before.and_then(|record| had(record).clone()))
    };
    let via = match before.and_then(|record| record.approved_via) {
        // What an owner approved stays so, although the policy would have.
        Some(earlier) if approver.via() != Via::Owner => earlier,
        Some(_) | None => approver.via(),
    };
    Record {
        device_id: pending.device_id.clone(),
        public_key: pending.public_key.clone(),
        display_name: kept(&pending.display_name, |record| &record.display_name),
        platform: kept(&pending.platform, |record| &record.platform),
        device_family: kept(&pending.device_family, |record| &record.device_family),
        client_id: kept(&pending.client_id, |record| &record.client_id),
        client_mode: kept(&pending.client_mode, |record| &record.client_mode),
        role: kept(&pending.role, |record| &record.role),
        roles: Some(roles),
        scopes: rules.pairing.list(scopes.clone()),
        approved_scopes: rules.pairing.list(scopes),
        remote_ip: kept(&pending.remote_ip, |record| &record.remote_ip),
        tokens: Some(tokens),
        created_at_ms: before
            .and_then(|record| record.created_at_ms)
            .or(Some(now_ms)),
        approved_at_ms: Some(now_ms),
        approved_via: rules.pairing.provenance.then_some(via),
        expires_at_ms: approver.until_ms(before),
        operator_label: before.and_then(|record| record.operator_label.clone()),
        last_seen_at_ms: before.and_then(|record| record.last_seen_at_ms),
        last_seen_reason: before.and_then(|record| record.last_seen_reason.clone()),
        browser_origin: kept(&pending.browser_origin, |record| &record.browser_origin),
        node_surface: before.and_then(|record| record.node_surface.clone()),
        pending_node_surface: before.and_then(|record| record.pending_node_surface.clone()),
    }
}

/// What stays approved of a record: a role whose token was revoked, and which is asked for again, has what
/// is asked for and no more. Else whoever approves would bring back what they do not see.
fn unrevoked<'a>(before: &'a Record, pending: &Pending) -> Vec<&'a str> {
    let revoked: Vec<&str> = pending
        .asked_roles()
        .filter(|role| {
            let token = before.tokens.as_ref().and_then(|tokens| tokens.get(*role));
            token.is_some_and(|token| token.revoked_at_ms.is_some())
        })
        .collect();
    let baseline = before.baseline().iter().map(AsRef::as_ref);
    baseline
        .filter(|scope| !revoked.iter().any(|role| belongs_to(scope, role)))
        .collect()
}

/// The scopes of an approval's token: those asked for, else those it had, else those approved.
fn token_scopes(
    role: &str,
    asked: &[Box<str>],
    approved: &[Box<str>],
    old: Option<&Token>,
    rule: ApprovedToken,
) -> Vec<Box<str>> {
    let of_role = |list: &[Box<str>]| -> Vec<Box<str>> {
        let all = rule == ApprovedToken::Asked;
        list.iter()
            .filter(|scope| all || belongs_to(scope, role))
            .cloned()
            .collect()
    };
    let asked = of_role(asked);
    let had = old.map(|old| of_role(&old.scopes)).unwrap_or_default();
    let falls_back = rule == ApprovedToken::Asked || role == Role::Operator.name();
    let mut scopes = match (asked.is_empty(), had.is_empty()) {
        (true, true) if falls_back => of_role(approved),
        (true, false) if falls_back => had.clone(),
        (true | false, true | false) => asked,
    };
    match rule {
        ApprovedToken::Asked | ApprovedToken::OfRole => {}
        ApprovedToken::Kept => scopes.extend(had),
    }
    carried(&scopes)
}

/// The request of this id that waits and has not expired.
pub(super) fn waiting<'a>(
    standing: &'a Standing,
    request_id: &str,
    now_ms: i64,
    rules: &Compatibility,
) -> Result<&'a Pending, Denied> {
    let pending = standing.pending.as_ref();
    pending
        .filter(|pending| &*pending.request_id == request_id)
        .filter(|pending| !pending.is_expired(rules.request_ttl_ms, now_ms))
        .ok_or(Denied::UnknownRequest)
}
