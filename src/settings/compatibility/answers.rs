//! What clients are told.

use crate::facts::word::words;

words! {
    /// How much the refusals say, other than those that wait for the owner.
    RefusalWording {
        Brief "brief" "a version mismatch names the version that is spoken here (2026.3, 2026.4)",
        Guided "guided" "also the versions that the client spoke, what helps a client of this host, and when to try again (2026.9)",
    }
}

words! {
    /// How much a client is told of what it has to wait for.
    PairingDetails {
        Brief "brief" "the reason and the request id (2026.3)",
        Full "full" "also what it asks for, what was approved, and a hint (from 2026.4.20)",
        Retryable "retryable" "also whether to go on trying by itself (2026.9)",
    }
}

words! {
    /// What the answer to an admitted client says of its authentication.
    HelloAuth {
        Issued "issued" "nothing, unless a device token goes with it (up to 2026.4.15)",
        Always "always" "role and scopes (from 2026.4.18)",
        Method "method" "role, scopes, and the authentication that held (2026.9)",
    }
}

words! {
    /// Which scopes the answer to an admitted client names.
    HelloScopes {
        Token "token" "those of the device token, where one goes with it (up to 2026.4)",
        Session "session" "those of this very connection (2026.9)",
    }
}
