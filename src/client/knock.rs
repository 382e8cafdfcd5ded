//! What a client says and asks at the door: its connect frame, and the same with its secrets
//! covered.

use serde_json::{Map, Value, json};

use super::device::Device;
use crate::auth::claims::{Claims, Credentials, DeviceClaim};
use crate::auth::device::{PayloadVersion, payload};
use crate::facts::{Client, Mode, Role};
use crate::secret::Secret;
use crate::wire::connect::GATEWAY_ONLY;

/// The id of the request.
pub(super) const ID: &str = "connect";

/// What stands in the place of a secret.
const COVERED: &str = "•••";

/// What a client says and asks.
#[derive(Clone, Debug)]
pub struct Knock {
    /// `client.id`.
    pub client: Client,
    /// `client.mode`.
    pub mode: Mode,
    /// `client.displayName`, as it is.
    pub display_name: Option<Box<str>>,
    /// The role that is asked for.
    pub role: Role,
    /// The scopes that are asked for.
    pub scopes: Vec<Box<str>>,
    /// The shared token.
    pub token: Option<Secret>,
    /// The shared password.
    pub password: Option<Secret>,
    /// Whether it has to do with the gateway alone, also where there is a server behind it.
    pub gateway_only: bool,
}

impl Default for Knock {
    fn default() -> Self {
        Knock {
            client: Client::Cli,
            mode: Mode::Cli,
            display_name: None,
            role: Role::Operator,
            scopes: Vec::new(),
            token: None,
            password: None,
            gateway_only: false,
        }
    }
}

/// The name of this system, as clients in JavaScript say it.
const fn platform() -> &'static str {
    if cfg!(target_os = "macos") {
        "darwin"
    } else if cfg!(windows) {
        "win32"
    } else {
        std::env::consts::OS
    }
}

/// A connect frame that was made, with its secrets.
pub(super) struct Framed {
    params: Map<String, Value>,
    claims: Claims,
}

impl Knock {
    /// The request as it is sent, with its secrets; `device` proves itself for the challenge whose
    /// nonce this is.
    #[must_use]
    pub fn request(&self, device: Option<&Device>, nonce: &str, now_ms: u64) -> Value {
        self.framed(device, nonce, now_ms).request()
    }

    /// The connect frame; `device` proves itself for the challenge.
    pub(super) fn framed(&self, device: Option<&Device>, nonce: &str, now_ms: u64) -> Framed {
        let exposed = |secret: &Option<Secret>| secret.as_ref().map(|it| it.expose().to_owned());
        let (token, password) = (exposed(&self.token), exposed(&self.password));
        let mut claims = Claims {
            client: self.client,
            mode: self.mode,
            role: self.role,
            scopes: (&*self.scopes).into(),
            platform: platform().into(),
            device_family: None,
            device: None,
            credentials: Credentials::new(token.as_deref(), password.as_deref(), None, None),
        };
        claims.device = device.map(|device| device.proof(&claims, nonce, now_ms));
        let mut client = json!({
            "id": self.client.name(),
            "version": env!("CARGO_PKG_VERSION"),
            "platform": platform(),
            "mode": self.mode.name(),
        });
        if let (Some(name), Some(client)) = (&self.display_name, client.as_object_mut()) {
            client.insert("displayName".to_owned(), name.as_ref().into());
        }
        let mut params = Map::new();
        let mut put = |name: &str, value: Value| params.insert(name.to_owned(), value);
        put("minProtocol", 3.into());
        put("maxProtocol", 4.into());
        put("client", client);
        put("role", self.role.name().into());
        put("scopes", json!(self.scopes));
        if self.gateway_only {
            put("caps", json!([GATEWAY_ONLY]));
        }
        let mut auth = Map::new();
        for (name, secret) in [("token", token), ("password", password)] {
            if let Some(secret) = secret {
                auth.insert(name.to_owned(), secret.into());
            }
        }
        if !auth.is_empty() {
            put("auth", auth.into());
        }
        if let Some(device) = &claims.device {
            put("device", sent(device));
        }
        Framed { params, claims }
    }
}

fn sent(device: &DeviceClaim) -> Value {
    json!({
        "id": device.id,
        "publicKey": device.public_key,
        "signature": device.signature,
        "signedAt": device.signed_at_ms,
        "nonce": device.nonce,
    })
}

impl Framed {
    /// The request that is sent.
    pub(super) fn request(&self) -> Value {
        json!({ "type": "req", "id": ID, "method": "connect", "params": self.params })
    }

    /// The same for people: without secrets and without the signature.
    pub(super) fn covered(&self) -> Value {
        let mut params: Value = self.params.clone().into();
        for place in ["/auth/token", "/auth/password", "/device/signature"] {
            if let Some(secret) = params.pointer_mut(place) {
                *secret = COVERED.into();
            }
        }
        params
    }

    /// What the device signed, without the token in it.
    pub(super) fn signed(&self) -> Option<String> {
        let device = self.claims.device.as_ref()?;
        let has_token = self.claims.credentials.token().is_some();
        let claims = Claims {
            credentials: Credentials::new(has_token.then_some(COVERED), None, None, None),
            ..self.claims.clone()
        };
        Some(payload(PayloadVersion::V3, &claims, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Compatibility;
    use crate::wire::{Schema, connect};

    #[test]
    fn the_frame_is_one_that_a_gateway_reads_and_is_shown_without_secrets() {
        use base64::Engine as _;
        let seed = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([9; 32]);
        let device = Device::from_seed(&Secret::new(&seed)).unwrap();
        let knock = Knock {
            display_name: Some("the host".into()),
            scopes: vec!["operator.read".into()],
            token: Some(Secret::new("s3cret-token")),
            password: Some(Secret::new("s3cret-password")),
            ..Knock::default()
        };
        let framed = knock.framed(Some(&device), "nonce", 5);
        let frame = framed.request();
        let rules = Compatibility::default();
        let schema = Schema::of(&rules);
        assert!(connect::parse(&frame, &schema).is_ok());
        let signature = frame.pointer("/params/device/signature").unwrap();
        let shown = format!("{} {}", framed.covered(), framed.signed().unwrap());
        assert!(shown.contains(COVERED));
        for secret in ["s3cret", signature.as_str().unwrap()] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
