//! A stream that knows where in a message it is: where the first one ends, behind which the rest is
//! of another size, for another reader; where a large one ends, whose memory the reader would keep;
//! and whether one that was begun goes on.

use std::io::{self, Cursor};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use crate::pipe::Queue;

/// With how many bytes still to come a frame is large: the library's reader keeps as much memory as
/// the largest frame took, for as long as the connection lasts.
const LARGE: u64 = 16_384;

/// How many bytes of a message have to come in a second while it is waited for: the largest one is
/// then there in less than half an hour, and a slow line has time for it.
const PACE: u64 = 16_384;

/// How many ticks in a row less may come.
const PATIENCE: u32 = 2;

/// The longest header of a frame (RFC 6455, 5.2).
const MOST_HEADER: usize = 14;

/// A stream of frames.
#[derive(Debug)]
pub(super) struct Ahead<S> {
    /// Nothing where another one has taken its place.
    stream: Option<S>,
    place: Place,
    /// Nothing where nobody wants to know any more.
    first: Option<Box<First>>,
    /// Whether more of a message was waited for since the last tick.
    waited: bool,
    /// How many ticks in a row a message has come too slowly.
    slow: u32,
}

/// Where in a message a stream is. What is in it is not kept, nor are the frames of control before
/// its end, of which there may be any number.
#[derive(Debug, Default)]
struct Place {
    header: [u8; MOST_HEADER],
    /// How much of the header of a frame is there.
    length: usize,
    /// How much of the payload of a frame is still to come.
    left: u64,
    /// Whether that is the message's.
    data: bool,
    /// Whether the message ends with this frame.
    last: bool,
    /// Whether there are frames of a message that does not end with them.
    parts: bool,
    /// How much of messages has come since somebody asked.
    came: u64,
    /// Whether a frame was large since the reader was a new one.
    large: bool,
}

/// Whether the first message has ended, and what came behind it.
#[derive(Debug, Default)]
struct First {
    ended: bool,
    behind: Vec<u8>,
}

impl Place {
    /// Goes on with what was read. Where a message ends with it, that gives what is behind.
    fn read<'a>(&mut self, mut bytes: &'a [u8]) -> Option<&'a [u8]> {
        while let Some((byte, rest)) = bytes.split_first() {
            if self.left > 0 {
                let length =
                    usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
                bytes = bytes.split_at(length).1;
                self.left -= length as u64;
                self.came += if self.data { length as u64 } else { 0 };
            } else {
                bytes = rest;
                if let Some(place) = self.header.get_mut(self.length) {
                    *place = *byte;
                    self.length += 1;
                }
                if self.of_header() > 0 {
                    continue;
                }
                let header = self.header.get(..mem::take(&mut self.length));
                match FrameHeader::parse(&mut Cursor::new(header.unwrap_or_default())) {
                    Ok(Some((header, length))) => {
                        self.data = matches!(header.opcode, OpCode::Data(_));
                        self.last = self.data && header.is_final;
                        self.parts |= self.data && !header.is_final;
                        self.left = length;
                    }
                    // The reader of messages says the same, and nothing follows.
                    Ok(None) | Err(_) => return None,
                }
            }
            if self.last && self.left == 0 {
                (self.last, self.parts) = (false, false);
                return Some(bytes);
            }
        }
        self.large |= self.left >= LARGE;
        None
    }

    /// How many bytes of a header are still to come, as far as is known.
    fn of_header(&self) -> usize {
        let [_, second, ..] = self.header;
        let whole = match self.length {
            0 | 1 => 2,
            _ => {
                let of_length = match second & 0x7f {
                    126 => 2,
                    127 => 8,
                    _ => 0,
                };
                let of_mask = if second & 0x80 == 0 { 0 } else { 4 };
                2 + of_length + of_mask
            }
        };
        whole - self.length
    }

    /// Whether a message, or a frame of control, was begun and has not ended.
    fn is_within(&self) -> bool {
        self.parts || self.left > 0 || self.length > 0
    }

    /// How many bytes may be read so that nothing of another message is among them.
    fn within(&self) -> usize {
        match self.left {
            0 => self.of_header(),
            left => usize::try_from(left).unwrap_or(usize::MAX),
        }
    }
}

impl<S> Ahead<S> {
    /// `read` was read of the stream already.
    pub(super) fn new(stream: S, read: &[u8]) -> Self {
        let mut ahead = Ahead {
            stream: Some(stream),
            place: Place::default(),
            first: Some(Box::default()),
            waited: false,
            slow: 0,
        };
        ahead.read(read);
        ahead
    }

    /// The same where no message is the first.
    pub(super) fn going_on(stream: S, read: &[u8]) -> Self {
        let mut ahead = Ahead::new(stream, &[]);
        ahead.first = None;
        ahead.read(read);
        ahead
    }

    fn read(&mut self, mut bytes: &[u8]) {
        loop {
            if let Some(first) = &mut self.first
                && first.ended
            {
                return first.behind.extend_from_slice(bytes);
            }
            let Some(rest) = self.place.read(bytes) else {
                return;
            };
            self.waited = false;
            if let Some(first) = &mut self.first {
                first.ended = true;
            }
            bytes = rest;
        }
    }

    /// What was read behind the first message; from now on nothing is kept, and a new reader begins
    /// with that.
    pub(super) fn take_behind(&mut self) -> Vec<u8> {
        let first = self.first.take();
        let behind = first.map_or_else(Vec::new, |first| first.behind);
        self.place.large = false;
        self.read(&behind);
        behind
    }

    /// Whether the reader keeps the memory of a large message that is over, and nothing else.
    pub(super) fn is_spent(&self) -> bool {
        self.place.large && !self.place.is_within()
    }

