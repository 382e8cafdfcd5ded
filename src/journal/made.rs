//! Lines made of what an admission, a session or an owner's call holds.

use std::net::SocketAddr;
use std::sync::Arc;

use super::kept::Kept;
use super::kind::{Fault, Finish, Kind, Managed, Unfinished};
use super::line::{Answer, Line, Owner, PolicyName, Says, Upgraded};
use super::moment::Moment;
use crate::admission::{AccessUpgrade, Admission, Event, RefusedUpgrade, Reply, Upgrade};
use crate::compile::ClauseId;
use crate::decide::Decision;
use crate::explain::{Explanation, Subject};
use crate::facts::{AttributeId, Facts, Stage, Text, Transport};
use crate::handshake::{Socket, clean};
use crate::pairing::change::{Change, Write};
use crate::pairing::rpc::{Call, Caller};
use crate::policy::Policy;
use crate::source::visible;
use crate::verdict::Verdict;
use crate::wire::reply::{HttpReason, HttpRefusal};

/// The longest message that is repeated, in characters: those of the schema name properties.
const LONGEST_MESSAGE: usize = 200;

/// The longest cause that is written down, in characters.
const LONGEST_CAUSE: usize = 400;

/// The longest header that is repeated, in characters.
const LONGEST_AGENT: usize = 160;

/// A connection, as every line about it names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its id: a UUID.
    pub id: Text,
    /// The address at the other end of the socket; TCP only.
    pub remote: Option<SocketAddr>,
    /// The address at this end; TCP only.
    pub local: Option<SocketAddr>,
    /// What the client's program calls itself, fit for a terminal.
    pub agent: Option<Text>,
}

impl Connection {
    /// A connection by its socket, and by `User-Agent` where it sent one.
    #[must_use]
    pub fn new(id: impl Into<Text>, socket: &Socket, agent: Option<&str>) -> Self {
        Connection {
            id: id.into(),
            remote: socket.peer,
            local: socket.local,
            agent: agent.map(|agent| cut(agent, LONGEST_AGENT)),
        }
    }

    /// A connection that may go on to be a WebSocket.
    #[must_use]
    pub fn of(id: impl Into<Text>, upgrade: &Upgrade) -> Self {
        Connection::new(id, upgrade.socket(), upgrade.agent())
    }

    fn line(&self, kind: Kind, time_ms: i64) -> Line {
        let text = |address: Option<SocketAddr>| address.map(|address| address.to_string().into());
        let says = self.agent.clone().map(|agent| Says {
            agent: Some(agent),
            ..Says::default()
        });
        Line {
            remote: text(self.remote),
            local: text(self.local),
            says,
            ..Line::new(kind, time_ms, self.id.clone())
        }
    }
}

/// A text of a client's on one line, cut before it is escaped.
fn cut(text: &str, longest: usize) -> Text {
    let start: String = text.chars().take(longest).collect();
    let shown = visible(start.trim());
    match text.chars().nth(longest) {
        Some(_) => format!("{shown}…").into(),
        None => shown.into(),
    }
}

impl Line {
    /// A connection that was decided, and what it was answered.
    #[must_use]
    pub fn decided(connection: &Connection, policy: &Policy, admission: &Admission) -> Self {
        let Event {
            time_ms,
            name,
            version,
            asked,
            device,
            request_id,
            upgrade,
            role,
            ..
        } = &admission.event;
        let base = connection.line(Kind::Decided, *time_ms);
        let permit = admission.permit.as_ref();
        let agent = base.says.and_then(|says| says.agent);
        let line = Line {
            answer: Some(Answer::of(&admission.reply)),
            says: Some(Says {
                name: name.clone(),
                version: Some(version).filter(|version| !version.is_empty()).cloned(),
                agent,
            }),
            device: device.clone(),
            request: request_id.clone(),
            scopes: permit.map(|permit| Arc::clone(permit.shared_scopes())),
            until: permit.and_then(|permit| permit.until_ms().map(Moment)),
            upgrade: upgrade
                .as_ref()
                .map(|upgrade| Upgraded::of(upgrade, role.name(), asked)),
            asked: Some(Arc::clone(asked)),
            facts: Some(Kept::new(&admission.facts, Stage::Connect)),
            ..base
        };
        let law = admission.decision.law.map(|law| Text::word(law.name()));
        line.judged(
            policy,
            admission.decision.verdict,
            admission.decision.by,
            law,
        )
    }

    /// A decision of a connection that is only explained: of no time, and with no answer.
    #[must_use]
    pub fn explained_of(
        policy: &Policy,
        explanation: &Explanation,
        about: (&Facts, &Subject),
    ) -> Self {
        let (facts, subject) = about;
        let Decision {
            verdict, by, law, ..
        } = explanation.decision;
        let tcp = facts.transport == Transport::Tcp;
        let address = facts.peer.ip().filter(|_| tcp);
        let line = Line {
            remote: address.map(|ip| ip.to_string().into()),
            device: subject.device.as_deref().map(|id| clean(id).into()),
            asked: Some(boxed(&subject.requested_scopes).into()),
            facts: Some(Kept::new(facts, Stage::Connect)),
            ..Line::new(Kind::Decided, 0, Text::EMPTY)
        };
        line.judged(policy, verdict, by, law.map(|law| Text::word(law.name())))
    }

