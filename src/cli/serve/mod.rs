//! `gw serve`: the gateway, from a configuration to the last connection.

mod fingerprints;
mod loading;
mod start;
pub(super) mod state;

use std::io::{self, ErrorKind, IsTerminal as _};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Runtime;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::loading::{Loaded, Loading, no_way_in};
use self::start::Start;
use super::Exit;
use super::check::count;
use super::next::whole;
use super::output::{Output, ReportFormat, colour};
use super::overrides::OverrideArgs;
use crate::config::keys::from_the_next_start;
use crate::config::{Config, Host, Level, Limits, Listen};
use crate::diagnostic::{Code, Diagnostic};
use crate::host::claim::claim;
use crate::host::files::raise_limit;
#[cfg(unix)]
use crate::host::files::too_large;
use crate::host::identity::{self, identity};
use crate::host::interface::interfaces;
use crate::host::peer::Peers;
use crate::host::unavailable::Situation;
use crate::host::{self, container};
use crate::pairing::sqlite::Sqlite;
use crate::pairing::store::{self, Store as _};
use crate::server::decision_log::DecisionLog;
use crate::server::tls::{Certificates, Notice};
use crate::server::{Drained, Gateway, Listener, Options, Reloaded, run as serve};
use crate::source::Sources;

/// How long connections may take to end when the gateway stops.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves the gateway until it is told to stop
///
/// Without a configuration it listens at this host only, decides by the default policy, makes a
/// token, and keeps what it remembers in the state folder. SIGTERM and Ctrl-C end it, SIGHUP
/// loads policy, settings and the way to the server behind again.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw serve
  gw serve --config /etc/gw/gw.yaml
  gw serve --policy my.policy --bind lan --tls auto
  gw serve --policy built-in:openclaw/2026.4.22.policy --port 0 --state scratch

Exit codes: 0 stopped as asked, 1 it cannot serve, 2 wrong command line, 3 a file cannot be read")]
pub(super) struct Args {
    /// The configuration; without one, gw.yaml or, where there is none, the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<String>,

    #[command(flatten)]
    overrides: OverrideArgs,
}

/// Why it cannot serve, with what helps.
struct Failure {
    message: String,
    help: String,
}

impl Failure {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Failure {
            message: message.into(),
            help: help.into(),
        }
    }
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let loading = Loading::new(args.config.clone(), args.overrides.clone());
    let loaded = match loading.load() {
        Ok(loaded) => loaded,
        Err(unloaded) => {
            output.complain(&unloaded.text);
            return unloaded.exit;
        }
    };
    output.complain(&loaded.warnings);
    log_to_stderr(loaded.config.log.level);
    match serving(loading, loaded, output) {
        Ok(drained) => {
            output.say(&match drained {
                Drained { open: 0, .. } => "stopped; nobody was connected\n".to_owned(),
                Drained { open: 1, cut: 0 } => "stopped; 1 connection has ended\n".to_owned(),
                Drained { open, cut: 0 } => format!("stopped; {open} connections have ended\n"),
                Drained { open, cut } => {
                    let were = if cut == 1 { "was" } else { "were" };
                    format!(
                        "stopped; {cut} of {} {were} cut\n",
                        count(open, "connection")
                    )
                }
            });
            Exit::Success
        }
        Err(Failure { message, help }) => {
            let diagnostic = Diagnostic::error(Code::CannotServe, message).help(help);
            output.report_one(diagnostic, &Sources::default(), ReportFormat::Human);
            Exit::Failure
        }
    }
}

