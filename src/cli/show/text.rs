//! A policy as a table for people, told on a terminal.

use std::fmt::Write as _;

use super::sheet::{Decided, Given, Part, Sheet, Shown, rest};
use crate::cli::clause::wrapped;
use crate::cli::lines;
use crate::cli::share::percent;

/// The sheet on a page: a line for each clause, its condition beside what is given, and its
/// verdict last.
pub(super) fn brief(sheet: &Sheet) -> String {
    let kinds = sheet.kinds.iter();
    let kinds = kinds.map(|(kind, share)| format!("{} {}", kind.name(), percent(*share)));
    let mut text = format!(
        "{}\n  {}\n  shares of all that could be said of a connection: not how likely it is\n",
        sheet.policy,
        kinds.collect::<Vec<_>>().join(", ")
    );
    let widest = sheet.clauses.iter().map(|it| it.name.chars().count()).max();
    let column = 2 + widest.unwrap_or(0).min(WIDEST) + 2;
    for given in Given::ALL {
        let clauses = sheet.clauses.iter().filter(|it| Given::of(it) == given);
        let clauses = clauses.filter(|it| !it.brief.is_empty() || it.on_trial.is_some());
        let mut clauses = clauses.peekable();
        if clauses.peek().is_some() {
            let _ = writeln!(text, "\n{}", given.title());
        }
        for clause in clauses {
            for told in lines_of(clause, given) {
                let mut parts = vec![format!("  {:<1$}", clause.name, column - 3)];
                parts.extend(told);
                text.push_str(&(lines::folded(0, column, &parts) + "\n"));
            }
        }
    }
    let laws = sheet.laws();
    if !laws.is_empty() {
        text.push_str("\n§ but by law, whatever a policy says\n");
    }
    for law in laws {
        let _ = writeln!(text, "  {}", law.doc());
    }
    text.push_str("\nNo two conditions hold together; those below a heading hold beside it. --all lists whole ones.\n");
    text
}

/// How wide the column of names may grow.
const WIDEST: usize = 32;

/// What is told of a clause: for each answer the words of a line.
fn lines_of(clause: &Shown, given: Given) -> Vec<Vec<String>> {
    if let Some(answer) = &clause.on_trial {
        let condition = clause.condition.as_deref().unwrap_or_default();
        let mut parts = lines::joined(condition);
        parts.push(format!("→ {answer}, which changes nothing"));
        return vec![parts];
    }
    let each = clause.brief.iter().map(|brief| {
        let first = brief.rows.first().map_or("", |row| &row.when);
        let mut parts = match given {
            Given::NoRule => vec!["every other connection".to_owned()],
            Given::Anything | Given::NoRefusal | Given::NoGuard => lines::joined(first),
        };
        parts.extend(rest(brief.more, brief.is_cut).map(|rest| format!("({rest})")));
        parts.push(format!("→ {}", brief.marked()));
        parts
    });
    each.collect()
}

/// The sheet as text, with whole conditions.
pub(super) fn whole(sheet: &Sheet) -> String {
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
        if let Some(rest) = rest(decided.more, decided.is_cut) {
            let _ = writeln!(text, "    {rest}: --all lists them");
        }
    }
    if !by_law.is_empty() {
        let _ = writeln!(text, "    {}", by_law.join("   "));
    }
}
