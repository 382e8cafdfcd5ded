//! `gw test`: the tests of policies, one by one.

use super::Exit;
use super::check::{count, inherited};
use super::coverage::{self, Measure};
use super::load;
use super::output::{AnswerFormat, Output, refused};
use super::soundness;
use crate::claims;
use crate::diagnostic::Diagnostics;
use crate::policy::Policy;
use crate::source::Span;

/// Runs the tests of policies
///
/// Each `test` of a policy is run, and those of what it extends against that alone. Rules
/// and guards that no test reaches are named: nobody says what they are for. A claim that does not
/// hold is reported too: such a policy loads nowhere.
///
/// --coverage says what the tests of each file reach of its own clauses, of each condition and of
/// every decision that the policy comes to. --mutants changes one thing at a time and says which
/// changes no test notices, each with the test that would; a change that changes no verdict, of any
/// connection, does not count. --synthesize writes a test for every decision that none comes to; with
/// --mutants the tests that would notice those changes. What a policy extends is measured by itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw test                       the default policy
  gw test policies/*.policy
  gw test --format plain my.policy
  gw test --coverage my.policy
  gw test --mutants my.policy
  gw test --synthesize my.policy >> my.policy
  gw test --mutants --synthesize my.policy >> my.policy

Exit codes: 0 all pass; all is reached; every change is noticed, 1 not so, or the policy has errors,
3 a file cannot be read")]
pub(super) struct Args {
    /// Policies; without one, policies/default.policy or, where there is none, the built-in default
    #[arg(value_name = "FILE")]
    files: Vec<String>,

    /// What the tests reach: clauses, conditions, decisions
    #[arg(long, conflicts_with_all = ["mutants", "synthesize"])]
    coverage: bool,

    /// Which changes of the policy no test notices, with the tests that would
    #[arg(long)]
    mutants: bool,

    /// Tests for the decisions that none comes to, as the policy would have them; with --mutants
    /// those for changes that none notices
    #[arg(long)]
    synthesize: bool,

    /// How to print what came of them
    #[arg(long, value_enum, default_value_t)]
    format: AnswerFormat,
}

impl Args {
    fn measure(&self) -> Option<Measure> {
        match (self.coverage, self.mutants, self.synthesize) {
            (true, _, _) => Some(Measure::Coverage),
            (_, true, true) => Some(Measure::SynthesizeMutants),
            (_, true, false) => Some(Measure::Mutants),
            (_, false, true) => Some(Measure::Synthesize),
            (false, false, false) => None,
        }
    }
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let files = load::named_or_default(&args.files);
    let mut exit = Exit::Success;
    let mut documents = Vec::new();
    let (mut passed, mut failed, mut broken) = (0, 0, 0);
    for file in &files {
        let policy = match load::policy(file, false) {
            Ok(policy) => policy,
            Err(error) => {
                exit = exit.and(Exit::of(&error));
                if args.format == AnswerFormat::Json {
                    documents.push(refused(file, &error.diagnostics, &error.sources));
                } else {
                    output.report(&error.diagnostics, &error.sources, args.format.report());
                }
                continue;
            }
        };
        let results = claims::run(
            policy.checked(),
            policy.sources(),
            &mut load::reader_of(file),
        );
        let failures: Vec<_> = results
            .iter()
            .filter_map(|result| result.failure.clone())
            .collect();
        let refuted = soundness::refuted(&policy);
        if let Some(measure) = args.measure() {
            output.busy(&format!("{file}: looking at what tests leave open"));
            let failures = [failures, refuted].concat();
            let found = match failures.is_empty() {
                true => coverage::measured(measure, &policy, file, &results, output),
                // What fails measures nothing.
                false => Err(Diagnostics(failures)),
            };
            match found {
                Ok(found) => {
                    exit = exit.and(found.exit);
                    match args.format {
                        AnswerFormat::Json => documents.push(found.document),
                        AnswerFormat::Human | AnswerFormat::Plain => output.say(&found.text),
                    }
                }
                Err(problems) => {
                    exit = exit.and(Exit::Failure);
                    if args.format == AnswerFormat::Json {
                        documents.push(refused(file, &problems, policy.sources()));
                    } else {
                        output.report(&problems, policy.sources(), args.format.report());
                    }
                }
            }
            continue;
        }
        let unreached = unreached(&policy, &results);
        passed += results.len() - failures.len();
        failed += failures.len();
        broken += refuted.len();
        if !failures.is_empty() || !refuted.is_empty() {
            exit = exit.and(Exit::Failure);
        }
        match args.format {
            AnswerFormat::Json => {
                let mut document = document(file, &policy, &results, &unreached);
                let messages: Vec<_> = refuted.iter().map(|it| it.message.as_str()).collect();
                if let Some(map) = document.as_object_mut() {
                    map.insert("refuted".to_owned(), messages.into());
                }
                documents.push(document);
            }
            AnswerFormat::Human | AnswerFormat::Plain => {
                for result in &results {
                    let word = if result.failure.is_some() {
                        "FAIL"
                    } else {
                        "ok"
                    };
                    let place = policy.sources().place(result.span);
                    let issues = if result.issues.is_empty() {
                        String::new()
                    } else {
                        format!("  ({})", result.issues.join(", "))
                    };
                    output.say(&format!("{word:<4}  {place}  {}{issues}\n", result.name));
                }
                if let Some(inherited) = inherited(&policy, results.len() - failures.len()) {
                    output.say(&format!("note  {file}: {inherited}\n"));
                }
                for clause in &unreached {
                    output.say(&format!("note  {clause}: no test reaches it\n"));
                }
                output.report(
                    &Diagnostics([failures, refuted].concat()),
                    policy.sources(),
                    args.format.report(),
                );
            }
        }
    }
    match args.format {
        AnswerFormat::Json => {
            output.say_json(&serde_json::json!({ "policies": documents }));
        }
        AnswerFormat::Human | AnswerFormat::Plain if args.measure().is_some() => {}
        AnswerFormat::Human | AnswerFormat::Plain => {
            let claims = match broken {
                0 => String::new(),
                some => format!("; {} broken", count(some, "claim")),
            };
            output.say(&format!(
                "{passed} passed, {failed} failed, in {}{claims}\n",
                count(files.len(), "policy").replace("policys", "policies")
            ));
        }
    }
    exit
}

/// The clauses of the policy's own files that no test decides by, by name.
fn unreached(policy: &Policy, results: &[claims::TestResult]) -> Vec<String> {
    let reached: Vec<Span> = results
        .iter()
        .flat_map(|result| result.reached.clone())
        .collect();
    policy
        .program()
        .blocks()
        .map(|block| block.id)
        .filter(|id| !reached.contains(&policy.clause(*id).span))
        .map(|id| {
            let place = policy.sources().place(policy.clause(id).span);
            match &policy.clause(id).label {
                Some(label) => format!("[{label}] {place}"),
                None => place,
            }
        })
        .collect()
}

fn document(
    file: &str,
    policy: &Policy,
    results: &[claims::TestResult],
    unreached: &[String],
) -> serde_json::Value {
    let tests = results.iter().map(|result| {
        serde_json::json!({
            "name": result.name,
            "place": policy.sources().place(result.span),
            "passed": result.failure.is_none(),
            "message": result.failure.as_ref().map(|failure| &failure.message),
            "issues": result.issues,
        })
    });
    serde_json::json!({
        "file": file,
        "digest": policy.digest(),
        "tests": tests.collect::<Vec<_>>(),
        "unreached": unreached,
    })
}
