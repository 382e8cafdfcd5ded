//! Rules that a web page from elsewhere can use, by way of somebody's browser.

use super::{View, attacker, holes};
use crate::analysis::OverBudget;
use crate::diagnostic::{Code, Diagnostic};

pub(in super::super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let pages = attacker(view, "browser-page", "")?;
    let mut found = Vec::new();
    for hole in holes(view, pages, |_| true)? {
        let message = "any web page that somebody has open near the gateway is let in: browsers let it \
                       dial any address, and say only in the Origin header who it is";
        let remedies = ["no-origin", "(no-origin or origin-allowed)"];
        found.push(hole.told(view, Code::BrowserCanReach, message.to_owned(), &remedies)?);
    }
    Ok(found)
}
