//! State folders with what becomes of them, in `fixtures/openclaw-state`.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "these tests make files, and look at them"
)]

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, fs};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::pairing::store::Limits;
use crate::pairing::{Memory, Sqlite};

const NOW_MS: i64 = 1_770_000_000_000;
/// What every secret of the fixtures ends in.
const MARK: &str = "-not-a-secret";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/openclaw-state")
}

/// A copy of a state folder, with its database made.
fn state(fixture: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["devices", "nodes", "state"] {
        fs::create_dir(copy.path().join(folder)).unwrap();
        for entry in fs::read_dir(fixture.join(folder)).into_iter().flatten() {
            let from = entry.unwrap().path();
            let to = copy.path().join(folder).join(from.file_name().unwrap());
            match from.extension().is_some_and(|ending| ending == "sql") {
                true => Connection::open(to.with_extension("sqlite"))
                    .and_then(|made| made.execute_batch(&fs::read_to_string(&from).unwrap()))
                    .unwrap(),
                false => drop(fs::copy(&from, &to).unwrap()),
            }
        }
    }
    copy
}

fn read_state(folder: &Path) -> Result<Import, ImportError> {
    folder::read(folder, NOW_MS, &Compatibility::default())
}

fn report(import: &Import) -> String {
    let mut report = String::new();
    for Taken { source, standing } in &import.taken {
        let record = standing.record.as_ref();
        let pending = standing.pending.as_ref();
        let name = record.and_then(|record| record.display_name.as_deref());
        let list = |list: Vec<&str>| list.join(" ");
        writeln!(
            report,
            "taken from {source}: {}",
            name.unwrap_or("a stranger")
        )
        .unwrap();
        if let Some(record) = record {
            let roles = list(record.approved_roles().collect());
            let scopes = list(record.baseline().iter().map(AsRef::as_ref).collect());
            let tokens = record.tokens.iter().flatten();
            let live = tokens.filter(|(role, _)| record.token(role).is_some());
            let tokens = list(live.map(|(role, _)| &**role).collect());
            let via = record.approved_via.map_or("unknown", |via| via.name());
            writeln!(
                report,
                "  roles {roles}; scopes {scopes}; tokens {tokens}; via {via}"
            )
            .unwrap();
        }
        if let Some(pending) = pending {
            let scopes = list(pending.asked_scopes().iter().map(AsRef::as_ref).collect());
            let silent = pending.silent;
            let id = &pending.request_id;
            writeln!(report, "  asks by {id} for {scopes}; silent {silent:?}").unwrap();
        }
    }
    for left in &import.left {
        writeln!(report, "left: {left}").unwrap();
    }
    report
}

