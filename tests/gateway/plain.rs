//! Any WebSocket server behind the gateway: who gets through, what of a request does, and what both
//! ends hear of an end.

use futures_util::{SinkExt as _, StreamExt as _};
use gw::facts::{Auth, DeviceProof, Pairing};
use gw::journal::{Finish, Kind, Line, Unfinished};
use gw::relay::{Login, Upstream};
use gw::secret::Secret;
use gw::server::{Listener, Options};
use gw::wire::Bearer;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use crate::client::{Asking, Client, Closed, TOKEN, soon};
use crate::echo::{Behind, Heard, Manner, header, large, upstream};
use crate::handshakes::http;
use crate::raw::Raw;
use crate::served::{Plan, Served, rules, settings};

/// Whoever has the token gets through, with less than he is taken to ask for.
const DOOR: &str = "[with-token] auth=token → approve(scopes={ operator.read })
default → reject(as-found)";

/// The same for pages of the gateway's own address.
const PAGE: &str = "auth=token and same-origin → approve
default → reject(origin-not-allowed)";

fn plan(upstream: Arc<Upstream>, policy: &str) -> Plan {
    Plan {
        policy: rules(policy),
        options: Options {
            upstream: Some(upstream),
            ..Options::default()
        },
        ..Plan::default()
    }
}

