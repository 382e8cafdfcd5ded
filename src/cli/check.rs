//! `gw check-policy`: everything that is wrong with policies.

use serde_json::{Value, json};

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
    let mut checking = Checking {
        args,
        files: &files,
        exit: Exit::Success,
        found: Diagnostics::default(),
        sources: Sources::default(),
        summary: String::new(),
        tables: Vec::new(),
        fixes: Vec::new(),
        offers: String::new(),
    };
    for file in &files {
        output.busy(&format!("{file}: looking at all connections"));
        checking.check(file);
    }
    checking.print(output)
}

/// What is found in all files of a command line: one document.
struct Checking<'a> {
    args: &'a Args,
    files: &'a [String],
    exit: Exit,
    found: Diagnostics,
    /// The texts of all files: the ids of each file's are moved behind those of the files before.
    sources: Sources,
    /// A line for each file.
    summary: String,
    /// How far attackers get under it, for each file.
    tables: Vec<(&'a str, Everybody)>,
    fixes: Vec<Mended>,
    /// What could be done about policies that do not load.
    offers: String,
}

impl<'a> Checking<'a> {
    fn search(&self) -> Search {
        Search {
            nodes: self.args.max_nodes,
            dead_ends: self.args.dead_ends,
        }
    }

    fn check(&mut self, file: &'a str) {
        let constants = constants::of(file);
        let loaded = match self.args.fix {
            false => load::analysed(file),
            true => self.mend(file).map(|policy| (policy, None)),
        };
        match loaded {
            Ok((policy, analysed)) => {
                let suspicious = Diagnostics(lint_analysed(&policy, analysed, self.search()));
                // What a release decides it decides under its own constants.
                let mut settings = Settings::default();
                if let Ok(Some(constants)) = &constants {
                    settings.compatibility = constants.clone();
                }
                self.add(file, &policy, suspicious, &settings);
            }
            Err(error) if is_vocabulary(&error) => self.summary.push_str(&format!(
                "{file}: can be included; it decides nothing by itself\n"
            )),
            Err(error) => {
                if self.args.fix {
                    let nodes = self.args.max_nodes;
                    self.offers.extend(fix::offered(file, &error, nodes));
                }
                let exit = Exit::of(&error);
                self.exit = self.exit.and(exit);
                self.summary.push_str(&format!(
                    "{file}: {}{}\n",
                    count(error.diagnostics.errors(), "error"),
                    if exit == Exit::Input {
                        ""
                    } else {
                        "; nothing more is known of a policy that does not load"
                    }
                ));
                let distance = self.sources.append(&error.sources);
                self.found.append(&error.diagnostics, distance);
            }
        }
        if let Err((diagnostic, texts)) = constants {
            self.exit = self.exit.and(Exit::Failure);
            let line = format!("{file}: its constants cannot be read\n");
            self.summary.push_str(&line);
            let distance = self.sources.append(&texts);
            self.found.append(&Diagnostics(vec![*diagnostic]), distance);
        }
    }

    /// Gives the policy that the file has then.
    fn mend(&mut self, file: &str) -> Result<Policy, PolicyError> {
        let asked = fix::Asked {
            dry_run: self.args.dry_run,
            semantic: &self.args.semantic,
            search: self.search(),
            files: self.files,
        };
        let mended = fix::mend(file, &asked)?;
        if mended.has_failed() {
            self.exit = self.exit.and(Exit::Input);
        }
        if mended.has_left(&self.args.semantic) {
            self.exit = self.exit.and(Exit::Failure);
        }
        let policy = mended.policy().clone();
        self.fixes.push(mended);
        Ok(policy)
    }

