//! What the store has on the disk, as SQLite itself reads it: nothing of the gateway is asked.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// The rows of the store, and what is counted of them.
#[derive(Debug)]
pub(crate) struct Kept {
    /// By device id.
    pub(crate) devices: BTreeMap<String, Device>,
    pub(crate) commits: i64,
}

/// A row; null where it says nothing.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) version: i64,
    pub(crate) record: Value,
    pub(crate) pending: Value,
}

impl Device {
    /// The token of an operator.
    pub(crate) fn token(&self) -> Option<&str> {
        self.record["tokens"]["operator"]["token"].as_str()
    }
}

impl Kept {
    /// Reads all of it, and that it is whole: no page is damaged, nothing is counted that is not
    /// there, and no row is of a commit that never was.
    pub(crate) fn read(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).unwrap();
        let checked: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(checked, "ok");
        let [commits, devices, requests]: [i64; 3] = connection
            .query_row("SELECT commits, devices, requests FROM store", [], |row| {
                Ok([row.get(0)?, row.get(1)?, row.get(2)?])
            })
            .unwrap();
        let mut query = connection
            .prepare("SELECT device_id, version, record, pending, node_pending FROM standings")
            .unwrap();
        let part = |text: Option<String>| {
            text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
        };
        let rows = query.query_map([], |row| {
            let device = Device {
                version: row.get(1)?,
                record: part(row.get(2)?),
                pending: part(row.get(3)?),
            };
            Ok((row.get(0)?, device))
        });
        let kept = Kept {
            devices: rows.unwrap().map(Result::unwrap).collect(),
            commits,
        };
        let count = |is: fn(&Device) -> bool| kept.devices.values().filter(|it| is(it)).count();
        let counted = [
            count(|device| !device.record.is_null()),
            count(|device| !device.pending.is_null()),
        ];
        assert_eq!(
            counted.map(|count| i64::try_from(count).unwrap()),
            [devices, requests]
        );
        assert!(
            kept.devices
                .values()
                .all(|device| device.version <= commits)
        );
        kept
    }

    /// How many devices are paired.
    pub(crate) fn paired(&self) -> usize {
        let paired = self.devices.values();
        paired.filter(|device| !device.record.is_null()).count()
    }
}
