//! What is open where some facts of a connection are not known: what follows from them is not known
//! either, and what they follow from has to give way where nothing else would let them be otherwise.

use crate::facts::assumptions::ASSUMPTIONS;
use crate::facts::{AttributeId, Facts, Ingress};

/// What is not known of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Open<'a> {
    /// What is asked about.
    pub unknown: &'a [AttributeId],
    /// What stays as it is although it would follow.
    pub given: &'a [AttributeId],
    /// Whether all other facts were seen of one connection, rather than assumed: then they stay as
    /// they are, unless an assumption ties them to what is not known, and that is otherwise.
    pub is_seen: bool,
}

/// What follows from a fact, so that it is not known where that is not.
const FOLLOWERS: &[(&str, &[&str])] = &[
    (
        "transport",
        &[
            "peer",
            "tls",
            "same-host",
            "peer-is-own",
            "client-ip",
            "ingress",
        ],
    ),
    (
        "peer",
        &["same-host", "peer-is-own", "client-ip", "peer-is-proxy"],
    ),
    ("same-host", &["peer-is-own"]),
    ("peer-is-proxy", &["ingress", "client-ip"]),
    ("host", &["same-origin"]),
    ("origin", &["same-origin", "origin-allowed"]),
    (
        "forwarded",
        &[
            "ingress",
            "client-ip",
            "forwarded-rfc",
            "forwarded-for",
            "forwarded-host",
            "forwarded-proto",
            "forwarded-real-ip",
            "forwarded-other",
            "forwarded-tailscale",
        ],
    ),
    ("ingress", &["client-ip"]),
    ("client-ip", &["node-network"]),
    ("client", &["mode"]),
    ("role", &["outside-role"]),
    ("scopes", &["outside-role"]),
    ("auth", &["auth-failure", "secret-sent"]),
    ("auth-failure", &["secret-sent"]),
    ("device", &["pairing"]),
    (
        "pairing",
        &["role-upgrade", "scope-upgrade", "metadata-upgrade"],
    ),
    (
        "setting.auth-mode",
        &["auth", "auth-failure", "secret-sent"],
    ),
];

/// What a fact follows from, in the order in which it gives way.
const SOURCES: &[(&str, &[&str])] = &[
    ("tls", &["transport"]),
    ("same-host", &["peer", "transport"]),
    ("peer-is-own", &["same-host", "peer"]),
    ("client-ip", &["peer", "peer-is-proxy", "forwarded"]),
    ("ingress", &["forwarded", "peer-is-proxy"]),
    ("forwarded-rfc", &["forwarded"]),
    ("forwarded-for", &["forwarded"]),
    ("forwarded-host", &["forwarded"]),
    ("forwarded-proto", &["forwarded"]),
    ("forwarded-real-ip", &["forwarded"]),
    ("forwarded-other", &["forwarded"]),
    ("forwarded-tailscale", &["forwarded"]),
    ("node-network", &["client-ip"]),
    ("same-origin", &["origin", "host"]),
    ("origin-allowed", &["origin"]),
    ("outside-role", &["scopes"]),
    ("auth-failure", &["auth"]),
    ("secret-sent", &["auth"]),
    ("pairing", &["device"]),
    ("role-upgrade", &["pairing"]),
    ("scope-upgrade", &["pairing"]),
    ("metadata-upgrade", &["pairing"]),
    ("pending", &["device"]),
];

fn row(table: &[(&str, &'static [&'static str])], id: AttributeId) -> Vec<AttributeId> {
    let row = table.iter().find(|(name, _)| *name == id.row().name);
    let names = row.map_or(&[][..], |(_, names)| *names);
    let ids = names.iter().filter_map(|name| AttributeId::named(name));
    ids.collect()
}

/// What a fact follows from.
pub(super) fn sources(id: AttributeId) -> Vec<AttributeId> {
    row(SOURCES, id)
}

/// Whether an assumption ties two facts to each other, as far as the others are known.
fn are_tied(facts: &Facts, one: AttributeId, other: AttributeId) -> bool {
    let (one, other) = (one.row().name, other.row().name);
    match (one, other) {
        // Whom a header names does not depend on who sent it.
        ("peer", "client-ip") => facts.ingress == Ingress::Direct,
        // Only a peer without an address cannot be one.
        ("peer", "peer-is-proxy") => false,
        _ => ASSUMPTIONS
            .iter()
            .any(|it| it.about.contains(&one) && it.about.contains(&other)),
    }
}

/// Each fact that follows from some others, with those of them that it follows from.
pub(super) fn followers(
    facts: &Facts,
    open: &Open<'_>,
    from: &[AttributeId],
) -> Vec<(AttributeId, Vec<AttributeId>)> {
    let mut found: Vec<(AttributeId, Vec<AttributeId>)> = Vec::new();
    for first in from {
        let mut reached = vec![*first];
        let mut at = 0;
        // What follows from what follows is no more known.
        while let Some(id) = reached.get(at).copied() {
            at += 1;
            for follower in row(FOLLOWERS, id) {
                let stays = open.given.contains(&follower)
                    || open.is_seen && !are_tied(facts, id, follower);
                if !stays && !from.contains(&follower) && !reached.contains(&follower) {
                    reached.push(follower);
                }
            }
        }
        for follower in reached.into_iter().skip(1) {
            match found.iter_mut().find(|(known, _)| *known == follower) {
                Some((_, causes)) => causes.push(*first),
                None => found.push((follower, vec![*first])),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What an assumption ties together is open together.
    #[test]
    fn every_tied_fact_is_in_the_tables() {
        let mut names = BTreeSet::new();
        for (name, others) in FOLLOWERS.iter().chain(SOURCES) {
            names.insert(*name);
            names.extend(others.iter().copied());
        }
        for name in &names {
            assert!(AttributeId::named(name).is_some(), "{name}");
        }
        let tied: BTreeSet<&str> = ASSUMPTIONS
            .iter()
            .flat_map(|it| it.about)
            .copied()
            .collect();
        let missing: Vec<&&str> = tied.difference(&names).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
