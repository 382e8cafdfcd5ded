//! The live gateway: sockets, TLS, HTTP and WebSocket, sessions, and what they share.
//!
//! A [`Gateway`] is a policy, settings and a store of devices; [`run()`] serves it at
//! [`Listener`]s until it is told to stop. A connection goes through [`crate::admission`], step by
//! step, and this module brings what that does not know: the clock, randomness, the peer's owner,
//! the disk. Nothing is decided here.
//!
//! Where a connection is at: [`listener`] accepts it, `connection` serves it, `http` answers what
//! is no WebSocket, `admit` has it decided and writes what changes, `session` is what it may do
//! then, and `methods` is the table of calls.

mod admit;
mod ahead;
mod behind;
mod clock;
mod connection;
mod covered;
pub mod decision_log;
mod fault;
mod gateway;
mod http;
mod in_process;
pub mod listener;
mod methods;
pub mod metrics;
mod notes;
mod own_commits;
mod page;
mod plain;
mod record;
mod relayed;
mod reload;
mod run;
mod session;
mod sessions;
mod snapshot;
mod strangers;
mod stream;
pub mod tls;
mod unadmitted;
mod upkeep;
mod waiting;
mod watch;
mod websocket;

pub use clock::NoRandomness;
pub use gateway::{Gateway, Options};
pub use http::head;
pub use in_process::{Identity, InProcess, NotAnswered, NotConnected};
pub use listener::Listener;
pub use methods::{Answer, Caller, Methods, NoOther, is_ours, scopes_for};
pub use reload::{Load, Loaded, Reloaded, Unloaded};
pub use run::{Drained, run};
