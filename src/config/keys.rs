//! THE TABLE of keys: every name that may stand in a configuration, what may stand there, and
//! what it says. Reading, `gw init`, `gw config show` and docs/configuration.md are made of it.

use super::UpstreamKind;
use crate::facts::word::words;
use crate::facts::{AuthMode, Bind, Word};

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The names that lead to it, with dots between them.
    pub path: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// What counts when it is left out, as it would be written; empty when nothing does.
    pub default: &'static str,
    /// What could be written, where nothing is the default.
    pub example: &'static str,
    /// When a gateway that serves takes up another value.
    pub counts: Counts,
    /// What it says.
    pub doc: &'static str,
}

/// When a gateway that serves takes up another value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// As soon as the files are loaded again.
    AtOnce,
    /// When it is started the next time.
    AtStart,
}

impl Counts {
    /// It, for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Counts::AtOnce => "at once",
            Counts::AtStart => "at the next start",
        }
    }
}

/// What may stand at a key.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number {
        /// The smallest that is taken.
        least: u64,
        /// The largest that is taken.
        most: u64,
    },
    /// One of some words.
    Word(&'static [Word]),
    /// A text.
    Text,
    /// A list of texts.
    Texts,
    /// A path.
    File,
    /// `true`, `false` or a path.
    SwitchOrFile,
    /// A list of addresses.
    Addresses,
    /// A list of addresses and networks.
    Networks,
    /// A list of origins.
    Origins,
    /// A secret, or where it is kept.
    Secret,
    /// A policy: a path, or `built-in:NAME`.
    Policy,
    /// The constants of a release: by name, by path, or written out.
    Constants,
}

impl Kind {
    /// What may stand there, for tables.
    #[must_use]
    pub fn values(self) -> String {
        match self {
            Kind::Switch => "`true`, `false`".to_owned(),
            Kind::Number { least, most } => format!("{least} to {most}"),
            Kind::Word(words) => {
                let names: Vec<String> = words
                    .iter()
                    .map(|word| format!("`{}`", word.name))
                    .collect();
                names.join(", ")
            }
            Kind::Text => "a text".to_owned(),
            Kind::Texts => "a list of texts".to_owned(),
            Kind::File => "a path".to_owned(),
            Kind::SwitchOrFile => "`true`, `false`, a path".to_owned(),
            Kind::Addresses => "a list of addresses".to_owned(),
            Kind::Networks => "a list of addresses and networks".to_owned(),
            Kind::Origins => "a list of origins".to_owned(),
            Kind::Secret => "`{ file: PATH }`, `{ env: NAME }`, a text".to_owned(),
            Kind::Policy => "a path, `built-in:NAME`".to_owned(),
            Kind::Constants => "`built-in:openclaw/VERSION`, a path, names with values".to_owned(),
        }
    }
}

words! {
    /// How much is logged.
    Level {
        Error "error" "what stops the gateway from working",
        Warn "warn" "that, and what an operator should look at",
        Info "info" "that, and what the gateway does as a whole",
        Debug "debug" "that, and what it does with each connection",
        Trace "trace" "everything",
    }
}

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key {
        path,
        kind,
        default,
        example: default,
        counts: Counts::AtOnce,
        doc,
    }
}

const fn unset(path: &'static str, kind: Kind, example: &'static str, doc: &'static str) -> Key {
    Key {
        path,
        kind,
        default: "",
        example,
        counts: Counts::AtOnce,
        doc,
    }
}

/// A key that is read when a gateway starts, and not again.
const fn at_start(key: Key) -> Key {
    Key {
        counts: Counts::AtStart,
        ..key
    }
}

const fn number(least: u64, most: u64) -> Kind {
    Kind::Number { least, most }
}

/// A day, in milliseconds.
const DAY: u64 = 86_400_000;

