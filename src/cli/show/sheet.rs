//! What is shown of a policy: its clauses in order, what each of them decides, and the conditions
//! for that. The other modules only lay it out.

use crate::analysis::{Budget, DecisionTable, Entry, OverBudget, Regions, Side};
use crate::cli::clause::named;
use crate::compile::ClauseId;
use crate::decide::Law;
use crate::lang::ast::StatementKind;
use crate::lang::checked::{Answer, Clause, Role};
use crate::lang::one_line;
use crate::lang::parse::parse;
use crate::policy::Policy;
use crate::source::{shell_word, visible};
use crate::verdict::{Verdict, VerdictKind};

/// How many conditions of an entry are looked for, and how many if all are asked for.
const FOUND: usize = 100;
const MOST: usize = 5_000;

/// A policy, ready to be laid out.
pub(super) struct Sheet {
    /// What the policy was read as.
    pub(super) policy: String,
    pub(super) fingerprint: Option<String>,
    /// How much each kind of verdict is answered to.
    pub(super) kinds: Vec<(VerdictKind, f64)>,
    pub(super) clauses: Vec<Shown>,
    /// What conditions name: definitions and sets, as they are written.
    pub(super) names: Vec<String>,
}

/// A clause.
pub(super) struct Shown {
    pub(super) part: Part,
    /// Its label in brackets, or where it stands.
    pub(super) name: String,
    /// `file:line`.
    pub(super) place: String,
    /// Its condition as it is written, on one line; the default has none.
    pub(super) condition: Option<String>,
    pub(super) because: Option<String>,
    pub(super) decides: Vec<Decided>,
}

/// What a clause is in the order of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Guards,
    Rules,
    Default,
}

impl Part {
    pub(super) const ALL: [Part; 3] = [Part::Guards, Part::Rules, Part::Default];

    /// What stands above.
    pub(super) fn title(self) -> &'static str {
        match self {
            Part::Guards => "Guards",
            Part::Rules => "Rules",
            Part::Default => "Default",
        }
    }

    /// How its clauses decide.
    pub(super) fn says(self) -> &'static str {
        match self {
            Part::Guards => "each that holds restricts, whatever a rule says; the strictest counts",
            Part::Rules => "the first that holds decides",
            Part::Default => "decides where no rule holds",
        }
    }
}

/// What a clause decides in one way.
pub(super) struct Decided {
    pub(super) kind: VerdictKind,
    /// The verdict as a policy writes it, or what several have in common.
    pub(super) verdict: String,
    pub(super) law: Option<Law>,
    pub(super) share: f64,
    /// The conditions, no two of which hold together: the largest first.
    pub(super) rows: Vec<Row>,
    /// How many were found beside.
    pub(super) more: usize,
    /// There are more than were looked for.
    pub(super) is_cut: bool,
}

/// A condition that tells some connections from all others.
pub(super) struct Row {
    pub(super) when: String,
    pub(super) share: f64,
    /// One of them, as flags of `gw explain`.
    pub(super) example: String,
}

impl Decided {
    /// What is said of conditions that are not listed.
    pub(super) fn rest(&self) -> Option<String> {
        match (self.more, self.is_cut) {
            (0, false) => None,
            (0, true) => Some("not listed".to_owned()),
            (more, false) => Some(format!("and {more} more")),
            (more, true) => Some(format!("and more than {more} more")),
        }
    }
}

impl Sheet {
    /// What is shown of a policy, with at most so many conditions each, or with all.
    pub(super) fn new(
        policy: &Policy,
        listed: Option<usize>,
        budget: Budget,
    ) -> Result<Self, OverBudget> {
        let side = Side {
            program: policy.program(),
            checked: policy.checked(),
            vocabulary: policy.vocabulary(),
        };
        let mut table = DecisionTable::new(side, budget)?;
        let checked = policy.checked();
        let count = checked.guards.len() + checked.rules.len() + 1;
        let mut clauses: Vec<Shown> = (0..count)
            .filter_map(|at| u32::try_from(at).ok())
            .map(|at| shown(policy, ClauseId(at)))
            .collect();
        let kinds = VerdictKind::ALL.iter();
        let mut kinds: Vec<(VerdictKind, f64)> = kinds.map(|kind| (*kind, 0.0)).collect();
        for entry in table.entries.clone() {
            let decided = decided(policy, &mut table, &entry, listed)?;
            for (kind, share) in &mut kinds {
                *share += if *kind == decided.kind {
                    decided.share
                } else {
                    0.0
                };
            }
            if let Some(clause) = clauses.get_mut(entry.by.0 as usize) {
                clause.decides.push(decided);
            }
        }
        Ok(Sheet {
            policy: policy.name().to_owned(),
            fingerprint: policy.fingerprint().map(str::to_owned),
            kinds,
            clauses,
            names: names(policy),
        })
    }

