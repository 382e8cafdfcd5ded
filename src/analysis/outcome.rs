//! What a policy decides, for every connection at once: its program as a diagram, with the laws
//! that no policy can lift, and with nothing that no connection can be.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::assumed::assumed;
use super::diagram::{Arena, Budget, Combine, Id, OverBudget, Var};
use super::domain::Space;
use crate::compile::program::{HIT, Instruction, MISS};
use crate::compile::{Block, ClauseId, Lone, Program};
use crate::decide::{Decision, Law, capped, lawful};
use crate::facts::{Auth, AuthFailure, Facts, ScopeSet};
use crate::lang::checked::{Answer, Role};
use crate::source::Span;
use crate::verdict::{Reason, Verdict};

/// The value of what no connection can be.
pub(crate) const IMPOSSIBLE: u32 = 0;

/// Diagrams of some policies over one space.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) space: Space,
    pub(crate) arena: Arena,
    /// What a connection can be.
    pub(crate) assumed: Id,
}

/// What a policy decides.
#[derive(Clone, Debug)]
pub(crate) struct Outcomes {
    /// Leads to [`IMPOSSIBLE`], or to the place of a decision and one more.
    pub(crate) root: Id,
    pub(crate) decisions: Vec<Decision>,
    /// For each clause, guards before rules and the default last: when it holds.
    pub(crate) conditions: Vec<Id>,
    /// Which rule is the first to hold, whatever the guards say: its place among all clauses.
    pub(crate) first: Id,
    /// For each rule and trial, which rule is the first one behind it.
    pub(crate) behind: Vec<Id>,
    pub(crate) guards: Guards,
}

/// What the guards come to, everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Guards {
    root: Id,
    states: States,
}

impl Outcomes {
    /// The decision of a value.
    pub(crate) fn decision(&self, value: u32) -> Option<&Decision> {
        let at = usize::try_from(value).ok()?.checked_sub(1)?;
        self.decisions.get(at)
    }
}

impl Ground {
    /// Over what some programs, and some conditions beside them, can tell apart.
    pub(crate) fn new(
        programs: &[&Program],
        beside: &[Lone],
        budget: Budget,
    ) -> Result<Self, OverBudget> {
        let of_programs = programs.iter().flat_map(|program| &program.instructions);
        let of_others = beside.iter().flat_map(|lone| &lone.instructions);
        let tests = of_programs.chain(of_others);
        let space = Space::new(tests.map(|it| (it.attribute, &it.test)));
        let mut arena = Arena::new(space.widths(), budget);
        let assumed = assumed(&space, &mut arena)?;
        Ok(Ground {
            space,
            arena,
            assumed,
        })
    }

    /// What a program decides.
    pub(crate) fn outcomes(&mut self, program: &Program) -> Result<Outcomes, OverBudget> {
        let mut conditions = Vec::new();
        let tests = self.tests(&program.instructions)?;
        for block in program.blocks() {
            conditions.push(self.condition(program, block, &tests)?);
        }
        let mut first = Id::value(program.default.id.0);
        let mut behind = Vec::new();
        let rules = program
            .rules
            .iter()
            .zip(conditions.iter().skip(program.guards.len()));
        for (block, holds) in rules.rev() {
            behind.push(first);
            if block.role != Role::Trial {
                first = self.arena.over(*holds, block.id.0, first)?;
            }
        }
        behind.reverse();
        let guards = self.guards(program, &conditions, None)?;
        let (root, decisions) = self.decided(program, &guards, first, self.assumed)?;
        Ok(Outcomes {
            root,
            decisions,
            conditions,
            first,
            behind,
            guards,
        })
    }

    /// What the guards come to, perhaps without one of them, or with another condition for it.
    pub(crate) fn guards(
        &mut self,
        program: &Program,
        conditions: &[Id],
        instead: Option<(ClauseId, Id)>,
    ) -> Result<Guards, OverBudget> {
        let mut states = States::default();
        let mut root = Id::value(states.value(State::default()));
        for (block, holds) in program.guards.iter().zip(conditions).rev() {
            let holds = match instead {
                Some((id, other)) if id == block.id => other,
                _ => *holds,
            };
            let under = self
                .arena
                .mapped(root, |value| states.under(block, value))?;
            root = self.arena.choose(holds, under, root)?;
        }
        Ok(Guards { root, states })
    }

