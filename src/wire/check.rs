//! Checks JSON values as the protocol's schema does, and says what is wrong in its words.
//!
//! Violations are kept in the schema's order: of an object first the properties it lacks,
//! then those it may not have, then each known property in turn.

use serde_json::{Map, Value};

use crate::settings::compatibility::SchemaWording;
use crate::source::visible;

/// A frame may be wrong in as many ways as it is long; a reply names no more than these.
const MOST_VIOLATIONS: usize = 32;

/// One thing that is wrong.
struct Violation {
    /// JSON pointer from the root of what is checked.
    pointer: String,
    /// What is wrong, as the protocol says it: `must be string`.
    says: String,
}

impl Violation {
    /// As in a reply: `at /client/id: must be string`. The root is named only where an
    /// unexpected property is.
    fn phrase(&self) -> String {
        let phrase = match (self.pointer.is_empty(), self.says.starts_with("unexpected")) {
            (true, false) => self.says.clone(),
            (true, true) => format!("at root: {}", self.says),
            (false, _) => format!("at {}: {}", self.pointer, self.says),
        };
        visible(&phrase)
    }
}

/// What is wrong so far, and how it is worded.
pub(super) struct Violations {
    wording: SchemaWording,
    found: Vec<Violation>,
}

impl Violations {
    pub(super) fn new(wording: SchemaWording) -> Self {
        Violations {
            wording,
            found: Vec::new(),
        }
    }

    /// Where the first is.
    pub(super) fn first_pointer(&self) -> Option<&str> {
        self.found.first().map(|violation| &*violation.pointer)
    }

    /// All of them, as in a reply.
    pub(super) fn phrase(&self) -> String {
        let phrases: Vec<String> = self.found.iter().map(Violation::phrase).collect();
        phrases.join("; ")
    }

    pub(super) fn add(&mut self, at: &Path<'_>, says: impl Into<String>) {
        if self.found.len() < MOST_VIOLATIONS {
            self.found.push(Violation {
                pointer: at.pointer(),
                says: says.into(),
            });
        }
    }

    /// A text that is too short or too long: `must NOT have …`.
    fn add_length(&mut self, at: &Path<'_>, what: &str) {
        let not = match self.wording {
            SchemaWording::Constants | SchemaWording::Enumerated => "NOT",
            SchemaWording::Plain => "not",
        };
        self.add(at, format!("must {not} have {what}"));
    }

    /// A word that is not listed.
    fn add_unlisted(&mut self, at: &Path<'_>) {
        match self.wording {
            SchemaWording::Constants => {
                self.add(at, "must be equal to constant");
                self.add(at, "must match a schema in anyOf");
            }
            SchemaWording::Enumerated | SchemaWording::Plain => {
                self.add(at, "must be equal to one of the allowed values");
            }
        }
    }
}

/// Where in the value a check is: written out only when something is wrong.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// The value itself.
    Root,
    /// A property of an object.
    Property(&'a Path<'a>, &'a str),
    /// An element of an array.
    Element(&'a Path<'a>, usize),
}

impl Path<'_> {
    fn pointer(&self) -> String {
        match self {
            Path::Root => String::new(),
            Path::Property(parent, name) => {
                format!(
                    "{}/{}",
                    parent.pointer(),
                    name.replace('~', "~0").replace('/', "~1")
                )
            }
            Path::Element(parent, at) => format!("{}/{at}", parent.pointer()),
        }
    }
}

/// An object whose properties are all known, with the path to it.
#[derive(Clone, Copy)]
pub(super) struct Object<'a, 'p> {
    map: &'a Map<String, Value>,
    path: &'p Path<'p>,
    known: &'p [&'static str],
}

