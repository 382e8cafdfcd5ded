//! What a configuration gives: a checked value for a key, with its place.
//!
//! Names, types, words and ranges are held against the table here, all of them in one run. What
//! values mean together is not here: see `assembly`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::document::{Name, Node, Shape, switch};
use super::keys::{self, GROUPS, KEYS, Key, Kind};
use super::strength::SHORTEST;
use crate::diagnostic::suggest::did_you_mean;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::facts::Word;
use crate::facts::address::{parse_literal, parse_network};
use crate::facts::origin::AllowedOrigins;
use crate::secret::Secret;
use crate::source::{SourceId, Span};

/// What is said of a level that OpenClaw's configurations have, and its messages name.
const OPENCLAWS_LEVEL: &str = "leave this level of OpenClaw's out: what stands in it there stands at the top \
     here, so that its `gateway.controlUi.allowedOrigins` is `controlUi.allowedOrigins`";

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The configuration.
    File(Span),
    /// A flag of the command line.
    Flag(&'static str),
}

/// A value that is of its key's kind.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Switch(bool),
    Number(u64),
    Text(String),
    Texts(Vec<(String, Place)>),
    Secret(Written),
    Constants(Node),
}

impl Value {
    /// The text that it is.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Switch(_)
            | Value::Number(_)
            | Value::Texts(_)
            | Value::Secret(_)
            | Value::Constants(_) => None,
        }
    }
}

/// A secret as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The text itself.
    Inline(Secret),
    /// A file that holds it.
    File(String),
    /// A variable of the environment that holds it.
    Variable(String),
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// The values that are given, by key.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    given: BTreeMap<&'static str, Given>,
    /// Keys that stand there with a value that is none: that is told already.
    wrong: BTreeSet<&'static str>,
}

/// Where values come from, by key.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(BTreeMap<&'static str, Place>);

impl Places {
    pub(super) fn get(&self, path: &str) -> Option<Place> {
        self.0.get(path).copied()
    }
}

impl Values {
    /// Where what is given comes from.
    pub(super) fn places(&self) -> Places {
        let given = self.given.iter();
        Places(given.map(|(path, given)| (*path, given.place)).collect())
    }

    pub(super) fn get(&self, path: &str) -> Option<&Given> {
        self.given.get(path)
    }

    pub(super) fn put(&mut self, path: &'static str, value: Value, place: Place) {
        self.given.insert(path, Given { value, place });
    }

    /// Takes away what is given for a key, or for all keys of a group.
    pub(super) fn remove(&mut self, path: &str) {
        self.given.retain(|known, _| !within(known, path));
    }

    /// Whether something is given for a key, or for a key of a group.
    pub(super) fn has(&self, path: &str) -> bool {
        self.given.keys().any(|known| within(known, path))
    }

    /// Whether a key stands there, with a good value or a wrong one.
    pub(super) fn mentions(&self, path: &str) -> bool {
        self.given.contains_key(path) || self.wrong.contains(path)
    }

    /// A switch, or its default.
    pub(super) fn switch(&self, path: &str) -> bool {
        match self.get(path).map(|given| &given.value) {
            Some(Value::Switch(on)) => *on,
            _ => default(path) == "true",
        }
    }

    /// A number, or its default.
    pub(super) fn number(&self, path: &str) -> u64 {
        match self.get(path).map(|given| &given.value) {
            Some(Value::Number(number)) => *number,
            _ => default(path).parse().unwrap_or(0),
        }
    }

    /// A text, or its default.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        match self.get(path).map(|given| &given.value) {
            Some(Value::Text(text)) => Some(text),
            _ => Some(default(path)).filter(|text| !text.is_empty()),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, path: &str) -> &[(String, Place)] {
        match self.get(path).map(|given| &given.value) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }
}

fn within(path: &str, group: &str) -> bool {
    path.strip_prefix(group)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn default(path: &str) -> &'static str {
    keys::find(path).map_or("", |key| key.default)
}

/// Whether a text shows a secret to everyone who may see it: in a URL, where logs and histories
/// keep it.
pub(super) fn tells_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let named = ["token=", "password=", "secret=", "key="];
    let user = lower.split_once("://").is_some_and(|(_, rest)| {
        rest.split(['/', '?', '#'])
            .next()
            .is_some_and(|host| host.contains('@'))
    });
    user || named.iter().any(|name| lower.contains(name))
}

/// Reads a tree.
pub(super) fn read(root: &Node, source: SourceId) -> (Values, Diagnostics) {
    let mut reader = Reader {
        source,
        values: Values::default(),
        diagnostics: Diagnostics::default(),
    };
    reader.group("", root);
    (reader.values, reader.diagnostics)
}

