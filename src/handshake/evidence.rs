//! Where each fact was found, and how an operator is told.
//!
//! What is kept is small, so that finding facts stays cheap; phrases are made when they are
//! asked for. No phrase holds a secret, and what a peer sent is shortened and cleaned of
//! control characters.

use std::fmt::Write as _;
use std::sync::LazyLock;

use super::observe::request_of;
use super::{Handshake, Http};
use crate::auth::proxy;
use crate::facts::forwarding::Forwarding;
use crate::facts::{
    ATTRIBUTES, Address, AttributeId, Auth, AuthFailure, DeviceProof, Facts, Ingress, Pairing,
    PendingRequest, Transport,
};

/// Where a fact was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// On the socket.
    Socket,
    /// In the request line.
    RequestLine,
    /// In the header at this place in the list; the first one, where several count.
    Header(u16),
    /// In no header, because none of the kind was sent.
    NoHeader,
    /// In the connect frame.
    Frame,
    /// In the credentials of the connect frame, compared with the settings.
    Credentials,
    /// In the device proof of the connect frame.
    Proof,
    /// In the pairing record or the waiting request, compared with the connect frame.
    Store,
    /// In the settings.
    Settings,
    /// In other facts.
    Derived,
}

/// Where each fact was found, by attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidences([Evidence; MOST]);

/// More attributes than this cannot be named (see [`crate::facts::assumptions::Named`]).
const MOST: usize = 64;

/// What is the same for every handshake, found out once: attributes are looked up by name.
static KINDS: LazyLock<[Evidence; MOST]> = LazyLock::new(|| {
    let mut kinds = [Evidence::Derived; MOST];
    for (kind, row) in kinds.iter_mut().zip(ATTRIBUTES) {
        *kind = kind_of(row.name);
    }
    kinds
});

/// The attributes that a header of this name is evidence for.
static HEADERS: LazyLock<[(&str, usize); 6]> = LazyLock::new(|| {
    [
        ("host", place("host")),
        ("origin", place("origin")),
        ("forwarded", place("forwarded-rfc")),
        ("x-forwarded-for", place("forwarded-for")),
        ("x-forwarded-host", place("forwarded-host")),
        ("x-forwarded-proto", place("forwarded-proto")),
    ]
});

/// The attributes for headers that are told otherwise: `X-Real-IP`, what else begins with
/// `X-Forwarded-`, what Tailscale adds, and any of the forwarding headers.
static OTHERS: LazyLock<[usize; 4]> = LazyLock::new(|| {
    ["forwarded-real-ip", "forwarded-other", "forwarded-tailscale", "forwarded"].map(place)
});

fn place(attribute: &str) -> usize {
    AttributeId::named(attribute).map_or(MOST, |id| usize::from(id.0))
}

fn kind_of(attribute: &str) -> Evidence {
    match attribute {
        "transport" | "tls" | "peer" | "peer-uid" | "same-host" | "peer-is-own" => Evidence::Socket,
        "path" => Evidence::RequestLine,
        "host" | "origin" => Evidence::NoHeader,
        "client" | "mode" | "role" | "scopes" | "unknown-scope" | "outside-role" | "platform"
        | "device-family" => Evidence::Frame,
        "auth" | "auth-failure" => Evidence::Credentials,
        "device" => Evidence::Proof,
        "pairing" | "role-upgrade" | "scope-upgrade" | "metadata-upgrade" | "pending" => {
            Evidence::Store
        }
        "peer-is-proxy" => Evidence::Settings,
        name if name.starts_with("forwarded") => Evidence::NoHeader,
        name if name.starts_with("setting.") => Evidence::Settings,
        _ => Evidence::Derived,
    }
}

impl Evidences {
    /// Where a fact was found.
    #[must_use]
    pub fn get(&self, id: AttributeId) -> Evidence {
        self.0.get(usize::from(id.0)).copied().unwrap_or(Evidence::Derived)
    }

