//! `gw devices list`: what asks, and what is paired.

use super::super::Exit;
use super::super::check::count;
use super::super::output::{AnswerFormat, Output};
use super::super::reach::{self, AskArgs};
use super::super::table::{Table, ago, now_ms, prefixes};
use super::entry::{Devices, Entry, names};
use super::{TO_LIST, listed};

/// Beginnings of ids that are shown, where fewer characters would do.
const SHORTEST: usize = 8;

/// Shows what asks to come in, what it would get, and what is paired
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw devices list
  gw devices list --format json | jq '.pending[].requestId'
  gw devices list --url wss://gateway.example:18789 --token-file token

Exit codes: 0 listed, 1 refused or not reached, 2 wrong command line")]
pub(super) struct Args {
    #[command(flatten)]
    ask: AskArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let devices = reach::ask(&args.ask, TO_LIST, output, async |session, _| {
        Ok(listed(session).await?)
    });
    let devices = match devices {
        Ok(devices) => devices,
        Err(exit) => return exit,
    };
    let (requests, paired) = (requests(&devices, now_ms()), paired(&devices, now_ms()));
    match args.ask.format {
        AnswerFormat::Json => output.say_json(&devices.listed),
        AnswerFormat::Plain => {
            output.say(&requests.told("request"));
            output.say(&paired.told("device"));
        }
        AnswerFormat::Human => output.say(&drawn(&args.ask, &devices, &requests, &paired)),
    }
    Exit::Success
}

fn drawn(ask: &AskArgs, devices: &Devices, requests: &Table<6>, paired: &Table<6>) -> String {
    let waiting = match devices.requests().len() {
        0 => "No request waits.\n".to_owned(),
        waiting => {
            let noun = count(waiting, "request");
            let verb = if waiting == 1 { "waits" } else { "wait" };
            let same = ask.gateway.advice().same;
            format!(
                "{noun} {verb}: {}, or {}\n\n{}",
                same.command("devices approve REQUEST"),
                same.command("devices reject REQUEST"),
                requests.drawn()
            )
        }
    };
    let known = match devices.paired().len() {
        0 => "No device is paired.\n".to_owned(),
        known => {
            let verb = if known == 1 { "is" } else { "are" };
            format!(
                "{} {verb} paired.\n\n{}",
                count(known, "device"),
                paired.drawn()
            )
        }
    };
    format!("{waiting}\n{known}")
}

fn requests(devices: &Devices, now_ms: i64) -> Table<6> {
    let requests = devices.requests();
    let ids: Vec<&str> = requests.iter().map(|it| it.text("requestId")).collect();
    let ids = prefixes(&ids, SHORTEST);
    let rows = requests.iter().zip(ids).map(|(request, id)| {
        let record = devices.record(*request);
        [
            crate::handshake::clean(id),
            device(*request),
            request.who(),
            request.from(),
            ago(request.time("ts"), now_ms),
            gets(*request, record),
        ]
    });
    Table::new(
        ["request", "device", "who", "from", "since", "would get"],
        rows.collect(),
    )
}

/// What a request would get, and what is there already.
fn gets(request: Entry<'_>, record: Option<Entry<'_>>) -> String {
    let (roles, scopes) = request.beyond(record);
    let mut gets: Vec<String> = Vec::new();
    if !roles.is_empty() {
        gets.push(format!("role {}", names(&roles)));
    }
    if !scopes.is_empty() {
        gets.push(names(&scopes));
    }
    if gets.is_empty() {
        gets.push("nothing new".to_owned());
    }
    match record {
        None => gets.join(": "),
        Some(record) if !request.is_of(record) => {
            format!("{}; in the place of another key", gets.join(": "))
        }
        Some(record) => format!("{}; has {}", gets.join(": "), names(&record.scopes())),
    }
}

fn paired(devices: &Devices, now_ms: i64) -> Table<6> {
    let rows = devices.paired();
    let rows = rows.iter().map(|record| {
        let connected = record
            .0
            .get("connected")
            .and_then(serde_json::Value::as_bool);
        let seen = match connected {
            Some(true) => "connected".to_owned(),
            Some(false) | None => ago(record.time("lastSeenAtMs"), now_ms),
        };
        [
            device(*record),
            record.who(),
            record.shown_roles(),
            names(&record.scopes()),
            ago(record.time("approvedAtMs"), now_ms),
            seen,
        ]
    });
    Table::new(
        ["device", "who", "roles", "scopes", "approved", "last seen"],
        rows.collect(),
    )
}

/// The beginning of a device's id. Two that begin alike were made to.
fn device(entry: Entry<'_>) -> String {
    entry.shown("deviceId").chars().take(12).collect()
}
