//! A policy in the form that every engine's text is made of: for each rule its alternatives, each a
//! list of requirements that all hold; and the fields that they ask for, which are the whole input of
//! an engine. It is gw's checked policy with `and` and `or` sorted; how a text looks is not here.

use std::net::IpAddr;

use gw::facts::{AttributeId, Facts, Kind, Scope, ScopeSet, Word};
use gw::lang::checked::{Answer, Checked, Clause, Comparison, Condition, Predicate};
use ipnet::IpNet;

/// A policy, sorted: its rules in order, the default last.
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
    pub(crate) fields: Vec<Field>,
}

/// One rule: it applies when one of its alternatives does.
pub(crate) struct Rule {
    pub(crate) alternatives: Vec<Vec<Requirement>>,
    /// Whether its answer lets the connection in.
    pub(crate) admits: bool,
}

/// What of a connection is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) attribute: AttributeId,
    aspect: Aspect,
}

/// gw knows an address, and the class of an address or of a header, as two facts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aspect {
    /// The flag, the word, the set or the class.
    Word,
    /// The address itself.
    Address,
}

/// What a field is for one connection.
pub(crate) enum Value {
    Flag(bool),
    Word(&'static str),
    Scopes(ScopeSet),
    Address(Option<IpAddr>),
}

/// What must hold of a field, or must not.
#[derive(Clone)]
pub(crate) struct Requirement {
    pub(crate) field: Field,
    pub(crate) check: Check,
    /// False for what must not hold.
    pub(crate) holds: bool,
}

#[derive(Clone)]
pub(crate) enum Check {
    /// The flag is set.
    Set,
    /// The word is one of these.
    Among(Vec<&'static str>),
    /// The address is in one of these networks.
    Inside(Vec<IpNet>),
    /// The scopes have all of these.
    Includes(ScopeSet),
    /// The scopes have none but these.
    Within(ScopeSet),
    /// The scopes are exactly these.
    Equals(ScopeSet),
}

impl Rules {
    pub(crate) fn of(checked: &Checked) -> Result<Self, String> {
        if !checked.guards.is_empty() {
            return Err("guards have no counterpart in a list of rules".to_owned());
        }
        let clauses = checked.rules.iter().chain([&checked.default]);
        let rules: Vec<Rule> = clauses.map(Rule::of).collect::<Result<_, String>>()?;
        let mut fields = Vec::new();
        for requirement in rules
            .iter()
            .flat_map(|rule| rule.alternatives.iter().flatten())
        {
            if !fields.contains(&requirement.field) {
                fields.push(requirement.field);
            }
        }
        Ok(Rules { rules, fields })
    }

    /// Every alternative with the number of its rule, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (usize, &Rule, &[Requirement])> {
        let rules = self.rules.iter().enumerate();
        rules.flat_map(|(number, rule)| {
            let alternatives = rule.alternatives.iter();
            alternatives.map(move |alternative| (number, rule, alternative.as_slice()))
        })
    }
}

impl Rule {
    fn of(clause: &Clause) -> Result<Self, String> {
        Ok(Rule {
            alternatives: alternatives(&clause.condition.value, true)?,
            admits: match clause.answer {
                Answer::Approve(_) | Answer::SilentApprove(_) => true,
                Answer::Reject(_) | Answer::RejectAsFound | Answer::RequirePairing(_) => false,
                Answer::Cap(_) => return Err("a cap decides nothing".to_owned()),
            },
        })
    }
}

/// The alternatives under which a condition comes out so.
fn alternatives(condition: &Condition, holds: bool) -> Result<Vec<Vec<Requirement>>, String> {
    match (condition, holds) {
        (Condition::Not(inner), _) => alternatives(&inner.value, !holds),
        (Condition::Test(comparison), _) => requirements(comparison, holds),
        (Condition::All(parts), true) | (Condition::Any(parts), false) => {
            let mut all = vec![Vec::new()];
            for part in parts {
                let part = alternatives(&part.value, holds)?;
                all = all
                    .iter()
                    .flat_map(|left| {
                        part.iter()
                            .map(|right| [left.clone(), right.clone()].concat())
                    })
                    .collect();
            }
            Ok(all)
        }
        (Condition::Any(parts), true) | (Condition::All(parts), false) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(alternatives(&part.value, holds)?);
            }
            Ok(all)
        }
    }
}

