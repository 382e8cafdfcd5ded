//! Who guesses, and whom that locks out: nobody who is known by a device, however often somebody else
//! fails at its address; and everybody who fails too often, whatever held in between.

use gw::journal::Kind;
use serde_json::{Value, json};

use crate::client::{Asking, Refused, TOKEN};
use crate::served::{Plan, Served, rules, settings};

/// How often one may fail.
const ATTEMPTS: usize = 3;

/// Everybody with the token is paired. Whoever is on this host is limited like others.
fn limited() -> Served {
    let plan = Plan {
        policy: rules(
            "auth=token → silent-approve
auth=device-token → approve
default → require-pairing",
        ),
        settings: settings(json!({ "auth": {
            "token": TOKEN,
            "rateLimit": { "maxAttempts": ATTEMPTS, "exemptLoopback": false },
        } })),
        ..Plan::default()
    };
    plan.serve()
}

fn wrong(device: &str) -> Asking {
    Asking::device(device).auth(json!({ "token": "none" }))
}

fn why(refused: &Refused) -> &str {
    refused.error["details"]["authReason"].as_str().unwrap()
}

/// Pairs a device; gives its own token.
async fn paired(served: &Served, device: &str) -> String {
    let (_, hello) = served.knock(&Asking::device(device)).await.unwrap();
    hello["auth"]["deviceToken"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_address_that_is_locked_out_keeps_no_known_device_out() {
    let served = limited();
    let token = paired(&served, "known").await;
    for attempt in 0..2 * ATTEMPTS {
        let refused = served.refuse(&wrong(&format!("stranger {attempt}"))).await;
        let expected = match attempt < ATTEMPTS {
            true => "token_mismatch",
            false => "rate_limited",
        };
        assert_eq!(why(&refused), expected);
    }
    // Nor does the right secret get a stranger in, with a device or without one.
    for stranger in [Asking::device("late"), Asking::default()] {
        assert_eq!(why(&served.refuse(&stranger).await), "rate_limited");
    }
    for auth in [
        json!({ "token": TOKEN }),
        json!({ "deviceToken": token }),
        json!({ "token": token }),
        json!({ "token": "old", "deviceToken": token }),
    ] {
        served.admit(&Asking::device("known").auth(auth)).await;
    }
    // A device is known by its key: that somebody names it is not enough.
    let mut named = Asking::device("late");
    named.more = json!({ "device": Value::Null });
    assert!(served.knock(&named).await.is_err());
}

#[tokio::test]
async fn what_holds_washes_nothing_away() {
    let served = limited();
    let token = paired(&served, "mine").await;
    let own = Asking::device("mine").auth(json!({ "deviceToken": token }));
    for attempt in 0..2 * ATTEMPTS {
        // Whoever has a device of its own, or the secret itself, in between.
        served.admit(&own).await;
        served.admit(&Asking::device("mine")).await;
        let refused = served.refuse(&wrong("another")).await;
        assert_eq!(why(&refused) == "rate_limited", attempt >= ATTEMPTS);
    }
    served.admit(&own).await;
}

/// Beside its own token a device may send another secret, and learn from the answer whether it was
/// right: so that counts, too, and costs it nothing but that.
#[tokio::test]
async fn a_known_device_guesses_no_secret_beside_its_own_token_without_end() {
    let served = limited();
    let token = paired(&served, "mine").await;
    let guess = |secret: &str| {
        let auth = json!({ "token": secret, "deviceToken": token });
        Asking::device("mine").auth(auth)
    };
    let method = async |asking: &Asking| {
        let (_, hello) = served.knock(asking).await.unwrap();
        hello["auth"]["method"].clone()
    };
    assert_eq!(method(&guess(TOKEN)).await, "token");
    for _ in 0..ATTEMPTS {
        assert_eq!(method(&guess("wrong")).await, "device-token");
    }
    assert_eq!(
        method(&guess(TOKEN)).await,
        "device-token",
        "it is not looked at"
    );
    // Others at its address, and strangers, have lost nothing by it.
    served.admit(&Asking::device("another")).await;
}

/// Whoever guesses has a few lines of the log a second, and whoever holds a secret all of theirs.
#[tokio::test]
async fn guesses_flush_nothing_out_of_the_log() {
    let served = limited();
    let (many, admitted) = (300, 20);
    paired(&served, "known").await;
    for _ in 0..many {
        served.refuse(&wrong("stranger")).await;
    }
    for _ in 1..admitted {
        served.admit(&Asking::device("known")).await;
    }
    let (_, lines) = served.end().await;
    let decided = lines.iter().filter(|line| line.kind == Kind::Decided);
    let (in_it, out): (Vec<_>, Vec<_>) =
        decided.partition(|line| line.verdict.as_deref() != Some("reject"));
    let left_out = lines.iter().filter(|line| line.kind == Kind::LinesLeftOut);
    let left_out: u64 = left_out.map(|line| line.dropped.unwrap()).sum();
    assert_eq!(in_it.len(), admitted);
    assert_eq!(out.len() as u64 + left_out, many);
    assert!(out.len() < 200, "{}", out.len());
}
