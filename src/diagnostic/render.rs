//! How diagnostics look: for people, as plain text, as JSON, and as SARIF 2.1.0.
//!
//! The first two are drawn by miette's handlers over the same value.

use std::fmt::Write as _;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, NarratableReportHandler,
    SourceCode,
};
use serde_json::{Value, json};

use super::{Diagnostic, Diagnostics, Severity};
use crate::source::{Source, Sources, Span};

/// Diagnostics beyond this number are counted, not shown.
pub const SHOWN: usize = 20;

/// How wide drawn diagnostics are, in columns.
const WIDTH: usize = 100;

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Drawn, with the text and arrows under it.
    Human {
        /// Whether to use colour.
        colour: bool,
    },
    /// Told line by line: for logs and screen readers.
    Plain,
    /// One JSON document.
    Json,
    /// One SARIF 2.1.0 document.
    Sarif,
}

/// The diagnostics in a form, ending with a line break; nothing when there are none and the
/// form is for people.
#[must_use]
pub fn render(diagnostics: &Diagnostics, sources: &Sources, format: Format) -> String {
    match format {
        Format::Human { colour } => {
            let theme =
                if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
            let handler = GraphicalReportHandler::new_themed(theme)
                .with_width(WIDTH)
                .with_links(false)
                .with_cause_chain();
            listed(diagnostics, sources, |report, text| {
                // Writing to a String cannot fail, and a report that cannot be drawn (a span
                // outside its text) is told instead.
                if handler.render_report(text, report).is_err() {
                    let _ = NarratableReportHandler::new().render_report(text, report);
                }
            })
        }
        Format::Plain => plain(diagnostics, sources),
        Format::Json => pretty(&json!({
            "diagnostics": diagnostics.0.iter().map(|d| to_json(d, sources)).collect::<Vec<_>>(),
        })),
        Format::Sarif => pretty(&to_sarif(diagnostics, sources)),
    }
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

fn listed(
    diagnostics: &Diagnostics,
    sources: &Sources,
    mut draw: impl FnMut(&Report<'_>, &mut String),
) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.0.iter().take(SHOWN) {
        draw(&Report::new(diagnostic, sources), &mut text);
        // miette indents its blank lines; nobody wants to see that in a golden.
        text = text.lines().map(str::trim_end).fold(String::new(), |all, line| all + line + "\n");
    }
    text.push_str(&beyond(diagnostics));
    text
}

fn beyond(diagnostics: &Diagnostics) -> String {
    match diagnostics.0.len().saturating_sub(SHOWN) {
        0 => String::new(),
        1 => "and 1 more problem\n".to_owned(),
        more => format!("and {more} more problems\n"),
    }
}

/// One line for the message with its place, then labels and help as sentences.
fn plain(diagnostics: &Diagnostics, sources: &Sources) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics.0.iter().take(SHOWN) {
        let place = diagnostic.span().map_or_else(String::new, |span| at(sources, span) + ": ");
        let Diagnostic { severity, code, message, .. } = diagnostic;
        let _ = writeln!(text, "{place}{severity}: {message} [{}]", code.name());
        for (index, label) in diagnostic.labels.iter().enumerate() {
            if label.text.is_empty() {
                continue;
            }
            let place =
                if index == 0 { String::new() } else { format!("{}: ", at(sources, label.span)) };
            let _ = writeln!(text, "  {place}{}", label.text);
        }
        for help in &diagnostic.help {
            let _ = writeln!(text, "  help: {}", help.replace('\n', "\n        "));
        }
    }
    text.push_str(&beyond(diagnostics));
    text
}

fn at(sources: &Sources, span: Span) -> String {
    sources.get(span.source).map_or_else(String::new, |source| {
        let (line, column) = source.position(span.start);
        format!("{}:{line}:{column}", source.name)
    })
}

fn to_json(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    let labels = diagnostic.labels.iter().map(|label| {
        let mut place = location(sources, label.span);
        if let Some(map) = place.as_object_mut() {
            map.insert("text".to_owned(), json!(label.text));
        }
        place
    });
    json!({
        "code": diagnostic.code.name(),
        "severity": diagnostic.severity.name(),
        "message": diagnostic.message,
        "labels": labels.collect::<Vec<_>>(),
        "help": diagnostic.help,
    })
}

