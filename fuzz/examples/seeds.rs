//! Makes the seeds of every target of the fixtures of gw: `fuzz/work/seeds/TARGET/NAME`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};

/// Larger ones are left out: what they say, smaller ones say.
const MOST: usize = 16_384;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files below a folder whose names end so.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => files(&path, ending, found),
            false if path.to_str().is_some_and(|path| path.ends_with(ending)) => found.push(path),
            false => {}
        }
    }
}

fn found(folder: &str, ending: &str) -> Vec<(String, Vec<u8>)> {
    let mut paths = Vec::new();
    files(&root().join(folder), ending, &mut paths);
    let named = |path: &PathBuf| {
        let name = path
            .strip_prefix(root())
            .unwrap()
            .to_str()
            .unwrap()
            .replace('/', "-");
        (name, fs::read(path).unwrap())
    };
    paths.iter().map(named).collect()
}

/// The seeds of one target.
struct Seeds {
    folder: PathBuf,
    known: BTreeSet<Vec<u8>>,
}

impl Seeds {
    fn of(target: &str) -> Self {
        let folder = root().join("fuzz/work/seeds").join(target);
        fs::create_dir_all(&folder).unwrap();
        Seeds {
            folder,
            known: BTreeSet::new(),
        }
    }

    fn add(&mut self, name: &str, bytes: Vec<u8>) {
        if bytes.len() <= MOST && self.known.insert(bytes.clone()) {
            fs::write(self.folder.join(name), bytes).unwrap();
        }
    }
}

fn policies() -> Vec<(String, Vec<u8>)> {
    let mut all = found("policies", ".policy");
    all.extend(found("fixtures", ".policy"));
    all
}

fn handshakes() -> Vec<(String, Vec<u8>)> {
    let mut all = found("fixtures", ".json");
    all.retain(|(_, bytes)| bytes.windows(14).any(|it| it == b"\"gw-handshake\""));
    all
}

/// Numbers that look like no pattern, the same in every run.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(next).collect()
}

/// The head that a recorded handshake came with.
fn head(handshake: &Value) -> Option<String> {
    let headers = handshake.pointer("/http/headers")?.as_array()?;
    let lines = headers
        .iter()
        .filter_map(|it| Some(format!("{}: {}\r\n", it[0].as_str()?, it[1].as_str()?)));
    let path = handshake
        .pointer("/http/path")
        .and_then(Value::as_str)
        .unwrap_or("/");
    let lines: String = lines.collect();
    Some(format!(
        "GET {path} HTTP/1.1\r\n{lines}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    ))
}

/// The tables of a database that some SQL makes.
fn tables(sql: &str) -> Value {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(sql).unwrap();
    let mut tables = Map::new();
    let mut names = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for name in names.map(Result::unwrap) {
        let mut query = connection
            .prepare(&format!("SELECT * FROM {name}"))
            .unwrap();
        let columns: Vec<String> = query
            .column_names()
            .into_iter()
            .map(str::to_owned)
            .collect();
        let rows = query.query_map([], |row| {
            let mut object = Map::new();
            for (at, column) in columns.iter().enumerate() {
                let value = match row.get_ref(at)? {
                    ValueRef::Null => continue,
                    ValueRef::Integer(number) => json!(number),
                    ValueRef::Real(number) => json!(number),
                    ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
                    ValueRef::Blob(_) => json!([0]),
                };
                object.insert(column.clone(), value);
            }
            Ok(Value::Object(object))
        });
        let rows = rows.unwrap().map(Result::unwrap);
        tables.insert(name, rows.collect());
    }
    Value::Object(tables)
}

/// One state folder, by the bytes of its files.
fn state(parts: [Option<&[u8]>; 4], database: Option<(u8, &[u8])>) -> Vec<u8> {
    let mut flags = 0;
    let mut bytes = Vec::new();
    for (bit, part) in parts.iter().enumerate() {
        flags |= u8::from(part.is_some()) << bit;
        bytes.extend(part.unwrap_or_default());
        bytes.push(0);
    }
    if let Some((kind, database)) = database {
        flags |= kind;
        bytes.extend(database);
    }
    bytes.insert(0, flags);
    bytes
}

fn main() {
    let mut seeds = Seeds::of("policy");
    for (name, bytes) in policies() {
        seeds.add(&name, bytes);
    }
    for target in ["decision", "admission"] {
        let mut seeds = Seeds::of(target);
        for (at, (name, mut bytes)) in (1..).zip(policies()) {
            bytes.push(0);
            bytes.extend(noise(at, 96));
            seeds.add(&name, bytes);
        }
        for at in 1..=200 {
            seeds.add(
                &format!("choices-{at}"),
                noise(at + 1_000, 64 + at as usize),
            );
        }
    }
    let mut whole = Seeds::of("handshake");
    let mut heads = Seeds::of("head");
    let mut frames = Seeds::of("connect");
    for (at, (name, bytes)) in (0_u8..).cycle().zip(handshakes()) {
        if let Ok(value) = serde_json::from_slice::<Value>(&bytes) {
            if let Some(head) = head(&value) {
                heads.add(&name, [&[at, at, 0], head.as_bytes()].concat());
            }
            let frame = value["connect"].to_string();
            frames.add(&name, [&[at % 5], frame.as_bytes()].concat());
        }
        whole.add(&name, bytes);
    }
    let mut folders = Seeds::of("import");
    for name in [
        "before-the-tables",
        "both",
        "database",
        "files",
        "unknown-column",
        "whole",
    ] {
        let folder = root().join("fixtures/openclaw-state").join(name);
        let file = |path: &str| fs::read(folder.join(path)).ok();
        let parts = [
            "devices/paired.json",
            "devices/pending.json",
            "devices/bootstrap.json",
            "nodes/paired.json",
        ]
        .map(file);
        // Where white space goes, there is room for more.
        let small = parts.each_ref().map(|part| {
            let value = serde_json::from_slice::<Value>(part.as_deref()?).ok()?;
            Some(value.to_string().into_bytes())
        });
        let small = small.each_ref().map(Option::as_deref);
        folders.add(&format!("{name}-files"), state(small, None));
        if let Some(sql) = file("state/openclaw.sql") {
            let sql = String::from_utf8(sql).unwrap();
            let rows = tables(&sql).to_string();
            folders.add(
                &format!("{name}-tables"),
                state(small, Some((48, rows.as_bytes()))),
            );
            let made = tempfile::tempdir().unwrap();
            let path = made.path().join("made.sqlite");
            let connection = Connection::open(&path).unwrap();
            let pages = "PRAGMA page_size = 512; ";
            connection
                .execute_batch(&format!(
                    "{pages}{}",
                    sql.replace("PRAGMA journal_mode = WAL;", "")
                ))
                .unwrap();
            drop(connection);
            folders.add(
                &format!("{name}-bytes"),
                state([None; 4], Some((16, &fs::read(path).unwrap()))),
            );
        }
    }
}
