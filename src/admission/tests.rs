//! Laws of admission: over any bytes, over generated policies, connections and standings, and
//! over what changes while a session lasts.

mod generated;
mod input;
mod laws;
mod plain;
mod race;
mod remedies;
#[path = "../../tests/support/scenario.rs"]
#[expect(dead_code, reason = "the golden scenarios are read elsewhere")]
mod scenario;
mod session;
mod setup;

use super::*;
use scenario::Spec;

use crate::facts::{Auth, Client, DeviceProof, Pairing, Role, ScopeSet};
use crate::handshake::{Http, Socket};
use crate::secret::Secret;
use crate::sign::{self, NONCE, NOW};
use crate::verdict::{ScopeBound, Verdict};
use crate::wire::Limits;
use crate::wire::reply::HttpRefusal;

/// What a connection brings, and what it is judged under.
struct Arrives {
    settings: Settings,
    socket: Socket,
    http: Http,
    message: Vec<u8>,
    standing: Standing,
}

impl Arrives {
    fn of(spec: &Spec) -> Self {
        let mut value = spec.handshake();
        // What is loaded is what is remembered of the device that is named.
        let named = value.pointer("/connect/params/device/id").cloned();
        for kept in ["record", "pending"] {
            if let (Some(kept), Some(named)) = (value["pairing"].get_mut(kept), &named) {
                kept["deviceId"] = named.clone();
            }
        }
        if value["pairing"].is_null() {
            value.as_object_mut().unwrap().remove("pairing");
        }
        let handshake = handshake::parse(&value.to_string())
            .unwrap_or_else(|error| panic!("{error}: {value:#}"));
        Arrives {
            settings: handshake.settings,
            socket: handshake.socket,
            http: handshake.http,
            message: value["connect"].to_string().into_bytes(),
            standing: handshake.pairing,
        }
    }

    fn gate<'a>(&'a self, policy: &'a Policy) -> Gate<'a> {
        let settings = &self.settings;
        Gate { policy, settings }
    }

    fn upgrade(&self, gate: Gate<'_>) -> Result<Upgrade, HttpRefusal> {
        at_upgrade(gate, self.socket.clone(), self.http.clone())
    }

    fn presented(&self, gate: Gate<'_>) -> Presented {
        let presented = present(gate.settings, &self.message, CHALLENGED);
        presented.unwrap_or_else(|reply| panic!("{reply:?}"))
    }

    /// What becomes of it; none where a guard refuses it before the upgrade.
    fn admission(&self, policy: &Policy, made: &mut u64) -> Option<Admission> {
        self.admission_after(policy, &self.standing, made)
    }

    fn admission_after(
        &self,
        policy: &Policy,
        standing: &Standing,
        made: &mut u64,
    ) -> Option<Admission> {
        let gate = self.gate(policy);
        let upgrade = self.upgrade(gate).ok()?;
        let presented = self.presented(gate);
        Some(decided(gate, &upgrade, &presented, standing, made))
    }
}

const CHALLENGED: Challenged<'static> = Challenged {
    nonce: NONCE,
    time_ms: NOW,
};

/// Decides with ids and secrets that count on from `made`.
fn decided(
    gate: Gate<'_>,
    upgrade: &Upgrade,
    presented: &Presented,
    standing: &Standing,
    made: &mut u64,
) -> Admission {
    with_fresh(made, |fresh| {
        at_connect(gate, upgrade, presented, Remembered::of(standing), fresh)
    })
}

fn with_fresh<T>(made: &mut u64, work: impl FnOnce(&mut Fresh<'_>) -> T) -> T {
    let count = std::cell::Cell::new(*made);
    let next = || {
        count.set(count.get() + 1);
        count.get()
    };
    let result = work(&mut Fresh {
        request_id: &mut || format!("made-{}", next()).into(),
        secret: &mut || Secret::new(&format!("made-not-a-secret-{}", next())),
    });
    *made = count.get();
    result
}

fn policy(rules: &str) -> Policy {
    let text = format!("gw-policy 1\n{rules}\n");
    Policy::parse("test.policy", &text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn default_policy() -> Policy {
    let text = include_str!("../../policies/default.policy");
    Policy::parse("default.policy", text).unwrap_or_else(|error| panic!("{error}"))
}

/// A list of words as settings and specs have it.
fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}