/// A request for a WebSocket, with these headers.
fn request(target: &str, headers: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: gw.example\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

fn token() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

/// The token as a page sends it.
fn offered_token() -> String {
    // In base64url.
    let name = "gw.bearer.M2Y5YTFjNzdlMGIyNGQ1OA";
    let read = Bearer::read([("sec-websocket-protocol", name)].into_iter()).unwrap();
    assert_eq!(read.token, Some(Secret::new(TOKEN)));
    name.to_owned()
}

type Socket = WebSocketStream<TcpStream>;

/// A client that is let through, and the head of its answer.
async fn through(served: &Served, request: &str) -> (Socket, String) {
    let mut raw = Raw::new(served.tcp().await);
    raw.send(request.as_bytes()).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let socket = WebSocketStream::from_raw_socket(raw.stream, Role::Client, Some(large())).await;
    (socket, head)
}

async fn next(socket: &mut Socket) -> Message {
    soon("a message", socket.next()).await.unwrap().unwrap()
}

/// How it is closed; what comes before is passed over.
async fn closed(socket: &mut Socket) -> Closed {
    loop {
        if let Message::Close(frame) = next(socket).await {
            let frame = frame.unwrap();
            while let Some(Ok(_)) = soon("the end", socket.next()).await {}
            return Closed::new(frame.code.into(), &frame.reason);
        }
    }
}

fn only(lines: &[Line], kind: Kind) -> &Line {
    let of_kind: Vec<&Line> = lines.iter().filter(|line| line.kind == kind).collect();
    assert_eq!(of_kind.len(), 1, "{lines:?}");
    of_kind[0]
}

#[tokio::test]
async fn who_has_the_token_gets_through_and_the_server_is_told_who_it_is() {
    let mut behind = Behind::new(Manner::Echo("")).await;
    let upstream = behind.upstream(Login::Token(Secret::new("theirs")));
    let served = plan(Arc::clone(&upstream), DOOR).serve();
    let headers = format!(
        "{}User-Agent: test\r\nX-App: 1\r\nCookie: a=b\r\nGw-Client: 192.0.2.66\r\n\
         gw_rule: forged\r\nGW-SCOPES: operator.admin\r\nX-Hop: 1\r\nConnection: x-hop\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n",
        token()
    );
    let (mut socket, head) = through(&served, &request("/app/ws?q=a%20b&r=..", &headers)).await;
    assert_eq!(header(&head, "sec-websocket-extensions"), None);
    assert_eq!(header(&head, "sec-websocket-protocol"), None);
    let asked = behind.head().await;
    let mut lines = asked.lines().map(str::to_owned);
    assert_eq!(lines.next().unwrap(), "GET /app/ws?q=a%20b&r=.. HTTP/1.1");
    let mut sent: Vec<String> = lines
        .filter(|line| !line.is_empty() && !line.starts_with("Sec-WebSocket-Key"))
        .collect();
    sent.sort_unstable_by_key(|line| line.to_lowercase());
    assert_eq!(
        sent,
        [
            "authorization: Bearer theirs",
            "Connection: Upgrade",
            "gw-auth: token",
            "gw-client: 127.0.0.1",
            "gw-rule: with-token",
            "gw-scopes: operator.read",
            "gw-verdict: approve",
            &format!("Host: {}", behind.address),
            "Sec-WebSocket-Version: 13",
            "Upgrade: websocket",
            "user-agent: test",
            "x-app: 1",
        ]
    );
    for message in [Message::text("hällo"), Message::binary(vec![0, 1, 255])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(next(&mut socket).await, message);
    }
    assert_eq!(upstream.open_now(), 1);
    assert_eq!(upstream.trouble(), None);
    let frame = CloseFrame {
        code: 4_321.into(),
        reason: "done".into(),
    };
    socket.close(Some(frame)).await.unwrap();
    assert_eq!(behind.end().await, Closed::new(4_321, "done"));
    let (_, lines) = served.end().await;
    let decided = only(&lines, Kind::Decided);
    assert!(decided.answer.as_ref().unwrap().admitted);
    assert_eq!(decided.by.as_deref(), Some("with-token"));
    assert_eq!(decided.scopes, Some(["operator.read".into()].into()));
    assert_eq!(
        decided.says.as_ref().unwrap().agent.as_deref(),
        Some("test")
    );
    let explained = decided.explained().unwrap();
    assert_eq!(explained.unread, Vec::<String>::new());
    let facts = &explained.facts;
    assert_eq!(
        (facts.auth, facts.device, facts.pairing, &*facts.path),
        (Auth::Token, DeviceProof::Absent, Pairing::None, "/app/ws")
    );
    let ended = only(&lines, Kind::SessionEnded);
    assert_eq!(ended.reason.as_deref(), Some(Finish::ClosedByClient.name()));
}

#[tokio::test]
async fn the_server_closes_as_it_likes() {
    let behind = Behind::new(Manner::Echo("")).await;
    let served = plan(behind.upstream(Login::None), DOOR).serve();
    let (mut socket, _) = through(&served, &request("/", &token())).await;
    socket.send(Message::text("before")).await.unwrap();
    socket.send(Message::text("close")).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::text("before"));
    assert_eq!(closed(&mut socket).await, Closed::new(4_000, "enough"));
    let (_, lines) = served.end().await;
    let ended = only(&lines, Kind::SessionEnded);
    assert_eq!(ended.reason.as_deref(), Some(Finish::UpstreamEnded.name()));
}

/// What a page offers, what the server is offered of it and chooses, and what the page is told.
#[tokio::test]
async fn subprotocols_are_the_servers_to_choose() {
    let token = &offered_token();
    let chosen = "Sec-WebSocket-Protocol: superchat\r\n";
    for (offered, behind, answer, told) in [
        (
            format!("chat, {token}, superchat"),
            "chat, superchat",
            chosen,
            Some("superchat"),
        ),
        (
            format!("gw.bearer, {token}, superchat"),
            "superchat",
            chosen,
            Some("superchat"),
        ),
        (
            format!("gw.bearer, {token}, chat"),
            "chat",
            "",
            Some("gw.bearer"),
        ),
        (format!("{token}, chat"), "chat", "", None),
        (format!("gw.bearer, {token}"), "", "", Some("gw.bearer")),
        (token.clone(), "", "", None),
    ] {
        let mut server = Behind::new(Manner::Echo(answer)).await;
        let served = plan(server.upstream(Login::None), PAGE).serve();
        let headers = format!("Origin: http://gw.example\r\nSec-WebSocket-Protocol: {offered}\r\n");
        let (_socket, head) = through(&served, &request("/", &headers)).await;
        assert_eq!(header(&head, "sec-websocket-protocol"), told, "{offered}");
        let asked = server.head().await;
        let sent = header(&asked, "sec-websocket-protocol").unwrap_or_default();
        assert_eq!(sent, behind, "{offered}");
        let own = format!("http://{}", server.address);
        assert_eq!(header(&asked, "origin"), Some(&*own));
        assert_eq!(header(&asked, "authorization"), None);
        assert!(!asked.contains("M2Y5"), "{asked}");
    }
}

