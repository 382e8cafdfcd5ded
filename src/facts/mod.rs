//! The facts of a connection: everything a policy may ask about, as one plain value.
//!
//! A field here has a row in [`attributes`], which gives its name, type, stage, provenance
//! and doc; a test holds the two together. What two facts may not be at once stands in
//! [`assumptions`]. How facts are found in a handshake is not here: see
//! [`crate::handshake`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod address;
pub mod assumptions;
pub mod attributes;
pub mod client;
pub(crate) mod codes;
pub mod forwarding;
pub mod host;
pub mod metadata;
pub mod origin;
pub mod scopes;
pub mod settings;
pub mod socket;
pub mod stage;
pub mod standing;
pub mod text;
pub mod word;

use serde::Serialize;

pub use address::{Address, AddressClass};
pub use attributes::{ATTRIBUTES, Attribute, AttributeId, Kind};
pub use client::{Client, Mode, Role};
pub use host::{Host, HostClass};
pub use origin::{Origin, OriginClass};
pub use scopes::{Scope, ScopeSet};
pub use settings::{AuthMode, Bind, SettingFacts};
pub use socket::{Ingress, PeerUid, Transport};
pub use stage::{Provenance, Stage};
pub use standing::{Auth, AuthFailure, DeviceProof, Pairing, PendingRequest};
pub use text::Text;
pub use word::Word;

/// What is known of one connection. Every field is an attribute of the policy language.
///
/// [`Facts::default`] is what a `test` in a policy assumes of the facts it does not name:
/// a stranger from a public address over plain TCP, with a good device proof, never paired,
/// that sent no credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Facts {
    /// How the connection reaches us.
    pub transport: Transport,
    /// Whether TLS protects it up to this process.
    pub tls: bool,
    /// The address at the other end of the socket.
    pub peer: Address,
    /// Who owns the other end of the socket, where the kernel can tell.
    pub peer_uid: PeerUid,
    /// Whether the other end is provably on this host.
    pub same_host: bool,
    /// Whether the peer's address belongs to one of this host's interfaces.
    pub peer_is_own: bool,
    /// Whether the peer's address is listed as a trusted proxy.
    pub peer_is_proxy: bool,

    /// The Host header.
    pub host: Host,
    /// The Origin header.
    pub origin: Origin,
    /// Whether the Origin's host and port equal the Host header.
    pub same_origin: bool,
    /// Whether the Origin stands on the operator's list.
    pub origin_allowed: bool,
    /// The request path.
    pub path: Text,
    /// The client's address, through trusted proxies.
    pub client_ip: Address,
    /// Whether any forwarding header is present, blank or not.
    pub forwarded: bool,
    /// `Forwarded` has a value.
    pub forwarded_rfc: bool,
    /// `X-Forwarded-For` has a value.
    pub forwarded_for: bool,
    /// `X-Forwarded-Host` has a value.
    pub forwarded_host: bool,
    /// `X-Forwarded-Proto` has a value.
    pub forwarded_proto: bool,
    /// `X-Real-IP` has a value.
    pub forwarded_real_ip: bool,
    /// Any other `X-Forwarded-…` header has a value.
    pub forwarded_other: bool,
    /// A header that a Tailscale proxy adds is present.
    pub forwarded_tailscale: bool,
    /// A header that proxies leave besides forwarding headers has a value.
    pub proxy_trace: bool,
    /// Who is known to have sent the request on.
    pub ingress: Ingress,
    /// Whether the client's address is in a network whose nodes are paired without asking.
    pub node_network: bool,

    /// What the client says it is.
    pub client: Client,
    /// How the client says it works.
    pub mode: Mode,
    /// The role asked for.
    pub role: Role,
    /// The scopes asked for, as far as they are known.
    pub scopes: ScopeSet,
    /// Whether a scope was asked for that no release knows.
    pub unknown_scope: bool,
    /// Whether a scope was asked for that does not belong to the role.
    pub outside_role: bool,
    /// The platform the client says it runs on, as it is compared: trimmed, ASCII lower case.
    pub platform: Text,
    /// The device family the client names, as it is compared.
    pub device_family: Text,
    /// Whether a token or a password was sent; white space alone counts.
    pub secret_sent: bool,
    /// Which authentication succeeded.
    pub auth: Auth,
    /// Why none did.
    pub auth_failure: AuthFailure,
    /// What the device proof showed.
    pub device: DeviceProof,
    /// What we remember of the device.
    pub pairing: Pairing,
    /// A paired device asks for a role it was not approved for.
    pub role_upgrade: bool,
    /// A paired device asks for scopes it was not approved for.
    pub scope_upgrade: bool,
    /// A paired device describes itself differently than when it was approved.
    pub metadata_upgrade: bool,
    /// Whether an earlier request of this device still waits.
    pub pending: PendingRequest,

    /// What the operator configured.
    pub setting: SettingFacts,
}

impl Default for Facts {
    fn default() -> Self {
        Facts {
            transport: Transport::Tcp,
            tls: false,
            peer: Address::new(std::net::Ipv4Addr::new(203, 0, 113, 9).into()),
            peer_uid: PeerUid::Unknown,
            same_host: false,
            peer_is_own: false,
            peer_is_proxy: false,
            host: Host::example(),
            origin: Origin::absent(),
            same_origin: false,
            origin_allowed: false,
            path: Text::word("/"),
            client_ip: Address::new(std::net::Ipv4Addr::new(203, 0, 113, 9).into()),
            forwarded: false,
            forwarded_rfc: false,
            forwarded_for: false,
            forwarded_host: false,
            forwarded_proto: false,
            forwarded_real_ip: false,
            forwarded_other: false,
            forwarded_tailscale: false,
            proxy_trace: false,
            ingress: Ingress::Direct,
            node_network: false,
            client: Client::Cli,
            mode: Mode::Cli,
            role: Role::Operator,
            scopes: ScopeSet::of(&[Scope::Read, Scope::Write]),
            unknown_scope: false,
            outside_role: false,
            platform: Text::word("linux"),
            device_family: Text::EMPTY,
            secret_sent: false,
            auth: Auth::None,
            auth_failure: AuthFailure::TokenMissing,
            device: DeviceProof::Proven,
            pairing: Pairing::Unpaired,
            role_upgrade: false,
            scope_upgrade: false,
            metadata_upgrade: false,
            pending: PendingRequest::None,
            setting: SettingFacts::default(),
        }
    }
}
