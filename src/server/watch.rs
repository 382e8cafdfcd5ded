//! Files that are watched: when one of them is another one, somebody is told.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// How long after the first sign of a change the files are looked at: an editor takes several
/// steps to write one.
const SETTLE: Duration = Duration::from_millis(200);

/// How long the files are not looked at without a sign of a change: where the system tells of
/// none, as on a network's disk.
const AT_LEAST: Duration = Duration::from_secs(5);

/// Watches files by their folders, so that one that is replaced, or reached over a link that is
/// turned, is seen too.
#[derive(Debug)]
pub(super) struct Watch {
    files: BTreeSet<PathBuf>,
    stamps: Vec<Option<Stamp>>,
    signs: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
}

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
            files: BTreeSet::new(),
            stamps: Vec::new(),
            signs,
            watcher: watcher.ok(),
            folders: BTreeSet::new(),
        }
    }

    /// Watches these files in place of those from before. A file need not be there.
    pub(super) fn set(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.files = files.into_iter().collect();
        self.stamps = self.look();
        let folders: BTreeSet<PathBuf> = self.files.iter().flat_map(|file| folders(file)).collect();
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

    /// Waits until one of the files is another one.
    pub(super) async fn changed(&mut self) {
        loop {
            if timeout(AT_LEAST, self.signs.notified()).await.is_ok() {
                sleep(SETTLE).await;
            }
            let stamps = self.look();
            if stamps != self.stamps {
                self.stamps = stamps;
                return;
            }
        }
    }

    fn look(&self) -> Vec<Option<Stamp>> {
        self.files.iter().map(|file| stamp(file)).collect()
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
        symlink("v2", path("new")).unwrap();
        fs::rename(path("new"), path("data")).unwrap();
        watch.changed().await;
    }
}
