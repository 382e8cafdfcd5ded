//! The answer to a connection that is admitted.

use serde_json::{Map, Value, json};

use crate::facts::{Auth, Role};
use crate::secret::Secret;
use crate::settings::Compatibility;
use crate::settings::compatibility::{HelloAuth, HelloScopes};
use crate::wire::frame::Limits;

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

/// The payload of the response to a connect request.
#[must_use]
pub fn hello(server: &Server<'_>, session: &Session<'_>, compatibility: &Compatibility) -> Value {
    let limits = server.limits;
    let mut payload = server.more.cloned().unwrap_or_default();
    let mut put = |name: &str, value: Value| merge(&mut payload, name, value);
    put("type", "hello-ok".into());
    put("protocol", session.protocol.into());
    put("server", {
        let mut object = Map::new();
        let fields = [
            ("version", Some(server.version)),
            ("connId", Some(server.connection_id)),
            ("buildId", server.build_id),
            ("bootId", server.boot_id),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                object.insert(name.to_owned(), value.into());
            }
        }
        object.into()
    });
    put("features", {
        let mut object = Map::new();
        object.insert("methods".to_owned(), server.methods.into());
        object.insert("events".to_owned(), server.events.into());
        if !server.capabilities.is_empty() {
            object.insert("capabilities".to_owned(), server.capabilities.into());
        }
        object.into()
    });
    put(
        "snapshot",
        server.snapshot.cloned().unwrap_or_default().into(),
    );
    if let Some(auth) = auth(session, compatibility) {
        put("auth", auth);
    }
    put(
        "policy",
        json!({
            "maxPayload": limits.message_bytes,
            "maxBufferedBytes": limits.buffered_bytes,
            "tickIntervalMs": limits.tick_ms,
        }),
    );
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

fn auth(session: &Session<'_>, compatibility: &Compatibility) -> Option<Value> {
    let mut auth = Map::new();
    match compatibility.hello_auth {
        HelloAuth::Issued if session.issued.is_none() => return None,
        HelloAuth::Issued | HelloAuth::Always => {}
        HelloAuth::Method => {
            auth.insert("method".to_owned(), method(session.auth).into());
        }
    }
    let scopes = match (compatibility.hello_scopes, &session.issued) {
        (HelloScopes::Token, Some(issued)) => scopes_value(issued.scopes),
        (HelloScopes::Token, None) => scopes_value(session.scopes),
        (HelloScopes::Session, _) => each_once(session.scopes),
    };
    auth.insert("role".to_owned(), session.role.name().into());
    auth.insert("scopes".to_owned(), scopes);
    if let Some(issued) = &session.issued {
        auth.insert("deviceToken".to_owned(), issued.token.expose().into());
        auth.insert("issuedAtMs".to_owned(), issued.issued_at_ms.into());
    }
    if !session.also_issued.is_empty() {
        let others: Vec<Value> = session.also_issued.iter().map(issued).collect();
        auth.insert("deviceTokens".to_owned(), others.into());
    }
    Some(auth.into())
}

fn issued(issued: &Issued<'_>) -> Value {
    json!({
        "deviceToken": issued.token.expose(),
        "role": issued.role.name(),
        "scopes": scopes_value(issued.scopes),
        "issuedAtMs": issued.issued_at_ms,
    })
}

fn scopes_value(scopes: &[Box<str>]) -> Value {
    scopes.iter().map(|scope| Value::from(&**scope)).collect()
}

/// As they were asked for, each once. Observed: `role-scope/…/scopes-read+read` of 2026.9.6.
fn each_once(scopes: &[Box<str>]) -> Value {
    let mut seen: Vec<&str> = Vec::new();
    for scope in scopes {
        if !seen.contains(&&**scope) {
            seen.push(scope);
        }
    }
    seen.into()
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
