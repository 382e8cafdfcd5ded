//! A policy as written: statements with their places, before any name means anything.

pub mod visit;

use crate::source::{Span, Spanned};

/// One file, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ast {
    /// The statements, in order.
    pub statements: Vec<Statement>,
    /// What is known of the statements that could not be read.
    pub unread: Unread,
}

impl Ast {
    /// Whether it only gives names, as a file to be included does.
    #[must_use]
    pub fn is_vocabulary(&self) -> bool {
        let names = |statement: &Statement| {
            matches!(
                statement.kind,
                StatementKind::Set { .. }
                    | StatementKind::Define { .. }
                    | StatementKind::Include(_)
            )
        };
        let edition = |statement: &Statement| matches!(statement.kind, StatementKind::Edition(_));
        self.statements.iter().any(names)
            && self
                .statements
                .iter()
                .all(|statement| names(statement) || edition(statement))
    }
}

/// What is known of statements that could not be read, so that nothing that depends on
/// them is reported besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// The first statement of the file is one of them.
    pub first: bool,
    /// The default is one of them.
    pub default: bool,
    /// The names that they give to sets and definitions.
    pub names: Vec<String>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The annotations above it.
    pub annotations: Vec<Annotation>,
    /// What it says.
    pub kind: StatementKind,
    /// All of it, without annotations and comments.
    pub span: Place,
}

/// A span that equality ignores, so that trees compare by meaning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place(pub Span);

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

/// `@name("text")` above a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// What follows the `@`.
    pub name: Spanned<String>,
    /// The text in quotes.
    pub text: Spanned<String>,
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// `gw-policy 1`
    Edition(Spanned<String>),
    /// `include "path"`
    Include(Spanned<String>),
    /// `extends "path"`
    Extends(Spanned<String>),
    /// `set name = { … }`
    Set {
        /// The name.
        name: Spanned<String>,
        /// The values.
        members: Vec<Spanned<Literal>>,
    },
    /// `define name = condition`
    Define {
        /// The name.
        name: Spanned<String>,
        /// The condition.
        condition: Expression,
    },
    /// A guard, a rule, a trial or the default.
    Clause(Clause),
    /// `never …` or `always …`
    Claim {
        /// Whether it says never.
        never: bool,
        /// Its name.
        name: Spanned<String>,
        /// The connections it speaks of.
        condition: Expression,
        /// What they never, or always, come to.
        outcomes: Vec<VerdictText>,
    },
    /// `relax "name" because "…"`
    Relax {
        /// The claim's name.
        name: Spanned<String>,
        /// Why it does not bind here.
        because: Spanned<String>,
    },
    /// `test "name": facts → verdict`
    Test {
        /// Its name.
        name: Spanned<String>,
        /// What is known of the connection.
        given: Given,
        /// What it must come to.
        expected: VerdictText,
    },
}

/// A statement that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Which kind.
    pub role: ClauseRole,
    /// The name in brackets.
    pub label: Option<Spanned<String>>,
    /// When it applies; the default has none.
    pub condition: Option<Expression>,
    /// What it answers.
    pub verdict: VerdictText,
    /// Prose for operators.
    pub because: Option<Spanned<String>>,
    /// Prose that the client may see.
    pub hint: Option<Spanned<String>>,
}

/// Which kind of clause it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClauseRole {
    /// `guard`, perhaps `at` a stage.
    Guard(Option<Spanned<String>>),
    /// A rule.
    Rule,
    /// A rule that changes nothing.
    Trial,
    /// What happens to all others.
    Default,
}

/// Where a test's facts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A condition that names facts.
    Facts(Expression),
    /// A recorded handshake.
    Recorded(Spanned<String>),
}

/// A verdict, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictText {
    /// Its name.
    pub name: Spanned<String>,
    /// What stands in parentheses.
    pub arguments: Vec<Argument>,
    /// All of it.
    pub span: Place,
}

/// `value` or `key=value` in parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The key, if there is one.
    pub key: Option<Spanned<String>>,
    /// The value or values.
    pub value: Operand,
}

/// A condition, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// What it says.
    pub kind: ExpressionKind,
    /// All of it.
    pub span: Place,
}

/// What a condition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpressionKind {
    /// `a and b and …`
    All(Vec<Expression>),
    /// `a or b or …`
    Any(Vec<Expression>),
    /// `not a`
    Not(Box<Expression>),
    /// `( a )`
    Group(Box<Expression>),
    /// A flag, a definition, or a class of peers.
    Bare(Spanned<String>),
    /// An attribute and what it is compared with.
    Compare {
        /// The attribute.
        attribute: Spanned<String>,
        /// How.
        operator: Spanned<Operator>,
        /// With what.
        operand: Operand,
    },
}

/// How an attribute is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `in`
    In,
    /// `not in`
    NotIn,
    /// `includes`
    Includes,
    /// `within`
    Within,
}

impl Operator {
    /// As written.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::In => "in",
            Operator::NotIn => "not in",
            Operator::Includes => "includes",
            Operator::Within => "within",
        }
    }
}

/// What stands on the right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// One value, or the name of a set.
    One(Spanned<Literal>),
    /// `{ a, b }`
    Many(Spanned<Vec<Spanned<Literal>>>),
}

impl Operand {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        match self {
            Operand::One(value) => value.span,
            Operand::Many(values) => values.span,
        }
    }
}

/// A value, as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Literal {
    /// A word.
    Word(String),
    /// Text in quotes, without them.
    Text(String),
    /// An address or a network, not yet read.
    Address(String),
}

impl Literal {
    /// As written.
    #[must_use]
    pub fn show(&self) -> String {
        match self {
            Literal::Word(text) | Literal::Address(text) => text.clone(),
            Literal::Text(text) => format!("\"{text}\""),
        }
    }
}
