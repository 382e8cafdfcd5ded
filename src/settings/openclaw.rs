//! The `gateway` part of an OpenClaw configuration, as settings.
//!
//! Only what an admission depends on is taken over; the rest is named, so that nothing is
//! passed over in silence. What cannot be read is named by its place and by what belongs there;
//! no value is repeated, since any may be a secret.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Compatibility, Settings};

/// What is taken over, as paths; a path that ends in an object takes all of it.
const TAKEN: &[&[&str]] = &[
    &["bind"],
    &["auth", "mode"],
    &["auth", "token"],
    &["auth", "password"],
    &["auth", "allowTailscale"],
    &["auth", "rateLimit"],
    &["auth", "trustedProxy"],
    &["trustedProxies"],
    &["allowRealIpFallback"],
    &["controlUi", "allowedOrigins"],
    &["controlUi", "allowInsecureAuth"],
    &["controlUi", "dangerouslyDisableDeviceAuth"],
    &["controlUi", "dangerouslyAllowHostHeaderOriginFallback"],
    &["nodes", "pairing", "autoApproveLocal"],
    &["nodes", "pairing", "autoApproveCidrs"],
];

/// What may stand in the objects that are taken: other names are not repeated, as values are not.
const FIELDS: &[&str] = &[
    "allowLoopback",
    "allowUsers",
    "exemptLoopback",
    "lockoutMs",
    "maxAttempts",
    "requiredHeaders",
    "userHeader",
    "windowMs",
];

/// What a gateway has besides, by its first names; with one of these it is a `gateway` part.
const OTHERS: &[&str] = &[
    "customBindHost",
    "http",
    "mode",
    "port",
    "reload",
    "remote",
    "tailscale",
    "tls",
];

/// The port of a gateway that is told none.
const PORT: u64 = 18_789;

/// Settings, with what of the configuration is not part of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The settings.
    pub settings: Settings,
    /// JSON pointers of what was left out, in the order of the configuration.
    pub left_out: Vec<String>,
}

/// Why a configuration cannot be taken over. Nothing of its values is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{expected} is expected", .pointer, if .pointer.is_empty() { "" } else { ": " })]
pub struct ImportError {
    /// JSON pointer to what is wrong; to what is around it, where its name is not known.
    pub pointer: String,
    /// What belongs there.
    pub expected: String,
}

impl ImportError {
    fn at(pointer: &str, expected: &str) -> Self {
        ImportError {
            pointer: pointer.to_owned(),
            expected: expected.to_owned(),
        }
    }
}

/// For whoever reports it together with what serde says.
impl From<ImportError> for serde_json::Error {
    fn from(error: ImportError) -> Self {
        serde::de::Error::custom(error)
    }
}

/// Turns a `gateway` block into settings, to be read as the given release reads it.
///
/// # Errors
///
/// [`ImportError`] for the first value that has another type or another word, and for what is no
/// `gateway` block, such as the whole configuration.
pub fn import(gateway: &Value, compatibility: Compatibility) -> Result<Imported, ImportError> {
    if !is_gateway(gateway) {
        return Err(ImportError::at(
            "",
            "the `gateway` part of a configuration, and not the whole of it,",
        ));
    }
    let mut taken = Value::Object(Map::new());
    for path in TAKEN {
        if let Some(value) = path.iter().try_fold(gateway, |at, name| at.get(name)) {
            let part = |value: &Value| {
                let mut part = Value::Object(Map::new());
                put(&mut part, path, value.clone());
                serde_json::from_value::<Settings>(part)
                    .err()
                    .map(|error| error.to_string())
            };
            if let Some(said) = part(value) {
                let mut pointer = format!("/{}", path.join("/"));
                let said = blamed(value, said, &part, &mut pointer);
                return Err(ImportError::at(&pointer, &expectation(&said)));
            }
            put(&mut taken, path, value.clone());
        }
    }
    if let Some(origins) = seeded_origins(gateway) {
        put(&mut taken, &["controlUi", "allowedOrigins"], origins);
    }
    let mut left_out = Vec::new();
    untaken(gateway, &mut Vec::new(), &mut left_out);
    let settings: Settings = serde_json::from_value(taken)
        .map_err(|error| ImportError::at("", &expectation(&error.to_string())))?;
    Ok(Imported {
        settings: Settings {
            compatibility,
            ..settings
        },
        left_out,
    })
}

/// Whether it may be a `gateway` block: an empty one, or one with a name of those.
fn is_gateway(value: &Value) -> bool {
    let Value::Object(map) = value else {
        return false;
    };
    let taken = TAKEN.iter().any(|path| {
        path.iter()
            .try_fold(value, |at, name| at.get(name))
            .is_some()
    });
    let other = OTHERS.iter().any(|name| map.contains_key(*name));
    map.is_empty() || (taken || other) && !map.contains_key("gateway")
}

