//! What is kept of a device: its pairing record, its tokens, a request that waits.
//!
//! The shapes are those of OpenClaw's own files (`devices/paired.json`, `pending.json`), of
//! every release up to 2026.9.6. An unknown field is refused: it might restrict something.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::secret::Secret;

/// A paired device.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// SHA-256 of the raw public key, in lower-case hex.
    pub device_id: Box<str>,
    /// The Ed25519 public key, in unpadded base64url.
    pub public_key: Box<str>,
    /// What the device calls itself.
    pub display_name: Option<Box<str>>,
    /// The platform it was approved with, as the device spelled it; empty pins nothing.
    pub platform: Option<Box<str>>,
    /// The device family it was approved with; empty pins nothing.
    pub device_family: Option<Box<str>>,
    /// The client id it last asked with.
    pub client_id: Option<Box<str>>,
    /// The client mode it last asked with.
    pub client_mode: Option<Box<str>>,
    /// The first role it was approved for.
    pub role: Option<Box<str>>,
    /// Every role it was approved for; older files have only `role`.
    pub roles: Option<Vec<Box<str>>>,
    /// The scopes it asked for and got.
    pub scopes: Option<Vec<Box<str>>>,
    /// The scopes that an owner approved; older files have only `scopes`.
    pub approved_scopes: Option<Vec<Box<str>>>,
    /// Where it last came from; never compared.
    pub remote_ip: Option<Box<str>>,
    /// Its tokens, by role; older files have none.
    pub tokens: Option<BTreeMap<Box<str>, Token>>,
    /// When it was first seen, in Unix milliseconds.
    pub created_at_ms: Option<i64>,
    /// When it was last approved, in Unix milliseconds.
    pub approved_at_ms: Option<i64>,
    /// Who or what approved it: `owner`, `silent`, `trusted-cidr`, `bootstrap` and others.
    pub approved_via: Option<Box<str>>,
    /// What an operator calls it.
    pub operator_label: Option<Box<str>>,
    /// When it was last connected, in Unix milliseconds.
    pub last_seen_at_ms: Option<i64>,
    /// What it was last seen for.
    pub last_seen_reason: Option<Box<str>>,
    /// The page that paired it.
    pub browser_origin: Option<Box<str>>,
    /// What a node may serve; not read.
    #[serde(default, rename = "nodeSurface")]
    _node_surface: Ignored,
}

impl Record {
    /// The roles it was approved for: `roles`, with `role`.
    pub fn approved_roles(&self) -> impl Iterator<Item = &str> {
        self.roles
            .iter()
            .flatten()
            .chain(&self.role)
            .map(AsRef::as_ref)
    }

    /// The scopes it was approved for: `approvedScopes`, or `scopes` in older files.
    #[must_use]
    pub fn baseline(&self) -> &[Box<str>] {
        self.approved_scopes
            .as_deref()
            .or(self.scopes.as_deref())
            .unwrap_or_default()
    }

    /// The token of a role, unless it was revoked.
    #[must_use]
    pub fn token(&self, role: &str) -> Option<&Token> {
        self.tokens
            .as_ref()?
            .get(role)
            .filter(|token| token.revoked_at_ms.is_none() && &*token.role == role)
    }
}

/// A device token; its bytes are never shown.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Token {
    /// The secret.
    pub token: Secret,
    /// The role it is for.
    pub role: Box<str>,
    /// The scopes it carries.
    #[serde(default)]
    pub scopes: Vec<Box<str>>,
    /// When it was made, in Unix milliseconds.
    pub created_at_ms: Option<i64>,
    /// When it was last replaced, in Unix milliseconds.
    pub rotated_at_ms: Option<i64>,
    /// When it was revoked, in Unix milliseconds; a revoked token matches nothing.
    pub revoked_at_ms: Option<i64>,
    /// When it was last used, in Unix milliseconds.
    pub last_used_at_ms: Option<i64>,
    /// Which login made it; not read.
    #[serde(default, rename = "issuer")]
    _issuer: Ignored,
}

