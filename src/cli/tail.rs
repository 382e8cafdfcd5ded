//! `gw tail`: follows the log of decisions, a readable line for each.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use notify::{RecursiveMode, Watcher as _};

use super::Exit;
use super::log::{self, LogArgs, MAX_LINE};
use super::output::{Output, ReportFormat};
use crate::journal::{Moment, read};
use crate::lang::ReadError;
use crate::source::{Sources, printable_line, visible};

/// Where the file system tells of no changes, it is looked at this often.
const LOOK: Duration = Duration::from_secs(2);

/// Follows the log of decisions
///
/// One line for each connection that was decided, and for what became of it: when, the verdict,
/// who, from where, by which rule, and the id that `gw explain --connection ID` wants. Without a
/// file, the one of the gateway whose configuration and state folder these are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw tail
  gw tail --since 10m --no-follow
  gw tail -n 0 --format json | jq 'select(.verdict == \"reject\")'
  gw tail --state scratch
  gw tail /var/lib/gw/decisions.jsonl

Exit codes: 0 read, 1 the configuration is none, 2 wrong command line, 3 the log cannot be read")]
pub(super) struct Args {
    /// The log; without one, that of the configuration
    #[arg(conflicts_with_all = ["log", "config", "state"])]
    file: Option<String>,

    /// The same, as `gw explain` takes it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "state"])]
    log: Option<String>,

    #[command(flatten)]
    of: LogArgs,

    /// How many lines to begin with
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 10)]
    lines: usize,

    /// Begin with the lines since then: 10m, 2h, 3days, or a time as in the log
    #[arg(long, value_name = "WHEN", conflicts_with = "lines", value_parser = since)]
    since: Option<Moment>,

    /// End after the lines that are there
    #[arg(long)]
    no_follow: bool,

    /// How to print lines
    #[arg(long, value_enum, default_value_t)]
    format: LineFormat,
}

/// The form of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LineFormat {
    /// for people
    #[default]
    Human,
    /// as they stand in the log
    Json,
}

/// A time, or how long ago it was.
fn since(text: &str) -> Result<Moment, String> {
    if let Some(moment) = Moment::parse(text) {
        return Ok(moment);
    }
    let ago = humantime::parse_duration(text).map_err(|_| {
        "write how long ago, as `10m`, or a time, as 2026-02-02T02:40:00Z".to_owned()
    })?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let then = now.unwrap_or_default().saturating_sub(ago);
    Ok(Moment(i64::try_from(then.as_millis()).unwrap_or(i64::MAX)))
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let named = args.file.clone().or(args.log.clone());
    let path = match &named {
        Some(path) => path.clone(),
        None => match args.of.file(output, ReportFormat::Human) {
            Ok(path) => path,
            Err(exit) => return exit,
        },
    };
    let mut printer = Printer {
        format: args.format,
        gone: false,
    };
    let mut follower = Follower::new(Path::new(&path));
    let watcher = match args.no_follow {
        true => None,
        false => Some(Watched::new(Path::new(&path))),
    };
    if let Err(error) = begin(args, &path, &mut follower, &mut printer) {
        let waits =
            error == ReadError::NotFound && !args.no_follow && folder_of(Path::new(&path)).is_dir();
        if !waits {
            output.report_one(
                log::unreadable(&path, &error, named.is_some()),
                &Sources::default(),
                ReportFormat::Human,
            );
            return Exit::Input;
        }
        printer.note(&format!("{} is not there yet", printable_line(&path)));
    }
    let Some(watched) = watcher else {
        return Exit::Success;
    };
    while !printer.gone && watched.wait() {
        follower.read(&mut |bytes| printer.line(bytes));
        printer.flush();
    }
    Exit::Success
}

/// Prints what is there: the last lines, or those since a time, of all files of the log. The
/// newest is read by the one who follows, so that nothing is printed twice or left out.
fn begin(
    args: &Args,
    path: &str,
    follower: &mut Follower,
    printer: &mut Printer,
) -> Result<(), ReadError> {
    let mut kept: VecDeque<String> = VecDeque::new();
    let mut keep = |text: String, time: Option<Moment>| {
        match (args.since, time) {
            (Some(since), Some(time)) if time < since => return,
            (Some(_), _) => {}
            (None, _) if args.lines == 0 => return,
            (None, _) if kept.len() == args.lines => _ = kept.pop_front(),
            (None, _) => {}
        }
        kept.push_back(text);
    };
    let mut warnings = Vec::new();
    let mut warn = |warning| warnings.push(warning);
    follower.open()?;
    for name in follower.older() {
        let mut take = |placed: log::Placed| keep(placed.text, Some(placed.line.time));
        if let Err(error) = log::one(&name, &mut warn, &mut take) {
            warn(format!("{} cannot be read: {error}", printable_line(&name)));
        }
    }
    let mut at = 0;
    follower.read(&mut |bytes| {
        at += 1;
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end();
        match read::line(text) {
            Ok(line) => keep(text.to_owned(), Some(line.time)),
            Err(_) if text.is_empty() => {}
            Err(error) => warn(log::bad_line(path, at, &error, true)),
        }
    });
    for warning in warnings {
        printer.note(&warning);
    }
    for text in kept {
        printer.line(text.as_bytes());
    }
    printer.flush();
    Ok(())
}

