//! `gw import-openclaw` on a whole state folder: what it writes loads, holds no secret in the open
//! and lets in who was paired; it writes nothing over, and all or nothing.

#![expect(
    clippy::unwrap_used,
    reason = "this is a test: what is missing fails it"
)]

#[path = "support/sign.rs"]
mod sign;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use gw::pairing::store::Limits;
use gw::pairing::stored::StoredStanding;
use gw::pairing::{Change, Sqlite, Store as _, Version, Write};
use serde_json::{Value, json};
use tempfile::TempDir;

use sign::{Identity, NOW, Spec, signed_handshake};

/// What every secret of this test is called.
const MARK: &str = "-not-a-secret";
const TOKEN: &str = "e2b1d08c57f94a63-not-a-secret";
const DEVICE_TOKEN: &str = "device-token-of-one-not-a-secret";

/// A gateway to take over, and room for the other one.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        let theirs = place.theirs();
        fs::create_dir_all(theirs.join("devices")).unwrap();
        let config = format!(
            "{{ gateway: {{ bind: 'loopback', auth: {{ mode: 'token', token: '{TOKEN}' }},
            controlUi: {{ allowInsecureAuth: true, dangerouslyDisableDeviceAuth: true }} }} }}"
        );
        fs::write(theirs.join("openclaw.json"), config).unwrap();
        place.pair(&["one", "two"]);
        place
    }

    /// Pairs devices with the gateway that is taken over.
    fn pair(&self, names: &[&str]) {
        let records: serde_json::Map<String, Value> = names
            .iter()
            .map(|name| {
                let device = Identity::named(name);
                let record = record(&device, name);
                (device.id, record)
            })
            .collect();
        let file = self.theirs().join("devices/paired.json");
        fs::write(file, json!(records).to_string()).unwrap();
    }

    fn theirs(&self) -> PathBuf {
        self.0.path().join("openclaw")
    }

    fn ours(&self, name: &str) -> PathBuf {
        self.0.path().join("gw").join(name)
    }

    fn gw(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gw"));
        command.current_dir(self.0.path()).args(arguments);
        let output = command.output().unwrap();
        let said = [&*output.stdout, &*output.stderr].concat();
        assert!(!String::from_utf8(said).unwrap().contains(MARK));
        output
    }

    fn import(&self, arguments: &[&str]) -> Output {
        let usual = [
            "import-openclaw",
            "openclaw",
            "--config",
            "gw/gw.yaml",
            "--state",
            "gw/state",
        ];
        self.gw(&[&usual, arguments].concat())
    }

    fn store(&self) -> Sqlite {
        Sqlite::open(&self.ours("state/gw.sqlite"), Limits::default()).unwrap()
    }
}

