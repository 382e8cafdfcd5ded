//! Events that come to a gateway, one after the other: connections, approvals, refusals, removals, time
//! that passes, another policy. What is decided is what the policy says, and is carried out as it was
//! decided; an approval approves what was shown; a session lasts no longer than what let it in.
//!
//! The bytes are choices; where they begin as a policy does, a zero byte ends the first of the two
//! policies and the rest is choices.

use std::collections::BTreeMap;

use gw::Policy;
use gw::admission::{
    Admission, Challenged, Gate, Permit, Remembered, at_connect, present, still_admitted,
};
use gw::facts::{Auth, Pairing};
use gw::lang::ReadError;
use gw::pairing::approve::{Approver, approve};
use gw::pairing::change::{Change, Write};
use gw::pairing::key::PublicKey;
use gw::pairing::record::{Pending, Record};
use gw::pairing::removal::{reject, remove};
use gw::pairing::store::{Store as _, StoreError, Version, sweep};
use gw::pairing::token::revoke;
use gw::pairing::{Memory, Standing};
use gw::policy::PolicyError;
use gw::settings::{Compatibility, Settings};
use serde_json::{Value, json};

use super::answer::ill_decided;
use super::arrives::{Arrives, with_fresh};
use super::carried_out::{self, scopes, set};
use super::choices::Choices;
use super::naive;
use super::releases::{COMPATIBILITY, goes_together};
use super::scenario::{Spec, TOKEN, WRONG, device_token};
use super::sign::{Identity, NONCE, NOW};
use super::written::{self, About};

/// How many events come at most.
const EVENTS: usize = 12;

const DEVICES: [&str; 3] = ["one", "two", "three"];

const CLIENTS: [&str; 5] = [
    "cli/cli",
    "gateway-client/backend",
    "node-host/node",
    "openclaw-control-ui/webchat",
    "openclaw-macos/ui",
];

const SCOPES: [&str; 8] = [
    "operator.read",
    "operator.write",
    "operator.admin",
    "operator.pairing",
    "operator.talk",
    " operator.read ",
    "operator.new",
    "node.new",
];

/// How long may pass between two events, in milliseconds.
const PAUSES: [i64; 6] = [1, 61_000, 300_001, 3_600_000, 86_400_000, 2_700_000_000];

/// The scopes of those who approve.
const OWNERS: [&[&str]; 4] = [
    &["operator.admin"],
    &["operator.pairing"],
    &["operator.pairing", "operator.read", "operator.write"],
    &["operator.read"],
];

/// A gateway that forgets all of it afterwards.
struct Gateway {
    /// The settings, as specs have them.
    settings: Value,
    read: Settings,
    policies: [Policy; 2],
    /// The first policy with a guard more.
    guarded: Option<Policy>,
    /// Which policy is in force.
    current: usize,
    store: Memory,
    now_ms: i64,
    /// How many ids and secrets were made.
    made: u64,
    sessions: Vec<Session>,
    /// What was asked for by each request that was ever shown.
    shown: BTreeMap<Box<str>, String>,
}

/// A session, as it began.
struct Session {
    permit: Permit,
    /// Whether its device was paired.
    is_recorded: bool,
}

/// Reads the bytes as events.
pub fn run(data: &[u8]) {
    let (first, rest) = match written::as_it_is(data) {
        Some((text, rest)) => (Some(text), rest),
        None => (None, data),
    };
    let mut choices = Choices::new(rest);
    let is_read = first.is_some();
    let texts = [
        first.unwrap_or_else(|| written::policy(&mut choices, About::Connections)),
        written::policy(&mut choices, About::Connections),
    ];
    let [first, second] = texts.each_ref().map(|text| loaded(text));
    let (first, second) = match (first, second) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(_), _) if is_read => return,
        (first, second) => panic!("{texts:?} {:?} {:?}", first.err(), second.err()),
    };
    let guard = written::guard(&mut choices, About::Connections);
    let guarded = texts[0].replacen('\n', &format!("\nguard {guard}\n"), 1);
    let guarded = loaded(&guarded).ok();
    assert!(is_read || guarded.is_some(), "{guard}");
    let mut gateway = Gateway::new([first, second], guarded, &mut choices);
    for _ in 0..EVENTS {
        gateway.event(&mut choices);
        gateway.holds();
        if choices.is_over() {
            break;
        }
    }
}

