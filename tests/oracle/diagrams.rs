//! The same questions answered by a library of binary decision diagrams: every attribute as bits,
//! every assumption as the facts that keep it, every policy as written here.

use std::sync::OnceLock;

use biodivine_lib_bdd::{Bdd, BddVariable, BddVariableSet};
use gw::diagnostic::Code;
use gw::facts::assumptions::ASSUMPTIONS;
use gw::facts::attributes::Value;
use gw::facts::{AttributeId, Facts, Kind};
use gw::lint::{Search, lint};
use gw::policy::Policy;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::values::values;

/// Every attribute as bits that count its values.
struct Bits {
    variables: BddVariableSet,
    of: Vec<Vec<BddVariable>>,
    /// What a connection can be.
    possible: Bdd,
}

fn place(id: AttributeId) -> usize {
    usize::from(id.0)
}

impl Bits {
    fn get() -> &'static Bits {
        static BITS: OnceLock<Bits> = OnceLock::new();
        BITS.get_or_init(Bits::new)
    }

    fn new() -> Bits {
        let width = |id: AttributeId| values(id).len().next_power_of_two().trailing_zeros();
        let count: u32 = AttributeId::all().map(width).sum();
        let variables = BddVariableSet::new_anonymous(u16::try_from(count).unwrap());
        let mut rest = variables.variables().into_iter();
        let own = |id| rest.by_ref().take(width(id) as usize).collect();
        let of: Vec<Vec<BddVariable>> = AttributeId::all().map(own).collect();
        let mut bits = Bits {
            possible: variables.mk_true(),
            variables,
            of,
        };
        let counted = AttributeId::all()
            .map(|id| bits.any(id, &|_| true))
            .collect::<Vec<_>>();
        let kept = ASSUMPTIONS.iter().map(|assumption| {
            let about = assumption
                .about
                .iter()
                .map(|name| AttributeId::named(name).unwrap());
            bits.kept(
                assumption.holds,
                &about.collect::<Vec<_>>(),
                Facts::default(),
            )
        });
        let possible = counted.iter().cloned().chain(kept.collect::<Vec<_>>());
        bits.possible = possible.fold(bits.variables.mk_true(), |all, one| all.and(&one));
        bits
    }

    /// That an attribute has the value at a place.
    fn is(&self, id: AttributeId, at: usize) -> Bdd {
        let bits = self.of[place(id)].iter().enumerate();
        let literal = |(bit, variable): (usize, &BddVariable)| {
            self.variables.mk_literal(*variable, at >> bit & 1 == 1)
        };
        bits.map(literal)
            .fold(self.variables.mk_true(), |all, one| all.and(&one))
    }

    /// That it has one of some values.
    fn any(&self, id: AttributeId, wanted: &dyn Fn(&Value) -> bool) -> Bdd {
        let all = values(id).into_iter().enumerate();
        all.filter(|(_, value)| wanted(value))
            .fold(self.variables.mk_false(), |any, (at, _)| {
                any.or(&self.is(id, at))
            })
    }

    /// The values of some attributes together that keep an assumption.
    fn kept(&self, holds: fn(&Facts) -> bool, about: &[AttributeId], facts: Facts) -> Bdd {
        let Some((id, others)) = about.split_first() else {
            return match holds(&facts) {
                true => self.variables.mk_true(),
                false => self.variables.mk_false(),
            };
        };
        let mut all = self.variables.mk_false();
        for (at, value) in values(*id).iter().enumerate() {
            let mut facts = facts.clone();
            id.assign(&mut facts, value).unwrap();
            all = all.or(&self.is(*id, at).and(&self.kept(holds, others, facts)));
        }
        all
    }

    fn word(&self, name: &str, words: &[&str]) -> Bdd {
        let id = AttributeId::named(name).unwrap();
        self.any(
            id,
            &|value| matches!(value, Value::Word(word) if words.contains(&word.as_str())),
        )
    }

    fn flag(&self, name: &str) -> Bdd {
        let id = AttributeId::named(name).unwrap();
        self.any(id, &|value| *value == Value::Flag(true))
    }
}

/// An attribute compared with one of its values.
#[derive(Clone, Debug)]
struct Literal {
    id: AttributeId,
    value: usize,
    denied: bool,
}

