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
        let listed = "(no-origin or origin-allowed)";
        let own = Some((listed, "where pages of your own come in"));
        let remedies = ["no-origin", listed];
        let message = message.to_owned();
        found.push(hole.told(view, Code::BrowserCanReach, message, &remedies, own)?);
    }
    Ok(found)
}
