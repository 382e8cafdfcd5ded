//! Rules that take a proxy on this host for the client: what is reported is what a walk finds, and
//! what it tells to add keeps out who is behind the proxy, and nobody else.

use gw::decide::{Decision, decide};
use gw::diagnostic::fix::Edited;
use gw::diagnostic::{Code, Diagnostic, Edit};
use gw::facts::{AddressClass, Facts, Pairing, Transport};
use gw::lint::{Search, lint};
use gw::policy::Policy;

use crate::share::{each, share};
use crate::small;

/// Where a rule looks for the client.
const PLACES: [&str; 5] = [
    "loopback",
    "transport=unix",
    "peer in { loopback, private }",
    "same-host",
    "no-origin",
];

/// What it asks for besides.
const ASKED: [&str; 9] = [
    "tls or not tls",
    "not forwarded",
    "not proxy-trace",
    "not (forwarded or proxy-trace)",
    "ingress=direct",
    "forwarded",
    "proxy-trace",
    "client-ip=private",
    "pairing=paired",
];

const GUARDS: [&str; 3] = [
    "guard proxy-trace → require-pairing",
    "guard forwarded and pairing!=paired → reject(not-permitted)",
    "guard peer=public → require-pairing",
];

/// The socket and the headers: of nobody in between, and of proxies that leave the one, the other or
/// both, known to the operator or not.
const WAYS: [&[(&str, &str)]; 17] = [
    &[("peer", "127.0.0.1")],
    &[("peer", "10.0.0.5")],
    &[("peer", "203.0.113.9")],
    &[("transport", "unix")],
    &[("peer", "127.0.0.1"), ("proxy-trace", "yes")],
    &[("peer", "127.0.0.1"), ("forwarded", "yes")],
    &[
        ("peer", "127.0.0.1"),
        ("forwarded", "yes"),
        ("proxy-trace", "yes"),
    ],
    &[
        ("peer", "127.0.0.1"),
        ("forwarded", "yes"),
        ("peer-is-proxy", "yes"),
        ("client-ip", "203.0.113.9"),
    ],
    &[
        ("peer", "127.0.0.1"),
        ("forwarded", "yes"),
        ("peer-is-proxy", "yes"),
        ("client-ip", "10.0.0.5"),
    ],
    &[
        ("peer", "127.0.0.1"),
        ("peer-is-proxy", "yes"),
        ("proxy-trace", "yes"),
    ],
    &[("transport", "unix"), ("proxy-trace", "yes")],
    &[("transport", "unix"), ("forwarded", "yes")],
    &[
        ("transport", "unix"),
        ("forwarded", "yes"),
        ("proxy-trace", "yes"),
    ],
    &[("peer", "10.0.0.5"), ("proxy-trace", "yes")],
    &[("peer", "10.0.0.5"), ("forwarded", "yes")],
    &[("peer", "203.0.113.9"), ("proxy-trace", "yes")],
    &[("peer", "203.0.113.9"), ("forwarded", "yes")],
];

fn world() -> Vec<Facts> {
    let mut world = Vec::new();
    for way in WAYS {
        for pairing in ["unpaired", "paired"] {
            let held = [
                ("auth", "token"),
                ("device", "proven"),
                ("pairing", pairing),
            ];
            world.push(small::connection(&[way, &held].concat()));
        }
    }
    world
}

fn is_proxied(facts: &Facts) -> bool {
    facts.forwarded || facts.proxy_trace
}

/// Somebody whom a proxy on this host brings, from nobody knows where or from anywhere.
fn comes_by_proxy(facts: &Facts) -> bool {
    let here = facts.transport == Transport::Unix || facts.peer.is_loopback();
    let elsewhere = matches!(
        facts.client_ip.class(),
        AddressClass::None | AddressClass::Loopback | AddressClass::Public
    );
    here && is_proxied(facts) && elsewhere && facts.pairing != Pairing::Paired
}

/// Somebody from anywhere, with nobody in between.
fn comes_directly(facts: &Facts) -> bool {
    facts.peer.class() == AddressClass::Public
        && !is_proxied(facts)
        && facts.pairing != Pairing::Paired
}

