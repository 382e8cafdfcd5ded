//! The facts that a `test` or `--fact` names, and all the others that follow from them.

use super::Checker;
use super::condition::{absence, peer_class};
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::assumptions::{self, Assumption, Named};
use crate::facts::attributes::{Kind, Value};
use crate::facts::{Attribute, AttributeId, Facts};
use crate::lang::ast::{Expression, ExpressionKind, Literal, Operand, Operator, VerdictText};
use crate::lang::checked::{Expected, Given, NamedFact};
use crate::lang::format;
use crate::source::{Span, Spanned};

/// Facts from named ones: what follows is completed from `facts`, and what cannot be
/// together is reported. What was found together so, under the constants of a release, stays
/// together, unless one of it is named.
pub fn settle(facts: Facts, named: &[NamedFact]) -> Result<(Facts, Named), Box<Diagnostic>> {
    let all: Vec<&NamedFact> = named.iter().collect();
    let settled = followed(&facts, &all)?;
    match settled.broken {
        None => Ok((settled.facts, settled.names)),
        Some(assumption) => Err(Box::new(contradiction(&facts, all, assumption)?)),
    }
}

/// What follows from named facts, and the first assumption that it breaks.
struct Settled {
    facts: Facts,
    names: Named,
    broken: Option<&'static Assumption>,
}

fn followed(found: &Facts, named: &[&NamedFact]) -> Result<Settled, Box<Diagnostic>> {
    let mut names = Named::default();
    let tied = |assumption: &Assumption| {
        let name = |fact: &NamedFact| fact.attribute.row().name;
        named
            .iter()
            .any(|fact| assumption.about.contains(&name(fact)))
    };
    let excused: Vec<&str> = assumptions::broken(found)
        .filter(|assumption| !tied(assumption))
        .map(|assumption| assumption.says)
        .collect();
    let kept = |assumption: &Assumption| !excused.contains(&assumption.says);
    let mut facts = found.clone();
    for fact in named {
        if let Err(error) = fact.attribute.assign(&mut facts, &fact.value) {
            return Err(Box::new(
                Diagnostic::error(Code::TypeMismatch, error.to_string()).label(fact.span, ""),
            ));
        }
        names.add(fact.attribute);
    }
    assumptions::complete(&mut facts, &names, kept);
    let broken = assumptions::broken(&facts).find(|assumption| kept(assumption));
    Ok(Settled {
        facts,
        names,
        broken,
    })
}

/// What is wrong with facts that break an assumption: those that it is about, and of the others as
/// few as it takes.
fn contradiction(
    found: &Facts,
    mut named: Vec<&NamedFact>,
    assumption: &'static Assumption,
) -> Result<Diagnostic, Box<Diagnostic>> {
    let is_broken = |named: &[&NamedFact]| {
        let broken = followed(found, named).map(|it| it.broken);
        broken.map(|it| it.is_some_and(|it| std::ptr::eq(it, assumption)))
    };
    for at in (0..named.len()).rev() {
        let fact = named.remove(at);
        if assumption.about.contains(&fact.attribute.row().name) || !is_broken(&named)? {
            named.insert(at, fact);
        }
    }
    let facts = followed(found, &named)?.facts;
    let message = format!("no connection has these facts at once: {}", assumption.says);
    let mut diagnostic = Diagnostic::error(Code::ContradictoryFacts, message);
    let told = |id: AttributeId| format!("{} is {}", id.row().name, id.show(&facts));
    for fact in &named {
        diagnostic = diagnostic.label(fact.span, told(fact.attribute));
    }
    let others = assumption
        .about
        .iter()
        .filter_map(|name| AttributeId::named(name))
        .filter(|id| !named.iter().any(|fact| fact.attribute == *id));
    let (usual, following): (Vec<_>, Vec<_>) =
        others.partition(|id| id.show(&facts) == id.show(found));
    let list = |ids: Vec<AttributeId>| ids.into_iter().map(told).collect::<Vec<_>>().join(", ");
    let follows =
        (!following.is_empty()).then(|| format!("from what is named follows: {}", list(following)));
    let rest = (!usual.is_empty()).then(|| format!("besides, {}", list(usual)));
    Ok(diagnostic
        .maybe_help(follows)
        .maybe_help(rest)
        .help("change one of them"))
}