/// Goes down to the part of a value that is wrong, and returns what is said of it. `wrong` says
/// what is wrong of the whole, were this its value.
fn blamed(
    value: &Value,
    said: String,
    wrong: &dyn Fn(&Value) -> Option<String>,
    pointer: &mut String,
) -> String {
    match value {
        // A field is to blame where something else is said without it.
        Value::Object(map) => {
            let known = |(name, _): &(&String, &Value)| FIELDS.contains(&name.as_str());
            for (name, inner) in map.iter().filter(known) {
                let with = |inner: Option<&Value>| {
                    let mut map = map.clone();
                    match inner {
                        Some(inner) => map.insert(name.clone(), inner.clone()),
                        None => map.remove(name),
                    };
                    wrong(&Value::Object(map))
                };
                if with(None).as_ref() != Some(&said) {
                    let _ = write!(pointer, "/{name}");
                    return blamed(inner, said, &|inner| with(Some(inner)), pointer);
                }
            }
            said
        }
        Value::Array(elements) if wrong(&Value::Array(Vec::new())).is_none() => {
            for (at, element) in elements.iter().enumerate() {
                let alone = |element: &Value| wrong(&Value::Array(vec![element.clone()]));
                if let Some(said) = alone(element) {
                    let _ = write!(pointer, "/{at}");
                    return blamed(element, said, &alone, pointer);
                }
            }
            said
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            said
        }
    }
}

