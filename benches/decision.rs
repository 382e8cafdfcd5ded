//! What deciding costs: by how many rules there are, what they ask for, and which of them decides.
//!
//! Rules of three shapes: words alone, each rule with others; sets of networks and texts; and
//! networks of two addresses that overlap each other. The figures that matter are the ratios in one
//! run. Nothing is allocated: `tests/allocations.rs` holds that.

#![expect(
    clippy::expect_used,
    reason = "this is a benchmark: what is missing ends it"
)]

#[path = "../tests/support/many.rs"]
mod many;

use std::fmt;
use std::fs;
use std::hint::black_box;

use divan::{AllocProfiler, Bencher};
use gw::facts::{Address, Auth, AuthFailure, Origin};
use gw::{Facts, Policy};

use many::{Place, Shape};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
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
        auth_failure: AuthFailure::None,
        ..Facts::default()
    };
    match connection {
        "cli on this host" => {
            facts.peer = Address::new([127, 0, 0, 1].into());
            facts.same_host = true;
        }
        "foreign page" => facts.origin = Origin::parse("https://evil.example"),
        _ => {}
    }
    facts
}

#[divan::bench(args = CONNECTIONS, sample_size = 10_000)]
fn on_the_default_policy(bencher: Bencher<'_, '_>, connection: &str) {
    let path = format!("{}/policies/default.policy", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("a file of the project");
    let policy = Policy::parse("default.policy", &text).expect("it loads");
    let facts = facts(connection);
    bencher.bench_local(|| gw::decide(black_box(policy.program()), black_box(&facts)));
}

/// So many rules, and the place of the one that decides.
struct Case {
    rules: usize,
    place: Place,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::First => "first",
            Place::Middle => "middle",
            Place::Last => "last",
            Place::Default => "default",
        };
        write!(f, "{} rules, {place}", self.rules)
    }
}

fn cases() -> impl Iterator<Item = Case> {
    let sizes = [12, 100, 1_000, 10_000].into_iter();
    sizes.flat_map(|rules| {
        let places = [Place::First, Place::Middle, Place::Last, Place::Default];
        places.map(|place| Case { rules, place })
    })
}

fn over(bencher: Bencher<'_, '_>, shape: Shape, case: &Case) {
    let policy = Policy::parse("many.policy", &shape.policy(case.rules)).expect("it loads");
    let facts = shape.connection(&policy, case.rules, case.place);
    bencher.bench_local(|| gw::decide(black_box(policy.program()), black_box(&facts)));
}

#[divan::bench(args = cases(), sample_size = 10_000)]
fn words(bencher: Bencher<'_, '_>, case: &Case) {
    over(bencher, Shape::Words, case);
}

#[divan::bench(args = cases(), sample_size = 10_000)]
fn networks(bencher: Bencher<'_, '_>, case: &Case) {
    over(bencher, Shape::Networks, case);
}

#[divan::bench(args = cases(), sample_size = 10_000)]
fn crossing(bencher: Bencher<'_, '_>, case: &Case) {
    over(bencher, Shape::Crossing, case);
}