    /// The same, of a decision that could not be kept, and was answered otherwise: see
    /// [`Presented::unkept`](crate::admission::Presented::unkept).
    #[must_use]
    pub fn unkept(self, reply: &Reply) -> Self {
        Line {
            answer: Some(Answer::of(reply)),
            request: None,
            scopes: None,
            until: None,
            ..self
        }
    }

    /// The same, of a client that the server behind did not take, and why.
    #[must_use]
    pub fn not_taken(self, reply: &Reply, why: &str) -> Self {
        Line {
            cause: Some(cut(why, LONGEST_CAUSE)),
            ..self.unkept(reply)
        }
    }

    /// The same, with what shows its facts: see [`admission::evidence`](crate::admission::evidence),
    /// or [`Upgrade::evidence`] of a connection that came no further.
    #[must_use]
    pub fn shown_by(mut self, evidence: Vec<(AttributeId, String)>) -> Self {
        let phrases = evidence.into_iter();
        self.evidence = phrases
            .map(|(id, phrase)| (Text::word(id.row().name), phrase.into()))
            .collect();
        self
    }

    /// A request that was answered over HTTP in place of a WebSocket. `refused` is the guard, where
    /// one refused it: see [`admission::refused_upgrade`](crate::admission::refused_upgrade).
    #[must_use]
    pub fn upgrade_refused(
        connection: &Connection,
        time_ms: i64,
        reason: HttpReason,
        refused: Option<(&Policy, &RefusedUpgrade)>,
    ) -> Self {
        let line = Line {
            reason: Some(Text::word(http_reason(reason))),
            answer: Some(Answer {
                http: Some(HttpRefusal::of(reason).status),
                ..Answer::default()
            }),
            ..connection.line(Kind::UpgradeRefused, time_ms)
        };
        let Some((policy, refused)) = refused else {
            return line;
        };
        let line = Line {
            facts: Some(Kept::new(&refused.facts, Stage::Upgrade)),
            ..line.shown_by(refused.evidence.clone())
        };
        line.judged(policy, Verdict::Reject(refused.reason), refused.by, None)
    }

    /// A first message that was refused before any policy was asked, and what it was answered.
    #[must_use]
    pub fn frame_refused(
        connection: &Connection,
        time_ms: i64,
        upgrade: &Upgrade,
        reply: &Reply,
    ) -> Self {
        let message = match reply {
            Reply::Admitted(_) | Reply::Http(_) => None,
            Reply::Refused { refusal, .. } => Some(&refusal.message),
            Reply::Closed(close) => Some(&close.reason),
        };
        Line {
            reason: Some(Text::word(Fault::of(reply).name())),
            answer: Some(Answer {
                message: message.map(|message| cut(message, LONGEST_MESSAGE)),
                ..Answer::of(reply)
            }),
            facts: Some(Kept::new(upgrade.facts(), Stage::Upgrade)),
            ..connection.line(Kind::FrameRefused, time_ms)
        }
    }

    /// A connection that ended before it was decided. `upgrade` is what it showed, where its head
    /// was read, and `close` the code that it was or had closed with.
    #[must_use]
    pub fn unfinished(
        connection: &Connection,
        time_ms: i64,
        upgrade: Option<&Upgrade>,
        why: Unfinished,
        close: Option<u16>,
    ) -> Self {
        Line {
            reason: Some(Text::word(why.name())),
            answer: close.map(|code| Answer {
                close: Some(code),
                ..Answer::default()
            }),
            facts: upgrade.map(|upgrade| Kept::new(upgrade.facts(), Stage::Upgrade)),
            ..connection.line(Kind::Unfinished, time_ms)
        }
    }

    /// A session that ended, of a device where it had one.
    #[must_use]
    pub fn session_ended(
        connection: &Connection,
        time_ms: i64,
        device: Option<&str>,
        why: Finish,
        close: Option<u16>,
    ) -> Self {
        Line {
            reason: Some(Text::word(why.name())),
            answer: close.map(|code| Answer {
                admitted: true,
                close: Some(code),
                ..Answer::default()
            }),
            device: device.map(|device| clean(device).into()),
            says: None,
            ..connection.line(Kind::SessionEnded, time_ms)
        }
    }

