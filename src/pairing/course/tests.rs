//! What verdicts leave behind, step by step.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::facts::{Client, Mode, Role, Text};
use crate::pairing::change::{Decision, Write};
use crate::pairing::record::{Issuer, Record};
use crate::pairing::removal::{PRUNE_AFTER_MS, expire, reject, remove, superfluous};
use crate::pairing::request::MOST_REPLACED;
use crate::pairing::store::{Store, sweep};
use crate::pairing::{Denied, Memory, Version};
use crate::secret::Secret;
use crate::settings::compatibility::{
    Approval, ApprovedToken, NodeSurface, PairingRules, Repeat, Supersede,
};

const NOW: i64 = 1_000_000;

/// A gateway that remembers one device, `d`.
struct Gateway {
    rules: Compatibility,
    standing: Standing,
    now: i64,
    made: u32,
    events: Vec<String>,
}

impl Gateway {
    fn new(change: impl FnOnce(&mut PairingRules)) -> Self {
        let mut rules = Compatibility {
            request_ttl_ms: 300_000,
            ..Compatibility::default()
        };
        change(&mut rules.pairing);
        Gateway {
            rules,
            standing: Standing::default(),
            now: NOW,
            made: 0,
            events: Vec::new(),
        }
    }

    fn make<T>(&mut self, act: impl FnOnce(&Self, &mut Fresh<'_>) -> T) -> T {
        let (mut ids, mut secrets) = (self.made, self.made);
        let mut fresh = Fresh {
            request_id: &mut || {
                ids += 1;
                format!("r{ids}").into()
            },
            secret: &mut || {
                secrets += 1;
                Secret::new(&format!("s{secrets}"))
            },
        };
        let made = act(self, &mut fresh);
        self.made = ids.max(secrets);
        made
    }

    fn commit(&mut self, change: &Change) {
        self.standing = change.apply(&self.standing);
        self.events = change
            .events
            .iter()
            .map(|event| match event {
                Event::Requested(pending) => format!("requested {}", pending.request_id),
                Event::Resolved {
                    request_id,
                    decision,
                    ..
                } => format!("{decision} {request_id}"),
            })
            .collect();
    }

    fn connect(&mut self, course: Course, ask: &Ask<'_>) -> Outcome {
        let outcome = self.make(|gateway, fresh| {
            carry_out(
                course,
                &gateway.standing,
                ask,
                fresh,
                gateway.now,
                &gateway.rules,
            )
        });
        self.commit(&outcome.change);
        outcome
    }

    fn asks(&mut self, names: &[&str]) -> Box<str> {
        let scopes = scopes(names);
        self.connect(Course::Ask(PairingReason::NotPaired), &ask(&scopes));
        self.pending()["requestId"].as_str().unwrap().into()
    }

    fn pairs(&mut self, names: &[&str]) -> Outcome {
        let scopes = scopes(names);
        self.connect(Course::Pair(Via::Silent), &ask(&scopes))
    }

    fn approves(&mut self, id: &str, names: &[&str]) -> Result<(), Denied> {
        let scopes = scopes(names);
        let approver = Approver::Owner { scopes: &scopes };
        let approved = self.make(|gateway, fresh| {
            let (standing, now) = (&gateway.standing, gateway.now);
            approve(standing, id, approver, fresh, now, &gateway.rules)
        });
        approved.map(|change| self.commit(&change))
    }

    fn record(&self) -> Value {
        json!(self.standing.record)
    }

    fn pending(&self) -> Value {
        json!(self.standing.pending)
    }

    fn token(&self, role: &str) -> Value {
        json!(
            self.standing
                .record
                .as_ref()
                .unwrap()
                .tokens
                .as_ref()
                .unwrap()[role]
        )
    }
}

fn scopes(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

fn ask(scopes: &[Box<str>]) -> Ask<'_> {
    Ask {
        device_id: const { &Text::word("d") },
        public_key: "k",
        client: Client::Cli,
        mode: Mode::Cli,
        role: Role::Operator,
        scopes,
        display_name: None,
        platform: Some("linux"),
        device_family: None,
        remote_ip: None,
        came: None,
        browser_origin: None,
        issuer: None,
        by_device_token: false,
        until_ms: None,
        wants_token: true,
    }
}

fn node(scopes: &[Box<str>]) -> Ask<'_> {
    Ask {
        client: Client::NodeHost,
        mode: Mode::Node,
        role: Role::Node,
        ..ask(scopes)
    }
}

