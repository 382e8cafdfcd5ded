//! A policy as meant: names resolved to rows of tables, types known, definitions expanded.

use ipnet::IpNet;

use crate::facts::assumptions::Named;
use crate::facts::attributes::Value;
use crate::facts::{AttributeId, Facts, ScopeSet, Stage};
use crate::source::{Span, Spanned};
use crate::verdict::{Grant, PairingReason, Reason, Verdict, VerdictKind, pairing_reason};

/// A policy, ready to be compiled. What it extends is already in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The guards: those of the extended file first, each file's in order.
    pub guards: Vec<Clause>,
    /// The rules and trials: this file's first, then those of the extended file.
    pub rules: Vec<Clause>,
    /// What happens to all others.
    pub default: Clause,
    /// The tests of this file. Those of the extended file are its own.
    pub tests: Vec<Test>,
    /// The claims that stand here, the extended file's among them. [`crate::policy`] has them proved.
    pub claims: Vec<Claim>,
    /// The extended file, by itself.
    pub base: Option<Box<Checked>>,
}

impl Checked {
    /// A clause by its place among all: guards, then rules and trials, then the default.
    #[must_use]
    pub fn clause(&self, place: usize) -> &Clause {
        let mut all = self.guards.iter().chain(&self.rules);
        all.nth(place).unwrap_or(&self.default)
    }
}

/// A guard, a rule, a trial or the default.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// Which kind.
    pub role: Role,
    /// Its name, if it has one.
    pub label: Option<String>,
    /// When it applies.
    pub condition: Spanned<Condition>,
    /// What it answers.
    pub answer: Answer,
    /// Prose for operators.
    pub because: Option<String>,
    /// Prose that the client may see.
    pub hint: Option<String>,
    /// The reports it is tied to.
    pub issues: Vec<String>,
    /// Its text up to the verdict, without the prose.
    pub head: Span,
    /// Its whole text.
    pub span: Span,
}

/// Which kind of clause it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Restricts, at this stage.
    Guard(Stage),
    /// Decides.
    Rule,
    /// Would decide, and changes nothing.
    Trial,
    /// Decides what no rule does.
    Default,
}

/// What a clause answers, before the facts are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `reject(reason)`
    Reject(Reason),
    /// `reject(as-found)`
    RejectAsFound,
    /// `require-pairing`, perhaps saying why.
    RequirePairing(Option<PairingReason>),
    /// `approve(…)`
    Approve(Grant),
    /// `silent-approve(…)`
    SilentApprove(Grant),
    /// `cap(scopes={ … })`, of guards only.
    Cap(ScopeSet),
}

impl Answer {
    /// The verdict for these facts. A cap alone decides nothing: it is `None`.
    #[must_use]
    pub fn verdict(self, facts: &Facts) -> Option<Verdict> {
        Some(match self {
            Answer::Reject(reason) => Verdict::Reject(reason),
            Answer::RejectAsFound => Verdict::Reject(Reason::as_found(facts)),
            Answer::RequirePairing(reason) => {
                Verdict::RequirePairing(reason.unwrap_or_else(|| pairing_reason(facts)))
            }
            Answer::Approve(grant) => Verdict::Approve(grant),
            Answer::SilentApprove(grant) => Verdict::SilentApprove(grant),
            Answer::Cap(_) => return None,
        })
    }

    /// The verdict, where it is the same for all facts.
    #[must_use]
    pub(crate) fn fixed(self) -> Option<Verdict> {
        match self {
            Answer::Reject(reason) => Some(Verdict::Reject(reason)),
            Answer::RequirePairing(reason) => reason.map(Verdict::RequirePairing),
            Answer::Approve(grant) => Some(Verdict::Approve(grant)),
            Answer::SilentApprove(grant) => Some(Verdict::SilentApprove(grant)),
            Answer::RejectAsFound | Answer::Cap(_) => None,
        }
    }
}

/// When a clause applies.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All of them hold; the empty one always does.
    All(Vec<Spanned<Condition>>),
    /// One of them holds.
    Any(Vec<Spanned<Condition>>),
    /// It does not hold.
    Not(Box<Spanned<Condition>>),
    /// One comparison.
    Test(Comparison),
}

impl Condition {
    /// What always holds.
    pub const ALWAYS: Condition = Condition::All(Vec::new());
}

/// An attribute and what it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The attribute.
    pub attribute: AttributeId,
    /// What must be true of it.
    pub predicate: Predicate,
    /// Where it is written: in the clause, or in the definition it came from.
    pub span: Span,
}

/// What must be true of a fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// The flag holds.
    Holds,
    /// Its word, class, network or text is one of these.
    Among(Members),
    /// The set has all of these.
    Includes(ScopeSet),
    /// The set has none but these.
    Within(ScopeSet),
    /// The set is exactly this.
    Equals(ScopeSet),
}

/// What a fact may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// One bit for each word of the attribute's vocabulary.
    pub codes: u64,
    /// Networks, for addresses.
    pub networks: Vec<IpNet>,
    /// Texts, as they are compared.
    pub texts: Vec<Box<str>>,
}

/// A claim over all connections.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Whether it says never.
    pub never: bool,
    /// The connections it speaks of.
    pub condition: Condition,
    /// What they never, or always, come to.
    pub outcomes: Vec<Expected>,
    /// Its whole text.
    pub span: Span,
}

/// One example with its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// What is known.
    pub given: Given,
    /// What it must come to.
    pub expected: Spanned<Expected>,
    /// The reports it is tied to.
    pub issues: Vec<String>,
    /// Its whole text.
    pub span: Span,
}

/// What a test knows of its connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// Facts that were named; all others follow or have their defaults.
    Facts {
        /// All facts.
        facts: Box<Facts>,
        /// Which were named.
        named: Named,
    },
    /// A recorded handshake, at a path from the policy's folder.
    Recorded(Spanned<String>),
}

/// A fact that was named, for `test` and `--fact`.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedFact {
    /// The attribute.
    pub attribute: AttributeId,
    /// Its value.
    pub value: Value,
    /// Where it was written.
    pub span: Span,
}

/// A verdict as claims and tests ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// `admit`
    Admit,
    /// A kind of verdict, whatever its arguments.
    Kind(VerdictKind),
    /// `reject(reason)`
    Reject(Reason),
    /// `require-pairing(reason=…)`
    RequirePairing(PairingReason),
    /// `approve(…)` or `silent-approve(…)` with arguments.
    Grant(VerdictKind, Grant),
}

impl Expected {
    /// Whether the verdict is what was asked for.
    #[must_use]
    pub fn met_by(self, verdict: Verdict) -> bool {
        match self {
            Expected::Admit => verdict.admits(),
            Expected::Kind(kind) => verdict.kind() == kind,
            Expected::Reject(reason) => verdict == Verdict::Reject(reason),
            Expected::RequirePairing(reason) => verdict == Verdict::RequirePairing(reason),
            Expected::Grant(kind, grant) => {
                verdict.kind() == kind && verdict.grant() == Some(grant)
            }
        }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expected::Admit => f.write_str("admit"),
            Expected::Kind(kind) => kind.fmt(f),
            Expected::Reject(reason) => write!(f, "reject({reason})"),
            Expected::RequirePairing(reason) => write!(f, "require-pairing(reason={reason})"),
            // Without arguments it would be any approval.
            Expected::Grant(kind, grant) if *grant == Grant::default() => {
                write!(f, "{kind}(scopes=requested)")
            }
            Expected::Grant(kind, grant) => write!(f, "{kind}{grant}"),
        }
    }
}
