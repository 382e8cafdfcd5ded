//! When devices were last there, until it is written: nobody is promised that, so nobody waits
//! for the disk because of it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::gateway::lock;
use crate::facts::Text;
use crate::pairing::change::Change;
use crate::pairing::store::{Store, StoreError, Version};

/// How many devices may have a note that is not written. One more is written at once.
const MOST: usize = 10_000;

/// Notes that are not written yet: of each device the last.
#[derive(Debug, Default)]
pub(super) struct Notes {
    kept: Mutex<BTreeMap<Text, (Change, Version)>>,
    /// Held while some are written: whoever wants to see them written waits for those too that
    /// another one has taken.
    writing: Mutex<()>,
}

impl Notes {
    /// Keeps a note; says whether there was room for it.
    pub(super) fn keep(&self, note: &Change, version: Version) -> bool {
        let mut notes = lock(&self.kept);
        if notes.len() >= MOST && !notes.contains_key(&note.device_id) {
            return false;
        }
        notes.insert(note.device_id.clone(), (note.clone(), version));
        true
    }

    /// Writes them, and says how many, also when it fails. One of a device that changed
    /// meanwhile is dropped: what it says is no longer the last. It waits for the disk.
    pub(super) fn write(&self, store: &dyn Store) -> (u64, Result<(), StoreError>) {
        let _one = lock(&self.writing);
        let notes = std::mem::take(&mut *lock(&self.kept));
        let mut written = 0;
        for (note, version) in notes.into_values() {
            match store.commit(&note, version) {
                Ok(_) => written += 1,
                Err(StoreError::Conflict) => {}
                Err(error) => return (written, Err(error)),
            }
        }
        (written, Ok(()))
    }
}
