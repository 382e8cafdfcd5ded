//! Exact answers to questions about all connections: what a policy decides as one decision
//! diagram, and what follows from it.
//!
//! A connection is a vector of classes ([`space`]), of values that no policy at hand can tell apart
//! ([`domain`]); a policy is a diagram over them ([`diagram`]), made of the program that decides
//! ([`outcome`]) and of the assumptions on what a connection can be ([`assumed`]). Whom it lets in of
//! those who should not come in is asked by [`attacker`]. What is asked once is found by walking diagrams
//! side by side ([`product`]). What it shows is a connection for which it is
//! so ([`witness`]), or what would have to be otherwise ([`change`]).
//! Nothing is sampled and nothing searched for; what would take more than it may says so ([`Budget`]).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod alike;
mod altered;
mod answer;
mod assumed;
pub(crate) mod attacker;
mod change;
mod claims;
mod clauses;
mod combine;
mod cube;
pub(crate) mod dead_end;
mod decision_table;
mod diagram;
mod difference;
mod domain;
mod fingerprint;
mod ground;
mod groups;
mod meaning;
mod members;
mod names;
mod narrowing;
mod nodes;
mod outcome;
mod product;
mod question;
mod region;
mod space;
mod term;
mod walk;
mod witness;

#[cfg(test)]
mod tests;

pub(crate) use alike::are_alike;
pub(crate) use altered::Altered;
pub(crate) use answer::ELSEWHERE;
pub(crate) use change::{Move, Moves, Search, Steps, least_steps, smallest};
pub(crate) use claims::{prove, prove_each};
pub(crate) use clauses::{Analysed, Clauses, Way};
pub(crate) use cube::{Cube, Runs};
pub(crate) use decision_table::{DecisionTable, Entry};
pub use diagram::OverBudget;
pub(crate) use diagram::{Budget, ClassId, Id, Var};
pub use difference::Direction;
pub(crate) use difference::{Both, Part, Side, Transition};
pub(crate) use domain::{Class, values};
pub(crate) use fingerprint::canonical;
pub(crate) use ground::Ground;
pub(crate) use members::Member;
pub(crate) use names::Names;
pub(crate) use outcome::{IMPOSSIBLE, Outcomes};
pub(crate) use product::{Product, Tracks};
pub(crate) use region::{Region, Regions};
