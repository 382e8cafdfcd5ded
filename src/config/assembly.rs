//! A configuration from its parts: what is given, what the flags say, what the host says.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::credentials::{self, at};
use super::document::{self, Broken, Node, Shape};
use super::shown::{self, Origin};
use super::values::{self, Place, Value, Values};
use super::{
    Config, ConfigError, Decisions, Level, Limits, Listen, Log, Named, Overrides, Surroundings,
    Tls, Upstream, constants, cover, folder, risks, upstream,
};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::facts::Bind;
use crate::facts::address::parse_literal;
use crate::settings::{
    AuthSettings, Compatibility, ControlUi, NetworkList, NodePairing, Nodes, OriginList, RateLimit,
    Settings, TrustedProxy,
};
use crate::source::{Source, SourceId, Sources, Span};

/// What a policy of the program is called by.
const BUILT_IN: &str = "built-in:";

pub(super) fn assemble(
    file: Option<(&str, &str)>,
    overrides: &Overrides,
    surroundings: &dyn Surroundings,
) -> Result<Config, ConfigError> {
    let mut sources = Sources::default();
    let (mut given, mut diagnostics) = match file {
        None => (Values::default(), Diagnostics::default()),
        Some((name, text)) => match document::parse(text) {
            Ok(root) => {
                let covered = cover::covered(text, Some(&root));
                let id = sources.add(Source::new(name, &covered));
                values::read(&root, id)
            }
            Err(broken) => {
                let id = sources.add(Source::new(name, &cover::covered(text, None)));
                let diagnostics = Diagnostics(vec![unread(broken, id)]);
                return Err(ConfigError {
                    diagnostics,
                    sources,
                    named: None,
                });
            }
        },
    };
    overrides.apply(&mut given);
    let base = file
        .map_or(Path::new(""), |(name, _)| folder(name))
        .to_owned();
    let mut assembly = Assembly {
        values: &given,
        base: base.clone(),
        surroundings,
        diagnostics: &mut diagnostics,
        sources: &mut sources,
    };
    let (state, state_origin) = assembly.state();
    let listen = assembly.listen(&state);
    let tls = assembly.tls();
    let policy = assembly.policy();
    let mut credentials = assembly.credentials();
    let upstream = assembly.upstream(&mut credentials);
    let compatibility = assembly.compatibility();
    let log = assembly.log(&state);
    diagnostics.sort();
    if diagnostics.has_errors() {
        let named = Named {
            policy: policy.into(),
            tls,
            state,
            token: credentials.plan(),
            upstream,
            places: given.places(),
        };
        return Err(ConfigError {
            diagnostics,
            sources,
            named: Some(Box::new(named)),
        });
    }
    let mode = credentials.mode();
    credentials::warnings(&given, mode, &mut diagnostics);
    risks::find(&given, &listen, &tls, mode, &mut diagnostics);
    diagnostics.sort();
    let token = credentials.plan();
    let settings = settings(&given, credentials, listen.bind, compatibility);
    let mut config = Config {
        listen,
        tls,
        policy: policy.into(),
        state,
        token,
        upstream,
        limits: limits(&given),
        log,
        metrics: given.switch("metrics"),
        settings,
        warnings: diagnostics,
        sources,
        shown: Vec::new(),
        secret_files: credentials::files(&given, &|text, place| resolve(&base, text, place)),
        places: given.places(),
    };
    config.shown = shown::list(&given, &config, &config.sources, &state_origin);
    Ok(config)
}

fn unread(broken: Broken, id: SourceId) -> Diagnostic {
    Diagnostic::error(Code::InvalidConfig, broken.message)
        .label(Span::new(id, broken.range), "")
        .maybe_help(broken.help.map(str::to_owned))
}

struct Assembly<'a> {
    values: &'a Values,
    base: PathBuf,
    surroundings: &'a dyn Surroundings,
    diagnostics: &'a mut Diagnostics,
    sources: &'a mut Sources,
}

