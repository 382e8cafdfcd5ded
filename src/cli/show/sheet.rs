//! What is shown of a policy: its clauses in order, what each of them decides, and the conditions
//! for that. The other modules only lay it out.

use crate::analysis::{Budget, DecisionTable, Entry, OverBudget, Region, Regions, Side};
use crate::cli::clause::named;
use crate::compile::ClauseId;
use crate::decide::Law;
use crate::lang::ast::StatementKind;
use crate::lang::checked::{Answer, Clause, Role};
use crate::lang::one_line;
use crate::lang::parse::parse;
use crate::policy::Policy;
use crate::source::{shell_file, visible};
use crate::verdict::{Verdict, VerdictKind};

/// How many conditions of an entry are looked for, and how many if all are asked for.
const FOUND: usize = 100;
const MOST: usize = 5_000;
/// How many are listed of each verdict of a clause, unless all are asked for.
const LISTED: usize = 1;
/// How many are looked for in brief.
const BRIEF: usize = 20;

/// Which conditions are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    Nothing,
    /// For each answer the largest, beside what is given.
    Brief,
    /// For each verdict the largest, whole.
    Largest,
    /// All of them, whole.
    All,
}

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
    /// What a clause on trial would answer; it decides nothing.
    pub(super) on_trial: Option<String>,
    /// `file:line`.
    pub(super) place: String,
    /// Its condition as it is written, on one line; the default has none.
    pub(super) condition: Option<String>,
    pub(super) because: Option<String>,
    pub(super) decides: Vec<Decided>,
    /// The same in brief, where that is asked for.
    pub(super) brief: Vec<Brief>,
}

/// What a clause decides, told beside what is given: see [`Given`].
pub(super) struct Brief {
    pub(super) kind: VerdictKind,
    /// The verdict that is the clause's own; where there is none, what laws make of it.
    pub(super) verdict: String,
    /// Whether laws make something else of it.
    pub(super) is_by_law: bool,
    pub(super) share: f64,
    pub(super) rows: Vec<Row>,
    /// How many were found beside.
    pub(super) more: usize,
    /// There are more than were looked for.
    pub(super) is_cut: bool,
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

/// Clauses whose conditions are told in brief, beside what is given of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Anything,
    NoRefusal,
    NoGuard,
    NoRule,
}

impl Given {
    pub(super) const ALL: [Given; 4] = [
        Given::Anything,
        Given::NoRefusal,
        Given::NoGuard,
        Given::NoRule,
    ];

    /// What stands above.
    pub(super) fn title(self) -> &'static str {
        match self {
            Given::Anything => "Guards that refuse, whatever else holds",
            Given::NoRefusal => "Guards that restrict what a rule lets in, where none above holds",
            Given::NoGuard => "Rules, where no guard decides",
            Given::NoRule => "Default, where no guard and no rule decides",
        }
    }

    /// Whether it may be that a clause decides, by what is told of it.
    fn leaves(self, clause: &Shown) -> bool {
        let admits = |it: &Decided| it.law.is_none() && it.kind.admits();
        match (self, Given::of(clause)) {
            (Given::Anything, _) | (Given::NoRefusal, Given::NoRefusal) => true,
            (Given::NoRefusal, Given::NoGuard | Given::NoRule) => clause.decides.iter().any(admits),
            (Given::NoGuard, of) => matches!(of, Given::NoGuard | Given::NoRule),
            (Given::NoRule, of) => of == Given::NoRule,
            (Given::NoRefusal, Given::Anything) => false,
        }
    }

    /// Which clauses it is about.
    pub(super) fn of(clause: &Shown) -> Self {
        let refuses = |it: &Decided| it.kind == VerdictKind::Reject;
        match clause.part {
            Part::Guards if clause.decides.iter().all(refuses) => Given::Anything,
            Part::Guards => Given::NoRefusal,
            Part::Rules => Given::NoGuard,
            Part::Default => Given::NoRule,
        }
    }
}

/// What a clause decides in one way.
pub(super) struct Decided {
    /// The first of its verdicts.
    at: Option<Verdict>,
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

impl Brief {
    /// The verdict, marked where laws make something else of it.
    pub(super) fn marked(&self) -> String {
        let mark = if self.is_by_law { " §" } else { "" };
        format!("{}{mark}", self.verdict)
    }
}

/// What is said of conditions that are not listed.
pub(super) fn rest(more: usize, is_cut: bool) -> Option<String> {
    match (more, is_cut) {
        (0, false) => None,
        (0, true) => Some("not listed".to_owned()),
        (more, false) => Some(format!("and {more} more")),
        (more, true) => Some(format!("and more than {more} more")),
    }
}

impl Sheet {
    /// What is shown of a policy.
    pub(super) fn new(
        policy: &Policy,
        listing: Listing,
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
            let decided = decided(policy, &mut table, &entry, listing)?;
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
        let mut sheet = Sheet {
            policy: policy.name().to_owned(),
            fingerprint: policy.fingerprint().map(str::to_owned),
            kinds,
            clauses,
            names: names(policy),
        };
        if listing == Listing::Brief {
            sheet.told_in_brief(&mut table)?;
        }
        Ok(sheet)
    }

