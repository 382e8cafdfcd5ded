//! A configuration's text with its secrets covered, for showing where it is wrong.
//!
//! Each covered byte is a `*`, so that places stay where they are. What a known key of another
//! kind holds is left, and so is a port or an address under a name that is nearly such a key; what
//! stands anywhere else may be a secret in the wrong place. Comments are
//! left out: people keep old secrets in them.

use std::ops::Range;

use serde_json::{Map, Value as Json};

use super::document::{Node, Shape, switch};
use super::keys::{self, KEYS, Kind};
use super::values::{is_path, is_variable, tells_secret};
use crate::diagnostic::suggest::nearest;
use crate::facts::address::parse_network;
use crate::settings::Compatibility;

/// What is shorter is no secret, where another kind of value belongs: a mode of authentication is
/// the one that a secret is written for by mistake.
const SHORT: usize = 12;

/// The text with its secrets covered; of a text that could not be read only known names are left.
pub(super) fn covered(text: &str, root: Option<&Node>) -> String {
    cover(text, root, None)
}

/// The same for a file of constants: any other file could be named in its place.
pub(super) fn covered_constants(text: &str, root: Option<&Node>) -> String {
    cover(text, root, Some(&constants()))
}

fn constants() -> Json {
    serde_json::to_value(Compatibility::default()).unwrap_or_default()
}

fn cover(text: &str, root: Option<&Node>, known: Option<&Json>) -> String {
    let Some(root) = root else {
        return text.split_inclusive('\n').map(unread).collect();
    };
    let mut cover = Cover::default();
    cover.walk("", root, known);
    cover.kept.sort_by_key(|range| range.start);
    let mut shown = String::with_capacity(text.len());
    let mut comment = false;
    for (at, character) in text.char_indices() {
        let inside = |ranges: &[Range<usize>]| {
            let before = ranges.partition_point(|range| range.start <= at);
            before
                .checked_sub(1)
                .and_then(|last| ranges.get(last))
                .is_some_and(|range| range.contains(&at))
        };
        let scalar = inside(&cover.kept);
        comment = (comment || (character == '#' && !scalar && !inside(&cover.hidden)))
            && character != '\n';
        let hidden = inside(&cover.hidden) && !character.is_whitespace();
        match (comment, hidden) {
            (true, _) => shown.push_str(&" ".repeat(character.len_utf8())),
            (false, true) => shown.push_str(&"*".repeat(character.len_utf8())),
            (false, false) => shown.push(character),
        }
    }
    shown
}

#[derive(Default)]
struct Cover {
    /// Scalars and names that are shown, in the order of the text.
    kept: Vec<Range<usize>>,
    /// Scalars that are not.
    hidden: Vec<Range<usize>>,
}

impl Cover {
    /// Goes through a value of the configuration, or of the constants that are known.
    fn walk(&mut self, path: &str, node: &Node, known: Option<&Json>) {
        match &node.shape {
            Shape::Nothing => {}
            Shape::List(list) => {
                for node in list {
                    self.walk(path, node, known);
                }
            }
            Shape::Map(map) => {
                for (name, node) in map {
                    self.kept.push(name.range.clone());
                    if let Some(known) = known {
                        // What is no constant may be anything.
                        let none = Json::Object(Map::new());
                        let below = known.get(&name.text).unwrap_or(&none);
                        self.walk("", node, Some(below));
                        continue;
                    }
                    let below = match path {
                        "" => name.text.clone(),
                        _ => format!("{path}.{}", name.text),
                    };
                    let named = keys::find(&below).map(|key| key.kind);
                    let map = matches!(node.shape, Shape::Map(_));
                    let own = (map && matches!(named, Some(Kind::Constants))).then(constants);
                    self.walk(&below, node, own.as_ref());
                }
            }
            Shape::Scalar { text, .. } => {
                let harmless =
                    known.map_or_else(|| harmless(path, text), |known| !known.is_object());
                let shown = harmless && !tells_secret(text);
                let ranges = if shown {
                    &mut self.kept
                } else {
                    &mut self.hidden
                };
                ranges.push(node.range.clone());
            }
        }
    }
}

/// Whether a value may be shown.
fn harmless(path: &str, text: &str) -> bool {
    match keys::find(path).map(|key| key.kind) {
        Some(Kind::Secret) => false,
        Some(Kind::Word(words)) => {
            nearest(text, words.iter().map(|word| word.name)).is_some()
                || text.len() < SHORT && path != "auth.mode"
                || parse_network(text).is_some()
        }
        Some(Kind::Switch | Kind::Number { .. }) => text.len() < SHORT,
        Some(_) => true,
        None => match path.rsplit_once('.') {
            _ if meant(path).is_some_and(|kind| is_of(kind, text)) => true,
            Some((key, "env")) => {
                is_secret(key)
                    && is_variable(text)
                    && !text.contains(|c: char| c.is_ascii_lowercase())
            }
            Some((key, "file")) => is_secret(key) && is_path(text),
            Some(_) | None => path == "tls" && text == "off",
        },
    }
}

