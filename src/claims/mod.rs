//! The claims of a policy: its tests are run here.
//!
//! Proving `never` and `always` over all connections is not here.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use crate::compile::{ClauseId, Program, compile};
use crate::decide::{Decision, decide};
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::{AttributeId, Facts, Kind};
use crate::handshake;
use crate::lang::Read;
use crate::lang::checked::{Checked, Clause, Given, Test};
use crate::lang::files::{Reader, beside};
use crate::source::{Sources, Span, shell_file};

/// What came of one test.
#[derive(Clone, Debug)]
pub struct TestResult {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// The reports it is tied to.
    pub issues: Vec<String>,
    /// What is wrong; `None` when it passed.
    pub failure: Option<Diagnostic>,
    /// The clauses that its connection reached: the deciding one and the first rule.
    pub reached: Vec<Span>,
    /// What is known of its connection; `None` when that cannot be read.
    pub facts: Option<Box<Facts>>,
}

/// Runs the tests of a policy, and those of what it extends against that alone.
pub fn run(checked: &Checked, sources: &Sources, reader: &mut Reader<'_>) -> Vec<TestResult> {
    let mut results = match &checked.base {
        Some(base) => run(base, sources, reader),
        None => Vec::new(),
    };
    let program = compile(checked);
    for test in &checked.tests {
        results.push(one(test, checked, &program, sources, reader));
    }
    results
}

fn one(
    test: &Test,
    checked: &Checked,
    program: &Program,
    sources: &Sources,
    reader: &mut Reader<'_>,
) -> TestResult {
    let mut result = TestResult {
        name: test.name.clone(),
        span: test.span,
        issues: test.issues.clone(),
        failure: None,
        reached: Vec::new(),
        facts: None,
    };
    let facts = match &test.given {
        Given::Facts { facts, .. } => facts.as_ref().clone(),
        Given::Recorded(path) => {
            let from = sources
                .get(path.span.source)
                .map_or("", |source| &*source.name);
            match recorded(&beside(from, &path.value), reader) {
                Ok(facts) => facts,
                Err((code, message)) => {
                    result.failure = Some(
                        Diagnostic::error(code, message)
                            .label(path.span, "named here")
                            .help("paths of handshakes are relative to the file that names them"),
                    );
                    return result;
                }
            }
        }
    };
    let decision = decide(program, &facts);
    result.reached = [decision.by, decision.rule]
        .map(|id| clause(checked, id).span)
        .to_vec();
    if !test.expected.met_by(decision.verdict) {
        result.failure = Some(failed(test, checked, sources, &facts, decision));
    }
    result.facts = Some(Box::new(facts));
    result
}

fn recorded(path: &str, reader: &mut Reader<'_>) -> Result<Facts, (Code, String)> {
    let text = reader(path, Read::Handshake).map_err(|error| {
        (
            Code::UnreadableFile,
            format!("{path} cannot be read: {error}"),
        )
    })?;
    let handshake = handshake::parse(&text).map_err(|error| {
        (
            Code::InvalidHandshake,
            format!("{path} is no handshake: {error}"),
        )
    })?;
    Ok(handshake::observe(&handshake).facts)
}

fn failed(
    test: &Test,
    checked: &Checked,
    sources: &Sources,
    facts: &Facts,
    decision: Decision,
) -> Diagnostic {
    let by = clause(checked, decision.by);
    let name = by.label.clone().unwrap_or_else(|| sources.place(by.span));
    let mut message = format!(
        "test \"{}\" expects {}, and gets {}",
        test.name, test.expected.value, decision.verdict
    );
    if let Some(law) = decision.law {
        message.push_str(&format!(": {}", law.doc()));
    }
    let diagnostic = Diagnostic::error(Code::FailedTest, message)
        .label(test.expected.span, "expects another answer")
        .label(by.span, format!("decides, as {name}"));
    let handshake = match &test.given {
        Given::Recorded(path) => {
            let from = sources
                .get(path.span.source)
                .map_or("", |source| &*source.name);
            format!(" {}", beside(from, &path.value))
        }
        Given::Facts { named, .. } => {
            let named = AttributeId::all().filter(|id| named.has(id.row().name));
            named
                .map(|id| format!(" --fact {}", fact(id, facts)))
                .collect()
        }
    };
    let policy = sources.get(test.span.source);
    let policy = policy.map_or_else(String::new, |source| shell_file(&source.name));
    diagnostic.help(format!("see why: gw explain --policy {policy}{handshake}"))
}

/// A fact as `--fact` takes it, quoted for a shell where it must be.
pub(crate) fn fact(id: AttributeId, facts: &Facts) -> String {
    let text = written(id, facts);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:/=@+".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A fact as a condition asks for it.
pub(crate) fn written(id: AttributeId, facts: &Facts) -> String {
    let name = id.row().name;
    match id.row().kind {
        Kind::Flag { get, .. } if get(facts) => name.to_owned(),
        Kind::Flag { .. } => format!("not {name}"),
        Kind::Enum { .. }
        | Kind::Set { .. }
        | Kind::Address { .. }
        | Kind::Header { .. }
        | Kind::Text { .. } => format!("{name}={}", id.show(facts)),
    }
}

fn clause(checked: &Checked, id: ClauseId) -> &Clause {
    let all = checked.guards.iter().chain(&checked.rules);
    all.into_iter()
        .nth(id.0 as usize)
        .unwrap_or(&checked.default)
}
