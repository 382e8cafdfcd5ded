//! What fuzzing has found and gone through, once more: each input of `fuzz/corpus` and
//! `fuzz/regressions` through its target. What a target claims stands in `fuzz/README.md`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a target fails loudly, and its twins say only what they are about"
)]

#[path = "../fuzz/src/lib.rs"]
pub mod fuzz;

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Trial};

/// The inputs of a target in a folder, in their order.
fn inputs(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(folder)
        .join(target);
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for (target, run) in fuzz::TARGETS {
        let corpus = inputs("corpus", target);
        assert!(!corpus.is_empty(), "fuzz/corpus/{target} is empty");
        for path in corpus.into_iter().chain(inputs("regressions", target)) {
            let kept = path
                .parent()
                .and_then(Path::parent)
                .and_then(Path::file_name);
            let kept = kept.unwrap().display();
            let name = format!("{target}/{kept}/{}", path.file_name().unwrap().display());
            trials.push(Trial::test(name, move || {
                run(&fs::read(&path).unwrap());
                Ok(())
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
