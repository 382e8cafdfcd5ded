//! Some classes of a variable as a condition that a policy author could write.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{Ipv4Subnets, Ipv6Subnets};

use super::cube::Runs;
use super::diagram::{ClassId, Var};
use super::domain::Domain;
use super::ground::Ground;
use super::names::{Names, is_just};
use crate::compile::networks::{
    Networks, V4_END, V4_START, around_v4, number, of_number, v4_within,
};
use crate::compile::program::Test;
use crate::facts::word::Word;
use crate::facts::{AttributeId, Facts, Kind, ScopeSet};
use crate::lang::checked::Members;
use crate::verdict::show_scopes;

/// Some classes of a variable as a condition. It is exact for what is of the class that it is said
/// to be of.
pub(crate) fn text(ground: &Ground, names: &Names, var: Var, runs: &Runs) -> String {
    let Some(domain) = ground.space.domain(var) else {
        return String::new();
    };
    let name = domain.attribute.row().name;
    match domain.attribute.row().kind {
        Kind::Flag { .. } if runs.contains(0) => format!("not {name}"),
        Kind::Flag { .. } => name.to_owned(),
        Kind::Set { .. } => of_scopes(domain, names, runs),
        Kind::Enum { .. } | Kind::Address { .. } | Kind::Header { .. } | Kind::Text { .. } => {
            let sets = names.sets(ground, var);
            by_set(name, domain, &sets, runs).unwrap_or_else(|| among(domain, runs))
        }
    }
}

/// What a class is known by.
pub(super) struct Known<'a> {
    /// The word for the class that it is part of.
    pub(super) code: usize,
    pub(super) literal: Option<&'a str>,
    /// The address that the literal is.
    pub(super) ip: Option<u128>,
    pub(super) range: Option<(u128, u128)>,
}

/// What each class is known by.
pub(super) fn known(domain: &Domain) -> Vec<Known<'_>> {
    let row = domain.attribute.row();
    let mut literals = vec![None; domain.classes.len()];
    for (text, class) in domain.literals() {
        if let Some(place) = literals.get_mut(class as usize) {
            *place = Some(text);
        }
    }
    let codes = (0..domain.classes.len()).map(|at| domain.coarse.get(at).copied());
    let mut facts = Facts::default();
    let all = (0..).zip(domain.classes.iter().zip(codes));
    all.map(|(at, (class, code))| {
        class.member.put(domain.attribute, &mut facts);
        let literal = literals.get(at as usize).copied().flatten();
        let ip = match row.kind {
            Kind::Header { ip, .. } => ip(&facts).map(number),
            Kind::Flag { .. }
            | Kind::Enum { .. }
            | Kind::Set { .. }
            | Kind::Address { .. }
            | Kind::Text { .. } => None,
        };
        Known {
            code: match row.kind {
                Kind::Enum { .. } | Kind::Flag { .. } | Kind::Set { .. } => at as usize,
                // What has no other class to be of is its own.
                Kind::Address { .. } | Kind::Header { .. } | Kind::Text { .. } => {
                    code.unwrap_or(at) as usize
                }
            },
            literal,
            ip: ip.filter(|_| literal.is_some()),
            range: class.ranges.first().copied(),
        }
    })
    .collect()
}

/// What may stand between braces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Values {
    codes: Vec<usize>,
    ranges: Vec<(u128, u128)>,
    texts: Vec<String>,
}

impl Values {
    fn add(&mut self, class: &Known<'_>) {
        if let Some(text) = class.literal {
            self.texts.push(text.to_owned());
        } else if let Some(range) = class.range {
            self.ranges.push(range);
        }
    }

    fn contain(&self, class: &Known<'_>) -> bool {
        let inside = |first: u128, last: u128| {
            let mut all = self.ranges.iter();
            all.any(|range| range.0 <= first && last <= range.1)
        };
        self.codes.contains(&class.code)
            || class.range.is_some_and(|(first, last)| inside(first, last))
            || class.ip.is_some_and(|ip| inside(ip, ip))
            || class
                .literal
                .is_some_and(|text| self.texts.iter().any(|known| known == text))
    }

    fn items(&self, words: &[Word]) -> Vec<String> {
        let words = self.codes.iter().filter_map(|code| words.get(*code));
        let mut items: Vec<String> = words.map(|word| word.name.to_owned()).collect();
        items.extend(networks(&self.ranges));
        items.extend(self.texts.iter().map(|text| format!("\"{text}\"")));
        items
    }

    fn is_empty(&self) -> bool {
        *self == Values::default()
    }
}

