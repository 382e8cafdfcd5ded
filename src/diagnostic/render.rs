//! How diagnostics look: for people, as plain text, as JSON, and as SARIF 2.1.0.
//!
//! The first is drawn by miette. What is shown to people has no character that would steer
//! their terminal.

use std::fmt::Write as _;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    NarratableReportHandler, SourceCode, SourceSpan, SpanContents,
};
use serde_json::{Value, json};

use super::{Diagnostic, Diagnostics, Fix, Label, Severity};
use crate::source::{Source, Sources, Span, is_hidden, printable_line};

/// Diagnostics beyond this number are counted, not shown.
pub const SHOWN: usize = 20;

/// Messages, labels and help are cut after this many characters.
const LONGEST_MESSAGE: usize = 1_000;

/// Lines longer than this many bytes are not drawn.
const LONGEST_LINE: usize = 2_000;

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
        Format::Human { colour } => human(diagnostics, sources, colour),
        Format::Plain => plain(diagnostics, sources),
        Format::Json => pretty(&json!({
            "diagnostics": diagnostics.0.iter().map(|d| to_json(d, sources)).collect::<Vec<_>>(),
        })),
        Format::Sarif => pretty(&to_sarif(diagnostics, sources)),
    }
}

/// A JSON document with a line break at its end. What a terminal would not show as a character
/// of its own is escaped: controls beyond ASCII, and marks that turn or hide text.
#[must_use]
pub fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut shown = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        let hides = character == '\u{7f}'
            || !character.is_ascii()
                && (is_hidden(character) || character.escape_debug().len() > 1);
        if hides {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    shown.push('\n');
    shown
}

