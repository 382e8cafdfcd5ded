//! What hostile and careless clients come to: bytes that break the protocol, too much, too slow,
//! too many; and that the gateway goes on.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gw::config::Limits;
use gw::journal::{Kind, Line};
use gw::pairing::Memory;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::client::{Asking, Client, Closed, soon};
use crate::handshakes::{door, guest};
use crate::raw::{CLOSE, PING, Raw, TEXT, UPGRADE, frame};
use crate::served::{Plan, Served, rules, settings};
use crate::sign;

fn reasons(lines: &[Line], kind: Kind) -> Vec<&str> {
    let lines = lines.iter().filter(|line| line.kind == kind);
    lines
        .map(|line| line.reason.as_deref().unwrap_or_default())
        .collect()
}

/// Anybody with the token.
fn open_door() -> Plan {
    Plan {
        policy: rules("auth=token → approve\ndefault → require-pairing"),
        ..Plan::default()
    }
}

/// Of an address 32 wait at most, and whoever has said nothing for longest gives way: so nobody
/// there is kept out by who says nothing.
#[tokio::test]
async fn an_address_may_have_32_sockets_that_wait() {
    let served = door().serve();
    let mut waiting = std::collections::VecDeque::new();
    for _ in 0..32 {
        waiting.push_back(served.open().await);
    }
    for _ in 0..8 {
        waiting.push_back(served.open().await);
        let mut oldest = waiting.pop_front().unwrap();
        let told = "too many connections of this address wait";
        assert_eq!(oldest.closed().await, Closed::new(1013, told));
    }
    // Who is admitted waits no longer, and takes nobody's place.
    let mut admitted = waiting.pop_front().unwrap();
    admitted.connect(&Asking::default()).await.unwrap();
    waiting.push_back(served.open().await);
    for client in &mut waiting {
        client.connect(&Asking::default()).await.unwrap();
    }
    admitted.call("health", Value::Null).await.unwrap();
    let (_, lines) = served.end().await;
    let gave_way = reasons(&lines, Kind::Unfinished);
    assert_eq!(gave_way, ["gave-way"; 8]);
}

/// A page that a browser has open keeps nobody out who is no page.
#[tokio::test]
async fn pages_take_no_place_from_programs() {
    let mut plan = open_door();
    plan.limits.unadmitted_per_address = 2;
    let served = plan.serve();
    let mut program = served.open().await;
    let page = Asking {
        headers: vec![("origin", "https://evil.example".to_owned())],
        ..Asking::default()
    };
    let mut pages = Vec::new();
    for _ in 0..6 {
        pages.push(served.try_open(&page).await.unwrap());
    }
    program.connect(&Asking::default()).await.unwrap();
    assert_eq!(pages[0].closed().await.code, 1013);
}

/// Before they have said anything, too.
#[tokio::test]
async fn an_address_may_have_32_sockets_that_say_nothing() {
    let served = door().serve();
    let mut silent = std::collections::VecDeque::new();
    for _ in 0..32 {
        silent.push_back(Raw::new(served.tcp().await));
    }
    // This host has many addresses, and is one.
    for last in 1..4 {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, last], 0).into()).unwrap();
        silent.push_back(Raw::new(socket.connect(served.address).await.unwrap()));
        assert!(silent.pop_front().unwrap().end().await.is_empty());
    }
    served.admit(&Asking::default()).await;
}

/// Those that are not admitted have a part of the places; whoever comes is not kept out by them.
#[tokio::test]
async fn who_is_not_admitted_yet_gives_way_and_a_session_does_not() {
    let mut plan = open_door();
    plan.limits.connections = 12;
    let served = plan.serve();
    let mut sessions = Vec::new();
    for _ in 0..6 {
        sessions.push(served.admit(&Asking::default()).await);
    }
    let mut silent = std::collections::VecDeque::new();
    for _ in 0..30 {
        silent.push_back(Raw::new(served.tcp().await));
        if silent.len() > 3 {
            let oldest = silent.pop_front().unwrap();
            assert!(oldest.end().await.is_empty());
        }
    }
    sessions.push(served.admit(&Asking::default()).await);
    for session in &mut sessions {
        session.call("health", Value::Null).await.unwrap();
    }
}

