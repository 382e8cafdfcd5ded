//! Replaying a case: each of its handshakes through the whole pure path, on one state.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::outcome::{self, Names};
use super::prior;
use super::row::{Row, RowError, Step};
use super::sent::{self, NONCE, NOW_MS, Sent};
use super::signer::Signer;
use crate::admission::{
    Admission, Challenged, Gate, Permit, Presented, Remembered, Reply, Upgrade, at_connect,
    at_upgrade, present,
};
use crate::auth::limiter::{Limiter, Locks, Subject};
use crate::decide::Decision;
use crate::facts::{Auth, Facts};
use crate::handshake::{Challenge, Handshake};
use crate::pairing::Standing;
use crate::pairing::change::{Change, Fresh};
use crate::pairing::rpc::{Call, Caller, View};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::wire::reply::{HttpRefusal, Server};

/// What came of a step.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What was known when it was decided; the facts of the request where it came no further.
    pub facts: Facts,
    /// What was decided, where it came to that.
    pub decision: Option<Decision>,
    /// The answer, in the shape of a recording.
    pub out: Value,
    /// The pairing state afterwards, in the shape of a recording.
    pub state: Value,
}

/// What one handshake came to.
#[derive(Debug)]
pub enum Judged {
    /// Refused before the upgrade.
    Http(Box<Facts>, HttpRefusal),
    /// Answered before anything was decided.
    Early(Box<Facts>, Reply),
    /// Decided.
    Decided(Box<Admission>),
}

/// Runs one handshake through the whole path.
#[must_use]
pub fn judge(
    gate: Gate<'_>,
    sent: &Sent,
    time_ms: i64,
    mut remembered: impl FnMut(&Upgrade, &Presented) -> (Standing, Locks),
    fresh: &mut Fresh<'_>,
) -> Judged {
    let upgrade = match at_upgrade(gate, sent.socket.clone(), sent.http.clone()) {
        Ok(upgrade) => upgrade,
        Err(refusal) => {
            let facts = crate::handshake::at_upgrade(gate.settings, &sent.socket, &sent.http);
            return Judged::Http(Box::new(facts), refusal);
        }
    };
    let challenged = Challenged {
        nonce: NONCE,
        time_ms,
    };
    let presented = match present(gate.settings, &sent.message, challenged) {
        Ok(presented) => presented,
        Err(reply) => return Judged::Early(Box::new(upgrade.facts().clone()), reply),
    };
    let (standing, locks) = remembered(&upgrade, &presented);
    let remembered = Remembered {
        locks,
        ..Remembered::of(&standing)
    };
    let admission = at_connect(gate, &upgrade, &presented, remembered, fresh);
    Judged::Decided(Box::new(admission))
}

/// Replays the steps of a case; `None` where it takes a real socket.
///
/// # Errors
///
/// [`RowError`] for a kind that is not known.
pub fn replay(gate: Gate<'_>, row: &Row) -> Result<Option<Vec<Replayed>>, RowError> {
    let mut state = State::before(gate.settings, row)?;
    let mut replayed = Vec::new();
    for step in row.steps() {
        let Some(sent) = sent::sent(row, step, gate.settings, &state.issued)? else {
            return Ok(None);
        };
        replayed.push(state.step(gate, row, step, &sent));
    }
    Ok(Some(replayed))
}

/// A handshake of a case, as a recording that could have been made of it, after the ones
/// before it; `None` where it takes a real socket, or holds no connect frame that can be judged.
///
/// # Errors
///
/// [`RowError`] for a kind that is not known.
pub fn handshake(gate: Gate<'_>, row: &Row, at: usize) -> Result<Option<Handshake>, RowError> {
    let mut state = State::before(gate.settings, row)?;
    for (before, step) in row.steps().iter().enumerate() {
        let Some(sent) = sent::sent(row, step, gate.settings, &state.issued)? else {
            return Ok(None);
        };
        if before == at {
            return Ok(state.handshake(gate.settings, sent));
        }
        state.step(gate, row, step, &sent);
    }
    Ok(None)
}

/// What a gateway remembers while a case is replayed.
struct State {
    standings: BTreeMap<String, Standing>,
    limiter: Limiter,
    names: Names,
    /// The device tokens that were given out, by the name of the device.
    issued: BTreeMap<String, String>,
    /// The request that the last refusal named.
    last_request: Option<Box<str>>,
    made: u64,
    /// The time, in Unix milliseconds. Steps and calls follow each other within the time that a
    /// proof is good for.
    now_ms: i64,
}

