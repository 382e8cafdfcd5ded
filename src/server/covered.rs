//! The shared secrets, covered in what is written down: a client may put one where it is no
//! secret, into its path or its name.
//!
//! What a client wrote is cut before it is written, at any place, and may be escaped. So every
//! part of a secret that is as long as the shortest secret is covered, in either case, and
//! whether or not it is escaped.

use std::fmt;
use std::ops::Range;

use memchr::{memchr2, memmem};

use crate::config::strength::SHORTEST;
use crate::secret::Secret;
use crate::settings::Settings;

/// What stands in the place of a secret.
const COVER: &str = "…";

/// As many bytes are compared at once.
const PIECE: usize = 8;

/// What ends a string of JSON, as no text has it.
const END: u8 = 0xc0;

/// The shared secrets, as a line is searched for them.
#[derive(Default)]
pub(super) struct Covered(Vec<Needle>);

impl fmt::Debug for Covered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Covered").finish_non_exhaustive()
    }
}

impl Covered {
    /// Those of some settings. One that is too short for a secret could be any word of a line.
    pub(super) fn of(settings: &Settings) -> Self {
        let auth = &settings.auth;
        let secrets = [auth.token(), auth.password()].into_iter().flatten();
        let long = secrets
            .map(Secret::expose)
            .filter(|text| text.len() >= SHORTEST);
        // What looks escaped in a secret is escaped once more on its way, or is not.
        let both = long.flat_map(|text| {
            let mut meant = Meant::default();
            text.bytes()
                .filter(|byte| *byte != b'\\')
                .for_each(|byte| meant.push(byte, 0..0));
            [meant.bytes, Meant::of(&text.replace('"', "\\\"")).bytes]
        });
        let mut both: Vec<Vec<u8>> = both.collect();
        both.dedup();
        Covered(both.into_iter().filter_map(Needle::new).collect())
    }

    /// A line without them.
    pub(super) fn cover(&self, line: String) -> String {
        let is_plain = memchr2(b'\\', b'%', line.as_bytes()).is_none();
        let may_have = |bytes: &[u8]| self.0.iter().any(|secret| secret.may_be_in(bytes));
        if self.0.is_empty() || is_plain && !may_have(line.as_bytes()) {
            return line;
        }
        let meant = Meant::of(&line);
        if !may_have(&meant.bytes) {
            return line;
        }
        let mut parts: Vec<Range<usize>> = self
            .0
            .iter()
            .flat_map(|secret| secret.parts(&meant.bytes))
            .filter_map(|part| {
                let (first, last) = (
                    meant.places.get(part.start)?,
                    meant.places.get(part.end - 1)?,
                );
                Some(first.start..last.end)
            })
            .collect();
        parts.sort_unstable_by_key(|part| part.start);
        let mut covered = String::with_capacity(line.len());
        let mut at = 0;
        for part in parts {
            // Of two that overlap, the cover of the first stands for both.
            if part.start >= at {
                covered.push_str(line.get(at..part.start).unwrap_or_default());
                covered.push_str(COVER);
            }
            at = at.max(part.end);
        }
        covered.push_str(line.get(at..).unwrap_or_default());
        covered
    }
}

/// A secret, with its pieces for a first look.
struct Needle {
    text: Vec<u8>,
    /// As many bytes in a row are covered.
    least: usize,
    /// Every piece of it, in order.
    pieces: Vec<u64>,
    /// A bit for the hash of each.
    hashes: [u64; 64],
}

impl Needle {
    /// Nothing where so little is left without escapes that it could be any word.
    fn new(text: Vec<u8>) -> Option<Self> {
        if text.len() < PIECE || text.contains(&END) {
            return None;
        }
        let mut pieces: Vec<u64> = text.windows(PIECE).filter_map(piece).collect();
        pieces.sort_unstable();
        let mut hashes = [0; 64];
        for piece in &pieces {
            let (word, bit) = hash(*piece);
            if let Some(word) = hashes.get_mut(word) {
                *word |= bit;
            }
        }
        Some(Needle {
            least: text.len().min(SHORTEST),
            text,
            pieces,
            hashes,
        })
    }

    /// Whether a part of it may be in a text: each that is long enough has a piece that begins at
    /// one of the places that are looked at.
    fn may_be_in(&self, text: &[u8]) -> bool {
        let step = self.least - PIECE + 1;
        let mut places = (0..text.len()).step_by(step);
        places.any(|at| text.get(at..at + PIECE).is_some_and(|it| self.has(it)))
    }

    fn has(&self, bytes: &[u8]) -> bool {
        piece(bytes).is_some_and(|piece| {
            let (word, bit) = hash(piece);
            self.hashes.get(word).is_some_and(|word| word & bit != 0)
                && self.pieces.binary_search(&piece).is_ok()
        })
    }

    /// Where parts of it are that are long enough, in order and apart from each other.
    fn parts(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut parts: Vec<Range<usize>> = Vec::new();
        for (at, part) in text.windows(self.least).enumerate() {
            let known = part.get(..PIECE).is_some_and(|start| self.has(start));
            if !known || memmem::find(&self.text, part).is_none() {
                continue;
            }
            let end = at + self.least;
            match parts.last_mut().filter(|last| at <= last.end) {
                Some(last) => last.end = end,
                None => parts.push(at..end),
            }
        }
        parts
    }
}

