//! Why there is no connection to the upstream. The owner is told; the client is told that there is
//! none.

use crate::client::ClientError;

/// Why there is no connection to the upstream.
#[derive(Debug, thiserror::Error)]
pub enum NoLink {
    /// It is not there, or says nothing that can be understood.
    #[error("{0}")]
    Away(#[from] ClientError),
    /// It took too long.
    #[error("it did not let the client in within {} s", .0.as_secs())]
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

/// Why the upstream gives no answer over HTTP, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It is not there.
    #[error("{0}")]
    Away(#[from] ClientError),
    /// It took too long.
    #[error("it did not answer a request within {} s", .0.as_secs())]
    Late(std::time::Duration),
    /// The client did not send all of its request.
    #[error("the client did not send all of its request")]
    NotSent(hyper::Error),
    /// It closed the connection in place of an answer, or what it says is no HTTP.
    #[error("it gives no answer in HTTP: {}", told(.0))]
    NoHttp(hyper::Error),
    /// It goes on in another protocol, which nobody asked it for.
    #[error("it answers a request with 101, for which it was not asked")]
    Switches,
    /// It was gone in the middle.
    #[error("it broke off in the middle of an answer: {}", told(.0))]
    BrokeOff(hyper::Error),
    /// It said nothing more in the middle.
    #[error("it stopped for {} s in the middle of an answer", .0.as_secs())]
    Stopped(std::time::Duration),
}

/// The client's doing is told apart from the upstream's.
impl From<hyper::Error> for NoAnswer {
    fn from(error: hyper::Error) -> Self {
        match error.is_user() {
            true => NoAnswer::NotSent(error),
            false => NoAnswer::NoHttp(error),
        }
    }
}

/// With what is behind it, which the library does not say by itself.
fn told(error: &hyper::Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
