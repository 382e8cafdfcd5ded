//! Stores that fail, conflict, wait, and are watched; and what clients are told then.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use gw::facts::Scope;
use gw::journal::Kind;
use gw::pairing::store::Look;
use gw::pairing::{Change, Memory, Standing, Store, StoreError, Version, Write};
use gw::server::Identity;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::client::{Asking, Closed, soon};
use crate::handshakes::{DOOR, door, guest, http};
use crate::served::{Plan, rules};
use crate::sign;

/// What becomes of commits that write something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Fine,
    Conflicts,
    Fails,
    Full,
}

/// A store in memory with a mood, that counts what it is asked.
pub(crate) struct Watched {
    inner: Memory,
    mood: Mutex<Mood>,
    /// Whether nothing can be read.
    pub(crate) blind: AtomicBool,
    /// Whether whatever it is asked next ends in a panic, and everything after that.
    broken: AtomicBool,
    loads: AtomicU64,
    loaded: Notify,
    looks: AtomicU64,
    looked: Notify,
    /// The device that another process removes right before the next commit.
    gone: Mutex<Option<String>>,
    /// Until its other end is dropped, the next commit is not answered.
    held: Mutex<Option<Receiver<()>>>,
    commits: AtomicU64,
    committed: Notify,
}

impl Default for Watched {
    fn default() -> Self {
        Watched {
            inner: Memory::default(),
            mood: Mutex::new(Mood::Fine),
            blind: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            loads: AtomicU64::new(0),
            loaded: Notify::new(),
            looks: AtomicU64::new(0),
            looked: Notify::new(),
            gone: Mutex::default(),
            held: Mutex::default(),
            commits: AtomicU64::new(0),
            committed: Notify::new(),
        }
    }
}

impl Watched {
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }

    /// Waits until a device is loaded once more.
    pub(crate) async fn loaded_after(&self, loads: u64) {
        while self.loads() <= loads {
            soon("a load", self.loaded.notified()).await;
        }
    }

    /// How often it was asked how many commits there were.
    pub(crate) fn looks(&self) -> u64 {
        self.looks.load(Ordering::SeqCst)
    }

    /// Waits until it is asked that once more.
    pub(crate) async fn looked_after(&self, looks: u64) {
        while self.looks() <= looks {
            soon("a look at the store", self.looked.notified()).await;
        }
    }

    /// The next commit is made, and not answered before this is dropped.
    pub(crate) fn hold(&self) -> Sender<()> {
        let (sender, receiver) = channel();
        *self.held.lock().unwrap() = Some(receiver);
        sender
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// Waits until another commit is in the store, whether it is answered or not.
    pub(crate) async fn committed_after(&self, commits: u64) {
        while self.commits() <= commits {
            soon("a commit", self.committed.notified()).await;
        }
    }

    /// As another process would.
    pub(crate) fn remove(&self, device_id: &str) {
        let (_, version) = self.inner.load(device_id).unwrap();
        let change = Change {
            record: Write::Remove,
            ..Change::none(device_id)
        };
        self.inner.commit(&change, version).unwrap();
    }

    fn see(&self) -> Result<(), StoreError> {
        assert!(!self.broken.load(Ordering::SeqCst), "broken on purpose");
        match self.blind.load(Ordering::SeqCst) {
            true => Err(StoreError::Failed("the disk is gone".into())),
            false => Ok(()),
        }
    }
}

impl Store for Watched {
    fn load(&self, device_id: &str) -> Result<(Arc<Standing>, Version), StoreError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.see()?;
        let loaded = self.inner.load(device_id);
        self.loaded.notify_one();
        loaded
    }

    fn commit(&self, change: &Change, expected: Version) -> Result<Version, StoreError> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            _ if change.is_empty() => self.inner.commit(change, expected),
            Mood::Fine => {
                let gone = self.gone.lock().unwrap().take();
                if let Some(gone) = gone {
                    self.remove(&gone);
                }
                let committed = self.inner.commit(change, expected);
                self.commits.fetch_add(1, Ordering::SeqCst);
                self.committed.notify_one();
                let held = self.held.lock().unwrap().take();
                if let Some(held) = held {
                    let _ = held.recv();
                }
                committed
            }
            Mood::Conflicts => Err(StoreError::Conflict),
            Mood::Fails => Err(StoreError::Failed("the disk is full".into())),
            Mood::Full => Err(StoreError::TooManyRequests),
        }
    }

    fn list(&self) -> Result<Vec<(Standing, Version)>, StoreError> {
        self.see()?;
        self.inner.list()
    }

    fn waiting(&self, look: &mut Look<'_>) -> Result<(), StoreError> {
        self.see()?;
        self.inner.waiting(look)
    }

    fn device_of_request(&self, request_id: &str) -> Result<Option<Box<str>>, StoreError> {
        self.inner.device_of_request(request_id)
    }

    fn revision(&self) -> Result<u64, StoreError> {
        let broken = self.broken.load(Ordering::SeqCst);
        let revision = self.inner.revision();
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.looked.notify_one();
        assert!(!broken, "broken on purpose");
        revision
    }
}

