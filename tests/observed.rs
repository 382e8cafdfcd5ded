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
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use gw::admission::Gate;
use gw::pairing::Standing;
use gw::recorded::outcome::{self, Names};
use gw::recorded::{Level, Recording, Replayed, Signature, Step, prior, replay, sent};
use gw::settings::Compatibility;
use gw::{Facts, Policy};
use libtest_mimic::{Arguments, Failed, Trial};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Where recordings are kept.
const OBSERVED: &str = "fixtures/observed";
/// What is knowingly different.
const KNOWN: &str = "fixtures/observed/known.yaml";
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
    /// A condition of the policy language over the facts of the step.
    when: String,
    /// What the release decided.
    theirs: String,
    /// What is decided here.
    ours: String,
    /// The parts of the outcome that may differ, as paths; `*` stands for one name.
    parts: Vec<String>,
    /// The releases that it is about, and how many of their rows in `fixtures/observed`.
    rows: BTreeMap<String, usize>,
}

/// A known difference with its condition compiled.
struct Pattern {
    known: Known,
    policy: Policy,
}

/// What a release shows of a known difference.
#[derive(Clone, Default)]
struct Met {
    /// It decided so on such facts.
    seen: bool,
    /// The rows whose outcome then differed in nothing else.
    rows: BTreeSet<usize>,
    /// The parts in which they differed, by their place in the list.
    parts: BTreeSet<usize>,
}

impl Pattern {
    fn new(known: Known) -> Result<Self, String> {
        let text = format!(
            "gw-policy 1\n[known] {} → approve\ndefault → require-pairing\n",
            known.when
        );
        let policy = Policy::parse("known.yaml", &text)
            .map_err(|error| format!("{KNOWN}: when: {}: {error}", known.when))?;
        Ok(Pattern { known, policy })
    }

    fn is_about(&self, release: &str, facts: &Facts) -> bool {
        let rule = || gw::decide(self.policy.program(), facts).rule;
        self.known.rows.contains_key(release) && self.policy.label(rule()) == "known"
    }

    /// The listed parts in which an outcome differs; `None` if it also differs in others.
    fn covers(&self, differences: &Differences) -> Option<BTreeSet<usize>> {
        let parts = &self.known.parts;
        let listed = |path: &String| parts.iter().position(|part| is_part(part, path));
        let covered: Option<BTreeSet<usize>> = differences.keys().map(listed).collect();
        covered.filter(|covered| !covered.is_empty())
    }

    /// What is wrong with the file, once a release has been compared. A folder of one's own
    /// need not hold all that `fixtures/observed` holds.
    fn wrong(&self, release: &str, met: &Met, whole: bool) -> Vec<String> {
        let Some(rows) = self.known.rows.get(release) else {
            return Vec::new();
        };
        let why = self.known.why.trim();
        let wrong = |what: &str| format!("{KNOWN}: {release} {what}: {why}");
        if met.rows.is_empty() {
            return match (met.seen, whole) {
                (true, _) => vec![wrong("does not differ so")],
                (false, true) => vec![wrong("has no such row")],
                (false, false) => Vec::new(),
            };
        }
        if !whole {
            return Vec::new();
        }
        let parts = self.known.parts.iter().enumerate();
        let equal = parts.filter(|(at, _)| !met.parts.contains(at));
        let mut all: Vec<String> = equal
            .map(|(_, part)| wrong(&format!("does not differ in {part}")))
            .collect();
        let found = met.rows.len();
        if found != *rows {
            all.push(wrong(&format!("differs so in {found} rows, not {rows}")));
        }
        all
    }
}

/// Whether a path is one that a pattern of paths names.
fn is_part(pattern: &str, path: &str) -> bool {
    let (pattern, path) = (pattern.split('/'), path.split('/'));
    let same = |(pattern, name)| pattern == "*" || pattern == name;
    pattern.clone().count() == path.clone().count() && pattern.zip(path).all(same)
}

