//! The operator's settings, as far as an admission depends on them.
//!
//! The names are OpenClaw's own (the `gateway` part of its configuration). Every field may be
//! left out. What a rule may ask of them is [`SettingFacts`]; where releases differ in how
//! they read a request, [`Compatibility`] says which one to follow. Reading a file is not
//! here.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod compatibility;
pub mod openclaw;

use serde::Deserialize;

use crate::facts::address::{TrustedProxies, parse_network};
use crate::facts::origin::AllowedOrigins;
use crate::facts::{AuthMode, Bind, SettingFacts};
use crate::secret::Secret;
use crate::source::{MOST_WORDS, one_line};

pub use compatibility::Compatibility;

/// The settings of one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Where the gateway listens; `loopback` unless said.
    pub bind: Bind,
    /// How clients authenticate.
    pub auth: AuthSettings,
    /// The proxies whose forwarding headers are believed.
    pub trusted_proxies: NetworkList,
    /// Whether `X-Real-IP` of a trusted proxy counts where `X-Forwarded-For` names no client.
    pub allow_real_ip_fallback: bool,
    /// The browser dashboard.
    pub control_ui: ControlUi,
    /// Nodes.
    pub nodes: Nodes,
    /// Which release's reading of a request to follow.
    pub compatibility: Compatibility,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            bind: Bind::Loopback,
            auth: AuthSettings::default(),
            trusted_proxies: NetworkList::default(),
            allow_real_ip_fallback: false,
            control_ui: ControlUi::default(),
            nodes: Nodes::default(),
            compatibility: Compatibility::default(),
        }
    }
}

impl Settings {
    /// What rules may ask about.
    #[must_use]
    pub fn facts(&self) -> SettingFacts {
        SettingFacts {
            auth_mode: self.auth.mode(),
            bind: self.bind,
            allow_insecure_auth: self.control_ui.allow_insecure_auth,
            disable_device_auth: self.control_ui.dangerously_disable_device_auth,
            host_header_origin: self
                .control_ui
                .dangerously_allow_host_header_origin_fallback,
            auto_approve_local: self.nodes.pairing.auto_approve_local,
        }
    }

    /// What cannot be meant, in the order of the fields: limits that are none, and entries that
    /// are no address, network or origin. Such entries match nothing, and the limiter takes its
    /// defaults for such times, but neither must be passed over in silence.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let limits = self.auth.rate_limit.iter().flat_map(RateLimit::problems);
        let proxies = self.trusted_proxies.bad.iter().map(|(at, entry)| Problem {
            pointer: format!("/trustedProxies/{at}"),
            message: told(entry, "is no address and no network"),
            help: "write an address as `10.0.0.5`, or a network as `10.0.0.0/8`",
        });
        let origins = self
            .control_ui
            .allowed_origins
            .bad
            .iter()
            .map(|(at, entry)| Problem {
                pointer: format!("/controlUi/allowedOrigins/{at}"),
                message: told(entry, "is no origin"),
                help: "write `scheme://host` or `scheme://host:port`, without a path",
            });
        let networks = &self.nodes.pairing.auto_approve_cidrs;
        let networks = networks.bad.iter().map(|(at, entry)| Problem {
            pointer: format!("/nodes/pairing/autoApproveCidrs/{at}"),
            message: told(entry, "is no address and no network"),
            help: "write an address as `10.0.0.5`, or a network as `10.0.0.0/8`",
        });
        limits
            .chain(proxies)
            .chain(origins)
            .chain(networks)
            .collect()
    }
}

/// A setting that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer into the settings.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: &'static str,
}

/// `auth`: how clients authenticate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthSettings {
    /// The mode, when it is said; [`AuthSettings::mode`] is the one in force.
    pub mode: Option<AuthMode>,
    /// The shared token; a blank one is none.
    pub token: Option<Secret>,
    /// The shared password; a blank one is none.
    pub password: Option<Secret>,
    /// For the mode `trusted-proxy`: what the proxy says, and of whom it is believed.
    pub trusted_proxy: Option<TrustedProxy>,
    /// Whether a Tailscale login may stand for a secret.
    pub allow_tailscale: bool,
    /// How many failures an address may have; without it only browsers are limited.
    pub rate_limit: Option<RateLimit>,
}

