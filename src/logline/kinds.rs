//! THE TABLE of lines: what each is known by, what it means, and which facts it says.

use super::read::{Layout, Line, is_none, place};
use super::{Known, Told};
use crate::facts::attributes::Value;
use crate::facts::{AttributeId, Client, Kind as AttributeKind, Mode, Scope};

/// A kind of line.
#[derive(Debug)]
pub struct Kind {
    /// What it is called.
    pub name: &'static str,
    /// What stands in each line of it.
    pub marker: &'static str,
    /// What it means.
    pub means: &'static str,
    /// What stands at its keys.
    keys: &'static [(&'static str, Knowledge)],
    /// What is so of each line of it.
    always: &'static [(&'static str, &'static str)],
    /// Where its keys stand beside what the client wrote.
    layout: Layout,
}

/// A line in which nothing stands that a client wrote.
const PLAIN: Layout = Layout {
    from_client: "",
    tail: &[],
};

/// What a key says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// The address at the other end of the socket.
    Peer,
    /// The address that the gateway reports of the client; none where it is local or not known.
    Reported,
    /// Whether `X-Forwarded-For` was there.
    Forwarded,
    /// The Origin header.
    Origin,
    /// The Host header.
    Host,
    /// The client's id, or the name that it gives itself, perhaps with mode and version.
    Client,
    /// The client's mode.
    Mode,
    /// The platform that the client names.
    Platform,
    /// The device family that the client names.
    Family,
    /// The role asked for.
    Role,
    /// The scopes asked for.
    Scopes,
    /// How many scopes are asked for.
    ScopeCount,
    /// The authentication that succeeded.
    Method,
    /// The strongest secret that was sent.
    Provided,
    /// Why no authentication succeeded.
    AuthReason,
    /// Whether a device was named.
    HasDevice,
    /// What is missing of the pairing.
    Upgrade,
    /// The words with which the connection was closed.
    Closing,
    /// The roles of the record.
    RolesBefore,
    /// The scopes of the record.
    ScopesBefore,
}

use Knowledge as K;

/// The kinds of lines, the more telling ones first.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "access upgrade",
        marker: "device access upgrade requested",
        means: "a paired device asks for more than it was approved for; some releases approve that at once",
        keys: &[
            ("reason", K::Upgrade),
            ("ip", K::Reported),
            ("auth", K::Method),
            ("roleFrom", K::RolesBefore),
            ("roleTo", K::Role),
            ("scopesFrom", K::ScopesBefore),
            ("scopesTo", K::Scopes),
            ("client", K::Client),
        ],
        always: &[("device", "proven")],
        layout: Layout {
            from_client: "scopesTo",
            tail: &["client", "conn"],
        },
    },
    Kind {
        name: "metadata upgrade",
        marker: "device metadata upgrade requested",
        means: "a paired device describes itself otherwise than when it was approved",
        keys: &[
            ("reason", K::Upgrade),
            ("ip", K::Reported),
            ("auth", K::Method),
            ("claimedPlatform", K::Platform),
            ("claimedDeviceFamily", K::Family),
            ("client", K::Client),
        ],
        always: &[("device", "proven")],
        layout: Layout {
            from_client: "claimedPlatform",
            tail: &["client", "conn"],
        },
    },
    Kind {
        name: "unauthorized",
        marker: "unauthorized conn=",
        means: "what was sent to authenticate was missing or wrong",
        keys: &[
            ("remote", K::Peer),
            ("peer", K::Peer),
            ("client", K::Client),
            ("role", K::Role),
            ("scopes", K::ScopeCount),
            ("reason", K::AuthReason),
            ("auth", K::Provided),
            ("device", K::HasDevice),
            ("platform", K::Platform),
            ("host", K::Host),
            ("origin", K::Origin),
        ],
        always: &[],
        layout: Layout {
            from_client: "client",
            tail: &["reason", "guidance", "suppressed"],
        },
    },
    Kind {
        name: "closed before connect",
        marker: "closed before connect",
        means: "the connection was closed before it was admitted",
        keys: &[
            ("remote", K::Peer),
            ("peer", K::Peer),
            ("fwd", K::Forwarded),
            ("origin", K::Origin),
            ("host", K::Host),
            ("reason", K::Closing),
        ],
        always: &[],
        layout: Layout {
            from_client: "fwd",
            tail: &["code", "reason"],
        },
    },
    Kind {
        name: "pairing auto-approved",
        marker: "device pairing auto-approved",
        means: "a device was paired without asking the owner",
        keys: &[("role", K::Role)],
        always: &[("device", "proven"), ("pairing", "unpaired")],
        layout: PLAIN,
    },
    Kind {
        name: "proxy headers",
        marker: "Proxy headers detected from untrusted address",
        means: "a proxy that the gateway does not trust sent the connection on, so that it does not count as local",
        keys: &[],
        always: &[("forwarded", "yes"), ("ingress", "unattributable")],
        layout: PLAIN,
    },
    Kind {
        name: "unattributable traffic",
        marker: "unattributable proxy-shaped traffic from",
        means: "forwarding headers came from an address that is no trusted proxy: HTTP 403, told once in the life of the gateway",
        keys: &[],
        always: &[("forwarded", "yes"), ("ingress", "unattributable")],
        layout: PLAIN,
    },
    Kind {
        name: "connected",
        marker: "webchat connected",
        means: "a web page was admitted",
        keys: &[("remote", K::Peer), ("client", K::Client)],
        always: &[],
        layout: Layout {
            from_client: "client",
            tail: &[],
        },
    },
    Kind {
        name: "connect",
        marker: "← connect",
        means: "a connect frame that was authenticated",
        keys: &[
            ("clientId", K::Client),
            ("client", K::Client),
            ("mode", K::Mode),
            ("platform", K::Platform),
            ("auth", K::Method),
        ],
        always: &[],
        layout: Layout {
            from_client: "client",
            tail: &[],
        },
    },
    Kind {
        name: "close",
        marker: "→ close",
        means: "the gateway closed the connection",
        keys: &[("reason", K::Closing)],
        always: &[],
        layout: PLAIN,
    },
    Kind {
        name: "what a client was told",
        marker: "",
        means: "a client tells why the gateway refused it",
        keys: &[("reason", K::Closing)],
        always: &[],
        layout: PLAIN,
    },
];

