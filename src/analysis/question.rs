//! Whether there is any connection of which something is so. Nothing is built to answer that: the
//! first one that is found ends the search.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::answer::Answered;
use super::clauses::{Clauses, NONE, Way};
use super::diagram::{Arena, ClassId, Id, OverBudget, Var};
use super::ground::Ground;
use crate::compile::{ClauseId, Program};
use crate::facts::Facts;
use crate::lang::checked::Answer;
use crate::verdict::Verdict;

/// What is looked for, in a region.
#[derive(Clone, Copy)]
struct Question<'a> {
    program: &'a Program,
    clauses: &'a Clauses,
    ways: [Way; 2],
    region: Id,
    /// Only those that the rules before this one leave, in the first way.
    from: u32,
    asked: Asked<'a>,
}

/// What is asked of the verdicts that a connection gets in two ways.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Differ,
    /// Of the first one.
    Is(&'a dyn Fn(Verdict) -> bool),
}

impl Asked<'_> {
    fn is_so(self, one: Verdict, other: Verdict) -> bool {
        match self {
            Asked::Differ => one != other,
            Asked::Is(is_it) => is_it(one),
        }
    }
}

/// The answers in two ways.
type Pair = (Answer, Answer);

/// What is known of the verdicts of two answers before the facts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    /// It is so, whatever the facts are.
    So,
    NotSo,
    ByTheFacts,
}

impl Ground {
    /// Whether any connection is in a region.
    pub(crate) fn is_possible(&mut self, region: Id) -> Result<bool, OverBudget> {
        let all = [region, self.asked];
        let ends = |_: usize, id: Id| id == Id::NO;
        let judge = &mut |_: &Arena, all: [Id; 2], _: &[ClassId]| match all {
            [Id::NO, _] | [_, Id::NO] => Some(false),
            [Id::YES, _] | [_, Id::YES] => Some(true),
            [_, _] => None,
        };
        self.arena.find(all, &mut [], &ends, judge)
    }

    /// Whether some connection of a region, of those that the rules before one leave, gets other
    /// verdicts in two ways.
    pub(crate) fn differs(
        &mut self,
        program: &Program,
        clauses: &Clauses,
        ways: [Way; 2],
        region: Id,
        from: u32,
    ) -> Result<bool, OverBudget> {
        let [one, other] = ways.map(|way| way.guards);
        // Where the same guard rejects, the rules do not matter.
        let region = match one == other && one == clauses.way.guards {
            true => self.arena.and(region, clauses.open)?,
            false => region,
        };
        self.any(Question {
            program,
            clauses,
            ways,
            region,
            from,
            asked: Asked::Differ,
        })
    }

    /// Whether the policy gives some connection of a region a verdict that is looked for.
    pub(crate) fn some(
        &mut self,
        program: &Program,
        clauses: &Clauses,
        region: Id,
        wanted: &dyn Fn(Verdict) -> bool,
    ) -> Result<bool, OverBudget> {
        self.any(Question {
            program,
            clauses,
            ways: [clauses.answers, clauses.answers],
            region,
            from: 0,
            asked: Asked::Is(wanted),
        })
    }

    /// Whether a clause that is looked for decides for some connection of a region, of those that the
    /// rules before one leave.
    pub(crate) fn decides(
        &mut self,
        program: &Program,
        clauses: &Clauses,
        region: Id,
        from: u32,
        is_it: impl Fn(ClauseId) -> bool,
    ) -> Result<bool, OverBudget> {
        let all = [region, self.asked, clauses.way.guards, clauses.way.rules];
        let ends = |place: usize, id: Id| place < 2 && id == Id::NO;
        let judge = &mut |_: &Arena, all: [Id; 4], _: &[ClassId]| {
            let [region, asked, guards, rule] = all;
            if region == Id::NO || asked == Id::NO {
                return Some(false);
            }
            let rule = rule.as_value()?;
            if rule < from {
                return Some(false);
            }
            let guards = guards.as_value()?;
            let by = Answered::new(program, &clauses.states, guards, rule).by;
            match is_it(by) {
                false => Some(false),
                true => (region == Id::YES && asked == Id::YES).then_some(true),
            }
        };
        self.arena.find(all, &mut [], &ends, judge)
    }

    /// The rules of which each is the first to hold for some connection of a region, in some way.
    pub(crate) fn takers(&mut self, way: Way, region: Id) -> Result<BTreeSet<u32>, OverBudget> {
        let mut takers = BTreeSet::new();
        let all = [region, self.asked, way.rules, way.others];
        let ends = |place: usize, id: Id| place < 2 && id == Id::NO;
        let judge = &mut |_: &Arena, all: [Id; 4], _: &[ClassId]| {
            let [region, asked, rules, others] = all;
            if region == Id::NO || asked == Id::NO {
                return Some(false);
            }
            let rule = first(rules, others)?;
            if takers.contains(&rule) {
                return Some(false);
            }
            if region == Id::YES && asked == Id::YES {
                takers.insert(rule);
                return Some(false);
            }
            None
        };
        self.arena.find(all, &mut [], &ends, judge)?;
        Ok(takers)
    }

