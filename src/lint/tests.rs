//! What is found. That it is all there is to find of rules, guards and conditions that change nothing
//! is held against a search in `tests/oracle`; here it is of those who come in.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::{LINTS, Search, View, lint};
use crate::analysis::{Analysed, Budget};
use crate::decide::decide;
use crate::decide::tests::walk::Walk;
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::assumptions::broken;
use crate::facts::{
    AddressClass, AttributeId, Auth, Facts, HostClass, Ingress, Kind, OriginClass, Pairing,
    PeerUid, Transport,
};
use crate::policy::Policy;

/// What rules ask for that let in whom they should not.
const CONDITIONS: [&str; 15] = [
    "auth in { none, open }",
    "auth=token",
    "client=cli",
    "loopback",
    "no-origin",
    "not forwarded",
    "not proxy-trace",
    "not same-host",
    "origin!=opaque",
    "origin=opaque",
    "origin-allowed",
    "pairing=paired",
    "peer in { private, public }",
    "same-origin",
    "tls",
];

const VERDICTS: [&str; 4] = [
    "approve",
    "silent-approve",
    "require-pairing",
    "approve(scopes=none)",
];

/// What is found of those who come in.
const TRUST: [Code; 7] = [
    Code::BrowserCanReach,
    Code::OpaqueOrigin,
    Code::OpenDoor,
    Code::ProxiedLoopback,
    Code::Rebinding,
    Code::TrustOnClaims,
    Code::UnverifiedAdmin,
];

/// Nobody who proved anything, from another host and by no way around.
fn is_stranger(facts: &Facts) -> bool {
    facts.transport == Transport::Tcp
        && !(facts.same_host || facts.peer_is_own || facts.peer_is_proxy || facts.proxy_trace)
        && facts.peer_uid == PeerUid::Unknown
        && facts.ingress == Ingress::Direct
        && matches!(facts.auth, Auth::None | Auth::Open)
        && is_unknown(facts)
}

/// Who was never approved.
fn is_unknown(facts: &Facts) -> bool {
    matches!(
        facts.pairing,
        Pairing::None | Pairing::Unpaired | Pairing::KeyChanged
    )
}

/// A page from somewhere else, in a browser near the gateway.
fn is_page(facts: &Facts) -> bool {
    let near = matches!(
        facts.peer.class(),
        AddressClass::Loopback
            | AddressClass::Private
            | AddressClass::LinkLocal
            | AddressClass::Cgnat
    );
    let named = matches!(
        facts.origin.class(),
        OriginClass::Opaque
            | OriginClass::Private
            | OriginClass::Mdns
            | OriginClass::Tailnet
            | OriginClass::Public
            | OriginClass::Name
    );
    facts.transport == Transport::Tcp
        && near
        && named
        && facts.host.class() != HostClass::Absent
        && !(facts.same_origin || facts.origin_allowed || facts.node_network)
        && matches!(
            facts.auth,
            Auth::None | Auth::Failed | Auth::Open | Auth::Tailscale | Auth::TrustedProxy
        )
        && is_unknown(facts)
}

fn rule() -> impl Strategy<Value = String> {
    let conditions = proptest::sample::subsequence(CONDITIONS.to_vec(), 1..=3);
    let verdict = proptest::sample::select(VERDICTS.to_vec());
    (conditions, verdict).prop_map(|(all, verdict)| format!("{} → {verdict}", all.join(" and ")))
}

/// The facts of the command that shows what was found, as a test says them.
fn shown(found: &Diagnostic) -> String {
    let help = found.help.iter().find(|help| help.contains("gw explain"));
    let facts = help.unwrap().split(" --fact ").skip(1);
    let said = facts.map(|fact| {
        let fact = fact.trim_matches('\'');
        let Some((name, value)) = fact.split_once('=') else {
            return fact.to_owned();
        };
        let kind = AttributeId::named(name).unwrap().row().kind;
        let is_text = matches!(kind, Kind::Header { .. } | Kind::Text { .. });
        match is_text && kind.code(value).is_none() {
            true => format!("{name}=\"{value}\""),
            false => fact.to_owned(),
        }
    });
    said.collect::<Vec<_>>().join(" and ")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        rng_seed: RngSeed::Fixed(15),
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    })]

    /// Who comes in of those who should not is told of the rule that lets them in, and whom it tells
    /// of does come in.
    #[test]
    fn who_comes_in_is_found(rules in proptest::collection::vec(rule(), 1..=3), seed in any::<u8>()) {
        let text = format!("gw-policy 1\n{}\ndefault → require-pairing\n", rules.join("\n"));
        let policy = Policy::parse("small.policy", &text).unwrap();
        let found = lint(&policy, Search::usual(1_000_000));
        let found: Vec<_> = found.iter().filter(|it| TRUST.contains(&it.code)).collect();
        for facts in Walk::new(Facts::default(), seed).take(2_000) {
            if broken(&facts).next().is_some() || !(is_stranger(&facts) || is_page(&facts)) {
                continue;
            }
            let decision = decide(policy.program(), &facts);
            let span = policy.clause(decision.by).span;
            let is_told = found.iter().any(|it| {
                it.span().is_some_and(|it| (span.start..span.end).contains(&it.start))
            });
            prop_assert!(is_told || !decision.verdict.admits(), "{}{:#?}", text, facts);
        }
        for found in found {
            let facts = shown(found);
            let seen = match facts.is_empty() {
                true => "test \"seen\": not tls → admit\n".to_owned(),
                false => format!("test \"seen\": {facts} → admit\n"),
            };
            let tested = Policy::parse("small.policy", &format!("{text}{seen}"));
            prop_assert!(tested.is_ok(), "{}{}{:?}", text, seen, tested.err());
        }
    }
}

