//! Looking: at the configuration, the gateway, the server behind it, and this user's OpenClaw.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::config::{self, Checked, here};
use super::super::log;
use super::super::next::{Next, whole};
use super::super::output::{Output, ReportFormat};
use super::super::overrides::OverrideArgs;
use super::super::reach::{GatewayArgs, Outside, Way, of_gateway};
use super::super::table::now_ms;
use super::super::trouble::clean_line;
use super::super::{load, policy, upstream};
use super::seen::{
    Answer, Behind, Configuration, Doors, Gateway, OpenClaw, Place, Seen, Serving, Shows,
};
use crate::client::tls::ConnectError;
use crate::client::{
    Asked, ClientError, Door, Patience, Reached, Step, Target, Waited, dial, speaks_tls,
};
use crate::config::openclaw::CommandLine;
use crate::config::{Config, Tls, Token, Upstream, UpstreamKind};
use crate::diagnostic::{Diagnostic, Severity};
use crate::facts::{AuthMode, Scope};
use crate::host;
use crate::host::claim::listening;
use crate::host::container;
use crate::host::identity;
use crate::host::interface::{interfaces, own_addresses};
use crate::host::own::{Readers, readers};
use crate::host::peer::Peers;
use crate::host::unavailable::{Situation, Unavailable};
use crate::relay::NoLink;
use crate::secret::Secret;
use crate::server::tls::Certificates;
use crate::source::shell_word;

/// How long one of this host's own addresses may take to answer.
const OWN_ADDRESS: Duration = Duration::from_secs(2);

/// How long a server may take to show that it speaks TLS, which nobody asked it to.
const SOON: Patience = Patience {
    connection: OWN_ADDRESS,
    handshake: OWN_ADDRESS,
    call: OWN_ADDRESS,
};

/// The largest configuration of OpenClaw that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Looks at a set-up. Of one whose configuration is none, nothing else is looked at.
pub(super) async fn at(file: Option<&str>, overrides: &OverrideArgs) -> Seen {
    let checked = config::checked(file, overrides);
    let errors = &checked.diagnostics.0;
    let first = errors.iter().find(|it| it.severity == Severity::Error);
    let elsewhere = first.and_then(|error| of_another_file(&checked, error));
    let mut seen = Seen {
        next: Next::on_host(file, overrides.state()),
        started: Next::started(file, overrides),
        configuration: Configuration {
            told: checked.told(),
            error: first.map(|error| clean_line(&error.message)),
            place: elsewhere,
            warnings: !errors.is_empty(),
        },
        ..Seen::default()
    };
    // Of a policy that is none all others can be looked at.
    let goes_on = first.is_none() || seen.configuration.place.is_some();
    let Some(config) = checked.config.filter(|_| goes_on) else {
        return seen;
    };
    seen.built_in = load::is_built_in(&config.policy);
    seen.unknown = unknown(&config);
    seen.gateway = gateway(file, overrides, &config).await;
    let policy = config::policy(&config.named());
    seen.digest = policy.ok().map(|policy| policy.digest().to_owned());
    let serves = matches!(seen.gateway, Some(Gateway::Serves(_)));
    let doors = doors(&config, serves);
    if let Some(configured) = &config.upstream {
        seen.behind = behind(&config, configured).await;
    }
    seen.files = files(file.or(here()), &config);
    if let Some(behind) = seen.behind.as_ref().filter(|behind| behind.openclaw) {
        let secret = config.upstream.as_ref().and_then(secret);
        let found = openclaw(behind, secret, &doors, &config);
        if let Some((_, Some(file))) = found.as_ref().filter(|found| found.0.holds) {
            seen.files.extend(read_by(file));
        }
        seen.openclaw = found.map(|found| found.0);
    }
    seen.doors = Some(doors);
    seen
}

/// The gateway that serves by a configuration and a state folder.
async fn gateway(file: Option<&str>, overrides: &OverrideArgs, config: &Config) -> Option<Gateway> {
    let read = file.or(here()).map(whole);
    let [file, state] = [file, overrides.state()].map(|it| it.map(str::to_owned));
    // What is wrong with the configuration is told elsewhere.
    let mut unheard = Output::default();
    let args = GatewayArgs::on_host(file, state);
    let way = args.way(&mut unheard, ReportFormat::Plain).ok()?;
    let port = way.port.as_ref().map(Target::to_string);
    Some(match status(&way).await {
        Ok(status) if status.pointer("/policy/digest").is_none() => {
            Gateway::Other(serving(&status).at)
        }
        Ok(status) => {
            let mut serving = serving(&status);
            let other = |there: &String| read.as_ref() != Some(there);
            let there = status.pointer("/configFile").and_then(Value::as_str);
            serving.elsewhere = there
                .map(str::to_owned)
                .filter(other)
                .map(|there| Next::on_host(Some(&there), overrides.state()).command("doctor"));
            Gateway::Serves(serving)
        }
        Err(Outside::Client(error @ ClientError::Nobody(_))) => match taken(config).await {
            Some(at) => Gateway::Other(at),
            None => Gateway::Absent(clean_line(&error.to_string())),
        },
        Err(Outside::Client(error)) if is_of_another(&error, config) => {
            Gateway::Other(port.unwrap_or_else(|| clean_line(&error.to_string())))
        }
        Err(outside) => Gateway::Silent(outside.in_short()),
    })
}

