//! What every store has to pass: a store's own tests call [`check`].

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use super::change::{Change, Write};
use super::record::{NodePending, Pending, Record};
use super::standing::Standing;
use super::store::{Limits, Store, StoreError, Version};

type Make<'a> = &'a dyn Fn(Limits) -> Box<dyn Store>;

/// Runs all cases, each on a new empty store that `make` makes.
pub(crate) fn check(make: Make<'_>) {
    nothing_is_remembered_of_a_stranger(&*make(Limits::default()));
    what_is_committed_is_loaded(&*make(Limits::default()));
    an_empty_change_leaves_the_version(&*make(Limits::default()));
    of_two_that_race_one_is_told(&*make(Limits::default()));
    a_removed_device_is_a_stranger_again(&*make(Limits::default()));
    nothing_is_written_for_who_has_changed(&*make(Limits::default()));
    requests_end_at_the_limit(&*make(Limits {
        requests: 2,
        devices: 9,
    }));
    devices_end_at_the_limit(&*make(Limits {
        requests: 9,
        devices: 2,
    }));
    every_commit_counts_one(&*make(Limits::default()));
    a_naive_model_agrees(make);
}

fn record(device: &str, name: &str) -> Record {
    let token = json!({ "token": "s3cret", "role": "operator", "scopes": ["operator.read"] });
    serde_json::from_value(json!({
        "deviceId": device, "publicKey": "k", "displayName": name, "roles": ["operator"],
        "scopes": ["operator.read"], "approvedScopes": ["operator.read"],
        "tokens": { "operator": token }, "createdAtMs": 1, "approvedAtMs": 2,
    }))
    .unwrap()
}

fn pending(device: &str, id: &str) -> Pending {
    serde_json::from_value(json!({
        "requestId": id, "deviceId": device, "publicKey": "k", "silent": false, "ts": 1,
    }))
    .unwrap()
}

fn asks(device: &str, id: &str) -> Change {
    Change {
        pending: Write::Put(pending(device, id)),
        ..Change::none(device)
    }
}

fn pairs(device: &str, name: &str) -> Change {
    Change {
        record: Write::Put(record(device, name)),
        pending: Write::Remove,
        ..Change::none(device)
    }
}

fn nothing_is_remembered_of_a_stranger(store: &dyn Store) {
    let nothing = (Arc::default(), Version::NOTHING);
    assert_eq!(store.load("d").unwrap(), nothing);
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(store.device_of_request("r").unwrap(), None);
}

fn what_is_committed_is_loaded(store: &dyn Store) {
    let asked = store.commit(&asks("d", "r"), Version::NOTHING).unwrap();
    assert_eq!(store.device_of_request("r").unwrap().as_deref(), Some("d"));
    let both = Change {
        record: Write::Put(record("d", "one")),
        node_pending: Write::Put(NodePending {
            request_id: "n".into(),
            ts: 1,
        }),
        ..asks("d", "r2")
    };
    let version = store.commit(&both, asked).unwrap();
    assert_ne!(version, asked);
    assert_eq!(store.device_of_request("r").unwrap(), None, "replaced");
    let (standing, loaded) = store.load("d").unwrap();
    assert_eq!(
        (&*standing, loaded),
        (&both.apply(&Standing::default()), version)
    );
    let record = standing.record.as_ref();
    let token = record.unwrap().token("operator").cloned().unwrap();
    assert_eq!(token.token.expose(), "s3cret");

    store.commit(&asks("a", "r3"), Version::NOTHING).unwrap();
    let devices: Vec<_> = store.list().unwrap();
    let first = devices[0].0.pending.as_ref().unwrap();
    assert_eq!((devices.len(), &*first.device_id), (2, "a"));
}

fn an_empty_change_leaves_the_version(store: &dyn Store) {
    let version = store.commit(&pairs("d", "one"), Version::NOTHING).unwrap();
    assert_eq!(store.commit(&Change::none("d"), version), Ok(version));
    assert_eq!(store.load("d").unwrap().1, version);
    let stale = store.commit(&Change::none("d"), Version::NOTHING);
    assert_eq!(stale, Err(StoreError::Conflict));
    assert_eq!(store.commit(&Change::default(), version), Ok(version));
}

fn of_two_that_race_one_is_told(store: &dyn Store) {
    let (_, seen) = store.load("d").unwrap();
    let results: Vec<_> = std::thread::scope(|scope| {
        let racing = ["one", "two"]
            .map(|name| scope.spawn(move || (name, store.commit(&pairs("d", name), seen))));
        racing.map(|one| one.join().unwrap()).into()
    });
    let won: Vec<_> = results.iter().filter(|(_, done)| done.is_ok()).collect();
    let lost = results
        .iter()
        .filter(|(_, done)| *done == Err(StoreError::Conflict));
    assert_eq!((won.len(), lost.count()), (1, 1));
    let kept = store.load("d").unwrap().0.record.clone().unwrap();
    assert_eq!(kept.display_name.as_deref(), Some(won[0].0));

    // A version of another device is none of this one's.
    let (_, other) = store.load("d").unwrap();
    assert_eq!(
        store.commit(&asks("e", "r"), other),
        Err(StoreError::Conflict)
    );
    assert_eq!(store.load("e").unwrap().1, Version::NOTHING);
}

