//! A connection that was decided: what is written of its device, and what it is answered.

use std::net::IpAddr;
use std::sync::Arc;

use super::presented::Over;
use super::{Admitted, Gate, Permit, Presented, Remembered, Reply, Upgrade, UsedCode};
use crate::auth;
use crate::auth::bootstrap::find;
use crate::auth::{Claims, DeviceClaim};
use crate::decide::{Decision, Law};
use crate::facts::scopes::covers;
use crate::facts::{
    Auth, Client, DeviceProof, Facts, HostClass, Ingress, Mode, Pairing, PendingRequest, Role,
    ScopeSet, Transport,
};
use crate::pairing::change::{Change, Fresh};
use crate::pairing::course::{Course, Outcome, carry_out};
use crate::pairing::key::same_key;
use crate::pairing::record::{Came, Issuer, Pending, Via};
use crate::pairing::request::{Ask, request};
use crate::pairing::token::IssuedToken;
use crate::pairing::{Relation, Standing};
use crate::verdict::{Grant, PairingReason, Reason, ScopeBound, Verdict};
use crate::wire::reply::{
    Context, HttpRefusal, PairingRefusal, RequestRefusal, Waiting, agent_identity, node_identity,
    pairing_required, refuse,
};

/// The build that a dashboard names while it is being developed.
const DEVELOPMENT_BUILD: &str = "dev";

/// A connection that was decided, with all that its answer depends on.
pub(super) struct Arrival<'a> {
    pub(super) gate: Gate<'a>,
    pub(super) upgrade: &'a Upgrade,
    pub(super) presented: &'a Presented,
    pub(super) remembered: Remembered<'a>,
    pub(super) facts: Facts,
    pub(super) auth_reason: Option<auth::AuthReason>,
    pub(super) decision: Decision,
}

/// What carrying out a decision comes to.
pub(super) struct Done {
    pub(super) change: Change,
    pub(super) reply: Reply,
    pub(super) permit: Option<Permit>,
    pub(super) setup_code: Option<UsedCode>,
}

/// What an admitted connection gets.
#[derive(Default)]
struct Given {
    scopes: Arc<[Box<str>]>,
    token: Option<IssuedToken>,
    /// Tokens of further roles, by a setup code.
    others: Vec<IssuedToken>,
    setup_code: Option<UsedCode>,
}

