//! Deciding: a program and facts in, a decision out. It cannot fail, wait, look anything up,
//! or allocate.
//!
//! The whole algorithm is `run`. What was looked at can be watched ([`traced`]), by the
//! same code.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod decision;
#[cfg(test)]
#[path = "../../tests/support/naive.rs"]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the twin says only what it is about"
)]
pub(crate) mod naive;
#[cfg(test)]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "generators cover the types they name"
)]
pub(crate) mod tests;
pub mod trace;

use crate::compile::narrowed::{Everything, Narrowed};
use crate::compile::program::{HIT, MISS};
use crate::compile::{Block, ClauseId, Program};
use crate::facts::{Auth, DeviceProof, Facts, Pairing, PendingRequest, ScopeSet, Stage};
use crate::lang::checked::{Answer, Role};
use crate::verdict::{Grant, Reason, ScopeBound, Verdict, pairing_reason};

pub use decision::{Decision, Law};
pub use trace::Trace;
use trace::Watch;

/// Decides a connection of which all facts are known.
///
/// The first rule whose terms all hold gives a verdict, else the default does; then every
/// guard that holds restricts it; then the laws that no policy can lift.
#[must_use]
pub fn decide(program: &Program, facts: &Facts) -> Decision {
    match program.index.word(facts) {
        Some(word) => run(program, facts, &word, &mut ()),
        None => {
            let mut wide = program.index.wide();
            wide.find(facts);
            run(program, facts, &wide, &mut ())
        }
    }
}

/// The same decision, with everything that it looked at.
#[must_use]
pub fn traced(program: &Program, facts: &Facts) -> (Decision, Trace) {
    let mut trace = Trace::default();
    let decision = run(program, facts, &Everything, &mut trace);
    (decision, trace)
}

/// Decides what can be decided when only the socket and the HTTP head are known: whether a
/// guard `at upgrade` refuses. `None` means that the connection goes on.
#[must_use]
pub fn at_upgrade(program: &Program, facts: &Facts) -> Option<(ClauseId, Reason)> {
    let guards = program
        .guards
        .iter()
        .filter(|guard| guard.role == Role::Guard(Stage::Upgrade));
    for guard in guards {
        if let Answer::Reject(reason) = guard.answer
            && holds(program, guard, facts, &mut ())
        {
            return Some((guard.id, reason));
        }
    }
    None
}

/// Decides of a request that no connect frame follows, and that asks for no admission: whether any
/// guard refuses it that asks only for the socket and the head.
#[must_use]
pub fn of_page(program: &Program, facts: &Facts) -> Option<(ClauseId, Reason)> {
    program.guards.iter().find_map(|guard| {
        let Answer::Reject(reason) = guard.answer else {
            return None;
        };
        let refuses =
            asks_by(program, guard, Stage::Upgrade) && holds(program, guard, facts, &mut ());
        refuses.then_some((guard.id, reason))
    })
}

/// Whether all that a clause asks for is known at a stage.
pub(crate) fn asks_by(program: &Program, block: &Block, stage: Stage) -> bool {
    block.terms.clone().all(|term| {
        let mut asked = program.instructions_of(term).iter();
        asked.all(|it| it.attribute.row().stage <= stage)
    })
}

fn run<N: Narrowed>(
    program: &Program,
    facts: &Facts,
    narrowed: &N,
    watch: &mut impl Watch,
) -> Decision {
    let mut trial = None;
    let mut rule = &program.default;
    for block in candidates(&program.rules, program.guards.len(), narrowed) {
        // A second trial would not have been reached either.
        if block.role == Role::Trial && trial.is_some() {
            continue;
        }
        if applies::<N>(program, block, facts, watch) {
            if block.role == Role::Trial {
                trial = Some(block);
            } else {
                rule = block;
                break;
            }
        }
    }
    if rule.id == program.default.id {
        watch.clause(rule.id, true);
    }
    let restriction = Restriction::of(program, narrowed, facts, watch);
    // Of most connections a clause says all: its verdict is not worked out again.
    if let (Some(verdict), None) = (rule.fixed, trial)
        && restriction.is_none()
        && is_plain(verdict, facts)
    {
        return Decision {
            verdict,
            by: rule.id,
            rule: rule.id,
            law: None,
            trial: None,
        };
    }
    let (verdict, by, law) = restriction.apply(rule, facts);
    let trial = trial.map(|block| (block.id, restriction.apply(block, facts).0));
    Decision {
        verdict,
        by,
        rule: rule.id,
        law,
        trial,
    }
}

