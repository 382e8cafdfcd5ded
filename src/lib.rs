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
//! let mut facts = gw::Facts::default();
//! facts.peer = gw::facts::Address::new([127, 0, 0, 1].into());
//! facts.auth = gw::facts::Auth::Token;
//!
//! let decision = gw::decide(policy.program(), &facts);
//! assert!(decision.verdict.admits());
//! assert_eq!(policy.label(decision.by), "tools");
//! # Ok::<(), gw::policy::PolicyError>(())
//! ```

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

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
