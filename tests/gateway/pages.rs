//! Requests over HTTP that a server behind answers: what reaches it, what comes back, and what
//! never gets that far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use gw::client::Target;
use gw::client::tls::Trust;
use gw::config::Tls;
use gw::journal::Kind as LineKind;
use gw::relay::http::{CONTROL_UI, Paths};
use gw::relay::{Kind, Login, Options, Root, Upstream};
use gw::secret::Secret;
use gw::server::tls::Certificates;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::client::{Io, soon};
use crate::handshakes::{door, http};
use crate::raw::{Raw, UPGRADE};
use crate::served::{Plan, Served, rules, settings};

/// A server behind, and what reached it.
struct Behind {
    url: String,
    /// The head of each request, with its body.
    seen: Arc<Mutex<Vec<String>>>,
    /// How many bytes of the endless answer it was rid of.
    written: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The length of the large answer.
const LARGE: usize = 24 << 20;

impl Behind {
    async fn listen(certificates: Option<Certificates>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let scheme = if certificates.is_some() { "wss" } else { "ws" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let written: Arc<AtomicU64> = Arc::default();
        let (saw, wrote) = (Arc::clone(&seen), Arc::clone(&written));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (saw, wrote) = (Arc::clone(&saw), Arc::clone(&wrote));
                let tls = certificates.as_ref().map(Certificates::acceptor);
                tokio::spawn(async move {
                    let mut stream: Box<dyn Io> = match tls {
                        None => Box::new(stream),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                    };
                    let request = read(&mut stream).await;
                    saw.lock().unwrap().push(request.clone());
                    answer(&mut stream, &request, &wrote).await;
                });
            }
        });
        Behind {
            url,
            seen,
            written,
            task,
        }
    }

    /// What reached it since this was asked last.
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// A request with its body.
async fn read(stream: &mut Box<dyn Io>) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let length = line.strip_prefix("content-length: ")?;
                length.parse().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
            return text;
        }
    }
}

/// What the server behind says to a request.
async fn answer(stream: &mut Box<dyn Io>, request: &str, written: &AtomicU64) {
    let line = request.lines().next().unwrap_or_default();
    let path = line.split(' ').nth(1).unwrap_or_default();
    let text = match path {
        "/" => "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\
             ETag: \"1\"\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\r\n\
             <html>"
            .to_owned(),
        "/assets/chunked" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
            .to_owned(),
        "/assets/until-the-end" => "HTTP/1.1 200 OK\r\n\r\nall".to_owned(),
        "/assets/large" => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            for block in 0..LARGE / 1_024 {
                let byte = u8::try_from(block % 251).unwrap();
                if stream.write_all(&[byte; 1_024]).await.is_err() {
                    return;
                }
            }
            String::new()
        }
        "/assets/endless" => {
            let head = "HTTP/1.1 200 OK\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b'x'; 1_024]).await.is_ok() {
                written.fetch_add(1_024, Ordering::SeqCst);
            }
            return;
        }
        "/assets/dies" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned(),
        "/assets/dies-in-chunks" => {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_owned()
        }
        "/assets/stops" => {
            let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
            let _ = stream.write_all(half.as_bytes()).await;
            // Until the other end is done with it.
            let _ = stream.read_u8().await;
            return;
        }
        "/assets/silent" => {
            let _ = stream.read_u8().await;
            return;
        }
        "/assets/gone" => String::new(),
        "/assets/nonsense" => "SSH-2.0-OpenSSH_9.9\r\n".to_owned(),
        "/assets/switches" => {
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".into()
        }
        "/assets/long-head" => {
            format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20))
        }
        "/assets/elsewhere" => {
            let host = request
                .lines()
                .find_map(|line| line.strip_prefix("host: "))
                .unwrap();
            format!(
                "HTTP/1.1 302 Found\r\nLocation: http://{host}/chat\r\nContent-Length: 0\r\n\r\n"
            )
        }
        "/assets/same" => "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nbehind".to_owned(),
    };
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// How the server behind is reached.
fn reached(url: &str, rules: &[&str]) -> Options {
    Options {
        target: Target::parse(url).unwrap(),
        kind: Kind::OpenClaw,
        login: Login::Token(Secret::new("the secret of the server behind")),
        trust: Trust::System,
        root: Root::new(Secret::new("0123456789abcdef0123456789abcdef")),
        patience: Duration::from_secs(10),
        paths: Paths::parse(rules).unwrap(),
    }
}

