//! A policy as a table for people, told on a terminal.

use std::fmt::Write as _;

use super::sheet::{Decided, Part, Sheet, Shown};
use crate::cli::clause::wrapped;
use crate::cli::share::percent;

/// The sheet as text.
pub(super) fn text(sheet: &Sheet) -> String {
    let mut text = format!("{}\n", sheet.policy);
    for (kind, share) in &sheet.kinds {
        let _ = writeln!(text, "  {:<17}{:>12}", kind.name(), percent(*share));
    }
    text.push_str(
        "  shares of all that could be said of a connection: not how likely it is\n\
         \n\
         Each condition holds by itself, in whatever order they are read, and no two hold together.\n",
    );
    for part in Part::ALL {
        let clauses = sheet.part(part);
        let mut clauses = clauses.filter(|it| !it.decides.is_empty()).peekable();
        if clauses.peek().is_some() {
            let _ = writeln!(text, "\n{}", part.title());
        }
        for clause in clauses {
            told(clause, &mut text);
        }
    }
    let laws = sheet.laws();
    if !laws.is_empty() {
        text.push_str("\n§ by law, whatever a policy says\n");
    }
    for law in laws {
        let _ = writeln!(text, "  {}", law.doc());
    }
    text
}

/// What a clause decides; what laws make of it is on one line where no condition is listed.
fn told(clause: &Shown, text: &mut String) {
    let share = |decided: &Decided| percent(decided.share);
    let mut by_law = Vec::new();
    for decided in &clause.decides {
        let verdict = &decided.verdict;
        if decided.law.is_some() && decided.rows.is_empty() {
            by_law.push(format!("§ {verdict}   {}", share(decided)));
            continue;
        }
        let law = if decided.law.is_some() { "§ " } else { "" };
        let share = share(decided);
        let _ = writeln!(text, "\n  {law}{verdict}   {}   {share}", clause.name);
        for row in &decided.rows {
            text.push_str(&wrapped(&row.when));
        }
        if let Some(rest) = decided.rest() {
            let _ = writeln!(text, "    {rest}: --all lists them");
        }
    }
    if !by_law.is_empty() {
        let _ = writeln!(text, "    {}", by_law.join("   "));
    }
}
