//! Rules that let in those who should not come in, by the connections that each of them can make.
//! One rule is told of once, by what explains best why it is open; one that could be deleted is told
//! of all the same, since whom it lets in would come in by the next one.

pub(super) mod admin;
pub(super) mod claims;
pub(super) mod door;
pub(super) mod opaque;
pub(super) mod page;
pub(super) mod proxy;
pub(super) mod rebinding;

use std::collections::BTreeSet;

use super::View;
use crate::analysis::attacker::{Attacker, Intruder, Said};
use crate::analysis::{Id, Outcomes, OverBudget};
use crate::compile::ClauseId;
use crate::diagnostic::{Code, Diagnostic, Effect, Severity};
use crate::facts::Facts;
use crate::lang::checked::{Clause, Role};
use crate::verdict::Verdict;

/// Who has proved nothing: no secret is right, and no device was approved.
const UNPROVED: &str = "auth in { none, open } and pairing in { none, unpaired, key-changed }";

/// From another host, and not by way of anything.
const ELSEWHERE: &str = "transport=tcp and not same-host and not peer-is-own and not peer-is-proxy \
                         and peer-uid=unknown and ingress=direct and not proxy-trace";

/// A rule that lets somebody in.
struct Hole<'a> {
    id: ClauseId,
    clause: &'a Clause,
    /// The connections that it lets in.
    admitted: Id,
    /// One of them.
    facts: Facts,
    /// What it gets.
    verdict: Verdict,
}

/// Somebody whom this program describes, under whatever settings.
fn described(view: &mut View<'_>, text: &str) -> Result<Id, OverBudget> {
    let lone = Intruder::own(text).lone();
    view.ground.holds(&lone)
}

/// An attacker of the table, of whom more is known, under whatever settings.
fn attacker(view: &mut View<'_>, name: &str, known: &str) -> Result<Id, OverBudget> {
    let attackers: Vec<&Attacker> = Attacker::named(name).into_iter().collect();
    let known: Vec<Said> = (!known.is_empty())
        .then(|| Said::own(known))
        .into_iter()
        .collect();
    let lone = Intruder::whatever_is_set(&attackers, &known).lone();
    view.ground.holds(&lone)
}

/// What is decided of some connections, of those that can be.
fn outcomes(view: &mut View<'_>, connections: Id) -> Result<Outcomes, OverBudget> {
    let ground = &mut view.ground;
    let region = ground.arena.and(connections, ground.assumed)?;
    ground.decided(view.program, &view.clauses, view.clauses.way, region)
}

/// The rules, and the default, of the policy's own file by which some connections come in, of those
/// that nothing was told of yet.
fn holes<'a>(
    view: &mut View<'a>,
    connections: Id,
    counts: impl Fn(Verdict) -> bool,
) -> Result<Vec<Hole<'a>>, OverBudget> {
    let admits = &|verdict: Verdict| verdict.admits() && counts(verdict);
    let (program, clauses) = (view.program, &view.clauses);
    // Most policies let none of them in, which is known sooner than what is decided of each.
    if !view.ground.some(program, clauses, connections, admits)? {
        return Ok(Vec::new());
    }
    let tried = outcomes(view, connections)?;
    let mut clauses: Vec<(ClauseId, &Clause)> = view
        .own_rules()
        .into_iter()
        .map(|it| (it.1, it.2))
        .collect();
    let default = &view.policy.checked().default;
    let main = view.policy.sources().iter().next().map(|(id, _)| id);
    if default.role == Role::Default && Some(default.span.source) == main {
        clauses.push((view.program.default.id, default));
    }
    clauses.retain(|(id, _)| !view.told_for_whom.contains(id));
    let asked: BTreeSet<ClauseId> = clauses.iter().map(|(id, _)| *id).collect();
    let admitting = view.ground.arena.parted(tried.root, |value| {
        let decision = tried.decision(value);
        let decision = decision.filter(|it| asked.contains(&it.by) && admits(it.verdict));
        decision.map(|it| it.by.0)
    })?;
    let mut found = Vec::new();
    for (id, clause) in clauses {
        let Some(admitted) = admitting.get(&id.0).copied() else {
            continue;
        };
        let Some(facts) = view.ground.witness(admitted, |value| value == 1) else {
            continue;
        };
        let verdict = crate::decide::decide(view.program, &facts).verdict;
        found.push(Hole {
            id,
            clause,
            admitted,
            facts,
            verdict,
        });
    }
    Ok(found)
}

impl Hole<'_> {
    /// Whether the rule lets in some other connections, too.
    fn admits(&self, view: &mut View<'_>, connections: Id) -> Result<bool, OverBudget> {
        if let Some(admitting) = view.admitting.get(&connections) {
            return Ok(admitting.contains(&self.id));
        }
        let tried = outcomes(view, connections)?;
        let values = view.ground.arena.values(tried.root).into_iter();
        let decisions = values.filter_map(|value| tried.decision(value));
        let admitting = decisions.filter(|it| it.verdict.admits());
        let admitting: BTreeSet<ClauseId> = admitting.map(|it| it.by).collect();
        let admits = admitting.contains(&self.id);
        view.admitting.insert(connections, admitting);
        Ok(admits)
    }

    /// Whether a condition keeps all of them out, and leaves somebody whom the rule lets in.
    fn is_mended_by(&self, view: &mut View<'_>, text: &str) -> Result<bool, OverBudget> {
        let holds = view.ground.holds(&Said::own(text).lone())?;
        let keeps_out = view.ground.arena.and(self.admitted, holds)? == Id::NO;
        Ok(keeps_out && self.admits(view, holds)?)
    }

    /// What is told of it, with the first of some conditions that keeps all of them out, and leaves
    /// somebody whom the rule lets in; and which other one does, where something is so.
    fn told(
        &self,
        view: &mut View<'_>,
        code: Code,
        message: String,
        remedies: &[&str],
        or: Option<(&str, &str)>,
    ) -> Result<Diagnostic, OverBudget> {
        view.told_for_whom.push(self.id);
        let mut found = Diagnostic::error(code, message)
            .with_severity(Severity::Warning)
            .label(self.clause.head, format!("{} here", self.verdict.kind()));
        let mut remedy = None;
        for text in remedies.iter().filter(|_| self.clause.role == Role::Rule) {
            if self.is_mended_by(view, text)? {
                let mut told = format!("keep them out: add `and {text}`");
                if let Some((other, whence)) = or.filter(|(other, _)| other != text)
                    && self.is_mended_by(view, other)?
                {
                    told.push_str(&format!(", or `and {other}` {whence}"));
                }
                remedy = Some(told);
                let edits = view.wording.with_term(self.clause.span, text);
                let says = format!("add `and {text}` to {}", view.name(self.id.0));
                found = found.fix(Effect::Narrows, says, edits);
                break;
            }
        }
        let other = match self.clause.role {
            Role::Default => {
                "say in rules who may come in, and end with `default → require-pairing`"
            }
            Role::Rule | Role::Guard(_) | Role::Trial => {
                "keep them out: ask for something that they cannot have"
            }
        };
        found = found.help(remedy.unwrap_or_else(|| other.to_owned()));
        Ok(found.help(view.see(&self.facts)))
    }
}