fn loaded(text: &str) -> Result<Policy, PolicyError> {
    let nothing = &mut |_: &str, _| Err(ReadError::NotFound);
    Policy::load_untested("some.policy", text, nothing)
}

/// The id of one of the devices.
fn device(choices: &mut Choices<'_>) -> String {
    let name = choices.one(&DEVICES);
    Identity::named(name).id
}

fn spec(value: Value) -> Spec {
    serde_json::from_value(value).unwrap()
}

fn owned(list: &[&&str]) -> Vec<String> {
    list.iter().map(|word| (**word).to_owned()).collect()
}

impl Gateway {
    fn new(policies: [Policy; 2], guarded: Option<Policy>, choices: &mut Choices<'_>) -> Self {
        let settings = json!({
            "auth": { "token": TOKEN },
            "compatibility": choices.one(&COMPATIBILITY),
            "controlUi": { "dangerouslyDisableDeviceAuth": choices.rarely() },
            "nodes": { "pairing": {
                "autoApproveCidrs": if choices.rarely() { json!(["192.168.1.0/24"]) } else { json!([]) },
            } },
        });
        let gateway = Gateway {
            read: serde_json::from_value(settings.clone()).unwrap(),
            settings,
            policies,
            guarded,
            current: 0,
            store: Memory::default(),
            now_ms: NOW,
            made: 0,
            sessions: Vec::new(),
            shown: BTreeMap::new(),
        };
        if choices.flag() {
            gateway.remember(choices);
        }
        gateway
    }

    /// Lets one device be known from before.
    fn remember(&self, choices: &mut Choices<'_>) {
        let roles = [json!(null), json!(["node"]), json!(["operator", "node"])];
        let roles = choices.one(&roles);
        let tokens = [json!(null), json!("none"), json!("revoked")];
        let tokens = choices.one(&tokens);
        let platform = if choices.rarely() {
            json!("otheros")
        } else {
            json!(null)
        };
        let of_record = choices.some(&SCOPES[..5]);
        let record = json!({
            "scopes": of_record, "roles": roles, "tokens": tokens, "platform": platform,
        });
        let pending = match choices.flag() {
            true => json!({ "scopes": choices.some(&SCOPES[..5]), "silent": choices.flag() }),
            false => Value::Null,
        };
        let value = json!({ "settings": self.settings, "record": record, "pending": pending });
        let Standing {
            record, pending, ..
        } = Arrives::of(&spec(value)).standing;
        let device = Identity::named(DEVICES[0]).id;
        let put = |change: Change| self.store.commit(&change, Version::NOTHING).unwrap();
        put(Change {
            record: Write::Put(record.unwrap()),
            pending: pending.map_or_else(Default::default, Write::Put),
            ..Change::none(device)
        });
    }

    fn rules(&self) -> &Compatibility {
        &self.read.compatibility
    }

