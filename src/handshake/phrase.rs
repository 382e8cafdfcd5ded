//! What shows a fact, in a phrase for an operator.
//!
//! No phrase holds a secret, and what a peer sent is shortened and cleaned of control
//! characters.

use std::fmt::Write as _;

use super::Handshake;
use super::evidence::{Evidence, Evidences};
use super::observe::request_of;
use super::plain::{clean, list, short};
use crate::auth::proxy;
use crate::facts::{
    Address, AttributeId, Auth, AuthFailure, DeviceProof, Facts, Ingress, Pairing, PeerUid,
    PendingRequest, Transport, Word,
};
use crate::pairing::Record;

impl Evidence {
    /// A short phrase for an operator: what shows the fact. `facts` are those that were
    /// observed of this very handshake.
    #[must_use]
    pub fn show(self, id: AttributeId, handshake: &Handshake, facts: &Facts) -> String {
        let shown = Shown { handshake, facts };
        let name = id.row().name;
        match (self, name) {
            (Evidence::Header(at), _) => shown.header(at),
            (Evidence::NoHeader, _) => "no such header".to_owned(),
            (Evidence::Socket, _) => shown.socket(name),
            (Evidence::RequestLine, _) => "the request line".to_owned(),
            (Evidence::Frame, _) => shown.frame(name),
            (Evidence::Credentials, "secret-sent") => shown.secret_sent(),
            (Evidence::Credentials, _) => shown.auth(),
            (Evidence::Proof, _) => shown.proof(),
            (Evidence::Store, "pending") => shown.pending(),
            (Evidence::Store, _) => shown.pairing(name),
            (Evidence::Settings, _) => shown.setting(name),
            (Evidence::Derived, "client-ip" | "ingress") => shown.ingress(),
            (Evidence::Derived, _) => shown.derived(name),
        }
    }
}

/// What phrases are made of.
struct Shown<'a> {
    handshake: &'a Handshake,
    facts: &'a Facts,
}

