//! Rules that ask nothing of whoever comes from another host.

use super::{ELSEWHERE, UNPROVED, View, described, holes};
use crate::analysis::OverBudget;
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::{AddressClass, Auth};

pub(in super::super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let others = format!("{ELSEWHERE} and {UNPROVED}");
    let others = described(view, &others)?;
    let mut found = Vec::new();
    for hole in holes(view, others, |_| true)? {
        let who = match hole.facts.peer.class() == AddressClass::Public {
            true => "whoever reaches the gateway",
            false => "any machine on the gateway's network",
        };
        let mode = if hole.facts.auth == Auth::Open {
            ", where the auth mode is none"
        } else {
            ""
        };
        let message = format!("{who} is let in without proving anything{mode}");
        let remedies = ["auth in { token, password }", "pairing=paired"];
        found.push(hole.told(view, Code::OpenDoor, message, &remedies, None)?);
    }
    Ok(found)
}
