//! The golden scenarios, one folder of `fixtures/issues` for each row of the table in the
//! issue, and recordings of real gateways in `fixtures/observed`.
//!
//! A handshake is what its spec makes of it, the answer is what `scenarios.json` says, and
//! what `gw explain` prints stands beside the handshake. A name that is a release stands for
//! the policy of that release, under that release's constants. `GW_BLESS=1` writes handshakes
//! and explanations anew; what is expected is never written.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "this is a test: what is missing fails it"
)]
#![expect(clippy::print_stdout, reason = "how many agreed is worth saying")]

#[path = "support/scenario.rs"]
#[expect(dead_code, reason = "no frame is sent over a socket here")]
mod scenario;
#[path = "support/sign.rs"]
mod sign;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::{env, fs};

use gw::admission::Gate;
use gw::explain::{Explanation, Subject};
use gw::facts::AttributeId;
use gw::lang::checked::Role;
use gw::lang::{Read, ReadError};
use gw::recorded::{Recording, outcome, replay};
use gw::settings::Compatibility;
use gw::source::Span;
use gw::{Decision, Facts, Policy};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

use serde::Deserialize;

use scenario::{Case, Expected, Row, Scenarios, pretty};

/// The policies that are shipped.
const POLICIES: [&str; 3] = ["default", "docker", "lan"];
/// The releases of OpenClaw whose answers are in `policies/openclaw`.
const RELEASES: [&str; 4] = ["2026.3.23", "2026.4.15", "2026.4.22", "2026.9.6"];
/// The release that every scenario is asked of, unless it says why not.
const NEWEST: &str = "2026.9.6";
/// The folder of the scenarios.
const ISSUES: &str = "fixtures/issues";
/// The folder of the recordings.
const OBSERVED: &str = "fixtures/observed";
/// The page that leads from a report to its scenario.
const REPORTS: &str = "docs/issues.md";
/// The line of the README.
const README: &str = "client=cli and auth=token and loopback and no-origin → silent-approve";