/// A recording with the policy of its release.
struct Release {
    version: String,
    path: PathBuf,
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
        flate2::read::MultiGzDecoder::new(file)
            .read_to_string(&mut text)
            .map_err(|error| unreadable(&error))?;
        let constants = fs::read_to_string(format!("{POLICIES}/{version}.yaml")).unwrap();
        Ok(Some(Release {
            version: version.to_owned(),
            path: path.to_owned(),
            recording: Recording::read(&text).map_err(|error| unreadable(&error))?,
            policy: Policy::parse(&policy, &policy_text).unwrap_or_else(|error| panic!("{error}")),
            compatibility: serde_yaml::from_str(&constants)
                .unwrap_or_else(|error| panic!("{version}.yaml: {error}")),
        }))
    }

    /// Each row that takes no real socket, replayed, and what is wrong with rows that cannot be.
    fn replayed(&self) -> (Vec<Row<'_>>, Vec<String>) {
        let mut settings = BTreeMap::new();
        let (mut rows, mut wrong) = (Vec::new(), Vec::new());
        for row in &self.recording.rows {
            let settings = settings.entry(&row.cfg).or_insert_with(|| {
                let read = self.recording.settings(&row.cfg, &self.compatibility);
                read.map_err(|error| error.to_string())
            });
            let replayed = settings.as_ref().map_err(Clone::clone);
            let replayed = replayed.and_then(|settings| {
                let policy = &self.policy;
                replay(Gate { policy, settings }, row).map_err(|error| error.to_string())
            });
            match replayed {
                Ok(Some(replayed)) => rows.push(Row {
                    cfg: &row.cfg,
                    id: &row.id,
                    before: before(row, self.compatibility.pairing.provenance),
                    steps: row.steps().iter().zip(replayed).collect(),
                }),
                Ok(None) => (),
                Err(error) => {
                    wrong.push(format!("{} {} {}: {error}", self.version, row.cfg, row.id))
                }
            }
        }
        (rows, wrong)
    }
}

/// A row of a release, replayed.
struct Row<'a> {
    cfg: &'a str,
    id: &'a str,
    /// The pairing state before, as a state that changed is recorded.
    before: Value,
    steps: Vec<(&'a Step, Replayed)>,
}

/// The pairing state before a row, as a state that changed is recorded.
fn before(row: &gw::recorded::Row, by_owner: bool) -> Value {
    let first = row.steps().first();
    let Some(client) = first.and_then(|step| step.connect.as_ref()) else {
        return Value::Null;
    };
    let device = sent::device_name(row, &Step::default());
    let standing = prior::standing(&row.prior, &device, client, by_owner).unwrap();
    let mut names = Names::from([(sent::device_id(&device), "<device:A>".to_owned())]);
    let key = |of: &str| standing.pointer(of).and_then(Value::as_str);
    if let Some(key) = key("/record/publicKey").or_else(|| key("/pending/publicKey")) {
        let other = &*row.prior == "paired-otherkey";
        let name = if other { "A-other" } else { "A" };
        names.insert(key.to_owned(), format!("<pubkey:{name}>"));
    }
    let standing: Standing = serde_json::from_value(standing).unwrap();
    let after = BTreeMap::from([(sent::device_id(&device), standing)]);
    outcome::state(&BTreeMap::new(), &after, &names)
}

/// The pairing state of one side from step to step: what a step leaves unchanged is not
/// recorded, and is as it was before.
struct Kept(Map<String, Value>);

impl Kept {
    fn new(before: &Value) -> Self {
        let mut kept = Kept(Map::new());
        kept.keep(before);
        kept
    }

    fn keep(&mut self, state: &Value) {
        for part in ["paired", "pending"] {
            if let Some(value) = state.get(part) {
                self.0.insert(part.to_owned(), value.clone());
            }
        }
    }

    /// An outcome with what its state leaves out, if its state is compared at all.
    fn whole(&self, mut signature: Signature) -> Signature {
        if let Some(state) = signature.state.as_object_mut() {
            state.extend(self.0.clone());
        }
        signature
    }
}

/// What becomes of the rows of a release at one level.
#[derive(Default)]
struct Count {
    agreed: usize,
    known: usize,
    differ: usize,
    kinds: BTreeMap<String, Vec<String>>,
}

