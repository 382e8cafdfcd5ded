//! Which classes of a variable a policy never answers differently, put together; and what each group
//! of them says of itself, however the policy divides them.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Of each group, how many classes it has.
    pub(super) sizes: Vec<ClassId>,
    /// What is in them, where that is not fixed.
    pub(super) says: String,
}

impl Groups {
    fn new(of: Vec<ClassId>, says: String) -> Self {
        let count = of.iter().max().map_or(0, |last| *last as usize + 1);
        let mut sizes = vec![0; count];
        for group in &of {
            if let Some(size) = sizes.get_mut(*group as usize) {
                *size += 1;
            }
        }
        Groups { of, sizes, says }
    }

    fn none(width: ClassId) -> Self {
        Groups::new((0..width).collect(), String::new())
    }

    /// All classes are one.
    fn one(width: ClassId) -> Self {
        Groups::new((0..width).map(|_| 0).collect(), String::new())
    }

    /// From the first class like each one, and what that says of its group; groups are in the order of
    /// what they say.
    fn by(kinds: &[ClassId], mut says: impl FnMut(ClassId) -> String) -> Self {
        let mut texts: BTreeMap<ClassId, String> = BTreeMap::new();
        for kind in kinds {
            texts.entry(*kind).or_insert_with(|| says(*kind));
        }
        let all: BTreeSet<&str> = texts.values().map(String::as_str).collect();
        let places: BTreeMap<&str, ClassId> = all.iter().copied().zip(0..).collect();
        let place = |text: &String| places.get(text.as_str()).copied();
        let groups: BTreeMap<ClassId, ClassId> = texts
            .iter()
            .filter_map(|(kind, text)| Some((*kind, place(text)?)))
            .collect();
        let of = kinds
            .iter()
            .map(|kind| groups.get(kind).copied().unwrap_or_default());
        let joined: Vec<&str> = all.into_iter().collect();
        Groups::new(of.collect(), joined.join("; "))
    }

    pub(super) fn count(&self) -> ClassId {
        ClassId::try_from(self.sizes.len()).unwrap_or(ClassId::MAX)
    }
}

/// Where the classes of a variable lead, from every node that asks for it. Of many classes most lead
/// to the same place: only what leads elsewhere is kept by class.
struct Leading {
    /// Of each node, where most classes lead.
    most: Vec<Id>,
    /// Of each class, the nodes from which it leads elsewhere, and to where.
    apart: Vec<Vec<(usize, Id)>>,
    /// Of each class, the first of these nodes from which it is answered otherwise than most are.
    told: Vec<Option<usize>>,
}

impl Leading {
    fn new(arena: &Arena, nodes: &[Id], width: ClassId, conflicts: &mut Conflicts<'_>) -> Self {
        let mut leading = Leading {
            most: Vec::new(),
            apart: vec![Vec::new(); width as usize],
            told: vec![None; width as usize],
        };
        for (node, id) in nodes.iter().enumerate() {
            let most = arena.most(*id).unwrap_or(*id);
            leading.most.push(most);
            let mut first = 0;
            for edge in arena.at(*id).map(|(_, edges)| edges).unwrap_or_default() {
                let run = first as usize..=edge.last as usize;
                first = edge.last.saturating_add(1);
                if edge.to == most {
                    continue;
                }
                let differs = conflicts.between(edge.to, most);
                for apart in leading.apart.get_mut(run.clone()).unwrap_or_default() {
                    apart.push((node, edge.to));
                }
                for told in leading.told.get_mut(run).unwrap_or_default() {
                    *told = told.or(differs.then_some(node));
                }
            }
        }
        leading
    }

    fn apart(&self, class: ClassId) -> &[(usize, Id)] {
        let apart = self.apart.get(class as usize);
        apart.map(Vec::as_slice).unwrap_or_default()
    }

    fn told(&self, class: ClassId) -> Option<usize> {
        self.told.get(class as usize).copied().flatten()
    }

    fn most(&self, node: usize) -> Id {
        self.most.get(node).copied().unwrap_or(Id::NO)
    }

    /// Whether two classes are answered differently from any node.
    fn differ(&self, one: ClassId, other: ClassId, conflicts: &mut Conflicts<'_>) -> bool {
        let (mut left, mut right) = (self.apart(one), self.apart(other));
        loop {
            let (node, to) = match (left.split_first(), right.split_first()) {
                (None, None) => return false,
                (Some(((at, one), rest)), Some(((other_at, other), other_rest)))
                    if at == other_at =>
                {
                    (left, right) = (rest, other_rest);
                    (*at, (*one, *other))
                }
                (Some(((at, one), rest)), other) if other.is_none_or(|it| *at < it.0.0) => {
                    left = rest;
                    (*at, (*one, self.most(*at)))
                }
                (_, Some(((at, other), rest))) => {
                    right = rest;
                    (*at, (self.most(*at), *other))
                }
                (Some(_), None) => return false,
            };
            debug_assert!(node < self.most.len());
            if conflicts.between(to.0, to.1) {
                return true;
            }
        }
    }

