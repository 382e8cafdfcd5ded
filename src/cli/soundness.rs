//! A policy that is asked about, and would not load: its tests fail, or it breaks what it claims.
//! What it would say is shown all the same, with a warning.

use super::check::count;
use super::load;
use super::output::Output;
use crate::analysis::prove_each;
use crate::claims;
use crate::diagnostic::{Code, Diagnostic};
use crate::policy::Policy;

/// The claims that do not hold, each with a connection that shows it. Where proving them takes too
/// much, none is known.
pub(super) fn refuted(policy: &Policy) -> Vec<Diagnostic> {
    let proved = prove_each(
        policy.checked(),
        policy.program(),
        policy.vocabulary(),
        policy.sources(),
    );
    let findings = proved.unwrap_or_default().into_iter();
    let findings = findings.filter_map(|proved| proved.finding);
    findings
        .filter(|finding| finding.code != Code::PropertyVacuous)
        .collect()
}

/// Says that a policy loads nowhere else, where it does not.
pub(super) fn warn(path: &str, policy: &Policy, output: &mut Output) {
    let results = claims::run(
        policy.checked(),
        policy.sources(),
        &mut load::reader_of(path),
    );
    let failing = results
        .iter()
        .filter(|result| result.failure.is_some())
        .count();
    let refuted = refuted(policy).len();
    let tests = (failing > 0).then(|| count(failing, "failing test"));
    let broken = (refuted > 0).then(|| format!("{} that it breaks", count(refuted, "claim")));
    let (what, help) = match (tests, broken) {
        (None, None) => return,
        (Some(tests), None) => (tests, "gw test"),
        (None, Some(broken)) => (broken, "gw prove"),
        (Some(tests), Some(broken)) => (format!("{tests} and {broken}"), "gw check-policy"),
    };
    let path = crate::source::shell_file(path);
    output.complain(&format!(
        "warning: {path} has {what} and does not load anywhere else\n  help: {help} {path}\n"
    ));
}
