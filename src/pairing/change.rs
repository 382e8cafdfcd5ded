//! What a transition writes: to the record of one device, to its requests that wait, and to
//! those who listen.
//!
//! A change says what to write and writes nothing; a [`Store`](super::store::Store) commits
//! it. Time, ids and secrets come from the caller, through [`Fresh`].

use std::fmt;

use serde_json::{Value, json};

use super::record::{NodePending, Pending, Record};
use super::standing::Standing;
use crate::facts::word::words;
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
}

impl<T> Write<T> {
    /// What there is when it has been written.
    pub(crate) fn after<'a>(&'a self, before: Option<&'a T>) -> Option<&'a T> {
        match self {
            Write::Keep => before,
            Write::Put(value) => Some(value),
            Write::Remove => None,
        }
    }
}

/// What is written of one device, and told of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Whose change it is.
    pub device_id: Box<str>,
    /// Its pairing record.
    pub record: Write<Record>,
    /// Its request that waits for the owner. A device has one at most, so one that is put
    /// takes the place of any other.
    pub pending: Write<Pending>,
    /// The request of a node, for what it may serve.
    pub node_pending: Write<NodePending>,
    /// What to tell those who may manage devices, once it is committed, in this order.
    pub events: Vec<Event>,
}

impl Change {
    /// Nothing, of this device.
    #[must_use]
    pub fn none(device_id: &str) -> Self {
        Change {
            device_id: device_id.into(),
            ..Change::default()
        }
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.record.is_keep() && self.pending.is_keep() && self.node_pending.is_keep()
    }

    /// Whether all that it writes is when, and from where, the device was last there. Nobody is
    /// promised that, and nothing is decided by it.
    #[must_use]
    pub fn only_notes(&self, before: &Standing) -> bool {
        let rest = self.pending.is_keep() && self.node_pending.is_keep() && self.events.is_empty();
        match (&self.record, &before.record) {
            (Write::Put(after), Some(before)) => {
                rest && after.without_notes() == before.without_notes()
            }
            (Write::Put(_) | Write::Remove | Write::Keep, _) => false,
        }
    }

    /// What is remembered when it has been written.
    #[must_use]
    pub fn apply(&self, before: &Standing) -> Standing {
        Standing {
            record: self.record.after(before.record.as_ref()).cloned(),
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
            pending: self.pending.then(later.pending),
            node_pending: self.node_pending.then(later.node_pending),
            events: self.events,
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
