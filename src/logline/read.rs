//! Finding a line in what was pasted: without colours, and with what JSON in it says as keys.

use serde_json::{Deserializer, Value};

/// How long a line may be that is looked at, in bytes: header values in it are cut at 300
/// characters.
const MAX_LINE: usize = 64 * 1024;

/// How deep JSON in JSON is looked into.
const MAX_DEPTH: usize = 4;

/// The keys that a value ends before.
const KEYS: &[&str] = &[
    "auth",
    "authMethod",
    "authMode",
    "authProvided",
    "authReason",
    "cause",
    "claimedDeviceFamily",
    "claimedPlatform",
    "client",
    "clientDisplayName",
    "clientId",
    "code",
    "conn",
    "device",
    "deviceId",
    "durationMs",
    "fwd",
    "guidance",
    "handshake",
    "host",
    "instance",
    "ip",
    "lastFrameId",
    "lastFrameMethod",
    "lastFrameType",
    "mode",
    "origin",
    "payload",
    "peer",
    "pinnedDeviceFamily",
    "pinnedPlatform",
    "platform",
    "reason",
    "remote",
    "remoteAddr",
    "requestId",
    "role",
    "roleFrom",
    "roleTo",
    "scopes",
    "scopesFrom",
    "scopesTo",
    "suppressed",
    "ua",
    "user",
    "version",
];

/// How the keys of a line lie to what a client wrote in it: header values and names stand there as
/// they were sent, and may look like keys themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// The first key at which something stands that the client wrote; of the keys before it the
    /// first one counts.
    pub(super) from_client: &'static str,
    /// The keys behind all that the client wrote: the last one counts.
    pub(super) tail: &'static [&'static str],
}

/// A line, read.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Its text, without colours and JSON.
    pub(super) text: String,
    keys: Vec<(&'static str, String)>,
    /// What JSON beside the text says.
    beside: Vec<(String, String)>,
}

impl Line {
    /// What stands at a key of the text; nothing where it says that there is nothing.
    pub(super) fn key(&self, name: &str) -> Option<&str> {
        let found = self.keys.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| &**value).filter(|it| !is_none(it))
    }

    /// Whether the text has a key, with a value or without.
    pub(super) fn has(&self, name: &str) -> bool {
        self.keys.iter().any(|(key, _)| *key == name)
    }

    /// Reads the keys from a place of the text on. A key between others that a client wrote, and
    /// that stands there twice with different values, is left out: nobody knows which is the
    /// gateway's.
    pub(super) fn lay_out(&mut self, from: usize, layout: Layout) {
        let all = keys(self.text.get(from..).unwrap_or(""));
        let sent = all.iter().position(|(name, _)| *name == layout.from_client);
        self.keys.clear();
        for (at, (name, value)) in all.iter().enumerate() {
            if self.has(name) {
                continue;
            }
            let mut others = all.iter().filter(|(other, _)| other == name);
            if layout.tail.contains(name) {
                let last = others.next_back().map_or(value, |(_, value)| value);
                self.keys.push((*name, last.clone()));
            } else if sent.is_none_or(|sent| at <= sent) || others.all(|(_, it)| it == value) {
                self.keys.push((*name, value.clone()));
            }
        }
    }

    /// What stands at a key of the JSON beside the text.
    pub(super) fn beside(&self, name: &str) -> Option<&str> {
        let found = self.beside.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| &**value).filter(|it| !is_none(it))
    }
}

/// Whether a value says that there is none.
pub(super) fn is_none(value: &str) -> bool {
    matches!(
        value,
        "" | "n/a" | "?" | "<none>" | "unknown" | "unknown-ip" | "undefined"
    )
}

/// The lines of a text.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line> {
    text.lines()
        .filter(|line| line.len() <= MAX_LINE)
        .map(|line| {
            let mut read = Line::default();
            take_in(&plain(line), &mut read, 0);
            read
        })
}

/// A line without colours: also of those whose escape character was lost in copying.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = colour(rest) {
            rest = after;
            continue;
        }
        if !next.is_control() {
            out.push(next);
        } else {
            out.push(' ');
        }
        rest = rest.get(next.len_utf8()..).unwrap_or("");
    }
    out
}

/// What follows a colour at the beginning of a text, if there is one.
fn colour(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('\u{1b}').unwrap_or(text);
    let inside = rest.strip_prefix('[')?;
    let end = inside.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let after = inside.get(end..)?.strip_prefix('m')?;
    (end > 0 || rest.len() < text.len()).then_some(after)
}

