//! What a file adds to a store: it lasts, it is private, and nothing that is wrong with it is
//! passed over.
#![expect(
    clippy::disallowed_methods,
    reason = "these tests make files, and look at them"
)]

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::pairing::Memory;
use crate::pairing::change::Write;
use crate::pairing::record::{Pending, Record};
use crate::pairing::store::sweep;
use crate::settings::Compatibility;

const SECRET: &str = "device-token-not-a-secret";

/// A folder with room for a database.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("gw.sqlite")
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.0.path().join(format!("gw.sqlite{what}"))
    }

    fn open(&self) -> Result<Sqlite, OpenError> {
        Sqlite::open(&self.path(), Limits::default())
    }

    /// What the message of a refusal is, with the folder's name taken out.
    fn refusal(&self) -> String {
        let folder = fs::canonicalize(self.0.path()).unwrap();
        let folder = format!("{}/", folder.to_str().unwrap());
        let error = self.open().unwrap_err();
        format!("{error}: {}", error.remedy()).replace(&folder, "")
    }

    /// As whoever edits the file by hand has it open.
    fn other(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    /// As a program has it open that turns off what counts its edits.
    fn uncounted(&self) -> Connection {
        let other = self.other();
        let off = other.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false);
        off.unwrap();
        other
    }
}

fn pairs(device: &str, name: &str) -> Change {
    let record: Record = serde_json::from_value(json!({
        "deviceId": device, "publicKey": "k", "displayName": name, "roles": ["operator"],
        "approvedScopes": ["operator.read"], "approvedAtMs": 1_770_000_000_000_i64,
        "tokens": { "operator": { "token": SECRET, "role": "operator",
            "scopes": ["operator.read"], "createdAtMs": 1_770_000_000_000_i64 } },
    }))
    .unwrap();
    Change {
        record: Write::Put(record),
        ..Change::none(device)
    }
}

fn asks(device: &str, id: &str) -> Change {
    let pending: Pending = serde_json::from_value(json!({
        "requestId": id, "deviceId": device, "publicKey": "k", "role": "operator",
        "ts": 1_770_000_000_000_i64,
    }))
    .unwrap();
    Change {
        pending: Write::Put(pending),
        ..Change::none(device)
    }
}

fn leaves(device: &str) -> Change {
    Change {
        record: Write::Remove,
        pending: Write::Remove,
        ..Change::none(device)
    }
}

fn totals(connection: &Connection) -> Totals {
    rows::totals(connection).unwrap()
}

/// Commits at whatever version the device is.
fn commit(store: &Sqlite, change: &Change) -> Result<Version, StoreError> {
    let (_, version) = store.load(&change.device_id).unwrap();
    store.commit(change, version)
}

#[test]
fn it_keeps_what_a_store_promises() {
    let places = Mutex::new(Vec::new());
    crate::pairing::suite::check(&|limits| {
        let place = Place::new();
        let store = Sqlite::open(&place.path(), limits).unwrap();
        lock(&places).push(place);
        Box::new(store)
    });
}

#[test]
fn what_was_committed_is_there_when_it_is_opened_again() {
    let step = (0..4u8, 0..3u8);
    let mut runner = TestRunner::new(Config::with_cases(16));
    let run = runner.run(&vec(step, 0..24), |steps| {
        let place = Place::new();
        let store = place.open().unwrap();
        for (device, what) in steps {
            let device = format!("d{device}");
            let change = match what {
                0 => pairs(&device, "one"),
                1 => asks(&device, "r"),
                _ => leaves(&device),
            };
            commit(&store, &change).unwrap();
        }
        let all = |store: &Sqlite| (store.list(), store.count(), store.revision());
        let before = all(&store);
        let counted = totals(&place.other());
        prop_assert_eq!(
            rows::look_through(&place.other(), counted.commits).unwrap(),
            counted
        );
        drop(store);
        prop_assert_eq!(all(&place.open().unwrap()), before);
        Ok(())
    });
    run.unwrap();
}

#[test]
fn a_version_is_never_given_twice_even_when_its_device_has_gone() {
    let place = Place::new();
    let store = place.open().unwrap();
    let old = commit(&store, &pairs("d", "one")).unwrap();
    commit(&store, &leaves("d")).unwrap();
    drop(store);
    let store = place.open().unwrap();
    let new = commit(&store, &pairs("d", "two")).unwrap();
    assert!(new > old);
    let late = store.commit(&leaves("d"), old);
    assert_eq!(late, Err(StoreError::Conflict));
}