/// The classes of a domain that are among some members; nothing if some class is in part.
pub(super) fn classes(domain: &Domain, members: &Members) -> Option<Vec<ClassId>> {
    let known = known(domain);
    let has = |text: &str| known.iter().any(|class| class.literal == Some(text));
    if !members.texts.iter().all(|text| has(text)) {
        return None;
    }
    let values = Values {
        codes: (0..64)
            .filter(|code| members.codes >> code & 1 != 0)
            .collect(),
        ranges: Networks::new(&members.networks).ranges().to_vec(),
        texts: members.texts.iter().map(|text| text.to_string()).collect(),
    };
    of_values(&known, &values)
}

fn of_values(known: &[Known<'_>], values: &Values) -> Option<Vec<ClassId>> {
    let overlaps = |(first, last): (u128, u128)| {
        let part = |range: &(u128, u128)| {
            let meets = range.0 <= last && first <= range.1;
            meets && !(range.0 <= first && last <= range.1)
        };
        values.ranges.iter().any(part)
    };
    let is_divided = known.iter().any(|class| class.range.is_some_and(overlaps));
    let has_ranges = known.iter().any(|class| class.range.is_some());
    if is_divided || (!values.ranges.is_empty() && !has_ranges) {
        return None;
    }
    let all = (0..).zip(known);
    Some(
        all.filter(|(_, class)| values.contain(class))
            .map(|(at, _)| at)
            .collect(),
    )
}

/// The classes of a domain that are in some networks; nothing if some class is in part.
pub(super) fn classes_of(domain: &Domain, networks: &Networks) -> Option<Vec<ClassId>> {
    let values = Values {
        ranges: networks.ranges().to_vec(),
        ..Values::default()
    };
    of_values(&known(domain), &values)
}

/// By the name of a set, of all but a set, or of a set without another one.
fn by_set(
    name: &str,
    domain: &Domain,
    sets: &[(String, Vec<ClassId>)],
    runs: &Runs,
) -> Option<String> {
    let all = 0..ClassId::try_from(domain.classes.len()).ok()?;
    for (set, classes) in sets.iter().filter(|(_, classes)| !classes.is_empty()) {
        if is_just(runs, classes) {
            return Some(format!("{name} in {set}"));
        }
        let others: Vec<ClassId> = all.clone().filter(|it| !classes.contains(it)).collect();
        if is_just(runs, &others) {
            return Some(format!("{name} not in {set}"));
        }
    }
    for (set, classes) in sets {
        for (without, less) in sets.iter().filter(|(_, less)| !less.is_empty()) {
            let mut rest = classes.clone();
            rest.retain(|class| !less.contains(class));
            if rest.len() < classes.len() && is_just(runs, &rest) {
                return Some(format!("{name} in {set} and {name} not in {without}"));
            }
        }
    }
    None
}

/// By the values, or by those that it is not.
fn among(domain: &Domain, runs: &Runs) -> String {
    let known = known(domain);
    let inside: Vec<bool> = (0..).zip(&known).map(|(at, _)| runs.contains(at)).collect();
    let outside: Vec<bool> = inside.iter().map(|is_in| !is_in).collect();
    let (these, but) = values(&known, &inside);
    let (others, but_others) = values(&known, &outside);
    let words = domain.attribute.row().kind.words();
    let count = |values: &Values| values.items(words).len();
    let attribute = domain.attribute;
    // There is no word for any text at all.
    let has_words = |values: &Values| values.codes.iter().all(|code| *code < words.len());
    let is_shorter = count(&others) < count(&these) + count(&but);
    if !has_words(&these) || (has_words(&others) && but_others.is_empty() && is_shorter) {
        return listed(attribute, &others, true);
    }
    let text = match (these.is_empty(), but.is_empty()) {
        (_, true) => listed(attribute, &these, false),
        (true, _) => listed(attribute, &but, true),
        (false, false) => format!(
            "{} and {}",
            listed(attribute, &these, false),
            listed(attribute, &but, true)
        ),
    };
    // A text may be an address of a network that is left out.
    let mut missing = Values::default();
    for (class, is_in) in known.iter().zip(&inside) {
        let said = these.contain(class) && !but.contain(class);
        if *is_in && !said {
            missing.add(class);
        }
    }
    match missing.is_empty() {
        true => text,
        false => format!("(({text}) or {})", listed(attribute, &missing, false)),
    }
}

/// The values that come to some classes: these, but for those.
fn values(known: &[Known<'_>], inside: &[bool]) -> (Values, Values) {
    let (mut these, mut but) = (Values::default(), Values::default());
    let both = || known.iter().zip(inside.iter().copied());
    let mut codes: Vec<usize> = known.iter().map(|class| class.code).collect();
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        let own = || both().filter(move |(class, _)| class.code == code);
        let of = |wanted: bool| {
            let mut values = Values::default();
            let wanted = own().filter(|(_, is_in)| *is_in == wanted);
            wanted.for_each(|(class, _)| values.add(class));
            values
        };
        let is_other = |class: &Known<'_>| class.literal.is_none() && class.range.is_none();
        let all = own().all(|(_, is_in)| is_in);
        let none = own().all(|(_, is_in)| !is_in);
        let others = own().find(|(class, _)| is_other(class));
        let by_word = match others {
            Some((_, is_in)) => is_in,
            None => of(false).items(&[]).len() < of(true).items(&[]).len(),
        };
        match (all, none) {
            (true, _) => these.codes.push(code),
            (_, true) => {}
            _ => {
                let listed = of(!by_word);
                let place = match by_word {
                    true => {
                        these.codes.push(code);
                        &mut but
                    }
                    false => &mut these,
                };
                place.ranges.extend(listed.ranges);
                place.texts.extend(listed.texts);
            }
        }
    }
    // A text may be an address of a network that is listed.
    for (class, is_in) in both() {
        if !is_in && these.contain(class) && !but.contain(class) {
            but.add(class);
        }
    }
    (these, but)
}

/// One attribute compared with values.
fn listed(attribute: AttributeId, values: &Values, negated: bool) -> String {
    let name = attribute.row().name;
    let items = values.items(attribute.row().kind.words());
    let [only] = items.as_slice() else {
        let between = items.join(", ");
        return match negated {
            true => format!("{name} not in {{ {between} }}"),
            false => format!("{name} in {{ {between} }}"),
        };
    };
    let peers = ["loopback", "private", "public"];
    match (name, only.as_str(), negated) {
        ("host" | "origin" | "device", "absent", false) => format!("no-{name}"),
        ("peer", class, false) if peers.contains(&class) => class.to_owned(),
        ("peer", class, true) if peers.contains(&class) => format!("not {class}"),
        (_, only, false) if only.contains('/') && !only.contains('"') => {
            format!("{name} in {{ {only} }}")
        }
        (_, only, true) if only.contains('/') && !only.contains('"') => {
            format!("{name} not in {{ {only} }}")
        }
        (_, only, false) => format!("{name}={only}"),
        (_, only, true) => format!("{name}!={only}"),
    }
}

/// The fewest networks that are some ranges: first those of v4, then those of v6, to which the place
/// where v4 stands is nothing.
pub(super) fn networks(ranges: &[(u128, u128)]) -> Vec<String> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (first, last) in sorted {
        if let Some((first, last)) = v4_within((first, last)) {
            join(&mut v4, (first, last), first);
        }
        for (first, last) in around_v4((first, last)) {
            let after = if first == V4_END + 1 { V4_START } else { first };
            join(&mut v6, (first, last), after);
        }
    }
    let mut texts = Vec::new();
    for (first, last) in v4 {
        if let (IpAddr::V4(first), IpAddr::V4(last)) = (of_number(first), of_number(last)) {
            let all = Ipv4Subnets::new(first, last, 0);
            texts.extend(all.map(|it| shown(&it.to_string(), "/32")));
        }
    }
    for (first, last) in v6 {
        let (first, last) = (Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last));
        let all = Ipv6Subnets::new(first, last, 0).filter(|it| {
            let bounds = (it.network().to_bits(), it.broadcast().to_bits());
            !around_v4(bounds).is_empty()
        });
        texts.extend(all.map(|it| shown(&it.to_string(), "/128")));
    }
    texts
}

