//! What is being done, told while it takes longer than a second and somebody looks on: on standard
//! error, where that is a terminal, on one line that is gone afterwards.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use crate::source::one_line;

/// How long it is silent, and how often it tells again.
const EVERY: Duration = Duration::from_secs(1);

/// The longest name of what is being done.
const MOST: usize = 60;

/// Something that is being done, until this is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    /// How many of how many parts of it are done, where that is known.
    parts: Arc<[AtomicUsize; 2]>,
    teller: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins; `what` is told as in `my.policy: looking at all connections`.
    pub(super) fn start(what: &str) -> Self {
        let parts: Arc<[AtomicUsize; 2]> = Arc::default();
        let counted = Arc::clone(&parts);
        let teller = stderr().is_terminal().then(|| {
            let (done, is_done) = channel();
            let what = one_line(what, MOST);
            let teller = spawn(move || {
                let start = Instant::now();
                let mut is_shown = false;
                while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(EVERY) {
                    let parts = counted.each_ref().map(|it| it.load(Ordering::Relaxed));
                    let _ = write!(stderr(), "\r\x1b[K{}", told(&what, parts, start.elapsed()));
                    let _ = stderr().flush();
                    is_shown = true;
                }
                if is_shown {
                    let _ = write!(stderr(), "\r\x1b[K");
                    let _ = stderr().flush();
                }
            });
            (done, teller)
        });
        Progress { parts, teller }
    }

    /// So many parts of so many are done.
    pub(super) fn done(&self, parts: usize, of: usize) {
        for (place, count) in self.parts.iter().zip([parts, of]) {
            place.store(count, Ordering::Relaxed);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, teller)) = self.teller.take() {
            drop(done);
            // What it would panic of is that nothing can be written, which others say.
            let _ = teller.join();
        }
    }
}

fn told(what: &str, parts: [usize; 2], so_far: Duration) -> String {
    let parts = match parts {
        [_, 0] => String::new(),
        [done, of] => format!(", {done} of {of}"),
    };
    format!(
        "{what}{parts}, {} s so far (Ctrl-C ends it)",
        so_far.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_and_for_how_long() {
        let so_far = Duration::from_millis(2_900);
        for (parts, says) in [
            ([0, 0], "my.policy: looking, 2 s so far (Ctrl-C ends it)"),
            (
                [12, 80],
                "my.policy: looking, 12 of 80, 2 s so far (Ctrl-C ends it)",
            ),
        ] {
            assert_eq!(told("my.policy: looking", parts, so_far), says);
        }
    }
}
