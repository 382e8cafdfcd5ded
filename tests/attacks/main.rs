//! The attack corpus: each case of `fixtures/attacks` against a live gateway over real sockets,
//! and `docs/attacks.md`, which says what each comes to. `GW_BLESS=1` writes that page; what is
//! expected is never written.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is a test: what is missing fails it"
)]

#[path = "../support/client.rs"]
#[expect(
    dead_code,
    reason = "heads and frames are made here from what a case says"
)]
mod client;
#[path = "../support/scenario.rs"]
#[expect(
    dead_code,
    reason = "what is expected of recorded handshakes is not expected here"
)]
mod scenario;
#[path = "../support/served.rs"]
#[expect(dead_code, reason = "clients are made here from what a case says")]
mod served;
#[path = "../support/sign.rs"]
mod sign;

mod case;
mod head;
mod page;
mod run;
mod told;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fs};

use case::{Attack, Beside, Case};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Builder;

/// The folder of the attacks.
const ATTACKS: &str = "fixtures/attacks";
/// The page that is made of them.
const PAGE: &str = "docs/attacks.md";
/// How many rows the list of attacks on OpenClaw's gateways has.
const ROWS: u32 = 40;
/// The advisories that stand in it.
const ADVISORIES: [&str; 10] = [
    "CVE-2026-25253",
    "GHSA-2pwv-x786-56f8",
    "GHSA-4jpw-hj22-2xmc",
    "GHSA-5wcw-8jjv-m286",
    "GHSA-7jrw-x62h-64p8",
    "GHSA-hc5h-pmr3-3497",
    "GHSA-hf68-49fm-59cq",
    "GHSA-jv4g-m82p-2j93",
    "GHSA-rqpp-rjj8-7wv8",
    "GHSA-xwx2-ppv2-wx98",
];

/// What is held of all attacks together.
type Test = fn(&[Attack]) -> Result<(), Failed>;

fn main() {
    let arguments = Arguments::from_args();
    told::listen();
    let attacks = Arc::new(attacks());
    let mut trials = Vec::new();
    for (at, attack) in attacks.iter().enumerate() {
        for (case_at, case) in attack.cases.iter().enumerate() {
            let attacks = Arc::clone(&attacks);
            let name = format!("{}/{}", attack.name, case.name);
            trials.push(Trial::test(name, move || {
                let attack = &attacks[at];
                played(attack, &attack.cases[case_at]).map_err(Failed::from)
            }));
        }
    }
    let every: [(&str, Test); 3] = [
        ("every row has its cases", complete),
        ("what is not so is found", found_out),
        ("the page", written),
    ];
    for (name, test) in every {
        let attacks = Arc::clone(&attacks);
        trials.push(Trial::test(name, move || test(&attacks)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn played(attack: &Attack, case: &Case) -> Result<(), String> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(run::run(attack, case))
}

/// A case that is right, and what makes each a wrong one: what is answered, who decides, which
/// facts there were, what waits, who is paired, what is in a log, what a command prints.
const RIGHT: &str = r#"
attack: a page
newest: refused
beside: alike
spec: { device: thief }
cases:
  - name: right
    what: all of it is so
    steps:
      - knock:
          as: page
          spec: { headers: [[Origin, "https://evil.example"]] }
          expect: { refused: CONTROL_UI_ORIGIN_NOT_ALLOWED, says: [origin], log: { by: foreign-page, facts: { same-host: true } } }
      - knock:
          as: waiting
          spec: { headers: [[Via, 1.1 tunnel]], scopes: [operator.read] }
          expect: { asked: not-paired, saysNot: [approvedScopes] }
      - knock: { as: owner, spec: { transport: unix, device: null, auth: none }, expect: { admitted: [operator.read, operator.write] } }
      - call: { on: owner, method: health, answers: { ok: true } }
      - gw: { run: [devices, list, --url, <socket>], says: [operator.read] }
    after:
      waiting: { thief: "operator: operator.read" }
      paired: {}
      notLogged: [nothing like it]
"#;

const WRONG: [(&str, &str); 12] = [
    (
        "refused: CONTROL_UI_ORIGIN_NOT_ALLOWED",
        "refused: AUTH_TOKEN_MISMATCH",
    ),
    (
        "refused: CONTROL_UI_ORIGIN_NOT_ALLOWED",
        "admitted: [operator.read]",
    ),
    ("says: [origin]", "says: [token]"),
    ("by: foreign-page", "by: device-proof"),
    ("same-host: true", "same-host: null"),
    ("asked: not-paired", "asked: scope-upgrade"),
    ("saysNot: [approvedScopes]", "saysNot: [requestId]"),
    ("answers: { ok: true }", "fails: no"),
    ("says: [operator.read]", "says: [operator.admin]"),
    (
        r#"thief: "operator: operator.read""#,
        r#"thief: "operator: operator.admin""#,
    ),
    (
        "paired: {}",
        r#"paired: { thief: "operator: operator.read" }"#,
    ),
    ("nothing like it", "origin-not-allowed"),
];

/// A case that says what is not so fails.
fn found_out(_: &[Attack]) -> Result<(), Failed> {
    let right = Attack::parse("right", RIGHT)?;
    played(&right, &right.cases[0])?;
    for (so, not_so) in WRONG {
        assert!(RIGHT.contains(so), "{so}");
        let wrong = Attack::parse("wrong", &RIGHT.replacen(so, not_so, 1))?;
        if played(&wrong, &wrong.cases[0]).is_ok() {
            return Err(format!("`{not_so}` is found to be so").into());
        }
    }
    Ok(())
}

/// All attacks: the rows by their numbers, then the others by their names.
fn attacks() -> Vec<Attack> {
    let folder = root().join(ATTACKS);
    let files = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let mut attacks: Vec<Attack> = files
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy();
            let text = fs::read_to_string(&path).unwrap();
            let read = Attack::parse(&name, &text);
            read.unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()))
        })
        .collect();
    attacks.sort_by_key(|attack| (page::row(attack).unwrap_or(u32::MAX), attack.name.clone()));
    attacks
}

/// No row of the list is missing, and no name stands twice.
fn complete(attacks: &[Attack]) -> Result<(), Failed> {
    let rows: Vec<u32> = attacks.iter().filter_map(page::row).collect();
    let missing: Vec<u32> = (1..=ROWS).filter(|row| !rows.contains(row)).collect();
    let mut wrong: Vec<String> = missing
        .iter()
        .map(|row| format!("no file is S{row}"))
        .collect();
    for advisory in ADVISORIES {
        let mut reports = attacks.iter().flat_map(|attack| &attack.reports);
        if !reports.any(|report| report == advisory) {
            wrong.push(format!("nothing is of {advisory}"));
        }
    }
    for attack in attacks {
        let names: BTreeSet<&str> = attack.cases.iter().map(|case| &*case.name).collect();
        if names.len() != attack.cases.len() || names.is_empty() {
            wrong.push(format!("{}: each case has a name of its own", attack.name));
        }
        if attack.beside == Beside::Otherwise && attack.newest.is_empty() {
            wrong.push(format!("{}: otherwise than what", attack.name));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

/// The page says what the cases say.
fn written(attacks: &[Attack]) -> Result<(), Failed> {
    let (file, page) = (root().join(PAGE), page::page(attacks));
    if fs::read_to_string(&file).unwrap_or_default() == page {
        return Ok(());
    }
    if env::var_os("GW_BLESS").is_some() {
        fs::write(&file, page).unwrap();
        return Ok(());
    }
    Err(format!("{PAGE} is behind: GW_BLESS=1 cargo test --test attacks").into())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}
