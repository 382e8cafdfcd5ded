//! The account as text: drawn in columns for people, or told line by line.

use std::fmt::Write as _;

use super::{ClauseAccount, Explanation, FactAccount};
use crate::lang::checked::Role;
pub(super) use crate::source::printable_line as line;

/// What to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns and marks, rather than sentences.
    pub drawn: bool,
    /// Whether to use colour.
    pub colour: bool,
    /// Every fact and every guard, rather than those that matter.
    pub all: bool,
}

/// The account in a style, ending with a line break. What came from the client, headers and
/// names, cannot command the terminal that it is shown on.
#[must_use]
pub fn text(explanation: &Explanation, style: Style) -> String {
    let mut shown = explanation.clone();
    for fact in &mut shown.facts {
        for text in [&mut fact.value, &mut fact.evidence] {
            *text = line(text);
        }
    }
    for clause in &mut shown.clauses {
        for (_, value) in clause
            .terms
            .iter_mut()
            .flat_map(|term| &mut term.settled_by)
        {
            *value = line(value);
        }
    }
    for text in shown
        .consequences
        .iter_mut()
        .chain(&mut shown.counted)
        .chain(&mut shown.reads)
        .chain(&mut shown.remedy)
        .chain(&mut shown.not_local)
    {
        *text = line(text);
    }
    if style.drawn {
        drawn(&shown, style)
    } else {
        told(&shown, style)
    }
}

/// Facts alone, as [`text`] shows them.
#[must_use]
pub fn facts(facts: &[FactAccount], style: Style) -> String {
    let mut shown = facts.to_vec();
    for fact in &mut shown {
        for text in [&mut fact.value, &mut fact.evidence] {
            *text = line(text);
        }
    }
    let mut out = String::new();
    match style.drawn {
        true => facts_table(&shown, false, style, &mut out),
        false => facts_told(&shown, false, style, &mut out),
    }
    out
}

/// How wide lists of names may grow, in columns.
const WIDTH: usize = 100;

/// How wide the column of fact values may grow.
const VALUE_WIDTH: usize = 34;

