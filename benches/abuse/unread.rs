//! Readers that never read: clients that are admitted, ask again and again, and take no answer.

use std::thread;
use std::time::Duration;

use crate::Effort;
use crate::client::Client;
use crate::dial;
use crate::gateway::Setup;
use crate::honest::beside;
use crate::report::Report;

/// How many honest clients knock meanwhile.
const HONEST: usize = 4;

/// How long they knock before: then what a gateway keeps ready for them is there.
const WARM: Duration = Duration::from_secs(10);

/// How many never read at once.
const AT_ONCE: usize = 32;

/// How many bytes each asks with at most: more than fits into all buffers on the way.
const ASKS: usize = 64 << 20;

/// How much memory one that never reads may take.
const OF_ONE: u64 = 64 << 10;

/// As often as clients hear that the gateway is there; whoever takes nothing for two of these is
/// closed.
const TICK: &str = "tickMs: 1000, unadmittedPerAddress: 1000";

pub(crate) fn run(effort: Effort, report: &mut Report) {
    let readers: usize = effort.of(1_000, 8);
    let gateway = Setup {
        limits: TICK,
        ..Setup::default()
    }
    .start();
    let honest: Vec<Client> = (0..HONEST).map(Client::numbered).collect();
    let _ = beside(&gateway, &honest, || {
        thread::sleep(effort.of(WARM, WARM / 50))
    });
    let memory = gateway.resident();
    let (knocks, (sent, most)) = beside(&gateway, &honest, || {
        thread::scope(|scope| {
            let part = readers.div_ceil(AT_ONCE);
            let asking: Vec<_> = (0..AT_ONCE.min(readers))
                .map(|number| {
                    let gateway = &gateway;
                    let part = part.min(readers.saturating_sub(number * part));
                    scope.spawn(move || {
                        let client = Client::numbered(100 + number);
                        let mut sent = 0;
                        for _ in 0..part {
                            let stream = dial::from(dial::loopback(number), gateway.at);
                            let stream = stream.expect("somebody listens");
                            let admitted = client.try_knock(gateway.at, stream, None);
                            let mut admitted = admitted.expect("a handshake");
                            sent += admitted.call_and_never_read("health", ASKS);
                        }
                        sent
                    })
                })
                .collect();
            let mut most = gateway.resident();
            while !asking.iter().all(thread::ScopedJoinHandle::is_finished) {
                thread::sleep(Duration::from_millis(100));
                most = most.max(gateway.resident());
            }
            let joined = asking.into_iter().map(|one| one.join().expect("a client"));
            (joined.sum::<usize>(), most)
        })
    });
    let slow = "gw_sessions_ended_total{reason=\"slow-reader\"}";
    let closed = gateway.comes_to(|counted| counted.of(slow) >= readers as u64);
    let left = gateway.is_left_alone();
    let counted = gateway.counted();

    let mut row = report.row(
        "readers that never read",
        format!("{readers}, {AT_ONCE} at a time"),
    );
    row.must(
        closed && counted.of(slow) == readers as u64,
        format!("{} closed as slow readers", counted.of(slow)),
    );
    row.found(format!("each was read {} KiB of", (sent / readers) >> 10));
    row.must(
        knocks.failed.is_empty() && knocks.count() > 0,
        match knocks.failed.first() {
            None => format!(
                "{} honest handshakes meanwhile, none failed",
                knocks.count()
            ),
            Some(why) => format!("{} honest handshakes failed: {why}", knocks.failed.len()),
        },
    );
    row.memory(memory, most, AT_ONCE as u64 * OF_ONE + (16 << 20));
    row.must(left, "none left open");
    report.print(row);
}
