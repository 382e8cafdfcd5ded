//! What those who manage devices may call: `device.pair.*` and `device.token.*` (reference
//! 7.5), and our own `device.grant`, as functions over what is remembered.
//!
//! Frames, error codes and the sessions that end are not here: a [`Reply`] says what to
//! commit, send and end, an [`RpcError`] what went wrong, in OpenClaw's words.

use std::fmt;

use serde_json::{Map, Value, json};

use super::approve::{Approver, approve};
use super::change::{Change, Fresh, Write};
use super::grant::grant;
use super::record::{Record, Token};
use super::removal::{reject, remove};
use super::standing::Standing;
use super::token::{TokenDenied, revoke, rotate};
use crate::facts::scopes::covers;
use crate::facts::{Role, Scope};
use crate::settings::Compatibility;
use crate::settings::compatibility::OtherDevices;
use crate::source::visible;

/// Whose session calls.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The scopes of the session.
    pub scopes: &'a [Box<str>],
    /// Its device, where it has proved one.
    pub device: Option<&'a str>,
    /// Whether its device token let it in: then it speaks for this device alone.
    pub by_device_token: bool,
}

/// A call, with its parameters read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `device.pair.list`: what is paired, and what waits.
    List,
    /// `device.pair.approve`: approves a request.
    Approve {
        /// The request.
        request_id: Box<str>,
    },
    /// `device.pair.reject`: rejects a request.
    Reject {
        /// The request.
        request_id: Box<str>,
    },
    /// `device.pair.remove`: forgets a device.
    Remove {
        /// The device.
        device_id: Box<str>,
    },
    /// `device.token.rotate`: replaces a token.
    Rotate {
        /// The device.
        device_id: Box<str>,
        /// The role that the token is for.
        role: Box<str>,
        /// The scopes of the new one; those of the old one without.
        scopes: Option<Vec<Box<str>>>,
    },
    /// `device.token.revoke`: makes a token worthless.
    Revoke {
        /// The device.
        device_id: Box<str>,
        /// The role that the token is for.
        role: Box<str>,
    },
    /// `device.grant`: says what a paired device may do, without a request. Our own.
    Grant {
        /// The device.
        device_id: Box<str>,
        /// The role that it has from now on; an operator's without.
        role: Role,
        /// All scopes that it has of this role from now on; those that it had without.
        scopes: Option<Vec<Box<str>>>,
    },
}

/// What of all that is remembered a call has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// All of it.
    All,
    /// The devices with a request that waits.
    Waiting,
    /// One device.
    Device(Box<str>),
}

/// Why a call failed. The text is what the caller is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The session may not call this at all (`FORBIDDEN` in 2026.9, `INVALID_REQUEST` before).
    #[error("missing scope: {0}")]
    MethodScope(&'static str),
    /// Anything else: `INVALID_REQUEST`.
    #[error("{0}")]
    Invalid(String),
}

impl RpcError {
    fn invalid(message: impl ToString) -> Self {
        RpcError::Invalid(message.to_string())
    }
}

/// What a call comes to.
#[derive(Clone, PartialEq)]
pub struct Reply {
    /// The payload of the answer. Only that of a rotation may hold a secret.
    pub payload: Value,
    /// What to commit before it is sent.
    pub change: Change,
    /// The sessions that end with it.
    pub ends: Option<Ends>,
}

/// Without the payload: that of a rotation holds the new token.
impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("change", &self.change)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

/// Sessions that are not what they were admitted as any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The device whose sessions they are.
    pub device_id: Box<str>,
    /// Only those in this role; all without one.
    pub role: Option<Box<str>>,
}

/// What a call may look at besides itself.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// What is remembered, of the devices that the call is [`about`](Call::about) at least.
    pub standings: &'a [Standing],
    /// Whether a device is connected now.
    pub is_connected: &'a dyn Fn(&str) -> bool,
    /// The time, in Unix milliseconds.
    pub now_ms: i64,
    /// How the release does it.
    pub rules: &'a Compatibility,
}

