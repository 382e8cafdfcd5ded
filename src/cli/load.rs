//! Reading policies and handshakes from disk, bounded, with errors that say what and where.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use crate::analysis::Analysed;
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::lang::files::{BUILT_IN, built_in_names};
use crate::lang::parse::MAX_BYTES;
use crate::lang::{Read, ReadError};
use crate::policy::{Policy, PolicyError};
use crate::source::Sources;

/// The largest recorded handshake, in bytes: frames before admission have at most 64 KiB.
pub(super) const MAX_HANDSHAKE_BYTES: u64 = 1 << 20;

/// Where the default policy is looked for before the built-in one.
pub(super) const DEFAULT_POLICY: &str = "policies/default.policy";

/// The policies that are part of the program, by file name, with the constants of releases.
const SHIPPED: &[(&str, &str)] = &[
    (
        "default.policy",
        include_str!("../../policies/default.policy"),
    ),
    (
        "docker.policy",
        include_str!("../../policies/docker.policy"),
    ),
    ("lan.policy", include_str!("../../policies/lan.policy")),
    (
        "openclaw/2026.3.23.policy",
        include_str!("../../policies/openclaw/2026.3.23.policy"),
    ),
    (
        "openclaw/2026.3.23.yaml",
        include_str!("../../policies/openclaw/2026.3.23.yaml"),
    ),
    (
        "openclaw/2026.4.15.policy",
        include_str!("../../policies/openclaw/2026.4.15.policy"),
    ),
    (
        "openclaw/2026.4.15.yaml",
        include_str!("../../policies/openclaw/2026.4.15.yaml"),
    ),
    (
        "openclaw/2026.4.22.policy",
        include_str!("../../policies/openclaw/2026.4.22.policy"),
    ),
    (
        "openclaw/2026.4.22.yaml",
        include_str!("../../policies/openclaw/2026.4.22.yaml"),
    ),
    (
        "openclaw/2026.9.6.policy",
        include_str!("../../policies/openclaw/2026.9.6.policy"),
    ),
    (
        "openclaw/2026.9.6.yaml",
        include_str!("../../policies/openclaw/2026.9.6.yaml"),
    ),
];

/// Reads a text file of at most `limit` bytes; `-` is standard input.
pub(super) fn read(path: &str, limit: u64) -> Result<String, ReadError> {
    let bytes = read_bytes(path, limit)?;
    String::from_utf8(bytes).map_err(|error| ReadError::NotText(error.utf8_error().valid_up_to()))
}

/// Reads a file of at most `limit` bytes; `-` is standard input.
pub(super) fn read_bytes(path: &str, limit: u64) -> Result<Vec<u8>, ReadError> {
    let refused = |error: &std::io::Error| {
        if error.kind() == ErrorKind::NotFound {
            ReadError::NotFound
        } else if error.kind() == ErrorKind::IsADirectory {
            ReadError::Folder
        } else {
            ReadError::Refused(error.to_string())
        }
    };
    let mut bytes = Vec::new();
    if path == "-" {
        std::io::stdin()
            .take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| refused(&error))?;
    } else {
        let file = File::open(path).map_err(|error| refused(&error))?;
        let metadata = file.metadata().map_err(|error| refused(&error))?;
        if metadata.is_dir() {
            return Err(ReadError::Folder);
        }
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| refused(&error))?;
    }
    if bytes.len() as u64 > limit {
        return Err(ReadError::TooLarge(limit));
    }
    Ok(bytes)
}

/// The same of a file that nobody named on the command line, where a pipe brings nothing.
pub(super) fn read_file(path: &str, limit: u64) -> Result<String, ReadError> {
    match is_endless(path) {
        true => Err(ReadError::NoFile),
        false => read(path, limit),
    }
}

/// Whether a path leads to a pipe, a socket or a device: opening a pipe would wait for somebody to
/// write into it.
pub(super) fn is_endless(path: &str) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// The diagnostic for a file that was named on the command line and cannot be read.
pub(super) fn unreadable(path: &str, error: &ReadError) -> Diagnostic {
    let code = match error {
        ReadError::TooLarge(_) => Code::FileTooLarge,
        ReadError::Outside => Code::IncludeOutside,
        ReadError::NotFound
        | ReadError::NotBuiltIn(_)
        | ReadError::Folder
        | ReadError::NoFile
        | ReadError::NotText(_)
        | ReadError::Refused(_) => Code::UnreadableFile,
    };
    let built_in;
    let help = match error {
        ReadError::NotBuiltIn(names) => {
            built_in = built_in_names(names);
            &*built_in
        }
        ReadError::NotFound => "check the path; it is relative to the folder that you are in",
        ReadError::Folder => "name a file in it",
        ReadError::NoFile => "put a file in its place",
        ReadError::TooLarge(_) => "is it the right file?",
        ReadError::NotText(_) => "is it the right file? policies and handshakes are UTF-8 text",
        ReadError::Outside | ReadError::Refused(_) => "check the file and its permissions",
    };
    Diagnostic::error(code, format!("{path} cannot be read: {error}")).help(help)
}

