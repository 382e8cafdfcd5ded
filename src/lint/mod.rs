//! What is suspicious about a policy that loads: rules that decide nothing, guards and conditions
//! that change nothing, refusals that say nothing. Each is found exactly, over all connections; what
//! is shown as an example is a connection that `gw explain` takes.
//!
//! THE TABLE of lints is `LINTS`: a row is a file here and a page in `docs/diagnostics/`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod allow;
mod catch_all;
mod condition;
mod contradiction;
mod guard;
mod redundant;
mod shadow;
mod silence;

#[cfg(test)]
mod tests;

use crate::analysis::{Budget, Ground, Guards, IMPOSSIBLE, Id, Outcomes, OverBudget};
use crate::compile::{ClauseId, Program};
use crate::decide::Decision;
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::Facts;
use crate::lang::checked::{Answer, Clause, Role};
use crate::policy::Policy;
use crate::source::Span;

/// A lint: which diagnostics it gives, and how it is found.
struct Lint {
    /// What it may give.
    codes: &'static [Code],
    find: fn(&mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget>,
}

/// Every lint, the first ones explaining what later ones need not say again.
const LINTS: &[Lint] = &[
    Lint {
        codes: &[Code::Contradiction],
        find: contradiction::find,
    },
    Lint {
        codes: &[Code::CatchAllNotLast],
        find: catch_all::find,
    },
    Lint {
        codes: &[Code::ShadowedRule, Code::CoveredRule],
        find: shadow::find,
    },
    Lint {
        codes: &[Code::RedundantRule],
        find: redundant::find,
    },
    Lint {
        codes: &[Code::IdleGuard],
        find: guard::find,
    },
    Lint {
        codes: &[Code::RedundantCondition],
        find: condition::find,
    },
    Lint {
        codes: &[Code::SilentReject],
        find: silence::find,
    },
];

/// Everything that is suspicious about a policy, in the order of its text. `nodes` is how many nodes
/// the analysis may make.
#[must_use]
pub fn lint(policy: &Policy, nodes: usize) -> Vec<Diagnostic> {
    let budget = Budget {
        nodes,
        ..Budget::default()
    };
    let found = View::new(policy, budget).and_then(|mut view| {
        let mut all = Vec::new();
        for lint in LINTS {
            let found = (lint.find)(&mut view)?;
            debug_assert!(found.iter().all(|it| lint.codes.contains(&it.code)));
            all.extend(found);
        }
        Ok(all)
    });
    let mut found = match found {
        Ok(found) => allow::apply(found, policy.sources()),
        Err(OverBudget) => vec![too_much(policy)],
    };
    found.sort_by_key(|it| it.span().map(|span| (span.source, span.start)));
    found
}

fn too_much(policy: &Policy) -> Diagnostic {
    let message = "this policy was not analysed: that takes more nodes than are allowed";
    Diagnostic::error(Code::AnalysisBudget, message)
        .label(
            policy.checked().default.span,
            "nothing is known of what leads here",
        )
        .help("allow more by `--max-nodes`, or name fewer networks and texts in one policy")
}

/// A policy with what it decides of every connection.
struct View<'a> {
    policy: &'a Policy,
    program: &'a Program,
    ground: Ground,
    outcomes: Outcomes,
    /// Rules that are told to decide nothing already.
    told: Vec<ClauseId>,
}

impl<'a> View<'a> {
    fn new(policy: &'a Policy, budget: Budget) -> Result<Self, OverBudget> {
        let program = policy.program();
        let mut ground = Ground::new(&[program], &[], budget)?;
        let outcomes = ground.outcomes(program)?;
        Ok(View {
            policy,
            program,
            ground,
            outcomes,
            told: Vec::new(),
        })
    }

    /// The rules that stand in the policy's own file, with their places among all rules. What a
    /// policy extends is shadowed on purpose.
    fn own_rules(&self) -> Vec<(usize, ClauseId, &'a Clause)> {
        let rules = self.own(&self.policy.checked().rules, self.program.guards.len());
        rules.filter(|it| it.2.role == Role::Rule).collect()
    }

    /// The guards that stand there, with their places.
    fn own_guards(&self) -> Vec<(usize, ClauseId, &'a Clause)> {
        self.own(&self.policy.checked().guards, 0).collect()
    }

