//! Any files in the state folder of an OpenClaw gateway. Reading it ends; every entry is taken or left
//! with a reason; what is taken opens no wider than the file says, is of the key it names, and holds
//! nothing that is not understood; and it is put into a store as a whole.
//!
//! The first byte says which files there are. A zero byte ends each: `devices/paired.json`,
//! `devices/pending.json`, `devices/bootstrap.json`, `nodes/paired.json`, and the database last, as it
//! stands on the disk or as JSON of its tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use gw::pairing::import::{Import, Source, Taken, folder, read};
use gw::pairing::key::PublicKey;
use gw::pairing::record::{Pending, Record};
use gw::pairing::{Memory, Store as _};
use gw::settings::Compatibility;
use rusqlite::Connection;
use rusqlite::types::Value as Sql;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use tempfile::TempDir;

use super::carried_out::{asked, scopes, set};
use super::sign::NOW;

/// Where the database is, in the folder.
const DATABASE: &str = "state/openclaw.sqlite";

/// The files beside it, in the order of the bytes.
const FILES: [Source; 4] = [
    Source::PairedFile,
    Source::PendingFile,
    Source::CodeFile,
    Source::NodeFile,
];

/// What the fields are called that some release wrote, and those of our own.
const FIELDS: [&str; 30] = [
    "requestId",
    "deviceId",
    "publicKey",
    "displayName",
    "operatorLabel",
    "platform",
    "deviceFamily",
    "clientId",
    "clientMode",
    "browserOrigin",
    "role",
    "roles",
    "scopes",
    "approvedScopes",
    "remoteIp",
    "tokens",
    "approvedVia",
    "nodeSurface",
    "pendingNodeSurface",
    "createdAtMs",
    "approvedAtMs",
    "lastSeenAtMs",
    "lastSeenReason",
    "silent",
    "isRepair",
    "ts",
    "refreshedAtMs",
    "expiresAtMs",
    "came",
    "replaces",
];

thread_local! {
    static FOLDER: TempDir = {
        let folder = tempfile::tempdir().unwrap();
        for name in ["devices", "nodes", "state"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        folder
    };
}

/// Reads the bytes as a state folder.
pub fn run(data: &[u8]) {
    let Some((flags, rest)) = data.split_first() else {
        return;
    };
    let has = |bit: u8| flags >> bit & 1 == 1;
    let mut parts = rest.splitn(FILES.len() + 1, |byte| *byte == 0);
    let mut texts: BTreeMap<Source, String> = BTreeMap::new();
    for (bit, file) in (0..).zip(FILES) {
        let text = String::from_utf8_lossy(parts.next().unwrap_or_default());
        if has(bit) {
            texts.insert(file, text.into_owned());
        }
    }
    let database = parts.next().unwrap_or_default();
    let database = match (has(4), has(5)) {
        (false, _) => Database::None,
        (true, false) => Database::Bytes(database),
        (true, true) => match serde_json::from_slice(database) {
            Ok(Value::Object(tables)) => Database::Tables(tables),
            _ => Database::None,
        },
    };
    let rules = Compatibility::default();
    let text = |file: Source| texts.get(&file).map(String::as_str);
    let alone = matches!(database, Database::None) && !has(2) && !has(3);
    let found = match alone {
        true => Some(read(
            text(Source::PairedFile),
            text(Source::PendingFile),
            NOW,
            &rules,
        )),
        false => FOLDER.with(|folder| {
            write(folder.path(), &texts, &database)?;
            Some(folder::read(folder.path(), NOW, &rules))
        }),
    };
    let Some(Ok(mut import)) = found else {
        return;
    };
    let mut said = Said::default();
    for file in [Source::PairedFile, Source::PendingFile] {
        if let Some(text) = text(file) {
            let Entries(entries) = serde_json::from_str(text).unwrap();
            said.0
                .extend(entries.into_iter().map(|(id, value)| (file, id, value)));
        }
    }
    match &database {
        Database::None => {}
        Database::Tables(tables) => said.add_tables(tables),
        // What stands in such a file is known to SQLite alone.
        Database::Bytes(_) => return is_put(&mut import),
    }
    for taken in &import.taken {
        said.allows(taken, &rules);
    }
    accounts_for(&import, &said);
    if matches!(database, Database::None) {
        shows_no_secret(&import, &said, &texts);
    }
    for left in &import.left {
        let shown = left.to_string();
        assert!(
            !shown.is_empty() && !left.id.contains(char::is_control),
            "{shown:?}"
        );
    }
    is_put(&mut import);
}

/// What stands where the database is.
enum Database<'a> {
    None,
    Bytes(&'a [u8]),
    /// Its tables, each a list of rows.
    Tables(Map<String, Value>),
}

/// Makes the folder hold just these files; `None` where no database can have such tables.
fn write(folder: &Path, texts: &BTreeMap<Source, String>, database: &Database<'_>) -> Option<()> {
    for file in FILES {
        let path = folder.join(file.name());
        match texts.get(&file) {
            Some(text) => fs::write(path, text).unwrap(),
            None => drop(fs::remove_file(path)),
        }
    }
    for ending in ["", "-wal", "-shm", "-journal"] {
        drop(fs::remove_file(folder.join(format!("{DATABASE}{ending}"))));
    }
    let path = folder.join(DATABASE);
    match database {
        Database::None => Some(()),
        Database::Bytes(bytes) => {
            fs::write(path, bytes).unwrap();
            Some(())
        }
        Database::Tables(tables) => made(&path, tables).ok(),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\"").replace('\0', ""))
}

