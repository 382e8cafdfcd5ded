//! Printing: what a verb says is gathered, and written at once, so that nothing is half said.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;

use super::progress::Progress;
use crate::diagnostic::render::{Format, pretty, render};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::{Sources, printable};

/// The form of what is printed, for verbs that report problems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportFormat {
    /// drawn for people, in colour on a terminal
    #[default]
    Human,
    /// told line by line, for logs and screen readers
    Plain,
    /// one JSON document
    Json,
    /// one SARIF 2.1.0 document, for code scanning
    Sarif,
}

/// The form of what is printed, for verbs that answer questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum AnswerFormat {
    /// drawn for people, in colour on a terminal
    #[default]
    Human,
    /// told line by line, for logs and screen readers
    Plain,
    /// one JSON document
    Json,
}

impl AnswerFormat {
    /// The form in which this verb reports problems.
    pub(super) fn report(self) -> ReportFormat {
        match self {
            AnswerFormat::Human => ReportFormat::Human,
            AnswerFormat::Plain => ReportFormat::Plain,
            AnswerFormat::Json => ReportFormat::Json,
        }
    }
}

/// What is to be printed.
#[derive(Debug, Default)]
pub(super) struct Output {
    out: String,
    err: String,
    busy: Option<Progress>,
}

impl Output {
    /// Tells what is being done, if it takes long, until something is written.
    pub(super) fn busy(&mut self, what: &str) {
        self.busy = None;
        self.busy = Some(Progress::start(what));
    }

    /// Of what is being done so many parts of so many are done.
    pub(super) fn done(&self, parts: usize, of: usize) {
        if let Some(busy) = &self.busy {
            busy.done(parts, of);
        }
    }

    /// Adds to what goes to standard output.
    pub(super) fn say(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Adds a JSON document to what goes to standard output.
    pub(super) fn say_json(&mut self, document: &serde_json::Value) {
        self.out.push_str(&pretty(document));
    }

    /// Adds to what goes to standard error.
    pub(super) fn complain(&mut self, text: &str) {
        self.err.push_str(text);
    }

    /// Adds diagnostics: to standard error for people, to standard output for programs.
    pub(super) fn report(
        &mut self,
        diagnostics: &Diagnostics,
        sources: &Sources,
        format: ReportFormat,
    ) {
        let rendered = |format| render(diagnostics, sources, format);
        match format {
            ReportFormat::Human if diagnostics.is_empty() => {}
            ReportFormat::Human => {
                let colour = colour(std::io::stderr().is_terminal());
                self.err.push_str(&rendered(Format::Human { colour }));
            }
            ReportFormat::Plain => self.err.push_str(&rendered(Format::Plain)),
            ReportFormat::Json => self.out.push_str(&rendered(Format::Json)),
            ReportFormat::Sarif => self.out.push_str(&rendered(Format::Sarif)),
        }
    }

    /// Adds one diagnostic.
    pub(super) fn report_one(
        &mut self,
        diagnostic: Diagnostic,
        sources: &Sources,
        format: ReportFormat,
    ) {
        self.report(&Diagnostics(vec![diagnostic]), sources, format);
    }

    /// What would go to standard error.
    pub(super) fn complaints(self) -> String {
        self.err
    }

    /// Writes what was said so far. A reader that has gone away is no failure of ours.
    pub(super) fn flush(&mut self) {
        self.busy = None;
        let (mut err, mut out) = (std::io::stderr(), std::io::stdout());
        let told = |text: &str, is_terminal: bool| match is_terminal {
            true => for_terminal(text),
            false => text.to_owned(),
        };
        let _ = err.write_all(told(&self.err, err.is_terminal()).as_bytes());
        let _ = out.write_all(told(&self.out, out.is_terminal()).as_bytes());
        let _ = out.flush();
        *self = Output::default();
    }

    /// Writes it all.
    pub(super) fn finish(mut self) {
        self.flush();
    }
}

/// A text in which a terminal finds nothing to act upon but colours: the name of a file may hold
/// anything.
fn for_terminal(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\u{1b}') {
        shown.push_str(&printable(before));
        let colour = behind.strip_prefix('[').and_then(|it| it.split_once('m'));
        let colour = colour.filter(|(codes, _)| {
            let mut codes = codes.chars();
            codes.all(|code| code.is_ascii_digit() || code == ';')
        });
        rest = match colour {
            Some((codes, behind)) => {
                shown.push_str(&format!("\u{1b}[{codes}m"));
                behind
            }
            None => {
                shown.push('?');
                behind
            }
        };
    }
    shown.push_str(&printable(rest));
    shown
}

/// What a document on several files says of one that cannot be used.
pub(super) fn refused(file: &str, problems: &Diagnostics, sources: &Sources) -> serde_json::Value {
    let problems = render(problems, sources, Format::Json);
    let problems: serde_json::Value = serde_json::from_str(&problems).unwrap_or_default();
    serde_json::json!({
        "file": file,
        "diagnostics": problems.get("diagnostics"),
    })
}

/// Whether to use colour on a stream: only on a terminal, and not when `NO_COLOR` is set.
pub(super) fn colour(terminal: bool) -> bool {
    terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_colours_and_nothing_else() {
        let text = "\u{1b}[1;31mred\u{1b}[0m \u{1b}]0;title\u{7} \u{1b}[2J \u{1b}";
        let shown = for_terminal(text);
        assert_eq!(shown.matches('\u{1b}').count(), 2, "{shown:?}");
        assert!(shown.starts_with("\u{1b}[1;31mred\u{1b}[0m ?"), "{shown:?}");
        assert!(!shown.contains('\u{7}'), "{shown:?}");
        assert_eq!(for_terminal("one\n\ttwo"), "one\n\ttwo");
    }
}
