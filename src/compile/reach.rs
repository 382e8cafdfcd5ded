//! What a term can come to, when only some of what it asks for is known.

use super::program::{HIT, Instruction, MISS, Term, Test};
use super::sets::Sets;
use crate::facts::AttributeId;

/// The instructions that a term may reach: from its entry on, those it jumps to.
pub(super) fn reachable<'a>(
    term: &Term,
    instructions: &'a [Instruction],
    mut follow: impl FnMut(&'a Instruction) -> (bool, bool),
) -> bool {
    let mut frontier = vec![term.entry];
    let mut seen = Vec::new();
    while let Some(at) = frontier.pop() {
        if at == HIT {
            return true;
        }
        if at == MISS || seen.contains(&at) {
            continue;
        }
        seen.push(at);
        let Some(instruction) = instructions.get(at as usize) else {
            continue;
        };
        let (hit, miss) = follow(instruction);
        frontier.extend(hit.then_some(instruction.hit));
        frontier.extend(miss.then_some(instruction.miss));
    }
    false
}

/// Looks at each instruction that a term may reach, once.
pub(super) fn each<'a>(
    term: &Term,
    instructions: &'a [Instruction],
    mut look: impl FnMut(&'a Instruction),
) {
    reachable(term, instructions, |instruction| {
        look(instruction);
        // Nothing is a hit here: behind the first one nothing would be looked at.
        (instruction.hit != HIT, instruction.miss != HIT)
    });
}

/// The attributes that a term asks for anywhere, each once.
pub(super) fn asked(term: &Term, instructions: &[Instruction]) -> Vec<AttributeId> {
    let mut asked = Vec::new();
    each(term, instructions, |instruction| {
        if !asked.contains(&instruction.attribute) {
            asked.push(instruction.attribute);
        }
    });
    asked
}

/// Whether the values of the facts that a term asks for say exactly whether it holds.
pub(super) fn is_exact(term: &Term, sets: Option<&Sets>, instructions: &[Instruction]) -> bool {
    let mut is_exact = true;
    each(term, instructions, |instruction| {
        is_exact &= match &instruction.test {
            Test::Flag(_) | Test::Word(..) | Test::Never => true,
            Test::Address(_, _, networks) => networks.is_empty(),
            Test::Header {
                networks, texts, ..
            } => networks.is_empty() && texts.is_empty(),
            Test::Includes(..) | Test::Within(..) | Test::Equals(..) => {
                sets.is_some_and(|sets| sets.attribute == instruction.attribute)
            }
            Test::Text(..) => false,
        };
    });
    is_exact
}

/// Whether a term can hold when some attributes have values, whatever the other facts are.
pub(super) fn can_hold(
    term: &Term,
    are: &[(AttributeId, usize)],
    sets: Option<&Sets>,
    instructions: &[Instruction],
) -> bool {
    reachable(term, instructions, |instruction| {
        let known = are.iter().find(|(id, _)| *id == instruction.attribute);
        let Some((attribute, value)) = known else {
            return (true, true);
        };
        let among = |codes: &u64| codes >> value & 1 != 0;
        match &instruction.test {
            Test::Flag(_) => (*value == 1, *value == 0),
            Test::Word(_, codes) => (among(codes), !among(codes)),
            Test::Address(_, codes, networks) if !among(codes) => (!networks.is_empty(), true),
            Test::Header {
                codes,
                networks,
                texts,
                ..
            } if !among(codes) => (!networks.is_empty() || !texts.is_empty(), true),
            Test::Address(..) | Test::Header { .. } => (true, false),
            Test::Includes(..) | Test::Within(..) | Test::Equals(..) => {
                let own = sets.filter(|sets| sets.attribute == *attribute);
                own.map_or((true, true), |sets| {
                    let holds = sets.holds(&instruction.test, *value);
                    (holds, !holds)
                })
            }
            Test::Text(..) => (true, true),
            Test::Never => (false, true),
        }
    })
}