/// What a crash leaves is what is in the files at that time; the shared memory is not.
#[test]
fn a_copy_of_the_files_holds_every_commit_so_far() {
    let place = Place::new();
    let store = place.open().unwrap();
    for count in 0..6 {
        let device = format!("d{}", count % 4);
        commit(&store, &pairs(&device, &count.to_string())).unwrap();
        let copy = Place::new();
        for what in ["", "-wal"] {
            fs::copy(place.beside(what), copy.beside(what)).unwrap();
        }
        let copied = copy.open().unwrap();
        assert_eq!(copied.list().unwrap(), store.list().unwrap());
    }
}

#[test]
fn many_at_once_each_get_their_answer_and_all_of_it_lasts() {
    let place = Place::new();
    let store = place.open().unwrap();
    let store = &store;
    let won: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                scope.spawn(move || {
                    let mut won = 0;
                    for count in 0..20 {
                        let own = format!("own-{thread}-{count}");
                        commit(store, &pairs(&own, "own")).unwrap();
                        let shared = pairs("shared", &own);
                        match commit(store, &shared) {
                            Ok(_) => won += 1,
                            Err(error) => assert_eq!(error, StoreError::Conflict),
                        }
                    }
                    won
                })
            })
            .collect();
        threads.into_iter().map(|one| one.join().unwrap()).sum()
    });
    // Every commit counts one, so none was lost, and none was answered twice.
    let commits = 8 * 20 + u64::try_from(won).unwrap();
    assert_eq!(store.revision(), Ok(commits));
    let kept = store.list().unwrap();
    assert_eq!(kept.len(), 8 * 20 + 1);
    for (standing, version) in kept {
        let device = standing.device_id().unwrap();
        assert_eq!(store.load(device), Ok((standing.clone().into(), version)));
    }
    assert_eq!(totals(&place.other()).devices, 8 * 20 + 1);
}

/// Two handles on one file are as two processes: they share nothing but the file. A store in
/// memory, asked the same, says what each has to be answered.
#[test]
fn whoever_has_it_open_sees_the_same_as_one_store() {
    // Who commits, of which device, what, and whether at a version that it saw earlier.
    let step = (0..2usize, 0..3u8, 0..4u8, prop::bool::weighted(0.3));
    let mut runner = TestRunner::new(Config::with_cases(32));
    let run = runner.run(&vec(step, 0..32), |steps| {
        let place = Place::new();
        let limits = Limits {
            requests: 2,
            devices: 2,
        };
        let open = || Sqlite::open(&place.path(), limits).unwrap();
        let both = [open(), open()];
        let model = Memory::new(limits);
        let mut earlier = vec![Version::NOTHING];
        for (count, (who, device, what, is_stale)) in steps.into_iter().enumerate() {
            let store = &both[who];
            let device = format!("d{device}");
            let id = format!("r{count}");
            let change = match what {
                0 => pairs(&device, &id),
                1 => asks(&device, &id),
                2 => leaves(&device),
                _ => Change::none(&device),
            };
            let (standing, version) = store.load(&device).unwrap();
            prop_assert_eq!((standing, version), model.load(&device).unwrap());
            let expected = match is_stale {
                true => earlier[count % earlier.len()],
                false => version,
            };
            earlier.push(version);
            let done = model.commit(&change, expected);
            prop_assert_eq!(store.commit(&change, expected), done);
            let other = &both[1 - who];
            prop_assert_eq!(other.revision(), model.revision());
            prop_assert_eq!(other.device_of_request(&id), model.device_of_request(&id));
            prop_assert_eq!(other.list(), model.list());
        }
        Ok(())
    });
    run.unwrap();
}

#[test]
fn of_many_handles_that_race_each_commit_counts_once() {
    let place = Place::new();
    let stores: Vec<Sqlite> = (0..3).map(|_| place.open().unwrap()).collect();
    let won: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|thread| {
                let store = &stores[thread % stores.len()];
                scope.spawn(move || {
                    let mut won = 0;
                    while won < 10 {
                        let (standing, version) = store.load("d").unwrap();
                        let record = standing.record.clone();
                        let name = record.and_then(|record| record.display_name);
                        let count: u64 = name.map_or(0, |name| name.parse().unwrap());
                        match store.commit(&pairs("d", &(count + 1).to_string()), version) {
                            Ok(_) => won += 1,
                            Err(error) => assert_eq!(error, StoreError::Conflict),
                        }
                    }
                    won
                })
            })
            .collect();
        threads.into_iter().map(|one| one.join().unwrap()).sum()
    });
    for store in &stores {
        let kept = store.load("d").unwrap().0.record.clone().unwrap();
        assert_eq!(kept.display_name, Some(won.to_string().into()));
        assert_eq!(store.revision(), Ok(u64::try_from(won).unwrap()));
    }
}

