//! What a handshake costs the gateway as a process: beside a bare server of the same parts, over
//! real sockets, in one run.
//!
//! Each subject is a process of its own: `gw serve`, and this program again as [`bare`], which
//! accepts, upgrades, sends a challenge, verifies the signature and answers with as many bytes,
//! and does nothing else. Clients here knock at each in turn, several rounds, so that whatever
//! else the machine does falls on both. The ratios are what to look at; the absolute figures tell
//! what the machine was like. Processor time and memory are the kernel's figures of the process,
//! in `/proc`; where there is none those columns stay empty.
//!
//! `cargo bench --bench gateway` takes about a minute; `-- --test` looks only whether it runs.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "this is a benchmark: what is missing ends it, and its table is printed"
)]

mod bare;
mod client;
mod process;
mod subject;
mod table;

use std::time::Duration;

use subject::Subject;

/// How long it takes.
struct Effort {
    rounds: usize,
    round: Duration,
    idle: usize,
}

const MEASURED: Effort = Effort {
    rounds: 5,
    round: Duration::from_secs(2),
    idle: 1_000,
};
const SMOKE: Effort = Effort {
    rounds: 1,
    round: Duration::from_millis(100),
    idle: 8,
};

/// How many clients knock at once.
const AT_ONCE: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [bare, rest @ ..] = arguments.as_slice()
        && bare == bare::ARGUMENT
    {
        return bare::serve(rest);
    }
    let effort = match arguments.iter().any(|argument| argument == "--test") {
        true => SMOKE,
        false => MEASURED,
    };
    let folder = tempfile::tempdir().expect("a folder");
    for tls in [false, true] {
        let gw = Subject::gateway(folder.path(), tls);
        let bare = Subject::bare(folder.path(), tls, gw.hello_bytes());
        let subjects = [gw, bare];
        let mut measured = [const { Vec::new() }; 2];
        for subject in &subjects {
            subject.knock(AT_ONCE, effort.round / 4);
        }
        for _ in 0..effort.rounds {
            for (subject, rounds) in subjects.iter().zip(&mut measured) {
                rounds.push(subject.knock(AT_ONCE, effort.round));
            }
        }
        let idle = subjects.each_ref().map(|subject| subject.hold(effort.idle));
        table::print(tls, &subjects, &measured, &idle);
    }
}
