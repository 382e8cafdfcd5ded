//! Guesses: wrong secrets from addresses that change all the time, beside honest clients; and what
//! the honest ones keep beside as many good handshakes from there. Then who is locked out by somebody
//! else at its address, and who is not.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::Effort;
use crate::client::Client;
use crate::dial;
use crate::gateway::{Gateway, Setup};
use crate::honest::{self, Knocks, beside, ratio};
use crate::report::Report;

/// How many honest clients knock at once, and how many others.
const HONEST: usize = 4;
const OTHERS: usize = 8;

/// A secret that is none.
const WRONG: &str = "00000000000000000000";

/// How many addresses the guesses come from: more than there is room for.
const ADDRESSES: usize = 50_000;

/// How many guesses at one address lock it out.
const ATTEMPTS: usize = 10;

/// How much more memory a hundred thousand guesses may take: what is remembered of ten thousand
/// addresses, and what the allocator keeps.
const MORE: u64 = 48 << 20;

/// How many bytes of log one guess may leave, on average: most of them have no line.
const LOG_OF_ONE: u64 = 200;

/// How much slower the slowest of the honest may be beside guesses than beside good handshakes.
const SLOWER: f64 = 2.0;

pub(crate) fn run(effort: Effort, report: &mut Report) {
    let rounds = effort.of(5, 1);
    let each = effort.of(20_000, 200);
    let gateway = Setup {
        auth: ", rateLimit: { exemptLoopback: false }",
        limits: "unadmittedPerAddress: 1000",
        more: "log: { decisions: { maxBytes: 4294967296, keep: 0 } }",
        ..Setup::default()
    }
    .start();
    let honest: Vec<Client> = (0..HONEST).map(Client::numbered).collect();
    let known: Vec<Client> = (HONEST..HONEST + OTHERS).map(Client::numbered).collect();
    let strangers: Vec<Client> = (0..OTHERS)
        .map(|number| Client::numbered(1_000 + number).with_secret(WRONG))
        .collect();
    // All devices that are known are paired, and what everybody uses is made.
    let good = |count| round(&gateway, &honest, &known, count, true);
    let _ = good(each / 10);
    let memory = gateway.resident();
    let at_first = gateway.counted();
    let (mut beside_good, mut beside_bad) = (Vec::new(), Vec::new());
    let mut admitted = 0;
    for _ in 0..rounds {
        beside_good.push(good(each));
        let bad = round(&gateway, &honest, &strangers, each, false);
        admitted += bad.count();
        beside_bad.push(bad);
    }
    let after = gateway.resident();
    let counted = gateway.counted();
    let many = rounds * each;
    let difference = |name: &str| counted.of(name) - at_first.of(name);
    let looked_at = difference("gw_auth_failures_total{guess=\"shared-secret\"}");
    let not_looked_at = difference("gw_auth_not_tried_total{guess=\"shared-secret\"}");

    let mut row = report.row(
        "wrong secrets",
        format!("{many} from {ADDRESSES} addresses"),
    );
    let failed: Vec<&String> = beside_good
        .iter()
        .chain(&beside_bad)
        .flat_map(|it| &it.failed)
        .collect();
    row.must(
        failed.is_empty() && admitted > 0,
        match failed.first() {
            None => format!("{admitted} honest handshakes beside them, none failed"),
            Some(why) => format!("{} honest handshakes failed: {why}", failed.len()),
        },
    );
    let [good, bad] = [&beside_good, &beside_bad].map(|rounds| {
        let mut p99: Vec<_> = rounds.iter().map(Knocks::p99).collect();
        p99.sort_unstable();
        p99.get(p99.len() / 2).copied().unwrap_or_default()
    });
    row.must_if_whole(
        ratio(bad, good) <= SLOWER,
        format!(
            "honest p99 {:.1} ms, beside as many good ones {:.1} ({:.2} ×)",
            bad.as_secs_f64() * 1e3,
            good.as_secs_f64() * 1e3,
            ratio(bad, good)
        ),
    );
    row.must(
        looked_at + not_looked_at == many as u64,
        format!("{looked_at} compared, {not_looked_at} not looked at"),
    );
    let sources = counted.of("gw_auth_sources{by=\"address\"}");
    row.must(
        sources <= 3 * 10_000,
        format!("{sources} addresses remembered"),
    );
    row.memory(memory, after, MORE);
    let of_guesses = guesses_bytes(&gateway) / many as u64;
    row.must_if_whole(
        of_guesses <= LOG_OF_ONE,
        format!("{of_guesses} bytes of log a guess"),
    );
    row.must(gateway.is_left_alone(), "none left open");
    report.print(row);
    lockouts(&gateway, effort, report);
}

