//! What hostile and careless clients come to, in numbers: a gateway as a process of its own, whoever
//! abuses it, and honest clients beside them.
//!
//! `cargo bench --bench abuse` does all of it, which takes most of an hour; `-- NAME` only what has
//! that in its name. Each line of the table says what was done, how often, what came of it, and
//! whether the bound holds; where one does not, the exit code is 1. What is about time is a ratio
//! within one run. `-- --test` does a little of each, in seconds, and leaves out what is about time.
//!
//! All traffic is on loopback, where there are sixteen million addresses to come from. Memory and
//! files are the kernel's figures of the process, in `/proc`; where there is none, what is bounded by
//! them is left out and said to be.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this is a benchmark: what is missing ends it, and its table is printed"
)]

#[path = "../gateway/client.rs"]
#[expect(dead_code, reason = "benches/gateway asks more of it")]
mod client;
mod dial;
mod gateway;
mod guesses;
mod honest;
mod idle;
#[path = "../gateway/process.rs"]
#[expect(dead_code, reason = "benches/gateway asks more of it")]
mod process;
mod reloads;
mod report;
mod requests;
mod slow;
mod unread;

use std::process::ExitCode;

use gw::host::files::raise_limit;
use report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much of it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    /// As much as the table says.
    Whole,
    /// A little, to see that it runs and that what knows no clock holds.
    Smoke,
}

impl Effort {
    /// So much of it, or so little.
    fn of<T>(self, whole: T, smoke: T) -> T {
        match self {
            Effort::Whole => whole,
            Effort::Smoke => smoke,
        }
    }
}

/// What is done under a name.
type Named = (&'static str, fn(Effort, &mut Report));

/// Everything that is done, by name.
const ALL: [Named; 8] = [
    ("idle", idle::run),
    ("slow-head", slow::heads),
    ("slow-frame", slow::frames),
    ("slow-tls", slow::tls),
    ("guesses", guesses::run),
    ("reloads", reloads::run),
    ("unread", unread::run),
    ("requests", requests::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let _ = raise_limit();
    if let [hold, rest @ ..] = arguments.as_slice()
        && hold == idle::ARGUMENT
    {
        idle::hold(rest);
        return ExitCode::SUCCESS;
    }
    // Whoever runs it as a test only looks whether it runs.
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let effort = match has("--bench") && !has("--test") {
        true => Effort::Whole,
        false => Effort::Smoke,
    };
    let named = arguments.iter().find(|argument| !argument.starts_with('-'));
    let mut report = Report::new(effort);
    for (name, run) in ALL {
        if named.is_none_or(|named| name.contains(named.as_str())) {
            run(effort, &mut report);
        }
    }
    match report.holds() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
