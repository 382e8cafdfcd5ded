//! A gateway of OpenClaw behind: what passes both ways, what stays here, and how either end is told
//! of the other's.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::{SinkExt as _, StreamExt as _};
use gw::client::tls::Trust;
use gw::config::Tls;
use gw::facts::Scope;
use gw::journal::Kind as LineKind;
use gw::relay::{Login, Upstream};
use gw::secret::Secret;
use gw::server::tls::Certificates;
use gw::server::{Identity, Loaded, Options, Reloaded};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::client::{Asking, Closed, TOKEN, soon};
use crate::handshakes::door;
use crate::served::{Plan, Served, rules};
use crate::upstream::{Arrival, Behind, Manner, SECRET, options, upstream, upstream_at};

const PATIENT: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

/// A gateway with a server behind it.
async fn relaying(manner: Manner, plan: Plan) -> (Served, Behind) {
    // One that says nothing is given up soon.
    let silent = matches!(manner, Manner::Silent | Manner::Deaf);
    let patience = if silent { SHORT } else { PATIENT };
    let behind = Behind::serve(manner).await;
    let plan = Plan {
        options: Options {
            upstream: Some(upstream(behind.address, patience)),
            ..Options::default()
        },
        ..plan
    };
    (plan.serve(), behind)
}

/// A client that is let in, and its connection behind.
async fn pair(served: &Served, behind: &mut Behind) -> (crate::client::Client, Arrival) {
    let client = served.admit(&Asking::device("owner")).await;
    (client, behind.arrival().await)
}

#[tokio::test]
async fn a_client_comes_in_behind_as_itself_with_what_it_was_granted() {
    let (served, mut behind) = relaying(Manner::Good, door()).await;
    let asking = Asking {
        more: json!({ "caps": ["tool-events"], "locale": "de" }),
        ..Asking::device("owner")
    };
    let (mut client, hello) = served.knock(&asking).await.unwrap();
    let mut there = behind.arrival().await;
    let params = &there.frame["params"];
    assert_eq!(params["auth"], json!({ "token": SECRET }));
    assert_eq!(params["client"]["id"], "cli");
    assert_eq!(
        params["scopes"],
        json!(["operator.admin", "operator.pairing"])
    );
    assert_eq!(params["caps"], json!(["tool-events"]));
    assert_eq!(params["locale"], "de");
    assert_eq!(params["device"]["nonce"], "a nonce from behind");
    let made = params["device"]["id"].as_str().unwrap().to_owned();
    let own = asking.frame("")["params"]["device"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(made, own);
    assert!(!there.frame.to_string().contains(TOKEN));

    // What is behind says what there is; what it may do, and its token, are from here.
    assert_eq!(hello["server"]["version"], "2026.4.25");
    assert_eq!(hello["features"]["methods"], json!(["chat.send"]));
    assert_eq!(hello["policy"]["maxPayload"], 2_097_152);
    assert_eq!(hello["snapshot"]["presence"][0]["deviceId"], own.as_str());
    assert_eq!(
        hello["auth"]["scopes"],
        json!(["operator.admin", "operator.pairing"])
    );
    let token = hello["auth"]["deviceToken"].as_str().unwrap();
    assert_ne!(token, "of behind");

    let (answer, ()) = tokio::join!(
        client.call("chat.send", json!({ "text": "hi" })),
        there.echo()
    );
    assert_eq!(answer.unwrap(), json!({ "text": "hi" }));
    // Again with the token: the same device behind.
    let token = json!({ "deviceToken": token });
    served.admit(&Asking::device("owner").auth(token)).await;
    assert_eq!(
        behind.arrival().await.frame["params"]["device"]["id"],
        made.as_str()
    );
}

/// What is for the server behind goes there whole; what is for the gateway has a bound; and neither
/// waits for ever.
#[tokio::test]
async fn what_is_large_passes_and_is_not_answered_here() {
    let mut plan = door();
    plan.limits.tick_ms = 50;
    let (served, mut behind) = relaying(Manner::Good, plan).await;
    let (mut client, mut there) = pair(&served, &mut behind).await;
    let many = json!(vec![json!({ "": 0 }); 100_000]);
    for _ in 0..3 {
        let (answer, ()) = tokio::join!(client.call("chat.send", many.clone()), there.echo());
        assert_eq!(answer.unwrap(), many);
    }
    let told = client.call("device.pair.list", many).await.unwrap_err();
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .starts_with("request too large"),
        "{told}"
    );
    let half = Message::Frame(Frame::message("{}", OpCode::Data(Data::Text), false));
    client.socket.send(half).await.unwrap();
    assert_eq!(client.closed().await, Closed::new(1008, "slow sender"));
}

