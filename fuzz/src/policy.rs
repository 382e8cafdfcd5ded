//! Any bytes as a policy, with files that it may include. Reading it ends and says what is wrong; what
//! can be read is laid out without a change of what it means, and keeps its comments; a policy that
//! loads decides.
//!
//! A zero byte ends a file: the policy itself comes first, then `a.policy`, `b.policy` and `h.json`,
//! which its tests may name.

use gw::diagnostic::render::{Format, render};
use gw::lang::parse::MAX_PROBLEMS;
use gw::lang::{Read, ReadError, format};
use gw::{Facts, Policy, decide};

use super::layout::{laid_out, tree};

const FORMS: [Format; 4] = [
    Format::Human { colour: false },
    Format::Plain,
    Format::Json,
    Format::Sarif,
];

/// Reads the bytes as a policy.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut files = text.split('\0');
    let main = files.next().unwrap_or_default();
    let beside: Vec<&str> = files.collect();
    let once = format(main);
    if tree(main).is_ok() {
        assert_eq!(laid_out(main), Ok(once));
    }
    let mut reader = |path: &str, _: Read| {
        let at = match path.rsplit('/').next() {
            Some("a.policy") => 0,
            Some("b.policy") => 1,
            Some("h.json") => 2,
            _ => return Err(ReadError::NotFound),
        };
        let found = beside.get(at).map(|text| (*text).to_owned());
        found.ok_or(ReadError::NotFound)
    };
    let (found, sources) = match Policy::load("main.policy", main, &mut reader) {
        Ok(policy) => {
            let decision = decide(policy.program(), &Facts::default());
            assert!(!policy.label(decision.by).is_empty());
            assert_eq!(policy.clause_hash(decision.by).len(), 8);
            (policy.warnings().clone(), policy.sources().clone())
        }
        Err(error) => {
            assert!(error.diagnostics.has_errors(), "{main:?}");
            (error.diagnostics, error.sources)
        }
    };
    // Of each file as many, and a few of what they are together.
    let most = (MAX_PROBLEMS + 100) * sources.iter().count().max(1) * 4;
    assert!(found.0.len() <= most, "{} are kept", found.0.len());
    for diagnostic in &found.0 {
        for label in &diagnostic.labels {
            let source = sources.get(label.span.source);
            let range = label.span.start as usize..label.span.end as usize;
            let is_there = source.is_some_and(|source| source.text.get(range).is_some());
            assert!(is_there, "{diagnostic:?}");
        }
    }
    for form in FORMS {
        let shown = render(&found, &sources, form);
        let is_raw = |it: char| !matches!(it, '\n' | '\t') && it.is_control();
        assert!(!shown.contains(is_raw), "{shown:?}");
    }
}
