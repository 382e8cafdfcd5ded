//! Rego, by regorus: an `else` chain, for the interpreter and for the register machine, and for the
//! machine the least of a set of numbers as well, which needs no order.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};

use gw::Facts;
use ipnet::IpNet;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{PolicyLengthConfig, Rc, Value as Rego};

use super::{Load, Outcome, Peer, Subject, load};
use crate::rules::{Check, Field, Requirement, Rules, Value, address, names, quoted};

const DECISION: &str = "data.gateway.decision";

struct Interpreter {
    engine: regorus::Engine,
    fields: Fields,
}

struct Machine {
    machine: RegoVM,
    fields: Fields,
}

impl Peer for Interpreter {
    type Input<'f> = Rego;

    fn input(&self, facts: &Facts) -> Result<Rego, String> {
        self.fields.input(facts)
    }

    fn decide(&mut self, input: &Rego) -> Result<Outcome, String> {
        self.engine.set_input(input.clone());
        let answer = self.engine.eval_rule(DECISION.to_owned());
        number(&answer.map_err(|error| error.to_string())?)
    }
}

impl Peer for Machine {
    type Input<'f> = Rego;

    fn input(&self, facts: &Facts) -> Result<Rego, String> {
        self.fields.input(facts)
    }

    fn decide(&mut self, input: &Rego) -> Result<Outcome, String> {
        self.machine.set_input(input.clone());
        let answer = self.machine.execute();
        number(&answer.map_err(|error| error.to_string())?)
    }
}

fn number(answer: &Rego) -> Result<Outcome, String> {
    let number = answer
        .as_i64()
        .ok()
        .and_then(|number| usize::try_from(number).ok());
    number
        .map(Outcome::Rule)
        .ok_or_else(|| format!("the decision is {answer}"))
}

/// The fields, each with its name as a value: it is made once, and shared by all inputs.
#[derive(Clone)]
struct Fields(Vec<(Rego, Field)>);

impl Fields {
    fn of(rules: &Rules) -> Self {
        let fields = rules.fields.iter();
        Fields(
            fields
                .map(|field| (Rego::from(field.name()), *field))
                .collect(),
        )
    }

    fn input(&self, facts: &Facts) -> Result<Rego, String> {
        let mut input = Rego::new_object();
        let object = input.as_object_mut().map_err(|error| error.to_string())?;
        for (name, field) in &self.0 {
            let value = match field.of(facts) {
                Value::Flag(flag) => Rego::from(flag),
                Value::Word(word) => Rego::from(word),
                Value::Scopes(scopes) => Rego::from(
                    scopes
                        .iter()
                        .map(|scope| Rego::from(scope.name()))
                        .collect::<BTreeSet<_>>(),
                ),
                // What is not there is undefined, as it is in an input of JSON.
                Value::Address(None) => continue,
                Value::Address(ip) => Rego::from(address(ip)),
            };
            object.insert(name.clone(), value);
        }
        Ok(input)
    }
}

pub(super) fn interpreter_else<'f>(subject: &Subject<'_>) -> Result<Load<'f>, String> {
    let text = chain(subject.rules);
    let fields = Fields::of(subject.rules);
    Ok(load(move || {
        let mut engine = engine(&text)?;
        // The first evaluation finds the order of statements, which belongs to loading.
        engine.set_input(Rego::new_object());
        engine
            .eval_rule(DECISION.to_owned())
            .map_err(|error| error.to_string())?;
        Ok(Interpreter {
            engine,
            fields: fields.clone(),
        })
    }))
}

pub(super) fn machine_else<'f>(subject: &Subject<'_>) -> Result<Load<'f>, String> {
    Ok(machine(chain(subject.rules), Fields::of(subject.rules)))
}

pub(super) fn machine_min<'f>(subject: &Subject<'_>) -> Result<Load<'f>, String> {
    Ok(machine(least(subject.rules), Fields::of(subject.rules)))
}

