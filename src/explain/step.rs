//! THE TABLE of steps: what somebody can do so that a fact is otherwise, who that is, and what
//! it costs beside other steps.
//!
//! A fact that no step moves is nobody's: the in-process lane, and what was proved of a key.

use super::Subject;
use crate::analysis::{Move, Steps};
use crate::facts::word::words;
use crate::facts::{
    Auth, AuthFailure, AuthMode, DeviceProof, Facts, Ingress, OriginClass, Pairing, Role, Transport,
};
use crate::verdict::{PairingReason, Reason, pairing_reason};

words! {
    /// Whose a step is.
    Hand {
        Client "client" "the client: what it sends, and what it knows and holds",
        Owner "owner" "the owner of the gateway: approvals, settings, lists and credentials",
        Place "place" "whoever decides where the client runs, which page is open, and what stands in between",
    }
}

words! {
    /// What somebody can do.
    Step {
        Secret "secret" "the owner sets a token or a password on the gateway",
        Credential "credential" "the client sends another secret, or none: it has to know it",
        Scopes "scopes" "the client asks for other scopes",
        Device "device" "the client proves a device key",
        NoScopes "no-scopes" "the client asks for no scopes",
        NoDevice "no-device" "the client names no device",
        Description "description" "the client describes itself otherwise",
        Path "path" "the client asks for another path",
        Tls "tls" "the client connects with TLS, or without",
        Host "host" "the client calls the gateway by another name",
        Role "role" "the client asks for another role",
        Program "program" "another program is the client",
        Approve "approve" "the owner approves the request that the connection leaves",
        Answer "answer" "the owner answers the request that waits",
        AutoApprove "auto-approve" "the owner lets what is on this host be approved without asking, or not",
        AllowOrigin "allow-origin" "the owner lists the page in controlUi.allowedOrigins, or takes it out",
        TrustProxy "trust-proxy" "the owner lists the peer in trustedProxies, or takes it out",
        NodeNetwork "node-network" "the owner lists the network in nodes.pairing.autoApproveCidrs, or takes it out",
        Forget "forget" "the owner removes the record of the device",
        SetupCode "setup-code" "the owner makes a setup code, and the client sends it",
        AuthMode "auth-mode" "the owner sets another auth.mode",
        Bind "bind" "the owner binds the gateway elsewhere",
        InsecureAuth "insecure-auth" "the owner sets controlUi.allowInsecureAuth otherwise",
        DeviceAuth "device-auth" "the owner sets controlUi.dangerouslyDisableDeviceAuth otherwise",
        HostOrigin "host-origin" "the owner sets controlUi.dangerouslyAllowHostHeaderOriginFallback otherwise",
        Page "page" "another page is open, or none: a page cannot change its origin",
        Proxy "proxy" "the connection comes through a proxy, or through none",
        Where "where" "the client connects from somewhere else",
        User "user" "another user of this host runs the client",
        Vouched "vouched" "the client comes in through the proxy that vouches for its users",
        Tailscale "tailscale" "the client comes in through Tailscale",
    }
}

impl Step {
    /// Its bit in a set of steps.
    pub(super) fn bit(self) -> Steps {
        1 << u32::from(self.code())
    }

    /// The steps of a set, in the order of the table.
    pub(super) fn of(steps: Steps) -> impl Iterator<Item = Step> {
        let all = Step::ALL.iter().copied();
        all.filter(move |step| steps & step.bit() != 0)
    }

    /// Whose it is.
    #[must_use]
    pub fn hand(self) -> Hand {
        match self {
            Step::Credential
            | Step::Scopes
            | Step::Device
            | Step::NoScopes
            | Step::NoDevice
            | Step::Description
            | Step::Path
            | Step::Tls
            | Step::Host
            | Step::Role => Hand::Client,
            Step::Approve
            | Step::Answer
            | Step::AutoApprove
            | Step::Secret
            | Step::AllowOrigin
            | Step::TrustProxy
            | Step::NodeNetwork
            | Step::Forget
            | Step::SetupCode
            | Step::AuthMode
            | Step::Bind
            | Step::InsecureAuth
            | Step::DeviceAuth
            | Step::HostOrigin => Hand::Owner,
            Step::Program
            | Step::Page
            | Step::Proxy
            | Step::Where
            | Step::User
            | Step::Vouched
            | Step::Tailscale => Hand::Place,
        }
    }