#[test]
fn of_many_that_open_a_place_at_once_one_makes_the_database() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let place = &place;
            scope.spawn(move || {
                let store = place.open().unwrap();
                commit(&store, &pairs(&format!("d{thread}"), "one")).unwrap();
            });
        }
    });
    assert_eq!(place.open().unwrap().list().unwrap().len(), 6);
}

#[test]
fn a_program_that_keeps_the_file_from_being_written_is_told_of() {
    let place = Place::new();
    let store = place.open().unwrap();
    let version = commit(&store, &pairs("d", "one")).unwrap();
    let other = place.other();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let impatient = "PRAGMA busy_timeout = 0";
    lock(&store.writer)
        .connection
        .execute_batch(impatient)
        .unwrap();
    let says = "gw.sqlite: database is locked; another program keeps it from being written; try \
                again, or end that one";
    let failed = Err(StoreError::Failed(says.into()));
    assert_eq!(store.commit(&pairs("d", "two"), version), failed);
    assert_eq!(store.load("d").unwrap().1, version, "readers do not wait");
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(&pairs("d", "two"), version).unwrap();
}

#[cfg(unix)]
#[test]
fn nobody_else_may_touch_its_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let store = place.open().unwrap();
    commit(&store, &pairs("d", "one")).unwrap();
    let files = ["", "-wal", "-shm", ".lock"];
    for what in files {
        let mode = fs::metadata(place.beside(what)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{what}");
    }
    drop(store);

    let chmod = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    fs::write(place.beside("-wal"), "").unwrap();
    for (what, mode, access) in [
        ("", 0o620, "written"),
        ("", 0o644, "read"),
        ("-wal", 0o602, "written"),
        (".lock", 0o604, "read"),
    ] {
        for what in files.map(|what| place.beside(what)) {
            if what.exists() {
                chmod(&what, 0o600);
            }
        }
        chmod(&place.beside(what), mode);
        let file = format!("gw.sqlite{what}");
        let refusal = format!(
            "{file} may be {access} by other users: it holds tokens: run `chmod 600 {file}`"
        );
        assert_eq!(place.refusal(), refusal);
        chmod(&place.beside(what), 0o600);
    }
    chmod(place.0.path(), 0o770);
    let refusal = place.refusal();
    assert!(refusal.contains("may be written by other users: it holds tokens: run `chmod go-w "));
    chmod(place.0.path(), 0o755);
    assert_eq!(place.open().unwrap().list().unwrap().len(), 1);
}

/// Whatever a commit fails by, nothing of it is seen, in memory or in the file, and the next one
/// is carried out once the cause has gone.
#[test]
fn a_commit_that_fails_leaves_everything_as_it_was() {
    let large = "x".repeat(100_000);
    for (cause, cure, says) in [
        (
            "PRAGMA max_page_count = 1",
            "PRAGMA max_page_count = 1000000",
            "gw.sqlite: database or disk is full; make room on its disk",
        ),
        (
            "PRAGMA query_only = ON",
            "PRAGMA query_only = OFF",
            "gw.sqlite: attempt to write a readonly database; make the file and its folder \
             writable to gw",
        ),
    ] {
        let place = Place::new();
        let store = place.open().unwrap();
        let version = commit(&store, &pairs("d", "one")).unwrap();
        commit(&store, &asks("e", "r")).unwrap();
        let before = store.list().unwrap();
        let tell = |what: &str| {
            lock(&store.writer).connection.execute_batch(what).unwrap();
        };
        tell(cause);
        let failed = Err(StoreError::Failed(says.into()));
        assert_eq!(store.commit(&pairs("d", &large), version), failed);
        assert_eq!(store.commit(&pairs("f", &large), Version::NOTHING), failed);
        assert_eq!(store.list().unwrap(), before);
        let counted = totals(&place.other());
        assert_eq!((counted.devices, counted.requests), (1, 1));
        assert_eq!(store.revision(), Ok(counted.commits));
        tell(cure);
        store.commit(&pairs("d", &large), version).unwrap();
        drop(store);
        assert_eq!(place.open().unwrap().list().unwrap().len(), 2);
    }
}

