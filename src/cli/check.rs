//! `gw check-policy`: everything that is wrong with policies.

use super::Exit;
use super::load;
use super::output::{Output, ReportFormat};
use crate::diagnostic::{Code, Diagnostics, suggest};
use crate::source::Sources;

/// Finds everything that is wrong with policies
///
/// Reads each policy with what it includes and extends, checks names, types and stages,
/// and runs its tests. Every statement that is wrong is reported in one run, with its place
/// and what to do. A policy that has errors does not load anywhere else either.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw check-policy                        the default policy
  gw check-policy policies/*.policy
  gw check-policy --format sarif my.policy > gw.sarif
  gw check-policy --explain mixed-operators

Exit codes: 0 no errors, 1 errors, 2 wrong command line, 3 a file cannot be read")]
pub(super) struct Args {
    /// Policies; without one, policies/default.policy or, where there is none, the built-in default
    #[arg(value_name = "FILE")]
    files: Vec<String>,

    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    /// Print the page about a diagnostic, and check nothing
    #[arg(long, value_name = "CODE", conflicts_with = "files")]
    explain: Option<String>,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    if let Some(code) = &args.explain {
        return page(code, output);
    }
    let files = if args.files.is_empty() {
        vec![load::default_policy()]
    } else {
        args.files.clone()
    };
    let mut exit = Exit::Success;
    // One document for all files: the ids of each file's texts are moved behind the others.
    let mut all = Diagnostics::default();
    let mut sources = Sources::default();
    let mut summary = String::new();
    for file in &files {
        match load::policy(file, true) {
            Ok(policy) => {
                let checked = policy.checked();
                summary.push_str(&format!(
                    "{file}: {}, {}, {} passed, policy {}\n",
                    count(checked.guards.len(), "guard"),
                    count(checked.rules.len(), "rule"),
                    count(count_tests(checked), "test"),
                    policy.digest()
                ));
                let distance = sources.append(policy.sources());
                all.append(policy.warnings(), distance);
            }
            Err(error) => {
                exit = exit.and(Exit::of(&error));
                summary.push_str(&format!(
                    "{file}: {}\n",
                    count(error.diagnostics.errors(), "error")
                ));
                let distance = sources.append(&error.sources);
                all.append(&error.diagnostics, distance);
            }
        }
    }
    output.report(&all, &sources, args.format);
    if matches!(args.format, ReportFormat::Human | ReportFormat::Plain) {
        output.say(&summary);
    }
    exit
}

fn count_tests(checked: &crate::lang::Checked) -> usize {
    checked.tests.len() + checked.base.as_ref().map_or(0, |base| count_tests(base))
}

/// `1 error`, `2 errors`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

fn page(code: &str, output: &mut Output) -> Exit {
    match Code::parse(code) {
        Some(code) => {
            output.say(code.page());
            Exit::Success
        }
        None => {
            let names = || Code::ALL.iter().map(|code| code.name());
            let help = suggest::did_you_mean(code, names()).unwrap_or_else(|| {
                format!(
                    "the diagnostics are {}",
                    names().collect::<Vec<_>>().join(", ")
                )
            });
            output.complain(&format!(
                "error: there is no diagnostic `{code}`\n  help: {help}\n"
            ));
            Exit::Usage
        }
    }
}
