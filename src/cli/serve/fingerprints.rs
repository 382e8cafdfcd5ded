//! The fingerprints of policies that are served, found aside.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::host::priority::{GivesWay, give_way};
use crate::policy::Policy;

/// Finds the fingerprints of policies, for which nobody waits: one at a time, and of those that wait
/// only the newest, as that of a policy of thousands of rules takes longer than to load another one.
#[derive(Default)]
pub(super) struct Fingerprints(Arc<Mutex<Finding>>);

#[derive(Default)]
struct Finding {
    next: Option<Policy>,
    is_busy: bool,
}

impl Fingerprints {
    pub(super) fn find(&self, policy: Policy) {
        let mut finding = lock(&self.0);
        finding.next = Some(policy);
        if mem::replace(&mut finding.is_busy, true) {
            return;
        }
        let all = Finder(Arc::clone(&self.0));
        let thread = std::thread::Builder::new().spawn(move || {
            give_way(GivesWay::Most);
            while let Some(policy) = Finding::next(&all.0) {
                // It keeps it.
                let _ = policy.fingerprint();
            }
        });
        // Without a thread it is tried again with the next policy.
        finding.is_busy = thread.is_ok();
    }
}

/// Whoever finds them.
struct Finder(Arc<Mutex<Finding>>);

impl Drop for Finder {
    /// Should finding one end in a panic, the next one is found all the same.
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0).is_busy = false;
        }
    }
}

impl Finding {
    fn next(all: &Mutex<Finding>) -> Option<Policy> {
        let mut finding = lock(all);
        let next = finding.next.take();
        finding.is_busy = next.is_some();
        next
    }
}

/// Each step under this lock is whole.
fn lock(all: &Mutex<Finding>) -> MutexGuard<'_, Finding> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}
