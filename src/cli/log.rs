//! The files of a log of decisions: the one that is written, and the older ones beside it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::PathBuf;

use super::output::{Output, ReportFormat};
use super::{Exit, config, load};
use crate::config::{DECISIONS, Overrides};
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::Text;
use crate::journal::read::line;
use crate::journal::{Kind, Line, LineError, Upgraded};
use crate::lang::ReadError;
use crate::source::{Sources, printable_line, visible};

const GOES_ON: &str = "the log is read that is in the state folder";

/// The longest line that is read, in bytes; those that are written have a few thousand.
pub(super) const MAX_LINE: u64 = 1 << 18;

/// So many bad lines of a file are told one by one.
const MOST_TOLD: usize = 5;

/// The log of which gateway, where no file is named.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct LogArgs {
    /// The configuration that names the log; without one, gw.yaml or, where there is none, the
    /// defaults
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<String>,

    /// The state folder that the log is in
    #[arg(long, value_name = "DIR")]
    pub(super) state: Option<String>,
}

impl LogArgs {
    /// The file that the gateway writes.
    pub(super) fn file(&self, output: &mut Output, format: ReportFormat) -> Result<String, Exit> {
        let overrides = Overrides {
            state: self.state.clone(),
            ..Overrides::default()
        };
        let config = match config::read_with(self.config.as_deref(), &overrides) {
            Ok(config) => config,
            Err(unread) => {
                // Of one that was edited the log is where the folder has it, as a rule.
                let state = self.state.clone().map(PathBuf::from);
                let state = state.or_else(|| unread.state());
                let usual = state.map(|state| state.join(DECISIONS));
                let Some(usual) = usual.filter(|file| file.is_file()) else {
                    return Err(unread.report(output, format));
                };
                output.complain(&unread.warning(GOES_ON, &usual.to_string_lossy()));
                return Ok(usual.to_string_lossy().into_owned());
            }
        };
        if let Some(decisions) = &config.log.decisions {
            return Ok(decisions.file.to_string_lossy().into_owned());
        }
        let message = "the configuration keeps no log of decisions";
        let diagnostic = Diagnostic::error(Code::UnreadableFile, message)
            .help("write `log: { decisions: { file: true } }`, or name a file");
        output.report_one(diagnostic, &Sources::default(), format);
        Err(Exit::Input)
    }
}

/// A log that was not named cannot be read: where it was looked for, and what names another.
pub(super) fn unreadable(path: &str, error: &ReadError, named: bool) -> Diagnostic {
    let mut diagnostic = load::unreadable(path, error);
    if !named {
        diagnostic.help.clear();
        let help = "a gateway that serves writes it: `--state` and `--config` name another one's";
        diagnostic = diagnostic.help(help);
    }
    diagnostic
}

/// A line of a file that could be read.
pub(super) struct Placed {
    /// The file.
    pub(super) file: String,
    /// Which line of it, from 1.
    pub(super) at: usize,
    /// The line.
    pub(super) line: Line,
    /// The same as it stands there.
    pub(super) text: String,
}

/// The files of a log, the oldest first: FILE.2, FILE.1, FILE.
pub(super) fn files(path: &str) -> Vec<String> {
    let older = (1..).map(|number| format!("{path}.{number}"));
    let older = older.take_while(|file| std::path::Path::new(file).is_file());
    let mut files: Vec<String> = std::iter::once(path.to_owned()).chain(older).collect();
    files.reverse();
    files
}

