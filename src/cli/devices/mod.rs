//! `gw devices`: what asks to come in, what is paired, and the owner's word on both.
//!
//! What a device says of itself is shown escaped, and cut. A request or a device is named by its
//! id, or by a beginning of it that no other has.

mod approve;
mod entry;
mod list;
mod manage;

use std::io::{BufRead as _, IsTerminal as _};

use serde_json::{Value, json};

use self::entry::{Devices, Unfound};
use super::Exit;
use super::output::{AnswerFormat, Output};
use super::reach::{self, AskArgs, Trouble};
use crate::client::{ClientError, Session};
use crate::facts::Scope;

/// Manages the devices that may come in: what asks, what is paired
///
/// On the gateway's host nothing else is needed: its own socket is for the user who runs it. From
/// elsewhere, name its URL and where the token is; this device is then paired as any other.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Approve(approve::Args),
    Reject(manage::RejectArgs),
    Remove(manage::RemoveArgs),
    Rotate(manage::RotateArgs),
    Revoke(manage::RevokeArgs),
    Grant(manage::GrantArgs),
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    match &args.command {
        Command::List(args) => list::run(args, output),
        Command::Approve(args) => approve::run(args, output),
        Command::Reject(args) => manage::reject(args, output),
        Command::Remove(args) => manage::remove(args, output),
        Command::Rotate(args) => manage::rotate(args, output),
        Command::Revoke(args) => manage::revoke(args, output),
        Command::Grant(args) => manage::grant(args, output),
    }
}

/// All devices and requests, as the gateway lists them.
async fn listed(session: &mut Session) -> Result<Devices, ClientError> {
    let listed = session.call("device.pair.list", json!({})).await?;
    Ok(Devices::of(listed))
}

/// Complains that what was named for a verb is not there, or not alone.
fn unfound(unfound: &Unfound, verb: &str, ask: &AskArgs, output: &mut Output) -> Trouble {
    let help = unfound.help(verb, &ask.gateway.advice().same);
    output.complain(&format!("error: {unfound}\n  help: {help}\n"));
    Trouble::Told(Exit::Failure)
}

/// Whether what was shown is to be done.
enum Word {
    Yes,
    No,
    /// Nobody can be asked.
    Unsure,
}

/// Asks for a word, where it was not given before.
fn asked(question: &str, yes: bool, format: AnswerFormat) -> Word {
    if yes {
        return Word::Yes;
    }
    if !std::io::stdin().is_terminal() || format == AnswerFormat::Json {
        return Word::Unsure;
    }
    let mut output = Output::default();
    output.complain(&format!("{question} [y/N] "));
    output.flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    let yes = matches!(answer.trim(), "y" | "Y" | "yes");
    match read.is_ok() && yes {
        true => Word::Yes,
        false => Word::No,
    }
}

/// What those who manage devices come in with: what is listed says what more it takes.
const TO_LIST: &[Scope] = &[Scope::Pairing];

/// Lists the devices, finds something there with what it takes, and goes on with that. A device
/// of these tools asks for no more.
fn manage<F, T>(
    ask: &AskArgs,
    output: &mut Output,
    find: impl FnOnce(&Devices, &mut Output) -> Result<(F, Vec<Scope>), Trouble>,
    work: impl AsyncFnOnce(&mut Session, F) -> Result<T, ClientError>,
) -> Result<T, Exit> {
    let asks = TO_LIST.into();
    let find = async |session: &mut Session, output: &mut Output| {
        let devices = listed(session).await?;
        find(&devices, output)
    };
    let work = async |session: &mut Session, _: &mut Output, found| Ok(work(session, found).await?);
    reach::ask_twice(ask, asks, output, find, work)
}

/// The device of an answer, if it has one.
fn device_of(answer: &Value) -> &Value {
    answer.get("device").unwrap_or(&Value::Null)
}
