//! Golden scenarios: recorded handshakes made from short specs, and what is expected of them.
//!
//! A spec says only what the scenario is about; the rest is the command line over loopback,
//! with the right token and a new device. Keys, tokens and passwords are test values.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::sign::{self, Identity, NONCE, NOW, signed_handshake};

/// The shared token of test settings.
pub(crate) const TOKEN: &str = "test-token-not-a-secret";
/// The shared password of test settings.
pub(crate) const PASSWORD: &str = "test-password-not-a-secret";
/// A secret that is neither.
pub(crate) const WRONG: &str = "test-wrong-not-a-secret";
/// What the tokens of recorded devices begin with; the role follows.
const DEVICE_TOKEN: &str = "test-device-token-not-a-secret";
/// The nonce of a challenge that another connection was sent.
const OTHER_NONCE: &str = "66666666-7777-4888-8999-000000000000";

/// `fixtures/issues/scenarios.json`: one entry for each row of the table in the issue.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenarios {
    pub(crate) rows: Vec<Row>,
}

/// A row of the table.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Row {
    /// The folder that its handshakes are in.
    pub(crate) folder: String,
    /// The row as it stands in the table.
    #[serde(rename = "row")]
    _row: String,
    /// Whether the same answers hold with `auth.mode` password.
    #[serde(default)]
    pub(crate) by_password: bool,
    /// What all its cases have in common.
    #[serde(default)]
    spec: Map<String, Value>,
    pub(crate) cases: Vec<Case>,
}

/// A handshake of a row, and what is expected of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The file's name, without `.json`.
    pub(crate) name: String,
    /// What happens, for an operator.
    note: String,
    #[serde(default)]
    spec: Map<String, Value>,
    /// Facts that must be found, as output shows them.
    #[serde(default)]
    pub(crate) facts: BTreeMap<String, String>,
    /// Why the newest release is not asked.
    #[serde(default, rename = "noRelease")]
    pub(crate) no_release: Option<String>,
    /// The answers, by the name of the policy, or by the release of OpenClaw.
    pub(crate) expect: BTreeMap<String, Expected>,
}

/// What a policy must answer.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Expected {
    Verdict(String),
    More(Expectation),
}

/// What a policy must answer, and how.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// A kind of verdict, or a verdict with its reason.
    verdict: String,
    /// The deciding line, to the letter.
    pub(crate) line: Option<String>,
    /// A guard decides.
    #[serde(default)]
    pub(crate) guard: bool,
    /// The client is given a hint.
    #[serde(default)]
    pub(crate) hint: bool,
    /// What the reason given for the deciding line speaks of.
    #[serde(default)]
    pub(crate) because: Vec<String>,
    /// Facts that the deciding line asks for.
    #[serde(default)]
    pub(crate) uses: Vec<String>,
    /// What the explanation says.
    #[serde(default)]
    pub(crate) says: Vec<String>,
}

impl Expected {
    pub(crate) fn verdict(&self) -> &str {
        match self {
            Expected::Verdict(verdict) => verdict,
            Expected::More(more) => &more.verdict,
        }
    }

    pub(crate) fn more(&self) -> Option<&Expectation> {
        match self {
            Expected::Verdict(_) => None,
            Expected::More(more) => Some(more),
        }
    }
}

impl Row {
    /// What the handshake of a case is made from.
    pub(crate) fn spec(&self, case: &Case) -> Spec {
        let mut all = self.spec.clone();
        all.extend(case.spec.clone());
        all.insert("note".into(), case.note.clone().into());
        serde_json::from_value(Value::Object(all))
            .unwrap_or_else(|error| panic!("{}/{}: {error}", self.folder, case.name))
    }
}

/// What a handshake is made from.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Spec {
    pub(crate) note: String,
    /// The operator's settings; `auth` holds the test token unless given.
    pub(crate) settings: Map<String, Value>,
    /// `tcp` unless said.
    pub(crate) transport: Option<String>,
    pub(crate) peer: IpAddr,
    /// The address at this end: loopback for a loopback peer, unless said.
    pub(crate) local: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) peer_uid: Option<String>,
    /// The Host header; empty sends none.
    pub(crate) host: String,
    /// Further headers.
    pub(crate) headers: Vec<(String, String)>,
    /// `id/mode`.
    pub(crate) client: String,
    pub(crate) platform: String,
    pub(crate) device_family: Option<String>,
    pub(crate) display_name: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) scopes: Option<Vec<String>>,
    /// `shared`, `wrong`, `device-token`, `none`, or the object as it is sent.
    pub(crate) auth: Value,
    /// The name of the device; null sends none.
    pub(crate) device: Option<String>,
    pub(crate) proof: Proof,
    pub(crate) record: Option<RecordSpec>,
    pub(crate) pending: Option<PendingSpec>,
}

