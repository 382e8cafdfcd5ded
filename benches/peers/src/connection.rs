//! The connections that every engine decides: half of them random, half of them made so that one rule
//! applies. All are such as could be: facts that cannot be together are mended or drawn again. Which
//! rule decides them is not here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gw::Facts;
use gw::facts::assumptions::{Named, broken, complete};
use gw::facts::attributes::Value;
use gw::facts::{Address, AddressClass, Kind, ScopeSet};
use ipnet::IpNet;

use crate::random::Random;
use crate::rules::{Check, Field, Requirement, Rules};

const SEED: u64 = 512;

/// How often a connection is drawn before the rule is given up that it was to satisfy.
const DRAWS: u32 = 200;

/// So many connections, every second one of them made for a rule.
pub(crate) fn connections(rules: &Rules, count: usize) -> Result<Vec<Facts>, String> {
    let mut random = Random::new(SEED);
    let networks: Vec<IpNet> = rules
        .rows()
        .flat_map(|(_, _, row)| row)
        .flat_map(networks_of)
        .copied()
        .collect();
    let mut found = Vec::with_capacity(count);
    while found.len() < count {
        let rule = random.pick(&rules.rules).ok_or("no rules")?;
        let row = match found.len().is_multiple_of(2) {
            true => [].as_slice(),
            false => random
                .pick(&rule.alternatives)
                .ok_or("a rule without alternatives")?,
        };
        found.extend((0..DRAWS).find_map(|_| draw(&mut random, rules, &networks, row)));
    }
    Ok(found)
}

/// Random facts that meet the requirements, if they can be together.
fn draw(
    random: &mut Random,
    rules: &Rules,
    networks: &[IpNet],
    row: &[Requirement],
) -> Option<Facts> {
    let mut facts = Facts::default();
    for field in &rules.fields {
        randomise(random, *field, networks, &mut facts);
    }
    let mut named = Named::default();
    for requirement in row {
        meet(random, requirement, &mut facts);
        named.add(requirement.field.attribute);
    }
    complete(&mut facts, &named, |_| true);
    let could_be = broken(&facts).next().is_none();
    let met = row.iter().all(|requirement| requirement.met_by(&facts));
    (could_be && met).then_some(facts)
}

fn networks_of(requirement: &Requirement) -> &[IpNet] {
    match &requirement.check {
        Check::Inside(networks) => networks,
        Check::Set | Check::Among(_) | Check::Includes(_) | Check::Within(_) | Check::Equals(_) => {
            &[]
        }
    }
}

/// Gives a field any value: an address is of any class, or of a network that the policy names.
fn randomise(random: &mut Random, field: Field, networks: &[IpNet], facts: &mut Facts) {
    match field.attribute.row().kind {
        Kind::Flag { set, .. } => set(facts, random.once_in(2)),
        Kind::Set { words, set, .. } => {
            let asked = (0..words.len()).filter(|_| random.once_in(4));
            set(facts, ScopeSet(asked.fold(0, |bits, at| bits | 1 << at)));
        }
        Kind::Address { set, .. } => {
            let network = random.pick(networks).filter(|_| random.once_in(2)).copied();
            let class = random.pick(AddressClass::ALL).map(|class| class.example());
            let within = network.map(|network| Address::new(address_in(random, network)));
            set(facts, within.or(class).unwrap_or(Address::NONE));
        }
        kind @ (Kind::Enum { .. } | Kind::Header { .. } | Kind::Text { .. }) => {
            if let Some(word) = random.pick(kind.words()) {
                assign(field, word.name, facts);
            }
        }
    }
}

/// Gives a field a value that meets the requirement, where one is easily named.
fn meet(random: &mut Random, requirement: &Requirement, facts: &mut Facts) {
    let holds = requirement.holds;
    match (&requirement.check, requirement.field.attribute.row().kind) {
        (Check::Set, Kind::Flag { set, .. }) => set(facts, holds),
        (Check::Among(words), kind) => {
            let all = kind.words().iter().map(|word| word.name);
            let fit: Vec<&str> = all.filter(|word| words.contains(word) == holds).collect();
            if let Some(word) = random.pick(&fit) {
                assign(requirement.field, word, facts);
            }
        }
        (Check::Inside(networks), Kind::Address { set, .. }) if holds => {
            if let Some(network) = random.pick(networks).copied() {
                set(facts, Address::new(address_in(random, network)));
            }
        }
        (Check::Includes(scopes), Kind::Set { get, set, .. }) if holds => {
            set(facts, get(facts).union(*scopes))
        }
        (Check::Within(scopes), Kind::Set { get, set, .. }) if holds => {
            set(facts, get(facts).intersection(*scopes))
        }
        (Check::Equals(scopes), Kind::Set { set, .. }) if holds => set(facts, *scopes),
        // What is left to chance is drawn until it fits.
        (
            Check::Set
            | Check::Inside(_)
            | Check::Includes(_)
            | Check::Within(_)
            | Check::Equals(_),
            _,
        ) => {}
    }
}

/// The words are of the attribute's own vocabulary, so that they always fit.
fn assign(field: Field, word: &str, facts: &mut Facts) {
    let assigned = field.attribute.assign(facts, &Value::Word(word.to_owned()));
    debug_assert!(assigned.is_ok(), "{word}");
}

fn address_in(random: &mut Random, network: IpNet) -> IpAddr {
    match network {
        IpNet::V4(network) => {
            let host = random.bits().to_le_bytes();
            let [a, b, c, d, ..] = host;
            let host = u32::from_le_bytes([a, b, c, d]) & network.hostmask().to_bits();
            Ipv4Addr::from_bits(network.network().to_bits() | host).into()
        }
        IpNet::V6(network) => {
            let host = random.wide_bits() & network.hostmask().to_bits();
            Ipv6Addr::from_bits(network.network().to_bits() | host).into()
        }
    }
}
