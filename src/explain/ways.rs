//! Ways: what somebody can do so that a connection is decided otherwise. All smallest sets of
//! steps, the cheapest first, and each held against the engine that decides.
//!
//! Who can do what stands in [`step`], and what it costs beside other steps: the smallest change is the
//! one that costs least, and of equal ones the one that names the fewest facts. That no smaller set of
//! steps leads there follows from the diagram of the policy; that no single fact and no two lead there
//! by the same steps, where more are told, from trying them. An approval comes last: there is something
//! to approve only where the connection, with all that was done before, comes to wait for the owner.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::Subject;
use super::chart::Chart;
use super::step::{self, Hand, Step};
use crate::analysis::{
    Budget, ClassId, Ground, Id, Move, Moves, Outcomes, OverBudget, Product, Search, Steps, Tracks,
    Var, least_steps, smallest,
};
use crate::compile::{ClauseId, Program};
use crate::decide::{Decision, decide};
use crate::facts::assumptions::{Assumption, Named, broken, complete};
use crate::facts::{AttributeId, DeviceProof, Facts, Ingress, Pairing, PendingRequest};
use crate::lang::checked::Expected;
use crate::policy::Policy;
use crate::verdict::VerdictKind;
use crate::verdict::change::APPROVED;

/// How much more than the cheapest way another one may cost to be named beside it.
pub(super) const BESIDE: u32 = 1;

/// How many steps a way may have, unless there is none of so few.
const MOST_STEPS: u32 = 4;

/// How many places are looked at for the cheapest ways, before all are looked at.
const MOST_PLACES: usize = 100_000;

/// A set of steps, of which each is needed, and what comes of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// What is to be done, in the order of the table of steps.
    pub steps: Vec<StepAccount>,
    /// The facts that are otherwise, without those that follow: attribute, before, after.
    pub changes: Vec<(AttributeId, String, String)>,
    /// All facts as they are before the owner approves anything.
    before: Facts,
    /// All facts as they are then.
    pub facts: Facts,
    /// What is decided then.
    pub decision: Decision,
    /// What the steps cost together.
    pub cost: u32,
}

/// A step of a way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepAccount {
    /// Which one.
    pub step: Step,
    /// What is to be done.
    pub words: String,
}

impl StepAccount {
    /// Whose it is.
    #[must_use]
    pub fn hand(&self) -> Hand {
        self.step.hand()
    }
}

/// All ways there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ways {
    /// The cheapest first.
    pub all: Vec<Way>,
    /// How many steps a way was allowed to have.
    pub most_steps: u32,
}

impl Ways {
    fn sorted(mut all: Vec<Way>, most_steps: u32) -> Self {
        all.sort_by_key(|way| (way.cost, way.changes.len()));
        Ways { all, most_steps }
    }

    /// Without those that lead by other steps to the same facts as a cheaper one: who reads the facts
    /// would take them for one way.
    fn of_other_facts(mut self) -> Self {
        let mut seen: Vec<(Facts, Facts)> = Vec::new();
        self.all.retain(|way| {
            let facts = (way.before.clone(), way.facts.clone());
            let is_new = !seen.contains(&facts);
            if is_new {
                seen.push(facts);
            }
            is_new
        });
        self
    }
}

/// The ways to a verdict; nothing where looking for them takes more than it may.
#[must_use]
pub fn ways(chart: &Chart<'_>, facts: &Facts, subject: &Subject, to: Expected) -> Option<Ways> {
    let mut field = Field::new(chart, facts, subject).ok()?;
    field.ways(to).ok().map(Ways::of_other_facts)
}

/// A policy, and a connection from which other ones are looked for.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    ground: Ground,
    /// What is decided: leads to values as those of [`Outcomes`].
    decided: Id,
    decisions: Arc<[Decision]>,
    program: &'a Program,
    from: &'a Facts,
    subject: &'a Subject,
    excused: Vec<&'static str>,
    /// The same as classes.
    vector: Vec<ClassId>,
    moves: Manner,
    /// What nobody can be although no assumption says so.
    region: Id,
}

/// Where a connection is led: what is decided of it, as it is or after the owner approved what it
/// leaves.
#[derive(Debug)]
struct Course {
    /// What it can be, and what is decided before an approval; what holds of it, and what is decided
    /// at last.
    roots: [Id; 4],
    /// What nobody chooses.
    pinned: Vec<(Var, [ClassId; 4])>,
    is_approved: bool,
    /// Whether the client itself is at the other end, at the beginning and at the end.
    is_direct: bool,
}

/// How a connection may move.
#[derive(Clone, Debug)]
struct Manner {
    /// In any case.
    any: Moves,
    /// While the client itself is at the other end: only by going elsewhere it has another address.
    /// Nothing where that is no other way to move.
    direct: Option<Moves>,
}

