//! How the tools find a gateway and come in: by its URL, or as `gw serve` finds its own files.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use super::Exit;
use super::config::{Unread, read_with};
use super::next::Next;
use super::output::{AnswerFormat, Output, ReportFormat};
use super::trouble::clean_line;
use super::{owner, trouble};
use crate::client::tls::Trust;
use crate::client::{
    Asked, ClientError, Device, Door, Knock, Patience, Refusal, Session, Step, Target,
};
use crate::config::{Config, Overrides, Surroundings as _, Tls, Token, UpstreamKind, Written};
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::scopes::{ScopeRule, covers};
use crate::facts::{Role, Scope};
use crate::handshake::clean;
use crate::host::Local;
use crate::host::claim::listening;
use crate::host::token::{self, Made};
use crate::host::user::Users;
use crate::secret::Secret;
use crate::server::tls::Certificates;
use crate::source::Sources;

/// The name of the tools' own folder, and of their key in it.
const FOLDER: &str = "gw";
const KEY: &str = "device.key";

const OWN_KEY: Made = Made {
    name: "the key of these tools",
    anew: "remove the file, and another one is made; its device is then another one",
};

const GOES_ON: &str = "the gateway is asked where it says that it listens";

/// The gateway that a tool asks.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Which gateway")]
pub(super) struct GatewayArgs {
    /// Its URL (ws://, wss://), or the path of its unix socket; without one, the socket of the
    /// state folder, else the port of the configuration
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Its configuration; without one, gw.yaml or, where there is none, the defaults. Beside --url
    /// it says where the token and the certificate are
    #[arg(long, value_name = "FILE")]
    config: Option<String>,

    /// Its state folder: a gateway that serves from another one is not asked. Beside --url it says
    /// where the token and the certificate are
    #[arg(long, value_name = "DIR")]
    state: Option<String>,

    /// A file that holds the shared token
    #[arg(long, value_name = "FILE", conflicts_with = "token_env")]
    token_file: Option<String>,

    /// A variable of the environment that holds the shared token
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,

    /// A file that holds the shared password
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    password_file: Option<String>,

    /// A variable of the environment that holds the shared password
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,

    /// The SHA-256 of its certificate, when no authority of this host vouches for it; that of a
    /// gateway on this host is known from its state folder
    #[arg(long, value_name = "HEX")]
    tls_fingerprint: Option<String>,
}

/// What every verb that asks a gateway takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct AskArgs {
    /// How to print the answer
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: AnswerFormat,

    #[command(flatten)]
    pub(super) gateway: GatewayArgs,
}

/// Where a gateway may be, and what to bring.
pub(super) struct Way {
    /// The places, the best first.
    pub(super) places: Vec<Target>,
    /// Where it is over TCP, as clients come.
    pub(super) port: Option<Target>,
    /// Commands that reach the same gateway.
    pub(super) advice: Advice,
    token: Option<Secret>,
    password: Option<Secret>,
    /// Whether the user named a secret. Else it is the one that the gateway itself has.
    named: bool,
    trust: Trust,
    /// Whether the policy that the configuration names pairs these tools without asking, where
    /// that is asked: then they leave no request, whatever they ask for.
    pairs_tools: OnceCell<bool>,
    config: Option<Box<Config>>,
}

/// How commands reach the gateway that was asked, for telling the user what to run next.
#[derive(Clone, Debug, Default)]
pub(super) struct Advice {
    /// As this command was run.
    pub(super) same: Next,
    /// As its owner, on the gateway's own host.
    pub(super) owner: Next,
    /// Whether that host may be another one.
    pub(super) elsewhere: bool,
    /// The state folder that was named.
    pub(super) state: Option<String>,
}

/// What a client comes with, beside what it says and asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum With {
    /// Nothing that proves anything: the kernel says who is at the gateway's own socket.
    Nothing,
    /// A secret, and a device.
    Proof,
}

