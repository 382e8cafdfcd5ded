//! The constants of a release: a YAML file beside its policy, with the same name. A policy
//! without one has those of the policy that it extends. A configuration, `gw.yaml`, is none.

use std::ffi::OsStr;
use std::path::Path;

use super::fact::Problem;
use super::load;
use crate::config::{Config, FILE};
use crate::diagnostic::{Code, Diagnostic};
use crate::handshake::error::of_shape;
use crate::lang::ReadError;
use crate::lang::files::{MAX_FILES_DEEP, extended};
use crate::settings::{Compatibility, Settings};
use crate::source::{Source, Sources, Span};

/// The largest such file, in bytes: there is one short line for each constant.
const MAX_BYTES: u64 = 1 << 16;

/// The constants of a policy: those beside it, else those beside the nearest one that it
/// extends; `None` where there are none.
pub(super) fn of(policy: &str) -> Result<Option<Compatibility>, Problem> {
    let mut path = policy.to_owned();
    for _ in 0..=MAX_FILES_DEEP {
        if let Some(found) = beside(&path)? {
            return Ok(Some(found));
        }
        // What cannot be read is told where the policy is loaded.
        let text = load::policy_text(&path, policy).ok();
        match text.and_then(|text| extended(policy, &path, &text)) {
            Some(base) => path = base,
            None => break,
        }
    }
    Ok(None)
}

/// The settings of a configuration, with the constants of the policy that it names, unless it says
/// other ones. Of constants that cannot be read the policy's loading tells.
pub(super) fn settings(config: &Config) -> Settings {
    with(config, of(&config.policy).ok().flatten())
}

/// The same, with constants that were read.
pub(super) fn with(config: &Config, constants: Option<Compatibility>) -> Settings {
    let mut settings = config.settings();
    if let (Some(constants), false) = (constants, config.says("compatibility")) {
        settings.compatibility = constants;
    }
    settings
}

fn beside(policy: &str) -> Result<Option<Compatibility>, Problem> {
    let Some(stem) = policy.strip_suffix(".policy") else {
        return Ok(None);
    };
    let path = format!("{stem}.yaml");
    // A configuration beside its policy: what it says of constants stands under a key of its own.
    if Path::new(&path).file_name() == Some(OsStr::new(FILE)) {
        return Ok(None);
    }
    let text = match load::built_in(&path) {
        Some(text) => Ok(text.to_owned()),
        None => load::read_file(&path, MAX_BYTES),
    };
    match text {
        Ok(text) => parse(&path, &text).map(Some),
        Err(ReadError::NotFound) => Ok(None),
        Err(error) => {
            let diagnostic = load::unreadable(&path, &error);
            Err((Box::new(diagnostic), Sources::default()))
        }
    }
}

fn parse(path: &str, text: &str) -> Result<Compatibility, Problem> {
    serde_yaml::from_str(text).map_err(|error| {
        let data = said(&error);
        // What is no YAML at all may break off where a value of another shape was expected.
        let broken = serde_yaml::from_str::<serde_yaml::Value>(text).err();
        let broken = broken.filter(|_| !data.contains("duplicate field"));
        let (message, help) = match &broken {
            Some(broken) => (format!("this is not YAML: {}", said(broken)), None),
            None => of_value(&data),
        };
        let place = broken.unwrap_or(error).location();
        let at = place.map_or(0, |place| place.index()).min(text.len());
        let rest = text.get(at..).unwrap_or_default();
        let width = rest.find(['\n', ':', ',', ']']).unwrap_or(rest.len());
        let mut sources = Sources::default();
        let id = sources.add(Source::new(path, text));
        let diagnostic = Diagnostic::error(Code::InvalidConstants, format!("{path}: {message}"))
            .label(Span::new(id, at..at + width), "")
            .maybe_help(help)
            .help("docs/settings.md lists the constants");
        (Box::new(diagnostic), sources)
    })
}

/// What the parser says, without the place.
fn said(error: &serde_yaml::Error) -> String {
    let said = error.to_string();
    said.split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// A value of the wrong shape, in our words. Constants are no secrets: a bad word is named.
fn of_value(said: &str) -> (String, Option<String>) {
    // What is wrong inside of a field begins with its path: `pairing.repeat: unknown variant …`.
    let (field, rest) = match said.split_once(": ") {
        Some((field, rest)) if !field.contains([' ', '`']) => (Some(field), rest),
        _ => (None, said),
    };
    let negative = rest.contains(": integer `-") && rest.contains("expected u");
    if let (true, Some(field)) = (negative, field) {
        let message = "an integer from 0 is expected here, not a smaller one";
        return (format!("`{field}`: {message}"), None);
    }
    let (message, help) = of_shape(&rest.replace("a YAML tag starting with '!'", "a word"));
    let word = rest.strip_prefix("unknown variant `");
    let word = word.and_then(|rest| rest.split_once('`'));
    match (word, field) {
        (Some((word, _)), Some(field)) => (format!("`{word}` is no value of `{field}`"), help),
        (Some((word, _)), None) => (format!("`{word}` is none of the words here"), help),
        (None, Some(field)) => (format!("`{field}`: {message}"), help),
        (None, None) => (message, help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            ("forwarding: bogus", "`bogus` is no value of `forwarding`"),
            ("forwarding: [", "this is not YAML: "),
            (
                "forwarding: [any]",
                "`forwarding`: a word is expected here, not an array",
            ),
            (
                "deviceSkewMs: soon",
                "`deviceSkewMs`: an integer is expected here, not a string",
            ),
            (
                "deviceSkewMs: -1",
                "`deviceSkewMs`: an integer from 0 is expected here, not a smaller one",
            ),
            (
                "unknownClients: [cli, bogus]",
                "`bogus` is no value of `unknownClients[1]`",
            ),
            (
                "pairing:\n  supresede: subset",
                "`pairing`: `supresede` is no field here",
            ),
            ("scopRule: listed", "`scopRule` is no field here"),
            ("- scopeRule", "an object is expected here, not an array"),
            (
                "deviceSkewMs: 1\ndeviceSkewMs: 2",
                "the field `deviceSkewMs` stands here twice",
            ),
        ] {
            let (diagnostic, _) = parse("x.yaml", text).unwrap_err();
            assert_eq!(diagnostic.code, Code::InvalidConstants);
            let said = &diagnostic.message;
            assert!(
                said.starts_with(&format!("x.yaml: {message}")),
                "{text}: {said}"
            );
        }
    }
}