/// The status, the kind and the words of an answer.
fn refusal(answer: &str) -> (u16, String, String) {
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let body: Value = serde_json::from_str(body).unwrap_or_else(|_| json!({}));
    let said = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
    (status, said("type"), said("message"))
}

#[tokio::test]
async fn who_does_not_get_through_is_told_what_to_do() {
    let mut behind = Behind::new(Manner::Echo("")).await;
    let wrong = "Authorization: Bearer wrong\r\n".to_owned();
    let basic = "Authorization: Basic eDp5\r\n".to_owned();
    let lan = "[lan] private → approve\ndefault → require-pairing";
    let hinted = "default → require-pairing hint=\"call 4711\"";
    let early = "guard at upgrade path=\"/ws\" → reject(not-permitted)\ndefault → approve";
    for (policy, headers, status, kind, words) in [
        (
            DOOR,
            String::new(),
            401,
            "token_missing",
            "`Authorization: Bearer TOKEN`",
        ),
        (DOOR, basic, 401, "token_missing", "gw.bearer"),
        (DOOR, wrong.clone(), 401, "token_mismatch", "send the token"),
        (
            "default → approve",
            wrong,
            401,
            "token_mismatch",
            "send the token",
        ),
        (lan, token(), 403, "pairing_required", "add a rule"),
        (hinted, token(), 403, "pairing_required", "call 4711"),
        (
            "default → reject(origin-not-allowed)",
            token(),
            403,
            "origin_not_allowed",
            "open the page",
        ),
        (
            "default → reject(device-required)",
            token(),
            403,
            "device_required",
            "add a rule",
        ),
        (early, token(), 403, "not_permitted", "ask the owner"),
    ] {
        let served = plan(behind.upstream(Login::None), policy).serve();
        let answer = http(&served, &request("/ws", &headers)).await;
        let (told, told_kind, message) = refusal(&answer);
        assert_eq!((told, &*told_kind), (status, kind), "{policy}");
        assert!(message.contains(words), "{policy}: {message}");
        let asks = header(&answer, "www-authenticate").is_some();
        assert_eq!(asks, status == 401, "{answer}");
        let (_, lines) = served.end().await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        let answered = lines[0].answer.as_ref().unwrap();
        assert_eq!(answered.http, Some(status));
        if lines[0].kind == Kind::Decided {
            assert_eq!(answered.code.as_deref(), Some(kind));
        }
        assert!(behind.is_quiet(), "{policy}");
    }
}

#[tokio::test]
async fn a_head_that_means_two_things_goes_no_further() {
    let mut behind = Behind::new(Manner::Echo("")).await;
    let served = plan(behind.upstream(Login::None), "default → approve").serve();
    let twice = format!("{}{}", token(), token());
    let both = format!("{}Sec-WebSocket-Protocol: {}\r\n", token(), offered_token());
    for (target, headers, words) in [
        ("/", "Host: gw.example\r\n", "one `Host`"),
        ("http://other.example/", "", "two hosts"),
        ("/public/../admin", "", "in another way"),
        ("/%61dmin", "", "in another way"),
        ("//admin", "", "in another way"),
        ("/caf%c3%a9", "", "in another way"),
        ("http://gw.example?/admin", "", "in another way"),
        ("/", "Transfer-Encoding: chunked\r\n", "without a body"),
        ("/", "Content-Length: 5\r\n", "without a body"),
        ("/", &twice, "more than once"),
        ("/", &both, "more than once"),
        ("/", "Authorization: Bearer a b\r\n", "one token"),
        ("/", "Sec-WebSocket-Protocol: gw.bearer.%\r\n", "base64url"),
        ("/", "Sec-WebSocket-Protocol: Gw.Bearer.%\r\n", "base64url"),
    ] {
        let answer = http(&served, &request(target, headers)).await;
        assert!(
            answer.starts_with("HTTP/1.1 400 "),
            "{target} {headers}: {answer}"
        );
        assert!(answer.contains(words), "{target} {headers}: {answer}");
    }
    assert!(behind.is_quiet());
}

