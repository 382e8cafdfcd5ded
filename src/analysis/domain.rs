//! What a policy can tell apart: the values of each attribute, sorted into classes of which every
//! member passes the same tests. A connection becomes a vector of classes, and each class has a
//! member that can be put into facts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::diagram::{ClassId, Var};
use crate::compile::networks::{Networks, number, of_number};
use crate::compile::program::Test;
use crate::facts::address::parse_network;
use crate::facts::attributes::{Kind, example_header};
use crate::facts::word::Word;
use crate::facts::{Address, AddressClass, AttributeId, Facts, ScopeSet};

/// A member of a class, as it is put into facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Flag(bool),
    Code(u8),
    Set(ScopeSet),
    Address(Address),
    /// `None` takes the header away.
    Header(Option<Box<str>>),
    Text(Box<str>),
}

impl Member {
    /// Puts it into facts.
    pub(crate) fn put(&self, attribute: AttributeId, facts: &mut Facts) {
        match (attribute.row().kind, self) {
            (Kind::Flag { set, .. }, Member::Flag(value)) => set(facts, *value),
            (Kind::Enum { set, .. }, Member::Code(code)) => set(facts, *code),
            (Kind::Set { set, .. }, Member::Set(value)) => set(facts, *value),
            (Kind::Address { set, .. }, Member::Address(address)) => set(facts, *address),
            (Kind::Header { set, .. }, Member::Header(text)) => set(facts, text.as_deref()),
            (Kind::Text { set, .. }, Member::Text(text)) => set(facts, text),
            // A member is made for its attribute.
            (
                Kind::Flag { .. }
                | Kind::Enum { .. }
                | Kind::Set { .. }
                | Kind::Address { .. }
                | Kind::Header { .. }
                | Kind::Text { .. },
                _,
            ) => {}
        }
    }
}

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
    pub(super) coarse: Vec<ClassId>,
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

/// In which order diagrams ask for attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// So that they are small.
    Smallest,
    /// That of the table of attributes, whatever is found to be small.
    Table,
}

/// The attributes in the order in which diagrams ask for them. What the assumptions speak of together
/// stands together, and what verdicts and their reasons are made of comes late: in the order of the
/// table of attributes the diagram of the default policy is twice as large.
const ORDER: &[&str] = &[
    "setting.host-header-origin",
    "forwarded",
    "forwarded-rfc",
    "forwarded-real-ip",
    "forwarded-for",
    "forwarded-host",
    "forwarded-proto",
    "forwarded-other",
    "forwarded-tailscale",
    "transport",
    "peer",
    "peer-uid",
    "same-host",
    "peer-is-own",
    "peer-is-proxy",
    "client-ip",
    "tls",
    "proxy-trace",
    "ingress",
    "origin",
    "same-origin",
    "origin-allowed",
    "host",
    "node-network",
    "client",
    "device-family",
    "mode",
    "role",
    "path",
    "scopes",
    "unknown-scope",
    "outside-role",
    "setting.bind",
    "secret-sent",
    "setting.auth-mode",
    "auth",
    "auth-failure",
    "setting.allow-insecure-auth",
    "setting.auto-approve-local",
    "device",
    "setting.disable-device-auth",
    "pairing",
    "role-upgrade",
    "platform",
    "scope-upgrade",
    "metadata-upgrade",
    "pending",
];

/// What is told apart, in the order in which diagrams ask for it.
///
/// An address or a header is two variables: its own class, which most policies and assumptions
/// ask for, beside the other facts of its stage; and behind all of them which one it is, where
/// networks or texts are asked for. So what does not ask for these is the same for all of them.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    domains: Vec<Domain>,
    /// Of each attribute of the table, the variable of what it is as a whole, or by its class.
    coarse: Vec<Var>,
    /// Of each attribute that is two variables, which one of its class it is.
    fine: Vec<Option<Var>>,
}

impl Space {
    /// What some tests tell apart, each with its attribute. Beyond that, what the table of
    /// attributes tells apart.
    pub(crate) fn new<'a>(
        tests: impl Iterator<Item = (AttributeId, &'a Test)>,
        order: Order,
    ) -> Self {
        let mut by_attribute: Vec<Vec<&Test>> = AttributeId::all().map(|_| Vec::new()).collect();
        for (attribute, test) in tests {
            if let Some(tests) = by_attribute.get_mut(usize::from(attribute.0)) {
                tests.push(test);
            }
        }
        let mut all: Vec<AttributeId> = AttributeId::all().collect();
        if order == Order::Smallest {
            all.sort_by_key(|id| {
                let place = ORDER.iter().position(|name| *name == id.row().name);
                place.unwrap_or(ORDER.len())
            });
        }
        let order = all;
        let tests_of = |id: AttributeId| {
            let tests = by_attribute.get(usize::from(id.0));
            tests.map(Vec::as_slice).unwrap_or_default()
        };
        let mut domains: Vec<Domain> = Vec::new();
        let mut coarse = vec![0; order.len()];
        let mut fine = vec![None; order.len()];
        for id in &order {
            if let Some(place) = coarse.get_mut(usize::from(id.0)) {
                *place = var(domains.len());
            }
            domains.push(Domain::coarse(*id, tests_of(*id)));
        }
        for id in &order {
            if let Some(domain) = Domain::fine(*id, tests_of(*id)) {
                if let Some(place) = fine.get_mut(usize::from(id.0)) {
                    *place = Some(var(domains.len()));
                }
                domains.push(domain);
            }
        }
        Space {
            domains,
            coarse,
            fine,
        }
    }

