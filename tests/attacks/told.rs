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

/// What was told so far, by whichever case.
pub(crate) fn all() -> String {
    String::from_utf8_lossy(&TOLD.lock().unwrap()).into_owned()
}
