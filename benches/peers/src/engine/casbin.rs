//! Casbin: a row for each alternative of a rule, in the order of priority, with a cell for each field.
//! It says whether a connection is let in, and not which row says so.

use ::casbin::function_map::{OperatorFunction, dynamic_to_str};
use ::casbin::rhai::Dynamic;
use ::casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};
use gw::Facts;

use super::{Load, Outcome, Peer, Subject, load};
use crate::rules::{Check, Field, Requirement, Value, address, is_inside, names};

/// A cell that asks for nothing.
const ANY: &str = "*";
/// What stands before a cell of what must not be.
const NOT: char = '!';
/// What stands before the scopes of a cell.
const INCLUDES: &str = "+";
const WITHIN: &str = "-";
const EQUALS: &str = "=";
/// What stands between the words of a cell or of a value.
const OR: char = '|';

struct Casbin {
    enforcer: Enforcer,
    fields: Vec<Field>,
}

impl Peer for Casbin {
    type Input<'f> = Vec<Dynamic>;

    fn input(&self, facts: &Facts) -> Result<Vec<Dynamic>, String> {
        let value = |field: &Field| match field.of(facts) {
            Value::Flag(flag) => Dynamic::from(flag.to_string()),
            Value::Word(word) => Dynamic::from(word.to_owned()),
            Value::Scopes(scopes) => Dynamic::from(joined(&names(scopes))),
            Value::Address(ip) => Dynamic::from(address(ip)),
        };
        Ok(self.fields.iter().map(value).collect())
    }

    fn decide(&mut self, input: &Vec<Dynamic>) -> Result<Outcome, String> {
        let answer = self.enforcer.enforce(input.clone());
        answer
            .map(Outcome::Admits)
            .map_err(|error| error.to_string())
    }
}

pub(super) fn translate<'f>(subject: &Subject<'_>) -> Result<Load<'f>, String> {
    let fields = subject.rules.fields.clone();
    let model = model(&fields)?;
    let mut text = String::new();
    for (at, (_, rule, row)) in subject.rules.rows().enumerate() {
        let mut cells = vec!["p".to_owned(), at.to_string()];
        for field in &fields {
            cells.push(cell(row, *field)?);
        }
        cells.push(if rule.admits { "allow" } else { "deny" }.to_owned());
        text.push_str(&cells.join(", "));
        text.push('\n');
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    Ok(load(move || {
        let enforcer = runtime.block_on(async {
            let model = DefaultModel::from_str(&model).await?;
            let mut enforcer = Enforcer::new(model, StringAdapter::new(&text)).await?;
            enforcer.add_function("among", OperatorFunction::Arg2(among));
            enforcer.add_function("scoped", OperatorFunction::Arg2(scoped));
            enforcer.add_function("inside", OperatorFunction::Arg2(inside));
            Ok::<_, ::casbin::error::Error>(enforcer)
        });
        let enforcer = enforcer.map_err(|error| error.to_string())?;
        Ok(Casbin {
            enforcer,
            fields: fields.clone(),
        })
    }))
}

fn model(fields: &[Field]) -> Result<String, String> {
    let names: Vec<String> = fields.iter().map(|field| field.name()).collect();
    let mut matchers = Vec::new();
    for (field, name) in fields.iter().zip(&names) {
        let function = match field.of(&Facts::default()) {
            Value::Flag(_) | Value::Word(_) => "among",
            Value::Scopes(_) => "scoped",
            Value::Address(_) => "inside",
        };
        matchers.push(format!("{function}(r.{name}, p.{name})"));
    }
    let (names, matchers) = (names.join(", "), matchers.join(" && "));
    Ok(format!(
        "[request_definition]\nr = {names}\n\
        [policy_definition]\np = id, {names}, eft\n\
        [policy_effect]\ne = priority(p.eft) || deny\n\
        [matchers]\nm = {matchers}\n"
    ))
}

/// What a row asks of a field.
fn cell(row: &[Requirement], field: Field) -> Result<String, String> {
    let mut asked = row.iter().filter(|requirement| requirement.field == field);
    let Some(requirement) = asked.next() else {
        return Ok(ANY.to_owned());
    };
    if asked.next().is_some() {
        return Err(format!(
            "`{}` is asked for twice, and a row has one cell for it",
            field.name()
        ));
    }
    let positive = match &requirement.check {
        Check::Set => true.to_string(),
        Check::Among(words) => joined(words),
        Check::Inside(networks) => {
            joined(&networks.iter().map(ToString::to_string).collect::<Vec<_>>())
        }
        Check::Includes(scopes) => format!("{INCLUDES}{}", joined(&names(*scopes))),
        Check::Within(scopes) => format!("{WITHIN}{}", joined(&names(*scopes))),
        Check::Equals(scopes) => format!("{EQUALS}{}", joined(&names(*scopes))),
    };
    Ok(if requirement.holds {
        positive
    } else {
        format!("{NOT}{positive}")
    })
}

fn joined<S: AsRef<str>>(words: &[S]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    words.join(&OR.to_string())
}

/// Whether a cell holds of a value, by what it says without its negation.
fn holds(cell: &Dynamic, test: impl Fn(&str) -> bool) -> Dynamic {
    let cell = dynamic_to_str(cell);
    let found = match cell.strip_prefix(NOT) {
        _ if cell == ANY => true,
        Some(not) => !test(not),
        None => test(&cell),
    };
    found.into()
}

fn among(value: Dynamic, cell: Dynamic) -> Dynamic {
    let value = dynamic_to_str(&value);
    holds(&cell, |words| words.split(OR).any(|word| word == value))
}

fn inside(value: Dynamic, cell: Dynamic) -> Dynamic {
    let value = dynamic_to_str(&value);
    holds(&cell, |networks| {
        networks.split(OR).any(|network| is_inside(&value, network))
    })
}

fn scoped(value: Dynamic, cell: Dynamic) -> Dynamic {
    let value = dynamic_to_str(&value);
    holds(&cell, |cell| {
        let (sign, scopes) = cell.split_at(cell.len().min(1));
        (sign == WITHIN || covers(&value, scopes)) && (sign == INCLUDES || covers(scopes, &value))
    })
}

/// Whether one list of scopes has all of another.
fn covers(all: &str, some: &str) -> bool {
    let mut some = some.split(OR).filter(|scope| !scope.is_empty());
    some.all(|scope| all.split(OR).any(|known| known == scope))
}
