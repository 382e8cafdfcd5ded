//! Standings as rows, and back.

use std::fmt;
use std::ops::ControlFlow;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::facts::{Role, Scope};
use crate::pairing::kept::{Entry, Totals, Written};
use crate::pairing::record::Record;
use crate::pairing::standing::Standing;
use crate::pairing::store::{Among, Version};
use crate::pairing::stored::Stored;

/// Why rows are not standings.
#[derive(Debug)]
pub(super) enum Unread {
    Sqlite(rusqlite::Error),
    /// What is wrong with the content; no secret is in it.
    Content(Box<str>),
}

impl From<rusqlite::Error> for Unread {
    fn from(error: rusqlite::Error) -> Self {
        Unread::Sqlite(error)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Sqlite(error) => error.fmt(f),
            Unread::Content(how) => f.write_str(how),
        }
    }
}

/// What is counted of all devices.
pub(super) fn totals(connection: &Connection) -> Result<Totals, Unread> {
    let counted = connection
        .prepare_cached("SELECT commits, devices, requests FROM store")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let uncounted = || Unread::Content("it does not say how many commits there were".into());
    let (commits, devices, requests) = counted.ok_or_else(uncounted)?;
    Ok(Totals {
        commits: number(commits)?,
        devices: size(devices)?,
        requests: size(requests)?,
    })
}

/// Puts right what is counted of all devices, where it is not what is there.
pub(super) fn recount(connection: &Connection, totals: Totals) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE store SET devices = ?, requests = ? WHERE devices <> ?1 OR requests <> ?2",
        [length(totals.devices)?, length(totals.requests)?],
    )?;
    Ok(())
}

/// How many devices have a request that waits.
pub(super) fn waiting(connection: &Connection) -> Result<usize, Unread> {
    let counted = connection
        .prepare_cached("SELECT count(*) FROM standings WHERE pending IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    size(counted)
}

/// The device whose request waits by this id.
pub(super) fn of_request(
    connection: &Connection,
    request_id: &str,
) -> rusqlite::Result<Option<Box<str>>> {
    connection
        .prepare_cached(
            "SELECT device_id FROM standings
             WHERE pending IS NOT NULL AND json_extract(pending, '$.requestId') = ?",
        )?
        .query_row([request_id], |row| row.get(0))
        .optional()
}

/// What a row says: what is kept of a device, and its version.
type Read = (Standing, Version);

/// A row, as it is written.
pub(super) struct Raw {
    device: Box<str>,
    version: i64,
    parts: [Option<String>; 3],
}

/// The columns of rows, of those that fulfil a condition.
macro_rules! standings {
    ($($of:literal)?) => {
        concat!(
            "SELECT device_id, version, record, pending, node_pending FROM standings"
            $(, " ", $of)?
        )
    };
}

/// What is kept of a device, where anything is.
pub(super) fn one(connection: &Connection, device: &str) -> rusqlite::Result<Option<Raw>> {
    connection
        .prepare_cached(standings!("WHERE device_id = ?"))?
        .query_row([device], Raw::of)
        .optional()
}

/// Those with a request that waits, in the order of device ids.
const WAITING: &str = standings!("WHERE pending IS NOT NULL ORDER BY device_id");

/// All, in the same order.
const LISTED: &str = standings!("ORDER BY device_id");

/// What is asked for these devices. Each but that for all devices is answered by an index of the
/// same condition.
pub(super) fn queries(among: Among) -> &'static [&'static str] {
    match among {
        Among::All => &[standings!()],
        Among::Ending(_) => &[WAITING, standings!("WHERE ends_at <= ?")],
        Among::Nodes => &[standings!("WHERE is_node IS NOT NULL")],
        Among::Approvers => &[standings!("WHERE is_approver IS NOT NULL")],
    }
}

