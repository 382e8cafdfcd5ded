//! What an admitted session leaves behind of itself: where and as what the device was last
//! seen, and what a node wants to serve.

use serde_json::json;

use super::change::{Change, Fresh, Notes, Write};
use super::lists::united;
use super::record::{NodePending, Record};
use super::request::Ask;
use super::standing::Standing;
use crate::facts::Role;
use crate::settings::Compatibility;
use crate::settings::compatibility::NodeSurface;

/// Brings the record of a paired device up to date. What it was approved with (key, platform,
/// device family) stays: another of these is for the owner to approve.
#[must_use]
pub fn refresh(standing: &Standing, ask: &Ask<'_>, now_ms: i64, rules: &Compatibility) -> Change {
    let none = Change::none(ask.device_id.clone());
    let own = |record: &&Record| *record.device_id == **ask.device_id;
    let Some(record) = standing.record.as_ref().filter(own) else {
        return none;
    };
    let was_ip = record.remote_ip.as_deref().map(str::parse);
    Change {
        record: described(record, ask, rules).map_or(Write::Keep, Write::Put),
        notes: Notes {
            remote_ip: ask.remote_ip.filter(|ip| was_ip != Some(Ok(*ip))),
            connected_at_ms: rules.pairing.provenance.then_some(now_ms),
            token_used: None,
        },
        ..none
    }
}

/// The record with what the device says of itself now, where that is something else.
fn described(record: &Record, ask: &Ask<'_>, rules: &Compatibility) -> Option<Record> {
    let (client, mode, role) = (ask.client.name(), ask.mode.name(), ask.role.name());
    let named = |kept: &Option<Box<str>>, name: &str| kept.as_deref() == Some(name);
    let same_name =
        ask.display_name.is_none() || record.display_name.as_deref() == ask.display_name;
    let same_client = named(&record.client_id, client) && named(&record.client_mode, mode);
    if same_name && same_client && !rules.pairing.sessions_leave_scopes {
        return None;
    }
    let mut seen = Record {
        client_id: Some(client.into()),
        client_mode: Some(mode.into()),
        ..record.clone()
    };
    if let Some(name) = ask.display_name {
        seen.display_name = Some(name.into());
    }
    if rules.pairing.sessions_leave_scopes {
        let roles = united(record.roles.iter().flatten(), [role]);
        let scopes = united(record.scopes.iter().flatten(), ask.scopes);
        seen.role = Some(role.into());
        seen.roles = Some(roles);
        seen.scopes = rules.pairing.list(scopes);
    }
    (seen != *record).then_some(seen)
}

/// Leaves waiting that a node wants what it may serve approved (`pairing.nodeSurface`). What it
/// wants is not looked at: each session of a node leaves one, until one waits.
#[must_use]
pub fn node_surface(
    standing: &Standing,
    ask: &Ask<'_>,
    fresh: &mut Fresh<'_>,
    now_ms: i64,
    rules: &Compatibility,
) -> Change {
    let none = Change::none(ask.device_id.clone());
    match (ask.role, rules.pairing.node_surface) {
        (Role::Operator, _) | (Role::Node, NodeSurface::None) => none,
        (Role::Node, NodeSurface::Request) if standing.node_pending.is_some() => none,
        (Role::Node, NodeSurface::Request) => Change {
            node_pending: Write::Put(NodePending {
                request_id: (fresh.request_id)(),
                ts: now_ms,
            }),
            ..none
        },
        (Role::Node, NodeSurface::Record) => {
            let own = |record: &&Record| {
                *record.device_id == **ask.device_id && record.pending_node_surface.is_none()
            };
            let Some(record) = standing.record.as_ref().filter(own) else {
                return none;
            };
            let waiting = json!({ "requestId": (fresh.request_id)(), "ts": now_ms });
            Change {
                record: Write::Put(Record {
                    pending_node_surface: Some(waiting),
                    ..record.clone()
                }),
                ..none
            }
        }
    }
}
