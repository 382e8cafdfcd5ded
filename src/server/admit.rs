//! One connection against what is remembered: decided, written, counted.

use std::borrow::Cow;
use std::sync::Arc;

use super::clock::{steady_ms, with_fresh};
use super::gateway::{Shared, lock};
use super::snapshot::Snapshot;
use crate::admission::{
    Admission, Challenged, Presented, Remembered, Reply, Upgrade, at_connect, evidence, present,
};
use crate::facts::AttributeId;
use crate::pairing::store::{StoreError, Version};

/// How often a device may change while one of its connections is decided. Each time another
/// connection or an owner got on with it.
const MOST_CONFLICTS: usize = 16;

/// A connection that was decided, with what it was decided by. What it changes is written, or it
/// says that it is not.
pub(super) struct Decided {
    pub(super) admission: Admission,
    pub(super) snapshot: Arc<Snapshot>,
    /// What was remembered of its device, once that was written.
    pub(super) version: Version,
    /// What shows its facts.
    pub(super) evidence: Vec<(AttributeId, String)>,
    /// How long the answer is to be held back, in milliseconds.
    pub(super) delay_ms: i64,
    /// What is answered in place of what was decided, where that could not be kept.
    pub(super) unkept: Option<Reply>,
}

/// A connection whose first message is here.
pub(super) struct Arrived<'a> {
    pub(super) upgrade: &'a Upgrade,
    /// What its request was judged by.
    pub(super) judged_by: &'a Arc<Snapshot>,
    pub(super) message: &'a [u8],
    pub(super) challenged: Challenged<'a>,
}

/// Why a connection was not decided, with what it is answered.
pub(super) enum Undecided {
    /// Its first message is not one that can be.
    Frame {
        reply: Reply,
        upgrade: Box<Upgrade>,
        snapshot: Arc<Snapshot>,
    },
    /// Something stood in the way.
    Failed { reply: Reply, error: StoreError },
}

/// All of a connection, as one snapshot has it.
struct Seen<'a> {
    snapshot: Arc<Snapshot>,
    upgrade: Cow<'a, Upgrade>,
    presented: Presented,
}

impl<'a> Arrived<'a> {
    /// Looks at all of it by one snapshot, at its request too if that was seen by another one: no
    /// connection is judged by the half of each.
    fn seen_by(&self, snapshot: Arc<Snapshot>) -> Result<Seen<'a>, Undecided> {
        let settings = &snapshot.settings;
        let upgrade = match Arc::ptr_eq(&snapshot, self.judged_by) {
            true => Cow::Borrowed(self.upgrade),
            false => Cow::Owned(self.upgrade.under(settings)),
        };
        match present(settings, self.message, self.challenged) {
            Ok(presented) => Ok(Seen {
                snapshot,
                upgrade,
                presented,
            }),
            Err(reply) => Err(Undecided::Frame {
                reply,
                upgrade: Box::new(upgrade.into_owned()),
                snapshot,
            }),
        }
    }
}

impl Seen<'_> {
    fn failed(&self, error: StoreError) -> Undecided {
        Undecided::Failed {
            reply: self.presented.unread(&error),
            error,
        }
    }
}

/// Decides a connection, and carries it out as far as something is to be kept.
///
/// # Errors
///
/// The answer to a connection that could not be decided.
pub(super) async fn admit(
    shared: &Arc<Shared>,
    arrived: &Arrived<'_>,
) -> Result<Decided, Undecided> {
    let steady_ms = steady_ms();
    let mut seen = arrived.seen_by(shared.snapshot())?;
    for _ in 0..MOST_CONFLICTS {
        let snapshot = shared.snapshot();
        if !Arc::ptr_eq(&snapshot, &seen.snapshot) {
            seen = arrived.seen_by(snapshot)?;
        }
        let Seen {
            snapshot,
            upgrade,
            presented,
        } = &seen;
        let loaded = match presented.device_id() {
            Some(device) => shared.store.load(device),
            None => Ok(Default::default()),
        };
        let (standing, version) = loaded.map_err(|error| seen.failed(error))?;
        let subject = upgrade.subject(&snapshot.settings, presented, &standing);
        let subject = shared.held(subject, upgrade);
        let locks = lock(&shared.limiter).locks(&subject, steady_ms);
        let remembered = Remembered {
            locks,
            ..Remembered::of(&standing)
        };
        let gate = snapshot.gate();
        let admission = with_fresh(|fresh| at_connect(gate, upgrade, presented, remembered, fresh))
            .map_err(|error| seen.failed(StoreError::Failed(error.to_string().into())))?;
        let committed = shared.commit(&admission.change, &standing, version).await;
        let (version, unkept) = match committed {
            Ok(version) => (version, None),
            Err(StoreError::Conflict) => continue,
            Err(error) => {
                tracing::error!(%error, "what was decided cannot be kept");
                (version, Some(presented.unkept(&error)))
            }
        };
        let delay_ms = lock(&shared.limiter).settle(&subject, &admission.steps, steady_ms);
        let evidence = evidence(gate, upgrade, presented, &standing, &admission.facts);
        return Ok(Decided {
            admission,
            evidence,
            snapshot: Arc::clone(snapshot),
            version,
            delay_ms,
            unkept,
        });
    }
    Err(seen.failed(StoreError::Conflict))
}