impl Arrival<'_> {
    pub(super) fn carry_out(&self, fresh: &mut Fresh<'_>) -> Done {
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
                Verdict::Approve(_) | Verdict::SilentApprove(_) if self.is_unknown_node(course) => {
                    self.unknown_node(Change::default())
                }
                Verdict::Approve(_) | Verdict::SilentApprove(_) => {
                    let given = Given {
                        scopes,
                        ..Given::default()
                    };
                    self.admitted(Change::default(), given)
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
            remote_ip,
            came: self.came().filter(|_| remote_ip.is_none()),
            browser_origin: self.page().filter(|_| compatibility.pairing.provenance),
            issuer: issuer.as_ref(),
            by_device_token: self.facts.auth == Auth::DeviceToken,
            until_ms: self.until_ms(),
            wants_token: verdict
                .grant()
                .is_some_and(|grant| self.wants_token(&grant, &scopes)),
        };
        let standing = self.remembered.standing;
        let Outcome {
            change,
            token,
            waits,
        } = carry_out(course, standing, &ask, fresh, now_ms, compatibility);
        match (verdict, waits) {
            (Verdict::Reject(reason), _) => self.refused(change, reason),
            (_, Some(reason)) | (Verdict::RequirePairing(reason), None) => {
                self.waits(change, reason, Some(&device.public_key))
            }
            (Verdict::Approve(_), None) if self.is_unknown_node(Some(course)) => {
                self.unknown_node(change)
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
                let mut given = Given {
                    scopes: scopes.clone(),
                    token,
                    ..Given::default()
                };
                let change = self.redeem(device, change, &ask, fresh, &mut given);
                self.admitted(change, given)
            }
        }
    }

    /// Spends the setup code that let a device in, and hands over the other roles that go with
    /// it, where the policy pairs the device.
    fn redeem(
        &self,
        device: &DeviceClaim,
        mut change: Change,
        ask: &Ask<'_>,
        fresh: &mut Fresh<'_>,
        given: &mut Given,
    ) -> Change {
        let (codes, now_ms) = (self.remembered.setup_codes, self.presented.time_ms);
        let claims = self.presented.connect.claims();
        let sent = claims.credentials.bootstrap_token();
        let sent = sent.filter(|_| self.facts.auth == Auth::BootstrapToken);
        let Some(at) = sent.and_then(|sent| find(codes, sent, claims, device, now_ms).ok()) else {
            return change;
        };
        let code = codes.get(at);
        let Some(Ok(redeemed)) = code.map(|code| code.redeem(claims, device, now_ms)) else {
            return change;
        };
        let compatibility = &self.gate.settings.compatibility;
        if let Verdict::SilentApprove(grant) = self.decision.verdict {
            for role in redeemed.roles.iter().copied().skip(1) {
                let listed: Vec<Box<str>> = match role {
                    Role::Operator => redeemed.scopes.iter().map(|it| it.name().into()).collect(),
                    Role::Node => Vec::new(),
                };
                let scopes = grant.granted(&listed, role, &listed, compatibility.scope_rule);
                let scopes: Vec<Box<str>> = scopes.into_iter().cloned().collect();
                let ask = Ask {
                    role,
                    scopes: &scopes,
                    ..*ask
                };
                let after = change.apply(self.remembered.standing);
                let course = Course::Pair(Via::Bootstrap);
                let outcome = carry_out(course, &after, &ask, fresh, now_ms, compatibility);
                if outcome.waits.is_none() {
                    change = change.then(outcome.change);
                    given.others.extend(outcome.token);
                }
            }
        }
        given.setup_code = Some(UsedCode {
            at,
            kept: redeemed.kept,
        });
        change
    }

    /// When what the policy gives ends, in Unix milliseconds.
    pub(super) fn until_ms(&self) -> Option<i64> {
        let seconds = self.decision.verdict.grant()?.ttl_seconds?;
        let now_ms = self.presented.time_ms;
        Some(now_ms.saturating_add(i64::from(seconds).saturating_mul(1_000)))
    }

    /// What the decision means for what is remembered.
    fn course(&self) -> Option<Course> {
        let proposes = match self.decision.law {
            Some(Law::RequestWaits) => self.facts.pending == PendingRequest::SilentWider,
            Some(Law::OutsideRole) => true,
            Some(Law::Barred | Law::DeviceRequired | Law::NothingToRecord) | None => false,
        };
        if let (true, Verdict::RequirePairing(reason)) = (proposes, self.decision.verdict) {
            return Some(Course::Propose(reason));
        }
        let course = Course::of(self.decision.verdict, &self.relation())?;
        let by_network = self.facts.node_network && !self.is_direct_local();
        Some(match course {
            Course::Pair(_) if by_network => Course::Pair(Via::TrustedCidr),
            Course::Pair(_) if self.facts.auth == Auth::BootstrapToken => {
                Course::Pair(Via::Bootstrap)
            }
            Course::Pass
            | Course::Refresh
            | Course::Pair(_)
            | Course::Ask(_)
            | Course::Propose(_) => course,
        })
    }

    /// A node that has no device, or whose pairing was passed over, serves nobody knows whose
    /// commands.
    fn is_unknown_node(&self, course: Option<Course>) -> bool {
        self.facts.role == Role::Node
            && (self.facts.device != DeviceProof::Proven || course == Some(Course::Pass))
            && self.gate.settings.compatibility.nodes_need_records
    }

    fn unknown_node(&self, change: Change) -> Done {
        self.done(change, Reply::to(&self.presented.connect, node_identity()))
    }

    /// Whether a device token goes with the answer, as far as the grant says. A session that the
    /// grant narrows is not told a token that would give the device more the next time.
    fn wants_token(&self, grant: &Grant, scopes: &[Box<str>]) -> bool {
        let bounded = match grant.scopes {
            ScopeBound::Requested | ScopeBound::Approved => grant.cap != ScopeSet::ANY,
            ScopeBound::None | ScopeBound::Within(_) => true,
        };
        let (role, rules) = (self.facts.role.name(), &self.gate.settings.compatibility);
        // What a record of another key holds is not this device's, and goes with that record.
        let own = matches!(self.facts.pairing, Pairing::Paired | Pairing::Upgrade);
        let record = self.remembered.standing.record.as_ref();
        let record = record.filter(|_| own);
        let token = record.and_then(|record| record.token(role));
        let wider = token.is_some_and(|token| {
            let within = covers(rules.scope_rule, role, &token.scopes, scopes);
            within.is_err()
        });
        grant.token && !(bounded && wider)
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
    fn granted(&self, requested: &Arc<[Box<str>]>) -> Arc<[Box<str>]> {
        let Some(grant) = self.decision.verdict.grant() else {
            return Arc::default();
        };
        let approved = approved(&self.facts, self.remembered.standing);
        let rule = self.gate.settings.compatibility.scope_rule;
        let granted = grant.granted(requested, self.facts.role, approved, rule);
        match granted.len() == requested.len() {
            true => Arc::clone(requested),
            false => granted.into_iter().cloned().collect(),
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            sent: self.presented.connect.sent,
            auth_reason: self.auth_reason.as_ref(),
            hint: self.hint(),
            rule: self.told_rule(),
            ..Context::of_facts(&self.facts, &self.gate.settings.compatibility)
        }
    }

    /// What the deciding clause has to say to the client.
    fn hint(&self) -> Option<&str> {
        let clause = self.gate.policy.clause(self.decision.by);
        clause.hint.as_deref()
    }

    /// The line that refuses, for a client that has proved a secret: to others it would tell
    /// what to try next.
    fn told_rule(&self) -> Option<&str> {
        let proved = !matches!(self.facts.auth, Auth::None | Auth::Failed | Auth::Open);
        let told = self.gate.settings.compatibility.tell_rule;
        let refuses = !self.decision.verdict.admits();
        let label = || &*self.gate.policy.clause_name(self.decision.by).label;
        (told && proved && refuses).then(label)
    }

    fn refused(&self, change: Change, reason: Reason) -> Done {
        let reply = match self.presented.over {
            Over::WebSocket => Reply::to(&self.presented.connect, refuse(reason, &self.context())),
            Over::Http => Reply::Http(Box::new(self.over_http(reason))),
        };
        self.done(change, reply)
    }

    /// The same to a client that has no WebSocket yet. Whoever would have to be paired first is
    /// told so: the law that refuses it for want of a device says less.
    fn over_http(&self, reason: Reason) -> HttpRefusal {
        let retry_after_ms = match self.auth_reason {
            Some(auth::AuthReason::RateLimited { retry_after_ms }) => Some(retry_after_ms),
            Some(_) | None => None,
        };
        let refusal = RequestRefusal {
            reason,
            pairing: self.decision.law == Some(Law::DeviceRequired),
            retry_after_ms: retry_after_ms.map(|ms| ms.max(0).unsigned_abs()),
            hint: self.hint(),
            rule: self.told_rule(),
        };
        refusal.response()
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
        // A stranger is not told either what was asked for by the id that it names.
        let waiting = pending
            .filter(|_| self.gate.settings.compatibility.pairing.request_notes)
            .filter(|pending| key.is_some_and(|key| same_key(&pending.public_key, key)))
            .filter(|pending| asks_beyond(pending, claims));
        let pairing = PairingRefusal {
            waiting: waiting.map(|pending| Waiting {
                roles: pending.roles.as_deref().unwrap_or_default(),
                scopes: pending.asked_scopes(),
            }),
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

    fn admitted(&self, change: Change, given: Given) -> Done {
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
            scopes: given.scopes.clone(),
            token: given.token,
            others: given.others,
        };
        let permit = Permit::new(self, &change, given.scopes);
        Done {
            change,
            reply: Reply::Admitted(Box::new(admitted)),
            permit: Some(permit),
            setup_code: given.setup_code,
        }
    }

    fn done(&self, change: Change, reply: Reply) -> Done {
        Done {
            change,
            reply,
            permit: None,
            setup_code: None,
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
    fn remote_ip(&self) -> Option<IpAddr> {
        let address = self.facts.client_ip;
        address.ip().filter(|_| !address.is_loopback())
    }

    /// How it comes, where no address is told of it.
    fn came(&self) -> Option<Came> {
        match self.facts.transport {
            Transport::Unix => Some(Came::OwnSocket),
            Transport::InProcess => Some(Came::InProcess),
            Transport::Tcp if self.facts.client_ip.is_loopback() => Some(Came::ThisHost),
            Transport::Tcp if self.facts.forwarded => Some(Came::UnnamedProxy),
            Transport::Tcp => None,
        }
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

/// Whether a request asks for more than this connection.
fn asks_beyond(pending: &Pending, claims: &Claims) -> bool {
    let scopes = pending.asked_scopes().iter();
    let mut roles = pending.asked_roles();
    let mut scopes = scopes.filter(|scope| !claims.scopes.contains(scope));
    scopes.next().is_some() || roles.any(|role| role != claims.role.name())
}

/// Whether a client is a page that is served by a gateway.
fn is_page_client(client: Client, mode: Mode) -> bool {
    client == Client::ControlUi || client == Client::WebchatUi || mode == Mode::Webchat
}

/// The scopes that were approved for this very device. A record of another key, or of a
/// device that was passed over, is somebody else's.
pub(super) fn approved<'a>(facts: &Facts, standing: &'a Standing) -> &'a [Box<str>] {
    let own = matches!(facts.pairing, Pairing::Paired | Pairing::Upgrade);
    let record = standing.record.as_ref().filter(|_| own);
    record.map(|record| record.baseline()).unwrap_or_default()
}
