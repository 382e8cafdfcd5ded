//! Lines of an OpenClaw gateway's log: what one says about a connection, as facts.
//!
//! Which lines there are, and what each says, stands in `kinds`; `read` finds the line in what
//! was pasted: colours, times, JSON and prose around it. What a line does not say is not known, and
//! nothing of it is shown but facts: a line may hold secrets.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod kinds;
mod read;

use crate::facts::attributes::Value;
use crate::facts::{AttributeId, Origin, OriginClass};

pub use kinds::{KINDS, Kind, Knowledge};

/// What is said of one connection, by one line or several.
#[derive(Clone, Debug)]
pub struct Told {
    /// The kinds of its lines, in their order.
    pub kinds: Vec<&'static Kind>,
    /// What came of it, in words, where a line says so.
    pub meaning: Vec<String>,
    /// What is known: the fact, and the part of the line that says so.
    pub known: Vec<Known>,
    /// What is likely of what is not known.
    pub likely: Vec<Known>,
    /// Whether it was closed before any policy is asked.
    pub is_unasked: bool,
    /// Whether it got through authentication.
    passed: bool,
    /// What no line says, and a policy may ask for.
    pub unknown: Vec<AttributeId>,
    /// The id of the connection.
    pub conn: Option<String>,
    /// The id of the device.
    pub device: Option<String>,
    /// The id of the request that was left.
    pub request: Option<String>,
    /// The scopes that the record has, where a line says it.
    pub approved_scopes: Option<Vec<String>>,
    /// The roles that the record has, where a line says it.
    pub approved_roles: Vec<String>,
}

/// A fact that a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The attribute.
    pub attribute: AttributeId,
    /// Its value.
    pub value: Value,
    /// What says so: a key of the line, or the line itself.
    pub says: String,
}

/// What a policy may ask for and a connection differs in, where no line says it. All else is as in
/// a handshake of which nothing is said.
const ASKED: &[&str] = &[
    "peer",
    "origin",
    "origin-allowed",
    "forwarded",
    "client",
    "mode",
    "auth",
    "device",
    "pairing",
];

/// What the lines of a text say, a connection each; several lines of one connection go together.
/// Empty where no line is one that is understood.
#[must_use]
pub fn read(text: &str) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    for line in read::lines(text) {
        let Some(told) = kinds::told(line) else {
            continue;
        };
        let same = |known: &&mut Told| told.conn.is_some() && known.conn == told.conn;
        match all.iter_mut().find(same) {
            Some(known) => known.join(told),
            None => all.push(told),
        }
    }
    for told in &mut all {
        told.settle();
    }
    all
}

impl Told {
    fn knows(&self, name: &str) -> bool {
        self.known
            .iter()
            .any(|known| known.attribute.row().name == name)
    }

    /// What another line says of the same connection; what was said first stays.
    fn join(&mut self, other: Told) {
        self.kinds.extend(other.kinds);
        for meaning in other.meaning {
            if !self.meaning.contains(&meaning) {
                self.meaning.push(meaning);
            }
        }
        for known in other.known {
            if !self.knows(known.attribute.row().name) {
                self.known.push(known);
            }
        }
        self.likely.extend(other.likely);
        self.passed |= other.passed;
        self.is_unasked |= other.is_unasked;
        self.device = self.device.take().or(other.device);
        self.request = self.request.take().or(other.request);
        self.approved_scopes = self.approved_scopes.take().or(other.approved_scopes);
        if self.approved_roles.is_empty() {
            self.approved_roles = other.approved_roles;
        }
    }

    /// Finds what is not known.
    fn settle(&mut self) {
        self.known.sort_by_key(|known| known.attribute);
        // Where the client is known, the peer may be, and no header stands in between.
        let is_said = |name: &str| match name {
            "peer" => self.knows("peer") || self.knows("client-ip"),
            "forwarded" => {
                let headers = self.known.iter().map(|known| known.attribute.row().name);
                self.knows("client-ip") || { headers }.any(|name| name.starts_with("forwarded"))
            }
            "auth" => self.passed || self.knows("auth") || self.knows("auth-failure"),
            "pairing" => {
                let upgrades = [
                    "pairing",
                    "role-upgrade",
                    "scope-upgrade",
                    "metadata-upgrade",
                ];
                upgrades.iter().any(|name| self.knows(name))
                    || self.known.iter().any(|known| {
                        known.attribute.row().name == "device"
                            && known.value == Value::Word("absent".to_owned())
                    })
            }
            // Where the page is not known, neither is this; and pages of this host need no list.
            "origin-allowed" => self.knows("origin-allowed") || !self.has_page(),
            // With another client goes another mode.
            "mode" => self.knows("mode") || !self.knows("client"),
            name => self.knows(name),
        };
        let open = ASKED.iter().filter(|name| !is_said(name));
        let unknown: Vec<AttributeId> = open.filter_map(|name| AttributeId::named(name)).collect();
        let word = |word: &str| Value::Word(word.to_owned());
        let token = kinds::likely("auth", word("token"), "most clients send the shared token");
        let token = token.filter(|_| !is_said("auth"));
        let page = kinds::likely("origin", word("name"), "a page is refused for its origin");
        let page = page.filter(|_| self.knows("origin-allowed") && !is_said("origin"));
        let passed = "the page was let through before that";
        let allowed = kinds::likely("origin-allowed", Value::Flag(true), passed);
        let allowed = allowed.filter(|_| self.passed && !is_said("origin-allowed"));
        let mode = self.usual_mode().filter(|_| !is_said("mode"));
        let mode = mode.and_then(|mode| kinds::likely("mode", word(mode), "usual for this client"));
        let all = [token, mode, page, allowed];
        self.likely.extend(all.into_iter().flatten());
        self.unknown = unknown;
        let known = &self.known;
        self.likely.retain(|likely| {
            known
                .iter()
                .all(|known| known.attribute != likely.attribute)
        });
    }

    /// Whether it is known to come from a web page of another host.
    fn has_page(&self) -> bool {
        let mut known = self.known.iter();
        let origin = known.find(|known| known.attribute.row().name == "origin");
        let Some(Value::Text(origin)) = origin.map(|known| &known.value) else {
            return false;
        };
        let class = Origin::parse(origin).class();
        !matches!(class, OriginClass::Absent | OriginClass::Loopback)
    }

    /// The mode that a client of this id has, where there is one.
    fn usual_mode(&self) -> Option<&'static str> {
        let mut known = self.known.iter();
        let client = known.find(|known| known.attribute.row().name == "client")?;
        let Value::Word(client) = &client.value else {
            return None;
        };
        Some(match &**client {
            "cli" => "cli",
            "gateway-client" => "backend",
            "node-host" => "node",
            "openclaw-control-ui" | "webchat" | "webchat-ui" => "webchat",
            "openclaw-android" | "openclaw-ios" | "openclaw-linux" | "openclaw-macos"
            | "openclaw-tui" | "openclaw-watchos" => "ui",
            _ => return None,
        })
    }
}