/// Looks at all with a request that waits, in the order of device ids, as far as they can be read: a
/// damaged row keeps out its own device, and nobody else who asks.
pub(super) fn all_waiting(
    connection: &Connection,
    look: &mut dyn FnMut(Read) -> ControlFlow<()>,
) -> Result<(), Unread> {
    // Whoever looks may have seen enough.
    let _ = each(connection, WAITING, Among::All, look, &mut None)?;
    Ok(())
}

/// All that is kept, in the same order.
pub(super) fn list(connection: &Connection) -> Result<Vec<Read>, Unread> {
    let (mut entries, mut damaged) = (Vec::new(), None);
    let mut keep = |entry| {
        entries.push(entry);
        ControlFlow::Continue(())
    };
    // It looks at all of them.
    let _ = each(connection, LISTED, Among::All, &mut keep, &mut damaged)?;
    damaged.map_or(Ok(entries), |how| Err(Unread::Content(how)))
}

/// Looks at these devices, one row at a time. Those that are damaged are passed over; when all others
/// were looked at, they are told.
pub(super) fn visit(
    connection: &Connection,
    among: Among,
    look: &mut dyn FnMut(Read) -> ControlFlow<()>,
) -> Result<(), Unread> {
    let mut damaged = None;
    for query in queries(among) {
        if each(connection, query, among, look, &mut damaged)?.is_break() {
            return Ok(());
        }
    }
    damaged.map_or(Ok(()), |how| Err(Unread::Content(how)))
}

/// Looks at the rows that a query finds; puts into `damaged` why the first of them cannot be read that
/// cannot.
fn each(
    connection: &Connection,
    query: &str,
    among: Among,
    look: &mut dyn FnMut(Read) -> ControlFlow<()>,
    damaged: &mut Option<Box<str>>,
) -> Result<ControlFlow<()>, Unread> {
    let mut asked = connection.prepare_cached(query)?;
    let mut rows = match among {
        Among::Ending(now_ms) if asked.parameter_count() == 1 => asked.query([now_ms])?,
        Among::All | Among::Ending(_) | Among::Nodes | Among::Approvers => asked.query([])?,
    };
    while let Some(row) = rows.next()? {
        match Raw::of(row)?.read() {
            Ok(read) => {
                if look(read).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Err(Unread::Content(how)) => {
                damaged.get_or_insert(how);
            }
            Err(error @ Unread::Sqlite(_)) => return Err(error),
        }
    }
    Ok(ControlFlow::Continue(()))
}

impl Raw {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Raw {
            device: row.get(0)?,
            version: row.get(1)?,
            parts: [row.get(2)?, row.get(3)?, row.get(4)?],
        })
    }

    /// What it says.
    pub(super) fn read(self) -> Result<Read, Unread> {
        let device = &*self.device;
        let [record, pending, node_pending] = &self.parts;
        let standing = Standing {
            record: part(record.as_deref(), device, "record")?,
            pending: part(pending.as_deref(), device, "pending")?,
            node_pending: part(node_pending.as_deref(), device, "node_pending")?,
        };
        Ok((standing, Version(number(self.version)?)))
    }

    /// That its version is one of so many commits.
    pub(super) fn check(&self, commits: u64) -> Result<(), Unread> {
        let (device, version) = (&self.device, number(self.version)?);
        match version > commits {
            true => {
                let how =
                    format!("device {device} is at version {version}, after {commits} commits");
                Err(Unread::Content(how.into()))
            }
            false => Ok(()),
        }
    }
}

/// Reads all rows, and counts them.
pub(super) fn look_through(connection: &Connection, commits: u64) -> Result<Totals, Unread> {
    let mut totals = Totals {
        commits,
        ..Totals::default()
    };
    for query in queries(Among::All) {
        let mut asked = connection.prepare(query)?;
        let mut rows = asked.query([])?;
        while let Some(row) = rows.next()? {
            let raw = Raw::of(row)?;
            raw.check(commits)?;
            totals.count(&raw.read()?.0);
        }
    }
    Ok(totals)
}

