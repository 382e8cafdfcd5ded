//! What the recorder sent in a step: the socket, the HTTP head and the first message.
//!
//! The kinds are the recorder's; a secret or a signature of each kind is made here.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::row::{ConnectKinds, PASSWORD, PORT, Row, RowError, Step, TOKEN};
use super::signer::{Signer, id_of};
use crate::facts::metadata::normalize_metadata;
use crate::facts::{AuthMode, PeerUid, Transport};
use crate::handshake::{Http, Socket};
use crate::settings::Settings;

/// When the message of every step arrives, in Unix milliseconds.
pub const NOW_MS: i64 = 1_770_000_000_000;
/// The nonce of the challenge of every step.
pub const NONCE: &str = "5e8f1c9a-3b7d-4e2a-9c41-7d0b6a5f2e13";

/// A secret that is nobody's.
const WRONG: &str = "wrong-secret-000000000000";
/// The port that every client connects from.
const CLIENT_PORT: u16 = 51_000;
/// The addresses that the recorder's host had besides loopback, where its LAN peers were
/// other addresses of the same host.
const HOST_ADDRESSES: [&str; 6] = [
    "192.168.77.1",
    "192.168.77.9",
    "192.168.77.50",
    "172.18.0.1",
    "203.0.113.50",
    "100.64.0.9",
];
/// The one address that it had where the peers were in another namespace.
const LAN_ADDRESS: &str = "192.168.77.1";
/// The longest message that a row can have made, in bytes: far more than a gateway takes first.
const MAX_PADDED: usize = 8 << 20;
/// The most names in the path of a change to the frame.
const MAX_DEPTH: usize = 64;

/// What was sent in a step.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The socket.
    pub socket: Socket,
    /// The HTTP head.
    pub http: Http,
    /// The first message after the challenge.
    pub message: Vec<u8>,
}

/// The device token that a device was given before a case began.
#[must_use]
pub fn device_token(device: &str, role: &str) -> String {
    format!("recorded-device-token-not-a-secret:{device}:{role}")
}

/// The name of a device of a case.
#[must_use]
pub fn device_name(row: &Row, step: &Step) -> String {
    format!("{}#{}", row.id, step.key.as_deref().unwrap_or("A"))
}

/// The id of a device of a case; empty only if its key cannot be made.
#[must_use]
pub fn device_id(name: &str) -> String {
    Signer::named(name).map_or_else(String::new, |signer| signer.id)
}

/// Makes what a step sends. `issued` are the device tokens that earlier steps were given, by
/// the name of the device. `None` for a step that needs a real socket: bytes that are no
/// message, silence, or no handshake at all.
///
/// # Errors
///
/// [`RowError::Kind`] for a kind that is not known, [`RowError::TooMuch`] for a message that is
/// too long or a change that is too deep.
pub fn sent(
    row: &Row,
    step: &Step,
    settings: &Settings,
    issued: &BTreeMap<String, String>,
) -> Result<Option<Sent>, RowError> {
    let group = row.id.split('/').next().unwrap_or_default();
    let (Some(connect), false) = (
        &step.connect,
        matches!(group, "http" | "preauth-budget" | "start"),
    ) else {
        return Ok(None);
    };
    let device = device_name(row, step);
    let frame = frame(row, connect, &device, settings, issued)?;
    let Some(message) = message(connect, &frame)? else {
        return Ok(None);
    };
    Ok(Some(Sent {
        socket: socket(row, step)?,
        http: http(step),
        message,
    }))
}

fn socket(row: &Row, step: &Step) -> Result<Socket, RowError> {
    let address = |text: &str| {
        text.parse::<IpAddr>().map_err(|_| RowError::Kind {
            what: "address",
            kind: text.into(),
        })
    };
    let own: &[&str] = match row.cfg.ends_with("+remote-peer") {
        true => &[LAN_ADDRESS],
        false => &HOST_ADDRESSES,
    };
    Ok(Socket {
        transport: Transport::Tcp,
        peer: Some(SocketAddr::new(address(&step.req.src)?, CLIENT_PORT)),
        local: Some(SocketAddr::new(address(&step.req.dst)?, PORT)),
        tls: step.req.tls,
        peer_uid: PeerUid::Unknown,
        own_addresses: own.iter().filter_map(|ip| ip.parse().ok()).collect(),
    })
}

fn http(step: &Step) -> Http {
    let port = PORT.to_string();
    Http {
        path: step.req.path.clone().unwrap_or_else(|| "/".into()),
        headers: step
            .req
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.replace("{port}", &port).into()))
            .collect(),
    }
}

