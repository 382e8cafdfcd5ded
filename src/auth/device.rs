//! The proof of a device: that it holds the key its id is made of, now, on this connection.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use super::claims::{Claims, DeviceClaim};
use crate::facts::DeviceProof;
use crate::facts::metadata::normalize_metadata;
use crate::pairing::key::{PublicKey, decode_base64};

/// The versions of the signed payload that are accepted, the newest first. Version 1 has no
/// nonce, so whoever saw it could send it again: it is not accepted.
pub const VERSIONS: [PayloadVersion; 2] = [PayloadVersion::V3, PayloadVersion::V2];

/// What a device signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadVersion {
    /// Device, client, mode, role, scopes, time, token and nonce.
    V2,
    /// The same with platform and device family.
    V3,
}

/// The text that the device signs: fields with `|` between, as sent. It holds the token that
/// was sent, so it must not be shown.
#[must_use]
pub fn payload(version: PayloadVersion, claims: &Claims, device: &DeviceClaim) -> String {
    let name = match version {
        PayloadVersion::V2 => "v2",
        PayloadVersion::V3 => "v3",
    };
    let text = format!(
        "{name}|{}|{}|{}|{}|{}|{}|{}|{}",
        device.id,
        claims.client,
        claims.mode,
        claims.role,
        claims.scopes.join(","),
        device.signed_at_ms,
        claims.credentials.signed(),
        device.nonce.trim(),
    );
    match version {
        PayloadVersion::V2 => text,
        PayloadVersion::V3 => {
            let platform = normalize_metadata(&claims.platform);
            let family = claims.device_family.as_deref().map(normalize_metadata);
            format!("{text}|{platform}|{}", family.unwrap_or_default())
        }
    }
}

/// Checks the proof against the nonce of this connection's challenge, at `now_ms` in Unix
/// milliseconds; the device may have signed up to `skew_ms` before or after.
///
/// The first check that fails is told, in the protocol's order: id, time, nonce, signature, key.
/// A key for which anybody can sign ([`PublicKey::is_weak`]) proves nothing, though its
/// signature fits.
/// A key of the right id that is no Ed25519 key fails as a signature.
/// Observed: `device-proof/…/pubkey-short`.
#[must_use]
pub fn prove(claims: &Claims, nonce: &str, now_ms: i64, skew_ms: u64) -> DeviceProof {
    let Some(device) = &claims.device else {
        return DeviceProof::Absent;
    };
    let key = PublicKey::parse(&device.public_key);
    let Some(key) = key.filter(|key| device_id(key) == *device.id) else {
        return DeviceProof::IdMismatch;
    };
    if i128::from(now_ms).abs_diff(i128::from(device.signed_at_ms)) > u128::from(skew_ms) {
        return DeviceProof::SignatureStale;
    }
    match device.nonce.trim() {
        "" => return DeviceProof::NonceMissing,
        sent if sent != nonce.trim() => return DeviceProof::NonceMismatch,
        _ => {}
    }
    let Some(signature) = decode_base64(&device.signature) else {
        return DeviceProof::SignatureInvalid;
    };
    let verifier = UnparsedPublicKey::new(&ED25519, key.bytes());
    let fits = |version| {
        verifier
            .verify(payload(version, claims, device).as_bytes(), &signature)
            .is_ok()
    };
    if !VERSIONS.into_iter().any(fits) {
        DeviceProof::SignatureInvalid
    } else if key.is_weak() {
        DeviceProof::PublicKeyInvalid
    } else {
        DeviceProof::Proven
    }
}

/// The id that belongs to a key: SHA-256 in lower-case hex.
#[must_use]
pub fn device_id(key: &PublicKey) -> String {
    key.device_id()
}

#[cfg(test)]
mod tests {
    use super::super::claims::Credentials;
    use super::*;
    use crate::facts::{Client, Mode, Role};

    const NONCE: &str = "11111111-2222-4333-8444-555555555555";
    const NOW: i64 = 1_770_000_000_000;
    const V1: &str =
        "V7SrhlTHfNtGYMlaog7iyx139mwU5sDSXLT6furCJXswYE0cdFusqL1wP1cSnjinaVaqaR8cJhkFbfwmcJ3sAQ";
    const V2: &str =
        "j5a_ZRWgPXhghq9mbmoHXsp8soaPNc81s1DWQx1LQ9PoxiWDxcnx_3DWSqcmMsiheKnGLvDTQiOlSQZTvFKmCw";
    const V3: &str =
        "HvnZuahYRLTXcfEZnavzY0Lj0DIxzDK7R60Tf3_04lK-jJeXrsmkrAvjYgRC8Ys2ERH3E8nAcrhMGbpuUsYADw";
    const V3_NODE: &str =
        "whyrZpQy_56q2gWuyPl03OpgoqF2dz0LgdVLmE4SBqgjKAx_Kx5nVPViU-eR8W7JEwKmIsZs6gtuiwu7whrKBQ";