/// Where something takes connections that this gateway would listen at.
async fn taken(config: &Config) -> Option<String> {
    let Config { listen, .. } = config;
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port));
    let connected = timeout(OWN_ADDRESS, TcpStream::connect(at));
    let taken = listen.port != 0 && matches!(connected.await, Ok(Ok(_)));
    taken.then(|| at.to_string())
}

/// Whether what went wrong shows that whoever answers at the port is no gw: that one names each
/// connection, and begins with a challenge unless a plain server is behind it.
fn is_of_another(error: &ClientError, config: &Config) -> bool {
    let over_tcp = |target: &str| target.starts_with("ws");
    let plain = || {
        let behind = config.upstream.as_ref();
        behind.is_some_and(|behind| behind.kind == UpstreamKind::Plain)
    };
    match error {
        ClientError::Refused(refusal) => refusal.connection.is_none(),
        ClientError::Http {
            target, connection, ..
        } => connection.is_none() && over_tcp(target),
        ClientError::Protocol { target, .. }
        | ClientError::NeedsTls { target, .. }
        | ClientError::TooLate {
            target,
            what: Waited::Http | Waited::Challenge,
        } => over_tcp(target) && !plain(),
        ClientError::Tls(error) => !matches!(error, ConnectError::Broken { .. }),
        ClientError::Nobody(_)
        | ClientError::Unreachable { .. }
        | ClientError::TooLate { .. }
        | ClientError::Request(_)
        | ClientError::Closed { .. } => false,
    }
}

async fn status(way: &Way) -> Result<Value, Outside> {
    let mut session = way.enter((&[Scope::Read]).into()).await?;
    let status = session.call("status", json!({})).await;
    let at = session.target().to_owned();
    session.close().await;
    let mut status = status?;
    if let Some(status) = status.as_object_mut() {
        status.insert("url".to_owned(), at.into());
    }
    Ok(status)
}

fn serving(status: &Value) -> Serving {
    let text = |place: &str| {
        let text = status.pointer(place).and_then(Value::as_str);
        text.map(clean_line)
    };
    Serving {
        at: text("/url").unwrap_or_default(),
        digest: text("/policy/digest").unwrap_or_default(),
        stays: status.pointer("/policy/differs") == Some(&Value::Bool(true)),
        next_start: policy::next_start(status.get("policy").unwrap_or(&Value::Null)),
        upstream: text("/upstream/url"),
        trouble: text("/upstream/trouble/what"),
        unkept: text("/unkept/what"),
        connections: status
            .pointer("/upstream/connections")
            .and_then(Value::as_u64)
            .unwrap_or_default(),
        elsewhere: None,
    }
}

/// Where the gateway listens: as it says itself while it serves, else as it is configured.
fn doors(config: &Config, serves: bool) -> Doors {
    let said = serves.then(|| listening(&config.state));
    let mut urls: Vec<Target> = said
        .iter()
        .flatten()
        .filter_map(|url| Target::parse(url).ok())
        .collect();
    if urls.is_empty() {
        let container = container::detect(Path::new("/"), |name| std::env::var(name).ok());
        let host = host::listening(container.as_ref(), &interfaces());
        let tls = !matches!(config.tls, Tls::Off);
        let scheme = if tls { "wss" } else { "ws" };
        let addresses = config.listen.addresses(host);
        let urls_of = addresses.iter().map(|at| format!("{scheme}://{at}"));
        urls = urls_of.filter_map(|url| Target::parse(&url).ok()).collect();
    }
    let settings = config.settings();
    let origins = settings.control_ui.allowed_origins.origins.entries();
    Doors {
        urls,
        open: settings.auth.mode() == AuthMode::None,
        origins: origins.map(str::to_owned).collect(),
    }
}

/// What the gateway shows the server behind.
fn secret(configured: &Upstream) -> Option<&Secret> {
    configured.token.as_ref().or(configured.password.as_ref())
}

