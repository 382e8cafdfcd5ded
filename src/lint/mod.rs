//! What is suspicious about a policy that loads: rules that decide nothing, guards and conditions
//! that change nothing, refusals that say nothing, rules that let in those who should not come in,
//! names and values that nothing needs. What is decided is found exactly, over all connections; what
//! is shown as an example is a connection that `gw explain` takes. Edits that would do away with a
//! finding come with it (`wording`); making them is not here.
//!
//! THE TABLE of lints is `LINTS`: a row is a file here and a page in `docs/diagnostics/`.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod allow;
mod catch_all;
mod condition;
mod contradiction;
mod dead_end;
mod guard;
mod knot;
mod name;
mod overlap;
mod redundant;
mod shadow;
mod silence;
mod trust;
mod wording;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::analysis::{
    Analysed, Budget, Clauses, ELSEWHERE, Ground, Id, Outcomes, OverBudget, Way,
};
use crate::compile::{ClauseId, Program};
use crate::diagnostic::{Code, Diagnostic, Effect};
use crate::facts::Facts;
use crate::lang::checked::{Answer, Clause, Role};
use crate::policy::Policy;
use crate::source::{Span, shell_file};
use wording::Wording;

/// A lint: which diagnostics it gives, and how it is found.
struct Lint {
    /// What it may give.
    codes: &'static [Code],
    find: fn(&mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget>,
    /// Whether it is looked for only when that is asked for: it takes longer than the others together.
    is_asked_for: bool,
}

/// Every lint, the first ones explaining what later ones need not say again.
const LINTS: &[Lint] = &[
    Lint {
        codes: &[Code::Contradiction],
        find: contradiction::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::CatchAllNotLast],
        find: catch_all::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::ShadowedRule, Code::CoveredRule],
        find: shadow::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::RedundantRule],
        find: redundant::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::IdleGuard],
        find: guard::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::RedundantCondition],
        find: condition::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::SilentReject],
        find: silence::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::TrustOnClaims],
        find: trust::claims::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::OpenDoor],
        find: trust::door::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::OpaqueOrigin],
        find: trust::opaque::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::BrowserCanReach],
        find: trust::page::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::Rebinding],
        find: trust::rebinding::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::ProxiedLoopback],
        find: trust::proxy::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::UnverifiedAdmin],
        find: trust::admin::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::SetOverlap],
        find: overlap::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::NegationKnot],
        find: knot::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::UnusedName],
        find: name::find,
        is_asked_for: false,
    },
    Lint {
        codes: &[Code::DeadEnd],
        find: dead_end::find,
        is_asked_for: true,
    },
];

/// What is looked for, and how much that may take.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// How many nodes the analysis may make.
    pub nodes: usize,
    /// Whether dead ends are looked for.
    pub dead_ends: bool,
}

impl Search {
    /// Everything that is looked for without being asked for.
    #[must_use]
    pub fn usual(nodes: usize) -> Self {
        Search {
            nodes,
            dead_ends: false,
        }
    }

    fn looks_for(self, lint: &Lint) -> bool {
        self.dead_ends || !lint.is_asked_for
    }
}

/// Everything that is suspicious about a policy, in the order of its text.
#[must_use]
pub fn lint(policy: &Policy, search: Search) -> Vec<Diagnostic> {
    lint_analysed(policy, None, search)
}

/// The same of a policy that was looked at already.
pub(crate) fn lint_analysed(
    policy: &Policy,
    analysed: Option<Analysed>,
    search: Search,
) -> Vec<Diagnostic> {
    let nodes = search.nodes;
    let budget = Budget::of(nodes);
    let analysed = match analysed {
        Some(mut analysed) => {
            analysed.ground.arena.allow(budget);
            Ok(analysed)
        }
        None => Analysed::new(policy.program(), budget),
    };
    let view = analysed.and_then(|analysed| View::new(policy, analysed, nodes));
    let mut looked = search;
    let found = view.and_then(|mut view| {
        let mut all = Vec::new();
        for lint in LINTS.iter().filter(|lint| search.looks_for(lint)) {
            let found = match (lint.find)(&mut view) {
                // What is found without them stays found.
                Err(OverBudget) if lint.is_asked_for => {
                    looked.dead_ends = false;
                    continue;
                }
                found => found?,
            };
            debug_assert!(found.iter().all(|it| lint.codes.contains(&it.code)));
            all.extend(found);
        }
        Ok(all)
    });
    let mut found = match found {
        Ok(found) => allow::apply(found, policy, looked),
        Err(OverBudget) => vec![too_much(policy, "this policy was not analysed")],
    };
    if search.dead_ends && !looked.dead_ends {
        found.push(too_much(policy, "no dead ends were looked for"));
    }
    found.sort_by_key(|it| it.span().map(|span| (span.source, span.start)));
    found
}