/// Nobody gets in, and nobody is told of a request or given a token, that is not kept.
#[tokio::test]
async fn what_cannot_be_kept_is_not_promised() {
    let store = Arc::new(Watched::default());
    let plan = Plan {
        store: Some(Arc::clone(&store) as _),
        ..door()
    };
    let served = plan.serve();
    for mood in [Mood::Conflicts, Mood::Fails, Mood::Full] {
        store.set(mood);
        for asking in [Asking::device("owner"), guest("guest")] {
            let refused = served.refuse(&asking).await;
            let error = &refused.error;
            assert_eq!(error["code"], "UNAVAILABLE", "{mood:?} {error}");
            assert!(error["details"]["remediationHint"].is_string(), "{error}");
            assert_eq!(error["details"]["requestId"], Value::Null);
            assert!(!error.to_string().contains("disk"), "{error}");
            assert_eq!(refused.closed.reason, error["message"].as_str().unwrap());
        }
        assert_eq!(served.gateway.sessions(), 0);
        assert!(served.store.list().unwrap().is_empty());
    }
    store.set(Mood::Fine);
    served.admit(&Asking::device("owner")).await;
    let (_, lines) = served.end().await;
    let kept_out = lines.iter().filter(|line| {
        let answer = line.answer.as_ref();
        answer.is_some_and(|answer| answer.code.as_deref() == Some("UNAVAILABLE"))
    });
    assert_eq!(kept_out.count(), 4);
}

/// A call that cannot be carried out says so; the session goes on, and nothing has changed.
#[tokio::test]
async fn a_call_that_cannot_be_kept_fails() {
    let store = Arc::new(Watched::default());
    let plan = Plan {
        store: Some(Arc::clone(&store) as _),
        ..door()
    };
    let served = plan.serve();
    let mut owner = served.admit(&Asking::device("owner")).await;
    let waiting = served.refuse(&guest("guest")).await;
    let request = json!({ "requestId": waiting.request_id() });
    for mood in [Mood::Conflicts, Mood::Fails] {
        store.set(mood);
        let error = owner.call("device.pair.approve", request.clone()).await;
        let error = error.unwrap_err();
        assert_eq!(error["code"], "UNAVAILABLE", "{mood:?}");
        assert!(!error.to_string().contains("disk"), "{error}");
    }
    store.set(Mood::Fine);
    let list = owner.call("device.pair.list", json!({})).await.unwrap();
    assert_eq!(list["pending"][0]["requestId"], request["requestId"]);
    owner.call("device.pair.approve", request).await.unwrap();
    served.admit(&guest("guest")).await;
}

