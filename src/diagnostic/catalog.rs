//! THE TABLE of diagnostics: each code, in a sentence, with its page.
//!
//! A code is a name that can be remembered and searched. Its page in `docs/diagnostics/` is
//! part of the binary and is run as its test.

/// Declares the codes; a code without a page does not compile.
macro_rules! catalog {
    ($($variant:ident $name:literal $summary:literal,)*) => {
        /// Which diagnostic it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $summary] $variant,)*
        }

        impl Code {
            /// Every code, in alphabetical order.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The name that users see.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// One sentence: what it is about.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Code::$variant => $summary,)* }
            }

            /// The page, in Markdown.
            #[must_use]
            pub fn page(self) -> &'static str {
                match self {
                    $(Code::$variant => include_str!(concat!("../../docs/diagnostics/", $name, ".md")),)*
                }
            }

            /// The code with this name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Code::$variant),)* _ => None }
            }
        }
    };
}

catalog! {
    AnalysisBudget "analysis-budget" "a policy that takes more to analyse than is allowed",
    BrowserCanReach "browser-can-reach" "a rule that any web page can use",
    CannotReach "cannot-reach" "a gateway that is not reached",
    CannotServe "cannot-serve" "a gateway that cannot start",
    CatchAllNotLast "catch-all-not-last" "a rule that always applies, and is not the last one",
    ConfusableText "confusable-text" "text that does not read as it is stored",
    Contradiction "contradiction" "a condition that no connection can meet",
    ContradictoryFacts "contradictory-facts" "facts that no connection can have at once",
    CoveredRule "covered-rule" "a rule that others decide before it, alike",
    CyclicDefinition "cyclic-definition" "a definition that leads back to itself",
    DeadEnd "dead-end" "a refusal whose way on leads nowhere",
    DuplicateName "duplicate-name" "one name for two things",
    FailedTest "failed-test" "a test of the policy does not come out as it says",
    FileTooLarge "file-too-large" "a file beyond the limit",
    GuardAdmits "guard-admits" "a guard with a verdict that lets someone in",
    HostBitsSet "host-bits-set" "a network written with the address of a host",
    IdleGuard "idle-guard" "a guard that restricts nobody",
    ImpossibleAttacker "impossible-attacker" "an attacker that nobody can be",
    IncludeCycle "include-cycle" "files that include each other",
    IncludeOutside "include-outside" "a file outside the policy's folder",
    IncludedRules "included-rules" "an included file that holds more than vocabulary",
    InvalidConfig "invalid-config" "a configuration that cannot be read, or that contradicts itself",
    InvalidConstants "invalid-constants" "a file of constants that cannot be read",
    InvalidFact "invalid-fact" "a fact on the command line that cannot be read",
    InvalidHandshake "invalid-handshake" "a recorded handshake that cannot be read",
    InvalidTarget "invalid-target" "a gateway that is named so that it cannot be asked",
    MisplacedStatement "misplaced-statement" "a statement where it cannot stand",
    MissingDefault "missing-default" "a policy that does not say what happens to all others",
    MissingEdition "missing-edition" "a file that does not begin with its edition",
    MixedOperators "mixed-operators" "`and` with `or`, without parentheses",
    NegationKnot "negation-knot" "a denial of a denial",
    NestedTooDeeply "nested-too-deeply" "conditions or files nested beyond the limit",
    NoAnswer "no-answer" "a gateway that is there, and gives no answer",
    NoSuchConnection "no-such-connection" "a connection that a log does not have, or not alone",
    NoSuchRow "no-such-row" "a row of a recording that is not there, or cannot be replayed",
    NoWayIn "no-way-in" "a policy under which nobody can approve anybody",
    NotAGateway "not-a-gateway" "something that answers in the place of a gateway",
    OpaqueOrigin "opaque-origin" "a rule that a web page without a name can use",
    OpenDoor "open-door" "a rule that asks nothing of other hosts",
    PropertyVacuous "property-vacuous" "a claim that speaks of no connection",
    PropertyViolated "property-violated" "a claim that does not hold",
    ProxiedLoopback "proxied-loopback" "a rule that trusts this host, and whoever comes through a proxy on it",
    Rebinding "rebinding" "a rule that a page can use whose name points at the gateway",
    RedundantCondition "redundant-condition" "a condition that changes no verdict",
    RedundantRule "redundant-rule" "a rule that changes no verdict",
    ReservedName "reserved-name" "a name that would read as something else",
    RiskyConfig "risky-config" "a configuration that opens more than most want",
    SetOverlap "set-overlap" "a value that another one of its set covers",
    ShadowedRule "shadowed-rule" "a rule that others decide before it",
    SilentReject "silent-reject" "a refusal that does not say why",
    StaleSuppression "stale-suppression" "a comment that allows nothing",
    Syntax "syntax" "a statement that cannot be read",
    TooEarly "too-early" "a fact that is not known yet at this stage",
    TrustOnClaims "trust-on-claims" "a rule that takes a stranger's word",
    TypeMismatch "type-mismatch" "a comparison that the attribute's type does not have",
    UnknownAnnotation "unknown-annotation" "an annotation that means nothing",
    UnknownAttacker "unknown-attacker" "an attacker that nothing is known of",
    UnknownAttribute "unknown-attribute" "a name that nothing has",
    UnknownClaim "unknown-claim" "a claim to relax that the extended file does not make",
    UnknownSet "unknown-set" "a set of values that nobody named",
    UnknownValue "unknown-value" "a value that the attribute cannot have",
    UnknownVerdict "unknown-verdict" "a verdict, reason or argument that does not exist",
    UnreadableFile "unreadable-file" "a file that cannot be read",
    UnsafeSecret "unsafe-secret" "a secret that others can read or guess",
    UntrustedCertificate "untrusted-certificate" "a certificate that nobody vouches for, or another one than the pinned one",
    UnusableSecret "unusable-secret" "a secret to come in with that is not there, or is none",
    UnusedName "unused-name" "a name that nothing uses",
    UnverifiedAdmin "unverified-admin" "a rule that lets a process of this host administer for the asking",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_their_pages_name_them() {
        let names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted);
        for code in Code::ALL {
            assert_eq!(Code::parse(code.name()), Some(*code));
            let title = format!("# {}\n", code.name());
            assert!(
                code.page().starts_with(&title),
                "{} does not begin with its name",
                code.name()
            );
        }
    }
}
