//! CEL, which has expressions and no policies: a list of them, of which the host takes the first that is
//! true, and all of them nested into one by `? :`. Networks are a function of the host's.

use std::sync::Arc;

use ::cel::parser::Expression;
use ::cel::{Context, Env, Value as Cel};
use gw::Facts;

use super::{Load, Outcome, Peer, Subject, load};
use crate::rules::{Check, Field, Requirement, Rule, Value, address, is_inside, names, quoted};

/// What the host's function is called.
const INSIDE: &str = "inside";

struct Expressions {
    env: Arc<Env>,
    root: &'static Context<'static, 'static>,
    fields: Vec<(String, Field)>,
}

impl Expressions {
    fn new(fields: &[(String, Field)]) -> Result<Self, String> {
        let env = Arc::new(Env::stdlib());
        let mut root = Context::with_env(Arc::clone(&env));
        let inside = |address: Arc<String>, network: Arc<String>| is_inside(&address, &network);
        root.add_function(INSIDE, inside)
            .map_err(|error| error.to_string())?;
        Ok(Expressions {
            env,
            // The scope of each connection borrows it, and some of them are kept.
            root: Box::leak(Box::new(root)),
            fields: fields.to_vec(),
        })
    }

    /// The depth of a text is bounded by 96 unless another bound is asked for; the highest is.
    fn parse(&self, text: &str) -> Result<Expression, String> {
        let parser = self.env.parser().max_recursion_depth(u16::MAX);
        parser.parse(text).map_err(|error| error.to_string())
    }

    fn input(&self, facts: &Facts) -> Context<'static, 'static> {
        let mut scope = self.root.new_inner_scope();
        for (name, field) in &self.fields {
            match field.of(facts) {
                Value::Flag(flag) => scope.add_variable_from_value(name.as_str(), flag),
                Value::Word(word) => scope.add_variable_from_value(name.as_str(), word),
                Value::Scopes(scopes) => {
                    scope.add_variable_from_value(name.as_str(), names(scopes))
                }
                Value::Address(ip) => scope.add_variable_from_value(name.as_str(), address(ip)),
            }
        }
        scope
    }
}

struct List {
    expressions: Expressions,
    rules: Vec<Expression>,
}

impl Peer for List {
    type Input<'f> = Context<'static, 'static>;

    fn input<'f>(&self, facts: &'f Facts) -> Result<Self::Input<'f>, String> {
        Ok(self.expressions.input(facts))
    }

    fn decide(&mut self, input: &Self::Input<'_>) -> Result<Outcome, String> {
        for (number, rule) in self.rules.iter().enumerate() {
            match input.resolve(rule) {
                Ok(Cel::Bool(true)) => return Ok(Outcome::Rule(number)),
                Ok(Cel::Bool(false)) => {}
                other => return Err(format!("rule {number} is {other:?}")),
            }
        }
        Err("no rule is true".to_owned())
    }
}

struct Ternary {
    expressions: Expressions,
    policy: Expression,
}

impl Peer for Ternary {
    type Input<'f> = Context<'static, 'static>;

    fn input<'f>(&self, facts: &'f Facts) -> Result<Self::Input<'f>, String> {
        Ok(self.expressions.input(facts))
    }

    fn decide(&mut self, input: &Self::Input<'_>) -> Result<Outcome, String> {
        match input.resolve(&self.policy) {
            Ok(Cel::Int(number)) => usize::try_from(number)
                .map(Outcome::Rule)
                .map_err(|error| error.to_string()),
            other => Err(format!("the policy is {other:?}")),
        }
    }
}

pub(super) fn list<'f>(subject: &Subject<'_>) -> Result<Load<'f>, String> {
    let texts: Vec<String> = subject.rules.rules.iter().map(expression).collect();
    let fields = fields(subject);
    Ok(load(move || {
        let expressions = Expressions::new(&fields)?;
        let rules = texts.iter().map(|text| expressions.parse(text));
        Ok(List {
            rules: rules.collect::<Result<_, String>>()?,
            expressions,
        })
    }))
}

pub(super) fn ternary<'f>(subject: &Subject<'_>) -> Result<Load<'f>, String> {
    let mut text = String::new();
    let last = subject.rules.rules.len().saturating_sub(1);
    for (number, rule) in subject.rules.rules.iter().enumerate().take(last) {
        text.push_str(&format!("({}) ? {number} : ", expression(rule)));
    }
    text.push_str(&last.to_string());
    let fields = fields(subject);
    Ok(load(move || {
        let expressions = Expressions::new(&fields)?;
        Ok(Ternary {
            policy: expressions.parse(&text)?,
            expressions,
        })
    }))
}

fn fields(subject: &Subject<'_>) -> Vec<(String, Field)> {
    subject
        .rules
        .fields
        .iter()
        .map(|field| (field.name(), *field))
        .collect()
}

fn expression(rule: &Rule) -> String {
    let row = |row: &Vec<Requirement>| {
        let conditions: Vec<String> = row.iter().map(condition).collect();
        if conditions.is_empty() {
            "true".to_owned()
        } else {
            conditions.join(" && ")
        }
    };
    let rows: Vec<String> = rule.alternatives.iter().map(row).collect();
    match rows.as_slice() {
        [row] => row.clone(),
        rows => format!("({})", rows.join(") || (")),
    }
}

fn condition(requirement: &Requirement) -> String {
    let field = requirement.field.name();
    let positive = match &requirement.check {
        Check::Set => field,
        Check::Among(words) => match words.as_slice() {
            [word] if requirement.holds => return format!("{field} == \"{word}\""),
            [word] => return format!("{field} != \"{word}\""),
            words => format!("({field} in [{}])", quoted(words)),
        },
        Check::Inside(networks) => {
            let inside: Vec<String> = networks
                .iter()
                .map(|network| format!("{INSIDE}({field}, \"{network}\")"))
                .collect();
            format!("({})", inside.join(" || "))
        }
        Check::Includes(scopes) => {
            let each: Vec<String> = names(*scopes)
                .iter()
                .map(|scope| format!("\"{scope}\" in {field}"))
                .collect();
            format!("({})", each.join(" && "))
        }
        Check::Within(scopes) => {
            format!("{field}.all(scope, scope in [{}])", quoted(&names(*scopes)))
        }
        Check::Equals(scopes) => {
            let names = names(*scopes);
            let size = format!("size({field}) == {}", names.len());
            let each = names.iter().map(|scope| format!("\"{scope}\" in {field}"));
            let all: Vec<String> = std::iter::once(size).chain(each).collect();
            format!("({})", all.join(" && "))
        }
    };
    if requirement.holds {
        positive
    } else {
        format!("!{positive}")
    }
}
