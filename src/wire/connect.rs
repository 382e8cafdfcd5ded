//! The connect frame: the first that a client sends, and the only one that is judged.
//!
//! Which fields and words it may have is the [`Schema`]'s. Whether the protocol range can be
//! met is not found out here, but in [`super::version`].

use serde_json::Value;

use super::check::{Object, Path, Violations};
use super::request::envelope;
use super::schema::Schema;
use super::version::{Mismatch, negotiate};
use crate::auth::{Claims, Credentials, DeviceClaim};
use crate::facts::{Client, Mode, Role, Text};

/// Among `caps`: the client has to do with the gateway alone. Where a server is behind, none is
/// spoken with for it.
pub const GATEWAY_ONLY: &str = "gateway-only";

/// How many scopes a client may ask for: its session keeps them.
const MOST_SCOPES: usize = 256;

/// A connect frame that keeps the protocol's schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The id that the response repeats.
    pub id: Text,
    /// `minProtocol`: the oldest protocol version the client speaks, at least 1.
    pub min_protocol: u64,
    /// `maxProtocol`: the newest protocol version the client speaks, at least 1.
    pub max_protocol: u64,
    /// `client.displayName`: what the client wants to be called.
    pub display_name: Option<Text>,
    /// `client.version`: the client's own version.
    pub version: Text,
    /// `client.buildId`: the build of a Control UI (protocol 4), up to 96 characters.
    pub build_id: Option<Box<str>>,
    /// Which secrets were sent.
    pub sent: SentSecrets,
    claims: Claims,
}

/// Which secrets a connect frame has. A blank one was sent; an empty one was not. The replies
/// depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SentSecrets {
    /// `auth.password`.
    pub password: bool,
    /// `auth.token`.
    pub token: bool,
    /// `auth.bootstrapToken`.
    pub bootstrap_token: bool,
    /// `auth.deviceToken`.
    pub device_token: bool,
    /// `auth.agentRuntimeIdentityToken` (protocol 4), which the gateway's own helpers send.
    pub agent_identity: bool,
}

/// The kinds of secret, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// `auth.password`.
    Password,
    /// `auth.token`.
    Token,
    /// `auth.bootstrapToken`.
    BootstrapToken,
    /// `auth.deviceToken`.
    DeviceToken,
}

impl SentSecrets {
    /// The strongest that was sent.
    #[must_use]
    pub fn strongest(self) -> Option<SecretKind> {
        let kinds = [
            (self.password, SecretKind::Password),
            (self.token, SecretKind::Token),
            (self.bootstrap_token, SecretKind::BootstrapToken),
            (self.device_token, SecretKind::DeviceToken),
        ];
        kinds
            .into_iter()
            .find(|(sent, _)| *sent)
            .map(|(_, kind)| kind)
    }
}

impl Connect {
    /// What stands for the connect frame of a client that sends none: what it is taken to be,
    /// with the shared secret that came with its request.
    #[must_use]
    pub fn of_request(claims: Claims) -> Self {
        Connect {
            id: Text::EMPTY,
            min_protocol: 0,
            max_protocol: 0,
            display_name: None,
            version: Text::EMPTY,
            build_id: None,
            sent: SentSecrets {
                token: claims.credentials.token().is_some(),
                password: claims.credentials.password().is_some(),
                ..SentSecrets::default()
            },
            claims,
        }
    }

    /// What the client says of itself, with its credentials.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The same, to suppose that it had said something else.
    pub(crate) fn claims_mut(&mut self) -> &mut Claims {
        &mut self.claims
    }
}

/// What kind of frame it was instead; each is answered in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// Not a request frame: the connection is closed without a response.
    Frame,
    /// A request, but not `connect`.
    Method,
    /// A connect request whose parameters break the schema.
    Params,
    /// A role that is neither `operator` nor `node`.
    Role,
    /// Such a role, of a client that speaks no version that is spoken here: this goes first.
    /// Of any other client, [`super::negotiate`] finds it.
    Version(Mismatch),
}