impl Manner {
    /// How it moves on a course.
    fn on(&self, course: &Course) -> &Moves {
        match &self.direct {
            Some(direct) if course.is_direct => direct,
            Some(_) | None => &self.any,
        }
    }
}

/// What is looked for.
struct Goal<'a> {
    courses: Vec<Course>,
    decisions: Arc<[Decision]>,
    wanted: &'a dyn Fn(&Decision) -> bool,
}

/// A fact that is otherwise.
struct Single {
    attribute: AttributeId,
    /// The connection with nothing else that is.
    to: Facts,
    /// Where it stands for all of its class: the variable that tells them apart.
    any: Option<Var>,
}

impl Goal<'_> {
    /// Whether nothing is wanted from some places of a course on.
    fn is_over(&self, course: &Course, [can_be, before, holds, then]: &[Id; 4]) -> bool {
        *can_be == Id::NO
            || *holds == Id::NO
            || (course.is_approved && !self.can_be(*before, waits))
            || !self.can_be(*then, self.wanted)
    }

    /// Whether a place is none of a decision yet, or of one for which something is so.
    fn can_be(&self, place: Id, is: impl Fn(&Decision) -> bool) -> bool {
        place.as_value().is_none_or(|value| {
            // The first value is that of what no connection can be.
            let at = (value as usize).checked_sub(1);
            at.and_then(|at| self.decisions.get(at)).is_some_and(is)
        })
    }

    /// The courses on which some steps are taken.
    fn courses(&self, steps: Steps) -> impl Iterator<Item = &Course> {
        let is_approved = steps & Step::Approve.bit() != 0;
        self.courses
            .iter()
            .filter(move |course| course.is_approved == is_approved)
    }
}

/// Whether the connection waits for the owner.
fn waits(decision: &Decision) -> bool {
    decision.verdict.kind() == VerdictKind::RequirePairing
}

impl Course {
    /// How it is led, by some steps.
    fn tracks<'a>(&self, moves: &'a Moves, steps: Steps) -> Tracks<'a, 4> {
        Tracks {
            roots: self.roots,
            pinned: self.pinned.clone(),
            moves,
            steps,
        }
    }
}

impl<'a> Field<'a> {
    /// A connection that may move by steps that somebody can do.
    pub(super) fn new(
        chart: &Chart<'a>,
        from: &'a Facts,
        subject: &'a Subject,
    ) -> Result<Self, OverBudget> {
        let excused = excused(from);
        let drawn = chart.copy(&excused)?;
        let program = chart.policy().program();
        Self::moving(program, drawn, excused, (from, subject), |found| found)
    }

    /// The same, where it may take so many nodes.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] where that is too few.
    pub fn of(
        policy: &'a Policy,
        from: &'a Facts,
        subject: &'a Subject,
        nodes: usize,
    ) -> Result<Self, OverBudget> {
        let budget = Budget::of(nodes);
        let excused = excused(from);
        let kept = |assumption: &Assumption| !excused.contains(&assumption.says);
        let program = policy.program();
        let mut ground = Ground::excusing(&[program], budget, &kept)?;
        let outcomes = ground.outcomes(program)?;
        let drawn = (ground, outcomes);
        Self::moving(program, drawn, excused, (from, subject), |found| found)
    }

    /// The ways to a verdict.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] where looking for them takes more than it may.
    pub fn ways(&mut self, to: Expected) -> Result<Ways, OverBudget> {
        self.to(&|decision| to.met_by(decision.verdict))
    }

    /// Of the ways to a verdict the cheapest, and those that cost hardly more.
    ///
    /// # Errors
    ///
    /// [`OverBudget`] where looking for them takes more than it may.
    pub fn nearest(&mut self, to: Expected) -> Result<Ways, OverBudget> {
        self.cheapest(&|decision| to.met_by(decision.verdict), BESIDE)
    }

    /// One that may move in every way: what nobody can do counts as a step of its own.
    pub(super) fn free(
        chart: &Chart<'a>,
        from: &'a Facts,
        subject: &'a Subject,
    ) -> Result<Self, OverBudget> {
        let excused = excused(from);
        let drawn = chart.copy(&excused)?;
        let program = chart.policy().program();
        Self::moving(
            program,
            drawn,
            excused,
            (from, subject),
            |found| match found.by.is_empty() {
                true => step::nobodys(),
                false => found,
            },
        )
    }

