//! Explaining: a decision with what it looked at, turned into an account of it.
//!
//! Nothing is decided again here: what is missing must come with the decision's trace. The
//! forms of the account are in [`text`] and [`json`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod answers;
pub mod chart;
pub mod client;
pub mod json;
pub mod nearest;
pub mod open;
mod outcome;
mod pivot;
pub mod possible;
pub mod step;
pub mod text;
pub mod ways;
mod whereabouts;
pub mod why_not;
mod world;

use crate::compile::ClauseId;
use crate::decide::trace::{Seen, SeenTerm};
use crate::decide::{Decision, Law, Trace, at_upgrade, traced};
use crate::facts::scopes::ScopeRule;
use crate::facts::{AttributeId, Auth, Facts, Kind, Provenance};
use crate::lang::checked::Role;
use crate::policy::Policy;
use crate::verdict::Verdict;

/// Whom a decision is about, beyond the facts that rules see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The device id, if one was sent.
    pub device: Option<String>,
    /// The scopes asked for, as they were sent.
    pub requested_scopes: Vec<String>,
    /// The role asked for.
    pub requested_role: String,
    /// The scopes that the record of the device has, if it is known.
    pub approved_scopes: Option<Vec<String>>,
    /// Which of them cover a requested one.
    pub scope_rule: ScopeRule,
    /// The roles that the record of the device has.
    pub approved_roles: Vec<String>,
    /// What changed about the device since it was approved, in words.
    pub changes: Vec<String>,
    /// For each attribute, in the order of the table, where its fact came from.
    pub evidence: Vec<String>,
}

impl Subject {
    /// A subject of which only facts are known.
    #[must_use]
    pub fn of_facts(facts: &Facts) -> Self {
        Subject {
            requested_scopes: facts
                .scopes
                .iter()
                .map(|scope| scope.name().to_owned())
                .collect(),
            requested_role: facts.role.name().to_owned(),
            ..Subject::default()
        }
    }
}

/// The account of a decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What was decided.
    pub decision: Decision,
    /// The hash of the policy that decided.
    pub policy: String,
    /// The file of the policy, as it was named.
    pub file: String,
    /// The clause whose answer it is.
    pub by: ClauseAccount,
    /// Facts, in the order of the table.
    pub facts: Vec<FactAccount>,
    /// Guards, then rules, as far as they were looked at.
    pub clauses: Vec<ClauseAccount>,
    /// What refuses whatever the policy says; nothing where the clause itself does.
    pub counted: Option<String>,
    /// What the verdict reads like to the one who is refused; nothing when admitted.
    pub reads: Option<String>,
    /// What comes of it, in sentences.
    pub consequences: Vec<String>,
    /// What makes the answer another one; nothing when admitted.
    pub remedy: Option<String>,
    /// The nearest connection that is answered otherwise, where it was looked for
    /// ([`nearest::look`]).
    pub nearest: Option<nearest::Nearest>,
    /// Why a loopback peer was not treated as local.
    pub not_local: Option<String>,
    /// What a trial would have decided.
    pub trial: Option<(ClauseAccount, Verdict)>,
}

/// A fact, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactAccount {
    /// The attribute.
    pub attribute: AttributeId,
    /// Its value, as output shows it.
    pub value: String,
    /// Who vouches for it.
    pub provenance: Provenance,
    /// Where it came from.
    pub evidence: String,
    /// Whether the clause whose answer it is asked for it, or it counted whatever that says.
    pub used: bool,
    /// Whether it is worth showing without being asked for.
    pub notable: bool,
}

/// A clause that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClauseAccount {
    /// Which one.
    pub id: ClauseId,
    /// Which kind.
    pub role: Role,
    /// Its name, or `file:line`.
    pub label: String,
    /// Whether the name is a label in brackets.
    pub labelled: bool,
    /// `file:line`.
    pub place: String,
    /// A short hash of its text.
    pub hash: String,
    /// Its text up to the verdict, on one line.
    pub text: String,
    /// Whether it applies.
    pub matched: bool,
    /// Its conditions, as far as they were looked at.
    pub terms: Vec<TermAccount>,
    /// Prose for operators.
    pub because: Option<String>,
    /// Prose that the client may see.
    pub hint: Option<String>,
    /// The reports it is tied to.
    pub issues: Vec<String>,
}

/// A condition that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermAccount {
    /// As written.
    pub text: String,
    /// Whether it holds.
    pub held: bool,
    /// The facts that settled it: attribute and value.
    pub settled_by: Vec<(AttributeId, String)>,
}

/// Decides, and gives the account of that very decision.
#[must_use]
pub fn explain(policy: &Policy, facts: &Facts, subject: &Subject) -> Explanation {
    let (decision, trace) = traced(policy.program(), facts);
    account(policy, facts, subject, decision, &trace)
}

