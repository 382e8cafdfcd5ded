//! `gw config`: what is wrong with a configuration, and what counts.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;

use super::check::count;
use super::output::{AnswerFormat, Output, ReportFormat};
use super::overrides::OverrideArgs;
use super::serve::state;
use super::trouble::clean_line;
use super::{Exit, constants, load, owner, upstream};
use crate::config::{
    Config, ConfigError, FILE, Named, Origin, Overrides, Surroundings, TOKEN, Token,
};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use crate::host::{Local, token};
use crate::policy::{Policy, PolicyError};
use crate::server::tls::{Certificates, TlsError};
use crate::settings::Settings;
use crate::source::Sources;

/// The largest configuration, in bytes.
const MAX_BYTES: u64 = 1 << 18;

/// Looks at a configuration without serving
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(CheckArgs),
    Show(ShowArgs),
}

/// Finds everything that is wrong with a configuration
///
/// Reads the configuration as `gw serve` would, with the secrets, the policy, the certificate and
/// the state folder that it names, and reports all that is wrong in one run, with its place and
/// what to do. Secrets are named by their key, and never shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw config check
  gw config check --strict /etc/gw/gw.yaml
  gw config check --config /etc/gw/gw.yaml --state scratch       as `gw serve` takes them
  gw config check --bind lan --token-env GW_TOKEN

Exit codes: 0 no errors, 1 errors, 2 wrong command line, 3 a file cannot be read")]
struct CheckArgs {
    #[command(flatten)]
    file: FileArgs,

    /// Let warnings count as errors
    #[arg(long)]
    strict: bool,

    /// How to print what was found
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,

    #[command(flatten)]
    overrides: OverrideArgs,
}

/// Prints every setting with its value and where that comes from
///
/// Secrets are masked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw config show
  gw config show --format json /etc/gw/gw.yaml
  gw config show --port 19000 --tls auto")]
struct ShowArgs {
    #[command(flatten)]
    file: FileArgs,

    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: AnswerFormat,

    #[command(flatten)]
    overrides: OverrideArgs,
}

/// Which configuration.
#[derive(Debug, clap::Args)]
struct FileArgs {
    /// The configuration; without one, gw.yaml or, where there is none, the defaults
    #[arg(conflicts_with = "config")]
    file: Option<String>,

    /// The same, as `gw serve` takes it
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
}

impl FileArgs {
    fn named(&self) -> Option<&str> {
        self.file.as_deref().or(self.config.as_deref())
    }
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    match &args.command {
        Command::Check(args) => check(args, output),
        Command::Show(args) => show(args, output),
    }
}

/// Reads a configuration as it will be served: the one that is named, or the one in the folder
/// that the user is in, or none.
pub(super) fn read(file: Option<&str>, overrides: &OverrideArgs) -> Result<Config, Unread> {
    read_with(file, &overrides.overrides())
}

/// The same, with what counts instead of the configuration.
pub(super) fn read_with(file: Option<&str>, overrides: &Overrides) -> Result<Config, Unread> {
    let host = Local {
        built_in: load::built_in,
    };
    read_over(file.or(here()), overrides, &host)
}

/// The configuration that is read where none is named, if it is there.
pub(super) fn here() -> Option<&'static str> {
    Path::new(FILE).exists().then_some(FILE)
}

/// The configuration that is named, or none, on a host: what is in the folder counts for nothing.
pub(super) fn read_on(
    file: Option<&str>,
    overrides: &OverrideArgs,
    host: &dyn Surroundings,
) -> Result<Config, Unread> {
    read_over(file, &overrides.overrides(), host)
}

fn read_over(
    file: Option<&str>,
    overrides: &Overrides,
    host: &dyn Surroundings,
) -> Result<Config, Unread> {
    let text = match file {
        Some(file) => Some(load::read(file, MAX_BYTES).map_err(|error| Unread {
            exit: Exit::Input,
            diagnostics: Diagnostics(vec![load::unreadable(file, &error)]),
            sources: Sources::default(),
            named: None,
        })?),
        None => None,
    };
    let read = Config::read(file.zip(text.as_deref()), overrides, host);
    read.map_err(
        |ConfigError {
             diagnostics,
             sources,
             named,
         }| Unread {
            exit: Exit::Failure,
            diagnostics,
            sources,
            named,
        },
    )
}

/// Why there is no configuration, and what that means for the exit code.
pub(super) struct Unread {
    exit: Exit,
    diagnostics: Diagnostics,
    sources: Sources,
    named: Option<Box<Named>>,
}