#[test]
fn what_another_program_changes_is_not_written_over() {
    let changed = "gw.sqlite was changed by another program; restart gw to take that up";
    let newer = "another release of gw has brought gw.sqlite to schema 99: restart gw as that \
                 release";
    for (change, commits, says) in [
        ("PRAGMA wal_checkpoint(TRUNCATE)", 2, ""),
        ("UPDATE standings SET version = version", 2, ""),
        ("DELETE FROM standings WHERE device_id = 'd'", 2, ""),
        ("UPDATE standings SET record = '{}'", 2, ""),
        ("UPDATE store SET commits = 0", 1, changed),
        ("PRAGMA user_version = 99", 1, newer),
        // What is counted is as if gw had committed it.
        ("UPDATE store SET commits = 9", 10, ""),
        ("UPDATE store SET commits = 2; DELETE FROM standings", 3, ""),
    ] {
        let place = Place::new();
        let store = place.open().unwrap();
        let first = commit(&store, &pairs("d", "one")).unwrap();
        place.uncounted().execute_batch(change).unwrap();
        let done = store.commit(&pairs("e", "two"), Version::NOTHING);
        match says {
            "" => assert_eq!(done, Ok(Version(commits)), "{change}"),
            says => assert_eq!(done, Err(StoreError::Failed(says.into())), "{change}"),
        }
        let is_there = store.load("d").map(|(_, version)| version == first);
        let gone = change.contains("DELETE");
        match (says, change) {
            // Of what cannot be right nothing is told.
            (_, "UPDATE standings SET record = '{}'") => {
                let says =
                    "gw.sqlite is damaged: record of device d cannot be read (at character 2)";
                assert_eq!(is_there, Err(StoreError::Failed(says.into())));
            }
            ("", _) => assert_eq!(is_there, Ok(!gone), "{change}"),
            (_, _) => assert_eq!(is_there, Err(StoreError::Failed(says.into())), "{change}"),
        }
    }
}

/// What others are promised in the same batch is written all the same.
#[test]
fn a_row_that_cannot_be_read_fails_its_own_commits_only() {
    let place = Place::new();
    let store = place.open().unwrap();
    let version = commit(&store, &pairs("d", "one")).unwrap();
    let damage = "UPDATE standings SET record = '{}'";
    place.other().execute_batch(damage).unwrap();
    let changes = vec![
        (pairs("d", "two"), version),
        (pairs("e", "one"), Version::NOTHING),
    ];
    let says = "gw.sqlite is damaged: record of device d cannot be read (at character 2)";
    let failed = Err(StoreError::Failed(says.into()));
    assert_eq!(store.commit_all(changes), [failed, Ok(Version(3))]);
    assert!(store.load("e").unwrap().0.record.is_some());
}

/// Whoever worked something out from what was there before looks again, once.
#[test]
fn what_was_changed_without_another_version_is_looked_at_again() {
    let place = Place::new();
    let store = place.open().unwrap();
    let version = commit(&store, &pairs("d", "one")).unwrap();
    let named = |store: &Sqlite| {
        let (standing, _) = store.load("d").unwrap();
        standing.record.clone().unwrap().display_name
    };
    place.uncounted().execute_batch(EDIT).unwrap();
    let late = store.commit(&pairs("d", "two"), version);
    assert_eq!(late, Err(StoreError::Conflict));
    assert_eq!(named(&store).as_deref(), Some("edited"));
    commit(&store, &pairs("d", "two")).unwrap();
    assert_eq!(named(&store).as_deref(), Some("two"));
}

const EDIT: &str = "UPDATE standings SET record = json_set(record, '$.displayName', 'edited')";

/// Also of whoever has just taken up what another process committed.
#[test]
fn an_edit_by_hand_counts_as_a_commit() {
    let place = Place::new();
    let [store, other] = [(); 2].map(|()| place.open().unwrap());
    commit(&store, &pairs("d", "one")).unwrap();
    commit(&other, &pairs("d", "two")).unwrap();
    let (_, version) = store.load("d").unwrap();
    place.other().execute_batch(EDIT).unwrap();
    let (edited, now) = store.load("d").unwrap();
    let name = edited.record.as_ref().unwrap().display_name.as_deref();
    assert_eq!((name, now), (Some("edited"), Version(3)));
    assert_eq!(store.revision(), Ok(3));
    let late = store.commit(&leaves("d"), version);
    assert_eq!(late, Err(StoreError::Conflict));
}