/// The account of a decision that was made, from what it looked at.
#[must_use]
pub fn account(
    policy: &Policy,
    facts: &Facts,
    subject: &Subject,
    decision: Decision,
    trace: &Trace,
) -> Explanation {
    let mut clauses: Vec<ClauseAccount> = trace
        .clauses
        .iter()
        .map(|seen| clause(policy, facts, seen))
        .collect();
    // Rules come after guards in a policy, and are looked at before them.
    clauses.sort_by_key(|clause| clause.id);
    let find = |id: ClauseId| clauses.iter().find(|clause| clause.id == id).cloned();
    let by = find(decision.by).unwrap_or_else(|| {
        clause(
            policy,
            facts,
            &Seen {
                id: decision.by,
                matched: true,
                terms: Vec::new(),
            },
        )
    });
    let trial = decision
        .trial
        .and_then(|(id, verdict)| Some((find(id)?, verdict)));
    let at_upgrade = at_upgrade(policy.program(), facts);
    let over_http = at_upgrade.is_some_and(|(id, _)| id == decision.by);
    Explanation {
        policy: policy.digest().to_owned(),
        file: policy.name().to_owned(),
        counted: refusing(decision)
            .map(|law| outcome::counted(law, facts, |name| evidence(name, subject))),
        facts: fact_accounts(facts, subject, &used_by(decision, facts, trace)),
        reads: outcome::reads(decision.verdict, facts, subject),
        consequences: outcome::consequences(decision, facts, subject, over_http),
        remedy: outcome::remedy(decision, subject),
        nearest: None,
        not_local: whereabouts::not_local(decision, facts, subject, &clauses, &by, trace),
        by,
        trial,
        clauses,
        decision,
    }
}

fn clause(policy: &Policy, facts: &Facts, seen: &Seen) -> ClauseAccount {
    let clause = policy.clause(seen.id);
    let sources = policy.sources();
    let one_line = |span| crate::lang::one_line(sources.slice(span));
    let terms = seen.terms.iter().map(|term| TermAccount {
        text: policy
            .program()
            .term_span(term.index)
            .map_or_else(String::new, one_line),
        held: term.held,
        settled_by: settled_by(policy, term, facts),
    });
    ClauseAccount {
        id: seen.id,
        role: clause.role,
        label: policy.label(seen.id),
        labelled: clause.label.is_some(),
        place: sources.place(clause.span),
        hash: policy.clause_hash(seen.id).to_owned(),
        text: one_line(clause.head),
        matched: seen.matched,
        terms: terms.collect(),
        because: clause.because.clone(),
        hint: clause.hint.clone(),
        issues: clause.issues.clone(),
    }
}

/// The facts that a term turns on, each once; where it turns on none alone, those that were looked
/// at.
fn settled_by(policy: &Policy, term: &SeenTerm, facts: &Facts) -> Vec<(AttributeId, String)> {
    let pivots = pivot::pivots(policy.program(), term, facts);
    let mut settled: Vec<(AttributeId, String)> = Vec::new();
    for test in &term.tests {
        let counts = pivots.is_empty() || pivots.contains(&test.attribute);
        let is_new = settled.iter().all(|(known, _)| *known != test.attribute);
        if counts && is_new {
            settled.push((test.attribute, test.attribute.show(facts)));
        }
    }
    settled
}

/// The facts of a connection, without a policy that asks for any.
#[must_use]
pub fn facts_alone(facts: &Facts, subject: &Subject) -> Vec<FactAccount> {
    fact_accounts(facts, subject, &[])
}

/// The facts that the clause whose answer it is asked for, with the one that counted whatever that
/// says.
fn used_by(decision: Decision, facts: &Facts, trace: &Trace) -> Vec<AttributeId> {
    let counts = refusing(decision).map(|law| outcome::counts(law, facts));
    trace
        .clauses
        .iter()
        .filter(|seen| seen.id == decision.by)
        .flat_map(|seen| &seen.terms)
        .flat_map(|term| term.tests.iter().map(|test| test.attribute))
        .chain(counts.and_then(AttributeId::named))
        .collect()
}

fn fact_accounts(facts: &Facts, subject: &Subject, used: &[AttributeId]) -> Vec<FactAccount> {
    let quiet = Facts::default();
    AttributeId::all()
        .map(|attribute| {
            let row = attribute.row();
            let value = attribute.show(facts);
            let used = used.contains(&attribute);
            let always = [
                "peer", "host", "origin", "client", "role", "scopes", "auth", "device", "pairing",
            ];
            let notable = match row.kind {
                Kind::Flag { get, .. } => get(facts) && worth(row.name, facts),
                Kind::Enum { .. }
                | Kind::Set { .. }
                | Kind::Address { .. }
                | Kind::Header { .. }
                | Kind::Text { .. } => {
                    always.contains(&row.name)
                        || value != attribute.show(&quiet) && worth(row.name, facts)
                }
            };
            FactAccount {
                attribute,
                value,
                provenance: row.provenance,
                evidence: subject
                    .evidence
                    .get(usize::from(attribute.0))
                    .cloned()
                    .unwrap_or_default(),
                used,
                notable: notable || used,
            }
        })
        .collect()
}

/// The law that a refusal goes by.
fn refusing(decision: Decision) -> Option<Law> {
    decision.law.filter(|_| !decision.verdict.admits())
}

/// Where the fact of an attribute came from.
fn evidence(name: &str, subject: &Subject) -> String {
    let at = AttributeId::named(name).map(|attribute| usize::from(attribute.0));
    let seen = at.and_then(|at| subject.evidence.get(at));
    seen.cloned().unwrap_or_default()
}

/// Whether an unusual value of an attribute says something that others do not.
fn worth(name: &str, facts: &Facts) -> bool {
    match name {
        "client-ip" => facts.client_ip != facts.peer,
        "peer-is-own" => !facts.same_host,
        // The evidence of `auth` and `pairing` says it.
        "auth-failure" | "role-upgrade" | "scope-upgrade" | "metadata-upgrade" => false,
        "secret-sent" => facts.auth == Auth::None,
        "path" | "platform" | "device-family" => false,
        name => !name.starts_with("setting.") && !name.starts_with("forwarded-"),
    }
}
