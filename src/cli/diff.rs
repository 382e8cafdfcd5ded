//! `gw diff`: what two policies answer otherwise.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::Exit;
use super::clause::{named, wrapped};
use super::load;
use super::output::{Output, ReportFormat};
use super::share::{percent, rounded};
use crate::analysis::{Both, Budget, Direction, OverBudget, Part, Transition};
use crate::compile::ClauseId;
use crate::diagnostic::{Code, Diagnostic};
use crate::policy::Policy;
use crate::source::{Sources, shell_file};
use crate::verdict::{Verdict, VerdictKind};

/// Shows every kind of connection that two policies answer otherwise
///
/// All connections are compared, none is tried out. Each difference is told as a condition in the
/// words of the policies, with a connection that shows it. A policy is wider where it admits instead
/// of refusing, admits with more, or records instead of not; narrower where it is the reverse. Names,
/// comments, tests, trials and the reasons given to operators do not count.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw diff policies/default.policy my.policy
  gw diff built-in:default.policy my.policy --all
  git show main:my.policy > old.policy; gw diff old.policy my.policy --format markdown

Exit codes: 0 nobody is admitted otherwise, 10 the new policy is narrower, 11 it is wider, 12 both,
1 a policy has errors, or comparing takes too much, 2 wrong command line, 3 a file cannot be read")]
pub(super) struct Args {
    /// The policy before
    #[arg(value_name = "OLD")]
    old: String,

    /// The policy now
    #[arg(value_name = "NEW")]
    new: String,

    /// How to print what differs
    #[arg(long, value_enum, default_value_t)]
    format: DiffFormat,

    /// List every condition, not the largest ones of each change
    #[arg(long)]
    all: bool,

    /// How many nodes the comparison may make
    #[arg(long, value_name = "COUNT", default_value_t = 4_000_000)]
    max_nodes: usize,
}

/// The form of what is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum DiffFormat {
    /// told for people
    #[default]
    Human,
    /// for a pull request
    Markdown,
    /// one JSON document
    Json,
}

/// How many conditions of a change are listed, unless all are asked for.
const LISTED: usize = 3;

/// How many are looked for, and how many if all are asked for.
const FOUND: usize = 8;
const MOST: usize = 500;

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let format = match args.format {
        DiffFormat::Human | DiffFormat::Markdown => ReportFormat::Human,
        DiffFormat::Json => ReportFormat::Json,
    };
    let mut exit = Exit::Success;
    output.busy(&format!("{} and {}: comparing", args.old, args.new));
    let policies = [&args.old, &args.new].map(|path| match load::policy(path, true) {
        Ok(policy) => Some(policy),
        Err(error) => {
            output.report(&error.diagnostics, &error.sources, format);
            exit = exit.and(Exit::of(&error));
            None
        }
    });
    let [Some(old), Some(new)] = policies else {
        return exit;
    };
    let told = Told::new(&old, &new, args.all, args.max_nodes);
    let told = match told {
        Ok(told) => told,
        Err(OverBudget) => {
            let message = "the policies are not compared: that takes more nodes than are allowed";
            let found = Diagnostic::error(Code::AnalysisBudget, message).help(
                "allow more by `--max-nodes`, or name fewer networks and texts in one policy",
            );
            output.report_one(found, &Sources::default(), format);
            return Exit::Failure;
        }
    };
    match args.format {
        DiffFormat::Human => output.say(&told.human()),
        DiffFormat::Markdown => output.say(&told.markdown()),
        DiffFormat::Json => output.say_json(&told.json()),
    }
    match (told.direction.wider, told.direction.narrower) {
        (false, false) => Exit::Success,
        (false, true) => Exit::Narrower,
        (true, false) => Exit::Wider,
        (true, true) => Exit::Both,
    }
}

/// What one policy answers otherwise than another one that is nearly the same: told for people, and as
/// `gw diff --format json` has it.
pub(super) fn effect(
    old: &Policy,
    new: &Policy,
    max_nodes: usize,
) -> Result<(String, Value), OverBudget> {
    let told = Told::new(old, new, false, max_nodes)?;
    Ok((told.changed(), told.json()))
}