/// What is kept beside the rows follows, so that nothing has to be looked through for it.
#[test]
fn what_is_counted_follows_edits_by_hand() {
    let place = Place::new();
    let store = place.open().unwrap();
    commit(&store, &pairs("d", "one")).unwrap();
    commit(&store, &asks("e", "r")).unwrap();
    for (edit, devices, requests) in [
        ("DELETE FROM standings WHERE device_id = 'd'", 0, 1),
        ("UPDATE standings SET pending = NULL", 0, 0),
        (
            r#"INSERT INTO standings (device_id, version, record) VALUES ('f', 1,
                '{"deviceId":"f","publicKey":"k","roles":["node"],"expiresAtMs":7}')"#,
            1,
            0,
        ),
        ("DELETE FROM standings WHERE device_id = 'none'", 1, 0),
    ] {
        let before = totals(&place.other()).commits;
        let rows = place.other().execute(edit, []).unwrap();
        let counted = totals(&place.other());
        assert_eq!((counted.devices, counted.requests), (devices, requests));
        assert_eq!(counted.commits, before + u64::try_from(rows).unwrap());
        assert_eq!(store.revision(), Ok(counted.commits), "{edit}");
        let there = rows::look_through(&place.other(), counted.commits);
        assert_eq!(there.unwrap(), counted, "{edit}");
    }
    for among in [Among::Ending(7), Among::Nodes] {
        let mut found = 0;
        let visited = store.visit(among, &mut |standing, _| {
            found += usize::from(standing.device_id() == Some("f"));
            ControlFlow::Continue(())
        });
        visited.unwrap();
        assert_eq!(found, 1, "{among:?}");
    }
}

/// How many requests wait that can be read.
fn waiting(store: &Sqlite) -> usize {
    let mut count = 0;
    let looked = store.waiting(&mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    });
    looked.unwrap();
    count
}

/// However long a list of all takes, nobody who asks to come in waits for it.
#[test]
fn a_list_of_all_devices_holds_up_no_request() {
    let place = Place::new();
    let store = place.open().unwrap();
    commit(&store, &pairs("d", "one")).unwrap();
    commit(&store, &asks("e", "r")).unwrap();
    let soon = std::time::Duration::from_secs(60);
    let mut looked = 0;
    std::thread::scope(|scope| {
        let visited = store.visit(Among::All, &mut |_, _| {
            let (answer, answered) = std::sync::mpsc::channel();
            let store = &store;
            scope.spawn(move || {
                let waiting = waiting(store);
                commit(store, &asks("f", "r2")).unwrap();
                let _ = answer.send((waiting, store.count().unwrap().devices));
            });
            let answer = answered.recv_timeout(soon);
            looked += 1;
            assert_eq!(answer.unwrap(), (looked, 1));
            ControlFlow::Continue(())
        });
        visited.unwrap();
    });
    assert_eq!(looked, 2, "it sees what was there when it began");
}

/// Of the others each is removed, however many there are, and few are in memory at once.
#[test]
fn a_row_that_cannot_be_read_keeps_nothing_else_from_ending() {
    let place = Place::new();
    let store = place.open().unwrap();
    let devices: Vec<String> = (0..1_300).map(|device| format!("d{device:04}")).collect();
    let changes = devices.iter().map(|device| {
        let mut change = pairs(device, "one");
        if let Write::Put(record) = &mut change.record {
            record.expires_at_ms = Some(7);
        }
        (change, Version::NOTHING)
    });
    let done = store.commit_all(changes.collect());
    assert!(done.iter().all(Result::is_ok));
    for device in ["asks 0", "asks 1"] {
        commit(&store, &asks(device, device)).unwrap();
    }
    let damage = "UPDATE standings SET record = '{}' WHERE device_id = 'd0007';
        UPDATE standings SET pending = '{}' WHERE device_id = 'asks 1'";
    place.uncounted().execute_batch(damage).unwrap();
    // Whoever writes first after that looks again.
    commit(&store, &asks("asks 2", "asks 2")).unwrap();
    let says = "gw.sqlite is damaged: pending of device asks 1 cannot be read (at character 2)";
    let damaged = StoreError::Failed(says.into());

    // Whoever asks for another one is answered.
    assert_eq!(waiting(&store), 2);
    assert!(store.list().is_err());

    let watched = Watched {
        store: &store,
        most: Mutex::default(),
    };
    let swept = sweep(&watched, 8, &Compatibility::default());
    assert_eq!(swept, Err(damaged));
    assert_eq!(*lock(&watched.most), 512);
    let counted = totals(&place.other());
    assert_eq!((counted.devices, counted.requests), (1, 3));
    place
        .other()
        .execute_batch("DELETE FROM standings WHERE json_valid(record) OR device_id = 'asks 1'")
        .unwrap();
    assert_eq!(sweep(&store, 8, &Compatibility::default()), Ok(0));
}

/// A store that remembers how many commits it was given at once.
struct Watched<'a> {
    store: &'a Sqlite,
    most: Mutex<usize>,
}

