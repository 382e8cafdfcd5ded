//! A recorded handshake: what a gateway saw of one connection, and the facts in it.
//!
//! [`parse`] reads the documented JSON form (`docs/handshake.schema.json`); [`observe()`] is the
//! one place where facts are found, for recordings and for live connections alike. Facts are
//! never declared: a recording holds what was seen.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod error;
pub mod evidence;
mod form;
mod locate;
mod mask;
pub mod observe;
mod phrase;
mod plain;
mod suppose;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::facts::{PeerUid, Transport};
use crate::pairing::Standing;
use crate::settings::Settings;
use crate::wire::Connect;

pub use error::HandshakeError;
pub use evidence::{Evidence, Evidences};
pub use form::{VERSION, parse, parse_as};
pub use mask::masked;
pub use observe::{
    Observed, at_connect, at_connect_remembering, at_upgrade, observe, observe_with, prove,
};
pub use phrase::{alone, beyond_facts, beyond_facts_at_upgrade, of_ends, of_scopes};
pub(crate) use plain::{clean, is_clean};

/// Everything that a gateway knows when it decides about a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Handshake {
    /// What the recording is about, for people.
    pub note: Option<Box<str>>,
    /// The operator's settings.
    pub settings: Settings,
    /// The socket.
    pub socket: Socket,
    /// The HTTP upgrade request.
    pub http: Http,
    /// The challenge that this connection was sent; a device proof needs one.
    pub challenge: Option<Challenge>,
    /// The connect frame.
    pub connect: Connect,
    /// What is remembered of the device that the connect frame names.
    pub pairing: Standing,
    /// When the connect frame arrived, in Unix milliseconds.
    pub time_ms: i64,
}

/// The same, borrowed: what a gateway has at hand when the connect frame arrives.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The socket.
    pub socket: &'a Socket,
    /// The HTTP upgrade request.
    pub http: &'a Http,
    /// The nonce of the challenge that this connection was sent; empty when none was.
    pub nonce: &'a str,
    /// The connect frame.
    pub connect: &'a Connect,
    /// What is remembered of the device that the connect frame names.
    pub standing: &'a Standing,
    /// When the connect frame arrived, in Unix milliseconds.
    pub time_ms: i64,
}

/// What a gateway has at hand before the connect frame arrives.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The operator's settings.
    pub settings: &'a Settings,
    /// The socket.
    pub socket: &'a Socket,
    /// The HTTP upgrade request.
    pub http: &'a Http,
}

impl<'a> Seen<'a> {
    /// What was there before the connect frame.
    #[must_use]
    pub fn head(&self) -> Head<'a> {
        Head {
            settings: self.settings,
            socket: self.socket,
            http: self.http,
        }
    }
}

impl Handshake {
    /// The handshake, borrowed.
    #[must_use]
    pub fn seen(&self) -> Seen<'_> {
        Seen {
            settings: &self.settings,
            socket: &self.socket,
            http: &self.http,
            nonce: self
                .challenge
                .as_ref()
                .map_or("", |challenge| &challenge.nonce),
            connect: &self.connect,
            standing: &self.pairing,
            time_ms: self.time_ms,
        }
    }
}

/// What the socket shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// How the connection reaches the gateway.
    pub transport: Transport,
    /// The address at the other end; TCP only.
    pub peer: Option<SocketAddr>,
    /// The address at this end; TCP only.
    pub local: Option<SocketAddr>,
    /// Whether TLS protects it up to this process.
    pub tls: bool,
    /// Who owns the other end, where the kernel can tell.
    pub peer_uid: PeerUid,
    /// The addresses of this host's interfaces, as far as they were recorded.
    pub own_addresses: Arc<[IpAddr]>,
}

/// The HTTP upgrade request.
#[derive(Clone, PartialEq, Eq)]
pub struct Http {
    /// The request target, with its query.
    pub path: Box<str>,
    /// Names and values in the order of arrival, repeats kept.
    pub headers: Vec<(Box<str>, Box<str>)>,
}

/// Shows the path without its query, and the names of the headers: a query, `Authorization` and
/// `Cookie` hold secrets.
impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A target that is a whole URL may hold a password too.
        let path = match self.path.starts_with('/') {
            true => self.path.split(['?', '#']).next().unwrap_or_default(),
            false => "…",
        };
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Http")
            .field("path", &path)
            .field("headers", &names)
            .finish()
    }
}

impl Default for Http {
    fn default() -> Self {
        Http {
            path: "/".into(),
            headers: Vec::new(),
        }
    }
}

impl Http {
    /// The values of a header, in the order of arrival, with their places in `headers`.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
        let headers = self.headers.iter().enumerate();
        headers
            .filter(move |(_, (sent, _))| sent.eq_ignore_ascii_case(name))
            .map(|(at, (_, value))| (at, &**value))
    }
}

/// The `connect.challenge` event.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// What the device has to sign.
    pub nonce: Box<str>,
    /// When it was sent, in Unix milliseconds.
    pub ts: Option<i64>,
}
