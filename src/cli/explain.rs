//! `gw explain`: what a policy says to one connection, and why.

use std::io::IsTerminal as _;

use super::Exit;
use super::load;
use super::output::{AnswerFormat, Output, colour};
use crate::diagnostic::{Code, Diagnostic};
use crate::explain::{Subject, explain, json, text};
use crate::facts::metadata::normalize_metadata;
use crate::facts::{AttributeId, Facts};
use crate::handshake::{self, Handshake, Observed};
use crate::lang::ast::StatementKind;
use crate::lang::check::{fact, settle};
use crate::lang::checked::NamedFact;
use crate::lang::parse::parse;
use crate::source::{Source, Sources, Span};

/// Says what a policy answers to a connection, and why
///
/// The connection is a recorded handshake: settings, socket, HTTP head, connect frame,
/// pairing records, time (docs/handshake.schema.json). Its facts are found by the code that
/// serves, each with where it came from, and the program that decides is what is explained.
/// Without a handshake, the facts given by --fact are completed with the defaults of
/// `gw schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw explain handshake.json
  gw explain handshake.json --policy policies/docker.policy
  gw explain handshake.json --fact auth=none        what if it had sent no token?
  gw explain --fact client=cli --fact auth=token --fact peer=127.0.0.1
  gw explain handshake.json --format json | jq .verdict

Exit codes: 0 answered, 1 the policy has errors, 2 wrong command line,
3 an input cannot be read, 4 refused (with --exit-code)")]
pub(super) struct Args {
    /// A recorded handshake; `-` reads standard input
    #[arg(value_name = "HANDSHAKE.json", required_unless_present = "fact")]
    handshake: Option<String>,

    /// The policy; without it, policies/default.policy or, where there is none, the built-in default
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,

    /// A fact as a policy writes it: NAME=VALUE, or a flag alone, or `not FLAG`
    #[arg(long, value_name = "FACT")]
    fact: Vec<String>,

    /// Show every fact and every guard
    #[arg(long)]
    all: bool,

    /// Exit with 4 when the connection is refused
    #[arg(long)]
    exit_code: bool,

    /// How to print the answer
    #[arg(long, value_enum, default_value_t)]
    format: AnswerFormat,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let named = match named_facts(&args.fact) {
        Ok(named) => named,
        Err((diagnostic, sources)) => {
            output.report_one(*diagnostic, &sources, args.format.report());
            return Exit::Usage;
        }
    };
    let (facts, mut subject) = match &args.handshake {
        None => (Facts::default(), None),
        Some(path) => match recorded(path) {
            Ok((facts, subject)) => (facts, Some(subject)),
            Err((diagnostic, sources)) => {
                output.report_one(*diagnostic, &sources, args.format.report());
                return Exit::Input;
            }
        },
    };
    let found = facts.clone();
    let facts = match settle(facts, &named.facts) {
        Ok((facts, _)) => facts,
        Err(diagnostic) => {
            output.report_one(*diagnostic, &named.sources, args.format.report());
            return Exit::Usage;
        }
    };
    let path = args.policy.clone().unwrap_or_else(load::default_policy);
    let policy = match load::policy(&path, false) {
        Ok(policy) => policy,
        Err(error) => {
            let unread = error.sources.iter().next().is_none();
            output.report(&error.diagnostics, &error.sources, args.format.report());
            return if unread { Exit::Input } else { Exit::Failure };
        }
    };
    let recorded = subject.is_some();
    let subject = subject.get_or_insert_with(|| Subject::of_facts(&facts));
    subject
        .evidence
        .resize(AttributeId::all().count(), String::new());
    for (id, evidence) in AttributeId::all().zip(&mut subject.evidence) {
        if named.facts.iter().any(|fact| fact.attribute == id) {
            *evidence = "given by --fact".to_owned();
        } else if id.show(&facts) != id.show(&found) {
            *evidence = "follows from --fact".to_owned();
        } else if !recorded {
            *evidence = "assumed".to_owned();
        }
    }
    let explanation = explain(&policy, &facts, subject);
    match args.format {
        AnswerFormat::Json => {
            let mut text =
                serde_json::to_string_pretty(&json::json(&explanation)).unwrap_or_default();
            text.push('\n');
            output.say(&text);
        }
        AnswerFormat::Human | AnswerFormat::Plain => {
            let drawn = args.format == AnswerFormat::Human;
            let colour = drawn && colour(std::io::stdout().is_terminal());
            output.say(&text::text(
                &explanation,
                text::Style {
                    drawn,
                    colour,
                    all: args.all,
                },
            ));
        }
    }
    if args.exit_code && !explanation.decision.verdict.admits() {
        Exit::Refused
    } else {
        Exit::Success
    }
}

struct NamedFacts {
    facts: Vec<NamedFact>,
    sources: Sources,
}

type Problem = (Box<Diagnostic>, Sources);