/// Takes in a text: JSON objects in it become keys, what they hold as text becomes text.
fn take_in(text: &str, line: &mut Line, depth: usize) {
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, json) = rest.split_at(at);
        line.text.push_str(before);
        let mut values = Deserializer::from_str(json).into_iter::<Value>();
        match values.next() {
            Some(Ok(value @ Value::Object(_))) if depth < MAX_DEPTH => {
                rest = json.get(values.byte_offset()..).unwrap_or("");
                line.text.push(' ');
                take_in_json("", &value, line, depth + 1);
                line.text.push(' ');
            }
            _ => {
                line.text.push('{');
                rest = json.get(1..).unwrap_or("");
            }
        }
    }
    line.text.push_str(rest);
}

fn take_in_json(name: &str, value: &Value, line: &mut Line, depth: usize) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| *name != "_meta") {
                take_in_json(name, value, line, depth + 1);
            }
        }
        // The arguments of a call are its text.
        Value::String(text) if is_argument(name) => {
            take_in(&plain(text), line, depth);
            line.text.push(' ');
        }
        Value::String(text) => line.beside.push((name.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => {
            line.beside.push((name.to_owned(), value.to_string()));
        }
        Value::Array(_) | Value::Null => {}
    }
}

fn is_argument(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_digit()) || matches!(name, "message" | "msg" | "raw" | "log")
}

/// The keys of a text with what stands between each and the next. What is quoted holds none.
fn keys(text: &str) -> Vec<(&'static str, String)> {
    let quoted = quoted(text);
    let mut places: Vec<(usize, usize, &'static str)> = Vec::new();
    for (at, _) in text.match_indices('=') {
        if quoted.iter().any(|(from, to)| (*from..*to).contains(&at)) {
            continue;
        }
        let before = text.get(..at).unwrap_or("");
        let start = before
            .rfind(|c: char| !c.is_ascii_alphanumeric())
            .map_or(0, |place| {
                place
                    + before
                        .get(place..)
                        .and_then(|it| it.chars().next())
                        .map_or(1, char::len_utf8)
            });
        let name = before.get(start..).unwrap_or("");
        let stands_alone = start == 0
            || before
                .get(..start)
                .is_some_and(|it| it.ends_with([' ', '(', ',']));
        if stands_alone && let Some(known) = KEYS.iter().find(|known| **known == name) {
            places.push((start, at + 1, known));
        }
    }
    let ends = places.iter().skip(1).map(|(start, ..)| *start);
    let ends = ends.chain(std::iter::once(text.len())).collect::<Vec<_>>();
    let value = |((_, from, name), end): (&(usize, usize, &'static str), &usize)| {
        let value = text.get(*from..*end).unwrap_or("").trim();
        let value = value.trim_end_matches(',');
        let inside = QUOTES.iter().find_map(|quote| {
            let inside = value.strip_prefix(*quote)?.strip_suffix(*quote)?;
            Some(inside).filter(|it| !it.contains(*quote))
        });
        (*name, inside.unwrap_or(value).to_owned())
    };
    places.iter().zip(&ends).map(value).collect()
}

/// What text is quoted by.
const QUOTES: [char; 2] = ['"', '\''];

/// What is quoted, from the first quote to behind the last: a quote opens behind a space, a key or a
/// bracket, and closes before the next of those. One that is never closed is a character like others.
fn quoted(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text.get(from..).and_then(|rest| rest.find(QUOTES)) {
        let open = from + at;
        from = open + 1;
        let opens = text
            .get(..open)
            .is_some_and(|it| it.is_empty() || it.ends_with([' ', '=', '(', '[', ',', ':']));
        let quote = text.get(open..from).unwrap_or("");
        let rest = text.get(from..).unwrap_or("");
        let closing = rest.match_indices(quote).find(|(at, _)| {
            let is_escaped = rest.get(..*at).is_some_and(|it| it.ends_with('\\'));
            let behind = rest.get(at + 1..).unwrap_or("");
            let closes = behind.is_empty() || behind.starts_with([' ', ')', ']', ',', '.', ';']);
            closes && !is_escaped
        });
        if let Some((at, _)) = closing.filter(|_| opens) {
            let end = from + at + 1;
            found.push((open, end));
            from = end;
        }
    }
    found
}

/// Where a text has some words outside of what is quoted; if only inside, there.
pub(super) fn place(text: &str, words: &str) -> Option<usize> {
    let quoted = quoted(text);
    let is_quoted = |at: &usize| quoted.iter().any(|(from, to)| (*from..*to).contains(at));
    let mut places = text.match_indices(words).map(|(at, _)| at);
    let first = places.clone().next();
    places.find(|at| !is_quoted(at)).or(first)
}
