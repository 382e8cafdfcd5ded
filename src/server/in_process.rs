//! Sessions of the program around the gateway: over memory, by the same policy.
//!
//! The program says who calls, and vouches for it; no message can. What the policy makes of
//! `transport=in-process` decides.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::admit::{Arrived, Decided, Undecided, admit};
use super::behind::Behind;
use super::clock::{now_ms, uuid};
use super::connection::{NotTaken, opened};
use super::gateway::Gateway;
use super::methods::is_ours;
use super::session::{Begun, Session};
use super::sessions::End;
use super::waiting::Address;
use crate::admission::{Challenged, Reply, Upgrade, at_upgrade};
use crate::facts::{Client, Mode, PeerUid, Role, Scope, Transport};
use crate::handshake::{Http, Socket};
use crate::journal::{Connection, Finish, Line};
use crate::wire::reply::{CallError, HttpRefusal, Refusal};

/// Who calls from within the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What it is.
    pub client: Client,
    /// In which mode.
    pub mode: Mode,
    /// Its role.
    pub role: Role,
    /// What it asks for.
    pub scopes: Vec<Scope>,
    /// What the log calls it.
    pub name: Box<str>,
}

impl Identity {
    /// A helper of the gateway, such as a scheduler or an agent's tool.
    #[must_use]
    pub fn backend(name: &str, scopes: &[Scope]) -> Self {
        Identity {
            client: Client::GatewayClient,
            mode: Mode::Backend,
            role: Role::Operator,
            scopes: scopes.to_vec(),
            name: name.into(),
        }
    }
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotConnected {
    /// A guard `at upgrade` refuses it.
    #[error("refused before it could say who it is: {0}")]
    AtUpgrade(HttpRefusal),
    /// The policy refuses it.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// The identity is none that the protocol knows.
    #[error("the identity is none that the protocol knows")]
    Unspeakable,
    /// The gateway stops, or the policy was changed meanwhile.
    #[error("{0}")]
    Ended(Box<str>),
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotAnswered {
    /// The call failed.
    #[error("{}", .0.message)]
    Failed(CallError),
    /// The session is over: connect again.
    #[error("the session has ended: {0}")]
    Ended(Box<str>),
}

/// A session over memory. It ends when it is dropped.
pub struct InProcess {
    session: Arc<Session>,
    /// The server behind, where there is one.
    behind: Option<Behind>,
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InProcess")
            .field(&self.session.live)
            .finish()
    }
}

impl Gateway {
    /// A session for the program around the gateway.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use gw::facts::Scope;
    /// use gw::pairing::memory::Memory;
    /// use gw::server::{Gateway, Identity, Options};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// let policy = gw::Policy::parse("door.policy", r#"gw-policy 1
    /// transport=in-process → approve(scopes={ operator.read })
    /// default → require-pairing
    /// "#)?;
    /// let settings = serde_json::from_str(r#"{ "auth": { "token": "3f9a1c77e0b24d58" } }"#)?;
    /// let store = Arc::new(Memory::default());
    /// let gateway = Gateway::new(policy, settings, store, Options::default())?;
    ///
    /// let scheduler = Identity::backend("scheduler", &[Scope::Read, Scope::Admin]);
    /// let session = gateway.connect_in_process(&scheduler).await?;
    /// assert_eq!(session.scopes(), ["operator.read".into()]);
    /// let health = session.call("health", serde_json::Value::Null).await?;
    /// assert_eq!(health["ok"], true);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotConnected`]; the refusal says what would help.
    pub async fn connect_in_process(&self, identity: &Identity) -> Result<InProcess, NotConnected> {
        let shared = &self.0;
        let snapshot = shared.snapshot();
        let upgrade = at_upgrade(snapshot.gate(), socket(), Http::default());
        let upgrade: Upgrade = upgrade.map_err(NotConnected::AtUpgrade)?;
        let time_ms = now_ms();
        let protocol = snapshot.settings.compatibility.protocol.current;
        let message = connect_frame(identity, protocol).to_string();
        let challenged = Challenged { nonce: "", time_ms };
        let began = Instant::now();
        let arrived = Arrived {
            upgrade: &upgrade,
            judged_by: &snapshot,
            message: message.as_bytes(),
            challenged,
        };
        let decided = admit(shared, &arrived).await;
        let Decided {
            admission,
            evidence,
            snapshot,
            version,
            unkept,
            ..
        } = decided.map_err(|undecided| match undecided {
            Undecided::Frame { reply, .. } | Undecided::Failed { reply, .. } => refused(&reply),
        })?;
        let id = uuid().map_err(|error| NotConnected::Ended(error.to_string().into()))?;
        let connection = Connection::of(id, &upgrade);
        let took = began.elapsed();
        let opened = match unkept.is_none() {
            true => opened(shared, &connection, message.as_bytes(), &admission, false).await,
            false => Ok(None),
        };
        let (relay, not_taken) = match opened {
            Ok(relay) => (relay, None),
            Err(why) => (None, Some(why)),
        };
        let line = Line::decided(&connection, &snapshot.policy, &admission).shown_by(evidence);
        let (reply, line) = match (&unkept, &not_taken) {
            (Some(reply), _) => (reply, line.unkept(reply)),
            (None, Some(NotTaken { reply, why })) => (reply, line.not_taken(reply, why)),
            (None, None) => (&admission.reply, line),
        };
        let record = &shared.record;
        let line = record.decided(&line, &admission, reply, &snapshot, took);
        let (Reply::Admitted(_), Some(permit), Some(line)) = (reply, admission.permit, line) else {
            return Err(refused(reply));
        };
        let begun = Begun {
            connection,
            address: Address::Socket,
            from: identity.name.clone(),
            line,
            snapshot,
            version,
        };
        let session = Session::begin(Arc::clone(shared), permit, begun)
            .map_err(|end| NotConnected::Ended(said(end)))?;
        let session = Arc::new(session);
        let behind = relay.map(|(upstream, link)| Behind::new(upstream, link, &session));
        Ok(InProcess { session, behind })
    }
}

/// It ends like any other.
impl Drop for InProcess {
    fn drop(&mut self) {
        self.session.ends(Finish::ClosedByClient, None);
    }
}

impl InProcess {
    /// The connection, as the log names it.
    #[must_use]
    pub fn connection(&self) -> &str {
        &self.session.live.told.id
    }

