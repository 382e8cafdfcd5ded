//! What the tests of a policy leave open, as `gw test` prints it.

use serde_json::{Value, json};

use super::Exit;
use super::check::count;
use super::lines;
use super::output::Output;
use super::table::Table;
use crate::claims::TestResult;
use crate::compile::ClauseId;
use crate::coverage::examples;
use crate::coverage::reached::{Reached, reached};
use crate::coverage::survivors::{Noticed, Survivors, survivors};
use crate::coverage::synthesis::synthesized;
use crate::coverage::written::Written;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::lang::checked::Role;
use crate::policy::Policy;
use crate::source::{Span, one_line, shell_file};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Coverage,
    Mutants,
    Synthesize,
    /// What would notice the changes that no test does.
    SynthesizeMutants,
}

/// What came of it, for people and for programs.
pub(super) struct Measured {
    pub(super) exit: Exit,
    pub(super) text: String,
    pub(super) document: Value,
}

/// How many are listed for people.
const MOST: usize = 20;

/// Measures the tests of one policy.
pub(super) fn measured(
    measure: Measure,
    policy: &Policy,
    file: &str,
    results: &[TestResult],
    output: &Output,
) -> Result<Measured, Diagnostics> {
    let examples = examples(policy.checked(), results);
    let wrong = |found: Box<Diagnostic>| Diagnostics(vec![*found]);
    match measure {
        Measure::Coverage => {
            let found = reached(policy, &examples).map_err(wrong)?;
            Ok(coverage(policy, file, &found))
        }
        Measure::Mutants | Measure::SynthesizeMutants => {
            let found = survivors(policy, &examples, &mut |at, of| output.done(at, of));
            let found = found.map_err(wrong)?;
            Ok(match measure == Measure::SynthesizeMutants {
                true => synthesis(file, "change", &found.tests()),
                false => mutants(policy, file, &found),
            })
        }
        Measure::Synthesize => {
            let found = synthesized(policy, &examples).map_err(wrong)?;
            Ok(synthesis(file, "decision", &found))
        }
    }
}

/// A share of something, in whole hundredths that say 100 of nothing less than all.
fn share(part: usize, whole: usize) -> String {
    match whole {
        0 => "–".to_owned(),
        whole => format!("{} %", part * 100 / whole),
    }
}

/// What is not counted, where a policy extends another.
fn extended(policy: &Policy) -> Option<String> {
    let base = policy.checked().base.as_deref()?;
    let source = policy.sources().get(base.default.span.source)?;
    Some(format!(
        "Of this file only: {} is measured by itself.\n",
        source.name
    ))
}

fn name(policy: &Policy, id: ClauseId) -> String {
    let clause = policy.clause(id);
    match (&clause.label, clause.role) {
        (Some(label), _) => format!("[{label}]"),
        (None, Role::Default) => "the default".to_owned(),
        (None, Role::Guard(_)) => "this guard".to_owned(),
        (None, Role::Rule | Role::Trial) => "this rule".to_owned(),
    }
}

/// What is not reached: where, and what.
fn open(policy: &Policy, found: &Reached) -> Vec<(Span, String)> {
    let mut all = Vec::new();
    for clause in found.clauses.iter().filter(|it| !it.is_reached) {
        let what = match policy.clause(clause.id).role {
            Role::Guard(_) => "restricts no test",
            Role::Rule | Role::Trial | Role::Default => "decides no test",
        };
        let text = format!("{} {what}", name(policy, clause.id));
        all.push((policy.clause(clause.id).span, text));
    }
    for condition in found.conditions.iter().filter(|it| !it.is_reached()) {
        let text = one_line(policy.sources().slice(condition.span), 60);
        // Of one that never holds it is said already that it decides nothing.
        if condition.kept_out {
            continue;
        }
        let text = format!(
            "`{text}` alone keeps no test out of {}",
            name(policy, condition.id)
        );
        all.push((condition.span, text));
    }
    for clause in &found.clauses {
        let decisions = found.decisions.iter().filter(|it| it.by == clause.id);
        let missing: Vec<String> = decisions
            .filter(|it| !it.is_reached)
            .map(|it| it.verdict.to_string())
            .collect();
        // Of one that decides no test, all is missing.
        if clause.is_reached && !missing.is_empty() {
            let text = format!(
                "{} gives no test {}",
                name(policy, clause.id),
                missing.join(", ")
            );
            all.push((policy.clause(clause.id).span, text));
        }
    }
    all.sort_by_key(|(span, _)| (span.source, span.start));
    all
}