    fn moving(
        program: &'a Program,
        (ground, outcomes): (Ground, Outcomes),
        excused: Vec<&'static str>,
        (from, subject): (&'a Facts, &'a Subject),
        how: impl Fn(Move) -> Move,
    ) -> Result<Self, OverBudget> {
        let any = ground.moves(from, |attribute, to| {
            how(step::moves(attribute.row().name, from, to, subject))
        });
        let client = AttributeId::named("client-ip");
        let is_told = client.is_some_and(|id| ground.space.fine(id).is_some());
        let direct = (is_told && from.ingress == Ingress::Direct).then(|| {
            ground.moves(from, |attribute, to| {
                let name = attribute.row().name;
                how(step::moves_of_direct(name, from, to, subject))
            })
        });
        let vector = ground.vector(from);
        let mut field = Field {
            ground,
            decided: outcomes.root,
            decisions: outcomes.decisions.into(),
            program,
            from,
            subject,
            excused,
            vector,
            moves: Manner { any, direct },
            region: Id::YES,
        };
        field.region = field.told()?;
        Ok(field)
    }

    /// The kernel knows a user on this host only; and what was approved for another role counts
    /// only where that is asked for.
    fn told(&mut self) -> Result<Id, OverBudget> {
        let mut region = Id::YES;
        let unknown = usize::from(crate::facts::PeerUid::Unknown.code());
        let space = &self.ground.space;
        let [uid, same_host] = ["peer-uid", "same-host"].map(|name| space.named(name));
        let [raised, role] = ["role-upgrade", "role"].map(|name| space.named(name));
        if self.from.same_host || self.from.peer_uid == crate::facts::PeerUid::Unknown {
            let arena = &mut self.ground.arena;
            let nobody = arena.test(uid, |class| class as usize == unknown)?;
            let here = arena.test(same_host, |class| class == 1)?;
            region = arena.or(nobody, here)?;
        }
        let own = |var: Var| self.vector.get(usize::from(var)).copied();
        let arena = &mut self.ground.arena;
        let same = arena.test(raised, |class| Some(class) == own(raised))?;
        let other = arena.test(role, |class| Some(class) != own(role))?;
        let asked = arena.or(same, other)?;
        arena.and(region, asked)
    }

    /// When a clause holds.
    pub(super) fn condition(&mut self, id: ClauseId) -> Option<Id> {
        let clauses = self.ground.clauses(self.program).ok()?;
        Some(clauses.condition(id))
    }

    /// The ways to a decision that is wanted.
    pub(super) fn to(&mut self, wanted: &dyn Fn(&Decision) -> bool) -> Result<Ways, OverBudget> {
        self.within(Id::YES, wanted)
    }

    /// The ways to a decision that is wanted, of connections for which a condition holds.
    pub(super) fn within(
        &mut self,
        holds: Id,
        wanted: &dyn Fn(&Decision) -> bool,
    ) -> Result<Ways, OverBudget> {
        let goal = self.goal(holds, wanted)?;
        let mut products = Vec::with_capacity(goal.courses.len());
        for course in &goal.courses {
            let tracks = course.tracks(self.moves.on(course), Steps::MAX);
            let is_over = |at: &[Id; 4]| goal.is_over(course, at);
            let product = Product::new(&mut self.ground.arena, &tracks, is_over)?;
            products.push((course, product));
        }
        let mut most_steps = MOST_STEPS;
        let mut sets = self.sets(&products, most_steps);
        if sets.is_empty() {
            most_steps = u32::BITS;
            sets = self.sets(&products, most_steps);
        }
        let all = self.shown(&goal, &sets)?;
        let all = all.into_iter().flatten().collect();
        Ok(Ways::sorted(all, most_steps))
    }

    /// Of the ways to a decision that is wanted the cheapest, and those that cost hardly more.
    pub(super) fn cheapest(
        &mut self,
        wanted: &dyn Fn(&Decision) -> bool,
        beside: u32,
    ) -> Result<Ways, OverBudget> {
        let goal = self.goal(Id::YES, wanted)?;
        let start = |course: &Course| {
            let taken = if course.is_approved {
                Step::Approve.bit()
            } else {
                0
            };
            (course.tracks(self.moves.on(course), Steps::MAX), taken)
        };
        let starts: Vec<_> = goal.courses.iter().map(start).collect();
        let search = Search {
            price: &step::cost,
            beside,
            most: MOST_STEPS,
            places: MOST_PLACES,
        };
        let is_over = |start: usize, at: &[Id; 4]| {
            let course = goal.courses.get(start);
            course.is_none_or(|course| goal.is_over(course, at))
        };
        let sets = search.cheapest(&self.ground.arena, &starts, is_over);
        let sets = sets.filter(|sets| !sets.is_empty());
        let ways = match sets {
            Some(sets) => self.shown(&goal, &sets)?.into_iter().collect(),
            None => None,
        };
        match ways {
            Some(all) => Ok(Ways::sorted(all, MOST_STEPS)),
            // Of one the engine says otherwise, or they are too far away: all are looked at.
            None => self.to(wanted),
        }
    }

