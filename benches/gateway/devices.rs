//! A state folder in which many devices are remembered. Each is one of the numbered clients here, so
//! that any of them can knock; each is remembered as the gateway remembers the first of them.

use std::path::Path;
use std::time::{Duration, Instant};

use gw::pairing::store::Limits;
use gw::pairing::{Change, Record, Sqlite, Store as _, Version, Write};

use crate::client::Client;
use crate::subject::Subject;

/// How many are written at once.
const PART: u64 = 8_192;

/// Fills the state of a gateway in a folder. Says how long it took.
pub(crate) fn fill(folder: &Path, devices: u64) -> Duration {
    // It makes all that there is, and remembers the first.
    let first = Subject::gateway(folder, false);
    first.hello_bytes();
    drop(first);
    let began = Instant::now();
    let limits = Limits {
        devices: usize::try_from(devices).expect("not that many"),
        ..Limits::default()
    };
    let store = Sqlite::open(&folder.join("state/gw.sqlite"), limits).expect("a store");
    let (known, _) = Client::numbered(0).names();
    let (standing, _) = store.load(&known).expect("it can be read");
    let record = standing.record.clone().expect("it was paired");
    let numbers: Vec<u64> = (1..devices).collect();
    let part = usize::try_from(PART).expect("not that many");
    for numbers in numbers.chunks(part) {
        let changes = numbers.iter().map(|number| one(*number, &record));
        for done in store.commit_all(changes.collect()) {
            done.expect("a commit");
        }
    }
    began.elapsed()
}

/// What is remembered of a device.
fn one(number: u64, like: &Record) -> (Change, Version) {
    let number = usize::try_from(number).expect("not that many");
    let (device_id, public_key) = Client::numbered(number).names();
    let record = Record {
        device_id: device_id.as_str().into(),
        public_key: public_key.into(),
        ..like.clone()
    };
    let change = Change {
        record: Write::Put(record),
        ..Change::none(&device_id)
    };
    (change, Version::NOTHING)
}
