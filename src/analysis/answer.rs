//! What guards and a rule answer together, and which verdicts that comes to once the facts are
//! known, the laws that no policy can lift among them.

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::combine::Combine;
use super::diagram::{Edge, Id, OverBudget, Var};
use super::ground::Ground;
use crate::compile::{Block, ClauseId, Program};
use crate::decide::{Law, capped, lawful};
use crate::facts::{Auth, AuthFailure, DeviceProof, Facts, ScopeSet};
use crate::lang::checked::Answer;
use crate::verdict::{Reason, Verdict};

/// A verdict, and the law that changed it.
pub(super) type Lawful = (Verdict, Option<Law>);

/// What the guards that hold come to together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
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

impl State {
    /// What one guard comes to where it holds.
    fn of(guard: &Block) -> Self {
        let nothing = State::default();
        match guard.answer {
            Answer::Reject(_) | Answer::RejectAsFound => State {
                reject: Some(guard.id),
                ..nothing
            },
            Answer::RequirePairing(_) => State {
                pairing: Some(guard.id),
                ..nothing
            },
            Answer::Cap(cap) => State { cap, ..nothing },
            Answer::Approve(_) | Answer::SilentApprove(_) => nothing,
        }
    }

    /// What guards come to with those behind them. A rejection leaves nothing to restrict.
    fn then(self, behind: State) -> Self {
        match self.reject.or(behind.reject) {
            Some(reject) => State {
                reject: Some(reject),
                ..State::default()
            },
            None => State {
                reject: None,
                pairing: self.pairing.or(behind.pairing),
                cap: self.cap.intersection(behind.cap),
            },
        }
    }
}

/// Every state that guards come to, by its value. The value zero is that none holds.
#[derive(Clone, Debug)]
pub(super) struct States(IndexSet<State, FxBuildHasher>);

impl Default for States {
    fn default() -> Self {
        States(IndexSet::from_iter([State::default()]))
    }
}

impl States {
    /// The value of what one guard comes to.
    pub(super) fn of(&mut self, guard: &Block) -> u32 {
        self.value(State::of(guard))
    }

    fn value(&mut self, state: State) -> u32 {
        let (at, _) = self.0.insert_full(state);
        u32::try_from(at).unwrap_or_default()
    }

    fn get(&self, value: u32) -> State {
        let state = self.0.get_index(value as usize);
        state.copied().unwrap_or_default()
    }

    /// Whether a value is of guards that reject, whatever the rules say.
    pub(super) fn rejects(&self, value: u32) -> bool {
        value == ELSEWHERE || self.get(value).reject.is_some()
    }

    fn leads_to_rejection(&self, id: Id) -> bool {
        id.as_value().is_some_and(|value| self.rejects(value))
    }
}

/// The guards on the left stand before those on the right.
impl Combine for States {
    fn values(&mut self, left: u32, right: u32) -> u32 {
        let state = self.get(left).then(self.get(right));
        self.value(state)
    }

    fn known(&mut self, left: Id, right: Id) -> Option<Id> {
        const NONE: Id = Id::value(0);
        match (left, right) {
            (NONE, other) | (other, NONE) => Some(other),
            (left, _) => self.leads_to_rejection(left).then_some(left),
        }
    }

    fn left_settles(&self, left: Id) -> bool {
        self.leads_to_rejection(left)
    }

    fn left_keeps(&self, left: Id) -> bool {
        left == Id::value(0)
    }

    fn right_keeps(&self, right: Id) -> bool {
        right == Id::value(0)
    }
}

/// The value of what is outside of a region.
pub(crate) const ELSEWHERE: u32 = u32::MAX >> 1;

/// What a rule and the guards answer together, before the facts are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) answer: Answer,
    pub(super) by: ClauseId,
    pub(super) rule: ClauseId,
}

