//! Laws of lines.