/// Each diagnostic with the text it is about, a blank line between them.
fn human(diagnostics: &Diagnostics, sources: &Sources, colour: bool) -> String {
    let theme = if colour {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let help_style = theme.styles.help;
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(WIDTH)
        .with_links(false)
        .with_wrap_lines(false)
        .with_context_lines(1);
    let mut drawn = Vec::new();
    for diagnostic in diagnostics.0.iter().take(SHOWN) {
        let mut text = String::new();
        let (near, far) = boxes(diagnostic, sources);
        draw(
            &handler,
            &Report::new(diagnostic, &near, sources),
            &mut text,
        );
        for label in far {
            let mut apart = String::new();
            draw(
                &handler,
                &Report::new(diagnostic, &[label], sources),
                &mut apart,
            );
            // The message stands above the first box already.
            let start = apart
                .find(BOX)
                .and_then(|at| apart.get(..at)?.rfind('\n'))
                .map_or(0, |at| at + 1);
            text.push_str(apart.get(start..).unwrap_or(""));
        }
        for help in &diagnostic.help {
            let help = wrapped(&shown_help(help)).join("\n        ");
            let _ = writeln!(text, "{}{help}", help_style.style("  help: "));
        }
        drawn.push(text);
    }
    let mut text = drawn.join("\n");
    let beyond = beyond(diagnostics);
    if !beyond.is_empty() {
        let _ = write!(text, "\n{beyond}");
    }
    text
}

/// What a drawn box begins with.
const BOX: &str = "╭─[";

/// Draws a report without blank lines around it. Writing to a String cannot fail, and a
/// report that cannot be drawn (a span outside its text) is told instead.
fn draw(handler: &GraphicalReportHandler, report: &Report<'_>, text: &mut String) {
    let mut drawn = String::new();
    if handler.render_report(&mut drawn, report).is_err() {
        let _ = NarratableReportHandler::new().render_report(&mut drawn, report);
    }
    for line in drawn.trim_matches('\n').lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// The labels that fit into one box with the first, which stands where the diagnostic is
/// said to be; and those that need boxes of their own.
fn boxes<'a>(diagnostic: &'a Diagnostic, sources: &Sources) -> (Vec<&'a Label>, Vec<&'a Label>) {
    let lines = |span: Span| {
        sources.get(span.source).map_or((0, 0), |source| {
            (source.position(span.start).0, source.position(span.end).0)
        })
    };
    let Some((first, others)) = diagnostic.labels.split_first() else {
        return Default::default();
    };
    let (start, end) = lines(first.span);
    let (mut near, mut far) = (vec![first], Vec::new());
    for label in others {
        let (from, to) = lines(label.span);
        let touches = label.span.source == first.span.source && from <= end + 1 && to + 1 >= start;
        // Of two that lie in one another only one can be drawn.
        let is_apart = |other: &&Label| {
            label.span.end <= other.span.start || other.span.end <= label.span.start
        };
        if touches && near.iter().all(is_apart) {
            near.push(label)
        } else {
            far.push(label)
        }
    }
    (near, far)
}

/// What stands before a command that ends a text.
const BEFORE_COMMAND: &str = ": ";

/// A text in lines that leave room for an indent. A command at its end stays in one piece, so that it
/// can be copied.
fn wrapped(text: &str) -> Vec<String> {
    const INDENT: &str = "        ";
    let command = text.find(": gw ").map(|at| at + BEFORE_COMMAND.len());
    let (prose, command) = text.split_at(command.unwrap_or(text.len()));
    let words = prose.strip_suffix(' ').unwrap_or(prose).split(' ');
    let command = Some(command).filter(|it| !it.is_empty());
    let mut lines = vec![String::new()];
    for word in words.chain(command) {
        let full = lines.last().is_some_and(|line| {
            !line.is_empty()
                && line.chars().count() + 1 + word.chars().count() + INDENT.len() > WIDTH
        });
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// A message fit for a terminal, and for a line: longer ones are cut.
fn shown(text: &str) -> String {
    let cut = text.char_indices().nth(LONGEST_MESSAGE).map(|(at, _)| at);
    match cut.and_then(|at| text.get(..at)) {
        Some(start) => format!("{}…", printable_line(start)),
        None => printable_line(text),
    }
}

/// The same of help, which may have several lines: those after the first are set off, so that none
/// passes for another diagnostic.
fn shown_help(help: &str) -> String {
    let lines: Vec<String> = help.lines().map(|line| shown(line.trim_start())).collect();
    lines.join("\n  ")
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
        let place = diagnostic
            .span()
            .map_or_else(String::new, |span| at(sources, span) + ": ");
        let Diagnostic {
            severity,
            code,
            message,
            ..
        } = diagnostic;
        let _ = writeln!(
            text,
            "{place}{severity}: {} [{}]",
            shown(message),
            code.name()
        );
        for (index, label) in diagnostic.labels.iter().enumerate() {
            if label.text.is_empty() {
                continue;
            }
            let place = if index == 0 {
                String::new()
            } else {
                format!("{}: ", at(sources, label.span))
            };
            let _ = writeln!(text, "  {place}{}", shown(&label.text));
        }
        for help in &diagnostic.help {
            let _ = writeln!(text, "  help: {}", shown_help(help));
        }
    }
    text.push_str(&beyond(diagnostics));
    text
}

fn at(sources: &Sources, span: Span) -> String {
    sources.get(span.source).map_or_else(String::new, |source| {
        let (line, column) = source.position(span.start);
        format!("{}:{line}:{column}", printable_line(&source.name))
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
    let Some(source) = sources.get(span.source) else {
        return json!({});
    };
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
            json!({
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(source) },
                    "region": region(source, span),
                },
                "message": { "text": if text.is_empty() { "here" } else { text } },
            })
        });
        region.unwrap_or_else(|| json!({}))
    };
    let mut codes: Vec<_> = diagnostics
        .0
        .iter()
        .map(|diagnostic| diagnostic.code)
        .collect();
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
        let mut places = diagnostic
            .labels
            .iter()
            .map(|label| place(label.span, &label.text));
        let message = std::iter::once(diagnostic.message.as_str())
            .chain(diagnostic.help.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("\nhelp: ");
        let level = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let mut result = json!({
            "ruleId": diagnostic.code.name(),
            "level": level,
            "message": { "text": message },
            "locations": places.next().into_iter().collect::<Vec<_>>(),
            "relatedLocations": places.collect::<Vec<_>>(),
        });
        // What a program may do at a click changes nothing else.
        let fixes = diagnostic.fixes.iter().filter(|fix| fix.keeps_meaning());
        let fixes: Vec<Value> = fixes.filter_map(|fix| sarif_fix(fix, sources)).collect();
        if let Some(result) = result.as_object_mut().filter(|_| !fixes.is_empty()) {
            result.insert("fixes".to_owned(), Value::Array(fixes));
        }
        result
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

fn region(source: &Source, span: Span) -> Value {
    let (line, column) = source.position(span.start);
    let (end_line, end_column) = source.position(span.end);
    json!({
        "startLine": line, "startColumn": column,
        "endLine": end_line, "endColumn": end_column,
    })
}

/// Edits as SARIF has them.
fn sarif_fix(fix: &Fix, sources: &Sources) -> Option<Value> {
    let source = sources.get(fix.edits.first()?.span.source)?;
    let replacements = fix.edits.iter().map(|edit| {
        json!({
            "deletedRegion": region(source, edit.span),
            "insertedContent": { "text": edit.text },
        })
    });
    Some(json!({
        "description": { "text": fix.says },
        "artifactChanges": [{
            "artifactLocation": { "uri": uri(source) },
            "replacements": replacements.collect::<Vec<_>>(),
        }],
    }))
}

/// A file name as the relative URI that SARIF wants.
fn uri(source: &Source) -> String {
    source
        .name
        .replace('\\', "/")
        .replace('%', "%25")
        .replace(' ', "%20")
}

/// One box of a diagnostic, as miette wants to see it.
#[derive(Debug)]
struct Report<'a> {
    severity: miette::Severity,
    message: String,
    text: Option<Text<'a>>,
    labels: Vec<LabeledSpan>,
}