    /// Adds to each clause what it decides in brief: an own answer, with what laws make of it, under
    /// conditions that leave out what is given.
    fn told_in_brief(&mut self, table: &mut DecisionTable) -> Result<(), OverBudget> {
        let mut told = Vec::new();
        for (at, clause) in self.clauses.iter().enumerate() {
            let given = Given::of(clause);
            let leaves: Vec<bool> = self.clauses.iter().map(|it| given.leaves(it)).collect();
            let is_given = |entry: &Entry| leaves.get(entry.by.0 as usize) == Some(&true);
            // What laws make of an answer is told with it, where it is one answer.
            let answers = clause.decides.iter().filter(|it| it.law.is_none()).count();
            let each = match answers {
                0 | 1 => clause.decides.len().max(1),
                _ => 1,
            };
            let mut brief = Vec::new();
            for group in clause.decides.chunks(each) {
                let Some(first) = group.first() else {
                    continue;
                };
                let is_of = |entry: &Entry| {
                    let is_it = |it: &Decided| {
                        (it.law, it.at) == (entry.law, entry.verdicts.first().copied())
                    };
                    entry.by.0 as usize == at && group.iter().any(is_it)
                };
                let found = table.rows_given(&is_of, &is_given, BRIEF)?;
                let (rows, more) = listed(table, found.all, LISTED);
                brief.push(Brief {
                    kind: first.kind,
                    verdict: first.verdict.clone(),
                    is_by_law: group.iter().any(|it| it.law.is_some()),
                    share: group.iter().map(|it| it.share).sum(),
                    rows,
                    more,
                    is_cut: found.is_cut,
                });
            }
            told.push(brief);
        }
        for (clause, brief) in self.clauses.iter_mut().zip(told) {
            clause.brief = brief;
        }
        Ok(())
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
            shell_file(&self.policy),
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
    let is_trial = clause.role == Role::Trial;
    let name = named(policy, id);
    Shown {
        part,
        name: match is_trial {
            true => format!("trial {name}"),
            false => name,
        },
        on_trial: is_trial.then(|| on_trial(clause.answer)),
        brief: Vec::new(),
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
    listing: Listing,
) -> Result<Decided, OverBudget> {
    // What a law makes of an answer is told, and looked for only where all is.
    let found = match (listing, entry.law) {
        (Listing::Nothing | Listing::Brief, _) | (Listing::Largest, Some(_)) => Regions {
            all: Vec::new(),
            is_cut: true,
        },
        (Listing::Largest, None) => table.rows(entry, FOUND)?,
        (Listing::All, _) => table.rows(entry, MOST)?,
    };
    let listed = match listing {
        Listing::Nothing | Listing::Brief => 0,
        Listing::Largest => LISTED,
        Listing::All => MOST,
    };
    let (rows, more) = self::listed(table, found.all, listed);
    let first = entry.verdicts.first();
    Ok(Decided {
        at: first.copied(),
        kind: first.map_or(VerdictKind::Reject, |it| it.kind()),
        verdict: verdict(policy.clause(entry.by), entry),
        law: entry.law,
        share: entry.share,
        rows,
        more,
        is_cut: found.is_cut,
    })
}

/// The first of some regions as rows, and how many there are beside.
fn listed(table: &DecisionTable, regions: Vec<Region>, most: usize) -> (Vec<Row>, usize) {
    let more = regions.len().saturating_sub(most);
    let row = |region: Region| Row {
        example: table.told(&region),
        share: region.share,
        when: region.text,
    };
    (regions.into_iter().take(most).map(row).collect(), more)
}

/// What a clause on trial would answer.
fn on_trial(answer: Answer) -> String {
    match answer {
        Answer::Reject(reason) => Verdict::Reject(reason).to_string(),
        Answer::RejectAsFound => "reject(as-found)".to_owned(),
        Answer::RequirePairing(Some(reason)) => Verdict::RequirePairing(reason).to_string(),
        Answer::RequirePairing(None) => VerdictKind::RequirePairing.name().to_owned(),
        Answer::Approve(grant) => Verdict::Approve(grant).to_string(),
        Answer::SilentApprove(grant) => Verdict::SilentApprove(grant).to_string(),
        Answer::Cap(_) => String::new(),
    }
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
