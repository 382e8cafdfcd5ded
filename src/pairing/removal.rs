//! What goes away: rejected and expired requests, removed devices, records that a newer one of
//! the same client makes superfluous.

use super::approve::{Denied, waiting};
use super::change::{Change, Decision, Event, Write};
use super::record::{Record, Via};
use super::standing::Standing;
use crate::settings::Compatibility;

/// Rejects the request that waits by this id. The record stays as it is.
///
/// # Errors
///
/// [`Denied::UnknownRequest`] when none waits.
pub fn reject(
    standing: &Standing,
    request_id: &str,
    now_ms: i64,
    rules: &Compatibility,
) -> Result<Change, Denied> {
    let pending = waiting(standing, request_id, now_ms, rules)?;
    Ok(Change {
        pending: Write::Remove,
        events: vec![Event::Resolved {
            request_id: pending.request_id.clone(),
            device_id: pending.device_id.clone(),
            decision: Decision::Rejected,
            at_ms: now_ms,
        }],
        ..Change::none(&*pending.device_id)
    })
}

/// Removes the record of a device, and with `pairing.removeRequests` what waits for it.
/// `None` when there is no record. Nobody is told.
#[must_use]
pub fn remove(standing: &Standing, rules: &Compatibility) -> Option<Change> {
    let record = standing.record.as_ref()?;
    let mut change = Change {
        record: Write::Remove,
        ..Change::none(&*record.device_id)
    };
    if rules.pairing.remove_requests {
        if standing.pending.is_some() {
            change.pending = Write::Remove;
        }
        if standing.node_pending.is_some() {
            change.node_pending = Write::Remove;
        }
    }
    Some(change)
}

/// Removes the request of a device once it has waited too long, and its record once that has
/// ended; nobody is told. `None` when there is neither.
#[must_use]
pub fn expire(standing: &Standing, now_ms: i64, rules: &Compatibility) -> Option<Change> {
    let pending = standing.pending.as_ref();
    let pending = pending.filter(|pending| pending.is_expired(rules.request_ttl_ms, now_ms));
    let record = standing.record.as_ref();
    let record = record.filter(|record| record.has_ended(now_ms));
    let pending_of = pending.map(|pending| &pending.device_id);
    let device_id = record.map(|record| &record.device_id).or(pending_of)?;
    Some(Change {
        record: record.map_or(Write::Keep, |_| Write::Remove),
        pending: pending.map_or(Write::Keep, |_| Write::Remove),
        ..Change::none(&**device_id)
    })
}

/// How long after its approval a record is not pruned, in milliseconds.
pub const PRUNE_AFTER_MS: i64 = 60_000;

/// The records that `newest` makes superfluous: paired without asking, for the same client id,
/// mode and display name, not connected now, approved over a minute ago. Clients that make a
/// new key at each start would fill the store otherwise (OpenClaw #102810).
///
/// Only where `newest` was paired without asking itself, and where `pairing.provenance` keeps
/// who approved what.
#[must_use]
pub fn superfluous<'a>(
    newest: &Record,
    records: impl IntoIterator<Item = &'a Record>,
    is_connected: &dyn Fn(&str) -> bool,
    now_ms: i64,
) -> Vec<Change> {
    let client = |record: &Record| {
        let Record {
            client_id,
            client_mode,
            display_name,
            ..
        } = record;
        (client_id.clone(), client_mode.clone(), display_name.clone())
    };
    if newest.approved_via != Some(Via::Silent) {
        return Vec::new();
    }
    let kind = client(newest);
    let old = records.into_iter().filter(|record| {
        let approved = record.approved_at_ms.unwrap_or(i64::MIN);
        record.device_id != newest.device_id
            && record.approved_via == Some(Via::Silent)
            && client(record) == kind
            && now_ms.saturating_sub(approved) > PRUNE_AFTER_MS
            && !is_connected(&record.device_id)
    });
    old.map(|record| Change {
        record: Write::Remove,
        ..Change::none(&*record.device_id)
    })
    .collect()
}