impl Call {
    /// Reads a call; `None` for a method that is not one of these.
    ///
    /// # Errors
    ///
    /// [`RpcError::Invalid`] with the first parameter that is missing or wrong, in the words of
    /// OpenClaw's schema as far as they are recorded (`sequence/approve-needs-scope`).
    #[must_use]
    pub fn parse(method: &str, params: &Value) -> Option<Result<Call, RpcError>> {
        let params = Params { method, params };
        Some(match method {
            "device.pair.list" => params.only(&[]).map(|()| Call::List),
            "device.pair.approve" => params
                .request()
                .map(|request_id| Call::Approve { request_id }),
            "device.pair.reject" => params
                .request()
                .map(|request_id| Call::Reject { request_id }),
            "device.pair.remove" => params.remove(),
            "device.token.rotate" => params.rotate(),
            "device.token.revoke" => params.revoke(),
            "device.grant" => params.grant(),
            _ => return None,
        })
    }

    /// What it has to look at.
    #[must_use]
    pub fn about(&self) -> About {
        match self {
            Call::List => About::All,
            Call::Approve { .. } | Call::Reject { .. } => About::Waiting,
            Call::Remove { device_id }
            | Call::Rotate { device_id, .. }
            | Call::Revoke { device_id, .. }
            | Call::Grant { device_id, .. } => About::Device(device_id.clone()),
        }
    }

    /// Answers the call.
    ///
    /// # Errors
    ///
    /// [`RpcError`] when the session may not call it, when what it names is not there, or when
    /// it may not do this to that device.
    pub fn answer(
        &self,
        caller: &Caller<'_>,
        view: &View<'_>,
        fresh: &mut Fresh<'_>,
    ) -> Result<Reply, RpcError> {
        let pairing = Scope::Pairing.name();
        if !caller.holds(pairing, view.rules) {
            return Err(RpcError::MethodScope(pairing));
        }
        match self {
            Call::List => Ok(list(caller, view)),
            Call::Approve { request_id } => approved(request_id, caller, view, fresh),
            Call::Reject { request_id } => rejected(request_id, caller, view),
            Call::Remove { device_id } => removed(device_id, caller, view),
            Call::Rotate {
                device_id,
                role,
                scopes,
            } => rotated(device_id, role, scopes.as_deref(), caller, view, fresh),
            Call::Revoke { device_id, role } => revoked(device_id, role, caller, view),
            Call::Grant {
                device_id,
                role,
                scopes,
            } => granted(device_id, *role, scopes.as_deref(), caller, view, fresh),
        }
    }
}

impl Caller<'_> {
    fn holds(&self, scope: &str, rules: &Compatibility) -> bool {
        covers(
            rules.scope_rule,
            Role::Operator.name(),
            &[scope],
            self.scopes,
        )
        .is_ok()
    }

    fn is_admin(&self, rules: &Compatibility) -> bool {
        self.holds(Scope::Admin.name(), rules)
    }

    /// Whether a device is this session's to deal with, where from `since` on only its own is.
    fn may(&self, device_id: &str, since: OtherDevices, rules: &Compatibility) -> bool {
        let bound =
            self.by_device_token && rules.pairing.other_devices >= since && !self.is_admin(rules);
        !bound || self.device == Some(device_id)
    }

    /// Whether the session may manage these roles.
    fn may_manage<'r>(
        &self,
        roles: impl IntoIterator<Item = &'r str>,
        rules: &Compatibility,
    ) -> bool {
        let operator = Role::Operator.name();
        !rules.pairing.roles_need_admin
            || self.is_admin(rules)
            || roles.into_iter().all(|role| role == operator)
    }
}

