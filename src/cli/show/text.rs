//! A policy as a table for people, told on a terminal.

use std::fmt::Write as _;

use super::sheet::{Part, Sheet};
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
        let mut clauses = sheet
            .part(part)
            .filter(|it| !it.decides.is_empty())
            .peekable();
        if clauses.peek().is_some() {
            let _ = writeln!(text, "\n{}", part.title());
        }
        for clause in clauses {
            for decided in &clause.decides {
                let share = percent(decided.share);
                let verdict = &decided.verdict;
                if let Some(law) = decided.law {
                    let _ = writeln!(text, "    by law {verdict}   {share}\n      {}", law.doc());
                } else {
                    let _ = writeln!(text, "\n  {verdict}   {}   {share}", clause.name);
                }
                for row in &decided.rows {
                    text.push_str(&wrapped(&row.when));
                }
                if let Some(rest) = decided.rest().filter(|_| decided.law.is_none()) {
                    let _ = writeln!(text, "    {rest}: --all lists them");
                }
            }
        }
    }
    text
}
