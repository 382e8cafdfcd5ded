//! Laws of admission: over any bytes, over generated policies, connections and standings, and
//! over what changes while a session lasts.

#[path = "../../tests/support/answer.rs"]
mod answer;
#[path = "../../tests/support/arrives.rs"]
mod arrives;
#[path = "../../tests/support/carried_out.rs"]
mod carried_out;
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
use arrives::{Arrives, CHALLENGED, decided, with_fresh};
use scenario::Spec;

use crate::facts::{Auth, DeviceProof, Pairing};
use crate::secret::Secret;
use crate::sign::{self, NOW};
use crate::verdict::{ScopeBound, Verdict};
use crate::wire::Limits;

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
