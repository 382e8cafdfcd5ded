//! The list of devices as a gateway gives it, and finding one in it by the beginning of its id.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::super::next::Next;
use crate::facts::scopes::{ScopeRule, covers};
use crate::facts::{Role, Scope};
use crate::handshake::clean;
use crate::pairing::key::same_key;
use crate::pairing::record::Came;
use crate::source::shell_word;

/// Fewer characters than these do not name anything: they were typed by mistake.
const LEAST: usize = 4;

/// What waits, and what is paired.
pub(super) struct Devices {
    pub(super) listed: Value,
}

/// Why a beginning of an id names nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfound {
    #[error("no {0} begins with `{1}`")]
    None(&'static str, String),
    #[error("{0} {1}s begin with `{2}`: name more of it")]
    Several(usize, &'static str, String),
    #[error("request {0} waits no longer: {1} took it up, with what its device asked for since")]
    Replaced(String, String),
    #[error("`{1}` is too short to name a {0}: at least {LEAST} characters of its id")]
    Short(&'static str, String),
}

/// A request or a device, by its JSON.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a>(pub(super) &'a Value);

impl Unfound {
    /// What helps, for `gw devices VERB`.
    pub(super) fn help(&self, verb: &str, next: &Next) -> String {
        match self {
            Unfound::Replaced(_, by) => next.command(&format!("devices {verb} {}", shell_word(by))),
            Unfound::None(..) | Unfound::Several(..) | Unfound::Short(..) => {
                format!("`{}` shows what there is", next.command("devices list"))
            }
        }
    }
}

impl Devices {
    pub(super) fn of(listed: Value) -> Self {
        Devices { listed }
    }

    fn entries(&self, name: &str) -> Vec<Entry<'_>> {
        let list = self.listed.get(name).and_then(Value::as_array);
        list.into_iter().flatten().map(Entry).collect()
    }

    /// The requests, the newest first.
    pub(super) fn requests(&self) -> Vec<Entry<'_>> {
        self.entries("pending")
    }

    /// The paired devices, the newest first.
    pub(super) fn paired(&self) -> Vec<Entry<'_>> {
        self.entries("paired")
    }

    /// The request that an id or its beginning names.
    pub(super) fn request(&self, id: &str) -> Result<Entry<'_>, Unfound> {
        let found = one(self.requests(), "requestId", "request", id);
        match (&found, self.replaced_by(id)) {
            (Err(Unfound::None(..)), Some((replaced, by))) => {
                Err(Unfound::Replaced(clean(replaced), by.shown("requestId")))
            }
            (_, _) => found,
        }
    }

    /// What took the place of the request that an id or its beginning names, with the whole id.
    fn replaced_by(&self, id: &str) -> Option<(&str, Entry<'_>)> {
        self.requests().into_iter().find_map(|request| {
            let mut replaced = request.list("replaces").into_iter();
            Some((replaced.find(|replaced| replaced.starts_with(id))?, request))
        })
    }

    /// The paired device that an id or its beginning names.
    pub(super) fn device(&self, id: &str) -> Result<Entry<'_>, Unfound> {
        one(self.paired(), "deviceId", "device", id)
    }

    /// What is paired of the device that a request is of.
    pub(super) fn record(&self, request: Entry<'_>) -> Option<Entry<'_>> {
        let device = request.text("deviceId");
        let mut paired = self.paired().into_iter();
        paired.find(|paired| paired.text("deviceId") == device)
    }
}

fn one<'a>(
    entries: Vec<Entry<'a>>,
    key: &str,
    noun: &'static str,
    id: &str,
) -> Result<Entry<'a>, Unfound> {
    if let Some(entry) = entries.iter().find(|entry| entry.text(key) == id) {
        return Ok(*entry);
    }
    let shown = clean(id);
    if id.len() < LEAST {
        return Err(Unfound::Short(noun, shown));
    }
    let matching = entries
        .iter()
        .filter(|entry| entry.text(key).starts_with(id));
    let matching: Vec<_> = matching.collect();
    match *matching.as_slice() {
        [] => Err(Unfound::None(noun, shown)),
        [entry] => Ok(*entry),
        _ => Err(Unfound::Several(matching.len(), noun, shown)),
    }
}