    /// What it costs beside others: what is sent costs least; what opens the gateway wider, or
    /// takes another program, most.
    #[must_use]
    pub fn cost(self) -> u32 {
        match self {
            Step::Credential | Step::Scopes | Step::Path => 2,
            Step::Device | Step::Description | Step::Tls | Step::Approve | Step::Answer => 3,
            Step::Host | Step::Role | Step::Secret => 4,
            Step::AllowOrigin | Step::AutoApprove | Step::Vouched => 5,
            Step::TrustProxy
            | Step::NodeNetwork
            | Step::Forget
            | Step::NoScopes
            | Step::Page
            | Step::Proxy => 6,
            Step::Where | Step::User => 7,
            Step::SetupCode | Step::NoDevice => 8,
            Step::Program | Step::Tailscale => 9,
            Step::AuthMode | Step::Bind => 10,
            Step::InsecureAuth | Step::DeviceAuth | Step::HostOrigin => 12,
        }
    }
}

/// A fact that one of these steps moves, each by itself.
fn by(steps: &[Step]) -> Move {
    Move {
        by: steps.iter().map(|step| step.bit()).collect(),
        weight: 1,
    }
}

/// A fact that all of these steps move together.
fn together(steps: &[Step]) -> Move {
    Move {
        by: vec![steps.iter().fold(0, |all, step| all | step.bit())],
        weight: 1,
    }
}

/// A fact that follows from others.
fn follows() -> Move {
    Move {
        by: vec![0],
        weight: 1,
    }
}

/// A fact that nobody can move so.
fn never() -> Move {
    Move::default()
}

/// The step of what nobody can do.
const NOBODYS: Steps = 1 << 31;

/// A fact that moves although nobody can move it so.
pub(super) fn nobodys() -> Move {
    Move {
        by: vec![NOBODYS],
        weight: 1,
    }
}

/// What a set of steps costs: what nobody can do, more than all that somebody can.
pub(super) fn cost(steps: Steps) -> u32 {
    let nobodys = if steps & NOBODYS == 0 { 0 } else { 1_000 };
    Step::of(steps).map(Step::cost).sum::<u32>() + nobodys
}