/// Why a value is no connect frame, in the protocol's own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    /// What kind of frame it was instead.
    pub kind: ConnectErrorKind,
    /// JSON pointer into the frame, to the first thing that is wrong: `/params/client/id`.
    pub pointer: String,
    /// What the client is told: `invalid connect params: at /client: must be object`.
    pub message: String,
    /// The id that the response repeats; none where no response is sent.
    pub request_id: Option<Box<str>>,
}

impl ConnectError {
    fn new(kind: ConnectErrorKind, pointer: &str, message: &str) -> Self {
        ConnectError {
            kind,
            pointer: pointer.to_owned(),
            message: message.to_owned(),
            request_id: None,
        }
    }
}

/// Reads a whole request frame: `{type, id, method: "connect", params}`.
///
/// # Errors
///
/// [`ConnectError`] with everything that breaks the schema, in the schema's order.
pub fn parse(frame: &Value, schema: &Schema<'_>) -> Result<Connect, ConnectError> {
    let mut wrong = Violations::new(schema.wording);
    let id = envelope(frame, schema, &mut wrong);
    let (Some(id), None) = (id, wrong.first_pointer()) else {
        let pointer = wrong.first_pointer().unwrap_or_default();
        return Err(ConnectError::new(
            ConnectErrorKind::Frame,
            pointer,
            "invalid request frame",
        ));
    };
    let fail = |kind, pointer: &str, message: &str| ConnectError {
        request_id: Some(id.into()),
        ..ConnectError::new(kind, pointer, message)
    };
    if frame.get("method").and_then(Value::as_str) != Some("connect") {
        let message = "invalid handshake: first request must be connect";
        return Err(fail(ConnectErrorKind::Method, "/method", message));
    }
    let params = frame.get("params").unwrap_or(&Value::Null);
    let read = read_params(id, params, schema, &mut wrong);
    let (Some((mut connect, role)), None) = (read, wrong.first_pointer()) else {
        let pointer = format!("/params{}", wrong.first_pointer().unwrap_or_default());
        let message = format!("invalid connect params: {}", wrong.phrase());
        return Err(fail(ConnectErrorKind::Params, &pointer, &message));
    };
    if let Some(role) = Role::parse(role) {
        connect.claims.role = role;
        return Ok(connect);
    }
    // Whoever asks for no known role is no node in the role node, whatever its mode.
    Err(match negotiate(&schema.protocol, &connect) {
        Ok(_) => fail(ConnectErrorKind::Role, "/params/role", "invalid role"),
        Err(found) => fail(
            ConnectErrorKind::Version(found),
            "/params/maxProtocol",
            "protocol mismatch",
        ),
    })
}

/// The parameters, with the role as it was sent: it is judged after the schema.
fn read_params<'a>(
    id: &str,
    params: &'a Value,
    schema: &Schema<'_>,
    wrong: &mut Violations,
) -> Option<(Connect, &'a str)> {
    let required = ["minProtocol", "maxProtocol", "client"];
    let known = schema.known(
        &[
            "minProtocol",
            "maxProtocol",
            "client",
            "caps",
            "commands",
            "permissions",
            "pathEnv",
            "role",
            "scopes",
            "device",
            "auth",
            "locale",
            "userAgent",
        ],
        &["computerUse", "workerRuns", "modelCatalog"],
    );
    let root = Path::Root;
    let object = Object::closed(params, &root, &required, &known, wrong)?;
    let min_protocol = object.integer("minProtocol", 1, wrong);
    let max_protocol = object.integer("maxProtocol", 1, wrong);
    let client = object
        .value("client")
        .and_then(|value| ClientPart::read(value, schema, wrong));
    object.names("caps", wrong);
    object.names("commands", wrong);
    object.flags("permissions", wrong);
    object.text("pathEnv", wrong);
    let role = object.name("role", wrong).unwrap_or(Role::Operator.name());
    let scopes = object.few_names("scopes", MOST_SCOPES, wrong);
    let device = object
        .value("device")
        .and_then(|value| read_device(value, wrong));
    let (credentials, sent) = object
        .value("auth")
        .and_then(|value| read_credentials(value, schema, wrong))
        .unwrap_or_default();
    for name in ["locale", "userAgent"] {
        object.text(name, wrong);
    }
    for name in ["computerUse", "workerRuns", "modelCatalog"] {
        object.any_object(name, wrong);
    }
    let client = client?;
    let claims = Claims {
        client: client.id,
        mode: client.mode,
        role: Role::Operator,
        scopes: scopes.into(),
        platform: client.platform.into(),
        device_family: client.device_family.map(Into::into),
        device,
        credentials,
    };
    let connect = Connect {
        id: id.into(),
        min_protocol: min_protocol?,
        max_protocol: max_protocol?,
        display_name: client.display_name.map(Into::into),
        version: client.version.into(),
        build_id: client.build_id.map(Into::into),
        sent,
        claims,
    };
    Some((connect, role))
}

