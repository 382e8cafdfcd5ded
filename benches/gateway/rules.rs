//! A policy of many rules, and somebody who changes it while clients knock.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How long after one change the next one is made. The gateway takes longer to load one.
const BETWEEN: Duration = Duration::from_millis(50);

/// A file with a policy of so many rules.
pub(crate) struct Rules {
    file: PathBuf,
    rules: usize,
}

impl Rules {
    /// In a folder.
    pub(crate) fn new(folder: &Path, rules: usize) -> Self {
        let file = folder.join("many.policy");
        let made = Rules { file, rules };
        made.write(0);
        made
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Changes it again and again as long as something is done.
    pub(crate) fn changing<T>(&self, doing: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for edition in 1.. {
                    self.write(edition);
                    thread::sleep(BETWEEN);
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            let done = doing();
            over.store(true, Ordering::Relaxed);
            done
        })
    }

    /// Each edition differs from the one before in one network. A file is there as a whole.
    fn write(&self, edition: usize) {
        let mut text = String::from("gw-policy 1\n");
        for rule in 0..self.rules {
            let (a, b) = (rule / 250, rule % 250);
            let half = if rule == 0 { edition % 2 * 128 } else { 0 };
            writeln!(
                text,
                "auth=token and peer in {{ 10.{a}.{b}.{half}/25 }} and not forwarded → approve"
            )
            .expect("writing to a string");
        }
        text.push_str("client=cli and auth=token and loopback → silent-approve\n");
        text.push_str("default → require-pairing\n");
        let new = self.file.with_extension("new");
        fs::write(&new, text).expect("a file");
        fs::rename(&new, &self.file).expect("a file");
    }
}
