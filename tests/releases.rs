//! `docs/releases.md`: what changed for admission between releases of OpenClaw, as `gw diff` tells
//! it of the policies that say what they decide. `GW_BLESS=1` writes it anew.

#![expect(
    clippy::unwrap_used,
    reason = "this is a test: what is missing fails it"
)]

use std::process::Command;
use std::{env, fs, thread};

const PAGE: &str = "docs/releases.md";
const CHAIN: [&str; 4] = ["2026.3.23", "2026.4.15", "2026.4.22", "2026.9.6"];

const HEAD: &str = "# What changed for admission between releases of OpenClaw

Made by `gw diff --format markdown` of the policies in `policies/openclaw/`, which say what four releases
decide, as recordings of real gateways show. Each condition is in the words of the two policies, and
exact; of each change the largest are listed. What differs in protocol, wording or record is in the YAML
files beside them, and no part of this; nor are connections that only those constants make possible.

";

fn difference(old: &str, new: &str) -> String {
    let policy = |version: &str| format!("policies/openclaw/{version}.policy");
    let ran = Command::new(env!("CARGO_BIN_EXE_gw"))
        .args(["diff", &policy(old), &policy(new), "--format", "markdown"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    String::from_utf8(ran.stdout)
        .unwrap()
        .replacen("###", "##", 1)
}

#[test]
fn the_page_of_releases_is_current() {
    let parts: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = CHAIN
            .windows(2)
            .map(|pair| scope.spawn(|| difference(pair[0], pair[1])))
            .collect();
        running.into_iter().map(|it| it.join().unwrap()).collect()
    });
    let page = format!("{HEAD}{}", parts.join("\\n"));
    if env::var_os("GW_BLESS").is_some() {
        fs::write(PAGE, &page).unwrap();
    }
    let known = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        known == page,
        "{PAGE} is behind: GW_BLESS=1 cargo test --test releases"
    );
}
