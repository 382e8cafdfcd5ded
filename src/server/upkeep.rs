//! What a gateway does by itself while it serves: takes up what changed in its files and in its
//! store, and forgets what has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::clock::now_ms;
use super::fault::joined;
use super::gateway::{Shared, lock};
use super::own_commits::OwnCommits;
use super::reload::aside;
use super::watch::Watch;
use crate::pairing::store::{StoreError, sweep};

/// How often what has ended is removed from the store.
const SWEEP: Duration = Duration::from_secs(60);

/// What keeps a gateway up. Each goes on by itself, so that none ends with another one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Duty {
    Files,
    Others,
    Noted,
    Ended,
}

impl Duty {
    pub(super) const ALL: [Duty; 4] = [Duty::Files, Duty::Others, Duty::Noted, Duty::Ended];

    /// What it is, for whoever reads of it in a log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Duty::Files => "taking up what changed in files",
            Duty::Others => "taking up what changed in the store",
            Duty::Noted => "writing when devices were last there",
            Duty::Ended => "removing what has ended",
        }
    }

    /// Does it, until it is dropped.
    pub(super) async fn fulfil(self, shared: Arc<Shared>) {
        match self {
            Duty::Files => files(&shared).await,
            Duty::Others => others(&shared).await,
            Duty::Noted => noted(&shared).await,
            Duty::Ended => ended(&shared).await,
        }
    }
}

/// Loads policy, settings and certificate again when a file of theirs changes.
async fn files(shared: &Arc<Shared>) {
    let mut watch = Watch::new();
    loop {
        watch.set(shared.watched());
        watch.changed().await;
        shared.reload().await;
    }
}

/// How often the store is asked whether another process changed it.
const OTHERS: Duration = Duration::from_secs(1);

/// In how many of these beats it is written when devices were last there.
const NOTES: u64 = 5;

/// Has sessions look whether they are still admitted when another process changed the store, and
/// counts the requests that wait.
async fn others(shared: &Arc<Shared>) {
    let mut often = interval(OTHERS);
    often.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut seen, mut seen_others) = (None, None);
    for beat in 1_u64.. {
        often.tick().await;
        shared.record.tell_left_out(false);
        let gone = shared.take_retired();
        if !gone.is_empty() {
            aside(move || drop(gone)).await;
        }
        if beat.is_multiple_of(NOTES) {
            shared.write_notes().await;
        }
        let before = *lock(&shared.own_commits);
        let now = shared.store.revision().ok();
        let after = *lock(&shared.own_commits);
        if now == seen {
            continue;
        }
        seen = now;
        // What this gateway changed itself was told already. Where that is not all for sure,
        // everybody looks, now and the next time.
        let others = now.and_then(|now| OwnCommits::others(before, now, after));
        if others.is_none() || others != seen_others {
            seen_others = others;
            shared.sessions.ask_all();
        }
        let store = Arc::clone(&shared.store);
        let waiting = spawn_blocking(move || Ok::<_, StoreError>(store.count()?.requests));
        if let Some(Ok(waiting)) = joined(shared, waiting).await {
            shared.record.metrics.requests_waiting(waiting);
        }
    }
}

/// Writes when devices were last there as soon as there is much of it: what is not written yet is
/// in memory, and once that is full everybody waits for the disk.
async fn noted(shared: &Arc<Shared>) {
    loop {
        shared.notes.many().await;
        shared.write_notes().await;
    }
}

/// Removes requests that waited too long, and records whose time is over.
async fn ended(shared: &Arc<Shared>) {
    let mut often = interval(SWEEP);
    often.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        often.tick().await;
        let sweeping = Arc::clone(shared);
        let swept = spawn_blocking(move || {
            let snapshot = sweeping.snapshot();
            let rules = &snapshot.settings.compatibility;
            let swept = sweep(&*sweeping.store, now_ms(), rules);
            if swept != Ok(0) {
                sweeping.note_commit(swept.as_ref().err());
            }
            swept
        });
        match joined(shared, swept).await {
            Some(Ok(0)) | None => {}
            Some(Ok(count)) => {
                tracing::info!(count, "devices or requests that had ended are removed")
            }
            Some(Err(error)) => tracing::error!(%error, "what has ended cannot be removed"),
        }
    }
}
