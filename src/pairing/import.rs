//! What another gateway remembered of devices, sorted into what is taken over and what is left.
//!
//! Taken is what is understood as a whole. Anything else is left, with a reason: a device that is
//! left asks again, and is approved by a person. Files are read in [`folder`].

pub mod folder;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::mem;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::change::{Change, Write};
use super::key::PublicKey;
use super::record::{Pending, Record};
use super::standing::Standing;
use super::store::{Store, StoreError, Version};
use crate::settings::Compatibility;

/// What was found, sorted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Import {
    /// The standings of devices, in the order of device ids.
    pub taken: Vec<Taken>,
    /// What is not taken, in the order in which it was found.
    pub left: Vec<Left>,
}

/// A device that is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// Where its record is, or else its request.
    pub source: Source,
    /// What is taken over of it.
    pub standing: Standing,
}

/// Something that is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it is.
    pub source: Source,
    /// What it is there called: the id of a device or of a request. Control characters are
    /// replaced.
    pub id: Box<str>,
    /// Why it is left.
    pub reason: Reason,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Left { source, id, reason } = self;
        write!(f, "{source}: {id}: {reason}")
    }
}

/// Where in a state folder something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Records in the database of newer releases.
    PairedTable,
    /// Requests in the database of newer releases.
    PendingTable,
    /// Setup codes in the database of newer releases.
    CodeTable,
    /// Nodes in the database, which only some releases used.
    NodeTable,
    /// The file of records.
    PairedFile,
    /// The file of requests.
    PendingFile,
    /// The file of setup codes.
    CodeFile,
    /// The file of nodes, kept apart from their devices.
    NodeFile,
}

impl Source {
    /// Its name: a path in the state folder, or a table of `state/openclaw.sqlite`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Source::PairedTable => "device_pairing_paired",
            Source::PendingTable => "device_pairing_pending",
            Source::CodeTable => "device_bootstrap_tokens",
            Source::NodeTable => "node_pairing_paired",
            Source::PairedFile => "devices/paired.json",
            Source::PendingFile => "devices/pending.json",
            Source::CodeFile => "devices/bootstrap.json",
            Source::NodeFile => "nodes/paired.json",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something is not taken. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not a JSON object.
    #[error("it is no record")]
    NotARecord,
    /// A field that may restrict the record in a way that is not known here.
    #[error("it has the field `{0}`, which is not known here; approve the device anew")]
    UnknownField(Box<str>),
    /// Without this it cannot be told what was approved.
    #[error("it has no field `{0}`; approve the device anew")]
    MissingField(Box<str>),
    /// The value is none that the field can have.
    #[error("its field `{0}` holds what no release wrote there; approve the device anew")]
    BadField(Box<str>),
    /// It stands under another name than its own.
    #[error("it calls itself {0}; approve the device anew")]
    OtherId(Box<str>),
    /// The key is none, or one that proves nothing.
    #[error("its public key is no Ed25519 key that proves anything; pair the device anew")]
    BadKey,
    /// Whoever holds the key is another device.
    #[error("its device id is not the hash of its public key; pair the device anew")]
    NotOfKey,
    /// Which one counts cannot be told.
    #[error("it is there twice; approve the device anew")]
    Twice,
    /// The newer release's word counts.
    #[error("the database has it too, and only what stands there counts")]
    InDatabase,
    /// Nobody could approve it any more.
    #[error("the request has expired; the device asks again")]
    Expired,
    /// A device has one request.
    #[error("the device has a newer request, and that one is taken")]
    Superseded,
    /// Setup codes live for minutes.
    #[error("setup codes are not taken; make new ones")]
    SetupCodes,
    /// What a node may serve is not part of its pairing there.
    #[error("what nodes may serve is not taken from here; approve it anew")]
    Nodes,
    /// The store that it was to be put into remembers the device already.
    #[error("the device is known already, and what is known of it stays")]
    Known,
}

/// Why nothing is taken at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A text that is no JSON.
    #[error(
        "{file} is no JSON (line {line}, column {column}): mend it, or put a copy in its place"
    )]
    NotJson {
        /// Which.
        file: Source,
        /// Where it ends to be JSON, from 1.
        line: usize,
        /// Where in the line, from 1.
        column: usize,
    },
    /// JSON of another shape.
    #[error("{file} is no JSON object of records: put a copy in its place")]
    NotRecords {
        /// Which.
        file: Source,
    },
    /// A folder in which no gateway kept anything.
    #[error("{} holds neither devices/paired.json nor state/openclaw.sqlite: name the folder that OPENCLAW_STATE_DIR names, usually ~/.openclaw", .folder.display())]
    NoState {
        /// Which.
        folder: std::path::PathBuf,
    },
    /// There is something else than a file under its name.
    #[error("{} is no file: put a copy of the file in its place", .path.display())]
    NoFile {
        /// Where.
        path: std::path::PathBuf,
    },
    /// With a file, or with a database, there is more than any gateway writes.
    #[error("with {} there are more than {most} bytes of devices: is it the right file?", .path.display())]
    TooLarge {
        /// Which.
        path: std::path::PathBuf,
        /// As many bytes are read, of all files.
        most: usize,
    },
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database cannot be read, or its tables are others than are known.
    #[error("{} cannot be read: {how}", .path.display())]
    Database {
        /// Which.
        path: std::path::PathBuf,
        /// Why, and what helps.
        how: Box<str>,
    },
}