/// Eight bytes as a number, in either case the same.
fn piece(bytes: &[u8]) -> Option<u64> {
    let bytes: [u8; PIECE] = bytes.try_into().ok()?;
    Some(u64::from_le_bytes(
        bytes.map(|byte| byte.to_ascii_lowercase()),
    ))
}

/// Its place among 4096 bits.
fn hash(piece: u64) -> (usize, u64) {
    let hash = piece.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
    (usize::try_from(hash >> 6).unwrap_or(0), 1 << (hash & 63))
}

/// A text in lower case and without escapes, those of JSON, of URLs and of what is fit for a
/// terminal, with the place of each byte.
#[derive(Default)]
struct Meant {
    bytes: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Meant {
    fn of(text: &str) -> Self {
        let mut meant = Meant {
            bytes: Vec::with_capacity(text.len()),
            places: Vec::with_capacity(text.len()),
        };
        let mut at = 0;
        while let Some(rest) = text.get(at..) {
            // A character has all backslashes before it, so that what is left stays well escaped.
            let slashes = rest.bytes().take_while(|byte| *byte == b'\\').count();
            let rest = rest.get(slashes..).unwrap_or_default();
            let Some(first) = rest.chars().next() else {
                break;
            };
            let start = at;
            at += slashes;
            let number = Some(rest).filter(|_| slashes > 0).and_then(numbered);
            if let Some((character, length)) = number {
                at += length;
                meant.push_all(character, start..at);
            } else if let Some(byte) = in_percent(rest) {
                at += 3;
                meant.push(byte, start..at);
            } else {
                at += first.len_utf8();
                match first == '"' && slashes % 2 == 0 {
                    true => meant.push(END, start..at),
                    false => meant.push_all(first, start..at),
                }
            }
        }
        meant
    }

    fn push_all(&mut self, character: char, place: Range<usize>) {
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            self.push(byte, place.clone());
        }
    }

    fn push(&mut self, byte: u8, place: Range<usize>) {
        self.bytes.push(byte.to_ascii_lowercase());
        self.places.push(place);
    }
}

/// The character of `u{…}` or of `u` and four digits, and the length of that.
fn numbered(text: &str) -> Option<(char, usize)> {
    let rest = text.strip_prefix('u')?;
    let (digits, length) = match rest.strip_prefix('{') {
        Some(rest) => {
            let (digits, _) = rest.split_once('}')?;
            (digits, digits.len() + 3)
        }
        None => (rest.get(..4)?, 5),
    };
    let number = u32::from_str_radix(digits, 16).ok()?;
    Some((char::from_u32(number)?, length))
}

/// The byte that a URL has as `%` and two digits.
fn in_percent(text: &str) -> Option<u8> {
    let digits = text.strip_prefix('%')?.get(..2)?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::clean;

    fn covered(auth: &serde_json::Value) -> Covered {
        let settings = serde_json::json!({ "auth": auth });
        Covered::of(&serde_json::from_value(settings).unwrap())
    }

    #[test]
    fn a_secret_is_covered_wherever_it_stands_and_a_word_is_not() {
        let secret = "it's a \"long\" secret \\ of  100%41 \u{43e}f text";
        let auth = serde_json::json!({ "token": secret, "password": "cli" });
        let line = serde_json::json!({
            "path": format!("/{secret}/x"),
            "name": clean(secret),
            "client": "cli",
            secret: secret.to_uppercase(),
        });
        let covered = covered(&auth).cover(line.to_string());
        let covered: serde_json::Value = serde_json::from_str(&covered).unwrap();
        let upper = covered["…"].as_str().unwrap();
        assert!(upper.starts_with("…"), "{upper}");
        let expected =
            serde_json::json!({ "path": "/…/x", "name": "…", "client": "cli", "…": upper });
        assert_eq!(covered, expected);
    }

    /// Wherever it is cut, and however it is written.
    #[test]
    fn no_part_of_a_secret_is_left_that_is_as_long_as_one() {
        let secret = "pQ7-xW2_mZ9kLr4TtYb8VhNc3sDfGj6aEoUi1Iw5Bq0";
        let covered = covered(&serde_json::json!({ "password": secret }));
        let plain = |part: &str| part.to_owned();
        let percent = |part: &str| {
            part.bytes()
                .map(|byte| format!("%{byte:02x}"))
                .collect::<String>()
        };
        let some = |part: &str| part.replace('L', "%4c").replace('-', "%2D");
        let upper = |part: &str| part.to_uppercase();
        let digits = |part: &str| part.replace('x', "\\u{78}").replace('N', "\\u{4e}");
        let ways: [&dyn Fn(&str) -> String; 5] = [&plain, &percent, &some, &upper, &digits];
        let mut count = 0;
        for start in 0..secret.len() {
            for end in start..=secret.len() {
                let part = &secret[start..end];
                for (before, written) in ways
                    .iter()
                    .map(|way| way(part))
                    .flat_map(|written| (0..9).map(move |at| ("~".repeat(at), written.clone())))
                {
                    let line = serde_json::json!({ "path": format!("/{before}{written}~") });
                    let line = covered.cover(line.to_string());
                    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
                    let is_long = part.len() >= SHORTEST;
                    let left = if is_long { COVER } else { &*written };
                    assert_eq!(line["path"], format!("/{before}{left}~"));
                    count += u32::from(is_long);
                }
            }
        }
        assert!(count > 1_000);
    }
}