/// Where a comment stands is told by its own bytes, however lines end.
#[test]
fn what_allows_nothing_is_shown_where_it_stands() {
    for newline in ["\n", "\r\n"] {
        let text = [
            "gw-policy 1",
            "# a line before it",
            "# allow(idle-guard): nothing is idle",
            "default → reject(not-permitted)",
        ]
        .join(newline);
        let Ok(policy) = Policy::parse("small.policy", &text) else {
            panic!("{newline:?} ends a line");
        };
        let found = lint(&policy, Search::usual(1_000_000));
        let [stale] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(stale.code, Code::StaleSuppression);
        let shown = policy.sources().slice(stale.span().unwrap());
        assert_eq!(shown, "# allow(idle-guard): nothing is idle");
    }
}

/// What two guards come to where a third one always holds beside them is only asked about when that
/// one is left out.
#[test]
fn a_guard_is_not_idle_for_what_others_never_come_to_beside_it() {
    let text = "gw-policy 1\n\
        guard client=cli and tls → cap(scopes={ operator.read, operator.write })\n\
        guard client=cli → cap(scopes={ operator.write, operator.pairing })\n\
        guard client=cli and loopback → cap(scopes={ operator.read, operator.pairing })\n\
        client=cli and tls and loopback → approve\n\
        default → reject(not-permitted)\n";
    let policy = Policy::parse("small.policy", text).unwrap();
    let found = lint(&policy, Search::usual(1_000_000));
    assert!(
        found.iter().all(|it| it.code != Code::IdleGuard),
        "{found:?}"
    );
}

/// A policy of so many rules, each with values of its own.
fn of_many(rule: fn(usize) -> String, rules: usize) -> Policy {
    let rules: Vec<String> = (1..=rules).map(rule).collect();
    let text = format!(
        "gw-policy 1\n{}\ndefault → reject(not-permitted)\n",
        rules.join("\n")
    );
    Policy::parse("many.policy", &text).unwrap()
}

/// What it takes to look for everything in a policy.
fn taken(policy: &Policy) -> Budget {
    let budget = Budget::default();
    let analysed = Analysed::new(policy.program(), budget).unwrap();
    let mut view = View::new(policy, analysed, budget.nodes).unwrap();
    for lint in LINTS.iter().filter(|lint| !lint.is_asked_for) {
        (lint.find)(&mut view).unwrap();
    }
    view.ground.arena.taken()
}

/// Twice as many names of one attribute take about twice as much, not four times.
#[test]
fn what_is_looked_at_grows_with_what_is_named() {
    let kinds: [fn(usize) -> String; 4] = [
        |at| format!("host=\"h{at:04}.example\" and client=cli → approve"),
        |at| format!("path=\"/{at}\" and auth=token → approve"),
        |at| {
            format!(
                "peer in {{ 10.{}.{}.0/24 }} and client=cli → approve",
                at / 250,
                at % 250
            )
        },
        |at| {
            format!(
                "peer in {{ 10.{}.{}.0/24 }} and path=\"/{at}\" → approve",
                at / 250,
                at % 250
            )
        },
    ];
    for rule in kinds {
        let [none, some, twice] = [0, 200, 400].map(|rules| taken(&of_many(rule, rules)));
        let grows = |of: fn(&Budget) -> usize| {
            let [one, other] = [some, twice].map(|it| of(&it) - of(&none).min(of(&it)));
            assert!(one > 0, "{} takes nothing", rule(1));
            assert!(other * 2 <= one * 5, "{}: {one} becomes {other}", rule(1));
        };
        grows(|it| it.nodes);
        grows(|it| it.steps);
    }
}
