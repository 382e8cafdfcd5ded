//! How the tools find a gateway and come in: by its URL, or as `gw serve` finds its own files.

use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};

use super::Exit;
use super::config::{Unread, read_with};
use super::next::Next;
use super::output::{AnswerFormat, Output, ReportFormat};
use super::trouble;
use crate::client::tls::Trust;
use crate::client::{Asked, ClientError, Device, Door, Knock, Patience, Session, Step, Target};
use crate::config::{Config, Overrides, Surroundings as _, Tls, Token, Written};
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::Scope;
use crate::host::claim::listening;
use crate::host::{Local, token};
use crate::secret::Secret;
use crate::server::tls::Certificates;
use crate::source::Sources;

/// The name of the tools' own folder, and of their key in it.
const FOLDER: &str = "gw";
const KEY: &str = "device.key";

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
                let help = "`gw status` says it on the gateway's own host";
                let message = format!("`--tls-fingerprint`: {error}");
                wrong(message, help, Code::InvalidTarget, Exit::Usage)
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
            let config = config.filter(|_| files_named || target.is_loopback());
            return Ok(Way {
                port: Some(target.clone()).filter(|target| matches!(target, Target::Tcp { .. })),
                places: vec![target],
                named: token.is_some() || password.is_some(),
                token,
                password,
                trust: config.map_or(trust, |config| trusting(trust, &config)),
                advice: self.advice(),
            });
        }
        let config = self
            .read()
            .map_err(|unread| unread.report(output, format))?;
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
fn of_gateway(config: &Config) -> Option<Secret> {
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
    let seed = token::made(&file)?;
    Device::from_seed(&seed).ok_or_else(|| {
        format!(
            "{} holds no key: remove it, and another one is made; its device is then another one",
            file.display()
        )
    })
}

/// Why nobody came in.
pub(super) enum Outside {
    /// The gateway, or what is in between.
    Client(ClientError),
    /// These tools have no key.
    NoDevice(String),
}

impl Outside {
    /// Tells it.
    pub(super) fn report(
        &self,
        advice: &Advice,
        format: AnswerFormat,
        output: &mut Output,
    ) -> Exit {
        match self {
            Outside::Client(error) => trouble::report(error, advice, format, output),
            Outside::NoDevice(message) => {
                let diagnostic = Diagnostic::error(Code::UnusableSecret, message.clone())
                    .help("at the gateway's own socket no key is needed");
                output.report_one(diagnostic, &Sources::default(), format.report());
                Exit::Failure
            }
        }
    }
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
        seen: &mut dyn FnMut(Step),
    ) -> Result<(Door, &Target), ClientError> {
        self.open_one(self.places.iter(), asked, seen).await
    }

    async fn open_one<'a>(
        &'a self,
        places: impl Iterator<Item = &'a Target>,
        asked: &Asked,
        seen: &mut dyn FnMut(Step),
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

    /// Comes in as the owner's tool, with these scopes.
    ///
    /// At the gateway's own socket it comes as the user that it is. A policy that has no rule for
    /// that, as those of OpenClaw's releases, wants a device and the secret: then it comes over
    /// loopback as their command line does, and at the socket only where there is no port.
    pub(super) async fn enter(&self, scopes: &[Scope]) -> Result<Session, Outside> {
        let (door, target) = self.open(&Asked::default(), &mut |_| {}).await?;
        let bare = matches!(target, Target::Unix(_)) && !self.named;
        let with = if bare { With::Nothing } else { With::Proof };
        let first = self.come(door, scopes, with).await;
        let wants_proof = match &first {
            Ok(session) => session.scopes().is_empty(),
            Err(Outside::Client(ClientError::Refused(refusal))) => refusal.wants_proof(),
            Err(_) => false,
        };
        if !bare || !wants_proof {
            return first;
        }
        let places = self.port.iter().chain(&self.places);
        let asked = Asked::default();
        let (door, _) = self.open_one(places, &asked, &mut |_| {}).await?;
        self.come(door, scopes, With::Proof).await
    }

    async fn come(&self, door: Door, scopes: &[Scope], with: With) -> Result<Session, Outside> {
        let knock = Knock {
            scopes: scopes.iter().map(|scope| scope.name().into()).collect(),
            ..Knock::default()
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
pub(super) fn ask<T>(
    args: &AskArgs,
    scopes: &[Scope],
    output: &mut Output,
    work: impl AsyncFnOnce(&mut Session, &mut Output) -> Result<T, Trouble>,
) -> Result<T, Exit> {
    let way = args.gateway.way(output, args.format.report())?;
    let runtime = runtime(output)?;
    let done = runtime.block_on(async {
        let mut session = way.enter(scopes).await.map_err(Trouble::Outside)?;
        let done = work(&mut session, output).await;
        session.close().await;
        done
    });
    done.map_err(|trouble| match trouble {
        Trouble::Outside(outside) => outside.report(&way.advice, args.format, output),
        Trouble::Told(exit) => exit,
    })
}

/// What went wrong inside.
pub(super) enum Trouble {
    /// It is still to be told.
    Outside(Outside),
    /// It was told.
    Told(Exit),
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Trouble::Outside(Outside::Client(error))
    }
}