/// How many bytes of the log are of connections that nobody admitted.
fn guesses_bytes(gateway: &Gateway) -> u64 {
    let lines = gateway.log_lines();
    let honest = |line: &&String| {
        line.contains("\"admitted\":true") || line.contains("\"kind\":\"session-ended\"")
    };
    let honest: usize = lines.iter().filter(honest).map(|line| line.len() + 1).sum();
    gateway.log_bytes().saturating_sub(honest as u64)
}

/// Others do so many handshakes while honest clients knock. Gives what the honest ones came to.
fn round(
    gateway: &Gateway,
    honest: &[Client],
    others: &[Client],
    count: usize,
    are_good: bool,
) -> Knocks {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let left = AtomicUsize::new(count);
    let (mut knocks, wrong) = beside(gateway, honest, || {
        thread::scope(|scope| {
            let doing: Vec<_> = others
                .iter()
                .map(|other| {
                    scope.spawn(|| {
                        let mut unexpected = Vec::new();
                        while take(&left) {
                            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                            let from = dial::loopback(number % ADDRESSES);
                            let came = honest::knock(gateway, other, from);
                            match (came, are_good) {
                                (Ok(()), true) => {}
                                (Err(why), false) if why.contains("\"ok\":false") => {}
                                (Ok(()), false) => {
                                    unexpected.push("a wrong secret got in".to_owned())
                                }
                                (Err(why), _) => unexpected.push(why),
                            }
                        }
                        unexpected
                    })
                })
                .collect();
            let joined = doing.into_iter().map(|one| one.join().expect("a client"));
            joined.flatten().collect::<Vec<_>>()
        })
    });
    knocks.failed.extend(wrong);
    knocks
}

fn take(left: &AtomicUsize) -> bool {
    let one_less = |left: usize| left.checked_sub(1);
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
    taken.is_ok()
}

/// An address is locked out by somebody there. Whoever is known by a device comes in from there all
/// the same, and a stranger from elsewhere; a right guess in between washes nothing away.
fn lockouts(gateway: &Gateway, effort: Effort, report: &mut Report) {
    let addresses = effort.of(200, 3);
    let wrong = Client::numbered(2_000).with_secret(WRONG);
    let known = Client::numbered(0);
    let (mut known_in, mut stranger_in, mut washed) = (0, 0, 0);
    for number in 0..addresses {
        let from = Ipv4Addr::from(0x7f80_0000 + u32::try_from(number).expect("not that many"));
        let stranger = || Client::numbered(10_000 + number);
        // As often as may be without being locked out, then a success, and once more.
        for _ in 1..ATTEMPTS {
            let _ = honest::knock(gateway, &wrong, from);
        }
        let first = honest::knock(gateway, &known, from);
        known_in += usize::from(first.is_ok());
        let _ = honest::knock(gateway, &wrong, from);
        let refused = honest::knock(gateway, &stranger(), from);
        washed += usize::from(refused.is_ok());
        known_in += usize::from(honest::knock(gateway, &known, from).is_ok());
        let elsewhere = honest::knock(gateway, &stranger(), Ipv4Addr::LOCALHOST);
        stranger_in += usize::from(elsewhere.is_ok());
    }
    let mut row = report.row(
        "an address locked out by somebody there",
        format!("{addresses} addresses"),
    );
    row.must(
        known_in == 2 * addresses,
        format!(
            "{known_in} of {} handshakes of known devices there admitted",
            2 * addresses
        ),
    );
    row.must(
        stranger_in == addresses,
        format!("{stranger_in} of {addresses} strangers elsewhere admitted"),
    );
    row.must(
        washed == 0,
        format!("{washed} strangers there admitted after a success between the failures"),
    );
    report.print(row);
}
