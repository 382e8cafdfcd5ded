//! Exact answers to questions about all connections: what a policy decides as one decision
//! diagram, and what follows from it.
//!
//! A connection is a vector of classes, of values that no policy at hand can tell apart
//! ([`domain`]); a policy is a diagram over them ([`diagram`]), made of the program that decides
//! ([`outcome`]) and of the assumptions on what a connection can be ([`assumed`]). What it shows is a
//! connection for which it is so ([`witness`]). Nothing is sampled
//! and nothing searched for; what would take more than it may says so ([`Budget`]).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod answer;
mod assumed;
mod claims;
mod clauses;
mod cube;
mod diagram;
mod difference;
mod domain;
mod fingerprint;
mod ground;
mod meaning;
mod names;
mod outcome;
mod question;
mod region;
mod term;
mod witness;

#[cfg(test)]
mod tests;

pub(crate) use answer::ELSEWHERE;
pub(crate) use claims::prove;
pub(crate) use clauses::{Clauses, Way};
pub(crate) use diagram::{Budget, Id, OverBudget};
pub(crate) use difference::{Difference, Direction, Part, Side, Transition};
pub(crate) use fingerprint::canonical;
pub(crate) use ground::Ground;
pub(crate) use outcome::Outcomes;
