//! A YAML text as a tree that knows its places.
//!
//! A configuration is data: one document, without anchors, aliases and tags, so that what stands
//! in a place is all there is to it. What a value must be is not here: see `read`.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// How deep a text may be nested; a configuration needs six.
const DEEPEST: usize = 32;

/// A value with the bytes it was written at.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) range: Range<usize>,
    pub(super) shape: Shape,
}

/// What a value looks like.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// Nothing, `~` or `null`.
    Nothing,
    /// A text, a number or a word.
    Scalar { text: String, quoted: bool },
    /// A list.
    List(Vec<Node>),
    /// Names with values, in the order of the text; a name may stand there twice.
    Map(Vec<(Name, Node)>),
}

/// The name of a value in a map.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) range: Range<usize>,
}

/// Why a text is no such tree.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) message: String,
    pub(super) help: Option<&'static str>,
    pub(super) range: Range<usize>,
}

impl Node {
    /// The switch that it is.
    pub(super) fn switch(&self) -> Option<bool> {
        match &self.shape {
            Shape::Scalar {
                text,
                quoted: false,
            } => switch(text),
            Shape::Nothing | Shape::Scalar { .. } | Shape::List(_) | Shape::Map(_) => None,
        }
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.shape {
            Shape::Nothing => "nothing",
            Shape::List(_) => "a list",
            Shape::Map(_) => "a group of names",
            Shape::Scalar { quoted: true, .. } => "a text",
            Shape::Scalar { text, .. } if switch(text).is_some() => "a switch",
            Shape::Scalar { text, .. } if text.parse::<i64>().is_ok() => "a number",
            Shape::Scalar { .. } => "a text",
        }
    }
}

/// `true` or `false`, as YAML 1.2 spells them.
pub(super) fn switch(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Reads a text; an empty one is a map without names.
pub(super) fn parse(text: &str) -> Result<Node, Broken> {
    let places = Places::of(text);
    let mut open: Vec<Open> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = places.byte(error.marker().index());
            Broken {
                message: format!("this is not YAML: {}", plain(error.info())),
                help: help(text, at),
                range: at..end_of_character(text, at),
            }
        })?;
        let range = places.byte(span.start.index())..places.byte(span.end.index());
        let broken = |message: &str, help| Broken {
            message: message.to_owned(),
            help: Some(help),
            range: range.clone(),
        };
        let done = match event {
            Event::DocumentStart(_) if root.is_some() => {
                return Err(broken("a second document begins here", "remove the `---`"));
            }
            Event::Alias(_) => {
                return Err(broken("an alias stands here", "write the value itself"));
            }
            Event::Scalar(_, _, anchor, tag) if anchor > 0 || tag.is_some() => {
                return Err(broken(ANCHOR, PLAINLY));
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                if anchor > 0 || tag.is_some() =>
            {
                return Err(broken(ANCHOR, PLAINLY));
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= DEEPEST => {
                return Err(broken(
                    "this is nested too deeply",
                    "check the indentation and the brackets",
                ));
            }
            Event::SequenceStart(..) => {
                open.push(Open::list(range.start));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::map(range.start));
                None
            }
            Event::Scalar(text, style, ..) => {
                let quoted = style != ScalarStyle::Plain;
                let nothing = !quoted && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let shape = if nothing {
                    Shape::Nothing
                } else {
                    Shape::Scalar {
                        text: text.into_owned(),
                        quoted,
                    }
                };
                Some(Node { range, shape })
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(|open| open.close(range.end)),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => None,
        };
        let Some(node) = done else { continue };
        match open.last_mut() {
            Some(parent) => parent.take(node)?,
            None => root = Some(node),
        }
    }
    Ok(root.unwrap_or(Node {
        range: 0..0,
        shape: Shape::Nothing,
    }))
}

const ANCHOR: &str = "an anchor or a tag stands here";
const PLAINLY: &str = "write the value without it";

/// A list or map that is not closed yet.
struct Open {
    start: usize,
    shape: Shape,
    name: Option<Name>,
}

impl Open {
    fn list(start: usize) -> Self {
        Open {
            start,
            shape: Shape::List(Vec::new()),
            name: None,
        }
    }

    fn map(start: usize) -> Self {
        Open {
            start,
            shape: Shape::Map(Vec::new()),
            name: None,
        }
    }