struct Reader {
    source: SourceId,
    values: Values,
    diagnostics: Diagnostics,
}

impl Reader {
    fn span(&self, range: &std::ops::Range<usize>) -> Span {
        Span::new(self.source, range.clone())
    }

    fn wrong(&mut self, node: &Node, message: String, help: impl Into<Option<String>>) {
        let span = self.span(&node.range);
        let diagnostic = Diagnostic::error(Code::InvalidConfig, message).label(span, "");
        self.diagnostics.push(diagnostic.maybe_help(help.into()));
    }

    fn group(&mut self, group: &str, node: &Node) {
        match &node.shape {
            Shape::Nothing => {}
            Shape::Map(entries) => {
                let mut seen: BTreeMap<&str, &Name> = BTreeMap::new();
                for (name, node) in entries {
                    match seen.get(name.text.as_str()) {
                        Some(first) => {
                            let path = join(group, &name.text);
                            let diagnostic = Diagnostic::error(
                                Code::InvalidConfig,
                                format!("`{path}` stands here twice"),
                            )
                            .label(self.span(&name.range), "again")
                            .label(self.span(&first.range), "first")
                            .help("remove one of them");
                            self.diagnostics.push(diagnostic);
                        }
                        None => {
                            seen.insert(&name.text, name);
                            self.entry(group, name, node);
                        }
                    }
                }
            }
            Shape::Scalar { text, .. }
                if group == "tls" && matches!(text.as_str(), "off" | "false") => {}
            Shape::Scalar { .. } | Shape::List(_) if group.is_empty() => {
                let help = "write `name: value`, as `gw init` shows".to_owned();
                self.wrong(
                    node,
                    "a configuration is names with values".to_owned(),
                    help,
                );
            }
            Shape::Scalar { .. } | Shape::List(_) => {
                let names = keys::below(group);
                let message = format!(
                    "`{group}` has values of its own below it, not {}",
                    node.kind()
                );
                let help = format!("the names below it are {}", listed(&names));
                self.wrong(node, message, help);
            }
        }
    }

    fn entry(&mut self, group: &str, name: &Name, node: &Node) {
        let path = join(group, &name.text);
        if let Some(key) = keys::find(&path) {
            match self.value(key, node) {
                Some(value) => {
                    let place = Place::File(self.span(&node.range));
                    self.values.put(key.path, value, place);
                }
                None => {
                    self.values.wrong.insert(key.path);
                }
            }
        } else if GROUPS.iter().any(|(known, _)| *known == path) {
            self.group(&path, node);
        } else {
            let known = keys::below(group);
            let elsewhere = KEYS.iter().find(|key| {
                let last = key.path.rsplit('.').next();
                last == Some(name.text.as_str())
            });
            let level = (path == "gateway").then(|| OPENCLAWS_LEVEL.to_owned());
            let elsewhere = elsewhere.map(|key| format!("it stands elsewhere: `{}`", key.path));
            let help = level
                .or(elsewhere)
                .or_else(|| did_you_mean(&name.text, known.iter().copied()))
                .unwrap_or_else(|| {
                    let place = if group.is_empty() { "here" } else { "there" };
                    format!("the names that may stand {place} are {}", listed(&known))
                });
            let diagnostic =
                Diagnostic::error(Code::InvalidConfig, format!("`{path}` is no setting"))
                    .label(self.span(&name.range), "nothing has this name")
                    .help(help);
            self.diagnostics.push(diagnostic);
        }
    }

