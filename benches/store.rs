//! What keeping costs: commits to a SQLite file from one thread and from eight, and loads.
//!
//! A commit waits for the disk, so its figure is the disk's; what is compared is how many more
//! get done when several wait together, and how little a load waits for any of them. The files
//! are in the build's folder, since a temporary one may be in memory.

#![expect(
    clippy::expect_used,
    reason = "this is a benchmark: what is missing ends it"
)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use gw::pairing::store::Limits;
use gw::pairing::{Change, Sqlite, Store, Version, Write};
use serde_json::json;
use tempfile::TempDir;

fn main() {
    divan::main();
}

/// So many commits, from so many threads at once.
const COMMITS: u64 = 64;

fn open() -> (TempDir, Sqlite) {
    let beside = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = tempfile::tempdir_in(beside).expect("a folder");
    let store = Sqlite::open(&folder.path().join("gw.sqlite"), Limits::default());
    (folder, store.expect("a store"))
}

fn pairs(device: u64) -> Change {
    let device = format!("{device:064x}");
    let record = serde_json::from_value(json!({
        "deviceId": device, "publicKey": "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg",
        "displayName": "bench", "clientId": "cli", "clientMode": "cli", "platform": "linux",
        "roles": ["operator"], "approvedScopes": ["operator.read", "operator.write"],
        "createdAtMs": 1, "approvedAtMs": 1,
        "tokens": { "operator": { "token": "bench-not-a-secret", "role": "operator" } },
    }));
    Change {
        record: Write::Put(record.expect("a record")),
        ..Change::none(&device)
    }
}

#[divan::bench(args = [1, 8])]
fn commits(bencher: Bencher<'_, '_>, threads: u64) {
    let (_folder, store) = open();
    let next = AtomicU64::new(0);
    bencher.counter(ItemsCount::new(COMMITS)).bench(|| {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..COMMITS / threads {
                        let device = next.fetch_add(1, Ordering::Relaxed);
                        let done = store.commit(&pairs(device), Version::NOTHING);
                        black_box(done.expect("a commit"));
                    }
                });
            }
        });
    });
}

#[divan::bench(args = [false, true])]
fn loads(bencher: Bencher<'_, '_>, during_commits: bool) {
    let (_folder, store) = open();
    let known = pairs(u64::MAX);
    store.commit(&known, Version::NOTHING).expect("a commit");
    let ends = AtomicU64::new(0);
    std::thread::scope(|scope| {
        if during_commits {
            scope.spawn(|| {
                let mut device = 0;
                while ends.load(Ordering::Relaxed) == 0 {
                    let done = store.commit(&pairs(device), Version::NOTHING);
                    done.expect("a commit");
                    device += 1;
                }
            });
        }
        bencher.bench_local(|| store.load(black_box(&known.device_id)));
        ends.store(1, Ordering::Relaxed);
    });
}

#[divan::bench(args = [1_000, 10_000])]
fn opens(bencher: Bencher<'_, '_>, devices: u64) {
    let (folder, store) = open();
    std::thread::scope(|scope| {
        for part in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for device in (part..devices).step_by(8) {
                    let done = store.commit(&pairs(device), Version::NOTHING);
                    done.expect("a commit");
                }
            });
        }
    });
    drop(store);
    let path = folder.path().join("gw.sqlite");
    bencher
        .counter(ItemsCount::new(devices))
        .bench_local(|| Sqlite::open(&path, Limits::default()).expect("a store"));
}
