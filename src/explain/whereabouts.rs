//! Whereabouts: why a peer on loopback was not treated as local.

use super::{ClauseAccount, Subject};
use crate::compile::ClauseId;
use crate::decide::{Decision, Trace};
use crate::facts::{AttributeId, Facts, Kind, Stage, Transport};
use crate::lang::checked::Role;

/// A peer on loopback that was refused: the fact that kept it from being local. It is what
/// settled the guard that refused it, or the first rule for local peers that passed it over.
pub(super) fn not_local(
    decision: Decision,
    facts: &Facts,
    subject: &Subject,
    clauses: &[ClauseAccount],
    by: &ClauseAccount,
    trace: &Trace,
) -> Option<String> {
    let local =
        |attribute: AttributeId| matches!(attribute.row().name, "peer" | "same-host" | "transport");
    // What the client says and proves is no matter of where it is.
    let whereabouts = |attribute: AttributeId| attribute.row().stage < Stage::Connect;
    let loopback = facts.transport == Transport::Tcp && facts.peer.is_loopback();
    if !loopback || decision.verdict.admits() {
        return None;
    }
    let asks_locality = |terms: &[crate::decide::trace::SeenTerm]| {
        terms
            .iter()
            .any(|term| term.held && term.tests.iter().any(|test| local(test.attribute)))
    };
    let name = |attribute: AttributeId| {
        let evidence = subject
            .evidence
            .get(usize::from(attribute.0))
            .filter(|text| !text.is_empty());
        let row = attribute.row();
        let fact = match row.kind {
            Kind::Flag { get, .. } if get(facts) => row.name.to_owned(),
            Kind::Flag { .. } => format!("not {}", row.name),
            Kind::Enum { .. }
            | Kind::Set { .. }
            | Kind::Address { .. }
            | Kind::Header { .. }
            | Kind::Text { .. } => format!("{} is {}", row.name, attribute.show(facts)),
        };
        evidence.map_or(fact.clone(), |evidence| format!("{fact} ({evidence})"))
    };
    let seen = |id: ClauseId| trace.clauses.iter().find(|seen| seen.id == id);
    if matches!(by.role, Role::Guard(_)) {
        // The guard, or the rule that it restricts, asked for locality, and had it.
        let terms = &seen(by.id)?.terms;
        let asked = asks_locality(terms) || asks_locality(&seen(decision.rule)?.terms);
        let settled = terms
            .iter()
            .flat_map(|term| &term.tests)
            .find(|test| !local(test.attribute));
        let settled = settled.filter(|test| asked && whereabouts(test.attribute));
        return settled.map(|test| name(test.attribute));
    }
    let rules = clauses
        .iter()
        .filter(|clause| matches!(clause.role, Role::Rule) && !clause.matched);
    rules.filter_map(|clause| seen(clause.id)).find_map(|seen| {
        let last = seen.terms.last().filter(|term| !term.held)?;
        let test = last.tests.last()?;
        let kept_out = !local(test.attribute) && whereabouts(test.attribute);
        (asks_locality(&seen.terms) && kept_out).then(|| name(test.attribute))
    })
}
