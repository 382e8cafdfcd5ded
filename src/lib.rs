//! `gw` decides which WebSocket connections may come in, and says why.
//!
//! A policy is text. [`lang`] reads it and refuses what could go wrong; [`compile`] turns what
//! is left into a program; [`Policy`] holds both, with its own tests passed.
//! A connection is a growing pile of [`facts`]: [`wire`] reads what the client sent, [`auth`]
//! adds what it proved, [`pairing`] what we remember of its device, and [`handshake`] finds
//! the facts in all of it.
//! [`decide()`] puts the two together. It cannot fail, wait, or look anything up.
//! [`explain()`] gives the account of a decision; [`cli`] asks the same questions by hand.
//!
//! ```
//! let policy = gw::Policy::parse("door.policy", r#"gw-policy 1
//! [tools] client=cli and auth=token and loopback and no-origin → silent-approve
//! default → require-pairing
//! test "the command line on this host": client=cli and auth=token and loopback → silent-approve
//! "#)?;
//!
//! // A gateway fills a `Handshake` from its socket, the HTTP head and the first frame.
//! let recorded = include_str!("../fixtures/handshake/local-cli.json");
//! let handshake = gw::handshake::parse(recorded)?;
//! let facts = gw::handshake::observe(&handshake).facts;
//!
//! let decision = gw::decide(policy.program(), &facts);
//! assert!(decision.verdict.admits());
//! assert_eq!(policy.label(decision.by), "tools");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A policy that extends or includes others is loaded by [`Policy::load`], with a function that
//! reads them. Facts can also be filled by hand; [`facts::assumptions`] says which go together,
//! and completes them.

pub mod admission;
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
pub mod recorded;
pub mod secret;
pub mod settings;
pub mod source;
pub mod verdict;
pub mod wire;

#[cfg(test)]
#[path = "../tests/support/sign.rs"]
mod sign;

pub use decide::{Decision, decide};
pub use explain::explain;
pub use facts::Facts;
pub use policy::Policy;

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
