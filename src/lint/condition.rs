//! Conditions of a rule or guard that change nothing.

use super::{View, redundant};
use crate::analysis::{Id, OverBudget};
use crate::diagnostic::{Code, Diagnostic, Severity};

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
        for (term, (span, _)) in terms.iter().enumerate() {
            let mut others = Id::YES;
            for (other, (_, holds)) in terms.iter().enumerate() {
                if other != term {
                    others = view.ground.arena.and(others, *holds)?;
                }
            }
            // Those it keeps out, that no rule before it takes.
            let own = view.outcomes.conditions.get(id.0 as usize).copied();
            let kept_out = view.ground.arena.not(own.unwrap_or(Id::NO))?;
            let first = view.outcomes.first;
            let behind = view
                .ground
                .arena
                .mapped(first, |rule| u32::from(rule > id.0))?;
            let mut region = view.ground.arena.and(others, kept_out)?;
            region = view.ground.arena.and(region, behind)?;
            region = view.ground.arena.and(region, view.ground.assumed)?;
            if let Some(diagnostic) = unneeded(view, id.0, region)? {
                let text = "with it and without it this rule decides alike";
                let diagnostic = diagnostic
                    .label(*span, "keeps out nobody")
                    .label(clause.head, text);
                found.push(diagnostic.help("remove it, which changes no verdict"));
            }
        }
    }
    Ok(found)
}

/// The finding, where a rule would change nothing in a region that it is kept out of.
fn unneeded(view: &mut View<'_>, id: u32, region: Id) -> Result<Option<Diagnostic>, OverBudget> {
    let guards = view.outcomes.guards.clone();
    let otherwise = view.otherwise(&guards, Id::value(id), region)?;
    if otherwise.differs != Id::NO {
        return Ok(None);
    }
    // What a guard refuses anyhow is kept out twice: that is no mistake.
    let values = view.ground.arena.values(otherwise.own).into_iter();
    let mut deciding = values.filter_map(|value| view.outcomes.decision(value));
    if region != Id::NO
        && deciding.all(|decision| (decision.by.0 as usize) < view.program.guards.len())
    {
        return Ok(None);
    }
    let message = "this condition has no effect";
    let diagnostic = Diagnostic::error(Code::RedundantCondition, message);
    Ok(Some(diagnostic.with_severity(Severity::Warning)))
}
