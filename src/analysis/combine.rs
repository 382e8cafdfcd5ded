//! What the values of two diagrams, or of three, come to: everywhere at once, each pair of nodes
//! looked at once.

use rustc_hash::FxHashMap;

use super::diagram::{Arena, OverBudget};
use super::nodes::{Edge, Id};
use super::walk::Next;

/// What was combined before, by what it was combined with.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    and: Pairs,
    or: Pairs,
    not: FxHashMap<Id, Id>,
}

impl Known {
    /// As much is remembered as some tens of megabytes hold.
    const MOST: usize = 1 << 20;

    fn of(&mut self, operation: Operation) -> Option<&mut Pairs> {
        match operation {
            Operation::And => Some(&mut self.and),
            Operation::Or => Some(&mut self.or),
            Operation::Once => None,
        }
    }
}

/// Whether what two nodes come to is the same whenever they are combined so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    And,
    Or,
    /// It depends on more than the nodes.
    Once,
}

/// What two values come to, where the rest need not be looked at; and what two nodes come to where
/// that is known without a look.
pub(crate) trait Combine {
    /// Whether it is always the same.
    const OPERATION: Operation = Operation::Once;

    /// What two values come to.
    fn values(&mut self, left: u32, right: u32) -> u32;

    /// What two diagrams come to, where that is known.
    fn known(&mut self, _left: Id, _right: Id) -> Option<Id> {
        None
    }

    /// Whether what two diagrams come to is known of the first alone, whatever the second is.
    fn left_settles(&self, _left: Id) -> bool {
        false
    }

    /// Whether it is known of the second alone.
    fn right_settles(&self, _right: Id) -> bool {
        false
    }

    /// Whether the first leaves the second as it is, whatever that is.
    fn left_keeps(&self, _left: Id) -> bool {
        false
    }

    /// Whether the second leaves the first as it is.
    fn right_keeps(&self, _right: Id) -> bool {
        false
    }
}

impl<F: FnMut(u32, u32) -> u32> Combine for F {
    fn values(&mut self, left: u32, right: u32) -> u32 {
        self(left, right)
    }
}

/// Both hold.
struct And;

impl Combine for And {
    const OPERATION: Operation = Operation::And;

    fn left_settles(&self, left: Id) -> bool {
        left == Id::NO
    }

    fn right_settles(&self, right: Id) -> bool {
        right == Id::NO
    }

    fn left_keeps(&self, left: Id) -> bool {
        left == Id::YES
    }

    fn right_keeps(&self, right: Id) -> bool {
        right == Id::YES
    }

    fn values(&mut self, left: u32, right: u32) -> u32 {
        left & right
    }

    fn known(&mut self, left: Id, right: Id) -> Option<Id> {
        match (left, right) {
            (Id::NO, _) | (_, Id::NO) => Some(Id::NO),
            (Id::YES, other) | (other, Id::YES) => Some(other),
            (left, right) => (left == right).then_some(left),
        }
    }
}

/// One of them holds.
struct Or;

impl Combine for Or {
    const OPERATION: Operation = Operation::Or;

    fn left_settles(&self, left: Id) -> bool {
        left == Id::YES
    }

    fn right_settles(&self, right: Id) -> bool {
        right == Id::YES
    }

    fn left_keeps(&self, left: Id) -> bool {
        left == Id::NO
    }

    fn right_keeps(&self, right: Id) -> bool {
        right == Id::NO
    }

    fn values(&mut self, left: u32, right: u32) -> u32 {
        left | right
    }

    fn known(&mut self, left: Id, right: Id) -> Option<Id> {
        match (left, right) {
            (Id::YES, _) | (_, Id::YES) => Some(Id::YES),
            (Id::NO, other) | (other, Id::NO) => Some(other),
            (left, right) => (left == right).then_some(left),
        }
    }
}

/// Where the first holds, the second's value; elsewhere the one value that is given.
struct Where(u32);

impl Combine for Where {
    fn left_settles(&self, holds: Id) -> bool {
        holds == Id::NO
    }

    fn left_keeps(&self, holds: Id) -> bool {
        holds == Id::YES
    }

    fn values(&mut self, holds: u32, value: u32) -> u32 {
        if holds == 0 { self.0 } else { value }
    }

    fn known(&mut self, holds: Id, value: Id) -> Option<Id> {
        match holds {
            Id::NO => Some(Id::value(self.0)),
            Id::YES => Some(value),
            _ => None,
        }
    }
}

/// Where the first holds, one value; elsewhere the second's.
struct Over(u32);

impl Combine for Over {
    fn left_settles(&self, holds: Id) -> bool {
        holds == Id::YES
    }

    fn left_keeps(&self, holds: Id) -> bool {
        holds == Id::NO
    }

    fn values(&mut self, holds: u32, value: u32) -> u32 {
        if holds == 0 { value } else { self.0 }
    }

    fn known(&mut self, holds: Id, below: Id) -> Option<Id> {
        match holds {
            Id::NO => Some(below),
            Id::YES => Some(Id::value(self.0)),
            _ => None,
        }
    }
}

type Pairs = FxHashMap<(Id, Id), Id>;
impl Arena {
    /// Both hold.
    pub(crate) fn and(&mut self, left: Id, right: Id) -> Result<Id, OverBudget> {
        self.combined(left, right, &mut And)
    }

    /// One of them holds.
    pub(crate) fn or(&mut self, left: Id, right: Id) -> Result<Id, OverBudget> {
        self.combined(left, right, &mut Or)
    }