fn main() {
    let arguments = Arguments::from_args();
    let shipped = POLICIES.map(|name| (name, Asked::of(name, None)));
    let releases = RELEASES.map(|name| (name, Asked::of(name, Some(constants(name)))));
    let policies: Policies = shipped.into_iter().chain(releases).collect();
    let policies = Arc::new(policies);
    let scenarios: Scenarios = json(&format!("{ISSUES}/scenarios.json"));
    let scenarios = Arc::new(scenarios);
    let mut trials = Vec::new();
    for (at, row) in scenarios.rows.iter().enumerate() {
        for (case_at, case) in row.cases.iter().enumerate() {
            let (scenarios, policies) = (scenarios.clone(), policies.clone());
            let name = format!("{}/{}", row.folder, case.name);
            trials.push(Trial::test(&name, move || {
                let row = &scenarios.rows[at];
                recorded(row, &row.cases[case_at], &policies)
            }));
        }
    }
    let every: [(&str, Test); 8] = [
        ("every file is listed", files),
        ("every case is asked of a release", before_and_after),
        ("every report leads to its scenario", reports),
        ("the line of the README", readme),
        ("every rule and guard is reached", reached),
        ("the same by password", by_password),
        ("what real gateways answered", real_gateways),
        ("the guide to the default policy", guide),
    ];
    for (name, test) in every {
        let (scenarios, policies) = (scenarios.clone(), policies.clone());
        trials.push(Trial::test(name, move || test(&scenarios, &policies)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

type Policies = BTreeMap<&'static str, Asked>;
type Test = fn(&Scenarios, &Policies) -> Result<(), Failed>;

/// A policy, and the constants that a handshake is read under.
struct Asked {
    policy: Policy,
    path: String,
    /// `settings.compatibility` of a release; else the handshake's own.
    compatibility: Option<Value>,
}

impl Asked {
    fn of(name: &str, compatibility: Option<Value>) -> Self {
        let folder = match compatibility {
            Some(_) => "policies/openclaw",
            None => "policies",
        };
        let path = format!("{folder}/{name}.policy");
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let policy = Policy::load(&path, &text, &mut read);
        Asked {
            policy: policy.unwrap_or_else(|error| panic!("{path}: {error}")),
            path,
            compatibility,
        }
    }

    /// The facts of a handshake for this policy.
    fn facts(&self, handshake: &Value) -> Facts {
        let mut handshake = handshake.clone();
        if let Some(compatibility) = &self.compatibility {
            handshake["settings"]["compatibility"] = compatibility.clone();
        }
        facts(&handshake.to_string())
    }
}

/// The constants of a release.
fn constants(release: &str) -> Value {
    let path = format!("policies/openclaw/{release}.yaml");
    let text = fs::read_to_string(root().join(&path)).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A handshake as it is committed: made from its spec, answered as expected, explained as it
/// stands beside it.
fn recorded(row: &Row, case: &Case, policies: &Policies) -> Result<(), Failed> {
    let mut wrong = Vec::new();
    let path = format!("{ISSUES}/{}/{}", row.folder, case.name);
    let handshake = row.spec(case).handshake();
    wrong.extend(same(&format!("{path}.json"), &pretty(&handshake)));
    let observed = facts(&handshake.to_string());
    for (name, value) in &case.facts {
        let found = AttributeId::named(name).unwrap().show(&observed);
        if found != *value {
            wrong.push(format!("{name} is {found}, expected {value}"));
        }
    }
    for (name, expected) in &case.expect {
        let asked = &policies[name.as_str()];
        let facts = asked.facts(&handshake);
        let explanation = gw::explain(&asked.policy, &facts, &Subject::of_facts(&facts));
        let said = explained(&format!("{path}.json"), &asked.path);
        let kind = explanation.decision.verdict.kind().name();
        if !said.starts_with(&kind.to_uppercase()) {
            wrong.push(format!("{}: {kind}, but it prints\n{said}", asked.path));
        }
        let answers = answers(&asked.policy, &explanation, &said, expected);
        wrong.extend(
            answers
                .into_iter()
                .map(|answer| format!("{}: {answer}", asked.path)),
        );
        // The hash changes with every comment in the policy, and says nothing here.
        let golden = said.replace(&explanation.policy, "…");
        wrong.extend(same(&format!("{path}.{name}.txt"), &golden));
    }
    found(wrong)
}

/// What is not as expected in an answer.
fn answers(
    policy: &Policy,
    explanation: &Explanation,
    said: &str,
    expected: &Expected,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let Explanation { decision, by, .. } = explanation;
    if !is(decision, expected.verdict()) {
        let (verdict, expected) = (decision.verdict, expected.verdict());
        wrong.push(format!(
            "{verdict} by {}, expected {expected}\n{said}",
            by.label
        ));
    }
    let Some(more) = expected.more() else {
        return wrong;
    };
    let mut hold = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{what}\n{said}"));
        }
    };
    let line = policy.sources().slice(policy.clause(decision.by).head);
    hold(
        more.line.as_ref().is_none_or(|expected| line == expected),
        "another line decides",
    );
    hold(
        !more.guard || matches!(by.role, Role::Guard(_)),
        "no guard decides",
    );
    hold(!more.hint || by.hint.is_some(), "there is no hint");
    for word in &more.because {
        let because = by.because.as_deref().unwrap_or_default();
        hold(
            because.contains(word.as_str()),
            &format!("the reason does not say `{word}`"),
        );
    }
    for name in &more.uses {
        let used = |fact: &&gw::explain::FactAccount| fact.attribute.row().name == name;
        let used = explanation
            .facts
            .iter()
            .find(used)
            .is_some_and(|fact| fact.used);
        hold(used, &format!("the deciding line does not ask for {name}"));
    }
    for words in &more.says {
        hold(
            said.contains(words.as_str()),
            &format!("it does not say `{words}`"),
        );
    }
    wrong
}

/// Whether a decision is the expected one: a kind of verdict, or one with its reason.
fn is(decision: &Decision, expected: &str) -> bool {
    let verdict = decision.verdict;
    match expected.contains('(') {
        true => verdict.to_string() == expected,
        false => verdict.kind().name() == expected,
    }
}

/// Rows that say so get the same answers with a password as with a token.
fn by_password(scenarios: &Scenarios, policies: &Policies) -> Result<(), Failed> {
    let mut wrong = Vec::new();
    let rows = scenarios.rows.iter().filter(|row| row.by_password);
    for (row, case) in rows.flat_map(|row| row.cases.iter().map(move |case| (row, case))) {
        let handshake = row.spec(case).by_password().handshake();
        for (name, expected) in &case.expect {
            let asked = &policies[name.as_str()];
            let facts = asked.facts(&handshake);
            let expected = expected.verdict().replace("token-m", "password-m");
            let decision = gw::decide(asked.policy.program(), &facts);
            if !is(&decision, &expected) {
                let verdict = decision.verdict;
                let place = format!("{}/{} under {}", row.folder, case.name, asked.path);
                wrong.push(format!("{place}: {verdict}, expected {expected}"));
            }
        }
    }
    found(wrong)
}

/// Every file of the folders is listed, and every listed one is there.
fn files(scenarios: &Scenarios, _: &Policies) -> Result<(), Failed> {
    let mut listed = BTreeSet::from(["scenarios.json".to_owned()]);
    for (row, case) in cases(scenarios) {
        let path = format!("{}/{}", row.folder, case.name);
        listed.insert(format!("{path}.json"));
        listed.extend(
            case.expect
                .keys()
                .map(|policy| format!("{path}.{policy}.txt")),
        );
    }
    let mut wrong = Vec::new();
    for row in &scenarios.rows {
        let number = row.folder.starts_with(|first: char| first.is_ascii_digit());
        if !number && !row.folder.starts_with("attack-") {
            wrong.push(format!("{} begins with no issue", row.folder));
        }
        if row.cases[0].name != "handshake" {
            wrong.push(format!("{} has no main handshake", row.folder));
        }
    }
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(root().join(ISSUES)).unwrap().flatten() {
        let folder = entry.file_name().into_string().unwrap();
        match fs::read_dir(entry.path()) {
            Ok(files) => there.extend(
                files
                    .flatten()
                    .map(|file| format!("{folder}/{}", file.file_name().into_string().unwrap())),
            ),
            Err(_) => _ = there.insert(folder),
        }
    }
    wrong.extend(
        there
            .difference(&listed)
            .map(|file| format!("{file} is not listed")),
    );
    wrong.extend(
        listed
            .difference(&there)
            .map(|file| format!("{file} is not there")),
    );
    found(wrong)
}

/// Every case is asked of the newest release, or says why not.
fn before_and_after(scenarios: &Scenarios, _: &Policies) -> Result<(), Failed> {
    let mut wrong = Vec::new();
    for (row, case) in cases(scenarios) {
        let place = format!("{}/{}", row.folder, case.name);
        if !case.expect.contains_key("default") {
            wrong.push(format!("{place} is not asked of the default policy"));
        }
        if case.expect.contains_key(NEWEST) == case.no_release.is_some() {
            wrong.push(format!("{place} is asked of {NEWEST}, or says why not"));
        }
    }
    found(wrong)
}

/// Each row of the page of reports leads to a scenario that is there, or says `not modelled`;
/// each scenario of a report is led to; no report stands twice, and tables are in order.
fn reports(scenarios: &Scenarios, _: &Policies) -> Result<(), Failed> {
    let text = fs::read_to_string(root().join(REPORTS)).unwrap();
    let (mut names, mut answers) = (BTreeSet::new(), BTreeMap::new());
    for (row, case) in cases(scenarios) {
        let name = format!("{}/{}", row.folder, case.name);
        answers.extend(
            case.expect
                .iter()
                .map(|(policy, expected)| (format!("{name}.{policy}.txt"), expected.verdict())),
        );
        names.extend([row.folder.clone(), name]);
    }
    let (mut wrong, mut linked, mut numbers) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut before = None;
    for line in text.lines() {
        let Some(cells) = line
            .strip_prefix("| ")
            .and_then(|row| row.strip_suffix(" |"))
        else {
            before = None;
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").collect();
        let [report, _, place, fails, _] = cells[..] else {
            wrong.push(format!("five cells make a row: {line}"));
            continue;
        };
        if report == "report" || report == "---" {
            continue;
        }
        if place.contains("](") == (place == "not modelled") {
            wrong.push(format!("{report} leads nowhere, and does not say so"));
        }
        for link in line.split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            let name = target.strip_prefix("../fixtures/issues/");
            let name = name.unwrap_or(target).trim_end_matches(".json");
            if !names.contains(name) && !answers.contains_key(name) {
                wrong.push(format!("{report} leads to {target}, and there is none"));
            }
            if place.contains(target) {
                linked.extend(name.split('/').next().map(str::to_owned));
            }
        }
        wrong.extend(failures(report, place, fails, &answers));
        if !numbers.insert(report) {
            wrong.push(format!("{report} stands twice"));
        }
        let place = place_of(report);
        if before.as_ref().is_some_and(|before| *before > place) {
            wrong.push(format!("{report} is not in its place"));
        }
        before = Some(place);
    }
    let folders = scenarios.rows.iter().map(|row| row.folder.as_str());
    wrong.extend(
        folders
            .filter(|folder| !linked.contains(*folder))
            .map(|folder| format!("nothing leads to {folder}")),
    );
    println!("reports: {} numbers", numbers.len());
    found(wrong)
}

/// What is wrong with the cell that says under which releases a report fails: each link is to
/// the answer of the release that it names, in a scenario of the report, and that answer is
/// what the word before it says.
fn failures(
    report: &str,
    place: &str,
    cell: &str,
    answers: &BTreeMap<String, &str>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let linked = cell.contains("](");
    if !linked && !["–", "none of the four"].contains(&cell) || linked && !place.contains("](") {
        wrong.push(format!("{report} fails under `{cell}`"));
    }
    for group in cell.split("; ").filter(|_| linked) {
        let (word, links) = group.split_once(": ").unwrap_or_default();
        for link in links.split(", ") {
            let (release, target) = link.split_once("](../fixtures/issues/").unwrap_or_default();
            let (release, target) = (release.trim_matches('['), target.trim_matches(')'));
            let text = fs::read_to_string(root().join(ISSUES).join(target)).unwrap_or_default();
            let admitted = match text.contains("admitted without scopes") {
                true => "let in without scopes",
                false => "let in",
            };
            let said = match answers.get(target).map(|answer| answer.split('(').next()) {
                Some(Some("reject")) => "refused",
                Some(Some("require-pairing")) => "asked",
                Some(Some("approve" | "silent-approve")) => admitted,
                Some(_) | None => "nothing",
            };
            let folder = target.split('/').next().unwrap_or_default();
            let own = RELEASES.contains(&release)
                && target.ends_with(&format!(".{release}.txt"))
                && place.contains(&format!("/{folder}"));
            if said != word || !own {
                wrong.push(format!(
                    "{report} is {word} by {release}, but {target} is {said}"
                ));
            }
        }
    }
    wrong
}

/// Where a report stands in its table: numbers go up, advisories come after them.
fn place_of(report: &str) -> (u64, &str) {
    let digits = report.rsplit('#').next().unwrap_or_default();
    (digits.parse().unwrap_or(u64::MAX), report)
}

/// The line of the README stands in it and in the default policy by itself, to the letter.
fn readme(_: &Scenarios, _: &Policies) -> Result<(), Failed> {
    let mut wrong = Vec::new();
    for file in ["README.md", "policies/default.policy"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        if !text.lines().any(|line| line == README) {
            wrong.push(format!("no line of {file} is `{README}`"));
        }
    }
    found(wrong)
}

/// Each clause of each policy decides a test of the policy or a case of these.
fn reached(scenarios: &Scenarios, policies: &Policies) -> Result<(), Failed> {
    let handshakes = cases(scenarios).map(|(row, case)| row.spec(case).handshake());
    let facts: Vec<Facts> = handshakes
        .map(|handshake| facts(&handshake.to_string()))
        .collect();
    let mut wrong = Vec::new();
    for name in POLICIES {
        let policy = &policies[name].policy;
        let tests = gw::claims::run(policy.checked(), policy.sources(), &mut read);
        let mut reached: Vec<Span> = tests.into_iter().flat_map(|test| test.reached).collect();
        for facts in &facts {
            let decision = gw::decide(policy.program(), facts);
            reached.extend([decision.by, decision.rule].map(|id| policy.clause(id).span));
        }
        for block in policy.program().blocks() {
            if !reached.contains(&policy.clause(block.id).span) {
                wrong.push(format!(
                    "{name}.policy: nothing reaches {}",
                    policy.label(block.id)
                ));
            }
        }
    }
    found(wrong)
}

/// The guide speaks of every clause of the default policy, and only of cases that are there.
fn guide(scenarios: &Scenarios, policies: &Policies) -> Result<(), Failed> {
    let text = fs::read_to_string(root().join("docs/default-policy.md")).unwrap();
    let words: BTreeSet<&str> = text.split('`').skip(1).step_by(2).collect();
    let policy = &policies["default"].policy;
    let labels = policy.program().blocks().filter_map(|block| {
        policy
            .clause(block.id)
            .label
            .as_ref()
            .map(|label| format!("[{label}]"))
    });
    let labels: BTreeSet<String> = labels.collect();
    let mut names = BTreeSet::new();
    for (row, case) in cases(scenarios) {
        names.extend([row.folder.clone(), format!("{}/{}", row.folder, case.name)]);
    }
    let mut wrong = Vec::new();
    let missing = labels
        .iter()
        .filter(|label| !words.contains(label.as_str()));
    wrong.extend(missing.map(|label| format!("{label} is not in the guide")));
    for word in words {
        let case = word.starts_with("attack-")
            || word
                .split_once('-')
                .is_some_and(|(issue, _)| issue.parse::<u32>().is_ok());
        if case && !names.contains(word) {
            wrong.push(format!(
                "the guide names the case {word}, and there is none"
            ));
        }
        if word.starts_with('[') && !labels.contains(word) {
            wrong.push(format!(
                "the guide names the clause {word}, and there is none"
            ));
        }
    }
    found(wrong)
}

/// `fixtures/observed/differences.json`: recorded rows that the default policy is asked about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Differences {
    /// What of each release is a setting here.
    compatibility: BTreeMap<String, Compatibility>,
    /// The rows that it answers alike, by release: configuration and id.
    agree: BTreeMap<String, Vec<(String, String)>>,
    /// Where it answers otherwise, by the reason for it.
    differences: Vec<Difference>,
}

/// A way in which the default policy differs from releases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    /// Why, for an operator.
    #[serde(rename = "why")]
    _why: String,
    /// The rows that show it.
    rows: Vec<DifferentRow>,
}

/// A row that is answered otherwise.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DifferentRow {
    cfg: String,
    id: String,
    /// What each release answered.
    theirs: BTreeMap<String, String>,
    /// What the default policy answers.
    ours: String,
}

