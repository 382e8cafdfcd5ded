//! A case against a live gateway: who dials, says, calls and commands, and what comes of it.
//!
//! What a case does not speak of is held as well: nobody has a session, a request or a record who
//! was not to have one, and no secret that was used stands in any log.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::SinkExt as _;
use gw::Policy;
use gw::client::tls::{Connector, Trust};
use gw::config::Tls;
use gw::journal::{Kind, Line, read};
use gw::pairing::{Change, Standing, Version, Write};
use gw::server::tls::Certificates;
use gw::server::{Listener, Options};
use serde_json::{Map, Value};
use tokio::net::{TcpSocket, UnixStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::case::{Attack, Call, Case, Connect, Dial, Expect, Gw, Knock, Logged, Step};
use crate::client::{Client, Closed, Io, Refused, soon};
use crate::head::{self, Answer};
use crate::scenario::{Moment, PASSWORD, Spec, TOKEN, WRONG, device_token};
use crate::served::{self, Served};
use crate::sign::Identity;
use crate::told;
use crate::words::{constant, substituted, substituted_in};

/// What is wrong, in a sentence.
type Wrong = String;

static DEFAULT: LazyLock<Policy> = LazyLock::new(|| {
    Policy::parse(
        "default.policy",
        include_str!("../../policies/default.policy"),
    )
    .unwrap()
});

/// The gateway's own socket, in its folder.
const SOCKET: &str = "gw.sock";

/// A case that runs.
struct Run<'a> {
    attack: &'a Attack,
    case: &'a Case,
    served: Served,
    /// Where it listens beside 127.0.0.1.
    v6: Option<SocketAddr>,
    tls: Option<(SocketAddr, Connector)>,
    connections: BTreeMap<String, Connection>,
    /// What the log has to say of connections, by the step that says so.
    logged: Vec<(String, Option<String>, Logged)>,
    /// What was sent that proves something, and what was handed out.
    secrets: BTreeSet<String>,
    /// What had been told when it began.
    began: usize,
}

/// A connection, by its name in the case.
struct Connection {
    /// As the log names it.
    id: Option<String>,
    client: Option<Client>,
    /// The connect frame that it sent.
    frame: Option<Value>,
    /// The request that it left.
    request: Option<String>,
    admitted: bool,
}

/// What is remembered of devices, by their names: roles and scopes.
#[derive(Default)]
struct Remembered {
    waiting: BTreeMap<String, String>,
    paired: BTreeMap<String, String>,
}

