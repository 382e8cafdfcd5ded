//! Rules that take a stranger's word for who it is.

use super::{ELSEWHERE, UNPROVED, View, described, holes};
use crate::analysis::OverBudget;
use crate::analysis::attacker::attributes;
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::{AttributeId, Provenance};

pub(in super::super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let strangers = format!("{ELSEWHERE} and peer=public and {UNPROVED}");
    let strangers = described(view, &strangers)?;
    let mut found = Vec::new();
    for hole in holes(view, strangers, |_| true)? {
        let mut asked: Vec<AttributeId> = Vec::new();
        attributes(&hole.clause.condition.value, &mut asked);
        let is_claimed = |id: &AttributeId| id.row().provenance == Provenance::Claimed;
        asked.retain(is_claimed);
        asked.sort_unstable();
        asked.dedup();
        let names: Vec<String> = asked
            .iter()
            .map(|id| format!("`{}`", id.row().name))
            .collect();
        // Who need not even say anything is told of as an open door.
        if names.is_empty() {
            continue;
        }
        let message = format!(
            "a stranger is let in for saying the right {}: nothing that it proves is asked for",
            names.join(" and ")
        );
        let remedies = ["auth in { token, password }", "pairing=paired"];
        found.push(hole.told(view, Code::TrustOnClaims, message, &remedies, None)?);
    }
    Ok(found)
}