/// The request frame as the recorder would have sent it.
fn frame(
    row: &Row,
    connect: &ConnectKinds,
    device: &str,
    settings: &Settings,
    issued: &BTreeMap<String, String>,
) -> Result<Value, RowError> {
    let (id, mode) = connect.client.split_once('/').unwrap_or_default();
    let mut client = json!({
        "id": id, "version": "recorded-1", "mode": mode,
        "platform": connect.platform.as_deref().unwrap_or("linux"),
    });
    if row.cfg.ends_with("+uibuild-dev") && id == "openclaw-control-ui" {
        put(&mut client, "buildId", "dev".into());
    }
    if let Some(family) = &connect.device_family {
        put(&mut client, "deviceFamily", (**family).into());
    }
    let [oldest, newest] = connect.protocol.clone().unwrap_or([3.into(), 4.into()]);
    let mut params = json!({ "minProtocol": oldest, "maxProtocol": newest, "client": client });
    if let Some(role) = &connect.role {
        put(&mut params, "role", (**role).into());
    }
    if let Some(scopes) = &connect.scopes {
        put(&mut params, "scopes", json!(scopes));
    }
    if let Some(auth) = credentials(connect, device, settings, issued)? {
        put(&mut params, "auth", auth);
    }
    if let Some(kind) = &connect.device {
        let proof = proof(kind, connect, device, &params)?;
        put(&mut params, "device", proof);
    }
    let mut frame = json!({ "type": "req", "id": "c1", "method": "connect", "params": params });
    for change in &connect.mutate {
        mutate(&mut frame, change)?;
    }
    Ok(frame)
}

/// `[set, path, value]` or `[del, path]`; a path that leads through no object makes one.
fn mutate(frame: &mut Value, change: &[Value]) -> Result<(), RowError> {
    let [operation, path, rest @ ..] = change else {
        return Ok(());
    };
    let names = path.as_str().unwrap_or_default().split('.');
    if names.clone().nth(MAX_DEPTH).is_some() {
        return Err(RowError::TooMuch {
            what: "names in the path of a change to the frame",
            most: MAX_DEPTH,
        });
    }
    let mut names = names.peekable();
    let mut at = frame;
    while let Some(name) = names.next() {
        if !at.is_object() {
            *at = json!({});
        }
        let Some(map) = at.as_object_mut() else {
            break;
        };
        if names.peek().is_some() {
            at = map.entry(name.to_owned()).or_insert_with(|| json!({}));
        } else if operation == "del" {
            map.remove(name);
            break;
        } else {
            let value = rest.first().cloned().unwrap_or_default();
            map.insert(name.to_owned(), value);
            break;
        }
    }
    Ok(())
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(name.to_owned(), value);
    }
}

/// The bytes of the message; `None` where it takes a real socket to send it.
fn message(connect: &ConnectKinds, frame: &Value) -> Result<Option<Vec<u8>>, RowError> {
    let text = frame.to_string();
    let Some(raw) = &connect.raw else {
        return Ok(Some(text.into_bytes()));
    };
    if let Some(text) = raw.get("text").and_then(Value::as_str) {
        return Ok(Some(text.as_bytes().to_vec()));
    }
    if let Some(size) = raw.get("padTo").and_then(Value::as_u64) {
        let size = usize::try_from(size).ok().filter(|it| *it <= MAX_PADDED);
        let size = size.ok_or(RowError::TooMuch {
            what: "bytes in a message",
            most: MAX_PADDED,
        })?;
        let mut frame = frame.clone();
        if let Some(params) = frame.get_mut("params") {
            put(params, "userAgent", "".into());
        }
        let missing = size.saturating_sub(frame.to_string().len());
        if let Some(params) = frame.get_mut("params") {
            put(params, "userAgent", "x".repeat(missing).into());
        }
        return Ok(Some(frame.to_string().into_bytes()));
    }
    let kind = raw
        .get("connectAs")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let open = text.strip_suffix('}').unwrap_or(&text);
    Ok(match kind {
        // Whether a message came in one piece, and what came after it, is the socket's.
        "binary" | "fragments" | "twice" | "after-hello" => Some(text.into_bytes()),
        "bom" => Some(format!("\u{feff}{text}").into_bytes()),
        "space" => Some(format!("  \n{text}\n ").into_bytes()),
        "dupkeys" => Some(format!("{open},\"method\":\"connect\"}}").into_bytes()),
        "invalid-utf8" => Some([open.as_bytes(), b"\xff\xfe", b"}"].concat()),
        "unmasked" | "rsv1" | "close" | "silent" => None,
        _ => {
            return Err(RowError::Kind {
                what: "way of sending",
                kind: kind.into(),
            });
        }
    })
}

