//! THE TABLE of attributes: what a policy may ask about, one row each.
//!
//! A row gives the name, the type with its access to [`Facts`], the stage from which it is
//! known, who vouches for it, and one sentence. The grammar, the checker, the evaluator,
//! `gw schema` and the docs know attributes only through it.

use std::net::IpAddr;

use super::Facts;
use super::address::{Address, AddressClass};
use super::client::{Client, Mode, Role};
use super::host::{Host, HostClass};
use super::metadata::normalize_metadata;
use super::origin::{Origin, OriginClass};
use super::scopes::{Scope, ScopeSet};
use super::settings::{AuthMode, Bind};
use super::socket::{Ingress, PeerUid, Transport};
use super::stage::{Provenance, Stage};
use super::standing::{Auth, AuthFailure, DeviceProof, Pairing, PendingRequest};
use super::word::Word;

/// The place of an attribute in [`ATTRIBUTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeId(pub u8);

/// A row of the table.
#[derive(Debug)]
pub struct Attribute {
    /// The name in policies and in `--fact`.
    pub name: &'static str,
    /// Its type, with how to read and write it.
    pub kind: Kind,
    /// The stage from which it is known.
    pub stage: Stage,
    /// Who vouches for it.
    pub provenance: Provenance,
    /// One sentence: what it says.
    pub doc: &'static str,
}

/// The type of an attribute, with its access to [`Facts`].
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Holds or does not.
    Flag {
        /// Reads it.
        get: fn(&Facts) -> bool,
        /// Writes it.
        set: fn(&mut Facts, bool),
    },
    /// One word of a closed vocabulary.
    Enum {
        /// The vocabulary, in the order of its codes.
        words: &'static [Word],
        /// Reads the code.
        get: fn(&Facts) -> u8,
        /// Writes the code; codes beyond the vocabulary are ignored.
        set: fn(&mut Facts, u8),
    },
    /// A set of words of a closed vocabulary.
    Set {
        /// The vocabulary, in the order of its bits.
        words: &'static [Word],
        /// Reads the set.
        get: fn(&Facts) -> ScopeSet,
        /// Writes the set.
        set: fn(&mut Facts, ScopeSet),
    },
    /// An address, its class, or a network that contains it.
    Address {
        /// The classes, in the order of their codes.
        words: &'static [Word],
        /// Reads it.
        get: fn(&Facts) -> Address,
        /// Writes it.
        set: fn(&mut Facts, Address),
    },
    /// A header that is compared by class, by literal text, or by a network that contains it.
    Header {
        /// The classes, in the order of their codes.
        words: &'static [Word],
        /// Reads the class.
        class: fn(&Facts) -> u8,
        /// Reads the text.
        text: fn(&Facts) -> &str,
        /// Reads the address, when the text is one.
        ip: fn(&Facts) -> Option<IpAddr>,
        /// Writes it from the text that a client would send; `None` takes it away.
        set: fn(&mut Facts, Option<&str>),
    },
    /// Text that is compared with literals only.
    Text {
        /// Reads it; empty when absent.
        get: fn(&Facts) -> &str,
        /// Writes it.
        set: fn(&mut Facts, &str),
    },
}

impl Kind {
    /// What the type is called in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Flag { .. } => "flag",
            Kind::Enum { .. } => "enum",
            Kind::Set { .. } => "set",
            Kind::Address { .. } => "address",
            Kind::Header { .. } => "header",
            Kind::Text { .. } => "text",
        }
    }

    /// The words that the attribute may be compared with.
    #[must_use]
    pub fn words(self) -> &'static [Word] {
        match self {
            Kind::Flag { .. } => &[],
            Kind::Text { .. } => TEXT_WORDS,
            Kind::Enum { words, .. }
            | Kind::Set { words, .. }
            | Kind::Address { words, .. }
            | Kind::Header { words, .. } => words,
        }
    }

    /// The code of a word.
    #[must_use]
    pub fn code(self, word: &str) -> Option<u8> {
        let at = self.words().iter().position(|known| known.name == word)?;
        u8::try_from(at).ok()
    }
}

/// The one word of a text attribute.
const TEXT_WORDS: &[Word] = &[Word {
    name: "absent",
    doc: "nothing was sent",
}];

