//! Conditions: what a name means, and whether an attribute can be compared like that.

use super::{Checker, MAX_LEVELS, MAX_TESTS, Meaning};
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::facts::attributes::{Kind, article};
use crate::facts::{ATTRIBUTES, Attribute, AttributeId};
use crate::lang::KEYWORDS;
use crate::lang::ast::{Expression, ExpressionKind, Literal, Operand, Operator};
use crate::lang::checked::{Comparison, Condition, Members, Predicate};
use crate::source::{Span, Spanned};

/// Classes of `peer` that may stand alone.
pub(super) const PEER_CLASSES: [&str; 3] = ["loopback", "private", "public"];

/// The attributes whose absence has a name of its own.
const ABSENCES: [&str; 3] = ["no-origin", "no-host", "no-device"];

/// Help where no name is near.
const LISTED: &str = "`gw schema` lists the attributes";

/// What people call attributes, and what they are called here.
const ALIASES: &[(&[&str], &str)] = &[
    (&["ip", "address", "addr", "source", "remote"], "peer"),
    (&["token"], "auth=token"),
    (&["password"], "auth=password"),
    (&["user", "uid"], "peer-uid"),
];

/// What to write for a name that no attribute has.
pub(super) fn instead_of(word: &str) -> String {
    let alias = ALIASES.iter().find(|(names, _)| names.contains(&word));
    let meant = alias.map(|(_, meant)| format!("did you mean `{meant}`?"));
    let near = || suggest::did_you_mean(word, ATTRIBUTES.iter().map(|row| row.name));
    meant.or_else(near).unwrap_or_else(|| LISTED.to_owned())
}

impl Checker {
    /// What an expression means. After an error, something that holds for nobody stands in,
    /// so that one mistake is reported once.
    pub(super) fn meaning(&mut self, expression: &Expression) -> Condition {
        let mut path = Vec::new();
        self.expand(expression, &mut path)
            .and_then(|meaning| self.counted(meaning, expression.span.0))
            .map_or_else(|| Condition::Any(Vec::new()), |meaning| meaning.condition)
    }

    /// The same, reached through the definitions in `path`; `None` after an error.
    pub(super) fn expand(
        &mut self,
        expression: &Expression,
        path: &mut Vec<String>,
    ) -> Option<Meaning> {
        // Every level here is a level of the stack, whether a definition or a bracket made it.
        self.level += 1;
        let meaning = if self.level > MAX_LEVELS {
            self.chain_too_long(expression.span.0);
            None
        } else {
            self.expanded(expression, path)
        };
        self.level -= 1;
        meaning
    }

    fn expanded(&mut self, expression: &Expression, path: &mut Vec<String>) -> Option<Meaning> {
        let span = expression.span.0;
        let meaning = match &expression.kind {
            ExpressionKind::All(parts) => self.parts(parts, path, Condition::All),
            ExpressionKind::Any(parts) => self.parts(parts, path, Condition::Any),
            ExpressionKind::Group(inner) => self.expand(inner, path),
            ExpressionKind::Not(inner) => {
                let meaning = self.expand(inner, path)?;
                let inner = Spanned::new(meaning.condition, inner.span.0);
                let condition = Condition::Not(Box::new(inner));
                Some(Meaning {
                    condition,
                    depth: meaning.depth + 1,
                    ..meaning
                })
            }
            ExpressionKind::Bare(name) => self.bare(name, path),
            ExpressionKind::Compare {
                attribute,
                operator,
                operand,
            } => {
                let condition = self.compare(attribute, *operator, operand, span)?;
                Some(single(condition, AttributeId::named(&attribute.value)))
            }
        }?;
        if meaning.tests > MAX_TESTS {
            self.report(
                Diagnostic::error(
                    Code::NestedTooDeeply,
                    format!(
                        "this condition comes to {} tests, and {MAX_TESTS} are allowed",
                        meaning.tests
                    ),
                )
                .label(span, "with its definitions expanded")
                .help("use fewer definitions of definitions, or `in` with a set"),
            );
            return None;
        }
        if meaning.depth > MAX_LEVELS {
            self.chain_too_long(span);
            return None;
        }
        Some(meaning)
    }

    fn parts(
        &mut self,
        parts: &[Expression],
        path: &mut Vec<String>,
        join: fn(Vec<Spanned<Condition>>) -> Condition,
    ) -> Option<Meaning> {
        // Every part is looked at, so that every mistake is found; but not once there is more
        // than any condition may come to.
        let mut meanings = Vec::with_capacity(parts.len());
        let mut sound = true;
        let mut tests = 0;
        for part in parts {
            match self.expand(part, path) {
                Some(meaning) => {
                    tests += meaning.tests;
                    meanings.push(meaning);
                }
                None => sound = false,
            }
            if tests > MAX_TESTS {
                break;
            }
        }
        if !sound {
            return None;
        }
        let depth = meanings
            .iter()
            .map(|meaning| meaning.depth)
            .max()
            .unwrap_or(0)
            + 1;
        let latest = meanings
            .iter()
            .filter_map(|meaning| meaning.latest)
            .max_by_key(|id| id.row().stage);
        let conditions = meanings
            .into_iter()
            .zip(parts)
            .map(|(meaning, part)| Spanned::new(meaning.condition, part.span.0));
        Some(Meaning {
            condition: join(conditions.collect()),
            tests,
            depth,
            latest,
        })
    }

