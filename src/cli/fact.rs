//! `--fact` and `--to`: facts and verdicts as a policy writes them, from the command line.

use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::facts::AttributeId;
use crate::facts::attributes::Kind;
use crate::lang::ast::StatementKind;
use crate::lang::check::{expected, fact};
use crate::lang::checked::{Expected, NamedFact};
use crate::lang::parse::parse;
use crate::source::{Source, Sources, Span};

/// What stands before an argument so that the grammar reads it as a condition: a definition is
/// the shortest statement that has one.
const PREFIX: &str = "define fact = ";

/// How a help begins that shows the statement that the grammar was given.
const STATEMENT: &str = "such a statement looks like";

/// How facts are given.
const FORM: &str = "write `--fact client=cli`, `--fact tls` or `--fact 'not tls'`";

/// Facts that were named, with the arguments as texts.
#[derive(Default)]
pub(super) struct NamedFacts {
    /// The facts.
    pub(super) facts: Vec<NamedFact>,
    /// Those that are said not to be known.
    pub(super) unknown: Vec<AttributeId>,
    /// One text for each argument.
    pub(super) sources: Sources,
}

/// A problem with the texts it is in.
pub(super) type Problem = (Box<Diagnostic>, Sources);

/// Reads the arguments; each is one fact, or several joined by `and`.
pub(super) fn read(arguments: &[String]) -> Result<NamedFacts, Problem> {
    let mut named = NamedFacts {
        facts: Vec::new(),
        unknown: Vec::new(),
        sources: Sources::default(),
    };
    for argument in arguments {
        if let Some(name) = argument.trim().strip_suffix('?') {
            match unknown(argument, name, &mut named) {
                Ok(()) => continue,
                Err(diagnostic) => return Err((diagnostic, named.sources)),
            }
        }
        match one(argument, &mut named.sources) {
            Ok(facts) => named.facts.extend(facts),
            Err(diagnostic) => return Err((diagnostic, named.sources)),
        }
    }
    let twice = named.facts.iter().enumerate().find(|(at, fact)| {
        named
            .facts
            .iter()
            .take(*at)
            .any(|other| other.attribute == fact.attribute)
    });
    let said = |fact: &&NamedFact| named.unknown.contains(&fact.attribute);
    if let Some(both) = named.facts.iter().find(said) {
        let name = both.attribute.row().name;
        let message = format!("`{name}` is given, and said not to be known");
        let diagnostic = Diagnostic::error(Code::InvalidFact, message)
            .label(both.span, "given here")
            .help("remove one of them");
        return Err((Box::new(diagnostic), named.sources));
    }
    if let Some((_, double)) = twice {
        let name = double.attribute.row().name;
        let diagnostic = Diagnostic::error(Code::InvalidFact, format!("`{name}` is given twice"))
            .label(double.span, "given again")
            .help("remove one of them");
        return Err((Box::new(diagnostic), named.sources));
    }
    Ok(named)
}

/// A fact that is not known: `NAME=?`.
fn unknown(argument: &str, name: &str, named: &mut NamedFacts) -> Result<(), Box<Diagnostic>> {
    let name = name.trim().trim_end_matches('=').trim();
    let Some(id) = AttributeId::named(name) else {
        let source = named.sources.add(Source::new("--fact", argument));
        let names = AttributeId::all().map(|id| id.row().name);
        let nearest = suggest::nearest(name, names);
        let message = format!("there is no attribute `{name}`");
        let help = nearest.map(|nearest| format!("did you mean `{nearest}=?`"));
        return Err(Box::new(
            Diagnostic::error(Code::UnknownAttribute, message)
                .label(Span::new(source, 0..name.len().min(argument.len())), "")
                .maybe_help(help)
                .help("what is not known is written alone: `--fact peer=?`"),
        ));
    };
    if !named.unknown.contains(&id) {
        named.unknown.push(id);
    }
    Ok(())
}

/// What stands before a verdict so that the grammar reads it: a test expects one.
const EXPECTS: &str = "test \"to\": tls → ";

