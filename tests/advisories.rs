//! Advisories and incidents as policies, `fixtures/advisories/NAME`: under `before.policy` the attacker gets
//! in, under `after.policy` no longer. What is expected stands in the head of `before.policy`, each in a line
//! `# KEY: VALUE`:
//!
//! - `attacker`, as `gw prove --attacker` takes it, and `fact`, as its `--fact`;
//! - `before` and `after`, the verdict that the attacker gets at most;
//! - `found`, the diagnostic that `gw check-policy` gives before, and no longer after. It is left out where the
//!   rule may be meant so, and only the attacker shows it.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a harness fails loudly"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

fn main() {
    let arguments = Arguments::from_args();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/advisories");
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    let trials = folders.into_iter().map(|folder| {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        Trial::test(name, move || advisory(&folder).map_err(Failed::from))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// The values of a key in the head of a policy.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let head = text.lines().filter_map(|line| line.strip_prefix("# "));
    let pairs = head.filter_map(|line| line.split_once(": "));
    pairs
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .collect()
}

fn gw(arguments: &[&str]) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_gw"))
        .args(arguments)
        .output()
        .unwrap();
    let said = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), said)
}

fn advisory(folder: &Path) -> Result<(), String> {
    let before = folder.join("before.policy");
    let text = fs::read_to_string(&before).unwrap();
    let found = values(&text, "found");
    for (file, expected) in [(before, "before"), (folder.join("after.policy"), "after")] {
        let path = file.to_str().unwrap();
        let mut arguments = vec!["prove", "--format", "json", "--policy", path];
        for attacker in values(&text, "attacker") {
            arguments.extend(["--attacker", attacker]);
        }
        for fact in values(&text, "fact") {
            arguments.extend(["--fact", fact]);
        }
        let (code, proved) = gw(&arguments);
        let attacker = &proved["attackers"][0];
        let gets = attacker["verdict"].as_str().unwrap();
        let see = &attacker["see"];
        if values(&text, expected) != [gets] {
            return Err(format!("{expected}: the attacker gets {gets}\n{see}"));
        }
        // Red before the fix, green after it.
        if code != Some(i32::from(expected == "before")) {
            return Err(format!("{expected}: exit code {code:?}"));
        }
        shown(see.as_str().unwrap(), attacker)?;
        let (_, checked) = gw(&["check-policy", "--format", "json", path]);
        let codes = checked["diagnostics"].as_array().unwrap().iter();
        let codes: Vec<&str> = codes.filter_map(|it| it["code"].as_str()).collect();
        for code in &found {
            if codes.contains(code) != (expected == "before") {
                return Err(format!("{expected}: gw check-policy finds {codes:?}"));
            }
        }
    }
    Ok(())
}

/// The connection that is shown is decided so.
fn shown(see: &str, attacker: &Value) -> Result<(), String> {
    let policy = see.split(" --policy ").nth(1).unwrap();
    let policy = policy.split(" --fact ").next().unwrap();
    let mut arguments = vec!["explain", "--format", "json", "--policy", policy];
    for fact in attacker["facts"].as_array().unwrap() {
        arguments.extend(["--fact", fact.as_str().unwrap()]);
    }
    let (_, explained) = gw(&arguments);
    if explained["verdict"] != attacker["verdict"] {
        return Err(format!(
            "{see}\nis {}, and not {}",
            explained["verdict"], attacker["verdict"]
        ));
    }
    Ok(())
}