    /// The variable of an attribute as a whole, or of its class.
    pub(crate) fn var(&self, attribute: AttributeId) -> Var {
        let var = self.coarse.get(usize::from(attribute.0));
        var.copied().unwrap_or_default()
    }

    /// The variable of which one of its class an attribute is, where that is told apart.
    pub(crate) fn fine(&self, attribute: AttributeId) -> Option<Var> {
        self.fine.get(usize::from(attribute.0)).copied().flatten()
    }

    /// The variable of the attribute with this name.
    pub(crate) fn named(&self, name: &str) -> Var {
        AttributeId::named(name).map_or(0, |id| self.var(id))
    }

    /// The classes of a variable.
    pub(crate) fn domain(&self, var: Var) -> Option<&Domain> {
        self.domains.get(usize::from(var))
    }

    /// All of them, in order.
    pub(crate) fn domains(&self) -> impl Iterator<Item = (Var, &Domain)> {
        (0..).zip(&self.domains)
    }

    /// How many classes each has.
    pub(crate) fn widths(&self) -> Box<[ClassId]> {
        let widths = self
            .domains
            .iter()
            .map(|domain| narrow(domain.classes.len()));
        widths.collect()
    }

    /// The class of a fact.
    pub(crate) fn class(&self, var: Var, facts: &Facts) -> ClassId {
        self.domain(var).map_or(0, |domain| domain.class(facts))
    }

    /// Facts of a vector of classes. They need not go together.
    pub(crate) fn facts(&self, class: impl Fn(Var) -> ClassId) -> Facts {
        let mut facts = Facts::default();
        // What says more comes later.
        for (var, domain) in self.domains() {
            if let Some(class) = domain.classes.get(class(var) as usize) {
                class.member.put(domain.attribute, &mut facts);
            }
        }
        facts
    }
}

fn var(place: usize) -> Var {
    Var::try_from(place).unwrap_or(Var::MAX)
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

/// The member of a range that looks most like somebody's address.
fn usual((first, last): (u128, u128)) -> Address {
    let is_in = |address: &Address| {
        let number = address.ip().map(number);
        number.is_some_and(|it| first <= it && it <= last)
    };
    let known = AddressClass::ALL.iter().map(|class| class.example());
    known.into_iter().find(is_in).unwrap_or_else(|| {
        let from_first = if last - first >= 10 {
            first + 10
        } else {
            first
        };
        Address::new(of_number(from_first))
    })
}

impl Domain {
    /// What an attribute is as a whole, or by its own class.
    fn coarse(attribute: AttributeId, tests: &[&Test]) -> Self {
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
    fn fine(attribute: AttributeId, tests: &[&Test]) -> Option<Self> {
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

    fn class(&self, facts: &Facts) -> ClassId {
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

/// A host as a header spells it.
fn spelled(attribute: AttributeId, host: &str) -> Member {
    let text = match attribute.row().name {
        "origin" => format!("https://{host}"),
        _ => host.to_owned(),
    };
    Member::Header(Some(text.into()))
}

/// Members of every class that a header or text has by itself, the most usual ones first; more of
/// each than there are texts that a policy names.
fn candidates(attribute: AttributeId, named: usize) -> Vec<Member> {
    let mut members = Vec::new();
    match attribute.row().kind {
        Kind::Header { words, .. } => {
            for word in words {
                let example = example_header(words, word.name);
                members.push(Member::Header(example.map(Into::into)));
            }
            for at in 0..=named {
                let (high, low) = (at / 250, at % 250 + 1);
                for host in [
                    format!("other-{at}.example"),
                    format!("other-{at}.local"),
                    format!("other-{at}.ts.net"),
                    format!("127.0.{high}.{low}"),
                    format!("10.20.{high}.{low}"),
                    format!("198.51.{high}.{low}"),
                ] {
                    members.push(spelled(attribute, &host));
                }
                members.push(Member::Header(Some(format!("not an origin {at}").into())));
            }
        }
        Kind::Text { .. } => {
            members.push(Member::Text("".into()));
            let prefix = if attribute.row().name == "path" {
                "/"
            } else {
                ""
            };
            let others = (0..=named).map(|at| Member::Text(format!("{prefix}other-{at}").into()));
            members.extend(others);
        }
        Kind::Flag { .. } | Kind::Enum { .. } | Kind::Set { .. } | Kind::Address { .. } => {}
    }
    members
}

/// Hosts whose address is in a range.
fn in_range(attribute: AttributeId, (first, last): (u128, u128)) -> impl Iterator<Item = Member> {
    let near = (0..4).map(move |at| first.saturating_add(at).min(last));
    let numbers = std::iter::once(first.saturating_add(10).min(last)).chain(near);
    numbers.map(move |number| {
        let host = match of_number(number) {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        spelled(attribute, &host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attribute_has_its_place_in_the_order() {
        let mut named: Vec<&str> = AttributeId::all().map(|id| id.row().name).collect();
        let mut ordered = ORDER.to_vec();
        named.sort_unstable();
        ordered.sort_unstable();
        assert_eq!(named, ordered);
    }
}
