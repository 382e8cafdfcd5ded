//! The `gateway` part of an OpenClaw configuration, as settings.
//!
//! Only what an admission depends on is taken over; the rest is named, so that nothing is
//! passed over in silence.

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

/// Turns a `gateway` block into settings, to be read as the given release reads it.
///
/// # Errors
///
/// What serde says of the first value that has another type or another word.
pub fn import(
    gateway: &Value,
    compatibility: Compatibility,
) -> Result<Imported, serde_json::Error> {
    let mut taken = Value::Object(Map::new());
    for path in TAKEN {
        if let Some(value) = path.iter().try_fold(gateway, |at, name| at.get(name)) {
            put(&mut taken, path, value.clone());
        }
    }
    if let Some(origins) = seeded_origins(gateway) {
        put(&mut taken, &["controlUi", "allowedOrigins"], origins);
    }
    let mut left_out = Vec::new();
    untaken(gateway, &mut Vec::new(), &mut left_out);
    let settings: Settings = serde_json::from_value(taken)?;
    Ok(Imported {
        settings: Settings {
            compatibility,
            ..settings
        },
        left_out,
    })
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
        | Value::Object(_) => left_out.push(format!("/{}", path.join("/"))),
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
    fn what_is_of_another_type_is_refused() {
        let gateway = json!({ "bind": "everywhere" });
        let error = import(&gateway, Compatibility::default()).unwrap_err();
        assert!(error.to_string().contains("everywhere"), "{error}");
    }
}
