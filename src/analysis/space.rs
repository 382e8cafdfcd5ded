//! What policies tell apart, attribute by attribute, in the order in which diagrams ask for it: a
//! connection as a vector of classes.

use super::diagram::{ClassId, Var};
use super::domain::{Domain, narrow};
use crate::compile::program::Test;
use crate::facts::{AttributeId, Facts};

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