    /// Adds what there is to say of a policy that loads.
    fn add(
        &mut self,
        file: &'a str,
        policy: &Policy,
        mut suspicious: Diagnostics,
        settings: &Settings,
    ) {
        let checked = policy.checked();
        self.summary.push_str(&format!(
            "{file}: {}, {}, {}, policy {}\n",
            count(checked.guards.len(), "guard"),
            count(checked.rules.len(), "rule"),
            tests(policy),
            policy.digest()
        ));
        let mut warnings = policy.warnings().clone();
        if let Some(mended) = self.fixes.last() {
            for found in [&mut warnings, &mut suspicious] {
                found.0.retain(|found| !mended.would_mend(found));
            }
        }
        let distance = self.sources.append(policy.sources());
        self.found.append(&warnings, distance);
        if self.args.format == ReportFormat::Sarif {
            proved(&mut suspicious, policy, file);
        }
        if suspicious.has_errors() {
            self.exit = self.exit.and(Exit::Failure);
        }
        self.found.append(&suspicious, distance);
        if self.args.trust {
            match Everybody::find(policy, file, self.args.max_nodes) {
                Ok(everybody) => self.tables.push((file, everybody)),
                // The lints have said so.
                Err(_too_much) => self.exit = self.exit.and(Exit::Failure),
            }
        }
        let way_in = owner::warning(policy, settings);
        let way_in = Diagnostics(way_in.into_iter().collect());
        self.found.append(&way_in, distance);
    }

    fn print(mut self, output: &mut Output) -> Exit {
        let is_denied = |found: &Diagnostic| found.severity == Severity::Warning;
        if self.args.deny == Some(Deny::Warning) && self.found.0.iter().any(is_denied) {
            self.exit = self.exit.and(Exit::Failure);
        }
        let format = self.args.format;
        match format {
            ReportFormat::Human | ReportFormat::Plain => {
                let dry_run = self.args.dry_run;
                self.fixes.iter().for_each(|it| it.say(dry_run, output));
                output.say(&self.offers);
                output.report(&self.found, &self.sources, format);
                for (file, everybody) in &self.tables {
                    output.say(&format!("{}\n", everybody.drawn(file)));
                }
                // Standard output has the policy itself.
                match self.fixes.iter().any(|it| it.is_printed(dry_run)) {
                    true => output.complain(&self.summary),
                    false => output.say(&self.summary),
                }
            }
            ReportFormat::Json | ReportFormat::Sarif if self.args.trust || self.args.fix => {
                output.say_json(&self.document());
            }
            ReportFormat::Json | ReportFormat::Sarif => {
                output.report(&self.found, &self.sources, format);
            }
        }
        self.exit
    }

    /// The findings as a document, with what was asked for beside them: in JSON beside the
    /// findings, in SARIF among the properties of the run.
    fn document(&self) -> Value {
        let (format, at) = match self.args.format {
            ReportFormat::Sarif => (Format::Sarif, "/runs/0"),
            ReportFormat::Human | ReportFormat::Plain | ReportFormat::Json => (Format::Json, ""),
        };
        let found = render(&self.found, &self.sources, format);
        let mut document: Value = serde_json::from_str(&found).unwrap_or_default();
        let mut beside = document.pointer_mut(at);
        if format == Format::Sarif {
            beside = beside.map(|run| &mut run["properties"]);
        }
        if let Some(beside) = beside {
            if self.args.trust {
                let tables = self.tables.iter().map(|(file, everybody)| {
                    json!({ "policy": file, "attackers": everybody.document() })
                });
                beside["trust"] = tables.collect();
            }
            if self.args.fix {
                beside["fixes"] = self.fixes.iter().map(Mended::document).collect();
            }
        }
        document
    }
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

/// Whether a word begins as another one does that is written to its end, or longer: `shadow`,
/// `shadowed`, `shadowing`.
fn is_begun(word: &str, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.len() > 2 && (word.starts_with(&text) || (word.len() > 3 && text.starts_with(word)))
}

fn page(code: &str, output: &mut Output) -> Exit {
    match Code::parse(code) {
        Some(code) => {
            output.say(code.page());
            Exit::Success
        }
        None => {
            let names = || Code::ALL.iter().map(|code| code.name());
            // Of a name often one word is remembered.
            let near = suggest::nearest(code, names());
            let has_it = || names().filter(|name| name.split('-').any(|word| is_begun(word, code)));
            let meant: Vec<&str> = near.map_or_else(|| has_it().collect(), |near| vec![near]);
            let meant: Vec<String> = meant.iter().map(|name| format!("`{name}`")).collect();
            let help = match meant.is_empty() {
                false => Some(format!("did you mean {}?", meant.join(" or "))),
                true => None,
            };
            let help = help.unwrap_or_else(|| {
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
