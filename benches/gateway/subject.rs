//! What is measured: a server in a process of its own, and what it costs to knock at it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gw::client::tls::{Connector, Trust};
use gw::server::tls::Fingerprint;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::bare;
use crate::client::{self, Client, TOKEN};
use crate::process::Process;

/// A server.
pub(crate) struct Subject {
    pub(crate) name: String,
    process: Process,
    at: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    /// How long after its clients went it is still at what they left.
    settles: Duration,
}

/// What one round of knocking came to.
pub(crate) struct Round {
    /// Handshakes a second.
    pub(crate) rate: f64,
    /// Processor time of the server for each.
    pub(crate) cpu: Option<Duration>,
    /// How long each took, the quickest first.
    pub(crate) latencies: Vec<Duration>,
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    /// Others than all that were drawn before: who comes again and again is known by then.
    fn another() -> Self {
        static DRAWN: AtomicU64 = AtomicU64::new(1);
        let seed = DRAWN.fetch_add(1, Ordering::Relaxed);
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }
}

impl Round {
    /// Without what the server takes anyway, of a second.
    pub(crate) fn without(mut self, idle: Option<f64>) -> Self {
        self.cpu = self.cpu.zip(idle).map(|(cpu, idle)| {
            let each = cpu.as_secs_f64() - idle / self.rate;
            Duration::from_secs_f64(each.max(0.0))
        });
        self
    }

    fn of(mut latencies: Vec<Duration>, took: Duration, cpu: Option<(Duration, Duration)>) -> Self {
        latencies.sort_unstable();
        let count = u32::try_from(latencies.len().max(1)).expect("not that many");
        Round {
            rate: f64::from(count) / took.as_secs_f64(),
            cpu: cpu.map(|(before, after)| after.saturating_sub(before) / count),
            latencies,
        }
    }
}

impl Subject {
    /// `gw serve` with its default policy.
    pub(crate) fn gateway(folder: &Path, tls: bool) -> Self {
        Subject::gateway_of("gw", folder, tls, None)
    }

    /// `gw serve` with what is in a folder, and by a policy of its own, if there is one.
    pub(crate) fn gateway_of(name: &str, folder: &Path, tls: bool, policy: Option<&Path>) -> Self {
        let config = folder.join("gw.yaml");
        let state = folder.join("state");
        let mut text = format!(
            "listen: {{ bind: loopback, port: 0, socket: false }}\n\
             state: {}\n\
             auth: {{ token: {{ env: BENCH_TOKEN }} }}\n\
             tls: {{ autoGenerate: {tls} }}\n\
             metrics: true\n\
             limits: {{ unadmittedPerAddress: 1000, connections: 10000 }}\n",
            state.display(),
        );
        if let Some(policy) = policy {
            text += &format!("policy: {}\n", policy.display());
        }
        fs::write(&config, text).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gw"));
        command.args(["serve", "--config"]).arg(&config);
        command.env("BENCH_TOKEN", TOKEN);
        Subject::start(name, &mut command, tls.then_some(&state))
    }

    /// A server of another make, where it listens already.
    pub(crate) fn other(name: String, process: Process, at: SocketAddr) -> Self {
        Subject {
            name,
            process,
            at,
            tls: None,
            settles: Duration::ZERO,
        }
    }

    /// `gw serve` in front of another server.
    pub(crate) fn relay(folder: &Path, to: &Subject) -> Self {
        let config = folder.join("relay.yaml");
        let text = format!(
            "listen: {{ bind: loopback, port: 0, socket: false }}\n\
             state: {}\n\
             auth: {{ token: {{ env: BENCH_TOKEN }} }}\n\
             upstream: {{ url: \"ws://{}\", token: {{ env: BENCH_UPSTREAM }} }}\n\
             limits: {{ unadmittedPerAddress: 1000 }}\n",
            folder.join("relay").display(),
            to.at,
        );
        fs::write(&config, text).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gw"));
        command.args(["serve", "--config"]).arg(&config);
        command.env("BENCH_TOKEN", TOKEN);
        command.env("BENCH_UPSTREAM", "5c0e8f1d2b7a4396a1d4");
        Subject::start("gw in front of it", &mut command, None)
    }

    /// The bare server, whose answer has so many bytes.
    pub(crate) fn bare(folder: &Path, tls: bool, bytes: usize) -> Self {
        let state = folder.join("state");
        let this = std::env::current_exe().expect("this program");
        let mut command = Command::new(this);
        command.arg(bare::ARGUMENT).arg(bytes.to_string());
        if tls {
            command.arg(&state);
        }
        Subject::start("bare server", &mut command, tls.then_some(&state))
    }

