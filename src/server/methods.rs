//! THE TABLE of methods: what a session may call, and what it needs for it.
//!
//! What the gateway does not answer itself goes to [`Methods`].

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::clock::{now_ms, steady_ms, with_fresh};
use super::fault::joined;
use super::gateway::{Shared, lock};
use super::record::Recent;
use super::session::Session;
use super::sessions::{End, Live};
use crate::auth::limiter::{Key, LockedOut};
use crate::explain::{self, explain};
use crate::facts::scopes::covers;
use crate::facts::{Auth, Role, Scope, Text};
use crate::journal::{Line, read};
use crate::pairing::Standing;
use crate::pairing::rpc::{self, About, Call, RpcError, View};
use crate::pairing::store::{StoreError, Version};
use crate::relay::{Upstream, route};
use crate::settings::Settings;
use crate::wire::Limits;
use crate::wire::reply::{CallError, ErrorCode};

/// What a call comes to, later.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Value, CallError>> + Send + 'a>>;

/// What sessions may call beside what the gateway answers itself.
pub trait Methods: Send + Sync {
    /// The names of the methods, as clients are told of them.
    fn names(&self) -> &[&str];

    /// How many bytes a request of a client may have, if more than what the gateway's own methods
    /// take, and no more than `limits.messageBytes`.
    ///
    /// It is made JSON where others are served, before anybody knows which method it is for, and
    /// that takes up to a hundred times as much memory: whoever is admitted may send one.
    fn request_bytes(&self) -> usize {
        Limits::DEFAULT.request_bytes
    }

    /// Answers a call. The caller is admitted; what it may do beyond that is known here.
    fn call<'a>(&'a self, caller: &'a Caller<'a>, method: &'a str, params: Value) -> Answer<'a>;
}

/// Nothing else is answered.
#[derive(Clone, Copy, Debug)]
pub struct NoOther;

impl Methods for NoOther {
    fn names(&self) -> &[&str] {
        &[]
    }

    fn call<'a>(&'a self, _: &'a Caller<'a>, method: &'a str, _: Value) -> Answer<'a> {
        Box::pin(async move { Err(invalid(format!("unknown method: {}", shown(method)))) })
    }
}

/// Whose session calls.
pub struct Caller<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) live: &'a Live,
    pub(super) session: &'a Session,
    pub(super) settings: &'a Settings,
}

impl fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caller").field(&self.live).finish()
    }
}

impl Caller<'_> {
    /// The connection, as the log names it.
    #[must_use]
    pub fn connection(&self) -> &str {
        &self.live.told.id
    }

    /// The role of the session.
    #[must_use]
    pub fn role(&self) -> Role {
        self.live.role
    }

    /// The scopes of the session.
    #[must_use]
    pub fn scopes(&self) -> &[Box<str>] {
        &self.live.scopes
    }

    /// Its device, where it was proven.
    #[must_use]
    pub fn device_id(&self) -> Option<&str> {
        self.live.device.as_deref()
    }

    /// Its device, at the version by which it is still admitted.
    fn asks(&self) -> Result<Option<(Text, Version)>, CallError> {
        let (_, version) = self.session.look_at_version().map_err(|end| {
            // It may not have heard of it yet.
            self.live.ask();
            ended(end)
        })?;
        let device = self.live.device.clone();
        Ok(device.map(|device| (device, version)))
    }

    /// Whether the session may do what needs a scope.
    #[must_use]
    pub fn holds(&self, scope: Scope) -> bool {
        let rule = self.settings.compatibility.scope_rule;
        let operator = Role::Operator.name();
        self.live.role == Role::Operator
            && covers(rule, operator, &[scope.name()], self.scopes()).is_ok()
    }

    /// The same, as those who manage devices are looked at.
    fn as_manager(&self) -> rpc::Caller<'_> {
        rpc::Caller {
            scopes: self.scopes(),
            device: self.device_id(),
            by_device_token: self.live.auth == Auth::DeviceToken,
        }
    }

    /// Tells of a call that changed a device, and ends the sessions that it ended.
    fn changed(&self, call: &Call, reply: &rpc::Reply) {
        let manager = self.as_manager();
        let connection = &self.live.told;
        let line = Line::pairing_changed(connection, now_ms(), &manager, call, &reply.change);
        if let Some(line) = line {
            self.shared.record.write(&line, None);
        }
        if let Some(ends) = &reply.ends {
            self.shared.end(ends);
        }
    }

    fn needs(&self, scope: Scope) -> Result<(), CallError> {
        let missing = RpcError::MethodScope(scope.name());
        match self.holds(scope) {
            true => Ok(()),
            false => Err(CallError::of(&missing, &self.settings.compatibility)),
        }
    }
}

