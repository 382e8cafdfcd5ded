//! Regions: which connections a diagram lets through, as few conditions in the words of the
//! policies at hand, each with a connection that it speaks of.
//!
//! A region is a cube, and definitions by name beside it. It is made around one connection, by
//! letting go of everything that nothing depends on: what no connection can be counts as let
//! through, so that what follows from the rest is not said. None says more than is so, and all of
//! them together say all. They may overlap ([`Cover::Overlapping`]), since apart they are more, and
//! longer.

use std::cmp::Reverse;

use rustc_hash::{FxHashMap, FxHashSet};

use super::cube::{Cube, Runs};
use super::diagram::{ClassId, Id, OverBudget, Var};
use super::ground::Ground;
use super::names::Names;
use super::term;
use super::witness::alike;
use crate::facts::{AttributeId, Auth, AuthFailure, Facts, Provenance, Stage};

/// How many definitions a region may be told by.
const MOST_NAMES: usize = 3;

/// Some connections that a condition tells from all others.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    /// The condition, as a policy has it.
    pub(crate) text: String,
    /// One of the connections.
    pub(crate) example: Facts,
    /// How much of what could be said they are.
    pub(crate) share: f64,
    /// The connections, where they can be.
    pub(crate) held: Id,
}

/// The regions of a diagram, the largest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Regions {
    pub(crate) all: Vec<Region>,
    /// Whether there are more than were asked for.
    pub(crate) is_cut: bool,
}

/// How regions lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cover {
    /// Each is as large as it can be, and none is in the others together.
    Overlapping,
    /// No connection is in two of them.
    Disjoint,
}

/// What is made of one connection.
struct Found {
    cube: Cube,
    /// The definitions that hold, or do not.
    by_name: Vec<usize>,
    /// How many of all vectors it has, as a share.
    takes: f64,
    /// How much there is to read.
    cost: f64,
}

/// A definition that holds, or that does not.
struct Literal {
    text: String,
    holds: Id,
    /// What it asks for.
    support: FxHashSet<Var>,
}

/// A search for regions.
struct Search<'a> {
    names: &'a Names,
    literals: Vec<Literal>,
    /// In which order variables are let go of.
    order: Vec<Var>,
    /// Where some definitions hold: what may be let through, and what a connection can be.
    upper: FxHashMap<Vec<usize>, (Id, Id)>,
    left: Id,
}

impl Ground {
    /// How much of what could be said a condition holds for.
    pub(crate) fn share(&mut self, condition: Id) -> f64 {
        let of = |id: Id| self.arena.shares(id).get(&1).copied().unwrap_or(0.0);
        let all = match self.whole {
            Some((known, share)) if known == self.assumed => share,
            _ => of(self.assumed),
        };
        self.whole = Some((self.assumed, all));
        of(condition) / all
    }

    /// The regions of a condition: at most so many.
    pub(crate) fn regions(
        &mut self,
        condition: Id,
        names: &Names,
        most: usize,
    ) -> Result<Regions, OverBudget> {
        self.covered(condition, names, most, Cover::Overlapping)
    }

