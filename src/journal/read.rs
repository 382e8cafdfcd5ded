//! A line read back: its fields, and whom its decision is about.

use super::kept::Kept;
use super::line::{Line, VERSION};
use crate::explain::Subject;
use crate::facts::metadata::normalize_metadata;
use crate::facts::scopes::ScopeRule;
use crate::facts::{AttributeId, Facts, Text};
use crate::handshake;
use crate::source::visible;

/// Why a text is no line of a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LineError {
    /// The column it was found at, from 1; none where the whole line is meant.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// What a line gives an explanation.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The facts that were decided on.
    pub facts: Facts,
    /// Whom they are about.
    pub subject: Subject,
    /// Attributes that the line does not say, and names that mean nothing here: then another
    /// version wrote it.
    pub unread: Vec<String>,
}

/// Said of a fact whose phrase is not in the line.
const AS_LOGGED: &str = "as logged";
/// Said of a fact that was not known when the line was written.
const NOT_KNOWN: &str = "not known yet: assumed";
/// Said of a fact that a line of another version does not have.
const NOT_LOGGED: &str = "not in the log: assumed";

/// Reads a line.
///
/// # Errors
///
/// [`LineError`] when it is not JSON, is no line of a log, or is of a newer format.
pub fn line(text: &str) -> Result<Line, LineError> {
    if !text.starts_with('{') {
        return Err(LineError {
            column: 1,
            message: "it is no JSON object".to_owned(),
        });
    }
    let line: Line = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // The place is told beside the file.
        let message = message
            .rsplit_once(" at line ")
            .map_or(&*message, |(said, _)| said);
        LineError {
            column: error.column(),
            message: visible(message),
        }
    })?;
    match line.version == VERSION {
        true => Ok(line),
        false => Err(LineError {
            column: 0,
            message: format!(
                "it is of format {}, and this program reads format {VERSION}",
                line.version
            ),
        }),
    }
}

impl Line {
    /// What an explanation needs of the line; nothing when it has no facts.
    #[must_use]
    pub fn explained(&self) -> Option<Explained> {
        let kept = self.facts.as_ref()?;
        let missing = kept.assumed.iter().map(|id| id.row().name.to_owned());
        Some(Explained {
            facts: kept.facts.clone(),
            subject: self.subject(kept),
            unread: missing.chain(kept.strange.iter().cloned()).collect(),
        })
    }

    fn subject(&self, kept: &Kept) -> Subject {
        let facts = &kept.facts;
        let strings = |texts: &[Box<str>]| texts.iter().map(ToString::to_string).collect();
        let upgrade = self.upgrade.as_ref();
        let of_facts = Subject::of_facts(facts);
        let rule = upgrade.and_then(|upgrade| ScopeRule::parse(&upgrade.scope_rule));
        Subject {
            device: self.device.as_deref().map(str::to_owned),
            requested_scopes: match &self.asked {
                Some(asked) => strings(asked),
                None => of_facts.requested_scopes,
            },
            requested_role: of_facts.requested_role,
            approved_scopes: upgrade.map(|upgrade| strings(&upgrade.scopes_from)),
            scope_rule: rule.unwrap_or_default(),
            approved_roles: upgrade.map_or_else(Vec::new, |upgrade| strings(&upgrade.roles_from)),
            changes: self.changes(),
            evidence: AttributeId::all().map(|id| self.shows(id, kept)).collect(),
        }
    }

    fn changes(&self) -> Vec<String> {
        let Some(upgrade) = &self.upgrade else {
            return Vec::new();
        };
        let change = |name: &str, was: &Option<Text>, is: &Option<Text>| {
            let (was, is) = (was.as_deref()?, is.as_deref()?);
            let is_shown = if is.is_empty() { "not said" } else { is };
            (!was.is_empty() && normalize_metadata(was) != normalize_metadata(is))
                .then(|| format!("{name} was {was}, is {is_shown}"))
        };
        let changes = [
            change("platform", &upgrade.platform_from, &upgrade.platform_to),
            change("device family", &upgrade.family_from, &upgrade.family_to),
        ];
        changes.into_iter().flatten().collect()
    }

    fn shows(&self, id: AttributeId, kept: &Kept) -> String {
        let row = id.row();
        // What is said of one fact is said of those that are found in the same place.
        let place = match row.name {
            "auth-failure" => "auth",
            name => name,
        };
        if let Some(phrase) = self.evidence.get(row.name).or(self.evidence.get(place)) {
            return phrase.to_string();
        }
        if row.stage > kept.until {
            return NOT_KNOWN.to_owned();
        }
        if kept.assumed.contains(&id) {
            return NOT_LOGGED.to_owned();
        }
        let told = match (row.name, &self.remote, &self.asked) {
            ("peer", Some(remote), _) => Some(handshake::of_ends(
                visible(remote),
                self.local.as_deref().map(visible),
            )),
            ("scopes" | "unknown-scope" | "outside-role", _, Some(asked)) => {
                Some(handshake::of_scopes(asked))
            }
            _ => None,
        };
        if let Some(phrase) = told {
            return phrase;
        }
        handshake::alone(id, &kept.facts).map_or_else(|| AS_LOGGED.to_owned(), Into::into)
    }
}