/// Whoever has most of the sessions leaves one to who has fewer, and to nobody else.
#[tokio::test]
async fn one_device_does_not_keep_the_others_out() {
    let full = Closed::new(1013, "too many sessions: try again later");
    let mut plan = open_door();
    plan.limits.connections = 12;
    let served = plan.serve();
    let (loud, guest) = (Asking::device("loud"), Asking::default());
    let mut sessions = Vec::new();
    for _ in 0..9 {
        sessions.push(served.admit(&loud).await);
    }
    assert_eq!(served.refuse(&loud).await.closed, full);
    let mut others = Vec::new();
    for (gone, asking) in [&guest, &Asking::device("other"), &guest, &guest]
        .into_iter()
        .enumerate()
    {
        others.push(served.admit(asking).await);
        assert_eq!(sessions[gone].closed().await, full);
    }
    // Who comes by one address without a device is counted together, and has most with the other.
    assert_eq!(served.refuse(&loud).await.closed, full);
    others.push(served.admit(&guest).await);
    assert_eq!(sessions[4].closed().await, full);
    assert_eq!(served.refuse(&guest).await.closed, full);
    for session in sessions.iter_mut().skip(5).chain(&mut others) {
        session.call("health", Value::Null).await.unwrap();
    }
    let (_, lines) = served.end().await;
    let ends = reasons(&lines, Kind::SessionEnded);
    assert_eq!(ends.iter().filter(|end| **end == "no-room").count(), 8);
}

/// What takes much memory to read is not read: it is answered, and the session goes on.
#[tokio::test]
async fn a_request_of_the_gateways_own_has_a_bound() {
    use gw::server::{Answer, Caller, Methods};
    struct Counts;
    impl Methods for Counts {
        fn names(&self) -> &[&str] {
            &["count"]
        }
        fn request_bytes(&self) -> usize {
            1 << 20
        }
        fn call<'a>(&'a self, _: &'a Caller<'a>, _: &'a str, params: Value) -> Answer<'a> {
            Box::pin(async move { Ok(json!(params.as_array().map(Vec::len))) })
        }
    }
    let many = |bytes: usize| json!(vec![json!({ "": 0 }); bytes / 7]);
    let served = open_door().serve();
    let mut client = served.admit(&Asking::default()).await;
    for method in ["health", "count"] {
        let told = client.call(method, many(5 << 20)).await.unwrap_err();
        assert_eq!(told["code"], "INVALID_REQUEST");
        assert_eq!(
            told["message"],
            "request too large: what the gateway answers itself may have 65536 bytes"
        );
        client.call("health", many(60_000)).await.unwrap();
    }

    // Who embeds it may take more.
    let mut plan = open_door();
    plan.options.methods = Arc::new(Counts);
    let served = plan.serve();
    let mut client = served.admit(&Asking::default()).await;
    let counted = client.call("count", many(900_000)).await.unwrap();
    assert_eq!(counted, 900_000 / 7);
    client.call("count", many(1_100_000)).await.unwrap_err();
    client.call("health", Value::Null).await.unwrap();
}

/// What was begun has to come to an end.
#[tokio::test]
async fn who_does_not_finish_a_message_is_closed() {
    let mut plan = open_door();
    plan.limits.tick_ms = 50;
    let served = plan.serve();
    let mut idle = served.admit(&Asking::default()).await;
    let large = frame(TEXT, &vec![b' '; 1 << 20]);
    for begun in [
        &large[..large.len() - 1],
        &large[..20],
        &frame(1, b"{}"),
        &[TEXT],
    ] {
        let mut raw = Raw::upgraded(served.tcp().await).await;
        let connect = Asking::default().frame("").to_string();
        raw.send(&frame(TEXT, connect.as_bytes())).await;
        raw.send(begun).await;
        assert_eq!(raw.closed().await, Closed::new(1008, "slow sender"));
    }
    idle.call("health", Value::Null).await.unwrap();
    let (_, lines) = served.end().await;
    let ends = reasons(&lines, Kind::SessionEnded);
    assert_eq!(ends[..4], ["slow-sender"; 4]);
}