/// Reads every line of a log, the oldest first, and gives those that can be read; what cannot is
/// told to `warn`, and passed over.
pub(super) fn lines(
    path: &str,
    warn: &mut dyn FnMut(String),
    take: &mut dyn FnMut(Placed),
) -> Result<(), ReadError> {
    let files = files(path);
    let newest = files.len().saturating_sub(1);
    for (number, name) in files.iter().enumerate() {
        match one(name, warn, take) {
            // The file itself may be away for the moment in which another one is begun.
            Err(ReadError::NotFound) if newest > 0 => {}
            Err(error) if number == newest => return Err(error),
            Err(error) => warn(format!("{} cannot be read: {error}", printable_line(name))),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Reads one file of a log in the same way.
pub(super) fn one(
    name: &str,
    warn: &mut dyn FnMut(String),
    take: &mut dyn FnMut(Placed),
) -> Result<(), ReadError> {
    let file = File::open(name).map_err(|error| unread(&error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(ReadError::Folder);
    }
    let mut reader = BufReader::new(file);
    let mut bad = 0;
    let mut bytes = Vec::new();
    for at in 1.. {
        bytes.clear();
        let mut limited = (&mut reader).take(MAX_LINE);
        let read = limited.read_until(b'\n', &mut bytes);
        if read.map_err(|error| unread(&error))? == 0 {
            break;
        }
        let ended = bytes.last() == Some(&b'\n');
        let too_long = !ended && bytes.len() as u64 == MAX_LINE;
        if too_long {
            let rest = skip_line(&mut reader);
            rest.map_err(|error| unread(&error))?;
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end();
        if text.is_empty() {
            continue;
        }
        match line(text) {
            Ok(line) => take(Placed {
                file: name.to_owned(),
                at,
                line,
                text: text.to_owned(),
            }),
            Err(error) => {
                bad += 1;
                if bad <= MOST_TOLD {
                    match too_long {
                        true => warn(format!(
                            "{}:{at} is longer than {MAX_LINE} bytes, and passed over",
                            printable_line(name)
                        )),
                        false => warn(bad_line(name, at, &error, ended)),
                    }
                }
            }
        }
    }
    if bad > MOST_TOLD {
        let more = bad - MOST_TOLD;
        warn(format!(
            "{} has {more} more such lines",
            printable_line(name)
        ));
    }
    Ok(())
}

/// What is said of a line that cannot be read.
pub(super) fn bad_line(name: &str, at: usize, error: &LineError, ended: bool) -> String {
    let name = printable_line(name);
    let place = match error.column {
        0 => format!("{name}:{at}"),
        column => format!("{name}:{at}:{column}"),
    };
    if !ended {
        return format!("{name}:{at} is cut off, as by a crash, and passed over");
    }
    format!(
        "{place} is no line of a log, and passed over: {}",
        visible(&error.message)
    )
}

fn skip_line(reader: &mut impl std::io::BufRead) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// Why a file of a log cannot be read.
pub(super) fn unread(error: &std::io::Error) -> ReadError {
    if error.kind() == ErrorKind::NotFound {
        ReadError::NotFound
    } else if error.kind() == ErrorKind::IsADirectory {
        ReadError::Folder
    } else {
        ReadError::Refused(error.to_string())
    }
}

/// One line for people: when, what, who, from where, by which rule, and which connection.
pub(super) fn shown(line: &Line) -> String {
    format!("{}  {}", line.time, said(line))
}

/// The same without the time.
pub(super) fn said(line: &Line) -> String {
    let text = |text: &Option<Text>| text.as_deref().map(visible).unwrap_or_default();
    let mut words = vec![format!("{:<16}", what(line))];
    words.extend(who(line));
    words.extend(from(line));
    if line.by.is_some() {
        words.push(format!("by {}", text(&line.by)));
    }
    if let Some(owner) = &line.owner {
        let who = owner.device.as_deref().map(short);
        let who = who.unwrap_or_else(|| "an owner without a device".to_owned());
        words.push(format!("asked for by {who}"));
    }
    if let Some(upgrade) = &line.upgrade {
        words.push(asks_for_more(upgrade));
    }
    match (line.kind, line.dropped) {
        (Kind::LinesLeftOut, Some(count)) => {
            words.push(format!(
                "{count} more without a line: undecided, or refused with no right secret"
            ));
        }
        (_, Some(count)) => words.push(format!("{count} lines are missing here")),
        (_, None) => {}
    }
    if let Some(request) = &line.request {
        words.push(format!("request {}", visible(request)));
    }
    if !line.connection.is_empty() {
        words.push(format!("connection {}", visible(&line.connection)));
    }
    words.join("  ").trim_end().to_owned()
}

/// The verdict with its reason, or what else the line is about. What was answered otherwise than
/// it was decided is said.
pub(super) fn what(line: &Line) -> String {
    let text = |text: &Option<Text>| text.as_deref().map(visible).unwrap_or_default();
    let reason = text(&line.reason);
    let head = match (&line.verdict, line.action) {
        (Some(verdict), _) => visible(verdict).to_uppercase(),
        (None, Some(action)) => format!("{} {action}", line.kind),
        (None, None) => line.kind.to_string(),
    };
    let admits = matches!(line.verdict.as_deref(), Some("approve" | "silent-approve"));
    let answer = line.answer.as_ref();
    let otherwise = answer.filter(|answer| admits && !answer.admitted);
    let otherwise = otherwise.map(|answer| {
        if line.cause.is_some() {
            return ", but the server behind did not take it".to_owned();
        }
        let code = answer.code.as_deref().map(visible).unwrap_or_default();
        format!(", but answered {code}")
    });
    // Over HTTP another word may be told than was decided.
    let told = answer.filter(|answer| line.kind == Kind::Decided && !admits && !answer.admitted);
    let told = told.and_then(|answer| Some((answer.http?, answer.code.as_deref()?)));
    let told = told.filter(|(_, code)| code.replace('_', "-") != reason);
    let otherwise = otherwise
        .or_else(|| told.map(|(status, code)| format!(", told {status} {}", visible(code))));
    let whole = format!("{head} {reason}");
    whole.trim_end().to_owned() + &otherwise.unwrap_or_default()
}

/// Roles and scopes from what was approved to what is asked for.
pub(super) fn asks_for_more(upgrade: &Upgraded) -> String {
    let list = |names: &[Box<str>]| match names.is_empty() {
        true => "none".to_owned(),
        false => visible(&names.join(", ")),
    };
    let mut parts = Vec::new();
    if !upgrade
        .roles_from
        .iter()
        .any(|role| **role == *upgrade.role_to)
    {
        let from = list(&upgrade.roles_from);
        parts.push(format!("role {from} → {}", visible(&upgrade.role_to)));
    }
    if upgrade.scopes_from != upgrade.scopes_to {
        let (from, to) = (list(&upgrade.scopes_from), list(&upgrade.scopes_to));
        parts.push(format!("scopes {from} → {to}"));
    }
    let other = [
        ("platform", &upgrade.platform_from, &upgrade.platform_to),
        ("family", &upgrade.family_from, &upgrade.family_to),
    ];
    for (what, from, to) in other {
        if let (Some(from), Some(to)) = (from, to) {
            parts.push(format!("{what} {} → {}", visible(from), visible(to)));
        }
    }
    if parts.is_empty() {
        parts.push(visible(&upgrade.reason));
    }
    format!("asks for more: {}", parts.join(", "))
}

/// The client, what it calls itself, and its device.
fn who(line: &Line) -> Vec<String> {
    let mut words = Vec::new();
    let known = line
        .facts
        .as_ref()
        .filter(|kept| kept.until == crate::facts::Stage::Connect);
    let name = line.says.as_ref().and_then(|says| says.name.as_deref());
    if let Some(kept) = known {
        let name = name.map_or_else(String::new, |name| format!(" \"{}\"", visible(name)));
        words.push(format!("{}{name}", kept.facts.client));
    }
    if let Some(device) = &line.device {
        words.push(short(device));
    }
    words
}

/// The client's address: that of the socket, and the one behind a trusted proxy.
fn from(line: &Line) -> Option<String> {
    let facts = line.facts.as_ref().map(|kept| &kept.facts);
    let remote = line.remote.as_deref().map(visible);
    let client = facts.and_then(|facts| {
        facts
            .client_ip
            .ip()
            .filter(|_| facts.client_ip != facts.peer)
    });
    match (client, remote) {
        (Some(client), Some(remote)) => Some(format!("from {client} through {remote}")),
        (Some(client), None) => Some(format!("from {client}")),
        (None, Some(remote)) => Some(format!("from {remote}")),
        (None, None) => facts.map(|facts| format!("over {}", facts.transport)),
    }
}

/// The first characters of a device id, and the last four.
fn short(id: &str) -> String {
    let count = id.chars().count();
    if count <= 12 {
        return format!("device {}", visible(id));
    }
    let start: String = id.chars().take(4).collect();
    let end: String = id.chars().skip(count - 4).collect();
    format!("device {}…{}", visible(&start), visible(&end))
}
