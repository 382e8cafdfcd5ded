//! A connection that arrives, with what it is judged by and what is remembered of its device; made
//! from a spec, and brought through admission.

use gw::Policy;
use gw::admission::{
    Admission, Challenged, Gate, Presented, Remembered, Upgrade, at_connect, at_upgrade, present,
};
use gw::handshake::{self, Http, Socket};
use gw::pairing::Standing;
use gw::pairing::change::Fresh;
use gw::secret::Secret;
use gw::settings::Settings;
use gw::wire::reply::HttpRefusal;

use super::scenario::Spec;
use super::sign::{NONCE, NOW};

/// What a connection brings, and what it is judged under.
#[derive(Clone)]
pub(crate) struct Arrives {
    pub(crate) settings: Settings,
    pub(crate) socket: Socket,
    pub(crate) http: Http,
    pub(crate) message: Vec<u8>,
    pub(crate) standing: Standing,
}

impl Arrives {
    pub(crate) fn of(spec: &Spec) -> Self {
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

    pub(crate) fn gate<'a>(&'a self, policy: &'a Policy) -> Gate<'a> {
        let settings = &self.settings;
        Gate { policy, settings }
    }

    pub(crate) fn upgrade(&self, gate: Gate<'_>) -> Result<Upgrade, HttpRefusal> {
        at_upgrade(gate, self.socket.clone(), self.http.clone())
    }

    pub(crate) fn presented(&self, gate: Gate<'_>) -> Presented {
        let presented = present(gate.settings, &self.message, CHALLENGED);
        presented.unwrap_or_else(|reply| panic!("{reply:?}"))
    }

    /// What becomes of it; none where a guard refuses it before the upgrade.
    pub(crate) fn admission(&self, policy: &Policy, made: &mut u64) -> Option<Admission> {
        self.admission_after(policy, &self.standing, made)
    }

    pub(crate) fn admission_after(
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

pub(crate) const CHALLENGED: Challenged<'static> = Challenged {
    nonce: NONCE,
    time_ms: NOW,
};

/// Decides with ids and secrets that count on from `made`.
pub(crate) fn decided(
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

pub(crate) fn with_fresh<T>(made: &mut u64, work: impl FnOnce(&mut Fresh<'_>) -> T) -> T {
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
