//! The database as files: whose they are, who may touch them, and how the first one is made.
#![expect(
    clippy::disallowed_types,
    reason = "a store is kept in files; nothing is decided here"
)]

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process;

use rusqlite::{Connection, OpenFlags};

use super::error::{Access, OpenError};
use super::schema;

/// What SQLite puts beside a database, and what is put there here.
const BESIDE: [&str; 5] = ["-wal", "-shm", "-journal", NEW, LOCK];
/// A database that is being made.
const NEW: &str = ".new";
/// The file that is locked while the database is open. It stays: whoever removed it could remove
/// the next one's.
const LOCK: &str = ".lock";

/// A database that no other process may open here, until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    /// Where it is, links followed: all names of it share a lock.
    pub(super) path: PathBuf,
    _lock: File,
}

impl Claim {
    /// Claims a path whose files are safe from others, whether or not there is a database yet.
    pub(super) fn new(path: &Path) -> Result<Self, OpenError> {
        let path = real(path)?;
        check_folder(folder_of(&path))?;
        for file in [path.clone()]
            .into_iter()
            .chain(BESIDE.map(|what| beside(&path, what)))
        {
            if let Some(metadata) = metadata(&file)? {
                check_file(&file, &metadata)?;
            }
        }
        let lock = lock(&path)?;
        Ok(Claim { path, _lock: lock })
    }

    /// Opens the database, which is made when there is none and no trace of one.
    pub(super) fn open(&self) -> Result<Connection, OpenError> {
        let path = &self.path;
        if metadata(path)?.is_none() {
            self.create()?;
        }
        check_head(path)?;
        connect(path).map_err(OpenError::sqlite(path))
    }

    /// Makes it under another name, so that under its own it is always whole.
    fn create(&self) -> Result<(), OpenError> {
        let path = &self.path;
        for left in ["-wal", "-journal"].map(|what| beside(path, what)) {
            if metadata(&left)?.is_some() {
                let path = path.clone();
                return Err(OpenError::Orphan { path, left });
            }
        }
        let new = beside(path, NEW);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(OpenError::io(&new, "removed")(error));
            }
            Ok(()) | Err(_) => {}
        }
        let made = private(OpenOptions::new().write(true).create_new(true)).open(&new);
        let file = made.map_err(OpenError::io(&new, "created"))?;
        let filled = connect(&new).and_then(|mut connection| {
            // Whatever is left of it after a crash is removed: no journal is needed.
            connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
            schema::migrate(&mut connection, schema::NEWEST)?;
            connection.close().map_err(|(_, error)| error)
        });
        filled.map_err(OpenError::sqlite(&new))?;
        file.sync_all().map_err(OpenError::io(&new, "written"))?;
        fs::rename(&new, path).map_err(OpenError::io(path, "created"))?;
        sync_folder(folder_of(path))
    }
}

/// Opens a file that is there. The connection is used under a lock, so it needs none of its own.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// Which files a database is in. SQLite goes on writing to files that were moved away or removed,
/// and what it writes there is gone with them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity([Option<(u64, u64)>; 2]);

impl Identity {
    /// Of the database at a path, with its write-ahead log.
    pub(super) fn of(path: &Path) -> Result<Self, OpenError> {
        let of = |path: &Path| Ok(metadata(path)?.as_ref().map(identity));
        Ok(Identity([of(path)?, of(&beside(path, "-wal"))?]))
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere an open file stays where it is.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

/// The path with all links followed. The file itself need not exist, its folder must.
fn real(path: &Path) -> Result<PathBuf, OpenError> {
    if metadata(path)?.is_some() {
        return fs::canonicalize(path).map_err(OpenError::io(path, "found"));
    }
    let folder = folder_of(path);
    let real = fs::canonicalize(folder).map_err(OpenError::io(folder, "found"))?;
    let name = path.file_name().ok_or_else(|| OpenError::NotAFile {
        path: path.to_owned(),
    })?;
    Ok(real.join(name))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(what);
    name.into()
}

/// Of the file itself, not of what a link leads to; `None` when there is none.
fn metadata(path: &Path) -> Result<Option<Metadata>, OpenError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OpenError::io(path, "looked at")(error)),
    }
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> u32 {
    std::os::unix::fs::MetadataExt::mode(metadata)
}

/// Elsewhere files belong to their user by where they are.
#[cfg(not(unix))]
fn mode(_: &Metadata) -> u32 {
    0o600
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Whoever may write the folder can put another file in the database's place.
fn check_folder(folder: &Path) -> Result<(), OpenError> {
    let metadata = fs::metadata(folder).map_err(OpenError::io(folder, "looked at"))?;
    match mode(&metadata) & 0o022 {
        0 => Ok(()),
        _ => Err(OpenError::Shared {
            path: folder.to_owned(),
            access: Access::Written,
            remedy: "go-w",
        }),
    }
}

fn check_file(path: &Path, metadata: &Metadata) -> Result<(), OpenError> {
    let path = path.to_owned();
    if !metadata.is_file() {
        return Err(OpenError::NotAFile { path });
    }
    let access = match mode(metadata) {
        mode if mode & 0o022 != 0 => Access::Written,
        mode if mode & 0o044 != 0 => Access::Read,
        _ => return Ok(()),
    };
    let remedy = "600";
    Err(OpenError::Shared {
        path,
        access,
        remedy,
    })
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let lock = beside(path, LOCK);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let opened = private(options).open(&lock);
    let mut file = opened.map_err(OpenError::io(&lock, "opened"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let read = file.take(64).read_to_string(&mut holder);
            let holder = match (read, holder.trim().parse::<u32>()) {
                (Ok(_), Ok(id)) => format!("process {id}").into(),
                (Ok(_) | Err(_), _) => "another process".into(),
            };
            let path = path.to_owned();
            return Err(OpenError::InUse { path, holder });
        }
        Err(TryLockError::Error(error)) => return Err(OpenError::io(&lock, "locked")(error)),
    }
    let told = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", process::id()));
    told.map_err(OpenError::io(&lock, "written"))?;
    Ok(file)
}

/// Reads the first bytes without SQLite, which could recover a foreign database, and so change it.
fn check_head(path: &Path) -> Result<(), OpenError> {
    let file = File::open(path).map_err(OpenError::io(path, "opened"))?;
    let mut head = Vec::new();
    let read = file.take(100).read_to_end(&mut head);
    read.map_err(OpenError::io(path, "read"))?;
    if head.is_empty() {
        return Err(OpenError::damaged(path, "it is empty"));
    }
    let how = if !head.starts_with(b"SQLite format 3\0") {
        "it is no SQLite file"
    } else if head.get(68..72) != Some(&schema::APPLICATION_ID.to_be_bytes()) {
        "another application made it"
    } else {
        return Ok(());
    };
    let path = path.to_owned();
    Err(OpenError::Foreign { path, how })
}

/// A new name lasts when its folder is written.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> Result<(), OpenError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(OpenError::io(folder, "written"))
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> Result<(), OpenError> {
    Ok(())
}
