//! A scan over plain structs: one for each alternative of a rule, a mask for each attribute, and the
//! first that fits decides. It knows the attributes of these policies and no others.

use gw::Facts;
use gw::facts::ScopeSet;
use ipnet::IpNet;

use super::{Load, Outcome, Peer, Subject, load};
use crate::rules::{Check, Requirement, Rules};

struct Scan(Vec<Row>);

impl Peer for Scan {
    type Input<'f> = &'f Facts;

    fn input<'f>(&self, facts: &'f Facts) -> Result<&'f Facts, String> {
        Ok(facts)
    }

    fn decide(&mut self, facts: &&Facts) -> Result<Outcome, String> {
        let found = self.0.iter().find(|row| row.fits(facts));
        found
            .map(|row| Outcome::Rule(row.rule))
            .ok_or_else(|| "no rule fits".to_owned())
    }
}

pub(super) fn translate<'f>(subject: &Subject<'_>) -> Result<Load<'f>, String> {
    let rows = rows(subject.rules)?;
    Ok(load(move || Ok(Scan(rows.clone()))))
}

/// What may be: one bit for each value.
#[derive(Clone, Copy)]
struct Mask(u32);

impl Mask {
    const ANY: Mask = Mask(u32::MAX);

    fn has(self, code: u8) -> bool {
        self.0 >> (code & 31) & 1 == 1
    }

    fn holds(self, flag: bool) -> bool {
        self.has(u8::from(flag))
    }
}

#[derive(Clone)]
struct Row {
    rule: usize,
    transport: Mask,
    tls: Mask,
    forwarded: Mask,
    peer_is_proxy: Mask,
    origin_allowed: Mask,
    metadata_upgrade: Mask,
    peer_class: Mask,
    host_class: Mask,
    origin_class: Mask,
    client: Mask,
    mode: Mask,
    role: Mask,
    auth: Mask,
    auth_failure: Mask,
    device: Mask,
    pairing: Mask,
    /// The scopes have all of the first, and none but the second.
    scopes: (ScopeSet, ScopeSet),
    /// The address is in one of these; where there is none, in any.
    networks: Box<[IpNet]>,
}

impl Row {
    fn fits(&self, facts: &Facts) -> bool {
        self.client.has(facts.client.code())
            && self.mode.has(facts.mode.code())
            && self.auth.has(facts.auth.code())
            && self.role.has(facts.role.code())
            && self.pairing.has(facts.pairing.code())
            && self.transport.has(facts.transport.code())
            && self.tls.holds(facts.tls)
            && self.forwarded.holds(facts.forwarded)
            && self.peer_is_proxy.holds(facts.peer_is_proxy)
            && self.origin_allowed.holds(facts.origin_allowed)
            && self.metadata_upgrade.holds(facts.metadata_upgrade)
            && self.peer_class.has(facts.peer.class().code())
            && self.host_class.has(facts.host.class().code())
            && self.origin_class.has(facts.origin.class().code())
            && self.auth_failure.has(facts.auth_failure.code())
            && self.device.has(facts.device.code())
            && self.scopes.0.within(facts.scopes)
            && facts.scopes.within(self.scopes.1)
            && (self.networks.is_empty()
                || facts
                    .peer
                    .ip()
                    .is_some_and(|ip| self.networks.iter().any(|network| network.contains(&ip))))
    }

    fn mask(&mut self, field: &str) -> Option<&mut Mask> {
        Some(match field {
            "transport" => &mut self.transport,
            "tls" => &mut self.tls,
            "forwarded" => &mut self.forwarded,
            "peer_is_proxy" => &mut self.peer_is_proxy,
            "origin_allowed" => &mut self.origin_allowed,
            "metadata_upgrade" => &mut self.metadata_upgrade,
            "peer_class" => &mut self.peer_class,
            "host_class" => &mut self.host_class,
            "origin_class" => &mut self.origin_class,
            "client" => &mut self.client,
            "mode" => &mut self.mode,
            "role" => &mut self.role,
            "auth" => &mut self.auth,
            "auth_failure" => &mut self.auth_failure,
            "device" => &mut self.device,
            "pairing" => &mut self.pairing,
            _ => return None,
        })
    }

    fn add(&mut self, requirement: &Requirement) -> Result<(), String> {
        let name = requirement.field.name();
        let unknown = || format!("no struct has `{name}`");
        let bits = match (&requirement.check, requirement.holds) {
            (Check::Set, true) => 0b10,
            (Check::Set, false) => 0b01,
            (Check::Among(words), holds) => {
                let kind = requirement.field.attribute.row().kind;
                let codes = words.iter().filter_map(|word| kind.code(word));
                let bits = codes.fold(0, |bits, code| bits | 1 << code);
                if holds { bits } else { !bits }
            }
            (Check::Inside(networks), true) if self.networks.is_empty() && name == "peer" => {
                self.networks = networks.clone().into();
                return Ok(());
            }
            (Check::Includes(scopes), true) => {
                self.scopes.0 = self.scopes.0.union(*scopes);
                return Ok(());
            }
            (Check::Within(scopes), true) => {
                self.scopes.1 = self.scopes.1.intersection(*scopes);
                return Ok(());
            }
            (Check::Equals(scopes), true) => {
                self.scopes = (
                    self.scopes.0.union(*scopes),
                    self.scopes.1.intersection(*scopes),
                );
                return Ok(());
            }
            (Check::Inside(_) | Check::Includes(_) | Check::Within(_) | Check::Equals(_), _) => {
                return Err(unknown());
            }
        };
        let mask = self.mask(&name).ok_or_else(unknown)?;
        mask.0 &= bits;
        Ok(())
    }
}

fn rows(rules: &Rules) -> Result<Vec<Row>, String> {
    let row = |(rule, _, requirements): (usize, _, &[Requirement])| {
        let mut row = Row {
            rule,
            transport: Mask::ANY,
            tls: Mask::ANY,
            forwarded: Mask::ANY,
            peer_is_proxy: Mask::ANY,
            origin_allowed: Mask::ANY,
            metadata_upgrade: Mask::ANY,
            peer_class: Mask::ANY,
            host_class: Mask::ANY,
            origin_class: Mask::ANY,
            client: Mask::ANY,
            mode: Mask::ANY,
            role: Mask::ANY,
            auth: Mask::ANY,
            auth_failure: Mask::ANY,
            device: Mask::ANY,
            pairing: Mask::ANY,
            scopes: (ScopeSet::EMPTY, ScopeSet::ANY),
            networks: Box::default(),
        };
        requirements
            .iter()
            .try_for_each(|requirement| row.add(requirement))?;
        Ok(row)
    };
    rules.rows().map(row).collect()
}