fn coverage(policy: &Policy, file: &str, found: &Reached) -> Measured {
    let counts = [
        (
            "clauses",
            found.clauses.iter().filter(|it| it.is_reached).count(),
            found.clauses.len(),
        ),
        (
            "conditions",
            found.conditions.iter().filter(|it| it.is_reached()).count(),
            found.conditions.len(),
        ),
        (
            "decisions",
            found.decisions.iter().filter(|it| it.is_reached).count(),
            found.decisions.len(),
        ),
    ];
    let open = open(policy, found);
    let rows = counts.map(|(what, part, whole)| {
        let cells = [part.to_string(), whole.to_string(), share(part, whole)];
        let [part, whole, share] = cells;
        [what.to_owned(), part, whole, share]
    });
    let table = Table::new(["what", "reached", "of", "share"], rows.to_vec());
    let tests = count(found.tests, "test");
    let mut text = format!("{file}: {tests} of its own\n{}", table.drawn());
    if !open.is_empty() {
        text.push_str("\nNot reached:\n");
    }
    for (span, what) in open.iter().take(MOST) {
        let place = policy.sources().place(*span);
        let words = lines::words(&format!("{place}  {what}"));
        text.push_str(&(lines::folded(2, 6, &words) + "\n"));
    }
    text.push_str(&more(open.len()));
    let named = shell_file(file);
    if found.decisions.iter().any(|it| !it.is_reached) {
        text.push_str(&format!(
            "Tests for these decisions: gw test --synthesize {named}\n"
        ));
    }
    if found.conditions.iter().any(|it| !it.is_reached()) {
        text.push_str(&format!(
            "Tests for these conditions: gw test --mutants {named}\n"
        ));
    }
    text.extend(extended(policy));
    let places = open
        .iter()
        .map(|(span, what)| json!({ "place": policy.sources().place(*span), "message": what }));
    let shares: serde_json::Map<String, Value> = counts
        .iter()
        .map(|(what, part, whole)| ((*what).to_owned(), json!({ "reached": part, "of": whole })))
        .collect();
    Measured {
        exit: exit(open.is_empty()),
        document: json!({
            "file": file,
            "digest": policy.digest(),
            "tests": found.tests,
            "coverage": shares,
            "notReached": places.collect::<Vec<_>>(),
        }),
        text,
    }
}

fn exit(is_so: bool) -> Exit {
    match is_so {
        true => Exit::Success,
        false => Exit::Failure,
    }
}

fn more(all: usize) -> String {
    match all.checked_sub(MOST) {
        Some(left @ 1..) => format!("  and {left} more, all with --format json\n"),
        Some(0) | None => String::new(),
    }
}

fn mutants(policy: &Policy, file: &str, found: &Survivors) -> Measured {
    let Survivors {
        mutants,
        killed,
        equivalent,
        untellable,
        unjudged,
        all,
    } = found;
    let mut text = format!(
        "{file}: {}, {killed} noticed by a test, {} by none ({})\n",
        count(*mutants, "change"),
        all.len(),
        share(*killed, *mutants)
    );
    let rest = [
        (*equivalent, "changed no verdict of any connection"),
        (
            *untellable,
            "changed only the scopes that guards leave, which no test can say",
        ),
        (*unjudged, "would take too much to be judged"),
    ];
    for (number, what) in rest.iter().filter(|(number, _)| *number > 0) {
        text.push_str(&format!("Not counted: {number} that {what}.\n"));
    }
    let place = |span| policy.sources().place(span);
    for survivor in all.iter().take(MOST) {
        text.push_str(&format!("\n{}  {}\n", place(survivor.span), survivor.says));
        let test = match &survivor.test {
            Noticed::By(test) => statement(test),
            Noticed::Before(_) => "  noticed by a test above\n".to_owned(),
        };
        text.push_str(&test);
    }
    text.push_str(&more(all.len()));
    if !all.is_empty() {
        let named = shell_file(file);
        text.push_str(&format!(
            "\nThese tests alone, all of them: gw test --mutants --synthesize {named}\n"
        ));
    }
    text.extend(extended(policy));
    let survivors = all.iter().map(|survivor| {
        let test = match &survivor.test {
            Noticed::By(test) => Some(test),
            Noticed::Before(at) => all.get(*at).and_then(|it| match &it.test {
                Noticed::By(test) => Some(test),
                Noticed::Before(_) => None,
            }),
        };
        json!({
            "place": place(survivor.span),
            "mutation": survivor.mutation,
            "change": survivor.says,
            "test": test.map(|it| it.to_string()),
        })
    });
    Measured {
        exit: exit(all.is_empty()),
        document: json!({
            "file": file,
            "digest": policy.digest(),
            "mutants": mutants,
            "killed": killed,
            "equivalent": equivalent,
            "untellable": untellable,
            "unjudged": unjudged,
            "survivors": survivors.collect::<Vec<_>>(),
        }),
        text,
    }
}

/// As it stands in a policy: a statement begins where its line does.
fn statement(test: &Written) -> String {
    lines::folded(0, 4, &lines::joined(&test.to_string())) + "\n"
}

/// Tests for each of some things, to be put behind those of a policy.
fn synthesis(file: &str, each: &str, found: &[Written]) -> Measured {
    let text: String = match found.is_empty() {
        true => format!("# {file}: every {each} has its test\n"),
        false => found.iter().map(statement).collect(),
    };
    let tests: Vec<String> = found.iter().map(Written::to_string).collect();
    Measured {
        exit: Exit::Success,
        document: json!({ "file": file, "tests": tests }),
        text,
    }
}