    /// It does not hold.
    pub(crate) fn not(&mut self, id: Id) -> Result<Id, OverBudget> {
        let mut known = std::mem::take(&mut self.known.not);
        let not = self.replaced(id, &mut |value| Id::value(1 - value.min(1)), &mut known);
        if known.len() < Known::MOST {
            self.known.not = known;
        }
        not
    }

    /// One value where a condition holds, and elsewhere what is below.
    pub(crate) fn over(&mut self, holds: Id, value: u32, below: Id) -> Result<Id, OverBudget> {
        self.combined(holds, below, &mut Over(value))
    }

    /// A diagram where a condition holds, and elsewhere one value.
    pub(crate) fn within(&mut self, holds: Id, id: Id, elsewhere: u32) -> Result<Id, OverBudget> {
        self.combined(holds, id, &mut Where(elsewhere))
    }

    /// One diagram where a condition holds, another elsewhere.
    pub(crate) fn choose(&mut self, holds: Id, yes: Id, no: Id) -> Result<Id, OverBudget> {
        let mut memo = FxHashMap::default();
        self.chosen(holds, yes, no, &mut memo)
    }

    fn chosen(
        &mut self,
        holds: Id,
        yes: Id,
        no: Id,
        memo: &mut FxHashMap<(Id, Id, Id), Id>,
    ) -> Result<Id, OverBudget> {
        match holds {
            Id::YES => return Ok(yes),
            Id::NO => return Ok(no),
            _ if yes == no => return Ok(yes),
            _ => {}
        }
        if let Some(known) = memo.get(&(holds, yes, no)) {
            return Ok(*known);
        }
        self.step()?;
        let all = [holds, yes, no];
        let var = all.iter().filter_map(|id| Some(self.at(*id)?.0)).min();
        let Some(var) = var else { return Ok(no) };
        let from = self.pending.len();
        let mut next = Next::new(var, all);
        while let Some((last, [holds, yes, no])) = next.run(self, |_, _| false) {
            let to = self.chosen(holds, yes, no, memo)?;
            self.pend(from, Edge { last, to });
        }
        let made = self.made(var, from)?;
        memo.insert((holds, yes, no), made);
        Ok(made)
    }

    /// What the values of two diagrams come to, everywhere.
    pub(crate) fn combined<C: Combine>(
        &mut self,
        left: Id,
        right: Id,
        combine: &mut C,
    ) -> Result<Id, OverBudget> {
        let operation = <C as Combine>::OPERATION;
        let known = self.known.of(operation).map(std::mem::take);
        let mut memo = known.unwrap_or_default();
        let made = self.combined_with(left, right, combine, &mut memo);
        if let Some(known) = self.known.of(operation)
            && memo.len() < Known::MOST
        {
            *known = memo;
        }
        made
    }

    fn combined_with(
        &mut self,
        left: Id,
        right: Id,
        combine: &mut impl Combine,
        memo: &mut Pairs,
    ) -> Result<Id, OverBudget> {
        if let Some(known) = combine.known(left, right) {
            return Ok(known);
        }
        if let (Some(left), Some(right)) = (left.as_value(), right.as_value()) {
            return Ok(Id::value(combine.values(left, right)));
        }
        if let Some(known) = memo.get(&(left, right)) {
            return Ok(*known);
        }
        let asked = [left, right].map(|id| self.at(id).map(|(var, _)| var));
        let var = asked.into_iter().flatten().min().unwrap_or(0);
        let from = self.pending.len();
        let mut next = Next::new(var, [left, right]);
        let mut runs = 0;
        loop {
            // Of many classes that few are told from, most are left as they are.
            let kept = next.kept(self, |place, id| match place {
                0 => combine.left_keeps(id),
                _ => combine.right_keeps(id),
            });
            if let Some(kept) = kept {
                self.pend_kept(from, &kept);
                continue;
            }
            let Some((last, [left, right])) = next.run(self, |place, id| match place {
                0 => combine.left_settles(id),
                _ => combine.right_settles(id),
            }) else {
                break;
            };
            let to = self.combined_with(left, right, combine, memo)?;
            self.pend(from, Edge { last, to });
            runs += 1;
        }
        self.step_over(runs)?;
        let made = self.made(var, from)?;
        memo.insert((left, right), made);
        Ok(made)
    }

    /// The same with other values.
    pub(crate) fn mapped(
        &mut self,
        id: Id,
        mut to: impl FnMut(u32) -> u32,
    ) -> Result<Id, OverBudget> {
        self.replaced(
            id,
            &mut |value| Id::value(to(value)),
            &mut FxHashMap::default(),
        )
    }

    fn replaced(
        &mut self,
        id: Id,
        to: &mut impl FnMut(u32) -> Id,
        memo: &mut FxHashMap<Id, Id>,
    ) -> Result<Id, OverBudget> {
        if let Some(value) = id.as_value() {
            return Ok(to(value));
        }
        if let Some(known) = memo.get(&id) {
            return Ok(*known);
        }
        let Some((var, edges)) = self.at(id) else {
            return Ok(id);
        };
        let mut edges = edges.to_vec();
        self.step_over(edges.len())?;
        for edge in &mut edges {
            edge.to = self.replaced(edge.to, to, memo)?;
        }
        let made = self.make(var, edges)?;
        memo.insert(id, made);
        Ok(made)
    }
}
