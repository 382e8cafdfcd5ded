//! `# allow(NAME): reason`, above a statement or behind it on its line: what is found there is meant
//! so. One that allows nothing is found itself.

use std::collections::BTreeSet;

use super::wording::Wording;
use super::{LINTS, Search};
use crate::diagnostic::{Code, Diagnostic, Effect, Severity, suggest};
use crate::policy::Policy;
use crate::source::{Source, SourceId, Span};

/// A comment that allows something.
struct Allowed {
    /// Where it stands.
    span: Span,
    /// What it names.
    name: String,
    /// Whether a reason follows.
    has_reason: bool,
    /// The line of the statement that it is about.
    about: usize,
}

/// Leaves out what is allowed, and adds the comments that allow nothing.
pub(super) fn apply(found: Vec<Diagnostic>, policy: &Policy, search: Search) -> Vec<Diagnostic> {
    let Some((id, source)) = policy.sources().iter().next() else {
        return found;
    };
    let allowed = comments(id, source);
    if allowed.is_empty() {
        return found;
    }
    let mut used = BTreeSet::new();
    let is_meant = |diagnostic: &Diagnostic, used: &mut BTreeSet<usize>| {
        let place = diagnostic.span().filter(|span| span.source == id);
        let place = place.map(|span| statement(source, line_of(source, span)));
        let at = allowed.iter().position(|it| {
            it.has_reason && it.name == diagnostic.code.name() && Some(it.about) == place
        });
        used.extend(at);
        at.is_some()
    };
    let mut left: Vec<Diagnostic> = found
        .into_iter()
        .filter(|diagnostic| !is_meant(diagnostic, &mut used))
        .collect();
    // What was not looked for may be there.
    let is_open = |allowed: &Allowed| {
        let mut lints = LINTS.iter().filter(|lint| !search.looks_for(lint));
        lints.any(|lint| lint.codes.iter().any(|code| code.name() == allowed.name))
    };
    let stale = allowed
        .iter()
        .enumerate()
        .filter(|(at, allowed)| !(used.contains(at) || allowed.has_reason && is_open(allowed)));
    if let Some(wording) = Wording::of(policy) {
        left.extend(stale.map(|(_, allowed)| told(allowed, &wording)));
    }
    left
}

fn told(allowed: &Allowed, wording: &Wording<'_>) -> Diagnostic {
    let codes = || {
        LINTS
            .iter()
            .flat_map(|lint| lint.codes.iter().map(|code| code.name()))
    };
    let is_known = codes().any(|code| code == allowed.name);
    let (message, help) = if !is_known {
        let message = format!("`{}` is nothing that can be allowed", allowed.name);
        let meant = suggest::did_you_mean(&allowed.name, codes());
        let list = || {
            format!(
                "what can be allowed: {}",
                codes().collect::<Vec<_>>().join(", ")
            )
        };
        (message, meant.or_else(|| Some(list())))
    } else if !allowed.has_reason {
        let message = "this allows nothing: it does not say why".to_owned();
        (
            message,
            Some(format!("write `# allow({}): and the reason`", allowed.name)),
        )
    } else {
        let message = format!(
            "there is nothing to allow: no `{}` is found here",
            allowed.name
        );
        (message, Some("remove it".to_owned()))
    };
    let found = Diagnostic::error(Code::StaleSuppression, message)
        .with_severity(Severity::Warning)
        .label(allowed.span, "allows nothing")
        .maybe_help(help);
    match is_known && allowed.has_reason {
        true => {
            let edits = wording.without_comment(allowed.span);
            found.fix(Effect::Keeps, "remove the comment", edits)
        }
        // What is misspelt or not yet said is the author's to say.
        false => found,
    }
}

/// The comments of a text that allow something.
fn comments(id: SourceId, source: &Source) -> Vec<Allowed> {
    let mut found = Vec::new();
    let mut start = 0;
    for (line, text) in source.text.split_inclusive('\n').enumerate() {
        let comment = text.find("# allow(").filter(|at| {
            // Not one that stands in a string.
            let before = text.get(..*at).unwrap_or_default();
            before.matches('"').count() % 2 == 0
        });
        if let Some(at) = comment {
            let rest = text.get(at + "# allow(".len()..).unwrap_or_default();
            let (name, reason) = rest.split_once(')').unwrap_or((rest, ""));
            let is_own_line = text.get(..at).unwrap_or_default().trim().is_empty();
            let about = match is_own_line {
                false => statement(source, line),
                true => next_statement(source, line),
            };
            found.push(Allowed {
                span: Span::new(id, start + at..start + text.trim_end().len()),
                name: name.trim().to_owned(),
                has_reason: reason
                    .trim()
                    .strip_prefix(':')
                    .is_some_and(|it| !it.trim().is_empty()),
                about,
            });
        }
        start += text.len();
    }
    found
}

fn line_of(source: &Source, span: Span) -> usize {
    source.position(span.start).0.saturating_sub(1)
}

/// The first line of the statement that a line is part of: lines that go on are indented.
fn statement(source: &Source, line: usize) -> usize {
    let lines: Vec<&str> = source.text.lines().take(line + 1).collect();
    let begins = |text: &&str| !text.starts_with([' ', '\t']) && !text.trim().is_empty();
    lines.iter().rposition(begins).unwrap_or(line)
}

/// The first line behind one that is neither empty nor a comment nor an annotation.
fn next_statement(source: &Source, line: usize) -> usize {
    let lines = source.text.lines().enumerate().skip(line + 1);
    let mut statements = lines.filter(|(_, text)| {
        let text = text.trim_start();
        !text.is_empty() && !text.starts_with('#') && !text.starts_with('@')
    });
    statements.next().map_or(line, |(at, _)| at)
}