    /// The vectors of the reference, 3.5: the key of the seed 00 01 … 1f.
    fn claims(signature: &str) -> Claims {
        Claims {
            client: Client::Cli,
            mode: Mode::Cli,
            role: Role::Operator,
            scopes: ["operator.read".into(), "operator.write".into()].into(),
            platform: "Linux ".into(),
            device_family: Some("server".into()),
            device: Some(DeviceClaim {
                id: "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c".into(),
                public_key: "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg".into(),
                signature: signature.into(),
                signed_at_ms: 1_770_000_000_000,
                nonce: NONCE.into(),
            }),
            credentials: Credentials::new(Some("s3cret-token"), None, None, None),
        }
    }

    fn proof(claims: &Claims) -> DeviceProof {
        prove(claims, NONCE, NOW, 120_000)
    }

    fn proof_with(
        signature: &str,
        change: impl FnOnce(&mut Claims, &mut DeviceClaim),
    ) -> DeviceProof {
        let mut claims = claims(signature);
        let mut device = claims.device.take().unwrap();
        change(&mut claims, &mut device);
        claims.device = Some(device);
        proof(&claims)
    }

    #[test]
    fn golden_vectors() {
        assert_eq!(proof(&claims(V3)), DeviceProof::Proven);
        assert_eq!(proof(&claims(V2)), DeviceProof::Proven);
        assert_eq!(proof(&claims(V1)), DeviceProof::SignatureInvalid);
        let node = proof_with(V3_NODE, |claims, _| {
            claims.client = Client::NodeHost;
            claims.mode = Mode::Node;
            claims.role = Role::Node;
            claims.scopes = [].into();
            claims.platform = "".into();
            claims.device_family = None;
            claims.credentials = Credentials::default();
        });
        assert_eq!(node, DeviceProof::Proven);
    }

    #[test]
    fn padding_and_alphabet_do_not_matter() {
        let standard = V3.replace('-', "+").replace('_', "/") + "==";
        assert_eq!(proof(&claims(&standard)), DeviceProof::Proven);
        let padded = proof_with(V3, |_, device| device.nonce = format!(" {NONCE} ").into());
        assert_eq!(padded, DeviceProof::Proven);
    }

    #[test]
    fn the_first_failure_is_told() {
        use DeviceProof::*;
        type Change = fn(&mut Claims, &mut DeviceClaim);
        let rows: [(Change, DeviceProof); 9] = [
            (
                |_, device| device.id = device.id.to_uppercase().into(),
                IdMismatch,
            ),
            (|_, device| device.public_key = "!!!!".into(), IdMismatch),
            (|_, device| device.signed_at_ms -= 120_000, SignatureInvalid),
            (|_, device| device.signed_at_ms -= 120_001, SignatureStale),
            (
                |_, device| (device.signed_at_ms, device.nonce) = (u64::MAX, "".into()),
                SignatureStale,
            ),
            (|_, device| device.nonce = "  ".into(), NonceMissing),
            (|_, device| device.nonce = "another".into(), NonceMismatch),
            (
                |_, device| device.signature = "!!!!".into(),
                SignatureInvalid,
            ),
            (
                |claims, _| claims.platform = "otheros".into(),
                SignatureInvalid,
            ),
        ];
        for (at, (change, expected)) in rows.into_iter().enumerate() {
            assert_eq!(proof_with(V3, change), expected, "row {at}");
        }
        let short = proof_with(V3, |_, device| {
            device.public_key = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMQ".into();
            device.id = device_id(&PublicKey::parse(&device.public_key).unwrap()).into();
        });
        assert_eq!(short, SignatureInvalid);
    }

    #[test]
    fn no_device_is_no_proof() {
        let mut claims = claims(V3);
        claims.device = None;
        assert_eq!(proof(&claims), DeviceProof::Absent);
    }

    #[test]
    fn what_is_signed_is_what_was_sent() {
        let claims = claims("");
        let device = claims.device.as_ref().unwrap();
        assert_eq!(
            payload(PayloadVersion::V3, &claims, device),
            format!(
                "v3|{}|cli|cli|operator|operator.read,operator.write|1770000000000|s3cret-token|{NONCE}|linux|server",
                device.id
            )
        );
    }

    /// With the identity as key, R = S·B fits every message; S = 0 makes R the identity too.
    #[test]
    fn a_signature_that_anybody_can_make_proves_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let text = |bytes: &[u8]| {
            use base64::Engine as _;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
        };
        let mut claims = claims(&text(&signature));
        let key = text(&identity);
        let device = claims.device.as_mut().unwrap();
        device.id = device_id(&PublicKey::parse(&key).unwrap()).into();
        device.public_key = key.into();
        let verifier = UnparsedPublicKey::new(&ED25519, identity);
        assert!(
            verifier.verify(b"anything", &signature).is_ok(),
            "the check is needed"
        );
        assert_eq!(
            prove(&claims, NONCE, NOW, 120_000),
            DeviceProof::PublicKeyInvalid
        );
    }
}