impl GatewayArgs {
    /// The gateway of this host that serves by a configuration and a state folder.
    pub(super) fn on_host(config: Option<String>, state: Option<String>) -> Self {
        GatewayArgs {
            config,
            state,
            ..GatewayArgs::default()
        }
    }

    /// How commands reach the same gateway.
    pub(super) fn advice(&self) -> Advice {
        let (config, state) = (self.config.as_deref(), self.state.as_deref());
        let flags = [
            ("--url", self.url.as_deref()),
            ("--config", config),
            ("--state", state),
            ("--token-file", self.token_file.as_deref()),
            ("--token-env", self.token_env.as_deref()),
            ("--password-file", self.password_file.as_deref()),
            ("--password-env", self.password_env.as_deref()),
            ("--tls-fingerprint", self.tls_fingerprint.as_deref()),
        ];
        Advice {
            same: Next::new(&flags),
            owner: Next::on_host(config, state),
            elsewhere: self.url.is_some() && config.is_none() && state.is_none(),
            state: self.state.clone(),
        }
    }

    /// Finds where the gateway may be. Complains when what is said cannot be used.
    pub(super) fn way(&self, output: &mut Output, format: ReportFormat) -> Result<Way, Exit> {
        let mut wrong = |message: String, help: &str, code, exit| {
            let diagnostic = Diagnostic::error(code, message).help(help);
            output.report_one(diagnostic, &Sources::default(), format);
            exit
        };
        let mut secret = |file: &Option<String>, variable: &Option<String>| {
            secret(file.as_deref(), variable.as_deref()).map_err(|message| {
                wrong(
                    message,
                    "a secret stands in a file for you alone, or in the environment",
                    Code::UnusableSecret,
                    Exit::Input,
                )
            })
        };
        let mut token = secret(&self.token_file, &self.token_env)?;
        let password = secret(&self.password_file, &self.password_env)?;
        let trust = match &self.tls_fingerprint {
            None => Trust::System,
            Some(text) => Trust::Fingerprint(text.parse().map_err(|error| {
                let status = self.advice().owner.command("status");
                let help = format!("`{status}` says it on the gateway's own host");
                let message = format!("`--tls-fingerprint`: {error}");
                wrong(message, &help, Code::InvalidTarget, Exit::Usage)
            })?),
        };
        if let Some(url) = &self.url {
            let target = Target::parse(url).map_err(|error| {
                let help = "gw status --url wss://gateway.example:18789 --token-file FILE";
                let message = format!("`--url` cannot be used: {error}");
                wrong(message, help, Code::InvalidTarget, Exit::Usage)
            })?;
            if self.tls_fingerprint.is_some() && !target.is_tls() {
                let message =
                    "`--tls-fingerprint` names a certificate, and without TLS there is none";
                let help = "write `wss://` in place of `ws://`; nothing was sent";
                let code = Code::InvalidTarget;
                return Err(wrong(message.to_owned(), help, code, Exit::Usage));
            }
            let files_named = self.config.is_some() || self.state.is_some();
            let config = match self.read() {
                Ok(config) => Some(config),
                // Of a gateway elsewhere nothing here needs to be right.
                Err(_) if !files_named => None,
                Err(unread) => return Err(unread.report(output, format)),
            };
            let named = token.is_some() || password.is_some();
            if let (Some(config), true, false) = (&config, files_named, named) {
                token = of_gateway(config);
            }
            let on_loopback = target.is_loopback();
            let config = config.filter(|_| files_named || on_loopback);
            return Ok(Way {
                port: Some(target.clone()).filter(|target| matches!(target, Target::Tcp { .. })),
                places: vec![target],
                named: token.is_some() || password.is_some(),
                token,
                password,
                trust: config
                    .as_ref()
                    .map_or(trust, |config| trusting(trust, config)),
                advice: self.advice(),
                pairs_tools: OnceCell::new(),
                // What a policy says of loopback counts where it is known to be that gateway's.
                config: config.filter(|_| files_named && on_loopback).map(Box::new),
            });
        }
        let config = match self.read() {
            Ok(config) => config,
            Err(unread) => {
                let Some(mut way) = self.as_it_says_itself(&unread, trust) else {
                    return Err(unread.report(output, format));
                };
                let there: Vec<String> = way.places.iter().map(Target::to_string).collect();
                output.complain(&unread.warning(GOES_ON, &there.join(", ")));
                way.named = token.is_some() || password.is_some();
                way.token = token.or(way.token);
                way.password = password;
                return Ok(way);
            }
        };
        let named = token.is_some() || password.is_some();
        if !named {
            token = of_gateway(&config);
        }
        let port = port(&config, self.state.is_some());
        let socket = config.listen.socket.clone().map(Target::Unix);
        // Whoever names a state folder means the gateway that serves from it, and its socket says
        // whether there is one.
        let only_socket = self.state.is_some() && socket.is_some();
        let second = port.clone().filter(|_| !only_socket);
        Ok(Way {
            places: socket.into_iter().chain(second).collect(),
            port,
            trust: trusting(trust, &config),
            token,
            password,
            named,
            advice: self.advice(),
            pairs_tools: OnceCell::new(),
            config: Some(Box::new(config)),
        })
    }

