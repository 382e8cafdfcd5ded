//! What shows a fact, in a phrase for an operator.
//!
//! No phrase holds a secret, and what a peer sent is shortened and cleaned of control
//! characters.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use super::evidence::{Evidence, Evidences};
use super::observe::request_of;
use super::plain::{clean, list, short};
use super::{Head, Seen};
use crate::auth::proxy;
use crate::facts::{
    Address, AttributeId, Auth, AuthFailure, DeviceProof, Facts, Ingress, Kind, OriginClass,
    Pairing, PeerUid, PendingRequest, Stage, Transport, Word,
};
use crate::pairing::Record;

impl Evidence {
    /// A short phrase for an operator: what shows the fact. `facts` are those that were
    /// observed of this very handshake.
    #[must_use]
    pub fn show(self, id: AttributeId, seen: &Seen<'_>, facts: &Facts) -> String {
        let by_itself = match self {
            Evidence::Header(_) => None,
            Evidence::Socket
            | Evidence::RequestLine
            | Evidence::NoHeader
            | Evidence::Frame
            | Evidence::Credentials
            | Evidence::Proof
            | Evidence::Store
            | Evidence::Settings
            | Evidence::Derived => alone(id, facts),
        };
        if let Some(phrase) = by_itself {
            return phrase.into_owned();
        }
        self.beyond(id, seen, facts)
    }

    /// The phrase where the facts do not say it.
    fn beyond(self, id: AttributeId, seen: &Seen<'_>, facts: &Facts) -> String {
        let head = seen.head();
        let early = Early { head, facts };
        let late = || Late { seen, facts }.phrase(self, id.row().name);
        early.phrase(self, id.row().name).unwrap_or_else(late)
    }
}

/// What shows a fact, where the facts by themselves say it: these phrases need not be kept.
#[must_use]
pub fn alone(id: AttributeId, facts: &Facts) -> Option<Cow<'static, str>> {
    Some(Alone::of(id, facts)?.phrase(facts))
}

