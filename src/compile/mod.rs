//! [`Checked`] → [`Program`]: conditions become tests with jumps, in one flat list.
//!
//! What a program is stands in [`program`]; running one is [`mod@crate::decide`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod choice;
mod columns;
mod index;
mod lists;
pub(crate) mod narrowed;
pub mod networks;
pub mod program;
mod reach;
mod sets;
mod tree;

use crate::facts::Facts;
use crate::facts::attributes::Kind;
use crate::lang::checked::{self, Checked, Comparison, Condition, Predicate};
use crate::source::{Span, Spanned};
use index::Index;
use networks::Networks;
pub use program::{Block, ClauseId, Program};
use program::{HIT, Instruction, MISS, Term, Test, Texts, Unsettled};

/// Compiles a policy.
#[must_use]
pub fn compile(checked: &Checked) -> Program {
    // A mebibyte for each attribute of a small one, and as much for each two thousand clauses.
    let clauses = checked.guards.len() + checked.rules.len();
    compile_within(checked, (1 << 16) + (clauses << 5))
}

/// Compiles a policy; the lists of an attribute have no more entries than so many.
pub(crate) fn compile_within(checked: &Checked, most_entries: usize) -> Program {
    let mut lowering = Lowering::default();
    let guards: Vec<Block> = checked
        .guards
        .iter()
        .map(|clause| lowering.block(clause))
        .collect();
    let rules: Vec<Block> = checked
        .rules
        .iter()
        .map(|clause| lowering.block(clause))
        .collect();
    let default = lowering.block(&checked.default);
    let Lowering {
        terms,
        instructions,
        ..
    } = lowering;
    let (index, left) = Index::new(
        guards.iter().chain(&rules),
        &terms,
        &instructions,
        most_entries,
    );
    Program {
        index,
        left: Unsettled::new(left),
        guards,
        rules,
        default,
        terms,
        instructions,
    }
}

/// One condition by itself, as a program has it.
#[derive(Clone, Debug)]
pub(crate) struct Lone {
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) entry: u32,
}

impl Lone {
    /// Whether it holds, test by test.
    pub(crate) fn holds(&self, facts: &Facts) -> bool {
        let mut at = self.entry;
        while let Some(instruction) = self.instructions.get(at as usize) {
            at = match instruction.test.holds(facts) {
                true => instruction.hit,
                false => instruction.miss,
            };
        }
        at == HIT
    }
}

/// Compiles a condition that is no clause of a policy.
#[must_use]
pub(crate) fn lone(condition: &Condition) -> Lone {
    let mut lowering = Lowering::default();
    lowering.term(condition, Span::default());
    let entry = lowering.terms.first().map_or(MISS, |term| term.entry);
    Lone {
        instructions: lowering.instructions,
        entry,
    }
}

#[derive(Default)]
struct Lowering {
    terms: Vec<Term>,
    instructions: Vec<Instruction>,
    clauses: u32,
}

impl Lowering {
    fn block(&mut self, clause: &checked::Clause) -> Block {
        let id = ClauseId(self.clauses);
        self.clauses += 1;
        let first = self.terms.len();
        match &clause.condition.value {
            Condition::All(parts) => {
                for part in parts {
                    self.term(&part.value, part.span);
                }
            }
            Condition::Any(_) | Condition::Not(_) | Condition::Test(_) => {
                self.term(&clause.condition, clause.condition.span);
            }
        }
        Block {
            id,
            role: clause.role,
            answer: clause.answer,
            terms: narrow(first)..narrow(self.terms.len()),
            fixed: clause.answer.fixed(),
        }
    }

    fn term(&mut self, condition: &Condition, span: Span) {
        let start = self.instructions.len();
        // A condition with no test at all (the empty `All` or `Any`) has its answer already.
        let entry = match self.lower(condition) {
            Lowered::Code(exits) => {
                self.patch(exits.hit, HIT);
                self.patch(exits.miss, MISS);
                narrow(start)
            }
            Lowered::Known(true) => HIT,
            Lowered::Known(false) => MISS,
        };
        let length = narrow(self.instructions.len() - start);
        self.terms.push(Term {
            entry,
            length,
            span,
        });
    }

    /// Appends the tests of a condition; their open ends come back to be patched.
    fn lower(&mut self, condition: &Condition) -> Lowered {
        match condition {
            Condition::Test(comparison) => {
                let at = self.instructions.len();
                self.instructions.push(Instruction {
                    attribute: comparison.attribute,
                    test: test(comparison),
                    hit: MISS,
                    miss: MISS,
                    span: comparison.span,
                });
                Lowered::Code(Exits {
                    hit: vec![(at, true)],
                    miss: vec![(at, false)],
                })
            }
            Condition::Not(inner) => match self.lower(&inner.value) {
                Lowered::Known(value) => Lowered::Known(!value),
                Lowered::Code(Exits { hit, miss }) => Lowered::Code(Exits {
                    hit: miss,
                    miss: hit,
                }),
            },
            Condition::All(parts) => self.join(parts, true),
            Condition::Any(parts) => self.join(parts, false),
        }
    }

