//! Text and places in it: sources, spans, and values that know where they were written.
//!
//! Spans are byte ranges with the id of their source; the text is attached only when
//! something is shown ([`crate::diagnostic`]). Reading files is not here: see `cli`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

/// The index of a [`Source`] in its [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// A range of bytes in one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The text that the offsets count in.
    pub source: SourceId,
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

impl Span {
    /// A span over `range` of `source`; offsets beyond 4 GiB saturate.
    #[must_use]
    pub fn new(source: SourceId, range: Range<usize>) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span {
            source,
            start: narrow(range.start),
            end: narrow(range.end),
        }
    }

    /// The smallest span that covers both; `self` alone when they are in different sources.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        if self.source != other.source {
            return self;
        }
        Span {
            source: self.source,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// The empty span just after this one.
    #[must_use]
    pub fn after(self) -> Span {
        Span {
            start: self.end,
            ..self
        }
    }

    /// The byte offsets as a range.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether no byte is covered.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// A value with the place it was written at. Equality and hashing see the value only,
/// so that trees compare by meaning.
#[derive(Clone, Copy, Default)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Puts a value and its place together.
    pub fn new(value: T, span: Span) -> Self {
        Spanned { value, span }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A named text, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name that diagnostics show: a path as the user gave it.
    pub name: Arc<str>,
    /// The whole text.
    pub text: Arc<str>,
    line_starts: Arc<[u32]>,
    /// The text as it may be shown, once that was asked for.
    shown: Arc<OnceLock<String>>,
}

impl Source {
    /// Takes a text and finds its lines.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        let starts = std::iter::once(0).chain(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at + 1),
        );
        Source {
            name: name.into(),
            text: text.into(),
            line_starts: starts
                .map(|at| u32::try_from(at).unwrap_or(u32::MAX))
                .collect(),
            shown: Arc::default(),
        }
    }

    /// The text as it may be shown, every place where it is.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.shown.get_or_init(|| printable(&self.text))
    }

    /// The line and column of a byte offset, both from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, offset: u32) -> (usize, usize) {
        let line = self
            .line_starts
            .partition_point(|start| *start <= offset)
            .max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0) as usize;
        let before = self
            .text
            .get(start..(offset as usize).min(self.text.len()))
            .unwrap_or("");
        (line, before.chars().count() + 1)
    }

    /// How many bytes the line has that an offset is in.
    #[must_use]
    pub fn line_length(&self, offset: u32) -> usize {
        let next = self.line_starts.partition_point(|start| *start <= offset);
        let start = next
            .checked_sub(1)
            .and_then(|at| self.line_starts.get(at))
            .copied();
        let end = self
            .line_starts
            .get(next)
            .map_or(self.text.len(), |end| *end as usize);
        end.saturating_sub(start.unwrap_or(0) as usize)
    }

    /// The text that a span covers, or nothing when it does not fit.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or("")
    }

    /// The file's own name, without the folders before it.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.name.rsplit(['/', '\\']).next().unwrap_or(&self.name)
    }
}

/// The texts that one policy was made of; spans point into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Adds a text.
    pub fn add(&mut self, source: Source) -> SourceId {
        self.0.push(source);
        SourceId(u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX))
    }

    /// The text with this id.
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.0.get(id.0 as usize)
    }

    /// The text a span covers, or nothing when its source is not here.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source)
            .map_or("", |source| source.slice(span))
    }

    /// `file:line` of a span's start, with the file's own name.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        self.get(span.source).map_or_else(String::new, |source| {
            format!("{}:{}", source.file_name(), source.position(span.start).0)
        })
    }

    /// Adds the texts of other sources behind these, and gives the distance of their ids.
    pub fn append(&mut self, other: &Sources) -> u32 {
        let distance = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.extend(other.0.iter().cloned());
        distance
    }

    /// All texts, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        (0u32..).map(SourceId).zip(&self.0)
    }
}

/// A text without characters that would steer a terminal or hide what is there; each is
/// replaced by one of the same length, so that places stay.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\n' | '\t' => character,
            '\r' => ' ',
            _ if !is_hidden(character) => character,
            _ => match character.len_utf8() {
                1 => '?',
                2 => '·',
                3 => '\u{fffd}',
                _ => '\u{1f6ab}',
            },
        })
        .collect()
}

/// The same on one line: what others wrote does not pass for a line of its own.
#[must_use]
pub fn printable_line(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

/// How many characters are shown of what a peer says.
pub const MOST_WORDS: usize = 400;

/// What a peer says, on one line that steers nothing, cut after so many characters.
#[must_use]
pub fn one_line(text: &str, most: usize) -> String {
    let text = text.trim();
    let mut line: String = text.chars().take(most).collect();
    if text.chars().nth(most).is_some() {
        line.push('…');
    }
    printable_line(&line)
}

/// The text with every character escaped that a terminal or a log would act upon: a peer may
/// name a property anything, and is told that name. Quotes and backslashes stay as they are.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match matches!(character, '\'' | '"' | '\\') {
            true => shown.push(character),
            false => shown.extend(character.escape_debug()),
        }
    }
    shown
}

/// A text as one word of a shell's command line.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A file's name as one word of a command line that takes it for no option.
#[must_use]
pub fn shell_file(name: &str) -> String {
    match name.strip_prefix('-') {
        Some(rest) if !rest.is_empty() => shell_word(&format!("./{name}")),
        _ => shell_word(name),
    }
}

/// Whether a character shows nothing, or changes how others are shown.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a letter is of an alphabet, or in a style, in which some pass for Latin ones. Within a
/// Latin word it is there to be taken for one.
#[must_use]
pub fn may_pass_for_latin(character: char) -> bool {
    matches!(character,
        '\u{250}'..='\u{2af}' // phonetic
        | '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' // Greek
        | '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{a640}'..='\u{a69f}' // Cyrillic
        | '\u{530}'..='\u{58f}' // Armenian
        | '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' // Cherokee
        | '\u{1d00}'..='\u{1dbf}' // small capitals
        | '\u{2100}'..='\u{218f}' | '\u{2460}'..='\u{24ff}' // symbols and numerals
        | '\u{2c80}'..='\u{2cff}' // Coptic
        | '\u{a4d0}'..='\u{a4ff}' // Lisu
        | '\u{ff00}'..='\u{ffef}' // of full width
        | '\u{10400}'..='\u{1044f}' | '\u{1d400}'..='\u{1d7ff}') // Deseret, mathematical
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let source = Source::new("dir/a.policy", "ab\n→x\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(3), (2, 1));
        assert_eq!(source.position(6), (2, 2));
        assert_eq!(source.position(99), (3, 1));
        assert_eq!(source.file_name(), "a.policy");
    }

    #[test]
    fn what_is_shown_cannot_command_a_terminal() {
        let hostile = "a\u{1b}[2Jb\u{202e}c\u{85}d\r\n";
        assert_eq!(printable(hostile), "a?[2Jb\u{fffd}c·d \n");
        assert_eq!(printable(hostile).len(), hostile.len());
        assert_eq!(printable("plain → text"), "plain → text");
        assert_eq!(printable_line("a\tb\r\nerror: c"), "a b  error: c");
    }

    #[test]
    fn spanned_compares_by_value() {
        let here = Span::new(SourceId(0), 0..1);
        let there = Span::new(SourceId(0), 5..9);
        assert_eq!(Spanned::new("a", here), Spanned::new("a", there));
        assert_ne!(Spanned::new("a", here), Spanned::new("b", here));
        assert_eq!(here.to(there).range(), 0..9);
    }
}