    /// The gateway that says of itself, in a state folder, where it listens: the configuration is
    /// none, perhaps since it was edited, and its owner wants to know what is in force meanwhile.
    fn as_it_says_itself(&self, unread: &Unread, trust: Trust) -> Option<Way> {
        let state = self.state.clone().map(PathBuf::from);
        let overrides = Overrides {
            state: Some(state.or_else(|| unread.state())?.to_str()?.to_owned()),
            ..Overrides::default()
        };
        let host = Local {
            built_in: super::load::built_in,
        };
        let config = Config::read(None, &overrides, &host).ok()?;
        let said = listening(&config.state).into_iter();
        let said = said.filter_map(|url| Target::parse(&url).ok());
        let (sockets, ports): (Vec<Target>, Vec<Target>) =
            said.partition(|target| matches!(target, Target::Unix(_)));
        let port = port(&config, true);
        let places = match sockets.is_empty() {
            true => ports.into_iter().map(Target::from_this_host).collect(),
            false => sockets,
        };
        if places.is_empty() {
            return None;
        }
        Some(Way {
            places,
            port,
            trust: trusting(trust, &config),
            token: of_gateway(&config),
            password: None,
            named: false,
            advice: self.advice(),
            pairs_tools: OnceCell::new(),
            config: None,
        })
    }

    fn read(&self) -> Result<Config, Unread> {
        let overrides = Overrides {
            state: self.state.clone(),
            ..Overrides::default()
        };
        read_with(self.config.as_deref(), &overrides)
    }
}

/// Where the gateway of a configuration is over TCP: as it says itself in its state folder, else as
/// it is configured. Of a state folder that was named, only what it says itself counts: another
/// gateway may be where it is not.
fn port(config: &Config, state_named: bool) -> Option<Target> {
    let said = listening(&config.state).into_iter();
    let mut said: Vec<Target> = said
        .filter_map(|url| Target::parse(&url).ok())
        .filter(|target| matches!(target, Target::Tcp { .. }))
        .map(Target::from_this_host)
        .collect();
    said.sort_by_key(|target| !target.is_loopback());
    let configured = || Target::Tcp {
        tls: !matches!(config.tls, Tls::Off),
        host: "127.0.0.1".into(),
        port: config.listen.port,
        path: "/".into(),
    };
    match said.into_iter().next() {
        None if !state_named => Some(configured()),
        said => said,
    }
}

/// What is trusted of a gateway of this host: what was said, else its own certificate too.
fn trusting(said: Trust, config: &Config) -> Trust {
    match (said, Certificates::known(&config.tls, &config.state)) {
        (Trust::System, Some(known)) => Trust::Known(known),
        (said, _) => said,
    }
}

/// The shared token that a gateway of this host has.
pub(super) fn of_gateway(config: &Config) -> Option<Secret> {
    match config.token {
        Token::Given => config.settings().auth.token,
        Token::Generate => {
            let file = config.token_file();
            // Only the gateway makes one.
            file.exists().then(|| token::made(&file).ok()).flatten()
        }
        Token::Unused => None,
    }
}

