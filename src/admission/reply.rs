//! What a connection is answered: the response, and how it is closed.

use std::sync::Arc;

use serde_json::Value;

use crate::facts::{Auth, Role, Text};
use crate::pairing::token::IssuedToken;
use crate::settings::Compatibility;
use crate::wire::reply::{
    HttpRefusal, Issued, Refusal, Server, Session, admitted, hello, response,
};
use crate::wire::{Close, Connect};

/// What a connection is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It is admitted.
    Admitted(Box<Admitted>),
    /// It is told why it is not, and closed.
    Refused {
        /// The id of its request.
        id: Text,
        /// Why.
        refusal: Box<Refusal>,
    },
    /// It is closed without a response.
    Closed(Close),
    /// It is answered over HTTP, and does not become a WebSocket.
    Http(Box<HttpRefusal>),
}

/// What an admitted client is told; the rest of the answer is the server's.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The id of its request.
    pub id: Text,
    /// The version of the protocol that is spoken with it.
    pub protocol: u64,
    /// The authentication that held.
    pub auth: Auth,
    /// Its role.
    pub role: Role,
    /// The scopes of this very connection.
    pub scopes: Arc<[Box<str>]>,
    /// The device token that goes with the answer.
    pub token: Option<IssuedToken>,
    /// Those of further roles, which a setup code hands over with it.
    pub others: Vec<IssuedToken>,
}

impl Admitted {
    /// The payload of the response: what is told of the server, and what this connection may do.
    #[must_use]
    pub fn hello(&self, server: &Server<'_>, compatibility: &Compatibility) -> Value {
        self.told(|session| hello(server, session, compatibility))
    }

    /// The text of the response.
    #[must_use]
    pub fn response(&self, server: &Server<'_>, compatibility: &Compatibility) -> String {
        self.told(|session| admitted(&self.id, server, session, compatibility))
    }

    fn told<T>(&self, tell: impl FnOnce(&Session<'_>) -> T) -> T {
        let told = |token| told(token, self.role);
        let others: Vec<Issued<'_>> = self.others.iter().map(told).collect();
        tell(&Session {
            protocol: self.protocol,
            auth: self.auth,
            role: self.role,
            scopes: &self.scopes,
            issued: self.token.as_ref().map(told),
            also_issued: &others,
        })
    }
}

fn told(token: &IssuedToken, role: Role) -> Issued<'_> {
    Issued {
        token: &token.token,
        role: Role::parse(&token.role).unwrap_or(role),
        scopes: &token.scopes,
        issued_at_ms: token.issued_at_ms,
    }
}

impl Reply {
    pub(super) fn to(connect: &Connect, refusal: Refusal) -> Self {
        Reply::Refused {
            id: connect.id.clone(),
            refusal: Box::new(refusal),
        }
    }

    /// The answer to a request frame that was not read further than its id.
    pub(super) fn refused(frame: &Value, refusal: Refusal) -> Self {
        let id = frame.get("id").and_then(Value::as_str).unwrap_or_default();
        Reply::Refused {
            id: id.into(),
            refusal: Box::new(refusal),
        }
    }

    /// The text of the response to a connection that is not admitted, if it gets one.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        match self {
            Reply::Admitted(_) | Reply::Closed(_) | Reply::Http(_) => None,
            Reply::Refused { id, refusal } => Some(response(id, Err(&**refusal))),
        }
    }

    /// How a connection that is not admitted is closed.
    #[must_use]
    pub fn close(&self) -> Option<&Close> {
        match self {
            Reply::Admitted(_) | Reply::Http(_) => None,
            Reply::Refused { refusal, .. } => Some(&refusal.close),
            Reply::Closed(close) => Some(close),
        }
    }
}
