//! Narrowing: one condition more for the rule that breaks a claim, so that the claim holds.
//!
//! Tried is each comparison of the claim and of the policy, the opposite of each, and the opposite of
//! all that the claim speaks of. What is offered keeps the claim, leaves the rule somebody to answer
//! as it did, and lets nobody in of whom the claim does not speak. Of several, the one counts that
//! leaves the rule most of those whom it answers so and of whom the claim does not speak, as a share
//! of all that could be said of a connection; of equal ones the one with the fewest comparisons.

use super::claims::{Proof, broken_by};
use super::diagram::{Id, OverBudget};
use super::outcome::Outcomes;
use crate::compile::{ClauseId, Lone, compile, lone};
use crate::lang::checked::{Checked, Claim, Comparison, Condition};
use crate::source::{Span, Spanned};

/// How many conditions are tried for a claim that does not hold.
const MOST_TRIED: usize = 64;

/// A condition that a rule may ask for besides.
struct Narrowing {
    text: String,
    condition: Condition,
    comparisons: usize,
    /// How much of what breaks nothing the rule goes on answering, from none (0) to all (1).
    left: f64,
}

impl Proof<'_> {
    /// What makes a claim hold that one rule breaks, in a sentence.
    pub(super) fn narrowed(
        &mut self,
        claim: &Claim,
        claimed: &Lone,
        clause: ClauseId,
        outcomes: &Outcomes,
    ) -> Result<Option<String>, OverBudget> {
        let guards = self.checked.guards.len();
        let rule = (clause.0 as usize)
            .checked_sub(guards)
            .filter(|at| *at < self.checked.rules.len());
        let Some(rule) = rule else {
            return Ok(None);
        };
        for tried in self.tried(claim, claimed, clause, outcomes)? {
            let mut checked = self.checked.clone();
            if let Some(clause) = checked.rules.get_mut(rule) {
                let span = clause.condition.span;
                let own = std::mem::replace(&mut clause.condition.value, Condition::ALWAYS);
                clause.condition.value = Condition::All(vec![
                    Spanned::new(own, span),
                    Spanned::new(tried.condition, span),
                ]);
            }
            if self.is_kept(&checked, claim, claimed, clause, outcomes)? {
                let text = tried.text;
                let others = match tried.left >= 1.0 {
                    true => "goes on deciding all others",
                    false => "then leaves out others, too",
                };
                return Ok(Some(format!(
                    "it would hold with `and {text}` in that clause, which {others}"
                )));
            }
        }
        Ok(None)
    }

    /// The conditions that shut out all by which the rule breaks the claim, and leave it something,
    /// the one that leaves it most first.
    fn tried(
        &mut self,
        claim: &Claim,
        claimed: &Lone,
        clause: ClauseId,
        outcomes: &Outcomes,
    ) -> Result<Vec<Narrowing>, OverBudget> {
        let holds = self.ground.holds(claimed)?;
        let its = |value: u32| outcomes.decision(value).filter(|it| it.by == clause);
        let arena = &mut self.ground.arena;
        // What a law makes of its answer is not what the rule is for.
        let breaks = |value: u32| its(value).is_some_and(|it| broken_by(claim, it.verdict));
        let decided = arena.mapped(outcomes.root, |value| u32::from(breaks(value)))?;
        let breaking = arena.and(decided, holds)?;
        let others = arena.not(breaking)?;
        let harmless = arena.and(decided, others)?;
        let whole = self.ground.share(harmless);
        let mut all: Vec<Narrowing> = Vec::new();
        let mut candidates = self.candidates(claim);
        candidates.extend(self.opposite(claim, harmless)?);
        for (condition, text, comparisons) in candidates {
            let left = self.left(harmless, &condition)?;
            if left != Id::NO && self.left(breaking, &condition)? == Id::NO {
                let share = self.ground.share(left) / whole;
                all.push(Narrowing {
                    text,
                    condition,
                    comparisons,
                    left: if left == harmless { 1.0 } else { share },
                });
            }
        }
        all.sort_by(|one, other| {
            let most = other.left.total_cmp(&one.left);
            most.then(one.comparisons.cmp(&other.comparisons))
        });
        Ok(all)
    }

    /// Those of some connections for which a condition holds.
    fn left(&mut self, some: Id, condition: &Condition) -> Result<Id, OverBudget> {
        let holds = self.ground.holds(&lone(condition))?;
        self.ground.arena.and(some, holds)
    }

    /// The opposite of all that a claim speaks of, without the parts that shut out nobody more when
    /// they are left away.
    fn opposite(
        &mut self,
        claim: &Claim,
        harmless: Id,
    ) -> Result<Option<(Condition, String, usize)>, OverBudget> {
        let mut spoken_of = claim.condition.clone();
        if let Condition::All(parts) = &claim.condition {
            let mut kept = parts.clone();
            for part in parts {
                let mut fewer = kept.clone();
                fewer.retain(|it| it != part);
                let opposite = not(Condition::All(fewer.clone()), claim.span);
                if !fewer.is_empty() && self.left(harmless, &opposite)? == harmless {
                    kept = fewer;
                }
            }
            spoken_of = Condition::All(kept);
        }
        let mut tests = Vec::new();
        comparisons(&spoken_of, &mut tests);
        let count = tests.len();
        let text = self.told(&spoken_of).filter(|_| count > 1);
        let opposite = not(spoken_of, claim.span);
        Ok(text.map(|text| (opposite, format!("not ({text})"), count)))
    }

    /// Each comparison of the claim and of the policy, and its opposite, as it is written, with how
    /// many comparisons that is.
    fn candidates(&self, claim: &Claim) -> Vec<(Condition, String, usize)> {
        let mut tests = Vec::new();
        comparisons(&claim.condition, &mut tests);
        let all = self.checked.guards.iter().chain(&self.checked.rules);
        for clause in all {
            comparisons(&clause.condition.value, &mut tests);
        }
        let mut found: Vec<(Condition, String, usize)> = Vec::new();
        for comparison in tests {
            for holds in [true, false] {
                let text = self.written(comparison, holds);
                let is_known = found.iter().any(|(_, known, _)| *known == text);
                if text.is_empty() || is_known || found.len() >= MOST_TRIED {
                    continue;
                }
                let condition = match (holds, Condition::Test(comparison.clone())) {
                    (true, test) => test,
                    (false, test) => not(test, comparison.span),
                };
                found.push((condition, text, 1));
            }
        }
        found
    }

    /// Whether a policy keeps a claim that this one does not, the rule still decides, and nobody gets
    /// in of whom the claim does not speak and who was kept out.
    fn is_kept(
        &mut self,
        checked: &Checked,
        claim: &Claim,
        claimed: &Lone,
        clause: ClauseId,
        outcomes: &Outcomes,
    ) -> Result<bool, OverBudget> {
        let program = compile(checked);
        let ground = &mut self.ground;
        let clauses = ground.clauses(&program)?;
        let holds = ground.holds(claimed)?;
        let breaks = |verdict| broken_by(claim, verdict);
        if ground.some(&program, &clauses, holds, &breaks)? {
            return Ok(false);
        }
        let unspoken = ground.arena.not(holds)?;
        let kept_out = |value: u32| {
            let decision = outcomes.decision(value).filter(|it| it.by == clause);
            u32::from(decision.is_some_and(|it| !it.verdict.admits()))
        };
        let kept_out = ground.arena.mapped(outcomes.root, kept_out)?;
        let kept_out = ground.arena.and(kept_out, unspoken)?;
        let admits = |verdict: crate::verdict::Verdict| verdict.admits();
        if kept_out != Id::NO && ground.some(&program, &clauses, kept_out, &admits)? {
            return Ok(false);
        }
        ground.decides(&program, &clauses, Id::YES, 0, |by| by == clause)
    }

    /// A condition as a policy writes it; nothing where a part of it cannot stand on one line.
    fn told(&self, condition: &Condition) -> Option<String> {
        let joined = |parts: &[Spanned<Condition>], word: &str| {
            let parts: Option<Vec<String>> = parts
                .iter()
                .map(|part| {
                    let text = self.told(&part.value)?;
                    let is_joined = matches!(part.value, Condition::All(_) | Condition::Any(_));
                    Some(if is_joined { format!("({text})") } else { text })
                })
                .collect();
            parts.map(|parts| parts.join(word))
        };
        match condition {
            Condition::All(parts) | Condition::Any(parts) if parts.is_empty() => None,
            Condition::All(parts) => joined(parts, " and "),
            Condition::Any(parts) => joined(parts, " or "),
            Condition::Not(inner) => match &inner.value {
                Condition::Test(comparison) => Some(self.written(comparison, false)),
                Condition::All(_) | Condition::Any(_) | Condition::Not(_) => {
                    Some(format!("not ({})", self.told(&inner.value)?))
                }
            },
            Condition::Test(comparison) => Some(self.written(comparison, true)),
        }
        .filter(|text| !text.is_empty())
    }

    /// A comparison as it is written, or its opposite.
    fn written(&self, comparison: &Comparison, holds: bool) -> String {
        let text = self.sources.slice(comparison.span).trim();
        // What stands in a definition is written by the definition's own text, which a rule may
        // hold as well; what is joined in it is not one comparison.
        if text.is_empty() || text.contains('\n') {
            return String::new();
        }
        // A comparison that denies is its opposite, under a `not` of the same text. What is compared
        // with may hold anything between its quotes.
        let divided = |by: &str| {
            let (name, values) = text.split_once(by)?;
            (!name.contains(['"', '{'])).then_some((name, values))
        };
        let asserted = match divided("!=") {
            Some((name, value)) => Some(format!("{name}={value}")),
            None => divided(" not in ").map(|(name, values)| format!("{name} in {values}")),
        };
        match (holds, asserted, text.strip_prefix("not ")) {
            (true, Some(asserted), _) => asserted,
            (false, Some(_), _) | (true, None, _) => text.to_owned(),
            (false, None, Some(rest)) => rest.to_owned(),
            (false, None, None) => format!("not {text}"),
        }
    }
}

fn not(condition: Condition, span: Span) -> Condition {
    Condition::Not(Box::new(Spanned::new(condition, span)))
}

/// The comparisons of a condition, in their order.
fn comparisons<'a>(condition: &'a Condition, found: &mut Vec<&'a Comparison>) {
    match condition {
        Condition::Test(comparison) => found.push(comparison),
        Condition::Not(inner) => comparisons(&inner.value, found),
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                comparisons(&part.value, found);
            }
        }
    }
}
