//! A line: its fields, in the order in which they are written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::kept::Kept;
use super::kind::{Kind, Managed};
use super::moment::Moment;
use super::visible;
use crate::facts::Text;

/// The version of the format. A field that is new does not change it; one that means something
/// else does.
pub const VERSION: u32 = 1;

/// A line of the log. What a line does not know is left out, and what a reader does not know it
/// passes over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The version of the format.
    #[serde(rename = "gw-log")]
    pub version: u32,
    /// When it was.
    pub time: Moment,
    /// What it is about.
    pub kind: Kind,
    /// The connection. Of a change to a device, the one over which it was asked for.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub connection: Text,
    /// The address at the other end of the socket, with its port; of lines that were left out,
    /// without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Text>,
    /// The address at this end, with its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<Text>,
    /// What was decided: a kind of verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Text>,
    /// Why it was refused, or kept waiting; why it was refused before anything was decided; how
    /// it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// What the admission is bounded by, as a policy writes it; nothing when by nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Text>,
    /// The law that changed the answer of the clause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub law: Option<Text>,
    /// The clause that decided: its label, or `file:line`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Text>,
    /// A short hash of that clause's text: it stays when lines above it change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<Text>,
    /// The policy that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Why the server behind did not take a client that was let in. The client is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Text>,
    /// What the client calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<Says>,
    /// The device that the client names, proven or not; or the one that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Text>,
    /// The request that waits for the owner, or that was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Text>,
    /// The scopes that are asked for, as they were sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Arc<[Box<str>]>>,
    /// The scopes of the session; of a change, those that the device has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Arc<[Box<str>]>>,
    /// When what was admitted or approved ends, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// What is asked for beyond what the device was approved for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<Upgraded>,
    /// Of a change: what was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Managed>,
    /// Of a change to a token: the role that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Text>,
    /// Of a change: who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// How many lines are missing before this one, or were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<u64>,
    /// What was known, by who vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Kept>,
    /// What shows facts, in phrases, where the facts do not say it by themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<Text, Text>,
}

/// A policy, as a line names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyName {
    /// A path as it was given to the gateway, or `built-in:NAME`.
    pub file: Text,
    /// The first digits of a hash over its texts.
    pub digest: Text,
    /// A hash over what it means, as soon as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Text>,
}

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Whether the connection got in.
    pub admitted: bool,
    /// `error.code` of the response; over HTTP `error.type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Text>,
    /// `error.details.code` of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Text>,
    /// What the client was told, where nothing else says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Text>,
    /// The code it was closed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub close: Option<u16>,
    /// The status of an HTTP response in place of the WebSocket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<u16>,
    /// Whether a device token went with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub token: bool,
}

/// What a client calls itself: data, and nothing that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Says {
    /// `client.displayName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// `client.version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Text>,
    /// `User-Agent` of the HTTP head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Text>,
}

/// What is asked for beyond what a device was approved for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Upgraded {
    /// What is missing first.
    pub reason: Text,
    /// The roles that were approved.
    pub roles_from: Vec<Box<str>>,
    /// The role that is asked for.
    pub role_to: Text,
    /// The scopes that were approved.
    pub scopes_from: Vec<Box<str>>,
    /// The scopes that are asked for.
    pub scopes_to: Vec<Box<str>>,
    /// Which scopes cover others.
    pub scope_rule: Text,
    /// The platform that was approved, where another one is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_from: Option<Text>,
    /// The platform that is named instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_to: Option<Text>,
    /// The device family that was approved, where another one is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_from: Option<Text>,
    /// The device family that is named instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_to: Option<Text>,
}

/// Who asked for a change to a device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The device of the session, where it has proved one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Text>,
    /// Whether its device token let it in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_device_token: bool,
    /// The scopes of the session.
    pub scopes: Arc<[Box<str>]>,
}

impl Line {
    /// A line that says nothing yet.
    pub(super) fn new(kind: Kind, time_ms: i64, connection: Text) -> Self {
        Line {
            version: VERSION,
            time: Moment(time_ms),
            kind,
            connection,
            remote: None,
            local: None,
            verdict: None,
            reason: None,
            grant: None,
            law: None,
            by: None,
            clause: None,
            policy: None,
            answer: None,
            cause: None,
            says: None,
            device: None,
            request: None,
            asked: None,
            scopes: None,
            until: None,
            upgrade: None,
            action: None,
            role: None,
            owner: None,
            dropped: None,
            facts: None,
            evidence: BTreeMap::new(),
        }
    }

    /// The line as it stands in a file, without its line break.
    #[must_use]
    pub fn text(&self) -> String {
        visible::json(self)
    }

    /// The same of a line that is of no log: without the version of the format, and the time.
    #[must_use]
    pub fn text_alone(&self) -> String {
        let mut line = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = line.as_object_mut() {
            fields.remove("gw-log");
            fields.remove("time");
        }
        visible::json(&line)
    }
}
