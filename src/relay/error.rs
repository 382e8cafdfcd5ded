//! Why there is no connection to the upstream. The owner is told; the client is told that there is
//! none.

use crate::client::ClientError;

/// Why there is no connection to the upstream.
#[derive(Debug, thiserror::Error)]
pub enum NoLink {
    /// It is not there, or says nothing that can be understood.
    #[error("{0}")]
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
