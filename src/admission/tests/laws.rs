//! What holds of every decision that is carried out, over generated policies, connections and
//! standings.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

use super::generated::{
    any_guard, any_policy, connection, constant_policy, guard_before, loaded, spec,
};
use super::*;
use crate::facts::scopes::covers;
use crate::pairing::approve::{Approver, approve};
use crate::pairing::change::{Event as Told, Write};
use crate::pairing::record::{Pending, Record};
use crate::wire::reply::Server;

/// A record without when it was last used.
fn undated(standing: &Standing) -> Option<Record> {
    let mut record = standing.record.clone()?;
    record.last_seen_at_ms = None;
    record.last_seen_reason = None;
    for token in record.tokens.iter_mut().flatten() {
        token.1.last_used_at_ms = None;
    }
    Some(record)
}

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

fn set<'a>(list: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let trimmed = list.into_iter().map(str::trim);
    trimmed.filter(|word| !word.is_empty()).collect()
}

fn scopes(list: &[Box<str>]) -> BTreeSet<&str> {
    set(list.iter().map(|scope| &**scope))
}

fn admitted(admission: &Admission) -> Option<&Admitted> {
    match &admission.reply {
        Reply::Admitted(admitted) => Some(admitted),
        Reply::Refused { .. } | Reply::Closed(_) | Reply::Http(_) => None,
    }
}

/// The scopes that the very text of the answer names for the session.
fn told_scopes(admitted: &Admitted, settings: &Settings) -> Vec<String> {
    let server = Server::new("test", "test");
    let hello = admitted.hello(&server, &settings.compatibility);
    let told = hello.pointer("/auth/scopes").and_then(Value::as_array);
    let told = told.into_iter().flatten().filter_map(Value::as_str);
    told.map(str::to_owned).collect()
}

/// Whether a session may have a scope, by the book.
fn may_have(scope: &str, admission: &Admission, arrives: &Arrives) -> bool {
    let Some(grant) = admission.decision.verdict.grant() else {
        return false;
    };
    let facts = &admission.facts;
    let within = |set: ScopeSet| {
        set.iter().any(|known| known.name() == scope.trim()) || set == ScopeSet::ANY
    };
    let bounded = match grant.scopes {
        ScopeBound::Requested => true,
        ScopeBound::None => false,
        ScopeBound::Within(set) => set.iter().any(|known| known.name() == scope.trim()),
        ScopeBound::Approved => arrives.standing.record.as_ref().is_some_and(|record| {
            let rule = arrives.settings.compatibility.scope_rule;
            let own = facts.device == DeviceProof::Proven && facts.pairing != Pairing::KeyChanged;
            own && covers(rule, facts.role.name(), &[scope], record.baseline()).is_ok()
        }),
    };
    // A blank scope is nothing.
    scope.trim().is_empty() || bounded && within(grant.cap)
}

/// What is looked at only when all is written, as recorded: whether a node is known, and
/// whether a page is of the build that is served.
fn is_late(admission: &Admission, settings: &Settings) -> bool {
    let Admission { facts, permit, .. } = admission;
    let passed = matches!(admission.decision.verdict, Verdict::Approve(_));
    let node = passed && facts.role == Role::Node;
    let page =
        facts.client == Client::ControlUi && settings.compatibility.control_ui_build.is_some();
    permit.is_none() && admission.decision.verdict.admits() && (node || page)
}

/// What stands in a change, by device.
fn devices(change: &Change) -> Vec<&str> {
    let mut devices = vec![&*change.device_id];
    if let Write::Put(record) = &change.record {
        devices.push(&record.device_id);
    }
    if let Write::Put(pending) = &change.pending {
        devices.push(&pending.device_id);
    }
    devices.extend(change.events.iter().map(|event| match event {
        Told::Requested(pending) => &*pending.device_id,
        Told::Resolved { device_id, .. } => device_id,
    }));
    devices
}