/// Who is there already stays there.
#[tokio::test]
async fn another_way_behind_is_for_whoever_comes_then() {
    let [mut first, mut second] = [
        Behind::serve(Manner::Good).await,
        Behind::serve(Manner::Good).await,
    ];
    let way =
        |behind: &Behind| options(&format!("ws://{}", behind.address), Trust::System, PATIENT);
    let there = Arc::new(Mutex::new(Some(way(&second))));
    let load = {
        let there = Arc::clone(&there);
        move || {
            let Plan {
                policy, settings, ..
            } = door();
            let upstream = there.lock().unwrap().clone();
            Ok(Loaded {
                policy,
                settings,
                upstream: upstream.map(Upstream::new),
                files: Vec::new(),
                warnings: String::new(),
            })
        }
    };
    let served = Plan {
        options: Options {
            upstream: Some(Arc::new(Upstream::new(way(&first)))),
            load: Some(Arc::new(load)),
            ..Options::default()
        },
        ..door()
    }
    .serve();
    let (mut stays, mut at_first) = pair(&served, &mut first).await;
    let is_other =
        |reloaded: &Reloaded| matches!(reloaded, Reloaded::Replaced { upstream: true, .. });
    assert!(is_other(&served.gateway.reload().await));
    let again = served.gateway.reload().await;
    assert!(matches!(again, Reloaded::Unchanged { .. }), "{again:?}");
    let (mut comes, mut at_second) = pair(&served, &mut second).await;
    for (client, there) in [(&mut stays, &mut at_first), (&mut comes, &mut at_second)] {
        let (answer, ()) = tokio::join!(client.call("chat.send", json!({ "a": 1 })), there.echo());
        assert_eq!(answer.unwrap(), json!({ "a": 1 }));
    }
    // Another secret is another way to the same one.
    let other = Login::Token(Secret::new("another secret of the server behind"));
    there.lock().unwrap().as_mut().unwrap().login = other;
    assert!(is_other(&served.gateway.reload().await));
    let (_client, came) = pair(&served, &mut second).await;
    assert_ne!(came.frame["params"]["auth"], json!({ "token": SECRET }));
    // Without one the gateway answers by itself.
    *there.lock().unwrap() = None;
    assert!(is_other(&served.gateway.reload().await));
    let mut alone = served.admit(&Asking::device("owner")).await;
    assert!(alone.call("status", json!({})).await.unwrap()["bootId"].is_string());
    assert!(first.is_alone() && second.is_alone());
}

#[tokio::test]
async fn what_is_about_devices_stays_here() {
    let (served, mut behind) = relaying(Manner::Good, door()).await;
    let (mut client, mut there) = pair(&served, &mut behind).await;
    let list = client.call("device.pair.list", json!({})).await.unwrap();
    assert_eq!(list["paired"].as_array().unwrap().len(), 1);
    let unknown = client
        .call("device.pair.setup", json!({}))
        .await
        .unwrap_err();
    assert_eq!(unknown["message"], "unknown method: device.pair.setup");
    assert!(client.call("policy.status", Value::Null).await.is_ok());
    there
        .send(&json!({ "type": "event", "event": "device.pair.requested", "payload": {} }))
        .await;
    there
        .send(&json!({ "type": "event", "event": "chat", "payload": 1, "seq": 7 }))
        .await;
    let heard = client.message().await.unwrap();
    assert_eq!(
        heard,
        json!({ "type": "event", "event": "chat", "payload": 1, "seq": 7 })
    );
    // Health is answered by what is behind, and is all that came there.
    let (health, ()) = tokio::join!(client.call("health", json!({ "of": "it" })), there.echo());
    assert_eq!(health.unwrap(), json!({ "of": "it" }));

    // One that either end could read in another way goes nowhere.
    let (mut client, mut there) = pair(&served, &mut behind).await;
    let twice = r#"{"type":"req","id":"t","method":"health","method":"device.pair.approve"}"#;
    client.socket.send(Message::text(twice)).await.unwrap();
    assert_eq!(client.closed().await.code, 1002);
    assert_eq!(there.next().await, None);
}