/// A method.
pub(super) struct Method {
    pub(super) name: &'static str,
    needs: Needs,
    run: Run,
}

/// What a session needs for a method.
enum Needs {
    /// To be admitted, in whatever role.
    Nothing,
    /// To be an operator's, with a scope.
    Scope(Scope),
}

/// What answers a method.
enum Run {
    /// What is known at once.
    Now(fn(&Caller<'_>, &Value) -> Result<Value, CallError>),
    /// What manages devices; it checks its own scope.
    Devices,
    /// Loads policy and settings again.
    Reload,
}

const fn method(name: &'static str, needs: Needs, run: Run) -> Method {
    Method { name, needs, run }
}

pub(super) const METHODS: &[Method] = &[
    method("health", Needs::Nothing, Run::Now(health)),
    method("status", Needs::Scope(Scope::Read), Run::Now(status)),
    method(
        "gateway.identity.get",
        Needs::Scope(Scope::Read),
        Run::Now(identity),
    ),
    method("device.pair.list", PAIRING, Run::Devices),
    method("device.pair.approve", PAIRING, Run::Devices),
    method("device.pair.reject", PAIRING, Run::Devices),
    method("device.pair.remove", PAIRING, Run::Devices),
    method("device.token.rotate", PAIRING, Run::Devices),
    method("device.token.revoke", PAIRING, Run::Devices),
    method("device.grant", PAIRING, Run::Devices),
    method(
        "admission.explain",
        Needs::Nothing,
        Run::Now(admission_explain),
    ),
    method(
        "admission.recent",
        Needs::Scope(Scope::Admin),
        Run::Now(admission_recent),
    ),
    method(
        "policy.status",
        Needs::Scope(Scope::Read),
        Run::Now(policy_status),
    ),
    method("policy.reload", Needs::Scope(Scope::Admin), Run::Reload),
];

const PAIRING: Needs = Needs::Scope(Scope::Pairing);

/// The scopes that a method takes, as far as its name says; of one that is not the gateway's own,
/// those of somebody who reads. What a call is about may take more.
#[must_use]
pub fn scopes_for(method: &str) -> &'static [Scope] {
    match METHODS.iter().find(|own| own.name == method) {
        Some(Method {
            needs: Needs::Scope(scope),
            ..
        }) => std::slice::from_ref(scope),
        Some(Method {
            needs: Needs::Nothing,
            ..
        })
        | None => &[Scope::Read],
    }
}

/// What an upstream answers in the place of the gateway, where there is one.
const OF_THE_UPSTREAM: [&str; 3] = ["health", "status", "gateway.identity.get"];

/// Whether the gateway answers a method also where there is an upstream: what it has itself,
/// whatever is about devices, and a `connect` that comes too late.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    let has = || METHODS.iter().any(|method| method.name == name);
    // A second one would bring the client's secrets there.
    name == "connect" || route::is_ours(name) || (!OF_THE_UPSTREAM.contains(&name) && has())
}

/// The names of all methods, as clients are told of them.
pub(super) fn names(shared: &Shared) -> Vec<&str> {
    let own = METHODS.iter().map(|method| method.name);
    own.chain(shared.options.methods.names().iter().copied())
        .collect()
}

/// How many bytes a request may have that is answered here.
pub(super) fn request_bytes(shared: &Shared) -> usize {
    let others = shared.options.methods.request_bytes();
    others.max(Limits::DEFAULT.request_bytes)
}