impl Default for Spec {
    fn default() -> Self {
        Spec {
            note: String::new(),
            settings: Map::new(),
            transport: None,
            peer: [127, 0, 0, 1].into(),
            local: None,
            port: 18789,
            tls: false,
            peer_uid: None,
            host: "127.0.0.1:18789".to_owned(),
            headers: Vec::new(),
            client: "cli/cli".to_owned(),
            platform: "linux".to_owned(),
            device_family: None,
            display_name: None,
            role: None,
            scopes: Some(vec![
                "operator.read".to_owned(),
                "operator.write".to_owned(),
            ]),
            auth: "shared".into(),
            device: Some("one".to_owned()),
            proof: Proof::default(),
            record: None,
            pending: None,
        }
    }
}

/// What is wrong or unusual about the device proof.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Proof {
    /// How long before the handshake's time the device signed.
    pub(crate) signed_before_ms: i64,
    /// It answers the challenge of another connection.
    pub(crate) of_another_connection: bool,
    /// The signature is over a frame that says these instead.
    pub(crate) over: Over,
    /// The signature is by this device.
    pub(crate) by: Option<String>,
    /// The id is that of this device.
    pub(crate) id_of: Option<String>,
    /// `v3` unless said.
    pub(crate) version: Option<String>,
}

/// What a signature is over, where that is not what is sent.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Over {
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) role: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) auth: Option<Value>,
}

/// When a handshake is made, and for which challenge.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    /// Unix milliseconds.
    pub(crate) time: i64,
    pub(crate) nonce: &'a str,
}

/// The moment of handshakes that are committed.
const RECORDED: Moment<'static> = Moment {
    time: NOW,
    nonce: NONCE,
};

/// A pairing record.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RecordSpec {
    /// The scopes that were approved.
    pub(crate) scopes: Vec<String>,
    /// `operator` unless said.
    pub(crate) roles: Option<Vec<String>>,
    /// The platform it was approved with: the client's, unless said.
    pub(crate) platform: Option<String>,
    /// The device family it was approved with: the client's, unless said.
    pub(crate) device_family: Option<String>,
    /// The `id/mode` that it was approved for: the client's, unless said.
    pub(crate) client: Option<String>,
    /// It holds the key of this device.
    pub(crate) key_of: Option<String>,
    /// `none` or `revoked`; otherwise each role has one.
    pub(crate) tokens: Option<String>,
}

/// A request that waits.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PendingSpec {
    pub(crate) scopes: Vec<String>,
    pub(crate) silent: bool,
}

impl Spec {
    /// The same with `auth.mode` password.
    pub(crate) fn by_password(mut self) -> Self {
        let auth = json!({ "mode": "password", "password": PASSWORD });
        self.settings.insert("auth".into(), auth);
        self
    }

    /// The recorded handshake.
    pub(crate) fn handshake(&self) -> Value {
        let mut handshake = self.handshake_at(RECORDED);
        if self.proof.of_another_connection {
            handshake["challenge"]["nonce"] = OTHER_NONCE.into();
        }
        handshake
    }

    /// The connect frame that answers a challenge over a socket.
    pub(crate) fn frame_at(&self, at: Moment<'_>) -> Value {
        let nonce = match self.proof.of_another_connection {
            true => OTHER_NONCE,
            false => at.nonce,
        };
        self.handshake_at(Moment { nonce, ..at })["connect"].clone()
    }

    /// What is remembered of the device: its record, and its request.
    pub(crate) fn remembered_at(&self, time: i64) -> Option<Value> {
        self.pairing(time)
    }

    fn handshake_at(&self, at: Moment<'_>) -> Value {
        let name = self.device.as_deref();
        let mut handshake = signed_handshake(&self.signed(name, at));
        handshake["note"] = self.note.clone().into();
        let Some(name) = name else { return handshake };
        let proof_of = |spec: &Spec, name: &str| {
            signed_handshake(&spec.signed(Some(name), at))["connect"]["params"]["device"].clone()
        };
        let params = &mut handshake["connect"]["params"];
        params["device"] = proof_of(&self.signed_over(), name);
        if let Some(by) = &self.proof.by {
            params["device"]["signature"] = proof_of(self, by)["signature"].clone();
        }
        if let Some(other) = &self.proof.id_of {
            params["device"]["id"] = Identity::named(other).id.into();
        }
        handshake
    }

