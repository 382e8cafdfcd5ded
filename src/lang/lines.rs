//! Cuts a file into statements: one begins at the start of a line and goes on over the
//! indented lines below it. A closing bracket at the start of a line belongs to it too.
//! What is between statements are comments and blank lines.
//!
//! A statement that cannot be read therefore never hides the next one.

use std::ops::Range;

/// A piece of a file, in order; together the pieces cover every line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A statement or an annotation, with the comments on and between its lines.
    Statement(Range<usize>),
    /// An indented line with no statement above it.
    Stray(Range<usize>),
    /// A line that is a comment.
    Comment(Range<usize>),
    /// A line with nothing on it.
    Blank,
}

/// The pieces of a file.
#[must_use]
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    // Comments and blank lines since the last line of a statement: if the statement goes
    // on below them, they stand inside it.
    let mut between: Vec<Piece> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let range = start..start + content.len();
        start += line.len();
        let indented = content.starts_with([' ', '\t', ')', '}', ']']);
        match content.trim_start() {
            "" => between.push(Piece::Blank),
            inner if inner.starts_with('#') => {
                between.push(Piece::Comment(range.end - inner.len()..range.end));
            }
            inner if indented => match pieces.last_mut() {
                Some(Piece::Statement(statement)) => {
                    statement.end = range.end;
                    between.clear();
                }
                _ => {
                    pieces.append(&mut between);
                    pieces.push(Piece::Stray(range.end - inner.len()..range.end));
                }
            },
            _ => {
                pieces.append(&mut between);
                pieces.push(Piece::Statement(range));
            }
        }
    }
    pieces.append(&mut between);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_lines_and_the_comments_before_them_belong_to_the_statement() {
        let text = "# head\n\na = 1 # x\n  # inner\n\n  b\n  # after\nc\n";
        let cut: Vec<String> = pieces(text)
            .iter()
            .map(|piece| match piece {
                Piece::Statement(range) => format!("S {}", &text[range.clone()]),
                Piece::Stray(range) => format!("? {}", &text[range.clone()]),
                Piece::Comment(range) => format!("C {}", &text[range.clone()]),
                Piece::Blank => "B".to_owned(),
            })
            .collect();
        assert_eq!(
            cut,
            [
                "C # head",
                "B",
                "S a = 1 # x\n  # inner\n\n  b",
                "C # after",
                "S c"
            ]
        );
    }

    #[test]
    fn a_closing_bracket_belongs_to_what_it_closes() {
        assert_eq!(
            pieces("set x = {\n  a\n}\nb"),
            [Piece::Statement(0..15), Piece::Statement(16..17)]
        );
    }

    #[test]
    fn an_indented_first_line_is_stray() {
        assert_eq!(pieces("  a\n  b"), [Piece::Stray(2..3), Piece::Stray(6..7)]);
    }
}
