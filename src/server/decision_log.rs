//! The writer of the log of decisions: one thread that appends to one file, and begins another
//! one when it is full. What lines say is in [`crate::journal`].
//!
//! Whoever serves never waits for the disk: lines go through a bounded queue, and what does not
//! fit is counted and told by a line when there is room again. A disk that is full or a folder
//! that is gone ends nothing: it is told once, and once more when lines are written again.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::Decisions;
use crate::host::own;
use crate::journal::Line;

/// How many lines may wait for the disk. A line has about 2 KiB, so these are 8 MiB at most.
const QUEUE: usize = 4_096;

/// As many bytes are written at once, where so many wait.
const BATCH: usize = 64 << 10;

/// How long lines gather once some were written: a thread that is woken for each costs more than
/// writing them.
const GATHER: Duration = Duration::from_millis(10);

/// How often a writer that has nothing to write looks whether its file was moved away.
const IDLE: Duration = Duration::from_secs(5);

/// The part of each file that lines of strangers may take: whoever can make no other ones does not
/// push those out.
const STRANGERS_PART: u64 = 4;

/// What part of a file a line may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All of it.
    Whole,
    /// A stranger's: it is of a connection that nothing was decided of, or that was refused and
    /// proved no secret.
    Stranger,
    /// A stranger's: it says that so many had no line.
    LeftOut(u64),
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file or its folder.
    #[error("{} cannot be written: {error}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Two writers would rotate it from under each other.
    #[error("{} is written by another process", .0.display())]
    Taken(PathBuf),
}

/// The log of decisions. It may be shared; dropping it ends the writer when all is written.
#[derive(Debug)]
pub struct DecisionLog {
    sender: RwLock<Option<SyncSender<Message>>>,
    counts: Arc<Counts>,
    ended: std::sync::Mutex<Receiver<()>>,
}

#[derive(Debug, Default)]
struct Counts {
    /// All lines that were lost.
    dropped: AtomicU64,
    /// Those of them that no line tells of yet.
    untold: AtomicU64,
    written: AtomicU64,
    /// Connections of strangers that have no line, since they have their part of the file.
    left_out: AtomicU64,
}

impl Counts {
    fn drop_lines(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
        self.untold.fetch_add(count, Ordering::Relaxed);
    }
}

enum Message {
    Line(Arc<str>, Share),
    Flush(Sender<()>),
}

impl DecisionLog {
    /// Opens the file, which is made where it is not there, and begins to write.
    ///
    /// # Errors
    ///
    /// [`LogError`] when it cannot be written, or is written by another process.
    pub fn open(decisions: &Decisions) -> Result<Self, LogError> {
        Self::with_queue(decisions, QUEUE)
    }

    fn with_queue(decisions: &Decisions, queue: usize) -> Result<Self, LogError> {
        let counts = Arc::new(Counts::default());
        let mut writer = Writer {
            decisions: decisions.clone(),
            file: None,
            failing: false,
            stuck: false,
            strangers: Strangers::default(),
            counts: Arc::clone(&counts),
        };
        writer.reopen()?;
        let (sender, receiver) = sync_channel(queue);
        let (end, ended) = channel();
        let unwritable = |error| LogError::Unwritable {
            path: decisions.file.clone(),
            error,
        };
        std::thread::Builder::new()
            .name("gw-decisions".to_owned())
            .spawn(move || {
                writer.run(&receiver);
                // Whoever hears of the end may open the file.
                drop(writer);
                let _ = end.send(());
            })
            .map_err(unwritable)?;
        Ok(DecisionLog {
            sender: RwLock::new(Some(sender)),
            counts,
            ended: std::sync::Mutex::new(ended),
        })
    }

    /// Writes a line, some time soon. It never waits.
    pub fn write(&self, line: &Line) {
        self.write_text(line.text().into(), Share::Whole);
    }

    /// Writes the text of a line.
    pub(super) fn write_text(&self, text: Arc<str>, share: Share) {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sent = sender
            .as_ref()
            .is_some_and(|sender| sender.try_send(Message::Line(text, share)).is_ok());
        if !sent {
            self.counts.drop_lines(1);
        }
    }

