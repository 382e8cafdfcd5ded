//! What a handshake costs the gateway as a process: beside a bare server of the same parts, over
//! real sockets, in one run.
//!
//! Each subject is a process of its own: `gw serve`, and this program again as [`bare`], which
//! accepts, upgrades, sends a challenge, verifies the signature and answers with as many bytes,
//! and does nothing else but say back what is said to it then. Clients here knock at each in turn, several rounds, so that whatever
//! else the machine does falls on both. The ratios are what to look at; the absolute figures tell
//! what the machine was like. Processor time and memory are the kernel's figures of the process,
//! in `/proc`; where there is none those columns stay empty.
//!
//! Then the gateway stands in front of the bare server, and the same clients reach that through it
//! and without it; what the gateway's own process takes is what is added.
//!
//! `cargo bench --bench gateway` takes some minutes; `-- relayed` measures only what has that in its
//! title, and `-- --test` looks only whether it runs.

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

use subject::{Round, Subject};

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

/// How much connections may take together that are held after they said something.
const HELD_BYTES: usize = 1 << 26;

/// How many clients knock at once.
const AT_ONCE: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [bare, rest @ ..] = arguments.as_slice()
        && bare == bare::ARGUMENT
    {
        return bare::serve(rest);
    }
    // Whoever runs it as a test only looks whether it runs.
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let effort = match has("--bench") && !has("--test") {
        true => MEASURED,
        false => SMOKE,
    };
    let named = arguments.iter().find(|argument| !argument.starts_with('-'));
    let is_asked = |title: &str| named.is_none_or(|named| title.contains(named.as_str()));
    let folder = tempfile::tempdir().expect("a folder");
    for tls in [false, true] {
        let title = if tls {
            "handshake, TLS 1.3"
        } else {
            "handshake, plain"
        };
        if !is_asked(title) {
            continue;
        }
        let gw = Subject::gateway(folder.path(), tls);
        let bare = Subject::bare(folder.path(), tls, gw.hello_bytes());
        compare(title, [&gw, &bare], &effort, 0, |subject, during| {
            subject.knock(AT_ONCE, during)
        });
    }
    let bare = Subject::bare(folder.path(), false, 4_096);
    let relay = Subject::relay(folder.path(), &bare);
    let subjects = [&relay, &bare];
    let title = "relayed handshake";
    if is_asked(title) {
        compare(title, subjects, &effort, 0, |subject, during| {
            subject.knock(AT_ONCE, during)
        });
    }
    for (title, clients, bytes) in [
        ("relayed, 1 KiB, one client", 1, 1 << 10),
        ("relayed, 1 KiB, 16 clients", 16, 1 << 10),
        ("relayed, 1 MiB, one client", 1, 1 << 20),
        ("relayed, 1 MiB, 4 clients", 4, 1 << 20),
        ("relayed, 16 MiB, one client", 1, 1 << 24),
    ] {
        if is_asked(title) {
            compare(title, subjects, &effort, bytes, |subject, during| {
                subject.talk(clients, bytes, during)
            });
        }
    }
}

/// Measures two subjects in turn, and prints what they came to. A connection that is held to see
/// what it takes has said so many bytes before.
fn compare(
    title: &str,
    subjects: [&Subject; 2],
    effort: &Effort,
    said: usize,
    measure: impl Fn(&Subject, Duration) -> Round,
) {
    let mut measured = [const { Vec::new() }; 2];
    for subject in subjects {
        measure(subject, effort.round / 4);
    }
    for _ in 0..effort.rounds {
        for (subject, rounds) in subjects.iter().zip(&mut measured) {
            rounds.push(measure(subject, effort.round));
        }
    }
    let most = HELD_BYTES.checked_div(said).unwrap_or(usize::MAX);
    let idle = subjects.map(|subject| subject.hold(effort.idle.min(most.max(2)), said));
    table::print(title, subjects, &measured, &idle);
}
