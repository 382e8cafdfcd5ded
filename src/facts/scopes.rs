//! Scopes: the known ones, sets of them, and what covers what.
//!
//! A [`ScopeSet`] holds known scopes only. What covers what is decided on the wire's own
//! strings, since a scope that nobody knows must still be approved before it is granted.

use serde::{Serialize, Serializer};

use super::client::Role;
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
    /// Every scope, those too that have no name here: what a set of all known ones lacks.
    pub const ANY: ScopeSet = ScopeSet(u16::MAX);

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
        Scope::ALL
            .iter()
            .copied()
            .filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        ScopeSet(
            scopes
                .into_iter()
                .fold(0, |bits, scope| bits | 1 << scope.code()),
        )
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl ScopeSet {
    /// The known scopes of a list, trimmed, and whether any other was in it.
    #[must_use]
    pub fn known<S: AsRef<str>>(scopes: &[S]) -> (ScopeSet, bool) {
        let written = || {
            scopes
                .iter()
                .map(|scope| scope.as_ref().trim())
                .filter(|s| !s.is_empty())
        };
        let known = written().filter_map(Scope::parse).collect();
        (known, written().any(|scope| Scope::parse(scope).is_none()))
    }
}

words! {
    /// Which approved scopes cover a requested one. Each rule is narrower or
    /// wider than the one before in what it adds, so the choice is the operator's.
    ScopeRule {
        Exact "exact" "a scope covers itself, and nothing else (OpenClaw 2026.2)",
        Listed "listed" "of an operator, `admin` covers every `operator.` scope and `write` covers `read`; any scope covers itself (2026.3)",
        RoleBound "role-bound" "as `listed`, but a scope that does not begin with the role's name is never covered (from 2026.4.15)",
        FineGrained "fine-grained" "as `role-bound`, and `write` covers `talk` and `sessions`, and `read` or `sessions.write` covers `sessions.read` (2026.9.6)",
    }
}

#[expect(clippy::derivable_impls, reason = "`words!` writes the enum")]
impl Default for ScopeRule {
    fn default() -> Self {
        ScopeRule::RoleBound
    }
}

/// Whether the approved scopes cover all that are requested. Scopes and the role are trimmed,
/// blank scopes are nothing. Asking for nothing is always covered.
///
/// # Errors
///
/// The first requested scope that is not covered, as it was written.
pub fn covers<'a, R: AsRef<str>, A: AsRef<str>>(
    rule: ScopeRule,
    role: &str,
    requested: &'a [R],
    approved: &[A],
) -> Result<(), &'a str> {
    let approved = Approved::new(rule, role, approved);
    let missing = requested
        .iter()
        .map(AsRef::as_ref)
        .find(|scope| !approved.covers(scope));
    missing.map_or(Ok(()), Err)
}

/// So many approved scopes are looked through one by one.
const FEW: usize = 16;

/// Approved scopes, to ask of many scopes whether these cover them.
#[derive(Clone, Debug)]
pub struct Approved<'a, S> {
    rule: ScopeRule,
    role: &'a str,
    scopes: &'a [S],
    /// Trimmed and in order, where they are more than a few: a record and a frame may have
    /// thousands.
    sorted: Vec<&'a str>,
}

impl<'a, S: AsRef<str>> Approved<'a, S> {
    /// What was approved for a role, and by which rule it covers.
    #[must_use]
    pub fn new(rule: ScopeRule, role: &'a str, scopes: &'a [S]) -> Self {
        let mut sorted = Vec::new();
        if scopes.len() > FEW {
            sorted.extend(scopes.iter().map(|scope| scope.as_ref().trim()));
            sorted.sort_unstable();
        }
        Approved {
            rule,
            role: role.trim(),
            scopes,
            sorted,
        }
    }

    /// Whether one scope is covered, as [`covers`] has it. A blank one is.
    #[must_use]
    pub fn covers(&self, scope: &str) -> bool {
        let scope = scope.trim();
        scope.is_empty() || self.covers_named(scope)
    }

    fn has(&self, scope: &str) -> bool {
        if self.scopes.len() > FEW {
            return self.sorted.binary_search(&scope).is_ok();
        }
        let mut approved = self.scopes.iter().map(|approved| approved.as_ref().trim());
        approved.any(|approved| approved == scope)
    }

    fn covers_named(&self, scope: &str) -> bool {
        let (rule, role) = (self.rule, self.role);
        let role_bound = matches!(rule, ScopeRule::RoleBound | ScopeRule::FineGrained);
        if role_bound && !belongs_to(scope, role) {
            return false;
        }
        if self.has(scope) {
            return true;
        }
        if rule == ScopeRule::Exact || role != Role::Operator.name() || !belongs_to(scope, role) {
            return false;
        }
        let covering: &[Scope] = match (Scope::parse(scope), rule) {
            (Some(Scope::Read), _) => &[Scope::Write],
            (Some(Scope::Talk | Scope::SessionsWrite), ScopeRule::FineGrained) => &[Scope::Write],
            (Some(Scope::SessionsRead), ScopeRule::FineGrained) => {
                &[Scope::Write, Scope::Read, Scope::SessionsWrite]
            }
            _ => &[],
        };
        self.has(Scope::Admin.name()) || covering.iter().any(|scope| self.has(scope.name()))
    }
}

