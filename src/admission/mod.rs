//! The whole path of one connection, from HTTP head and first message to reply, close code and
//! changed record: values to values.
//!
//! [`at_upgrade`] looks at the socket and the head, [`present`] at the first message,
//! [`at_connect`] decides and says what to write and what to answer, [`still_admitted`] asks
//! again later. Whoever serves brings sockets, the clock, the store and randomness; it commits
//! [`Admission::change`] before it sends [`Admission::reply`], and on a conflict loads the
//! standing and asks [`at_connect`] again. Nobody else can make a [`Permit`], and without one
//! there is no session.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod event;
mod permit;
mod reply;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::auth::limiter::{Locks, Steps, Subject, steps};
use crate::auth::{self, Memory};
use crate::decide::{self, Decision, Law, decide};
use crate::facts::scopes::{ScopeRule, covers};
use crate::facts::{
    Auth, Client, DeviceProof, Facts, HostClass, Ingress, Mode, Pairing, PendingRequest, Role,
    Scope, ScopeSet,
};
use crate::handshake::{self, Http, Seen, Socket};
use crate::pairing::change::{self, Change, Fresh};
use crate::pairing::course::{Course, Outcome, carry_out};
use crate::pairing::key::same_key;
use crate::pairing::record::{Issuer, Via};
use crate::pairing::request::{Ask, request};
use crate::pairing::token::IssuedToken;
use crate::pairing::{Relation, Standing};
use crate::policy::Policy;
use crate::settings::Settings;
use crate::verdict::{Grant, PairingReason, Reason, ScopeBound, Verdict};
use crate::wire::reply::{
    Context, HttpReason, HttpRefusal, PairingRefusal, agent_identity, connect_error, mismatch,
    node_identity, pairing_required, refuse,
};
use crate::wire::{Connect, Limits, Schema, connect, frame, negotiate};

pub use event::Event;
pub use permit::{Ended, Permit, still_admitted};
pub use reply::{Admitted, Reply};

/// The build that a dashboard names while it is being developed.
const DEVELOPMENT_BUILD: &str = "dev";

/// What every connection is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// The settings.
    pub settings: &'a Settings,
}

/// A request that may go on to be a WebSocket.
#[derive(Clone)]
pub struct Upgrade {
    socket: Socket,
    http: Http,
    facts: Facts,
}

/// Shows facts only: a header or the query of the path may hold a secret.
impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl Upgrade {
    /// What is known so far; the facts of the connect frame are defaults.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whose failures count against this connection, for the [`Limiter`](auth::limiter::Limiter).
    #[must_use]
    pub fn subject(&self, settings: &Settings) -> Subject {
        Subject::of(settings, self.facts.client_ip, &self.facts.origin)
    }
}

/// Decides what can be decided when only the socket and the HTTP head are known.
///
/// # Errors
///
/// The HTTP response of a guard `at upgrade` that refuses.
pub fn at_upgrade(gate: Gate<'_>, socket: Socket, http: Http) -> Result<Upgrade, HttpRefusal> {
    let facts = handshake::at_upgrade(gate.settings, &socket, &http);
    match decide::at_upgrade(gate.policy.program(), &facts) {
        Some((_, Reason::ProxyAttributionRequired)) => {
            Err(HttpRefusal::of(HttpReason::ProxyAttributionRequired))
        }
        Some((_, reason)) => Err(HttpRefusal::of(HttpReason::Policy(reason))),
        None => Ok(Upgrade {
            socket,
            http,
            facts,
        }),
    }
}

/// The challenge that a connection was sent, and when its answer arrived.
#[derive(Clone, Copy, Debug)]
pub struct Challenged<'a> {
    /// The nonce; of a connection that was sent none, empty.
    pub nonce: &'a str,
    /// When the first message arrived, in Unix milliseconds.
    pub time_ms: i64,
}

/// A connect frame that can be judged: it keeps the schema, a protocol is spoken on both
/// sides, and the device proof is checked.
#[derive(Clone, Debug)]
pub struct Presented {
    connect: Connect,
    protocol: u64,
    proof: DeviceProof,
    time_ms: i64,
}

impl Presented {
    /// The device that it names, whose standing [`at_connect`] needs.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        let device = self.connect.claims().device.as_ref();
        device.map(|device| &*device.id)
    }

    /// The connect frame.
    #[must_use]
    pub fn connect(&self) -> &Connect {
        &self.connect
    }

    /// The version of the protocol that is spoken.
    #[must_use]
    pub fn protocol(&self) -> u64 {
        self.protocol
    }

    /// What the device proof showed.
    #[must_use]
    pub fn proof(&self) -> DeviceProof {
        self.proof
    }
}

