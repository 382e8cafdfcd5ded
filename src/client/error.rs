//! What goes wrong between our tools and a gateway. Each error names the place.

use std::io;

use super::refusal::Refusal;
use super::tls::ConnectError;
use crate::wire::Close;

/// What was waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The connection.
    Connection,
    /// TLS.
    Tls,
    /// The answer to the HTTP request.
    Http,
    /// The challenge.
    Challenge,
    /// The answer to the connect frame.
    Admission,
    /// The answer to a call.
    Call,
}

impl Waited {
    /// What it is, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Waited::Connection => "the connection",
            Waited::Tls => "the TLS handshake",
            Waited::Http => "the answer to the HTTP request",
            Waited::Challenge => "the challenge, with which a gateway begins",
            Waited::Admission => "the answer to `connect`",
            Waited::Call => "the answer to the call",
        }
    }
}

/// Why a gateway was not reached, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("nobody listens at {0}")]
    Nobody(String),
    /// There is no connection for another reason.
    #[error("{target} cannot be reached: {error}")]
    Unreachable {
        /// Where.
        target: String,
        /// What the system says.
        error: io::Error,
    },
    /// Whoever listens there is not trusted, or speaks no TLS.
    #[error(transparent)]
    Tls(#[from] ConnectError),
    /// TLS is spoken there, and it was asked without.
    #[error("{target} speaks TLS: use {over_tls}")]
    NeedsTls {
        /// Who.
        target: String,
        /// The same place, with TLS.
        over_tls: String,
    },
    /// It took too long.
    #[error("{target} keeps us waiting for {}", what.name())]
    TooLate {
        /// Who.
        target: String,
        /// For what.
        what: Waited,
    },
    /// The HTTP request was answered without a WebSocket.
    #[error("{target} answers {status}, and not with a WebSocket")]
    Http {
        /// Who.
        target: String,
        /// The status.
        status: u16,
        /// The beginning of what else it says.
        body: String,
        /// The id that the gateway gave the connection, if it said.
        connection: Option<String>,
    },
    /// The request cannot be made of this.
    #[error("no HTTP request can be made of it: {0}")]
    Request(String),
    /// It does not speak the protocol.
    #[error("{target} does not speak the gateway's protocol: {what}")]
    Protocol {
        /// Who.
        target: String,
        /// What is wrong.
        what: String,
    },
    /// It closed the connection, without an answer.
    #[error("{target} closed the connection{}", told(close.as_ref()))]
    Closed {
        /// Who.
        target: String,
        /// How, if it said.
        close: Option<Close>,
    },
    /// It says no.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
}

fn told(close: Option<&Close>) -> String {
    match close {
        None => String::new(),
        Some(Close { code, reason }) if reason.is_empty() => format!(" with {code}"),
        Some(Close { code, reason }) => {
            format!(" with {code}: {}", crate::source::visible(reason))
        }
    }
}
