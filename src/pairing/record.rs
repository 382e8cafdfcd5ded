//! What is kept of a device: its pairing record, its tokens, a request that waits.
//!
//! The shapes are those of OpenClaw's own files (`devices/paired.json`, `pending.json`), of
//! every release up to 2026.9.6. An unknown field is refused: it might restrict something.
//! Written out by themselves they show no secret; [`super::stored`] is the one way to write
//! them with their tokens. What may change in them, and when, is in [`super::change`].

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::facts::word::words;
use crate::facts::{Client, Mode, Text};
use crate::secret::Secret;
use crate::settings::compatibility::ApprovedBaseline;

/// A paired device. Its tokens are not written out.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// SHA-256 of the raw public key, in lower-case hex.
    pub device_id: Box<str>,
    /// The Ed25519 public key, in unpadded base64url.
    pub public_key: Box<str>,
    /// What the device calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Box<str>>,
    /// The platform it was approved with, as the device spelled it; empty pins nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Box<str>>,
    /// The device family it was approved with; empty pins nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<Box<str>>,
    /// The client id it last asked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Box<str>>,
    /// The client mode it last asked with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_mode: Option<Box<str>>,
    /// The first role it was approved for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Box<str>>,
    /// Every role it was approved for; older files have only `role`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Box<str>>>,
    /// The scopes it asked for and got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Box<str>>>,
    /// The scopes that an owner approved; older files have only `scopes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_scopes: Option<Vec<Box<str>>>,
    /// Where it last came from; never compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<Box<str>>,
    /// Its tokens, by role; older files have none.
    #[serde(skip_serializing)]
    pub tokens: Option<BTreeMap<Box<str>, Token>>,
    /// When it was first seen, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at_ms: Option<i64>,
    /// When it was last approved, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at_ms: Option<i64>,
    /// Who or what approved it, where that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_via: Option<Via>,
    /// When the approval ends, in Unix milliseconds, and with it all that is remembered;
    /// never without. OpenClaw has no such field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<i64>,
    /// What an operator calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_label: Option<Box<str>>,
    /// When it was last connected, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at_ms: Option<i64>,
    /// What it was last seen for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_reason: Option<Box<str>>,
    /// The page that paired it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser_origin: Option<Box<str>>,
    /// What a node may serve, as it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_surface: Option<Value>,
    /// What a node wants to serve, until the owner approves it (2026.9).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_node_surface: Option<Value>,
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

    /// Whether the client that it was last approved or connected as is a page in a browser.
    #[must_use]
    pub fn is_of_page(&self) -> bool {
        let is = |kept: &Option<Box<str>>, word: &str| kept.as_deref() == Some(word);
        is(&self.client_id, Client::ControlUi.name())
            || is(&self.client_id, Client::WebchatUi.name())
            || is(&self.client_mode, Mode::Webchat.name())
    }

    /// The scopes it was approved for: `approvedScopes`, or `scopes` in older files.
    #[must_use]
    pub fn baseline(&self) -> &[Box<str>] {
        self.approved_scopes
            .as_deref()
            .or(self.scopes.as_deref())
            .unwrap_or_default()
    }

    /// The scopes that a request is held against, under the given rule.
    #[must_use]
    pub fn baseline_by(&self, rule: ApprovedBaseline) -> &[Box<str>] {
        match (rule, &self.scopes) {
            (ApprovedBaseline::Connected, Some(scopes)) => scopes,
            (ApprovedBaseline::Connected, None) | (ApprovedBaseline::Approved, _) => {
                self.baseline()
            }
        }
    }

    /// Whether it has ended, at `now_ms` in Unix milliseconds.
    #[must_use]
    pub fn has_ended(&self, now_ms: i64) -> bool {
        self.expires_at_ms.is_some_and(|ends_ms| ends_ms <= now_ms)
    }

    /// Whether it counts for anything at `now_ms`: it has not ended, and where it has an end it was not
    /// approved later than now either. A clock that was ahead then and was set back since would make it
    /// last longer by as much.
    #[must_use]
    pub fn holds(&self, now_ms: i64) -> bool {
        let begins_ms = self.approved_at_ms.unwrap_or(i64::MIN);
        let begins_ms = begins_ms.saturating_sub(SET_BACK_MS);
        self.expires_at_ms
            .is_none_or(|ends_ms| (begins_ms..ends_ms).contains(&now_ms))
    }

    /// The token of a role, unless it was revoked.
    #[must_use]
    pub fn token(&self, role: &str) -> Option<&Token> {
        self.tokens
            .as_ref()?
            .get(role)
            .filter(|token| token.revoked_at_ms.is_none() && &*token.role == role)
    }

    /// Whether it has a token that is not revoked, of any role.
    #[must_use]
    pub fn has_token(&self) -> bool {
        let mut tokens = self.tokens.iter().flat_map(|tokens| tokens.iter());
        tokens.any(|(role, _)| self.token(role).is_some())
    }
}

/// By how much clocks are set back, in milliseconds, when they are only put right; and by how much
/// what was given for a time may last longer for it.
pub const SET_BACK_MS: i64 = 120_000;

words! {
    /// Who or what approved a device.
    Via {
        Owner "owner" "a person, or a program that holds the scopes",
        Silent "silent" "the policy: the connection needed no asking",
        TrustedCidr "trusted-cidr" "the network that a node came from",
        SshVerified "ssh-verified" "a login over SSH to where a node came from",
        Bootstrap "bootstrap" "a setup code",
        TrustedProxy "trusted-proxy" "a proxy that vouched for the user",
    }
}

