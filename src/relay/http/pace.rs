//! A deadline that moves with what happens, and bodies that move it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// A deadline that moves.
#[derive(Debug)]
pub struct Pace(watch::Sender<Instant>);

impl Pace {
    /// Until then, if nothing moves it.
    #[must_use]
    pub fn new(until: Instant) -> Self {
        Pace(watch::Sender::new(until))
    }

    /// When it is over.
    #[must_use]
    pub fn until(&self) -> Instant {
        *self.0.borrow()
    }

    /// There is so much time from now on.
    pub fn give(&self, time: Duration) {
        let until = Instant::now() + time;
        // Whoever waits looks again when the time is over: only a sooner end is news.
        self.0.send_if_modified(|now| {
            let sooner = until < *now;
            *now = until;
            sooner
        });
    }

    /// Done when the time is over.
    pub async fn over(&self) {
        let mut moved = self.0.subscribe();
        loop {
            let until = *moved.borrow_and_update();
            if until <= Instant::now() {
                return;
            }
            tokio::select! {
                () = sleep_until(until) => {}
                // The sender is here.
                _ = moved.changed() => {}
            }
        }
    }
}

/// A body that moves a deadline with each of its parts, and with its end.
#[derive(Debug)]
pub struct Paced<B> {
    body: B,
    pace: Arc<Pace>,
    each: Duration,
    after: Duration,
}

impl<B> Paced<B> {
    /// `each` is how long a part may take, and `after` what time there is after the last one.
    #[must_use]
    pub fn new(body: B, pace: Arc<Pace>, each: Duration, after: Duration) -> Self {
        pace.give(each);
        Paced {
            body,
            pace,
            each,
            after,
        }
    }
}

impl<B> Drop for Paced<B> {
    fn drop(&mut self) {
        self.pace.give(self.after);
    }
}

impl<B: Body + Unpin> Body for Paced<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        this.pace.give(this.each);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn it_ends_as_it_was_moved_last() {
        let pace = Pace::new(Instant::now());
        pace.over().await;
        pace.give(LONG);
        let mut over = Box::pin(pace.over());
        tokio::select! {
            biased;
            () = &mut over => panic!("there was time"),
            () = std::future::ready(()) => {}
        }
        pace.give(Duration::ZERO);
        over.await;
        assert!(pace.until() <= Instant::now());
    }
}