#[tokio::test]
async fn wrong_tokens_are_counted() {
    let behind = Behind::new(Manner::Echo("")).await;
    let mut plan = plan(behind.upstream(Login::None), DOOR);
    plan.settings = settings(json!({
        "auth": {
            "token": TOKEN,
            "rateLimit": { "maxAttempts": 2, "exemptLoopback": false },
        },
    }));
    let served = plan.serve();
    let wrong = request("/", "Authorization: Bearer wrong\r\n");
    for status in [401, 401, 429] {
        let answer = http(&served, &wrong).await;
        assert_eq!(refusal(&answer).0, status, "{answer}");
        assert_eq!(header(&answer, "retry-after").is_some(), status == 429);
    }
    let right = http(&served, &request("/", &token())).await;
    assert_eq!(refusal(&right).0, 429, "{right}");
}

/// A session hears of what changes, and so does the server behind.
#[tokio::test]
async fn what_is_no_longer_admitted_ends_on_both_sides() {
    let brief = "auth=token → silent-approve(ttl=\"1s\")\ndefault → reject(not-permitted)";
    let another = json!({ "auth": { "token": "another-token-than-before" } });
    let stricter = Some(("default → reject(not-permitted)", json!({})));
    let narrower = Some(("default → approve(scopes=none)", json!({})));
    for (policy, put, close, finish) in [
        (
            DOOR,
            stricter,
            Closed::new(1008, "policy changed"),
            Finish::PolicyChanged,
        ),
        (
            DOOR,
            narrower,
            Closed::new(1008, "policy changed"),
            Finish::PolicyChanged,
        ),
        (
            DOOR,
            Some((DOOR, another)),
            Closed::new(4001, "gateway auth changed"),
            Finish::AuthChanged,
        ),
        (
            brief,
            None,
            Closed::new(1008, "device access expired"),
            Finish::Expired,
        ),
    ] {
        let mut behind = Behind::new(Manner::Echo("")).await;
        let served = plan(behind.upstream(Login::None), policy).serve();
        let (mut socket, _) = through(&served, &request("/", &token())).await;
        if let Some((policy, more)) = put {
            served.gateway.put(rules(policy), settings(more));
        }
        assert_eq!(closed(&mut socket).await, close);
        assert_eq!(behind.end().await, Closed::new(1000, ""));
        let (_, lines) = served.end().await;
        let ended = only(&lines, Kind::SessionEnded);
        assert_eq!(ended.reason.as_deref(), Some(finish.name()));
    }
}

/// What either end says on leaving is confirmed, as RFC 6455 (5.5.1) has it.
#[tokio::test]
async fn who_closes_hears_that_it_was_heard() {
    let mut behind = Behind::new(Manner::Echo("")).await;
    let served = plan(behind.upstream(Login::None), DOOR).serve();
    let (mut socket, _) = through(&served, &request("/", &token())).await;
    let bye = CloseFrame {
        code: 4_001.into(),
        reason: "bye".into(),
    };
    socket.close(Some(bye)).await.unwrap();
    assert_eq!(closed(&mut socket).await, Closed::new(4_001, "bye"));
    assert_eq!(behind.end().await, Closed::new(4_001, "bye"));
}

/// Its server may have nothing to tell it for days.
#[tokio::test]
async fn a_client_is_looked_after() {
    let behind = Behind::new(Manner::Echo("")).await;
    let mut plan = plan(behind.upstream(Login::None), DOOR);
    plan.limits.tick_ms = 200;
    let served = plan.serve();
    let (mut socket, _) = through(&served, &request("/", &token())).await;
    assert!(matches!(next(&mut socket).await, Message::Ping(_)));
}