impl<'a> Report<'a> {
    fn new(diagnostic: &Diagnostic, labels: &[&Label], sources: &'a Sources) -> Self {
        let labeled = labels.iter().enumerate().map(|(at, label)| {
            let text = (!label.text.is_empty()).then(|| shown(&label.text));
            let span = (label.span.start as usize, label.span.len());
            if at == 0 {
                LabeledSpan::new_primary_with_span(text, span)
            } else {
                LabeledSpan::new_with_span(text, span)
            }
        });
        let source = labels
            .first()
            .and_then(|label| sources.get(label.span.source));
        let long = labels.iter().any(|label| {
            source.is_some_and(|source| source.line_length(label.span.start) > LONGEST_LINE)
        });
        if long {
            return Report::told(diagnostic, labels, sources);
        }
        Report {
            severity: match diagnostic.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
                Severity::Note => miette::Severity::Advice,
            },
            message: wrapped(&format!(
                "{} [{}]",
                shown(&diagnostic.message),
                diagnostic.code.name()
            ))
            .join("\n"),
            text: source.map(Text),
            labels: labeled.collect(),
        }
    }

    /// The same where the line is too long to be drawn: its place in words.
    fn told(diagnostic: &Diagnostic, labels: &[&Label], sources: &'a Sources) -> Self {
        let drawn = Report::new(diagnostic, &[], sources);
        let places = labels
            .iter()
            .map(|label| format!("\nat {}", at(sources, label.span)));
        Report {
            message: drawn.message + &places.collect::<String>(),
            ..drawn
        }
    }
}

impl std::fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.text.as_ref().map(|text| text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// A source as it may be shown. Columns count characters, as in every other form.
#[derive(Debug)]
struct Text<'a>(&'a Source);

impl SourceCode for Text<'_> {
    fn read_span<'b>(
        &'b self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'b> + 'b>, MietteError> {
        let Text(source) = self;
        let text = source.shown();
        let (mut start, mut end) = (span.offset(), span.offset().saturating_add(span.len()));
        if before + after > 0 {
            // What is drawn are whole lines, and only those that the span touches.
            let bytes = text.as_bytes();
            let last = end.saturating_sub(1).max(start);
            let line_end = |byte: &u8| *byte == b'\n';
            start = bytes
                .get(..start)
                .and_then(|head| head.iter().rposition(line_end))
                .map_or(0, |at| at + 1);
            end = bytes
                .get(last..)
                .and_then(|tail| tail.iter().position(line_end))
                .map_or(text.len(), |at| last + at + 1);
        }
        let data = text.get(start..end).ok_or(MietteError::OutOfBounds)?;
        let (line, column) = source.position(u32::try_from(start).unwrap_or(u32::MAX));
        Ok(Box::new(MietteSpanContents::new_named(
            printable_line(&source.name),
            data.as_bytes(),
            (start, end - start).into(),
            line - 1,
            column - 1,
            data.matches('\n').count(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;

    /// A value that is quoted may hold anything.
    #[test]
    fn nothing_that_is_quoted_is_told_as_a_line_of_its_own() {
        let hostile = "x\u{1b}[2J\u{202e}\r\nerror: another\tone";
        let diagnostic = Diagnostic::error(Code::UnreadableFile, hostile).help(hostile);
        let found = Diagnostics(vec![diagnostic]);
        let sources = Sources::default();
        let plain = render(&found, &sources, Format::Plain);
        assert_eq!(plain.lines().count(), 3, "{plain}");
        for text in [
            plain,
            render(&found, &sources, Format::Human { colour: false }),
        ] {
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\r', '\t']), "{text}");
            let forged = text.lines().any(|line| line.starts_with("error: a"));
            assert!(!forged, "{text}");
            assert_eq!(text.matches("error: another one").count(), 2, "{text}");
        }
    }
}