impl Assembly<'_> {
    fn wrong(&mut self, path: &str, message: &str, help: &str) {
        let diagnostic = Diagnostic::error(Code::InvalidConfig, message);
        self.diagnostics
            .push(at(diagnostic, self.values, path).help(help));
    }

    /// A path as it is meant: of a file beside the configuration, of a flag where the user is.
    fn path(&self, text: &str, place: Place) -> PathBuf {
        resolve(&self.base, text, place)
    }

    fn file(&self, key: &str) -> Option<PathBuf> {
        let given = self.values.get(key)?;
        let text = given.value.text()?;
        Some(self.path(text, given.place))
    }

    fn state(&mut self) -> (PathBuf, Origin) {
        if let Some(state) = self.file("state") {
            return (state, Origin::Default);
        }
        if self.surroundings.is_root() {
            return (PathBuf::from("/var/lib/gw"), Origin::Default);
        }
        let variable = |name: &str| {
            let text = self.surroundings.variable(name)?;
            let path = PathBuf::from(text);
            path.is_absolute().then_some(path)
        };
        if let Some(folder) = variable("XDG_STATE_HOME") {
            return (
                folder.join("gw"),
                Origin::Environment("XDG_STATE_HOME".to_owned()),
            );
        }
        if let Some(home) = variable("HOME") {
            return (
                home.join(".local/state/gw"),
                Origin::Environment("HOME".to_owned()),
            );
        }
        self.wrong(
            "state",
            "there is no `state`, and the environment has neither XDG_STATE_HOME nor HOME",
            "name a folder: `state: /var/lib/gw`",
        );
        (PathBuf::new(), Origin::Default)
    }

    fn listen(&mut self, state: &Path) -> Listen {
        let bind = self
            .values
            .text("listen.bind")
            .and_then(Bind::parse)
            .unwrap_or(Bind::Loopback);
        let custom: Vec<IpAddr> = self
            .values
            .texts("listen.addresses")
            .iter()
            .filter_map(|(text, _)| parse_literal(text))
            .collect();
        if bind == Bind::Custom && !self.values.mentions("listen.addresses") {
            self.wrong(
                "listen.bind",
                "`listen.bind` is `custom`, and there are no `listen.addresses`",
                "write `addresses: [192.168.1.5]` under `listen`",
            );
        }
        if bind == Bind::Custom && self.values.has("listen.addresses") && custom.is_empty() {
            self.wrong(
                "listen.addresses",
                "`listen.addresses` is empty",
                "name an address",
            );
        }
        let said = self.values.mentions("listen.bind") == self.values.has("listen.bind");
        if bind != Bind::Custom && said && self.values.has("listen.addresses") {
            self.wrong(
                "listen.addresses",
                &format!("`listen.addresses` does not count, because `listen.bind` is `{bind}`"),
                "write `bind: custom`, or remove the addresses",
            );
        }
        let socket = match self.values.get("listen.socket").map(|given| &given.value) {
            Some(Value::Text(_)) => self.file("listen.socket"),
            _ => self
                .values
                .switch("listen.socket")
                .then(|| state.join("gw.sock")),
        };
        Listen {
            bind,
            port: u16::try_from(self.values.number("listen.port")).unwrap_or(u16::MAX),
            custom,
            socket,
        }
    }

    fn tls(&mut self) -> Tls {
        let generate = self.values.switch("tls.autoGenerate");
        let files = (self.file("tls.certificate"), self.file("tls.key"));
        if generate && (files.0.is_some() || files.1.is_some()) {
            self.wrong(
                "tls.autoGenerate",
                "`tls.autoGenerate` is on, and a certificate is given too",
                "remove one of them",
            );
        }
        if !generate && self.values.has("tls.names") {
            self.wrong(
                "tls.names",
                "`tls.names` does not count, because no certificate is made",
                "write `autoGenerate: true` under `tls`, or remove the names",
            );
        }
        match files {
            (Some(certificate), Some(key)) => Tls::Files { certificate, key },
            (Some(_), None) if self.values.mentions("tls.key") => Tls::Off,
            (None, Some(_)) if self.values.mentions("tls.certificate") => Tls::Off,
            (Some(_), None) => {
                self.wrong(
                    "tls.certificate",
                    "`tls.certificate` stands without `tls.key`",
                    "write `key: PATH` under `tls`",
                );
                Tls::Off
            }
            (None, Some(_)) => {
                self.wrong(
                    "tls.key",
                    "`tls.key` stands without `tls.certificate`",
                    "write `certificate: PATH` under `tls`",
                );
                Tls::Off
            }
            (None, None) if generate => Tls::Generated {
                names: texts(self.values, "tls.names"),
            },
            (None, None) => Tls::Off,
        }
    }

    fn policy(&mut self) -> String {
        let given = self.values.text("policy").unwrap_or_default();
        match self.file("policy") {
            Some(path) if !given.starts_with(BUILT_IN) => path.to_string_lossy().into_owned(),
            Some(_) | None => given.to_owned(),
        }
    }

    fn credentials(&mut self) -> credentials::Credentials {
        let resolve = |text: &str, place: Place| resolve(&self.base, text, place);
        credentials::find(self.values, &resolve, self.surroundings, self.diagnostics)
    }

    /// The server behind. A key that needs one and stands alone is a mistake.
    fn upstream(&mut self, credentials: &mut credentials::Credentials) -> Option<Upstream> {
        let [token, password] = std::mem::take(&mut credentials.upstream);
        let own = [&credentials.token, &credentials.password];
        for (key, secret) in [("upstream.token", &token), ("upstream.password", &password)] {
            if secret.is_some() && own.contains(&secret) {
                self.wrong(
                    key,
                    &format!(
                        "`{key}` is the secret of this gateway too: whoever has it may go past"
                    ),
                    "give the server behind a secret that only this gateway knows",
                );
            }
        }
        if token.is_some() && password.is_some() {
            self.wrong(
                "upstream.password",
                "`upstream.token` and `upstream.password` are both set",
                "remove the one that the server behind does not ask for",
            );
        }
        let found = upstream::find(self.values, token, password);
        if found.is_none() && !self.values.mentions("upstream.url") {
            let alone = [
                "kind",
                "token",
                "password",
                "fingerprint",
                "paths",
                "timeoutMs",
            ];
            let keys = alone.map(|key| format!("upstream.{key}"));
            if let Some(key) = keys.iter().find(|key| self.values.mentions(key)) {
                self.wrong(
                    key,
                    &format!("`{key}` stands without `upstream.url`"),
                    "write `url: ws://HOST:PORT` under `upstream`",
                );
            }
        }
        found
    }

    fn compatibility(&mut self) -> Compatibility {
        let Some(given) = self.values.get("compatibility") else {
            return Compatibility::default();
        };
        match &given.value {
            Value::Constants(node) => {
                let id = match given.place {
                    Place::File(span) => span.source,
                    Place::Flag(_) => SourceId::default(),
                };
                self.constants(node, id)
            }
            Value::Text(text) => {
                let named = text.starts_with(BUILT_IN);
                let path = match (named, self.path(text, given.place)) {
                    (true, _) if text.ends_with(".yaml") => text.clone(),
                    (true, _) => format!("{text}.yaml"),
                    (false, path) => path.to_string_lossy().into_owned(),
                };
                match self.surroundings.constants(&path) {
                    Ok(text) => self.constants_of(&path, &text),
                    Err(error) => {
                        let help = match (named, given.place) {
                            (true, _) => {
                                "docs/settings.md lists the releases; write `built-in:openclaw/VERSION`"
                            }
                            (false, Place::File(_)) => {
                                "check the path; it is relative to the configuration"
                            }
                            (false, Place::Flag(_)) => {
                                "check the path; it is relative to the folder that you are in"
                            }
                        };
                        self.wrong(
                            "compatibility",
                            &format!("`compatibility` cannot be read: {error}"),
                            help,
                        );
                        Compatibility::default()
                    }
                }
            }
            Value::Switch(_) | Value::Number(_) | Value::Texts(_) | Value::Secret(_) => {
                Compatibility::default()
            }
        }
    }

    fn constants_of(&mut self, path: &str, text: &str) -> Compatibility {
        let read = document::parse(text);
        let covered = cover::covered_constants(text, read.as_ref().ok());
        let id = self.sources.add(Source::new(path, &covered));
        match read {
            Ok(root) if matches!(root.shape, Shape::Nothing) => Compatibility::default(),
            Ok(root) => self.constants(&root, id),
            Err(broken) => {
                self.diagnostics.push(unread(broken, id));
                Compatibility::default()
            }
        }
    }

    fn constants(&mut self, node: &Node, id: SourceId) -> Compatibility {
        let (compatibility, wrong) = constants::read(node, id);
        self.diagnostics.0.extend(wrong.0);
        compatibility
    }

    fn log(&mut self, state: &Path) -> Log {
        let file = match self
            .values
            .get("log.decisions.file")
            .map(|given| &given.value)
        {
            Some(Value::Text(_)) => self.file("log.decisions.file"),
            _ => self
                .values
                .switch("log.decisions.file")
                .then(|| state.join(super::DECISIONS)),
        };
        Log {
            level: self
                .values
                .text("log.level")
                .and_then(Level::parse)
                .unwrap_or(Level::Info),
            decisions: file.map(|file| Decisions {
                file,
                max_bytes: self.values.number("log.decisions.maxBytes"),
                keep: size(self.values, "log.decisions.keep"),
            }),
        }
    }
}

