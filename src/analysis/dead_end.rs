//! Dead ends: connections that are refused, and are not let in by doing what they are told.
//!
//! A connection is on a way if it is admitted, or kept out by design, or if it is refused and a step
//! that its answer names ([`crate::verdict::change`]) makes one of it that is on a way. Whoever can be
//! and is on none is at a dead end. So is the owner where the tools that approve others are refused
//! themselves.

use super::attacker::Said;
use super::clauses::Clauses;
use super::diagram::{Budget, ClassId, Id, OverBudget, Var};
use super::ground::Ground;
use super::names::Names;
use super::outcome::{IMPOSSIBLE, Outcomes};
use crate::compile::{ClauseId, Lone, Program, lone};
use crate::decide::{Decision, decide};
use crate::facts::assumptions::broken;
use crate::facts::{AttributeId, Facts, Scope};
use crate::lang::check::Vocabulary;
use crate::verdict::change::{APPROVED, Change};
use crate::verdict::{Grant, Reason, ScopeBound, Verdict};

/// What is so of the refusals of a policy.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    /// Every clause that refuses, with each answer that it gives, in the order of the policy.
    pub(crate) refusals: Vec<Refusal>,
    /// Of whom a clause sends nowhere, who that is, where others with the same answers get on.
    pub(crate) lost: Vec<Lost>,
    /// Those of the owner's own connections that nobody could let in.
    pub(crate) owner: Vec<LockedOut>,
}

/// Some of those whom a clause refuses with answers that lead nowhere for some.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    pub(crate) by: ClauseId,
    /// Who they are among them, any of these; nothing where that takes too much to find.
    pub(crate) conditions: Vec<String>,
    /// Whether there are more.
    pub(crate) is_cut: bool,
}

/// How many conditions tell who is at a dead end.
const MOST_CONDITIONS: usize = 4;

/// An answer that a clause gives to some connections.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) by: ClauseId,
    pub(crate) verdict: Verdict,
    pub(crate) way: Way,
    /// A connection that gets it: where some of them are at a dead end, one of those.
    pub(crate) shown: Shown,
}

/// Where a refusal leads.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// What each connection is told ends with an admission, or with an answer that is meant to be the
    /// last one: here the steps of the one that is shown, with what is decided after each. None where
    /// this answer is meant to be the last one.
    Ends(Vec<(Change, Decision)>),
    /// What it is told leads nowhere: what the one that is shown is told first, and so on, until an
    /// answer comes again or a step cannot be taken.
    DeadEnd(Vec<Tried>),
}

/// A step that somebody at a dead end is told to take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    pub(crate) change: Change,
    pub(crate) then: Then,
}

/// What comes of such a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// This is decided, which was not decided before on the way.
    Decided(Decision),
    /// This is decided, as before.
    Again(Decision),
    /// No connection can be so: the sentence that says why.
    CannotBe(&'static str),
    /// The owner has to approve, who is the one that was refused.
    NoOwner,
}

/// A connection that shows something.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) facts: Facts,
    /// What has to be said so that the others follow.
    pub(crate) named: Vec<AttributeId>,
}

/// A state that the owner's own device can be in, in which the owner cannot approve anything.
#[derive(Clone, Debug)]
pub(crate) struct LockedOut {
    /// Which state, in words.
    pub(crate) state: &'static str,
    /// The report that it is known by.
    pub(crate) report: Option<&'static str>,
    pub(crate) decision: Decision,
    /// What the owner is told to do, and what comes of that.
    pub(crate) tried: Vec<Tried>,
    pub(crate) shown: Shown,
}

/// The connections by which an owner approves others: the command line on the gateway's own host, with
/// what that host can know.
const OWNER: &str = "client=cli and mode=cli and role=operator and scopes includes operator.pairing \
     and not unknown-scope and not outside-role and no-origin and not forwarded and not proxy-trace \
     and ingress=direct and peer-uid in { same-user, unknown } and (transport=unix or loopback) \
     and auth in { none, open, token, password }";

