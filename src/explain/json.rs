//! The account as JSON; its schema is `docs/explanation.schema.json`.

use serde_json::{Value, json};

use super::{ClauseAccount, Explanation};
use crate::lang::checked::Role;
use crate::verdict::{PairingReason, Reason, Verdict};

/// The account as one JSON object.
#[must_use]
pub fn json(explanation: &Explanation) -> Value {
    let verdict = explanation.decision.verdict;
    let facts = explanation.facts.iter().map(|fact| {
        let row = fact.attribute.row();
        json!({
            "name": row.name,
            "value": fact.value,
            "provenance": fact.provenance,
            "stage": row.stage,
            "evidence": fact.evidence,
            "used": fact.used,
        })
    });
    let nearest = explanation.nearest.as_ref().map(|nearest| {
        let way = &nearest.way;
        let changes = way.changes.iter();
        json!({
            "changes": changes.map(|(attribute, from, to)| {
                json!({ "name": attribute.row().name, "from": from, "to": to })
            }).collect::<Vec<_>>(),
            "verdict": way.decision.verdict.kind(),
            "reason": reason(way.decision.verdict),
            "by": nearest.by,
        })
    });
    json!({
        "verdict": verdict.kind(),
        "reason": reason(verdict),
        "grant": verdict.grant().map(|grant| grant.to_string()).filter(|text| !text.is_empty()),
        "admitted": verdict.admits(),
        "by": clause(&explanation.by),
        "law": explanation.decision.law.map(crate::decide::Law::name),
        "policy": { "file": explanation.file, "digest": explanation.policy },
        "reads": explanation.reads,
        "facts": facts.collect::<Vec<_>>(),
        "clauses": explanation.clauses.iter().map(clause).collect::<Vec<_>>(),
        "consequences": explanation.counted.iter().chain(&explanation.consequences)
            .collect::<Vec<_>>(),
        "notLocal": explanation.not_local,
        "remedy": explanation.remedy,
        "nearest": nearest,
        "trial": explanation.trial.as_ref().map(|(trial, verdict)| {
            json!({ "by": clause(trial), "verdict": verdict.kind(), "reason": reason(*verdict) })
        }),
    })
}

pub(super) fn reason(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Reject(reason) => Some(Reason::name(reason)),
        Verdict::RequirePairing(reason) => Some(PairingReason::name(reason)),
        Verdict::Approve(_) | Verdict::SilentApprove(_) => None,
    }
}

pub(super) fn clause(clause: &ClauseAccount) -> Value {
    let kind = match clause.role {
        Role::Guard(_) => "guard",
        Role::Rule => "rule",
        Role::Trial => "trial",
        Role::Default => "default",
    };
    let terms = clause.terms.iter().map(|term| {
        let facts = term.settled_by.iter();
        json!({
            "text": term.text,
            "held": term.held,
            "facts": facts
                .map(|(attribute, value)| json!({ "name": attribute.row().name, "value": value }))
                .collect::<Vec<_>>(),
        })
    });
    json!({
        "kind": kind,
        "label": clause.label,
        "place": clause.place,
        "hash": clause.hash,
        "text": clause.text,
        "matched": clause.matched,
        "terms": terms.collect::<Vec<_>>(),
        "because": clause.because,
        "hint": clause.hint,
        "issues": clause.issues,
    })
}
