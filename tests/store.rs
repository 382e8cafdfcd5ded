//! One file of devices under several processes: what another process commits is seen, and what a
//! process was answered is there after it was killed. The other process is this test itself, run
//! again with a task in its environment.

#![expect(
    clippy::unwrap_used,
    reason = "this is a test: what is missing fails it"
)]

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use gw::pairing::store::Limits;
use gw::pairing::{Approver, Change, Fresh, Sqlite, Store, StoreError, Version, Write, approve};
use gw::secret::Secret;
use gw::settings::Compatibility;
use serde_json::json;
use tempfile::TempDir;

/// What a run of this test as another process is told: a task and a path.
const TASK: &str = "GW_TEST_STORE_TASK";
const PATH: &str = "GW_TEST_STORE_PATH";
/// How lines of the other process begin, among those of the test's harness.
const MARK: &str = "store: ";
const NOW_MS: i64 = 1_770_000_000_000;

/// Not a test of its own: what the other process does.
#[test]
fn another_process() {
    let Some(task) = std::env::var_os(TASK) else {
        return;
    };
    let path = PathBuf::from(std::env::var_os(PATH).unwrap());
    match task.to_str() {
        Some("approve") => approve_one_after_another(&path),
        Some("follow") => follow(&path),
        _ => unreachable!("there is no such task"),
    }
}

struct Other {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn new(task: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "another_process", "--nocapture"])
            .env(TASK, task)
            .env(PATH, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Other {
            child,
            input,
            output,
        }
    }

    /// The next line that it says; `None` when it has ended, also within a line.
    fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            self.output.read_line(&mut line).unwrap();
            let whole = line.strip_suffix('\n')?;
            if let Some((_, said)) = whole.split_once(MARK) {
                return Some(said.to_owned());
            }
        }
    }

    /// Tells it a line, and hears what it answers.
    fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").unwrap();
        self.line().unwrap()
    }

    fn end(mut self) {
        drop(self.input);
        self.output.read_to_end(&mut Vec::new()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

fn say(line: &str) {
    // One write, so that no two lines get mixed.
    let line = format!("{MARK}{line}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gw.sqlite");
    (folder, path)
}

fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, Limits::default()).unwrap()
}

fn asks(device: &str, request: &str) -> Change {
    let pending = json!({
        "requestId": request, "deviceId": device, "publicKey": "k", "role": "operator",
        "roles": ["operator"], "scopes": ["operator.read"], "ts": NOW_MS,
    });
    Change {
        pending: Write::Put(serde_json::from_value(pending).unwrap()),
        ..Change::none(device)
    }
}

/// What the approval of a waiting request writes.
fn approval(store: &Sqlite, device: &str, request: &str) -> (Change, Version) {
    let (standing, version) = store.load(device).unwrap();
    let scopes = ["operator.admin".into(), "operator.read".into()];
    let mut fresh = Fresh {
        request_id: &mut || unreachable!("an approval asks for nothing"),
        secret: &mut || Secret::new(&format!("token-of-{device}-not-a-secret")),
    };
    let approver = Approver::Owner { scopes: &scopes };
    let rules = Compatibility::default();
    let change = approve(&standing, request, approver, &mut fresh, NOW_MS, &rules);
    (change.unwrap(), version)
}

fn approve_one_after_another(path: &Path) {
    let store = open(path);
    let first = store.revision().unwrap();
    for count in first.. {
        let (device, request) = (format!("d{count}"), format!("r{count}"));
        let asked = store.commit(&asks(&device, &request), Version::NOTHING);
        asked.unwrap();
        let (change, version) = approval(&store, &device, &request);
        store.commit(&change, version).unwrap();
        say(&device);
    }
}

/// Approvals that were answered before a process is killed are there afterwards, and what was not
/// answered is there as a whole or not at all.
#[test]
fn what_was_answered_before_a_kill_is_there_after_it() {
    let (_folder, path) = place();
    let mut answered = BTreeSet::new();
    while answered.len() < 1_000 {
        let mut other = Other::new("approve", &path);
        // It goes on while this is read, so where it is killed is anywhere in the next ones.
        let until = RandomState::new().hash_one(answered.len()) % 64;
        for _ in 0..until {
            answered.insert(other.line().unwrap());
        }
        other.child.kill().unwrap();
        while let Some(device) = other.line() {
            answered.insert(device);
        }
        other.child.wait().unwrap();

        let store = open(&path);
        for (standing, _) in store.list().unwrap() {
            let Some(record) = standing.record else {
                assert!(standing.pending.is_some(), "it asks, or is paired");
                continue;
            };
            assert_eq!(standing.pending, None, "it was approved as a whole");
            assert!(
                record.token("operator").is_some(),
                "it was approved as a whole"
            );
        }
        for device in &answered {
            let (standing, _) = store.load(device).unwrap();
            assert!(standing.record.is_some(), "{device} was lost");
        }
    }
}

/// Answers each device that it is asked for by what it knows of it, and approves it when it waits.
fn follow(path: &Path) {
    let store = open(path);
    say("open");
    for device in std::io::stdin().lines() {
        let device = device.unwrap();
        let (standing, version) = store.load(&device).unwrap();
        let Some(pending) = standing.pending.clone() else {
            let knows = if standing.record.is_some() {
                "paired"
            } else {
                "nothing"
            };
            say(&format!("{knows} {}", version.0));
            continue;
        };
        let (change, version) = approval(&store, &device, &pending.request_id);
        let done = store.commit(&change, version).unwrap();
        say(&format!("approved {}", done.0));
    }
}

#[test]
fn what_another_process_commits_is_seen() {
    let (_folder, path) = place();
    let store = open(&path);
    let mut other = Other::new("follow", &path);
    assert_eq!(other.line().unwrap(), "open");
    assert_eq!(other.ask("d"), "nothing 0");
    let asked = store.commit(&asks("d", "r"), Version::NOTHING).unwrap();
    let revision = store.revision().unwrap();
    assert_eq!(other.ask("d"), "approved 2");

    assert_eq!((revision, store.revision()), (1, Ok(2)));
    let late = Change {
        record: Write::Remove,
        ..Change::none("d")
    };
    assert_eq!(store.commit(&late, asked), Err(StoreError::Conflict));
    let (standing, version) = store.load("d").unwrap();
    assert!(standing.record.is_some() && standing.pending.is_none());
    assert_eq!(
        store.commit(&Change::none("d"), asked),
        Err(StoreError::Conflict)
    );
    store.commit(&late, version).unwrap();
    assert_eq!(other.ask("d"), "nothing 0");
    other.end();
}

/// A process that closes a file loses all its locks on it, also those of another handle; then a
/// second process would take itself for the last one, and remove the log that the first writes to.
#[test]
fn a_handle_that_is_closed_leaves_another_ones_locks() {
    let (_folder, path) = place();
    let store = open(&path);
    store.commit(&asks("d", "r"), Version::NOTHING).unwrap();
    drop(open(&path));
    let mut other = Other::new("follow", &path);
    assert_eq!(other.line().unwrap(), "open");
    assert_eq!(other.ask("d"), "approved 2");
    other.end();
    let log = path.with_file_name("gw.sqlite-wal");
    assert!(log.exists(), "somebody has it open still");
    store.commit(&asks("e", "r2"), Version::NOTHING).unwrap();
    assert_eq!(open(&path).list().unwrap().len(), 2);
}
