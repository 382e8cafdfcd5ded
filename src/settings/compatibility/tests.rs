//! What a file of constants may hold, and that each release names every constant.

#![expect(
    clippy::disallowed_methods,
    reason = "the shipped files are read where they are"
)]

use std::path::Path;

use super::*;

/// The names of all constants of a file, in their order; those inside of others with a dot.
fn names(constants: &serde_yaml::Value) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in constants.as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        if value.is_mapping() {
            let inner = names(value);
            found.extend(inner.iter().map(|inner| format!("{name}.{inner}")));
        } else {
            found.push(name.to_owned());
        }
    }
    found
}

/// A default that changes must not change a release.
#[test]
fn every_release_names_every_constant() {
    let all = names(&serde_yaml::to_value(Compatibility::default()).unwrap());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/openclaw");
    let mut releases = 0;
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.display();
        let read = serde_yaml::from_str::<Compatibility>(&text);
        assert!(read.is_ok(), "{file}: {read:?}");
        let named = names(&serde_yaml::from_str(&text).unwrap());
        for name in &all {
            assert!(named.contains(name), "{file} does not name `{name}`");
        }
        assert_eq!(named, all, "{file} has another order than the struct");
        releases += 1;
    }
    assert!(releases > 0);
}

/// A line of a file of constants.
struct Line<'a> {
    name: &'a str,
    value: &'a str,
    comment: &'a str,
    /// The release before, and its value, where the comment ends with them.
    before: Option<(&'a str, &'a str)>,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let constants = text.lines().filter(|line| !line.starts_with('#'));
    let constants = constants.filter_map(|line| line.split_once(" # "));
    constants
        .map(|(constant, comment)| {
            let (name, value) = constant.trim().split_once(": ").unwrap();
            let marked = comment.strip_suffix(')').and_then(|comment| {
                let (comment, mark) = comment.rsplit_once(" (20")?;
                let (release, value) = mark.split_once(": ")?;
                Some((comment, (release, value)))
            });
            Line {
                name,
                value: value.trim(),
                comment: marked.map_or(comment, |(comment, _)| comment),
                before: marked.map(|(_, before)| before),
            }
        })
        .collect()
}

/// A comment says what its value means: the same for the same value, another for another one.
/// Where a release differs from the one before, it also says from what.
#[test]
fn a_comment_says_what_its_value_means() {
    let all = names(&serde_yaml::to_value(Compatibility::default()).unwrap());
    let inner = |name: &&String| name.starts_with("protocol.");
    // The versions of the protocol stand on one line.
    let all = all.len() - all.iter().filter(inner).count() + 1;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/openclaw");
    let releases = ["2026.3.23", "2026.4.15", "2026.4.22", "2026.9.6"];
    let texts = releases
        .map(|release| std::fs::read_to_string(folder.join(format!("{release}.yaml"))).unwrap());
    let mut meanings: Vec<Line<'_>> = Vec::new();
    let mut earlier: Option<(&str, Vec<Line<'_>>)> = None;
    for (release, text) in releases.into_iter().zip(&texts) {
        assert_eq!(lines(text).len(), all, "{release} has a bare constant");
        for (at, line) in lines(text).into_iter().enumerate() {
            let Line { name, comment, .. } = line;
            let then = earlier
                .as_ref()
                .map(|(release, then)| (&release[2..], then[at].value));
            let differs = then.filter(|(_, value)| *value != line.value);
            assert_eq!(line.before, differs, "{release}: {name}");
            for known in meanings.iter().filter(|known| known.name == name) {
                let same = known.value == line.value;
                assert_eq!(known.comment == comment, same, "{release}: {name}");
            }
            meanings.push(line);
        }
        earlier = Some((release, lines(text)));
    }
}

#[test]
fn what_is_written_out_is_read_back() {
    let all = serde_yaml::to_string(&Compatibility::default()).unwrap();
    let read: Compatibility = serde_yaml::from_str(&all).unwrap();
    assert_eq!(read, Compatibility::default());
    let nothing: Compatibility = serde_yaml::from_str("{}").unwrap();
    assert_eq!(nothing, Compatibility::default());
}

#[test]
fn what_is_misspelt_is_named() {
    for (text, named) in [
        ("scopeRul: listed", "unknown field `scopeRul`"),
        ("scope_rule: listed", "unknown field `scope_rule`"),
        ("pairing: { supersed: subset }", "unknown field `supersed`"),
        ("protocol: { newest: 3 }", "unknown field `newest`"),
        ("scopeRule: lists", "unknown variant `lists`"),
        ("unknownClients: [tui]", "unknown variant `tui`"),
        ("delayLoopback: 1", "expected a boolean"),
        ("delayLoopback: true\ndelayLoopback: true", "duplicate"),
    ] {
        let error = serde_yaml::from_str::<Compatibility>(text).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(named), "{text}: {error}");
    }
}