/// `auth.rateLimit`: when an address that fails to authenticate is locked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RateLimit {
    /// The number of failures within the window that lock an address out.
    pub max_attempts: u32,
    /// The sliding window, in milliseconds.
    pub window_ms: i64,
    /// How long an address stays locked out, in milliseconds.
    pub lockout_ms: i64,
    /// Whether loopback addresses are never locked out.
    pub exempt_loopback: bool,
}

/// The values of the reference, 4.6.
impl Default for RateLimit {
    fn default() -> Self {
        RateLimit {
            max_attempts: 10,
            window_ms: 60_000,
            lockout_ms: 300_000,
            exempt_loopback: true,
        }
    }
}

impl RateLimit {
    /// What is no limit.
    fn problems(&self) -> impl Iterator<Item = Problem> + use<> {
        let none = [
            (
                self.max_attempts == 0,
                "maxAttempts",
                "no attempt is allowed, not even the owner's first mistake",
                "write 1 or more; leave `rateLimit` out for the defaults",
            ),
            (
                self.window_ms <= 0,
                "windowMs",
                "in a window without length no failures would be counted",
                "write a number of milliseconds, as `60000` for a minute",
            ),
            (
                self.lockout_ms <= 0,
                "lockoutMs",
                "a lockout without length locks nobody out",
                "write a number of milliseconds, as `300000` for five minutes",
            ),
        ];
        let none = none.into_iter().filter(|(is_none, ..)| *is_none);
        none.map(|(_, name, message, help)| Problem {
            pointer: format!("/auth/rateLimit/{name}"),
            message: message.to_owned(),
            help,
        })
    }
}

impl AuthSettings {
    /// The mode in force: the one that is said, else `password` when there is a password,
    /// else `token`.
    #[must_use]
    pub fn mode(&self) -> AuthMode {
        self.mode.unwrap_or(match self.password() {
            Some(_) => AuthMode::Password,
            None => AuthMode::Token,
        })
    }

    /// The shared token, unless it is blank.
    #[must_use]
    pub fn token(&self) -> Option<&Secret> {
        self.token.as_ref().filter(|secret| !secret.is_blank())
    }

    /// The shared password, unless it is blank.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref().filter(|secret| !secret.is_blank())
    }
}

/// `auth.trustedProxy`: what a proxy says of the user, and when it is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedProxy {
    /// The header that names the user.
    pub user_header: Box<str>,
    /// Headers that must have a value too.
    #[serde(default)]
    pub required_headers: Vec<Box<str>>,
    /// The users that may come in; everyone that the proxy names when empty.
    #[serde(default)]
    pub allow_users: Vec<Box<str>>,
    /// Whether a proxy on this host, over loopback, is believed.
    #[serde(default)]
    pub allow_loopback: bool,
}

/// `trustedProxies`: addresses and networks, with what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<String>")]
pub struct NetworkList {
    /// What could be read.
    pub proxies: TrustedProxies,
    bad: Vec<(usize, String)>,
}

impl From<Vec<String>> for NetworkList {
    fn from(entries: Vec<String>) -> Self {
        let (proxies, _) = TrustedProxies::parse(&entries);
        let bad = keep_bad(entries, |entry| parse_network(entry).is_some());
        NetworkList { proxies, bad }
    }
}

/// `controlUi.allowedOrigins`: origins and `*`, with what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<String>")]
pub struct OriginList {
    /// What could be read.
    pub origins: AllowedOrigins,
    bad: Vec<(usize, String)>,
}

impl From<Vec<String>> for OriginList {
    fn from(entries: Vec<String>) -> Self {
        let (origins, _) = AllowedOrigins::parse(&entries);
        let bad = keep_bad(entries, |entry| AllowedOrigins::parse([entry]).1.is_empty());
        OriginList { origins, bad }
    }
}

/// What is wrong with an entry, whatever that has in it.
fn told(entry: &str, wrong: &str) -> String {
    format!("`{}` {wrong}", one_line(entry, MOST_WORDS))
}