    /// Takes the next element, or the next name or value.
    fn take(&mut self, node: Node) -> Result<(), Broken> {
        match (&mut self.shape, self.name.take()) {
            (Shape::List(list), _) => list.push(node),
            (Shape::Map(map), Some(name)) => map.push((name, node)),
            (Shape::Map(_), None) => match node.shape {
                Shape::Scalar { text, .. } => {
                    self.name = Some(Name {
                        text,
                        range: node.range,
                    });
                }
                Shape::Nothing | Shape::List(_) | Shape::Map(_) => {
                    return Err(Broken {
                        message: "this is no name".to_owned(),
                        help: Some("write `name: value`"),
                        range: node.range,
                    });
                }
            },
            (Shape::Nothing | Shape::Scalar { .. }, _) => {}
        }
        Ok(())
    }

    fn close(self, end: usize) -> Node {
        Node {
            range: self.start..end.max(self.start),
            shape: self.shape,
        }
    }
}

/// The bytes of a text by the number of their character.
struct Places(Vec<usize>);

impl Places {
    fn of(text: &str) -> Self {
        let starts = text.char_indices().map(|(at, _)| at);
        Places(starts.chain([text.len()]).collect())
    }

    fn byte(&self, character: usize) -> usize {
        let last = self.0.last().copied().unwrap_or(0);
        self.0.get(character).copied().unwrap_or(last)
    }
}

fn end_of_character(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.chars().next().map_or(0, char::len_utf8)
}

/// What the parser says, without what it quotes from the text: that may be a secret.
fn plain(said: &str) -> &str {
    said.split(['\'', '"', '`', '\n'])
        .next()
        .unwrap_or(said)
        .trim_end_matches([' ', ':', ','])
}

fn help(text: &str, at: usize) -> Option<&'static str> {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let rest = text.get(at..).unwrap_or_default();
    let tab = line.contains('\t') || rest.starts_with('\t');
    tab.then_some("indent with spaces: YAML takes no tabs")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, node: &Node) -> String {
        match &node.shape {
            Shape::Nothing => "-".to_owned(),
            Shape::Scalar {
                text: value,
                quoted,
            } => {
                let written = &text[node.range.clone()];
                assert!(*quoted || written == value, "{written} {value}");
                value.clone()
            }
            Shape::List(list) => {
                let list: Vec<String> = list.iter().map(|node| shown(text, node)).collect();
                format!("[{}]", list.join(" "))
            }
            Shape::Map(map) => {
                let map = map.iter().map(|(name, node)| {
                    assert_eq!(&text[name.range.clone()], name.text);
                    format!("{}={}", name.text, shown(text, node))
                });
                format!("{{{}}}", map.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn values_know_their_places() {
        for (text, tree) in [
            ("", "-"),
            (
                "# é\na: é1\nb: [x, 'y']\nc:\n  d: ~\n  e:\n",
                "{a=é1 b=[x y] c={d=- e=-}}",
            ),
            ("\u{feff}a: 1\r\nb: [é, x]\r\n", "{a=1 b=[é x]}"),
            ("{a: {b: 1}, a: 2}", "{a={b=1} a=2}"),
            ("a: no\nb: \"null\"", "{a=no b=null}"),
        ] {
            assert_eq!(shown(text, &parse(text).unwrap()), tree, "{text}");
        }
    }

    #[test]
    fn what_is_more_than_data_is_refused() {
        let deep = "[".repeat(40);
        for (text, message) in [
            ("a: &x 1\nb: *x", "an anchor or a tag stands here"),
            ("a: !!str 1", "an anchor or a tag stands here"),
            (
                "a: *x",
                "this is not YAML: while parsing node, found unknown anchor",
            ),
            ("a: 1\n---\nb: 1", "a second document begins here"),
            ("? [a]\n: b", "this is no name"),
            (&deep, "this is nested too deeply"),
        ] {
            assert_eq!(parse(text).unwrap_err().message, message, "{text}");
        }
        let tab = parse("a:\n\tb: 1").unwrap_err();
        assert!(tab.help.is_some(), "{tab:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[\\[\\]{}:,\"'#&*!|>?a1é \\n\\t-]{0,60}") {
            match parse(&text) {
                Ok(node) => prop_assert!(text.get(node.range).is_some()),
                Err(broken) => prop_assert!(text.get(broken.range).is_some()),
            }
        }
    }
}
