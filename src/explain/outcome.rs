//! What comes of a decision, in sentences: what a refusal reads like, what is recorded, and
//! what makes the answer another one.

use super::Subject;
use crate::decide::{Decision, Law};
use crate::facts::{Auth, DeviceProof, Facts, Pairing, PendingRequest};
use crate::settings::Compatibility;
use crate::verdict::{Grant, PairingReason, Reason, ScopeBound, Verdict, show_seconds};
use crate::wire::reply::{Context, HttpReason, HttpRefusal, refuse};

/// What a refusal reads like.
pub(super) fn reads(verdict: Verdict, facts: &Facts, subject: &Subject) -> Option<String> {
    let pairing = |reason: PairingReason| match reason {
        PairingReason::NotPaired if facts.pairing == Pairing::KeyChanged => {
            "pairing required: this device id is known with another key".to_owned()
        }
        PairingReason::NotPaired => "pairing required: this device is not approved yet".to_owned(),
        PairingReason::ScopeUpgrade => match &subject.approved_scopes {
            Some(approved) => {
                let missing = missing(&subject.requested_scopes, approved);
                format!(
                    "insufficient scope: has {}, needs {}",
                    list(approved),
                    list(&missing)
                )
            }
            None => {
                let requested = list(&subject.requested_scopes);
                format!("insufficient scope: asks for {requested}, more than was approved")
            }
        },
        PairingReason::RoleUpgrade if subject.approved_roles.contains(&subject.requested_role) => {
            format!(
                "the device has no token for the role {} any more: it was revoked, or never made",
                subject.requested_role
            )
        }
        PairingReason::RoleUpgrade => format!(
            "insufficient role: has {}, asks for {}",
            list(&subject.approved_roles),
            subject.requested_role,
        ),
        PairingReason::MetadataUpgrade if subject.changes.is_empty() => {
            "the device changed since it was approved".to_owned()
        }
        PairingReason::MetadataUpgrade => {
            format!(
                "the device changed since it was approved: {}",
                subject.changes.join(", ")
            )
        }
    };
    match verdict {
        Verdict::Reject(reason) => Some(reason.doc().to_owned()),
        Verdict::RequirePairing(reason) => Some(pairing(reason)),
        Verdict::Approve(_) | Verdict::SilentApprove(_) => None,
    }
}

/// The scopes asked for that the record does not have by name.
fn missing(requested: &[String], approved: &[String]) -> Vec<String> {
    requested
        .iter()
        .filter(|scope| !approved.contains(scope))
        .cloned()
        .collect()
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// What a client is told of a reason, in a word: the finest code of its answer, which comes over HTTP
/// where no WebSocket is opened.
fn code(reason: Reason, facts: &Facts, over_http: bool) -> String {
    if over_http {
        let refusal = HttpRefusal::of(HttpReason::Policy(reason));
        return refusal.kind().unwrap_or_else(|| reason.name().to_owned());
    }
    let compatibility = Compatibility::default();
    let refusal = refuse(reason, &Context::of_facts(facts, &compatibility));
    let details = refusal.details.as_ref();
    let code = details.and_then(|details| details.get("code")?.as_str());
    code.unwrap_or(refusal.code.name()).to_owned()
}

pub(super) fn consequences(
    decision: Decision,
    facts: &Facts,
    subject: &Subject,
    over_http: bool,
) -> Vec<String> {
    let mut sentences = Vec::new();
    if let (Some(law), true) = (decision.law, decision.verdict.admits()) {
        sentences.push(law_sentence(law, facts).to_owned());
    }
    match decision.verdict {
        Verdict::Reject(reason) => {
            let code = code(reason, facts, over_http);
            sentences.push(format!("the client is told `{code}`; nothing is written"));
        }
        Verdict::RequirePairing(_) => {
            let device = subject
                .device
                .as_deref()
                .map_or_else(String::new, |id| format!(" for {}", short(id)));
            sentences.push(format!(
                "a request{device} is kept for the owner; the client is not admitted"
            ));
        }
        Verdict::Approve(grant) => {
            sentences.push(admitted(grant, facts, subject));
            if decision.law != Some(Law::NothingToRecord) {
                sentences.push("nothing more is approved".to_owned());
            }
            sentences.push(token_sentence(decision.verdict, facts).to_owned());
        }
        Verdict::SilentApprove(grant) => {
            sentences.push(admitted(grant, facts, subject));
            let device = subject
                .device
                .as_deref()
                .map_or_else(|| "the device".to_owned(), short);
            let until = grant
                .ttl_seconds
                .map_or_else(String::new, |ttl| format!(", for {}", show_seconds(ttl)));
            sentences.push(match facts.pairing {
                Pairing::Paired => {
                    "the device is paired already: nothing more is approved".to_owned()
                }
                Pairing::Upgrade => {
                    format!("the record of {device} is upgraded without asking{until}")
                }
                Pairing::None | Pairing::Unpaired | Pairing::KeyChanged => {
                    format!("{device} is paired without asking{until}")
                }
            });
            sentences.push(token_sentence(decision.verdict, facts).to_owned());
        }
    }
    sentences
}

/// What counted whatever the policy says, with what was seen of it: `evidence` of the fact.
pub(super) fn counted(law: Law, facts: &Facts, evidence: impl Fn(&str) -> String) -> String {
    let sentence = law_sentence(law, facts);
    let seen = match law {
        Law::Barred | Law::OutsideRole | Law::RequestWaits => evidence(counts(law, facts)),
        // The sentence says it.
        Law::DeviceRequired | Law::NothingToRecord => String::new(),
    };
    match seen.is_empty() {
        true => sentence.to_owned(),
        false => format!("{sentence} ({seen})"),
    }
}

/// The attribute that a law goes by.
pub(super) fn counts(law: Law, facts: &Facts) -> &'static str {
    match law {
        Law::Barred if facts.auth == Auth::Failed => "auth",
        Law::Barred | Law::DeviceRequired | Law::NothingToRecord => "device",
        Law::OutsideRole => "outside-role",
        Law::RequestWaits => "pending",
    }
}

