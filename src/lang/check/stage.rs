//! Stages: whether a guard asks only for what is known by then.

use super::Checker;
use super::condition::{PEER_CLASSES, absence};
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::{Attribute, AttributeId, Stage};
use crate::lang::ast::{Expression, ExpressionKind};

impl Checker {
    /// Reports what an expression asks that is not known at a stage, at the place of use.
    pub(super) fn known_by(&mut self, expression: &Expression, stage: Stage) {
        match &expression.kind {
            ExpressionKind::All(parts) | ExpressionKind::Any(parts) => {
                for part in parts {
                    self.known_by(part, stage);
                }
            }
            ExpressionKind::Not(inner) | ExpressionKind::Group(inner) => {
                self.known_by(inner, stage)
            }
            ExpressionKind::Bare(name)
            | ExpressionKind::Compare {
                attribute: name, ..
            } => {
                let Some(late) = self.latest(&name.value).filter(|row| row.stage > stage) else {
                    return;
                };
                let known = late.stage.doc();
                let label = if self.vocabulary.definitions.contains_key(&name.value) {
                    format!("asks for `{}`, which is {known}", late.name)
                } else {
                    known.to_owned()
                };
                self.report(
                    Diagnostic::error(
                        Code::TooEarly,
                        format!(
                            "`{}` is not known yet when a guard at {stage} answers",
                            late.name
                        ),
                    )
                    .label(name.span, label)
                    .help(format!("write `guard` without `at {stage}`")),
                );
            }
        }
    }

    /// The attribute behind a name that becomes known last.
    fn latest(&self, name: &str) -> Option<&'static Attribute> {
        if let Some(definition) = self.vocabulary.definitions.get(name) {
            return definition.meaning.as_ref()?.latest.map(AttributeId::row);
        }
        let name = match absence(name) {
            Some((attribute, _)) => return Some(attribute.row()),
            None if PEER_CLASSES.contains(&name) => "peer",
            None => name,
        };
        AttributeId::named(name).map(AttributeId::row)
    }
}
