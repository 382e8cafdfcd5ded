//! The pairing state before a case, by the recorder's name for it.

use serde_json::{Map, Value, json};

use super::row::{ConnectKinds, RowError};
use super::sent::{NOW_MS, device_token};
use super::signer::Signer;

const ADMIN: &[&str] = &[
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
    "operator.read",
    "operator.write",
];
const READ: &[&str] = &["operator.read"];
/// The id of a request that waited before the case began.
pub const SEEDED_REQUEST: &str = "00000000-0000-4000-8000-000000000001";

/// What was remembered of the first device of a case, in the shape of OpenClaw's own files:
/// `{ "record": …, "pending": … }`, each absent where there was none. `by_owner` is whether
/// records say who approved them.
///
/// # Errors
///
/// [`RowError::Kind`] for a name that is not known.
pub fn standing(
    prior: &str,
    device: &str,
    client: &ConnectKinds,
    by_owner: bool,
) -> Result<Value, RowError> {
    let unknown = || RowError::Kind {
        what: "earlier pairing",
        kind: prior.into(),
    };
    let signer = Signer::named(device).ok_or_else(unknown)?;
    let before = Before {
        device,
        signer: &signer,
        client,
        by_owner,
    };
    let read_platform =
        || Some(before.record(READ, &["operator"], json!({ "platform": "otheros" })));
    let with = |extra: Value| Some(before.record(ADMIN, &["operator"], extra));
    let paired = |scopes: &[&str], roles: &[&str]| Some(before.record(scopes, roles, json!({})));
    let (record, pending) = match prior {
        "unpaired" | "" => (None, None),
        "paired-read" => (paired(READ, &["operator"]), None),
        "paired-write" => (
            paired(&["operator.read", "operator.write"], &["operator"]),
            None,
        ),
        "paired-admin" => (paired(ADMIN, &["operator"]), None),
        "paired-pairing" => (paired(&["operator.pairing"], &["operator"]), None),
        "paired-noscopes" => (paired(&[], &["operator"]), None),
        "paired-otherkey" => {
            let other = Signer::named(&format!("{device}#other")).ok_or_else(unknown)?;
            (with(json!({ "publicKey": other.public_key() })), None)
        }
        "paired-node" => (paired(&[], &["node"]), None),
        "paired-both" => (paired(ADMIN, &["operator", "node"]), None),
        "paired-admin-notoken" => (with(json!({ "tokens": {} })), None),
        "paired-admin-revoked" => {
            let mut token = before.token("operator", ADMIN);
            put(&mut token, "revokedAtMs", (NOW_MS - 500).into());
            (with(json!({ "tokens": { "operator": token } })), None)
        }
        "paired-admin-token-read" => {
            let token = before.token("operator", READ);
            (with(json!({ "tokens": { "operator": token } })), None)
        }
        "paired-platform" => (with(json!({ "platform": "otheros" })), None),
        "paired-platform-case" => {
            let platform = format!("{} ", before.platform().to_uppercase());
            (with(json!({ "platform": platform })), None)
        }
        "paired-family" => (with(json!({ "deviceFamily": "OtherFamily" })), None),
        "paired-read-platform" => (read_platform(), None),
        "paired-legacy-scopes" => (with(json!({ "approvedScopes": null })), None),
        "paired-legacy-role" => (with(json!({ "roles": null })), None),
        "pending-same" => (None, Some(before.pending(READ, false, false))),
        "pending-other-scopes" => (None, Some(before.pending(ADMIN, false, false))),
        "pending-silent" => (None, Some(before.pending(READ, true, false))),
        "paired-read-pending" => (
            paired(READ, &["operator"]),
            Some(before.pending(ADMIN, false, true)),
        ),
        _ => return Err(unknown()),
    };
    let mut standing = json!({});
    for (name, value) in [("record", record), ("pending", pending)] {
        if let Some(value) = value {
            put(&mut standing, name, value);
        }
    }
    Ok(standing)
}

struct Before<'a> {
    device: &'a str,
    signer: &'a Signer,
    client: &'a ConnectKinds,
    by_owner: bool,
}

impl Before<'_> {
    fn platform(&self) -> &str {
        self.client.platform.as_deref().unwrap_or("linux")
    }

    fn client(&self) -> (&str, &str) {
        self.client.client.split_once('/').unwrap_or_default()
    }

    fn token(&self, role: &str, scopes: &[&str]) -> Value {
        json!({
            "token": device_token(self.device, role), "role": role,
            "scopes": if role == "operator" { scopes } else { &[] },
            "createdAtMs": NOW_MS - 1000,
        })
    }

    /// What a record and a request have in common.
    fn common(&self) -> Value {
        let (id, mode) = self.client();
        let mut common = json!({
            "deviceId": self.signer.id, "publicKey": self.signer.public_key(),
            "platform": self.platform(), "clientId": id, "clientMode": mode,
        });
        if let Some(family) = &self.client.device_family {
            put(&mut common, "deviceFamily", (**family).into());
        }
        common
    }

    /// A record, with some fields set otherwise, or left out where they are null.
    fn record(&self, scopes: &[&str], roles: &[&str], other: Value) -> Value {
        let tokens: Map<String, Value> = roles
            .iter()
            .map(|role| ((*role).to_owned(), self.token(role, scopes)))
            .collect();
        let mut record = self.common();
        merge(
            &mut record,
            json!({
                "role": roles.first(), "roles": roles, "scopes": scopes,
                "approvedScopes": scopes, "tokens": tokens,
                "createdAtMs": NOW_MS - 1000, "approvedAtMs": NOW_MS - 1000,
            }),
        );
        if self.by_owner {
            put(&mut record, "approvedVia", "owner".into());
        }
        merge(&mut record, other);
        record
    }

    fn pending(&self, scopes: &[&str], silent: bool, repair: bool) -> Value {
        let (_, mode) = self.client();
        let role = if mode == "node" { "node" } else { "operator" };
        let mut pending = self.common();
        merge(
            &mut pending,
            json!({
                "requestId": SEEDED_REQUEST, "role": role, "roles": [role], "scopes": scopes,
                "silent": silent, "isRepair": repair, "ts": NOW_MS - 1000,
            }),
        );
        pending
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(name.to_owned(), value);
    }
}

/// Sets the fields of one object in another; null takes a field away.
fn merge(into: &mut Value, from: Value) {
    let (Some(map), Value::Object(from)) = (into.as_object_mut(), from) else {
        return;
    };
    for (name, value) in from {
        if value.is_null() {
            map.remove(&name);
        } else {
            map.insert(name, value);
        }
    }
}