    /// `all`: a hit goes on with the next part, a miss leaves; for any it is the reverse.
    fn join(&mut self, parts: &[Spanned<Condition>], all: bool) -> Lowered {
        let mut onward: Vec<Exit> = Vec::new();
        let mut leaving: Vec<Exit> = Vec::new();
        let mut code = false;
        let first = self.instructions.len();
        for part in parts {
            let start = narrow(self.instructions.len());
            match self.lower(&part.value) {
                Lowered::Known(value) if value == all => {}
                // What this part alone settles needs no test, and what stands before it
                // need not be asked either: the whole has this value.
                Lowered::Known(value) => {
                    self.instructions.truncate(first);
                    return Lowered::Known(value);
                }
                Lowered::Code(Exits { hit, miss }) => {
                    code = true;
                    let (next, leave) = if all { (hit, miss) } else { (miss, hit) };
                    self.patch(std::mem::replace(&mut onward, next), start);
                    leaving.extend(leave);
                }
            }
        }
        if !code {
            return Lowered::Known(all);
        }
        Lowered::Code(if all {
            Exits {
                hit: onward,
                miss: leaving,
            }
        } else {
            Exits {
                hit: leaving,
                miss: onward,
            }
        })
    }

    fn patch(&mut self, exits: Vec<Exit>, target: u32) {
        for (at, hit) in exits {
            if let Some(instruction) = self.instructions.get_mut(at) {
                *(if hit {
                    &mut instruction.hit
                } else {
                    &mut instruction.miss
                }) = target;
            }
        }
    }
}

/// The open end of an instruction: after a hit, or after a miss.
type Exit = (usize, bool);

struct Exits {
    hit: Vec<Exit>,
    miss: Vec<Exit>,
}

enum Lowered {
    Code(Exits),
    Known(bool),
}

/// A comparison as the evaluator makes it, with the access to the fact in it.
fn test(comparison: &Comparison) -> Test {
    let kind = comparison.attribute.row().kind;
    match (kind, &comparison.predicate) {
        (Kind::Flag { get, .. }, _) => Test::Flag(get),
        (Kind::Enum { get, .. }, Predicate::Among(members)) => Test::Word(get, members.codes),
        (Kind::Address { get, .. }, Predicate::Among(members)) => {
            Test::Address(get, members.codes, Networks::new(&members.networks))
        }
        (
            Kind::Header {
                class, text, ip, ..
            },
            Predicate::Among(members),
        ) => Test::Header {
            class,
            text,
            ip,
            codes: members.codes,
            networks: Networks::new(&members.networks),
            texts: Texts::new(&members.texts),
        },
        (Kind::Text { get, .. }, Predicate::Among(members)) => {
            Test::Text(get, members.codes != 0, Texts::new(&members.texts))
        }
        (Kind::Set { get, .. }, Predicate::Includes(set)) => Test::Includes(get, *set),
        (Kind::Set { get, .. }, Predicate::Within(set)) => Test::Within(get, *set),
        (Kind::Set { get, .. }, Predicate::Equals(set)) => Test::Equals(get, *set),
        // The checker gives no attribute a predicate of another type; such a test would
        // hold for nobody.
        (
            Kind::Enum { .. }
            | Kind::Address { .. }
            | Kind::Header { .. }
            | Kind::Text { .. }
            | Kind::Set { .. },
            _,
        ) => Test::Never,
    }
}

fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(MISS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::decide;
    use crate::facts::{AttributeId, Facts};
    use crate::lang::checked::{Answer, Clause, Role};
    use crate::verdict::{Grant, Reason};

    fn spanned(condition: Condition) -> Spanned<Condition> {
        Spanned::new(condition, Span::default())
    }

    /// A part that nothing can satisfy leaves no code behind to be entered.
    #[test]
    fn what_is_known_beforehand_leaves_no_instruction() {
        let attribute = AttributeId::named("tls").unwrap();
        let tls = || {
            let predicate = Predicate::Holds;
            spanned(Condition::Test(Comparison {
                attribute,
                predicate,
                span: Span::default(),
            }))
        };
        let never = Condition::All(vec![tls(), spanned(Condition::Any(Vec::new()))]);
        let condition = Condition::Any(vec![
            spanned(never),
            spanned(Condition::Not(Box::new(tls()))),
        ]);
        let clause = |role, condition, answer| Clause {
            role,
            label: None,
            condition: spanned(condition),
            answer,
            because: None,
            hint: None,
            issues: Vec::new(),
            head: Span::default(),
            span: Span::default(),
        };
        let program = compile(&Checked {
            guards: Vec::new(),
            rules: vec![clause(
                Role::Rule,
                condition,
                Answer::Approve(Grant::default()),
            )],
            default: clause(
                Role::Default,
                Condition::ALWAYS,
                Answer::Reject(Reason::NotPermitted),
            ),
            tests: Vec::new(),
            claims: Vec::new(),
            base: None,
        });
        assert_eq!(program.len(), 1);
        assert!(decide(&program, &Facts::default()).verdict.admits());
    }
}