impl Shown<'_> {
    fn header(&self, at: u16) -> String {
        let http = &self.handshake.http;
        let Some((name, value)) = http.headers.get(usize::from(at)) else {
            return "a header".to_owned();
        };
        let text = match value.trim().is_empty() {
            true => format!("`{}` is blank", clean(name)),
            false => format!("{}: {}", clean(name), clean(value)),
        };
        match http.values(name).count() {
            0 | 1 => text,
            count => format!("{text} (the first of {count})"),
        }
    }

    fn forwarding_header(&self) -> Option<u16> {
        let forwarded = AttributeId::named("forwarded")?;
        let Evidence::Header(at) = Evidences::of(&self.handshake.http).get(forwarded) else {
            return None;
        };
        Some(at)
    }

    fn ingress(&self) -> String {
        let peer = self.facts.peer;
        let header = self
            .forwarding_header()
            .map_or_else(String::new, |at| self.header(at));
        match self.facts.ingress {
            Ingress::Direct if peer.ip().is_none() => {
                "no forwarding header, and no address".to_owned()
            }
            Ingress::Direct => format!("no forwarding header: the peer {peer} itself"),
            Ingress::TrustedProxy => format!("{header}, by the trusted proxy {peer}"),
            Ingress::Unattributable if peer.ip().is_none() => {
                format!(
                    "{header}, but `{}` has no address to trust",
                    self.facts.transport
                )
            }
            Ingress::Unattributable if self.facts.peer_is_proxy => {
                format!(
                    "{header}, but the trusted proxy {peer} names no client that is not its own host"
                )
            }
            Ingress::Unattributable => format!("{header}, but {peer} is not a trusted proxy"),
        }
    }

    fn socket(&self, name: &str) -> String {
        let socket = &self.handshake.socket;
        let peer = self.facts.peer;
        let local = socket
            .local
            .map_or(Address::NONE, |local| Address::new(local.ip()));
        match name {
            "peer" => match (socket.peer, socket.local) {
                (Some(peer), Some(local)) => format!("socket {peer} → {local}"),
                (Some(peer), None) => format!("socket {peer}"),
                (None, _) => format!("`{}` has no address", socket.transport),
            },
            "tls" if socket.tls => "TLS ends in this process".to_owned(),
            "tls" => "no TLS on the socket".to_owned(),
            "peer-uid" => format!(
                "credentials of the socket: {}",
                doc(PeerUid::WORDS, socket.peer_uid.name())
            ),
            "same-host" if socket.transport != Transport::Tcp => {
                format!("`{}` does not leave this host", socket.transport)
            }
            "same-host" if peer.is_loopback() => format!("the peer {peer} is loopback"),
            "same-host" | "peer-is-own" if peer.ip().is_some() && peer == local => {
                format!("peer and local address are both {peer}")
            }
            "same-host" => format!("peer {peer} is neither loopback nor the local address {local}"),
            "peer-is-own" if peer.ip().is_none() => "there is no peer address".to_owned(),
            "peer-is-own" if self.facts.peer_is_own => {
                format!("{peer} is one of this host's addresses")
            }
            "peer-is-own" if socket.own_addresses.is_empty() => {
                format!("{peer} is not the local address {local}; no other is recorded")
            }
            "peer-is-own" => format!("{peer} is none of this host's addresses"),
            _ => doc(Transport::WORDS, socket.transport.name()).to_owned(),
        }
    }

    fn frame(&self, name: &str) -> String {
        let claims = self.handshake.connect.claims();
        match name {
            "client" => "`client.id` of the connect frame".to_owned(),
            "mode" => "`client.mode` of the connect frame".to_owned(),
            "platform" => "`client.platform` of the connect frame".to_owned(),
            "device-family" if claims.device_family.is_none() => {
                "no `client.deviceFamily` in the connect frame".to_owned()
            }
            "device-family" => "`client.deviceFamily` of the connect frame".to_owned(),
            "role" => "`role` of the connect frame, operator when absent".to_owned(),
            _ => format!("asks {}", list(&claims.scopes)),
        }
    }

    fn secret_sent(&self) -> String {
        match self.facts.secret_sent {
            true => "`auth.token` or `auth.password` of the connect frame".to_owned(),
            false => "neither `auth.token` nor `auth.password` in the connect frame".to_owned(),
        }
    }

    fn auth(&self) -> String {
        let proven = match self.facts.auth {
            Auth::None | Auth::Failed => return self.auth_failure(),
            Auth::BootstrapToken => "the setup code matched",
            Auth::DeviceToken => "the token of this device matched",
            Auth::Host => "the in-process lane: the embedder vouches for the caller",
            Auth::Open => "`auth.mode` is `none`: nothing is asked for",
            Auth::Password => "the shared password matched",
            Auth::Tailscale => "whois confirmed the Tailscale login",
            Auth::Token => "the shared token matched",
            Auth::TrustedProxy => return self.proxy_user(),
        };
        proven.to_owned()
    }

    fn proxy_user(&self) -> String {
        let facts = self.facts;
        let request = request_of(facts, &self.handshake.http);
        match proxy::user(&self.handshake.settings, &request) {
            Ok(user) => format!("the proxy {} vouches for `{}`", facts.peer, clean(user)),
            Err(error) => error.to_string(),
        }
    }

    fn auth_failure(&self) -> String {
        let why = match self.facts.auth_failure {
            AuthFailure::None => "none failed",
            AuthFailure::BootstrapTokenInvalid => "a setup code was sent that is not known",
            AuthFailure::DeviceTokenMismatch => "a device token was sent that is not this device's",
            AuthFailure::PasswordMismatch => "a wrong password was sent",
            AuthFailure::PasswordMissing => "no password was sent",
            AuthFailure::PasswordNotConfigured => "the mode is `password`, and none is configured",
            AuthFailure::RateLimited => "too many failures from this address",
            AuthFailure::ScopeMismatch => {
                "the token of this device does not carry the scopes asked for"
            }
            AuthFailure::TokenMismatch => "a wrong token was sent",
            AuthFailure::TokenMissing => "no token was sent",
            AuthFailure::TokenNotConfigured => "the mode is `token`, and none is configured",
            AuthFailure::Unauthorized => return self.proxy_user(),
        };
        why.to_owned()
    }

    fn proof(&self) -> String {
        let Some(device) = &self.handshake.connect.claims().device else {
            return "no device in the connect frame".to_owned();
        };
        let age_ms = i128::from(self.handshake.time_ms) - i128::from(device.signed_at_ms);
        let (seconds, when) = (
            age_ms.unsigned_abs().div_ceil(1000),
            if age_ms < 0 { "after" } else { "before" },
        );
        let allowed = self.handshake.settings.compatibility.device_skew_ms / 1000;
        let id = short(&device.id);
        match self.facts.device {
            DeviceProof::Absent => PASSED_OVER.to_owned(),
            DeviceProof::Proven => format!("signed {seconds} s {when}, nonce of this connection"),
            DeviceProof::IdMismatch => format!("the id {id} is not the hash of the key"),
            DeviceProof::SignatureStale => {
                format!("signed {seconds} s {when}: more than {allowed} s")
            }
            DeviceProof::NonceMissing => "the nonce is blank".to_owned(),
            DeviceProof::NonceMismatch => {
                "the nonce is not the one that this connection was sent".to_owned()
            }
            DeviceProof::SignatureInvalid => {
                "the signature fits neither payload v3 nor v2".to_owned()
            }
            DeviceProof::PublicKeyInvalid => "the key is no Ed25519 key".to_owned(),
        }
    }

    fn pairing(&self, name: &str) -> String {
        let claims = self.handshake.connect.claims();
        let Some(device) = &claims.device else {
            return "no device in the connect frame".to_owned();
        };
        if self.facts.device == DeviceProof::Absent {
            return PASSED_OVER.to_owned();
        }
        let id = short(&device.id);
        let Some(record) = &self.handshake.pairing.record else {
            return format!("no record for device {id}");
        };
        let mut roles: Vec<&str> = record.approved_roles().collect();
        roles.sort_unstable();
        roles.dedup();
        let role = format!(
            "record approved role {}; asks {}",
            list(&roles),
            claims.role
        );
        let scope = format!(
            "record approved {}; asks {}",
            list(record.baseline()),
            list(&claims.scopes)
        );
        let metadata = self.metadata(record);
        match (name, self.facts.pairing) {
            (_, Pairing::KeyChanged) => format!("the record of device {id} has another key"),
            ("role-upgrade", _) => role,
            ("scope-upgrade", _) => scope,
            ("metadata-upgrade", _) => metadata,
            (_, Pairing::Upgrade) => {
                let facts = self.facts;
                let parts = [
                    (facts.metadata_upgrade, metadata),
                    (facts.role_upgrade, role),
                    (facts.scope_upgrade, scope),
                ];
                let parts: Vec<String> = parts
                    .into_iter()
                    .filter_map(|(is, part)| is.then_some(part))
                    .collect();
                parts.join("; ")
            }
            _ => scope,
        }
    }

    fn metadata(&self, record: &Record) -> String {
        let pinned = |text: &Option<Box<str>>| text.as_deref().map(clean).unwrap_or_default();
        let claimed = |text: &str| {
            if text.is_empty() {
                "nothing".to_owned()
            } else {
                clean(text)
            }
        };
        let (platform, family) = (pinned(&record.platform), pinned(&record.device_family));
        let mut text = String::from("record pins");
        match (platform.is_empty(), family.is_empty()) {
            (true, true) => text += " no platform and no family",
            (false, true) => _ = write!(text, " platform {platform}"),
            (true, false) => _ = write!(text, " family {family}"),
            (false, false) => _ = write!(text, " platform {platform}, family {family}"),
        }
        let named = (
            claimed(&self.facts.platform),
            claimed(&self.facts.device_family),
        );
        _ = write!(text, "; the client names {}, {}", named.0, named.1);
        text
    }

    fn pending(&self) -> String {
        let waiting = self.handshake.pairing.pending.as_ref();
        match (waiting, self.facts.pending) {
            (None, _) => "no request waits".to_owned(),
            (Some(_), PendingRequest::None) => "a request waited, and has expired".to_owned(),
            (Some(pending), kind) => {
                let silent = if matches!(kind, PendingRequest::Silent | PendingRequest::SilentWider)
                {
                    ", silently"
                } else {
                    ""
                };
                format!(
                    "request {} asks {}{silent}",
                    clean(&pending.request_id),
                    list(pending.asked_scopes())
                )
            }
        }
    }

    fn setting(&self, name: &str) -> String {
        let settings = &self.handshake.settings;
        let peer = self.facts.peer;
        let key = match name {
            "peer-is-proxy" if settings.trusted_proxies.proxies.is_empty() => {
                return "`trustedProxies` is empty".to_owned();
            }
            "peer-is-proxy" if self.facts.peer_is_proxy => {
                return format!("{peer} is in `trustedProxies`");
            }
            "peer-is-proxy" => return format!("{peer} is not in `trustedProxies`"),
            "node-network" => {
                let networks = &settings.nodes.pairing.auto_approve_cidrs.proxies;
                return match (networks.is_empty(), self.facts.node_network) {
                    (true, _) => "`nodes.pairing.autoApproveCidrs` is empty".to_owned(),
                    (false, is) => format!(
                        "{} is {}in `nodes.pairing.autoApproveCidrs`",
                        self.facts.client_ip,
                        if is { "" } else { "not " }
                    ),
                };
            }
            "setting.auth-mode" if settings.auth.mode.is_none() => {
                return "no `auth.mode`: password when there is one, else token".to_owned();
            }
            "setting.auth-mode" => "auth.mode",
            "setting.bind" => "bind",
            "setting.allow-insecure-auth" => "controlUi.allowInsecureAuth",
            "setting.disable-device-auth" => "controlUi.dangerouslyDisableDeviceAuth",
            "setting.host-header-origin" => "controlUi.dangerouslyAllowHostHeaderOriginFallback",
            "setting.auto-approve-local" => "nodes.pairing.autoApproveLocal",
            _ => return "the settings".to_owned(),
        };
        format!("`{key}` of the settings")
    }

    fn derived(&self, name: &str) -> String {
        let Facts { host, origin, .. } = self.facts;
        match name {
            "same-origin" | "origin-allowed" if !origin.is_page() => {
                format!("the Origin is {}", origin.class())
            }
            "same-origin" if self.facts.same_origin => {
                format!("Origin and Host are both {}", clean(host.name()))
            }
            "same-origin" => format!(
                "Origin {}, Host {}",
                clean(origin.text()),
                clean(&host.to_string())
            ),
            "origin-allowed" if self.facts.origin_allowed => {
                "`controlUi.allowedOrigins` has it, or `*`".to_owned()
            }
            "origin-allowed" => {
                format!("`controlUi.allowedOrigins` has no {}", clean(origin.text()))
            }
            _ => "other facts".to_owned(),
        }
    }
}

/// Said of a device that was sent and not looked at.
const PASSED_OVER: &str = "passed over: `controlUi.dangerouslyDisableDeviceAuth` is on";

fn doc(words: &'static [Word], name: &str) -> &'static str {
    words
        .iter()
        .find(|word| word.name == name)
        .map_or("", |word| word.doc)
}