impl<'a> Entry<'a> {
    /// A text of it, as it was sent; empty where there is none.
    pub(super) fn text(self, key: &str) -> &'a str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A text of it, fit for a terminal.
    pub(super) fn shown(self, key: &str) -> String {
        clean(self.text(key))
    }

    pub(super) fn time(self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(Value::as_i64)
    }

    fn list(self, key: &str) -> Vec<&'a str> {
        let list = self.0.get(key).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Its roles: `roles`, with `role`.
    pub(super) fn roles(self) -> Vec<&'a str> {
        let mut roles = self.list("roles");
        let role = self.text("role");
        if !role.is_empty() && !roles.contains(&role) {
            roles.push(role);
        }
        roles
    }

    pub(super) fn scopes(self) -> Vec<&'a str> {
        self.list("scopes")
    }

    /// Whether the token for a role was revoked: then the role is worth nothing.
    fn is_revoked(self, role: &str) -> bool {
        let tokens = self.0.get("tokens").and_then(Value::as_array);
        let mut tokens = tokens.into_iter().flatten().map(Entry);
        tokens.any(|token| token.text("role") == role && token.time("revokedAtMs").is_some())
    }

    /// Its roles as they are shown: with which of them were revoked.
    pub(super) fn shown_roles(self) -> String {
        let roles = self.roles();
        if roles.is_empty() {
            return "–".to_owned();
        }
        let shown = roles.iter().map(|role| match self.is_revoked(role) {
            true => format!("{} (revoked)", clean(role)),
            false => clean(role),
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// Who it says it is: its name in quotes, which end where they seem to; client, mode,
    /// platform.
    pub(super) fn who(self) -> String {
        let mut who = Vec::new();
        for name in ["operatorLabel", "displayName"] {
            if !self.text(name).is_empty() && who.is_empty() {
                let inside = self.shown(name);
                let inside = inside.replace('“', r"\u{201c}").replace('”', r"\u{201d}");
                who.push(format!("“{inside}”"));
            }
        }
        let client = [self.shown("clientId"), self.shown("clientMode")];
        let client: Vec<String> = client.into_iter().filter(|text| !text.is_empty()).collect();
        who.push(client.join("/"));
        who.push(self.shown("platform"));
        who.retain(|text| !text.is_empty());
        who.join(" ")
    }

    /// Where it came from: an address, or how it came where none is told. Releases of OpenClaw
    /// keep neither of this host, nor of who comes through a proxy that is not trusted.
    pub(super) fn from(self) -> String {
        let came = Came::parse(self.text("came")).map(|came| match came {
            Came::ThisHost => "this host",
            Came::OwnSocket => "this host, at the gateway's socket",
            Came::InProcess => "the gateway's own process",
            Came::UnnamedProxy => "a proxy that is not trusted",
        });
        match (self.shown("remoteIp"), came) {
            (from, _) if !from.is_empty() => from,
            (_, Some(came)) => came.to_owned(),
            (_, None) => "this host, or a proxy".to_owned(),
        }
    }

    /// Whether it came from an address in a network. Where no address is kept of it, it counts as
    /// this host's.
    pub(super) fn is_from(self, network: IpNet) -> bool {
        match self.text("remoteIp") {
            "" => network.addr().is_loopback(),
            text => text
                .parse::<IpAddr>()
                .is_ok_and(|ip| network.contains(&ip.to_canonical())),
        }
    }

    /// Whether the device that asks is the one that was approved: it has its key.
    pub(super) fn is_of(self, record: Entry<'_>) -> bool {
        same_key(self.text("publicKey"), record.text("publicKey"))
    }

    /// What whoever approves it needs.
    pub(super) fn takes(self) -> Vec<Scope> {
        to_give(&self.roles(), &self.scopes())
    }

    /// What this request asks for that the device does not have: roles, and scopes. What was
    /// revoked it does not have.
    pub(super) fn beyond(self, record: Option<Entry<'a>>) -> (Vec<&'a str>, Vec<&'a str>) {
        // What was approved for another key is not this device's, and goes.
        let record = record.filter(|record| self.is_of(*record));
        let revoked = |role: &str| record.is_some_and(|record| record.is_revoked(role));
        let mut had = record.map(Entry::roles).unwrap_or_default();
        had.retain(|role| !revoked(role));
        let mut roles = self.roles();
        roles.retain(|role| !had.contains(role));
        let mut had = record.map(Entry::scopes).unwrap_or_default();
        had.retain(|scope| !scope.split_once('.').is_some_and(|(role, _)| revoked(role)));
        let operator = Role::Operator.name();
        let mut scopes = self.scopes();
        scopes.retain(|scope| covers(ScopeRule::default(), operator, &[scope], &had).is_err());
        (roles, scopes)
    }
}

/// What it takes to give roles and scopes, or to take them: only `operator.admin` manages what is
/// not an operator's, and nobody gives what they do not hold.
pub(super) fn to_give(roles: &[&str], scopes: &[&str]) -> Vec<Scope> {
    let operators = roles.iter().all(|role| *role == Role::Operator.name());
    let known: Option<Vec<Scope>> = scopes.iter().map(|it| Scope::parse(it.trim())).collect();
    match known {
        Some(mut scopes) if operators && !scopes.contains(&Scope::Admin) => {
            if !scopes.contains(&Scope::Pairing) {
                scopes.push(Scope::Pairing);
            }
            scopes
        }
        Some(_) | None => vec![Scope::Admin],
    }
}

/// What of a device's description is another one in a request than in its record, in words.
pub(super) fn changed(request: Entry<'_>, record: Entry<'_>) -> Vec<String> {
    let mut changed = Vec::new();
    if !request.is_of(record) {
        changed.push(
            "its key is another one than was approved: another device, or one that was set up anew"
                .to_owned(),
        );
    }
    for (name, key) in [("platform", "platform"), ("family", "deviceFamily")] {
        let (now, before) = (request.text(key), record.text(key));
        if !before.is_empty() && !now.is_empty() && now != before {
            changed.push(format!("its {name} was {}", clean(before)));
        }
    }
    changed
}

/// Names with commas between, fit for a terminal.
pub(super) fn names(names: &[&str]) -> String {
    match names.is_empty() {
        true => "–".to_owned(),
        false => {
            let names: Vec<String> = names.iter().map(|name| clean(name)).collect();
            names.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn devices() -> Devices {
        Devices::of(json!({
            "pending": [
                { "requestId": "abcd-1", "deviceId": "d1", "role": "operator", "roles": ["operator"],
                  "scopes": ["operator.read", "operator.admin"],
                  "displayName": "x\u{1b}[2J\u{202e}\n", "clientId": "cli", "clientMode": "cli" },
                { "requestId": "abcd-2", "deviceId": "d2", "role": "node" },
            ],
            "paired": [
                { "deviceId": "d1", "roles": ["operator"], "scopes": ["operator.write"] },
            ],
        }))
    }

    #[test]
    fn the_beginning_of_an_id_names_it_where_no_other_begins_so() {
        let devices = devices();
        let said = |id: &str| match devices.request(id) {
            Ok(request) => request.text("requestId").to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(said("abcd-1"), "abcd-1");
        assert_eq!(
            said("abcd"),
            "2 requests begin with `abcd`: name more of it"
        );
        assert_eq!(said("nothing"), "no request begins with `nothing`");
        assert!(said("ab").contains("too short"));
        assert!(
            devices.device("d1").is_ok(),
            "a whole id is never too short"
        );
    }

    #[test]
    fn what_is_asked_beyond_what_is_there() {
        let devices = devices();
        let request = devices.request("abcd-1").unwrap();
        let beyond = request.beyond(devices.record(request));
        assert_eq!(beyond, (vec![], vec!["operator.admin"]));
        assert_eq!(request.beyond(None).1, ["operator.read", "operator.admin"]);
        let mut paired = devices.paired()[0].0.clone();
        paired["tokens"] = json!([{ "role": "operator", "revokedAtMs": 1 }]);
        let revoked = Entry(&paired);
        assert_eq!(revoked.shown_roles(), "operator (revoked)");
        assert_eq!(
            request.beyond(Some(revoked)),
            (vec!["operator"], vec!["operator.read", "operator.admin"])
        );
        paired["publicKey"] = "another".into();
        assert_eq!(changed(request, Entry(&paired)).len(), 1);
        let node = devices.request("abcd-2").unwrap();
        assert_eq!(node.beyond(devices.record(node)).0, ["node"]);
        assert_eq!(request.who(), "“x\\u{1b}[2J\\u{202e}” cli/cli");
    }
}