/// What breaks the protocol before admission, and how it is closed.
#[tokio::test]
async fn a_broken_message_is_closed_as_the_protocol_says() {
    let over = 64 * 1024 + 1;
    let endless = [&[TEXT, 0xff][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    let huge = [&[TEXT, 0xff][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat();
    let cases: [(&str, Vec<u8>, u16); 16] = [
        ("too long", frame(TEXT, &vec![b' '; over]), 1009),
        (
            "just not too long",
            frame(TEXT, &vec![b' '; over - 1]),
            1000,
        ),
        ("said to be long", huge, 1009),
        ("said to be longer than can be", endless, 1009),
        (
            "too long in parts",
            [
                frame(1, &vec![b' '; over / 2]),
                frame(0x80, &vec![b' '; over]),
            ]
            .concat(),
            1009,
        ),
        ("not masked", vec![TEXT, 2, b'{', b'}'], 1002),
        ("reserved bits", frame(TEXT | 0x40, b"{}"), 1002),
        ("compressed", frame(TEXT | 0x70, b"{}"), 1002),
        ("a reserved opcode", frame(0x83, b"{}"), 1002),
        ("a reserved opcode of control", frame(0x8b, b""), 1002),
        ("goes on without a beginning", frame(0x80, b"{}"), 1002),
        (
            "begins twice",
            [frame(1, b"{"), frame(1, b"{")].concat(),
            1002,
        ),
        ("a ping in parts", frame(0x09, b""), 1002),
        ("a long ping", frame(PING, &[0; 126]), 1002),
        ("no UTF-8", frame(TEXT, &[0xc3, 0x28]), 1007),
        ("closed first", frame(CLOSE, &[3, 0xe8]), 1000),
    ];
    let served = door().serve();
    for (what, bytes, code) in &cases {
        let mut raw = Raw::upgraded(served.tcp().await).await;
        raw.send(bytes).await;
        assert_eq!(raw.closed().await.code, *code, "{what}");
    }
    for half in [
        &b""[..],
        &[TEXT],
        &[TEXT, 0xfe, 1],
        &frame(TEXT, b"half")[..8],
    ] {
        let mut raw = Raw::upgraded(served.tcp().await).await;
        raw.send(half).await;
    }
    served.admit(&Asking::default()).await;
    let (_, lines) = served.end().await;
    assert!(reasons(&lines, Kind::Unfinished).contains(&"too-much"));
}

/// After admission too.
#[tokio::test]
async fn a_broken_message_ends_a_session() {
    let served = open_door().serve();
    for (bytes, code) in [
        (frame(TEXT | 0x40, b"{}"), 1002),
        (vec![TEXT, 2, b'{', b'}'], 1002),
        (frame(TEXT, &[0xc3, 0x28]), 1007),
        (frame(TEXT, b"no json"), 1000),
        (frame(CLOSE, &[3, 0xe8]), 1000),
    ] {
        let mut raw = Raw::upgraded(served.tcp().await).await;
        let connect = Asking::default().frame("").to_string();
        raw.send(&[frame(TEXT, connect.as_bytes()), bytes].concat())
            .await;
        assert_eq!(raw.closed().await.code, code);
    }
    let (_, lines) = served.end().await;
    assert_eq!(lines.len(), 10, "{lines:?}");
}

#[tokio::test]
async fn whoever_is_silent_or_slow_is_closed_in_time() {
    let mut plan = door();
    plan.limits.handshake_timeout_ms = 1_000;
    let served = plan.serve();
    let silent = async {
        let mut client = served.open().await;
        assert_eq!(client.closed().await, Closed::new(1000, ""));
    };
    let half = async {
        let mut raw = Raw::upgraded(served.tcp().await).await;
        raw.send(&frame(TEXT, &[b' '; 1_000])[..500]).await;
        assert_eq!(raw.closed().await, Closed::new(1000, ""));
    };
    // Its pings do not make it more welcome.
    let pinging = async {
        let mut raw = Raw::upgraded(served.tcp().await).await;
        loop {
            raw.send(&frame(PING, b"here")).await;
            match raw.frame().await {
                Some((10, _)) => {}
                Some((8, payload)) => return assert_eq!(payload, [3, 0xe8]),
                // It was sent while the gateway closed.
                other => return assert_eq!(other, None),
            }
        }
    };
    let nothing = async {
        let raw = Raw::new(served.tcp().await);
        assert!(raw.end().await.is_empty());
    };
    let half_a_head = async {
        let mut raw = Raw::new(served.tcp().await);
        raw.send(&UPGRADE.as_bytes()[..60]).await;
        assert!(raw.end().await.is_empty());
    };
    tokio::join!(silent, half, pinging, nothing, half_a_head);
    let (drained, lines) = served.end().await;
    assert_eq!(drained.cut, 0);
    let ends = reasons(&lines, Kind::Unfinished);
    assert_eq!(ends, ["handshake-timeout"; 3]);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_so() {
    let served = door().serve();
    for headers in [
        format!("X-Long: {}\r\n", "x".repeat(20_000)),
        "X-Many: x\r\n".repeat(200),
    ] {
        let mut raw = Raw::new(served.tcp().await);
        let request = UPGRADE.replace("Host:", &format!("{headers}Host:"));
        raw.send(request.as_bytes()).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 431 "));
    }
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "HELO there\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut raw = Raw::new(served.tcp().await);
        raw.send(garbage.as_bytes()).await;
        let answer = raw.end().await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    served.admit(&Asking::default()).await;

    // A limit below what heads are read with is no reason to fail.
    let mut plan = door();
    plan.limits.head_bytes = 100;
    let served = plan.serve();
    served.admit(&Asking::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_before_the_first_message_are_answered_and_change_nothing() {
    let served = open_door().serve();
    let raw = Raw::upgraded(served.tcp().await).await;
    let (mut from, mut to) = raw.stream.into_split();
    let writing = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        for _ in 0..100 {
            to.write_all(&frame(PING, b"ping").repeat(100))
                .await
                .unwrap();
        }
        let connect = Asking::default().frame("").to_string();
        to.write_all(&frame(TEXT, connect.as_bytes()))
            .await
            .unwrap();
        to
    });
    use tokio::io::AsyncReadExt as _;
    let mut pongs = vec![0; 6 * 10_000];
    soon("pongs", from.read_exact(&mut pongs)).await.unwrap();
    assert!(pongs.chunks(6).all(|pong| pong == b"\x8a\x04ping"));
    let mut hello = [0; 200];
    soon("hello", from.read_exact(&mut hello)).await.unwrap();
    assert!(String::from_utf8_lossy(&hello).contains(r#""ok":true"#));
    drop(writing.await.unwrap());
}

/// Wherever the stream is cut, in the head too: whoever sends all at once loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_right_behind_connect_is_answered_after_hello() {
    let served = Arc::new(open_door().serve());
    let connect = Asking::default().scopes(&[]).frame("").to_string();
    let call = json!({ "type": "req", "id": "behind", "method": "health" }).to_string();
    let (first, second) = connect.as_bytes().split_at(connect.len() / 2);
    let sent = [
        UPGRADE.as_bytes(),
        &frame(PING, b"?"),
        &frame(0x01, first),
        &frame(PING, b"?"),
        &frame(0x80, second),
        &frame(TEXT, call.as_bytes()),
    ]
    .concat();
    let sent = Arc::new(sent);
    let mut cutting = JoinSet::new();
    for worker in 0..8 {
        let (served, sent) = (Arc::clone(&served), Arc::clone(&sent));
        cutting.spawn(async move {
            for at in (worker..sent.len()).step_by(8) {
                let (early, late) = sent.split_at(at);
                let mut raw = Raw::new(served.tcp().await);
                raw.send(early).await;
                tokio::task::yield_now().await;
                raw.send(late).await;
                raw.head().await;
                let mut texts = Vec::new();
                while texts.len() < 3 {
                    match raw.frame().await {
                        Some((1, text)) => texts.push(serde_json::from_slice(&text).unwrap()),
                        Some((10, _)) => {}
                        other => panic!("cut at {at}: {other:?} after {texts:?}"),
                    }
                }
                let [challenge, hello, answer]: [Value; 3] = texts.try_into().unwrap();
                assert_eq!(challenge["event"], "connect.challenge");
                assert_eq!(hello["payload"]["type"], "hello-ok", "cut at {at}");
                assert_eq!(answer["id"], "behind", "cut at {at}");
            }
        });
    }
    cutting.join_all().await;
}

/// A client with a small buffer, so that what it does not read is soon too much.
async fn reluctant(served: &Served, asking: &Asking) -> Client {
    watched(served, asking).await.0
}

/// The same, and its socket, to see what comes in.
async fn watched(served: &Served, asking: &Asking) -> (Client, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let stream = socket.connect(served.address).await.unwrap();
    let stream = stream.into_std().unwrap();
    let [stream, watched] =
        [stream.try_clone().unwrap(), stream].map(|stream| TcpStream::from_std(stream).unwrap());
    let mut client = Client::open(stream, asking).await.unwrap();
    client.connect(asking).await.unwrap();
    (client, watched)
}

/// Requests that are as large as they may be.
async fn ask_much(served: &Arc<Served>, requests: usize) {
    let mut knocking = JoinSet::new();
    for worker in 0..4 {
        let served = Arc::clone(served);
        knocking.spawn(async move {
            for number in (worker..requests).step_by(4) {
                let asking = guest(&format!("guest {number}"));
                let client = json!({
                    "id": "gateway-client", "mode": "backend", "version": "1", "platform": "linux",
                    "displayName": "x".repeat(50_000),
                });
                served
                    .refuse(&Asking {
                        more: json!({ "client": client }),
                        ..asking
                    })
                    .await;
            }
        });
    }
    knocking.join_all().await;
}

fn in_memory() -> Plan {
    Plan {
        store: Some(Arc::new(Memory::default())),
        ..door()
    }
}

/// Events that an owner does not read are dropped for him; the list has all requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_nobody_reads_are_dropped_and_no_request_is() {
    const REQUESTS: usize = 240;
    let served = Arc::new(in_memory().serve());
    let mut owner = reluctant(&served, &Asking::device("owner")).await;
    ask_much(&served, REQUESTS).await;
    let (mut heard, mut list) = (0, None);
    owner
        .send(&json!({ "type": "req", "id": "list", "method": "device.pair.list", "params": {} }))
        .await;
    while list.is_none() {
        let message = owner.message().await.unwrap();
        match message["event"].as_str() {
            Some("device.pair.requested") => heard += 1,
            _ => list = Some(message["payload"]["pending"].clone()),
        }
    }
    assert_eq!(list.unwrap().as_array().unwrap().len(), REQUESTS);
    assert!(heard < REQUESTS, "nothing was dropped");
    // It hears of the next one.
    served.refuse(&guest("the last one")).await;
    owner.event("device.pair.requested").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_take_an_answer_is_closed() {
    let plan = Plan {
        limits: Limits {
            tick_ms: 100,
            ..Limits::default()
        },
        ..in_memory()
    };
    let served = Arc::new(plan.serve());
    ask_much(&served, 160).await;
    let mut other = served.admit(&Asking::device("other")).await;
    let mut owner = reluctant(&served, &Asking::device("owner")).await;
    owner
        .send(&json!({ "type": "req", "id": "list", "method": "device.pair.list", "params": {} }))
        .await;
    let others = async {
        while served.gateway.sessions() > 1 {
            other.event("tick").await;
        }
    };
    soon("the end of a session", others).await;
    drop((owner, other));
    let (_, lines) = Arc::into_inner(served).unwrap().end().await;
    assert!(reasons(&lines, Kind::SessionEnded).contains(&"slow-reader"));
}

/// A removal ends a session in the middle of an answer, however slowly that is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_session_does_not_last_for_who_reads_slowly() {
    let served = Arc::new(in_memory().serve());
    ask_much(&served, 160).await;
    let mut other = served.admit(&Asking::device("other")).await;
    let (mut slow, comes) = watched(&served, &Asking::device("slow")).await;
    slow.send(&json!({ "type": "req", "id": "list", "method": "device.pair.list", "params": {} }))
        .await;
    soon("an answer's beginning", comes.peek(&mut [0]))
        .await
        .unwrap();
    let removed = json!({ "deviceId": sign::Identity::named("slow").id });
    other.call("device.pair.remove", removed).await.unwrap();
    soon("the end of a session", async {
        while served.gateway.sessions() > 1 {
            other.call("health", Value::Null).await.unwrap();
        }
    })
    .await;
    drop((slow, other));
    let (_, lines) = Arc::into_inner(served).unwrap().end().await;
    assert_eq!(reasons(&lines, Kind::SessionEnded)[0], "revoked");
}

/// Counts panics of all threads, those of the gateway's tasks among them.
fn count_panics() -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let before = panic::take_hook();
    let counting = Arc::clone(&count);
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or("", |place| place.file());
        if place.contains("src/") && !place.contains("tests/") {
            counting.fetch_add(1, Ordering::SeqCst);
        }
        before(info);
    }));
    count
}

/// Whatever is sent, before and after the upgrade and the admission, breaks no task.
#[test]
fn arbitrary_bytes_leave_the_gateway_serving() {
    let panics = count_panics();
    let runtime = Runtime::new().unwrap();
    let served = runtime.block_on(async {
        let mut plan = open_door();
        plan.limits.handshake_timeout_ms = 2_000;
        plan.serve()
    });
    let connect = frame(TEXT, Asking::default().frame("").to_string().as_bytes());
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let frames = prop::collection::vec((any::<u8>(), bytes()), 0..6).prop_map(|frames| {
        let frames = frames.iter().map(|(first, payload)| frame(*first, payload));
        frames.flatten().collect::<Vec<u8>>()
    });
    let calls = prop::collection::vec((0_usize..9, "\\PC{0,20}"), 0..6).prop_map(|calls| {
        const METHODS: [&str; 8] = [
            "status",
            "admission.explain",
            "admission.recent",
            "device.pair.list",
            "device.pair.approve",
            "device.token.rotate",
            "connect",
            "policy.reload",
        ];
        let calls = calls.iter().map(|(method, text)| {
            let method = METHODS.get(*method).unwrap_or(&text.as_str()).to_owned();
            let params = json!({ "connection": text, "requestId": text, "deviceId": text });
            let call = json!({ "type": "req", "id": text, "method": method, "params": params });
            frame(TEXT, call.to_string().as_bytes())
        });
        calls.flatten().collect::<Vec<u8>>()
    });
    let sent = (0..3_usize, prop_oneof![bytes(), frames, calls]).prop_map(move |(stage, bytes)| {
        let before: &[&[u8]] = match stage {
            0 => &[],
            1 => &[UPGRADE.as_bytes()],
            _ => &[UPGRADE.as_bytes(), &connect],
        };
        [&before.concat()[..], &bytes].concat()
    });
    let config = ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(sent in sent)| {
        runtime.block_on(async {
            use tokio::io::AsyncWriteExt as _;
            let mut raw = Raw::new(served.tcp().await);
            raw.send(&sent).await;
            let _ = raw.stream.shutdown().await;
            raw.end().await;
        });
        prop_assert_eq!(panics.load(Ordering::SeqCst), 0);
    });
    let (drained, _) = runtime.block_on(async {
        served.admit(&Asking::default()).await;
        soon("the end", served.end()).await
    });
    assert_eq!(drained.cut, 0);
    runtime.shutdown_timeout(Duration::from_secs(5));
}