const READ: &str = "operator.read";
const WRITE: &str = "operator.write";
const ADMIN: &str = "operator.admin";

#[test]
fn a_request_keeps_its_id_until_it_asks_for_more() {
    for (rule, asked, same) in [
        (Supersede::Subset, &[READ][..], true),
        (Supersede::Subset, &[WRITE, READ], true),
        (Supersede::Subset, &[], true),
        (Supersede::Subset, &[READ, ADMIN], false),
        (Supersede::Snapshot, &[WRITE, READ], true),
        (Supersede::Snapshot, &[READ], false),
        (Supersede::Snapshot, &[READ, ADMIN], false),
    ] {
        let mut gateway = Gateway::new(|rules| rules.supersede = rule);
        let first = gateway.asks(&[READ, WRITE]);
        assert_eq!(gateway.events, [format!("requested {first}")]);
        let second = gateway.asks(asked);
        assert_eq!(first == second, same, "{rule} {asked:?}");
        // Whatever was asked for by then is still asked for.
        let all = gateway.pending()["scopes"].as_array().unwrap().len();
        assert_eq!(all, if asked.contains(&ADMIN) { 3 } else { 2 });
        let told = match same {
            true => vec![],
            false => vec![format!("rejected {first}"), format!("requested {second}")],
        };
        assert_eq!(gateway.events, told, "{rule} {asked:?}");
    }
}

/// Who has an id from before finds what took it up, among as many as are kept.
#[test]
fn a_request_says_which_ids_it_took_up() {
    let mut gateway = Gateway::new(|_| ());
    let mut before: Vec<Box<str>> = Vec::new();
    for round in 0..2 * MOST_REPLACED {
        let id = gateway.asks(&[&format!("operator.{round}")]);
        let newest = before.iter().rev().take(MOST_REPLACED);
        let newest: Vec<Box<str>> = newest.cloned().collect();
        assert_eq!(gateway.standing.pending.as_ref().unwrap().replaces, newest);
        before.push(id);
    }
    let last = gateway.pending();
    gateway.asks(&["operator.0"]);
    assert_eq!(gateway.pending()["replaces"], last["replaces"]);

    let mut release = Gateway::new(|rules| rules.request_notes = false);
    release.asks(&[READ]);
    release.asks(&[WRITE]);
    assert_eq!(release.pending().get("replaces"), None);
}

#[test]
fn a_repeated_request_waits_anew_or_not() {
    for (rule, ts, refreshed, alive) in [
        (Repeat::Restart, NOW + 200_000, Value::Null, true),
        (Repeat::Ignore, NOW, Value::Null, false),
        (Repeat::Refresh, NOW, json!(NOW + 200_000), true),
    ] {
        let mut gateway = Gateway::new(|rules| rules.repeat = rule);
        let first = gateway.asks(&[READ]);
        gateway.now += 200_000;
        assert_eq!(gateway.asks(&[READ]), first);
        assert_eq!(gateway.pending()["ts"], ts);
        assert_eq!(gateway.pending()["refreshedAtMs"], refreshed);
        gateway.now += 200_000;
        let expired = expire(&gateway.standing, gateway.now, &gateway.rules);
        assert_eq!(expired.is_none(), alive, "{rule}");
        assert_eq!(gateway.asks(&[READ]) == first, alive, "{rule}");
    }
}

#[test]
fn requests_of_a_stranger_do_not_grow_for_ever() {
    let mut gateway = Gateway::new(|_| ());
    for round in 0..100 {
        gateway.asks(&[&format!("operator.{round}")]);
        let asked = gateway.pending()["scopes"].as_array().unwrap().len();
        assert!(asked <= 64, "{asked}");
    }
}