/// A database of these tables; a row is an object of its columns.
fn made(path: &Path, tables: &Map<String, Value>) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; BEGIN")?;
    for (table, rows) in tables {
        let rows: Vec<&Map<String, Value>> = objects(rows).collect();
        let names: BTreeSet<&str> = rows
            .iter()
            .flat_map(|row| row.keys())
            .map(String::as_str)
            .collect();
        let columns: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let columns = match columns.is_empty() {
            true => "device_id".to_owned(),
            false => columns.join(", "),
        };
        connection.execute_batch(&format!("CREATE TABLE {} ({columns})", quoted(table)))?;
        let places = vec!["?"; names.len()].join(", ");
        for row in rows.iter().filter(|row| !row.is_empty()) {
            let values = names.iter().map(|name| sql(row.get(*name)));
            let insert = format!("INSERT INTO {} VALUES ({places})", quoted(table));
            connection.execute(&insert, rusqlite::params_from_iter(values))?;
        }
    }
    connection.execute_batch("COMMIT")
}

fn objects(rows: &Value) -> impl Iterator<Item = &Map<String, Value>> {
    rows.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
}

fn sql(value: Option<&Value>) -> Sql {
    match value {
        None | Some(Value::Null) => Sql::Null,
        Some(Value::Bool(flag)) => Sql::Integer(i64::from(*flag)),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(number) => Sql::Integer(number),
            None => Sql::Real(number.as_f64().unwrap_or_default()),
        },
        Some(Value::String(text)) => Sql::Text(text.clone()),
        Some(value @ (Value::Array(_) | Value::Object(_))) => Sql::Text(value.to_string()),
    }
}

/// The entries of a file, those too that stand in it twice.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("entries")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Entries(all))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<Entries, A::Error> {
                Ok(Entries(Vec::new()))
            }
        }
        deserializer.deserialize_any(Each)
    }
}

/// What the files and tables say of devices.
#[derive(Default)]
struct Said(Vec<(Source, String, Value)>);