/// The default policy answers as the releases did, or otherwise for a reason that is listed.
fn real_gateways(_: &Scenarios, policies: &Policies) -> Result<(), Failed> {
    let listed: Differences = json(&format!("{OBSERVED}/differences.json"));
    let (mut wrong, mut agreed, mut different) = (Vec::new(), 0, 0);
    for (release, compatibility) in &listed.compatibility {
        let path = root().join(format!("{OBSERVED}/{release}.jsonl.gz"));
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap())
            .read_to_string(&mut text)
            .unwrap();
        let recording = Recording::read(&text).unwrap();
        let mut ask = |cfg: &str, id: &str, expected: Option<(&str, &str)>| {
            let row = recording.row(cfg, id);
            let row = row.unwrap_or_else(|| panic!("{release} has no row {cfg} {id}"));
            let settings = recording.settings(cfg, compatibility).unwrap();
            let gate = Gate {
                policy: &policies["default"].policy,
                settings: &settings,
            };
            let ours = replay(gate, row).unwrap().unwrap();
            let theirs = outcome::decision(&row.only.out);
            let ours = outcome::decision(&ours[0].out);
            match expected {
                None if theirs == ours => agreed += 1,
                Some(known) if known == (&*theirs, &*ours) && theirs != ours => different += 1,
                _ => wrong.push(format!(
                    "{release} {cfg} {id}: {theirs:?}, here {ours:?}, listed as {expected:?}"
                )),
            }
        };
        for (cfg, id) in &listed.agree[release] {
            ask(cfg, id, None);
        }
        for row in listed
            .differences
            .iter()
            .flat_map(|difference| &difference.rows)
        {
            if let Some(theirs) = row.theirs.get(release) {
                ask(&row.cfg, &row.id, Some((theirs, &row.ours)));
            }
        }
    }
    println!("real gateways: {agreed} agreed, {different} different by choice");
    found(wrong)
}

