//! Which files a policy is made of: `include` and `extends`, without cycles, at most
//! [`MAX_FILES_DEEP`] deep, and with no way out of the policy's folder.
//!
//! Reading them is the caller's: it passes a function from paths to texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ast::{Ast, StatementKind};
use super::check::{self, EDITION, FileAst, Vocabulary};
use super::checked::Checked;
use super::parse::{extends, parse};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::source::{Source, SourceId, Sources, Span, Spanned};

/// What the name of a policy begins with that is part of the program: `built-in:default.policy`.
pub const BUILT_IN: &str = "built-in:";

/// How deep files may include or extend each other.
pub const MAX_FILES_DEEP: usize = 16;

/// What a file is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// A policy: it must stand in the folder of the first one.
    Policy,
    /// A recorded handshake, for a test: it may stand anywhere.
    Handshake,
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error("there is no such file")]
    NotFound,
    /// None of this name is part of the program; those that are.
    #[error("there is no such built-in policy")]
    NotBuiltIn(Vec<String>),
    /// It is a folder.
    #[error("it is a folder")]
    Folder,
    /// It is a pipe, a socket or a device.
    #[error("it is no file")]
    NoFile,
    /// It is a link that leads out of the policy's folder.
    #[error("it leads out of the policy's folder")]
    Outside,
    /// It is larger than this many bytes.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// It is no text.
    #[error("it is not UTF-8 text (byte {0})")]
    NotText(usize),
    /// The system says no.
    #[error("{0}")]
    Refused(String),
}

/// Reads a file by its path, for a purpose.
pub type Reader<'a> = dyn FnMut(&str, Read) -> Result<String, ReadError> + 'a;

/// A policy as meant, with the texts it came from and what there is to say about it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The texts.
    pub sources: Sources,
    /// What the first of them says, as it is written.
    pub ast: Arc<Ast>,
    /// The policy; `None` when there are errors.
    pub checked: Option<Checked>,
    /// The sets and definitions that it may use.
    pub vocabulary: Vocabulary,
    /// Errors and warnings, in the order of the texts.
    pub diagnostics: Diagnostics,
}

/// Loads the policy at `path`, whose text is given, and all it is made of.
pub fn load(path: &str, text: &str, reader: &mut Reader<'_>) -> Loaded {
    let mut files = Files {
        sources: Sources::default(),
        diagnostics: Diagnostics::default(),
        folder: folder(path).to_owned(),
        reader,
        asts: BTreeMap::new(),
    };
    let id = files.sources.add(Source::new(path, text));
    let ast = files.parse(id);
    files.asts.insert(path.to_owned(), Arc::clone(&ast));
    let checked = files.policy(path, &ast, &mut vec![path.to_owned()]);
    let Files {
        sources,
        mut diagnostics,
        ..
    } = files;
    diagnostics.sort();
    diagnostics.0.dedup();
    let (checked, vocabulary) = checked
        .filter(|_| !diagnostics.has_errors())
        .map_or_else(Default::default, |(checked, vocabulary)| {
            (Some(checked), vocabulary)
        });
    Loaded {
        sources,
        ast,
        checked,
        vocabulary,
        diagnostics,
    }
}

struct Files<'a, 'r> {
    sources: Sources,
    diagnostics: Diagnostics,
    folder: String,
    reader: &'a mut Reader<'r>,
    asts: BTreeMap<String, Arc<Ast>>,
}

