//! `kill -9` at any moment: while devices ask and are approved, while tokens are replaced, while a
//! policy is loaded, while an older database is brought up to date, and while a gateway starts for
//! the first time. Then one is started on the same folder, and every answer that was given is held
//! against what it remembers.
//!
//! The moment is chosen by chance: behind an answer that was seen, or so far into what is under way.

use std::collections::BTreeMap;
use std::hint::spin_loop;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::chance::{Chance, rounds};
use crate::client::{Asking, Client, soon};
use crate::process::{Gateway, POLICY, Place, approve, by_token, guest};
use crate::sign::Identity;

/// How far something got for sure, by what was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Done {
    /// It was not begun.
    No,
    /// It was asked for, and nothing came back.
    Perhaps,
    /// It was answered.
    Yes,
}

/// What a device was told, and its owner of it.
#[derive(Clone, Debug)]
struct Fate {
    scope: &'static str,
    /// Its request, as it was told.
    request: Option<String>,
    approved: Done,
    rejected: Done,
    removed: Done,
}

/// What happened to a device.
#[derive(Debug)]
enum Seen {
    Asked(String),
    Approves,
    Approved(Value),
    Rejects,
    Rejected,
    Removes,
    Removed,
}

/// What the owner does with a request.
#[derive(Clone, Copy, Debug)]
enum Will {
    Approve,
    Reject,
    ApproveAndRemove,
}

type Told = UnboundedSender<(String, Seen)>;

/// Kills a gateway once so many things were seen of it, and a little later; gives what was seen, also
/// of what was on its way.
async fn killed_after<T>(
    gateway: &mut Gateway,
    events: &mut UnboundedReceiver<T>,
    count: usize,
    chance: &mut Chance,
) -> Vec<T> {
    let mut seen = Vec::new();
    while seen.len() < count {
        // All of them end only with the gateway.
        seen.push(soon("an answer", events.recv()).await.unwrap());
    }
    for _ in 0..chance.below(1 << 16) {
        spin_loop();
    }
    gateway.kill();
    while let Some(event) = soon("what was on its way", events.recv()).await {
        seen.push(event);
    }
    seen
}

