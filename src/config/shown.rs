//! Every key with what counts and where it comes from, secrets masked.

use std::fmt;

use super::document::Shape;
use super::keys::{KEYS, Key};
use super::values::{Given, Place, Value, Values, Written};
use super::{Config, TOKEN, Token};
use crate::source::Sources;

/// What is shown of a secret.
const HIDDEN: &str = "(hidden)";

/// A key with what counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The key.
    pub key: &'static str,
    /// What counts, as it would be written; of a secret only where it is kept.
    pub value: String,
    /// Where that comes from.
    pub from: Origin,
}

impl Shown {
    /// Whether it is a secret that stands in the configuration itself.
    #[must_use]
    pub fn is_secret_in_file(&self) -> bool {
        self.value == HIDDEN && matches!(self.from, Origin::File { .. })
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// The configuration, by the line.
    File {
        /// The line, from 1.
        line: usize,
    },
    /// A flag.
    Flag(&'static str),
    /// A variable of the environment.
    Environment(String),
}

impl Origin {
    /// The kind alone, for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::File { .. } => "file",
            Origin::Flag(_) => "flag",
            Origin::Environment(_) => "environment",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { line } => write!(f, "file, line {line}"),
            Origin::Flag(flag) => write!(f, "flag {flag}"),
            Origin::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

/// Lists every key.
pub(super) fn list(
    values: &Values,
    config: &Config,
    sources: &Sources,
    state: &Origin,
) -> Vec<Shown> {
    let one = |key: &Key| {
        let (value, from) = match values.get(key.path) {
            Some(given) => (text(given), origin(given, sources)),
            None => match key.path {
                "state" => (config.state.display().to_string(), state.clone()),
                "auth.mode" => (
                    config.settings.auth.mode().name().to_owned(),
                    Origin::Default,
                ),
                "auth.token" if config.token == Token::Generate => (
                    format!("(made at start, kept as `{TOKEN}` in the state folder)"),
                    Origin::Default,
                ),
                _ if key.default.is_empty() => ("–".to_owned(), Origin::Default),
                _ => (key.default.to_owned(), Origin::Default),
            },
        };
        Shown {
            key: key.path,
            value,
            from,
        }
    };
    KEYS.iter().map(one).collect()
}

fn origin(given: &Given, sources: &Sources) -> Origin {
    match (&given.value, given.place) {
        (Value::Secret(Written::Variable(name)), _) => Origin::Environment(name.clone()),
        (_, Place::Flag(flag)) => Origin::Flag(flag),
        (_, Place::File(span)) => Origin::File {
            line: sources
                .get(span.source)
                .map_or(0, |source| source.position(span.start).0),
        },
    }
}

fn text(given: &Given) -> String {
    match &given.value {
        Value::Switch(on) => on.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Texts(texts) => {
            let texts: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
            format!("[{}]", texts.join(", "))
        }
        Value::Secret(Written::Inline(_)) => HIDDEN.to_owned(),
        Value::Secret(Written::File(file)) => format!("(hidden, in the file {file})"),
        Value::Secret(Written::Variable(_)) => HIDDEN.to_owned(),
        Value::Constants(node) => match &node.shape {
            Shape::Map(map) => {
                let names: Vec<&str> = map.iter().map(|(name, _)| name.text.as_str()).collect();
                format!("(own: {})", names.join(", "))
            }
            Shape::Nothing | Shape::Scalar { .. } | Shape::List(_) => String::new(),
        },
    }
}
