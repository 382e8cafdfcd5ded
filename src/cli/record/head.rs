//! The head of an HTTP request, as it came: the target, and every header in its order.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

use crate::handshake::clean;

/// The head of a request.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The method.
    pub(super) method: String,
    /// The request target, with its query.
    pub(super) path: String,
    /// Names and values in the order of arrival, repeats kept.
    pub(super) headers: Vec<(String, String)>,
}

/// Headers whose values are secrets, or mean nothing to people.
const UNSHOWN: [&str; 5] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "sec-websocket-key",
    "sec-websocket-protocol",
];

impl Head {
    /// Reads a head, and what came after it already.
    ///
    /// # Errors
    ///
    /// What the client did instead.
    pub(super) async fn read(
        stream: &mut (impl AsyncRead + Unpin),
        most: usize,
        patience: Duration,
    ) -> Result<(Head, Vec<u8>), String> {
        let mut bytes = Vec::new();
        let ended = async {
            loop {
                if let Some(end) = end(&bytes) {
                    return Ok(end);
                }
                if bytes.len() > most {
                    return Err(format!("sent a head of more than {most} bytes"));
                }
                let mut some = [0; 4_096];
                match stream.read(&mut some).await {
                    Ok(0) => return Err("went away before its request was whole".to_owned()),
                    Ok(read) => bytes.extend_from_slice(some.get(..read).unwrap_or_default()),
                    Err(error) => return Err(format!("broke the connection: {error}")),
                }
            }
        };
        let end = timeout(patience, ended).await;
        let end = end.unwrap_or_else(|_| Err("sent no whole request in time".to_owned()))?;
        let rest = bytes.split_off(end);
        let head = Head::of(&bytes).ok_or("sent what is no HTTP request")?;
        Ok((head, rest))
    }

    fn of(bytes: &[u8]) -> Option<Head> {
        // Each byte is the character of its number, as a gateway reads headers.
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let mut lines = text.split("\r\n");
        let mut request = lines.next()?.split(' ');
        let (method, path, version) = (request.next()?, request.next()?, request.next()?);
        if !version.starts_with("HTTP/1.") || request.next().is_some() {
            return None;
        }
        let headers = lines.take_while(|line| !line.is_empty()).map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
        });
        Some(Head {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: headers.collect::<Option<_>>()?,
        })
    }

    /// The values of a header.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let headers = self.headers.iter();
        headers
            .filter(move |(sent, _)| sent.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    /// What proves the answer to a request for a WebSocket; `None` when it is none.
    pub(super) fn key(&self) -> Option<&str> {
        let mut upgrades = self.values("Upgrade");
        let upgrade = upgrades.any(|value| value.trim().eq_ignore_ascii_case("websocket"));
        self.values("Sec-WebSocket-Key")
            .next()
            .filter(|_| upgrade && self.method == "GET")
    }

    /// A line for each part, without secrets, fit for a terminal.
    pub(super) fn shown(&self) -> Vec<String> {
        let path = self.path.split('?').next().unwrap_or_default();
        let mut lines = vec![format!("{} {}", clean(&self.method), clean(path))];
        for (name, value) in &self.headers {
            let hidden = UNSHOWN.iter().any(|it| name.eq_ignore_ascii_case(it));
            let value = if hidden {
                "•••".to_owned()
            } else {
                clean(value)
            };
            lines.push(format!("{}: {value}", clean(name)));
        }
        lines
    }
}

/// Where a head ends, once all of it is there.
fn end(bytes: &[u8]) -> Option<usize> {
    let found = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    found.map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_kept_as_it_came() {
        let head = b"GET /x?token=s3cret HTTP/1.1\r\nHost: h\r\nX-A:  1 \r\nx-a: 2\r\n\
            Upgrade: WebSocket\r\nSec-WebSocket-Key: k\r\nCookie: s3cret\r\n\r\n";
        assert_eq!(end(head), Some(head.len()));
        let head = Head::of(head).unwrap();
        assert_eq!(head.path, "/x?token=s3cret");
        assert_eq!(head.values("X-A").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(head.key(), Some("k"));
        assert!(!head.shown().concat().contains("s3cret"));
        for wrong in [
            "",
            "GET / HTTP/2\r\n",
            "GET / HTTP/1.1\r\nno header\r\n\r\n",
        ] {
            assert!(Head::of(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