    /// What the signature is over.
    fn signed_over(&self) -> Spec {
        let over = self.proof.over.clone();
        Spec {
            scopes: over.scopes.or(self.scopes.clone()),
            role: over.role.or(self.role.clone()),
            platform: over.platform.unwrap_or(self.platform.clone()),
            auth: over.auth.unwrap_or(self.auth.clone()),
            ..self.clone()
        }
    }

    fn signed<'a>(&'a self, device: Option<&'a str>, at: Moment<'a>) -> sign::Spec<'a> {
        let (id, mode) = self.client.split_once('/').unwrap();
        let scopes = self.scopes.as_ref();
        sign::Spec {
            settings: self.settings(),
            socket: self.socket(),
            http: self.http(),
            client: (id, mode),
            platform: &self.platform,
            device_family: self.device_family.as_deref(),
            display_name: self.display_name.as_deref(),
            role: self.role.as_deref(),
            scopes: scopes.map(|scopes| scopes.iter().map(String::as_str).collect()),
            auth: self.credentials(),
            device,
            version: self.proof.version.as_deref().unwrap_or("v3"),
            signed_before_ms: self.proof.signed_before_ms,
            pairing: self.pairing(at.time),
            time: at.time,
            nonce: at.nonce,
        }
    }

    pub(crate) fn settings(&self) -> Value {
        let mut settings = self.settings.clone();
        let auth = || json!({ "token": TOKEN });
        settings.entry("auth").or_insert_with(auth);
        Value::Object(settings)
    }

    fn socket(&self) -> Value {
        let endpoint = |ip: IpAddr, port: u16| std::net::SocketAddr::new(ip, port).to_string();
        let mut socket = match &self.transport {
            Some(transport) => json!({ "transport": transport }),
            None => {
                let own = if self.peer.is_loopback() {
                    self.peer
                } else {
                    [192, 168, 1, 5].into()
                };
                let local = self.local.unwrap_or(own);
                json!({ "peer": endpoint(self.peer, 51000), "local": endpoint(local, self.port) })
            }
        };
        if self.tls {
            socket["tls"] = true.into();
        }
        if let Some(uid) = &self.peer_uid {
            socket["peerUid"] = uid.as_str().into();
        }
        socket
    }

    fn http(&self) -> Option<Value> {
        let host = ("Host".to_owned(), self.host.clone());
        let host = (!self.host.is_empty()).then_some(&host);
        let headers: Vec<_> = host.into_iter().chain(&self.headers).collect();
        let has_request = self.transport.as_deref() != Some("in-process");
        has_request.then(|| json!({ "headers": headers }))
    }

    fn credentials(&self) -> Option<Value> {
        let Some(word) = self.auth.as_str() else {
            return Some(self.auth.clone());
        };
        let by_password = self
            .settings
            .get("auth")
            .is_some_and(|auth| auth["mode"] == "password");
        let (field, right) = match by_password {
            true => ("password", PASSWORD),
            false => ("token", TOKEN),
        };
        match word {
            "none" => None,
            "shared" => Some(json!({ field: right })),
            "wrong" => Some(json!({ field: WRONG })),
            "device-token" => Some(json!({ "deviceToken": device_token(self.role()) })),
            other => panic!("`{other}` names no credentials"),
        }
    }

    fn role(&self) -> &str {
        self.role.as_deref().unwrap_or("operator")
    }

    fn pairing(&self, time: i64) -> Option<Value> {
        let identity = Identity::named(self.device.as_deref()?);
        let mut pairing = Map::new();
        if let Some(record) = &self.record {
            pairing.insert("record".into(), self.record_of(record, &identity));
        }
        if let Some(pending) = &self.pending {
            let (id, mode) = self.client.split_once('/').unwrap();
            let request = json!({
                "requestId": "00000000-0000-4000-8000-000000000001",
                "deviceId": identity.id, "publicKey": identity.public_key,
                "platform": self.platform, "clientId": id, "clientMode": mode,
                "role": self.role(), "roles": [self.role()], "scopes": pending.scopes,
                "silent": pending.silent, "isRepair": self.record.is_some(), "ts": time - 1000,
            });
            pairing.insert("pending".into(), request);
        }
        (!pairing.is_empty()).then_some(Value::Object(pairing))
    }

    /// A record in the shape of OpenClaw's `devices/paired.json`.
    fn record_of(&self, record: &RecordSpec, identity: &Identity) -> Value {
        let client = record.client.as_ref().unwrap_or(&self.client);
        let (id, mode) = client.split_once('/').unwrap();
        let key = match &record.key_of {
            Some(name) => Identity::named(name).public_key,
            None => identity.public_key.clone(),
        };
        let roles = record.roles.clone();
        let roles = roles.unwrap_or_else(|| vec!["operator".to_owned()]);
        let token = |role: &String| {
            let scopes: &[String] = if role == "operator" {
                &record.scopes
            } else {
                &[]
            };
            let mut token = json!({
                "token": device_token(role), "role": role, "scopes": scopes,
                "createdAtMs": NOW - 86_400_000,
            });
            if record.tokens.as_deref() == Some("revoked") {
                token["revokedAtMs"] = (NOW - 1000).into();
            }
            (role.clone(), token)
        };
        let tokens: Map<String, Value> = match record.tokens.as_deref() {
            Some("none") => Map::new(),
            _ => roles.iter().map(token).collect(),
        };
        let mut value = json!({
            "deviceId": identity.id, "publicKey": key,
            "platform": record.platform.as_ref().unwrap_or(&self.platform),
            "clientId": id, "clientMode": mode,
            "role": roles[0], "roles": roles,
            "scopes": record.scopes, "approvedScopes": record.scopes,
            "tokens": tokens,
            "createdAtMs": NOW - 86_400_000, "approvedAtMs": NOW - 86_400_000,
        });
        if let Some(family) = record
            .device_family
            .as_ref()
            .or(self.device_family.as_ref())
        {
            value["deviceFamily"] = family.as_str().into();
        }
        value
    }
}