    fn gate(&self) -> Gate<'_> {
        Gate {
            policy: &self.policies[self.current],
            settings: &self.read,
        }
    }

    /// What is remembered of a device now.
    fn standing(&self, device: &str) -> (Standing, Version) {
        let (standing, version) = self.store.load(device).unwrap();
        (standing.live(self.now_ms).into_owned(), version)
    }

    fn commit(&self, change: &Change, version: Version) {
        match self.store.commit(change, version) {
            Ok(_) | Err(StoreError::TooManyRequests | StoreError::TooManyDevices) => {}
            Err(error) => panic!("{error}: {change:?}"),
        }
    }

    fn event(&mut self, choices: &mut Choices<'_>) {
        match choices.below(9) {
            0..=3 => self.connects(choices),
            4 => self.approves(choices),
            5 => {
                let device = device(choices);
                let (standing, version) = self.standing(&device);
                let request = standing.pending.as_ref().map(|it| it.request_id.clone());
                let request = request.unwrap_or_else(|| "none".into());
                let change = match choices.flag() {
                    true => remove(&standing, self.rules()),
                    false => reject(&standing, &request, self.now_ms, self.rules()).ok(),
                };
                if let Some(change) = change {
                    self.commit(&change, version);
                }
            }
            6 => self.now_ms += choices.one(&PAUSES),
            7 => self.revokes(choices),
            _ => match choices.flag() {
                true => self.current = 1 - self.current,
                false => drop(sweep(&self.store, self.now_ms, self.rules()).unwrap()),
            },
        }
    }

    fn connects(&mut self, choices: &mut Choices<'_>) {
        let mut arrives = Arrives::of(&spec(self.connection(choices)));
        let gate = self.gate();
        let challenged = Challenged {
            nonce: NONCE,
            time_ms: self.now_ms,
        };
        let Ok(upgrade) = arrives.upgrade(gate) else {
            return;
        };
        let presented = match present(gate.settings, &arrives.message, challenged) {
            Ok(presented) => presented,
            Err(reply) => panic!("{reply:?}"),
        };
        let (standing, version) = match presented.device_id() {
            Some(device) => self.standing(device),
            None => Default::default(),
        };
        arrives.standing = standing;
        let mut made = self.made;
        let remembered = Remembered::of(&arrives.standing);
        let mut decided = |gate| {
            with_fresh(&mut made, |fresh| {
                at_connect(gate, &upgrade, &presented, remembered, fresh)
            })
        };
        let admission = decided(gate);
        let other = decided(Gate {
            policy: &self.policies[1 - self.current],
            ..gate
        });
        let Admission {
            decision, facts, ..
        } = &admission;
        assert!(goes_together(facts, self.rules()), "{facts:#?}");
        assert_eq!(other.facts, *facts, "facts depend on the policy");
        assert_eq!(
            decision.verdict,
            naive::verdict(gate.policy.checked(), facts)
        );
        assert_eq!(ill_decided(&admission), None);
        carried_out::check(gate.policy, &arrives, &admission);
        let guarded = self.guarded.as_ref().filter(|_| self.current == 0);
        if let Some(policy) = guarded {
            let guarded = decided(Gate { policy, ..gate });
            carried_out::restricts(&arrives, &admission, &guarded);
        }
        self.made = made;
        self.commit(&admission.change, version);
        let is_recorded = matches!(admission.facts.pairing, Pairing::Paired | Pairing::Upgrade);
        self.sessions.extend(admission.permit.map(|permit| Session {
            permit,
            is_recorded,
        }));
    }

    /// A connection of some device, from somewhere.
    fn connection(&self, choices: &mut Choices<'_>) -> Value {
        let token = device_token("operator");
        let auth = [
            json!("shared"),
            json!("device-token"),
            json!("none"),
            json!("wrong"),
            json!({ "token": WRONG, "deviceToken": token }),
            json!({ "token": TOKEN, "deviceToken": token }),
            json!({ "token": token }),
        ];
        let auth = choices.one(&auth);
        let proof = match choices.below(24) {
            17 => json!({ "version": "v2" }),
            18 => json!({ "ofAnotherConnection": true }),
            19 => json!({ "by": "two" }),
            20 => json!({ "idOf": "two" }),
            21 => json!({ "over": { "scopes": ["operator.admin"] } }),
            22 => json!({ "signedBeforeMs": 200_000 }),
            // Signed now, however late that is.
            _ => json!({ "signedBeforeMs": NOW - self.now_ms }),
        };
        let page = |page: &str| json!([["Origin", page]]);
        let mut connection = match choices.below(7) {
            0..=1 => json!({}),
            2 => json!({ "host": "localhost:18789", "headers": page("http://localhost:18789") }),
            3 => json!({ "headers": page("https://evil.example") }),
            4 => json!({ "headers": [["X-Forwarded-For", "10.0.0.5"]] }),
            5 => json!({ "peer": "192.168.1.10" }),
            _ => json!({ "peer": "203.0.113.9", "host": "gw.example.com" }),
        };
        let said = json!({
            "settings": self.settings,
            "client": choices.one(&CLIENTS),
            "role": choices.one(&[json!(null), json!("operator"), json!("node")]),
            "scopes": owned(&choices.some(&SCOPES)),
            "platform": choices.one(&["linux", "linux", "macos 26.4.0"]),
            "device": if choices.rarely() { json!(null) } else { json!(choices.one(&DEVICES)) },
            "auth": auth, "proof": proof,
        });
        let (Value::Object(all), Value::Object(said)) = (&mut connection, said) else {
            unreachable!("both are objects")
        };
        all.extend(said);
        connection
    }

    /// An owner approves what waits of a device.
    fn approves(&mut self, choices: &mut Choices<'_>) {
        let device = device(choices);
        let owner = choices.one(&OWNERS);
        let holds: Vec<Box<str>> = owner.iter().map(|scope| (*scope).into()).collect();
        let (standing, version) = self.standing(&device);
        let Some(pending) = &standing.pending else {
            return;
        };
        let mut made = self.made;
        let approved = with_fresh(&mut made, |fresh| {
            let owner = Approver::Owner { scopes: &holds };
            let (now_ms, rules) = (self.now_ms, self.rules());
            approve(&standing, &pending.request_id, owner, fresh, now_ms, rules)
        });
        self.made = made;
        let Ok(change) = approved else {
            return;
        };
        let after = change.apply(&standing);
        let record = after.record.as_ref().unwrap();
        is_what_was_shown(standing.record.as_ref(), pending, record);
        assert!(after.pending.is_none());
        let admin = "operator.admin";
        let asks = scopes(pending.asked_scopes()).contains(admin);
        assert!(
            !asks || owner.contains(&admin),
            "{owner:?} approves {pending:?}"
        );
        self.commit(&change, version);
    }

    /// A token of a device is revoked: its sessions end.
    fn revokes(&mut self, choices: &mut Choices<'_>) {
        let device = device(choices);
        let role = *choices.one(&["operator", "node"]);
        let (standing, version) = self.standing(&device);
        let Ok(change) = revoke(&standing, role, self.now_ms) else {
            return;
        };
        self.commit(&change, version);
        let after = self.standing(&device).0;
        for Session { permit, .. } in &self.sessions {
            let is_its = permit.device_id() == Some(&device)
                && permit.auth() == Auth::DeviceToken
                && permit.role().name() == role;
            let goes_on = still_admitted(self.gate(), permit, &after, self.now_ms).is_ok();
            assert!(!is_its || !goes_on, "{permit:?}");
        }
    }

    /// What is so after each event.
    fn holds(&mut self) {
        for (standing, _) in self.store.list().unwrap() {
            if let Some(record) = &standing.record {
                let key = PublicKey::parse(&record.public_key).unwrap();
                assert_eq!(key.device_id(), *record.device_id);
            }
            let Some(pending) = &standing.pending else {
                continue;
            };
            let record = standing.record.as_ref();
            assert!(record.is_none_or(|it| it.device_id == pending.device_id));
            // A number stands for what an owner saw of it.
            let asked = format!("{} {:?}", pending.device_id, carried_out::asked(pending));
            let known = self.shown.entry(pending.request_id.clone());
            assert_eq!(*known.or_insert_with(|| asked.clone()), asked);
        }
        let mut sessions = std::mem::take(&mut self.sessions);
        sessions.retain(
            |Session {
                 permit,
                 is_recorded,
             }| {
                let standing = permit.device_id().map(|device| self.standing(device).0);
                let standing = standing.unwrap_or_default();
                let goes_on = still_admitted(self.gate(), permit, &standing, self.now_ms).is_ok();
                assert!(
                    !goes_on || !is_recorded || standing.record.is_some(),
                    "{permit:?}"
                );
                let has_ended = permit
                    .until_ms_by(&standing)
                    .is_some_and(|it| it <= self.now_ms);
                assert!(!goes_on || !has_ended, "{permit:?}");
                goes_on
            },
        );
        self.sessions = sessions;
    }
}

/// Whether a record holds what it held before, and what was asked for, and nothing else.
fn is_what_was_shown(before: Option<&Record>, pending: &Pending, after: &Record) {
    let had = before.into_iter().flat_map(|it| scopes(it.baseline()));
    let may: Vec<&str> = had.chain(scopes(pending.asked_scopes())).collect();
    let has = scopes(after.baseline());
    assert!(
        has.iter().all(|scope| may.contains(scope)),
        "{has:?} of {may:?}"
    );
    let had = before.into_iter().flat_map(Record::approved_roles);
    let may: Vec<&str> = set(had.chain(pending.asked_roles())).into_iter().collect();
    let has = set(after.approved_roles());
    assert!(
        has.iter().all(|role| may.contains(role)),
        "{has:?} of {may:?}"
    );
    assert_eq!(after.device_id, pending.device_id);
    assert_eq!(after.public_key, pending.public_key);
}
