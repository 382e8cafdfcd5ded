//! A policy that has been read, checked, compiled, and holds its own tests.
//!
//! This is the paved path: [`Policy::parse`] or [`Policy::load`], then [`Policy::program`].
//! A file that claims what is not so does not load.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;

use crate::analysis::{Analysed, Budget, Side, canonical, prove};
use crate::claims;
use crate::compile::{ClauseId, Program, compile};
use crate::diagnostic::Diagnostics;
use crate::facts::Text;
use crate::lang::ast::Ast;
use crate::lang::check::Vocabulary;
use crate::lang::checked::{Checked, Clause};
use crate::lang::files::Reader;
use crate::lang::{ReadError, format, load};
use crate::source::Sources;

/// A policy, ready to decide.
#[derive(Clone, Debug)]
pub struct Policy {
    sources: Sources,
    ast: Arc<Ast>,
    checked: Checked,
    vocabulary: Vocabulary,
    program: Program,
    warnings: Diagnostics,
    name: Text,
    digest: Text,
    /// Found when it is first asked for, for all copies of the policy.
    fingerprint: Arc<OnceLock<Option<Text>>>,
    /// Of each clause, found when it is first asked for: every line of a log names one.
    clause_names: Box<[OnceLock<ClauseName>]>,
}

/// How a clause is named: [`Policy::label`] and [`Policy::clause_hash`].
#[derive(Clone, Debug)]
pub(crate) struct ClauseName {
    pub(crate) label: Text,
    pub(crate) hash: Text,
}

/// Why a policy does not load: what is wrong, with the texts it is wrong in.
#[derive(Clone, Debug)]
pub struct PolicyError {
    /// The texts that the diagnostics point into.
    pub sources: Sources,
    /// What is wrong, in the order of the texts; warnings among it.
    pub diagnostics: Diagnostics,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostics.fmt(f)
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// A policy of one text, which includes and extends nothing.
    ///
    /// ```
    /// let policy = gw::Policy::parse("my.policy", "gw-policy 1
    /// client=cli and auth=token and loopback and no-origin → silent-approve
    /// default → require-pairing
    /// ")?;
    /// let decision = gw::decide(policy.program(), &gw::Facts::default());
    /// assert_eq!(decision.verdict.to_string(), "require-pairing(not-paired)");
    /// # Ok::<(), gw::policy::PolicyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PolicyError`] with every mistake that was found.
    pub fn parse(name: &str, text: &str) -> Result<Self, PolicyError> {
        Self::load(name, text, &mut |_, _| Err(ReadError::NotFound))
    }

    /// The policy at `path`, whose text is given; `reader` is asked for what it includes and
    /// extends, and for the handshakes of its tests.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] with every mistake that was found, failing tests and claims that do not hold
    /// among them.
    pub fn load(path: &str, text: &str, reader: &mut Reader<'_>) -> Result<Self, PolicyError> {
        Self::load_analysed(path, text, reader).map(|(policy, _)| policy)
    }

    /// The same, with what was looked at to prove its claims.
    pub(crate) fn load_analysed(
        path: &str,
        text: &str,
        reader: &mut Reader<'_>,
    ) -> Result<(Self, Option<Analysed>), PolicyError> {
        Self::load_untested(path, text, reader)?.tested(reader)
    }

    /// The same, without running its tests and without proving its claims: for those who look at
    /// one connection, or run the tests one by one.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] with every mistake that was found.
    pub fn load_untested(
        path: &str,
        text: &str,
        reader: &mut Reader<'_>,
    ) -> Result<Self, PolicyError> {
        let loaded = load(path, text, reader);
        let (sources, ast, diagnostics) = (loaded.sources, loaded.ast, loaded.diagnostics);
        let Some(checked) = loaded.checked else {
            return Err(PolicyError {
                sources,
                diagnostics,
            });
        };
        let program = compile(&checked);
        let digest = digest_of(&sources).into();
        let first = sources.iter().next();
        let name = first.map_or(Text::EMPTY, |(_, first)| (&*first.name).into());
        let clauses = checked.guards.len() + checked.rules.len() + 1;
        Ok(Policy {
            name,
            clause_names: vec![OnceLock::new(); clauses].into(),
            sources,
            ast,
            checked,
            vocabulary: loaded.vocabulary,
            program,
            warnings: diagnostics,
            digest,
            fingerprint: Arc::default(),
        })
    }

