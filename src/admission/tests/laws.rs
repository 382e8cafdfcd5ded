//! What holds of every decision that is carried out, over generated policies, connections and
//! standings.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

use super::carried_out::{asked, check, restricts, scopes, set, undated};
use super::generated::{
    any_guard, any_policy, connection, constant_policy, guard_before, loaded, spec,
};
use super::*;
use crate::pairing::approve::{Approver, approve};
use crate::pairing::record::Record;

/// A record without what a device says of itself each time.
fn approved_of(standing: &Standing) -> Option<Record> {
    let record = undated(standing)?;
    Some(Record {
        display_name: None,
        client_id: None,
        client_mode: None,
        remote_ip: None,
        ..record
    })
}

/// The same inputs give the same answer.
fn same(one: &Admission, other: &Admission) -> bool {
    one.decision == other.decision
        && one.facts == other.facts
        && one.change == other.change
        && one.steps == other.steps
        && one.event == other.event
        && one.reply.refusal() == other.reply.refusal()
        && format!("{one:?}") == format!("{other:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn what_is_decided_is_carried_out(text in any_policy(), value in connection(), other_role in any::<bool>()) {
        let policy = loaded(&text);
        let mut arrives = Arrives::of(&spec(&value));
        if let Some(pending) = arrives.standing.pending.as_mut().filter(|_| other_role) {
            let role = if pending.role.as_deref() == Some("node") { "operator" } else { "node" };
            pending.role = Some(role.into());
            pending.roles = Some(vec![role.into()]);
        }
        let Some(admission) = arrives.admission(&policy, &mut 0) else {
            return Ok(());
        };
        check(&policy, &arrives, &admission);
    }

    #[test]
    fn the_same_inputs_give_the_same_answer(text in any_policy(), value in connection()) {
        let policy = loaded(&text);
        let arrives = Arrives::of(&spec(&value));
        let once = arrives.admission(&policy, &mut 0);
        let again = arrives.admission(&policy, &mut 0);
        match (once, again) {
            (Some(once), Some(again)) => prop_assert!(same(&once, &again), "{:#?}", (once, again)),
            (once, again) => prop_assert!(once.is_none() && again.is_none()),
        }
    }

    /// Adding a guard admits nobody, gives no scope, and records nothing that was not recorded.
    #[test]
    fn a_guard_opens_nothing(text in any_policy(), guard in any_guard(), value in connection()) {
        let arrives = Arrives::of(&spec(&value));
        let plain = arrives.admission(&loaded(&text), &mut 0);
        let guarded = arrives.admission(&loaded(&guard_before(&text, &guard)), &mut 0);
        let Some(guarded) = guarded else {
            return Ok(());
        };
        restricts(&arrives, &plain.unwrap(), &guarded);
    }

    /// Under a policy that does not ask what is remembered, who was admitted is admitted again,
    /// and nothing more is written; and the session goes on while nothing changes.
    #[test]
    fn once_admitted_always_admitted(text in constant_policy(), value in connection()) {
        let policy = loaded(&text);
        let arrives = Arrives::of(&spec(&value));
        let mut made = 0;
        let Some(first) = arrives.admission(&policy, &mut made) else {
            return Ok(());
        };
        let Some(permit) = &first.permit else {
            return Ok(());
        };
        let after = first.change.apply(&arrives.standing);
        let gate = arrives.gate(&policy);
        prop_assert_eq!(still_admitted(gate, permit, &after, NOW), Ok(()));
        prop_assert_eq!(still_admitted(gate, permit, &after, NOW + 3_600_000), Ok(()));

        // The token that it sent may have been replaced by its own admission, or carry less now.
        let token = |standing: &Standing| {
            let record = standing.record.as_ref()?;
            let token = record.token(first.facts.role.name())?;
            Some((token.token.clone(), token.scopes.clone()))
        };
        let renewed = first.facts.auth == Auth::DeviceToken
            && token(&arrives.standing) != token(&after);
        // What is beyond the approved scopes was left waiting, and nothing is silent then.
        let waits = after.pending.is_some()
            && matches!(first.decision.verdict, Verdict::SilentApprove(_));
        if renewed || waits {
            return Ok(());
        }
        let again = arrives.admission_after(&policy, &after, &mut made).unwrap();
        prop_assert!(again.permit.is_some(), "{} then {}", first.event, again.event);
        let same = scopes(permit.scopes()) == scopes(again.permit.as_ref().unwrap().scopes());
        prop_assert!(same || is_by_approval(&first));
        let last = again.change.apply(&after);
        prop_assert_eq!(approved_of(&after), approved_of(&last));
        prop_assert_eq!(&after.node_pending, &last.node_pending);
    }
}

