//! The first message of a connection, read and proven; what is remembered is not asked here.

use std::sync::Arc;

use super::Reply;
use crate::auth;
use crate::facts::{DeviceProof, Text};
use crate::pairing::store::StoreError;
use crate::settings::Settings;
use crate::wire::reply::{connect_error, mismatch, unkept, unread};
use crate::wire::{Connect, Limits, Schema, connect, frame, negotiate};

/// The challenge that a connection was sent, and when its answer arrived.
#[derive(Clone, Copy, Debug)]
pub struct Challenged<'a> {
    /// The nonce; of a connection that was sent none, empty.
    pub nonce: &'a str,
    /// When the first message arrived, in Unix milliseconds.
    pub time_ms: i64,
}

/// A connect frame that can be judged: it keeps the schema, a protocol is spoken on both
/// sides, and the device proof is checked.
#[derive(Clone, Debug)]
pub struct Presented {
    pub(super) connect: Arc<Connect>,
    pub(super) protocol: u64,
    pub(super) proof: DeviceProof,
    pub(super) time_ms: i64,
    pub(super) over: Over,
}

/// What a connection is answered over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The WebSocket that it has.
    WebSocket,
    /// HTTP, before it has one.
    Http,
}

impl Presented {
    /// The device that it names, whose standing [`at_connect`](super::at_connect) needs. Of one
    /// that names none, the standing is the default one, and there is nothing to commit.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        self.device().map(|device| &**device)
    }

    /// The same, to be kept.
    pub(super) fn device(&self) -> Option<&Text> {
        let device = self.connect.claims().device.as_ref();
        device.map(|device| &device.id)
    }

    /// The connect frame.
    #[must_use]
    pub fn connect(&self) -> &Connect {
        &self.connect
    }

    /// The version of the protocol that is spoken.
    #[must_use]
    pub fn protocol(&self) -> u64 {
        self.protocol
    }

    /// The answer when what was decided cannot be kept, in the place of the one that came with
    /// the decision: that one promises a request or a token which nobody has.
    #[must_use]
    pub fn unkept(&self, error: &StoreError) -> Reply {
        Reply::to(&self.connect, unkept(error))
    }

    /// The answer when nothing can be decided, since the device cannot be looked up.
    #[must_use]
    pub fn unread(&self, error: &StoreError) -> Reply {
        Reply::to(&self.connect, unread(error))
    }

    /// What the device proof showed.
    #[must_use]
    pub fn proof(&self) -> DeviceProof {
        self.proof
    }
}

/// Reads the first message. This is where the signature is checked, once, however often the
/// standing changes afterwards.
///
/// # Errors
///
/// The answer to a message that is no connect frame, breaks the schema, or comes from a client
/// that speaks no protocol that is spoken here.
pub fn present(
    settings: &Settings,
    message: &[u8],
    challenged: Challenged<'_>,
) -> Result<Presented, Reply> {
    let (connect, protocol) = read(settings, message)?;
    let skew_ms = settings.compatibility.device_skew_ms;
    let claims = connect.claims();
    let proof = auth::device::prove(claims, challenged.nonce, challenged.time_ms, skew_ms);
    Ok(Presented {
        connect: connect.into(),
        protocol,
        proof,
        time_ms: challenged.time_ms,
        over: Over::WebSocket,
    })
}

fn read(settings: &Settings, message: &[u8]) -> Result<(Connect, u64), Reply> {
    let compatibility = &settings.compatibility;
    let most = Limits::DEFAULT.first_message_bytes;
    let frame = frame::read(message, most).map_err(|error| Reply::Closed(error.close()))?;
    let connect =
        connect::parse(&frame, &Schema::of(compatibility)).map_err(|error| match connect_error(
            &error,
            compatibility,
        ) {
            Ok(refusal) => Reply::refused(&frame, refusal),
            Err(close) => Reply::Closed(close),
        })?;
    let protocol = negotiate(&compatibility.protocol, &connect)
        .map_err(|error| Reply::refused(&frame, mismatch(&error, compatibility)))?;
    Ok((connect, protocol))
}
