//! What became of a text, as a unified diff that `patch` takes.

use std::fmt::Write as _;

/// How many lines stand around a change.
const AROUND: usize = 3;

/// Beyond so many lines that differ the whole of what differs is written as one change.
const MOST: usize = 4_000;

/// A line of both texts, of the first alone, or of the second alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The difference of two texts, or nothing where they are the same.
pub(super) fn patch(name: &str, old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let script = script(&old, &new);
    let mut text = format!("--- {name}\n+++ {name}\n");
    let changed = |at: usize| !matches!(script.get(at), Some(Line::Both(_)) | None);
    let mut at = 0;
    let (mut from, mut to) = (1, 1);
    while at < script.len() {
        if !(at..=at + AROUND).any(changed) {
            from += 1;
            to += 1;
            at += 1;
            continue;
        }
        let mut end = at;
        while (end..=end + 2 * AROUND).any(changed) {
            end += 1;
        }
        let last = (at..end).rev().find(|it| changed(*it)).unwrap_or(at);
        let end = (last + 1 + AROUND).min(script.len());
        let hunk = script.get(at..end).unwrap_or_default();
        let lines = |other: fn(&Line<'_>) -> bool| hunk.iter().filter(|it| !other(it)).count();
        let before = lines(|it| matches!(it, Line::New(_)));
        let now = lines(|it| matches!(it, Line::Old(_)));
        let _ = writeln!(text, "@@ -{} +{} @@", range(from, before), range(to, now));
        for line in hunk {
            let (mark, line) = match line {
                Line::Both(line) => (' ', line),
                Line::Old(line) => ('-', line),
                Line::New(line) => ('+', line),
            };
            text.push(mark);
            text.push_str(line);
            if !line.ends_with('\n') {
                text.push_str("\n\\ No newline at end of file\n");
            }
        }
        from += before;
        to += now;
        at = end;
    }
    text
}

/// Where a hunk stands: an empty one stands behind the line before it.
fn range(start: usize, count: usize) -> String {
    match count {
        0 => format!("{},0", start - 1),
        1 => start.to_string(),
        count => format!("{start},{count}"),
    }
}

/// How one text becomes the other: where they differ, the lines to the nearest place from which they
/// are alike again.
fn script<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let mut script = Vec::new();
    let (mut x, mut y) = (0, 0);
    while x < old.len() || y < new.len() {
        if x < old.len() && old.get(x) == new.get(y) {
            script.extend(old.get(x).map(|line| Line::Both(line)));
            (x, y) = (x + 1, y + 1);
            continue;
        }
        let (gone, come) = nearest(old.get(x..), new.get(y..));
        script.extend(old.iter().skip(x).take(gone).map(|line| Line::Old(line)));
        script.extend(new.iter().skip(y).take(come).map(|line| Line::New(line)));
        (x, y) = (x + gone, y + come);
    }
    script
}

/// How many lines of each text stand before the place from which they are alike again.
fn nearest(old: Option<&[&str]>, new: Option<&[&str]>) -> (usize, usize) {
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    // A blank line alone is alike everywhere.
    let is_alike = |gone: usize, come: usize| {
        let line = old.get(gone);
        line == new.get(come)
            && (line.is_none_or(|line| !line.trim().is_empty())
                || old.get(gone + 1) == new.get(come + 1))
    };
    let most = (old.len() + new.len()).min(MOST);
    let ways = (1..=most).flat_map(|both| (0..=both).map(move |come| (both - come, come)));
    let mut ways = ways.filter(|(gone, come)| *gone <= old.len() && *come <= new.len());
    let found = ways.find(|(gone, come)| is_alike(*gone, *come));
    found.unwrap_or((old.len(), new.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader of patches: the second text out of the first one.
    fn applied(old: &str, patch: &str) -> String {
        let old: Vec<&str> = old.split_inclusive('\n').collect();
        let mut new = String::new();
        let mut at = 0;
        let mut lines = patch.split_inclusive('\n').skip(2).peekable();
        while let Some(line) = lines.next() {
            let is_cut = lines.peek().is_some_and(|it| it.starts_with('\\'));
            let rest = &line[1..];
            let rest = if is_cut {
                rest.trim_end_matches('\n')
            } else {
                rest
            };
            match line.as_bytes()[0] {
                b'@' => {
                    let from = line[4..].split([',', ' ']).next().unwrap();
                    let from: usize = from.parse().unwrap();
                    let from = from - usize::from(!line.contains(",0 +"));
                    new.extend(old[at..from].iter().copied());
                    at = from;
                }
                b'-' => at += 1,
                b'+' => new.push_str(rest),
                b' ' => {
                    assert_eq!(old[at], rest);
                    new.push_str(rest);
                    at += 1;
                }
                _ => {}
            }
        }
        new.extend(old[at..].iter().copied());
        new
    }

    #[test]
    fn a_patch_makes_one_text_of_the_other() {
        let lines = |of: std::ops::Range<usize>| of.map(|it| format!("{it}\n")).collect::<String>();
        let texts = [
            String::new(),
            lines(0..1),
            lines(0..40),
            lines(5..40),
            lines(0..20) + &lines(22..40),
            lines(0..3) + "x\n" + &lines(4..30) + "y\nz\n" + &lines(30..40),
            lines(0..40) + "no end",
            lines(10..20) + &lines(0..10),
        ];
        for old in &texts {
            for new in &texts {
                let patch = patch("p", old, new);
                assert_eq!(patch.is_empty(), old == new);
                assert_eq!(&applied(old, &patch), new, "{patch}");
            }
        }
    }

    #[test]
    fn what_is_near_is_one_hunk() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\nm\n";
        let new = "a\nc\nd\ne\nf\ng\nh\ni\nj\nk\nm\n";
        let shown = "--- p\n+++ p\n@@ -1,5 +1,4 @@\n a\n-b\n c\n d\n e\n@@ -9,5 +8,4 @@\n i\n j\n k\n-l\n m\n";
        assert_eq!(patch("p", old, new), shown);
    }
}