/// How the fact with this name comes to be as it is in `to`, where all others are as in `from`.
pub(super) fn moves(name: &str, from: &Facts, to: &Facts, subject: &Subject) -> Move {
    match name {
        "transport" if to.transport == Transport::InProcess => never(),
        "transport" if from.transport == Transport::InProcess => never(),
        "transport" | "peer" | "same-host" | "peer-is-own" => by(&[Step::Where]),
        "tls" => by(&[Step::Tls, Step::Where]),
        "peer-uid" => by(&[Step::User]),
        "peer-is-proxy" if to.peer_is_proxy => by(&[Step::TrustProxy]),
        // Without the proxy in between another peer is at the other end.
        "peer-is-proxy" => by(&[Step::TrustProxy, Step::Where, Step::Proxy]),
        // The page of the gateway's own address calls it by that address.
        "host" if from.same_origin => by(&[Step::Host, Step::Page]),
        "host" => by(&[Step::Host]),
        "origin" => Move {
            // A page that people know is shown rather than an odd one.
            weight: match to.origin.class() {
                OriginClass::Absent | OriginClass::Name => 1,
                OriginClass::Loopback => 2,
                OriginClass::Empty
                | OriginClass::Opaque
                | OriginClass::Invalid
                | OriginClass::Private
                | OriginClass::Public
                | OriginClass::Mdns
                | OriginClass::Tailnet => 3,
            },
            ..by(&[Step::Page])
        },
        "same-origin" if to.same_origin => by(&[Step::Page]),
        "same-origin" => by(&[Step::Page, Step::Host]),
        "origin-allowed" if to.origin_allowed => by(&[Step::AllowOrigin]),
        "origin-allowed" => by(&[Step::AllowOrigin, Step::Page]),
        "path" => by(&[Step::Path]),
        // Whom the headers of a proxy name is not known before somebody trusts them: then it is
        // taken to be somebody far away.
        "client-ip" if to.client_ip.class() == crate::facts::AddressClass::Public => {
            by(&[Step::Where, Step::Proxy, Step::TrustProxy])
        }
        // Of a proxy that says for nobody whom it speaks for, nobody is known.
        "client-ip" if to.client_ip.ip().is_none() && !from.peer_is_proxy => {
            by(&[Step::Where, Step::Proxy, Step::TrustProxy])
        }
        // A peer that speaks for nobody any more speaks for itself.
        "client-ip" if from.peer_is_proxy && to.client_ip.class() == from.peer.class() => {
            by(&[Step::Where, Step::Proxy, Step::TrustProxy])
        }
        "client-ip" => by(&[Step::Where, Step::Proxy]),
        "ingress" => by(&[Step::Proxy, Step::TrustProxy, Step::Where]),
        name if name.starts_with("forwarded") || name == "proxy-trace" => by(&[Step::Proxy]),
        "node-network" if to.node_network => by(&[Step::NodeNetwork]),
        "node-network" => by(&[Step::NodeNetwork, Step::Where]),
        "client" | "mode" => by(&[Step::Program]),
        "role" if has_role(to.role, subject) => by(&[Step::Role]),
        "role" => Move {
            weight: 2,
            ..by(&[Step::Role])
        },
        "scopes" if to.scopes.is_empty() => by(&[Step::NoScopes]),
        "scopes" => by(&[Step::Scopes]),
        "unknown-scope" => by(&[Step::Scopes, Step::NoScopes]),
        "outside-role" => by(&[Step::Scopes, Step::Role, Step::NoScopes]),
        "platform" | "device-family" | "metadata-upgrade" => by(&[Step::Description]),
        "scope-upgrade" if to.scope_upgrade => by(&[Step::Scopes]),
        "scope-upgrade" => by(&[Step::Scopes, Step::NoScopes]),
        // A role that was approved and has no token any more is no matter of what is asked.
        "role-upgrade"
            if !to.role_upgrade
                && has_role(from.role, subject)
                && !subject.approved_roles.is_empty() =>
        {
            never()
        }
        "role-upgrade" => by(&[Step::Role]),
        "auth" => authenticated(from, to),
        "auth-failure" | "secret-sent" => Move {
            by: [
                Step::Credential,
                Step::Secret,
                Step::SetupCode,
                Step::AuthMode,
                Step::Vouched,
                Step::Tailscale,
            ]
            .map(Step::bit)
            .to_vec(),
            weight: 1,
        },
        "device" if to.device == DeviceProof::Absent => by(&[Step::NoDevice]),
        "device" => by(&[Step::Device]),
        "pairing" => remembered(from, to),
        "pending" => match to.pending {
            crate::facts::PendingRequest::None => by(&[Step::Answer]),
            crate::facts::PendingRequest::Silent
            | crate::facts::PendingRequest::Asked
            | crate::facts::PendingRequest::Wider
            | crate::facts::PendingRequest::SilentWider => never(),
        },
        "setting.auth-mode" => by(&[Step::AuthMode]),
        "setting.bind" => by(&[Step::Bind]),
        "setting.allow-insecure-auth" => by(&[Step::InsecureAuth]),
        "setting.disable-device-auth" => by(&[Step::DeviceAuth]),
        "setting.host-header-origin" => by(&[Step::HostOrigin]),
        "setting.auto-approve-local" => by(&[Step::AutoApprove]),
        _ => never(),
    }
}

/// The same where the client itself is at the other end, before and after.
pub(super) fn moves_of_direct(name: &str, from: &Facts, to: &Facts, subject: &Subject) -> Move {
    match name {
        "client-ip" => by(&[Step::Where]),
        _ => moves(name, from, to, subject),
    }
}

/// Whether the record has a role, as far as that is known.
fn has_role(role: Role, subject: &Subject) -> bool {
    let roles = &subject.approved_roles;
    roles.is_empty() || roles.iter().any(|known| known == role.name())
}

