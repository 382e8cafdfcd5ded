//! Guards that restrict nobody.

use super::View;
use crate::analysis::{OverBudget, Way};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::facts::Stage;
use crate::lang::checked::Role;

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let mut found = Vec::new();
    for (at, id, clause) in view.own_guards() {
        // One at upgrade answers earlier, with another status: that is what it changes.
        if view.told.contains(&id) || clause.role == Role::Guard(Stage::Upgrade) {
            continue;
        }
        let region = view.clauses.condition(id);
        let guards = view.ground.without(&mut view.clauses, at, region)?;
        let way = view.clauses.answers;
        if view.differs([way, Way { guards, ..way }], region, 0)? {
            continue;
        }
        let region = view.holding(id)?;
        view.told.push(id);
        let message = "without this guard every connection gets the same verdict";
        let mut diagnostic = Diagnostic::error(Code::IdleGuard, message)
            .with_severity(Severity::Warning)
            .label(clause.head, "restricts nobody today");
        diagnostic = diagnostic
            .help("delete it; or keep it for rules to come, and say so in a comment above it");
        if let Some(example) = view.example(region) {
            diagnostic = diagnostic.help(example);
        }
        found.push(view.deleted(diagnostic, id));
    }
    Ok(found)
}
