//! The one place where the facts of a connection are found.

use std::net::IpAddr;

use super::evidence::Evidences;
use super::{Handshake, Http, Seen, Socket};
use crate::auth::{self, Claims, Memory, Request};
use crate::facts::address::resolve_client;
use crate::facts::attributes::without_query;
use crate::facts::forwarding::Forwarding;
use crate::facts::metadata::{normalize_metadata, normalized};
use crate::facts::scopes::outside_roles;
use crate::facts::{
    Address, DeviceProof, Facts, Host, HostClass, Ingress, Origin, ScopeSet, Transport,
};
use crate::pairing::request::kept_family;
use crate::pairing::{DeviceRequest, Relation};
use crate::settings::Settings;
use crate::settings::compatibility::Approval;

/// The facts of a connection, with where they come from.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What is known.
    pub facts: Facts,
    /// Where each of it was found.
    pub evidence: Evidences,
    /// What the client says of itself; without its device where that was passed over.
    pub claims: Claims,
    /// Which of its credentials holds, or why none does.
    pub verified: auth::Verified,
}

/// Finds the facts, the device proof checked.
#[must_use]
pub fn observe(handshake: &Handshake) -> Observed {
    observe_with(handshake, prove(&handshake.seen()))
}

/// Finds the facts, with the device proof as [`auth::device::prove`] judged it: checking a
/// signature takes far longer than all the rest.
#[must_use]
pub fn observe_with(handshake: &Handshake, proof: DeviceProof) -> Observed {
    let seen = handshake.seen();
    let facts = at_upgrade(seen.settings, seen.socket, seen.http);
    let (facts, verified) = at_connect(facts, &seen, proof);
    let claims = handshake.connect.claims().looked_at(seen.settings);
    Observed {
        facts,
        evidence: Evidences::of(&handshake.http),
        claims: claims.into_owned(),
        verified,
    }
}

/// Checks the device proof.
#[must_use]
pub fn prove(seen: &Seen<'_>) -> DeviceProof {
    let skew_ms = seen.settings.compatibility.device_skew_ms;
    auth::device::prove(seen.connect.claims(), seen.nonce, seen.time_ms, skew_ms)
}

/// The facts of the socket and of the HTTP head; those of later stages are the defaults.
#[must_use]
pub fn at_upgrade(settings: &Settings, socket: &Socket, http: &Http) -> Facts {
    let peer = socket
        .peer
        .map_or(Address::NONE, |peer| Address::new(peer.ip()));
    let proxied = peer
        .ip()
        .is_some_and(|ip| settings.trusted_proxies.proxies.contains(ip));

    let mut hosts = http.values("host").map(|(_, value)| value);
    let host_header = hosts.next();
    let one_host = hosts.next().is_none();
    let host = host_header.map_or_else(Host::absent, Host::from_header);
    let origins = http.values("origin").map(|(_, value)| value);
    let origin = Origin::from_headers(origins, settings.compatibility.origin_syntax);
    let forwarding = Forwarding::of(http.headers.iter().map(|(name, value)| (&**name, &**value)));
    let (ingress, client_ip) = attribute(peer, proxied, &forwarding, settings);
    Facts {
        transport: socket.transport,
        tls: socket.tls,
        peer,
        peer_uid: socket.peer_uid,
        same_host: is_same_host(peer, socket),
        peer_is_own: peer.ip().is_some_and(|ip| is_own(ip, socket)),
        peer_is_proxy: proxied,
        // Two Host headers name no host that a page could be the same as.
        same_origin: one_host
            && host.class() != HostClass::Absent
            && host_header.is_some_and(|host| origin.is_web() && origin.matches_host(host)),
        origin_allowed: settings.control_ui.allowed_origins.origins.allows(&origin),
        host,
        origin,
        path: without_query(&http.path).into(),
        client_ip,
        forwarded: forwarding.any,
        forwarded_rfc: forwarding.rfc,
        forwarded_for: forwarding.for_client,
        forwarded_host: forwarding.host,
        forwarded_proto: forwarding.proto,
        forwarded_real_ip: forwarding.real_ip,
        forwarded_other: forwarding.other,
        forwarded_tailscale: forwarding.tailscale,
        proxy_trace: forwarding.trace,
        ingress,
        node_network: is_node_network(client_ip, settings),
        setting: settings.facts(),
        ..Facts::default()
    }
}

/// The facts of the request with those of the connect frame, and what authentication found.
#[must_use]
pub fn at_connect(request: Facts, seen: &Seen<'_>, proof: DeviceProof) -> (Facts, auth::Verified) {
    let memory = Memory {
        now_ms: seen.time_ms,
        ..Memory::default()
    };
    at_connect_remembering(request, seen, proof, &memory)
}

