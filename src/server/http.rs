//! Plain HTTP on the gateway's port: what is asked before there is a WebSocket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode, Version};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::clock::now_ms;
use super::gateway::{Phase, Shared, lock};
use super::metrics;
use super::page::Passing;
use crate::facts::{HostClass, Ingress, OriginClass};
use crate::handshake::{Http, Socket, at_upgrade};
use crate::relay::http::{NoAnswer, Stays, has_one_host};
use crate::wire::reply::{CONNECTION_ID, HttpRefusal};

/// An answer: one of ours, whole, or one of the upstream.
pub(super) type Answer = Response<Either<Full<Bytes>, Box<Passing>>>;

/// After how many seconds the upstream may be there again.
const AGAIN: &str = "5";

/// What a request is.
pub(super) enum Asked {
    /// It asks for a WebSocket; with what proves that its answer was meant for it.
    WebSocket(HeaderValue),
    /// It asks for one in a way that there is not.
    BrokenWebSocket(Answer),
    /// Anything else.
    Page,
}

/// Finds out what a request is, by RFC 6455, 4.2.1. What is wrong is answered as OpenClaw's
/// gateway does (`http/*` of the recordings).
pub(super) fn asked(request: &Request<Incoming>) -> Asked {
    let headers = request.headers();
    let lists = |name: HeaderName, token: &str| {
        let mut sent = headers.get_all(name).iter().flat_map(|value| {
            let value = value.to_str().unwrap_or_default();
            value.split(',')
        });
        sent.any(|sent| sent.trim().eq_ignore_ascii_case(token))
    };
    let websocket = lists(UPGRADE, "websocket");
    let upgrade = headers.contains_key(UPGRADE) && lists(CONNECTION, "upgrade");
    if !upgrade && !websocket {
        return Asked::Page;
    }
    let broken = |status, message: &str| Asked::BrokenWebSocket(text(status, message));
    // What follows a head like this is read otherwise by a proxy that believes in the body.
    let lengths = headers.get_all(CONTENT_LENGTH);
    let empty = lengths.iter().all(|length| length == "0");
    if headers.contains_key(TRANSFER_ENCODING) || !empty {
        return broken(StatusCode::BAD_REQUEST, "a WebSocket begins without a body");
    }
    // Each reader on the way could take another one (RFC 9112, 3.2).
    if headers.get_all(HOST).iter().count() > 1 {
        return broken(StatusCode::BAD_REQUEST, "a request has one `Host`");
    }
    if !websocket {
        return broken(
            StatusCode::BAD_REQUEST,
            "only WebSocket is spoken beside HTTP/1.1",
        );
    }
    if request.method() != Method::GET {
        let mut answer = text(
            StatusCode::METHOD_NOT_ALLOWED,
            "a WebSocket begins with GET",
        );
        let understood = HeaderValue::from_static("GET");
        answer.headers_mut().insert(ALLOW, understood);
        return Asked::BrokenWebSocket(answer);
    }
    if request.version() < Version::HTTP_11 {
        return broken(StatusCode::BAD_REQUEST, "a WebSocket begins over HTTP/1.1");
    }
    if !upgrade {
        return broken(StatusCode::BAD_REQUEST, "`Connection: Upgrade` is missing");
    }
    let version = headers.get(SEC_WEBSOCKET_VERSION);
    if version.is_none_or(|sent| sent != "13" && sent != "8") {
        let mut answer = text(
            StatusCode::BAD_REQUEST,
            "`Sec-WebSocket-Version` is missing, or none that is spoken here",
        );
        let spoken = HeaderValue::from_static("13, 8");
        answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, spoken);
        return Asked::BrokenWebSocket(answer);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16));
    let accept = key.map(derive_accept_key);
    match accept.and_then(|accept| HeaderValue::from_str(&accept).ok()) {
        Some(accept) => Asked::WebSocket(accept),
        None => broken(
            StatusCode::BAD_REQUEST,
            "`Sec-WebSocket-Key` is missing, or no 16 bytes in base64",
        ),
    }
}

/// The answer that turns a connection into a WebSocket. No extension is taken up, and no
/// subprotocol that is not named.
pub(super) fn switching(
    accept: HeaderValue,
    connection: &str,
    subprotocol: Option<&str>,
) -> Answer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(Ok(name)) = subprotocol.map(HeaderValue::from_str) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, name);
    }
    named(answer, connection)
}

/// The same with the id of its connection, by which it is found in the log.
fn named(mut answer: Answer, connection: &str) -> Answer {
    if let Ok(id) = HeaderValue::from_str(connection) {
        answer.headers_mut().insert(CONNECTION_ID, id);
    }
    answer
}

/// The answer to a request that cannot be understood for sure.
pub(super) fn bad(error: &dyn std::error::Error) -> Answer {
    text(StatusCode::BAD_REQUEST, &error.to_string())
}

/// The answer to a request that the policy or a limit refuses.
pub(super) fn refused(refusal: &HttpRefusal, connection: &str) -> Answer {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::FORBIDDEN);
    let mut answer = body(status, refusal.content_type, refusal.body.clone());
    for (name, value) in &refusal.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(*name, value);
        }
    }
    named(answer, connection)
}

