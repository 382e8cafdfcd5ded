//! A client that sends whatever bytes it is told to, and reads frames without a library.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Closed, soon};

/// The request that begins a WebSocket.
pub(crate) const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const PING: u8 = 0x89;
pub(crate) const CLOSE: u8 = 0x88;

/// A frame of a client, by its first byte. The mask is none.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASKED: u8 = 0x80;
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(MASKED | u8::try_from(length).unwrap()),
        length @ 126..0x1_0000 => {
            frame.push(MASKED | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(MASKED | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A connection, and what was read of it.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Raw {
            stream,
            read: Vec::new(),
        }
    }

    /// Has a WebSocket, and its challenge.
    pub(crate) async fn upgraded(stream: TcpStream) -> Self {
        let mut raw = Raw::new(stream);
        raw.send(UPGRADE.as_bytes()).await;
        raw.head().await;
        let (opcode, challenge) = raw.frame().await.unwrap();
        assert_eq!(opcode, 1);
        assert!(String::from_utf8_lossy(&challenge).contains("connect.challenge"));
        raw
    }

    /// Sends bytes, as far as the other end takes them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The head of the HTTP answer.
    pub(crate) async fn head(&mut self) -> String {
        const END: &[u8] = b"\r\n\r\n";
        loop {
            let mut windows = self.read.windows(END.len());
            if let Some(at) = windows.position(|window| window == END) {
                let head: Vec<u8> = self.read.drain(..at + END.len()).collect();
                return String::from_utf8(head).unwrap();
            }
            assert!(self.more().await, "no head: {:?}", self.read);
        }
    }

    /// So many bytes of the body, or as many as come before the end.
    pub(crate) async fn body(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length && self.more().await {}
        let length = length.min(self.read.len());
        self.read.drain(..length).collect()
    }

    async fn more(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.read);
        soon("bytes", read).await.is_ok_and(|read| read > 0)
    }

    /// The next frame: opcode and payload; nothing at the end.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some((opcode, from, to)) = whole(&self.read) {
                let payload = self.read[from..to].to_vec();
                self.read.drain(..to);
                return Some((opcode, payload));
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// How it is closed; what comes before is passed over.
    pub(crate) async fn closed(&mut self) -> Closed {
        while let Some((opcode, payload)) = self.frame().await {
            if opcode == CLOSE & 0xf {
                let code = payload
                    .first_chunk()
                    .map_or(1005, |code| u16::from_be_bytes(*code));
                let reason = payload.get(2..).unwrap_or_default();
                return Closed::new(code, &String::from_utf8_lossy(reason));
            }
        }
        Closed::new(1006, "")
    }

    /// Waits until the other end closes the connection, and gives what came.
    pub(crate) async fn end(mut self) -> Vec<u8> {
        while self.more().await {}
        self.read
    }
}

/// Of the first frame the opcode, and where its payload begins and ends.
fn whole(read: &[u8]) -> Option<(u8, usize, usize)> {
    let opcode = read.first()? & 0xf;
    let (from, length) = match *read.get(1)? {
        126 => {
            let length = read.get(2..)?.first_chunk()?;
            (4, u16::from_be_bytes(*length).into())
        }
        127 => {
            let length = read.get(2..)?.first_chunk()?;
            (10, usize::try_from(u64::from_be_bytes(*length)).ok()?)
        }
        length => (2, length.into()),
    };
    (read.len() >= from + length).then_some((opcode, from, from + length))
}