/// Every key, in the order in which they are written.
pub const KEYS: &[Key] = &[
    at_start(key(
        "listen.bind",
        Kind::Word(Bind::WORDS),
        "loopback",
        "Where the gateway listens.",
    )),
    at_start(key(
        "listen.port",
        number(0, 65_535),
        "18789",
        "The port, for WebSocket and HTTP alike; 0 takes a free one.",
    )),
    at_start(unset(
        "listen.addresses",
        Kind::Addresses,
        "[192.168.1.5]",
        "The addresses, where `bind` is `custom`.",
    )),
    at_start(key(
        "listen.socket",
        Kind::SwitchOrFile,
        "true",
        "Whether to listen at a unix socket too, where the kernel says who is at the other end: `gw.sock` in the state folder, or a path.",
    )),
    at_start(unset(
        "tls.certificate",
        Kind::File,
        "gateway.crt",
        "The certificate chain, in PEM; with `key`.",
    )),
    at_start(unset(
        "tls.key",
        Kind::File,
        "gateway.key",
        "The private key of the certificate, in PEM.",
    )),
    at_start(key(
        "tls.autoGenerate",
        Kind::Switch,
        "false",
        "Whether a self-signed certificate is made and kept in the state folder.",
    )),
    at_start(unset(
        "tls.names",
        Kind::Texts,
        "[gateway.example.com]",
        "The names and addresses that the made certificate is for, beside `localhost` and the addresses of this host.",
    )),
    key(
        "policy",
        Kind::Policy,
        "built-in:default.policy",
        "Who may come in.",
    ),
    at_start(unset(
        "state",
        Kind::File,
        "/var/lib/gw",
        "The folder for what is remembered: devices, the made token, the decisions. Without it `$XDG_STATE_HOME/gw` or `~/.local/state/gw`; `/var/lib/gw` for root.",
    )),
    unset(
        "auth.mode",
        Kind::Word(AuthMode::WORDS),
        "token",
        "How clients authenticate. Without it `password` when there is a password, else `token`; it must be said where both stand.",
    ),
    unset(
        "auth.token",
        Kind::Secret,
        "{ file: token }",
        "The shared token. Without one the mode `token` makes one and keeps it as `token` in the state folder.",
    ),
    unset(
        "auth.password",
        Kind::Secret,
        "{ file: password }",
        "The shared password.",
    ),
    unset(
        "auth.trustedProxy.userHeader",
        Kind::Text,
        "x-forwarded-user",
        "For the mode `trusted-proxy`: the header in which a trusted proxy names the user.",
    ),
    key(
        "auth.trustedProxy.requiredHeaders",
        Kind::Texts,
        "[]",
        "Headers that must have a value too.",
    ),
    key(
        "auth.trustedProxy.allowUsers",
        Kind::Texts,
        "[]",
        "The users that may come in; when empty, everyone that the proxy names.",
    ),
    key(
        "auth.trustedProxy.allowLoopback",
        Kind::Switch,
        "false",
        "Whether a proxy that speaks over loopback is believed.",
    ),
    key(
        "auth.allowTailscale",
        Kind::Switch,
        "false",
        "Whether a Tailscale login may stand for a secret.",
    ),
    key(
        "auth.rateLimit.maxAttempts",
        number(1, 1_000_000),
        "10",
        "How many failures within the window lock an address out.",
    ),
    key(
        "auth.rateLimit.windowMs",
        number(1_000, DAY),
        "60000",
        "The sliding window, in milliseconds.",
    ),
    key(
        "auth.rateLimit.lockoutMs",
        number(1_000, 30 * DAY),
        "300000",
        "How long an address stays locked out, in milliseconds.",
    ),
    key(
        "auth.rateLimit.exemptLoopback",
        Kind::Switch,
        "true",
        "Whether clients on this host, and its own pages, are only kept waiting; a page from elsewhere in a browser here is locked out all the same.",
    ),
    key(
        "trustedProxies",
        Kind::Networks,
        "[]",
        "The proxies whose forwarding headers are believed.",
    ),
    key(
        "allowRealIpFallback",
        Kind::Switch,
        "false",
        "Whether `X-Real-IP` of a trusted proxy counts where `X-Forwarded-For` names no client.",
    ),
    key(
        "controlUi.allowedOrigins",
        Kind::Origins,
        "[]",
        "The pages that may open a connection, as `scheme://host[:port]`; `*` is every page.",
    ),
    key(
        "controlUi.allowInsecureAuth",
        Kind::Switch,
        "false",
        "Whether a dashboard on this host may come without a device, where the policy asks for it.",
    ),
    key(
        "controlUi.dangerouslyDisableDeviceAuth",
        Kind::Switch,
        "false",
        "Whether a dashboard may come without a device from anywhere, where the policy asks for it.",
    ),
    key(
        "controlUi.dangerouslyAllowHostHeaderOriginFallback",
        Kind::Switch,
        "false",
        "Whether a page may come in because its origin equals the Host header, where the policy asks for it.",
    ),
    key(
        "nodes.pairing.autoApproveLocal",
        Kind::Switch,
        "true",
        "Whether a local device may be paired without asking.",
    ),
    key(
        "nodes.pairing.autoApproveCidrs",
        Kind::Networks,
        "[]",
        "The networks from which a new node may be paired without asking, where the policy asks for it.",
    ),
    unset(
        "compatibility",
        Kind::Constants,
        "built-in:openclaw/2026.4.22",
        "Which release's reading of a request to follow; docs/settings.md lists the names.",
    ),
    unset(
        "upstream.url",
        Kind::Text,
        "ws://127.0.0.1:18790",
        "The server behind the gateway: who is admitted speaks with it. Without one the gateway answers by itself.",
    ),
    key(
        "upstream.kind",
        Kind::Word(UpstreamKind::WORDS),
        "openclaw",
        "What it is.",
    ),
    unset(
        "upstream.token",
        Kind::Secret,
        "{ file: upstream-token }",
        "Its shared token, which only this gateway should know.",
    ),
    unset(
        "upstream.password",
        Kind::Secret,
        "{ file: upstream-password }",
        "Its shared password, where it asks for one.",
    ),
    unset(
        "upstream.fingerprint",
        Kind::Text,
        "9c43…c956",
        "The SHA-256 of its certificate, for `wss://` with one that no authority of this host vouches for.",
    ),
    unset(
        "upstream.paths",
        Kind::Texts,
        "[/, /assets/]",
        "What may be asked of it over HTTP by GET and HEAD, or by the methods before a path: `GET,POST /hooks/`. Where nothing is said: of a gateway of OpenClaw its Control UI, of any other server nothing.",
    ),
    key(
        "upstream.timeoutMs",
        number(100, 60_000),
        "30000",
        "How long each of its answers may take until it has let a client in, and each part of a page, in milliseconds.",
    ),
    at_start(key(
        "limits.handshakeTimeoutMs",
        number(250, 120_000),
        "15000",
        "How long a connection may take until it is admitted, in milliseconds.",
    )),
    at_start(key(
        "limits.unadmittedPerAddress",
        number(1, 100_000),
        "32",
        "How many connections of one address may be waiting for their admission. Whoever has said nothing for longest gives way to one more; pages are counted apart from programs.",
    )),
    at_start(key(
        "limits.connections",
        number(1, 1_000_000),
        "10000",
        "How many connections there may be in all. A quarter of them may be waiting for their admission; then the oldest of the address that has most gives way. Sessions leave a quarter of them free, or 32; then the oldest of the device that has most gives way to one that has fewer.",
    )),
    at_start(key(
        "limits.headBytes",
        number(8_192, 1 << 20),
        "16384",
        "The largest head of an HTTP request.",
    )),
    at_start(key(
        "limits.messageBytes",
        number(65_536, 1 << 28),
        "26214400",
        "The largest message of an admitted client. What the gateway answers itself takes 65536 bytes.",
    )),
    at_start(key(
        "limits.tickMs",
        number(1_000, 300_000),
        "30000",
        "How often an admitted client hears that the gateway is there, in milliseconds.",
    )),
    at_start(key(
        "log.level",
        Kind::Word(Level::WORDS),
        "info",
        "How much is logged.",
    )),
    at_start(key(
        "log.decisions.file",
        Kind::SwitchOrFile,
        "true",
        "Whether each decision is written down, a line of JSON each: `decisions.jsonl` in the state folder, or a path.",
    )),
    at_start(key(
        "log.decisions.maxBytes",
        number(65_536, 1 << 34),
        "10485760",
        "How large that file may grow before another one is begun.",
    )),
    at_start(key(
        "log.decisions.keep",
        number(0, 1_000),
        "5",
        "How many full files are kept.",
    )),
    at_start(key(
        "metrics",
        Kind::Switch,
        "false",
        "Whether `/metrics` answers, to this host only.",
    )),
];

