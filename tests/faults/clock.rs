//! Clocks that were wrong: what the store holds was written by one that was ahead or behind, and the
//! right one finds it. The gateway's own clock is the host's, which no test may set; so the jump lies
//! between the files and the gateway.
//!
//! THE TABLE: when what is kept was written and ends, and what the gateway makes of it now.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::client::Asking;
use crate::process::{Place, by_token, guest};
use crate::sign::Identity;

const TOKEN: &str = "device-token-not-a-secret";
const MINUTE: i64 = 60_000;
const YEAR: i64 = 365 * 24 * 60 * MINUTE;

/// What a device is at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// It comes in, with what it was approved for.
    In,
    /// It has to ask, and waits for the owner.
    Out,
}

/// A record, by when it was approved and when it ends, in milliseconds from now; times that are no
/// times are themselves.
const RECORDS: [(&str, i64, Option<i64>, Is); 14] = [
    (
        "approved for good, yesterday",
        -24 * 60 * MINUTE,
        None,
        Is::In,
    ),
    (
        "approved for good by a clock that was ahead",
        YEAR,
        None,
        Is::In,
    ),
    (
        "approved for good by a clock that had stopped in 1970",
        i64::MIN,
        None,
        Is::In,
    ),
    (
        "approved for good at the end of time",
        i64::MAX,
        None,
        Is::In,
    ),
    (
        "approved for an hour, a minute ago",
        -MINUTE,
        Some(59 * MINUTE),
        Is::In,
    ),
    (
        "approved for an hour, an hour ago",
        -60 * MINUTE,
        Some(0),
        Is::Out,
    ),
    (
        "approved for an hour by a clock a minute ahead",
        MINUTE,
        Some(61 * MINUTE),
        Is::In,
    ),
    (
        "approved for an hour by a clock a year ahead",
        YEAR,
        Some(YEAR + 60 * MINUTE),
        Is::Out,
    ),
    (
        "approved for an hour by a clock a year behind",
        -YEAR,
        Some(-YEAR + 60 * MINUTE),
        Is::Out,
    ),
    (
        "approved for ever by a clock at its end",
        i64::MAX - 1,
        Some(i64::MAX),
        Is::Out,
    ),
    ("ended before there was time", 0, Some(i64::MIN), Is::Out),
    ("ends with time", -MINUTE, Some(i64::MAX), Is::In),
    ("approved after its end", MINUTE, Some(-MINUTE), Is::Out),
    (
        "approved by a clock before 1970",
        i64::MIN,
        Some(MINUTE),
        Is::In,
    ),
];

/// When a request was made, and whether it still waits.
const REQUESTS: [(&str, i64, bool); 5] = [
    ("asked a minute ago", -MINUTE, true),
    ("asked a year ago", -YEAR, false),
    ("asked by a clock a year ahead", YEAR, true),
    ("asked at the end of time", i64::MAX, true),
    ("asked before there was time", i64::MIN, false),
];

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A time of a table as it is written.
fn at(from_now: i64) -> i64 {
    match from_now {
        i64::MIN | i64::MAX => from_now,
        from_now if from_now == i64::MAX - 1 => from_now,
        from_now => now_ms() + from_now,
    }
}

fn record(device: &Identity, approved: i64, ends: Option<i64>) -> Value {
    let approved = at(approved);
    let mut record = json!({
        "deviceId": device.id, "publicKey": device.public_key, "platform": "linux",
        "clientId": "cli", "clientMode": "cli", "role": "operator", "roles": ["operator"],
        "scopes": ["operator.read"], "approvedScopes": ["operator.read"],
        "createdAtMs": approved, "approvedAtMs": approved, "lastSeenAtMs": approved,
        "tokens": { "operator": { "token": TOKEN, "role": "operator",
            "scopes": ["operator.read"], "createdAtMs": approved, "rotatedAtMs": approved,
            "lastUsedAtMs": approved } },
    });
    if let Some(ends) = ends {
        record["expiresAtMs"] = at(ends).into();
    }
    record
}

/// An approval for a time is good from its beginning to its end by whatever clock, one for good is
/// good, and nothing that a clock did is an error.
#[tokio::test]
async fn what_a_wrong_clock_wrote_opens_nothing() {
    let place = Place::new("");
    let mut gateway = place.serve();
    gateway.stop();
    let connection = Connection::open(place.store("")).unwrap();
    let put = |device: &Identity, record: Option<Value>, pending: Option<Value>| {
        let [record, pending] = [record, pending].map(|part| part.map(|part| part.to_string()));
        let row = "INSERT INTO standings (device_id, version, record, pending) VALUES (?, 1, ?, ?)";
        connection
            .execute(row, (&device.id, record, pending))
            .unwrap();
    };
    for (name, approved, ends, _) in RECORDS {
        let device = Identity::named(name);
        put(&device, Some(record(&device, approved, ends)), None);
    }
    for (name, asked, _) in REQUESTS {
        let device = Identity::named(name);
        let request = json!({
            "requestId": name, "deviceId": device.id, "publicKey": device.public_key,
            "role": "operator", "roles": ["operator"], "scopes": ["operator.read"],
            "ts": at(asked),
        });
        put(&device, None, Some(request));
    }
    connection.close().unwrap();

    let gateway = place.serve();
    let mut owner = gateway.owner().await;
    let list = owner.call("device.pair.list", json!({})).await.unwrap();
    let lists = |kind: &str, name: &str| {
        let id = Identity::named(name).id;
        let all = list[kind].as_array().unwrap();
        all.iter().any(|one| one["deviceId"] == id.as_str())
    };
    for (name, _, _, is) in RECORDS {
        let asking = guest(name);
        assert_eq!(lists("paired", name), is == Is::In, "{name}");
        for asking in [by_token(&asking, TOKEN), asking] {
            match (gateway.knock(&asking).await, is) {
                (Ok((_, hello)), Is::In) => {
                    assert_eq!(hello["auth"]["scopes"], json!(["operator.read"]), "{name}");
                }
                (Err(_), Is::Out) => {}
                (knocked, is) => panic!("{name} is {is:?}: {:?}", knocked.map(|it| it.1)),
            }
        }
        let wider = Asking::device(name).scopes(&["operator.admin"]);
        gateway.refuse(&wider).await;
    }
    for (name, _, waits) in REQUESTS {
        assert_eq!(lists("pending", name), waits, "{name}");
        gateway.refuse(&by_token(&guest(name), TOKEN)).await;
        let request = json!({ "requestId": name });
        let approved = owner.call("device.pair.approve", request).await;
        assert_eq!(approved.is_ok(), waits, "{name}: {approved:?}");
    }
    // What was out can be approved anew, and then lasts by the right clock.
    let name = "approved for an hour by a clock a year ahead";
    let refused = gateway.refuse(&guest(name)).await;
    let request = json!({ "requestId": refused.request_id() });
    owner.call("device.pair.approve", request).await.unwrap();
    gateway.admit(&guest(name)).await;
    assert!(
        !place.complaints().contains("panicked"),
        "{}",
        place.complaints()
    );
    place.kept();
}
