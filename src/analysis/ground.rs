//! What diagrams stand on: what some policies can tell apart, what a connection can be, and when a
//! condition holds.

use std::collections::BTreeMap;

use super::answer::{LAWFUL, Tables};
use super::assumed::assumed;
use super::diagram::{Arena, Budget, Id, OverBudget, Var};
use super::domain::{Order, Space};
use crate::compile::program::{HIT, Instruction, MISS};
use crate::compile::{Lone, Program};
use crate::facts::AttributeId;

/// Diagrams of some policies over one space.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) space: Space,
    pub(crate) arena: Arena,
    /// What a connection can be.
    pub(crate) assumed: Id,
    /// The same of what is asked for alone, by the policies or by the laws: there is a connection
    /// that can be for each that this holds for, and what nobody asks for is of no account.
    pub(super) asked: Id,
    pub(super) tables: Tables,
}

impl Ground {
    /// Over what some programs, and some conditions beside them, can tell apart.
    pub(crate) fn new(
        programs: &[&Program],
        beside: &[Lone],
        budget: Budget,
    ) -> Result<Self, OverBudget> {
        Self::in_order(programs, beside, budget, Order::Smallest)
    }

    /// The same with another order of attributes.
    pub(super) fn in_order(
        programs: &[&Program],
        beside: &[Lone],
        budget: Budget,
        order: Order,
    ) -> Result<Self, OverBudget> {
        let of_programs = programs.iter().flat_map(|program| &program.instructions);
        let of_others = beside.iter().flat_map(|lone| &lone.instructions);
        let tests: Vec<&Instruction> = of_programs.chain(of_others).collect();
        let space = Space::new(tests.iter().map(|it| (it.attribute, &it.test)), order);
        let mut arena = Arena::new(space.widths(), budget);
        let assumed = assumed(&space, &mut arena)?;
        let mut is_asked: Vec<bool> = space.domains().map(|_| false).collect();
        let of_laws = LAWFUL.iter().filter_map(|name| AttributeId::named(name));
        for attribute in of_laws.chain(tests.iter().map(|it| it.attribute)) {
            let vars = [Some(space.var(attribute)), space.fine(attribute)];
            for var in vars.into_iter().flatten() {
                if let Some(place) = is_asked.get_mut(usize::from(var)) {
                    *place = true;
                }
            }
        }
        let is_kept = |var: Var| is_asked.get(usize::from(var)).copied().unwrap_or(true);
        let asked = arena.projected(assumed, &is_kept)?;
        Ok(Ground {
            space,
            arena,
            assumed,
            asked,
            tables: Tables::default(),
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
    pub(super) fn tests(&mut self, instructions: &[Instruction]) -> Result<Vec<Id>, OverBudget> {
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
        let Some(fine) = self.space.fine(instruction.attribute) else {
            return Ok(coarsely);
        };
        let domain = self.space.domain(fine);
        let passing = domain.map(|it| it.passing_finely(&instruction.test));
        let passing = passing.unwrap_or_default();
        // It is said of the class too, so that nothing is looked for where it cannot be.
        let classes = domain.map(|it| it.coarse_of(&passing)).unwrap_or_default();
        let finely = self.arena.test_runs(fine, &passing)?;
        let of_class = self.arena.test(var, |class| classes.contains(&class))?;
        let finely = self.arena.and(of_class, finely)?;
        self.arena.or(coarsely, finely)
    }

    /// When the tests from an entry on come to a hit.
    pub(super) fn reached(
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
}