fn too_much(policy: &Policy, what: &str) -> Diagnostic {
    let message = format!("{what}: that takes more nodes than are allowed");
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
    clauses: Clauses,
    /// Rules that something was told of already which explains the rest.
    told: Vec<ClauseId>,
    /// Rules that were told of for whom they let in.
    told_for_whom: Vec<ClauseId>,
    /// Which connections a rule is the first to hold for, where that was asked.
    firsts: FxHashMap<ClauseId, Id>,
    /// Whether a rule is redundant, where that was asked.
    redundant: FxHashMap<ClauseId, bool>,
    /// By which clauses some connections come in, where that was asked.
    admitting: FxHashMap<Id, BTreeSet<ClauseId>>,
    /// The policy's own text.
    wording: Wording<'a>,
    nodes: usize,
}

impl<'a> View<'a> {
    fn new(policy: &'a Policy, analysed: Analysed, nodes: usize) -> Result<Self, OverBudget> {
        let program = policy.program();
        let Analysed { ground, clauses } = analysed;
        // A policy has a text, or it would not be one.
        let wording = Wording::of(policy).ok_or(OverBudget)?;
        Ok(View {
            policy,
            program,
            ground,
            clauses,
            told: Vec::new(),
            told_for_whom: Vec::new(),
            firsts: FxHashMap::default(),
            redundant: FxHashMap::default(),
            admitting: FxHashMap::default(),
            wording,
            nodes,
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
        let condition = self.clauses.condition(id);
        self.ground.arena.and(condition, self.ground.assumed)
    }

    /// The terms of a clause: where each is written, and when it holds.
    fn terms(&mut self, id: ClauseId) -> Result<Vec<(Span, Id)>, OverBudget> {
        let block = self.program.block(id);
        self.ground.terms(self.program, &self.clauses, block)
    }

    /// In a region, where the first rule to hold is one that is looked for, by its place.
    fn first_in(&mut self, region: Id, is_it: impl Fn(u32) -> bool) -> Result<Id, OverBudget> {
        let first = self.ground.first(self.clauses.way, region)?;
        let is_it = |rule: u32| u32::from(rule != ELSEWHERE && is_it(rule));
        self.ground.arena.mapped(first, is_it)
    }

    /// Which connections, of those that can be and others, a rule is the first to hold for.
    fn first(&mut self, id: ClauseId) -> Result<Id, OverBudget> {
        if let Some(known) = self.firsts.get(&id) {
            return Ok(*known);
        }
        let condition = self.clauses.condition(id);
        let first = self.first_in(condition, |rule| rule == id.0)?;
        self.firsts.insert(id, first);
        Ok(first)
    }

    /// Whether some connection of a region, of those that the rules before one leave, gets other
    /// verdicts in two ways.
    fn differs(&mut self, ways: [Way; 2], region: Id, from: u32) -> Result<bool, OverBudget> {
        self.ground
            .differs(self.program, &self.clauses, ways, region, from)
    }

    /// Whether a rule decides for some connection of a region, of those that the rules before one
    /// leave, and not a guard.
    fn decides_some(&mut self, region: Id, from: u32) -> Result<bool, OverBudget> {
        let guards = self.program.guards.len();
        let is_rule = move |by: ClauseId| by.0 as usize >= guards;
        self.ground
            .decides(self.program, &self.clauses, region, from, is_rule)
    }

    /// What other guards and rules decide in a region, and where that is another verdict than the
    /// policy's.
    fn otherwise(&mut self, other: Way, region: Id) -> Result<Otherwise, OverBudget> {
        let ground = &mut self.ground;
        let region = ground.arena.and(region, ground.assumed)?;
        let (program, clauses) = (self.program, &self.clauses);
        let own = ground.decided(program, clauses, clauses.way, region)?;
        let other = ground.decided(program, clauses, other, region)?;
        let differs = ground.differing(&own, &other)?;
        Ok(Otherwise { other, differs })
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

    /// Adds the edit that deletes a clause which changes nothing.
    fn deleted(&self, found: Diagnostic, id: ClauseId) -> Diagnostic {
        let edits = self.wording.without_statement(self.clause(id.0).span);
        found.fix(Effect::Keeps, format!("delete {}", self.name(id.0)), edits)
    }

    fn answer(&self, id: u32) -> Answer {
        self.clause(id).answer
    }

    /// The command that shows a connection.
    fn see(&self, facts: &Facts) -> String {
        let policy = shell_file(self.policy.name());
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
    other: Outcomes,
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
