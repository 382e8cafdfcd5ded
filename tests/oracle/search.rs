//! What is so of a policy, found by deciding every connection of a small world with each clause and
//! each condition there and away. It is slow, and knows of no diagram.

use gw::compile::{ClauseId, compile};
use gw::decide::{Decision, decide};
use gw::diagnostic::Code;
use gw::facts::{Facts, Stage};
use gw::lang::checked::{Answer, Checked, Clause, Condition, Role};
use gw::verdict::{Reason, Verdict};

/// What a finding is about: a clause, guards first, and one of its conditions where it is about one.
pub(crate) type Place = (usize, Option<usize>);

/// What is decided of everybody.
pub(crate) fn decisions(checked: &Checked, world: &[Facts]) -> Vec<Decision> {
    let program = compile(checked);
    world.iter().map(|facts| decide(&program, facts)).collect()
}

fn verdicts(checked: &Checked, world: &[Facts]) -> Vec<Verdict> {
    let all = decisions(checked, world).into_iter();
    all.map(|decision| decision.verdict).collect()
}

/// Whom a condition holds for.
pub(crate) fn holding(condition: &Condition, checked: &Checked, world: &[Facts]) -> Vec<bool> {
    let mut only = Checked {
        guards: Vec::new(),
        rules: vec![checked.default.clone()],
        ..checked.clone()
    };
    only.rules[0].role = Role::Rule;
    only.rules[0].answer = Answer::Reject(Reason::NotPermitted);
    only.rules[0].condition.value = condition.clone();
    let all = decisions(&only, world).into_iter();
    all.map(|decision| decision.rule == ClauseId(0)).collect()
}

fn none(of: &[bool]) -> bool {
    of.iter().all(|it| !it)
}

/// The conditions of a clause that are joined by `and`.
pub(crate) fn terms(clause: &Clause) -> Vec<gw::source::Spanned<Condition>> {
    match &clause.condition.value {
        Condition::All(parts) => parts.clone(),
        Condition::Any(_) | Condition::Not(_) | Condition::Test(_) => {
            vec![clause.condition.clone()]
        }
    }
}

/// Everything that there is to find of clauses that change nothing.
pub(crate) fn findings(checked: &Checked, world: &[Facts]) -> Vec<(Place, Code)> {
    let guards = checked.guards.len();
    let all = decisions(checked, world);
    let own = verdicts(checked, world);
    let clauses: Vec<&Clause> = checked.guards.iter().chain(&checked.rules).collect();
    let holds: Vec<Vec<bool>> = clauses
        .iter()
        .map(|clause| holding(&clause.condition.value, checked, world))
        .collect();
    let mut found: Vec<(Place, Code)> = Vec::new();
    // What explains the rest is told first.
    let mut told: Vec<usize> = Vec::new();
    for (clause, holds) in holds.iter().enumerate() {
        if none(holds) {
            found.push(((clause, None), Code::Contradiction));
            told.push(clause);
        }
    }
    let for_all = |clause: &usize| holds[*clause].iter().all(|it| *it);
    if let Some(clause) = (guards..clauses.len()).find(for_all) {
        found.push(((clause, None), Code::CatchAllNotLast));
        told.extend(clause + 1..clauses.len());
    }
    for rule in guards..clauses.len() {
        let first_for = |at: usize| all[at].rule.0 as usize;
        if told.contains(&rule) || (0..world.len()).any(|at| first_for(at) == rule) {
            continue;
        }
        told.push(rule);
        let taken = (0..world.len()).filter(|at| holds[rule][*at]);
        let mut takers = taken.map(|at| clauses[first_for(at)]);
        let is_alike = takers.all(|taker| taker.answer == clauses[rule].answer);
        let code = match is_alike {
            true => Code::CoveredRule,
            false => Code::ShadowedRule,
        };
        found.push(((rule, None), code));
    }
    let mut redundant = Vec::new();
    for rule in guards..clauses.len() {
        let mut without = checked.clone();
        without.rules.remove(rule - guards);
        if verdicts(&without, world) != own {
            continue;
        }
        redundant.push(rule);
        let decided = decisions(&without, world);
        let taken = (0..world.len()).filter(|at| all[*at].rule.0 as usize == rule);
        let mut takers = taken.map(|at| {
            let taker = decided[at].rule.0 as usize;
            // Those behind it moved up by one.
            taker + usize::from(taker >= rule)
        });
        if !told.contains(&rule) && !takers.any(|taker| told.contains(&taker)) {
            found.push(((rule, None), Code::RedundantRule));
            told.push(rule);
        }
    }
    for (guard, clause) in clauses.iter().enumerate().take(guards) {
        let mut without = checked.clone();
        without.guards.remove(guard);
        let is_at_connect = clause.role == Role::Guard(Stage::Connect);
        if is_at_connect && !told.contains(&guard) && verdicts(&without, world) == own {
            found.push(((guard, None), Code::IdleGuard));
            told.push(guard);
        }
    }
    for rule in guards..clauses.len() {
        if told.contains(&rule) || redundant.contains(&rule) {
            continue;
        }
        let terms = terms(clauses[rule]);
        for term in 0..terms.len() {
            let mut others = terms.clone();
            others.remove(term);
            let mut without = checked.clone();
            without.rules[rule - guards].condition.value = Condition::All(others);
            if verdicts(&without, world) != own {
                continue;
            }
            let kept_in = holding(
                &without.rules[rule - guards].condition.value,
                checked,
                world,
            );
            let kept_out = |at: &usize| kept_in[*at] && !holds[rule][*at];
            let kept_out: Vec<usize> = (0..world.len()).filter(kept_out).collect();
            // Whom a rule before it takes, and whom a guard refuses anyhow, may be kept out twice.
            let decided = decisions(&without, world);
            let takes = |at: &usize| decided[*at].rule.0 as usize == rule;
            let by_rules = |at: &usize| all[*at].by.0 as usize >= guards;
            if kept_out.is_empty() || kept_out.iter().any(|at| takes(at) && by_rules(at)) {
                found.push(((rule, Some(term)), Code::RedundantCondition));
            }
        }
    }
    found.sort();
    found
}