fn serving(loading: Loading, loaded: Loaded, output: &mut Output) -> Result<Drained, Failure> {
    let Loaded {
        config,
        policy,
        settings,
        token,
        files,
        ..
    } = loaded;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                format!("no threads can be had: {error}"),
                "look at the host's limits",
            )
        })?;
    // Before anything is written.
    outlive_full_files(&runtime);
    let certificates = Certificates::open(&config.tls, &config.state, None, SystemTime::now())
        .map_err(|error| Failure::new(error.message(), error.remedy()))?;
    let mut made = None;
    for notice in certificates.iter().flat_map(Certificates::notices) {
        match notice {
            // It is told with the fingerprint, where clients look for that.
            Notice::Made { path, .. } => made = Some(path),
            Notice::Renewed { .. } | Notice::ReadableKey(_) => {
                output.complain(&format!("{notice}\n"));
            }
        }
    }
    let claim = claim(&config.state).map_err(|error| {
        let status = loading.next(&config, &[]).command("status");
        Failure::new(
            error.to_string(),
            format!("`{status}` asks whether it serves"),
        )
    })?;
    output.complain(&anew(&config));
    let identity = identity(&config.state)
        .map_err(|error| Failure::new(error, "`gateway.identity.get` tells clients who it is"))?;
    let log = match &config.log.decisions {
        Some(decisions) => Some(DecisionLog::open(decisions).map_err(|error| {
            Failure::new(
                error.to_string(),
                "name another file by `log.decisions.file`",
            )
        })?),
        None => None,
    };
    let store = Sqlite::open(&config.devices_file(), store::Limits::default())
        .map_err(|error| Failure::new(error.to_string(), error.remedy()))?;
    let kept = store
        .count()
        .map_err(|error| Failure::new(error.to_string(), "start it again"))?;
    output.complain(&no_way_in(&policy, &settings, &store));
    let behind = loading::behind(&config, &store)
        .map_err(|wrong| Failure::new(wrong.message, wrong.help.concat()))?;
    let container = container::detect(Path::new("/"), |name| std::env::var(name).ok());
    let host = host::listening(container.as_ref(), &interfaces());
    let listeners = listeners(&runtime, &config.listen, host, certificates.as_ref())?;
    let urls: Vec<String> = listeners
        .iter()
        .map(Listener::url)
        .map(from_anywhere)
        .collect();
    claim.say(&urls).map_err(|error| {
        let state = config.state.display();
        Failure::new(
            format!("where it listens cannot be written in {state}: {error}"),
            "the tools of its owner read it there",
        )
    })?;
    let peers = Arc::new(Peers::open());
    let socket = config.listen.socket.as_deref();
    let situation = Situation::of(&peers, container.clone(), socket);
    let start = Start {
        config: &config,
        file: loading.file(),
        policy: &policy,
        token: token.as_ref(),
        next: loading.next(&config, &urls).command("devices list"),
        urls,
        devices: kept.devices,
        fingerprint: certificates.as_ref().map(Certificates::fingerprint),
        certificate: made,
        container: container.as_ref(),
        unavailable: situation.unavailable(),
        requests: kept.requests,
    };
    output.say(&start.to_string());
    // Whoever reads where it listens may tell it something.
    let signals = Signals::heard(&runtime);
    let store = Arc::new(store);
    let remembered = Arc::clone(&store);
    let mut about = vec![("stateDir", config.state.display().to_string())];
    about.extend(loading.file().map(|file| ("configFile", file)));
    let options = Options {
        upstream: behind.map(Arc::new),
        limits: within_open_files(config.limits),
        log,
        metrics: config.metrics,
        peers,
        load: Some(Arc::new(move || loading.again(&*remembered))),
        watched: files,
        certificates: certificates.clone(),
        identity: Some(identity),
        about,
        ..Options::default()
    };
    let gateway = Gateway::new(policy, settings, store, options)
        .map_err(|error| Failure::new(error.to_string(), "look at the host"))?;
    output.flush();
    Ok(runtime.block_on(async {
        let stop = stopped(signals, gateway.clone());
        serve(gateway, listeners, stop, PATIENCE).await
    }))
}

/// That what was remembered here is gone, for people; empty where nothing is. The gateway makes its own
/// key right before the database, so that a folder with one and without the other had both.
fn anew(config: &Config) -> String {
    let devices = config.devices_file();
    let served = config.state.join(identity::FILE).exists() && !devices.exists();
    match served {
        false => String::new(),
        true => format!(
            "warning: {} is gone, and a gateway has served from this folder: devices that were \
             paired are not known any more. Stop it and put a copy back, or let them ask again\n",
            devices.display()
        ),
    }
}

/// A URL, or the path of a socket as it is from any folder.
fn from_anywhere(place: String) -> String {
    match place.contains("://") {
        true => place,
        false => whole(&place),
    }
}

/// How many files the gateway keeps for itself: its store, its log, its own sockets.
const OWN_FILES: u64 = 256;

/// Limits that leave files for the gateway itself, so that connections cannot take them all.
fn within_open_files(limits: Limits) -> Limits {
    let Some(files) = raise_limit() else {
        return limits;
    };
    let room = usize::try_from(files.saturating_sub(OWN_FILES).max(1)).unwrap_or(usize::MAX);
    if limits.connections > room {
        tracing::warn!(
            files,
            connections = room,
            "this host allows fewer open files than `limits.connections` asks for: see `ulimit -n`"
        );
    }
    Limits {
        connections: limits.connections.min(room),
        ..limits
    }
}