/// A secret from a file or from the environment.
fn secret(file: Option<&str>, variable: Option<&str>) -> Result<Option<Secret>, String> {
    let local = Local {
        built_in: super::load::built_in,
    };
    let written = file.map(|file| Written::File(file.to_owned()));
    let written = written.or_else(|| variable.map(|name| Written::Variable(name.to_owned())));
    let secret = match written {
        None => return Ok(None),
        Some(Written::File(file)) => {
            let read = local.secret_file(file.as_ref());
            let read = read.map_err(|error| format!("{file} cannot be read: {error}"))?;
            if read.mode.is_some_and(|mode| mode & 0o077 != 0) {
                return Err(format!("others may read {file}: run `chmod 600 {file}`"));
            }
            read.secret
        }
        Some(Written::Variable(name)) => {
            let text = local.variable(&name);
            Secret::new(&text.ok_or_else(|| format!("the environment has no {name}"))?)
        }
        Some(Written::Inline(secret)) => secret,
    };
    match secret.is_blank() {
        true => Err("the secret that is named is blank".to_owned()),
        false => Ok(Some(secret)),
    }
}

/// The device that these tools are. Its key is made when it is first needed.
pub(super) fn device() -> Result<Device, String> {
    let variable = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let folder = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    let folder = folder.ok_or(
        "these tools have no place for their key: the environment has neither XDG_CONFIG_HOME nor HOME",
    )?;
    let file = folder.join(FOLDER).join(KEY);
    let seed = token::made_as(&file, OWN_KEY)?;
    Device::from_seed(&seed).ok_or_else(|| {
        format!(
            "{} holds no key: remove it, and another one is made; its device is then another one",
            file.display()
        )
    })
}

/// The scopes that a tool asks for.
#[derive(Clone, Copy)]
pub(super) struct Asks<'a> {
    /// Where nothing can be left behind: at the gateway's own socket there is no device that a
    /// request would be kept of, and where a policy pairs without asking nothing waits.
    wished: &'a [Scope],
    /// Where a device asks, which leaves a request when it is refused: no more than it takes.
    least: &'a [Scope],
    /// Whether the server behind the gateway is meant, where there is one.
    behind: bool,
}

impl<'a> Asks<'a> {
    /// The same, of the server behind the gateway.
    pub(super) fn of_behind(self, behind: bool) -> Self {
        Asks { behind, ..self }
    }

    /// What it takes, and what is welcome beside it.
    pub(super) fn wishing(least: &'a [Scope], wished: &'a [Scope]) -> Self {
        Asks {
            wished,
            least,
            behind: false,
        }
    }
}

impl<'a> From<&'a [Scope]> for Asks<'a> {
    fn from(least: &'a [Scope]) -> Self {
        Asks::wishing(least, &[Scope::Admin])
    }
}

impl<'a, const N: usize> From<&'a [Scope; N]> for Asks<'a> {
    fn from(scopes: &'a [Scope; N]) -> Self {
        Asks::from(scopes.as_slice())
    }
}

/// Why nobody came in.
pub(super) enum Outside {
    /// The gateway, or what is in between.
    Client(ClientError),
    /// The gateway does not let the user in who came to its own socket.
    Owner(Box<Shut>),
    /// These tools have no key.
    NoDevice(String),
}

impl Outside {
    /// It in one line.
    pub(super) fn in_short(&self) -> String {
        match self {
            Outside::Client(error) => clean_line(&error.to_string()),
            Outside::Owner(shut) => clean_line(&shut.refusal.message),
            Outside::NoDevice(message) => message.clone(),
        }
    }

