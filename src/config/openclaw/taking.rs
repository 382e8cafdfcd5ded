//! Takes the values of an OpenClaw configuration over, one after another.
//!
//! A value that is of another kind than its key is left, and the report says so: the release that
//! wrote it may be one that nobody here knows.

use std::net::IpAddr;

use serde_json::Value;

use super::policy::{self, Rule};
use super::{Item, Options, Outcome};
use crate::config::keys::{self, Kind};
use crate::config::risks::is_vast;
use crate::config::strength::{Weakness, weakness};
use crate::config::values::{is_variable, tells_secret};
use crate::facts::address::{parse_literal, parse_network};
use crate::facts::origin::AllowedOrigins;
use crate::facts::{AuthMode, Bind};
use crate::secret::Secret;

/// Values that have the same meaning and another key, or the same.
const SAME: &[(&str, &str)] = &[
    ("/gateway/port", "listen.port"),
    ("/gateway/handshakeTimeoutMs", "limits.handshakeTimeoutMs"),
    ("/gateway/allowRealIpFallback", "allowRealIpFallback"),
    ("/gateway/auth/allowTailscale", "auth.allowTailscale"),
    (
        "/gateway/auth/rateLimit/maxAttempts",
        "auth.rateLimit.maxAttempts",
    ),
    (
        "/gateway/auth/rateLimit/windowMs",
        "auth.rateLimit.windowMs",
    ),
    (
        "/gateway/auth/rateLimit/lockoutMs",
        "auth.rateLimit.lockoutMs",
    ),
    (
        "/gateway/auth/rateLimit/exemptLoopback",
        "auth.rateLimit.exemptLoopback",
    ),
    (
        "/gateway/auth/trustedProxy/userHeader",
        "auth.trustedProxy.userHeader",
    ),
    (
        "/gateway/auth/trustedProxy/requiredHeaders",
        "auth.trustedProxy.requiredHeaders",
    ),
    (
        "/gateway/auth/trustedProxy/allowUsers",
        "auth.trustedProxy.allowUsers",
    ),
    (
        "/gateway/auth/trustedProxy/allowLoopback",
        "auth.trustedProxy.allowLoopback",
    ),
    ("/gateway/trustedProxies", "trustedProxies"),
    (
        "/gateway/controlUi/allowedOrigins",
        "controlUi.allowedOrigins",
    ),
    (
        "/gateway/controlUi/allowInsecureAuth",
        "controlUi.allowInsecureAuth",
    ),
    (
        "/gateway/controlUi/dangerouslyDisableDeviceAuth",
        "controlUi.dangerouslyDisableDeviceAuth",
    ),
    (
        "/gateway/nodes/pairing/autoApproveLocal",
        "nodes.pairing.autoApproveLocal",
    ),
    (
        "/gateway/nodes/pairing/autoApproveCidrs",
        "nodes.pairing.autoApproveCidrs",
    ),
];

const HOST_HEADER: &str = "/gateway/controlUi/dangerouslyAllowHostHeaderOriginFallback";

/// Why some values do not count here.
const LEFT: &[(&str, &str)] = &[
    (
        "/gateway/mode",
        "it is the configuration of a client, and no gateway",
    ),
    (
        "/gateway/remote",
        "it is about connecting to another gateway",
    ),
    (
        "/gateway/tailscale",
        "run `tailscale serve` yourself, and list it in `trustedProxies`",
    ),
    (
        "/gateway/nodes/pairing/sshVerify",
        "nobody is connected back to; the owner approves the node",
    ),
    (
        "/gateway/auth/identityScopes",
        "write a rule of the policy with `cap` or `scopes=`",
    ),
    (
        "/gateway/auth/trustedProxy/deviceAutoApprove",
        "write a rule of the policy",
    ),
    (
        "/gateway/roles",
        "it bounds what people may do there and not here: write rules of the policy",
    ),
    (
        HOST_HEADER,
        "a name can be made to lead here, and the default policy refuses it; list your pages in `controlUi.allowedOrigins`",
    ),
    (
        "/gateway/tls/caPath",
        "no client is asked for a certificate here: the secret is all that it needs",
    ),
    ("/gateway/reload", "a changed file is read anew in any case"),
];

