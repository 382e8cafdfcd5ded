//! Faults of our own: a panic ends the connection that it happens in, is counted, and what is to go
//! on as long as the gateway begins again.

use std::future::{Future, pending};
use std::sync::Arc;
use std::thread::panicking;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::sleep;

use super::gateway::Shared;

/// How long it waits before it begins again: what panics at once may do so again.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts a panic that unwinds through where it stands.
pub(super) struct Noticed(pub(super) Arc<Shared>);

impl Drop for Noticed {
    fn drop(&mut self) {
        if panicking() {
            self.0.record.metrics.panicked();
            tracing::error!("a fault of gw's own ended a connection; please report it");
        }
    }
}

/// What work on a thread that may wait came to; none where it panicked, which is counted.
pub(super) async fn joined<T>(shared: &Shared, work: JoinHandle<T>) -> Option<T> {
    match work.await {
        Ok(done) => Some(done),
        Err(error) => {
            if error.is_panic() {
                shared.record.metrics.panicked();
                tracing::error!("a fault of gw's own; please report it");
            }
            None
        }
    }
}

/// A part of what goes on as long as the gateway does.
pub(super) trait Part: Clone + Send + 'static {
    /// Does its work; it does not return.
    fn go_on(self, shared: Arc<Shared>) -> impl Future<Output = ()> + Send;

    /// What it is called where a fault of it is told.
    fn name(&self) -> &'static str;
}

/// The parts that are at work, each in a task of its own.
pub(super) struct Parts<P> {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    /// What each task is at.
    which: FxHashMap<Id, P>,
}

impl<P: Part> Parts<P> {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Parts {
            shared: Arc::clone(shared),
            tasks: JoinSet::new(),
            which: FxHashMap::default(),
        }
    }

    pub(super) fn begin(&mut self, part: P) {
        self.begin_after(Duration::ZERO, part);
    }

    fn begin_after(&mut self, pause: Duration, part: P) {
        let (shared, works) = (Arc::clone(&self.shared), part.clone());
        let task = self.tasks.spawn(async move {
            sleep(pause).await;
            works.go_on(shared).await;
        });
        self.which.insert(task.id(), part);
    }

    /// Lets them work, and has each begin again that panics. It does not return.
    pub(super) async fn keep(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            let (id, is_panic) = match &ended {
                Ok((id, ())) => (*id, false),
                Err(error) => (error.id(), error.is_panic()),
            };
            let Some(part) = self.which.remove(&id) else {
                continue;
            };
            if is_panic {
                self.shared.record.metrics.panicked();
                let what = part.name();
                tracing::error!(
                    what,
                    "a fault of gw's own; it begins again. Please report it"
                );
                self.begin_after(PAUSE, part);
            }
        }
        pending::<()>().await;
    }

    /// Ends them, and returns when all have.
    pub(super) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}
