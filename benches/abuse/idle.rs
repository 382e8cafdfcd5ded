//! Connections that were admitted and do nothing: what they take at first, after ten minutes, and
//! once they are gone. They are held by processes of their own, since files are counted by process.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use gw::host::files::raise_limit;

use crate::Effort;
use crate::client::Client;
use crate::dial;
use crate::gateway::Setup;
use crate::process::Process;
use crate::report::Report;

/// What makes this program one that holds connections: where, from which loopback address, and how
/// many.
pub(crate) const ARGUMENT: &str = "--hold";

/// How many connections there are to be.
const MOST: usize = 20_000;

/// How many of the files that a process may have are for other things than connections; the gateway
/// keeps some hundreds back, too.
const OTHER_FILES: usize = 512;

/// How many one process holds: as many ports as one address has are some more.
const OF_ONE: usize = 5_000;

/// How much more memory connections that do nothing may take after a while: what ticks need, and
/// what the allocator keeps.
const MORE: u64 = 16 << 20;

/// How many files may be open now and then: of whoever asks what is counted, and of the store.
const FEW: usize = 4;

/// How many devices they are of.
const DEVICES: usize = 64;

pub(crate) fn run(effort: Effort, report: &mut Report) {
    let files = raise_limit().map_or(MOST, |files| usize::try_from(files).unwrap_or(MOST));
    let most = MOST.min(files.saturating_sub(OTHER_FILES));
    let connections = effort.of(most, 64);
    let long = effort.of(Duration::from_secs(600), Duration::from_millis(200));
    let gateway = Setup {
        limits: "connections: 25000",
        ..Setup::default()
    }
    .start();
    // The first ones of a process make what all use.
    holders(gateway.at, 16).into_iter().for_each(Process::end);
    let settled = gateway.is_left_alone();
    let before = gateway.counted();
    let (memory, open) = (gateway.resident(), gateway.files());
    let held = holders(gateway.at, connections);
    let start = gateway.counted();
    let start_memory = gateway.resident();
    thread::sleep(long);
    let end = gateway.counted();
    let (end_memory, end_open) = (gateway.resident(), gateway.files());
    held.into_iter().for_each(Process::end);
    let left = gateway.is_left_alone();
    let after = gateway.counted();

    let many = connections as u64;
    let seconds = long.as_secs();
    let mut row = report.row(
        "admitted and idle",
        format!("{connections} for {seconds} s"),
    );
    row.must(
        start.of("gw_sessions") == many && end.of("gw_sessions") == many,
        format!("{} sessions at the end", end.of("gw_sessions")),
    );
    row.memory(start_memory, end_memory, MORE);
    if let Some((none, all)) = memory.zip(end_memory) {
        let each = all.saturating_sub(none) / many / 1_024;
        row.found(format!("{each} KiB each"));
    }
    let tasks = |counted: &crate::gateway::Counted| counted.of("gw_tasks");
    row.must(
        tasks(&end) == tasks(&before) + many,
        format!("{} tasks, {} before", tasks(&end), tasks(&before)),
    );
    row.must(
        settled && left && tasks(&after) == tasks(&before),
        format!("{} once they are gone", tasks(&after)),
    );
    if let (Some(open), Some(end_open), Some(after)) = (open, end_open, gateway.files()) {
        row.must(
            end_open <= open + connections + FEW && after <= open + FEW,
            format!("files {open} → {end_open} → {after}"),
        );
    }
    report.print(row);
}

/// Processes that hold so many connections together.
fn holders(at: SocketAddr, connections: usize) -> Vec<Process> {
    let this = std::env::current_exe().expect("this program");
    let parts = connections.div_ceil(OF_ONE);
    let part = |number: usize| OF_ONE.min(connections - number * OF_ONE);
    (0..parts)
        .map(|number| {
            let mut command = Command::new(&this);
            command.arg(ARGUMENT).arg(at.to_string());
            command
                .arg(number.to_string())
                .arg(part(number).to_string());
            let (process, line) = Process::start(command.stdin(Stdio::piped()));
            assert_eq!(
                line.trim(),
                part(number).to_string(),
                "connections are held"
            );
            process
        })
        .collect()
}

/// Holds connections until its input ends. Says first how many.
pub(crate) fn hold(arguments: &[String]) {
    let [at, number, connections] = arguments else {
        panic!("where, by which number, and how many?");
    };
    let at: SocketAddr = at.parse().expect("an address");
    let number: usize = number.parse().expect("a number");
    let connections: usize = connections.parse().expect("a number");
    let clients: Vec<Client> = (0..DEVICES).map(Client::numbered).collect();
    let held: Vec<_> = clients
        .iter()
        .cycle()
        .take(connections)
        .map(|client| {
            let stream = dial::from(dial::loopback(number), at).expect("somebody listens");
            let admitted = client.try_knock(at, stream, None).expect("a handshake");
            assert!(admitted.is_admitted(), "{}", admitted.answer);
            admitted
        })
        .collect();
    println!("{}", held.len());
    std::io::stdout().flush().expect("its output");
    let _ = std::io::stdin().read(&mut [0]);
}
