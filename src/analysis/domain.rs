//! What a policy can tell apart: the values of each attribute, sorted into classes of which every
//! member passes the same tests. Each class has a member that can be put into facts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::diagram::ClassId;
use super::members::{Member, candidates, in_range, usual};
use crate::compile::networks::{Networks, number};
use crate::compile::program::Test;
use crate::facts::address::parse_network;
use crate::facts::attributes::{Kind, example_header};
use crate::facts::word::Word;
use crate::facts::{Address, AddressClass, AttributeId, Facts, ScopeSet};

/// Values of an attribute that nobody tells apart.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// A member, the most usual one.
    pub(crate) member: Member,
    /// All addresses of it, first and last, of an attribute that is an address.
    pub(crate) ranges: Vec<(u128, u128)>,
}

/// The classes of a variable, in the order of their first members.
#[derive(Clone, Debug)]
pub(crate) struct Domain {
    pub(crate) attribute: AttributeId,
    pub(crate) classes: Vec<Class>,
    /// The class of each address range, sorted; of a set, the class of each subset.
    found: Found,
    /// Of each of those that say which one of its class an attribute is: that class.
    pub(crate) coarse: Vec<ClassId>,
}

#[derive(Clone, Debug)]
enum Found {
    /// Of a few values: each is its own class, in the order of its code.
    Codes,
    /// The last address of each range, with its class. What has no address is the first class.
    Ranges(Vec<(u128, Option<ClassId>)>),
    /// By the bits of the set.
    Bits(Vec<ClassId>),
    Texts(Texts),
}

/// Of a header or a text: those that a policy names, then addresses, then by its own class.
#[derive(Clone, Debug, Default)]
struct Texts {
    named: BTreeMap<Box<str>, ClassId>,
    /// The last address of each range, with its class, where networks are asked for.
    ranges: Vec<(u128, Option<ClassId>)>,
    others: Vec<Option<ClassId>>,
}

pub(super) fn narrow(length: usize) -> ClassId {
    ClassId::try_from(length).unwrap_or(ClassId::MAX)
}

/// Ranges of addresses between which no test, and no class of addresses, makes a difference.
struct Addresses(Vec<(u128, u128)>);

/// Where the classes of addresses begin and end.
const BOUNDS: [&str; 17] = [
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "255.255.255.255/32",
    "0.0.0.0/0",
    "::/128",
    "::1/128",
    "fc00::/7",
    "fec0::/10",
    "fe80::/10",
    "ff00::/8",
    "::/0",
];

impl Addresses {
    fn new(tests: &[&Test]) -> Self {
        // A range begins where another one does, and behind where one ends.
        let mut begins = BTreeSet::from([0]);
        let mut cut = |(first, last): (u128, u128)| {
            begins.insert(first);
            if let Some(behind) = last.checked_add(1) {
                begins.insert(behind);
            }
        };
        for bound in BOUNDS.iter().filter_map(|text| parse_network(text)) {
            Networks::new(&[bound])
                .ranges()
                .iter()
                .copied()
                .for_each(&mut cut);
        }
        for test in tests {
            if let Test::Address(_, _, networks) | Test::Header { networks, .. } = test {
                networks.ranges().iter().copied().for_each(&mut cut);
            }
        }
        let begins: Vec<u128> = begins.into_iter().collect();
        let ends = begins.iter().skip(1).map(|begin| begin - 1);
        let ends = ends.chain(std::iter::once(u128::MAX));
        Addresses(begins.iter().copied().zip(ends).collect())
    }
}

/// Values of an attribute, one at least of each class that some tests tell apart.
pub(crate) fn values(attribute: AttributeId, tests: &[&Test]) -> Vec<Member> {
    let fine = Domain::fine(attribute, tests);
    let all = fine.into_iter().chain([Domain::coarse(attribute, tests)]);
    all.flat_map(|domain| domain.classes)
        .map(|class| class.member)
        .collect()
}

impl Domain {
    /// What an attribute is as a whole, or by its own class.
    pub(super) fn coarse(attribute: AttributeId, tests: &[&Test]) -> Self {
        let members: Vec<Member> = match attribute.row().kind {
            Kind::Flag { .. } => vec![Member::Flag(false), Member::Flag(true)],
            Kind::Enum { words, .. } => (0u8..).take(words.len()).map(Member::Code).collect(),
            Kind::Set { words, set, .. } => return Domain::of_sets(attribute, words, set, tests),
            Kind::Address { .. } => {
                let examples = AddressClass::ALL.iter().map(|class| class.example());
                examples.map(Member::Address).collect()
            }
            Kind::Header { words, .. } => {
                let examples = words.iter().map(|word| example_header(words, word.name));
                examples
                    .map(|text| Member::Header(text.map(Into::into)))
                    .collect()
            }
            Kind::Text { .. } => candidates(attribute, 0).into_iter().take(2).collect(),
        };
        Domain {
            attribute,
            classes: members.into_iter().map(Class::of).collect(),
            found: Found::Codes,
            coarse: Vec::new(),
        }
    }

