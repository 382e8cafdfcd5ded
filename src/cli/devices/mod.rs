//! `gw devices`: what asks to come in, what is paired, and the owner's word on both.
//!
//! What a device says of itself is shown escaped, and cut. A request or a device is named by its
//! id, or by a beginning of it that no other has.

mod approve;
mod entry;
mod list;
mod manage;

use serde_json::{Value, json};

use self::entry::{Devices, Unfound};
use super::Exit;
use super::output::Output;
use super::reach::{AskArgs, Trouble};
use crate::client::{ClientError, Session};

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

/// Complains that what was named is not there, or not alone.
fn unfound(unfound: &Unfound, ask: &AskArgs, output: &mut Output) -> Trouble {
    let list = ask.gateway.advice().same.command("devices list");
    output.complain(&format!(
        "error: {unfound}\n  help: `{list}` shows what there is\n"
    ));
    Trouble::Told(Exit::Failure)
}

/// The device of an answer, if it has one.
fn device_of(answer: &Value) -> &Value {
    answer.get("device").unwrap_or(&Value::Null)
}