/// Reads the first message. This is where the signature is checked, once, however often the
/// standing changes afterwards.
///
/// # Errors
///
/// The answer to a message that is no connect frame, breaks the schema, or comes from a client
/// that speaks no protocol that is spoken here.
pub fn present(
    settings: &Settings,
    message: &[u8],
    challenged: Challenged<'_>,
) -> Result<Presented, Reply> {
    let (connect, protocol) = read(settings, message)?;
    let skew_ms = settings.compatibility.device_skew_ms;
    let claims = connect.claims();
    let proof = auth::device::prove(claims, challenged.nonce, challenged.time_ms, skew_ms);
    Ok(Presented {
        connect,
        protocol,
        proof,
        time_ms: challenged.time_ms,
    })
}

fn read(settings: &Settings, message: &[u8]) -> Result<(Connect, u64), Reply> {
    let compatibility = &settings.compatibility;
    let most = Limits::DEFAULT.first_message_bytes;
    let frame = frame::read(message, most).map_err(|error| Reply::Closed(error.close()))?;
    let connect =
        connect::parse(&frame, &Schema::of(compatibility)).map_err(|error| match connect_error(
            &error,
            compatibility,
        ) {
            Ok(refusal) => Reply::refused(&frame, refusal),
            Err(close) => Reply::Closed(close),
        })?;
    let protocol = negotiate(&compatibility.protocol, &connect)
        .map_err(|error| Reply::refused(&frame, mismatch(&error, compatibility)))?;
    Ok((connect, protocol))
}

/// What is remembered when a connection is decided.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'a> {
    /// Of the device that it names.
    pub standing: &'a Standing,
    /// Who has failed too often.
    pub locks: Locks,
    /// The setup codes that were issued.
    pub setup_codes: &'a [auth::bootstrap::SetupCode],
}

impl<'a> Remembered<'a> {
    /// Of a device only: nobody has failed, and no setup code was issued.
    #[must_use]
    pub fn of(standing: &'a Standing) -> Self {
        Remembered {
            standing,
            locks: Locks::default(),
            setup_codes: &[],
        }
    }
}

/// What becomes of a connection.
#[derive(Debug)]
pub struct Admission {
    /// What was decided.
    pub decision: Decision,
    /// The facts that it was decided on.
    pub facts: Facts,
    /// What to write of the device, before anything is answered.
    pub change: Change,
    /// What to count of the credentials, once it is answered.
    pub steps: Steps,
    /// What to answer, and how to close.
    pub reply: Reply,
    /// What the audit log says.
    pub event: Event,
    /// The right to a session, if it is admitted.
    pub permit: Option<Permit>,
}

/// Decides a connection.
#[must_use]
pub fn at_connect(
    gate: Gate<'_>,
    upgrade: &Upgrade,
    presented: &Presented,
    remembered: Remembered<'_>,
    fresh: &mut Fresh<'_>,
) -> Admission {
    let (facts, verified) = observed(gate, upgrade, presented, remembered);
    let live = remembered.standing.live(presented.time_ms);
    let remembered = Remembered {
        standing: &live,
        ..remembered
    };
    let decision = decide(gate.policy.program(), &facts);
    let arrival = Arrival {
        gate,
        upgrade,
        presented,
        remembered,
        facts,
        auth_reason: verified.reason,
        decision,
    };
    let steps = steps(&verified.tried, &gate.settings.compatibility);
    let Done {
        change,
        reply,
        permit,
    } = arrival.carry_out(fresh);
    let event = Event::of(&arrival, &reply);
    Admission {
        decision,
        facts: arrival.facts,
        change,
        steps,
        reply,
        event,
        permit,
    }
}

/// The facts of a connection, as far as they are remembered now.
fn observed(
    gate: Gate<'_>,
    upgrade: &Upgrade,
    presented: &Presented,
    remembered: Remembered<'_>,
) -> (Facts, auth::Verified) {
    let seen = Seen {
        settings: gate.settings,
        socket: &upgrade.socket,
        http: &upgrade.http,
        // The proof was checked when the frame was presented.
        nonce: "",
        connect: &presented.connect,
        standing: remembered.standing,
        time_ms: presented.time_ms,
    };
    let memory = Memory {
        locks: remembered.locks,
        setup_codes: remembered.setup_codes,
        now_ms: presented.time_ms,
    };
    let facts = upgrade.facts.clone();
    handshake::at_connect_remembering(facts, &seen, presented.proof, &memory)
}