/// Runs a case from its beginning to its end.
pub(crate) async fn run(attack: &Attack, case: &Case) -> Result<(), Wrong> {
    let mut run = Run::begin(attack, case).await?;
    let before = run.remembered()?.paired;
    for (at, step) in case.steps.iter().enumerate() {
        let place = |wrong: Wrong| format!("step {}: {wrong}", at + 1);
        run.step(step).await.map_err(place)?;
    }
    run.end(before).await
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn wrong_unless(right: bool, wrong: impl FnOnce() -> Wrong) -> Result<(), Wrong> {
    if right { Ok(()) } else { Err(wrong()) }
}

impl<'a> Run<'a> {
    async fn begin(attack: &'a Attack, case: &'a Case) -> Result<Self, Wrong> {
        let specs = attack.specs(case)?;
        let mut plan = served::Plan {
            policy: policy(case)?,
            settings: settings(attack.settings(case))?,
            ..served::Plan::default()
        };
        let folder = plan.folder.path().to_owned();
        plan.listeners = vec![Listener::unix(&folder.join(SOCKET)).unwrap()];
        let mut v6 = None;
        if specs.iter().any(|spec| spec.peer.is_ipv6()) {
            let listener = Listener::tcp("[::1]:0".parse().unwrap(), None).unwrap();
            v6 = Some(listener.address().unwrap());
            plan.listeners.push(listener);
        }
        let mut tls = None;
        if specs.iter().any(|spec| spec.tls) {
            let generated = Tls::Generated { names: Vec::new() };
            let certificates = Certificates::open(&generated, &folder, None, SystemTime::now());
            let certificates = certificates.unwrap().unwrap();
            let acceptor = Some(certificates.acceptor());
            let listener = Listener::tcp(([127, 0, 0, 1], 0).into(), acceptor).unwrap();
            let pin = Trust::Fingerprint(certificates.fingerprint());
            tls = Some((listener.address().unwrap(), Connector::new(pin).unwrap()));
            plan.listeners.push(listener);
            plan.options = Options {
                certificates: Some(certificates),
                ..Options::default()
            };
        }
        let run = Run {
            attack,
            case,
            served: plan.serve(),
            v6,
            tls,
            connections: BTreeMap::new(),
            logged: Vec::new(),
            began: told::so_far(),
            secrets: [TOKEN, PASSWORD, WRONG, &device_token("")]
                .map(str::to_owned)
                .into(),
        };
        run.hold(&attack.holds(case)?)?;
        Ok(run)
    }

    /// Puts into the store what is remembered before.
    fn hold(&self, specs: &[Spec]) -> Result<(), Wrong> {
        for spec in specs {
            let remembered = spec
                .remembered_at(now_ms())
                .ok_or("a device that is held")?;
            let held: Standing =
                serde_json::from_value(remembered).map_err(|error| error.to_string())?;
            let id = Identity::named(spec.device.as_deref().unwrap_or_default()).id;
            let put = Change {
                record: held.record.map_or(Write::Keep, Write::Put),
                pending: held.pending.map_or(Write::Keep, Write::Put),
                ..Change::none(id)
            };
            let committed = self.served.store.commit(&put, Version::NOTHING);
            committed.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &'a Step) -> Result<(), Wrong> {
        match step {
            Step::Dial(dial) => self.dial(dial).await,
            Step::Connect(connect) => self.connect(connect).await,
            Step::Knock(knock) => self.knock(knock).await,
            Step::Send(send) => {
                let text = self.named(&send.text)?.repeat(send.repeated);
                let client = self.client(&send.on)?;
                // One that cannot be sent is found out by what comes.
                let _ = client.socket.send(Message::text(text)).await;
                Ok(())
            }
            Step::Call(call) => self.call(call).await,
            Step::Closed(closed) => {
                let found = self.client(&closed.on)?.closed().await;
                let expected = Closed::new(closed.code, &closed.reason);
                wrong_unless(found == expected, || format!("closed with {found:?}"))?;
                let connection = self.connection(&closed.on)?;
                connection.admitted = false;
                let id = connection.id.clone();
                if let Some(log) = &closed.log {
                    self.logged.push((closed.on.clone(), id, log.clone()));
                }
                Ok(())
            }
            Step::Gw(gw) => self.gw(gw).await,
            Step::Settings(more) => {
                let mut all = self.attack.settings(self.case);
                all.extend(more.clone());
                self.served.gateway.put(policy(self.case)?, settings(all)?);
                Ok(())
            }
        }
    }

    async fn dial(&mut self, dial: &Dial) -> Result<(), Wrong> {
        let spec = self.spec(&dial.spec)?;
        let usual = Expect {
            http: Some(101),
            ..Expect::default()
        };
        let expect = dial.expect.as_ref().unwrap_or(&usual);
        for at in 0..dial.times {
            let name = numbered(&dial.name, at, dial.times);
            let answer = self.open(&name, &spec, &dial.path, dial.page).await?;
            let said = format!("{}\n{}", answer.head, String::from_utf8_lossy(&answer.rest));
            if expect.http != Some(answer.status) {
                return Err(format!("answered with {said}"));
            }
            self.says(&said, &expect.says, &expect.says_not)?;
            self.told(&name, expect);
        }
        Ok(())
    }

    async fn knock(&mut self, knock: &Knock) -> Result<(), Wrong> {
        let spec = self.spec(&knock.spec)?;
        for at in 0..knock.times {
            let name = numbered(&knock.name, at, knock.times);
            let answer = self.open(&name, &spec, &knock.path, false).await?;
            let expect = &knock.expect;
            if answer.status != 101 || expect.http.is_some() {
                let said = format!("{}\n{}", answer.head, String::from_utf8_lossy(&answer.rest));
                if expect.http != Some(answer.status) {
                    return Err(format!("answered with {said}"));
                }
                self.says(&said, &expect.says, &expect.says_not)?;
                self.told(&name, expect);
                continue;
            }
            self.present(&name, &spec, None, &knock.more, expect)
                .await?;
        }
        Ok(())
    }

    async fn connect(&mut self, connect: &Connect) -> Result<(), Wrong> {
        let spec = self.spec(&connect.spec)?;
        let replayed = match &connect.replays {
            Some(from) => Some(
                self.connection(from)?
                    .frame
                    .clone()
                    .ok_or("nothing was sent")?,
            ),
            None => None,
        };
        self.present(&connect.on, &spec, replayed, &connect.more, &connect.expect)
            .await
    }

    fn spec(&self, own: &Map<String, Value>) -> Result<Spec, Wrong> {
        self.attack.spec(self.case, own, &|words| self.known(words))
    }

    /// Opens a connection, and has the challenge where it is a WebSocket.
    async fn open(
        &mut self,
        name: &str,
        spec: &Spec,
        path: &str,
        page: bool,
    ) -> Result<Answer, Wrong> {
        let mut stream = self.stream(spec).await?;
        let mut headers = Vec::new();
        if !spec.host.is_empty() {
            headers.push(("Host".to_owned(), spec.host.clone()));
        }
        headers.extend(spec.headers.iter().cloned());
        let path = self.named(path)?;
        let mut answer = head::ask(&mut stream, &path, &headers, page).await;
        let mut connection = Connection {
            id: answer.header("x-gw-connection").map(str::to_owned),
            client: None,
            frame: None,
            request: None,
            admitted: false,
        };
        if answer.status == 101 {
            let read = std::mem::take(&mut answer.rest);
            let socket = WebSocketStream::from_partially_read(stream, read, Role::Client, None);
            let mut client = Client::of(socket.await);
            let challenged = client.challenge().await;
            challenged.map_err(|closed| format!("closed with {closed:?}"))?;
            connection.client = Some(client);
        }
        self.connections.insert(name.to_owned(), connection);
        Ok(answer)
    }

    async fn stream(&self, spec: &Spec) -> Result<Box<dyn Io>, Wrong> {
        if spec.transport.as_deref() == Some("unix") {
            let path = self.served.folder.path().join(SOCKET);
            return Ok(Box::new(UnixStream::connect(path).await.unwrap()));
        }
        let (socket, address) = match (spec.peer, &self.tls, self.v6) {
            (IpAddr::V4(_), Some((address, _)), _) if spec.tls => (TcpSocket::new_v4(), *address),
            (IpAddr::V4(_), _, _) => (TcpSocket::new_v4(), self.served.address),
            (IpAddr::V6(_), _, Some(address)) => (TcpSocket::new_v6(), address),
            (IpAddr::V6(_), _, None) => return Err("nothing listens there".to_owned()),
        };
        let socket = socket.unwrap();
        let from = SocketAddr::new(spec.peer, 0);
        socket
            .bind(from)
            .map_err(|error| format!("{from}: {error}"))?;
        let stream = socket.connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        match &self.tls {
            Some((_, connector)) if spec.tls => {
                let stream = connector.connect("127.0.0.1", stream).await;
                Ok(Box::new(stream.map_err(|error| error.to_string())?))
            }
            Some(_) | None => Ok(Box::new(stream)),
        }
    }

    /// Sends a connect frame, and looks at what comes of it.
    async fn present(
        &mut self,
        name: &str,
        spec: &Spec,
        replayed: Option<Value>,
        more: &Map<String, Value>,
        expect: &Expect,
    ) -> Result<(), Wrong> {
        let more = self.named_in(&Value::Object(more.clone()))?;
        let client = self.client(name)?;
        let nonce = client.nonce.clone();
        let frame = replayed.unwrap_or_else(|| {
            let mut frame = spec.frame_at(Moment {
                time: now_ms(),
                nonce: &nonce,
            });
            frame["id"] = "connect".into();
            for (key, value) in more.as_object().into_iter().flatten() {
                frame["params"][key] = value.clone();
            }
            frame
        });
        client.send(&frame).await;
        let answered = client.hello().await;
        for secret in frame["params"]["auth"].as_object().into_iter().flatten() {
            self.secrets.extend(secret.1.as_str().map(str::to_owned));
        }
        let connection = self.connection(name)?;
        connection.frame = Some(frame);
        match answered {
            Ok(hello) => {
                connection.admitted = true;
                self.let_in(&hello, expect)?;
            }
            Err(refused) => {
                connection.client = None;
                let request = refused.error["details"]["requestId"].as_str();
                connection.request = request.map(str::to_owned);
                self.kept_out(&refused, expect)?;
            }
        }
        self.told(name, expect);
        Ok(())
    }

    fn let_in(&mut self, hello: &Value, expect: &Expect) -> Result<(), Wrong> {
        let scopes: Vec<String> = serde_json::from_value(hello["auth"]["scopes"].clone()).unwrap();
        if expect.admitted.as_ref() != Some(&scopes) {
            return Err(format!("admitted with {scopes:?}"));
        }
        let token = hello["auth"]["deviceToken"].as_str();
        self.secrets.extend(token.map(str::to_owned));
        if let Some(expected) = &expect.token {
            let carried = match token {
                Some(token) => self.carried(token)?,
                None => Vec::new(),
            };
            let none = expected.is_empty() && token.is_none();
            wrong_unless(none || token.is_some() && carried == *expected, || {
                format!("a device token was handed out: {token:?} with {carried:?}")
            })?;
        }
        self.says(&hello.to_string(), &expect.says, &expect.says_not)
    }

    /// The scopes that a device token carries.
    fn carried(&self, token: &str) -> Result<Vec<String>, Wrong> {
        for (standing, _) in self.listed()? {
            let tokens = standing.record.and_then(|record| record.tokens);
            for kept in tokens.unwrap_or_default().values() {
                if kept.token.expose() == token {
                    return Ok(kept.scopes.iter().map(ToString::to_string).collect());
                }
            }
        }
        Err("a device token that nobody keeps".to_owned())
    }

    fn kept_out(&self, refused: &Refused, expect: &Expect) -> Result<(), Wrong> {
        let Refused { error, closed } = refused;
        let details = &error["details"];
        let code = details["code"].as_str().or(error["code"].as_str());
        let met = match expect {
            Expect {
                asked: Some(reason),
                ..
            } => code == Some("PAIRING_REQUIRED") && details["reason"] == **reason,
            Expect {
                refused: Some(expected),
                ..
            } => code == Some(expected),
            Expect {
                closed: Some(expected),
                ..
            } => error.is_null() && closed.code == *expected,
            _ => false,
        };
        wrong_unless(met, || {
            format!("kept out by {error}, closed with {closed:?}")
        })?;
        let close = match code {
            Some("PROTOCOL_MISMATCH") => 1002,
            Some(_) => 1008,
            None => closed.code,
        };
        wrong_unless(closed.code == close, || format!("closed with {closed:?}"))?;
        let said = format!("{error} {}", closed.reason);
        self.says(&said, &expect.says, &expect.says_not)
    }

    /// Keeps in mind what the log has to say.
    fn told(&mut self, name: &str, expect: &Expect) {
        if let Some(log) = &expect.log {
            let id = self.connections.get(name).and_then(|one| one.id.clone());
            self.logged.push((name.to_owned(), id, log.clone()));
        }
    }

    async fn call(&mut self, call: &Call) -> Result<(), Wrong> {
        let params = self.named_in(&call.params)?;
        let answer = self.client(&call.on)?.try_call(&call.method, params).await;
        let answer = answer.map_err(|closed| format!("closed with {closed:?}"))?;
        let said = match &answer {
            Ok(answer) | Err(answer) => answer.to_string(),
        };
        self.says(&said, &call.says, &call.says_not)?;
        match (answer, &call.answers, &call.fails) {
            (Ok(answer), Some(expected), None) => {
                if let Some(token) = answer["token"].as_str() {
                    self.secrets.insert(token.to_owned());
                }
                let expected = self.named_in(expected)?;
                wrong_unless(holds(&answer, &expected), || {
                    format!("answered with {answer}")
                })
            }
            (Err(error), None, Some(expected)) => {
                let expected = self.named(expected)?;
                wrong_unless(error["message"] == *expected, || {
                    format!("fails with {error}")
                })
            }
            (Ok(answer), _, _) => Err(format!("answered with {answer}")),
            (Err(error), _, _) => Err(format!("fails with {error}")),
        }
    }

    async fn gw(&mut self, gw: &Gw) -> Result<(), Wrong> {
        let arguments: Result<Vec<String>, Wrong> =
            gw.run.iter().map(|word| self.named(word)).collect();
        let folder = self.served.folder.path().to_owned();
        soon("lines of the log", self.written()).await;
        let mut command = Command::new(env!("CARGO_BIN_EXE_gw"));
        command
            .args(arguments?)
            .current_dir(&folder)
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("OPENCLAW_STATE_DIR", folder.join("openclaw"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = soon("the end of a command", output).await.unwrap().unwrap();
        let mut said = String::from_utf8(output.stdout).unwrap();
        said.push_str(&String::from_utf8(output.stderr).unwrap());
        wrong_unless(output.status.code() == Some(gw.exits), || {
            format!("ended with {:?}: {said}", output.status.code())
        })?;
        let hidden = said
            .chars()
            .find(|shown| gw::source::is_hidden(*shown) && *shown != '\n');
        wrong_unless(hidden.is_none(), || {
            format!("it prints {hidden:?}: {said:?}")
        })?;
        for secret in &self.secrets {
            wrong_unless(!said.contains(secret), || format!("it prints {secret}"))?;
        }
        self.says(&said, &gw.says, &gw.says_not)
    }

    /// Done when the log has a line of each connection that was answered.
    async fn written(&self) {
        let answered = self.connections.values().filter(|one| one.frame.is_some());
        let ids: Vec<&str> = answered.filter_map(|one| one.id.as_deref()).collect();
        let file = self.served.folder.path().join("decisions.jsonl");
        loop {
            let text = fs::read_to_string(&file).unwrap();
            if ids.iter().all(|id| text.contains(id)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    fn says(&self, said: &str, says: &[String], says_not: &[String]) -> Result<(), Wrong> {
        for text in says {
            let text = self.named(text)?;
            wrong_unless(said.contains(&text), || {
                format!("it does not say `{text}`: {said}")
            })?;
        }
        for text in says_not {
            let text = self.named(text)?;
            wrong_unless(!said.contains(&text), || {
                format!("it says `{text}`: {said}")
            })?;
        }
        Ok(())
    }

    /// What is there after the last step, and what the log has of all.
    async fn end(mut self, before: BTreeMap<String, String>) -> Result<(), Wrong> {
        let sessions = self.connections.values().filter(|one| one.admitted).count();
        let gateway = self.served.gateway.clone();
        let settled = async {
            while gateway.sessions() != sessions {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(crate::client::PATIENCE, settled)
            .await
            .is_err()
        {
            let found = gateway.sessions();
            return Err(format!("{found} sessions in the place of {sessions}"));
        }
        let Remembered { waiting, paired } = self.remembered()?;
        let after = &self.case.after;
        wrong_unless(waiting == after.waiting, || {
            format!("there wait {waiting:?}")
        })?;
        let expected = after.paired.as_ref().unwrap_or(&before);
        wrong_unless(paired == *expected, || format!("paired are {paired:?}"))?;
        for (standing, _) in self.listed()? {
            let tokens = standing.record.and_then(|record| record.tokens);
            for token in tokens.unwrap_or_default().values() {
                let carried = token.scopes.iter().find(|scope| {
                    after
                        .no_token
                        .iter()
                        .any(|forbidden| ***scope == **forbidden)
                });
                wrong_unless(carried.is_none(), || format!("a token carries {carried:?}"))?;
            }
        }
        let further: Result<Vec<String>, Wrong> = after
            .not_logged
            .iter()
            .map(|text| self.named(text))
            .collect();
        let mut secrets = std::mem::take(&mut self.secrets);
        secrets.extend(further?);
        let logged = std::mem::take(&mut self.logged);
        self.connections.clear();
        let (_, text) = self.served.end_with_text().await;
        let lines: Vec<Line> = text.lines().map(|line| read::line(line).unwrap()).collect();
        // Refusals of who proved no secret have a few lines a second, and then the log says how many have
        // none.
        let left_out = lines.iter().filter(|line| line.kind == Kind::LinesLeftOut);
        let mut left_out: u64 = left_out.filter_map(|line| line.dropped).sum();
        for (name, id, expected) in logged {
            let has_line = |line: &Line| id.as_deref() == Some(&*line.connection);
            if left_out > 0 && id.is_some() && !lines.iter().any(has_line) {
                left_out -= 1;
                continue;
            }
            is_logged(&lines, id.as_deref(), &expected)
                .map_err(|wrong| format!("the log, of {name}: {wrong}"))?;
        }
        for (place, told) in [
            ("the log of decisions", text),
            ("the log", told::since(self.began)),
        ] {
            let found = secrets.iter().find(|secret| told.contains(&***secret));
            wrong_unless(found.is_none(), || format!("{place} has {found:?}"))?;
        }
        Ok(())
    }

    fn listed(&self) -> Result<Vec<(Standing, Version)>, Wrong> {
        self.served.store.list().map_err(|error| error.to_string())
    }

    /// The requests that wait and the devices that are paired, by the names of devices.
    fn remembered(&self) -> Result<Remembered, Wrong> {
        let mut found = Remembered::default();
        let names = self.names()?;
        for (standing, _) in self.listed()? {
            let name = |id: &str| names.get(id).cloned().unwrap_or_else(|| id.to_owned());
            if let Some(pending) = &standing.pending {
                let asked = told_scopes(pending.asked_roles(), pending.asked_scopes());
                found.waiting.insert(name(&pending.device_id), asked);
            }
            if let Some(record) = &standing.record {
                let has = told_scopes(record.approved_roles(), record.baseline());
                found.paired.insert(name(&record.device_id), has);
            }
        }
        Ok(found)
    }

    /// The names of devices by their ids.
    fn names(&self) -> Result<BTreeMap<String, String>, Wrong> {
        let specs = self.attack.specs(self.case)?;
        let names = specs.into_iter().filter_map(|spec| spec.device);
        Ok(names
            .map(|name| (Identity::named(&name).id, name))
            .collect())
    }

    fn connection(&mut self, name: &str) -> Result<&mut Connection, Wrong> {
        let known = self.connections.get_mut(name);
        known.ok_or_else(|| format!("there is no connection {name}"))
    }

    fn client(&mut self, name: &str) -> Result<&mut Client, Wrong> {
        let client = self.connection(name)?.client.as_mut();
        client.ok_or_else(|| format!("the connection {name} is over"))
    }

    /// A text in which `<…>` stands for what is known only while the case runs.
    fn named(&self, text: &str) -> Result<String, Wrong> {
        substituted(text, &|words| self.known(words))
    }

    fn known(&self, words: &str) -> Result<String, Wrong> {
        let words: Vec<&str> = words.split(' ').collect();
        Ok(match *words.as_slice() {
            ["port"] => self.served.address.port().to_string(),
            ["socket"] => {
                let socket = self.served.folder.path().join(SOCKET);
                format!("unix:{}", socket.display())
            }
            ["log"] => {
                let log = self.served.folder.path().join("decisions.jsonl");
                log.display().to_string()
            }
            ["state"] => self.served.folder.path().display().to_string(),
            // The id that a connection was told, which may be another one by now.
            ["request", name] => {
                let connection = self.connections.get(name);
                let request = connection.and_then(|one| one.request.clone());
                request.ok_or_else(|| format!("{name} left no request"))?
            }
            ["connection", name] => {
                let connection = self.connections.get(name);
                let id = connection.and_then(|one| one.id.clone());
                id.ok_or_else(|| format!("{name} has no id"))?
            }
            _ => constant(&words.join(" "))?,
        })
    }

    fn named_in(&self, value: &Value) -> Result<Value, Wrong> {
        substituted_in(value, &|words| self.known(words))
    }
}

fn policy(case: &Case) -> Result<Policy, Wrong> {
    match &case.policy {
        Some(text) => Policy::parse("case.policy", text).map_err(|error| error.to_string()),
        None => Ok(DEFAULT.clone()),
    }
}

fn settings(all: Map<String, Value>) -> Result<gw::settings::Settings, Wrong> {
    let spec = Spec {
        settings: all,
        ..Spec::default()
    };
    serde_json::from_value(substituted_in(&spec.settings(), &constant)?)
        .map_err(|error| error.to_string())
}

fn numbered(name: &str, at: usize, times: usize) -> String {
    match times {
        1 => name.to_owned(),
        _ => format!("{name}-{}", at + 1),
    }
}

fn told_scopes<'r>(roles: impl Iterator<Item = &'r str>, scopes: &[Box<str>]) -> String {
    let in_order = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(" ");
    let scopes = scopes.iter().map(|scope| &**scope);
    format!(
        "{}: {}",
        in_order(roles.collect()),
        in_order(scopes.collect())
    )
}

/// Whether a value has all that another says: of an array the same elements in the same order.
fn holds(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => expected
            .iter()
            .all(|(name, expected)| value.get(name).is_some_and(|value| holds(value, expected))),
        (Value::Array(value), Value::Array(expected)) => {
            let pairs = value.iter().zip(expected);
            value.len() == expected.len() && pairs.into_iter().all(|(a, b)| holds(a, b))
        }
        (value, expected) => value == expected,
    }
}

/// Whether the log has one line of its kind of a connection, and it says all that is said of it.
fn is_logged(lines: &[Line], id: Option<&str>, expected: &Logged) -> Result<(), Wrong> {
    let id = id.ok_or("it was told no id")?;
    let kind = expected.kind.as_deref().unwrap_or("decided");
    let named = |line: &&Line| &*line.connection == id;
    let mut of_kind = lines
        .iter()
        .filter(named)
        .filter(|line| line.kind.name() == kind);
    let (line, more) = (of_kind.next(), of_kind.next());
    let line = line.ok_or_else(|| {
        let kinds: Vec<_> = lines
            .iter()
            .filter(named)
            .map(|line| line.kind.name())
            .collect();
        format!("no line `{kind}`, but {kinds:?}")
    })?;
    wrong_unless(more.is_none(), || format!("two lines `{kind}`"))?;
    let shown = serde_json::to_value(line).unwrap();
    for (name, expected) in [
        ("verdict", &expected.verdict),
        ("reason", &expected.reason),
        ("by", &expected.by),
        ("law", &expected.law),
    ] {
        let said = shown[name].as_str();
        wrong_unless(expected.is_none() || said == expected.as_deref(), || {
            format!("`{name}` is {said:?} in {shown}")
        })?;
    }
    if expected.by.is_some() && expected.law.is_none() {
        wrong_unless(line.law.is_none(), || format!("`law` is {:?}", line.law))?;
    }
    let groups = shown["facts"].as_object();
    for (name, expected) in &expected.facts {
        let mut found = groups.into_iter().flatten().map(|(_, group)| &group[name]);
        let found = found.find(|value| !value.is_null()).unwrap_or(&Value::Null);
        wrong_unless(found == expected, || {
            format!("`{name}` is {found} in {shown}")
        })?;
    }
    Ok(())
}
