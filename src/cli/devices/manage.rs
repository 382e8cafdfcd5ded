//! `gw devices reject|remove|rotate|revoke|grant`: the owner's other words on a request or a
//! device.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::super::Exit;
use super::super::call::scope;
use super::super::output::{AnswerFormat, Output};
use super::super::reach::{AskArgs, Trouble};
use super::entry::{Devices, Entry, names, to_give};
use super::{Word, approve, asked, device_of, manage, unfound};
use crate::client::ClientError;
use crate::facts::{Role, Scope};
use crate::pairing::Denied;

/// Rejects a request, or many: they wait no longer, and what was paired stays
///
/// Many are counted first. On a terminal it asks then; `--yes` says yes before.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw devices reject 6f1c2b3a
  gw devices reject --from 203.0.113.7
  gw devices reject --from 2001:db8:1:2::/64 --yes
  gw devices reject --all

Exit codes: 0 rejected, 1 refused or not reached, 2 wrong command line")]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(super) struct RejectArgs {
    /// The request: its id, or a beginning of it that no other has
    #[arg(group = "which")]
    request: Option<String>,

    /// All requests from an address, or from a network; `127.0.0.1` for those from this host
    #[arg(long, value_name = "ADDRESS", value_parser = network, group = "which")]
    from: Option<IpNet>,

    /// All requests
    #[arg(long, group = "which")]
    all: bool,

    /// Do not ask
    #[arg(long, short, conflicts_with = "request")]
    yes: bool,

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

fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse::<IpNet>();
    let network = network.or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| "it is no address and no network".to_owned())
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "it is not `operator` or `node`".to_owned())
}

pub(super) fn reject(args: &RejectArgs, output: &mut Output) -> Exit {
    let Some(request) = args.request.as_deref() else {
        return reject_many(args, output);
    };
    let find = |devices: &Devices, output: &mut Output| {
        let request = devices.request(request);
        let request = request.map_err(|error| unfound(&error, "reject", &args.ask, output))?;
        let told = format!(
            "rejected  {}, of {}\n",
            request.shown("requestId"),
            request.who()
        );
        let params = json!({ "requestId": request.text("requestId") });
        Ok(((params, told), to_give(&request.roles(), &[])))
    };
    let done = manage(&args.ask, output, find, async |session, (params, told)| {
        Ok((session.call("device.pair.reject", params).await?, told))
    });
    tell(done, args.ask.format, output)
}

/// Rejects all requests of an address, or all; one that came after they were counted waits on.
fn reject_many(args: &RejectArgs, output: &mut Output) -> Exit {
    let find = |devices: &Devices, output: &mut Output| {
        let mut requests = devices.requests();
        requests.retain(|request| args.from.is_none_or(|from| request.is_from(from)));
        let from = args.from.map(|from| format!(" from {}", shown(from)));
        let from = from.unwrap_or_default();
        let many = match requests.len() {
            0 => {
                output.complain(&format!("error: no request{from} waits\n"));
                return Err(Trouble::Told(Exit::Failure));
            }
            1 => format!("1 request{from}"),
            many => format!("{many} requests{from}"),
        };
        match asked(&format!("reject {many}?"), args.yes, args.ask.format) {
            Word::Yes => {}
            Word::No => {
                output.complain(&format!("not rejected: {many} wait on\n"));
                return Err(Trouble::Told(Exit::Failure));
            }
            Word::Unsure => {
                output.complain(&format!(
                    "error: {many} not rejected: no terminal to ask at: add `--yes`\n"
                ));
                return Err(Trouble::Told(Exit::Failure));
            }
        }
        let mut takes: Vec<Scope> = requests
            .iter()
            .flat_map(|request| to_give(&request.roles(), &[]))
            .collect();
        takes.sort_unstable();
        takes.dedup();
        let ids: Vec<String> = requests
            .iter()
            .map(|request| request.text("requestId").to_owned())
            .collect();
        Ok(((ids, many), takes))
    };
    let done = manage(&args.ask, output, find, async |session, (ids, many)| {
        let unknown = Denied::UnknownRequest.to_string();
        let mut rejected = Vec::new();
        for id in ids {
            let params = json!({ "requestId": id });
            match session.call("device.pair.reject", params).await {
                Ok(_) => rejected.push(id),
                // It was resolved meanwhile.
                Err(ClientError::Refused(refusal)) if refusal.message == unknown => {}
                Err(error) => return Err(error),
            }
        }
        let told = format!("rejected  {} of {many}\n", rejected.len());
        Ok((json!({ "rejected": rejected }), told))
    });
    tell(done, args.ask.format, output)
}