impl Files<'_, '_> {
    fn parse(&mut self, id: SourceId) -> Arc<Ast> {
        let Some(source) = self.sources.get(id) else {
            return Arc::default();
        };
        if looks_like_json(&source.text) && !source.text.contains("gw-policy") {
            self.diagnostics.push(
                Diagnostic::error(
                    Code::MissingEdition,
                    "this is no policy, but JSON as it seems",
                )
                .label(Span::new(id, 0..0), "a policy begins with `gw-policy 1`")
                .help("a recorded handshake is explained by `gw explain FILE`"),
            );
            return Arc::default();
        }
        let (ast, mut diagnostics) = parse(id, source);
        let edition = match ast.statements.first().map(|first| &first.kind) {
            Some(StatementKind::Edition(version)) if version.value == EDITION => None,
            Some(StatementKind::Edition(version)) => Some(
                Diagnostic::error(
                    Code::MissingEdition,
                    format!(
                        "this is edition {}, and this program reads edition {EDITION}",
                        version.value
                    ),
                )
                .label(version.span, "not known")
                .help(format!("write `gw-policy {EDITION}`")),
            ),
            // A first statement that cannot be read may be the edition, and one that stands
            // too low is reported as such: one error is enough.
            _ if ast.unread.first || (diagnostics.has_errors() && ast.statements.is_empty()) => {
                None
            }
            _ if ast
                .statements
                .iter()
                .any(|s| matches!(s.kind, StatementKind::Edition(_))) =>
            {
                None
            }
            first => {
                let at = first
                    .and(ast.statements.first())
                    .map_or(Span::new(id, 0..0), |first| first.span.0);
                Some(
                    Diagnostic::error(Code::MissingEdition, "a policy begins with its edition")
                        .label(
                            Span {
                                end: at.start,
                                ..at
                            },
                            "before this",
                        )
                        .help(format!("write `gw-policy {EDITION}` as the first line")),
                )
            }
        };
        diagnostics.0.extend(edition);
        self.diagnostics.0.append(&mut diagnostics.0);
        Arc::new(ast)
    }

    /// The meaning of a policy file upon what it extends and includes.
    fn policy(
        &mut self,
        path: &str,
        ast: &Arc<Ast>,
        chain: &mut Vec<String>,
    ) -> Option<(Checked, Vocabulary)> {
        let mut includes = Vec::new();
        let mut base = None;
        let mut sound = true;
        for statement in &ast.statements {
            match &statement.kind {
                StatementKind::Include(target) => {
                    sound &= self.include(path, target, chain, &mut includes).is_some();
                }
                StatementKind::Extends(target) if base.is_none() => {
                    let loaded = self.open(path, target, chain, "extends");
                    base = loaded.and_then(|(target_path, target_ast)| {
                        chain.push(target_path.clone());
                        let checked = self.policy(&target_path, &target_ast, chain);
                        chain.pop();
                        checked
                    });
                    sound &= base.is_some();
                }
                StatementKind::Extends(_)
                | StatementKind::Edition(_)
                | StatementKind::Set { .. }
                | StatementKind::Define { .. }
                | StatementKind::Clause(_)
                | StatementKind::Claim { .. }
                | StatementKind::Relax { .. }
                | StatementKind::Test { .. } => {}
            }
        }
        if !sound {
            // Without its vocabulary, every name of the file would be reported as unknown.
            return None;
        }
        check::check(
            &FileAst {
                ast: Arc::clone(ast),
                includes,
            },
            base,
            &mut self.diagnostics,
        )
    }

    fn include(
        &mut self,
        from: &str,
        target: &Spanned<String>,
        chain: &mut Vec<String>,
        includes: &mut Vec<Arc<Ast>>,
    ) -> Option<()> {
        let (path, ast) = self.open(from, target, chain, "includes")?;
        // A file is gone through once, however often and by whatever way it is included.
        if includes.iter().any(|known| Arc::ptr_eq(known, &ast)) {
            return Some(());
        }
        includes.push(Arc::clone(&ast));
        chain.push(path.clone());
        let mut sound = Some(());
        for statement in &ast.statements {
            if let StatementKind::Include(inner) = &statement.kind {
                sound = sound.and(self.include(&path, inner, chain, includes));
            }
        }
        chain.pop();
        sound
    }