#[test]
fn an_approval_unites_what_was_and_what_is_asked() {
    let mut gateway = Gateway::new(|_| ());
    let id = gateway.asks(&[READ]);
    assert_eq!(
        gateway.approves("other", &[ADMIN]),
        Err(Denied::UnknownRequest)
    );
    let missing = Err(Denied::MissingScope(READ.into()));
    assert_eq!(gateway.approves(&id, &["operator.pairing"]), missing);
    gateway.approves(&id, &[ADMIN]).unwrap();
    assert_eq!(gateway.events, [format!("approved {id}")]);
    assert_eq!(gateway.standing.pending, None);
    assert_eq!(gateway.token("operator")["scopes"], json!([READ]));
    assert_eq!(gateway.record()["approvedVia"], "owner");

    gateway.now += 1;
    let wider = scopes(&[WRITE, " ", WRITE]);
    gateway.connect(Course::Ask(PairingReason::ScopeUpgrade), &ask(&wider));
    assert_eq!(gateway.pending()["isRepair"], true);
    let id = gateway.pending()["requestId"].as_str().unwrap().to_owned();
    gateway.approves(&id, &[WRITE]).unwrap();
    let record = gateway.record();
    assert_eq!(record["approvedScopes"], json!([READ, WRITE]));
    assert_eq!(
        (&record["createdAtMs"], &record["approvedAtMs"]),
        (&json!(NOW), &json!(NOW + 1))
    );
    assert_eq!(gateway.token("operator")["scopes"], json!([READ, WRITE]));
}

#[test]
fn the_owners_approval_leaves_a_device_its_token() {
    for replaces in [false, true] {
        let mut gateway = Gateway::new(|rules| rules.approval_replaces_tokens = replaces);
        let own = gateway.pairs(&[READ]).token.unwrap();
        let id = gateway.asks(&[WRITE]);
        gateway.approves(&id, &[ADMIN]).unwrap();
        let record = gateway.standing.record.as_ref().unwrap();
        let same = record.token("operator").unwrap().token.matches(&own.token);
        assert_eq!(same, !replaces);
    }
}

#[test]
fn what_was_revoked_is_not_brought_back_by_a_later_approval() {
    let mut gateway = Gateway::new(|_| ());
    gateway.pairs(&[ADMIN]);
    let revoked = crate::pairing::token::revoke(&gateway.standing, "operator", NOW).unwrap();
    gateway.commit(&revoked);
    let id = gateway.asks(&[READ]);
    gateway.approves(&id, &["operator.pairing", READ]).unwrap();
    assert_eq!(gateway.record()["approvedScopes"], json!([READ]));
    assert_eq!(gateway.token("operator")["scopes"], json!([READ]));
}

#[test]
fn what_has_ended_is_not_brought_back_by_a_later_approval() {
    let mut gateway = Gateway::new(|_| ());
    let admin = scopes(&[ADMIN]);
    let for_a_minute = Ask {
        until_ms: Some(NOW + 60_000),
        ..ask(&admin)
    };
    gateway.connect(Course::Pair(Via::Silent), &for_a_minute);
    gateway.now += 60_000;
    let id = gateway.asks(&[READ]);
    gateway.approves(&id, &["operator.pairing", READ]).unwrap();
    let record = gateway.record();
    assert_eq!(record["approvedScopes"], json!([READ]));
    assert_eq!(record.get("expiresAtMs"), None);
    assert_eq!(gateway.token("operator")["scopes"], json!([READ]));
}

#[test]
fn a_request_that_begins_to_need_asking_is_told_of() {
    let mut gateway = Gateway::new(|_| ());
    let read = scopes(&[READ]);
    gateway.connect(Course::Propose(PairingReason::NotPaired), &ask(&read));
    let id = gateway.pending()["requestId"].as_str().unwrap().to_owned();
    gateway.connect(Course::Ask(PairingReason::NotPaired), &ask(&read));
    assert_eq!(gateway.events, [format!("requested {id}")]);
    gateway.connect(Course::Ask(PairingReason::NotPaired), &ask(&read));
    assert_eq!(gateway.events, [""; 0]);
}

