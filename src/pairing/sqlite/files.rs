//! The database as files: whose they are, who may touch them, and how the first one is made.
#![expect(
    clippy::disallowed_types,
    reason = "a store is kept in files; nothing is decided here"
)]

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::{Access, OpenError};
use super::schema;

/// What SQLite puts beside a database, and what is put there here.
const BESIDE: [&str; 5] = ["-wal", "-shm", "-journal", NEW, LOCK];
/// A database that is being made.
const NEW: &str = ".new";
/// The file that is locked while the database is made. It stays: whoever removed it could remove
/// the next one's.
const LOCK: &str = ".lock";

/// A database with all that is beside it.
///
/// While a database is open, no file of it is opened here by other means than SQLite: when a
/// process closes a file, the system drops all locks that the process has on it.
#[derive(Debug)]
pub(super) struct Files {
    /// Where it is, links followed.
    pub(super) path: PathBuf,
}

impl Files {
    /// A path whose files are safe from others, whether or not there is a database yet.
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
        Ok(Files { path })
    }

    /// Opens the database, which is made when there is none and no trace of one.
    pub(super) fn open(&self) -> Result<Connection, OpenError> {
        if metadata(&self.path)?.is_none() {
            self.create()?;
        }
        check_head(&self.path)?;
        self.look()
    }

    /// Opens a database that is there.
    pub(super) fn look(&self) -> Result<Connection, OpenError> {
        connect(&self.path).map_err(OpenError::sqlite(&self.path))
    }

    /// Makes it under another name, so that under its own it is always whole. Of several that
    /// want to make it one does, and the others take that one.
    fn create(&self) -> Result<(), OpenError> {
        let path = &self.path;
        let _lock = lock(path)?;
        if metadata(path)?.is_some() {
            return Ok(());
        }
        for left in ["-wal", "-journal"].map(|what| beside(path, what)) {
            if metadata(&left)?.is_some() {
                let path = path.clone();
                return Err(OpenError::Orphan { path, left });
            }
        }
        let new = beside(path, NEW);
        for left in ["", "-wal", "-shm"].map(|what| beside(&new, what)) {
            match fs::remove_file(&left) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(OpenError::io(&left, "removed")(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        let made = private(OpenOptions::new().write(true).create_new(true)).open(&new);
        let file = made.map_err(OpenError::io(&new, "created"))?;
        let filled = connect(&new).and_then(|mut connection| {
            // Whatever is left of it after a crash is removed: no journal is needed.
            connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
            schema::migrate(&mut connection, schema::NEWEST)?;
            // Nobody can go over to it later while others look.
            connection.execute_batch("PRAGMA journal_mode = WAL")?;
            connection.close().map_err(|(_, error)| error)
        });
        filled.map_err(OpenError::sqlite(&new))?;
        file.sync_all().map_err(OpenError::io(&new, "written"))?;
        drop(file);
        fs::rename(&new, path).map_err(OpenError::io(path, "created"))?;
        sync_folder(folder_of(path))
    }
}

/// Opens a file that is there. The connection is used under a lock, so it needs none of its own.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // They are for whoever edits rows by hand.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    Ok(connection)
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
    check_owner(folder, &metadata)?;
    match mode(&metadata) & 0o022 {
        0 => Ok(()),
        _ => Err(OpenError::Shared {
            path: folder.to_owned(),
            access: Access::Written,
            remedy: "go-w",
        }),
    }
}

/// Its owner may let in whomever they like: this user and root are trusted, others are not.
#[cfg(unix)]
fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), OpenError> {
    use std::os::unix::fs::MetadataExt as _;
    let own = rustix::process::geteuid().as_raw();
    match metadata.uid() == own || metadata.uid() == 0 {
        true => Ok(()),
        false => Err(OpenError::Owned {
            path: path.to_owned(),
        }),
    }
}

#[cfg(not(unix))]
fn check_owner(_: &Path, _: &Metadata) -> Result<(), OpenError> {
    Ok(())
}

fn check_file(path: &Path, metadata: &Metadata) -> Result<(), OpenError> {
    if !metadata.is_file() {
        let path = path.to_owned();
        return Err(OpenError::NotAFile { path });
    }
    check_owner(path, metadata)?;
    let path = path.to_owned();
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

/// Waits until nobody else makes the database.
fn lock(path: &Path) -> Result<File, OpenError> {
    let lock = beside(path, LOCK);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let opened = private(options).open(&lock);
    let file = opened.map_err(OpenError::io(&lock, "opened"))?;
    file.lock().map_err(OpenError::io(&lock, "locked"))?;
    Ok(file)
}

/// Looks at the first bytes without anything that could recover a foreign database, and so change
/// it. What cannot be told yet is told when it is open.
fn check_head(path: &Path) -> Result<(), OpenError> {
    let length = metadata(path)?.map_or(0, |metadata| metadata.len());
    if length == 0 {
        return Err(OpenError::damaged(path, "it is empty"));
    }
    let connection = unlocked(path).map_err(OpenError::sqlite(path))?;
    let how = match application(&connection) {
        Ok(schema::APPLICATION_ID) => return Ok(()),
        Ok(_) => "another application made it",
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            "it is no SQLite file"
        }
        // Somebody may write to it right now.
        Err(_) => return Ok(()),
    };
    let path = path.to_owned();
    Err(OpenError::Foreign { path, how })
}

/// Whose an open database is, before anything is done with it.
pub(super) fn check_application(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match application(connection).map_err(OpenError::sqlite(path))? {
        schema::APPLICATION_ID => Ok(()),
        _ => Err(OpenError::Foreign {
            path: path.to_owned(),
            how: "another application made it",
        }),
    }
}

fn application(connection: &Connection) -> rusqlite::Result<i32> {
    connection.query_row("PRAGMA application_id", [], |row| row.get(0))
}

/// Opens a file as one that nobody changes: nothing is locked, recovered or written. SQLite closes
/// it together with other connections of this process, which a file of our own would take the
/// locks from.
fn unlocked(path: &Path) -> rusqlite::Result<Connection> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._".contains(byte);
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            byte if plain(byte) => uri.push(char::from(*byte)),
            byte => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
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