/// What a phrase says that is made of facts alone. It is made only where it is told: a log asks of
/// each fact whether there is one.
enum Alone {
    Said(&'static str),
    Owner,
    SameHost,
    Loopback,
    Proxy,
    NoAddress,
    Peer,
    Origin(&'static str),
    Setting(&'static str),
}

impl Alone {
    fn of(id: AttributeId, facts: &Facts) -> Option<Self> {
        let row = id.row();
        if let Kind::Flag { get, .. } = row.kind
            && !get(facts)
            && (row.name.starts_with("forwarded") || row.name == "proxy-trace")
        {
            return Some(Alone::Said(NO_HEADER));
        }
        let has_address = facts.transport == Transport::Tcp;
        let peer = facts.peer;
        Some(match row.name {
            "transport" => Alone::Said(doc(Transport::WORDS, facts.transport.name())),
            "tls" if facts.tls => Alone::Said("TLS ends in this process"),
            "tls" => Alone::Said("no TLS on the socket"),
            "peer" if !has_address => Alone::NoAddress,
            "peer-uid" => Alone::Owner,
            "same-host" if !has_address => Alone::SameHost,
            "same-host" if peer.is_loopback() => Alone::Loopback,
            "peer-is-own" if peer.ip().is_none() => Alone::Said("there is no peer address"),
            "peer-is-proxy" if facts.peer_is_proxy => Alone::Proxy,
            "origin" if facts.origin.class() == OriginClass::Absent => Alone::Said(NO_HEADER),
            "same-origin" | "origin-allowed" => Alone::Origin(row.name),
            "path" => Alone::Said("the request line"),
            "client-ip" | "ingress" if facts.ingress == Ingress::Direct => match peer.ip() {
                None => Alone::Said("no forwarding header, and no address"),
                Some(_) => Alone::Peer,
            },
            "client" => Alone::Said("`client.id` of the connect frame"),
            "mode" => Alone::Said("`client.mode` of the connect frame"),
            "role" => Alone::Said("`role` of the connect frame, operator when absent"),
            "platform" => Alone::Said("`client.platform` of the connect frame"),
            "secret-sent" if facts.secret_sent => {
                Alone::Said("`auth.token` or `auth.password` of the connect frame")
            }
            "secret-sent" => {
                Alone::Said("neither `auth.token` nor `auth.password` in the connect frame")
            }
            "auth" | "auth-failure" => Alone::Said(of_auth(facts)?),
            "setting.auth-mode" => return None,
            name => Alone::Setting(setting_key(name)?),
        })
    }

    fn phrase(&self, facts: &Facts) -> Cow<'static, str> {
        let Facts {
            transport, peer, ..
        } = facts;
        match *self {
            Alone::Said(phrase) => phrase.into(),
            Alone::Owner => {
                let owner = doc(PeerUid::WORDS, facts.peer_uid.name());
                format!("credentials of the socket: {owner}").into()
            }
            Alone::SameHost => format!("`{transport}` does not leave this host").into(),
            Alone::Loopback => format!("the peer {peer} is loopback").into(),
            Alone::Proxy => format!("{peer} is in `trustedProxies`").into(),
            Alone::NoAddress => format!("`{transport}` has no address").into(),
            Alone::Peer => format!("no forwarding header: the peer {peer} itself").into(),
            Alone::Origin(name) => of_origin(name, facts).into(),
            Alone::Setting(key) => format!("`{key}` of the settings").into(),
        }
    }
}

/// The phrases that [`alone`] does not give: of headers, and of facts that are not as they
/// usually are. Those of the socket's ends and of the scopes asked for are [`of_ends`] and
/// [`of_scopes`].
#[must_use]
pub fn beyond_facts(seen: &Seen<'_>, facts: &Facts) -> Vec<(AttributeId, String)> {
    let evidences = Evidences::of(seen.http);
    let worth = AttributeId::all().filter(|id| is_worth(*id, evidences.get(*id), facts));
    let phrase = |id: AttributeId| (id, evidences.get(id).beyond(id, seen, facts));
    worth.map(phrase).collect()
}

/// The same of what is known before the connect frame.
#[must_use]
pub fn beyond_facts_at_upgrade(head: Head<'_>, facts: &Facts) -> Vec<(AttributeId, String)> {
    let evidences = Evidences::of(head.http);
    let early = Early { head, facts };
    let known = AttributeId::all().filter(|id| id.row().stage < Stage::Connect);
    let worth = known.filter(|id| is_worth(*id, evidences.get(*id), facts));
    worth
        .filter_map(|id| Some((id, early.phrase(evidences.get(id), id.row().name)?)))
        .collect()
}

/// What shows the peer of a TCP connection: both ends of the socket.
#[must_use]
pub fn of_ends(peer: impl Display, local: Option<impl Display>) -> String {
    match local {
        Some(local) => format!("socket {peer} → {local}"),
        None => format!("socket {peer}"),
    }
}

/// What shows the scopes: those that are asked for.
#[must_use]
pub fn of_scopes<S: AsRef<str>>(asked: &[S]) -> String {
    format!("asks {}", list(asked))
}

/// Whether a phrase says more than its fact.
fn is_worth(id: AttributeId, evidence: Evidence, facts: &Facts) -> bool {
    if matches!(evidence, Evidence::Header(_)) {
        return true;
    }
    // What is most often so is looked at first.
    let unusual = match (id.row().kind, id.row().name) {
        (Kind::Flag { get, .. }, _) => get(facts),
        (_, "pending") => facts.pending != PendingRequest::None,
        (_, name) => !matches!(name, "device-family" | "setting.auth-mode" | "setting.bind"),
    };
    // A log has both ends of the socket and the scopes asked for in fields of their own.
    let told = matches!(
        id.row().name,
        "peer" | "scopes" | "unknown-scope" | "outside-role"
    );
    unusual && !told && Alone::of(id, facts).is_none()
}

/// What shows which authentication held, or why none did. That of a proxy is in its headers.
fn of_auth(facts: &Facts) -> Option<&'static str> {
    Some(match facts.auth {
        Auth::None | Auth::Failed => return of_auth_failure(facts.auth_failure),
        Auth::BootstrapToken => "the setup code matched",
        Auth::DeviceToken => "the token of this device matched",
        Auth::Host => "the in-process lane: the embedder vouches for the caller",
        Auth::Open => "`auth.mode` is `none`: nothing is asked for",
        Auth::Password => "the shared password matched",
        Auth::Tailscale => "whois confirmed the Tailscale login",
        Auth::Token => "the shared token matched",
        Auth::TrustedProxy => return None,
    })
}

fn of_auth_failure(failure: AuthFailure) -> Option<&'static str> {
    Some(match failure {
        AuthFailure::None => "none failed",
        AuthFailure::BootstrapTokenInvalid => "a setup code was sent that is not known",
        AuthFailure::DeviceTokenMismatch => "a device token was sent that is not this device's",
        AuthFailure::PasswordMismatch => "a wrong password was sent",
        AuthFailure::PasswordMissing => "no password was sent",
        AuthFailure::PasswordNotConfigured => "the mode is `password`, and none is configured",
        AuthFailure::RateLimited => "too many failures from this address, or of this device",
        AuthFailure::ScopeMismatch => {
            "the token of this device does not carry the scopes asked for"
        }
        AuthFailure::TokenMismatch => "a wrong token was sent",
        AuthFailure::TokenMissing => "no token was sent",
        AuthFailure::TokenNotConfigured => "the mode is `token`, and none is configured",
        AuthFailure::Unauthorized => return None,
    })
}

