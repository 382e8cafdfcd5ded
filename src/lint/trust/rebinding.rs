//! Rules that trust a page because its Origin is the name that it dialled.

use super::{View, attacker, holes};
use crate::analysis::OverBudget;
use crate::diagnostic::{Code, Diagnostic};

pub(in super::super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let pages = attacker(view, "browser-rebind", "")?;
    let mut found = Vec::new();
    for hole in holes(view, pages, |_| true)? {
        let message = "a web page whose own name points at the gateway is let in: its Origin and its Host are \
                       equal then (DNS rebinding)";
        let remedies = [
            "origin in { loopback, private, public }",
            "origin not in { mdns, tailnet, name }",
            "origin-allowed",
            "no-origin",
        ];
        found.push(hole.told(view, Code::Rebinding, message.to_owned(), &remedies, None)?);
    }
    Ok(found)
}
