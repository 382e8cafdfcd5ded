//! Files that are watched: when one of them is another one, somebody is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// How long the files have to stay as they are before they count as written: an editor takes
/// several steps to write one.
const SETTLE: Duration = Duration::from_millis(200);

/// How often that is waited for: a file that never comes to rest is read all the same.
const MOST_SETTLES: usize = 25;

/// How long the files are not looked at without a sign of a change: where the system tells of
/// none, as on a network's disk.
const AT_LEAST: Duration = Duration::from_secs(5);

/// Watches files by their folders, so that one that is replaced, or reached over a link that is
/// turned, is seen too.
///
/// What a file was is what was seen of it before it was told of, and so before it was read: whatever
/// comes while it is read is a change.
#[derive(Debug)]
pub(super) struct Watch {
    files: Seen,
    signs: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

/// What was seen of each file; nothing of one that nobody looked at.
type Seen = BTreeMap<PathBuf, Option<Sight>>;

/// What is seen of a file; nothing where there is none.
type Sight = Option<Stamp>;

/// What differs when a file is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Watch {
    /// Watches nothing yet.
    pub(super) fn new() -> Self {
        let signs = Arc::new(Notify::new());
        let signal = Arc::clone(&signs);
        // Reading a file is told too, and the files are read when one has changed.
        let watcher = notify::recommended_watcher(move |told: notify::Result<notify::Event>| {
            if !told.is_ok_and(|event| event.kind.is_access()) {
                signal.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "the system does not tell when files change: they are looked at now and then");
        }
        Watch {
            files: BTreeMap::new(),
            signs,
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
        }
    }

    /// Watches these files in place of those from before. A file need not be there. One that is new
    /// among them was read before anybody looked at it, so it counts as changed once.
    pub(super) fn set(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let mut before = mem::take(&mut self.files);
        for file in files {
            let seen = before.remove(&file).flatten();
            self.files.entry(file).or_insert(seen);
        }
        let folders: BTreeSet<PathBuf> = self.files.keys().flat_map(|file| folders(file)).collect();
        if let Some(watcher) = &mut self.watcher {
            for gone in self.folders.difference(&folders) {
                // It may be gone itself.
                let _ = watcher.unwatch(gone);
            }
            for new in folders.difference(&self.folders) {
                if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                    tracing::debug!(folder = %new.display(), %error, "not watched");
                }
            }
        }
        self.folders = folders;
    }

    /// Waits until one of the files is another one, and all of them have come to rest.
    pub(super) async fn changed(&mut self) {
        loop {
            let told = self.files.values().any(Option::is_none)
                || timeout(AT_LEAST, self.signs.notified()).await.is_ok();
            let mut seen = self.look();
            if seen == self.files && !told {
                continue;
            }
            for _ in 0..MOST_SETTLES {
                sleep(SETTLE).await;
                let again = self.look();
                if again == seen {
                    break;
                }
                seen = again;
            }
            if seen != self.files {
                self.files = seen;
                return;
            }
        }
    }

    fn look(&self) -> Seen {
        let look = |file: &PathBuf| (file.clone(), Some(stamp(file)));
        self.files.keys().map(look).collect()
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some(Stamp {
        length: metadata.len(),
        modified: metadata.modified().ok(),
        inode: inode(&metadata),
    })
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &fs::Metadata) -> u64 {
    0
}

/// The folder of a file, and that of what it leads to.
fn folders(file: &Path) -> Vec<PathBuf> {
    let real = fs::canonicalize(file).ok();
    let folder = |file: &Path| match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => Some(folder.to_owned()),
        Some(_) => Some(PathBuf::from(".")),
        None => None,
    };
    [folder(file), real.as_deref().and_then(folder)]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the ways that editors and deployments replace a file.
    #[tokio::test]
    async fn a_file_that_is_replaced_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.policy");
        let other = folder.path().join("other");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::new();
        watch.set([file.clone()]);
        watch.changed().await;

        fs::write(&file, "longer").unwrap();
        watch.changed().await;

        fs::write(&other, "another").unwrap();
        fs::rename(&other, &file).unwrap();
        watch.changed().await;

        fs::remove_file(&file).unwrap();
        watch.changed().await;

        fs::write(&file, "again").unwrap();
        watch.changed().await;
    }

    /// Whoever reads the files is not waited for: what comes meanwhile is seen afterwards.
    #[tokio::test]
    async fn a_change_while_the_files_are_read_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let [file, more] = ["a.policy", "more.policy"].map(|name| folder.path().join(name));
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::new();
        // It was read, and then changed, before anybody watched it.
        watch.set([file.clone()]);
        watch.changed().await;

        fs::write(&file, "two!").unwrap();
        watch.changed().await;
        // Here it is read, together with another one; then both change.
        fs::write(&file, "three").unwrap();
        fs::write(&more, "new").unwrap();
        watch.set([file.clone(), more]);
        watch.changed().await;
        watch.set([file]);
        assert_eq!(watch.look(), watch.files);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_that_is_turned_is_seen() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for version in ["v1", "v2"] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("a.policy"), version).unwrap();
        }
        symlink("v1", path("data")).unwrap();
        symlink("data/a.policy", path("a.policy")).unwrap();
        let mut watch = Watch::new();
        watch.set([path("a.policy")]);
        watch.changed().await;
        symlink("v2", path("new")).unwrap();
        fs::rename(path("new"), path("data")).unwrap();
        watch.changed().await;
    }
}
