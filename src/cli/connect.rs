//! `gw connect`: a client that shows the handshake step by step, and what the gateway answers.

use serde_json::{Value, json};

use super::Exit;
use super::output::{AnswerFormat, Output};
use super::reach::{self, Advice, AskArgs, Outside, Way};
use super::trouble::{clean_line, details};
use crate::client::{Asked, ClientError, Knock, Refusal, Session, Step};
use crate::facts::{Client, Mode, Role};
use crate::handshake::clean;
use crate::source::{one_line, shell_word};

/// How much is shown of what is sent, in characters.
const MOST_SENT: usize = 4_000;

/// Knocks at a gateway as a client does, and shows each step of it
///
/// What is sent is shown in short; `--frame` shows it whole, without its secrets. The answer is told
/// in full: what it was admitted with, or why not and what helps. The session ends at once.
///
/// Over TCP it comes as the device that these tools are, unless `--no-device` is said. That one is
/// paired by it where the policy pairs without asking, and else leaves a request that waits for the
/// owner. Its key is made when it is first needed, and kept as `gw/device.key` in `XDG_CONFIG_HOME`,
/// or else in `~/.config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw connect                                  as the owner, at the gateway's own socket
  gw connect --tcp                            as a client on this host, with the token; of a plain
                                              server behind, by the request alone
  gw connect --tcp --as openclaw-tui/ui --scopes operator.read,operator.write
  gw connect --url wss://gateway.example:18789 --token-file token
  gw connect --url ws://127.0.0.1:18789 --header 'X-Forwarded-For: 203.0.113.5'
  gw connect --as openclaw-control-ui/webchat --origin https://evil.example

Exit codes: 0 admitted, 1 no answer, 2 wrong command line, 3 a secret cannot be read, 4 refused")]
pub(super) struct Args {
    /// What to be: `client.id` and `client.mode`
    #[arg(long = "as", value_name = "CLIENT/MODE", default_value = "cli/cli", value_parser = who)]
    who: (Client, Mode),

    /// The role to ask for
    #[arg(long, default_value = "operator", value_parser = role)]
    role: Role,

    /// The scopes to ask for
    #[arg(
        long,
        alias = "scope",
        value_name = "SCOPE,…",
        value_delimiter = ',',
        default_value = "operator.read,operator.write"
    )]
    scopes: Vec<String>,

    /// The page that it comes from
    #[arg(long)]
    origin: Option<String>,

    /// A header of the HTTP request
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,

    /// The name that it gives itself
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,

    /// Come over the gateway's port, as clients do, and not at its own socket
    #[arg(long, conflicts_with = "url")]
    tcp: bool,

    /// Come without a device
    #[arg(long)]
    no_device: bool,

    /// Show what is sent whole, and what the device signs; their secrets are covered
    #[arg(long)]
    frame: bool,

    #[command(flatten)]
    ask: AskArgs,
}