fn nothing_is_written_for_who_has_changed(store: &dyn Store) {
    let asker = store
        .commit(&pairs("asker", "one"), Version::NOTHING)
        .unwrap();
    let asked = |device: &str| Change {
        asked_by: Some(("asker".into(), asker)),
        ..pairs(device, "one")
    };
    store.commit(&asked("d"), Version::NOTHING).unwrap();
    let gone = Change {
        record: Write::Remove,
        ..Change::none("asker")
    };
    // Of both in one batch the removal comes first, and counts.
    let done = store.commit_all(vec![(gone, asker), (asked("e"), Version::NOTHING)]);
    assert!(done[0].is_ok());
    assert_eq!(done[1], Err(StoreError::Conflict));
    let later = store.commit(&asked("f"), Version::NOTHING);
    assert_eq!(later, Err(StoreError::Conflict));
    for device in ["e", "f"] {
        assert_eq!(store.load(device).unwrap().1, Version::NOTHING);
    }
}

fn a_removed_device_is_a_stranger_again(store: &dyn Store) {
    let version = store.commit(&pairs("d", "one"), Version::NOTHING).unwrap();
    let remove = Change {
        record: Write::Remove,
        ..Change::none("d")
    };
    store.commit(&remove, version).unwrap();
    nothing_is_remembered_of_a_stranger(store);
    let again = store.commit(&pairs("d", "two"), Version::NOTHING).unwrap();
    assert_ne!(again, version);
    assert_eq!(store.commit(&remove, version), Err(StoreError::Conflict));
}

fn requests_end_at_the_limit(store: &dyn Store) {
    let first = store.commit(&asks("a", "1"), Version::NOTHING).unwrap();
    store.commit(&asks("b", "2"), Version::NOTHING).unwrap();
    let third = store.commit(&asks("c", "3"), Version::NOTHING);
    assert_eq!(third, Err(StoreError::TooManyRequests));
    assert_eq!(store.load("c").unwrap().1, Version::NOTHING);
    // Who waits already may ask for more, and whoever is paired makes room.
    let first = store.commit(&asks("a", "4"), first).unwrap();
    store.commit(&pairs("a", "one"), first).unwrap();
    store.commit(&asks("c", "3"), Version::NOTHING).unwrap();
}

fn devices_end_at_the_limit(store: &dyn Store) {
    let first = store.commit(&pairs("a", "one"), Version::NOTHING).unwrap();
    store.commit(&pairs("b", "two"), Version::NOTHING).unwrap();
    let third = store.commit(&pairs("c", "three"), Version::NOTHING);
    assert_eq!(third, Err(StoreError::TooManyDevices));
    store.commit(&pairs("a", "again"), first).unwrap();
}

fn every_commit_counts_one(store: &dyn Store) {
    assert_eq!(store.revision(), Ok(0));
    let version = store.commit(&pairs("d", "one"), Version::NOTHING).unwrap();
    assert_eq!(store.revision(), Ok(1));
    store.commit(&Change::none("d"), version).unwrap();
    store.commit(&asks("d", "r"), Version::NOTHING).unwrap_err();
    assert_eq!(store.revision(), Ok(1), "nothing was written");
    let remove = Change {
        record: Write::Remove,
        ..Change::none("d")
    };
    store.commit(&remove, version).unwrap();
    assert_eq!(store.revision(), Ok(2));
}

/// One commit: of which device, what of each thing, and whether from an old version.
type Step = (u8, u8, u8, u8, bool);

fn a_naive_model_agrees(make: Make<'_>) {
    let step = (0..3u8, 0..3u8, 0..3u8, 0..3u8, prop::bool::weighted(0.2));
    let mut runner = TestRunner::new(Config::with_cases(64));
    let run = runner.run(&vec(step, 0..24), |steps: Vec<Step>| {
        let store = make(Limits::default());
        let mut model: BTreeMap<String, (Standing, Version)> = BTreeMap::new();
        for (count, step) in steps.into_iter().enumerate() {
            let (device, record_too, pending_too, node_too, stale) = step;
            let device = format!("d{device}");
            let id = format!("r{count}");
            let change = Change {
                record: write(record_too, || record(&device, &id)),
                pending: write(pending_too, || pending(&device, &id)),
                node_pending: write(node_too, || NodePending {
                    request_id: id.clone().into(),
                    ts: 1,
                }),
                ..Change::none(&*device)
            };
            let (before, version) = model.get(&device).cloned().unwrap_or_default();
            prop_assert_eq!(
                store.load(&device).unwrap(),
                (Arc::new(before.clone()), version)
            );
            let expected = if stale { Version(u64::MAX) } else { version };
            let done = store.commit(&change, expected);
            if stale {
                prop_assert_eq!(done, Err(StoreError::Conflict));
            } else if change.is_empty() {
                prop_assert_eq!(done, Ok(version));
            } else {
                let after = change.apply(&before);
                let gone = after == Standing::default();
                prop_assert!(gone || done != Ok(version), "the version stayed");
                match gone {
                    true => drop(model.remove(&device)),
                    false => drop(model.insert(device, (after, done.unwrap()))),
                }
            }
        }
        let all: Vec<_> = model.into_values().collect();
        prop_assert_eq!(store.list().unwrap(), all);
        Ok(())
    });
    run.unwrap();
}

fn write<T>(what: u8, value: impl Fn() -> T) -> Write<T> {
    match what {
        0 => Write::Keep,
        1 => Write::Put(value()),
        _ => Write::Remove,
    }
}
