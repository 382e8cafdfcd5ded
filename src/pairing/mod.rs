//! What we remember of devices: records, waiting requests, and how a connection relates to them.
//!
//! Nothing here reads or writes a store, and nothing knows how a connection authenticated:
//! that is `auth`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod key;
pub mod record;
pub mod standing;

pub use key::PublicKey;
pub use record::{Pending, Record, Token};
pub use standing::{DeviceRequest, Relation, Rules, Standing, TokenCheck};
