//! A policy as a table in which order does not count: of each clause what it decides, and under
//! which conditions, of which no two hold together.

use std::collections::BTreeMap;

use super::diagram::{Budget, Id, OverBudget};
use super::difference::Side;
use super::ground::Ground;
use super::names::Names;
use super::region::{Cover, Regions};
use crate::compile::ClauseId;
use crate::decide::{Decision, Law};
use crate::verdict::Verdict;

/// What a clause decides in one way.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) by: ClauseId,
    /// The law that makes it of the clause's answer, if one does.
    pub(crate) law: Option<Law>,
    /// One verdict, or those of one kind that only differ in why.
    pub(crate) verdicts: Vec<Verdict>,
    /// How much of what could be said it is decided for.
    pub(crate) share: f64,
    /// What it is decided for.
    held: Id,
}

/// A policy as entries that have nothing in common, and that are together all connections.
#[derive(Debug)]
pub(crate) struct DecisionTable {
    ground: Ground,
    names: Names,
    /// In the order of clauses: guards, rules, the default.
    pub(crate) entries: Vec<Entry>,
    /// What was given last, and what that is together: mostly it is given again.
    given: (Vec<Id>, Id),
}

impl DecisionTable {
    /// The table of a policy.
    pub(crate) fn new(side: Side<'_>, budget: Budget) -> Result<Self, OverBudget> {
        let names = Names::new(&[(side.program, side.vocabulary)]);
        let mut ground = Ground::new(&[side.program], &names.beside(), budget)?;
        let outcomes = ground.outcomes(side.program)?;
        let mut by_clause: BTreeMap<ClauseId, Vec<Entry>> = BTreeMap::new();
        for decision in &outcomes.decisions {
            let own = by_clause.entry(decision.by).or_default();
            match own.iter_mut().find(|it| it.has(decision)) {
                Some(entry) if entry.verdicts.contains(&decision.verdict) => {}
                Some(entry) => entry.verdicts.push(decision.verdict),
                None => own.push(Entry {
                    by: decision.by,
                    law: decision.law,
                    verdicts: vec![decision.verdict],
                    share: 0.0,
                    held: Id::NO,
                }),
            }
        }
        let mut entries: Vec<Entry> = by_clause.into_values().flatten().collect();
        entries.sort_by_key(|entry| {
            let kind = entry.verdicts.first().map(|it| it.kind());
            (entry.by, entry.law.is_some(), std::cmp::Reverse(kind))
        });
        let place = |value: u32| {
            let decision = outcomes.decision(value)?;
            let first = entries.partition_point(|entry| entry.by < decision.by);
            let behind = entries.iter().skip(first);
            let mut own = behind.take_while(|entry| entry.by == decision.by);
            let at = own.position(|entry| entry.has(decision))?;
            u32::try_from(first + at).ok()
        };
        let parts = ground.arena.parted(outcomes.root, place)?;
        for (at, held) in parts {
            if let Some(entry) = entries.get_mut(at as usize) {
                entry.held = held;
                entry.share = ground.share(held);
            }
        }
        Ok(DecisionTable {
            ground,
            names,
            entries,
            given: (Vec::new(), Id::NO),
        })
    }

    /// The conditions of an entry, at most so many, no two of which hold together.
    pub(crate) fn rows(&mut self, entry: &Entry, most: usize) -> Result<Regions, OverBudget> {
        self.ground
            .covered(entry.held, &self.names, most, Cover::Disjoint)
    }

    /// The same of several entries together, where it is given that one of others decides: what
    /// goes without saying there is not said.
    pub(crate) fn rows_given(
        &mut self,
        of: &dyn Fn(&Entry) -> bool,
        given: &dyn Fn(&Entry) -> bool,
        most: usize,
    ) -> Result<Regions, OverBudget> {
        let held = self.held(of);
        let held = self.together(&held)?;
        let all = self.held(given);
        if self.given.0 != all {
            self.given = (all.clone(), self.together(&all)?);
        }
        let given = self.given.1;
        let all = std::mem::replace(&mut self.ground.assumed, given);
        let found = self
            .ground
            .covered(held, &self.names, most, Cover::Disjoint);
        self.ground.assumed = all;
        let mut found = found?;
        for region in &mut found.all {
            region.share = self.ground.share(region.held);
        }
        Ok(found)
    }

    /// What each of some entries is decided for.
    fn held(&self, of: &dyn Fn(&Entry) -> bool) -> Vec<Id> {
        let some = self.entries.iter().filter(|entry| of(entry));
        some.map(|entry| entry.held).collect()
    }