/// What is so of every device that is asked to be paired.
const PROVEN: (&str, &str) = ("device", "proven");

/// A fact by its name, and its word.
type Said = (&'static str, &'static str);

/// What the words of a refusal mean.
#[derive(Debug)]
struct Closing {
    words: &'static str,
    facts: &'static [Said],
    means: &'static str,
}

const fn closing_row(words: &'static str, facts: &'static [Said], means: &'static str) -> Closing {
    Closing {
        words,
        facts,
        means,
    }
}

/// The words of refusals, the more telling ones first.
const CLOSINGS: &[Closing] = &[
    closing_row(
        "device is not approved yet",
        &[("device", "proven"), ("pairing", "unpaired")],
        "the device waits for the owner's approval",
    ),
    closing_row(
        "asking for a higher role",
        &[("device", "proven"), ("role-upgrade", "yes")],
        "the device asks for a role that it was not approved for",
    ),
    closing_row(
        "role upgrade pending approval",
        &[("device", "proven"), ("role-upgrade", "yes")],
        "the device asks for a role that it was not approved for",
    ),
    closing_row(
        "asking for more scopes",
        &[("device", "proven"), ("scope-upgrade", "yes")],
        "the device asks for scopes that it was not approved for",
    ),
    closing_row(
        "scope upgrade pending approval",
        &[("device", "proven"), ("scope-upgrade", "yes")],
        "the device asks for scopes that it was not approved for",
    ),
    closing_row(
        "device identity changed",
        &[("device", "proven"), ("metadata-upgrade", "yes")],
        "the device describes itself otherwise than when it was approved",
    ),
    closing_row(
        "device metadata change pending",
        &[("device", "proven"), ("metadata-upgrade", "yes")],
        "the device describes itself otherwise than when it was approved",
    ),
    closing_row(
        "pairing required",
        &[("device", "proven")],
        "the owner has to approve something of the device: the device itself, or more than it was approved for",
    ),
    closing_row(
        "token mismatch (rotate",
        &[("auth-failure", "device-token-mismatch")],
        "the device token is not this device's",
    ),
    closing_row(
        "device token mismatch",
        &[("auth-failure", "device-token-mismatch")],
        "the device token is not this device's",
    ),
    closing_row(
        "device token rejected",
        &[("auth-failure", "device-token-mismatch")],
        "the device token is not this device's",
    ),
    closing_row(
        "device token scope mismatch",
        &[("auth-failure", "scope-mismatch")],
        "the device token does not carry the scopes asked for",
    ),
    closing_row(
        "gateway token missing",
        &[("auth-failure", "token-missing"), ("auth", "none")],
        "no token was sent",
    ),
    closing_row(
        "gateway token mismatch",
        &[("auth-failure", "token-mismatch"), ("auth", "failed")],
        "the token is wrong",
    ),
    closing_row(
        "token not configured",
        &[("auth-failure", "token-not-configured")],
        "the gateway asks for a token, and has none",
    ),
    closing_row(
        "gateway password missing",
        &[("auth-failure", "password-missing"), ("auth", "none")],
        "no password was sent",
    ),
    closing_row(
        "gateway password mismatch",
        &[("auth-failure", "password-mismatch"), ("auth", "failed")],
        "the password is wrong",
    ),
    closing_row(
        "password not configured",
        &[("auth-failure", "password-not-configured")],
        "the gateway asks for a password, and has none",
    ),
    closing_row(
        "bootstrap token invalid",
        &[("auth-failure", "bootstrap-token-invalid")],
        "the setup code is unknown, used or expired",
    ),
    closing_row(
        "setup code invalid",
        &[("auth-failure", "bootstrap-token-invalid")],
        "the setup code is unknown, used or expired",
    ),
    closing_row(
        "too many failed authentication attempts",
        &[("auth-failure", "rate-limited")],
        "too many attempts from this address failed",
    ),
    closing_row(
        "requires device identity",
        &[("device", "absent")],
        "the page has no device key: browsers make one over HTTPS or on localhost only",
    ),
    closing_row(
        "device identity required",
        &[("device", "absent")],
        "no device identity was sent",
    ),
    closing_row(
        "device identity mismatch",
        &[("device", "id-mismatch")],
        "the device id is not the hash of its key",
    ),
    closing_row(
        "device signature expired",
        &[("device", "signature-stale")],
        "the device proof is too old, or from the future: look at the clocks",
    ),
    closing_row(
        "device nonce required",
        &[("device", "nonce-missing")],
        "the device proof has no nonce",
    ),
    closing_row(
        "device nonce mismatch",
        &[("device", "nonce-mismatch")],
        "the device proof was made for another connection",
    ),
    closing_row(
        "device signature invalid",
        &[("device", "signature-invalid")],
        "the device signature does not fit what was sent",
    ),
    closing_row(
        "device public key invalid",
        &[("device", "public-key-invalid")],
        "the device key cannot be used",
    ),
    closing_row(
        "origin not allowed",
        &[("origin-allowed", "no")],
        "the web page that opened the connection is not on the list of those that may",
    ),
    // Nothing that is sent is refused alike: of the two, a wrong secret is what people look for.
    closing_row(
        "unauthorized",
        &[("auth-failure", "unauthorized"), ("auth", "failed")],
        "the authentication failed; taken to be for a wrong secret, where none may have been sent: --fact auth=none",
    ),
    closing_row(
        "connect failed",
        &[],
        "the client gave up after it was refused; the reason stands in a line before",
    ),
    closing_row(
        "protocol mismatch",
        &[],
        "client and gateway speak no common version of the protocol: no policy is asked",
    ),
    closing_row(
        "gateway starting",
        &[],
        "the gateway was not up yet: no policy is asked, and a client tries again by itself",
    ),
    closing_row(
        "service restart",
        &[],
        "the gateway was stopped: no policy is asked",
    ),
    closing_row(
        "handshake timeout",
        &[],
        "the client said nothing in time: no policy is asked",
    ),
];

