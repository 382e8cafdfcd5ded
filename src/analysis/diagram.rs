//! Decision diagrams: which value a vector of classes leads to, for all vectors at once.
//!
//! A node asks for one variable; its edges cover all classes of that variable in ascending order,
//! and lead to nodes of later variables or to values. Equal nodes are one node and no node has all
//! its edges to one place, so that two diagrams of one arena are equal exactly if they are the
//! same node. What variables and values mean is for others to say.

use std::collections::BTreeMap;
use std::hash::Hasher;

use hashbrown::HashTable;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

/// The place of a variable in the order.
pub(crate) type Var = u8;
/// The place of a class among those of its variable.
pub(crate) type ClassId = u32;

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

    fn node(index: u32) -> Result<Self, OverBudget> {
        match index & Id::VALUE {
            0 => Ok(Id(index)),
            _ => Err(OverBudget),
        }
    }
}

/// A run of classes that lead to one place: up to this one, from behind the run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Edge {
    pub(crate) last: ClassId,
    pub(crate) to: Id,
}

/// A node, its edges being with those of all others.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Where its edges begin, and how many they are.
    edges: u32,
    count: u32,
    hash: u32,
    var: Var,
}

/// All nodes, each of them once. Edges stand behind one another, so that looking at a node costs
/// one look at memory and making one costs no allocation of its own.
#[derive(Clone, Debug, Default)]
struct Nodes {
    all: Vec<Node>,
    edges: Vec<Edge>,
    known: HashTable<u32>,
}

impl Nodes {
    fn get(&self, index: u32) -> Option<(Var, &[Edge])> {
        let node = self.all.get(index as usize)?;
        Some((node.var, of_node(&self.edges, node)))
    }

    /// The node that is equal to this one.
    fn find(&self, var: Var, edges: &[Edge], hash: u32) -> Option<u32> {
        let is_it = |index: &u32| {
            self.all.get(*index as usize).is_some_and(|node| {
                node.hash == hash && node.var == var && of_node(&self.edges, node) == edges
            })
        };
        self.known.find(spread(hash), is_it).copied()
    }

    /// Adds one that is not among them.
    fn add(&mut self, var: Var, edges: &[Edge], hash: u32) -> Result<u32, OverBudget> {
        let narrow = |count: usize| u32::try_from(count).map_err(|_too_many| OverBudget);
        let index = narrow(self.all.len())?;
        self.all.push(Node {
            edges: narrow(self.edges.len())?,
            count: narrow(edges.len())?,
            hash,
            var,
        });
        self.edges.extend_from_slice(edges);
        let all = &self.all;
        let again = |index: &u32| spread(all.get(*index as usize).map_or(0, |node| node.hash));
        self.known.insert_unique(spread(hash), index, again);
        Ok(index)
    }
}

fn of_node<'a>(edges: &'a [Edge], node: &Node) -> &'a [Edge] {
    let from = node.edges as usize;
    edges
        .get(from..from + node.count as usize)
        .unwrap_or_default()
}

/// The hash of a node, the same in every run.
fn hash(var: Var, edges: &[Edge]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write_u8(var);
    for edge in edges {
        hasher.write_u64(u64::from(edge.last) << 32 | u64::from(edge.to.0));
    }
    let whole = hasher.finish();
    (whole ^ whole >> 32) as u32
}

/// A hash over all bits that a table looks at.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// More nodes, or more steps, than are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the analysis needs more than it may take")]
pub struct OverBudget;

/// What an analysis may take. A node of many edges counts for several. Steps are looks at pairs of
/// nodes; memory grows with both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) nodes: usize,
    pub(crate) steps: usize,
}

impl Default for Budget {
    /// Some hundred megabytes, and some seconds.
    fn default() -> Self {
        Budget {
            nodes: 4_000_000,
            steps: 40_000_000,
        }
    }
}

/// Where diagrams live.
#[derive(Clone, Debug)]
pub(crate) struct Arena {
    nodes: Nodes,
    /// The edges of nodes that are being made, those of each behind those of the ones above it.
    pending: Vec<Edge>,
    budget: Budget,
    steps: usize,
    /// How many nodes there are by what they take.
    weight: usize,
    known: Known,
    /// How many classes each variable has.
    widths: Box<[ClassId]>,
}

