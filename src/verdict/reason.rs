//! THE TABLE of reasons for a refusal: public words, each with what the client can do.
//!
//! The remedies are what an explanation, and later the wire, tells those who are refused.
//! Codes, messages and close codes of the wire protocol belong to [`crate::wire`].

use crate::facts::word::words;
use crate::facts::{Auth, AuthFailure, DeviceProof, Facts};

words! {
    /// Why a connection is refused, as `reject(REASON)` says it.
    Reason {
        BootstrapTokenInvalid "bootstrap-token-invalid" "the setup code is unknown, used or expired",
        BuildMismatch "build-mismatch" "the dashboard is of another build than the one that this gateway serves",
        DeviceIdMismatch "device-id-mismatch" "the device id is not the hash of its key",
        DeviceNonceMismatch "device-nonce-mismatch" "the device proof was made for another connection",
        DeviceNonceMissing "device-nonce-missing" "the device proof has no nonce",
        DevicePublicKeyInvalid "device-public-key-invalid" "the device key cannot be used",
        DeviceRequired "device-required" "a device identity is needed here, and none was sent",
        DeviceSignatureInvalid "device-signature-invalid" "the device signature does not fit what was sent",
        DeviceSignatureStale "device-signature-stale" "the device proof is too old, or from the future",
        DeviceTokenMismatch "device-token-mismatch" "the device token is not this device's",
        NotPermitted "not-permitted" "the policy does not let this connection in",
        OriginNotAllowed "origin-not-allowed" "the web page that opened the connection may not use this gateway",
        PasswordMismatch "password-mismatch" "the password is wrong",
        PasswordMissing "password-missing" "no password was sent",
        PasswordNotConfigured "password-not-configured" "the gateway asks for a password, and has none",
        ProxyAttributionRequired "proxy-attribution-required" "a proxy that the gateway does not trust sent this on",
        RateLimited "rate-limited" "too many failed attempts from this address, or of this device",
        RoleNotAllowed "role-not-allowed" "the role asked for may not be had this way",
        ScopeMismatch "scope-mismatch" "the device token does not carry the scopes asked for",
        ScopeNotAllowed "scope-not-allowed" "a scope asked for is unknown, or is not the role's",
        TokenMismatch "token-mismatch" "the token is wrong",
        TokenMissing "token-missing" "no token was sent",
        TokenNotConfigured "token-not-configured" "the gateway asks for a token, and has none",
        Unauthorized "unauthorized" "authentication failed",
    }
}

impl Reason {
    /// What makes the answer another one: an instruction to the client or the owner.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Reason::BootstrapTokenInvalid => "ask the owner for a fresh setup code",
            Reason::BuildMismatch => "reload the page of the dashboard",
            Reason::DeviceIdMismatch => {
                "send as device.id the SHA-256 of the raw public key, in lower-case hex"
            }
            Reason::DeviceNonceMismatch => {
                "sign the nonce of the connect.challenge that this very connection was sent"
            }
            Reason::DeviceNonceMissing => "sign the nonce of the connect.challenge, and send it",
            Reason::DevicePublicKeyInvalid => "send a raw Ed25519 public key, in base64url",
            Reason::DeviceRequired => {
                "send a device identity (in a browser: open the page over HTTPS or from localhost)"
            }
            Reason::DeviceSignatureInvalid => {
                "sign exactly what is sent: device, client, role, scopes, time, token, nonce, platform"
            }
            Reason::DeviceSignatureStale => {
                "set the clock, or sign the time of the connect.challenge; two minutes are allowed"
            }
            Reason::DeviceTokenMismatch => {
                "connect once with the shared token or password, and keep the device token that comes back"
            }
            Reason::NotPermitted => "ask the owner of the gateway to change the policy",
            Reason::OriginNotAllowed => {
                "open the page from the gateway's own address, or have the owner add its origin to controlUi.allowedOrigins"
            }
            Reason::PasswordMismatch => "send the password that the gateway is configured with",
            Reason::PasswordMissing => "send the gateway's password as auth.password",
            Reason::PasswordNotConfigured => "have the owner set auth.password on the gateway",
            Reason::ProxyAttributionRequired => {
                "have the owner list the proxy's address in trustedProxies, and the proxy send X-Forwarded-For"
            }
            Reason::RateLimited => "wait, then try again with the right credentials",
            Reason::RoleNotAllowed => {
                "ask for the role operator, or have the owner approve the device for this role"
            }
            Reason::ScopeMismatch => {
                "ask for no more than the device token carries, or connect with the shared token or password to ask for more"
            }
            Reason::ScopeNotAllowed => "ask only for known scopes of the role",
            Reason::TokenMismatch => "send the token that the gateway is configured with",
            Reason::TokenMissing => {
                "send the gateway's token: as auth.token, or as a bearer token to a plain server"
            }
            Reason::TokenNotConfigured => "have the owner set auth.token on the gateway",
            Reason::Unauthorized => "send the credentials that the gateway asks for",
        }
    }

    /// The reason that a failed device proof carries.
    #[must_use]
    pub fn of_proof(proof: DeviceProof) -> Option<Reason> {
        Some(match proof {
            DeviceProof::Absent | DeviceProof::Proven => return None,
            DeviceProof::IdMismatch => Reason::DeviceIdMismatch,
            DeviceProof::SignatureStale => Reason::DeviceSignatureStale,
            DeviceProof::NonceMissing => Reason::DeviceNonceMissing,
            DeviceProof::NonceMismatch => Reason::DeviceNonceMismatch,
            DeviceProof::SignatureInvalid => Reason::DeviceSignatureInvalid,
            DeviceProof::PublicKeyInvalid => Reason::DevicePublicKeyInvalid,
        })
    }

    /// The reason that a failed authentication carries.
    #[must_use]
    pub fn of_auth(failure: AuthFailure) -> Option<Reason> {
        Some(match failure {
            AuthFailure::None => return None,
            AuthFailure::BootstrapTokenInvalid => Reason::BootstrapTokenInvalid,
            AuthFailure::DeviceTokenMismatch => Reason::DeviceTokenMismatch,
            AuthFailure::PasswordMismatch => Reason::PasswordMismatch,
            AuthFailure::PasswordMissing => Reason::PasswordMissing,
            AuthFailure::PasswordNotConfigured => Reason::PasswordNotConfigured,
            AuthFailure::RateLimited => Reason::RateLimited,
            AuthFailure::ScopeMismatch => Reason::ScopeMismatch,
            AuthFailure::TokenMismatch => Reason::TokenMismatch,
            AuthFailure::TokenMissing => Reason::TokenMissing,
            AuthFailure::TokenNotConfigured => Reason::TokenNotConfigured,
            AuthFailure::Unauthorized => Reason::Unauthorized,
        })
    }

    /// The reason that the facts carry: what is wrong with the device proof, else with the
    /// authentication, else that the policy does not permit it. This is `reject(as-found)`.
    #[must_use]
    pub fn as_found(facts: &Facts) -> Reason {
        Reason::of_proof(facts.device)
            .or_else(|| Reason::of_auth(facts.auth_failure))
            .unwrap_or(Reason::NotPermitted)
    }

    /// The reason for which no policy can admit this connection: a device proof that failed,
    /// or an authentication that failed.
    #[must_use]
    pub fn barred(facts: &Facts) -> Option<Reason> {
        Reason::of_proof(facts.device).or_else(|| {
            let failed = facts.auth == Auth::Failed;
            failed.then(|| Reason::of_auth(facts.auth_failure).unwrap_or(Reason::Unauthorized))
        })
    }
}
