//! Cubes: for some variables, the classes that are let through; for the others, any class.
//!
//! What a cube says in the words of a policy is [`super::term`]'s.

use rustc_hash::{FxHashMap, FxHashSet};

use super::diagram::{Arena, ClassId, Edge, Id, OverBudget, Var};

/// Runs of classes, each from first to last, in ascending order, none touching the next one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Runs(Vec<(ClassId, ClassId)>);

impl Runs {
    pub(crate) fn one(class: ClassId) -> Self {
        Runs(vec![(class, class)])
    }

    /// Those that are marked.
    fn of(marked: &[bool]) -> Self {
        let mut runs: Vec<(ClassId, ClassId)> = Vec::new();
        for (class, _) in (0..).zip(marked).filter(|(_, is_marked)| **is_marked) {
            match runs.last_mut() {
                Some(run) if run.1.checked_add(1) == Some(class) => run.1 = class,
                _ => runs.push((class, class)),
            }
        }
        Runs(runs)
    }

    pub(crate) fn contains(&self, class: ClassId) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < class);
        self.0.get(at).is_some_and(|(first, _)| *first <= class)
    }

    /// How many classes of a run are among them.
    fn among(&self, first: ClassId, last: ClassId) -> u32 {
        let all = self.0.iter();
        let common = all.filter_map(|run| {
            let from = first.max(run.0);
            (last.min(run.1) + 1).checked_sub(from)
        });
        common.sum()
    }

    /// How many classes there are.
    pub(crate) fn len(&self) -> u32 {
        self.among(0, ClassId::MAX)
    }

    /// Those that both have.
    pub(crate) fn common(&self, other: &Runs) -> Runs {
        let mut common = Vec::new();
        for (first, last) in &self.0 {
            let meeting = other
                .0
                .iter()
                .map(|run| (run.0.max(*first), run.1.min(*last)));
            common.extend(meeting.filter(|(first, last)| first <= last));
        }
        Runs(common)
    }

    /// How many values there are to read, of so many classes: these, or the others.
    pub(crate) fn reading(&self, width: ClassId) -> u32 {
        self.len().min(width.saturating_sub(self.len()))
    }
}

/// What is let through, by variable; nothing stands for any class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cube(Vec<Option<Runs>>);

impl Cube {
    /// One vector alone.
    pub(crate) fn of(vector: &[ClassId]) -> Self {
        Cube(vector.iter().map(|class| Some(Runs::one(*class))).collect())
    }

    /// Any vector of so many variables.
    pub(crate) fn anything(width: usize) -> Self {
        Cube(vec![None; width])
    }

    fn get(&self, var: Var) -> Option<&Runs> {
        self.0.get(usize::from(var))?.as_ref()
    }

    pub(crate) fn set(&mut self, var: Var, runs: Option<Runs>) {
        if let Some(place) = self.0.get_mut(usize::from(var)) {
            *place = runs;
        }
    }

    /// The variables of which not every class is let through, with those that are.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (Var, &Runs)> {
        let all = (0..).zip(&self.0);
        all.filter_map(|(var, runs)| Some((var, runs.as_ref()?)))
    }

    /// Whether some class of a run is let through.
    fn meets(&self, var: Var, first: ClassId, last: ClassId) -> bool {
        self.get(var)
            .is_none_or(|runs| runs.among(first, last) != 0)
    }
}

impl Arena {
    /// What a cube lets through.
    pub(crate) fn cube(&mut self, cube: &Cube) -> Result<Id, OverBudget> {
        let mut all = Id::YES;
        let asked: Vec<(Var, &Runs)> = cube.asked().collect();
        for (var, runs) in asked.into_iter().rev() {
            let mut edges = Vec::new();
            let mut next = 0;
            for (first, last) in &runs.0 {
                if let Some(before) = first.checked_sub(1).filter(|_| *first > next) {
                    edges.push(Edge {
                        last: before,
                        to: Id::NO,
                    });
                }
                edges.push(Edge {
                    last: *last,
                    to: all,
                });
                next = last.saturating_add(1);
            }
            let width = self.width(var);
            if let Some(last) = width.checked_sub(1).filter(|_| next < width) {
                edges.push(Edge { last, to: Id::NO });
            }
            all = self.make(var, edges)?;
        }
        Ok(all)
    }

    /// Whether a condition holds for all that a cube lets through.
    pub(crate) fn covers(&self, condition: Id, cube: &Cube) -> bool {
        self.leads(condition, cube, Id::YES, &mut FxHashMap::default())
    }

