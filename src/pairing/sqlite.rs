//! A store in a SQLite file: what is committed is on the disk, and what is read is in memory.
//!
//! The file holds what [`super::stored`] writes. Devices are read from it when it is opened, and
//! again when others have committed; [`Sqlite::commit`](Store::commit) waits for the disk, so a
//! server calls it where it may block. Any number of processes may have it open.
#![expect(
    clippy::disallowed_types,
    reason = "a store is shared by connections; nothing is decided under its locks"
)]

mod error;
mod files;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

use std::mem;
use std::path::Path;
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard,
    RwLockWriteGuard,
};

use rusqlite::{Connection, TransactionBehavior};

use self::files::{Files, Identity};
use super::change::Change;
use super::kept::{Kept, Written};
use super::standing::Standing;
use super::store::{Limits, Store, StoreError, Version};

pub use self::error::{Access, OpenError};

/// What every connection is told before anything is read. A token that is removed is
/// overwritten; no function that reaches out of the database is called by its schema.
const GUARDS: &str = "PRAGMA busy_timeout = 5000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA secure_delete = ON;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;";

/// Keeps devices in a file.
///
/// Commits that wait for the disk together are written together: whoever comes when nobody
/// writes takes along all that wait, and tells each its answer. So many share a sync, and
/// nobody waits for more than the one under way and their own.
///
/// Whatever is asked, it is first looked whether others have committed, which costs no more than
/// a look at memory that all processes share; only then are rows read.
#[derive(Debug)]
pub struct Sqlite {
    limits: Limits,
    files: Files,
    identity: Identity,
    /// Never behind what anybody was told. It is locked for no longer than it takes to copy from
    /// it or into it. Commits are counted, so whoever comes to change it sees who was faster.
    kept: RwLock<Kept>,
    queue: Mutex<Queue>,
    /// Woken when a batch has ended.
    ended: Condvar,
    writer: Mutex<Writer>,
    /// Apart from the writer, so that nobody who reads waits for the disk.
    reader: Mutex<Reader>,
}

/// The commits that nobody has carried out yet.
#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Whether a batch is being written.
    is_busy: bool,
}

type Answer = Result<Version, StoreError>;

#[derive(Debug)]
struct Waiting {
    change: Change,
    expected: Version,
    answer: Arc<OnceLock<Answer>>,
}

/// The connection that writes.
#[derive(Debug)]
struct Writer {
    connection: Connection,
    /// Which state of the file it has seen; its own commits do not change it.
    seen: i64,
    /// How many commits there were then, its own after that among them.
    commits: u64,
}

/// The connection that looks for commits of others.
#[derive(Debug)]
struct Reader {
    connection: Connection,
    /// Which state of the file memory is not behind.
    seen: i64,
}

