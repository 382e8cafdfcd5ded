//! What each fuzz target does with its bytes: a function that returns where all is as it should be,
//! and panics where it is not.
//!
//! Nothing of libFuzzer is here: the tests of gw replay the corpus by the same functions.

pub mod admission;
mod choices;
pub mod connect;
pub mod decision;
pub mod handshake;
pub mod head;
pub mod import;
pub mod policy;
mod releases;
mod written;

#[path = "../../tests/support/answer.rs"]
mod answer;
#[path = "../../tests/support/arrives.rs"]
#[expect(dead_code, reason = "events come one after the other here")]
mod arrives;
#[path = "../../tests/support/carried_out.rs"]
mod carried_out;
#[path = "../../tests/support/layout.rs"]
mod layout;
#[path = "../../tests/support/naive.rs"]
mod naive;
#[path = "../../tests/support/scenario.rs"]
#[expect(dead_code, reason = "the golden scenarios are read elsewhere")]
mod scenario;
#[path = "../../tests/support/sign.rs"]
mod sign;

/// A target, by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("admission", admission::run),
    ("connect", connect::run),
    ("decision", decision::run),
    ("handshake", handshake::run),
    ("head", head::run),
    ("import", import::run),
    ("policy", policy::run),
];