/// Anybody can make connections that nothing is decided of: their lines are few, they say how many
/// there were, and what was decided is still to be seen.
#[tokio::test]
async fn strangers_flush_no_decision_out_of_the_log() {
    let served = open_door().serve();
    let mut owner = served
        .admit(&Asking::default().scopes(&["operator.admin"]))
        .await;
    let many = 400;
    for _ in 0..many {
        let mut raw = Raw::upgraded(served.tcp().await).await;
        raw.send(&frame(TEXT, b"{}")).await;
        raw.closed().await;
    }
    let recent = owner
        .call("admission.recent", json!({ "limit": 1_000 }))
        .await
        .unwrap();
    let kinds = recent["lines"].as_array().unwrap().iter();
    let decided = kinds.filter(|line| line["kind"] == "decided");
    assert_eq!(decided.count(), 1);
    let (_, lines) = served.end().await;
    let refused = reasons(&lines, Kind::FrameRefused).len() as u64;
    let left_out = lines.iter().filter(|line| line.kind == Kind::LinesLeftOut);
    let left_out = left_out.map(|line| {
        assert_eq!(line.remote.as_deref(), Some("127.0.0.1"));
        line.dropped.unwrap()
    });
    assert_eq!(refused + left_out.sum::<u64>(), many);
    assert!(refused <= many / 2, "{refused}");
}