impl Answered {
    /// What the guards make of what a rule answers.
    pub(super) fn new(program: &Program, states: &States, guards: u32, rule: u32) -> Self {
        let state = states.get(guards);
        let rule = ClauseId(rule);
        let own = program.block(rule).answer;
        let admits = matches!(own, Answer::Approve(_) | Answer::SilentApprove(_));
        let (by, answered) = match (state.reject, state.pairing) {
            (Some(guard), _) => (guard, program.block(guard).answer),
            (None, Some(guard)) if admits => (guard, program.block(guard).answer),
            (None, _) => (rule, own),
        };
        let answer = match answered {
            Answer::Approve(_) | Answer::SilentApprove(_) => capped_answer(answered, state.cap),
            Answer::Reject(_)
            | Answer::RejectAsFound
            | Answer::RequirePairing(_)
            | Answer::Cap(_) => answered,
        };
        Answered { answer, by, rule }
    }

    /// Whether it is a refusal, which no law changes.
    pub(super) fn refuses(&self) -> bool {
        refuses(self.answer)
    }
}

/// Whether an answer is a refusal, which no law changes.
pub(super) fn refuses(answer: Answer) -> bool {
    matches!(answer, Answer::Reject(_) | Answer::RejectAsFound)
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

/// What the laws ask for, and the verdicts of answers that depend on the facts.
pub(super) const LAWFUL: &[&str] = &[
    "auth",
    "auth-failure",
    "device",
    "pairing",
    "role-upgrade",
    "scope-upgrade",
    "metadata-upgrade",
    "outside-role",
    "pending",
];

/// What something comes to by the facts: a diagram, and what its values mean.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    pub(super) root: Id,
    pub(super) all: Vec<T>,
}

/// The verdicts of every answer that was asked about, and what no policy can admit.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    barred: Option<Table<Option<Lawful>>>,
    answers: Vec<(Answer, Table<Lawful>)>,
}

impl Tables {
    /// The verdicts that an answer can come to where nothing is barred, of one that was asked about.
    pub(super) fn verdicts_of(&self, answer: Answer) -> Option<Vec<Verdict>> {
        let known = self.known(answer)?;
        Some(known.all.iter().map(|it| it.0).collect())
    }

    /// The verdict of an answer under all laws, by the value that each diagram has.
    pub(super) fn verdict(&self, answer: Answer, value: impl Fn(Id) -> u32) -> Option<Verdict> {
        let barred = self.barred.as_ref()?;
        let found = barred.all.get(value(barred.root) as usize)?;
        if let Some((verdict, _)) = found.filter(|_| !refuses(answer)) {
            return Some(verdict);
        }
        let own = self.known(answer)?;
        own.all.get(value(own.root) as usize).map(|it| it.0)
    }

    fn known(&self, answer: Answer) -> Option<&Table<Lawful>> {
        let mut all = self.answers.iter();
        all.find_map(|(known, table)| (*known == answer).then_some(table))
    }
}

impl Ground {
    /// Makes the verdicts of all that guards and rules can answer together known.
    pub(super) fn answer_all(
        &mut self,
        program: &Program,
        states: &States,
    ) -> Result<(), OverBudget> {
        let mut rules: Vec<&Block> = Vec::new();
        for rule in program.rules.iter().chain([&program.default]) {
            if !rules.iter().any(|known| known.answer == rule.answer) {
                rules.push(rule);
            }
        }
        for guards in (0..).take(states.0.len()) {
            for rule in &rules {
                let answered = Answered::new(program, states, guards, rule.id.0);
                self.verdicts(answered.answer)?;
            }
        }
        Ok(())
    }

    /// The verdicts of an answer under all laws: a diagram, and what its values mean.
    pub(super) fn all_verdicts(
        &mut self,
        answer: Answer,
    ) -> Result<(Id, Vec<Verdict>), OverBudget> {
        let own = self.verdicts(answer)?;
        let mut all: Vec<Verdict> = own.all.iter().map(|it| it.0).collect();
        if refuses(answer) {
            return Ok((own.root, all));
        }
        let barred = self.barred()?;
        let offset = u32::try_from(all.len()).unwrap_or_default();
        let nothing = Verdict::Reject(Reason::NotPermitted);
        all.extend(barred.all.iter().map(|it| it.map_or(nothing, |it| it.0)));
        let root = self.unless_barred(&barred, own.root, offset)?;
        Ok((root, all))
    }