/// A name as a step of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What serde expects; it says so last, after the value.
fn expectation(said: &str) -> String {
    if let Some(field) = said.strip_prefix("missing field ") {
        return format!("the field {field}");
    }
    let expected = said.rsplit_once(", expected ").map(|(_, rest)| rest);
    let expected = match expected.unwrap_or("another value") {
        "a string" => "a text",
        "a sequence" => "a list of texts",
        "a boolean" => "`true` or `false`",
        "string or map" | "map with a single key" | "unit" | "unit variant" => "a word",
        "i64" => "a whole number",
        "u32" => "a whole number from 0 to 4294967295",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    match said.starts_with("unknown field") {
        true => format!("no field but {expected}"),
        false => expected.to_owned(),
    }
}

/// The origins that a gateway beyond loopback allows when none are configured: its own port,
/// as seen from its own host (`start/lan-no-origins`).
fn seeded_origins(gateway: &Value) -> Option<Value> {
    let setting = |pointer: &str| gateway.pointer(pointer);
    let local = setting("/bind").is_none_or(|bind| bind == "loopback");
    let by_host = setting("/controlUi/dangerouslyAllowHostHeaderOriginFallback");
    if local || setting("/controlUi/allowedOrigins").is_some() || by_host == Some(&true.into()) {
        return None;
    }
    let port = setting("/port").and_then(Value::as_u64).unwrap_or(PORT);
    let origins = ["localhost", "127.0.0.1"].map(|host| format!("http://{host}:{port}"));
    Some(origins.to_vec().into())
}

fn put(into: &mut Value, path: &[&str], value: Value) {
    let Some((name, rest)) = path.split_first() else {
        *into = value;
        return;
    };
    if let Value::Object(map) = into {
        let slot = map
            .entry((*name).to_owned())
            .or_insert_with(|| Value::Object(Map::new()));
        put(slot, rest, value);
    }
}

/// Collects what lies on no taken path.
fn untaken<'a>(value: &'a Value, path: &mut Vec<&'a str>, left_out: &mut Vec<String>) {
    if TAKEN.contains(&path.as_slice()) {
        return;
    }
    let leads_further = TAKEN.iter().any(|taken| taken.starts_with(path));
    match value {
        Value::Object(map) if leads_further => {
            for (name, value) in map {
                path.push(name);
                untaken(value, path, left_out);
                path.pop();
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            left_out.push(path.iter().fold(String::new(), |mut pointer, name| {
                let _ = write!(pointer, "/{}", escaped(name));
                pointer
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::AuthMode;

    #[test]
    fn what_an_admission_depends_on_is_taken_and_the_rest_is_named() {
        let gateway = json!({
            "port": 18789, "bind": "lan", "tls": { "enabled": true },
            "auth": { "mode": "password", "password": "test-password-not-a-secret",
                "rateLimit": { "maxAttempts": 3 } },
            "controlUi": { "basePath": "/ui", "allowedOrigins": ["https://ui.example.com"] },
            "nodes": { "pairing": { "autoApproveLocal": false } },
        });
        let imported = import(&gateway, Compatibility::default()).unwrap();
        assert_eq!(imported.left_out, ["/controlUi/basePath", "/port", "/tls"]);
        let settings = imported.settings;
        assert_eq!(settings.auth.mode(), AuthMode::Password);
        assert_eq!(settings.auth.rate_limit.unwrap().max_attempts, 3);
        assert!(!settings.nodes.pairing.auto_approve_local);
        assert!(settings.problems().is_empty());
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_and_what_belongs_there() {
        let words = "one of `none`, `password`, `token`, `trusted-proxy`";
        let binds = "one of `auto`, `custom`, `lan`, `loopback`, `tailnet`";
        let limits = "no field but one of `maxAttempts`, `windowMs`, `lockoutMs`, `exemptLoopback`";
        let number = "a whole number";
        let count = "a whole number from 0 to 4294967295";
        let flag = "`true` or `false`";
        for (gateway, pointer, expected) in [
            (json!({ "bind": "S3CRET" }), "/bind", binds),
            (
                json!({ "bind": { "S3CRET": 1, "lan": 2 } }),
                "/bind",
                "a word",
            ),
            (json!({ "bind": 5 }), "/bind", "a word"),
            (
                json!({ "auth": { "mode": "S3CRET, expected x" } }),
                "/auth/mode",
                words,
            ),
            (
                json!({ "auth": { "password": 12_345_678 } }),
                "/auth/password",
                "a text",
            ),
            (
                json!({ "auth": { "token": ["S3CRET"] } }),
                "/auth/token",
                "a text",
            ),
            (
                json!({ "auth": { "allowTailscale": "S3CRET, expected x" } }),
                "/auth/allowTailscale",
                flag,
            ),
            (
                json!({ "auth": { "rateLimit": "S3CRET" } }),
                "/auth/rateLimit",
                "an object",
            ),
            (
                json!({ "auth": { "rateLimit": { "S3CRET": 1 } } }),
                "/auth/rateLimit",
                limits,
            ),
            (
                json!({ "auth": { "rateLimit": { "windowMs": "S3CRET" } } }),
                "/auth/rateLimit/windowMs",
                number,
            ),
            (
                json!({ "auth": { "rateLimit": { "maxAttempts": -7 } } }),
                "/auth/rateLimit/maxAttempts",
                count,
            ),
            (
                json!({ "auth": { "trustedProxy": {} } }),
                "/auth/trustedProxy",
                "the field `userHeader`",
            ),
            (
                json!({ "auth": { "trustedProxy": { "userHeader": 12_345_678 } } }),
                "/auth/trustedProxy/userHeader",
                "a text",
            ),
            (
                json!({ "auth": { "trustedProxy": { "userHeader": "x", "allowUsers": ["a", 12_345_678, "b"] } } }),
                "/auth/trustedProxy/allowUsers/1",
                "a text",
            ),
            (
                json!({ "trustedProxies": ["a", ["S3CRET"], 12_345_678] }),
                "/trustedProxies/1",
                "a text",
            ),
            (
                json!({ "trustedProxies": "S3CRET" }),
                "/trustedProxies",
                "a list of texts",
            ),
        ] {
            let error = import(&gateway, Compatibility::default()).unwrap_err();
            assert_eq!(error, ImportError::at(pointer, expected), "{gateway}");
            let told = format!("{error} {error:?}");
            assert!(
                !told.contains("S3CRET") && !told.contains("12345678"),
                "{told}"
            );
            assert_eq!(
                error.to_string(),
                format!("{pointer}: {expected} is expected")
            );
        }
    }

    #[test]
    fn the_whole_configuration_is_no_gateway_part() {
        let auth = json!({ "mode": "token", "token": "test-token-not-a-secret" });
        for whole in [
            json!({ "gateway": { "auth": auth } }),
            json!({ "gateway": {}, "auth": auth }),
            json!({ "agents": {}, "auth": { "profiles": {} } }),
            json!({ "binds": "lan" }),
            json!([]),
            json!("lan"),
            json!(null),
        ] {
            let error = import(&whole, Compatibility::default()).unwrap_err();
            assert!(error.to_string().contains("the `gateway` part"), "{error}");
            assert!(!error.to_string().contains("test-token"), "{error}");
        }
        for part in [
            json!({}),
            json!({ "port": 1 }),
            json!({ "tls": {}, "bind": "lan" }),
        ] {
            import(&part, Compatibility::default()).unwrap();
        }
        let imported = import(&json!({ "port": 1, "a/b": 2 }), Compatibility::default());
        assert_eq!(imported.unwrap().left_out, ["/a~1b", "/port"]);
    }
}