impl Said {
    fn add_tables(&mut self, tables: &Map<String, Value>) {
        for (table, key) in [
            (Source::PairedTable, "device_id"),
            (Source::PendingTable, "request_id"),
        ] {
            let rows = tables.get(table.name()).into_iter().flat_map(objects);
            for row in rows.filter(|row| !row.is_empty()) {
                let id = row
                    .get(key)
                    .and_then(Value::as_str)
                    .unwrap_or("a row without an id");
                self.0
                    .push((table, id.to_owned(), Value::Object(of_row(row))));
            }
        }
    }

    /// The one entry with this id, in one of these places.
    fn only(&self, places: [Source; 2], id: &str) -> Option<(Source, &Value)> {
        let of = |place: Source| {
            let mut all = self
                .0
                .iter()
                .filter(move |(source, own, _)| *source == place && own == id);
            all.next()
                .filter(|_| all.next().is_none())
                .map(|(source, _, value)| (*source, value))
        };
        places.into_iter().find_map(of)
    }

    fn has(&self, place: Source, id: &str) -> bool {
        let mut all = self.0.iter();
        all.any(|(source, own, _)| *source == place && own == id)
    }

    /// Whether all that is taken of a device is said.
    fn allows(&self, taken: &Taken, rules: &Compatibility) {
        let standing = &taken.standing;
        if let Some(record) = &standing.record {
            let id = &record.device_id;
            // What the database says of a device counts, whatever the file says.
            let (source, value) = self
                .only([Source::PairedTable, Source::PairedFile], id)
                .unwrap();
            assert_eq!(taken.source, source);
            assert!(source == Source::PairedTable || !self.has(Source::PairedTable, id));
            record_is_said(record, value);
        }
        if let Some(pending) = &standing.pending {
            let places = [Source::PendingTable, Source::PendingFile];
            let (source, value) = self.only(places, &pending.request_id).unwrap();
            assert!(source == places[0] || !self.has(places[0], &pending.request_id));
            assert!(request_is_said(pending, value), "{pending:?}");
            assert!(!pending.is_expired(rules.request_ttl_ms, NOW));
        }
        assert!(standing.node_pending.is_none());
        assert!(standing.record.is_some() || standing.pending.is_some());
    }
}

/// A row as the object of a file: columns in their spelling there, null left out.
fn of_row(row: &Map<String, Value>) -> Map<String, Value> {
    let mut object = Map::new();
    for (column, value) in row.iter().filter(|(_, value)| !value.is_null()) {
        let is_json = column.ends_with("_json");
        let mut words = column.trim_end_matches("_json").split('_');
        let mut field = words.next().unwrap_or_default().to_owned();
        for word in words {
            field += &word.get(..1).unwrap_or_default().to_ascii_uppercase();
            field += word.get(1..).unwrap_or_default();
        }
        let value = match (is_json, sql(Some(value))) {
            (true, Sql::Text(text)) => serde_json::from_str(&text).unwrap_or(Value::Null),
            _ => value.clone(),
        };
        object.insert(field, value);
    }
    object
}

fn words<'a>(value: &'a Value, field: &str) -> Option<BTreeSet<&'a str>> {
    let list = value.get(field)?.as_array()?;
    Some(set(list.iter().filter_map(Value::as_str)))
}

/// The roles that are named, in both ways.
fn roles(value: &Value) -> BTreeSet<&str> {
    let mut roles = words(value, "roles").unwrap_or_default();
    roles.extend(value.get("role").and_then(Value::as_str).map(str::trim));
    roles
}

fn is_understood(value: &Value) {
    let fields = value.as_object().unwrap().iter();
    for (name, value) in fields {
        assert!(value.is_null() || FIELDS.contains(&name.as_str()), "{name}");
    }
}

