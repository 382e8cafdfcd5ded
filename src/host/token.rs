//! The shared token that the gateway makes for itself, and files that only their owner may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::strength::weakness;
use crate::secret::Secret;

/// How many random bytes a token has.
const BYTES: usize = 32;

/// What a made secret is, and what may be done about one that is none.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Its name.
    pub name: &'static str,
    /// What to do, and what is lost by it.
    pub anew: &'static str,
}

/// The shared token.
const TOKEN: Made = Made {
    name: "the token",
    anew: "remove the file, and another one is made",
};

/// The token that is kept at a path; it is made when there is none. Whoever else makes one at the
/// same time gets the same.
///
/// # Errors
///
/// A sentence with the path and what to do: the file cannot be written or read, others may read
/// it, or what it holds is no secret.
pub fn made(path: &Path) -> Result<Secret, String> {
    made_as(path, TOKEN)
}

/// The same, of a secret that is something else.
///
/// # Errors
///
/// As of [`made`].
pub fn made_as(path: &Path, what: Made) -> Result<Secret, String> {
    if !path.exists() {
        let mut bytes = [0u8; BYTES];
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system has no randomness".to_owned())?;
        let token = Secret::new(&URL_SAFE_NO_PAD.encode(bytes));
        match keep(path, &token) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(format!("{} cannot be written: {error}", path.display()));
            }
        }
    }
    let said = |error: &str| format!("{} cannot be read: {error}", path.display());
    let (text, mode) =
        super::read(path, super::MAX_SECRET, super::Whose::Ours).map_err(|error| said(&error))?;
    if mode.is_some_and(|mode| mode & 0o077 != 0) {
        let path = path.display();
        return Err(format!("others may read {path}: run `chmod 600 {path}`"));
    }
    let token = Secret::new(&text);
    match weakness(&token) {
        None => Ok(token),
        Some(weak) => Err(format!(
            "{} in {} {weak}: {}",
            what.name,
            path.display(),
            what.anew
        )),
    }
}

/// Keeps a secret in a file of its own that nobody else may read. The file is there as a whole or
/// not at all, and never takes the place of another one.
///
/// # Errors
///
/// What the system says; [`ErrorKind::AlreadyExists`] when there is such a file.
pub fn keep(path: &Path, secret: &Secret) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    private_folder(folder)?;
    let (mut file, beside) = beside(path)?;
    let written = file
        .write_all(secret.expose().as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .and_then(|()| place(&beside, path));
    drop(file);
    let _ = fs::remove_file(&beside);
    written?;
    // The name is kept too; systems that cannot sync a folder keep it anyway.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Gives a written file its name. A link never takes the place of another file; where there are
/// no links, a name that is free is taken by renaming.
fn place(beside: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(beside, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            if path.exists() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(beside, path)
        }
        linked => linked,
    }
}

/// A new file in the same folder.
fn beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut random = [0u8; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", URL_SAFE_NO_PAD.encode(random)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let file = options.open(&beside)?;
    Ok((file, beside))
}

#[cfg(unix)]
pub(super) fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(not(unix))]
pub(super) fn private(_: &mut OpenOptions) {}

/// Makes a folder that only its owner may enter; one that is there stays as it is.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/gw/token");
        let token = made(&path).unwrap();
        assert_eq!(token.expose().len(), 43);
        assert!(made(&path).unwrap().matches(&token));
        let state = path.parent().unwrap();
        assert_eq!(
            fs::read_dir(state).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        let error = keep(&path, &Secret::new("another")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(made(&path).unwrap().matches(&token));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/token");
        let token = made(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = made(&path).unwrap_err();
        assert!(
            error.contains("chmod 600") && !error.contains(token.expose()),
            "{error}"
        );
    }

    /// Whoever planted it chose the token.
    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, planted) = (folder.path().join("token"), folder.path().join("planted"));
        made(&planted).unwrap();
        std::os::unix::fs::symlink(&planted, &path).unwrap();
        let error = made(&path).unwrap_err();
        assert!(
            error.contains("token cannot be read: it is a link"),
            "{error}"
        );
    }

    #[test]
    fn many_at_once_get_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let tokens: Vec<Secret> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| made(&path).unwrap()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(tokens.iter().all(|token| token.matches(&tokens[0])));
    }

    #[test]
    fn what_is_no_secret_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        keep(&path, &Secret::new("changeme")).unwrap();
        let error = made(&path).unwrap_err();
        assert!(
            error.contains("is a placeholder: remove the file"),
            "{error}"
        );
    }
}