fn who(text: &str) -> Result<(Client, Mode), String> {
    let (client, mode) = text
        .split_once('/')
        .ok_or("write CLIENT/MODE, as cli/cli")?;
    let known = |words: &[crate::facts::Word]| {
        let names: Vec<&str> = words.iter().map(|word| word.name).collect();
        names.join(", ")
    };
    let client = Client::parse(client)
        .ok_or_else(|| format!("the client is none of {}", known(Client::WORDS)))?;
    let mode =
        Mode::parse(mode).ok_or_else(|| format!("the mode is none of {}", known(Mode::WORDS)))?;
    Ok((client, mode))
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "it is not `operator` or `node`".to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    match knock(args, output) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn knock(args: &Args, output: &mut Output) -> Result<Exit, Exit> {
    let format = args.ask.format;
    let mut way = args.ask.gateway.way(output, format.report())?;
    if args.tcp {
        way.places = way.port.iter().cloned().collect();
    }
    let runtime = reach::runtime(output)?;
    let mut steps: Vec<Value> = Vec::new();
    let mut told = Output::default();
    let mut seen = |step: Step| match format {
        AnswerFormat::Json => steps.push(as_json(&step)),
        AnswerFormat::Human | AnswerFormat::Plain => {
            told.say(&as_text(&step, args.frame));
            told.flush();
        }
    };
    if args.tcp && way.is_plain() {
        let asked = Asked {
            headers: headers(args),
        };
        let passed = runtime.block_on(way.pass(asked, &mut seen));
        return passing(passed, steps, &way, format, output);
    }
    let answered = runtime.block_on(async {
        let session = enter(args, &way, &mut seen).await?;
        let hello = (session.target().to_owned(), session.hello().clone());
        session.close().await;
        Ok(hello)
    });
    let (answer, exit) = match &answered {
        Ok((_, hello)) => (Answer::Admitted(hello), Exit::Success),
        Err(Outside::Client(ClientError::Refused(refusal))) => {
            (Answer::Refused(refusal), Exit::Refused)
        }
        Err(outside) => {
            if format == AnswerFormat::Json && !steps.is_empty() {
                output.say_json(&json!({ "steps": steps }));
                outside.report(&way.advice, AnswerFormat::Human, output);
                return Err(Exit::Failure);
            }
            return Err(outside.report(&way.advice, format, output));
        }
    };
    match format {
        AnswerFormat::Json => {
            let mut document = json!({ "steps": steps, "admitted": exit == Exit::Success });
            if let Some(document) = document.as_object_mut() {
                let (name, value) = answer.to_json();
                document.insert(name.to_owned(), value);
            }
            output.say_json(&document);
        }
        AnswerFormat::Human | AnswerFormat::Plain => output.say(&answer.text(&way.advice)),
    }
    Ok(exit)
}

/// What came of a request to a gateway with a plain server behind it.
fn passing(
    passed: Result<(), ClientError>,
    steps: Vec<Value>,
    way: &Way,
    format: AnswerFormat,
    output: &mut Output,
) -> Result<Exit, Exit> {
    let (status, body, connection) = match passed {
        Ok(()) => {
            match format {
                AnswerFormat::Json => {
                    output.say_json(&json!({ "steps": steps, "admitted": true }));
                }
                AnswerFormat::Human | AnswerFormat::Plain => output.say(
                    "\nADMITTED  through to the server behind, which is a plain one: no connect \
                     frame is sent there\n",
                ),
            }
            return Ok(Exit::Success);
        }
        Err(ClientError::Http {
            status,
            body,
            connection: Some(connection),
            ..
        }) => (status, body, connection),
        Err(error) => return Err(Outside::Client(error).report(&way.advice, format, output)),
    };
    let error: Value = serde_json::from_str(&body).unwrap_or_default();
    let error = error.get("error").cloned().unwrap_or_default();
    match format {
        AnswerFormat::Json => {
            let answer = json!({ "status": status, "connection": connection, "error": error });
            output.say_json(&json!({ "steps": steps, "admitted": false, "http": answer }));
        }
        AnswerFormat::Human | AnswerFormat::Plain => {
            let text = |name: &str| error.get(name).and_then(Value::as_str).map(clean_line);
            let message = text("message").unwrap_or_else(|| clean_line(&body));
            let code = text("type").unwrap_or_default();
            let connection = clean(&connection);
            let words = format!("explain --connection {}", shell_word(&connection));
            let mut told = format!("\nREFUSED  {message}\n");
            for (label, text) in [
                (
                    "code",
                    format!("HTTP {status} {code}").trim_end().to_owned(),
                ),
                ("connection", connection),
                ("", way.advice.owner.command(&words)),
            ] {
                told.push_str(&format!("  {label:<12}{text}\n"));
            }
            output.say(&told);
        }
    }
    Ok(Exit::Refused)
}

/// The headers beside those of every request.
fn headers(args: &Args) -> Vec<(String, String)> {
    let origin = args.origin.clone();
    let origin = origin.map(|origin| ("Origin".to_owned(), origin));
    args.header.iter().cloned().chain(origin).collect()
}

async fn enter(
    args: &Args,
    way: &Way,
    seen: &mut (dyn FnMut(Step) + Send),
) -> Result<Session, Outside> {
    let asked = Asked {
        headers: headers(args),
    };
    let (door, target) = way.open(&asked, seen).await?;
    let knock = Knock {
        client: args.who.0,
        mode: args.who.1,
        display_name: args.display_name.as_deref().map(Into::into),
        role: args.role,
        scopes: args
            .scopes
            .iter()
            .filter(|scope| !scope.is_empty())
            .map(|scope| scope.as_str().into())
            .collect(),
        ..Knock::default()
    };
    let knock = way.knock(target, knock);
    let device = match args.no_device {
        true => None,
        false => reach::device_for(target).map_err(Outside::NoDevice)?,
    };
    Ok(door.knock(&knock, device.as_ref(), seen).await?)
}

fn as_text(step: &Step, whole: bool) -> String {
    let mut text = String::new();
    let mut say = |label: &str, value: &str| text.push_str(&format!("{label:<12}{value}\n"));
    match step {
        Step::Reached(reached) => {
            let over = match (reached.local, reached.peer) {
                (Some(local), Some(peer)) => format!("TCP, {local} → {peer}"),
                (_, _) => "the gateway's own socket".to_owned(),
            };
            say("connection", &over);
            if let Some(trusted) = reached.trusted {
                say("TLS", trusted.name());
            }
        }
        Step::Upgraded(status) => say("HTTP", &format!("{status}: a WebSocket from here on")),
        Step::Challenged { nonce, .. } => say("challenge", &clean(nonce)),
        Step::Knocking { signed, params } => {
            if !whole {
                say("sent", &in_short(params));
                return text;
            }
            if let Some(signed) = signed {
                say("signed", &one_line(signed, MOST_SENT));
            }
            let sent = serde_json::to_string(params).unwrap_or_default();
            say("sent", &format!("connect {}", one_line(&sent, MOST_SENT)));
        }
    }
    text
}

/// What is said and asked at the door, on one line.
fn in_short(params: &Value) -> String {
    let text = |place: &str| {
        let text = params.pointer(place).and_then(Value::as_str);
        text.map(clean).unwrap_or_default()
    };
    let scopes = params.pointer("/scopes").and_then(Value::as_array);
    let scopes = scopes.into_iter().flatten().filter_map(Value::as_str);
    let scopes: Vec<String> = scopes.map(clean).collect();
    let asks = match scopes.is_empty() {
        true => "asks no scopes".to_owned(),
        false => format!("asks {}", scopes.join(", ")),
    };
    let (client, mode, role) = (text("/client/id"), text("/client/mode"), text("/role"));
    let mut sent = vec![format!("connect, as {client}/{mode}"), role, asks];
    let secrets = params.pointer("/auth").and_then(Value::as_object);
    let secrets = secrets.into_iter().flat_map(|auth| auth.keys());
    sent.extend(secrets.map(|name| format!("with a {}", clean(name))));
    let device: String = text("/device/id").chars().take(12).collect();
    sent.push(match device.is_empty() {
        true => "without a device".to_owned(),
        false => format!("signed by device {device}"),
    });
    sent.join("; ")
}

fn as_json(step: &Step) -> Value {
    match step {
        Step::Reached(reached) => json!({
            "step": "connection",
            "peer": reached.peer.map(|peer| peer.to_string()),
            "local": reached.local.map(|local| local.to_string()),
            "tls": reached.trusted.is_some(),
        }),
        Step::Upgraded(status) => json!({ "step": "http", "status": status }),
        Step::Challenged { nonce, time_ms } => {
            json!({ "step": "challenge", "nonce": nonce, "ts": time_ms })
        }
        Step::Knocking { signed, params } => {
            json!({ "step": "connect", "signed": signed, "params": params })
        }
    }
}

/// What the gateway answered.
enum Answer<'a> {
    Admitted(&'a Value),
    Refused(&'a Refusal),
}

impl Answer<'_> {
    fn text(&self, advice: &Advice) -> String {
        match self {
            Answer::Refused(refusal) => {
                format!(
                    "\nREFUSED  {}\n{}",
                    clean_line(&refusal.message),
                    details(refusal, advice)
                )
            }
            Answer::Admitted(hello) => {
                let text = |place: &str| {
                    let text = hello.pointer(place).and_then(Value::as_str);
                    text.map(clean).unwrap_or_default()
                };
                let scopes = hello.pointer("/auth/scopes").and_then(Value::as_array);
                let scopes: Vec<&str> = scopes
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let mut told = match text("/auth/role") {
                    role if role.is_empty() => "\nADMITTED\n".to_owned(),
                    role => format!("\nADMITTED  as {role}\n"),
                };
                let mut say = |label: &str, value: &str| {
                    told.push_str(&format!("  {label:<12}{value}\n"));
                };
                match scopes.is_empty() {
                    // Some releases tell scopes only beside a device token.
                    true => say("scopes", "none is told: what needs one is refused"),
                    false => {
                        let scopes: Vec<String> = scopes.into_iter().map(clean).collect();
                        say("scopes", &scopes.join(", "));
                    }
                }
                if hello.pointer("/auth/deviceToken").is_some() {
                    say("token", "a device token came with it, and is not kept");
                }
                say("gateway", &format!("version {}", text("/server/version")));
                say("connection", &text("/server/connId"));
                told
            }
        }
    }

    /// The same for programs, without the device token.
    fn to_json(&self) -> (&'static str, Value) {
        match self {
            Answer::Refused(refusal) => ("error", refusal.to_json()),
            Answer::Admitted(hello) => {
                let of = |name: &str| hello.get(name).cloned().unwrap_or_default();
                let mut auth = of("auth");
                if let Some(token) = auth.get_mut("deviceToken") {
                    *token = "•••".into();
                }
                let hello = json!({
                    "protocol": of("protocol"), "server": of("server"), "auth": auth,
                });
                ("hello", hello)
            }
        }
    }
}