fn list(caller: &Caller<'_>, view: &View<'_>) -> Reply {
    let seen = |id: &str| caller.may(id, OtherDevices::Hidden, view.rules);
    let mut pending: Vec<_> = view
        .standings
        .iter()
        .filter_map(|standing| standing.pending.as_ref())
        .filter(|pending| !pending.is_expired(view.rules.request_ttl_ms, view.now_ms))
        .filter(|pending| seen(&pending.device_id))
        .collect();
    pending.sort_by_key(|pending| std::cmp::Reverse(pending.ts));
    let mut paired: Vec<_> = view
        .standings
        .iter()
        .filter_map(|standing| standing.live_record(view.now_ms))
        .filter(|record| seen(&record.device_id))
        .collect();
    paired.sort_by_key(|record| std::cmp::Reverse(record.approved_at_ms));
    let paired: Vec<Value> = paired
        .into_iter()
        .map(|record| {
            let mut shown = redacted(record);
            if view.rules.pairing.provenance {
                let connected = (view.is_connected)(&record.device_id);
                shown.insert("connected".to_owned(), connected.into());
            }
            Value::Object(shown)
        })
        .collect();
    Reply {
        payload: json!({ "pending": pending, "paired": paired }),
        change: Change::default(),
        ends: None,
    }
}

/// A record as others see it: without secrets, and without what it was approved for.
fn redacted(record: &Record) -> Map<String, Value> {
    let mut shown = match json!(record) {
        Value::Object(shown) => shown,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    };
    for hidden in ["approvedScopes", "nodeSurface", "pendingNodeSurface"] {
        shown.remove(hidden);
    }
    if let Some(tokens) = &record.tokens {
        let tokens: Vec<Value> = tokens.values().map(shown_token).collect();
        shown.insert("tokens".to_owned(), tokens.into());
    }
    shown
}

fn shown_token(token: &Token) -> Value {
    let mut shown = json!(token);
    if let Some(shown) = shown.as_object_mut() {
        shown.remove("issuer");
    }
    shown
}

/// The device whose request it is. Who may not manage all roles is not told which ids wait.
fn asking<'a>(
    request_id: &str,
    denied: &str,
    caller: &Caller<'_>,
    view: &View<'a>,
) -> Result<&'a Standing, RpcError> {
    let rules = view.rules;
    let waiting = view.standings.iter().find_map(|standing| {
        let pending = standing.pending.as_ref()?;
        let live = !pending.is_expired(rules.request_ttl_ms, view.now_ms);
        (live && &*pending.request_id == request_id).then_some((standing, pending))
    });
    let Some((standing, pending)) = waiting else {
        let told = !rules.pairing.roles_need_admin || caller.is_admin(rules);
        if !told {
            return Err(RpcError::invalid(denied));
        }
        let replaced_by = view.standings.iter().find_map(|standing| {
            let pending = standing.pending.as_ref()?;
            let live = !pending.is_expired(rules.request_ttl_ms, view.now_ms);
            let seen = live && caller.may(&pending.device_id, OtherDevices::Hidden, rules);
            let replaced = pending.replaces.iter().any(|id| &**id == request_id);
            (seen && replaced).then_some(&pending.request_id)
        });
        return Err(RpcError::Invalid(match replaced_by {
            Some(by) => format!("unknown requestId: replaced by {by}"),
            None => "unknown requestId".to_owned(),
        }));
    };
    let may = caller.may(&pending.device_id, OtherDevices::Hidden, rules)
        && caller.may_manage(pending.asked_roles(), rules);
    match may {
        true => Ok(standing),
        false => Err(RpcError::invalid(denied)),
    }
}

fn approved(
    request_id: &str,
    caller: &Caller<'_>,
    view: &View<'_>,
    fresh: &mut Fresh<'_>,
) -> Result<Reply, RpcError> {
    let standing = asking(request_id, "device pairing approval denied", caller, view)?;
    let approver = Approver::Owner {
        scopes: caller.scopes,
    };
    let change = approve(
        standing,
        request_id,
        approver,
        fresh,
        view.now_ms,
        view.rules,
    )
    .map_err(RpcError::invalid)?;
    let device = match &change.record {
        Write::Put(record) => redacted(record),
        Write::Keep | Write::Remove => Map::new(),
    };
    Ok(Reply {
        payload: json!({ "requestId": request_id, "device": device }),
        change,
        ends: None,
    })
}