fn authenticated(from: &Facts, to: &Facts) -> Move {
    let unset = matches!(
        from.auth_failure,
        AuthFailure::TokenNotConfigured | AuthFailure::PasswordNotConfigured
    );
    let (found, weight) = match to.auth {
        Auth::Host => (never(), 0),
        Auth::Open => (by(&[Step::AuthMode]), 1),
        Auth::Token | Auth::Password if unset && from.secret_sent => (by(&[Step::Secret]), 1),
        Auth::Token | Auth::Password if unset => (together(&[Step::Secret, Step::Credential]), 1),
        // Beside the proxy a password is the way in from this host, where there is one.
        Auth::Password if from.setting.auth_mode == AuthMode::TrustedProxy => {
            (together(&[Step::Secret, Step::Credential]), 2)
        }
        // Whoever sent a wrong secret has one to send: the right one of its kind is what they look for.
        Auth::Token | Auth::Password | Auth::None if from.auth == Auth::Failed => {
            let weight = if is_meant(from, to.auth) { 1 } else { 2 };
            (by(&[Step::Credential]), weight)
        }
        Auth::Token | Auth::Password | Auth::None => (by(&[Step::Credential]), 1),
        Auth::DeviceToken | Auth::Failed => (by(&[Step::Credential]), 3),
        Auth::BootstrapToken => (by(&[Step::SetupCode]), 5),
        Auth::TrustedProxy => (by(&[Step::Vouched]), 6),
        Auth::Tailscale => (by(&[Step::Tailscale]), 6),
    };
    Move { weight, ..found }
}

/// Whether a secret that failed was meant to be one that authenticates so.
fn is_meant(from: &Facts, auth: Auth) -> bool {
    match from.auth_failure {
        AuthFailure::TokenMismatch
        | AuthFailure::TokenMissing
        | AuthFailure::TokenNotConfigured
        // The shared token brings a new device token along.
        | AuthFailure::DeviceTokenMismatch => auth == Auth::Token,
        AuthFailure::PasswordMismatch
        | AuthFailure::PasswordMissing
        | AuthFailure::PasswordNotConfigured => auth == Auth::Password,
        AuthFailure::None
        | AuthFailure::BootstrapTokenInvalid
        | AuthFailure::RateLimited
        | AuthFailure::ScopeMismatch
        | AuthFailure::Unauthorized => auth != Auth::None,
    }
}

/// What is remembered of the device before the owner approves anything.
fn remembered(from: &Facts, to: &Facts) -> Move {
    match (from.pairing, to.pairing) {
        // No device was named, or none is named any more.
        (Pairing::None, Pairing::Unpaired) | (_, Pairing::None) => follows(),
        // What is asked for beyond the record makes the difference.
        (Pairing::Upgrade, Pairing::Paired) | (Pairing::Paired, Pairing::Upgrade) => follows(),
        (Pairing::Paired | Pairing::Upgrade | Pairing::KeyChanged, Pairing::Unpaired) => {
            by(&[Step::Forget])
        }
        _ => never(),
    }
}