#[test]
fn tokens_of_an_approval_by_rule() {
    // What was asked for first and then, and what the token carries of both.
    for (rule, then, carries) in [
        (
            ApprovedToken::OfRole,
            &[ADMIN][..],
            &[ADMIN, READ, WRITE][..],
        ),
        (
            ApprovedToken::OfRole,
            &["operator.pairing"],
            &["operator.pairing"],
        ),
        (ApprovedToken::OfRole, &[], &[READ]),
        (
            ApprovedToken::Kept,
            &["operator.pairing"],
            &["operator.pairing", READ],
        ),
        (
            ApprovedToken::Asked,
            &["operator.pairing"],
            &["operator.pairing"],
        ),
    ] {
        let mut gateway = Gateway::new(|rules| rules.approved_token = rule);
        gateway.pairs(&[READ]);
        let id = gateway.asks(then);
        gateway.approves(&id, &[ADMIN]).unwrap();
        assert_eq!(
            gateway.token("operator")["scopes"],
            json!(carries),
            "{rule} {then:?}"
        );
    }
}

#[test]
fn scopes_of_another_role_are_not_approved() {
    for (rule, denied) in [(Approval::Everyone, true), (Approval::Owner, false)] {
        let mut gateway = Gateway::new(|rules| rules.approval = rule);
        let foreign = scopes(&["node.exec"]);
        let outcome = gateway.connect(Course::Pair(Via::Silent), &ask(&foreign));
        let waits = denied.then_some(PairingReason::NotPaired);
        assert_eq!((outcome.waits, outcome.token), (waits, None), "{rule}");
        if denied {
            let id = gateway.pending()["requestId"].as_str().unwrap().to_owned();
            let outside = Denied::ScopeOutsideRoles("node.exec".into());
            assert_eq!(gateway.approves(&id, &[ADMIN]), Err(outside));
        }
    }
}

/// Recorded as `pairing/direct/cli/pending-silent/none` and `pending-same/read`.
#[test]
fn what_waits_is_not_approved_by_a_smaller_request() {
    let mut gateway = Gateway::new(|_| ());
    let wide = scopes(&[ADMIN, READ]);
    let left = gateway.make(|gateway, fresh| {
        request(
            &gateway.standing,
            &ask(&wide),
            true,
            fresh,
            NOW,
            &gateway.rules,
        )
    });
    gateway.commit(&left);
    assert!(
        gateway.events.is_empty(),
        "nobody is told of what needs no asking"
    );
    let outcome = gateway.pairs(&[READ]);
    assert_eq!(outcome.waits, Some(PairingReason::NotPaired));
    assert_eq!(gateway.pending()["silent"], true);
    assert_eq!(gateway.events, ["requested r1"]);
    assert_eq!(gateway.pairs(&[ADMIN]).waits, None);

    let mut gateway = Gateway::new(|_| ());
    gateway.asks(&[READ]);
    let outcome = gateway.pairs(&[READ]);
    assert_eq!(
        outcome.waits,
        Some(PairingReason::NotPaired),
        "it was not silent once"
    );
    assert_eq!(outcome.request_id(&gateway.standing).as_deref(), Some("r1"));
}

#[test]
fn pairing_twice_changes_nothing_more() {
    let mut gateway = Gateway::new(|rules| rules.provenance = false);
    let first = gateway.pairs(&[READ]);
    assert!(first.token.as_ref().unwrap().minted);
    assert_eq!(gateway.events, ["approved r1"]);
    let second = gateway.pairs(&[READ]);
    assert!(second.change.is_empty() && second.waits.is_none());
    let token = second.token.unwrap();
    assert!(!token.minted && token.token == first.token.unwrap().token);
}