fn law_sentence(law: Law, facts: &Facts) -> &'static str {
    match law {
        Law::Barred if facts.auth == Auth::Failed => {
            "the authentication failed, and that is refused whatever a policy says"
        }
        Law::Barred => "the device proof failed, and that is refused whatever a policy says",
        Law::DeviceRequired => {
            "pairing needs a device, and none was sent: the connection is refused instead"
        }
        Law::NothingToRecord => "nothing is recorded: there is no device",
        Law::OutsideRole => {
            "a scope is asked for that is not the role's: it cannot be approved, silently or not"
        }
        Law::RequestWaits
            if matches!(
                facts.pending,
                PendingRequest::Wider | PendingRequest::SilentWider
            ) =>
        {
            "an earlier request of this device asks for more and waits for the owner, so nothing is approved silently"
        }
        Law::RequestWaits => {
            "an earlier request of this device waits for the owner, so nothing is approved silently"
        }
    }
}

fn admitted(grant: Grant, facts: &Facts, subject: &Subject) -> String {
    let asked = &subject.requested_scopes;
    let own = matches!(facts.pairing, Pairing::Paired | Pairing::Upgrade);
    let approved = match &subject.approved_scopes {
        Some(approved) if own => &**approved,
        None if own && !facts.scope_upgrade => asked,
        None if own && grant.scopes == ScopeBound::Approved => {
            return "admitted with those scopes that the record has".to_owned();
        }
        Some(_) | None => &[],
    };
    let granted = grant.granted(asked, facts.role, approved, subject.scope_rule);
    if granted.len() == asked.len() {
        return format!("admitted with {}", scopes(&granted));
    }
    if granted.is_empty() {
        return "admitted without scopes".to_owned();
    }
    format!("admitted with {}, of {}", scopes(&granted), scopes(asked))
}

fn scopes<S: AsRef<str>>(names: &[S]) -> String {
    if names.is_empty() {
        "no scopes".to_owned()
    } else {
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        names.join(", ")
    }
}

/// Whether a device token goes back: the record, as it is after this, must cover what was
/// asked.
fn token_sentence(verdict: Verdict, facts: &Facts) -> &'static str {
    let covered = match verdict {
        Verdict::SilentApprove(_) => true,
        Verdict::Approve(_) => facts.pairing == Pairing::Paired,
        Verdict::Reject(_) | Verdict::RequirePairing(_) => false,
    };
    let wanted = verdict.grant().is_some_and(|grant| grant.token);
    if covered && wanted && facts.device == DeviceProof::Proven {
        "a device token goes back"
    } else {
        "no device token goes back"
    }
}

/// The first characters of a device id, and the last four.
#[must_use]
fn short(id: &str) -> String {
    match (id.get(..4), id.get(id.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if id.len() > 12 => format!("device {head}…{tail}"),
        _ => format!("device {id}"),
    }
}

/// What an admitted client is told: its scopes, and whether a device token goes back.
pub(super) fn told(decision: Decision, facts: &Facts, subject: &Subject) -> Vec<String> {
    let grant = decision.verdict.grant();
    let told = grant.map(|grant| {
        let token = token_sentence(decision.verdict, facts).to_owned();
        vec![admitted(grant, facts, subject), token]
    });
    told.unwrap_or_default()
}

pub(super) fn remedy(decision: Decision, subject: &Subject) -> Option<String> {
    match decision.verdict {
        Verdict::Reject(reason) => Some(reason.remedy().to_owned()),
        Verdict::RequirePairing(reason) => {
            let what = match reason {
                PairingReason::NotPaired => "approves the device",
                PairingReason::MetadataUpgrade => "approves the device as it is now",
                PairingReason::RoleUpgrade => "approves the role",
                PairingReason::ScopeUpgrade => "approves the scopes",
            };
            let or = match reason {
                PairingReason::ScopeUpgrade
                    if subject
                        .approved_scopes
                        .as_ref()
                        .is_some_and(|all| !all.is_empty()) =>
                {
                    format!(
                        "; or the client asks for no more than {}",
                        list(subject.approved_scopes.as_deref().unwrap_or_default())
                    )
                }
                PairingReason::ScopeUpgrade
                | PairingReason::NotPaired
                | PairingReason::MetadataUpgrade
                | PairingReason::RoleUpgrade => String::new(),
            };
            Some(format!("the owner {what}{or}"))
        }
        Verdict::Approve(_) | Verdict::SilentApprove(_) => None,
    }
}