    /// The file that a statement names, read and parsed.
    fn open(
        &mut self,
        from: &str,
        target: &Spanned<String>,
        chain: &[String],
        verb: &str,
    ) -> Option<(String, Arc<Ast>)> {
        let Some(path) = resolve(&self.folder, from, &target.value) else {
            self.diagnostics.push(
                Diagnostic::error(
                    Code::IncludeOutside,
                    format!("\"{}\" leads out of the policy's folder", target.value),
                )
                .label(target.span, "not below the first file's folder")
                .help("copy the file into the folder, and name it relative to this one"),
            );
            return None;
        };
        if let Some(start) = chain.iter().position(|step| *step == path) {
            let cycle = chain.get(start..).unwrap_or_default().join(" → ");
            self.diagnostics.push(
                Diagnostic::error(
                    Code::IncludeCycle,
                    format!("files lead back to themselves: {cycle} → {path}"),
                )
                .label(target.span, format!("{verb} a file that leads here"))
                .help("move what both need into a third file, and include that"),
            );
            return None;
        }
        if chain.len() >= MAX_FILES_DEEP {
            self.diagnostics.push(
                Diagnostic::error(
                    Code::NestedTooDeeply,
                    format!("files are nested more than {MAX_FILES_DEEP} deep"),
                )
                .label(target.span, "one too many")
                .help("include what you need from fewer files"),
            );
            return None;
        }
        if let Some(ast) = self.asts.get(&path) {
            return Some((path.clone(), Arc::clone(ast)));
        }
        match (self.reader)(&path, Read::Policy) {
            Ok(text) => {
                let id = self.sources.add(Source::new(&path, &text));
                let before = self.diagnostics.0.len();
                let ast = self.parse(id);
                self.asts.insert(path.clone(), Arc::clone(&ast));
                let broken = self.diagnostics.0.len() > before;
                (!broken).then_some((path, ast))
            }
            Err(error) => {
                let help = match &error {
                    ReadError::NotBuiltIn(names) => built_in_names(names),
                    ReadError::Outside
                    | ReadError::TooLarge(_)
                    | ReadError::NotFound
                    | ReadError::Folder
                    | ReadError::NoFile
                    | ReadError::NotText(_)
                    | ReadError::Refused(_) => {
                        "paths are relative to the file that names them".to_owned()
                    }
                };
                let code = match error {
                    ReadError::Outside => Code::IncludeOutside,
                    ReadError::TooLarge(_) => Code::FileTooLarge,
                    ReadError::NotFound
                    | ReadError::NotBuiltIn(_)
                    | ReadError::Folder
                    | ReadError::NoFile
                    | ReadError::NotText(_)
                    | ReadError::Refused(_) => Code::UnreadableFile,
                };
                self.diagnostics.push(
                    Diagnostic::error(code, format!("{path} cannot be read: {error}"))
                        .label(target.span, "named here")
                        .help(help),
                );
                None
            }
        }
    }
}

/// Which policies are part of the program, as a sentence.
#[must_use]
pub fn built_in_names(names: &[String]) -> String {
    format!("the built-in policies are {}", names.join(", "))
}

/// The path of the policy that the one at `path`, with this text, extends; `root` is the
/// policy that was asked for.
#[must_use]
pub fn extended(root: &str, path: &str, text: &str) -> Option<String> {
    resolve(folder(root), path, &extends(text)?)
}

/// The path of a file named in another, or `None` when it is outside of the root's folder.
fn resolve(root: &str, from: &str, target: &str) -> Option<String> {
    // What is part of the program has no folder, and only its own kind beside it.
    if target.starts_with(BUILT_IN) {
        return Some(target.to_owned());
    }
    if from.starts_with(BUILT_IN) {
        return Some(format!("{BUILT_IN}{target}"));
    }
    let absolute = target.starts_with(['/', '\\']) || target.contains(':');
    if absolute || target.contains('\\') || target.is_empty() {
        return None;
    }
    let inside = folder(from).strip_prefix(root)?;
    let mut steps: Vec<&str> = inside.split('/').filter(|step| !step.is_empty()).collect();
    for step in target.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop()?;
            }
            step => steps.push(step),
        }
    }
    Some(format!("{root}{}", steps.join("/")))
}

