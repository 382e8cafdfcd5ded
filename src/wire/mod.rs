//! What goes over the wire, as values: the first message that is read, and what is answered.
//!
//! [`frame`] makes JSON of bytes, [`connect`] a connect frame of JSON, [`version`] finds the
//! protocol that both sides speak, [`reply`] words every answer, and [`request`] reads what an
//! admitted client asks. [`bearer`] reads the head of a client that sends no such frame. Nothing
//! here decides, and nothing here touches a socket, a clock or randomness.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod bearer;
mod check;
pub mod close;
pub mod connect;
pub mod frame;
pub mod reply;
pub mod request;
pub mod schema;
pub mod version;

pub use bearer::{Bearer, BearerError};
pub use close::Close;
pub use connect::{Connect, ConnectError, ConnectErrorKind, SecretKind, SentSecrets};
pub use frame::{FrameError, Limits};
pub use schema::Schema;
pub use version::{Mismatch, negotiate};
