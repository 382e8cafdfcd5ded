//! What a client says of itself, with the credentials it sent. Nothing of it is believed yet.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::facts::{Client, Mode, Role, Text};
use crate::secret::Secret;
use crate::settings::Settings;

/// What a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `client.id`.
    pub client: Client,
    /// `client.mode`.
    pub mode: Mode,
    /// The role it asks for.
    pub role: Role,
    /// The scopes it asks for, as sent.
    pub scopes: Arc<[Box<str>]>,
    /// `client.platform`, as sent.
    pub platform: Text,
    /// `client.deviceFamily`, as sent.
    pub device_family: Option<Text>,
    /// The device it says it is.
    pub device: Option<DeviceClaim>,
    /// The secrets it sent.
    pub credentials: Credentials,
}

impl Claims {
    /// The claims without what the operator has passed over: the device of a dashboard or of
    /// the terminal interface.
    #[must_use]
    pub fn looked_at(&self, settings: &Settings) -> Cow<'_, Claims> {
        let passed_over = settings.compatibility.discard_flagged_device
            && settings.control_ui.dangerously_disable_device_auth
            && matches!(self.client, Client::ControlUi | Client::Tui);
        match passed_over && self.device.is_some() {
            true => Cow::Owned(Claims {
                device: None,
                ..self.clone()
            }),
            false => Cow::Borrowed(self),
        }
    }
}

/// The device a client says it is, with its proof.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceClaim {
    /// `device.id`: SHA-256 of the raw public key in lower-case hex, if it is true.
    pub id: Text,
    /// `device.publicKey`: Ed25519, in base64url, base64 or PEM.
    pub public_key: Text,
    /// `device.signature`: Ed25519 over [`super::device::payload`], in base64url or base64.
    pub signature: Box<str>,
    /// `device.signedAt`, in Unix milliseconds.
    pub signed_at_ms: u64,
    /// `device.nonce`: the challenge it answers.
    pub nonce: Box<str>,
}

/// Says which device; its signature is good until the proof is too old.
impl fmt::Debug for DeviceClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceClaim")
            .field("id", &self.id)
            .field("public_key", &self.public_key)
            .field("signed_at_ms", &self.signed_at_ms)
            .finish_non_exhaustive()
    }
}

/// The secrets that a client sent. A blank one counts as not sent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    token: Option<Secret>,
    password: Option<Secret>,
    device_token: Option<Secret>,
    bootstrap_token: Option<Secret>,
    shared: bool,
    signed: Box<str>,
}

impl Credentials {
    /// Takes the secrets as they were sent.
    #[must_use]
    pub fn new(
        token: Option<&str>,
        password: Option<&str>,
        device_token: Option<&str>,
        bootstrap_token: Option<&str>,
    ) -> Self {
        let secret = |text: Option<&str>| text.map(Secret::new).filter(|secret| !secret.is_blank());
        Credentials {
            token: secret(token),
            password: secret(password),
            device_token: secret(device_token),
            bootstrap_token: secret(bootstrap_token),
            shared: [token, password]
                .into_iter()
                .flatten()
                .any(|text| !text.is_empty()),
            signed: token
                .or(device_token)
                .or(bootstrap_token)
                .unwrap_or_default()
                .into(),
        }
    }

    /// The same without the shared secret in either field, to suppose that it was not sent.
    #[must_use]
    pub(crate) fn without_shared(&self) -> Self {
        Credentials {
            token: None,
            password: None,
            shared: false,
            ..self.clone()
        }
    }

    /// `auth.token`.
    #[must_use]
    pub fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// `auth.password`.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// `auth.deviceToken`.
    #[must_use]
    pub fn device_token(&self) -> Option<&Secret> {
        self.device_token.as_ref()
    }

    /// `auth.bootstrapToken`.
    #[must_use]
    pub fn bootstrap_token(&self) -> Option<&Secret> {
        self.bootstrap_token.as_ref()
    }

    /// Whether `auth.token` or `auth.password` was sent with anything in it. White space is
    /// something here: a client that sends it meant to send a secret.
    #[must_use]
    pub fn sent_shared(&self) -> bool {
        self.shared
    }

    /// The one that a device signs: the first that was sent of token, device token and
    /// bootstrap token, blank or not, with its white space.
    pub(super) fn signed(&self) -> &str {
        &self.signed
    }
}

/// Says which were sent.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("token", &self.token)
            .field("password", &self.password)
            .field("device_token", &self.device_token)
            .field("bootstrap_token", &self.bootstrap_token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_was_sent_is_signed() {
        let signed = |token, device, bootstrap| {
            Credentials::new(token, Some("p"), device, bootstrap)
                .signed()
                .to_owned()
        };
        assert_eq!(signed(Some(" t "), Some("d"), Some("b")), " t ");
        assert_eq!(
            signed(Some(""), Some("d"), Some("b")),
            "",
            "sent, though blank"
        );
        assert_eq!(signed(None, Some("d"), Some("b")), "d");
        assert_eq!(signed(None, None, None), "", "a password is never signed");
    }

    #[test]
    fn white_space_is_sent_but_is_no_secret() {
        let sent = |token, password| {
            let sent = Credentials::new(token, password, Some("d"), Some("b"));
            (sent.sent_shared(), sent.token().is_some())
        };
        assert_eq!(sent(None, None), (false, false));
        assert_eq!(sent(Some(""), Some("")), (false, false));
        assert_eq!(sent(Some(" "), None), (true, false));
        assert_eq!(sent(None, Some("p")), (true, false));
        assert_eq!(sent(Some("t"), None), (true, true));
    }

    #[test]
    fn credentials_are_not_shown() {
        let shown = format!(
            "{:?}",
            Credentials::new(Some("s3cret"), Some("s3cret"), None, Some(" "))
        );
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
