//! Values: what may stand on the right of a comparison, as it is compared.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Checker;
use super::condition::example;
use crate::diagnostic::{Code, Diagnostic, Edit, Effect, Label, suggest};
use crate::facts::attributes::{Kind, article, without_query};
use crate::facts::{Attribute, Host, Origin, OriginClass, ScopeSet};
use crate::lang::ast::{Literal, Operand};
use crate::lang::checked::Members;
use crate::source::{Span, Spanned};

impl Checker {
    /// The values after `in`: written out, or a set's.
    pub(super) fn members_of(&mut self, row: &Attribute, operand: &Operand) -> Option<Members> {
        match operand {
            Operand::Many(values) => self.members(row, &values.value),
            Operand::One(value) => {
                let values = self.named_set(row, value)?;
                let before = self.diagnostics.0.len();
                let members = self.members(row, &values);
                // One value of a set that does not fit says it for the set; what is wrong whatever it is
                // compared with is each said.
                let found = self.diagnostics.0.split_off(before);
                let (wrong, mut unfit): (Vec<_>, Vec<_>) = found
                    .into_iter()
                    .partition(|it| it.code == Code::HostBitsSet);
                unfit.truncate(1);
                for diagnostic in &mut unfit {
                    let label = Label {
                        span: value.span,
                        text: format!("compared with `{}` here", row.name),
                    };
                    diagnostic.labels.push(label);
                }
                self.diagnostics.0.extend(wrong.into_iter().chain(unfit));
                members
            }
        }
    }

    fn named_set(
        &mut self,
        row: &Attribute,
        value: &Spanned<Literal>,
    ) -> Option<Vec<Spanned<Literal>>> {
        let Literal::Word(name) = &value.value else {
            self.report(
                Diagnostic::error(Code::TypeMismatch, "`in` is followed by a set")
                    .label(value.span, "one value")
                    .help(format!(
                        "write `{}={}`, or put it between braces",
                        row.name,
                        value.value.show()
                    )),
            );
            return None;
        };
        if let Some((_, values)) = self.vocabulary.sets.get(name) {
            return Some(values.clone());
        }
        if self.unread.contains(name) {
            return None;
        }
        let help = if row.kind.code(name).is_some() {
            Some(format!(
                "`{name}` is one value: write `{}={name}`",
                row.name
            ))
        } else {
            suggest::did_you_mean(name, self.vocabulary.sets.keys().map(String::as_str)).or_else(
                || {
                    Some(format!(
                        "name it with `set {name} = {{ … }}`, or write the values between braces"
                    ))
                },
            )
        };
        self.report(
            Diagnostic::error(Code::UnknownSet, format!("there is no set `{name}`"))
                .label(value.span, "no `set` has this name")
                .maybe_help(help),
        );
        None
    }

    /// Values of an attribute that is no set of scopes.
    pub(super) fn members(
        &mut self,
        row: &Attribute,
        values: &[Spanned<Literal>],
    ) -> Option<Members> {
        let mut members = Members::default();
        let mut sound = true;
        for value in values {
            sound &= self.member(row, value, &mut members).is_some();
        }
        sound.then_some(members)
    }

    fn member(
        &mut self,
        row: &Attribute,
        value: &Spanned<Literal>,
        members: &mut Members,
    ) -> Option<()> {
        match (&value.value, row.kind) {
            (Literal::Word(word), _) => {
                let Some(code) = row.kind.code(word) else {
                    self.unknown_value(row, word, value.span);
                    return None;
                };
                members.codes |= 1 << code;
            }
            (Literal::Address(text), Kind::Address { .. } | Kind::Header { .. }) => {
                members.networks.push(self.network(text, value.span)?);
            }
            (Literal::Text(text), Kind::Header { .. }) => {
                members.texts.push(self.header_text(row, text, value.span)?);
            }
            (Literal::Text(text), Kind::Text { .. }) => {
                members.texts.push(self.plain_text(row, text, value.span)?);
            }
            (
                Literal::Address(_) | Literal::Text(_),
                Kind::Flag { .. }
                | Kind::Enum { .. }
                | Kind::Set { .. }
                | Kind::Address { .. }
                | Kind::Text { .. },
            ) => {
                self.wrong_literal(row, value);
                return None;
            }
        }
        Some(())
    }

    fn wrong_literal(&mut self, row: &Attribute, value: &Spanned<Literal>) {
        let kind = row.kind.name();
        let (what, help) = match &value.value {
            Literal::Address(text) if matches!(row.kind, Kind::Text { .. }) => {
                ("an address", format!("write \"{text}\""))
            }
            Literal::Address(text) => (
                "an address",
                format!("did you mean `peer in {{ {text} }}`?"),
            ),
            Literal::Text(text) if row.kind.code(text).is_some() || is_address(row, text) => {
                ("text", format!("write `{text}` without quotes"))
            }
            Literal::Text(_) | Literal::Word(_) => {
                ("text", format!("write a value such as `{}`", example(row)))
            }
        };
        self.report(
            Diagnostic::error(
                Code::TypeMismatch,
                format!(
                    "`{}` is {} {kind}, and this is {what}",
                    row.name,
                    article(kind)
                ),
            )
            .label(value.span, what)
            .help(help),
        );
    }