/// A connection that was decided, with all that its answer depends on.
struct Arrival<'a> {
    gate: Gate<'a>,
    upgrade: &'a Upgrade,
    presented: &'a Presented,
    remembered: Remembered<'a>,
    facts: Facts,
    auth_reason: Option<auth::AuthReason>,
    decision: Decision,
}

/// What carrying out a decision comes to.
struct Done {
    change: Change,
    reply: Reply,
    permit: Option<Permit>,
}

impl Arrival<'_> {
    fn carry_out(&self, fresh: &mut Fresh<'_>) -> Done {
        let claims = self
            .presented
            .connect
            .claims()
            .looked_at(self.gate.settings);
        let device = claims
            .device
            .as_ref()
            .filter(|_| self.facts.device == DeviceProof::Proven);
        let verdict = self.decision.verdict;
        let scopes = self.granted(&claims.scopes);
        let course = self.course();
        let (Some(course), Some(device)) = (course, device) else {
            return match verdict {
                Verdict::Reject(reason) => self.refused(Change::default(), reason),
                Verdict::RequirePairing(reason) => self.waits(Change::default(), reason, None),
                Verdict::Approve(_) | Verdict::SilentApprove(_) => {
                    self.admitted(Change::default(), scopes, None)
                }
            };
        };
        let compatibility = &self.gate.settings.compatibility;
        let now_ms = self.presented.time_ms;
        let issuer = self.issuer();
        let remote_ip = self.remote_ip();
        let ask = Ask {
            device_id: &device.id,
            public_key: &device.public_key,
            role: claims.role,
            scopes: match verdict {
                Verdict::Approve(_) | Verdict::SilentApprove(_) => &scopes,
                Verdict::Reject(_) | Verdict::RequirePairing(_) => &claims.scopes,
            },
            display_name: self.presented.connect.display_name.as_deref(),
            platform: Some(&claims.platform),
            device_family: claims.device_family.as_deref(),
            client: claims.client,
            mode: claims.mode,
            remote_ip: remote_ip.as_deref(),
            browser_origin: self.page().filter(|_| compatibility.pairing.provenance),
            issuer: issuer.as_ref(),
            by_device_token: self.facts.auth == Auth::DeviceToken,
            until_ms: verdict
                .grant()
                .and_then(|grant| grant.ttl_seconds)
                .map(|seconds| now_ms.saturating_add(i64::from(seconds) * 1_000)),
            wants_token: verdict.grant().is_some_and(|grant| grant.token),
        };
        let standing = self.remembered.standing;
        let mut outcome = carry_out(course, standing, &ask, fresh, now_ms, compatibility);
        let asks = match verdict {
            Verdict::RequirePairing(reason) => Some(outcome.waits.unwrap_or(reason)),
            Verdict::Approve(_) | Verdict::SilentApprove(_) | Verdict::Reject(_) => outcome.waits,
        };
        if let (Course::Pair(_), Some(reason)) = (course, asks)
            && (outcome.waits.is_none() || approves(&outcome.change))
        {
            // Whoever has to wait leaves a request, and nothing that needed no asking.
            let course = Course::Ask(reason);
            outcome = carry_out(course, standing, &ask, fresh, now_ms, compatibility);
        }
        let Outcome {
            change,
            token,
            waits,
        } = outcome;
        match (verdict, waits) {
            (Verdict::Reject(reason), _) => self.refused(change, reason),
            (_, Some(reason)) | (Verdict::RequirePairing(reason), None) => {
                self.waits(change, reason, Some(&device.public_key))
            }
            (Verdict::Approve(_), None) if self.is_unknown_node(course) => {
                self.done(change, Reply::to(&self.presented.connect, node_identity()))
            }
            (Verdict::Approve(grant) | Verdict::SilentApprove(grant), None) => {
                let change = match grant.scopes {
                    ScopeBound::Approved if scopes.len() < claims.scopes.len() => {
                        let all = Ask {
                            scopes: &claims.scopes,
                            ..ask
                        };
                        let after = change.apply(standing);
                        change.then(request(&after, &all, false, fresh, now_ms, compatibility))
                    }
                    ScopeBound::Requested
                    | ScopeBound::None
                    | ScopeBound::Approved
                    | ScopeBound::Within(_) => change,
                };
                self.admitted(change, scopes, token)
            }
        }
    }

    /// What the decision means for what is remembered.
    fn course(&self) -> Option<Course> {
        // What would have been silent, and cannot be approved, stays a request that needed no
        // asking: it does not stand in the way of a later one that can be.
        let unasked = match self.decision.law {
            Some(Law::RequestWaits) => self.facts.pending == PendingRequest::SilentWider,
            Some(Law::OutsideRole) => true,
            Some(Law::Barred | Law::DeviceRequired | Law::NothingToRecord) | None => false,
        };
        if unasked {
            return Some(Course::Pair(Via::Silent));
        }
        let course = Course::of(self.decision.verdict, &self.relation())?;
        let by_network = self.facts.node_network && !self.is_direct_local();
        Some(match course {
            Course::Pair(_) if by_network => Course::Pair(Via::TrustedCidr),
            Course::Pass | Course::Refresh | Course::Pair(_) | Course::Ask(_) => course,
        })
    }

    /// A node whose pairing was passed over serves nobody knows whose commands.
    fn is_unknown_node(&self, course: Course) -> bool {
        self.facts.role == Role::Node
            && course == Course::Pass
            && self.gate.settings.compatibility.nodes_need_records
    }

    fn relation(&self) -> Relation {
        let facts = &self.facts;
        Relation {
            pairing: facts.pairing,
            role_upgrade: facts.role_upgrade,
            scope_upgrade: facts.scope_upgrade,
            metadata_upgrade: facts.metadata_upgrade,
            pending: facts.pending,
        }
    }

    /// The scopes that a session may have, of those that were asked for.
    fn granted(&self, requested: &[Box<str>]) -> Vec<Box<str>> {
        let Some(grant) = self.decision.verdict.grant() else {
            return Vec::new();
        };
        let approved = approved(&self.facts, self.remembered.standing);
        let rule = self.gate.settings.compatibility.scope_rule;
        granted(&grant, requested, self.facts.role, approved, rule)
    }

    fn context(&self) -> Context<'_> {
        let connect = &self.presented.connect;
        Context {
            // A device that was passed over was not named, as far as the client is told.
            device: self.facts.device != DeviceProof::Absent,
            may_lack_device: self.may_lack_device(),
            direct_local: self.is_direct_local(),
            origin: self.facts.origin.class(),
            auth_reason: self.auth_reason.as_ref(),
            hint: self.hint(),
            ..Context::of(connect, self.gate.settings)
        }
    }

    /// What the deciding clause has to say to the client.
    fn hint(&self) -> Option<&str> {
        let clause = self.gate.policy.clause(self.decision.by);
        clause.hint.as_deref()
    }

    fn refused(&self, change: Change, reason: Reason) -> Done {
        let refusal = refuse(reason, &self.context());
        self.done(change, Reply::to(&self.presented.connect, refusal))
    }

    fn waits(&self, change: Change, reason: PairingReason, key: Option<&str>) -> Done {
        let standing = self.remembered.standing;
        let after = change.apply(standing);
        // What this very connection had approved is not what the client came with.
        let record = standing.record.as_ref();
        // A stranger is not told what was approved for the id that it names.
        let own = record.filter(|record| key.is_some_and(|key| same_key(&record.public_key, key)));
        let mut roles: Vec<Box<str>> = Vec::new();
        for role in own.iter().flat_map(|record| record.approved_roles()) {
            if !roles.iter().any(|known| &**known == role) {
                roles.push(role.into());
            }
        }
        let claims = self.presented.connect.claims();
        let pending = after.pending.as_ref();
        let pairing = PairingRefusal {
            request_id: pending.map(|pending| &*pending.request_id),
            device_id: self.presented.device_id(),
            scopes: &claims.scopes,
            approved_roles: &roles,
            approved_scopes: own.map(|record| record.baseline()).unwrap_or_default(),
            ..PairingRefusal::new(reason)
        };
        let refusal = pairing_required(&pairing, &self.context());
        self.done(change, Reply::to(&self.presented.connect, refusal))
    }

    fn admitted(&self, change: Change, scopes: Vec<Box<str>>, token: Option<IssuedToken>) -> Done {
        // What is looked at last, when what is approved silently has been written.
        if self.is_stale_page() {
            return self.refused(change, Reason::BuildMismatch);
        }
        if self.presented.connect.sent.agent_identity && !self.is_own_backend() {
            return self.done(change, Reply::to(&self.presented.connect, agent_identity()));
        }
        let admitted = Admitted {
            id: self.presented.connect.id.clone(),
            protocol: self.presented.protocol,
            auth: self.facts.auth,
            role: self.facts.role,
            scopes: scopes.clone(),
            token,
        };
        let permit = Permit::new(self, &change, scopes);
        Done {
            change,
            reply: Reply::Admitted(Box::new(admitted)),
            permit: Some(permit),
        }
    }

    fn done(&self, change: Change, reply: Reply) -> Done {
        Done {
            change,
            reply,
            permit: None,
        }
    }

    /// A dashboard that the gateway itself served, and that is of another build: the page has
    /// to be loaded again. One that is being developed names no build of the gateway's.
    fn is_stale_page(&self) -> bool {
        let facts = &self.facts;
        let served = self.gate.settings.compatibility.control_ui_build.as_deref();
        let named = self.presented.connect.build_id.as_deref();
        let own_page = facts.client == Client::ControlUi
            && facts.same_origin
            && (facts.host.class() != HostClass::Loopback || self.is_direct_local());
        served.is_some() && own_page && named != served && named != Some(DEVELOPMENT_BUILD)
    }

    /// Whether a flag lets the dashboard come without a device, where flags count.
    fn may_lack_device(&self) -> bool {
        let flags = &self.facts.setting;
        let flagged =
            flags.disable_device_auth || (flags.allow_insecure_auth && self.is_direct_local());
        flagged && self.gate.settings.compatibility.discard_flagged_device
    }

    fn is_direct_local(&self) -> bool {
        self.facts.peer.is_loopback() && self.facts.ingress == Ingress::Direct
    }

    /// A helper of the gateway, on its own host.
    fn is_own_backend(&self) -> bool {
        self.facts.client == Client::GatewayClient
            && self.facts.mode == Mode::Backend
            && self.facts.same_host
            && self.facts.ingress == Ingress::Direct
    }

    /// Where it comes from, where that is known and not this host.
    fn remote_ip(&self) -> Option<String> {
        let address = self.facts.client_ip;
        let ip = address.ip().filter(|_| !address.is_loopback());
        ip.map(|ip| ip.to_string())
    }

    /// The page that speaks, if one does.
    fn page(&self) -> Option<&str> {
        let origin = &self.facts.origin;
        origin.is_page().then(|| origin.text())
    }

    /// What a token for it lives by: a page's by the shared secret that let it in.
    fn issuer(&self) -> Option<Issuer> {
        let shared = matches!(self.facts.auth, Auth::Token | Auth::Password);
        let page = is_page_client(self.facts.client, self.facts.mode);
        (shared && page).then(|| Issuer {
            kind: Issuer::SHARED_SECRET.into(),
            which: serde_json::Map::new(),
        })
    }
}