    /// Holds a policy against what it says of itself.
    fn tested(mut self, reader: &mut Reader<'_>) -> Result<(Self, Option<Analysed>), PolicyError> {
        let results = claims::run(&self.checked, &self.sources, reader).into_iter();
        let failures = results.filter_map(|result| result.failure);
        let (proved, analysed) = prove(
            &self.checked,
            &self.program,
            &self.vocabulary,
            &self.sources,
        );
        self.warnings.0.extend(failures.chain(proved));
        self.warnings.sort();
        match self.warnings.has_errors() {
            false => Ok((self, analysed)),
            true => Err(PolicyError {
                sources: self.sources,
                diagnostics: self.warnings,
            }),
        }
    }

    /// What decides.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The policy as meant.
    #[must_use]
    pub fn checked(&self) -> &Checked {
        &self.checked
    }

    /// The sets and definitions that it may use, those of what it extends and includes among them.
    #[must_use]
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// It as one of two that are compared.
    pub(crate) fn side(&self) -> Side<'_> {
        Side {
            program: &self.program,
            checked: &self.checked,
            vocabulary: &self.vocabulary,
        }
    }

    /// Its own text as it is written.
    #[must_use]
    pub fn ast(&self) -> &Arc<Ast> {
        &self.ast
    }

    /// The texts it came from.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What is suspicious about it, though it loads.
    #[must_use]
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// A clause of it.
    #[must_use]
    pub fn clause(&self, id: ClauseId) -> &Clause {
        self.checked.clause(id.0 as usize)
    }

    /// What a clause is called: its label, or `file:line`.
    #[must_use]
    pub fn label(&self, id: ClauseId) -> String {
        let clause = self.clause(id);
        clause
            .label
            .clone()
            .unwrap_or_else(|| self.sources.place(clause.span))
    }

    /// A short hash of a clause's own text: it stays when lines above it change.
    #[must_use]
    pub fn clause_hash(&self, id: ClauseId) -> &str {
        &self.clause_name(id).hash
    }

    /// How a clause is named in the log.
    pub(crate) fn clause_name(&self, id: ClauseId) -> &ClauseName {
        const NONE: &ClauseName = &ClauseName {
            label: Text::EMPTY,
            hash: Text::EMPTY,
        };
        let found = || {
            let text = format(self.sources.slice(self.clause(id).span));
            ClauseName {
                label: self.label(id).into(),
                hash: hex(text.as_bytes(), 8).into(),
            }
        };
        // What has no clause of its own is the default, which stands last.
        let known = self.clause_names.get(id.0 as usize);
        let known = known.or(self.clause_names.last());
        known.map_or(NONE, |known| known.get_or_init(found))
    }

    /// How the policy is named there: [`Policy::name`], [`Policy::digest`] and
    /// [`Policy::known_fingerprint`].
    pub(crate) fn names(&self) -> (&Text, &Text, Option<&Text>) {
        let fingerprint = self.fingerprint.get().and_then(Option::as_ref);
        (&self.name, &self.digest, fingerprint)
    }

    /// What the policy was read as: a path, or `built-in:NAME`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A hash of all texts of the policy: which policy decided.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// A hash over what the policy means: the same for two policies that answer every connection
    /// alike, however they are written. `None` for one that is too large to be analysed.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        let found = self.fingerprint.get_or_init(|| {
            let text = canonical(&self.checked, &self.program, Budget::default()).ok()?;
            Some(format!("{PREFIX}{}", hex(text.as_bytes(), 32)).into())
        });
        found.as_deref()
    }

    /// The same, if somebody asked for it before: it takes longer than a connection may wait.
    #[must_use]
    pub fn known_fingerprint(&self) -> Option<&str> {
        self.fingerprint.get()?.as_deref()
    }
}

/// What a fingerprint begins with: how it is made.
const PREFIX: &str = "gwfp1:";

fn digest_of(sources: &Sources) -> String {
    let mut all = String::new();
    for (_, source) in sources.iter() {
        all.push_str(&source.text);
        all.push('\0');
    }
    hex(all.as_bytes(), 12)
}

/// The first digits of a SHA-256, in hex.
fn hex(bytes: &[u8], digits: usize) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    let mut text: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    text.truncate(digits);
    text
}
