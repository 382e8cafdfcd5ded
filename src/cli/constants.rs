//! The constants of a release: a YAML file beside its policy, with the same name.

use super::fact::Problem;
use super::load;
use crate::diagnostic::{Code, Diagnostic};
use crate::handshake::error::of_shape;
use crate::lang::ReadError;
use crate::settings::Compatibility;
use crate::source::{Source, Sources, Span};

/// The largest such file, in bytes: there is one short line for each constant.
const MAX_BYTES: u64 = 1 << 16;

/// The constants beside a policy; `None` where there are none.
pub(super) fn beside(policy: &str) -> Result<Option<Compatibility>, Problem> {
    let Some(stem) = policy.strip_suffix(".policy") else {
        return Ok(None);
    };
    let path = format!("{stem}.yaml");
    let text = match load::built_in(&path) {
        Some(text) => Ok(text.to_owned()),
        None => load::read(&path, MAX_BYTES),
    };
    let text = match text {
        Ok(text) => text,
        Err(ReadError::NotFound) => return Ok(None),
        Err(error) => {
            let diagnostic = load::unreadable(&path, &error);
            return Err((Box::new(diagnostic), Sources::default()));
        }
    };
    serde_yaml::from_str(&text).map(Some).map_err(|error| {
        let mut sources = Sources::default();
        let at = error.location().map_or(0, |place| place.index());
        let rest = text.get(at..).unwrap_or_default();
        let width = rest.find(['\n', ':']).unwrap_or(rest.len());
        let id = sources.add(Source::new(&path, &text));
        let said = error.to_string();
        let (said, help) = of_shape(said.split(" at line ").next().unwrap_or_default());
        let diagnostic = Diagnostic::error(Code::UnreadableFile, format!("{path}: {said}"))
            .label(Span::new(id, at..at + width), "")
            .maybe_help(help)
            .help("docs/settings.md lists the constants");
        (Box::new(diagnostic), sources)
    })
}
