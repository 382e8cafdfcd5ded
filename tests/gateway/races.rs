//! What happens at once: approvals, reconnects, removals, and policies and settings that change
//! under connections.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gw::Policy;
use gw::config::Limits;
use gw::pairing::store::{self, Store, sweep};
use gw::pairing::{Sqlite, Write};
use gw::server::{Loaded, Options, Reloaded};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::{Asking, Client, Closed, Refused, TOKEN, soon};
use crate::handshakes::{door, guest};
use crate::served::{Plan, rules, settings};
use crate::sign::Identity;
use crate::stores::Watched;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_one_device_that_race_wait_by_one_request() {
    let served = Arc::new(door().serve());
    let mut knocking = JoinSet::new();
    for _ in 0..16 {
        let served = Arc::clone(&served);
        knocking.spawn(async move { served.refuse(&guest("guest")).await });
    }
    let refused = knocking.join_all().await;
    let told: BTreeSet<&str> = refused.iter().map(|refused| refused.request_id()).collect();
    let kept = served.store.list().unwrap();
    let pending: Vec<_> = kept
        .iter()
        .filter_map(|(kept, _)| kept.pending.as_ref())
        .collect();
    assert_eq!(pending.len(), 1);
    assert_eq!(told, BTreeSet::from([&*pending[0].request_id]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_ask_at_once_each_have_a_request() {
    let served = Arc::new(door().serve());
    let mut owner = served.admit(&Asking::device("owner")).await;
    let mut knocking = JoinSet::new();
    for number in 0..24 {
        let served = Arc::clone(&served);
        let name = format!("guest {number}");
        knocking.spawn(async move { served.refuse(&guest(&name)).await });
    }
    let refused = knocking.join_all().await;
    let told: BTreeSet<_> = refused.iter().map(|refused| refused.request_id()).collect();
    let list = owner.call("device.pair.list", json!({})).await.unwrap();
    let listed: BTreeSet<&str> = list["pending"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pending| pending["requestId"].as_str().unwrap())
        .collect();
    assert_eq!(listed, told);
    assert_eq!(told.len(), 24);
    let mut heard = BTreeSet::new();
    for _ in 0..24 {
        let event = owner.event("device.pair.requested").await;
        heard.insert(event["requestId"].as_str().unwrap().to_owned());
    }
    assert!(heard.iter().map(String::as_str).eq(told));
}

/// Of two owners one has approved it, and the other one is told that it waits no longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_approved_once() {
    let served = door().serve();
    let mut one = served.admit(&Asking::device("one")).await;
    let mut two = served.admit(&Asking::device("two")).await;
    for round in 0..12 {
        let asking = guest(&format!("guest {round}"));
        let refused = served.refuse(&asking).await;
        let request = json!({ "requestId": refused.request_id() });
        let (first, second) = tokio::join!(
            one.call("device.pair.approve", request.clone()),
            two.call("device.pair.approve", request.clone()),
        );
        let (done, failed) = match (first, second) {
            (Ok(done), Err(failed)) | (Err(failed), Ok(done)) => (done, failed),
            both => panic!("{both:?}"),
        };
        assert_eq!(done["requestId"], request["requestId"]);
        assert_eq!(failed["message"], "unknown requestId");
        served.admit(&asking).await;
    }
    for owner in [&mut one, &mut two] {
        for _ in 0..12 {
            owner.event("device.pair.resolved").await;
        }
    }
}

/// The request that it is told of always waits, or was approved; once approved it gets in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_that_races_a_reconnect_is_not_lost() {
    let served = Arc::new(door().serve());
    let mut owner = served.admit(&Asking::device("owner")).await;
    for round in 0..12 {
        let asking = guest(&format!("guest {round}"));
        let refused = served.refuse(&asking).await;
        let approved = Arc::new(AtomicBool::new(false));
        let reconnecting = tokio::spawn({
            let (served, asking) = (Arc::clone(&served), asking.clone());
            let approved = Arc::clone(&approved);
            async move {
                loop {
                    let was = approved.load(Ordering::SeqCst);
                    match served.knock(&asking).await {
                        Ok(_) => return,
                        Err(refused) => {
                            assert!(!was, "it was approved, and is refused: {refused:?}");
                            assert_eq!(refused.error["details"]["reason"], "not-paired");
                        }
                    }
                }
            }
        });
        let request = json!({ "requestId": refused.request_id() });
        owner.call("device.pair.approve", request).await.unwrap();
        approved.store(true, Ordering::SeqCst);
        soon("the admission", reconnecting).await.unwrap();
        let id = Identity::named(asking.device.as_deref().unwrap()).id;
        let (standing, _) = served.store.load(&id).unwrap();
        assert!(standing.record.is_some());
        assert!(
            standing.pending.is_none(),
            "it is paired, and waits: {standing:?}"
        );
    }
}

/// A device that connects while it is removed is out in the end, or it asks anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_races_a_reconnect_leaves_no_session() {
    let served = Arc::new(door().serve());
    let mut owner = served.admit(&Asking::device("owner")).await;
    for round in 0..12 {
        let asking = guest(&format!("guest {round}"));
        let refused = served.refuse(&asking).await;
        let request = json!({ "requestId": refused.request_id() });
        owner.call("device.pair.approve", request).await.unwrap();
        let device = Identity::named(asking.device.as_deref().unwrap()).id;
        let mut knocking = JoinSet::new();
        for _ in 0..4 {
            let (served, asking) = (Arc::clone(&served), asking.clone());
            knocking.spawn(async move {
                match served.knock(&asking).await {
                    Ok((mut client, _)) => client.closed().await,
                    Err(refused) => refused.closed,
                }
            });
        }
        let removed = json!({ "deviceId": device });
        owner.call("device.pair.remove", removed).await.unwrap();
        for closed in soon("the ends", knocking.join_all()).await {
            assert_eq!(closed.code, 1008, "{closed:?}");
        }
    }
    assert_eq!(served.gateway.sessions(), 1);
}