/// What is to be done for a step that leads from facts to others, as an instruction.
pub(super) fn words(step: Step, from: &Facts, to: &Facts, subject: &Subject) -> String {
    match step {
        Step::Credential => credential(from, to),
        Step::Scopes => scopes(from, to, subject),
        Step::Device => device(from, to),
        Step::Description => match to.metadata_upgrade {
            false => "describe the device as it was approved".to_owned(),
            true => "describe the device otherwise than it was approved".to_owned(),
        },
        Step::Path => format!("ask for the path {}", named(&to.path)),
        Step::Tls => match to.tls {
            true => "connect over TLS (wss://)".to_owned(),
            false => "connect without TLS".to_owned(),
        },
        Step::Host => format!("call the gateway by {}", shown("host", to)),
        Step::Role => format!("ask for the role {}", to.role),
        Step::Program => format!(
            "connect with another client: {}",
            match from.mode == to.mode {
                true => to.client.name().to_owned(),
                false => format!("{} in mode {}", to.client, to.mode),
            }
        ),
        Step::Approve => approval(from).to_owned(),
        Step::Answer => "the owner answers the request that waits (gw devices list)".to_owned(),
        Step::AutoApprove => format!(
            "the owner sets nodes.pairing.autoApproveLocal to {}",
            to.setting.auto_approve_local
        ),
        Step::Secret if to.auth == Auth::Password => {
            Reason::PasswordNotConfigured.remedy().to_owned()
        }
        Step::Secret => Reason::TokenNotConfigured.remedy().to_owned(),
        Step::AllowOrigin => match to.origin_allowed {
            true => "have the owner add the page's origin to controlUi.allowedOrigins".to_owned(),
            false => "the owner takes the page's origin out of controlUi.allowedOrigins".to_owned(),
        },
        Step::TrustProxy => match to.peer_is_proxy {
            true if from.peer_is_proxy => "have the proxy say in X-Forwarded-For for whom it speaks".to_owned(),
            true => "have the owner list the proxy's address in trustedProxies, and the proxy send X-Forwarded-For".to_owned(),
            false => "the owner takes the peer's address out of trustedProxies".to_owned(),
        },
        Step::NodeNetwork => match to.node_network {
            true => "the owner lists the client's network in nodes.pairing.autoApproveCidrs".to_owned(),
            false => "the owner takes the client's network out of nodes.pairing.autoApproveCidrs".to_owned(),
        },
        Step::Forget => "the owner removes the device (gw devices remove)".to_owned(),
        Step::SetupCode => "the owner makes a setup code, and the client sends it".to_owned(),
        Step::AuthMode => format!("the owner sets auth.mode to {}", to.setting.auth_mode),
        Step::Bind => format!("the owner sets bind to {}", to.setting.bind),
        Step::InsecureAuth => format!(
            "the owner sets controlUi.allowInsecureAuth to {}",
            to.setting.allow_insecure_auth
        ),
        Step::DeviceAuth => format!(
            "the owner sets controlUi.dangerouslyDisableDeviceAuth to {}",
            to.setting.disable_device_auth
        ),
        Step::HostOrigin => format!(
            "the owner sets controlUi.dangerouslyAllowHostHeaderOriginFallback to {}",
            to.setting.host_header_origin
        ),
        Step::Page => page(from, to),
        Step::Proxy => match to.forwarded || to.proxy_trace {
            false if !from.forwarded && !from.proxy_trace => {
                "connect without the proxy in between".to_owned()
            }
            false => "connect without the proxy in between, which leaves its headers".to_owned(),
            true if from.forwarded => {
                "connect through a proxy that says for whom it speaks".to_owned()
            }
            true => "connect through a proxy".to_owned(),
        },
        Step::Where => place(from, to),
        Step::User => format!("run the client as {}", user(to)),
        Step::Vouched => "come in through the proxy that vouches for its users".to_owned(),
        Step::Tailscale => "come in through Tailscale, as a user that it knows".to_owned(),
        Step::NoScopes => "ask for no scopes".to_owned(),
        Step::NoDevice => "name no device".to_owned(),
    }
}

fn shown(name: &str, facts: &Facts) -> String {
    crate::facts::AttributeId::named(name).map_or_else(String::new, |id| id.show(facts))
}

fn named(text: &str) -> &str {
    if text.is_empty() { "absent" } else { text }
}

fn credential(from: &Facts, to: &Facts) -> String {
    let remedy = Reason::of_auth(from.auth_failure).map(Reason::remedy);
    match (to.auth, from.auth_failure) {
        (
            Auth::Token,
            AuthFailure::TokenMissing | AuthFailure::TokenMismatch | AuthFailure::RateLimited,
        )
        | (
            Auth::Password,
            AuthFailure::PasswordMissing | AuthFailure::PasswordMismatch | AuthFailure::RateLimited,
        ) => remedy.unwrap_or_default().to_owned(),
        (Auth::Token, AuthFailure::DeviceTokenMismatch) => {
            "connect once with the shared token, and keep the device token that comes back"
                .to_owned()
        }
        (Auth::Token, AuthFailure::TokenNotConfigured) => "send that token".to_owned(),
        (Auth::Password, AuthFailure::PasswordNotConfigured) => "send that password".to_owned(),
        (Auth::Token, _) => "send the gateway's shared token".to_owned(),
        (Auth::Password, _) => "send the gateway's password".to_owned(),
        (Auth::DeviceToken, _) => "send the token that this device was given".to_owned(),
        (Auth::None, _) => "send no token and no password".to_owned(),
        (Auth::Failed, _) => "send a wrong secret".to_owned(),
        (
            Auth::BootstrapToken | Auth::Host | Auth::Open | Auth::Tailscale | Auth::TrustedProxy,
            _,
        ) => format!("authenticate otherwise: {}", to.auth),
    }
}