fn plan(options: Options) -> (Plan, Arc<Upstream>) {
    let upstream = Arc::new(Upstream::new(options));
    let mut plan = door();
    plan.options.upstream = Some(Arc::clone(&upstream));
    (plan, upstream)
}

/// A gateway in front of a server, for the pages of the Control UI.
async fn in_front() -> (Served, Behind) {
    let behind = Behind::listen(None).await;
    let (plan, _) = plan(reached(&behind.url, &CONTROL_UI));
    (plan.serve(), behind)
}

/// Asks for a page over a connection that ends with it.
async fn ask(served: &Served, line: &str, headers: &str) -> (u16, String) {
    let request = format!("{line} HTTP/1.1\r\nHost: h\r\n{headers}Connection: close\r\n\r\n");
    let answer = http(served, &request).await;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    (status.unwrap(), answer)
}

#[tokio::test]
async fn what_is_listed_is_answered_by_the_server_behind() {
    let (served, behind) = in_front().await;
    for (line, status, has, has_not) in [
        ("GET /", 200, "\r\n\r\n<html>", "x-hop"),
        ("GET /", 200, "etag: \"1\"", "keep-alive:"),
        ("HEAD /", 200, "content-length: 6\r\n", "<html>"),
        ("GET /assets/chunked", 200, "second", "content-length"),
        ("GET /assets/until-the-end", 200, "all", "content-length"),
        ("GET /assets/same", 304, "etag: \"1\"", "content-length"),
        (
            "GET /assets/no",
            404,
            "behind",
            "This is a WebSocket gateway",
        ),
        (
            "GET /assets/elsewhere",
            302,
            "location: /chat\r\n",
            "127.0.0.1",
        ),
    ] {
        let (found, answer) = ask(&served, line, "").await;
        assert_eq!(found, status, "{line}: {answer}");
        assert!(answer.contains(has), "{line}: {answer}");
        assert!(!answer.contains(has_not), "{line}: {answer}");
        assert_eq!(behind.seen().len(), 1, "{line}");
    }
}

#[tokio::test]
async fn what_is_not_listed_stays_here() {
    let (served, behind) = in_front().await;
    for (line, headers, status) in [
        ("GET /v1/models", "", 404),
        ("GET /assets", "", 404),
        ("GET /hooks/wake", "", 404),
        ("POST /", "Content-Length: 0\r\n", 405),
        ("DELETE /assets/x", "", 405),
        ("OPTIONS *", "", 400),
        ("GET /assets/../v1/models", "", 400),
        ("GET /assets/%2e%2e/v1/models", "", 400),
        ("GET /assets/..%2fv1/models", "", 400),
        ("GET /assets//v1", "", 400),
        ("GET //v1/models", "", 400),
        ("GET /assets/%5c..%5cv1", "", 400),
        ("GET /assets/%00", "", 400),
        ("GET /assets/x", "Host: other\r\n", 400),
        ("GET http://other/assets/x", "", 400),
        ("GET /assets/x", "Content-Length: 5\r\n", 400),
        ("GET /assets/x", "Transfer-Encoding: chunked\r\n", 400),
        (
            "GET /assets/x",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            400,
        ),
        (
            "GET /assets/x",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            400,
        ),
        ("GET /assets/x", "A: b\r\n folded\r\n", 400),
        ("GET /assets/x", "A : b\r\n", 400),
    ] {
        let (found, answer) = ask(&served, line, headers).await;
        assert_eq!(found, status, "{line} {headers:?}: {answer}");
    }
    assert_eq!(behind.seen(), Vec::<String>::new());
}

