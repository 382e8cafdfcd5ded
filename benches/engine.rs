//! What finding facts, explaining and loading policies cost.
//!
//! `cargo bench` prints times and allocations; the figures that matter are the ratios in one
//! run. The bounds stand in `docs/architecture.md`.

#![expect(
    clippy::expect_used,
    reason = "this is a benchmark: what is missing ends it"
)]

#[path = "../tests/support/many.rs"]
#[expect(dead_code, reason = "what decides is measured elsewhere")]
mod many;

use std::fs;
use std::hint::black_box;

use divan::{AllocProfiler, Bencher};
use gw::facts::{Address, Auth, AuthFailure, DeviceProof};
use gw::handshake::{self, Handshake};
use gw::lang::files::ReadError;
use gw::source::{Source, Sources};
use gw::{Facts, Policy, lang};

use many::Shape;

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

/// A connection that an early rule decides.
fn on_this_host() -> Facts {
    Facts {
        auth: Auth::Token,
        auth_failure: AuthFailure::None,
        peer: Address::new([127, 0, 0, 1].into()),
        same_host: true,
        ..Facts::default()
    }
}

#[divan::bench]
fn explain(bencher: Bencher<'_, '_>) {
    let policy = default_policy();
    let facts = on_this_host();
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

const SIZES: [usize; 4] = [12, 100, 1_000, 10_000];

#[divan::bench(args = SIZES, sample_count = 10)]
fn parse(bencher: Bencher<'_, '_>, rules: usize) {
    let source = Source::new("many.policy", &Shape::Networks.policy(rules));
    let id = Sources::default().add(source.clone());
    bencher.bench_local(|| lang::parse::parse(id, black_box(&source)));
}

/// Parsing, and finding out what is meant.
#[divan::bench(args = SIZES, sample_count = 10)]
fn parse_and_check(bencher: Bencher<'_, '_>, rules: usize) {
    let text = Shape::Networks.policy(rules);
    let mut none = |_: &str, _| Err(ReadError::NotFound);
    bencher.bench_local(|| lang::files::load("many.policy", black_box(&text), &mut none));
}

#[divan::bench(args = SIZES, sample_count = 10)]
fn compile(bencher: Bencher<'_, '_>, rules: usize) {
    let text = Shape::Networks.policy(rules);
    let policy = Policy::parse("many.policy", &text).expect("it loads");
    bencher.bench_local(|| gw::compile::compile(black_box(policy.checked())));
}

/// The diagram of all decisions, in the order that a fingerprint is of.
#[divan::bench(args = [12, 100, 1_000], sample_count = 5, sample_size = 1)]
fn fingerprint(bencher: Bencher<'_, '_>, rules: usize) {
    let text = Shape::Networks.policy(rules);
    bencher
        .with_inputs(|| Policy::parse("many.policy", &text).expect("it loads"))
        .bench_local_refs(|policy| policy.fingerprint().map(str::to_owned));
}

/// All of it, as a gateway loads a policy.
#[divan::bench(args = SIZES, sample_count = 10)]
fn load_rules(bencher: Bencher<'_, '_>, rules: usize) {
    let text = Shape::Networks.policy(rules);
    bencher.bench_local(|| Policy::parse("many.policy", black_box(&text)));
}