#[tokio::test]
async fn who_is_about_the_gateway_only_needs_nobody_behind() {
    let (served, mut behind) = relaying(Manner::WrongToken, door()).await;
    let asking = Asking {
        more: json!({ "caps": ["gateway-only"] }),
        ..Asking::device("owner")
    };
    let refused = served.refuse(&Asking::device("owner")).await;
    assert_eq!(refused.error["code"], "UNAVAILABLE");
    let mut owner = served.admit(&asking).await;
    let status = owner.call("status", json!({})).await.unwrap();
    let trouble = status["upstream"]["trouble"]["what"].as_str().unwrap();
    assert!(trouble.contains("not today"), "{trouble}");
    assert!(trouble.contains("`upstream.token`"), "{trouble}");
    assert!(owner.call("health", json!({})).await.is_ok());
    assert!(behind.is_alone());
}

/// Each is told that nobody is there and may come again, and the owner is told why.
#[tokio::test]
async fn a_server_behind_that_lets_nobody_in_is_unavailable() {
    for (manner, why) in [
        (
            Manner::WantsPairing,
            "openclaw devices approve request-behind",
        ),
        (Manner::WrongToken, "not today"),
        (Manner::Closes, "1008"),
        (Manner::Silent, "keeps us waiting"),
        (Manner::Nonsense, "no JSON"),
        (Manner::OddHello, "no `hello-ok`"),
        (Manner::NoWebSocket, "200"),
        (Manner::Deaf, "keeps us waiting"),
    ] {
        let (served, mut behind) = relaying(manner, door()).await;
        let refused = served.refuse(&Asking::device("owner")).await;
        assert_eq!(refused.error["code"], "UNAVAILABLE", "{manner:?}");
        assert_eq!(refused.error["retryable"], true, "{manner:?}");
        assert!(!refused.error.to_string().contains("request-behind"));
        let words = match manner {
            Manner::WantsPairing | Manner::WrongToken | Manner::NoWebSocket => "does not let it in",
            Manner::Good
            | Manner::Closes
            | Manner::Silent
            | Manner::Nonsense
            | Manner::OddHello
            | Manner::Deaf => "cannot be reached",
        };
        let closed = Closed::new(1013, &format!("the server behind the gateway {words}"));
        assert_eq!(refused.closed, closed, "{manner:?}");
        assert!(behind.is_alone());
        let asking = Asking {
            more: json!({ "caps": ["gateway-only"] }),
            ..Asking::device("owner")
        };
        let mut owner = served.admit(&asking).await;
        let status = owner.call("status", json!({})).await.unwrap();
        let trouble = status["upstream"]["trouble"]["what"].as_str().unwrap();
        assert!(trouble.contains(why), "{manner:?}: {trouble}");
        drop(owner);
        let (_, lines) = served.end().await;
        let decided = lines
            .iter()
            .find(|line| line.kind == LineKind::Decided)
            .unwrap();
        let answer = decided.answer.as_ref().unwrap();
        assert!(!answer.admitted, "{manner:?}");
        assert_eq!(answer.code.as_deref(), Some("UNAVAILABLE"));
    }
}

