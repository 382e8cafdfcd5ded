//! OpenClaw configurations in `fixtures/openclaw-config`, taken over: what is written, and what
//! is told of each value, is a golden beside each. What is written loads.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is a test: what is missing fails it"
)]

#[path = "support/golden.rs"]
mod golden;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gw::Policy;
use gw::config::openclaw::{Import, Options, POLICY, import};
use gw::lang::ReadError;

/// What every secret of a fixture is called.
const MARK: &str = "-not-a-secret";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn options(allow_wider: bool) -> Options {
    let home = Some(PathBuf::from("/home/ana"));
    Options {
        allow_wider,
        home,
        ..Options::default()
    }
}

/// All that comes of an import but the secrets, which are only named.
fn shown(import: &Import) -> String {
    let mut text = format!("{}\n-- gw.yaml\n{}", import.report, import.config);
    for (file, _) in &import.secrets {
        text += &format!("\n-- a secret in the file {file}\n");
    }
    if let Some(policy) = &import.policy {
        text += &format!("\n-- {POLICY}\n{policy}");
    }
    text
}

fn loads(policy: &str) {
    let read = |path: &str| {
        let file = path.strip_prefix("built-in:").ok_or(ReadError::NotFound)?;
        fs::read_to_string(root().join("policies").join(file)).map_err(|_| ReadError::NotFound)
    };
    let policy = Policy::load(POLICY, policy, &mut |path, _| read(path));
    policy.unwrap_or_else(|error| {
        let format = gw::diagnostic::render::Format::Plain;
        panic!(
            "{}",
            gw::diagnostic::render::render(&error.diagnostics, &error.sources, format)
        )
    });
}

/// What `gw config check` says to it, with its secrets in their files.
fn checked(import: &Import) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (file, secret) in &import.secrets {
        gw::host::token::keep(&folder.path().join(file), secret).unwrap();
    }
    if let Some(policy) = &import.policy {
        fs::write(folder.path().join(POLICY), policy).unwrap();
    }
    fs::write(folder.path().join("gw.yaml"), &import.config).unwrap();
    if import.policy.is_some() {
        let fmt = Command::new(env!("CARGO_BIN_EXE_gw"))
            .current_dir(folder.path())
            .args(["fmt", "--check", POLICY])
            .output()
            .unwrap();
        assert!(fmt.status.success(), "{fmt:?}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_gw"))
        .current_dir(folder.path())
        .args(["config", "check", "--format", "plain"])
        .env(
            "OPENCLAW_GATEWAY_TOKEN",
            "from-the-environment-not-a-secret",
        )
        .env(
            "OPENCLAW_GATEWAY_PASSWORD",
            "from-the-environment-not-a-secret",
        )
        .env_remove("XDG_STATE_HOME")
        .output()
        .unwrap();
    let said = String::from_utf8([output.stderr, output.stdout].concat()).unwrap();
    assert!(!said.contains(MARK), "{said}");
    said
}

#[test]
fn configurations_are_taken_over() {
    let mut folders: Vec<PathBuf> = fs::read_dir(root().join("fixtures/openclaw-config"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    assert!(folders.len() >= 7);
    let mut wrong = Vec::new();
    for folder in folders {
        let text = fs::read_to_string(folder.join("openclaw.json")).unwrap();
        let mut before = String::new();
        for wider in [false, true] {
            let import = import("openclaw.json", &text, &options(wider)).unwrap();
            let mut seen = shown(&import);
            if seen == before {
                continue;
            }
            before.clone_from(&seen);
            assert!(
                !seen.contains(MARK) && !format!("{import:?}").contains(MARK),
                "{seen}"
            );
            if let Some(policy) = &import.policy {
                loads(policy);
            }
            seen += &format!("\n-- gw config check\n{}", checked(&import));
            let name = if wider {
                "imported.wider.txt"
            } else {
                "imported.txt"
            };
            wrong.extend(golden::check(&folder.join(name), &seen).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_no_configuration_is_refused_without_showing_it() {
    let deep = "[".repeat(1_000);
    for (text, says) in [
        (
            "{ gateway: { auth: { token: 'x-not-a-secret } } }",
            "this is not JSON5",
        ),
        ("[1]", "an OpenClaw configuration is an object"),
        ("'x-not-a-secret'", "an OpenClaw configuration is an object"),
        (&deep, "this is nested too deeply"),
        ("", "this is not JSON5"),
    ] {
        let error = import("openclaw.json", text, &Options::default()).unwrap_err();
        assert_eq!(error.diagnostics.0[0].message, says, "{text}");
        assert!(!format!("{error:?} {error}").contains(MARK), "{text}");
    }
}