/// Whatever is listed: a server behind must not be asked in the gateway's place.
#[tokio::test]
async fn the_gateways_own_paths_stay_here_also_when_they_are_listed() {
    let behind = Behind::listen(None).await;
    let own = ["/healthz", "/healthz/", "/readyz", "/metrics", "/metrics/"];
    let (plan, _) = plan(reached(&behind.url, &own));
    let served = plan.serve();
    for (line, status) in [
        ("GET /healthz", 200),
        ("GET /readyz", 200),
        ("POST /healthz", 405),
        ("GET /metrics", 404),
        ("GET /healthz/", 404),
        ("GET /healthz/x", 404),
        ("GET /%68ealthz", 404),
        ("GET /HEALTHZ", 404),
        ("GET /metrics;x", 404),
        ("GET /metrics/x", 404),
    ] {
        let (found, answer) = ask(&served, line, "").await;
        assert_eq!(found, status, "{line}: {answer}");
        assert!(!answer.contains("behind"), "{line}: {answer}");
    }
    assert_eq!(behind.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn the_server_behind_hears_nothing_of_who_asks() {
    let (served, behind) = in_front().await;
    let token = crate::client::TOKEN;
    let smuggled = format!(
        "Authorization: Bearer {token}\r\nCookie: session={token}\r\nReferer: http://h/?token={token}\r\n\
         X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-User: root\r\nForwarded: for=203.0.113.9\r\n\
         X-Real-IP: 203.0.113.9\r\nGw-Client: root\r\nRemote-User: root\r\nTE: trailers\r\n\
         Proxy-Authorization: Basic {token}\r\nX-OpenClaw-Token: {token}\r\nX-Any: root\r\n\
         Keep-Alive: 5\r\nRange: bytes=0-1\r\nConnection: Range\r\n\
         Origin: http://127.0.0.1:5173\r\nAccept: text/html\r\nIf-None-Match: \"1\"\r\n"
    );
    let line = format!("GET /assets/a?session=main&token={token}&v=2");
    ask(&served, &line, &smuggled).await;
    let host = behind.url.trim_start_matches("ws://");
    assert_eq!(
        behind.seen(),
        [format!(
            "GET /assets/a?session=main&v=2 HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\n\
             accept: text/html\r\nif-none-match: \"1\"\r\n\r\n"
        )]
    );
}

#[tokio::test]
async fn who_may_not_come_in_may_not_ask_for_pages() {
    let behind = Behind::listen(None).await;
    for (policy, headers, label) in [
        (
            "guard [foreign-page] origin in { name, opaque } → reject(origin-not-allowed)",
            "Origin: https://elsewhere.example\r\n",
            "foreign-page",
        ),
        (
            "guard at upgrade [hidden] forwarded → reject(proxy-attribution-required)",
            "X-Forwarded-For: 203.0.113.9\r\n",
            "hidden",
        ),
    ] {
        let (mut plan, _) = plan(reached(&behind.url, &CONTROL_UI));
        // What is known with the connect frame only says nothing of a page.
        plan.policy = rules(&format!(
            "guard [no-credentials] auth=none → reject(not-permitted)\n{policy}\n\
             default → require-pairing"
        ));
        let served = plan.serve();
        let (status, answer) = ask(&served, "GET /", headers).await;
        assert_eq!(status, 403, "{answer}");
        assert_eq!(behind.seen(), Vec::<String>::new());
        assert_eq!(ask(&served, "GET /", "").await.0, 200);
        assert_eq!(behind.seen().len(), 1);
        let (_, lines) = served.end().await;
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].kind, LineKind::UpgradeRefused);
        assert!(lines[0].by.as_deref().unwrap().contains(label), "{lines:?}");
        assert!(answer.contains(&*lines[0].connection), "{answer}");
    }
}

/// However a path is spelled, it is judged as the server behind is asked for it.
#[tokio::test]
async fn a_path_is_judged_as_it_is_sent_on() {
    let behind = Behind::listen(None).await;
    let (mut plan, _) = plan(reached(&behind.url, &["/assets/"]));
    plan.policy = rules(
        "guard at upgrade path=\"/assets/hidden\" → reject(not-permitted)\n\
         default → require-pairing",
    );
    let served = plan.serve();
    for path in ["/assets/hidden", "/assets/hidde%6E", "/assets/%68idden?v=1"] {
        let (status, answer) = ask(&served, &format!("GET {path}"), "").await;
        assert_eq!(status, 403, "{path}: {answer}");
    }
    assert_eq!(behind.seen(), Vec::<String>::new());
    ask(&served, "GET /assets/%73een", "").await;
    assert!(behind.seen()[0].starts_with("GET /assets/seen HTTP/1.1"));
}