    /// How many lines were lost since the log was opened.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// How many lines were written since the log was opened, those of lost lines among them.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.counts.written.load(Ordering::Relaxed)
    }

    /// How many connections of strangers have no line, since this was asked last.
    pub(super) fn take_left_out(&self) -> u64 {
        self.counts.left_out.swap(0, Ordering::Relaxed)
    }

    /// Waits until what was given so far is written, or given up; false when that took too long.
    #[must_use]
    pub fn flush(&self, deadline: Duration) -> bool {
        let (done, wait) = channel();
        let sent = {
            let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
            let flush = Message::Flush(done);
            sender
                .as_ref()
                .is_some_and(|sender| sender.send(flush).is_ok())
        };
        sent && wait.recv_timeout(deadline).is_ok()
    }

    /// Takes no more lines, and waits until the others are written; false when that took too
    /// long. Then they are written as long as the process lasts.
    #[must_use]
    pub fn close(&self, deadline: Duration) -> bool {
        let sender = self.sender.write();
        drop(sender.unwrap_or_else(PoisonError::into_inner).take());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(ended.recv_timeout(deadline), Err(RecvTimeoutError::Timeout))
    }
}

struct Writer {
    decisions: Decisions,
    file: Option<Open>,
    /// Whether it has been told that nothing can be written.
    failing: bool,
    /// Whether it has been told that a full file stays.
    stuck: bool,
    strangers: Strangers,
    counts: Arc<Counts>,
}

/// What strangers have of the file.
#[derive(Debug, Default)]
struct Strangers {
    bytes: u64,
    /// How many have no line, and none says so yet.
    left_out: u64,
}

struct Open {
    file: File,
    bytes: u64,
}

impl Writer {
    fn run(&mut self, receiver: &Receiver<Message>) {
        let mut batch = String::new();
        loop {
            let first = match receiver.recv_timeout(IDLE) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    self.look();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            batch.clear();
            let mut lines = 0;
            let mut flushed = None;
            let more = std::iter::from_fn(|| receiver.try_recv().ok());
            for message in std::iter::once(first).chain(more) {
                match message {
                    Message::Line(line, share) if !self.takes(&line, share) => {}
                    Message::Line(line, _) => {
                        batch.push_str(&line);
                        batch.push('\n');
                        lines += 1;
                    }
                    Message::Flush(done) => flushed = Some(done),
                }
                if batch.len() >= BATCH || flushed.is_some() {
                    break;
                }
            }
            self.put(&batch, lines);
            match flushed {
                Some(done) => {
                    let _ = done.send(());
                }
                None => std::thread::sleep(GATHER),
            }
        }
        // Lines may have been lost or left out after the last one that was written.
        if let Some(line) = self.strangers.told() {
            self.put(&line, 1);
        }
        self.put("", 0);
    }

    /// Whether a line has room in its part of the file; one that has none is counted.
    fn takes(&mut self, line: &str, share: Share) -> bool {
        let count = match share {
            Share::Whole => return true,
            Share::Stranger => 1,
            Share::LeftOut(count) => count,
        };
        let bytes = self.strangers.bytes + line.len() as u64 + 1;
        if bytes <= self.decisions.max_bytes / STRANGERS_PART {
            self.strangers.bytes = bytes;
            return true;
        }
        if self.strangers.left_out == 0 {
            let file = self.decisions.file.display();
            tracing::warn!(%file, "connections that end before they are decided have their part of this file: they are counted until the next one begins");
        }
        self.strangers.left_out += count;
        if share == Share::Stranger {
            self.counts.left_out.fetch_add(1, Ordering::Relaxed);
        }
        false
    }

    /// Writes lines, or counts them as lost.
    fn put(&mut self, batch: &str, lines: u64) {
        let untold = self.counts.untold.swap(0, Ordering::Relaxed);
        if batch.is_empty() && untold == 0 {
            return;
        }
        let mut text = String::new();
        let mut count = lines;
        if untold > 0 {
            let line = Line::lines_dropped(now_ms(), untold);
            let _ = writeln!(text, "{}", line.text());
            count += 1;
        }
        text.push_str(batch);
        match self.append(&text) {
            Ok(()) => {
                self.counts.written.fetch_add(count, Ordering::Relaxed);
                if self.failing {
                    self.failing = false;
                    let file = self.decisions.file.display();
                    tracing::warn!(%file, dropped = untold, "decisions are written down again");
                }
            }
            Err(error) => {
                // Those that were told of by the line that was not written.
                self.counts.untold.fetch_add(untold, Ordering::Relaxed);
                self.counts.drop_lines(lines);
                self.complain(&error);
            }
        }
    }