fn of_origin(name: &str, facts: &Facts) -> String {
    let Facts { host, origin, .. } = facts;
    match name {
        _ if !origin.is_page() => format!("the Origin is {}", origin.class()),
        "same-origin" if facts.same_origin => {
            format!("Origin and Host are both {}", clean(host.name()))
        }
        "same-origin" => format!(
            "Origin {}, Host {}",
            clean(origin.text()),
            clean(&host.to_string())
        ),
        _ if facts.origin_allowed => "`controlUi.allowedOrigins` has it, or `*`".to_owned(),
        _ => format!("`controlUi.allowedOrigins` has no {}", clean(origin.text())),
    }
}

/// The key of the settings that a fact repeats.
fn setting_key(name: &str) -> Option<&'static str> {
    Some(match name {
        "setting.auth-mode" => "auth.mode",
        "setting.bind" => "bind",
        "setting.allow-insecure-auth" => "controlUi.allowInsecureAuth",
        "setting.disable-device-auth" => "controlUi.dangerouslyDisableDeviceAuth",
        "setting.host-header-origin" => "controlUi.dangerouslyAllowHostHeaderOriginFallback",
        "setting.auto-approve-local" => "nodes.pairing.autoApproveLocal",
        _ => return None,
    })
}

/// What phrases are made of that need no connect frame.
struct Early<'a> {
    head: Head<'a>,
    facts: &'a Facts,
}

/// What the other phrases are made of.
struct Late<'a> {
    seen: &'a Seen<'a>,
    facts: &'a Facts,
}

impl Early<'_> {
    /// The phrase; none where the connect frame or the store has the evidence.
    fn phrase(&self, evidence: Evidence, name: &str) -> Option<String> {
        Some(match (evidence, name) {
            (Evidence::Header(at), _) => self.header(at),
            (Evidence::NoHeader, _) => NO_HEADER.to_owned(),
            (Evidence::Socket, _) => self.socket(name),
            (Evidence::RequestLine, _) => "the request line".to_owned(),
            (Evidence::Credentials, _) => self.proxy_user(),
            (Evidence::Settings, _) => self.setting(name),
            (Evidence::Derived, "client-ip" | "ingress") => self.ingress(),
            (Evidence::Derived, _) => "other facts".to_owned(),
            (Evidence::Frame | Evidence::Proof | Evidence::Store, _) => return None,
        })
    }

    fn header(&self, at: u16) -> String {
        let http = self.head.http;
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
        let Evidence::Header(at) = Evidences::of(self.head.http).get(forwarded) else {
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
            Ingress::Direct => String::new(),
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
        let socket = self.head.socket;
        let peer = self.facts.peer;
        let local = socket
            .local
            .map_or(Address::NONE, |local| Address::new(local.ip()));
        match name {
            "peer" => match (socket.peer, socket.local) {
                (Some(peer), local) => of_ends(peer, local),
                (None, _) => format!("`{}` has no address", socket.transport),
            },
            "same-host" | "peer-is-own" if peer.ip().is_some() && peer == local => {
                format!("peer and local address are both {peer}")
            }
            "same-host" => format!("peer {peer} is neither loopback nor the local address {local}"),
            "peer-is-own" if self.facts.peer_is_own => {
                format!("{peer} is one of this host's addresses")
            }
            "peer-is-own" if socket.own_addresses.is_empty() => {
                format!("{peer} is not the local address {local}; no other is recorded")
            }
            _ => format!("{peer} is none of this host's addresses"),
        }
    }

    fn proxy_user(&self) -> String {
        let facts = self.facts;
        let request = request_of(facts, self.head.http);
        match proxy::user(self.head.settings, &request) {
            Ok(user) => format!("the proxy {} vouches for `{}`", facts.peer, clean(user)),
            Err(error) => error.to_string(),
        }
    }

    fn setting(&self, name: &str) -> String {
        let settings = self.head.settings;
        let peer = self.facts.peer;
        match name {
            "peer-is-proxy" if settings.trusted_proxies.proxies.is_empty() => {
                "`trustedProxies` is empty".to_owned()
            }
            "peer-is-proxy" => format!("{peer} is not in `trustedProxies`"),
            "node-network" => {
                let networks = &settings.nodes.pairing.auto_approve_cidrs.proxies;
                match (networks.is_empty(), self.facts.node_network) {
                    (true, _) => "`nodes.pairing.autoApproveCidrs` is empty".to_owned(),
                    (false, is) => format!(
                        "{} is {}in `nodes.pairing.autoApproveCidrs`",
                        self.facts.client_ip,
                        if is { "" } else { "not " }
                    ),
                }
            }
            "setting.auth-mode" if settings.auth.mode.is_none() => {
                "no `auth.mode`: password when there is one, else token".to_owned()
            }
            name => match setting_key(name) {
                Some(key) => format!("`{key}` of the settings"),
                None => "the settings".to_owned(),
            },
        }
    }
}