/// Those of them that no policy has a part in.
const UNASKED: &[&str] = &[
    "protocol mismatch",
    "gateway starting",
    "service restart",
    "handshake timeout",
];

/// What the protocol calls the failures of authentication.
const AUTH_REASONS: &[(&str, &str)] = &[
    ("bootstrap_token_invalid", "bootstrap-token-invalid"),
    ("device_token_mismatch", "device-token-mismatch"),
    ("password_mismatch", "password-mismatch"),
    ("password_missing", "password-missing"),
    ("password_missing_config", "password-not-configured"),
    ("rate_limited", "rate-limited"),
    ("scope_mismatch", "scope-mismatch"),
    ("token_mismatch", "token-mismatch"),
    ("token_missing", "token-missing"),
    ("token_missing_config", "token-not-configured"),
];

/// What a line says, if it is one that is understood.
pub(super) fn told(mut line: Line) -> Option<Told> {
    let (kind, from) = kind(&line)?;
    line.lay_out(from, kind.layout);
    let line = &line;
    let mut told = Told {
        kinds: vec![kind],
        meaning: Vec::new(),
        known: Vec::new(),
        likely: Vec::new(),
        passed: false,
        is_unasked: false,
        unknown: Vec::new(),
        conn: line.key("conn").map(first_word),
        device: line
            .key("device")
            .or(line.beside("deviceId"))
            .map(first_word)
            .filter(|id| id.len() > 8),
        request: request(line),
        approved_scopes: None,
        approved_roles: Vec::new(),
    };
    for (key, knowledge) in kind.keys {
        if line.has(key) {
            told.take(*knowledge, line.key(key), &format!("{key}="));
        }
    }
    if kind.marker.is_empty() && !line.has("reason") {
        told.take(K::Closing, Some(&line.text), "the line");
    }
    for (key, knowledge) in BESIDE {
        if let Some(value) = line.beside(key) {
            told.take(*knowledge, Some(value), &format!("\"{key}\""));
        }
    }
    if let Some((_, rest)) = line.text.split_once("proxy-shaped traffic from ") {
        told.take(
            K::Peer,
            Some(rest.split([' ', ';']).next().unwrap_or("")),
            "the line",
        );
    }
    for (name, value) in kind.always {
        told.say(name, value, "each line of this kind");
    }
    Some(told)
}