    /// Tells it.
    pub(super) fn report(
        &self,
        advice: &Advice,
        format: AnswerFormat,
        output: &mut Output,
    ) -> Exit {
        match self {
            Outside::Client(error) => trouble::report(error, advice, format, output),
            Outside::Owner(shut) => shut.report(format, output),
            Outside::NoDevice(message) => {
                let diagnostic = Diagnostic::error(Code::UnusableSecret, message.clone())
                    .help("at the gateway's own socket no key is needed");
                output.report_one(diagnostic, &Sources::default(), format.report());
                Exit::Failure
            }
        }
    }
}

impl Outside {
    /// The same, told as what it is to the user who came to the gateway's own socket: `before` is
    /// what they were told there, where this was the second try.
    fn of_owner(self, socket: &Path, before: Option<Outside>) -> Self {
        let Outside::Client(ClientError::Refused(refusal)) = self else {
            return self;
        };
        if refusal.is_for_now() {
            return Outside::Client(ClientError::Refused(refusal));
        }
        let before = match before {
            Some(Outside::Client(ClientError::Refused(before))) => Some(before),
            Some(_) | None => None,
        };
        Outside::Owner(Box::new(Shut {
            runs_as: owner_of(socket),
            before,
            refusal,
        }))
    }
}

/// A gateway that lets the user who came to its own socket in by neither way.
pub(super) struct Shut {
    /// The user that runs the gateway, where that is somebody else.
    runs_as: Option<u32>,
    /// What was said at the socket, if something was tried after it.
    before: Option<Box<Refusal>>,
    /// What was said last.
    refusal: Box<Refusal>,
}

impl Shut {
    fn help(&self) -> String {
        match self.runs_as {
            Some(user) => {
                format!("run this as the user who runs the gateway, whose number is {user}")
            }
            None => format!(
                "write into its policy, above what decides now: {}",
                owner::RULE
            ),
        }
    }

    fn report(&self, format: AnswerFormat, output: &mut Output) -> Exit {
        if format == AnswerFormat::Json {
            output.say_json(&json!({ "error": self.refusal.to_json(), "help": self.help() }));
            return Exit::Failure;
        }
        let who = match self.runs_as {
            Some(_) => "the policy of this gateway does not admit you at its socket",
            None => "the policy of this gateway admits nobody here, not even the user who runs it",
        };
        let said = |refusal: &Refusal| {
            let code = refusal.detail_code().unwrap_or(&refusal.code);
            format!("{} ({})", clean_line(&refusal.message), clean(code))
        };
        let tried = match &self.before {
            Some(before) => vec![
                ("at the socket", said(before)),
                ("as a device", said(&self.refusal)),
            ],
            None => vec![("at the socket", said(&self.refusal))],
        };
        output.complain(&format!("error: {who}\n"));
        for (how, said) in tried {
            output.complain(&format!("  {how:<15}{said}\n"));
        }
        output.complain(&format!("  help: {}\n", self.help()));
        Exit::Failure
    }
}

/// The user that a socket belongs to, where that is another one than runs this.
#[cfg(unix)]
fn owner_of(socket: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = std::fs::metadata(socket).ok()?.uid();
    let own = Users::of_this_process()?.own;
    (owner != own).then_some(owner)
}

#[cfg(not(unix))]
fn owner_of(_: &Path) -> Option<u32> {
    None
}

impl From<ClientError> for Outside {
    fn from(error: ClientError) -> Self {
        Outside::Client(error)
    }
}

