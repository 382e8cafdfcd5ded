//! Scopes: the known ones, sets of them, and what covers what.

use serde::{Serialize, Serializer};

use super::word::words;

words! {
    /// The scopes that some release knows. Any other string is an `unknown-scope`.
    Scope {
        Admin "operator.admin" "every operator method",
        Approvals "operator.approvals" "approving what agents want to run",
        Pairing "operator.pairing" "approving and removing devices and nodes",
        Questions "operator.questions" "answering question prompts",
        Read "operator.read" "reading",
        SessionsRead "operator.sessions.read" "reading sessions",
        SessionsWrite "operator.sessions.write" "writing to sessions",
        Talk "operator.talk" "talking",
        TalkSecrets "operator.talk.secrets" "secrets in the talk configuration",
        Write "operator.write" "changing things",
    }
}

/// A set of known scopes, one bit each, in the order of [`Scope::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(pub u16);

impl ScopeSet {
    /// No scope.
    pub const EMPTY: ScopeSet = ScopeSet(0);
    /// Every known scope.
    pub const ALL: ScopeSet = ScopeSet((1 << Scope::ALL.len()) - 1);

    /// The set of these scopes.
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        scopes.iter().copied().collect()
    }

    /// Whether the scope is in the set.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope.code()) != 0
    }

    /// Whether every scope of this set is in the other.
    #[must_use]
    pub fn within(self, other: ScopeSet) -> bool {
        self.0 & !other.0 == 0
    }

    /// The scopes in both.
    #[must_use]
    pub fn intersection(self, other: ScopeSet) -> ScopeSet {
        ScopeSet(self.0 & other.0)
    }

    /// The scopes in either.
    #[must_use]
    pub fn union(self, other: ScopeSet) -> ScopeSet {
        ScopeSet(self.0 | other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes, in alphabetical order.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.iter().copied().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        ScopeSet(scopes.into_iter().fold(0, |bits, scope| bits | 1 << scope.code()))
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