    pub(super) fn of(http: &Http) -> Self {
        let mut kinds = *KINDS;
        let [real_ip, other, tailscale, any] = *OTHERS;
        for (at, (name, value)) in (0u16..).zip(&http.headers) {
            let mut found = |place: usize| {
                if let Some(kind @ Evidence::NoHeader) = kinds.get_mut(place) {
                    *kind = Evidence::Header(at);
                }
            };
            let starts = |start: &str| {
                name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start))
            };
            let known = HEADERS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
            let place = match known {
                Some((_, place)) => *place,
                None if name.eq_ignore_ascii_case("x-real-ip") => real_ip,
                None if starts("x-forwarded-") => other,
                None if Forwarding::of(std::iter::once((&**name, &**value))).tailscale => tailscale,
                None => continue,
            };
            found(place);
            if !matches!(known, Some(("host" | "origin", _))) {
                found(any);
            }
        }
        Evidences(kinds)
    }
}

impl Evidence {
    /// A short phrase for an operator: what shows the fact. `facts` are those that were
    /// observed of this very handshake.
    #[must_use]
    pub fn show(self, id: AttributeId, handshake: &Handshake, facts: &Facts) -> String {
        let shown = Shown { handshake, facts };
        let name = id.row().name;
        match (self, name) {
            (Evidence::Header(at), "client-ip" | "ingress") => shown.ingress(Some(at)),
            (Evidence::Header(at), _) => shown.header(at),
            (Evidence::NoHeader, _) => "no such header".to_owned(),
            (_, "client-ip" | "ingress") => shown.ingress(shown.forwarding_header()),
            (Evidence::Socket, _) => shown.socket(name),
            (Evidence::RequestLine, _) => "the request line".to_owned(),
            (Evidence::Frame, _) => shown.frame(name),
            (Evidence::Credentials, _) => shown.auth(),
            (Evidence::Proof, _) => shown.proof(),
            (Evidence::Store, "pending") => shown.pending(),
            (Evidence::Store, _) => shown.pairing(name),
            (Evidence::Settings, _) => shown.setting(name),
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
        match self.handshake.http.headers.get(usize::from(at)) {
            Some((name, value)) if value.trim().is_empty() => format!("`{}` is blank", clean(name)),
            Some((name, value)) => format!("{}: {}", clean(name), clean(value)),
            None => "a header".to_owned(),
        }
    }

    fn forwarding_header(&self) -> Option<u16> {
        let evidence = Evidences::of(&self.handshake.http);
        let place = |name| AttributeId::named(name).map(|id| evidence.get(id));
        // The client is named by these two; any other header only shows that there is a proxy.
        ["forwarded-for", "forwarded-real-ip", "forwarded"].into_iter().find_map(|name| match place(name) {
            Some(Evidence::Header(at)) => Some(at),
            _ => None,
        })
    }

    fn ingress(&self, header: Option<u16>) -> String {
        let peer = self.facts.peer;
        let header = header.map_or_else(String::new, |at| self.header(at));
        match self.facts.ingress {
            Ingress::Direct if peer.ip().is_none() => "no forwarding header, and no address".to_owned(),
            Ingress::Direct => format!("no forwarding header: the peer {peer} itself"),
            Ingress::TrustedProxy => format!("{header}, by the trusted proxy {peer}"),
            Ingress::Unattributable if peer.ip().is_none() => {
                format!("{header}, but `{}` has no address to trust", self.facts.transport)
            }
            Ingress::Unattributable if self.facts.peer_is_proxy => {
                format!("{header}, but the trusted proxy {peer} names no client that is not its own host")
            }
            Ingress::Unattributable => format!("{header}, but {peer} is not a trusted proxy"),
        }
    }

    fn socket(&self, name: &str) -> String {
        let socket = &self.handshake.socket;
        let peer = self.facts.peer;
        let local = socket.local.map_or(Address::NONE, |local| Address::new(local.ip()));
        match name {
            "peer" => match (socket.peer, socket.local) {
                (Some(peer), Some(local)) => format!("socket {peer} → {local}"),
                (Some(peer), None) => format!("socket {peer}"),
                (None, _) => format!("`{}` has no address", socket.transport),
            },
            "tls" if socket.tls => "TLS ends in this process".to_owned(),
            "tls" => "no TLS on the socket".to_owned(),
            "peer-uid" => format!("credentials of the socket: {}", doc(crate::facts::PeerUid::WORDS, socket.peer_uid.name())),
            "same-host" if socket.transport != Transport::Tcp => {
                format!("`{}` does not leave this host", socket.transport)
            }
            "same-host" if peer.is_loopback() => format!("the peer {peer} is loopback"),
            "same-host" | "peer-is-own" if peer.ip().is_some() && peer == local => {
                format!("peer and local address are both {peer}")
            }
            "same-host" => format!("peer {peer} is neither loopback nor the local address {local}"),
            "peer-is-own" if peer.ip().is_none() => "there is no peer address".to_owned(),
            "peer-is-own" if self.facts.peer_is_own => format!("{peer} is one of this host's addresses"),
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
        let request = request_of(self.handshake, facts.peer, facts.peer_is_proxy, facts.peer_is_own);
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
            AuthFailure::ScopeMismatch => "the token of this device does not carry the scopes asked for",
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
        let (seconds, when) = (age_ms.unsigned_abs().div_ceil(1000), if age_ms < 0 { "after" } else { "before" });
        let allowed = self.handshake.settings.compatibility.device_skew_ms / 1000;
        let id = short(&device.id);
        match self.facts.device {
            DeviceProof::Absent => "no device in the connect frame".to_owned(),
            DeviceProof::Proven => format!("signed {seconds} s {when}, nonce of this connection"),
            DeviceProof::IdMismatch => format!("the id {id} is not the hash of the key"),
            DeviceProof::SignatureStale => format!("signed {seconds} s {when}: more than {allowed} s"),
            DeviceProof::NonceMissing => "the nonce is blank".to_owned(),
            DeviceProof::NonceMismatch => "the nonce is not the one that this connection was sent".to_owned(),
            DeviceProof::SignatureInvalid => "the signature fits neither payload v3 nor v2".to_owned(),
            DeviceProof::PublicKeyInvalid => "the key is no Ed25519 key".to_owned(),
        }
    }

    fn pairing(&self, name: &str) -> String {
        let claims = self.handshake.connect.claims();
        let Some(device) = &claims.device else {
            return "no device in the connect frame".to_owned();
        };
        let id = short(&device.id);
        let Some(record) = &self.handshake.pairing.record else {
            return format!("no record for device {id}");
        };
        let roles: Vec<&str> = record.approved_roles().collect();
        let role = format!("record approved role {}; asks {}", list(&roles), claims.role);
        let scope = format!("record approved {}; asks {}", list(record.baseline()), list(&claims.scopes));
        let metadata = self.metadata(record);
        match (name, self.facts.pairing) {
            (_, Pairing::KeyChanged) => format!("the record of device {id} has another key"),
            ("role-upgrade", _) => role,
            ("scope-upgrade", _) => scope,
            ("metadata-upgrade", _) => metadata,
            (_, Pairing::Upgrade) => {
                let facts = self.facts;
                let parts = [(facts.metadata_upgrade, metadata), (facts.role_upgrade, role), (facts.scope_upgrade, scope)];
                let parts: Vec<String> = parts.into_iter().filter_map(|(is, part)| is.then_some(part)).collect();
                parts.join("; ")
            }
            _ => scope,
        }
    }

    fn metadata(&self, record: &crate::pairing::Record) -> String {
        let pinned = |text: &Option<Box<str>>| text.as_deref().map(clean).unwrap_or_default();
        let claimed = |text: &str| if text.is_empty() { "nothing".to_owned() } else { clean(text) };
        let (platform, family) = (pinned(&record.platform), pinned(&record.device_family));
        let mut text = String::from("record pins");
        match (platform.is_empty(), family.is_empty()) {
            (true, true) => text += " no platform and no family",
            (false, true) => _ = write!(text, " platform {platform}"),
            (true, false) => _ = write!(text, " family {family}"),
            (false, false) => _ = write!(text, " platform {platform}, family {family}"),
        }
        let named = (claimed(&self.facts.platform), claimed(&self.facts.device_family));
        _ = write!(text, "; the client names {}, {}", named.0, named.1);
        text
    }

    fn pending(&self) -> String {
        let waiting = self.handshake.pairing.pending.as_ref();
        match (waiting, self.facts.pending) {
            (None, _) => "no request waits".to_owned(),
            (Some(_), PendingRequest::None) => "a request waited, and has expired".to_owned(),
            (Some(pending), kind) => {
                let silent = if kind == PendingRequest::Silent { ", silently" } else { "" };
                format!("request {} asks {}{silent}", clean(&pending.request_id), list(pending.asked_scopes()))
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
            "peer-is-proxy" if self.facts.peer_is_proxy => return format!("{peer} is in `trustedProxies`"),
            "peer-is-proxy" => return format!("{peer} is not in `trustedProxies`"),
            "setting.auth-mode" if settings.auth.mode.is_none() => {
                return "no `auth.mode`: password when there is one, else token".to_owned();
            }
            "setting.auth-mode" => "auth.mode",
            "setting.bind" => "bind",
            "setting.allow-insecure-auth" => "controlUi.allowInsecureAuth",
            "setting.disable-device-auth" => "controlUi.dangerouslyDisableDeviceAuth",
            "setting.host-header-origin" => "controlUi.dangerouslyAllowHostHeaderOriginFallback",
            "setting.auto-approve-local" => "nodes.autoApproveLocal",
            _ => return "the settings".to_owned(),
        };
        format!("`{key}` of the settings")
    }

    fn derived(&self, name: &str) -> String {
        let Facts { host, origin, .. } = self.facts;
        match name {
            "same-origin" | "origin-allowed" if !origin.is_page() => format!("the Origin is {}", origin.class()),
            "same-origin" if self.facts.same_origin => format!("Origin and Host are both {}", clean(host.name())),
            "same-origin" => format!("Origin {}, Host {}", clean(origin.text()), clean(&host.to_string())),
            "origin-allowed" if self.facts.origin_allowed => {
                "`controlUi.allowedOrigins` has it, or `*`".to_owned()
            }
            "origin-allowed" => format!("`controlUi.allowedOrigins` has no {}", clean(origin.text())),
            _ => "other facts".to_owned(),
        }
    }
}

fn doc(words: &'static [crate::facts::Word], name: &str) -> &'static str {
    words.iter().find(|word| word.name == name).map_or("", |word| word.doc)
}

/// The first and last four characters of an id.
fn short(id: &str) -> String {
    let count = id.chars().count();
    if count <= 12 {
        return clean(id);
    }
    let start: String = id.chars().take(4).collect();
    let end: String = id.chars().skip(count.saturating_sub(4)).collect();
    format!("{}…{}", clean(&start), clean(&end))
}

/// What a peer sent, fit for a terminal: at most 80 characters, none of them a control.
fn clean(text: &str) -> String {
    let mut cleaned: String = text.trim().chars().take(80).flat_map(char::escape_debug).collect();
    if text.trim().chars().nth(80).is_some() {
        cleaned.push('…');
    }
    cleaned
}

/// Scopes or roles, with commas between.
fn list<S: AsRef<str>>(names: &[S]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let shown: Vec<String> = names.iter().take(12).map(|name| clean(name.as_ref())).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    shown.join(", ") + more
}