/// A state that the owner's device can be in.
struct State {
    /// Whom it is about.
    owner: &'static str,
    condition: &'static str,
    /// The report that it is known by.
    report: Option<&'static str>,
}

const STATES: &[State] = &[
    State {
        owner: "whose command line is new",
        condition: "pairing in { none, unpaired } and pending=none",
        report: None,
    },
    State {
        owner: "whose command line was paired for less than approving takes",
        condition: "pairing=upgrade and scope-upgrade and not role-upgrade and not metadata-upgrade \
                    and pending=none",
        report: Some("#69397"),
    },
];

/// How every refusal of a policy leads on; with the names that the policy has for things, who is at
/// a dead end is told, too.
pub(crate) fn ways(
    program: &Program,
    vocabulary: Option<&Vocabulary>,
    nodes: usize,
) -> Result<Ways, OverBudget> {
    let names = vocabulary.map(|vocabulary| Names::new(&[(program, vocabulary)]));
    let conditions = std::iter::once(OWNER).chain(STATES.iter().map(|it| it.condition));
    let beside: Vec<Lone> = conditions
        .map(|text| lone(&Said::own(text).condition))
        .collect();
    let named = names.iter().flat_map(Names::beside);
    let asked: Vec<Lone> = beside.iter().cloned().chain(named).collect();
    let budget = Budget::of(nodes);
    let mut ground = Ground::new(&[program], &asked, budget)?;
    let clauses = ground.clauses(program)?;
    let outcomes = ground.decided(program, &clauses, clauses.way, ground.assumed)?;
    let mut search = Search {
        program,
        outcomes: &outcomes,
        ground: &mut ground,
        inside: Id::NO,
        good: Id::NO,
    };
    search.spread()?;
    let refusals = search.refusals()?;
    let owner = search.owner(&clauses, &beside)?;
    let lost = match names {
        Some(names) => search.lost(&refusals, &names)?,
        None => Vec::new(),
    };
    Ok(Ways {
        refusals,
        lost,
        owner,
    })
}

/// What a refusal tells the client or the owner to do.
fn steps(verdict: Verdict) -> &'static [Change] {
    match verdict {
        Verdict::Reject(reason) => reason.changes(),
        Verdict::RequirePairing(_) => &[APPROVED],
        Verdict::Approve(_) | Verdict::SilentApprove(_) => &[],
    }
}

/// Whether nothing is meant to change an answer.
pub(crate) fn is_by_design(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Reject(reason) if reason.changes().is_empty())
}

struct Search<'a> {
    program: &'a Program,
    outcomes: &'a Outcomes,
    ground: &'a mut Ground,
    /// Who is on a way that ends with an admission.
    inside: Id,
    /// Who is on any way.
    good: Id,
}

impl Then {
    /// In words, where a clause is called by a name of the caller's.
    pub(crate) fn told(self, name: impl Fn(ClauseId) -> String) -> String {
        match self {
            Then::Decided(decision) => format!("{} by {}", decision.verdict, name(decision.by)),
            Then::Again(decision) => {
                format!("{} by {} again", decision.verdict, name(decision.by))
            }
            Then::CannotBe(says) => format!("that cannot be here: {says}"),
            Then::NoOwner => "nobody is left who can: this is the owner".to_owned(),
        }
    }
}

