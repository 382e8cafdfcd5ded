//! Refusals whose way on leads nowhere, and owners who cannot approve anything.

use super::View;
use crate::analysis::OverBudget;
use crate::analysis::dead_end::{Tried, Way, ways};
use crate::compile::ClauseId;
use crate::diagnostic::{Code, Diagnostic, Severity};

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let ways = ways(view.program, None, view.nodes)?;
    let main = view.policy.sources().iter().next().map(|(id, _)| id);
    let mut found = Vec::new();
    let name = |id: ClauseId| match &view.clause(id.0).label {
        Some(label) => format!("[{label}]"),
        None => view.policy.label(id),
    };
    let mut tell = |by: ClauseId, message: String, label: String, tried: &[Tried], see: String| {
        let clause = view.clause(by.0);
        // What an extended policy leaves open is told where it stands.
        if Some(clause.span.source) == main {
            let steps = tried.iter().map(|step| {
                let (done, then) = (step.change.done, step.then.told(name));
                format!("{done}: {then}")
            });
            let steps: Vec<String> = steps.collect();
            let told = (!steps.is_empty()).then(|| format!("tried: {}", steps.join(", then ")));
            found.push(
                Diagnostic::error(Code::DeadEnd, message)
                    .with_severity(Severity::Warning)
                    .label(clause.head, label)
                    .maybe_help(told)
                    .help("gw prove --dead-ends says where every refusal leads")
                    .help(see),
            );
        }
    };
    for clause in ways.refusals.chunk_by(|one, other| one.by == other.by) {
        let lost = clause.iter().find_map(|it| match &it.way {
            Way::DeadEnd(tried) => Some((it, tried)),
            Way::Ends(_) => None,
        });
        if let Some((first, tried)) = lost {
            let message = "what this refusal tells the client to do leads nowhere".to_owned();
            tell(
                first.by,
                message,
                first.verdict.to_string(),
                tried,
                view.see(&first.shown.facts),
            );
        }
    }
    for locked in &ways.owner {
        let report = locked.report.map(|report| format!(" ({report})"));
        let message = format!(
            "an owner {} cannot approve anything{}",
            locked.state,
            report.unwrap_or_default()
        );
        let label = locked.decision.verdict.to_string();
        tell(
            locked.decision.by,
            message,
            label,
            &locked.tried,
            view.see(&locked.shown.facts),
        );
    }
    Ok(found)
}
