//! What was seen as a `handshake.json`, with the settings and what is remembered of the device,
//! and without secrets that the client did not send itself.

use serde_json::{Map, Value, json};

use super::super::output::Output;
use super::door::Seen;
use crate::config::{Config, Origin, Shown, Token};
use crate::handshake::VERSION;
use crate::host::token;
use crate::pairing::sqlite::Sqlite;
use crate::pairing::store::{Limits, Store as _};
use crate::pairing::{Record, Standing};
use crate::secret::Secret;

/// Where clients send secrets.
const SENT: [&str; 4] = [
    "/params/auth/token",
    "/params/auth/password",
    "/params/auth/deviceToken",
    "/params/auth/bootstrapToken",
];

/// Groups of the configuration that an admission depends on, under the same names.
const SETTINGS: [&str; 5] = [
    "allowRealIpFallback",
    "auth.",
    "controlUi.",
    "nodes.",
    "trustedProxies",
];

/// The whole file.
pub(super) fn form(config: &Config, seen: &Seen, output: &mut Output) -> Value {
    let stand_in = format!("left-out-{}", seen.nonce);
    let sent = |secret: &Secret| {
        let texts = SENT
            .iter()
            .filter_map(|place| seen.connect.pointer(place)?.as_str());
        let mut same = texts.filter(|text| Secret::new(text).matches(secret));
        // What the client sent is in the file anyway; what it did not send stays out of it.
        same.next().unwrap_or(&stand_in).to_owned()
    };
    let mut socket = json!({
        "transport": "tcp",
        "peer": seen.peer.to_string(),
        "local": seen.local.to_string(),
        "tls": seen.tls,
        "peerUid": seen.peer_uid.name(),
    });
    let addresses: Vec<String> = seen.own_addresses.iter().map(ToString::to_string).collect();
    if let Some(socket) = socket.as_object_mut() {
        socket.insert("ownAddresses".to_owned(), json!(addresses));
    }
    let mut form = json!({
        "gw-handshake": VERSION,
        "note": "recorded by gw record; secrets that the client did not send are replaced",
        "settings": settings(config, &sent),
        "socket": socket,
        "http": { "path": seen.head.path, "headers": seen.head.headers },
        "challenge": { "nonce": seen.nonce, "ts": seen.challenged_ms },
        "connect": seen.connect,
        "time": seen.time_ms,
    });
    if let (Some(pairing), Some(form)) =
        (pairing(config, seen, &sent, output), form.as_object_mut())
    {
        form.insert("pairing".to_owned(), pairing);
    }
    form
}

fn settings(config: &Config, sent: &dyn Fn(&Secret) -> String) -> Value {
    let settings = config.settings();
    let mut form = json!({});
    for shown in config.shown() {
        let given = shown.from != Origin::Default;
        let secret = matches!(shown.key, "auth.token" | "auth.password" | "auth.mode");
        let listed = SETTINGS.iter().any(|group| shown.key.starts_with(group));
        if given && listed && !secret {
            put(&mut form, shown.key, value(shown));
        }
    }
    put(&mut form, "bind", settings.bind.name().into());
    put(&mut form, "auth.mode", settings.auth.mode().name().into());
    // Where none is made yet there is none that the one sent could be held against.
    let made = match config.token {
        Token::Generate => {
            let file = config.token_file();
            file.exists().then(|| token::made(&file).ok()).flatten()
        }
        Token::Given | Token::Unused => None,
    };
    if let Some(secret) = made.as_ref().or(settings.auth.token.as_ref()) {
        put(&mut form, "auth.token", sent(secret).into());
    }
    if let Some(secret) = &settings.auth.password {
        put(&mut form, "auth.password", sent(secret).into());
    }
    if config.says("compatibility") {
        put(&mut form, "compatibility", json!(settings.compatibility));
    }
    form
}

/// Puts a value at a dotted key.
fn put(form: &mut Value, key: &str, value: Value) {
    let mut place = form;
    for part in key.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Some(object) = place.as_object_mut() else {
            return;
        };
        place = object.entry(part).or_insert(Value::Null);
    }
    *place = value;
}

/// A value as it is shown, as JSON.
fn value(shown: &Shown) -> Value {
    let list = shown.value.strip_prefix('[');
    if let Some(list) = list.and_then(|list| list.strip_suffix(']')) {
        let items = list.split(", ").filter(|item| !item.is_empty());
        return items.map(Value::from).collect();
    }
    match (shown.value.parse::<bool>(), shown.value.parse::<u64>()) {
        (Ok(switch), _) => switch.into(),
        (_, Ok(number)) => number.into(),
        (_, _) => shown.value.as_str().into(),
    }
}

/// What is remembered of the device, where something is.
fn pairing(
    config: &Config,
    seen: &Seen,
    sent: &dyn Fn(&Secret) -> String,
    output: &mut Output,
) -> Option<Value> {
    let device = seen.connect.pointer("/params/device/id")?.as_str()?;
    let file = config.devices_file();
    if !file.exists() {
        return None;
    }
    let loaded = Sqlite::open(&file, Limits::default())
        .map_err(|error| format!("{error}: {}", error.remedy()))
        .and_then(|store| store.load(device).map_err(|error| error.to_string()));
    let (standing, _) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            output.complain(&format!(
                "warning: what is remembered of the device is left out: {error}\n"
            ));
            return None;
        }
    };
    let Standing {
        record, pending, ..
    } = &*standing;
    let mut pairing = Map::new();
    if let Some(record) = record {
        pairing.insert("record".to_owned(), stored(record, sent));
    }
    if let Some(pending) = pending {
        pairing.insert("pending".to_owned(), json!(pending));
    }
    Some(pairing.into())
}

/// A record with the secrets of its tokens, where the client sent them.
fn stored(record: &Record, sent: &dyn Fn(&Secret) -> String) -> Value {
    let mut form = json!(record);
    let tokens = record.tokens.iter().flatten().map(|(role, token)| {
        let mut kept = json!(token);
        put(&mut kept, "token", sent(&token.token).into());
        (role.to_string(), kept)
    });
    let tokens: Map<String, Value> = tokens.collect();
    if record.tokens.is_some() {
        put(&mut form, "tokens", tokens.into());
    }
    form
}
