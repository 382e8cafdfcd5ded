//! That one gateway serves from a state folder: a file in it that is locked for as long, and says
//! where the gateway listens. Tools that only read or change what is remembered there claim nothing.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process;

use super::own;
use super::token::{private, private_folder};

/// The file that is locked. It stays: whoever removed it could remove the next one's.
const FILE: &str = "gw.lock";

/// A state folder that no other gateway serves from, until this is dropped or its process ends,
/// however it ends.
#[derive(Debug)]
pub struct Claim {
    lock: File,
}

impl Claim {
    /// Says where the gateway listens, for the tools of its owner: [`listening`] reads it.
    ///
    /// # Errors
    ///
    /// What the file system says.
    pub fn say(&self, urls: &[String]) -> io::Result<()> {
        let mut file = &self.lock;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}", process::id())?;
        urls.iter().try_for_each(|url| writeln!(file, "{url}"))
    }
}

/// Where the gateway that claimed a state folder last says that it listens: URLs, and the path of
/// its socket. Whether it still does is not said here: it may have ended without a word.
#[must_use]
pub fn listening(state: &Path) -> Vec<String> {
    let Ok(file) = own::open(File::options().read(true), &state.join(FILE)) else {
        return Vec::new();
    };
    let mut text = String::new();
    match file.take(MOST).read_to_string(&mut text) {
        Ok(_) => text.lines().skip(1).map(str::to_owned).collect(),
        Err(_) => Vec::new(),
    }
}

/// As much of the file is read, in bytes.
const MOST: u64 = 1 << 14;

/// Why a state folder is not claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another gateway serves from it.
    #[error("{holder} serves from {} already: end that one, or name another folder with `state`", .folder.display())]
    InUse {
        /// Which folder.
        folder: PathBuf,
        /// Who, as the file says: "process" and its id.
        holder: Box<str>,
    },
    /// The file system refused.
    #[error("{} cannot be locked: {source}", .path.display())]
    Io {
        /// Of which file.
        path: PathBuf,
        /// How it was refused.
        source: io::Error,
    },
}

/// Claims a state folder for a gateway; the folder is made when there is none.
///
/// # Errors
///
/// [`ClaimError`]; whoever serves from the folder is not disturbed.
pub fn claim(state: &Path) -> Result<Claim, ClaimError> {
    let path = state.join(FILE);
    let refused = |source| ClaimError::Io {
        path: path.clone(),
        source,
    };
    private_folder(state).map_err(refused)?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private(&mut options);
    let mut file = own::open(&mut options, &path).map_err(refused)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(ClaimError::InUse {
                folder: state.to_owned(),
                holder: holder(file),
            });
        }
        Err(TryLockError::Error(source)) => return Err(refused(source)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", process::id()))
        .map_err(refused)?;
    Ok(Claim { lock: file })
}

/// Who has the lock, as far as the file says so: it may just be written, or not be readable while
/// it is locked.
fn holder(file: File) -> Box<str> {
    let mut text = String::new();
    let read = file.take(MOST).read_to_string(&mut text);
    let first = text.lines().next().unwrap_or_default();
    match (read, first.trim().parse::<u32>()) {
        (Ok(_), Ok(id)) => format!("process {id}").into(),
        (Ok(_) | Err(_), _) => "another process".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_gateways_on_a_folder_the_second_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let first = claim(&state).unwrap();
        let error = claim(&state).unwrap_err().to_string();
        let who = format!("process {} serves from ", process::id());
        assert!(error.starts_with(&who), "{error}");
        assert!(listening(&state).is_empty());
        first.say(&["ws://127.0.0.1:5".to_owned()]).unwrap();
        assert_eq!(listening(&state), ["ws://127.0.0.1:5"]);
        let error = claim(&state).unwrap_err().to_string();
        assert!(error.starts_with(&who), "{error}");
        drop(first);
        claim(&state).unwrap();
        assert!(listening(&state).is_empty(), "it says so anew");
        claim(&folder.path().join("other")).unwrap();
    }

    /// What it leads to would be emptied.
    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "all of it").unwrap();
        std::os::unix::fs::symlink(&precious, folder.path().join(FILE)).unwrap();
        let error = claim(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("gw.lock cannot be locked: it is a link"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "all of it");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let _claim = claim(&state).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&state.join(FILE))), (0o700, 0o600));
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = claim(&file.path().join("state")).unwrap_err().to_string();
        assert!(error.contains("gw.lock cannot be locked: "), "{error}");
    }
}
