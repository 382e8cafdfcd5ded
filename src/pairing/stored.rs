//! Records as a store keeps them: with their secrets, in the shape of OpenClaw's files.
//!
//! This is the one way out for a token that is not an answer to its own device. Read back,
//! the shapes are those of [`super::record`].

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::record::{NodePending, Pending, Record, Token};
use super::standing::Standing;

/// A record with its tokens, to be written out. Nothing else may see the text.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a>(pub &'a Record);

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tokens = self.0.tokens.as_ref().map(|tokens| {
            let with_secret = |token| WithSecret { token };
            tokens
                .iter()
                .map(|(role, token)| (&**role, with_secret(token)))
                .collect()
        });
        let record = self.0;
        WithTokens { record, tokens }.serialize(serializer)
    }
}

/// All that is remembered of a device, to be written out as one.
#[derive(Clone, Copy, Debug)]
pub struct StoredStanding<'a>(pub &'a Standing);

impl Serialize for StoredStanding<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct All<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            record: Option<Stored<'a>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            pending: Option<&'a Pending>,
            #[serde(skip_serializing_if = "Option::is_none")]
            node_pending: Option<&'a NodePending>,
        }
        All {
            record: self.0.record.as_ref().map(Stored),
            pending: self.0.pending.as_ref(),
            node_pending: self.0.node_pending.as_ref(),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct WithTokens<'a> {
    #[serde(flatten)]
    record: &'a Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<BTreeMap<&'a str, WithSecret<'a>>>,
}

struct WithSecret<'a> {
    token: &'a Token,
}

impl Serialize for WithSecret<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            token: &'a str,
            #[serde(flatten)]
            rest: &'a Token,
        }
        Whole {
            token: self.token.token.expose(),
            rest: self.token,
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_nothing_else_shows_a_secret() {
        let value = json!({
            "record": {
                "deviceId": "d", "publicKey": "k", "role": "operator", "roles": ["operator"],
                "scopes": [], "approvedScopes": [], "approvedVia": "silent",
                "tokens": { "operator": { "token": "s3cret", "role": "operator", "scopes": [],
                    "createdAtMs": 1,
                    "issuer": { "kind": "shared-gateway-auth", "generation": "g" } } },
                "nodeSurface": { "commands": ["camera"] },
            },
            "pending": { "requestId": "r", "deviceId": "d", "publicKey": "k", "ts": 1 },
            "nodePending": { "requestId": "n", "ts": 1 },
        });
        let standing: Standing = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(json!(StoredStanding(&standing)), value);
        let plain = json!(standing.record).to_string();
        assert!(!plain.contains("s3cret") && !plain.contains("tokens"));
        let token = standing
            .record
            .as_ref()
            .and_then(|record| record.token("operator"));
        assert!(!json!(token).to_string().contains("s3cret"));
        assert!(!format!("{standing:?}").contains("s3cret"));
    }
}