/// What ends the sessions of a device.
#[tokio::test]
async fn a_device_that_is_removed_or_whose_token_is_replaced_is_disconnected() {
    let served = door().serve();
    let mut owner = served.admit(&Asking::device("owner")).await;
    for (method, params) in [
        ("device.token.rotate", json!({ "role": "operator" })),
        ("device.token.revoke", json!({ "role": "operator" })),
        ("device.pair.remove", json!({})),
    ] {
        let asking = Asking::device(method).scopes(&["operator.read"]);
        let mut client = served.admit(&asking).await;
        let mut other = served.admit(&asking).await;
        let mut params = params;
        params["deviceId"] = Identity::named(method).id.into();
        owner.call(method, params).await.unwrap();
        for client in [&mut client, &mut other] {
            assert_eq!(
                client.closed().await,
                Closed::new(1008, "device access revoked"),
                "{method}"
            );
        }
    }
    owner.call("health", Value::Null).await.unwrap();
}

/// A session that is to end answers no call that comes after.
#[tokio::test]
async fn no_call_is_answered_after_the_end() {
    let served = door().serve();
    let asking = Asking::device("owner");
    for _ in 0..8 {
        let mut owner = served.admit(&asking).await;
        let device = Identity::named("owner").id;
        let remove = json!({
            "type": "req", "id": "remove", "method": "device.pair.remove",
            "params": { "deviceId": device },
        });
        let after = json!({ "type": "req", "id": "after", "method": "health" });
        use futures_util::SinkExt as _;
        use tokio_tungstenite::tungstenite::Message;
        for message in [&remove, &after, &after, &after] {
            let message = Message::text(message.to_string());
            owner.socket.feed(message).await.unwrap();
        }
        owner.socket.flush().await.unwrap();
        owner.answer("remove").await.unwrap().unwrap();
        let ended = owner.message().await;
        assert_eq!(ended, Err(Closed::new(1008, "device access revoked")));
    }
}