/// A value to give to an attribute, in a `test` or by `--fact`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A flag.
    Flag(bool),
    /// A word of the attribute's vocabulary.
    Word(String),
    /// Text between quotes.
    Text(String),
    /// An address.
    Address(IpAddr),
    /// Several words, for a set.
    Words(Vec<String>),
}

/// Why a value does not fit an attribute.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssignError {
    /// The value has another type.
    #[error("`{attribute}` is {article} {kind}, and this is not", article = article(kind))]
    Type {
        /// The attribute's name.
        attribute: &'static str,
        /// The attribute's type.
        kind: &'static str,
    },
    /// The word is not one of the attribute's.
    #[error("`{word}` is not a value of `{attribute}`")]
    Word {
        /// The attribute's name.
        attribute: &'static str,
        /// What was written.
        word: String,
    },
}

/// The article that goes with a word: `a` or `an`.
#[must_use]
pub(crate) fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

impl AttributeId {
    /// The attribute with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let at = ATTRIBUTES
            .iter()
            .position(|attribute| attribute.name == name)?;
        u8::try_from(at).ok().map(AttributeId)
    }

    /// Every attribute, in the order of the table.
    pub fn all() -> impl Iterator<Item = AttributeId> {
        (0u8..).take(ATTRIBUTES.len()).map(AttributeId)
    }

    /// The row. An id that no table row has (it cannot be made by [`AttributeId::named`])
    /// answers with the first row.
    #[must_use]
    pub fn row(self) -> &'static Attribute {
        match ATTRIBUTES.get(usize::from(self.0)) {
            Some(row) => row,
            None => FIRST,
        }
    }

    /// Shows the fact as output does: a word, an address, a text, `yes` or `no`, `{ a, b }`.
    #[must_use]
    pub fn show(self, facts: &Facts) -> String {
        let word = |words: &[Word], code: u8| {
            words
                .get(usize::from(code))
                .map_or_else(String::new, |word| word.name.to_owned())
        };
        match self.row().kind {
            Kind::Flag { get, .. } => if get(facts) { "yes" } else { "no" }.to_owned(),
            Kind::Enum { words, get, .. } => word(words, get(facts)),
            Kind::Set { get, .. } => {
                let names: Vec<&str> = get(facts).iter().map(Scope::name).collect();
                if names.is_empty() {
                    "{}".to_owned()
                } else {
                    format!("{{ {} }}", names.join(", "))
                }
            }
            Kind::Address { get, .. } => get(facts).to_string(),
            Kind::Header {
                words, class, text, ..
            } => {
                if text(facts).is_empty() {
                    word(words, class(facts))
                } else {
                    text(facts).to_owned()
                }
            }
            Kind::Text { get, .. } => {
                if get(facts).is_empty() {
                    "absent".to_owned()
                } else {
                    get(facts).to_owned()
                }
            }
        }
    }

    /// Gives the fact the value that it has elsewhere.
    pub(crate) fn copy(self, from: &Facts, to: &mut Facts) {
        match self.row().kind {
            Kind::Flag { get, set } => set(to, get(from)),
            Kind::Enum { get, set, .. } => set(to, get(from)),
            Kind::Set { get, set, .. } => set(to, get(from)),
            Kind::Address { get, set, .. } => set(to, get(from)),
            Kind::Header {
                class, text, set, ..
            } => set(to, (class(from) != 0).then(|| text(from))),
            Kind::Text { get, set } => set(to, get(from)),
        }
    }

    /// Gives the fact a value. A class of addresses or headers stands for a typical member,
    /// so that `peer=private` can be said.
    ///
    /// # Errors
    ///
    /// [`AssignError`] when the value does not fit the attribute's type or vocabulary.
    pub fn assign(self, facts: &mut Facts, value: &Value) -> Result<(), AssignError> {
        let row = self.row();
        let type_error = || AssignError::Type {
            attribute: row.name,
            kind: row.kind.name(),
        };
        let code = |word: &str| {
            row.kind.code(word).ok_or_else(|| AssignError::Word {
                attribute: row.name,
                word: word.to_owned(),
            })
        };
        match (row.kind, value) {
            (Kind::Flag { set, .. }, Value::Flag(value)) => set(facts, *value),
            (Kind::Enum { set, .. }, Value::Word(word)) => set(facts, code(word)?),
            (Kind::Set { set, .. }, Value::Words(words)) => {
                let bits = words.iter().map(|word| Ok(1 << code(word)?));
                set(facts, ScopeSet(bits.sum::<Result<u16, AssignError>>()?));
            }
            (Kind::Address { set, .. }, Value::Address(ip)) => set(facts, Address::new(*ip)),
            (Kind::Address { set, .. }, Value::Word(word)) => {
                let class = AddressClass::from_code(code(word)?).unwrap_or(AddressClass::None);
                set(facts, class.example());
            }
            (Kind::Header { set, .. }, Value::Address(ip)) => set(facts, Some(&ip.to_string())),
            (Kind::Header { set, .. }, Value::Text(text)) => set(facts, Some(text)),
            (Kind::Header { set, words, .. }, Value::Word(word)) => {
                code(word)?;
                set(facts, example_header(words, word));
            }
            (Kind::Text { set, .. }, Value::Text(text)) => set(facts, text),
            (Kind::Text { set, .. }, Value::Word(word)) => {
                code(word)?;
                set(facts, "");
            }
            (
                Kind::Flag { .. }
                | Kind::Enum { .. }
                | Kind::Set { .. }
                | Kind::Address { .. }
                | Kind::Header { .. }
                | Kind::Text { .. },
                _,
            ) => return Err(type_error()),
        }
        Ok(())
    }
}