    /// For each class the first one that it does not differ from; those that stand alone are their
    /// own. Which are of one sort is said beside.
    fn kinds(
        &self,
        conflicts: &mut Conflicts<'_>,
        sort: impl Fn(ClassId) -> Option<usize>,
        is_alone: impl Fn(ClassId) -> bool,
    ) -> Vec<ClassId> {
        let mut kinds: Vec<ClassId> = Vec::new();
        // The first ones by a node from which they lead elsewhere, and those that are told from most
        // by none.
        let mut by_node: FxHashMap<usize, Vec<ClassId>> = FxHashMap::default();
        let mut like_most: Vec<ClassId> = Vec::new();
        for class in 0..narrow(self.apart.len()) {
            let mut like = None;
            if !is_alone(class) {
                let mut near: Vec<ClassId> = Vec::new();
                let mut at = |node: &usize| near.extend(by_node.get(node).into_iter().flatten());
                // What is told from most by a node is only like others that lead elsewhere there.
                match self.told(class) {
                    Some(node) => at(&node),
                    None => {
                        self.apart(class).iter().for_each(|(node, _)| at(node));
                        near.extend(&like_most);
                        near.sort_unstable();
                        near.dedup();
                    }
                }
                like = near.into_iter().find(|first| {
                    sort(*first) == sort(class) && !self.differ(*first, class, conflicts)
                });
            }
            if like.is_none() && !is_alone(class) {
                for (node, _) in self.apart(class) {
                    by_node.entry(*node).or_default().push(class);
                }
                if self.told(class).is_none() {
                    like_most.push(class);
                }
            }
            kinds.push(like.unwrap_or(class));
        }
        kinds
    }
}

fn narrow(count: usize) -> ClassId {
    ClassId::try_from(count).unwrap_or(ClassId::MAX)
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
        if self.memo.len() < MOST_KNOWN {
            self.memo.insert(key, found);
        }
        found
    }
}

/// As many pairs are remembered as some tens of megabytes hold.
const MOST_KNOWN: usize = 1 << 20;

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
            let is_fine = self.space.fine(domain.attribute) == Some(var);
            let is_fixed = match domain.attribute.row().kind {
                Kind::Flag { .. } | Kind::Enum { .. } => true,
                Kind::Set { .. } => false,
                Kind::Address { .. } | Kind::Header { .. } | Kind::Text { .. } => !is_fine,
            };
            if is_fixed {
                groups.push(Groups::none(width));
                continue;
            }
            let nodes = at.get(&var).map(Vec::as_slice).unwrap_or_default();
            let leading = Leading::new(&self.arena, nodes, width, &mut conflicts);
            let all = || (0..width).collect();
            groups.push(match domain.attribute.row().kind {
                Kind::Set { set, .. } => {
                    let kinds = match together {
                        true => leading.kinds(&mut conflicts, |_| None, |class| class == 0),
                        false => all(),
                    };
                    of_sets(self, var, set, &kinds)
                }
                Kind::Address { .. } => {
                    let known = known(domain);
                    let ends = ends.as_ref().filter(|it| it.vars.contains(&var));
                    let cut = |pair| ends.is_some_and(|it| it.cuts.contains(&pair));
                    of_addresses(&known, |one, other| {
                        !together || cut((one, other)) || leading.differ(one, other, &mut conflicts)
                    })
                }
                Kind::Header { .. } | Kind::Text { .. } => {
                    let known = known(domain);
                    let code = |class: ClassId| known.get(class as usize).map(|it| it.code);
                    let kinds = match together {
                        true => leading.kinds(&mut conflicts, code, |_| false),
                        false => all(),
                    };
                    of_texts(domain.attribute, &known, &kinds)
                }
                Kind::Flag { .. } | Kind::Enum { .. } => Groups::none(width),
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
        let nodes = |var: &Var| at.get(var).map(Vec::as_slice).unwrap_or_default();
        let (peers, clients) = (nodes(&peer), nodes(&client));
        let (peers_by, clients_by) = (self.by_bound(peers), self.by_bound(clients));
        let mut memo = FxHashMap::default();
        let mut cuts = BTreeSet::new();
        let neighbours = (0..width.saturating_sub(1)).map(|class| (class, class + 1));
        for (first, second) in neighbours.chain(apart(&known)) {
            // Between neighbours only those make a difference that have a bound there.
            let is_next = first + 1 == second;
            let at_bound = |by: &FxHashMap<ClassId, Vec<Id>>| by.get(&first).cloned();
            let own_clients = match is_next {
                true => at_bound(&clients_by).unwrap_or_default(),
                false => clients.to_vec(),
            };
            let own_peers = match is_next && own_clients.is_empty() {
                true => at_bound(&peers_by).unwrap_or_default(),
                false => peers.to_vec(),
            };
            let mut pairs = Vec::new();
            for id in own_peers {
                let (one, other) = (self.arena.child(id, first), self.arena.child(id, second));
                let both = (
                    self.fixed(one, &[(client, first)])?,
                    self.fixed(other, &[(client, second)])?,
                );
                pairs.push((one, other));
                pairs.push(both);
            }
            for id in own_clients {
                pairs.push((self.arena.child(id, first), self.arena.child(id, second)));
            }
            let mut conflicts = Conflicts {
                arena: &self.arena,
                memo,
            };
            if pairs
                .into_iter()
                .any(|(one, other)| conflicts.between(one, other))
            {
                cuts.insert((first, second));
            }
            memo = conflicts.memo;
        }
        Ok(Some(Ends {
            vars: [peer, client],
            cuts,
        }))
    }

    /// Nodes by the last class of each of their edges, but that of the last one.
    fn by_bound(&self, nodes: &[Id]) -> FxHashMap<ClassId, Vec<Id>> {
        let mut by: FxHashMap<ClassId, Vec<Id>> = FxHashMap::default();
        for id in nodes {
            let edges = self.arena.at(*id).map(|(_, edges)| edges);
            if let Some((_, edges)) = edges.and_then(<[_]>::split_last) {
                for edge in edges {
                    by.entry(edge.last).or_default().push(*id);
                }
            }
        }
        by
    }
}

