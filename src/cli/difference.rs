//! A comparison of two policies, told: for people, for a pull request, and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::clause::{named, wrapped};
use super::share::{percent, rounded};
use crate::analysis::{Both, Budget, Direction, OverBudget, Part, Transition};
use crate::compile::ClauseId;
use crate::policy::Policy;
use crate::source::shell_file;
use crate::verdict::{Verdict, VerdictKind};

/// How many conditions of a change are listed, unless all are asked for.
const LISTED: usize = 3;

/// How many are looked for, and how many if all are asked for.
const FOUND: usize = 8;
const MOST: usize = 500;

/// What one policy answers otherwise than another one that is nearly the same: told for people, and as
/// `gw diff --format json` has it.
pub(super) fn effect(
    old: &Policy,
    new: &Policy,
    max_nodes: usize,
) -> Result<(String, Value), OverBudget> {
    let told = Told::new(old, new, false, max_nodes)?;
    Ok((told.changed(""), told.json()))
}

/// A comparison, ready to be told.
pub(super) struct Told<'a> {
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
    /// Compares two policies; `all` asks for every condition, not the largest ones of each change.
    pub(super) fn new(
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

    /// How the new policy differs, all in all.
    pub(super) fn direction(&self) -> Direction {
        self.direction
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

    pub(super) fn human(&self) -> String {
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
        text.push_str(&self.changed(": --all lists them"));
        text
    }

    /// What changed, the widest first; how to have all of it listed stands behind what is left out.
    fn changed(&self, how: &str) -> String {
        let mut text = String::new();
        for (direction, title) in SECTIONS {
            let mut changes = self.changes(*direction).peekable();
            if changes.peek().is_none() {
                continue;
            }
            let _ = writeln!(text, "\n{title}");
            for change in changes.filter(|change| !self.is_by_clauses(change)) {
                self.change(change, how, &mut text);
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

    fn change(&self, change: &Change, how: &str, text: &mut String) {
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
            let _ = writeln!(text, "    {rest}{how}");
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

    pub(super) fn markdown(&self) -> String {
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

    pub(super) fn json(&self) -> Value {
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