/// Reads a verdict as a test expects it.
pub(super) fn verdict(argument: &str) -> Result<Expected, Problem> {
    let mut sources = Sources::default();
    let id = sources.add(Source::new("--to", argument));
    let statement = Source::new("--to", &format!("{EXPECTS}{argument}"));
    let (ast, diagnostics) = parse(id, &statement);
    let read = match diagnostics.0.into_iter().next() {
        Some(diagnostic) => Err(Box::new(diagnostic)),
        None => match ast.statements.into_iter().next().map(|it| it.kind) {
            Some(StatementKind::Test { expected: text, .. }) => expected(&text),
            _ => Err(Box::new(
                Diagnostic::error(Code::UnknownVerdict, "this is no verdict")
                    .label(Span::new(id, 0..argument.len()), "")
                    .help(
                        "write `--to admit`, `--to silent-approve`, `--to 'reject(token-missing)'`",
                    ),
            )),
        },
    };
    read.map_err(|mut diagnostic| {
        for label in &mut diagnostic.labels {
            label.span = back(label.span, EXPECTS.len());
        }
        (diagnostic, sources)
    })
}

fn one(argument: &str, sources: &mut Sources) -> Result<Vec<NamedFact>, Box<Diagnostic>> {
    let argument = quoted(argument);
    let id = sources.add(Source::new("--fact", &argument));
    if argument.trim().is_empty() {
        return Err(Box::new(
            Diagnostic::error(Code::InvalidFact, "a fact is missing after --fact").help(FORM),
        ));
    }
    let statement = Source::new("--fact", &format!("{PREFIX}{argument}"));
    let (ast, diagnostics) = parse(id, &statement);
    let moved = |mut diagnostic: Diagnostic, code: Code| {
        diagnostic.code = code;
        for label in &mut diagnostic.labels {
            label.span = shift(label.span);
        }
        Box::new(diagnostic)
    };
    if let Some(mut diagnostic) = diagnostics.0.into_iter().next() {
        // It is a statement for the grammar alone.
        for help in diagnostic
            .help
            .iter_mut()
            .filter(|it| it.contains(STATEMENT))
        {
            *help = FORM.to_owned();
        }
        return Err(moved(diagnostic, Code::InvalidFact));
    }
    let kind = ast
        .statements
        .into_iter()
        .next()
        .map(|statement| statement.kind);
    let Some(StatementKind::Define { condition, .. }) = kind else {
        return Err(Box::new(
            Diagnostic::error(Code::InvalidFact, "this is not a fact")
                .label(Span::new(id, 0..argument.len()), "")
                .help(FORM),
        ));
    };
    match fact(&condition) {
        Ok(facts) => {
            let moved = |fact: NamedFact| NamedFact {
                span: shift(fact.span),
                ..fact
            };
            Ok(facts.into_iter().map(moved).collect())
        }
        Err(diagnostic) => {
            let code = diagnostic.code;
            Err(moved(*diagnostic, code))
        }
    }
}

/// Shells take quotes away: the value of a header or text that is no word of its attribute and
/// no address is text.
fn quoted(argument: &str) -> String {
    let Some((name, value)) = argument.split_once('=') else {
        return argument.to_owned();
    };
    let (name, value) = (name.trim(), value.trim());
    let Some(kind) = AttributeId::named(name).map(|id| id.row().kind) else {
        return argument.to_owned();
    };
    let text = matches!(kind, Kind::Header { .. } | Kind::Text { .. });
    let plain = value.starts_with('"') || value.contains([' ', '"', '\n']) || value.is_empty();
    let known = kind.code(value).is_some() || value.parse::<std::net::IpAddr>().is_ok();
    if text && !plain && !known {
        format!("{name}=\"{value}\"")
    } else {
        argument.to_owned()
    }
}

fn shift(span: Span) -> Span {
    back(span, PREFIX.len())
}

fn back(span: Span, by: usize) -> Span {
    let by = u32::try_from(by).unwrap_or(0);
    Span {
        start: span.start.saturating_sub(by),
        end: span.end.saturating_sub(by),
        ..span
    }
}