    /// All of that together.
    fn together(&mut self, held: &[Id]) -> Result<Id, OverBudget> {
        let mut all = Id::NO;
        for held in held {
            all = self.ground.arena.or(all, *held)?;
        }
        Ok(all)
    }

    /// A connection of a region as flags of `gw explain`.
    pub(crate) fn told(&self, region: &super::Region) -> String {
        self.ground.told(&region.example)
    }
}

impl Entry {
    /// Whether a decision is told in this entry: what refuses may do so for several reasons.
    fn has(&self, decision: &Decision) -> bool {
        let is_like = |verdict: &Verdict| match verdict.admits() {
            true => *verdict == decision.verdict,
            false => verdict.kind() == decision.verdict.kind(),
        };
        (self.by, self.law) == (decision.by, decision.law)
            && self.verdicts.first().is_some_and(is_like)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{RngSeed, TestRunner};

    use super::*;
    use crate::analysis::Var;
    use crate::analysis::region::{are_exact, vocabulary};
    use crate::decide::decide;
    use crate::decide::tests::facts;
    use crate::facts::Facts;
    use crate::facts::assumptions::{Named, broken, complete};
    use crate::policy::Policy;

    fn small() -> Policy {
        let text = include_str!("../../fixtures/show/small.policy");
        Policy::parse("small.policy", text).unwrap()
    }

    fn table(policy: &Policy) -> DecisionTable {
        let side = Side {
            program: policy.program(),
            checked: policy.checked(),
            vocabulary: policy.vocabulary(),
        };
        let budget = Budget {
            nodes: 10_000_000,
            steps: 1_000_000_000,
        };
        DecisionTable::new(side, budget).unwrap()
    }

    /// Every connection is in one row, which says just what it holds, and is decided as it says there.
    #[test]
    fn rows_are_apart_and_all_of_them_are_every_connection() {
        let policy = small();
        let mut table = table(&policy);
        let vocabulary = vocabulary(&policy);
        let mut all = Id::NO;
        let mut share = 0.0;
        for entry in table.entries.clone() {
            let rows = table.rows(&entry, 10_000).unwrap();
            assert!(!rows.is_cut);
            are_exact(&mut table.ground, &rows, entry.held, &vocabulary).unwrap();
            for row in rows.all {
                let both = table.ground.arena.and(all, row.held).unwrap();
                assert_eq!(both, Id::NO, "{}", row.text);
                all = table.ground.arena.or(all, row.held).unwrap();
                let decision = decide(policy.program(), &row.example);
                let told = (entry.by, entry.law);
                assert_eq!((decision.by, decision.law), told, "{}", row.text);
                assert!(entry.verdicts.contains(&decision.verdict), "{}", row.text);
            }
            share += entry.share;
        }
        assert_eq!(all, table.ground.assumed);
        assert!((share - 1.0).abs() < 1e-9);
    }

    /// Of the default policy every random connection falls in one row, and the engine answers it as
    /// that row says; so where what goes without saying is left out.
    #[test]
    fn a_shipped_policy_is_told_exactly() {
        let text = include_str!("../../policies/default.policy");
        let policy = Policy::parse("default.policy", text).unwrap();
        let mut table = table(&policy);
        let mut rows = Vec::new();
        let mut given = Vec::new();
        for entry in table.entries.clone() {
            let found = table.rows(&entry, 1_000).unwrap();
            assert!(!found.is_cut);
            rows.extend(found.all.into_iter().map(|row| (row.held, entry.clone())));
            let is_it = |it: &Entry| it.held == entry.held;
            let is_beside = |it: &Entry| it.by >= entry.by;
            let found = table.rows_given(&is_it, &is_beside, 1_000).unwrap();
            assert!(!found.is_cut);
            given.extend(found.all.into_iter().map(|row| (row.held, entry.clone())));
        }
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 2_000,
            rng_seed: RngSeed::Fixed(11),
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let told = |facts: Facts| {
            let mut facts = facts;
            complete(&mut facts, &Named::default(), |_| true);
            prop_assume!(broken(&facts).next().is_none());
            let vector = table.ground.vector(&facts);
            let class = |var: Var| vector.get(usize::from(var)).copied().unwrap_or_default();
            let decision = decide(policy.program(), &facts);
            for rows in [&rows, &given] {
                let mut of_it = rows
                    .iter()
                    .filter(|(held, _)| table.ground.arena.value(*held, class) == 1);
                let (_, entry) = of_it.next().unwrap();
                prop_assert!(of_it.next().is_none(), "{facts:#?} is in two rows");
                prop_assert_eq!((entry.by, entry.law), (decision.by, decision.law));
                prop_assert!(entry.verdicts.contains(&decision.verdict));
            }
            Ok(())
        };
        runner.run(&facts(), told).unwrap();
    }
}
