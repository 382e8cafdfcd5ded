//! Which classes of a variable a policy never answers differently, put together; and what each group
//! of them says of itself, however the policy divides them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use rustc_hash::FxHashMap;

use super::diagram::{Arena, ClassId, Id, OverBudget, Var};
use super::ground::Ground;
use super::outcome::IMPOSSIBLE;
use super::term::{Known, known};
use crate::facts::{AttributeId, Facts, Kind, ScopeSet};

/// The classes of a variable that are answered alike, as one each.
pub(super) struct Groups {
    /// Of each class, its group.
    pub(super) of: Vec<ClassId>,
    pub(super) count: ClassId,
    /// What is in them, where that is not fixed.
    pub(super) says: String,
}

impl Groups {
    fn none(width: ClassId) -> Self {
        Groups {
            of: (0..width).collect(),
            count: width,
            says: String::new(),
        }
    }

    /// All classes are one.
    fn one(width: ClassId) -> Self {
        Groups {
            of: (0..width).map(|_| 0).collect(),
            count: 1,
            says: String::new(),
        }
    }

    /// From what each class says of its group; groups are in the order of that.
    fn by(texts: &[String]) -> Self {
        let all: BTreeSet<&String> = texts.iter().collect();
        let place = |text: &String| all.iter().position(|it| *it == text).unwrap_or_default();
        let narrow = |at: usize| ClassId::try_from(at).unwrap_or(ClassId::MAX);
        let joined: Vec<&str> = all.iter().map(|text| text.as_str()).collect();
        Groups {
            of: texts.iter().map(|text| narrow(place(text))).collect(),
            count: narrow(all.len()),
            says: joined.join("; "),
        }
    }
}

/// Whether two diagrams answer differently where both answer.
struct Conflicts<'a> {
    arena: &'a Arena,
    memo: FxHashMap<(Id, Id), bool>,
}

impl Conflicts<'_> {
    fn between(&mut self, one: Id, other: Id) -> bool {
        let nothing = Id::value(IMPOSSIBLE);
        if one == other || one == nothing || other == nothing {
            return false;
        }
        if one.as_value().is_some() && other.as_value().is_some() {
            return true;
        }
        let key = (one.min(other), one.max(other));
        if let Some(known) = self.memo.get(&key) {
            return *known;
        }
        let asked = [one, other].map(|id| self.arena.at(id).map(|(var, _)| var));
        let var = asked.into_iter().flatten().min().unwrap_or_default();
        let ends = |id: Id| match self.arena.at(id) {
            Some((asked, edges)) if asked == var => edges.iter().map(|edge| edge.last).collect(),
            _ => Vec::new(),
        };
        let mut classes: Vec<ClassId> = ends(one).into_iter().chain(ends(other)).collect();
        classes.sort_unstable();
        classes.dedup();
        let to = |id: Id, class: ClassId| match self.arena.at(id) {
            Some((asked, _)) if asked == var => self.arena.child(id, class),
            _ => id,
        };
        let found = classes
            .into_iter()
            .any(|class| self.between(to(one, class), to(other, class)));
        self.memo.insert(key, found);
        found
    }
}

impl Ground {
    /// Which classes of each variable a diagram never answers differently.
    /// None are, unless they may be put together.
    pub(super) fn groups(&mut self, root: Id, together: bool) -> Result<Vec<Groups>, OverBudget> {
        let mut at: FxHashMap<Var, Vec<Id>> = FxHashMap::default();
        for id in self.arena.reached(root) {
            if let Some((var, _)) = self.arena.at(id) {
                at.entry(var).or_default().push(id);
            }
        }
        let ends = self.ends(&at)?;
        let mut conflicts = Conflicts {
            arena: &self.arena,
            memo: FxHashMap::default(),
        };
        let mut groups = Vec::new();
        for (var, domain) in self.space.domains() {
            let width = self.arena.width(var);
            let nodes = at.get(&var).map(Vec::as_slice).unwrap_or_default();
            let mut differ = |one: ClassId, other: ClassId| {
                let to = |id: &Id| (self.arena.child(*id, one), self.arena.child(*id, other));
                let mut all = nodes.iter().map(to);
                !together || all.any(|(one, other)| conflicts.between(one, other))
            };
            let is_fine = self.space.fine(domain.attribute) == Some(var);
            groups.push(match domain.attribute.row().kind {
                Kind::Set { set, .. } => {
                    let kinds = kinds(width, &mut differ, |class| class == 0);
                    of_sets(self, var, set, &kinds)
                }
                Kind::Address { .. } if is_fine => {
                    let known = known(domain);
                    let ends = ends.as_ref().filter(|it| it.vars.contains(&var));
                    let cut = |pair| ends.is_some_and(|it| it.cuts.contains(&pair));
                    of_addresses(&known, |one, other| cut((one, other)) || differ(one, other))
                }
                Kind::Header { .. } | Kind::Text { .. } if is_fine => {
                    of_texts(domain.attribute, &known(domain), &mut differ)
                }
                Kind::Flag { .. }
                | Kind::Enum { .. }
                | Kind::Address { .. }
                | Kind::Header { .. }
                | Kind::Text { .. } => Groups::none(width),
            });
        }
        Ok(groups)
    }

