//! A row of a recording of a real gateway, from disk: the handshake it stands for, and what
//! was answered there and here.

use std::io::Read as _;

use serde_json::{Value, json};

use super::fact::Problem;
use super::load;
use crate::admission::Gate;
use crate::diagnostic::suggest::did_you_mean;
use crate::diagnostic::{Code, Diagnostic};
use crate::handshake::Handshake;
use crate::policy::Policy;
use crate::recorded::{Level, Recording, Replayed, Row, RowError, Signature, replay};
use crate::settings::Compatibility;
use crate::source::{Sources, printable_line};

/// The largest recording, in bytes, as it is stored and when it is unpacked.
const MAX_BYTES: u64 = 256 << 20;
/// What a compressed file begins with (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Where a handshake stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The recording.
    pub(super) path: &'a str,
    /// Configuration and id.
    pub(super) row: &'a str,
    /// Which step, from 1.
    pub(super) step: usize,
}

/// Who answers here.
#[derive(Clone, Copy)]
pub(super) struct By<'a> {
    /// The policy.
    pub(super) policy: &'a Policy,
    /// Where it stands.
    pub(super) path: &'a str,
    /// Whether it was asked for; else it is the default policy.
    pub(super) named: bool,
}

/// What was answered there and here.
pub(super) struct Told {
    release: String,
    theirs: Value,
    ours: Value,
    agree: bool,
    policy: String,
    /// The policy of the recording's release, where another one answered unasked.
    of_release: Option<String>,
    /// Whether facts are supposed: then what is answered here is of another connection.
    supposed: bool,
}

impl Told {
    /// The same, of a connection of which facts are supposed.
    pub(super) fn supposing(self, supposed: bool) -> Self {
        Told { supposed, ..self }
    }

    /// As text, ending with a line break.
    pub(super) fn text(&self) -> String {
        let (theirs, ours) = (answer(&self.theirs), answer(&self.ours));
        let release = printable_line(&self.release);
        let by = self.policy.rsplit(['/', '\\', ':']).next();
        let by = printable_line(by.unwrap_or_default());
        let mut text = match (self.supposed, self.agree) {
            (true, _) => format!(
                "\nThe facts given by --fact are supposed; what {release} answered is of the connection as it was:\n  {theirs}\n"
            ),
            (false, true) => {
                format!("\nRecorded of {release}, and answered here alike by {by}:\n  {theirs}\n")
            }
            (false, false) => {
                format!("\nRecorded of {release}:\n  {theirs}\nAnswered here by {by}:\n  {ours}\n")
            }
        };
        if let Some(policy) = &self.of_release {
            text += &format!("To ask the policy of that release: --policy {policy}\n");
        }
        text
    }

    /// As JSON.
    pub(super) fn json(&self) -> Value {
        let mut told = json!({
            "release": self.release, "policy": self.policy, "supposed": self.supposed,
            "theirs": spelt_out(&self.theirs),
        });
        if let (false, Some(map)) = (self.supposed, told.as_object_mut()) {
            map.insert("ours".to_owned(), spelt_out(&self.ours));
            map.insert("agree".to_owned(), self.agree.into());
        }
        told
    }

    /// What is said of a connection that was answered before any policy was asked, as text.
    pub(super) fn early_text(&self, drawn: bool) -> String {
        let (reads, helps) = (printable_line(&self.reads()), self.helps());
        let told = self.text();
        match drawn {
            true => format!(
                "REFUSED   before any policy was asked\n{reads}\n\n  what helps    {helps}\n{told}"
            ),
            false => format!(
                "verdict: none; refused before any policy was asked\nreads: {reads}\nwhat helps: {helps}\n{told}"
            ),
        }
    }

    /// The same as JSON.
    pub(super) fn early_json(&self) -> Value {
        json!({
            "verdict": null, "admitted": false, "by": null, "reads": self.reads(),
            "remedy": self.helps(), "recorded": self.json(),
        })
    }