/// Whether the scopes of a session are those of the record, which it may have changed itself.
fn is_by_approval(admission: &Admission) -> bool {
    let grant = admission.decision.verdict.grant();
    grant.is_some_and(|grant| grant.scopes == ScopeBound::Approved)
}

const KNOWN: [&str; 4] = [
    "operator.pairing",
    "operator.read",
    "operator.talk",
    "operator.write",
];

fn asks_for(scopes: &[&str], role: &str, record: Value) -> Arrives {
    Arrives::of(&spec(&json!({
        "peer": "192.168.1.10", "host": "gw", "scopes": scopes, "role": role, "record": record,
    })))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Nobody approves what they did not see: a request that asks for no more than the one
    /// that waits keeps its id, and one that asks for more gets another.
    #[test]
    fn an_id_is_kept_for_no_more(
        first in subsequence(KNOWN.to_vec(), 0..4),
        second in subsequence(KNOWN.to_vec(), 0..4),
        roles in prop::sample::select(vec![("operator", "operator"), ("operator", "node")]),
    ) {
        let policy = policy("default → require-pairing");
        let mut made = 0;
        let one = asks_for(&first, roles.0, Value::Null);
        let other = asks_for(&second, roles.1, Value::Null);
        let first_change = one.admission(&policy, &mut made).unwrap().change;
        let waiting = first_change.apply(&Standing::default());
        let then = other.admission_after(&policy, &waiting, &mut made).unwrap();
        let id = |standing: &Standing| standing.pending.as_ref().unwrap().request_id.clone();
        let after = then.change.apply(&waiting);
        let no_more = set(second.iter().copied()).is_subset(&set(first.iter().copied()))
            && roles.0 == roles.1;
        prop_assert_eq!(id(&waiting) == id(&after), no_more);
        let all: BTreeSet<&str> = first.iter().chain(&second).copied().collect();
        let (roles_asked, scopes_asked) = asked(after.pending.as_ref().unwrap());
        prop_assert_eq!(scopes_asked, all);
        prop_assert_eq!(roles_asked, set([roles.0, roles.1]));
        let told: Value = serde_json::from_str(&then.reply.refusal().unwrap()).unwrap();
        prop_assert_eq!(told.pointer("/error/details/requestId"), Some(&json!(id(&after))));
    }

    /// What the owner approves is what a session then has, and nothing else.
    #[test]
    fn approved_is_what_was_asked(
        wanted in subsequence(KNOWN.to_vec(), 0..4),
        had in prop::option::of(subsequence(KNOWN.to_vec(), 0..3)),
        role in prop::sample::select(vec!["operator", "node"]),
    ) {
        let policy = policy("pairing=paired → approve\ndefault → require-pairing");
        let had = had.filter(|_| role == "operator");
        let record = had.as_ref().map_or(Value::Null, |had| json!({ "scopes": had }));
        let wanted = if role == "node" { Vec::new() } else { wanted };
        let arrives = asks_for(&wanted, role, record);
        let mut made = 0;
        let first = arrives.admission(&policy, &mut made).unwrap();
        let waiting = first.change.apply(&arrives.standing);
        let approved = match &waiting.pending {
            None => waiting,
            Some(pending) => {
                prop_assert!(first.permit.is_none());
                let scopes: Vec<Box<str>> = vec!["operator.admin".into()];
                let owner = Approver::Owner { scopes: &scopes };
                let rules = &arrives.settings.compatibility;
                let change = with_fresh(&mut made, |fresh| {
                    approve(&waiting, &pending.request_id, owner, fresh, NOW, rules)
                });
                change.unwrap().apply(&waiting)
            }
        };
        let then = arrives.admission_after(&policy, &approved, &mut made).unwrap();
        let permit = then.permit.as_ref().unwrap();
        prop_assert_eq!(scopes(permit.scopes()), set(wanted.iter().copied()));
        let record = approved.record.as_ref().unwrap();
        let wanted = if first.permit.is_some() { &[][..] } else { &wanted };
        let both: BTreeSet<&str> = wanted.iter().chain(had.iter().flatten()).copied().collect();
        prop_assert_eq!(scopes(record.baseline()), both);
        if role == "operator" {
            prop_assert_eq!(approved_of(&then.change.apply(&approved)), approved_of(&approved));
        }
    }
}