/// Where no secret is asked for, whoever is refused has shown none.
#[tokio::test]
async fn strangers_that_are_refused_flush_no_decision_out_of_an_open_gateways_log() {
    let plan = Plan {
        policy: rules("client=cli → approve\ndefault → reject(origin-not-allowed)"),
        settings: settings(json!({ "auth": { "mode": "none" } })),
        ..Plan::default()
    };
    let served = plan.serve();
    let admitted = 20;
    for _ in 0..admitted {
        served.admit(&Asking::default()).await;
    }
    let many = 300;
    let stranger = Asking {
        client: ("gateway-client", "backend"),
        ..Asking::default()
    };
    for _ in 0..many {
        served.refuse(&stranger).await;
    }
    let mut owner = served.admit(&Asking::default()).await;
    let recent = owner
        .call("admission.recent", json!({ "limit": 1_000 }))
        .await
        .unwrap();
    let lines = recent["lines"].as_array().unwrap().iter();
    let approved = lines.filter(|line| line["verdict"] == "approve").count();
    assert_eq!(approved, admitted + 1);
    let (_, lines) = served.end().await;
    let refused = lines
        .iter()
        .filter(|line| line.verdict.as_deref() == Some("reject"));
    let refused = refused.count() as u64;
    let left_out = lines.iter().filter(|line| line.kind == Kind::LinesLeftOut);
    let left_out: u64 = left_out.map(|line| line.dropped.unwrap()).sum();
    assert_eq!(refused + left_out, many);
    assert!(refused <= many / 2, "{refused}");
}