fn machine<'f>(text: String, fields: Fields) -> Load<'f> {
    load(move || {
        let policy = engine(&text)?
            .compile_with_entrypoint(&Rc::from(DECISION))
            .map_err(|error| error.to_string())?;
        let program = Compiler::compile_from_policy(&policy, &[DECISION])
            .map_err(|error| error.error.to_string())?;
        let mut machine = RegoVM::new();
        machine.load_program(program);
        machine.set_max_instructions(usize::MAX);
        Ok(Machine {
            machine,
            fields: fields.clone(),
        })
    })
}

/// An engine with the text in it, whose length is not bounded.
fn engine(text: &str) -> Result<regorus::Engine, String> {
    let mut engine = regorus::Engine::new();
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::MAX,
        max_file_bytes: NonZeroUsize::MAX,
        max_lines: NonZeroUsize::MAX,
    });
    engine
        .add_policy("gateway.rego".to_owned(), text.to_owned())
        .map_err(|error| error.to_string())?;
    Ok(engine)
}

fn chain(rules: &Rules) -> String {
    let mut text = Text::default();
    let mut head = "decision";
    for (number, _, row) in rules.rows() {
        let body = text.body(row);
        text.line(&format!("{head} := {number} if {{ {body} }}"));
        head = "else";
    }
    text.finish()
}

fn least(rules: &Rules) -> String {
    let mut text = Text::default();
    for (number, _, row) in rules.rows() {
        let body = text.body(row);
        text.line(&format!("applies contains {number} if {{ {body} }}"));
    }
    text.line("decision := min(applies)");
    text.finish()
}

/// A module as it is written: its rules, and the lists of networks that are rules of their own.
#[derive(Default)]
struct Text {
    lines: String,
    inside: Vec<(String, Vec<IpNet>)>,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.lines.push_str(line);
        self.lines.push('\n');
    }

    fn body(&mut self, row: &[Requirement]) -> String {
        let conditions: Vec<String> = row
            .iter()
            .map(|requirement| self.condition(requirement))
            .collect();
        if conditions.is_empty() {
            "true".to_owned()
        } else {
            conditions.join("; ")
        }
    }

    fn condition(&mut self, requirement: &Requirement) -> String {
        let field = format!("input.{}", requirement.field.name());
        let positive = match &requirement.check {
            Check::Set => field,
            Check::Among(words) => match words.as_slice() {
                [word] if requirement.holds => return format!("{field} == \"{word}\""),
                [word] => return format!("{field} != \"{word}\""),
                words => format!("{field} in {{{}}}", quoted(words)),
            },
            Check::Inside(networks) => match networks.as_slice() {
                [network] => contains(*network, &field),
                networks => self.inside(&field, networks),
            },
            Check::Includes(scopes) => match names(*scopes).as_slice() {
                [scope] => format!("\"{scope}\" in {field}"),
                scopes => format!("count({{{}}} - {field}) == 0", quoted(scopes)),
            },
            Check::Within(scopes) => {
                format!("count({field} - {{{}}}) == 0", quoted(&names(*scopes)))
            }
            Check::Equals(scopes) if scopes.is_empty() => format!("count({field}) == 0"),
            Check::Equals(scopes) => format!("{field} == {{{}}}", quoted(&names(*scopes))),
        };
        if requirement.holds {
            positive
        } else {
            format!("not {positive}")
        }
    }

    /// The name of the rule that says whether a field is in one of them.
    fn inside(&mut self, field: &str, networks: &[IpNet]) -> String {
        let mut known = self.inside.iter();
        let known = known.position(|(of, known)| of == field && known == networks);
        let at = known.unwrap_or_else(|| {
            self.inside.push((field.to_owned(), networks.to_vec()));
            self.inside.len() - 1
        });
        format!("inside_{at}")
    }

    fn finish(self) -> String {
        let mut text = "package gateway\n\nimport rego.v1\n\n".to_owned();
        for (at, (field, networks)) in self.inside.iter().enumerate() {
            for network in networks {
                text.push_str(&format!("inside_{at} if {}\n", contains(*network, field)));
            }
        }
        text.push_str(&self.lines);
        text
    }
}

fn contains(network: IpNet, field: &str) -> String {
    format!("net.cidr_contains(\"{network}\", {field})")
}
