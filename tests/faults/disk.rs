//! Where nothing can be written: a disk that is full, a limit on the size of files, a store that
//! another process has locked, a folder that may not be written to, a log whose folder is gone.
//!
//! THE TABLE: each fault, whether anything can be kept meanwhile, and how it begins and ends. What must
//! hold under each is the same, and stands in [`outlast`].

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::client::{Asking, Client, soon};
use crate::process::{Gateway, Place, approve, by_token, guest, limit_files};
use crate::sign::Identity;

/// Something that keeps a gateway from writing.
struct Fault {
    name: &'static str,
    /// Lines of the configuration.
    config: &'static str,
    /// Starts a gateway to which it can happen; nothing where this host has no way to do that.
    start: fn(&Place) -> Option<Gateway>,
    /// Has it happen; gives what ends it.
    begin: fn(&Place, &Gateway) -> Cure,
    /// Whether what is answered can be kept meanwhile.
    keeps: bool,
    /// Whether the files are there for another gateway, once this one is killed.
    stays: bool,
}

type Cure = Box<dyn FnOnce()>;

const FAULTS: [Fault; 7] = [
    Fault {
        name: "no file may grow",
        // Each line that is logged cannot be written either.
        config: "log: { level: trace }\n",
        start: plainly,
        begin: |_, gateway| {
            gateway.limit_files(Some(1));
            let process = gateway.pid();
            Box::new(move || limit_files(process, None))
        },
        keeps: false,
        stays: true,
    },
    Fault {
        name: "the disk is full",
        config: "",
        start: on_a_small_disk,
        begin: |place, gateway| {
            let process = gateway.pid().as_raw_nonzero();
            let inside = format!("/proc/{process}/root");
            let fill = place.path("state/fill");
            let fill = Path::new(&inside).join(fill.strip_prefix("/").unwrap());
            let mut file = fs::File::create(&fill).unwrap();
            let full = std::iter::repeat_with(|| file.write_all(&[0; 4_096])).find(Result::is_err);
            assert_eq!(
                full.unwrap().unwrap_err().kind(),
                std::io::ErrorKind::StorageFull
            );
            Box::new(move || fs::remove_file(fill).unwrap())
        },
        keeps: false,
        stays: false,
    },
    Fault {
        name: "another process has the store locked",
        config: "",
        start: plainly,
        begin: |place, _| {
            let other = Connection::open(place.store("")).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            Box::new(move || other.execute_batch("ROLLBACK").unwrap())
        },
        keeps: false,
        stays: true,
    },
    Fault {
        name: "the state folder may not be written to",
        config: "",
        start: as_nobody,
        begin: |place, _| {
            place.chmod("state", 0o500);
            let state = place.path("state");
            Box::new(move || chmod(&state, 0o700))
        },
        // The files in it are open.
        keeps: true,
        stays: true,
    },
    Fault {
        name: "the folder of the log is gone",
        config: "log: { decisions: { file: logs/decisions.jsonl } }\n",
        start: |place| {
            fs::create_dir_all(place.path("logs")).unwrap();
            plainly(place)
        },
        begin: |place, _| {
            let logs = place.path("logs");
            fs::remove_dir_all(&logs).unwrap();
            Box::new(move || fs::create_dir(logs).unwrap())
        },
        keeps: true,
        stays: true,
    },
    Fault {
        name: "the log is on a disk that is full",
        config: "log: { decisions: { file: /dev/full } }\n",
        start: plainly,
        begin: |_, _| Box::new(|| ()),
        keeps: true,
        stays: true,
    },
    Fault {
        name: "what it says of itself cannot be written",
        config: "log: { level: trace }\n",
        start: |place| {
            let full = fs::OpenOptions::new().write(true).open("/dev/full").ok()?;
            place.start(place.serving().stderr(full)).ok()
        },
        begin: |_, _| Box::new(|| ()),
        keeps: true,
        stays: true,
    },
];