#[tokio::test]
async fn a_server_behind_is_taken_for_whom_its_certificate_says() {
    let certificates = |folder: &std::path::Path| {
        let tls = Tls::Generated { names: Vec::new() };
        let made = Certificates::open(&tls, folder, None, SystemTime::now());
        made.unwrap().unwrap()
    };
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [its, other] = [&folders[0], &folders[1]].map(|folder| certificates(folder.path()));
    let [right, wrong] = [&its, &other].map(Certificates::fingerprint);
    let mut behind = Behind::serve_with(Manner::Good, Some(its)).await;
    let plan = |scheme: &str, trust| {
        let url = format!("{scheme}://{}", behind.address);
        let upstream = upstream_at(&url, trust, PATIENT);
        let options = Options {
            upstream: Some(Arc::clone(&upstream)),
            ..Options::default()
        };
        (Plan { options, ..door() }, upstream)
    };
    let both = format!("{right}, and {wrong} was expected");
    let pins = format!("`upstream: {{ fingerprint: {right} }}`");
    for (scheme, trust, why) in [
        ("wss", Trust::Fingerprint(wrong), both.as_str()),
        ("wss", Trust::System, &pins),
        ("ws", Trust::System, "write `wss://` in `upstream.url`"),
    ] {
        let (plan, upstream) = plan(scheme, trust);
        let refused = plan.serve().refuse(&Asking::device("owner")).await;
        assert_eq!(refused.error["code"], "UNAVAILABLE");
        let trouble = upstream.trouble().unwrap().what;
        assert!(trouble.contains(why), "{trouble}");
    }
    let (plan, _) = plan("wss", Trust::Fingerprint(right));
    let served = plan.serve();
    let (mut client, mut there) = pair(&served, &mut behind).await;
    let call = json!({ "type": "req", "id": "1", "method": "chat.send", "params": { "n": 1 } });
    client.send(&call).await;
    assert_eq!(there.next().await.unwrap(), call);
}

/// Who announces a message beyond what is taken is heard no further, before it is there.
#[tokio::test]
async fn a_message_beyond_the_limit_ends_it_on_both_sides() {
    /// A final frame of text of 2^40 bytes: its header, from a client and from a server.
    const ENDLESS: [&[u8]; 2] = [
        &[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4],
        &[0x81, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0],
    ];
    let (served, mut behind) = relaying(Manner::Good, door()).await;
    let (mut client, mut there) = pair(&served, &mut behind).await;
    let socket = client.socket.get_mut();
    socket.write_all(ENDLESS[0]).await.unwrap();
    assert_eq!(client.closed().await.code, 1009);
    assert_eq!(there.next().await, None);

    let (mut client, mut there) = pair(&served, &mut behind).await;
    let socket = there.socket.get_mut();
    socket.write_all(ENDLESS[1]).await.unwrap();
    let closed = Closed::new(
        1009,
        "the server behind the gateway sent too large a message",
    );
    assert_eq!(client.closed().await, closed);
    assert_eq!(there.next().await, None);
}

#[tokio::test]
async fn each_end_hears_how_the_other_one_ended() {
    let (served, mut behind) = relaying(Manner::Good, door()).await;
    let (mut client, there) = pair(&served, &mut behind).await;
    there.close(1012, "service restart").await;
    assert_eq!(client.closed().await, Closed::new(1012, "service restart"));

    let (mut client, there) = pair(&served, &mut behind).await;
    drop(there);
    let lost = Closed::new(1012, "the server behind the gateway is gone");
    assert_eq!(client.closed().await, lost);

    let (mut client, mut there) = pair(&served, &mut behind).await;
    client.socket.close(None).await.unwrap();
    assert_eq!(there.next().await, None);

    let (client, mut there) = pair(&served, &mut behind).await;
    drop(client);
    assert_eq!(there.next().await, None);
}

#[tokio::test]
async fn who_is_not_admitted_any_longer_reaches_nobody() {
    let (served, mut behind) = relaying(Manner::Good, door()).await;
    let (mut owner, mut of_owner) = pair(&served, &mut behind).await;
    let guest = served.admit(&Asking::device("guest")).await;
    let mut of_guest = behind.arrival().await;
    let list = owner.call("device.pair.list", json!({})).await.unwrap();
    let guest_id = Asking::device("guest").frame("")["params"]["device"]["id"].clone();
    assert_eq!(list["paired"].as_array().unwrap().len(), 2);
    owner
        .call("device.pair.remove", json!({ "deviceId": guest_id }))
        .await
        .unwrap();
    let mut guest = guest;
    guest
        .send(&json!({ "type": "req", "id": "late", "method": "chat.send" }))
        .await;
    assert_eq!(guest.closed().await.code, 1008);
    assert_eq!(of_guest.next().await, None, "nothing after it was removed");

    let policy = rules("default → reject(not-permitted)");
    served
        .gateway
        .put(policy, crate::served::settings(json!({})));
    assert_eq!(owner.closed().await, Closed::new(1008, "policy changed"));
    assert_eq!(of_owner.next().await, None);
}

