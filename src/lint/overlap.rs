//! Values of a set, named or written out, that another value of it covers.

use std::collections::BTreeMap;

use super::View;
use crate::analysis::OverBudget;
use crate::diagnostic::{Code, Diagnostic, Effect, Severity};
use crate::lang::ast::Literal;
use crate::lang::ast::visit::{Visit, visit};
use crate::lang::check::network;
use crate::source::{Span, Spanned};

pub(super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let mut found = Vec::new();
    for statement in &view.wording.ast.statements {
        visit(statement, &mut |it| match it {
            Visit::Values(values) => {
                let all: Vec<Span> = values.iter().map(|value| value.span).collect();
                for (value, by) in covered(values) {
                    let (own, other) = (value.value.show(), by.value.show());
                    let twice = value.value == by.value;
                    let (message, label) = match twice {
                        true => (format!("`{own}` stands here twice"), "again"),
                        false => (format!("`{other}` covers `{own}`"), "is in it anyhow"),
                    };
                    found.push(
                        Diagnostic::error(Code::SetOverlap, message)
                            .with_severity(Severity::Warning)
                            .label(value.span, label)
                            .label(by.span, if twice { "first here" } else { "covers it" })
                            .help("remove it, which changes nothing")
                            .fix(
                                Effect::Keeps,
                                format!("remove `{own}`"),
                                view.wording.without_member(&all, value.span),
                            ),
                    );
                }
            }
            Visit::Name(_) | Visit::Denial(..) => {}
        });
    }
    Ok(found)
}

/// Each value that another one covers, with that one. Of equal ones the first stays.
fn covered(values: &[Spanned<Literal>]) -> Vec<(&Spanned<Literal>, &Spanned<Literal>)> {
    let mut found = Vec::new();
    let mut firsts: BTreeMap<&Literal, &Spanned<Literal>> = BTreeMap::new();
    let mut networks = Vec::new();
    for value in values {
        let address = match &value.value {
            Literal::Address(text) => network(text),
            Literal::Word(_) | Literal::Text(_) => None,
        };
        match (address, firsts.get(&value.value)) {
            (Some(network), _) => networks.push((network, value)),
            (None, Some(first)) => found.push((value, *first)),
            (None, None) => {
                firsts.insert(&value.value, value);
            }
        }
    }
    // What covers another one begins before it or with it, and is the wider one.
    networks.sort_by_key(|(network, value)| {
        (network.network(), network.prefix_len(), value.span.start)
    });
    let mut widest: Option<(ipnet::IpNet, &Spanned<Literal>)> = None;
    for (network, value) in networks {
        match widest {
            Some((wide, by)) if wide.contains(&network) => found.push((value, by)),
            _ => widest = Some((network, value)),
        }
    }
    found
}