/// One comparison. Being of a class or in a network are two alternatives, and being neither is one.
fn requirements(comparison: &Comparison, holds: bool) -> Result<Vec<Vec<Requirement>>, String> {
    let attribute = comparison.attribute;
    let row = attribute.row();
    let requirement = |aspect, check, holds| Requirement {
        field: Field { attribute, aspect },
        check,
        holds,
    };
    let word = |check| Ok(vec![vec![requirement(Aspect::Word, check, holds)]]);
    let members = match (&comparison.predicate, row.kind) {
        (Predicate::Holds, _) => return word(Check::Set),
        (Predicate::Includes(scopes), _) => return word(Check::Includes(*scopes)),
        (Predicate::Within(scopes), _) => return word(Check::Within(*scopes)),
        (Predicate::Equals(scopes), _) => return word(Check::Equals(*scopes)),
        (Predicate::Among(members), Kind::Enum { .. } | Kind::Address { .. }) => members,
        (Predicate::Among(members), Kind::Header { .. })
            if members.networks.is_empty() && members.texts.is_empty() =>
        {
            members
        }
        (Predicate::Among(_), _) => {
            return Err(format!(
                "`{}` is compared with a text, which no peer is given",
                row.name
            ));
        }
    };
    let mut found = Vec::new();
    if members.codes != 0 {
        let (mut among, mut others) = (Vec::new(), Vec::new());
        for (code, word) in row.kind.words().iter().enumerate() {
            let of = if members.codes >> code & 1 == 1 {
                &mut among
            } else {
                &mut others
            };
            of.push(word.name);
        }
        // `client!=cli` is kept as it was written: one word, and not the many others.
        let shorter = others.len() < among.len();
        let words = if shorter { others } else { among };
        found.push(requirement(
            Aspect::Word,
            Check::Among(words),
            holds != shorter,
        ));
    }
    if !members.networks.is_empty() {
        found.push(requirement(
            Aspect::Address,
            Check::Inside(members.networks.clone()),
            holds,
        ));
    }
    Ok(if holds {
        found.into_iter().map(|one| vec![one]).collect()
    } else {
        vec![found]
    })
}

impl Field {
    /// Its name where a name is letters, digits and `_`.
    pub(crate) fn name(self) -> String {
        let row = self.attribute.row();
        let name = row.name.replace(['-', '.'], "_");
        match (self.aspect, row.kind) {
            (Aspect::Word, Kind::Address { .. } | Kind::Header { .. }) => format!("{name}_class"),
            (Aspect::Word | Aspect::Address, _) => name,
        }
    }

    /// What it is for one connection.
    pub(crate) fn of(self, facts: &Facts) -> Value {
        let word = |words: &'static [Word], code: u8| {
            Value::Word(words.get(usize::from(code)).map_or("", |word| word.name))
        };
        match (self.attribute.row().kind, self.aspect) {
            (Kind::Flag { get, .. }, _) => Value::Flag(get(facts)),
            (Kind::Enum { words, get, .. }, _) => word(words, get(facts)),
            (Kind::Set { get, .. }, _) => Value::Scopes(get(facts)),
            (Kind::Address { get, .. }, Aspect::Address) => Value::Address(get(facts).ip()),
            (Kind::Address { words, get, .. }, Aspect::Word) => {
                word(words, get(facts).class().code())
            }
            (Kind::Header { words, class, .. }, _) => word(words, class(facts)),
            // Nothing is required of a text, so no field is one.
            (Kind::Text { .. }, _) => Value::Word(""),
        }
    }
}

impl Requirement {
    /// Whether a connection meets it.
    pub(crate) fn met_by(&self, facts: &Facts) -> bool {
        let found = match (&self.check, self.field.of(facts)) {
            (Check::Set, Value::Flag(flag)) => flag,
            (Check::Among(words), Value::Word(word)) => words.contains(&word),
            (Check::Inside(networks), Value::Address(Some(ip))) => {
                networks.iter().any(|network| network.contains(&ip))
            }
            (Check::Includes(scopes), Value::Scopes(of)) => scopes.within(of),
            (Check::Within(scopes), Value::Scopes(of)) => of.within(*scopes),
            (Check::Equals(scopes), Value::Scopes(of)) => of == *scopes,
            (
                Check::Set
                | Check::Among(_)
                | Check::Inside(_)
                | Check::Includes(_)
                | Check::Within(_)
                | Check::Equals(_),
                _,
            ) => false,
        };
        found == self.holds
    }
}

/// The names of scopes.
pub(crate) fn names(scopes: ScopeSet) -> Vec<&'static str> {
    scopes.iter().map(Scope::name).collect()
}

/// Words between quotes with commas between them: a list in most languages.
pub(crate) fn quoted(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    quoted.join(", ")
}

/// The address as text; nothing where there is none.
pub(crate) fn address(ip: Option<IpAddr>) -> String {
    ip.map(|ip| ip.to_string()).unwrap_or_default()
}

/// Whether an address is in a network, both as text: for languages that have no addresses. What is no
/// address is in none.
pub(crate) fn is_inside(address: &str, network: &str) -> bool {
    match (address.parse::<IpAddr>(), network.parse::<IpNet>()) {
        (Ok(ip), Ok(network)) => network.contains(&ip),
        (Ok(_) | Err(_), _) => false,
    }
}