/// Answers a call.
pub(super) async fn call(
    caller: &Caller<'_>,
    method: &str,
    params: Value,
) -> Result<Value, CallError> {
    let own = METHODS.iter().find(|own| own.name == method);
    let Some(own) = own else {
        if method == "connect" {
            // Observed: `schema/raw-connect-after-hello`.
            caller.needs(Scope::Admin)?;
            return Err(invalid("connect is only valid as the first request"));
        }
        is_operator(caller)?;
        return caller
            .shared
            .options
            .methods
            .call(caller, method, params)
            .await;
    };
    if let Needs::Scope(scope) = own.needs {
        is_operator(caller)?;
        caller.needs(scope)?;
    }
    match own.run {
        Run::Now(run) => run(caller, &params),
        Run::Devices => devices(caller, method, &params).await,
        Run::Reload => Ok(caller.shared.reload().await.to_json()),
    }
}

/// The methods of nodes are those of the server behind the gateway.
fn is_operator(caller: &Caller<'_>) -> Result<(), CallError> {
    match caller.live.role {
        Role::Operator => Ok(()),
        Role::Node => Err(unauthorized(caller.live.role)),
    }
}

fn unauthorized(role: Role) -> CallError {
    invalid(format!("{UNAUTHORIZED_ROLE}{}", role.name()))
}

const UNAUTHORIZED_ROLE: &str = "unauthorized role: ";

/// Whether a call was refused for the role: who does that too often is closed (reference 1.6).
pub(super) fn is_unauthorized(error: &CallError) -> bool {
    error.message.starts_with(UNAUTHORIZED_ROLE)
}

fn health(caller: &Caller<'_>, _: &Value) -> Result<Value, CallError> {
    Ok(caller.shared.health(caller.shared.unready()))
}

fn status(caller: &Caller<'_>, _: &Value) -> Result<Value, CallError> {
    let shared = caller.shared;
    let sessions = shared.sessions.list();
    let detailed = caller.holds(Scope::Admin);
    let sessions: Vec<Value> = sessions
        .iter()
        .map(|live| session(live, detailed))
        .collect();
    let mut status = json!({
        "runtimeVersion": shared.options.version,
        "bootId": shared.boot_id,
        "uptimeMs": now_ms().saturating_sub(shared.started_ms),
        "policy": shared.policy_status(),
        "sessions": sessions,
        "tls": shared.tls_status(),
        "lockedOut": locked_out(shared),
        "unkept": shared.unkept(),
    });
    if let (Some(upstream), Some(object)) = (shared.upstream(), status.as_object_mut()) {
        object.insert("upstream".to_owned(), upstream_status(&upstream));
    }
    if let (true, Some(object)) = (detailed, status.as_object_mut()) {
        for (name, value) in &shared.options.about {
            object.insert((*name).to_owned(), value.as_str().into());
        }
    }
    Ok(status)
}

/// Who fails too often, until when nothing that they guess is looked at.
fn locked_out(shared: &Shared) -> Value {
    let (now_ms, steady_ms) = (now_ms(), steady_ms());
    let LockedOut { listed, more } = lock(&shared.limiter).locked_out(steady_ms);
    let listed = listed.iter().map(|(Key { guess, source }, until_ms)| {
        let left_ms = until_ms.saturating_sub(steady_ms);
        json!({
            "who": source.to_string(),
            "guess": guess.name(),
            "untilMs": now_ms.saturating_add(left_ms),
        })
    });
    json!({ "listed": listed.collect::<Vec<_>>(), "more": more })
}

fn upstream_status(upstream: &Upstream) -> Value {
    let trouble = upstream.trouble();
    json!({
        "url": upstream.options().target.to_string(),
        "kind": upstream.options().kind.name(),
        "connections": upstream.open_now(),
        "trouble": trouble.map(|trouble| json!({ "atMs": trouble.at_ms, "what": trouble.what })),
    })
}

fn session(live: &Live, detailed: bool) -> Value {
    let mut shown = json!({
        "connection": live.told.id,
        "client": live.client.name(),
        "mode": live.mode.name(),
        "role": live.role.name(),
        "sinceMs": live.since_ms,
    });
    if let (true, Some(object)) = (detailed, shown.as_object_mut()) {
        object.insert("auth".to_owned(), live.auth.name().into());
        object.insert("scopes".to_owned(), json!(live.scopes));
        object.insert("device".to_owned(), json!(live.device));
        object.insert("from".to_owned(), live.from.as_ref().into());
    }
    shown
}