    /// Whether all that a cube lets through leads to one value.
    fn leads(&self, id: Id, cube: &Cube, to: Id, memo: &mut FxHashMap<Id, bool>) -> bool {
        if id.as_value().is_some() {
            return id == to;
        }
        if let Some(known) = memo.get(&id) {
            return *known;
        }
        let Some((var, edges)) = self.at(id) else {
            return false;
        };
        let mut first = 0;
        let mut leads = true;
        for edge in edges {
            if cube.meets(var, first, edge.last) && !self.leads(edge.to, cube, to, memo) {
                leads = false;
                break;
            }
            first = edge.last.saturating_add(1);
        }
        memo.insert(id, leads);
        leads
    }

    /// The most classes of a variable that a cube may let through, so that a condition goes on
    /// holding for all of it.
    pub(crate) fn widest(&self, condition: Id, cube: &Cube, var: Var) -> Runs {
        let mut barred = vec![false; self.width(var) as usize];
        let mut memo = FxHashMap::default();
        let mut seen = FxHashSet::default();
        let mut open = vec![condition];
        while let Some(id) = open.pop() {
            let Some((asked, edges)) = self.at(id) else {
                continue;
            };
            if asked > var || !seen.insert(id) {
                continue;
            }
            let mut first = 0;
            for edge in edges {
                if asked == var {
                    if !self.leads(edge.to, cube, Id::YES, &mut memo) {
                        let run = barred.get_mut(first as usize..=edge.last as usize);
                        run.unwrap_or_default().fill(true);
                    }
                } else if cube.meets(asked, first, edge.last) {
                    open.push(edge.to);
                }
                first = edge.last.saturating_add(1);
            }
        }
        let open: Vec<bool> = barred.iter().map(|is_barred| !is_barred).collect();
        Runs::of(&open)
    }

    /// The classes of a variable that a condition holds for within a cube, for some of the vectors
    /// at least.
    pub(crate) fn occurring(&self, condition: Id, cube: &Cube, var: Var) -> Runs {
        let width = self.width(var);
        let mut found = vec![false; width as usize];
        let mut memo = FxHashMap::default();
        let mut seen = FxHashSet::default();
        let mut open = vec![condition];
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let node = self.at(id).filter(|(asked, _)| *asked <= var);
            let Some((asked, edges)) = node else {
                if !self.leads(id, cube, Id::NO, &mut memo) {
                    found.fill(true);
                }
                continue;
            };
            let mut first = 0;
            for edge in edges {
                if asked < var {
                    if cube.meets(asked, first, edge.last) {
                        open.push(edge.to);
                    }
                } else if !self.leads(edge.to, cube, Id::NO, &mut memo) {
                    let run = found.get_mut(first as usize..=edge.last as usize);
                    run.unwrap_or_default().fill(true);
                }
                first = edge.last.saturating_add(1);
            }
        }
        Runs::of(&found)
    }

    /// How much of all vectors a cube lets through for which a condition holds.
    pub(crate) fn measure(&self, condition: Id, cube: &Cube) -> f64 {
        let share = |(var, runs): (Var, &Runs)| f64::from(runs.len()) / f64::from(self.width(var));
        let whole: f64 = cube.asked().map(share).product();
        whole * self.measured(condition, cube, &mut FxHashMap::default())
    }

    fn measured(&self, id: Id, cube: &Cube, memo: &mut FxHashMap<Id, f64>) -> f64 {
        if id.as_value().is_some() {
            return f64::from(u8::from(id == Id::YES));
        }
        if let Some(known) = memo.get(&id) {
            return *known;
        }
        let Some((var, edges)) = self.at(id) else {
            return 0.0;
        };
        let (mut first, mut sum, mut count) = (0, 0.0, 0);
        for edge in edges {
            let among = match cube.get(var) {
                Some(runs) => runs.among(first, edge.last),
                None => edge.last + 1 - first,
            };
            if among != 0 {
                count += among;
                sum += f64::from(among) * self.measured(edge.to, cube, memo);
            }
            first = edge.last.saturating_add(1);
        }
        let measured = sum / f64::from(count.max(1));
        memo.insert(id, measured);
        measured
    }

    /// The variables that a diagram asks for.
    pub(crate) fn support(&self, id: Id) -> FxHashSet<Var> {
        let reached = self.reached(id).into_iter();
        reached.filter_map(|id| Some(self.at(id)?.0)).collect()
    }
}
