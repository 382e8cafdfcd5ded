//! What is said of a clause: what it is called, and a condition on several lines.

use super::lines;
use crate::compile::ClauseId;
use crate::policy::Policy;

/// What a clause is called: its label in brackets, or where it stands.
pub(super) fn named(policy: &Policy, id: ClauseId) -> String {
    match &policy.clause(id).label {
        Some(label) => format!("[{label}]"),
        None => policy.label(id),
    }
}

/// A condition, broken where it joins, as it may stand in a policy.
pub(super) fn wrapped(condition: &str) -> String {
    lines::folded(4, 8, &lines::joined(condition)) + "\n"
}
