//! `compatibility` as names with values: each is held against the constants that there are, so
//! that every wrong one is told, with its place.

use serde_json::{Map, Value as Json};

use super::document::{Name, Node, Shape, switch};
use crate::diagnostic::suggest::did_you_mean;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::settings::Compatibility;
use crate::source::{SourceId, Span};

use super::values::listed;

/// Reads constants; what they leave out has its default.
pub(super) fn read(node: &Node, source: SourceId) -> (Compatibility, Diagnostics) {
    let known = serde_json::to_value(Compatibility::default()).unwrap_or_default();
    let mut reader = Reader {
        source,
        good: Json::Object(Map::new()),
        diagnostics: Diagnostics::default(),
    };
    reader.group(&mut Vec::new(), node, &known);
    // Each was taken by itself, so all are taken together.
    let constants = serde_json::from_value(reader.good).unwrap_or_default();
    (constants, reader.diagnostics)
}

struct Reader {
    source: SourceId,
    good: Json,
    diagnostics: Diagnostics,
}

impl Reader {
    fn wrong(&mut self, range: &std::ops::Range<usize>, message: String, help: String) {
        let diagnostic = Diagnostic::error(Code::InvalidConfig, message)
            .label(Span::new(self.source, range.clone()), "")
            .help(help);
        self.diagnostics.push(diagnostic);
    }

    fn group<'a>(&mut self, path: &mut Vec<&'a str>, node: &'a Node, known: &Json) {
        let (Shape::Map(entries), Json::Object(known)) = (&node.shape, known) else {
            let message = format!("names with values are expected here, not {}", node.kind());
            self.wrong(
                &node.range,
                message,
                "docs/settings.md lists the constants".to_owned(),
            );
            return;
        };
        let mut seen: Vec<&Name> = Vec::new();
        for (name, node) in entries {
            if seen.iter().any(|other| other.text == name.text) {
                let message = format!("`{}` stands here twice", name.text);
                self.wrong(&name.range, message, "remove one of them".to_owned());
                continue;
            }
            seen.push(name);
            let Some(usual) = known.get(&name.text) else {
                let message = format!("`{}` is no constant", name.text);
                let names = known.keys().map(String::as_str);
                let help = did_you_mean(&name.text, names)
                    .unwrap_or_else(|| "docs/settings.md lists the constants".to_owned());
                self.wrong(&name.range, message, help);
                continue;
            };
            path.push(&name.text);
            match usual {
                Json::Object(_) => self.group(path, node, usual),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                    self.leaf(path, node, usual);
                }
            }
            path.pop();
        }
    }

    fn leaf(&mut self, path: &[&str], node: &Node, usual: &Json) {
        let value = json(node);
        let mut alone = value.clone();
        for name in path.iter().rev() {
            alone = Json::Object(Map::from_iter([((*name).to_owned(), alone)]));
        }
        let Err(error) = serde_json::from_value::<Compatibility>(alone) else {
            put(&mut self.good, path, value);
            return;
        };
        let said = error.to_string();
        let words: Vec<&str> = said
            .split_once("expected ")
            .map(|(_, words)| words.split('`').skip(1).step_by(2).collect())
            .unwrap_or_default();
        let name = path.join(".");
        let (message, help) = match usual {
            Json::Bool(_) => (format!("`{name}` takes `true` or `false`"), String::new()),
            Json::Number(_) => (format!("`{name}` takes a whole number"), String::new()),
            Json::Null | Json::String(_) | Json::Array(_) | Json::Object(_) if words.is_empty() => {
                let what = if usual.is_array() { "a list" } else { "a text" };
                (
                    format!("`{name}` takes {what}, not {}", node.kind()),
                    String::new(),
                )
            }
            Json::Null | Json::String(_) | Json::Array(_) | Json::Object(_) => {
                let written = match &node.shape {
                    Shape::Scalar { text, .. } => text.as_str(),
                    Shape::Nothing | Shape::List(_) | Shape::Map(_) => "",
                };
                let help = did_you_mean(written, words.iter().copied());
                let all = || format!("the words that may stand here are {}", listed(&words));
                (
                    format!("this is no word of `{name}`"),
                    help.unwrap_or_else(all),
                )
            }
        };
        let help = if help.is_empty() {
            "docs/settings.md lists the constants".to_owned()
        } else {
            help
        };
        self.wrong(&node.range, message, help);
    }
}

/// The value as JSON, by the core schema of YAML 1.2.
fn json(node: &Node) -> Json {
    match &node.shape {
        Shape::Nothing => Json::Null,
        Shape::Scalar { text, quoted: true } => Json::from(text.as_str()),
        Shape::Scalar {
            text,
            quoted: false,
        } => switch(text)
            .map(Json::from)
            .or_else(|| text.parse::<i64>().ok().map(Json::from))
            .unwrap_or_else(|| Json::from(text.as_str())),
        Shape::List(list) => list.iter().map(json).collect(),
        Shape::Map(map) => map
            .iter()
            .map(|(name, node)| (name.text.clone(), json(node)))
            .collect(),
    }
}

fn put(into: &mut Json, path: &[&str], value: Json) {
    let Some((name, rest)) = path.split_first() else {
        *into = value;
        return;
    };
    if let Json::Object(map) = into {
        let slot = map
            .entry((*name).to_owned())
            .or_insert_with(|| Json::Object(Map::new()));
        put(slot, rest, value);
    }
}
