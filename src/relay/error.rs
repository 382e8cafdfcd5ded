//! Why there is no connection to the upstream, in words for its owner: what helps is written in the
//! configuration of this gateway, or done there. The client is told no more than that there is none.

use crate::client::tls::ConnectError;
use crate::client::{ClientError, Waited};

/// Why there is no connection to the upstream.
#[derive(Debug, thiserror::Error)]
pub enum NoLink {
    /// It is not there, is not trusted, or says nothing that can be understood.
    #[error("{}", words(.0))]
    Away(#[from] ClientError),
    /// It answers, and not as a WebSocket server does.
    #[error("it does not speak WebSocket: {0}")]
    Nonsense(Box<str>),
    /// It took too long.
    #[error("it did not let the client in within {}", humantime::format_duration(*.0))]
    Late(std::time::Duration),
    /// It refuses what the gateway may do there.
    #[error("it refuses: {message} ({code}){}", .remedy.as_deref().unwrap_or_default())]
    Refused {
        /// Its code.
        code: Box<str>,
        /// Its words.
        message: Box<str>,
        /// What helps, where that is known here.
        remedy: Option<Box<str>>,
    },
    /// No key could be made for the client.
    #[error("the cryptography of this host fails")]
    NoKey,
}

impl NoLink {
    /// Whether it was reached, and it or the gateway would not have the other.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            NoLink::Refused { .. } => true,
            NoLink::Away(error) => match error {
                ClientError::Tls(ConnectError::Broken { .. } | ConnectError::Name(_)) => false,
                ClientError::Tls(_)
                | ClientError::NeedsTls { .. }
                | ClientError::Http { .. }
                | ClientError::Refused(_) => true,
                ClientError::Nobody(_)
                | ClientError::Unreachable { .. }
                | ClientError::TooLate { .. }
                | ClientError::Request(_)
                | ClientError::Protocol { .. }
                | ClientError::Closed { .. } => false,
            },
            NoLink::Nonsense(_) | NoLink::Late(_) | NoLink::NoKey => false,
        }
    }
}

/// What is wrong where the server is that is configured, with what helps where that is known.
pub(super) fn words(error: &ClientError) -> String {
    match error {
        ClientError::Tls(error) => of_tls(error),
        ClientError::NeedsTls { target, .. } => {
            format!("{target} speaks TLS: write `wss://` in `upstream.url`")
        }
        ClientError::Http {
            status: 401 | 403, ..
        } => format!("{error}; look at `upstream.token`: it is the secret of the upstream"),
        ClientError::TooLate {
            what: Waited::Challenge,
            ..
        }
        | ClientError::Protocol { .. } => format!(
            "{error}; is it a gateway of OpenClaw? Of any other server write `upstream.kind: plain`"
        ),
        ClientError::Nobody(_)
        | ClientError::Unreachable { .. }
        | ClientError::TooLate { .. }
        | ClientError::Http { .. }
        | ClientError::Request(_)
        | ClientError::Closed { .. }
        | ClientError::Refused(_) => error.to_string(),
    }
}

fn of_tls(error: &ConnectError) -> String {
    match error {
        ConnectError::Untrusted { found, .. } => format!(
            "{error}. If that is what its own host says, write `upstream: {{ fingerprint: {found} \
             }}`; an authority of your own is named by the variable SSL_CERT_FILE"
        ),
        ConnectError::Pin { .. } => format!(
            "{error}. If it was renewed, write the new one as `upstream.fingerprint`; if not, \
             somebody may stand between you and it"
        ),
        ConnectError::NotTls(host) => format!(
            "{host} does not speak TLS at this port: write `ws://` in `upstream.url`, if it is on \
             this host"
        ),
        ConnectError::Key(_)
        | ConnectError::Name(_)
        | ConnectError::Handshake { .. }
        | ConnectError::Broken { .. } => error.to_string(),
    }
}