impl Way {
    /// Opens the first door behind which somebody is.
    pub(super) async fn open(
        &self,
        asked: &Asked,
        seen: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(Door, &Target), ClientError> {
        self.open_one(self.places.iter(), asked, seen).await
    }

    /// Comes as a client of the plain server behind does: by its request alone, with the secret as
    /// a bearer token.
    pub(super) async fn pass(
        &self,
        mut asked: Asked,
        seen: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(), ClientError> {
        if let Some(secret) = self.token.as_ref().or(self.password.as_ref()) {
            let bearer = format!("Bearer {}", secret.expose());
            asked.headers.push(("authorization".to_owned(), bearer));
        }
        let mut nobody = Vec::new();
        for target in &self.places {
            match Door::pass(target, self.trust, &asked, Patience::default(), seen).await {
                Err(ClientError::Nobody(place)) => nobody.push(place),
                passed => return passed,
            }
        }
        Err(ClientError::Nobody(nobody.join(", nor at ")))
    }

    /// Whether a plain server is behind, by the configuration: its clients send no connect frame.
    pub(super) fn is_plain(&self) -> bool {
        let config = self.config.as_deref();
        let behind = config.and_then(|config| config.upstream.as_ref());
        behind.is_some_and(|behind| behind.kind == UpstreamKind::Plain)
    }

    async fn open_one<'a>(
        &'a self,
        places: impl Iterator<Item = &'a Target>,
        asked: &Asked,
        seen: &mut (dyn FnMut(Step) + Send),
    ) -> Result<(Door, &'a Target), ClientError> {
        let mut nobody: Vec<String> = Vec::new();
        for target in places {
            match Door::open(target, self.trust, asked, Patience::default(), seen).await {
                Ok(door) => return Ok((door, target)),
                Err(ClientError::Nobody(place)) => nobody.push(place),
                Err(error) => return Err(error),
            }
        }
        Err(ClientError::Nobody(nobody.join(", nor at ")))
    }

    /// Puts the secrets in. At the gateway's own socket the kernel says who is there: only a
    /// secret that the user named is needed there.
    pub(super) fn knock(&self, target: &Target, knock: Knock) -> Knock {
        match target {
            Target::Unix(_) if !self.named => knock,
            Target::Unix(_) | Target::Tcp { .. } => self.proven(knock),
        }
    }

    fn proven(&self, knock: Knock) -> Knock {
        Knock {
            token: self.token.clone(),
            password: self.password.clone(),
            ..knock
        }
    }

    /// Comes in as the owner's tool.
    ///
    /// At the gateway's own socket it comes as the user that it is. A policy that has no rule for
    /// that, as those of OpenClaw's releases, wants a device and the secret: then it comes over
    /// loopback as their command line does, and at the socket only where there is no port.
    pub(super) async fn enter(&self, asks: Asks<'_>) -> Result<Session, Outside> {
        let asked = Asked::default();
        let (door, target) = self.open(&asked, &mut |_| {}).await?;
        let socket = match target {
            Target::Unix(path) if !self.named => path,
            Target::Unix(_) | Target::Tcp { .. } => {
                return self
                    .come(door, asks, self.as_device(asks), With::Proof)
                    .await;
            }
        };
        let mut first = self.come(door, asks, asks.wished, With::Nothing).await;
        if wants_proof(&first, asks.wished) && asks.wished != asks.least {
            let here = std::iter::once(target);
            let (door, _) = self.open_one(here, &asked, &mut |_| {}).await?;
            first = self.come(door, asks, asks.least, With::Nothing).await;
        }
        if !wants_proof(&first, asks.least) {
            return first.map_err(|outside| outside.of_owner(socket, None));
        }
        let places = self.port.iter().chain(&self.places);
        let (door, _) = self.open_one(places, &asked, &mut |_| {}).await?;
        let second = self
            .come(door, asks, self.as_device(asks), With::Proof)
            .await;
        second.map_err(|outside| outside.of_owner(socket, first.err()))
    }

    /// What to ask for as a device. Where the policy pairs it without asking, and asks about each
    /// scope that comes later, as those of OpenClaw's releases do, it is paired with all that it
    /// will ever want: with less its owner would be shut out by their first question.
    fn as_device<'a>(&self, asks: Asks<'a>) -> &'a [Scope] {
        let pairs = self.pairs_tools.get_or_init(|| {
            let config = self.config.as_deref();
            config.is_some_and(owner::is_paired_silently)
        });
        match pairs {
            true => asks.wished,
            false => asks.least,
        }
    }

    async fn come(
        &self,
        door: Door,
        asks: Asks<'_>,
        scopes: &[Scope],
        with: With,
    ) -> Result<Session, Outside> {
        let knock = Knock {
            gateway_only: !asks.behind,
            ..knock_for(scopes)
        };
        let (knock, device) = match with {
            With::Nothing => (knock, None),
            With::Proof => {
                let device = device().map_err(Outside::NoDevice)?;
                (self.proven(knock), Some(device))
            }
        };
        Ok(door.knock(&knock, device.as_ref(), &mut |_| {}).await?)
    }
}