    /// What is barred, by its place and an offset, and elsewhere something else.
    pub(super) fn unless_barred(
        &mut self,
        barred: &Table<Option<Lawful>>,
        elsewhere: Id,
        offset: u32,
    ) -> Result<Id, OverBudget> {
        let place = &mut |barred: u32, own: u32| if barred == 0 { own } else { offset + barred };
        self.arena.combined(barred.root, elsewhere, place)
    }

    /// What no policy can admit, and with which reason. The value zero stands for what may be.
    pub(super) fn barred(&mut self) -> Result<Table<Option<Lawful>>, OverBudget> {
        if let Some(known) = &self.tables.barred {
            return Ok(known.clone());
        }
        let made = self.expanded(
            &["auth", "auth-failure", "device"],
            vec![None],
            false,
            |facts| {
                Reason::barred(facts).map(|reason| (Verdict::Reject(reason), Some(Law::Barred)))
            },
        )?;
        self.tables.barred = Some(made.clone());
        Ok(made)
    }

    /// The verdicts of an answer where nothing is barred; of a refusal, everywhere.
    pub(super) fn verdicts(&mut self, answer: Answer) -> Result<Table<Lawful>, OverBudget> {
        if let Some(known) = self.tables.known(answer) {
            return Ok(known.clone());
        }
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
            Answer::SilentApprove(_) => LAWFUL.get(2..).unwrap_or_default(),
        };
        let made = self.expanded(asked, Vec::new(), !refuses(answer), |facts| {
            let verdict = answer.verdict(facts);
            lawful(
                verdict.unwrap_or(Verdict::Reject(Reason::NotPermitted)),
                facts,
            )
        })?;
        self.tables.answers.push((answer, made.clone()));
        Ok(made)
    }

    /// What a few facts come to, the others being as they are assumed to be when nothing is said.
    /// Where a failed proof is barred, it is taken for a good one.
    fn expanded<T: PartialEq>(
        &mut self,
        names: &[&str],
        mut all: Vec<T>,
        failed_as_proven: bool,
        come_to: impl Fn(&Facts) -> T,
    ) -> Result<Table<T>, OverBudget> {
        let mut vars: Vec<Var> = names.iter().map(|name| self.space.named(name)).collect();
        vars.sort_unstable();
        let mut facts = Facts {
            auth: Auth::Token,
            auth_failure: AuthFailure::None,
            ..Facts::default()
        };
        let mut expansion = Expansion {
            ground: self,
            come_to: &come_to,
            all: &mut all,
            failed_as_proven,
        };
        let root = expansion.of(&vars, &mut facts)?;
        Ok(Table { root, all })
    }
}

/// The way through the classes of a few attributes.
struct Expansion<'a, T> {
    ground: &'a mut Ground,
    come_to: &'a dyn Fn(&Facts) -> T,
    all: &'a mut Vec<T>,
    failed_as_proven: bool,
}

impl<T: PartialEq> Expansion<'_, T> {
    fn of(&mut self, vars: &[Var], facts: &mut Facts) -> Result<Id, OverBudget> {
        let [var, rest @ ..] = vars else {
            let value = (self.come_to)(facts);
            let known = self.all.iter().position(|known| *known == value);
            let at = known.unwrap_or_else(|| {
                self.all.push(value);
                self.all.len() - 1
            });
            return Ok(Id::value(u32::try_from(at).unwrap_or_default()));
        };
        let Some(domain) = self.ground.space.domain(*var).cloned() else {
            return self.of(rest, facts);
        };
        let mut edges = Vec::new();
        let mut proven = None;
        for (last, class) in (0..).zip(&domain.classes) {
            class.member.put(domain.attribute, facts);
            let is_failed = domain.attribute.row().name == "device"
                && !matches!(facts.device, DeviceProof::Absent | DeviceProof::Proven);
            let to = match proven {
                Some(proven) if is_failed && self.failed_as_proven => proven,
                _ => self.of(rest, facts)?,
            };
            if facts.device == DeviceProof::Proven {
                proven = Some(to);
            }
            edges.push(Edge { last, to });
        }
        self.ground.arena.make(*var, edges)
    }
}
