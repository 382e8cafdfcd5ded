//! Refusals that do not say why.

use super::View;
use crate::analysis::OverBudget;
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::lang::checked::Answer;

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let main = view.policy.sources().iter().next().map(|(id, _)| id);
    let default = &view.policy.checked().default;
    let mut found = Vec::new();
    let is_silent = matches!(default.answer, Answer::RequirePairing(None))
        && default.because.is_none()
        && default.hint.is_none();
    if is_silent && Some(default.span.source) == main {
        let message = "whoever ends here is told no more than \"pairing required\"";
        let diagnostic = Diagnostic::error(Code::SilentReject, message)
            .with_severity(Severity::Warning)
            .label(default.span, "does not say why")
            .help("say why: default → require-pairing because \"not listed\"");
        found.push(diagnostic);
    }
    Ok(found)
}