impl Unread {
    /// The state folder that it names, where it could be read so far.
    pub(super) fn state(&self) -> Option<PathBuf> {
        self.named.as_ref().map(|named| named.state.clone())
    }

    /// That it does not count, for people who go on with what is there without it.
    pub(super) fn warning(&self, goes_on: &str, there: &str) -> String {
        let mut output = Output::default();
        let mut diagnostics = self.diagnostics.clone();
        for diagnostic in &mut diagnostics.0 {
            diagnostic.severity = Severity::Warning;
        }
        output.report(&diagnostics, &self.sources, ReportFormat::Human);
        format!(
            "{}warning: the configuration does not load; {goes_on}: {}\n",
            output.complaints(),
            clean_line(there)
        )
    }

    /// Tells it.
    pub(super) fn report(&self, output: &mut Output, format: ReportFormat) -> Exit {
        output.report(&self.diagnostics, &self.sources, format);
        self.exit
    }
}

/// The policy that a configuration names.
pub(super) fn policy(named: &Named) -> Result<Policy, PolicyError> {
    let policy = load::policy(&named.policy, true);
    policy.map_err(|error| of_policy(named, error))
}

/// What is wrong with a policy. Of one that is not there nothing but its name can be shown: the error
/// has no texts then, and its place is in those of the configuration.
pub(super) fn of_policy(named: &Named, mut error: PolicyError) -> PolicyError {
    let unread = error.sources.iter().next().is_none();
    if !unread || load::is_built_in(&named.policy) {
        return error;
    }
    for diagnostic in &mut error.diagnostics.0 {
        diagnostic.help.clear();
        let told = named.at(diagnostic.clone(), "policy");
        *diagnostic = told.help(format!("check it; {}", named.relative_to("policy")));
    }
    error
}

/// What is wrong with a certificate, with its place.
pub(super) fn of_tls(named: &Named, error: &TlsError) -> Diagnostic {
    let diagnostic = Diagnostic::error(Code::InvalidConfig, error.message());
    let diagnostic = named.at(diagnostic, &error.key.to_string());
    diagnostic.help(error.remedy())
}

