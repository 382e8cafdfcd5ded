//! What a client proved: claims as they were sent, and what holds of them.
//!
//! Nothing here decides whether a connection comes in, and nothing waits or counts: rate
//! limits and Tailscale's whois are not looked at, so neither is ever believed.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod claims;
pub mod device;
pub mod proxy;
pub mod verify;

pub use claims::{Claims, Credentials, DeviceClaim};
pub use verify::{Request, Verified, rules, verify};
