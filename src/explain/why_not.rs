//! Why a clause did not decide: its conditions one by one, and what would have decided had they
//! held.

use super::chart::Chart;
use super::nearest::clause_name;
use super::ways::{Field, Way};
use super::{ClauseAccount, Subject};
use crate::compile::{Block, ClauseId};
use crate::decide::{Decision, decide, looked_through};
use crate::facts::{Facts, ScopeSet};
use crate::lang::checked::{Answer, Role};
use crate::policy::Policy;
use crate::source::Sources;

/// How a clause stands to a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct WhyNot {
    /// The clause, with all its conditions.
    pub clause: ClauseAccount,
    /// What came of the connection.
    pub decision: Decision,
    /// What decided it.
    pub by: String,
    /// How the clause stands to that.
    pub standing: Standing,
    /// The scopes that it caps an answer to; such a guard never decides.
    pub cap: Option<ScopeSet>,
    /// The nearest connection for which all its conditions hold, and what decides that one;
    /// nothing where they hold, or cannot.
    pub held: Option<Other>,
    /// The nearest connection that the clause decides, where the one above is decided by another.
    pub decided: Option<Other>,
}

/// A clause, and a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the one that decided.
    Decided,
    /// It holds, and one before it holds as well.
    Earlier,
    /// It holds, and a guard, or a law that no policy can lift, made another answer of it.
    Restricted,
    /// Some condition does not hold.
    Missed,
    /// The default: some rule holds.
    Default,
    /// A guard that caps: it holds, and bounds what is admitted.
    Caps,
    /// A guard that caps: it holds, and nothing is admitted that it could bound.
    NothingToCap,
}

/// Another connection, and the clause that decides it.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// How it differs.
    pub way: Way,
    /// What decides it.
    pub by: String,
}

/// The clause that is meant by a label, a line of the policy's main file, or `file:line`.
///
/// # Errors
///
/// What clauses there are, where none is meant.
pub fn named(policy: &Policy, name: &str) -> Result<ClauseId, Vec<String>> {
    let name = name.trim().trim_start_matches('[').trim_end_matches(']');
    let sources = policy.sources();
    let is_meant = |block: &&Block| {
        let clause = policy.clause(block.id);
        clause.label.as_deref() == Some(name)
            || (name == "default" && clause.role == Role::Default)
            || stands_at(sources, clause.span, name)
    };
    let found = policy
        .program()
        .blocks()
        .find(is_meant)
        .map(|block| block.id);
    found.ok_or_else(|| {
        let all = policy.program().blocks();
        all.map(|block| policy.label(block.id)).collect()
    })
}

/// Whether a clause stands at `file:line`, or at a line of the main file; a clause of several lines
/// at each of them.
fn stands_at(sources: &Sources, span: crate::source::Span, name: &str) -> bool {
    let (file, line) = match name.rsplit_once(':') {
        Some((file, line)) => (Some(file), line),
        None => (None, name),
    };
    let (Ok(line), Some(source)) = (line.parse::<u32>(), sources.get(span.source)) else {
        return false;
    };
    let first_source = sources.iter().next().map(|(id, _)| id);
    let is_file = match file {
        Some(file) => source.file_name() == file || &*source.name == file,
        None => first_source == Some(span.source),
    };
    let (first, last) = (
        source.position(span.start).0,
        source
            .position(span.end.saturating_sub(1).max(span.start))
            .0,
    );
    is_file && (first..=last).contains(&line.try_into().unwrap_or_default())
}

/// Why a clause did not decide a connection.
#[must_use]
pub fn why_not(chart: &Chart<'_>, facts: &Facts, subject: &Subject, id: ClauseId) -> WhyNot {
    let policy = chart.policy();
    let program = policy.program();
    let decision = decide(program, facts);
    let block = program.blocks().find(|block| block.id == id);
    let block = block.unwrap_or(&program.default);
    let seen = looked_through(program, block, facts);
    let clause = super::clause(policy, facts, &seen);
    let is_guard = matches!(block.role, Role::Guard(_));
    let cap = match block.answer {
        Answer::Cap(scopes) => Some(scopes),
        Answer::Reject(_)
        | Answer::RejectAsFound
        | Answer::RequirePairing(_)
        | Answer::Approve(_)
        | Answer::SilentApprove(_) => None,
    };
    let standing = match (decision.by == id, clause.matched) {
        (false, true) if cap.is_some() && decision.verdict.admits() => Standing::Caps,
        (false, true) if cap.is_some() => Standing::NothingToCap,
        (true, _) => Standing::Decided,
        (false, _) if block.role == Role::Default && decision.rule != id => Standing::Default,
        (false, true) if decision.rule == id => Standing::Restricted,
        (false, true) if is_guard && !decision.verdict.admits() => Standing::Earlier,
        (false, true) if is_guard => Standing::Restricted,
        (false, true) => Standing::Earlier,
        (false, false) => Standing::Missed,
    };
    let (held, decided) = match standing {
        Standing::Decided | Standing::Caps | Standing::NothingToCap => (None, None),
        Standing::Missed => others(chart, facts, subject, block, true),
        Standing::Earlier | Standing::Restricted | Standing::Default => {
            others(chart, facts, subject, block, false)
        }
    };
    WhyNot {
        clause,
        decision,
        by: clause_name(policy, decision.by),
        standing,
        cap,
        held,
        decided,
    }
}

/// The nearest connection for which a clause holds, and the nearest that it decides, where it is one
/// that can.
fn others(
    chart: &Chart<'_>,
    facts: &Facts,
    subject: &Subject,
    block: &Block,
    is_missed: bool,
) -> (Option<Other>, Option<Other>) {
    let Ok(mut field) = Field::free(chart, facts, subject) else {
        return (None, None);
    };
    let other = |way: Way| Other {
        by: clause_name(chart.policy(), way.decision.by),
        way,
    };
    let id = block.id;
    let condition = field.condition(id).filter(|_| is_missed);
    let held = condition.and_then(|holds| {
        let ways = field.within(holds, &|_| true).ok()?;
        ways.all.into_iter().next().map(other)
    });
    let is_its = |other: &Other| other.way.decision.by == id;
    let is_cap = matches!(block.answer, Answer::Cap(_));
    if is_cap || held.as_ref().is_some_and(is_its) {
        return (held, None);
    }
    let ways = field.to(&|decision: &Decision| decision.by == id).ok();
    let decided = ways.and_then(|ways| ways.all.into_iter().next().map(other));
    (held, decided)
}
