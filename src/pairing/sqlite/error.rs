//! Why a database of devices is not opened. What is kept in it was not changed then.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a database was not opened. What is there stays as it was; it is never taken for empty.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refused.
    #[error("{} cannot be {what}: {source}", .path.display())]
    Io {
        /// Of which file or folder.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// How it was refused.
        source: io::Error,
    },
    /// A path that cannot be the database's, or one of the files beside it.
    #[error("{} is not a file", .path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// Other users could change it, or read its secrets.
    #[error("{} may be {access} by other users", .path.display())]
    Shared {
        /// Which file or folder.
        path: PathBuf,
        /// What others may do with it.
        access: Access,
        /// What `chmod` is to be told.
        remedy: &'static str,
    },
    /// Another user, who is not root either, could change it.
    #[error("{} belongs to another user", .path.display())]
    Owned {
        /// Which file or folder.
        path: PathBuf,
    },
    /// The database is gone, and its write-ahead log is not.
    #[error("{} is missing, but {} is there", .path.display(), .left.display())]
    Orphan {
        /// Which file is missing.
        path: PathBuf,
        /// What is left of it.
        left: PathBuf,
    },
    /// Something else is kept in it.
    #[error("{} is not a store of devices: {how}", .path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What it is instead.
        how: &'static str,
    },
    /// A newer release wrote it.
    #[error("{} has schema {found}, and this release knows them up to {known}", .path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that is known here.
        known: i64,
    },
    /// Its content cannot be trusted.
    #[error("{} is damaged: {how}", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        how: Box<str>,
    },
    /// SQLite failed otherwise.
    #[error("{} cannot be opened: {how}", .path.display())]
    Failed {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        how: Box<str>,
        /// What helps.
        remedy: &'static str,
    },
}

/// What other users may do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it: it holds tokens.
    Read,
    /// Change it, or put another in its place.
    Written,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Access::Read => "read",
            Access::Written => "written",
        })
    }
}

/// What it means to go on without the file.
const ANEW: &str = "gw then begins anew, and every device has to be approved again";

impl OpenError {
    /// What helps.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            OpenError::Io { .. } => {
                "the devices are kept there: let the user who runs gw read and write it".to_owned()
            }
            OpenError::NotAFile { .. } => format!("move it away: {ANEW}"),
            OpenError::Shared { path, remedy, .. } => {
                format!("it holds tokens: run `chmod {remedy} {}`", path.display())
            }
            OpenError::Owned { path } => format!(
                "run `chown` on {} as root, or name another folder for the state",
                path.display()
            ),
            OpenError::Orphan { .. } => format!(
                "put the database back, from a copy of both; or move that file away: {ANEW}"
            ),
            OpenError::Foreign { .. } => format!(
                "it was left as it is: put a copy of the devices in its place, or move it away: \
                 {ANEW}"
            ),
            OpenError::Newer { .. } => "use the release that wrote it, or a newer one".to_owned(),
            OpenError::Damaged { .. } => format!(
                "put a copy in its place, or move it away with its -wal and -shm files: {ANEW}"
            ),
            OpenError::Failed { remedy, .. } => (*remedy).to_owned(),
        }
    }

    pub(super) fn io(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| OpenError::Io { path, what, source }
    }

    /// What is wrong may quote the file, and so whatever was put into it. It is told on one line.
    pub(super) fn damaged(path: &Path, how: &str) -> Self {
        let words: Vec<&str> = how.split_ascii_whitespace().collect();
        let how = words.join(" ").replace(char::is_control, "\u{fffd}").into();
        let path = path.to_owned();
        OpenError::Damaged { path, how }
    }

    pub(super) fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| {
            use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
            match error.sqlite_error_code() {
                Some(DatabaseCorrupt | NotADatabase) => {
                    OpenError::damaged(&path, &error.to_string())
                }
                Some(_) | None => OpenError::Failed {
                    path: path.clone(),
                    how: error.to_string().into(),
                    remedy: remedy(&error),
                },
            }
        }
    }
}

/// What helps where nothing can be written.
pub(super) const WRITABLE: &str = "make the file and its folder writable to gw";

/// What helps against a failure of SQLite.
pub(super) fn remedy(error: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase,
        PermissionDenied, ReadOnly, SystemIoFailure,
    };
    match error.sqlite_error_code() {
        Some(DiskFull) => "make room on its disk",
        Some(ReadOnly | PermissionDenied | CannotOpen) => WRITABLE,
        Some(SystemIoFailure) => "look at its disk",
        Some(DatabaseBusy | DatabaseLocked) => {
            "another program keeps it from being written; try again, or end that one"
        }
        Some(DatabaseCorrupt | NotADatabase) => {
            "stop gw, put a copy in its place, and start it again"
        }
        Some(_) | None => "restart gw; what was committed before is kept",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_on_one_line() {
        let how = "*** in database main ***\nTree 3 page 3: btree\u{7}InitPage() returns 11\r\n";
        assert_eq!(
            OpenError::damaged(Path::new("gw.sqlite"), how).to_string(),
            "gw.sqlite is damaged: *** in database main *** Tree 3 page 3: \
             btree\u{fffd}InitPage() returns 11"
        );
    }
}