/// One after another of these devices asks.
async fn ask(address: std::net::SocketAddr, names: Vec<(String, &'static str)>, told: Told) {
    for (name, scope) in names {
        let asking = guest(&name).scopes(&[scope]);
        match Gateway::try_knock(address, &asking).await {
            Ok((_, hello)) => panic!("{name} was let in: {hello}"),
            Err(Some(refused)) => {
                let id = refused.request_id().to_owned();
                let _ = told.send((name, Seen::Asked(id)));
            }
            Err(None) => return,
        }
    }
}

/// The owner deals with requests as they come.
async fn decide(
    mut owner: Client,
    mut asked: UnboundedReceiver<(String, String, Will)>,
    told: Told,
) {
    let tell = |name: &str, seen| {
        let _ = told.send((name.to_owned(), seen));
    };
    while let Some((name, id, will)) = asked.recv().await {
        match will {
            Will::Reject => {
                tell(&name, Seen::Rejects);
                let request = json!({ "requestId": id });
                match owner.try_call("device.pair.reject", request).await {
                    Ok(answer) => answer.map(|_| tell(&name, Seen::Rejected)).unwrap(),
                    Err(_) => return,
                }
            }
            Will::Approve | Will::ApproveAndRemove => {
                tell(&name, Seen::Approves);
                match approve(&mut owner, &id).await {
                    Ok(answer) => tell(&name, Seen::Approved(answer.unwrap())),
                    Err(_) => return,
                }
            }
        }
        if matches!(will, Will::ApproveAndRemove) {
            tell(&name, Seen::Removes);
            let device = json!({ "deviceId": Identity::named(&name).id });
            match owner.try_call("device.pair.remove", device).await {
                Ok(answer) => answer.map(|_| tell(&name, Seen::Removed)).unwrap(),
                Err(_) => return,
            }
        }
    }
}

/// Approved means paired with exactly what was asked for; refused or removed means not paired; told
/// to wait means that the request is there by its id; and what was not answered is wholly done or not
/// at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approvals_outlast_a_kill() {
    const DEVICES: usize = 12;
    const SCOPES: [&str; 3] = ["operator.read", "operator.write", "operator.approvals"];
    let mut chance = Chance::new("approvals");
    let place = Place::new("");
    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    for round in 0..rounds() {
        let mut gateway = place.serve();
        look(&gateway, &place, &mut fates).await;

        let (told, mut events) = unbounded_channel();
        let (tell_owner, asked) = unbounded_channel();
        let mut names: Vec<Vec<(String, &'static str)>> = vec![Vec::new(); 3];
        for device in 0..DEVICES {
            let name = format!("{round}-{device}");
            let scope = SCOPES[chance.below(SCOPES.len())];
            names[device % 3].push((name.clone(), scope));
            let fate = Fate {
                scope,
                request: None,
                approved: Done::No,
                rejected: Done::No,
                removed: Done::No,
            };
            fates.insert(name, fate);
        }
        let mut tasks = JoinSet::new();
        let (tell, mut here) = unbounded_channel();
        for names in names {
            tasks.spawn(ask(gateway.address, names, tell.clone()));
        }
        drop(tell);
        let owner = gateway.owner().await;
        tasks.spawn(decide(owner, asked, told.clone()));
        let mut wills = Vec::new();
        for _ in 0..DEVICES {
            wills.push(match chance.below(6) {
                0 => Will::Reject,
                1 => Will::ApproveAndRemove,
                _ => Will::Approve,
            });
        }
        tasks.spawn(async move {
            let mut wills = wills.into_iter();
            while let Some((name, seen)) = here.recv().await {
                if let (Seen::Asked(id), Some(will)) = (&seen, wills.next()) {
                    let _ = tell_owner.send((name.clone(), id.clone(), will));
                }
                let _ = told.send((name, seen));
            }
        });
        // At least three for each device, so one is seen however far it goes.
        let after = chance.below(3 * DEVICES);
        for (name, seen) in killed_after(&mut gateway, &mut events, after, &mut chance).await {
            fates.get_mut(&name).unwrap().see(seen);
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    }
    let gateway = place.serve();
    look(&gateway, &place, &mut fates).await;
    assert!(
        !place.complaints().contains("panicked"),
        "{}",
        place.complaints()
    );
}

impl Fate {
    fn see(&mut self, seen: Seen) {
        match seen {
            Seen::Asked(id) => self.request = Some(id),
            Seen::Approves => self.approved = Done::Perhaps,
            Seen::Approved(answer) => {
                assert_eq!(answer["device"]["scopes"], json!([self.scope]));
                self.approved = Done::Yes;
            }
            Seen::Rejects => self.rejected = Done::Perhaps,
            Seen::Rejected => self.rejected = Done::Yes,
            Seen::Removes => self.removed = Done::Perhaps,
            Seen::Removed => self.removed = Done::Yes,
        }
    }

    /// Whether it may be paired, and whether it has to be.
    fn pairing(&self) -> (bool, bool) {
        let may = self.approved > Done::No && self.removed < Done::Yes;
        let must = self.approved == Done::Yes && self.removed == Done::No;
        (may, must)
    }

    /// The same of its request, by its id or by any.
    fn waiting(&self) -> (bool, bool) {
        let may = self.approved < Done::Yes && self.rejected < Done::Yes;
        let must = self.request.is_some() && self.approved == Done::No && self.rejected == Done::No;
        (may, must)
    }
}

/// Holds all that was answered against what is there now, and at the door. Requests that wait are
/// rejected then: they would expire before hundreds of rounds are over.
async fn look(gateway: &Gateway, place: &Place, fates: &mut BTreeMap<String, Fate>) {
    let kept = place.kept();
    let mut owner = gateway.owner().await;
    let list = owner.call("device.pair.list", json!({})).await.unwrap();
    let of = |kind: &str| -> BTreeMap<String, Value> {
        let all = list[kind].as_array().unwrap().iter();
        let named = |one: &Value| (one["deviceId"].as_str().unwrap().to_owned(), one.clone());
        all.map(named).collect()
    };
    let (mut paired, mut pending) = (of("paired"), of("pending"));
    assert_eq!(
        kept.devices.len(),
        paired.len() + pending.len(),
        "none is half"
    );
    let mut at_the_door = Vec::new();
    for (name, fate) in &mut *fates {
        let id = Identity::named(name).id;
        let (record, request) = (paired.remove(&id), pending.remove(&id));
        let context = format!("{name}: {fate:?}, {record:?}, {request:?}");
        for ((may, must), is) in [
            (fate.pairing(), record.is_some()),
            (fate.waiting(), request.is_some()),
        ] {
            assert!(may || !is, "{context}");
            assert!(is || !must, "{context}");
        }
        // An approval that was asked for is done as a whole, or not at all.
        let is_undone = record.is_none() && request.is_none();
        if fate.approved == Done::Perhaps {
            assert!(!is_undone, "{context}");
        }
        if fate.rejected == Done::No && fate.removed == Done::No && fate.request.is_some() {
            assert!(!is_undone, "{context}");
        }
        if let Some(request) = &request {
            assert_eq!(request["scopes"], json!([fate.scope]), "{context}");
            let told = fate.request.as_deref();
            assert!(
                told.is_none_or(|told| request["requestId"] == told),
                "{context}"
            );
            let reject = json!({ "requestId": request["requestId"] });
            owner.call("device.pair.reject", reject).await.unwrap();
        }
        if let Some(record) = &record {
            let row = &kept.devices[&id];
            for field in ["scopes", "approvedScopes"] {
                assert_eq!(row.record[field], json!([fate.scope]), "{context}");
            }
            assert_eq!(record["roles"], json!(["operator"]), "{context}");
            assert!(row.token().is_some(), "{context}");
        }
        // Once it is known, it is known; only what changed is tried at the door.
        let is_new = fate.approved == Done::Perhaps
            || fate.removed == Done::Perhaps
            || fate.request.take().is_some();
        let is_in = record.is_some();
        (fate.approved, fate.removed) = match is_in {
            true => (Done::Yes, Done::No),
            false => (Done::No, Done::No),
        };
        fate.rejected = if is_in { Done::No } else { Done::Yes };
        if is_new {
            let token = kept.devices.get(&id).and_then(|row| row.token());
            at_the_door.push((name.clone(), fate.scope, is_in, token.map(str::to_owned)));
        }
    }
    assert!(
        paired.is_empty() && pending.is_empty(),
        "nobody else: {list}"
    );
    for (name, scope, is_in, token) in at_the_door {
        let asking = guest(&name).scopes(&[scope]);
        match is_in {
            true => {
                let (_, hello) = gateway.admit(&asking).await;
                assert_eq!(hello["auth"]["scopes"], json!([scope]), "{name}");
                assert_eq!(
                    hello["auth"]["deviceToken"].as_str(),
                    token.as_deref(),
                    "{name}"
                );
                let wider = guest(&name).scopes(&["operator.admin"]);
                let refused = gateway.refuse(&wider).await;
                let request = json!({ "requestId": refused.request_id() });
                owner.call("device.pair.reject", request).await.unwrap();
            }
            false => {
                let refused = gateway.refuse(&asking).await;
                let request = json!({ "requestId": refused.request_id() });
                owner.call("device.pair.reject", request).await.unwrap();
            }
        }
    }
}

/// A device that replaces its own token again and again; tells of each that it asks for and gets.
async fn rotate(
    address: std::net::SocketAddr,
    name: String,
    mut token: String,
    told: UnboundedSender<(String, Option<String>)>,
) {
    let asking = keeper(&name);
    let device = json!({ "deviceId": Identity::named(&name).id, "role": "operator" });
    loop {
        let asking = by_token(&asking, &token);
        let mut client = match Gateway::try_knock(address, &asking).await {
            Ok((client, _)) => client,
            Err(None) => return,
            Err(Some(refused)) => panic!("{name} is out: {refused:?}"),
        };
        let _ = told.send((name.clone(), None));
        match client.try_call("device.token.rotate", device.clone()).await {
            Ok(answer) => {
                let answer = answer.unwrap();
                answer["token"].as_str().unwrap().clone_into(&mut token);
                let _ = told.send((name.clone(), Some(token.clone())));
            }
            Err(_) => return,
        }
    }
}

/// A device that may manage its own token.
fn keeper(name: &str) -> Asking {
    Asking::device(name).scopes(&["operator.read", "operator.pairing"])
}

/// The token that was told last works and those before it do not; where another one was asked for and
/// nothing came back, one of the two works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_outlast_a_kill() {
    let mut chance = Chance::new("tokens");
    let place = Place::new("");
    let mut tokens: BTreeMap<String, Vec<String>> = BTreeMap::new();
    {
        let gateway = place.serve();
        let mut owner = gateway.owner().await;
        for device in 0..3 {
            let name = format!("keeper {device}");
            let token = gateway.pair(&mut owner, &keeper(&name)).await;
            tokens.insert(name, vec![token]);
        }
    }
    for _ in 0..rounds() {
        let mut gateway = place.serve();
        let (told, mut events) = unbounded_channel();
        let mut tasks = JoinSet::new();
        for (name, tokens) in &tokens {
            let last = tokens.last().unwrap().clone();
            tasks.spawn(rotate(gateway.address, name.clone(), last, told.clone()));
        }
        drop(told);
        let after = 1 + chance.below(30);
        let mut is_open: BTreeMap<String, bool> = BTreeMap::new();
        for (name, token) in killed_after(&mut gateway, &mut events, after, &mut chance).await {
            is_open.insert(name.clone(), token.is_none());
            tokens.get_mut(&name).unwrap().extend(token);
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        let gateway = place.serve();
        let kept = place.kept();
        for (name, tokens) in &mut tokens {
            let now = kept.devices[&Identity::named(name).id].token().unwrap();
            let last = tokens.last().unwrap();
            let is_open = is_open.get(name).copied().unwrap_or_default();
            if now != last {
                assert!(
                    is_open,
                    "{name}: the token that was told is not the one in force"
                );
                assert!(
                    !tokens.iter().any(|old| old == now),
                    "{name}: an old one is back"
                );
            }
            let asking = keeper(name);
            let (_, hello) = gateway.admit(&by_token(&asking, now)).await;
            assert_eq!(hello["auth"]["scopes"], json!(asking.scopes));
            for old in tokens.iter().rev().filter(|old| *old != now).take(2) {
                let refused = gateway.refuse(&by_token(&asking, old)).await;
                assert!(
                    refused.error["details"]["requestId"].is_null(),
                    "{refused:?}"
                );
            }
            *tokens = vec![now.to_owned()];
        }
    }
    assert!(
        !place.complaints().contains("panicked"),
        "{}",
        place.complaints()
    );
}

/// How long a gateway takes to start here. Nothing is asserted of it: moments are chosen within it.
fn time_to_start(place: &Place) -> Duration {
    let began = Instant::now();
    let mut gateway = place.serve();
    let took = began.elapsed();
    gateway.stop();
    took
}

/// Starts a gateway, and kills it at a moment within that time, wherever it is then.
fn killed_within(place: &Place, time: Duration, chance: &mut Chance) {
    let began = Instant::now();
    let mut child = place.serving().spawn().unwrap();
    let moment = time.mul_f64(chance.below(1_000) as f64 / 1_000.0);
    while began.elapsed() < moment {
        spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A database as the first release made it.
const SCHEMA_1: &str = "PRAGMA journal_mode = WAL;
    CREATE TABLE standings (
        device_id    TEXT PRIMARY KEY NOT NULL,
        version      INTEGER NOT NULL CHECK (version > 0),
        record       TEXT CHECK (json_valid(record)),
        pending      TEXT CHECK (json_valid(pending)),
        node_pending TEXT CHECK (json_valid(node_pending))
    ) STRICT;
    CREATE TABLE store (
        one     INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
        commits INTEGER NOT NULL
    ) STRICT;
    INSERT INTO store VALUES (1, 0);
    PRAGMA application_id = 0x67776476; PRAGMA user_version = 1;";

/// An older database is brought up to date wholly or not at all, however often that is cut off: every
/// device is there, with its token.
#[tokio::test]
async fn a_migration_outlasts_a_kill() {
    const DEVICES: usize = 2_000;
    let mut chance = Chance::new("migration");
    let older = tempfile::tempdir().unwrap();
    let older = older.path().join("older");
    let paired = guest("paired");
    let fill = || {
        let mut connection = Connection::open(&older).unwrap();
        connection.execute_batch(SCHEMA_1).unwrap();
        let all = connection.transaction().unwrap();
        {
            let mut put = all
                .prepare("INSERT INTO standings VALUES (?, ?, ?, ?, NULL)")
                .unwrap();
            for number in 1..=DEVICES {
                let device = match number {
                    1 => Identity::named("paired"),
                    number => Identity::named(&number.to_string()),
                };
                let (record, pending) = match number % 5 {
                    0 => (None, Some(waiting(&device))),
                    _ => (Some(of_device(&device, number)), None),
                };
                let [record, pending] = [record, pending].map(|it| it.map(|it| it.to_string()));
                put.execute((&device.id, number as i64, record, pending))
                    .unwrap();
            }
            let count = "UPDATE store SET commits = ?";
            all.execute(count, [DEVICES as i64]).unwrap();
        }
        all.commit().unwrap();
        connection.close().unwrap();
    };
    fill();
    let place = || {
        let place = Place::new("");
        std::fs::create_dir(place.path("state")).unwrap();
        place.chmod("state", 0o700);
        std::fs::copy(&older, place.store("")).unwrap();
        place.chmod("state/gw.sqlite", 0o600);
        place
    };
    let time = time_to_start(&place());
    for _ in 0..rounds() {
        let place = place();
        for _ in 0..3 {
            killed_within(&place, time, &mut chance);
        }
        let gateway = place.serve();
        let kept = place.kept();
        assert_eq!(kept.devices.len(), DEVICES);
        assert_eq!(kept.paired(), DEVICES - DEVICES / 5);
        assert_eq!(usize::try_from(kept.commits), Ok(DEVICES));
        for row in kept.devices.values().filter(|row| !row.record.is_null()) {
            let token = format!("token-{}-not-a-secret", row.version);
            assert_eq!(row.token(), Some(&*token));
        }
        let asking = by_token(&paired, "token-1-not-a-secret");
        let (_, hello) = gateway.admit(&asking).await;
        assert_eq!(hello["auth"]["scopes"], json!(paired.scopes));
        gateway
            .refuse(&by_token(&paired, "token-2-not-a-secret"))
            .await;
        gateway.refuse(&guest("nobody")).await;
    }
}

fn of_device(device: &Identity, number: usize) -> Value {
    let token = format!("token-{number}-not-a-secret");
    json!({
        "deviceId": device.id, "publicKey": device.public_key, "platform": "linux",
        "clientId": "cli", "clientMode": "cli", "role": "operator", "roles": ["operator"],
        "scopes": ["operator.read"], "approvedScopes": ["operator.read"],
        "approvedAtMs": 1_770_000_000_000_i64,
        "tokens": { "operator": { "token": token, "role": "operator",
            "scopes": ["operator.read"], "createdAtMs": 1_770_000_000_000_i64 } },
    })
}

/// A request that never expires, as the clock goes.
fn waiting(device: &Identity) -> Value {
    json!({
        "requestId": format!("of {}", device.id), "deviceId": device.id,
        "publicKey": device.public_key, "role": "operator", "roles": ["operator"],
        "scopes": ["operator.read"], "ts": i64::MAX,
    })
}

/// What is made at the first start is there as a whole or not at all, and another start goes on from
/// there: token, key, certificate, database.
#[tokio::test]
async fn a_first_start_outlasts_a_kill() {
    const CONFIG: &str = "state: state\npolicy: my.policy\nlisten: { socket: owner.sock }\n\
        tls: { autoGenerate: true }\n";
    let mut chance = Chance::new("first start");
    let new = || {
        let place = Place::new("");
        place.write("gw.yaml", CONFIG);
        place
    };
    let time = time_to_start(&new());
    for _ in 0..rounds() {
        let place = new();
        let read = |name: &str| std::fs::read(place.path("state").join(name)).ok();
        let mut before = BTreeMap::new();
        for _ in 0..4 {
            killed_within(&place, time, &mut chance);
            for name in ["token", "identity.key", "tls.key", "tls.crt"] {
                let Some(made) = read(name) else { continue };
                let first = before.entry(name).or_insert_with(|| made.clone());
                assert_eq!(*first, made, "{name} was made again");
            }
        }
        let mut gateway = place.serve();
        let mut owner = gateway.owner().await;
        let list = owner.call("device.pair.list", json!({})).await.unwrap();
        assert_eq!(list, json!({ "paired": [], "pending": [] }));
        for (name, made) in &before {
            assert_eq!(read(name).as_ref(), Some(made), "{name}");
        }
        for file in std::fs::read_dir(place.path("state")).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode();
            let is_shown = mode & 0o077 != 0 && file.file_name() != "tls.crt";
            assert!(!is_shown, "{file:?} {mode:o}");
        }
        gateway.stop();
        place.kept();
    }
}

/// Of two policies one is in force, as a whole, and it is the one in the file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_outlasts_a_kill() {
    const NOBODY: &str =
        "gw-policy 1\n[owner] transport=unix → approve\ndefault → reject(not-permitted)\n";
    let mut chance = Chance::new("reload");
    let place = Place::new("");
    let device = guest("paired");
    {
        let gateway = place.serve();
        gateway.pair(&mut gateway.owner().await, &device).await;
    }
    for _ in 0..rounds() {
        let mut gateway = place.serve();
        let (told, mut events) = unbounded_channel();
        let mut owner = gateway.owner().await;
        let knocked = told.clone();
        let (address, asking) = (gateway.address, device.clone());
        let knocks = tokio::spawn(async move {
            loop {
                match Gateway::try_knock(address, &asking).await {
                    Err(None) => return,
                    Ok((_, hello)) => assert_eq!(hello["auth"]["scopes"], json!(asking.scopes)),
                    Err(Some(refused)) => {
                        assert_eq!(refused.error["details"]["requestId"], Value::Null);
                    }
                }
                let _ = knocked.send(());
            }
        });
        let after = 1 + chance.below(12);
        let swaps = async {
            for swap in 0.. {
                place.replace("my.policy", [NOBODY, POLICY][swap % 2]);
                match owner.try_call("policy.reload", json!({})).await {
                    Ok(reloaded) => assert_eq!(reloaded.unwrap()["error"], Value::Null),
                    Err(_) => break,
                }
                let _ = told.send(());
            }
            drop(told);
        };
        let killed = killed_after(&mut gateway, &mut events, after, &mut chance);
        tokio::join!(swaps, killed);
        knocks.await.unwrap();

        let gateway = place.serve();
        let is_open = std::fs::read_to_string(place.path("my.policy")).unwrap() == POLICY;
        match gateway.knock(&device).await {
            Ok((_, hello)) => {
                assert!(is_open);
                assert_eq!(hello["auth"]["scopes"], json!(device.scopes));
            }
            Err(refused) => assert!(!is_open, "{refused:?}"),
        }
        assert_eq!(place.kept().paired(), 1);
        place.replace("my.policy", POLICY);
    }
    assert!(
        !place.complaints().contains("panicked"),
        "{}",
        place.complaints()
    );
}