    /// The same, as they shall lie to each other.
    pub(crate) fn covered(
        &mut self,
        condition: Id,
        names: &Names,
        most: usize,
        cover: Cover,
    ) -> Result<Regions, OverBudget> {
        let whole = self.arena.and(condition, self.assumed)?;
        let cannot_be = self.arena.not(self.assumed)?;
        let upper = self.arena.or(whole, cannot_be)?;
        let mut literals = Vec::new();
        for (name, holds) in names.drawn(self)? {
            let opposite = self.arena.not(holds)?;
            let support = self.arena.support(holds);
            literals.push(Literal {
                text: format!("not {name}"),
                holds: opposite,
                support: support.clone(),
            });
            literals.push(Literal {
                text: name,
                holds,
                support,
            });
        }
        let mut search = Search {
            names,
            literals,
            order: self.order(names),
            upper: FxHashMap::from_iter([(Vec::new(), (upper, self.assumed))]),
            left: whole,
        };
        // Who shows the right token is told more often than others.
        let usual = self.vector(&Facts {
            auth: Auth::Token,
            auth_failure: AuthFailure::None,
            secret_sent: true,
            ..Facts::default()
        });
        let mut regions = Regions::default();
        while let Some((_, seed)) = self.nearest(search.left, |value| value == 1, &usual, &alike) {
            if regions.all.len() == most {
                regions.is_cut = true;
                break;
            }
            let found = search.around(self, &seed)?;
            let mut held = self.arena.cube(&found.cube)?;
            for literal in found
                .by_name
                .iter()
                .filter_map(|at| search.literals.get(*at))
            {
                held = self.arena.and(held, literal.holds)?;
            }
            held = self.arena.and(held, self.assumed)?;
            let gone = self.arena.not(held)?;
            let left = self.arena.and(search.left, gone)?;
            // What is made of a connection has that connection in it.
            if left == search.left {
                regions.is_cut = true;
                break;
            }
            search.left = left;
            if cover == Cover::Disjoint {
                let upper = self.arena.or(left, cannot_be)?;
                search.upper = FxHashMap::from_iter([(Vec::new(), (upper, self.assumed))]);
            }
            regions.all.push(Region {
                text: search.text(self, &found),
                example: self.facts_of(&seed),
                share: self.share(held),
                held,
            });
        }
        if cover == Cover::Overlapping {
            self.without_needless(&mut regions.all)?;
        }
        for region in &mut regions.all {
            let nearest = self.nearest(region.held, |value| value == 1, &usual, &alike);
            if let Some((_, vector)) = nearest {
                region.example = self.facts_of(&vector);
            }
        }
        let all = &mut regions.all;
        all.sort_by(|one, other| other.share.total_cmp(&one.share));
        Ok(regions)
    }

    /// Takes away each region that others have in them together, the smallest first.
    fn without_needless(&mut self, regions: &mut Vec<Region>) -> Result<(), OverBudget> {
        let mut order: Vec<usize> = (0..regions.len()).collect();
        let share = |at: &usize| regions.get(*at).map_or(0.0, |region| region.share);
        order.sort_by(|one, other| share(one).total_cmp(&share(other)));
        let mut needless = Vec::new();
        for at in order {
            let mut others = Id::NO;
            for (other, region) in regions.iter().enumerate() {
                if other != at && !needless.contains(&other) {
                    others = self.arena.or(others, region.held)?;
                }
            }
            let held = regions.get(at).map_or(Id::NO, |region| region.held);
            if self.arena.or(others, held)? == others {
                needless.push(at);
            }
        }
        let mut at = 0..;
        regions.retain(|_| at.next().is_none_or(|at| !needless.contains(&at)));
        Ok(())
    }

    /// What policies ask for least is let go of first, then what is known last.
    fn order(&self, names: &Names) -> Vec<Var> {
        let domains = self.space.domains();
        let mut order: Vec<(usize, Reverse<AttributeId>, Var)> = domains
            .map(|(var, domain)| {
                let id = domain.attribute;
                (names.asked(id), Reverse(id), var)
            })
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, _, var)| var).collect()
    }
}

