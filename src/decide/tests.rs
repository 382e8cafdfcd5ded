//! The compiled program decides as the naive walker does, on generated policies and facts.

pub(crate) mod walk;

use proptest::prelude::*;

use super::{Decision, decide, naive, traced};
use crate::compile::{compile, compile_within};
use crate::facts::attributes::Value;
use crate::facts::{AttributeId, Facts, Kind, Scope, ScopeSet, Stage};
use crate::lang::checked::{
    Answer, Checked, Clause, Comparison, Condition, Members, Predicate, Role,
};
use crate::source::{Span, Spanned};
use crate::verdict::{Grant, PairingReason, Reason, ScopeBound};

fn attribute() -> impl Strategy<Value = AttributeId> {
    (0..crate::facts::ATTRIBUTES.len()).prop_map(|at| AttributeId(u8::try_from(at).unwrap()))
}

fn addresses() -> impl Strategy<Value = std::net::IpAddr> {
    let known = [
        "127.0.0.1",
        "10.0.0.5",
        "172.18.0.1",
        "192.168.1.10",
        "203.0.113.9",
        "fd00::5",
        "::1",
    ];
    prop::sample::select(known.map(|text| text.parse().unwrap()).to_vec())
}

fn scopes() -> impl Strategy<Value = ScopeSet> {
    prop::sample::subsequence(Scope::ALL.to_vec(), 0..4).prop_map(|scopes| ScopeSet::of(&scopes))
}

const HOSTS: [&str; 4] = ["localhost", "gw.example.com", "10.0.0.5", "box.local"];
const ORIGINS: [&str; 3] = ["http://localhost:5173", "https://ui.example.com", "null"];
const TEXTS: [&str; 3] = ["linux", "macos 26.4.0", "/x"];

fn value(id: AttributeId) -> BoxedStrategy<Value> {
    match id.row().kind {
        Kind::Flag { .. } => any::<bool>().prop_map(Value::Flag).boxed(),
        Kind::Enum { words, .. } => prop::sample::select(words)
            .prop_map(|word| Value::Word(word.name.into()))
            .boxed(),
        Kind::Set { .. } => scopes()
            .prop_map(|set| Value::Words(set.iter().map(|scope| scope.name().into()).collect()))
            .boxed(),
        Kind::Address { .. } => prop_oneof![
            addresses().prop_map(Value::Address),
            Just(Value::Word("none".into()))
        ]
        .boxed(),
        Kind::Header { .. } => {
            let texts = if id.row().name == "host" {
                HOSTS.to_vec()
            } else {
                ORIGINS.to_vec()
            };
            prop_oneof![
                prop::sample::select(texts).prop_map(|text| Value::Text(text.into())),
                Just(Value::Word("absent".into()))
            ]
            .boxed()
        }
        Kind::Text { .. } => prop_oneof![
            prop::sample::select(TEXTS.to_vec()).prop_map(|text| Value::Text(text.into())),
            Just(Value::Word("absent".into()))
        ]
        .boxed(),
    }
}

/// Any facts at all, also such that no connection has: deciding is total.
pub(crate) fn facts() -> impl Strategy<Value = Facts> {
    let values: Vec<BoxedStrategy<Option<Value>>> = AttributeId::all()
        .map(|id| prop::option::of(value(id)).boxed())
        .collect();
    values.prop_map(|values| {
        let mut facts = Facts::default();
        for (id, value) in AttributeId::all().zip(values) {
            if let Some(value) = value {
                id.assign(&mut facts, &value).unwrap();
            }
        }
        facts
    })
}

/// What whole kinds of addresses are, one stretch or all that there are.
const WHOLE: [&[&str]; 10] = [
    &["127.0.0.0/8"],
    &["::1/128"],
    &["127.0.0.0/8", "::1/128"],
    &["10.0.0.0/8"],
    &["172.16.0.0/12", "fc00::/7"],
    &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
    &["169.254.0.0/16", "fe80::/10"],
    &["0.0.0.0/0"],
    &["::/0"],
    &["0.0.0.0/0", "::/0"],
];

/// Fewer networks than so many, or those of whole kinds of addresses.
fn networks(bound: usize) -> BoxedStrategy<Vec<ipnet::IpNet>> {
    let some = (addresses(), 0u8..=32)
        .prop_map(|(ip, length)| ipnet::IpNet::new(ip, length).unwrap().trunc());
    let some = prop::collection::vec(some, 0..bound);
    let whole = prop::sample::select(WHOLE.to_vec()).prop_map(|texts| {
        let networks = texts.iter().map(|text| text.parse().unwrap());
        networks.collect()
    });
    match bound {
        0 | 1 => some.boxed(),
        _ => prop_oneof![3 => some, 1 => whole].boxed(),
    }
}

