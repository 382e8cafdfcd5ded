//! One message before admission: how large it may be, and bytes made JSON.
//!
//! What the JSON has to be is [`super::connect`]'s.

use serde_json::Value;

use super::close::Close;

/// What a peer may take of a gateway before and after it is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message before admission; one more is too many (`schema/raw-size-65537`).
    pub first_message_bytes: usize,
    /// Messages that may wait while the first is judged.
    pub waiting_messages: usize,
    /// Sockets of one client that are not admitted yet; the next gets HTTP 503
    /// (`preauth-budget/40-idle-sockets`).
    pub waiting_sockets: usize,
    /// Milliseconds from the upgrade to the answer; then the connection is closed with 1000.
    pub handshake_ms: u64,
    /// Bytes of a message after admission.
    pub message_bytes: u64,
    /// Bytes of a message after admission that the gateway answers itself. It makes JSON of it,
    /// which takes up to a hundred times as much, so one may have no more than a first one.
    pub request_bytes: usize,
    /// Bytes that may wait for a client that reads slowly.
    pub buffered_bytes: u64,
    /// Milliseconds between two `tick` events.
    pub tick_ms: u64,
}

impl Limits {
    /// Those of the newest release.
    pub const DEFAULT: Limits = Limits {
        first_message_bytes: 65_536,
        waiting_messages: 15,
        waiting_sockets: 32,
        handshake_ms: 15_000,
        message_bytes: 26_214_400,
        request_bytes: 65_536,
        buffered_bytes: 52_428_800,
        tick_ms: 30_000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}

/// Why a message is not read. No response is sent: the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than is allowed.
    #[error("the message is too large")]
    TooLarge,
    /// Not UTF-8.
    #[error("the message is not UTF-8")]
    NotUtf8,
    /// Not JSON. A byte order mark is not JSON; neither is what lies deeper than 127 levels,
    /// or a number beyond a double's range, which no frame has.
    #[error("the message is not JSON")]
    NotJson,
}

impl FrameError {
    /// How the connection is closed (`schema/raw-*`).
    #[must_use]
    pub fn close(self) -> Close {
        let code = match self {
            FrameError::TooLarge => 1009,
            FrameError::NotUtf8 => 1007,
            FrameError::NotJson => 1000,
        };
        Close::new(code, "")
    }
}

/// Reads the payload of a text or a binary message, which count alike, of up to `most` bytes.
/// Of a name that an object has twice, the last counts.
///
/// # Errors
///
/// [`FrameError`]; nothing of the message is in it.
pub fn read(message: &[u8], most: usize) -> Result<Value, FrameError> {
    if message.len() > most {
        return Err(FrameError::TooLarge);
    }
    let text = std::str::from_utf8(message).map_err(|_| FrameError::NotUtf8)?;
    serde_json::from_str(text).map_err(|_| FrameError::NotJson)
}

#[cfg(test)]
mod tests;