/// The clauses of a list that can apply, in order; the first stands at a place among all clauses.
#[inline]
fn candidates<'a>(
    blocks: &'a [Block],
    first: usize,
    narrowed: &impl Narrowed,
) -> impl Iterator<Item = &'a Block> {
    let places = narrowed.within(first..first + blocks.len());
    places.filter_map(move |at| blocks.get(at - first))
}

/// Whether all terms of a clause hold. Of one that the index let through, only what the
/// index does not settle is tested.
#[inline]
fn applies<N: Narrowed>(
    program: &Program,
    block: &Block,
    facts: &Facts,
    watch: &mut impl Watch,
) -> bool {
    if !N::SETTLES {
        return holds(program, block, facts, watch);
    }
    program.left.of(block.id).iter().all(|index| {
        let entry = program
            .terms
            .get(*index as usize)
            .map_or(MISS, |term| term.entry);
        reaches_hit(program, entry, facts, watch)
    })
}

/// Whether all terms of a clause hold.
fn holds(program: &Program, block: &Block, facts: &Facts, watch: &mut impl Watch) -> bool {
    let range = block.terms.start as usize..block.terms.end as usize;
    let terms = program.terms.get(range).unwrap_or_default();
    let mut matched = true;
    for (index, term) in (block.terms.start..).zip(terms) {
        let held = reaches_hit(program, term.entry, facts, watch);
        watch.term(index, held);
        if !held {
            matched = false;
            break;
        }
    }
    watch.clause(block.id, matched);
    matched
}

/// A clause with all its terms, also those behind one that does not hold.
#[must_use]
pub(crate) fn looked_through(program: &Program, block: &Block, facts: &Facts) -> trace::Seen {
    let mut trace = Trace::default();
    let range = block.terms.start as usize..block.terms.end as usize;
    let terms = program.terms.get(range).unwrap_or_default();
    let mut matched = true;
    for (index, term) in (block.terms.start..).zip(terms) {
        let held = reaches_hit(program, term.entry, facts, &mut trace);
        trace.term(index, held);
        matched &= held;
    }
    trace.clause(block.id, matched);
    let seen = trace.clauses.pop();
    seen.unwrap_or(trace::Seen {
        id: block.id,
        matched,
        terms: Vec::new(),
    })
}

/// Whether a term holds.
#[must_use]
pub(crate) fn term_holds(program: &Program, term: u32, facts: &Facts) -> bool {
    let term = program.terms.get(term as usize);
    term.is_some_and(|term| reaches_hit(program, term.entry, facts, &mut ()))
}

/// Follows the tests from an entry to their end. Targets lie ahead, so it ends.
fn reaches_hit(program: &Program, entry: u32, facts: &Facts, watch: &mut impl Watch) -> bool {
    let mut at = entry;
    while at < MISS {
        let Some(instruction) = program.instructions.get(at as usize) else {
            return false;
        };
        let held = instruction.test.holds(facts);
        watch.test(instruction.attribute, instruction.span, held);
        at = if held {
            instruction.hit
        } else {
            instruction.miss
        };
    }
    at == HIT
}

/// What the guards that hold come to together.
struct Restriction {
    reject: Option<(ClauseId, Reason)>,
    pairing: Option<(ClauseId, Verdict)>,
    cap: ScopeSet,
}

impl Restriction {
    fn of<N: Narrowed>(
        program: &Program,
        narrowed: &N,
        facts: &Facts,
        watch: &mut impl Watch,
    ) -> Self {
        let mut all = Restriction {
            reject: None,
            pairing: None,
            cap: ScopeSet::ANY,
        };
        if program.guards.is_empty() {
            return all;
        }
        for guard in candidates(&program.guards, 0, narrowed) {
            if !applies::<N>(program, guard, facts, watch) {
                continue;
            }
            if let Answer::Cap(scopes) = guard.answer {
                all.cap = all.cap.intersection(scopes);
            }
            match guard.answer.verdict(facts) {
                Some(Verdict::Reject(reason)) => {
                    // The first one gives the reason, and nothing restricts further.
                    all.reject = Some((guard.id, reason));
                    break;
                }
                Some(verdict) => all.pairing = all.pairing.or(Some((guard.id, verdict))),
                None => {}
            }
        }
        all
    }

