//! A request for any WebSocket server behind the gateway: decided by its head, sent on there, and
//! only then answered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep};

use super::clock::{now_ms, steady_ms};
use super::connection::{Doorway, What, guarded, whose};
use super::gateway::{Phase, Shared, lock};
use super::http::{self, Answer};
use super::metrics::Over;
use super::session::{Begun, Session};
use super::sessions::End;
use super::snapshot::Snapshot;
use super::waiting::Place;
use crate::admission::{self, Admission, Permit, Presented, Reply, Upgrade};
use crate::client::ClientError;
use crate::facts::{Auth, Transport};
use crate::handshake::{Http, Socket};
use crate::journal::{Connection, Line, Unfinished};
use crate::pairing::Standing;
use crate::pairing::store::Version;
use crate::relay::{Head, Kind, Link, NoLink, Passed, Told, Upstream};
use crate::source::{MOST_WORDS, one_line};
use crate::wire::Bearer;
use crate::wire::bearer::NEUTRAL;
use crate::wire::reply::{BehindRefusal, HttpReason, HttpRefusal};

/// A request whose head was read.
pub(super) struct Asking {
    shared: Arc<Shared>,
    upstream: Arc<Upstream>,
    /// What it is judged by.
    snapshot: Arc<Snapshot>,
    upgrade: Upgrade,
    connection: Connection,
    head: Head,
    bearer: Bearer,
    /// One of those that its client may have waiting, until it waits for a refusal.
    place: Mutex<Option<Place>>,
}

/// A client that is admitted, and its connection to the server behind.
pub(super) struct Through {
    pub(super) session: Session,
    pub(super) link: Link,
    pub(super) upstream: Arc<Upstream>,
    /// The subprotocol that it is answered with.
    pub(super) subprotocol: Option<Box<str>>,
}

/// A decision that nobody was told of yet. One that is given up has a line all the same.
struct Untold<'a> {
    asking: &'a Asking,
    told: bool,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let Asking {
            shared,
            upgrade,
            connection,
            ..
        } = self.asking;
        let why = match *shared.phase.borrow() {
            Phase::Open => Unfinished::Lost,
            Phase::Draining | Phase::Cut => Unfinished::Shutdown,
        };
        let line = Line::unfinished(connection, now_ms(), Some(upgrade), why, None);
        shared.record.unfinished(whose(upgrade), &line, why);
    }
}

/// The server behind, where clients at such a socket get through by their request alone. At the
/// gateway's own sockets its owner's tools speak with the gateway itself.
pub(super) fn upstream(shared: &Shared, socket: &Socket) -> Option<Arc<Upstream>> {
    let upstream = shared.upstream()?;
    let behind = socket.transport == Transport::Tcp && upstream.options().kind == Kind::Plain;
    behind.then_some(upstream)
}

/// What of a request goes on to the server behind, and the token that came with it.
fn sent_on(
    request: &Request<Incoming>,
    read: &Http,
) -> Result<(Head, Bearer), Box<dyn std::error::Error>> {
    let head = Head::of(request.uri(), request.headers())?;
    let headers = read.headers.iter().map(|(name, value)| (&**name, &**value));
    Ok((head, Bearer::read(headers)?))
}

impl Asking {
    /// What is asked at a doorway, unless its head can be read in two ways or a guard stands
    /// against it.
    ///
    /// # Errors
    ///
    /// The answer.
    pub(super) fn at(
        door: &Doorway<'_>,
        upstream: &Arc<Upstream>,
        request: &Request<Incoming>,
    ) -> Result<Self, Box<Answer>> {
        let read = http::head(request);
        let (head, bearer) = sent_on(request, &read).map_err(|error| http::bad(&*error))?;
        let passed = guarded(door, &read, What::WebSocket);
        let (upgrade, snapshot, place) =
            passed.map_err(|refusal| http::refused(&refusal, door.id))?;
        if let Some(seat) = door.seat {
            seat.is_of(whose(&upgrade));
        }
        Ok(Asking {
            shared: Arc::clone(door.shared),
            upstream: Arc::clone(upstream),
            connection: Connection::of(door.id.clone(), &upgrade),
            snapshot,
            upgrade,
            head,
            bearer,
            place: Mutex::new(Some(place)),
        })
    }

