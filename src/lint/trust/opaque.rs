//! Rules that keep out pages by their names, and let in those that have none.

use super::{View, attacker, holes};
use crate::analysis::OverBudget;
use crate::diagnostic::{Code, Diagnostic};

pub(in super::super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let unnamed = attacker(view, "browser-page", "origin=opaque")?;
    let named = attacker(view, "browser-page", "origin!=opaque")?;
    let mut found = Vec::new();
    for hole in holes(view, unnamed, |_| true)? {
        // Where all pages come in, that is told instead.
        if hole.admits(view, named)? {
            continue;
        }
        let message = "a web page without a name is let in, where others are kept out: a sandboxed frame or \
                       a file sends `Origin: null`";
        let remedies = ["origin!=opaque", "no-origin"];
        found.push(hole.told(
            view,
            Code::OpaqueOrigin,
            message.to_owned(),
            &remedies,
            None,
        )?);
    }
    Ok(found)
}
