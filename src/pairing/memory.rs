//! A store in memory: for tests, for gateways that forget, and what others are checked by.
#![expect(
    clippy::disallowed_types,
    reason = "a store is shared by connections; nothing is decided under the lock"
)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::change::Change;
use super::kept::Kept;
use super::standing::Standing;
use super::store::{Limits, Look, Store, StoreError, Version};

/// Keeps devices until it is dropped.
#[derive(Debug)]
pub struct Memory {
    limits: Limits,
    kept: Mutex<Kept>,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Memory {
            limits,
            kept: Mutex::new(Kept::default()),
        }
    }

    /// A commit is taken as a whole: after a panic elsewhere, what is kept is still whole.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new(Limits::default())
    }
}

impl Store for Memory {
    fn load(&self, device_id: &str) -> Result<(Arc<Standing>, Version), StoreError> {
        Ok(self.kept().load(device_id))
    }

    fn commit(&self, change: &Change, expected: Version) -> Result<Version, StoreError> {
        let mut kept = self.kept();
        let mut batch = kept.batch();
        let version = batch.add(change, expected, self.limits)?;
        let written = batch.written();
        kept.take(written);
        Ok(version)
    }

    fn list(&self) -> Result<Vec<(Standing, Version)>, StoreError> {
        Ok(self.kept().list())
    }

    fn waiting(&self, look: &mut Look<'_>) -> Result<(), StoreError> {
        self.kept().waiting(look);
        Ok(())
    }

    fn device_of_request(&self, request_id: &str) -> Result<Option<Box<str>>, StoreError> {
        Ok(self.kept().device_of_request(request_id))
    }

    fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.kept().totals().commits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_a_store_promises() {
        crate::pairing::suite::check(&|limits| Box::new(Memory::new(limits)));
    }
}
