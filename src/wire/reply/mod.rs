//! Every answer before and at admission: its words, its codes and its frames.
//!
//! What a reason is answered with is one row of `table`; what a row depends on besides is the
//! [`Context`]. Which reason it is was decided elsewhere.

pub mod call;
pub mod challenge;
pub mod context;
pub mod frames;
pub mod hello;
mod hint;
pub mod http;
pub mod pairing;
pub mod refusal;
pub mod request;
mod table;

pub use call::CallError;
pub use challenge::challenge;
pub use context::Context;
pub use frames::{event, response};
pub use hello::{Issued, Server, Session, admitted, hello};
pub use http::{CONNECTION_ID, HttpReason, HttpRefusal};
pub use pairing::{PairingRefusal, Waiting, pairing_required};
pub use refusal::{
    Refusal, agent_identity, connect_error, mismatch, node_identity, refuse, starting, unkept,
    unread, upstream_away,
};
pub use request::{BehindRefusal, RequestRefusal};
pub use table::ErrorCode;

#[cfg(test)]
mod tests;
