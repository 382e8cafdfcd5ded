//! A stream with buffers that are there only while there is something in them: much that comes at
//! once is read at once, what could not be written waits here, and a first answer can wait for what
//! is sent next, so that both go out as one.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// How much is read at once where much comes. Whoever reads asks for less, to have little memory
/// where nothing comes.
const AT_ONCE: usize = 65_536;

/// How much one call brings that is likely to be followed by more.
const MUCH: usize = 2_048;

/// How many pieces are written by one call.
const PIECES: usize = 8;

/// Whether what is written is held back. Whoever answers a request says so before the answer is
/// written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hold(Arc<AtomicBool>);

impl Hold {
    /// From now on nothing is sent.
    pub(crate) fn hold(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes bytes to be sent, without a copy. They go out with the next flush, after what was written
/// before.
pub(crate) trait Queue {
    /// Takes some.
    fn queue(&mut self, bytes: Bytes);
}

/// A stream with such buffers.
#[derive(Debug)]
pub(crate) struct Buffered<S> {
    stream: S,
    /// Nothing once it is over.
    hold: Option<Hold>,
    read: Read,
    /// What was written and is not sent.
    unsent: VecDeque<Bytes>,
}

/// What was read and nobody took yet.
#[derive(Debug, Default)]
struct Read {
    bytes: BytesMut,
    /// Whether the last call brought as much as it could.
    much: bool,
}

impl<S> Buffered<S> {
    pub(crate) fn new(stream: S) -> Self {
        Buffered {
            stream,
            hold: None,
            read: Read::default(),
            unsent: VecDeque::new(),
        }
    }

    /// One that can hold back.
    pub(crate) fn holding(stream: S, hold: Hold) -> Self {
        Buffered {
            hold: Some(hold),
            ..Buffered::new(stream)
        }
    }

    /// What was held back goes out with whatever is written or flushed next.
    pub(crate) fn release(mut self) -> Self {
        self.hold = None;
        self
    }

    /// Whether it has no memory of its own.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.read.bytes.capacity() == 0 && self.unsent.is_empty()
    }

    fn holds(&self) -> bool {
        let held = |hold: &Hold| hold.0.load(Ordering::Relaxed);
        self.hold.as_ref().is_some_and(held)
    }
}

impl<S> Queue for Buffered<S> {
    fn queue(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.unsent.push_back(bytes);
        }
    }
}

impl<S: AsyncWrite + Unpin> Buffered<S> {
    /// Sends what is unsent, and as much of the rest as goes out with it; says how much of the
    /// rest that was.
    fn poll_send(&mut self, context: &mut Context<'_>, rest: &[u8]) -> Poll<io::Result<usize>> {
        while !self.unsent.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let unsent = self.unsent.iter().map(|bytes| &**bytes).chain([rest]);
            let mut count = 0;
            for (piece, bytes) in pieces.iter_mut().zip(unsent) {
                *piece = IoSlice::new(bytes);
                count += 1;
            }
            let pieces = pieces.get(..count).unwrap_or_default();
            let stream = Pin::new(&mut self.stream);
            let mut sent = ready!(stream.poll_write_vectored(context, pieces))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            while let Some(first) = self.unsent.front_mut() {
                if sent < first.len() {
                    first.advance(sent);
                    sent = 0;
                    break;
                }
                sent -= first.len();
                self.unsent.pop_front();
            }
            if sent > 0 {
                return Poll::Ready(Ok(sent));
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Buffered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Buffered { stream, read, .. } = self.get_mut();
        if read.bytes.is_empty() {
            if !read.much {
                let before = buffer.filled().len();
                ready!(Pin::new(stream).poll_read(context, buffer))?;
                read.much = buffer.remaining() == 0 && buffer.filled().len() - before >= MUCH;
                return Poll::Ready(Ok(()));
            }
            read.bytes.reserve(AT_ONCE);
            let polled = pin!(stream.read_buf(&mut read.bytes)).poll(context);
            read.much = read.bytes.len() > buffer.remaining();
            if read.bytes.is_empty() {
                read.bytes = BytesMut::new();
            }
            ready!(polled)?;
        }
        let taken = read.bytes.len().min(buffer.remaining());
        buffer.put_slice(&read.bytes.split_to(taken));
        if read.bytes.is_empty() && !read.much {
            read.bytes = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Buffered<S> {
    /// Takes all or nothing: what the stream does not take at once is kept, and nothing more is
    /// taken until that is sent.
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.holds() {
            this.queue(Bytes::copy_from_slice(bytes));
            return Poll::Ready(Ok(bytes.len()));
        }
        let sent = match ready!(this.poll_send(context, bytes))? {
            0 => ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?,
            sent => sent,
        };
        if sent == 0 {
            return Poll::Ready(Ok(0));
        }
        let rest = bytes.get(sent..).unwrap_or_default();
        this.queue(Bytes::copy_from_slice(rest));
        Poll::Ready(Ok(bytes.len()))
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
        let this = self.get_mut();
        if !this.holds() {
            ready!(this.poll_send(context, &[]))?;
        }
        Pin::new(&mut this.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    /// However little the other side takes at once.
    #[tokio::test]
    async fn what_is_held_back_goes_out_first_and_whole() {
        for room in 1..=12 {
            let (ours, mut theirs) = tokio::io::duplex(room);
            let hold = Hold::default();
            let mut held = Buffered::holding(ours, hold.clone());
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
        let mut held = Buffered::holding(ours, hold.clone());
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