/// The device token of a recorded device, for a role.
pub(crate) fn device_token(role: &str) -> String {
    format!("{DEVICE_TOKEN}-{role}")
}

/// The order of the properties of a handshake, for readers: what is not here comes after.
const ORDER: &[&str] = &[
    "gw-handshake",
    "note",
    "settings",
    "socket",
    "http",
    "challenge",
    "connect",
    "pairing",
    "time",
    "transport",
    "peer",
    "local",
    "mode",
    "type",
    "id",
    "method",
    "minProtocol",
    "maxProtocol",
    "client",
    "role",
    "roles",
    "scopes",
    "requestId",
    "deviceId",
    "publicKey",
];

/// How long a value on one line may be.
const WIDTH: usize = 96;

/// A handshake as it is committed: short values on one line, what matters first.
pub(crate) fn pretty(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    out.push('\n');
    out
}

fn ordered(object: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let mut properties: Vec<_> = object.iter().collect();
    properties.sort_by_key(|(name, _)| (place(name).unwrap_or(ORDER.len()), (*name).clone()));
    properties
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Object(object) if object.is_empty() => "{}".to_owned(),
        Value::Object(object) => {
            let properties = ordered(object);
            let properties = properties
                .iter()
                .map(|(name, value)| format!("{}: {}", json!(name), one_line(value)));
            format!("{{ {} }}", properties.collect::<Vec<_>>().join(", "))
        }
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(one_line).collect();
            format!("[{}]", elements.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

fn write(value: &Value, depth: usize, out: &mut String) {
    let line = one_line(value);
    let nested = |value: &Value| value.as_object().is_some_and(|object| !object.is_empty());
    let object = value.as_object();
    let deep = object.is_some_and(|object| object.values().any(nested));
    if line.len() + 2 * depth <= WIDTH && !deep {
        out.push_str(&line);
        return;
    }
    let indent = "  ".repeat(depth + 1);
    let mut separator = "\n";
    match value {
        Value::Object(object) => {
            out.push('{');
            for (name, value) in ordered(object) {
                out.push_str(&format!("{separator}{indent}{}: ", json!(name)));
                write(value, depth + 1, out);
                separator = ",\n";
            }
            out.push_str(&format!("\n{}}}", "  ".repeat(depth)));
        }
        Value::Array(elements) => {
            out.push('[');
            for value in elements {
                out.push_str(&format!("{separator}{indent}"));
                write(value, depth + 1, out);
                separator = ",\n";
            }
            out.push_str(&format!("\n{}]", "  ".repeat(depth)));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&line),
    }
}
