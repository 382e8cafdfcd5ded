//! When devices were last there, until it is written: nobody is promised that, so nobody waits
//! for the disk because of it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::Notify;

use super::gateway::lock;
use crate::facts::Text;
use crate::pairing::change::Change;
use crate::pairing::store::{Store, StoreError, Version};

/// How many devices may have a note that is not written. One more is written at once.
const MOST: usize = 10_000;

/// From how many on they are written before it is time. Of so many what was read of their devices is
/// still in memory.
const MANY: usize = 2_048;

/// Notes that are not written yet: of each device the last.
#[derive(Debug, Default)]
pub(super) struct Notes {
    kept: Mutex<BTreeMap<Text, (Change, Version)>>,
    /// Held while some are written: whoever wants to see them written waits for those too that
    /// another one has taken.
    writing: Mutex<()>,
    /// Told when there are many.
    many: Notify,
}

impl Notes {
    /// Keeps a note; says whether there was room for it.
    pub(super) fn keep(&self, note: &Change, version: Version) -> bool {
        let mut notes = lock(&self.kept);
        if notes.len() >= MOST && !notes.contains_key(&note.device_id) {
            return false;
        }
        notes.insert(note.device_id.clone(), (note.clone(), version));
        if notes.len() == MANY {
            self.many.notify_one();
        }
        true
    }

    /// Waits until there are many.
    pub(super) async fn many(&self) {
        self.many.notified().await;
    }

    /// Writes them, and says how many, also when it fails. One of a device that changed
    /// meanwhile is dropped: what it says is no longer the last. It waits for the disk.
    pub(super) fn write(&self, store: &dyn Store) -> (u64, Result<(), StoreError>) {
        let _one = lock(&self.writing);
        let notes = std::mem::take(&mut *lock(&self.kept));
        let notes: Vec<(Change, Version)> = notes.into_values().collect();
        let (mut written, mut failed) = (0, Ok(()));
        for done in store.commit_all(notes) {
            match done {
                Ok(_) => written += 1,
                Err(StoreError::Conflict) => {}
                Err(error) => failed = Err(error),
            }
        }
        (written, failed)
    }
}
