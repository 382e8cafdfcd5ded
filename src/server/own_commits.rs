//! Which commits of a store are a gateway's own: whoever changed the store besides is found by them.

use std::sync::Mutex;

use super::gateway::lock;

/// Counts commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnCommits {
    /// How many are done.
    done: u64,
    /// How many may be in the store already, and may not.
    begun: u32,
}

/// A commit that is being made.
pub(super) struct Committing<'a>(&'a Mutex<OwnCommits>);

impl OwnCommits {
    /// A commit begins.
    pub(super) fn begin(counts: &Mutex<OwnCommits>) -> Committing<'_> {
        lock(counts).begun += 1;
        Committing(counts)
    }

    /// How many commits of a store are not among these, where that can be told: `before` and
    /// `after` were looked at before and after the store was asked how many there are.
    pub(super) fn others(before: Self, commits: u64, after: Self) -> Option<u64> {
        (before == after && after.begun == 0).then(|| commits.wrapping_sub(after.done))
    }
}

impl Committing<'_> {
    /// It is made, and was so many.
    pub(super) fn done(self, commits: u64) {
        lock(self.0).done += commits;
    }
}

impl Drop for Committing<'_> {
    fn drop(&mut self) {
        lock(self.0).begun -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_apart_only_while_nothing_is_under_way() {
        let counts = Mutex::new(OwnCommits::default());
        let look = || *lock(&counts);
        assert_eq!(OwnCommits::others(look(), 7, look()), Some(7));
        let before = look();
        let committing = OwnCommits::begin(&counts);
        // It may be among the eight, or it may not.
        assert_eq!(OwnCommits::others(before, 8, look()), None);
        assert_eq!(OwnCommits::others(look(), 8, look()), None);
        committing.done(1);
        assert_eq!(OwnCommits::others(before, 8, look()), None);
        assert_eq!(OwnCommits::others(look(), 8, look()), Some(7));
        drop(OwnCommits::begin(&counts));
        assert_eq!(OwnCommits::others(look(), 9, look()), Some(8));
    }
}
