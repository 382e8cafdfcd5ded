//! The state folder of an OpenClaw gateway: its files of devices, and the database of newer
//! releases.
//!
//! Releases up to 2026.6 keep `devices/*.json`; later ones keep tables in `state/openclaw.sqlite`,
//! and rename a file to `*.migrated` once they have taken it over. So a file that has its name is
//! not in the database yet, and is read too. What is read stays as it is; SQLite may put the
//! `-wal` and `-shm` files beside a database that it needs to read one.
//!
//! Whoever has a copy to pass on may have made it: only files are opened, and of each no more is
//! read than any gateway would have written.
#![expect(
    clippy::disallowed_types,
    reason = "another gateway's files are read; nothing is decided here"
)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};
use serde_json::{Map, Value};

use super::{Found, Import, ImportError, Reason, Source, entries, sort};
use crate::settings::Compatibility;

/// What helps where a database is damaged.
const MEND: &str = "put a copy in its place";

/// Where newer releases keep devices, in the state folder.
const DATABASE: &str = "state/openclaw.sqlite";

/// What SQLite opens beside a database, by the ends of their names.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The most that is read of all files and tables together, in bytes: ten thousand devices. In memory
/// a text made for it takes a hundred times as much.
const MOST: usize = 16 << 20;

/// The longest row, and the longest text in one, in bytes: a record has a few thousand.
const LONGEST_ROW: i32 = 1 << 20;

/// As many bytes count as read of each row, beside its texts.
const OF_ROW: usize = 64;

/// Sorts what a state folder remembers of devices, at `now_ms` in Unix milliseconds. Its gateway
/// should be stopped: what it writes afterwards is not seen.
///
/// # Errors
///
/// [`ImportError`]; nothing is taken then.
pub fn read(folder: &Path, now_ms: i64, rules: &Compatibility) -> Result<Import, ImportError> {
    let database = folder.join(DATABASE);
    let mut found = Vec::new();
    let mut left = MOST;
    let mut any = false;
    if file_at(&database)? {
        any = true;
        for end in BESIDE {
            file_at(&folder.join(format!("{DATABASE}{end}")))?;
        }
        found.extend(read_database(&database, &mut left)?);
    }
    for source in [Source::PairedFile, Source::PendingFile] {
        if let Some(text) = read_file(folder, source, &mut left)? {
            any = true;
            found.extend(entries(source, &text)?);
        }
    }
    for source in [Source::CodeFile, Source::NodeFile] {
        if let Some(text) = read_file(folder, source, &mut left)? {
            found.extend(counted(source, entries(source, &text)?.len()));
        }
    }
    match any {
        true => Ok(sort(found, now_ms, rules)),
        false => Err(ImportError::NoState {
            folder: folder.to_owned(),
        }),
    }
}

/// What is left as a whole is told by its number: the name of a setup code is the code.
fn counted(source: Source, count: usize) -> Option<Found> {
    (count > 0).then(|| Found {
        source,
        id: format!("{count} in all").into(),
        value: Err(Reason::NotARecord),
    })
}