    fn bare(&mut self, name: &Spanned<String>, path: &mut Vec<String>) -> Option<Meaning> {
        let word = name.value.as_str();
        if self.vocabulary.definitions.contains_key(word) {
            return self.resolve(word, path);
        }
        if self.unread.contains(word) {
            return None;
        }
        let flag = |attribute, predicate| {
            let comparison = Comparison {
                attribute,
                predicate,
                span: name.span,
            };
            Some(single(Condition::Test(comparison), Some(attribute)))
        };
        if let Some((attribute, predicate)) = absence(word).or_else(|| peer_class(word)) {
            return flag(attribute, predicate);
        }
        match AttributeId::named(word) {
            Some(attribute) if matches!(attribute.row().kind, Kind::Flag { .. }) => {
                flag(attribute, Predicate::Holds)
            }
            Some(attribute) => {
                let row = attribute.row();
                let kind = row.kind.name();
                self.report(
                    Diagnostic::error(
                        Code::TypeMismatch,
                        format!(
                            "`{word}` is {} {kind}, and cannot stand alone",
                            article(kind)
                        ),
                    )
                    .label(name.span, "compared with nothing")
                    .help(format!("write what it must be, such as `{}`", example(row))),
                );
                None
            }
            None => {
                let help = self.unknown_name_help(word);
                self.names_nothing(name, help);
                None
            }
        }
    }

    /// What was meant by a name that nothing has: another name, a value, or a set.
    fn unknown_name_help(&self, word: &str) -> Option<String> {
        if self.vocabulary.sets.contains_key(word) {
            return Some(format!(
                "`{word}` is a set: write `peer in {word}`, or another attribute"
            ));
        }
        if let Some(rest) = word.strip_prefix("no-") {
            if let Some(help) = suggest::did_you_mean(word, ABSENCES) {
                return Some(help);
            }
            return Some(match AttributeId::named(rest) {
                Some(_) => format!(
                    "write `not {rest}`; only {} begin with `no-`",
                    ABSENCES.join(", ")
                ),
                None => format!("only {} begin with `no-`", ABSENCES.join(", ")),
            });
        }
        let known = ATTRIBUTES
            .iter()
            .map(|row| row.name)
            .chain(PEER_CLASSES)
            .chain(ABSENCES)
            .chain(self.vocabulary.definitions.keys().map(String::as_str));
        let value = ATTRIBUTES.iter().find(|row| row.kind.code(word).is_some());
        let value =
            value.map(|row| format!("it is a value of `{0}`: write `{0}={word}`", row.name));
        value
            .or_else(|| suggest::did_you_mean(word, known))
            .or_else(|| suggest::did_you_mean(word, KEYWORDS))
    }

    fn compare(
        &mut self,
        name: &Spanned<String>,
        operator: Spanned<Operator>,
        operand: &Operand,
        span: Span,
    ) -> Option<Condition> {
        let Some(attribute) = AttributeId::named(&name.value) else {
            self.unknown_attribute(name);
            return None;
        };
        let row = attribute.row();
        let predicate = match (row.kind, operator.value) {
            (Kind::Flag { .. }, _) => return self.compared_flag(row, operator, operand, span),
            (Kind::Set { .. }, Operator::Equal | Operator::NotEqual) => {
                Predicate::Equals(self.scopes(row, operand)?)
            }
            (Kind::Set { .. }, Operator::Includes) => {
                Predicate::Includes(self.scopes(row, operand)?)
            }
            (Kind::Set { .. }, Operator::Within) => Predicate::Within(self.scopes(row, operand)?),
            (Kind::Set { .. }, Operator::In | Operator::NotIn) => {
                let help = "write `scopes within { … }`, `scopes includes …` or `scopes={}`";
                return self.mismatch(row, operator, help);
            }
            (
                Kind::Enum { .. } | Kind::Address { .. } | Kind::Header { .. } | Kind::Text { .. },
                Operator::Includes | Operator::Within,
            ) => {
                let help = format!("write `{} in {{ … }}`", row.name);
                return self.mismatch(row, operator, &help);
            }
            (
                Kind::Enum { .. } | Kind::Address { .. } | Kind::Header { .. } | Kind::Text { .. },
                Operator::In | Operator::NotIn,
            ) => Predicate::Among(self.members_of(row, operand)?),
            (
                Kind::Enum { .. } | Kind::Address { .. } | Kind::Header { .. } | Kind::Text { .. },
                Operator::Equal | Operator::NotEqual,
            ) => match operand {
                Operand::One(value) => {
                    Predicate::Among(self.members(row, std::slice::from_ref(value))?)
                }
                Operand::Many(values) => {
                    let help = format!("write `{} in {{ … }}`", row.name);
                    self.report(
                        Diagnostic::error(
                            Code::TypeMismatch,
                            format!("`{}` is one value, and cannot equal a set", row.name),
                        )
                        .label(values.span, "a set")
                        .help(help),
                    );
                    return None;
                }
            },
        };
        let test = Condition::Test(Comparison {
            attribute,
            predicate,
            span,
        });
        Some(match operator.value {
            Operator::NotEqual | Operator::NotIn => {
                Condition::Not(Box::new(Spanned::new(test, span)))
            }
            Operator::Equal | Operator::In | Operator::Includes | Operator::Within => test,
        })
    }

