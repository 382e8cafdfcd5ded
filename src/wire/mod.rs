//! What goes over the wire, as values: so far, reading the first frame of a connection.
//!
//! Nothing here decides, and nothing here touches a socket.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod check;
pub mod connect;

pub use connect::{Connect, ConnectError, ConnectErrorKind};
