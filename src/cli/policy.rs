//! `gw policy`: which policy a running gateway has, and loading it again.

use serde_json::{Value, json};

use super::Exit;
use super::output::{AnswerFormat, Output};
use super::reach::{self, AskArgs};
use super::table::moment;
use super::trouble::clean_line;
use crate::config::keys::from_the_next_start;
use crate::facts::Scope;
use crate::handshake::clean;
use crate::source::printable;

/// Looks at the policy of a running gateway, or has it loaded again
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Status(StatusArgs),
    Reload(ReloadArgs),
}

/// Says which policy is in force, and whether its file says the same
///
/// While a file cannot be loaded, the last good one stays in force.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw policy status
  gw policy status --format json | jq .digest

Exit codes: 0 in force is what the file says, 1 it is not, or the gateway is not reached,
2 wrong command line")]
struct StatusArgs {
    #[command(flatten)]
    ask: AskArgs,
}

/// Has policy, settings and the way to the server behind loaded again
///
/// They are read, checked and tested first. What cannot be loaded changes nothing, and is told.
/// Sessions that another policy would not admit end; those at a server behind that is another one
/// now go on there. Where to listen, TLS, the state folder, limits, logs and metrics are taken from
/// the start: what is other in the file is named, and counts from the next one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw policy reload
  gw check-policy my.policy && gw policy reload

Exit codes: 0 the files are in force, 1 they are not, or the gateway is not reached,
2 wrong command line")]
struct ReloadArgs {
    #[command(flatten)]
    ask: AskArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    match &args.command {
        Command::Status(args) => status(&args.ask, output),
        Command::Reload(args) => reload(&args.ask, output),
    }
}

fn status(ask: &AskArgs, output: &mut Output) -> Exit {
    let status = reach::ask(ask, &[Scope::Read], output, async |session, _| {
        Ok(session.call("policy.status", json!({})).await?)
    });
    let status = match status {
        Ok(status) => status,
        Err(exit) => return exit,
    };
    match ask.format {
        AnswerFormat::Json => output.say_json(&status),
        AnswerFormat::Human | AnswerFormat::Plain => output.say(&told(&status)),
    }
    match differs(&status) {
        true => Exit::Failure,
        false => Exit::Success,
    }
}

/// Whether the file is not what is in force.
pub(super) fn differs(status: &Value) -> bool {
    status.get("differs").and_then(Value::as_bool) == Some(true)
}

/// A policy's status, in lines.
pub(super) fn told(status: &Value) -> String {
    let text = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or_default();
    let since = |name: &str| moment(status.get(name).and_then(Value::as_i64));
    let digest: String = text("digest").chars().take(12).collect();
    let mut told = format!(
        "policy    {} {}, in force since {}\n",
        clean_line(text("name")),
        clean(&digest),
        since("sinceMs")
    );
    // An older gateway tells none, and one that has just begun does not know it yet.
    if let Some(found) = status.get("fingerprint") {
        let found = found
            .as_str()
            .map_or_else(|| "not known yet".to_owned(), clean);
        told.push_str(&format!("meaning   {found}\n"));
    }
    if differs(status) {
        told.push_str(&format!(
            "          the file cannot be loaded, since {}, and this one stays:\n",
            since("differsSinceMs")
        ));
        for line in printable(text("why")).lines() {
            told.push_str(format!("            {line}").trim_end());
            told.push('\n');
        }
    }
    let keys = next_start(status);
    if !keys.is_empty() {
        told.push_str(&format!("          {}\n", from_the_next_start(&keys)));
    }
    told
}

/// The keys that count from the gateway's next start, and are other than at this one.
pub(super) fn next_start(status: &Value) -> Vec<String> {
    let keys = status.get("nextStart").and_then(Value::as_array);
    let keys = keys.into_iter().flatten().filter_map(Value::as_str);
    keys.map(clean_line).collect()
}

fn reload(ask: &AskArgs, output: &mut Output) -> Exit {
    let reloaded = reach::ask(ask, &[Scope::Admin], output, async |session, _| {
        let reloaded = session.call("policy.reload", json!({})).await?;
        let status = session.call("policy.status", json!({})).await?;
        Ok((reloaded, status))
    });
    let (reloaded, status) = match reloaded {
        Ok(reloaded) => reloaded,
        Err(exit) => return exit,
    };
    let text = |name: &str| reloaded.get(name).and_then(Value::as_str);
    let in_force = text("error").is_none();
    match ask.format {
        AnswerFormat::Json => output.say_json(&reloaded),
        AnswerFormat::Human | AnswerFormat::Plain => {
            let is = |name: &str| reloaded.get(name).and_then(Value::as_bool);
            let what = match is("reloaded") {
                Some(true) if is("upstream") == Some(true) => {
                    "reloaded: it decides from now on, and the way to the server behind is another \
                     one for whoever comes now"
                }
                Some(true) => "reloaded: it decides from now on",
                _ if in_force && !next_start(&reloaded).is_empty() => {
                    "unchanged: what counts at once is in force already"
                }
                _ if in_force => "unchanged: the files say what is in force already",
                _ => text("reason").unwrap_or("not reloaded"),
            };
            output.say(&format!("{}\n{}", clean_line(what), told(&status)));
            output.complain(&printable(text("warnings").unwrap_or_default()));
        }
    }
    match in_force {
        true => Exit::Success,
        false => Exit::Failure,
    }
}