/// The path of a request target, without query and fragment; of a whole URL (RFC 9112 §3.2.2)
/// without what is before the path, where a password may stand.
#[must_use]
pub(crate) fn without_query(target: &str) -> &str {
    let target = target.split(['?', '#']).next().unwrap_or(target);
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            let path = rest.find('/').and_then(|at| rest.get(at..));
            path.unwrap_or("/")
        }
        Some(_) | None => target,
    }
}

/// A header text of each class: the Host and Origin vocabularies share their names.
pub(crate) fn example_header(words: &[Word], class: &str) -> Option<&'static str> {
    let origin = std::ptr::eq(words, OriginClass::WORDS);
    Some(match (class, origin) {
        ("absent", _) => return None,
        ("empty", _) => "",
        ("opaque", _) => "null",
        ("invalid", _) => "not an origin",
        ("loopback", true) => "http://localhost",
        ("loopback", false) => "localhost",
        ("private", true) => "http://192.168.1.1",
        ("private", false) => "192.168.1.1",
        ("public", true) => "http://203.0.113.7",
        ("public", false) => "203.0.113.7",
        ("mdns", true) => "http://gateway.local",
        ("mdns", false) => "gateway.local",
        ("tailnet", true) => "https://gateway.tailnet.ts.net",
        ("tailnet", false) => "gateway.tailnet.ts.net",
        (_, true) => "https://page.example",
        (_, false) => "gateway.example",
    })
}

macro_rules! flag {
    ($name:literal, $($field:ident).+, $stage:ident, $provenance:ident, $doc:literal) => {
        Attribute {
            name: $name,
            kind: Kind::Flag { get: |facts| facts.$($field).+, set: |facts, value| facts.$($field).+ = value },
            stage: Stage::$stage, provenance: Provenance::$provenance, doc: $doc,
        }
    };
}
macro_rules! word {
    ($name:literal, $($field:ident).+, $type:ident, $stage:ident, $provenance:ident, $doc:literal) => {
        Attribute {
            name: $name,
            kind: Kind::Enum {
                words: $type::WORDS,
                get: |facts| facts.$($field).+.code(),
                set: |facts, code| if let Some(value) = $type::from_code(code) { facts.$($field).+ = value },
            },
            stage: Stage::$stage, provenance: Provenance::$provenance, doc: $doc,
        }
    };
}
macro_rules! address {
    ($name:literal, $field:ident, $stage:ident, $provenance:ident, $doc:literal) => {
        Attribute {
            name: $name,
            kind: Kind::Address {
                words: AddressClass::WORDS,
                get: |facts| facts.$field,
                set: |facts, value| facts.$field = value,
            },
            stage: Stage::$stage,
            provenance: Provenance::$provenance,
            doc: $doc,
        }
    };
}
macro_rules! text {
    ($name:literal, $field:ident as $compared:expr, $stage:ident, $provenance:ident, $doc:literal) => {
        Attribute {
            name: $name,
            kind: Kind::Text {
                get: |facts| &facts.$field,
                set: |facts, value| facts.$field = $compared(value).into(),
            },
            stage: Stage::$stage,
            provenance: Provenance::$provenance,
            doc: $doc,
        }
    };
}

