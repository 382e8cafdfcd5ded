//! Lists of roles and scopes as they are kept: trimmed, each once, in the order of arrival.

use crate::facts::scopes::{normalize, outside_roles};
use crate::settings::compatibility::PairingRules;

/// Scopes as they are kept.
pub(super) fn trimmed<S: AsRef<str>>(list: &[S]) -> Vec<Box<str>> {
    united(list, [""; 0])
}

/// The members of both, those of the first before those of the second.
pub(super) fn united<A, B>(
    first: impl IntoIterator<Item = A>,
    second: impl IntoIterator<Item = B>,
) -> Vec<Box<str>>
where
    A: AsRef<str>,
    B: AsRef<str>,
{
    let mut all: Vec<Box<str>> = Vec::new();
    let mut add = |text: &str| {
        let text = text.trim();
        if !text.is_empty() && !all.iter().any(|known| &**known == text) {
            all.push(text.into());
        }
    };
    first.into_iter().for_each(|text| add(text.as_ref()));
    second.into_iter().for_each(|text| add(text.as_ref()));
    all
}

/// Scopes as a token carries them: with what follows from them, in alphabetical order.
pub(super) fn carried<S: AsRef<str>>(list: &[S]) -> Vec<Box<str>> {
    normalize(list).into_iter().map(Into::into).collect()
}

/// Whether a scope belongs to a role: its name begins with the role's.
pub(super) fn belongs_to(scope: &str, role: &str) -> bool {
    outside_roles(&[role], &[scope]).is_none()
}

impl PairingRules {
    /// A list as it is written.
    pub(super) fn list(&self, list: Vec<Box<str>>) -> Option<Vec<Box<str>>> {
        (self.empty_lists || !list.is_empty()).then_some(list)
    }
}
