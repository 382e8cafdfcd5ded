//! The gateway's own key: made once, kept in the state folder, and told to clients that ask who
//! it is. It proves nothing yet: nobody is asked to trust it.

use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::token::{self, Made};
use crate::pairing::key::PublicKey;

/// The name of its file in the state folder.
pub const FILE: &str = "identity.key";

const KEY: Made = Made {
    name: "the gateway's own key",
    anew: "put a copy of it back, or remove the file: another one is made, and whoever knows the \
           gateway by its id takes it for another one",
};

/// The public half of the key that is kept in a state folder; it is made when there is none.
///
/// # Errors
///
/// A sentence with the path and what to do, as of [`token::made_as`]; the file holds 32 bytes in
/// base64url.
pub fn identity(state: &Path) -> Result<PublicKey, String> {
    let path = state.join(FILE);
    let seed = token::made_as(&path, KEY)?;
    let key = URL_SAFE_NO_PAD
        .decode(seed.expose())
        .ok()
        .and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok());
    key.and_then(|key| PublicKey::parse(&URL_SAFE_NO_PAD.encode(key.public_key())))
        .ok_or_else(|| format!("{} in {} is no key: {}", KEY.name, path.display(), KEY.anew))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is told as what it is: nobody comes in by it, and no token is lost with it.
    #[test]
    fn one_that_is_damaged_is_told_as_the_gateway_s_own_key() {
        for damaged in ["", "abc", "no key of 32 bytes in base64url"] {
            let folder = tempfile::tempdir().unwrap();
            token::keep(
                &folder.path().join(FILE),
                &crate::secret::Secret::new(damaged),
            )
            .unwrap();
            let error = identity(folder.path()).unwrap_err();
            assert!(
                error.starts_with("the gateway's own key in ") && !error.contains("token"),
                "{error}"
            );
            assert!(error.contains("put a copy of it back"), "{error}");
        }
    }

    #[test]
    fn it_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let first = identity(folder.path()).unwrap();
        let again = identity(folder.path()).unwrap();
        assert_eq!(first.device_id(), again.device_id());
        assert_eq!(first.device_id().len(), 64);
        std::fs::remove_file(folder.path().join(FILE)).unwrap();
        let other = identity(folder.path()).unwrap();
        assert_ne!(first.device_id(), other.device_id());
    }
}