    fn complain(&mut self, error: &dyn std::error::Error) {
        if !self.failing {
            self.failing = true;
            let file = self.decisions.file.display();
            tracing::warn!(%file, %error, "decisions are not written down");
        }
    }

    fn append(&mut self, text: &str) -> Result<(), LogError> {
        self.look();
        if self.is_full(text.len()) {
            // A file that cannot be moved grows: better than lines that are lost.
            match self.rotate() {
                Ok(()) => {
                    self.stuck = false;
                    self.reopen()?;
                    self.tell_left_out()?;
                }
                Err(error) if !self.stuck => {
                    self.stuck = true;
                    tracing::warn!(%error, "the file of decisions is full, and no other is begun");
                }
                Err(_) => {}
            }
        }
        if self.file.is_none() {
            self.reopen()?;
        }
        self.write(text)
    }

    /// Says at the beginning of a file how many strangers had no line in the one before it.
    fn tell_left_out(&mut self) -> Result<(), LogError> {
        let left_out = self.strangers.left_out;
        let Some(line) = self.strangers.told() else {
            return Ok(());
        };
        match self.write(&line) {
            Ok(()) => {
                self.counts.written.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.strangers.left_out = left_out;
                Err(error)
            }
        }
    }

    fn write(&mut self, text: &str) -> Result<(), LogError> {
        let path = self.decisions.file.clone();
        let Some(open) = &mut self.file else {
            return Ok(());
        };
        let written = open.file.write_all(text.as_bytes());
        let unwritable = |error| LogError::Unwritable { path, error };
        match written {
            Ok(()) => {
                open.bytes += text.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A part of a line would spoil the next one.
                if open.file.set_len(open.bytes).is_err() {
                    self.file = None;
                }
                Err(unwritable(error))
            }
        }
    }

    fn is_full(&self, more: usize) -> bool {
        self.file.as_ref().is_some_and(|open| {
            open.bytes > 0 && open.bytes + more as u64 > self.decisions.max_bytes
        })
    }

    /// Lets go of a file that was moved away or removed: whoever did that wants another one.
    fn look(&mut self) {
        let Some(open) = &mut self.file else {
            return;
        };
        match (
            open.file.metadata(),
            std::fs::metadata(&self.decisions.file),
        ) {
            (Ok(own), Ok(there)) if is_same(&own, &there) => {
                // Whoever emptied it in place did so behind our back.
                open.bytes = own.len();
            }
            (Ok(_) | Err(_), _) => self.file = None,
        }
    }

    fn reopen(&mut self) -> Result<(), LogError> {
        let path = &self.decisions.file;
        self.file = None;
        self.strangers.bytes = 0;
        let unwritable = |error| LogError::Unwritable {
            path: path.clone(),
            error,
        };
        let file = open(path).map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LogError::Taken(path.clone())),
            // Not every file system has locks.
            Err(TryLockError::Error(_)) => {}
        }
        let bytes = mend(&file).map_err(unwritable)?;
        self.file = Some(Open { file, bytes });
        Ok(())
    }

    /// Begins another file: FILE becomes FILE.1, that FILE.2, and the last one is removed.
    fn rotate(&mut self) -> Result<(), LogError> {
        let Decisions { file, keep, .. } = &self.decisions;
        self.file = None;
        let moved = (|| {
            if *keep == 0 {
                return std::fs::remove_file(file);
            }
            for older in (1..*keep).rev() {
                let moved = std::fs::rename(numbered(file, older), numbered(file, older + 1));
                moved.or_else(|error| match error.kind() == ErrorKind::NotFound {
                    true => Ok(()),
                    false => Err(error),
                })?;
            }
            std::fs::rename(file, numbered(file, 1))
        })();
        moved.map_err(|error| LogError::Unwritable {
            path: file.clone(),
            error,
        })
    }
}

impl Strangers {
    /// The line that says how many were left out, where some were.
    fn told(&mut self) -> Option<String> {
        let count = std::mem::take(&mut self.left_out);
        let line = Line::lines_left_out(now_ms(), None, count);
        (count > 0).then(|| format!("{}\n", line.text()))
    }
}

/// The name of an older file: FILE.1 is the last that was filled.
#[must_use]
pub fn numbered(file: &Path, number: usize) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Opens a file to append to, for nobody but its owner.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = own::open(&mut options, path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = file.metadata()?;
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(file)
}

