//! Decision diagrams: which value a vector of classes leads to, for all vectors at once.
//!
//! A node asks for one variable; its edges cover all classes of that variable in ascending order,
//! and lead to nodes of later variables or to values. Equal nodes are one node and no node has all
//! its edges to one place, so that two diagrams of one arena are equal exactly if they are the
//! same node. What variables and values mean is for others to say.

use std::collections::BTreeMap;

use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap};

/// The place of a variable in the order.
pub(crate) type Var = u8;
/// The place of a class among those of its variable.
pub(crate) type ClassId = u16;

/// A diagram: the node at its top, or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(u32);

impl Id {
    /// What is false.
    pub(crate) const NO: Id = Id::value(0);
    /// What is true.
    pub(crate) const YES: Id = Id::value(1);

    const VALUE: u32 = 1 << 31;

    /// The diagram that leads everything to one value.
    pub(crate) const fn value(value: u32) -> Self {
        Id(Id::VALUE | value)
    }

    /// The value, where it is one.
    pub(crate) fn as_value(self) -> Option<u32> {
        (self.0 & Id::VALUE != 0).then_some(self.0 & !Id::VALUE)
    }

    fn node(index: usize) -> Result<Self, OverBudget> {
        u32::try_from(index)
            .ok()
            .filter(|index| index & Id::VALUE == 0)
            .map(Id)
            .ok_or(OverBudget)
    }
}

/// A run of classes that lead to one place: up to this one, from behind the run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Edge {
    pub(crate) last: ClassId,
    pub(crate) to: Id,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    var: Var,
    edges: Box<[Edge]>,
}

/// More nodes, or more steps, than are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the analysis needs more than it may take")]
pub(crate) struct OverBudget;

/// What an analysis may take. Steps are looks at pairs of nodes; memory grows with both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) nodes: usize,
    pub(crate) steps: usize,
}

impl Default for Budget {
    /// Some hundred megabytes, and some seconds.
    fn default() -> Self {
        Budget {
            nodes: 1_000_000,
            steps: 10_000_000,
        }
    }
}

/// Where diagrams live.
#[derive(Clone, Debug)]
pub(crate) struct Arena {
    nodes: IndexSet<Node, FxBuildHasher>,
    budget: Budget,
    steps: usize,
    /// How many classes each variable has.
    widths: Box<[ClassId]>,
}

/// What two values come to, where the rest need not be looked at; and what two nodes come to where
/// that is known without a look.
pub(crate) trait Combine {
    /// What two values come to.
    fn values(&mut self, left: u32, right: u32) -> u32;

    /// What two diagrams come to, where that is known.
    fn known(&mut self, _left: Id, _right: Id) -> Option<Id> {
        None
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
    fn values(&mut self, holds: u32, value: u32) -> u32 {
        if holds == 0 { self.0 } else { value }
    }

    fn known(&mut self, holds: Id, value: Id) -> Option<Id> {
        match holds {
            Id::NO => Some(Id::value(self.0)),
            Id::YES => Some(value),
            Id(_) => None,
        }
    }
}

/// Where the first holds, one value; elsewhere the second's.
struct Over(u32);

impl Combine for Over {
    fn values(&mut self, holds: u32, value: u32) -> u32 {
        if holds == 0 { value } else { self.0 }
    }

    fn known(&mut self, holds: Id, below: Id) -> Option<Id> {
        match holds {
            Id::NO => Some(below),
            Id::YES => Some(Id::value(self.0)),
            Id(_) => None,
        }
    }
}

type Pairs = FxHashMap<(Id, Id), Id>;

impl Arena {
    /// An empty one, for variables of so many classes each.
    pub(crate) fn new(widths: Box<[ClassId]>, budget: Budget) -> Self {
        Arena {
            nodes: IndexSet::default(),
            budget,
            steps: 0,
            widths,
        }
    }

    /// How many classes a variable has.
    pub(crate) fn width(&self, var: Var) -> ClassId {
        self.widths.get(usize::from(var)).copied().unwrap_or(1)
    }

    /// How many variables there are.
    pub(crate) fn vars(&self) -> Var {
        Var::try_from(self.widths.len()).unwrap_or(Var::MAX)
    }