    /// For each set of steps the way that shows it; nothing where the engine does not.
    fn shown(&mut self, goal: &Goal<'_>, sets: &[Steps]) -> Result<Vec<Option<Way>>, OverBudget> {
        let mut all = Vec::with_capacity(sets.len());
        for steps in sets {
            let vector = self.moved(goal, *steps)?;
            // What cannot be shown by the engine is not said.
            let way = vector.and_then(|vector| self.way(*steps, self.facts_of(&vector)?));
            let way = way.filter(|way| (goal.wanted)(&way.decision));
            all.push(way.map(|way| self.with_fewest(*steps, way, goal)));
        }
        Ok(all)
    }

    /// The connection that some steps lead to, with as little otherwise as can be.
    fn moved(&mut self, goal: &Goal<'_>, steps: Steps) -> Result<Option<Vec<ClassId>>, OverBudget> {
        let mut best: Option<(u32, Vec<ClassId>)> = None;
        for course in goal.courses(steps) {
            let tracks = course.tracks(self.moves.on(course), steps & !Step::Approve.bit());
            let is_over = |at: &[Id; 4]| goal.is_over(course, at);
            let product = Product::new(&mut self.ground.arena, &tracks, is_over)?;
            let price = |var, run| Some(self.moves.any.price(var, run, &self.vector));
            let found = product.cheapest(&self.vector, |_| true, price);
            let is_better = |(weight, _): &(u32, Vec<ClassId>)| {
                best.as_ref().is_none_or(|(known, _)| weight < known)
            };
            if let Some(found) = found.filter(is_better) {
                best = Some(found);
            }
        }
        Ok(best.map(|(_, vector)| vector))
    }

    fn sets(&self, products: &[(&Course, Product<4>)], most: u32) -> Vec<Steps> {
        let mut sets = Vec::new();
        for (course, product) in products {
            let (taken, most) = match course.is_approved {
                true => (Step::Approve.bit(), most.saturating_sub(1)),
                false => (0, most),
            };
            let found = least_steps(product, self.moves.on(course), most);
            sets.extend(found.into_iter().map(|steps| steps | taken));
        }
        smallest(sets)
    }

