//! Slow ones: thousands of connections that send a byte now and then, of a head, of a first message
//! or of TLS, and come again when they are closed; and honest clients beside them. All come through a
//! proxy on loopback, which says whose each is once a head is there.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::Effort;
use crate::client::Client;
use crate::dial::{self, far};
use crate::gateway::{Gateway, Setup};
use crate::honest::{beside, ratio};
use crate::report::Report;

/// How many honest clients knock at once.
const HONEST: usize = 8;

/// How many connections of those that are slow share an address: fewer than one may have waiting.
const OF_ONE_ADDRESS: usize = 16;

/// How often each sends a byte.
const BETWEEN: Duration = Duration::from_secs(1);

/// How many connections that are not admitted there may be, by the limits that are set here.
const PLACES: u64 = 2_000;

/// How much memory one of them may take.
const OF_ONE: u64 = 32 << 10;

/// How many bytes of log each may leave, on average: most of them have no line.
const LOG_OF_ONE: u64 = 200;

/// What is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Head,
    Frame,
    Tls,
}

pub(crate) fn heads(effort: Effort, report: &mut Report) {
    run("slow heads", Part::Head, effort, report);
}

pub(crate) fn frames(effort: Effort, report: &mut Report) {
    run("slow first messages", Part::Frame, effort, report);
}

pub(crate) fn tls(effort: Effort, report: &mut Report) {
    run("slow TLS", Part::Tls, effort, report);
}

fn run(what: &'static str, part: Part, effort: Effort, report: &mut Report) {
    let most = effort.of(4_000, 64);
    let long = effort.of(Duration::from_secs(20), Duration::from_millis(300));
    let gateway = Setup {
        limits: "connections: 8000",
        more: "trustedProxies: [127.0.0.0/8]\nlog: { decisions: { maxBytes: 4294967296, keep: 0 } }",
        policy: Some("gw-policy 1\nauth=token → silent-approve\ndefault → require-pairing\n"),
        tls: part == Part::Tls,
        ..Setup::default()
    }
    .start();
    let honest: Vec<Client> = (0..HONEST)
        .map(|number| Client::numbered(number).forwarded_for(far(9_000_000 + number)))
        .collect();
    let alone = || beside(&gateway, &honest, || thread::sleep(long / 4)).0;
    // The first ones pair their devices.
    let _ = alone();
    let before = alone();
    let memory = gateway.resident();
    let crowd = Crowd::new(part, most, &gateway);
    let ((beside, most_memory), opened) = crowd.during(|| {
        beside(&gateway, &honest, || {
            thread::sleep(long);
            gateway.resident()
        })
    });
    let left = gateway.is_left_alone();
    let before = before.and(alone());

    let mut row = report.row(what, format!("{most} at a time, {opened} in all"));
    row.must(
        beside.failed.is_empty() && before.failed.is_empty() && beside.count() > 0,
        match beside.failed.first().or(before.failed.first()) {
            None => format!("{} honest handshakes, none failed", beside.count()),
            Some(why) => format!(
                "{} of {} honest handshakes failed: {why}",
                beside.failed.len() + before.failed.len(),
                beside.count()
            ),
        },
    );
    row.found(format!(
        "p99 {:.1} ms beside {:.1} alone ({:.1} ×)",
        beside.p99().as_secs_f64() * 1e3,
        before.p99().as_secs_f64() * 1e3,
        ratio(beside.p99(), before.p99()),
    ));
    row.memory(memory, most_memory, PLACES * OF_ONE);
    row.must(left, "none left open");
    let of_one = strangers_bytes(&gateway) / opened.max(1);
    row.must_if_whole(
        of_one <= LOG_OF_ONE,
        format!("{of_one} bytes of log for each"),
    );
    report.print(row);
}

/// How many bytes of the log are of connections that nothing was decided of.
fn strangers_bytes(gateway: &Gateway) -> u64 {
    let lines = gateway.log_lines();
    let honest = |line: &&String| {
        line.contains("\"kind\":\"decided\"") || line.contains("\"kind\":\"session-ended\"")
    };
    let honest: usize = lines.iter().filter(honest).map(|line| line.len() + 1).sum();
    gateway.log_bytes().saturating_sub(honest as u64)
}

/// Slow connections.
struct Crowd {
    part: Part,
    most: usize,
    at: SocketAddr,
    /// What is sent slowly.
    bytes: Vec<u8>,
}

/// One of them.
struct Slow {
    stream: TcpStream,
    sent: usize,
}

impl Crowd {
    fn new(part: Part, most: usize, gateway: &Gateway) -> Self {
        let bytes = match part {
            Part::Head => {
                let mut head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ".to_vec();
                head.resize(4_096, b'a');
                head
            }
            // A text of 60,000 bytes, masked by nothing.
            Part::Frame => {
                let mut frame = vec![0x81, 0x80 | 126, 0xea, 0x60, 0, 0, 0, 0];
                frame.resize(4_096, b' ');
                frame
            }
            Part::Tls => gateway
                .tls
                .as_ref()
                .map(client_hello)
                .expect("TLS is spoken"),
        };
        Crowd {
            part,
            most,
            at: gateway.at,
            bytes,
        }
    }

    /// Keeps as many open as there are to be while something is done. Gives how many it opened.
    fn during<T>(&self, doing: impl FnOnce() -> T) -> (T, u64) {
        let (over, opened, full) = (
            AtomicBool::new(false),
            AtomicU64::new(0),
            AtomicBool::new(false),
        );
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut slow: Vec<Option<Slow>> = Vec::new();
                slow.resize_with(self.most, || None);
                while !over.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    for (number, slow) in slow.iter_mut().enumerate() {
                        if !slow.as_mut().is_some_and(|slow| slow.goes_on(&self.bytes)) {
                            *slow = self.open(number);
                            opened.fetch_add(1, Ordering::Relaxed);
                        }
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                    full.store(true, Ordering::Relaxed);
                    thread::sleep(BETWEEN.saturating_sub(began.elapsed()).min(BETWEEN));
                }
            });
            while !full.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(5));
            }
            let done = doing();
            over.store(true, Ordering::Relaxed);
            (done, opened.load(Ordering::Relaxed))
        })
    }

    fn open(&self, number: usize) -> Option<Slow> {
        let mut stream = dial::from(Ipv4Addr::LOCALHOST, self.at).ok()?;
        if self.part == Part::Frame {
            let whose = far(number / OF_ONE_ADDRESS);
            let head = format!(
                "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 X-Forwarded-For: {whose}\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).ok()?;
        }
        stream.set_nonblocking(true).ok()?;
        Some(Slow { stream, sent: 0 })
    }
}

impl Slow {
    /// Sends a byte; whether the connection is still open.
    fn goes_on(&mut self, bytes: &[u8]) -> bool {
        let waits = |error: &std::io::Error| error.kind() == ErrorKind::WouldBlock;
        let mut came = [0; 1_024];
        let is_open = match self.stream.read(&mut came) {
            Ok(read) => read > 0,
            Err(error) => waits(&error),
        };
        let Some(byte) = bytes.get(self.sent..=self.sent) else {
            return is_open;
        };
        match self.stream.write(byte) {
            Ok(sent) => {
                self.sent += sent;
                is_open
            }
            Err(error) => is_open && waits(&error),
        }
    }
}

/// What a client begins TLS with.
fn client_hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
    let mut client = ClientConnection::new(Arc::clone(config), name).expect("it can begin");
    let mut hello = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut hello).expect("bytes in memory");
    }
    hello
}
