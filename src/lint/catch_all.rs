//! A rule that holds for every connection and is not the last one.

use super::View;
use crate::analysis::OverBudget;
use crate::compile::ClauseId;
use crate::diagnostic::{Code, Diagnostic};

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    for (at, id, clause) in view.own_rules() {
        let condition = view.clauses.condition(id);
        let kept_out = view.ground.arena.not(condition)?;
        if view.ground.is_possible(kept_out)? {
            continue;
        }
        // One finding, in the place of one for each rule behind it.
        let guards = view.program.guards.len();
        let behind = at + 1..view.program.rules.len();
        let ids = behind.filter_map(|at| Some(ClauseId(u32::try_from(guards + at).ok()?)));
        view.told.extend(ids);
        let message = "this condition holds for every connection: nothing behind it decides";
        let found = Diagnostic::error(Code::CatchAllNotLast, message)
            .label(clause.head, "always applies")
            .help("make its verdict the `default`, or say whom it is about");
        return Ok(vec![found]);
    }
    Ok(Vec::new())
}