    /// The variable that a diagram asks for first, with where its classes lead.
    pub(crate) fn at(&self, id: Id) -> Option<(Var, &[Edge])> {
        if id.as_value().is_some() {
            return None;
        }
        let node = self.nodes.get_index(id.0 as usize)?;
        Some((node.var, &node.edges))
    }

    /// Where a class of a node's variable leads.
    pub(crate) fn child(&self, id: Id, class: ClassId) -> Id {
        let Some((_, edges)) = self.at(id) else {
            return id;
        };
        let at = edges.partition_point(|edge| edge.last < class);
        edges.get(at).map_or(id, |edge| edge.to)
    }

    /// The value that a vector of classes leads to: the class of each variable.
    pub(crate) fn value(&self, mut id: Id, class: impl Fn(Var) -> ClassId) -> u32 {
        loop {
            if let Some(value) = id.as_value() {
                return value;
            }
            let Some((var, _)) = self.at(id) else {
                return 0;
            };
            id = self.child(id, class(var));
        }
    }

    fn step(&mut self) -> Result<(), OverBudget> {
        self.steps += 1;
        match self.steps > self.budget.steps {
            true => Err(OverBudget),
            false => Ok(()),
        }
    }

    /// A node of a variable, from runs of classes in ascending order.
    pub(crate) fn make(
        &mut self,
        var: Var,
        runs: impl IntoIterator<Item = Edge>,
    ) -> Result<Id, OverBudget> {
        let mut edges: Vec<Edge> = Vec::new();
        for run in runs {
            match edges.last_mut() {
                Some(before) if before.to == run.to => before.last = run.last,
                _ => edges.push(run),
            }
        }
        if let [only] = edges.as_slice() {
            return Ok(only.to);
        }
        let node = Node {
            var,
            edges: edges.into(),
        };
        let (index, is_new) = self.nodes.insert_full(node);
        if is_new && self.nodes.len() > self.budget.nodes {
            return Err(OverBudget);
        }
        Id::node(index)
    }

    /// What holds for some classes of a variable.
    pub(crate) fn test(
        &mut self,
        var: Var,
        holds: impl Fn(ClassId) -> bool,
    ) -> Result<Id, OverBudget> {
        self.each(var, |class| if holds(class) { Id::YES } else { Id::NO })
    }

    /// What holds for some runs of classes of a variable, each from first to last, in ascending order.
    pub(crate) fn test_runs(
        &mut self,
        var: Var,
        passing: &[(ClassId, ClassId)],
    ) -> Result<Id, OverBudget> {
        let width = self.width(var);
        let mut edges = Vec::with_capacity(passing.len() * 2 + 1);
        let mut next = 0;
        for (first, last) in passing {
            if let Some(last) = first.checked_sub(1).filter(|_| *first > next) {
                edges.push(Edge { last, to: Id::NO });
            }
            edges.push(Edge {
                last: *last,
                to: Id::YES,
            });
            next = last.saturating_add(1);
        }
        if let Some(last) = width.checked_sub(1).filter(|_| next < width) {
            edges.push(Edge { last, to: Id::NO });
        }
        self.make(var, edges)
    }

