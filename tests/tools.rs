//! The owner's tools against a gateway that serves: every process is the real one. What differs
//! from run to run is left open in the goldens (`[..]`).

#![expect(
    clippy::unwrap_used,
    reason = "this is a test: what is missing fails it"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use snapbox::{assert_data_eq, str};
use tempfile::TempDir;

const TOKEN: &str = "7d1f9c2ab0e3485f-not-a-secret";

/// Asks the owner about every device.
const POLICY: &str = "gw-policy 1
guard [wrong-credentials] auth=failed → reject(as-found)
[owner] transport=unix → approve
[known-device] pairing=paired → approve
default → require-pairing
";

/// A process that ends with the test, whatever becomes of it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder with a configuration, in which processes run.
struct Place {
    folder: TempDir,
}

/// What a process came to.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn new(config: &str) -> Self {
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
        };
        place.write(
            "gw.yaml",
            &format!(
                "state: state\npolicy: my.policy\nauth: {{ token: {{ file: token }} }}\n{config}"
            ),
        );
        place.write("my.policy", POLICY);
        place.write("token", TOKEN);
        place.write("wrong", "0123456789-another-one");
        for secret in ["token", "wrong"] {
            place.private(secret);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    #[cfg(unix)]
    fn private(&self, name: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[cfg(not(unix))]
    fn private(&self, _: &str) {}

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gw"));
        command
            .current_dir(self.folder.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("OPENCLAW_STATE_DIR", self.path("openclaw"))
            .env("NO_COLOR", "1")
            .env("GW_TEST_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .args(arguments);
        command
    }

    fn gw(&self, arguments: &[&str]) -> Said {
        said(&mut self.command(arguments))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.gw(&[arguments, &["--format", "json"]].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        serde_json::from_str(&said.out).unwrap()
    }

    /// Serves, and gives where, over TCP.
    fn serve(&self) -> (Running, String) {
        self.serve_at(&["--port", "0"])
    }

    fn serve_at(&self, port: &[&str]) -> (Running, String) {
        let mut child = self
            .command(&[&["serve"], port].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let running = Running(child);
        (running, listening(BufReader::new(out)))
    }

    /// Records, and gives where; and what it says later.
    fn record(&self, out: &str) -> (Running, String, BufReader<std::process::ChildStderr>) {
        let mut child = self
            .command(&["record", "--port", "0", "--out", out])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let running = Running(child);
        let url = listening(&mut err);
        (running, url, err)
    }
}

fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The URL of the first line that names one; the lines after it are read by nobody, or later.
fn listening(mut lines: impl std::io::BufRead) -> String {
    let mut heard = String::new();
    loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).unwrap(), 0, "it ended: {heard}");
        let at = line
            .find("ws://127.0.0.1:")
            .or(line.find("wss://127.0.0.1:"));
        if let Some(at) = at {
            return line.get(at..).unwrap().trim().to_owned();
        }
        heard.push_str(&line);
    }
}

fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).and_then(Value::as_str).unwrap()
}