/// Reads `--fact` arguments as a policy writes facts; each is a small text of its own.
fn named_facts(arguments: &[String]) -> Result<NamedFacts, Problem> {
    let mut named = NamedFacts {
        facts: Vec::new(),
        sources: Sources::default(),
    };
    for argument in arguments {
        // The facts of a test are read by the grammar as a condition; a definition is the
        // shortest statement that has one.
        let prefix = "define fact = ";
        let source = Source::new("--fact", argument);
        let id = named.sources.add(source);
        let statement = Source::new("--fact", &format!("{prefix}{argument}"));
        let (ast, diagnostics) = parse(id, &statement);
        let moved = |mut diagnostic: Diagnostic, code: Code| {
            diagnostic.code = code;
            for label in &mut diagnostic.labels {
                label.span = shift(label.span, prefix.len());
            }
            Box::new(diagnostic)
        };
        if let Some(diagnostic) = diagnostics.0.into_iter().next() {
            return Err((moved(diagnostic, Code::InvalidFact), named.sources));
        }
        let Some(StatementKind::Define { condition, .. }) = ast
            .statements
            .into_iter()
            .next()
            .map(|statement| statement.kind)
        else {
            let diagnostic = Diagnostic::error(Code::InvalidFact, "a fact is missing after --fact")
                .help("write `--fact client=cli`, `--fact tls` or `--fact 'not tls'`");
            return Err((Box::new(diagnostic), named.sources));
        };
        match fact(&condition) {
            Ok(facts) => named.facts.extend(facts.into_iter().map(|fact| NamedFact {
                span: shift(fact.span, prefix.len()),
                ..fact
            })),
            Err(diagnostic) => {
                let code = diagnostic.code;
                return Err((moved(*diagnostic, code), named.sources));
            }
        }
    }
    if let Some(double) = named.facts.iter().enumerate().find_map(|(at, fact)| {
        named
            .facts
            .iter()
            .take(at)
            .find(|other| other.attribute == fact.attribute)
            .map(|_| fact)
    }) {
        let name = double.attribute.row().name;
        let diagnostic = Diagnostic::error(Code::InvalidFact, format!("`{name}` is given twice"))
            .label(double.span, "given again")
            .help("remove one of them");
        return Err((Box::new(diagnostic), named.sources));
    }
    Ok(named)
}

fn shift(span: Span, by: usize) -> Span {
    let by = u32::try_from(by).unwrap_or(0);
    Span {
        start: span.start.saturating_sub(by),
        end: span.end.saturating_sub(by),
        ..span
    }
}

/// The facts and the subject of a recorded handshake.
fn recorded(path: &str) -> Result<(Facts, Subject), Problem> {
    let text = load::read(path, load::MAX_HANDSHAKE_BYTES)
        .map_err(|error| (Box::new(load::unreadable(path, &error)), Sources::default()))?;
    let mut sources = Sources::default();
    // The text is shown where it is wrong; its secrets are not.
    let id = sources.add(Source::new(path, &handshake::masked(&text)));
    let handshake = handshake::parse(&text).map_err(|error| {
        let mut diagnostic = Diagnostic::error(Code::InvalidHandshake, error.message.clone());
        diagnostic = diagnostic.label(Span::new(id, error.range.clone()), "");
        diagnostic = diagnostic.maybe_help(error.help.clone());
        (Box::new(diagnostic), sources)
    })?;
    Ok(subject(&handshake))
}

fn subject(handshake: &Handshake) -> (Facts, Subject) {
    let Observed {
        facts,
        evidence,
        claims,
    } = handshake::observe(handshake);
    let record = handshake.pairing.record.as_ref();
    let owned = |names: &[Box<str>]| {
        names
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    let mut roles: Vec<String> = record
        .iter()
        .flat_map(|record| record.approved_roles())
        .map(str::to_owned)
        .collect();
    roles.sort();
    roles.dedup();
    let changed = |name: &str, was: Option<&str>, is: &str| {
        let was = was.filter(|was| !was.trim().is_empty())?;
        (normalize_metadata(was) != normalize_metadata(is)).then(|| {
            format!(
                "{name} was {}, is {}",
                was.trim(),
                if is.is_empty() { "not said" } else { is }
            )
        })
    };
    let changes = record.into_iter().flat_map(|record| {
        let family = claims.device_family.as_deref().unwrap_or_default();
        [
            changed("platform", record.platform.as_deref(), &claims.platform),
            changed("device family", record.device_family.as_deref(), family),
        ]
    });
    let subject = Subject {
        device: claims.device.as_ref().map(|device| device.id.to_string()),
        requested_scopes: owned(&claims.scopes),
        requested_role: claims.role.name().to_owned(),
        approved_scopes: record
            .map(|record| owned(record.baseline()))
            .unwrap_or_default(),
        approved_roles: roles,
        changes: changes.flatten().collect(),
        evidence: AttributeId::all()
            .map(|id| evidence.get(id).show(id, handshake, &facts))
            .collect(),
    };
    (facts, subject)
}
