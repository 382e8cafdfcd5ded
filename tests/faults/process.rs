//! The gateway as a process, on a folder of its own: started, spoken to, and ended in any way.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::client::{Asking, Client, Closed, Refused, TOKEN};
use crate::kept::Kept;

/// Asks the owner about every device, and knows the owner by the gateway's own socket.
pub(crate) const POLICY: &str = "gw-policy 1
guard [wrong-credentials] auth=failed → reject(as-found)
[owner] transport=unix → approve
[known-device] pairing=paired → approve
default → require-pairing
";

/// A folder with a configuration, where a gateway keeps its state. The owner's socket is not in the
/// state folder, which may be out of sight.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// With more lines of configuration.
    pub(crate) fn new(config: &str) -> Self {
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
        };
        place.write(
            "gw.yaml",
            format!(
                "state: state\npolicy: my.policy\nlisten: {{ socket: owner.sock }}\n\
                 auth: {{ token: {{ file: token }} }}\n{config}"
            ),
        );
        place.write("my.policy", POLICY);
        place.write("token", TOKEN);
        place.chmod("token", 0o600);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Puts a file in the place of another one, as a whole.
    pub(crate) fn replace(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.write("replacing", bytes);
        fs::rename(self.path("replacing"), self.path(name)).unwrap();
    }

    pub(crate) fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// One of the files of the store, by what its name ends with.
    pub(crate) fn store(&self, ending: &str) -> PathBuf {
        self.path(&format!("state/gw.sqlite{ending}"))
    }

    /// What the store has on the disk.
    pub(crate) fn kept(&self) -> Kept {
        Kept::read(&self.store(""))
    }

    /// A tool of the owner.
    pub(crate) fn gw(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap());
        (output.status.code(), said.concat())
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_gw"), arguments)
    }

    fn command_of<A: AsRef<OsStr>>(&self, program: &str, arguments: &[A]) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("OPENCLAW_STATE_DIR", self.path("openclaw"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .args(arguments);
        command
    }

    /// What a gateway would be started as; its errors are written down beside its configuration.
    pub(crate) fn serving(&self) -> Command {
        let mut command = self.command(&["serve", "--port", "0"]);
        command.stderr(self.errors());
        command
    }

    /// The same, by a line of the shell that ends with what is to be run.
    pub(crate) fn serving_by(&self, program: &str, arguments: &[&str], line: &str) -> Command {
        let gw = env!("CARGO_BIN_EXE_gw");
        let line = format!("{line}; exec '{gw}' serve --port 0");
        let mut command = self.command_of(program, &[arguments, &["sh", "-c", &line]].concat());
        command.stderr(self.errors());
        command
    }

    fn errors(&self) -> File {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        options.open(self.path("errors")).unwrap()
    }

    /// What gateways complained of here so far.
    pub(crate) fn complaints(&self) -> String {
        fs::read_to_string(self.path("errors")).unwrap_or_default()
    }

    /// A gateway that serves.
    pub(crate) fn serve(&self) -> Gateway {
        self.start(&mut self.serving()).unwrap_or_else(|ended| {
            panic!("it ended with {ended:?}: {}", self.complaints());
        })
    }

    /// A gateway that serves, or how it ended in place of that.
    pub(crate) fn start(&self, command: &mut Command) -> Result<Gateway, ExitStatus> {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let url = loop {
            line.clear();
            if lines.read_line(&mut line).unwrap() == 0 {
                return Err(child.wait().unwrap());
            }
            if let Some((_, address)) = line.split_once("://") {
                break address.trim().parse().unwrap();
            }
        };
        // What else it says is read by somebody, so that it never waits for that.
        std::thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
        Ok(Gateway {
            child,
            address: url,
            socket: self.path("owner.sock"),
        })
    }

    /// A gateway that does not serve: what it said.
    pub(crate) fn refusal(&self) -> String {
        self.write("errors", "");
        match self.start(&mut self.serving()) {
            Ok(_) => panic!("it serves"),
            Err(status) => {
                assert_eq!((status.code(), status.signal()), (Some(1), None));
                unwrapped(&self.complaints())
            }
        }
    }
}

