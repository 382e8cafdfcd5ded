//! Flags that count instead of what a configuration says.

use std::net::IpAddr;

use super::keys::Level;
use super::values::{Place, Value, Values};
use super::{UpstreamKind, Written};
use crate::facts::{AuthMode, Bind};

/// What the command line says. Paths are relative to the folder that the user is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--policy`.
    pub policy: Option<String>,
    /// `--state`.
    pub state: Option<String>,
    /// `--bind`.
    pub bind: Option<BindTo>,
    /// `--port`.
    pub port: Option<u16>,
    /// `--auth`.
    pub mode: Option<AuthMode>,
    /// `--token-file`, `--token-env`.
    pub token: Option<Written>,
    /// `--password-file`, `--password-env`.
    pub password: Option<Written>,
    /// `--tls`, `--tls-certificate` with `--tls-key`.
    pub tls: Option<TlsOverride>,
    /// `--upstream`.
    pub upstream: Option<String>,
    /// `--upstream-kind`.
    pub upstream_kind: Option<UpstreamKind>,
    /// `--upstream-token-file`, `--upstream-token-env`.
    pub upstream_token: Option<Written>,
    /// `--compatibility`.
    pub compatibility: Option<String>,
    /// `--log-level`.
    pub level: Option<Level>,
    /// `--metrics`.
    pub metrics: bool,
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindTo {
    /// By a word of `listen.bind`.
    Word(Bind),
    /// At one address.
    Address(IpAddr),
}

/// What becomes of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsOverride {
    /// None.
    Off,
    /// A made certificate.
    Generated,
    /// A certificate with its key.
    Files {
        /// The chain.
        certificate: String,
        /// The private key.
        key: String,
    },
}

impl Overrides {
    /// Puts the flags over what is given.
    pub(super) fn apply(&self, values: &mut Values) {
        let mut put = |path, value, flag| values.put(path, value, Place::Flag(flag));
        if let Some(policy) = &self.policy {
            put("policy", Value::Text(policy.clone()), "--policy");
        }
        if let Some(state) = &self.state {
            put("state", Value::Text(state.clone()), "--state");
        }
        if let Some(port) = self.port {
            put("listen.port", Value::Number(port.into()), "--port");
        }
        if let Some(mode) = self.mode {
            put("auth.mode", Value::Text(mode.name().to_owned()), "--auth");
        }
        if let Some(token) = &self.token {
            put(
                "auth.token",
                Value::Secret(token.clone()),
                flag(token, "--token-file", "--token-env"),
            );
        }
        if let Some(password) = &self.password {
            let flag = flag(password, "--password-file", "--password-env");
            put("auth.password", Value::Secret(password.clone()), flag);
        }
        if let Some(url) = &self.upstream {
            put("upstream.url", Value::Text(url.clone()), "--upstream");
        }
        if let Some(kind) = self.upstream_kind {
            let name = Value::Text(kind.name().to_owned());
            put("upstream.kind", name, "--upstream-kind");
        }
        if let Some(token) = &self.upstream_token {
            let flag = flag(token, "--upstream-token-file", "--upstream-token-env");
            put("upstream.token", Value::Secret(token.clone()), flag);
        }
        if let Some(constants) = &self.compatibility {
            put(
                "compatibility",
                Value::Text(constants.clone()),
                "--compatibility",
            );
        }
        if let Some(level) = self.level {
            put(
                "log.level",
                Value::Text(level.name().to_owned()),
                "--log-level",
            );
        }
        if self.metrics {
            put("metrics", Value::Switch(true), "--metrics");
        }
        if let Some(bind) = self.bind {
            values.remove("listen.addresses");
            let word = match bind {
                BindTo::Word(word) => word,
                BindTo::Address(ip) => {
                    let place = Place::Flag("--bind");
                    values.put(
                        "listen.addresses",
                        Value::Texts(vec![(ip.to_string(), place)]),
                        place,
                    );
                    Bind::Custom
                }
            };
            values.put(
                "listen.bind",
                Value::Text(word.name().to_owned()),
                Place::Flag("--bind"),
            );
        }
        if let Some(tls) = &self.tls {
            let names = values.get("tls.names").cloned();
            values.remove("tls");
            match tls {
                TlsOverride::Off => {}
                TlsOverride::Generated => {
                    values.put(
                        "tls.autoGenerate",
                        Value::Switch(true),
                        Place::Flag("--tls"),
                    );
                    if let Some(names) = names {
                        values.put("tls.names", names.value, names.place);
                    }
                }
                TlsOverride::Files { certificate, key } => {
                    let certificate = Value::Text(certificate.clone());
                    values.put(
                        "tls.certificate",
                        certificate,
                        Place::Flag("--tls-certificate"),
                    );
                    values.put(
                        "tls.key",
                        Value::Text(key.clone()),
                        Place::Flag("--tls-key"),
                    );
                }
            }
        }
    }
}

fn flag(written: &Written, file: &'static str, variable: &'static str) -> &'static str {
    match written {
        Written::File(_) | Written::Inline(_) => file,
        Written::Variable(_) => variable,
    }
}
