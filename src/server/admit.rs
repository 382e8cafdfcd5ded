//! One connection against what is remembered: decided, written, counted.

use std::sync::Arc;

use super::clock::with_fresh;
use super::gateway::{Shared, lock};
use super::snapshot::Snapshot;
use crate::admission::{Admission, Presented, Remembered, Reply, Upgrade, at_connect, evidence};
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

/// Decides a connection, and carries it out as far as something is to be kept.
///
/// # Errors
///
/// The answer to a connection that could not be decided, with what stood in the way.
pub(super) async fn admit(
    shared: &Arc<Shared>,
    upgrade: &Upgrade,
    presented: &Presented,
    now_ms: i64,
) -> Result<Decided, (Reply, StoreError)> {
    let failed = |error: StoreError| (presented.unkept(&error), error);
    for _ in 0..MOST_CONFLICTS {
        let snapshot = shared.snapshot();
        let (standing, version) = match presented.device_id() {
            Some(device) => shared.store.load(device).map_err(failed)?,
            None => Default::default(),
        };
        let subject = upgrade.subject(&snapshot.settings);
        let locks = lock(&shared.limiter).locks(&subject, now_ms);
        let remembered = Remembered {
            locks,
            ..Remembered::of(&standing)
        };
        let admission =
            with_fresh(|fresh| at_connect(snapshot.gate(), upgrade, presented, remembered, fresh))
                .map_err(|error| failed(StoreError::Failed(error.to_string().into())))?;
        let committed = shared.commit(&admission.change, &standing, version).await;
        let (version, unkept) = match committed {
            Ok(version) => (version, None),
            Err(StoreError::Conflict) => continue,
            Err(error) => {
                tracing::error!(%error, "what was decided cannot be kept");
                (version, Some(presented.unkept(&error)))
            }
        };
        let delay_ms = lock(&shared.limiter).settle(&subject, &admission.steps, now_ms);
        let gate = snapshot.gate();
        let evidence = evidence(gate, upgrade, presented, &standing, &admission.facts);
        return Ok(Decided {
            admission,
            evidence,
            snapshot,
            version,
            delay_ms,
            unkept,
        });
    }
    Err(failed(StoreError::Conflict))
}
