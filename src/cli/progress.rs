//! What is being done, told while it takes longer than a second and somebody looks on: on standard
//! error, where that is a terminal, on one line that is gone afterwards.

use std::io::{IsTerminal as _, Write as _, stderr};
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
pub(super) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// Begins; `what` is told as in `my.policy: looking at all connections`.
    pub(super) fn start(what: &str) -> Self {
        Progress(stderr().is_terminal().then(|| {
            let (done, is_done) = channel();
            let what = one_line(what, MOST);
            let teller = spawn(move || {
                let start = Instant::now();
                let mut is_shown = false;
                while let Err(RecvTimeoutError::Timeout) = is_done.recv_timeout(EVERY) {
                    let _ = write!(stderr(), "\r\x1b[K{}", told(&what, start.elapsed()));
                    let _ = stderr().flush();
                    is_shown = true;
                }
                if is_shown {
                    let _ = write!(stderr(), "\r\x1b[K");
                    let _ = stderr().flush();
                }
            });
            (done, teller)
        }))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, teller)) = self.0.take() {
            drop(done);
            // What it would panic of is that nothing can be written, which others say.
            let _ = teller.join();
        }
    }
}

fn told(what: &str, so_far: Duration) -> String {
    format!("{what}, {} s so far (Ctrl-C ends it)", so_far.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_and_for_how_long() {
        assert_eq!(
            told(
                "my.policy: looking at all connections",
                Duration::from_millis(2_900)
            ),
            "my.policy: looking at all connections, 2 s so far (Ctrl-C ends it)"
        );
    }
}
