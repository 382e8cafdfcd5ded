//! What if: a recording with another peer, header or claim, whose facts are then found anew.
//!
//! Only what a gateway reads can be supposed here. Facts that are proved (authentication, the
//! device, pairing) have no input that could be changed without a key or a secret.

use std::net::{IpAddr, SocketAddr};

use super::{Handshake, Http};
use crate::facts::attributes::Value;
use crate::facts::{
    Address, AddressClass, AttributeId, Facts, HostClass, OriginClass, PeerUid, Transport,
};

impl Handshake {
    /// Changes the input that a fact is found in, so that the fact has a value; says whether
    /// there is such an input.
    pub fn suppose(&mut self, id: AttributeId, value: &Value) -> bool {
        // The value is put through the table once, so that words, classes and literals mean
        // here what they mean everywhere.
        let mut facts = Facts::default();
        if id.assign(&mut facts, value).is_err() {
            return false;
        }
        match id.row().name {
            "transport" => self.suppose_transport(facts.transport),
            "peer" => self.suppose_peer(facts.peer),
            "peer-uid" => self.socket.peer_uid = facts.peer_uid,
            "tls" => self.socket.tls = facts.tls,
            "host" => {
                let absent = facts.host.class() == HostClass::Absent;
                self.http.set("Host", (!absent).then(|| facts.host.name()));
            }
            "origin" => {
                let absent = facts.origin.class() == OriginClass::Absent;
                self.http
                    .set("Origin", (!absent).then(|| facts.origin.text()));
            }
            "path" => self.http.path = facts.path,
            "client" | "mode" | "role" | "scopes" | "platform" | "device-family" => {
                self.suppose_claim(id, facts);
            }
            _ => return false,
        }
        true
    }

    fn suppose_transport(&mut self, transport: Transport) {
        self.socket.transport = transport;
        if transport == Transport::Tcp {
            let local = SocketAddr::from(([127, 0, 0, 1], 18_789));
            self.socket.local.get_or_insert(local);
            if self.socket.peer.is_none() {
                self.suppose_peer(Facts::default().peer);
            }
        } else {
            (self.socket.peer, self.socket.local, self.socket.tls) = (None, None, false);
        }
        if transport == Transport::InProcess {
            self.http = Http::default();
            self.socket.peer_uid = PeerUid::Unknown;
        }
    }

    fn suppose_peer(&mut self, peer: Address) {
        let Some(ip) = peer.ip() else { return };
        let port = self.socket.peer.map_or(51_000, |peer| peer.port());
        self.socket.peer = Some(SocketAddr::new(ip, port));
        // A loopback peer reaches a loopback address, and nobody else does.
        if let Some(local) = &mut self.socket.local {
            let reachable = peer.is_loopback() == Address::new(local.ip()).is_loopback();
            if !reachable {
                let ip = if peer.is_loopback() { ip } else { outside(ip) };
                local.set_ip(ip);
            }
        }
    }

    fn suppose_claim(&mut self, id: AttributeId, facts: Facts) {
        let claims = self.connect.claims_mut();
        match id.row().name {
            "client" => claims.client = facts.client,
            "mode" => claims.mode = facts.mode,
            "role" => claims.role = facts.role,
            "scopes" => {
                claims.scopes = facts
                    .scopes
                    .iter()
                    .map(|scope| scope.name().into())
                    .collect()
            }
            "platform" => claims.platform = facts.platform,
            _ => {
                claims.device_family =
                    (!facts.device_family.is_empty()).then_some(facts.device_family)
            }
        }
    }
}

impl Http {
    /// Replaces every header of a name by one, or by none.
    fn set(&mut self, name: &str, value: Option<&str>) {
        self.headers
            .retain(|(sent, _)| !sent.eq_ignore_ascii_case(name));
        self.headers
            .extend(value.map(|value| (name.into(), value.into())));
    }
}

/// An address of this host that a peer from outside reaches, and that is not the peer's.
fn outside(peer: IpAddr) -> IpAddr {
    let own = AddressClass::Private
        .example()
        .ip()
        .filter(|own| *own != peer);
    own.unwrap_or(IpAddr::from([192, 168, 1, 1]))
}
