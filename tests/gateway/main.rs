//! The live gateway in this process: real sockets, TLS and files, and clients that keep the
//! protocol, race, dawdle or break it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is a test: what is missing fails it"
)]

mod ends;
mod guesses;
mod handshakes;
mod lanes;
mod limits;
mod pages;
mod plain;
mod races;
mod relays;
mod stores;

#[path = "../support/client.rs"]
mod client;
#[path = "../support/echo.rs"]
mod echo;
#[path = "../support/raw.rs"]
mod raw;
#[path = "../support/served.rs"]
mod served;
#[path = "../support/sign.rs"]
#[expect(
    dead_code,
    reason = "handshakes are not made here: they are made over a socket"
)]
mod sign;
#[path = "../support/upstream.rs"]
mod upstream;
