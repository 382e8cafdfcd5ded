//! A store that is damaged, cut off, taken away or held by another process. THE TABLE: what becomes of
//! its files after a kill. A start then says what is wrong, and nothing begins anew in their place; or it
//! serves, and what it remembers was so at some time.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::json;

use crate::chance::{Chance, rounds};
use crate::client::Asking;
use crate::process::{Gateway, Place, by_token, guest};
use crate::sign::Identity;

/// How many devices are approved, one after another.
const DEVICES: usize = 10;

/// What may be so after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// All is there: what is lost is made anew.
    All,
    /// All of a time, or it is refused: no commit is there without those before it.
    Earlier,
    /// It is refused, or who is in was approved.
    NoMore,
    /// It is refused.
    Refused,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spoil {
    Kept,
    Gone,
    Empty,
    /// It is no database.
    Foreign,
    /// Less of it is there, to any byte.
    Cut,
    /// Some bits are others, in one place or in several.
    Damaged,
}

/// Which file, by what its name ends with, what becomes of it, and what may be so then.
const FAULTS: [(&str, Spoil, After); 12] = [
    ("", Spoil::Kept, After::All),
    ("-shm", Spoil::Gone, After::All),
    ("-shm", Spoil::Cut, After::All),
    ("-shm", Spoil::Damaged, After::All),
    ("-wal", Spoil::Gone, After::Earlier),
    ("-wal", Spoil::Cut, After::Earlier),
    ("-wal", Spoil::Damaged, After::Earlier),
    ("", Spoil::Cut, After::NoMore),
    ("", Spoil::Damaged, After::NoMore),
    ("", Spoil::Empty, After::Refused),
    ("", Spoil::Foreign, After::Refused),
    ("", Spoil::Gone, After::Refused),
];

impl Spoil {
    fn depends_on_chance(self) -> bool {
        matches!(self, Spoil::Cut | Spoil::Damaged)
    }