/// A device token; its bytes are never shown, nor written out.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Token {
    /// The secret.
    #[serde(skip_serializing)]
    pub token: Secret,
    /// The role it is for.
    pub role: Text,
    /// The scopes it carries.
    #[serde(default)]
    pub scopes: Arc<[Box<str>]>,
    /// When it was made, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at_ms: Option<i64>,
    /// When it was last replaced, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotated_at_ms: Option<i64>,
    /// When it was revoked, in Unix milliseconds; a revoked token matches nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<i64>,
    /// When it was last used, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at_ms: Option<i64>,
    /// Which login it lives by; it goes with the device alone without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,
}

/// The login that a token lives by.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Issuer {
    /// What kind of login.
    pub kind: Box<str>,
    /// What else says which: the generation of the shared secret.
    #[serde(flatten)]
    pub which: Map<String, Value>,
}

impl Issuer {
    /// The kind of a login by the shared token or password.
    pub const SHARED_SECRET: &str = "shared-gateway-auth";
}

words! {
    /// How a connection came of which no address is told.
    Came {
        ThisHost "this-host" "over TCP, from the gateway's own host",
        OwnSocket "own-socket" "at the gateway's own socket",
        InProcess "in-process" "from the process of the gateway",
        UnnamedProxy "unnamed-proxy" "through a proxy that is not trusted to say for whom",
    }
}

/// A request that waits for the owner.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pending {
    /// What the owner approves it by.
    pub request_id: Box<str>,
    /// The device that asks.
    pub device_id: Box<str>,
    /// Its key, in unpadded base64url.
    pub public_key: Box<str>,
    /// What the device calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Box<str>>,
    /// The platform it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Box<str>>,
    /// The device family it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<Box<str>>,
    /// The client id it asks with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Box<str>>,
    /// The client mode it asks with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_mode: Option<Box<str>>,
    /// The role it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Box<str>>,
    /// Every role that requests so far asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Box<str>>>,
    /// The scopes that requests so far asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Box<str>>>,
    /// Where it came from; never compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<Box<str>>,
    /// Whether it needed no asking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent: Option<bool>,
    /// Whether a record of the device was there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_repair: Option<bool>,
    /// When it was made, in Unix milliseconds.
    pub ts: i64,
    /// When it was last repeated, in Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshed_at_ms: Option<i64>,
    /// The page that asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser_origin: Option<Box<str>>,
    /// How it came, where there is no address to tell. Our own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came: Option<Came>,
    /// The ids of earlier requests that are part of this one, the newest first, as far as they
    /// are kept ([`MOST_REPLACED`](super::request::MOST_REPLACED)). Our own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<Box<str>>,
}

impl Pending {
    /// Whether it has waited longer than `ttl_ms`, at `now_ms` in Unix milliseconds. It waits
    /// anew from when it was last repeated, where that is kept.
    #[must_use]
    pub fn is_expired(&self, ttl_ms: i64, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.refreshed_at_ms.unwrap_or(self.ts)) > ttl_ms
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

/// A request of a node that waits for the owner: the device is paired, what it may serve is
/// approved apart (2026.4). Only that it waits is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePending {
    /// What the owner approves it by.
    pub request_id: Box<str>,
    /// When it was made, in Unix milliseconds.
    pub ts: i64,
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
    fn an_approval_for_a_time_holds_from_its_beginning_to_its_end() {
        let record = |fields: &str| {
            let text = format!(r#"{{"deviceId":"d","publicKey":"k"{fields}}}"#);
            serde_json::from_str::<Record>(&text).unwrap()
        };
        let (approved, ends) = (1_000_000, 2_000_000);
        let both = format!(r#","approvedAtMs":{approved},"expiresAtMs":{ends}"#);
        for (now, holds, has_ended) in [
            (i64::MIN, false, false),
            (approved - SET_BACK_MS - 1, false, false),
            (approved - SET_BACK_MS, true, false),
            (ends - 1, true, false),
            (ends, false, true),
            (i64::MAX, false, true),
        ] {
            let record = record(&both);
            assert_eq!(
                (record.holds(now), record.has_ended(now)),
                (holds, has_ended),
                "{now}"
            );
        }
        // What was not given for a time is not taken away by a clock.
        for fields in ["", r#","approvedAtMs":9223372036854775807"#] {
            for now in [i64::MIN, 0, i64::MAX] {
                assert!(record(fields).holds(now));
            }
        }
        let no_beginning = record(r#","expiresAtMs":7"#);
        assert!(no_beginning.holds(i64::MIN) && !no_beginning.holds(7));
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let record =
            serde_json::from_str::<Record>(r#"{"deviceId":"d","publicKey":"k","until":1}"#);
        assert!(record.unwrap_err().to_string().contains("`until`"));
    }

    #[test]
    fn a_request_waits_as_long_as_is_set() {
        let pending = r#"{"requestId":"r","deviceId":"d","publicKey":"k","ts":1000}"#;
        let pending: Pending = serde_json::from_str(pending).unwrap();
        assert!(!pending.is_expired(300_000, 301_000));
        assert!(pending.is_expired(300_000, 301_001));
        assert!(!pending.is_expired(300_000, -5));
    }
}