fn record(device: &Identity, name: &str) -> Value {
    json!({
        "deviceId": device.id, "publicKey": device.public_key, "displayName": name,
        "platform": "linux", "clientId": "cli", "clientMode": "cli", "role": "operator",
        "roles": ["operator"], "scopes": ["operator.read", "operator.write"],
        "approvedScopes": ["operator.read", "operator.write"],
        "tokens": { "operator": { "token": DEVICE_TOKEN, "role": "operator",
            "scopes": ["operator.read", "operator.write"], "createdAtMs": NOW - 1_000 } },
        "createdAtMs": NOW - 1_000, "approvedAtMs": NOW - 1_000,
    })
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn said(output: &Output) -> String {
    String::from_utf8([&*output.stderr, &*output.stdout].concat()).unwrap()
}

#[test]
fn what_is_written_loads_and_holds_no_secret_in_the_open() {
    let place = Place::new();
    let output = place.import(&[]);
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("--allow-wider takes it"), "{told}");
    for name in ["gw.yaml", "gw.policy"] {
        let text = fs::read_to_string(place.ours(name)).unwrap();
        assert!(
            !text.contains(MARK) && !text.contains("dangerously"),
            "{text}"
        );
    }
    assert_eq!(
        fs::read_to_string(place.ours("token")).unwrap().trim(),
        TOKEN
    );
    for arguments in [
        &["config", "check", "gw/gw.yaml"][..],
        &["check-policy", "gw/gw.policy"],
        &["fmt", "--check", "gw/gw.policy"],
    ] {
        let output = place.gw(arguments);
        assert_eq!(code(&output), Some(0), "{arguments:?}: {}", said(&output));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        for name in ["token", "state/gw.sqlite"] {
            let mode = fs::metadata(place.ours(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
    // The policy is named, and the folder with the devices is the gateway's.
    let shown = said(&place.gw(&["config", "show", "--format", "plain", "gw/gw.yaml"]));
    assert!(shown.contains("state: state (file"), "{shown}");
    assert!(shown.contains("policy: gw.policy (file"), "{shown}");
}

#[test]
fn what_opens_to_everybody_is_taken_when_it_is_asked_for() {
    let place = Place::new();
    let output = place.import(&["--allow-wider", "--policy", "door.policy"]);
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    let config = fs::read_to_string(place.ours("gw.yaml")).unwrap();
    assert!(
        config.contains("dangerouslyDisableDeviceAuth: true"),
        "{config}"
    );
    let output = place.gw(&["config", "check", "gw/gw.yaml"]);
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    assert!(place.0.path().join("door.policy").exists());
}

/// Who was paired there is paired here, by its key and by its token.
#[test]
fn a_device_that_was_paired_there_is_paired_here() {
    let place = Place::new();
    assert_eq!(code(&place.import(&[])), Some(0));
    for (name, pairing) in [("one", "paired"), ("stranger", "unpaired")] {
        let device = Identity::named(name);
        let (standing, _) = place.store().load(&device.id).unwrap();
        let spec = Spec {
            device: Some(name),
            settings: json!({ "auth": { "mode": "token", "token": TOKEN } }),
            auth: Some(json!({ "deviceToken": DEVICE_TOKEN })),
            pairing: Some(json!(StoredStanding(&standing))),
            ..Spec::default()
        };
        let file = place.0.path().join("handshake.json");
        fs::write(&file, signed_handshake(&spec).to_string()).unwrap();
        let explained = place.gw(&[
            "explain",
            "--all",
            "--format",
            "json",
            "--policy",
            "gw/gw.policy",
            "handshake.json",
        ]);
        let explained: Value = serde_json::from_slice(&explained.stdout).unwrap();
        let facts = explained["facts"].as_array().unwrap();
        let fact = |name: &str| {
            let fact = facts.iter().find(|fact| fact["name"] == name).unwrap();
            fact["value"].as_str().unwrap().to_owned()
        };
        assert_eq!(fact("pairing"), pairing, "{name}");
        assert_eq!(fact("auth") == "device-token", name == "one", "{name}");
    }
}

#[test]
fn nothing_is_written_over_and_devices_can_be_added_later() {
    let place = Place::new();
    assert_eq!(code(&place.import(&[])), Some(0));
    let files = ["gw.yaml", "gw.policy", "token"].map(|name| place.ours(name));
    let before = files.each_ref().map(|file| fs::read(file).unwrap());
    let output = place.import(&["--allow-wider"]);
    assert_eq!(code(&output), Some(1));
    assert_eq!(said(&output).matches("is there already").count(), 3);

    // One of them has changed here, and one is new there.
    let store = place.store();
    let one = Identity::named("one").id;
    let (standing, version) = store.load(&one).unwrap();
    let mut record = standing.record.clone().unwrap();
    record.display_name = Some("renamed here".into());
    let change = Change {
        record: Write::Put(record),
        ..Change::none(&one)
    };
    store.commit(&change, version).unwrap();
    place.pair(&["one", "two", "three"]);
    let output = place.import(&["--devices-only"]);
    let told = said(&output);
    assert_eq!(code(&output), Some(0), "{told}");
    assert_eq!(told.matches("is known already").count(), 2, "{told}");
    assert!(told.contains("1 device added"), "{told}");
    // This process has had the store open all the time.
    let name = store
        .load(&one)
        .unwrap()
        .0
        .record
        .clone()
        .unwrap()
        .display_name;
    assert_eq!(name.as_deref(), Some("renamed here"));
    assert_ne!(
        store.load(&Identity::named("three").id).unwrap().1,
        Version::NOTHING
    );
    assert_eq!(files.each_ref().map(|file| fs::read(file).unwrap()), before);
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = Place::new();
    let output = place.import(&["--dry-run"]);
    assert_eq!(code(&output), Some(0), "{}", said(&output));
    assert!(said(&output).contains("2 devices would be added"));
    assert!(!place.ours("").exists());
}

#[test]
fn what_cannot_be_written_as_a_whole_leaves_no_file() {
    let place = Place::new();
    fs::write(place.0.path().join("file"), "in the way").unwrap();
    let output = place.import(&["--policy", "file/gw.policy"]);
    let told = said(&output);
    assert_eq!(code(&output), Some(3), "{told}");
    assert!(told.contains("no file was left"), "{told}");
    let left: Vec<_> = fs::read_dir(place.ours("")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(place.store().list().unwrap(), []);
    // The state folder that was made is no obstacle.
    assert_eq!(code(&place.import(&[])), Some(0));
}

#[test]
fn what_cannot_be_read_is_named_and_nothing_is_written() {
    let place = Place::new();
    let theirs = place.theirs();
    let write = |name: &str, text: &str| fs::write(theirs.join(name), text).unwrap();
    let nothing = |says: &str| {
        let output = place.import(&[]);
        let told = said(&output);
        assert_eq!(code(&output), Some(3), "{told}");
        assert!(told.contains(says), "{told}");
        assert!(!place.ours("").exists());
    };
    let paired = fs::read_to_string(theirs.join("devices/paired.json")).unwrap();
    write("devices/paired.json", "{ \"d\": ");
    nothing("devices/paired.json is no JSON (line 1, column 7)");
    write("devices/paired.json", &paired);
    write(
        "openclaw.json",
        &format!("{{ gateway: {{ auth: {{ token: '{TOKEN}"),
    );
    nothing("this is not JSON5");
    write("openclaw.json", &" ".repeat(2 << 20));
    nothing("larger than 1048576 bytes");
    fs::remove_file(theirs.join("openclaw.json")).unwrap();
    let pipe = Command::new("mkfifo")
        .arg(theirs.join("openclaw.json"))
        .status();
    assert!(pipe.unwrap().success());
    nothing("openclaw.json cannot be read: it is no file");
    fs::remove_dir_all(&theirs).unwrap();
    nothing("name the folder that OPENCLAW_STATE_DIR names");
}

/// What the other gateway's clients and its owner called something is no word of ours.
#[test]
fn no_name_is_told_as_a_line_of_its_own() {
    let place = Place::new();
    let theirs = place.theirs();
    let hostile =
        "x\r\ntaken devices/paired.json: 0000: a laptop: operator; operator.admin\t\u{1b}[2J";
    let device = Identity::named("one");
    let mut taken = record(&device, hostile);
    taken["scopes"] = json!([hostile]);
    let other = Identity::named("two");
    let mut unknown = record(&other, "two");
    unknown[hostile] = json!(1);
    let mut bad = record(&Identity::named("three"), "three");
    bad["tokens"] = json!({ hostile: hostile });
    let devices = json!({ device.id: taken, other.id: unknown, hostile: bad });
    fs::write(theirs.join("devices/paired.json"), devices.to_string()).unwrap();
    let config = json!({ "gateway": { "bind": "loopback", hostile: hostile } });
    fs::write(theirs.join("openclaw.json"), config.to_string()).unwrap();
    for format in ["human", "plain"] {
        let output = place.import(&["--dry-run", "--format", format]);
        let told = said(&output);
        assert_eq!(code(&output), Some(0), "{told}");
        let forged = "taken devices/paired.json: 0000";
        assert!(told.contains(forged), "{told}");
        assert!(!told.lines().any(|line| line.starts_with(forged)), "{told}");
        assert!(!told.contains(['\r', '\t', '\u{1b}']), "{told}");
    }
}