    fn start(name: &str, command: &mut Command, state: Option<&std::path::PathBuf>) -> Self {
        let (process, line) = Process::start(command);
        let at = line.trim().rsplit("://").next().map(str::parse);
        let Some(Ok(at)) = at else {
            panic!("{name} does not say where it listens: {line}");
        };
        let tls = state.map(|state| {
            let certificate = CertificateDer::from_pem_file(state.join("tls.crt"));
            let pinned = Fingerprint::of(&certificate.expect("a certificate"));
            let connector = Connector::new(Trust::Fingerprint(pinned));
            connector.expect("TLS can be spoken").config()
        });
        Subject {
            name: name.to_owned(),
            process,
            at,
            tls,
            settles: Duration::ZERO,
        }
    }

    /// What it does so long after its clients went counts as done for them.
    pub(crate) fn settling(self, settles: Duration) -> Self {
        Subject { settles, ..self }
    }

    /// From its start until it listened.
    pub(crate) fn started_in(&self) -> Duration {
        self.process.started_in
    }

    /// How many bytes it answers with.
    pub(crate) fn hello_bytes(&self) -> usize {
        let admitted = Client::numbered(0).knock(self.at, self.tls.as_ref());
        admitted.answer.to_string().len()
    }

    /// So many clients knock for a while, each again as soon as it was answered.
    pub(crate) fn knock(&self, clients: usize, during: Duration) -> Round {
        self.round(clients, during, |number| {
            let client = Client::numbered(number);
            move || {
                let began = Instant::now();
                let admitted = client.knock(self.at, self.tls.as_ref());
                let took = began.elapsed();
                drop(admitted);
                took
            }
        })
    }

    /// So many clients knock for a while, each time as one of so many devices.
    pub(crate) fn knock_as_any(&self, clients: usize, devices: u64, during: Duration) -> Round {
        self.round(clients, during, |_| {
            let mut random = Random::another();
            move || {
                let device = usize::try_from(random.below(devices)).expect("not that many");
                let client = Client::numbered(device);
                let began = Instant::now();
                let admitted = client.knock(self.at, self.tls.as_ref());
                let took = began.elapsed();
                drop(admitted);
                took
            }
        })
    }

    /// What it takes while nobody asks anything, of a second.
    pub(crate) fn idles(&self, during: Duration) -> Option<f64> {
        let before = self.process.cpu()?;
        thread::sleep(during);
        let took = self.process.cpu()?.saturating_sub(before);
        Some(took.as_secs_f64() / during.as_secs_f64())
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Option<u64> {
        self.process.resident()
    }

    /// How many times it loaded its policy again, as its metrics tell.
    pub(crate) fn reloads(&self) -> u64 {
        let mut stream = TcpStream::connect(self.at).expect("somebody listens");
        let asked = format!(
            "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.at
        );
        stream.write_all(asked.as_bytes()).expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let line = answer.lines().find_map(|line| {
            let (_, told) = line.split_once("gw_policy_reloads_total{result=\"ok\"} ")?;
            told.trim().parse().ok()
        });
        line.unwrap_or_default()
    }

    /// So many clients say something for a while, each again as soon as it was answered.
    pub(crate) fn talk(&self, clients: usize, bytes: usize, during: Duration) -> Round {
        let message = client::call(bytes);
        self.round(clients, during, |number| {
            let mut admitted = Client::numbered(number).knock(self.at, self.tls.as_ref());
            let message = message.clone();
            move || {
                let began = Instant::now();
                admitted.echo(&message);
                began.elapsed()
            }
        })
    }

    /// So many clients do something for a while that they are made for before. Each says how long
    /// it took.
    fn round<Made: FnMut() -> Duration + Send>(
        &self,
        clients: usize,
        during: Duration,
        make: impl Fn(usize) -> Made,
    ) -> Round {
        let over = AtomicBool::new(false);
        let made: Vec<Made> = (0..clients).map(make).collect();
        let before = self.process.cpu();
        let began = Instant::now();
        let latencies: Vec<Duration> = thread::scope(|scope| {
            let doing = made.into_iter().map(|mut once| {
                let over = &over;
                scope.spawn(move || {
                    let mut took = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        took.push(once());
                    }
                    took
                })
            });
            let doing: Vec<_> = doing.collect();
            thread::sleep(during);
            over.store(true, Ordering::Relaxed);
            let joined = doing.into_iter().map(|client| client.join());
            joined.flat_map(|took| took.expect("a client")).collect()
        });
        let took = began.elapsed();
        thread::sleep(self.settles);
        Round::of(latencies, took, before.zip(self.process.cpu()))
    }

    /// What one connection takes that was admitted, said so many bytes, and does nothing now, in
    /// bytes.
    pub(crate) fn hold(&self, connections: usize, said: usize) -> Option<f64> {
        let client = Client::numbered(0);
        let before = self.process.resident()?;
        let held: Vec<_> = (0..connections)
            .map(|_| {
                let mut admitted = client.knock(self.at, self.tls.as_ref());
                if said > 0 {
                    admitted.echo(&client::call(said));
                }
                admitted
            })
            .collect();
        let after = self.process.resident()?;
        drop(held);
        #[expect(clippy::cast_precision_loss, reason = "it is shown with two digits")]
        let each = after.saturating_sub(before) as f64 / connections as f64;
        Some(each)
    }
}