    /// What somebody changed who may manage devices; nothing when the call changes nothing.
    #[must_use]
    pub fn pairing_changed(
        connection: &Connection,
        time_ms: i64,
        caller: &Caller<'_>,
        call: &Call,
        change: &Change,
    ) -> Option<Self> {
        let action = Managed::of(call)?;
        let (request, role) = match call {
            Call::List | Call::Remove { .. } => (None, None),
            Call::Approve { request_id } | Call::Reject { request_id } => (Some(request_id), None),
            Call::Rotate { role, .. } | Call::Revoke { role, .. } => (None, Some(&**role)),
            Call::Grant { role, .. } => (None, Some(role.name())),
        };
        let record = match &change.record {
            Write::Put(record) => Some(record),
            Write::Keep | Write::Remove => None,
        };
        let approved = record.filter(|_| matches!(action, Managed::Approved | Managed::Granted));
        let token = role.and_then(|role| record?.token(role));
        let rotated = token.filter(|_| action == Managed::Rotated);
        let scopes = match (approved, rotated) {
            (Some(record), _) => Some(record.baseline()),
            (None, Some(token)) => Some(&*token.scopes),
            (None, None) => None,
        };
        Some(Line {
            action: Some(action),
            device: Some(clean(&change.device_id).into()),
            request: request.map(|request| clean(request).into()),
            role: role.map(|role| clean(role).into()),
            scopes: scopes.map(|scopes| scopes.iter().map(|it| clean(it).into()).collect()),
            until: approved.and_then(|record| record.expires_at_ms.map(Moment)),
            owner: Some(Owner {
                device: caller.device.map(|device| clean(device).into()),
                by_device_token: caller.by_device_token,
                scopes: caller.scopes.iter().map(|it| clean(it).into()).collect(),
            }),
            says: None,
            ..connection.line(Kind::PairingChanged, time_ms)
        })
    }

    /// Lines before this one could not be written.
    #[must_use]
    pub fn lines_dropped(time_ms: i64, count: u64) -> Self {
        Line {
            dropped: Some(count),
            ..Line::new(Kind::LinesDropped, time_ms, Text::EMPTY)
        }
    }

    /// Connections of strangers, which have no line of their own: those of one address or network,
    /// or of several.
    #[must_use]
    pub fn lines_left_out(time_ms: i64, from: Option<&str>, count: u64) -> Self {
        Line {
            remote: from.map(Into::into),
            dropped: Some(count),
            ..Line::new(Kind::LinesLeftOut, time_ms, Text::EMPTY)
        }
    }

    fn judged(self, policy: &Policy, verdict: Verdict, by: ClauseId, law: Option<Text>) -> Self {
        let reason = match verdict {
            Verdict::Reject(reason) => Some(reason.name()),
            Verdict::RequirePairing(reason) => Some(reason.name()),
            Verdict::Approve(_) | Verdict::SilentApprove(_) => None,
        };
        let grant = verdict.grant().map(|grant| grant.to_string());
        let clause = policy.clause_name(by);
        let (file, digest, fingerprint) = policy.names();
        let inside =
            |text: String| -> Text { text.trim_start_matches('(').trim_end_matches(')').into() };
        Line {
            verdict: Some(Text::word(verdict.kind().name())),
            reason: reason.map(Text::word),
            grant: grant.filter(|text| !text.is_empty()).map(inside),
            law,
            by: Some(clause.label.clone()),
            clause: Some(clause.hash.clone()),
            policy: Some(PolicyName {
                file: file.clone(),
                digest: digest.clone(),
                fingerprint: fingerprint.cloned(),
            }),
            ..self
        }
    }
}

impl Answer {
    fn of(reply: &Reply) -> Self {
        let close = reply.close().map(|close| close.code);
        match reply {
            Reply::Admitted(admitted) => Answer {
                admitted: true,
                token: admitted.token.is_some(),
                ..Answer::default()
            },
            Reply::Refused { refusal, .. } => {
                let details = refusal
                    .details
                    .as_ref()
                    .and_then(|details| details.get("code"));
                Answer {
                    code: Some(Text::word(refusal.code.name())),
                    details: details.and_then(|code| code.as_str()).map(Into::into),
                    close,
                    ..Answer::default()
                }
            }
            Reply::Closed(_) => Answer {
                close,
                ..Answer::default()
            },
            Reply::Http(refusal) => Answer {
                code: refusal.kind().map(Into::into),
                http: Some(refusal.status),
                ..Answer::default()
            },
        }
    }
}

impl Upgraded {
    fn of(upgrade: &AccessUpgrade, role: &str, asked: &[Box<str>]) -> Self {
        let mut scopes_to = asked.to_vec();
        scopes_to.sort_unstable();
        let other = |(was, is): &(String, String)| match was == is {
            true => (None, None),
            false => (Some(was.as_str().into()), Some(is.as_str().into())),
        };
        let (platform_from, platform_to) = other(&upgrade.platform);
        let (family_from, family_to) = other(&upgrade.family);
        Upgraded {
            reason: Text::word(upgrade.reason.name()),
            roles_from: boxed(&upgrade.roles),
            role_to: role.into(),
            scopes_from: boxed(&upgrade.scopes),
            scopes_to,
            scope_rule: Text::word(upgrade.rule.name()),
            platform_from,
            platform_to,
            family_from,
            family_to,
        }
    }
}

fn boxed(texts: &[String]) -> Vec<Box<str>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

/// The word of a refusal over HTTP; those of metrics, too.
#[must_use]
pub fn http_reason(reason: HttpReason) -> &'static str {
    match reason {
        HttpReason::ProxyAttributionRequired => "proxy-attribution-required",
        HttpReason::Policy(reason) => reason.name(),
        HttpReason::RateLimited { .. } => "rate-limited",
        HttpReason::WaitingSockets => "waiting-sockets",
        HttpReason::Closed => "closed",
    }
}
