//! Whether a policy means the same with another text.

use super::Load;
use crate::analysis::{Budget, canonical};
use crate::compile::compile;
use crate::lang::checked::Role;
use crate::policy::Policy;

/// Why an edit was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// The policy would not load, or its own tests and claims would fail.
    DoesNotLoad,
    /// Some connections would be answered otherwise.
    Differs,
    /// A trial would be recorded for other connections.
    OfTrials,
    /// A policy beside it reads this text, and would not mean the same: its name.
    Beside(String),
    /// Nobody knows: the policy is too large to be compared.
    TooLarge,
}

/// What a policy, and those beside it, must go on to mean.
pub(super) struct Proof<'p, 'l> {
    meaning: Option<String>,
    /// The same with its trials as rules: for whom each is recorded.
    with_trials: Option<String>,
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
            meaning: policy.fingerprint().map(str::to_owned),
            with_trials: with_trials(policy),
            load,
            others: others.collect(),
        }
    }

    /// The policy of a text, if it means the same.
    pub(super) fn of(&mut self, text: &str) -> Result<Policy, Unproved> {
        if self.meaning.is_none() || self.with_trials.is_none() {
            return Err(Unproved::TooLarge);
        }
        let Ok(policy) = (self.load)(text) else {
            return Err(Unproved::DoesNotLoad);
        };
        match policy.fingerprint() {
            None => return Err(Unproved::TooLarge),
            now if now != self.meaning.as_deref() => return Err(Unproved::Differs),
            Some(_) => {}
        }
        if with_trials(&policy) != self.with_trials {
            return Err(Unproved::OfTrials);
        }
        for (load, before) in &mut self.others {
            let now = load(text).ok();
            let is_same = now.is_some_and(|now| {
                let meaning = now.fingerprint();
                meaning.is_some() && meaning == before.fingerprint()
            });
            if !is_same {
                return Err(Unproved::Beside(before.name().to_owned()));
            }
        }
        Ok(policy)
    }
}

/// What a policy would mean if its trials decided: whom each is the first to hold for. Empty where it
/// has none.
fn with_trials(policy: &Policy) -> Option<String> {
    let mut checked = policy.checked().clone();
    let mut has_trials = false;
    for rule in &mut checked.rules {
        has_trials |= rule.role == Role::Trial;
        if rule.role == Role::Trial {
            rule.role = Role::Rule;
        }
    }
    match has_trials {
        true => canonical(&checked, &compile(&checked), Budget::default()).ok(),
        false => Some(String::new()),
    }
}
