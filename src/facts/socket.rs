//! What the socket itself shows: transport, the peer's owner, who sent the request on.

use super::word::words;

words! {
    /// How a connection reaches the gateway.
    Transport {
        Tcp "tcp" "a TCP connection",
        Unix "unix" "the gateway's unix socket",
        InProcess "in-process" "memory of this process; its identity is set by the embedder",
    }
}

words! {
    /// Who owns the other end of the socket, as the kernel tells it.
    PeerUid {
        SameUser "same-user" "the user that runs the gateway",
        Root "root" "the superuser",
        OtherUser "other-user" "another user of this host",
        Unknown "unknown" "the kernel cannot tell: another host, another namespace, or no support",
    }
}

words! {
    /// Who is known to have sent the request on (OpenClaw 2026.9.6 calls it ingress attribution).
    Ingress {
        Direct "direct" "no forwarding header is present",
        TrustedProxy "trusted-proxy" "a trusted proxy forwards it for a client that it names",
        Unattributable "unattributable" "forwarding headers that no trusted proxy vouches for",
    }
}