    /// What is looked for, of connections for which a condition holds.
    fn goal<'b>(
        &mut self,
        holds: Id,
        wanted: &'b dyn Fn(&Decision) -> bool,
    ) -> Result<Goal<'b>, OverBudget> {
        let mut courses = self.asking(holds)?;
        courses.push(self.approved(holds));
        if self.moves.direct.is_some() {
            courses = self.split(courses)?;
        }
        Ok(Goal {
            courses,
            decisions: Arc::clone(&self.decisions),
            wanted,
        })
    }

    /// What is decided of what is asked for. A request is no matter of a connection without a
    /// device: whoever names none leaves it behind.
    fn asking(&mut self, holds: Id) -> Result<Vec<Course>, OverBudget> {
        let course = |region: Id, pinned: Vec<(Var, [ClassId; 4])>| Course {
            roots: [region, Id::YES, holds, self.decided],
            pinned,
            is_approved: false,
            is_direct: false,
        };
        if self.from.pending == PendingRequest::None {
            return Ok(vec![course(self.region, Vec::new())]);
        }
        let [device, pending] = ["device", "pending"].map(|it| self.ground.space.named(it));
        let nobody = Facts {
            device: DeviceProof::Absent,
            pending: PendingRequest::None,
            ..self.from.clone()
        };
        let [absent, nothing] = [device, pending].map(|var| self.ground.space.class(var, &nobody));
        let arena = &mut self.ground.arena;
        let is_absent = arena.test(device, |class| class == absent)?;
        let without = arena.and(self.region, is_absent)?;
        let with = arena.choose(is_absent, Id::NO, self.region)?;
        Ok(vec![
            course(with, Vec::new()),
            course(without, vec![(pending, [nothing; 4])]),
        ])
    }

    /// What is decided once the owner approved what was asked for; of connections that wait for
    /// that. What was approved is no matter of what is asked: only what came before it is.
    fn approved(&self, holds: Id) -> Course {
        let space = &self.ground.space;
        let before = Facts {
            pairing: if self.from.pairing == Pairing::None {
                Pairing::Unpaired
            } else {
                self.from.pairing
            },
            ..self.from.clone()
        };
        let after = approved(&before);
        let pin = |name: &&str| {
            let var = space.named(name);
            let [before, after] = [&before, &after].map(|facts| space.class(var, facts));
            (var, [before, before, after, after])
        };
        Course {
            roots: [self.region, self.decided, holds, self.decided],
            pinned: APPROVED.about.iter().map(pin).collect(),
            is_approved: true,
            is_direct: false,
        }
    }

    /// Each course twice: where the client stays at the other end, and where it does not.
    fn split(&mut self, courses: Vec<Course>) -> Result<Vec<Course>, OverBudget> {
        let ingress = self.ground.space.named("ingress");
        let own = self.vector.get(usize::from(ingress)).copied();
        let arena = &mut self.ground.arena;
        let is_direct = arena.test(ingress, |class| Some(class) == own)?;
        let mut all = Vec::with_capacity(2 * courses.len());
        for course in courses {
            let [can_be, before, holds, then] = course.roots;
            let stays = arena.and(can_be, is_direct)?;
            let goes = arena.choose(is_direct, Id::NO, can_be)?;
            all.push(Course {
                roots: [stays, before, holds, then],
                pinned: course.pinned.clone(),
                is_direct: true,
                ..course
            });
            all.push(Course {
                roots: [goes, before, holds, then],
                ..course
            });
        }
        Ok(all)
    }

    /// The connection with the classes of a vector.
    fn facts_of(&self, vector: &[ClassId]) -> Option<Facts> {
        let mut facts = self.from.clone();
        for (var, domain) in self.ground.space.domains() {
            let class = *vector.get(usize::from(var))?;
            if self.vector.get(usize::from(var)) != Some(&class) {
                let member = &domain.classes.get(class as usize)?.member;
                member.put(domain.attribute, &mut facts);
            }
        }
        if facts.device == DeviceProof::Absent {
            facts.pending = PendingRequest::None;
        }
        if facts.ingress != Ingress::Direct {
            return Some(facts);
        }
        // Of two addresses that are one, the one is put down that was told apart.
        let mut by_client = facts.clone();
        by_client.peer = by_client.client_ip;
        facts.client_ip = facts.peer;
        let is_it = |facts: &Facts| self.ground.vector(facts) == vector;
        match !is_it(&facts) && is_it(&by_client) {
            true => Some(by_client),
            false => Some(facts),
        }
    }

    /// A way by the same steps with as few facts as can be: with one or two, if that leads there, else
    /// with none that could be left to follow from the others.
    fn with_fewest(&mut self, steps: Steps, way: Way, goal: &Goal<'_>) -> Way {
        let mut best = way;
        // What the owner approves is told in any case.
        let approved = usize::from(steps & Step::Approve.bit() != 0);
        loop {
            let named = best.changes.iter().map(|(id, ..)| *id);
            let named: Vec<AttributeId> = named.collect();
            let fewer = named.iter().find_map(|id| {
                let others = named.iter().copied().filter(|it| it != id);
                let facts = self.said(&best.before, &others.collect::<Vec<_>>());
                self.goal_met(steps, facts, goal)
                    .filter(|way| way.changes.len() < best.changes.len())
            });
            match fewer {
                Some(fewer) => best = fewer,
                None => break,
            }
        }
        for count in 1..=2 {
            if best.changes.len() <= count + approved {
                break;
            }
            if let Some(fewer) = self.by_few(steps, count, goal, best.changes.len()) {
                return fewer;
            }
        }
        best
    }

    /// A way by changing so many facts, one or two, and what follows from them; with fewer changes
    /// than some number.
    fn by_few(&mut self, steps: Steps, count: usize, goal: &Goal<'_>, most: usize) -> Option<Way> {
        let moves = self.single(steps & !Step::Approve.bit());
        let approved = usize::from(steps & Step::Approve.bit() != 0);
        let mut tried = |named: &[&Single]| {
            let mut facts = self.from.clone();
            for it in named {
                it.attribute.copy(&it.to, &mut facts);
            }
            let names: Vec<AttributeId> = named.iter().map(|it| it.attribute).collect();
            let free: Vec<Var> = named.iter().filter_map(|it| it.any).collect();
            if !free.is_empty() {
                let vector = self.ground.vector(&self.said(&facts, &names));
                let found = self.ended(steps, goal, &vector, &free)?;
                for var in free {
                    let domain = self.ground.space.domain(var)?;
                    let class = *found.get(usize::from(var))?;
                    let member = &domain.classes.get(class as usize)?.member;
                    member.put(domain.attribute, &mut facts);
                }
            }
            let mut way = self.goal_met(steps, self.said(&facts, &names), goal)?;
            if approved == 0 && names.len() < way.changes.len() {
                let shown = |id: AttributeId| (id, id.show(self.from), id.show(&way.facts));
                way.changes = names.into_iter().map(shown).collect();
            }
            Some(way).filter(|way| way.changes.len() < most)
        };
        if count == 1 {
            return moves.iter().find_map(|one| tried(&[one]));
        }
        let pairs = moves.iter().enumerate().flat_map(|(at, one)| {
            let others = moves.iter().skip(at + 1);
            let others = others.filter(|other| other.attribute != one.attribute);
            others.map(move |other| [one, other])
        });
        pairs.into_iter().find_map(|pair| tried(&pair))
    }

    /// Every fact by itself as some steps move it. Of which nothing follows but of their class,
    /// those of one class are one.
    fn single(&self, steps: Steps) -> Vec<Single> {
        let space = &self.ground.space;
        let client = AttributeId::named("client-ip");
        let is_client_told = client.is_some_and(|id| space.fine(id).is_some());
        let mut all: Vec<Single> = Vec::new();
        for (var, domain) in space.domains() {
            let name = domain.attribute.row().name;
            let is_alone = name == "path" || (name == "peer" && !is_client_told);
            let is_any = is_alone && space.fine(domain.attribute) == Some(var);
            let mut classes: FxHashSet<ClassId> = FxHashSet::default();
            for (class, it) in (0..).zip(&domain.classes) {
                let is_own = self.vector.get(usize::from(var)) == Some(&class);
                if is_own || !self.moves.any.allow(var, class, steps) {
                    continue;
                }
                let coarse = domain.coarse.get(class as usize);
                if is_any && !coarse.is_none_or(|coarse| classes.insert(*coarse)) {
                    continue;
                }
                let mut to = self.from.clone();
                it.member.put(domain.attribute, &mut to);
                all.push(Single {
                    attribute: domain.attribute,
                    to,
                    any: is_any.then_some(var),
                });
            }
        }
        all
    }

    /// A vector that ends where it is wanted, of those that differ from one in some variables only.
    fn ended(
        &mut self,
        steps: Steps,
        goal: &Goal<'_>,
        vector: &[ClassId],
        free: &[Var],
    ) -> Option<Vec<ClassId>> {
        goal.courses(steps).find_map(|course| {
            let mut tracks = course.tracks(self.moves.on(course), steps & !Step::Approve.bit());
            let fixed = (0..).zip(vector).filter(|(var, _)| {
                !free.contains(var) && !tracks.pinned.iter().any(|(pinned, _)| pinned == var)
            });
            let fixed: Vec<_> = fixed.map(|(var, class)| (var, [*class; 4])).collect();
            tracks.pinned.extend(fixed);
            let is_over = |at: &[Id; 4]| goal.is_over(course, at);
            let product = Product::new(&mut self.ground.arena, &tracks, is_over).ok()?;
            let price = |var, run| Some(self.moves.any.price(var, run, vector));
            let (_, found) = product.cheapest(vector, |_| true, price)?;
            Some(found)
        })
    }

    /// The way to a connection, where some steps lead to it and it is one that is looked for.
    fn goal_met(&self, steps: Steps, facts: Facts, goal: &Goal<'_>) -> Option<Way> {
        let vector = self.ground.vector(&facts);
        let own = steps & !Step::Approve.bit();
        let pending = self.ground.space.named("pending");
        let is_forgotten = facts.device == DeviceProof::Absent;
        let leads = |course: &Course| {
            let moves = self.moves.on(course);
            let mut moved = (0..).zip(vector.iter().zip(&self.vector));
            moved.all(|(var, (to, from)): (Var, (&ClassId, &ClassId))| {
                to == from || moves.allow(var, *to, own) || (is_forgotten && var == pending)
            })
        };
        let mut courses = goal.courses(steps);
        if !courses.any(|course| self.comes_to(goal, course, &vector) && leads(course)) {
            return None;
        }
        let way = self.way(steps, facts)?;
        Some(way).filter(|way| (goal.wanted)(&way.decision))
    }

    /// Whether a connection comes to what is wanted on a course.
    fn comes_to(&self, goal: &Goal<'_>, course: &Course, vector: &[ClassId]) -> bool {
        let own = |var: Var| vector.get(usize::from(var)).copied().unwrap_or_default();
        let mut ends = course.roots;
        for (place, end) in ends.iter_mut().enumerate() {
            let value = self.ground.arena.value(*end, |var| {
                let pinned = course.pinned.iter().find(|(pinned, _)| *pinned == var);
                let pinned = pinned.and_then(|(_, classes)| classes.get(place));
                pinned.copied().unwrap_or_else(|| own(var))
            });
            *end = Id::value(value);
        }
        !goal.is_over(course, &ends)
    }

    /// A way to a connection, held against the engine.
    fn way(&self, steps: Steps, mut facts: Facts) -> Option<Way> {
        // What is known of the scopes says more than their class.
        if self.from.scope_upgrade && !facts.scope_upgrade && steps & Step::Scopes.bit() != 0 {
            self.ask_for_approved(&mut facts);
        }
        let before = facts.clone();
        if steps & Step::Approve.bit() != 0 {
            let waiting = decide(self.program, &before).verdict.kind();
            let has_device = facts.device != DeviceProof::Absent;
            if waiting != VerdictKind::RequirePairing || !has_device {
                return None;
            }
            facts = approved(&before);
        }
        let can_be = broken(&facts).all(|assumption| self.excused.contains(&assumption.says));
        let decision = decide(self.program, &facts);
        let account = |step: Step| StepAccount {
            step,
            words: if step == Step::Approve {
                step::words(step, &before, &facts, self.subject)
            } else {
                step::words(step, self.from, &before, self.subject)
            },
        };
        // An approval comes last: there is nothing to approve before.
        let (last, first): (Vec<Step>, Vec<Step>) =
            Step::of(steps).partition(|step| *step == Step::Approve);
        let steps_told = first.into_iter().chain(last).map(account).collect();
        can_be.then(|| Way {
            steps: steps_told,
            changes: self.changes(steps, &facts),
            cost: step::cost(steps),
            before,
            facts,
            decision,
        })
    }

    fn ask_for_approved(&self, facts: &mut Facts) {
        let Some(approved) = &self.subject.approved_scopes else {
            return;
        };
        let known = approved
            .iter()
            .filter_map(|scope| crate::facts::Scope::parse(scope));
        let mut asked = facts.clone();
        asked.scopes = crate::facts::ScopeSet::of(&known.collect::<Vec<_>>());
        if self.ground.vector(&asked) == self.ground.vector(facts) {
            *facts = asked;
        }
    }

    /// The facts that are otherwise, without those that follow from the others.
    fn changes(&self, steps: Steps, facts: &Facts) -> Vec<(AttributeId, String, String)> {
        let differs = |id: &AttributeId| id.show(facts) != id.show(self.from);
        let mut changed: Vec<AttributeId> = AttributeId::all().filter(differs).collect();
        let goal = self.ground.vector(facts);
        let mut tried: Vec<AttributeId> = changed.iter().rev().copied().collect();
        // Where nothing is approved, what is remembered follows from what is asked for.
        let follows = |id: &AttributeId| id.row().name == "pairing";
        if steps & Step::Approve.bit() == 0 {
            tried.sort_by_key(|id| !follows(id));
        }
        for id in tried {
            let others: Vec<AttributeId> = changed.iter().copied().filter(|it| *it != id).collect();
            if self.ground.vector(&self.said(facts, &others)) == goal {
                changed = others;
            }
        }
        let shown = |id: AttributeId| (id, id.show(self.from), id.show(facts));
        changed.into_iter().map(shown).collect()
    }

    /// The connection with some facts of another one, and what follows from them.
    fn said(&self, facts: &Facts, named: &[AttributeId]) -> Facts {
        let mut told = self.from.clone();
        let mut names = Named::default();
        for id in named {
            id.copy(facts, &mut told);
            names.add(*id);
        }
        let kept = |assumption: &Assumption| !self.excused.contains(&assumption.says);
        complete(&mut told, &names, kept);
        told
    }
}