/// A comparison, ready to be told.
struct Told<'a> {
    policies: [&'a Policy; 2],
    direction: Direction,
    matrix: [[f64; 4]; 4],
    in_other_words: f64,
    changes: Vec<Change>,
    /// Whether all conditions are listed.
    all: bool,
}

/// A change of verdicts.
struct Change {
    transition: Transition,
    /// Its conditions, each with a connection of it as flags.
    parts: Vec<(Part, String)>,
    /// How many conditions there are beside.
    more: usize,
    /// There are more than were looked for.
    is_cut: bool,
}

impl Change {
    /// What is said of conditions that are not listed.
    fn rest(&self) -> Option<String> {
        match (self.more, self.is_cut) {
            (0, false) => None,
            (more, false) => Some(format!("and {more} more")),
            (0, true) => Some("and more".to_owned()),
            (more, true) => Some(format!("and more than {more} more")),
        }
    }

    /// Whether the change is only of the reason for a refusal.
    fn is_of_words(&self) -> bool {
        self.transition.direction == Direction::default()
    }
}

impl<'a> Told<'a> {
    fn new(
        old: &'a Policy,
        new: &'a Policy,
        all: bool,
        max_nodes: usize,
    ) -> Result<Self, OverBudget> {
        let budget = Budget {
            nodes: max_nodes,
            steps: max_nodes.saturating_mul(100),
        };
        let mut difference = Both::new(old.side(), new.side(), budget)?.difference()?;
        let mut changes = Vec::new();
        for transition in difference.transitions.clone() {
            let most = match (all, transition.direction == Direction::default()) {
                (true, _) => MOST,
                (false, true) => 0,
                (false, false) => FOUND,
            };
            let (mut parts, is_cut) = match most {
                0 => (Vec::new(), false),
                most => difference.parts(&transition, most)?,
            };
            let listed = if all { MOST } else { LISTED };
            let more = parts.len().saturating_sub(listed);
            parts.truncate(listed);
            let told = parts.into_iter().map(|part| {
                let example = difference.told(&part);
                (part, example)
            });
            changes.push(Change {
                parts: told.collect(),
                transition,
                more,
                is_cut,
            });
        }
        Ok(Told {
            policies: [old, new],
            direction: difference.direction(),
            matrix: difference.matrix,
            in_other_words: difference.in_other_words,
            changes,
            all,
        })
    }

