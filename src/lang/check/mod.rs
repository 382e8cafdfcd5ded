//! [`Ast`]s → [`Checked`]: names, types, stages and places; all errors, in order.
//!
//! What must stand where is in `order`, conditions in `condition`, their values in `value`,
//! stages in `stage`, verdicts in `verdict`, the facts of tests in `example`.

mod condition;
mod example;
mod order;
mod stage;
mod value;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

pub use example::{expected, fact, settle};
pub(in crate::lang) use verdict::meant;

use super::KEYWORDS;
use super::ast::{Ast, ClauseRole, Expression, Given, Literal, Statement, StatementKind};
use super::checked::{self, Answer, Checked, Claim, Clause, Condition, Members, Role, Test};
use super::parse::MAX_PROBLEMS;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, suggest};
use crate::facts::{ATTRIBUTES, AttributeId, Kind, Stage};
use crate::source::{Span, Spanned};

/// The edition of the language that this reads.
pub const EDITION: &str = "1";

/// The most tests one condition may come to when its definitions are expanded.
pub const MAX_TESTS: usize = 10_000;

/// The most tests that all conditions of a file may come to together.
pub const MAX_TESTS_OF_ALL: usize = 500_000;

/// How deep a condition may be nested when its definitions are expanded.
pub const MAX_LEVELS: usize = 128;

/// One file of a policy, with the files whose vocabulary it includes.
#[derive(Debug)]
pub struct FileAst {
    /// What it says.
    pub ast: Arc<Ast>,
    /// What it includes, in the order of the statements.
    pub includes: Vec<Arc<Ast>>,
}

/// Checks a file upon what it extends. `None` when there are errors.
#[must_use]
pub fn check(
    file: &FileAst,
    base: Option<(Checked, Vocabulary)>,
    diagnostics: &mut Diagnostics,
) -> Option<(Checked, Vocabulary)> {
    let (base, vocabulary) = match base {
        Some((checked, vocabulary)) => (Some(checked), vocabulary),
        None => (None, Vocabulary::default()),
    };
    let mut checker = Checker {
        vocabulary,
        ..Checker::default()
    };
    for include in &file.includes {
        checker.vocabulary_of(&include.statements, true);
    }
    checker.vocabulary_of(&file.ast.statements, false);
    for ast in file.includes.iter().chain([&file.ast]) {
        checker.unread.extend(ast.unread.names.iter().cloned());
    }
    checker.definitions();
    let checked = checker.file(&file.ast, base);
    let failed = checker.diagnostics.has_errors();
    diagnostics.0.append(&mut checker.diagnostics.0);
    (!failed).then_some((checked?, checker.vocabulary))
}

/// What a condition means that stands in no file.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn condition(
    expression: &Expression,
    vocabulary: &Vocabulary,
) -> Result<Condition, Diagnostics> {
    let mut checker = Checker {
        vocabulary: vocabulary.clone(),
        ..Checker::default()
    };
    let meaning = checker.meaning(expression);
    match checker.diagnostics.is_empty() {
        true => Ok(meaning),
        false => Err(checker.diagnostics),
    }
}

/// The network that an address or a network stands for, as it is compared.
#[must_use]
pub fn network(text: &str) -> Option<IpNet> {
    value::network(text).map(value::canonical)
}

/// The sets and definitions that may be used by name.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    sets: BTreeMap<String, (Span, Vec<Spanned<Literal>>)>,
    definitions: BTreeMap<String, Definition>,
}

impl Vocabulary {
    /// Each definition with what it means, by name.
    pub fn definitions(&self) -> impl Iterator<Item = (&str, &Condition)> {
        let all = self.definitions.iter();
        all.filter_map(|(name, found)| Some((name.as_str(), &found.meaning.as_ref()?.condition)))
    }

    /// Each set whose values an attribute can be compared with, by name.
    #[must_use]
    pub fn sets(&self, attribute: AttributeId) -> Vec<(&str, Members)> {
        let all = self.sets.iter();
        all.filter_map(|(name, (_, values))| {
            let mut checker = Checker::default();
            let members = checker.members(attribute.row(), values)?;
            Some((name.as_str(), members))
        })
        .collect()
    }