const FIRST: &Attribute = &word!(
    "transport",
    transport,
    Transport,
    Accept,
    Observed,
    "how the connection reaches the gateway"
);

/// The table, in the order in which facts become known.
pub static ATTRIBUTES: &[Attribute] = &[
    word!(
        "transport",
        transport,
        Transport,
        Accept,
        Observed,
        "how the connection reaches the gateway"
    ),
    flag!(
        "tls",
        tls,
        Accept,
        Observed,
        "TLS protects the connection up to this process"
    ),
    address!(
        "peer",
        peer,
        Accept,
        Observed,
        "the address at the other end of the socket; none for unix and in-process"
    ),
    word!(
        "peer-uid",
        peer_uid,
        PeerUid,
        Accept,
        Verified,
        "who owns the other end of the socket"
    ),
    flag!(
        "same-host",
        same_host,
        Accept,
        Observed,
        "the peer is loopback, or has the local address of this very connection, or comes over unix or in-process"
    ),
    flag!(
        "peer-is-own",
        peer_is_own,
        Accept,
        Observed,
        "the peer's address belongs to an interface of this host"
    ),
    flag!(
        "peer-is-proxy",
        peer_is_proxy,
        Accept,
        Configured,
        "the peer's address is listed in `trustedProxies`"
    ),
    Attribute {
        name: "host",
        kind: Kind::Header {
            words: HostClass::WORDS,
            class: |facts| facts.host.class().code(),
            text: |facts| facts.host.name(),
            ip: |facts| facts.host.ip(),
            set: |facts, value| facts.host = value.map_or_else(Host::absent, Host::from_header),
        },
        stage: Stage::Upgrade,
        provenance: Provenance::Observed,
        doc: "the Host header without its port; a name is never resolved",
    },
    Attribute {
        name: "origin",
        kind: Kind::Header {
            words: OriginClass::WORDS,
            class: |facts| facts.origin.class().code(),
            text: |facts| facts.origin.text(),
            ip: |facts| facts.origin.ip(),
            set: |facts, value| facts.origin = value.map_or_else(Origin::absent, Origin::parse),
        },
        stage: Stage::Upgrade,
        provenance: Provenance::Observed,
        doc: "the Origin header: the page that a browser speaks for",
    },
    flag!(
        "same-origin",
        same_origin,
        Upgrade,
        Observed,
        "the Origin's host and port equal the Host header"
    ),
    flag!(
        "origin-allowed",
        origin_allowed,
        Upgrade,
        Observed,
        "the Origin stands in `controlUi.allowedOrigins`"
    ),
    text!(
        "path",
        path as without_query,
        Upgrade,
        Claimed,
        "the request path, without the query"
    ),
    address!(
        "client-ip",
        client_ip,
        Upgrade,
        Observed,
        "the client's address, resolved through trusted proxies from right to left; none when it cannot be known"
    ),
    flag!(
        "forwarded",
        forwarded,
        Upgrade,
        Observed,
        "a forwarding header is present, blank or not"
    ),
    flag!(
        "forwarded-rfc",
        forwarded_rfc,
        Upgrade,
        Observed,
        "`Forwarded` has a value"
    ),
    flag!(
        "forwarded-for",
        forwarded_for,
        Upgrade,
        Observed,
        "`X-Forwarded-For` has a value"
    ),
    flag!(
        "forwarded-host",
        forwarded_host,
        Upgrade,
        Observed,
        "`X-Forwarded-Host` has a value"
    ),
    flag!(
        "forwarded-proto",
        forwarded_proto,
        Upgrade,
        Observed,
        "`X-Forwarded-Proto` has a value"
    ),
    flag!(
        "forwarded-real-ip",
        forwarded_real_ip,
        Upgrade,
        Observed,
        "`X-Real-IP` has a value"
    ),
    flag!(
        "forwarded-other",
        forwarded_other,
        Upgrade,
        Observed,
        "another `X-Forwarded-…` header has a value"
    ),
    flag!(
        "forwarded-tailscale",
        forwarded_tailscale,
        Upgrade,
        Observed,
        "a header that a Tailscale proxy adds is present"
    ),
    flag!(
        "proxy-trace",
        proxy_trace,
        Upgrade,
        Observed,
        "`Via`, `X-Client-IP`, `CF-Connecting-IP`, `True-Client-IP` or `X-Original-Forwarded-For` has a value; OpenClaw counts none of them as forwarding"
    ),
    word!(
        "ingress",
        ingress,
        Ingress,
        Upgrade,
        Observed,
        "who is known to have sent the request on"
    ),
    flag!(
        "node-network",
        node_network,
        Upgrade,
        Configured,
        "the client's address is known, not loopback, and in `nodes.pairing.autoApproveCidrs`"
    ),
    word!(
        "client",
        client,
        Client,
        Connect,
        Claimed,
        "`client.id`: what the client says it is"
    ),
    word!(
        "mode",
        mode,
        Mode,
        Connect,
        Claimed,
        "`client.mode`: how the client says it works"
    ),
    word!("role", role, Role, Connect, Claimed, "the role asked for"),
    Attribute {
        name: "scopes",
        kind: Kind::Set {
            words: Scope::WORDS,
            get: |facts| facts.scopes,
            set: |facts, value| facts.scopes = value,
        },
        stage: Stage::Connect,
        provenance: Provenance::Claimed,
        doc: "the known scopes asked for",
    },
    flag!(
        "unknown-scope",
        unknown_scope,
        Connect,
        Claimed,
        "a scope is asked for that no release knows"
    ),
    flag!(
        "outside-role",
        outside_role,
        Connect,
        Claimed,
        "a scope is asked for that does not belong to the role, so that it cannot be approved"
    ),
    text!(
        "platform",
        platform as normalize_metadata,
        Connect,
        Claimed,
        "`client.platform`, trimmed and in lower case"
    ),
    text!(
        "device-family",
        device_family as normalize_metadata,
        Connect,
        Claimed,
        "`client.deviceFamily`, trimmed and in lower case"
    ),
    flag!(
        "secret-sent",
        secret_sent,
        Connect,
        Claimed,
        "`auth.token` or `auth.password` was sent, right or wrong; white space alone counts"
    ),
    word!(
        "auth",
        auth,
        Auth,
        Connect,
        Verified,
        "the authentication that succeeded; `token` means that the shared token was right"
    ),
    word!(
        "auth-failure",
        auth_failure,
        AuthFailure,
        Connect,
        Verified,
        "why no authentication succeeded; set also when nothing was sent"
    ),
    word!(
        "device",
        device,
        DeviceProof,
        Connect,
        Verified,
        "what the device proof showed"
    ),
    word!(
        "pairing",
        pairing,
        Pairing,
        Connect,
        Verified,
        "what we remember of the device"
    ),
    flag!(
        "role-upgrade",
        role_upgrade,
        Connect,
        Verified,
        "a paired device asks for a role that it was not approved for"
    ),
    flag!(
        "scope-upgrade",
        scope_upgrade,
        Connect,
        Verified,
        "a paired device asks for scopes that it was not approved for"
    ),
    flag!(
        "metadata-upgrade",
        metadata_upgrade,
        Connect,
        Verified,
        "a paired device names another platform or family than it was approved with"
    ),
    word!(
        "pending",
        pending,
        PendingRequest,
        Connect,
        Verified,
        "an earlier request of this device still waits"
    ),
    word!(
        "setting.auth-mode",
        setting.auth_mode,
        AuthMode,
        Accept,
        Configured,
        "`auth.mode`: how clients are asked to authenticate"
    ),
    word!(
        "setting.bind",
        setting.bind,
        Bind,
        Accept,
        Configured,
        "`bind`: where the gateway listens"
    ),
    flag!(
        "setting.allow-insecure-auth",
        setting.allow_insecure_auth,
        Accept,
        Configured,
        "`controlUi.allowInsecureAuth` is on"
    ),
    flag!(
        "setting.disable-device-auth",
        setting.disable_device_auth,
        Accept,
        Configured,
        "`controlUi.dangerouslyDisableDeviceAuth` is on"
    ),
    flag!(
        "setting.host-header-origin",
        setting.host_header_origin,
        Accept,
        Configured,
        "`controlUi.dangerouslyAllowHostHeaderOriginFallback` is on"
    ),
    flag!(
        "setting.auto-approve-local",
        setting.auto_approve_local,
        Accept,
        Configured,
        "`nodes.pairing.autoApproveLocal` is on"
    ),
];