    fn unknown_attribute(&mut self, name: &Spanned<String>) {
        let word = name.value.as_str();
        if self.unread.contains(word) {
            return;
        }
        let help = if self.vocabulary.definitions.contains_key(word) {
            Some(format!(
                "`{word}` is a definition: it holds or does not, so write it alone"
            ))
        } else if PEER_CLASSES.contains(&word) {
            Some(format!("write `{word}` alone, or `not {word}`"))
        } else {
            None
        };
        self.names_nothing(name, help);
    }

    fn names_nothing(&mut self, name: &Spanned<String>, help: Option<String>) {
        let message = format!("`{}` is not an attribute", name.value);
        self.report(
            Diagnostic::error(Code::UnknownAttribute, message)
                .label(name.span, "no attribute or definition has this name")
                .help(help.unwrap_or_else(|| instead_of(&name.value))),
        );
    }

    fn compared_flag(
        &mut self,
        row: &Attribute,
        operator: Spanned<Operator>,
        operand: &Operand,
        span: Span,
    ) -> Option<Condition> {
        let denied = matches!(operand, Operand::One(value)
            if matches!(&value.value, Literal::Word(word) if matches!(word.as_str(), "no" | "false" | "off")));
        let negated = denied != (operator.value == Operator::NotEqual);
        let help = if negated {
            format!("write `not {}`", row.name)
        } else {
            format!("write `{}` alone", row.name)
        };
        self.report(
            Diagnostic::error(
                Code::TypeMismatch,
                format!("`{}` is a flag, and is not compared", row.name),
            )
            .label(span, "it holds or does not")
            .help(help),
        );
        None
    }

    fn mismatch(
        &mut self,
        row: &Attribute,
        operator: Spanned<Operator>,
        help: &str,
    ) -> Option<Condition> {
        let kind = row.kind.name();
        self.report(
            Diagnostic::error(
                Code::TypeMismatch,
                format!(
                    "`{}` is {} {kind}, and has no `{}`",
                    row.name,
                    article(kind),
                    operator.text()
                ),
            )
            .label(operator.span, "not for this type")
            .help(help),
        );
        None
    }
}

/// A condition of one comparison. Long lists cost memory wherever they are used.
fn single(condition: Condition, attribute: Option<AttributeId>) -> Meaning {
    let long = match &condition {
        Condition::Test(test) => values(test),
        Condition::Not(inner) => match &inner.value {
            Condition::Test(test) => values(test),
            Condition::All(_) | Condition::Any(_) | Condition::Not(_) => 0,
        },
        Condition::All(_) | Condition::Any(_) => 0,
    };
    Meaning {
        condition,
        tests: 1 + long / 8,
        depth: 1,
        latest: attribute,
    }
}

/// How many networks and texts a comparison carries.
fn values(test: &Comparison) -> usize {
    match &test.predicate {
        Predicate::Among(members) => members.networks.len() + members.texts.len(),
        Predicate::Holds | Predicate::Includes(_) | Predicate::Within(_) | Predicate::Equals(_) => {
            0
        }
    }
}

/// `no-origin` and its like.
pub(super) fn absence(word: &str) -> Option<(AttributeId, Predicate)> {
    let attribute = ABSENCES
        .contains(&word)
        .then(|| word.strip_prefix("no-"))
        .flatten()?;
    Some((
        AttributeId::named(attribute)?,
        Predicate::Among(word_member(attribute, "absent")?),
    ))
}

/// `loopback` and its like.
pub(super) fn peer_class(word: &str) -> Option<(AttributeId, Predicate)> {
    let known = PEER_CLASSES.contains(&word);
    let members = known.then(|| word_member("peer", word)).flatten()?;
    Some((AttributeId::named("peer")?, Predicate::Among(members)))
}

fn word_member(attribute: &str, word: &str) -> Option<Members> {
    let code = AttributeId::named(attribute)?.row().kind.code(word)?;
    Some(Members {
        codes: 1 << code,
        ..Members::default()
    })
}

/// A comparison that the attribute has, for help.
pub(super) fn example(row: &Attribute) -> String {
    let word = row.kind.words().first().map_or("", |word| word.name);
    match row.kind {
        Kind::Flag { .. } => row.name.to_owned(),
        Kind::Set { .. } => format!("{} includes {word}", row.name),
        Kind::Enum { .. } => format!("{}={word}", row.name),
        Kind::Address { .. } => format!("{} in {{ 192.168.1.0/24 }}", row.name),
        Kind::Header { .. } | Kind::Text { .. } => format!("{}={word}", row.name),
    }
}