/// The same, for a gateway that remembers failures and setup codes.
#[must_use]
pub fn at_connect_remembering(
    request: Facts,
    seen: &Seen<'_>,
    proof: DeviceProof,
    memory: &Memory<'_>,
) -> (Facts, auth::Verified) {
    let claims = seen.connect.claims().looked_at(seen.settings);
    let claims = &*claims;
    let platform = normalized(&claims.platform);
    let family = claims.device_family.as_ref().map(normalized);
    let proof = if claims.device.is_some() {
        proof
    } else {
        DeviceProof::Absent
    };
    let standing = seen.standing.live(seen.time_ms);
    let kept = kept_family(
        claims.client,
        Some(&claims.platform),
        claims.device_family.as_deref(),
        &seen.settings.compatibility,
    );
    let kept = kept.map(normalize_metadata).unwrap_or_default();
    let relation = claims.device.as_ref().map_or(Relation::NONE, |device| {
        let request = DeviceRequest {
            device_id: &device.id,
            public_key: &device.public_key,
            client: claims.client,
            mode: claims.mode,
            role: claims.role,
            scopes: &claims.scopes,
            platform: &platform,
            device_family: &kept,
        };
        let rules = auth::rules(seen.settings);
        standing.relation(&request, rules, seen.time_ms)
    });
    let verified = auth::verify(
        claims,
        proof,
        &standing,
        seen.settings,
        &request_of(&request, seen.http),
        memory,
    );
    let (scopes, unknown_scope) = ScopeSet::known(&claims.scopes);
    let facts = Facts {
        client: claims.client,
        mode: claims.mode,
        role: claims.role,
        scopes,
        unknown_scope,
        outside_role: seen.settings.compatibility.pairing.approval == Approval::Everyone
            && outside_roles(&[claims.role.name()], &claims.scopes).is_some(),
        platform,
        device_family: family.unwrap_or_default(),
        secret_sent: claims.credentials.sent_shared(),
        auth: verified.auth,
        auth_failure: verified.failure(),
        device: proof,
        pairing: relation.pairing,
        role_upgrade: relation.role_upgrade,
        scope_upgrade: relation.scope_upgrade,
        metadata_upgrade: relation.metadata_upgrade,
        pending: relation.pending,
        ..request
    };
    (facts, verified)
}

/// What authentication may look at.
pub(super) fn request_of<'a>(facts: &Facts, http: &'a Http) -> Request<'a> {
    Request {
        transport: facts.transport,
        peer: facts.peer,
        peer_is_proxy: facts.peer_is_proxy,
        peer_is_own: facts.peer_is_own,
        headers: &http.headers,
    }
}

/// Who sent the request on, and the client's address as far as it can be known.
///
/// A proxy that names no client, or names one on this host, is not believed: a client can
/// send a header that says `127.0.0.1` through a proxy that only adds to it. From another host
/// a proxy always names one; over loopback without a header it may be anybody.
fn attribute(
    peer: Address,
    proxied: bool,
    forwarding: &Forwarding<'_>,
    settings: &Settings,
) -> (Ingress, Address) {
    let forwarded = forwarding.counts(settings.compatibility.forwarding);
    if !forwarded && (!proxied || peer.is_loopback()) {
        return (Ingress::Direct, peer);
    }
    let client = proxied.then(|| {
        resolve_client(
            peer.ip(),
            forwarding.forwarded_for.as_deref(),
            forwarding.forwarded_real_ip.as_deref(),
            &settings.trusted_proxies.proxies,
            settings.allow_real_ip_fallback,
        )
    });
    let client = client.flatten().map(Address::new);
    let believed = settings.compatibility.loopback_clients;
    match client.filter(|client| believed || !client.is_loopback()) {
        Some(client) => (Ingress::TrustedProxy, client),
        None => (Ingress::Unattributable, Address::NONE),
    }
}

/// Whether nodes from this address are paired without asking. A loopback address says nothing
/// of where a node is.
fn is_node_network(client: Address, settings: &Settings) -> bool {
    let networks = &settings.nodes.pairing.auto_approve_cidrs.proxies;
    client
        .ip()
        .is_some_and(|ip| !client.is_loopback() && networks.contains(ip))
}

/// Whether the address is this connection's own, or one that was recorded as this host's.
fn is_own(ip: IpAddr, socket: &Socket) -> bool {
    is_local(ip, socket)
        || socket
            .own_addresses
            .iter()
            .any(|own| own.to_canonical() == ip)
}

fn is_local(ip: IpAddr, socket: &Socket) -> bool {
    socket
        .local
        .is_some_and(|local| local.ip().to_canonical() == ip)
}

fn is_same_host(peer: Address, socket: &Socket) -> bool {
    match socket.transport {
        Transport::Unix | Transport::InProcess => true,
        Transport::Tcp => peer.is_loopback() || peer.ip().is_some_and(|ip| is_local(ip, socket)),
    }
}

#[cfg(test)]
mod tests;
