//! THE TABLE of what a step changes: the facts that are otherwise once the client or the owner has
//! done what the answer tells them. It is what makes a remedy a thing that can be tried out.

use super::Reason;
use crate::facts::{
    AddressClass, Auth, AuthFailure, DeviceProof, Facts, Host, Ingress, Origin, Pairing, PeerUid,
    PendingRequest, Role, ScopeSet, Transport,
};

/// What somebody does, as facts that become otherwise; all others stay as they are.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// What is done, in a few words.
    pub done: &'static str,
    /// The attributes that get a value.
    pub about: &'static [&'static str],
    /// Gives them their values, whatever the others are.
    pub apply: fn(&mut Facts),
}

/// The owner approves the request that a connection left: its device is remembered, with all that
/// was asked for.
pub const APPROVED: Change = Change {
    done: "the owner approves the request",
    about: &[
        "pairing",
        "role-upgrade",
        "scope-upgrade",
        "metadata-upgrade",
        "pending",
    ],
    apply: |facts| {
        facts.pairing = Pairing::Paired;
        facts.role_upgrade = false;
        facts.scope_upgrade = false;
        facts.metadata_upgrade = false;
        facts.pending = PendingRequest::None;
    },
};

const PROVEN: Change = Change {
    done: "the client proves its device key",
    about: &["device"],
    apply: |facts| facts.device = DeviceProof::Proven,
};

const NEW_DEVICE: Change = Change {
    done: "the client proves a device key that nobody knows yet",
    about: &[
        "device",
        "pairing",
        "role-upgrade",
        "scope-upgrade",
        "metadata-upgrade",
        "pending",
    ],
    apply: |facts| {
        facts.device = DeviceProof::Proven;
        facts.pairing = Pairing::Unpaired;
        facts.role_upgrade = false;
        facts.scope_upgrade = false;
        facts.metadata_upgrade = false;
        facts.pending = PendingRequest::None;
    },
};

const CREDENTIALS: &[&str] = &["auth", "auth-failure", "secret-sent"];

fn authenticated(facts: &mut Facts, auth: Auth) {
    facts.auth = auth;
    facts.auth_failure = AuthFailure::None;
    facts.secret_sent = true;
}

const TOKEN: Change = Change {
    done: "the client sends the gateway's token",
    about: CREDENTIALS,
    apply: |facts| authenticated(facts, Auth::Token),
};

const PASSWORD: Change = Change {
    done: "the client sends the gateway's password",
    about: CREDENTIALS,
    apply: |facts| authenticated(facts, Auth::Password),
};

const DEVICE_TOKEN: Change = Change {
    done: "the client sends the token of its device",
    about: CREDENTIALS,
    apply: |facts| authenticated(facts, Auth::DeviceToken),
};

const SETUP_CODE: Change = Change {
    done: "the client sends a fresh setup code",
    about: CREDENTIALS,
    apply: |facts| authenticated(facts, Auth::BootstrapToken),
};

const KNOWN_SCOPES: Change = Change {
    done: "the client asks for scopes that its role has",
    about: &["unknown-scope", "outside-role"],
    apply: |facts| {
        facts.unknown_scope = false;
        facts.outside_role = false;
    },
};

const NO_SCOPES: Change = Change {
    done: "the client asks for no scopes",
    about: &["scopes", "unknown-scope", "outside-role"],
    apply: |facts| {
        facts.scopes = ScopeSet::EMPTY;
        facts.unknown_scope = false;
        facts.outside_role = false;
    },
};

/// Who is at the other end is known by what the proxy says.
const VOUCHED: Change = Change {
    done: "the client comes in through the proxy that vouches for its users",
    about: &[
        "auth",
        "auth-failure",
        "transport",
        "peer",
        "peer-uid",
        "same-host",
        "peer-is-own",
        "peer-is-proxy",
        "client-ip",
        "forwarded",
        "forwarded-for",
        "forwarded-rfc",
        "forwarded-host",
        "forwarded-proto",
        "forwarded-real-ip",
        "forwarded-other",
        "forwarded-tailscale",
        "ingress",
        "node-network",
    ],
    apply: |facts| {
        facts.auth = Auth::TrustedProxy;
        facts.auth_failure = AuthFailure::None;
        facts.transport = Transport::Tcp;
        facts.peer = AddressClass::Private.example();
        facts.peer_uid = PeerUid::Unknown;
        facts.same_host = false;
        facts.peer_is_own = false;
        facts.peer_is_proxy = true;
        facts.client_ip = AddressClass::Public.example();
        facts.forwarded = true;
        facts.forwarded_for = true;
        facts.forwarded_rfc = false;
        facts.forwarded_host = false;
        facts.forwarded_proto = false;
        facts.forwarded_real_ip = false;
        facts.forwarded_other = false;
        facts.forwarded_tailscale = false;
        facts.ingress = Ingress::TrustedProxy;
        facts.node_network = false;
    },
};