/// Prints at once: who follows wants to see it now.
struct Printer {
    format: LineFormat,
    /// Nobody reads any more.
    gone: bool,
}

impl Printer {
    fn line(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        match (self.format, read::line(text)) {
            (LineFormat::Json, Ok(_)) => self.put(text),
            (LineFormat::Human, Ok(line)) => self.put(&log::shown(&line)),
            (_, Err(error)) => {
                self.note(&format!(
                    "a line is passed over: {}",
                    visible(&error.message)
                ));
            }
        }
    }

    fn put(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        self.gone |= writeln!(out, "{text}").is_err();
    }

    fn note(&mut self, text: &str) {
        let _ = writeln!(std::io::stderr(), "warning: {text}");
    }

    fn flush(&mut self) {
        self.gone |= std::io::stdout().flush().is_err();
    }
}

/// Whether something is another than it was. That a file was opened is none: looking at it would
/// be a reason to look again.
fn is_change(heard: &notify::Result<notify::Event>) -> bool {
    heard.as_ref().map_or(true, |event| !event.kind.is_access())
}

/// The folder that a file is in, or is to come to.
fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// The folder of a file, watched.
struct Watched {
    heard: std::sync::mpsc::Receiver<()>,
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Watched {
    fn new(file: &Path) -> Self {
        let (tell, heard) = channel();
        let watcher = notify::recommended_watcher(move |heard| {
            if is_change(&heard) {
                let _ = tell.send(());
            }
        });
        let folder = folder_of(file);
        // Without a watcher the file is looked at every now and then.
        let watcher = watcher.ok().and_then(|mut watcher| {
            let watched = watcher.watch(folder, RecursiveMode::NonRecursive);
            watched.is_ok().then_some(watcher)
        });
        Watched {
            heard,
            _watcher: watcher,
        }
    }

    /// Waits until something may have changed. What was told at once is one change.
    fn wait(&self) -> bool {
        match self.heard.recv_timeout(LOOK) {
            Ok(()) => while self.heard.try_recv().is_ok() {},
            Err(RecvTimeoutError::Timeout) => {}
            // The watcher has gone, or never was: only time passes.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
        }
        true
    }
}

/// Reads what is added to a file, also when another one takes its place or it is cut.
struct Follower {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    /// The beginning of a line whose end is still to come.
    part: Vec<u8>,
}

impl Follower {
    fn new(path: &Path) -> Self {
        Follower {
            path: path.to_owned(),
            file: None,
            offset: 0,
            part: Vec::new(),
        }
    }

    /// Opens the file, to be read from its beginning.
    fn open(&mut self) -> Result<(), ReadError> {
        let file = File::open(&self.path).map_err(|error| log::unread(&error))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(ReadError::Folder);
        }
        self.take_up(Some(file));
        Ok(())
    }

    /// The older files of the log, the oldest first. The file that was opened may be one of them
    /// by now.
    fn older(&self) -> Vec<String> {
        let mut older = log::files(&self.path.to_string_lossy());
        older.pop();
        let opened = |name: &String| match (&self.file, File::open(name)) {
            (Some(own), Ok(file)) => is_same(own, &file),
            (Some(_) | None, _) => false,
        };
        let end = older.iter().position(opened);
        older.truncate(end.unwrap_or(older.len()));
        older
    }

    /// Gives every whole line that was added.
    fn read(&mut self, take: &mut dyn FnMut(&[u8])) {
        loop {
            self.drain(take);
            let there = File::open(&self.path);
            let same = match (&self.file, &there) {
                (Some(own), Ok(there)) => is_same(own, there),
                (None, Err(_)) => true,
                // It may be between two files: what was written to the old one is read above.
                (Some(_), Err(_)) => true,
                (None, Ok(_)) => false,
            };
            if same {
                return;
            }
            // The last lines of the old one may have come between reading and looking.
            self.drain(take);
            for skipped in self.between() {
                self.take_up(Some(skipped));
                self.drain(take);
            }
            self.take_up(there.ok());
        }
    }