    /// Which one of its class an attribute is, where anybody asks.
    pub(super) fn fine(attribute: AttributeId, tests: &[&Test]) -> Option<Self> {
        let (literals, has_networks) = literals(tests);
        match attribute.row().kind {
            Kind::Address { .. } if has_networks => Some(Domain::of_addresses(attribute, tests)),
            Kind::Header { .. } | Kind::Text { .. } if has_networks || !literals.is_empty() => {
                Some(Domain::of_texts(attribute, tests))
            }
            Kind::Flag { .. }
            | Kind::Enum { .. }
            | Kind::Set { .. }
            | Kind::Address { .. }
            | Kind::Header { .. }
            | Kind::Text { .. } => None,
        }
    }

    fn of_sets(
        attribute: AttributeId,
        words: &[Word],
        set: fn(&mut Facts, ScopeSet),
        tests: &[&Test],
    ) -> Self {
        let mut facts = Facts::default();
        let mut known: BTreeMap<(bool, Vec<bool>), ClassId> = BTreeMap::new();
        let mut classes = Vec::new();
        // Small sets first, so that a class is shown by its smallest member.
        let mut sets: Vec<u16> = (0..1u16 << words.len()).collect();
        sets.sort_by_key(|bits| (bits.count_ones(), *bits));
        let mut bits = vec![0; sets.len()];
        for member in sets {
            set(&mut facts, ScopeSet(member));
            let answers: Vec<bool> = tests.iter().map(|test| test.holds(&facts)).collect();
            let class = *known.entry((member == 0, answers)).or_insert_with(|| {
                classes.push(Class::of(Member::Set(ScopeSet(member))));
                narrow(classes.len() - 1)
            });
            if let Some(place) = bits.get_mut(usize::from(member)) {
                *place = class;
            }
        }
        Domain {
            attribute,
            classes,
            found: Found::Bits(bits),
            coarse: Vec::new(),
        }
    }

    fn of_addresses(attribute: AttributeId, tests: &[&Test]) -> Self {
        let mut classes = vec![Class::of(Member::Address(Address::NONE))];
        let mut ranges = Vec::new();
        for range in Addresses::new(tests).0 {
            ranges.push((range.1, Some(narrow(classes.len()))));
            classes.push(Class {
                member: Member::Address(usual(range)),
                ranges: vec![range],
            });
        }
        Domain {
            attribute,
            classes,
            found: Found::Ranges(ranges),
            coarse: Vec::new(),
        }
        .with_coarse()
    }

    fn of_texts(attribute: AttributeId, tests: &[&Test]) -> Self {
        let mut facts = Facts::default();
        let mut classes: Vec<Class> = Vec::new();
        let mut texts = Texts::default();
        let (literals, has_networks) = literals(tests);
        for literal in &literals {
            let member = match attribute.row().kind {
                Kind::Text { .. } => Member::Text(literal.clone()),
                Kind::Flag { .. }
                | Kind::Enum { .. }
                | Kind::Set { .. }
                | Kind::Address { .. }
                | Kind::Header { .. } => Member::Header(Some(literal.clone())),
            };
            member.put(attribute, &mut facts);
            // One that is never read so is nobody's.
            if own_text(attribute, &facts) == &**literal {
                texts.named.insert(literal.clone(), narrow(classes.len()));
                classes.push(Class::of(member));
            }
        }
        let others = own_classes(attribute);
        texts.others = vec![None; others];
        let is_named = |facts: &Facts| texts.named.contains_key(own_text(attribute, facts));
        let mut found = vec![None; others];
        for member in candidates(attribute, literals.len()) {
            member.put(attribute, &mut facts);
            let by_range = has_networks && own_ip(attribute, &facts).is_some();
            let place = found.get_mut(usize::from(own_class(attribute, &facts)));
            if let Some(place @ None) = place
                && !by_range
                && !is_named(&facts)
            {
                *place = Some(member);
            }
        }
        for (place, member) in texts.others.iter_mut().zip(found) {
            if let Some(member) = member {
                *place = Some(narrow(classes.len()));
                classes.push(Class::of(member));
            }
        }
        let addresses = Addresses::new(tests).0;
        for range in addresses.into_iter().filter(|_| has_networks) {
            let mut member = None;
            for candidate in in_range(attribute, range) {
                candidate.put(attribute, &mut facts);
                let named = texts.named.contains_key(own_text(attribute, &facts));
                if !named && own_ip(attribute, &facts).is_some() {
                    member = Some(candidate);
                    break;
                }
            }
            let class = member.map(|member| {
                classes.push(Class {
                    member,
                    ranges: vec![range],
                });
                narrow(classes.len() - 1)
            });
            texts.ranges.push((range.1, class));
        }
        Domain {
            attribute,
            classes,
            found: Found::Texts(texts),
            coarse: Vec::new(),
        }
        .with_coarse()
    }