    /// The definition that has this place in what it stands for.
    pub(crate) fn defined_at(&self, span: Span) -> Option<&str> {
        let mut all = self.definitions.iter();
        all.find_map(|(name, it)| {
            let whole = it.expression.span.0;
            let has = whole.source == span.source && whole.to(span) == whole;
            has.then_some(name.as_str())
        })
    }
}

#[derive(Clone, Debug)]
struct Definition {
    name: Span,
    expression: Expression,
    /// The meaning, once found; `None` for one that is wrong or leads back to itself.
    meaning: Option<Meaning>,
    /// Whether its name was already reported.
    resolved: bool,
}

/// What a definition comes to.
#[derive(Clone, Debug)]
struct Meaning {
    condition: Condition,
    /// How many tests it makes.
    tests: usize,
    /// How deep it is nested.
    depth: usize,
    /// The attribute in it that becomes known last.
    latest: Option<AttributeId>,
}

#[derive(Default)]
struct Checker {
    vocabulary: Vocabulary,
    /// Names whose `set` or `define` was refused: nothing is said about their use.
    unread: BTreeSet<String>,
    /// How many tests all conditions so far come to.
    tests: usize,
    /// Whether a chain of definitions was already reported as too long.
    too_long: bool,
    /// How deep [`Checker::expand`] is at the moment.
    level: usize,
    diagnostics: Diagnostics,
}

