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