    /// The value of a key, or a diagnostic.
    fn value(&mut self, key: &Key, node: &Node) -> Option<Value> {
        let path = key.path;
        if let (Shape::Nothing, false) = (&node.shape, matches!(key.kind, Kind::Secret)) {
            let help = format!("write {}, or leave the line out", key.kind.values());
            self.wrong(node, format!("`{path}` has no value"), help);
            return None;
        }
        match key.kind {
            Kind::Secret => self.secret(path, node).map(Value::Secret),
            Kind::Constants => self.constants(path, node),
            Kind::Switch => match node.switch() {
                Some(on) => Some(Value::Switch(on)),
                None => self.mismatch(key, node, "`true` or `false`"),
            },
            Kind::Number { least, most } => self.number(key, node, least, most),
            Kind::Word(words) => {
                let text = self.scalar(key, node, "a word")?;
                if words.iter().any(|word| word.name == text) {
                    return Some(Value::Text(text));
                }
                let help = match (path, text.parse::<IpAddr>()) {
                    ("listen.bind", Ok(address)) => bind_help(address),
                    (_, _) => word_help(&text, words),
                };
                self.wrong(node, format!("this is no word of `{path}`"), help);
                None
            }
            Kind::Text => {
                let text = self.scalar(key, node, "a text")?;
                self.outside(path, node, &text)?;
                Some(Value::Text(text))
            }
            Kind::File | Kind::Policy => {
                let text = self.scalar(key, node, "a path")?;
                self.path(path, node, &text)?;
                Some(Value::Text(text))
            }
            Kind::SwitchOrFile => {
                if let Some(on) = node.switch() {
                    return Some(Value::Switch(on));
                }
                let text = self.scalar(key, node, "`true`, `false` or a path")?;
                self.path(path, node, &text)?;
                Some(Value::Text(text))
            }
            Kind::Texts => self.list(key, node, "", |_| true),
            Kind::Addresses => self.list(
                key,
                node,
                "this is no address: write it as `192.168.1.5`, without a port",
                |text| parse_literal(text).is_some(),
            ),
            Kind::Networks => self.list(
                key,
                node,
                "this is no address and no network: write `10.0.0.5` or `10.0.0.0/8`",
                |text| parse_network(text).is_some(),
            ),
            Kind::Origins => self.list(
                key,
                node,
                "this is no origin: write `scheme://host` or `scheme://host:port`, without a path",
                |text| AllowedOrigins::parse([text]).1.is_empty(),
            ),
        }
    }

    fn mismatch(&mut self, key: &Key, node: &Node, expected: &str) -> Option<Value> {
        let quoted = matches!(&node.shape, Shape::Scalar { text, quoted: true }
            if switch(text).is_some() || text.parse::<u64>().is_ok());
        let help = quoted.then(|| "write it without quotes".to_owned());
        let message = format!("`{}` takes {expected}, not {}", key.path, node.kind());
        self.wrong(node, message, help);
        None
    }

