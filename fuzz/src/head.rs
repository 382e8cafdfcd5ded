//! Any bytes as the head of a request. What the gateway's HTTP parser lets through is read as it is
//! written, header by header; its facts go together; and who the client is behind trusted proxies is
//! what a plain reading of the chain says, whatever the client wrote before what the last proxy adds.
//!
//! The first bytes say what is configured and whose socket it is, the rest is the head.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::ready;
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use futures_util::FutureExt as _;
use gw::facts::address::{TrustedProxies, parse_literal};
use gw::facts::assumptions::{ASSUMPTIONS, Assumption};
use gw::facts::forwarding::ForwardingRule;
use gw::facts::{
    Address, AttributeId, Facts, HostClass, Ingress, OriginClass, PeerUid, Stage, Transport,
};
use gw::handshake::{Http, Socket, at_upgrade};
use gw::settings::Settings;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;

use super::choices::Choices;
use super::releases::{COMPATIBILITY, is_of_a_release};

/// What may be configured of proxies; of each list, a bit beside it says whether `X-Real-IP` counts.
const PROXIES: [&[&str]; 4] = [
    &[],
    &["127.0.0.1", "::1"],
    &["10.0.0.0/8", "fd00::/8"],
    &["10.0.0.5", "fe80::1", "203.0.113.0/24"],
];

const PEERS: [&str; 8] = [
    "127.0.0.1:51000",
    "10.0.0.5:51000",
    "[::1]:51000",
    "[fe80::1]:51000",
    "[::ffff:10.0.0.5]:51000",
    "203.0.113.9:51000",
    "192.168.1.10:51000",
    "198.51.100.7:51000",
];

const PAGES: [&str; 2] = ["https://ui.example.com", "http://localhost:5173"];

/// What a proxy in front of the gateway saw.
const SEEN: &str = "198.51.100.77";

/// Each list of proxies, with and without `X-Real-IP`, under the constants of each release.
static SETTINGS: LazyLock<Vec<Settings>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for compatibility in COMPATIBILITY.iter() {
        for proxies in PROXIES {
            for real_ip in [false, true] {
                let settings = json!({
                    "auth": { "token": "test-token-not-a-secret" },
                    "trustedProxies": proxies, "allowRealIpFallback": real_ip,
                    "controlUi": { "allowedOrigins": PAGES }, "compatibility": compatibility,
                });
                all.push(serde_json::from_value(settings).unwrap());
            }
        }
    }
    all
});

/// The assumptions that are about nothing but the request.
static ABOUT_REQUESTS: LazyLock<Vec<&Assumption>> = LazyLock::new(|| {
    let is_early = |name: &&str| {
        let id = AttributeId::named(name).unwrap();
        id.row().stage == Stage::Upgrade
    };
    let all = ASSUMPTIONS.iter();
    all.filter(|it| it.about.iter().all(is_early)).collect()
});

/// Reads the bytes as a head.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let settings = choices.one(&SETTINGS);
    let peer: SocketAddr = choices.one(&PEERS).parse().unwrap();
    let socket = Socket {
        transport: if choices.rarely() {
            Transport::Unix
        } else {
            Transport::Tcp
        },
        peer: Some(peer),
        local: Some(
            if peer.is_ipv4() {
                "192.168.1.5:18789"
            } else {
                "[::1]:18789"
            }
            .parse()
            .unwrap(),
        ),
        tls: false,
        peer_uid: PeerUid::Unknown,
        own_addresses: [].into(),
    };
    let socket = match socket.transport {
        Transport::Tcp => socket,
        Transport::Unix | Transport::InProcess => Socket {
            peer: None,
            local: None,
            ..socket
        },
    };
    let bytes = choices.rest();
    let Some(http) = parsed(bytes) else {
        return;
    };
    is_as_written(&http, bytes);
    let facts = at_upgrade(settings, &socket, &http);
    let mut broken = ABOUT_REQUESTS.iter().filter(|it| !(it.holds)(&facts));
    let constants = &settings.compatibility;
    assert!(
        broken.all(|it| is_of_a_release(it, constants)),
        "{facts:#?}"
    );
    shows_what_is_there(&facts, &http);

    let (ingress, client) = client(settings, &socket, &http);
    assert_eq!(
        (facts.ingress, facts.client_ip.ip()),
        (ingress, client),
        "{:?}",
        http.headers
    );
    let mut behind = http.clone();
    behind.headers.push(("x-forwarded-for".into(), SEEN.into()));
    let facts = at_upgrade(settings, &socket, &behind);
    let expected = match facts.peer_is_proxy {
        true => (Ingress::TrustedProxy, SEEN.parse().ok()),
        false => (Ingress::Unattributable, None),
    };
    assert_eq!(
        (facts.ingress, facts.client_ip.ip()),
        expected,
        "{:?}",
        behind.headers
    );
}

/// The head as the gateway sees it, where there is one.
fn parsed(bytes: &[u8]) -> Option<Http> {
    let seen = RefCell::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        seen.replace(Some(gw::server::head(&request)));
        ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())))
    });
    let stream = tokio::io::join(bytes, tokio::io::sink());
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(16_384)
        .serve_connection(TokioIo::new(stream), service);
    // All bytes are there, and nothing is waited for.
    drop(connection.now_or_never());
    seen.into_inner()
}

