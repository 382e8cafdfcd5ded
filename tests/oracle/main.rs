//! What is proved of a policy, against a search through every kind of connection of a small
//! vocabulary, and against a library that knows nothing of this program.
//!
//! A plain run takes a share of all small policies; `GW_CASES=all cargo test --release --test oracle`
//! takes them all.

#[path = "../support/small.rs"]
mod small;

mod changes;
mod claims;
mod diagrams;
mod findings;
mod meaning;
mod search;
mod share;
mod values;
