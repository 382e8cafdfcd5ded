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

use std::collections::BTreeMap;
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

/// A known difference with its condition compiled, and the rows that it was met in.
struct Pattern {
    known: Known,
    policy: Policy,
    /// Whether its facts were seen at all.
    seen: bool,
    /// Whether an outcome differed.
    met: bool,
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
            seen: false,
            met: false,
        }
    }

    fn is_about(&self, release: &str, facts: &Facts) -> bool {
        let named = |named: &String| named == release;
        let rule = gw::decide(self.policy.program(), facts).rule;
        self.known.releases.iter().any(named) && self.policy.label(rule) == "known"
    }
}

/// A recording with the policy of its release.
struct Release {
    version: String,
    recording: Recording,
    policy: Policy,
    compatibility: Compatibility,
}

fn releases() -> Vec<Release> {
    let folder = env::var("GW_OBSERVED").unwrap_or_else(|_| OBSERVED.to_owned());
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{folder}: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().filter_map(|path| release(path)).collect()
}

fn release(path: &Path) -> Option<Release> {
    let name = path.file_name()?.to_str()?;
    let version = name.strip_suffix(".jsonl.gz")?;
    let policy = format!("{POLICIES}/{version}.policy");
    let policy_text = fs::read_to_string(&policy).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let constants = fs::read_to_string(format!("{POLICIES}/{version}.yaml")).unwrap();
    Some(Release {
        version: version.to_owned(),
        recording: Recording::read(&text).unwrap_or_else(|error| panic!("{name}: {error}")),
        policy: Policy::parse(&policy, &policy_text).unwrap_or_else(|error| panic!("{error}")),
        compatibility: serde_yaml::from_str(&constants)
            .unwrap_or_else(|error| panic!("{version}.yaml: {error}")),
    })
}

/// A row of a release, replayed.
struct Row<'a> {
    cfg: &'a str,
    id: &'a str,
    steps: Vec<(&'a Step, Replayed)>,
}

fn replayed(release: &Release) -> Vec<Row<'_>> {
    let mut settings = BTreeMap::new();
    let mut rows = Vec::new();
    for row in &release.recording.rows {
        let settings = settings.entry(&row.cfg).or_insert_with(|| {
            let settings = release.recording.settings(&row.cfg, &release.compatibility);
            settings.unwrap_or_else(|error| panic!("{} {}: {error}", row.cfg, row.id))
        });
        let gate = Gate {
            policy: &release.policy,
            settings,
        };
        let replayed =
            replay(gate, row).unwrap_or_else(|error| panic!("{} {}: {error}", row.cfg, row.id));
        if let Some(replayed) = replayed {
            rows.push(Row {
                cfg: &row.cfg,
                id: &row.id,
                steps: row.steps().iter().zip(replayed).collect(),
            });
        }
    }
    rows
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
                if pattern.known.level <= level
                    && pattern.is_about(&release.version, &replayed.facts)
                {
                    pattern.seen = true;
                    let met = differs
                        && pattern.known.theirs == theirs.decision
                        && pattern.known.ours == ours.decision;
                    pattern.met |= met;
                    listed |= met;
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
    format!("{}: the state differs", ours.decision)
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

#[test]
fn real_gateways() {
    let known: Vec<Known> = match fs::read_to_string(format!("{OBSERVED}/known.yaml")) {
        Ok(text) => serde_yaml::from_str(&text).unwrap(),
        Err(_) => Vec::new(),
    };
    let mut patterns: Vec<Pattern> = known.into_iter().map(Pattern::new).collect();
    let mut wrong = Vec::new();
    for release in releases() {
        let version = &release.version;
        let rows = replayed(&release);
        for level in Level::ALL {
            let count = compared(&release, &rows, *level, &mut patterns);
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
    }
    for pattern in patterns {
        if pattern.seen && !pattern.met {
            wrong.push(format!("no longer differs: {}", pattern.known.why));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