    /// What it comes to, in a word or two.
    fn summary(&self) -> &'static str {
        match (self.direction.wider, self.direction.narrower) {
            (true, true) => "wider and narrower",
            (true, false) => "wider",
            (false, true) => "narrower",
            (false, false) if self.changes.is_empty() && self.in_other_words == 0.0 => {
                "same meaning"
            }
            (false, false) => "same admission, in other words",
        }
    }

    /// The changes of a kind: wider, narrower, both, or of words.
    fn changes(&self, direction: Direction) -> impl Iterator<Item = &Change> {
        let all = self.changes.iter();
        all.filter(move |change| change.transition.direction == direction)
    }

    /// Refusals in other words, by the clauses that decide: each time the verdicts before and now,
    /// and how much it is.
    fn of_words(&self) -> Vec<(String, Vec<Verdict>, Vec<Verdict>, f64)> {
        let mut all: Vec<(String, Vec<Verdict>, Vec<Verdict>, f64)> = Vec::new();
        for change in self.changes(Direction::default()) {
            let it = &change.transition;
            let by = self.by(&it.by);
            let kind = |all: &[Verdict]| all.first().map(|verdict| verdict.kind());
            let is_of_it = |known: &&mut (String, Vec<Verdict>, Vec<Verdict>, f64)| {
                known.0 == by && kind(&known.1) == kind(&it.from)
            };
            let found = match all.iter_mut().find(is_of_it) {
                Some(found) => found,
                None => {
                    all.push((by, Vec::new(), Vec::new(), 0.0));
                    let Some(last) = all.last_mut() else { continue };
                    last
                }
            };
            for (verdicts, own) in [(&mut found.1, &it.from), (&mut found.2, &it.to)] {
                for verdict in own {
                    if !verdicts.contains(verdict) {
                        verdicts.push(*verdict);
                    }
                }
            }
            found.3 += it.share;
        }
        all.sort_by(|one, other| other.3.total_cmp(&one.3));
        all
    }

    /// The clauses that decide, before and now.
    fn by(&self, by: &[Vec<ClauseId>; 2]) -> String {
        let [old, new] = self.policies;
        let names = |policy: &Policy, all: &[ClauseId]| {
            let names = all.iter().map(|id| named(policy, *id));
            names.collect::<Vec<_>>().join(", ")
        };
        let [before, now] = by;
        format!("{} → {}", names(old, before), names(new, now))
    }

    fn see(&self, example: &str) -> String {
        format!(
            "gw explain --policy {}{example}",
            shell_file(self.policies[1].name())
        )
    }

    fn human(&self) -> String {
        let [old, new] = self.policies;
        let mut text = format!("{} → {}: {}\n", old.name(), new.name(), self.summary());
        if self.changes.is_empty() {
            if self.in_other_words > 0.0 {
                text.push_str("  only a hint differs, or when a refusal is answered\n");
            }
            return text;
        }
        text.push('\n');
        text.push_str(&self.table());
        text.push_str(&self.changed());
        text
    }

    /// What changed, the widest first.
    fn changed(&self) -> String {
        let mut text = String::new();
        for (direction, title) in SECTIONS {
            let mut changes = self.changes(*direction).peekable();
            if changes.peek().is_none() {
                continue;
            }
            let _ = writeln!(text, "\n{title}");
            for change in changes.filter(|change| !self.is_by_clauses(change)) {
                self.change(change, &mut text);
            }
            if *direction == Direction::default() && !self.all {
                text.push('\n');
                for (by, from, to, share) in self.of_words() {
                    let (from, to) = (shown(&from), shown(&to));
                    let _ = writeln!(text, "  {from} → {to}   {}\n    by {by}", percent(share));
                }
            }
        }
        text
    }

    /// Whether a change is told with others, by the clauses that decide.
    fn is_by_clauses(&self, change: &Change) -> bool {
        change.is_of_words() && !self.all
    }

    fn change(&self, change: &Change, text: &mut String) {
        let it = &change.transition;
        let (from, to) = (shown(&it.from), shown(&it.to));
        let _ = writeln!(text, "\n  {from} → {to}   {}", percent(it.share));
        if change.parts.is_empty() {
            let _ = writeln!(text, "    by {}", self.by(&it.by));
        }
        for (part, example) in &change.parts {
            text.push_str(&wrapped(&part.region.text));
            let _ = writeln!(text, "      by {}", self.by(&part.by));
            let _ = writeln!(text, "      {}", self.see(example));
        }
        if let Some(rest) = change.rest() {
            let _ = writeln!(text, "    {rest}: --all lists them");
        }
    }

    /// How much goes from each verdict to each.
    fn table(&self) -> String {
        let mut text = format!("  {:<17}", "before ↓   now →");
        for kind in VerdictKind::ALL {
            let _ = write!(text, "{:>17}", kind.name());
        }
        text.push('\n');
        for (from, row) in VerdictKind::ALL.iter().zip(&self.matrix) {
            let _ = write!(text, "  {:<17}", from.name());
            for share in row {
                let _ = write!(text, "{:>17}", percent(*share));
            }
            text.push('\n');
        }
        text.push_str("  shares of all that could be said of a connection: not how likely it is\n");
        text
    }

    fn markdown(&self) -> String {
        let [old, new] = self.policies;
        let mut text = format!(
            "### `{}` → `{}`: {}\n",
            old.name(),
            new.name(),
            self.summary()
        );
        if self.changes.is_empty() {
            return text;
        }
        text.push_str("\n| before ↓ now → |");
        for kind in VerdictKind::ALL {
            let _ = write!(text, " {} |", kind.name());
        }
        text.push_str("\n| --- | ---: | ---: | ---: | ---: |\n");
        for (from, row) in VerdictKind::ALL.iter().zip(&self.matrix) {
            let _ = write!(text, "| {} |", from.name());
            for share in row {
                let _ = write!(text, " {} |", percent(*share));
            }
            text.push('\n');
        }
        text.push_str(
            "\nShares of all that could be said of a connection: not how likely it is.\n",
        );
        for (direction, title) in SECTIONS {
            let mut changes = self.changes(*direction).peekable();
            if changes.peek().is_none() {
                continue;
            }
            let _ = writeln!(text, "\n#### {title}");
            if *direction == Direction::default() && !self.all {
                text.push('\n');
                for (by, from, to, share) in self.of_words() {
                    let (from, to) = (shown(&from), shown(&to));
                    let _ = writeln!(text, "- {from} → {to} ({}), by {by}", percent(share));
                }
            }
            for change in changes.filter(|change| !self.is_by_clauses(change)) {
                let it = &change.transition;
                let (from, to) = (shown(&it.from), shown(&it.to));
                let by = self.by(&it.by);
                let _ = writeln!(text, "\n**{from} → {to}** ({}), by {by}", percent(it.share));
                if !change.parts.is_empty() {
                    text.push('\n');
                }
                for (part, example) in &change.parts {
                    let _ = writeln!(
                        text,
                        "- `{}`<br>see it: `{}`",
                        part.region.text,
                        self.see(example)
                    );
                }
                if let Some(rest) = change.rest() {
                    let _ = writeln!(text, "- {rest}: `gw diff --all` lists them");
                }
            }
        }
        text
    }

    fn json(&self) -> Value {
        let [old, new] = self.policies;
        let policy = |policy: &Policy| {
            json!({
                "name": policy.name(),
                "digest": policy.digest(),
                "fingerprint": policy.fingerprint(),
            })
        };
        let verdicts = |all: &[Verdict]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
        let names = |by: &[Vec<ClauseId>; 2]| {
            let [before, now] = by;
            let names = |policy: &Policy, all: &[ClauseId]| {
                all.iter().map(|id| policy.label(*id)).collect::<Vec<_>>()
            };
            json!({ "old": names(old, before), "new": names(new, now) })
        };
        let changes = self.changes.iter().map(|change| {
            let it = &change.transition;
            let parts = change.parts.iter().map(|(part, example)| {
                json!({
                    "when": part.region.text,
                    "share": rounded(part.region.share),
                    "by": names(&part.by),
                    "example": self.see(example),
                })
            });
            json!({
                "from": verdicts(&it.from),
                "to": verdicts(&it.to),
                "wider": it.direction.wider,
                "narrower": it.direction.narrower,
                "share": rounded(it.share),
                "by": names(&it.by),
                "regions": parts.collect::<Vec<_>>(),
                "more": change.more,
                "isCut": change.is_cut || (change.parts.is_empty() && change.is_of_words()),
            })
        });
        json!({
            "old": policy(old),
            "new": policy(new),
            "summary": self.summary(),
            "wider": self.direction.wider,
            "narrower": self.direction.narrower,
            "shares": VerdictKind::ALL.iter().zip(&self.matrix).map(|(from, row)| {
                let row = VerdictKind::ALL.iter().zip(row);
                let row = row.map(|(to, share)| (to.name().to_owned(), json!(rounded(*share))));
                (from.name().to_owned(), Value::Object(row.collect()))
            }).collect::<serde_json::Map<_, _>>(),
            "changes": changes.collect::<Vec<_>>(),
        })
    }
}

