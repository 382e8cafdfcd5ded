//! The log of decisions against recorded connections: what a line gives back is what was decided,
//! and shown as the handshake itself would be. And the log that commands are tried on, made here:
//! `GW_BLESS=1 cargo test --test journal` writes `fixtures/log` anew.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is a test: what is missing fails it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gw::Policy;
use gw::admission::{
    self, Admission, Challenged, Gate, Presented, Remembered, Reply, Upgrade, at_connect,
    at_upgrade, present, refused_upgrade,
};
use gw::explain::{Explanation, Subject, explain};
use gw::facts::{AttributeId, Scope};
use gw::handshake::{self, Handshake};
use gw::journal::{Connection, Fault, Finish, Kind, Line, Managed, Unfinished, read};
use gw::pairing::Standing;
use gw::pairing::change::Fresh;
use gw::pairing::record::Pending;
use gw::pairing::rpc::{Call, Caller, View};
use gw::pairing::store::StoreError;
use gw::secret::Secret;
use gw::settings::Settings;
use gw::wire::reply::{HttpReason, upstream_away};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn policy(path: &str) -> Policy {
    let mut reader = |name: &str, _| {
        let folder = Path::new(path).parent().unwrap();
        let path = match Path::new(name).starts_with(folder) {
            true => PathBuf::from(name),
            false => folder.join(name),
        };
        fs::read_to_string(root().join(path)).map_err(|_| gw::lang::ReadError::NotFound)
    };
    Policy::load(path, &text(path), &mut reader).unwrap_or_else(|error| panic!("{error}"))
}

/// A recorded connection on its way in.
struct Case {
    handshake: Handshake,
    message: Vec<u8>,
}

impl Case {
    fn of(path: &str) -> Self {
        Case::with(path, |_| {})
    }

    /// The same, of a client that says something else.
    fn with(path: &str, change: impl FnOnce(&mut Value)) -> Self {
        let mut value: Value = serde_json::from_str(&text(path)).unwrap();
        change(&mut value);
        Case {
            handshake: handshake::parse(&value.to_string())
                .unwrap_or_else(|error| panic!("{path}: {error}")),
            message: value.get("connect").unwrap().to_string().into_bytes(),
        }
    }

    fn gate<'a>(&'a self, policy: &'a Policy) -> Gate<'a> {
        Gate {
            policy,
            settings: &self.handshake.settings,
        }
    }

    fn upgrade(&self, gate: Gate<'_>) -> Option<Upgrade> {
        let Handshake { socket, http, .. } = self.handshake.clone();
        at_upgrade(gate, socket, http).ok()
    }

    fn presented(&self, settings: &Settings) -> Option<Presented> {
        let challenge = self.handshake.challenge.as_ref();
        let challenged = Challenged {
            nonce: challenge.map_or("", |challenge| &challenge.nonce),
            time_ms: self.handshake.time_ms,
        };
        present(settings, &self.message, challenged).ok()
    }

    /// Decides, and gives the line with what it was made of.
    fn logged(&self, id: &str, policy: &Policy) -> Option<(Line, Admission)> {
        let gate = self.gate(policy);
        let upgrade = self.upgrade(gate)?;
        let presented = self.presented(gate.settings)?;
        let standing = &self.handshake.pairing;
        let mut fresh = Fresh {
            request_id: &mut || "5e1f6c52-0000-4000-8000-00000000000a".into(),
            secret: &mut || Secret::new("made-not-a-secret"),
        };
        let remembered = Remembered::of(standing);
        let admission = at_connect(gate, &upgrade, &presented, remembered, &mut fresh);
        let phrases = admission::evidence(gate, &upgrade, &presented, standing, &admission.facts);
        let connection = Connection::of(id, &upgrade);
        let line = Line::decided(&connection, policy, &admission);
        Some((line.shown_by(phrases), admission))
    }

    fn connection(&self, id: &str) -> Connection {
        Connection::new(id, &self.handshake.socket, Some("openclaw/2026.9.6"))
    }
}

