//! A policy as one HTML file: a table, without scripts and without anything from elsewhere.

use std::fmt::Write as _;

use super::markup::{colour, escaped};
use super::sheet::{Given, Part, Row, Sheet, Shown, rest};
use crate::cli::lines;
use crate::cli::share::percent;
use crate::verdict::VerdictKind;

/// How it looks: on a screen that is light or dark, and on paper.
const STYLE: &str = "\
:root { color-scheme: light dark; --text: #1b1b1f; --page: #fff; --line: #d6d6de; --soft: #f3f3f7; --quiet: #55555f }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8ee; --page: #17171b; --line: #3c3c46; --soft: #222229; --quiet: #b0b0bb } }
body { margin: 1.5rem; font: 14px/1.4 system-ui, sans-serif; color: var(--text); background: var(--page) }
h1, h2 { font-size: 1.3rem; margin: 0 0 .4rem }
h2 { font-size: 1.1rem; margin: 1rem 0 .4rem }
p { margin: .3rem 0; color: var(--quiet); max-width: 60rem }
ul { display: flex; flex-wrap: wrap; gap: .3rem 1.5rem; padding: 0; list-style: none }
table { border-collapse: collapse; width: 100% }
thead th { position: sticky; top: 0; background: var(--page); box-shadow: inset 0 -2px var(--line) }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); font-weight: normal }
thead th, .part th { font-weight: 600 }
.part th { background: var(--soft) }
.part span, small { color: var(--quiet); font-weight: normal }
code { font: 12px/1.45 ui-monospace, monospace; overflow-wrap: anywhere }
code span { display: inline-block; max-width: 100% }
thead th:nth-child(3) { width: 50% }
.share { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums }
.verdict { border-left: .35rem solid var(--kind); padding-left: .5rem; display: inline-block }
small { display: block }
@media print { @page { size: A4 landscape; margin: 10mm } body { margin: 0; font-size: 8pt } code { font-size: 7pt }
  thead th { position: static } tr { break-inside: avoid } th, td { padding: .15rem .4rem } }
";

/// The sheet as a document.
pub(super) fn html(sheet: &Sheet) -> String {
    let name = escaped(&sheet.policy);
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{name}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{name}</h1>\n"
    );
    if let Some(fingerprint) = &sheet.fingerprint {
        let _ = writeln!(text, "<p><code>{}</code></p>", escaped(fingerprint));
    }
    let is_brief = sheet.clauses.iter().any(|clause| !clause.brief.is_empty());
    let how = match is_brief {
        true => "No two conditions hold together; those below a heading hold beside it.",
        false => {
            "Each condition holds by itself, in whatever order they are read, and no two hold together."
        }
    };
    let _ = write!(
        text,
        "<p>{how} Shares are of all that could be said of a connection: not how likely it is.</p>\n<ul>\n",
    );
    for (kind, share) in &sheet.kinds {
        let (colour, name) = (colour(*kind), kind.name());
        let share = escaped(&percent(*share));
        let _ = writeln!(
            text,
            "<li><span class=\"verdict\" style=\"--kind: {colour}\">{name} {share}</span></li>"
        );
    }
    text.push_str(
        "</ul>\n<table>\n<thead><tr><th scope=\"col\">Verdict</th><th scope=\"col\">Clause</th>\
         <th scope=\"col\">When</th><th scope=\"col\" class=\"share\">Share</th></tr></thead>\n",
    );
    match is_brief {
        true => {
            for given in Given::ALL {
                let of = |clause: &&Shown| Given::of(clause) == given;
                let clauses = sheet.clauses.iter().filter(of);
                part(
                    given.title(),
                    clauses,
                    &|clause| brief(clause, given),
                    &mut text,
                );
            }
        }
        false => {
            for each in Part::ALL {
                part(each.title(), sheet.part(each), &whole, &mut text);
            }
        }
    }
    text.push_str("</table>\n");
    let laws = sheet.laws();
    if is_brief && !laws.is_empty() {
        let laws: Vec<&str> = laws.iter().map(|law| law.doc()).collect();
        let laws = escaped(&laws.join("; "));
        let _ = writeln!(text, "<p>§ but by law, whatever a policy says: {laws}</p>");
    }
    if !sheet.names.is_empty() {
        text.push_str("<h2>Names that conditions use</h2>\n");
    }
    for name in &sheet.names {
        let _ = writeln!(text, "<p><code>{}</code></p>", escaped(name));
    }
    text.push_str("</body>\n</html>\n");
    text
}