/// Whether a client is a page that is served by a gateway.
fn is_page_client(client: Client, mode: Mode) -> bool {
    client == Client::ControlUi || client == Client::WebchatUi || mode == Mode::Webchat
}

/// Whether a change approves something.
fn approves(change: &Change) -> bool {
    let approved = |event: &change::Event| {
        let change::Event::Resolved { decision, .. } = event else {
            return false;
        };
        *decision == change::Decision::Approved
    };
    change.events.iter().any(approved)
}

/// The scopes that were approved for this very device. A record of another key, or of a
/// device that was passed over, is somebody else's.
fn approved<'a>(facts: &Facts, standing: &'a Standing) -> &'a [Box<str>] {
    let own = matches!(facts.pairing, Pairing::Paired | Pairing::Upgrade);
    let record = standing.record.as_ref().filter(|_| own);
    record.map(|record| record.baseline()).unwrap_or_default()
}

/// The scopes of a session: those that were asked for, as far as the grant lets them pass.
fn granted(
    grant: &Grant,
    requested: &[Box<str>],
    role: Role,
    approved: &[Box<str>],
    rule: ScopeRule,
) -> Vec<Box<str>> {
    let known_in = |scope: &str, set: ScopeSet| {
        Scope::parse(scope.trim()).is_some_and(|scope| set.contains(scope))
    };
    let bounded = |scope: &str| match grant.scopes {
        ScopeBound::Requested => true,
        ScopeBound::None => false,
        ScopeBound::Approved => covers(rule, role.name(), &[scope], approved).is_ok(),
        ScopeBound::Within(set) => known_in(scope, set),
    };
    let capped = |scope: &str| grant.cap == ScopeSet::ALL || known_in(scope, grant.cap);
    let passing = requested
        .iter()
        .filter(|scope| bounded(scope) && capped(scope));
    passing.cloned().collect()
}
