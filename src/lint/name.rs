//! Sets and definitions that nothing uses. Those of other files are for whoever includes them.

use std::collections::BTreeSet;

use super::View;
use crate::analysis::OverBudget;
use crate::diagnostic::{Code, Diagnostic, Effect, Severity};
use crate::lang::ast::StatementKind;
use crate::lang::ast::visit::{Visit, visit};

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let statements = &view.wording.ast.statements;
    let mut used = BTreeSet::new();
    for statement in statements {
        visit(statement, &mut |it| match it {
            Visit::Name(name) => {
                used.insert(name);
            }
            Visit::Values(_) | Visit::Denial(..) => {}
        });
    }
    let mut found = Vec::new();
    for statement in statements {
        let (name, noun) = match &statement.kind {
            StatementKind::Set { name, .. } => (name, "set"),
            StatementKind::Define { name, .. } => (name, "definition"),
            StatementKind::Edition(_)
            | StatementKind::Include(_)
            | StatementKind::Extends(_)
            | StatementKind::Clause(_)
            | StatementKind::Claim { .. }
            | StatementKind::Relax { .. }
            | StatementKind::Test { .. } => continue,
        };
        if used.contains(name.value.as_str()) {
            continue;
        }
        let message = format!("nothing uses the {noun} `{}`", name.value);
        let edits = view.wording.without_statement(statement.span.0);
        found.push(
            Diagnostic::error(Code::UnusedName, message)
                .with_severity(Severity::Warning)
                .label(name.span, "never named again in this file")
                .help("delete it; or, if files that extend this one use it, say so in a comment above it: `# allow(unused-name): …`")
                .fix(Effect::Keeps, format!("delete `{}`", name.value), edits),
        );
    }
    Ok(found)
}
