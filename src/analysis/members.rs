//! Members of classes, as they are put into facts: of each class the one that looks most usual.

use std::net::IpAddr;

use crate::compile::networks::{number, of_number};
use crate::facts::attributes::{Kind, example_header};
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

/// The member of a range that looks most like somebody's address.
pub(super) fn usual((first, last): (u128, u128)) -> Address {
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
pub(super) fn candidates(attribute: AttributeId, named: usize) -> Vec<Member> {
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
pub(super) fn in_range(
    attribute: AttributeId,
    (first, last): (u128, u128),
) -> impl Iterator<Item = Member> {
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
