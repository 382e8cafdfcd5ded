//! What the documents name is there: the pages and headings that they link to, the files and folders
//! of this project, and in those of tests the tests.

#![expect(
    clippy::unwrap_used,
    reason = "this is a test: what is missing fails it"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where what stands between backticks is a place of this project.
const FOLDERS: [&str; 8] = [
    "benches/",
    "docs/",
    "examples/",
    "fixtures/",
    "fuzz/",
    "policies/",
    "src/",
    "tests/",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let mut found = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "md" => found.push(path),
                Some(_) | None => {}
            }
        }
    }
    found
}

/// A text without what stands between fences, where examples are.
fn prose(text: &str) -> String {
    let mut is_fenced = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// What stands between an opening and the first closing text after it, each time.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let parts = text.split(open).skip(1);
    parts
        .filter_map(|part| part.split_once(close))
        .map(|(inside, _)| inside)
        .collect()
}

/// How headings are called in links: lower case, and a hyphen for each space.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let name = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().chars();
        let kept = kept.filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(name).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for document in documents() {
        let text = prose(&fs::read_to_string(&document).unwrap());
        for link in between(&text, "](", ")") {
            if link.contains("://") {
                continue;
            }
            let (page, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = match page {
                "" => document.clone(),
                page => document.parent().unwrap().join(page),
            };
            let is_there = match fs::read_to_string(&path) {
                Ok(text) => anchor.is_empty() || anchors(&prose(&text)).contains(anchor),
                Err(_) => path.is_dir() && anchor.is_empty(),
            };
            if !is_there {
                wrong.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_and_tests_that_are_named_are_there() {
    let mut wrong = Vec::new();
    let mut named = 0;
    for document in documents() {
        let text = prose(&fs::read_to_string(&document).unwrap());
        let lines = text.lines().flat_map(|line| between_pairs(line, '`'));
        for place in lines {
            let is_place = FOLDERS.iter().any(|folder| place.starts_with(folder))
                && !place.contains([' ', '*', '<', '{'])
                && !is_placeholder(place);
            if !is_place {
                continue;
            }
            named += 1;
            let (path, test) = place.split_once("::").unwrap_or((place, ""));
            let path = root().join(path);
            let is_there = match test {
                "" => path.exists(),
                test => fs::read_to_string(path).is_ok_and(|text| has_test(&text, test)),
            };
            if !is_there {
                wrong.push(format!("{}: {place}", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(named > 50, "only {named} places were found");
}

/// Whether a text has a test of this name: an attribute stands before it, or a macro that makes
/// tests is around it.
fn has_test(text: &str, name: &str) -> bool {
    let Some((before, _)) = text.split_once(&format!("fn {name}(")) else {
        return false;
    };
    // What stands before `fn` on its own line is no attribute.
    let (before, _) = before.rsplit_once('\n').unwrap_or_default();
    let attributes = before.lines().rev();
    let mut attributes = attributes.take_while(|line| !matches!(line.trim(), "" | "}"));
    attributes.any(|line| line.contains("test]") || line.contains("test("))
}

/// What stands between two of a character, then between the next two.
fn between_pairs(line: &str, mark: char) -> impl Iterator<Item = &str> {
    line.split(mark).skip(1).step_by(2)
}

/// Capitals stand for a name that the reader puts there.
fn is_placeholder(place: &str) -> bool {
    let mut parts = place.split(['/', '.']);
    parts.any(|part| part.len() > 1 && part.chars().all(|c| c.is_ascii_uppercase()))
}