/// Adds a range behind others, to the last one where that ends just before a place.
fn join(ranges: &mut Vec<(u128, u128)>, (first, last): (u128, u128), behind: u128) {
    match ranges.last_mut() {
        Some(before) if before.1.checked_add(1) == Some(behind) => before.1 = last,
        _ => ranges.push((first, last)),
    }
}

/// A network of one address is that address.
fn shown(network: &str, alone: &str) -> String {
    network.strip_suffix(alone).unwrap_or(network).to_owned()
}

/// Sets of scopes, by what policies ask of them.
fn of_scopes(domain: &Domain, names: &Names, runs: &Runs) -> String {
    let name = domain.attribute.row().name;
    let width = domain.classes.len();
    let mut literals: Vec<(String, Vec<bool>)> = vec![(
        format!("{name}={{}}"),
        (0..width).map(|class| class == 0).collect(),
    )];
    for test in names.tests(domain.attribute) {
        let text = match test {
            Test::Includes(_, set) => format!("{name} includes {}", scopes(*set)),
            Test::Within(_, set) => format!("{name} within {}", show_scopes(*set)),
            Test::Equals(_, set) => format!("{name}={}", show_scopes(*set)),
            Test::Flag(_)
            | Test::Word(..)
            | Test::Address(..)
            | Test::Header { .. }
            | Test::Text(..)
            | Test::Never => continue,
        };
        if literals.iter().any(|(known, _)| *known == text) {
            continue;
        }
        let mut holds = vec![false; width];
        for (first, last) in domain.passing(test) {
            let run = holds.get_mut(first as usize..=last as usize);
            run.unwrap_or_default().fill(true);
        }
        literals.push((text, holds));
    }
    for at in 0..literals.len() {
        if let Some((text, holds)) = literals.get(at) {
            let opposite = holds.iter().map(|it| !it).collect();
            literals.push((format!("not {text}"), opposite));
        }
    }
    let wanted: Vec<bool> = (0..)
        .take(width)
        .map(|class| runs.contains(class))
        .collect();
    let parts = covered(&literals, &wanted);
    match parts.as_slice() {
        [only] => only.clone(),
        parts => {
            let bracketed = parts.iter().map(|part| match part.contains(" and ") {
                true => format!("({part})"),
                false => part.clone(),
            });
            format!("({})", bracketed.collect::<Vec<_>>().join(" or "))
        }
    }
}