    /// The same stream, for a new reader; nothing more comes of this one.
    pub(super) fn renewed(&mut self) -> Option<Self> {
        let place = mem::take(&mut self.place);
        Some(Ahead {
            stream: Some(self.stream.take()?),
            place: Place {
                large: false,
                ..place
            },
            first: self.first.take(),
            ..*self
        })
    }

    /// Said at each tick: whether a message that was begun has come too slowly for some of them.
    pub(super) fn is_slow(&mut self, tick: Duration) -> bool {
        let came = mem::take(&mut self.place.came);
        let waited = mem::take(&mut self.waited);
        let due = PACE.saturating_mul(tick.as_secs()).max(1);
        self.slow = match self.place.is_within() && waited && came < due {
            true => self.slow + 1,
            false => 0,
        };
        self.slow >= PATIENCE
    }

    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut S>>
    where
        S: Unpin,
    {
        let stream = self.get_mut().stream.as_mut();
        stream
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl<S: Queue> Queue for Ahead<S> {
    fn queue(&mut self, bytes: Bytes) {
        if let Some(stream) = &mut self.stream {
            stream.queue(bytes);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Ahead<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = match self.place.large {
            // Nothing is to be in the reader's memory when the message is over.
            true => self.place.within().min(buffer.remaining()),
            false => buffer.remaining(),
        };
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let polled = self.as_mut().stream()?.poll_read(context, &mut part);
        let this = self.get_mut();
        this.read(part.filled());
        this.waited |= polled.is_pending();
        let read = part.filled().len();
        buffer.advance(read);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Ahead<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
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
                ahead.read(late);
                assert_eq!(ahead.take_behind(), next);
            }
        }
    }

    #[test]
    fn nothing_is_kept_of_what_comes_before_the_message_ends() {
        let mut ahead = Ahead::new((), &[]);
        for _ in 0..10_000 {
            ahead.read(&frame(0x89, &[0; 125]));
        }
        ahead.read(&frame(0x01, b"begun"));
        assert!(ahead.first.unwrap().behind.capacity() == 0);
    }

    /// A header of a frame with so many bytes, the mask with it.
    fn header(first: u8, length: u64) -> Vec<u8> {
        [&[first, 0xff][..], &length.to_be_bytes(), &[1, 2, 3, 4]].concat()
    }

    /// Ticks of a client that has sent as many bytes before each, until it is found to be slow.
    fn slow_after(ahead: &mut Ahead<()>, bytes: usize, ticks: u32) -> Option<u32> {
        (1..=ticks).find(|_| {
            ahead.read(&vec![0; bytes]);
            ahead.waited = true;
            ahead.is_slow(Duration::from_secs(30))
        })
    }

    #[test]
    fn a_message_that_was_begun_has_to_go_on() {
        let (text, fragment, end) = (0x81, 0x01, 0x80);
        let due = usize::try_from(30 * PACE).unwrap();
        for begun in [
            header(text, 26_214_400),
            frame(fragment, b"begun"),
            [frame(fragment, b"begun"), header(end, 26_214_400)].concat(),
            frame(text, b"half")[..8].to_vec(),
            vec![text],
            vec![text, 0xff, 0, 0],
        ] {
            let mut ahead = Ahead::going_on((), &begun);
            assert_eq!(slow_after(&mut ahead, 0, 9), Some(PATIENCE), "{begun:?}");
        }
        let whole = frame(text, b"whole");
        for read in [&b""[..], &whole, &frame(0x89, b"ping")] {
            let mut ahead = Ahead::going_on((), read);
            assert_eq!(slow_after(&mut ahead, 0, 9), None);
        }
        let large = || Ahead::going_on((), &header(text, 26_214_400));
        assert_eq!(slow_after(&mut large(), due, 50), None);
        assert_eq!(slow_after(&mut large(), due - 1, 50), Some(PATIENCE));
        // Pings between its parts do not make it go on.
        let mut pinging = Ahead::going_on((), &frame(fragment, b"begun"));
        let pings = frame(0x89, &[0; 125]).repeat(due / 64);
        let slow = (1..=9).find(|_| {
            pinging.read(&pings);
            pinging.waited = true;
            pinging.is_slow(Duration::from_secs(30))
        });
        assert_eq!(slow, Some(PATIENCE));
        // Nor is anybody slow who is not waited for.
        let mut unread = large();
        assert!((0..9).all(|_| !unread.is_slow(Duration::from_secs(30))));
    }

    /// However much is there: behind it nothing is read.
    #[tokio::test]
    async fn a_large_message_is_read_to_its_end_only() {
        use tokio::io::AsyncReadExt;

        let length = 3 * usize::try_from(LARGE).unwrap();
        let large = [header(0x01, length as u64), vec![0; length]].concat();
        let ping = frame(0x89, b"?");
        let rest = [&header(0x80, 20)[..], &[0; 20]].concat();
        let next = frame(0x81, b"next");
        let message = [large, ping, rest].concat();
        let all = [&message[..], &next, &message, &next].concat();
        let mut ahead = Ahead::going_on(all.as_slice(), &[]);
        let mut taken = Vec::new();
        while !ahead.is_spent() {
            let mut buffer = [0; 4_096];
            let read = AsyncReadExt::read(&mut ahead, &mut buffer).await.unwrap();
            taken.extend_from_slice(&buffer[..read]);
        }
        assert_eq!(taken, message);
        let mut renewed = ahead.renewed().unwrap();
        assert!(ahead.renewed().is_none() && !renewed.is_spent());
        let mut left = Vec::new();
        renewed.read_to_end(&mut left).await.unwrap();
        assert_eq!(left, [&next[..], &message, &next].concat());
    }
}