/// The kind of the key that a name without a meaning was probably meant for; nothing where that may
/// have been a secret.
fn meant(path: &str) -> Option<Kind> {
    let (group, name) = path.rsplit_once('.').unwrap_or(("", path));
    let known = keys::below(group);
    let elsewhere = KEYS
        .iter()
        .find(|key| key.path.rsplit('.').next() == Some(name));
    let key = match elsewhere {
        Some(key) => key,
        None => {
            let near = nearest(name, known.iter().copied())?;
            let path = match group {
                "" => near.to_owned(),
                group => format!("{group}.{near}"),
            };
            keys::find(&path)?
        }
    };
    Some(key.kind)
}

/// Whether a text is plainly of a kind, and no secret.
fn is_of(kind: Kind, text: &str) -> bool {
    match kind {
        Kind::Switch => switch(text).is_some(),
        Kind::Number { .. } => text.len() < SHORT && text.bytes().all(|byte| byte.is_ascii_digit()),
        Kind::Word(words) => words.iter().any(|word| word.name == text),
        Kind::Addresses | Kind::Networks => parse_network(text).is_some(),
        Kind::Policy => text.ends_with(".policy"),
        Kind::File
        | Kind::SwitchOrFile
        | Kind::Text
        | Kind::Texts
        | Kind::Origins
        | Kind::Secret
        | Kind::Constants => false,
    }
}

fn is_secret(path: &str) -> bool {
    matches!(keys::find(path).map(|key| key.kind), Some(Kind::Secret))
}

/// A line of which only a known name at its beginning is left.
fn unread(line: &str) -> String {
    let begins = line
        .find(|c: char| !c.is_whitespace() && c != '-')
        .unwrap_or(line.len());
    let (lead, rest) = line.split_at(begins);
    let named = rest.split_once(':').filter(|(name, _)| {
        KEYS.iter()
            .any(|key| key.path.split('.').any(|step| step == *name))
    });
    let kept = named.map_or(0, |(name, _)| name.len() + 1);
    let (name, value) = rest.split_at(kept);
    let covered = value.chars().map(|character| {
        if character.is_whitespace() {
            character.to_string()
        } else {
            "*".repeat(character.len_utf8())
        }
    });
    format!("{lead}{name}{}", covered.collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::document::parse;
    use super::*;

    #[test]
    fn secrets_are_covered_wherever_they_stand() {
        let text = "\
auth: # token: s3cret
  mode: tokn
  token: 's3cret # é'
  tokn: s3cret
  password: { env: GW_PASSWORD, file: password, other: s3cret }
  pasword: { file: s3cret }
trustedProxies: [10.0.0.1, 'https://u:s3cret@x']
token: s3cret
log: s3cret
upstream: { kind: plan, url: 'ws://h:1' }
listen: { port: 18789, bind: lan, prot: 18789, adresses: [127.0.0.1], bnid: s3cret }
port: s3cret
polcy: my.policy
";
        let shown = "\
auth:                
  mode: tokn
  token: ******* * ***
  tokn: ******
  password: { env: GW_PASSWORD, file: password, other: ****** }
  pasword: { file: ****** }
trustedProxies: [10.0.0.1, ********************]
token: ******
log: ******
upstream: { kind: plan, url: 'ws://h:1' }
listen: { port: 18789, bind: lan, prot: 18789, adresses: [127.0.0.1], bnid: ****** }
port: ******
polcy: my.policy
";
        let covered = covered(text, parse(text).ok().as_ref());
        let tidy = |text: &str| {
            text.lines()
                .map(str::trim_end)
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(tidy(&covered), tidy(shown));
        assert_eq!(covered.len(), text.len());
    }

    #[test]
    fn constants_are_shown_and_nothing_else() {
        let text = "compatibility: { helloAuth: all, hello: s3cret, pairing: s3cret }";
        let shown = "compatibility: { helloAuth: all, hello: ******, pairing: ****** }";
        assert_eq!(covered(text, parse(text).ok().as_ref()), shown);
        let text = "s3cret";
        assert_eq!(covered_constants(text, parse(text).ok().as_ref()), "******");
    }

    #[test]
    fn of_a_broken_text_only_names_are_left() {
        let text = "auth:\n  token: \"s3cret\n  s3cret: 1\n";
        assert_eq!(
            covered(text, None),
            "auth:\n  token: *******\n  ******* *\n"
        );
    }

    proptest! {
        #[test]
        fn any_text_keeps_its_length(text in "[\\[\\]{}:,\"'#a1é \\n-]{0,60}") {
            let root = parse(&text).ok();
            prop_assert_eq!(covered(&text, root.as_ref()).len(), text.len());
            prop_assert_eq!(covered(&text, None).len(), text.len());
        }
    }
}
