//! Holds the whole pure path, with the policy and the constants of each release, against what
//! real gateways of that release were recorded to do.
//!
//! By default the recordings are those of `fixtures/observed`; with `GW_OBSERVED=DIR` every
//! `VERSION.jsonl.gz` in that folder whose release has a policy. What is knowingly different
//! stands in `fixtures/observed/known.yaml`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is a test: what is missing fails it"
)]
#![expect(clippy::print_stdout, reason = "how many agreed is what it is about")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use gw::admission::Gate;
use gw::recorded::{Level, Recording, Replayed, Signature, Step, replay};
use gw::settings::Compatibility;
use gw::{Facts, Policy};
use serde::Deserialize;

/// Where recordings are kept.
const OBSERVED: &str = "fixtures/observed";
/// Where the policies of releases are kept.
const POLICIES: &str = "policies/openclaw";
/// How many differences of a kind are shown.
const SHOWN: usize = 3;
/// The known differences of a release at one level are at most one in so many of its rows.
const KNOWN_AT_MOST: usize = 200;
/// The rows of a release that take a real socket are at most one in so many.
const LEFT_OUT_AT_MOST: usize = 50;

/// `known.yaml`: one way in which the pure path knowingly differs from releases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// Why, for a maintainer.
    why: String,
    /// The releases that it is about.
    releases: Vec<String>,
    /// The narrowest level at which it shows.
    level: Level,
    /// A condition of the policy language over the facts of the step.
    when: String,
    /// What the release decided.
    theirs: String,
    /// What is decided here.
    ours: String,
}

/// A known difference with its condition compiled, and the releases that it was met in.
struct Pattern {
    known: Known,
    policy: Policy,
    /// The releases that decided so on such facts.
    seen: BTreeSet<String>,
    /// The releases whose outcome then differed.
    met: BTreeSet<String>,
}

impl Pattern {
    fn new(known: Known) -> Self {
        let text = format!(
            "gw-policy 1\n[known] {} → approve\ndefault → require-pairing\n",
            known.when
        );
        let policy = Policy::parse("known.yaml", &text)
            .unwrap_or_else(|error| panic!("known.yaml: {}: {error}", known.when));
        Pattern {
            known,
            policy,
            seen: BTreeSet::new(),
            met: BTreeSet::new(),
        }
    }

    fn is_about(&self, release: &str, facts: &Facts) -> bool {
        let named = |named: &String| named == release;
        let rule = || gw::decide(self.policy.program(), facts).rule;
        self.known.releases.iter().any(named) && self.policy.label(rule()) == "known"
    }

    /// What is wrong with the file, once all has been compared. Of a folder of one's own, the
    /// facts of a pattern need not be met.
    fn wrong(&self, compared: &BTreeSet<String>, whole: bool) -> Vec<String> {
        let why = self.known.why.trim();
        let mut wrong = Vec::new();
        for release in self
            .known
            .releases
            .iter()
            .filter(|it| compared.contains(*it))
        {
            if self.met.contains(release) {
                continue;
            }
            if self.seen.contains(release) {
                wrong.push(format!("known.yaml: {release} no longer differs: {why}"));
            } else if whole {
                wrong.push(format!("known.yaml: {release} has no such row: {why}"));
            }
        }
        wrong
    }
}

/// A recording with the policy of its release.
struct Release {
    version: String,
    recording: Recording,
    policy: Policy,
    compatibility: Compatibility,
}

/// The recordings of a folder, as far as they can be read.
fn recordings(folder: &str) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut found: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let version = path.file_name()?.to_str()?.strip_suffix(".jsonl.gz")?;
            Some((version.to_owned(), path))
        })
        .collect();
    found.sort();
    found
}

