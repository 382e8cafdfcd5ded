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
#[expect(dead_code, reason = "heads and frames are made here from what a case says")]
mod client;
#[path = "../support/scenario.rs"]
#[expect(dead_code, reason = "what is expected of recorded handshakes is not expected here")]
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

use case::{Attack, Beside};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Builder;

/// The folder of the attacks.
const ATTACKS: &str = "fixtures/attacks";
/// The page that is made of them.
const PAGE: &str = "docs/attacks.md";
/// How many rows the list of attacks on OpenClaw's gateways has.
const ROWS: u32 = 40;

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
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                let outcome = runtime.block_on(run::run(attack, &attack.cases[case_at]));
                outcome.map_err(Failed::from)
            }));
        }
    }
    let every: [(&str, fn(&[Attack]) -> Result<(), Failed>); 2] =
        [("every row has its cases", complete), ("the page", written)];
    for (name, test) in every {
        let attacks = Arc::clone(&attacks);
        trials.push(Trial::test(name, move || test(&attacks)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// All attacks: the rows by their numbers, then the others by their names.
fn attacks() -> Vec<Attack> {
    let folder = root().join(ATTACKS);
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let mut attacks: Vec<Attack> = files
        .map(|path| {
            let read = Attack::read(&path);
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
    let mut wrong: Vec<String> = missing.iter().map(|row| format!("no file is S{row}")).collect();
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