/// The server behind, asked as the gateway asks it, up to where it would be shown a secret.
async fn behind(config: &Config, configured: &Upstream) -> Option<Behind> {
    let (target, trust) = upstream::target(&config.named(), configured).ok()?;
    let openclaw = configured.kind == UpstreamKind::OpenClaw;
    let patience = Duration::from_millis(configured.patience_ms);
    let patience = Patience {
        connection: patience,
        handshake: patience,
        call: patience,
    };
    let mut reached = Reached::default();
    let mut ahead_ms = None;
    let asked = match openclaw {
        true => {
            let mut hear = |step: Step| match step {
                Step::Reached(there) => reached = there,
                Step::Challenged { time_ms, .. } => {
                    ahead_ms = time_ms.map(|time| time.saturating_sub(now_ms()));
                }
                Step::Upgraded(_) | Step::Knocking { .. } => {}
            };
            let door = Door::open(&target, trust, &Asked::default(), patience, &mut hear).await;
            door.map(drop)
        }
        false => match dial(&target, trust, patience).await {
            Ok(_) if speaks_tls(&target, SOON).await => Err(ClientError::NeedsTls {
                target: target.to_string(),
                over_tls: target.with_tls(true).to_string(),
            }),
            dialed => dialed.map(|(_, there)| reached = there),
        },
    };
    let answer = match (asked, reached.peer) {
        (Err(error), _) => Err(clean_line(&NoLink::from(error).to_string())),
        (Ok(()), Some(peer)) => Ok(Answer {
            place: place(peer.ip(), peer.port()).await,
            ahead_ms,
        }),
        // At a socket of this host.
        (Ok(()), None) => Ok(Answer {
            place: Place::Here(Vec::new()),
            ahead_ms,
        }),
    };
    let secret = secret(configured);
    Some(Behind {
        pages: openclaw
            && configured
                .paths
                .as_ref()
                .is_none_or(|paths| !paths.is_empty()),
        has_secret: secret.is_some(),
        shares_secret: secret
            .zip(of_gateway(config))
            .is_some_and(|(it, own)| it.matches(&own)),
        openclaw,
        target,
        answer,
    })
}

/// Where a server is that was reached at an address; and at which other addresses of this host its
/// port takes connections.
async fn place(reached: IpAddr, port: u16) -> Place {
    let reached = reached.to_canonical();
    let own = own_addresses(&interfaces());
    if !reached.is_loopback() && !own.contains(&reached) {
        return Place::Elsewhere(reached);
    }
    let mut open = Vec::new();
    for ip in own.into_iter().filter(|ip| !ip.is_loopback()) {
        // An address of one link is reached by its interface too, which nobody else needs.
        let link = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let connected = timeout(OWN_ADDRESS, TcpStream::connect((ip, port)));
        if !link && matches!(connected.await, Ok(Ok(_))) {
            open.push(ip);
        }
    }
    Place::Here(open)
}

/// THE LIST of files that hold secrets, or tell who was there: those of a configuration, and those
/// that a gateway keeps for itself. Not all of them need be there.
fn of_secrets(file: Option<&str>, config: &Config) -> Vec<PathBuf> {
    let inline = config.shown().iter().any(|shown| shown.is_secret_in_file());
    let mut files: Vec<PathBuf> = file
        .filter(|_| inline)
        .map(PathBuf::from)
        .into_iter()
        .collect();
    files.extend_from_slice(config.secret_files());
    files.push(config.token_file());
    let devices = config.devices_file();
    for ending in ["", "-wal", "-shm"] {
        let mut name = devices.clone().into_os_string();
        name.push(ending);
        files.push(name.into());
    }
    files.extend([identity::FILE, upstream::ROOT].map(|name| config.state.join(name)));
    files.extend(Certificates::key_file(&config.tls, &config.state));
    if let Some(decisions) = &config.log.decisions {
        let all = log::files(&decisions.file.to_string_lossy());
        files.extend(all.into_iter().map(PathBuf::from));
    }
    files
}

/// Those of them that are there, with who may read them.
fn files(file: Option<&str>, config: &Config) -> Vec<(String, Readers)> {
    let files = of_secrets(file, config).into_iter();
    // A key that was given may be one that a group shares.
    let is_shared = |file: &Path, who| match &config.tls {
        Tls::Files { key, .. } => file == key && who == Readers::Group,
        Tls::Off | Tls::Generated { .. } => false,
    };
    let there = files.filter(|file| file.is_file());
    let read = there.filter(|file| readers(file).is_some_and(|who| !is_shared(file, who)));
    read.filter_map(|file| read_by(&file)).collect()
}

