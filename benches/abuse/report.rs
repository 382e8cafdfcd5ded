//! The table: a line for each thing that was done, and whether what was promised of it holds.

use std::fmt::Display;

use crate::Effort;

/// Lines that were printed, and whether all of them hold.
pub(crate) struct Report {
    effort: Effort,
    holds: bool,
    begun: bool,
}

/// One line, while it is made.
pub(crate) struct Row {
    what: &'static str,
    often: String,
    found: Vec<String>,
    broken: Vec<String>,
    is_whole: bool,
}

impl Report {
    pub(crate) fn new(effort: Effort) -> Self {
        Report {
            effort,
            holds: true,
            begun: false,
        }
    }

    /// A line about something that was done so often.
    pub(crate) fn row(&self, what: &'static str, often: impl Display) -> Row {
        Row {
            what,
            often: often.to_string(),
            found: Vec::new(),
            broken: Vec::new(),
            is_whole: self.effort == Effort::Whole,
        }
    }

    /// Prints a line that is whole.
    pub(crate) fn print(&mut self, row: Row) {
        if !self.begun {
            println!("| what | how often | result | holds |");
            println!("| --- | --- | --- | --- |");
            self.begun = true;
        }
        self.holds &= row.broken.is_empty();
        let holds = match row.broken.as_slice() {
            [] => "yes".to_owned(),
            broken => format!("**no**: {}", broken.join("; ")),
        };
        let found = row.found.join("; ");
        println!("| {} | {} | {found} | {holds} |", row.what, row.often);
    }

    /// Whether every line holds.
    pub(crate) fn holds(&self) -> bool {
        self.holds
    }
}

impl Row {
    /// What was found.
    pub(crate) fn found(&mut self, what: impl Display) {
        self.found.push(what.to_string());
    }

    /// What was found, and must be so.
    pub(crate) fn must(&mut self, holds: bool, what: impl Display) {
        let what = what.to_string();
        if !holds {
            self.broken.push(what.clone());
        }
        self.found.push(what);
    }

    /// What must be so where time or memory were given the whole effort to settle.
    pub(crate) fn must_if_whole(&mut self, holds: bool, what: impl Display) {
        self.must(holds || !self.is_whole, what);
    }

    /// Memory before and after, of which the second is at most so much more.
    pub(crate) fn memory(&mut self, before: Option<u64>, after: Option<u64>, more: u64) {
        match before.zip(after) {
            Some((before, after)) => {
                let said = format!("{} → {} MiB", before >> 20, after >> 20);
                self.must_if_whole(after <= before + more, said);
            }
            None => self.found("memory not known here"),
        }
    }
}
