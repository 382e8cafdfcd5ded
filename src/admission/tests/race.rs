//! Connections of one device that race for what is remembered of it.

use serde_json::{Value, json};

use super::generated::spec;
use super::*;
use crate::pairing::memory::Memory;
use crate::pairing::store::{Store, StoreError};

fn asks(scopes: &[&str]) -> Arrives {
    Arrives::of(&spec(
        &json!({ "peer": "192.168.1.10", "host": "gw", "scopes": scopes }),
    ))
}

fn request_id(reply: &Reply) -> String {
    let told: Value = serde_json::from_str(&reply.refusal().unwrap()).unwrap();
    let id = told
        .pointer("/error/details/requestId")
        .and_then(Value::as_str);
    id.unwrap().to_owned()
}

/// Both read the same state; the one that is told of a conflict looks again, and decides again.
fn raced(first: &Arrives, second: &Arrives, policy: &Policy) -> (Memory, [Admission; 2]) {
    let store = Memory::default();
    let mut made = 0;
    let device = first
        .presented(first.gate(policy))
        .device_id()
        .unwrap()
        .to_owned();
    let (standing, version) = store.load(&device).unwrap();
    let one = first.admission_after(policy, &standing, &mut made).unwrap();
    let lost = second
        .admission_after(policy, &standing, &mut made)
        .unwrap();
    store.commit(&one.change, version).unwrap();
    assert_eq!(
        store.commit(&lost.change, version),
        Err(StoreError::Conflict)
    );

    let (standing, version) = store.load(&device).unwrap();
    let other = second
        .admission_after(policy, &standing, &mut made)
        .unwrap();
    store.commit(&other.change, version).unwrap();
    (store, [one, other])
}

#[test]
fn only_one_request_waits() {
    let policy = policy("default → require-pairing");
    let rows: [(&[&str], &[&str], bool); 4] = [
        (&["operator.read"], &["operator.read"], true),
        (
            &["operator.read", "operator.write"],
            &["operator.read"],
            true,
        ),
        (
            &["operator.read"],
            &["operator.read", "operator.write"],
            false,
        ),
        (&["operator.read"], &["operator.write"], false),
    ];
    for (first, second, same) in rows {
        let (store, [one, other]) = raced(&asks(first), &asks(second), &policy);
        let all = store.list().unwrap();
        let [(standing, _)] = &all[..] else {
            panic!("{all:#?}")
        };
        let waiting = standing.pending.as_ref().unwrap();
        assert_eq!(request_id(&other.reply), &*waiting.request_id);
        assert_eq!(request_id(&one.reply) == request_id(&other.reply), same);
        assert_eq!(store.device_of_request("made-1").unwrap().is_some(), same);
        assert!(standing.record.is_none());
        let asked = waiting.asked_scopes();
        let all = first.iter().chain(second);
        assert!(
            all.clone()
                .all(|scope| asked.iter().any(|asked| **asked == **scope))
        );
    }
}

/// Two that are paired without asking: the second finds a record, and the token of the first
/// stays good.
#[test]
fn a_device_is_paired_once() {
    let policy = policy("pairing=paired → approve\ndefault → silent-approve");
    let arrives = asks(&["operator.read"]);
    let (store, [one, other]) = raced(&arrives, &arrives, &policy);
    assert_eq!(one.facts.pairing, Pairing::Unpaired);
    assert_eq!(other.facts.pairing, Pairing::Paired);
    let token = |admission: &Admission| match &admission.reply {
        Reply::Admitted(admitted) => admitted.token.clone().unwrap().token,
        Reply::Refused { .. } | Reply::Closed(_) | Reply::Http(_) => {
            panic!("{:?}", admission.reply)
        }
    };
    assert_eq!(token(&one), token(&other));
    let [(standing, _)] = &store.list().unwrap()[..] else {
        panic!("one device")
    };
    assert!(standing.pending.is_none());
    let gate = arrives.gate(&policy);
    for admission in [&one, &other] {
        let permit = admission.permit.as_ref().unwrap();
        assert_eq!(still_admitted(gate, permit, standing, NOW), Ok(()));
    }
}