/// What is told together, in this order.
const SECTIONS: &[(Direction, &str)] = &[
    (
        Direction {
            wider: true,
            narrower: false,
        },
        "Wider",
    ),
    (
        Direction {
            wider: true,
            narrower: true,
        },
        "Wider in one way, narrower in another",
    ),
    (
        Direction {
            wider: false,
            narrower: true,
        },
        "Narrower",
    ),
    (
        Direction {
            wider: false,
            narrower: false,
        },
        "Refused as before, in other words",
    ),
];

/// One verdict, or what several have in common.
fn shown(verdicts: &[Verdict]) -> String {
    match verdicts {
        [only] => only.to_string(),
        all => all.first().map_or("", |it| it.kind().name()).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read as _;

    use super::*;
    use crate::admission::Gate;
    use crate::decide::decide;
    use crate::facts::Facts;
    use crate::facts::assumptions::broken;
    use crate::recorded::{Recording, replay};
    use crate::settings::Compatibility;

    /// What recorded facts break under the constants of their release.
    const APART: &[&str] = &[
        "authentication `open` is auth mode none, a token needs its mode, and a password its mode or trusted-proxy",
        "every known scope is an operator's: a node that asks for one asks outside its role",
        "the client behind a trusted proxy is known and not loopback; behind any other it is not known",
        "what is forwarded comes from a trusted proxy, or cannot be attributed; so does what a trusted proxy on another host sends without saying for whom; all else is direct",
        "what is wrong with a token is found in its mode, and with a password in its mode or behind a proxy that vouches",
    ];

    fn at(path: &str) -> String {
        format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))
    }

    fn release(version: &str) -> (Policy, Compatibility, Recording) {
        let policy = load::policy(&at(&format!("policies/openclaw/{version}.policy")), true);
        let constants = std::fs::read_to_string(at(&format!("policies/openclaw/{version}.yaml")));
        let file = std::fs::File::open(at(&format!("fixtures/observed/{version}.jsonl.gz")));
        let mut text = String::new();
        let mut rows = flate2::read::MultiGzDecoder::new(file.unwrap());
        rows.read_to_string(&mut text).unwrap();
        let constants = serde_yaml::from_str(&constants.unwrap()).unwrap();
        (policy.unwrap(), constants, Recording::read(&text).unwrap())
    }

    /// The facts of every recorded step that another release was asked as well.
    fn facts(
        (policy, constants, recording): &(Policy, Compatibility, Recording),
        other: &Recording,
    ) -> Vec<Facts> {
        let names = |recording: &Recording| {
            let rows = recording.rows.iter();
            rows.map(|row| (row.cfg.clone(), row.id.clone()))
                .collect::<BTreeSet<_>>()
        };
        let known = names(other);
        let rows = recording.rows.iter();
        let rows = rows.filter(|row| known.contains(&(row.cfg.clone(), row.id.clone())));
        let mut all: Vec<Facts> = Vec::new();
        let mut seen = BTreeSet::new();
        for row in rows {
            let settings = recording.settings(&row.cfg, constants).unwrap();
            let gate = Gate {
                policy,
                settings: &settings,
            };
            for step in replay(gate, row).unwrap().unwrap_or_default() {
                if seen.insert(serde_json::to_string(&step.facts).unwrap()) {
                    all.push(step.facts);
                }
            }
        }
        all
    }

    /// What recorded connections are answered by two releases is what the comparison says, and
    /// nothing else.
    #[test]
    fn recorded_connections_change_as_it_is_told() {
        let chain = ["2026.3.23", "2026.4.15", "2026.4.22", "2026.9.6"].map(release);
        let mut changed = 0;
        let mut apart = BTreeSet::new();
        for pair in chain.windows(2) {
            let [old, new] = pair else { continue };
            let budget = Budget {
                nodes: 4_000_000,
                steps: 400_000_000,
            };
            let both = Both::new(old.0.side(), new.0.side(), budget).unwrap();
            let mut found = both.difference().unwrap();
            let transitions = found.transitions.clone();
            let listed: Vec<_> = transitions
                .iter()
                .map(|it| (it, found.parts(it, 1).unwrap()))
                .collect();
            let (can_be, others): (Vec<Facts>, Vec<Facts>) = facts(old, &new.2)
                .into_iter()
                .partition(|facts| broken(facts).next().is_none());
            // The constants of a release may let facts be together that no analysis takes together.
            let others = others.iter().flat_map(broken);
            apart.extend(others.map(|assumption| assumption.says));
            for facts in can_be {
                let from = decide(old.0.program(), &facts).verdict;
                let to = decide(new.0.program(), &facts).verdict;
                changed += usize::from(from != to);
                let mut is_told = false;
                for (transition, (parts, is_cut)) in &listed {
                    let is_of_it = found.holds(transition.held, &facts);
                    let is_in_words = parts
                        .iter()
                        .any(|part| found.holds(part.region.held, &facts));
                    assert!(is_of_it || !is_in_words, "{facts:#?}");
                    assert!(*is_cut || is_of_it == is_in_words, "{facts:#?}");
                    if is_of_it {
                        let says = transition.from.contains(&from) && transition.to.contains(&to);
                        assert!(says && !is_told, "{from} → {to}: {facts:#?}");
                        is_told = true;
                    }
                }
                assert_eq!(is_told, from != to, "{from} → {to}: {facts:#?}");
            }
        }
        assert!(changed > 0);
        assert_eq!(apart.into_iter().collect::<Vec<_>>(), APART);
    }
}