fn paint(colour: bool, code: &str, text: &str) -> String {
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// The verdict as a headline: `SILENT-APPROVE`, `REJECT token-missing`.
fn headline(explanation: &Explanation) -> String {
    let verdict = explanation.decision.verdict.to_string();
    let (kind, rest) = verdict.split_once('(').unwrap_or((&verdict, ""));
    let rest = rest.strip_suffix(')').unwrap_or(rest);
    format!("{} {rest}", kind.to_uppercase())
        .trim_end()
        .to_owned()
}

/// How a clause is named: a label with its place, or the place alone.
pub(super) fn name(clause: &ClauseAccount) -> String {
    if clause.labelled {
        format!("[{}] {}", clause.label, clause.place)
    } else {
        clause.place.clone()
    }
}

pub(super) fn short_name(clause: &ClauseAccount) -> String {
    if clause.labelled {
        format!("[{}]", clause.label)
    } else {
        clause.place.clone()
    }
}

fn drawn(explanation: &Explanation, style: Style) -> String {
    let mut out = String::new();
    let Explanation { decision, by, .. } = explanation;
    let admits = decision.verdict.admits();
    let head = paint(
        style.colour,
        if admits { "1;32" } else { "1;31" },
        &headline(explanation),
    );
    let _ = writeln!(
        out,
        "{head}   by {}   policy {}",
        name(by),
        explanation.policy
    );
    for sentence in explanation.counted.iter().chain(&explanation.reads) {
        let _ = writeln!(out, "{sentence}");
    }
    let _ = writeln!(out, "\n  {}", by.text);
    if !by.issues.is_empty() {
        let _ = writeln!(out, "  reported as {}", by.issues.join(", "));
    }
    out.push('\n');
    let counted = explanation.counted.is_some();
    facts_table(&explanation.facts, counted, style, &mut out);
    out.push('\n');
    clauses_list(explanation, style, &mut out);
    out.push('\n');
    for (heading, sentence) in sentences(explanation) {
        let gap = if heading.len() > 13 { "  " } else { "" };
        let _ = writeln!(out, "  {heading:<13}{gap} {sentence}");
    }
    out
}

/// `counted`: whether something did whatever the deciding line says.
fn facts_table(facts: &[FactAccount], counted: bool, style: Style, out: &mut String) {
    let shown = facts.iter().filter(|fact| style.all || fact.notable);
    let shown: Vec<&FactAccount> = shown.collect();
    let shown_used = shown.iter().any(|fact| fact.used);
    let width =
        |of: fn(&FactAccount) -> usize| shown.iter().map(|fact| of(fact)).max().unwrap_or(0);
    let names = width(|fact| fact.attribute.row().name.len());
    let values = width(|fact| fact.value.chars().count()).min(VALUE_WIDTH);
    for fact in shown {
        let mark = if fact.used { "•" } else { " " };
        let line = format!(
            "{mark} {:<names$}  {:<values$}  {:<10}  {}",
            fact.attribute.row().name,
            fact.value,
            fact.provenance,
            fact.evidence
        );
        let line = line.trim_end();
        let line = if fact.used || !style.colour {
            line.to_owned()
        } else {
            paint(true, "2", line)
        };
        let _ = writeln!(out, "{line}");
    }
    if shown_used {
        let what = match counted {
            true => "it counted: for the deciding line, or whatever that says",
            false => "the deciding line asks for it",
        };
        let _ = writeln!(out, "  (• {what})");
    }
}

fn clauses_list(explanation: &Explanation, style: Style, out: &mut String) {
    let (guards, rules): (Vec<_>, Vec<_>) = explanation
        .clauses
        .iter()
        .partition(|clause| matches!(clause.role, Role::Guard(_)));
    let width = explanation
        .clauses
        .iter()
        .filter(|clause| style.all || clause.matched || !matches!(clause.role, Role::Guard(_)))
        .map(|clause| short_name(clause).chars().count())
        .max()
        .unwrap_or(0);
    let mut silent: Vec<String> = Vec::new();
    for clause in &rules {
        clause_line(clause, width, style, out);
    }
    for clause in guards {
        if clause.matched || style.all {
            clause_line(clause, width, style, out);
        } else {
            silent.push(short_name(clause));
        }
    }
    if !silent.is_empty() {
        let _ = writeln!(out, "{}", wrapped("  guards that do not apply:", &silent));
    }
}

/// Words after a heading, on as many lines as they need.
fn wrapped(heading: &str, words: &[String]) -> String {
    let mut lines = vec![heading.to_owned()];
    for word in words {
        let full = lines
            .last()
            .is_some_and(|line| line.chars().count() + word.chars().count() >= WIDTH);
        match lines.last_mut() {
            Some(line) if !full => *line = format!("{line} {word}"),
            _ => lines.push(format!("    {word}")),
        }
    }
    lines.join("\n")
}

fn clause_line(clause: &ClauseAccount, width: usize, style: Style, out: &mut String) {
    let mark = if clause.matched {
        paint(style.colour, "32", "✓")
    } else {
        paint(style.colour, "31", "✗")
    };
    let name = short_name(clause);
    let role = match clause.role {
        Role::Guard(_) => "guard: ",
        Role::Trial => "trial, changes nothing: ",
        Role::Rule | Role::Default => "",
    };
    let account = match clause.terms.last() {
        None if clause.role == Role::Default => "no rule above it matches".to_owned(),
        None => "always".to_owned(),
        // A rule that was passed over is told by the one condition that does not hold.
        Some(last) if !clause.matched => {
            let facts: Vec<String> = last
                .settled_by
                .iter()
                .map(|(attribute, value)| format!("{} is {value}", attribute.row().name))
                .collect();
            format!("{} ✗  {}", last.text, facts.join(", "))
        }
        Some(_) => clause
            .terms
            .iter()
            .map(|term| format!("{} ✓", term.text))
            .collect::<Vec<_>>()
            .join("  "),
    };
    let _ = writeln!(out, "  {mark} {name:<width$}  {role}{account}");
}

/// What is said below the table, each with its heading.
fn sentences(explanation: &Explanation) -> Vec<(&'static str, String)> {
    let by = &explanation.by;
    let mut all = Vec::new();
    all.extend(
        by.because
            .iter()
            .map(|because| ("because", because.clone())),
    );
    all.extend(
        explanation
            .not_local
            .iter()
            .map(|fact| ("loopback, but", fact.clone())),
    );
    all.extend(
        explanation
            .consequences
            .iter()
            .enumerate()
            .map(|(at, sentence)| (if at == 0 { "consequence" } else { "" }, sentence.clone())),
    );
    all.extend(by.hint.iter().map(|hint| ("told as well", hint.clone())));
    all.extend(
        explanation
            .remedy
            .iter()
            .map(|remedy| ("what helps", remedy.clone())),
    );
    all.extend(explanation.nearest.iter().map(|nearest| {
        let (heading, told) = nearest.line();
        (heading, line(&told))
    }));
    if let Some((trial, verdict)) = &explanation.trial {
        all.push((
            "on trial",
            format!("{} would have answered {verdict}", name(trial)),
        ));
    }
    all
}

/// Sentences, one a line: for logs and screen readers.
fn facts_told(facts: &[FactAccount], counted: bool, style: Style, out: &mut String) {
    for fact in facts.iter().filter(|fact| style.all || fact.notable) {
        let used = if fact.used {
            match counted {
                true => ", counted",
                false => ", used by the deciding clause",
            }
        } else {
            ""
        };
        let evidence = if fact.evidence.is_empty() {
            String::new()
        } else {
            format!(": {}", fact.evidence)
        };
        let _ = writeln!(
            out,
            "fact: {} is {}, {}{used}{evidence}",
            fact.attribute.row().name,
            fact.value,
            fact.provenance
        );
    }
}

fn told(explanation: &Explanation, style: Style) -> String {
    let mut out = String::new();
    let by = &explanation.by;
    let _ = writeln!(out, "verdict: {}", explanation.decision.verdict);
    let _ = writeln!(out, "decided by: {}", name(by));
    let _ = writeln!(out, "policy: {} {}", explanation.file, explanation.policy);
    let _ = writeln!(out, "text: {}", by.text);
    if let Some(counted) = &explanation.counted {
        let _ = writeln!(out, "counted: {counted}");
    }
    if let Some(reads) = &explanation.reads {
        let _ = writeln!(out, "reads: {reads}");
    }
    let counted = explanation.counted.is_some();
    facts_told(&explanation.facts, counted, style, &mut out);
    let worth = |clause: &&ClauseAccount| {
        style.all || clause.matched || !matches!(clause.role, Role::Guard(_))
    };
    for clause in explanation.clauses.iter().filter(worth) {
        let applies = if clause.matched {
            "applies"
        } else {
            "does not apply"
        };
        let kind = match clause.role {
            Role::Guard(_) => "guard",
            Role::Rule => "rule",
            Role::Trial => "trial",
            Role::Default => "default",
        };
        let why = match clause.terms.last() {
            Some(last) if !clause.matched => format!(": {} does not hold", last.text),
            _ => String::new(),
        };
        let _ = writeln!(out, "{kind}: {} {applies}{why}", name(clause));
    }
    for (heading, sentence) in sentences(explanation) {
        let heading = if heading.is_empty() {
            "consequence"
        } else {
            heading
        };
        let _ = writeln!(out, "{heading}: {sentence}");
    }
    out
}