/// A call that is under way does nothing any more once its caller is removed.
#[tokio::test]
async fn nothing_is_done_for_a_caller_that_is_removed_meanwhile() {
    let store = Arc::new(Watched::default());
    let plan = Plan {
        store: Some(Arc::clone(&store) as _),
        ..door()
    };
    let served = plan.serve();
    let mut manager = served.admit(&Asking::device("manager")).await;
    let waiting = served.refuse(&guest("guest")).await;
    let request = json!({ "requestId": waiting.request_id() });
    *store.gone.lock().unwrap() = Some(sign::Identity::named("manager").id);
    let called = manager.try_call("device.pair.approve", request).await;
    assert!(!matches!(called, Ok(Ok(_))), "{called:?}");
    assert!(store.gone.lock().unwrap().is_none());
    served.refuse(&guest("guest")).await;
    soon("its end", async {
        while served.gateway.sessions() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// What cannot be looked at lets nobody in, and ends who is in when he is looked after.
#[tokio::test]
async fn a_store_that_cannot_be_read_is_no_way_in() {
    let store = Arc::new(Watched::default());
    let lane = "[lane] transport=in-process → approve";
    let text = format!("{lane}\n{DOOR}");
    let plan = Plan {
        policy: rules(&text),
        store: Some(Arc::clone(&store) as _),
        ..door()
    };
    let served = plan.serve();
    // It has no device that could be looked at, so it outlasts every look.
    let helper = Identity::backend("cron", &[Scope::Read]);
    let helper = served.gateway.connect_in_process(&helper).await.unwrap();
    let mut owner = served.admit(&Asking::device("owner")).await;
    store.blind.store(true, Ordering::SeqCst);
    let refused = served.refuse(&Asking::device("owner")).await;
    assert_eq!(refused.error["code"], "UNAVAILABLE");
    let ready = http(&served, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(ready.starts_with("HTTP/1.1 503 "), "{ready}");
    assert!(!ready.contains("disk"), "{ready}");
    let live = http(&served, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(live.starts_with("HTTP/1.1 200 "), "{live}");
    assert_eq!(
        helper.call("health", Value::Null).await.unwrap()["ok"],
        false
    );
    served.gateway.put(rules(&text), door().settings);
    // It may come back with the token that it has.
    assert_eq!(
        owner.closed().await,
        Closed::new(1013, "device access cannot be checked now: try again later")
    );
    store.blind.store(false, Ordering::SeqCst);
    served.admit(&Asking::device("owner")).await;
    let (_, lines) = served.end().await;
    let ended = lines.iter().find(|line| line.kind == Kind::SessionEnded);
    assert_eq!(ended.unwrap().reason.as_deref(), Some("store-failed"));
}

/// Whoever may make requests makes as many as there may be: who else asks is kept all the same, and
/// so is who asked before.
#[tokio::test]
async fn requests_of_one_address_keep_out_nobody_else() {
    let store = Arc::new(Memory::default());
    let commit = |device: String, ip: &str, at: usize| {
        let pending = json!({
            "requestId": format!("of {device}"), "deviceId": device, "publicKey": "k",
            "remoteIp": ip, "ts": 1_900_000_000_000_u64 + at as u64,
        });
        let change = Change {
            pending: Write::Put(serde_json::from_value(pending).unwrap()),
            ..Change::none(&device)
        };
        store.commit(&change, Version::NOTHING).unwrap();
    };
    commit("honest".to_owned(), "198.51.100.1", 0);
    for at in 1..1_000 {
        commit(format!("loud {at}"), "203.0.113.7", at);
    }
    let plan = Plan {
        store: Some(Arc::clone(&store) as _),
        ..door()
    };
    let served = plan.serve();
    let waiting = served.refuse(&guest("guest")).await;
    let device = served
        .store
        .device_of_request(waiting.request_id())
        .unwrap();
    assert!(device.is_some(), "{waiting:?}");
    let is_kept = |device: &str| store.load(device).unwrap().0.pending.is_some();
    assert!(is_kept("honest") && !is_kept("loud 1") && is_kept("loud 2"));
}

/// A fault of our own, here of the store: whoever meets it is cut off and gets nothing, their places
/// are free again, and whatever keeps the gateway up begins again.
#[tokio::test]
async fn a_panic_ends_its_connection_and_no_more() {
    let store = Arc::new(Watched::default());
    let mut plan = Plan {
        store: Some(Arc::clone(&store) as _),
        ..door()
    };
    plan.options.metrics = true;
    plan.limits.unadmitted_per_address = 4;
    let served = plan.serve();
    let mut owner = served.admit(&Asking::device("owner")).await;
    let before = store.looks();
    store.broken.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        let mut client = served.open().await;
        let knocked = client.connect(&Asking::device("guest")).await;
        assert_eq!(knocked.unwrap_err().closed, Closed::new(1006, ""));
    }
    store.looked_after(before).await;
    let error = owner.call("device.pair.list", json!({})).await;
    assert_eq!(error.unwrap_err()["code"], "UNAVAILABLE");
    store.broken.store(false, Ordering::SeqCst);
    served.admit(&Asking::device("guest")).await;
    owner.call("health", json!({})).await.unwrap();
    // What keeps the gateway up panicked too, and goes on: another process' commit is heard of.
    store.remove(&sign::Identity::named("owner").id);
    assert_eq!(
        owner.closed().await,
        Closed::new(1008, "device access revoked")
    );
    let page = http(&served, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let panics = page
        .lines()
        .find_map(|line| line.strip_prefix("gw_panics_total "));
    assert!(panics.unwrap().parse::<u32>().unwrap() >= 12, "{page}");
}
