//! THE TABLES of lines: their kinds, and the words of what ends connections and changes devices.
//! Metrics count by the same words.

use crate::admission::{Ended, Reply};
use crate::facts::word::words;
use crate::pairing::rpc::Call;

words! {
    /// What a line is about.
    Kind {
        Decided "decided" "a connection was decided: admitted, kept waiting, or refused",
        UpgradeRefused "upgrade-refused" "a request was answered over HTTP, and there was no WebSocket",
        FrameRefused "frame-refused" "the first message was refused before any policy was asked",
        Unfinished "closed-before-connect" "a connection ended before it was decided",
        SessionEnded "session-ended" "the session of an admitted connection ended",
        PairingChanged "pairing-changed" "somebody who may manage devices changed what is remembered",
        LinesDropped "lines-dropped" "lines before this one could not be written",
        LinesLeftOut "lines-left-out" "connections that nothing was decided of, or that were refused and proved no secret, have no line of their own: they were too many",
    }
}

words! {
    /// Why a first message was refused before any policy was asked.
    Fault {
        Frame "invalid-frame" "no request frame: closed without a response",
        Connect "invalid-connect" "no connect frame, or one that breaks the schema",
        Protocol "protocol-mismatch" "the client speaks no version that is spoken here",
    }
}

impl Fault {
    /// The fault that an answer of [`present`](crate::admission::present) is about.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        /// RFC 6455, 7.4.1: a protocol error.
        const PROTOCOL_ERROR: u16 = 1002;
        match reply {
            Reply::Closed(_) => Fault::Frame,
            Reply::Refused { refusal, .. } if refusal.close.code == PROTOCOL_ERROR => {
                Fault::Protocol
            }
            Reply::Refused { .. } | Reply::Admitted(_) | Reply::Http(_) => Fault::Connect,
        }
    }
}

words! {
    /// Why a connection ended before it was decided.
    Unfinished {
        TimedOut "handshake-timeout" "it took too long",
        ClosedByClient "closed-by-client" "the client closed it",
        Lost "lost" "the socket broke",
        TooMuch "too-much" "it sent more than may wait before a decision",
        GaveWay "gave-way" "it said nothing, and others of its address came, of which no more may wait",
        Shutdown "shutdown" "the gateway ended",
    }
}

words! {
    /// Why a session ended.
    Finish {
        AuthChanged "auth-changed" "the login that let it in is another one now",
        Revoked "revoked" "its device is no longer paired, or its token no longer holds",
        Expired "expired" "the time is over that the policy gave it",
        PolicyChanged "policy-changed" "the policy does not admit it any longer, or not with all its scopes",
        Unknown "store-failed" "what is remembered of its device could not be looked at",
        ClosedByClient "closed-by-client" "the client closed it",
        Lost "lost" "the socket broke",
        Slow "slow-reader" "more waited for it than may",
        NoRoom "no-room" "there were as many sessions as may be, and it was of those who had most of them",
        SlowSender "slow-sender" "a message that it began came too slowly",
        Misbehaved "protocol-violation" "it sent what no client may send",
        UpstreamEnded "upstream-ended" "the server behind the gateway ended it, or is gone",
        Shutdown "shutdown" "the gateway ended",
    }
}

impl From<Ended> for Finish {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::AuthChanged => Finish::AuthChanged,
            Ended::Revoked => Finish::Revoked,
            Ended::Expired => Finish::Expired,
            Ended::PolicyChanged => Finish::PolicyChanged,
        }
    }
}

words! {
    /// What somebody did who may manage devices.
    Managed {
        Approved "approved" "the request was approved",
        Rejected "rejected" "the request was rejected",
        Removed "removed" "the device was removed",
        Rotated "rotated" "a token of the device was replaced",
        Revoked "revoked" "a token of the device was made worthless",
        Granted "granted" "what the device may do was set, without a request",
    }
}

impl Managed {
    /// What a call does, where it changes anything.
    #[must_use]
    pub fn of(call: &Call) -> Option<Self> {
        Some(match call {
            Call::List => return None,
            Call::Approve { .. } => Managed::Approved,
            Call::Reject { .. } => Managed::Rejected,
            Call::Remove { .. } => Managed::Removed,
            Call::Rotate { .. } => Managed::Rotated,
            Call::Revoke { .. } => Managed::Revoked,
            Call::Grant { .. } => Managed::Granted,
        })
    }
}
