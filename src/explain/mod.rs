//! Explaining: a decision with what it looked at, turned into an account of it.
//!
//! Nothing is decided again here: what is missing must come with the decision's trace. The
//! forms of the account are in [`text`] and [`json`].
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod json;
pub mod text;

use crate::compile::ClauseId;
use crate::decide::trace::{Seen, SeenTest};
use crate::decide::{Decision, Law, Trace, traced};
use crate::facts::{
    AttributeId, DeviceProof, Facts, Kind, Pairing, Provenance, ScopeSet, Stage, Transport,
};
use crate::lang::checked::Role;
use crate::policy::Policy;
use crate::verdict::{Grant, PairingReason, ScopeBound, Verdict, show_seconds};

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
    /// What the verdict reads like to the one who is refused; nothing when admitted.
    pub reads: Option<String>,
    /// What comes of it, in sentences.
    pub consequences: Vec<String>,
    /// What makes the answer another one; nothing when admitted.
    pub remedy: Option<String>,
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
    /// Whether the clause whose answer it is asked for it.
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
    Explanation {
        policy: policy.digest(),
        file: policy
            .sources()
            .iter()
            .next()
            .map_or_else(String::new, |(_, file)| file.name.to_string()),
        facts: fact_accounts(facts, subject, decision.by, trace),
        reads: reads(decision.verdict, facts, subject),
        consequences: consequences(decision, facts, subject),
        remedy: remedy(decision, subject),
        not_local: not_local(decision, facts, subject, &clauses, &by, trace),
        by,
        trial,
        clauses,
        decision,
    }
}

fn clause(policy: &Policy, facts: &Facts, seen: &Seen) -> ClauseAccount {
    let clause = policy.clause(seen.id);
    let sources = policy.sources();
    let one_line = |span| one_line(sources.slice(span));
    let terms = seen.terms.iter().map(|term| TermAccount {
        text: policy
            .program()
            .term_span(term.index)
            .map_or_else(String::new, one_line),
        held: term.held,
        settled_by: settled_by(&term.tests, facts),
    });
    ClauseAccount {
        id: seen.id,
        role: clause.role,
        label: policy.label(seen.id),
        labelled: clause.label.is_some(),
        place: sources.place(clause.span),
        hash: policy.clause_hash(seen.id),
        text: one_line(clause.head),
        matched: seen.matched,
        terms: terms.collect(),
        because: clause.because.clone(),
        hint: clause.hint.clone(),
        issues: clause.issues.clone(),
    }
}

/// The text of a clause without its line ends and inner comments.
fn one_line(text: &str) -> String {
    let laid_out = crate::lang::format(text);
    let lines = laid_out.lines().map(|line| {
        let tokens = crate::lang::tokens::tokens(line);
        let comment = tokens
            .iter()
            .find(|token| token.kind == crate::lang::tokens::TokenKind::Comment);
        let end = comment.map_or(line.len(), |comment| comment.range.start);
        line.get(..end).unwrap_or(line).trim()
    });
    lines
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The facts that tests looked at, each once.
fn settled_by(tests: &[SeenTest], facts: &Facts) -> Vec<(AttributeId, String)> {
    let mut settled: Vec<(AttributeId, String)> = Vec::new();
    for test in tests {
        if settled
            .iter()
            .all(|(attribute, _)| *attribute != test.attribute)
        {
            settled.push((test.attribute, test.attribute.show(facts)));
        }
    }
    settled
}

fn fact_accounts(
    facts: &Facts,
    subject: &Subject,
    by: ClauseId,
    trace: &Trace,
) -> Vec<FactAccount> {
    let quiet = Facts::default();
    let used: Vec<AttributeId> = trace
        .clauses
        .iter()
        .filter(|seen| seen.id == by)
        .flat_map(|seen| &seen.terms)
        .flat_map(|term| term.tests.iter().map(|test| test.attribute))
        .collect();
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

/// Whether an unusual value of an attribute says something that others do not.
fn worth(name: &str, facts: &Facts) -> bool {
    match name {
        "client-ip" => facts.client_ip != facts.peer,
        "peer-is-own" => !facts.same_host,
        // The evidence of `auth` and `pairing` says it.
        "auth-failure" | "role-upgrade" | "scope-upgrade" | "metadata-upgrade" => false,
        "path" | "platform" | "device-family" => false,
        name => !name.starts_with("setting.") && !name.starts_with("forwarded-"),
    }
}

/// What a refusal reads like.
fn reads(verdict: Verdict, facts: &Facts, subject: &Subject) -> Option<String> {
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

fn consequences(decision: Decision, facts: &Facts, subject: &Subject) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(law) = decision.law {
        sentences.push(law_sentence(law).to_owned());
    }
    match decision.verdict {
        Verdict::Reject(reason) => {
            sentences.push(format!("the client is told `{reason}`; nothing is written"));
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
                sentences.push("the pairing records stay as they are".to_owned());
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
                    "the device is paired already: its record stays as it is".to_owned()
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

fn law_sentence(law: Law) -> &'static str {
    match law {
        Law::Barred => {
            "whatever a policy says, an authentication or a device proof that failed is refused"
        }
        Law::DeviceRequired => {
            "pairing needs a device, and none was sent: the connection is refused instead"
        }
        Law::NothingToRecord => "nothing is recorded: there is no device",
        Law::RequestWaits => {
            "an earlier request of this device waits for the owner, so nothing is approved silently"
        }
    }
}

fn admitted(grant: Grant, facts: &Facts, subject: &Subject) -> String {
    let bound: Option<ScopeSet> = match grant.scopes {
        ScopeBound::Requested => None,
        ScopeBound::None => return "admitted without scopes".to_owned(),
        ScopeBound::Approved => {
            return format!(
                "admitted with what the record has: {}",
                list(subject.approved_scopes.as_deref().unwrap_or_default())
            );
        }
        ScopeBound::Within(set) => Some(set),
    };
    let cap = bound.map_or(grant.cap, |set| set.intersection(grant.cap));
    if cap == ScopeSet::ALL {
        return format!("admitted with {}", scopes(&subject.requested_scopes));
    }
    let granted: Vec<String> = facts
        .scopes
        .intersection(cap)
        .iter()
        .map(|scope| scope.name().to_owned())
        .collect();
    format!(
        "admitted with {}, of {}",
        scopes(&granted),
        scopes(&subject.requested_scopes)
    )
}

fn scopes(names: &[String]) -> String {
    if names.is_empty() {
        "no scopes".to_owned()
    } else {
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
pub fn short(id: &str) -> String {
    match (id.get(..4), id.get(id.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if id.len() > 12 => format!("device {head}…{tail}"),
        _ => format!("device {id}"),
    }
}

fn remedy(decision: Decision, subject: &Subject) -> Option<String> {
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

/// A peer on loopback that was refused: the fact that kept it from being local. It is what
/// settled the guard that refused it, or the first rule for local peers that passed it over.
fn not_local(
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