    /// Whether any connection of the region is as asked.
    fn any(&mut self, question: Question<'_>) -> Result<bool, OverBudget> {
        let mut open = Vec::new();
        if self.search(question, None, &mut open)? {
            return Ok(true);
        }
        for answers in open {
            let (one, of_one) = self.all_verdicts(answers.0)?;
            let (other, of_other) = self.all_verdicts(answers.1)?;
            let so = &mut |one: u32, other: u32| {
                let verdicts = of_one.get(one as usize).zip(of_other.get(other as usize));
                u32::from(verdicts.is_some_and(|it| question.asked.is_so(*it.0, *it.1)))
            };
            let where_so = self.arena.combined(one, other, so)?;
            if self.search(question, Some((answers, where_so)), &mut Vec::new())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The search; the answers of which the facts would have to say more are left open. With `only`,
    /// it is for those with two answers, and of them for those where that is so.
    fn search(
        &mut self,
        question: Question<'_>,
        only: Option<(Pair, Id)>,
        open: &mut Vec<Pair>,
    ) -> Result<bool, OverBudget> {
        let barred = self.barred()?;
        let mut vector = self.vector(&Facts::default());
        let Question {
            program,
            clauses,
            ways: [one, other],
            region,
            from,
            asked,
        } = question;
        let states = &clauses.states;
        let tables = &self.tables;
        let mut known: FxHashMap<([u32; 4], u32), (Judged, Pair)> = FxHashMap::default();
        let mut judge_values = |barred_is: u32, values: [u32; 4]| {
            *known.entry((values, barred_is)).or_insert_with(|| {
                let [guards, rule, other_guards, other_rule] = values;
                let one = Answered::new(program, states, guards, rule);
                let other = Answered::new(program, states, other_guards, other_rule);
                let answers = (one.answer, other.answer);
                let judged = match only {
                    Some((wanted, _)) if wanted == answers => Judged::So,
                    Some(_) => Judged::NotSo,
                    None => {
                        let barred = barred.all.get(barred_is as usize).copied().flatten();
                        let verdicts = |it: &Answered| match barred {
                            Some((verdict, _)) if !it.refuses() => Some(vec![verdict]),
                            Some(_) | None => tables.verdicts_of(it.answer),
                        };
                        match (verdicts(&one), verdicts(&other)) {
                            (Some(one), Some(other)) => judged(answers, &one, &other, asked),
                            // What guards come to without one of them was not asked about yet.
                            (_, _) => Judged::ByTheFacts,
                        }
                    }
                };
                (judged, answers)
            })
        };
        let judge = &mut |arena: &Arena, all: [Id; 10], vector: &[ClassId]| {
            let [
                region,
                possible,
                where_so,
                barred,
                one,
                rule,
                behind,
                other,
                other_rule,
                other_behind,
            ] = all;
            if [region, possible, where_so].contains(&Id::NO) {
                return Some(false);
            }
            let (rule, other_rule) = (first(rule, behind), first(other_rule, other_behind));
            if rule.is_some_and(|rule| rule < from) {
                return Some(false);
            }
            let values = [one.as_value(), rule, other.as_value(), other_rule];
            let values = match (asked, values) {
                // What is answered alike under the same guards is decided alike.
                (Asked::Differ, [_, Some(rule), _, Some(other_rule)])
                    if one == other
                        && program.block(ClauseId(rule)).answer
                            == program.block(ClauseId(other_rule)).answer =>
                {
                    return Some(false);
                }
                // Where guards reject, the rules do not matter.
                (_, [Some(one), rule, Some(other), other_rule])
                    if states.rejects(one) && states.rejects(other) =>
                {
                    let any = program.default.id.0;
                    [one, rule.unwrap_or(any), other, other_rule.unwrap_or(any)]
                }
                (_, [Some(one), Some(rule), Some(other), Some(other_rule)]) => {
                    [one, rule, other, other_rule]
                }
                (_, _) => return None,
            };
            let (judged, answers) = judge_values(barred.as_value()?, values);
            if judged == Judged::NotSo {
                return Some(false);
            }
            if [region, possible, where_so] != [Id::YES; 3] {
                return None;
            }
            if judged == Judged::So {
                return Some(true);
            }
            // What nobody asked for yet is as usual; it might be otherwise too.
            let class = |var: Var| vector.get(usize::from(var)).copied().unwrap_or_default();
            let verdict = |answer| tables.verdict(answer, |root| arena.value(root, class));
            let verdicts = verdict(answers.0).zip(verdict(answers.1));
            let is_found = verdicts.is_some_and(|(one, other)| asked.is_so(one, other));
            if !is_found && !open.contains(&answers) {
                open.push(answers);
            }
            Some(is_found)
        };
        let where_so = only.map_or(Id::YES, |(_, where_so)| where_so);
        let ends = |place: usize, id: Id| place < 3 && id == Id::NO;
        let all = [
            region,
            self.asked,
            where_so,
            barred.root,
            one.guards,
            one.rules,
            one.others,
            other.guards,
            other.rules,
            other.others,
        ];
        self.arena.find(all, &mut vector, &ends, judge)
    }
}

/// The rule that is the first to hold, where that is known.
fn first(rules: Id, others: Id) -> Option<u32> {
    match rules.as_value() {
        Some(NONE) => others.as_value(),
        known => known,
    }
}

fn judged(answers: Pair, one: &[Verdict], other: &[Verdict], asked: Asked<'_>) -> Judged {
    let mut is_so = false;
    let mut is_not = false;
    let mut add = |one: Verdict, other: Verdict| match asked.is_so(one, other) {
        true => is_so = true,
        false => is_not = true,
    };
    if answers.0 == answers.1 {
        // By the same facts they are the same verdict.
        one.iter().for_each(|verdict| add(*verdict, *verdict));
    } else {
        for one in one {
            other.iter().for_each(|other| add(*one, *other));
        }
    }
    match (is_so, is_not) {
        (true, false) => Judged::So,
        (true, true) => Judged::ByTheFacts,
        (false, _) => Judged::NotSo,
    }
}