impl Late<'_> {
    fn phrase(&self, evidence: Evidence, name: &str) -> String {
        match (evidence, name) {
            (Evidence::Proof, _) => self.proof(),
            (Evidence::Store, "pending") => self.pending(),
            (Evidence::Store, _) => self.pairing(name),
            (_, name) => self.frame(name),
        }
    }

    fn frame(&self, name: &str) -> String {
        let claims = self.seen.connect.claims();
        match name {
            "device-family" if claims.device_family.is_none() => {
                "no `client.deviceFamily` in the connect frame".to_owned()
            }
            "device-family" => "`client.deviceFamily` of the connect frame".to_owned(),
            _ => of_scopes(&claims.scopes),
        }
    }

    fn proof(&self) -> String {
        let Some(device) = &self.seen.connect.claims().device else {
            return "no device in the connect frame".to_owned();
        };
        let age_ms = i128::from(self.seen.time_ms) - i128::from(device.signed_at_ms);
        let (seconds, when) = (
            age_ms.unsigned_abs().div_ceil(1000),
            if age_ms < 0 { "after" } else { "before" },
        );
        let allowed = self.seen.settings.compatibility.device_skew_ms / 1000;
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
        let claims = self.seen.connect.claims();
        let Some(device) = &claims.device else {
            return "no device in the connect frame".to_owned();
        };
        if self.facts.device == DeviceProof::Absent {
            return PASSED_OVER.to_owned();
        }
        let id = short(&device.id);
        let Some(record) = &self.seen.standing.record else {
            return format!("no record for device {id}");
        };
        // Each is made only where it is said.
        let role = || {
            let mut roles: Vec<&str> = record.approved_roles().collect();
            roles.sort_unstable();
            roles.dedup();
            let (roles, asked) = (list(&roles), claims.role);
            format!("record approved role {roles}; asks {asked}")
        };
        let scope = || {
            let (approved, asked) = (list(record.baseline()), list(&claims.scopes));
            format!("record approved {approved}; asks {asked}")
        };
        let facts = self.facts;
        match (name, facts.pairing) {
            (_, Pairing::KeyChanged) => format!("the record of device {id} has another key"),
            ("role-upgrade", _) => role(),
            ("scope-upgrade", _) => scope(),
            ("metadata-upgrade", _) => self.metadata(record),
            (_, Pairing::Upgrade) => {
                let parts = [
                    facts.metadata_upgrade.then(|| self.metadata(record)),
                    facts.role_upgrade.then(role),
                    facts.scope_upgrade.then(scope),
                ];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                parts.join("; ")
            }
            _ => scope(),
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
        let waiting = self.seen.standing.pending.as_ref();
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
}

/// Said where a header is not there.
const NO_HEADER: &str = "no such header";

/// Said of a device that was sent and not looked at.
const PASSED_OVER: &str = "passed over: `controlUi.dangerouslyDisableDeviceAuth` is on";

fn doc(words: &'static [Word], name: &str) -> &'static str {
    words
        .iter()
        .find(|word| word.name == name)
        .map_or("", |word| word.doc)
}
