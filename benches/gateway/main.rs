//! What a handshake costs the gateway as a process: beside a bare server of the same parts, over
//! real sockets, in one run.
//!
//! Each subject is a process of its own: `gw serve`, and this program again as [`bare`], which
//! accepts, upgrades, sends a challenge, verifies the signature and answers with as many bytes,
//! and does nothing else but say back what is said to it then. Clients here knock at each in turn,
//! several rounds, so that whatever else the machine does falls on both. The ratios are what to look
//! at; the absolute figures tell what the machine was like. Processor time and memory are the kernel's figures of the process,
//! in `/proc`; where there is none those columns stay empty.
//!
//! The same is asked of a gateway that remembers many devices beside one that remembers few, of one
//! whose policy of many rules is changed again and again beside the same one left alone, and of a
//! release of OpenClaw beside the gateway. Where that release is not installed its row says so.
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
#[expect(dead_code, reason = "benches/abuse asks more of it")]
mod client;
mod devices;
mod openclaw;
#[expect(dead_code, reason = "benches/abuse asks more of it")]
mod process;
mod rules;
mod subject;
mod table;

use std::path::Path;
use std::time::Duration;

use gw::host::files::raise_limit;
use rules::Rules;
use subject::{Round, Subject};

/// The bare server allocates with what the gateway does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long it takes.
struct Effort {
    rounds: usize,
    round: Duration,
    /// How long it takes at most until what is left for later is done.
    settles: Duration,
    idle: usize,
    /// How many connections wait where nothing else is looked at.
    waiting: usize,
    /// How many devices are many.
    devices: u64,
    /// How many rules are many.
    rules: usize,
}

const MEASURED: Effort = Effort {
    rounds: 5,
    round: Duration::from_secs(2),
    settles: Duration::from_secs(6),
    idle: 1_000,
    waiting: 4_000,
    devices: 1_000_000,
    rules: 10_000,
};
const SMOKE: Effort = Effort {
    rounds: 1,
    round: Duration::from_millis(100),
    settles: Duration::ZERO,
    idle: 8,
    waiting: 8,
    devices: 100,
    rules: 100,
};

/// How much connections may take together that are held after they said something.
const HELD_BYTES: usize = 1 << 26;

/// How many clients knock at once.
const AT_ONCE: usize = 64;

/// How many where the server is one that takes long for each, or where it is to have something left.
const FEW: usize = 8;

/// How many devices are few.
const FEW_DEVICES: u64 = 10;

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
        compare(title, [&gw, &bare], &effort, 0, |_, subject, during| {
            subject.knock(AT_ONCE, during)
        });
    }
    for (title, tls) in [("waiting, plain", false), ("waiting, TLS 1.3", true)] {
        if is_asked(title) {
            wait(title, folder.path(), tls, &effort);
        }
    }
    if is_asked("devices") {
        remember("devices", &effort);
    }
    for (title, clients) in [
        ("reloads, 8 clients", FEW),
        ("reloads, 64 clients", AT_ONCE),
    ] {
        if is_asked(title) {
            reload(title, clients, &effort);
        }
    }
    // Whoever only looks whether it runs does not wait for another program.
    if is_asked("OpenClaw") && has("--bench") {
        beside_openclaw("OpenClaw", &effort);
    }
    if !["relayed handshake"]
        .into_iter()
        .chain(RELAYED.map(|(title, ..)| title))
        .any(is_asked)
    {
        return;
    }
    let bare = Subject::bare(folder.path(), false, 4_096);
    let relay = Subject::relay(folder.path(), &bare);
    let subjects = [&relay, &bare];
    let title = "relayed handshake";
    if is_asked(title) {
        compare(title, subjects, &effort, 0, |_, subject, during| {
            subject.knock(AT_ONCE, during)
        });
    }
    for (title, clients, bytes) in RELAYED {
        if is_asked(title) {
            compare(title, subjects, &effort, bytes, |_, subject, during| {
                subject.talk(clients, bytes, during)
            });
        }
    }
}

/// What is sent through the gateway: by so many clients, so many bytes at a time.
const RELAYED: [(&str, usize, usize); 5] = [
    ("relayed, 1 KiB, one client", 1, 1 << 10),
    ("relayed, 1 KiB, 16 clients", 16, 1 << 10),
    ("relayed, 1 MiB, one client", 1, 1 << 20),
    ("relayed, 1 MiB, 4 clients", 4, 1 << 20),
    ("relayed, 16 MiB, one client", 1, 1 << 24),
];