    /// Between which classes of both ends of a connection a difference is made, of either or of both
    /// together.
    fn ends(&mut self, at: &FxHashMap<Var, Vec<Id>>) -> Result<Option<Ends>, OverBudget> {
        let vars = ["peer", "client-ip"]
            .map(|name| AttributeId::named(name).and_then(|id| self.space.fine(id)));
        let [Some(peer), Some(client)] = vars else {
            return Ok(None);
        };
        let width = self.arena.width(peer).min(self.arena.width(client));
        let known = self.space.domain(peer).map(known).unwrap_or_default();
        let neighbours = (0..width.saturating_sub(1)).map(|class| (class, class + 1));
        let compared: Vec<(ClassId, ClassId)> = neighbours.chain(apart(&known)).collect();
        let mut cuts = BTreeSet::new();
        for (first, second) in compared {
            let mut pairs = Vec::new();
            for id in at.get(&peer).into_iter().flatten() {
                let (one, other) = (self.arena.child(*id, first), self.arena.child(*id, second));
                let both = [
                    self.fixed(one, &[(client, first)])?,
                    self.fixed(other, &[(client, second)])?,
                ];
                pairs.push((one, other));
                pairs.push((both[0], both[1]));
            }
            for id in at.get(&client).into_iter().flatten() {
                pairs.push((self.arena.child(*id, first), self.arena.child(*id, second)));
            }
            let mut conflicts = Conflicts {
                arena: &self.arena,
                memo: FxHashMap::default(),
            };
            if pairs
                .into_iter()
                .any(|(one, other)| conflicts.between(one, other))
            {
                cuts.insert((first, second));
            }
        }
        Ok(Some(Ends {
            vars: [peer, client],
            cuts,
        }))
    }
}

/// Between which classes of addresses there is a difference.
struct Ends {
    vars: [Var; 2],
    cuts: BTreeSet<(ClassId, ClassId)>,
}

/// For each class the first one that it does not differ from; those that stand alone are their own.
fn kinds(
    width: ClassId,
    differ: &mut impl FnMut(ClassId, ClassId) -> bool,
    is_alone: impl Fn(ClassId) -> bool,
) -> Vec<ClassId> {
    let mut kinds: Vec<ClassId> = Vec::new();
    let mut firsts: Vec<ClassId> = Vec::new();
    for class in 0..width {
        let mut like = firsts.iter().copied();
        let like = like.find(|first| !is_alone(*first) && !differ(*first, class));
        let kind = like.filter(|_| !is_alone(class)).unwrap_or(class);
        if kind == class {
            firsts.push(class);
        }
        kinds.push(kind);
    }
    kinds
}

/// Sets of scopes: which sets are in each group, by the bits of the set.
fn of_sets(ground: &Ground, var: Var, set: fn(&mut Facts, ScopeSet), kinds: &[ClassId]) -> Groups {
    let words = ground
        .space
        .domain(var)
        .map_or(0, |domain| domain.attribute.row().kind.words().len());
    let mut facts = Facts::default();
    let mut sets: Vec<String> = kinds.iter().map(|_| String::new()).collect();
    for bits in 0..1u16 << words {
        set(&mut facts, ScopeSet(bits));
        let class = ground.space.class(var, &facts) as usize;
        let kind = kinds.get(class).copied().unwrap_or_default();
        if let Some(text) = sets.get_mut(kind as usize) {
            let _ = write!(text, "{bits:03x} ");
        }
    }
    let text = |kind: &ClassId| sets.get(*kind as usize).cloned().unwrap_or_default();
    Groups::by(&kinds.iter().map(text).collect::<Vec<_>>())
}

