//! A policy that is asked about, and would not load: its tests fail, or it breaks what it claims.
//! What it would say is shown all the same, with a warning.

use super::check::count;
use super::load;
use super::output::Output;
use crate::analysis::prove_each;
use crate::claims;
use crate::diagnostic::{Code, Diagnostic};
use crate::policy::Policy;
use crate::source::shell_file;

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
    let tests = || format!("has {}", count(failing, "failing test"));
    let broken = || format!("breaks {} of its own", count(refuted, "claim"));
    let (does, help) = match (failing, refuted) {
        (0, 0) => return,
        (_, 0) => (tests(), "gw test"),
        (0, _) => (broken(), "gw prove"),
        (_, _) => (format!("{}, {}", tests(), broken()), "gw check-policy"),
    };
    let path = shell_file(path);
    output.complain(&format!(
        "warning: {path} {does} and does not load anywhere else\n  help: {help} {path}\n"
    ));
}