/// Sorts what stands in OpenClaw's two files of devices; `None` for one that is not there.
///
/// # Errors
///
/// [`ImportError::NotJson`] and [`ImportError::NotRecords`].
pub fn read(
    paired: Option<&str>,
    pending: Option<&str>,
    now_ms: i64,
    rules: &Compatibility,
) -> Result<Import, ImportError> {
    let mut found = entries(Source::PairedFile, paired.unwrap_or("{}"))?;
    found.extend(entries(Source::PendingFile, pending.unwrap_or("{}"))?);
    Ok(sort(found, now_ms, rules))
}

impl Taken {
    /// The id of the device.
    #[must_use]
    pub fn device(&self) -> &str {
        let record = self.standing.record.as_ref();
        let pending = self.standing.pending.as_ref();
        let record = record.map(|record| &*record.device_id);
        record.unwrap_or_else(|| pending.map_or("", |pending| &*pending.device_id))
    }
}

impl Import {
    /// Leaves the devices that a store remembers already, as [`put`](Self::put) would; nothing is
    /// committed.
    ///
    /// # Errors
    ///
    /// As of [`Store::load`].
    pub fn leave_known(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let mut taken = Vec::new();
        for one in mem::take(&mut self.taken) {
            match store.load(one.device())?.1 {
                Version::NOTHING => taken.push(one),
                _ => {
                    let known = Left::new(one.source, one.device(), Reason::Known);
                    self.left.push(known);
                }
            }
        }
        self.taken = taken;
        Ok(())
    }

    /// Commits what is taken to a store, and says how many devices that are. A device that the
    /// store remembers stays as it is there, and is not taken but [`left`](Self::left).
    ///
    /// # Errors
    ///
    /// As of [`Store::commit`]: what was committed before stays, and may be put again.
    pub fn put(&mut self, store: &dyn Store) -> Result<usize, StoreError> {
        let mut put = Vec::new();
        for taken in mem::take(&mut self.taken) {
            let Taken { source, standing } = &taken;
            let device = taken.device();
            let change = Change {
                record: standing.record.clone().map_or(Write::Keep, Write::Put),
                pending: standing.pending.clone().map_or(Write::Keep, Write::Put),
                ..Change::none(device)
            };
            match store.commit(&change, Version::NOTHING) {
                Ok(_) => put.push(taken),
                Err(StoreError::Conflict) => {
                    self.left.push(Left::new(*source, device, Reason::Known));
                }
                Err(error) => return Err(error),
            }
        }
        self.taken = put;
        Ok(self.taken.len())
    }
}

impl Left {
    fn new(source: Source, id: &str, reason: Reason) -> Self {
        let id = id.replace(char::is_control, "\u{fffd}").into();
        Left { source, id, reason }
    }
}

/// A record or request as it was found, with what it is called there.
#[derive(Debug)]
struct Found {
    source: Source,
    id: Box<str>,
    value: Result<Value, Reason>,
}

/// The entries of an object, as they stand in the text: also those that a map would lose.
fn entries(source: Source, text: &str) -> Result<Vec<Found>, ImportError> {
    let Entries(entries) = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => ImportError::NotRecords { file: source },
        serde_json::error::Category::Io
        | serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof => ImportError::NotJson {
            file: source,
            line: error.line(),
            column: error.column(),
        },
    })?;
    let found = entries.into_iter().map(|(id, value)| Found {
        source,
        id: id.into(),
        value: Ok(value),
    });
    Ok(found.collect())
}

struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of records")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }

            /// The first releases wrote an empty list where nothing was.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries, A::Error> {
                match list.next_element::<Value>()? {
                    None => Ok(Entries(Vec::new())),
                    Some(_) => Err(serde::de::Error::custom("a list")),
                }
            }
        }
        deserializer.deserialize_any(Each)
    }
}