impl Literal {
    fn text(&self) -> String {
        let name = self.id.row().name;
        match &values(self.id)[self.value] {
            Value::Flag(_) if self.denied => format!("not {name}"),
            Value::Flag(_) => name.to_owned(),
            Value::Word(word) if self.denied => format!("{name}!={word}"),
            Value::Word(word) => format!("{name}={word}"),
            Value::Words(scopes) => {
                let text = format!("{name}={{ {} }}", scopes.join(", "));
                match self.denied {
                    true => format!("not ({})", text.replace("{  }", "{}")),
                    false => text.replace("{  }", "{}"),
                }
            }
            Value::Text(_) | Value::Address(_) => unreachable!("not asked for"),
        }
    }

    fn holds(&self, bits: &Bits) -> Bdd {
        let holds = match values(self.id)[self.value] {
            Value::Flag(_) => bits.any(self.id, &|value| *value == Value::Flag(true)),
            Value::Word(_) | Value::Text(_) | Value::Address(_) | Value::Words(_) => {
                bits.is(self.id, self.value)
            }
        };
        match self.denied {
            true => holds.not(),
            false => holds,
        }
    }
}

/// A clause, by the place of its answer.
#[derive(Clone, Debug)]
struct Clause {
    literals: Vec<Literal>,
    is_any: bool,
    answer: usize,
}

const ANSWERS: [&str; 4] = [
    "reject(not-permitted)",
    "require-pairing",
    "approve",
    "silent-approve",
];

impl Clause {
    fn text(&self) -> String {
        let literals: Vec<String> = self.literals.iter().map(Literal::text).collect();
        let join = if self.is_any { " or " } else { " and " };
        format!("{} → {}", literals.join(join), ANSWERS[self.answer])
    }

    fn holds(&self, bits: &Bits) -> Bdd {
        let all = self.literals.iter().map(|literal| literal.holds(bits));
        match self.is_any {
            true => all.fold(bits.variables.mk_false(), |any, one| any.or(&one)),
            false => all.fold(bits.variables.mk_true(), |all, one| all.and(&one)),
        }
    }
}

fn text(guards: &[Clause], rules: &[Clause]) -> String {
    let guards = guards
        .iter()
        .map(|guard| format!("guard {}\n", guard.text()));
    let rules = rules.iter().map(|rule| format!("{}\n", rule.text()));
    let all: String = guards.chain(rules).collect();
    format!("gw-policy 1\n{all}default → require-pairing\n")
}

/// Who is answered what, of those that can be; in the order of the answers, then those that a law
/// refuses for what they proved, and those that have no device to wait with.
fn answered(bits: &Bits, guards: &[Clause], rules: &[Clause]) -> Vec<Bdd> {
    let nobody = bits.variables.mk_false();
    let mut answered = vec![nobody.clone(); ANSWERS.len()];
    let mut rest = bits.possible.clone();
    for rule in rules {
        let holds = rule.holds(bits);
        answered[rule.answer] = answered[rule.answer].or(&rest.and(&holds));
        rest = rest.and_not(&holds);
    }
    answered[1] = answered[1].or(&rest);
    // The strictest first: what it refuses is not asked about.
    for answer in [0, 1] {
        let guards = guards.iter().filter(|guard| guard.answer == answer);
        let held = guards.fold(nobody.clone(), |any, guard| any.or(&guard.holds(bits)));
        for wider in answer + 1..ANSWERS.len() {
            answered[answer] = answered[answer].or(&answered[wider].and(&held));
            answered[wider] = answered[wider].and_not(&held);
        }
    }
    let absent = bits.word("device", &["absent"]);
    let barred = absent.or(&bits.word("device", &["proven"])).not();
    let barred = barred.or(&bits.word("auth", &["failed"]));
    let mut refused = nobody;
    for answer in answered.iter_mut().skip(1) {
        refused = refused.or(&answer.and(&barred));
        *answer = answer.and_not(&barred);
    }
    let homeless = answered[1].and(&absent);
    answered[1] = answered[1].and_not(&absent);
    answered[2] = answered[2].or(&answered[3].and(&absent));
    answered[3] = answered[3].and_not(&absent);
    let waits = bits.word("pending", &["asked", "wider", "silent-wider"]);
    let asked = bits.flag("outside-role").or(&waits);
    let asked = asked.and_not(&bits.word("pairing", &["paired"]));
    answered[1] = answered[1].or(&answered[3].and(&asked));
    answered[3] = answered[3].and_not(&asked);
    answered.extend([refused, homeless]);
    answered
}