fn compared(
    release: &Release,
    rows: &[Row<'_>],
    level: Level,
    patterns: &[Pattern],
    met: &mut [Met],
) -> Count {
    let mut count = Count::default();
    for (place, row) in rows.iter().enumerate() {
        let mut different = None;
        let mut known = true;
        let mut their_state = Kept::new(&row.before);
        let mut our_state = Kept::new(&row.before);
        for (at, (step, replayed)) in row.steps.iter().enumerate() {
            let theirs = Signature::of(&step.out, &step.state, level);
            let ours = Signature::of(&replayed.out, &replayed.state, level);
            their_state.keep(&theirs.state);
            our_state.keep(&ours.state);
            let decided = [theirs.decision.clone(), ours.decision.clone()];
            let differs = (theirs != ours)
                .then(|| differences(&their_state.whole(theirs), &our_state.whole(ours)));
            let mut listed = false;
            for (pattern, met) in patterns.iter().zip(&mut *met) {
                let [theirs, ours] = &decided;
                if pattern.known.theirs != *theirs
                    || !pattern.is_about(&release.version, &replayed.facts)
                {
                    continue;
                }
                met.seen = true;
                let covered = differs.as_ref().and_then(|it| pattern.covers(it));
                if let Some(parts) = covered
                    && pattern.known.ours == *ours
                {
                    met.rows.insert(place);
                    met.parts.extend(parts);
                    listed = true;
                }
            }
            if let Some(differences) = differs {
                known &= listed;
                different.get_or_insert((at, differences, replayed));
            }
        }
        match different {
            None => count.agreed += 1,
            Some(_) if known => count.known += 1,
            Some((at, differences, replayed)) => {
                count.differ += 1;
                let kind = kind(&differences);
                let step = match row.steps.len() {
                    1 => String::new(),
                    _ => format!(" --step {}", at + 1),
                };
                let version = &release.version;
                let mut told = format!(
                    "gw explain --recorded {} --row {}/{}{step} --policy {POLICIES}/{version}.policy\n",
                    release.path.display(),
                    row.cfg,
                    row.id,
                );
                for (what, [recorded, here]) in &differences {
                    writeln!(told, "      {what}: recorded {recorded}, here {here}").unwrap();
                }
                let by = replayed.decision.map_or_else(
                    || "answered before any policy was asked".to_owned(),
                    |decision| format!("by {}", release.policy.label(decision.by)),
                );
                write!(told, "      {by}, on {}", facts(&replayed.facts)).unwrap();
                count.kinds.entry(kind).or_default().push(told);
            }
        }
    }
    count
}

/// The parts in which an outcome differs, by name, as recorded and as here.
type Differences = BTreeMap<String, [String; 2]>;

fn differences(theirs: &Signature, ours: &Signature) -> Differences {
    let (theirs, ours) = (parts(theirs), parts(ours));
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let shown = |parts: &BTreeMap<String, String>, name: &String| {
        let part = parts.get(name).cloned();
        part.unwrap_or_else(|| "nothing".to_owned())
    };
    let pairs = names.into_iter().map(|name| {
        let both = [shown(&theirs, name), shown(&ours, name)];
        (name.clone(), both)
    });
    pairs.filter(|(_, [theirs, ours])| theirs != ours).collect()
}

/// Each part of an outcome that holds no other parts, by its path.
fn parts(signature: &Signature) -> BTreeMap<String, String> {
    let whole = json!({
        "decision": signature.decision,
        "scopes": signature.scopes,
        "deviceToken": signature.device_token,
        "role": signature.role,
        "message": signature.message,
        "close": signature.close,
        "reply": signature.reply,
        "state": signature.state,
    });
    let mut parts = BTreeMap::new();
    gather(&whole, String::new(), &mut parts);
    parts
}

fn gather(value: &Value, path: String, parts: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                gather(value, format!("{path}/{name}"), parts);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (at, value) in list.iter().enumerate() {
                gather(value, format!("{path}/{at}"), parts);
            }
        }
        Value::Object(_)
        | Value::Null
        | Value::Array(_)
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => {
            parts.insert(path, value.to_string());
        }
    }
}

