//! The slow, obvious twin: it walks the checked tree, and reads facts as output shows them.

use gw::facts::{AttributeId, Auth, DeviceProof, Facts, Kind, Pairing, PendingRequest, ScopeSet};
use gw::lang::checked::{Answer, Checked, Clause, Comparison, Condition, Predicate, Role};
use gw::verdict::{Reason, ScopeBound, Verdict, pairing_reason};

/// The verdict, by the book.
pub(crate) fn verdict(checked: &Checked, facts: &Facts) -> Verdict {
    let live = checked.rules.iter().filter(|rule| rule.role == Role::Rule);
    let rule = live
        .chain([&checked.default])
        .find(|rule| holds(&rule.condition, facts))
        .expect("the default always holds");
    let mut verdict = rule.answer.verdict(facts).expect("rules do not cap");
    let guards: Vec<&Clause> = checked
        .guards
        .iter()
        .filter(|guard| holds(&guard.condition, facts))
        .collect();
    let answers: Vec<Answer> = guards.iter().map(|guard| guard.answer).collect();
    let rejection = answers.iter().find_map(|answer| match answer {
        Answer::Reject(reason) => Some(*reason),
        Answer::RejectAsFound => Some(Reason::as_found(facts)),
        _ => None,
    });
    let pairing = answers.iter().find_map(|answer| match answer {
        Answer::RequirePairing(reason) => Some(reason.unwrap_or(pairing_reason(facts))),
        _ => None,
    });
    if let Some(reason) = rejection {
        verdict = Verdict::Reject(reason);
    } else if let Some(reason) = pairing.filter(|_| verdict.admits()) {
        verdict = Verdict::RequirePairing(reason);
    }
    for answer in answers {
        if let (Answer::Cap(cap), Verdict::Approve(grant) | Verdict::SilentApprove(grant)) =
            (answer, &mut verdict)
        {
            grant.cap = grant.cap.intersection(cap);
        }
    }
    let failed_proof = !matches!(facts.device, DeviceProof::Absent | DeviceProof::Proven);
    if !matches!(verdict, Verdict::Reject(_)) && (failed_proof || facts.auth == Auth::Failed) {
        let proof = Reason::of_proof(facts.device);
        let auth = Reason::of_auth(facts.auth_failure).unwrap_or(Reason::Unauthorized);
        return Verdict::Reject(proof.unwrap_or(auth));
    }
    match verdict {
        Verdict::RequirePairing(_) if facts.device == DeviceProof::Absent => {
            Verdict::Reject(Reason::DeviceRequired)
        }
        Verdict::SilentApprove(grant) if facts.device == DeviceProof::Absent => {
            Verdict::Approve(grant)
        }
        Verdict::SilentApprove(_) if facts.pairing == Pairing::Paired => verdict,
        Verdict::SilentApprove(grant)
            if facts.pairing == Pairing::Upgrade
                && !(facts.role_upgrade || facts.metadata_upgrade)
                && grant.scopes == ScopeBound::Approved =>
        {
            verdict
        }
        Verdict::SilentApprove(_)
            if facts.outside_role
                || facts.pending == PendingRequest::Asked
                || facts.pending == PendingRequest::Wider
                || facts.pending == PendingRequest::SilentWider =>
        {
            Verdict::RequirePairing(pairing_reason(facts))
        }
        verdict => verdict,
    }
}

pub(crate) fn holds(condition: &Condition, facts: &Facts) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, facts)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, facts)),
        Condition::Not(inner) => !holds(inner, facts),
        Condition::Test(comparison) => compares(comparison, facts),
    }
}

fn compares(comparison: &Comparison, facts: &Facts) -> bool {
    let id: AttributeId = comparison.attribute;
    let row = id.row();
    match (&comparison.predicate, row.kind) {
        (Predicate::Holds, _) => id.show(facts) == "yes",
        (Predicate::Among(members), kind) => {
            let words: Vec<&str> = kind
                .words()
                .iter()
                .enumerate()
                .filter(|(code, _)| members.codes & (1 << code) != 0)
                .map(|(_, word)| word.name)
                .collect();
            let (class, ip) = match kind {
                Kind::Address { get, .. } => (get(facts).class().name(), get(facts).ip()),
                Kind::Header {
                    words, class, ip, ..
                } => (words[usize::from(class(facts))].name, ip(facts)),
                _ => ("", None),
            };
            let shown = id.show(facts);
            let text = matches!(kind, Kind::Text { .. } | Kind::Header { .. });
            words.contains(&shown.as_str())
                && !matches!(kind, Kind::Header { .. } | Kind::Address { .. })
                || words.contains(&class)
                || ip.is_some_and(|ip| members.networks.iter().any(|net| net.contains(&ip)))
                || text && members.texts.iter().any(|text| **text == *shown)
        }
        (Predicate::Includes(set), Kind::Set { get, .. }) => {
            set.iter().all(|scope| get(facts).contains(scope))
        }
        (Predicate::Within(set), Kind::Set { get, .. }) => {
            get(facts).iter().all(|scope| set.contains(scope))
        }
        (Predicate::Equals(set), Kind::Set { get, .. }) => {
            get(facts).iter().collect::<ScopeSet>() == *set
        }
        _ => unreachable!("not a predicate of this type"),
    }
}