/// Whether a text begins as JSON does, and not with the label of a rule.
fn looks_like_json(text: &str) -> bool {
    let text = text.trim_start();
    let Some(rest) = text.strip_prefix('[') else {
        return text.starts_with('{');
    };
    let Some((label, rule)) = rest.split_once(']') else {
        return true;
    };
    let is_name = label.starts_with(|first: char| first.is_ascii_alphabetic())
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    !is_name || rule.trim().is_empty()
}

/// The folder of a path, with its separator; empty for a bare name.
fn folder(path: &str) -> &str {
    path.rfind(['/', '\\'])
        .and_then(|at| path.get(..=at))
        .unwrap_or("")
}

/// A path named in a file, from that file's folder: for recorded handshakes, which may
/// stand anywhere.
#[must_use]
pub fn beside(from: &str, target: &str) -> String {
    if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("{}{target}", folder(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_all(files: &[(&str, &str)]) -> Loaded {
        let mut reader = |path: &str, _| {
            let found = files.iter().find(|(name, _)| *name == path);
            found
                .map(|(_, text)| (*text).to_owned())
                .ok_or(ReadError::NotFound)
        };
        let (path, text) = files[0];
        load(path, text, &mut reader)
    }

    #[test]
    fn vocabulary_may_be_included_here_and_in_what_is_extended() {
        let loaded = load_all(&[
            (
                "p/mine.policy",
                "gw-policy 1\nextends \"base.policy\"\ninclude \"names.policy\"\ninclude \"./names.policy\"\nlocal → approve\n",
            ),
            (
                "p/base.policy",
                "gw-policy 1\ninclude \"names.policy\"\ndefault → require-pairing\n",
            ),
            ("p/names.policy", "gw-policy 1\ndefine local = loopback\n"),
        ]);
        assert_eq!(loaded.diagnostics.to_string(), "no problems");
        assert_eq!(loaded.checked.unwrap().rules.len(), 1);
    }

    #[test]
    fn a_label_is_not_json() {
        for (text, json) in [
            ("[known-device] pairing=paired → approve", false),
            ("{\"gw-handshake\": 1}", true),
            ("  [\"a\", \"b\"]", true),
            ("[1] ", true),
            ("[null]\n", true),
            ("[", true),
            ("client=cli → approve", false),
        ] {
            assert_eq!(looks_like_json(text), json, "{text}");
        }
        let loaded = load_all(&[("p.policy", "[known] pairing=paired → approve\n")]);
        let said = loaded.diagnostics.to_string();
        assert!(said.contains("begins with its edition"), "{said}");
    }

    #[test]
    fn what_a_policy_extends_is_found_without_loading_it() {
        let base = |text| extended("p/mine.policy", "p/sub/mine.policy", text);
        let text = "gw-policy 1\nextends \"../base.policy\"\n";
        assert_eq!(base(text).as_deref(), Some("p/base.policy"));
        let built_in = "gw-policy 1\nextends \"built-in:lan.policy\"\n";
        assert_eq!(base(built_in).as_deref(), Some("built-in:lan.policy"));
        assert_eq!(base("gw-policy 1\nextends \"../../x.policy\"\n"), None);
        assert_eq!(base("gw-policy 1\ndefault → require-pairing\n"), None);
    }

    #[test]
    fn paths_stay_in_the_folder() {
        let resolved = |from: &str, target: &str| {
            let text = format!("gw-policy 1\ninclude \"{target}\"\ndefault → require-pairing\n");
            let mut asked = Vec::new();
            let _ = load(from, &text, &mut |path, _| {
                asked.push(path.to_owned());
                Err(ReadError::NotFound)
            });
            asked.pop()
        };
        assert_eq!(
            resolved("p/a.policy", "sub/../b.policy").as_deref(),
            Some("p/b.policy")
        );
        assert_eq!(
            resolved("a.policy", "./b.policy").as_deref(),
            Some("b.policy")
        );
        for outside in [
            "../b.policy",
            "sub/../../b.policy",
            "/etc/b.policy",
            "C:b.policy",
            "..\\b.policy",
            "",
        ] {
            assert_eq!(resolved("p/a.policy", outside), None, "{outside}");
        }
    }
}