    fn own(
        &self,
        clauses: &'a [Clause],
        before: usize,
    ) -> impl Iterator<Item = (usize, ClauseId, &'a Clause)> {
        let main = self.policy.sources().iter().next().map(|(id, _)| id);
        let clauses = clauses.iter().enumerate();
        clauses
            .filter(move |(_, clause)| Some(clause.span.source) == main)
            .filter_map(move |(at, clause)| {
                Some((at, ClauseId(u32::try_from(before + at).ok()?), clause))
            })
    }

    /// Which connections a clause's condition holds for.
    fn holding(&mut self, id: ClauseId) -> Result<Id, OverBudget> {
        let condition = self.outcomes.conditions.get(id.0 as usize);
        let condition = condition.copied().unwrap_or(Id::YES);
        self.ground.arena.and(condition, self.ground.assumed)
    }

    /// The terms of a clause: where each is written, and when it holds.
    fn terms(&mut self, id: ClauseId) -> Result<Vec<(Span, Id)>, OverBudget> {
        let block = self.program.blocks().nth(id.0 as usize);
        block.map_or_else(
            || Ok(Vec::new()),
            |block| self.ground.terms(self.program, block),
        )
    }

    /// Which connections a rule is the first to hold for.
    fn first(&mut self, id: ClauseId) -> Result<Id, OverBudget> {
        let first = self.outcomes.first;
        let is_it = self
            .ground
            .arena
            .mapped(first, |rule| u32::from(rule == id.0))?;
        self.ground.arena.and(is_it, self.ground.assumed)
    }

    /// What other guards and rules decide in a region, and where that is another verdict than the
    /// policy's.
    fn otherwise(
        &mut self,
        guards: &Guards,
        rules: Id,
        region: Id,
    ) -> Result<Otherwise, OverBudget> {
        let ground = &mut self.ground;
        let (root, decisions) = ground.decided(self.program, guards, rules, region)?;
        let own = ground
            .arena
            .within(region, self.outcomes.root, IMPOSSIBLE)?;
        let known = (own, self.outcomes.decisions.as_slice());
        let differs = ground.differing((root, &decisions), known)?;
        Ok(Otherwise {
            root,
            decisions,
            own,
            differs,
        })
    }

    fn clause(&self, id: u32) -> &'a Clause {
        self.policy.clause(ClauseId(id))
    }

    fn name(&self, id: u32) -> String {
        match &self.clause(id).label {
            Some(label) => format!("[{label}]"),
            None => self.policy.label(ClauseId(id)),
        }
    }

    fn answer(&self, id: u32) -> Answer {
        self.clause(id).answer
    }

    /// The command that shows a connection.
    fn see(&self, facts: &Facts) -> String {
        let policy = self.policy.name();
        let facts = self.ground.told(facts);
        format!("see it: gw explain --policy {policy}{facts}")
    }

    /// A connection of a region.
    fn example(&self, region: Id) -> Option<String> {
        let facts = self.ground.witness(region, |value| value == 1)?;
        Some(self.see(&facts))
    }
}

/// What is decided in a region if something were otherwise.
struct Otherwise {
    /// Leads to the place of a decision and one more.
    root: Id,
    decisions: Vec<Decision>,
    /// What the policy decides there.
    own: Id,
    /// Where the verdicts are not the same.
    differs: Id,
}

/// The verdict that an answer is written as.
fn verdict(answer: Answer) -> String {
    match answer {
        Answer::Reject(reason) => format!("reject({})", reason.name()),
        Answer::RejectAsFound => "reject(as-found)".to_owned(),
        Answer::RequirePairing(_) => "require-pairing".to_owned(),
        Answer::Approve(_) => "approve".to_owned(),
        Answer::SilentApprove(_) => "silent-approve".to_owned(),
        Answer::Cap(_) => "cap".to_owned(),
    }
}

/// A share in hundredths, as people write it.
fn share(part: f64, whole: f64) -> String {
    let hundredths = (100.0 * part / whole).round();
    match hundredths {
        it if it >= 100.0 => "all".to_owned(),
        it if it < 1.0 => "less than 1 %".to_owned(),
        it => format!("{it} %"),
    }
}