impl State {
    fn before(settings: &Settings, row: &Row) -> Result<Self, RowError> {
        let mut state = State {
            standings: BTreeMap::new(),
            limiter: Limiter::of(settings),
            names: Names::new(),
            issued: BTreeMap::new(),
            last_request: None,
            made: 0,
            now_ms: NOW_MS,
        };
        let first = row.steps().first();
        let device = format!("{}#A", row.id);
        for step in row.steps() {
            let key = step.key.as_deref().unwrap_or("A");
            state.name(&sent::device_name(row, step), key);
        }
        if &*row.prior == "paired-otherkey" {
            state.name(&format!("{device}#other"), "A-other");
        }
        if let Some(connect) = first.and_then(|step| step.connect.as_ref()) {
            let by_owner = settings.compatibility.pairing.provenance;
            let prior = prior::standing(&row.prior, &device, connect, by_owner)?;
            let standing = serde_json::from_value(prior).map_err(|_| RowError::Kind {
                what: "earlier pairing",
                kind: row.prior.clone(),
            })?;
            if standing != Standing::default() {
                state.standings.insert(sent::device_id(&device), standing);
            }
        }
        Ok(state)
    }

    fn name(&mut self, device: &str, key: &str) {
        let Some(signer) = Signer::named(device) else {
            return;
        };
        let public_key = signer.public_key();
        self.names.insert(signer.id, format!("<device:{key}>"));
        self.names.insert(public_key, format!("<pubkey:{key}>"));
    }

    fn handshake(&self, settings: &Settings, sent: Sent) -> Option<Handshake> {
        let time_ms = self.now_ms;
        let challenged = Challenged {
            nonce: NONCE,
            time_ms,
        };
        let presented = present(settings, &sent.message, challenged).ok()?;
        let standing = presented.device_id().and_then(|id| self.standings.get(id));
        Some(Handshake {
            note: None,
            settings: settings.clone(),
            socket: sent.socket,
            http: sent.http,
            challenge: Some(Challenge {
                nonce: NONCE.into(),
                ts: Some(NOW_MS),
            }),
            pairing: standing.cloned().unwrap_or_default(),
            connect: presented.connect().clone(),
            time_ms,
        })
    }

    fn step(&mut self, gate: Gate<'_>, row: &Row, step: &Step, sent: &Sent) -> Replayed {
        let before = self.standings.clone();
        let time_ms = self.now_ms;
        self.now_ms += 1;
        let (limiter, standings) = (&self.limiter, &self.standings);
        let mut counted = None;
        let remember = |upgrade: &Upgrade, presented: &Presented| {
            let standing = presented.device_id().and_then(|id| standings.get(id));
            let standing = standing.cloned().unwrap_or_default();
            let subject = upgrade.subject(gate.settings, presented, &standing);
            let locks = limiter.locks(&subject, time_ms);
            counted = Some(subject);
            (standing, locks)
        };
        let judged = with_fresh(&mut self.made, |fresh| {
            judge(gate, sent, time_ms, remember, fresh)
        });
        let (facts, decision, out) = match judged {
            Judged::Http(facts, refusal) => (*facts, None, outcome::of_http(&refusal, &self.names)),
            Judged::Early(facts, reply) => {
                let out = self.answer(gate, row, step, &reply);
                (*facts, None, out)
            }
            Judged::Decided(admission) => {
                let admission = *admission;
                self.write(&admission.change);
                let mut out = self.answer(gate, row, step, &admission.reply);
                if counted.is_some_and(|subject| self.held_back(&subject, &admission)) {
                    out = outcome::of_silence();
                }
                if let Some(permit) = &admission.permit {
                    let calls = self.calls(gate, step, permit);
                    if let (Some(out), false) = (out.as_object_mut(), calls.is_empty()) {
                        out.insert("rpc".to_owned(), calls.into());
                    }
                }
                (admission.facts, Some(admission.decision), out)
            }
        };
        let state = outcome::state(&before, &self.standings, &self.names);
        Replayed {
            facts,
            decision,
            out,
            state,
        }
    }

    /// Counts what became of the credentials; whether the answer comes too late for the
    /// recorder.
    fn held_back(&mut self, subject: &Subject, admission: &Admission) -> bool {
        let delay_ms = self.limiter.settle(subject, &admission.steps, self.now_ms);
        self.now_ms += delay_ms.min(PATIENCE_MS);
        delay_ms >= PATIENCE_MS
    }