impl Sqlite {
    /// Opens the database at a path, with mode 0600; a new one when there is none. Its folder
    /// must exist. More may be in it than the limits allow: then no more is added.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; what is kept in the database is as it was.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, OpenError> {
        let files = Files::new(path)?;
        let failed = OpenError::sqlite(&files.path);
        let mut connection = files.open()?;
        prepare(&mut connection, &files.path)?;
        let reader = files.look()?;
        reader
            .execute_batch(GUARDS)
            .and_then(|()| reader.execute_batch("PRAGMA query_only = ON"))
            .map_err(&failed)?;
        let reader = Reader {
            // Before the rows are read: memory is not behind it.
            seen: data_version(&reader).map_err(&failed)?,
            connection: reader,
        };
        let (kept, seen) = read(&mut connection, &files.path)?;
        Ok(Sqlite {
            limits,
            identity: Identity::of(&files.path)?,
            files,
            writer: Mutex::new(Writer {
                connection,
                seen,
                commits: kept.commits(),
            }),
            kept: RwLock::new(kept),
            queue: Mutex::default(),
            ended: Condvar::new(),
            reader: Mutex::new(reader),
        })
    }

    fn kept(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept_to_change(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is kept now, with all that others have committed so far.
    fn current(&self) -> Result<RwLockReadGuard<'_, Kept>, StoreError> {
        let mut reader = lock(&self.reader);
        let looked = self.look(&mut reader);
        drop(reader);
        looked.map_err(StoreError::Failed)?;
        Ok(self.kept())
    }

    /// Reads what others have committed since somebody looked.
    fn look(&self, reader: &mut Reader) -> Result<(), Box<str>> {
        let failed = |error| self.failed(&error);
        if data_version(&reader.connection).map_err(failed)? == reader.seen {
            return Ok(());
        }
        // Before the rows are fixed: what is in memory now is in them.
        let known = self.kept().commits();
        let transaction = reader.connection.transaction().map_err(failed)?;
        let seen = data_version(&transaction).map_err(failed)?;
        self.catch_up(&transaction, known)?;
        transaction.commit().map_err(failed)?;
        reader.seen = seen;
        Ok(())
    }

    /// Reads what was committed after the commits that are `known`; says how many there are.
    fn catch_up(&self, connection: &Connection, known: u64) -> Result<u64, Box<str>> {
        let unread = |error| match error {
            rows::Unread::Sqlite(error) => self.failed(&error),
            rows::Unread::Content(how) => format!("{} is damaged: {how}", self.name()).into(),
        };
        let schema = schema::version(connection).map_err(|error| self.failed(&error))?;
        if usize::try_from(schema) != Ok(schema::NEWEST) {
            let name = self.name();
            return Err(format!(
                "another release of gw has brought {name} to schema {schema}: restart gw as that \
                 release"
            )
            .into());
        }
        let commits = rows::commits(connection).map_err(unread)?;
        if commits < known {
            return Err(self.changed());
        }
        if commits > known {
            let news = rows::news(connection, known, commits).map_err(unread)?;
            self.kept_to_change().catch_up(news);
        }
        Ok(commits)
    }

    /// Carries out commits, and tells each its answer. When the database fails, all of them
    /// fail: none was written.
    fn carry_out(&self, waiting: Vec<Waiting>) {
        let answers = self.write(&mut lock(&self.writer), &waiting);
        let answers = answers.unwrap_or_else(|how| {
            let failed = waiting.iter().map(|_| Err(StoreError::Failed(how.clone())));
            failed.collect()
        });
        for (commit, answer) in waiting.into_iter().zip(answers) {
            // Each is told once: whoever waits has left the queue.
            let _ = commit.answer.set(answer);
        }
    }

    /// Writes a batch and waits until it is on the disk; or writes nothing, and says why.
    fn write(&self, writer: &mut Writer, waiting: &[Waiting]) -> Result<Vec<Answer>, Box<str>> {
        let failed = |error| self.failed(&error);
        let transaction = writer
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        // From here on nobody else commits.
        self.check_place()?;
        let known = self.kept().commits();
        let seen = data_version(&transaction).map_err(failed)?;
        let before = self.catch_up(&transaction, known)?;
        if seen != writer.seen && before == writer.commits {
            // A checkpoint counts as a change too, so what is there decides.
            match rows::load(&transaction) {
                Ok(found) if found.is(&self.kept()) => {}
                Ok(_) | Err(rows::Unread::Content(_)) => return Err(self.changed()),
                Err(rows::Unread::Sqlite(error)) => return Err(failed(error)),
            }
        }
        (writer.seen, writer.commits) = (seen, before);
        let (answers, written) = self.work_out(waiting);
        if written.is_empty() {
            return Ok(answers);
        }
        if !rows::write(&transaction, &written, before).map_err(failed)? {
            return Err(self.changed());
        }
        transaction.commit().map_err(failed)?;
        writer.commits = written.commits();
        self.kept_to_change().take(written);
        Ok(answers)
    }

    fn work_out(&self, waiting: &[Waiting]) -> (Vec<Answer>, Written) {
        let kept = self.kept();
        let mut batch = kept.batch();
        let answers = waiting
            .iter()
            .map(|commit| batch.add(&commit.change, commit.expected, self.limits))
            .collect();
        (answers, batch.written())
    }

    /// Whether the files that are open are the ones that have the name.
    fn check_place(&self) -> Result<(), Box<str>> {
        match Identity::of(&self.files.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) | Err(_) => Err(format!(
                "{} was moved or replaced; put it back, or restart gw",
                self.name()
            )
            .into()),
        }
    }

    fn name(&self) -> impl std::fmt::Display {
        self.files.path.file_name().unwrap_or_default().display()
    }

    fn failed(&self, error: &rusqlite::Error) -> Box<str> {
        format!("{}: {error}; {}", self.name(), error::remedy(error)).into()
    }

    fn changed(&self) -> Box<str> {
        let name = self.name();
        format!("{name} was changed by another program; restart gw to take that up").into()
    }
}