/// What is not particular to a row: the decisions, or else what differs.
fn kind(differences: &Differences) -> String {
    if let Some([theirs, ours]) = differences.get("/decision") {
        return format!("recorded {theirs}, here {ours}");
    }
    let names: Vec<&str> = differences.keys().map(String::as_str).collect();
    names.join(", ")
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

/// What comparing a release comes to.
#[derive(Default)]
struct Report {
    /// What is printed of it.
    told: String,
    /// What is wrong.
    wrong: Vec<String>,
}

/// Compares a release at each level.
fn checked(release: &Release, patterns: &[Pattern], whole: bool) -> Report {
    let version = &release.version;
    let (rows, wrong) = release.replayed();
    let left_out = release.recording.rows.len() - rows.len() - wrong.len();
    let mut report = Report {
        told: format!(
            "{version}: {} rows, and {left_out} that take a real socket\n",
            rows.len()
        ),
        wrong,
    };
    if rows.is_empty() || left_out * LEFT_OUT_AT_MOST > rows.len() {
        let wrong = format!("{version}: {left_out} rows are too many to leave out");
        report.wrong.push(wrong);
    }
    let mut met = vec![Met::default(); patterns.len()];
    for level in Level::ALL {
        let count = compared(release, &rows, *level, patterns, &mut met);
        let (agreed, known, differ) = (count.agreed, count.known, count.differ);
        let told = &mut report.told;
        writeln!(
            told,
            "{version} {level}: {agreed} agreed, {known} known, {differ} differ"
        )
        .unwrap();
        let mut kinds: Vec<_> = count.kinds.into_iter().collect();
        kinds.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
        for (kind, rows) in kinds {
            writeln!(told, "  {} {kind}", rows.len()).unwrap();
            for row in rows.iter().take(SHOWN) {
                writeln!(told, "    {row}").unwrap();
            }
        }
        if differ > 0 {
            let wrong = format!("{version} {level}: {differ} rows differ");
            report.wrong.push(wrong);
        }
        if known * KNOWN_AT_MOST > rows.len() {
            let wrong = format!("{version} {level}: {known} rows are too many to be known");
            report.wrong.push(wrong);
        }
    }
    let wrong = patterns
        .iter()
        .zip(met)
        .flat_map(|(pattern, met)| pattern.wrong(version, &met, whole));
    report.wrong.extend(wrong);
    report
}

/// Every release of a folder, each on a thread of its own.
fn real_gateways() -> Result<(), Failed> {
    let known = fs::read_to_string(KNOWN)?;
    let known: Vec<Known> =
        serde_yaml::from_str(&known).map_err(|error| format!("{KNOWN}: {error}"))?;
    let patterns: Vec<Pattern> = known
        .into_iter()
        .map(Pattern::new)
        .collect::<Result<_, _>>()?;
    let own = env::var("GW_OBSERVED").ok();
    let folder = own.as_deref().unwrap_or(OBSERVED);
    let found = recordings(folder);
    let one = |(version, path): &(String, PathBuf)| match Release::read(version, path) {
        Ok(Some(release)) => Some(checked(&release, &patterns, own.is_none())),
        Ok(None) => {
            println!("{version}: skipped, since {POLICIES} has no policy for it");
            None
        }
        Err(error) => Some(Report {
            wrong: vec![error],
            ..Report::default()
        }),
    };
    let reports: Vec<Report> = thread::scope(|scope| {
        let running: Vec<_> = found.iter().map(|it| scope.spawn(|| one(it))).collect();
        let ended = running.into_iter().map(|it| it.join().unwrap());
        ended.flatten().collect()
    });
    if reports.is_empty() {
        return Err(format!("{folder}: no recording of a release that has a policy").into());
    }
    let mut wrong = Vec::new();
    let has = |release: &String| found.iter().any(|(version, _)| version == release);
    let named = patterns
        .iter()
        .flat_map(|pattern| pattern.known.rows.keys());
    for release in named.filter(|release| own.is_none() && !has(release)) {
        wrong.push(format!("{KNOWN}: there is no recording of {release}"));
    }
    for report in reports {
        print!("{}", report.told);
        wrong.extend(report.wrong);
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n").into()),
    }
}

fn main() {
    let trial = Trial::test("real gateways", real_gateways);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
}