/// Every word of an attribute, or a typical value where it has none.
#[cfg(test)]
pub(crate) fn every_value(id: AttributeId) -> Vec<Value> {
    let words = id
        .row()
        .kind
        .words()
        .iter()
        .map(|word| word.name.to_owned());
    match id.row().kind {
        Kind::Flag { .. } => vec![Value::Flag(true), Value::Flag(false)],
        Kind::Text { .. } => vec![Value::Text("x".into()), Value::Word("absent".into())],
        Kind::Set { .. } => words.map(|word| Value::Words(vec![word])).collect(),
        Kind::Enum { .. } | Kind::Address { .. } | Kind::Header { .. } => {
            words.map(Value::Word).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dotted names of every leaf of a JSON object.
    fn leaves(prefix: &str, value: &serde_json::Value, names: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                for (key, value) in map {
                    let name = if prefix.is_empty() {
                        key.clone()
                    } else {
                        format!("{prefix}.{key}")
                    };
                    leaves(&name, value, names);
                }
            }
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_)
            | serde_json::Value::Array(_) => names.push(prefix.to_owned()),
        }
    }

    #[test]
    fn a_path_is_what_stands_between_the_host_and_the_query() {
        for (target, path) in [
            ("/ws?token=x", "/ws"),
            ("/a#b", "/a"),
            ("http://user:secret@host/ws?x", "/ws"),
            ("http://user:secret@host", "/"),
            ("/to/http://host/x", "/to/http://host/x"),
            ("*", "*"),
        ] {
            assert_eq!(without_query(target), path, "{target}");
        }
    }

    #[test]
    fn every_leaf_of_facts_is_a_row() {
        let mut fields = Vec::new();
        leaves(
            "",
            &serde_json::to_value(Facts::default()).unwrap(),
            &mut fields,
        );
        let mut rows: Vec<String> = ATTRIBUTES.iter().map(|row| row.name.to_owned()).collect();
        fields.sort();
        rows.sort();
        assert_eq!(fields, rows);
    }

    #[test]
    fn every_row_reads_what_it_writes() {
        for id in AttributeId::all() {
            for value in every_value(id) {
                let mut facts = Facts::default();
                id.assign(&mut facts, &value).unwrap();
                let read = match (id.row().kind, &value) {
                    (Kind::Flag { get, .. }, _) => Value::Flag(get(&facts)),
                    (Kind::Enum { words, get, .. }, _) => {
                        Value::Word(words[usize::from(get(&facts))].name.into())
                    }
                    (Kind::Address { words, get, .. }, _) => {
                        Value::Word(words[usize::from(get(&facts).class().code())].name.into())
                    }
                    (Kind::Header { words, class, .. }, _) => {
                        Value::Word(words[usize::from(class(&facts))].name.into())
                    }
                    (Kind::Set { get, .. }, _) => Value::Words(
                        get(&facts)
                            .iter()
                            .map(|scope| scope.name().into())
                            .collect(),
                    ),
                    (Kind::Text { get, .. }, Value::Text(_)) => Value::Text(get(&facts).into()),
                    (Kind::Text { .. }, _) => value.clone(),
                };
                assert_eq!(read, value, "{}", id.row().name);
            }
        }
    }

    #[test]
    fn names_are_unique_and_none_begins_with_no() {
        for (at, row) in ATTRIBUTES.iter().enumerate() {
            assert!(
                ATTRIBUTES[..at].iter().all(|other| other.name != row.name),
                "{}",
                row.name
            );
            assert!(!row.name.starts_with("no-"), "{}", row.name);
            assert!(!row.doc.ends_with('.'), "{}", row.name);
        }
    }
}