    pub(super) fn unknown_value(&mut self, row: &Attribute, word: &str, span: Span) {
        if self.unread.contains(word) {
            return;
        }
        let name = row.name;
        let names = || row.kind.words().iter().map(|known| known.name);
        let help = if self.vocabulary.sets.contains_key(word) {
            format!("`{word}` is a set: write `{name} in {word}`")
        } else if let Some(help) = suggest::did_you_mean(word, names()) {
            help
        } else {
            let list = names().collect::<Vec<_>>().join(", ");
            match row.kind {
                Kind::Text { .. } => format!("text needs quotes: `{name}=\"{word}\"`"),
                Kind::Header { .. } => {
                    format!(
                        "text needs quotes: `{name}=\"{word}\"`; without them it is one of {list}"
                    )
                }
                Kind::Address { .. } => {
                    format!("write an address such as `{name}=10.0.0.5`, or one of {list}")
                }
                Kind::Flag { .. } | Kind::Enum { .. } | Kind::Set { .. } => {
                    format!("it is one of {list}")
                }
            }
        };
        self.report(
            Diagnostic::error(
                Code::UnknownValue,
                format!("`{word}` is not a value of `{}`", row.name),
            )
            .label(span, "this could never hold")
            .help(help),
        );
    }

    pub(super) fn network(&mut self, text: &str, span: Span) -> Option<IpNet> {
        let Some(network) = network(text) else {
            self.report(
                Diagnostic::error(Code::UnknownValue, format!("`{text}` is not an address"))
                    .label(span, "cannot be read as an address or a network")
                    .help("write `192.168.1.0/24`, `10.0.0.5`, `fd00::/8` or `::1`"),
            );
            return None;
        };
        let whole = network.trunc();
        if whole != network {
            let host = network.addr();
            let bits = network.max_prefix_len() - network.prefix_len();
            let count = 1u64.checked_shl(u32::from(bits)).filter(|_| bits < 40);
            let count = count.map_or_else(|| format!("2^{bits}"), |count| count.to_string());
            let edit = |text| vec![Edit { span, text }];
            self.report(
                Diagnostic::error(
                    Code::HostBitsSet,
                    format!("`{text}` means {whole}, which may be more than was meant"),
                )
                .label(
                    span,
                    format!("the address of one host, and a network of {count} addresses"),
                )
                .help(format!("write `{whole}` for the network"))
                .help(format!("write `{host}` for the host"))
                .fix(
                    Effect::Changes,
                    format!("write `{whole}`"),
                    edit(whole.to_string()),
                )
                .fix(
                    Effect::Changes,
                    format!("write `{host}`"),
                    edit(host.to_string()),
                ),
            );
            return None;
        }
        Some(canonical(network))
    }

    /// A Host or Origin literal, as it is compared.
    fn header_text(&mut self, row: &Attribute, text: &str, span: Span) -> Option<Box<str>> {
        if row.name == "origin" {
            let origin = Origin::parse(text);
            let page = !matches!(
                origin.class(),
                OriginClass::Absent
                    | OriginClass::Empty
                    | OriginClass::Opaque
                    | OriginClass::Invalid
            );
            if page {
                return Some(origin.text().into());
            }
            self.report(
                Diagnostic::error(Code::UnknownValue, format!("\"{text}\" is not an origin"))
                    .label(span, "no browser sends this")
                    .help("write scheme, host and perhaps port: \"https://ui.example.com\""),
            );
            return None;
        }
        let host = Host::from_header(text);
        if host.name() == text.trim().to_ascii_lowercase() && !host.name().is_empty() {
            return Some(host.name().into());
        }
        self.report(
            Diagnostic::error(
                Code::UnknownValue,
                format!("\"{text}\" is not the name of a host"),
            )
            .label(span, "the port is no part of `host`")
            .help(format!("write \"{}\"", host.name())),
        );
        None
    }

    /// The literal of a text attribute, as it is compared.
    fn plain_text(&mut self, row: &Attribute, text: &str, span: Span) -> Option<Box<str>> {
        let compared = if row.name == "path" {
            text.to_owned()
        } else {
            text.trim().to_ascii_lowercase()
        };
        let help = match (row.name, compared.as_str()) {
            (_, "") => format!("write `{}=absent`", row.name),
            ("path", path) if !path.starts_with('/') => format!("write \"/{path}\""),
            ("path", path) if path.contains(['?', '#']) => {
                format!(
                    "write \"{}\": the query is no part of it",
                    without_query(path)
                )
            }
            _ => return Some(compared.into()),
        };
        self.report(
            Diagnostic::error(
                Code::UnknownValue,
                format!("`{}` is never \"{text}\"", row.name),
            )
            .label(span, "this could never hold")
            .help(help),
        );
        None
    }

    /// A set of scopes: one word, several, or a set's.
    pub(super) fn scopes(&mut self, row: &Attribute, operand: &Operand) -> Option<ScopeSet> {
        let values = match operand {
            Operand::Many(values) => values.value.clone(),
            Operand::One(value) => match &value.value {
                Literal::Word(word) if self.vocabulary.sets.contains_key(word) => {
                    self.named_set(row, value)?
                }
                Literal::Word(_) | Literal::Text(_) | Literal::Address(_) => vec![value.clone()],
            },
        };
        let mut members = Members::default();
        let mut sound = true;
        for value in &values {
            sound &= self.member(row, value, &mut members).is_some();
        }
        let bits = u16::try_from(members.codes).ok().filter(|_| sound)?;
        Some(ScopeSet(bits))
    }
}

/// Whether an attribute is compared with addresses, and a text is one.
fn is_address(row: &Attribute, text: &str) -> bool {
    matches!(row.kind, Kind::Address { .. }) && network(text).is_some()
}

/// An address or a network, as it is written.
pub(super) fn network(text: &str) -> Option<IpNet> {
    if text.contains('/') {
        text.parse().ok()
    } else {
        text.parse::<IpAddr>().ok().map(IpNet::from)
    }
}

/// A network of v4-mapped addresses is a v4 network, as peers are canonical.
pub(super) fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(96)
        && let Ok(v4) = ipnet::Ipv4Net::new(v4, prefix)
    {
        return IpNet::V4(v4);
    }
    network
}