impl<'a, 'p> Object<'a, 'p> {
    /// Takes a closed object: `required` must be there, nothing beyond `known` may.
    pub(super) fn closed(
        value: &'a Value,
        path: &'p Path<'p>,
        required: &[&str],
        known: &'p [&'static str],
        wrong: &mut Violations,
    ) -> Option<Self> {
        let Value::Object(map) = value else {
            wrong.add(path, "must be object");
            return None;
        };
        for name in required.iter().filter(|name| !map.contains_key(**name)) {
            wrong.add(path, format!("must have required property '{name}'"));
        }
        for name in map.keys().filter(|name| !known.contains(&name.as_str())) {
            wrong.add(path, format!("unexpected property '{name}'"));
        }
        Some(Object { map, path, known })
    }

    /// A property as it is; one that is not known is wrong already, and not looked at.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|_| self.known.contains(&name))
    }

    /// The path to a property.
    fn at(&self, name: &'static str) -> Path<'p> {
        Path::Property(self.path, name)
    }

    /// A string; `None` when it is absent or wrong.
    pub(super) fn text(&self, name: &'static str, wrong: &mut Violations) -> Option<&'a str> {
        let value = self.value(name)?;
        if !value.is_string() {
            wrong.add(&self.at(name), "must be string");
        }
        value.as_str()
    }

    /// A string of `1..=most` characters.
    pub(super) fn short(
        &self,
        name: &'static str,
        most: usize,
        wrong: &mut Violations,
    ) -> Option<&'a str> {
        let text = self.text(name, wrong)?;
        not_empty(text, &self.at(name), wrong);
        if text.chars().nth(most).is_some() {
            wrong.add_length(&self.at(name), &format!("more than {most} characters"));
        }
        Some(text)
    }

    /// A string that is not empty.
    pub(super) fn name(&self, name: &'static str, wrong: &mut Violations) -> Option<&'a str> {
        let text = self.text(name, wrong)?;
        not_empty(text, &self.at(name), wrong);
        Some(text)
    }

    /// A word of a closed vocabulary.
    pub(super) fn word<T>(
        &self,
        name: &'static str,
        parse: impl Fn(&str) -> Option<T>,
        wrong: &mut Violations,
    ) -> Option<T> {
        let value = self.value(name)?;
        let word = value.as_str().and_then(parse);
        if word.is_none() {
            wrong.add_unlisted(&self.at(name));
        }
        word
    }

    /// An integer that is not below `least`; one too large to hold is the largest that is.
    /// `3.0` is an integer, as it is to the protocol.
    pub(super) fn integer(
        &self,
        name: &'static str,
        least: u64,
        wrong: &mut Violations,
    ) -> Option<u64> {
        let value = self.value(name)?;
        let number = value.as_f64().filter(|number| number.fract() == 0.0);
        let Some(number) = number else {
            wrong.add(&self.at(name), "must be integer");
            return None;
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast saturates, which is what is promised"
        )]
        let integer = value.as_u64().unwrap_or(number as u64);
        if number < 0.0 || integer < least {
            wrong.add(&self.at(name), format!("must be >= {least}"));
            return None;
        }
        Some(integer)
    }

    /// An array of strings that are not empty; empty when it is absent.
    pub(super) fn names(&self, name: &'static str, wrong: &mut Violations) -> Vec<Box<str>> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let path = self.at(name);
        let Value::Array(elements) = value else {
            wrong.add(&path, "must be array");
            return Vec::new();
        };
        let mut names = Vec::with_capacity(elements.len());
        for (at, element) in elements.iter().enumerate() {
            let Some(text) = element.as_str() else {
                wrong.add(&Path::Element(&path, at), "must be string");
                continue;
            };
            not_empty(text, &Path::Element(&path, at), wrong);
            names.push(text.into());
        }
        names
    }

    /// The same, of no more than so many.
    pub(super) fn few_names(
        &self,
        name: &'static str,
        most: usize,
        wrong: &mut Violations,
    ) -> Vec<Box<str>> {
        let elements = self.value(name).and_then(Value::as_array);
        if elements.is_some_and(|elements| elements.len() > most) {
            wrong.add_length(&self.at(name), &format!("more than {most} items"));
            return Vec::new();
        }
        self.names(name, wrong)
    }

    /// Whether each property of an object is a flag; an absent object is fine.
    pub(super) fn flags(&self, name: &'static str, wrong: &mut Violations) {
        let Some(value) = self.value(name) else {
            return;
        };
        let path = self.at(name);
        let Value::Object(map) = value else {
            wrong.add(&path, "must be object");
            return;
        };
        for (key, _) in map.iter().filter(|(_, value)| !value.is_boolean()) {
            wrong.add(&Path::Property(&path, key), "must be boolean");
        }
    }

    /// Whether a property is an object, whatever is in it; an absent one is fine.
    pub(super) fn any_object(&self, name: &'static str, wrong: &mut Violations) {
        if self.value(name).is_some_and(|value| !value.is_object()) {
            wrong.add(&self.at(name), "must be object");
        }
    }
}

fn not_empty(text: &str, path: &Path<'_>, wrong: &mut Violations) {
    if text.is_empty() {
        wrong.add_length(path, "fewer than 1 characters");
    }
}