impl Search<'_> {
    /// Finds all who are on a way.
    fn spread(&mut self) -> Result<(), OverBudget> {
        let pairing = self.where_decided(|it| matches!(it, Verdict::RequirePairing(_)))?;
        let mut refused: Vec<(Id, &[Change])> = vec![(pairing, &[APPROVED])];
        for reason in Reason::ALL {
            let told = self.where_decided(|verdict| verdict == Verdict::Reject(*reason))?;
            refused.push((told, reason.changes()));
        }
        refused.retain(|(told, _)| *told != Id::NO);
        let admitted = self.where_decided(|verdict| verdict.kind().admits())?;
        let meant = self.where_decided(is_by_design)?;
        self.inside = self.leading_to(admitted, &refused)?;
        let ends = self.ground.arena.or(admitted, meant)?;
        self.good = self.leading_to(ends, &refused)?;
        Ok(())
    }

    /// All of whom the steps of what they are told make some who are looked for.
    fn leading_to(&mut self, ends: Id, refused: &[(Id, &[Change])]) -> Result<Id, OverBudget> {
        let mut good = ends;
        loop {
            let before = good;
            for (told, changes) in refused {
                for change in *changes {
                    let leads = self.leading(change, good)?;
                    let helped = self.ground.arena.and(*told, leads)?;
                    good = self.ground.arena.or(good, helped)?;
                }
            }
            if good == before {
                return Ok(good);
            }
        }
    }

    /// Of whom a change makes somebody who is looked for.
    fn leading(&mut self, change: &Change, good: Id) -> Result<Id, OverBudget> {
        let mut facts = Facts::default();
        (change.apply)(&mut facts);
        let space = &self.ground.space;
        let about = change.about.iter();
        let about = about.filter_map(|name| AttributeId::named(name));
        let vars = about.flat_map(|id| [Some(space.var(id)), space.fine(id)]);
        let fixed: Vec<(Var, ClassId)> = vars
            .flatten()
            .map(|var| (var, space.class(var, &facts)))
            .collect();
        self.ground.fixed(good, &fixed)
    }

    /// Who gets a verdict that is looked for.
    fn where_decided(&mut self, is_it: impl Fn(Verdict) -> bool) -> Result<Id, OverBudget> {
        let outcomes = self.outcomes;
        let is_it = |value: u32| {
            let decision = outcomes.decision(value);
            u32::from(decision.is_some_and(|decision| is_it(decision.verdict)))
        };
        self.ground.arena.mapped(outcomes.root, is_it)
    }

    /// What each clause that refuses does, and where that leads.
    fn refusals(&mut self) -> Result<Vec<Refusal>, OverBudget> {
        let mut told: Vec<(ClauseId, Verdict)> = Vec::new();
        for value in self.ground.arena.values(self.outcomes.root) {
            let Some(decision) = self.outcomes.decision(value) else {
                continue;
            };
            let one = (decision.by, decision.verdict);
            if !decision.verdict.kind().admits() && !told.contains(&one) {
                told.push(one);
            }
        }
        told.sort_by_key(|(by, verdict)| (*by, verdict.to_string()));
        let lost = self.ground.arena.not(self.good)?;
        let mut refusals = Vec::new();
        for (by, verdict) in told {
            let outcomes = self.outcomes;
            let is_it = |value: u32| {
                let decision = outcomes.decision(value);
                u32::from(decision.is_some_and(|it| (it.by, it.verdict) == (by, verdict)))
            };
            let all = self.ground.arena.mapped(outcomes.root, is_it)?;
            let ends = self.ground.arena.and(all, lost)?;
            let inside = self.ground.arena.and(all, self.inside)?;
            let shown = [ends, inside].into_iter().find(|some| *some != Id::NO);
            let shown = shown.unwrap_or(all);
            let Some(facts) = self.ground.witness(shown, |value| value == 1) else {
                continue;
            };
            let way = match ends == Id::NO {
                true => Way::Ends(self.played(&facts)),
                false => Way::DeadEnd(self.tried(&facts, false)),
            };
            refusals.push(Refusal {
                by,
                verdict,
                way,
                shown: self.shown(facts),
            });
        }
        Ok(refusals)
    }

    /// Who is at a dead end, of those whom a clause gives an answer that leads nowhere for some.
    fn lost(&mut self, refusals: &[Refusal], names: &Names) -> Result<Vec<Lost>, OverBudget> {
        let stuck = self.ground.arena.not(self.good)?;
        let mut found = Vec::new();
        for clause in refusals.chunk_by(|one, other| one.by == other.by) {
            let lost = clause.iter().filter(|it| matches!(it.way, Way::DeadEnd(_)));
            let answers: Vec<Verdict> = lost.map(|it| it.verdict).collect();
            let Some(by) = clause.first().map(|it| it.by) else {
                continue;
            };
            let outcomes = self.outcomes;
            let is_it = |value: u32| {
                let decision = outcomes.decision(value);
                let is_it = decision.is_some_and(|it| it.by == by && answers.contains(&it.verdict));
                u32::from(is_it)
            };
            let all = self.ground.arena.mapped(outcomes.root, is_it)?;
            let held = self.ground.arena.and(all, stuck)?;
            if held == all {
                continue;
            }
            // That the clause decides goes without saying.
            let assumed = std::mem::replace(&mut self.ground.assumed, all);
            let told = self.ground.regions(held, names, MOST_CONDITIONS);
            self.ground.assumed = assumed;
            let (conditions, is_cut) = match told {
                Ok(regions) => {
                    let texts = regions.all.into_iter().map(|region| region.text);
                    (texts.collect(), regions.is_cut)
                }
                Err(OverBudget) => (Vec::new(), true),
            };
            found.push(Lost {
                by,
                conditions,
                is_cut,
            });
        }
        Ok(found)
    }

    /// The steps of a connection's way, in where there is one that leads in, each tried out by
    /// deciding.
    fn played(&self, facts: &Facts) -> Vec<(Change, Decision)> {
        let mut found = Vec::new();
        let way = match self.is_in(self.inside, facts) {
            true => self.inside,
            false => self.good,
        };
        self.play(way, facts, &mut found, Reason::ALL.len());
        found
    }

    fn play(
        &self,
        way: Id,
        facts: &Facts,
        found: &mut Vec<(Change, Decision)>,
        most: usize,
    ) -> bool {
        let verdict = decide(self.program, facts).verdict;
        if verdict.kind().admits() || is_by_design(verdict) {
            return true;
        }
        let Some(most) = most.checked_sub(1) else {
            return false;
        };
        for change in steps(verdict) {
            let mut changed = facts.clone();
            (change.apply)(&mut changed);
            if self.is_in(way, &changed) {
                found.push((*change, decide(self.program, &changed)));
                if self.play(way, &changed, found, most) {
                    return true;
                }
                found.pop();
            }
        }
        false
    }

    /// What somebody is told to do, step by step, each tried out by deciding; of several steps the
    /// first that can be taken. No owner approves what the owner's own connection asks for.
    fn tried(&self, facts: &Facts, is_owner: bool) -> Vec<Tried> {
        let mut facts = facts.clone();
        let mut seen: Vec<Decision> = Vec::new();
        let mut all: Vec<Tried> = Vec::new();
        loop {
            let decision = decide(self.program, &facts);
            let known = |it: &Decision| (it.by, it.verdict) == (decision.by, decision.verdict);
            let is_known = seen.iter().any(known);
            if let Some(last) = all.last_mut() {
                last.then = match is_known {
                    true => Then::Again(decision),
                    false => Then::Decided(decision),
                };
            }
            seen.push(decision);
            let all_steps = steps(decision.verdict);
            let apply = |change: &Change| {
                let mut changed = facts.clone();
                (change.apply)(&mut changed);
                changed
            };
            let can_be = |change: &&Change| broken(&apply(change)).next().is_none();
            let next = all_steps.iter().find(can_be).or(all_steps.first());
            let Some(change) = next.filter(|_| !is_known) else {
                return all;
            };
            let is_nobodys = is_owner && change.done == APPROVED.done;
            let then = match broken(&apply(change)).next() {
                _ if is_nobodys => Some(Then::NoOwner),
                Some(assumption) => Some(Then::CannotBe(assumption.says)),
                None => None,
            };
            all.push(Tried {
                change: *change,
                then: then.unwrap_or(Then::Again(decision)),
            });
            if then.is_some() {
                return all;
            }
            facts = apply(change);
        }
    }

    fn is_in(&self, some: Id, facts: &Facts) -> bool {
        let class = |var| self.ground.space.class(var, facts);
        self.ground.arena.value(some, class) == 1
    }

    /// The states of the owner's device in which no connection of the owner's may approve.
    fn owner(&mut self, clauses: &Clauses, beside: &[Lone]) -> Result<Vec<LockedOut>, OverBudget> {
        let mut found = Vec::new();
        let Some((owner, states)) = beside.split_first() else {
            return Ok(found);
        };
        let owner = self.ground.holds(owner)?;
        for (lone, state) in states.iter().zip(STATES) {
            let holds = self.ground.holds(lone)?;
            let region = self.ground.arena.and(owner, holds)?;
            let may = |verdict: Verdict| verdict.grant().is_some_and(may_approve);
            if self.ground.some(self.program, clauses, region, &may)? {
                continue;
            }
            // Shown is the one that gets furthest.
            let outcomes = self.outcomes;
            let decided = self
                .ground
                .arena
                .within(region, outcomes.root, IMPOSSIBLE)?;
            let kind = |value: u32| outcomes.decision(value).map(|it| it.verdict.kind());
            let best = self
                .ground
                .arena
                .values(decided)
                .into_iter()
                .filter_map(kind)
                .max();
            let is_best = |value: u32| kind(value).is_some() && kind(value) == best;
            let Some(facts) = self.ground.witness(decided, is_best) else {
                continue;
            };
            found.push(LockedOut {
                state: state.owner,
                report: state.report,
                decision: decide(self.program, &facts),
                tried: self.tried(&facts, true),
                shown: self.shown(facts),
            });
        }
        Ok(found)
    }

    fn shown(&self, facts: Facts) -> Shown {
        Shown {
            named: self.ground.named(&facts),
            facts,
        }
    }
}