impl Release {
    /// `None` for a release without a policy.
    fn read(version: &str, path: &Path) -> Result<Option<Self>, String> {
        let policy = format!("{POLICIES}/{version}.policy");
        let Ok(policy_text) = fs::read_to_string(&policy) else {
            return Ok(None);
        };
        let unreadable = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = fs::File::open(path).map_err(|error| unreadable(&error))?;
        let mut text = String::new();
        flate2::read::GzDecoder::new(file)
            .read_to_string(&mut text)
            .map_err(|error| unreadable(&error))?;
        let constants = fs::read_to_string(format!("{POLICIES}/{version}.yaml")).unwrap();
        Ok(Some(Release {
            version: version.to_owned(),
            recording: Recording::read(&text).map_err(|error| unreadable(&error))?,
            policy: Policy::parse(&policy, &policy_text).unwrap_or_else(|error| panic!("{error}")),
            compatibility: serde_yaml::from_str(&constants)
                .unwrap_or_else(|error| panic!("{version}.yaml: {error}")),
        }))
    }

    /// Each row that takes no real socket, replayed.
    fn replayed(&self) -> Result<Vec<Row<'_>>, String> {
        let mut settings = BTreeMap::new();
        let mut rows = Vec::new();
        for row in &self.recording.rows {
            let wrong = |error| format!("{} {} {}: {error}", self.version, row.cfg, row.id);
            if !settings.contains_key(&row.cfg) {
                let read = self.recording.settings(&row.cfg, &self.compatibility);
                settings.insert(&row.cfg, read.map_err(wrong)?);
            }
            let gate = Gate {
                policy: &self.policy,
                settings: settings.get(&row.cfg).unwrap(),
            };
            if let Some(replayed) = replay(gate, row).map_err(wrong)? {
                rows.push(Row {
                    cfg: &row.cfg,
                    id: &row.id,
                    steps: row.steps().iter().zip(replayed).collect(),
                });
            }
        }
        Ok(rows)
    }
}

/// A row of a release, replayed.
struct Row<'a> {
    cfg: &'a str,
    id: &'a str,
    steps: Vec<(&'a Step, Replayed)>,
}

/// What becomes of the rows of a release at one level.
#[derive(Default)]
struct Count {
    agreed: usize,
    known: usize,
    differ: usize,
    kinds: BTreeMap<String, Vec<String>>,
}