/// Two policies, each with its settings. One with the settings of the other admits nobody.
fn sides() -> [(Policy, gw::settings::Settings); 2] {
    let side = |condition: &str, scope: &str, local: bool| {
        (
            rules(&format!(
                "{condition} → approve(scopes={{ {scope} }})\ndefault → reject(not-permitted)"
            )),
            settings(json!({ "nodes": { "pairing": { "autoApproveLocal": local } } })),
        )
    };
    [
        side("not setting.auto-approve-local", "operator.read", false),
        side("setting.auto-approve-local", "operator.write", true),
    ]
}

/// Every answer is wholly of one of two policies with its settings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_handshakes_see_no_half_of_a_reload() {
    let [(policy, settings), _] = sides();
    let load = || {
        let [_, (policy, settings)] = sides();
        Ok(Loaded {
            policy,
            settings,
            upstream: None,
            files: Vec::new(),
            warnings: String::new(),
            next_start: Vec::new(),
        })
    };
    let plan = Plan {
        policy,
        settings,
        options: Options {
            load: Some(Arc::new(load)),
            ..Options::default()
        },
        ..Plan::default()
    };
    let served = Arc::new(plan.serve());
    let (knocked, mut knocks) = mpsc::unbounded_channel();
    let swapping = tokio::spawn({
        let gateway = served.gateway.clone();
        async move {
            let [(policy, settings), _] = sides();
            let mut swaps = 0;
            // One side is put in force, the other one loaded.
            while knocks.recv().await.is_some() {
                // What was said meanwhile is no reason to change at once again: either side is to be seen.
                while knocks.try_recv().is_ok() {}
                match swaps % 2 {
                    0 => gateway.put(policy.clone(), settings.clone()),
                    _ => assert!(matches!(gateway.reload().await, Reloaded::Replaced { .. })),
                }
                swaps += 1;
            }
            swaps
        }
    });
    let mut knocking = JoinSet::new();
    let seen = Arc::new([const { AtomicBool::new(false) }; 2]);
    for _ in 0..8 {
        let (served, knocked) = (Arc::clone(&served), knocked.clone());
        let seen = Arc::clone(&seen);
        knocking.spawn(async move {
            let both = || seen.iter().all(|side| side.load(Ordering::SeqCst));
            let mut round = 0;
            while round < 125 || !both() {
                // Not after each, so that there is time to see either side.
                if round % 5 == 0 {
                    knocked.send(()).unwrap();
                }
                round += 1;
                let asking = Asking::default().scopes(&["operator.read", "operator.write"]);
                match served.knock(&asking).await {
                    Ok((_, hello)) if hello["auth"]["scopes"] == json!(["operator.read"]) => {
                        seen[0].store(true, Ordering::SeqCst);
                    }
                    Ok((_, hello)) => {
                        assert_eq!(hello["auth"]["scopes"], json!(["operator.write"]));
                        seen[1].store(true, Ordering::SeqCst);
                    }
                    // Admitted, and out again before it was told.
                    Err(out) => assert_eq!(
                        out,
                        Refused {
                            error: Value::Null,
                            closed: Closed::new(1008, "policy changed"),
                        }
                    ),
                }
            }
        });
    }
    drop(knocked);
    knocking.join_all().await;
    assert!(swapping.await.unwrap() > 1);
    let served = Arc::into_inner(served).unwrap();
    let (_, lines) = served.end().await;
    let [(a, _), (b, _)] = sides();
    for line in lines {
        let (Some(policy), Some(scopes)) = (line.policy, line.scopes) else {
            continue;
        };
        let expected = match &*policy.digest {
            digest if a.digest().starts_with(digest) => "operator.read",
            digest if b.digest().starts_with(digest) => "operator.write",
            digest => panic!("no policy of ours: {digest}"),
        };
        assert!(scopes.iter().all(|scope| &**scope == expected));
    }
}

