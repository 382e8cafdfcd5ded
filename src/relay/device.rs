//! The device that a client is upstream: a key made of a secret of the gateway and of who the
//! client is, so that it is the same one each time and kept nowhere.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::client::Device;
use crate::facts::{Client, Role};
use crate::secret::Secret;

/// What keys of this kind are told apart by from whatever else is made of the secret.
const SALT: &[u8] = b"gw upstream device 1";

/// The secret that devices are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(Secret);

/// Who a client is to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who<'a> {
    /// Its device, if it has proven one.
    pub device: Option<&'a str>,
    /// `client.id`.
    pub client: Client,
    /// Its role.
    pub role: Role,
    /// The scopes that it has here.
    pub scopes: &'a [Box<str>],
}

impl Root {
    /// Of a secret with as much chance in it as a key has.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Root(secret)
    }

    /// The device of a client.
    ///
    /// A node is known upstream by its device, so that nothing else of it counts. An operator has
    /// another device for each client and each set of scopes: what one of them was granted there
    /// is not what another one has.
    ///
    /// Nothing only when the cryptography fails.
    #[must_use]
    pub fn device(&self, who: &Who<'_>) -> Option<Device> {
        let mut info = Vec::new();
        let mut put = |text: &str| {
            info.extend_from_slice(&(text.len() as u64).to_be_bytes());
            info.extend_from_slice(text.as_bytes());
        };
        put(who.role.name());
        match who.device {
            Some(device) => put(device),
            // No device has an id like that.
            None => put("none"),
        }
        if who.role != Role::Node {
            put(who.client.name());
            let mut scopes: Vec<&str> = who.scopes.iter().map(|scope| &**scope).collect();
            scopes.sort_unstable();
            scopes.dedup();
            scopes.into_iter().for_each(&mut put);
        }
        let mut seed = [0; 32];
        Salt::new(HKDF_SHA256, SALT)
            .extract(self.0.expose().as_bytes())
            .expand(&[&info], HKDF_SHA256)
            .and_then(|key| key.fill(&mut seed))
            .ok()?;
        Device::from_seed(&Secret::new(&URL_SAFE_NO_PAD.encode(seed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(who: &Who<'_>) -> String {
        let root = Root::new(Secret::new("0123456789abcdef0123456789abcdef"));
        root.device(who).unwrap().id().to_owned()
    }

    #[test]
    fn who_is_the_same_is_the_same_device() {
        let scopes = |names: &[&str]| names.iter().map(|&name| name.into()).collect::<Vec<_>>();
        let (read, both, turned) = (
            scopes(&["operator.read"]),
            scopes(&["operator.read", "operator.write"]),
            scopes(&["operator.write", "operator.read"]),
        );
        let cli = Who {
            device: Some("a"),
            client: Client::Cli,
            role: Role::Operator,
            scopes: &both,
        };
        assert_eq!(
            id(&cli),
            id(&Who {
                scopes: &turned,
                ..cli
            })
        );
        for other in [
            Who {
                scopes: &read,
                ..cli
            },
            Who {
                device: Some("b"),
                ..cli
            },
            Who {
                device: None,
                ..cli
            },
            Who {
                client: Client::ControlUi,
                ..cli
            },
            Who {
                role: Role::Node,
                ..cli
            },
        ] {
            assert_ne!(id(&cli), id(&other), "{other:?}");
        }
        let node = Who {
            role: Role::Node,
            ..cli
        };
        let same = Who {
            scopes: &read,
            client: Client::NodeHost,
            ..node
        };
        assert_eq!(id(&node), id(&same));
        let other_root = Root::new(Secret::new("another secret of thirty-two byt"));
        assert_ne!(other_root.device(&cli).unwrap().id(), id(&cli));
    }
}
