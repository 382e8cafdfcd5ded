//! The connect frame of a client, as the gateway sends it on: in the client's words, with the
//! upstream's secret, the scopes of the decision and another device.

use serde_json::{Map, Value, json};

use super::upstream::Login;
use crate::auth::claims::{Claims, Credentials};
use crate::client::Device;
use crate::facts::{Client, Mode, Role};

/// The id of the request.
pub(super) const ID: &str = "connect";

/// Fields of `auth` that a gateway makes for its own helpers: nothing is let in by them alone.
const OF_HELPERS: [&str; 2] = ["approvalRuntimeToken", "agentRuntimeIdentityToken"];

/// What a client said, and what it was granted.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    /// The parameters of its connect frame.
    pub params: &'a Map<String, Value>,
    /// What it is, as it was decided.
    pub client: Client,
    /// In which mode.
    pub mode: Mode,
    /// Its role.
    pub role: Role,
    /// The scopes of its session.
    pub scopes: &'a [Box<str>],
}

/// The frame for a challenge.
pub(super) fn frame(
    granted: &Granted<'_>,
    login: &Login,
    device: &Device,
    nonce: &str,
    now_ms: u64,
) -> Value {
    let said = |place: &str| {
        let client = granted.params.get("client");
        client
            .and_then(|client| client.get(place))
            .and_then(Value::as_str)
    };
    let (token, password) = match login {
        Login::None => (None, None),
        Login::Token(token) => (Some(token.expose()), None),
        Login::Password(password) => (None, Some(password.expose())),
    };
    let mut claims = Claims {
        client: granted.client,
        mode: granted.mode,
        role: granted.role,
        scopes: granted.scopes.into(),
        platform: said("platform").unwrap_or_default().into(),
        device_family: said("deviceFamily").map(Into::into),
        device: None,
        credentials: Credentials::new(token, password, None, None),
    };
    let proof = device.proof(&claims, nonce, now_ms);
    claims.device = None;
    let mut params = granted.params.clone();
    let mut auth = Map::new();
    let helpers = params.get("auth").and_then(Value::as_object);
    for name in OF_HELPERS {
        if let Some(value) = helpers.and_then(|auth| auth.get(name)) {
            auth.insert(name.to_owned(), value.clone());
        }
    }
    for (name, secret) in [("token", token), ("password", password)] {
        if let Some(secret) = secret {
            auth.insert(name.to_owned(), secret.into());
        }
    }
    params.remove("auth");
    if !auth.is_empty() {
        params.insert("auth".to_owned(), auth.into());
    }
    params.insert("scopes".to_owned(), json!(granted.scopes));
    params.insert(
        "device".to_owned(),
        json!({
            "id": proof.id,
            "publicKey": proof.public_key,
            "signature": proof.signature,
            "signedAt": proof.signed_at_ms,
            "nonce": proof.nonce,
        }),
    );
    json!({ "type": "req", "id": ID, "method": "connect", "params": params })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{Root, Who};
    use crate::secret::Secret;
    use crate::settings::Compatibility;
    use crate::wire::{Schema, connect};

    /// The upstream checks it as this gateway would, and finds nothing of the client's secrets.
    #[test]
    fn it_is_sent_on_without_the_secrets_of_the_client() {
        let sent = json!({
            "minProtocol": 3, "maxProtocol": 4,
            "client": { "id": "cli", "mode": "cli", "platform": "linux", "version": "1" },
            "scopes": ["operator.read", "operator.admin"],
            "caps": ["tool-events"],
            "auth": { "token": "ours", "deviceToken": "ours too", "approvalRuntimeToken": "made" },
            "device": { "id": "of the client" },
        });
        let scopes = ["operator.read".into()];
        let granted = Granted {
            params: sent.as_object().unwrap(),
            client: Client::Cli,
            mode: Mode::Cli,
            role: Role::Operator,
            scopes: &scopes,
        };
        let who = Who {
            device: Some("of the client"),
            client: Client::Cli,
            role: Role::Operator,
            scopes: &scopes,
        };
        let device = Root::new(Secret::new("secret")).device(&who).unwrap();
        let login = Login::Token(Secret::new("theirs"));
        let frame = frame(&granted, &login, &device, "nonce", 1_000);
        let rules = Compatibility::default();
        let read = connect::parse(&frame, &Schema::of(&rules)).unwrap();
        let claims = read.claims();
        let proof = crate::auth::device::prove(claims, "nonce", 1_000, 10);
        assert_eq!(proof, crate::facts::DeviceProof::Proven);
        assert_eq!(*claims.scopes, scopes);
        assert_eq!(frame.pointer("/params/caps"), sent.get("caps"));
        assert_eq!(
            frame.pointer("/params/auth"),
            Some(&json!({ "token": "theirs", "approvalRuntimeToken": "made" }))
        );
        let text = frame.to_string();
        assert!(
            !text.contains("ours") && !text.contains("of the client"),
            "{text}"
        );
        assert!(
            frame.pointer("/params/role").is_none(),
            "only what was sent"
        );
    }
}