impl Store for Watched<'_> {
    fn load(&self, device_id: &str) -> Result<(Arc<Standing>, Version), StoreError> {
        self.store.load(device_id)
    }

    fn commit(&self, change: &Change, expected: Version) -> Result<Version, StoreError> {
        self.store.commit(change, expected)
    }

    fn commit_all(&self, changes: Vec<(Change, Version)>) -> Vec<Result<Version, StoreError>> {
        let mut most = lock(&self.most);
        *most = changes.len().max(*most);
        self.store.commit_all(changes)
    }

    fn visit(&self, among: Among, look: &mut Look<'_>) -> Result<(), StoreError> {
        self.store.visit(among, look)
    }

    fn list(&self) -> Result<Vec<(Standing, Version)>, StoreError> {
        self.store.list()
    }

    fn waiting(&self, look: &mut Look<'_>) -> Result<(), StoreError> {
        self.store.waiting(look)
    }

    fn device_of_request(&self, request_id: &str) -> Result<Option<Box<str>>, StoreError> {
        self.store.device_of_request(request_id)
    }

    fn revision(&self) -> Result<u64, StoreError> {
        self.store.revision()
    }
}

/// What is looked for among many is found by an index, and is the same as without.
#[test]
fn devices_of_a_kind_are_found_without_looking_at_all() {
    let place = Place::new();
    let store = place.open().unwrap();
    let with = |device: &str, more: serde_json::Value| {
        let mut record = json!({
            "deviceId": device, "publicKey": "k", "roles": ["operator"],
            "approvedScopes": ["operator.read"],
        });
        let fields = more.as_object().unwrap().clone();
        record.as_object_mut().unwrap().extend(fields);
        let record = serde_json::from_value(record).unwrap();
        Change {
            record: Write::Put(record),
            ..Change::none(device)
        }
    };
    let changes = [
        pairs("plain", "node"),
        with("node", json!({ "roles": ["node"] })),
        with("ended", json!({ "expiresAtMs": 10 })),
        with("ending", json!({ "expiresAtMs": 11 })),
        with("admin", json!({ "approvedScopes": ["operator.admin"] })),
        with("pairing", json!({ "approvedScopes": ["operator.pairing"] })),
        asks("asks", "r"),
    ];
    let changes = changes.map(|change| (change, Version::NOTHING));
    assert!(store.commit_all(changes.into()).iter().all(Result::is_ok));
    for (among, expected) in [
        (Among::Ending(10), "asks ended"),
        (Among::Nodes, "node"),
        (Among::Approvers, "admin pairing"),
        (Among::All, "admin asks ended ending node pairing plain"),
    ] {
        let mut found = Vec::new();
        let visited = store.visit(among, &mut |standing, _| {
            found.extend(standing.device_id().map(str::to_owned));
            ControlFlow::Continue(())
        });
        visited.unwrap();
        found.sort_unstable();
        assert_eq!(found.join(" "), expected, "{among:?}");
        for query in rows::queries(among) {
            let plan = format!("EXPLAIN QUERY PLAN {query}");
            let other = place.other();
            let mut plan = other.prepare(&plan).unwrap();
            let values = vec![0; plan.parameter_count()];
            let plan: String = plan
                .query_row(rusqlite::params_from_iter(values), |row| row.get(3))
                .unwrap();
            assert_eq!(plan.contains("USING INDEX"), among != Among::All, "{plan}");
        }
    }
    let count = Count {
        devices: 6,
        requests: 1,
    };
    assert_eq!(store.count(), Ok(count));
}

/// Whoever edits the file by hand counts nothing.
#[test]
fn what_is_counted_is_put_right_when_it_is_opened() {
    let place = Place::new();
    let store = place.open().unwrap();
    for device in ["d", "e"] {
        commit(&store, &pairs(device, "one")).unwrap();
    }
    drop(store);
    let edit = "DELETE FROM standings WHERE device_id = 'd'";
    place.uncounted().execute_batch(edit).unwrap();
    let store = place.open().unwrap();
    assert_eq!(store.count().unwrap().devices, 1);
    assert_eq!(store.revision(), Ok(2));
}

/// Nothing is written where nobody would find it again.
#[cfg(unix)]
#[test]
fn a_file_that_was_moved_away_is_not_written_to() {
    for what in ["", "-wal"] {
        let place = Place::new();
        let store = place.open().unwrap();
        let moved = place.beside("-moved");
        let (file, says) = (
            place.beside(what),
            "gw.sqlite was moved or replaced; put it back, or restart gw",
        );
        let failed = Err(StoreError::Failed(says.into()));
        fs::rename(&file, &moved).unwrap();
        assert_eq!(commit(&store, &pairs("d", "one")), failed, "{what}");
        assert_eq!(store.revision().map(Version), failed, "{what}");
        fs::copy(&moved, &file).unwrap();
        assert_eq!(commit(&store, &pairs("d", "one")), failed, "{what}");
        fs::rename(&moved, &file).unwrap();
        assert_eq!(commit(&store, &pairs("d", "one")), Ok(Version(1)), "{what}");
    }
}