/// The secrets that were sent; `None` where the frame has no `auth`.
fn credentials(
    connect: &ConnectKinds,
    device: &str,
    settings: &Settings,
    issued: &BTreeMap<String, String>,
) -> Result<Option<Value>, RowError> {
    let by_password = settings.auth.mode() == AuthMode::Password
        || (settings.auth.mode() == AuthMode::TrustedProxy && settings.auth.password().is_some());
    let (own, good, other) = match by_password {
        true => ("password", PASSWORD, "token"),
        false => ("token", TOKEN, "password"),
    };
    let role = match connect.role.as_deref() {
        Some("node") => "node",
        _ => "operator",
    };
    let other_role = if role == "node" { "operator" } else { "node" };
    let token = device_token(device, role);
    let was_issued = || issued.get(device).map_or("none-issued", String::as_str);
    let auth = match &*connect.auth {
        "none" | "" => return Ok(None),
        "empty-object" => json!({}),
        "good" => json!({ own: good }),
        "bad" => json!({ own: WRONG }),
        "empty" => json!({ own: "" }),
        "whitespace" => json!({ own: "   " }),
        "good-padded" => json!({ own: format!(" {good} ") }),
        "good-case" => json!({ own: good.to_uppercase() }),
        "good-prefix" => {
            let end = good.len().saturating_sub(1);
            json!({ own: good.get(..end) })
        }
        "good-suffix" => json!({ own: format!("{good}x") }),
        "wrong-kind" => json!({ other: good }),
        "both-good" => json!({ "token": good, "password": good }),
        "token-bad+password-good" => json!({ "token": WRONG, "password": good }),
        "device-good" => json!({ "deviceToken": token }),
        "device-bad" => json!({ "deviceToken": WRONG }),
        "device-as-token" => json!({ "token": token }),
        "device-as-token-bad+device-good" => json!({ "token": token, "deviceToken": token }),
        "token-good+device-bad" => json!({ own: good, "deviceToken": WRONG }),
        "token-bad+device-good" => json!({ own: WRONG, "deviceToken": token }),
        "bootstrap-bad" => json!({ "bootstrapToken": WRONG }),
        "token-good+bootstrap-bad" => json!({ own: good, "bootstrapToken": WRONG }),
        "device-otherrole" => json!({ "deviceToken": device_token(device, other_role) }),
        "issued" => json!({ "deviceToken": was_issued() }),
        "issued-as-token" => json!({ "token": was_issued() }),
        kind => {
            return Err(RowError::Kind {
                what: "credentials",
                kind: kind.into(),
            });
        }
    };
    Ok(Some(auth))
}

/// What a device signs, before its proof is spoiled in the way that a kind says.
struct Payload {
    version: String,
    id: String,
    client: String,
    role: String,
    scopes: Vec<String>,
    signed_at_ms: i64,
    token: String,
    nonce: String,
    platform: String,
}

impl Payload {
    fn text(&self, mode: &str, family: &str) -> String {
        let fields = [
            &self.version,
            &self.id,
            &self.client,
            mode,
            &self.role,
            &self.scopes.join(","),
            &self.signed_at_ms.to_string(),
            &self.token,
            &self.nonce,
        ];
        let text = fields.join("|");
        if self.version == "v3" {
            let platform = normalize_metadata(&self.platform);
            format!("{text}|{platform}|{}", normalize_metadata(family))
        } else {
            text
        }
    }
}

