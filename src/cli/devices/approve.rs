//! `gw devices approve`: what a request would get, the owner's yes, and what the device has then.

use serde_json::{Value, json};

use super::super::Exit;
use super::super::output::{AnswerFormat, Output};
use super::super::reach::{AskArgs, Trouble};
use super::super::table::{ago, now_ms};
use super::entry::{Devices, Entry, changed, names};
use super::{Word, asked, device_of, manage, unfound};
use crate::source::shell_word;

/// Approves a request: the device may come in with what it asked for
///
/// It says first what is granted to whom. On a terminal it asks then; `--yes` says yes before.
/// Without a terminal and without `--yes` it goes on only with a whole request id: a beginning of
/// one, or the latest, might be another request by then, so that is shown and not approved.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw devices approve 6f1c2b3a
  gw devices approve --latest
  gw devices approve 6f1c2b3a-0d5e-4f7a-9b1c-2d3e4f5a6b7c     the whole id: also without a terminal
  gw devices approve --latest --yes                           whatever it is

Exit codes: 0 approved, 1 not approved, or the gateway is not reached, 2 wrong command line")]
pub(super) struct Args {
    /// The request: its id, or a beginning of it that no other has
    #[arg(required_unless_present = "latest")]
    request: Option<String>,

    /// The request that came last
    #[arg(long, conflicts_with = "request")]
    latest: bool,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    #[command(flatten)]
    ask: AskArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let format = args.ask.format;
    let find = |devices: &Devices, output: &mut Output| {
        let found = match args.request.as_deref() {
            Some(id) => devices
                .request(id)
                .map_err(|error| unfound(&error, "approve", &args.ask, output))?,
            None => match devices.requests().first() {
                Some(request) => *request,
                None => {
                    output.complain("error: no request waits\n");
                    return Err(Trouble::Told(Exit::Failure));
                }
            },
        };
        let id = found.text("requestId").to_owned();
        let shown = granted(found, devices.record(found));
        match format {
            // What is granted is seen before the question; programs get the answer alone.
            AnswerFormat::Json => {}
            AnswerFormat::Human | AnswerFormat::Plain => output.say(&shown),
        }
        output.flush();
        let whole = args.request.as_deref() == Some(&id);
        match word(args, whole) {
            Word::Yes => {}
            Word::No => {
                output.complain("not approved: the request waits on\n");
                return Err(Trouble::Told(Exit::Failure));
            }
            Word::Unsure => {
                let words = format!("devices approve {}", shell_word(&found.shown("requestId")));
                let again = args.ask.gateway.advice().same.command(&words);
                output.complain(&format!(
                    "error: not approved: no terminal to ask at: give the whole request id, or --yes\n  help: {again}\n"
                ));
                return Err(Trouble::Told(Exit::Failure));
            }
        }
        Ok((id, found.takes()))
    };
    let approved = manage(&args.ask, output, find, async |session, id| {
        let params = json!({ "requestId": id });
        session.call("device.pair.approve", params).await
    });
    match approved {
        Ok(answer) => {
            match format {
                AnswerFormat::Json => output.say_json(&answer),
                AnswerFormat::Human | AnswerFormat::Plain => {
                    output.say(&format!("approved\n{}", has(device_of(&answer))));
                }
            }
            Exit::Success
        }
        Err(exit) => exit,
    }
}

/// What a request would get, in lines.
fn granted(request: Entry<'_>, record: Option<Entry<'_>>) -> String {
    let (roles, scopes) = request.beyond(record);
    let mut text = String::new();
    let mut say = |label: &str, value: &str| text.push_str(&format!("{label:<10}{value}\n"));
    say("request", &request.shown("requestId"));
    say("device", &request.shown("deviceId"));
    say("says", &request.who());
    let since = ago(request.time("ts"), now_ms());
    say("from", &format!("{}; {since}", request.from()));
    if let Some(record) = record {
        let had = format!("{}: {}", record.shown_roles(), names(&record.scopes()));
        match request.is_of(record) {
            true => say("has", &had),
            false => say(
                "replaces",
                &format!("{had}, of another key; that one is out then"),
            ),
        }
    }
    for change in record
        .map(|record| changed(request, record))
        .into_iter()
        .flatten()
    {
        say("beware", &change);
    }
    say("role", &added(&roles, &request.roles()));
    say("scopes", &added(&scopes, &request.scopes()));
    text
}

/// What is added, or what was there already.
fn added(beyond: &[&str], asked: &[&str]) -> String {
    match (beyond.is_empty(), asked.is_empty()) {
        (false, _) => format!("+ {}", names(beyond)),
        (true, true) => "–".to_owned(),
        (true, false) => format!("{}, as before", names(asked)),
    }
}

/// What a device has, in lines.
pub(super) fn has(device: &Value) -> String {
    let device = Entry(device);
    format!(
        "device    {}\nhas now   {}: {}\n",
        device.shown("deviceId"),
        device.shown_roles(),
        names(&device.scopes())
    )
}

fn word(args: &Args, whole: bool) -> Word {
    match asked("approve this?", args.yes, args.ask.format) {
        Word::Unsure if whole => Word::Yes,
        word @ (Word::Yes | Word::No | Word::Unsure) => word,
    }
}
