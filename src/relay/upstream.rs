//! The server behind: where it is, how the gateway comes in there, and how it went last.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::time::timeout;

use super::connect::{self, Granted};
use super::device::{Root, Who};
use super::error::NoLink;
use super::http::{NoAnswer, Paths};
use super::link::Link;
use super::names::Names;
use crate::client::tls::Trust;
use crate::client::{Asked, ClientError, Door, Patience, Refusal, Target};
use crate::facts::Role;
use crate::secret::Secret;
use crate::source::{MOST_WORDS, one_line};

/// What speaks behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A gateway of OpenClaw: clients say who they are in its protocol.
    OpenClaw,
    /// Any WebSocket server: clients say who they are by a bearer token.
    Plain,
}

impl Kind {
    /// Its name in a configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::OpenClaw => "openclaw",
            Kind::Plain => "plain",
        }
    }
}

/// What the gateway shows the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Nothing.
    None,
    /// The shared token of the upstream.
    Token(Secret),
    /// Its password.
    Password(Secret),
}

/// How an upstream is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it is.
    pub target: Target,
    /// What it speaks.
    pub kind: Kind,
    /// How the gateway comes in.
    pub login: Login,
    /// Whom it is taken for over TLS.
    pub trust: Trust,
    /// What the devices of clients are made of.
    pub root: Root,
    /// How long each of its answers may take until it has let a client in; all of them together
    /// twice as long. As long over HTTP until an answer begins, and for each part of it.
    pub patience: Duration,
    /// Which requests over HTTP go there.
    pub paths: Paths,
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// What.
    pub what: Box<str>,
}

/// A server behind the gateway.
#[derive(Debug)]
pub struct Upstream {
    pub(super) options: Options,
    names: Arc<Names>,
    trouble: Mutex<Option<Trouble>>,
    /// The same over HTTP, where it goes well also when nobody is let in.
    trouble_http: Mutex<Option<Trouble>>,
    open: Arc<AtomicUsize>,
}

