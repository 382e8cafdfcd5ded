//! JSON on one line, in which every character is escaped that a terminal would act upon.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use crate::source::is_hidden;

/// Compact JSON, with hidden characters as `\u` escapes.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let plain = |byte: u8| byte.is_ascii() && byte != 0x7f;
        // Nearly every text is ASCII, whose controls are escaped already but for this one.
        if fragment.bytes().all(plain) {
            return CompactFormatter.write_string_fragment(writer, fragment);
        }
        let mut start = 0;
        for (at, character) in fragment.char_indices() {
            if !is_hidden(character) {
                continue;
            }
            writer.write_all(fragment.get(start..at).unwrap_or_default().as_bytes())?;
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            start = at + character.len_utf8();
        }
        writer.write_all(fragment.get(start..).unwrap_or_default().as_bytes())
    }
}

/// The value on one line, without a line break.
pub(super) fn json(value: &impl Serialize) -> String {
    let mut bytes = Vec::with_capacity(2_048);
    let mut serializer = Serializer::with_formatter(&mut bytes, Visible);
    // What lines are made of has text for keys, and a vector takes everything.
    let written = value.serialize(&mut serializer);
    match written.map(|()| String::from_utf8(bytes)) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) | Err(_) => String::new(),
    }
}