/// The message of a JSON error may hold a token: its place is enough.
fn part<T: DeserializeOwned>(
    text: Option<&str>,
    device: &str,
    column: &str,
) -> Result<Option<T>, Unread> {
    let read = text.map(serde_json::from_str).transpose();
    read.map_err(|error| {
        let at = error.column();
        let how = format!("{column} of device {device} cannot be read (at character {at})");
        Unread::Content(how.into())
    })
}

fn number(stored: i64) -> Result<u64, Unread> {
    let negative = |_| Unread::Content("a count is below 0".into());
    u64::try_from(stored).map_err(negative)
}

fn size(stored: i64) -> Result<usize, Unread> {
    Ok(usize::try_from(number(stored)?).unwrap_or(usize::MAX))
}

/// Writes a batch that was worked out from what was kept `before`, after so many commits.
/// `false` when that is not what the database holds.
pub(super) fn write(
    connection: &Connection,
    written: &Written,
    before: u64,
) -> rusqlite::Result<bool> {
    let mut count = connection.prepare_cached(
        "UPDATE store SET commits = :commits, devices = :devices, requests = :requests
         WHERE commits = :before",
    )?;
    let totals = written.totals();
    let counted = count.execute(named_params! {
        ":commits": stored(totals.commits)?,
        ":devices": length(totals.devices)?,
        ":requests": length(totals.requests)?,
        ":before": stored(before)?,
    })?;
    if counted != 1 {
        return Ok(false);
    }
    let mut put = connection.prepare_cached(
        "INSERT INTO standings (device_id, version, record, pending, node_pending, ends_at, is_node,
            is_approver)
         VALUES (:device_id, :version, :record, :pending, :node_pending, :ends_at, :is_node,
            :is_approver)
         ON CONFLICT (device_id) DO UPDATE SET version = excluded.version,
            record = excluded.record, pending = excluded.pending,
            node_pending = excluded.node_pending, ends_at = excluded.ends_at,
            is_node = excluded.is_node, is_approver = excluded.is_approver",
    )?;
    let mut remove = connection.prepare_cached("DELETE FROM standings WHERE device_id = ?")?;
    for (device, entry) in written.devices() {
        match entry {
            Some(entry) => put_row(&mut put, device, entry)?,
            None => drop(remove.execute([device])?),
        }
    }
    Ok(true)
}

fn put_row(
    put: &mut CachedStatement<'_>,
    device: &str,
    (standing, version): &Entry,
) -> rusqlite::Result<()> {
    let Standing {
        record,
        pending,
        node_pending,
    } = &**standing;
    put.execute(named_params! {
        ":device_id": device,
        ":version": stored(version.0)?,
        ":record": text(record.as_ref().map(Stored))?,
        ":pending": text(pending.as_ref())?,
        ":node_pending": text(node_pending.as_ref())?,
        ":ends_at": record.as_ref().and_then(|record| record.expires_at_ms),
        ":is_node": record.as_ref().is_some_and(is_node).then_some(1),
        ":is_approver": record.as_ref().is_some_and(is_approver).then_some(1),
    })?;
    Ok(())
}

fn is_node(record: &Record) -> bool {
    record
        .approved_roles()
        .any(|role| role == Role::Node.name())
}

/// As far as its scopes go: whoever looks finds out what they count for.
fn is_approver(record: &Record) -> bool {
    let approves = [Scope::Pairing.name(), Scope::Admin.name()];
    let scopes = record.scopes.iter().chain(&record.approved_scopes);
    scopes
        .flatten()
        .any(|scope| approves.contains(&scope.trim()))
}

fn text(part: Option<impl Serialize>) -> rusqlite::Result<Option<String>> {
    let written = part.map(|part| serde_json::to_string(&part)).transpose();
    written.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn length(count: usize) -> rusqlite::Result<i64> {
    stored(u64::try_from(count).unwrap_or(u64::MAX))
}

fn stored(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
