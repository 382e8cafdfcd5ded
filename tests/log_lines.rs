//! Lines of OpenClaw gateways of several releases, as people paste them: what each says.
//!
//! One file of `fixtures/log-lines` a case; beside it stands what is known, what is likely and what is
//! not known after it. `GW_BLESS=1` writes that anew.

#![expect(
    clippy::unwrap_used,
    reason = "this is a test: what is missing fails it"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use gw::Facts;
use gw::logline::{Known, read};

fn told(known: &Known) -> String {
    let mut facts = Facts::default();
    known.attribute.assign(&mut facts, &known.value).unwrap();
    let name = known.attribute.row().name;
    format!("{name} = {}   {}", known.attribute.show(&facts), known.says)
}

fn shown(text: &str) -> String {
    let mut out = String::new();
    for told_of in read(text) {
        for kind in &told_of.kinds {
            let _ = writeln!(out, "{}", kind.name);
        }
        for meaning in &told_of.meaning {
            let _ = writeln!(out, "means    {meaning}");
        }
        for known in &told_of.known {
            let _ = writeln!(out, "known    {}", told(known));
        }
        for likely in &told_of.likely {
            let _ = writeln!(out, "likely   {}", told(likely));
        }
        let unknown = told_of.unknown.iter().map(|id| id.row().name);
        let _ = writeln!(out, "unknown  {}", unknown.collect::<Vec<_>>().join(", "));
        if let Some(approved) = &told_of.approved_scopes {
            let _ = writeln!(out, "approved {}", approved.join(", "));
        }
        for (name, id) in [("device", &told_of.device), ("request", &told_of.request)] {
            if let Some(id) = id {
                let _ = writeln!(out, "{name:<8} {id}");
            }
        }
    }
    out
}

#[test]
fn lines_say_what_stands_beside_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/log-lines");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "log") {
            continue;
        }
        cases += 1;
        let found = shown(&fs::read_to_string(&path).unwrap());
        let golden = path.with_extension("facts");
        if env::var_os("GW_BLESS").is_some() {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if found.is_empty() || found != expected {
            wrong.push(format!("{}:\n{found}", golden.display()));
        }
    }
    assert!(cases > 20 && wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a line holds beside facts is shown nowhere.
#[test]
fn secrets_of_a_line_are_not_repeated() {
    let text = include_str!("../fixtures/log-lines/secret-in-prose.log");
    let found = read(text);
    assert!(text.contains("example-secret-token") && found.len() == 1);
    assert!(!format!("{found:?}").contains("example-secret-token"));
}

/// Any text is read or passed over: nothing in it breaks the reading.
#[test]
fn any_cut_of_a_line_is_read_or_passed_over() {
    let text = include_str!("../fixtures/log-lines/json-line.log");
    for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
        for known in read(&text[..end]) {
            assert!(!known.kinds.is_empty());
        }
    }
    assert!(read("listening on ws://127.0.0.1:18789").is_empty());
}
