//! What if: a recording with another peer, header or claim, whose facts are then found anew.
//!
//! Only what a gateway reads can be supposed here: also that nothing was there. What is proved
//! (authentication, the device, pairing) has no input that could be made without a key or a
//! secret, but what was sent or recorded can be taken away.

use std::net::{IpAddr, SocketAddr};

use super::{Handshake, Http};
use crate::auth::Credentials;
use crate::facts::attributes::Value;
use crate::facts::forwarding::Forwarding;
use crate::facts::{
    Address, AddressClass, AttributeId, Auth, DeviceProof, Facts, HostClass, OriginClass, Pairing,
    PeerUid, SettingFacts, Transport,
};
use crate::wire::connect::SentSecrets;

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
            "path" => self.http.path = (&facts.path).into(),
            "auth" if facts.auth == Auth::None => self.send_no_secret(),
            "secret-sent" if !facts.secret_sent => self.send_no_shared_secret(),
            "device" if facts.device == DeviceProof::Absent => self.name_no_device(),
            "pairing" if facts.pairing == Pairing::None => self.name_no_device(),
            "pairing" if facts.pairing == Pairing::Unpaired => self.pairing.record = None,
            name if name.starts_with("setting.") => return self.configure(name, &facts.setting),
            name if name.starts_with("forwarded") || name == "proxy-trace" => {
                return self.forward_without(name, &facts);
            }
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

    /// Takes away every credential, also the one that a proxy would vouch with.
    fn send_no_secret(&mut self) {
        self.connect.claims_mut().credentials = Credentials::default();
        self.connect.sent = SentSecrets::default();
        if let Some(proxy) = &self.settings.auth.trusted_proxy {
            self.http.set(&proxy.user_header, None);
        }
    }

    fn send_no_shared_secret(&mut self) {
        let claims = self.connect.claims_mut();
        claims.credentials = claims.credentials.without_shared();
        self.connect.sent.token = false;
        self.connect.sent.password = false;
    }

    /// Without a device there is no record that could be its.
    fn name_no_device(&mut self) {
        self.connect.claims_mut().device = None;
    }

    fn configure(&mut self, name: &str, facts: &SettingFacts) -> bool {
        let settings = &mut self.settings;
        match name {
            "setting.auth-mode" => settings.auth.mode = Some(facts.auth_mode),
            "setting.bind" => settings.bind = facts.bind,
            "setting.allow-insecure-auth" => {
                settings.control_ui.allow_insecure_auth = facts.allow_insecure_auth;
            }
            "setting.disable-device-auth" => {
                settings.control_ui.dangerously_disable_device_auth = facts.disable_device_auth;
            }
            "setting.host-header-origin" => {
                settings
                    .control_ui
                    .dangerously_allow_host_header_origin_fallback = facts.host_header_origin;
            }
            "setting.auto-approve-local" => {
                settings.nodes.pairing.auto_approve_local = facts.auto_approve_local;
            }
            _ => return false,
        }
        true
    }

    /// Takes away the headers that show what is supposed not to be so. What they would say is
    /// not known, so none is added.
    fn forward_without(&mut self, name: &str, facts: &Facts) -> bool {
        let shows: fn(&Forwarding<'_>) -> bool = match name {
            "forwarded" if !facts.forwarded => |found| found.any,
            "forwarded-rfc" if !facts.forwarded_rfc => |found| found.rfc,
            "forwarded-for" if !facts.forwarded_for => |found| found.for_client,
            "forwarded-host" if !facts.forwarded_host => |found| found.host,
            "forwarded-proto" if !facts.forwarded_proto => |found| found.proto,
            "forwarded-real-ip" if !facts.forwarded_real_ip => |found| found.real_ip,
            "forwarded-other" if !facts.forwarded_other => |found| found.other,
            "forwarded-tailscale" if !facts.forwarded_tailscale => |found| found.tailscale,
            "proxy-trace" if !facts.proxy_trace => |found| found.trace,
            _ => return false,
        };
        self.http.headers.retain(|(name, value)| {
            let alone = Forwarding::of(std::iter::once((&**name, &**value)));
            !shows(&alone)
        });
        true
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

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::handshake::{observe_with, parse};

    fn recorded() -> Json {
        let text = include_str!("../../fixtures/handshake/local-cli.json");
        let mut recorded: Json = serde_json::from_str(text).unwrap();
        recorded["settings"]["trustedProxies"] = json!(["127.0.0.1"]);
        recorded["settings"]["compatibility"] = json!({ "discardFlaggedDevice": true });
        recorded["http"]["headers"] = json!([
            ["Host", "127.0.0.1:18789"],
            ["X-Forwarded-For", "10.0.0.5"],
            ["Via", "1.1 proxy"]
        ]);
        recorded
    }

    fn facts(handshake: &Handshake) -> Facts {
        observe_with(handshake, DeviceProof::Proven).facts
    }

    /// What is supposed comes to the same facts as a recording in which it is so.
    #[test]
    fn a_supposition_is_a_recording_in_which_it_is_so() {
        let word = |word: &str| Value::Word(word.to_owned());
        let headers = |headers: Json| move |json: &mut Json| json["http"]["headers"] = headers;
        let take = |path: &'static str, name: &'static str| {
            move |json: &mut Json| {
                let object = json.pointer_mut(path).unwrap().as_object_mut().unwrap();
                object.remove(name).unwrap();
            }
        };
        let host = ["Host", "127.0.0.1:18789"];
        let (via, sent_on) = (["Via", "1.1 proxy"], ["X-Forwarded-For", "10.0.0.5"]);
        type Edit = Box<dyn FnOnce(&mut Json)>;
        let cases: [(&str, Value, Edit); 9] = [
            (
                "auth",
                word("none"),
                Box::new(take("/connect/params", "auth")),
            ),
            (
                "secret-sent",
                Value::Flag(false),
                Box::new(take("/connect/params", "auth")),
            ),
            (
                "device",
                word("absent"),
                Box::new(take("/connect/params", "device")),
            ),
            (
                "pairing",
                word("none"),
                Box::new(take("/connect/params", "device")),
            ),
            (
                "forwarded",
                Value::Flag(false),
                Box::new(headers(json!([host, via]))),
            ),
            (
                "forwarded-for",
                Value::Flag(false),
                Box::new(headers(json!([host, via]))),
            ),
            (
                "proxy-trace",
                Value::Flag(false),
                Box::new(headers(json!([host, sent_on]))),
            ),
            (
                "setting.auth-mode",
                word("none"),
                Box::new(|json| json["settings"]["auth"]["mode"] = json!("none")),
            ),
            (
                "setting.disable-device-auth",
                Value::Flag(true),
                Box::new(|json| {
                    json["settings"]["controlUi"] = json!({ "dangerouslyDisableDeviceAuth": true });
                }),
            ),
        ];
        for (name, value, edit) in cases {
            let mut recorded = recorded();
            if name == "setting.disable-device-auth" {
                recorded["connect"]["params"]["client"]["id"] = json!("openclaw-tui");
            }
            let mut supposed = parse(&recorded.to_string()).unwrap();
            let before = facts(&supposed);
            assert!(supposed.suppose(AttributeId::named(name).unwrap(), &value));
            edit(&mut recorded);
            let so = parse(&recorded.to_string()).unwrap();
            assert_eq!(facts(&supposed), facts(&so), "{name}");
            assert_ne!(facts(&so), before, "{name} changes nothing");
        }
    }

    /// A device token needs a record: without one it is no longer good.
    #[test]
    fn what_a_device_is_known_by_can_be_taken_away() {
        let mut recorded = recorded();
        recorded["connect"]["params"]["auth"] = json!({ "deviceToken": "example-device-token" });
        let device = recorded["connect"]["params"]["device"].clone();
        recorded["pairing"] = json!({ "record": {
            "deviceId": device["id"], "publicKey": device["publicKey"], "platform": "linux",
            "role": "operator", "roles": ["operator"],
            "scopes": ["operator.read", "operator.write"],
            "approvedScopes": ["operator.read", "operator.write"],
            "tokens": { "operator": {
                "token": "example-device-token", "role": "operator", "createdAtMs": 1,
                "scopes": ["operator.read", "operator.write"],
            } },
            "createdAtMs": 1, "approvedAtMs": 1,
        } });
        let mut supposed = parse(&recorded.to_string()).unwrap();
        assert_eq!(facts(&supposed).auth, Auth::DeviceToken);
        let pairing = AttributeId::named("pairing").unwrap();
        supposed.suppose(pairing, &Value::Word("unpaired".to_owned()));
        assert_eq!(facts(&supposed).pairing, Pairing::Unpaired);
        assert_eq!(facts(&supposed).auth, Auth::Failed);
    }
}
