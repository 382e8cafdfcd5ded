//! A store in a SQLite file: what is committed is on the disk, and what was asked for lately is in
//! memory.
//!
//! The file holds what [`super::stored`] writes. A device is read from it when it is asked for, and
//! kept as long as it is used and nobody else commits; [`Sqlite::commit`](Store::commit) waits for
//! the disk, so a server calls it where it may block. Any number of processes may have it open.
#![expect(
    clippy::disallowed_types,
    reason = "a store is shared by connections; nothing is decided under its locks"
)]

mod cache;
mod error;
mod files;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::mem;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use self::cache::Cache;
use self::files::{Files, Identity};
use super::change::Change;
use super::kept::{Entry, Kept, Totals, Written};
use super::standing::Standing;
use super::store::{Among, Count, Limits, Look, Store, StoreError, Version};
use crate::facts::Text;

pub use self::error::{Access, OpenError};

/// What every connection is told before anything is read. It keeps up to 8 MiB of pages, which is what
/// leads to the rows of a million devices. A token that is removed is
/// overwritten; no function that reaches out of the database is called by its schema.
const GUARDS: &str = "PRAGMA busy_timeout = 5000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA secure_delete = ON;
    PRAGMA cache_size = -8192;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;";

/// How many commits of one caller are written together: whoever else commits waits for no more.
const AT_ONCE: usize = 512;

/// A database of up to so many bytes is looked through when it is opened. One that is larger is
/// opened as fast, and what is wrong with it is told when it is come upon.
const LOOKED_THROUGH: i64 = 1 << 24;

/// Keeps devices in a file.
///
/// Commits that wait for the disk together are written together: whoever comes when nobody
/// writes takes along all that wait, and tells each its answer. So many share a sync, and
/// nobody waits for more than the one under way and their own.
///
/// Whatever is asked, it is first looked whether others have committed, which costs no more than
/// a look at memory that all processes share; then what is in memory is as good as the file.
#[derive(Debug)]
pub struct Sqlite {
    limits: Limits,
    files: Files,
    identity: Identity,
    /// Locked for no longer than it takes to find something in it or put something there. Commits
    /// are counted, so whoever comes to change it sees who was faster.
    cache: Mutex<Cache>,
    queue: Mutex<Queue>,
    /// Woken when a batch has ended.
    ended: Condvar,
    writer: Mutex<Writer>,
    /// Apart from the writer, so that nobody who reads waits for a commit.
    reader: Mutex<Reader>,
    /// Apart from the reader, so that nobody who asks for one device waits for who asks for many.
    many: Mutex<Connection>,
    /// Apart from that, so that no new request waits for a list of all devices.
    all: Mutex<Connection>,
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

/// What a writer found when it alone might write.
struct Found {
    totals: Totals,
    /// Whether the file may have been changed without a commit that was counted.
    is_uncounted: bool,
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
        let [reader, many, all] = [files.look()?, files.look()?, files.look()?];
        for connection in [&reader, &many, &all] {
            connection
                .execute_batch(GUARDS)
                .and_then(|()| connection.execute_batch("PRAGMA query_only = ON"))
                .map_err(&failed)?;
        }
        // What is read once from its beginning to its end is not read again soon.
        all.execute_batch("PRAGMA cache_size = -256")
            .map_err(&failed)?;
        let reader = Reader {
            // Before the commits are counted: memory is not behind it.
            seen: data_version(&reader).map_err(&failed)?,
            connection: reader,
        };
        let (commits, seen) = count(&mut connection, &files.path)?;
        Ok(Sqlite {
            limits,
            identity: Identity::of(&files.path)?,
            files,
            writer: Mutex::new(Writer {
                connection,
                seen,
                commits,
            }),
            cache: Mutex::new(Cache::new(commits)),
            queue: Mutex::default(),
            ended: Condvar::new(),
            reader: Mutex::new(reader),
            many: Mutex::new(many),
            all: Mutex::new(all),
        })
    }