    /// What guards and rules decide where a condition holds; elsewhere [`IMPOSSIBLE`].
    pub(crate) fn decided(
        &mut self,
        program: &Program,
        guards: &Guards,
        rules: Id,
        region: Id,
    ) -> Result<(Id, Vec<Decision>), OverBudget> {
        // Nothing of what is elsewhere is carried along.
        let elsewhere = u32::try_from(guards.states.0.len()).unwrap_or(u32::MAX);
        let root = self.arena.within(region, guards.root, elsewhere)?;
        let mut answers = Answers::new(program, &guards.states);
        let answered = self.arena.combined(root, rules, &mut answers)?;
        self.finished(answered, answers)
    }

    /// Where two ways to decide come to other verdicts.
    pub(crate) fn differing(
        &mut self,
        one: (Id, &[Decision]),
        other: (Id, &[Decision]),
    ) -> Result<Id, OverBudget> {
        let verdict = |decisions: &[Decision], value: u32| {
            let at = (value as usize).checked_sub(1);
            at.and_then(|at| decisions.get(at)).map(|it| it.verdict)
        };
        self.arena
            .combined(one.0, other.0, &mut |left: u32, right: u32| {
                u32::from(verdict(one.1, left) != verdict(other.1, right))
            })
    }

    /// When a condition beside a program holds. What it asks for is told apart.
    pub(crate) fn holds(&mut self, lone: &Lone) -> Result<Id, OverBudget> {
        let tests = self.tests(&lone.instructions)?;
        let length = u32::try_from(lone.instructions.len()).unwrap_or(u32::MAX);
        let entry = match lone.entry {
            HIT | MISS => lone.entry,
            _ => 0,
        };
        self.reached(&lone.instructions, &tests, entry, length)
    }

    /// When each test of a program holds.
    pub(crate) fn tests(&mut self, instructions: &[Instruction]) -> Result<Vec<Id>, OverBudget> {
        let mut tests = Vec::with_capacity(instructions.len());
        for instruction in instructions {
            tests.push(self.test(instruction)?);
        }
        Ok(tests)
    }

    fn test(&mut self, instruction: &Instruction) -> Result<Id, OverBudget> {
        let var = self.space.var(instruction.attribute);
        let passing = self
            .space
            .domain(var)
            .map(|it| it.passing(&instruction.test));
        let coarsely = self.arena.test_runs(var, &passing.unwrap_or_default())?;
        let Some(var) = self.space.fine(instruction.attribute) else {
            return Ok(coarsely);
        };
        let passing = self
            .space
            .domain(var)
            .map(|it| it.passing_finely(&instruction.test));
        let finely = self.arena.test_runs(var, &passing.unwrap_or_default())?;
        self.arena.or(coarsely, finely)
    }

    /// Where each term of a clause is written, with when it holds.
    pub(crate) fn terms(
        &mut self,
        program: &Program,
        block: &Block,
    ) -> Result<Vec<(Span, Id)>, OverBudget> {
        let tests = self.tests(&program.instructions)?;
        let range = block.terms.start as usize..block.terms.end as usize;
        let mut found = Vec::new();
        for term in program.terms.get(range).unwrap_or_default() {
            let held = self.reached(&program.instructions, &tests, term.entry, term.length)?;
            found.push((term.span, held));
        }
        Ok(found)
    }

    /// When a clause holds.
    fn condition(
        &mut self,
        program: &Program,
        block: &Block,
        tests: &[Id],
    ) -> Result<Id, OverBudget> {
        let terms = block.terms.start as usize..block.terms.end as usize;
        let mut all = Id::YES;
        for term in program.terms.get(terms).unwrap_or_default().iter().rev() {
            let held = self.reached(&program.instructions, tests, term.entry, term.length)?;
            all = self.arena.and(held, all)?;
        }
        Ok(all)
    }