    /// The files that were begun and filled since the one that is read was current, the oldest
    /// first.
    fn between(&self) -> Vec<File> {
        let mut newer = Vec::new();
        let Some(own) = &self.file else {
            return newer;
        };
        let mut older = log::files(&self.path.to_string_lossy());
        older.pop();
        for name in older.iter().rev() {
            match File::open(name) {
                Ok(file) if is_same(own, &file) => {
                    newer.reverse();
                    return newer;
                }
                Ok(file) => newer.push(file),
                Err(_) => break,
            }
        }
        // It is none of them: nothing is known of what came between.
        Vec::new()
    }

    fn take_up(&mut self, file: Option<File>) {
        self.file = file;
        self.offset = 0;
        self.part.clear();
    }

    fn drain(&mut self, take: &mut dyn FnMut(&[u8])) {
        let Some(file) = &mut self.file else {
            return;
        };
        if file
            .metadata()
            .is_ok_and(|metadata| metadata.len() < self.offset)
        {
            self.offset = 0;
            self.part.clear();
        }
        if file.seek(SeekFrom::Start(self.offset)).is_err() {
            return;
        }
        let mut chunk = [0; 16 << 10];
        loop {
            let count = match file.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            self.offset += count as u64;
            for piece in chunk
                .get(..count)
                .unwrap_or_default()
                .split_inclusive(|byte| *byte == b'\n')
            {
                // Of a line beyond all measure the beginning is enough to pass it over.
                if self.part.len() as u64 <= MAX_LINE {
                    self.part.extend_from_slice(piece);
                }
                if piece.ends_with(b"\n") {
                    take(&self.part);
                    self.part.clear();
                }
            }
        }
    }
}

#[cfg(unix)]
fn is_same(own: &File, there: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (own.metadata(), there.metadata()) {
        (Ok(own), Ok(there)) => (own.dev(), own.ino()) == (there.dev(), there.ino()),
        (Ok(_) | Err(_), _) => false,
    }
}

/// Without inode numbers another file is told by being shorter.
#[cfg(not(unix))]
fn is_same(_: &File, _: &File) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;

    struct Followed {
        folder: tempfile::TempDir,
        follower: Follower,
    }

    impl Followed {
        fn new(begins: Option<&str>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("decisions.jsonl");
            if let Some(text) = begins {
                fs::write(&path, text).unwrap();
            }
            let mut follower = Follower::new(&path);
            follower.read(&mut |_| {});
            Followed { folder, follower }
        }

        fn path(&self, ending: &str) -> PathBuf {
            self.folder.path().join(format!("decisions.jsonl{ending}"))
        }

        fn add(&self, text: &str) {
            let mut options = OpenOptions::new();
            let mut file = options
                .create(true)
                .append(true)
                .open(self.path(""))
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn moved(&self, from: &str, to: &str) {
            fs::rename(self.path(from), self.path(to)).unwrap();
        }

        fn reads(&mut self) -> String {
            let mut read = String::new();
            self.follower
                .read(&mut |line| read.push_str(std::str::from_utf8(line).unwrap()));
            read
        }
    }

    #[test]
    fn to_look_is_no_reason_to_look_again() {
        use notify::event::{AccessKind, AccessMode, ModifyKind};
        use notify::{Event, EventKind};
        let is = |kind: EventKind| is_change(&Ok(Event::new(kind)));
        assert!(!is(EventKind::Access(AccessKind::Open(AccessMode::Any))));
        assert!(is(EventKind::Modify(ModifyKind::Any)));
        assert!(is_change(&Err(notify::Error::generic("some were lost"))));
    }

    #[test]
    fn what_is_added_is_read_once_and_whole() {
        let mut log = Followed::new(Some("old\n"));
        assert_eq!(log.reads(), "");
        log.add("one\ntw");
        assert_eq!(log.reads(), "one\n");
        log.add("o\nthree\n");
        assert_eq!(log.reads(), "two\nthree\n");
        assert_eq!(log.reads(), "");
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_read_from_its_beginning() {
        let mut log = Followed::new(None);
        assert_eq!(log.reads(), "");
        log.add("one\n");
        assert_eq!(log.reads(), "one\n");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_lost_when_another_file_is_begun() {
        let mut log = Followed::new(Some("old\n"));
        log.add("last of the first\n");
        log.moved("", ".1");
        assert_eq!(log.reads(), "last of the first\n");
        log.add("second\n");
        assert_eq!(log.reads(), "second\n");
        // Two are filled before anybody looks.
        log.add("more of it\n");
        log.moved(".1", ".3");
        log.moved("", ".2");
        log.add("third\n");
        log.moved("", ".1");
        log.add("fourth\n");
        assert_eq!(log.reads(), "more of it\nthird\nfourth\n");
    }

    #[test]
    fn a_file_that_was_emptied_is_read_from_its_beginning() {
        let mut log = Followed::new(Some("a long old line\n"));
        fs::write(log.path(""), "new\n").unwrap();
        assert_eq!(log.reads(), "new\n");
    }
}
