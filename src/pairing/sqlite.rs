//! A store in a SQLite file: what is committed is on the disk, and what is read is in memory.
//!
//! The file holds what [`super::stored`] writes. Devices are read from it once, when it is
//! opened; [`Sqlite::commit`](Store::commit) waits for the disk, so a server calls it where it
//! may block. Only one process may have it open; others may look at its views.
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
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use rusqlite::{Connection, TransactionBehavior};

use self::files::{Claim, Identity};
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
#[derive(Debug)]
pub struct Sqlite {
    limits: Limits,
    /// Only whoever holds `writer` changes it, so it is locked for no longer than a copy takes.
    kept: RwLock<Kept>,
    queue: Mutex<Queue>,
    /// Woken when a batch has ended.
    ended: Condvar,
    writer: Mutex<Writer>,
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

/// The one that writes. The connection is closed before the claim ends.
#[derive(Debug)]
struct Writer {
    connection: Connection,
    /// Which state of the file memory agrees with; commits of this connection do not change it.
    seen: i64,
    files: Identity,
    claim: Claim,
}

impl Sqlite {
    /// Opens the database at a path, with mode 0600; a new one when there is none. Its folder
    /// must exist. More may be in it than the limits allow: then no more is added.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; what is kept in the database is as it was.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, OpenError> {
        let claim = Claim::new(path)?;
        let mut connection = claim.open()?;
        let (kept, seen) = prepare(&mut connection, &claim.path)?;
        let files = Identity::of(&claim.path)?;
        Ok(Sqlite {
            limits,
            kept: RwLock::new(kept),
            queue: Mutex::default(),
            ended: Condvar::new(),
            writer: Mutex::new(Writer {
                connection,
                seen,
                files,
                claim,
            }),
        })
    }

    /// Carries out commits, and tells each its answer. When the database fails, all of them
    /// fail: none was written.
    fn carry_out(&self, waiting: Vec<Waiting>) {
        let mut writer = lock(&self.writer);
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let mut batch = kept.batch();
        let mut answers: Vec<Answer> = waiting
            .iter()
            .map(|commit| batch.add(&commit.change, commit.expected, self.limits))
            .collect();
        let written = batch.written();
        let done = match written.is_empty() {
            true => Ok(()),
            false => writer.write(&written, &kept),
        };
        drop(kept);
        match done {
            Ok(()) => {
                let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
                kept.take(written);
            }
            Err(how) => answers.fill(Err(StoreError::Failed(how))),
        }
        for (commit, answer) in waiting.into_iter().zip(answers) {
            // Each is told once: whoever waits has left the queue.
            let _ = commit.answer.set(answer);
        }
    }
}

/// Makes a database fit to be written, and reads all of it; with the state of the file that was
/// read, or an earlier one.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(Kept, i64), OpenError> {
    let failed = OpenError::sqlite(path);
    connection.execute_batch(GUARDS).map_err(&failed)?;
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
        .map_err(&failed)?;
    let seen = data_version(connection).map_err(&failed)?;
    let kept = rows::load(connection).map_err(|unread| match unread {
        rows::Unread::Sqlite(error) => failed(error),
        rows::Unread::Content(how) => OpenError::damaged(path, &how),
    })?;
    Ok((kept, seen))
}

impl Writer {
    /// Writes a batch and waits until it is on the disk; or writes nothing, and says why.
    fn write(&mut self, written: &Written, kept: &Kept) -> Result<(), Box<str>> {
        let name = self.claim.path.file_name().unwrap_or_default().display();
        let failed = |error: rusqlite::Error| -> Box<str> {
            format!("{name}: {error}; {}", error::remedy(&error)).into()
        };
        let changed = || -> Box<str> {
            format!("{name} was changed by another program; restart gw to take that up").into()
        };
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        if Identity::of(&self.claim.path).ok().as_ref() != Some(&self.files) {
            return Err(format!("{name} was moved or replaced; put it back, or restart gw").into());
        }
        let seen = data_version(&transaction).map_err(failed)?;
        if seen != self.seen {
            // A checkpoint by another program counts as a change too, so what is there decides.
            match rows::load(&transaction) {
                Ok(found) if found.is(kept) => {}
                Ok(_) | Err(rows::Unread::Content(_)) => return Err(changed()),
                Err(rows::Unread::Sqlite(error)) => return Err(failed(error)),
            }
        }
        if !rows::write(&transaction, written, kept.commits()).map_err(failed)? {
            return Err(changed());
        }
        transaction.commit().map_err(failed)?;
        self.seen = seen;
        Ok(())
    }
}

impl Store for Sqlite {
    fn load(&self, device_id: &str) -> Result<(Standing, Version), StoreError> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.load(device_id))
    }

    fn commit(&self, change: &Change, expected: Version) -> Result<Version, StoreError> {
        if change.is_empty() {
            // Nothing to write: what is read in memory is on the disk already.
            let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
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
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.list())
    }

    fn device_of_request(&self, request_id: &str) -> Result<Option<Box<str>>, StoreError> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        Ok(kept.device_of_request(request_id))
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

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}
