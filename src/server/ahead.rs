//! A stream that knows where the first message on it ends, and keeps what was read behind it: the
//! rest is of another size, for another reader.

use std::io::{self, Cursor};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use crate::pipe::Queue;

/// A stream of frames.
#[derive(Debug)]
pub(super) struct Ahead<S> {
    stream: S,
    /// Nothing where nobody wants to know any more.
    first: Option<Box<First>>,
}

/// The first message, as far as it was read, and what came behind it. What is in it is not kept,
/// nor are the frames of control before its end, of which there may be any number.
#[derive(Debug, Default)]
struct First {
    /// Of a header that is not complete yet.
    header: Vec<u8>,
    /// How much of the payload of a frame is still to come.
    left: u64,
    /// Whether the message ends with this frame.
    last: bool,
    ended: bool,
    behind: Vec<u8>,
}

impl First {
    fn read(&mut self, mut bytes: &[u8]) {
        while !self.ended && !bytes.is_empty() {
            if self.left > 0 {
                let length =
                    usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                bytes = bytes.split_at(length).1;
                self.left -= length as u64;
            } else {
                let (byte, rest) = bytes.split_at(1);
                bytes = rest;
                self.header.extend_from_slice(byte);
                match FrameHeader::parse(&mut Cursor::new(&self.header)) {
                    Ok(Some((header, length))) => {
                        self.last = header.is_final && matches!(header.opcode, OpCode::Data(_));
                        self.left = length;
                        self.header.clear();
                    }
                    Ok(None) => continue,
                    // The reader of messages says the same, and nothing follows.
                    Err(_) => return self.header.clear(),
                }
            }
            self.ended = self.last && self.left == 0;
        }
        self.behind.extend_from_slice(bytes);
    }
}

impl<S> Ahead<S> {
    /// `read` was read of the stream already.
    pub(super) fn new(stream: S, read: &[u8]) -> Self {
        let mut first = First::default();
        first.read(read);
        Ahead {
            stream,
            first: Some(Box::new(first)),
        }
    }

    /// What was read behind the first message; from now on nothing is kept.
    pub(super) fn take_behind(&mut self) -> Vec<u8> {
        self.first
            .take()
            .map_or_else(Vec::new, |first| first.behind)
    }
}

impl<S: Queue> Queue for Ahead<S> {
    fn queue(&mut self, bytes: Bytes) {
        self.stream.queue(bytes);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if let Some(first) = &mut this.first {
            first.read(buffer.filled().get(before..).unwrap_or_default());
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[first, 0x80 | length, 1, 2, 3, 4], payload].concat()
    }

    /// However it arrives.
    #[test]
    fn what_follows_the_first_message_is_kept() {
        let (text, fragment, ping, end) = (0x81, 0x01, 0x89, 0x80);
        let next = frame(text, b"next");
        for first in [
            frame(text, b"whole"),
            [
                frame(fragment, b"in "),
                frame(ping, b"?"),
                frame(end, b"two"),
            ]
            .concat(),
            [frame(ping, b"?"), frame(text, b"")].concat(),
        ] {
            let all = [&first[..], &next].concat();
            for split in 0..=all.len() {
                let (early, late) = all.split_at(split);
                let mut ahead = Ahead::new((), early);
                ahead.first.as_mut().unwrap().read(late);
                assert_eq!(ahead.take_behind(), next);
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_what_comes_before_the_message_ends() {
        let mut first = First::default();
        for _ in 0..10_000 {
            first.read(&frame(0x89, &[0; 125]));
        }
        first.read(&frame(0x01, b"begun"));
        assert!(first.behind.capacity() == 0 && first.header.capacity() < 64);
    }
}
