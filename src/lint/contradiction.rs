//! A condition that no connection can meet.

use super::View;
use crate::analysis::{Id, OverBudget};
use crate::diagnostic::{Code, Diagnostic};

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let mut found = Vec::new();
    let clauses = view.own_guards().into_iter().chain(view.own_rules());
    for (_, id, clause) in clauses.collect::<Vec<_>>() {
        let condition = view.clauses.condition(id);
        if view.ground.is_possible(condition)? {
            continue;
        }
        view.told.push(id);
        let message = "no connection can meet this condition";
        let mut diagnostic = Diagnostic::error(Code::Contradiction, message);
        // The fewest terms that cannot be together.
        let terms = view.terms(id)?;
        let pair = (0..terms.len()).find_map(|one| {
            let others = one + 1..terms.len();
            let mut others = others.map(move |other| (one, other));
            others.find_map(|(one, other)| {
                let (first, second) = (terms.get(one)?, terms.get(other)?);
                let arena = &mut view.ground.arena;
                let both = arena.and(first.1, second.1).ok()?;
                let both = arena.and(both, view.ground.assumed).ok()?;
                (both == Id::NO).then_some((first.0, second.0))
            })
        });
        let alone = terms.iter().find(|(_, holds)| {
            let arena = &mut view.ground.arena;
            arena.and(*holds, view.ground.assumed) == Ok(Id::NO)
        });
        diagnostic = match (alone, pair) {
            (Some((span, _)), _) => diagnostic.label(*span, "holds for none by itself"),
            (None, Some((first, second))) => diagnostic
                .label(first, "this")
                .label(second, "and this are never together"),
            (None, None) => diagnostic.label(clause.head, "never applies"),
        };
        let diagnostic = diagnostic.help("remove it, or one of what cannot be together");
        found.push(view.deleted(diagnostic, id));
    }
    Ok(found)
}
