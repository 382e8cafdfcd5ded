//! Recorded connections through the pure path, and one login: a device that is paired and proves its
//! key, as it comes in every day.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::io::Read as _;
use std::sync::Arc;

use gw::Policy;
use gw::admission::{
    Admission, Challenged, Gate, Presented, Remembered, Reply, Upgrade, at_connect, at_upgrade,
    present,
};
use gw::facts::{DeviceProof, Pairing};
use gw::journal::Connection;
use gw::pairing::Standing;
use gw::pairing::change::Fresh;
use gw::recorded::{NONCE, NOW_MS, Recording, Row, Sent, prior, sent};
use gw::secret::Secret;
use gw::settings::{Compatibility, Settings};
use gw::wire::reply::Server;

/// One case in so many is taken.
const EVERY: usize = 10;

/// A release with a sample of its cases.
pub(crate) struct Release {
    pub(crate) policy: Policy,
    pub(crate) settings: BTreeMap<Box<str>, Settings>,
    pub(crate) cases: Vec<Case>,
}

/// What one connection sends, and what is remembered of its device.
pub(crate) struct Case {
    pub(crate) cfg: Box<str>,
    pub(crate) sent: Sent,
    pub(crate) standing: Standing,
}

pub(crate) fn path(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn release(version: &str) -> Release {
    let file = fs::File::open(path(&format!("fixtures/observed/{version}.jsonl.gz")));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file.expect("a recording"))
        .read_to_string(&mut text)
        .expect("it is text");
    let recording = Recording::read(&text).expect("it is a recording");
    let read = |extension: &str| {
        let name = format!("policies/openclaw/{version}.{extension}");
        fs::read_to_string(path(&name)).expect("a file of the project")
    };
    let policy = Policy::parse(version, &read("policy")).expect("it loads");
    let compatibility: Compatibility = serde_yaml::from_str(&read("yaml")).expect("they load");
    let mut release = Release {
        policy,
        settings: BTreeMap::new(),
        cases: Vec::new(),
    };
    for row in recording.rows.iter().step_by(EVERY) {
        let settings = release.settings.entry(row.cfg.clone()).or_insert_with(|| {
            let settings = recording.settings(&row.cfg, &compatibility);
            settings.expect("they are read")
        });
        release.cases.extend(case(row, settings));
    }
    release
}

/// The first connection of a case; none where it takes a real socket.
pub(crate) fn case(row: &Row, settings: &Settings) -> Option<Case> {
    let step = row.steps().first()?;
    let connect = step.connect.as_ref()?;
    let sent = sent::sent(row, step, settings, &BTreeMap::new()).expect("its kinds are known")?;
    let device = sent::device_name(row, step);
    let by_owner = settings.compatibility.pairing.provenance;
    let standing = prior::standing(&row.prior, &device, connect, by_owner).expect("it is known");
    Some(Case {
        cfg: row.cfg.clone(),
        sent,
        standing: serde_json::from_value(standing).expect("it is a standing"),
    })
}

impl Release {
    pub(crate) fn gate(&self, case: &Case) -> Gate<'_> {
        Gate {
            policy: &self.policy,
            settings: self.settings.get(&case.cfg).expect("it was read"),
        }
    }
}

pub(crate) fn challenged() -> Challenged<'static> {
    Challenged {
        nonce: NONCE,
        time_ms: NOW_MS,
    }
}

pub(crate) fn decided(
    gate: Gate<'_>,
    upgrade: &Upgrade,
    presented: &Presented,
    standing: &Standing,
) -> Admission {
    let mut request_id = || "f0000000-0000-4000-8000-000000000000".into();
    let mut secret = || Secret::new("fresh-token-not-a-secret-of-43-characters-xx");
    let mut fresh = Fresh {
        request_id: &mut request_id,
        secret: &mut secret,
    };
    at_connect(
        gate,
        upgrade,
        presented,
        Remembered::of(standing),
        &mut fresh,
    )
}

/// The text of the answer, for a server that says nothing more of itself.
pub(crate) fn answer(gate: Gate<'_>, reply: &Reply) -> Option<String> {
    match reply {
        Reply::Admitted(admitted) => Some(admitted.response(&SERVER, &gate.settings.compatibility)),
        Reply::Refused { .. } | Reply::Closed(_) | Reply::Http(_) => reply.refusal(),
    }
}

const SERVER: Server<'static> = Server::new("bench", "bench");

/// A device that is paired and proves its key, as it comes in every day, and what it may find.
pub(crate) struct Login {
    pub(crate) release: Arc<Release>,
    pub(crate) case: Case,
}

impl Login {
    pub(crate) fn new() -> Self {
        let mut release = release("2026.4.22");
        let is_it = |case: &Case| {
            let gate = release.gate(case);
            let Sent {
                socket,
                http,
                message,
                ..
            } = &case.sent;
            let upgrade = at_upgrade(gate, socket.clone(), http.clone());
            let presented = present(gate.settings, message, challenged());
            let (Ok(upgrade), Ok(presented)) = (upgrade, presented) else {
                return false;
            };
            let admission = decided(gate, &upgrade, &presented, &case.standing);
            admission.permit.is_some()
                && admission.facts.device == DeviceProof::Proven
                && admission.facts.pairing == Pairing::Paired
        };
        let at = release.cases.iter().position(is_it);
        let case = release.cases.swap_remove(at.expect("some device logs in"));
        Login {
            release: Arc::new(release),
            case,
        }
    }

    pub(crate) fn gate(&self) -> Gate<'_> {
        self.release.gate(&self.case)
    }

    pub(crate) fn upgrade(&self) -> Upgrade {
        let Sent { socket, http, .. } = black_box(&self.case.sent);
        let upgrade = at_upgrade(self.gate(), socket.clone(), http.clone());
        upgrade.expect("nothing is wrong with it")
    }

    pub(crate) fn presented(&self) -> Presented {
        let message = black_box(&self.case.sent.message);
        let presented = present(self.gate().settings, message, challenged());
        presented.expect("nothing is wrong with it")
    }

    pub(crate) fn admission(&self, upgrade: &Upgrade, presented: &Presented) -> Admission {
        decided(self.gate(), upgrade, presented, &self.case.standing)
    }

    pub(crate) fn connection(&self, upgrade: &Upgrade) -> Connection {
        Connection::of("00000000-0000-4000-8000-000000000000", upgrade)
    }
}