    /// What the session may do.
    #[must_use]
    pub fn scopes(&self) -> &[Box<str>] {
        &self.session.live.scopes
    }

    /// Calls a method. Whether the session is still admitted is asked each time.
    ///
    /// # Errors
    ///
    /// [`NotAnswered`].
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, NotAnswered> {
        let session = &self.session;
        session
            .look()
            .map_err(|end| NotAnswered::Ended(said(end)))?;
        let answer = match &self.behind {
            Some(behind) if !is_ours(method) => behind.call(method, &params).await,
            Some(_) | None => session.call(method, params).await,
        };
        answer.map_err(NotAnswered::Failed)
    }
}

fn socket() -> Socket {
    Socket {
        transport: Transport::InProcess,
        peer: None,
        local: None,
        tls: false,
        peer_uid: PeerUid::SameUser,
        own_addresses: [].into(),
    }
}

/// What a client of this identity would send. The socket, not the frame, says that it comes from
/// within.
fn connect_frame(identity: &Identity, protocol: u64) -> Value {
    let scopes: Vec<&str> = identity.scopes.iter().map(|scope| scope.name()).collect();
    json!({
        "type": "req",
        "id": "1",
        "method": "connect",
        "params": {
            "minProtocol": protocol,
            "maxProtocol": protocol,
            "client": {
                "id": identity.client.name(),
                "mode": identity.mode.name(),
                "displayName": identity.name,
                "platform": std::env::consts::OS,
                "version": env!("CARGO_PKG_VERSION"),
            },
            "role": identity.role.name(),
            "scopes": scopes,
        },
    })
}

fn refused(reply: &Reply) -> NotConnected {
    match reply {
        Reply::Refused { refusal, .. } => NotConnected::Refused(refusal.clone()),
        Reply::Closed(_) | Reply::Http(_) | Reply::Admitted(_) => NotConnected::Unspeakable,
    }
}

fn said(end: End) -> Box<str> {
    end.close().reason.into()
}
