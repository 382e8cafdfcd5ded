//! How many logins two threads get through in the time in which one gets through its own: frames in,
//! frames out, in memory, with the allocator of the gateway.
//!
//! Both threads have the policy and the settings in common, as connections of a gateway do, and each
//! has a device of its own. Turns are short, and one thread and two take them in turn, so that
//! whatever else the machine does falls on both. Beside it stands the same of work that shares
//! nothing and touches no memory: what two threads of this machine can come to at best.
//!
//! `cargo bench --bench cores` takes half a minute; `-- --test` looks only whether it runs.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "this is a benchmark: what is missing ends it, and its table is printed"
)]

#[path = "../tests/support/login.rs"]
mod login;

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use gw::journal::Line;

use login::{Login, answer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TURN: Duration = Duration::from_millis(20);
const TURNS: usize = 400;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let turns = match has("--bench") && !has("--test") {
        true => TURNS,
        false => 2,
    };
    let first = Login::new();
    let second = Login {
        release: Arc::clone(&first.release),
        ..Login::new()
    };
    println!(
        "{:<22} {:>12} {:>12} {:>8} {:>13}",
        "", "one thread", "two threads", "ratio", "p10 - p90"
    );
    report(
        "a login, each s",
        turns,
        [&|| log_in(&first), &|| log_in(&second)],
    );
    report("arithmetic, each s", turns, [&arithmetic, &arithmetic]);
}

/// Frames in, frames out, and the line of the log.
fn log_in(login: &Login) {
    let upgrade = login.upgrade();
    let admission = login.admission(&upgrade, &login.presented());
    let connection = login.connection(&upgrade);
    let line = Line::decided(&connection, &login.release.policy, &admission);
    black_box((answer(login.gate(), &admission.reply), line.text()));
}

/// About as long as a login, in registers.
fn arithmetic() {
    let mut state = black_box(1_u64);
    for _ in 0..20_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state);
}

type Work<'a> = &'a (dyn Fn() + Sync);

/// Prints the medians of what one thread and two get through, and of the ratio of neighbouring turns.
fn report(name: &str, turns: usize, work: [Work<'_>; 2]) {
    let [alone, other] = work;
    let mut single = Vec::new();
    let mut double = Vec::new();
    let mut ratios = Vec::new();
    for turn in 0..turns {
        // Whoever is first finds the clock of the processor lower, so they change places.
        let (one, two) = match turn % 2 {
            0 => {
                let one = rate(&[alone]);
                (one, rate(&[alone, other]))
            }
            _ => {
                let two = rate(&[alone, other]);
                (rate(&[other]), two)
            }
        };
        single.push(one);
        double.push(two);
        ratios.push(two / one);
    }
    let [_, one, _] = spread(single);
    let [_, two, _] = spread(double);
    let [low, ratio, high] = spread(ratios);
    println!("{name:<22} {one:>12.0} {two:>12.0} {ratio:>6.2} x {low:>6.2} - {high:.2}");
}

/// How often all of them are done in a second, for one turn.
fn rate(work: &[Work<'_>]) -> f64 {
    let start = Barrier::new(work.len());
    thread::scope(|scope| {
        let threads: Vec<_> = work
            .iter()
            .map(|work| {
                scope.spawn(|| {
                    start.wait();
                    let began = Instant::now();
                    let mut done = 0_u32;
                    while began.elapsed() < TURN {
                        work();
                        done += 1;
                    }
                    f64::from(done) / began.elapsed().as_secs_f64()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("it ends"))
            .sum()
    })
}

/// The tenth, the fifth and the ninth of ten.
fn spread(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_unstable_by(f64::total_cmp);
    [1, 5, 9].map(|tenth| {
        let at = (figures.len() * tenth / 10).min(figures.len().saturating_sub(1));
        figures.get(at).copied().unwrap_or_default()
    })
}