pub(super) struct Taking<'a> {
    options: &'a Options,
    pub(super) set: Vec<(&'static str, String)>,
    pub(super) rules: Vec<Rule>,
    pub(super) secrets: Vec<(&'static str, Secret)>,
    pub(super) items: Vec<Item>,
    /// Whether something that restricts the users of a proxy could not be read.
    unread_proxy: bool,
    /// The rule that the next value asks for.
    asked: Option<&'static str>,
}

impl<'a> Taking<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Taking {
            options,
            set: Vec::new(),
            rules: Vec::new(),
            secrets: Vec::new(),
            items: Vec::new(),
            unread_proxy: false,
            asked: None,
        }
    }

    pub(super) fn root(&mut self, root: &Value) {
        self.bind(root);
        self.tls(root);
        self.auth(root);
        for (name, value) in root.as_object().into_iter().flatten() {
            if name == "gateway" && value.is_object() {
                self.walk("/gateway", value);
            } else if name == "$include" {
                self.say(
                    "/$include",
                    Outcome::Left,
                    "the file that is named there is not read: import it by itself",
                );
            } else {
                self.say(
                    &format!("/{}", escaped(name)),
                    Outcome::Left,
                    "it has no part in admission",
                );
            }
        }
        self.items.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    }

    fn say(&mut self, pointer: &str, outcome: Outcome, text: &str) {
        self.items.push(Item {
            pointer: pointer.to_owned(),
            outcome,
            text: text.to_owned(),
            wider: false,
        });
    }

    /// Refuses a restriction that cannot be read, and with it what it restricts: without it
    /// everyone would come in.
    fn unread(&mut self, pointer: &str, text: &str) {
        self.say(pointer, Outcome::Refused, text);
        self.unread_proxy = true;
    }

    /// Refuses what opens to everybody; whether it may be taken all the same.
    fn opens_wide(&mut self, pointer: &str, text: &str) -> bool {
        if self.options.allow_wider {
            return true;
        }
        self.items.push(Item {
            pointer: pointer.to_owned(),
            outcome: Outcome::Refused,
            text: text.to_owned(),
            wider: true,
        });
        false
    }

    /// Adds a rule for the value that is about to be taken.
    fn rule(&mut self, rule: Rule) {
        self.rules.push(rule);
        self.asked = Some(rule.label);
    }

    fn take(&mut self, pointer: &str, key: &'static str, written: String) {
        let rule = self.asked.take().map_or_else(String::new, |label| {
            format!(
                ", with the rule [{label}] in {}",
                self.options.policy_name()
            )
        });
        self.say(
            pointer,
            Outcome::Taken,
            &format!("`{key}: {written}`{rule}"),
        );
        self.set.push((key, written));
    }

    /// Goes through what has not been taken yet.
    fn walk(&mut self, pointer: &str, value: &Value) {
        if self.items.iter().any(|item| item.pointer == pointer) {
            return;
        }
        if let Some((_, key)) = SAME.iter().find(|(known, _)| *known == pointer) {
            self.same(pointer, key, value);
            return;
        }
        if let Some((_, why)) = LEFT.iter().find(|(known, _)| *known == pointer) {
            match value {
                Value::Bool(false) => self.say(pointer, Outcome::Taken, "it is off here too"),
                Value::String(mode) if pointer == "/gateway/mode" && mode == "local" => {
                    self.say(pointer, Outcome::Taken, "it is a gateway");
                }
                Value::Bool(true) if pointer == HOST_HEADER => {
                    self.say(pointer, Outcome::Refused, why)
                }
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_) => self.say(pointer, Outcome::Left, why),
            }
            return;
        }
        let begins = |known: &str| {
            known
                .strip_prefix(pointer)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let further = SAME.iter().any(|(known, _)| begins(known))
            || LEFT.iter().any(|(known, _)| begins(known))
            || self.items.iter().any(|item| begins(&item.pointer));
        match value {
            Value::Object(map) if further => {
                for (name, value) in map {
                    let below = format!("{pointer}/{}", escaped(name));
                    if name == "$include" {
                        self.say(
                            &below,
                            Outcome::Left,
                            "the file that is named there is not read: import it by itself",
                        );
                    } else {
                        self.walk(&below, value);
                    }
                }
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_) => {
                self.say(pointer, Outcome::Left, "it has no part in admission");
            }
        }
    }

    fn same(&mut self, pointer: &str, key: &'static str, value: &Value) {
        let Some(known) = keys::find(key) else { return };
        let written = match (known.kind, value) {
            (Kind::Switch, Value::Bool(on)) => Some(on.to_string()),
            (Kind::Number { least, most }, Value::Number(number)) => {
                let number = number.as_u64().or_else(|| whole(number.as_f64()?));
                match number.filter(|number| (least..=most).contains(number)) {
                    Some(number) => Some(number.to_string()),
                    None => {
                        self.say(
                            pointer,
                            Outcome::Left,
                            &format!("it is not from {least} to {most}"),
                        );
                        return;
                    }
                }
            }
            (Kind::Text, Value::String(text)) if !tells_secret(text) => Some(quoted(text)),
            (Kind::Texts | Kind::Networks | Kind::Origins, Value::Array(list)) => {
                match self.list(pointer, known.kind, list) {
                    Some(written) => Some(written),
                    None => return,
                }
            }
            _ => None,
        };
        let Some(written) = written else {
            let text = format!(
                "`{key}` takes {}, and this is {}",
                known.kind.values(),
                kind(value)
            );
            match key {
                "auth.trustedProxy.allowUsers" | "auth.trustedProxy.requiredHeaders" => {
                    self.unread(pointer, &text)
                }
                "nodes.pairing.autoApproveLocal" => {
                    // What cannot be read asks about everybody.
                    self.say(pointer, Outcome::Left, &format!("{text}: it is off"));
                    self.set.push((key, "false".to_owned()));
                }
                _ => self.say(pointer, Outcome::Left, &text),
            }
            return;
        };
        if key == "auth.trustedProxy.userHeader" && self.unread_proxy {
            self.say(
                pointer,
                Outcome::Refused,
                "what restricts the proxy's users could not be read",
            );
            return;
        }
        let on = *value == Value::Bool(true);
        match key {
            "controlUi.allowInsecureAuth" if on => self.rule(policy::INSECURE_AUTH),
            "controlUi.dangerouslyDisableDeviceAuth" if on => {
                if !self.opens_wide(
                    pointer,
                    "a dashboard could come without a device from anywhere",
                ) {
                    return;
                }
                self.rule(policy::NO_DEVICE_AUTH);
            }
            "nodes.pairing.autoApproveCidrs" if written != "[]" => self.rule(policy::NODE_NETWORK),
            _ => {}
        }
        self.take(pointer, key, written);
    }

    /// The entries of a list that can be taken, as they are written; nothing when none can.
    fn list(&mut self, pointer: &str, kind_of: Kind, list: &[Value]) -> Option<String> {
        let mut kept = Vec::new();
        for (index, entry) in list.iter().enumerate() {
            let place = format!("{pointer}/{index}");
            let Value::String(text) = entry else {
                if matches!(kind_of, Kind::Texts) {
                    self.unread(
                        &place,
                        &format!("a text is expected, and this is {}", kind(entry)),
                    );
                    return None;
                }
                self.say(
                    &place,
                    Outcome::Left,
                    &format!("a text is expected, and this is {}", kind(entry)),
                );
                continue;
            };
            if tells_secret(text) {
                self.say(&place, Outcome::Refused, "it holds a secret in a URL");
                continue;
            }
            let networks = matches!(kind_of, Kind::Networks);
            let origins = matches!(kind_of, Kind::Origins);
            if networks && parse_network(text).is_none() {
                self.say(&place, Outcome::Left, "it is no address and no network");
                continue;
            }
            if origins && !AllowedOrigins::parse([text]).1.is_empty() {
                self.say(&place, Outcome::Left, "it is no origin");
                continue;
            }
            let wide = if networks && is_vast(text) {
                "the network holds more than anybody's own addresses"
            } else if origins && text.trim() == "*" {
                "every page could open a connection"
            } else {
                ""
            };
            if wide.is_empty() || self.opens_wide(&place, wide) {
                kept.push(quoted(text));
            }
        }
        (list.is_empty() || !kept.is_empty()).then(|| format!("[{}]", kept.join(", ")))
    }

    /// `bind`, with the addresses of `custom`, and whether nobody has to prove anything there.
    fn bind(&mut self, root: &Value) {
        let pointer = "/gateway/bind";
        let host = root.pointer("/gateway/customBindHost");
        let address = host.and_then(Value::as_str).and_then(parse_literal);
        let word = match root.pointer(pointer) {
            None => {
                if host.is_some() {
                    self.say(
                        "/gateway/customBindHost",
                        Outcome::Left,
                        "`bind` is not `custom`",
                    );
                }
                return;
            }
            Some(Value::String(word)) => match word.as_str() {
                "0.0.0.0" | "::" | "[::]" => "lan",
                "127.0.0.1" | "localhost" | "::1" | "[::1]" => "loopback",
                word => word,
            },
            Some(_) => "",
        };
        let Some(word) = Bind::parse(word) else {
            self.say(
                pointer,
                Outcome::Left,
                "it is no word of `listen.bind`: this host only",
            );
            return;
        };
        let beyond = word != Bind::Loopback
            && !(word == Bind::Custom && address.is_some_and(|ip: IpAddr| ip.is_loopback()));
        let open = root.pointer("/gateway/auth/mode") == Some(&Value::from("none"));
        if beyond
            && open
            && !self.opens_wide(
                pointer,
                "nobody would have to prove anything from other hosts: this host only",
            )
        {
            return;
        }
        if word == Bind::Custom {
            let Some(address) = address else {
                self.say(
                    pointer,
                    Outcome::Left,
                    "`customBindHost` is no address: this host only",
                );
                return;
            };
            self.take(
                "/gateway/customBindHost",
                "listen.addresses",
                format!("[{}]", quoted(&address.to_string())),
            );
        } else if host.is_some() {
            self.say(
                "/gateway/customBindHost",
                Outcome::Left,
                "`bind` is not `custom`",
            );
        }
        self.take(pointer, "listen.bind", word.name().to_owned());
    }

    fn tls(&mut self, root: &Value) {
        let Some(Value::Object(tls)) = root.pointer("/gateway/tls") else {
            return;
        };
        let on = tls.get("enabled") == Some(&Value::Bool(true));
        let mut paths = Vec::new();
        for (name, key) in [("certPath", "tls.certificate"), ("keyPath", "tls.key")] {
            let pointer = format!("/gateway/tls/{name}");
            match tls
                .get(name)
                .and_then(Value::as_str)
                .map(|text| self.home(text))
            {
                Some(Ok(path)) if on => paths.push((pointer, key, quoted(&path))),
                Some(Err(why)) if on => self.say(&pointer, Outcome::Left, why),
                Some(_) => self.say(&pointer, Outcome::Left, "TLS is off"),
                None => {}
            }
        }
        if paths.len() == 2 {
            for (pointer, key, path) in paths {
                self.take(&pointer, key, path);
            }
            self.say("/gateway/tls/enabled", Outcome::Taken, "TLS is on");
        } else if on {
            for (pointer, ..) in paths {
                self.say(
                    &pointer,
                    Outcome::Left,
                    "a certificate and its key stand together",
                );
            }
            // Without its files TLS stays on: a certificate is made.
            self.take(
                "/gateway/tls/enabled",
                "tls.autoGenerate",
                "true".to_owned(),
            );
        } else if tls.contains_key("enabled") {
            self.say("/gateway/tls/enabled", Outcome::Taken, "TLS is off");
        }
        if tls.contains_key("autoGenerate") {
            let text = "a certificate is made where TLS is on and no files are named";
            self.say("/gateway/tls/autoGenerate", Outcome::Left, text);
        }
    }

    /// A path without `~`.
    fn home(&self, text: &str) -> Result<String, &'static str> {
        match (text.strip_prefix("~/"), &self.options.home) {
            (Some(rest), Some(home)) => Ok(home.join(rest).to_string_lossy().into_owned()),
            (Some(_), None) => Err("it is not known what `~` is"),
            (None, _) if text.trim().is_empty() => Err("it is blank"),
            (None, _) if text.contains("${") => Err("a variable in a path is not put in"),
            (None, _) => Ok(text.to_owned()),
        }
    }

    fn auth(&mut self, root: &Value) {
        let Some(Value::Object(auth)) = root.pointer("/gateway/auth") else {
            return;
        };
        let mode = auth.get("mode");
        let proxied = mode == Some(&Value::from("trusted-proxy"));
        if let Some(mode) = mode {
            let word = mode.as_str().and_then(AuthMode::parse);
            match word {
                Some(mode) => self.take("/gateway/auth/mode", "auth.mode", mode.name().to_owned()),
                None => self.say(
                    "/gateway/auth/mode",
                    Outcome::Left,
                    "it is no word of `auth.mode`",
                ),
            }
        }
        for (name, key) in [("token", "auth.token"), ("password", "auth.password")] {
            let pointer = format!("/gateway/auth/{name}");
            match auth.get(name) {
                None => {}
                Some(_) if proxied && name == "token" => {
                    self.say(
                        &pointer,
                        Outcome::Refused,
                        "whoever has it would come in beside the proxy",
                    );
                }
                Some(value) => self.secret(&pointer, key, name, value),
            }
        }
        let both = self
            .set
            .iter()
            .filter(|(key, _)| matches!(*key, "auth.token" | "auth.password"));
        if both.count() == 2 && mode.is_none() {
            let text = "`token` and `password` are both set, and nothing says which one counts: write `mode: token` or `mode: password` under `auth`";
            self.say("/gateway/auth/mode", Outcome::Left, text);
        }
    }

    fn secret(&mut self, pointer: &str, key: &'static str, file: &'static str, value: &Value) {
        match value {
            Value::String(text) => {
                let variable = text
                    .trim()
                    .strip_prefix("${")
                    .and_then(|rest| rest.strip_suffix('}'));
                if let Some(name) = variable.filter(|name| is_variable(name)) {
                    self.take(pointer, key, format!("{{ env: {name} }}"));
                    return;
                }
                let secret = Secret::new(text);
                match weakness(&secret) {
                    None => {
                        self.secrets.push((file, secret));
                        self.take(pointer, key, format!("{{ file: {file} }}"));
                    }
                    Some(Weakness::Unresolved) => {
                        self.say(
                            pointer,
                            Outcome::Left,
                            "a variable within a text is not put in",
                        );
                    }
                    Some(weak) => {
                        let instead = if file == "token" {
                            "a token is made at start"
                        } else {
                            "set another one"
                        };
                        self.say(pointer, Outcome::Refused, &format!("it {weak}: {instead}"));
                    }
                }
            }
            Value::Object(reference) => {
                let source = reference.get("source").and_then(Value::as_str);
                let name = reference.get("id").and_then(Value::as_str);
                match (source, name.filter(|name| is_variable(name))) {
                    (Some("env"), Some(name)) => {
                        self.take(pointer, key, format!("{{ env: {name} }}"))
                    }
                    _ => self.say(
                        pointer,
                        Outcome::Left,
                        "only secrets of the environment can be referred to: write it into a file",
                    ),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                self.say(
                    pointer,
                    Outcome::Left,
                    &format!("a text is expected, and this is {}", kind(value)),
                );
            }
        }
    }
}

/// A number that JSON5 wrote with a point or an exponent, and that is whole.
fn whole(number: f64) -> Option<u64> {
    let text = format!("{number:.0}");
    text.parse().ok().filter(|_| number.fract() == 0.0)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a switch",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A text as YAML takes it: JSON's quotes are YAML's.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// A path as YAML takes it.
pub(super) fn path(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    match begins && text.chars().all(plain) && text.contains(['/', '.']) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// A name as a step of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
