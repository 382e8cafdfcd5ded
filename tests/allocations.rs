//! What is allocated on the way in, counted: nothing where it is decided, and a bounded number of times
//! in all. Times are no matter here; they are measured by `cargo bench`.

#![expect(
    clippy::expect_used,
    reason = "this is a test: what is missing fails it"
)]

#[path = "support/login.rs"]
mod login;
#[path = "support/many.rs"]
mod many;

use std::fs;

use allocation_counter::measure;
use gw::journal::Line;
use gw::{Facts, Policy};

use login::{Login, answer};
use many::{Place, Shape};

fn allocations<T>(make: impl FnOnce() -> T) -> u64 {
    let mut made = None;
    let counted = measure(|| made = Some(make()));
    drop(made);
    counted.count_total
}

#[test]
fn deciding_allocates_nothing() {
    let path = format!("{}/policies/default.policy", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("a file of the project");
    let policy = Policy::parse("default.policy", &text).expect("it loads");
    let facts = Facts::default();
    assert_eq!(allocations(|| gw::decide(policy.program(), &facts)), 0);
    for shape in [Shape::Words, Shape::Networks, Shape::Crossing] {
        for rules in [12, 1_000] {
            let policy = Policy::parse("many.policy", &shape.policy(rules)).expect("it loads");
            for place in [Place::First, Place::Middle, Place::Last, Place::Default] {
                let facts = shape.connection(&policy, rules, place);
                let made = allocations(|| gw::decide(policy.program(), &facts));
                assert_eq!(made, 0, "{shape:?}, {rules} rules, {place:?}");
            }
        }
    }
}

#[test]
fn a_login_allocates_little() {
    let login = Login::new();
    let upgrade = login.upgrade();
    let presented = login.presented();
    let admission = login.admission(&upgrade, &presented);
    let connection = login.connection(&upgrade);
    let policy = &login.release.policy;
    let parts = [
        ("the facts of the head", 8, allocations(|| login.upgrade())),
        (
            "the frame and the proof",
            64,
            allocations(|| login.presented()),
        ),
        (
            "facts, and what comes of them",
            2,
            allocations(|| login.admission(&upgrade, &presented)),
        ),
        (
            "the line of the log",
            11,
            allocations(|| Line::decided(&connection, policy, &admission).text()),
        ),
        (
            "the answer",
            4,
            allocations(|| answer(login.gate(), &admission.reply)),
        ),
    ];
    for (part, most, made) in parts {
        assert!(made <= most, "{part}: {made} allocations, {most} at most");
    }
}
