//! What deciding, finding facts and loading policies cost.
//!
//! `cargo bench` prints times and allocations; the figures that matter are the ratios in one
//! run. The bounds stand in `docs/architecture.md`.

#![expect(
    clippy::expect_used,
    reason = "this is a benchmark: what is missing ends it"
)]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;

use divan::{AllocProfiler, Bencher};
use gw::facts::{Address, Auth, DeviceProof};
use gw::handshake::{self, Handshake};
use gw::{Facts, Policy};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")))
        .expect("a file of the project")
}

fn default_policy() -> Policy {
    Policy::parse("default.policy", &read("policies/default.policy")).expect("it loads")
}

fn recorded() -> Handshake {
    let text = read("fixtures/issues/55067-docker-cli/handshake.json");
    handshake::parse(&text).expect("it is a handshake")
}

/// A connection that an early rule decides, one that only the default does, and one that a
/// guard refuses.
const CONNECTIONS: [&str; 3] = [
    "cli on this host",
    "token from the internet",
    "foreign page",
];

fn facts(connection: &str) -> Facts {
    let mut facts = Facts {
        auth: Auth::Token,
        ..Facts::default()
    };
    facts.auth_failure = gw::facts::AuthFailure::None;
    match connection {
        "cli on this host" => {
            facts.peer = Address::new([127, 0, 0, 1].into());
            facts.same_host = true;
        }
        "foreign page" => facts.origin = gw::facts::Origin::parse("https://evil.example"),
        _ => {}
    }
    facts
}

#[divan::bench(args = CONNECTIONS)]
fn decide_on_the_default_policy(bencher: Bencher<'_, '_>, connection: &str) {
    let policy = default_policy();
    let facts = facts(connection);
    bencher.bench_local(|| gw::decide(black_box(policy.program()), black_box(&facts)));
}

/// The same over a policy of many rules, of which none matches.
#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn decide_over_rules(bencher: Bencher<'_, '_>, rules: usize) {
    let policy = Policy::parse("many.policy", &many(rules)).expect("it loads");
    let facts = facts("token from the internet");
    bencher.bench_local(|| gw::decide(black_box(policy.program()), black_box(&facts)));
}

#[divan::bench]
fn explain(bencher: Bencher<'_, '_>) {
    let policy = default_policy();
    let facts = facts("cli on this host");
    let subject = gw::explain::Subject::of_facts(&facts);
    bencher.bench_local(|| gw::explain(black_box(&policy), black_box(&facts), &subject));
}

#[divan::bench]
fn facts_of_a_handshake_without_the_signature(bencher: Bencher<'_, '_>) {
    let handshake = recorded();
    bencher.bench_local(|| handshake::observe_with(black_box(&handshake), DeviceProof::Proven));
}

#[divan::bench]
fn facts_of_a_handshake(bencher: Bencher<'_, '_>) {
    let handshake = recorded();
    bencher.bench_local(|| handshake::observe(black_box(&handshake)));
}

#[divan::bench]
fn read_a_handshake(bencher: Bencher<'_, '_>) {
    let text = read("fixtures/issues/55067-docker-cli/handshake.json");
    bencher.bench_local(|| handshake::parse(black_box(&text)));
}

#[divan::bench]
fn load_the_default_policy(bencher: Bencher<'_, '_>) {
    let text = read("policies/default.policy");
    bencher.bench_local(|| Policy::parse("default.policy", black_box(&text)));
}

#[divan::bench(args = [1_000, 10_000], sample_count = 10)]
fn load_rules(bencher: Bencher<'_, '_>, rules: usize) {
    let text = many(rules);
    bencher.bench_local(|| Policy::parse("many.policy", black_box(&text)));
}

/// Rules as people write them: a client, an authentication, a network, sometimes more.
fn many(rules: usize) -> String {
    let mut text = String::from("gw-policy 1\n");
    let clients = ["cli", "node-host", "openclaw-tui", "gateway-client"];
    for (index, client) in (0..rules).zip(clients.iter().cycle()) {
        let (a, b) = (index / 250 % 250, index % 250);
        let more = if index % 3 == 0 {
            " and no-origin and not forwarded"
        } else {
            ""
        };
        writeln!(text, "[r{index}] client={client} and auth=token and peer in {{ 10.{a}.{b}.0/24 }}{more} → approve")
            .expect("writing to a string");
    }
    text.push_str("default → reject(not-permitted)\n");
    text
}