#[tokio::test]
async fn a_gateway_that_stops_says_nothing_of_its_own() {
    let mut behind = Behind::new(Manner::Echo("")).await;
    let mut served = plan(behind.upstream(Login::None), DOOR).serve();
    let (mut socket, _) = through(&served, &request("/", &token())).await;
    served.stop();
    let first = next(&mut socket).await;
    let Message::Close(Some(frame)) = first else {
        panic!("{first:?}");
    };
    assert_eq!(u16::from(frame.code), 1012);
    assert_eq!(behind.end().await, Closed::new(1000, ""));
}

/// Whoever reads nothing for a while holds up the server, and loses nothing; one message is as
/// large as may be.
#[tokio::test]
async fn large_messages_go_both_ways_in_their_order() {
    const MANY: usize = 16;
    let mut behind = Behind::new(Manner::Echo("")).await;
    let served = plan(behind.upstream(Login::None), DOOR).serve();
    let (socket, _) = through(&served, &request("/", &token())).await;
    let (mut to, mut from) = socket.split();
    let sized = |number: usize| match number {
        0 => 20 << 20,
        number => (1 << 20) + number,
    };
    let sending = tokio::spawn(async move {
        for number in 0..MANY {
            let payload = vec![u8::try_from(number).unwrap(); sized(number)];
            to.send(Message::binary(payload)).await.unwrap();
        }
        to
    });
    while !matches!(behind.heard().await, Heard::Message) {}
    for number in 0..MANY {
        let message = soon("a message", from.next()).await.unwrap().unwrap();
        let Message::Binary(payload) = message else {
            panic!("another message");
        };
        assert_eq!(payload.len(), sized(number));
        assert!(payload.iter().all(|byte| usize::from(*byte) == number));
    }
    drop(soon("the sender", sending).await.unwrap());
}

/// What is wrong behind is for the owner; the client is told when to come again, or what to look at.
#[tokio::test]
async fn a_server_that_does_not_take_the_client() {
    let accept = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let switching = |more: &str| -> &'static str {
        format!("HTTP/1.1 101 Switching Protocols\r\n{accept}{more}\r\n").leak()
    };
    for (manner, status, kind, trouble) in [
        (
            Manner::Says("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
            502,
            "upstream_refused",
            "answers 404",
        ),
        (
            Manner::Says("SSH-2.0-nonsense\r\n\r\n"),
            503,
            "upstream_unavailable",
            "does not speak WebSocket",
        ),
        (
            Manner::Says(switching("Sec-WebSocket-Accept: AAAA\r\n")),
            503,
            "upstream_unavailable",
            "answers another request",
        ),
        (
            Manner::Echo("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
            503,
            "upstream_unavailable",
            "an extension",
        ),
        (
            Manner::Echo("Sec-WebSocket-Protocol: chat\r\n"),
            503,
            "upstream_unavailable",
            "a subprotocol",
        ),
        (
            Manner::Says(""),
            503,
            "upstream_unavailable",
            "closed the connection",
        ),
    ] {
        let behind = Behind::new(manner).await;
        let upstream = behind.upstream(Login::None);
        let served = plan(Arc::clone(&upstream), DOOR).serve();
        refused_behind(served, &upstream, (status, kind), trouble).await;
    }
    let nobody = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap()
    };
    let upstream = upstream(nobody, Login::None);
    let served = plan(Arc::clone(&upstream), DOOR).serve();
    let told = (503, "upstream_unavailable");
    refused_behind(served, &upstream, told, "nobody listens").await;
}