/// A page of elsewhere is refused by the default policy, which looks at its origin with the connect
/// frame only; the gateway's own page is not.
#[tokio::test]
async fn the_default_policy_refuses_foreign_pages_here_too() {
    let behind = Behind::listen(None).await;
    let (mut plan, _) = plan(reached(&behind.url, &CONTROL_UI));
    plan.policy = Plan::default().policy;
    let served = plan.serve();
    let own = format!("Origin: http://{}\r\n", served.address);
    for (origin, status) in [
        ("Origin: https://elsewhere.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("", 200),
        (&own, 200),
    ] {
        let (found, answer) = ask(&served, "GET /", origin).await;
        assert_eq!(found, status, "{origin}: {answer}");
    }
    assert_eq!(behind.seen().len(), 2);
}

/// As a browser does: several connections that are kept, and a WebSocket beside them.
#[tokio::test]
async fn a_page_is_loaded_over_connections_that_are_kept() {
    let (served, behind) = in_front().await;
    let mut connections = Vec::new();
    for _ in 0..6 {
        connections.push(Raw::new(served.tcp().await));
    }
    for _ in 0..3 {
        for raw in &mut connections {
            raw.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        }
        for raw in &mut connections {
            let head = raw.head().await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert!(!head.contains("connection: close"), "{head}");
            assert_eq!(raw.body(6).await, b"<html>");
        }
    }
    assert_eq!(behind.seen().len(), 18);
    // One of them goes on as a WebSocket; what is answered here ends another.
    let mut raw = connections.pop().unwrap();
    raw.send(UPGRADE.as_bytes()).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(raw.frame().await.is_some());
    let mut raw = connections.pop().unwrap();
    raw.send(b"GET /no HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(raw.end().await.starts_with(b"HTTP/1.1 404 "));
}

#[tokio::test]
async fn a_large_answer_passes_whole_to_who_reads_slowly() {
    let (served, _behind) = in_front().await;
    let mut raw = Raw::new(served.tcp().await);
    raw.send(b"GET /assets/large HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    assert!(
        raw.head()
            .await
            .contains(&format!("content-length: {LARGE}\r\n"))
    );
    for block in 0..LARGE / 1_024 {
        let byte = u8::try_from(block % 251).unwrap();
        assert_eq!(raw.body(1_024).await, [byte; 1_024], "block {block}");
    }
}

/// What it does not take is not taken from the server behind, and its time ends.
#[tokio::test]
async fn who_reads_nothing_is_cut_off() {
    let behind = Behind::listen(None).await;
    let (plan, upstream) = plan(Options {
        patience: Duration::from_millis(100),
        ..reached(&behind.url, &CONTROL_UI)
    });
    let served = plan.serve();
    let mut raw = Raw::new(served.tcp().await);
    raw.send(b"GET /assets/endless HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    assert!(raw.head().await.starts_with("HTTP/1.1 200 "));
    // Of an endless answer there is an end only where the gateway makes one.
    soon("an end", async {
        while Arc::strong_count(&behind.written) > 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let written = behind.written.load(Ordering::SeqCst);
    assert!(written < 16 << 20, "{written} bytes were taken");
    assert_eq!(upstream.trouble(), None);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    let behind = Behind::listen(None).await;
    let (plan, upstream) = plan(Options {
        patience: Duration::from_millis(200),
        ..reached(&behind.url, &CONTROL_UI)
    });
    let served = plan.serve();
    for (path, trouble) in [
        ("/assets/dies", "broke off in the middle"),
        ("/assets/dies-in-chunks", "broke off in the middle"),
        ("/assets/stops", "stopped for"),
    ] {
        let (status, answer) = ask(&served, &format!("GET {path}"), "").await;
        assert_eq!(status, 200, "{path}");
        let whole = answer.ends_with("0\r\n\r\n") || answer.len() > 1_000;
        assert!(answer.contains("half") && !whole, "{path}: {answer}");
        let told = upstream.trouble().unwrap().what;
        assert!(told.contains(trouble), "{path}: {told}");
        ask(&served, "GET /", "").await;
        assert_eq!(upstream.trouble(), None, "{path}");
    }
}

#[tokio::test]
async fn no_answer_is_told_without_its_reason() {
    let nobody = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        format!("ws://{}", listener.local_addr().unwrap())
    };
    let behind = Behind::listen(None).await;
    for (url, path, status, trouble) in [
        (&nobody, "/", 503, "nobody listens at"),
        (&behind.url, "/assets/silent", 503, "did not answer"),
        (&behind.url, "/assets/gone", 502, "gives no answer in HTTP"),
        (
            &behind.url,
            "/assets/nonsense",
            502,
            "gives no answer in HTTP",
        ),
        (
            &behind.url,
            "/assets/long-head",
            502,
            "gives no answer in HTTP",
        ),
        (&behind.url, "/assets/switches", 502, "101"),
    ] {
        let (plan, upstream) = plan(Options {
            patience: Duration::from_millis(500),
            ..reached(url, &CONTROL_UI)
        });
        let served = plan.serve();
        let (found, answer) = ask(&served, &format!("GET {path}"), "").await;
        assert_eq!(found, status, "{path}: {answer}");
        assert!(answer.contains("retry-after: 5\r\n"), "{path}: {answer}");
        assert!(answer.contains("The server behind the gateway"), "{answer}");
        assert!(!answer.contains("127.0.0.1"), "{path}: {answer}");
        let told = upstream.trouble().unwrap().what;
        assert!(told.contains(trouble), "{path}: {told}");
    }
}

#[tokio::test]
async fn a_body_is_passed_on_where_the_path_takes_one() {
    let behind = Behind::listen(None).await;
    let (plan, upstream) = plan(reached(&behind.url, &["POST /hooks/"]));
    let served = plan.serve();
    let post = |length: &str| format!("POST /hooks/x HTTP/1.1\r\nHost: h\r\n{length}\r\n");
    let mut raw = Raw::new(served.tcp().await);
    raw.send(post("Content-Length: 11\r\n").as_bytes()).await;
    raw.send(b"hello ").await;
    raw.send(b"world").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 404 "));
    assert_eq!(raw.body(6).await, b"behind");
    let seen = behind.seen();
    assert!(
        seen[0].ends_with("content-length: 11\r\n\r\nhello world"),
        "{seen:?}"
    );
    for (length, status) in [
        ("Content-Length: 1048577\r\n", "413"),
        ("Transfer-Encoding: chunked\r\n", "411"),
        ("", "411"),
    ] {
        let answer = http(&served, &post(length)).await;
        assert_eq!(answer.get(9..12), Some(status), "{answer}");
    }
    assert_eq!(behind.seen(), Vec::<String>::new());
    // A client that goes away in the middle is no trouble of the server behind.
    let mut raw = Raw::new(served.tcp().await);
    raw.send(post("Content-Length: 11\r\n").as_bytes()).await;
    raw.send(b"hello ").await;
    drop(raw);
    soon("its end", async {
        while behind.seen().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(upstream.trouble(), None);
}

#[tokio::test]
async fn over_tls_the_server_behind_is_trusted_as_for_a_websocket() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::Generated { names: Vec::new() };
    let certificates = Certificates::open(&tls, folder.path(), None, SystemTime::now());
    let certificates = certificates.unwrap().unwrap();
    let behind = Behind::listen(Some(certificates.clone())).await;
    for (trust, status) in [
        (Trust::Fingerprint(certificates.fingerprint()), 200),
        (Trust::System, 503),
    ] {
        let (plan, _) = plan(Options {
            trust,
            ..reached(&behind.url, &CONTROL_UI)
        });
        let served = plan.serve();
        assert_eq!(ask(&served, "GET /", "").await.0, status);
    }
}

/// A client has so many requests and WebSockets at a time, whoever brings them.
#[tokio::test]
async fn requests_count_among_what_a_client_may_have_waiting() {
    let behind = Behind::listen(None).await;
    let (mut plan, _) = plan(reached(&behind.url, &CONTROL_UI));
    plan.limits.unadmitted_per_address = 2;
    // A trusted proxy, so that its connections are not what is counted.
    plan.settings = settings(serde_json::json!({ "trustedProxies": ["127.0.0.1"] }));
    let served = plan.serve();
    let silent = b"GET /assets/stops HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::new(served.tcp().await);
        raw.send(silent).await;
        raw.head().await;
        waiting.push(raw);
    }
    let client = "X-Forwarded-For: 203.0.113.9\r\n";
    let (status, answer) = ask(&served, "GET /", client).await;
    assert_eq!(status, 503, "{answer}");
    let other = "X-Forwarded-For: 203.0.113.10\r\n";
    assert_eq!(ask(&served, "GET /", other).await.0, 200);
    drop(waiting);
    soon("a place", async {
        while ask(&served, "GET /", client).await.0 != 200 {}
    })
    .await;
}
