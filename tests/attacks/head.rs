//! A request for a WebSocket as bytes, with any target and any headers, and its answer.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Io, soon};

/// What a request is answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// What came behind the head: of a WebSocket its first frames, else the body.
    pub(crate) rest: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }
}

/// Sends a request, and reads its answer: to its end where it is no WebSocket.
pub(crate) async fn ask(
    stream: &mut Box<dyn Io>,
    target: &str,
    headers: &[(String, String)],
    page: bool,
) -> Answer {
    let mut request = format!("GET {target} HTTP/1.1\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !page {
        request.push_str(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        );
    }
    request.push_str("\r\n");
    // A server that does not want to hear the rest may close meanwhile.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut read = Vec::new();
    loop {
        let end = read.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
            let status = status.unwrap_or_default();
            let mut rest = read.split_off(end + 4);
            if status != 101 {
                while more(stream, &mut rest).await {}
            }
            return Answer { status, head, rest };
        }
        if !more(stream, &mut read).await {
            let head = String::from_utf8_lossy(&read).into_owned();
            return Answer {
                status: 0,
                head,
                rest: Vec::new(),
            };
        }
    }
}

async fn more(stream: &mut Box<dyn Io>, read: &mut Vec<u8>) -> bool {
    let count = soon("bytes", stream.read_buf(read)).await;
    count.is_ok_and(|count| count > 0)
}
