//! `gw call`: one call of a gateway, and its answer.

use serde_json::Value;

use super::output::Output;
use super::reach::{self, AskArgs, Asks};
use super::{Exit, load};
use crate::facts::Scope;
use crate::server::{is_ours, scopes_for};

/// The largest parameters, in bytes: as much as a gateway reads.
const MAX_BYTES: u64 = 26_214_400;

/// Calls a method of a gateway, and prints what it answers as JSON
///
/// What is refused is told with all its details, and the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw call health
  gw call device.pair.list
  gw call device.token.revoke '{\"deviceId\": \"…\", \"role\": \"operator\"}'
  gw call status --scope operator.read --url wss://gateway.example:18789 --token-env GW_TOKEN

Exit codes: 0 answered, 1 refused or not reached, 2 wrong command line, 3 the parameters or a
secret cannot be read")]
pub(super) struct Args {
    /// The method
    method: String,

    /// Its parameters, as JSON; `-` reads standard input
    #[arg(value_name = "JSON")]
    params: Option<String>,

    /// The scopes to come in with; without one, what the gateway wants for the method
    #[arg(long, value_name = "SCOPE", value_parser = scope)]
    scope: Vec<Scope>,

    #[command(flatten)]
    ask: AskArgs,
}

pub(super) fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| {
        let names: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        format!("it is none of {}", names.join(", "))
    })
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let params = match args.params.as_deref() {
        None => Value::Object(serde_json::Map::new()),
        Some(given) => {
            let text = match given {
                "-" => load::read("-", MAX_BYTES).map_err(|error| error.to_string()),
                given => Ok(given.to_owned()),
            };
            let read = text.and_then(|text| {
                // What stands there may be a secret: it is not repeated.
                serde_json::from_str(&text).map_err(|error| {
                    format!("they are no JSON, at {}:{}", error.line(), error.column())
                })
            });
            match read {
                Ok(params) => params,
                Err(message) => {
                    output.complain(&format!(
                        "error: the parameters cannot be read: {message}\n  help: gw call device.pair.reject '{{\"requestId\": \"…\"}}'\n"
                    ));
                    return Exit::Input;
                }
            }
        }
    };
    let asks = match args.scope.is_empty() {
        true => Asks::from(scopes_for(&args.method)),
        false => Asks::wishing(&args.scope, &args.scope),
    };
    let asks = asks.of_behind(!is_ours(&args.method));
    let answered = reach::ask(&args.ask, asks, output, async |session, _| {
        Ok(session.call(&args.method, params).await?)
    });
    match answered {
        Ok(answer) => {
            output.say_json(&answer);
            Exit::Success
        }
        Err(exit) => exit,
    }
}
