//! No secret is shown: not in a golden or a page, not in an audit line, not in an error, and not
//! by the `Debug` of whatever holds one. And what a client calls itself reaches a terminal only
//! escaped.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is a test: what is missing fails it"
)]

#[path = "support/scenario.rs"]
#[expect(dead_code, reason = "what scenarios expect is checked elsewhere")]
mod scenario;
#[path = "support/sign.rs"]
mod sign;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use gw::Policy;
use gw::admission::{
    Admission, Challenged, Gate, Remembered, Reply, at_connect, at_upgrade, evidence, present,
    still_admitted,
};
use gw::handshake::{Handshake, Http, Socket};
use gw::journal::{Connection, Line};
use gw::pairing::Standing;
use gw::pairing::change::Fresh;
use gw::recorded::{Recording, Row, Sent, prior, sent};
use gw::secret::Secret;
use gw::settings::{Compatibility, Settings};
use serde_json::{Value, json};

use scenario::{PASSWORD, Scenarios, Spec, TOKEN, WRONG};

/// What every secret of a test is called, and what nothing shown may hold.
const MARK: &str = "-not-a-secret";
/// The secrets that are not called so.
const UNMARKED: [&str; 2] = ["wrong-secret-000000000000", "s3cret"];
/// Names of values that are secret wherever they stand in a handshake.
const SECRET: [&str; 6] = [
    "token",
    "password",
    "deviceToken",
    "bootstrapToken",
    "signature",
    "agentRuntimeIdentityToken",
];
/// A value shorter than this is a word, and not told apart from others.
const SHORTEST: usize = 6;
const RELEASES: [&str; 4] = ["2026.3.23", "2026.4.15", "2026.4.22", "2026.9.6"];
/// One row in so many of each release is replayed.
const EVERY: usize = 23;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn policy(path: &str) -> Policy {
    Policy::parse(path, &read(path)).unwrap_or_else(|error| panic!("{error}"))
}

