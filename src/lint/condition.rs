//! Conditions of a rule or guard that change nothing.

use super::{View, redundant};
use crate::analysis::{Id, OverBudget, Way};
use crate::diagnostic::{Code, Diagnostic, Effect, Severity};
use crate::lang::one_line;
use crate::source::Span;

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
        // Those that can all be removed together.
        let mut gone: Vec<usize> = Vec::new();
        for (term, (span, _)) in terms.iter().enumerate() {
            let region = kept_out(view, &terms, &[term])?;
            let Some(diagnostic) = unneeded(view, id.0, region)? else {
                continue;
            };
            let help = match needed_beside(view, id.0, &terms, &gone, term)? {
                None => {
                    gone.push(term);
                    "remove it, which changes no verdict".to_owned()
                }
                Some(other) => format!(
                    "remove it or `{}` before it, not both: either changes no verdict",
                    one_line(view.policy.sources().slice(other))
                ),
            };
            let condition = one_line(view.policy.sources().slice(*span));
            let text = "keeps out nobody: with it and without it this rule decides alike";
            let edits = view.wording.without_term(clause.span, *span);
            let says = format!("remove `{condition}`");
            let diagnostic = diagnostic.label(*span, text).help(help);
            found.push(diagnostic.fix(Effect::Keeps, says, edits));
        }
    }
    Ok(found)
}

/// Whom some terms of a rule keep out, and all others of it let through.
fn kept_out(view: &mut View<'_>, terms: &[(Span, Id)], gone: &[usize]) -> Result<Id, OverBudget> {
    let arena = &mut view.ground.arena;
    let mut all = Id::YES;
    for term in gone {
        let holds = terms.get(*term).map_or(Id::YES, |(_, holds)| *holds);
        all = arena.and(all, holds)?;
    }
    let mut region = arena.not(all)?;
    for (other, (_, holds)) in terms.iter().enumerate() {
        if !gone.contains(&other) {
            region = arena.and(region, *holds)?;
        }
    }
    Ok(region)
}

/// Of the terms that can be removed together, the one that is needed where another one is removed,
/// too; nothing where none is.
fn needed_beside(
    view: &mut View<'_>,
    id: u32,
    terms: &[(Span, Id)],
    gone: &[usize],
    term: usize,
) -> Result<Option<Span>, OverBudget> {
    let all: Vec<usize> = gone.iter().copied().chain([term]).collect();
    let region = kept_out(view, terms, &all)?;
    if gone.is_empty() || unneeded(view, id, region)?.is_some() {
        return Ok(None);
    }
    let span = |term: &usize| terms.get(*term).map(|(span, _)| *span);
    for other in gone {
        let region = kept_out(view, terms, &[*other, term])?;
        if unneeded(view, id, region)?.is_none() {
            return Ok(span(other));
        }
    }
    Ok(gone.last().and_then(span))
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