    fn reads(&self) -> String {
        let text = |pointer| self.ours.pointer(pointer).and_then(Value::as_str);
        let said = text("/error/message").or_else(|| text("/close/1"));
        said.unwrap_or("the first message cannot be read")
            .to_owned()
    }

    fn helps(&self) -> &'static str {
        let said = self.reads();
        if said.contains("protocol mismatch") {
            "use a client that speaks a version of the protocol that the gateway speaks"
        } else if said.starts_with("invalid connect params") || said.contains("role") {
            "mend in the connect frame what the message names"
        } else {
            "send a `connect` request first, as one JSON object of at most 64 KiB"
        }
    }
}

/// An answer in which a close reason that is the message of the refusal is written as such:
/// recordings have `=` in its place.
fn spelt_out(out: &Value) -> Value {
    let mut out = out.clone();
    let message = out.pointer("/error/message").cloned();
    if let (Some(message), Some(reason)) = (message, out.pointer_mut("/close/1"))
        && reason == "="
    {
        *reason = message;
    }
    out
}

/// An answer on one line.
fn answer(out: &Value) -> String {
    let signature = Signature::of(out, &Value::Null, Level::Wire);
    let mut text = signature.decision;
    if !signature.scopes.is_empty() {
        text += &format!(" with {}", signature.scopes.join(", "));
    }
    if signature.device_token {
        text += ", and a device token";
    }
    // A refusal without a code of its own is told by its message.
    if let Some(message) = signature.message.filter(|message| !text.contains(message)) {
        text += &format!(": {message}");
    }
    if let Some(code) = signature.close {
        text += &format!(" (closed {code})");
    }
    printable_line(&text)
}

/// The rows of a recording, as they are asked for: all, or those that begin with a text.
pub(super) fn rows(path: &str, start: &str) -> Result<Vec<String>, Problem> {
    let recording = recording(path)?;
    let names = recording.rows.iter().map(Row::name);
    let names: Vec<String> = names.filter(|name| name.starts_with(start)).collect();
    if names.is_empty() {
        let start = printable_line(start);
        return Err(
            no_row(format!("{path} has no row that begins with `{start}`"))
                .map_help(listing(path, None)),
        );
    }
    Ok(names)
}

/// The handshake of a row, unless it was answered before a policy is asked, with the answers.
pub(super) fn read(
    place: Place<'_>,
    by: By<'_>,
    constants: Compatibility,
) -> Result<(Option<Handshake>, Told), Problem> {
    let path = place.path;
    let recording = recording(path)?;
    let row = row(&recording, place)?;
    let settings = recording
        .settings(&row.cfg, &constants)
        .map_err(|error| problem(format!("{path}: {error}")))?;
    let gate = Gate {
        policy: by.policy,
        settings: &settings,
    };
    let name = printable_line(place.row);
    let at = place.step.wrapping_sub(1);
    let Some(step) = row.steps().get(at) else {
        let help = match row.steps().len() {
            1 => "it has one handshake, so --step 1".to_owned(),
            several => format!("it has {several} handshakes, so --step 1 to --step {several}"),
        };
        let message = format!("{name} has no handshake {}", place.step);
        return Err(no_row(message).map_help(help));
    };
    let unknown = |error| problem(format!("{path}: {name}: {error}"));
    let replayed = replay(gate, row).map_err(unknown)?;
    let ours = replayed.and_then(|steps| steps.into_iter().nth(at));
    let ours = ours.ok_or_else(|| {
        no_row(format!("{name} cannot be replayed without a socket"))
            .map_help("rows of the groups `http` and `preauth-budget`, and a few of `schema`, are no handshakes")
    })?;
    let handshake = crate::recorded::replay::handshake(gate, row, at).map_err(unknown)?;
    Ok((handshake, told(row, &step.out, ours, by)))
}