/// Clauses below a title, those of which there is something to tell.
fn part<'a>(
    title: &str,
    clauses: impl Iterator<Item = &'a Shown>,
    cells: &dyn Fn(&Shown) -> Vec<Cells>,
    text: &mut String,
) {
    let mut rows = String::new();
    for clause in clauses {
        for cells in cells(clause) {
            cells.put(clause, &mut rows);
        }
    }
    if !rows.is_empty() {
        let _ = write!(
            text,
            "<tbody>\n<tr class=\"part\"><th colspan=\"4\" scope=\"rowgroup\">{title}</th></tr>\n{rows}</tbody>\n",
        );
    }
}

/// What stands in the columns beside a clause.
struct Cells {
    kind: Option<VerdictKind>,
    verdict: String,
    /// What is said below the verdict.
    notes: Vec<String>,
    /// Conditions in markup, each on a line of its own.
    conditions: Vec<String>,
    share: String,
    /// Whether why the clause is there is said with it.
    is_own: bool,
}

/// What a clause decides, with whole conditions.
fn whole(clause: &Shown) -> Vec<Cells> {
    let each = clause.decides.iter().map(|decided| Cells {
        kind: Some(decided.kind),
        verdict: decided.verdict.clone(),
        notes: decided
            .law
            .iter()
            .map(|law| format!("by law: {}", law.doc()))
            .collect(),
        conditions: conditions(&decided.rows, rest(decided.more, decided.is_cut)),
        share: percent(decided.share),
        is_own: decided.law.is_none(),
    });
    each.collect()
}

/// What a clause decides, beside what is given.
fn brief(clause: &Shown, given: Given) -> Vec<Cells> {
    if let Some(answer) = &clause.on_trial {
        let condition = clause.condition.as_deref().unwrap_or_default();
        return vec![Cells {
            kind: None,
            verdict: answer.clone(),
            notes: vec!["on trial: changes nothing".to_owned()],
            conditions: vec![code(condition)],
            share: "–".to_owned(),
            is_own: true,
        }];
    }
    let each = clause.brief.iter().map(|brief| Cells {
        kind: Some(brief.kind),
        verdict: brief.marked(),
        notes: Vec::new(),
        conditions: match given {
            Given::NoRule => vec!["every other connection".to_owned()],
            Given::Anything | Given::NoRefusal | Given::NoGuard => {
                conditions(&brief.rows, rest(brief.more, brief.is_cut))
            }
        },
        share: percent(brief.share),
        is_own: true,
    });
    each.collect()
}

/// Conditions in markup, with what is said of those that are not listed.
fn conditions(rows: &[Row], rest: Option<String>) -> Vec<String> {
    let mut all: Vec<String> = rows.iter().map(|row| code(&row.when)).collect();
    if let Some(rest) = rest {
        let rest = format!("<small>{}</small>", escaped(&rest));
        match all.last_mut() {
            Some(last) => last.push_str(&rest),
            None => all.push(rest),
        }
    }
    all
}

/// A condition in markup, which is broken where it joins rather than within a term.
fn code(condition: &str) -> String {
    let parts = lines::joined(condition).into_iter();
    let parts = parts.map(|part| format!("<span>{}</span>", escaped(&part)));
    format!("<code>{}</code>", parts.collect::<Vec<_>>().join(" "))
}

impl Cells {
    fn put(&self, clause: &Shown, text: &mut String) {
        let notes = self.notes.iter();
        let notes = notes.map(|note| format!("<small>{}</small>", escaped(note)));
        let because = clause.because.as_deref().filter(|_| self.is_own);
        let because = because.map_or_else(String::new, |because| {
            format!("<small>{}</small>", escaped(because))
        });
        let verdict = escaped(&self.verdict);
        let verdict = match self.kind {
            Some(kind) => format!(
                "<span class=\"verdict\" style=\"--kind: {}\">{verdict}</span>",
                colour(kind)
            ),
            None => verdict,
        };
        let span = self.conditions.len();
        let before = format!(
            "<td rowspan=\"{span}\">{verdict}{}</td>\
             <th scope=\"row\" rowspan=\"{span}\" title=\"{}\">{}{because}</th>",
            notes.collect::<String>(),
            escaped(&clause.place),
            escaped(&clause.name),
        );
        let share = escaped(&self.share);
        let behind = format!("<td class=\"share\" rowspan=\"{span}\">{share}</td>");
        for (at, condition) in self.conditions.iter().enumerate() {
            let (before, behind) = match at {
                0 => (before.as_str(), behind.as_str()),
                _ => ("", ""),
            };
            let _ = writeln!(text, "<tr>{before}<td>{condition}</td>{behind}</tr>");
        }
    }
}
