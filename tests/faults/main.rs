//! A gateway to which something happens: it is killed at any moment, its disk is full, its files are
//! damaged, locked, taken away or written by halves, its clock was wrong. Every gateway here is the
//! real `gw serve`, a child process over real sockets and files.
//!
//! After each fault the same three things hold: what was answered is true, what was not answered is
//! not half done, and nobody is let in who was not before.
//!
//! Files are limited, mounts hidden and processes watched as Linux does it, so it is tried there alone.
//!
//! `GW_FAULT_ROUNDS` says how often what depends on chance is tried, of each kind (2 without it), and
//! `GW_FAULT_SEED` which numbers chance draws. A test that fails says which seed it had.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "this is a test: what is missing fails it, and says what it had"
)]

mod certificate;
mod chance;
mod clock;
mod database;
mod disk;
mod kept;
mod kills;
mod policy;
mod process;

#[path = "../support/client.rs"]
#[expect(dead_code, reason = "nobody listens to events here")]
mod client;
#[path = "../support/sign.rs"]
#[expect(
    dead_code,
    reason = "handshakes are not made here: they are made over a socket"
)]
mod sign;