impl Checker {
    fn report(&mut self, diagnostic: Diagnostic) {
        // What is wrong in a set or a definition is wrong once, wherever that is used.
        let told = |it: &Diagnostic| (it.code, it.span(), it.message.clone());
        let own = told(&diagnostic);
        let is_told = self.diagnostics.0.iter().any(|it| told(it) == own);
        if !is_told && self.diagnostics.0.len() < MAX_PROBLEMS {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Takes the sets and definitions of a file.
    fn vocabulary_of(&mut self, statements: &[Statement], included: bool) {
        for (index, statement) in statements.iter().enumerate() {
            match &statement.kind {
                StatementKind::Set { name, members } => {
                    if self.new_name(name) {
                        let entry = (name.span, members.clone());
                        self.vocabulary.sets.insert(name.value.clone(), entry);
                    }
                }
                StatementKind::Define { name, condition } => {
                    if self.new_name(name) {
                        let definition = Definition {
                            name: name.span,
                            expression: condition.clone(),
                            meaning: None,
                            resolved: false,
                        };
                        self.vocabulary
                            .definitions
                            .insert(name.value.clone(), definition);
                    }
                }
                StatementKind::Edition(_) if included && index > 0 => {
                    self.late_edition(statement.span.0)
                }
                StatementKind::Edition(_) | StatementKind::Include(_) => {}
                StatementKind::Extends(_)
                | StatementKind::Clause(_)
                | StatementKind::Claim { .. }
                | StatementKind::Relax { .. }
                | StatementKind::Test { .. } => {
                    if included {
                        self.report(
                            Diagnostic::error(Code::IncludedRules, "an included file brings vocabulary only")
                                .label(statement.span.0, "neither `set` nor `define`")
                                .help("move it into the file that includes this one, or `extends` this file"),
                        );
                    }
                }
            }
        }
    }

    fn late_edition(&mut self, span: Span) {
        self.report(
            Diagnostic::error(
                Code::MisplacedStatement,
                "the edition is the first statement of a file",
            )
            .label(span, "not the first")
            .help("move it to the top, or remove it if it is there already"),
        );
    }

    /// Whether a name may be given to a set or definition; reports it if not.
    fn new_name(&mut self, name: &Spanned<String>) -> bool {
        let word = name.value.as_str();
        if word.starts_with("no-") {
            self.unread.insert(word.to_owned());
            self.report(
                Diagnostic::error(
                    Code::ReservedName,
                    format!("a name may not begin with `no-`: `{word}` would read as an absence"),
                )
                .label(name.span, "reserved")
                .help(format!(
                    "call it something else, and write `not {}` for its absence",
                    word.trim_start_matches("no-")
                )),
            );
            return false;
        }
        let attribute = ATTRIBUTES.iter().any(|row| row.name == word);
        // A set that is called like a scope would be read in its place.
        let value = ATTRIBUTES
            .iter()
            .any(|row| matches!(row.kind, Kind::Set { .. }) && row.kind.code(word).is_some());
        let reserved = RESERVED.contains(&word) || KEYWORDS.contains(&word) || value;
        if attribute || condition::PEER_CLASSES.contains(&word) || reserved {
            self.report(
                Diagnostic::error(
                    Code::ReservedName,
                    format!("`{word}` already means something in the language"),
                )
                .label(
                    name.span,
                    if attribute {
                        "an attribute"
                    } else if value {
                        "a value of an attribute"
                    } else {
                        "a word of the language"
                    },
                )
                .help("choose another name"),
            );
            return false;
        }
        let sets = self.vocabulary.sets.get(word).map(|(span, _)| *span);
        let definitions = self
            .vocabulary
            .definitions
            .get(word)
            .map(|definition| definition.name);
        match sets.or(definitions) {
            // A file that is included here and by the extended file is one file.
            Some(first) if first == name.span => false,
            Some(first) => {
                self.duplicate(name, first);
                false
            }
            None => true,
        }
    }

    fn duplicate(&mut self, name: &Spanned<String>, first: Span) {
        self.report(
            Diagnostic::error(
                Code::DuplicateName,
                format!("`{}` is already used", name.value),
            )
            .label(name.span, "used again")
            .label(first, "first used here")
            .help("give one of them another name: records and messages tell them apart by it"),
        );
    }

    /// Finds the meaning of every definition, used or not, in the order of the text.
    fn definitions(&mut self) {
        let mut names: Vec<(Span, String)> = self
            .vocabulary
            .definitions
            .iter()
            .map(|(name, definition)| (definition.name, name.clone()))
            .collect();
        names.sort();
        for (_, name) in names {
            let mut path = Vec::new();
            self.resolve(&name, &mut path);
        }
    }

    /// Finds the meaning of a definition and of those it uses. `path` is how it was reached.
    fn resolve(&mut self, name: &str, path: &mut Vec<String>) -> Option<Meaning> {
        if let Some(start) = path.iter().position(|step| step == name) {
            let cycle = path.get(start..).unwrap_or_default().join("` → `");
            let definition = self.vocabulary.definitions.get(name)?;
            let diagnostic = Diagnostic::error(
                Code::CyclicDefinition,
                format!("`{name}` is defined through itself: `{cycle}` → `{name}`"),
            )
            .label(definition.name, "leads back here")
            .help("a definition is a name for a condition: say the condition itself");
            self.report(diagnostic);
            return None;
        }
        let definition = self.vocabulary.definitions.get_mut(name)?;
        if definition.resolved {
            return definition.meaning.clone();
        }
        let expression = definition.expression.clone();
        path.push(name.to_owned());
        let meaning = self
            .expand(&expression, path)
            .and_then(|meaning| self.counted(meaning, expression.span.0));
        path.pop();
        let definition = self.vocabulary.definitions.get_mut(name)?;
        definition.resolved = true;
        definition.meaning.clone_from(&meaning);
        meaning
    }

    /// Adds a condition to what the file comes to, or reports that it is too much.
    fn counted(&mut self, meaning: Meaning, span: Span) -> Option<Meaning> {
        let before = self.tests;
        self.tests = before.saturating_add(meaning.tests);
        if self.tests <= MAX_TESTS_OF_ALL {
            return Some(meaning);
        }
        if before <= MAX_TESTS_OF_ALL {
            self.report(
                Diagnostic::error(
                    Code::NestedTooDeeply,
                    format!(
                        "the conditions of this policy come to more than {MAX_TESTS_OF_ALL} tests"
                    ),
                )
                .label(span, "here the limit is passed, with definitions expanded")
                .help("use fewer definitions of definitions, or `in` with a set"),
            );
        }
        None
    }

    fn chain_too_long(&mut self, span: Span) {
        if !std::mem::replace(&mut self.too_long, true) {
            self.report(
                Diagnostic::error(
                    Code::NestedTooDeeply,
                    format!("definitions build on each other more than {MAX_LEVELS} levels deep"),
                )
                .label(span, "one too many")
                .help("say the condition itself, with fewer definitions between"),
            );
        }
    }

    /// The statements of the policy itself, upon what it extends.
    fn file(&mut self, ast: &Ast, base: Option<Checked>) -> Option<Checked> {
        self.order(ast, base.is_some());
        let mut own = Own::default();
        let mut labels: BTreeMap<String, Span> = BTreeMap::new();
        let mut claims: BTreeMap<String, Span> = BTreeMap::new();
        for clause in base
            .iter()
            .flat_map(|base| base.guards.iter().chain(&base.rules))
        {
            if let Some(label) = &clause.label {
                labels.insert(label.clone(), clause.span);
            }
        }
        for claim in base.iter().flat_map(|base| &base.claims) {
            claims.insert(claim.name.clone(), claim.span);
        }
        let mut inherited: Vec<Claim> = base.iter().flat_map(|base| base.claims.clone()).collect();
        let mut tests: BTreeMap<String, Span> = BTreeMap::new();
        for statement in &ast.statements {
            let issues = self.issues(statement);
            match &statement.kind {
                StatementKind::Clause(clause) => {
                    if let Some(label) = &clause.label {
                        let name = label.value.clone();
                        if let Some(first) = labels.insert(name, label.span) {
                            self.duplicate(label, first);
                        }
                    }
                    self.clause(clause, statement, issues, &mut own);
                }
                StatementKind::Claim {
                    never,
                    name,
                    condition,
                    outcomes,
                } => {
                    if let Some(first) = claims.insert(name.value.clone(), name.span) {
                        self.duplicate(name, first);
                    }
                    let condition = self.meaning(condition);
                    let outcomes: Vec<_> = outcomes
                        .iter()
                        .filter_map(|outcome| self.expected(outcome))
                        .collect();
                    own.claims.push(Claim {
                        name: name.value.clone(),
                        never: *never,
                        condition,
                        outcomes,
                        span: statement.span.0,
                    });
                }
                StatementKind::Relax { name, .. } => {
                    let before = inherited.len();
                    inherited.retain(|claim| claim.name != name.value);
                    if inherited.len() == before {
                        let names: Vec<&str> =
                            inherited.iter().map(|claim| claim.name.as_str()).collect();
                        let help = match suggest::nearest(&name.value, names.iter().copied()) {
                            Some(near) => format!("did you mean \"{near}\"?"),
                            None if base.is_none() => {
                                "remove it: this file extends no other".to_owned()
                            }
                            None if names.is_empty() => {
                                "remove it: the extended file claims nothing".to_owned()
                            }
                            None => format!("its claims are \"{}\"", names.join("\", \"")),
                        };
                        self.report(
                            Diagnostic::error(
                                Code::UnknownClaim,
                                format!("there is no claim \"{}\" to relax", name.value),
                            )
                            .label(name.span, "not claimed by what this file extends")
                            .help(help),
                        );
                    }
                }
                StatementKind::Test {
                    name,
                    given,
                    expected,
                } => {
                    if let Some(first) = tests.insert(name.value.clone(), name.span) {
                        self.duplicate(name, first);
                    }
                    let given = match given {
                        Given::Recorded(path) => Some(checked::Given::Recorded(path.clone())),
                        Given::Facts(expression) => self.example(expression),
                    };
                    let place = expected.span.0;
                    let expected = self.expected(expected);
                    if let (Some(given), Some(expected)) = (given, expected) {
                        own.tests.push(Test {
                            name: name.value.clone(),
                            given,
                            expected: Spanned::new(expected, place),
                            issues,
                            span: statement.span.0,
                        });
                    }
                }
                StatementKind::Edition(_)
                | StatementKind::Include(_)
                | StatementKind::Extends(_)
                | StatementKind::Set { .. }
                | StatementKind::Define { .. } => {}
            }
        }
        let default = own
            .default
            .or_else(|| base.as_ref().map(|base| base.default.clone()));
        let Some(default) = default else {
            // It may be there and be wrong, or the file may hold nothing: that is said already.
            let written = ast.unread.default
                || ast.statements.is_empty()
                || ast.statements.iter().any(|statement| {
                    matches!(&statement.kind, StatementKind::Clause(clause) if clause.role == ClauseRole::Default)
                });
            if written {
                return None;
            }
            let end = ast
                .statements
                .last()
                .map_or(Span::default(), |last| last.span.0);
            self.report(
                Diagnostic::error(
                    Code::MissingDefault,
                    "this policy does not say what happens to every other connection",
                )
                .label(end.after(), "the policy ends here")
                .help("end with `default → require-pairing`, or `default → reject(not-permitted)`")
                .maybe_help(ast.is_vocabulary().then(|| {
                    "leave it as it is if other policies include it: it decides nothing by itself"
                        .to_owned()
                })),
            );
            return None;
        };
        let base_rules = base.iter().flat_map(|base| base.rules.clone());
        let base_guards = base.iter().flat_map(|base| base.guards.clone());
        inherited.append(&mut own.claims);
        Some(Checked {
            guards: base_guards.chain(own.guards).collect(),
            rules: own.rules.into_iter().chain(base_rules).collect(),
            default,
            tests: own.tests,
            claims: inherited,
            base: base.map(Box::new),
        })
    }

    fn clause(
        &mut self,
        clause: &super::ast::Clause,
        statement: &Statement,
        issues: Vec<String>,
        own: &mut Own,
    ) {
        let role = match &clause.role {
            ClauseRole::Guard(None) => Role::Guard(Stage::Connect),
            ClauseRole::Guard(Some(stage)) => Role::Guard(self.stage(stage)),
            ClauseRole::Rule => Role::Rule,
            ClauseRole::Trial => Role::Trial,
            ClauseRole::Default => Role::Default,
        };
        let span = statement.span.0;
        let condition = match &clause.condition {
            None => Spanned::new(Condition::ALWAYS, span),
            Some(expression) => {
                if let Role::Guard(stage) = role {
                    self.known_by(expression, stage);
                }
                Spanned::new(self.meaning(expression), expression.span.0)
            }
        };
        let Some((answer, hint)) = self.answer(&clause.verdict, role) else {
            return;
        };
        let checked = Clause {
            role,
            label: clause.label.as_ref().map(|label| label.value.clone()),
            condition,
            answer,
            because: clause.because.as_ref().map(|text| text.value.clone()),
            hint: hint.or_else(|| clause.hint.as_ref().map(|text| text.value.clone())),
            issues,
            head: Span {
                end: clause.verdict.span.0.end,
                ..span
            },
            span,
        };
        match role {
            Role::Guard(_) => own.guards.push(checked),
            Role::Rule | Role::Trial => own.rules.push(checked),
            Role::Default => own.default = own.default.take().or(Some(checked)),
        }
    }

    fn stage(&mut self, word: &Spanned<String>) -> Stage {
        if word.value != Stage::Upgrade.name() {
            self.report(
                Diagnostic::error(Code::UnknownValue, format!("a guard cannot stand at `{}`", word.value))
                    .label(word.span, "no such place for a guard")
                    .help("write `guard at upgrade` to answer before the WebSocket exists, or `guard` alone"),
            );
        }
        Stage::Upgrade
    }

    /// The reports of `@issue`; any annotation but that and `@x-…` is an error.
    fn issues(&mut self, statement: &Statement) -> Vec<String> {
        let mut issues = Vec::new();
        for annotation in &statement.annotations {
            match annotation.name.value.as_str() {
                "issue" => issues.push(annotation.text.value.clone()),
                name if name.starts_with("x-") => {}
                name => {
                    let help = match suggest::nearest(name, ["issue"]) {
                        Some(near) => format!("did you mean `@{near}`?"),
                        None => format!(
                            "write `@issue(\"…\")`, or `@x-{name}(\"…\")` for one of your own"
                        ),
                    };
                    self.report(
                        Diagnostic::error(
                            Code::UnknownAnnotation,
                            format!("`@{name}` means nothing here"),
                        )
                        .label(annotation.name.span, "no such annotation")
                        .help(help),
                    );
                }
            }
        }
        issues
    }
}

/// Words that cannot name a set or definition, because tests and claims use them.
const RESERVED: [&str; 5] = ["admit", "as-found", "from", "yes", "no"];

/// What one file adds.
#[derive(Default)]
struct Own {
    guards: Vec<Clause>,
    rules: Vec<Clause>,
    default: Option<Clause>,
    tests: Vec<Test>,
    claims: Vec<Claim>,
}

/// A guard answers only with what restricts.
fn restricts(answer: Answer) -> bool {
    match answer {
        Answer::Reject(_) | Answer::RejectAsFound | Answer::RequirePairing(_) | Answer::Cap(_) => {
            true
        }
        Answer::Approve(_) | Answer::SilentApprove(_) => false,
    }
}