/// The policy at a path: a file, or `built-in:NAME`.
pub(super) fn policy(path: &str, tested: bool) -> Result<Policy, PolicyError> {
    let text = own_text(path)?;
    let mut reader = reader_of(path);
    if tested {
        Policy::load(path, &text, &mut reader)
    } else {
        Policy::load_untested(path, &text, &mut reader)
    }
}

/// The same, tested; says of each file that it is about to be read, whether or not it is there.
pub(super) fn policy_of(path: &str, note: &dyn Fn(&str)) -> Result<Policy, PolicyError> {
    note(path);
    let text = own_text(path)?;
    let mut reader = reader_of(path);
    Policy::load(path, &text, &mut |named, purpose| {
        note(named);
        reader(named, purpose)
    })
}

/// The same, tested, with what was looked at to prove its claims.
pub(super) fn analysed(path: &str) -> Result<(Policy, Option<Analysed>), PolicyError> {
    Policy::load_analysed(path, &own_text(path)?, &mut reader_of(path))
}

fn own_text(path: &str) -> Result<String, PolicyError> {
    let text = match path {
        "-" => read(path, MAX_BYTES as u64),
        path => policy_text(path, path),
    };
    text.map_err(|error| PolicyError {
        sources: Sources::default(),
        diagnostics: Diagnostics(vec![unreadable(path, &error)]),
    })
}

/// The text of a policy, for the one at `root`. Standard input is not read: it can be only once.
pub(super) fn policy_text(path: &str, root: &str) -> Result<String, ReadError> {
    if path == root && path != "-" && !path.starts_with(BUILT_IN) {
        return read(path, MAX_BYTES as u64);
    }
    reader(path, Read::Policy, root)
}

/// Reads what the policy at a path names.
pub(super) fn reader_of(root: &str) -> impl FnMut(&str, Read) -> Result<String, ReadError> {
    move |path, purpose| reader(path, purpose, root)
}

/// The default policy's path: the file where a checkout has it, else the built-in one.
pub(super) fn default_policy() -> String {
    if Path::new(DEFAULT_POLICY).is_file() {
        DEFAULT_POLICY.to_owned()
    } else {
        format!("{BUILT_IN}default.policy")
    }
}

/// The policies that were named, or the default one.
pub(super) fn named_or_default(files: &[String]) -> Vec<String> {
    match files.is_empty() {
        true => vec![default_policy()],
        false => files.to_vec(),
    }
}

/// Whether a path names what is part of the program.
pub(super) fn is_built_in(path: &str) -> bool {
    path.starts_with(BUILT_IN)
}

pub(super) fn built_in(path: &str) -> Option<&'static str> {
    let name = path.strip_prefix(BUILT_IN)?;
    SHIPPED
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

/// The policies that are part of the program, as they are named.
pub(super) fn built_in_policies() -> Vec<String> {
    SHIPPED
        .iter()
        .filter(|(name, _)| name.ends_with(".policy"))
        .map(|(name, _)| format!("{BUILT_IN}{name}"))
        .collect()
}

/// The built-in policy of a release.
pub(super) fn of_release(release: &str) -> Option<String> {
    let path = format!("{BUILT_IN}openclaw/{release}.policy");
    built_in(&path).map(|_| path)
}

/// Reads what a policy names. A link does not lead a policy out of its folder.
fn reader(path: &str, purpose: Read, root: &str) -> Result<String, ReadError> {
    // Standard input is for the command line, not for what a file names.
    if path == "-" {
        return Err(ReadError::NotFound);
    }
    if path.starts_with(BUILT_IN) {
        let found = built_in(path).map(str::to_owned);
        return found.ok_or_else(|| ReadError::NotBuiltIn(built_in_policies()));
    }
    if is_endless(path) {
        return Err(ReadError::NoFile);
    }
    match purpose {
        Read::Handshake => read(path, MAX_HANDSHAKE_BYTES),
        Read::Policy => {
            let folder = match Path::new(root).parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let inside = |path: &Path| {
                let real = fs::canonicalize(path).ok()?;
                Some(real.starts_with(fs::canonicalize(folder).ok()?))
            };
            if inside(Path::new(path)) == Some(false) {
                return Err(ReadError::Outside);
            }
            read(path, MAX_BYTES as u64)
        }
    }
}
