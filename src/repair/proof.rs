//! Whether a policy means the same with another text.

use super::Load;
use crate::analysis::{Both, Budget, OverBudget, are_alike};
use crate::compile::{Program, compile};
use crate::lang::checked::{Answer, Checked, Role};
use crate::policy::Policy;
use crate::verdict::Reason;

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// The policy would not load, or its own tests and claims would fail.
    DoesNotLoad,
    /// Some connections would be answered otherwise.
    Differs,
    /// Some connections would get more: what they were kept from is behind what was narrowed, in these
    /// clauses.
    Widens(Vec<String>),
    /// A trial would be recorded for other connections.
    OfTrials,
    /// A policy beside it reads this text, and would not mean the same: its name.
    Beside(String),
    /// Nobody knows: the policy is too large to be compared.
    TooLarge,
}

/// What a policy, and those beside it, must go on to mean.
pub(super) struct Proof<'p, 'l> {
    before: Policy,
    load: &'p mut Load<'l>,
    others: Vec<(&'p mut Load<'l>, Policy)>,
}

impl<'p, 'l> Proof<'p, 'l> {
    pub(super) fn new(
        policy: &Policy,
        load: &'p mut Load<'l>,
        others: &'p mut [Box<Load<'l>>],
    ) -> Self {
        let text = super::own_text(policy);
        // One that does not load now cannot be broken.
        let others = others.iter_mut().filter_map(|other| {
            let now = other(text).ok()?;
            Some((&mut **other, now))
        });
        Proof {
            before: policy.clone(),
            load,
            others: others.collect(),
        }
    }

    /// The policy of a text, if it means the same.
    pub(super) fn of(&mut self, text: &str) -> Result<Policy, Unproved> {
        let Ok(policy) = (self.load)(text) else {
            return Err(Unproved::DoesNotLoad);
        };
        compared(&self.before, &policy)?;
        for (load, before) in &mut self.others {
            let same = load(text).map(|now| compared(before, &now));
            if !matches!(same, Ok(Ok(()))) {
                return Err(Unproved::Beside(before.name().to_owned()));
            }
        }
        Ok(policy)
    }
}

/// Whether nobody gets more from a policy than from the one before it.
pub(super) fn narrows(before: &Policy, now: &Policy) -> Result<(), Unproved> {
    let both = Both::new(before.side(), now.side(), Budget::default());
    match both.and_then(Both::difference) {
        Ok(difference) if difference.direction().wider => {
            let wider = difference.transitions.iter();
            let wider = wider.filter(|it| it.direction.wider);
            let mut by: Vec<_> = wider
                .flat_map(|it| {
                    let [_, now] = it.by.clone();
                    now
                })
                .collect();
            by.sort_unstable();
            by.dedup();
            let name = |id| match &now.clause(id).label {
                Some(label) => format!("[{label}]"),
                None => now.label(id),
            };
            Err(Unproved::Widens(by.into_iter().map(name).collect()))
        }
        Ok(_) => Ok(()),
        Err(OverBudget) => Err(Unproved::TooLarge),
    }
}

/// Whether a policy answers every connection as another one does, and its trials are recorded for the
/// same connections.
fn compared(before: &Policy, now: &Policy) -> Result<(), Unproved> {
    let alike = |one: (&Checked, &Program), other: (&Checked, &Program), differs| match are_alike(
        [one, other],
        Budget::default(),
    ) {
        Ok(true) => Ok(()),
        Ok(false) => Err(differs),
        Err(OverBudget) => Err(Unproved::TooLarge),
    };
    alike(
        (before.checked(), before.program()),
        (now.checked(), now.program()),
        Unproved::Differs,
    )?;
    for as_rules in [told_apart, as_they_answer] {
        match [before, now].map(|it| with_trials(it, as_rules)) {
            [None, None] => {}
            [Some(before), Some(now)] => {
                alike((&before.0, &before.1), (&now.0, &now.1), Unproved::OfTrials)?;
            }
            [_, _] => return Err(Unproved::OfTrials),
        }
    }
    Ok(())
}

/// A policy as if its trials decided. None where it has none.
fn with_trials(policy: &Policy, as_rules: fn(&mut Checked)) -> Option<(Checked, Program)> {
    let mut checked = policy.checked().clone();
    if !checked.rules.iter().any(|rule| rule.role == Role::Trial) {
        return None;
    }
    as_rules(&mut checked);
    let program = compile(&checked);
    Some((checked, program))
}

/// Whom each trial is recorded for, whatever guards say: each has an answer that nothing else gives.
fn told_apart(checked: &mut Checked) {
    checked.guards.clear();
    let trials = checked.rules.iter_mut();
    for (at, rule) in trials.filter(|it| it.role == Role::Trial).enumerate() {
        // A hint is part of what a refusal means.
        rule.hint = Some(format!("trial {at}"));
        rule.answer = Answer::Reject(Reason::NotPermitted);
        rule.role = Role::Rule;
    }
}

/// What is recorded, under the guards.
fn as_they_answer(checked: &mut Checked) {
    let trials = checked.rules.iter_mut();
    for rule in trials.filter(|it| it.role == Role::Trial) {
        rule.role = Role::Rule;
    }
}
