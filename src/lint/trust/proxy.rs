//! Rules that trust this host, and with it whoever comes through a proxy on it.

use super::{ELSEWHERE, View, described, holes};
use crate::analysis::{Id, OverBudget};
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::Auth;

/// With the secret, or without.
const HELD: &str = "auth in { none, open, token, password }";

/// From this host, of nobody who is known to be in a network: a trusted proxy that names a neighbour
/// is not taken for it.
const HERE: &str = "(loopback or transport=unix) and client-ip in { none, loopback, public }";

pub(in super::super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let proxied = format!("{HERE} and (forwarded or proxy-trace) and {HELD}");
    let proxied = described(view, &proxied)?;
    let forwarded = described(view, &format!("{HERE} and forwarded and {HELD}"))?;
    let direct = format!("{ELSEWHERE} and peer=public and {HELD}");
    let direct = described(view, &direct)?;
    let mut found = Vec::new();
    for hole in holes(view, proxied, |_| true)? {
        // Who comes in from anywhere without a proxy gains nothing by one.
        if hole.admits(view, direct)? {
            continue;
        }
        let with = match matches!(hole.facts.auth, Auth::Token | Auth::Password) {
            true => "whoever has the shared secret",
            false => "everybody",
        };
        let proxy = match view.ground.arena.and(hole.admitted, forwarded)? == Id::NO {
            true => "a proxy on this host that leaves only `Via` or the like",
            false => "a proxy on this host",
        };
        let message =
            format!("{proxy} is taken for the client: behind it {with} is let in, from anywhere");
        // The first that does: what the rule asks for already is not asked for again.
        let remedies = [
            "not proxy-trace",
            "not forwarded",
            "not forwarded and not proxy-trace",
            "pairing=paired",
        ];
        found.push(hole.told(view, Code::ProxiedLoopback, message, &remedies, None)?);
    }
    Ok(found)
}
