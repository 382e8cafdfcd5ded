//! The shared secrets, covered in what is written down: a client may put one where it is no
//! secret, into its path or its name.

use std::fmt;

use memchr::memmem::Finder;

use crate::config::strength::SHORTEST;
use crate::secret::Secret;
use crate::settings::Settings;

/// What stands in the place of a secret.
const COVER: &str = "…";

/// The shared secrets, as a line of JSON would have them.
#[derive(Default)]
pub(super) struct Covered(Vec<Finder<'static>>);

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
        let written = long.filter_map(|text| serde_json::to_string(text).ok());
        let inside = written.filter_map(|text| {
            let inside = text.strip_prefix('"')?.strip_suffix('"')?;
            Some(Finder::new(inside).into_owned())
        });
        Covered(inside.collect())
    }

    /// A line without them.
    pub(super) fn cover(&self, line: String) -> String {
        self.0
            .iter()
            .fold(line, |line, secret| match secret.find(line.as_bytes()) {
                None => line,
                Some(_) => {
                    let needle = String::from_utf8_lossy(secret.needle());
                    line.replace(&*needle, COVER)
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_covered_wherever_it_stands_and_a_word_is_not() {
        let settings: Settings = serde_json::from_str(
            r#"{"auth":{"token":"a \"long\" secret \\ of text","password":"cli"}}"#,
        )
        .unwrap();
        let line = serde_json::json!({
            "path": "/a \"long\" secret \\ of text/x",
            "name": "a \"long\" secret \\ of text",
            "client": "cli",
        });
        let covered = Covered::of(&settings).cover(line.to_string());
        let covered: serde_json::Value = serde_json::from_str(&covered).unwrap();
        let expected = serde_json::json!({ "path": "/…/x", "name": "…", "client": "cli" });
        assert_eq!(covered, expected);
    }
}
