//! A gateway that serves in this process: at a port that the system chose, with folders of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gw::Policy;
use gw::config::{Decisions, Limits};
use gw::journal::{Line, read};
use gw::pairing::Sqlite;
use gw::pairing::store::{self, Store};
use gw::server::decision_log::DecisionLog;
use gw::server::{Drained, Gateway, Listener, Options, run};
use gw::settings::Settings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Error;

use crate::client::{Asking, Client, Refused, TOKEN, soon};

/// How a gateway of a test differs from others.
pub(crate) struct Plan {
    pub(crate) policy: Policy,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    /// In the place of the SQLite file.
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) options: Options,
    /// Listeners beside the one over TCP; they may lie in the folder.
    pub(crate) listeners: Vec<Listener>,
    /// How long connections may take to end.
    pub(crate) patience: Duration,
    pub(crate) folder: TempDir,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            policy: policy(include_str!("../../policies/default.policy")),
            settings: settings(json!({})),
            limits: Limits::default(),
            store: None,
            options: Options::default(),
            listeners: Vec::new(),
            patience: Duration::from_secs(5),
            folder: tempfile::tempdir().unwrap(),
        }
    }
}

pub(crate) fn policy(text: &str) -> Policy {
    Policy::parse("test.policy", text).unwrap()
}

/// A policy without the line that all of them begin with.
pub(crate) fn rules(rules: &str) -> Policy {
    policy(&format!("gw-policy 1\n{rules}\n"))
}

/// Settings with the token of tests.
pub(crate) fn settings(more: Value) -> Settings {
    let mut settings = json!({ "auth": { "token": TOKEN } });
    for (name, value) in more.as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    serde_json::from_value(settings).unwrap()
}

/// A gateway that serves.
pub(crate) struct Served {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Drained>,
}

impl Plan {
    /// The file of devices.
    pub(crate) fn devices(&self) -> PathBuf {
        self.folder.path().join("gw.sqlite")
    }

    pub(crate) fn serve(mut self) -> Served {
        let store = self.store.take().unwrap_or_else(|| {
            let limits = store::Limits::default();
            Arc::new(Sqlite::open(&self.devices(), limits).unwrap())
        });
        let log = Decisions {
            file: self.folder.path().join("decisions.jsonl"),
            max_bytes: 64 << 20,
            keep: 1,
        };
        let options = Options {
            limits: self.limits,
            log: Some(DecisionLog::open(&log).unwrap()),
            ..self.options
        };
        let gateway =
            Gateway::new(self.policy, self.settings, Arc::clone(&store), options).unwrap();
        let listener = Listener::tcp(([127, 0, 0, 1], 0).into(), None).unwrap();
        let address = listener.address().unwrap();
        let mut listeners = self.listeners;
        listeners.push(listener);
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        Served {
            task: tokio::spawn(run(gateway.clone(), listeners, stopped, self.patience)),
            gateway,
            address,
            store,
            folder: self.folder,
            stop: Some(stop),
        }
    }
}

impl Served {
    pub(crate) async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A WebSocket that has its challenge.
    pub(crate) async fn open(&self) -> Client {
        self.try_open(&Asking::default()).await.unwrap()
    }

    pub(crate) async fn try_open(&self, asking: &Asking) -> Result<Client, Error> {
        Client::open(self.tcp().await, asking).await
    }

    /// A client that tries to be admitted.
    pub(crate) async fn knock(&self, asking: &Asking) -> Result<(Client, Value), Refused> {
        let mut client = self.try_open(asking).await.unwrap();
        let hello = client.connect(asking).await?;
        Ok((client, hello))
    }

    /// A client that is admitted.
    pub(crate) async fn admit(&self, asking: &Asking) -> Client {
        match self.knock(asking).await {
            Ok((client, _)) => client,
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

    /// Tells the gateway to stop.
    pub(crate) fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Stops it, waits for its end, and reads what it logged.
    pub(crate) async fn end(self) -> (Drained, Vec<Line>) {
        let (drained, text) = self.end_with_text().await;
        let lines = text.lines().map(|text| read::line(text).unwrap());
        (drained, lines.collect())
    }

    /// The same, with the log as it stands in its file.
    pub(crate) async fn end_with_text(mut self) -> (Drained, String) {
        self.stop();
        let drained = soon("the end of the gateway", self.task).await.unwrap();
        let text = fs::read_to_string(self.folder.path().join("decisions.jsonl")).unwrap();
        (drained, text)
    }
}
