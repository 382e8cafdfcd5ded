//! Does away with what is found in a policy, where that is proved to leave its meaning unchanged: every
//! connection is answered after the edits as before them, by the policy and by those beside it that read
//! its text, and what its trials would have said is the same.
//!
//! What would change the meaning is offered, and made only for the codes that were asked for. Reading and
//! writing files is the caller's.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod proof;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::diagnostic::fix::Edited;
use crate::diagnostic::{Code, Diagnostic, Edit, Effect, Fix, Severity};
use crate::lint::{Search, lint};
use crate::policy::{Policy, PolicyError};
use crate::source::SourceId;

pub use proof::Unproved;
use proof::{Proof, narrows};

/// Loads a policy in which a text stands in the place of the one that is repaired.
pub type Load<'a> = dyn FnMut(&str) -> Result<Policy, PolicyError> + 'a;

/// How many edits are offered: what each would come to is looked at.
const MOST_OFFERED: usize = 8;

/// How often a policy is gone through: an edit may bring the next one to light.
const ROUNDS: usize = 64;

/// An edit that was made, or was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// What was found.
    pub code: Code,
    /// Where it stood in the text as it was read, from 1.
    pub line: usize,
    /// What does away with it.
    pub says: String,
}

/// What would do away with a finding, and change what is decided.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What it is.
    pub made: Made,
    /// The policy with it alone; `None` where the policy would not load.
    pub then: Option<Box<Policy>>,
    /// Why it would not be made if it were asked for.
    pub refused: Option<Unproved>,
}

/// A repaired text.
#[derive(Debug)]
pub struct Repair {
    /// The text after all edits that were made.
    pub text: String,
    /// The policy of that text.
    pub policy: Policy,
    /// What was changed and leaves the meaning as it was, in the order of the text.
    pub kept: Vec<Made>,
    /// What was changed because it was asked for.
    pub changed: Vec<Made>,
    /// What was not changed, and why.
    pub left: Vec<(Made, Unproved)>,
    /// What is offered, of the text as it was read.
    pub offered: Vec<Offer>,
    /// How many more there would be.
    pub more: usize,
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// What is looked for.
    pub search: Search,
    /// Of what the edits are to be made that change what is decided.
    pub asked: &'a [Code],
    /// Whether edits that were not asked for are tried, to be offered.
    pub offers: bool,
}

/// Repairs a policy. `others` are the policies beside it that read its text.
pub fn repair<'l>(
    policy: Policy,
    order: Order<'_>,
    load: &mut Load<'l>,
    others: &mut [Box<Load<'l>>],
) -> Repair {
    let text = own_text(&policy).to_owned();
    let mut repair = Repair {
        text,
        policy,
        kept: Vec::new(),
        changed: Vec::new(),
        left: Vec::new(),
        offered: Vec::new(),
        more: 0,
    };
    let mut history = History::default();
    repair.semantic(order, load, &mut history);
    let mut proof = Proof::new(&repair.policy, load, others);
    let mut refused: BTreeSet<(Code, usize)> = BTreeSet::new();
    for _ in 0..ROUNDS {
        let found = lint(&repair.policy, order.search);
        let mut candidates = Vec::new();
        for found in &found {
            let Some(fix) = found.fixes.iter().find(|fix| fix.keeps_meaning()) else {
                continue;
            };
            let at = history.was(start(found));
            if is_apart(fix, &candidates) && !refused.contains(&(found.code, at)) {
                candidates.push(Candidate { found, fix, at });
            }
        }
        if candidates.is_empty() {
            break;
        }
        let mut accepted = Accepted::default();
        accepted.settle(&repair.text, &candidates, &mut proof);
        for (candidate, why) in accepted.refused {
            refused.insert((candidate.found.code, candidate.at));
            repair.left.push((history.made(candidate), why));
        }
        let kept = accepted.taken.iter().map(|it| history.made(*it));
        repair.kept.extend(kept);
        let Some((edited, policy)) = accepted.last else {
            break;
        };
        repair.text.clone_from(&edited.text);
        repair.policy = policy;
        history.edits.push(edited);
    }
    repair.kept.sort_by_key(|made| made.line);
    repair.left.sort_by_key(|(made, _)| made.line);
    repair
}

/// Whether an edit of one finding alone is proved to leave the meaning unchanged.
pub fn is_proved(policy: &Policy, fix: &Fix, load: &mut Load<'_>) -> bool {
    let edits: Vec<&Edit> = fix.edits.iter().collect();
    let edited = Edited::new(own_text(policy), &edits);
    edited.is_some_and(|edited| Proof::new(policy, load, &mut []).of(&edited.text).is_ok())
}

/// The text that edits are made in.
fn own_text(policy: &Policy) -> &str {
    let first = policy.sources().iter().next();
    first.map_or("", |(_, source)| &source.text)
}

/// Whether an edit does no more than it is for: one that is to keep people out lets nobody in.
fn fit(fix: &Fix, before: &Policy, then: &Policy) -> Result<(), Unproved> {
    match fix.effect {
        Effect::Narrows => narrows(before, then),
        Effect::Keeps | Effect::Changes => Ok(()),
    }
}

/// Where something was found, in the policy's own text.
fn start(found: &Diagnostic) -> usize {
    found.span().map_or(0, |span| span.start as usize)
}

/// Whether the edits of a fix stand in the policy's own text, and overlap none of the others.
fn is_apart(fix: &Fix, others: &[Candidate<'_>]) -> bool {
    fix.edits.iter().all(|edit| {
        let own = edit.span;
        let mut taken = others.iter().flat_map(|it| &it.fix.edits);
        own.source == SourceId::default()
            && taken.all(|it| it.span.end <= own.start || own.end <= it.span.start)
    })
}

/// A finding with what would do away with it.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    found: &'a Diagnostic,
    fix: &'a Fix,
    /// Where it was found, in the text as it was read.
    at: usize,
}