/// A WebSocket that was opened under one policy and is admitted under another one is judged
/// wholly by the other: its request too.
#[tokio::test]
async fn what_is_decided_later_is_not_decided_by_an_earlier_look() {
    // A guard at upgrade that is new.
    let served = Plan {
        policy: rules("default → approve"),
        ..Plan::default()
    }
    .serve();
    let mut early = served.open().await;
    served.gateway.put(
        rules("guard at upgrade loopback → reject(not-permitted)\ndefault → approve"),
        settings(json!({})),
    );
    let refused = early.connect(&Asking::default()).await.unwrap_err();
    assert_eq!(refused.closed.code, 1008, "{refused:?}");

    // Another word on who is a proxy, and on what is approved here.
    for (policy, more) in [
        ("peer-is-proxy", json!({ "trustedProxies": ["127.0.0.1"] })),
        (
            "not setting.auto-approve-local",
            json!({ "nodes": { "pairing": { "autoApproveLocal": false } } }),
        ),
        (
            "client-ip=public",
            json!({ "trustedProxies": ["127.0.0.1"] }),
        ),
    ] {
        let asking = Asking {
            headers: vec![("x-forwarded-for", "198.51.99.7".to_owned())],
            ..Asking::default()
        };
        let policy = rules(&format!(
            "guard {policy} → reject(not-permitted)\ndefault → approve"
        ));
        let served = Plan {
            policy: policy.clone(),
            ..Plan::default()
        }
        .serve();
        let mut early = served.try_open(&asking).await.unwrap();
        served.gateway.put(policy, settings(more));
        let late = served.refuse(&asking).await;
        assert_eq!(late.error["details"]["code"], "POLICY_NOT_PERMITTED");
        assert_eq!(early.connect(&asking).await, Err(late));
    }
}

/// Who would not be admitted any more is out, who would be stays.
#[tokio::test]
async fn sessions_are_held_against_a_new_policy_and_new_secrets() {
    let served = Plan {
        policy: rules("auth=token → approve\ndefault → reject(not-permitted)"),
        ..Plan::default()
    }
    .serve();
    let cli = Asking::default();
    let helper = Asking {
        client: ("gateway-client", "backend"),
        ..Asking::default()
    };
    let mut stays = served.admit(&cli).await;
    let mut leaves = served.admit(&helper).await;
    served.gateway.put(
        rules("client=cli and auth=token → approve\ndefault → reject(not-permitted)"),
        settings(json!({})),
    );
    assert_eq!(leaves.closed().await, Closed::new(1008, "policy changed"));
    stays.call("health", Value::Null).await.unwrap();

    // Fewer scopes than the session has.
    served.gateway.put(
        rules("auth=token → approve(scopes={ operator.read })\ndefault → reject(not-permitted)"),
        settings(json!({})),
    );
    assert_eq!(stays.closed().await, Closed::new(1008, "policy changed"));

    let mut client = served.admit(&cli.clone().scopes(&["operator.read"])).await;
    served.gateway.put(
        rules("auth=token → approve(scopes={ operator.read })\ndefault → reject(not-permitted)"),
        settings(json!({ "auth": { "token": "another-secret-of-ours" } })),
    );
    assert_eq!(
        client.closed().await,
        Closed::new(4001, "gateway auth changed")
    );
    let (_, lines) = served.end().await;
    let ends: Vec<_> = lines
        .iter()
        .filter(|line| line.kind == gw::journal::Kind::SessionEnded)
        .map(|line| line.reason.as_deref().unwrap())
        .collect();
    assert_eq!(ends, ["policy-changed", "policy-changed", "auth-changed"]);
}