/// The answer to anything but a WebSocket.
pub(super) fn page(shared: &Shared, socket: &Socket, request: &Request<Incoming>) -> Answer {
    let path = request.uri().path();
    let metrics = shared.options.metrics && is_of_this_host(shared, socket, request);
    let known = matches!(path, "/healthz" | "/readyz") || metrics && path == "/metrics";
    if known && !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "GET is understood here");
        let understood = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, understood);
        return answer;
    }
    match path {
        "/healthz" => json_body(StatusCode::OK, &json!({ "ok": true, "status": "live" })),
        "/readyz" => match shared.unready() {
            None => json_body(StatusCode::OK, &json!({ "ready": true })),
            Some(why) => json_body(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({ "ready": false, "why": why }),
            ),
        },
        "/metrics" if metrics => body(StatusCode::OK, metrics::CONTENT_TYPE, shared.metrics_page()),
        _ => nothing(),
    }
}

/// The answer where there is nothing.
pub(super) fn nothing() -> Answer {
    text(
        StatusCode::NOT_FOUND,
        "This is a WebSocket gateway. Beside that it has /healthz and /readyz.",
    )
}

/// The answer to a request that does not go to the upstream.
pub(super) fn stays(why: &Stays) -> Answer {
    let status = match why {
        Stays::NotListed => return nothing(),
        Stays::Path(_) | Stays::Host | Stays::Body => StatusCode::BAD_REQUEST,
        Stays::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
        Stays::Length => StatusCode::LENGTH_REQUIRED,
        Stays::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
    };
    let mut answer = text(status, &why.to_string());
    if let Stays::Method(methods) = why
        && let Ok(understood) = HeaderValue::from_str(&methods.join(", "))
    {
        answer.headers_mut().insert(ALLOW, understood);
    }
    answer
}

/// The answer where the upstream gives none. What it is about is its owner's to know.
pub(super) fn no_answer(why: &NoAnswer) -> Answer {
    let (status, message) = match why {
        NoAnswer::Away(_) | NoAnswer::Late(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The server behind the gateway cannot be reached. Try again later.",
        ),
        NoAnswer::NotSent(_) => (
            StatusCode::BAD_REQUEST,
            "The request ended before its body.",
        ),
        NoAnswer::NoHttp(_) | NoAnswer::Switches | NoAnswer::BrokeOff(_) | NoAnswer::Stopped(_) => {
            (
                StatusCode::BAD_GATEWAY,
                "The server behind the gateway gives no answer that can be passed on. Try again later.",
            )
        }
    };
    let mut answer = text(status, message);
    let again = HeaderValue::from_static(AGAIN);
    answer.headers_mut().insert(RETRY_AFTER, again);
    answer
}

/// Whether whoever asks is on this host, by the facts that a policy would judge: no proxy asks for
/// somebody else, and no page does, by whatever name it got here. A request that names two hosts
/// may be another one to whoever passed it on.
fn is_of_this_host(shared: &Shared, socket: &Socket, request: &Request<Incoming>) -> bool {
    let settings = &shared.snapshot().settings;
    let facts = at_upgrade(settings, socket, &head(request));
    has_one_host(request.uri(), request.headers())
        && facts.same_host
        && !facts.forwarded
        && !facts.proxy_trace
        && facts.ingress == Ingress::Direct
        && facts.origin.class() == OriginClass::Absent
        && (socket.peer.is_none() || facts.host.class() == HostClass::Loopback)
}

impl Shared {
    /// Why it takes no connections; nothing when it does.
    pub(super) fn unready(&self) -> Option<&'static str> {
        if *self.phase.borrow() != Phase::Open {
            return Some("it stops");
        }
        match self.store.load("") {
            Ok(_) => None,
            Err(_) => Some("the store of devices fails"),
        }
    }

    /// As the method `health` answers, whose callers want `ok` and a time.
    pub(super) fn health(&self, unready: Option<&str>) -> Value {
        json!({
            "ok": unready.is_none(),
            "ts": now_ms(),
            "durationMs": 0,
            "sessions": { "count": self.sessions.count() },
            "policy": { "differs": lock(&self.files).differs() },
        })
    }
}

fn text(status: StatusCode, message: &str) -> Answer {
    body(status, "text/plain; charset=utf-8", format!("{message}\n"))
}

fn json_body(status: StatusCode, value: &Value) -> Answer {
    body(status, "application/json; charset=utf-8", value.to_string())
}

fn body(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// The head of a request as it is judged: for an embedder too, who serves HTTP and asks
/// [`at_upgrade`](crate::admission::at_upgrade). A header is bytes; each is taken for the character of
/// its number, as Node does, so that rules read what OpenClaw's would.
#[must_use]
pub fn head<B>(request: &Request<B>) -> Http {
    Http {
        path: request.uri().to_string().into(),
        headers: headers(request.headers()),
    }
}

fn headers(headers: &HeaderMap) -> Vec<(Box<str>, Box<str>)> {
    let text = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| char::from(*byte))
            .collect::<String>()
    };
    headers
        .iter()
        .map(|(name, value)| (name.as_str().into(), text(value.as_bytes()).into()))
        .collect()
}
