//! What small policies answer otherwise, against asking both about every connection.

use crate::analysis::diagram::Budget;
use crate::analysis::difference::{Both, Side};
use crate::decide::decide;
use crate::facts::{Facts, ScopeSet};
use crate::policy::Policy;
use crate::small;
use crate::verdict::Verdict;

/// Whether a verdict admits more than another one, or with more.
fn is_wider(than: Verdict, verdict: Verdict) -> bool {
    let cap = |verdict: Verdict| verdict.grant().map(|grant| grant.cap);
    let adds = match (cap(than), cap(verdict)) {
        (Some(ScopeSet::ANY), Some(_)) => false,
        (Some(_), Some(ScopeSet::ANY)) => true,
        (Some(before), Some(after)) => after.iter().any(|scope| !before.contains(scope)),
        (_, _) => false,
    };
    verdict.kind() > than.kind() || adds
}

fn are_exact(texts: [&str; 2], world: &[Facts]) {
    let policies = texts.map(|text| Policy::parse("small.policy", text).unwrap());
    let [old, new] = policies.each_ref().map(|policy| Side {
        program: policy.program(),
        checked: policy.checked(),
        vocabulary: policy.vocabulary(),
    });
    let shown = texts.join("\n");
    let both = Both::new(old, new, Budget::default()).unwrap();
    let mut found = both.difference().unwrap();
    let verdicts = |facts: &Facts| [old, new].map(|side| decide(side.program, facts).verdict);
    let transitions = found.transitions.clone();
    let mut told = Vec::new();
    for transition in &transitions {
        let (parts, is_cut) = found.parts(transition, 64).unwrap();
        assert!(!is_cut, "{shown}");
        for part in &parts {
            // What is shown really flips.
            let [from, to] = verdicts(&part.region.example);
            let says = transition.from.contains(&from) && transition.to.contains(&to);
            assert!(from != to && says, "{shown}{:#?}", part.region);
            assert_eq!(transition.direction.wider, is_wider(from, to), "{shown}");
            assert_eq!(transition.direction.narrower, is_wider(to, from), "{shown}");
        }
        told.push((transition, parts));
    }
    let mut wider = [false, false];
    for facts in world {
        let [from, to] = verdicts(facts);
        wider[0] |= is_wider(from, to);
        wider[1] |= is_wider(to, from);
        let mut holding = told.iter().filter(|(it, _)| found.holds(it.held, facts));
        let of_it = holding.next();
        assert_eq!(of_it.is_some(), from != to, "{shown}{facts:#?}");
        assert!(holding.next().is_none(), "{shown}{facts:#?}");
        for (transition, parts) in &told {
            let is_held = found.holds(transition.held, facts);
            let is_said = parts
                .iter()
                .any(|part| found.holds(part.region.held, facts));
            assert_eq!(is_held, is_said, "{shown}{facts:#?}");
            let says = transition.from.contains(&from) && transition.to.contains(&to);
            assert!(says || !is_held, "{shown}{facts:#?}");
        }
    }
    let direction = found.direction();
    assert_eq!([direction.wider, direction.narrower], wider, "{shown}");
}

#[test]
fn of_small_policies_is_all_that_differs() {
    let world = small::world();
    let (guards, rules) = (small::guards(), small::rules());
    let places: [&[&[String]]; 3] = [
        &[&rules, &rules],
        &[&guards, &rules, &rules],
        &[&guards, &guards, &rules, &rules],
    ];
    for places in places {
        let all: usize = places.iter().map(|place| place.len()).product();
        for number in (0..all).step_by(all / 7) {
            let own = small::chosen(places, number);
            // The same without its first clause, the other way round, and something else.
            let mut turned = own.clone();
            turned.reverse();
            let other = small::chosen(places, number * 31 % all);
            for other in [&own[1..], &turned, &other] {
                let texts = [small::policy(&own), small::policy(other)];
                are_exact([&texts[0], &texts[1]], &world);
            }
        }
    }
}

/// Whoever is let in under another cap is shown asking for what only one of both caps leaves.
#[test]
fn another_cap_is_shown_by_what_is_asked_for() {
    let text = "gw-policy 1
guard [few] peer=private → cap(scopes={ operator.read, operator.write })
[known] pairing=paired → approve
default → require-pairing because \"ask\"
";
    let without = text.replace("guard [few] peer=private", "guard [few] peer=198.51.100.7");
    let policies = [text, &without].map(|text| Policy::parse("small.policy", text).unwrap());
    let [old, new] = policies.each_ref().map(Policy::side);
    let both = Both::new(old, new, Budget::default()).unwrap();
    let mut difference = both.difference().unwrap();
    let mut seen = 0;
    for transition in difference.transitions.clone() {
        let (parts, _) = difference.parts(&transition, 3).unwrap();
        for part in parts {
            let facts = &part.region.example;
            let granted = policies.each_ref().map(|policy| {
                let grant = decide(policy.program(), facts).verdict.grant().unwrap();
                grant.cap.intersection(facts.scopes)
            });
            assert_ne!(granted[0], granted[1], "{facts:#?}");
            let told = difference.told(&part);
            assert!(told.contains("--fact 'scopes={ operator.admin"), "{told}");
            seen += 1;
        }
    }
    assert_eq!(seen, 2);
}