/// Between which classes of addresses there is a difference.
struct Ends {
    vars: [Var; 2],
    cuts: BTreeSet<(ClassId, ClassId)>,
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
    let text = |kind: ClassId| sets.get(kind as usize).cloned().unwrap_or_default();
    Groups::by(kinds, text)
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
    let mut starts: Vec<ClassId> = Vec::new();
    let mut is_needed = false;
    for (class, it) in (0..).zip(known) {
        let before = starts.len().checked_sub(1).and_then(|at| known.get(at));
        let is_first = before.is_none_or(|before| before.code != it.code);
        let cut = !is_first && is_cut(class - 1, class);
        is_needed |= cut;
        let same = starts.last().copied().filter(|_| !is_first && !cut);
        starts.push(same.unwrap_or(class));
    }
    let start = |class: ClassId| {
        let range = known.get(class as usize).and_then(|it| it.range);
        range.map_or_else(String::new, |(first, _)| format!("{first:032x}"))
    };
    match is_needed
        || apart(known)
            .into_iter()
            .any(|(one, other)| is_cut(one, other))
    {
        true => Groups::by(&starts, start),
        false => Groups::one(narrow(known.len())),
    }
}

/// Headers and texts: the texts and ranges of each group, of one class by itself.
fn of_texts(attribute: AttributeId, known: &[Known<'_>], kinds: &[ClassId]) -> Groups {
    let mut by_kind: BTreeMap<ClassId, Vec<&Known<'_>>> = BTreeMap::new();
    for (kind, it) in kinds.iter().zip(known) {
        by_kind.entry(*kind).or_default().push(it);
    }
    let codes: BTreeSet<usize> = known.iter().map(|it| it.code).collect();
    let rests = codes
        .iter()
        .map(|code| (*code, rest_of(*code, kinds, known)));
    let rests: BTreeMap<usize, Option<ClassId>> = rests.collect();
    let groups = Groups::by(kinds, |kind| {
        let own = || by_kind.get(&kind).into_iter().flatten();
        let code = own().next().map_or(0, |it| it.code);
        let mut text = format!("{code}");
        // What nobody names is known by what is named.
        if rests.get(&code).copied().flatten() != Some(kind) {
            let is_host = attribute.row().name == "host";
            let mut ranges: Vec<(u128, u128)> = own().filter_map(|it| it.range).collect();
            // A host that is an address is that address, however it is named.
            let alone = own().filter_map(|it| it.ip).filter(|_| is_host);
            ranges.extend(alone.map(|ip| (ip, ip)));
            for (first, last) in joined(ranges) {
                let _ = write!(text, " {first:032x}-{last:032x}");
            }
            let named = own().filter(|it| it.ip.is_none() || !is_host);
            let mut named: Vec<&str> = named.filter_map(|it| it.literal).collect();
            named.sort_unstable();
            for literal in named {
                let _ = write!(text, " {literal:?}");
            }
        }
        text
    });
    match groups.count() as usize == codes.len() {
        true => Groups::one(narrow(known.len())),
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
    // The first of the largest ones; a kind is its first class.
    let mut sizes: BTreeMap<ClassId, u128> = BTreeMap::new();
    for (kind, it) in own() {
        let size = it.range.map_or(0, |(first, last)| last - first);
        let whole = sizes.entry(*kind).or_default();
        *whole = whole.saturating_add(size);
    }
    let largest = *sizes.values().max()?;
    let mut sizes = sizes.into_iter();
    sizes.find_map(|(kind, size)| (size == largest).then_some(kind))
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
