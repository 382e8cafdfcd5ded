//! The nearest other answer: what helps a connection that is refused, and what an admission rests
//! on. What is said was found in the diagram of the policy and held against the engine.

use super::Explanation;
use super::Subject;
use super::chart::Chart;
use super::step::Step;
use super::ways::{BESIDE, Field, Way, Ways};
use crate::compile::ClauseId;
use crate::decide::Decision;
use crate::facts::Facts;
use crate::lang::checked::Role;
use crate::policy::Policy;

/// The nearest connection that is answered otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// How it differs, and what is decided of it.
    pub way: Way,
    /// The clause that decides it, as [`clause_name`] names it.
    pub by: String,
}

/// How a clause is named in a sentence: a label in brackets, or its place.
#[must_use]
pub fn clause_name(policy: &Policy, id: ClauseId) -> String {
    let clause = policy.clause(id);
    match (&clause.label, clause.role) {
        (Some(label), _) => format!("[{label}]"),
        (None, Role::Default) => format!("{}, the default", policy.label(id)),
        (None, Role::Guard(_) | Role::Rule | Role::Trial) => policy.label(id),
    }
}

/// Looks for the nearest connection that is answered otherwise, and says what helps by it. Where
/// that takes more than it may, the account stays as it is.
pub fn look(explanation: &mut Explanation, chart: &Chart<'_>, facts: &Facts, subject: &Subject) {
    let admitted = explanation.decision.verdict.admits();
    let Ok(mut field) = Field::new(chart, facts, subject) else {
        return;
    };
    let wanted = |decision: &Decision| decision.verdict.admits() != admitted;
    // What an admission rests on is not what costs least.
    let ways = match admitted {
        true => field.to(&wanted),
        false => field.cheapest(&wanted, BESIDE),
    };
    let Ok(ways) = ways else {
        return;
    };
    let way = match admitted {
        true => narrowest(&ways),
        false => ways.all.first(),
    };
    if !admitted {
        explanation.remedy = Some(helps(&ways));
    }
    explanation.nearest = way.map(|way| Nearest {
        by: clause_name(chart.policy(), way.decision.by),
        way: way.clone(),
    });
}

/// What an admission rests on: of the fewest steps those that nobody on this side takes, because
/// they are another's.
fn narrowest(ways: &Ways) -> Option<&Way> {
    const FIRST: [Step; 4] = [Step::Page, Step::Proxy, Step::Where, Step::Credential];
    let rank = |way: &&Way| {
        let step = way.steps.first().map(|step| step.step);
        let at = FIRST.iter().position(|known| Some(*known) == step);
        (way.steps.len(), at.unwrap_or(FIRST.len()))
    };
    ways.all.iter().min_by_key(rank)
}

/// What somebody can do to be admitted: the cheapest, and what costs hardly more.
fn helps(ways: &Ways) -> String {
    let Some(cheapest) = ways.all.first() else {
        return "nothing that is sent, approved or set: only another policy lets this in"
            .to_owned();
    };
    let near = ways
        .all
        .iter()
        .filter(|way| way.cost <= cheapest.cost + BESIDE)
        .take(2);
    let told = near.map(|way| {
        let steps: Vec<&str> = way.steps.iter().map(|step| &*step.words).collect();
        steps.join(", then ")
    });
    told.collect::<Vec<_>>().join("; or ")
}

impl Nearest {
    /// The line about it, with its heading.
    pub(super) fn line(&self) -> (&'static str, String) {
        let heading = match self.way.decision.verdict.admits() {
            true => "nearest admission",
            false => "nearest refusal",
        };
        let changes = &self.way.changes;
        let count = match changes.len() {
            1 => "one change".to_owned(),
            more => format!("{more} changes"),
        };
        let told = format!(
            "{count}: {}: {} by {}",
            shown(&self.way),
            self.way.decision.verdict,
            self.by
        );
        (heading, told)
    }
}

/// The changes of a way, one after the other.
pub(super) fn shown(way: &Way) -> String {
    let each = way
        .changes
        .iter()
        .map(|(attribute, before, after)| format!("{} {before} → {after}", attribute.row().name));
    each.collect::<Vec<_>>().join(", ")
}