    /// Whoever reads now sees all that others have committed so far.
    fn current(&self) -> Result<MutexGuard<'_, Reader>, StoreError> {
        let mut reader = lock(&self.reader);
        self.look(&mut reader).map_err(StoreError::Failed)?;
        Ok(reader)
    }

    /// Finds out what others have committed since somebody looked.
    fn look(&self, reader: &mut Reader) -> Result<(), Box<str>> {
        let failed = |error| self.failed(&error);
        if data_version(&reader.connection).map_err(failed)? == reader.seen {
            return Ok(());
        }
        let known = lock(&self.cache).commits();
        let transaction = reader.connection.transaction().map_err(failed)?;
        let seen = data_version(&transaction).map_err(failed)?;
        self.catch_up(&transaction, known)?;
        transaction.commit().map_err(failed)?;
        reader.seen = seen;
        Ok(())
    }

    /// Forgets what was read before the commits that are not among those that are `known`; says
    /// what is counted.
    fn catch_up(&self, connection: &Connection, known: u64) -> Result<Totals, Box<str>> {
        let schema = schema::version(connection).map_err(|error| self.failed(&error))?;
        if usize::try_from(schema) != Ok(schema::NEWEST) {
            let name = self.name();
            return Err(format!(
                "another release of gw has brought {name} to schema {schema}: restart gw as that \
                 release"
            )
            .into());
        }
        let totals = rows::totals(connection).map_err(|unread| self.unread(unread))?;
        if totals.commits < known {
            return Err(self.changed());
        }
        lock(&self.cache).catch_up(totals.commits);
        Ok(totals)
    }

    /// What is kept of a device, from memory or else by a reader that has looked.
    fn entry(&self, reader: MutexGuard<'_, Reader>, device: &str) -> Result<Entry, StoreError> {
        let (cached, state) = {
            let mut cache = lock(&self.cache);
            (cache.get(device), cache.state())
        };
        if let Some(entry) = cached {
            drop(reader);
            return Ok(entry);
        }
        let row = rows::one(&reader.connection, device);
        drop(reader);
        let row = row.map_err(|error| StoreError::Failed(self.failed(&error)))?;
        let Some(row) = row else {
            return Ok(Entry::default());
        };
        let read = row.read();
        let (standing, version) = read.map_err(|unread| StoreError::Failed(self.unread(unread)))?;
        let entry = (Arc::new(standing), version);
        lock(&self.cache).read(device, &entry, state);
        Ok(entry)
    }

    /// Reads many devices, with all that others have committed so far.
    fn read<T>(
        &self,
        by: &Mutex<Connection>,
        what: impl FnOnce(&Connection) -> Result<T, rows::Unread>,
    ) -> Result<T, StoreError> {
        drop(self.current()?);
        what(&lock(by)).map_err(|unread| StoreError::Failed(self.unread(unread)))
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
        let known = lock(&self.cache).commits();
        let seen = data_version(&transaction).map_err(failed)?;
        let totals = self.catch_up(&transaction, known)?;
        let found = Found {
            totals,
            // A checkpoint counts as a change too, so it may be nothing.
            is_uncounted: seen != writer.seen && totals.commits == writer.commits,
        };
        (writer.seen, writer.commits) = (seen, totals.commits);
        let (answers, written) = self.work_out(&transaction, waiting, &found)?;
        if written.is_empty() {
            return Ok(answers);
        }
        if !rows::write(&transaction, &written, totals.commits).map_err(failed)? {
            return Err(self.changed());
        }
        transaction.commit().map_err(failed)?;
        writer.commits = written.totals().commits;
        lock(&self.cache).take(written);
        Ok(answers)
    }

    fn work_out(
        &self,
        connection: &Connection,
        waiting: &[Waiting],
        found: &Found,
    ) -> Result<(Vec<Answer>, Written), Box<str>> {
        if found.is_uncounted {
            lock(&self.cache).clear();
        }
        let mut devices = BTreeMap::new();
        let mut damaged: BTreeMap<&str, Box<str>> = BTreeMap::new();
        let concerned = waiting.iter().flat_map(|Waiting { change, .. }| {
            let by = change.asked_by.as_ref().map(|(device, _)| device);
            std::iter::once(&change.device_id).chain(by)
        });
        for device in concerned.map(|device| &**device) {
            if devices.contains_key(device) || damaged.contains_key(device) {
                continue;
            }
            match self.before(connection, device, found.totals.commits) {
                Ok(Some(entry)) => drop(devices.insert(device.into(), entry)),
                Ok(None) => {}
                // It is about this device alone: what others are promised is written.
                Err(unread @ rows::Unread::Content(_)) => {
                    damaged.insert(device, self.unread(unread));
                }
                Err(unread @ rows::Unread::Sqlite(_)) => return Err(self.unread(unread)),
            }
        }
        let kept = Kept::part(devices, found.totals);
        let mut batch = kept.batch();
        let answers = waiting.iter().map(|commit| {
            let by = commit.change.asked_by.as_ref().map(|(device, _)| device);
            let how = |device: &Text| damaged.get(&**device);
            if let Some(how) = how(&commit.change.device_id).or_else(|| by.and_then(how)) {
                return Err(StoreError::Failed(how.clone()));
            }
            // What it was worked out from may have been changed without another version: whoever
            // asks looks again, and nothing is written over.
            match found.is_uncounted && commit.expected != Version::NOTHING {
                true => Err(StoreError::Conflict),
                false => batch.add(&commit.change, commit.expected, self.limits),
            }
        });
        let answers = answers.collect();
        Ok((answers, batch.written()))
    }

    /// What is kept of a device while nobody else commits, where anything is.
    fn before(
        &self,
        connection: &Connection,
        device: &str,
        commits: u64,
    ) -> Result<Option<Entry>, rows::Unread> {
        if let Some(entry) = lock(&self.cache).get(device) {
            return Ok(Some(entry));
        }
        let Some(row) = rows::one(connection, device)? else {
            return Ok(None);
        };
        row.check(commits)?;
        let (standing, version) = row.read()?;
        Ok(Some((Arc::new(standing), version)))
    }

    /// Carries out commits with those that wait, and says of each what became of it.
    fn commit_each(&self, commits: impl Iterator<Item = (Change, Version)>) -> Vec<Answer> {
        let mut queue = lock(&self.queue);
        let told: Vec<Arc<OnceLock<Answer>>> = commits
            .map(|(change, expected)| {
                let answer = Arc::new(OnceLock::new());
                queue.waiting.push(Waiting {
                    change,
                    expected,
                    answer: Arc::clone(&answer),
                });
                answer
            })
            .collect();
        // Whoever takes what waits takes all of it, so the last is told with the first.
        let Some(last) = told.last() else {
            return Vec::new();
        };
        while last.get().is_none() && queue.is_busy {
            let woken = self.ended.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
        if last.get().is_none() {
            queue.is_busy = true;
            let waiting = mem::take(&mut queue.waiting);
            drop(queue);
            let _busy = Busy(self);
            self.carry_out(waiting);
        }
        let gone = || Err(StoreError::Failed("a commit ended early; try again".into()));
        let answers = told.iter();
        answers
            .map(|answer| answer.get().cloned().unwrap_or_else(gone))
            .collect()
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

    fn unread(&self, unread: rows::Unread) -> Box<str> {
        match unread {
            rows::Unread::Sqlite(error) => self.failed(&error),
            rows::Unread::Content(how) => format!("{} is damaged: {how}", self.name()).into(),
        }
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
    // SQLite opens what it may not write as what it may read, and then no commit is kept.
    if connection.is_readonly(rusqlite::MAIN_DB).map_err(&failed)? {
        return Err(OpenError::Failed {
            path: path.to_owned(),
            how: "it may not be written to".into(),
            remedy: error::WRITABLE,
        });
    }
    if is_looked_through(connection).map_err(&failed)? {
        let checked: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(&failed)?;
        if checked != "ok" {
            return Err(OpenError::damaged(path, &checked));
        }
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

fn is_looked_through(connection: &Connection) -> rusqlite::Result<bool> {
    let pragma = |name: &str| connection.query_row(name, [], |row| row.get::<_, i64>(0));
    Ok(pragma("PRAGMA page_count")?.saturating_mul(pragma("PRAGMA page_size")?) <= LOOKED_THROUGH)
}

/// How many commits there were, with the state of the file that says so. Where all rows are looked
/// through, what is counted of them is put right.
fn count(connection: &mut Connection, path: &Path) -> Result<(u64, i64), OpenError> {
    let failed = OpenError::sqlite(path);
    let unread = |unread| match unread {
        rows::Unread::Sqlite(error) => failed(error),
        rows::Unread::Content(how) => OpenError::damaged(path, &how),
    };
    let is_looked_through = is_looked_through(connection).map_err(&failed)?;
    let transaction = connection.transaction().map_err(&failed)?;
    let seen = data_version(&transaction).map_err(&failed)?;
    let totals = rows::totals(&transaction).map_err(unread)?;
    let mut right = totals;
    if is_looked_through {
        right = rows::look_through(&transaction, totals.commits).map_err(unread)?;
    }
    transaction.commit().map_err(&failed)?;
    if right != totals {
        put_right(connection).map_err(unread)?;
    }
    Ok((totals.commits, seen))
}

/// Counts devices while nobody else commits.
fn put_right(connection: &mut Connection) -> Result<(), rows::Unread> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let commits = rows::totals(&transaction)?.commits;
    let totals = rows::look_through(&transaction, commits)?;
    rows::recount(&transaction, totals)?;
    Ok(transaction.commit()?)
}

impl Store for Sqlite {
    fn load(&self, device_id: &str) -> Result<(Arc<Standing>, Version), StoreError> {
        self.entry(self.current()?, device_id)
    }

    fn last_version(&self, device_id: &str) -> Result<Version, StoreError> {
        if let Some((_, version)) = lock(&self.cache).get(device_id) {
            return Ok(version);
        }
        Ok(self.entry(self.current()?, device_id)?.1)
    }

    fn commit(&self, change: &Change, expected: Version) -> Result<Version, StoreError> {
        if change.is_empty() {
            // Nothing to write: what is read is on the disk already.
            return match &*change.device_id {
                "" => Ok(expected),
                device if self.load(device)?.1 == expected => Ok(expected),
                _ => Err(StoreError::Conflict),
            };
        }
        let gone = || Err(StoreError::Failed("a commit ended early; try again".into()));
        let one = std::iter::once((change.clone(), expected));
        self.commit_each(one).pop().unwrap_or_else(gone)
    }

    fn commit_all(&self, changes: Vec<(Change, Version)>) -> Vec<Result<Version, StoreError>> {
        let mut answers = Vec::with_capacity(changes.len());
        let mut changes = changes.into_iter();
        loop {
            let some = self.commit_each(changes.by_ref().take(AT_ONCE));
            if some.is_empty() {
                return answers;
            }
            answers.extend(some);
        }
    }

    fn visit(&self, among: Among, look: &mut Look<'_>) -> Result<(), StoreError> {
        let mut entry = |(standing, version)| look(&standing, version);
        let by = match among {
            Among::All => &self.all,
            Among::Ending(_) | Among::Nodes | Among::Approvers => &self.many,
        };
        self.read(by, |connection| rows::visit(connection, among, &mut entry))
    }

    fn count(&self) -> Result<Count, StoreError> {
        self.read(&self.many, |connection| {
            Ok(Count {
                devices: rows::totals(connection)?.devices,
                requests: rows::waiting(connection)?,
            })
        })
    }

    fn list(&self) -> Result<Vec<(Standing, Version)>, StoreError> {
        self.read(&self.all, rows::list)
    }

    fn waiting(&self, look: &mut Look<'_>) -> Result<(), StoreError> {
        let mut entry = |(standing, version)| look(&standing, version);
        self.read(&self.many, |connection| {
            rows::all_waiting(connection, &mut entry)
        })
    }

    fn device_of_request(&self, request_id: &str) -> Result<Option<Box<str>>, StoreError> {
        self.read(&self.many, |connection| {
            Ok(rows::of_request(connection, request_id)?)
        })
    }

    /// Says too when the file was moved or replaced: a server that asks often hears of it.
    fn revision(&self) -> Result<u64, StoreError> {
        self.check_place().map_err(StoreError::Failed)?;
        drop(self.current()?);
        Ok(lock(&self.cache).commits())
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
