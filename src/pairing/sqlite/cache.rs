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
    /// How often all was forgotten.
    clears: u64,
}

/// What is read from the file is of this moment or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    commits: u64,
    clears: u64,
}

impl Cache {
    /// Nothing, after so many commits.
    pub(super) fn new(commits: u64) -> Self {
        Cache {
            young: HashMap::new(),
            old: HashMap::new(),
            commits,
            clears: 0,
        }
    }

    /// What is here now, for who reads what is not.
    pub(super) fn state(&self) -> State {
        State {
            commits: self.commits,
            clears: self.clears,
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

    /// Keeps what was read, unless there was a commit since, or something changed without one: it may
    /// be older.
    pub(super) fn read(&mut self, device: &str, entry: &Entry, since: State) {
        if self.state() == since {
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
        self.clears += 1;
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
        let state = cache.state();
        cache.read("used", &entry(1), state);
        for device in 0..10 * GENERATION {
            cache.read(&device.to_string(), &entry(2), state);
            if device % 1_000 == 0 {
                assert_eq!(cache.get("used"), Some(entry(1)));
            }
        }
        assert!(cache.young.len() + cache.old.len() <= 2 * GENERATION);
        assert_eq!(cache.get("0"), None);
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let mut cache = Cache::new(7);
        let before = cache.state();
        cache.read("d", &entry(1), before);
        cache.catch_up(7);
        assert_eq!(cache.get("d"), Some(entry(1)));
        cache.catch_up(8);
        assert_eq!((cache.get("d"), cache.commits()), (None, 8));
        cache.read("d", &entry(1), before);
        assert_eq!(cache.get("d"), None);
        // Another program changed it without counting that.
        let before = cache.state();
        cache.clear();
        cache.read("d", &entry(1), before);
        assert_eq!(cache.get("d"), None);
    }
}