fn scopes(from: &Facts, to: &Facts, subject: &Subject) -> String {
    if to.scope_upgrade && !from.scope_upgrade {
        return "ask for more scopes than were approved".to_owned();
    }
    if from.scope_upgrade && !to.scope_upgrade {
        return match &subject.approved_scopes {
            Some(approved) if !approved.is_empty() => {
                format!("ask for no more than {}", approved.join(", "))
            }
            Some(_) => "ask for no scopes: none were approved".to_owned(),
            None => "ask for no more scopes than were approved".to_owned(),
        };
    }
    let is_mended =
        (from.unknown_scope && !to.unknown_scope) || (from.outside_role && !to.outside_role);
    if is_mended {
        return Reason::ScopeNotAllowed.remedy().to_owned();
    }
    let is_odd = to.unknown_scope != from.unknown_scope || to.outside_role != from.outside_role;
    match is_odd {
        true => "ask for a scope that is not the role's".to_owned(),
        false => format!("ask for other scopes: {}", shown("scopes", to)),
    }
}

fn device(from: &Facts, to: &Facts) -> String {
    if to.device == DeviceProof::Proven {
        let reason = Reason::of_proof(from.device).unwrap_or(Reason::DeviceRequired);
        return reason.remedy().to_owned();
    }
    format!("prove the device wrongly: {}", to.device.doc())
}

fn approval(from: &Facts) -> &'static str {
    match pairing_reason(from) {
        PairingReason::NotPaired => "the owner approves the device",
        PairingReason::MetadataUpgrade => "the owner approves the device as it is now",
        PairingReason::RoleUpgrade => "the owner approves the role",
        PairingReason::ScopeUpgrade => "the owner approves the scopes",
    }
}

fn page(from: &Facts, to: &Facts) -> String {
    let class = to.origin.class();
    if to.origin == from.origin && to.host != from.host {
        return format!("have the page call the gateway by {}", shown("host", to));
    }
    if class == OriginClass::Absent {
        return "connect with a client that is no web page".to_owned();
    }
    if to.same_origin {
        let own = shown("host", to);
        return format!("open the page from the gateway's own address, here {own}");
    }
    format!(
        "open another page: its origin {class}, such as {}",
        shown("origin", to)
    )
}

fn place(from: &Facts, to: &Facts) -> String {
    if to.transport == Transport::Tcp && to.peer == from.peer {
        // Where the address is of the same kind, something else about it is not.
        if from.peer_is_proxy && !to.peer_is_proxy {
            return "connect from an address that is not in trustedProxies".to_owned();
        }
        if from.node_network && !to.node_network {
            return "connect from an address that is not in nodes.pairing.autoApproveCidrs"
                .to_owned();
        }
    }
    let is_behind = to.transport == Transport::Tcp && to.peer == from.peer;
    if is_behind && to.ingress != Ingress::Direct && to.client_ip != from.client_ip {
        return format!(
            "behind the proxy, connect from an address that is {}",
            to.client_ip.class()
        );
    }
    match to.transport {
        Transport::Unix => "connect through the gateway's own socket".to_owned(),
        Transport::InProcess => "call from the program around the gateway".to_owned(),
        Transport::Tcp if to.peer.is_loopback() => {
            "connect from the gateway's own host, by its loopback address".to_owned()
        }
        Transport::Tcp if to.same_host => {
            "connect from the gateway's own host, by its own network address".to_owned()
        }
        Transport::Tcp if to.ingress != Ingress::Direct => {
            format!("connect from an address that is {}", to.client_ip.class())
        }
        Transport::Tcp if to.peer.class() == from.peer.class() => {
            format!("connect from another address, such as {}", to.peer)
        }
        Transport::Tcp => format!(
            "connect from an address that is {}, such as {}",
            to.peer.class(),
            to.peer
        ),
    }
}

fn user(to: &Facts) -> String {
    match to.peer_uid {
        crate::facts::PeerUid::SameUser => "the user who runs the gateway".to_owned(),
        crate::facts::PeerUid::Root => "root".to_owned(),
        crate::facts::PeerUid::OtherUser => "another user".to_owned(),
        crate::facts::PeerUid::Unknown => "a user that the kernel does not tell".to_owned(),
    }
}