fn told(row: &Row, theirs: &Value, ours: Replayed, by: By<'_>) -> Told {
    let of = |out: &Value| Signature::of(out, &Value::Null, Level::Wire);
    let of_release = load::of_release(&row.release).filter(|_| !by.named);
    Told {
        release: row.release.to_string(),
        agree: of(theirs) == of(&ours.out),
        theirs: theirs.clone(),
        ours: ours.out,
        policy: by.path.to_owned(),
        of_release,
        supposed: false,
    }
}

fn row<'a>(recording: &'a Recording, place: Place<'_>) -> Result<&'a Row, Problem> {
    let found = place.row.split_once('/');
    if let Some(row) = found.and_then(|(cfg, id)| recording.row(cfg, id)) {
        return Ok(row);
    }
    let (path, name) = (place.path, printable_line(place.row));
    if let Some((cfg, _)) = found.filter(|(cfg, id)| recording.is_start(cfg, id)) {
        let message = format!("`{name}` is the line of a configuration, not a connection");
        return Err(no_row(message).map_help(listing(path, Some(cfg))));
    }
    let cfg = found.map(|(cfg, _)| cfg);
    let cfg = cfg.filter(|cfg| recording.configurations.contains_key(*cfg));
    let rows = recording.rows.iter();
    let rows = rows.filter(|row| cfg.is_none_or(|cfg| *row.cfg == *cfg));
    let names: Vec<String> = rows.map(Row::name).collect();
    let near = did_you_mean(place.row, names.iter().map(String::as_str));
    let help = near.unwrap_or_else(|| listing(path, cfg));
    Err(no_row(format!("{path} has no row `{name}`")).map_help(help))
}

/// How the rows of a recording are listed.
fn listing(path: &str, cfg: Option<&str>) -> String {
    let rows = cfg.map_or_else(String::new, |cfg| {
        format!(" --row '{}/*'", printable_line(cfg))
    });
    format!("`gw explain --recorded {path}{rows}` lists its rows")
}

fn recording(path: &str) -> Result<Recording, Problem> {
    Recording::read(&text(path)?).map_err(|error| {
        let problem = problem(format!("{path} is no recording: {error}"));
        if matches!(error, RowError::OneValue) {
            let help = format!("a recorded handshake is explained by `gw explain {path}`");
            return problem.map_help(help);
        }
        problem
    })
}

/// The text of a recording, unpacked.
fn text(path: &str) -> Result<String, Problem> {
    let bytes = load::read_bytes(path, MAX_BYTES)
        .map_err(|error| (Box::new(load::unreadable(path, &error)), Sources::default()))?;
    if !bytes.starts_with(&GZIP) {
        return String::from_utf8(bytes)
            .map_err(|_| problem(format!("{path} is neither text nor compressed text")));
    }
    let mut text = String::new();
    let mut unpacked = flate2::read::MultiGzDecoder::new(&*bytes).take(MAX_BYTES + 1);
    let broken = |error| problem(format!("{path} cannot be unpacked: {error}"));
    unpacked.read_to_string(&mut text).map_err(broken)?;
    match text.len() as u64 > MAX_BYTES {
        true => Err(problem(format!("{path} is too large when it is unpacked"))),
        false => Ok(text),
    }
}

fn problem(message: String) -> Problem {
    let diagnostic = Diagnostic::error(Code::UnreadableFile, message);
    (Box::new(diagnostic), Sources::default())
}

fn no_row(message: String) -> Problem {
    let diagnostic = Diagnostic::error(Code::NoSuchRow, message);
    (Box::new(diagnostic), Sources::default())
}

/// Adds what to do about it.
trait WithHelp {
    fn map_help(self, help: impl Into<String>) -> Problem;
}

impl WithHelp for Problem {
    fn map_help(self, help: impl Into<String>) -> Problem {
        let (diagnostic, sources) = self;
        (Box::new(diagnostic.help(help)), sources)
    }
}
