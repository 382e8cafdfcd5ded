//! A device that our tools are: a key, the id that belongs to it, and the proof for a challenge.
//! Where the key is kept is not known here.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::auth::claims::{Claims, DeviceClaim};
use crate::auth::device::{PayloadVersion, payload};
use crate::pairing::key::PublicKey;
use crate::secret::Secret;

/// A device with its key.
pub struct Device {
    key: Ed25519KeyPair,
    id: Box<str>,
    public_key: Box<str>,
}

/// Says which device; never the key.
impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Device {
    /// The device of a seed: 32 bytes in base64url. `None` when it is no such text.
    #[must_use]
    pub fn from_seed(seed: &Secret) -> Option<Self> {
        let seed = URL_SAFE_NO_PAD.decode(seed.expose()).ok()?;
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        let public_key: Box<str> = URL_SAFE_NO_PAD.encode(key.public_key()).into();
        let id = PublicKey::parse(&public_key)?.device_id().into();
        Some(Device {
            key,
            id,
            public_key,
        })
    }

    /// Its id: SHA-256 of the public key, in lower-case hex.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it sends to prove that it is here now: `nonce` is that of the challenge. The claims
    /// are those of the connect frame, without a device.
    #[must_use]
    pub fn proof(&self, claims: &Claims, nonce: &str, now_ms: u64) -> DeviceClaim {
        let mut device = DeviceClaim {
            id: (&*self.id).into(),
            public_key: (&*self.public_key).into(),
            signature: Box::default(),
            signed_at_ms: now_ms,
            nonce: nonce.into(),
        };
        let text = payload(PayloadVersion::V3, claims, &device);
        device.signature = URL_SAFE_NO_PAD
            .encode(self.key.sign(text.as_bytes()))
            .into();
        device
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::claims::Credentials;
    use crate::auth::device::prove;
    use crate::facts::{Client, DeviceProof, Mode, Role};

    #[test]
    fn what_it_signs_is_a_proof() {
        let device = Device::from_seed(&Secret::new(&URL_SAFE_NO_PAD.encode([7; 32]))).unwrap();
        let mut claims = Claims {
            client: Client::Cli,
            mode: Mode::Cli,
            role: Role::Operator,
            scopes: ["operator.read".into()].into(),
            platform: "linux".into(),
            device_family: None,
            device: None,
            credentials: Credentials::new(Some("token"), None, None, None),
        };
        claims.device = Some(device.proof(&claims, "nonce", 1_000));
        assert_eq!(prove(&claims, "nonce", 1_000, 10), DeviceProof::Proven);
        assert!(Device::from_seed(&Secret::new("short")).is_none());
        assert_eq!(
            format!("{device:?}"),
            format!("Device {{ id: {:?}, .. }}", device.id())
        );
    }
}
