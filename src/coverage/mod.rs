//! What the tests of a policy leave open: clauses, conditions and decisions that none of them
//! reaches (`reached`), changes that none of them notices (`survivors`), and the tests that
//! would (`synthesis`, `written`).
//!
//! Counted are the clauses of the policy's own file and its own tests: what it extends is measured
//! by itself. Trial rules decide nothing, and are not counted.
//! Running the tests is not here: see [`crate::claims`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub(crate) mod mutation;
pub(crate) mod reached;
pub(crate) mod survivors;
pub(crate) mod synthesis;
pub(crate) mod written;

#[cfg(test)]
mod tests;

use crate::analysis::Budget;
use crate::claims::TestResult;
use crate::compile::ClauseId;
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::Facts;
use crate::lang::checked::{Checked, Clause, Expected, Role};
use crate::policy::Policy;
use crate::source::{SourceId, Sources, one_line};

/// A test of the policy: a connection, and what it must come to.
#[derive(Clone, Debug)]
pub(crate) struct Example {
    pub(crate) facts: Facts,
    pub(crate) expected: Expected,
}

/// The tests of the policy's own file, of what came of all. One that cannot be read tests nothing.
pub(crate) fn examples(checked: &Checked, results: &[TestResult]) -> Vec<Example> {
    // Those of the extended file come first.
    let inherited = results.len().saturating_sub(checked.tests.len());
    let own = results.iter().skip(inherited).zip(&checked.tests);
    let readable = own.filter_map(|(result, test)| {
        Some(Example {
            facts: result.facts.as_deref()?.clone(),
            expected: test.expected.value,
        })
    });
    readable.collect()
}

/// The clauses that are counted, with their places among all: those of one file that are no trials.
fn counted(checked: &Checked, main: SourceId) -> Vec<(ClauseId, &Clause)> {
    let all = checked.guards.iter().chain(&checked.rules);
    (0..)
        .map(ClauseId)
        .zip(all.chain([&checked.default]))
        .filter(|(_, clause)| clause.span.source == main && clause.role != Role::Trial)
        .collect()
}

/// The file that a policy is read from.
fn main_file(policy: &Policy) -> Option<SourceId> {
    policy.sources().iter().next().map(|(id, _)| id)
}

/// What a clause is called where there is no room for its place: its label, or its own words.
fn called(sources: &Sources, clause: &Clause) -> String {
    match (&clause.label, clause.role) {
        (Some(label), _) => format!("[{label}]"),
        (None, Role::Default) => "default".to_owned(),
        (None, _) => words(sources.slice(clause.condition.span)),
    }
}

/// Words of a policy on one line, fit to stand in a name.
fn words(text: &str) -> String {
    let text: Vec<&str> = text.split_whitespace().collect();
    one_line(&text.join(" "), 100).replace('"', "'")
}

/// What is told of a policy that takes too much.
pub(crate) fn too_much(policy: &Policy) -> Diagnostic {
    let nodes = Budget::default().nodes;
    let message = format!("this policy was not analysed: that takes more than {nodes} nodes");
    Diagnostic::error(Code::AnalysisBudget, message)
        .label(
            policy.checked().default.span,
            "nothing is known of what leads here",
        )
        .help("name fewer networks and texts in one policy")
}