/// Whether there is a file. What else is there under its name is not opened: a pipe would wait for
/// somebody to write into it, and a device has no end.
fn file_at(path: &Path) -> Result<bool, ImportError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(true),
        Ok(_) => Err(ImportError::NoFile {
            path: path.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(ImportError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

fn read_file(folder: &Path, file: Source, left: &mut usize) -> Result<Option<String>, ImportError> {
    let path = folder.join(file.name());
    if !file_at(&path)? {
        return Ok(None);
    }
    let mut text = String::new();
    let limit = *left as u64 + 1;
    let read = File::open(&path).and_then(|file| file.take(limit).read_to_string(&mut text));
    match (read, left.checked_sub(text.len())) {
        (Ok(_), Some(rest)) => *left = rest,
        (Ok(_), None) => return Err(ImportError::TooLarge { path, most: MOST }),
        (Err(source), _) => return Err(ImportError::Unreadable { path, source }),
    }
    Ok(Some(text))
}

/// What a column holds, and so what its field is in the files.
#[derive(Clone, Copy, Debug)]
enum Column {
    /// A text or a number as it is.
    Plain,
    /// 0 or 1.
    Flag,
    /// JSON text.
    Json,
}

/// The columns of both tables, with the fields of the files that they stand for. Another column
/// may restrict what the row says: a row that has a value in it is not understood.
const COLUMNS: [(&str, &str, Column); 27] = [
    ("request_id", "requestId", Column::Plain),
    ("device_id", "deviceId", Column::Plain),
    ("public_key", "publicKey", Column::Plain),
    ("display_name", "displayName", Column::Plain),
    ("operator_label", "operatorLabel", Column::Plain),
    ("platform", "platform", Column::Plain),
    ("device_family", "deviceFamily", Column::Plain),
    ("client_id", "clientId", Column::Plain),
    ("client_mode", "clientMode", Column::Plain),
    ("browser_origin", "browserOrigin", Column::Plain),
    ("role", "role", Column::Plain),
    ("roles_json", "roles", Column::Json),
    ("scopes_json", "scopes", Column::Json),
    ("approved_scopes_json", "approvedScopes", Column::Json),
    ("remote_ip", "remoteIp", Column::Plain),
    ("tokens_json", "tokens", Column::Json),
    ("approved_via", "approvedVia", Column::Plain),
    ("node_surface_json", "nodeSurface", Column::Json),
    (
        "pending_node_surface_json",
        "pendingNodeSurface",
        Column::Json,
    ),
    ("created_at_ms", "createdAtMs", Column::Plain),
    ("approved_at_ms", "approvedAtMs", Column::Plain),
    ("last_seen_at_ms", "lastSeenAtMs", Column::Plain),
    ("last_seen_reason", "lastSeenReason", Column::Plain),
    ("silent", "silent", Column::Flag),
    ("is_repair", "isRepair", Column::Flag),
    ("ts", "ts", Column::Plain),
    ("refreshed_at_ms", "refreshedAtMs", Column::Plain),
];

/// What the connection is told before anything is read: the schema is another's, and none of its
/// expressions is evaluated.
const GUARDS: &str = "PRAGMA busy_timeout = 5000;
    PRAGMA trusted_schema = OFF;
    PRAGMA ignore_check_constraints = ON;
    BEGIN;";

fn read_database(path: &Path, left: &mut usize) -> Result<Vec<Found>, ImportError> {
    let database = |how: String| ImportError::Database {
        path: path.to_owned(),
        how: how.into(),
    };
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::TooBig) => {
            database(format!("a row has more than {LONGEST_ROW} bytes; {MEND}"))
        }
        _ => database(format!(
            "{error}; stop its gateway, or read a copy of the folder"
        )),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection
        .set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST_ROW)
        .map_err(failed)?;
    connection.execute_batch(GUARDS).map_err(failed)?;
    let tables = tables(&connection).map_err(failed)?;
    let has = |source: Source| tables.contains_key(source.name());
    for (table, stored) in &tables {
        if !stored {
            return Err(database(format!("{table} is no table; {MEND}")));
        }
    }
    let mut found = Vec::new();
    match (has(Source::PairedTable), has(Source::PendingTable)) {
        // Releases before they kept devices here.
        (false, false) => return Ok(found),
        (true, true) => {}
        (true, false) | (false, true) => {
            let how = "its tables of devices are others than gw knows; use a gw that knows them, \
                       or pair the devices anew";
            return Err(database(how.to_owned()));
        }
    }
    for (source, key) in [
        (Source::PairedTable, "device_id"),
        (Source::PendingTable, "request_id"),
    ] {
        let columns = columns(&connection, source).map_err(failed)?;
        if let Some(why) = columns {
            return Err(database(format!("a column of {source} {why}; {MEND}")));
        }
        let check = format!("PRAGMA quick_check({source})");
        let checked: String = connection
            .query_row(&check, [], |row| row.get(0))
            .map_err(failed)?;
        if checked != "ok" {
            return Err(database(format!("{checked}; {MEND}")));
        }
        let Some(rows) = read_table(&connection, source, key, left).map_err(failed)? else {
            let path = path.to_owned();
            return Err(ImportError::TooLarge { path, most: MOST });
        };
        found.extend(rows);
    }
    for source in [Source::CodeTable, Source::NodeTable] {
        if has(source) {
            let count = format!("SELECT count(*) FROM {source}");
            let count: i64 = connection
                .query_row(&count, [], |row| row.get(0))
                .map_err(failed)?;
            found.extend(counted(source, usize::try_from(count).unwrap_or(0)));
        }
    }
    Ok(found)
}

/// What goes by the name of a table that is read, and whether it is stored as a table: a view and
/// a virtual table compute what they hold.
fn tables(connection: &Connection) -> rusqlite::Result<BTreeMap<&'static str, bool>> {
    let mut query = connection.prepare(
        "SELECT type = 'table' AND rootpage > 0 FROM sqlite_schema
         WHERE name = ?1 AND type IN ('table', 'view')",
    )?;
    let mut tables = BTreeMap::new();
    for source in [
        Source::PairedTable,
        Source::PendingTable,
        Source::CodeTable,
        Source::NodeTable,
    ] {
        for stored in query.query_map([source.name()], |row| row.get(0))? {
            let stored: bool = stored?;
            *tables.entry(source.name()).or_insert(true) &= stored;
        }
    }
    Ok(tables)
}