/// By the names that OpenClaw's gateway uses for its own key.
fn identity(caller: &Caller<'_>, _: &Value) -> Result<Value, CallError> {
    match &caller.shared.options.identity {
        Some(identity) => Ok(json!({
            "deviceId": identity.device_id(),
            "publicKey": URL_SAFE_NO_PAD.encode(identity.bytes()),
        })),
        None => Err(CallError {
            code: ErrorCode::Unavailable,
            message: "this gateway has no key of its own".to_owned(),
            details: None,
            retryable: None,
        }),
    }
}

fn policy_status(caller: &Caller<'_>, _: &Value) -> Result<Value, CallError> {
    Ok(caller.shared.policy_status())
}

/// How many connections `admission.recent` tells of, when nobody says.
const RECENT: usize = 20;

fn admission_recent(caller: &Caller<'_>, params: &Value) -> Result<Value, CallError> {
    let limit = match params.get("limit") {
        None | Some(Value::Null) => RECENT,
        Some(limit) => limit
            .as_u64()
            .and_then(|limit| usize::try_from(limit).ok())
            .ok_or_else(|| invalid("`limit` takes a number from 0"))?,
    };
    let recent = caller.shared.record.recent();
    let lines = recent.iter().take(limit);
    let lines: Vec<Value> = lines
        .filter_map(|recent| serde_json::from_str(&recent.text).ok())
        .collect();
    Ok(json!({ "lines": lines }))
}

/// Why a connection was admitted, or was not: one's own, or another one by its id.
fn admission_explain(caller: &Caller<'_>, params: &Value) -> Result<Value, CallError> {
    let wanted = match params.get("connection") {
        None | Some(Value::Null) => caller.connection(),
        Some(Value::String(id)) => id.as_str(),
        Some(_) => return Err(invalid("`connection` takes the id of a connection")),
    };
    if wanted == caller.connection() {
        return explained(&caller.live.line);
    }
    is_operator(caller)?;
    caller.needs(Scope::Admin)?;
    let sessions = caller.shared.sessions.list();
    let live = sessions.iter().find(|live| &*live.told.id == wanted);
    let recent = || {
        let recent = caller.shared.record.recent();
        let of_it = |recent: &Recent| recent.is_decision_of(wanted);
        recent.into_iter().find(of_it)
    };
    match live.map(|live| live.line.clone()).or_else(recent) {
        Some(line) => explained(&line),
        None => Err(invalid(
            "no such connection is known any more: `gw explain --connection ID` asks the log of \
             decisions",
        )),
    }
}

fn explained(recent: &Recent) -> Result<Value, CallError> {
    let none = || invalid("nothing was decided of this connection");
    let snapshot = recent.snapshot.as_ref().ok_or_else(none)?;
    let line = read::line(&recent.text).map_err(|_| none())?;
    let told = line.explained().ok_or_else(none)?;
    let mut account = explain::json::json(&explain(&snapshot.policy, &told.facts, &told.subject));
    if let (Some(account), Ok(line)) = (
        account.as_object_mut(),
        serde_json::from_str::<Value>(&recent.text),
    ) {
        account.insert("logged".to_owned(), line);
    }
    Ok(account)
}

/// How many devices a list has at most: it is one message, and is in memory as a whole.
const MOST_LISTED: usize = 100_000;

/// How often what is remembered may change while a call is answered.
const MOST_CONFLICTS: usize = 16;

async fn devices(caller: &Caller<'_>, method: &str, params: &Value) -> Result<Value, CallError> {
    let call = match Call::parse(method, params) {
        Some(Ok(call)) => call,
        Some(Err(error)) => return Err(CallError::of(&error, &caller.settings.compatibility)),
        None => return Err(invalid(format!("unknown method: {method}"))),
    };
    caller.shared.write_notes().await;
    for _ in 0..MOST_CONFLICTS {
        let shared = caller.shared;
        let (mut reply, before, version) = worked_out(caller, &call).await?;
        if !reply.change.is_empty() {
            let by = caller.asks()?;
            reply.change.asked_by = by.filter(|(device, _)| *device != reply.change.device_id);
        }
        match shared.commit(&reply.change, &before, version).await {
            Ok(_) => {
                caller.changed(&call, &reply);
                return Ok(reply.payload);
            }
            Err(StoreError::Conflict) => {}
            Err(error @ StoreError::Failed(_)) => {
                let kept = "the gateway cannot keep what it decides: its log says why";
                return Err(CallError {
                    message: kept.to_owned(),
                    ..failed(&error)
                });
            }
            Err(error) => return Err(failed(&error)),
        }
    }
    Err(failed(&StoreError::Conflict))
}

