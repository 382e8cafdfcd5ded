//! What was read or written of devices lately: of so many, however many there are. What is not
//! here is in the file; nothing is known here of how it gets from there.

use std::collections::HashMap;
use std::mem;

use crate::pairing::kept::{Entry, Written};

/// How many devices a generation has. There are two of them, and an entry takes two or three KiB.
const GENERATION: usize = 4_096;

/// Entries by device id, each as it is in the file after so many commits.
#[derive(Debug)]
pub(super) struct Cache {
    /// Used since the last generation began.
    young: HashMap<Box<str>, Entry>,
    /// Used in the one before; whatever is not used again goes with it.
    old: HashMap<Box<str>, Entry>,
    /// Never behind what anybody was told.
    commits: u64,
}

impl Cache {
    /// Nothing, after so many commits.
    pub(super) fn new(commits: u64) -> Self {
        Cache {
            young: HashMap::new(),
            old: HashMap::new(),
            commits,
        }
    }

    /// After how many commits the file holds what is here.
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    /// What is kept of a device, where it is here.
    pub(super) fn get(&mut self, device: &str) -> Option<Entry> {
        if let Some(entry) = self.young.get(device) {
            return Some(entry.clone());
        }
        let (device, entry) = self.old.remove_entry(device)?;
        self.put(device, entry.clone());
        Some(entry)
    }

    /// Keeps what was read after so many commits, unless there was one since: it may be older.
    pub(super) fn read(&mut self, device: &str, entry: &Entry, commits: u64) {
        if self.commits == commits {
            self.put(device.into(), entry.clone());
        }
    }

    /// Takes over what a batch wrote, unless it is known that there were more commits: then it
    /// may have been written over.
    pub(super) fn take(&mut self, written: Written) {
        let commits = written.totals().commits;
        if self.commits >= commits {
            return;
        }
        self.commits = commits;
        for (device, entry) in written.into_devices() {
            self.old.remove(&device);
            match entry {
                Some(entry) => self.put(device, entry),
                None => drop(self.young.remove(&device)),
            }
        }
    }

    /// Others have committed: nothing is known of any device, unless that is known already.
    pub(super) fn catch_up(&mut self, commits: u64) {
        if self.commits < commits {
            self.clear();
            self.commits = commits;
        }
    }

    /// Forgets all devices.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn put(&mut self, device: Box<str>, entry: Entry) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(device, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairing::store::Version;

    fn entry(version: u64) -> Entry {
        (Default::default(), Version(version))
    }

    #[test]
    fn what_is_used_stays_and_there_is_never_more_than_two_generations() {
        let mut cache = Cache::new(7);
        cache.read("used", &entry(1), 7);
        for device in 0..10 * GENERATION {
            cache.read(&device.to_string(), &entry(2), 7);
            if device % 1_000 == 0 {
                assert_eq!(cache.get("used"), Some(entry(1)));
            }
        }
        assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
        assert_eq!(cache.get("0"), None);
    }

    #[test]
    fn what_was_read_before_a_commit_is_not_kept_after_it() {
        let mut cache = Cache::new(7);
        cache.read("d", &entry(1), 6);
        assert_eq!(cache.get("d"), None);
        cache.read("d", &entry(1), 7);
        cache.catch_up(7);
        assert_eq!(cache.get("d"), Some(entry(1)));
        cache.catch_up(8);
        assert_eq!((cache.get("d"), cache.commits()), (None, 8));
    }
}