    fn spoil(self, path: &Path, chance: &mut Chance) {
        let mut bytes = fs::read(path).unwrap();
        match self {
            Spoil::Kept => {}
            Spoil::Gone => return fs::remove_file(path).unwrap(),
            Spoil::Empty => bytes.clear(),
            Spoil::Foreign => bytes = b"something else".to_vec(),
            Spoil::Cut => bytes.truncate(chance.below(bytes.len())),
            Spoil::Damaged => {
                for _ in 0..1 + chance.below(8) {
                    let at = chance.below(bytes.len());
                    bytes[at] ^= 1 << chance.below(8);
                }
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

fn named(device: usize) -> Asking {
    guest(&format!("device {device}"))
}

/// The files of a store, by what their names end with.
const FILES: [&str; 4] = ["", "-wal", "-shm", ".lock"];

type Files = [Option<Vec<u8>>; 4];

/// What a gateway leaves that was killed when so many devices were approved, one that was stopped
/// then, whose database holds all that the log held, and the tokens of all.
async fn left() -> (Files, Files, Vec<String>) {
    let place = Place::new("");
    let mut gateway = place.serve();
    let mut owner = gateway.owner().await;
    let mut tokens = Vec::new();
    for device in 0..DEVICES {
        tokens.push(gateway.pair(&mut owner, &named(device)).await);
    }
    let read = || FILES.map(|name| fs::read(place.store(name)).ok());
    gateway.kill();
    let killed = read();
    place.serve().stop();
    (killed, read(), tokens)
}

#[tokio::test]
async fn what_is_damaged_is_refused_or_was_so_once() {
    let mut chance = Chance::new("damage");
    let (killed, stopped, tokens) = left().await;
    for (file, spoil, after) in FAULTS {
        let rounds = if spoil.depends_on_chance() {
            rounds()
        } else {
            1
        };
        let files = match (file, spoil) {
            ("", Spoil::Cut | Spoil::Damaged) => &stopped,
            (_, _) => &killed,
        };
        for round in 0..rounds {
            let place = Place::new("");
            fs::create_dir(place.path("state")).unwrap();
            place.chmod("state", 0o700);
            for (name, bytes) in FILES.iter().zip(files) {
                let Some(bytes) = bytes else { continue };
                fs::write(place.store(name), bytes).unwrap();
                place.chmod(&format!("state/gw.sqlite{name}"), 0o600);
            }
            spoil.spoil(&place.store(file), &mut chance);
            let before = fs::read(place.store("")).ok();
            let context = format!("gw.sqlite{file} {spoil:?}, round {round}");
            match place.start(&mut place.serving()) {
                Ok(gateway) => {
                    assert_ne!(after, After::Refused, "{context}");
                    look(&gateway, &tokens, after, &context, &mut chance).await;
                }
                Err(status) => {
                    let said = place.complaints();
                    assert_ne!(after, After::All, "{context}: {said}");
                    assert_eq!(status.code(), Some(1), "{context}: {said}");
                    let is_told = said.contains("gw.sqlite") && said.contains("help");
                    assert!(is_told, "{context}: {said}");
                    // Nothing begins anew in its place.
                    if after == After::Refused {
                        assert_eq!(fs::read(place.store("")).ok(), before, "{context}");
                    }
                }
            }
            let said = place.complaints();
            assert!(!said.contains("panicked"), "{context}: {said}");
        }
    }
}

/// Who is in, and with what.
async fn look(
    gateway: &Gateway,
    tokens: &[String],
    after: After,
    context: &str,
    chance: &mut Chance,
) {
    let mut is_in = Vec::new();
    for (device, token) in tokens.iter().enumerate() {
        let asking = named(device);
        match gateway.knock(&by_token(&asking, token)).await {
            Ok((_, hello)) => {
                assert_eq!(hello["auth"]["scopes"], json!(asking.scopes), "{context}");
                is_in.push(device);
            }
            Err(refused) => assert!(!refused.error.is_null(), "{context}: {refused:?}"),
        }
    }
    let device = chance.below(tokens.len());
    let other = &tokens[(device + 1) % tokens.len()];
    gateway.refuse(&by_token(&named(device), other)).await;
    let wider = Asking::device(&format!("device {device}"));
    gateway.refuse(&wider).await;
    gateway.refuse(&guest("nobody")).await;
    let first: Vec<usize> = (0..is_in.len()).collect();
    match after {
        After::All => assert_eq!(is_in.len(), tokens.len(), "{context}"),
        // They were approved one after another.
        After::Earlier => assert_eq!(is_in, first, "{context}"),
        After::NoMore | After::Refused => {}
    }
}

/// A file that goes away or is cut off under a gateway that serves: who was answered is in once the
/// file is back, and meanwhile whoever asks is told that it fails.
#[tokio::test]
async fn a_file_that_goes_away_meanwhile_is_not_written_to() {
    let place = Place::new("");
    let mut gateway = place.serve();
    let mut owner = gateway.owner().await;
    let paired = guest("paired");
    let token = gateway.pair(&mut owner, &paired).await;
    for name in ["", "-wal"] {
        let (file, away) = (place.store(name), place.store(".away"));
        fs::rename(&file, &away).unwrap();
        let refused = gateway.refuse(&guest("asks")).await;
        assert_eq!(refused.error["code"], "UNAVAILABLE", "{refused:?}");
        assert!(refused.error["details"]["requestId"].is_null());
        fs::rename(&away, &file).unwrap();
        let refused = gateway.refuse(&guest("asks")).await;
        let request = json!({ "requestId": refused.request_id() });
        owner.call("device.pair.reject", request).await.unwrap();
    }
    gateway.kill();
    let gateway = place.serve();
    gateway.admit(&by_token(&paired, &token)).await;
    place.kept();
}

/// A start that finds the store held by another process says so, and serves once that lets go.
#[tokio::test]
async fn a_store_that_is_held_is_not_opened() {
    let place = Place::new("");
    let mut gateway = place.serve();
    let paired = guest("paired");
    let token = gateway.pair(&mut gateway.owner().await, &paired).await;
    gateway.stop();
    let other = Connection::open(place.store("")).unwrap();
    other
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT")
        .unwrap();
    let said = place.refusal();
    assert!(
        said.contains("locked") && said.contains("another program"),
        "{said}"
    );
    other.close().unwrap();
    let gateway = place.serve();
    gateway.admit(&by_token(&paired, &token)).await;
}

/// Two gateways never serve from one folder; the second one is told who does, and the first goes on.
#[tokio::test]
async fn a_folder_that_is_served_from_is_not_shared() {
    let place = Place::new("");
    let gateway = place.serve();
    let said = place.refusal();
    assert!(said.contains("serves from"), "{said}");
    gateway
        .pair(&mut gateway.owner().await, &guest("paired"))
        .await;
}

/// A device that is removed by hand is out at once, as one that the owner removes.
#[tokio::test]
async fn a_device_that_is_removed_by_hand_is_out() {
    let place = Place::new("");
    let gateway = place.serve();
    let paired = guest("paired");
    let token = gateway.pair(&mut gateway.owner().await, &paired).await;
    let (mut client, _) = gateway.admit(&by_token(&paired, &token)).await;
    let other = Connection::open(place.store("")).unwrap();
    let id = Identity::named("paired").id;
    other
        .execute("DELETE FROM standings WHERE device_id = ?", [&id])
        .unwrap();
    let closed = client.closed().await;
    assert_eq!(
        (closed.code, &*closed.reason),
        (1008, "device access revoked")
    );
    gateway.refuse(&by_token(&paired, &token)).await;
}

/// A folder in which a gateway served knows when its devices are gone; one that is new has nothing to
/// miss.
#[test]
fn devices_that_are_gone_are_missed() {
    let place = Place::new("");
    let gone = |place: &Place| place.complaints().contains("gw.sqlite is gone");
    place.serve().stop();
    assert!(!gone(&place), "{}", place.complaints());
    place.serve().stop();
    assert!(!gone(&place), "{}", place.complaints());
    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(place.store(ending));
    }
    place.serve().stop();
    assert!(gone(&place), "{}", place.complaints());
}
