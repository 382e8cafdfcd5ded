//! Pivots: the facts that a condition turns on. Each of them alone, were it otherwise, would have led
//! it to another end.

use crate::analysis::values;
use crate::compile::Program;
use crate::compile::program::Test;
use crate::decide::term_holds;
use crate::decide::trace::SeenTerm;
use crate::facts::{AttributeId, Facts};

/// How many tests of a term may be made to find its pivots.
const MOST_TESTS: usize = 1 << 16;

/// What a term turns on, in the order in which it asked. None also where it asks too much.
pub(super) fn pivots(program: &Program, term: &SeenTerm, facts: &Facts) -> Vec<AttributeId> {
    // What was not asked for changes nothing by itself.
    let mut asked: Vec<AttributeId> = Vec::new();
    for test in &term.tests {
        if !asked.contains(&test.attribute) {
            asked.push(test.attribute);
        }
    }
    if asked.len() < 2 {
        return asked;
    }
    let held = term_holds(program, term.index, facts);
    let instructions = program.instructions_of(term.index);
    let values: Vec<_> = asked
        .iter()
        .map(|id| {
            let tests = instructions.iter().filter(|it| it.attribute == *id);
            let tests: Vec<&Test> = tests.map(|it| &it.test).collect();
            values(*id, &tests)
        })
        .collect();
    let tries: usize = values.iter().map(Vec::len).sum();
    if tries.saturating_mul(instructions.len()) > MOST_TESTS {
        return Vec::new();
    }
    let both = asked.into_iter().zip(values);
    let turning = both.filter(|(id, values)| {
        values.iter().any(|value| {
            let mut other = facts.clone();
            value.put(*id, &mut other);
            term_holds(program, term.index, &other) != held
        })
    });
    turning.map(|(id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compile::compile;
    use crate::decide::tests::{condition, facts, of};
    use crate::decide::{looked_through, naive};
    use crate::facts::Kind;
    use crate::facts::attributes::{Value, every_value};
    use crate::lang::checked::{Checked, Condition};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn a_term_turns_on_what_would_turn_it(condition in condition(), facts in facts()) {
            let program = compile(&Checked {
                guards: Vec::new(),
                rules: vec![of(condition.clone())],
                default: of(Condition::ALWAYS),
                tests: Vec::new(),
                claims: Vec::new(),
                base: None,
            });
            let seen = looked_through(&program, program.blocks().next().unwrap(), &facts);
            prop_assume!(seen.terms.len() == 1);
            let found = pivots(&program, &seen.terms[0], &facts);
            for id in AttributeId::all() {
                let is_flag = matches!(id.row().kind, Kind::Flag { .. });
                let values = match is_flag {
                    true => [true, false].map(Value::Flag).to_vec(),
                    false => every_value(id),
                };
                let turns = values.iter().any(|value| {
                    let mut other = facts.clone();
                    id.assign(&mut other, value).unwrap();
                    naive::holds(&condition, &facts) != naive::holds(&condition, &other)
                });
                prop_assert!(!turns || found.contains(&id), "{} turns it", id.row().name);
            }
        }
    }
}