/// All files below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// The values of a JSON text that must not be shown; with the nonces.
fn secrets_of(value: &Value, names: &[&str], found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value.as_str().map(str::trim) {
                    Some(text) if names.contains(&name.as_str()) && text.len() >= SHORTEST => {
                        found.insert(text.to_owned());
                    }
                    _ => secrets_of(value, names, found),
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                secrets_of(value, names, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The secrets in a text, with some of what stands around each.
fn leaks(text: &str, secrets: &BTreeSet<String>) -> Vec<String> {
    let known = secrets.iter().map(String::as_str);
    let found = known
        .chain([MARK])
        .chain(UNMARKED)
        .filter_map(|secret| Some((secret, text.find(secret)?)));
    let around = |(secret, at): (&str, usize)| {
        let start = text.floor_char_boundary(at.saturating_sub(60));
        let end = text.ceil_char_boundary((at + secret.len() + 20).min(text.len()));
        text[start..end].to_owned()
    };
    found.map(around).collect()
}

/// What a client may have written and a terminal would act upon.
fn is_raw(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

/// A page without the JSON that is written to be tried out.
fn without_inputs(page: &str) -> String {
    let mut inside = false;
    let kept = page.lines().filter(|line| {
        let line = line.trim_start();
        inside = line.starts_with("```json") || inside && line != "```";
        !inside
    });
    kept.collect::<Vec<_>>().join("\n")
}

struct Shown {
    secrets: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Shown {
    fn new() -> Self {
        let secrets = [TOKEN, PASSWORD, WRONG].map(str::to_owned).into();
        Shown {
            secrets,
            wrong: Vec::new(),
        }
    }

    fn knowing(value: &Value) -> Self {
        let mut shown = Shown::new();
        secrets_of(value, &SECRET, &mut shown.secrets);
        shown
    }

    fn text(&mut self, what: &str, text: &str) {
        for leak in leaks(text, &self.secrets) {
            self.wrong.push(format!("{what}: {leak}"));
        }
    }

    fn debug(&mut self, what: &str, value: &impl Debug) {
        self.text(what, &format!("{value:?}"));
        self.text(what, &format!("{value:#?}"));
    }

    fn line(&mut self, what: &str, line: &str) {
        self.text(what, line);
        if line.chars().any(is_raw) {
            self.wrong
                .push(format!("{what} is raw: {}", line.escape_debug()));
        }
    }

    fn done(self) {
        let mut wrong = self.wrong;
        wrong.sort();
        wrong.dedup();
        let count = wrong.len();
        wrong.truncate(20);
        assert!(wrong.is_empty(), "{count} leaks\n{}", wrong.join("\n"));
    }
}

#[test]
fn goldens_and_pages() {
    let (mut recorded, mut goldens) = (Vec::new(), Vec::new());
    files(&root().join("fixtures/issues"), &mut recorded);
    files(&root().join("fixtures/handshake"), &mut recorded);
    files(&root().join("docs"), &mut goldens);
    files(&root().join("tests/cmd"), &mut goldens);
    files(&root().join("fixtures/lang"), &mut goldens);
    files(&root().join("fixtures/bad"), &mut goldens);
    files(&root().join("fixtures/openclaw-config"), &mut goldens);
    goldens.push(root().join("README.md"));
    let is = |path: &Path, extension: &str| path.extension().is_some_and(|own| own == extension);
    let mut shown = Shown::new();
    for path in &recorded {
        if is(path, "json") {
            let text = fs::read_to_string(path).unwrap();
            let value: Value = serde_json::from_str(&text).unwrap_or_default();
            let names: Vec<&str> = SECRET.into_iter().chain(["nonce"]).collect();
            secrets_of(&value, &names, &mut shown.secrets);
        } else {
            goldens.push(path.clone());
        }
    }
    assert!(shown.secrets.len() > 50, "{}", shown.secrets.len());
    let mut count = 0;
    for path in &goldens {
        if is(path, "txt") || is(path, "md") {
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            shown.text(&name, &without_inputs(&fs::read_to_string(path).unwrap()));
            count += 1;
        }
    }
    assert!(count > 200, "{count} files");
    shown.done();
}

/// A connection, as the library takes it.
struct Brought {
    settings: Settings,
    socket: Socket,
    http: Http,
    message: Vec<u8>,
    standing: Standing,
    nonce: String,
    time_ms: i64,
}

impl Brought {
    fn of(handshake: &Handshake, connect: &Value) -> Self {
        let challenge = handshake.challenge.as_ref();
        Brought {
            settings: handshake.settings.clone(),
            socket: handshake.socket.clone(),
            http: handshake.http.clone(),
            message: connect.to_string().into_bytes(),
            standing: handshake.pairing.clone(),
            nonce: challenge.map_or_else(String::new, |challenge| challenge.nonce.to_string()),
            time_ms: handshake.time_ms,
        }
    }

    /// Takes it the whole way, and looks at all that comes out.
    fn shown(&self, policy: &Policy, shown: &mut Shown) -> Option<Admission> {
        let gate = Gate {
            policy,
            settings: &self.settings,
        };
        shown.debug("Settings", &self.settings);
        shown.debug("Standing", &self.standing);
        shown.debug("record", &json!(self.standing.record).to_string());
        let upgrade = match at_upgrade(gate, self.socket.clone(), self.http.clone()) {
            Ok(upgrade) => upgrade,
            Err(refusal) => {
                shown.debug("HttpRefusal", &refusal);
                return None;
            }
        };
        shown.debug("Upgrade", &upgrade);
        let challenged = Challenged {
            nonce: &self.nonce,
            time_ms: self.time_ms,
        };
        let presented = match present(gate.settings, &self.message, challenged) {
            Ok(presented) => presented,
            Err(reply) => {
                let connection = Connection::of("connection", &upgrade);
                let line = Line::frame_refused(&connection, self.time_ms, &upgrade, &reply);
                let line = line.shown_by(upgrade.evidence(gate.settings));
                shown.line("early Line", &line.text());
                shown.debug("early Reply", &reply);
                return None;
            }
        };
        shown.debug("Presented", &presented);
        shown.debug("Connect", presented.connect());
        shown.debug("Claims", presented.connect().claims());
        shown.debug("Credentials", &presented.connect().claims().credentials);
        let admission = decided(gate, &upgrade, &presented, &self.standing);
        shown.debug("Admission", &admission);
        shown.debug("Change", &admission.change);
        shown.debug("Permit", &admission.permit);
        shown.debug("Reply", &admission.reply);
        shown.line("Event", &admission.event.to_string());
        shown.debug("Event", &admission.event);
        let phrases = evidence(gate, &upgrade, &presented, &self.standing, &admission.facts);
        let connection = Connection::of("connection", &upgrade);
        let line = Line::decided(&connection, policy, &admission);
        shown.line("Line", &line.shown_by(phrases).text());
        shown.text("refusal", &admission.reply.refusal().unwrap_or_default());
        let told = admission.change.events.iter();
        let told: Vec<Value> = told.map(gw::pairing::change::Event::payload).collect();
        shown.text("told", &json!(told).to_string());
        let subject = gw::explain::Subject::of_facts(&admission.facts);
        let account = gw::explain(policy, &admission.facts, &subject);
        shown.debug("Explanation", &account);
        if let Some(permit) = &admission.permit {
            let after = admission.change.apply(&self.standing);
            shown.debug("Ended", &still_admitted(gate, permit, &after, self.time_ms));
        }
        Some(admission)
    }
}

fn decided(
    gate: Gate<'_>,
    upgrade: &gw::admission::Upgrade,
    presented: &gw::admission::Presented,
    standing: &Standing,
) -> Admission {
    let mut fresh = Fresh {
        request_id: &mut || "f0000000-0000-4000-8000-000000000000".into(),
        secret: &mut || Secret::new("fresh-token-not-a-secret"),
    };
    let remembered = Remembered::of(standing);
    at_connect(gate, upgrade, presented, remembered, &mut fresh)
}

#[test]
fn what_comes_of_scenarios() {
    let scenarios: Scenarios =
        serde_json::from_str(&read("fixtures/issues/scenarios.json")).unwrap();
    let default = policy("policies/default.policy");
    let mut wrong = Vec::new();
    let (mut tokens, mut refused) = (0, 0);
    for row in &scenarios.rows {
        for case in &row.cases {
            let value = row.spec(case).handshake();
            let mut shown = Shown::knowing(&value);
            let handshake = gw::handshake::parse(&value.to_string()).unwrap();
            shown.debug("Handshake", &handshake);
            shown.debug("Observed", &gw::handshake::observe(&handshake));
            let brought = Brought::of(&handshake, &value["connect"]);
            if let Some(admission) = brought.shown(&default, &mut shown) {
                match &admission.reply {
                    Reply::Admitted(admitted) => tokens += usize::from(admitted.token.is_some()),
                    Reply::Refused { .. } | Reply::Closed(_) | Reply::Http(_) => refused += 1,
                }
            }
            wrong.extend(shown.wrong);
        }
    }
    assert!(
        tokens > 10 && refused > 10,
        "{tokens} tokens, {refused} refused"
    );
    Shown {
        secrets: BTreeSet::new(),
        wrong,
    }
    .done();
}

fn recording(release: &str) -> Recording {
    let path = root().join(format!("fixtures/observed/{release}.jsonl.gz"));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    Recording::read(&text).unwrap()
}

fn recorded_case(row: &Row, settings: &Settings) -> Option<Brought> {
    let step = row.steps().first()?;
    let connect = step.connect.as_ref()?;
    let Sent {
        socket,
        http,
        message,
        ..
    } = sent::sent(row, step, settings, &BTreeMap::new()).unwrap()?;
    let by_owner = settings.compatibility.pairing.provenance;
    let device = sent::device_name(row, step);
    let standing = prior::standing(&row.prior, &device, connect, by_owner).unwrap();
    Some(Brought {
        settings: settings.clone(),
        socket,
        http,
        message,
        standing: serde_json::from_value(standing).unwrap(),
        nonce: gw::recorded::NONCE.to_owned(),
        time_ms: gw::recorded::NOW_MS,
    })
}

#[test]
fn what_comes_of_recorded_rows() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for release in RELEASES {
        let recording = recording(release);
        let policy = policy(&format!("policies/openclaw/{release}.policy"));
        let constants = read(&format!("policies/openclaw/{release}.yaml"));
        let compatibility: Compatibility = serde_yaml::from_str(&constants).unwrap();
        for row in recording.rows.iter().step_by(EVERY) {
            let settings = recording.settings(&row.cfg, &compatibility).unwrap();
            let Some(brought) = recorded_case(row, &settings) else {
                continue;
            };
            let frame: Value = serde_json::from_slice(&brought.message).unwrap_or_default();
            let mut shown = Shown::knowing(&frame);
            brought.shown(&policy, &mut shown);
            let named = |leak: String| format!("{release} {} {}: {leak}", row.cfg, row.id);
            wrong.extend(shown.wrong.into_iter().map(named));
            count += 1;
        }
    }
    assert!(count > 1_000, "{count} rows");
    Shown {
        secrets: BTreeSet::new(),
        wrong,
    }
    .done();
}

/// Wherever a secret stands by mistake: an error says where, and not what.
#[test]
fn errors() {
    let secret = "test-misplaced-not-a-secret";
    let mut shown = Shown::new();
    let handshake = Spec::default().handshake();
    let places = [
        "/gw-handshake",
        "/settings",
        "/settings/auth",
        "/settings/auth/mode",
        "/settings/auth/token",
        "/settings/bind",
        "/socket",
        "/http",
        "/http/headers",
        "/http/headers/0",
        "/challenge",
        "/connect",
        "/connect/type",
        "/connect/params",
        "/connect/params/client",
        "/connect/params/client/id",
        "/connect/params/role",
        "/connect/params/auth",
        "/connect/params/device",
        "/connect/params/device/signedAt",
        "/time",
    ];
    for place in places {
        for value in [json!(secret), json!([secret]), json!({ "x": secret })] {
            let mut handshake = handshake.clone();
            *handshake.pointer_mut(place).unwrap_or(&mut Value::Null) = value;
            let text = handshake.to_string();
            for text in [&*text, text.get(..text.len() / 2 + 400).unwrap_or(&text)] {
                if let Err(error) = gw::handshake::parse(text) {
                    shown.text(place, &error.to_string());
                    shown.debug(place, &error);
                }
            }
        }
    }
    for text in [secret, &format!("{{\"token\": \"{secret}\"")] {
        let error = gw::handshake::parse(text).unwrap_err();
        shown.text("no JSON", &error.to_string());
        shown.debug("no JSON", &error);
    }
    let messages = [
        secret.as_bytes().to_vec(),
        format!("{{\"token\":\"{secret}\"").into_bytes(),
        [secret.as_bytes(), b"\xff"].concat(),
        vec![b'x'; 70_000],
    ];
    for message in messages {
        let error = gw::wire::frame::read(&message, 65_536).unwrap_err();
        shown.text("FrameError", &error.to_string());
        shown.debug("FrameError", &error);
    }
    // The client is told where it is wrong, and no value of its own.
    let connect = &handshake["connect"];
    let compatibility = Compatibility::default();
    for place in places
        .iter()
        .filter_map(|place| place.strip_prefix("/connect"))
    {
        for value in [json!(secret), json!([secret]), json!({ "x": secret })] {
            let mut frame = connect.clone();
            let Some(at) = frame.pointer_mut(place) else {
                continue;
            };
            *at = value;
            let schema = gw::wire::Schema::of(&compatibility);
            if let Err(error) = gw::wire::connect::parse(&frame, &schema) {
                shown.text(place, &error.to_string());
                shown.debug(place, &error);
            }
        }
    }
    shown.done();
}

/// The configuration of an operator: whatever is wrong in it, no value is repeated.
#[test]
fn configurations() {
    let secret = "test-configured-not-a-secret";
    let mut shown = Shown::new();
    shown.secrets.insert("12345678".to_owned());
    let whole = json!({
        "port": 18789,
        "bind": "lan",
        "auth": {
            "mode": "token", "token": secret, "password": secret, "allowTailscale": true,
            "rateLimit": { "maxAttempts": 3, "windowMs": 1, "lockoutMs": 1 },
            "trustedProxy": { "userHeader": "x-user", "allowUsers": ["a", "b"] },
        },
        "trustedProxies": ["10.0.0.1"],
        "controlUi": { "allowedOrigins": ["https://a"], "allowInsecureAuth": true },
        "nodes": { "pairing": { "autoApproveLocal": true, "autoApproveCidrs": ["10.0.0.0/8"] } },
    });
    let mut places = Vec::new();
    pointers(&whole, "", &mut places);
    let values = [
        json!(secret),
        json!(format!("{secret}, expected a string")),
        json!(12_345_678),
        json!(-12_345_678),
        json!([secret]),
        json!([[12_345_678]]),
        json!({ "x": secret }),
        json!({ secret: 12_345_678 }),
    ];
    let mut refused = 0;
    for place in &places {
        for value in &values {
            let mut gateway = whole.clone();
            *gateway.pointer_mut(place).unwrap() = value.clone();
            match gw::settings::openclaw::import(&gateway, Compatibility::default()) {
                Err(error) => {
                    refused += 1;
                    assert!(place.starts_with(&error.pointer) || error.pointer.starts_with(place));
                    shown.line(place, &error.to_string());
                    shown.debug(place, &error);
                    let error = serde_json::Error::from(error);
                    shown.line(place, &error.to_string());
                }
                // User names and entries that are no address or origin are no secrets.
                Ok(imported) if ["/auth/token", "/auth/password"].contains(&place.as_str()) => {
                    shown.debug(place, &imported.settings);
                }
                Ok(_) => {}
            }
        }
    }
    assert!(refused > 100, "{refused}");
    let file = json!({ "gateway": whole, "auth": { "profiles": { "x": secret } } });
    let error = gw::settings::openclaw::import(&file, Compatibility::default()).unwrap_err();
    shown.line("whole file", &error.to_string());
    shown.debug("whole file", &error);
    shown.done();
}

/// The pointers to all values.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        Value::Array(values) => {
            let values = values.iter().enumerate();
            values.map(|(at, value)| (at.to_string(), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, value) in inner {
        pointers(value, &format!("{at}/{name}"), found);
    }
}

/// Headers and the query hold secrets: neither is shown by whatever holds the request.
#[test]
fn requests() {
    let secret = "test-header-not-a-secret";
    let mut shown = Shown::new();
    let default = policy("policies/default.policy");
    for path in [
        format!("/ws?token={secret}"),
        format!("/#token={secret}"),
        format!("?{secret}"),
    ] {
        let mut value = Spec::default().handshake();
        value["http"]["path"] = json!(path);
        value["http"]["headers"] = json!([
            ["Host", "localhost:18789"],
            ["Authorization", format!("Bearer {secret}")],
            ["cookie", format!("session={secret}")],
            ["Sec-WebSocket-Protocol", secret],
            ["X-Token", secret],
        ]);
        let handshake = gw::handshake::parse(&value.to_string()).unwrap();
        let text = format!("{:?}", handshake.http);
        assert!(
            text.contains("Authorization") && text.contains("X-Token"),
            "{text}"
        );
        shown.debug("Http", &handshake.http);
        shown.debug("Handshake", &handshake);
        shown.debug("Seen", &handshake.seen());
        shown.debug("Observed", &gw::handshake::observe(&handshake));
        let brought = Brought::of(&handshake, &value["connect"]);
        shown.debug("Brought", &brought.http);
        brought.shown(&default, &mut shown);
    }
    for (path, expected) in [
        ("/ws/x?token=t", "/ws/x"),
        ("/#token=t", "/"),
        ("http://user:t@localhost/", "…"),
    ] {
        let http = Http {
            path: path.into(),
            headers: Vec::new(),
        };
        let text = format!("Http {{ path: {expected:?}, headers: [] }}");
        assert_eq!(format!("{http:?}"), text);
    }
    shown.done();
}

/// What the client is told of a name that it made up.
#[test]
fn told_client_text_is_escaped() {
    let mut shown = Shown::new();
    let default = policy("policies/default.policy");
    for name in NASTY {
        for place in [
            "/params",
            "/params/client",
            "/params/auth",
            "/params/permissions",
        ] {
            let mut value = Spec::default().handshake();
            let handshake = gw::handshake::parse(&value.to_string()).unwrap();
            value["connect"]["params"]["permissions"] = json!({});
            let object = value["connect"].pointer_mut(place).unwrap();
            object[name] = json!(1);
            let brought = Brought::of(&handshake, &value["connect"]);
            let gate = Gate {
                policy: &default,
                settings: &brought.settings,
            };
            let challenged = Challenged {
                nonce: &brought.nonce,
                time_ms: brought.time_ms,
            };
            let Err(reply) = present(gate.settings, &brought.message, challenged) else {
                panic!("{place} {name:?} is accepted");
            };
            let refusal: Value = serde_json::from_str(&reply.refusal().unwrap()).unwrap();
            shown.line(place, refusal["error"]["message"].as_str().unwrap());
            shown.line(place, &reply.close().unwrap().reason);
        }
    }
    shown.done();
}

const NASTY: [&str; 9] = [
    "a\u{1b}[2J\u{1b}[31mred",
    "two\nlines approve by forged",
    "\r\u{8}\u{7f}\u{85}\u{9b}31m",
    "\u{202e}gnp.exe\u{2066}",
    "\u{200b}\u{200d}\u{feff}\u{2060}x",
    "\u{2028}para\u{2029}",
    "\u{61c}\u{200e}\u{200f}x",
    "\" close=none by \"forged",
    "\0nul",
];

/// A client that calls itself nastily, in every field that it fills freely.
fn called(name: &str) -> Value {
    let mut handshake = Spec {
        device: None,
        ..Spec::default()
    }
    .handshake();
    let params = &mut handshake["connect"]["params"];
    let client = params["client"].as_object_mut().unwrap();
    for field in ["displayName", "platform", "deviceFamily", "version"] {
        client.insert(field.to_owned(), name.into());
    }
    params["scopes"] = json!(["operator.read", name]);
    // No header can hold a control character: whoever reads HTTP refuses it.
    if !name.chars().any(char::is_control) {
        let names = ["Host", "Origin", "X-Forwarded-For"];
        handshake["http"]["headers"] = json!(names.map(|header| [header, name]));
    }
    handshake["http"]["path"] = name.into();
    handshake["note"] = name.into();
    handshake
}

#[test]
fn client_text_is_escaped() {
    let default = policy("policies/default.policy");
    let mut shown = Shown::new();
    for name in NASTY {
        let value = called(name);
        let handshake = gw::handshake::parse(&value.to_string()).unwrap();
        let brought = Brought::of(&handshake, &value["connect"]);
        let admission = brought.shown(&default, &mut shown).unwrap();
        let line = admission.event.to_string();
        let quotes = line.matches('"').count() - line.matches("\\\"").count();
        assert_eq!(quotes, 2, "the name ends where it says: {line}");
        let account = {
            let subject = gw::explain::Subject::of_facts(&admission.facts);
            gw::explain(&default, &admission.facts, &subject)
        };
        shown.line("Explanation", &format!("{account:?}"));
    }
    // A name that is cut is cut between two escapes.
    for length in 55..80 {
        let value = called(&format!("{}\"\u{1b}\" x", "n".repeat(length)));
        let handshake = gw::handshake::parse(&value.to_string()).unwrap();
        let brought = Brought::of(&handshake, &value["connect"]);
        let line = brought
            .shown(&default, &mut shown)
            .unwrap()
            .event
            .to_string();
        let quotes = line.matches('"').count() - line.matches("\\\"").count();
        assert_eq!(quotes, 2, "{line}");
    }
    shown.done();
}

/// What is printed of a recording: for people, and as JSON.
#[test]
fn printed_client_text_is_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = String::new();
    for (at, name) in NASTY.iter().enumerate() {
        let path = folder.path().join(format!("{at}.json"));
        fs::write(&path, called(name).to_string()).unwrap();
        let forms = [
            &["--all"][..],
            &["--format", "plain"],
            &["--format", "json"],
        ];
        for more in forms {
            let output = Command::new(env!("CARGO_BIN_EXE_gw"))
                .arg("explain")
                .arg(&path)
                .args(more)
                .current_dir(root())
                .env_remove("FORCE_COLOR")
                .output()
                .unwrap();
            let printed = [output.stdout, output.stderr].concat();
            let printed = String::from_utf8(printed).unwrap();
            assert!(!printed.is_empty());
            for line in printed.lines().filter(|line| line.chars().any(is_raw)) {
                let _ = writeln!(wrong, "{more:?} {}", line.escape_debug());
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Configurations in which a secret stands in every place that people put one, wrong ones among
/// them: neither what is said of them nor what is kept of them shows it.
#[test]
fn what_is_said_of_configurations() {
    use gw::config::openclaw::{Options, import};
    use gw::config::{Config, Overrides};
    use gw::diagnostic::render::{Format, render};
    const SECRET: &str = "3f9a1c77e0b24d58-not-a-secret";
    let texts = [
        "auth: { token: X }",
        "auth: { password: X } # X",
        "auth: { tokn: X }",
        "auth: X",
        "auth: [X]",
        "auth: { mode: X }",
        "auth: { token: { file: X } }",
        "auth: { token: { env: X } }",
        "auth: { token: { value: X } }",
        "auth: { token: [X] }",
        "auth: { token: 'X }",
        "auth:\n  token: X\n   password: X\n",
        "auth:\n\ttoken: X\n",
        "token: X",
        "X",
        "- X",
        "gateway: { auth: { token: X } }",
        "listen: X",
        "listen: { port: X, bind: X }",
        "metrics: X",
        "tls: X",
        "limits: { tickMs: X }",
        "policy: https://host/?token=X",
        "state: https://user:X@host/",
        "controlUi: { allowedOrigins: ['https://host/#token=X'] }",
        "trustedProxies: ['http://u:X@10.0.0.1']",
        "compatibility: { controlUiBuild: 'token=X', helloAuth: 'token=X' }",
        "# token: X\nzzz: 1",
        "auth: { token: &a X, password: *a }",
    ];
    let host = gw::host::Local { built_in: |_| None };
    let mut shown = Shown::new();
    for text in texts {
        let text = text.replace('X', SECRET);
        let (diagnostics, sources) =
            match Config::read(Some(("gw.yaml", &text)), &Overrides::default(), &host) {
                Ok(config) => {
                    shown.debug(&text, &config);
                    shown.text("shown", &format!("{:?}", config.shown()));
                    (config.warnings().clone(), config.sources().clone())
                }
                Err(error) => {
                    shown.debug("ConfigError", &error);
                    (error.diagnostics, error.sources)
                }
            };
        for format in [
            Format::Human { colour: false },
            Format::Plain,
            Format::Json,
            Format::Sarif,
        ] {
            shown.text(
                &text.replace(SECRET, "X"),
                &render(&diagnostics, &sources, format),
            );
        }
    }
    for text in [
        "{ gateway: { auth: { token: 'X' } } }",
        "{ gateway: { auth: { token: ['X'], password: { source: 'X', id: 'X' } } } }",
        "{ gateway: { auth: 'X', bind: 'X', customBindHost: 'X', port: 'X' } }",
        "{ gateway: { remote: { token: 'X' }, trustedProxies: ['X', 'https://u:X@h'] } }",
        "{ gateway: { auth: { mode: 'X', token: 'X, ${X}' } } }",
        "{ gateway: 'X }",
    ] {
        match import(
            "openclaw.json",
            &text.replace('X', SECRET),
            &Options::default(),
        ) {
            Ok(import) => {
                shown.debug("Import", &import);
                shown.text("report", &import.report.to_string());
                shown.text("gw.yaml", &import.config);
            }
            Err(error) => shown.debug("ConfigError", &error),
        }
    }
    shown.done();
}