fn keep_bad(entries: Vec<String>, is_good: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
    entries
        .into_iter()
        .enumerate()
        .filter(|(_, entry)| !is_good(entry))
        .collect()
}

/// `controlUi`: the browser dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ControlUi {
    /// The pages that may open a connection.
    pub allowed_origins: OriginList,
    /// Whether a dashboard on this host may come without a device.
    pub allow_insecure_auth: bool,
    /// Whether a dashboard may come without a device from anywhere.
    pub dangerously_disable_device_auth: bool,
    /// Whether a page may come in because its origin equals the Host header.
    pub dangerously_allow_host_header_origin_fallback: bool,
}

/// `nodes`: devices that serve commands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Nodes {
    /// How they, and local devices, are paired.
    pub pairing: NodePairing,
}

/// `nodes.pairing`: what is paired without asking.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NodePairing {
    /// Whether a local device may be paired without asking; on unless said.
    pub auto_approve_local: bool,
    /// The networks from which a new node may be paired without asking.
    pub auto_approve_cidrs: NetworkList,
}

impl Default for NodePairing {
    fn default() -> Self {
        NodePairing {
            auto_approve_local: true,
            auto_approve_cidrs: NetworkList::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Settings {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(settings("{}"), Settings::default());
        assert_eq!(Settings::default().facts(), SettingFacts::default());
    }

    #[test]
    fn a_mode_follows_from_the_secrets() {
        for (auth, mode) in [
            (r#"{}"#, AuthMode::Token),
            (r#"{"token":"t"}"#, AuthMode::Token),
            (r#"{"password":"p"}"#, AuthMode::Password),
            (r#"{"password":" "}"#, AuthMode::Token),
            (r#"{"token":"t","password":"p"}"#, AuthMode::Password),
            (r#"{"mode":"none","password":"p"}"#, AuthMode::None),
        ] {
            assert_eq!(
                settings(&format!(r#"{{"auth":{auth}}}"#)).auth.mode(),
                mode,
                "{auth}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        let settings = settings(
            r#"{"trustedProxies":["10.0.0.0/8","proxy","10.0.0.1/99"],
                "controlUi":{"allowedOrigins":["*","https://a","https://a/x"]}}"#,
        );
        let problems = settings.problems();
        let pointers: Vec<&str> = problems
            .iter()
            .map(|problem| problem.pointer.as_str())
            .collect();
        assert_eq!(
            pointers,
            [
                "/trustedProxies/1",
                "/trustedProxies/2",
                "/controlUi/allowedOrigins/2"
            ]
        );
        assert_eq!(problems[0].message, "`proxy` is no address and no network");
    }

    #[test]
    fn what_is_told_of_an_entry_steers_nothing() {
        let settings = settings(r#"{"trustedProxies":["10.0.0.1\u007f\u001b[2J\nerror: none"]}"#);
        let [problem] = &*settings.problems() else {
            panic!("one entry cannot be read");
        };
        assert_eq!(
            problem.message,
            "`10.0.0.1??[2J error: none` is no address and no network"
        );
    }

    #[test]
    fn limits_that_are_none_are_told() {
        let settings = settings(
            r#"{"auth":{"rateLimit":{"maxAttempts":0,"windowMs":-1,"lockoutMs":-9223372036854775808}},
                "trustedProxies":["proxy"]}"#,
        );
        let problems = settings.problems();
        let pointers = problems.iter().map(|problem| problem.pointer.as_str());
        assert_eq!(
            pointers.collect::<Vec<_>>(),
            [
                "/auth/rateLimit/maxAttempts",
                "/auth/rateLimit/windowMs",
                "/auth/rateLimit/lockoutMs",
                "/trustedProxies/0"
            ]
        );
        let least = RateLimit {
            max_attempts: 1,
            window_ms: 1,
            lockout_ms: 1,
            exempt_loopback: false,
        };
        assert_eq!(least.problems().count(), 0);
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        for json in [
            r#"{"binds":"lan"}"#,
            r#"{"auth":{"tokn":"t"}}"#,
            r#"{"bind":"wan"}"#,
        ] {
            assert!(serde_json::from_str::<Settings>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", settings(r#"{"auth":{"token":"s3cret"}}"#)).contains("s3cret"));
    }
}
