//! What an admitted session leaves behind of itself: where and as what the device was last
//! seen, and what a node wants to serve.

use serde_json::json;

use super::change::{Change, Fresh, Write};
use super::lists::united;
use super::record::{NodePending, Record};
use super::request::Ask;
use super::standing::Standing;
use crate::facts::Role;
use crate::settings::Compatibility;
use crate::settings::compatibility::NodeSurface;

/// Why a device was last seen, as records say it.
const CONNECTED: &str = "connect";

/// Brings the record of a paired device up to date. What it was approved with (key, platform,
/// device family) stays: another of these is for the owner to approve.
#[must_use]
pub fn refresh(standing: &Standing, ask: &Ask<'_>, now_ms: i64, rules: &Compatibility) -> Change {
    let none = Change::none(ask.device_id);
    let own = |record: &&Record| &*record.device_id == ask.device_id;
    let Some(record) = standing.record.as_ref().filter(own) else {
        return none;
    };
    let mut seen = Record {
        client_id: Some(ask.client.name().into()),
        client_mode: Some(ask.mode.name().into()),
        ..record.clone()
    };
    if let Some(name) = ask.display_name {
        seen.display_name = Some(name.into());
    }
    if let Some(ip) = ask.remote_ip {
        seen.remote_ip = Some(ip.into());
    }
    if rules.pairing.sessions_leave_scopes {
        let roles = united(record.roles.iter().flatten(), [ask.role.name()]);
        let scopes = united(record.scopes.iter().flatten(), ask.scopes);
        seen.role = Some(ask.role.name().into());
        seen.roles = Some(roles);
        seen.scopes = rules.pairing.list(scopes);
    }
    if rules.pairing.provenance {
        seen.last_seen_at_ms = Some(now_ms);
        seen.last_seen_reason = Some(CONNECTED.into());
    }
    if seen == *record {
        return none;
    }
    Change {
        record: Write::Put(seen),
        ..none
    }
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
    let none = Change::none(ask.device_id);
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
                &*record.device_id == ask.device_id && record.pending_node_surface.is_none()
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