    /// When the tests from an entry on come to a hit.
    pub(crate) fn reached(
        &mut self,
        instructions: &[Instruction],
        tests: &[Id],
        entry: u32,
        length: u32,
    ) -> Result<Id, OverBudget> {
        match entry {
            HIT => return Ok(Id::YES),
            MISS => return Ok(Id::NO),
            _ => {}
        }
        // Targets lie behind, so that the last test is known first.
        let mut known: BTreeMap<u32, Id> = BTreeMap::from([(HIT, Id::YES), (MISS, Id::NO)]);
        for at in (entry..entry.saturating_add(length)).rev() {
            let place = at as usize;
            let (Some(instruction), Some(test)) = (instructions.get(place), tests.get(place))
            else {
                continue;
            };
            let to = |target: u32| known.get(&target).copied().unwrap_or(Id::NO);
            let (hit, miss) = (to(instruction.hit), to(instruction.miss));
            let held = self.arena.choose(*test, hit, miss)?;
            known.insert(at, held);
        }
        Ok(known.get(&entry).copied().unwrap_or(Id::NO))
    }

    /// The verdicts of answers, under the laws.
    fn finished(
        &mut self,
        answered: Id,
        answers: Answers<'_>,
    ) -> Result<(Id, Vec<Decision>), OverBudget> {
        let barred = self.expanded(&["auth", "auth-failure", "device"], |facts| {
            Reason::barred(facts).map(|reason| (Verdict::Reject(reason), Some(Law::Barred)))
        })?;
        let mut decisions = Decisions::default();
        let mut root = answered;
        for (kind, answer) in (0..).zip(&answers.kinds) {
            let asked: &[&str] = match answer {
                Answer::Reject(_) | Answer::Cap(_) => &[],
                Answer::RejectAsFound => &["auth-failure", "device"],
                Answer::RequirePairing(Some(_)) | Answer::Approve(_) => &["device"],
                Answer::RequirePairing(None) => &[
                    "device",
                    "role-upgrade",
                    "scope-upgrade",
                    "metadata-upgrade",
                ],
                Answer::SilentApprove(_) => &[
                    "device",
                    "pairing",
                    "role-upgrade",
                    "scope-upgrade",
                    "metadata-upgrade",
                    "outside-role",
                    "pending",
                ],
            };
            let refuses = matches!(answer, Answer::Reject(_) | Answer::RejectAsFound);
            let own = self.expanded(asked, |facts| {
                let verdict = answer.verdict(facts);
                let verdict = verdict.unwrap_or(Verdict::Reject(Reason::NotPermitted));
                Some(lawful(verdict, facts))
            })?;
            let (verdicts, table) = match refuses {
                true => own,
                false => self.first_of(&barred, &own)?,
            };
            let holding = self.holding(root, |value| answers.kind(value) == Some(kind));
            let mut finish = Finish {
                kind,
                answers: &answers,
                table: &table,
                decisions: &mut decisions,
                holding: &holding,
            };
            root = self.arena.combined(root, verdicts, &mut finish)?;
        }
        let first = answers.first_free();
        let root = self.arena.mapped(root, |value| match value {
            ELSEWHERE => IMPOSSIBLE,
            value => value - first + 1,
        })?;
        Ok((root, decisions.all))
    }

    /// The nodes from which a value is reached that is looked for.
    fn holding(&self, root: Id, looked_for: impl Fn(u32) -> bool) -> FxHashMap<Id, bool> {
        let mut holding = FxHashMap::default();
        for id in self.arena.reached(root) {
            let holds = match (id.as_value(), self.arena.at(id)) {
                (Some(value), _) => looked_for(value),
                (None, Some((_, edges))) => edges
                    .iter()
                    .any(|edge| holding.get(&edge.to).copied().unwrap_or(false)),
                (None, None) => false,
            };
            holding.insert(id, holds);
        }
        holding
    }

    /// What a few facts come to, the others being as they are assumed to be when nothing is said:
    /// a diagram, and what its values mean. Nothing is the value zero.
    fn expanded(
        &mut self,
        names: &[&str],
        come_to: impl Fn(&Facts) -> Option<Lawful>,
    ) -> Result<(Id, Vec<Option<Lawful>>), OverBudget> {
        let mut vars: Vec<Var> = names.iter().map(|name| self.space.named(name)).collect();
        vars.sort_unstable();
        let mut table = vec![None];
        let mut facts = Facts {
            auth: Auth::Token,
            auth_failure: AuthFailure::None,
            ..Facts::default()
        };
        let root = self.expanded_from(&vars, &mut facts, &come_to, &mut table)?;
        Ok((root, table))
    }