/// Where an error is that is not in the configuration itself but in a policy that it names.
fn of_another_file(checked: &Checked, error: &Diagnostic) -> Option<String> {
    let span = error.labels.first()?.span;
    let source = checked.sources.get(span.source)?;
    let (line, _) = source.position(span.start);
    let name = clean_line(&source.name);
    (*source.name != *checked.name).then(|| format!("{name}:{line}"))
}

/// What a gateway on this host would not know of connections.
fn unknown(config: &Config) -> Vec<Unavailable> {
    let container = container::detect(Path::new("/"), |name| std::env::var(name).ok());
    let socket = config.listen.socket.as_deref();
    Situation::of(&Peers::open(), container, socket).unavailable()
}

fn read_by(file: &Path) -> Option<(String, Readers)> {
    Some((whole(&file.to_string_lossy()), readers(file)?))
}

/// OpenClaw's command line, as this user has it, and its configuration.
fn openclaw(
    behind: &Behind,
    secret: Option<&Secret>,
    doors: &Doors,
    config: &Config,
) -> Option<(OpenClaw, Option<PathBuf>)> {
    let variable = |name: &str| std::env::var(name).ok();
    let named = |name: &str| {
        let path = std::env::var_os(name).filter(|path| !path.is_empty())?;
        Some(PathBuf::from(path))
    };
    let folder =
        || named("OPENCLAW_STATE_DIR").or_else(|| Some(std::env::home_dir()?.join(".openclaw")));
    let file = named("OPENCLAW_CONFIG_PATH").or_else(|| Some(folder()?.join("openclaw.json")));
    let text = file.as_deref().and_then(|file| {
        let text = load::read_file(&file.to_string_lossy(), MAX_BYTES);
        text.ok()
    });
    let found = CommandLine::read(text.as_deref(), &variable)?;
    let url = Target::parse(&found.url).ok()?;
    let shows = own(config)
        .filter(|_| doors.urls.iter().any(|door| leads_to(&url, door)))
        .map(|own| match secret {
            _ if found.shows(&own) => Shows::Own,
            Some(secret) if found.shows(secret) => Shows::OfBehind,
            _ if found.shown.is_empty() => Shows::Nothing,
            Some(_) | None => Shows::Other,
        });
    let openclaw = OpenClaw {
        past: is_same(&url, behind),
        holds: secret.is_some_and(|secret| found.holds(secret)),
        shows,
        remedy: through(doors, config),
        url: url.to_string(),
    };
    Some((openclaw, file.filter(|_| text.is_some())))
}

/// The secret by which clients come in here; nothing where none is asked for, or it cannot be read.
fn own(config: &Config) -> Option<Secret> {
    let auth = config.settings().auth;
    match auth.mode() {
        AuthMode::Token => of_gateway(config),
        AuthMode::Password => auth.password,
        AuthMode::None | AuthMode::TrustedProxy => None,
    }
}

/// Whether a URL leads to where the gateway listens, as far as that can be said of this host.
fn leads_to(url: &Target, door: &Target) -> bool {
    let door = door.clone().from_this_host();
    match (url, &door) {
        (
            Target::Tcp { host, port, .. },
            Target::Tcp {
                host: its,
                port: its_port,
                ..
            },
        ) => port == its_port && (host == its || url.is_loopback() && door.is_loopback()),
        (_, _) => false,
    }
}

/// Whether a URL leads to the server behind.
fn is_same(url: &Target, behind: &Behind) -> bool {
    let (
        Target::Tcp { host, port, .. },
        Target::Tcp {
            host: there,
            port: its,
            ..
        },
    ) = (url, &behind.target)
    else {
        return false;
    };
    let place = behind.answer.as_ref().ok().map(|answer| &answer.place);
    let here = behind.target.is_loopback() || matches!(place, Some(Place::Here(_)));
    port == its && (host.eq_ignore_ascii_case(there) || here && url.is_loopback())
}

/// What has OpenClaw's command line speak with the gateway.
fn through(doors: &Doors, config: &Config) -> String {
    let mut urls = doors.urls.iter().cloned().map(Target::from_this_host);
    let url = urls.find(|url| matches!(url, Target::Tcp { .. }) && url.is_loopback());
    let url = url.map_or_else(|| "ws://HOST:PORT".to_owned(), |url| url.to_string());
    let token = match config.token {
        Token::Generate => {
            let file = whole(&config.token_file().to_string_lossy());
            format!("\"$(cat {})\"", shell_word(&file))
        }
        Token::Given | Token::Unused => "TOKEN-OF-GW".to_owned(),
    };
    format!("export OPENCLAW_GATEWAY_URL={url} OPENCLAW_GATEWAY_TOKEN={token}")
}
