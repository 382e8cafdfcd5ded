//! Diagnostics: what is wrong, where, and what to do about it, as values.
//!
//! A diagnostic has a code with a page ([`catalog`]), a message, labels on the text and help
//! that is an edit. How it looks is in [`render`]; which ones there are stands in [`catalog`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod catalog;
pub mod fix;
pub mod render;
pub mod suggest;

use std::fmt;

use crate::facts::word::words;
use crate::source::Span;

pub use catalog::Code;
pub use fix::{Edit, Effect, Fix};

words! {
    /// How bad it is.
    Severity {
        Error "error" "the file does not load",
        Warning "warning" "the file loads, and probably does not do what was meant",
        Note "note" "worth knowing",
    }
}

/// A place with what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// What this is; may be empty.
    pub text: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which row of the catalog.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line: if only one thing can be shown, it is this.
    pub message: String,
    /// Where, the most important first; at most three.
    pub labels: Vec<Label>,
    /// What to do, best as an edit.
    pub help: Vec<String>,
    /// The same as edits, where it is one: what leaves every verdict as it is stands first.
    pub fixes: Vec<Fix>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: Vec::new(),
            help: Vec::new(),
            fixes: Vec::new(),
        }
    }

    /// The same with another severity.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Adds a label; the first is where the diagnostic is said to be.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Adds help.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Adds help, if there is any.
    #[must_use]
    pub fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help.extend(text);
        self
    }

    /// Adds edits that do away with it, if there are any.
    #[must_use]
    pub fn fix(mut self, effect: Effect, says: impl Into<String>, edits: Vec<Edit>) -> Self {
        if !edits.is_empty() {
            self.fixes.push(Fix {
                says: says.into(),
                effect,
                edits,
            });
        }
        self
    }

    /// Where it is.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }
}

/// Several diagnostics. They display as the first, with a count of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// How many of them are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.0
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .count()
    }

    /// Adds diagnostics about other sources, whose ids are `distance` further on here.
    pub fn append(&mut self, others: &Diagnostics, distance: u32) {
        self.0
            .extend(others.0.iter().cloned().map(|mut diagnostic| {
                for label in &mut diagnostic.labels {
                    label.span.source.0 += distance;
                }
                let fixes = diagnostic.fixes.iter_mut();
                for edit in fixes.flat_map(|fix| &mut fix.edits) {
                    edit.span.source.0 += distance;
                }
                diagnostic
            }));
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts them in the order of the sources.
    pub fn sort(&mut self) {
        self.0.sort_by_key(Diagnostic::span);
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else {
            return f.write_str("no problems");
        };
        f.write_str(&first.message)?;
        match self.0.len() {
            1 => Ok(()),
            2 => f.write_str(" (and 1 more problem)"),
            count => write!(f, " (and {} more problems)", count - 1),
        }
    }
}

impl std::error::Error for Diagnostics {}
