//! Goes through what a statement says: names, values, denials.

use super::{
    Clause, Expression, ExpressionKind, Given, Literal, Operand, Statement, StatementKind,
    VerdictText,
};
use crate::source::Spanned;

/// What is met on the way.
#[derive(Clone, Copy, Debug)]
pub enum Visit<'a> {
    /// A word that may name a set or a definition: alone, or as a value.
    Name(&'a str),
    /// Values of a named set, or between braces.
    Values(&'a [Spanned<Literal>]),
    /// `not a`: all of it, and what is denied.
    Denial(&'a Expression, &'a Expression),
}

/// Tells of everything that a statement says, in the order of its text.
pub fn visit<'a>(statement: &'a Statement, see: &mut impl FnMut(Visit<'a>)) {
    match &statement.kind {
        StatementKind::Set { members, .. } => values(members, see),
        StatementKind::Define { condition, .. } => expression(condition, see),
        StatementKind::Clause(clause) => of_clause(clause, see),
        StatementKind::Claim {
            condition,
            outcomes,
            ..
        } => {
            expression(condition, see);
            outcomes.iter().for_each(|it| verdict(it, see));
        }
        StatementKind::Test {
            given, expected, ..
        } => {
            if let Given::Facts(facts) = given {
                expression(facts, see);
            }
            verdict(expected, see);
        }
        StatementKind::Edition(_)
        | StatementKind::Include(_)
        | StatementKind::Extends(_)
        | StatementKind::Relax { .. } => {}
    }
}

fn of_clause<'a>(clause: &'a Clause, see: &mut impl FnMut(Visit<'a>)) {
    if let Some(condition) = &clause.condition {
        expression(condition, see);
    }
    verdict(&clause.verdict, see);
}

fn verdict<'a>(verdict: &'a VerdictText, see: &mut impl FnMut(Visit<'a>)) {
    let arguments = verdict.arguments.iter();
    arguments.for_each(|argument| operand(&argument.value, see));
}

fn expression<'a>(whole: &'a Expression, see: &mut impl FnMut(Visit<'a>)) {
    match &whole.kind {
        ExpressionKind::All(parts) | ExpressionKind::Any(parts) => {
            parts.iter().for_each(|part| expression(part, see));
        }
        ExpressionKind::Not(inner) => {
            see(Visit::Denial(whole, inner));
            expression(inner, see);
        }
        ExpressionKind::Group(inner) => expression(inner, see),
        ExpressionKind::Bare(name) => see(Visit::Name(&name.value)),
        ExpressionKind::Compare { operand: value, .. } => operand(value, see),
    }
}

fn operand<'a>(operand: &'a Operand, see: &mut impl FnMut(Visit<'a>)) {
    match operand {
        Operand::One(value) => name(value, see),
        Operand::Many(members) => values(members, see),
    }
}

fn values<'a>(members: &'a [Spanned<Literal>], see: &mut impl FnMut(Visit<'a>)) {
    see(Visit::Values(members));
    members.iter().for_each(|member| name(member, see));
}

fn name<'a>(value: &'a Spanned<Literal>, see: &mut impl FnMut(Visit<'a>)) {
    if let Literal::Word(word) = &value.value {
        see(Visit::Name(word));
    }
}
