//! Cedar: every rule is a `permit` of its own, and the host takes the first of those that are satisfied
//! from the diagnostics, since Cedar has no order. The client is the principal; all else is context.

use cedar_policy::{
    Authorizer, Context, Entities, EntityUid, PolicySet, Request, RestrictedExpression,
};
use gw::Facts;

use super::{Load, Outcome, Peer, Subject, load};
use crate::rules::{Check, Field, Requirement, Rule, Value, address, names, quoted};

/// The field that is the principal.
const PRINCIPAL: &str = "client";

/// What a policy is called that is parsed as one of a set; its number follows.
const ID: &str = "policy";

struct Cedar {
    policies: PolicySet,
    entities: Entities,
    authorizer: Authorizer,
    action: EntityUid,
    resource: EntityUid,
    nobody: EntityUid,
    /// Each client that there is.
    principals: Vec<(&'static str, EntityUid)>,
    fields: Vec<(String, Field)>,
}

impl Peer for Cedar {
    type Input<'f> = Request;

    fn input(&self, facts: &Facts) -> Result<Request, String> {
        let mut principal = &self.nobody;
        let mut pairs = Vec::with_capacity(self.fields.len());
        for (name, field) in &self.fields {
            let value = match field.of(facts) {
                Value::Word(word) if name == PRINCIPAL => {
                    let known = self.principals.iter().find(|(client, _)| *client == word);
                    principal = known.map_or(principal, |(_, id)| id);
                    continue;
                }
                Value::Address(None) => continue,
                Value::Flag(flag) => RestrictedExpression::new_bool(flag),
                Value::Word(word) => RestrictedExpression::new_string(word.to_owned()),
                Value::Address(ip) => RestrictedExpression::new_ip(address(ip)),
                Value::Scopes(scopes) => RestrictedExpression::new_set(
                    scopes
                        .iter()
                        .map(|scope| RestrictedExpression::new_string(scope.name().to_owned())),
                ),
            };
            pairs.push((name.clone(), value));
        }
        let context = Context::from_pairs(pairs).map_err(|error| error.to_string())?;
        let (action, resource) = (self.action.clone(), self.resource.clone());
        Request::new(principal.clone(), action, resource, context, None)
            .map_err(|error| error.to_string())
    }

    fn decide(&mut self, request: &Request) -> Result<Outcome, String> {
        let response = self
            .authorizer
            .is_authorized(request, &self.policies, &self.entities);
        let diagnostics = response.diagnostics();
        if let Some(error) = diagnostics.errors().next() {
            return Err(error.to_string());
        }
        let number = |id: &cedar_policy::PolicyId| {
            let id: &str = id.as_ref();
            id.strip_prefix(ID)?.parse::<usize>().ok()
        };
        let first = diagnostics.reason().filter_map(number).min();
        first
            .map(Outcome::Rule)
            .ok_or_else(|| "no policy is satisfied".to_owned())
    }
}

pub(super) fn translate<'f>(subject: &Subject<'_>) -> Result<Load<'f>, String> {
    let text: String = subject.rules.rules.iter().map(policy).collect();
    let fields: Vec<(String, Field)> = subject
        .rules
        .fields
        .iter()
        .map(|field| (field.name(), *field))
        .collect();
    Ok(load(move || {
        let entity = |id: &str| id.parse::<EntityUid>().map_err(|error| error.to_string());
        let mut principals = Vec::new();
        for (_, field) in fields.iter().filter(|(name, _)| name == PRINCIPAL) {
            for word in field.attribute.row().kind.words() {
                principals.push((word.name, entity(&client(word.name))?));
            }
        }
        Ok(Cedar {
            policies: text
                .parse()
                .map_err(|error: cedar_policy::ParseErrors| error.to_string())?,
            entities: Entities::empty(),
            authorizer: Authorizer::new(),
            action: entity("Action::\"connect\"")?,
            resource: entity("Gateway::\"gateway\"")?,
            nobody: entity(&client("nobody"))?,
            principals,
            fields: fields.clone(),
        })
    }))
}

fn client(word: &str) -> String {
    format!("Client::\"{word}\"")
}

fn policy(rule: &Rule) -> String {
    let mut head = "principal".to_owned();
    let mut bodies = Vec::new();
    for row in &rule.alternatives {
        let mut conditions = Vec::new();
        for requirement in row {
            match (&requirement.check, rule.alternatives.len()) {
                // What the head can say is found before the condition is looked at.
                (Check::Among(words), 1)
                    if requirement.holds
                        && words.len() == 1
                        && requirement.field.name() == PRINCIPAL =>
                {
                    head = format!(
                        "principal == {}",
                        words.iter().map(|word| client(word)).collect::<String>()
                    );
                }
                _ => conditions.push(condition(requirement)),
            }
        }
        bodies.push(conditions.join(" && "));
    }
    let when = match bodies.as_slice() {
        [body] if body.is_empty() => String::new(),
        [body] => format!(" when {{ {body} }}"),
        bodies => format!(" when {{ ({}) }}", bodies.join(") || (")),
    };
    format!("permit({head}, action == Action::\"connect\", resource){when};\n")
}

fn condition(requirement: &Requirement) -> String {
    let name = requirement.field.name();
    let field = format!("context.{name}");
    let positive = match &requirement.check {
        Check::Set => field,
        Check::Among(words) if name == PRINCIPAL => {
            let clients: Vec<String> = words.iter().map(|word| client(word)).collect();
            format!("[{}].contains(principal)", clients.join(", "))
        }
        Check::Among(words) => match words.as_slice() {
            [word] if requirement.holds => return format!("{field} == \"{word}\""),
            [word] => return format!("{field} != \"{word}\""),
            words => format!("[{}].contains({field})", quoted(words)),
        },
        Check::Inside(networks) => {
            let inside: Vec<String> = networks
                .iter()
                .map(|network| format!("{field}.isInRange(ip(\"{network}\"))"))
                .collect();
            format!("(context has {name} && ({}))", inside.join(" || "))
        }
        Check::Includes(scopes) => match names(*scopes).as_slice() {
            [scope] => format!("{field}.contains(\"{scope}\")"),
            scopes => format!("{field}.containsAll([{}])", quoted(scopes)),
        },
        Check::Within(scopes) => format!("[{}].containsAll({field})", quoted(&names(*scopes))),
        Check::Equals(scopes) if scopes.is_empty() => format!("{field}.isEmpty()"),
        Check::Equals(scopes) => format!("({field} == [{}])", quoted(&names(*scopes))),
    };
    if requirement.holds {
        positive
    } else {
        format!("!{positive}")
    }
}
