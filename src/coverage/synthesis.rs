//! The tests that a policy lacks: one for each decision that none of its tests comes to.

use super::reached::{Decided, decisions};
use super::written::{Names, Written};
use super::{Example, called, too_much};
use crate::diagnostic::Diagnostic;
use crate::policy::Policy;

/// One test for each decision of the policy's own clauses that none of some tests comes to.
pub(crate) fn synthesized(
    policy: &Policy,
    examples: &[Example],
) -> Result<Vec<Written>, Box<Diagnostic>> {
    let decisions = decisions(policy, examples).map_err(|_| too_much(policy))?;
    let mut names = Names::beside(policy.checked());
    let open = decisions.all.iter().filter(|it| !it.is_reached);
    let made = open.filter_map(|it| {
        let Decided { by, verdict, .. } = *it;
        let facts = decisions.example(it)?;
        let name = format!(
            "{} → {verdict}",
            called(policy.sources(), policy.clause(by))
        );
        let written = Written::new(&decisions.ground, &facts, verdict).plainly();
        Some(written.called(names.new_one(&name)))
    });
    Ok(made.collect())
}