#[test]
fn what_is_taken_of_each_state_folder_and_what_is_left_is_said() {
    let mut folders: Vec<PathBuf> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    for fixture in folders {
        let folder = state(&fixture);
        let import = read_state(folder.path()).unwrap();
        let report = report(&import);
        assert!(!report.contains(MARK) && !format!("{import:?}").contains(MARK));
        let golden = fixture.join("report.txt");
        if env::var_os("GW_BLESS").is_some() {
            fs::write(&golden, &report).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(report, expected, "{}: bless it", fixture.display());
    }
}

/// What a gateway wrote last stands in the file beside its database until it stops.
#[test]
fn a_database_that_is_open_elsewhere_is_read_with_its_last_commit() {
    let folder = state(&fixtures().join("database"));
    let gateway = Connection::open(folder.path().join("state/openclaw.sqlite")).unwrap();
    let before = read_state(folder.path()).unwrap().taken.len();
    let write = "DELETE FROM device_pairing_paired; DELETE FROM device_pairing_pending;";
    gateway.execute_batch(write).unwrap();
    let import = read_state(folder.path()).unwrap();
    assert_eq!((before > 0, import.taken), (true, Vec::new()));
}

/// Everything in the files is either taken or left: nothing disappears.
#[test]
fn every_entry_of_the_files_is_accounted_for() {
    let files = fixtures().join("files/devices");
    let text = |name: &str| fs::read_to_string(files.join(name)).unwrap();
    let (paired, pending) = (text("paired.json"), text("pending.json"));
    let import = read(
        Some(&paired),
        Some(&pending),
        NOW_MS,
        &Compatibility::default(),
    )
    .unwrap();
    let count = |text: &str| {
        serde_json::from_str::<Value>(text)
            .unwrap()
            .as_object()
            .unwrap()
            .len()
    };
    let taken = import.taken.iter().map(|taken| {
        let Standing {
            record, pending, ..
        } = &taken.standing;
        usize::from(record.is_some()) + usize::from(pending.is_some())
    });
    let accounted = taken.sum::<usize>() + import.left.len();
    assert_eq!(accounted, count(&paired) + count(&pending));
}

#[test]
fn an_entry_that_is_there_twice_is_not_chosen_from() {
    let id = "\"a\": {}";
    let text = format!("{{{id}, \"b\": {{}}, {id}}}");
    let import = read(Some(&text), None, NOW_MS, &Compatibility::default()).unwrap();
    let left: Vec<(&str, &Reason)> = import
        .left
        .iter()
        .map(|left| (&*left.id, &left.reason))
        .collect();
    let missing = Reason::MissingField("deviceId".into());
    assert_eq!(
        left,
        [
            ("a", &Reason::Twice),
            ("b", &missing),
            ("a", &Reason::Twice)
        ]
    );
}

#[test]
fn what_is_put_is_kept_with_its_tokens_and_what_is_known_stays() {
    let folder = state(&fixtures().join("files"));
    let mut import = read_state(folder.path()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("gw.sqlite");
    let store = Sqlite::open(&path, Limits::default()).unwrap();
    let before = import.left.len();
    assert_eq!(import.put(&store), Ok(4));
    assert_eq!(import.left.len(), before);
    drop(store);
    let store = Sqlite::open(&path, Limits::default()).unwrap();
    let kept = store
        .list()
        .unwrap()
        .into_iter()
        .map(|(standing, _)| standing);
    let taken = import.taken.iter().map(|taken| taken.standing.clone());
    assert!(kept.eq(taken));

    assert_eq!(import.put(&store), Ok(0));
    let known = |left: &Left| left.reason == Reason::Known;
    assert!(import.left[before..].iter().all(known) && import.left.len() == before + 4);
}

#[test]
fn a_store_that_is_full_says_so() {
    let folder = state(&fixtures().join("files"));
    let mut import = read_state(folder.path()).unwrap();
    let store = Memory::new(Limits {
        requests: 9,
        devices: 1,
    });
    assert_eq!(import.put(&store), Err(StoreError::TooManyDevices));
    assert_eq!(store.list().unwrap().len(), 1);
}

/// Makes a state folder that cannot be read.
type Spoil = fn(&Path);

/// Makes a database with tables of devices, and changes it.
fn database(folder: &Path, change: &str) {
    let tables = "CREATE TABLE device_pairing_paired (device_id TEXT);
                  CREATE TABLE device_pairing_pending (request_id TEXT);";
    let made = Connection::open(folder.join("state/openclaw.sqlite"));
    made.and_then(|made| made.execute_batch(&format!("{tables} {change}")))
        .unwrap();
}

/// Makes a pipe that nobody writes into.
fn pipe(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let cases: [(Spoil, &str); 16] = [
        (
            |_| {},
            " holds neither devices/paired.json nor state/openclaw.sqlite: name the folder that \
             OPENCLAW_STATE_DIR names, usually ~/.openclaw",
        ),
        (
            |folder| fs::write(folder.join("devices/paired.json"), "{\n\"a\": {").unwrap(),
            "devices/paired.json is no JSON (line 2, column 6): mend it, or put a copy in its place",
        ),
        (
            |folder| fs::write(folder.join("devices/pending.json"), "[{}]").unwrap(),
            "devices/pending.json is no JSON object of records: put a copy in its place",
        ),
        (
            |folder| fs::write(folder.join("state/openclaw.sqlite"), "half a database").unwrap(),
            "/state/openclaw.sqlite cannot be read: file is not a database; stop its gateway, or \
             read a copy of the folder",
        ),
        (
            |folder| {
                let path = folder.join("state/openclaw.sqlite");
                let sql = "CREATE TABLE device_pairing_paired (device_id TEXT)";
                let made = Connection::open(path).and_then(|made| made.execute_batch(sql));
                made.unwrap();
            },
            "/state/openclaw.sqlite cannot be read: its tables of devices are others than gw \
             knows; use a gw that knows them, or pair the devices anew",
        ),
        (
            |folder| {
                let path = folder.join("state/openclaw.sqlite");
                let sql = "CREATE TABLE device_pairing_paired (device_id TEXT, spoiled TEXT);
                           CREATE TABLE device_pairing_pending (request_id TEXT)";
                let made = Connection::open(&path).and_then(|made| made.execute_batch(sql));
                made.unwrap();
                let mut bytes = fs::read(&path).unwrap();
                let name = b"spoiled";
                let at = bytes.windows(name.len()).position(|it| it == name);
                bytes[at.unwrap()] = 0xff;
                fs::write(path, bytes).unwrap();
            },
            "/state/openclaw.sqlite cannot be read: a column of device_pairing_paired has a name \
             that is no text; put a copy in its place",
        ),
        (
            |folder| fs::create_dir(folder.join("devices/paired.json")).unwrap(),
            "/devices/paired.json is no file: put a copy of the file in its place",
        ),
        // Without an end, and without a beginning.
        (
            |folder| symlink("/dev/zero", folder.join("devices/paired.json")).unwrap(),
            "/devices/paired.json is no file: put a copy of the file in its place",
        ),
        (
            |folder| {
                fs::write(folder.join("devices/paired.json"), "{}").unwrap();
                pipe(&folder.join("nodes/paired.json"));
            },
            "/nodes/paired.json is no file: put a copy of the file in its place",
        ),
        (
            |folder| pipe(&folder.join("state/openclaw.sqlite")),
            "/state/openclaw.sqlite is no file: put a copy of the file in its place",
        ),
        (
            |folder| {
                database(folder, "");
                pipe(&folder.join("state/openclaw.sqlite-wal"));
            },
            "/state/openclaw.sqlite-wal is no file: put a copy of the file in its place",
        ),
        (
            |folder| {
                let file = fs::File::create(folder.join("devices/pending.json")).unwrap();
                file.set_len(1 << 40).unwrap();
            },
            "with /devices/pending.json there are more than 16777216 bytes of devices: is it the right file?",
        ),
        (
            |folder| {
                let computed = "ALTER TABLE device_pairing_paired
                                ADD COLUMN note TEXT AS (hex(zeroblob(100000000)));
                                INSERT INTO device_pairing_paired VALUES ('a')";
                database(folder, computed);
            },
            "/state/openclaw.sqlite cannot be read: a column of device_pairing_paired is computed \
             from others, which no release has; put a copy in its place",
        ),
        (
            |folder| {
                let view = "DROP TABLE device_pairing_paired;
                            CREATE VIEW device_pairing_paired AS
                            SELECT hex(zeroblob(100000000)) AS device_id";
                database(folder, view);
            },
            "/state/openclaw.sqlite cannot be read: device_pairing_paired is no table; put a copy \
             in its place",
        ),
        (
            |folder| {
                let row = "INSERT INTO device_pairing_paired VALUES (zeroblob(2000000))";
                database(folder, row);
            },
            "/state/openclaw.sqlite cannot be read: a row has more than 1048576 bytes; put a copy \
             in its place",
        ),
        // A default stands once in the file, and in every row that was there before it.
        (
            |folder| {
                let many = "INSERT INTO device_pairing_paired
                            WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 199)
                            SELECT n FROM n;";
                let default = "x".repeat(100_000);
                let column = format!(
                    "ALTER TABLE device_pairing_paired ADD COLUMN x TEXT DEFAULT '{default}'"
                );
                database(folder, &format!("{many} {column}"));
            },
            "with /state/openclaw.sqlite there are more than 16777216 bytes of devices: is it the right file?",
        ),
    ];
    for (spoil, says) in cases {
        let folder = state(Path::new("none"));
        spoil(folder.path());
        let error = read_state(folder.path()).unwrap_err().to_string();
        let error = error.replace(folder.path().to_str().unwrap(), "");
        assert_eq!(error, says);
    }
}