fn decisions(policy: &Policy, world: &[Facts]) -> Vec<Decision> {
    let decide = |facts| decide(policy.program(), facts);
    world.iter().map(decide).collect()
}

/// Where the clauses begin by which a proxy's clients come in, and nobody from elsewhere does.
fn searched(policy: &Policy, world: &[Facts]) -> Vec<u32> {
    let decided = decisions(policy, world);
    let admitting = |comes: fn(&Facts) -> bool| {
        let all = world.iter().zip(&decided);
        let in_by = all.filter(move |(facts, it)| comes(facts) && it.verdict.admits());
        in_by.map(|(_, it)| it.by).collect::<Vec<_>>()
    };
    let direct = admitting(comes_directly);
    let found = admitting(comes_by_proxy).into_iter();
    let found = found.filter(|by| !direct.contains(by));
    let mut found: Vec<u32> = found.map(|by| policy.clause(by).span.start).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn reported(policy: &Policy) -> Vec<Diagnostic> {
    let mut found = lint(policy, Search::usual(1_000_000));
    found.retain(|it| it.code == Code::ProxiedLoopback);
    found
}

fn starts(found: &[Diagnostic]) -> Vec<u32> {
    let spans = found.iter().filter_map(Diagnostic::span);
    spans.map(|span| span.start).collect()
}

fn agree(clauses: &[&str], world: &[Facts]) -> Result<(), String> {
    let text = small::policy(clauses);
    let policy = Policy::parse("small.policy", &text).unwrap();
    let (found, searched) = (reported(&policy), searched(&policy, world));
    if starts(&found) != searched {
        return Err(format!("{text}{:?} for {searched:?}\n", starts(&found)));
    }
    for found in found {
        let wrong = |what: &str| Err(format!("{text}{what}: {:?}\n", found.help));
        let [fix] = found.fixes.as_slice() else {
            return wrong("no remedy");
        };
        let edits: Vec<&Edit> = fix.edits.iter().collect();
        let mended = Edited::new(&text, &edits).unwrap().text;
        let mended = Policy::parse("small.policy", &mended).unwrap();
        let start = found.span().unwrap().start;
        if starts(&reported(&mended)).contains(&start) {
            return wrong("still found");
        }
        let pairs = decisions(&policy, world)
            .into_iter()
            .zip(decisions(&mended, world));
        let mut pairs = world.iter().zip(pairs);
        let asks_for_proxies = fix.says.contains("pairing=paired");
        let differs = |(facts, (before, now)): (&Facts, (Decision, Decision))| {
            let keeps = match asks_for_proxies {
                true => facts.pairing == Pairing::Paired,
                false => !is_proxied(facts),
            };
            keeps && before.verdict != now.verdict
        };
        if pairs.any(differs) {
            return wrong("keeps others out");
        }
        let admitted = decisions(&mended, world).into_iter();
        let mut admitted = admitted.filter(|it| it.verdict.admits());
        if !admitted.any(|it| mended.clause(it.by).span.start == start) {
            return wrong("lets nobody in");
        }
    }
    Ok(())
}

fn rules() -> Vec<String> {
    let mut rules = Vec::new();
    for place in PLACES {
        for (at, asked) in ASKED.iter().enumerate() {
            for also in ASKED.iter().skip(at + 1) {
                let asked = asked.replace("tls or not tls", "(tls or not tls)");
                rules.push(format!(
                    "auth=token and {place} and {asked} and {also} → approve"
                ));
            }
        }
    }
    rules
}

#[test]
fn whoever_comes_through_a_proxy_on_this_host_is_found_and_kept_out() {
    let (world, rules) = (world(), rules());
    let guards = GUARDS.map(str::to_owned);
    for places in [
        &[&*rules][..],
        &[&guards, &rules],
        &[&rules, &rules],
        &[&guards, &rules, &rules],
    ] {
        let all = places.iter().map(|place| place.len()).product();
        each("policies", share(all, 80), |number| {
            agree(&small::chosen(places, number), &world)
        });
    }
}