/// How large a file is, after its last line got the end that a crash took from it.
fn mend(mut file: &File) -> io::Result<u64> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let bytes = file.metadata()?.len();
    let Some(last) = bytes.checked_sub(1) else {
        return Ok(0);
    };
    file.seek(SeekFrom::Start(last))?;
    let mut end = [0];
    file.read_exact(&mut end)?;
    if end == *b"\n" {
        return Ok(bytes);
    }
    file.write_all(b"\n")?;
    Ok(bytes + 1)
}

#[cfg(unix)]
fn is_same(own: &std::fs::Metadata, there: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

/// Without inode numbers a file that may be moved while it is open cannot be told from another.
#[cfg(not(unix))]
fn is_same(_: &std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    true
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Kind, read};

    const SOON: Duration = Duration::from_secs(60);

    struct Folder {
        folder: tempfile::TempDir,
        decisions: Decisions,
    }

    impl Folder {
        fn new(max_bytes: u64, keep: usize) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("log/decisions.jsonl");
            std::fs::create_dir(file.parent().unwrap()).unwrap();
            Folder {
                folder,
                decisions: Decisions {
                    file,
                    max_bytes,
                    keep,
                },
            }
        }

        fn log(&self) -> DecisionLog {
            DecisionLog::open(&self.decisions).unwrap()
        }

        fn file(&self, number: usize) -> PathBuf {
            match number {
                0 => self.decisions.file.clone(),
                number => numbered(&self.decisions.file, number),
            }
        }

        /// What each line of a file counts: they are told apart by it.
        fn counts(&self, number: usize) -> Vec<u64> {
            let text = std::fs::read_to_string(self.file(number)).unwrap_or_default();
            let lines = text.lines().map(|line| read::line(line).unwrap());
            lines.map(|line| line.dropped.unwrap()).collect()
        }
    }

    fn line(count: u64) -> Line {
        Line::lines_dropped(0, count)
    }

    #[test]
    fn lines_are_written_in_order_and_by_nobody_else() {
        let folder = Folder::new(1 << 20, 2);
        let log = folder.log();
        for count in 0..100 {
            log.write(&line(count));
        }
        let error = DecisionLog::open(&folder.decisions).unwrap_err();
        assert!(error.to_string().ends_with("is written by another process"));
        assert!(log.close(SOON));
        assert_eq!(folder.counts(0), Vec::from_iter(0..100));
        assert_eq!((log.written(), log.dropped()), (100, 0));
        log.write(&line(1));
        assert_eq!(log.dropped(), 1, "it is closed");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(folder.file(0))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let again = folder.log();
        again.write(&line(100));
        assert!(again.close(SOON));
        assert_eq!(folder.counts(0).len(), 101, "it is appended to");
    }

    #[test]
    fn a_full_file_makes_room_and_the_oldest_goes() {
        let length = line(0).text().len() as u64 + 1;
        for (keep, kept) in [(0, 1), (1, 2), (3, 4)] {
            let folder = Folder::new(2 * length, keep);
            let log = folder.log();
            for count in 0..9 {
                log.write(&line(count));
                assert!(log.flush(SOON));
            }
            assert!(log.close(SOON));
            let files: Vec<Vec<u64>> = (0..6).map(|number| folder.counts(number)).collect();
            let expected = [vec![8], vec![6, 7], vec![4, 5], vec![2, 3]];
            assert_eq!(files.get(..kept), expected.get(..kept));
            assert!(files.iter().skip(kept).all(Vec::is_empty), "{files:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let folder = Folder::new(1 << 20, 2);
        let log = folder.log();
        log.write(&line(1));
        assert!(log.flush(SOON));
        let away = folder.folder.path().join("away.jsonl");
        std::fs::rename(folder.file(0), &away).unwrap();
        log.write(&line(2));
        assert!(log.flush(SOON));
        assert_eq!(folder.counts(0), [2]);
        std::fs::write(folder.file(0), "").unwrap();
        log.write(&line(3));
        assert!(log.flush(SOON));
        assert_eq!(folder.counts(0), [3], "emptied in place");
        assert_eq!(log.dropped(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let folder = Folder::new(1 << 20, 2);
        let other = folder.folder.path().join("other");
        std::fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, folder.file(0)).unwrap();
        let error = DecisionLog::open(&folder.decisions).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot be written: it is a link")
        );
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_gone_loses_lines_and_says_how_many() {
        let folder = Folder::new(1 << 20, 2);
        let log = folder.log();
        let (here, gone) = (
            folder.folder.path().join("log"),
            folder.folder.path().join("gone"),
        );
        std::fs::rename(&here, &gone).unwrap();
        for count in 0..3 {
            log.write(&line(count));
            assert!(log.flush(SOON));
        }
        assert_eq!((log.written(), log.dropped()), (0, 3));
        std::fs::rename(&gone, &here).unwrap();
        log.write(&line(7));
        assert!(log.flush(SOON));
        assert_eq!(folder.counts(0), [3, 7]);
        assert_eq!(log.dropped(), 3);
        let text = std::fs::read_to_string(folder.file(0)).unwrap();
        let first = read::line(text.lines().next().unwrap()).unwrap();
        assert_eq!(first.kind, Kind::LinesDropped);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_nothing() {
        let decisions = Decisions {
            file: PathBuf::from("/dev/full"),
            max_bytes: 1 << 20,
            keep: 1,
        };
        let log = DecisionLog::open(&decisions).unwrap();
        log.write(&line(1));
        log.write(&line(2));
        assert!(log.flush(SOON));
        assert_eq!((log.written(), log.dropped()), (0, 2));
        assert!(log.close(SOON));
    }

    /// Anybody can make connections that nothing is decided of, as many as they like.
    #[test]
    fn strangers_push_out_no_decision() {
        let length = line(0).text().len() as u64 + 1;
        let folder = Folder::new(40 * length, 1);
        let log = folder.log();
        let mut strangers = 0;
        for count in 100..160 {
            log.write(&line(count));
            for _ in 0..50 {
                log.write_text(
                    Line::lines_left_out(0, None, 1).text().into(),
                    Share::Stranger,
                );
                strangers += 1;
            }
            assert!(log.flush(SOON));
        }
        assert!(log.close(SOON));
        assert_eq!(log.dropped(), 0);
        let read = |number: usize| {
            let text = std::fs::read_to_string(folder.file(number)).unwrap();
            let lines = text.lines().map(|text| read::line(text).unwrap());
            lines.collect::<Vec<Line>>()
        };
        let lines = [read(1), read(0)].concat();
        let decided = lines.iter().filter(|line| line.kind == Kind::LinesDropped);
        let decided: Vec<u64> = decided.filter_map(|line| line.dropped).collect();
        let first = 160 - decided.len() as u64;
        assert_eq!(decided, Vec::from_iter(first..160));
        // Three quarters of the file that is full.
        assert!(decided.len() >= 30, "{decided:?}");
        let told = lines.iter().filter(|line| line.kind == Kind::LinesLeftOut);
        let told: u64 = told.filter_map(|line| line.dropped).sum();
        assert!(told <= strangers);
        // Those of the first file were told of at the beginning of the second.
        let began = read(0)[0].clone();
        assert_eq!(began.kind, Kind::LinesLeftOut);
        assert!(began.dropped > Some(1), "{began:?}");
        assert!(log.take_left_out() > 1_000);
    }

    /// Nobody waits for a disk that does not keep up.
    #[test]
    fn what_does_not_fit_is_counted_and_told() {
        let folder = Folder::new(1 << 20, 2);
        let log = DecisionLog::with_queue(&folder.decisions, 1).unwrap();
        let many = 20_000;
        for count in 1..=many {
            log.write(&line(count));
        }
        assert!(log.flush(SOON));
        log.write(&line(many + 1));
        assert!(log.close(SOON));
        let counts = folder.counts(0);
        let known: Vec<u64> = (1..=many + 1).collect();
        let text = std::fs::read_to_string(folder.file(0)).unwrap();
        let told = text.lines().filter(|line| !line.contains("1970-01-01"));
        let told = told.map(|line| read::line(line).unwrap().dropped.unwrap());
        assert_eq!(told.sum::<u64>(), log.dropped());
        let kept = counts.len() as u64;
        assert_eq!(log.written(), kept);
        assert!(kept <= known.len() as u64);
    }

    /// A crash cuts the last line; the next one stands on its own.
    #[test]
    fn a_line_that_was_cut_spoils_no_other() {
        let folder = Folder::new(1 << 20, 2);
        std::fs::write(folder.file(0), "{\"gw-log\":1,\"ti").unwrap();
        let log = folder.log();
        log.write(&line(5));
        assert!(log.close(SOON));
        let text = std::fs::read_to_string(folder.file(0)).unwrap();
        let last = text.lines().last().unwrap();
        assert_eq!(read::line(last).unwrap().dropped, Some(5));
        assert_eq!(text.lines().count(), 2);
    }
}