    fn expanded_from(
        &mut self,
        vars: &[Var],
        facts: &mut Facts,
        come_to: &impl Fn(&Facts) -> Option<Lawful>,
        table: &mut Vec<Option<Lawful>>,
    ) -> Result<Id, OverBudget> {
        let [var, rest @ ..] = vars else {
            let value = come_to(facts);
            let known = table.iter().position(|known| *known == value);
            let at = known.unwrap_or_else(|| {
                table.push(value);
                table.len() - 1
            });
            return Ok(Id::value(u32::try_from(at).unwrap_or_default()));
        };
        let members = self.space.domain(*var).map_or_else(Vec::new, |domain| {
            let members = domain.classes.iter().map(|class| class.member.clone());
            members.map(|member| (domain.attribute, member)).collect()
        });
        let mut edges = Vec::new();
        for (last, (attribute, member)) in (0..).zip(members) {
            member.put(attribute, facts);
            let to = self.expanded_from(rest, facts, come_to, table)?;
            edges.push(super::diagram::Edge { last, to });
        }
        self.arena.make(*var, edges)
    }

    /// What the first comes to, and where that is nothing, what the second does.
    fn first_of(
        &mut self,
        first: &(Id, Vec<Option<Lawful>>),
        second: &(Id, Vec<Option<Lawful>>),
    ) -> Result<(Id, Vec<Option<Lawful>>), OverBudget> {
        let mut table = first.1.clone();
        let offset = u32::try_from(table.len()).unwrap_or_default();
        table.extend(second.1.iter().cloned());
        let root = self
            .arena
            .combined(first.0, second.0, &mut |first: u32, second: u32| {
                if first == 0 { offset + second } else { first }
            })?;
        Ok((root, table))
    }
}

/// A verdict, and the law that changed it.
type Lawful = (Verdict, Option<Law>);

/// The value of what is outside of a region, until it is [`IMPOSSIBLE`].
const ELSEWHERE: u32 = u32::MAX >> 1;

/// What the guards that hold come to together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// A guard that rejects, and its place.
    reject: Option<ClauseId>,
    pairing: Option<ClauseId>,
    cap: ScopeSet,
}

impl Default for State {
    fn default() -> Self {
        State {
            reject: None,
            pairing: None,
            cap: ScopeSet::ANY,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct States(Vec<State>);

impl States {
    fn value(&mut self, state: State) -> u32 {
        let known = self.0.iter().position(|known| *known == state);
        let at = known.unwrap_or_else(|| {
            self.0.push(state);
            self.0.len() - 1
        });
        u32::try_from(at).unwrap_or_default()
    }

    fn get(&self, value: u32) -> State {
        self.0.get(value as usize).copied().unwrap_or_default()
    }

    /// What a guard makes of what those behind it come to.
    fn under(&mut self, guard: &Block, value: u32) -> u32 {
        let behind = self.get(value);
        let state = match guard.answer {
            // It gives the reason, and nothing restricts further.
            Answer::Reject(_) | Answer::RejectAsFound => State {
                reject: Some(guard.id),
                ..State::default()
            },
            // A rejection behind it is the stronger one.
            _ if behind.reject.is_some() => behind,
            Answer::RequirePairing(_) => State {
                pairing: Some(guard.id),
                ..behind
            },
            Answer::Cap(scopes) => State {
                cap: behind.cap.intersection(scopes),
                ..behind
            },
            Answer::Approve(_) | Answer::SilentApprove(_) => behind,
        };
        self.value(state)
    }
}

/// What a rule and the guards answer together, before the facts are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Answered {
    kind: u32,
    by: ClauseId,
    rule: ClauseId,
}

/// The answers of a program, and which pairs of guards and rule come to them.
struct Answers<'a> {
    program: &'a Program,
    states: &'a States,
    kinds: Vec<Answer>,
    all: indexmap::IndexSet<Answered, rustc_hash::FxBuildHasher>,
}

impl<'a> Answers<'a> {
    fn new(program: &'a Program, states: &'a States) -> Self {
        Answers {
            program,
            states,
            kinds: Vec::new(),
            all: indexmap::IndexSet::default(),
        }
    }

