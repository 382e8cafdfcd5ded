//! What diagrams stand on: what some policies can tell apart, what a connection can be, and when a
//! condition holds.

use std::collections::BTreeMap;

use super::answer::{LAWFUL, Tables};
use super::assumed::assumed;
use super::diagram::{Arena, Budget, Id, OverBudget, Var};
use super::space::{Order, Space};
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
    /// The same of what is asked for alone, by the policies, by the laws or by a condition so far:
    /// there is a connection that can be for each that this holds for, and what nobody asks for is
    /// of no account.
    pub(super) asked: Id,
    /// Which variables are asked for.
    is_asked: Vec<bool>,
    pub(super) tables: Tables,
    /// How much of all vectors what was assumed last holds for, where that was asked.
    pub(super) whole: Option<(Id, f64)>,
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
        let is_asked = space.domains().map(|_| false).collect();
        let mut ground = Ground {
            space,
            arena,
            assumed,
            asked: assumed,
            is_asked,
            tables: Tables::default(),
            whole: None,
        };
        for attribute in LAWFUL.iter().filter_map(|name| AttributeId::named(name)) {
            ground.ask(attribute);
        }
        for test in &tests {
            ground.ask(test.attribute);
        }
        ground.project()?;
        Ok(ground)
    }

    /// Asks for an attribute; whether nobody did before.
    fn ask(&mut self, attribute: AttributeId) -> bool {
        let vars = [Some(self.space.var(attribute)), self.space.fine(attribute)];
        let mut is_new = false;
        for var in vars.into_iter().flatten() {
            if let Some(asked) = self.is_asked.get_mut(usize::from(var)) {
                is_new |= !std::mem::replace(asked, true);
            }
        }
        is_new
    }

    /// Leaves of the assumptions what is asked for.
    fn project(&mut self) -> Result<(), OverBudget> {
        let Ground {
            arena, is_asked, ..
        } = self;
        let is_kept = |var: Var| is_asked.get(usize::from(var)).copied().unwrap_or(true);
        self.asked = arena.projected(self.assumed, &is_kept)?;
        Ok(())
    }

    /// When a condition beside a program holds. What it asks for is told apart.
    pub(crate) fn holds(&mut self, lone: &Lone) -> Result<Id, OverBudget> {
        let mut is_new = false;
        for instruction in &lone.instructions {
            is_new |= self.ask(instruction.attribute);
        }
        if is_new {
            self.project()?;
        }
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