fn rejected(request_id: &str, caller: &Caller<'_>, view: &View<'_>) -> Result<Reply, RpcError> {
    let standing = asking(request_id, "device pairing rejection denied", caller, view)?;
    let change =
        reject(standing, request_id, view.now_ms, view.rules).map_err(RpcError::invalid)?;
    Ok(Reply {
        payload: json!({ "requestId": request_id, "deviceId": change.device_id }),
        change,
        ends: None,
    })
}

fn of_device<'a>(device_id: &str, view: &View<'a>) -> Option<(&'a Standing, &'a Record)> {
    view.standings.iter().find_map(|standing| {
        let record = standing.live_record(view.now_ms)?;
        (&*record.device_id == device_id).then_some((standing, record))
    })
}

fn removed(device_id: &str, caller: &Caller<'_>, view: &View<'_>) -> Result<Reply, RpcError> {
    let denied = || RpcError::invalid("device pairing removal denied");
    if !caller.may(device_id, OtherDevices::Listed, view.rules) {
        return Err(denied());
    }
    let unknown = || RpcError::invalid("unknown deviceId");
    let (standing, record) = of_device(device_id, view).ok_or_else(unknown)?;
    if !caller.may_manage(record.approved_roles(), view.rules) {
        return Err(denied());
    }
    Ok(Reply {
        payload: json!({ "deviceId": device_id }),
        change: remove(standing, view.rules).ok_or_else(unknown)?,
        ends: Some(Ends {
            device_id: device_id.into(),
            role: None,
        }),
    })
}

fn rotated(
    device_id: &str,
    role: &str,
    scopes: Option<&[Box<str>]>,
    caller: &Caller<'_>,
    view: &View<'_>,
    fresh: &mut Fresh<'_>,
) -> Result<Reply, RpcError> {
    let rules = view.rules;
    // One sentence for whatever is wrong: else it would tell which devices there are.
    let denied = || RpcError::invalid("device token rotation denied");
    let may = caller.may(device_id, OtherDevices::Listed, rules);
    if !may || !caller.may_manage([role], rules) {
        return Err(denied());
    }
    let (standing, _) = of_device(device_id, view).ok_or_else(denied)?;
    let now_ms = view.now_ms;
    let (issued, change) = rotate(standing, role, scopes, caller.scopes, fresh, now_ms, rules)
        .map_err(|_: TokenDenied| denied())?;
    let mut payload = json!({
        "deviceId": device_id,
        "role": role,
        "scopes": issued.scopes,
        "rotatedAtMs": issued.issued_at_ms,
    });
    let own = caller.by_device_token && caller.device == Some(device_id);
    let told = own || !rules.pairing.withhold_rotated;
    if let Some(payload) = payload.as_object_mut() {
        if told {
            payload.insert("token".to_owned(), issued.token.expose().into());
        }
        if rules.pairing.withhold_rotated {
            let delivery = if told {
                "in-band"
            } else {
                "withheld-cross-device"
            };
            payload.insert("tokenDelivery".to_owned(), delivery.into());
        }
    }
    Ok(Reply {
        payload,
        change,
        ends: Some(Ends {
            device_id: device_id.into(),
            role: Some(role.into()),
        }),
    })
}

fn revoked(
    device_id: &str,
    role: &str,
    caller: &Caller<'_>,
    view: &View<'_>,
) -> Result<Reply, RpcError> {
    let rules = view.rules;
    let may = caller.may(device_id, OtherDevices::Listed, rules);
    if !may || !caller.may_manage([role], rules) {
        return Err(RpcError::invalid("device token revocation denied"));
    }
    let unknown = || RpcError::invalid(TokenDenied::Unknown);
    let (standing, _) = of_device(device_id, view).ok_or_else(unknown)?;
    let change = revoke(standing, role, view.now_ms).map_err(RpcError::invalid)?;
    Ok(Reply {
        payload: json!({ "deviceId": device_id, "role": role, "revokedAtMs": view.now_ms }),
        change,
        ends: Some(Ends {
            device_id: device_id.into(),
            role: Some(role.into()),
        }),
    })
}