/// The kind of a line, and where it begins: what stands before is prose, and other markers behind are
/// what a client wrote.
fn kind(line: &Line) -> Option<(&'static Kind, usize)> {
    let marked = KINDS.iter().filter(|kind| !kind.marker.is_empty());
    let found = marked.filter_map(|kind| Some((kind, place(&line.text, kind.marker)?)));
    let unmarked = || {
        let told = closing(&line.text).and_then(|_| KINDS.iter().find(|it| it.marker.is_empty()));
        told.map(|kind| (kind, 0))
    };
    found.min_by_key(|(_, at)| *at).or_else(unmarked)
}

/// What the JSON beside a line says.
const BESIDE: &[(&str, Knowledge)] = &[
    ("reason", K::Upgrade),
    ("authReason", K::AuthReason),
    ("authProvided", K::Provided),
    ("hasDeviceIdentity", K::HasDevice),
    ("client", K::Client),
    ("mode", K::Mode),
    ("host", K::Host),
    ("origin", K::Origin),
    ("role", K::Role),
    ("remoteAddr", K::Peer),
];

/// The request that was left, where the words of the refusal name it.
fn request(line: &Line) -> Option<String> {
    let beside = line.beside("requestId").or(line.key("requestId"));
    let told = line.text.rsplit_once("requestId: ").map(|(_, rest)| rest);
    let id = beside.or(told)?;
    let end = id.find(|c: char| !c.is_ascii_alphanumeric() && !"._:-".contains(c));
    let id = id.get(..end.unwrap_or(id.len()))?;
    (!id.is_empty() && id.len() <= 128).then(|| id.to_owned())
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or("").to_owned()
}

fn closing(text: &str) -> Option<&'static Closing> {
    CLOSINGS.iter().find(|closing| text.contains(closing.words))
}

impl Told {
    /// Takes in what a key says; nothing where it says that there is nothing.
    fn take(&mut self, knowledge: Knowledge, value: Option<&str>, says: &str) {
        let Some(value) = value else {
            return match knowledge {
                K::Origin => self.say("origin", "absent", says),
                K::Forwarded => self.say("forwarded-for", "no", says),
                K::Scopes => self.put("scopes", Value::Words(Vec::new()), says),
                K::ScopesBefore => self.approved_scopes = Some(Vec::new()),
                // It is told of nobody on this host, nor where a proxy hides it.
                K::Reported => {
                    let here = std::net::Ipv4Addr::LOCALHOST.into();
                    let says = "no ip is told of a client on this host";
                    self.likely
                        .extend(likely("peer", Value::Address(here), says));
                }
                K::Peer
                | K::Host
                | K::Client
                | K::Mode
                | K::Platform
                | K::Family
                | K::Role
                | K::ScopeCount
                | K::Method
                | K::Provided
                | K::AuthReason
                | K::HasDevice
                | K::Upgrade
                | K::Closing
                | K::RolesBefore => {}
            };
        };
        match knowledge {
            K::Peer => self.address("peer", value, says),
            K::Reported => self.address("client-ip", value, says),
            K::Forwarded => self.say("forwarded-for", "yes", says),
            K::Origin => self.put("origin", Value::Text(value.to_owned()), says),
            K::Host => self.put("host", Value::Text(value.to_owned()), says),
            K::Client => self.client(value, says),
            K::Mode => self.mode(value, says),
            K::Platform => self.put("platform", Value::Text(value.to_owned()), says),
            K::Family => self.put("device-family", Value::Text(value.to_owned()), says),
            K::Role => self.say("role", value, says),
            K::Scopes => self.scopes(value, says),
            K::ScopeCount => {
                if value == "0" {
                    self.put("scopes", Value::Words(Vec::new()), says);
                }
            }
            K::Method => self.say("auth", value, says),
            K::Provided => {
                let auth = if value == "none" { "none" } else { "failed" };
                self.say("auth", auth, says);
            }
            K::AuthReason => {
                let word = AUTH_REASONS.iter().find(|(theirs, _)| *theirs == value);
                self.say(
                    "auth-failure",
                    word.map_or("unauthorized", |(_, ours)| ours),
                    says,
                );
            }
            K::HasDevice => match value {
                // A proof that fails is refused before the secrets are looked at.
                "yes" | "true" => self.say("device", "proven", says),
                "no" | "false" => self.say("device", "absent", says),
                _ => {}
            },
            K::Upgrade => match value {
                "role-upgrade" | "scope-upgrade" | "metadata-upgrade" => {
                    self.say(value, "yes", says);
                    self.authenticated();
                }
                "not-paired" => {
                    self.say("pairing", "unpaired", says);
                    self.authenticated();
                }
                _ => {}
            },
            K::Closing => {
                let Some(found) = closing(value) else {
                    return;
                };
                if found.facts.contains(&PROVEN) {
                    self.authenticated();
                }
                for (name, fact) in found.facts {
                    self.say(name, fact, says);
                }
                self.is_unasked |= UNASKED.contains(&found.words);
                self.meaning.push(found.means.to_owned());
            }
            K::RolesBefore => self.approved_roles = list(value),
            K::ScopesBefore => self.approved_scopes = Some(list(value)),
        }
    }