impl Search<'_> {
    /// The region around a connection: of those with and without definitions the one that takes
    /// most for what there is to read.
    fn around(&mut self, ground: &mut Ground, seed: &[ClassId]) -> Result<Found, OverBudget> {
        let mut best = self.found(ground, seed, &[])?;
        for _ in 0..MOST_NAMES {
            let mut better: Option<Found> = None;
            for at in 0..self.literals.len() {
                let Some(literal) = self.literals.get(at) else {
                    continue;
                };
                let class = |var: Var| seed.get(usize::from(var)).copied().unwrap_or_default();
                let holds = ground.arena.value(literal.holds, class) == 1;
                let is_of_it = |(var, _): (Var, _)| literal.support.contains(&var);
                let is_of_it = best.cube.asked().any(is_of_it);
                if !holds || !is_of_it || best.by_name.contains(&at) {
                    continue;
                }
                let mut by_name = best.by_name.clone();
                by_name.push(at);
                by_name.sort_unstable();
                let found = self.found(ground, seed, &by_name)?;
                let worth = |found: &Found| found.takes / found.cost;
                let known = better.as_ref().unwrap_or(&best);
                if worth(&found) > worth(known) * 1.001 {
                    better = Some(found);
                }
            }
            match better {
                Some(found) => best = found,
                None => break,
            }
        }
        Ok(best)
    }

    /// The largest cube around a connection within what may be let through, where some definitions
    /// hold.
    fn found(
        &mut self,
        ground: &mut Ground,
        seed: &[ClassId],
        by_name: &[usize],
    ) -> Result<Found, OverBudget> {
        let (upper, can_be) = self.upper(ground, by_name)?;
        let mut cube = Cube::of(seed);
        let arena = &ground.arena;
        for var in &self.order {
            let mut without = cube.clone();
            without.set(*var, None);
            if arena.covers(upper, &without) {
                cube = without;
            }
        }
        for var in &self.order {
            if cube.asked().any(|(asked, _)| asked == *var) {
                let widest = arena.widest(upper, &cube, *var);
                cube.set(*var, Some(widest));
            }
        }
        // Of what cannot be, what is short to say is said.
        for var in &self.order {
            let widest = cube.asked().find(|(asked, _)| asked == var);
            let Some(widest) = widest.map(|(_, runs)| runs.clone()) else {
                continue;
            };
            let can_be = widest.common(&arena.occurring(can_be, &cube, *var));
            let width = arena.width(*var);
            if can_be.reading(width) <= widest.reading(width) {
                cube.set(*var, Some(can_be));
            }
        }
        // Now that others say less, it may be shorter to say more.
        for var in &self.order {
            let own = cube.asked().find(|(asked, _)| asked == var);
            let Some(own) = own.map(|(_, runs)| runs.reading(arena.width(*var))) else {
                continue;
            };
            let widest = arena.widest(upper, &cube, *var);
            if widest.reading(arena.width(*var)) < own {
                cube.set(*var, Some(widest));
            }
        }
        let read = |(var, runs): (Var, &Runs)| {
            1.0 + 0.1 * f64::from(runs.reading(arena.width(var)).min(10))
        };
        let named = by_name.iter().map(|_| 1.15);
        Ok(Found {
            takes: arena.measure(can_be, &cube),
            cost: 0.5 + cube.asked().map(read).sum::<f64>() + named.sum::<f64>(),
            by_name: by_name.to_vec(),
            cube,
        })
    }

    fn upper(&mut self, ground: &mut Ground, by_name: &[usize]) -> Result<(Id, Id), OverBudget> {
        if let Some(known) = self.upper.get(by_name) {
            return Ok(*known);
        }
        let (last, rest) = by_name.split_last().unwrap_or((&0, &[]));
        let (upper, can_be) = self.upper(ground, rest)?;
        let holds = self.literals.get(*last).map_or(Id::YES, |it| it.holds);
        let opposite = ground.arena.not(holds)?;
        let upper = ground.arena.or(upper, opposite)?;
        let can_be = ground.arena.and(can_be, holds)?;
        self.upper.insert(by_name.to_vec(), (upper, can_be));
        Ok((upper, can_be))
    }

    /// What is said: who it says it is, what it proved, then where it comes from.
    fn text(&self, ground: &Ground, found: &Found) -> String {
        let place = |var: Var| {
            let id = ground.space.domain(var).map(|domain| domain.attribute);
            let id = id.unwrap_or(AttributeId(0));
            let row = id.row();
            let claimed = row.provenance == Provenance::Claimed;
            let group = match row.stage {
                Stage::Connect if claimed => 0,
                Stage::Connect => 1,
                Stage::Accept | Stage::Upgrade if !row.name.starts_with("setting.") => 2,
                Stage::Accept | Stage::Upgrade => 3,
            };
            (group, id)
        };
        let mut terms: Vec<_> = found
            .cube
            .asked()
            .map(|(var, runs)| (place(var), term::text(ground, self.names, var, runs)))
            .collect();
        for literal in found.by_name.iter().filter_map(|at| self.literals.get(*at)) {
            let first = literal.support.iter().map(|var| place(*var)).min();
            terms.push((first.unwrap_or_else(|| place(0)), literal.text.clone()));
        }
        terms.sort();
        let texts: Vec<String> = terms.into_iter().map(|(_, text)| text).collect();
        match texts.is_empty() {
            true => "any connection".to_owned(),
            false => texts.join(" and "),
        }
    }
}