fn comparison() -> impl Strategy<Value = Condition> {
    attribute().prop_flat_map(|attribute| {
        let predicate = match attribute.row().kind {
            Kind::Flag { .. } => Just(Predicate::Holds).boxed(),
            Kind::Set { .. } => prop_oneof![
                scopes().prop_map(Predicate::Includes),
                scopes().prop_map(Predicate::Within),
                scopes().prop_map(Predicate::Equals),
            ]
            .boxed(),
            kind => {
                let width = u32::try_from(kind.words().len()).unwrap();
                let codes = any::<u64>().prop_map(move |codes| codes & ((1u64 << width) - 1));
                let ip = matches!(kind, Kind::Address { .. } | Kind::Header { .. });
                let networks = networks(if ip { 3 } else { 1 });
                let text = matches!(kind, Kind::Text { .. } | Kind::Header { .. });
                let all: Vec<&str> = HOSTS.into_iter().chain(ORIGINS).chain(TEXTS).collect();
                let texts = prop::sample::subsequence(all, 0..if text { 3 } else { 1 });
                (codes, networks, texts)
                    .prop_map(|(codes, networks, texts)| {
                        let texts = texts.into_iter().map(Into::into).collect();
                        Predicate::Among(Members {
                            codes,
                            networks,
                            texts,
                        })
                    })
                    .boxed()
            }
        };
        predicate.prop_map(move |predicate| {
            Condition::Test(Comparison {
                attribute,
                predicate,
                span: Span::default(),
            })
        })
    })
}

pub(crate) fn condition() -> impl Strategy<Value = Condition> {
    comparison().prop_recursive(4, 24, 4, |inner| {
        let parts = prop::collection::vec(
            inner
                .clone()
                .prop_map(|condition| Spanned::new(condition, Span::default())),
            0..4,
        );
        prop_oneof![
            parts.clone().prop_map(Condition::All),
            parts.prop_map(Condition::Any),
            inner.prop_map(|condition| {
                Condition::Not(Box::new(Spanned::new(condition, Span::default())))
            }),
        ]
    })
}

fn grant() -> impl Strategy<Value = Grant> {
    let bound = prop_oneof![
        Just(ScopeBound::Requested),
        Just(ScopeBound::None),
        Just(ScopeBound::Approved),
        scopes().prop_map(ScopeBound::Within)
    ];
    (bound, any::<bool>()).prop_map(|(scopes, token)| Grant {
        scopes,
        token,
        ..Grant::default()
    })
}

fn restricting() -> impl Strategy<Value = Answer> {
    prop_oneof![
        prop::sample::select(Reason::ALL).prop_map(Answer::Reject),
        Just(Answer::RejectAsFound),
        prop::option::of(prop::sample::select(PairingReason::ALL)).prop_map(Answer::RequirePairing),
    ]
}

fn rule_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        1 => restricting(),
        2 => grant().prop_map(Answer::Approve),
        2 => grant().prop_map(Answer::SilentApprove),
    ]
}

fn clause(role: Role, answer: impl Strategy<Value = Answer>) -> impl Strategy<Value = Clause> {
    (condition(), answer).prop_map(move |(condition, answer)| Clause {
        role,
        label: None,
        condition: Spanned::new(condition, Span::default()),
        answer,
        because: None,
        hint: None,
        issues: Vec::new(),
        head: Span::default(),
        span: Span::default(),
    })
}

/// A rule with a condition.
pub(crate) fn of(condition: Condition) -> Clause {
    Clause {
        role: Role::Rule,
        label: None,
        condition: Spanned::new(condition, Span::default()),
        answer: Answer::Approve(Grant::default()),
        because: None,
        hint: None,
        issues: Vec::new(),
        head: Span::default(),
        span: Span::default(),
    }
}

pub(crate) fn policy() -> impl Strategy<Value = Checked> {
    let guard_answer = prop_oneof![3 => restricting(), 1 => scopes().prop_map(Answer::Cap)];
    let guards = prop::collection::vec(clause(Role::Guard(Stage::Connect), guard_answer), 0..4);
    let rule = prop_oneof![
        4 => clause(Role::Rule, rule_answer()),
        1 => clause(Role::Trial, rule_answer())
    ];
    (
        guards,
        prop::collection::vec(rule, 0..6),
        clause(Role::Default, rule_answer()),
    )
        .prop_map(|(guards, rules, default)| Checked {
            guards,
            rules,
            default: Clause {
                condition: Spanned::new(Condition::ALWAYS, Span::default()),
                ..default
            },
            tests: Vec::new(),
            claims: Vec::new(),
            base: None,
        })
}