/// A request that waits for the owner.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pending {
    /// What the owner approves it by.
    pub request_id: Box<str>,
    /// The device that asks.
    pub device_id: Box<str>,
    /// Its key, in unpadded base64url.
    pub public_key: Box<str>,
    /// What the device calls itself.
    pub display_name: Option<Box<str>>,
    /// The platform it names.
    pub platform: Option<Box<str>>,
    /// The device family it names.
    pub device_family: Option<Box<str>>,
    /// The client id it asks with.
    pub client_id: Option<Box<str>>,
    /// The client mode it asks with.
    pub client_mode: Option<Box<str>>,
    /// The role it asks for.
    pub role: Option<Box<str>>,
    /// Every role that requests so far asked for.
    pub roles: Option<Vec<Box<str>>>,
    /// The scopes that requests so far asked for.
    pub scopes: Option<Vec<Box<str>>>,
    /// Where it came from; never compared.
    pub remote_ip: Option<Box<str>>,
    /// Whether it needed no asking.
    pub silent: Option<bool>,
    /// Whether a record of the device was there already.
    pub is_repair: Option<bool>,
    /// When it was made, in Unix milliseconds.
    pub ts: i64,
    /// When it was last repeated, in Unix milliseconds.
    pub refreshed_at_ms: Option<i64>,
    /// The page that asks.
    pub browser_origin: Option<Box<str>>,
}

impl Pending {
    /// How long a request waits, in milliseconds.
    pub const LIFE_MS: i64 = 300_000;

    /// Whether it has waited too long, at `now_ms` in Unix milliseconds.
    #[must_use]
    pub fn is_expired(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.refreshed_at_ms.unwrap_or(self.ts)) > Self::LIFE_MS
    }

    /// The roles asked for: `roles`, with `role`.
    pub fn asked_roles(&self) -> impl Iterator<Item = &str> {
        self.roles
            .iter()
            .flatten()
            .chain(&self.role)
            .map(AsRef::as_ref)
    }

    /// The scopes asked for.
    #[must_use]
    pub fn asked_scopes(&self) -> &[Box<str>] {
        self.scopes.as_deref().unwrap_or_default()
    }
}

/// A field that is allowed and has no meaning here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ignored;

impl<'de> Deserialize<'de> for Ignored {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_newest_release_is_read() {
        let record: Record = serde_json::from_value(serde_json::json!({
            "deviceId": "d", "publicKey": "k", "platform": "linux", "clientId": "cli",
            "clientMode": "cli", "role": "operator", "roles": ["operator", "node"],
            "scopes": ["operator.read"], "approvedScopes": ["operator.read"],
            "tokens": {
                "operator": { "token": "s3cret", "role": "operator", "scopes": ["operator.read"],
                    "createdAtMs": 1, "issuer": { "kind": "shared-gateway-auth" } },
                "node": { "token": "t", "role": "node", "createdAtMs": 1, "revokedAtMs": 2 },
            },
            "createdAtMs": 1, "approvedAtMs": 2, "approvedVia": "owner",
            "nodeSurface": { "commands": [] },
        }))
        .unwrap();
        assert!(record.token("operator").is_some());
        assert!(record.token("node").is_none(), "revoked");
        assert!(!format!("{record:?}").contains("s3cret"));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let record =
            serde_json::from_str::<Record>(r#"{"deviceId":"d","publicKey":"k","until":1}"#);
        assert!(record.unwrap_err().to_string().contains("`until`"));
    }

    #[test]
    fn a_request_waits_five_minutes() {
        let pending = r#"{"requestId":"r","deviceId":"d","publicKey":"k","ts":1000}"#;
        let pending: Pending = serde_json::from_str(pending).unwrap();
        assert!(!pending.is_expired(301_000));
        assert!(pending.is_expired(301_001));
        assert!(!pending.is_expired(-5));
    }
}
