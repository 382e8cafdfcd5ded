//! A stream whose first answer waits for what is sent next, so that both go out as one.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether what is written is held back. Whoever answers a request says so before the answer is
/// written.
#[derive(Clone, Debug, Default)]
pub(super) struct Hold(Arc<AtomicBool>);

impl Hold {
    /// From now on nothing is sent.
    pub(super) fn hold(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A stream that can hold back.
#[derive(Debug)]
pub(super) struct Held<S> {
    stream: S,
    /// Nothing once it is over.
    hold: Option<Hold>,
    /// What was written and is not sent.
    unsent: Vec<u8>,
}

impl<S> Held<S> {
    pub(super) fn new(stream: S, hold: Hold) -> Self {
        Held {
            stream,
            hold: Some(hold),
            unsent: Vec::new(),
        }
    }

    /// What was held back goes out with whatever is written or flushed next.
    pub(super) fn release(mut self) -> Self {
        self.hold = None;
        self
    }

    fn holds(&self) -> bool {
        let held = |hold: &Hold| hold.0.load(Ordering::Relaxed);
        self.hold.as_ref().is_some_and(held)
    }
}

impl<S: AsyncWrite + Unpin> Held<S> {
    /// Sends what is unsent, and as much of the rest as goes out with it; says how much of the
    /// rest that was.
    fn poll_send(&mut self, context: &mut Context<'_>, rest: &[u8]) -> Poll<io::Result<usize>> {
        while !self.unsent.is_empty() {
            let both = [IoSlice::new(&self.unsent), IoSlice::new(rest)];
            let sent = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &both))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_rest = sent.saturating_sub(self.unsent.len());
            self.unsent.drain(..sent.min(self.unsent.len()));
            if self.unsent.is_empty() {
                self.unsent = Vec::new();
            }
            if of_rest > 0 {
                return Poll::Ready(Ok(of_rest));
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.holds() {
            this.unsent.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        match ready!(this.poll_send(context, bytes))? {
            0 => Pin::new(&mut this.stream).poll_write(context, bytes),
            sent => Poll::Ready(Ok(sent)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.holds() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_send(context, &[]))?;
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// However little the other side takes at once.
    #[tokio::test]
    async fn what_is_held_back_goes_out_first_and_whole() {
        for room in 1..=12 {
            let (ours, mut theirs) = tokio::io::duplex(room);
            let hold = Hold::default();
            let mut held = Held::new(ours, hold.clone());
            hold.hold();
            held.write_all(b"first").await.unwrap();
            held.flush().await.unwrap();
            tokio::select! {
                biased;
                _ = theirs.read_u8() => panic!("it was sent"),
                () = std::future::ready(()) => {}
            }
            let mut held = held.release();
            let (read, ()) = tokio::join!(
                async {
                    let mut read = [0; 10];
                    theirs.read_exact(&mut read).await.unwrap();
                    read
                },
                async {
                    held.write_all(b" then").await.unwrap();
                    held.flush().await.unwrap();
                }
            );
            assert_eq!(&read, b"first then");
        }
    }

    #[tokio::test]
    async fn a_flush_sends_what_was_held_back() {
        let (ours, mut theirs) = tokio::io::duplex(2);
        let hold = Hold::default();
        let mut held = Held::new(ours, hold.clone());
        held.write_all(b"1").await.unwrap();
        assert_eq!(theirs.read_u8().await.unwrap(), b'1');
        hold.hold();
        held.write_all(b"2345").await.unwrap();
        let mut held = held.release();
        let mut read = [0; 4];
        let (read_all, flushed) = tokio::join!(theirs.read_exact(&mut read), held.flush());
        assert!(read_all.is_ok() && flushed.is_ok());
        assert_eq!(&read, b"2345");
    }
}