/// What the owner's tools say, and ask with these scopes.
pub(super) fn knock_for(scopes: &[Scope]) -> Knock {
    Knock {
        scopes: scopes.iter().map(|scope| scope.name().into()).collect(),
        gateway_only: true,
        ..Knock::default()
    }
}

/// Whether somebody was let in without what they asked for, or refused, because nothing proved who
/// they are.
fn wants_proof(came: &Result<Session, Outside>, asked: &[Scope]) -> bool {
    match came {
        Ok(session) => session.scopes().is_empty() && !asked.is_empty(),
        Err(Outside::Client(ClientError::Refused(refusal))) => refusal.wants_proof(),
        Err(_) => false,
    }
}

/// The device that is needed there: none at a socket of this host.
pub(super) fn device_for(target: &Target) -> Result<Option<Device>, String> {
    match target {
        Target::Unix(_) => Ok(None),
        Target::Tcp { .. } => device().map(Some),
    }
}

/// What runs a tool's waiting.
pub(super) fn runtime(output: &mut Output) -> Result<Runtime, Exit> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| {
        output.complain(&format!("error: this host gives no sockets: {error}\n"));
        Exit::Failure
    })
}

/// Comes in, does something there, and says what went wrong.
pub(super) fn ask<'a, T>(
    args: &AskArgs,
    asks: impl Into<Asks<'a>>,
    output: &mut Output,
    work: impl AsyncFnOnce(&mut Session, &mut Output) -> Result<T, Trouble>,
) -> Result<T, Exit> {
    let first = async |_: &mut Session, _: &mut Output| Ok(((), Vec::new()));
    let work = async |session: &mut Session, output: &mut Output, ()| work(session, output).await;
    ask_twice(args, asks.into(), output, first, work)
}

/// The same in two steps, where only what is found first says which scopes the second takes: it
/// comes in again with those when it has to.
pub(super) fn ask_twice<F, T>(
    args: &AskArgs,
    asks: Asks<'_>,
    output: &mut Output,
    find: impl AsyncFnOnce(&mut Session, &mut Output) -> Result<(F, Vec<Scope>), Trouble>,
    work: impl AsyncFnOnce(&mut Session, &mut Output, F) -> Result<T, Trouble>,
) -> Result<T, Exit> {
    let way = args.gateway.way(output, args.format.report())?;
    let runtime = runtime(output)?;
    let done = runtime.block_on(async {
        let mut session = way.enter(asks).await?;
        let found = find(&mut session, output).await;
        let done = match found {
            Ok((found, needed)) => {
                if !holds(&session, &needed) {
                    session.close().await;
                    session = way.enter(needed.as_slice().into()).await?;
                }
                work(&mut session, output, found).await
            }
            Err(trouble) => Err(trouble),
        };
        session.close().await;
        done
    });
    done.map_err(|trouble| match trouble {
        Trouble::Outside(outside) => outside.report(&way.advice, args.format, output),
        Trouble::Told(exit) => exit,
    })
}

/// Whether a session may do what needs these scopes.
fn holds(session: &Session, needed: &[Scope]) -> bool {
    let needed: Vec<&str> = needed.iter().map(|scope| scope.name()).collect();
    let operator = Role::Operator.name();
    covers(ScopeRule::default(), operator, &needed, &session.scopes()).is_ok()
}

/// What went wrong inside.
pub(super) enum Trouble {
    /// It is still to be told.
    Outside(Outside),
    /// It was told.
    Told(Exit),
}

impl From<Outside> for Trouble {
    fn from(outside: Outside) -> Self {
        Trouble::Outside(outside)
    }
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Trouble::Outside(Outside::Client(error))
    }
}
