//! `gw` decides which WebSocket connections may come in, and says why.
pub mod auth;
pub mod claims;
pub mod cli;
pub mod compile;
pub mod decide;
pub mod diagnostic;
pub mod explain;
pub mod facts;
pub mod handshake;
pub mod lang;
pub mod pairing;
pub mod policy;
pub mod secret;
pub mod settings;
pub mod source;
pub mod verdict;
pub mod wire;

pub use decide::{Decision, decide};
pub use explain::explain;
pub use facts::Facts;
pub use policy::Policy;