/// Whether a record opens no wider than what is said.
fn record_is_said(record: &Record, value: &Value) {
    is_understood(value);
    assert!(
        set(record.approved_roles()).is_subset(&roles(value)),
        "{record:?}"
    );
    let said = words(value, "approvedScopes").or_else(|| words(value, "scopes"));
    assert!(
        scopes(record.baseline()).is_subset(&said.unwrap_or_default()),
        "{record:?}"
    );
    let key = PublicKey::parse(value["publicKey"].as_str().unwrap()).unwrap();
    assert!(key.bytes().len() == 32 && !key.is_weak());
    assert_eq!(key.device_id(), *record.device_id);
    assert_eq!(PublicKey::parse(&record.public_key), Some(key));
    assert_eq!(record.expires_at_ms, value["expiresAtMs"].as_i64());
    for (role, token) in record.tokens.iter().flatten() {
        let said = &value["tokens"][&**role];
        assert_eq!(
            Some(token.token.expose()),
            said["token"].as_str().map(str::trim)
        );
        assert_eq!(Some(&*token.role), said["role"].as_str());
        assert_eq!(token.revoked_at_ms, said["revokedAtMs"].as_i64());
        let own = words(said, "scopes").unwrap_or_default();
        assert!(scopes(&token.scopes).is_subset(&own), "{record:?}");
        assert_eq!(token.issuer.is_some(), said["issuer"].is_object());
    }
}

/// Whether a request asks for what is said, and no more.
fn request_is_said(pending: &Pending, value: &Value) -> bool {
    is_understood(value);
    let (asked_roles, asked_scopes) = asked(pending);
    let key = value["publicKey"].as_str().and_then(PublicKey::parse);
    let silent = match &value["silent"] {
        Value::Number(flag) => Some(flag.as_i64() == Some(1)),
        flag => flag.as_bool(),
    };
    asked_roles.is_subset(&roles(value))
        && asked_scopes.is_subset(&words(value, "scopes").unwrap_or_default())
        && key.is_some_and(|key| key.device_id() == *pending.device_id && !key.is_weak())
        && pending.silent == silent
        && Some(pending.ts) == value["ts"].as_i64()
}

/// Whether each entry of the files is taken or left.
fn accounts_for(import: &Import, said: &Said) {
    let taken = import.taken.iter().map(|taken| {
        let standing = &taken.standing;
        usize::from(standing.record.is_some()) + usize::from(standing.pending.is_some())
    });
    let is_one = |source: Source| match source {
        Source::PairedTable | Source::PendingTable | Source::PairedFile | Source::PendingFile => {
            true
        }
        Source::CodeTable | Source::NodeTable | Source::CodeFile | Source::NodeFile => false,
    };
    let left = import.left.iter().filter(|left| is_one(left.source));
    assert_eq!(taken.sum::<usize>() + left.count(), said.0.len());
}

/// Whether what is told of an import holds no token: one that stands in the files once, where it
/// belongs.
fn shows_no_secret(import: &Import, said: &Said, texts: &BTreeMap<Source, String>) {
    let told = format!("{import:?}");
    for (_, _, value) in &said.0 {
        let tokens = value["tokens"].as_object().into_iter().flatten();
        let secrets = tokens.filter_map(|(_, token)| token["token"].as_str());
        for secret in secrets.filter(|secret| secret.len() >= 8) {
            let count: usize = texts
                .values()
                .map(|text| text.matches(secret).count())
                .sum();
            assert!(count != 1 || !told.contains(secret), "{told}");
        }
    }
}

/// Whether what is taken gets into a store as it is, and what is there stays.
fn is_put(import: &mut Import) {
    let taken = import.taken.clone();
    let left = import.left.len();
    let store = Memory::default();
    assert_eq!(import.put(&store), Ok(taken.len()));
    let kept = store
        .list()
        .unwrap()
        .into_iter()
        .map(|(standing, _)| standing);
    assert!(kept.eq(taken.iter().map(|it| it.standing.clone())));
    assert_eq!((&import.taken, import.left.len()), (&taken, left));
    let again = import.put(&store);
    assert_eq!((again, import.left.len()), (Ok(0), left + taken.len()));
}