/// What became of a text.
#[derive(Default)]
struct History {
    /// The first text, once there is another one.
    edits: Vec<Edited>,
    lines: Vec<usize>,
}

impl History {
    /// Where a byte of the text was in the beginning.
    fn was(&self, at: usize) -> usize {
        let edits = self.edits.iter().rev();
        edits.fold(at, |at, edited| edited.was(at))
    }

    fn made(&self, it: Candidate<'_>) -> Made {
        Made {
            code: it.found.code,
            line: self.lines.partition_point(|start| *start <= it.at),
            says: it.fix.says.clone(),
        }
    }
}

/// The edits that were found to go together.
#[derive(Default)]
struct Accepted<'a> {
    taken: Vec<Candidate<'a>>,
    refused: Vec<(Candidate<'a>, Unproved)>,
    last: Option<(Edited, Policy)>,
}

impl<'a> Accepted<'a> {
    /// Takes as many as leave the meaning unchanged together: all at once if they do, else each half.
    fn settle(&mut self, text: &str, some: &[Candidate<'a>], proof: &mut Proof<'_, '_>) {
        let all = self.taken.iter().chain(some);
        let edits: Vec<&Edit> = all.flat_map(|it| &it.fix.edits).collect();
        let proved = match Edited::new(text, &edits) {
            Some(edited) => proof.of(&edited.text).map(|policy| (edited, policy)),
            None => Err(Unproved::DoesNotLoad),
        };
        match (proved, some) {
            (Ok(last), _) => {
                self.taken.extend(some);
                self.last = Some(last);
            }
            // One that does not go with those before it may go without them, or not be found then.
            (Err(_), [_]) if !self.taken.is_empty() => {}
            (Err(_), []) => {}
            (Err(why), [only]) => self.refused.push((*only, why)),
            (Err(_), some) => {
                let (first, second) = some.split_at(some.len() / 2);
                self.settle(text, first, proof);
                self.settle(text, second, proof);
            }
        }
    }
}

impl Repair {
    /// Makes the edits that were asked for, and offers the others.
    fn semantic(&mut self, order: Order<'_>, load: &mut Load<'_>, history: &mut History) {
        let lines = self.text.split_inclusive('\n').scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some(start)
        });
        history.lines = lines.collect();
        let found = lint(&self.policy, order.search);
        let mut asked = Vec::new();
        for found in &found {
            let Some(fix) = found.fixes.iter().find(|fix| !fix.keeps_meaning()) else {
                continue;
            };
            let at = start(found);
            let candidate = Candidate { found, fix, at };
            let is_asked = order.asked.contains(&found.code);
            let edits: Vec<&Edit> = fix.edits.iter().collect();
            if is_asked && is_apart(fix, &asked) {
                asked.push(candidate);
            } else if order.offers && self.offered.len() == MOST_OFFERED {
                self.more += 1;
            } else if order.offers {
                let then = Edited::new(&self.text, &edits)
                    .and_then(|edited| load(&edited.text).ok())
                    .map(Box::new);
                let refused = match &then {
                    None => Some(Unproved::DoesNotLoad),
                    Some(then) => fit(fix, &self.policy, then).err(),
                };
                self.offered.push(Offer {
                    made: history.made(candidate),
                    then,
                    refused,
                });
            }
        }
        // One that breaks what the policy claims does not keep the others from being made.
        let mut edits: Vec<&Edit> = Vec::new();
        let mut last = None;
        for candidate in asked {
            let mut together = edits.clone();
            together.extend(&candidate.fix.edits);
            let edited = Edited::new(&self.text, &together);
            let loaded = edited.and_then(|edited| Some((load(&edited.text).ok()?, edited)));
            let before = last.as_ref().map_or(&self.policy, |(policy, _)| policy);
            let proved = match &loaded {
                None => Err(Unproved::DoesNotLoad),
                Some((policy, _)) => fit(candidate.fix, before, policy),
            };
            match proved {
                Ok(()) => {
                    edits = together;
                    last = loaded;
                    self.changed.push(history.made(candidate));
                }
                Err(why) => self.left.push((history.made(candidate), why)),
            }
        }
        if let Some((policy, edited)) = last {
            self.text.clone_from(&edited.text);
            self.policy = policy;
            history.edits.push(edited);
        }
    }
}

/// What is wrong with a policy that does not load, where edits would make it load: those that are meant
/// to be made, and the other way to read each of them.
#[must_use]
pub fn readings(error: &PolicyError, asked: &[Code]) -> Option<[String; 2]> {
    let errors = error.diagnostics.0.iter();
    let errors: Vec<&Diagnostic> = errors
        .filter(|found| found.severity == Severity::Error)
        .collect();
    let text = &error.sources.get(SourceId::default())?.text;
    let one = |which: usize| {
        let edits = errors.iter().map(|found| {
            let fix = found.fixes.get(which)?;
            (asked.contains(&found.code) && is_apart(fix, &[])).then_some(&fix.edits)
        });
        let edits: Option<Vec<&Vec<Edit>>> = edits.collect();
        // What is wrong once may be found wherever it is used.
        let mut own: Vec<&Edit> = Vec::new();
        for edit in edits?.into_iter().flatten() {
            if !own.contains(&edit) {
                own.push(edit);
            }
        }
        Some(Edited::new(text, &own)?.text)
    };
    Some([one(0)?, one(1)?])
}
