//! Tables for people: columns that line up, or a line for each row.

use std::time::{Duration, UNIX_EPOCH};

/// A table. Its cells are fit for a terminal already.
pub(super) struct Table<const N: usize> {
    columns: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(columns: [&'static str; N], rows: Vec<[String; N]>) -> Self {
        Table { columns, rows }
    }

    /// Drawn, with two spaces between columns.
    pub(super) fn drawn(&self) -> String {
        let width = |text: &str| text.chars().count();
        let mut widths = self.columns.map(width);
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = width(cell).max(*widest);
            }
        }
        let head = self.columns.map(str::to_uppercase);
        let mut text = String::new();
        for row in std::iter::once(&head).chain(&self.rows) {
            let cells = row.iter().zip(widths);
            let cells: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }

    /// A line for each row, of what it is about: `noun: column value; column value`.
    pub(super) fn told(&self, noun: &str) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let cells = self.columns.iter().zip(row);
            let cells: Vec<String> = cells
                .map(|(column, cell)| format!("{column} {cell}"))
                .collect();
            text.push_str(&format!("{noun}: {}\n", cells.join("; ")));
        }
        text
    }
}

/// How long ago a moment was, in the largest unit that it fills.
pub(super) fn ago(then_ms: Option<i64>, now_ms: i64) -> String {
    let Some(then_ms) = then_ms else {
        return "–".to_owned();
    };
    let seconds = now_ms.saturating_sub(then_ms) / 1_000;
    match seconds {
        ..1 => "now".to_owned(),
        1..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        7_200..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Now, in Unix milliseconds.
pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// A time in Unix milliseconds, to the second.
pub(super) fn moment(at_ms: Option<i64>) -> String {
    let time = at_ms
        .and_then(|ms| u64::try_from(ms).ok())
        .map(Duration::from_millis);
    let time = time.and_then(|time| UNIX_EPOCH.checked_add(time));
    time.map_or_else(
        || "–".to_owned(),
        |time| humantime::format_rfc3339_seconds(time).to_string(),
    )
}

/// Each text by as many of its first characters as tell it from the others, and no fewer than
/// `least`.
pub(super) fn prefixes<'a>(texts: &[&'a str], least: usize) -> Vec<&'a str> {
    let cut = |text: &'a str| {
        let others = || texts.iter().filter(|other| **other != text);
        let length = (least..text.len()).find(|length| {
            text.get(..*length)
                .is_some_and(|start| !others().any(|other| other.starts_with(start)))
        });
        length.and_then(|length| text.get(..length)).unwrap_or(text)
    };
    texts.iter().map(|text| cut(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_is_told() {
        let rows = vec![
            ["é".to_owned(), "x".to_owned()],
            ["long".to_owned(), String::new()],
        ];
        let table = Table::new(["id", "who"], rows);
        assert_eq!(table.drawn(), "ID    WHO\né     x\nlong\n");
        assert_eq!(
            table.told("device"),
            "device: id é; who x\ndevice: id long; who \n"
        );
    }

    #[test]
    fn a_prefix_tells_one_from_the_others() {
        let texts = ["abcdef", "abcxyz", "b", "b"];
        assert_eq!(prefixes(&texts, 2), ["abcd", "abcx", "b", "b"]);
    }

    #[test]
    fn times_are_told_in_one_unit() {
        let told = |seconds: i64| ago(Some(0), seconds * 1_000);
        assert_eq!(
            [0, 5, 600, 10_000, 200_000].map(told),
            ["now", "5 s ago", "10 min ago", "2 h ago", "2 days ago"]
        );
        assert_eq!(
            (ago(None, 5), ago(Some(9_000), 5)),
            ("–".into(), "now".into())
        );
    }
}
