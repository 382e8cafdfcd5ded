//! `gw devices reject|remove|rotate|revoke|grant`: the owner's other words on a request or a
//! device.

use serde_json::{Value, json};

use super::super::Exit;
use super::super::call::scope;
use super::super::output::{AnswerFormat, Output};
use super::super::reach::{self, AskArgs};
use super::entry::{Entry, names};
use super::{approve, device_of, listed, unfound};
use crate::facts::{Role, Scope};

/// Rejects a request: it waits no longer, and what was paired stays
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw devices reject 6f1c2b3a

Exit codes: 0 rejected, 1 refused or not reached, 2 wrong command line")]
pub(super) struct RejectArgs {
    /// The request: its id, or a beginning of it that no other has
    request: String,

    #[command(flatten)]
    ask: AskArgs,
}

/// Forgets a paired device: its sessions end, and it has to ask again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw devices remove 0424c0ffee12

Exit codes: 0 removed, 1 refused or not reached, 2 wrong command line")]
pub(super) struct RemoveArgs {
    /// The device: its id, or a beginning of it that no other has
    device: String,

    #[command(flatten)]
    ask: AskArgs,
}

/// Gives a device another token: the old one is worthless at once
///
/// The device gets the new one when it comes in next. Its sessions of that role end.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw devices rotate 0424c0ffee12
  gw devices rotate 0424c0ffee12 --role node
  gw devices rotate 0424c0ffee12 --scope operator.read

Exit codes: 0 rotated, 1 refused or not reached, 2 wrong command line")]
pub(super) struct RotateArgs {
    /// The device: its id, or a beginning of it that no other has
    device: String,

    /// The role that the token is for
    #[arg(long, default_value = "operator", value_parser = role)]
    role: Role,

    /// The scopes of the new token; those of the old one without
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    scope: Vec<Scope>,

    #[command(flatten)]
    ask: AskArgs,
}

/// Takes a role from a device: the token for it is worthless, its sessions end
///
/// The device asks again when it comes next, and `gw devices grant` gives the role back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw devices revoke 0424c0ffee12
  gw devices revoke 0424c0ffee12 --role node

Exit codes: 0 revoked, 1 refused or not reached, 2 wrong command line")]
pub(super) struct RevokeArgs {
    /// The device: its id, or a beginning of it that no other has
    device: String,

    /// The role that is taken
    #[arg(long, default_value = "operator", value_parser = role)]
    role: Role,

    #[command(flatten)]
    ask: AskArgs,
}

/// Says what a paired device may do, without waiting for it to ask
///
/// The scopes that are named are all that it has of that role from now on: with fewer than before,
/// sessions that have more end. Without scopes it has the role, and the scopes that it had. Nobody
/// grants what they do not hold.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw devices grant 0424c0ffee12 --scope operator.read --scope operator.write
  gw devices grant 0424c0ffee12 --role node
  gw devices grant 0424c0ffee12 --no-scopes          nothing that needs a scope

Exit codes: 0 granted, 1 refused or not reached, 2 wrong command line")]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(super) struct GrantArgs {
    /// The device: its id, or a beginning of it that no other has
    device: String,

    /// A scope that it has from now on; all that are named, and no others
    #[arg(long, value_name = "SCOPE", value_parser = scope, group = "what")]
    scope: Vec<Scope>,

    /// No scope at all
    #[arg(long, conflicts_with = "scope", group = "what")]
    no_scopes: bool,

    /// The role; an operator's without
    #[arg(long, value_parser = role, group = "what")]
    role: Option<Role>,

    #[command(flatten)]
    ask: AskArgs,
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "it is not `operator` or `node`".to_owned())
}

pub(super) fn reject(args: &RejectArgs, output: &mut Output) -> Exit {
    let scopes = &[Scope::Admin];
    let done = reach::ask(&args.ask, scopes, output, async |session, output| {
        let devices = listed(session).await?;
        let request = devices.request(&args.request);
        let request = request.map_err(|error| unfound(&error, &args.ask, output))?;
        let params = json!({ "requestId": request.text("requestId") });
        let answer = session.call("device.pair.reject", params).await?;
        let told = format!(
            "rejected  {}, of {}\n",
            request.shown("requestId"),
            request.who()
        );
        Ok((answer, told))
    });
    tell(done, args.ask.format, output)
}