    /// Pairing is asked for where a device is proven, and something authenticated it. Whichever it
    /// was: the token is what most have.
    fn authenticated(&mut self) {
        let says = "assumed: who fails to authenticate is asked for no pairing";
        self.say(
            "device",
            "proven",
            "only a proven device is asked to be paired",
        );
        if !self.knows("auth") {
            self.likely
                .extend(likely("auth", Value::Word("token".to_owned()), says));
        }
        self.passed = true;
    }

    /// A fact by its word. What is no word of the attribute is not known.
    fn say(&mut self, name: &str, word: &str, says: &str) {
        let Some(id) = AttributeId::named(name) else {
            return;
        };
        let kind = id.row().kind;
        let value = match (kind, kind.code(word)) {
            (AttributeKind::Flag { .. }, _) => Value::Flag(word == "yes"),
            (_, Some(_)) => Value::Word(word.to_owned()),
            (_, None) => return,
        };
        self.put(name, value, says);
    }

    fn put(&mut self, name: &str, value: Value, says: &str) {
        let Some(attribute) = AttributeId::named(name) else {
            return;
        };
        let known = self.known.iter().any(|known| known.attribute == attribute);
        if !known {
            self.known.push(Known {
                attribute,
                value,
                says: says.to_owned(),
            });
        }
    }

    /// An address, perhaps with a port, or the first of `from->to`.
    fn address(&mut self, name: &str, value: &str, says: &str) {
        let value = value.split("->").next().unwrap_or(value).trim();
        let bare = value.trim_start_matches('[').trim_end_matches(']');
        let ip = bare.parse().ok().or_else(|| {
            let socket = value.parse::<std::net::SocketAddr>();
            socket.ok().map(|socket| socket.ip())
        });
        if let Some(ip) = ip {
            self.put(name, Value::Address(ip), says);
        }
    }

    /// `cli`, `OpenClaw Mobile`, `cli cli v2026.4.22`: an id where it is one, and the mode before the
    /// version.
    fn client(&mut self, value: &str, says: &str) {
        let words: Vec<&str> = value.split_whitespace().collect();
        if let [.., mode, version] = words.as_slice()
            && version.starts_with('v')
        {
            self.mode(mode, says);
        }
        let id = words.first().and_then(|word| Client::parse(word));
        if let Some(id) = id {
            self.say("client", id.name(), says);
        }
    }

    fn mode(&mut self, value: &str, says: &str) {
        if let Some(mode) = Mode::parse(value) {
            self.say("mode", mode.name(), says);
        }
    }

    fn scopes(&mut self, value: &str, says: &str) {
        let all = list(value);
        let known: Vec<String> = all
            .iter()
            .filter(|scope| Scope::parse(scope).is_some())
            .cloned()
            .collect();
        if known.len() < all.len() {
            self.say("unknown-scope", "yes", says);
        }
        self.put("scopes", Value::Words(known), says);
    }
}

pub(super) fn likely(name: &str, value: Value, says: &str) -> Option<Known> {
    AttributeId::named(name).map(|attribute| Known {
        attribute,
        value,
        says: says.to_owned(),
    })
}

fn list(value: &str) -> Vec<String> {
    let names = value.split(',').map(str::trim);
    names
        .filter(|name| !is_none(name))
        .map(str::to_owned)
        .collect()
}
