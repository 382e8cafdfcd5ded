//! The twelve rules as a Rust programmer would write them who needs no others: a chain of `if`.

use std::net::IpAddr;

use gw::Facts;
use gw::facts::{
    AddressClass, Auth, AuthFailure, Client, DeviceProof, HostClass, Mode, OriginClass, Pairing,
    Role, Scope, ScopeSet, Transport,
};

use super::{Load, Outcome, Peer, Subject, load};
use crate::policy::TWELVE;

struct Chain;

impl Peer for Chain {
    type Input<'f> = &'f Facts;

    fn input<'f>(&self, facts: &'f Facts) -> Result<&'f Facts, String> {
        Ok(facts)
    }

    fn decide(&mut self, facts: &&Facts) -> Result<Outcome, String> {
        Ok(Outcome::Rule(twelve(facts)))
    }
}

pub(super) fn translate<'f>(subject: &Subject<'_>) -> Result<Load<'f>, String> {
    match subject.rules.rules.len() {
        TWELVE => Ok(load(|| Ok(Chain))),
        _ => Err("written by hand, for the twelve alone".to_owned()),
    }
}

fn twelve(facts: &Facts) -> usize {
    const READ_WRITE: ScopeSet = ScopeSet(1 << Scope::Read as u16 | 1 << Scope::Write as u16);
    let peer = facts.peer.class();
    if facts.forwarded && !facts.peer_is_proxy {
        return 0;
    }
    let origin = facts.origin.class();
    if matches!(
        origin,
        OriginClass::Empty | OriginClass::Opaque | OriginClass::Invalid
    ) {
        return 1;
    }
    let named = matches!(
        origin,
        OriginClass::Mdns | OriginClass::Tailnet | OriginClass::Public | OriginClass::Name
    );
    if named && !facts.origin_allowed {
        return 1;
    }
    if facts.transport == Transport::Tcp && !facts.tls && peer == AddressClass::Public {
        return 2;
    }
    if facts.client == Client::GatewayClient
        && facts.mode == Mode::Backend
        && matches!(facts.auth, Auth::Token | Auth::Password)
        && peer == AddressClass::Loopback
    {
        return 3;
    }
    if facts.auth_failure == AuthFailure::RateLimited {
        return 4;
    }
    if matches!(facts.auth, Auth::None | Auth::Failed) {
        return 5;
    }
    if matches!(facts.client, Client::ControlUi | Client::WebchatUi)
        && facts.host.class() == HostClass::Loopback
        && peer == AddressClass::Loopback
    {
        return 6;
    }
    if facts.role != Role::Operator && facts.scopes.contains(Scope::Admin) {
        return 7;
    }
    if facts.pairing == Pairing::Paired && facts.device == DeviceProof::Proven {
        return 8;
    }
    if facts.metadata_upgrade && facts.scopes.within(READ_WRITE) && is_own(facts.peer.ip()) {
        return 9;
    }
    if facts.role == Role::Node
        && facts.auth == Auth::BootstrapToken
        && facts.scopes.is_empty()
        && is_for_nodes(facts.peer.ip())
    {
        return 10;
    }
    11
}

fn is_own(ip: Option<IpAddr>) -> bool {
    match ip {
        Some(IpAddr::V4(ip)) => ip.is_private(),
        Some(IpAddr::V6(ip)) => ip.octets().starts_with(&[0xfd]),
        None => false,
    }
}

fn is_for_nodes(ip: Option<IpAddr>) -> bool {
    match ip {
        Some(IpAddr::V4(ip)) => {
            let [a, b, ..] = ip.octets();
            a == 10 || (a == 100 && b & 0xc0 == 64)
        }
        Some(IpAddr::V6(ip)) => ip.octets().starts_with(&[0xfd]),
        None => false,
    }
}