/// Finds a device, calls a method with it, and words the answer.
fn with_device(
    ask: &AskArgs,
    device: &str,
    output: &mut Output,
    (method, params): (&str, Value),
    told: impl FnOnce(Entry<'_>, &Value) -> String,
) -> Exit {
    let done = reach::ask(ask, &[Scope::Admin], output, async |session, output| {
        let devices = listed(session).await?;
        let device = devices.device(device);
        let device = device.map_err(|error| unfound(&error, ask, output))?;
        let mut params = params;
        if let Some(params) = params.as_object_mut() {
            params.insert("deviceId".to_owned(), device.text("deviceId").into());
        }
        let answer = session.call(method, params).await?;
        let told = told(device, &answer);
        Ok((answer, told))
    });
    tell(done, ask.format, output)
}

fn tell(done: Result<(Value, String), Exit>, format: AnswerFormat, output: &mut Output) -> Exit {
    match done {
        Ok((answer, told)) => {
            match format {
                AnswerFormat::Json => output.say_json(&answer),
                AnswerFormat::Human | AnswerFormat::Plain => output.say(&told),
            }
            Exit::Success
        }
        Err(exit) => exit,
    }
}

pub(super) fn remove(args: &RemoveArgs, output: &mut Output) -> Exit {
    let call = ("device.pair.remove", json!({}));
    with_device(&args.ask, &args.device, output, call, |device, _| {
        format!(
            "removed   {}, {}\nhad       {}: {}\n",
            device.shown("deviceId"),
            device.who(),
            names(&device.roles()),
            names(&device.scopes())
        )
    })
}

pub(super) fn rotate(args: &RotateArgs, output: &mut Output) -> Exit {
    let mut params = json!({ "role": args.role.name() });
    if let (false, Some(params)) = (args.scope.is_empty(), params.as_object_mut()) {
        let scopes: Vec<&str> = args.scope.iter().map(|scope| scope.name()).collect();
        params.insert("scopes".to_owned(), json!(scopes));
    }
    let call = ("device.token.rotate", params);
    with_device(&args.ask, &args.device, output, call, |device, answer| {
        let answer = Entry(answer);
        // The token itself is for programs that asked for it: `--format json`.
        let how = match answer.text("token").is_empty() {
            true => "the device gets the new token when it comes in next",
            false => "the new token is in the answer: `--format json` shows it",
        };
        format!(
            "rotated   {}, for the role {}\ncarries   {}\n{how}\n",
            device.shown("deviceId"),
            args.role,
            names(&answer.scopes())
        )
    })
}

pub(super) fn revoke(args: &RevokeArgs, output: &mut Output) -> Exit {
    let call = ("device.token.revoke", json!({ "role": args.role.name() }));
    with_device(&args.ask, &args.device, output, call, |device, _| {
        format!(
            "revoked   {}, for the role {}\n",
            device.shown("deviceId"),
            args.role
        )
    })
}

pub(super) fn grant(args: &GrantArgs, output: &mut Output) -> Exit {
    let role = args.role.unwrap_or(Role::Operator);
    let mut params = json!({ "role": role.name() });
    if args.no_scopes || !args.scope.is_empty() {
        let scopes: Vec<&str> = args.scope.iter().map(|scope| scope.name()).collect();
        if let Some(params) = params.as_object_mut() {
            params.insert("scopes".to_owned(), json!(scopes));
        }
    }
    let call = ("device.grant", params);
    with_device(&args.ask, &args.device, output, call, |device, answer| {
        format!(
            "granted\nhad       {}: {}\n{}",
            names(&device.roles()),
            names(&device.scopes()),
            approve::has(device_of(answer))
        )
    })
}
