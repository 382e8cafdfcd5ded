//! What is proved of a policy, against a search through every kind of connection of a small
//! vocabulary, and against a library that knows nothing of this program.
//!
//! A plain run takes a share of all small policies; `GW_CASES=all cargo test --release --test oracle`
//! takes them all.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "this is a test: what is missing fails it, and it says how much it looked at"
)]

#[path = "../support/small.rs"]
mod small;

mod changes;
mod claims;
mod diagrams;
mod findings;
mod meaning;
mod proxies;
mod search;
mod share;
mod values;