fn plainly(place: &Place) -> Option<Gateway> {
    Some(place.serve())
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The state folder is a file system in memory that only the gateway sees, and goes with it.
fn on_a_small_disk(place: &Place) -> Option<Gateway> {
    let state = place.path("state");
    fs::create_dir_all(&state).unwrap();
    let state = state.display();
    let mount = format!("mount -t tmpfs -o size=2m,mode=700 none '{state}' || exit 99");
    let private: &[&str] = match is_root() {
        true => &["--mount"],
        false => &["--mount", "--map-root-user"],
    };
    let mut command = place.serving_by("unshare", private, &mount);
    match place.start(&mut command) {
        Ok(gateway) => Some(gateway),
        Err(status) => {
            assert!(!place.complaints().contains("cannot-serve"), "{status:?}");
            None
        }
    }
}

/// Root may write anywhere, so its gateway is another user's.
fn as_nobody(place: &Place) -> Option<Gateway> {
    const NOBODY: u32 = 65_534;
    if !is_root() {
        return plainly(place);
    }
    let mut mine = vec![place.path("")];
    while let Some(path) = mine.pop() {
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        if path.is_dir() {
            mine.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    let mut command = place.serving();
    command.uid(NOBODY).gid(NOBODY);
    // Where that user may not read the program nothing is tried.
    let runs = Command::new(env!("CARGO_BIN_EXE_gw"))
        .arg("--version")
        .uid(NOBODY)
        .gid(NOBODY)
        .output();
    runs.ok()?;
    place.start(&mut command).ok()
}

/// Whether something was kept, as its answer says. A store that fails says so and nothing else.
fn is_kept(answer: &Result<Value, Value>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error["code"], "UNAVAILABLE", "{error}");
            assert!(error["details"]["requestId"].is_null(), "{error}");
            let message = error["message"].as_str().unwrap();
            assert!(
                message.starts_with("the gateway cannot keep what it decides"),
                "{error}"
            );
            false
        }
    }
}

async fn ask(gateway: &Gateway, name: &str) -> Result<Value, Value> {
    let refused = gateway.refuse(&guest(name)).await;
    match refused.error["details"]["requestId"].is_string() {
        true => Ok(refused.error["details"]["requestId"].clone()),
        false => Err(refused.error),
    }
}

async fn remove(owner: &mut Client, name: &str) -> Result<Value, Value> {
    let device = json!({ "deviceId": Identity::named(name).id });
    owner.call("device.pair.remove", device).await
}

/// Why the last commit was not kept; null where it was.
async fn status(owner: &mut Client) -> Value {
    owner.call("status", json!({})).await.unwrap()["unkept"].clone()
}

/// Of each: who is paired, and who waits, by the ids of devices.
async fn listed(owner: &mut Client) -> [Vec<String>; 2] {
    let list = owner.call("device.pair.list", json!({})).await.unwrap();
    ["paired", "pending"].map(|kind| {
        let all = list[kind].as_array().unwrap().iter();
        let mut ids: Vec<String> = all
            .map(|one| one["deviceId"].as_str().unwrap().to_owned())
            .collect();
        ids.sort_unstable();
        ids
    })
}

/// Under each fault: whoever is paired comes in with what they have, and nobody else does. What is
/// asked, approved and removed is answered with what is so then, and is so when the fault is over and
/// after a kill; what is answered by a failure is not so, and can be done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_is_not_promised() {
    for fault in FAULTS {
        println!("{}", fault.name);
        outlast(&fault).await;
    }
}

async fn outlast(fault: &Fault) {
    let place = Place::new(&format!("{}metrics: true\n", fault.config));
    let Some(mut gateway) = (fault.start)(&place) else {
        println!("  left out: this host has no way to do it");
        return;
    };
    let mut owner = gateway.owner().await;
    let [paired, leaves] = [guest("paired"), guest("leaves")];
    let token = gateway.pair(&mut owner, &paired).await;
    gateway.pair(&mut owner, &leaves).await;
    let waits = gateway.refuse(&guest("waits")).await;

    let cure = (fault.begin)(&place, &gateway);
    let (_, hello) = gateway.admit(&by_token(&paired, &token)).await;
    assert_eq!(hello["auth"]["scopes"], json!(paired.scopes));
    gateway.refuse(&by_token(&paired, "not its token")).await;
    gateway
        .refuse(&Asking::device("paired").scopes(&["operator.admin"]))
        .await;
    let mut second = gateway.owner().await;
    // Together, since whoever waits for a lock waits for some time.
    let (asked, approved, removed) = tokio::join!(
        ask(&gateway, "asks"),
        approve(&mut owner, waits.request_id()),
        remove(&mut second, "leaves"),
    );
    let approved = approved.unwrap();
    for answer in [&asked, &approved, &removed] {
        assert_eq!(is_kept(answer), fault.keeps, "{}: {answer:?}", fault.name);
    }
    assert!(gateway.is_running(), "{}", fault.name);
    let unkept = status(&mut owner).await;
    assert_eq!(unkept.is_null(), fault.keeps, "{}: {unkept}", fault.name);
    let counted = gateway.metrics().await;
    let none = counted.contains("gw_store_failures_total 0\n");
    assert_eq!(none, fault.keeps, "{}: {counted}", fault.name);
    let during = listed(&mut owner).await;
    cure();

    let id = |name: &str| Identity::named(name).id;
    let (mut is_in, mut waiting) = match fault.keeps {
        true => (vec![id("paired"), id("waits")], vec![id("asks")]),
        false => (vec![id("paired"), id("leaves")], vec![id("waits")]),
    };
    is_in.sort_unstable();
    // Whoever asked for more than it has waits too, where that could be kept.
    waiting.extend(fault.keeps.then(|| id("paired")));
    waiting.sort_unstable();
    let expected = [is_in, waiting];
    assert_eq!(during, expected, "{}", fault.name);
    assert_eq!(listed(&mut owner).await, expected, "{}", fault.name);
    if fault.stays {
        gateway.kill();
        gateway = (fault.start)(&place).unwrap();
        owner = gateway.owner().await;
        assert_eq!(listed(&mut owner).await, expected, "{}", fault.name);
        place.kept();
    }
    let (_, hello) = gateway.admit(&by_token(&paired, &token)).await;
    assert_eq!(hello["auth"]["scopes"], json!(paired.scopes));
    if !fault.keeps {
        // What was to wait waits on, by the id that it was told.
        approve(&mut owner, waits.request_id())
            .await
            .unwrap()
            .unwrap();
        remove(&mut owner, "leaves").await.unwrap();
        ask(&gateway, "asks").await.unwrap();
        assert_eq!(status(&mut owner).await, Value::Null, "{}", fault.name);
    }
    gateway.admit(&guest("waits")).await;
    gateway.refuse(&leaves).await;
    assert!(
        !place.complaints().contains("panicked"),
        "{}",
        place.complaints()
    );
}

