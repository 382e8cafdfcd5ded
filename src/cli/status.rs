//! `gw status`: whether a gateway is there, what decides, who is connected, what waits.

use serde_json::{Value, json};

use super::Exit;
use super::check::count;
use super::output::{AnswerFormat, Output};
use super::policy;
use super::reach::{self, AskArgs};
use super::table::{Table, ago, moment, now_ms};
use super::trouble::clean_line;
use crate::client::ClientError;
use crate::facts::Scope;
use crate::handshake::clean;

/// Says whether a gateway is there, which policy decides, who is connected and what waits
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw status
  gw status --state scratch
  gw status --url wss://gateway.example:18789 --token-file token
  gw status --format json | jq .policy.digest

Exit codes: 0 a gateway is there, 1 none is reached, 2 wrong command line")]
pub(super) struct Args {
    #[command(flatten)]
    ask: AskArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let asked = reach::ask(&args.ask, &[Scope::Read], output, async |session, _| {
        let mut status = session.call("status", json!({})).await?;
        let devices = match session.call("device.pair.list", json!({})).await {
            // Who reads may not see the devices.
            Err(ClientError::Refused(refusal)) if !refusal.is_for_now() => Value::Null,
            devices => devices?,
        };
        let length = |name: &str| devices.get(name).and_then(Value::as_array).map(Vec::len);
        if let Some(status) = status.as_object_mut() {
            status.insert("url".to_owned(), session.target().into());
            status.insert("requestsWaiting".to_owned(), json!(length("pending")));
            status.insert("devicesPaired".to_owned(), json!(length("paired")));
        }
        Ok(status)
    });
    let status = match asked {
        Ok(status) => status,
        Err(exit) => return exit,
    };
    match args.ask.format {
        AnswerFormat::Json => output.say_json(&status),
        AnswerFormat::Human => output.say(&told(&status, &args.ask, Table::drawn)),
        AnswerFormat::Plain => {
            output.say(&told(&status, &args.ask, |table| table.told("session")));
        }
    }
    Exit::Success
}

fn told(status: &Value, ask: &AskArgs, table: fn(&Table<5>) -> String) -> String {
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.map_or_else(|| "–".to_owned(), clean)
    };
    let number = |name: &str| status.get(name).and_then(Value::as_u64);
    let mut told = format!(
        "gateway   {}, version {}, started {}\n",
        clean_line(
            status
                .get("url")
                .and_then(Value::as_str)
                .unwrap_or_default()
        ),
        text(status, "runtimeVersion"),
        ago(
            number("uptimeMs").map(|up| now_ms().saturating_sub_unsigned(up)),
            now_ms()
        ),
    );
    told.push_str(&policy::told(status.get("policy").unwrap_or(&Value::Null)));
    for (label, place) in [
        ("state", "/stateDir"),
        ("TLS", "/tls/fingerprint"),
        ("", "/tls/problem"),
    ] {
        if let Some(value) = status.pointer(place).and_then(Value::as_str) {
            told.push_str(&format!("{label:<10}{}\n", clean_line(value)));
        }
    }
    if let Some(behind) = status.get("upstream") {
        told.push_str(&of_behind(behind));
    }
    told.push_str(&unkept(status));
    told.push_str(&locked_out(status));
    let many = |name: &str, noun: &str| {
        let number = number(name).and_then(|number| usize::try_from(number).ok());
        count(number.unwrap_or(0), noun)
    };
    let list = ask.gateway.advice().same.command("devices list");
    told.push_str(&match number("requestsWaiting") {
        None => format!("devices   `{list}` asks for them\n"),
        Some(waiting) => format!(
            "devices   {}, {}{}\n",
            many("devicesPaired", "device"),
            many("requestsWaiting", "request"),
            match waiting {
                0 => String::new(),
                _ => format!(" for you: {list}"),
            }
        ),
    });
    let sessions = status.get("sessions").and_then(Value::as_array);
    let rows: Vec<[String; 5]> = sessions
        .into_iter()
        .flatten()
        .map(|session| {
            let device = text(session, "device");
            [
                format!("{}/{}", text(session, "client"), text(session, "mode")),
                text(session, "role"),
                device.chars().take(12).collect(),
                match text(session, "from") {
                    from if from == "none" => "its own socket".to_owned(),
                    from => from,
                },
                ago(session.get("sinceMs").and_then(Value::as_i64), now_ms()),
            ]
        })
        .collect();
    told.push_str(&format!("sessions  {}, this one too\n\n", rows.len()));
    told.push_str(&table(&Table::new(
        ["client", "role", "device", "from", "since"],
        rows,
    )));
    told
}

/// Why what is decided is not kept, where it is not.
fn unkept(status: &Value) -> String {
    let Some(what) = status.pointer("/unkept/what").and_then(Value::as_str) else {
        return String::new();
    };
    let at = status.pointer("/unkept/atMs").and_then(Value::as_i64);
    let (ago, what) = (ago(at, now_ms()), clean_line(what));
    format!("store     what was decided last could not be kept, {ago}: {what}\n")
}

/// Who fails too often, a line each.
fn locked_out(status: &Value) -> String {
    let listed = status
        .pointer("/lockedOut/listed")
        .and_then(Value::as_array);
    let mut told = String::new();
    for one in listed.into_iter().flatten() {
        let text = |name: &str| {
            let text = one.get(name).and_then(Value::as_str);
            text.map(clean_line).unwrap_or_default()
        };
        let label = if told.is_empty() { "locked" } else { "" };
        let until = one.get("untilMs").and_then(Value::as_i64);
        let (who, guess) = (text("who"), text("guess"));
        told.push_str(&format!(
            "{label:<10}{who} ({guess}) until {}\n",
            moment(until)
        ));
    }
    match status.pointer("/lockedOut/more").and_then(Value::as_u64) {
        None | Some(0) => {}
        Some(more) => told.push_str(&format!("{:<10}and {more} more\n", "")),
    }
    told
}

/// The server behind: where it is, who speaks with it, and what went wrong last.
fn of_behind(behind: &Value) -> String {
    let text = |place: &str| {
        let text = behind.pointer(place).and_then(Value::as_str);
        text.map(clean_line).unwrap_or_default()
    };
    let connections = behind.get("connections").and_then(Value::as_u64);
    let connections = usize::try_from(connections.unwrap_or(0)).unwrap_or(usize::MAX);
    let mut told = format!(
        "behind    {} ({}), {}\n",
        text("/url"),
        text("/kind"),
        count(connections, "connection")
    );
    if behind.pointer("/trouble/what").is_some() {
        let at = behind.pointer("/trouble/atMs").and_then(Value::as_i64);
        told.push_str(&format!(
            "          the last client was not taken, {}: {}\n",
            ago(at, now_ms()),
            text("/trouble/what")
        ));
    }
    told
}