fn cases(scenarios: &Scenarios) -> impl Iterator<Item = (&Row, &Case)> {
    scenarios
        .rows
        .iter()
        .flat_map(|row| row.cases.iter().map(move |case| (row, case)))
}

fn facts(text: &str) -> Facts {
    let handshake = gw::handshake::parse(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    gw::handshake::observe(&handshake).facts
}

/// What `gw explain` prints.
fn explained(path: &str, policy: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gw"));
    command
        .current_dir(root())
        .env("NO_COLOR", "1")
        .args(["explain", path]);
    if policy != "policies/default.policy" {
        command.args(["--policy", policy]);
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gw explain {path}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Holds a file against what it should be; with `GW_BLESS` it is written.
fn same(path: &str, expected: &str) -> Option<String> {
    let file = root().join(path);
    let text = fs::read_to_string(&file).unwrap_or_default();
    if text == expected {
        return None;
    }
    if env::var_os("GW_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, expected).unwrap();
        return None;
    }
    Some(format!(
        "{path} is another; should be\n{expected}\nis\n{text}\n(GW_BLESS=1 writes it)"
    ))
}

fn read(path: &str, _: Read) -> Result<String, ReadError> {
    fs::read_to_string(root().join(path)).map_err(|_| ReadError::NotFound)
}

fn json<T: serde::de::DeserializeOwned>(path: &str) -> T {
    let text = fs::read_to_string(root().join(path)).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn found(wrong: Vec<String>) -> Result<(), Failed> {
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n").into())
    }
}