/// Once there is room again the log goes on, and says how many lines are missing.
#[tokio::test]
async fn a_log_that_could_not_be_written_says_what_is_missing() {
    let place = Place::new("log: { decisions: { file: decisions.jsonl } }\nmetrics: true\n");
    let mut gateway = place.serve();
    let log = place.path("decisions.jsonl");
    gateway.refuse(&guest("before")).await;
    let written = async {
        while !fs::read_to_string(&log).unwrap().ends_with('\n') {
            tokio::task::yield_now().await;
        }
    };
    soon("a line", written).await;
    gateway.limit_files(Some(1));
    for lost in 1..=3 {
        gateway.refuse(&guest(&format!("lost {lost}"))).await;
        let line = format!("gw_decision_log_lines_dropped_total {lost}\n");
        let counted = async {
            while !gateway.metrics().await.contains(&line) {
                tokio::task::yield_now().await;
            }
        };
        soon(&line, counted).await;
    }
    gateway.limit_files(None);
    gateway.refuse(&guest("after")).await;
    gateway.stop();
    let log = fs::read_to_string(&log).unwrap();
    let lines = log.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["device"].clone(), line["dropped"].clone())
    });
    let id = |name: &str| json!(Identity::named(name).id);
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            (id("before"), Value::Null),
            (Value::Null, json!(3)),
            (id("after"), Value::Null),
        ]
    );
}

/// A start that cannot write says so, and is no crash.
#[test]
fn a_start_without_room_is_refused() {
    let place = Place::new("");
    let mut command = place.serving_by("env", &[], "ulimit -f 0");
    let Err(status) = place.start(&mut command) else {
        panic!("it serves");
    };
    assert_eq!(
        (status.code(), status.signal()),
        (Some(1), None),
        "{status:?}"
    );
    // There is room again.
    place.serve();
}

/// Where the state folder may not be written to, a start says which file cannot be; afterwards all is
/// there.
#[tokio::test]
async fn a_start_in_a_folder_that_may_not_be_written_to_is_refused() {
    let place = Place::new("");
    let Some(mut gateway) = as_nobody(&place) else {
        println!("left out: this host has no way to do it");
        return;
    };
    let paired = guest("paired");
    let token = gateway.pair(&mut gateway.owner().await, &paired).await;
    gateway.stop();
    for (name, closed, open) in [("state", 0o500, 0o700), ("state/gw.sqlite", 0o400, 0o600)] {
        place.chmod(name, closed);
        place.write("errors", "");
        assert!(as_nobody(&place).is_none(), "{name}");
        let said = place.complaints();
        assert!(
            said.contains("gw.sqlite") && said.contains("writable to gw"),
            "{name}: {said}"
        );
        place.chmod(name, open);
    }
    let gateway = as_nobody(&place).unwrap();
    gateway.admit(&by_token(&paired, &token)).await;
}