    /// The clauses of a part that there are.
    pub(super) fn part(&self, part: Part) -> impl Iterator<Item = &Shown> {
        self.clauses.iter().filter(move |it| it.part == part)
    }

    /// The laws that change an answer, each once.
    pub(super) fn laws(&self) -> Vec<Law> {
        let decided = self.clauses.iter().flat_map(|clause| &clause.decides);
        let mut laws: Vec<Law> = Vec::new();
        for law in decided.filter_map(|it| it.law) {
            if !laws.contains(&law) {
                laws.push(law);
            }
        }
        laws
    }

    /// A connection, for `gw explain`.
    pub(super) fn see(&self, row: &Row) -> String {
        format!(
            "gw explain --policy {}{}",
            shell_word(&self.policy),
            row.example
        )
    }
}

/// The definitions and sets of a policy, each on one line.
fn names(policy: &Policy) -> Vec<String> {
    let mut names = Vec::new();
    for (id, source) in policy.sources().iter() {
        let (tree, _) = parse(id, source);
        for statement in &tree.statements {
            if let StatementKind::Set { .. } | StatementKind::Define { .. } = statement.kind {
                names.push(one_line(policy.sources().slice(statement.span.0)));
            }
        }
    }
    names
}

fn shown(policy: &Policy, id: ClauseId) -> Shown {
    let clause = policy.clause(id);
    let part = match clause.role {
        Role::Guard(_) => Part::Guards,
        Role::Rule | Role::Trial => Part::Rules,
        Role::Default => Part::Default,
    };
    let written = one_line(policy.sources().slice(clause.condition.span));
    Shown {
        part,
        name: named(policy, id),
        place: policy.sources().place(clause.span),
        condition: (part != Part::Default).then_some(written),
        because: clause.because.as_deref().map(visible),
        decides: Vec::new(),
    }
}

fn decided(
    policy: &Policy,
    table: &mut DecisionTable,
    entry: &Entry,
    listed: Option<usize>,
) -> Result<Decided, OverBudget> {
    // What a law makes of an answer is told, and looked for only where all is.
    let found = match (listed, entry.law) {
        (Some(0), _) | (Some(_), Some(_)) => Regions {
            all: Vec::new(),
            is_cut: true,
        },
        (Some(_), None) => table.rows(entry, FOUND)?,
        (None, _) => table.rows(entry, MOST)?,
    };
    let mut rows: Vec<Row> = Vec::new();
    for region in found.all {
        rows.push(Row {
            example: table.told(&region),
            share: region.share,
            when: region.text,
        });
    }
    let listed = listed.unwrap_or(MOST);
    let more = rows.len().saturating_sub(listed);
    rows.truncate(listed);
    let first = entry.verdicts.first();
    Ok(Decided {
        kind: first.map_or(VerdictKind::Reject, |it| it.kind()),
        verdict: verdict(policy.clause(entry.by), entry),
        law: entry.law,
        share: entry.share,
        rows,
        more,
        is_cut: found.is_cut,
    })
}

/// One verdict, or what several have in common.
fn verdict(clause: &Clause, entry: &Entry) -> String {
    match (entry.verdicts.as_slice(), clause.answer) {
        (_, Answer::RejectAsFound) if entry.law.is_none() => "reject(as-found)".to_owned(),
        ([only], _) => only.to_string(),
        (all, _) => all
            .first()
            .map_or("", |it: &Verdict| it.kind().name())
            .to_owned(),
    }
}
