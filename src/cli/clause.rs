//! What is said of a clause: what it is called, and a condition on several lines.

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
    let mut text = String::from("   ");
    let mut column = text.len();
    for (at, part) in condition.split(" and ").enumerate() {
        let joined = if at == 0 {
            part.to_owned()
        } else {
            format!("and {part}")
        };
        if at > 0 && column + joined.chars().count() >= WIDTH {
            text.push_str("\n       ");
            column = 7;
        }
        text.push(' ');
        text.push_str(&joined);
        column += 1 + joined.chars().count();
    }
    text.push('\n');
    text
}

/// How many columns a condition takes at most.
const WIDTH: usize = 100;