/// Makes a database fit to be written.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = OpenError::sqlite(path);
    connection.execute_batch(GUARDS).map_err(&failed)?;
    files::check_application(connection, path)?;
    let found = schema::version(connection).map_err(&failed)?;
    let known = i64::try_from(schema::NEWEST).unwrap_or(i64::MAX);
    if found > known {
        let path = path.to_owned();
        return Err(OpenError::Newer { path, found, known });
    }
    let checked: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(&failed)?;
    if checked != "ok" {
        return Err(OpenError::damaged(path, &checked));
    }
    let durable: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(&failed)?;
    if durable != "wal" {
        return Err(OpenError::Failed {
            path: path.to_owned(),
            how: format!("its journal mode is {durable}").into(),
            remedy: "put it on a local disk",
        });
    }
    connection
        .execute_batch("PRAGMA synchronous = FULL")
        .and_then(|()| schema::migrate(connection, schema::NEWEST))
        .map_err(&failed)
}

/// Reads all of a database; with the state of the file that was read. Others may commit
/// meanwhile, so it is read as of one time.
fn read(connection: &mut Connection, path: &Path) -> Result<(Kept, i64), OpenError> {
    let failed = OpenError::sqlite(path);
    let transaction = connection.transaction().map_err(&failed)?;
    let seen = data_version(&transaction).map_err(&failed)?;
    let kept = rows::load(&transaction).map_err(|unread| match unread {
        rows::Unread::Sqlite(error) => failed(error),
        rows::Unread::Content(how) => OpenError::damaged(path, &how),
    })?;
    transaction.commit().map_err(&failed)?;
    Ok((kept, seen))
}

impl Store for Sqlite {
    fn load(&self, device_id: &str) -> Result<(Arc<Standing>, Version), StoreError> {
        Ok(self.current()?.load(device_id))
    }

    fn last_version(&self, device_id: &str) -> Result<Version, StoreError> {
        Ok(self.kept().version(device_id))
    }

    fn commit(&self, change: &Change, expected: Version) -> Result<Version, StoreError> {
        if change.is_empty() {
            // Nothing to write: what is read in memory is on the disk already.
            let kept = self.current()?;
            return kept.batch().add(change, expected, self.limits);
        }
        let answer = Arc::new(OnceLock::new());
        let mut queue = lock(&self.queue);
        queue.waiting.push(Waiting {
            change: change.clone(),
            expected,
            answer: Arc::clone(&answer),
        });
        while answer.get().is_none() && queue.is_busy {
            let woken = self.ended.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
        if answer.get().is_none() {
            queue.is_busy = true;
            let waiting = mem::take(&mut queue.waiting);
            drop(queue);
            let _busy = Busy(self);
            self.carry_out(waiting);
        }
        let gone = || Err(StoreError::Failed("a commit ended early; try again".into()));
        answer.get().cloned().unwrap_or_else(gone)
    }

    fn list(&self) -> Result<Vec<(Standing, Version)>, StoreError> {
        Ok(self.current()?.list())
    }

    fn waiting(&self) -> Result<Vec<(Standing, Version)>, StoreError> {
        Ok(self.current()?.waiting())
    }

    fn device_of_request(&self, request_id: &str) -> Result<Option<Box<str>>, StoreError> {
        Ok(self.current()?.device_of_request(request_id))
    }

    /// Says too when the file was moved or replaced: a server that asks often hears of it.
    fn revision(&self) -> Result<u64, StoreError> {
        self.check_place().map_err(StoreError::Failed)?;
        Ok(self.current()?.commits())
    }
}

/// A batch that is being written. It ends however its writer ends, so that nobody waits for ever.
struct Busy<'a>(&'a Sqlite);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        lock(&self.0.queue).is_busy = false;
        self.0.ended.notify_all();
    }
}

/// A panic leaves nothing half done under these locks: a transaction that is dropped is rolled
/// back, and a database that is ahead of memory is found out by its count of commits.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts, for a connection, the states of the file that were not of its own making.
fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}
