//! The assumptions as a diagram: which vectors of classes a connection can have at all.

use super::diagram::{Arena, ClassId, Edge, Id, OverBudget, Var};
use super::domain::{Class, narrow};
use super::members::Member;
use super::space::Space;
use crate::compile::networks::{number, of_number};
use crate::facts::assumptions::{ASSUMPTIONS, Assumption};
use crate::facts::{Address, AttributeId, Facts, Kind};

/// What keeps every assumption, and is of the class that it is said to be of.
pub(crate) fn assumed(space: &Space, arena: &mut Arena) -> Result<Id, OverBudget> {
    assumed_but(space, arena, &|_| true)
}

/// The same of those assumptions that are to be kept.
pub(crate) fn assumed_but(
    space: &Space,
    arena: &mut Arena,
    is_kept: &dyn Fn(&Assumption) -> bool,
) -> Result<Id, OverBudget> {
    let mut all = Id::YES;
    for id in AttributeId::all() {
        let one = of_its_class(id, space, arena)?;
        all = arena.and(all, one)?;
    }
    for assumption in ASSUMPTIONS.iter().filter(|it| is_kept(it)) {
        let kept = kept(assumption, space, arena)?;
        all = arena.and(all, kept)?;
    }
    Ok(all)
}

/// Which one of its class an attribute is, is of that class.
fn of_its_class(
    attribute: AttributeId,
    space: &Space,
    arena: &mut Arena,
) -> Result<Id, OverBudget> {
    let Some((fine, domain)) = space
        .fine(attribute)
        .and_then(|var| Some((var, space.domain(var)?)))
    else {
        return Ok(Id::YES);
    };
    let var = space.var(attribute);
    let mut edges = Vec::new();
    for last in 0..arena.width(var) {
        let holds = |class: ClassId| domain.coarse.get(class as usize) == Some(&last);
        let to = arena.test(fine, holds)?;
        edges.push(Edge { last, to });
    }
    arena.make(var, edges)
}

/// Where an assumption holds only if two addresses are the same one.
const IF_SAME: Id = Id::value(2);

/// What keeps one of them.
fn kept(assumption: &Assumption, space: &Space, arena: &mut Arena) -> Result<Id, OverBudget> {
    let about = assumption.about.iter();
    let attributes: Vec<AttributeId> = about.filter_map(|name| AttributeId::named(name)).collect();
    let is_address = |id: &AttributeId| matches!(id.row().kind, Kind::Address { .. });
    let addresses: Vec<AttributeId> = attributes.iter().copied().filter(is_address).collect();
    let mut vars: Vec<Var> = attributes.iter().map(|id| space.var(*id)).collect();
    vars.sort_unstable();
    let mut found = Found {
        holds: assumption.holds,
        space,
        arena,
        facts: Facts::default(),
        addresses: &addresses,
    };
    let kept = found.from(&vars)?;
    let fine: Vec<Var> = addresses.iter().filter_map(|id| space.fine(*id)).collect();
    let same = match fine.as_slice() {
        [first, second] => same(space, arena, *first.min(second), *first.max(second))?,
        // Two of one class may always be the same one.
        _ => Id::YES,
    };
    arena.combined(kept, same, &mut |kept: u32, same: u32| match kept {
        0 | 1 => kept,
        _ => same,
    })
}

/// The search through the classes of a few attributes.
struct Found<'a> {
    holds: fn(&Facts) -> bool,
    space: &'a Space,
    arena: &'a mut Arena,
    facts: Facts,
    addresses: &'a [AttributeId],
}

impl Found<'_> {
    fn from(&mut self, vars: &[Var]) -> Result<Id, OverBudget> {
        let [var, rest @ ..] = vars else {
            return Ok(self.found());
        };
        let Some(domain) = self.space.domain(*var) else {
            return self.from(rest);
        };
        let mut edges = Vec::new();
        for (last, class) in (0..).zip(&domain.classes) {
            class.member.put(domain.attribute, &mut self.facts);
            let to = self.from(rest)?;
            edges.push(Edge { last, to });
        }
        self.arena.make(*var, edges)
    }

    /// Whether the facts keep it. Two addresses of one class are the same one as long as they are
    /// typical for it; they need not be.
    fn found(&self) -> Id {
        let same = (self.holds)(&self.facts);
        let [first, second] = self.addresses else {
            return if same { Id::YES } else { Id::NO };
        };
        let read = |id: &AttributeId| match id.row().kind {
            Kind::Address { get, .. } => get(&self.facts),
            Kind::Flag { .. }
            | Kind::Enum { .. }
            | Kind::Set { .. }
            | Kind::Header { .. }
            | Kind::Text { .. } => Address::NONE,
        };
        let (one, other) = (read(first), read(second));
        let apart = match one.ip() == other.ip() && one.ip().is_some() {
            false => same,
            true => {
                let mut facts = self.facts.clone();
                Member::Address(neighbour(one)).put(*second, &mut facts);
                (self.holds)(&facts)
            }
        };
        match (same, apart) {
            (_, true) => Id::YES,
            (true, false) => IF_SAME,
            (false, false) => Id::NO,
        }
    }
}

/// Another address of the same class.
fn neighbour(address: Address) -> Address {
    let next = |ip| {
        let ip = of_number(number(ip).wrapping_add(1));
        Some(Address::new(ip)).filter(|it| it.class() == address.class())
    };
    address.ip().and_then(next).unwrap_or(address)
}

/// Which classes of two addresses have one in common.
fn same(space: &Space, arena: &mut Arena, first: Var, second: Var) -> Result<Id, OverBudget> {
    let (Some(one), Some(other)) = (space.domain(first), space.domain(second)) else {
        return Ok(Id::YES);
    };
    // The class without an address is the first one; the others are one range each, in order.
    let range = |class: &Class| class.ranges.first().copied();
    let ranges = other.classes.iter().filter_map(range);
    let ranges: Vec<(u128, u128)> = ranges.collect();
    let mut edges = Vec::new();
    for (last, class) in (0..).zip(&one.classes) {
        let meeting = match range(class) {
            None => (0, 0),
            Some((from, to)) => (
                ranges.partition_point(|range| range.1 < from) + 1,
                ranges.partition_point(|range| range.0 <= to),
            ),
        };
        let to = arena.test_runs(second, &[(narrow(meeting.0), narrow(meeting.1))])?;
        edges.push(Edge { last, to });
    }
    arena.make(first, edges)
}