fn proof(
    kind: &str,
    connect: &ConnectKinds,
    device: &str,
    params: &Value,
) -> Result<Value, RowError> {
    let unknown = || RowError::Kind {
        what: "device proof",
        kind: kind.into(),
    };
    let (client, mode) = connect.client.split_once('/').unwrap_or_default();
    let own = Signer::named(device).ok_or_else(unknown)?;
    let other = || Signer::named(&format!("{device}#other")).ok_or_else(unknown);
    let stranger;
    let scopes = connect.scopes.iter().flatten();
    let secret = |name| params.pointer(name).and_then(Value::as_str);
    let token = secret("/auth/token")
        .or_else(|| secret("/auth/deviceToken"))
        .or_else(|| secret("/auth/bootstrapToken"));
    let mut signed = Payload {
        version: "v3".to_owned(),
        id: own.id.clone(),
        client: client.to_owned(),
        role: connect.role.as_deref().unwrap_or("operator").to_owned(),
        scopes: scopes.map(ToString::to_string).collect(),
        signed_at_ms: NOW_MS,
        token: token.unwrap_or_default().to_owned(),
        nonce: NONCE.to_owned(),
        platform: connect.platform.as_deref().unwrap_or("linux").to_owned(),
    };
    let mut nonce = NONCE.to_owned();
    let mut public_key = own.public_key();
    let mut signer = &own;
    match kind {
        "v1" | "v2" | "v3" | "v4" => kind.clone_into(&mut signed.version),
        "bad-sig" | "empty-looking-sig" | "garbage-sig" | "sig-b64-padded" => {}
        "other-key-sig" => {
            stranger = other()?;
            signer = &stranger;
        }
        "stale-119s" => signed.signed_at_ms -= 118_000,
        "stale-121s" => signed.signed_at_ms -= 122_000,
        "stale-1h" => signed.signed_at_ms -= 3_600_000,
        "future-119s" => signed.signed_at_ms += 118_000,
        "future-121s" => signed.signed_at_ms += 122_000,
        "nonce-wrong" => nonce = "11111111-1111-4111-8111-111111111111".to_owned(),
        "nonce-replayed" => nonce = "22222222-2222-4222-8222-222222222222".to_owned(),
        "nonce-padded" => nonce = format!(" {NONCE} "),
        "nonce-blank" => nonce = "  ".to_owned(),
        "id-mismatch" => signed.id = other()?.id,
        "id-uppercase" => signed.id = own.id.to_uppercase(),
        "id-padded" => signed.id = format!(" {} ", own.id),
        "pubkey-pem" => public_key = own.public_key_pem(),
        "pubkey-padded" => public_key = STANDARD.encode(own.key()),
        "pubkey-short" => {
            let short = own.key().get(..31).unwrap_or_default();
            public_key = URL_SAFE_NO_PAD.encode(short);
            signed.id = id_of(short);
        }
        "pubkey-garbage" => public_key = "!!!!".to_owned(),
        "signed-other-scopes" => signed.scopes = vec!["operator.read".to_owned()],
        "signed-other-role" => signed.role = "node".to_owned(),
        "signed-other-token" => signed.token = "another".to_owned(),
        "signed-no-token" => signed.token.clear(),
        "signed-other-client" => signed.client = "openclaw-tui".to_owned(),
        "signed-other-platform" => signed.platform = "otheros".to_owned(),
        "signed-sorted-scopes" => signed.scopes.sort(),
        _ => return Err(unknown()),
    }
    // The padded nonce is sent padded and signed bare; every other one is signed as sent.
    if kind != "nonce-padded" {
        signed.nonce.clone_from(&nonce);
    }
    let family = connect.device_family.as_deref().unwrap_or_default();
    let mut signature = signer.sign(&signed.text(mode, family));
    if let ("bad-sig", Some(byte)) = (kind, signature.get_mut(10)) {
        *byte ^= 1;
    }
    let signature = match kind {
        "empty-looking-sig" => "A".to_owned(),
        "garbage-sig" => "!!!!".to_owned(),
        "sig-b64-padded" => STANDARD.encode(signature),
        _ => URL_SAFE_NO_PAD.encode(signature),
    };
    Ok(json!({
        "id": signed.id, "publicKey": public_key, "signature": signature,
        "signedAt": signed.signed_at_ms, "nonce": nonce,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with sending a row with these kinds, besides the least that it needs.
    fn refused(kinds: Value) -> Option<String> {
        let mut connect = json!({ "client": "cli/cli", "auth": "none" });
        for (name, value) in kinds.as_object().unwrap() {
            put(&mut connect, name, value.clone());
        }
        let row = json!({
            "v": "1", "cfg": "token-loopback", "id": "frame/hostile",
            "req": { "src": "127.0.0.1", "dst": "127.0.0.1" }, "connect": connect,
        });
        let row: Row = serde_json::from_value(row).unwrap();
        let sent = sent(&row, &row.only, &Settings::default(), &BTreeMap::new());
        sent.err().map(|error| error.to_string())
    }

    #[test]
    fn a_message_is_padded_to_8_mib_at_most() {
        let padded = |size: u64| refused(json!({ "raw": { "padTo": size } }));
        let too_much = Some("more than 8388608 bytes in a message".to_owned());
        for size in [8_388_609, 50_000_000_000, u64::MAX] {
            assert_eq!(padded(size), too_much, "{size}");
        }
        for size in [0, 65_536, 8_388_608] {
            assert_eq!(padded(size), None, "{size}");
        }
    }

    #[test]
    fn a_change_goes_64_names_deep_at_most() {
        let deep = |operation: &str, names: usize| {
            let path = format!("params{}", ".a".repeat(names - 1));
            refused(json!({ "mutate": [[operation, path, 1]] }))
        };
        let too_much = "more than 64 names in the path of a change to the frame".to_owned();
        for operation in ["set", "del"] {
            for names in [65, 200_000] {
                assert_eq!(deep(operation, names), Some(too_much.clone()));
            }
            for names in [1, 2, 64] {
                assert_eq!(deep(operation, names), None);
            }
        }
    }
}