/// A policy in a file: an edit is in force without a word, a broken one is told, and mended.
#[tokio::test]
async fn an_edited_policy_is_in_force_and_a_broken_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.policy");
    let write = |rules: &str| fs::write(&file, format!("gw-policy 1\n{rules}\n")).unwrap();
    write("auth=token → approve\ndefault → reject(not-permitted)");
    let load = {
        let file = file.clone();
        move || {
            let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
            let policy = Policy::parse("my.policy", &text).map_err(|error| error.to_string())?;
            Ok(Loaded {
                policy,
                settings: settings(json!({})),
                upstream: None,
                files: vec![file.clone()],
                warnings: "mind this\n".to_owned(),
                next_start: Vec::new(),
            })
        }
    };
    let Loaded {
        policy,
        settings,
        files,
        ..
    } = load().unwrap();
    let plan = Plan {
        policy,
        settings,
        options: Options {
            watched: files,
            load: Some(Arc::new(load)),
            ..Options::default()
        },
        ..Plan::default()
    };
    let served = plan.serve();
    let mut cli = served.admit(&Asking::default()).await;
    let helper = Asking {
        client: ("gateway-client", "backend"),
        ..Asking::default()
    };
    let mut helper = served.admit(&helper).await;
    write("client=cli and auth=token → approve\ndefault → reject(not-permitted)");
    assert_eq!(helper.closed().await, Closed::new(1008, "policy changed"));

    write("client=cli and → approve");
    let reloaded = cli.call("policy.reload", json!({})).await.unwrap();
    assert_eq!(reloaded["reloaded"], false, "{reloaded}");
    let status = cli.call("policy.status", json!({})).await.unwrap();
    assert_eq!(status["differs"], true);
    assert!(status["why"].is_string());
    served.admit(&Asking::default()).await;

    // One that does not keep what it claims is no better.
    write(
        "auth=token → approve\ndefault → reject(not-permitted)\n\
         never \"only this host\": not loopback ⇒ admit",
    );
    let Reloaded::Kept(why) = served.gateway.reload().await else {
        panic!("it was put into force");
    };
    assert!(why.contains("only this host"), "{why}");
    served.admit(&Asking::default()).await;

    fs::remove_file(&file).unwrap();
    assert!(matches!(served.gateway.reload().await, Reloaded::Kept(_)));
    served.admit(&Asking::default()).await;

    write("client=cli and auth=token → approve\ndefault → reject(not-permitted)");
    let warnings = "mind this\n".to_owned();
    let next_start = Vec::new();
    assert_eq!(
        served.gateway.reload().await,
        Reloaded::Unchanged {
            warnings,
            next_start
        }
    );
    let reloaded = cli.call("policy.reload", json!({})).await.unwrap();
    assert_eq!(reloaded["warnings"], "mind this\n");
    let status = cli.call("policy.status", json!({})).await.unwrap();
    assert_eq!(status["differs"], false);
}

#[tokio::test]
async fn what_another_process_commits_reaches_sessions() {
    let plan = door();
    let file = plan.devices();
    let served = plan.serve();
    let mut client = served.admit(&Asking::device("owner")).await;
    // As a tool would: on connections of its own.
    let tool = Sqlite::open(&file, store::Limits::default()).unwrap();
    let id = Identity::named("owner").id;
    let (standing, version) = tool.load(&id).unwrap();
    assert!(standing.record.is_some());
    let removed = gw::pairing::Change {
        record: Write::Remove,
        ..gw::pairing::Change::none(&id)
    };
    tool.commit(&removed, version).unwrap();
    assert_eq!(
        client.closed().await,
        Closed::new(1008, "device access revoked")
    );
    assert_eq!(sweep(&tool, 0, &Default::default()), Ok(0));
}

#[tokio::test]
async fn a_session_ends_with_the_time_that_it_was_given() {
    let served = Plan {
        policy: rules("[known] pairing=paired → approve\nauth=token → silent-approve(ttl=\"2s\")\ndefault → require-pairing"),
        ..Plan::default()
    }
    .serve();
    let (mut client, _) = served.knock(&Asking::device("owner")).await.unwrap();
    // What is left of it makes no other way in.
    let closed = client.closed().await;
    assert_eq!(closed.code, 1008, "{closed:?}");
    let (_, lines) = served.end().await;
    assert!(lines[0].until.is_some());
}