/// Classes of addresses of one kind between which there are others, two by two: the first class of
/// each stretch.
fn apart(known: &[Known<'_>]) -> Vec<(ClassId, ClassId)> {
    let mut stretches: Vec<(ClassId, usize)> = Vec::new();
    let mut before = None;
    for (class, it) in (0..).zip(known) {
        if before != Some(it.code) {
            stretches.push((class, it.code));
        }
        before = Some(it.code);
    }
    let mut apart = Vec::new();
    for (at, (one, code)) in stretches.iter().enumerate() {
        let others = stretches.iter().skip(at + 1);
        let alike = others.filter(|(_, other)| other == code);
        apart.extend(alike.map(|(other, _)| (*one, *other)));
    }
    apart
}

/// Addresses: ranges between which a difference is made. Stretches of one kind are ranges of their own
/// as soon as any difference is made within a kind.
fn of_addresses(known: &[Known<'_>], mut is_cut: impl FnMut(ClassId, ClassId) -> bool) -> Groups {
    let mut starts: Vec<String> = Vec::new();
    let mut is_needed = false;
    for (class, it) in (0..).zip(known) {
        let before = starts.len().checked_sub(1).and_then(|at| known.get(at));
        let is_first = before.is_none_or(|before| before.code != it.code);
        let cut = !is_first && is_cut(class - 1, class);
        is_needed |= cut;
        let start = match starts.last().filter(|_| !is_first && !cut) {
            Some(same) => same.clone(),
            None => it
                .range
                .map_or_else(String::new, |(first, _)| format!("{first:032x}")),
        };
        starts.push(start);
    }
    match is_needed
        || apart(known)
            .into_iter()
            .any(|(one, other)| is_cut(one, other))
    {
        true => Groups::by(&starts),
        false => Groups::one(ClassId::try_from(known.len()).unwrap_or(ClassId::MAX)),
    }
}

/// Headers and texts: the texts and ranges of each group, of one class by itself.
fn of_texts(
    attribute: AttributeId,
    known: &[Known<'_>],
    differ: &mut impl FnMut(ClassId, ClassId) -> bool,
) -> Groups {
    let width = ClassId::try_from(known.len()).unwrap_or(ClassId::MAX);
    let code = |class: ClassId| known.get(class as usize).map(|it| it.code);
    let mut differ = |one, other| code(one) != code(other) || differ(one, other);
    let kinds = kinds(width, &mut differ, |_| false);
    let mut texts: Vec<String> = Vec::new();
    for kind in &kinds {
        let own = || kinds.iter().zip(known).filter(move |it| it.0 == kind);
        let code = own().next().map_or(0, |(_, it)| it.code);
        let mut text = format!("{code}");
        // What nobody names is known by what is named.
        if rest_of(code, &kinds, known) != Some(*kind) {
            let is_host = attribute.row().name == "host";
            let mut ranges: Vec<(u128, u128)> = own().filter_map(|(_, it)| it.range).collect();
            // A host that is an address is that address, however it is named.
            let alone = own().filter_map(|(_, it)| it.ip).filter(|_| is_host);
            ranges.extend(alone.map(|ip| (ip, ip)));
            for (first, last) in joined(ranges) {
                let _ = write!(text, " {first:032x}-{last:032x}");
            }
            let named = own().filter(|(_, it)| it.ip.is_none() || !is_host);
            let mut named: Vec<&str> = named.filter_map(|(_, it)| it.literal).collect();
            named.sort_unstable();
            for literal in named {
                let _ = write!(text, " {literal:?}");
            }
        }
        texts.push(text);
    }
    let codes: BTreeSet<usize> = known.iter().map(|it| it.code).collect();
    let groups = Groups::by(&texts);
    match groups.count as usize == codes.len() {
        true => Groups::one(width),
        false => groups,
    }
}

/// The group of a class that has what no policy names: where all are addresses, most of them.
fn rest_of(code: usize, kinds: &[ClassId], known: &[Known<'_>]) -> Option<ClassId> {
    let own = || kinds.iter().zip(known).filter(move |it| it.1.code == code);
    let mut others = own().filter(|(_, it)| it.literal.is_none() && it.range.is_none());
    if let Some((kind, _)) = others.next() {
        return Some(*kind);
    }
    let mut sizes: Vec<(ClassId, u128)> = Vec::new();
    for (kind, it) in own() {
        let size = it.range.map_or(0, |(first, last)| last - first);
        match sizes.iter_mut().find(|known| known.0 == *kind) {
            Some(known) => known.1 = known.1.saturating_add(size),
            None => sizes.push((*kind, size)),
        }
    }
    let largest = sizes.iter().map(|it| it.1).max()?;
    let largest = sizes.iter().find(|it| it.1 == largest);
    largest.map(|(kind, _)| *kind)
}

/// Ranges, sorted, those that touch being one.
fn joined(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u128, u128)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}