    pub(super) fn class(&self, facts: &Facts) -> ClassId {
        match (&self.found, self.attribute.row().kind) {
            (Found::Codes, Kind::Flag { get, .. }) => ClassId::from(get(facts)),
            (Found::Codes, Kind::Enum { get, .. }) => ClassId::from(get(facts)),
            (Found::Codes, Kind::Address { get, .. }) => ClassId::from(get(facts).class().code()),
            (Found::Codes, Kind::Header { .. } | Kind::Text { .. }) => {
                ClassId::from(own_class(self.attribute, facts))
            }
            (Found::Bits(bits), Kind::Set { get, .. }) => {
                let known = bits.len().saturating_sub(1);
                let at = usize::from(get(facts).0) & known;
                bits.get(at).copied().unwrap_or_default()
            }
            (Found::Ranges(ranges), Kind::Address { get, .. }) => match get(facts).ip() {
                None => 0,
                Some(ip) => containing(ranges, number(ip))
                    .copied()
                    .flatten()
                    .unwrap_or(0),
            },
            (Found::Texts(texts), _) => {
                let own = own_text(self.attribute, facts);
                if let Some(named) = texts.named.get(own) {
                    return *named;
                }
                let ip = own_ip(self.attribute, facts).map(number);
                let range = ip.and_then(|ip| *containing(&texts.ranges, ip)?);
                let other = texts
                    .others
                    .get(usize::from(own_class(self.attribute, facts)));
                range.or(other.copied().flatten()).unwrap_or_default()
            }
            (Found::Codes | Found::Bits(_) | Found::Ranges(_), _) => 0,
        }
    }

    /// The classes of a whole, or of a class, whose members pass a test by that alone.
    pub(crate) fn passing(&self, test: &Test) -> Vec<(ClassId, ClassId)> {
        let mut facts = Facts::default();
        let mut runs = Vec::new();
        for (at, class) in (0..).zip(&self.classes) {
            let passes = match test {
                Test::Address(_, codes, _) | Test::Header { codes, .. } => codes >> at & 1 != 0,
                Test::Text(_, absent, _) => at == 0 && *absent,
                Test::Flag(_)
                | Test::Word(..)
                | Test::Includes(..)
                | Test::Within(..)
                | Test::Equals(..)
                | Test::Never => {
                    class.member.put(self.attribute, &mut facts);
                    test.holds(&facts)
                }
            };
            if passes {
                runs.push((at, at));
            }
        }
        merged(runs)
    }

    /// Those that pass it for which one they are.
    pub(crate) fn passing_finely(&self, test: &Test) -> Vec<(ClassId, ClassId)> {
        let mut runs = Vec::new();
        if let Test::Address(_, _, networks) | Test::Header { networks, .. } = test
            && !networks.is_empty()
        {
            let of_ranges = |ranges: &[(u128, Option<ClassId>)]| {
                let mut runs = Vec::new();
                for (first, last) in networks.ranges() {
                    let from = ranges.partition_point(|(end, _)| end < first);
                    let inside = ranges.iter().skip(from).take_while(|(end, _)| end <= last);
                    runs.extend(inside.filter_map(|(_, class)| Some(((*class)?, (*class)?))));
                }
                runs
            };
            match &self.found {
                Found::Ranges(ranges) => runs.extend(of_ranges(ranges)),
                Found::Texts(texts) => {
                    runs.extend(of_ranges(&texts.ranges));
                    let mut facts = Facts::default();
                    for class in texts.named.values() {
                        if let Some(found) = self.classes.get(*class as usize) {
                            found.member.put(self.attribute, &mut facts);
                            let ip = own_ip(self.attribute, &facts);
                            if ip.is_some_and(|ip| networks.contain(ip)) {
                                runs.push((*class, *class));
                            }
                        }
                    }
                }
                Found::Codes | Found::Bits(_) => {}
            }
        }
        if let Test::Header { texts, .. } | Test::Text(_, _, texts) = test
            && let Found::Texts(known) = &self.found
        {
            let named = texts.iter().filter_map(|text| known.named.get(text));
            runs.extend(named.map(|class| (*class, *class)));
        }
        merged(runs)
    }

