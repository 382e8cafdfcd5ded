//! The JSON form of a recorded handshake: read, and held against itself.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use serde_json::Value;

use super::error::HandshakeError;
use super::plain::clean;
use super::{Challenge, Handshake, Http, Socket};
use crate::facts::address::{Address, parse_literal};
use crate::facts::{AddressClass, Client, Mode, PeerUid, Role, Transport};
use crate::pairing::Standing;
use crate::settings::{Compatibility, Settings};
use crate::wire;

/// The version of the form that is read.
pub const VERSION: u64 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    #[serde(rename = "gw-handshake")]
    version: u64,
    note: Option<Box<str>>,
    settings: Settings,
    socket: SocketForm,
    http: Option<HttpForm>,
    challenge: Option<Challenge>,
    connect: Value,
    #[serde(default)]
    pairing: Standing,
    time: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SocketForm {
    transport: Option<Transport>,
    peer: Option<Box<str>>,
    local: Option<Box<str>>,
    #[serde(default)]
    tls: bool,
    peer_uid: Option<PeerUid>,
    #[serde(default)]
    own_addresses: Vec<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpForm {
    path: Option<Box<str>>,
    #[serde(default)]
    headers: Vec<(Box<str>, Box<str>)>,
}

/// Reads a recorded handshake.
///
/// # Errors
///
/// [`HandshakeError`] when the text is not JSON, has another shape, holds a connect frame or
/// settings that cannot be, or contradicts itself.
pub fn parse(text: &str) -> Result<Handshake, HandshakeError> {
    parse_as(text, None)
}

/// Reads a recorded handshake as it would have been read under other constants than its own.
///
/// # Errors
///
/// Those of [`parse`].
pub fn parse_as(
    text: &str,
    constants: Option<&Compatibility>,
) -> Result<Handshake, HandshakeError> {
    let mut form: Form =
        serde_json::from_str(text).map_err(|error| HandshakeError::of_json(text, &error))?;
    if let Some(constants) = constants {
        form.settings.compatibility = constants.clone();
    }
    if form.version != VERSION {
        let message = format!("version {} of the form is not known", form.version);
        let help = format!("only version {VERSION} is");
        return Err(HandshakeError::at(text, "/gw-handshake", message).with_help(help));
    }
    if let Some(problem) = form.settings.problems().into_iter().next() {
        let pointer = format!("/settings{}", problem.pointer);
        return Err(HandshakeError::at(text, &pointer, problem.message).with_help(problem.help));
    }
    let schema = wire::Schema::of(&form.settings.compatibility);
    let connect = wire::connect::parse(&form.connect, &schema).map_err(|error| {
        let words = match error.pointer.as_str() {
            "/params/client/id" => Client::WORDS,
            "/params/client/mode" => Mode::WORDS,
            "/params/role" => Role::WORDS,
            _ => &[],
        };
        let words: Vec<&str> = words.iter().map(|word| word.name).collect();
        let known = (!words.is_empty()).then(|| format!("one of {}", words.join(", ")));
        HandshakeError {
            help: known,
            ..HandshakeError::at(text, &format!("/connect{}", error.pointer), error.message)
        }
    })?;
    let has_request = form.http.is_some();
    let handshake = Handshake {
        note: form.note,
        settings: form.settings,
        socket: read_socket(text, form.socket)?,
        http: form.http.map_or_else(Http::default, read_http),
        challenge: form.challenge,
        connect,
        pairing: form.pairing,
        time_ms: form.time,
    };
    match contradiction(&handshake, has_request) {
        None => Ok(handshake),
        Some((pointer, message, help)) => {
            Err(HandshakeError::at(text, pointer, message).with_help(help))
        }
    }
}

fn read_http(form: HttpForm) -> Http {
    Http {
        path: form.path.unwrap_or_else(|| Http::default().path),
        headers: form.headers,
    }
}

fn read_socket(text: &str, form: SocketForm) -> Result<Socket, HandshakeError> {
    let endpoint = |name: &str, written: Option<Box<str>>| {
        let read = |written: &str| {
            parse_endpoint(written).ok_or_else(|| {
                let message = format!("`{}` is no address with a port", clean(written));
                HandshakeError::at(text, &format!("/socket/{name}"), message)
                    .with_help("write `10.0.0.5:51000` or `[2001:db8::5]:51000`")
            })
        };
        written.map(|written| read(&written)).transpose()
    };
    let mut own_addresses = Vec::with_capacity(form.own_addresses.len());
    for (at, written) in form.own_addresses.iter().enumerate() {
        own_addresses.push(parse_literal(written).ok_or_else(|| {
            let message = format!("`{}` is no address", clean(written));
            HandshakeError::at(text, &format!("/socket/ownAddresses/{at}"), message)
        })?);
    }
    Ok(Socket {
        transport: form.transport.unwrap_or(Transport::Tcp),
        peer: endpoint("peer", form.peer)?,
        local: endpoint("local", form.local)?,
        tls: form.tls,
        peer_uid: form.peer_uid.unwrap_or(PeerUid::Unknown),
        own_addresses: own_addresses.into(),
    })
}

/// `ip:port`, IPv6 in brackets; a zone is dropped, and v4-mapped v6 is v4.
fn parse_endpoint(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.rsplit_once(':')?;
    let bracketed = ip.starts_with('[') && ip.ends_with(']');
    if ip.contains(':') != bracketed || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(SocketAddr::new(parse_literal(ip)?, port.parse().ok()?))
}

/// A pointer, what is wrong there, and what to do.
type Contradiction = (&'static str, String, &'static str);

/// What two parts of a handshake say differently, the first that is found.
fn contradiction(handshake: &Handshake, has_request: bool) -> Option<Contradiction> {
    socket_contradiction(&handshake.socket, has_request)
        .or_else(|| header_contradiction(&handshake.http))
        .or_else(|| device_contradiction(handshake))
}

fn socket_contradiction(socket: &Socket, has_request: bool) -> Option<Contradiction> {
    let Socket {
        transport,
        peer,
        local,
        ..
    } = socket;
    if *transport == Transport::Tcp {
        for (missing, name) in [(peer.is_none(), "peer"), (local.is_none(), "local")] {
            if missing {
                let message = format!("a TCP connection has a `{name}` address");
                return Some((
                    "/socket",
                    message,
                    "write `\"peer\": \"IP:PORT\", \"local\": \"IP:PORT\"`",
                ));
            }
        }
        let nobody = |ip: IpAddr| Address::new(ip).class() == AddressClass::Special;
        if peer.is_some_and(|peer| nobody(peer.ip())) {
            let message = "no connection comes from this address".to_owned();
            return Some((
                "/socket/peer",
                message,
                "an unspecified or multicast address is never one peer",
            ));
        }
        if local.is_some_and(|local| nobody(local.ip())) {
            let message = "no connection ends at this address".to_owned();
            return Some((
                "/socket/local",
                message,
                "record the address of this very connection, not the one that is listened on",
            ));
        }
        return None;
    }
    let with = |what: &str| format!("`{transport}` has no {what}");
    if peer.is_some() {
        return Some((
            "/socket/peer",
            with("peer address"),
            "leave `peer` out, or let `transport` be `tcp`",
        ));
    }
    if local.is_some() {
        return Some((
            "/socket/local",
            with("local address"),
            "leave `local` out, or let `transport` be `tcp`",
        ));
    }
    if socket.tls {
        return Some((
            "/socket/tls",
            with("TLS"),
            "leave `tls` out, or let `transport` be `tcp`",
        ));
    }
    if *transport == Transport::InProcess && has_request {
        return Some((
            "/http",
            with("HTTP request"),
            "leave `http` out, or let `transport` be `tcp` or `unix`",
        ));
    }
    None
}

/// A header that no HTTP parser would have let through was not seen on a connection.
fn header_contradiction(http: &Http) -> Option<Contradiction> {
    let is_token = |name: &str| {
        let other = b"!#$%&'*+-.^_`|~";
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || other.contains(&byte))
    };
    let bad = http.headers.iter().find(|(name, value)| {
        !is_token(name) || value.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
    });
    bad.map(|(name, _)| {
        // A whole header line in place of its name would show its value.
        let name = name.split([':', ' ']).next().unwrap_or_default();
        let message = format!("`{}` is no header that HTTP allows", clean(name));
        (
            "/http/headers",
            message,
            "write the name without a colon, and the value on one line",
        )
    })
}

fn device_contradiction(handshake: &Handshake) -> Option<Contradiction> {
    let device = handshake.connect.claims().device.as_ref();
    if device.is_some() && handshake.challenge.is_none() {
        let message = "the device signed a challenge that is not recorded".to_owned();
        return Some((
            "/connect/params/device",
            message,
            "add `\"challenge\": { \"nonce\": \"…\" }`",
        ));
    }
    let Standing {
        record,
        pending,
        node_pending: _, // names no device
    } = &handshake.pairing;
    let remembered = [
        (
            "/pairing/record",
            record.as_ref().map(|record| &record.device_id),
        ),
        (
            "/pairing/pending",
            pending.as_ref().map(|pending| &pending.device_id),
        ),
    ];
    for (pointer, id) in remembered {
        let Some(id) = id else { continue };
        let help = "record only what is kept of the device that connects";
        match device {
            Some(device) if *device.id == **id => {}
            Some(_) => {
                return Some((
                    pointer,
                    "this is of another device than the connect frame's".to_owned(),
                    help,
                ));
            }
            None => {
                return Some((
                    pointer,
                    "the connect frame names no device".to_owned(),
                    help,
                ));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