/// What each group of keys is about.
pub const GROUPS: &[(&str, &str)] = &[
    ("listen", "Where connections come from."),
    (
        "tls",
        "TLS, when a certificate stands here or is to be made; `tls: off` says that there is none.",
    ),
    (
        "auth",
        "What proves a client. Secrets stand in files or in the environment.",
    ),
    ("auth.trustedProxy", "What a proxy says of the user."),
    (
        "auth.rateLimit",
        "When an address that fails to authenticate is locked out, or a device that is known by its key. Without any of these their defaults hold for everybody; for browsers only with `compatibility.alwaysLimited: false`, as releases before 2026.7 had it.",
    ),
    ("controlUi", "The browser dashboard."),
    ("nodes", "Devices that serve commands."),
    ("nodes.pairing", "What is paired without asking."),
    (
        "upstream",
        "The server behind the gateway, where there is one.",
    ),
    ("limits", "What nobody may use up."),
    ("log", "What is written down."),
    ("log.decisions", "The file of decisions."),
];

/// The key with this path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// That keys are other in the file than at the start, and from when on they count: a sentence
/// without its stop.
#[must_use]
pub fn from_the_next_start<K: AsRef<str>>(keys: &[K]) -> String {
    let names: Vec<String> = keys
        .iter()
        .map(|key| format!("`{}`", key.as_ref()))
        .collect();
    let (are, count) = match keys.len() {
        1 => ("is", "it counts"),
        _ => ("are", "they count"),
    };
    let names = names.join(", ");
    format!("{names} {are} other in the file than at the start: {count} from the next one")
}

/// The names that may stand directly below a group; `""` is the file itself.
pub(super) fn below(group: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = KEYS
        .iter()
        .filter_map(|key| match group {
            "" => Some(key.path),
            _ => key.path.strip_prefix(group)?.strip_prefix('.'),
        })
        .filter_map(|rest| rest.split('.').next())
        .collect();
    names.dedup();
    names
}