/// Whether a session gets the scope that approving takes, where it asks for it.
fn may_approve(grant: Grant) -> bool {
    let bound = match grant.scopes {
        ScopeBound::Requested => true,
        ScopeBound::Within(set) => set.contains(Scope::Pairing),
        ScopeBound::None | ScopeBound::Approved => false,
    };
    bound && grant.cap.contains(Scope::Pairing)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::compile::compile;
    use crate::decide::tests::{facts, policy};

    /// Whether following what the answers say ends with one that is looked for, found by trying all
    /// of it.
    fn ends(
        program: &Program,
        facts: &Facts,
        is_end: fn(Verdict) -> bool,
        tried: &mut Vec<Facts>,
    ) -> bool {
        let verdict = decide(program, facts).verdict;
        if is_end(verdict) {
            return true;
        }
        tried.push(facts.clone());
        steps(verdict).iter().any(|change| {
            let mut changed = facts.clone();
            (change.apply)(&mut changed);
            let is_new = broken(&changed).next().is_none() && !tried.contains(&changed);
            is_new && ends(program, &changed, is_end, tried)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 24,
            rng_seed: RngSeed::Fixed(9),
            max_shrink_iters: 100,
            ..ProptestConfig::default()
        })]

        #[test]
        fn who_is_on_a_way_gets_to_its_end_by_what_the_answers_say(
            checked in policy(),
            all in proptest::collection::vec(facts(), 1..200),
        ) {
            let program = compile(&checked);
            let small = Budget { nodes: 60_000, steps: 600_000 };
            let too_large = |_| TestCaseError::reject("too large");
            let mut ground = Ground::new(&[&program], &[], small).map_err(too_large)?;
            let outcomes = ground.outcomes(&program).map_err(too_large)?;
            let mut search = Search {
                program: &program,
                outcomes: &outcomes,
                ground: &mut ground,
                inside: Id::NO,
                good: Id::NO,
            };
            search.spread().map_err(too_large)?;
            let admits = |verdict: Verdict| verdict.kind().admits();
            let is_last = |verdict: Verdict| verdict.kind().admits() || is_by_design(verdict);
            for facts in all.iter().filter(|it| broken(it).next().is_none()) {
                let inside = ends(&program, facts, admits, &mut Vec::new());
                prop_assert_eq!(search.is_in(search.inside, facts), inside, "{:#?}", facts);
                let good = ends(&program, facts, is_last, &mut Vec::new());
                prop_assert_eq!(search.is_in(search.good, facts), good, "{:#?}", facts);
            }
        }
    }
}
