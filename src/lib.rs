//! `gw` decides which WebSocket connections may come in, and says why.
pub mod facts;
pub mod secret;
pub mod source;
pub mod verdict;