fn compared(release: &Release, rows: &[Row<'_>], level: Level, patterns: &mut [Pattern]) -> Count {
    let mut count = Count::default();
    for row in rows {
        let mut different = None;
        let mut known = true;
        for (at, (step, replayed)) in row.steps.iter().enumerate() {
            let theirs = Signature::of(&step.out, &step.state, level);
            let ours = Signature::of(&replayed.out, &replayed.state, level);
            let differs = theirs != ours;
            let mut listed = false;
            for pattern in &mut *patterns {
                if level.asks(pattern.known.level)
                    && pattern.known.theirs == theirs.decision
                    && pattern.is_about(&release.version, &replayed.facts)
                {
                    pattern.seen.insert(release.version.clone());
                    if differs && pattern.known.ours == ours.decision {
                        pattern.met.insert(release.version.clone());
                        listed = true;
                    }
                }
            }
            if differs {
                known &= listed;
                different.get_or_insert((at, theirs, ours, replayed));
            }
        }
        match different {
            None => count.agreed += 1,
            Some(_) if known => count.known += 1,
            Some((at, theirs, ours, replayed)) => {
                count.differ += 1;
                let kind = kind(&theirs, &ours);
                let step = if row.steps.len() > 1 {
                    format!(" step {at}")
                } else {
                    String::new()
                };
                let told = format!(
                    "{} {}{step}\n      recorded {theirs:?}\n      here     {ours:?}\n      by {} of {}",
                    row.cfg,
                    row.id,
                    replayed.decision.map_or_else(
                        || "nothing".to_owned(),
                        |decision| release.policy.label(decision.by),
                    ),
                    facts(&replayed.facts),
                );
                count.kinds.entry(kind).or_default().push(told);
            }
        }
    }
    count
}

/// What two outcomes differ in, without what is particular to a row.
fn kind(theirs: &Signature, ours: &Signature) -> String {
    if theirs.decision != ours.decision {
        return format!("{} → {}", theirs.decision, ours.decision);
    }
    let of = |signature: &Signature| {
        format!(
            "{:?}{} {:?} {:?} {:?}",
            signature.scopes,
            if signature.device_token { " token" } else { "" },
            signature.role,
            signature.message,
            signature.close,
        )
    };
    if of(theirs) != of(ours) {
        return format!("{}: {} → {}", ours.decision, of(theirs), of(ours));
    }
    let names: BTreeSet<&String> = theirs.reply.keys().chain(ours.reply.keys()).collect();
    let part = |name: &&&String| theirs.reply.get(**name) != ours.reply.get(**name);
    let parts: Vec<&str> = names
        .iter()
        .filter(part)
        .map(|name| name.as_str())
        .collect();
    match parts.is_empty() {
        true => format!("{}: the state differs", ours.decision),
        false => format!("{}: {} differs", ours.decision, parts.join(", ")),
    }
}

/// The facts that are not defaults, as `--fact` takes them.
fn facts(facts: &Facts) -> String {
    let default = Facts::default();
    let shown = gw::facts::AttributeId::all().filter_map(|id| {
        let shown = id.show(facts);
        (shown != id.show(&default)).then(|| format!("{}={shown}", id.row().name))
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Compares a release at each level, prints how many agree, and says what is wrong.
fn checked(release: &Release, patterns: &mut [Pattern]) -> Result<Vec<String>, String> {
    let version = &release.version;
    let rows = release.replayed()?;
    let left_out = release.recording.rows.len() - rows.len();
    println!(
        "{version}: {} rows, and {left_out} that take a real socket",
        rows.len()
    );
    let mut wrong = Vec::new();
    if rows.is_empty() || left_out * LEFT_OUT_AT_MOST > rows.len() {
        wrong.push(format!(
            "{version}: {left_out} rows are too many to leave out"
        ));
    }
    for level in Level::ALL {
        let count = compared(release, &rows, *level, patterns);
        println!(
            "{version} {level}: {} agreed, {} known, {} differ",
            count.agreed, count.known, count.differ
        );
        let mut kinds: Vec<_> = count.kinds.into_iter().collect();
        kinds.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
        for (kind, rows) in kinds {
            println!("  {} {kind}", rows.len());
            for row in rows.iter().take(SHOWN) {
                println!("    {row}");
            }
        }
        if count.differ > 0 {
            wrong.push(format!("{version} {level}: {} rows differ", count.differ));
        }
        if count.known * KNOWN_AT_MOST > rows.len() {
            wrong.push(format!(
                "{version} {level}: {} rows are too many to be known",
                count.known
            ));
        }
    }
    Ok(wrong)
}

#[test]
fn real_gateways() {
    let known = fs::read_to_string(format!("{OBSERVED}/known.yaml")).unwrap();
    let known: Vec<Known> =
        serde_yaml::from_str(&known).unwrap_or_else(|error| panic!("known.yaml: {error}"));
    let mut patterns: Vec<Pattern> = known.into_iter().map(Pattern::new).collect();
    let own = env::var("GW_OBSERVED").ok();
    let folder = own.as_deref().unwrap_or(OBSERVED);
    let (mut compared, mut wrong) = (BTreeSet::new(), Vec::new());
    for (version, path) in recordings(folder) {
        match Release::read(&version, &path) {
            Ok(None) => println!("{version}: skipped, since {POLICIES} has no policy for it"),
            Ok(Some(release)) => match checked(&release, &mut patterns) {
                Ok(different) => {
                    wrong.extend(different);
                    compared.insert(version);
                }
                Err(error) => wrong.push(error),
            },
            Err(error) => wrong.push(error),
        }
    }
    if compared.is_empty() {
        wrong.push(format!(
            "{folder}: no recording of a release that has a policy"
        ));
    }
    for pattern in &patterns {
        wrong.extend(pattern.wrong(&compared, own.is_none()));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