/// A network as it was named: an address without a length.
fn shown(from: IpNet) -> String {
    match from.prefix_len() == from.max_prefix_len() {
        true => from.addr().to_string(),
        false => from.to_string(),
    }
}

/// What is done with a device.
struct Deed<'a> {
    verb: &'static str,
    method: &'static str,
    /// Its parameters, without the device.
    params: Value,
    /// The roles that it is about; those of the device without.
    role: Option<Role>,
    /// The scopes that it gives.
    gives: Gives<'a>,
}

/// The scopes that a deed gives: whoever does it has to hold them.
enum Gives<'a> {
    Nothing,
    /// Those that the device has.
    Own,
    These(&'a [Scope]),
}

/// Finds a device, does something with it, and words the answer.
fn with_device(
    ask: &AskArgs,
    device: &str,
    output: &mut Output,
    deed: Deed<'_>,
    told: impl FnOnce(Entry<'_>, &Value) -> String,
) -> Exit {
    let find = |devices: &Devices, output: &mut Output| {
        let device = devices.device(device);
        let device = device.map_err(|error| unfound(&error, deed.verb, ask, output))?;
        let mut params = deed.params;
        if let Some(params) = params.as_object_mut() {
            params.insert("deviceId".to_owned(), device.text("deviceId").into());
        }
        let roles = match deed.role {
            Some(role) => vec![role.name()],
            None => device.roles(),
        };
        let scopes = match deed.gives {
            Gives::Nothing => Vec::new(),
            Gives::Own => device.scopes(),
            Gives::These(scopes) => scopes.iter().map(|scope| scope.name()).collect(),
        };
        Ok(((params, device.0.clone()), to_give(&roles, &scopes)))
    };
    let done = manage(ask, output, find, async |session, (params, device)| {
        let answer = session.call(deed.method, params).await?;
        let told = told(Entry(&device), &answer);
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
    let deed = Deed {
        verb: "remove",
        method: "device.pair.remove",
        params: json!({}),
        role: None,
        gives: Gives::Nothing,
    };
    with_device(&args.ask, &args.device, output, deed, |device, _| {
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
    let deed = Deed {
        verb: "rotate",
        method: "device.token.rotate",
        params,
        role: Some(args.role),
        gives: match args.scope.is_empty() {
            true => Gives::Own,
            false => Gives::These(&args.scope),
        },
    };
    with_device(&args.ask, &args.device, output, deed, |device, answer| {
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
    let deed = Deed {
        verb: "revoke",
        method: "device.token.revoke",
        params: json!({ "role": args.role.name() }),
        role: Some(args.role),
        gives: Gives::Nothing,
    };
    with_device(&args.ask, &args.device, output, deed, |device, _| {
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
    let deed = Deed {
        verb: "grant",
        method: "device.grant",
        params,
        role: Some(role),
        gives: match args.no_scopes || !args.scope.is_empty() {
            true => Gives::These(&args.scope),
            false => Gives::Own,
        },
    };
    with_device(&args.ask, &args.device, output, deed, |device, answer| {
        format!(
            "granted\nhad       {}: {}\n{}",
            names(&device.roles()),
            names(&device.scopes()),
            approve::has(device_of(answer))
        )
    })
}
