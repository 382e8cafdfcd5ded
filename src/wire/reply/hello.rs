//! The answer to a connection that is admitted.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::facts::{Auth, Role};
use crate::secret::Secret;
use crate::settings::Compatibility;
use crate::settings::compatibility::{HelloAuth, HelloScopes};
use crate::wire::frame::Limits;
use crate::wire::reply::frames::accepted;

/// What any admitted client is told of the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// The release.
    pub version: &'a str,
    /// This connection, by a UUID.
    pub connection_id: &'a str,
    /// The build (protocol 4).
    pub build_id: Option<&'a str>,
    /// This run of the gateway, by a UUID (protocol 4).
    pub boot_id: Option<&'a str>,
    /// The methods that a client may call.
    pub methods: &'a [&'a str],
    /// The events that it may see.
    pub events: &'a [&'a str],
    /// What else the gateway can do (protocol 4).
    pub capabilities: &'a [&'a str],
    /// The state of the gateway.
    pub snapshot: Option<&'a Map<String, Value>>,
    /// What a client may take of it.
    pub limits: Limits,
    /// What else the payload holds; it does not overwrite what is here.
    pub more: Option<&'a Map<String, Value>>,
}

impl<'a> Server<'a> {
    /// One that has nothing to call or to see.
    #[must_use]
    pub const fn new(version: &'a str, connection_id: &'a str) -> Self {
        Server {
            version,
            connection_id,
            build_id: None,
            boot_id: None,
            methods: &[],
            events: &[],
            capabilities: &[],
            snapshot: None,
            limits: Limits::DEFAULT,
            more: None,
        }
    }
}

/// What a connection may do.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// The version of the protocol that is spoken.
    pub protocol: u64,
    /// The authentication that held.
    pub auth: Auth,
    /// The role.
    pub role: Role,
    /// The scopes of this very connection.
    pub scopes: &'a [Box<str>],
    /// The device token that goes with the answer.
    pub issued: Option<Issued<'a>>,
    /// Those of further roles, after a setup code.
    pub also_issued: &'a [Issued<'a>],
}

/// A device token that goes with the answer.
#[derive(Clone, Copy, Debug)]
pub struct Issued<'a> {
    /// The token.
    pub token: &'a Secret,
    /// The role that it is for.
    pub role: Role,
    /// The scopes that it carries.
    pub scopes: &'a [Box<str>],
    /// When it was made, in Unix milliseconds.
    pub issued_at_ms: i64,
}

/// The same of a server that has nothing more to say, its fields in the order of their names: it is
/// told to every client, so it is written without being made first.
#[derive(Serialize)]
struct Plain<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    auth: Option<Given<'a>>,
    features: Features<'a>,
    policy: Takes,
    protocol: u64,
    server: About<'a>,
    snapshot: Snapshot<'a>,
    r#type: &'static str,
}

#[derive(Serialize)]
struct Features<'a> {
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    capabilities: &'a [&'a str],
    events: &'a [&'a str],
    methods: &'a [&'a str],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Takes {
    max_buffered_bytes: u64,
    max_payload: u64,
    tick_interval_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct About<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_id: Option<&'a str>,
    conn_id: &'a str,
    version: &'a str,
}

/// Nothing is an empty object.
struct Snapshot<'a>(Option<&'a Map<String, Value>>);

impl Serialize for Snapshot<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.into_iter().flatten())
    }
}

/// What a connection may do, and what it is given for the next time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Given<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    device_token: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Issued<'_>]>::is_empty")]
    device_tokens: &'a [Issued<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    role: &'static str,
    scopes: Scopes<'a>,
}

enum Scopes<'a> {
    AsTheyAre(&'a [Box<str>]),
    /// As they were asked for, each once. Observed: `role-scope/…/scopes-read+read` of 2026.9.6.
    EachOnce(&'a [Box<str>]),
}

impl Serialize for Scopes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Scopes::AsTheyAre(scopes) => serializer.collect_seq(*scopes),
            Scopes::EachOnce(scopes) => {
                let mut seen: Vec<&str> = Vec::with_capacity(scopes.len());
                for scope in *scopes {
                    if !seen.contains(&&**scope) {
                        seen.push(scope);
                    }
                }
                serializer.collect_seq(seen)
            }
        }
    }
}

