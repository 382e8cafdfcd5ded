//! What a transition writes: to the record of one device, to its requests that wait, and to
//! those who listen.
//!
//! A change says what to write and writes nothing; a [`Store`](super::store::Store) commits
//! it. Time, ids and secrets come from the caller, through [`Fresh`].

use std::fmt;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::record::{NodePending, Pending, Record};
use super::standing::Standing;
use super::store::Version;
use crate::facts::word::words;
use crate::facts::{Role, Text};
use crate::secret::Secret;

/// What happens to one thing that is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Write<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is written, whatever was there.
    Put(T),
    /// It is removed, if it is there.
    Remove,
}

impl<T> Write<T> {
    /// Whether nothing happens to it.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Write::Keep)
    }

    fn then(self, later: Write<T>) -> Write<T> {
        match later {
            Write::Keep => self,
            Write::Put(_) | Write::Remove => later,
        }
    }

    /// What there is when it has been written.
    pub(crate) fn after<'a>(&'a self, before: Option<&'a T>) -> Option<&'a T> {
        match self {
            Write::Keep => before,
            Write::Put(value) => Some(value),
            Write::Remove => None,
        }
    }
}

/// When, from where and with what a device was last there. Nobody is promised that, and nothing is
/// decided by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Where it came from, where that is known and not this host.
    pub remote_ip: Option<IpAddr>,
    /// When it was connected, in Unix milliseconds, where that is kept.
    pub connected_at_ms: Option<i64>,
    /// The role whose token let it in, and when, in Unix milliseconds.
    pub token_used: Option<(Role, i64)>,
}

/// Why a device was last seen, as records say it.
const CONNECTED: &str = "connect";

impl Notes {
    /// Whether there is nothing to note.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Notes::default()
    }

    fn then(self, later: Notes) -> Notes {
        Notes {
            remote_ip: later.remote_ip.or(self.remote_ip),
            connected_at_ms: later.connected_at_ms.or(self.connected_at_ms),
            token_used: later.token_used.or(self.token_used),
        }
    }

    /// Notes it in a record.
    fn put(&self, record: &mut Record) {
        if let Some(ip) = self.remote_ip {
            record.remote_ip = Some(ip.to_string().into());
        }
        if let Some(at_ms) = self.connected_at_ms {
            record.last_seen_at_ms = Some(at_ms);
            record.last_seen_reason = Some(CONNECTED.into());
        }
        if let Some((role, at_ms)) = self.token_used
            && let Some(token) = record
                .tokens
                .as_mut()
                .and_then(|it| it.get_mut(role.name()))
        {
            token.last_used_at_ms = Some(at_ms);
        }
    }
}

/// What is written of one device, and told of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Whose change it is.
    pub device_id: Text,
    /// Its pairing record.
    pub record: Write<Record>,
    /// What is noted in the record, once it is written.
    pub notes: Notes,
    /// Its request that waits for the owner. A device has one at most, so one that is put
    /// takes the place of any other.
    pub pending: Write<Pending>,
    /// The request of a node, for what it may serve.
    pub node_pending: Write<NodePending>,
    /// What to tell those who may manage devices, once it is committed, in this order.
    pub events: Vec<Event>,
    /// The device of whoever asks for it, where that is another one, as it was when that was found to
    /// be allowed. When it is not at this version any more, nothing is written.
    pub asked_by: Option<(Text, Version)>,
}

impl Change {
    /// Nothing, of this device.
    #[must_use]
    pub fn none(device_id: impl Into<Text>) -> Self {
        Change {
            device_id: device_id.into(),
            ..Change::default()
        }
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keeps_all() && self.notes.is_empty()
    }

    /// Whether it writes notes, and nothing else.
    #[must_use]
    pub fn only_notes(&self) -> bool {
        self.keeps_all() && self.events.is_empty() && !self.notes.is_empty()
    }

    fn keeps_all(&self) -> bool {
        self.record.is_keep() && self.pending.is_keep() && self.node_pending.is_keep()
    }

    /// What is remembered when it has been written.
    #[must_use]
    pub fn apply(&self, before: &Standing) -> Standing {
        let mut record = self.record.after(before.record.as_ref()).cloned();
        if let Some(record) = &mut record {
            self.notes.put(record);
        }
        Standing {
            record,
            pending: self.pending.after(before.pending.as_ref()).cloned(),
            node_pending: self
                .node_pending
                .after(before.node_pending.as_ref())
                .cloned(),
        }
    }

    /// This change, and then a later one of the same device, as one.
    #[must_use]
    pub fn then(mut self, later: Change) -> Self {
        self.events.extend(later.events);
        Change {
            device_id: self.device_id,
            record: self.record.then(later.record),
            notes: self.notes.then(later.notes),
            pending: self.pending.then(later.pending),
            node_pending: self.node_pending.then(later.node_pending),
            events: self.events,
            asked_by: self.asked_by.or(later.asked_by),
        }
    }
}

words! {
    /// What became of a request.
    Decision {
        Approved "approved" "the device is paired, or has what it asked for",
        Rejected "rejected" "it was refused, or another request took its place",
    }
}

/// Something to tell those who may manage devices.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A request waits that nobody was told of.
    Requested(Box<Pending>),
    /// A request waits no longer.
    Resolved {
        /// What it was to be approved by.
        request_id: Box<str>,
        /// The device that asked.
        device_id: Box<str>,
        /// What became of it.
        decision: Decision,
        /// When, in Unix milliseconds.
        at_ms: i64,
    },
}

impl Event {
    /// Its name on the wire.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Event::Requested(_) => "device.pair.requested",
            Event::Resolved { .. } => "device.pair.resolved",
        }
    }

    /// Its payload on the wire.
    #[must_use]
    pub fn payload(&self) -> Value {
        match self {
            Event::Requested(pending) => json!(pending),
            Event::Resolved {
                request_id,
                device_id,
                decision,
                at_ms,
            } => json!({
                "requestId": request_id,
                "deviceId": device_id,
                "decision": decision,
                "ts": at_ms,
            }),
        }
    }
}

/// Where ids and secrets come from that nobody has used before. Each is made when it is
/// needed, since most connections need none.
pub struct Fresh<'a> {
    /// Makes the id of a request: a UUID in OpenClaw.
    pub request_id: &'a mut dyn FnMut() -> Box<str>,
    /// Makes the secret of a device token: 32 random bytes in base64url in OpenClaw.
    pub secret: &'a mut dyn FnMut() -> Secret,
}

impl fmt::Debug for Fresh<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fresh")
    }
}