/// Approved once more for good, a session goes on, and the gateway does not look after it all the
/// time because its first end is over.
#[tokio::test]
async fn a_session_whose_end_was_moved_goes_on_quietly() {
    let store = Arc::new(Watched::default());
    let served = Plan {
        policy: rules(
            "guard scope-upgrade → require-pairing
[known] pairing=paired → approve
[brief] client=gateway-client and auth=token → silent-approve(ttl=\"3s\")
[owner] client=cli and auth=token → silent-approve
default → require-pairing",
        ),
        store: Some(Arc::clone(&store) as _),
        limits: Limits {
            tick_ms: 500,
            ..Limits::default()
        },
        ..Plan::default()
    }
    .serve();
    let mut owner = served.admit(&Asking::device("owner")).await;
    let mut brief = served.admit(&guest("brief")).await;
    let more = served
        .refuse(&guest("brief").scopes(&["operator.write"]))
        .await;
    let request = json!({ "requestId": more.request_id() });
    owner.call("device.pair.approve", request).await.unwrap();
    for _ in 0..8 {
        brief.event("tick").await;
    }
    brief.call("health", Value::Null).await.unwrap();
    let loads = store.loads();
    assert!(loads < 200, "the store was asked {loads} times");
}

/// Another process' commit while one of this gateway's is under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_another_process_is_noticed_beside_ones_own() {
    let store = Arc::new(Watched::default());
    let served = Plan {
        store: Some(Arc::clone(&store) as _),
        ..door()
    }
    .serve();
    let mut client = served.admit(&Asking::device("owner")).await;
    let seen = store.looks();
    store.looked_after(seen).await;
    // A commit that is in the store, and that the gateway has not heard back of.
    let commits = store.commits();
    let held = store.hold();
    let refusing = tokio::spawn({
        let asking = guest("guest");
        let stream = served.tcp().await;
        async move {
            let mut client = Client::open(stream, &asking).await.unwrap();
            client.connect(&asking).await.unwrap_err()
        }
    });
    store.committed_after(commits).await;
    let loads = store.loads();
    store.loaded_after(loads).await;
    // The session was looked after because of it. Now it comes back, and another process removes
    // the owner's device.
    let id = Identity::named("owner").id;
    store.remove(&id);
    drop(held);
    refusing.await.unwrap();
    assert_eq!(
        client.closed().await,
        Closed::new(1008, "device access revoked")
    );
}

/// Wherever a client sent it.
#[tokio::test]
async fn a_secret_is_in_no_answer_and_in_no_line() {
    let served = door().serve();
    let log = served.folder.path().join("decisions.jsonl");
    let asking = Asking {
        headers: vec![("x-token", TOKEN.to_owned())],
        ..Asking::device("owner")
    };
    let (mut owner, hello) = served.knock(&asking).await.unwrap();
    let device_token = hello["auth"]["deviceToken"].as_str().unwrap().to_owned();
    let mut said = String::new();
    for (method, params) in [
        ("status", json!({})),
        ("device.pair.list", json!({})),
        ("admission.explain", json!({})),
        ("admission.recent", json!({})),
        ("policy.status", json!({})),
    ] {
        said += &owner.call(method, params).await.unwrap().to_string();
    }
    drop(owner);
    let kept = tempfile::tempdir().unwrap();
    // Its folder goes with it.
    let copy = kept.path().join("decisions.jsonl");
    fs::hard_link(&log, &copy).unwrap();
    let (_, lines) = served.end().await;
    assert!(!lines.is_empty());
    let logged = fs::read_to_string(&copy).unwrap();
    let connection = hello["server"]["connId"].as_str().unwrap();
    assert!(logged.contains(connection), "{logged}");
    said += &logged;
    assert!(!said.contains(TOKEN));
    assert!(!said.contains(&device_token));
}