/// What a connection takes that was admitted and waits: of servers that nobody else has asked
/// anything, so that what others left free does not count for it.
fn wait(title: &str, folder: &Path, tls: bool, effort: &Effort) {
    let gw = Subject::gateway(folder, tls);
    let bare = Subject::bare(folder, tls, gw.hello_bytes());
    let _ = raise_limit();
    let subjects = [&gw, &bare];
    let held = subjects.map(|subject| {
        subject.knock(1, effort.round / 4);
        subject.hold(effort.waiting, 0)
    });
    table::print(title, subjects, &[const { Vec::new() }; 2], &held);
}

/// A gateway that remembers many devices, any of which knocks, beside one that remembers few.
fn remember(title: &str, effort: &Effort) {
    let folders = [(); 2].map(|()| tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")));
    let folders = folders.map(|folder| folder.expect("a folder"));
    let numbers = [effort.devices, FEW_DEVICES];
    for (folder, devices) in folders.iter().zip(numbers) {
        let took = devices::fill(folder.path(), devices);
        println!(
            "{devices} devices were written in {:.1} s",
            took.as_secs_f64()
        );
    }
    let [many, few] = &folders;
    let named = |devices: u64| format!("{devices} devices");
    let [many, few] = [(many, effort.devices), (few, FEW_DEVICES)].map(|(folder, devices)| {
        let gw = Subject::gateway_of(&named(devices), folder.path(), false, None);
        gw.settling(effort.settles)
    });
    compare(title, [&many, &few], effort, 0, |at, subject, during| {
        let [many, few] = numbers;
        let devices = if at == 0 { many } else { few };
        subject.knock_as_any(AT_ONCE, devices, during)
    });
    for subject in [&many, &few] {
        if let Some(bytes) = subject.resident() {
            println!("{}: {} MiB resident", subject.name, bytes >> 20);
        }
    }
    println!();
}

/// A gateway with a policy of many rules, changed again and again, beside the same left alone.
fn reload(title: &str, clients: usize, effort: &Effort) {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = Rules::new(folder.path(), effort.rules);
    let gw = Subject::gateway_of("changed", folder.path(), false, Some(rules.file()));
    let alone = tempfile::tempdir().expect("a folder");
    let same = Rules::new(alone.path(), effort.rules);
    let left_alone = Subject::gateway_of("left alone", alone.path(), false, Some(same.file()));
    let subjects = [&gw, &left_alone];
    compare(title, subjects, effort, 0, |at, subject, during| match at {
        0 => rules.changing(|| subject.knock(clients, during)),
        _ => subject.knock(clients, during),
    });
    println!(
        "{} rules were loaded again {} times\n",
        effort.rules,
        gw.reloads()
    );
}

/// A release of OpenClaw beside the gateway.
fn beside_openclaw(title: &str, effort: &Effort) {
    let folder = tempfile::tempdir().expect("a folder");
    let openclaw = match openclaw::gateway(folder.path()) {
        Ok(openclaw) => openclaw,
        Err(missing) => return println!("{title:<19} not measured: {missing}\n"),
    };
    let gw = Subject::gateway(folder.path(), false);
    // It is busy with itself for a while after it has begun to listen.
    let idles = [&openclaw, &gw].map(|subject| {
        let mut idles = subject.idles(effort.round);
        for _ in 0..effort.rounds * 4 {
            let now = subject.idles(effort.round);
            let is_less = now.zip(idles).is_some_and(|(now, before)| now < before);
            idles = if is_less { now } else { idles };
        }
        idles
    });
    // To see what waiting connections take it would have to be asked for hundreds, one by one.
    let effort = Effort { idle: 0, ..*effort };
    compare(
        title,
        [&openclaw, &gw],
        &effort,
        0,
        |at, subject, during| {
            let [openclaw, gw] = idles;
            let idle = if at == 0 { openclaw } else { gw };
            subject.knock(FEW, during).without(idle)
        },
    );
}

/// Measures two subjects in turn, by their places, and prints what they came to. A connection that is
/// held to see what it takes has said so many bytes before.
fn compare(
    title: &str,
    subjects: [&Subject; 2],
    effort: &Effort,
    said: usize,
    measure: impl Fn(usize, &Subject, Duration) -> Round,
) {
    let mut measured = [const { Vec::new() }; 2];
    for (at, subject) in subjects.into_iter().enumerate() {
        measure(at, subject, effort.round / 4);
    }
    for _ in 0..effort.rounds {
        for (at, rounds) in measured.iter_mut().enumerate() {
            if let Some(subject) = subjects.get(at) {
                rounds.push(measure(at, subject, effort.round));
            }
        }
    }
    let most = HELD_BYTES.checked_div(said).unwrap_or(usize::MAX);
    let idle = subjects.map(|subject| match effort.idle {
        0 => None,
        idle => subject.hold(idle.min(most.max(2)), said),
    });
    table::print(title, subjects, &measured, &idle);
}