/// Reads `name=value`, `name`, or `not name`, as `--fact` gives it.
pub fn fact(expression: &Expression) -> Result<Vec<NamedFact>, Box<Diagnostic>> {
    let mut checker = Checker::default();
    match checker.named(expression) {
        Some(facts) => Ok(facts),
        None => Err(Box::new(
            checker.diagnostics.0.into_iter().next().unwrap_or_else(|| {
                Diagnostic::error(Code::InvalidFact, "this fact cannot be read")
                    .label(expression.span.0, "")
            }),
        )),
    }
}

/// Reads a verdict as a test expects it: `approve`, `reject(token-missing)`, `admit`.
pub fn expected(text: &VerdictText) -> Result<Expected, Box<Diagnostic>> {
    let mut checker = Checker::default();
    let found = checker.expected(text);
    found.ok_or_else(|| {
        let told = checker.diagnostics.0.into_iter().next();
        Box::new(told.unwrap_or_else(|| {
            Diagnostic::error(Code::UnknownVerdict, "this is no verdict").label(text.span.0, "")
        }))
    })
}

impl Checker {
    /// The facts of a test.
    pub(super) fn example(&mut self, expression: &Expression) -> Option<Given> {
        let named = self.named(expression)?;
        match settle(Facts::default(), &named) {
            Ok((facts, named)) => Some(Given::Facts {
                facts: Box::new(facts),
                named,
            }),
            Err(diagnostic) => {
                self.report(*diagnostic);
                None
            }
        }
    }

