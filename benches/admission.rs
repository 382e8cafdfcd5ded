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

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::io::Read as _;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use gw::Policy;
use gw::admission::{
    self, Admission, Challenged, Gate, Presented, Remembered, Reply, Upgrade, at_connect,
    at_upgrade, present,
};
use gw::facts::{DeviceProof, Pairing};
use gw::journal::{Connection, Line};
use gw::pairing::Standing;
use gw::pairing::change::Fresh;
use gw::recorded::{NONCE, NOW_MS, Recording, Row, Sent, prior, sent};
use gw::secret::Secret;
use gw::settings::{Compatibility, Settings};
use gw::wire::reply::{Refusal, Server, response};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const RELEASES: [&str; 4] = ["2026.3.23", "2026.4.15", "2026.4.22", "2026.9.6"];
/// One case in so many is taken.
const EVERY: usize = 10;

/// A release with a sample of its cases.
struct Release {
    policy: Policy,
    settings: BTreeMap<Box<str>, Settings>,
    cases: Vec<Case>,
}

/// What one connection sends, and what is remembered of its device.
struct Case {
    cfg: Box<str>,
    sent: Sent,
    standing: Standing,
}

/// A case whose frame was read and whose proof was checked.
struct Ready<'a> {
    gate: Gate<'a>,
    upgrade: Upgrade,
    presented: Presented,
    standing: &'a Standing,
}

fn path(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn releases() -> Vec<Release> {
    RELEASES.iter().map(|version| release(version)).collect()
}

fn release(version: &str) -> Release {
    let file = fs::File::open(path(&format!("fixtures/observed/{version}.jsonl.gz")));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file.expect("a recording"))
        .read_to_string(&mut text)
        .expect("it is text");
    let recording = Recording::read(&text).expect("it is a recording");
    let read = |extension: &str| {
        let name = format!("policies/openclaw/{version}.{extension}");
        fs::read_to_string(path(&name)).expect("a file of the project")
    };
    let policy = Policy::parse(version, &read("policy")).expect("it loads");
    let compatibility: Compatibility = serde_yaml::from_str(&read("yaml")).expect("they load");
    let mut release = Release {
        policy,
        settings: BTreeMap::new(),
        cases: Vec::new(),
    };
    for row in recording.rows.iter().step_by(EVERY) {
        let settings = release.settings.entry(row.cfg.clone()).or_insert_with(|| {
            let settings = recording.settings(&row.cfg, &compatibility);
            settings.expect("they are read")
        });
        release.cases.extend(case(row, settings));
    }
    release
}

/// The first connection of a case; none where it takes a real socket.
fn case(row: &Row, settings: &Settings) -> Option<Case> {
    let step = row.steps().first()?;
    let connect = step.connect.as_ref()?;
    let sent = sent::sent(row, step, settings, &BTreeMap::new()).expect("its kinds are known")?;
    let device = sent::device_name(row, step);
    let by_owner = settings.compatibility.pairing.provenance;
    let standing = prior::standing(&row.prior, &device, connect, by_owner).expect("it is known");
    Some(Case {
        cfg: row.cfg.clone(),
        sent,
        standing: serde_json::from_value(standing).expect("it is a standing"),
    })
}

impl Release {
    fn gate(&self, case: &Case) -> Gate<'_> {
        Gate {
            policy: &self.policy,
            settings: self.settings.get(&case.cfg).expect("it was read"),
        }
    }
}

fn challenged() -> Challenged<'static> {
    Challenged {
        nonce: NONCE,
        time_ms: NOW_MS,
    }
}

fn decided(
    gate: Gate<'_>,
    upgrade: &Upgrade,
    presented: &Presented,
    standing: &Standing,
) -> Admission {
    let mut request_id = || "f0000000-0000-4000-8000-000000000000".into();
    let mut secret = || Secret::new("fresh-token-not-a-secret-of-43-characters-xx");
    let mut fresh = Fresh {
        request_id: &mut request_id,
        secret: &mut secret,
    };
    at_connect(
        gate,
        upgrade,
        presented,
        Remembered::of(standing),
        &mut fresh,
    )
}

/// The text of the answer, for a server that says nothing more of itself.
fn answer(gate: Gate<'_>, reply: &Reply) -> Option<String> {
    match reply {
        Reply::Admitted(admitted) => {
            let hello = admitted.hello(&SERVER, &gate.settings.compatibility);
            Some(response::<Refusal>(&admitted.id, Ok(&hello)))
        }
        Reply::Refused { .. } | Reply::Closed(_) | Reply::Http(_) => reply.refusal(),
    }
}

const SERVER: Server<'static> = Server::new("bench", "bench");

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

/// A device that is paired and proves its key, as it comes in every day, and what it may find.
struct Login {
    release: Release,
    case: Case,
}

impl Login {
    fn new() -> Self {
        let mut release = release("2026.4.22");
        let is_it = |case: &Case| {
            let gate = release.gate(case);
            let Sent {
                socket,
                http,
                message,
                ..
            } = &case.sent;
            let upgrade = at_upgrade(gate, socket.clone(), http.clone());
            let presented = present(gate.settings, message, challenged());
            let (Ok(upgrade), Ok(presented)) = (upgrade, presented) else {
                return false;
            };
            let admission = decided(gate, &upgrade, &presented, &case.standing);
            admission.permit.is_some()
                && admission.facts.device == DeviceProof::Proven
                && admission.facts.pairing == Pairing::Paired
        };
        let at = release.cases.iter().position(is_it);
        let case = release.cases.swap_remove(at.expect("some device logs in"));
        Login { release, case }
    }

    fn gate(&self) -> Gate<'_> {
        self.release.gate(&self.case)
    }

    fn upgrade(&self) -> Upgrade {
        let Sent { socket, http, .. } = black_box(&self.case.sent);
        let upgrade = at_upgrade(self.gate(), socket.clone(), http.clone());
        upgrade.expect("nothing is wrong with it")
    }

    fn presented(&self) -> Presented {
        let message = black_box(&self.case.sent.message);
        let presented = present(self.gate().settings, message, challenged());
        presented.expect("nothing is wrong with it")
    }

    fn admission(&self, upgrade: &Upgrade, presented: &Presented) -> Admission {
        decided(self.gate(), upgrade, presented, &self.case.standing)
    }

    fn connection(&self, upgrade: &Upgrade) -> Connection {
        Connection::of("00000000-0000-4000-8000-000000000000", upgrade)
    }
}

/// The parts of one handshake of a device that is paired, and all of them.
mod login {
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
    #[divan::bench(threads = [1, 2])]
    fn whole(bencher: Bencher<'_, '_>) {
        let login = Login::new();
        bencher.counter(ItemsCount::new(1_u8)).bench(|| {
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
