//! The command line: one file for each verb, exit codes with a meaning, one way to print.
//!
//! This is the only part of the crate that reads files for people and prints.

mod call;
mod check;
mod clause;
mod completions;
mod config;
mod connect;
mod constants;
mod coverage;
mod dead_ends;
mod devices;
mod diff;
mod difference;
mod doctor;
mod explain;
mod fact;
mod fingerprint;
mod fix;
mod fmt;
mod further;
mod import;
mod init;
mod lines;
mod load;
mod log;
mod log_line;
mod logged;
mod next;
mod output;
mod overrides;
mod owner;
mod policy;
mod progress;
mod prove;
mod reach;
mod reader;
mod record;
mod recorded;
mod recording;
mod replace;
mod schema;
mod serve;
mod share;
mod show;
mod soundness;
mod status;
mod table;
mod tail;
mod test;
mod trouble;
mod trust;
mod upstream;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use output::Output;

/// What the program's exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It is so: the policy loads, the tests pass, the connection is admitted, nothing to format.
    Success,
    /// It is not so: errors in a policy, failing tests, files to format.
    Failure,
    /// The command line itself is wrong.
    Usage,
    /// An input cannot be read: a missing file, a folder, a broken handshake.
    Input,
    /// `gw explain` came to a refusal, and `--exit-code` asked to hear it; `gw connect` was
    /// refused.
    Refused,
    /// `gw diff`: the new policy is narrower than the old one.
    Narrower,
    /// It is wider.
    Wider,
    /// It is both.
    Both,
}

impl Exit {
    /// What several files come to: an input that cannot be read tells more than a failure.
    fn and(self, other: Exit) -> Exit {
        match (self, other) {
            (Exit::Success, other) | (other, Exit::Success) => other,
            (Exit::Input, _) | (_, Exit::Input) => Exit::Input,
            (first, _) => first,
        }
    }

    /// What a policy that does not load comes to.
    fn of(error: &crate::policy::PolicyError) -> Exit {
        let unread = error.sources.iter().next().is_none();
        if unread { Exit::Input } else { Exit::Failure }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Success => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Input => 3,
            Exit::Refused => 4,
            Exit::Narrower => 10,
            Exit::Wider => 11,
            Exit::Both => 12,
        })
    }
}

/// What `--help` says at its end.
const AFTER_HELP: &str = "\
Examples:
  gw explain handshake.json            why was this connection treated so?
  gw check-policy my.policy            what is wrong with this file?
  gw explain --fact client=cli --fact auth=token --fact peer=127.0.0.1

Exit codes:
  0  it is so: the policy loads, the tests pass, the question is answered
  1  it is not: errors in a policy, failing tests, files to format
  2  the command line is wrong
  3  an input cannot be read
  4  the connection is refused (gw explain --exit-code, gw connect)
  10, 11, 12  the new policy is narrower, wider, both (gw diff)";

/// Decides which WebSocket connections may come in, and says why.
///
/// The decision is a file of rules that a person can read. `gw` checks it, formats it,
/// runs its tests, and explains what it says to any connection.
#[derive(Debug, Parser)]
#[command(name = "gw", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    CheckPolicy(check::Args),
    Prove(prove::Args),
    Diff(diff::Args),
    Show(show::Args),
    Explain(explain::Args),
    Fingerprint(fingerprint::Args),
    Tail(tail::Args),
    Test(test::Args),
    Fmt(fmt::Args),
    Schema(schema::Args),
    Init(init::Args),
    ImportOpenclaw(import::Args),
    Config(config::Args),
    Serve(serve::Args),
    Status(status::Args),
    Doctor(doctor::Args),
    Devices(devices::Args),
    Policy(policy::Args),
    Call(call::Args),
    Connect(connect::Args),
    Record(record::Args),
    Completions(completions::Args),
}

/// Runs the program on this process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap writes help to stdout and complaints to stderr; a closed pipe is no failure.
            let usage = error.use_stderr();
            let _ = error.print();
            return if usage { Exit::Usage } else { Exit::Success }.into();
        }
    };
    let mut output = Output::default();
    let exit = match cli.command {
        Command::CheckPolicy(args) => check::run(&args, &mut output),
        Command::Prove(args) => prove::run(&args, &mut output),
        Command::Diff(args) => diff::run(&args, &mut output),
        Command::Show(args) => show::run(&args, &mut output),
        Command::Explain(args) => explain::run(&args, &mut output),
        Command::Fingerprint(args) => fingerprint::run(&args, &mut output),
        Command::Tail(args) => tail::run(&args, &mut output),
        Command::Test(args) => test::run(&args, &mut output),
        Command::Fmt(args) => fmt::run(&args, &mut output),
        Command::Schema(args) => schema::run(&args, &mut output),
        Command::ImportOpenclaw(args) => import::run(&args, &mut output),
        Command::Init(args) => init::run(&args, &mut output),
        Command::Config(args) => config::run(&args, &mut output),
        Command::Serve(args) => serve::run(&args, &mut output),
        Command::Status(args) => status::run(&args, &mut output),
        Command::Doctor(args) => doctor::run(&args, &mut output),
        Command::Devices(args) => devices::run(&args, &mut output),
        Command::Policy(args) => policy::run(&args, &mut output),
        Command::Call(args) => call::run(&args, &mut output),
        Command::Connect(args) => connect::run(&args, &mut output),
        Command::Record(args) => record::run(&args, &mut output),
        Command::Completions(args) => completions::run(&args, &mut Cli::command(), &mut output),
    };
    output.finish();
    exit.into()
}
