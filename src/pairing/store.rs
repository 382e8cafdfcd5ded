//! Where what is remembered of devices is kept: what every store has to promise.
//!
//! A store holds one [`Standing`] a device and knows nothing of what it means. A change is
//! committed against the version that it was worked out from, so of two that race, one is
//! told to look again.

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
            devices: 100_000,
        }
    }
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

    /// All that is kept, in the order of device ids.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`].
    fn list(&self) -> Result<Vec<(Standing, Version)>, StoreError>;

    /// What is kept of devices with a request that waits, in the same order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`].
    fn waiting(&self) -> Result<Vec<(Standing, Version)>, StoreError>;

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

/// Removes what has ended of all devices: requests that have waited too long, records whose
/// time is over. Says of how many; one that changes meanwhile is left for the next time.
///
/// # Errors
///
/// [`StoreError::Failed`].
pub fn sweep(store: &dyn Store, now_ms: i64, rules: &Compatibility) -> Result<usize, StoreError> {
    let mut swept = 0;
    for (standing, version) in store.list()? {
        let Some(change) = expire(&standing, now_ms, rules) else {
            continue;
        };
        match store.commit(&change, version) {
            Ok(_) => swept += 1,
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(swept)
}