/// What a start would find wrong beside the configuration itself: policy, constants, certificate,
/// state folder, token. Whether the policy lets the owner in is asked under `settings`, where the
/// configuration gives any. Nothing is written.
fn beside(
    named: &Named,
    settings: Option<&Settings>,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Exit {
    let mut exit = Exit::Success;
    let errors = Certificates::check(&named.tls, &named.state, SystemTime::now());
    for error in &errors {
        diagnostics.push(of_tls(named, error));
        exit = exit.and(Exit::Failure);
    }
    let behind = named.upstream.as_ref();
    if let Some(Err(diagnostic)) = behind.map(|behind| upstream::target(named, behind)) {
        diagnostics.push(*diagnostic);
        exit = exit.and(Exit::Failure);
    }
    let mut wrong = |message: String, help: String| {
        let diagnostic = Diagnostic::error(Code::InvalidConfig, message);
        diagnostics.push(named.at(diagnostic, "state").help(help));
        exit = exit.and(Exit::Failure);
    };
    if let Some((message, help)) = state::unfit(&named.state) {
        wrong(message, help);
    } else if named.token == Token::Generate {
        let file = named.state.join(TOKEN);
        // Only the gateway makes one.
        if let Some(error) = file.exists().then(|| token::made(&file).err()).flatten() {
            wrong(error, "the made token is kept there".to_owned());
        }
    }
    let (found, texts) = match policy(named) {
        Ok(policy) => {
            if let Err((diagnostic, texts)) = constants::of(&named.policy) {
                let distance = sources.append(&texts);
                diagnostics.append(&Diagnostics(vec![*diagnostic]), distance);
                exit = exit.and(Exit::Failure);
            }
            let mut found = policy.warnings().clone();
            let way_in = settings.and_then(|settings| owner::warning(&policy, settings));
            found.0.extend(way_in);
            (found, policy.sources().clone())
        }
        Err(error) => {
            exit = exit.and(Exit::of(&error));
            (error.diagnostics, error.sources)
        }
    };
    let distance = match texts.iter().next() {
        Some(_) => sources.append(&texts),
        None => 0,
    };
    diagnostics.append(&found, distance);
    exit
}

/// What a start would find, and what it would start with.
pub(super) struct Checked {
    /// What the configuration is called.
    pub(super) name: String,
    pub(super) exit: Exit,
    pub(super) diagnostics: Diagnostics,
    pub(super) sources: Sources,
    /// The configuration, where it is one.
    pub(super) config: Option<Config>,
}

impl Checked {
    /// What it comes to: how many errors there are, or that it will do; and how many warnings.
    pub(super) fn told(&self) -> String {
        let errors = self.diagnostics.errors();
        let warnings = match self.diagnostics.0.len() - errors {
            0 => String::new(),
            warnings => format!(", {}", count(warnings, "warning")),
        };
        match self.exit == Exit::Success {
            true => format!("{}: it will do{warnings}", self.name),
            false => format!("{}: {}{warnings}", self.name, count(errors, "error")),
        }
    }
}

/// Finds everything that a start would find wrong. Nothing is written.
pub(super) fn checked(file: Option<&str>, overrides: &OverrideArgs) -> Checked {
    let name = file.or(here()).unwrap_or("the defaults").to_owned();
    let (mut exit, mut diagnostics, mut sources, named, config) = match read(file, overrides) {
        Err(unread) => (
            unread.exit,
            unread.diagnostics,
            unread.sources,
            unread.named.map(|named| *named),
            None,
        ),
        Ok(config) => (
            Exit::Success,
            config.warnings().clone(),
            config.sources().clone(),
            Some(config.named()),
            Some(config),
        ),
    };
    if let Some(named) = named {
        if let Some(diagnostic) = config.as_ref().and_then(upstream::itself) {
            diagnostics.push(*diagnostic);
            exit = exit.and(Exit::Failure);
        }
        let settings = config.as_ref().map(constants::settings);
        exit = exit.and(beside(
            &named,
            settings.as_ref(),
            &mut sources,
            &mut diagnostics,
        ));
        diagnostics.sort();
    }
    Checked {
        name,
        exit,
        diagnostics,
        sources,
        config,
    }
}

fn check(args: &CheckArgs, output: &mut Output) -> Exit {
    let mut checked = checked(args.file.named(), &args.overrides);
    if args.strict && !checked.diagnostics.is_empty() {
        for diagnostic in &mut checked.diagnostics.0 {
            diagnostic.severity = Severity::Error;
        }
        checked.exit = checked.exit.and(Exit::Failure);
    }
    output.report(&checked.diagnostics, &checked.sources, args.format);
    if matches!(args.format, ReportFormat::Human | ReportFormat::Plain) {
        output.say(&format!("{}\n", checked.told()));
    }
    checked.exit
}

fn show(args: &ShowArgs, output: &mut Output) -> Exit {
    let config = match read(args.file.named(), &args.overrides) {
        Ok(config) => config,
        Err(unread) => return unread.report(output, args.format.report()),
    };
    match args.format {
        AnswerFormat::Human => {
            let width = |text: &str| text.chars().count();
            let keys = config.shown().iter().map(|shown| width(shown.key)).max();
            let values = config
                .shown()
                .iter()
                .map(|shown| width(&shown.value).min(40))
                .max();
            let (keys, values) = (keys.unwrap_or(0), values.unwrap_or(0));
            for shown in config.shown() {
                let from = if shown.from == Origin::Default {
                    String::new()
                } else {
                    shown.from.to_string()
                };
                let line = format!("{:keys$}  {:values$}  {from}", shown.key, shown.value);
                output.say(crate::source::printable_line(line.trim_end()).as_str());
                output.say("\n");
            }
        }
        AnswerFormat::Plain => {
            for shown in config.shown() {
                let line = format!("{}: {} ({})", shown.key, shown.value, shown.from);
                output.say(&crate::source::printable_line(&line));
                output.say("\n");
            }
        }
        AnswerFormat::Json => {
            let settings = config.shown().iter().map(|shown| {
                let kind = shown.from.kind();
                let from = match &shown.from {
                    Origin::Default => json!({ "kind": kind }),
                    Origin::File { line } => json!({ "kind": kind, "line": line }),
                    Origin::Flag(flag) => json!({ "kind": kind, "flag": flag }),
                    Origin::Environment(name) => json!({ "kind": kind, "variable": name }),
                };
                json!({ "key": shown.key, "value": shown.value, "from": from })
            });
            output.say_json(&json!({ "settings": settings.collect::<Vec<_>>() }));
        }
    }
    Exit::Success
}