    fn answer(&self, id: ClauseId) -> Answer {
        let guards = self.program.guards.len();
        let at = id.0 as usize;
        let block = match at.checked_sub(guards) {
            None => self.program.guards.get(at),
            Some(rule) => self.program.rules.get(rule),
        };
        block.map_or(self.program.default.answer, |block| block.answer)
    }

    /// The kind of answer that a value stands for; none of a decision that is finished.
    fn kind(&self, value: u32) -> Option<u32> {
        self.all.get_index(value as usize).map(|it| it.kind)
    }

    /// What is behind all of them.
    fn first_free(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }
}

impl Combine for Answers<'_> {
    fn known(&mut self, guards: Id, _rule: Id) -> Option<Id> {
        let is_elsewhere = guards
            .as_value()
            .is_some_and(|it| it as usize >= self.states.0.len());
        is_elsewhere.then_some(Id::value(ELSEWHERE))
    }

    fn values(&mut self, guards: u32, rule: u32) -> u32 {
        let state = self.states.get(guards);
        let rule = ClauseId(rule);
        let own = self.answer(rule);
        let admits = matches!(own, Answer::Approve(_) | Answer::SilentApprove(_));
        let (by, answer) = match (state.reject, state.pairing) {
            (Some(guard), _) => (guard, self.answer(guard)),
            (None, Some(guard)) if admits => (guard, self.answer(guard)),
            (None, _) => (rule, own),
        };
        let answer = match answer {
            Answer::Approve(_) | Answer::SilentApprove(_) => capped_answer(answer, state.cap),
            Answer::Reject(_)
            | Answer::RejectAsFound
            | Answer::RequirePairing(_)
            | Answer::Cap(_) => answer,
        };
        let known = self.kinds.iter().position(|known| *known == answer);
        let kind = known.unwrap_or_else(|| {
            self.kinds.push(answer);
            self.kinds.len() - 1
        });
        let kind = u32::try_from(kind).unwrap_or_default();
        let (at, _) = self.all.insert_full(Answered { kind, by, rule });
        u32::try_from(at).unwrap_or_default()
    }
}

/// An answer that admits, with no more scopes than a cap leaves.
fn capped_answer(answer: Answer, cap: ScopeSet) -> Answer {
    let verdict = answer.verdict(&Facts::default());
    match verdict.map(|verdict| capped(verdict, cap)) {
        Some(Verdict::Approve(grant)) => Answer::Approve(grant),
        Some(Verdict::SilentApprove(grant)) => Answer::SilentApprove(grant),
        Some(Verdict::Reject(_) | Verdict::RequirePairing(_)) | None => answer,
    }
}

/// Decisions, each once.
#[derive(Default)]
struct Decisions {
    all: Vec<Decision>,
    known: FxHashMap<(u32, u32), u32>,
}

/// Puts decisions in the place of answers of one kind.
struct Finish<'a> {
    kind: u32,
    answers: &'a Answers<'a>,
    table: &'a [Option<Lawful>],
    decisions: &'a mut Decisions,
    holding: &'a FxHashMap<Id, bool>,
}

impl Combine for Finish<'_> {
    fn values(&mut self, value: u32, verdict: u32) -> u32 {
        let Some(answered) = self.answers.all.get_index(value as usize) else {
            return value;
        };
        let lawful = self.table.get(verdict as usize).copied().flatten();
        let (Some((verdict_is, law)), true) = (lawful, answered.kind == self.kind) else {
            return value;
        };
        let all = &mut self.decisions.all;
        let at = *self
            .decisions
            .known
            .entry((value, verdict))
            .or_insert_with(|| {
                let decision = Decision {
                    verdict: verdict_is,
                    by: answered.by,
                    rule: answered.rule,
                    law,
                    trial: None,
                };
                let known = all.iter().position(|known| *known == decision);
                let at = known.unwrap_or_else(|| {
                    all.push(decision);
                    all.len() - 1
                });
                u32::try_from(at).unwrap_or_default()
            });
        self.answers.first_free() + at
    }

    fn known(&mut self, left: Id, _right: Id) -> Option<Id> {
        let holds = self.holding.get(&left).copied().unwrap_or(false);
        (!holds).then_some(left)
    }
}