/// A connection that counts among those that are open, until it is dropped.
#[derive(Debug)]
pub struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Upstream {
    /// One that nobody is connected to yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Upstream {
            options,
            names: Arc::default(),
            trouble: Mutex::default(),
            trouble_http: Mutex::default(),
            open: Arc::default(),
        }
    }

    /// The same in the place of another one, whose connections go on: what is open there counts
    /// here, and devices are called as they are there.
    #[must_use]
    pub fn in_place_of(self, before: &Upstream) -> Self {
        let names = match self.options.root == before.options.root {
            true => Arc::clone(&before.names),
            // Every device has another name under another root.
            false => self.names,
        };
        Upstream {
            names,
            open: Arc::clone(&before.open),
            ..self
        }
    }

    /// How it is reached.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What devices are called there.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What went wrong last, if nothing went well since.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        let troubles = [self.last().clone(), lock(&self.trouble_http).clone()];
        troubles.into_iter().flatten().max_by_key(|it| it.at_ms)
    }

    /// How many connections are open.
    #[must_use]
    pub fn open_now(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a connection as open.
    #[must_use]
    pub fn count(&self) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(&self.open))
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Trouble>> {
        lock(&self.trouble)
    }

    /// Keeps in mind how it went over HTTP. Whoever asks need not be known, so that one trouble is
    /// told once.
    pub(super) fn answered<T>(&self, result: Result<T, NoAnswer>) -> Result<T, NoAnswer> {
        if let Err(NoAnswer::NotSent(_)) = &result {
            return result;
        }
        let trouble = result.as_ref().err().map(|error| Trouble {
            at_ms: now_ms(),
            what: one_line(&error.to_string(), MOST_WORDS).into(),
        });
        let mut last = lock(&self.trouble_http);
        if let Some(Trouble { what, .. }) = &trouble
            && last.as_ref().is_none_or(|last| last.what != *what)
        {
            tracing::warn!(upstream = %self.options.target, "the upstream does not answer: {what}");
        }
        *last = trouble;
        drop(last);
        result
    }

    /// Keeps in mind how it went.
    pub(super) fn went<T>(&self, result: Result<T, NoLink>) -> Result<T, NoLink> {
        *self.last() = result.as_ref().err().map(|error| Trouble {
            at_ms: now_ms(),
            what: one_line(&error.to_string(), MOST_WORDS).into(),
        });
        // Who lets a client in is there; pages may do without that.
        if result.is_ok() {
            *lock(&self.trouble_http) = None;
        }
        result
    }

    /// Learns what a node is called behind.
    pub fn learn_node(&self, device: &str) {
        let who = Who {
            device: Some(device),
            client: crate::facts::Client::NodeHost,
            role: Role::Node,
            scopes: &[],
        };
        if let Some(made) = self.options.root.device(&who) {
            self.names.learn(device, made.id(), true);
        }
    }

    /// Comes in as a client that was admitted here. With `from_page` it was a browser's page,
    /// which is taken for one of the upstream's own.
    ///
    /// # Errors
    ///
    /// [`NoLink`].
    pub async fn open(
        &self,
        granted: &Granted<'_>,
        device_here: Option<&str>,
        from_page: bool,
    ) -> Result<Link, NoLink> {
        let coming = self.come_in(granted, device_here, from_page);
        let longest = self.options.patience * 2;
        let came = timeout(longest, coming).await;
        self.went(came.unwrap_or(Err(NoLink::Late(longest))))
    }

    async fn come_in(
        &self,
        granted: &Granted<'_>,
        device_here: Option<&str>,
        from_page: bool,
    ) -> Result<Link, NoLink> {
        let Options {
            target,
            login,
            trust,
            root,
            patience,
            ..
        } = &self.options;
        let who = Who {
            device: device_here,
            client: granted.client,
            role: granted.role,
            scopes: granted.scopes,
        };
        let device = root.device(&who).ok_or(NoLink::NoKey)?;
        if let Some(here) = device_here {
            self.names
                .learn(here, device.id(), granted.role == Role::Node);
        }
        let mut asked = Asked::default();
        if from_page {
            asked.headers.push(("origin".to_owned(), target.origin()));
        }
        let patience = Patience {
            connection: *patience,
            handshake: *patience,
            call: *patience,
        };
        let door = Door::open(target, *trust, &asked, patience, &mut |_| {}).await?;
        let now_ms = u64::try_from(now_ms()).unwrap_or_default();
        let frame = connect::frame(granted, login, &device, door.nonce(), now_ms);
        match door.present(&frame, connect::ID).await {
            Ok((hello, websocket)) if is_hello(&hello) => Ok(Link { websocket, hello }),
            Ok(_) => Err(NoLink::Away(ClientError::Protocol {
                target: target.to_string(),
                what: "what it says on admission is no `hello-ok`".to_owned(),
            })),
            Err(ClientError::Refused(refusal)) => Err(refused(&refusal, device.id())),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_hello(hello: &Value) -> bool {
    hello.is_object() && hello.get("type").and_then(Value::as_str) == Some("hello-ok")
}

/// What the upstream refuses is the gateway's to solve, never the client's.
fn refused(refusal: &Refusal, device: &str) -> NoLink {
    let remedy = match refusal.code.as_str() {
        "NOT_PAIRED" => Some(match refusal.request_id() {
            Some(request) => format!(
                "; approve the device {device} of this gateway there: \
                 `openclaw devices approve {request}`"
            ),
            None => format!("; approve the device {device} of this gateway there"),
        }),
        _ => refusal
            .detail_code()
            .filter(|code| code.starts_with("AUTH_"))
            .map(|_| "; look at `upstream.token`: it is the secret of the upstream".to_owned()),
    };
    NoLink::Refused {
        code: refusal.code.as_str().into(),
        message: refusal.message.as_str().into(),
        remedy: remedy.map(Into::into),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