/// The recorded connections of the project.
fn recorded() -> Vec<String> {
    let mut found = Vec::new();
    for folder in fs::read_dir(root().join("fixtures/issues")).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "json") {
                let path = path.strip_prefix(root()).unwrap();
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn again(line: &Line) -> Line {
    let text = line.text();
    read::line(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What an operator is shown of facts, where it is worth showing.
fn shown(explanation: &Explanation) -> Vec<String> {
    let facts = explanation.facts.iter().filter(|fact| fact.notable);
    facts
        .map(|fact| {
            let name = fact.attribute.row().name;
            format!(
                "{name} {} {}: {}",
                fact.value, fact.provenance, fact.evidence
            )
        })
        .collect()
}

/// The phrases of a handshake, as `gw explain HANDSHAKE.json` has them.
fn phrases(handshake: &Handshake) -> Vec<String> {
    let observed = handshake::observe(handshake);
    let phrase = |id| {
        let evidence = observed.evidence.get(id);
        evidence.show(id, &handshake.seen(), &observed.facts)
    };
    AttributeId::all().map(phrase).collect()
}

#[test]
fn a_line_explains_as_its_handshake_does() {
    let policies = ["policies/default.policy", "policies/docker.policy"].map(policy);
    let (mut count, mut wrong) = (0, Vec::new());
    for path in recorded() {
        let case = Case::of(&path);
        for policy in &policies {
            let Some((line, admission)) = case.logged("c", policy) else {
                continue;
            };
            count += 1;
            let back = again(&line);
            assert_eq!(back, line, "{path}");
            let explained = back.explained().unwrap();
            assert_eq!(explained.facts, admission.facts, "{path}");
            let from_log = explain(policy, &explained.facts, &explained.subject);
            assert_eq!(from_log.decision, admission.decision, "{path}");
            assert_eq!(line.clause.as_deref(), Some(&*from_log.by.hash), "{path}");
            let subject = Subject {
                evidence: phrases(&case.handshake),
                ..explained.subject.clone()
            };
            let direct = explain(policy, &admission.facts, &subject);
            for (log, own) in shown(&from_log).into_iter().zip(shown(&direct)) {
                if log != own {
                    wrong.push(format!("{path}\n  log  {log}\n  self {own}"));
                }
            }
        }
    }
    assert!(count > 100, "{count} lines");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The fixture: one line of each kind, and a few connections that people ask about.
fn log() -> (Vec<Line>, Vec<Line>) {
    let default = policy("policies/default.policy");
    let docker = policy("policies/docker.policy");
    let id = |at: u32| format!("{at:04x}5c6d-1b2c-4d3e-8f4a-5b6c7d8e9f00");
    let at = |line: Line, seconds: i64| {
        let mut line = line;
        line.time.0 += seconds * 1_000;
        line
    };
    let decided = |path: &str, at_seconds: i64, number: u32, policy: &Policy| {
        let case = Case::of(path);
        let (line, _) = case.logged(&id(number), policy).unwrap();
        at(line, at_seconds)
    };
    let older = vec![
        decided("fixtures/handshake/local-cli.json", 0, 0x1a01, &default),
        decided(
            "fixtures/issues/55067-docker-cli-refused/untrusted-proxy.json",
            1,
            0x2b02,
            &default,
        ),
    ];
    let case = Case::of("fixtures/handshake/local-cli.json");
    let now = case.handshake.time_ms;
    let connection = |number: u32| case.connection(&id(number));
    let upgrade = case.upgrade(case.gate(&default)).unwrap();
    let frame = br#"{"type":"req","id":"1","method":"connect","params":{"minProtocol":9,"maxProtocol":9,"client":{"id":"cli","version":"1","platform":"linux","mode":"cli"}}}"#;
    let challenged = Challenged {
        nonce: "n",
        time_ms: now,
    };
    let Err(mismatch) = present(&case.handshake.settings, frame, challenged) else {
        panic!("it speaks no version")
    };
    let Err(schema) = present(
        &case.handshake.settings,
        br#"{"type":"req","id":"1","method":"connect","params":{"minProtocol":4,"maxProtocol":4,"client":{"id":"cli","version":"1","platform":"linux","mode":"cli","e\u001b[2Jvil":1}}}"#,
        challenged,
    ) else {
        panic!("it breaks the schema")
    };
    let proxied = Case::of("fixtures/issues/55067-docker-cli-refused/untrusted-proxy.json");
    let behind = proxied.upgrade(proxied.gate(&default)).unwrap();
    let newest = policy("policies/openclaw/2026.9.6.policy");
    let gate = proxied.gate(&newest);
    let Handshake { socket, http, .. } = &proxied.handshake;
    let refused = refused_upgrade(gate, socket, http).unwrap();
    let asks_more = Case::of("fixtures/issues/16305-scope-upgrade/handshake.json");
    let (scopes, admission) = asks_more.logged(&id(0x3c03), &default).unwrap();
    let unkept = {
        let gate = case.gate(&default);
        let presented = case.presented(gate.settings).unwrap();
        let reply = presented.unkept(&StoreError::TooManyRequests);
        let (_, admission) = case.logged("x", &default).unwrap();
        Line::decided(&connection(0x4d04), &default, &admission).unkept(&reply)
    };
    let not_taken = {
        let (line, admission) = case.logged(&id(0x7b0d), &default).unwrap();
        let Reply::Admitted(admitted) = &admission.reply else {
            panic!("it is let in")
        };
        let reply = Reply::Refused {
            id: admitted.id.clone(),
            refusal: Box::new(upstream_away(true)),
        };
        let why = "it refuses: unauthorized: gateway token mismatch (INVALID_REQUEST); look at \
                   `upstream.token`: it is the secret of the upstream";
        line.not_taken(&reply, why)
    };
    // Of a plain server behind.
    let plain_client = {
        let gate = proxied.gate(&default);
        let token = gate.settings.auth.token().cloned();
        let presented = Presented::of_request(gate.settings, token.as_ref(), now);
        let standing = Standing::default();
        let locks = Remembered::of(&standing).locks;
        let admission = admission::plain(gate, &behind, &presented, locks);
        let phrases = admission::evidence(gate, &behind, &presented, &standing, &admission.facts);
        let connection = Connection::of(id(0x7b0e), &behind);
        Line::decided(&connection, &default, &admission).shown_by(phrases)
    };
    let newer = vec![
        at(
            Line::session_ended(
                &connection(0x1a01),
                now,
                None,
                Finish::PolicyChanged,
                Some(1008),
            ),
            60,
        ),
        at(scopes, 61),
        at(
            Line::upgrade_refused(
                &proxied.connection(&id(0x5e05)),
                now,
                HttpReason::ProxyAttributionRequired,
                Some((&newest, &refused)),
            ),
            62,
        ),
        at(
            Line::upgrade_refused(&connection(0x5e06), now, HttpReason::WaitingSockets, None),
            63,
        ),
        at(
            Line::frame_refused(&connection(0x6f06), now, &upgrade, &mismatch),
            64,
        ),
        at(
            Line::frame_refused(&connection(0x6f07), now, &upgrade, &schema),
            65,
        ),
        at(
            Line::unfinished(
                &proxied.connection(&id(0x7a07)),
                now,
                Some(&behind),
                Unfinished::TimedOut,
                None,
            )
            .shown_by(behind.evidence(&proxied.handshake.settings)),
            66,
        ),
        at(not_taken, 66),
        at(plain_client, 66),
        at(approved(&connection(0x8b08), &admission, &asks_more), 67),
        Line::lines_dropped(now + 68_000, 12),
        Line::lines_left_out(now + 69_000, Some("2001:db8:1:2::/64"), 893),
        at(unkept, 69),
        decided(
            "fixtures/issues/55067-other-container/handshake.json",
            70,
            0x9c09,
            &docker,
        ),
        at(guest(&id(0xa10a)), 71),
        at(
            Case::with("fixtures/issues/56377-macos-update/remote.json", |value| {
                *value.pointer_mut("/pairing/record/deviceFamily").unwrap() = "iMac".into();
            })
            .logged(&id(0xa20b), &default)
            .unwrap()
            .0,
            72,
        ),
        decided(
            "fixtures/issues/attack-bad-proof/other-nonce.json",
            73,
            0xa30c,
            &lax(),
        ),
        at(rotated(&connection(0x8b09), &asks_more), 74),
    ];
    (older, newer)
}

/// A client that says a lot of itself, and is let in for some time.
fn guest(id: &str) -> Line {
    let text = "gw-policy 1\n[guests] client=cli → silent-approve(scopes={ operator.read }, ttl=\"30d\")\ndefault → require-pairing\n";
    let policy = Policy::parse("guests.policy", text).unwrap();
    let case = Case::with("fixtures/handshake/local-cli.json", |value| {
        let client = value.pointer_mut("/connect/params/client").unwrap();
        let name = "Kim\u{1b}[31m's \u{202e}laptop";
        client
            .as_object_mut()
            .unwrap()
            .insert("displayName".to_owned(), name.into());
        let headers = value.pointer_mut("/http/headers").unwrap();
        let agent = serde_json::json!(["User-Agent", "openclaw/2026.9.6 (linux)"]);
        headers.as_array_mut().unwrap().push(agent);
    });
    case.logged(id, &policy).unwrap().0
}

/// A policy whose answer a law changes.
fn lax() -> Policy {
    let text = "gw-policy 1\n[everybody] client=cli → silent-approve\ndefault → require-pairing\n";
    let policy = Policy::parse("lax.policy", text).unwrap();
    // Where it is served, somebody asks for it.
    assert!(policy.fingerprint().is_some());
    policy
}

/// A device replaces its own token.
fn rotated(connection: &Connection, case: &Case) -> Line {
    let standing = case.handshake.pairing.clone();
    let device = standing.record.as_ref().unwrap().device_id.clone();
    let scopes = [Scope::Admin.name().into()];
    let caller = Caller {
        scopes: &scopes,
        device: Some(&device),
        by_device_token: true,
    };
    let call = Call::Rotate {
        device_id: device.clone(),
        role: "operator".into(),
        scopes: None,
    };
    let mut fresh = Fresh {
        request_id: &mut || "unused".into(),
        secret: &mut || Secret::new("made-not-a-secret"),
    };
    let now = case.handshake.time_ms;
    let view = View {
        standings: &[standing],
        is_connected: &|_| false,
        now_ms: now,
        rules: &case.handshake.settings.compatibility,
    };
    let reply = call.answer(&caller, &view, &mut fresh).unwrap();
    Line::pairing_changed(connection, now, &caller, &call, &reply.change).unwrap()
}

/// The owner approves what was asked for.
fn approved(connection: &Connection, admission: &Admission, case: &Case) -> Line {
    let standing = admission.change.apply(&case.handshake.pairing);
    let request_id = standing
        .pending
        .as_ref()
        .map(|pending: &Pending| pending.request_id.clone());
    let scopes = [Scope::Admin, Scope::Pairing].map(|scope| scope.name().into());
    let caller = Caller {
        scopes: &scopes,
        device: None,
        by_device_token: false,
    };
    let call = Call::Approve {
        request_id: request_id.unwrap(),
    };
    let mut fresh = Fresh {
        request_id: &mut || "unused".into(),
        secret: &mut || Secret::new("made-not-a-secret"),
    };
    let now = case.handshake.time_ms;
    let view = View {
        standings: &[standing],
        is_connected: &|_| false,
        now_ms: now,
        rules: &case.handshake.settings.compatibility,
    };
    let reply = call.answer(&caller, &view, &mut fresh).unwrap();
    Line::pairing_changed(connection, now, &caller, &call, &reply.change).unwrap()
}

fn held(path: &str, made: &str) {
    let file = root().join(path);
    if std::env::var_os("GW_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, made).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == made,
        "{path} is behind: GW_BLESS=1 cargo test --test journal"
    );
}

fn lines(lines: &[Line]) -> String {
    lines.iter().map(|line| line.text() + "\n").collect()
}

#[test]
fn the_log_that_commands_are_tried_on_is_current() {
    let (older, newer) = log();
    held("fixtures/log/decisions.jsonl.1", &lines(&older));
    held("fixtures/log/decisions.jsonl", &lines(&newer));
    let broken = format!(
        "{}\nnothing of the kind\n{{\"gw-log\":1}}\n{}\n{}",
        older.first().unwrap().text(),
        older.last().unwrap().text(),
        newer.first().unwrap().text().get(..200).unwrap(),
    );
    held("fixtures/log/broken.jsonl", &broken);
    let kinds: BTreeSet<&str> = older
        .iter()
        .chain(&newer)
        .map(|line| line.kind.name())
        .collect();
    assert_eq!(kinds.len(), Kind::ALL.len(), "one line of each kind");
}

/// The fields of a line, each with what it says: `docs/log.md`.
const FIELDS: &[(&str, &str)] = &[
    (
        "gw-log",
        "The version of the format. Fields may be added without another one.",
    ),
    (
        "time",
        "When the connect frame arrived, or the thing happened: RFC 3339 in UTC.",
    ),
    ("kind", "What the line is about; the kinds stand above."),
    (
        "connection",
        "The connection. Of a change to a device, the one over which it was asked for.",
    ),
    (
        "remote",
        "The other end of the socket. None over the unix socket and in-process.",
    ),
    ("local", "This end of it."),
    ("verdict", "What was decided."),
    (
        "reason",
        "Why it is refused or waits; of other kinds, why it was refused early or ended.",
    ),
    ("grant", "What bounds the admission, as a policy writes it."),
    (
        "law",
        "The law that changed the clause's answer: no policy can lift it.",
    ),
    (
        "by",
        "The clause that decided: its label, or file and line.",
    ),
    (
        "clause",
        "A hash of that clause's own text: it stays when lines above it change.",
    ),
    (
        "policy.file",
        "The policy, as the gateway was given it; `gw serve` names its whole path.",
    ),
    (
        "policy.digest",
        "A hash over its texts, as `gw check-policy` prints it.",
    ),
    (
        "policy.fingerprint",
        "A hash over what it means, as `gw fingerprint` prints it. The first lines after it was loaded may lack it.",
    ),
    (
        "answer.admitted",
        "Whether it got in. It may not, though the verdict lets it in: `code` says why.",
    ),
    ("answer.code", "`error.code` of the response."),
    ("answer.details", "`error.details.code` of the response."),
    (
        "answer.message",
        "What it was told, of a message that was refused early.",
    ),
    ("answer.close", "The code it was closed with."),
    (
        "answer.http",
        "The status of the HTTP response in place of a WebSocket.",
    ),
    ("answer.token", "A device token went with the answer."),
    (
        "cause",
        "Why the server behind did not take it, though it was let in. It is not told.",
    ),
    (
        "says.name",
        "`client.displayName`: what it wants to be called.",
    ),
    ("says.version", "`client.version`."),
    ("says.agent", "`User-Agent`."),
    (
        "device",
        "The device that it names, proven or not (`facts.verified.device`); or the one that was changed.",
    ),
    (
        "request",
        "The request that waits for the owner, or that was resolved.",
    ),
    ("asked", "The scopes asked for, as they were sent."),
    (
        "scopes",
        "The scopes of the session; of a change, those that the device or its token has now.",
    ),
    (
        "until",
        "When the session or the approval ends, where it does.",
    ),
    (
        "upgrade.reason",
        "What is missing first, where a device asks for more than it was approved for.",
    ),
    ("upgrade.rolesFrom", "The roles that were approved."),
    ("upgrade.roleTo", "The role asked for."),
    ("upgrade.scopesFrom", "The scopes that were approved."),
    ("upgrade.scopesTo", "The scopes asked for."),
    (
        "upgrade.scopeRule",
        "Which scopes cover others (`compatibility.scopeRule`).",
    ),
    (
        "upgrade.platformFrom",
        "The platform that was approved, where another one is named.",
    ),
    ("upgrade.platformTo", "The platform that is named instead."),
    (
        "upgrade.familyFrom",
        "The device family that was approved, where another one is named.",
    ),
    (
        "upgrade.familyTo",
        "The device family that is named instead.",
    ),
    ("action", "What was done to the device."),
    (
        "role",
        "The role of the token that was replaced or revoked.",
    ),
    (
        "owner.device",
        "The device of who asked for it, where the session has proved one.",
    ),
    ("owner.byDeviceToken", "Its device token let it in."),
    ("owner.scopes", "The scopes of that session."),
    (
        "dropped",
        "How many lines are missing before this one, or were left out.",
    ),
    ("facts.claimed", "What the client says."),
    ("facts.observed", "What the socket and the headers show."),
    (
        "facts.verified",
        "What a secret, a signature, the kernel or the store proves.",
    ),
    ("facts.configured", "What the operator set."),
    (
        "evidence",
        "What shows facts, where the facts do not say it by themselves.",
    ),
];

/// The objects whose fields are fields of their own in the table.
const NESTED: [&str; 6] = ["policy", "answer", "says", "upgrade", "owner", "facts"];

#[test]
fn every_field_has_its_row() {
    use std::fmt::Write as _;
    let (older, newer) = log();
    let values: Vec<Value> = older
        .iter()
        .chain(&newer)
        .map(|line| serde_json::from_str(&line.text()).unwrap())
        .collect();
    let known: BTreeSet<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
    for value in &values {
        for (name, inner) in value.as_object().unwrap() {
            match inner
                .as_object()
                .filter(|_| NESTED.contains(&name.as_str()))
            {
                Some(inner) => {
                    for inner in inner.keys() {
                        let name = format!("{name}.{inner}");
                        assert!(known.contains(&*name), "give `{name}` a row");
                    }
                }
                None => assert!(known.contains(&**name), "give `{name}` a row"),
            }
        }
    }
    let mut table = String::from("| field | what it says | for example |\n| --- | --- | --- |\n");
    for (name, doc) in FIELDS {
        let pointer = format!("/{}", name.replace('.', "/"));
        let empty = |value: &&Value| value.as_object().is_none_or(|map| !map.is_empty());
        let mut found = values
            .iter()
            .filter_map(|value| value.pointer(&pointer))
            .filter(empty);
        let shortest = found.by_ref().min_by_key(|value| value.to_string().len());
        let example = shortest.unwrap_or_else(|| panic!("no line has `{name}`"));
        writeln!(table, "| `{name}` | {doc} | `{example}` |").unwrap();
    }
    let mut kinds = String::from("| kind | what the line is about |\n| --- | --- |\n");
    for kind in Kind::ALL {
        writeln!(kinds, "| `{kind}` | {} |", kind.doc()).unwrap();
    }
    let mut words = String::new();
    for (kind, list) in [
        (Kind::FrameRefused, Fault::WORDS),
        (Kind::Unfinished, Unfinished::WORDS),
        (Kind::SessionEnded, Finish::WORDS),
    ] {
        writeln!(words, "- `{kind}`").unwrap();
        for word in list {
            writeln!(words, "  - `{}`: {}", word.name, word.doc).unwrap();
        }
    }
    writeln!(words, "- `action` of `{}`", Kind::PairingChanged).unwrap();
    for word in Managed::WORDS {
        writeln!(words, "  - `{}`: {}", word.name, word.doc).unwrap();
    }
    let example = older.last().unwrap().text();
    let example: Value = serde_json::from_str(&example).unwrap();
    let example = format!(
        "```json\n{}\n```\n",
        serde_json::to_string_pretty(&example).unwrap()
    );
    let mut page = text("docs/log.md");
    for (name, made) in [
        ("kinds", kinds),
        ("fields", table),
        ("reasons", words),
        ("line", example),
    ] {
        let head = format!("<!-- {name}: made by tests/journal.rs -->\n");
        let (before, rest) = page.split_once(&head).unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        page = format!("{before}{head}\n{made}\n<!-- end -->{after}");
    }
    held("docs/log.md", &page);
}

/// What was decided is one thing, and what was answered another: a store that is full keeps
/// nobody's request.
#[test]
fn what_could_not_be_kept_is_logged_as_it_was_answered() {
    let case = Case::of("fixtures/issues/16305-scope-upgrade/handshake.json");
    let default = policy("policies/default.policy");
    let (line, admission) = case.logged("c", &default).unwrap();
    assert!(line.request.is_some());
    assert!(!matches!(admission.reply, Reply::Admitted(_)));
    let text = line.text();
    assert!(!text.contains("unknown-ip"), "{text}");
    let upgrade = line.upgrade.unwrap();
    assert_eq!(&*upgrade.reason, "scope-upgrade");
}
