//! `gw` decides which WebSocket connections may come in, and says why.
//!
//! [`server`] is a live gateway: [`server::run()`] serves a [`server::Gateway`] at listeners, and
//! the program around it calls it by [`server::Gateway::connect_in_process`].
//!
//! A server of your own goes through [`admission`], values to values:
//!
//! 1. [`admission::at_upgrade`] looks at the socket and the HTTP head, before there is a WebSocket.
//! 2. [`admission::present`] reads the first message and checks the device's signature.
//! 3. [`admission::at_connect`] decides, by a [`Policy`] and what is remembered of the device. It
//!    says what to write, what to answer, how to close, and gives a [`admission::Permit`].
//! 4. A [`pairing::store::Store`] takes what is to be written, or says that it was overtaken: then
//!    load what is remembered and ask [`admission::at_connect`] again. Answer only what was written.
//! 5. [`admission::still_admitted`] asks about a session again, when the policy, the settings or the
//!    record are others.
//!
//! Who only wants an answer and its reasons calls [`decide()`] and [`explain()`] on facts.
//!
//! A policy is text. [`lang`] reads it and refuses what could go wrong; [`compile`] turns what
//! is left into a program; [`Policy`] holds both, with its own tests passed.
//! A connection is a growing pile of [`facts`]: [`wire`] reads what the client sent, [`auth`]
//! adds what it proved, [`pairing`] what we remember of its device, and [`handshake`] finds
//! the facts in all of it.
//! [`decide()`] puts the two together. It cannot fail, wait, or look anything up.
//! [`explain()`] gives the account of a decision, [`journal`] a line of the log, which [`cli`] makes
//! an account of again. What a gateway is told comes from [`config`]; what it asks of its host is
//! [`host`]'s; [`client`] is how our own tools speak with it.
//!
//! ```
//! let policy = gw::Policy::parse("door.policy", r#"gw-policy 1
//! [tools] client=cli and auth=token and loopback and no-origin → silent-approve
//! default → require-pairing
//! test "the command line on this host": client=cli and auth=token and loopback → silent-approve
//! "#)?;
//!
//! // One file has all of a connection. A server uses `admission`, and has no such file.
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
mod analysis;
pub mod audit;
pub mod auth;
pub mod claims;
pub mod cli;
pub mod client;
pub mod compile;
pub mod config;
pub mod coverage;
pub mod decide;
pub mod diagnostic;
pub mod explain;
pub mod facts;
pub mod handshake;
pub mod host;
pub mod journal;
pub mod lang;
pub mod lint;
pub mod logline;
pub mod pairing;
mod pipe;
pub mod policy;
pub mod recorded;
pub mod relay;
pub mod repair;
pub mod secret;
pub mod server;
pub mod settings;
pub mod source;
pub mod verdict;
pub mod wire;

#[cfg(test)]
#[path = "../tests/support/sign.rs"]
mod sign;
#[cfg(test)]
#[path = "../tests/support/small.rs"]
mod small;

/// What tests share names this crate as they do.
#[cfg(test)]
extern crate self as gw;

pub use decide::{Decision, decide};
pub use explain::explain;
pub use facts::Facts;
pub use policy::Policy;

/// The examples of the README are run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
