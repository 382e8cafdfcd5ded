//! Lists of roles and scopes as they are kept: trimmed, each once, in the order of arrival.

use std::collections::BTreeSet;

use crate::facts::scopes::{normalize, outside_roles};
use crate::settings::compatibility::PairingRules;

/// At most so many scopes of one request are kept.
pub(super) const MOST_SCOPES: usize = 64;

/// The first of the scopes, as they are kept of a request: what its owner is not shown is not
/// approved either.
pub(super) fn bounded<S: AsRef<str>>(list: &[S]) -> Vec<Box<str>> {
    let mut scopes = united(list, [""; 0]);
    scopes.truncate(MOST_SCOPES);
    scopes
}

/// Whether every member of the first is in the second; both as they are kept.
pub(super) fn within(few: &[Box<str>], many: &[Box<str>]) -> bool {
    let many: BTreeSet<&str> = many.iter().map(AsRef::as_ref).collect();
    few.iter().all(|one| many.contains(&**one))
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
    let first: Vec<A> = first.into_iter().collect();
    let second: Vec<B> = second.into_iter().collect();
    let texts = first.iter().map(AsRef::as_ref);
    let texts = texts.chain(second.iter().map(AsRef::as_ref));
    let mut seen = BTreeSet::new();
    texts
        .map(str::trim)
        .filter(|text| !text.is_empty() && seen.insert(*text))
        .map(Into::into)
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_kept_trimmed_once_and_bounded() {
        let all = united(["b", " a ", ""], ["a", "c", "b "]);
        assert_eq!(all, ["b", "a", "c"].map(Box::from));
        let many: Vec<String> = (0..4_000).map(|at| format!(" {at}")).collect();
        let twice = united(&many, &many);
        assert_eq!(twice.len(), 4_000);
        assert_eq!(bounded(&many), twice[..MOST_SCOPES]);
        assert!(within(&bounded(&many), &twice) && !within(&twice, &bounded(&many)));
    }
}