/// A body would be read as messages here, and as another request elsewhere.
#[tokio::test]
async fn an_upgrade_with_a_body_is_refused() {
    let served = door().serve();
    for (headers, answer) in [
        ("Content-Length: 4\r\n", "HTTP/1.1 400 "),
        ("Transfer-Encoding: chunked\r\n", "HTTP/1.1 400 "),
        ("Content-Length: 0\r\n", "HTTP/1.1 101 "),
    ] {
        let mut raw = Raw::new(served.tcp().await);
        let request = UPGRADE.replace("Host:", &format!("{headers}Host:"));
        raw.send(request.as_bytes()).await;
        let head = raw.head().await;
        assert!(head.starts_with(answer), "{headers}{head}");
    }
}

/// Each makes room for itself and is then one of them: two that do so at once make it for two.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_one_address_keep_to_its_share_however_many_ask_at_once() {
    let served = Arc::new(door().serve());
    let mut asking = JoinSet::new();
    for part in 0..16 {
        let served = Arc::clone(&served);
        asking.spawn(async move {
            for number in 0..24 {
                let refused = served.refuse(&guest(&format!("{part}-{number}"))).await;
                assert!(!refused.request_id().is_empty());
            }
        });
    }
    asking.join_all().await;
    let waiting = served.store.count().unwrap().requests;
    assert_eq!(waiting, gw::pairing::room::MOST_OF_ONE);
}
