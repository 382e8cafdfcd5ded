//! What was proved and what we remember: authentication, device proof, pairing.
//!
//! Only the words are here. [`crate::auth`] finds out which one holds, and
//! [`crate::pairing`] holds the records.

use super::word::words;

words! {
    /// The authentication that succeeded.
    Auth {
        None "none" "nothing was sent",
        Failed "failed" "something was sent, and it was wrong",
        BootstrapToken "bootstrap-token" "a setup code",
        DeviceToken "device-token" "the token that this device was given when it was approved",
        Host "host" "the in-process lane: the embedder vouches for the caller",
        Open "open" "auth mode none: nothing is asked for",
        Password "password" "the shared password",
        Tailscale "tailscale" "a Tailscale login that whois confirmed",
        Token "token" "the shared token",
        TrustedProxy "trusted-proxy" "a user that a trusted proxy vouches for",
    }
}

words! {
    /// Why no authentication succeeded.
    AuthFailure {
        None "none" "one did",
        BootstrapTokenInvalid "bootstrap-token-invalid" "the setup code is unknown, used or expired",
        DeviceTokenMismatch "device-token-mismatch" "the device token is not this device's",
        PasswordMismatch "password-mismatch" "the password is wrong",
        PasswordMissing "password-missing" "no password was sent",
        PasswordNotConfigured "password-not-configured" "password mode without a password",
        RateLimited "rate-limited" "too many failures from this address, or of this device",
        ScopeMismatch "scope-mismatch" "the device token does not carry the scopes asked for",
        TokenMismatch "token-mismatch" "the token is wrong",
        TokenMissing "token-missing" "no token was sent",
        TokenNotConfigured "token-not-configured" "token mode without a token",
        Unauthorized "unauthorized" "anything else",
    }
}

words! {
    /// What the device proof of the connect frame showed.
    DeviceProof {
        Absent "absent" "no device was named",
        Proven "proven" "it holds the key that its id is made of, for this very connection",
        IdMismatch "id-mismatch" "the id is not the hash of the key",
        SignatureStale "signature-stale" "signed too long ago, or too far ahead",
        NonceMissing "nonce-missing" "the nonce is blank",
        NonceMismatch "nonce-mismatch" "the nonce is another connection's",
        SignatureInvalid "signature-invalid" "the signature does not fit what was sent",
        PublicKeyInvalid "public-key-invalid" "the key cannot be used",
    }
}

words! {
    /// What we remember of the device.
    Pairing {
        None "none" "there is no device to remember",
        Unpaired "unpaired" "no record of this device",
        KeyChanged "key-changed" "a record of this id, but with another key",
        Upgrade "upgrade" "paired, but it asks for more than was approved, or has changed",
        Paired "paired" "paired, and nothing more is asked than was approved",
    }
}

words! {
    /// An earlier request of the same device that still waits for the owner.
    PendingRequest {
        None "none" "none waits",
        Silent "silent" "one waits that needed no asking",
        Asked "asked" "one waits for the owner",
        Wider "wider" "one waits for the owner, and asks for more than this one",
        SilentWider "silent-wider" "one waits that needed no asking, and asks for more than this one",
    }
}
