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
use crate::recorded::{Level, Recording, Replayed, Row, Signature, replay};
use crate::settings::Compatibility;
use crate::source::{Sources, printable};

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

/// What was answered there and here.
pub(super) struct Told {
    release: String,
    theirs: Value,
    ours: Value,
    agree: bool,
}

impl Told {
    /// As text, ending with a line break.
    pub(super) fn text(&self) -> String {
        let (theirs, ours) = (answer(&self.theirs), answer(&self.ours));
        let release = printable(&self.release);
        match self.agree {
            true => format!("\nRecorded of {release}, and answered here alike:\n  {theirs}\n"),
            false => format!("\nRecorded of {release}:\n  {theirs}\nAnswered here:\n  {ours}\n"),
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> Value {
        json!({
            "release": self.release, "theirs": self.theirs, "ours": self.ours,
            "agree": self.agree,
        })
    }
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
    printable(&text)
}

/// The handshake of a row, unless it was answered before a policy is asked, with the answers.
pub(super) fn read(
    place: Place<'_>,
    policy: &Policy,
    constants: Compatibility,
) -> Result<(Option<Handshake>, Told), Problem> {
    let path = place.path;
    let recording = Recording::read(&text(path)?)
        .map_err(|error| problem(format!("{path} is no recording: {error}")))?;
    let row = row(&recording, place)?;
    let settings = recording
        .settings(&row.cfg, &constants)
        .map_err(|error| problem(format!("{path}: {error}")))?;
    let gate = Gate {
        policy,
        settings: &settings,
    };
    let unknown = |error| problem(format!("{path}: {}: {error}", place.row));
    let replayed = replay(gate, row).map_err(unknown)?;
    let steps = replayed.ok_or_else(|| {
        problem(format!("{}: it takes a real socket to send this", place.row))
            .map_help("rows of the groups `http` and `preauth-budget`, and a few of `schema`, are no handshakes")
    })?;
    let at = place.step.wrapping_sub(1);
    let (Some(step), Some(ours)) = (row.steps().get(at), steps.into_iter().nth(at)) else {
        let message = format!("{} has no handshake {}", place.row, place.step);
        return Err(problem(message).map_help(format!("it has {}", row.steps().len())));
    };
    let handshake = crate::recorded::replay::handshake(gate, row, at).map_err(unknown)?;
    Ok((handshake, told(row, &step.out, ours)))
}

fn told(row: &Row, theirs: &Value, ours: Replayed) -> Told {
    let of = |out: &Value| Signature::of(out, &Value::Null, Level::Wire);
    Told {
        release: row.release.to_string(),
        agree: of(theirs) == of(&ours.out),
        theirs: theirs.clone(),
        ours: ours.out,
    }
}

fn row<'a>(recording: &'a Recording, place: Place<'_>) -> Result<&'a Row, Problem> {
    let found = place.row.split_once('/');
    let found = found.and_then(|(cfg, id)| recording.row(cfg, id));
    found.ok_or_else(|| {
        let rows = recording.rows.iter();
        let names: Vec<String> = rows.map(|row| format!("{}/{}", row.cfg, row.id)).collect();
        let near = did_you_mean(place.row, names.iter().map(String::as_str));
        let help = near.unwrap_or_else(|| {
            "name it as CFG/ID: `zcat FILE | cut -d, -f2,3` lists them".to_owned()
        });
        problem(format!(
            "{} has no row `{}`",
            place.path,
            printable(place.row)
        ))
        .map_help(help)
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
    let mut unpacked = flate2::read::GzDecoder::new(&*bytes).take(MAX_BYTES + 1);
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