fn literal() -> impl Strategy<Value = Literal> {
    // What policies ask for most is crossed most.
    const OFTEN: [&str; 6] = ["auth", "device", "pairing", "ingress", "forwarded", "peer"];
    let often = OFTEN.map(|name| AttributeId::named(name).unwrap()).to_vec();
    let is_asked = |id: &AttributeId| !matches!(id.row().kind, Kind::Text { .. });
    let all: Vec<AttributeId> = AttributeId::all().filter(is_asked).collect();
    let id = prop_oneof![
        proptest::sample::select(often),
        proptest::sample::select(all)
    ];
    (id, any::<proptest::sample::Index>(), any::<bool>()).prop_map(|(id, value, denied)| Literal {
        id,
        value: value.index(values(id).len()),
        denied,
    })
}

fn clause(answers: std::ops::Range<usize>) -> impl Strategy<Value = Clause> {
    let literals = proptest::collection::vec(literal(), 1..=3);
    (literals, any::<bool>(), answers).prop_map(|(literals, is_any, answer)| Clause {
        literals,
        is_any,
        answer,
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: crate::share::cases(16),
        rng_seed: RngSeed::Fixed(3),
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    })]

    /// Two policies have one fingerprint exactly where the library finds no difference.
    #[test]
    fn find_the_same_policies_equal(
        guards in proptest::collection::vec(clause(0..2), 0..=2),
        rules in proptest::collection::vec(clause(0..4), 1..=4),
        other in clause(0..4),
        place in any::<proptest::sample::Index>(),
    ) {
        let bits = Bits::get();
        let place = place.index(rules.len());
        let mut others = vec![rules.clone(); 3];
        others[0][place] = other;
        others[1].remove(place);
        others[2].swap(place, 0);
        let print = |rules: &[Clause]| {
            let policy = Policy::parse("one.policy", &text(&guards, rules)).unwrap();
            policy.fingerprint().map(str::to_owned)
        };
        let own = print(&rules);
        prop_assume!(own.is_some());
        let decided = answered(bits, &guards, &rules);
        for others in others {
            let alike = decided == answered(bits, &guards, &others);
            prop_assert_eq!(own == print(&others), alike, "{}{}", text(&guards, &rules), text(&guards, &others));
        }
    }

    /// A rule is reported as deciding nothing exactly where the library finds nobody for it.
    #[test]
    fn find_the_same_rules_shadowed(rules in proptest::collection::vec(clause(0..4), 2..=6)) {
        let bits = Bits::get();
        let text = text(&[], &rules);
        let policy = Policy::parse("one.policy", &text).unwrap();
        let dead = [Code::Contradiction, Code::CoveredRule, Code::ShadowedRule];
        let found = lint(&policy, Search::usual(1_000_000));
        prop_assume!(found.iter().all(|found| found.code != Code::AnalysisBudget));
        let reported = |at: usize, codes: &[Code]| {
            let span = policy.checked().rules[at].span;
            let mut found = found.iter().filter(|found| codes.contains(&found.code));
            found.any(|found| found.span().is_some_and(|it| (span.start..span.end).contains(&it.start)))
        };
        let mut rest = bits.possible.clone();
        let mut is_all_taken = false;
        for (at, rule) in rules.iter().enumerate() {
            let holds = rule.holds(bits);
            let is_dead = rest.and(&holds).is_false();
            // One that takes all is told of in the place of all behind it.
            let is_told = reported(at, &dead) || is_all_taken;
            prop_assert_eq!(is_told, is_dead, "rule {} of {}", at + 1, text);
            is_all_taken |= reported(at, &[Code::CatchAllNotLast]);
            let takes_all = bits.possible.and_not(&holds).is_false();
            prop_assert!(!takes_all || is_all_taken, "rule {} of {}", at + 1, text);
            rest = rest.and_not(&holds);
        }
    }
}