/// Whole, in order, and at the pace of whoever reads.
#[tokio::test]
async fn messages_arrive_as_they_were_sent_however_slowly_they_are_read() {
    const COUNT: usize = 10_000;
    // Sizes up to the limit of what is behind, 2 MiB with what is around them; most are small.
    let sizes: Vec<usize> = (0..COUNT)
        .map(|at| match at % 1_000 {
            0 => 2_097_000,
            1..=9 => 60_000 + at,
            _ => (at * 7_919) % 900,
        })
        .collect();
    let message = |at: usize| {
        json!({ "type": "req", "id": at.to_string(), "method": "chat.send", "params": "x".repeat(sizes[at]) })
            .to_string()
    };
    let (served, mut behind) = relaying(Manner::Good, door()).await;
    let (client, there) = pair(&served, &mut behind).await;
    let (mut client_out, mut client_in) = client.socket.split();
    let (mut there_out, mut there_in) = there.socket.split();
    let read = async |from: &mut (
                               dyn futures_util::Stream<
        Item = Result<Message, tokio_tungstenite::tungstenite::Error>,
    > + Unpin
                           )| {
        for at in 0..COUNT {
            if at % 100 == 0 {
                tokio::task::yield_now().await;
            }
            let Some(Ok(Message::Text(text))) = soon("a message", from.next()).await else {
                panic!("it ended at {at}");
            };
            assert!(text.as_str() == message(at), "{at}");
        }
    };
    tokio::join!(
        async {
            for at in 0..COUNT {
                client_out.send(Message::text(message(at))).await.unwrap();
            }
        },
        async {
            for at in 0..COUNT {
                there_out.send(Message::text(message(at))).await.unwrap();
            }
        },
        read(&mut there_in),
        read(&mut client_in),
    );
}

/// Who is not read from does not fill the gateway.
#[tokio::test]
async fn what_nobody_reads_is_not_taken() {
    let (served, mut behind) = relaying(Manner::Good, door()).await;
    let (client, there) = pair(&served, &mut behind).await;
    let (mut out, _in) = client.socket.split();
    let chunk =
        json!({ "type": "req", "id": "1", "method": "chat.send", "params": "x".repeat(100_000) });
    let chunk = chunk.to_string();
    let flood = async {
        let mut sent = 0;
        loop {
            out.send(Message::text(chunk.clone())).await.unwrap();
            sent += 1;
            assert!(sent < 1_000, "it takes whatever comes");
        }
    };
    // It comes to a stop: what is on its way lies in the buffers of sockets.
    let stopped = tokio::time::timeout(Duration::from_secs(2), flood).await;
    assert!(stopped.is_err());
    drop(there);
}

#[tokio::test]
async fn the_program_around_it_reaches_what_is_behind_by_the_same_policy() {
    let plan = Plan {
        policy: rules(
            "transport=in-process → approve(scopes={ operator.read })\ndefault → reject(not-permitted)",
        ),
        ..Plan::default()
    };
    let (served, mut behind) = relaying(Manner::Good, plan).await;
    let scheduler = Identity::backend("scheduler", &[Scope::Read, Scope::Admin]);
    let session = served.gateway.connect_in_process(&scheduler).await.unwrap();
    let mut there = behind.arrival().await;
    assert_eq!(there.frame["params"]["scopes"], json!(["operator.read"]));
    assert_eq!(there.frame["params"]["client"]["displayName"], "scheduler");
    let (answer, ()) = tokio::join!(
        session.call("cron.list", json!({ "all": true })),
        there.echo()
    );
    assert_eq!(answer.unwrap(), json!({ "all": true }));
    assert!(session.call("policy.status", Value::Null).await.is_ok());

    let refused = rules("default → reject(not-permitted)");
    served
        .gateway
        .put(refused, crate::served::settings(json!({})));
    assert_eq!(there.next().await, None);
    assert!(session.call("cron.list", Value::Null).await.is_err());
}
