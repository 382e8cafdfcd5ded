//! `gw fingerprint`: what policies mean, as a hash.

use serde_json::json;

use super::Exit;
use super::load;
use super::output::{AnswerFormat, Output};
use crate::diagnostic::{Code, Diagnostic};
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
    let mut found = Vec::new();
    for file in &files {
        output.busy(&format!("{file}: looking at all connections"));
        let policy = match load::policy(file, true) {
            Ok(policy) => policy,
            Err(error) => {
                exit = exit.and(Exit::of(&error));
                output.report(&error.diagnostics, &error.sources, args.format.report());
                continue;
            }
        };
        match policy.fingerprint() {
            Some(print) => found.push((file, print.to_owned())),
            None => {
                exit = exit.and(Exit::Failure);
                let message = format!("{file} has no fingerprint: it is too large to be analysed");
                let diagnostic = Diagnostic::error(Code::AnalysisBudget, message)
                    .help("name fewer networks and texts in one policy, or split it by `extends`");
                output.report_one(diagnostic, &Sources::default(), args.format.report());
            }
        }
    }
    match args.format {
        AnswerFormat::Json if found.is_empty() => {}
        AnswerFormat::Json => {
            let all = found
                .iter()
                .map(|(file, print)| json!({ "file": file, "fingerprint": print }));
            output.say_json(&json!({ "policies": all.collect::<Vec<_>>() }));
        }
        AnswerFormat::Human | AnswerFormat::Plain => {
            for (file, print) in &found {
                output.say(&format!("{print}  {file}\n"));
            }
        }
    }
    exit
}