/// A condition that few connections fulfil, of those that [`near`] makes.
fn narrow() -> impl Strategy<Value = Condition> {
    let network = (0u8..4, 0u8..64, 20u8..=32).prop_map(|(a, b, length)| {
        let ip = std::net::Ipv4Addr::new(10, a, b, 7).into();
        ipnet::IpNet::new(ip, length).unwrap().trunc()
    });
    let test = |name: &str, members: Members| {
        Condition::Test(Comparison {
            attribute: AttributeId::named(name).unwrap(),
            predicate: Predicate::Among(members),
            span: Span::default(),
        })
    };
    // Now and then a whole kind beside it.
    let codes = prop_oneof![4 => Just(0u64), 1 => 0u64..64];
    let peer =
        (prop::collection::vec(network, 1..3), codes.clone()).prop_map(move |(networks, codes)| {
            test(
                "peer",
                Members {
                    codes,
                    networks,
                    texts: Vec::new(),
                },
            )
        });
    let path = (
        prop::collection::vec(0u8..90, 1..3),
        prop::bool::weighted(0.1),
    )
        .prop_map(move |(names, absent)| {
            let texts = names.iter().map(|name| format!("/{name}").into()).collect();
            test(
                "path",
                Members {
                    codes: u64::from(absent),
                    networks: Vec::new(),
                    texts,
                },
            )
        });
    let host = (0u8..90, codes).prop_map(move |(name, codes)| {
        let texts = vec![format!("h{name}.example").into()];
        test(
            "host",
            Members {
                codes,
                networks: Vec::new(),
                texts,
            },
        )
    });
    // A network and a part of it, a host and its kind: asked for together, in any way.
    let parts = (0u8..4, 0u8..64, 0u64..64).prop_map(move |(a, b, codes)| {
        let networks = |ip: [u8; 4], length| {
            let whole = ipnet::IpNet::new(ip.into(), length).unwrap();
            Members {
                codes: 0,
                networks: vec![whole.trunc()],
                texts: Vec::new(),
            }
        };
        let host = |codes, texts| Members {
            codes,
            networks: Vec::new(),
            texts,
        };
        match b % 3 {
            0 => [
                test("host", host(codes, Vec::new())),
                test("host", host(0, vec![format!("h{b}.example").into()])),
            ],
            _ => [
                test("peer", networks([10, a, 0, 0], 12)),
                test("peer", networks([10, a, b, 0], 24)),
            ],
        }
    });
    let signs = prop::array::uniform3(any::<bool>());
    let joined = (parts, signs).prop_map(|(parts, [all, one, other])| {
        let [first, second] = parts;
        let both = vec![signed(first, one), signed(second, other)];
        let both = both
            .into_iter()
            .map(|it| Spanned::new(it, Span::default()))
            .collect();
        match all {
            true => Condition::All(both),
            false => Condition::Any(both),
        }
    });
    let one = prop_oneof![3 => peer, 1 => path, 1 => host, 2 => joined];
    (one, prop::bool::weighted(0.1)).prop_map(|(condition, is_not)| signed(condition, !is_not))
}

fn signed(condition: Condition, holds: bool) -> Condition {
    match holds {
        true => condition,
        false => Condition::Not(Box::new(Spanned::new(condition, Span::default()))),
    }
}

/// Many clauses, mostly more than stand in a word, most of them about a network, a path or a host.
fn many() -> impl Strategy<Value = Checked> {
    let parts = (
        prop::collection::vec(narrow(), 1..3),
        prop::option::weighted(0.3, condition()),
    );
    let condition = parts.prop_map(|(narrow, more)| {
        let all = narrow.into_iter().chain(more);
        Condition::All(all.map(|it| Spanned::new(it, Span::default())).collect())
    });
    let rules = prop::collection::vec((condition, clause(Role::Rule, rule_answer())), 20..400);
    (policy(), rules).prop_map(|(policy, rules)| {
        let rules = rules.into_iter().map(|(condition, clause)| Clause {
            condition: Spanned::new(condition, Span::default()),
            ..clause
        });
        Checked {
            rules: rules.chain(policy.rules.clone()).collect(),
            ..policy
        }
    })
}

/// Connections of the addresses, paths and hosts that [`narrow`] names, and of others.
fn near() -> impl Strategy<Value = Facts> {
    let ip = (0u8..5, 0u8..70, any::<u8>());
    (
        facts(),
        prop::option::of(ip),
        prop::option::of(0u8..100),
        prop::option::of(0u8..100),
    )
        .prop_map(|(mut facts, ip, path, host)| {
            if let Some((a, b, c)) = ip {
                facts.peer = crate::facts::Address::new([10, a, b, c].into());
            }
            if let Some(path) = path {
                facts.path = format!("/{path}").into();
            }
            if let Some(host) = host {
                facts.host = crate::facts::Host::from_header(&format!("h{host}.example"));
            }
            facts
        })
}