    fn number(&mut self, key: &Key, node: &Node, least: u64, most: u64) -> Option<Value> {
        let Shape::Scalar {
            text,
            quoted: false,
        } = &node.shape
        else {
            return self.mismatch(key, node, "a number");
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.mismatch(key, node, "a number");
        }
        match text.parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) => Some(Value::Number(number)),
            Ok(_) | Err(_) => {
                let message = format!("`{}` takes a number from {least} to {most}", key.path);
                let unit = ["Ms", "Bytes"]
                    .iter()
                    .find(|unit| key.path.ends_with(**unit));
                let help = unit.map(|unit| match *unit {
                    "Ms" => "the unit is milliseconds".to_owned(),
                    _ => "the unit is bytes".to_owned(),
                });
                self.wrong(node, message, help);
                None
            }
        }
    }

    /// The text of a scalar that is no switch.
    fn scalar(&mut self, key: &Key, node: &Node, expected: &str) -> Option<String> {
        if let (Shape::Scalar { text, .. }, None) = (&node.shape, node.switch()) {
            return Some(text.clone());
        }
        self.mismatch(key, node, expected);
        None
    }

    /// A text in which no secret may stand.
    fn outside(&mut self, path: &str, node: &Node, text: &str) -> Option<()> {
        if !tells_secret(text) {
            return Some(());
        }
        let span = self.span(&node.range);
        let diagnostic = Diagnostic::error(
            Code::UnsafeSecret,
            format!("`{path}` holds a secret in a URL"),
        )
        .label(span, "logs and histories would keep it")
        .help(match path.starts_with("upstream.") {
            true => {
                "remove it from the URL; the secrets are `upstream.token` and `upstream.password`"
            }
            false => "remove it from the URL; the secrets are `auth.token` and `auth.password`",
        });
        self.diagnostics.push(diagnostic);
        None
    }

    fn path(&mut self, path: &str, node: &Node, text: &str) -> Option<()> {
        self.outside(path, node, text)?;
        if text.trim().is_empty() {
            self.wrong(
                node,
                format!("`{path}` is blank"),
                "write a path".to_owned(),
            );
            return None;
        }
        if text.starts_with('~') {
            let help = "write the folder itself: only a shell knows what `~` is".to_owned();
            self.wrong(node, format!("`{path}` begins with `~`"), help);
            return None;
        }
        Some(())
    }

    fn list(
        &mut self,
        key: &Key,
        node: &Node,
        complaint: &str,
        good: impl Fn(&str) -> bool,
    ) -> Option<Value> {
        let Shape::List(items) = &node.shape else {
            let message = format!("`{}` takes a list, not {}", key.path, node.kind());
            let help = "write `[one, two]`, or each on a line of its own after `- `".to_owned();
            self.wrong(node, message, help);
            return None;
        };
        let mut texts = Vec::new();
        for item in items {
            let Some(text) = self.scalar(key, item, "texts") else {
                continue;
            };
            if self.outside(key.path, item, &text).is_none() {
                continue;
            }
            if !good(&text) {
                let (what, help) = complaint.split_once(": ").unwrap_or((complaint, ""));
                self.wrong(item, format!("`{}`: {what}", key.path), help.to_owned());
                continue;
            }
            texts.push((text, Place::File(self.span(&item.range))));
        }
        Some(Value::Texts(texts))
    }

    fn secret(&mut self, path: &'static str, node: &Node) -> Option<Written> {
        const WAYS: &str = "write `{ file: PATH }` or `{ env: NAME }`";
        match &node.shape {
            Shape::Nothing => Some(Written::Inline(Secret::new(""))),
            Shape::Scalar { text, .. } => Some(Written::Inline(Secret::new(text))),
            Shape::List(_) => {
                self.wrong(
                    node,
                    format!("`{path}` takes a text, not a list"),
                    WAYS.to_owned(),
                );
                None
            }
            Shape::Map(entries) => {
                if let Some((name, _)) = entries
                    .iter()
                    .find(|(name, _)| !matches!(name.text.as_str(), "file" | "env"))
                {
                    let help = did_you_mean(&name.text, ["file", "env"]).unwrap_or(WAYS.to_owned());
                    let message = format!("`{path}.{}` is no setting", name.text);
                    let diagnostic = Diagnostic::error(Code::InvalidConfig, message)
                        .label(self.span(&name.range), "nothing has this name")
                        .help(help);
                    self.diagnostics.push(diagnostic);
                    return None;
                }
                let [(name, value)] = entries.as_slice() else {
                    let message = format!("`{path}` says in two ways where it is, or in none");
                    self.wrong(node, message, WAYS.to_owned());
                    return None;
                };
                let Shape::Scalar { text, .. } = &value.shape else {
                    let message =
                        format!("`{path}.{}` takes a text, not {}", name.text, value.kind());
                    self.wrong(value, message, WAYS.to_owned());
                    return None;
                };
                if name.text == "file" {
                    self.path(path, value, text)?;
                    return Some(Written::File(text.clone()));
                }
                if !is_variable(text) {
                    let message = format!("`{path}.env` is no name of a variable");
                    let help =
                        "write the name only, as `GW_TOKEN`: the value stands in the environment";
                    self.wrong(value, message, help.to_owned());
                    return None;
                }
                Some(Written::Variable(text.clone()))
            }
        }
    }

    fn constants(&mut self, path: &str, node: &Node) -> Option<Value> {
        match &node.shape {
            Shape::Map(_) => Some(Value::Constants(node.clone())),
            Shape::Scalar { text, .. } => {
                self.path(path, node, text)?;
                Some(Value::Text(text.clone()))
            }
            Shape::Nothing | Shape::List(_) => {
                let message = format!("`{path}` takes a name, a path, or names with values");
                self.wrong(node, message, None);
                None
            }
        }
    }
}

/// What files of secrets are called by.
const CALLED: [&str; 4] = ["key", "password", "secret", "token"];

/// Whether a text plainly is the path of a file of a secret: anything else may be the secret itself.
pub(super) fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || matches!(c, '-' | '_');
    let called = CALLED.iter().any(|name| text.contains(name));
    text.contains(['/', '.']) || (called && text.len() < SHORTEST && text.chars().all(plain))
}

/// Whether a text can be the name of a variable.
pub(super) fn is_variable(text: &str) -> bool {
    let mut characters = text.chars();
    let begins = characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    begins && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn join(group: &str, name: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{group}.{name}")
    }
}

/// Names between backticks.
pub(super) fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// What says the same as an address in the place of a word.
fn bind_help(address: IpAddr) -> String {
    match address {
        any if any.is_unspecified() => "write `lan`: every address".to_owned(),
        one if one.is_loopback() => "write `loopback`: this host only".to_owned(),
        one => format!("write `bind: custom`, and beside it `addresses: [\"{one}\"]`"),
    }
}

fn word_help(text: &str, words: &[Word]) -> String {
    let names: Vec<&str> = words.iter().map(|word| word.name).collect();
    did_you_mean(text, names.iter().copied())
        .unwrap_or_else(|| format!("the words that may stand here are {}", listed(&names)))
}
