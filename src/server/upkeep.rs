//! What a gateway does by itself while it serves: takes up what changed in its files and in its
//! store, and forgets what has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use super::clock::now_ms;
use super::gateway::Shared;
use super::watch::Watch;
use crate::pairing::store::sweep;

/// How often what has ended is removed from the store.
const SWEEP: Duration = Duration::from_secs(60);

/// Keeps a gateway up, until it is dropped.
pub(super) async fn keep_up(shared: Arc<Shared>) {
    tokio::join!(files(&shared), ended(&shared));
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

/// Removes requests that waited too long, and records whose time is over.
async fn ended(shared: &Arc<Shared>) {
    let mut often = interval(SWEEP);
    often.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        often.tick().await;
        let shared = Arc::clone(shared);
        let swept = spawn_blocking(move || {
            let snapshot = shared.snapshot();
            let rules = &snapshot.settings.compatibility;
            sweep(&*shared.store, now_ms(), rules)
        });
        match swept.await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(count)) => {
                tracing::info!(count, "devices or requests that had ended are removed")
            }
            Ok(Err(error)) => tracing::error!(%error, "what has ended cannot be removed"),
        }
    }
}