    fn write(&mut self, change: &Change) {
        if change.is_empty() {
            return;
        }
        let id = change.device_id.to_string();
        let after = change.apply(&self.standings.remove(&id).unwrap_or_default());
        if after != Standing::default() {
            self.standings.insert(id, after);
        }
    }

    fn answer(&mut self, gate: Gate<'_>, row: &Row, step: &Step, reply: &Reply) -> Value {
        match reply {
            Reply::Admitted(admitted) => {
                if let Some(token) = &admitted.token {
                    let device = sent::device_name(row, step);
                    self.issued.insert(device, token.token.expose().to_owned());
                }
                outcome::of_admission(admitted, &SERVER, &gate.settings.compatibility)
            }
            Reply::Refused { id, refusal } => {
                let details = refusal.details.as_ref();
                let request = details.and_then(|details| details.get("requestId")?.as_str());
                if let Some(request) = request {
                    self.last_request = Some(request.into());
                }
                outcome::of_refusal(id, refusal, &self.names)
            }
            Reply::Closed(close) => outcome::of_close(close, &self.names),
            Reply::Http(refusal) => outcome::of_http(refusal, &self.names),
        }
    }

    /// Makes the recorded calls of an admitted step that manage devices.
    fn calls(&mut self, gate: Gate<'_>, step: &Step, permit: &Permit) -> Vec<Value> {
        let rules = &gate.settings.compatibility;
        let calls = step.out.get("rpc").and_then(Value::as_array);
        let mut made = Vec::new();
        for recorded in calls.into_iter().flatten() {
            let method = recorded.get("method").and_then(Value::as_str);
            let method = method.unwrap_or_default();
            let Some(call) = Call::parse(method, &self.params(method, recorded)) else {
                continue;
            };
            self.now_ms += 1;
            let standings: Vec<Standing> = self.standings.values().cloned().collect();
            let view = View {
                standings: &standings,
                // The recorder closes a connection before it opens the next one.
                is_connected: &|id| permit.device_id() == Some(id),
                now_ms: self.now_ms,
                rules,
            };
            let caller = Caller {
                scopes: permit.scopes(),
                device: permit.device_id(),
                by_device_token: permit.auth() == Auth::DeviceToken,
            };
            let answer = call.and_then(|call| {
                with_fresh(&mut self.made, |fresh| call.answer(&caller, &view, fresh))
            });
            let answer = answer.map(|reply| {
                self.write(&reply.change);
                reply.payload
            });
            made.push(outcome::of_call(method, answer, rules, &self.names));
        }
        made
    }

    /// The parameters of a call, which are not recorded: what was answered tells which.
    fn params(&self, method: &str, recorded: &Value) -> Value {
        let text = |pointer: &str| recorded.pointer(pointer).and_then(Value::as_str);
        let message = text("/error/message").unwrap_or_default();
        if message.contains("must have required property") {
            return json!({});
        }
        let device = text("/payload/deviceId").unwrap_or("<device:A>");
        let device = self.names.iter().find(|(_, name)| *name == device);
        let device = device.map(|(id, _)| id);
        let role = text("/payload/role").unwrap_or("operator");
        match method {
            "device.pair.approve" | "device.pair.reject" => {
                let named = self.last_request.as_deref();
                let named = named.filter(|_| message != "unknown requestId");
                json!({ "requestId": named.unwrap_or("none") })
            }
            "device.pair.remove" => json!({ "deviceId": device }),
            "device.token.rotate" | "device.token.revoke" => {
                json!({ "deviceId": device, "role": role })
            }
            _ => json!({}),
        }
    }
}

/// How long the recorder waited for an answer, in milliseconds.
const PATIENCE_MS: i64 = 4_000;

/// What a replaying gateway says of itself.
const SERVER: Server<'static> = Server::new("recorded", "recorded");

/// Ids and secrets that nobody used before, and that come out the same every time.
fn with_fresh<T>(made: &mut u64, use_it: impl FnOnce(&mut Fresh<'_>) -> T) -> T {
    let counter = std::cell::Cell::new(*made);
    let next = || {
        counter.set(counter.get() + 1);
        counter.get()
    };
    let mut request_id = || format!("f0000000-0000-4000-8000-{:012x}", next()).into();
    let mut secret = || Secret::new(&format!("recorded-fresh-token-not-a-secret-{}", next()));
    let result = use_it(&mut Fresh {
        request_id: &mut request_id,
        secret: &mut secret,
    });
    *made = counter.get();
    result
}
