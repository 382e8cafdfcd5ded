//! Conditions of a rule or guard that change nothing.

use super::{View, redundant};
use crate::analysis::{Id, OverBudget, Way};
use crate::diagnostic::{Code, Diagnostic, Effect, Severity};
use crate::lang::one_line;

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let mut found = Vec::new();
    for (at, id, clause) in view.own_rules() {
        if view.told.contains(&id) {
            continue;
        }
        // One that answers like what is behind it is there for its words, and its conditions for
        // whom they are about.
        if redundant::is_redundant(view, at, id)? {
            continue;
        }
        let terms = view.terms(id)?;
        for (term, (span, holds)) in terms.iter().enumerate() {
            // Those it keeps out, whom the other terms let through.
            let mut region = view.ground.arena.not(*holds)?;
            for (other, (_, holds)) in terms.iter().enumerate() {
                if other != term {
                    region = view.ground.arena.and(region, *holds)?;
                }
            }
            if let Some(diagnostic) = unneeded(view, id.0, region)? {
                let text = "with it and without it this rule decides alike";
                let diagnostic = diagnostic
                    .label(*span, "keeps out nobody")
                    .label(clause.head, text);
                let edits = view.wording.without_term(clause.span, *span);
                let condition = view.policy.sources().slice(*span);
                let says = format!("remove `{}`", one_line(condition));
                let diagnostic = diagnostic.help("remove it, which changes no verdict");
                found.push(diagnostic.fix(Effect::Keeps, says, edits));
            }
        }
    }
    Ok(found)
}

/// The finding, where a rule would change nothing in a region that it is kept out of.
fn unneeded(view: &mut View<'_>, id: u32, region: Id) -> Result<Option<Diagnostic>, OverBudget> {
    let way = view.clauses.way;
    let rules = Id::value(id);
    // Those that a rule before it takes are none of its business.
    if view.differs([way, Way { rules, ..way }], region, id + 1)? {
        return Ok(None);
    }
    // What a guard refuses anyhow is kept out twice: that is no mistake.
    if view.ground.is_possible(region)? && !view.decides_some(region, id + 1)? {
        return Ok(None);
    }
    let message = "this condition has no effect";
    let diagnostic = Diagnostic::error(Code::RedundantCondition, message);
    Ok(Some(diagnostic.with_severity(Severity::Warning)))
}