/// What each schema held, as its release wrote it.
const OLDER: [(usize, &str); 3] = [(1, FIRST), (2, FIRST), (3, THIRD)];
const FIRST: &str = r#"INSERT INTO standings VALUES
        ('d', 3, '{"deviceId":"d","publicKey":"k","displayName":"one","roles":["node"],
            "approvedScopes":[" operator.pairing"],"expiresAtMs":9}', NULL, NULL),
        ('e', 7, NULL, '{"requestId":"r","deviceId":"e","publicKey":"k","ts":1}',
            '{"requestId":"n","ts":1}');
    UPDATE store SET commits = 9;"#;
/// What is counted was wrong: somebody had edited it by hand.
const THIRD: &str = r#"INSERT INTO standings VALUES
        ('d', 3, '{"deviceId":"d","publicKey":"k","displayName":"one","roles":["node"],
            "approvedScopes":[" operator.pairing"],"expiresAtMs":9}', NULL, NULL, 9, 1, 1),
        ('e', 7, NULL, '{"requestId":"r","deviceId":"e","publicKey":"k","ts":1}',
            '{"requestId":"n","ts":1}', NULL, NULL, NULL);
    UPDATE store SET commits = 9, devices = 7, requests = 5;"#;

#[test]
fn a_database_of_each_older_schema_is_brought_up_to_date() {
    let schemas: Vec<usize> = OLDER.iter().map(|(schema, _)| *schema).collect();
    assert_eq!(schemas, Vec::from_iter(1..schema::NEWEST));
    for (schema, content) in OLDER {
        let place = Place::new();
        let mut older = place.other();
        schema::migrate(&mut older, schema).unwrap();
        older.execute_batch(content).unwrap();
        older.close().unwrap();
        make_private(&place);

        let store = place.open().unwrap();
        let kept = store.list().unwrap();
        let versions: Vec<Version> = kept.iter().map(|(_, version)| *version).collect();
        assert_eq!(versions, [Version(3), Version(7)]);
        let named = kept[0].0.record.as_ref().unwrap().display_name.as_deref();
        assert_eq!(named, Some("one"));
        assert!(kept[1].0.pending.is_some() && kept[1].0.node_pending.is_some());
        let count = Count {
            devices: 1,
            requests: 1,
        };
        assert_eq!(store.count(), Ok(count));
        for among in [Among::Ending(9), Among::Nodes, Among::Approvers] {
            let mut has_one = false;
            let visited = store.visit(among, &mut |standing, _| {
                has_one |= standing.device_id() == Some("d");
                ControlFlow::Continue(())
            });
            visited.unwrap();
            assert!(has_one, "{among:?}");
        }
        assert_eq!(commit(&store, &pairs("f", "new")), Ok(Version(10)));
        let version = schema::version(&lock(&store.writer).connection).unwrap();
        assert_eq!(usize::try_from(version).unwrap(), schema::NEWEST);
        let views = place
            .other()
            .query_row("SELECT count(*) FROM devices", [], |row| {
                row.get::<_, i64>(0)
            });
        assert_eq!(views.unwrap(), 2);
    }
}

fn make_private(place: &Place) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o600)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = place;
}

/// Makes something of an ordinary database, or in its place.
type Spoil = fn(&Place);