/// A report without its frame and the breaks of its lines.
fn unwrapped(report: &str) -> String {
    let lines = report.lines();
    let lines = lines.map(|line| line.trim_matches([' ', '│', '×', '╰', '─', '▶']));
    lines.collect::<Vec<_>>().join(" ")
}

/// A gateway that serves. It ends with the test, whatever becomes of that.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
    socket: PathBuf,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Cuts it off where it is.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(
            status.signal(),
            Some(9),
            "it had ended by itself: {status:?}"
        );
    }

    /// Tells it to stop, and waits for its end.
    pub(crate) fn stop(&mut self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0));
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// No file of it may grow beyond so many bytes from now on; without a number it may again.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        limit_files(self.pid(), bytes);
    }

    /// A client that tries to be admitted; nothing is told where the gateway is cut off meanwhile.
    pub(crate) async fn try_knock(
        address: SocketAddr,
        asking: &Asking,
    ) -> Result<(Client, Value), Option<Refused>> {
        let Ok(stream) = TcpStream::connect(address).await else {
            return Err(None);
        };
        let Ok(mut client) = Client::upgraded(stream, asking).await else {
            return Err(None);
        };
        if client.challenge().await.is_err() {
            return Err(None);
        }
        match client.connect(asking).await {
            Ok(hello) => Ok((client, hello)),
            Err(refused) if refused.error.is_null() => Err(None),
            Err(refused) => Err(Some(refused)),
        }
    }

    pub(crate) async fn knock(&self, asking: &Asking) -> Result<(Client, Value), Refused> {
        let knocked = Gateway::try_knock(self.address, asking).await;
        knocked.map_err(|refused| refused.unwrap())
    }

    /// A client that is admitted, with what it is told.
    pub(crate) async fn admit(&self, asking: &Asking) -> (Client, Value) {
        match self.knock(asking).await {
            Ok(admitted) => admitted,
            Err(refused) => panic!("{refused:?}"),
        }
    }

    /// A client that is refused.
    pub(crate) async fn refuse(&self, asking: &Asking) -> Refused {
        match self.knock(asking).await {
            Ok((_, hello)) => panic!("admitted: {hello}"),
            Err(refused) => refused,
        }
    }

    /// What it counts.
    pub(crate) async fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let asked = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        said
    }

    /// The owner, at the gateway's own socket.
    pub(crate) async fn owner(&self) -> Client {
        let asking = Asking::default().auth(json!({}));
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        let mut client = Client::open(stream, &asking).await.unwrap();
        client.connect(&asking).await.unwrap();
        client
    }

    /// A device that asked and was approved, with its token.
    pub(crate) async fn pair(&self, owner: &mut Client, asking: &Asking) -> String {
        let waiting = self.refuse(asking).await;
        approve(owner, waiting.request_id()).await.unwrap().unwrap();
        let (_, hello) = self.admit(asking).await;
        hello["auth"]["deviceToken"].as_str().unwrap().to_owned()
    }
}

/// No file of a process may grow beyond so many bytes from now on; without a number it may again.
pub(crate) fn limit_files(process: Pid, bytes: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    let current = bytes.or(maximum);
    let limit = Rlimit { current, maximum };
    prlimit(Some(process), Resource::Fsize, limit).unwrap();
}

/// Approves a request: what is answered, if something is.
pub(crate) async fn approve(owner: &mut Client, id: &str) -> Result<Result<Value, Value>, Closed> {
    let request = json!({ "requestId": id });
    owner.try_call("device.pair.approve", request).await
}

/// Somebody who has to ask, with as much as a plain device asks for.
pub(crate) fn guest(name: &str) -> Asking {
    Asking::device(name).scopes(&["operator.read"])
}

/// The same device, by the token that it was given.
pub(crate) fn by_token(asking: &Asking, token: &str) -> Asking {
    asking.clone().auth(json!({ "deviceToken": token }))
}