struct ClientPart<'a> {
    id: Client,
    display_name: Option<&'a str>,
    version: &'a str,
    platform: &'a str,
    device_family: Option<&'a str>,
    mode: Mode,
    build_id: Option<&'a str>,
}

impl<'a> ClientPart<'a> {
    fn read(value: &'a Value, schema: &Schema<'_>, wrong: &mut Violations) -> Option<Self> {
        let required = ["id", "version", "platform", "mode"];
        let known = schema.known(
            &[
                "id",
                "displayName",
                "version",
                "platform",
                "deviceFamily",
                "modelIdentifier",
                "mode",
                "instanceId",
            ],
            &["buildId", "timeZone"],
        );
        let path = Path::Property(&Path::Root, "client");
        let object = Object::closed(value, &path, &required, &known, wrong)?;
        let id = object.word("id", |word| schema.client(word), wrong);
        let display_name = object.name("displayName", wrong);
        let version = object.name("version", wrong);
        let platform = object.name("platform", wrong);
        let device_family = object.name("deviceFamily", wrong);
        object.name("modelIdentifier", wrong);
        let mode = object.word("mode", |word| schema.mode(word), wrong);
        object.name("instanceId", wrong);
        let build_id = object.short("buildId", 96, wrong);
        object.short("timeZone", 64, wrong);
        Some(ClientPart {
            id: id?,
            display_name,
            version: version?,
            platform: platform?,
            device_family,
            mode: mode?,
            build_id,
        })
    }
}

fn read_device(value: &Value, wrong: &mut Violations) -> Option<DeviceClaim> {
    let names = ["id", "publicKey", "signature", "signedAt", "nonce"];
    let path = Path::Property(&Path::Root, "device");
    let object = Object::closed(value, &path, &names, &names, wrong)?;
    let id = object.name("id", wrong);
    let public_key = object.name("publicKey", wrong);
    let signature = object.name("signature", wrong);
    let signed_at_ms = object.integer("signedAt", 0, wrong);
    let nonce = object.name("nonce", wrong);
    Some(DeviceClaim {
        id: id?.into(),
        public_key: public_key?.into(),
        signature: signature?.into(),
        signed_at_ms: signed_at_ms?,
        nonce: nonce?.into(),
    })
}

fn read_credentials(
    value: &Value,
    schema: &Schema<'_>,
    wrong: &mut Violations,
) -> Option<(Credentials, SentSecrets)> {
    let known = schema.known(
        &["token", "password", "deviceToken", "bootstrapToken"],
        &["approvalRuntimeToken", "agentRuntimeIdentityToken"],
    );
    let path = Path::Property(&Path::Root, "auth");
    let object = Object::closed(value, &path, &[], &known, wrong)?;
    let token = object.text("token", wrong);
    let bootstrap_token = object.text("bootstrapToken", wrong);
    let device_token = object.text("deviceToken", wrong);
    let password = object.text("password", wrong);
    object.text("approvalRuntimeToken", wrong);
    let agent_identity = object.text("agentRuntimeIdentityToken", wrong);
    let is_sent = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    let sent = SentSecrets {
        password: is_sent(password),
        token: is_sent(token),
        bootstrap_token: is_sent(bootstrap_token),
        device_token: is_sent(device_token),
        agent_identity: is_sent(agent_identity),
    };
    let credentials = Credentials::new(token, password, device_token, bootstrap_token);
    Some((credentials, sent))
}

#[cfg(test)]
mod tests;