    /// Decides it, and gets it through.
    ///
    /// # Errors
    ///
    /// The answer to a client that does not get through.
    pub(super) async fn through(self) -> Result<Through, Answer> {
        let began = Instant::now();
        let Asking {
            shared,
            upstream,
            snapshot,
            upgrade,
            connection,
            bearer,
            ..
        } = &self;
        let (time_ms, gate) = (now_ms(), snapshot.gate());
        let presented = Presented::of_request(gate.settings, bearer.token.as_ref(), time_ms);
        let (admission, delay_ms) = self.decided(&presented);
        let evidence = admission::evidence(
            gate,
            upgrade,
            &presented,
            &Standing::default(),
            &admission.facts,
        );
        let took = began.elapsed();
        let mut untold = Untold {
            asking: &self,
            told: false,
        };
        let passed = match &admission.permit {
            Some(permit) => Some(self.pass(&admission, permit).await),
            None => None,
        };
        let line = Line::decided(connection, &snapshot.policy, &admission).shown_by(evidence);
        let behind = match &passed {
            Some(Err(why)) => Some((Reply::Http(Box::new(told(why).response())), why)),
            Some(Ok(_)) | None => None,
        };
        let (reply, line) = match &behind {
            None => (&admission.reply, line),
            Some((reply, why)) => (reply, line.not_taken(reply, &why.to_string())),
        };
        let record = &shared.record;
        let line = record.decided(&line, &admission, reply, snapshot, took);
        untold.told = true;
        if delay_ms > 0 {
            let delay = Duration::from_millis(delay_ms.unsigned_abs());
            if let Some(place) = lock(&self.place).take() {
                place.hold(delay);
            }
            tokio::select! {
                () = sleep(delay) => {}
                // It is not to be had sooner by an end.
                () = shared.stops() => return Err(closed(&connection.id)),
            }
        }
        let (Some(Ok(Passed { link, subprotocol })), Some(permit), Some(line)) =
            (passed, admission.permit, line)
        else {
            return Err(match reply {
                Reply::Http(refusal) => http::refused(refusal, &connection.id),
                Reply::Admitted(_) | Reply::Refused { .. } | Reply::Closed(_) => {
                    closed(&connection.id)
                }
            });
        };
        let begun = Begun {
            connection: connection.clone(),
            address: whose(upgrade),
            from: upgrade.from(),
            line,
            snapshot: Arc::clone(snapshot),
            version: Version::default(),
        };
        let session = Session::begin(Arc::clone(shared), permit, begun);
        let session = session.map_err(|end| match end {
            End::Shutdown | End::NoRoom => closed(&connection.id),
            End::Ended(_) | End::Unknown => {
                http::refused(&BehindRefusal::Changed.response(), &connection.id)
            }
        })?;
        let neutral = bearer.neutral.then_some(NEUTRAL);
        Ok(Through {
            session,
            link,
            upstream: Arc::clone(upstream),
            subprotocol: subprotocol.or(neutral.map(Into::into)),
        })
    }

    /// The decision, counted; and how long its answer is to be held back.
    fn decided(&self, presented: &Presented) -> (Admission, i64) {
        let (gate, steady_ms) = (self.snapshot.gate(), steady_ms());
        let standing = Standing::default();
        let subject = self.upgrade.subject(gate.settings, presented, &standing);
        let subject = self.shared.held(subject, &self.upgrade);
        let limiter = &self.shared.limiter;
        let locks = lock(limiter).locks(&subject, steady_ms);
        let admission = admission::plain(gate, &self.upgrade, presented, locks);
        let delay_ms = lock(limiter).settle(&subject, &admission.steps, steady_ms);
        (admission, delay_ms)
    }

    /// Sends it on to the server behind.
    async fn pass(&self, admission: &Admission, permit: &Permit) -> Result<Passed, NoLink> {
        let client = match admission.facts.client_ip.ip() {
            Some(ip) => ip.to_string(),
            None => "unknown".to_owned(),
        };
        let told = Told {
            client: &client,
            verdict: admission.decision.verdict.kind().name(),
            rule: &self.snapshot.policy.label(admission.decision.by),
            scopes: permit.scopes(),
            auth: permit.auth().name(),
        };
        let most = self.shared.options.limits.message_bytes;
        let proxy = self.snapshot.settings.auth.trusted_proxy.as_ref();
        let head = match proxy.filter(|_| permit.auth() != Auth::TrustedProxy) {
            Some(proxy) => &self.head.clone().without(&proxy.user_header),
            None => &self.head,
        };
        let passing = self.upstream.pass(head, &told, &self.bearer, most);
        let passed = passing.await;
        let metrics = &self.shared.record.metrics;
        metrics.upstream_asked(Over::WebSocket, passed.is_ok());
        if let Err(error) = &passed {
            tracing::warn!(
                connection = %self.connection.id,
                upstream = %self.upstream.options().target,
                "the upstream does not take a client: {}",
                one_line(&error.to_string(), MOST_WORDS)
            );
        }
        passed
    }
}

/// What the client hears of it.
fn told(error: &NoLink) -> BehindRefusal {
    match error {
        NoLink::Away(ClientError::Http { status, .. }) => BehindRefusal::Status(*status),
        error if error.is_refusal() => BehindRefusal::Refused,
        NoLink::Away(_)
        | NoLink::Nonsense(_)
        | NoLink::Late(_)
        | NoLink::Refused { .. }
        | NoLink::NoKey => BehindRefusal::Away,
    }
}

/// The answer while the gateway stops.
fn closed(connection: &str) -> Answer {
    http::refused(&HttpRefusal::of(HttpReason::Closed), connection)
}
