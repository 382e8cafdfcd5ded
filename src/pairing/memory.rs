//! A store in memory: for tests, for gateways that forget, and what others are checked by.

use std::collections::BTreeMap;
#[expect(
    clippy::disallowed_types,
    reason = "a store is shared by connections; nothing is decided under the lock"
)]
use std::sync::Mutex;
use std::sync::{MutexGuard, PoisonError};

use super::change::{Change, Write};
use super::standing::Standing;
use super::store::{Limits, Store, StoreError, Version};

/// Keeps devices until it is dropped.
#[derive(Debug)]
pub struct Memory {
    limits: Limits,
    #[expect(
        clippy::disallowed_types,
        reason = "a store is shared by connections; nothing is decided under the lock"
    )]
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    devices: BTreeMap<Box<str>, (Standing, Version)>,
    /// Counts commits, so that no version comes twice.
    commits: u64,
}

impl Memory {
    /// An empty store.
    #[must_use]
    #[expect(
        clippy::disallowed_types,
        reason = "a store is shared by connections; nothing is decided under the lock"
    )]
    pub fn new(limits: Limits) -> Self {
        Memory {
            limits,
            kept: Mutex::new(Kept::default()),
        }
    }

    /// A commit is one insertion: after a panic elsewhere, what is kept is still whole.
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
    fn load(&self, device_id: &str) -> Result<(Standing, Version), StoreError> {
        Ok(self
            .kept()
            .devices
            .get(device_id)
            .cloned()
            .unwrap_or_default())
    }

    fn commit(&self, change: &Change, expected: Version) -> Result<Version, StoreError> {
        if change.device_id.is_empty() {
            return Ok(expected);
        }
        let mut kept = self.kept();
        let before = kept.devices.get(&change.device_id);
        let nothing = Standing::default();
        let (before, version) = before
            .map_or((&nothing, Version::NOTHING), |(standing, version)| {
                (standing, *version)
            });
        if version != expected {
            return Err(StoreError::Conflict);
        }
        if change.is_empty() {
            return Ok(expected);
        }
        let after = change.apply(before);
        if waits(&after) && !waits(before) && kept.count(waits) >= self.limits.requests {
            return Err(StoreError::TooManyRequests);
        }
        let paired = matches!(change.record, Write::Put(_)) && before.record.is_none();
        if paired && kept.count(|standing| standing.record.is_some()) >= self.limits.devices {
            return Err(StoreError::TooManyDevices);
        }
        if after == nothing {
            kept.devices.remove(&change.device_id);
            return Ok(Version::NOTHING);
        }
        kept.commits += 1;
        let version = Version(kept.commits);
        kept.devices
            .insert(change.device_id.clone(), (after, version));
        Ok(version)
    }

    fn list(&self) -> Result<Vec<(Standing, Version)>, StoreError> {
        Ok(self.kept().devices.values().cloned().collect())
    }

    fn device_of_request(&self, request_id: &str) -> Result<Option<Box<str>>, StoreError> {
        let kept = self.kept();
        let waiting = kept.devices.iter().find(|(_, (standing, _))| {
            let pending = standing.pending.as_ref();
            pending.is_some_and(|pending| &*pending.request_id == request_id)
        });
        Ok(waiting.map(|(device, _)| device.clone()))
    }
}

impl Kept {
    fn count(&self, which: impl Fn(&Standing) -> bool) -> usize {
        let counted = self
            .devices
            .values()
            .filter(|(standing, _)| which(standing));
        counted.count()
    }
}

fn waits(standing: &Standing) -> bool {
    standing.pending.is_some() || standing.node_pending.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_a_store_promises() {
        crate::pairing::suite::check(&|limits| Box::new(Memory::new(limits)));
    }
}