/// Sorts what was found. Of a record or a request that is in the database and in a file, the database
/// counts, also where it is left: the one in the file is older, and may open wider.
fn sort(found: Vec<Found>, now_ms: i64, rules: &Compatibility) -> Import {
    let mut left = Vec::new();
    let mut taken: BTreeMap<Box<str>, Taken> = BTreeMap::new();
    let mut requests = Vec::new();
    let twice = twice(&found);
    let names = found.iter().map(|found| (found.source, found.id.clone()));
    let names: BTreeSet<(Source, Box<str>)> = names.collect();
    let is_older = |source: Source, id: &str| match source {
        Source::PairedFile => names.contains(&(Source::PairedTable, id.into())),
        Source::PendingFile => names.contains(&(Source::PendingTable, id.into())),
        Source::PairedTable
        | Source::PendingTable
        | Source::CodeTable
        | Source::CodeFile
        | Source::NodeTable
        | Source::NodeFile => false,
    };
    for Found { source, id, value } in found {
        let value = match source {
            _ if twice.contains(&(source, id.clone())) => Err(Reason::Twice),
            _ if is_older(source, &id) => Err(Reason::InDatabase),
            Source::CodeTable | Source::CodeFile => Err(Reason::SetupCodes),
            Source::NodeTable | Source::NodeFile => Err(Reason::Nodes),
            Source::PairedTable
            | Source::PairedFile
            | Source::PendingTable
            | Source::PendingFile => value,
        };
        let sorted = match source {
            Source::PendingTable | Source::PendingFile => value
                .and_then(|value| request(&id, value, now_ms, rules))
                .map(|pending| requests.push((source, pending))),
            Source::PairedTable
            | Source::PairedFile
            | Source::CodeTable
            | Source::CodeFile
            | Source::NodeTable
            | Source::NodeFile => value.and_then(|value| record(&id, value)).map(|record| {
                let standing = Standing {
                    record: Some(record),
                    ..Standing::default()
                };
                taken.insert(id.clone(), Taken { source, standing });
            }),
        };
        if let Err(reason) = sorted {
            left.push(Left::new(source, &id, reason));
        }
    }
    // The newest first: any other of its device is left.
    requests.sort_by_key(|(_, pending)| {
        std::cmp::Reverse(pending.refreshed_at_ms.unwrap_or(pending.ts))
    });
    for (source, pending) in requests {
        let of_device = taken.entry(pending.device_id.clone());
        let standing = Standing::default();
        let of_device = of_device.or_insert(Taken { source, standing });
        match of_device.standing.pending {
            Some(_) => left.push(Left::new(source, &pending.request_id, Reason::Superseded)),
            None => of_device.standing.pending = Some(pending),
        }
    }
    Import {
        taken: taken.into_values().collect(),
        left,
    }
}

/// What stands more than once in one place.
fn twice(found: &[Found]) -> BTreeSet<(Source, Box<str>)> {
    let mut seen = BTreeSet::new();
    let names = found.iter().map(|found| (found.source, found.id.clone()));
    names.filter(|name| !seen.insert(name.clone())).collect()
}

fn record(id: &str, value: Value) -> Result<Record, Reason> {
    let record: Record = understood(value)?;
    same_id(id, &record.device_id)?;
    // A request that got among the records has neither, and nobody approved it.
    for (name, time) in [
        ("createdAtMs", record.created_at_ms),
        ("approvedAtMs", record.approved_at_ms),
    ] {
        time.ok_or_else(|| Reason::MissingField(name.into()))?;
    }
    let public_key = key_of(&record.device_id, &record.public_key)?;
    Ok(Record {
        public_key,
        ..record
    })
}

fn request(id: &str, value: Value, now_ms: i64, rules: &Compatibility) -> Result<Pending, Reason> {
    let pending: Pending = understood(value)?;
    same_id(id, &pending.request_id)?;
    let public_key = key_of(&pending.device_id, &pending.public_key)?;
    match pending.is_expired(rules.request_ttl_ms, now_ms) {
        true => Err(Reason::Expired),
        false => Ok(Pending {
            public_key,
            ..pending
        }),
    }
}

fn same_id(id: &str, own: &str) -> Result<(), Reason> {
    match id == own {
        true => Ok(()),
        false => Err(Reason::OtherId(
            own.replace(char::is_control, "\u{fffd}").into(),
        )),
    }
}

/// The key as records keep it, when the device id is its own.
fn key_of(device_id: &str, public_key: &str) -> Result<Box<str>, Reason> {
    let key = PublicKey::parse(public_key).filter(|key| key.bytes().len() == 32 && !key.is_weak());
    let key = key.ok_or(Reason::BadKey)?;
    match key.device_id() == device_id {
        true => Ok(PublicKey::canonical(public_key)),
        false => Err(Reason::NotOfKey),
    }
}

/// Reads a value as a whole. What serde says may quote a token, so only the name of the field at
/// fault is taken from it; where it names none, the field is the one without which it says
/// something else.
fn understood<T: DeserializeOwned>(value: Value) -> Result<T, Reason> {
    let Value::Object(fields) = &value else {
        return Err(Reason::NotARecord);
    };
    let error = match T::deserialize(&value) {
        Ok(read) => return Ok(read),
        Err(error) => error.to_string(),
    };
    let quoted = |start: &str| -> Option<Box<str>> {
        let name = error.strip_prefix(start)?.split('`').next()?;
        Some(name.replace(char::is_control, "\u{fffd}").into())
    };
    if let Some(name) = quoted("unknown field `") {
        return Err(Reason::UnknownField(name));
    }
    if let Some(name) = quoted("missing field `") {
        return Err(Reason::MissingField(name));
    }
    let at_fault = fields.keys().find(|name| {
        let mut without = fields.clone();
        without.remove(*name);
        let without = T::deserialize(&Value::Object(without));
        without.err().is_none_or(|other| other.to_string() != error)
    });
    at_fault.map_or(Err(Reason::NotARecord), |name| {
        Err(Reason::BadField(name.as_str().into()))
    })
}