#[test]
fn what_is_wrong_with_a_file_is_said_and_the_file_left_as_it_is() {
    const ANEW: &str = "gw then begins anew, and every device has to be approved again";
    let foreign = |how: &str| {
        format!(
            "gw.sqlite is not a store of devices: {how}: it was left as it is: put a copy of the \
             devices in its place, or move it away: {ANEW}"
        )
    };
    let damaged = |how: &str| {
        format!(
            "gw.sqlite is damaged: {how}: put a copy in its place, or move it away with its -wal \
             and -shm files: {ANEW}"
        )
    };
    let cases: [(Spoil, String); 9] = [
        (
            |place| fs::write(place.path(), "").unwrap(),
            damaged("it is empty"),
        ),
        (
            |place| fs::write(place.path(), "{\"devices\": {}}").unwrap(),
            foreign("it is no SQLite file"),
        ),
        (
            |place| {
                fs::remove_file(place.path()).unwrap();
                let made = place.other().execute_batch("CREATE TABLE devices (id)");
                made.unwrap();
                make_private(place);
            },
            foreign("another application made it"),
        ),
        (
            |place| {
                place
                    .other()
                    .execute_batch("PRAGMA user_version = 99")
                    .unwrap()
            },
            format!(
                "gw.sqlite has schema 99, and this release knows them up to {}: use the release \
                 that wrote it, or a newer one",
                schema::NEWEST
            ),
        ),
        (
            |place| {
                let bad = r#"UPDATE standings SET record = '{"deviceId":"d","publicKey":"k",
                    "tokens":{"operator":"device-token-not-a-secret"}}'"#;
                place.other().execute_batch(bad).unwrap();
            },
            damaged("record of device d cannot be read (at character 68)"),
        ),
        (
            |place| {
                place
                    .other()
                    .execute_batch("UPDATE store SET commits = 0")
                    .unwrap()
            },
            damaged("device d is at version 1, after 0 commits"),
        ),
        (
            |place| place.other().execute_batch("DELETE FROM store").unwrap(),
            damaged("it does not say how many commits there were"),
        ),
        (
            |place| {
                let mut bytes = fs::read(place.path()).unwrap();
                bytes[100..3_000].fill(0x5a);
                fs::write(place.path(), bytes).unwrap();
            },
            damaged("database disk image is malformed"),
        ),
        (
            |place| {
                fs::rename(place.path(), place.beside("-wal")).unwrap();
            },
            format!(
                "gw.sqlite is missing, but gw.sqlite-wal is there: put the database back, from a \
                 copy of both; or move that file away: {ANEW}"
            ),
        ),
    ];
    for (spoil, says) in cases {
        let place = Place::new();
        let store = place.open().unwrap();
        commit(&store, &pairs("d", "one")).unwrap();
        drop(store);
        spoil(&place);
        let before = fs::read(place.path()).ok();
        assert_eq!(place.refusal(), says);
        assert_eq!(fs::read(place.path()).ok(), before, "{says}");
        // It says so each time, and does not begin anew meanwhile.
        assert_eq!(place.refusal(), says);
    }
}

#[test]
fn a_folder_that_is_not_there_and_a_path_that_is_none_are_named() {
    let place = Place::new();
    let nowhere = place.0.path().join("none/gw.sqlite");
    let error = Sqlite::open(&nowhere, Limits::default()).unwrap_err();
    assert!(
        error.to_string().contains("none cannot be found: "),
        "{error}"
    );
    fs::create_dir(place.path()).unwrap();
    let says = "gw.sqlite is not a file: move it away: ";
    assert!(place.refusal().starts_with(says), "{}", place.refusal());
}

#[test]
fn what_a_crash_left_of_a_new_database_is_made_anew() {
    let place = Place::new();
    fs::write(place.beside(".new"), "half").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(place.beside(".new"), mode).unwrap();
    }
    let store = place.open().unwrap();
    commit(&store, &pairs("d", "one")).unwrap();
    assert!(!place.beside(".new").exists());
}

/// Whoever looks with `sqlite3` sees what was approved, and no secret.
#[test]
fn its_views_tell_an_operator_what_is_kept() {
    let place = Place::new();
    let store = place.open().unwrap();
    let both = Change {
        node_pending: Write::Put(
            serde_json::from_value(json!({ "requestId": "n", "ts": 0 })).unwrap(),
        ),
        ..pairs("d", "one").then(asks("d", "r"))
    };
    commit(&store, &both).unwrap();
    let other = place.other();
    let mut shown = String::new();
    for view in ["devices", "requests", "node_requests", "tokens"] {
        let mut query = other.prepare(&format!("SELECT * FROM {view}")).unwrap();
        let columns: Vec<String> = query.column_names().map(Into::into).collect();
        let mut rows = query.query([]).unwrap();
        let row = rows.next().unwrap().unwrap();
        shown += view;
        for (index, column) in columns.iter().enumerate() {
            if let Some(value) = row.get::<_, Option<String>>(index).unwrap() {
                shown += &format!(" {column}={value}");
            }
        }
        shown.push('\n');
    }
    let expected = r#"devices device_id=d display_name=one roles=["operator"] scopes=["operator.read"] approved_at=2026-02-02 02:40:00
requests request_id=r device_id=d roles=operator asked_at=2026-02-02 02:40:00
node_requests request_id=n device_id=d asked_at=1970-01-01 00:00:00
tokens device_id=d role=operator scopes=["operator.read"] created_at=2026-02-02 02:40:00
"#;
    assert_eq!(shown, expected);
}
