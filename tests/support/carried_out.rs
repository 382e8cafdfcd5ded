//! What holds of every decision that is carried out: who gets in and with what, what is written, and
//! what an owner is asked.

use std::collections::BTreeSet;

use gw::Policy;
use gw::admission::{Admission, Admitted, Reply};
use gw::decide;
use gw::facts::scopes::covers;
use gw::facts::{Auth, Client, DeviceProof, Pairing, Role, ScopeSet};
use gw::pairing::Standing;
use gw::pairing::change::{Change, Event as Told, Write};
use gw::pairing::record::{Pending, Record};
use gw::settings::Settings;
use gw::settings::compatibility::{Approval, HelloScopes};
use gw::verdict::{ScopeBound, Verdict};
use gw::wire::reply::Server;
use serde_json::Value;

use super::arrives::Arrives;

/// A record without when it was last used.
pub(crate) fn undated(standing: &Standing) -> Option<Record> {
    let mut record = standing.record.clone()?;
    record.last_seen_at_ms = None;
    record.last_seen_reason = None;
    for token in record.tokens.iter_mut().flatten() {
        token.1.last_used_at_ms = None;
    }
    Some(record)
}

pub(crate) fn set<'a>(list: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let trimmed = list.into_iter().map(str::trim);
    trimmed.filter(|word| !word.is_empty()).collect()
}

pub(crate) fn scopes(list: &[Box<str>]) -> BTreeSet<&str> {
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
pub(crate) fn asked(pending: &Pending) -> (BTreeSet<&str>, BTreeSet<&str>) {
    (set(pending.asked_roles()), scopes(pending.asked_scopes()))
}

/// Holds what became of a connection against what was decided of it.
pub(crate) fn check(policy: &Policy, arrives: &Arrives, admission: &Admission) {
    let Admission {
        decision,
        facts,
        change,
        reply,
        permit,
        ..
    } = admission;
    let decided = decide(policy.program(), facts);
    assert_eq!(*decision, decided);

    // Nobody gets in without a verdict that says so, or with a proof or login that failed.
    let barred = facts.auth == Auth::Failed
        || !matches!(facts.device, DeviceProof::Absent | DeviceProof::Proven);
    assert_eq!(permit.is_some(), matches!(reply, Reply::Admitted(_)));
    assert!(permit.is_none() || decision.verdict.admits());
    assert!(permit.is_none() || !barred);

    // Which line refuses is told to whoever proved a secret, and to nobody else.
    if let Reply::Refused { refusal, .. } = reply {
        let rule = refusal
            .details
            .as_ref()
            .and_then(|details| details.get("rule"));
        let told = rule.and_then(Value::as_str).map(str::to_owned);
        let proved = !matches!(facts.auth, Auth::None | Auth::Failed | Auth::Open);
        let by_policy = !decision.verdict.admits();
        let tells = arrives.settings.compatibility.tell_rule;
        let expected = (tells && proved && by_policy).then(|| policy.label(decision.by));
        assert_eq!(told, expected);
    }
    if let Some(permit) = permit {
        let own = arrives.presented(arrives.gate(policy));
        let proven = own
            .device_id()
            .filter(|_| facts.device == DeviceProof::Proven);
        assert_eq!(permit.device_id(), proven);
    }

    // A session has what was asked for, as far as grant and cap let it.
    if let Some(admitted) = admitted(admission) {
        let asked = arrives
            .presented(arrives.gate(policy))
            .connect()
            .claims()
            .scopes
            .clone();
        for scope in admitted.scopes.iter() {
            assert!(asked.contains(scope), "{} was not asked for", scope);
            assert!(may_have(scope, admission, arrives), "{}", scope);
        }
        assert_eq!(&admitted.scopes[..], permit.as_ref().unwrap().scopes());
        let told = told_scopes(admitted, &arrives.settings);
        let by_token = arrives.settings.compatibility.hello_scopes == HelloScopes::Token;
        if !by_token {
            assert!(
                told.iter()
                    .all(|told| admitted.scopes.iter().any(|has| **has == **told))
            );
        }
    }

    // A failure changes nothing, and nothing is of another device than the proven one.
    if barred {
        assert_eq!(change, &Change::default());
    }
    if !change.is_empty() || !change.events.is_empty() {
        assert_eq!(facts.device, DeviceProof::Proven);
        let own = arrives
            .presented(arrives.gate(policy))
            .device_id()
            .unwrap()
            .to_owned();
        assert!(devices(change).into_iter().all(|device| device == own));
    }

    // Whoever is refused leaves a request at most.
    let after = change.apply(&arrives.standing);
    let role_first = arrives.settings.compatibility.pairing.role_before_scopes;
    if permit.is_none() && !role_first && !is_late(admission, &arrives.settings) {
        assert_eq!(undated(&after), undated(&arrives.standing));
        assert_eq!(&after.node_pending, &arrives.standing.node_pending);
        if let Verdict::Reject(_) = decision.verdict {
            assert_eq!(&after, &arrives.standing);
        }
    }

    // Nothing is approved without asking but what this very connection has.
    let rules = &arrives.settings.compatibility;
    let everyone = rules.pairing.approval == Approval::Everyone;
    if let (Some(admitted), Some(record), true) = (admitted(admission), &after.record, everyone) {
        let before = arrives.standing.record.as_ref();
        let mut may = admitted.scopes.to_vec();
        may.extend(
            before
                .into_iter()
                .flat_map(|before| before.baseline())
                .cloned(),
        );
        let approved = |scope: &str| {
            let covered = covers(rules.scope_rule, "operator", &[scope], &may).is_ok();
            covered || scopes(&may).contains(scope.trim())
        };
        assert!(record.baseline().iter().all(|scope| approved(scope)));
        let had = before.into_iter().flat_map(Record::approved_roles);
        let roles = set(had.chain([facts.role.name()]));
        assert!(set(record.approved_roles()).is_subset(&roles));
    }

    // An id stands for what was seen when it was told.
    let (before, after) = (arrives.standing.pending.as_ref(), after.pending.as_ref());
    if let (Some(before), Some(after)) = (before, after) {
        let same_id = before.request_id == after.request_id;
        assert!(!same_id || asked(before) == asked(after));
        assert!(!same_id || before.silent == after.silent || after.silent == Some(false));
    }
}

/// Holds what becomes of a connection with a guard more against what became of it without: nobody
/// more is admitted, with no scope more, and nothing is recorded that was not.
pub(crate) fn restricts(arrives: &Arrives, plain: &Admission, guarded: &Admission) {
    assert!(plain.permit.is_some() || guarded.permit.is_none());
    if let (Some(plain), Some(guarded)) = (&plain.permit, &guarded.permit) {
        assert!(scopes(guarded.scopes()).is_subset(&scopes(plain.scopes())));
    }
    if !arrives.settings.compatibility.pairing.role_before_scopes {
        let record = |admission: &Admission| admission.change.apply(&arrives.standing).record;
        let (plain, guarded) = (record(plain), record(guarded));
        let before = arrives.standing.record.as_ref();
        let had = |all: fn(&Record) -> BTreeSet<&str>| {
            let both = plain.iter().chain(before).flat_map(all);
            let both: BTreeSet<String> = both.map(str::to_owned).collect();
            guarded.iter().flat_map(all).all(|one| both.contains(one))
        };
        assert!(had(|record| scopes(record.baseline())), "scopes");
        assert!(had(|record| set(record.approved_roles())), "roles");
    }
}
