//! `gw check-policy`: everything that is wrong with policies.

use serde_json::json;

use super::fix::Mended;
use super::output::{Output, ReportFormat};
use super::trust::Everybody;
use super::{Exit, constants, fix, load, owner};
use crate::diagnostic::render::{Format, render};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Fix, Severity, suggest};
use crate::lang::Checked;
use crate::lang::parse::parse;
use crate::lint::{Search, lint_analysed};
use crate::policy::{Policy, PolicyError};
use crate::repair::is_proved;
use crate::settings::Settings;
use crate::source::Sources;

/// Finds everything that is wrong with policies
///
/// Reads each policy with what it includes and extends, checks names, types and stages,
/// runs its tests, proves what it claims, and looks for what decides nothing; and the YAML file with the constants of a release, beside it. Every statement that is wrong is reported in one run, with its place
/// and what to do. A policy that
/// has errors does not load anywhere else either, unless all of them are rules and guards that decide
/// nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw check-policy                        the default policy
  gw check-policy policies/*.policy
  gw check-policy --deny warning my.policy
  gw check-policy --fix --dry-run my.policy
  gw check-policy --trust my.policy      how far attackers get, in a table
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

    /// What fails beside errors
    #[arg(long, value_enum, value_name = "SEVERITY")]
    deny: Option<Deny>,

    /// Print how far each attacker gets under each policy (docs/trust.md)
    #[arg(long)]
    trust: bool,

    /// Look for refusals whose way on leads nowhere, too, which takes longer (docs/dead-ends.md)
    #[arg(long)]
    dead_ends: bool,

    /// Do away in the file with what is found, where that is proved to change no verdict
    #[arg(long, conflicts_with = "explain")]
    fix: bool,

    /// With --fix: print the patch, and write nothing
    #[arg(long, requires = "fix", alias = "diff")]
    dry_run: bool,

    /// With --fix: do away with findings of this code though that changes what is decided
    #[arg(long, requires = "fix", value_name = "CODE", value_delimiter = ',', value_parser = code)]
    semantic: Vec<Code>,

    /// How many nodes the analysis of a policy may make; none is let through unanalysed
    #[arg(long, value_name = "COUNT", default_value_t = 4_000_000)]
    max_nodes: usize,

    /// Print the page about a diagnostic, and check nothing
    #[arg(long, value_name = "CODE", conflicts_with = "files")]
    explain: Option<String>,
}

/// The diagnostic of a name.
fn code(name: &str) -> Result<Code, String> {
    let names = || Code::ALL.iter().map(|code| code.name());
    Code::parse(name).ok_or_else(|| {
        let near = suggest::did_you_mean(name, names());
        near.unwrap_or_else(|| "`gw check-policy` prints the codes in brackets".to_owned())
    })
}

/// What fails beside errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Deny {
    /// Whatever is suspicious.
    Warning,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    if let Some(code) = &args.explain {
        return page(code, output);
    }
    let files = load::named_or_default(&args.files);
    let search = Search {
        nodes: args.max_nodes,
        dead_ends: args.dead_ends,
    };
    let asked = fix::Asked {
        dry_run: args.dry_run,
        semantic: &args.semantic,
        search,
        files: &files,
    };
    let mut exit = Exit::Success;
    // One document for all files: the ids of each file's texts are moved behind the others.
    let mut all = Diagnostics::default();
    let mut sources = Sources::default();
    let mut summary = String::new();
    let mut tables = Vec::new();
    let mut fixes = Vec::new();
    let mut offers = String::new();
    for file in &files {
        output.busy(&format!("{file}: looking at all connections"));
        let constants = constants::of(file);
        let loaded = match args.fix {
            false => load::analysed(file),
            true => fix::mend(file, &asked).map(|mended| {
                if mended.has_failed() {
                    exit = exit.and(Exit::Input);
                }
                let policy = mended.policy().clone();
                fixes.push(mended);
                (policy, None)
            }),
        };
        match loaded {
            Ok((policy, analysed)) => {
                let checked = policy.checked();
                summary.push_str(&format!(
                    "{file}: {}, {}, {}, policy {}\n",
                    count(checked.guards.len(), "guard"),
                    count(checked.rules.len(), "rule"),
                    tests(&policy),
                    policy.digest()
                ));
                let distance = sources.append(policy.sources());
                all.append(policy.warnings(), distance);
                let mut suspicious = Diagnostics(lint_analysed(&policy, analysed, search));
                if args.format == ReportFormat::Sarif {
                    proved(&mut suspicious, &policy, file);
                }
                if suspicious.has_errors() {
                    exit = exit.and(Exit::Failure);
                }
                all.append(&suspicious, distance);
                if args.trust {
                    match Everybody::find(&policy, file, args.max_nodes) {
                        Ok(everybody) => tables.push((file, everybody)),
                        // The lints have said so.
                        Err(_too_much) => exit = exit.and(Exit::Failure),
                    }
                }
                // What a release decides it decides under its own constants.
                let mut settings = Settings::default();
                if let Ok(Some(constants)) = &constants {
                    settings.compatibility = constants.clone();
                }
                let way_in = owner::warning(&policy, &settings);
                all.append(&Diagnostics(way_in.into_iter().collect()), distance);
            }
            Err(error) if is_vocabulary(&error) => summary.push_str(&format!(
                "{file}: can be included; it decides nothing by itself\n"
            )),
            Err(error) => {
                if args.fix {
                    offers.extend(fix::offered(file, &error, args.max_nodes));
                }
                exit = exit.and(Exit::of(&error));
                summary.push_str(&format!(
                    "{file}: {}\n",
                    count(error.diagnostics.errors(), "error")
                ));
                let distance = sources.append(&error.sources);
                all.append(&error.diagnostics, distance);
            }
        }
        if let Err((diagnostic, texts)) = constants {
            exit = exit.and(Exit::Failure);
            summary.push_str(&format!("{file}: its constants cannot be read\n"));
            let distance = sources.append(&texts);
            all.append(&Diagnostics(vec![*diagnostic]), distance);
        }
    }
    let is_denied = |found: &Diagnostic| found.severity == Severity::Warning;
    if args.deny == Some(Deny::Warning) && all.0.iter().any(is_denied) {
        exit = exit.and(Exit::Failure);
    }
    match args.format {
        ReportFormat::Human | ReportFormat::Plain => {
            fixes.iter().for_each(|it| it.say(args.dry_run, output));
            output.say(&offers);
            output.report(&all, &sources, args.format);
            for (file, everybody) in &tables {
                output.say(&format!("{}\n", everybody.drawn(file)));
            }
            // Standard output has the policy itself.
            match fixes.iter().any(|it| it.is_printed(args.dry_run)) {
                true => output.complain(&summary),
                false => output.say(&summary),
            }
        }
        ReportFormat::Json | ReportFormat::Sarif if args.trust || args.fix => {
            let (format, at) = match args.format {
                ReportFormat::Sarif => (Format::Sarif, "/runs/0/properties"),
                ReportFormat::Human | ReportFormat::Plain | ReportFormat::Json => {
                    (Format::Json, "")
                }
            };
            let found = render(&all, &sources, format);
            let mut document: serde_json::Value = serde_json::from_str(&found).unwrap_or_default();
            if let Some(run) = document
                .pointer_mut("/runs/0")
                .and_then(|it| it.as_object_mut())
            {
                run.insert("properties".to_owned(), json!({}));
            }
            let tables = tables.iter().map(
                |(file, everybody)| json!({ "policy": file, "attackers": everybody.document() }),
            );
            if let Some(document) = document.pointer_mut(at).and_then(|it| it.as_object_mut()) {
                if args.trust {
                    document.insert("trust".to_owned(), tables.collect());
                }
                if args.fix {
                    let fixes = fixes.iter().map(Mended::document);
                    document.insert("fixes".to_owned(), fixes.collect());
                }
            }
            output.say_json(&document);
        }
        ReportFormat::Json | ReportFormat::Sarif => output.report(&all, &sources, args.format),
    }
    exit
}

/// Leaves those edits that are proved to leave the meaning of a policy unchanged.
fn proved(found: &mut Diagnostics, policy: &Policy, file: &str) {
    let mut load = |text: &str| Policy::load(file, text, &mut load::reader_of(file));
    for found in &mut found.0 {
        let is_proved = |fix: &Fix| fix.keeps_meaning() && is_proved(policy, fix, &mut load);
        found.fixes.retain(is_proved);
    }
}

/// Whether a file that does not load is one to be included: it lacks a default, and nothing
/// else is wrong with it.
fn is_vocabulary(error: &PolicyError) -> bool {
    let lacks = |code| code == Code::MissingDefault;
    error.diagnostics.0.iter().all(|found| lacks(found.code))
        && error.sources.iter().next().is_some_and(|(id, source)| {
            let (ast, _) = parse(id, source);
            ast.is_vocabulary()
        })
}

fn count_tests(checked: &Checked) -> usize {
    checked.tests.len() + checked.base.as_ref().map_or(0, |base| count_tests(base))
}

/// How many tests passed, of a policy that loads; and whose they are, where none is its own.
fn tests(policy: &Policy) -> String {
    let tests = count_tests(policy.checked());
    inherited(policy, tests).unwrap_or_else(|| format!("{} passed", count(tests, "test")))
}

/// What is said of a policy that has no tests of its own: how many of what it extends passed.
pub(super) fn inherited(policy: &Policy, passed: usize) -> Option<String> {
    if !policy.checked().tests.is_empty() {
        return None;
    }
    let mut base = policy.checked().base.as_deref();
    while let Some(checked) = base {
        if let Some(test) = checked.tests.first() {
            let source = policy.sources().get(test.span.source)?;
            let name = source.name.rsplit(['/', '\\', ':']).next()?;
            return Some(format!("no tests of its own, {passed} of {name} passed"));
        }
        base = checked.base.as_deref();
    }
    Some("no tests".to_owned())
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