async fn refused_behind(
    served: Served,
    upstream: &Upstream,
    (status, kind): (u16, &str),
    trouble: &str,
) {
    let answer = http(&served, &request("/", &token())).await;
    let (told, told_kind, message) = refusal(&answer);
    assert_eq!((told, &*told_kind), (status, kind), "{answer}");
    assert_eq!(header(&answer, "retry-after").is_some(), status == 503);
    assert!(!message.contains("127.0.0.1"), "{message}");
    let what = upstream.trouble().unwrap().what;
    assert!(what.contains(trouble), "{what}");
    assert_eq!(served.gateway.sessions(), 0);
    let (_, lines) = served.end().await;
    let decided = only(&lines, Kind::Decided);
    let answered = decided.answer.as_ref().unwrap();
    assert_eq!((answered.admitted, answered.http), (false, Some(status)));
    assert_eq!(answered.code.as_deref(), Some(kind));
    assert_eq!(decided.verdict.as_deref(), Some("approve"));
}

/// A proxy that the gateway trusts says who the user is; nobody else does.
#[tokio::test]
async fn only_a_proxy_that_is_believed_names_the_user() {
    let headers = format!(
        "{}X-User: peter\r\nX-Forwarded-For: 198.51.100.7\r\n",
        token()
    );
    for (mode, proxies, user, client) in [
        (
            "trusted-proxy",
            json!(["127.0.0.1"]),
            Some("peter"),
            "198.51.100.7",
        ),
        ("token", json!([]), None, "unknown"),
    ] {
        let mut behind = Behind::new(Manner::Echo("")).await;
        let mut plan = plan(behind.upstream(Login::None), "default → approve");
        plan.settings = settings(json!({
            "auth": {
                "mode": mode,
                "token": TOKEN,
                "trustedProxy": { "userHeader": "X-User", "allowLoopback": true },
            },
            "trustedProxies": proxies,
        }));
        let served = plan.serve();
        let _through = through(&served, &request("/", &headers)).await;
        let asked = behind.head().await;
        assert_eq!(header(&asked, "x-user"), user);
        assert_eq!(header(&asked, "gw-client"), Some(client));
        assert_eq!(header(&asked, "gw-auth"), Some(mode));
        assert_eq!(header(&asked, "x-forwarded-for"), None);
    }
}

/// A client that leaves while the server behind keeps it waiting is in the log all the same.
#[tokio::test]
async fn who_does_not_wait_for_the_server_is_logged() {
    let mut behind = Behind::new(Manner::Silent).await;
    let served = plan(behind.upstream(Login::None), DOOR).serve();
    let mut raw = Raw::new(served.tcp().await);
    raw.send(request("/", &token()).as_bytes()).await;
    behind.head().await;
    drop(raw);
    assert_eq!(behind.end().await, Closed::new(1006, ""));
    let (_, lines) = served.end().await;
    let line = only(&lines, Kind::Unfinished);
    assert_eq!(line.reason.as_deref(), Some(Unfinished::Lost.name()));
}

/// The gateway's own socket is its owner's, who hears of decisions there.
#[cfg(unix)]
#[tokio::test]
async fn the_owner_speaks_with_the_gateway_at_its_socket() {
    let behind = Behind::new(Manner::Echo("")).await;
    let policy = format!("[owner] transport=unix and peer-uid=same-user → approve\n{DOOR}");
    let mut plan = plan(behind.upstream(Login::None), &policy);
    let path = plan.folder.path().join("gw.sock");
    plan.listeners = vec![Listener::unix(&path).unwrap()];
    let served = plan.serve();
    let (_socket, _) = through(&served, &request("/", &token())).await;
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let asking = Asking::default().auth(json!({}));
    let mut owner = Client::open(stream, &asking).await.unwrap();
    owner.connect(&asking).await.unwrap();
    let recent = owner.call("admission.recent", json!({})).await.unwrap();
    let lines = recent["lines"].as_array().unwrap();
    let line = lines
        .iter()
        .find(|line| line["by"] == "with-token")
        .unwrap();
    let explained = owner
        .call(
            "admission.explain",
            json!({ "connection": line["connection"] }),
        )
        .await
        .unwrap();
    assert_eq!(explained["logged"], *line);
    let evidence = &line["evidence"]["client"];
    assert_eq!(evidence, "no connect frame: as a test assumes");
}
