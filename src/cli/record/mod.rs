//! `gw record`: lets one client knock, and writes down what a gateway would have seen of it.

mod door;
mod form;
mod head;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use super::Exit;
use super::config::read;
use super::output::{Output, ReportFormat};
use super::overrides::OverrideArgs;
use super::{load, reach};
use crate::config::{Config, Token};
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::AuthMode;
use crate::handshake;
use crate::source::{Sources, printable};
use door::{Door, Seen, Silent};

/// Listens as the gateway would, lets one client knock, and writes its handshake.json
///
/// The client is sent the challenge, and its connect frame is written down with the socket, the
/// HTTP head, the settings and what is remembered of its device: what `gw explain` asks for. It is
/// answered with a refusal that says that it was recorded, and not decided. Of the gateway's own
/// secrets the file holds only what the client sent itself; it holds that, so it is for its owner
/// alone (0600).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw record                                  in the place of the gateway, at its port
  gw record --port 18790 --out mine.json     then: openclaw … --url ws://127.0.0.1:18790
  gw record --bind lan --wait 1h
  gw record --out - | jq .http

Exit codes: 0 recorded, 1 nobody knocked so that it can be recorded, or it cannot listen,
2 wrong command line, 3 a file cannot be read or written")]
pub(super) struct Args {
    /// Where to write it; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "handshake.json")]
    out: String,

    /// How long to wait for a client: 30s, 10m, 1h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    wait: Duration,

    /// The configuration; without one, gw.yaml or, where there is none, the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<String>,

    #[command(flatten)]
    overrides: OverrideArgs,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    match record(args, output) {
        Ok(()) => Exit::Success,
        Err(exit) => exit,
    }
}

fn record(args: &Args, output: &mut Output) -> Result<(), Exit> {
    let config = read(args.config.as_deref(), &args.overrides)
        .map_err(|unread| unread.report(output, ReportFormat::Human))?;
    if args.out != "-" && Path::new(&args.out).exists() {
        output.complain(&format!(
            "error: {} is there already, and stays as it is\n  help: name another file by --out\n",
            args.out
        ));
        return Err(Exit::Input);
    }
    if args.out != "-" {
        writable(&args.out).map_err(|error| unwritten(args, &error, output))?;
    }
    output.complain(&told(&config));
    let runtime = reach::runtime(output)?;
    let seen = runtime.block_on(async {
        let mut failed = |message: String, help: &str| {
            let diagnostic = Diagnostic::error(Code::CannotServe, message).help(help);
            output.report_one(diagnostic, &Sources::default(), ReportFormat::Human);
            Exit::Failure
        };
        let door = Door::new(&config).map_err(|(message, help)| failed(message, &help))?;
        for url in &door.urls {
            output.complain(&format!("listening {url}\n"));
        }
        output.complain(&format!(
            "waiting for one client, {} at most\n",
            humantime::format_duration(args.wait)
        ));
        output.flush();
        let told = &mut |text: &str| {
            let mut now = Output::default();
            now.complain(text);
            now.flush();
        };
        door.one(args.wait, told).await.map_err(|silent| {
            output.complain(&unrecorded(&silent));
            Exit::Failure
        })
    })?;
    write(args, &config, &seen, output)
}

/// Tries whether a file can be made: a client that has knocked does not come back for another try.
fn writable(path: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).open(path)?;
    fs::remove_file(path)
}

fn unwritten(args: &Args, error: &io::Error, output: &mut Output) -> Exit {
    output.complain(&printable(&format!(
        "error: {} cannot be written: {error}\n  help: name another file by --out\n",
        args.out
    )));
    Exit::Input
}

/// What the knock is held against: the policy, the state folder, and the secret.
fn told(config: &Config) -> String {
    let secret = match config.settings().auth.mode() {
        AuthMode::Token if config.token != Token::Generate => {
            "the token that is configured".to_owned()
        }
        AuthMode::Token if config.token_file().exists() => {
            config.token_file().display().to_string()
        }
        AuthMode::Token => format!(
            "none is known: {} is not there, and `gw serve` makes it; the recording has none",
            config.token_file().display()
        ),
        AuthMode::Password => "none is asked for, but a password".to_owned(),
        AuthMode::None => "none is asked for".to_owned(),
        AuthMode::TrustedProxy => "none is asked for: a proxy names the user".to_owned(),
    };
    printable(&format!(
        "policy    {}\nstate     {}\ntoken     {secret}\n",
        config.policy,
        config.state.display()
    ))
}

/// Why there is no file, and what was seen.
fn unrecorded(silent: &Silent) -> String {
    let mut text = match &silent.head {
        None => format!("error: nothing is recorded: {}\n", silent.why),
        Some(_) => format!(
            "error: nothing is recorded: the client {}\n  what it sent before, but for secrets:\n",
            silent.why
        ),
    };
    for line in silent.head.iter().flat_map(head::Head::shown) {
        text.push_str(&format!("    {line}\n"));
    }
    let help = match &silent.head {
        None => "let the client connect to this port",
        Some(_) => "a client of the protocol sends `connect` once it has the challenge",
    };
    text.push_str(&format!("  help: {help}\n"));
    text
}

fn write(args: &Args, config: &Config, seen: &Seen, output: &mut Output) -> Result<(), Exit> {
    let form = form::form(config, seen, output);
    let mut text = serde_json::to_string_pretty(&form).unwrap_or_default();
    text.push('\n');
    if args.out == "-" {
        output.say(&text);
        return Ok(());
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&args.out)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| unwritten(args, &error, output))?;
    output.say(&printable(&format!(
        "recorded  {}; it holds the client's secrets, and only you may read it\n",
        args.out
    )));
    if let Err(error) = handshake::parse(&text) {
        output.say("as it is  it is no handshake that could be decided; gw explain shows where\n");
        tracing::debug!(%error, "recorded");
    }
    let policy = match &*config.policy {
        default if default == load::default_policy() => String::new(),
        "built-in:default.policy" if !Path::new(load::DEFAULT_POLICY).exists() => String::new(),
        policy => format!(" --policy {policy}"),
    };
    output.say(&printable(&format!(
        "next      gw explain {}{policy}\n",
        args.out
    )));
    Ok(())
}