/// What was found together although it cannot be: under the constants of a release it may stay so.
fn excused(from: &Facts) -> Vec<&'static str> {
    broken(from).map(|assumption| assumption.says).collect()
}

/// What an approval makes of what is remembered.
fn approved(facts: &Facts) -> Facts {
    let mut approved = facts.clone();
    (APPROVED.apply)(&mut approved);
    approved
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::compile::compile;
    use crate::decide::tests::{facts, policy};
    use crate::explain::chart::BUDGET;

    fn bits(way: &Way) -> Steps {
        way.steps.iter().fold(0, |all, it| all | it.step.bit())
    }

    /// The sets of steps by which facts come to others, by the table alone.
    fn steps_between(from: &Facts, to: &Facts, subject: &Subject) -> Vec<Steps> {
        let mut sets = vec![0];
        for id in AttributeId::all().filter(|id| id.show(from) != id.show(to)) {
            let mut only = from.clone();
            id.copy(to, &mut only);
            let by = step::moves(id.row().name, from, &only, subject).by;
            sets = sets
                .iter()
                .flat_map(|set| by.iter().map(move |steps| set | steps))
                .collect();
        }
        sets
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 40,
            rng_seed: RngSeed::Fixed(8),
            max_shrink_iters: 50,
            ..ProptestConfig::default()
        })]

        /// Each way leads where it says, none is part of another, and no change of one or two
        /// facts, with what follows, leads there by fewer steps than all of them.
        #[test]
        fn ways_lead_there_and_none_is_shorter(
            checked in policy(),
            from in facts(),
            admit in any::<bool>(),
        ) {
            let mut from = from;
            complete(&mut from, &Named::default(), |_| true);
            prop_assume!(broken(&from).next().is_none());
            let program = compile(&checked);
            let subject = Subject::of_facts(&from);
            let too_large = |_| TestCaseError::reject("too large");
            let mut field = alone(&program, &from, &subject).map_err(too_large)?;
            let wanted = |decision: &Decision| decision.verdict.admits() == admit;
            let found = field.to(&wanted).map_err(|_| TestCaseError::reject("too large"))?;
            let cheapest = field.cheapest(&wanted, BESIDE);
            let cheapest = cheapest.map_err(|_| TestCaseError::reject("too large"))?;
            let most = found.all.first().map(|way| way.cost + BESIDE);
            let known = found.all.iter().filter(|way| Some(way.cost) <= most);
            let mut known: Vec<Steps> = known.map(bits).collect();
            let mut cheapest: Vec<Steps> = cheapest.all.iter().map(bits).collect();
            // Where there is none of few steps, those of many are all looked at.
            if found.most_steps > MOST_STEPS {
                known = found.all.iter().map(bits).collect();
            }
            known.sort_unstable();
            cheapest.sort_unstable();
            prop_assert_eq!(known, cheapest);
            for way in &found.all {
                prop_assert!(wanted(&decide(&program, &way.facts)));
                prop_assert!(broken(&way.facts).next().is_none());
                let others = found.all.iter().filter(|it| !std::ptr::eq(*it, way));
                for other in others {
                    prop_assert_ne!(bits(other) & !bits(way), 0, "{:?} {:?}", other.steps, way.steps);
                }
            }
            for (to, named) in near(&from) {
                let differs = from.role_upgrade != to.role_upgrade && from.role == to.role;
                let unseen = to.peer_uid != crate::facts::PeerUid::Unknown && !to.same_host;
                if broken(&to).next().is_some() || differs || unseen || !wanted(&decide(&program, &to)) {
                    continue;
                }
                for steps in steps_between(&from, &to, &subject) {
                    let cheapest = found.all.first().map(|way| way.cost);
                    prop_assert!(
                        cheapest.is_some_and(|cost| cost <= step::cost(steps))
                            || steps.count_ones() > found.most_steps,
                        "{:?} {:#?}", Step::of(steps).collect::<Vec<_>>(), to
                    );
                    let same = found.all.iter().filter(|way| bits(way) == steps);
                    for way in same {
                        prop_assert!(way.changes.len() <= named, "{:?} {:#?}", way.changes, to);
                    }
                    let shorter = found.all.iter().any(|way| bits(way) & !steps == 0);
                    prop_assert!(
                        shorter || steps.count_ones() > found.most_steps,
                        "{:?} {:#?}", Step::of(steps).collect::<Vec<_>>(), to
                    );
                }
            }
        }
    }

    /// What may be looked at in a test is no more than for one connection.
    fn alone<'a>(
        program: &'a Program,
        from: &'a Facts,
        subject: &'a Subject,
    ) -> Result<Field<'a>, OverBudget> {
        let mut ground = Ground::new(&[program], &[], BUDGET)?;
        let outcomes = ground.outcomes(program)?;
        let drawn = (ground, outcomes);
        Field::moving(program, drawn, Vec::new(), (from, subject), |found| found)
    }

    /// Connections that differ in one fact or two, with what follows, and in how many.
    fn near(from: &Facts) -> Vec<(Facts, usize)> {
        let values: Vec<_> = AttributeId::all()
            .flat_map(|id| {
                crate::facts::attributes::every_value(id)
                    .into_iter()
                    .map(move |value| (id, value))
            })
            .collect();
        let mut found = Vec::new();
        for (at, (one, first)) in values.iter().enumerate() {
            for (other, second) in values.iter().skip(at) {
                // A share of the pairs is enough: which, the place says.
                if one != other && (at + found.len()) % 7 != 0 {
                    continue;
                }
                let mut to = from.clone();
                let mut names = Named::default();
                if one.assign(&mut to, first).is_err() || other.assign(&mut to, second).is_err() {
                    continue;
                }
                names.add(*one);
                names.add(*other);
                complete(&mut to, &names, |_| true);
                found.push((to, if one == other { 1 } else { 2 }));
            }
        }
        found
    }

    /// What a step costs stands in the docs.
    #[test]
    fn what_steps_cost_is_told() {
        let told = include_str!("../../docs/explaining.md");
        for step in Step::ALL {
            let row = format!("| {} |", step.cost());
            let row = told.lines().find(|line| line.starts_with(&row));
            let name = format!("`{}`", step.name());
            assert!(row.is_some_and(|row| row.contains(&name)), "{name}");
        }
    }

    /// What is moved by nobody can be seen in the table: each attribute has its row.
    #[test]
    fn every_attribute_is_in_somebodys_hands() {
        let from = Facts::default();
        let subject = Subject::of_facts(&from);
        for id in AttributeId::all() {
            let moved = crate::facts::attributes::every_value(id)
                .into_iter()
                .any(|value| {
                    let mut to = from.clone();
                    id.assign(&mut to, &value).unwrap();
                    !step::moves(id.row().name, &from, &to, &subject)
                        .by
                        .is_empty()
                });
            // What was approved before is nobody's to change afterwards; a request comes by itself.
            let is_nobodys = matches!(id.row().name, "pending" | "role-upgrade");
            assert!(moved || is_nobodys, "{}", id.row().name);
        }
    }
}
