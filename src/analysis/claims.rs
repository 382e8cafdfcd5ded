//! `never` and `always`, proved or refuted: whether a policy keeps what it claims, for every
//! connection.

use super::clauses::{Analysed, Clauses};
use super::diagram::{Budget, Id, OverBudget};
use super::ground::Ground;
use super::names::Names;
use super::outcome::{IMPOSSIBLE, Outcomes};
use crate::compile::{Lone, Program, lone};
use crate::diagnostic::{Code, Diagnostic, Severity};
use crate::facts::Facts;
use crate::lang::check::Vocabulary;
use crate::lang::checked::{Checked, Claim};
use crate::source::{Sources, shell_file};
use crate::verdict::Verdict;

/// How many clauses are shown by which a claim is broken.
const MOST_SHOWN: usize = 2;

/// How many conditions are told under which a claim is broken, and how many are looked for.
const MOST_REGIONS: usize = 4;
const MOST_FOUND: usize = 12;

/// Proves the claims of a policy: what stands in it, and what it inherits. Each that does not hold
/// comes back as an error with a connection that breaks it, and each that says nothing as a
/// warning; and beside them what was looked at for that, if there was a claim to prove.
///
/// `program` is what decides, compiled of `checked`.
#[must_use]
pub(crate) fn prove(
    checked: &Checked,
    program: &Program,
    vocabulary: &Vocabulary,
    sources: &Sources,
) -> (Vec<Diagnostic>, Option<Analysed>) {
    if checked.claims.is_empty() {
        return (Vec::new(), None);
    }
    let proved = Proof::new(checked, program, vocabulary, sources)
        .and_then(|mut proof| Ok((proof.all()?, proof.analysed())));
    match proved {
        Ok((all, analysed)) => {
            let findings = all.into_iter().filter_map(|it| it.finding);
            (findings.collect(), Some(analysed))
        }
        Err(OverBudget) => (vec![too_much(checked)], None),
    }
}

/// What came of one claim.
pub(crate) struct Proved {
    /// Its place among the claims of the policy.
    pub(crate) claim: usize,
    /// What is to be said of it; nothing where it is proved.
    pub(crate) finding: Option<Diagnostic>,
}

/// The same, claim by claim.
///
/// # Errors
///
/// That nothing is proved, since it takes too much.
pub(crate) fn prove_each(
    checked: &Checked,
    program: &Program,
    vocabulary: &Vocabulary,
    sources: &Sources,
) -> Result<Vec<Proved>, Box<Diagnostic>> {
    if checked.claims.is_empty() {
        return Ok(Vec::new());
    }
    Proof::new(checked, program, vocabulary, sources)
        .and_then(|mut proof| proof.all())
        .map_err(|OverBudget| Box::new(too_much(checked)))
}

/// The analysis did not come to its end, so that nothing is proved.
fn too_much(checked: &Checked) -> Diagnostic {
    let message = "the claims of this policy are not proved: that takes more than is allowed";
    let found = Diagnostic::error(Code::AnalysisBudget, message);
    match checked.claims.first() {
        None => found,
        Some(claim) => found.label(claim.span, "the first of them"),
    }
    .help("ask for fewer networks and texts in one policy")
}

pub(super) struct Proof<'a> {
    pub(super) checked: &'a Checked,
    program: &'a Program,
    vocabulary: &'a Vocabulary,
    pub(super) sources: &'a Sources,
    /// The conditions of the claims, in their order.
    claimed: Vec<Lone>,
    pub(super) ground: Ground,
    clauses: Clauses,
    /// What is decided everywhere, where that had to be asked.
    outcomes: Option<Outcomes>,
}

impl<'a> Proof<'a> {
    fn new(
        checked: &'a Checked,
        program: &'a Program,
        vocabulary: &'a Vocabulary,
        sources: &'a Sources,
    ) -> Result<Self, OverBudget> {
        let claims = checked.claims.iter();
        let claimed: Vec<Lone> = claims.map(|claim| lone(&claim.condition)).collect();
        let mut ground = Ground::new(&[program], &claimed, Budget::default())?;
        let clauses = ground.clauses(program)?;
        Ok(Proof {
            checked,
            program,
            vocabulary,
            sources,
            claimed,
            ground,
            clauses,
            outcomes: None,
        })
    }

    /// What was looked at.
    fn analysed(self) -> Analysed {
        Analysed {
            ground: self.ground,
            clauses: self.clauses,
        }
    }

    fn all(&mut self) -> Result<Vec<Proved>, OverBudget> {
        let mut proved = Vec::new();
        let claims = self.checked.claims.iter().zip(self.claimed.clone());
        for (at, (claim, claimed)) in claims.enumerate() {
            proved.push(Proved {
                claim: at,
                finding: self.one(claim, &claimed)?,
            });
        }
        Ok(proved)
    }

    fn one(&mut self, claim: &Claim, claimed: &Lone) -> Result<Option<Diagnostic>, OverBudget> {
        let holds = self.ground.holds(claimed)?;
        if !self.ground.is_possible(holds)? {
            return Ok(Some(self.vacuous(claim)));
        }
        let breaks = |verdict| broken_by(claim, verdict);
        let (program, clauses) = (self.program, &self.clauses);
        if !self.ground.some(program, clauses, holds, &breaks)? {
            return Ok(None);
        }
        let outcomes = match self.outcomes.take() {
            Some(known) => known,
            None => self.ground.outcomes(self.program)?,
        };
        let found = self.violated(claim, claimed, holds, &outcomes);
        self.outcomes = Some(outcomes);
        found
    }

