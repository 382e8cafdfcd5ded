//! How a gateway stops: who is told, who is cut, and what is counted.

use std::time::Duration;

use gw::journal::{Finish, Kind, Unfinished};
use gw::server::Drained;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Error;

use crate::client::{Asking, Client, Closed};
use crate::handshakes::door;
use crate::raw::{Raw, UPGRADE};
use crate::served::Plan;

#[tokio::test]
async fn whoever_is_connected_is_told_and_nobody_holds_up_the_end() {
    let plan = Plan {
        patience: Duration::from_secs(600),
        ..door()
    };
    let mut served = plan.serve();
    let address = served.address;
    let mut owner = served.admit(&Asking::device("owner")).await;
    let mut other = served.admit(&Asking::device("other")).await;
    let mut waiting = served.open().await;
    let mut half = Raw::new(served.tcp().await);
    half.send(&UPGRADE.as_bytes()[..60]).await;
    let silent = Raw::new(served.tcp().await);
    // All five are accepted: the last one in the queue is answered.
    let ready = crate::handshakes::http(&served, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    served.stop();
    for client in [&mut owner, &mut other] {
        assert!(client.event("shutdown").await["reason"].is_string());
        assert_eq!(client.closed().await, Closed::new(1012, "service restart"));
    }
    assert_eq!(waiting.closed().await, Closed::new(1012, "service restart"));
    assert!(half.end().await.is_empty());
    assert!(silent.end().await.is_empty());
    let (drained, lines) = served.end().await;
    assert_eq!(drained.cut, 0);
    // The page's connection may have been there still.
    assert!((5..=6).contains(&drained.open), "{drained:?}");
    let ends = |kind: Kind, reason: &str| {
        let lines = lines.iter().filter(|line| line.kind == kind);
        lines
            .filter(|line| line.reason.as_deref() == Some(reason))
            .count()
    };
    assert_eq!(ends(Kind::SessionEnded, Finish::Shutdown.name()), 2);
    assert_eq!(ends(Kind::Unfinished, Unfinished::Shutdown.name()), 1);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// Who does not answer the close is cut when the patience is over, and counted.
#[tokio::test]
async fn who_does_not_leave_is_cut() {
    let plan = Plan {
        patience: Duration::from_millis(300),
        ..door()
    };
    let served = plan.serve();
    let mut polite = served.admit(&Asking::device("polite")).await;
    let deaf = served.admit(&Asking::device("deaf")).await;
    let leaving = async {
        polite.event("shutdown").await;
        polite.closed().await
    };
    let ((drained, lines), closed) = tokio::join!(served.end(), leaving);
    assert_eq!(drained, Drained { open: 2, cut: 1 });
    assert_eq!(closed, Closed::new(1012, "service restart"));
    let ended = lines.iter().filter(|line| line.kind == Kind::SessionEnded);
    assert_eq!(ended.count(), 2);
    drop(deaf);
}

#[tokio::test]
async fn nobody_connected_ends_at_once() {
    let (drained, lines) = door().serve().end().await;
    assert_eq!((drained, lines), (Drained { open: 0, cut: 0 }, Vec::new()));
}

/// Connections that come while it stops are told, or closed: none hangs, and none is admitted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_races_handshakes_leaves_nobody_hanging() {
    let mut served = door().serve();
    let address = served.address;
    let mut knocking = tokio::task::JoinSet::new();
    for number in 0..24 {
        knocking.spawn(async move {
            let asking = Asking::device(&format!("device {number}"));
            let Ok(stream) = tokio::net::TcpStream::connect(address).await else {
                return None;
            };
            let mut client = match Client::upgraded(stream, &asking).await {
                Ok(client) => client,
                Err(Error::Http(answer)) => {
                    assert_eq!(answer.status(), 503);
                    return None;
                }
                Err(_) => return None,
            };
            if let Err(closed) = client.challenge().await {
                return Some(closed);
            }
            match client.connect(&asking).await {
                Ok(_) => Some(client.closed().await),
                Err(refused) => {
                    assert_eq!(refused.error, Value::Null);
                    Some(refused.closed)
                }
            }
        });
    }
    tokio::task::yield_now().await;
    served.stop();
    let (drained, _) = served.end().await;
    for closed in knocking.join_all().await.into_iter().flatten() {
        assert!(matches!(closed.code, 1012 | 1006), "{closed:?}");
    }
    assert_eq!(drained.cut, 0);
}
