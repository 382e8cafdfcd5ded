//! Sets of scopes in classes: sets of which no test of a policy says anything else are one.

use super::program::{Instruction, Test};
use crate::facts::{AttributeId, Facts, Scope, ScopeSet};

/// How many tests tell sets apart, at most.
const MOST_TESTS: usize = 64;
/// How many classes there may be.
const MOST_CLASSES: usize = 64;
/// The sets of known scopes.
const KNOWN: u16 = 1 << Scope::ALL.len();
/// A scope that no policy can name.
const NAMELESS: u16 = 1 << 15;

/// The classes of the sets of one attribute.
#[derive(Clone, Debug)]
pub(crate) struct Sets {
    pub(super) attribute: AttributeId,
    get: fn(&Facts) -> ScopeSet,
    /// The class of each set of known scopes, then of each with a nameless one.
    class: Box<[u8]>,
    /// A set of each class.
    members: Vec<ScopeSet>,
}

impl Sets {
    /// The classes of the one attribute that sets are asked of; nothing where there is none, or
    /// where there are too many.
    pub(super) fn new(instructions: &[Instruction]) -> Option<Self> {
        let mut tests: Vec<&Test> = Vec::new();
        let mut found = None;
        for instruction in instructions {
            let (Test::Includes(get, set) | Test::Within(get, set) | Test::Equals(get, set)) =
                &instruction.test
            else {
                continue;
            };
            if set.0 >= KNOWN || found.is_some_and(|(id, _)| id != instruction.attribute) {
                return None;
            }
            found = Some((instruction.attribute, *get));
            let is_known = tests.iter().any(|known| is_same(known, &instruction.test));
            if !is_known && tests.len() == MOST_TESTS {
                return None;
            }
            if !is_known {
                tests.push(&instruction.test);
            }
        }
        let (attribute, get) = found?;
        let (mut class, mut members, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for set in (0..KNOWN).chain((0..KNOWN).map(|set| set | NAMELESS)) {
            let set = ScopeSet(set);
            let held = tests.iter().map(|test| holds(test, set));
            let held = (0..)
                .zip(held)
                .fold(0_u64, |all, (at, held)| all | u64::from(held) << at);
            let known = answers.iter().position(|answer| *answer == held);
            let at = known.unwrap_or_else(|| {
                answers.push(held);
                members.push(set);
                answers.len() - 1
            });
            if at >= MOST_CLASSES {
                return None;
            }
            class.push(u8::try_from(at).ok()?);
        }
        Some(Sets {
            attribute,
            get,
            class: class.into(),
            members,
        })
    }

    pub(super) fn classes(&self) -> usize {
        self.members.len()
    }

    /// Whether a test holds of the sets of a class.
    pub(super) fn holds(&self, test: &Test, class: usize) -> bool {
        self.members.get(class).is_some_and(|set| holds(test, *set))
    }

    /// The class of the set that a connection has.
    #[inline]
    pub(super) fn class_of(&self, facts: &Facts) -> u8 {
        let set = (self.get)(facts).0;
        let nameless = if set < KNOWN { 0 } else { KNOWN };
        let at = (set % KNOWN) | nameless;
        self.class.get(usize::from(at)).copied().unwrap_or(0)
    }
}

fn holds(test: &Test, set: ScopeSet) -> bool {
    match test {
        Test::Includes(_, asked) => asked.within(set),
        Test::Within(_, asked) => set.within(*asked),
        Test::Equals(_, asked) => set == *asked,
        Test::Flag(_)
        | Test::Word(..)
        | Test::Address(..)
        | Test::Header { .. }
        | Test::Text(..)
        | Test::Never => false,
    }
}

fn is_same(one: &Test, other: &Test) -> bool {
    match (one, other) {
        (Test::Includes(_, one), Test::Includes(_, other))
        | (Test::Within(_, one), Test::Within(_, other))
        | (Test::Equals(_, one), Test::Equals(_, other)) => one == other,
        _ => false,
    }
}
