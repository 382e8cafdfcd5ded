//! What looking at all connections at once costs: lints over policies of many rules, attackers, two
//! policies against each other, and what is nearest to a connection that is refused.
//!
//! The figures that matter are how they grow with rules. The bounds stand in `docs/architecture.md`.

#![expect(
    clippy::expect_used,
    reason = "this is a benchmark: what is missing ends it"
)]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;

use divan::Bencher;
use gw::audit::{Attack, Comparison};
use gw::explain::Subject;
use gw::explain::ways::Field;
use gw::lang::checked::Expected;
use gw::verdict::VerdictKind;
use gw::{Facts, Policy, lint};

fn main() {
    divan::main();
}

const NODES: usize = 4_000_000;

fn default_policy() -> Policy {
    let path = format!("{}/policies/default.policy", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("a file of the project");
    Policy::parse("default.policy", &text).expect("it loads")
}

#[divan::bench]
fn lint_the_default_policy(bencher: Bencher<'_, '_>) {
    let policy = default_policy();
    bencher.bench_local(|| lint::lint(black_box(&policy), lint::Search::usual(NODES)));
}

#[divan::bench(args = [12, 100, 1_000, 10_000], sample_count = 5, sample_size = 1)]
fn lint_rules(bencher: Bencher<'_, '_>, rules: usize) {
    let policy = Policy::parse("many.policy", &many(rules)).expect("it loads");
    bencher.bench_local(|| lint::lint(black_box(&policy), lint::Search::usual(NODES)));
}

/// Each rule with a name of its own: twice as many take about twice as long.
#[divan::bench(args = [1_000, 2_000], sample_count = 5, sample_size = 1)]
fn lint_names(bencher: Bencher<'_, '_>, names: usize) {
    let policy = Policy::parse("names.policy", &named(names)).expect("it loads");
    bencher.bench_local(|| lint::lint(black_box(&policy), lint::Search::usual(NODES)));
}

/// Every attacker of the table, once the policy is a diagram.
#[divan::bench]
fn attack_the_default_policy(bencher: Bencher<'_, '_>) {
    let policy = default_policy();
    let attack = Attack::new(&policy, NODES).expect("it is small");
    bencher
        .with_inputs(|| attack.clone())
        .bench_local_values(|attack| attack.attacked());
}

/// One rule of many is otherwise, once both are diagrams.
#[divan::bench(args = [12, 100, 1_000], sample_count = 20, sample_size = 1)]
fn compare_rules(bencher: Bencher<'_, '_>, rules: usize) {
    let text = many(rules);
    let old = Policy::parse("old.policy", &text).expect("it loads");
    let text = text.replacen("auth=token and peer", "auth=password and peer", 1);
    let new = Policy::parse("new.policy", &text).expect("it loads");
    let comparison = Comparison::new(&old, &new, NODES).expect("it is small enough");
    bencher
        .with_inputs(|| comparison.clone())
        .bench_local_values(|comparison| comparison.direction());
}

/// What would let in a connection that is refused, at the least cost, once the policy is a diagram.
#[divan::bench(args = [12, 100, 1_000, 10_000], sample_count = 20, sample_size = 1)]
fn nearest_of_rules(bencher: Bencher<'_, '_>, rules: usize) {
    from_a_refusal(bencher, rules, |field, to| field.nearest(to));
}

/// The same: everything that would.
#[divan::bench(args = [12, 100, 1_000, 10_000], sample_count = 20, sample_size = 1)]
fn ways_of_rules(bencher: Bencher<'_, '_>, rules: usize) {
    from_a_refusal(bencher, rules, |field, to| field.ways(to));
}

fn from_a_refusal<T>(
    bencher: Bencher<'_, '_>,
    rules: usize,
    look: fn(&mut Field<'_>, Expected) -> T,
) {
    let policy = Policy::parse("many.policy", &many(rules)).expect("it loads");
    let facts = Facts::default();
    let subject = Subject::of_facts(&facts);
    let field = Field::of(&policy, &facts, &subject, NODES).expect("it is small enough");
    bencher
        .with_inputs(|| field.clone())
        .bench_local_refs(|field| look(field, Expected::Kind(VerdictKind::Approve)));
}

/// Rules of which each is about a host of its own.
fn named(names: usize) -> String {
    let mut text = String::from("gw-policy 1\n");
    for name in 0..names {
        writeln!(text, "host=\"h{name}.example\" and client=cli → approve")
            .expect("writing to a string");
    }
    text.push_str("default → reject(not-permitted)\n");
    text
}

/// Rules as people write them: a client, an authentication, networks of their own and a set that
/// many share, sometimes more; guards before them.
fn many(rules: usize) -> String {
    let mut text = String::from(
        "gw-policy 1\n\
         define native = no-origin and not forwarded\n\
         guard [device-proof] device not in { absent, proven } → reject(as-found)\n\
         guard [nothing-sent] auth in { none, failed } → reject(as-found)\n\
         guard [proxied] same-host and forwarded and pairing!=paired → require-pairing\n",
    );
    for set in 0..10 {
        writeln!(
            text,
            "set site-{set} = {{ 172.16.{set}.0/24, 172.17.{set}.0/24, fd00:{set}::/32 }}"
        )
        .expect("writing to a string");
    }
    let clients = ["cli", "node-host", "openclaw-tui", "gateway-client"];
    for (index, client) in (0..rules).zip(clients.iter().cycle()) {
        let (a, b) = (index / 250, index % 250);
        let whom = match index % 5 {
            0 => format!("auth=token and peer in {{ 10.{a}.{b}.0/24 }} and native → approve"),
            1 => format!(
                "auth=password and peer in {{ 10.{a}.{b}.0/25, fd01:{a}:{b}::/48 }} → approve"
            ),
            2 => format!(
                "scopes within {{ operator.read }} and peer in {{ 10.{a}.{b}.128/25 }} → require-pairing"
            ),
            3 => format!(
                "auth=token and path=\"/{index}\" and peer in site-{} → approve",
                index / 5 % 10
            ),
            _ => format!(
                "device=proven and peer in {{ 10.{a}.{b}.0/26 }} and not tls → reject(not-permitted)"
            ),
        };
        writeln!(text, "client={client} and {whom}").expect("writing to a string");
    }
    text.push_str("default → reject(not-permitted)\n");
    text
}
