//! Rules that trust this host, and with it whoever comes through a proxy on it.

use super::{ELSEWHERE, View, described, holes};
use crate::analysis::OverBudget;
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::Auth;

/// With the secret, or without.
const HELD: &str = "auth in { none, open, token, password }";

pub(in super::super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let proxied = format!("(loopback or transport=unix) and forwarded and {HELD}");
    let proxied = described(view, &proxied)?;
    let direct = format!("{ELSEWHERE} and {HELD}");
    let direct = described(view, &direct)?;
    let mut found = Vec::new();
    for hole in holes(view, proxied, |_| true)? {
        // Whoever comes in from elsewhere as well gains nothing by a proxy.
        if hole.admits(view, direct)? {
            continue;
        }
        let with = match matches!(hole.facts.auth, Auth::Token | Auth::Password) {
            true => "whoever has the shared secret",
            false => "everybody",
        };
        let message = format!(
            "behind a proxy on this host {with} is let in from anywhere: the proxy is taken for the client"
        );
        let remedies = ["not forwarded", "ingress=direct"];
        found.push(hole.told(view, Code::ProxiedLoopback, message, &remedies)?);
    }
    Ok(found)
}
