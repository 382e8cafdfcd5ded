//! Rules that decide what would be decided alike without them.

use super::{View, verdict};
use crate::analysis::{Id, OverBudget, Way};
use crate::compile::ClauseId;
use crate::diagnostic::{Code, Diagnostic, Severity};

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let mut found = Vec::new();
    for (at, id, clause) in view.own_rules() {
        if view.told.contains(&id) {
            continue;
        }
        if !is_redundant(view, at, id)? {
            continue;
        }
        let region = view.first(id)?;
        let takers = view.ground.takers(view.clauses.behind(at), region)?;
        // What is told of one of them already explains it.
        if takers
            .iter()
            .any(|rule| view.told.iter().any(|told| told.0 == *rule))
        {
            continue;
        }
        // Who says something of its own is there for that.
        let says = |id: u32| {
            let clause = view.clause(id);
            (clause.because.clone(), clause.hint.clone())
        };
        if takers.iter().any(|rule| says(*rule) != says(id.0)) && says(id.0) != (None, None) {
            continue;
        }
        view.told.push(id);
        let names: Vec<String> = takers.iter().map(|rule| view.name(*rule)).collect();
        let message = "without this rule every connection gets the same verdict";
        let mut diagnostic = Diagnostic::error(Code::RedundantRule, message)
            .with_severity(Severity::Warning)
            .label(clause.head, format!("{} here", verdict(clause.answer)));
        if let Some(first) = takers.first() {
            let text = format!("{} there too", verdict(view.answer(*first)));
            diagnostic = diagnostic.label(view.clause(*first).head, text);
        }
        let diagnostic = diagnostic.help(format!(
            "delete it: {} would decide the same",
            names.join(", ")
        ));
        found.push(view.deleted(diagnostic, id));
    }
    Ok(found)
}

/// Whether what a rule is the first to hold for gets the same verdicts from what is behind it.
pub(super) fn is_redundant(
    view: &mut View<'_>,
    at: usize,
    id: ClauseId,
) -> Result<bool, OverBudget> {
    if let Some(known) = view.redundant.get(&id) {
        return Ok(*known);
    }
    let region = view.first(id)?;
    let behind = view.clauses.behind(at);
    let rules = Id::value(id.0);
    let ways = [Way { rules, ..behind }, behind];
    let is_redundant = !view.differs(ways, region, 0)?;
    view.redundant.insert(id, is_redundant);
    Ok(is_redundant)
}