#[test]
fn a_device_that_knocks_is_approved_and_comes_in() {
    let place = Place::new("");
    let (_gateway, url) = place.serve();
    let knock = ["connect", "--url", &url, "--token-env", "GW_TEST_TOKEN"];
    let hostile = "owner\u{1b}[2J\u{202e}\nADMITTED";
    let said = place.gw(&[&knock[..], &["--display-name", hostile]].concat());
    assert_eq!(said.code, Some(4), "{said:?}");
    assert_data_eq!(
        said.out.split("\n\n").last().unwrap(),
        str![[r#"
REFUSED  pairing required: device is not approved yet
  code        NOT_PAIRED, PAIRING_REQUIRED
  reason      not-paired
  request     [..]
  asks for    operator.read, operator.write
  what helps  Approve this device from the pending pairing requests.
  on its host gw devices approve [..]
  closed      1008 pairing required: device is not approved yet (requestId: [..])
  connection  [..]
  on its host gw explain --connection [..]

"#]]
    );
    assert!(!said.out.contains(TOKEN), "{said:?}");

    let listed = place.json(&["devices", "list"]);
    let (id, device) = (
        text(&listed, "/pending/0/requestId"),
        text(&listed, "/pending/0/deviceId"),
    );
    assert_eq!(text(&listed, "/pending/0/displayName"), hostile);
    let said = place.gw(&["devices", "list"]);
    assert_data_eq!(
        &said.out,
        str![[r#"
1 request waits: gw devices approve REQUEST, or gw devices reject REQUEST

REQUEST   DEVICE        WHO[..]FROM[..]SINCE[..]WOULD GET
[..]  “owner/u{1b}[2J/u{202e}/nADMITTED” cli/cli [..]  this host  [..]  role operator: operator.read, operator.write

No device is paired.

"#]]
    );
    for format in ["human", "plain"] {
        let said = place.gw(&["devices", "list", "--format", format]);
        for hidden in ["\u{1b}", "\u{202e}", "\nADMITTED"] {
            assert!(!said.out.contains(hidden), "{said:?}");
        }
    }

    // The beginning of an id, or the latest, is shown and not approved where nobody can be asked.
    let beginning = id.get(..8).unwrap();
    for named in [beginning, "--latest"] {
        let said = place.gw(&["devices", "approve", named]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(
            said.out.contains("+ operator.read, operator.write"),
            "{said:?}"
        );
        assert_eq!(
            said.err,
            format!(
                "error: not approved: no terminal to ask at: give the whole request id, or --yes\n  \
                 help: gw devices approve {id}\n"
            )
        );
    }
    let said = place.gw(&["devices", "approve", id]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_data_eq!(
        &said.out,
        str![[r#"
request   [..]
device    [..]
says      “owner/u{1b}[2J/u{202e}/nADMITTED” cli/cli [..]
from      this host; [..]
role      + operator
scopes    + operator.read, operator.write
approved
device    [..]
has now   operator: operator.read, operator.write

"#]]
    );
    let said = place.gw(&knock);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_data_eq!(
        said.out.split("\n\n").last().unwrap(),
        str![[r#"
ADMITTED  as operator
  scopes      operator.read, operator.write
  token       a device token came with it, and is not kept
  gateway     version [..]
  connection  [..]

"#]]
    );

    // Less, by the owner's word: what was admitted before asks again.
    let granted = ["devices", "grant", device, "--scope", "operator.read"];
    let said = place.gw(&granted);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out
            .contains("had       operator: operator.read, operator.write\n")
    );
    assert!(
        said.out.ends_with("has now   operator: operator.read\n"),
        "{said:?}"
    );
    let said = place.gw(&knock);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.out.contains("approved    operator.read\n"), "{said:?}");
    let said = place.gw(&["devices", "list"]);
    assert!(
        said.out.contains("operator.write; has operator.read"),
        "{said:?}"
    );
    let again = place.json(&["devices", "list"]);
    let again = text(&again, "/pending/0/requestId");
    assert_eq!(place.gw(&["devices", "reject", again]).code, Some(0));

    // More, without waiting for it to ask.
    let scopes = ["--scope", "operator.read", "--scope", "operator.write"];
    let said = place.gw(&[&["devices", "grant", device][..], &scopes].concat());
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(place.gw(&knock).code, Some(0));

    let said = place.gw(&["devices", "rotate", device]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out
            .contains("carries   operator.read, operator.write\n"),
        "{said:?}"
    );
    let said = place.gw(&["devices", "revoke", device]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = place.gw(&["devices", "remove", device.get(..12).unwrap()]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = place.gw(&["devices", "remove", device]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("no device begins with"), "{said:?}");
    assert_eq!(place.gw(&knock).code, Some(4));
}

/// Many requests are counted before they go, and one says yes before where nobody can be asked.
#[test]
fn requests_are_rejected_by_where_they_come_from() {
    let place = Place::new("");
    let (_gateway, url) = place.serve();
    let knock = ["connect", "--url", &url, "--token-env", "GW_TEST_TOKEN"];
    assert_eq!(place.gw(&knock).code, Some(4));
    let waiting = || {
        let listed = place.json(&["devices", "list"]);
        listed["pending"].as_array().unwrap().len()
    };
    let reject = |which: &[&str]| place.gw(&[&["devices", "reject"][..], which].concat());
    let said = reject(&["--from", "203.0.113.0/24", "--yes"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.err, "error: no request from 203.0.113.0/24 waits\n");
    let said = reject(&["--all"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(
        said.err,
        "error: 1 request not rejected: no terminal to ask at: add `--yes`\n"
    );
    assert_eq!(waiting(), 1);
    let said = reject(&["--from", "127.0.0.1", "--yes"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.out, "rejected  1 of 1 request from 127.0.0.1\n");
    assert_eq!(waiting(), 0);
    assert_eq!(place.gw(&knock).code, Some(4));
    let all = place.json(&["devices", "reject", "--all", "--yes"]);
    assert_eq!(all["rejected"].as_array().unwrap().len(), 1);
    assert_eq!(waiting(), 0);
}

/// What is shown of a request that took up earlier ones is what approving it gives, and who has an
/// earlier id is told the new one.
#[test]
fn a_request_that_asked_for_more_meanwhile_is_shown_as_what_it_is() {
    let place = Place::new("");
    let (_gateway, url) = place.serve();
    let knock = |scopes: &str| {
        place.gw(&[
            "connect",
            "--url",
            &url,
            "--token-file",
            "token",
            "--scopes",
            scopes,
        ])
    };
    let id = || {
        let listed = place.json(&["devices", "list"]);
        text(&listed, "/pending/0/requestId").to_owned()
    };
    knock("operator.read");
    let first = id();
    knock("operator.write");
    let (second, said) = (id(), knock("operator.read"));
    assert_ne!(first, second);
    let [_, refused] = said
        .out
        .split("\n\n")
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_data_eq!(
        refused,
        str![[r#"
REFUSED  pairing required: device is not approved yet
  code        NOT_PAIRED, PAIRING_REQUIRED
  reason      not-paired
  request     [..]
  asks for    operator.read
  would get   operator.read, operator.write: with what it asked for before
  what helps  Approve this device from the pending pairing requests.
  on its host gw devices approve [..]
  closed      1008 pairing required: device is not approved yet (requestId: [..])
  connection  [..]
  on its host gw explain --connection [..]

"#]]
    );
    assert!(refused.contains(&second), "{refused}");

    let replaced = format!(
        "error: request {first} waits no longer: {second} took it up, with what its device asked \
         for since\n"
    );
    for verb in ["approve", "reject"] {
        for named in [&first, first.get(..8).unwrap()] {
            let said = place.gw(&["devices", verb, named]);
            let help = format!("  help: gw devices {verb} {second}\n");
            assert_eq!(said.code, Some(1), "{said:?}");
            assert_eq!(said.err, format!("{replaced}{help}"));
        }
    }
    let call = format!("{{\"requestId\": \"{first}\"}}");
    let said = place.gw(&["call", "device.pair.approve", &call]);
    assert!(
        said.err
            .contains(&format!("unknown requestId: replaced by {second}")),
        "{said:?}"
    );

    let said = place.gw(&["devices", "approve", &second]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out
            .contains("scopes    + operator.read, operator.write\n")
            && said
                .out
                .ends_with("has now   operator: operator.read, operator.write\n"),
        "{said:?}"
    );
}

/// At the socket a tool leaves nothing behind; as a device it asks for no more than it takes.
#[test]
fn tools_ask_for_no_more_than_they_need() {
    let place = Place::new("");
    let (_gateway, url) = place.serve();
    let there = ["--url", &url, "--token-file", "token"];
    let asked = || {
        let listed = place.json(&["devices", "list"]);
        let pending = listed["pending"].as_array().unwrap();
        let scopes = pending.first().map(|pending| pending["scopes"].clone());
        for pending in pending {
            let id = text(pending, "/requestId");
            assert_eq!(place.gw(&["devices", "reject", id]).code, Some(0));
        }
        scopes
    };
    for (tool, scopes) in [
        (&["status"][..], json!(["operator.read"])),
        (&["policy", "status"], json!(["operator.read"])),
        (&["policy", "reload"], json!(["operator.admin"])),
        (&["devices", "list"], json!(["operator.pairing"])),
        (
            &["devices", "approve", "--latest"],
            json!(["operator.pairing"]),
        ),
        (
            &["devices", "remove", "0424c0ffee12"],
            json!(["operator.pairing"]),
        ),
        (&["call", "health"], json!(["operator.read"])),
        (&["call", "no.such.method"], json!(["operator.read"])),
        (&["call", "device.pair.list"], json!(["operator.pairing"])),
        (&["call", "admission.recent"], json!(["operator.admin"])),
        (
            &["call", "health", "--scope", "operator.write"],
            json!(["operator.write"]),
        ),
    ] {
        let said = place.gw(&[tool, &there].concat());
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_eq!(asked(), Some(scopes), "{tool:?}");
    }
    // Whoever approves an administrator has to be one, and asks for it only then.
    let device = |tools: &[&str]| {
        let output = place
            .command(&[tools, &there].concat())
            .env("XDG_CONFIG_HOME", place.path("other"))
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    device(&["devices", "list"]);
    let approve = ["devices", "approve", "--latest", "--yes"];
    assert_eq!(place.gw(&approve).code, Some(0));
    let connect = |scope| place.gw(&[&["connect", "--scopes", scope][..], &there].concat());
    connect("operator.pairing");
    assert_eq!(device(&approve), "");
    connect("operator.admin");
    let said = device(&approve);
    assert!(
        said.contains("asks for    operator.admin\n") && said.contains("scope-upgrade"),
        "{said}"
    );
}

/// A policy under which nobody can approve says so before it is served, as it is, and to its owner.
#[test]
fn an_owner_who_cannot_come_in_is_told_which_line_is_missing() {
    const SHUT: &str = "gw-policy 1
guard [wrong-credentials] auth=failed → reject(as-found)
[known-device] pairing=paired → approve
default → require-pairing
";
    const OWNER: &str = "[owner] transport=unix and peer-uid=same-user and no-origin and not forwarded and not proxy-trace → approve";
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let place = Place::new(&format!("listen: {{ port: {port} }}\n"));
    place.write("my.policy", SHUT);
    for check in [&["check-policy", "my.policy"][..], &["config", "check"]] {
        let said = place.gw(check);
        assert_eq!(said.code, Some(0), "{said:?}");
        let told: Vec<&str> = said.err.split_whitespace().collect();
        let told = told.join(" ");
        assert!(
            told.contains("[no-way-in]") && told.contains(OWNER),
            "{said:?}"
        );
    }
    let serve = || {
        let mut serving = place
            .command(&["serve"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = serving.stdout.take().unwrap();
        let err = serving.stderr.take().unwrap();
        let gateway = Running(serving);
        listening(BufReader::new(out));
        (gateway, BufReader::new(err))
    };
    let (mut gateway, mut err) = serve();
    for tool in [
        &["devices", "list"][..],
        &["devices", "approve", "--latest"],
        &["status"],
    ] {
        let said = place.gw(tool);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert_data_eq!(
            &said.err,
            str![[r#"
error: the policy of this gateway admits nobody here, not even the user who runs it
  at the socket  device identity required (DEVICE_IDENTITY_REQUIRED)
  as a device    pairing required: device is not approved yet (PAIRING_REQUIRED)
  help: write into its policy, above what decides now: [owner] transport=unix and peer-uid=same-user and no-origin and not forwarded and not proxy-trace → approve

"#]]
        );
    }
    gateway.0.kill().unwrap();
    let mut said = String::new();
    err.read_to_string(&mut said).unwrap();
    assert!(said.contains("[no-way-in]"), "{said}");

    // What it says helps.
    place.write(
        "my.policy",
        &SHUT.replace("[known", &format!("{OWNER}\n[known")),
    );
    let said = place.gw(&["check-policy", "my.policy"]);
    assert!(!said.err.contains("no-way-in"), "{said:?}");
    let (_gateway, err) = serve();
    assert_eq!(place.gw(&["devices", "list"]).code, Some(0));

    // Nor is it lost silently.
    place.write("my.policy", SHUT);
    let mut told = err.lines().map(Result::unwrap);
    assert!(told.any(|line| line.contains("[no-way-in]")));
}

#[test]
fn a_store_that_is_damaged_is_told_as_that() {
    let place = Place::new("");
    let (mut gateway, url) = place.serve();
    assert_eq!(place.gw(&["devices", "list"]).code, Some(0));
    place.write("state/gw.sqlite", "");
    let said = place.gw(&["devices", "list"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(
        said.err,
        "error: refused: the gateway cannot get at its devices: its log says why\n  code        UNAVAILABLE\n"
    );
    let said = place.gw(&["connect", "--url", &url, "--token-file", "token"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert_data_eq!(
        said.out.split("\n\n").last().unwrap(),
        str![[r#"
REFUSED  the gateway cannot get at its devices
  code        UNAVAILABLE
  what helps  try again later; the gateway's log tells its owner what is wrong
  closed      1013 the gateway cannot get at its devices
  connection  [..]
  on its host gw explain --connection [..]

"#]]
    );
    gateway.0.kill().unwrap();
    gateway.0.wait().unwrap();
    for left in ["-wal", "-shm"] {
        let _ = fs::remove_file(place.path(&format!("state/gw.sqlite{left}")));
    }
    let said = place.gw(&["serve", "--port", "0"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let err = said.err.replace("\n  │ ", " ").replace("\n        ", " ");
    assert!(
        err.contains("gw.sqlite is damaged: it is empty")
            && err.contains("put a copy in its place, or move it away")
            && err.contains("every device has to be approved again"),
        "{said:?}"
    );
}

#[test]
fn a_certificate_is_pinned_by_what_the_gateway_s_own_host_says() {
    let place = Place::new("tls: { autoGenerate: true }\n");
    let (_gateway, url) = place.serve();
    let status = place.json(&["status"]);
    let fingerprint = text(&status, "/tls/fingerprint");
    let said = place.gw(&["status"]);
    assert!(
        said.out.contains(&format!("TLS       {fingerprint}\n")),
        "{said:?}"
    );
    let knock = |pin: &[&str]| {
        place.gw(&[
            &[
                "connect",
                "--format",
                "plain",
                "--url",
                &url,
                "--token-file",
                "token",
            ],
            pin,
        ]
        .concat())
    };
    let said = knock(&["--tls-fingerprint", fingerprint]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(
        said.out
            .contains("TLS         the certificate is the pinned one\n"),
        "{said:?}"
    );
    let other = fingerprint.replace(['a', '1'], "0");
    let said = knock(&["--tls-fingerprint", &other]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains(fingerprint) && said.err.contains(&other),
        "{said:?}"
    );
    assert!(
        !said.out.contains("sent"),
        "nothing is told to whom is not trusted: {said:?}"
    );
    // On its own host its certificate is known, by the configuration that is here.
    let said = knock(&[]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(
        said.out
            .contains("TLS         the certificate is the one of the gateway's own files\n"),
        "{said:?}"
    );
    place.write("other.yaml", "state: other\n");
    let said = knock(&["--config", "other.yaml"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err
            .contains(&format!("--tls-fingerprint {fingerprint}")),
        "{said:?}"
    );
    assert!(said.err.contains("[untrusted-certificate]"), "{said:?}");
    let plain = url.replace("wss://", "ws://");
    let said = place.gw(&["connect", "--url", &plain, "--format", "plain"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains(&format!("{plain} speaks TLS: use {url}")),
        "{said:?}"
    );
}

/// A folder of its own in which the gateway serves without a configuration.
fn elsewhere(place: &Place) -> String {
    fs::create_dir(place.path("its own")).unwrap();
    place.path("its own/state").to_str().unwrap().to_owned()
}

/// A command line as it was printed, run in another folder than the one it was printed in.
fn run(place: &Place, said: &str, begins: &str) -> Said {
    assert!(said.contains(begins), "{said}");
    let at = said.find(begins).unwrap();
    let line = said.get(at..).unwrap().lines().next().unwrap();
    let arguments = line
        .split('\'')
        .enumerate()
        .flat_map(|(index, part)| match index % 2 {
            1 => vec![part],
            _ => part.split_whitespace().collect(),
        });
    let arguments: Vec<&str> = arguments.skip(1).collect();
    let folder = tempfile::tempdir().unwrap();
    let output = place
        .command(&arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn what_is_printed_to_be_run_next_reaches_this_gateway() {
    let place = Place::new("");
    let state = elsewhere(&place);
    place.write("other.policy", POLICY);
    fs::remove_file(place.path("gw.yaml")).unwrap();
    let serve = ["--policy", "other.policy", "--state", "its own/state"];
    let (mut gateway, url) = place.serve_at(&[&["--port", "0"][..], &serve].concat());
    let named = ["--state", "its own/state"];

    // As a client, at the port that the gateway says in its state folder, with its token.
    let said = place.gw(&[&["connect", "--tcp"][..], &named].concat());
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(said.out.contains("not-paired"), "{said:?}");
    let by_url = place.gw(&[&["connect", "--url", &url][..], &named].concat());
    assert!(by_url.out.contains("not-paired"), "{by_url:?}");
    let listed = place.gw(&[&["devices", "list"][..], &named].concat());
    assert!(
        listed
            .out
            .contains("gw devices approve REQUEST --state 'its own/state'"),
        "{listed:?}"
    );
    let status = place.gw(&[&["status"][..], &named].concat());
    assert!(
        status
            .out
            .contains("gw devices list --state 'its own/state'"),
        "{status:?}"
    );

    // Each line as it stands, from any folder.
    let explained = run(&place, &said.out, "gw explain --connection ");
    assert_eq!(explained.code, Some(0), "{explained:?}");
    assert!(
        explained
            .out
            .contains("REQUIRE-PAIRING not-paired   by other.policy:5"),
        "{explained:?}"
    );
    let approved = run(&place, &said.out, "gw devices approve ");
    assert_eq!(approved.code, Some(0), "{approved:?}");
    let second = place.gw(&[&["serve", "--port", "0"][..], &serve].concat());
    assert_eq!(second.code, Some(1), "{second:?}");
    let claimed = second.err.replace("\n  │", "").replace("\n       ", "");
    let help = format!("gw status --state '{state}'");
    assert!(claimed.contains(&help), "{claimed}");

    // Without the policy all that is logged is shown all the same.
    fs::remove_file(place.path("other.policy")).unwrap();
    let explained = run(&place, &said.out, "gw explain --connection ");
    assert_eq!(explained.code, Some(0), "{explained:?}");
    assert!(
        explained
            .out
            .contains("REQUIRE-PAIRING not-paired   by other.policy:5"),
        "{explained:?}"
    );
    assert!(
        explained
            .out
            .contains("which cannot be read here: there is no such file"),
        "{explained:?}"
    );
    assert!(explained.out.contains("As logged:"), "{explained:?}");
    let tail = [&["tail", "--no-follow"][..], &named].concat();
    assert!(place.gw(&tail).out.contains("REQUIRE-PAIRING not-paired"));

    // Where none serves any more, no other is asked.
    gateway.0.kill().unwrap();
    gateway.0.wait().unwrap();
    let said = place.gw(&[&["status", "--format", "plain"][..], &named].concat());
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_data_eq!(
        &said.err,
        str![[r#"
error: no gateway runs in its own/state: nobody listens at its own/state/gw.sock [cannot-reach]
  help: start one: gw serve --state '[..]/its own/state'

"#]]
    );
}

/// What the first screen of a gateway says, up to its last line.
fn screen(place: &Place, arguments: &[&str]) -> (Running, String) {
    let mut child = place
        .command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("\nnext ") {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "{said}");
    }
    (Running(child), said)
}

#[test]
fn a_gateway_without_a_socket_is_reached_by_what_it_prints() {
    let place = Place::new("listen: { socket: false }\ntls: { autoGenerate: true }\n");
    let policy =
        "gw-policy 1\nauth=token and loopback → silent-approve\ndefault → require-pairing\n";
    place.write("my.policy", policy);
    let (_gateway, said) = screen(&place, &["serve", "--port", "0"]);
    let listed = run(&place, &said, "gw devices list ");
    assert_eq!(listed.code, Some(0), "{said}{listed:?}");
    assert!(said.contains("\nlog       /"), "{said}");
    assert!(said.contains("/state/decisions.jsonl\n"), "{said}");
}

#[test]
fn a_recording_says_what_it_holds_a_knock_against() {
    let place = Place::new("");
    fs::remove_file(place.path("gw.yaml")).unwrap();
    let mut child = place
        .command(&[
            "record",
            "--port",
            "0",
            "--state",
            "state",
            "--out",
            "mine.json",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut running = Running(child);
    let mut begins = String::new();
    while !begins.contains("ws://127.0.0.1:") {
        assert_ne!(err.read_line(&mut begins).unwrap(), 0, "{begins}");
    }
    assert_data_eq!(
        &begins,
        str![[r#"
policy    built-in:default.policy
state     state
token     none is known: state/token is not there, and `gw serve` makes it; the recording has none
listening ws://127.0.0.1:[..]

"#]]
    );
    let at = begins.find("ws://").unwrap();
    let url = begins.get(at..).unwrap().trim();
    let said = place.gw(&["connect", "--url", url, "--token-file", "token"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(running.0.wait().unwrap().success());
    let said = place.gw(&["explain", "mine.json"]);
    assert!(!said.out.contains("mismatch"), "{said:?}");
    assert!(
        said.out.starts_with("REJECT token-not-configured"),
        "{said:?}"
    );
    let said = place.gw(&["record", "--port", "0", "--out", "no-folder/mine.json"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(
        said.err.contains("no-folder/mine.json cannot be written"),
        "{said:?}"
    );
    assert!(!said.err.contains("listening"), "{said:?}");
}

#[test]
fn a_wrong_token_is_refused_with_what_helps() {
    let place = Place::new("");
    let (_gateway, url) = place.serve();
    let knock = ["--url", &url, "--token-file", "wrong"];
    let said = place.gw(&[&["connect"][..], &knock].concat());
    assert_eq!(said.code, Some(4), "{said:?}");
    assert_data_eq!(
        said.out.split("\n\n").last().unwrap(),
        str![[r#"
REFUSED  unauthorized: gateway token mismatch ([..])
  code        INVALID_REQUEST, AUTH_TOKEN_MISMATCH
  reason      token_mismatch
  next        bring the secret that the gateway has; a client that was paired may bring its device token (retry_with_device_token)
  closed      1008 unauthorized: gateway token mismatch [..]
  connection  [..]
  on its host gw explain --connection [..]

"#]]
    );
    let said = place.gw(&[&["devices", "list"][..], &knock].concat());
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(
        said.err.starts_with("error: refused: unauthorized"),
        "{said:?}"
    );
    let said = place.gw(&[&["call", "health", "--format", "json"][..], &knock].concat());
    assert_eq!(said.code, Some(1));
    let refused: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(text(&refused, "/error/details/code"), "AUTH_TOKEN_MISMATCH");
}

/// The policies of OpenClaw's releases know no socket: there the tools come as their command line
/// does, with the token and a device.
#[test]
fn a_policy_without_a_rule_for_the_socket_is_met_over_loopback() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let place = Place::new(&format!("listen: {{ port: {port} }}\n"));
    let config = fs::read_to_string(place.path("gw.yaml")).unwrap();
    let policy = "built-in:openclaw/2026.9.6.policy";
    place.write("gw.yaml", &config.replace("my.policy", policy));
    let (_gateway, url) = place.serve_at(&[]);
    let status = place.json(&["status"]);
    assert_eq!(text(&status, "/url"), url);
    assert_eq!(text(&status, "/sessions/0/auth"), "token");
    // Such a policy pairs the tools at once, and asks about each scope that comes later: they have
    // all of them from the first.
    let said = place.gw(&["devices", "list"]);
    assert!(said.out.contains("  operator.admin  "), "{said:?}");
}

#[test]
fn calls_are_answered_or_refused_with_their_details() {
    let place = Place::new("");
    let (_gateway, _) = place.serve();
    assert_eq!(place.json(&["call", "health"])["ok"], json!(true));
    let said = place.gw(&["call", "no.such"]);
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.err,
        "error: refused: unknown method: no.such\n  code        INVALID_REQUEST\n"
    );
    let few = ["call", "policy.reload", "--scope", "operator.read"];
    let said = place.gw(&few);
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.contains("missing scope: operator.admin"),
        "{said:?}"
    );
    let said = place.gw(&["call", "health", "{\"token\": s3cret}"]);
    assert_eq!(said.code, Some(3));
    assert!(said.err.contains("no JSON, at 1:"), "{said:?}");
    assert!(!said.err.contains("s3cret"), "{said:?}");
}

#[test]
fn a_gateway_says_how_it_is_and_what_differs() {
    let place = Place::new("");
    let (_gateway, _) = place.serve();
    let said = place.gw(&["status"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_data_eq!(
        &said.out,
        str![[r#"
gateway   [..]gw.sock, version [..], started [..]
policy    [..]my.policy [..], in force since [..]
meaning   [..]
state     [..]state
devices   0 devices, 0 requests
sessions  1, this one too

CLIENT   ROLE      DEVICE  FROM[..]SINCE
cli/cli  operator  –       its own socket  [..]

"#]]
    );
    let before = place.json(&["policy", "status"]);
    place.write("my.policy", "gw-policy 1\ndefault → nonsense\n");
    let said = place.gw(&["policy", "reload"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.out.contains("this one stays"), "{said:?}");
    assert!(said.out.contains("unknown-verdict"), "{said:?}");
    let said = place.gw(&["policy", "status"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let said = place.gw(&["status"]);
    assert!(said.out.contains("the file cannot be loaded"), "{said:?}");
    place.write("my.policy", &format!("{POLICY}# mended\n"));
    let said = place.gw(&["policy", "reload"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let again = place.gw(&["policy", "reload"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again
            .out
            .starts_with("unchanged: the files say what is in force already\n"),
        "{again:?}"
    );
    let after = place.json(&["policy", "status"]);
    assert_ne!(after["digest"], before["digest"]);
    assert_eq!(after["differs"], json!(false));
}

/// What is read at the start alone does not count by halves meanwhile: a token is not made anew in
/// another state folder, and a policy asks for the addresses that the gateway listens at.
#[test]
fn what_counts_from_the_next_start_is_named() {
    let place = Place::new("");
    let policy = "gw-policy 1\n[owner] transport=unix → approve\n\
                  default → require-pairing\n";
    let config = |more: &str| {
        place.write("gw.yaml", &format!("policy: my.policy\n{more}"));
    };
    place.write("my.policy", policy);
    config("state: state\n");
    let (_gateway, _) = place.serve();
    let at_state = |words: &[&str]| place.gw(&[words, &["--state", "state"]].concat());
    let said = at_state(&["policy", "reload"]);
    assert!(said.out.starts_with("unchanged: the files say"), "{said:?}");
    config("state: another\nmetrics: true\nlisten: { bind: lan }\n");
    let said = at_state(&["policy", "reload"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let unchanged = "unchanged: what counts at once is in force already\n";
    assert!(said.out.starts_with(unchanged), "{said:?}");
    let named = "`listen.bind`, `state`, `metrics` are other in the file than at the start: they \
                 count from the next one\n";
    assert!(said.out.contains(named), "{said:?}");
    assert!(!place.path("another").exists());
    let said = at_state(&["status"]);
    assert!(said.out.contains(named), "{said:?}");
    config("state: state\nmetrics: true\n");
    at_state(&["policy", "reload"]);
    assert_eq!(
        unwell(&place, &[]),
        ["next-start: look: restart the gateway"]
    );
    config("state: state\n");
    let said = at_state(&["policy", "reload"]);
    assert!(said.out.starts_with("unchanged: the files say"), "{said:?}");
}

#[test]
fn nobody_there_is_told_with_what_to_run() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let place = Place::new(&format!("listen: {{ port: {port} }}\n"));
    let said = place.gw(&["status"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let err = said.err.replace("\n  │", "");
    assert!(
        err.contains("state/gw.sock, nor at ws://127.0.0.1:"),
        "{said:?}"
    );
    assert!(err.contains("is `gw serve` running?"), "{said:?}");
    assert!(!place.path("config").exists(), "no key is made in vain");
}

#[test]
fn a_secret_in_a_url_is_refused() {
    let place = Place::new("");
    for url in [
        "ws://owner:s3cret@127.0.0.1:1",
        "ws://127.0.0.1:1/?token=s3cret",
    ] {
        let said = place.gw(&["status", "--url", url]);
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains("--token-file"), "{said:?}");
        assert!(!said.err.contains("s3cret"), "{said:?}");
    }
}

#[test]
fn what_is_no_gateway_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4_096];
        let _ = stream.read(&mut head).unwrap();
        let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno\u{1b}[2Jway";
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let place = Place::new("");
    let said = place.gw(&["connect", "--url", &url, "--no-device", "--format", "plain"]);
    answering.join().unwrap();
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err
            .contains("answers 403, and not with a WebSocket: no?[2Jway"),
        "{said:?}"
    );
    assert!(said.out.starts_with("connection  TCP, "), "{said:?}");
}

#[cfg(unix)]
#[test]
fn the_tools_have_a_key_of_their_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new("");
    let (_gateway, url) = place.serve();
    let knock = || {
        let said = place.gw(&[
            "connect",
            "--url",
            &url,
            "--token-file",
            "token",
            "--format",
            "json",
        ]);
        let said: Value = serde_json::from_str(&said.out).unwrap();
        text(&said, "/error/details/requestId").to_owned()
    };
    let first = knock();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let key = place.path("config/gw/device.key");
    assert_eq!((mode(&key), mode(key.parent().unwrap())), (0o600, 0o700));
    assert_eq!(knock(), first, "it is the same device, asking the same");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let said = place.gw(&["connect", "--url", &url, "--token-file", "token"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.replace("\n  │", "").contains("chmod 600"),
        "{said:?}"
    );
}

#[test]
fn a_recorded_knock_is_explained() {
    let place = Place::new("trustedProxies: [10.0.0.0/8, 192.0.2.1]\n");
    for (token, auth) in [("token", "the shared token matched"), ("wrong", "auth")] {
        let out = format!("{token}.json");
        let (mut recording, url, _) = place.record(&out);
        let knock = [
            "connect",
            "--url",
            &url,
            "--token-file",
            token,
            "--header",
            "X-Test: 1",
        ];
        let said = place.gw(&knock);
        assert_eq!(said.code, Some(4), "{said:?}");
        assert!(
            said.out
                .contains("REFUSED  recorded by `gw record`, and not decided"),
            "{said:?}"
        );
        assert!(recording.0.wait().unwrap().success());
        let mut told = String::new();
        let mut stdout = recording.0.stdout.take().unwrap();
        stdout.read_to_string(&mut told).unwrap();
        let next = format!("next      gw explain {out} --policy my.policy\n");
        assert!(told.ends_with(&next), "{told}");

        let written = fs::read_to_string(place.path(&out)).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(place.path(&out)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        // Of what the gateway knows it holds only what the client knows as well.
        assert_eq!(written.contains(TOKEN), token == "token");
        let recorded: Value = serde_json::from_str(&written).unwrap();
        let networks = json!(["10.0.0.0/8", "192.0.2.1"]);
        assert_eq!(recorded["settings"]["trustedProxies"], networks);
        let headers = recorded["http"]["headers"].as_array().unwrap();
        assert!(headers.contains(&json!(["x-test", "1"])), "{headers:?}");

        let said = place.gw(&["explain", &out, "--policy", "my.policy"]);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(said.out.contains(auth), "{said:?}");
        assert!(said.out.contains("proven"), "{said:?}");
        let verdict = if token == "token" {
            "REQUIRE-PAIRING"
        } else {
            "REJECT token-mismatch"
        };
        assert!(said.out.starts_with(verdict), "{said:?}");
    }
    let said = place.gw(&["record", "--port", "0", "--out", "token.json"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("is there already"), "{said:?}");
}

/// What is remembered of the device is recorded too, and its tokens are not.
#[test]
fn a_recording_has_what_is_remembered_of_the_device() {
    let place = Place::new("");
    let (gateway, url) = place.serve();
    let knock = |url: &str| place.gw(&["connect", "--url", url, "--token-file", "token"]);
    assert_eq!(knock(&url).code, Some(4));
    assert_eq!(
        place.gw(&["devices", "approve", "--latest", "--yes"]).code,
        Some(0)
    );
    drop(gateway);
    let (mut recording, url, mut err) = place.record("paired.json");
    assert_eq!(knock(&url).code, Some(4));
    let mut said = String::new();
    err.read_to_string(&mut said).unwrap();
    assert!(recording.0.wait().unwrap().success(), "{said}");
    assert!(!said.contains("warning"), "{said}");
    let written = fs::read_to_string(place.path("paired.json")).unwrap();
    let recorded: Value = serde_json::from_str(&written).unwrap();
    let token = text(&recorded, "/pairing/record/tokens/operator/token");
    assert!(token.starts_with("left-out-"), "{token}");
    let said = place.gw(&[
        "explain",
        "paired.json",
        "--policy",
        "my.policy",
        "--exit-code",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.starts_with("APPROVE   by [known-device]"),
        "{said:?}"
    );
}

#[test]
fn a_client_that_says_nothing_is_told_of() {
    let place = Place::new("limits: { handshakeTimeoutMs: 250 }\n");
    let (mut recording, url, mut err) = place.record("silent.json");
    let mut plain = TcpStream::connect(url.trim_start_matches("ws://")).unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let mut silent = TcpStream::connect(url.trim_start_matches("ws://")).unwrap();
    let head = "GET /?token=s3cret HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: s3cret\r\n\r\n";
    silent.write_all(head.as_bytes()).unwrap();
    let mut said = String::new();
    err.read_to_string(&mut said).unwrap();
    assert_eq!(recording.0.wait().unwrap().code(), Some(1), "{said}");
    assert!(
        said.contains("GET /healthz: no WebSocket; waiting on"),
        "{said}"
    );
    assert!(
        said.contains("was sent the challenge, and then nothing for 250ms"),
        "{said}"
    );
    assert!(
        said.contains("Host: h") && !said.contains("s3cret"),
        "{said}"
    );
    assert!(!place.path("silent.json").exists());
}

/// A gateway with another one behind it, and the folder of that one.
fn relay() -> (Place, Place, Running, String) {
    let behind = Place::new("");
    behind.write("token", BEHIND);
    let (running, url) = behind.serve();
    let place = Place::new(&format!(
        "listen: {{ bind: loopback }}\nupstream: {{ url: '{url}', token: {{ file: behind }} }}\n"
    ));
    // It makes a token for itself.
    let config = fs::read_to_string(place.path("gw.yaml")).unwrap();
    place.write(
        "gw.yaml",
        &config.replace("auth: { token: { file: token } }\n", ""),
    );
    place.write("behind", BEHIND);
    place.private("behind");
    (place, behind, running, url)
}

/// The token of the server behind.
const BEHIND: &str = "3c0b8f51de7742a9-not-a-secret";

/// What is not well, with what to do: `check: result: next`.
fn unwell(place: &Place, arguments: &[&str]) -> Vec<String> {
    unwell_where(place, arguments, &[])
}

/// The same, with variables of the environment.
fn unwell_where(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = place.command(&[&["doctor", "--format", "json"], arguments].concat());
    let said = said(command.envs(variables.iter().copied()));
    let found: Value = serde_json::from_str(&said.out).unwrap();
    let checks = found.pointer("/checks").unwrap().as_array().unwrap();
    // What cannot be known depends on who runs the tests, and where.
    let told = checks.iter().filter(|check| check["check"] != "unknown");
    let told = told.filter(|check| check["result"] != "ok");
    let told: Vec<String> = told
        .map(|check| {
            let [name, result, next] =
                ["/check", "/result", "/next"].map(|place| text(check, place));
            format!("{name}: {result}: {next}")
        })
        .collect();
    let wrong = told.iter().any(|told| told.contains(": wrong: "));
    assert_eq!(said.code, Some(i32::from(wrong)), "{said:?}");
    told
}

#[test]
fn a_doctor_finds_what_does_not_fit_together() {
    let (place, _folder, behind, url) = relay();
    let (gateway, _) = place.serve();
    let said = place.gw(&["doctor"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let (mut lines, mut out) = (said.out.lines(), String::new());
    while let Some(line) = lines.next() {
        match line.starts_with("look   unknown ") {
            true => _ = lines.next(),
            false => out.push_str(&format!("{line}\n")),
        }
    }
    assert_data_eq!(
        &out,
        str![[r#"
ok     configuration  gw.yaml: it will do
ok     gateway        it serves at [..]gw.sock
ok     policy         [..] is in force, as the file says
ok     listeners      for this host alone
ok     pages          no page is admitted by name; on this host none needs to be
ok     upstream       ws://127.0.0.1:[..] answers; whether it takes the secret is not tried here: gw connect --tcp
ok     clock          as that of the server behind
ok     way-past       the server behind listens on loopback only
ok     secrets        the server behind has one of its own
ok     files          nobody else may read what holds secrets

1[..] checks, nothing [..]

"#]]
    );
    assert_eq!(
        unwell(&place, &["--policy", "built-in:default.policy"]),
        ["policy: wrong: gw policy reload"]
    );
    assert_eq!(
        unwell(&place, &["--upstream-token-file", "state/token"]),
        ["secrets: wrong: give it another one: openssl rand -base64 32"]
    );
    // What was started with another configuration is not to be ended for it.
    place.write("bare.yaml", "state: state\npolicy: my.policy\n");
    let own = place.path("gw.yaml");
    assert_eq!(
        unwell(&place, &["--config", "bare.yaml"]),
        [format!(
            "gateway: look: gw doctor --config {}",
            own.display()
        )]
    );
    assert_eq!(
        unwell(&place, &["--port", "5", "--upstream", "ws://localhost:5"]),
        ["configuration: wrong: gw config check --port 5 --upstream ws://localhost:5"]
    );
    let another = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = another.local_addr().unwrap().port().to_string();
    assert_eq!(
        unwell(&place, &["--state", "none", "--port", &port]),
        ["gateway: wrong: move it to another port, or this gateway (docs/openclaw.md)"]
    );
    drop(behind);
    assert_eq!(
        unwell(&place, &[]),
        ["upstream: wrong: start it, or mend `upstream` in the configuration"]
    );
    drop(gateway);
    place.write("my.policy", "gw-policy 1\ndefault → nonsense\n");
    let told = unwell(&place, &["--upstream", &url, "--state", "none"]);
    let state = place.path("none");
    let named = format!("--state {}", state.display());
    // What is wrong with the policy hides nothing else, and is told with its place.
    assert_eq!(
        told,
        [
            format!("configuration: wrong: gw config check {named} --upstream {url}"),
            format!("gateway: wrong: gw serve {named} --upstream {url}"),
            "upstream: wrong: start it, or mend `upstream` in the configuration".to_owned(),
        ]
    );
    let said = place.gw(&["doctor"]);
    let first = said.out.lines().next().unwrap();
    assert!(
        first.starts_with("wrong  configuration  my.policy:2: "),
        "{said:?}"
    );
}

/// Each file of a gateway that holds a secret, or tells who was there, is looked at.
#[cfg(unix)]
#[test]
fn a_doctor_finds_secrets_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let (place, _folder, _behind, _url) = relay();
    let config = fs::read_to_string(place.path("gw.yaml")).unwrap();
    place.write(
        "gw.yaml",
        &format!("{config}tls: {{ autoGenerate: true }}\n"),
    );
    let (_gateway, url) = place.serve();
    let said = place.gw(&["connect", "--tcp"]);
    assert_eq!(said.code, Some(4), "{url}: {said:?}");
    let mode = |name: &str, mode| {
        fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("", 0o755);
    mode("state", 0o755);
    assert_eq!(unwell(&place, &[]), [""; 0]);
    // What is wrong with `token` and `tls.key` is an error of the configuration.
    for name in [
        "identity.key",
        "upstream.key",
        "gw.sqlite",
        "gw.sqlite-wal",
        "gw.sqlite-shm",
        "decisions.jsonl",
    ] {
        let name = format!("state/{name}");
        mode(&name, 0o644);
        let told = unwell(&place, &[]);
        let next = format!("files: wrong: chmod go-rwx {}", place.path(&name).display());
        assert!(told.contains(&next), "{name}: {told:?}");
        mode(&name, 0o600);
    }
}

/// While a file is edited its gateway serves on, and says to its owner what is in force.
#[test]
fn a_mistake_in_the_configuration_takes_no_tool_away() {
    let place = Place::new("");
    let (_gateway, _) = place.serve();
    let config = fs::read_to_string(place.path("gw.yaml")).unwrap();
    place.write("gw.yaml", &format!("{config}listn: {{ port: 5 }}\n"));
    let folder = place.path("elsewhere");
    fs::create_dir(&folder).unwrap();
    for named in [&["--state", "state"][..], &[]] {
        for (words, code) in [
            (&["status"][..], 0),
            (&["policy", "reload"], 1),
            (&["policy", "status"], 1),
            (&["devices", "list"], 0),
            (&["tail", "--no-follow"], 0),
        ] {
            let said = place.gw(&[words, named].concat());
            assert_eq!(said.code, Some(code), "{words:?}: {said:?}");
            let err = said.err.replace("\n  │ ", " ");
            assert!(
                err.contains("listn") && err.contains("warning: the configuration does not load"),
                "{words:?}: {said:?}"
            );
        }
    }
    let said = place.gw(&["status", "--state", "state"]);
    assert!(said.out.contains("the file cannot be loaded"), "{said:?}");
    let status = place.json(&["status", "--state", "state"]);
    assert_eq!(status["policy"]["differs"], true);
    // Where nobody says that it listens there is nothing to ask.
    let said = place.gw(&["status", "--state", "elsewhere"]);
    assert_eq!((said.code, &*said.out), (Some(1), ""), "{said:?}");
    assert!(!said.err.contains("warning:"), "{said:?}");
}

/// Who fails too often can be seen, and stays out also when the limit is another one.
#[test]
fn who_is_locked_out_is_seen() {
    let config = |more: u32| {
        format!(
            "auth: {{ token: {{ file: token }}, rateLimit: {{ exemptLoopback: false, maxAttempts: {more} }} }}\n"
        )
    };
    let place = Place::new("");
    let before = fs::read_to_string(place.path("gw.yaml")).unwrap();
    let rest = before.replace("auth: { token: { file: token } }\n", "");
    place.write("gw.yaml", &format!("{rest}{}", config(1)));
    let (_gateway, url) = place.serve();
    let said = place.gw(&["status"]);
    assert!(!said.out.contains("locked"), "{said:?}");
    let knock = |token: &str| {
        place.gw(&[
            "connect",
            "--url",
            &url,
            "--token-file",
            token,
            "--no-device",
        ])
    };
    assert_eq!(knock("wrong").code, Some(4));
    let is_told = || {
        let said = place.gw(&["status"]);
        let locked = "locked    127.0.0.1 (shared-secret) until 2";
        assert!(said.out.contains(locked), "{said:?}");
    };
    is_told();
    place.write("gw.yaml", &format!("{rest}{}", config(50)));
    let said = place.gw(&["policy", "reload"]);
    assert!(said.out.starts_with("reloaded"), "{said:?}");
    is_told();
    let said = knock("token");
    assert!(said.out.contains("AUTH_RATE_LIMITED"), "{said:?}");
}

/// A folder that is not there is a mistake, and a log that is not there yet is waited for.
#[test]
fn a_log_in_no_folder_is_not_waited_for() {
    let place = Place::new("");
    let said = place.gw(&["tail", "--state", "none"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("there is no such file"), "{said:?}");
}

#[test]
fn a_secret_of_the_server_behind_that_is_mended_is_taken_up() {
    let (place, behind, _behind, _) = relay();
    behind.write(
        "my.policy",
        "gw-policy 1\n[owner] transport=unix → approve\nauth=token → silent-approve\n\
         default → require-pairing\n",
    );
    assert_eq!(behind.gw(&["policy", "reload"]).code, Some(0));
    place.write("behind", "0123456789-another-one");
    let (_gateway, _) = place.serve();
    let said = place.gw(&["connect"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    place.write("behind", BEHIND);
    assert_eq!(place.gw(&["policy", "reload"]).code, Some(0));
    let said = place.gw(&["connect"]);
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[test]
fn a_client_of_a_plain_server_is_shown_how_far_it_gets() {
    let (place, _folder, behind, _) = relay();
    let config = fs::read_to_string(place.path("gw.yaml")).unwrap();
    let plain = config.replace("upstream: {", "upstream: { kind: plain,");
    place.write("gw.yaml", &plain);
    let policy = |rule: &str| {
        let rules = format!("gw-policy 1\n[owner] transport=unix → approve\n{rule}\n");
        place.write("my.policy", &format!("{rules}default → require-pairing\n"));
    };
    policy("");
    let (_gateway, _) = place.serve();
    let said = place.gw(&["connect", "--tcp"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert_data_eq!(
        &said.out,
        str![[r#"
connection  TCP, [..]

REFUSED  the policy asks for pairing before this connection is let in: a client of the server behind the gateway has no device: have the owner of the gateway add a rule that admits it by its address, its path or its token
  code        HTTP 403 pairing_required
  connection  [..]
              gw explain --connection [..]

"#]]
    );
    // What is behind is a gateway of our own, which takes it up.
    policy("auth=token → approve");
    assert_eq!(place.gw(&["policy", "reload"]).code, Some(0));
    let said = place.gw(&["connect", "--tcp"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("\nADMITTED  through to the server"),
        "{said:?}"
    );
    drop(behind);
    let said = place.gw(&["connect", "--tcp"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    assert!(
        said.out.contains("HTTP 503 upstream_unavailable"),
        "{said:?}"
    );
}

#[test]
fn a_doctor_says_how_openclaw_s_command_line_comes_through_the_gateway() {
    let (place, _folder, _behind, url) = relay();
    let (_gateway, own) = place.serve();
    let port = url.rsplit(':').next().unwrap();
    fs::create_dir(place.path("openclaw")).unwrap();
    let token = place.path("state/token");
    let through = format!(
        "export OPENCLAW_GATEWAY_URL={own} OPENCLAW_GATEWAY_TOKEN=\"$(cat {})\"",
        token.display()
    );
    place.write(
        "openclaw/openclaw.json",
        &format!("{{gateway:{{port:{port}}}}}"),
    );
    place.private("openclaw/openclaw.json");
    assert_eq!(unwell(&place, &[]), [format!("openclaw: wrong: {through}")]);
    let own_port = own.rsplit(':').next().unwrap();
    let holds = format!("{{gateway:{{port:{own_port},auth:{{token:'{BEHIND}'}}}}}}");
    let wrong = format!("openclaw: wrong: {through}");
    place.write("openclaw/openclaw.json", &holds);
    assert_eq!(unwell(&place, &[]), [wrong.as_str()]);
    place.write("openclaw/openclaw.json", &holds.replace(BEHIND, TOKEN));
    assert_eq!(unwell(&place, &[]), [wrong.as_str()]);
    // Told as it says, whatever the configuration holds.
    let made = fs::read_to_string(&token).unwrap();
    let told = |token| {
        [
            ("OPENCLAW_GATEWAY_URL", own.as_str()),
            ("OPENCLAW_GATEWAY_TOKEN", token),
        ]
    };
    for config in [&holds, &format!("{{gateway:{{port:{port}}}}}")] {
        place.write("openclaw/openclaw.json", config);
        assert_eq!(unwell_where(&place, &[], &told(&made)), [""; 0]);
        assert_eq!(unwell_where(&place, &[], &told(BEHIND)), [wrong.as_str()]);
    }
}