const OPERATOR: Change = Change {
    done: "the client asks for the role operator",
    about: &["role", "outside-role", "role-upgrade"],
    apply: |facts| {
        facts.role = Role::Operator;
        facts.outside_role = false;
        facts.role_upgrade = false;
    },
};

const LISTED_ORIGIN: Change = Change {
    done: "the owner lists the page",
    about: &["origin-allowed"],
    apply: |facts| facts.origin_allowed = true,
};

const PAGE: &[&str] = &["host", "origin", "same-origin"];

fn own_page(facts: &mut Facts, host: &str) {
    facts.host = Host::parse(host);
    facts.origin = Origin::parse(&format!("http://{host}"));
    facts.same_origin = true;
}

const PAGE_ON_THIS_HOST: Change = Change {
    done: "the page is opened from this host's own address",
    about: PAGE,
    apply: |facts| own_page(facts, "localhost"),
};

const PAGE_AT_AN_ADDRESS: Change = Change {
    done: "the page is opened from the gateway's own address",
    about: PAGE,
    apply: |facts| own_page(facts, "192.168.1.1"),
};

const TRUSTED: Change = Change {
    done: "the owner lists the proxy, which says for whom it speaks",
    about: &[
        "ingress",
        "peer-is-proxy",
        "forwarded",
        "forwarded-for",
        "client-ip",
        "node-network",
    ],
    apply: |facts| {
        facts.ingress = Ingress::TrustedProxy;
        facts.peer_is_proxy = true;
        facts.forwarded = true;
        facts.forwarded_for = true;
        facts.client_ip = AddressClass::Public.example();
        facts.node_network = false;
    },
};

impl Reason {
    /// What following [`Reason::remedy`] changes: each is a way to do what it says. None where
    /// nothing that the client or the owner does makes the answer another one under the same
    /// policy: it is *never*, by design.
    #[must_use]
    pub fn changes(self) -> &'static [Change] {
        match self {
            Reason::BootstrapTokenInvalid => &[SETUP_CODE],
            Reason::DeviceIdMismatch
            | Reason::DeviceNonceMismatch
            | Reason::DeviceNonceMissing
            | Reason::DevicePublicKeyInvalid
            | Reason::DeviceSignatureInvalid
            | Reason::DeviceSignatureStale => &[PROVEN],
            Reason::DeviceRequired => &[NEW_DEVICE],
            Reason::DeviceTokenMismatch => &[TOKEN, PASSWORD, VOUCHED],
            Reason::OriginNotAllowed => &[LISTED_ORIGIN, PAGE_ON_THIS_HOST, PAGE_AT_AN_ADDRESS],
            Reason::PasswordMismatch | Reason::PasswordMissing | Reason::PasswordNotConfigured => {
                &[PASSWORD]
            }
            Reason::ProxyAttributionRequired => &[TRUSTED],
            Reason::RateLimited => &[TOKEN, PASSWORD, DEVICE_TOKEN, VOUCHED],
            Reason::RoleNotAllowed => &[OPERATOR, APPROVED],
            Reason::ScopeMismatch => &[DEVICE_TOKEN, TOKEN, PASSWORD, VOUCHED],
            Reason::ScopeNotAllowed => &[KNOWN_SCOPES, NO_SCOPES],
            Reason::TokenMismatch | Reason::TokenMissing | Reason::TokenNotConfigured => &[TOKEN],
            Reason::Unauthorized => &[TOKEN, PASSWORD, VOUCHED],
            Reason::BuildMismatch | Reason::NotPermitted => &[],
        }
    }
}