/// Conditions of which one holds just for what is wanted, each of the fewest literals that do.
fn covered(literals: &[(String, Vec<bool>)], wanted: &[bool]) -> Vec<String> {
    let mut left = wanted.to_vec();
    let mut parts = Vec::new();
    while let Some(class) = left.iter().position(|is_left| *is_left) {
        let holds_here = |it: &&(String, Vec<bool>)| it.1.get(class) == Some(&true);
        let mut joined: Vec<&(String, Vec<bool>)> = literals.iter().filter(holds_here).collect();
        let of = |joined: &[&(String, Vec<bool>)]| -> Vec<bool> {
            let all = |class: usize| joined.iter().all(|it| it.1.get(class) == Some(&true));
            (0..wanted.len()).map(all).collect()
        };
        let is_within = |held: &[bool]| held.iter().zip(wanted).all(|(held, ok)| !held || *ok);
        for at in (0..joined.len()).rev() {
            let mut fewer = joined.clone();
            fewer.remove(at);
            if is_within(&of(&fewer)) {
                joined = fewer;
            }
        }
        for (left, held) in left.iter_mut().zip(of(&joined)) {
            *left &= !held;
        }
        let texts: Vec<&str> = joined.iter().map(|(text, _)| text.as_str()).collect();
        parts.push(texts.join(" and "));
        if joined.is_empty() {
            break;
        }
    }
    parts
}

/// One scope, or several between braces.
fn scopes(set: ScopeSet) -> String {
    let mut names = set.iter();
    match (names.next(), names.next()) {
        (Some(only), None) => only.name().to_owned(),
        _ => show_scopes(set),
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::*;
    use crate::facts::address::parse_network;

    fn network() -> impl Strategy<Value = IpNet> {
        let known = [
            "0.0.0.0/0",
            "::/0",
            "::/64",
            "::ffff:0:0/95",
            "::fffe:0:0/96",
        ];
        let known = prop::sample::select(known.map(|text| text.parse().unwrap()).to_vec());
        let v4 = (any::<u32>(), 0u8..=32);
        let v4 = v4.prop_map(|(bits, length)| {
            let ip = std::net::Ipv4Addr::from_bits(bits).into();
            IpNet::new(ip, length).unwrap().trunc()
        });
        let v6 = (any::<u128>(), 0u8..=128);
        let v6 = v6.prop_map(|(bits, length)| {
            let ip = Ipv6Addr::from_bits(bits).into();
            IpNet::new(ip, length).unwrap().trunc()
        });
        prop_oneof![known, v4, v6]
    }

    proptest! {
        #[test]
        fn networks_are_said_as_they_are(all in prop::collection::vec(network(), 0..5)) {
            let meant = Networks::new(&all);
            let said = networks(meant.ranges());
            let read: Vec<IpNet> = said.iter().map(|text| parse_network(text).unwrap()).collect();
            prop_assert_eq!(Networks::new(&read), meant, "{:?}", said);
        }
    }

    #[test]
    fn all_of_both_families_is_two_networks() {
        let all = ["0.0.0.0/0", "::/0"].map(|text| text.parse().unwrap());
        assert_eq!(
            networks(Networks::new(&all).ranges()),
            ["0.0.0.0/0", "::/0"]
        );
    }
}