/// Whether the scope's name begins with the role's and a dot.
fn belongs_to(scope: &str, role: &str) -> bool {
    scope
        .strip_prefix(role)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// The first scope, as it was written, that belongs to none of the roles. Both are trimmed,
/// blank scopes are nothing.
#[must_use]
pub fn outside_roles<'a, R: AsRef<str>, S: AsRef<str>>(
    roles: &[R],
    scopes: &'a [S],
) -> Option<&'a str> {
    scopes.iter().map(AsRef::as_ref).find(|written| {
        let scope = written.trim();
        !scope.is_empty()
            && !roles
                .iter()
                .any(|role| belongs_to(scope, role.as_ref().trim()))
    })
}

/// Scopes as they are stored and signed for: trimmed, with `read` and `write` beside `admin` and
/// `read` beside `write`, in alphabetical order, each once.
#[must_use]
pub fn normalize<S: AsRef<str>>(scopes: &[S]) -> Vec<String> {
    let written = scopes
        .iter()
        .map(|scope| scope.as_ref().trim())
        .filter(|scope| !scope.is_empty());
    let mut all: Vec<String> = written.map(str::to_owned).collect();
    let has = |all: &[String], scope: Scope| all.iter().any(|written| written == scope.name());
    if has(&all, Scope::Admin) {
        all.push(Scope::Write.name().to_owned());
    }
    if has(&all, Scope::Write) {
        all.push(Scope::Read.name().to_owned());
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 14] = [
        "operator.admin",
        "operator.approvals",
        "operator.pairing",
        "operator.questions",
        "operator.read",
        "operator.sessions.read",
        "operator.sessions.write",
        "operator.talk",
        "operator.talk.secrets",
        "operator.write",
        "operator.unknown",
        "operator",
        "node.exec",
        "*",
    ];

    #[test]
    fn approval_covers_itself_and_what_is_stored_for_it() {
        for rule in ScopeRule::ALL {
            for scope in NAMES {
                let stored = normalize(&[scope]);
                assert_eq!(normalize(&stored), stored);
                let own = scope.starts_with("operator.");
                let narrow = matches!(rule, ScopeRule::Exact | ScopeRule::Listed);
                assert_eq!(
                    covers(*rule, "operator", &stored, &stored).is_ok(),
                    own || narrow
                );
            }
        }
    }

    #[test]
    fn a_finer_rule_only_adds() {
        for (narrow, wide) in [
            (ScopeRule::Exact, ScopeRule::Listed),
            (ScopeRule::RoleBound, ScopeRule::Listed),
            (ScopeRule::RoleBound, ScopeRule::FineGrained),
        ] {
            for role in ["operator", "node"] {
                for asked in NAMES {
                    for approved in NAMES {
                        let under = |rule| covers(rule, role, &[asked], &[approved]).is_ok();
                        assert!(
                            !under(narrow) || under(wide),
                            "{role} {asked} by {approved}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn fine_grained_scopes_follow_from_write_and_read() {
        let covered =
            |rule, asked: &str, by: &str| covers(rule, "operator", &[asked], &[by]).is_ok();
        for (asked, by) in [
            ("operator.talk", "operator.write"),
            ("operator.sessions.write", "operator.write"),
            ("operator.sessions.read", "operator.write"),
            ("operator.sessions.read", "operator.read"),
            ("operator.sessions.read", "operator.sessions.write"),
        ] {
            assert!(
                covered(ScopeRule::FineGrained, asked, by),
                "{asked} by {by}"
            );
            assert!(!covered(ScopeRule::RoleBound, asked, by), "{asked} by {by}");
        }
        assert!(!covered(
            ScopeRule::FineGrained,
            "operator.talk.secrets",
            "operator.write"
        ));
        assert!(!covered(
            ScopeRule::FineGrained,
            "operator.talk",
            "operator.read"
        ));
    }

    /// The set agrees with asking of each approved scope, and is as fast for thousands.
    #[test]
    fn many_scopes_are_covered_one_by_one() {
        let many: Vec<String> = (0..4_000).map(|at| format!("operator.{at:x}")).collect();
        let spaced: Vec<String> = many
            .iter()
            .rev()
            .map(|scope| format!(" {scope} "))
            .collect();
        for rule in ScopeRule::ALL {
            assert_eq!(covers(*rule, "operator", &many, &spaced), Ok(()));
            let approved = Approved::new(*rule, " operator ", &spaced);
            assert!(approved.covers("") && approved.covers(" operator.0 "));
            assert!(!approved.covers("operator.") && !approved.covers("operator.g"));
            for role in ["operator", "node"] {
                for asked in NAMES {
                    let all = Approved::new(*rule, role, &NAMES).covers(asked);
                    let mut each = NAMES.iter();
                    let by_one = each.any(|by| covers(*rule, role, &[asked], &[by]).is_ok());
                    assert_eq!(all, by_one, "{rule} {role} {asked}");
                }
            }
        }
    }

    #[test]
    fn a_role_is_a_whole_word() {
        assert_eq!(
            outside_roles(&["operator"], &["operators.read"]),
            Some("operators.read")
        );
        assert_eq!(outside_roles(&[""], &["read"]), Some("read"));
        assert_eq!(
            outside_roles(&["node", " operator "], &["", " operator.read "]),
            None
        );
        assert_eq!(
            covers(
                ScopeRule::Listed,
                "operator",
                &["operatorx.read"],
                &["operator.admin"]
            ),
            Err("operatorx.read")
        );
    }

    #[test]
    fn unknown_scopes_are_told() {
        assert_eq!(
            ScopeSet::known(&["", " operator.read "]),
            (ScopeSet::of(&[Scope::Read]), false)
        );
        assert_eq!(
            ScopeSet::known(&["operator.read", "*"]),
            (ScopeSet::of(&[Scope::Read]), true)
        );
    }
}
