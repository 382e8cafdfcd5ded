//! Flags that count instead of what the configuration says.

use std::net::IpAddr;

use clap::ValueEnum;

use super::load::is_built_in;
use super::next::whole;
use crate::config::{BindTo, Level, Overrides, TlsOverride, UpstreamKind, Written};
use crate::facts::{AuthMode, Bind};

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Instead of the configuration")]
pub(super) struct OverrideArgs {
    /// The policy: a file, or built-in:NAME
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,

    /// The folder for what is remembered
    #[arg(long, value_name = "DIR")]
    state: Option<String>,

    /// Where to listen: auto, lan, loopback, tailnet, or an address
    #[arg(long, value_name = "WHERE", value_parser = bind)]
    bind: Option<BindTo>,

    /// The port
    #[arg(long)]
    port: Option<u16>,

    /// How clients authenticate: none, password, token, trusted-proxy
    #[arg(long, value_name = "MODE", value_parser = mode)]
    auth: Option<AuthMode>,

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

    /// Whether TLS is spoken, with a certificate that is made
    #[arg(
        long,
        value_enum,
        value_name = "TLS",
        conflicts_with = "tls_certificate"
    )]
    tls: Option<TlsFlag>,

    /// The certificate chain, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<String>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<String>,

    /// The server behind the gateway: ws://HOST:PORT, or wss://
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,

    /// What the server behind is: openclaw, or plain
    #[arg(long, value_name = "KIND", value_parser = kind)]
    upstream_kind: Option<UpstreamKind>,

    /// A file that holds the token of the server behind
    #[arg(long, value_name = "FILE", conflicts_with = "upstream_token_env")]
    upstream_token_file: Option<String>,

    /// A variable of the environment that holds the token of the server behind
    #[arg(long, value_name = "NAME")]
    upstream_token_env: Option<String>,

    /// Which release's reading to follow: built-in:openclaw/VERSION, or a file
    #[arg(long, value_name = "CONSTANTS")]
    compatibility: Option<String>,

    /// How much is logged: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    log_level: Option<Level>,

    /// Let /metrics answer
    #[arg(long)]
    metrics: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TlsFlag {
    /// none
    Off,
    /// with a self-signed certificate
    Auto,
}

impl OverrideArgs {
    /// The state folder that they name.
    pub(super) fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Whether `/metrics` is to answer.
    pub(super) fn metrics(&self) -> bool {
        self.metrics
    }

    /// They again, to be copied into another command: paths are whole, so that the folder does not
    /// matter.
    pub(super) fn again(&self) -> Vec<(&'static str, Option<String>)> {
        let path = |path: &Option<String>| path.as_deref().map(whole);
        let named = |name: &Option<String>| {
            name.as_deref().map(|name| match name {
                name if name == "-" || is_built_in(name) => name.to_owned(),
                name => whole(name),
            })
        };
        let word = |word: Option<&str>| word.map(str::to_owned);
        let tls = self.tls.map(|tls| match tls {
            TlsFlag::Off => "off",
            TlsFlag::Auto => "auto",
        });
        vec![
            ("--state", path(&self.state)),
            ("--policy", named(&self.policy)),
            (
                "--bind",
                self.bind.map(|bind| match bind {
                    BindTo::Word(bind) => bind.name().to_owned(),
                    BindTo::Address(address) => address.to_string(),
                }),
            ),
            ("--port", self.port.map(|port| port.to_string())),
            ("--auth", word(self.auth.map(AuthMode::name))),
            ("--token-file", path(&self.token_file)),
            ("--token-env", self.token_env.clone()),
            ("--password-file", path(&self.password_file)),
            ("--password-env", self.password_env.clone()),
            ("--tls", word(tls)),
            ("--tls-certificate", path(&self.tls_certificate)),
            ("--tls-key", path(&self.tls_key)),
            ("--upstream", self.upstream.clone()),
            (
                "--upstream-kind",
                word(self.upstream_kind.map(UpstreamKind::name)),
            ),
            ("--upstream-token-file", path(&self.upstream_token_file)),
            ("--upstream-token-env", self.upstream_token_env.clone()),
            ("--compatibility", named(&self.compatibility)),
            ("--log-level", word(self.log_level.map(Level::name))),
        ]
    }

    /// What they say.
    pub(super) fn overrides(&self) -> Overrides {
        let written = |file: &Option<String>, variable: &Option<String>| {
            let file = file.clone().map(Written::File);
            file.or_else(|| variable.clone().map(Written::Variable))
        };
        let files = self.tls_certificate.clone().zip(self.tls_key.clone());
        let tls = match (self.tls, files) {
            (Some(TlsFlag::Off), _) => Some(TlsOverride::Off),
            (Some(TlsFlag::Auto), _) => Some(TlsOverride::Generated),
            (None, files) => {
                files.map(|(certificate, key)| TlsOverride::Files { certificate, key })
            }
        };
        Overrides {
            policy: self.policy.clone(),
            state: self.state.clone(),
            bind: self.bind,
            port: self.port,
            mode: self.auth,
            token: written(&self.token_file, &self.token_env),
            password: written(&self.password_file, &self.password_env),
            tls,
            upstream: self.upstream.clone(),
            upstream_kind: self.upstream_kind,
            upstream_token: written(&self.upstream_token_file, &self.upstream_token_env),
            compatibility: self.compatibility.clone(),
            level: self.log_level,
            metrics: self.metrics,
        }
    }
}

fn bind(text: &str) -> Result<BindTo, String> {
    let word = Bind::parse(text).filter(|bind| *bind != Bind::Custom);
    word.map(BindTo::Word)
        .or_else(|| text.parse::<IpAddr>().ok().map(BindTo::Address))
        .ok_or_else(|| {
            "it is no address, and not `auto`, `lan`, `loopback` or `tailnet`".to_owned()
        })
}

fn mode(text: &str) -> Result<AuthMode, String> {
    AuthMode::parse(text)
        .ok_or_else(|| "it is not `none`, `password`, `token` or `trusted-proxy`".to_owned())
}

fn kind(text: &str) -> Result<UpstreamKind, String> {
    UpstreamKind::parse(text).ok_or_else(|| "it is not `openclaw` or `plain`".to_owned())
}

fn level(text: &str) -> Result<Level, String> {
    Level::parse(text)
        .ok_or_else(|| "it is not `error`, `warn`, `info`, `debug` or `trace`".to_owned())
}
