//! A policy as one HTML file: a table, without scripts and without anything from elsewhere.

use std::fmt::Write as _;

use super::markup::{colour, escaped};
use super::sheet::{Decided, Part, Sheet, Shown};
use crate::cli::share::percent;

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
    text.push_str(
        "<p>Each condition holds by itself, in whatever order they are read, and no two hold together. \
         Shares are of all that could be said of a connection: not how likely it is.</p>\n<ul>\n",
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
    for part in Part::ALL {
        let mut clauses = sheet
            .part(part)
            .filter(|it| !it.decides.is_empty())
            .peekable();
        if clauses.peek().is_none() {
            continue;
        }
        let _ = writeln!(
            text,
            "<tbody>\n<tr class=\"part\"><th colspan=\"4\" scope=\"rowgroup\">{}</th></tr>",
            part.title()
        );
        for clause in clauses {
            for decided in &clause.decides {
                rows(clause, decided, &mut text);
            }
        }
        text.push_str("</tbody>\n");
    }
    text.push_str("</table>\n");
    if !sheet.names.is_empty() {
        text.push_str("<h2>Names that conditions use</h2>\n");
    }
    for name in &sheet.names {
        let _ = writeln!(text, "<p><code>{}</code></p>", escaped(name));
    }
    text.push_str("</body>\n</html>\n");
    text
}

/// The rows of one verdict of a clause.
fn rows(clause: &Shown, decided: &Decided, text: &mut String) {
    let mut conditions: Vec<String> = decided
        .rows
        .iter()
        .map(|row| format!("<code>{}</code>", escaped(&row.when)))
        .collect();
    if let Some(rest) = decided.rest() {
        let rest = format!("<small>{}</small>", escaped(&rest));
        match conditions.last_mut() {
            Some(last) => last.push_str(&rest),
            None => conditions.push(rest),
        }
    }
    let law = decided.law.map_or_else(String::new, |law| {
        format!("<small>by law: {}</small>", escaped(law.doc()))
    });
    let because = clause.because.as_deref().filter(|_| decided.law.is_none());
    let because = because.map_or_else(String::new, |because| {
        format!("<small>{}</small>", escaped(because))
    });
    let span = conditions.len();
    let before = format!(
        "<td rowspan=\"{span}\"><span class=\"verdict\" style=\"--kind: {}\">{}</span>{law}</td>\
         <th scope=\"row\" rowspan=\"{span}\" title=\"{}\">{}{because}</th>",
        colour(decided.kind),
        escaped(&decided.verdict),
        escaped(&clause.place),
        escaped(&clause.name),
    );
    let share = escaped(&percent(decided.share));
    let behind = format!("<td class=\"share\" rowspan=\"{span}\">{share}</td>");
    for (at, condition) in conditions.iter().enumerate() {
        let (before, behind) = match at {
            0 => (before.as_str(), behind.as_str()),
            _ => ("", ""),
        };
        let _ = writeln!(text, "<tr>{before}<td>{condition}</td>{behind}</tr>");
    }
}