fn granted(
    device_id: &str,
    role: Role,
    scopes: Option<&[Box<str>]>,
    caller: &Caller<'_>,
    view: &View<'_>,
    fresh: &mut Fresh<'_>,
) -> Result<Reply, RpcError> {
    let rules = view.rules;
    let may = caller.may(device_id, OtherDevices::Listed, rules);
    if !may || !caller.may_manage([role.name()], rules) {
        return Err(RpcError::invalid("device grant denied"));
    }
    let (_, record) =
        of_device(device_id, view).ok_or_else(|| RpcError::invalid("unknown deviceId"))?;
    let now_ms = view.now_ms;
    let change = grant(record, role, scopes, caller.scopes, fresh, now_ms, rules)
        .map_err(RpcError::invalid)?;
    let device = match &change.record {
        Write::Put(record) => redacted(record),
        Write::Keep | Write::Remove => Map::new(),
    };
    Ok(Reply {
        payload: json!({ "deviceId": device_id, "role": role.name(), "device": device }),
        change,
        ends: None,
    })
}

/// The parameters of a call.
struct Params<'a> {
    method: &'a str,
    params: &'a Value,
}

impl Params<'_> {
    fn wrong(&self, what: &str) -> RpcError {
        RpcError::Invalid(format!("invalid {} params: {what}", self.method))
    }

    /// Refuses parameters that the call does not have.
    fn only(&self, known: &[&str]) -> Result<(), RpcError> {
        let object = match self.params {
            Value::Null => return Ok(()),
            Value::Object(object) => object,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(self.wrong("must be object"));
            }
        };
        match object.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                Err(self.wrong(&format!("at root: unexpected property '{}'", visible(key))))
            }
            None => Ok(()),
        }
    }

    fn text(&self, key: &str) -> Result<Box<str>, RpcError> {
        match self.params.get(key) {
            None => Err(self.wrong(&format!("must have required property '{key}'"))),
            Some(Value::String(text)) if !text.is_empty() => Ok(text.as_str().into()),
            Some(Value::String(_)) => {
                Err(self.wrong(&format!("at /{key}: must NOT have fewer than 1 characters")))
            }
            Some(
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_),
            ) => Err(self.wrong(&format!("at /{key}: must be string"))),
        }
    }

    fn texts(&self, key: &str) -> Result<Option<Vec<Box<str>>>, RpcError> {
        let Some(value) = self.params.get(key) else {
            return Ok(None);
        };
        let texts = value.as_array().map(|texts| {
            texts
                .iter()
                .map(|text| text.as_str().map(Into::into))
                .collect()
        });
        match texts {
            Some(Some(texts)) => Ok(Some(texts)),
            Some(None) | None => Err(self.wrong(&format!("at /{key}: must be array of strings"))),
        }
    }

    fn request(&self) -> Result<Box<str>, RpcError> {
        let request = self.text("requestId")?;
        self.only(&["requestId"]).map(|()| request)
    }

    fn remove(&self) -> Result<Call, RpcError> {
        let device_id = self.text("deviceId")?;
        self.only(&["deviceId"])
            .map(|()| Call::Remove { device_id })
    }

    fn rotate(&self) -> Result<Call, RpcError> {
        let (device_id, role) = (self.text("deviceId")?, self.text("role")?);
        let scopes = self.texts("scopes")?;
        self.only(&["deviceId", "role", "scopes"])
            .map(|()| Call::Rotate {
                device_id,
                role,
                scopes,
            })
    }

    fn revoke(&self) -> Result<Call, RpcError> {
        let (device_id, role) = (self.text("deviceId")?, self.text("role")?);
        self.only(&["deviceId", "role"])
            .map(|()| Call::Revoke { device_id, role })
    }

    fn grant(&self) -> Result<Call, RpcError> {
        let device_id = self.text("deviceId")?;
        let role = match self.params.get("role") {
            None => Role::Operator,
            Some(_) => Role::parse(&self.text("role")?)
                .ok_or_else(|| self.wrong("at /role: must be a role"))?,
        };
        let scopes = self.texts("scopes")?;
        self.only(&["deviceId", "role", "scopes"])
            .map(|()| Call::Grant {
                device_id,
                role,
                scopes,
            })
    }
}

#[cfg(test)]
mod tests;
