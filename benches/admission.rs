//! What a whole admission costs: recorded connections through the pure path.
//!
//! The sample is every tenth case of each release in `fixtures/observed`, under the policy and
//! the constants of that release, each with the pairing state it was recorded in. A signed
//! connection takes an Ed25519 check or two, which is most of what the first figure is; the
//! second has the frames read and the proofs checked beforehand, as a server has them that is
//! told of a conflict and decides again. On one core the bounds are 20,000 connections a second
//! for the first, and 80,000 for the second. A line of the log is made of what was decided.

#![expect(
    clippy::expect_used,
    reason = "this is a benchmark: what is missing ends it"
)]

#[path = "../tests/support/login.rs"]
mod login;

use std::hint::black_box;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use gw::admission::{self, Admission, Gate, Presented, Upgrade, at_upgrade, present};
use gw::journal::{Connection, Line};
use gw::pairing::Standing;
use gw::recorded::Sent;

use login::{Login, Release, answer, challenged, decided, release};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const RELEASES: [&str; 4] = ["2026.3.23", "2026.4.15", "2026.4.22", "2026.9.6"];

/// A case whose frame was read and whose proof was checked.
struct Ready<'a> {
    gate: Gate<'a>,
    upgrade: Upgrade,
    presented: Presented,
    standing: &'a Standing,
}

fn releases() -> Vec<Release> {
    RELEASES.iter().map(|version| release(version)).collect()
}

/// From the socket, the head and the bytes of the message to the answer.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn from_bytes(bencher: Bencher<'_, '_>) {
    let releases = releases();
    let count: usize = releases.iter().map(|release| release.cases.len()).sum();
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        for release in &releases {
            for case in &release.cases {
                let gate = release.gate(case);
                let Sent {
                    socket,
                    http,
                    message,
                    ..
                } = black_box(&case.sent);
                let Ok(upgrade) = at_upgrade(gate, socket.clone(), http.clone()) else {
                    continue;
                };
                let presented = match present(gate.settings, message, challenged()) {
                    Ok(presented) => presented,
                    Err(reply) => {
                        black_box(reply.refusal());
                        continue;
                    }
                };
                let admission = decided(gate, &upgrade, &presented, &case.standing);
                black_box((answer(gate, &admission.reply), admission));
            }
        }
    });
}

/// From frames that were read, and proofs that were checked, to the answer.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn without_reading_and_proving(bencher: Bencher<'_, '_>) {
    let releases = releases();
    let ready: Vec<Ready<'_>> = releases
        .iter()
        .flat_map(|release| release.cases.iter().map(move |case| (release, case)))
        .filter_map(|(release, case)| {
            let gate = release.gate(case);
            let sent = case.sent.clone();
            Some(Ready {
                gate,
                upgrade: at_upgrade(gate, sent.socket, sent.http).ok()?,
                presented: present(gate.settings, &sent.message, challenged()).ok()?,
                standing: &case.standing,
            })
        })
        .collect();
    let count = ready.len();
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        for ready in &ready {
            let Ready {
                gate,
                upgrade,
                presented,
                standing,
            } = black_box(ready);
            let admission = decided(*gate, upgrade, presented, standing);
            black_box((answer(*gate, &admission.reply), admission));
        }
    });
}

/// A line of the log for each decision: its text, with and without what shows the facts.
#[divan::bench(args = [false, true], sample_count = 20, sample_size = 1)]
fn a_line_of_the_log(bencher: Bencher<'_, '_>, evidence: bool) {
    let releases = releases();
    let ready: Vec<(Ready<'_>, Admission, Connection)> = releases
        .iter()
        .flat_map(|release| release.cases.iter().map(move |case| (release, case)))
        .filter_map(|(release, case)| {
            let gate = release.gate(case);
            let sent = case.sent.clone();
            let ready = Ready {
                gate,
                upgrade: at_upgrade(gate, sent.socket, sent.http).ok()?,
                presented: present(gate.settings, &sent.message, challenged()).ok()?,
                standing: &case.standing,
            };
            let admission = decided(gate, &ready.upgrade, &ready.presented, ready.standing);
            let id = "00000000-0000-4000-8000-000000000000";
            let connection = Connection::of(id, &ready.upgrade);
            Some((ready, admission, connection))
        })
        .collect();
    bencher
        .counter(ItemsCount::new(ready.len()))
        .bench_local(|| {
            for (ready, admission, connection) in black_box(&ready) {
                let policy = ready.gate.policy;
                let line = Line::decided(connection, policy, admission);
                let shown = evidence.then(|| {
                    let Ready {
                        gate,
                        upgrade,
                        presented,
                        standing,
                    } = ready;
                    admission::evidence(*gate, upgrade, presented, standing, &admission.facts)
                });
                black_box(line.shown_by(shown.unwrap_or_default()).text());
            }
        });
}

/// The parts of one handshake of a device that is paired, and all of them.
mod of_a_login {
    use super::*;

    /// The facts of the socket and the head, and the guards of that stage.
    #[divan::bench]
    fn upgrade(bencher: Bencher<'_, '_>) {
        let login = Login::new();
        bencher.bench_local(|| login.upgrade());
    }

    /// Reading the frame and checking the signature.
    #[divan::bench]
    fn read_and_prove(bencher: Bencher<'_, '_>) {
        let login = Login::new();
        bencher.bench_local(|| login.presented());
    }

    /// Facts, decision, and what comes of it.
    #[divan::bench]
    fn admit(bencher: Bencher<'_, '_>) {
        let login = Login::new();
        let (upgrade, presented) = (login.upgrade(), login.presented());
        bencher.bench_local(|| login.admission(black_box(&upgrade), black_box(&presented)));
    }

    /// The decision alone.
    #[divan::bench(sample_size = 10_000)]
    fn decide(bencher: Bencher<'_, '_>) {
        let login = Login::new();
        let facts = login.admission(&login.upgrade(), &login.presented()).facts;
        let program = login.release.policy.program();
        bencher.bench_local(|| gw::decide(black_box(program), black_box(&facts)));
    }

    /// The line of the log, as text.
    #[divan::bench]
    fn record(bencher: Bencher<'_, '_>) {
        let login = Login::new();
        let upgrade = login.upgrade();
        let admission = login.admission(&upgrade, &login.presented());
        let connection = login.connection(&upgrade);
        let policy = &login.release.policy;
        bencher.bench_local(|| Line::decided(black_box(&connection), policy, &admission).text());
    }

    /// The text of the answer.
    #[divan::bench]
    fn reply(bencher: Bencher<'_, '_>) {
        let login = Login::new();
        let admission = login.admission(&login.upgrade(), &login.presented());
        bencher.bench_local(|| answer(login.gate(), black_box(&admission.reply)));
    }

    /// Frames in, frames out.
    #[divan::bench]
    fn whole(bencher: Bencher<'_, '_>) {
        let login = Login::new();
        bencher.counter(ItemsCount::new(1_u8)).bench_local(|| {
            let upgrade = login.upgrade();
            let admission = login.admission(&upgrade, &login.presented());
            let line = Line::decided(
                &login.connection(&upgrade),
                &login.release.policy,
                &admission,
            );
            (answer(login.gate(), &admission.reply), line.text())
        });
    }
}