impl Serialize for Issued<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(4))?;
        fields.serialize_entry("deviceToken", self.token.expose())?;
        fields.serialize_entry("issuedAtMs", &self.issued_at_ms)?;
        fields.serialize_entry("role", self.role.name())?;
        fields.serialize_entry("scopes", self.scopes)?;
        fields.end()
    }
}

/// The payload of the response to a connect request.
#[must_use]
pub fn hello(server: &Server<'_>, session: &Session<'_>, compatibility: &Compatibility) -> Value {
    // What is made of texts and numbers is JSON.
    let plain = serde_json::to_value(Plain::of(server, session, compatibility));
    let plain = plain.unwrap_or_default();
    let (Some(more), Value::Object(fields)) = (server.more, &plain) else {
        return plain;
    };
    let mut payload = more.clone();
    for (name, value) in fields {
        merge(&mut payload, name, value.clone());
    }
    payload.into()
}

/// An object joins the one that is there; anything else takes its place.
fn merge(payload: &mut Map<String, Value>, name: &str, value: Value) {
    match (payload.get_mut(name), value) {
        (Some(Value::Object(there)), Value::Object(value)) => there.extend(value),
        (_, value) => {
            payload.insert(name.to_owned(), value);
        }
    }
}

/// The text of the response to the request with an id.
#[must_use]
pub fn admitted(
    id: &str,
    server: &Server<'_>,
    session: &Session<'_>,
    compatibility: &Compatibility,
) -> String {
    match server.more {
        None => accepted(id, &Plain::of(server, session, compatibility)),
        Some(_) => accepted(id, &hello(server, session, compatibility)),
    }
}

impl<'a> Plain<'a> {
    fn of(server: &Server<'a>, session: &Session<'a>, compatibility: &Compatibility) -> Self {
        let limits = server.limits;
        Plain {
            auth: auth(session, compatibility),
            features: Features {
                capabilities: server.capabilities,
                events: server.events,
                methods: server.methods,
            },
            policy: Takes {
                max_buffered_bytes: limits.buffered_bytes,
                max_payload: limits.message_bytes,
                tick_interval_ms: limits.tick_ms,
            },
            protocol: session.protocol,
            server: About {
                boot_id: server.boot_id,
                build_id: server.build_id,
                conn_id: server.connection_id,
                version: server.version,
            },
            snapshot: Snapshot(server.snapshot),
            r#type: "hello-ok",
        }
    }
}

fn auth<'a>(session: &Session<'a>, compatibility: &Compatibility) -> Option<Given<'a>> {
    let method = match compatibility.hello_auth {
        HelloAuth::Issued if session.issued.is_none() => return None,
        HelloAuth::Issued | HelloAuth::Always => None,
        HelloAuth::Method => Some(method(session.auth)),
    };
    let scopes = match (compatibility.hello_scopes, &session.issued) {
        (HelloScopes::Token, Some(issued)) => Scopes::AsTheyAre(issued.scopes),
        (HelloScopes::Token, None) => Scopes::AsTheyAre(session.scopes),
        (HelloScopes::Session, _) => Scopes::EachOnce(session.scopes),
    };
    Some(Given {
        device_token: session.issued.map(|issued| issued.token.expose()),
        device_tokens: session.also_issued,
        issued_at_ms: session.issued.map(|issued| issued.issued_at_ms),
        method,
        role: session.role.name(),
        scopes,
    })
}

/// The protocol's word for an authentication. One that it has no word for asked for nothing.
fn method(auth: Auth) -> &'static str {
    match auth {
        Auth::None | Auth::Failed | Auth::Host | Auth::Open => "none",
        Auth::BootstrapToken => "bootstrap-token",
        Auth::DeviceToken => "device-token",
        Auth::Password => "password",
        Auth::Tailscale => "tailscale",
        Auth::Token => "token",
        Auth::TrustedProxy => "trusted-proxy",
    }
}