    fn named(&mut self, expression: &Expression) -> Option<Vec<NamedFact>> {
        let span = expression.span.0;
        match &expression.kind {
            ExpressionKind::All(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.named(part)).collect();
                let mut facts: Vec<NamedFact> = Vec::new();
                for fact in parts
                    .into_iter()
                    .collect::<Option<Vec<_>>>()?
                    .into_iter()
                    .flatten()
                {
                    match facts
                        .iter_mut()
                        .find(|other| other.attribute == fact.attribute)
                    {
                        Some(other) => self.merge(other, fact)?,
                        None => facts.push(fact),
                    }
                }
                Some(facts)
            }
            ExpressionKind::Group(inner) => self.named(inner),
            ExpressionKind::Not(inner) => {
                if let ExpressionKind::Bare(name) = &inner.kind {
                    self.flag(name, false, span)
                } else {
                    self.not_a_fact(expression)
                }
            }
            ExpressionKind::Bare(name) => self.flag(name, true, span),
            ExpressionKind::Compare {
                attribute,
                operator,
                operand,
            } => self.compared(attribute, *operator, operand, expression),
            ExpressionKind::Any(_) => self.not_a_fact(expression),
        }
    }

    /// `scopes includes a and scopes includes b` is both; anything else named twice is an error.
    fn merge(&mut self, first: &mut NamedFact, second: NamedFact) -> Option<()> {
        if let (Value::Words(words), Value::Words(more)) = (&mut first.value, &second.value) {
            words.extend(more.iter().cloned());
            words.sort();
            words.dedup();
            return Some(());
        }
        let name = first.attribute.row().name;
        self.report(
            Diagnostic::error(Code::ContradictoryFacts, format!("`{name}` is said twice"))
                .label(second.span, "said again")
                .label(first.span, "said here")
                .help("remove one of them"),
        );
        None
    }

    fn flag(&mut self, name: &Spanned<String>, value: bool, span: Span) -> Option<Vec<NamedFact>> {
        let word = name.value.as_str();
        let fact = |attribute, value| {
            Some(vec![NamedFact {
                attribute,
                value,
                span,
            }])
        };
        if let Some((attribute, _)) = absence(word).filter(|_| value) {
            return fact(attribute, Value::Word("absent".to_owned()));
        }
        if let Some((attribute, _)) = peer_class(word).filter(|_| value) {
            return fact(attribute, Value::Word(word.to_owned()));
        }
        match AttributeId::named(word).map(|id| (id, id.row().kind)) {
            Some((attribute, Kind::Flag { .. })) => fact(attribute, Value::Flag(value)),
            Some((attribute, _)) => self.needs_value(attribute.row(), span),
            None if self.vocabulary.definitions.contains_key(word) => {
                self.report(
                    Diagnostic::error(Code::TypeMismatch, format!("a test names facts, and `{word}` is a definition"))
                        .label(name.span, "stands for a condition")
                        .help("name the facts that you mean; all others have their defaults (`gw schema`)"),
                );
                None
            }
            None => {
                self.report(
                    Diagnostic::error(
                        Code::UnknownAttribute,
                        format!("`{word}` is not an attribute"),
                    )
                    .label(name.span, "no attribute has this name")
                    .help(super::condition::instead_of(word)),
                );
                None
            }
        }
    }

    fn needs_value(&mut self, row: &Attribute, span: Span) -> Option<Vec<NamedFact>> {
        self.report(
            Diagnostic::error(
                Code::TypeMismatch,
                format!("`{}` needs a value here", row.name),
            )
            .label(span, "which one?")
            .help(format!("write `{}`", super::condition::example(row))),
        );
        None
    }

    fn not_a_fact(&mut self, expression: &Expression) -> Option<Vec<NamedFact>> {
        let text = format::condition(expression);
        self.report(
            Diagnostic::error(
                Code::TypeMismatch,
                "a test names facts, and this leaves them open",
            )
            .label(
                expression.span.0,
                format!("`{text}` fits several connections"),
            )
            .help("name one value each: `client=cli and peer=10.0.0.5 and not tls`")
            .help("to speak of all connections, use `always` or `never`"),
        );
        None
    }

    fn compared(
        &mut self,
        name: &Spanned<String>,
        operator: Spanned<Operator>,
        operand: &Operand,
        expression: &Expression,
    ) -> Option<Vec<NamedFact>> {
        let span = expression.span.0;
        let Some(attribute) = AttributeId::named(&name.value) else {
            self.report(
                Diagnostic::error(
                    Code::UnknownAttribute,
                    format!("`{}` is not an attribute", name.value),
                )
                .label(name.span, "no attribute has this name")
                .help(super::condition::instead_of(&name.value)),
            );
            return None;
        };
        let row = attribute.row();
        let value = match (row.kind, operator.value, operand) {
            (Kind::Set { .. }, Operator::Equal | Operator::Includes, operand) => {
                let set = self.scopes(row, operand)?;
                Value::Words(set.iter().map(|scope| scope.name().to_owned()).collect())
            }
            (Kind::Flag { .. }, Operator::Equal, Operand::One(value)) => match &value.value {
                // `--fact tls=yes` is natural on a command line.
                Literal::Word(word) if word == "yes" => Value::Flag(true),
                Literal::Word(word) if word == "no" => Value::Flag(false),
                Literal::Word(_) | Literal::Text(_) | Literal::Address(_) => {
                    return self.needs_value(row, span);
                }
            },
            (_, Operator::Equal, Operand::One(value)) => self.value(row, value)?,
            _ => return self.not_a_fact(expression),
        };
        Some(vec![NamedFact {
            attribute,
            value,
            span,
        }])
    }

    fn value(&mut self, row: &'static Attribute, value: &Spanned<Literal>) -> Option<Value> {
        match &value.value {
            Literal::Word(word) => {
                if row.kind.code(word).is_none() {
                    self.unknown_value(row, word, value.span);
                    return None;
                }
                Some(Value::Word(word.clone()))
            }
            Literal::Text(text) => Some(Value::Text(text.clone())),
            Literal::Address(text) => {
                let network = self.network(text, value.span)?;
                if network.prefix_len() == network.max_prefix_len() {
                    return Some(Value::Address(network.addr()));
                }
                self.report(
                    Diagnostic::error(
                        Code::TypeMismatch,
                        format!("a connection has one address, and `{text}` is a network"),
                    )
                    .label(value.span, "many addresses")
                    .help(format!("write one of them, such as `{}`", network.addr())),
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Ingress, Role};

    /// A release that does not count a header as forwarding calls the connection direct.
    #[test]
    fn what_was_found_together_stays_together() {
        let found = Facts {
            forwarded: true,
            ..Facts::default()
        };
        let named = |name, value| NamedFact {
            attribute: AttributeId::named(name).unwrap(),
            value,
            span: Span::default(),
        };
        let role = named("role", Value::Word("node".to_owned()));
        let (facts, _) = settle(found.clone(), &[role]).unwrap();
        assert_eq!((facts.role, facts.ingress), (Role::Node, Ingress::Direct));
        let (facts, _) = settle(found, &[named("forwarded", Value::Flag(true))]).unwrap();
        assert_eq!(facts.ingress, Ingress::Unattributable);
    }
}
