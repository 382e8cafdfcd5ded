//! Where what is remembered of devices is kept: what every store has to promise.
//!
//! A store holds one [`Standing`] a device and knows nothing of what it means. A change is
//! committed against the version that it was worked out from, so of two that race, one is
//! told to look again.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::change::Change;
use super::removal::expire;
use super::standing::Standing;
use crate::settings::Compatibility;

/// Which state of one device was read: another after every commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64);

impl Version {
    /// The version of a device of which nothing is kept.
    pub const NOTHING: Version = Version(0);
}

/// Why a store did not do what was asked. Nothing was written then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another commit came between: load again, and decide again.
    #[error("what is remembered of the device has changed meanwhile")]
    Conflict,
    /// No more requests may wait ([`Limits::requests`]).
    #[error("too many requests wait for the owner")]
    TooManyRequests,
    /// No more devices may be kept ([`Limits::devices`]).
    #[error("too many devices are paired")]
    TooManyDevices,
    /// The store itself failed; it says how.
    #[error("the store of devices failed: {0}")]
    Failed(Box<str>),
}

/// How much a store keeps. Strangers make requests, so their number must end somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many devices may have a request that waits, or a node's, expired or not.
    pub requests: usize,
    /// How many devices may have a record.
    pub devices: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests: 1_000,
            devices: 1_000_000,
        }
    }
}

/// Which devices are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// All of which anything is kept.
    All,
    /// Those with a request that waits, and those whose record has ended at a time in Unix
    /// milliseconds.
    Ending(i64),
    /// Those that are nodes by their record.
    Nodes,
    /// Those that may approve others by their record.
    Approvers,
}

/// How many devices of a kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Those with a record.
    pub devices: usize,
    /// Those with a request that waits.
    pub requests: usize,
}

/// Keeps what is remembered of devices. Others may commit to the same store, and what they have
/// committed is seen by every call that begins afterwards.
pub trait Store: Send + Sync {
    /// What is remembered of a device; a default standing when nothing is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`].
    fn load(&self, device_id: &str) -> Result<(Arc<Standing>, Version), StoreError>;

    /// The version alone, but what others have committed since this store was asked last may not be
    /// seen. A store that has to look elsewhere for that answers this one without.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`].
    fn last_version(&self, device_id: &str) -> Result<Version, StoreError> {
        self.load(device_id).map(|(_, version)| version)
    }

    /// Writes all of a change, or nothing, if the device is still at the expected version.
    /// A change that writes nothing leaves the version as it is, and is held against it all
    /// the same: who is admitted on what has been removed meanwhile is told to look again. A
    /// change of no device is nothing to a store.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    fn commit(&self, change: &Change, expected: Version) -> Result<Version, StoreError>;

    /// Commits each of several changes, as if one came after the other, and says of each what
    /// became of it. A store that waits for a disk waits once for all.
    fn commit_all(&self, changes: Vec<(Change, Version)>) -> Vec<Result<Version, StoreError>> {
        let each = changes.into_iter();
        each.map(|(change, expected)| self.commit(&change, expected))
            .collect()
    }

    /// Looks at what is kept of these devices, in no order, until told to stop. A store may show
    /// more than these, and one twice: whoever looks finds out whether it is one. A device of which
    /// nothing can be read any more is passed over, and told once all others were looked at.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`].
    fn visit(&self, among: Among, look: &mut Look<'_>) -> Result<(), StoreError> {
        let _ = among;
        for (standing, version) in self.list()? {
            if look(&standing, version).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// How many devices there are.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`].
    fn count(&self) -> Result<Count, StoreError> {
        let mut count = Count::default();
        self.visit(Among::All, &mut |standing, _| {
            count.devices += usize::from(standing.record.is_some());
            count.requests += usize::from(standing.pending.is_some());
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// All that is kept, in the order of device ids.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`].
    fn list(&self) -> Result<Vec<(Standing, Version)>, StoreError>;

    /// Looks at what is kept of devices with a request that waits, in the same order, until told to
    /// stop, as far as it can be read: nobody's request has to do with another one's.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`].
    fn waiting(&self, look: &mut Look<'_>) -> Result<(), StoreError>;

    /// The device whose request waits by this id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`].
    fn device_of_request(&self, request_id: &str) -> Result<Option<Box<str>>, StoreError>;

    /// How many commits there were, of whoever. As long as it is the same, so is what is kept: a
    /// server asks often, and looks again at its sessions when another one has committed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`].
    fn revision(&self) -> Result<u64, StoreError>;
}

/// Whoever looks at devices: says whether to go on.
pub type Look<'a> = dyn FnMut(&Standing, Version) -> ControlFlow<()> + 'a;

/// How many devices of which something has ended are looked at before they are removed: so many are
/// in memory, however many there are.
const SWEPT_AT_ONCE: usize = 512;

/// Removes what has ended of all devices: requests that have waited too long, records whose
/// time is over. Says of how many; one that changes meanwhile is left for the next time, and one that
/// cannot be read is told when all others are removed.
///
/// # Errors
///
/// [`StoreError::Failed`].
pub fn sweep(store: &dyn Store, now_ms: i64, rules: &Compatibility) -> Result<usize, StoreError> {
    let mut swept = 0;
    loop {
        let mut ended = Vec::new();
        let looked = store.visit(Among::Ending(now_ms), &mut |standing, version| {
            ended.extend(expire(standing, now_ms, rules).map(|change| (change, version)));
            match ended.len() < SWEPT_AT_ONCE {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        let are_all = ended.len() < SWEPT_AT_ONCE;
        let before = swept;
        for done in store.commit_all(ended) {
            match done {
                Ok(_) => swept += 1,
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        // Where none of so many could be removed they would be found again.
        if are_all || swept == before || looked.is_err() {
            return looked.map(|()| swept);
        }
    }
}
