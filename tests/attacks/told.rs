//! All that the program tells of itself while cases run, at every level: what a log could hold.

use std::io;
use std::sync::Mutex;

use tracing_subscriber::fmt::MakeWriter;

static TOLD: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Kept;

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TOLD.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Kept {
    type Writer = Kept;

    fn make_writer(&self) -> Kept {
        Kept
    }
}

/// Listens from now on.
pub(crate) fn listen() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(Kept)
        .init();
}

/// How much was told so far.
pub(crate) fn so_far() -> usize {
    TOLD.lock().unwrap().len()
}

/// What was told since then: by this case, and by those that run beside it.
pub(crate) fn since(then: usize) -> String {
    String::from_utf8_lossy(&TOLD.lock().unwrap()[then..]).into_owned()
}
