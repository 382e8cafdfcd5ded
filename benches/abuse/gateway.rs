//! The gateway that is abused: a process of its own, with a folder of its own, and what it tells of
//! itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use gw::client::tls::{Connector, Trust};
use gw::server::tls::Fingerprint;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

use crate::client::TOKEN;
use crate::process::Process;

/// How one gateway differs from others.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// More under `auth`.
    pub(crate) auth: &'a str,
    /// Under `limits`.
    pub(crate) limits: &'a str,
    /// More lines of its configuration.
    pub(crate) more: &'a str,
    /// The text of its policy, where it is not the default one.
    pub(crate) policy: Option<&'a str>,
    pub(crate) tls: bool,
}

/// A gateway that serves.
pub(crate) struct Gateway {
    process: Process,
    pub(crate) at: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    folder: TempDir,
}

/// What a gateway counts, by name and labels.
pub(crate) struct Counted(BTreeMap<String, u64>);

impl Counted {
    /// A count; 0 where it is not told.
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// The file of what it tells its operator.
const TOLD: &str = "told.log";

/// How long what must come may take.
const PATIENCE: Duration = Duration::from_secs(90);

impl Setup<'_> {
    pub(crate) fn start(&self) -> Gateway {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let state = folder.path().join("state");
        let mut text = format!(
            "listen: {{ bind: loopback, port: 0, socket: false }}\n\
             state: {}\n\
             auth: {{ token: {{ env: BENCH_TOKEN }}{} }}\n\
             tls: {{ autoGenerate: {} }}\n\
             limits: {{ {} }}\n\
             metrics: true\n\
             {}\n",
            state.display(),
            self.auth,
            self.tls,
            self.limits,
            self.more,
        );
        if let Some(policy) = self.policy {
            let file = folder.path().join("door.policy");
            fs::write(&file, policy).expect("a file");
            text += &format!("policy: {}\n", file.display());
        }
        let config = folder.path().join("gw.yaml");
        fs::write(&config, text).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gw"));
        command.args(["serve", "--config"]).arg(&config);
        command.env("BENCH_TOKEN", TOKEN);
        let told = folder.path().join(TOLD);
        command.stderr(fs::File::create(&told).expect("a file"));
        let (process, line) = Process::start(&mut command);
        let Some(Ok(at)) = line.trim().rsplit("://").next().map(str::parse) else {
            let told = fs::read_to_string(told).unwrap_or_default();
            panic!("it does not say where it listens: {line}{told}");
        };
        let tls = self.tls.then(|| {
            let certificate = CertificateDer::from_pem_file(state.join("tls.crt"));
            let pinned = Fingerprint::of(&certificate.expect("a certificate"));
            let connector = Connector::new(Trust::Fingerprint(pinned));
            connector.expect("TLS can be spoken").config()
        });
        Gateway {
            process,
            at,
            tls,
            folder,
        }
    }
}

impl Gateway {
    /// The file of its policy.
    pub(crate) fn policy(&self) -> PathBuf {
        self.folder.path().join("door.policy")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Resident memory, in bytes.
    pub(crate) fn resident(&self) -> Option<u64> {
        self.process.resident()
    }

    /// How many files it has open.
    pub(crate) fn files(&self) -> Option<usize> {
        self.process.files()
    }

    /// What it counts now. The connection that asks is one of those it counts.
    pub(crate) fn counted(&self) -> Counted {
        // Among thousands of others that wait, one that asks may have to ask again.
        let began = Instant::now();
        loop {
            match self.page() {
                Ok(page) if page.ends_with("# EOF\n") => return Counted::read(&page),
                _ if began.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
                page => panic!("it does not tell what it counts: {page:?}"),
            }
        }
    }

    fn page(&self) -> Result<String, String> {
        let told = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(self.at).map_err(told)?;
        let host = self.at;
        let asked = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let mut answer = String::new();
        match &self.tls {
            None => {
                stream.write_all(asked.as_bytes()).map_err(told)?;
                stream.read_to_string(&mut answer).map_err(told)?;
            }
            Some(config) => {
                let name = rustls::pki_types::ServerName::from(self.at.ip());
                let tls = rustls::ClientConnection::new(Arc::clone(config), name);
                let tls = tls.map_err(|error| error.to_string())?;
                let mut stream = rustls::StreamOwned::new(tls, stream);
                stream.write_all(asked.as_bytes()).map_err(told)?;
                stream.read_to_string(&mut answer).map_err(told)?;
            }
        }
        Ok(answer)
    }

    /// Waits until what it counts is so; whether it came to that.
    pub(crate) fn comes_to(&self, is_so: impl Fn(&Counted) -> bool) -> bool {
        let began = Instant::now();
        while !is_so(&self.counted()) {
            if began.elapsed() > PATIENCE {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Waits until nobody is connected but who asks.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.comes_to(|counted| counted.of("gw_connections") == 1)
    }

    /// The files of its log of decisions.
    fn logs(&self) -> Vec<PathBuf> {
        let found = fs::read_dir(self.state()).into_iter().flatten().flatten();
        let files = found.map(|entry| entry.path());
        let is_log = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            name.is_some_and(|name| name.starts_with("decisions.jsonl"))
        };
        files.filter(is_log).collect()
    }

    /// How many bytes its log of decisions has, in all files that are kept, and what it tells its
    /// operator.
    pub(crate) fn log_bytes(&self) -> u64 {
        let lengths = self.logs().into_iter().map(|path| length(&path));
        lengths.sum::<u64>() + length(&self.folder.path().join(TOLD))
    }

    /// Every line of its log of decisions that is kept.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        let texts = self.logs().into_iter().map(fs::read_to_string);
        let texts = texts.map(|text| text.expect("a log"));
        texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

impl Counted {
    fn read(page: &str) -> Self {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let counts = lines.filter_map(|line| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        });
        Counted(counts.collect())
    }
}
