//! `gw doctor`: looks at a set-up as it runs, and says what to change. Looking ([`look`]) and
//! judging ([`checks`]) are apart; what goes between them is [`seen`].

mod checks;
mod look;
mod seen;

use serde_json::{Value, json};

use super::Exit;
use super::check::count;
use super::output::{AnswerFormat, Output};
use super::overrides::OverrideArgs;
use super::reach;
use crate::source::printable_line;
use checks::{CHECKS, Finding, Level};

/// Looks at a set-up as it runs, and says what to change
///
/// Asks the configuration, the gateway that serves by it, and the server behind it: whether they
/// fit together, and who could go past the gateway. Each check comes to `ok`; to `look`, which may
/// be meant so; or to `wrong`. What is not `ok` comes with the next step. Nothing is changed, no
/// secret is shown, and none is sent to the server behind.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw doctor
  gw doctor --config /etc/gw/gw.yaml --state /var/lib/gw
  gw doctor --upstream ws://127.0.0.1:18790        with the flags that `gw serve` was given
  gw doctor --format json | jq '.checks[] | select(.result != \"ok\")'

Exit codes: 0 nothing is wrong, 1 something is, 2 wrong command line")]
pub(super) struct Args {
    /// The configuration; without one, gw.yaml or, where there is none, the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<String>,

    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    format: AnswerFormat,

    #[command(flatten)]
    overrides: OverrideArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let runtime = match reach::runtime(output) {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let seen = runtime.block_on(look::at(args.config.as_deref(), &args.overrides));
    let found: Vec<(&str, Finding)> = CHECKS
        .iter()
        .filter_map(|check| Some((check.name, (check.judge)(&seen)?)))
        .collect();
    match args.format {
        AnswerFormat::Human => output.say(&drawn(&found)),
        AnswerFormat::Plain => output.say(&told(&found)),
        AnswerFormat::Json => output.say_json(&as_json(&found)),
    }
    match of(&found, Level::Wrong) {
        0 => Exit::Success,
        _ => Exit::Failure,
    }
}

fn of(found: &[(&str, Finding)], level: Level) -> usize {
    found.iter().filter(|found| found.1.level == level).count()
}

fn drawn(found: &[(&str, Finding)]) -> String {
    let widest = found.iter().map(|found| found.0.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, finding) in found {
        let level = finding.level.name();
        text.push_str(&format!(
            "{level:<7}{name:<widest$}  {}\n",
            printable_line(&finding.found)
        ));
        if let Some(next) = finding.next.as_deref().map(printable_line) {
            let under = 7 + widest + 2;
            text.push_str(&format!("{:under$}→ {next}\n", ""));
        }
    }
    text.push_str(&format!("\n{}\n", sum(found)));
    text
}

fn told(found: &[(&str, Finding)]) -> String {
    let mut text = String::new();
    for (name, finding) in found {
        let next = finding.next.as_ref();
        let next = next.map(|next| format!("; next: {}", printable_line(next)));
        let level = finding.level.name();
        let next = next.unwrap_or_default();
        text.push_str(&format!(
            "{name}: {level}: {}{next}\n",
            printable_line(&finding.found)
        ));
    }
    text.push_str(&format!("{}\n", sum(found)));
    text
}

/// What it all comes to.
fn sum(found: &[(&str, Finding)]) -> String {
    let [wrong, look] = [Level::Wrong, Level::Look].map(|level| of(found, level));
    let checks = count(found.len(), "check");
    match (wrong, look) {
        (0, 0) => format!("{checks}, nothing to do"),
        (0, look) => format!("{checks}, nothing wrong, {look} to look at"),
        (wrong, 0) => format!("{checks}, {wrong} wrong"),
        (wrong, look) => format!("{checks}, {wrong} wrong, {look} to look at"),
    }
}

fn as_json(found: &[(&str, Finding)]) -> Value {
    let checks = found.iter().map(|(name, finding)| {
        json!({
            "check": name,
            "result": finding.level.name(),
            "found": finding.found,
            "next": finding.next,
        })
    });
    json!({
        "checks": checks.collect::<Vec<_>>(),
        "wrong": of(found, Level::Wrong),
        "look": of(found, Level::Look),
    })
}