fn listeners(
    runtime: &Runtime,
    listen: &Listen,
    host: Host,
    certificates: Option<&Certificates>,
) -> Result<Vec<Listener>, Failure> {
    let _inside = runtime.enter();
    let mut listeners = Vec::new();
    let mut port = listen.port;
    for address in listen.addresses(host) {
        let address = SocketAddr::new(address.ip(), port);
        match Listener::tcp(address, certificates.map(Certificates::acceptor)) {
            Ok(listener) => {
                // Of a port that the system chose, all addresses get the same.
                port = listener.address().map_or(port, |address| address.port());
                listeners.push(listener);
            }
            // A host without IPv6 has IPv4 all the same.
            Err(error) if is_missing(&error) && address.is_ipv6() && !listeners.is_empty() => {
                tracing::debug!(%address, %error, "not listened at");
            }
            Err(error) => return Err(not_listening(address, certificates.is_some(), &error)),
        }
    }
    #[cfg(unix)]
    if let Some(path) = &listen.socket {
        let listener = Listener::unix(path).map_err(|error| {
            let message = format!("{} cannot be listened at: {error}", path.display());
            Failure::new(
                message,
                "another gateway may use it; name another one by `listen.socket`",
            )
        })?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AddrNotAvailable | ErrorKind::Unsupported
    ) || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// A kernel without IPv6 says so; the standard library has no kind for it.
const EAFNOSUPPORT: i32 = 97;

fn not_listening(address: SocketAddr, tls: bool, error: &io::Error) -> Failure {
    let known = |kind: ErrorKind| error.kind() == kind;
    let taken;
    let help = if known(ErrorKind::AddrInUse) {
        let scheme = if tls { "wss" } else { "ws" };
        let port = address.port();
        let local = match (address.ip().is_unspecified(), address.is_ipv6()) {
            (true, false) => format!("127.0.0.1:{port}"),
            (true, true) => format!("[::1]:{port}"),
            (false, _) => address.to_string(),
        };
        taken = format!(
            "something listens there already: `gw connect --url {scheme}://{local} --no-device` \
             shows whether it is a gateway; `--port` names another port. If OpenClaw holds it: move \
             that one, and name it with `--upstream` (docs/openclaw.md)"
        );
        &*taken
    } else if known(ErrorKind::AddrNotAvailable) {
        "it is no address of this host: see `ip address`"
    } else if known(ErrorKind::PermissionDenied) {
        "ports below 1024 are for root: name another by `--port`"
    } else {
        "name another address by `--bind`, or another port by `--port`"
    };
    Failure::new(format!("{address} cannot be listened at: {error}"), help)
}

/// A file that may grow no further (`ulimit -f`) is a full disk to whoever writes to it. A system ends
/// the process for it, unless somebody hears the signal; there is nothing to be done about it then.
#[cfg(unix)]
fn outlive_full_files(runtime: &Runtime) {
    let _inside = runtime.enter();
    // It is heard as long as the process lasts.
    if let Err(error) = signal(SignalKind::from_raw(too_large())) {
        tracing::debug!(%error, "a limit on the size of files would end this process");
    }
}

#[cfg(not(unix))]
fn outlive_full_files(_: &Runtime) {}

/// What a process is told: that it is to stop, twice, and to look at its files again.
#[cfg(unix)]
struct Signals([io::Result<Signal>; 3]);

#[cfg(unix)]
impl Signals {
    /// From now on they are heard; what comes before somebody waits for them is kept.
    fn heard(runtime: &Runtime) -> Self {
        let _inside = runtime.enter();
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        Signals(kinds.map(signal))
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn heard(_: &Runtime) -> Self {
        Signals
    }
}

/// Done when the process is told to stop. Told to look at its files again, it does.
#[cfg(unix)]
async fn stopped(signals: Signals, gateway: Gateway) {
    async fn heard(signal: &mut io::Result<Signal>) {
        match signal {
            Ok(signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    }
    let Signals([mut interrupt, mut terminate, mut hang_up]) = signals;
    loop {
        tokio::select! {
            () = heard(&mut interrupt) => return,
            () = heard(&mut terminate) => return,
            () = heard(&mut hang_up) => {
                // Whoever sends the signal sees nothing else of it; of all others the log tells.
                if let Reloaded::Unchanged { next_start, .. } = gateway.reload().await {
                    tracing::info!("told to load again: policy and settings are unchanged");
                    if !next_start.is_empty() {
                        tracing::warn!("{}", from_the_next_start(&next_start));
                    }
                }
            }
        }
    }
}

#[cfg(not(unix))]
async fn stopped(_: Signals, _: Gateway) {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

fn log_to_stderr(level: Level) {
    use tracing::level_filters::LevelFilter;
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(colour(io::stderr().is_terminal()))
        .with_writer(io::stderr)
        // A line that cannot be written is lost. Told of it at the same place, whoever logged would
        // end in a panic.
        .log_internal_errors(false)
        .finish();
    // Whoever embeds the command line may have one already.
    let _ = tracing::subscriber::set_global_default(log);
}
