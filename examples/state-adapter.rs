//! Puts devices into the store of a running gateway, and shows what it holds: one JSON object a
//! line, in and out. For driving a gateway through recorded cases; a gateway itself has no such
//! method.
//!
//! `{"op":"seed","paired":{ID:RECORD},"pending":{ID:REQUEST}}` makes that all there is;
//! `{"op":"read"}` shows it, in the shape of OpenClaw's files, with the secrets of tokens.
//!
//! ```sh
//! cargo run --example state-adapter -- STATE-FOLDER
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::path::Path;

use gw::pairing::change::{Change, Write};
use gw::pairing::record::{Pending, Record};
use gw::pairing::sqlite::Sqlite;
use gw::pairing::store::{Limits, Store};
use gw::pairing::stored::Stored;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Asked {
    Seed {
        paired: BTreeMap<Box<str>, Record>,
        pending: BTreeMap<Box<str>, Pending>,
    },
    Read,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("usage: state-adapter STATE-FOLDER")?;
    let store = Sqlite::open(&Path::new(&folder).join("gw.sqlite"), Limits::default())?;
    for line in stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Asked::Seed { paired, pending } => seed(&store, paired, pending)?,
            Asked::Read => read(&store)?,
        };
        let mut out = stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn seed(
    store: &dyn Store,
    paired: BTreeMap<Box<str>, Record>,
    pending: BTreeMap<Box<str>, Pending>,
) -> Result<Value, Box<dyn Error>> {
    let mut changes: BTreeMap<Box<str>, Change> = BTreeMap::new();
    for (standing, _) in store.list()? {
        let id = standing.device_id().unwrap_or_default();
        let nothing = Change {
            record: Write::Remove,
            pending: Write::Remove,
            node_pending: Write::Remove,
            ..Change::none(id)
        };
        changes.insert(id.into(), nothing);
    }
    let mut of = |id: &str, write: &mut dyn FnMut(&mut Change)| {
        let change = changes.entry(id.into());
        write(change.or_insert_with(|| Change::none(id)));
    };
    for record in paired.into_values() {
        let id = record.device_id.clone();
        of(&id, &mut |change| {
            change.record = Write::Put(record.clone())
        });
    }
    for request in pending.into_values() {
        let id = request.device_id.clone();
        of(&id, &mut |change| {
            change.pending = Write::Put(request.clone())
        });
    }
    for change in changes.values() {
        let (_, version) = store.load(&change.device_id)?;
        store.commit(change, version)?;
    }
    Ok(json!({ "ok": true }))
}

fn read(store: &dyn Store) -> Result<Value, Box<dyn Error>> {
    let (mut paired, mut pending) = (serde_json::Map::new(), serde_json::Map::new());
    for (standing, _) in store.list()? {
        if let Some(record) = &standing.record {
            paired.insert(record.device_id.to_string(), json!(Stored(record)));
        }
        if let Some(request) = &standing.pending {
            pending.insert(request.request_id.to_string(), json!(request));
        }
    }
    Ok(json!({ "paired": paired, "pending": pending }))
}
