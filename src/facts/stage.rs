//! When a fact becomes known, and who vouches for it.

use super::word::words;

words! {
    /// The stages of a connection, in the order in which facts accrue.
    Stage {
        Accept "accept" "known when the socket is accepted",
        Upgrade "upgrade" "known when the HTTP head has been read",
        Connect "connect" "known when the first frame has been read",
    }
}

words! {
    /// Who vouches for a fact. The trust lints and the attacker proofs rest on it.
    Provenance {
        Claimed "claimed" "the client says so",
        Observed "observed" "seen on the socket or in a header",
        Verified "verified" "proved by a secret, a signature, the kernel or our own store",
        Configured "configured" "set by the operator",
    }
}