    /// A node by the place of each class of its variable.
    pub(crate) fn each(&mut self, var: Var, to: impl Fn(ClassId) -> Id) -> Result<Id, OverBudget> {
        let width = self.width(var);
        let runs = (0..width).map(|class| Edge {
            last: class,
            to: to(class),
        });
        self.make(var, runs)
    }

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
        self.mapped(id, |value| 1 - value.min(1))
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
            Id(_) if yes == no => return Ok(yes),
            Id(_) => {}
        }
        if let Some(known) = memo.get(&(holds, yes, no)) {
            return Ok(*known);
        }
        self.step()?;
        let all = [holds, yes, no];
        let var = all.iter().filter_map(|id| Some(self.at(*id)?.0)).min();
        let Some(var) = var else { return Ok(no) };
        let mut runs = Vec::new();
        for (last, [holds, yes, no]) in self.runs(var, all) {
            let to = self.chosen(holds, yes, no, memo)?;
            runs.push(Edge { last, to });
        }
        let made = self.make(var, runs)?;
        memo.insert((holds, yes, no), made);
        Ok(made)
    }

    /// Runs of classes of a variable in which each of some diagrams leads to one place.
    fn runs<const N: usize>(&self, var: Var, all: [Id; N]) -> Vec<(ClassId, [Id; N])> {
        let whole = |id: &Id| match self.at(*id) {
            Some((asked, edges)) if asked == var => Some(edges),
            _ => None,
        };
        let edges = all.each_ref().map(whole);
        let end = self.width(var).saturating_sub(1);
        let mut at = [0; N];
        let mut runs = Vec::new();
        loop {
            let mut last = end;
            let mut to = all;
            for ((edges, at), to) in edges.iter().zip(&at).zip(&mut to) {
                if let Some(edge) = edges.and_then(|edges| edges.get(*at)) {
                    last = last.min(edge.last);
                    *to = edge.to;
                }
            }
            runs.push((last, to));
            if last >= end {
                return runs;
            }
            for (edges, at) in edges.iter().zip(&mut at) {
                let over = edges.and_then(|edges| edges.get(*at));
                *at += usize::from(over.is_some_and(|edge| edge.last <= last));
            }
        }
    }

    /// What the values of two diagrams come to, everywhere.
    pub(crate) fn combined(
        &mut self,
        left: Id,
        right: Id,
        combine: &mut impl Combine,
    ) -> Result<Id, OverBudget> {
        let mut memo = Pairs::default();
        self.combined_with(left, right, combine, &mut memo)
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
        self.step()?;
        let asked = [left, right].map(|id| self.at(id).map(|(var, _)| var));
        let var = asked.into_iter().flatten().min().unwrap_or(0);
        let mut edges = Vec::new();
        for (last, [left, right]) in self.runs(var, [left, right]) {
            let to = self.combined_with(left, right, combine, memo)?;
            edges.push(Edge { last, to });
        }
        let made = self.make(var, edges)?;
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
        self.step()?;
        let Some((var, edges)) = self.at(id) else {
            return Ok(id);
        };
        let mut edges = edges.to_vec();
        for edge in &mut edges {
            edge.to = self.replaced(edge.to, to, memo)?;
        }
        let made = self.make(var, edges)?;
        memo.insert(id, made);
        Ok(made)
    }

    /// Every node and value that a diagram leads through, each once, the lower ones first.
    pub(crate) fn reached(&self, id: Id) -> Vec<Id> {
        let mut seen = rustc_hash::FxHashSet::default();
        let mut found = Vec::new();
        let mut open = vec![(id, false)];
        while let Some((id, is_done)) = open.pop() {
            if is_done {
                found.push(id);
                continue;
            }
            if !seen.insert(id) {
                continue;
            }
            open.push((id, true));
            if let Some((_, edges)) = self.at(id) {
                open.extend(edges.iter().map(|edge| (edge.to, false)));
            }
        }
        found
    }

    /// The values that a diagram leads to, in ascending order.
    pub(crate) fn values(&self, id: Id) -> Vec<u32> {
        let reached = self.reached(id).into_iter();
        let mut values: Vec<u32> = reached.filter_map(Id::as_value).collect();
        values.sort_unstable();
        values
    }

    /// How much of all vectors leads to each value, as a share of one. It is a share of what could
    /// be said, not a likelihood.
    pub(crate) fn shares(&self, id: Id) -> BTreeMap<u32, f64> {
        let mut weights: FxHashMap<Id, f64> = FxHashMap::default();
        weights.insert(id, 1.0);
        let mut shares = BTreeMap::new();
        for id in self.reached(id).into_iter().rev() {
            let weight = weights.get(&id).copied().unwrap_or(0.0);
            if let Some(value) = id.as_value() {
                *shares.entry(value).or_insert(0.0) += weight;
            }
            let Some((var, edges)) = self.at(id) else {
                continue;
            };
            let width = f64::from(self.width(var));
            let mut from = 0.0;
            for edge in edges {
                let end = f64::from(edge.last) + 1.0;
                *weights.entry(edge.to).or_insert(0.0) += weight * (end - from) / width;
                from = end;
            }
        }
        shares
    }
}