/// What a condition says of two networks, one in the other, or of a host and its kind is found out
/// at the bounds of both, in whatever order it asks for them.
#[test]
fn a_part_of_a_network_is_told_from_the_rest() {
    let mut others = String::new();
    for at in 0..40 {
        others += &format!(
            "peer=198.18.{at}.0/25 and client=cli → reject(not-permitted)\n\
             host=\"o{at}.example\" and client=cli → reject(not-permitted)\n"
        );
    }
    for condition in [
        "not (peer=10.0.0.0/8 and not peer=10.66.0.0/16)",
        "(peer!=10.0.0.0/8 or peer=10.66.0.0/16)",
        "(peer=10.66.0.0/16 or not peer=10.0.0.0/8)",
        "(peer=10.0.0.0/8 and not peer=10.66.0.0/16)",
        "(host!=\"h3.example\" or host=loopback)",
        "not (host=\"h3.example\" and host!=loopback)",
    ] {
        let text =
            format!("gw-policy 1\n{others}{condition} → approve\ndefault → require-pairing\n");
        let policy = crate::Policy::parse("parts.policy", &text).unwrap();
        for peer in [
            "10.0.0.1",
            "10.66.0.5",
            "10.67.0.1",
            "10.255.0.1",
            "9.1.1.1",
            "11.0.0.1",
        ] {
            for host in ["h3.example", "h4.example", "localhost"] {
                let facts = Facts {
                    peer: crate::facts::Address::new(peer.parse().unwrap()),
                    host: crate::facts::Host::from_header(host),
                    ..Facts::default()
                };
                let decision = decide(policy.program(), &facts);
                let watched = traced(policy.program(), &facts).0;
                assert_eq!(decision, watched, "{condition}: {peer}, {host}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_program_of_many_rules_decides_as_the_walker(policy in many(), facts in prop::collection::vec(near(), 60)) {
        // Found by lists, or by trees where there is no room for these.
        let programs = [compile(&policy), compile_within(&policy, 0)];
        for facts in facts {
            for program in &programs {
                let decision = decide(program, &facts);
                prop_assert_eq!(decision.verdict, naive::verdict(&policy, &facts));
                prop_assert_eq!(decision, traced(program, &facts).0, "watching changed it");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_program_decides_as_the_walker(policy in policy(), facts in prop::collection::vec(facts(), 8)) {
        let program = compile(&policy);
        for facts in facts {
            let decision = decide(&program, &facts);
            prop_assert_eq!(decision.verdict, naive::verdict(&policy, &facts));
            let (again, trace) = traced(&program, &facts);
            prop_assert_eq!(decision, again, "watching changed it");
            prop_assert!(trace.matched(decision.rule) && trace.matched(decision.by));
        }
    }

    /// Adding a guard admits nobody who was not, and no order of guards changes who is admitted.
    #[test]
    fn guards_only_restrict_and_commute(policy in policy(), facts in facts(), guard in clause(Role::Guard(Stage::Connect), restricting())) {
        let plain = decide(&compile(&policy), &facts).verdict;
        let mut more = policy.clone();
        more.guards.insert(0, guard);
        let guarded = decide(&compile(&more), &facts).verdict;
        prop_assert!(guarded.kind() <= plain.kind(), "{} became {}", plain, guarded);
        more.guards.reverse();
        let reversed = decide(&compile(&more), &facts).verdict;
        prop_assert_eq!(guarded.admits(), reversed.admits());
        prop_assert_eq!(guarded.grant(), reversed.grant());
    }

    /// A trial never changes the result.
    #[test]
    fn trials_change_nothing(policy in policy(), facts in facts()) {
        let mut without = policy.clone();
        without.rules.retain(|rule| rule.role == Role::Rule);
        let Decision { verdict, .. } = decide(&compile(&policy), &facts);
        prop_assert_eq!(verdict, decide(&compile(&without), &facts).verdict);
    }

    /// A term in which no fact stands twice turns on a fact exactly where another answer to that
    /// alone is another answer to the whole.
    /// The two built-in claims hold for every policy.
    #[test]
    fn what_failed_is_never_admitted(policy in policy(), facts in facts()) {
        let decision = decide(&compile(&policy), &facts);
        if Reason::barred(&facts).is_some() {
            prop_assert!(!decision.verdict.admits());
        }
    }
}