/// Holds a head against its lines, as anybody reads them.
fn is_as_written(http: &Http, bytes: &[u8]) {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = text.trim_start_matches(['\r', '\n']).split('\n');
    let mut lines = lines
        .by_ref()
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    let target = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or_default();
    if target.starts_with('/') {
        // A target is UTF-8, as far as it is not ASCII.
        let target = target.split('#').next().unwrap_or_default();
        let target: Vec<u8> = target.chars().map(|it| it as u8).collect();
        assert_eq!(http.path.as_bytes(), target);
    }
    let lines: Vec<(String, &str)> = lines
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])))
        .collect();
    assert_eq!(http.headers.len(), lines.len(), "{lines:?}");
    for (name, _) in &lines {
        let own = lines.iter().filter(|(other, _)| other == name);
        let own: Vec<&str> = own.map(|(_, value)| *value).collect();
        let found: Vec<&str> = http.values(name).map(|(_, value)| value).collect();
        assert_eq!(found, own, "{name}");
    }
}

/// Facts that anybody can count.
fn shows_what_is_there(facts: &Facts, http: &Http) {
    let count = |name: &str| http.values(name).count();
    let family = |name: &str| name.to_ascii_lowercase().starts_with("x-forwarded-");
    let mut names = http.headers.iter().map(|(name, _)| &**name);
    let is_forwarded = names.any(|name| {
        let name = name.to_ascii_lowercase();
        family(&name)
            || name == "forwarded"
            || name == "x-real-ip"
            || name.starts_with("tailscale-")
    });
    assert!(!facts.forwarded || is_forwarded);
    assert_eq!(
        facts.origin.class() == OriginClass::Absent,
        count("origin") == 0
    );
    assert!(count("origin") < 2 || facts.origin.class() == OriginClass::Invalid);
    assert!(count("host") > 0 || facts.host.class() == HostClass::Absent);
    assert!(count("host") < 2 || !facts.same_origin);
    if facts.origin_allowed {
        let (_, page) = http.values("origin").next().unwrap();
        let page = page.trim().to_ascii_lowercase();
        assert!(PAGES.iter().any(|it| page.starts_with(it)), "{page}");
    }
    if facts.same_origin {
        let first = |name: &'static str| {
            let (_, value) = http.values(name).next().unwrap();
            value.trim().to_ascii_lowercase()
        };
        let (host, page) = (first("host"), first("origin"));
        assert!(!host.is_empty() && page.contains(&host), "{page} {host}");
    }
}

/// Who sent the request on, and for whom, as it stands in the documents.
fn client(settings: &Settings, socket: &Socket, http: &Http) -> (Ingress, Option<IpAddr>) {
    let Some(peer) = socket.peer.map(|peer| peer.ip().to_canonical()) else {
        return match counts(settings, http) {
            true => (Ingress::Unattributable, None),
            false => (Ingress::Direct, None),
        };
    };
    let proxies = &settings.trusted_proxies.proxies;
    let is_trusted = proxies.contains(peer);
    if !counts(settings, http) && (!is_trusted || Address::new(peer).is_loopback()) {
        return (Ingress::Direct, Some(peer));
    }
    let unknown = (Ingress::Unattributable, None);
    if !is_trusted {
        return unknown;
    }
    let mut chain: Vec<&str> = Vec::new();
    for (_, value) in http.values("x-forwarded-for") {
        chain.extend(value.split(','));
    }
    let mut found = None;
    // Who comes last in the list was written by the proxy that is nearest.
    while let (None, Some(hop)) = (found, chain.pop()) {
        found = address(hop)
            .filter(|ip| !Address::new(*ip).is_loopback() && !is_a_proxy(proxies, hop, *ip));
    }
    let real: Vec<&str> = http.values("x-real-ip").map(|(_, value)| value).collect();
    if let (None, true, [only]) = (found, settings.allow_real_ip_fallback, real.as_slice()) {
        found = address(only);
    }
    let believed = settings.compatibility.loopback_clients;
    match found.filter(|ip| believed || !Address::new(*ip).is_loopback()) {
        Some(ip) => (Ingress::TrustedProxy, Some(ip)),
        None => unknown,
    }
}

/// Whether the release takes a request for one that was sent on.
fn counts(settings: &Settings, http: &Http) -> bool {
    let has = |name: &str| http.values(name).any(|(_, value)| !value.trim().is_empty());
    let client = has("x-forwarded-for") || has("x-real-ip");
    match settings.compatibility.forwarding {
        ForwardingRule::Client => client,
        ForwardingRule::Listed => {
            client || has("forwarded") || has("x-forwarded-host") || has("x-forwarded-proto")
        }
        ForwardingRule::Any => http.headers.iter().any(|(name, _)| {
            let name = name.to_ascii_lowercase();
            let tailscale = name.strip_prefix("tailscale-").is_some_and(|rest| {
                let known = ["funnel-request", "headers-info", "user-login", "user-name"];
                known.contains(&rest) || rest == "user-profile-pic"
            });
            tailscale
                || name.starts_with("x-forwarded-")
                || name == "forwarded"
                || name == "x-real-ip"
        }),
    }
}

/// One entry of a chain: an address, or an address and a port.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    if let Some(ip) = parse_literal(hop) {
        return Some(ip);
    }
    // A list is no address, whatever comes after its first colon.
    if hop.contains(',') {
        return None;
    }
    let at = hop.rfind(':')?;
    let host = &hop[..at];
    match host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        true => None,
        false => parse_literal(host),
    }
}

/// Whether a hop is one of the proxies. With a zone it is the address of an interface, and only a
/// network can name it.
fn is_a_proxy(proxies: &TrustedProxies, hop: &str, ip: IpAddr) -> bool {
    if !hop.contains('%') {
        return proxies.contains(ip);
    }
    let mut networks = PROXIES.iter().flat_map(|list| list.iter());
    proxies.contains(ip)
        && networks.any(|network| {
            let (only, _) = TrustedProxies::parse([network]);
            network.contains('/') && proxies.contains(ip) && only.contains(ip)
        })
}