    /// Whether nothing is restricted.
    #[inline]
    fn is_none(&self) -> bool {
        self.reject.is_none() && self.pairing.is_none() && self.cap == ScopeSet::ANY
    }

    /// The verdict of a rule under these guards and the laws, the clause it comes from, and
    /// the law that changed it.
    fn apply(&self, rule: &Block, facts: &Facts) -> (Verdict, ClauseId, Option<Law>) {
        let own = rule
            .answer
            .verdict(facts)
            .unwrap_or(Verdict::Reject(Reason::NotPermitted));
        let (verdict, by) = match (self.reject, self.pairing) {
            (Some((guard, reason)), _) => (Verdict::Reject(reason), guard),
            (None, Some((guard, pairing))) if own.admits() => (pairing, guard),
            (None, _) => (own, rule.id),
        };
        let verdict = match self.cap == ScopeSet::ANY {
            true => verdict,
            false => capped(verdict, self.cap),
        };
        let (verdict, law) = lawful(verdict, facts);
        (verdict, by, law)
    }
}

pub(crate) fn capped(verdict: Verdict, cap: ScopeSet) -> Verdict {
    match verdict {
        Verdict::Approve(grant) => Verdict::Approve(Grant {
            cap: grant.cap.intersection(cap),
            ..grant
        }),
        Verdict::SilentApprove(grant) => Verdict::SilentApprove(Grant {
            cap: grant.cap.intersection(cap),
            ..grant
        }),
        Verdict::Reject(_) | Verdict::RequirePairing(_) => verdict,
    }
}

/// Whether no law says anything: so it is of most connections, which are not held against one law
/// after the other.
#[inline]
fn is_plain(verdict: Verdict, facts: &Facts) -> bool {
    let is_plain = (facts.device == DeviceProof::Proven)
        & (facts.auth != Auth::Failed)
        & !facts.outside_role
        & ((facts.pending == PendingRequest::None) | (facts.pending == PendingRequest::Silent));
    is_plain | matches!(verdict, Verdict::Reject(_))
}

/// What no policy can lift.
pub(crate) fn lawful(verdict: Verdict, facts: &Facts) -> (Verdict, Option<Law>) {
    if is_plain(verdict, facts) {
        return (verdict, None);
    }
    // Not even a request is kept: were it, a guard that asks for pairing would turn a
    // refusal into a wait, and guards only restrict.
    if let Some(reason) = Reason::barred(facts) {
        return (Verdict::Reject(reason), Some(Law::Barred));
    }
    match verdict {
        Verdict::RequirePairing(_) if facts.device == DeviceProof::Absent => (
            Verdict::Reject(Reason::DeviceRequired),
            Some(Law::DeviceRequired),
        ),
        Verdict::SilentApprove(grant) if facts.device == DeviceProof::Absent => {
            (Verdict::Approve(grant), Some(Law::NothingToRecord))
        }
        Verdict::SilentApprove(grant) if approves_nothing(grant, facts) => (verdict, None),
        Verdict::SilentApprove(_) if facts.outside_role => (
            Verdict::RequirePairing(pairing_reason(facts)),
            Some(Law::OutsideRole),
        ),
        Verdict::SilentApprove(_)
            if !matches!(facts.pending, PendingRequest::None | PendingRequest::Silent) =>
        {
            (
                Verdict::RequirePairing(pairing_reason(facts)),
                Some(Law::RequestWaits),
            )
        }
        Verdict::Reject(_)
        | Verdict::RequirePairing(_)
        | Verdict::Approve(_)
        | Verdict::SilentApprove(_) => (verdict, None),
    }
}

/// Whether a silent approval has nothing to approve: the record has all that the session gets.
fn approves_nothing(grant: Grant, facts: &Facts) -> bool {
    match facts.pairing {
        Pairing::Paired => true,
        Pairing::Upgrade => {
            grant.scopes == ScopeBound::Approved && !facts.role_upgrade && !facts.metadata_upgrade
        }
        Pairing::None | Pairing::Unpaired | Pairing::KeyChanged => false,
    }
}
