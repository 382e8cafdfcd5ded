//! A policy as comma-separated values (RFC 4180): every field in quotes, and lines that end in CRLF.

use super::sheet::Sheet;
use crate::cli::share::rounded;

/// The names of the fields.
const HEAD: [&str; 9] = [
    "part", "clause", "place", "verdict", "when", "share", "law", "because", "example",
];

/// A line for each condition.
pub(super) fn csv(sheet: &Sheet) -> String {
    let mut text = line(&HEAD.map(str::to_owned));
    for clause in &sheet.clauses {
        for decided in &clause.decides {
            for row in &decided.rows {
                text.push_str(&line(&[
                    clause.part.title().to_lowercase(),
                    clause.name.clone(),
                    clause.place.clone(),
                    decided.verdict.clone(),
                    row.when.clone(),
                    rounded(row.share).to_string(),
                    decided.law.map_or("", |law| law.name()).to_owned(),
                    clause.because.clone().unwrap_or_default(),
                    sheet.see(row),
                ]));
            }
        }
    }
    text
}

fn line(fields: &[String]) -> String {
    let quoted = fields
        .iter()
        .map(|field| format!("\"{}{}\"", mark(field), field.replace('"', "\"\"")));
    format!("{}\r\n", quoted.collect::<Vec<_>>().join(","))
}

/// What stands before a field that a spreadsheet would take for a formula: an apostrophe, by which
/// it is text.
fn mark(field: &str) -> &'static str {
    match field.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => "'",
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_keeps_quotes_commas_and_line_ends() {
        let fields = ["a,b", "say \"no\"", "two\r\nlines"].map(str::to_owned);
        assert_eq!(
            line(&fields),
            "\"a,b\",\"say \"\"no\"\"\",\"two\r\nlines\"\r\n"
        );
    }

    #[test]
    fn no_field_is_taken_for_a_formula() {
        let fields = ["=1+1", "+a", "-a", "@a", "a=b"].map(str::to_owned);
        assert_eq!(
            line(&fields),
            "\"'=1+1\",\"'+a\",\"'-a\",\"'@a\",\"a=b\"\r\n"
        );
    }
}
