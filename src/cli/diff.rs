//! `gw diff`: what two policies answer otherwise.

use clap::ValueEnum;

use super::difference::Told;
use super::output::{Output, ReportFormat};
use super::{Exit, load};
use crate::analysis::OverBudget;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Sources;

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
    let direction = told.direction();
    match (direction.wider, direction.narrower) {
        (false, false) => Exit::Success,
        (false, true) => Exit::Narrower,
        (true, false) => Exit::Wider,
        (true, true) => Exit::Both,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Read as _;

    use super::*;
    use crate::admission::Gate;
    use crate::analysis::{Both, Budget};
    use crate::decide::decide;
    use crate::facts::Facts;
    use crate::facts::assumptions::broken;
    use crate::policy::Policy;
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
