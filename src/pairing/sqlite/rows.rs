//! Standings as rows, and back.

use std::collections::BTreeMap;
use std::fmt;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Row, named_params};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::pairing::kept::{Entry, Kept, News, Written};
use crate::pairing::standing::Standing;
use crate::pairing::store::Version;
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

/// How many commits there were.
pub(super) fn commits(connection: &Connection) -> Result<u64, Unread> {
    let commits = connection
        .prepare_cached("SELECT commits FROM store")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let uncounted = || Unread::Content("it does not say how many commits there were".into());
    number(commits.ok_or_else(uncounted)?)
}

/// All that is kept.
pub(super) fn load(connection: &Connection) -> Result<Kept, Unread> {
    let commits = commits(connection)?;
    let devices = newer(connection, 0, commits)?;
    Ok(Kept::new(devices, commits))
}

/// What has changed after the first `known` of so many commits.
pub(super) fn news(connection: &Connection, known: u64, commits: u64) -> Result<News, Unread> {
    let mut devices = connection.prepare_cached("SELECT device_id FROM standings")?;
    let devices = devices.query_map([], |row| row.get(0))?;
    Ok(News {
        newer: newer(connection, known, commits)?,
        devices: devices.collect::<rusqlite::Result<_>>()?,
        commits,
    })
}

/// The devices that were written after the first `known` of so many commits.
fn newer(
    connection: &Connection,
    known: u64,
    commits: u64,
) -> Result<BTreeMap<Box<str>, Entry>, Unread> {
    let mut devices = BTreeMap::new();
    let mut rows = connection.prepare_cached(
        "SELECT device_id, version, record, pending, node_pending FROM standings
         WHERE version > ?",
    )?;
    let mut rows = rows.query([stored(known)?])?;
    while let Some(row) = rows.next()? {
        let device: Box<str> = row.get("device_id")?;
        let version = number(row.get("version")?)?;
        if version > commits {
            let how = format!("device {device} is at version {version}, after {commits} commits");
            return Err(Unread::Content(how.into()));
        }
        let standing = Standing {
            record: part(row, &device, "record")?,
            pending: part(row, &device, "pending")?,
            node_pending: part(row, &device, "node_pending")?,
        };
        devices.insert(device, (standing.into(), Version(version)));
    }
    Ok(devices)
}

/// The message of a JSON error may hold a token: its place is enough.
fn part<T: DeserializeOwned>(
    row: &Row<'_>,
    device: &str,
    column: &str,
) -> Result<Option<T>, Unread> {
    let text: Option<String> = row.get(column)?;
    let read = text.map(|text| serde_json::from_str(&text)).transpose();
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

/// Writes a batch that was worked out from what was kept `before`, after so many commits.
/// `false` when that is not what the database holds.
pub(super) fn write(
    connection: &Connection,
    written: &Written,
    before: u64,
) -> rusqlite::Result<bool> {
    let mut count =
        connection.prepare_cached("UPDATE store SET commits = :commits WHERE commits = :before")?;
    let counted = count.execute(named_params! {
        ":commits": stored(written.commits())?, ":before": stored(before)?,
    })?;
    if counted != 1 {
        return Ok(false);
    }
    let mut put = connection.prepare_cached(
        "INSERT INTO standings (device_id, version, record, pending, node_pending)
         VALUES (:device_id, :version, :record, :pending, :node_pending)
         ON CONFLICT (device_id) DO UPDATE SET version = excluded.version,
            record = excluded.record, pending = excluded.pending,
            node_pending = excluded.node_pending",
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
        ":record": record.as_ref().map(|record| json!(Stored(record)).to_string()),
        ":pending": pending.as_ref().map(|pending| json!(pending).to_string()),
        ":node_pending": node_pending.as_ref().map(|pending| json!(pending).to_string()),
    })?;
    Ok(())
}

fn stored(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}