fn resolve(base: &Path, text: &str, place: Place) -> PathBuf {
    match place {
        Place::File(_) => base.join(text),
        Place::Flag(_) => PathBuf::from(text),
    }
}

fn size(values: &Values, path: &str) -> usize {
    usize::try_from(values.number(path)).unwrap_or(usize::MAX)
}

fn texts(values: &Values, path: &str) -> Vec<Box<str>> {
    values
        .texts(path)
        .iter()
        .map(|(text, _)| text.as_str().into())
        .collect()
}

fn limits(values: &Values) -> Limits {
    Limits {
        handshake_timeout_ms: values.number("limits.handshakeTimeoutMs"),
        unadmitted_per_address: size(values, "limits.unadmittedPerAddress"),
        connections: size(values, "limits.connections"),
        head_bytes: size(values, "limits.headBytes"),
        message_bytes: size(values, "limits.messageBytes"),
        tick_ms: values.number("limits.tickMs"),
    }
}

fn settings(
    values: &Values,
    credentials: credentials::Credentials,
    bind: Bind,
    compatibility: Compatibility,
) -> Settings {
    let strings = |path: &str| {
        values
            .texts(path)
            .iter()
            .map(|(text, _)| text.clone())
            .collect::<Vec<_>>()
    };
    let trusted_proxy = values.has("auth.trustedProxy").then(|| TrustedProxy {
        user_header: values
            .text("auth.trustedProxy.userHeader")
            .unwrap_or_default()
            .into(),
        required_headers: texts(values, "auth.trustedProxy.requiredHeaders"),
        allow_users: texts(values, "auth.trustedProxy.allowUsers"),
        allow_loopback: values.switch("auth.trustedProxy.allowLoopback"),
    });
    let signed = |path: &str| i64::try_from(values.number(path)).unwrap_or(i64::MAX);
    let rate_limit = values.has("auth.rateLimit").then(|| RateLimit {
        max_attempts: u32::try_from(values.number("auth.rateLimit.maxAttempts"))
            .unwrap_or(u32::MAX),
        window_ms: signed("auth.rateLimit.windowMs"),
        lockout_ms: signed("auth.rateLimit.lockoutMs"),
        exempt_loopback: values.switch("auth.rateLimit.exemptLoopback"),
    });
    Settings {
        bind,
        auth: AuthSettings {
            mode: Some(credentials.mode()),
            token: credentials.token,
            password: credentials.password,
            trusted_proxy,
            allow_tailscale: values.switch("auth.allowTailscale"),
            rate_limit,
        },
        trusted_proxies: NetworkList::from(strings("trustedProxies")),
        allow_real_ip_fallback: values.switch("allowRealIpFallback"),
        control_ui: ControlUi {
            allowed_origins: OriginList::from(strings("controlUi.allowedOrigins")),
            allow_insecure_auth: values.switch("controlUi.allowInsecureAuth"),
            dangerously_disable_device_auth: values
                .switch("controlUi.dangerouslyDisableDeviceAuth"),
            dangerously_allow_host_header_origin_fallback: values
                .switch("controlUi.dangerouslyAllowHostHeaderOriginFallback"),
        },
        nodes: Nodes {
            pairing: NodePairing {
                auto_approve_local: values.switch("nodes.pairing.autoApproveLocal"),
                auto_approve_cidrs: NetworkList::from(strings("nodes.pairing.autoApproveCidrs")),
            },
        },
        compatibility,
    }
}
