//! Requests without end: new devices that hold the shared secret, each of which asks to be paired;
//! and honest ones that asked before, and ask again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use gw::pairing::room::MOST_OF_ONE;
use serde_json::Value;

use crate::Effort;
use crate::client::Client;
use crate::dial::{self, far};
use crate::gateway::{Gateway, Setup};
use crate::report::Report;

/// How many honest devices asked before, each from an address of its own.
const HONEST: usize = 50;

/// How many ask at once.
const AT_ONCE: usize = 8;

/// How many requests are kept in all.
const KEPT: u64 = 1_000;

/// How much more memory they may take.
const MORE: u64 = 32 << 20;

pub(crate) fn run(effort: Effort, report: &mut Report) {
    let devices = effort.of(20_000, 300);
    flood(
        "requests of new devices at one address",
        devices,
        1,
        effort,
        report,
    );
    flood(
        "the same from many addresses",
        devices,
        2_000,
        effort,
        report,
    );
}

fn flood(
    what: &'static str,
    devices: usize,
    addresses: usize,
    effort: Effort,
    report: &mut Report,
) {
    let gateway = Setup {
        limits: "unadmittedPerAddress: 1000",
        more: "trustedProxies: [127.0.0.0/8]",
        policy: Some(
            "gw-policy 1\nauth=token → require-pairing\ndefault → reject(not-permitted)\n",
        ),
        ..Setup::default()
    }
    .start();
    let honest = effort.of(HONEST, 5);
    let honest: Vec<Client> = (0..honest)
        .map(|number| Client::numbered(number).forwarded_for(far(9_000_000 + number)))
        .collect();
    let ids = |when: &str| -> Vec<String> {
        let asked = honest.iter().map(|client| ask(&gateway, client));
        asked
            .map(|id| id.unwrap_or_else(|answer| panic!("{when}: {answer}")))
            .collect()
    };
    let before = ids("before");
    let memory = gateway.resident();
    let number = AtomicUsize::new(0);
    let kept = AtomicUsize::new(0);
    let half = devices / 2;
    let ask_all = |end: usize| {
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    loop {
                        let at = number.fetch_add(1, Ordering::Relaxed);
                        if at >= end {
                            return;
                        }
                        let client = Client::numbered(10_000 + at);
                        let client = client.forwarded_for(far(at % addresses));
                        let asked = ask(&gateway, &client);
                        kept.fetch_add(usize::from(asked.is_ok()), Ordering::Relaxed);
                    }
                });
            }
        });
        number.store(end, Ordering::Relaxed);
    };
    ask_all(half);
    let between = ids("between");
    ask_all(devices);
    let after = ids("after");
    let waiting = "gw_pairing_requests_waiting";
    let most = match addresses {
        1 => (MOST_OF_ONE + honest.len()) as u64,
        _ => KEPT,
    };
    let bounded = gateway.comes_to(|counted| (1..=most).contains(&counted.of(waiting)));
    let counted = gateway.counted();

    let mut row = report.row(what, format!("{devices} devices, {addresses} addresses"));
    row.must(
        before == between && between == after,
        format!("{} honest requests kept, each by its id", before.len()),
    );
    row.must(bounded, format!("{} wait in the end", counted.of(waiting)));
    row.found(format!(
        "{} of the flood were taken",
        kept.load(Ordering::Relaxed)
    ));
    row.memory(memory, gateway.resident(), MORE);
    row.must(gateway.is_left_alone(), "none left open");
    report.print(row);
}

/// Asks to be paired; gives the id of the request.
fn ask(gateway: &Gateway, client: &Client) -> Result<String, String> {
    let stream = dial::from(std::net::Ipv4Addr::LOCALHOST, gateway.at);
    let stream = stream.map_err(|error| error.to_string())?;
    let answered = client.try_knock(gateway.at, stream, None)?;
    let id = answered.answer.pointer("/error/details/requestId");
    let id = id.and_then(Value::as_str).map(str::to_owned);
    id.ok_or_else(|| answered.answer.to_string())
}