fn location(sources: &Sources, span: Span) -> Value {
    let Some(source) = sources.get(span.source) else { return json!({}) };
    let (line, column) = source.position(span.start);
    let (end_line, end_column) = source.position(span.end);
    json!({
        "file": &*source.name,
        "line": line, "column": column, "endLine": end_line, "endColumn": end_column,
        "offset": span.start, "length": span.len(),
    })
}

fn to_sarif(diagnostics: &Diagnostics, sources: &Sources) -> Value {
    let place = |span: Span, text: &str| {
        let region = sources.get(span.source).map(|source| {
            let (line, column) = source.position(span.start);
            let (end_line, end_column) = source.position(span.end);
            json!({
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(source) },
                    "region": {
                        "startLine": line, "startColumn": column,
                        "endLine": end_line, "endColumn": end_column,
                    },
                },
                "message": { "text": if text.is_empty() { "here" } else { text } },
            })
        });
        region.unwrap_or_else(|| json!({}))
    };
    let mut codes: Vec<_> = diagnostics.0.iter().map(|diagnostic| diagnostic.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let rules = codes.iter().map(|code| {
        json!({
            "id": code.name(),
            "shortDescription": { "text": code.summary() },
            "help": { "text": code.page(), "markdown": code.page() },
        })
    });
    let results = diagnostics.0.iter().map(|diagnostic| {
        let mut places = diagnostic.labels.iter().map(|label| place(label.span, &label.text));
        let message = std::iter::once(diagnostic.message.as_str())
            .chain(diagnostic.help.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("\nhelp: ");
        let level = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        json!({
            "ruleId": diagnostic.code.name(),
            "level": level,
            "message": { "text": message },
            "locations": places.next().into_iter().collect::<Vec<_>>(),
            "relatedLocations": places.collect::<Vec<_>>(),
        })
    });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "gw",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// A file name as the relative URI that SARIF wants.
fn uri(source: &Source) -> String {
    source.name.replace('\\', "/").replace('%', "%25").replace(' ', "%20")
}

/// A diagnostic with its texts, as miette wants to see it. Labels in other files than the
/// first one's become reports of their own below it.
#[derive(Debug)]
struct Report<'a> {
    code: Option<&'static str>,
    severity: miette::Severity,
    message: &'a str,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
    related: Vec<Report<'a>>,
}

impl<'a> Report<'a> {
    fn new(diagnostic: &'a Diagnostic, sources: &Sources) -> Self {
        let home = diagnostic.span().map(|span| span.source);
        let labeled = |label: &super::Label, primary: bool| {
            let text = (!label.text.is_empty()).then(|| label.text.clone());
            let span = (label.span.start as usize, label.span.len());
            if primary {
                LabeledSpan::new_primary_with_span(text, span)
            } else {
                LabeledSpan::new_with_span(text, span)
            }
        };
        let named = |source: &Source| {
            NamedSource::new(&*source.name, source.text.to_string())
        };
        let severity = match diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        };
        let (here, elsewhere): (Vec<_>, Vec<_>) = diagnostic
            .labels
            .iter()
            .partition(|label| Some(label.span.source) == home);
        Report {
            code: Some(diagnostic.code.name()),
            severity,
            message: &diagnostic.message,
            source: home.and_then(|id| sources.get(id)).map(named),
            labels: here.iter().enumerate().map(|(at, label)| labeled(label, at == 0)).collect(),
            help: (!diagnostic.help.is_empty()).then(|| diagnostic.help.join("\nor: ")),
            related: elsewhere
                .into_iter()
                .map(|label| Report {
                    code: None,
                    severity: miette::Severity::Advice,
                    message: &label.text,
                    source: sources.get(label.span.source).map(named),
                    labels: vec![labeled(
                        &super::Label { span: label.span, text: "here".to_owned() },
                        true,
                    )],
                    help: None,
                    related: Vec::new(),
                })
                .collect(),
        }
    }
}

impl std::fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        self.code.map(|code| Box::new(code) as Box<dyn std::fmt::Display>)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'b>(&'b self) -> Option<Box<dyn std::fmt::Display + 'b>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn std::fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'b>(&'b self) -> Option<Box<dyn Iterator<Item = &'b dyn miette::Diagnostic> + 'b>> {
        Some(Box::new(self.related.iter().map(|report| report as &dyn miette::Diagnostic)))
    }
}
