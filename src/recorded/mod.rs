//! Recordings of real gateways: rows that say what was sent by kind, as handshakes.
//!
//! A recording is a file of JSON lines, compressed or not: for each configuration a line with
//! its settings, then a line for each case. A row names secrets, keys and earlier pairing by
//! kind ("good", "stale-121s", "paired-read"); here keys and secrets of this module's own
//! stand for them, so that a row becomes bytes that any gateway could be sent. [`replay()`] sends
//! them through [`admission`](crate::admission), and [`outcome`] compares.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod outcome;
pub mod prior;
pub mod replay;
pub mod row;
pub mod sent;
mod signer;

pub use outcome::{Level, Signature};
pub use replay::{Replayed, replay};
pub use row::{Recording, Row, RowError, Step};
pub use sent::{NONCE, NOW_MS, Sent};