    /// The texts that are classes of their own, with them.
    pub(crate) fn literals(&self) -> Vec<(&str, ClassId)> {
        match &self.found {
            Found::Texts(texts) => {
                let named = texts.named.iter();
                named.map(|(text, class)| (&**text, *class)).collect()
            }
            Found::Codes | Found::Ranges(_) | Found::Bits(_) => Vec::new(),
        }
    }

    /// The classes, of all that an attribute has by itself, that those of some runs are of.
    pub(crate) fn coarse_of(&self, runs: &[(ClassId, ClassId)]) -> Vec<ClassId> {
        let mut found = Vec::new();
        for (first, last) in runs {
            let run = self.coarse.get(*first as usize..=*last as usize);
            for class in run.unwrap_or_default() {
                if !found.contains(class) {
                    found.push(*class);
                }
            }
        }
        found
    }

    fn with_coarse(mut self) -> Self {
        let mut facts = Facts::default();
        let own = |class: &Class| {
            class.member.put(self.attribute, &mut facts);
            match self.attribute.row().kind {
                Kind::Address { get, .. } => ClassId::from(get(&facts).class().code()),
                Kind::Flag { .. }
                | Kind::Enum { .. }
                | Kind::Set { .. }
                | Kind::Header { .. }
                | Kind::Text { .. } => ClassId::from(own_class(self.attribute, &facts)),
            }
        };
        self.coarse = self.classes.iter().map(own).collect();
        self
    }
}

/// What stands at the range that an address is in.
fn containing<T>(ranges: &[(u128, T)], address: u128) -> Option<&T> {
    let at = ranges.partition_point(|(last, _)| *last < address);
    ranges.get(at).map(|(_, found)| found)
}

fn merged(mut runs: Vec<(ClassId, ClassId)>) -> Vec<(ClassId, ClassId)> {
    runs.sort_unstable();
    let mut merged: Vec<(ClassId, ClassId)> = Vec::with_capacity(runs.len());
    for (first, last) in runs {
        match merged.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

impl Class {
    fn of(member: Member) -> Self {
        Class {
            member,
            ranges: Vec::new(),
        }
    }
}

fn own_text(attribute: AttributeId, facts: &Facts) -> &str {
    match attribute.row().kind {
        Kind::Header { text, .. } => text(facts),
        Kind::Text { get, .. } => get(facts),
        Kind::Flag { .. } | Kind::Enum { .. } | Kind::Set { .. } | Kind::Address { .. } => "",
    }
}

fn own_ip(attribute: AttributeId, facts: &Facts) -> Option<IpAddr> {
    match attribute.row().kind {
        Kind::Header { ip, .. } => ip(facts),
        Kind::Flag { .. }
        | Kind::Enum { .. }
        | Kind::Set { .. }
        | Kind::Address { .. }
        | Kind::Text { .. } => None,
    }
}

/// The class that a header has by itself; of a text, whether it is there.
fn own_class(attribute: AttributeId, facts: &Facts) -> u8 {
    match attribute.row().kind {
        Kind::Header { class, .. } => class(facts),
        Kind::Text { get, .. } => u8::from(!get(facts).is_empty()),
        Kind::Flag { .. } | Kind::Enum { .. } | Kind::Set { .. } | Kind::Address { .. } => 0,
    }
}

fn own_classes(attribute: AttributeId) -> usize {
    match attribute.row().kind {
        Kind::Header { words, .. } => words.len(),
        Kind::Text { .. } => 2,
        Kind::Flag { .. } | Kind::Enum { .. } | Kind::Set { .. } | Kind::Address { .. } => 0,
    }
}

/// The texts that tests name, and whether any asks for networks.
fn literals(tests: &[&Test]) -> (Vec<Box<str>>, bool) {
    let mut literals: Vec<Box<str>> = Vec::new();
    let mut has_networks = false;
    for test in tests {
        if let Test::Address(_, _, networks) | Test::Header { networks, .. } = test {
            has_networks |= !networks.is_empty();
        }
        if let Test::Header { texts, .. } | Test::Text(_, _, texts) = test {
            literals.extend(texts.iter().cloned());
        }
    }
    literals.sort_unstable();
    literals.dedup();
    (literals, has_networks)
}
