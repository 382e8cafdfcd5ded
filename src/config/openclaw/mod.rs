//! An OpenClaw configuration as one of ours: settings, a policy for what is policy here, secrets
//! for files of their own, and a report of what became of everything.
//!
//! Nothing opens to more people than the configuration names: what would is refused unless
//! [`Options::allow_wider`] says so. The configuration is JSON5. Reading and writing files, and
//! the records of devices, are not here. [`CommandLine`] is the other end of the same configuration.

mod client;
mod policy;
mod report;
mod taking;

use std::path::PathBuf;

use super::{ConfigError, template};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::secret::Secret;
use crate::source::{Source, Sources, Span};

pub use client::CommandLine;
pub use report::{Item, Outcome, Report};

/// The name of the policy that comes with an import, unless [`Options::policy`] is another.
pub const POLICY: &str = "gw.policy";

/// How deep a configuration may be nested.
const DEEPEST: usize = 64;

/// What an import may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether what opens to everybody is taken too.
    pub allow_wider: bool,
    /// The folder that `~` stands for.
    pub home: Option<PathBuf>,
    /// What the policy is called in the configuration.
    pub policy: Option<String>,
    /// The folder for what is remembered, as it is to stand in the configuration.
    pub state: Option<String>,
}

impl Options {
    fn policy_name(&self) -> &str {
        self.policy.as_deref().unwrap_or(POLICY)
    }
}

/// What comes of an OpenClaw configuration.
#[derive(Clone, Debug)]
pub struct Import {
    /// The text of `gw.yaml`.
    pub config: String,
    /// The text of the policy, where something needs one.
    pub policy: Option<String>,
    /// Secrets, each for a file of its own beside `gw.yaml` that only its owner may read.
    pub secrets: Vec<(&'static str, Secret)>,
    /// What became of everything.
    pub report: Report,
}

const HEAD: &str = "\
# Taken over from an OpenClaw configuration. `gw config check` finds what is wrong, `gw config show`
# prints what counts, and `gw init` writes a file with every other setting.
";

/// Takes an OpenClaw configuration over, by its name and text.
///
/// # Errors
///
/// The text is no JSON5 object. What is wrong with single values is told by the report.
pub fn import(name: &str, text: &str, options: &Options) -> Result<Import, ConfigError> {
    let root = parse(text).map_err(|(message, at)| {
        let mut sources = Sources::default();
        // Of a text that cannot be read anything may be a secret.
        let covered: String = text.chars().map(cover).collect();
        let id = sources.add(Source::new(name, &covered));
        let end = text
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .map_or(at, |c| at + c.len_utf8());
        let diagnostic = Diagnostic::error(Code::InvalidConfig, message)
            .label(Span::new(id, at..end), "")
            .help("is it the right file? it is usually ~/.openclaw/openclaw.json");
        ConfigError {
            diagnostics: Diagnostics(vec![diagnostic]),
            sources,
            named: None,
        }
    })?;
    let mut taking = taking::Taking::new(options);
    taking.root(&root);
    let policy = policy::text(&taking.rules);
    if policy.is_some() {
        taking
            .set
            .push(("policy", taking::path(options.policy_name())));
    }
    if let Some(state) = &options.state {
        taking.set.push(("state", taking::path(state)));
    }
    Ok(Import {
        config: template::only(HEAD, &taking.set),
        policy,
        secrets: taking.secrets,
        report: Report(taking.items),
    })
}

fn cover(character: char) -> String {
    if character.is_whitespace() {
        character.to_string()
    } else {
        "*".repeat(character.len_utf8())
    }
}

/// Reads JSON5, bounded; else says what is wrong, and at which byte.
fn parse(text: &str) -> Result<serde_json::Value, (String, usize)> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(("this is nested too deeply".to_owned(), at));
        }
    }
    let root: serde_json::Value = json5::from_str(text).map_err(|error| {
        let at = error.position().map_or(0, |place| {
            let line = text
                .split_inclusive('\n')
                .take(place.line)
                .map(str::len)
                .sum::<usize>();
            let rest = text.get(line..).unwrap_or_default();
            let column = rest
                .char_indices()
                .nth(place.column)
                .map_or(rest.len(), |(at, _)| at);
            line + column
        });
        ("this is not JSON5".to_owned(), at)
    })?;
    if root.is_object() {
        Ok(root)
    } else {
        Err(("an OpenClaw configuration is an object".to_owned(), 0))
    }
}
