//! `gw fingerprint`: what policies mean, as a hash.

use serde_json::json;

use super::Exit;
use super::load;
use super::output::{AnswerFormat, Output, refused};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::Sources;

/// Prints a hash over what a policy means
///
/// Two policies have the same one exactly if they answer every connection alike: with the same
/// verdict and its arguments, the same hint for a client that is refused, and the same refusals
/// before the upgrade and of pages. Names, labels, comments, reasons for operators, tests, trials and the order of
/// rules that cannot both decide make no difference.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw fingerprint my.policy
  gw fingerprint policies/*.policy

Exit codes: 0 printed, 1 a policy has errors or is too large, 2 wrong command line,
3 a file cannot be read")]
pub(super) struct Args {
    /// Policies; without one, policies/default.policy or, where there is none, the built-in default
    #[arg(value_name = "FILE")]
    files: Vec<String>,

    /// How to print them
    #[arg(long, value_enum, default_value_t)]
    format: AnswerFormat,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let files = load::named_or_default(&args.files);
    let mut exit = Exit::Success;
    let mut documents = Vec::new();
    for file in &files {
        output.busy(&format!("{file}: looking at all connections"));
        let problem = match load::policy(file, true) {
            Ok(policy) => match policy.fingerprint() {
                Some(print) => {
                    match args.format {
                        AnswerFormat::Json => {
                            documents.push(json!({ "file": file, "fingerprint": print }));
                        }
                        AnswerFormat::Human | AnswerFormat::Plain => {
                            output.say(&format!("{print}  {file}\n"));
                        }
                    }
                    continue;
                }
                None => (Exit::Failure, too_large(file), Sources::default()),
            },
            Err(error) => (Exit::of(&error), error.diagnostics, error.sources),
        };
        let (failed, diagnostics, sources) = problem;
        exit = exit.and(failed);
        match args.format {
            AnswerFormat::Json => documents.push(refused(file, &diagnostics, &sources)),
            AnswerFormat::Human | AnswerFormat::Plain => {
                output.report(&diagnostics, &sources, args.format.report());
            }
        }
    }
    if args.format == AnswerFormat::Json {
        output.say_json(&json!({ "policies": documents }));
    }
    exit
}

fn too_large(file: &str) -> Diagnostics {
    let message = format!("{file} has no fingerprint: it is too large to be analysed");
    let found = Diagnostic::error(Code::AnalysisBudget, message)
        .help("name fewer networks and texts in one policy; `gw check-policy` and `gw diff` may get by with less");
    Diagnostics(vec![found])
}