    /// What is to say of a claim that does not hold.
    fn violated(
        &mut self,
        claim: &Claim,
        claimed: &Lone,
        holds: Id,
        outcomes: &Outcomes,
    ) -> Result<Option<Diagnostic>, OverBudget> {
        let spoken_of = self.ground.arena.within(holds, outcomes.root, IMPOSSIBLE)?;
        let decisions = &outcomes.decisions;
        let breaks = |value: u32| {
            let at = usize::try_from(value).ok().and_then(|at| at.checked_sub(1));
            let decision = at.and_then(|at| decisions.get(at));
            decision.is_some_and(|decision| broken_by(claim, decision.verdict))
        };
        let values = self.ground.arena.values(spoken_of).into_iter();
        let mut breaking: Vec<_> = values
            .filter(|value| breaks(*value))
            .filter_map(|value| Some((value, *outcomes.decision(value)?)))
            .collect();
        // Clauses in the order of the file.
        breaking.sort_by_key(|(_, decision)| decision.by);
        let mut clauses: Vec<_> = breaking.iter().map(|(_, decision)| decision.by).collect();
        clauses.dedup();
        let Some((_, worst)) = breaking.first().copied() else {
            return Ok(None);
        };
        let is_worst = |value: u32| {
            breaking
                .iter()
                .any(|(it, by)| *it == value && by.by == worst.by)
        };
        let Some(facts) = self.ground.witness(spoken_of, is_worst) else {
            return Ok(None);
        };
        let decided = crate::decide::decide(self.program, &facts).verdict;
        let says = if claim.never { "never" } else { "always" };
        let message = format!(
            "\"{}\" does not hold: {} is {decided}",
            claim.name,
            if claim.never {
                "what it rules out"
            } else {
                "a connection that it speaks of"
            },
        );
        let mut found = Diagnostic::error(Code::PropertyViolated, message)
            .label(claim.span, format!("says {says}"));
        for by in clauses.iter().take(MOST_SHOWN) {
            found = found.label(self.checked.clause(by.0 as usize).head, "decides otherwise");
        }
        if let Some(more) = clauses
            .len()
            .checked_sub(MOST_SHOWN)
            .filter(|more| *more > 0)
        {
            found = found.help(match more {
                1 => "1 more clause decides otherwise".to_owned(),
                more => format!("{more} more clauses decide otherwise"),
            });
        }
        for connections in self.breaking(claim, claimed).unwrap_or_default() {
            found = found.help(connections);
        }
        if let [only] = clauses.as_slice()
            && let Some(repair) = self.narrowed(claim, claimed, *only, outcomes)?
        {
            found = found.help(repair);
        }
        Ok(Some(found.help(self.see(&facts))))
    }

    /// All connections that break a claim, in the words of the policy. They are looked for over a
    /// space of their own, since what definitions ask for may be of no use otherwise.
    fn breaking(&self, claim: &Claim, claimed: &Lone) -> Result<Vec<String>, OverBudget> {
        let mut names = Names::new(&[(self.program, self.vocabulary)]);
        names.compare(&claimed.instructions);
        let mut beside = names.beside();
        beside.push(claimed.clone());
        let mut ground = Ground::new(&[self.program], &beside, Budget::default())?;
        let outcomes = ground.outcomes(self.program)?;
        let holds = ground.holds(claimed)?;
        let spoken_of = ground.arena.within(holds, outcomes.root, IMPOSSIBLE)?;
        let breaking = ground.arena.mapped(spoken_of, |value| {
            let decision = outcomes.decision(value);
            u32::from(decision.is_some_and(|it| broken_by(claim, it.verdict)))
        })?;
        let regions = ground.regions(breaking, &names, MOST_FOUND)?;
        let all = regions.all.iter();
        let mut told: Vec<String> = all
            .take(MOST_REGIONS)
            .map(|region| format!("it is broken by {}", region.text))
            .collect();
        match (
            regions.all.len().saturating_sub(MOST_REGIONS),
            regions.is_cut,
        ) {
            (0, false) => {}
            (more, false) => told.push(format!("and by {more} more kinds of connection")),
            (_, true) => told.push("and by more kinds of connection".to_owned()),
        }
        Ok(told)
    }

    fn vacuous(&self, claim: &Claim) -> Diagnostic {
        let message = format!(
            "\"{}\" says nothing: no connection is what it speaks of",
            claim.name
        );
        Diagnostic::error(Code::PropertyVacuous, message)
            .with_severity(Severity::Warning)
            .label(claim.span, "holds for every policy")
            .help("look at what its condition joins: two of its parts cannot be together")
    }

    /// The command that shows why.
    fn see(&self, facts: &Facts) -> String {
        let facts = self.ground.told(facts);
        let first = self.sources.iter().next();
        let policy = first.map_or_else(String::new, |(_, source)| shell_file(&source.name));
        format!("see it: gw explain --policy {policy}{facts}")
    }
}

pub(super) fn broken_by(claim: &Claim, verdict: Verdict) -> bool {
    let met = claim.outcomes.iter().any(|outcome| outcome.met_by(verdict));
    met == claim.never
}