#[test]
fn an_admission_refreshes_what_was_not_approved() {
    let mut gateway = Gateway::new(|_| ());
    gateway.pairs(&[READ]);
    gateway.now += 5;
    let read = scopes(&[READ]);
    let elsewhere = Ask {
        client: Client::Tui,
        mode: Mode::Ui,
        display_name: Some("Desk"),
        platform: Some("LINUX "),
        remote_ip: Some("192.0.2.7".parse().unwrap()),
        by_device_token: true,
        ..ask(&read)
    };
    let outcome = gateway.connect(Course::Refresh, &elsewhere);
    assert!(outcome.token.is_some() && outcome.waits.is_none());
    let record = gateway.record();
    for (field, value) in [
        ("clientId", json!("openclaw-tui")),
        ("clientMode", json!("ui")),
        ("displayName", json!("Desk")),
        ("platform", json!("linux")),
        ("remoteIp", json!("192.0.2.7")),
        ("scopes", json!([READ])),
        ("lastSeenAtMs", json!(NOW + 5)),
        ("lastSeenReason", json!("connect")),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
    assert_eq!(gateway.token("operator")["lastUsedAtMs"], NOW + 5);
}

#[test]
fn sessions_of_old_leave_their_scopes() {
    let mut gateway = Gateway::new(|rules| {
        rules.sessions_leave_scopes = true;
        rules.empty_lists = false;
        rules.provenance = false;
    });
    gateway.pairs(&[]);
    assert_eq!(gateway.record().get("scopes"), None);
    assert_eq!(gateway.pairs(&[]).token, None, "there is nothing approved");
    gateway.pairs(&[ADMIN]);
    gateway.pairs(&[READ]);
    let record = gateway.record();
    assert_eq!(record["scopes"], json!([ADMIN, READ]));
    assert_eq!(record["approvedScopes"], json!([ADMIN]));
}

#[test]
fn past_pairing_only_a_token_is_written() {
    let mut gateway = Gateway::new(|_| ());
    let read = scopes(&[READ]);
    let outcome = gateway.connect(Course::Pass, &ask(&read));
    assert_eq!((outcome.change, outcome.token), (Change::none("d"), None));
    gateway.pairs(&[READ]);
    let admin = scopes(&[ADMIN]);
    let beyond = gateway.connect(Course::Pass, &ask(&admin));
    assert_eq!((beyond.change.is_empty(), beyond.token), (true, None));
    let revoked = crate::pairing::token::revoke(&gateway.standing, "operator", NOW).unwrap();
    gateway.commit(&revoked);
    let again = gateway.connect(Course::Pass, &ask(&read)).token.unwrap();
    assert!(again.minted);
    assert_eq!(gateway.token("operator")["rotatedAtMs"], NOW);
    let unwanted = Ask {
        until_ms: None,
        wants_token: false,
        ..ask(&read)
    };
    assert_eq!(gateway.connect(Course::Pass, &unwanted).token, None);
}

#[test]
fn each_upgrade_is_approved_by_itself() {
    let mut gateway = Gateway::new(|_| ());
    let none = scopes(&[]);
    gateway.connect(Course::Pair(Via::TrustedCidr), &node(&none));
    assert_eq!(gateway.record()["approvedVia"], "trusted-cidr");
    assert_eq!(gateway.record()["deviceFamily"], "Linux");
    let read = scopes(&[READ]);
    let family = Ask {
        device_family: Some("linux"),
        ..ask(&read)
    };
    gateway.connect(Course::Pair(Via::Silent), &family);
    assert_eq!(gateway.record()["roles"], json!(["node", "operator"]));
    assert_eq!(
        gateway.token("operator")["rotatedAtMs"],
        NOW,
        "role, then scope"
    );
    assert_eq!(gateway.record()["approvedVia"], "trusted-cidr");
}

#[test]
fn a_node_wants_what_it_serves_approved_once() {
    let none = scopes(&[]);
    for rule in NodeSurface::ALL {
        let mut gateway = Gateway::new(|rules| rules.node_surface = *rule);
        gateway.connect(Course::Pair(Via::Silent), &node(&none));
        let first = gateway.standing.clone();
        let (request, record) = (
            first.node_pending.is_some(),
            gateway.record().get("pendingNodeSurface").is_some(),
        );
        assert_eq!(request, *rule == NodeSurface::Request);
        assert_eq!(record, *rule == NodeSurface::Record);
        gateway.connect(Course::Refresh, &node(&none));
        assert_eq!(gateway.standing, first, "{rule}");
    }
}

#[test]
fn the_token_of_a_page_lives_by_the_secret() {
    let mut gateway = Gateway::new(|_| ());
    let read = scopes(&[READ]);
    let issuer = |generation: &str| Issuer {
        kind: Issuer::SHARED_SECRET.into(),
        which: [("generation".to_owned(), generation.into())]
            .into_iter()
            .collect(),
    };
    let (old, new) = (issuer("1"), issuer("2"));
    let page = |issuer| Ask {
        issuer: Some(issuer),
        ..ask(&read)
    };
    let first = gateway.connect(Course::Pair(Via::Silent), &page(&old));
    assert_eq!(gateway.token("operator")["issuer"], json!(old));
    assert_eq!(
        gateway.token("operator")["rotatedAtMs"],
        NOW,
        "the approval's own was not bound"
    );
    let second = gateway.connect(Course::Refresh, &page(&old)).token.unwrap();
    assert_eq!(second.token, first.token.unwrap().token);
    let third = gateway.connect(Course::Refresh, &page(&new)).token.unwrap();
    assert!(third.minted);
}

#[test]
fn a_record_of_another_key_gives_nothing_away() {
    let paired = |change: fn(&mut Compatibility)| {
        let mut gateway = Gateway::new(|_| ());
        gateway.pairs(&[ADMIN]);
        gateway.standing.record.as_mut().unwrap().public_key = "other".into();
        change(&mut gateway.rules);
        let read = scopes(&[READ]);
        let passed = gateway.connect(Course::Pass, &ask(&read)).token;
        gateway.pairs(&[READ]);
        (passed.is_some(), gateway.record()["approvedScopes"].clone())
    };
    assert_eq!(paired(|_| ()), (false, json!([READ])));
    let inherited = paired(|rules| rules.token_of_another_key = true);
    assert_eq!(inherited, (true, json!([ADMIN, READ])));
}

#[test]
fn what_is_removed_is_gone() {
    let mut gateway = Gateway::new(|_| ());
    assert_eq!(remove(&gateway.standing, &gateway.rules), None);
    gateway.pairs(&[READ]);
    let id = gateway.asks(&[ADMIN]);
    let rejected = reject(&gateway.standing, &id, NOW, &gateway.rules).unwrap();
    assert_eq!(
        (&rejected.pending, rejected.record.is_keep()),
        (&Write::Remove, true)
    );
    let unknown = reject(&gateway.standing, "other", NOW, &gateway.rules);
    assert_eq!(unknown, Err(Denied::UnknownRequest));
    let removed = remove(&gateway.standing, &gateway.rules).unwrap();
    assert_eq!(removed.apply(&gateway.standing), Standing::default());
    gateway.rules.pairing.remove_requests = false;
    let removed = remove(&gateway.standing, &gateway.rules).unwrap();
    assert!(removed.apply(&gateway.standing).pending.is_some());
}

#[test]
fn only_records_that_nobody_approved_are_pruned() {
    let record = |device: &str, change: fn(&mut Record)| {
        let mut gateway = Gateway::new(|_| ());
        gateway.pairs(&[READ]);
        let mut record = gateway.standing.record.unwrap();
        record.device_id = device.into();
        record.approved_at_ms = Some(NOW - PRUNE_AFTER_MS - 1);
        change(&mut record);
        record
    };
    let newest = record("new", |record| record.approved_at_ms = Some(NOW));
    let others = [
        record("old", |_| ()),
        record("connected", |_| ()),
        record("approved", |record| record.approved_via = Some(Via::Owner)),
        record("unknown", |record| record.approved_via = None),
        record("named", |record| record.display_name = Some("Desk".into())),
        record("young", |record| {
            record.approved_at_ms = Some(NOW - PRUNE_AFTER_MS)
        }),
    ];
    let pruned = |newest: &Record| -> Vec<Text> {
        let connected = |device: &str| device == "connected";
        let all = superfluous(newest, others.iter().chain([newest]), &connected, NOW);
        all.into_iter().map(|change| change.device_id).collect()
    };
    assert_eq!(pruned(&newest), ["old"]);
    assert_eq!(pruned(&others[2]), [Text::EMPTY; 0]);
}

#[test]
fn a_sweep_removes_what_waited_too_long() {
    let mut gateway = Gateway::new(|_| ());
    gateway.asks(&[READ]);
    let store = Memory::default();
    let change = Change {
        pending: Write::Put(gateway.standing.pending.clone().unwrap()),
        ..Change::none("d")
    };
    store.commit(&change, Version::NOTHING).unwrap();
    assert_eq!(sweep(&store, NOW + 300_000, &gateway.rules), Ok(0));
    assert_eq!(sweep(&store, NOW + 300_001, &gateway.rules), Ok(1));
    assert_eq!(store.list(), Ok(Vec::new()));
}

#[test]
fn events_have_the_shape_of_the_wire() {
    let mut gateway = Gateway::new(|_| ());
    let id = gateway.asks(&[READ]);
    let requested = Event::Requested(Box::new(gateway.standing.pending.clone().unwrap()));
    assert_eq!(requested.name(), "device.pair.requested");
    assert_eq!(requested.payload()["requestId"], *id);
    let resolved = Event::Resolved {
        request_id: id.clone(),
        device_id: "d".into(),
        decision: Decision::Rejected,
        at_ms: 7,
    };
    assert_eq!(resolved.name(), "device.pair.resolved");
    let payload = json!({ "requestId": id, "deviceId": "d", "decision": "rejected", "ts": 7 });
    assert_eq!(resolved.payload(), payload);
}

#[test]
fn a_verdict_has_a_course() {
    use crate::verdict::{Grant, Reason};
    let paired = Relation {
        pairing: Pairing::Paired,
        ..Relation::NONE
    };
    let unpaired = Relation {
        pairing: Pairing::Unpaired,
        ..Relation::NONE
    };
    let admit = Verdict::Approve(Grant::default());
    let silent = Verdict::SilentApprove(Grant::default());
    let ask = Verdict::RequirePairing(PairingReason::RoleUpgrade);
    assert_eq!(Course::of(admit, &paired), Some(Course::Refresh));
    assert_eq!(Course::of(admit, &unpaired), Some(Course::Pass));
    assert_eq!(
        Course::of(silent, &unpaired),
        Some(Course::Pair(Via::Silent))
    );
    assert_eq!(
        Course::of(ask, &paired),
        Some(Course::Ask(PairingReason::RoleUpgrade))
    );
    assert_eq!(
        Course::of(Verdict::Reject(Reason::NotPermitted), &paired),
        None
    );
}

proptest! {
    /// Whatever is asked in whatever order: nothing is approved that neither an owner nor
    /// this very connection asked for, and one change for all is the same as one after another.
    #[test]
    fn nothing_is_approved_unasked(steps in prop::collection::vec((0..4u8, 0..8u8), 1..12)) {
        let all = [READ, WRITE, ADMIN];
        let mut gateway = Gateway::new(|_| ());
        let mut had: Vec<Box<str>> = Vec::new();
        for (course, bits) in steps {
            let wanted = all.iter().enumerate().filter(|(place, _)| bits >> place & 1 == 1);
            let names: Vec<&str> = wanted.map(|(_, name)| *name).collect();
            let asked = scopes(&names);
            let course = match course {
                0 => Course::Pass,
                1 => Course::Refresh,
                2 => Course::Pair(Via::Silent),
                _ => Course::Ask(PairingReason::ScopeUpgrade),
            };
            let before = gateway.standing.clone();
            let outcome = gateway.connect(course, &ask(&asked));
            prop_assert_eq!(outcome.change.apply(&before), gateway.standing.clone());
            if outcome.waits.is_none() && matches!(course, Course::Pair(_)) {
                had.extend(asked.iter().cloned());
            }
            let approved = gateway.standing.record.as_ref().map(Record::baseline);
            let approved = approved.unwrap_or_default();
            prop_assert!(approved.iter().all(|scope| had.contains(scope)), "{:?}", approved);
            if let Some(token) = outcome.token {
                let rule = gateway.rules.scope_rule;
                let within = crate::facts::scopes::covers(rule, "operator", &token.scopes, approved);
                prop_assert!(within.is_ok());
            }
        }
    }
}

#[test]
fn a_device_that_is_told_no_token_keeps_its_own() {
    let mut gateway = Gateway::new(|_| ());
    let own = gateway.pairs(&[READ]).token.unwrap();
    let wider = scopes(&[READ, WRITE]);
    let quiet = Ask {
        wants_token: false,
        by_device_token: true,
        ..ask(&wider)
    };
    let outcome = gateway.connect(Course::Pair(Via::Silent), &quiet);
    assert_eq!(outcome.token, None);
    let record = gateway.standing.record.as_ref().unwrap();
    assert!(record.token("operator").unwrap().token.matches(&own.token));
    assert_eq!(gateway.token("operator")["scopes"], json!([READ, WRITE]));

    let told = gateway.pairs(&[READ, WRITE, ADMIN]).token.unwrap();
    assert!(!told.token.matches(&own.token));
}
