//! Conditions of a rule or guard that change nothing.

use super::{NOWHERE, View};
use crate::analysis::{Id, OverBudget};
use crate::diagnostic::{Code, Diagnostic, Severity};

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let mut found = Vec::new();
    for (_, id, clause) in view.own_rules() {
        if view.told.contains(&id) {
            continue;
        }
        let terms = view.terms(id)?;
        for (at, (span, _)) in terms.iter().enumerate() {
            let mut others = Id::YES;
            for (_, holds) in terms.iter().enumerate().filter(|(other, _)| *other != at).map(|it| it.1) {
                others = view.ground.arena.and(others, *holds)?;
            }
            // Those it keeps out, that no rule before it takes.
            let own = view.outcomes.conditions.get(id.0 as usize).copied();
            let kept_out = view.ground.arena.not(own.unwrap_or(Id::NO))?;
            let first = view.outcomes.first;
            let behind = view.ground.arena.mapped(first, |rule| u32::from(rule > id.0))?;
            let mut region = view.ground.arena.and(others, kept_out)?;
            region = view.ground.arena.and(region, behind)?;
            region = view.ground.arena.and(region, view.ground.assumed)?;
            if let Some(diagnostic) = unneeded(view, id.0, region)? {
                found.push(diagnostic.label(*span, "keeps out nobody who would be decided otherwise")
                    .label(clause.head, "with it and without it this rule decides alike")
                    .help("remove it, which changes no verdict"));
            }
        }
    }
    Ok(found)
}

/// The finding, where a rule would change nothing in a region that it is kept out of.
fn unneeded(view: &mut View<'_>, id: u32, region: Id) -> Result<Option<Diagnostic>, OverBudget> {
    let guards = view.outcomes.guards.clone();
    let (root, decisions) = view.ground.decided(view.program, &guards, Id::value(id), region)?;
    let own = view.outcomes.root;
    let own = view.ground.arena.within(region, own, NOWHERE)?;
    let known = view.outcomes.decisions.clone();
    if view.ground.differing((root, &decisions), (own, &known))? != Id::NO {
        return Ok(None);
    }
    let message = "this condition has no effect";
    let diagnostic = Diagnostic::error(Code::RedundantCondition, message);
    Ok(Some(diagnostic.with_severity(Severity::Warning)))
}
