//! Clients that are known by their request alone.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::generated::{any_policy, connection, loaded, spec};
use super::*;
use crate::facts::PendingRequest;
use crate::pairing::record::SET_BACK_MS;

const TOKEN: &str = "plain-test-token-not-a-secret";

/// What a connection brings, under settings that ask for the token.
fn arrives(mut value: Value, mode: &str) -> Arrives {
    value["settings"]["auth"] = json!({ "mode": mode, "token": TOKEN, "password": TOKEN });
    Arrives::of(&spec(&value))
}

fn of_request(
    arrives: &Arrives,
    policy: &Policy,
    token: Option<&str>,
    locks: Locks,
) -> Option<(Admission, Upgrade)> {
    let gate = arrives.gate(policy);
    let upgrade = arrives.upgrade(gate).ok()?;
    let token = token.map(Secret::new);
    let presented = Presented::of_request(gate.settings, token.as_ref(), NOW);
    Some((plain(gate, &upgrade, &presented, locks), upgrade))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever the policy says: nothing is written, the answer is an admission with a permit or
    /// a response over HTTP, and what is admitted still is.
    #[test]
    fn a_request_is_admitted_or_answered(
        text in any_policy(),
        value in connection(),
        token in select(vec![None, Some(TOKEN), Some("wrong")]),
        mode in select(vec!["token", "password", "none"]),
        locked in prop::bool::weighted(0.2),
    ) {
        let policy = loaded(&text);
        let arrives = arrives(value, mode);
        let locks = Locks { shared: locked.then_some(1_000), ..Locks::default() };
        let Some((admission, _)) = of_request(&arrives, &policy, token, locks) else {
            return Ok(());
        };
        let Admission { facts, change, reply, permit, decision, .. } = &admission;
        prop_assert!(change.is_empty());
        prop_assert_eq!(facts.device, DeviceProof::Absent);
        prop_assert_eq!(facts.pairing, Pairing::None);
        prop_assert_eq!(facts.pending, PendingRequest::None);
        prop_assert_eq!(crate::facts::assumptions::broken(facts).count(), 0);
        match reply {
            Reply::Admitted(admitted) => {
                let permit = permit.as_ref().unwrap();
                prop_assert!(decision.verdict.admits());
                prop_assert_eq!(&*admitted.scopes, permit.scopes());
                prop_assert_eq!(permit.device_id(), None);
                let still = still_admitted(arrives.gate(&policy), permit, &Standing::default(), NOW);
                prop_assert_eq!(still, Ok(()));
            }
            Reply::Http(refusal) => {
                prop_assert!(permit.is_none() && !decision.verdict.admits());
                prop_assert!(matches!(refusal.status, 401 | 403 | 429));
            }
            Reply::Refused { .. } | Reply::Closed(_) => panic!("{reply:?}"),
        }
    }
}

/// It is what a `test` in a policy assumes, but for its device.
#[test]
fn what_is_not_said_is_as_a_test_assumes() {
    for (mode, auth) in [("token", Auth::Token), ("password", Auth::Password)] {
        let arrives = arrives(json!({}), mode);
        let policy = policy("default → approve");
        let (admission, upgrade) =
            of_request(&arrives, &policy, Some(TOKEN), Locks::default()).unwrap();
        let expected = Facts {
            secret_sent: true,
            auth,
            auth_failure: crate::facts::AuthFailure::None,
            device: DeviceProof::Absent,
            pairing: Pairing::None,
            ..upgrade.facts().clone()
        };
        assert_eq!(admission.facts, expected, "{mode}");
    }
}

/// What of a session's settings, policy and time ends it.
#[test]
fn a_session_ends_with_what_let_it_in() {
    let ended = |rules: &str, then: &str, token: &str, later_ms: i64| {
        let mut arrives = arrives(json!({}), "token");
        let before = policy(rules);
        let (admission, _) = of_request(&arrives, &before, Some(TOKEN), Locks::default()).unwrap();
        let permit = admission.permit.unwrap();
        let auth = json!({ "auth": { "mode": "token", "token": token } });
        arrives.settings = serde_json::from_value(auth).unwrap();
        let after = policy(then);
        let gate = arrives.gate(&after);
        still_admitted(gate, &permit, &Standing::default(), NOW + later_ms)
    };
    let all = "default → silent-approve";
    let hour = "default → silent-approve(ttl=\"1h\")";
    assert_eq!(ended(all, all, TOKEN, i64::from(u32::MAX)), Ok(()));
    assert_eq!(ended(hour, hour, TOKEN, 3_599_999), Ok(()));
    assert_eq!(ended(hour, hour, TOKEN, 3_600_000), Err(Ended::Expired));
    // The clock was put right; and it was set back to before there was a session.
    assert_eq!(ended(hour, hour, TOKEN, -SET_BACK_MS), Ok(()));
    let before = -SET_BACK_MS - 1;
    assert_eq!(ended(hour, hour, TOKEN, before), Err(Ended::Expired));
    assert_eq!(ended(all, all, TOKEN, before), Ok(()));
    assert_eq!(ended(all, all, "another", 0), Err(Ended::AuthChanged));
    let narrower = "default → approve(scopes={ operator.read })";
    assert_eq!(ended(all, narrower, TOKEN, 0), Err(Ended::PolicyChanged));
    let early = "guard at upgrade transport=tcp → reject(not-permitted)\ndefault → approve";
    assert_eq!(ended(all, early, TOKEN, 0), Err(Ended::PolicyChanged));
}

/// A wrong token is a failed guess of the shared secret; none is no guess, and one that is locked
/// out is not looked at.
#[test]
fn wrong_tokens_are_failures() {
    let steps = |token: Option<&str>, locks: Locks| {
        let arrives = arrives(json!({}), "token");
        let policy = policy("default → approve");
        let (admission, _) = of_request(&arrives, &policy, token, locks).unwrap();
        let counted = |steps: [Option<_>; 3]| steps.into_iter().flatten().count();
        (
            counted(admission.steps.failed),
            counted(admission.steps.cleared),
        )
    };
    let locked = Locks {
        shared: Some(1),
        ..Locks::default()
    };
    assert_eq!(steps(Some("wrong"), Locks::default()), (1, 0));
    assert_eq!(steps(Some(TOKEN), Locks::default()), (0, 1));
    assert_eq!(steps(None, Locks::default()), (0, 0));
    assert_eq!(steps(Some(TOKEN), locked), (0, 0));
}
