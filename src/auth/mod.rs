//! What a client proved: claims as they were sent, and what holds of them.
//!
//! Nothing here decides whether a connection comes in, and nothing waits: what has to be
//! remembered between connections (failures, setup codes) is a value that the caller keeps.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod bootstrap;
pub mod claims;
pub mod device;
pub mod limiter;
pub mod proxy;
pub mod reason;
pub mod tailscale;
pub mod verify;

pub use claims::{Claims, Credentials, DeviceClaim};
pub use reason::AuthReason;
pub use verify::{Memory, Request, Tried, Verified, rules, verify};
