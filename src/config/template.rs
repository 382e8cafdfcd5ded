//! A configuration to begin with: every key with its default, commented out, under a sentence.

use std::fmt::Write as _;

use super::keys::{GROUPS, KEYS, Key};

const HEAD: &str = "\
# Configuration of gw. Lines that begin with `#name:` are settings that have their default, or an
# example where nothing is the default: remove the `#` and change the value. `gw config check`
# finds what is wrong, `gw config show` prints what counts and why. Paths are relative to this file.
";

/// How wide sentences are.
const WIDTH: usize = 100;

/// The text of a configuration in which nothing is set.
#[must_use]
pub fn template() -> String {
    with(&[])
}

/// The text of a configuration in which some keys are set, each to a value as it is written.
#[must_use]
pub fn with(set: &[(&str, String)]) -> String {
    let mut text = HEAD.to_owned();
    write(&mut text, KEYS, set);
    text
}

/// The text of a configuration with these keys and no others.
#[must_use]
pub fn only(head: &str, set: &[(&str, String)]) -> String {
    let keys: Vec<Key> = KEYS
        .iter()
        .filter(|key| set.iter().any(|(path, _)| *path == key.path))
        .copied()
        .collect();
    let mut text = head.to_owned();
    write(&mut text, &keys, set);
    text
}

fn write(text: &mut String, keys: &[Key], set: &[(&str, String)]) {
    let mut open: Vec<&str> = Vec::new();
    for key in keys {
        let steps: Vec<&str> = key.path.split('.').collect();
        let Some((name, groups)) = steps.split_last() else {
            continue;
        };
        let shared = open.iter().zip(groups).take_while(|(a, b)| a == b).count();
        open.truncate(shared);
        if shared == 0 {
            text.push('\n');
        }
        for group in groups.iter().skip(shared) {
            open.push(group);
            let path = open.join(".");
            let indent = "  ".repeat(open.len().saturating_sub(1));
            if let Some((_, doc)) = GROUPS.iter().find(|(known, _)| *known == path) {
                sentence(text, &indent, doc);
            }
            let _ = writeln!(text, "{indent}{group}:");
        }
        let indent = "  ".repeat(groups.len());
        sentence(text, &indent, key.doc);
        match set.iter().find(|(path, _)| *path == key.path) {
            Some((_, value)) => {
                let _ = writeln!(text, "{indent}{name}: {value}");
            }
            None => {
                let _ = writeln!(text, "{indent}#{name}: {}", key.example);
            }
        }
    }
}

/// Writes a comment in lines that are not too wide.
fn sentence(text: &mut String, indent: &str, doc: &str) {
    let mut line = String::new();
    for word in doc.split(' ') {
        if indent.len() + 2 + line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{indent}# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{indent}# {line}");
}