/// What an owner sees of a request when approving it.
fn asked(pending: &Pending) -> (BTreeSet<&str>, BTreeSet<&str>) {
    (set(pending.asked_roles()), scopes(pending.asked_scopes()))
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
        let Admission { decision, facts, change, reply, permit, .. } = &admission;
        let decided = decide(policy.program(), facts);
        prop_assert_eq!(*decision, decided);

        // Nobody gets in without a verdict that says so, or with a proof or login that failed.
        let barred = facts.auth == Auth::Failed
            || !matches!(facts.device, DeviceProof::Absent | DeviceProof::Proven);
        prop_assert_eq!(permit.is_some(), matches!(reply, Reply::Admitted(_)));
        prop_assert!(permit.is_none() || decision.verdict.admits());
        prop_assert!(permit.is_none() || !barred);

        // Which line refuses is told to whoever proved a secret, and to nobody else.
        if let Reply::Refused { refusal, .. } = reply {
            let rule = refusal.details.as_ref().and_then(|details| details.get("rule"));
            let told = rule.and_then(Value::as_str).map(str::to_owned);
            let proved = !matches!(facts.auth, Auth::None | Auth::Failed | Auth::Open);
            let by_policy = !decision.verdict.admits();
            let tells = arrives.settings.compatibility.tell_rule;
            let expected = (tells && proved && by_policy).then(|| policy.label(decision.by));
            prop_assert_eq!(told, expected);
        }
        if let Some(permit) = permit {
            let own = arrives.presented(arrives.gate(&policy));
            let proven = own.device_id().filter(|_| facts.device == DeviceProof::Proven);
            prop_assert_eq!(permit.device_id(), proven);
        }

        // A session has what was asked for, as far as grant and cap let it.
        if let Some(admitted) = admitted(&admission) {
            let asked = arrives.presented(arrives.gate(&policy)).connect().claims().scopes.clone();
            for scope in admitted.scopes.iter() {
                prop_assert!(asked.contains(scope), "{} was not asked for", scope);
                prop_assert!(may_have(scope, &admission, &arrives), "{}", scope);
            }
            prop_assert_eq!(&admitted.scopes[..], permit.as_ref().unwrap().scopes());
            let told = told_scopes(admitted, &arrives.settings);
            let by_token = arrives.settings.compatibility.hello_scopes
                == crate::settings::compatibility::HelloScopes::Token;
            if !by_token {
                prop_assert!(told.iter().all(|told| admitted.scopes.iter().any(|has| **has == **told)));
            }
        }

        // A failure changes nothing, and nothing is of another device than the proven one.
        if barred {
            prop_assert_eq!(change, &Change::default());
        }
        if !change.is_empty() || !change.events.is_empty() {
            prop_assert_eq!(facts.device, DeviceProof::Proven);
            let own = arrives.presented(arrives.gate(&policy)).device_id().unwrap().to_owned();
            prop_assert!(devices(change).into_iter().all(|device| device == own));
        }

        // Whoever is refused leaves a request at most.
        let after = change.apply(&arrives.standing);
        let role_first = arrives.settings.compatibility.pairing.role_before_scopes;
        if permit.is_none() && !role_first && !is_late(&admission, &arrives.settings) {
            prop_assert_eq!(undated(&after), undated(&arrives.standing));
            prop_assert_eq!(&after.node_pending, &arrives.standing.node_pending);
            if let Verdict::Reject(_) = decision.verdict {
                prop_assert_eq!(&after, &arrives.standing);
            }
        }

        // Nothing is approved without asking but what this very connection has.
        let rules = &arrives.settings.compatibility;
        let everyone = rules.pairing.approval == crate::settings::compatibility::Approval::Everyone;
        if let (Some(admitted), Some(record), true) = (admitted(&admission), &after.record, everyone) {
            let before = arrives.standing.record.as_ref();
            let mut may = admitted.scopes.to_vec();
            may.extend(before.into_iter().flat_map(|before| before.baseline()).cloned());
            let approved = |scope: &str| {
                let covered = covers(rules.scope_rule, "operator", &[scope], &may).is_ok();
                covered || scopes(&may).contains(scope.trim())
            };
            prop_assert!(record.baseline().iter().all(|scope| approved(scope)));
            let had = before.into_iter().flat_map(Record::approved_roles);
            let roles = set(had.chain([facts.role.name()]));
            prop_assert!(set(record.approved_roles()).is_subset(&roles));
        }

        // An id stands for what was seen when it was told.
        let (before, after) = (arrives.standing.pending.as_ref(), after.pending.as_ref());
        if let (Some(before), Some(after)) = (before, after) {
            let same_id = before.request_id == after.request_id;
            prop_assert!(!same_id || asked(before) == asked(after));
            prop_assert!(!same_id || before.silent == after.silent || after.silent == Some(false));
        }
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
        let plain = plain.unwrap();
        prop_assert!(plain.permit.is_some() || guarded.permit.is_none());
        if let (Some(plain), Some(guarded)) = (&plain.permit, &guarded.permit) {
            prop_assert!(scopes(guarded.scopes()).is_subset(&scopes(plain.scopes())));
        }
        if !arrives.settings.compatibility.pairing.role_before_scopes {
            let record = |admission: &Admission| admission.change.apply(&arrives.standing).record;
            let (plain, guarded) = (record(&plain), record(&guarded));
            let before = arrives.standing.record.as_ref();
            let had = |all: fn(&Record) -> BTreeSet<&str>| {
                let both = plain.iter().chain(before).flat_map(all);
                let both: BTreeSet<String> = both.map(str::to_owned).collect();
                guarded.iter().flat_map(all).all(|one| both.contains(one))
            };
            prop_assert!(had(|record| scopes(record.baseline())), "scopes");
            prop_assert!(had(|record| set(record.approved_roles())), "roles");
        }
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