/// What a call comes to by what is remembered now, and what that is of the device that it
/// changes.
async fn worked_out(
    caller: &Caller<'_>,
    call: &Call,
) -> Result<(rpc::Reply, Standing, Version), CallError> {
    let rules = &caller.settings.compatibility;
    let shared = caller.shared;
    // There may be many devices: nobody else waits while they are read.
    let (store, about) = (Arc::clone(&shared.store), call.about());
    let kept = spawn_blocking(move || match about {
        About::All => Ok(match store.count()?.devices {
            devices if devices > MOST_LISTED => Err(devices),
            _ => Ok(store.list()?),
        }),
        About::Waiting => {
            let mut waiting = Vec::new();
            store.waiting(&mut |standing, version| {
                waiting.push((standing.clone(), version));
                ControlFlow::Continue(())
            })?;
            Ok(Ok(waiting))
        }
        About::Device(device) => {
            let (standing, version) = store.load(&device)?;
            Ok(Ok(vec![(Arc::unwrap_or_clone(standing), version)]))
        }
    });
    let kept = joined(shared, kept).await;
    let kept = kept.unwrap_or_else(|| Err(StoreError::Failed("it was given up".into())));
    let kept = kept.map_err(|error| failed(&error))?;
    let kept = kept.map_err(|devices| {
        invalid(format!(
            "{devices} devices are more than one answer lists, which is up to {MOST_LISTED}: on the \
             gateway's host `sqlite3 -readonly gw.sqlite 'select * from requests'` shows what waits, \
             `devices` the rest"
        ))
    })?;
    let connected = shared.sessions.devices();
    let (standings, versions): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
    let view = View {
        standings: &standings,
        is_connected: &|device| connected.contains(device),
        now_ms: now_ms(),
        rules,
    };
    let manager = caller.as_manager();
    let reply = with_fresh(|fresh| call.answer(&manager, &view, fresh))
        .map_err(|error| failed(&StoreError::Failed(error.to_string().into())))?
        .map_err(|error| CallError::of(&error, rules))?;
    let changed = Some(&*reply.change.device_id);
    let at = standings
        .iter()
        .position(|standing| standing.device_id() == changed);
    let before = at.and_then(|at| Some((standings.get(at)?.clone(), *versions.get(at)?)));
    let (before, version) = before.unwrap_or_default();
    Ok((reply, before, version))
}

/// What a client is told whose session is over.
fn ended(end: End) -> CallError {
    CallError {
        code: ErrorCode::Unavailable,
        message: end.close().reason,
        details: None,
        retryable: None,
    }
}

/// What a client is told that calls what cannot be done now.
fn failed(error: &StoreError) -> CallError {
    tracing::error!(%error, "a call that manages devices failed");
    CallError {
        code: ErrorCode::Unavailable,
        message: match error {
            StoreError::Conflict => "what is remembered keeps changing: try again".to_owned(),
            StoreError::TooManyDevices => "too many devices are paired: remove some".to_owned(),
            StoreError::TooManyRequests => "too many requests wait".to_owned(),
            // What the store says is for the log.
            StoreError::Failed(_) => {
                "the gateway cannot get at its devices: its log says why".to_owned()
            }
        },
        details: None,
        retryable: Some(true),
    }
}

pub(super) fn invalid(message: impl Into<String>) -> CallError {
    CallError {
        code: ErrorCode::InvalidRequest,
        message: message.into(),
        details: None,
        retryable: None,
    }
}

/// The longest name of a method that is repeated, in characters.
const LONGEST: usize = 64;

fn shown(method: &str) -> String {
    crate::source::visible(&method.chars().take(LONGEST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_is_looked_for() {
        for method in METHODS.iter().filter(|method| is_ours(method.name)) {
            let found = route::ROOTS
                .iter()
                .any(|root| method.name.starts_with(root));
            assert!(found, "`relay::route::ROOTS` has none for {}", method.name);
        }
    }
}