/// What was combined before, by what it was combined with.
#[derive(Clone, Debug, Default)]
struct Known {
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
    fn left_settles(&self, holds: Id) -> bool {
        holds == Id::YES
    }

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
            nodes: Nodes::default(),
            pending: Vec::new(),
            budget,
            steps: 0,
            weight: 0,
            known: Known::default(),
            widths,
        }
    }

    /// Goes on with another budget; what there is counts, the steps so far do not.
    pub(crate) fn allow(&mut self, budget: Budget) {
        self.budget = budget;
        self.steps = 0;
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
        self.nodes.get(id.0)
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
        let from = self.pending.len();
        for run in runs {
            self.pend(from, run);
        }
        self.made(var, from)
    }

    /// Adds a run to the edges of the node that is being made, which begin at a place.
    fn pend(&mut self, from: usize, run: Edge) {
        match self.pending.get_mut(from..).and_then(<[Edge]>::last_mut) {
            Some(before) if before.to == run.to => before.last = run.last,
            _ => self.pending.push(run),
        }
    }

    /// The node with the edges from a place on.
    fn made(&mut self, var: Var, from: usize) -> Result<Id, OverBudget> {
        let edges = self.pending.get(from..).unwrap_or_default();
        let made = match edges {
            [only] => Ok(only.to),
            _ => {
                let hash = hash(var, edges);
                match self.nodes.find(var, edges, hash) {
                    Some(known) => Id::node(known),
                    None => {
                        self.weight += 1 + edges.len() / 8;
                        if self.weight > self.budget.nodes {
                            return Err(OverBudget);
                        }
                        Id::node(self.nodes.add(var, edges, hash)?)
                    }
                }
            }
        };
        self.pending.truncate(from);
        made
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
        self.step()?;
        let asked = [left, right].map(|id| self.at(id).map(|(var, _)| var));
        let var = asked.into_iter().flatten().min().unwrap_or(0);
        let from = self.pending.len();
        let mut next = Next::new(var, [left, right]);
        while let Some((last, [left, right])) = next.run(self, |place, id| match place {
            0 => combine.left_settles(id),
            _ => combine.right_settles(id),
        }) {
            let to = self.combined_with(left, right, combine, memo)?;
            self.pend(from, Edge { last, to });
        }
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

    /// Whether some vector leads some diagrams to values that are looked for: the first that is
    /// found ends the search. `judge` says of the diagrams, behind the classes that a vector has so
    /// far, whether one is found, whether none is below them, or nothing yet; of values it must say
    /// which. `ends` says where the diagram at a place leads to where none is found. `vector` has the
    /// classes of those that are not asked for; afterwards it is the one that was found.
    pub(crate) fn find<const N: usize>(
        &mut self,
        all: [Id; N],
        vector: &mut [ClassId],
        ends: &impl Fn(usize, Id) -> bool,
        judge: &mut impl FnMut(&Arena, [Id; N], &[ClassId]) -> Option<bool>,
    ) -> Result<bool, OverBudget> {
        let mut search = Search {
            arena: self,
            searched: FxHashSet::default(),
            ends,
            judge,
        };
        search.found(all, vector)
    }

    /// What holds for some class of each variable that is not kept.
    pub(crate) fn projected(
        &mut self,
        id: Id,
        is_kept: &impl Fn(Var) -> bool,
    ) -> Result<Id, OverBudget> {
        self.projected_with(id, is_kept, &mut FxHashMap::default())
    }

    fn projected_with(
        &mut self,
        id: Id,
        is_kept: &impl Fn(Var) -> bool,
        memo: &mut FxHashMap<Id, Id>,
    ) -> Result<Id, OverBudget> {
        if let Some(known) = memo.get(&id) {
            return Ok(*known);
        }
        let Some((var, edges)) = self.at(id) else {
            return Ok(id);
        };
        let mut edges = edges.to_vec();
        for edge in &mut edges {
            edge.to = self.projected_with(edge.to, is_kept, memo)?;
        }
        let made = match is_kept(var) {
            true => self.make(var, edges)?,
            false => {
                let mut any = Id::NO;
                for edge in edges {
                    any = self.or(any, edge.to)?;
                }
                any
            }
        };
        memo.insert(id, made);
        Ok(made)
    }

    /// Every node and value that a diagram leads through, each once, the lower ones first.
    pub(crate) fn reached(&self, id: Id) -> Vec<Id> {
        let mut seen = FxHashSet::default();
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

/// The way through the runs of a variable.
struct Next<const N: usize> {
    var: Var,
    all: [Id; N],
    /// Which edge of each diagram is next.
    at: [usize; N],
    is_over: bool,
}

impl<const N: usize> Next<N> {
    fn new(var: Var, all: [Id; N]) -> Self {
        Next {
            var,
            all,
            at: [0; N],
            is_over: false,
        }
    }

    /// The next run: its last class, and where each diagram leads to in it.
    #[inline]
    fn run(
        &mut self,
        arena: &Arena,
        settles: impl Fn(usize, Id) -> bool,
    ) -> Option<(ClassId, [Id; N])> {
        if self.is_over {
            return None;
        }
        let whole = |id: &Id| match arena.at(*id) {
            Some((asked, edges)) if asked == self.var => Some(edges),
            _ => None,
        };
        let edges = self.all.each_ref().map(whole);
        let end = arena.width(self.var).saturating_sub(1);
        let mut last = end;
        let mut to = self.all;
        for (place, ((edges, at), to)) in edges.iter().zip(&self.at).zip(&mut to).enumerate() {
            if let Some(edge) = edges.and_then(|edges| edges.get(*at)) {
                *to = edge.to;
                if settles(place, edge.to) {
                    last = edge.last;
                    break;
                }
                last = last.min(edge.last);
            }
        }
        self.is_over = last >= end;
        for (edges, at) in edges.iter().zip(&mut self.at) {
            if let Some(edges) = edges.filter(|_| !self.is_over) {
                *at = past(edges, *at, last);
            }
        }
        Some((last, to))
    }
}

/// A search for a vector.
struct Search<'a, const N: usize, E, J> {
    arena: &'a mut Arena,
    /// Below these there is none.
    searched: FxHashSet<[Id; N]>,
    ends: &'a E,
    judge: &'a mut J,
}

impl<const N: usize, E, J> Search<'_, N, E, J>
where
    E: Fn(usize, Id) -> bool,
    J: FnMut(&Arena, [Id; N], &[ClassId]) -> Option<bool>,
{
    fn found(&mut self, all: [Id; N], vector: &mut [ClassId]) -> Result<bool, OverBudget> {
        if let Some(known) = (self.judge)(self.arena, all, vector) {
            return Ok(known);
        }
        let asked = all.iter().filter_map(|id| Some(self.arena.at(*id)?.0));
        let Some(var) = asked.min().filter(|_| self.searched.insert(all)) else {
            return Ok(false);
        };
        self.arena.step()?;
        let place = usize::from(var);
        let own = vector.get(place).copied().unwrap_or_default();
        let mut first = 0;
        let mut next = Next::new(var, all);
        while let Some((last, to)) = next.run(self.arena, self.ends) {
            if let Some(class) = vector.get_mut(place) {
                *class = own.clamp(first, last);
            }
            if self.found(to, vector)? {
                return Ok(true);
            }
            first = last.saturating_add(1);
        }
        if let Some(class) = vector.get_mut(place) {
            *class = own;
        }
        Ok(false)
    }
}

/// The first edge that reaches past a class, not before one of which that is not known.
fn past(edges: &[Edge], from: usize, class: ClassId) -> usize {
    // Mostly it is the next one.
    let near = edges.iter().skip(from).take(4);
    let skipped = near.take_while(|edge| edge.last <= class).count();
    let at = from + skipped;
    if skipped < 4 {
        return at;
    }
    let rest = edges.get(at..).unwrap_or_default();
    at + rest.partition_point(|edge| edge.last <= class)
}
