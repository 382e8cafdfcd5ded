//! What devices are called here and behind: each id that a client sees is that of the device that
//! came in, each that the upstream sees is that of the device which was made for it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tokio_tungstenite::tungstenite::Utf8Bytes;

/// How many characters an id has: SHA-256 in hex.
const LENGTH: usize = 64;

/// Which device here is which one behind.
#[derive(Debug, Default)]
pub struct Names(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    here: HashMap<Box<str>, Box<str>>,
    behind: HashMap<Box<str>, Box<str>>,
}

impl Names {
    /// A device that came in is known behind by this id. Where `called` it is also called by it
    /// from here: nodes are.
    pub fn learn(&self, here: &str, behind: &str, called: bool) {
        if here.len() != LENGTH || behind.len() != LENGTH {
            return;
        }
        let is_known = {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            known.here.contains_key(behind) && (!called || known.behind.contains_key(here))
        };
        if is_known {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.here.insert(behind.into(), here.into());
        if called {
            known.behind.insert(here.into(), behind.into());
        }
    }

    /// A message of the upstream, in the words of here.
    #[must_use]
    pub fn told(&self, message: Utf8Bytes) -> Utf8Bytes {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        replaced(message, &known.here)
    }

    /// A message of a client, in the words of the upstream.
    #[must_use]
    pub fn asked(&self, message: Utf8Bytes) -> Utf8Bytes {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        replaced(message, &known.behind)
    }
}

/// Replaces each string of the JSON that is an id, and nothing else. Both have one length, so
/// the rest stays where it is.
fn replaced(message: Utf8Bytes, names: &HashMap<Box<str>, Box<str>>) -> Utf8Bytes {
    if names.is_empty() {
        return message;
    }
    let mut text = Cow::Borrowed(message.as_str());
    let bytes = message.as_bytes();
    let mut from = 0;
    while let Some(quote) = next_quote(bytes, from) {
        let end = quote + LENGTH;
        if bytes.get(end) != Some(&b'"') {
            from = quote;
            continue;
        }
        if let Some(name) = message.get(quote..end).and_then(|id| names.get(id)) {
            text.to_mut().replace_range(quote..end, name);
        }
        // The quote at its end may begin another one, where this was no string.
        from = end;
    }
    match text {
        Cow::Borrowed(_) => message,
        Cow::Owned(text) => text.into(),
    }
}

/// The place behind the next quotation mark.
fn next_quote(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let at = memchr::memchr(b'"', rest)?;
    Some(from + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_replaced_where_they_are_all_of_a_string() {
        let (node, behind, operator) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
        let names = Names::default();
        names.learn(&node, &behind, true);
        names.learn(&node, &operator, false);
        for (here, there) in [
            (
                format!(r#"{{"nodeId":"{node}"}}"#),
                format!(r#"{{"nodeId":"{behind}"}}"#),
            ),
            (
                format!(r#"["{node}","{node}"]"#),
                format!(r#"["{behind}","{behind}"]"#),
            ),
            (format!(r#"{{"{node}":1}}"#), format!(r#"{{"{behind}":1}}"#)),
        ] {
            assert_eq!(names.asked(here.as_str().into()).as_str(), there);
            assert_eq!(names.told(there.into()).as_str(), here);
        }
        let presence = format!(r#"{{"deviceId":"{operator}"}}"#);
        assert_eq!(
            names.told(presence.into()).as_str(),
            format!(r#"{{"deviceId":"{node}"}}"#)
        );
        for same in [
            format!(r#"{{"text":"my device is {node}"}}"#),
            format!(r#"{{"text":"{}"}}"#, "a".repeat(65)),
            format!(r#"{{"text":"{}"#, "a".repeat(10)),
            String::new(),
        ] {
            assert_eq!(names.asked(same.as_str().into()).as_str(), same);
        }
    }
}