/// What is wrong with a column of a table: what reads names below takes them for text, and what
/// computes its values could compute any amount.
fn columns(connection: &Connection, source: Source) -> rusqlite::Result<Option<&'static str>> {
    let mut query = connection.prepare(&format!("PRAGMA table_xinfo({source})"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        if row.get_ref(1)?.as_str().is_err() {
            return Ok(Some("has a name that is no text"));
        }
        if row.get::<_, i64>("hidden")? != 0 {
            return Ok(Some("is computed from others, which no release has"));
        }
    }
    Ok(None)
}

/// The rows of a table, in the order of their ids; nothing where there is more to read of them than
/// is `left`. SQLite would sort them on the disk, as a whole.
fn read_table(
    connection: &Connection,
    source: Source,
    key: &str,
    left: &mut usize,
) -> rusqlite::Result<Option<Vec<Found>>> {
    let mut query = connection.prepare(&format!("SELECT * FROM {source}"))?;
    let columns: Vec<String> = query.column_names().map(Into::into).collect();
    let mut rows = query.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let mut size = OF_ROW;
        for index in 0..columns.len() {
            if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = row.get_ref(index)? {
                size += bytes.len();
            }
        }
        let Some(rest) = left.checked_sub(size) else {
            return Ok(None);
        };
        *left = rest;
        let value = fields(row, &columns)?;
        let id = columns.iter().position(|column| column == key);
        let id = id.map_or(Ok(ValueRef::Null), |index| row.get_ref(index))?;
        let id: Box<str> = id.as_str().unwrap_or("a row without an id").into();
        found.push(Found { source, id, value });
    }
    found.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Some(found))
}

/// A row as the object that the files would hold. What is null is not there.
fn fields(row: &Row<'_>, columns: &[String]) -> rusqlite::Result<Result<Value, Reason>> {
    let mut object = Map::new();
    for (index, column) in columns.iter().enumerate() {
        let mut known = COLUMNS.iter();
        let known = known.find(|(name, ..)| name == column);
        let (field, kind) = known.map_or((column.as_str(), Column::Plain), |(_, field, kind)| {
            (field, *kind)
        });
        let bad = || Ok(Err(Reason::BadField(column.as_str().into())));
        let value = match (row.get_ref(index)?, kind) {
            (ValueRef::Null, _) => continue,
            (ValueRef::Integer(0), Column::Flag) => Value::Bool(false),
            (ValueRef::Integer(1), Column::Flag) => Value::Bool(true),
            (ValueRef::Integer(number), Column::Plain) => number.into(),
            (value @ ValueRef::Text(_), Column::Plain | Column::Json) => {
                let Ok(text) = value.as_str() else {
                    return bad();
                };
                match kind {
                    Column::Json => match serde_json::from_str(text) {
                        Ok(value) => value,
                        Err(_) => return bad(),
                    },
                    Column::Plain | Column::Flag => text.into(),
                }
            }
            (
                ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_),
                Column::Plain | Column::Flag | Column::Json,
            ) => return bad(),
        };
        object.insert(field.to_owned(), value);
    }
    Ok(Ok(Value::Object(object)))
}