#[cfg(test)]
pub(super) use tests::{are_exact, vocabulary};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::analysis::{Budget, Outcomes};
    use crate::compile::{ClauseId, Lone, Program, compile, lone};
    use crate::decide::tests::policy;
    use crate::diagnostic::Code;
    use crate::facts::assumptions::broken;
    use crate::lang::checked::Condition;
    use crate::lang::parse::parse;
    use crate::lang::{ReadError, load};
    use crate::policy::Policy;
    use crate::verdict::{Verdict, VerdictKind};

    /// What is said of regions, as conditions of a policy that has the same names.
    fn read_back(texts: &[&str], names: &str) -> Option<Vec<Lone>> {
        let mut text = format!("gw-policy 1\n{names}");
        for region in texts {
            text.push_str(&format!("{region} → approve\n"));
        }
        text.push_str("default → require-pairing\n");
        let loaded = load("regions.policy", &text, &mut |_, _| {
            Err(ReadError::NotFound)
        });
        let mut all = loaded.diagnostics.0.iter();
        // Generated policies name texts that no connection has, which nobody can write.
        if all.any(|found| found.code == Code::UnknownValue) {
            return None;
        }
        let checked = loaded.checked;
        let checked = checked.unwrap_or_else(|| panic!("{:#?}\n{text}", loaded.diagnostics));
        let rules = checked.rules.iter();
        let lone = rules.map(|rule| lone(&rule.condition.value));
        Some(lone.collect())
    }

    /// The sets and definitions of a policy, as they are written.
    pub(in crate::analysis) fn vocabulary(policy: &Policy) -> String {
        let mut text = String::new();
        for (id, source) in policy.sources().iter() {
            let (ast, _) = parse(id, source);
            for statement in &ast.statements {
                use crate::lang::ast::StatementKind::{Define, Set};
                if matches!(statement.kind, Set { .. } | Define { .. }) {
                    text.push_str(policy.sources().slice(statement.span.0));
                    text.push('\n');
                }
            }
        }
        text
    }

    /// Each region says just what it holds, and all of them just what was asked for.
    pub(in crate::analysis) fn are_exact(
        ground: &mut Ground,
        regions: &Regions,
        condition: Id,
        names: &str,
    ) -> Result<(), OverBudget> {
        let texts: Vec<&str> = regions.all.iter().map(|it| it.text.as_str()).collect();
        let texts: Vec<&str> = texts
            .into_iter()
            .map(|text| match text {
                "any connection" => "(tls or not tls)",
                text => text,
            })
            .collect();
        let mut all = Id::NO;
        let said = read_back(&texts, names).ok_or(OverBudget)?;
        for (region, said) in regions.all.iter().zip(said) {
            let said = ground.holds(&said)?;
            let said = ground.arena.and(said, ground.assumed)?;
            assert_eq!(said, region.held, "{}", region.text);
            all = ground.arena.or(all, said)?;
            assert!(broken(&region.example).next().is_none(), "{}", region.text);
            let vector = ground.vector(&region.example);
            let class = |var: Var| vector.get(usize::from(var)).copied().unwrap_or_default();
            assert_eq!(ground.arena.value(region.held, class), 1, "{}", region.text);
        }
        let within = ground.arena.and(condition, ground.assumed)?;
        let outside = ground.arena.not(within)?;
        assert_eq!(ground.arena.and(all, outside)?, Id::NO);
        assert!(regions.is_cut || all == within);
        Ok(())
    }

    fn shipped() -> [Policy; 2] {
        let base = include_str!("../../policies/default.policy");
        [
            (
                "docker.policy",
                include_str!("../../policies/docker.policy"),
            ),
            (
                "2026.9.6.policy",
                include_str!("../../policies/openclaw/2026.9.6.policy"),
            ),
        ]
        .map(|(name, text)| {
            let mut reader = |_: &str, _| Ok(base.to_owned());
            Policy::load_untested(name, text, &mut reader).unwrap()
        })
    }

    fn ground(program: &Program, names: &Names) -> (Ground, Outcomes) {
        let budget = Budget {
            nodes: 10_000_000,
            steps: 1_000_000_000,
        };
        let mut ground = Ground::new(&[program], &names.beside(), budget).unwrap();
        let outcomes = ground.outcomes(program).unwrap();
        (ground, outcomes)
    }

    #[test]
    fn what_is_said_of_a_shipped_policy_is_exact() {
        for policy in shipped() {
            let names = Names::new(&[(policy.program(), policy.vocabulary())]);
            let (mut ground, outcomes) = ground(policy.program(), &names);
            let vocabulary = vocabulary(&policy);
            let mut told: Vec<(Verdict, ClauseId)> = Vec::new();
            for decision in &outcomes.decisions {
                let answer = (decision.verdict, decision.by);
                if told.contains(&answer) || decision.verdict.kind() != VerdictKind::SilentApprove {
                    continue;
                }
                told.push(answer);
                let is_it = |value: u32| {
                    let decision = outcomes.decision(value);
                    u32::from(decision.is_some_and(|it| (it.verdict, it.by) == answer))
                };
                let condition = ground.arena.mapped(outcomes.root, is_it).unwrap();
                let regions = ground.regions(condition, &names, 12).unwrap();
                are_exact(&mut ground, &regions, condition, &vocabulary).unwrap();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 8,
            rng_seed: RngSeed::Fixed(4),
            max_shrink_iters: 100,
            ..ProptestConfig::default()
        })]

        #[test]
        fn what_is_said_of_any_policy_is_exact(checked in policy()) {
            let program = compile(&checked);
            let names = Names::new(&[(&program, &Default::default())]);
            let small = Budget { nodes: 100_000, steps: 1_000_000 };
            let too_large = |_| TestCaseError::reject("too large");
            let mut ground = Ground::new(&[&program], &[], small).map_err(too_large)?;
            let outcomes = ground.outcomes(&program).map_err(too_large)?;
            for value in 1..=outcomes.decisions.len() {
                let is_it = |it: u32| u32::from(it as usize == value);
                let condition = ground.arena.mapped(outcomes.root, is_it).map_err(too_large)?;
                let regions = ground.regions(condition, &names, 12).map_err(too_large)?;
                are_exact(&mut ground, &regions, condition, "").map_err(too_large)?;
            }
        }
    }

    /// What always holds needs no words.
    #[test]
    fn everything_is_any_connection() {
        let names = Names::default();
        let condition = lone(&Condition::ALWAYS);
        let mut ground = Ground::new(&[], &[condition], Budget::default()).unwrap();
        let regions = ground.regions(Id::YES, &names, 3).unwrap();
        let texts: Vec<&str> = regions.all.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(texts, ["any connection"]);
    }
}
