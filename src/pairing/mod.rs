//! What we remember of devices: records, waiting requests, how a connection relates to them,
//! and how they change.
//!
//! All is pure but [`memory`] and [`sqlite`], which keep it, and [`import::folder`], which reads
//! a gateway's files: time, ids and secrets are arguments, and a [`Change`] says what to write.
//! Nothing knows how a connection authenticated, or whether it
//! may come in: that is `auth` and `decide`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod approve;
pub mod change;
pub mod course;
pub mod grant;
pub mod import;
mod kept;
pub mod key;
mod lists;
pub mod memory;
pub mod record;
pub mod removal;
pub mod request;
pub mod room;
pub mod rpc;
pub mod session;
pub mod sqlite;
pub mod standing;
pub mod store;
pub mod stored;
#[cfg(test)]
pub(crate) mod suite;
pub mod token;

pub use approve::{Approver, Denied, approve};
pub use change::{Change, Decision, Event, Fresh, Write};
pub use course::{Course, Outcome, carry_out};
pub use key::PublicKey;
pub use memory::Memory;
pub use record::{Issuer, NodePending, Pending, Record, Token, Via};
pub use request::{Ask, request};
pub use sqlite::Sqlite;
pub use standing::{DeviceRequest, Relation, Rules, Standing, TokenCheck};
pub use store::{Store, StoreError, Version};
pub use token::{IssuedToken, ensure_token};
