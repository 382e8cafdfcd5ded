//! Goldens: what a test saw, compared with the file that says what it should see.
//!
//! With `GW_BLESS=1` in the environment the file is written instead, but never where `CI` is set.

use std::fmt::Write as _;
use std::path::Path;

/// Lines around a difference that are shown with it.
const CONTEXT: usize = 3;

/// Compares with the file, or writes it.
///
/// # Errors
///
/// The differing lines, when the file holds something else or is not there.
pub(crate) fn check(path: &Path, actual: &str) -> Result<(), String> {
    let set = |name| std::env::var_os(name).is_some();
    if set("GW_BLESS") && !set("CI") {
        return std::fs::write(path, actual)
            .map_err(|error| format!("{}: {error}", path.display()));
    }
    let expected = std::fs::read_to_string(path).map_err(|error| {
        format!(
            "{}: {error}; run with GW_BLESS=1 to write it\n{actual}",
            path.display()
        )
    })?;
    if expected == actual {
        return Ok(());
    }
    Err(format!(
        "{} (- expected, + actual)\n{}",
        path.display(),
        difference(&expected, actual)
    ))
}

/// The lines between the first and the last that differ, with some around them.
fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (expected.split('\n').collect(), actual.split('\n').collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(|(a, b)| a == b)
        .count();
    let mut text = String::new();
    let mut show = |sign: char, lines: &[&str]| {
        for line in lines {
            let _ = writeln!(text, "{sign} {line}");
        }
    };
    show(' ', &old[same.saturating_sub(CONTEXT)..same]);
    show('-', &old[same..old.len() - tail]);
    show('+', &new[same..new.len() - tail]);
    show(
        ' ',
        &old[old.len() - tail..(old.len() - tail + CONTEXT).min(old.len())],
    );
    text
}
